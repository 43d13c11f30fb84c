#include "esp/inner.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_udp.h>

#include "esp/transport.h"
#include "sa/sa.h"
#include "wire/ip.h"
#include "worker/mbufs.h"
#include "worker/pkt_fill.h"

#define PULL \
	(40 + WIRE_EXT_OCTETS_MAX + 8) /* octets of an inner packet that its headers may take */

enum drop_reason
inner_describe(struct rte_mbuf *m, struct pkt *p)
{
	struct ip_info info;
	enum wire_verdict verdict;

	if (unlikely(m->nb_segs > 1) && !mbuf_pull(m, PULL))
		return DROP_BUFFER;
	verdict =
		wire_ip_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len, &info);
	if (unlikely(verdict != WIRE_OK))
		return verdict == WIRE_CHECKSUM ? DROP_INNER_CHECKSUM :
		       verdict == WIRE_SPLIT	? DROP_BUFFER :
						  DROP_INNER_MALFORMED;
	if (info.total < m->pkt_len)
		mbuf_cut_tail(m, m->pkt_len - info.total);
	pkt_fill(p, &info);
	return DROP_NONE;
}

enum drop_reason
inner_take(struct rte_mbuf *m, struct pkt *p, uint16_t head)
{
	bool v6 = p->next_header == IPPROTO_IPV6;
	bool comp = p->next_header == IPPROTO_COMP && (p->hot->flags & SA_IPCOMP) != 0;
	enum drop_reason why;

	if (unlikely(p->next_header != IPPROTO_IPIP && !v6 && !comp))
		return DROP_NEXT_HEADER;
	if (unlikely(p->text_len == 0))
		return comp ? DROP_IPCOMP_SHORT : DROP_INNER_MALFORMED;
	if (likely(m->nb_segs == 1)) {
		m->data_off += head;
		m->data_len -= head;
		m->pkt_len = m->data_len;
	} else {
		mbuf_cut_head(m, head);
	}
	p->outer_tos = p->tos;
	if (unlikely(comp)) {
		p->marks |= PKT_COMP;
		return DROP_NONE;
	}
	why = inner_describe(m, p);
	if (likely(why == DROP_NONE) && unlikely(((p->flags & PKT_V6) != 0) != v6))
		why = DROP_INNER_MALFORMED;
	return why;
}

enum drop_reason
inner_close(struct rte_mbuf *m, struct pkt *p, uint16_t head)
{
	uint16_t gap = head - p->l4_off;
	bool v6 = (p->flags & PKT_V6) != 0;
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

	memmove(ip + gap, ip, p->l4_off);
	m->data_off += gap;
	m->data_len -= gap;
	m->pkt_len -= gap;
	transport_rewrite(ip + gap, v6, m->pkt_len, p->last_nh_off, p->next_header);
	return inner_describe(m, p);
}

void
inner_checksum_mend(struct rte_mbuf *m, const struct pkt *p)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + p->l4_off);
	bool v6 = (p->flags & PKT_V6) != 0;

	if ((p->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) != 0)
		return;
	if (p->proto == IPPROTO_UDP && !v6 && m->pkt_len >= p->l4_off + sizeof(*udp))
		udp->dgram_cksum = 0;
	else if (p->proto == IPPROTO_UDP && m->pkt_len >= p->l4_off + sizeof(*udp))
		wire_l4_checksum_set(m, p->l4_off, offsetof(struct rte_udp_hdr, dgram_cksum),
				     p->proto);
	else if (p->proto == IPPROTO_TCP && m->pkt_len >= p->l4_off + 20u)
		wire_l4_checksum_set(m, p->l4_off, 16, p->proto);
}
