#include "cryptodev.h"

#include <rte_prefetch.h>

static inline enum engine_verdict
verdict_of(const struct slot *s)
{
	if (likely(s->op.status == RTE_CRYPTO_OP_STATUS_SUCCESS))
		return ENGINE_DONE;
	return s->op.status == RTE_CRYPTO_OP_STATUS_AUTH_FAILED ? ENGINE_BAD_ICV : ENGINE_FAILED;
}

static inline void
slot_back(struct engine_worker *ew, struct lane *l, uint32_t at)
{
	const struct slot *s = &l->slots[at];

	if (unlikely((l->marks[at] & MARK_BOUNCED) != 0)) {
		bounce_give(ew, (struct bounce *)s->sym.m_src, verdict_of(s) == ENGINE_DONE);
		l->marks[at] &= (uint8_t)~MARK_BOUNCED;
	}
	l->marks[at] |= MARK_BACK;
}

/* What it gives that it does not have is not believed: an operation of before a loss, or one
 * twice. */
static void
slots_back(struct engine_worker *ew, struct lane *l, struct rte_crypto_op *const *batch, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		uintptr_t off = (uintptr_t)batch[i] - (uintptr_t)l->slots;
		uint32_t at = (uint32_t)(off / sizeof(struct slot));

		if (likely(off < RING_SIZE * sizeof(struct slot)) &&
		    likely(((at - l->head) & RING_MASK) < l->n) &&
		    likely((l->marks[at] & MARK_BACK) == 0))
			slot_back(ew, l, at);
	}
}

static inline uint16_t
dequeue(struct lane *l, struct rte_crypto_op **batch, uint16_t max)
{
	uint16_t n = rte_cryptodev_dequeue_burst(l->device->id, l->queue, batch,
						 RTE_MIN(max, (uint16_t)CRYPTO_BURST_MAX));

	if (n == 0)
		cell_add(&l->idle_polls, 1);
	else if (l->idle_polls != 0)
		__atomic_store_n(&l->idle_polls, 0, __ATOMIC_RELAXED);
	return n;
}

void
lane_dequeue(struct engine_worker *ew, struct lane *l)
{
	struct rte_crypto_op *batch[CRYPTO_BURST_MAX];

	slots_back(ew, l, batch, dequeue(l, batch, CRYPTO_BURST_MAX));
}

/* n > 0, the oldest, are the caller's. */
static inline void
lane_given(struct lane *l, uint16_t n)
{
	l->head = (l->head + n) & RING_MASK;
	__atomic_store_n(&l->n, l->n - n, __ATOMIC_RELAXED);
	/* Control frees sessions by this: the device is done with them. */
	__atomic_store_n(&l->returned, l->returned + n, __ATOMIC_RELEASE);
}

/* Most devices give back in order, and most packets need nothing more than their verdict: those,
 * from the oldest on, with no mark of theirs written and read again. */
static inline uint16_t
lane_give_straight(struct lane *l, struct rte_crypto_op *const *batch, uint16_t n,
		   struct rte_mbuf **pkts, enum engine_verdict *verdicts)
{
	uint16_t max = (uint16_t)RTE_MIN((uint32_t)n, l->n), i;

	for (i = 0; i < max; i++) {
		uint32_t at = (l->head + i) & RING_MASK;
		const struct slot *s = &l->slots[at];

		if (unlikely(batch[i] != &s->op ||
			     (l->marks[at] & (MARK_BACK | MARK_BOUNCED)) != 0))
			break;
		verdicts[i] = verdict_of(s);
		pkts[i] = s->pkt;
	}
	if (i != 0)
		lane_given(l, i);
	return i;
}

/* From the oldest on as far as they are back, or all of them: lost. */
static uint16_t
lane_give(struct engine_worker *ew, struct lane *l, struct rte_mbuf **pkts,
	  enum engine_verdict *verdicts, uint16_t max, bool lost)
{
	uint16_t n = 0;

	while (n < max && n < l->n) {
		uint32_t at = (l->head + n) & RING_MASK;
		const struct slot *s = &l->slots[at];
		uint8_t marks = l->marks[at];

		if (unlikely((marks & MARK_BACK) == 0 && !lost))
			break;
		verdicts[n] = (marks & MARK_BACK) != 0 ? verdict_of(s) : ENGINE_LOST;
		pkts[n] = s->pkt;
		if (unlikely((marks & MARK_BOUNCED) != 0))
			bounce_give(ew, (struct bounce *)s->sym.m_src, false);
		n++;
	}
	if (n != 0)
		lane_given(l, n);
	return n;
}

/* Says by which state the worker goes: when control has read SILENT here the worker has left its
 * last call of the device, and makes no other.
 */
static uint16_t
lane_collect(struct engine_worker *ew, struct lane *l, struct rte_mbuf **pkts,
	     enum engine_verdict *verdicts, uint16_t max)
{
	enum device_state state = device_state(l->device);
	struct rte_crypto_op *batch[CRYPTO_BURST_MAX];
	uint16_t back, n = 0;

	if (unlikely(state != l->seen))
		__atomic_store_n(&l->seen, state, __ATOMIC_RELEASE);
	if (l->n == 0 || unlikely(state == DEVICE_SILENT || state == DEVICE_TRIED))
		return 0;
	if (likely(state == DEVICE_UP)) {
		back = dequeue(l, batch, max);
		n = lane_give_straight(l, batch, back, pkts, verdicts);
		slots_back(ew, l, batch + n, back - n);
	}
	return n + lane_give(ew, l, pkts + n, verdicts + n, max - n, state == DEVICE_STOPPED);
}

uint16_t
lanes_collect(struct engine_worker *ew, struct rte_mbuf **pkts, enum engine_verdict *verdicts,
	      uint16_t max, uint64_t now)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < ew->n_lanes; i++) {
		uint16_t at = ew->turn + i;

		if (at >= ew->n_lanes)
			at -= ew->n_lanes;
		n += lane_collect(ew, &ew->lanes[at], pkts + n, verdicts + n, (uint16_t)(max - n));
	}
	if (++ew->turn >= ew->n_lanes)
		ew->turn = 0;
	return n;
}
