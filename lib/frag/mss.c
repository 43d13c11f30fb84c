#include "frag/mss.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>
#include <rte_tcp.h>

#include "wire/sum.h"
#include "worker/mbufs.h"
#include "worker/pkt.h"

#define HEADER_MAX 60

enum {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2,
	OPTION_MSS_SIZE = 4,
};

/* The value is at `at` of the header, on an odd octet maybe: then its two octets are of two words
 * of the sum, each the other half.
 */
static bool
lower(struct rte_tcp_hdr *tcp, uint16_t at, uint16_t mss)
{
	uint8_t *value = (uint8_t *)tcp + at;
	uint16_t old = wire_load16(value), new = wire_swap16(mss);

	if (wire_swap16(old) <= mss)
		return false;
	memcpy(value, &new, sizeof(new));
	if (at % 2 != 0) {
		old = wire_swap16(old);
		new = wire_swap16(new);
	}
	tcp->cksum = wire_checksum_update16(tcp->cksum, old, new);
	return true;
}

static bool
options_walk(struct rte_tcp_hdr *tcp, uint16_t len, uint16_t mss)
{
	const uint8_t *octets = (const uint8_t *)tcp;
	uint16_t at = sizeof(*tcp);
	bool changed = false;

	while (at + 1 < len && octets[at] != OPTION_END) {
		uint8_t size = octets[at + 1];

		if (octets[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (size < 2 || size > len - at)
			break;
		if (octets[at] == OPTION_MSS && size == OPTION_MSS_SIZE)
			changed |= lower(tcp, at + 2, mss);
		at += size;
	}
	return changed;
}

bool
mss_clamp(struct rte_mbuf *m, uint16_t mtu)
{
	const struct pkt *p = pkt_of(m);
	uint16_t ip = (p->flags & PKT_V6) != 0 ? sizeof(struct rte_ipv6_hdr) :
						 sizeof(struct rte_ipv4_hdr);
	uint16_t headers = ip + sizeof(struct rte_tcp_hdr), len;
	struct rte_tcp_hdr *tcp;

	if (p->proto != IPPROTO_TCP || (p->flags & PKT_FRAG_LATER) != 0 || mtu <= headers)
		return false;
	if (unlikely(m->nb_segs > 1) && !mbuf_pull(m, p->l4_off + HEADER_MAX))
		return false;
	if (m->data_len < p->l4_off + sizeof(*tcp))
		return false;
	tcp = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, p->l4_off);
	len = (tcp->data_off >> 4) * 4;
	if ((tcp->tcp_flags & RTE_TCP_SYN_FLAG) == 0 || len < sizeof(*tcp) ||
	    p->l4_off + len > m->data_len)
		return false;
	return options_walk(tcp, len, mtu - headers);
}
