/* One connection, and what waits for its reader. Inside lib/ipc only. */
#ifndef IPC_CLIENT_H
#define IPC_CLIENT_H

#include <stdio.h>

#include <linux/netlink.h>

#include "base/poller.h"
#include "daemon/daemon.h"
#include "ipc/ipc.h"
#include "ipc/listen.h"

#define CLIENT_LOW  (64u << 10) /* octets waiting: below it more is taken in */
#define CLIENT_TURN 64		/* datagrams that one client is heard in a turn */

struct packet;
struct answer;

struct client {
	struct daemon_client d; /* first */
	struct ipc *ipc;
	int fd;
	uint16_t slot;
	bool in_line; /* is among those to be served */
	bool hung_up, dead;
	bool overrun; /* events were lost, and it is not told yet */
	uint32_t role;
	uint32_t watched;    /* events that the poller waits for */
	struct client *next; /* in line */
	struct packet *first, *last;
	size_t queued;	  /* octets */
	uint64_t held_to; /* what is queued from now on waits for this ticket */
	uint64_t requests, events_lost;
	struct answer *answer; /* what a command says, on its way; NULL: none */
};

struct ipc {
	struct ipc_options options;
	struct ipc_xfrm xfrm;
	struct listener listener;
	struct access access;
	char group[64];
	int spare; /* a descriptor to give up when there is no other */
	uint32_t n_clients;
	uint64_t next_serial;
	bool waiting;	   /* some command had nothing to say when it was asked last */
	uint64_t released; /* tickets up to this one */
	struct client *clients[IPC_CLIENTS_MAX];
	struct client *line, **line_end; /* to be served, in turn */
	uint8_t buffer[IPC_DATAGRAM_MAX + 1];
};

/* Takes a connected socket. NULL: no memory; the socket is the caller's still. */
struct client *client_create(struct ipc *ipc, int fd, uint16_t slot);
/* Closes it; it is in no line any more. */
void client_free(struct client *c);

/* Sends, or keeps until there is room. */
void client_reply(struct client *c, const void *octets, size_t len);
void client_event(struct client *c, const void *octets, size_t len);
/* Answers a request by NLMSG_ERROR. */
void client_error(struct client *c, const struct nlmsghdr *request, int error,
		  const char *sentence);
/* Sends what waits, as far as there is room. */
void client_flush(struct client *c);
/* Tells the poller what this client waits for now. */
void client_watch(struct client *c);

static inline bool
client_has_room(const struct client *c)
{
	return c->queued < CLIENT_LOW;
}

/* Puts it at the end of those to be served. */
void ipc_line_up(struct ipc *ipc, struct client *c);

/* messages.c: all messages of a datagram. */
void client_datagram(struct client *c, const uint8_t *octets, size_t len);

/* command.c: runs a line, whose answer goes on while there is room. */
void command_begin(struct client *c, const struct nlmsghdr *request, uint32_t flags,
		   const char *line);
void command_more(struct client *c);
/* Whether the command that runs has nothing to say for now: then the client is heard. */
bool command_waits(const struct client *c);
void command_stop(struct client *c);
void answer_free(struct answer *a);

/* Prints who is connected, for `show clients`; ctx is the ipc. */
void clients_show(void *ctx, FILE *out, bool json);

#endif
