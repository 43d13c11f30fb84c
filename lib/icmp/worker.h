/* A worker's part: rates and counters. Between the files of this module. */
#ifndef ICMP_WORKER_H
#define ICMP_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "icmp/icmp.h"

#define ICMP_SLOTS 1024 /* power of two */

/* Owner only; control reads the counters. */
struct icmp_worker {
	uint64_t interval; /* ns */
	uint64_t slack;	   /* ns: how far a burst may run ahead of the rate */
	uint64_t pause;	   /* ns */
	uint64_t full_at;  /* the time at which the bucket will be full again */
	uint64_t seed;	   /* nobody outside knows who shares a slot */
	struct icmp_counters count;
	uint64_t next[ICMP_SLOTS]; /* by pair of addresses: not before */
};

#endif
