/* What an SA sends of its own accord: dummies, which hide when it is silent (RFC 4303 section 2.6),
 * and keepalives, which hold a NAT's mapping open (RFC 3948 section 4).
 *
 * For the SA's owner, between two bursts; control says when. index: of an outbound SA that has not
 * been destroyed.
 */
#ifndef ESP_MADE_H
#define ESP_MADE_H

#include <stdint.h>

struct rte_mbuf;
struct worker;

/* Fills pkts with at most n dummies (n <= BURST_MAX) for STAGE_LIFE_COUNT_OUT, counts them as
 * generated, and returns how many: fewer where there are no mbufs. Of a tunnel with a
 * dummy_rate only. Each has the
 * size that the SA pads to; without one any size the tunnel takes.
 */
uint16_t esp_dummies_make(struct worker *w, uint32_t index, struct rte_mbuf **pkts, uint16_t n);

/* A keepalive for STAGE_NEIGH_WRITE_OUT, counted as generated; NULL: no mbuf. Of an SA with UDP
 * encapsulation only, in either mode.
 */
struct rte_mbuf *esp_keepalive_make(struct worker *w, uint32_t index);

#endif
