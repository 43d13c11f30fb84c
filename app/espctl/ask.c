#include "ask.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/netlink.h>

#define ANSWER_MS 30000

int
gateway_call(const char *path, bool aloud)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = -1;

	errno = ENAMETOOLONG;
	if (strlen(path) < sizeof(a.sun_path)) {
		strcpy(a.sun_path, path);
		fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	}
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	if (aloud)
		fprintf(stderr, "espctl: %s: %s%s\n", path, strerror(errno),
			errno == ENOENT || errno == ECONNREFUSED ? ": no gateway runs there" :
			errno == EACCES ? ": root, gateway.socket_group and espgw-admin may" :
					  "");
	if (fd >= 0)
		close(fd);
	return -1;
}

void
gateway_leave(int fd)
{
	close(fd);
}

static bool
ask(int fd, uint16_t type, const void *body, size_t n, const char *line)
{
	struct {
		struct nlmsghdr header;
		uint8_t body[1100];
	} m;
	size_t text = strlen(line);

	memset(&m, 0, sizeof(m));
	m.header.nlmsg_len = NLMSG_HDRLEN + n + text;
	m.header.nlmsg_type = type;
	m.header.nlmsg_flags = NLM_F_REQUEST;
	m.header.nlmsg_seq = 1;
	memcpy(m.body, body, n);
	memcpy(m.body + n, line, text);
	/* What was refused at the door is read all the same. */
	if (send(fd, &m, m.header.nlmsg_len, MSG_NOSIGNAL) >= 0 || errno == EPIPE)
		return true;
	fprintf(stderr, "espctl: %s\n", strerror(errno));
	return false;
}

bool
command_ask(int fd, bool json, const char *line)
{
	const struct ipc_command command = { .flags = json ? IPC_JSON : 0 };

	return ask(fd, IPC_COMMAND, &command, sizeof(command), line);
}

static int asked_fd;

static void
interrupted(int signal)
{
	const struct nlmsghdr stop = {
		.nlmsg_len = NLMSG_HDRLEN,
		.nlmsg_type = IPC_STOP,
		.nlmsg_flags = NLM_F_REQUEST,
	};
	int was = errno;

	(void)signal;

	send(asked_fd, &stop, sizeof(stop), MSG_NOSIGNAL | MSG_DONTWAIT);
	errno = was;
}

void
stop_on_interrupt(int fd)
{
	struct sigaction act = { .sa_handler = interrupted, .sa_flags = SA_RESETHAND | SA_RESTART };

	asked_fd = fd;
	sigaction(SIGINT, &act, NULL);
}

bool
pids_ask(int fd)
{
	return ask(fd, IPC_PIDS, "", 0, "");
}

/* The sentence in an NLMSG_ERROR, behind errno and the header of the request. */
static void
error_read(struct answer *a, size_t n)
{
	const size_t at = sizeof(struct nlmsgerr) + sizeof(struct nlattr);

	memcpy(&a->status, a->octets, sizeof(a->status));
	if (n > at)
		snprintf(a->sentence, sizeof(a->sentence), "%.*s", (int)(n - at),
			 (const char *)a->octets + at);
}

static void
end_read(struct answer *a, size_t n)
{
	memcpy(&a->status, a->octets, sizeof(a->status));
	snprintf(a->sentence, sizeof(a->sentence), "%.*s", (int)(n - sizeof(struct ipc_end)),
		 (const char *)a->octets + sizeof(struct ipc_end));
}

bool
answer_read(int fd, struct answer *a)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	struct nlmsghdr header;
	ssize_t n;

	if (poll(&ready, 1, ANSWER_MS) == 0) {
		fputs("espctl: the gateway does not answer\n", stderr);
		return false;
	}
	do
		n = recv(fd, a->buf, sizeof(a->buf), 0);
	while (n < 0 && errno == EINTR);
	if (n < NLMSG_HDRLEN) {
		fprintf(stderr, "espctl: %s\n",
			n < 0 ? strerror(errno) : "the gateway has ended the connection");
		return false;
	}
	memcpy(&header, a->buf, sizeof(header));
	a->kind = header.nlmsg_type;
	a->octets = a->buf + NLMSG_HDRLEN;
	a->n = n - NLMSG_HDRLEN;
	a->status = 0;
	a->sentence[0] = 0;
	if (a->kind == NLMSG_ERROR && a->n >= sizeof(a->status))
		error_read(a, a->n);
	else if (a->kind == IPC_END && a->n >= sizeof(a->status))
		end_read(a, a->n);
	return true;
}
