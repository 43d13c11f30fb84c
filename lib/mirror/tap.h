/* A kernel interface that this process is the other end of. Inside lib/mirror only.
 *
 * It is not persistent: it goes with the process, however that ends.
 */
#ifndef MIRROR_TAP_H
#define MIRROR_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_ether.h>

#include "base/err.h"

#define TAP_NAME_SIZE 16 /* IFNAMSIZ */

struct rte_mbuf;

struct tap {
	int fd; /* -1: none */
	uint32_t ifindex;
	uint16_t mtu;
	bool carrier;
	char name[TAP_NAME_SIZE];
};

/* Makes the interface, up and with forwarding off. warn: what could not be done and is no reason to
 * stop, empty if all could. port is whose mirror it is, for sentences. -EBUSY: the name is in use.
 */
int tap_open(struct tap *tap, const char *port, const char *name, const struct rte_ether_addr *mac,
	     uint16_t mtu, struct err *warn, struct err *err);
void tap_close(struct tap *tap);

/* The next frame that the kernel sends, into an empty mbuf: its octets, cut to what fits. 0: there
 * is none; or a negative errno. */
int tap_read(const struct tap *tap, struct rte_mbuf *m);
/* The same, and throws it away: the octets that were looked at. */
int tap_skip(const struct tap *tap);
/* False: the kernel did not take it. The mbuf stays the caller's. */
bool tap_write(const struct tap *tap, const struct rte_mbuf *m);

/* Nothing happens if it is so already. */
void tap_carrier_set(struct tap *tap, bool carrier);
void tap_mtu_set(struct tap *tap, uint16_t mtu);

#endif
