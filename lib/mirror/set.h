/* The mirrors of a gateway; between the files of lib/mirror only. */
#ifndef MIRROR_SET_H
#define MIRROR_SET_H

#include "base/clock.h"
#include "mirror/mirror.h"
#include "mirror/tap.h"
#include "port/port.h"

struct mirror {
	struct mirrors *set;
	const struct port *port; /* NULL: the port has no mirror */
	bool is_tap;
	struct tap tap;
	struct port *device; /* of set->devices */
	struct mirror_counters count;
};

struct mirrors {
	struct mirrors_params params;
	struct clock clock;	/* for `devices`; nobody asks it */
	struct ports *devices;	/* the DPDK devices that are mirrors */
	struct rte_mbuf *spare; /* for the next frame of a tap */
	bool running;
	uint32_t mask;
	uint32_t idle_ticks;
	struct mirror list[PORTS_MAX]; /* by port */
};

/* Reads from a mirror and gives to workers, at most so many frames. Returns how many it read. */
uint32_t mirror_read(struct mirror *x, uint32_t max);

#endif
