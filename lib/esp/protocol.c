#include "esp/protocol.h"

#include "esp/esp.h"
#include "esp/esp_stage.h"
#include "esp/lane.h"
#include "port/offload.h"
#include "replay/replay.h"
#include "sa/sa.h"
#include "worker/worker.h"

/* An inbound SA that such a device may do. */
static inline bool
is_taken(const struct sa *sa)
{
	return sa != NULL && (sa->flags & (SA_INBOUND | SA_INLINE)) == (SA_INBOUND | SA_INLINE);
}

/* The SA that a device names, found for the first of packets in a row. */
struct named {
	struct sa *sa; /* NULL: none yet */
	uint32_t index, generation;
};

/* NULL: it names none that it may do. */
static inline struct sa *
sa_named(const struct worker *w, const struct offload_rx *rx, struct named *last)
{
	if (unlikely(!rx->named))
		return NULL;
	if (likely(last->sa != NULL && last->index == rx->index &&
		   last->generation == rx->generation))
		return last->sa;
	last->index = rx->index;
	last->generation = rx->generation;
	last->sa = sa_again(w->view->sas, rx->index, rx->generation);
	if (unlikely(!is_taken(last->sa)))
		last->sa = NULL;
	return last->sa;
}

/* Why it ends here. */
static inline enum drop_reason
strip(struct pkt *p, struct sa *sa, const struct offload_rx *rx)
{
	uint64_t number = rx->numbered ? rx->number : 0;

	if (unlikely(sa == NULL))
		return DROP_OFFLOAD_STALE;
	p->hot = sa;
	p->sa = rx->index;
	p->generation = rx->generation;
	if (unlikely(!rx->ok))
		return DROP_ICV_FAIL;
	if (unlikely(rx->numbered && number == 0) && sa_window(sa)->window != 0)
		return DROP_REPLAY_ZERO;
	p->spi_be = sa->spi_be;
	p->seq = number;
	p->outer_tos = rx->has_tos ? rx->outer_tos : p->tos;
	p->marks |= PKT_STRIPPED;
	return DROP_NONE;
}

uint16_t
protocol_in(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct named last = { .sa = NULL };
	struct rte_mbuf *taken[BURST_MAX];
	struct offload_rx rx[BURST_MAX];
	uint16_t n_taken = 0, kept = 0;

	for (uint16_t i = 0; i < n;)
		i += offload_results(w->offloads, &pkts[i], n - i, &rx[i]);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		enum drop_reason why;

		if (rx[i].kind != OFFLOAD_PROTOCOL) {
			pkts[kept++] = m;
			continue;
		}
		why = strip(pkt_of(m), sa_named(w, &rx[i], &last), &rx[i]);
		if (likely(why == DROP_NONE))
			taken[n_taken++] = m;
		else
			drop(w, m, why);
	}
	pipe_push_all(w, STAGE_HANDOFF_IN, taken, n_taken);
	return kept;
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

/* Those whose numbers are taken, or that have none. */
static uint16_t
numbers_take(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	if (lane_accept_all(NULL, pkts, n))
		return n;
	for (uint16_t i = 0; i < n; i++) {
		enum drop_reason why = number_take(w, pkt_of(pkts[i]));

		if (unlikely(why != DROP_NONE))
			drop(w, pkts[i], why);
		else
			pkts[kept++] = pkts[i];
	}
	return kept;
}

uint16_t
inline_in(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	n = numbers_take(w, pkts, n);
	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);

		p->flags |= PKT_FROM_SA;
		if ((p->hot->flags & (SA_TRANSPORT | SA_ECN)) != SA_ECN)
			p->outer_tos = p->tos;
	}
	return n;
}
