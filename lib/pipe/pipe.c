#include "pipe/pipe.h"

#include <assert.h>
#include <string.h>

#include <rte_cycles.h>

#include "base/clock.h"
#include "port/port_stage.h"
#include "worker/worker.h"

#define ROUND_NS (NS_PER_SECOND / 1000) /* after which no source is asked again in a round */

_Static_assert(STAGE_MAX <= 64, "worker.pushed is a mask of 64 stages");

/* The row itself, or the first behind it in its line that is present. */
static uint8_t
present(const struct stage_row *rows, uint64_t absent, uint8_t s)
{
	while (s < STAGE_MAX && (rows[s].run == NULL || (absent >> s & 1) != 0))
		s = rows[s].name == NULL ? STAGE_MAX : rows[s].next;
	return s;
}

void
pipe_build(struct pipe *p, const struct stage_row rows[STAGE_MAX], uint64_t absent)
{
	*p = (struct pipe) { .absent = absent };
	for (uint8_t s = 0; s < STAGE_MAX; s++) {
		p->entry[s] = present(rows, absent, s);
		p->run[s] = p->entry[s] == s ? rows[s].run : NULL;
		p->next[s] = present(rows, absent, rows[s].next);
		p->name[s] = rows[s].name;
	}
}

void
pipe_add(struct pipe *p, const struct stage_row rows[STAGE_MAX], enum stage_id stage)
{
	p->absent &= ~(UINT64_C(1) << stage);
	p->run[stage] = rows[stage].run;
	p->next[stage] = present(rows, p->absent, rows[stage].next);
	/* Whoever is led there finds it whole. */
	for (uint8_t s = 0; s < STAGE_MAX; s++) {
		__atomic_store_n(&p->entry[s], present(rows, p->absent, s), __ATOMIC_RELEASE);
		__atomic_store_n(&p->next[s], present(rows, p->absent, rows[s].next),
				 __ATOMIC_RELEASE);
	}
}

static __rte_always_inline void
run_line(struct worker *w, unsigned int s, struct rte_mbuf **pkts, uint16_t n, const bool timed)
{
	const struct pipe *p = w->pipe;
	uint64_t start = timed ? rte_rdtsc() : 0;

	for (s = p->entry[s]; n > 0 && s < STAGE_MAX; s = p->next[s]) {
		cell_add(&w->stage_bursts[s], 1);
		cell_add(&w->stage_packets[s], n);
		n = p->run[s](w, pkts, n);
		if (timed) {
			uint64_t end = rte_rdtsc();

			cell_add(&w->stage_cycles[s], end - start);
			start = end;
		}
	}
	assert(n == 0);
}

static __rte_always_inline void
run(struct worker *w, unsigned int first, struct rte_mbuf **pkts, uint16_t n, const bool timed)
{
	run_line(w, first, pkts, n, timed);
	while (unlikely(w->pushed != 0)) {
		unsigned int s = __builtin_ctzll(w->pushed);
		struct pending *q = &w->pending[s];
		struct rte_mbuf *burst[BURST_MAX];
		uint16_t take = RTE_MIN(q->n, w->burst);

		/* Copied out first: what this burst pushes to its own stage goes behind the rest.
		 */
		memcpy(burst, q->pkts, take * sizeof(burst[0]));
		q->n -= take;
		if (q->n > 0)
			memmove(q->pkts, q->pkts + take, q->n * sizeof(q->pkts[0]));
		else
			w->pushed &= ~(UINT64_C(1) << s);
		run_line(w, s, burst, take, timed);
	}
}

void
pipe_run(struct worker *w, enum stage_id first, struct rte_mbuf **pkts, uint16_t n)
{
	if (unlikely(w->pipe->timed))
		run(w, first, pkts, n, true);
	else
		run(w, first, pkts, n, false);
}

/* What is due may be more than can be made, as at rates beyond the worker's: the round ends all the
 * same, for there are ports, mail and control that waits for it.
 */
static bool
lasts_long(const struct worker *w)
{
	return w->clock->kind == CLOCK_REAL && clock_now(w->clock) - w->now > ROUND_NS;
}

/* Asks a source, and runs what it gives. */
static inline uint32_t
poll_source(struct worker *w, const struct source *source, uint16_t burst)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint32_t total = 0;
	uint16_t n;

	do {
		n = source->poll(w, source->arg, pkts, burst);
		total += n;
		/* A source that pushed its packets to stages of their own gives none here. */
		if (n > 0 || w->pushed != 0)
			pipe_run(w, source->first, pkts, n);
	} while (unlikely(source->all) && n == burst && !lasts_long(w));
	return total;
}

/* A worker that keeps a rate: whatever others bring, what is due leaves after a few of them, and
 * does not wait for the end of the round.
 */
static __rte_noinline uint32_t
poll_paced(struct worker *w)
{
	struct source pacer = { .poll = NULL };
	/* A mail may also end the rate. */
	uint16_t burst = RTE_MIN(w->pace_burst, w->burst);
	uint32_t total = 0;

	/* By value: a mail may move them. */
	for (uint16_t i = 0; i < w->n_sources; i++)
		if (w->sources[i].paces)
			pacer = w->sources[i];
	for (uint16_t i = 0; i < w->n_sources; i++) {
		const struct source *source = &w->sources[i];
		uint32_t due;

		if (!source->paces)
			total += poll_source(w, source, burst);
		due = pacer.poll != NULL ? poll_source(w, &pacer, w->burst) : 0;
		if (due > 0)
			port_flush(w);
		total += due;
	}
	return total;
}

uint32_t
pipe_poll(struct worker *w)
{
	uint32_t total = 0;

	if (unlikely(w->pace_burst != 0))
		return poll_paced(w);
	for (uint16_t i = 0; i < w->n_sources; i++)
		total += poll_source(w, &w->sources[i], w->burst);
	return total;
}
