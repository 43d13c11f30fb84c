/* Messages of the kernel's routing socket (rtnetlink), read and written: no state, no socket.
 *
 * Of a message that is too short for what it says it is, or has an attribute of the wrong size,
 * nothing is taken. Lengths in messages are never trusted.
 */
#ifndef MIRROR_KERNEL_H
#define MIRROR_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ether.h>

#include "base/addr.h"

struct nlmsghdr;

#define KERNEL_HOPS_MAX	    32 /* of a route, that are looked at */
#define KERNEL_REQUEST_SIZE 256

enum kernel_kind {
	KERNEL_LINK,
	KERNEL_ADDRESS,
	KERNEL_ROUTE,
	KERNEL_NEIGH,
	KERNEL_NEXTHOP, /* one that routes share */
};

struct kernel_link {
	uint32_t flags; /* IFF_ */
};

struct kernel_address {
	struct addr addr; /* ours */
	uint8_t len;	  /* of the prefix on the link; all bits where the peer is another */
	uint32_t flags;	  /* IFA_F_ */
};

struct kernel_hop {
	uint32_t ifindex;
	struct addr via; /* family 0: the destination is on the link */
	bool dead;
};

struct kernel_route {
	struct prefix to;
	uint32_t table, metric;
	uint8_t type;	  /* RTN_ */
	bool special;	  /* by source or TOS too, or copied from another */
	bool replaces;	  /* the one of that prefix and metric */
	bool first;	  /* before others of that prefix and metric: said so, or no others are */
	bool multipath;	  /* said as one */
	bool hop_foreign; /* a next hop of another family was left out */
	uint8_t n_hops;
	struct kernel_hop hops[KERNEL_HOPS_MAX];
};

struct kernel_neigh {
	struct addr addr;
	uint16_t state; /* NUD_ */
	bool has_mac;
	struct rte_ether_addr mac;
};

struct kernel_message {
	enum kernel_kind kind;
	bool gone;
	uint32_t ifindex; /* of all but routes */
	union {
		struct kernel_link link;
		struct kernel_address address;
		struct kernel_route route;
		struct kernel_neigh neigh;
	};
};

/* One message, whose header's length the caller has held against the buffer's. False: of another
 * kind, or malformed; *out is not to be used then. nlh is aligned as the kernel's are.
 */
bool kernel_parse(const struct nlmsghdr *nlh, struct kernel_message *out);

/* Requests, into room of KERNEL_REQUEST_SIZE octets aligned to 4; they return the size. */
size_t kernel_dump(void *room, uint32_t seq, uint16_t type, uint8_t family);
/* Asks the kernel to find out the MAC of a neighbour, or to look whether it is still right. */
size_t kernel_use(void *room, uint32_t seq, uint32_t ifindex, const struct addr *a);
/* Gives an interface an address, or takes it away; with an answer. */
size_t kernel_address(void *room, uint32_t seq, uint32_t ifindex, const struct addr *a, uint8_t len,
		      bool gone);

#endif
