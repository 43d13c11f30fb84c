/* A next hop: everything a packet needs to leave, in one cache line.
 *
 * Control re-points a next hop in place: its id is the same for the life of what refers to it (a
 * route, an SA), whatever becomes of the neighbour. A burst may see the old or the new, never half
 * of each: dst and the flags change with one store each, the address before the flag that makes it
 * valid.
 */
#ifndef ROUTE_HOP_H
#define ROUTE_HOP_H

#include <stdint.h>

#include <rte_common.h>

#define HOP_L2_SIZE 14
#define HOPS_SIZE                                                                               \
	65536 /* by uint16_t: every id can be looked at; NEXT_HOP_NONE is a next hop that leads \
		 nowhere */
#define HOP_LOCAL   0 /* the one of all our own addresses */
#define HOP_REFUSED 1 /* of routes that say: nowhere */
#define HOP_FIRST   2 /* that leads somewhere */

enum hop_flags {
	HOP_HAS_MAC = 1 << 0, /* l2 is complete */
	HOP_IS_LOCAL = 1 << 1,
	HOP_NOWHERE = 1 << 2, /* no route */
	HOP_ON_LINK = 1 << 3, /* of a prefix on the link: the neighbour is the destination itself,
				 and not known */
};

struct next_hop {
	union {
		uint8_t l2[HOP_L2_SIZE]; /* dst, src, EtherType: ready to be copied */
		uint64_t l2_head;	 /* dst and two octets of src: one store */
	};
	uint8_t port; /* index of lib/port */
	uint8_t flags;
	uint16_t mtu;
	uint8_t side;	/* enum port_side */
	uint8_t family; /* 4 or 6 */
	uint8_t address[16];
	uint8_t room[24];
} __rte_cache_aligned;
_Static_assert(sizeof(struct next_hop) == 64, "one line a next hop");

#endif
