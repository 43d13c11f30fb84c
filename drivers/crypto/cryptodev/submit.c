#include "cryptodev.h"

#include <string.h>

#include <rte_byteorder.h>
#include <rte_prefetch.h>

/* As rte_crypto_op.raw: symmetric, not processed yet, of a session. */
static const struct rte_crypto_op fresh = { .type = RTE_CRYPTO_OP_TYPE_SYMMETRIC,
					    .status = RTE_CRYPTO_OP_STATUS_NOT_PROCESSED,
					    .sess_type = RTE_CRYPTO_OP_WITH_SESSION };

/* A text in one piece: in the packet, or in a copy of it. The tag is right behind it. */
struct view {
	struct rte_mbuf *m;
	uint8_t *text;
};

/* CBC, encrypt: the IV is the packet's own block under a key of its own (session.iv_key). */
static bool
iv_make(struct engine_worker *ew, const struct crypto_op *op, uint8_t *iv)
{
	const struct session *s = op->session;
	int len;

	if (ew->iv_id != s->id || ew->iv_generation != s->generation) {
		if (EVP_EncryptInit_ex2(ew->iv_ctx, NULL, s->iv_key, NULL, NULL) != 1)
			return false;
		ew->iv_id = s->id;
		ew->iv_generation = s->generation;
	}
	return EVP_EncryptUpdate(ew->iv_ctx, iv, &len, op->nonce, 16) == 1 && len == 16;
}

static inline void
aead_fill(struct slot *s, const struct crypto_op *op, const struct view *v)
{
	uint8_t *data = rte_pktmbuf_mtod(v->m, uint8_t *);
	uint32_t off = (uint32_t)(v->text - data);

	s->sym.aead.data.offset = off;
	s->sym.aead.data.length = op->text_len;
	s->sym.aead.digest.data = v->text + op->text_len;
	s->sym.aead.digest.phys_addr = rte_pktmbuf_iova(v->m) + off + op->text_len;
	s->sym.aead.aad.data = s->aad;
	s->sym.aead.aad.phys_addr = s->op.phys_addr + SLOT_AAD;
	memcpy(s->iv, op->nonce, sizeof(s->iv));
	memcpy(s->aad, op->aad, sizeof(op->aad));
}

static void
ccm_fill(struct slot *s, struct beside *beside, const struct crypto_op *op, const struct view *v)
{
	aead_fill(s, op, v);
	s->sym.aead.aad.data = beside->aad;
	s->sym.aead.aad.phys_addr = beside->iova + offsetof(struct beside, aad);
	memset(beside->aad, 0, sizeof(beside->aad));
	memcpy(beside->aad + 18, op->aad, sizeof(op->aad));
	memcpy(s->iv + 1, op->nonce, 11);
}

/* ESP header, IV and text; with ESN they are in a copy, where the number is whole. */
static void
gmac_fill(struct slot *s, const struct crypto_op *op, const struct view *v)
{
	uint32_t front = (op->session->suite.esn ? 12 : 8) + 8;
	uint32_t off = (uint32_t)(v->text - rte_pktmbuf_mtod(v->m, uint8_t *));

	memcpy(s->iv, op->nonce, 12);
	s->sym.auth.data.offset = off - front;
	s->sym.auth.data.length = front + op->text_len;
	s->sym.auth.digest.data = v->text + op->text_len;
	s->sym.auth.digest.phys_addr = rte_pktmbuf_iova(v->m) + off + op->text_len;
}

/* ESN's high half is authenticated behind the text: where the tag will be, or, before a tag is
 * compared, where it was.
 */
static void
high_half_put(struct lane *l, uint32_t at, const struct crypto_op *op, const struct view *v,
	      bool encrypt)
{
	struct slot *s = &l->slots[at];
	uint8_t *end = v->text + op->text_len;

	if (!encrypt) {
		uint8_t *tag = l->beside[at].tag;

		memcpy(tag, end, op->session->suite.icv_len);
		s->sym.auth.digest.data = tag;
		s->sym.auth.digest.phys_addr = l->beside[at].iova + offsetof(struct beside, tag);
		l->marks[at] |= MARK_MOVED;
	}
	memcpy(end, op->aad + 4, 4);
}

static bool
separate_fill(struct engine_worker *ew, struct lane *l, uint32_t at, const struct crypto_op *op,
	      const struct view *v, bool encrypt)
{
	static const uint32_t first_block_be = RTE_BE32(1);
	const struct suite *suite = &op->session->suite;
	struct slot *s = &l->slots[at];
	uint32_t off = (uint32_t)(v->text - rte_pktmbuf_mtod(v->m, uint8_t *));
	uint32_t front = CRYPTO_BEFORE + suite->iv_len;

	if (suite->iv_len == ALG_IV_MAX) {
		if (unlikely(op->text_len % 16 != 0))
			return false;
		if (!encrypt)
			memcpy(s->iv, op->nonce, ALG_IV_MAX);
		else if (!iv_make(ew, op, s->iv))
			return false;
		else
			memcpy(v->text - ALG_IV_MAX, s->iv, ALG_IV_MAX);
	} else {
		/* RFC 3686 section 4: nonce, IV, block counter from 1. */
		memcpy(s->iv, op->nonce, 12);
		memcpy(s->iv + 12, &first_block_be, sizeof(first_block_be));
	}
	s->sym.cipher.data.offset = off;
	s->sym.cipher.data.length = op->text_len;
	s->sym.auth.data.offset = off - front;
	s->sym.auth.data.length = front + op->text_len + (suite->esn ? 4 : 0);
	s->sym.auth.digest.data = v->text + op->text_len;
	s->sym.auth.digest.phys_addr = rte_pktmbuf_iova(v->m) + off + op->text_len;
	if (suite->esn)
		high_half_put(l, at, op, v, encrypt);
	return true;
}

/* Wants to be in one piece first. */
static inline bool
wants_copy(const struct crypto_op *op, const struct rte_mbuf *m, uint8_t shape)
{
	return op->chain != NULL || m->nb_segs != 1 || op->tag != op->text + op->text_len ||
	       (shape == SHAPE_GMAC && op->session->suite.esn);
}

enum filled {
	FILLED,
	FILLED_BAD, /* nothing that could be done; it is through, and failed */
	FILLED_NOT, /* no copy is free now */
};

static enum filled
fill_by_copy(struct engine_worker *ew, struct lane *l, uint32_t at, const struct crypto_op *op,
	     uint8_t shape, bool encrypt, struct view *v)
{
	struct slot *s = &l->slots[at];
	struct bounce *b;
	bool whole;

	b = bounce_take(ew, op, (enum shape)shape, encrypt, &whole);
	if (b == NULL)
		return FILLED_NOT;
	s->sym.m_src = &b->m;
	l->marks[at] |= MARK_BOUNCED;
	*v = (struct view) { .m = &b->m, .text = b->octets + b->front };
	return whole ? FILLED : FILLED_BAD;
}

static inline enum filled
slot_fill(struct engine_worker *ew, struct lane *l, uint32_t at, const struct crypto_op *op,
	  struct rte_mbuf *m, const struct entry *e, bool encrypt)
{
	struct slot *s = &l->slots[at];
	struct view v = { .m = m, .text = op->text };
	enum filled filled = FILLED;

	s->op.raw = fresh.raw;
	s->sym.m_src = m;
	s->sym.m_dst = NULL;
	s->sym.session = e->session;
	s->pkt = m;
	l->marks[at] = 0;
	if (unlikely(op->text_len == 0))
		return FILLED_BAD;
	if (unlikely(wants_copy(op, m, e->shape))) {
		filled = fill_by_copy(ew, l, at, op, e->shape, encrypt, &v);
		if (filled != FILLED)
			return filled;
	}
	if (likely(e->shape == SHAPE_AEAD))
		aead_fill(s, op, &v);
	else if (e->shape == SHAPE_CCM)
		ccm_fill(s, &l->beside[at], op, &v);
	else if (e->shape == SHAPE_GMAC)
		gmac_fill(s, op, &v);
	else if (!separate_fill(ew, l, at, op, &v, encrypt))
		return FILLED_BAD;
	return FILLED;
}

bool
lane_fill_one(struct lane *l, uint32_t at, const struct crypto_op *op, struct rte_mbuf *m,
	      const struct entry *e)
{
	return slot_fill(NULL, l, at, op, m, e, false) == FILLED;
}

/* What the device did not take is as it was. */
static void
slot_undo(struct engine_worker *ew, struct lane *l, uint32_t at)
{
	struct slot *s = &l->slots[at];

	if ((l->marks[at] & MARK_BOUNCED) != 0) {
		bounce_give(ew, (struct bounce *)s->sym.m_src, false);
		return;
	}
	if ((l->marks[at] & MARK_MOVED) != 0) {
		uint8_t *end = rte_pktmbuf_mtod_offset(s->pkt, uint8_t *,
						       s->sym.auth.data.offset +
							       s->sym.auth.data.length - 4);

		memcpy(end, l->beside[at].tag, 4);
	}
}

/* The n slots behind those in flight, some of which are through without the device: hands the rest
 * to it. Returns how many are in flight now.
 */
static uint16_t
lane_enqueue(struct engine_worker *ew, struct lane *l, struct rte_crypto_op **batch, uint16_t n,
	     uint16_t n_batch)
{
	uint32_t first = l->head + l->n;
	uint16_t taken =
		n_batch == 0 ? 0 :
			       rte_cryptodev_enqueue_burst(l->device->id, l->queue, batch, n_batch);
	uint16_t in = n;

	if (unlikely(taken < n_batch)) {
		uint32_t stop = (uint32_t)((struct slot *)batch[taken] - l->slots);

		in = (uint16_t)((stop - first) & RING_MASK);
		for (uint16_t i = in; i < n; i++)
			slot_undo(ew, l, (first + i) & RING_MASK);
		if (taken == 0)
			cell_add(&l->refused, 1);
	}
	__atomic_store_n(&l->n, l->n + in, __ATOMIC_RELAXED);
	cell_add(&l->submitted, in);
	return in;
}

/* A prefix of the ops that go to one device; *why unless that is as far as they go. */
static uint16_t
lane_submit(struct engine_worker *ew, struct lane *l, const struct crypto_op *ops,
	    struct rte_mbuf *const *pkts, uint16_t n, bool encrypt, enum engine_refusal *why)
{
	struct rte_crypto_op *batch[CRYPTO_BURST_MAX];
	const struct session *last = NULL;
	const struct entry *e = NULL;
	uint16_t n_batch = 0, i, in;

	if (l->n == 0)
		l->head = 0; /* the same few slots again: they are near */
	for (i = 0; i < n; i++) {
		uint32_t at = (l->head + l->n + i) & RING_MASK;
		enum filled filled;

		if (unlikely(l->n + i >= RING_MASK)) {
			*why = ENGINE_FULL;
			break;
		}
		if (ops[i].session != last) {
			last = ops[i].session;
			e = entry_find(ew, last);
			if (e == NULL || e->device != l->device->index)
				break;
			rte_prefetch0(e->session);
		}
		filled = slot_fill(ew, l, at, &ops[i], pkts[i], e, encrypt);
		if (unlikely(filled == FILLED_NOT)) {
			*why = ENGINE_FULL;
			break;
		}
		if (likely(filled == FILLED)) {
			batch[n_batch++] = &l->slots[at].op;
		} else {
			l->slots[at].op.status = RTE_CRYPTO_OP_STATUS_INVALID_ARGS;
			l->marks[at] |= MARK_BACK;
		}
	}
	in = lane_enqueue(ew, l, batch, i, n_batch);
	if (unlikely(in < i))
		*why = ENGINE_FULL;
	return in;
}

/* Software must not do it: the packet would overtake those of its SA that are in a device. */
static bool
copy_comes_back(struct engine_worker *ew)
{
	for (uint32_t polls = 0; polls < BOUNCE_POLLS && ew->free_bounce == NULL; polls++)
		for (uint16_t i = 0; i < ew->n_lanes; i++) {
			struct lane *l = &ew->lanes[i];

			if (l->n != 0 && device_state(l->device) == DEVICE_UP)
				lane_dequeue(ew, l);
		}
	return ew->free_bounce != NULL;
}

uint16_t
lanes_submit(struct engine_worker *ew, const struct crypto_op *ops, struct rte_mbuf *const *pkts,
	     uint16_t n, bool encrypt, uint64_t now, enum engine_refusal *why)
{
	uint16_t done = 0;

	*why = ENGINE_TAKEN;
	while (done < n && *why == ENGINE_TAKEN) {
		uint16_t max = RTE_MIN((uint16_t)(n - done), (uint16_t)CRYPTO_BURST_MAX);
		const struct entry *e = entry_find(ew, ops[done].session);
		struct lane *l;

		if (unlikely(e == NULL)) {
			*why = ENGINE_DOWN;
			break;
		}
		l = &ew->lanes[e->device];
		if (unlikely(device_state(l->device) != DEVICE_UP)) {
			*why = ENGINE_DOWN;
			break;
		}
		done += lane_submit(ew, l, ops + done, pkts + done, max, encrypt, why);
		if (unlikely(*why == ENGINE_FULL && ew->free_bounce == NULL) && copy_comes_back(ew))
			*why = ENGINE_TAKEN;
	}
	return done;
}
