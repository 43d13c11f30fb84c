#include "mirror/follow.h"

#include <errno.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>

#include "base/poller.h"
#include "mirror/follow_state.h"

#define SECOND		  UINT64_C(1000000000)
#define RECEIVE_SIZE	  (4 << 20) /* some thousand changes may wait in the kernel */
#define DATAGRAM_SIZE	  65536
#define DATAGRAMS_A_TURN  128
#define MESSAGES_A_TURN	  1024
#define RESYNC_GAP	  (SECOND / 10)
#define ROUTES_RESYNC_GAP (SECOND / 2)
#define RESYNC_TIME	  (10 * SECOND)
#define TRIES_MAX	  8 /* of one dump, while the kernel changes what it dumps */

/* The dumps of a resync, in order: addresses before the routes that they bring, routes before the
 * neighbours on them. */
static const struct {
	uint16_t type;
	uint8_t family;
	bool routes; /* of those alone, too */
} dumps[] = {
	{ RTM_GETLINK, AF_UNSPEC, false },  { RTM_GETADDR, AF_UNSPEC, false },
	{ RTM_GETROUTE, AF_INET, true },    { RTM_GETROUTE, AF_INET6, true },
	{ RTM_GETNEIGH, AF_UNSPEC, false },
};

static const int groups[] = {
	RTNLGRP_LINK,	    RTNLGRP_NEIGH,	RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
	RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP,
};

uint8_t
follow_port_of(const struct follow *f, uint32_t ifindex)
{
	uint8_t port = 0;

	if (ifindex == 0)
		return PORTS_MAX;
	while (port < PORTS_MAX && f->ports[port].ifindex != ifindex)
		port++;
	return port;
}

/* A flood of changes that cannot be taken is no flood of lines. */
void
follow_warn(struct follow *f, const char *format, ...)
{
	char text[ERR_TEXT_SIZE];
	va_list args;

	if (f->warn_at > f->now)
		return;
	f->warn_at = f->now + SECOND;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	f->params.warn(f->params.ctx, text);
}

void
follow_resync(struct follow *f, enum resync what)
{
	f->wanted = RTE_MAX(f->wanted, what);
}

int
follow_send(struct follow *f, const void *message, size_t size)
{
	if (f->params.send != NULL)
		return f->params.send(f->params.ctx, message, size);
	return mnl_socket_sendto(f->nl, message, size) < 0 ? -errno : 0;
}

static void
dump_begin(struct follow *f)
{
	uint8_t room[KERNEL_REQUEST_SIZE] __rte_aligned(8);
	size_t size;

	f->interrupted = false;
	f->dump_seq = ++f->seq;
	size = kernel_dump(room, f->dump_seq, dumps[f->dump].type, dumps[f->dump].family);
	/* What could not be sent is missed by the time limit, and begun again. */
	follow_send(f, room, size);
}

static void
dump_next(struct follow *f)
{
	f->dump_tries = 0;
	do
		f->dump++;
	while (f->dump < RTE_DIM(dumps) && f->running == RESYNC_ROUTES && !dumps[f->dump].routes);
	if (f->dump < RTE_DIM(dumps)) {
		dump_begin(f);
		return;
	}
	f->resync_at = f->now + (f->running == RESYNC_ALL ? RESYNC_GAP : ROUTES_RESYNC_GAP);
	f->running = RESYNC_NONE;
}

static void
dump_sweep(struct follow *f)
{
	switch (dumps[f->dump].type) {
	case RTM_GETADDR:
		addresses_sweep(f);
		break;
	case RTM_GETROUTE:
		routes_sweep(f, dumps[f->dump].family == AF_INET ? 4 : 6);
		break;
	case RTM_GETNEIGH:
		neighs_sweep(f);
		break;
	}
}

/* All of a dump has come. What it did not have is gone, unless the kernel says that it may have
 * left something out. */
static void
dump_end(struct follow *f)
{
	if (f->wanted == RESYNC_ALL) {
		/* Changes were lost meanwhile: from the start. */
		f->running = RESYNC_NONE;
		f->resync_at = f->now + RESYNC_GAP;
		return;
	}
	if (f->interrupted && ++f->dump_tries < TRIES_MAX) {
		dump_begin(f);
		return;
	}
	if (f->interrupted)
		follow_resync(f, RESYNC_ALL);
	else
		dump_sweep(f);
	dump_next(f);
}

static void
resync_tick(struct follow *f)
{
	if (f->running != RESYNC_NONE && f->now >= f->give_up_at) {
		f->running = RESYNC_NONE;
		follow_resync(f, RESYNC_ALL);
	}
	/* What still waits is older than the dump: it would be taken for the present, though it
	 * may be the changes behind it that were lost. */
	if (f->running != RESYNC_NONE || f->wanted == RESYNC_NONE || f->n_ports == 0 ||
	    f->now < f->resync_at || !f->drained)
		return;
	f->running = f->wanted;
	f->wanted = RESYNC_NONE;
	f->give_up_at = f->now + RESYNC_TIME;
	f->mark++;
	f->count.resyncs++;
	f->dump_tries = 0;
	for (f->dump = 0; f->running == RESYNC_ROUTES && !dumps[f->dump].routes;)
		f->dump++;
	dump_begin(f);
}

/* IPv4 routes of a link that goes down are dropped without a word. */
static void
link_take(struct follow *f, const struct kernel_message *m)
{
	const uint32_t matter = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;
	uint8_t port = follow_port_of(f, m->ifindex);

	if (port == PORTS_MAX)
		return;
	if (m->gone) {
		follow_resync(f, RESYNC_ALL);
		return;
	}
	if (((m->link.flags ^ f->ports[port].flags) & matter) != 0)
		follow_resync(f, RESYNC_ROUTES);
	f->ports[port].flags = m->link.flags;
}

static void
message_take(struct follow *f, const struct nlmsghdr *nlh)
{
	struct kernel_message m;

	f->count.messages++;
	if (!kernel_parse(nlh, &m))
		return;
	switch (m.kind) {
	case KERNEL_LINK:
		link_take(f, &m);
		break;
	case KERNEL_ADDRESS:
		addresses_take(f, &m);
		break;
	case KERNEL_ROUTE:
		routes_take(f, &m);
		break;
	case KERNEL_NEIGH:
		neighs_take(f, &m);
		break;
	case KERNEL_NEXTHOP:
		/* The IPv4 routes that shared it are gone without a word. */
		if (m.gone)
			follow_resync(f, RESYNC_ROUTES);
		break;
	}
}

/* An answer to something that we asked: the end of a dump, or that a question was refused. */
static void
answer_take(struct follow *f, const struct nlmsghdr *nlh)
{
	bool of_dump = f->running != RESYNC_NONE && nlh->nlmsg_seq == f->dump_seq;

	if (of_dump && nlh->nlmsg_type == NLMSG_DONE) {
		dump_end(f);
	} else if (of_dump && nlh->nlmsg_type == NLMSG_ERROR) {
		/* Another dump of ours is not over yet, or there was no memory: later. */
		f->running = RESYNC_NONE;
		f->resync_at = f->now + RESYNC_GAP;
		follow_resync(f, RESYNC_ALL);
	} else if (nlh->nlmsg_type == NLMSG_ERROR) {
		f->count.ask_failed++;
	} else if (nlh->nlmsg_type == NLMSG_OVERRUN) {
		f->count.overruns++;
		follow_resync(f, RESYNC_ALL);
	}
}

void
follow_feed(struct follow *f, const void *datagram, size_t size)
{
	const uint8_t *at = datagram;

	while (size >= MNL_NLMSG_HDRLEN) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)at;
		size_t step = MNL_ALIGN((size_t)nlh->nlmsg_len);

		/* The kernel's are padded. */
		if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN || step > size) {
			f->count.malformed++;
			return;
		}
		if (f->running != RESYNC_NONE && nlh->nlmsg_seq == f->dump_seq &&
		    (nlh->nlmsg_flags & NLM_F_DUMP_INTR) != 0)
			f->interrupted = true;
		if (nlh->nlmsg_type < NLMSG_MIN_TYPE)
			answer_take(f, nlh);
		else
			message_take(f, nlh);
		at += step;
		size -= step;
	}
}

/* A bounded share of what waits: the rest wakes us again. */
static void
receive(struct follow *f)
{
	static uint8_t room[DATAGRAM_SIZE] __rte_aligned(8);
	uint64_t until = f->count.messages + MESSAGES_A_TURN;

	f->drained = false;
	for (int i = 0; i < DATAGRAMS_A_TURN && f->count.messages < until; i++) {
		struct sockaddr_nl from = { 0 };
		struct iovec iov = { room, sizeof(room) };
		struct msghdr msg = { .msg_name = &from,
				      .msg_namelen = sizeof(from),
				      .msg_iov = &iov,
				      .msg_iovlen = 1 };
		ssize_t n = recvmsg(mnl_socket_get_fd(f->nl), &msg, MSG_DONTWAIT);

		if (n < 0 && errno == ENOBUFS) {
			f->count.overruns++;
			follow_resync(f, RESYNC_ALL);
			continue;
		}
		if (n < 0) {
			f->drained = true;
			return;
		}
		/* Any process may send to us; only the kernel is believed. */
		if (from.nl_pid != 0)
			continue;
		if ((msg.msg_flags & MSG_TRUNC) != 0) {
			follow_resync(f, RESYNC_ALL);
			continue;
		}
		follow_feed(f, room, (size_t)n);
	}
}

static void
ready(void *ctx, uint32_t events)
{
	receive(ctx);
}

void
follow_tick(struct follow *f, uint64_t now)
{
	f->now = now;
	if (f->nl != NULL)
		receive(f);
	resync_tick(f);
	addresses_tell(f);
	routes_tick(f);
	neighs_tick(f);
}

struct follow_counters
follow_counters(const struct follow *f)
{
	return f->count;
}

void
follow_port_set(struct follow *f, uint8_t port, uint32_t ifindex)
{
	struct fport *p = &f->ports[port];

	if (p->ifindex == ifindex)
		return;
	f->n_ports += (ifindex != 0) - (p->ifindex != 0);
	if (p->ifindex != 0) {
		routes_forget(f, port);
		neighs_forget(f, port);
	}
	*p = (struct fport) { .ifindex = ifindex, .changed = p->n_addresses > 0 };
	follow_resync(f, RESYNC_ALL);
}

static int
sockets_open(struct follow *f, struct err *err)
{
	int size = RECEIVE_SIZE, fd;
	struct timeval patience = { .tv_sec = 2 };

	f->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	f->put = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (f->nl == NULL || f->put == NULL || mnl_socket_bind(f->nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_bind(f->put, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_set(err, -errno, "no netlink socket to follow the kernel's routes: %s",
			       strerror(errno));
	fd = mnl_socket_get_fd(f->nl);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(mnl_socket_get_fd(f->put), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (size_t i = 0; i < RTE_DIM(groups); i++)
		if (mnl_socket_setsockopt(f->nl, NETLINK_ADD_MEMBERSHIP,
					  (void *)(uintptr_t)&groups[i], sizeof(groups[i])) < 0 &&
		    groups[i] != RTNLGRP_NEXTHOP)
			return err_set(err, -errno,
				       "the kernel does not tell changes of its routes: %s",
				       strerror(errno));
	if (f->params.poller == NULL)
		return 0;
	if (poller_add(f->params.poller, fd, EPOLLIN, ready, f) < 0)
		return err_set(err, -ENOMEM, "no memory to follow the kernel's routes");
	return 0;
}

int
follow_create(const struct follow_params *params, struct follow **out, struct err *err)
{
	struct follow *f = calloc(1, sizeof(*f));
	int rc = 0;

	if (f == NULL)
		return err_set(err, -ENOMEM, "no memory to follow the kernel's routes");
	f->params = *params;
	f->mark = 1;
	f->drained = true;
	if (params->send == NULL)
		rc = sockets_open(f, err);
	if (rc < 0) {
		follow_free(f);
		return rc;
	}
	*out = f;
	return 0;
}

void
follow_free(struct follow *f)
{
	if (f == NULL)
		return;
	routes_forget(f, PORTS_MAX);
	neighs_forget(f, PORTS_MAX);
	if (f->nl != NULL && f->params.poller != NULL)
		poller_del(f->params.poller, mnl_socket_get_fd(f->nl));
	if (f->nl != NULL)
		mnl_socket_close(f->nl);
	if (f->put != NULL)
		mnl_socket_close(f->put);
	free(f);
}
