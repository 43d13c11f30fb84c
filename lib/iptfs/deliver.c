/* Payloads in order, taken apart: inner packets for the line behind the SA. */
#include "iptfs/iptfs.h"
#include "iptfs/iptfs_stage.h"

#include <netinet/in.h>
#include <string.h>

#include "aggfrag/link.h"
#include "aggfrag/split.h"
#include "base/clock.h"
#include "esp/echo.h"
#include "esp/inner.h"
#include "frag/mss.h"
#include "iptfs/in.h"
#include "sa/sa.h"
#include "wire/esp_echo.h"
#include "worker/mbufs.h"
#include "worker/pkt_fill.h"
#include "worker/worker.h"

static struct aggfrag_in *
stream_of(const struct worker *w, uint32_t index, uint32_t generation, uint16_t lane,
	  struct sa **sa)
{
	*sa = sa_again(w->view->sas, index, generation);
	return *sa != NULL ? &sa_more(*sa)->split[lane] : NULL;
}

/* What is known of the packets in a payload. */
static void
like_set(struct aggfrag_receiver *r, const struct rte_mbuf *m, struct sa *sa)
{
	r->like = *pkt_of(m);
	r->like.flags = PKT_FROM_SA;
	r->like.marks = 0;
	r->like.hot = sa;
}

/* Inner packets are judged as esp_strip judges one. */
static enum drop_reason
describe(struct rte_mbuf *m, uint16_t mtu)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	struct pkt *p = pkt_of(m);

	if (likely(m->nb_segs == 1 && m->data_len >= sizeof(struct rte_ipv4_hdr) &&
		   ip[0] == RTE_IPV4_VHL_DEF && wire_be16(ip + 2) == m->data_len &&
		   wire_ip4_is_usual(ip, m->data_len, false))) {
		pkt_fill_usual4(p, ip, PKT_FROM_SA);
	} else {
		enum drop_reason why = inner_describe(m, p);

		if (unlikely(why != DROP_NONE))
			return why;
	}
	/* What happened to the payload on its way is nothing that happened to one of these. */
	p->outer_tos = p->tos;
	if (unlikely(mtu != 0))
		mss_clamp(m, mtu);
	return DROP_NONE;
}

/* Those that were taken out from `from` on; what is no packet is dropped alone. */
static void
describe_all(struct worker *w, struct aggfrag_receiver *r, struct aggfrag_in *in, uint16_t from)
{
	uint16_t mtu = __atomic_load_n(&r->like.hot->mtu, __ATOMIC_RELAXED), kept = from;
	uint64_t octets = 0;

	for (uint16_t i = from; i < r->to; i++) {
		struct rte_mbuf *m = r->given[i];
		enum drop_reason why = describe(m, mtu);

		if (unlikely(why != DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		octets += m->pkt_len;
		r->given[kept++] = m;
	}
	r->to = kept;
	aggfrag_in_count(in, AGGFRAG_RX_INNER_PKTS, kept - from);
	aggfrag_in_count(in, AGGFRAG_RX_INNER_OCTETS, octets);
}

/* ESP echo shares the next header; its sub-types are others. */
static bool
is_echo(const struct rte_mbuf *m)
{
	uint8_t copy, kind;

	if (m->pkt_len == 0)
		return false;
	kind = *(const uint8_t *)rte_pktmbuf_read(m, 0, 1, &copy);
	return kind == ESP_ECHO_REQUEST || kind == ESP_ECHO_RESPONSE;
}

/* It is looked at with the headers that it came with, which are still there. */
static void
echo_take(struct worker *w, struct rte_mbuf *m, struct sa *sa)
{
	struct pkt *p = pkt_of(m);

	p->hot = sa;
	if (unlikely(rte_pktmbuf_prepend(m, p->esp_off + sa->esp_size) == NULL))
		drop(w, m, DROP_BUFFER);
	else
		esp_echo_take(w, m);
}

static void
payload_open(struct worker *w, struct aggfrag_receiver *r, struct aggfrag_in *in,
	     struct rte_mbuf *m, struct sa *sa)
{
	uint8_t next_header = pkt_of(m)->next_header;
	struct aggfrag_link *link = aggfrag_link_get(&in->link);
	enum drop_reason why = DROP_NEXT_HEADER;

	if (unlikely(link != NULL))
		feedback_took(w, link, m);
	aggfrag_in_step(r, in, pkt_of(m)->seq);
	if (likely(next_header == WIRE_AGGFRAG_NEXT_HEADER)) {
		uint16_t from = r->to;

		if (unlikely(is_echo(m))) {
			echo_take(w, m, sa);
			return;
		}
		like_set(r, m, sa);
		why = aggfrag_in_open(r, in, m);
		if (likely(why == DROP_NONE)) {
			describe_all(w, r, in, from);
			return;
		}
	} else if (next_header == IPPROTO_NONE) {
		consume(w, m, CONSUMED_DUMMY);
		return;
	} else {
		aggfrag_in_unreadable(r, in);
	}
	drop(w, m, why);
}

static void
early_take(struct worker *w, struct aggfrag_receiver *r, const struct aggfrag_early *e)
{
	struct sa *sa;
	struct aggfrag_in *in = stream_of(w, e->sa, e->generation, e->lane, &sa);
	struct rte_mbuf *m = in != NULL ? aggfrag_in_waiting(in, e->seq) : NULL;
	uint16_t from = r->to;

	if (m == NULL || pkt_of(m)->next_header != WIRE_AGGFRAG_NEXT_HEADER)
		return;
	like_set(r, m, sa);
	aggfrag_in_early(r, in, m);
	describe_all(w, r, in, from);
}

/* The SA of a payload that is taken apart in several turns, which other rounds may lie between. */
static bool
open_again(struct worker *w, struct aggfrag_receiver *r)
{
	const struct aggfrag_in *in = r->open.in;
	struct sa *sa = sa_again(w->view->sas, in->sa, in->generation);

	r->like.sa = in->sa;
	r->like.generation = in->generation;
	r->like.hot = sa;
	return sa != NULL;
}

/* Likewise those of packets that are still to be given. */
static void
given_again(struct worker *w, struct aggfrag_receiver *r)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < r->to; i++) {
		struct rte_mbuf *m = r->given[i];
		struct pkt *p = pkt_of(m);

		p->hot = sa_again(w->view->sas, p->sa, p->generation);
		if (likely(p->hot != NULL))
			r->given[kept++] = m;
		else
			drop(w, m, DROP_AGGFRAG_ENDED);
	}
	r->to = kept;
}

/* A step of the work that is to be done; false: there is none. */
static bool
step(struct worker *w, struct aggfrag_receiver *r)
{
	struct aggfrag_in *in;
	struct rte_mbuf *m;
	struct sa *sa;

	if (unlikely(r->open.m != NULL)) {
		uint16_t from = r->to;

		in = r->open.in;
		if (unlikely(!open_again(w, r))) {
			drop(w, r->open.m, DROP_AGGFRAG_ENDED);
			r->open.m = NULL;
			return true;
		}
		aggfrag_in_more(r);
		describe_all(w, r, in, from);
		return true;
	}
	if (unlikely(r->n_early > 0)) {
		struct aggfrag_early e = r->early[0];

		memmove(r->early, r->early + 1, --r->n_early * sizeof(r->early[0]));
		early_take(w, r, &e);
		return true;
	}
	m = aggfrag_ready_take(r);
	if (m == NULL)
		return false;
	in = stream_of(w, pkt_of(m)->sa, pkt_of(m)->generation, pkt_of(m)->lane, &sa);
	if (likely(in != NULL))
		payload_open(w, r, in, m, sa);
	else
		drop(w, m, DROP_AGGFRAG_ENDED);
	return true;
}

static inline bool
is_idle(const struct aggfrag_receiver *r)
{
	return r->ready.first == NULL && r->from == r->to && r->n_early == 0 && r->open.m == NULL;
}

/* As of now rather than as of the round's beginning. */
static uint64_t
own_time(const struct worker *w)
{
	uint64_t passed = clock_now(w->clock) - w->now;

	if (w->clock->kind != CLOCK_STAMPS)
		passed = RTE_MIN(passed, WORKER_ROUND_NS);
	return worker_awake(w) + passed;
}

static void
expire(struct worker *w, struct aggfrag_receiver *r)
{
	uint64_t now = own_time(w);

	if (wheel_may_be_due(&r->wheel, now))
		aggfrag_expire(r, now);
}

uint16_t
iptfs_deliver(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct aggfrag_receiver *r = w->iptfs->in;
	uint16_t n;

	if (unlikely(r->wheel.next != UINT64_MAX))
		expire(w, r);
	/* What would have no room further on waits here, as it does at ports. */
	if (likely(is_idle(r)) || worker_holds_back(w))
		return 0;
	/* What did not go with the last burst; then there is room for a payload's packets. */
	r->to -= r->from;
	memmove(r->given, r->given + r->from, r->to * sizeof(r->given[0]));
	r->from = 0;
	if (unlikely(r->round != w->loops)) {
		r->round = w->loops;
		given_again(w, r);
	}
	while (r->to < max && step(w, r))
		;
	n = RTE_MIN(r->to, max);
	memcpy(pkts, r->given, n * sizeof(pkts[0]));
	r->from = n;
	held_in_note(w);
	return n;
}
