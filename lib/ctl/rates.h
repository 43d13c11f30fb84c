/* How fast outbound SAs of IP-TFS are, for who has to know: the log, and daemons by gw->hooks.
 *
 * Told are a circuit breaker that opens and is closed, a rate of congestion control that is half or
 * twice of what was told last, and, once, a constant rate that the SA's worker does not make. The
 * sweep asks for each SA; control's thread only.
 */
#ifndef CTL_RATES_H
#define CTL_RATES_H

#include "ctl/gw.h"

#define RATES_PAUSE_S \
	5 /* between two rates of congestion control that are told of an SA, at least */

enum rates_what {
	RATES_STOPPED, /* its circuit breaker has opened */
	RATES_GOES_ON, /* and was closed */
	RATES_CHANGED, /* congestion control allows half, or twice, of what was told last */
};

struct rates_event {
	uint32_t sa;
	enum rates_what what;
	uint32_t packets_per_second; /* that congestion control allows; 0: it has none */
	uint64_t bits_per_second;    /* that were asked for */
};

/* For SAs of other modes, inbound ones and those without a rate it costs a test. */
void rates_look(struct gw *gw, uint32_t sa, uint64_t now);

#endif
