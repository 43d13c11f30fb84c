#include "ipc/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/message.h"

#define SEND_BUFFER (1 << 20)

struct packet {
	struct packet *next;
	uint64_t ticket; /* not before that */
	size_t len;
	uint8_t octets[];
};

static void
ready(void *ctx, uint32_t events)
{
	struct client *c = ctx;

	c->hung_up |= (events & (EPOLLHUP | EPOLLERR)) != 0;
	ipc_line_up(c->ipc, c);
}

struct client *
client_create(struct ipc *ipc, int fd, uint16_t slot)
{
	struct client *c = calloc(1, sizeof(*c));
	const int size = SEND_BUFFER;

	if (c == NULL)
		return NULL;
	c->ipc = ipc;
	c->fd = fd;
	c->slot = slot;
	c->watched = EPOLLIN;
	if (poller_add(ipc->options.poller, fd, c->watched, ready, c) < 0) {
		free(c);
		return NULL;
	}
	/* The first is root's; where we are not, as much as the machine lets us have. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return c;
}

/* Answers hold keys. */
static void
packet_free(struct packet *p)
{
	explicit_bzero(p->octets, p->len);
	free(p);
}

void
client_free(struct client *c)
{
	struct packet *p;

	poller_del(c->ipc->options.poller, c->fd);
	close(c->fd);
	while ((p = c->first) != NULL) {
		c->first = p->next;
		packet_free(p);
	}
	answer_free(c->answer);
	free(c);
}

/* False: it must wait. A reader who has gone is found out here, and ended in its turn. */
static bool
send_now(struct client *c, const void *octets, size_t len)
{
	ssize_t n;

	do
		n = send(c->fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
		return false;
	if (n < 0 && !c->dead) {
		c->dead = true;
		ipc_line_up(c->ipc, c);
	}
	return true;
}

static void
put(struct client *c, const void *octets, size_t len)
{
	struct packet *p;

	if (c->dead ||
	    (c->first == NULL && c->held_to <= c->ipc->released && send_now(c, octets, len)))
		return;
	p = malloc(sizeof(*p) + len);
	if (p == NULL) {
		/* An answer that never comes is worse than a connection that ends. */
		c->dead = true;
		ipc_line_up(c->ipc, c);
		return;
	}
	p->next = NULL;
	p->ticket = c->held_to;
	p->len = len;
	memcpy(p->octets, octets, len);
	if (c->first == NULL)
		c->first = p;
	else
		c->last->next = p;
	c->last = p;
	c->queued += len;
	client_watch(c);
}

void
client_reply(struct client *c, const void *octets, size_t len)
{
	put(c, octets, len);
}

void
client_event(struct client *c, const void *octets, size_t len)
{
	if (c->overrun || c->queued + len > IPC_EVENTS_MAX) {
		c->overrun = true;
		c->events_lost++;
		return;
	}
	put(c, octets, len);
}

void
client_error(struct client *c, const struct nlmsghdr *request, int error, const char *sentence)
{
	uint8_t buf[MESSAGE_ERROR_SIZE];

	put(c, buf, message_error(buf, request, c->d.nl_pid, error, sentence));
}

void
client_flush(struct client *c)
{
	struct nlmsghdr overrun = { .nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = NLMSG_OVERRUN };
	struct packet *p;

	while ((p = c->first) != NULL && !c->dead && p->ticket <= c->ipc->released &&
	       send_now(c, p->octets, p->len)) {
		c->first = p->next;
		c->queued -= p->len;
		packet_free(p);
	}
	/* In the place of the first event that was lost. */
	if (c->overrun && c->queued < IPC_EVENTS_MAX / 2) {
		c->overrun = false;
		put(c, &overrun, sizeof(overrun));
	}
}

static bool
is_sendable(const struct client *c)
{
	return c->first != NULL && c->first->ticket <= c->ipc->released;
}

void
client_watch(struct client *c)
{
	bool heard = c->answer == NULL || command_waits(c);
	uint32_t events =
		(client_has_room(c) && heard ? EPOLLIN : 0) | (is_sendable(c) ? EPOLLOUT : 0);

	if (events != c->watched && !c->dead &&
	    poller_change(c->ipc->options.poller, c->fd, events) == 0)
		c->watched = events;
}
