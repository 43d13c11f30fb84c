/* A new connection to the gateway, known to it. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "ipc/proto.h"
#include "preload.h"

static _Atomic bool complained;

/* A refusal is for the person who has to mend it; once is enough. */
static void
complain(const char *path, const char *why)
{
	char line[256];
	int n;

	if (atomic_exchange(&complained, true))
		return;
	n = snprintf(line, sizeof(line), "libespgw_xfrm: %s: %s\n", path, why);
	if (n > 0)
		real()->write(STDERR_FILENO, line,
			      n < (int)sizeof(line) ? n : (int)sizeof(line) - 1);
}

static bool
hello_send(int fd, const struct link *l, uint64_t instance, bool is_daemon)
{
	struct {
		struct nlmsghdr header;
		struct ipc_hello hello;
		char program[IPC_PROGRAM_SIZE];
	} m;

	memset(&m, 0, sizeof(m));
	m.header.nlmsg_len = sizeof(m);
	m.header.nlmsg_type = IPC_HELLO;
	m.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m.hello.version = IPC_VERSION;
	m.hello.nl_pid = l->pid;
	m.hello.groups = l->groups;
	m.hello.role = is_daemon ? IPC_DAEMON : IPC_SCRIPT;
	m.hello.instance = instance;
	snprintf(m.program, sizeof(m.program), "%s", program_invocation_short_name);
	return real()->send(fd, &m, sizeof(m), MSG_NOSIGNAL) == (ssize_t)sizeof(m);
}

static bool
hello_answered(int fd, const char *path)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	struct {
		struct nlmsghdr header;
		int32_t error;
		struct nlmsghdr request;
		struct nlattr attr;
		char sentence[600];
	} m;
	ssize_t n;

	if (poll(&ready, 1, HELLO_MS) <= 0)
		return false;
	memset(&m, 0, sizeof(m));
	n = real()->recv(fd, &m, sizeof(m) - 1, MSG_DONTWAIT);
	if (n < 20 || m.header.nlmsg_type != NLMSG_ERROR)
		return false;
	if (m.error != 0)
		complain(path, n > 40 ? m.sentence : strerror(-m.error));
	return m.error == 0;
}

static bool
is_roots(int fd, const char *path)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (real()->getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return false;
	if (cred.uid != 0)
		complain(path, "who listens there is not root: nothing is said to it");
	return cred.uid == 0;
}

int
dial(const struct link *l, uint64_t instance, bool is_daemon)
{
	const char *path = secure_getenv("ESPGW_SOCKET");
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const struct timeval limit = { .tv_sec = ANSWER_S };
	int fd;

	if (path == NULL || path[0] == 0)
		path = IPC_PATH;
	if (strlen(path) >= sizeof(a.sun_path))
		return -1;
	strcpy(a.sun_path, path);
	/* Without blocking: a queue of callers that is full is no connection either. */
	fd = real()->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (real()->connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && is_roots(fd, path) &&
	    hello_send(fd, l, instance, is_daemon) && hello_answered(fd, path)) {
		real()->setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		atomic_store(&complained, false);
		return fd;
	}
	real()->close(fd);
	return -1;
}
