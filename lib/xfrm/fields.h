/* Inside the codec: fields of the wire to those of xfrm.h, and back. */
#ifndef XFRM_FIELDS_H
#define XFRM_FIELDS_H

#include "xfrm/xfrm.h"

/* AF_INET and AF_INET6 to 4 and 6; 0 is 0; -1: another. */
static inline int
family_load(uint16_t family)
{
	switch (family) {
	case XFRM_FAMILY_V4:
		return 4;
	case XFRM_FAMILY_V6:
		return 6;
	default:
		return family == 0 ? 0 : -1;
	}
}

static inline uint16_t
family_put(uint8_t family)
{
	return family == 4 ? XFRM_FAMILY_V4 : family == 6 ? XFRM_FAMILY_V6 : 0;
}

static inline struct addr
addr_load(uint8_t family, const uint8_t octets[16])
{
	struct addr a = { .family = family };

	memcpy(a.octets, octets, family == 4 ? 4 : family == 6 ? 16 : 0);
	return a;
}

/* Lifetimes and counters are laid out alike. */
_Static_assert(sizeof(struct xfrm_life) == sizeof(struct xw_life), "copied whole");
_Static_assert(sizeof(struct xfrm_used) == sizeof(struct xw_used), "copied whole");

/* Fills padding with 0, too: identities and selectors compare as octets. */
void ident_load(struct xfrm_ident *id, uint8_t family, const uint8_t daddr[16], uint32_t spi_be,
		uint8_t proto);
/* Likewise. what: "sel", "policy selector". -EINVAL for families and prefix lengths that do not
 * exist. */
int sel_load(const struct xw_sel *w, struct xfrm_sel *sel, const char *what, struct err *err);
void sel_put(const struct xfrm_sel *sel, struct xw_sel *w);

void policy_put(const struct xfrm_policy *p, struct xw_policy *w);
void policy_id_put(const struct xfrm_policy_id *id, struct xw_policy_id *w);
void sa_put(const struct xfrm_sa *sa, struct xw_sa *w);
void sa_id_put(const struct xfrm_ident *id, uint8_t family, struct xw_sa_id *w);
void ident_put(const struct xfrm_ident *id, struct xw_id *w);
void encap_put(const struct xfrm_encap *e, struct xw_encap *w);

struct attrs;
/* ENCAP, MARK with its bit, and the pieces that several messages share. */
int encap_load(const struct attrs *a, uint8_t family, struct xfrm_encap *e, bool *there,
	       struct err *err);
int replay_load(const struct attrs *a, uint32_t *has, struct xfrm_replay *r, struct err *err);
void mark_load(const struct attrs *a, uint32_t *has, struct xfrm_mark *mark);
void word_load(const struct attrs *a, uint16_t type, uint32_t bit, uint32_t *has, uint32_t *word);
int sa_id_load(const struct xw_sa_id *w, uint8_t *family, struct xfrm_ident *id, struct err *err);
/* "family 7: 2 (IPv4) or 10 (IPv6)" unless it is one of the two. */
int family_need(uint16_t wire, const char *what, uint8_t *family, struct err *err);
/* XFRMA_SEC_CTX, XFRMA_POLICY_TYPE of a policy. */
int policy_attrs_load(const struct attrs *a, uint32_t *has, uint8_t *type, struct err *err);
/* ESP, AH and IPComp; others -EINVAL. */
int proto_check(uint8_t proto, const char *what, struct err *err);

/* algs.c: suite and keys from the ALG attributes, whichever there are. */
int algs_load(const struct attrs *a, struct xfrm_sa *sa, struct err *err);

#endif
