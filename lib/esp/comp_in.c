#include <netinet/in.h>
#include <string.h>

#include "esp/comp.h"
#include "esp/esp_stage.h"
#include "esp/inner.h"
#include "esp/transport.h"
#include "ipcomp/ipcomp.h"
#include "worker/mbufs.h"

/* The packet is its first `head` octets, which lie in its first segment, and these. The octets may
 * not be the packet's own. False: no buffer.
 */
static bool
payload_set(struct worker *w, struct rte_mbuf *m, uint16_t head, const uint8_t *octets, uint32_t n)
{
	uint32_t most = rte_pktmbuf_data_room_size(w->pool) - RTE_PKTMBUF_HEADROOM, take;

	rte_pktmbuf_free(m->next);
	m->next = NULL;
	m->nb_segs = 1;
	m->data_len = head;
	take = RTE_MIN(n, (uint32_t)rte_pktmbuf_tailroom(m));
	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, head), octets, take);
	m->data_len += take;
	m->pkt_len = m->data_len;
	for (octets += take, n -= take; n > 0; octets += take, n -= take) {
		uint8_t *at;

		take = RTE_MIN(n, most);
		at = mbuf_add_tail(m, (uint16_t)take, w->pool);
		if (at == NULL)
			return false;
		memcpy(at, octets, take);
	}
	return true;
}

/* What was stored stands in the packet already, behind the header that goes. */
static void
header_cut(struct rte_mbuf *m, uint16_t head)
{
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);

	if (head > 0)
		memmove(data + IPCOMP_HEADER, data, head);
	mbuf_cut_head(m, IPCOMP_HEADER);
}

/* Tunnel mode: an IP packet, and nothing behind its end. */
static enum drop_reason
tunnel_open(struct rte_mbuf *m, struct pkt *p, uint8_t next_header)
{
	bool v6 = next_header == IPPROTO_IPV6;
	uint32_t whole = m->pkt_len;
	enum drop_reason why;

	if (next_header != IPPROTO_IPIP && !v6)
		return DROP_NEXT_HEADER;
	p->next_header = next_header;
	why = inner_describe(m, p);
	if (why != DROP_NONE)
		return why;
	if (((p->flags & PKT_V6) != 0) != v6 || m->pkt_len != whole)
		return DROP_INNER_MALFORMED;
	if ((p->hot->flags & SA_ECN) == 0)
		p->outer_tos = p->tos;
	return DROP_NONE;
}

static enum drop_reason
transport_open(struct rte_mbuf *m, struct pkt *p, uint8_t next_header)
{
	enum drop_reason why;

	if (next_header == IPPROTO_ESP || next_header == IPPROTO_AH)
		return DROP_NEXT_HEADER;
	p->next_header = next_header;
	transport_rewrite(rte_pktmbuf_mtod(m, uint8_t *), (p->flags & PKT_V6) != 0, m->pkt_len,
			  p->last_nh_off, next_header);
	why = inner_describe(m, p);
	if (why != DROP_NONE)
		return why;
	/* Behind extension headers that were compressed, too. */
	if (p->proto == IPPROTO_COMP)
		return DROP_IPCOMP_NESTED;
	if ((p->flags & PKT_UDP_ENCAP) != 0)
		inner_checksum_mend(m, p);
	p->outer_tos = p->tos;
	return DROP_NONE;
}

static enum drop_reason
decompress(struct worker *w, struct rte_mbuf *m, struct ipcomp_sa *is, struct ipcomp_cell *cell)
{
	struct pkt *p = pkt_of(m);
	bool transport = (p->hot->flags & SA_TRANSPORT) != 0;
	uint16_t head = transport ? p->l4_off : 0;
	uint32_t len = m->pkt_len - head;
	const struct ipcomp_input in = {
		.octets = rte_pktmbuf_read(m, head, len, w->ipcomp->in),
		.len = len,
		.room = IPCOMP_OCTETS_MAX - (transport && (p->flags & PKT_V6) == 0 ? head : 0u),
		.now = w->now,
	};
	struct ipcomp_output out;
	enum drop_reason why;

	p->marks &= (uint8_t)~PKT_COMP;
	why = ipcomp_open(w->ipcomp, is, cell, &in, &out);
	if (why != DROP_NONE)
		return why;
	if (out.stored)
		header_cut(m, head);
	else if (!payload_set(w, m, head, out.octets, out.len))
		return DROP_NO_MBUF;
	return transport ? transport_open(m, p, out.next_header) :
			   tunnel_open(m, p, out.next_header);
}

uint16_t
ipcomp_decap(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct pkt *p = pkt_of(m);

		if (unlikely((p->hot->flags & SA_IPCOMP) != 0)) {
			struct ipcomp_sa *is = sa_more(p->hot)->comp;
			struct ipcomp_cell *cell = comp_cell(w, is);
			enum drop_reason why = DROP_NONE;

			if ((p->marks & PKT_COMP) != 0)
				why = decompress(w, m, is, cell);
			else
				ipcomp_count(w->ipcomp, cell, IPCOMP_DECOMP_PLAIN, 1);
			if (why != DROP_NONE) {
				drop(w, m, why);
				continue;
			}
		}
		pkts[kept++] = m;
	}
	return kept;
}
