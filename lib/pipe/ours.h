/* Our own addresses, as the stages ask for them. */
#ifndef PIPE_OURS_H
#define PIPE_OURS_H

#include "port/port.h"
#include "route/fib.h"
#include "worker/worker.h"

#define ETHER_TYPE_EAPOL 0x888e

/* addr: as in a packet. */
static inline bool
is_ours(const struct worker *w, const uint8_t *addr, bool v6)
{
	uint32_t v4;

	if (v6)
		return route_is_local_v6(w->view->route, addr);
	memcpy(&v4, addr, sizeof(v4));
	return route_is_local_v4(w->view->route, v4);
}

/* Of frames that are no IP, those that our own host may exchange with a link: ARP, IS-IS (ISO
 * 10589, LLC), and who may use the link (IEEE 802.1X). Others are about the device itself, as LLDP,
 * or would carry IP past the policies.
 */
static inline bool
is_host_frame(const struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);

	if (type == RTE_ETHER_TYPE_ARP || type == ETHER_TYPE_EAPOL)
		return true;
	return type <= RTE_ETHER_MTU && m->data_len >= RTE_ETHER_HDR_LEN + 2 && frame[14] == 0xfe &&
	       frame[15] == 0xfe;
}

/* Why any other frame that is no IP is not taken. */
static inline enum drop_reason
frame_refusal(const struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);

	return type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ ||
			       type == RTE_ETHER_TYPE_QINQ1 ?
		       DROP_VLAN :
		       DROP_NOT_IP;
}

/* Whether a packet that just came in, its frame's header before the data, was sent to a group or to
 * all stations, on a port with a mirror: those are our own host's business.
 */
static inline bool
is_for_group(const struct worker *w, const struct rte_mbuf *m)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *) - RTE_ETHER_HDR_LEN;

	return unlikely((frame[0] & RTE_ETHER_GROUP_ADDR) != 0) &&
	       (w->view->mirrored >> pkt_of(m)->port & 1) != 0;
}

#endif
