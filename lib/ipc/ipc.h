/* The control socket: daemons and `ip xfrm` by XFRM messages, espctl by commands (proto.h).
 *
 * Nothing here blocks, and nobody can hold up anybody else: each turn of the loop serves whoever is
 * ready, in turn, for some milliseconds in all. What a client does not read waits for it: answers
 * for as long as it takes, and meanwhile its requests wait too; events up to IPC_EVENTS_MAX octets,
 * behind which they are lost and NLMSG_OVERRUN says so. Descriptors that come along are closed.
 *
 * Control's thread only.
 */
#ifndef IPC_IPC_H
#define IPC_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ipc/proto.h"

#define IPC_CLIENTS_MAX	 1024
#define IPC_CLIENTS_ROOT 64 /* of them are kept for root */
#define IPC_EVENTS_MAX	 (1u << 20)

struct cli;
struct daemon_client;
struct ipc;
struct poller;

/* What serves XFRM messages; all NULL: nothing does, and they are refused. */
struct ipc_xfrm {
	void *ctx;
	/* Instance, groups and program are known, or are others now. */
	int (*hello)(void *ctx, struct daemon_client *c, struct err *err);
	/* One message or several, whole; answers by ipc_reply(). */
	void (*request)(void *ctx, struct daemon_client *c, const void *datagram, size_t len);
	/* There is room and c->dumping is set: the next datagram, by ipc_reply(). */
	bool (*dump_more)(void *ctx, struct daemon_client *c);
	void (*gone)(void *ctx, struct daemon_client *c);
};

struct ipc_options {
	const char *path;
	const char *group; /* who may read; looked at again by ipc_share() */
	struct poller *poller;
	struct cli *cli; /* for commands; NULL: there are none */
};

/* Listens. All is borrowed as long as it lives. Errors: those of listener_open(), -ENOMEM. */
int ipc_create(const struct ipc_options *options, struct ipc **ipc, struct err *err);
/* What serves XFRM messages from now on. */
void ipc_serve(struct ipc *ipc, const struct ipc_xfrm *xfrm);
/* Ends all connections and takes the socket away. NULL is fine. */
void ipc_free(struct ipc *ipc);

/* Serves, after each poller_wait(). True: somebody still waits, so the loop should not. NULL is
 * fine. */
bool ipc_run(struct ipc *ipc);

/* The group that may read has, or may have, another name: for those who call from now on. */
void ipc_share(struct ipc *ipc, const char *group);

/* An answer to a client, by its id: lost if it has gone. ctx is the ipc; as daemon_out wants it. */
void ipc_reply(void *ctx, uint64_t client, const void *datagram, size_t len);
/* An event for all who listen to that group, 1 to 8. */
void ipc_event(void *ctx, unsigned int group, const void *datagram, size_t len);
/* What a client, by its id, is told from now on waits, in its order, until ipc_release() of that
 * ticket or a later one. Tickets only rise. */
void ipc_hold(void *ctx, uint64_t client, uint64_t ticket);
void ipc_release(void *ctx, uint64_t ticket);
/* Whether anybody listens to that group. */
bool ipc_listens(const struct ipc *ipc, unsigned int group);

#endif
