#include <netinet/in.h>
#include <string.h>

#include "esp/comp.h"
#include "esp/esp_stage.h"
#include "esp/transport.h"
#include "frag/frag.h"
#include "ipcomp/ipcomp.h"
#include "seq/seq.h"
#include "wire/ip.h"
#include "worker/mbufs.h"

/* One packet at hand. */
struct comp {
	struct ipcomp_worker *iw;
	struct ipcomp_sa *is;
	struct ipcomp_cell *cell;
	uint32_t payload;  /* octets behind split */
	uint32_t size;	   /* of the stream */
	uint16_t split;	   /* transport mode: where the payload begins */
	uint16_t name_off; /* of the octet that names it */
	uint16_t ports;	   /* octets that stay in clear before the stream */
	uint8_t next_header;
	bool transport, v6;
};

static void
comp_init(struct comp *c, struct worker *w, const struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct pkt *p = pkt_of(m);

	*c = (struct comp) {
		.iw = w->ipcomp,
		.is = sa_more(p->hot)->comp,
		.transport = (p->hot->flags & SA_TRANSPORT) != 0,
		.v6 = (p->flags & PKT_V6) != 0,
	};
	c->cell = comp_cell(w, c->is);
	c->next_header = c->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	if (c->transport) {
		c->split = transport_split(ip, c->v6, p->l4_off, &c->name_off);
		c->next_header = ip[c->name_off];
		if (c->is->params.xt && ipcomp_xt_takes(c->next_header))
			c->ports = IPCOMP_XT_PORTS;
	}
	c->payload = m->pkt_len - c->split;
}

static enum ipcomp_count
skip(struct worker *w, const struct comp *c, const struct rte_mbuf *m, struct ipcomp_slot **slot)
{
	const struct pkt *p = pkt_of(m);
	const struct ipcomp_packet packet = {
		.ip = rte_pktmbuf_mtod(m, const uint8_t *),
		.contiguous = m->data_len,
		.len = m->pkt_len,
		.payload = c->payload,
		.l4_off = p->l4_off,
		.proto = p->proto,
		.v6 = c->v6,
		.fragment = (p->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) != 0,
	};

	return ipcomp_skip(c->iw, c->is, c->cell, &packet, w->now, slot);
}

/* Compresses beside the packet, which stays as it is. */
static enum ipcomp_count
squeeze(struct worker *w, struct comp *c, const struct rte_mbuf *m)
{
	struct ipcomp_slot *slot;
	enum ipcomp_count why = skip(w, c, m, &slot);
	const uint8_t *in;

	if (why == IPCOMP_COUNTS_MAX && !c->transport &&
	    rte_pktmbuf_headroom(m) < COMP_KEPT + IPCOMP_HEADER)
		why = IPCOMP_NOBUF;
	if (why != IPCOMP_COUNTS_MAX) {
		ipcomp_count(c->iw, c->cell, why, 1);
		return why;
	}
	in = rte_pktmbuf_read(m, c->split + c->ports, c->payload - c->ports, c->iw->in);
	/* With its header one octet less than before, or it is not worth it. */
	return ipcomp_pack(c->iw, c->cell, slot, in, c->payload - c->ports,
			   c->payload - c->ports - IPCOMP_HEADER - 1, &c->size);
}

/* Over the octets from off on. */
static void
octets_write(struct rte_mbuf *m, uint32_t off, const uint8_t *from, uint32_t n)
{
	for (; n > 0; m = m->next) {
		uint32_t take = off < m->data_len ? RTE_MIN(n, m->data_len - off) : 0;

		memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, RTE_MIN(off, m->data_len)), from,
		       take);
		off -= RTE_MIN(off, m->data_len);
		from += take;
		n -= take;
	}
}

/* Before the data are written: the first octets of the packet, where its new data begin at. */
static void
header_keep(const struct rte_mbuf *m, uint8_t *at)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);

	memmove(at - COMP_KEPT, ip, RTE_MIN(m->data_len, COMP_KEPT));
}

static void
describe_comp(struct rte_mbuf *m, const struct comp *c)
{
	struct pkt *p = pkt_of(m);

	p->marks |= PKT_COMP;
	if (!c->transport)
		return;
	transport_rewrite(rte_pktmbuf_mtod(m, uint8_t *), c->v6, m->pkt_len, c->name_off,
			  IPPROTO_COMP);
	p->proto = IPPROTO_COMP;
	p->l4_off = c->split;
	p->last_nh_off = c->name_off;
}

/* The packet becomes what squeeze() made of it: always shorter, so that it has the room. */
static void
replace(struct rte_mbuf *m, const struct comp *c)
{
	uint32_t head = IPCOMP_HEADER + c->ports, was = m->pkt_len;
	uint8_t *front = c->iw->out + IPCOMP_FRONT - head;
	const struct ipcomp_header h = {
		.next_header = c->next_header,
		.flags = c->ports > 0 ? IPCOMP_FLAG_XT : 0,
		.cpi = c->is->params.cpi,
	};
	uint8_t ports[IPCOMP_XT_PORTS];

	ipcomp_header_write(front, &h);
	if (c->ports > 0)
		memcpy(front + IPCOMP_HEADER, rte_pktmbuf_read(m, c->split, c->ports, ports),
		       c->ports);
	if (!c->transport)
		header_keep(m, rte_pktmbuf_mtod(m, uint8_t *));
	octets_write(m, c->split, front, head + c->size);
	mbuf_cut_tail(m, c->payload - head - c->size);
	describe_comp(m, c);
	ipcomp_count(c->iw, c->cell, IPCOMP_OK, 1);
	ipcomp_count(c->iw, c->cell, IPCOMP_IN_OCTETS, c->payload);
	ipcomp_count(c->iw, c->cell, IPCOMP_OUT_OCTETS, c->payload - (was - m->pkt_len));
}

/* The extension: packets of a flow that shrinks take one way, those between that do not, too. */
static bool
is_to_be_stored(const struct comp *c, const struct rte_mbuf *m, enum ipcomp_count why, uint16_t mtu)
{
	return c->is->params.stored && rte_pktmbuf_headroom(m) >= COMP_KEPT + IPCOMP_HEADER &&
	       m->pkt_len + IPCOMP_HEADER <= mtu &&
	       (why == IPCOMP_EXPAND || why == IPCOMP_SKIP_ADAPTIVE || why == IPCOMP_SKIP_RANDOM ||
		why == IPCOMP_SKIP_BUDGET);
}

static void
store(struct rte_mbuf *m, const struct comp *c)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *), *at = ip - IPCOMP_HEADER;
	const struct ipcomp_header h = { c->next_header, 0, IPCOMP_CPI_STORED };

	if (c->transport)
		memmove(at, ip, c->split);
	else
		header_keep(m, at);
	rte_pktmbuf_prepend(m, IPCOMP_HEADER);
	ipcomp_header_write(at + c->split, &h);
	describe_comp(m, c);
	ipcomp_count(c->iw, c->cell, IPCOMP_STORED, 1);
}

/* False: it is not this stage's any more. */
static bool
compress(struct worker *w, struct rte_mbuf *m)
{
	const struct sa *sa = pkt_of(m)->hot;
	uint16_t mtu = frag_limit(sa, pkt_of(m));
	enum ipcomp_count why = IPCOMP_COUNTS_MAX;
	uint32_t carried = m->pkt_len, saved;
	struct comp c;

	comp_init(&c, w, m);
	if (!ipcomp_sa_is_off(c.is))
		why = squeeze(w, &c, m);
	saved = c.payload - c.ports - IPCOMP_HEADER - c.size;
	if (why == IPCOMP_OK)
		carried -= saved;
	if (unlikely(carried > mtu) && !too_large(w, m))
		return false;
	if (why == IPCOMP_OK && lane_count_saved(&sa->lane[pkt_of(m)->lane], m->pkt_len, saved))
		replace(m, &c);
	else if (is_to_be_stored(&c, m, why, mtu))
		store(m, &c);
	return true;
}

/* The SA of some packets in a row, read once, and how many of them were not even looked at. */
struct run {
	const struct sa *sa;
	struct ipcomp_cell *cell;
	uint32_t most; /* octets of a packet that is not looked at; 0: all are */
	uint32_t rested;
	struct ipcomp_rest rest;
};

static __rte_noinline void
run_next(struct run *r, struct worker *w, const struct sa *sa)
{
	struct ipcomp_sa *is;

	ipcomp_rest_end(&r->rest);
	if (r->rested > 0)
		ipcomp_count(w->ipcomp, r->cell, IPCOMP_SKIP_ADAPTIVE, r->rested);
	*r = (struct run) { .sa = sa };
	if (sa == NULL)
		return;
	is = sa_more(sa)->comp;
	r->cell = comp_cell(w, is);
	r->most = is->params.stored ? 0 : __atomic_load_n(&sa->mtu, __ATOMIC_RELAXED);
	/* Options and extension headers may take less than this: frag_limit(). */
	if ((sa->flags & SA_TRANSPORT) != 0)
		r->most -= RTE_MIN(r->most, (uint32_t)sa->suite.align);
}

/* How many of the packets from the first on are of the run's SA and of flows that do not shrink:
 * the usual ones, of which nothing is asked but whether they rest.
 */
static inline uint16_t
resting(struct run *r, struct rte_mbuf **pkts, uint16_t n)
{
	struct ipcomp_rest rest = r->rest;
	uint16_t k = 0;

	for (; k < n; k++) {
		const struct rte_mbuf *m = pkts[k];
		const struct pkt *p = pkt_of(m);

		if (p->hot != r->sa || m->pkt_len > r->most ||
		    !ipcomp_rests(&rest, r->cell, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len,
				  p->l4_off, (p->flags & PKT_V6) != 0))
			break;
	}
	r->rest = rest;
	r->rested += k;
	return k;
}

/* How many from the first on go as they are, with nothing done to them. */
static inline uint16_t
passing(struct run *r, struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct sa *sa = pkt_of(pkts[0])->hot;

	if ((sa->flags & SA_IPCOMP) == 0)
		return 1;
	if (unlikely(sa != r->sa))
		run_next(r, w, sa);
	return resting(r, pkts, n);
}

uint16_t
ipcomp_encap(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct run r = { .sa = NULL };
	uint16_t kept = 0, k;

	for (uint16_t i = 0; i < n; i += k) {
		k = passing(&r, w, &pkts[i], n - i);
		if (likely(k > 0)) {
			if (unlikely(kept != i))
				memmove(&pkts[kept], &pkts[i], k * sizeof(pkts[0]));
			kept += k;
			continue;
		}
		k = 1;
		ipcomp_rest_end(&r.rest);
		pkts[kept] = pkts[i];
		kept += compress(w, pkts[kept]);
	}
	run_next(&r, w, NULL);
	return kept;
}
