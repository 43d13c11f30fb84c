/* What key daemons (charon, pluto) and scripts (`ip xfrm`) install: requests in XFRM messages, who
 * owns what, and events for those who listen. The socket that they come by is lib/ipc's.
 *
 * An owner is a user and an instance: what the preload library drew for a process and says in its
 * hello, so that a reconnect finds its things again.
 *
 * - A daemon is an owner one of whose clients listens, or listened, to ACQUIRE or EXPIRE. Its
 * things are its own. When its last client is gone they are orphans: they forward on until another
 * owner of the user replaces them, but no longer than gateway.orphan_timeout.
 * - Any other owner is a script. Its things have no timeout, and are everyone's of that user.
 * - Keys are shown to the very owner alone; others read zeros, and so do all listeners.
 * - SAs of the file are no one's here: a request that would change one is refused (EPERM).
 *
 * Control's thread only.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "daemon/policy_requests.h"
#include "xfrm/xfrm.h"

#define DAEMON_PROGRAM_SIZE 64

struct daemon_owner;
struct daemons;
struct gw;

/* Where answers and events go. */
struct daemon_out {
	void *ctx;
	/* A datagram for a client, by daemon_client.id. */
	void (*reply)(void *ctx, uint64_t client, const void *datagram, size_t len);
	/* One message for all that listen to a group (enum xfrm_group). */
	void (*event)(void *ctx, unsigned int group, const void *message, size_t len);
	/* Whether anybody listens to a group; NULL: as if somebody always did. */
	bool (*listens)(void *ctx, unsigned int group);
	/* What the client is told from now on waits, in its order, until release() of that ticket
	 * or a later one; NULL, both: nothing waits. */
	void (*hold)(void *ctx, uint64_t client, uint64_t ticket);
	void (*release)(void *ctx, uint64_t ticket);
};

/* A dump under way. */
struct daemon_dump {
	bool of_policies;
	struct policy_dump policies;
	struct xfrm_filter filter;
	uint32_t cursor, changes, seq;
	bool is_through;
};

/* A connection. Its owner (lib/ipc) zeroes it and fills the first part, from the socket and from
 * the client's hello, and may change it by calling daemon_client_hello() again.
 */
struct daemon_client {
	uint64_t id;
	uid_t uid;
	pid_t pid;
	uint64_t instance; /* 0: did not say */
	uint32_t nl_pid;   /* the port id in answers */
	uint32_t groups;   /* that it listens to: XFRM_GROUP_BIT() */
	bool may_change;
	char program[DAEMON_PROGRAM_SIZE];

	bool dumping; /* daemon_dump_more() has more to say */
	/* lib/daemon's own. */
	struct daemon_owner *owner;
	struct daemon_dump dump;
};

/* Sets the hooks of gw. out is copied. -ENOMEM. */
int daemons_create(struct gw *gw, const struct daemon_out *out, struct daemons **daemons,
		   struct err *err);
/* Ends all that anybody installed; between gw_stop() and gw_free(), or with the workers running.
 * All clients are gone. NULL is fine.
 */
void daemons_free(struct daemons *d);

/* Nobody is there any more: answers and events go nowhere from now on. NULL is fine. */
void daemons_mute(struct daemons *d);

/* After a hello: the client's owner, groups and program are known. A client that says none is known
 * by its first request. -ENOMEM.
 */
int daemon_client_hello(struct daemons *d, struct daemon_client *c, struct err *err);
/* Before it is freed. One that was never known is fine. */
void daemon_client_gone(struct daemons *d, struct daemon_client *c);

/* A datagram of one or more requests, which are run in their order. Answers go out by out.reply. */
void daemon_request(struct daemons *d, struct daemon_client *c, const void *datagram, size_t len);

/* While c->dumping: the next datagram of a dump, of at most XFRM_DATAGRAM_MAX octets. False: that
 * was the last one.
 */
bool daemon_dump_more(struct daemons *d, struct daemon_client *c);

/* Now and then, once a second at least: what has had its time. now: ns of the gateway's clock. */
void daemons_tick(struct daemons *d, uint64_t now);

struct daemons_counts {
	uint32_t states, larval, owners;
	uint64_t bytes; /* memory of what is kept here; not of the SAs themselves */
};
void daemons_counts(const struct daemons *d, struct daemons_counts *counts);

#endif
