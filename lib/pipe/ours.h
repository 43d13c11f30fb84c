/* Our own addresses, as the stages ask for them. */
#ifndef PIPE_OURS_H
#define PIPE_OURS_H

#include "port/port.h"
#include "route/fib.h"
#include "worker/worker.h"

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
