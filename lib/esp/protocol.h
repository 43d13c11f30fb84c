/* SAs whose ESP a port's device makes and takes off whole (OFFLOAD_PROTOCOL of port/offload.h).
 *
 * Out, a packet goes down ESP's line as it is, marked for the device, and is ESP once it is sent.
 * In, it comes as a packet in clear with the device's result, which names its SA: it goes to the
 * SA's owner, and from replay_check to inline_in.
 */
#ifndef ESP_PROTOCOL_H
#define ESP_PROTOCOL_H

#include <stdbool.h>

#include "stats/drops.h"

struct rte_mbuf;
struct worker;

/* Out, of an SA with SA_INLINE: whether its device makes all of the packet; it is marked then. If
 * not, *why: DROP_NONE where software may do it; or DROP_OFFLOAD_LOST, as the device numbers what
 * is sent and software would not know how.
 */
bool protocol_out(struct worker *w, struct rte_mbuf *m, enum drop_reason *why);

/* In, of a packet in clear with RTE_MBUF_F_RX_SEC_OFFLOAD that classify has described. True: it is
 * gone, to its SA's owner or under a name. Drops offload_stale, icv_fail.
 */
bool protocol_in(struct worker *w, struct rte_mbuf *m);

/* In, of an ESP packet of an SA with SA_INLINE: whether a device keeps the SA's window, and nobody
 * can say if the number was seen. */
bool protocol_has_window(const struct worker *w, const struct rte_mbuf *m);

#endif
