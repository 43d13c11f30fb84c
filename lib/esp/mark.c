#include "esp/mark.h"

#include <netinet/in.h>

#include <rte_ip.h>

#include "esp/engines.h"
#include "route/fib.h"
#include "sa/sa.h"
#include "worker/worker.h"

/* What devices that make all of ESP have no name for, but software makes in the same SA. */
#define PKT_SPECIAL (PKT_ECHO | PKT_PROBE | PKT_COMP | PKT_AGGFRAG)

void
mark_find(const struct worker *w, const struct pkt *p, struct mark *mark)
{
	const struct offload_entry *e = offload_of(w->offloads, p->sa, p->generation);

	mark->entry = e;
	/* Once: control may take it away meanwhile, but frees it a grace period later. */
	mark->session = e != NULL ? __atomic_load_n(&e->session, __ATOMIC_ACQUIRE) : NULL;
	mark->kind = mark->session != NULL ? e->kind : OFFLOAD_NONE;
	mark->serial = mark->session != NULL ? e->serial : 0;
}

/* A dummy of ours is no packet. */
static inline bool
is_dummy(const struct pkt *p)
{
	return (p->flags & PKT_OWN) != 0 && p->proto == IPPROTO_NONE;
}

/* In transport mode ESP goes behind some extension headers and before others, a fragment header
 * above all: what a device makes of them nobody says. */
static inline bool
has_extensions(const struct pkt *p)
{
	return (p->flags & PKT_V6) != 0 && (p->hot->flags & SA_TRANSPORT) != 0 &&
	       p->l4_off != sizeof(struct rte_ipv6_hdr);
}

static inline bool
may_have(const struct mark *mark, const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if (unlikely(m->nb_segs != 1))
		return false;
	if (mark->kind == OFFLOAD_CRYPTO)
		return (p->marks & PKT_CUT) == 0;
	return m->pkt_len <= mark->entry->tx_limit && (p->marks & (PKT_CUT | PKT_SPECIAL)) == 0 &&
	       !is_dummy(p) && !has_extensions(p);
}

/* The checksum of UDP over IPv6 covers what is enciphered, so it cannot be made before. */
static inline bool
is_summed(const struct mark *mark, const struct sa *sa)
{
	return mark->kind == OFFLOAD_CRYPTO && (sa->flags & (SA_UDP | SA_V6)) == (SA_UDP | SA_V6);
}

uint16_t
mark_alike(const struct worker *w, const struct mark *mark, struct rte_mbuf *const *pkts,
	   uint16_t n)
{
	const struct pkt *first = pkt_of(pkts[0]);
	uint16_t alike = 0;

	/* What is to be cut has no next hop yet. */
	if (unlikely(mark->session == NULL || is_summed(mark, first->hot) ||
		     !may_have(mark, pkts[0])))
		return 0;
	if (unlikely(route_hop(w->view->route, first->next_hop)->port != mark->entry->port))
		return 0;
	do
		alike++;
	while (alike < n && pkt_of(pkts[alike])->next_hop == first->next_hop &&
	       may_have(mark, pkts[alike]));
	return alike;
}

uint16_t
mark_all(const struct worker *w, const struct mark *mark, struct rte_mbuf *const *pkts,
	 struct crypto_op *ops, uint16_t n)
{
	uint16_t run = 0;

	/* Headers may have made a chain of it. */
	while (run < n && likely(pkts[run]->nb_segs == 1))
		run++;
	if (likely(run > 0))
		run = w->offloads->offload->tx_mark(mark->session, pkts, run);
	for (uint16_t i = 0; i < run; i++) {
		pkt_of(pkts[i])->turn = mark->serial;
		ops[i].ok = true;
		ops[i].engine = ENGINES_DONE;
	}
	return run;
}
