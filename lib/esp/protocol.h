/* SAs whose ESP a port's device makes and takes off whole (OFFLOAD_PROTOCOL of port/offload.h).
 *
 * Out, a packet goes down ESP's line as it is, marked for the device (mark.h), and is ESP once it
 * is sent. In, it comes as a packet in clear with the device's result, which names its SA: it goes
 * to the SA's owner, and from replay_check to inline_in.
 */
#ifndef ESP_PROTOCOL_H
#define ESP_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct worker;

/* In, packets that offload_says() something of and that classify has described. As a stage: stays
 * what no device took out of ESP; the rest is gone, to its SA's owner or under a name. Drops
 * offload_stale, icv_fail, replay_zero.
 */
uint16_t protocol_in(struct worker *w, struct rte_mbuf **pkts, uint16_t n);

/* In, of an ESP packet of an SA with SA_INLINE: whether a device keeps the SA's window, and nobody
 * can say if the number was seen. */
bool protocol_has_window(const struct worker *w, const struct rte_mbuf *m);

#endif
