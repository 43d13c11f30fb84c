#include "worker/worker.h"

void
drop(struct worker *w, struct rte_mbuf *m, enum drop_reason why)
{
	const struct pkt *p = pkt_of(m);

	assert(why != DROP_NONE);
	cell_add(&w->drops[why], 1);
	if (unlikely(w->now >= w->audit_at[why]))
		audit_note(w, m, why);
	if (p->sa != SA_NONE)
		sparse_add(w->sparse, p->sa, p->generation, why);
	rte_pktmbuf_free(m);
}
