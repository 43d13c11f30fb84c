/* ICMP that we send: errors about packets that could not go on (RFC 792, 1812 section 4.3, 4443).
 *
 * A stage that gives a packet up sets pkt.reply (worker/pkt.h) and pushes it to STAGE_ICMP_REPLY.
 * There it ends under its drop reason, whether or not its sender is told.
 */
#ifndef ICMP_ICMP_H
#define ICMP_ICMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "worker/pkt.h"

struct icmp_sources;
struct icmp_worker;

/* Per worker. */
struct icmp_limits {
	uint32_t per_second; /* 1 … 1,000,000 */
	uint32_t burst;	     /* at least 1 */
	uint32_t pause_ms;   /* between two about one pair of addresses; 0 = none */
};
extern const struct icmp_limits icmp_limits_default; /* 1000, 50, 100 */

/* limits NULL = icmp_limits_default. -EINVAL: out of range; -ENOMEM. */
int icmp_worker_init(const struct icmp_limits *limits, int socket, struct icmp_worker **out,
		     struct err *err);
void icmp_worker_fini(struct icmp_worker *iw);

struct icmp_counters {
	uint64_t too_big, time_exceeded; /* sent */
	uint64_t limited;		 /* not sent: over a rate */
	uint64_t forbidden; /* not sent: about an ICMP error, a later fragment, or from or to no
			       single station */
	uint64_t no_source; /* not sent: no address of the family here */
	uint64_t no_mbuf;
};

/* Any thread. */
struct icmp_counters icmp_counters(const struct icmp_worker *iw);

/* An address of ours on a port. */
struct icmp_source {
	struct addr addr;
	uint8_t len; /* of the prefix on the link */
	uint8_t port;
	bool red;
};

/* The addresses that answers may come from, for struct view. Control makes a new one when they
 * change, and frees the old one a grace period after its view. The list is copied. n = 0 is fine:
 * no answers.
 */
int icmp_sources_create(const struct icmp_source *list, uint32_t n, struct icmp_sources **out,
			struct err *err);
void icmp_sources_free(struct icmp_sources *sources);

/* Which of them answers about the IP packet at ip, or NULL.
 *
 * About one that came in clear: that of the port it came by, best the one on the sender's link.
 * About one that came out of an SA: a red one, best that on the destination's link, since the
 * answer goes back through a tunnel whose selectors know the protected side. Failing these, any of
 * the family.
 */
const struct addr *icmp_source_for(const struct icmp_sources *sources, const uint8_t *ip, bool v6,
				   uint8_t port, bool from_sa);

/* The one that has this address, 4 or 16 octets as in a packet; NULL: no port has it. */
const struct icmp_source *icmp_source_of(const struct icmp_sources *sources, const uint8_t *addr,
					 bool v6);

#endif
