#include "frag/seen.h"

#include <string.h>

#include "worker/pkt.h"
#include "worker/worker.h"

/* Cells are written by one worker and read by control at any time: a reader that sees the SA
 * change, or a new epoch, has the one of before or of after in the next call.
 */
static struct frag_seen *
cell_of(const struct worker *w, uint32_t sa)
{
	return &w->frag->seen[sa % FRAG_SEEN_CELLS];
}

static void
cell_begin(struct frag_seen *c, const struct pkt *p, uint32_t epoch)
{
	__atomic_store_n(&c->sa, SA_NONE, __ATOMIC_RELEASE);
	*c = (struct frag_seen) { .sa = SA_NONE, .generation = p->generation, .epoch = epoch };
	__atomic_store_n(&c->sa, p->sa, __ATOMIC_RELEASE);
}

static void
max16_set(uint16_t *cell, uint32_t value)
{
	if (value > *cell)
		__atomic_store_n(cell, (uint16_t)RTE_MIN(value, (uint32_t)UINT16_MAX),
				 __ATOMIC_RELAXED);
}

static void
max32_set(uint32_t *cell, uint32_t value)
{
	if (value > *cell)
		__atomic_store_n(cell, value, __ATOMIC_RELAXED);
}

static void
reassembled_note(struct frag_seen *c, const struct rte_mbuf *m)
{
	max16_set(&c->frag_max, pkt_of(m)->mtu);
	max32_set(&c->reassembled_max, m->pkt_len);
	__atomic_store_n(&c->frag_seen, c->frag_seen + 1, __ATOMIC_RELEASE);
}

static void
toobig_note(struct frag_seen *c, const struct rte_mbuf *m)
{
	max32_set(&c->toobig_max, m->pkt_len);
	__atomic_store_n(&c->toobig, c->toobig + 1, __ATOMIC_RELEASE);
}

uint16_t
frag_seen_note(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t epoch = __atomic_load_n(&w->frag->shared->epoch, __ATOMIC_RELAXED);
	uint32_t most = w->frag->emtu_r != 0 ? w->frag->emtu_r : UINT32_MAX;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct pkt *p = pkt_of(m);
		struct frag_seen *c = cell_of(w, p->sa);
		bool own = c->sa == p->sa && c->generation == p->generation && c->epoch == epoch;
		bool whole = (p->marks & PKT_REASM) == 0, toobig = m->pkt_len > most;

		if (!own && (!whole || toobig))
			cell_begin(c, p, epoch);
		if (!whole)
			reassembled_note(c, m);
		else if (own)
			max16_set(&c->whole_max, m->pkt_len);
		if (toobig) {
			toobig_note(c, m);
			drop(w, m, DROP_OUTER_TOOBIG);
			continue;
		}
		pkts[kept++] = m;
	}
	return kept;
}

/* A copy of a cell that counts for this epoch. */
static bool
cell_read(const struct frag_seen *c, uint32_t epoch, struct frag_seen *out)
{
	out->sa = __atomic_load_n(&c->sa, __ATOMIC_ACQUIRE);
	out->generation = __atomic_load_n(&c->generation, __ATOMIC_RELAXED);
	out->frag_seen = __atomic_load_n(&c->frag_seen, __ATOMIC_RELAXED);
	out->frag_max = __atomic_load_n(&c->frag_max, __ATOMIC_RELAXED);
	out->whole_max = __atomic_load_n(&c->whole_max, __ATOMIC_RELAXED);
	out->reassembled_max = __atomic_load_n(&c->reassembled_max, __ATOMIC_RELAXED);
	out->toobig = __atomic_load_n(&c->toobig, __ATOMIC_RELAXED);
	out->toobig_max = __atomic_load_n(&c->toobig_max, __ATOMIC_RELAXED);
	out->epoch = __atomic_load_n(&c->epoch, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return out->sa != SA_NONE && out->epoch == epoch && (out->frag_seen | out->toobig) != 0 &&
	       out->sa == __atomic_load_n(&c->sa, __ATOMIC_RELAXED);
}

/* With lanes an SA has a cell at each of their owners. */
static uint32_t
merge(struct frag_seen *out, uint32_t n, uint32_t max, const struct frag_seen *one)
{
	for (uint32_t i = 0; i < n; i++) {
		if (out[i].sa != one->sa || out[i].generation != one->generation)
			continue;
		out[i].frag_seen += one->frag_seen;
		out[i].frag_max = RTE_MAX(out[i].frag_max, one->frag_max);
		out[i].whole_max = RTE_MAX(out[i].whole_max, one->whole_max);
		out[i].reassembled_max = RTE_MAX(out[i].reassembled_max, one->reassembled_max);
		out[i].toobig += one->toobig;
		out[i].toobig_max = RTE_MAX(out[i].toobig_max, one->toobig_max);
		return n;
	}
	if (n < max)
		out[n++] = *one;
	return n;
}

uint32_t
frag_seen_take(struct worker *const *workers, uint16_t n_workers, struct frag_seen *out,
	       uint32_t max)
{
	uint32_t n = 0, epoch;
	struct frag_seen one;

	if (n_workers == 0 || workers[0]->frag == NULL)
		return 0;
	epoch = workers[0]->frag->shared->epoch;
	for (uint16_t i = 0; i < n_workers; i++)
		for (uint32_t k = 0; k < FRAG_SEEN_CELLS; k++)
			if (cell_read(&workers[i]->frag->seen[k], epoch, &one))
				n = merge(out, n, max, &one);
	__atomic_store_n(&workers[0]->frag->shared->epoch, epoch + 1, __ATOMIC_RELAXED);
	return n;
}
