/* A receiver of IP-TFS without SAs: payloads in, inner packets out. For unit tests and fuzzers;
 * what fails here ends the program.
 */
#ifndef TESTS_AGGFRAG_IN_RIG_H
#define TESTS_AGGFRAG_IN_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_mempool.h>

#include "aggfrag/split.h"
#include "worker/worker.h"

#define IN_RIG_OUT 4096
#define IN_RIG_SA  5

struct in_rig {
	struct worker *w;
	struct rte_mempool *pool;
	uint32_t buffers; /* of the pool, that are there when nothing is held */
	struct aggfrag_receiver *r;
	struct aggfrag_in *in; /* n_streams of them */
	uint16_t n_streams;
	uint64_t fed;
	uint32_t n; /* what came out, in order, the caller's */
	struct rte_mbuf *out[IN_RIG_OUT];
};

static inline void
in_rig_must(bool held, const char *what)
{
	if (held)
		return;
	fprintf(stderr, "aggfrag rig: %s\n", what);
	abort();
}

static inline void
in_rig_up(struct in_rig *rig, struct rte_mempool *pool, const struct aggfrag_params *params,
	  uint16_t n_streams)
{
	struct err err = { "" };

	*rig = (struct in_rig) { .pool = pool, .n_streams = n_streams };
	rig->buffers = rte_mempool_avail_count(pool);
	rig->w = rte_zmalloc("worker", sizeof(*rig->w), RTE_CACHE_LINE_SIZE);
	in_rig_must(rig->w != NULL, "no memory");
	rig->w->sparse = rte_zmalloc("drops", sizeof(*rig->w->sparse), RTE_CACHE_LINE_SIZE);
	in_rig_must(rig->w->sparse != NULL, "no memory");
	rig->w->n_workers = 1;
	rig->w->socket = SOCKET_ID_ANY;
	rig->w->pool = pool;
	for (int i = 0; i < DROP_MAX; i++)
		rig->w->audit_at[i] = UINT64_MAX;
	in_rig_must(aggfrag_receiver_create(rig->w, &rig->r, &err) == 0, err.text);
	in_rig_must(aggfrag_in_create(params, n_streams, &rig->in, &err) == 0, err.text);
	for (uint16_t i = 0; i < n_streams; i++)
		rig->in[i].sa = IN_RIG_SA;
}

/* The payload of a number, for one of the streams; the rig's then. False: it came late. */
static inline bool
in_rig_give_to(struct in_rig *rig, uint16_t stream, uint64_t seq, struct rte_mbuf *m)
{
	*pkt_of(m) = (struct pkt) { .seq = seq, .sa = IN_RIG_SA, .lane = stream };
	rig->fed++;
	if (aggfrag_in_put(rig->r, &rig->in[stream], m))
		return true;
	drop(rig->w, m, DROP_AGGFRAG_LATE);
	return false;
}

static inline bool
in_rig_give(struct in_rig *rig, uint64_t seq, struct rte_mbuf *m)
{
	return in_rig_give_to(rig, 0, seq, m);
}

static inline void
in_rig_collect(struct in_rig *rig)
{
	struct aggfrag_receiver *r = rig->r;

	for (; r->from < r->to; r->from++) {
		in_rig_must(rig->n < IN_RIG_OUT, "too many packets");
		rte_mbuf_sanity_check(r->given[r->from], 1);
		rig->out[rig->n++] = r->given[r->from];
	}
	r->from = r->to = 0;
}

/* Takes apart all that is ready, as iptfs_deliver does. */
static inline void
in_rig_run(struct in_rig *rig)
{
	struct aggfrag_receiver *r = rig->r;
	struct rte_mbuf *m;

	for (uint16_t i = 0; i < r->n_early; i++) {
		struct aggfrag_in *in = &rig->in[r->early[i].lane];

		m = aggfrag_in_waiting(in, r->early[i].seq);
		if (m != NULL)
			aggfrag_in_early(r, in, m);
		in_rig_collect(rig);
	}
	r->n_early = 0;
	while ((m = aggfrag_ready_take(r)) != NULL) {
		struct aggfrag_in *in = &rig->in[pkt_of(m)->lane];
		enum drop_reason why;

		aggfrag_in_step(r, in, pkt_of(m)->seq);
		r->like = (struct pkt) { .sa = IN_RIG_SA };
		why = aggfrag_in_open(r, in, m);
		if (why != DROP_NONE)
			drop(rig->w, m, why);
		in_rig_collect(rig);
		while (r->open.m != NULL) {
			aggfrag_in_more(r);
			in_rig_collect(rig);
		}
	}
}

/* Time goes by. */
static inline void
in_rig_wait(struct in_rig *rig, uint64_t ns)
{
	rig->w->now += ns;
	aggfrag_expire(rig->r, rig->w->now);
	in_rig_run(rig);
}

static inline uint64_t
in_rig_dropped(const struct in_rig *rig)
{
	uint64_t n = 0;

	for (int i = 0; i < DROP_MAX; i++)
		n += rig->w->drops[i];
	return n;
}

/* Every payload and every packet is somewhere, or has a name. */
static inline void
in_rig_check(const struct in_rig *rig, uint64_t taken)
{
	const struct worker *w = rig->w;
	uint64_t all = taken + w->consumed[CONSUMED_ALL_PAD] + in_rig_dropped(rig) + w->merged +
		       rig->r->payloads;

	in_rig_must(rig->fed + w->split == all, "conservation");
}

/* Ends all; what came out is freed. */
static inline void
in_rig_down(struct in_rig *rig)
{
	for (uint16_t i = 0; i < rig->n_streams; i++)
		aggfrag_in_drop(rig->r, &rig->in[i], DROP_AGGFRAG_ENDED);
	in_rig_must(rig->r->payloads == 0 && rig->r->segments == 0, "nothing is held");
	in_rig_must(TAILQ_EMPTY(&rig->r->by_age), "nobody waits");
	in_rig_check(rig, rig->n);
	rte_pktmbuf_free_bulk(rig->out, rig->n);
	in_rig_must(rte_mempool_avail_count(rig->pool) == rig->buffers, "no buffer is lost");
	aggfrag_in_free(rig->in);
	aggfrag_receiver_free(rig->r);
	rte_free(rig->w->sparse);
	rte_free(rig->w);
}

#endif
