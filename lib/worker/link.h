/* A link, as routes see it: a port without its device. lib/port fills it in, lib/route is told of
 * it. */
#ifndef WORKER_LINK_H
#define WORKER_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "base/addr.h"

#define LINK_NAME_SIZE	   32
#define LINK_ADDRESSES_MAX 16

enum port_side {
	PORT_RED,
	PORT_BLACK,
};

/* An address of ours and the length of the prefix that is on the link with it. */
struct link_address {
	struct addr addr;
	uint8_t len;
	bool kernel; /* what the kernel gave the port: its prefix is a route of the kernel's, or
			none */
};

struct link {
	uint8_t index; /* below PORTS_MAX; pkt.port, and mbuf.port on the way out */
	enum port_side side;
	uint16_t mtu; /* octets of an IP packet */
	struct rte_ether_addr mac;
	uint8_t n_addresses;
	struct link_address addresses[LINK_ADDRESSES_MAX];
	char name[LINK_NAME_SIZE];
};

#endif
