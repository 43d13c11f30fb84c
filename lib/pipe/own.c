/* Stages for what our own host sends and receives through mirrors. */
#include "pipe/stages.h"

#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "pipe/ours.h"
#include "punt/punt_stage.h"
#include "wire/ip.h"
#include "worker/mbufs.h"
#include "worker/pkt_fill.h"
#include "worker/worker.h"

/* All that is_own_source() and the policies look at. */
#define HEADERS (RTE_ETHER_HDR_LEN + WIRE_IP6_HEADER + WIRE_EXT_OCTETS_MAX + 16)

static bool
is_unspecified(const uint8_t *addr, bool v6)
{
	return v6 ? (wire_load64(addr) | wire_load64(addr + 8)) == 0 : wire_load32(addr) == 0;
}

/* Ours; one of the link; or none yet, towards a group: DHCP, duplicate address detection. */
static bool
is_own_source(const struct worker *w, const uint8_t *ip, bool v6)
{
	const uint8_t *src = wire_ip_src(ip, v6), *dst = wire_ip_dst(ip, v6);
	bool link_local = v6 && src[0] == 0xfe && src[1] >> 6 == 2;
	bool to_group = wire_is_multicast(dst, v6) || (!v6 && wire_load32(dst) == UINT32_MAX);

	return is_ours(w, src, v6) || link_local || (is_unspecified(src, v6) && to_group);
}

/* Describes the packet in the frame and cuts the frame's header off, which stays before the data.
 * False: no IP, or none that can be read; our own host may send that too.
 */
static bool
describe(struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	bool v6 = eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
	struct ip_info info;

	if (!v6 && eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4))
		return false;
	if (wire_ip_parse((const uint8_t *)(eth + 1), m->data_len - sizeof(*eth),
			  m->pkt_len - sizeof(*eth), &info) != WIRE_OK ||
	    ((info.flags & IP_INFO_V6) != 0) != v6)
		return false;
	rte_pktmbuf_adj(m, sizeof(*eth));
	if (info.total < m->pkt_len)
		mbuf_cut_tail(m, m->pkt_len - info.total);
	pkt_fill(pkt_of(m), &info);
	return true;
}

static bool
is_ip(const struct rte_mbuf *m)
{
	uint16_t type = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->ether_type;

	return type == RTE_BE16(RTE_ETHER_TYPE_IPV4) || type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
}

/* No policy speaks of ARP and the like. What else is no IP, VLANs too, has no business here. */
static void
own_frame(struct worker *w, struct rte_mbuf *m)
{
	if (is_host_frame(m))
		punt_send_as_is(w, m);
	else
		drop(w, m, frame_refusal(m));
}

/* True: the packet goes on to the policies. */
static bool
own_one(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	bool exempt;

	pkt_reset(p, p->port);
	if (m->pkt_len < RTE_ETHER_HDR_LEN || !mbuf_pull(m, HEADERS)) {
		drop(w, m, m->pkt_len < RTE_ETHER_HDR_LEN ? DROP_OUTER_MALFORMED : DROP_BUFFER);
		return false;
	}
	if (!is_ip(m)) {
		own_frame(w, m);
		return false;
	}
	if (!describe(m)) {
		drop(w, m, DROP_OUTER_MALFORMED);
		return false;
	}
	p->flags |= PKT_TTL_DONE;
	p->marks = PKT_FROM_HOST;
	exempt = punt_own_is_exempt(w, m);
	/* Discovery comes from addresses that are not ours yet, too. */
	if (!(exempt && p->proto == IPPROTO_ICMPV6) &&
	    !is_own_source(w, rte_pktmbuf_mtod(m, const uint8_t *), (p->flags & PKT_V6) != 0))
		drop(w, m, DROP_MIRROR_SOURCE);
	else if (exempt)
		punt_send_as_is(w, m);
	else
		return true;
	return false;
}

uint16_t
classify_own(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		if (own_one(w, m))
			pkts[kept++] = m;
	}
	return kept;
}

uint16_t
local_deliver(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		bool v6 = (pkt_of(m)->flags & PKT_V6) != 0;

		if (unlikely(is_ours(w, wire_ip_dst(rte_pktmbuf_mtod(m, const uint8_t *), v6),
				     v6))) {
			pipe_push(w, STAGE_PUNT, m);
			continue;
		}
		pkts[kept++] = m;
	}
	return kept;
}
