/* The control socket over a gateway that counts what it is asked. */
#ifndef TESTS_IPC_RIG_H
#define TESTS_IPC_RIG_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <rte_common.h>

#include "base/poller.h"
#include "cli/cli.h"
#include "ipc/client.h"
#include "ipc/ipc.h"

#define REQUEST 0x10 /* a type that is not ours */

/* A gateway that counts requests, and answers each with `amount` answers of `size` octets. */
struct rig {
	struct poller poller;
	struct cli cli;
	struct ipc *ipc;
	char dir[32], path[64];
	unsigned int requests, gone, dumps;
	size_t last_len;
	unsigned int amount, to_dump;
	size_t size;
	uint8_t octets[4096];
};

static inline int
serve_hello(void *ctx, struct daemon_client *c, struct err *err)
{
	return c->instance == UINT64_MAX ? err_set(err, -ENOMEM, "no owner") : 0;
}

static inline void
serve_request(void *ctx, struct daemon_client *c, const void *datagram, size_t len)
{
	struct rig *r = ctx;

	r->requests++;
	r->last_len = len;
	if (len >= NLMSG_HDRLEN)
		memcpy(r->octets, datagram, NLMSG_HDRLEN);
	for (unsigned int i = 0; i < r->amount; i++)
		ipc_reply(r->ipc, c->id, r->octets, r->size);
	c->dumping = r->to_dump > 0;
}

static inline bool
serve_dump(void *ctx, struct daemon_client *c)
{
	struct rig *r = ctx;

	r->dumps++;
	ipc_reply(r->ipc, c->id, r->octets, sizeof(r->octets));
	c->dumping = --r->to_dump > 0;
	return c->dumping;
}

static inline void
serve_gone(void *ctx, struct daemon_client *c)
{
	((struct rig *)ctx)->gone++;
}

static inline struct ipc_options
options_of(struct rig *r)
{
	return (struct ipc_options) {
		.path = r->path,
		.group = "",
		.poller = &r->poller,
		.cli = &r->cli,
	};
}

static inline void
rig_open(struct rig *r)
{
	const struct ipc_xfrm xfrm = { r, serve_hello, serve_request, serve_dump, serve_gone };
	struct ipc_options options;
	struct err err;

	*r = (struct rig) { .amount = 1, .size = NLMSG_HDRLEN };
	strcpy(r->dir, "/tmp/espgw-unit-ipc-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->path, sizeof(r->path), "%s/run/control.sock", r->dir);
	assert_int_equal(poller_init(&r->poller), 0);
	options = options_of(r);
	if (ipc_create(&options, &r->ipc, &err) < 0)
		fail_msg("%s", err.text);
	ipc_serve(r->ipc, &xfrm);
}

static inline void
rig_close(struct rig *r)
{
	ipc_free(r->ipc);
	poller_fini(&r->poller);
	assert_int_equal(access(r->path, F_OK), -1);
	strrchr(r->path, '/')[0] = 0;
	assert_int_equal(rmdir(r->path), 0);
	assert_int_equal(rmdir(r->dir), 0);
}

/* As the program's loop does, until nothing is left to do. */
static inline void
turn(struct rig *r)
{
	bool busy = false;

	while (poller_wait(&r->poller, busy ? 0 : 5) > 0 || busy)
		busy = ipc_run(r->ipc);
}

static inline int
call(const struct rig *r)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", r->path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline void
say(int fd, uint16_t type, uint32_t seq, const void *body, size_t len)
{
	struct {
		struct nlmsghdr h;
		uint8_t body[1024];
	} m = { .h = { .nlmsg_len = NLMSG_HDRLEN + len, .nlmsg_type = type, .nlmsg_seq = seq } };

	if (len > 0)
		memcpy(m.body, body, len);
	assert_int_equal(send(fd, &m, m.h.nlmsg_len, MSG_DONTWAIT), m.h.nlmsg_len);
}

/* What came, or -1 when nothing did. */
static inline ssize_t
heard(int fd, struct nlmsghdr *header, uint8_t body[65536])
{
	static uint8_t buf[NLMSG_HDRLEN + 65536];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < (ssize_t)sizeof(*header))
		return n;
	memcpy(header, buf, sizeof(*header));
	memcpy(body, buf + NLMSG_HDRLEN, n - NLMSG_HDRLEN);
	return n;
}

static inline int
error_heard(int fd, uint32_t seq, const char *says)
{
	static uint8_t body[65536];
	struct nlmsghdr h;
	int32_t error;
	ssize_t n = heard(fd, &h, body);

	assert_true(n >= NLMSG_HDRLEN + 20);
	assert_int_equal(h.nlmsg_type, NLMSG_ERROR);
	assert_int_equal(h.nlmsg_seq, seq);
	assert_int_equal(h.nlmsg_len, n);
	assert_int_equal(n % 4, 0);
	memcpy(&error, body, sizeof(error));
	if (says != NULL && (n < 40 || strstr((char *)body + 24, says) == NULL))
		fail_msg("says \"%s\"", n < 40 ? "" : (char *)body + 24);
	return error;
}

static inline void
hello(int fd, uint32_t seq, uint32_t groups, uint64_t instance)
{
	struct {
		struct ipc_hello h;
		char program[8];
	} m = { { IPC_VERSION, 4711, groups, groups != 0 ? IPC_DAEMON : IPC_SCRIPT, instance },
		"charon" };

	say(fd, IPC_HELLO, seq, &m, sizeof(m));
}

#endif
