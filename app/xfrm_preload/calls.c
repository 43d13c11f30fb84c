/* What stands in front of libc. Each call looks whether the descriptor is one of ours, and is
 * libc's own where it is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/sockios.h>

#include "preload.h"

#define EXPORT __attribute__((visibility("default")))
#define TRIES  100

/* libc declares these only to programs that are built with its checks. */
void __chk_fail(void) __attribute__((noreturn));
EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t size, int flags);
EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags,
			      struct sockaddr *from, socklen_t *len);
EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t size);
#ifndef fcntl64
EXPORT int fcntl64(int fd, int command, ...);
#endif

/* ---- Sending. ---- */

static bool
is_broken(int error)
{
	return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

static size_t
length_of(const struct msghdr *msg)
{
	size_t n = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		n += msg->msg_iov[i].iov_len;
	return n;
}

/* The kernel's address is left out: there is one other end. */
static ssize_t
give(struct link *l, int fd, const struct iovec *iov, size_t n_iov, int flags)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n_iov };

	for (int i = 0; i < 2; i++) {
		uint32_t generation;
		ssize_t n;

		if (!link_ready(l, fd))
			break;
		generation = l->generation;
		/* First: the answer may be here before send() returns. */
		link_asked(l, &msg, length_of(&msg));
		n = real()->sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
		if (n >= 0)
			return n;
		link_unasked(l, &msg);
		if (errno == EAGAIN && (flags & MSG_DONTWAIT) == 0 &&
		    (real()->fcntl(fd, F_GETFL) & O_NONBLOCK) == 0)
			errno = ETIMEDOUT;
		if (!is_broken(errno))
			return -1;
		link_lost(l, fd, generation, ENETDOWN);
	}
	errno = ECONNREFUSED;
	return -1;
}

EXPORT ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct link *l = link_of(fd);

	if (l == NULL)
		return real()->sendmsg(fd, msg, flags);
	return give(l, fd, msg->msg_iov, msg->msg_iovlen, flags);
}

EXPORT ssize_t
sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len)
{
	struct link *l = link_of(fd);
	const struct iovec iov = { (void *)(uintptr_t)buf, n };

	if (l == NULL)
		return real()->sendto(fd, buf, n, flags, to, len);
	return give(l, fd, &iov, 1, flags);
}

EXPORT ssize_t
send(int fd, const void *buf, size_t n, int flags)
{
	struct link *l = link_of(fd);
	const struct iovec iov = { (void *)(uintptr_t)buf, n };

	return l == NULL ? real()->send(fd, buf, n, flags) : give(l, fd, &iov, 1, flags);
}

EXPORT ssize_t
write(int fd, const void *buf, size_t n)
{
	struct link *l = link_of(fd);
	const struct iovec iov = { (void *)(uintptr_t)buf, n };

	return l == NULL ? real()->write(fd, buf, n) : give(l, fd, &iov, 1, 0);
}

/* ---- Receiving. ---- */

/* What the first octets say; false: there are less than a header. */
static bool
header_of(const struct msghdr *msg, size_t len, struct nlmsghdr *h)
{
	size_t got = 0;

	for (size_t i = 0; i < msg->msg_iovlen && got < sizeof(*h); i++) {
		size_t part = msg->msg_iov[i].iov_len;

		if (part > sizeof(*h) - got)
			part = sizeof(*h) - got;
		memcpy((char *)h + got, msg->msg_iov[i].iov_base, part);
		got += part;
	}
	return got == sizeof(*h) && len >= sizeof(*h);
}

/* A netlink socket never ends: where the connection does, what lies under the descriptor becomes
 * another, and is asked again.
 */
static ssize_t
take(struct link *l, int fd, struct msghdr *msg, int flags)
{
	struct nlmsghdr h;
	ssize_t n;

	for (int i = 0;; i++) {
		uint32_t generation = l->generation;

		n = real()->recvmsg(fd, msg, flags);
		if (n > 0)
			break;
		if (n < 0 && !is_broken(errno))
			return -1;
		if (n == 0 && length_of(msg) == 0 && (flags & MSG_TRUNC) == 0)
			return 0;
		if (i == TRIES) {
			errno = ENETDOWN;
			return -1;
		}
		link_lost(l, fd, generation, ENETDOWN);
	}
	if (!header_of(msg, n, &h))
		return n;
	if (h.nlmsg_type == NLMSG_OVERRUN) {
		if ((flags & MSG_PEEK) != 0)
			real()->recv(fd, &h, sizeof(h), MSG_DONTWAIT);
		errno = ENOBUFS;
		return -1;
	}
	if ((flags & MSG_PEEK) == 0)
		link_answered(l, &h, sizeof(h));
	return n;
}

/* All that comes is the kernel's: port 0. */
static void
name_put(void *name, socklen_t *len)
{
	const struct sockaddr_nl from = { .nl_family = AF_NETLINK };

	if (len == NULL)
		return;
	if (name != NULL)
		memcpy(name, &from, *len < sizeof(from) ? *len : sizeof(from));
	*len = name != NULL ? sizeof(from) : 0;
}

EXPORT ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct link *l = link_of(fd);
	struct msghdr own;
	ssize_t n;

	if (l == NULL)
		return real()->recvmsg(fd, msg, flags);
	own = (struct msghdr) { .msg_iov = msg->msg_iov, .msg_iovlen = msg->msg_iovlen };
	n = take(l, fd, &own, flags);
	if (n < 0)
		return n;
	msg->msg_flags = own.msg_flags;
	msg->msg_controllen = 0;
	name_put(msg->msg_name, &msg->msg_namelen);
	return n;
}

EXPORT ssize_t
recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len)
{
	struct link *l = link_of(fd);
	struct iovec iov = { buf, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t got;

	if (l == NULL)
		return real()->recvfrom(fd, buf, n, flags, from, len);
	got = take(l, fd, &msg, flags);
	if (got >= 0 && from != NULL)
		name_put(from, len);
	return got;
}

EXPORT ssize_t
recv(int fd, void *buf, size_t n, int flags)
{
	return link_of(fd) == NULL ? real()->recv(fd, buf, n, flags) :
				     recvfrom(fd, buf, n, flags, NULL, NULL);
}

EXPORT ssize_t
read(int fd, void *buf, size_t n)
{
	return link_of(fd) == NULL ? real()->read(fd, buf, n) : recvfrom(fd, buf, n, 0, NULL, NULL);
}

EXPORT ssize_t
__recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, struct sockaddr *from,
	       socklen_t *len)
{
	if (n > size)
		__chk_fail();
	return recvfrom(fd, buf, n, flags, from, len);
}

EXPORT ssize_t
__recv_chk(int fd, void *buf, size_t n, size_t size, int flags)
{
	if (n > size)
		__chk_fail();
	return recv(fd, buf, n, flags);
}

EXPORT ssize_t
__read_chk(int fd, void *buf, size_t n, size_t size)
{
	if (n > size)
		__chk_fail();
	return read(fd, buf, n);
}

/* ---- What a netlink socket is. ---- */

EXPORT int
socket(int domain, int type, int protocol)
{
	if (domain != AF_NETLINK || protocol != NETLINK_XFRM)
		return real()->socket(domain, type, protocol);
	return link_open(type);
}

EXPORT int
bind(int fd, const struct sockaddr *address, socklen_t len)
{
	struct link *l = link_of(fd);
	struct sockaddr_nl a;

	if (l == NULL)
		return real()->bind(fd, address, len);
	if (len < sizeof(a)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(&a, address, sizeof(a));
	link_bind(l, fd, a.nl_pid, a.nl_groups);
	return 0;
}

EXPORT int
connect(int fd, const struct sockaddr *address, socklen_t len)
{
	return link_of(fd) == NULL ? real()->connect(fd, address, len) : 0;
}

EXPORT int
getsockname(int fd, struct sockaddr *address, socklen_t *len)
{
	struct link *l = link_of(fd);
	struct sockaddr_nl own = { .nl_family = AF_NETLINK };

	if (l == NULL)
		return real()->getsockname(fd, address, len);
	own.nl_pid = l->pid;
	own.nl_groups = l->groups;
	memcpy(address, &own, *len < sizeof(own) ? *len : sizeof(own));
	*len = sizeof(own);
	return 0;
}

EXPORT int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct link *l = link_of(fd);
	uint32_t group;

	if (l == NULL || level != SOL_NETLINK)
		return real()->setsockopt(fd, level, name, value, len);
	if (name != NETLINK_ADD_MEMBERSHIP && name != NETLINK_DROP_MEMBERSHIP)
		return 0;
	if (len < sizeof(group)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(&group, value, sizeof(group));
	if (group == 0 || group > 32) {
		errno = EINVAL;
		return -1;
	}
	group = UINT32_C(1) << (group - 1);
	link_bind(l, fd, l->pid,
		  name == NETLINK_ADD_MEMBERSHIP ? l->groups | group : l->groups & ~group);
	return 0;
}

EXPORT int
getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int is;

	if (link_of(fd) == NULL || level != SOL_SOCKET ||
	    (name != SO_DOMAIN && name != SO_PROTOCOL && name != SO_TYPE))
		return real()->getsockopt(fd, level, name, value, len);
	is = name == SO_DOMAIN ? AF_NETLINK : name == SO_PROTOCOL ? NETLINK_XFRM : SOCK_RAW;
	memcpy(value, &is, *len < sizeof(is) ? *len : sizeof(is));
	*len = sizeof(is);
	return 0;
}

/* strongSwan asks an XFRM socket what a network device can. */
EXPORT int
ioctl(int fd, unsigned long request, ...)
{
	va_list more;
	void *argument;
	int other, rc, error;

	va_start(more, request);
	argument = va_arg(more, void *);
	va_end(more);
	if (link_of(fd) == NULL || request != SIOCETHTOOL)
		return real()->ioctl(fd, request, argument);
	other = real()->socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (other < 0)
		return -1;
	rc = real()->ioctl(other, request, argument);
	error = errno;
	real()->close(other);
	errno = error;
	return rc;
}

/* ---- Descriptors. ---- */

EXPORT int
close(int fd)
{
	link_close(fd);
	links_unwatch(fd);
	return real()->close(fd);
}

EXPORT int
close_range(unsigned int first, unsigned int last, int flags)
{
	/* Without this bit they are closed now. */
	for (unsigned int fd = first; (flags & 4) == 0 && fd <= last && fd < FDS_MAX; fd++)
		link_close(fd);
	if (real()->close_range == NULL) {
		errno = ENOSYS;
		return -1;
	}
	return real()->close_range(first, last, flags);
}

static int
duplicate(int from, int to)
{
	struct link *l = link_of(from);

	if (to >= 0 && l != NULL)
		link_share(l, to);
	return to;
}

EXPORT int
dup(int fd)
{
	return duplicate(fd, real()->dup(fd));
}

EXPORT int
dup2(int fd, int other)
{
	if (fd == other)
		return real()->dup2(fd, other);
	link_close(other);
	return duplicate(fd, real()->dup2(fd, other));
}

EXPORT int
dup3(int fd, int other, int flags)
{
	if (fd != other)
		link_close(other);
	return duplicate(fd, real()->dup3(fd, other, flags));
}

static int
control(int fd, int command, void *argument)
{
	int rc = real()->fcntl(fd, command, argument);

	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		return duplicate(fd, rc);
	return rc;
}

EXPORT int
fcntl(int fd, int command, ...)
{
	va_list more;
	void *argument;

	va_start(more, command);
	argument = va_arg(more, void *);
	va_end(more);
	return control(fd, command, argument);
}

EXPORT int
fcntl64(int fd, int command, ...)
{
	va_list more;
	void *argument;

	va_start(more, command);
	argument = va_arg(more, void *);
	va_end(more);
	return control(fd, command, argument);
}

EXPORT int
epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	struct link *l = link_of(fd);
	int rc = real()->epoll_ctl(epoll, op, fd, event);

	if (l != NULL && rc == 0)
		link_watch(l, epoll, op, fd, event);
	return rc;
}
