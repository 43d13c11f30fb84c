#include "frag/frag_stage.h"

#include <string.h>

#include "frag/cut.h"
#include "frag/frag.h"
#include "sa/sa.h"
#include "worker/worker.h"

/* Packets that find the stage behind this one too full for their pieces come again before those
 * that wait here. There is room: they were taken from here.
 */
static void
put_back(struct worker *w, enum stage_id stage, struct rte_mbuf **pkts, uint16_t n)
{
	struct pending *q = &w->pending[stage];

	assert(q->n + n <= PENDING_MAX);
	memmove(q->pkts + n, q->pkts, q->n * sizeof(q->pkts[0]));
	memcpy(q->pkts, pkts, n * sizeof(pkts[0]));
	q->n += n;
	w->pushed |= UINT64_C(1) << stage;
}

static void
cut_one(struct worker *w, struct rte_mbuf *m, const struct cut *c, enum stage_id next)
{
	struct rte_mbuf *pieces[CUT_PIECES_MAX];
	uint16_t n;
	enum drop_reason why = cut_up(m, c, w->pool, pieces, &n);

	if (why != DROP_NONE) {
		drop(w, m, why);
		return;
	}
	cell_add(&w->split, n - 1);
	rte_pktmbuf_free(m);
	for (uint16_t i = 0; i < n; i++)
		pipe_push(w, next, pieces[i]);
}

static bool
has_room(const struct worker *w, enum stage_id next, uint16_t n)
{
	return w->pending[next].n + n <= PENDING_MAX;
}

_Static_assert(STAGE_FRAG_INNER > STAGE_HANDOFF_OUT && STAGE_FRAG_OUTER > STAGE_NEIGH_WRITE_OUT,
	       "what waits for a lower stage runs first: so there is room in the end");

uint16_t
frag_inner(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct cut c = { .mtu = pkt_of(pkts[i])->mtu, .max = FRAG_INNER_MAX };

		if (!has_room(w, STAGE_HANDOFF_OUT, FRAG_INNER_MAX)) {
			put_back(w, STAGE_FRAG_INNER, pkts + i, n - i);
			return 0;
		}
		cut_one(w, pkts[i], &c, STAGE_HANDOFF_OUT);
	}
	return 0;
}

/* The family of what goes out: an SA's outer one, or the packet's own. */
static void
outer_cut(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct cut c = {
		.mtu = p->mtu,
		.max = CUT_PIECES_MAX,
		.v6 = ip[0] >> 4 == 6,
		.id = w->ipv6_id++,
		.ipv4_id = &w->ipv4_id,
	};

	if ((p->marks & PKT_CUT) != 0) {
		p->marks &= (uint8_t)~PKT_CUT;
		p->next_hop = __atomic_load_n(&p->hot->next_hop, __ATOMIC_RELAXED);
	}
	cut_one(w, m, &c, STAGE_NEIGH_WRITE_OUT);
}

uint16_t
frag_outer(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		if (!has_room(w, STAGE_NEIGH_WRITE_OUT, CUT_PIECES_MAX)) {
			put_back(w, STAGE_FRAG_OUTER, pkts + i, n - i);
			return 0;
		}
		outer_cut(w, pkts[i]);
	}
	return 0;
}
