#include "esp/protocol.h"

#include <netinet/in.h>

#include <rte_ip.h>

#include "esp/esp.h"
#include "esp/esp_stage.h"
#include "port/offload.h"
#include "replay/replay.h"
#include "route/fib.h"
#include "sa/sa.h"
#include "worker/worker.h"

/* What devices have no name for, but software makes in the same SA. */
#define PKT_SPECIAL (PKT_ECHO | PKT_PROBE | PKT_COMP | PKT_AGGFRAG)

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
	return (p->hot->flags & SA_TRANSPORT) != 0 && (p->flags & PKT_V6) != 0 &&
	       p->l4_off != sizeof(struct rte_ipv6_hdr);
}

static inline bool
may_take(const struct worker *w, const struct rte_mbuf *m, const struct offload_entry *e)
{
	const struct pkt *p = pkt_of(m);

	return m->nb_segs == 1 && m->pkt_len <= e->tx_limit &&
	       (p->marks & (PKT_CUT | PKT_SPECIAL)) == 0 && !is_dummy(p) && !has_extensions(p) &&
	       route_hop(w->view->route, p->next_hop)->port == e->port;
}

bool
protocol_out(struct worker *w, struct rte_mbuf *m, enum drop_reason *why)
{
	const struct offload_table *t = w->offloads;
	struct pkt *p = pkt_of(m);
	const struct offload_entry *e = offload_of(t, p->sa, p->generation);

	*why = DROP_NONE;
	if (e == NULL || e->kind != OFFLOAD_PROTOCOL)
		return false;
	if (likely(may_take(w, m, e)) && likely(t->offload->tx_mark(e->session, &m, 1) == 1)) {
		p->turn = e->serial;
		return true;
	}
	if (!e->tx_number)
		*why = DROP_OFFLOAD_LOST;
	return false;
}

/* An inbound SA that such a device may do. */
static inline bool
is_taken(const struct sa *sa)
{
	return sa != NULL && (sa->flags & (SA_INBOUND | SA_INLINE)) == (SA_INBOUND | SA_INLINE);
}

bool
protocol_in(struct worker *w, struct rte_mbuf *m)
{
	const struct offload_table *t = w->offloads;
	struct pkt *p = pkt_of(m);
	struct offload_rx rx;

	/* Flags of a port without such a device are somebody else's. */
	if (t == NULL || t->ports[p->port] == NULL)
		return false;
	t->offload->rx_result(t->ports[p->port], m, &rx);
	if (rx.kind != OFFLOAD_PROTOCOL)
		return false;
	p->hot = rx.named ? sa_again(w->view->sas, rx.index, rx.generation) : NULL;
	if (unlikely(!is_taken(p->hot))) {
		drop(w, m, DROP_OFFLOAD_STALE);
		return true;
	}
	p->sa = rx.index;
	p->generation = rx.generation;
	if (unlikely(!rx.ok)) {
		drop(w, m, DROP_ICV_FAIL);
		return true;
	}
	if (unlikely(rx.numbered && rx.number == 0) && sa_window(p->hot)->window != 0) {
		drop(w, m, DROP_REPLAY_ZERO);
		return true;
	}
	p->spi_be = p->hot->spi_be;
	p->seq = rx.numbered ? rx.number : 0;
	p->outer_tos = rx.has_tos ? rx.outer_tos : p->tos;
	p->marks |= PKT_STRIPPED;
	pipe_push(w, STAGE_HANDOFF_IN, m);
	return true;
}

bool
protocol_has_window(const struct worker *w, const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const struct offload_entry *e = offload_of(w->offloads, p->sa, p->generation);

	/* What the device tried, and refused, ends by its ICV. */
	return e != NULL && e->kind == OFFLOAD_PROTOCOL && !e->rx_number &&
	       sa_window(p->hot)->window != 0 && (m->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD) == 0;
}

/* A number is 0 where the device does not say it, and keeps the window itself. */
static inline enum drop_reason
number_take(struct worker *w, const struct pkt *p)
{
	struct replay *window = p->hot->window;
	enum drop_reason why = DROP_NONE;

	if (p->seq != 0)
		why = replay_accept(window, p->seq);
	return unlikely(why == DROP_SEQ_WAIT) ? window_wait(w, p, window) : why;
}

uint16_t
inline_in(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		enum drop_reason why = number_take(w, p);

		if (unlikely(why != DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		p->flags |= PKT_FROM_SA;
		if ((p->hot->flags & (SA_TRANSPORT | SA_ECN)) != SA_ECN)
			p->outer_tos = p->tos;
		pkts[kept++] = m;
	}
	return kept;
}
