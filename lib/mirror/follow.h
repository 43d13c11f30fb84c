/* Follows the kernel's addresses, routes and neighbours of the mirrors' interfaces, by netlink, and
 * has it find out the next hops that are in use.
 *
 * What is followed goes straight into lib/route, as origin `kernel`:
 *
 *	addresses	told to `addresses`, all but those that the file gave the port; not those
 *that duplicate detection is not through with
 *	routes		of table main, without TOS or source; of one prefix the one of the lowest
 *			metric, of several next hops the first that lives on a mirror; blackhole,
 *			unreachable and prohibit, wherever they are; no link-local prefixes
 *	neighbours	of one host, in any state that has a MAC
 *
 * The kernel sends changes; what it had no room to send is found by a resync, which leaves
 * untouched what is as it was. Control's, all of it; nothing here waits but
 * follow_addresses_set, for the kernel's answer.
 */
#ifndef MIRROR_FOLLOW_H
#define MIRROR_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "worker/link.h"

struct follow;
struct poller;
struct route;
struct unresolved_event;

struct follow_params {
	struct route *route;
	struct poller *poller; /* wakes it; NULL: it is woken by follow_tick alone */
	void *ctx;
	/* The kernel's addresses of a port are these from now on; borrowed. */
	void (*addresses)(void *ctx, uint8_t port, const struct link_address *list, uint8_t n);
	/* A sentence for the log. */
	void (*warn)(void *ctx, const char *sentence);
	/* Takes what would go to the kernel; NULL: it does go there. A negative errno if it fails.
	 */
	int (*send)(void *ctx, const void *message, size_t size);
};

struct follow_counters {
	uint64_t messages, malformed;
	uint64_t resyncs, overruns; /* overruns: the kernel had no room for a change */
	uint64_t asked, ask_failed; /* for a neighbour */
	uint64_t ask_bounded;	    /* hosts not asked for: too many are being waited for */
	uint32_t routes, neighbours, addresses;
	uint32_t routes_refused; /* for which there is no room in lib/route */
};

int follow_create(const struct follow_params *params, struct follow **out, struct err *err);
/* Takes all it told lib/route back. NULL is fine. */
void follow_free(struct follow *f);

/* The mirror of a port is that interface from now on, or none (0). */
void follow_port_set(struct follow *f, uint8_t port, uint32_t ifindex);

/* The addresses that the file gives a port are to be on its interface, and none that it gave
 * before. Waits for the kernel. If it fails, those before the one named in *err are there.
 */
int follow_addresses_set(struct follow *f, uint8_t port, const struct link_address *list, uint8_t n,
			 struct err *err);

/* At every turn of control's loop. */
void follow_tick(struct follow *f, uint64_t now);

/* A packet found no MAC for its next hop: asks the kernel, if it is a next hop of ours or on the
 * link, and not too many are being asked for: who scans a prefix must not fill the kernel's table.
 */
void follow_unresolved(struct follow *f, const struct unresolved_event *e, uint64_t now);

struct follow_counters follow_counters(const struct follow *f);

/* What the socket received: any number of messages. For tests; the socket's come by themselves. */
void follow_feed(struct follow *f, const void *datagram, size_t size);

#endif
