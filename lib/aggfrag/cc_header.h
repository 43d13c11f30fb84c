/* What a payload of sub-type 1 says of congestion in its 24 octets (RFC 9347 section 6.1.2), in
 * host order and without the wire's limits. Any thread; no state.
 */
#ifndef AGGFRAG_CC_HEADER_H
#define AGGFRAG_CC_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#define AGGFRAG_CC_RTT_MAX   UINT32_C(0x3fffff) /* µs, 4.19 s */
#define AGGFRAG_CC_DELAY_MAX UINT32_C(0x1fffff) /* µs, 2.10 s */

struct aggfrag_cc_header {
	uint32_t loss_rate; /* packets per loss event, of what the writer receives; 0 = no loss */
	uint32_t rtt_us;    /* as the writer believes; 0 = not known */
	uint32_t echo_delay_us; /* since the packet of techo first came to the writer */
	uint32_t gap_us;	/* mean time between two packets that the writer sends */
	uint32_t tval;		/* the writer's clock, µs; 0 is never sent */
	uint32_t techo;		/* the reader's last new tval; 0 = none came yet */
	bool probing; /* P: a path MTU probe is on, and what is missing counts as no loss */
	bool marked;  /* E: loss_rate is of CE marks, too */
};

/* Writes WIRE_AGGFRAG_CC_HEADER octets at `at`, but for the two of the block offset, which are the
 * sender's of blocks. Times beyond what their fields hold are written as the most that these hold.
 */
void aggfrag_cc_header_write(const struct aggfrag_cc_header *h, uint8_t *at);

/* Reads what begins at `at`, of which len octets lie here in one piece. False: shorter than the
 * header, or of another sub-type; *h is as it was. Reserved bits are not looked at.
 */
bool aggfrag_cc_header_read(const uint8_t *at, uint32_t len, struct aggfrag_cc_header *h);

#endif
