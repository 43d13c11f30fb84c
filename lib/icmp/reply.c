#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include <rte_ip.h>

#include "icmp/answer.h"
#include "icmp/icmp_stage.h"
#include "icmp/worker.h"
#include "wire/ip.h"
#include "worker/pkt_fill.h"
#include "worker/worker.h"

#define ICMP_HEADER 8
#define TTL	    64
/* Precedence 6, internetwork control (RFC 1812 section 4.3.2.5). */
#define TOS 0xc0

/* How much an error has at most, with its IP header (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4
 * (c)), and the smallest MTU that it may tell (RFC 791, RFC 8200 section 5).
 */
#define ERROR4_MAX 576
#define ERROR6_MAX 1280
#define MTU4_MIN   68
#define MTU6_MIN   1280

/* Indexed by enum icmp_reply_kind, then by v6. */
static const struct {
	uint8_t type, code;
} messages[][2] = {
	[ICMP_REPLY_TOO_BIG] = { { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED },
				 { ICMP6_PACKET_TOO_BIG, 0 } },
	[ICMP_REPLY_TIME_EXCEEDED] = { { ICMP_TIME_EXCEEDED, ICMP_EXC_TTL },
				       { ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT } },
};

/* The second word of the message: an MTU, or nothing. */
static void
mtu_write(uint8_t *icmp, const struct pkt *p, bool v6)
{
	uint32_t word = 0;

	if (p->reply == ICMP_REPLY_TOO_BIG)
		word = v6 ? RTE_MAX(p->mtu, MTU6_MIN) : RTE_MAX(p->mtu, MTU4_MIN);
	word = rte_cpu_to_be_32(word);
	memcpy(icmp + 4, &word, sizeof(word));
}

static void
ip4_write(uint8_t *at, const struct addr *src, const uint8_t *dst, uint16_t total)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

	/* DF: never cut, so it needs no id (RFC 6864). */
	*ip = (struct rte_ipv4_hdr) {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = TOS,
		.total_length = rte_cpu_to_be_16(total),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = TTL,
		.next_proto_id = IPPROTO_ICMP,
	};
	memcpy(&ip->src_addr, src->octets, sizeof(ip->src_addr));
	memcpy(&ip->dst_addr, dst, sizeof(ip->dst_addr));
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
}

static void
ip6_write(uint8_t *at, const struct addr *src, const uint8_t *dst, uint16_t total)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)at;

	ip->vtc_flow = rte_cpu_to_be_32(UINT32_C(6) << 28 | TOS << RTE_IPV6_HDR_TC_SHIFT);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(total - sizeof(*ip)));
	ip->proto = IPPROTO_ICMPV6;
	ip->hop_limits = TTL;
	memcpy(ip->src_addr, src->octets, sizeof(ip->src_addr));
	memcpy(ip->dst_addr, dst, sizeof(ip->dst_addr));
}

/* Fills struct pkt of an answer like classify that of a packet that came in. */
static void
describe(struct rte_mbuf *answer, const struct rte_mbuf *m, bool v6)
{
	struct pkt *p = pkt_of(answer);

	pkt_reset(p, pkt_of(m)->port);
	pkt_fill(p,
		 &(struct ip_info) {
			 .total = answer->pkt_len,
			 .l4_off = v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr),
			 .last_nh_off = v6 ? offsetof(struct rte_ipv6_hdr, proto) :
					     offsetof(struct rte_ipv4_hdr, next_proto_id),
			 .proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			 .flags = v6 ? IP_INFO_V6 : 0,
			 .tos = TOS,
			 .ttl = TTL,
		 });
	p->flags |= PKT_OWN | (pkt_of(m)->flags & PKT_TRACE);
	answer->port = m->port;
}

/* Copies n octets from the front of a chain. */
static void
quote(uint8_t *to, const struct rte_mbuf *m, uint32_t n)
{
	const void *from = rte_pktmbuf_read(m, 0, n, to);

	if (from != to)
		memcpy(to, from, n);
}

static struct rte_mbuf *
answer_make(struct worker *w, const struct rte_mbuf *m, const struct addr *src, bool v6)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *dst = wire_ip_src(rte_pktmbuf_mtod(m, const uint8_t *), v6);
	uint16_t head = v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	struct rte_mbuf *answer = rte_pktmbuf_alloc(w->pool);
	uint32_t max = v6 ? ERROR6_MAX : ERROR4_MAX;
	uint16_t total;
	uint8_t *at;

	if (answer == NULL)
		return NULL;
	max = RTE_MIN(max, rte_pktmbuf_tailroom(answer));
	total = (uint16_t)RTE_MIN(max, head + ICMP_HEADER + m->pkt_len);
	at = (uint8_t *)rte_pktmbuf_append(answer, total);
	if (v6)
		ip6_write(at, src, dst, total);
	else
		ip4_write(at, src, dst, total);
	at[head] = messages[p->reply][v6].type;
	at[head + 1] = messages[p->reply][v6].code;
	mtu_write(at + head, p, v6);
	quote(at + head + ICMP_HEADER, m, total - head - ICMP_HEADER);
	wire_l4_checksum_set(answer, head, offsetof(struct icmphdr, checksum),
			     v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	describe(answer, m, v6);
	return answer;
}

/* Our own host is told by whom it wrote to: it believes no packet from outside with a source of its
 * own.
 */
static const struct addr *
farther_set(struct addr *a, const uint8_t *ip, bool v6)
{
	*a = (struct addr) { .family = v6 ? 6 : 4 };
	memcpy(a->octets, wire_ip_dst(ip, v6), v6 ? 16 : 4);
	return a;
}

static void
answer_send(struct worker *w, const struct rte_mbuf *m)
{
	struct icmp_worker *iw = w->icmp;
	const struct pkt *p = pkt_of(m);
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v6 = (p->flags & PKT_V6) != 0;
	const struct addr *src = NULL;
	struct addr farther;
	struct rte_mbuf *answer;

	if (w->view->icmp != NULL && (p->marks & PKT_FROM_HOST) != 0)
		src = farther_set(&farther, ip, v6);
	else if (w->view->icmp != NULL)
		src = icmp_source_for(w->view->icmp, ip, v6, p->port,
				      (p->flags & PKT_FROM_SA) != 0);
	if (src != NULL && !icmp_may_answer(w->view->icmp, m)) {
		cell_add(&iw->count.forbidden, 1);
		return;
	}
	if (src == NULL) {
		cell_add(&iw->count.no_source, 1);
		return;
	}
	if (!icmp_rate_take(iw, w->now, ip, v6)) {
		cell_add(&iw->count.limited, 1);
		return;
	}
	answer = answer_make(w, m, src, v6);
	if (answer == NULL) {
		cell_add(&iw->count.no_mbuf, 1);
		return;
	}
	cell_add(p->reply == ICMP_REPLY_TOO_BIG ? &iw->count.too_big : &iw->count.time_exceeded, 1);
	cell_add(&w->generated[GENERATED_ICMP], 1);
	pipe_push(w, (p->marks & PKT_FROM_HOST) != 0 ? STAGE_PUNT : STAGE_SPD_MATCH, answer);
}

uint16_t
icmp_reply(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		uint8_t kind = pkt_of(pkts[i])->reply;

		assert(kind == ICMP_REPLY_TOO_BIG || kind == ICMP_REPLY_TIME_EXCEEDED);
		answer_send(w, pkts[i]);
		drop(w, pkts[i], kind == ICMP_REPLY_TOO_BIG ? DROP_TOO_BIG : DROP_TTL);
	}
	return 0;
}
