#include "aggfrag/cc_header.h"

#include <stddef.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#include "wire/aggfrag.h"

#define RTT_SHIFT  42
#define ECHO_SHIFT 21

void
aggfrag_cc_header_write(const struct aggfrag_cc_header *h, uint8_t *at)
{
	uint64_t delays = (uint64_t)RTE_MIN(h->rtt_us, AGGFRAG_CC_RTT_MAX) << RTT_SHIFT |
			  (uint64_t)RTE_MIN(h->echo_delay_us, AGGFRAG_CC_DELAY_MAX) << ECHO_SHIFT |
			  RTE_MIN(h->gap_us, AGGFRAG_CC_DELAY_MAX);
	struct wire_aggfrag_cc wire = {
		.head = { .sub_type = WIRE_AGGFRAG_CC,
			  .flags = (uint8_t)((h->probing ? WIRE_AGGFRAG_P : 0) |
					     (h->marked ? WIRE_AGGFRAG_E : 0)) },
		.loss_event_rate = rte_cpu_to_be_32(h->loss_rate),
		.delays = rte_cpu_to_be_64(delays),
		.tval = rte_cpu_to_be_32(h->tval),
		.techo = rte_cpu_to_be_32(h->techo),
	};

	memcpy(at, &wire, offsetof(struct wire_aggfrag, block_offset));
	memcpy(at + WIRE_AGGFRAG_HEADER, &wire.loss_event_rate, sizeof(wire) - WIRE_AGGFRAG_HEADER);
}

bool
aggfrag_cc_header_read(const uint8_t *at, uint32_t len, struct aggfrag_cc_header *h)
{
	struct wire_aggfrag_cc wire;
	uint64_t delays;

	if (len < sizeof(wire) || at[0] != WIRE_AGGFRAG_CC)
		return false;
	memcpy(&wire, at, sizeof(wire));
	delays = rte_be_to_cpu_64(wire.delays);
	*h = (struct aggfrag_cc_header) {
		.loss_rate = rte_be_to_cpu_32(wire.loss_event_rate),
		.rtt_us = (uint32_t)(delays >> RTT_SHIFT),
		.echo_delay_us = (uint32_t)(delays >> ECHO_SHIFT) & AGGFRAG_CC_DELAY_MAX,
		.gap_us = (uint32_t)delays & AGGFRAG_CC_DELAY_MAX,
		.tval = rte_be_to_cpu_32(wire.tval),
		.techo = rte_be_to_cpu_32(wire.techo),
		.probing = (wire.head.flags & WIRE_AGGFRAG_P) != 0,
		.marked = (wire.head.flags & WIRE_AGGFRAG_E) != 0,
	};
	return true;
}
