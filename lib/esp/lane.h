/* Subspaces in the stages of ESP: which lane a packet goes by, and windows that begin. */
#ifndef ESP_LANE_H
#define ESP_LANE_H

#include <stdint.h>

#include "crypto/engine.h"
#include "replay/replay.h"
#include "sa/sa.h"
#include "worker/worker.h"

/* Outbound, for who makes packets of an SA in a row and must not make one in vain: whether
 * life_count will find a number for one more of so many octets, behind n others of `sum` octets
 * that it has not seen yet. DROP_NONE; DROP_SEQ_WAIT: not now; or why never again. p says which
 * lane of which SA; its owner only.
 */
enum drop_reason lane_allows(struct worker *w, const struct pkt *p, uint32_t n, uint64_t sum,
			     uint32_t octets);

/* Of several lanes that this worker has, rel and every n_workers-th from there, the one of the
 * packet's flow or class (SA_LANE_BY_CLASS). The data begin with its IP header.
 */
uint16_t lane_among(const struct worker *w, const struct sa *sa, const struct rte_mbuf *m,
		    uint16_t rel);

/* The lane of an outbound SA with subspaces that a packet goes by: one that this worker owns, or
 * where there are fewer lanes than workers, always the same one of another. So a flow, which always
 * comes by one worker, always goes by one lane.
 */
static inline uint16_t
lane_pick(const struct worker *w, const struct sa *sa, const struct rte_mbuf *m)
{
	uint16_t rel =
		w->index >= sa->owner ? w->index - sa->owner : w->index + w->n_workers - sa->owner;

	if (likely(sa->lanes <= w->n_workers))
		return rel < sa->lanes ? rel : rel % sa->lanes;
	return lane_among(w, sa, m, rel);
}

/* The window of an authentic packet. */
static inline struct replay *
lane_window(const struct sa *sa, const struct pkt *p)
{
	return likely((sa->flags & SA_SUBSPACES) == 0) ? sa->window : sa->windows[p->lane];
}

/* Whether a burst is authentic (ops: NULL says that it is), of one SA, of numbers in a row that are
 * the next ones: all are seen then. One by one a window's top goes from packet to packet by way of
 * memory.
 */
static __rte_always_inline bool
lane_accept_all(const struct crypto_op *ops, struct rte_mbuf *const *pkts, uint16_t n)
{
	const struct pkt *first = pkt_of(pkts[0]);
	struct replay *window;

	for (uint16_t i = 0; i < n; i++) {
		const struct pkt *p = pkt_of(pkts[i]);

		if ((ops != NULL && !ops[i].ok) || p->hot != first->hot || p->seq != first->seq + i)
			return false;
	}
	window = lane_window(first->hot, first);
	return likely(window != NULL) && replay_accept_run(window, first->seq, n);
}

/* The window of an id whose first packet has just proved authentic, from the worker's stock and
 * published. NULL: the stock is empty. Owner of that lane only.
 */
struct replay *window_open(struct worker *w, const struct sa *sa, uint16_t id);

#endif
