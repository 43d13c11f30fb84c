/* A worker's part: rings, rates, counters. Inside lib/punt only. */
#ifndef PUNT_WORKER_H
#define PUNT_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "punt/punt.h"
#include "worker/pkt.h"

struct rte_ring;

#define PUNT_BUCKETS   1024 /* of a row; power of two */
#define PUNT_DATAGRAMS 32

/* A bucket is the time at which it will be full again (ns). */
struct punt_rate {
	uint64_t interval; /* ns between two frames */
	uint64_t slack;	   /* ns that a burst may run ahead */
	uint64_t buckets[2][PUNT_BUCKETS];
};

struct punt_worker {
	struct rte_ring *up[PUNT_MAX], *down;
	uint64_t seed; /* nobody outside knows who shares a bucket */
	struct punt_counters count;
	/* First fragments of our own key exchange, lately. */
	uint32_t next_datagram;
	uint64_t datagrams[PUNT_DATAGRAMS]; /* 0: none */
	struct punt_rate rates[PUNT_MAX];
};

void punt_rate_init(struct punt_rate *r, const struct punt_limit *limit);
/* Whether the source may send one more; if so it is counted. */
bool punt_rate_take(struct punt_rate *r, uint64_t seed, uint64_t source, uint64_t now);

/* Whether the header of the frame that a packet came in lies before its data: not in front of one
 * that was decrypted or made here.
 */
static inline bool
punt_has_frame(const struct pkt *p)
{
	return (p->flags & (PKT_FROM_SA | PKT_OWN)) == 0 && (p->marks & PKT_FROM_HOST) == 0;
}

static inline const struct rte_ether_hdr *
punt_frame_of(const struct rte_mbuf *m)
{
	return (const struct rte_ether_hdr *)(rte_pktmbuf_mtod(m, const uint8_t *) -
					      RTE_ETHER_HDR_LEN);
}

#endif
