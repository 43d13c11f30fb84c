/* Payloads in their order: the window of a stream (RFC 9347 section 2.2.3), and what a worker's
 * streams hold.
 */
#include <errno.h>

#include <rte_malloc.h>
#include <rte_mempool.h>

#include "aggfrag/inner.h"
#include "wire/subspace.h"
#include "worker/worker.h"

#define POOL_PART 4 /* of a worker's packet buffers: what its streams may hold */

int
aggfrag_receiver_create(struct worker *w, struct aggfrag_receiver **out, struct err *err)
{
	struct aggfrag_receiver *r =
		rte_zmalloc_socket("aggfrag", sizeof(*r), RTE_CACHE_LINE_SIZE, w->socket);

	*out = r;
	if (r == NULL)
		return err_set(err, -ENOMEM, "no memory for IP-TFS of worker %u", w->index);
	r->w = w;
	wheel_init(&r->wheel);
	TAILQ_INIT(&r->by_age);
	return 0;
}

void
aggfrag_receiver_free(struct aggfrag_receiver *r)
{
	rte_free(r);
}

void
aggfrag_in_retune(struct aggfrag_in *in, const struct aggfrag_params *params, uint32_t sa,
		  uint32_t generation)
{
	in->params = params;
	in->generation = generation;
	/* Control looks whether it is done. */
	__atomic_store_n(&in->sa, sa, __ATOMIC_RELEASE);
}

void
stream_holds(struct aggfrag_receiver *r, struct aggfrag_in *in, int32_t n)
{
	bool held = in->segments != 0;

	in->segments += (uint32_t)n;
	r->segments += (uint32_t)n;
	if (held != (in->segments != 0)) {
		if (held)
			TAILQ_REMOVE(&r->by_age, in, by_age);
		else
			TAILQ_INSERT_TAIL(&r->by_age, in, by_age);
	}
}

/* The timer runs on when what it was set for has come: it is cheaper to find that out when its time
 * is over than to stop it with every payload.
 */
void
stream_waits(struct aggfrag_receiver *r, struct aggfrag_in *in)
{
	if (TAILQ_NEXT(in, by_age) != NULL) {
		TAILQ_REMOVE(&r->by_age, in, by_age);
		TAILQ_INSERT_TAIL(&r->by_age, in, by_age);
	}
	if (!wheel_is_set(&in->timer))
		wheel_set(&r->wheel, &in->timer, worker_awake(r->w) + in->params->drop_time);
}

void
streams_bound(struct aggfrag_receiver *r)
{
	while (unlikely(r->segments > r->segments_max)) {
		struct aggfrag_in *oldest = TAILQ_FIRST(&r->by_age);

		partial_end(r, oldest, DROP_AGGFRAG_QUEUE);
		aggfrag_in_flush(r, oldest);
	}
}

/* The pool is known when packets come. */
static void
bounds_set(struct aggfrag_receiver *r)
{
	const struct rte_mempool *pool = r->w->pool;
	uint32_t part = pool->size / POOL_PART / RTE_MAX(r->w->n_workers, (uint16_t)1);

	r->segments_max = RTE_MAX(part, 1u);
	r->room = rte_pktmbuf_data_room_size(r->w->pool) - RTE_PKTMBUF_HEADROOM;
}

static inline void
ready_add(struct aggfrag_receiver *r, const struct aggfrag_in *in, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);

	/* It may have waited while its SA was replaced by another of the same key. */
	p->sa = in->sa;
	p->generation = in->generation;
	p->behind = NULL;
	if (r->ready.first == NULL)
		r->ready.first = m;
	else
		pkt_of(r->ready.last)->behind = m;
	r->ready.last = m;
}

struct rte_mbuf *
aggfrag_ready_take(struct aggfrag_receiver *r)
{
	struct rte_mbuf *m = r->ready.first;

	if (m != NULL) {
		r->ready.first = pkt_of(m)->behind;
		r->payloads--;
	}
	return m;
}

static inline bool
is_used(const struct aggfrag_in *in, uint64_t seq)
{
	uint32_t i = seq & in->mask;

	return (in->used[i / 64] >> i % 64 & 1) != 0;
}

struct rte_mbuf *
aggfrag_in_waiting(const struct aggfrag_in *in, uint64_t seq)
{
	return seq > in->want && seq - in->want <= in->mask && is_used(in, seq) ?
		       in->slots[seq & in->mask].m :
		       NULL;
}

/* The first number from `from` on, which is not below `want`, whose payload waits; UINT64_MAX:
 * there is none.
 */
static uint64_t
waiting_from(const struct aggfrag_in *in, uint64_t from)
{
	uint32_t i = from & in->mask, words = (in->mask + 1) / 64;
	uint64_t word = in->used[i / 64] >> i % 64 << i % 64, found;

	for (uint32_t k = 0; k < words; k++) {
		if (word != 0)
			break;
		i = (i / 64 + 1) % words * 64;
		word = in->used[i / 64];
	}
	if (word == 0)
		return UINT64_MAX;
	i = i / 64 * 64 + (uint32_t)__builtin_ctzll(word);
	found = from + ((i - from) & in->mask);
	/* Round the corner are those before it. */
	return found - in->want <= in->mask ? found : UINT64_MAX;
}

static void
slot_take(struct aggfrag_receiver *r, struct aggfrag_in *in)
{
	uint32_t i = in->want & in->mask;
	struct rte_mbuf *m = in->slots[i].m;

	in->used[i / 64] &= ~(UINT64_C(1) << i % 64);
	in->n_slots--;
	in->want++;
	stream_holds(r, in, -(int32_t)m->nb_segs);
	ready_add(r, in, m);
}

/* What is in order now. */
static void
follow(struct aggfrag_receiver *r, struct aggfrag_in *in)
{
	while (in->n_slots > 0 && is_used(in, in->want))
		slot_take(r, in);
}

/* What is missing below a number is given up, and if nothing waits it costs the same however far
 * that is.
 */
static void
give_up(struct aggfrag_receiver *r, struct aggfrag_in *in, uint64_t below)
{
	while (in->n_slots > 0 && in->want < below) {
		uint64_t first = waiting_from(in, in->want);

		if (first >= below)
			break;
		in->want = first;
		follow(r, in);
	}
	in->want = RTE_MAX(in->want, below);
	follow(r, in);
}

void
aggfrag_in_flush(struct aggfrag_receiver *r, struct aggfrag_in *in)
{
	while (in->n_slots > 0) {
		in->want = waiting_from(in, in->want);
		follow(r, in);
	}
}

static void
early_note(struct aggfrag_receiver *r, const struct aggfrag_in *in, uint64_t seq)
{
	/* Where there is no room they are given on with the others. */
	if (r->n_early < AGGFRAG_EARLY_MAX)
		r->early[r->n_early++] = (struct aggfrag_early) {
			.seq = seq, .sa = in->sa, .generation = in->generation, .lane = in->lane
		};
}

static void
slot_put(struct aggfrag_receiver *r, struct aggfrag_in *in, struct rte_mbuf *m, uint64_t seq)
{
	uint64_t behind = waiting_from(in, seq);
	uint32_t i = seq & in->mask;

	/* What is missing before it is missing since one behind it came. */
	in->slots[i] = (struct aggfrag_slot) {
		.m = m,
		.at = behind != UINT64_MAX ? in->slots[behind & in->mask].at : worker_awake(r->w),
	};
	in->used[i / 64] |= UINT64_C(1) << i % 64;
	in->n_slots++;
	r->payloads++;
	stream_holds(r, in, m->nb_segs);
	stream_waits(r, in);
	aggfrag_in_count(in, AGGFRAG_RX_REORDERED_PKTS, 1);
	if (in->params->send_immediately)
		early_note(r, in, seq);
	streams_bound(r);
}

static uint32_t
window_of(const struct aggfrag_in *in)
{
	return in->ended ? 0 : RTE_MIN(in->params->reorder_window, in->mask);
}

/* A sender's first number is 1, of each lane: of a fresh SA what comes first may have overtaken it.
 */
static __rte_noinline void
stream_begin(struct aggfrag_receiver *r, struct aggfrag_in *in, uint64_t seq)
{
	uint64_t before = (seq & WIRE_SUBSPACE_NUMBER) - 1;

	if (r->room == 0)
		bounds_set(r);
	in->begun = true;
	in->want = in->next = before <= window_of(in) ? seq - before : seq;
}

static __rte_noinline bool
put_ahead(struct aggfrag_receiver *r, struct aggfrag_in *in, struct rte_mbuf *m, uint64_t seq)
{
	uint32_t window = window_of(in);

	if (seq - in->want > window)
		give_up(r, in, seq - window);
	if (seq == in->want) {
		in->want++;
		r->payloads++;
		ready_add(r, in, m);
		follow(r, in);
		return true;
	}
	if (seq < in->want || is_used(in, seq))
		return false;
	slot_put(r, in, m, seq);
	return true;
}

bool
aggfrag_in_put(struct aggfrag_receiver *r, struct aggfrag_in *in, struct rte_mbuf *m)
{
	uint64_t seq = pkt_of(m)->seq;

	if (unlikely(!in->begun))
		stream_begin(r, in, seq);
	if (unlikely(seq != in->want))
		return seq > in->want && put_ahead(r, in, m, seq);
	in->want++;
	r->payloads++;
	ready_add(r, in, m);
	if (unlikely(in->n_slots > 0))
		follow(r, in);
	return true;
}

/* The time of the first hole, or else of the partial packet; UINT64_MAX: nothing is waited for. */
static uint64_t
waits_until(const struct aggfrag_in *in)
{
	uint64_t since = in->partial.at;

	if (in->n_slots > 0)
		since = in->slots[waiting_from(in, in->want) & in->mask].at;
	else if (in->partial.m == NULL)
		return UINT64_MAX;
	return since + in->params->drop_time;
}

static void
expire(struct aggfrag_receiver *r, struct aggfrag_in *in, uint64_t now)
{
	uint64_t until = waits_until(in);
	bool gave = false;

	for (; in->n_slots > 0 && until <= now; until = waits_until(in)) {
		aggfrag_in_count(in, AGGFRAG_RX_REORDER_TIMEOUTS, 1);
		in->want = waiting_from(in, in->want);
		follow(r, in);
		gave = true;
	}
	/* What has just become ready may be its rest. */
	if (!gave && until <= now) {
		partial_end(r, in, DROP_AGGFRAG_TIMEOUT);
		return;
	}
	if (until != UINT64_MAX)
		wheel_set(&r->wheel, &in->timer, RTE_MAX(until, now + 1));
}

void
aggfrag_expire(struct aggfrag_receiver *r, uint64_t now)
{
	struct wheel_timer *t;

	while ((t = wheel_take(&r->wheel, now)) != NULL)
		expire(r, (struct aggfrag_in *)t, now);
}

void
aggfrag_in_drop(struct aggfrag_receiver *r, struct aggfrag_in *in, enum drop_reason why)
{
	for (uint32_t i = 0; in->n_slots > 0 && i <= in->mask; i++) {
		struct rte_mbuf *m = in->slots[i].m;

		if ((in->used[i / 64] >> i % 64 & 1) == 0)
			continue;
		in->used[i / 64] &= ~(UINT64_C(1) << i % 64);
		in->n_slots--;
		r->payloads--;
		stream_holds(r, in, -(int32_t)m->nb_segs);
		drop(r->w, m, why);
	}
	partial_end(r, in, why);
	wheel_cancel(&r->wheel, &in->timer);
}
