/* Totals for DPDK's telemetry socket, for collectors that know it already:
 *
 *	/espgw/totals	what came, went and stayed: the sums that balance
 *	/espgw/drops	packets dropped, by reason
 *	/espgw/ports	ports by number: counters and link
 *	/espgw/mirrors	classes of packets for our own host by number: given, and too much
 *	/espgw/sas	the file's first SAs by number: packets, bytes, drops
 *
 * All since the start, nothing can be changed, no key is shown. Telemetry asks in a thread of its
 * own: what it gets is a copy that control makes once a second, never the gateway itself.
 */
#ifndef TELEM_TELEM_H
#define TELEM_TELEM_H

#include "base/err.h"
#include "ctl/gw.h"

#define TELEM_SAS_MAX 64 /* what fits an answer */

/* Registers the commands; before or after EAL is up. There is no way back in DPDK, so they answer
 * from the last copy, also when the gateway is gone. -errno.
 */
int telem_init(struct err *err);

/* Control, as often as it likes: makes the copy anew once a second. */
void telem_tick(const struct gw *gw);

#endif
