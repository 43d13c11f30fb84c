/* Random but valid SAs and policies, and messages made of them. */
#ifndef TESTS_XFRM_RIG_H
#define TESTS_XFRM_RIG_H

#include "unit.h"

#include "xfrm/xfrm.h"

/* The same row of numbers in every run. */
uint64_t rig_random(void);
void rig_seed(uint64_t seed);

/* An SA that xfrm_parse_sa takes, all optional parts by chance; octets that nobody reads are 0. */
void rig_sa(struct xfrm_sa *sa);
void rig_policy(struct xfrm_policy *p);
void rig_sel(struct xfrm_sel *sel, uint8_t family);
struct addr rig_addr(uint8_t family);
void rig_ae(struct xfrm_ae *ae, uint8_t family);
void rig_migrate(struct xfrm_migrate *m, uint8_t family);
void rig_sa_id(struct xfrm_sa_id *id, uint8_t family);

/* What one xfrm_put_* wrote, as a message. */
struct rig_msg {
	_Alignas(8) uint8_t octets[XFRM_DATAGRAM_MAX];
	struct xfrm_out out;
	struct xfrm_msg msg;
};
/* Ready for one xfrm_put_*; what is not written holds 0xa5. */
struct xfrm_out *rig_begin(struct rig_msg *m);
/* The message that was put; fails the test unless it is one, whole and filled up to 4. */
const struct xfrm_msg *rig_end(struct rig_msg *m);

/* ---- Messages by hand, for what no xfrm_put_* would write. ---- */

struct raw {
	_Alignas(8) uint8_t octets[XFRM_DATAGRAM_MAX];
	size_t len;
};

struct rig_gcm {
	struct xw_alg_icv head;
	uint8_t key[36];
};

extern const struct rig_gcm raw_gcm; /* of 92 octets, with its key */
extern const struct xw_sa raw_sa;    /* good with it */
extern const struct xw_policy raw_policy;

void raw_begin(struct raw *r, uint16_t type, const void *body, size_t size);
/* octets NULL: zeros. */
void raw_attr(struct raw *r, uint16_t type, const void *octets, size_t size);
/* A copy of exactly its size, so that a sanitizer sees who reads on; to be freed. */
uint8_t *raw_message(const struct raw *r, size_t len, struct xfrm_msg *msg);
/* That its parser returns rc, and a refusal's sentence has `says` in it. */
void raw_want(const char *what, const struct raw *r, int rc, const char *says);

/* clang-format off */
struct part {
	uint16_t type, size;
	const void *octets;
};
#define WORD(type, n)	{ type, 4, &(const uint32_t) { n } }
#define OCTET(type, n)	{ type, 1, &(const uint8_t) { n } }
#define OPTIONS(...)	{ XFRM_A_IPTFS_OPTIONS, 16, &(const struct xw_iptfs_options) { __VA_ARGS__ } }
#define DIR_IN		OCTET(XFRM_A_SA_DIR, XFRM_SA_DIR_IN)
#define DIR_OUT		OCTET(XFRM_A_SA_DIR, XFRM_SA_DIR_OUT)
#define NATT		{ XFRM_A_ENCAP, 24, &(const struct xw_encap) { 2, 0x9411, 0x9411, { 0 }, { 0 } } }
#define REPLAY(oseq, seq) { XFRM_A_REPLAY_VAL, 12, &(const struct xw_replay) { oseq, seq, 0 } }
/* With one word, whatever it says. */
#define ESN(words, seq, window) \
	{ XFRM_A_REPLAY_ESN_VAL, 28, \
	  &(const struct { struct xw_replay_esn head; uint32_t map; }) { { words, 0, seq, 0, 0, window }, 0 } }
#define NONE { { 0 } }
#define NOPART { 0 }
/* clang-format on */

#endif
