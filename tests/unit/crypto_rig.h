/* Packets for the engines: ESP header, IV, text, tag, flat at any alignment or as a chain cut
 * anywhere. */
#ifndef TESTS_CRYPTO_RIG_H
#define TESTS_CRYPTO_RIG_H

#include "unit.h"

#include <rte_mbuf.h>

#include "crypto/crypto.h"

#define RIG_TEXT_MAX 9216
#define RIG_SIZE     (8 + ALG_IV_MAX + RIG_TEXT_MAX + ALG_ICV_MAX)

/* One packet and the operation on it. */
struct rig {
	const struct session *session;
	uint16_t text_len;
	uint8_t nonce[16], aad[12];
	uint8_t octets[RIG_SIZE + 64]; /* flat; `at` is somewhere in its first 64 octets */
	uint8_t *at;
	struct rte_mbuf *chain;
	size_t chain_off; /* of the ESP header */
	uint8_t tag[ALG_ICV_MAX];
	bool tag_apart; /* the tag is not behind the text */
};

static inline uint64_t
rig_random(void)
{
	static uint64_t x = UINT64_C(88172645463325252);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x * UINT64_C(0x2545f4914f6cdd1d) >> 11;
}

static inline void
rig_fill(void *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)to)[i] = (uint8_t)rig_random();
}

static inline size_t
rig_head(const struct rig *r)
{
	return 8 + (size_t)r->session->suite.iv_len;
}

static inline size_t
rig_size(const struct rig *r)
{
	return rig_head(r) + r->text_len;
}

/* A packet of random octets, with nonce and aad as the stages would make them for an inbound
 * packet. */
static inline void
rig_make(struct rig *r, const struct session *s, uint16_t text_len)
{
	const struct suite *suite = &s->suite;

	memset(r, 0, sizeof(*r));
	r->session = s;
	r->text_len = text_len;
	r->at = r->octets + rig_random() % 64;
	rig_fill(r->at, rig_size(r));
	rig_fill(r->nonce, sizeof(r->nonce));
	memcpy(r->aad, r->at, 4);
	if (suite->esn)
		rig_fill(r->aad + 4, 4);
	memcpy(r->aad + (suite->esn ? 8 : 4), r->at + 4, 4);
	if (suite->iv_len == 8)
		memcpy(r->at + 8, r->nonce + algs[suite->cipher].salt_len, 8);
	r->tag_apart = rig_random() % 8 == 0;
}

/* The same packet once more, at an alignment of its own. */
static inline void
rig_copy(struct rig *to, const struct rig *from)
{
	memcpy(to, from, sizeof(*to));
	to->at = to->octets + rig_random() % 64;
	memmove(to->at, from->at, rig_size(from) + ALG_ICV_MAX);
	to->chain = NULL;
}

/* Cuts the packet (without its tag) into segments, some of one octet, some empty. */
static inline void
rig_cut(struct rig *r, struct rte_mempool *pool)
{
	size_t left = rig_size(r), at = 0;
	struct rte_mbuf *last = NULL;

	if (!r->tag_apart)
		memcpy(r->tag, r->at + rig_size(r), sizeof(r->tag));
	r->chain_off = rig_random() % 40;
	while (left > 0) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
		size_t lead = last == NULL ? r->chain_off : 0, len = 1 + rig_random() % left;

		assert_non_null(m);
		if (rig_random() % 4 == 0)
			len = rig_random() % 2;
		memcpy(rte_pktmbuf_append(m, (uint16_t)(lead + len)) + lead, r->at + at, len);
		at += len;
		left -= len;
		if (last == NULL)
			r->chain = m;
		else
			last->next = m;
		last = m;
		r->chain->nb_segs = 1;
	}
}

/* Brings the octets of a chain back to the flat place. */
static inline void
rig_join(struct rig *r)
{
	size_t skip = r->chain_off, at = 0;
	struct rte_mbuf *m = r->chain, *next;

	for (; m != NULL; m = next) {
		next = m->next;
		memcpy(r->at + at, rte_pktmbuf_mtod_offset(m, uint8_t *, skip), m->data_len - skip);
		at += m->data_len - skip;
		skip = 0;
		m->next = NULL;
		rte_pktmbuf_free_seg(m);
	}
	r->chain = NULL;
}

static inline uint8_t *
rig_tag(struct rig *r)
{
	return r->chain != NULL || r->tag_apart ? r->tag : r->at + rig_size(r);
}

static inline void
rig_op(struct rig *r, struct crypto_op *op)
{
	memset(op, 0, sizeof(*op));
	op->session = r->session;
	op->chain = r->chain;
	if (r->chain != NULL)
		op->text_off = r->chain_off + rig_head(r);
	else
		op->text = r->at + rig_head(r);
	op->tag = rig_tag(r);
	op->text_len = r->text_len;
	memcpy(op->nonce, r->nonce, sizeof(op->nonce));
	memcpy(op->aad, r->aad, sizeof(op->aad));
}

#endif
