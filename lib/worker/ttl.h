/* TTL and hop limit, counted down once on a packet's way. */
#ifndef WORKER_TTL_H
#define WORKER_TTL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ip.h>

#include "wire/bytes.h"
#include "worker/worker.h"

/* One 32-bit word holds TTL, protocol and checksum: counted down as one (RFC 1624 section 4). */
static inline bool
ttl4_count(uint8_t *ip)
{
	uint8_t *at = ip + offsetof(struct rte_ipv4_hdr, time_to_live);
	uint32_t word = wire_load32(at);

	if (unlikely((word & 0xff) <= 1))
		return false;
	/* The checksum, the upper half, gets big-endian 0x0100 more for one less in the word's
	 * first octet, and one more yet if that fills or overflows it. */
	if (unlikely(word >= UINT32_C(0xfffe0000)))
		word += UINT32_C(0x10000);
	word += UINT32_C(0x10000) - 1;
	memcpy(at, &word, sizeof(word));
	return true;
}

static inline bool
ttl6_count(uint8_t *ip)
{
	uint8_t *hops = ip + offsetof(struct rte_ipv6_hdr, hop_limits);

	if (unlikely(*hops <= 1))
		return false;
	*hops -= 1;
	return true;
}

/* Counts the TTL of a packet down that is sent on: once (PKT_TTL_DONE), and never of our own
 * (PKT_OWN). The data begin with the IP header. False: no hop is left, and the packet went to
 * STAGE_ICMP_REPLY as ICMP_REPLY_TIME_EXCEEDED.
 */
static inline bool
ttl_count(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

	if ((p->flags & (PKT_OWN | PKT_TTL_DONE)) != 0)
		return true;
	if (unlikely(!((p->flags & PKT_V6) != 0 ? ttl6_count(ip) : ttl4_count(ip)))) {
		p->reply = ICMP_REPLY_TIME_EXCEEDED;
		pipe_push(w, STAGE_ICMP_REPLY, m);
		return false;
	}
	p->flags |= PKT_TTL_DONE;
	return true;
}

#endif
