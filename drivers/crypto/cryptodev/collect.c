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
uint16_t
lane_dequeue(struct engine_worker *ew, struct lane *l, uint16_t max)
{
	struct rte_crypto_op *batch[CRYPTO_BURST_MAX];
	uint16_t n = rte_cryptodev_dequeue_burst(l->device->id, l->queue, batch,
						 RTE_MIN(max, (uint16_t)CRYPTO_BURST_MAX));

	for (uint16_t i = 0; i < n; i++) {
		uintptr_t off = (uintptr_t)batch[i] - (uintptr_t)l->slots;
		uint32_t at = (uint32_t)(off / sizeof(struct slot));

		if (likely(off < RING_SIZE * sizeof(struct slot)) &&
		    likely(((at - l->head) & RING_MASK) < l->n) &&
		    likely((l->marks[at] & MARK_BACK) == 0))
			slot_back(ew, l, at);
	}
	if (n == 0)
		cell_add(&l->idle_polls, 1);
	else if (l->idle_polls != 0)
		__atomic_store_n(&l->idle_polls, 0, __ATOMIC_RELAXED);
	return n;
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
	if (n != 0) {
		l->head = (l->head + n) & RING_MASK;
		__atomic_store_n(&l->n, l->n - n, __ATOMIC_RELAXED);
		/* Control frees sessions by this: the device is done with them. */
		__atomic_store_n(&l->returned, l->returned + n, __ATOMIC_RELEASE);
	}
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

	if (unlikely(state != l->seen))
		__atomic_store_n(&l->seen, state, __ATOMIC_RELEASE);
	if (l->n == 0 || unlikely(state == DEVICE_SILENT || state == DEVICE_TRIED))
		return 0;
	if (likely(state == DEVICE_UP))
		lane_dequeue(ew, l, max);
	return lane_give(ew, l, pkts, verdicts, max, state == DEVICE_STOPPED);
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
