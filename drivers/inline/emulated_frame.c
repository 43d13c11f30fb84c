#include "emulated.h"

#include <netinet/in.h>

#include <rte_esp.h>
#include <rte_ether.h>
#include <rte_udp.h>

#include "wire/ip.h"

/* There may be two VLAN tags. */
uint16_t
nic_link_header(const uint8_t *frame, uint32_t len)
{
	uint16_t at = offsetof(struct rte_ether_hdr, ether_type);

	for (int tags = 0; tags < 3 && at + 2u <= len; tags++) {
		uint16_t type = wire_be16(frame + at);

		if (type != RTE_ETHER_TYPE_VLAN && type != RTE_ETHER_TYPE_QINQ)
			return at + 2;
		at += sizeof(struct rte_vlan_hdr);
	}
	return 0;
}

uint8_t
nic_frame_tos(const struct nic_frame *at)
{
	return at->v6 ? (uint8_t)(wire_be16(at->ip) >> 4) : at->ip[1];
}

void
nic_cut_to(struct rte_mbuf *m, uint32_t len)
{
	struct rte_mbuf *s = m;
	uint32_t left = len;

	m->pkt_len = len;
	while (left > s->data_len) {
		left -= s->data_len;
		s = s->next;
	}
	s->data_len = (uint16_t)left;
	if (s->next == NULL)
		return;
	rte_pktmbuf_free(s->next);
	s->next = NULL;
	m->nb_segs = 1;
	for (s = m; s->next != NULL; s = s->next)
		m->nb_segs++;
}

/* Of the type that the link layer's header names. */
static bool
is_of_type(const uint8_t *ip)
{
	uint16_t type = wire_be16(ip - 2);

	return type == (ip[0] >> 4 == 6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
}

/* ESP in UDP: it fills the IP packet, and does not begin with four zeros, which are IKE's. */
static bool
is_in_udp(const uint8_t *udp, uint32_t len, uint32_t payload)
{
	return len >= sizeof(struct rte_udp_hdr) + 4 &&
	       wire_be16(udp + offsetof(struct rte_udp_hdr, dgram_len)) == payload &&
	       wire_load32(udp + sizeof(struct rte_udp_hdr)) != 0;
}

bool
nic_frame_find(const struct rte_mbuf *m, uint32_t frame, bool ours, struct nic_frame *at)
{
	const uint8_t *begin = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t l2 = nic_link_header(begin, m->data_len);
	struct ip_info ip;

	if (l2 == 0 || m->data_len <= l2 || !is_of_type(begin + l2) ||
	    wire_ip_parse_sum(begin + l2, m->data_len - l2, frame - l2, ours, &ip) != WIRE_OK ||
	    (ip.flags & (IP_INFO_FRAG_FIRST | IP_INFO_FRAG_LATER)) != 0 || ip.l4_off > ip.total)
		return false;
	*at = (struct nic_frame) {
		.ip = begin + l2,
		.l2 = l2,
		.l4 = l2 + ip.l4_off,
		.esp = l2 + ip.l4_off,
		.name = l2 + ip.last_nh_off,
		.total = ip.total,
		.v6 = (ip.flags & IP_INFO_V6) != 0,
		.udp = ip.proto == IPPROTO_UDP,
	};
	if (at->l4 > m->data_len)
		return false;
	if (at->udp) {
		if (!is_in_udp(begin + at->l4, m->data_len - at->l4, ip.total - ip.l4_off))
			return false;
		at->esp += sizeof(struct rte_udp_hdr);
	} else if (ip.proto != IPPROTO_ESP) {
		return false;
	}
	return at->esp + sizeof(struct rte_esp_hdr) <= m->data_len &&
	       at->esp + sizeof(struct rte_esp_hdr) <= at->l2 + at->total;
}
