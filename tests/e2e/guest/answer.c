/* What the guest's kernel has no program for: an echo on port 7, TCP and UDP, IPv4 and IPv6; long
 * answers without DF from port 19, where a datagram begins with their length; and sockets that take
 * ESP out of UDP, which the kernel does only for a socket that asked for it (RFC 3948).
 *
 *   answer PORT...      the ports of the latter
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/xfrm.h> /* behind netinet/in.h, or that leaves things out */

#define ECHO_PORT 7
#define LONG_PORT 19

static int
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
turn_on(int fd, int level, int option)
{
	int one = 1;

	if (setsockopt(fd, level, option, &one, sizeof(one)) < 0)
		die("setsockopt");
}

/* A bound socket; one of IPv6 takes IPv4 as well where `both`. */
static int
open_port(int family, int type, unsigned short port, bool both)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(family, type, 0), rc;

	if (fd < 0)
		die("socket");
	turn_on(fd, SOL_SOCKET, SO_REUSEADDR);
	if (family == AF_INET6 && !both)
		turn_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (family == AF_INET6)
		rc = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	else
		rc = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	return rc < 0 ? die("bind") : fd;
}

/* No policy of the guest holds for what this socket itself sends and takes, as IKE daemons have it:
 * ESP in UDP between the very hosts of a transport-mode policy would have to be protected once
 * more.
 */
static void
bypass(int fd, int level, int option, uint16_t family)
{
	struct xfrm_userpolicy_info policy = { .action = XFRM_POLICY_ALLOW, .sel.family = family };

	for (uint8_t dir = XFRM_POLICY_IN; dir <= XFRM_POLICY_OUT; dir++) {
		policy.dir = dir;
		if (setsockopt(fd, level, option, &policy, sizeof(policy)) < 0)
			die("IP_XFRM_POLICY");
	}
}

static void
open_encap(unsigned short port)
{
	for (int i = 0; i < 2; i++) {
		int fd = open_port(i == 0 ? AF_INET : AF_INET6, SOCK_DGRAM, port, false);
		int kind = UDP_ENCAP_ESPINUDP;

		if (setsockopt(fd, IPPROTO_UDP, UDP_ENCAP, &kind, sizeof(kind)) < 0)
			die("UDP_ENCAP");
		if (i == 0)
			bypass(fd, IPPROTO_IP, IP_XFRM_POLICY, AF_INET);
		else
			bypass(fd, IPPROTO_IPV6, IPV6_XFRM_POLICY, AF_INET6);
	}
}

/* Makes as many octets as the first four say, by the whole again and again. */
static size_t
stretch(char *octets, size_t n, size_t room)
{
	uint32_t want;

	memcpy(&want, octets, sizeof(want));
	want = ntohl(want);
	if (n < sizeof(want) || want > room)
		return n;
	for (size_t i = n; i < want; i++)
		octets[i] = octets[i - n];
	return want;
}

/* Sends a datagram back from the address it came to: the guest has many. */
static void
echo_datagram(int fd, bool longer)
{
	static char octets[65536];
	char control[256];
	struct sockaddr_in6 from;
	struct iovec part = { .iov_base = octets, .iov_len = sizeof(octets) };
	struct msghdr msg = { .msg_name = &from,
			      .msg_namelen = sizeof(from),
			      .msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &msg, 0);

	if (n < 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex = 0;
	part.iov_len = longer ? stretch(octets, (size_t)n, sizeof(octets)) : (size_t)n;
	/* Once more, since the first may only tell the path's MTU, or meet an SA that a rekey takes
	 * away; one that does not go then is one the other end misses.
	 */
	if (sendmsg(fd, &msg, 0) < 0)
		(void)sendmsg(fd, &msg, 0);
}

static void
echo_stream(int listener)
{
	char octets[16384];
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return;
	if (fork() != 0) {
		close(fd);
		return;
	}
	for (;;) {
		ssize_t n = read(fd, octets, sizeof(octets));

		if (n <= 0)
			_exit(0);
		for (ssize_t at = 0; at < n;) {
			ssize_t wrote = write(fd, octets + at, (size_t)(n - at));

			if (wrote <= 0)
				_exit(0);
			at += wrote;
		}
	}
}

static void
open_long(struct pollfd *p)
{
	int fd = open_port(AF_INET6, SOCK_DGRAM, LONG_PORT, true), value = IP_PMTUDISC_DONT;

	if (setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &value, sizeof(value)) < 0)
		die("IP_MTU_DISCOVER");
	turn_on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
	*p = (struct pollfd) { fd, POLLIN, 0 };
}

int
main(int argc, char **argv)
{
	struct pollfd fds[3];

	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i < argc; i++)
		open_encap((unsigned short)atoi(argv[i]));
	fds[0] = (struct pollfd) { open_port(AF_INET6, SOCK_DGRAM, ECHO_PORT, true), POLLIN, 0 };
	fds[1] = (struct pollfd) { open_port(AF_INET6, SOCK_STREAM, ECHO_PORT, true), POLLIN, 0 };
	open_long(&fds[2]);
	turn_on(fds[0].fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
	if (listen(fds[1].fd, 16) < 0)
		die("listen");
	if (daemon(0, 0) < 0)
		die("daemon");
	for (;;) {
		if (poll(fds, 3, -1) < 0)
			continue;
		if (fds[0].revents & POLLIN)
			echo_datagram(fds[0].fd, false);
		if (fds[2].revents & POLLIN)
			echo_datagram(fds[2].fd, true);
		if (fds[1].revents & POLLIN)
			echo_stream(fds[1].fd);
	}
}
