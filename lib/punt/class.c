#include "punt/class.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "punt/punt_stage.h"
#include "punt/worker.h"
#include "wire/ip.h"
#include "worker/worker.h"

#define PORT_IKE	 RTE_BE16(500)
#define PROTO_OSPF	 89
#define PROTO_EIGRP	 88
#define PROTO_PIM	 103
#define PROTO_VRRP	 112
#define ETHER_ISO	 0x0600 /* below: a length, then LLC: IS-IS (ISO 10589) */
#define MLD2_REPORT	 143	/* RFC 3810 */
#define ICMP_UNREACHABLE 3
#define ICMP_NEEDS_DF	 4   /* code: fragmentation needed and DF set (RFC 1191) */
#define ND_HOP_LIMIT	 255 /* RFC 4861 section 6.1.1: nobody further away than the link */

/* Of UDP, but for LDP and BGP, which are TCP's; either end may have them. */
static const uint16_t routing_udp_be[] = {
	RTE_BE16(520),	/* RIP */
	RTE_BE16(521),	/* RIPng */
	RTE_BE16(646),	/* LDP */
	RTE_BE16(3784), /* BFD, RFC 5881 */
	RTE_BE16(3785), /* BFD echo */
	RTE_BE16(4784), /* BFD over several hops, RFC 5883 */
	RTE_BE16(6784), /* BFD on members of a bundle, RFC 7130 */
	RTE_BE16(7784), /* seamless BFD, RFC 7881 */
	RTE_BE16(6696), /* Babel */
};
static const uint16_t routing_tcp_be[] = { RTE_BE16(179), RTE_BE16(646) };

static bool
has_port(const uint16_t *list, size_t n, const uint16_t ports[2])
{
	for (size_t i = 0; i < n; i++)
		if (ports[0] == list[i] || ports[1] == list[i])
			return true;
	return false;
}

/* n octets of the upper layer, if they are in the first segment; NULL if not. */
static const uint8_t *
upper(const struct rte_mbuf *m, uint16_t n)
{
	const struct pkt *p = pkt_of(m);

	if ((p->flags & PKT_FRAG_LATER) != 0 || p->l4_off + n > m->data_len)
		return NULL;
	return rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);
}

static bool
ports_of(const struct rte_mbuf *m, uint16_t ports[2])
{
	const uint8_t *at = upper(m, 4);

	if (at == NULL)
		return false;
	memcpy(ports, at, 4);
	return true;
}

static bool
is_discovery(const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *icmp = upper(m, 1);

	/* RFC 6980: never in fragments. */
	return icmp != NULL && p->proto == IPPROTO_ICMPV6 &&
	       (p->flags & (PKT_V6 | PKT_FRAG_FIRST)) == PKT_V6 && (p->marks & PKT_REASM) == 0 &&
	       icmp[0] >= ND_ROUTER_SOLICIT && icmp[0] <= ND_REDIRECT &&
	       rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *)->hop_limits == ND_HOP_LIMIT;
}

/* Multicast listeners: queries, reports of both versions, done. */
static bool
is_mld(const struct rte_mbuf *m)
{
	const uint8_t *icmp = upper(m, 1);

	return icmp != NULL &&
	       ((icmp[0] >= MLD_LISTENER_QUERY && icmp[0] <= MLD_LISTENER_REDUCTION) ||
		icmp[0] == MLD2_REPORT);
}

static enum punt_class
udp_class(const struct rte_mbuf *m)
{
	uint16_t ports[2];

	/* Large IKE messages come in fragments: without the later ones the first is worth nothing.
	 */
	if ((pkt_of(m)->flags & PKT_FRAG_LATER) != 0)
		return PUNT_IKE;
	if (!ports_of(m, ports))
		return PUNT_REST;
	if (ports[1] == PORT_IKE || (pkt_of(m)->flags & PKT_UDP_ENCAP) != 0)
		return PUNT_IKE;
	return has_port(routing_udp_be, RTE_DIM(routing_udp_be), ports) ? PUNT_ROUTING : PUNT_REST;
}

bool
punt_is_too_big(const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *icmp = upper(m, 2);

	if (icmp == NULL || (p->flags & PKT_FRAG_FIRST) != 0)
		return false;
	if ((p->flags & PKT_V6) != 0)
		return p->proto == IPPROTO_ICMPV6 && icmp[0] == ICMP6_PACKET_TOO_BIG;
	return p->proto == IPPROTO_ICMP && icmp[0] == ICMP_UNREACHABLE && icmp[1] == ICMP_NEEDS_DF;
}

/* What came out of an SA, or is our own host's, says nothing of the path that our ESP takes. */
static enum punt_class
icmp_class(const struct rte_mbuf *m)
{
	if (punt_has_frame(pkt_of(m)) && punt_is_too_big(m))
		return PUNT_ERRORS;
	if (pkt_of(m)->proto == IPPROTO_ICMP)
		return PUNT_REST;
	return is_discovery(m) ? PUNT_NEIGH : is_mld(m) ? PUNT_ROUTING : PUNT_REST;
}

static enum punt_class
frame_class(const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		return PUNT_NEIGH;
	return rte_be_to_cpu_16(eth->ether_type) < ETHER_ISO ? PUNT_ROUTING : PUNT_REST;
}

enum punt_class
punt_class_of(const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	uint16_t ports[2];

	if (p->l4_off == 0)
		return frame_class(m);
	switch (p->proto) {
	case IPPROTO_UDP:
		return udp_class(m);
	case IPPROTO_TCP:
		return ports_of(m, ports) &&
				       has_port(routing_tcp_be, RTE_DIM(routing_tcp_be), ports) ?
			       PUNT_ROUTING :
			       PUNT_REST;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return icmp_class(m);
	case IPPROTO_IGMP:
	case PROTO_OSPF:
	case PROTO_EIGRP:
	case PROTO_PIM:
	case PROTO_VRRP:
		return PUNT_ROUTING;
	}
	return PUNT_REST;
}

static uint64_t
mac_of(const struct rte_ether_addr *mac)
{
	uint64_t key = 0;

	memcpy(&key, mac, sizeof(*mac));
	return key;
}

uint64_t
punt_source_of(const struct rte_mbuf *m, enum punt_class class)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);

	if (p->l4_off == 0)
		return mac_of(&((const struct rte_ether_hdr *)ip)->src_addr);
	if (class == PUNT_NEIGH && punt_has_frame(p))
		return mac_of(&punt_frame_of(m)->src_addr);
	if ((p->flags & PKT_V6) == 0)
		return wire_load32(wire_ip_src(ip, false));
	/* Who has one address of a /64 has all of them. */
	return wire_load64(wire_ip_src(ip, true));
}

bool
punt_is_exempt(const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	/* A later fragment is put together with a first one only, which was judged by its ports. */
	return is_discovery(m) || (p->proto == IPPROTO_UDP && udp_class(m) == PUNT_IKE);
}

/* What a datagram's fragments have in common: 20 octets or less of their headers. */
static uint64_t
datagram_of(const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v6 = (p->flags & PKT_V6) != 0;
	const uint8_t *pair = wire_ip_src(ip, v6);
	uint64_t hash = wire_load32(v6 ? ip + p->l4_off - 4 : ip + 4);

	if (!v6)
		hash &= RTE_BE32(UINT32_C(0xffff0000));
	for (int i = 0; i < (v6 ? 32 : 8); i += 8)
		hash = (hash ^ wire_load64(pair + i)) * UINT64_C(0x9e3779b97f4a7c15);
	return hash | 1;
}

bool
punt_own_is_exempt(struct worker *w, const struct rte_mbuf *m)
{
	struct punt_worker *pw = w->punt;
	const struct pkt *p = pkt_of(m);
	uint16_t ports[2];
	uint64_t id;

	if (is_discovery(m))
		return true;
	if (p->proto != IPPROTO_UDP)
		return false;
	if ((p->flags & PKT_FRAG_LATER) != 0) {
		id = datagram_of(m, p);
		for (int i = 0; i < PUNT_DATAGRAMS; i++)
			if (pw->datagrams[i] == id)
				return true;
		return false;
	}
	if (!ports_of(m, ports) || (ports[0] != PORT_IKE && !view_takes_udp(w->view, ports[0])))
		return false;
	if ((p->flags & PKT_FRAG_FIRST) != 0)
		pw->datagrams[pw->next_datagram++ % PUNT_DATAGRAMS] = datagram_of(m, p);
	return true;
}
