#include "hold/hold.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "spd/spd.h"

#define SOURCE_AT 1 /* behind the mailbox, in front of all that give packets */

int
hold_init(struct worker *w, struct err *err)
{
	w->hold = rte_zmalloc_socket("hold", sizeof(*w->hold), RTE_CACHE_LINE_SIZE, w->socket);
	if (w->hold == NULL)
		return err_set(err, -ENOMEM, "no memory for the packets that worker %u holds",
			       w->index);
	w->hold->rate = 1;
	return 0;
}

void
hold_fini(struct worker *w)
{
	rte_free(w->hold);
	w->hold = NULL;
}

uint32_t
hold_held(const struct worker *w)
{
	return w->hold == NULL ? 0 : __atomic_load_n(&w->hold->n, __ATOMIC_RELAXED);
}

static void
n_set(struct hold *h, uint32_t n)
{
	__atomic_store_n(&h->n, n, __ATOMIC_RELAXED);
}

void
hold_drop(struct worker *w, enum drop_reason why)
{
	struct hold *h = w->hold;

	for (uint32_t i = 0; i < h->n; i++)
		drop(w, h->pkts[i], why);
	n_set(h, 0);
}

static bool
has_source(const struct worker *w)
{
	return w->n_sources > SOURCE_AT && w->sources[SOURCE_AT].poll == hold_poll;
}

/* By mail, which runs in the source before this place: the worker's walk over the others goes on
 * behind it.
 */
static void
source_add(struct worker *w)
{
	struct source *at = &w->sources[SOURCE_AT];

	assert(w->n_sources >= SOURCE_AT && w->n_sources < SOURCES_MAX);
	memmove(at + 1, at, (w->n_sources - SOURCE_AT) * sizeof(*at));
	*at = (struct source) { .name = "hold", .poll = hold_poll, .first = STAGE_SPD_MATCH };
	w->n_sources++;
}

static void
source_remove(struct worker *w)
{
	struct source *at = &w->sources[SOURCE_AT];

	w->n_sources--;
	memmove(at, at + 1, (w->n_sources - SOURCE_AT) * sizeof(*at));
}

void
hold_set(struct worker *w, uint32_t max, uint32_t rate)
{
	struct hold *h = w->hold;

	h->max = RTE_MIN(max, (uint32_t)HOLD_MAX);
	h->rate = rate;
	if (h->max > 0 && !has_source(w)) {
		source_add(w);
	} else if (h->max == 0 && has_source(w)) {
		hold_drop(w, DROP_NO_OUTBOUND_SA);
		source_remove(w);
	}
}

static uint32_t
held_of(const struct hold *h, uint32_t policy)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < h->n; i++)
		n += h->policies[i] == policy;
	return n;
}

void
hold_take(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	struct hold *h = w->hold;
	bool held = h != NULL && h->n < h->max && held_of(h, p->policy) < HOLD_PER_POLICY;

	if (h != NULL)
		acquire_raise(w, m, held);
	if (!held) {
		drop(w, m, DROP_NO_OUTBOUND_SA);
		return;
	}
	/* One that waited before goes on waiting, no longer than it was to. */
	if (p->seq == 0)
		p->seq = w->now + HOLD_NS;
	if (h->n == 0 || p->seq < h->ends)
		h->ends = p->seq;
	h->policies[h->n] = p->policy;
	h->pkts[h->n] = m;
	n_set(h, h->n + 1);
}

/* Since the last look: may any of them go on? all: policies changed, so the indices mean nothing.
 */
static bool
look(struct hold *h, const struct spd *spd, bool *all)
{
	uint32_t generation = __atomic_load_n(&spd->generation, __ATOMIC_ACQUIRE);
	uint32_t pointed = __atomic_load_n(&spd->pointed, __ATOMIC_ACQUIRE);
	bool changed = generation != h->generation || pointed != h->pointed;

	*all = generation != h->generation;
	h->generation = generation;
	h->pointed = pointed;
	return changed;
}

/* Takes out those whose policy has an SA; they keep their order. */
static uint32_t
ready_take(struct hold *h, const struct spd *spd, bool all, struct rte_mbuf **ready)
{
	uint32_t kept = 0, n = 0;

	for (uint32_t i = 0; i < h->n; i++) {
		if (all || spd_sa_index(spd_out_sa(spd, h->policies[i])) != SA_NONE) {
			ready[n++] = h->pkts[i];
			continue;
		}
		h->policies[kept] = h->policies[i];
		h->pkts[kept++] = h->pkts[i];
	}
	n_set(h, kept);
	return n;
}

/* In front of all that waits there. */
static void
push_first(struct worker *w, struct rte_mbuf **pkts, uint32_t n)
{
	struct pending *q = &w->pending[STAGE_SPD_MATCH];

	if (n == 0)
		return;
	memmove(q->pkts + n, q->pkts, q->n * sizeof(q->pkts[0]));
	memcpy(q->pkts, pkts, n * sizeof(pkts[0]));
	q->n += n;
	w->pushed |= UINT64_C(1) << STAGE_SPD_MATCH;
}

bool
hold_release_before(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct spd *spd = w->view->spd;
	struct rte_mbuf *ready[HOLD_MAX];
	struct hold *h = w->hold;
	uint32_t n_ready;
	bool all;

	/* Too many wait there already: rather late than lost. */
	if (h->n + n + w->pending[STAGE_SPD_MATCH].n > PENDING_MAX || !look(h, spd, &all))
		return false;
	n_ready = ready_take(h, spd, all, ready);
	if (n_ready == 0)
		return false;
	push_first(w, pkts, n);
	push_first(w, ready, n_ready);
	return true;
}

/* Those whose time is over. */
static void
ends_check(struct worker *w, struct hold *h)
{
	uint32_t kept = 0;

	if (w->now < h->ends)
		return;
	h->ends = UINT64_MAX;
	for (uint32_t i = 0; i < h->n; i++) {
		uint64_t ends = pkt_of(h->pkts[i])->seq;

		if (ends <= w->now) {
			drop(w, h->pkts[i], DROP_NO_OUTBOUND_SA);
			continue;
		}
		h->ends = RTE_MIN(h->ends, ends);
		h->policies[kept] = h->policies[i];
		h->pkts[kept++] = h->pkts[i];
	}
	n_set(h, kept);
}

uint16_t
hold_poll(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct hold *h = w->hold;

	if (likely(h->n == 0))
		return 0;
	hold_release_before(w, NULL, 0);
	ends_check(w, h);
	return 0;
}
