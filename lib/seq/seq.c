#include "seq/seq.h"

#define ASK_AGAIN_AFTER 64 /* numbers */

static enum drop_reason
refuse(struct lane *l, uint8_t why, bool bytes)
{
	switch (why) {
	case LANE_END_SPACE:
		return DROP_SEQ_EXHAUSTED;
	case LANE_END_LIMIT:
		return DROP_EXPIRED;
	case LANE_END_CREDIT:
		__atomic_store_n(&l->refused[bytes], (uint16_t)(l->refused[bytes] + 1),
				 __ATOMIC_RELAXED);
		return DROP_SEQ_WAIT;
	default:
		return DROP_SEQ_WAIT;
	}
}

enum drop_reason
lane_stopped(struct lane *l, uint32_t bytes, bool *ask)
{
	uint64_t used = lane_used(l), end = cell_get(&l->end);
	uint8_t why = __atomic_load_n(&l->why, __ATOMIC_RELAXED);
	uint64_t before = UINT64_C(1) << __atomic_load_n(&l->ask_shift, __ATOMIC_RELAXED);
	uint64_t ask_at = end > before ? end - before : 0;

	*ask = false;
	l->mark = end;
	if (why == LANE_END_RESERVE && l->asked != end) {
		*ask = used >= ask_at;
		if (*ask)
			l->asked = end;
		else
			l->mark = ask_at;
	}
	if (used >= end)
		return refuse(l, why, false);
	if (l->bytes + bytes <= cell_get(&l->bytes_end))
		return DROP_NONE;
	return refuse(l, __atomic_load_n(&l->bytes_why, __ATOMIC_RELAXED), true);
}

void
lane_ask_again(struct lane *l)
{
	l->asked = UINT64_MAX;
	l->mark = RTE_MIN(l->mark, lane_used(l) + ASK_AGAIN_AFTER);
}

void
lane_raise(struct lane *l, uint64_t used)
{
	if (lane_used(l) < used)
		__atomic_store_n(&l->next, used + 1, __ATOMIC_RELAXED);
}
