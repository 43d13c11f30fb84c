#include "xfrm/fields.h"

#include <errno.h>

#include "xfrm/attrs.h"

int
family_need(uint16_t wire, const char *what, uint8_t *family, struct err *err)
{
	int f = family_load(wire);

	if (f <= 0)
		return err_set(err, -EINVAL, "%s %u: 2 (IPv4) or 10 (IPv6)", what, wire);
	*family = (uint8_t)f;
	return 0;
}

int
sel_load(const struct xw_sel *w, struct xfrm_sel *sel, const char *what, struct err *err)
{
	int family = family_load(w->family);
	uint8_t most = family == 4 ? 32 : 128;

	if (family < 0)
		return err_set(err, -EINVAL, "%s.family %u: 2 (IPv4), 10 (IPv6), or 0 for both",
			       what, w->family);
	if (family != 0 && (w->plen_s > most || w->plen_d > most))
		return err_set(err, -EINVAL, "%s: prefix lengths %u and %u: at most %u", what,
			       w->plen_s, w->plen_d, most);
	/* By field, so that padding is 0 and selectors compare as octets. */
	memset(sel, 0, sizeof(*sel));
	sel->family = (uint8_t)family;
	sel->proto = w->proto;
	sel->src = (struct prefix) { addr_load(sel->family, w->saddr), w->plen_s };
	sel->dst = (struct prefix) { addr_load(sel->family, w->daddr), w->plen_d };
	sel->sport = __builtin_bswap16(w->sport_be);
	sel->sport_mask = __builtin_bswap16(w->sport_mask_be);
	sel->dport = __builtin_bswap16(w->dport_be);
	sel->dport_mask = __builtin_bswap16(w->dport_mask_be);
	sel->ifindex = w->ifindex;
	sel->user = w->user;
	return 0;
}

void
sel_put(const struct xfrm_sel *sel, struct xw_sel *w)
{
	*w = (struct xw_sel) {
		.dport_be = __builtin_bswap16(sel->dport),
		.dport_mask_be = __builtin_bswap16(sel->dport_mask),
		.sport_be = __builtin_bswap16(sel->sport),
		.sport_mask_be = __builtin_bswap16(sel->sport_mask),
		.family = family_put(sel->family),
		.plen_d = sel->dst.len,
		.plen_s = sel->src.len,
		.proto = sel->proto,
		.ifindex = sel->ifindex,
		.user = sel->user,
	};
	memcpy(w->daddr, sel->dst.addr.octets, sizeof(w->daddr));
	memcpy(w->saddr, sel->src.addr.octets, sizeof(w->saddr));
}

void
ident_put(const struct xfrm_ident *id, struct xw_id *w)
{
	*w = (struct xw_id) { .spi_be = __builtin_bswap32(id->spi), .proto = id->proto };
	memcpy(w->daddr, id->dst.octets, sizeof(w->daddr));
}

void
sa_id_put(const struct xfrm_ident *id, uint8_t family, struct xw_sa_id *w)
{
	*w = (struct xw_sa_id) {
		.spi_be = __builtin_bswap32(id->spi),
		.family = family_put(family),
		.proto = id->proto,
	};
	memcpy(w->daddr, id->dst.octets, sizeof(w->daddr));
}

void
ident_load(struct xfrm_ident *id, uint8_t family, const uint8_t daddr[16], uint32_t spi_be,
	   uint8_t proto)
{
	memset(id, 0, sizeof(*id));
	id->dst = addr_load(family, daddr);
	id->spi = __builtin_bswap32(spi_be);
	id->proto = proto;
}

int
sa_id_load(const struct xw_sa_id *w, uint8_t *family, struct xfrm_ident *id, struct err *err)
{
	int rc = family_need(w->family, "family", family, err);

	if (rc < 0)
		return rc;
	ident_load(id, *family, w->daddr, w->spi_be, w->proto);
	return 0;
}

int
proto_check(uint8_t proto, const char *what, struct err *err)
{
	if (proto == XFRM_PROTO_ESP || proto == XFRM_PROTO_AH || proto == XFRM_PROTO_COMP)
		return 0;
	return err_set(err, -EINVAL, "%s %u: 50 (ESP), 51 (AH) or 108 (IPComp)", what, proto);
}

void
mark_load(const struct attrs *a, uint32_t *has, struct xfrm_mark *mark)
{
	struct xw_mark w;

	if (!attr_copy(a, XFRM_A_MARK, &w, sizeof(w)))
		return;
	*mark = (struct xfrm_mark) { w.value, w.mask };
	*has |= XFRM_HAS_MARK;
}

void
word_load(const struct attrs *a, uint16_t type, uint32_t bit, uint32_t *has, uint32_t *word)
{
	if (attr_copy(a, type, word, sizeof(*word)))
		*has |= bit;
}

int
encap_load(const struct attrs *list, uint8_t family, struct xfrm_encap *e, bool *there,
	   struct err *err)
{
	static const uint8_t none[16];
	const struct attr *a = attr_find(list, XFRM_A_ENCAP);
	struct xw_encap w;

	*there = a != NULL;
	if (a == NULL)
		return 0;
	memcpy(&w, a->octets, sizeof(w));
	if (w.type != XFRM_ENCAP_ESPINUDP)
		return attr_refuse(a, -EOPNOTSUPP, err, "encap_type %u%s: 2 (ESP in UDP)", w.type,
				   w.type == XFRM_ENCAP_ESPINTCP ? " (ESP in TCP)" : "");
	if (w.dport_be == 0)
		return attr_refuse(a, -EINVAL, err, "encap_dport 0: a UDP port, such as 4500");
	memset(e, 0, sizeof(*e));
	e->type = w.type;
	e->sport = __builtin_bswap16(w.sport_be);
	e->dport = __builtin_bswap16(w.dport_be);
	if (memcmp(w.oa, none, family == 4 ? 4 : 16) != 0)
		e->oa = addr_load(family, w.oa);
	return 0;
}

void
encap_put(const struct xfrm_encap *e, struct xw_encap *w)
{
	*w = (struct xw_encap) {
		.type = e->type,
		.sport_be = __builtin_bswap16(e->sport),
		.dport_be = __builtin_bswap16(e->dport),
	};
	memcpy(w->oa, e->oa.octets, sizeof(w->oa));
}

static int
replay_esn_load(const struct attr *a, struct xfrm_replay *r, struct err *err)
{
	struct xw_replay_esn w;

	memcpy(&w, a->octets, sizeof(w));
	if (w.words > XFRM_REPLAY_WORDS)
		return attr_refuse(a, -EINVAL, err, "bmp_len %u: at most %u words", w.words,
				   XFRM_REPLAY_WORDS);
	/* charon ends behind the header, and Linux takes that for a map of zeros. */
	if (a->len != sizeof(w) && a->len != sizeof(w) + w.words * 4)
		return attr_refuse(a, -EINVAL, err, "%u octets: with bmp_len %u it has %zu", a->len,
				   w.words, sizeof(w) + w.words * 4);
	if (w.replay_window > w.words * 32)
		return attr_refuse(a, -EINVAL, err, "replay_window %u: bmp_len %u has %u bits",
				   w.replay_window, w.words, w.words * 32);
	r->oseq = (uint64_t)w.oseq_hi << 32 | w.oseq;
	r->seq = (uint64_t)w.seq_hi << 32 | w.seq;
	r->window = w.replay_window;
	r->words = w.words;
	memset(r->bitmap, 0, w.words * 4);
	memcpy(r->bitmap, a->octets + sizeof(w), a->len - sizeof(w));
	return 0;
}

int
replay_load(const struct attrs *list, uint32_t *has, struct xfrm_replay *r, struct err *err)
{
	const struct attr *esn = attr_find(list, XFRM_A_REPLAY_ESN_VAL);
	const struct attr *old = attr_find(list, XFRM_A_REPLAY_VAL);
	struct xw_replay w;

	r->words = 0;
	if (esn != NULL && old != NULL)
		return attr_refuse(old, -EINVAL, err,
				   "beside XFRMA_REPLAY_ESN_VAL: one of the two");
	if (esn != NULL) {
		*has |= XFRM_HAS_REPLAY_ESN;
		return replay_esn_load(esn, r, err);
	}
	if (old != NULL) {
		memcpy(&w, old->octets, sizeof(w));
		*has |= XFRM_HAS_REPLAY;
		r->oseq = w.oseq;
		r->seq = w.seq;
		r->window = 0;
		r->words = 1;
		r->bitmap[0] = w.bitmap;
	}
	return 0;
}

int
policy_attrs_load(const struct attrs *list, uint32_t *has, uint8_t *type, struct err *err)
{
	const struct attr *a = attr_find(list, XFRM_A_SEC_CTX);
	struct xw_policy_type w;

	if (a != NULL)
		return attr_refuse(a, -EOPNOTSUPP, err, "there are no security labels here: none");
	a = attr_find(list, XFRM_A_POLICY_TYPE);
	if (a == NULL)
		return 0;
	memcpy(&w, a->octets, sizeof(w));
	if (w.type != 0)
		return attr_refuse(a, -EINVAL, err, "type %u: 0 (main)", w.type);
	*has |= XFRM_HAS_POLICY_TYPE;
	*type = w.type;
	return 0;
}
