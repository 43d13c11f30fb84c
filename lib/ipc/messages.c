/* What a datagram holds: our own messages here, all others to who serves XFRM. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc/client.h"
#include "ipc/message.h"

/* Copies text that ends at the message's end or a 0, cut to fit; what is no printable ASCII is
 * replaced: others read it.
 */
static void
text_take(const uint8_t *octets, size_t len, char *text, size_t size)
{
	size_t n = 0;

	while (n < len && n < size - 1 && octets[n] != 0) {
		text[n] = octets[n] >= ' ' && octets[n] <= '~' ? octets[n] : '?';
		n++;
	}
	text[n] = 0;
}

static int
hello_take(struct client *c, const uint8_t *body, size_t len, struct err *err)
{
	const struct ipc_xfrm *x = &c->ipc->xfrm;
	struct ipc_hello hello;

	if (len < sizeof(hello))
		return err_set(err, -EINVAL, "a hello of %zu octets: it has at least %zu", len,
			       sizeof(hello));
	memcpy(&hello, body, sizeof(hello));
	if (hello.version != IPC_VERSION)
		return err_set(err, -EPROTONOSUPPORT,
			       "a hello of version %u: this gateway speaks version %d; library and "
			       "gateway are to be of one release",
			       hello.version, IPC_VERSION);
	if (c->d.instance != 0 && hello.instance != c->d.instance)
		return err_set(err, -EINVAL, "a connection keeps the instance of its first hello");
	if (hello.role > IPC_DAEMON)
		return err_set(err, -EINVAL, "role %u is none: 0 is a script, 1 a daemon",
			       hello.role);
	c->d.instance = hello.instance;
	c->d.nl_pid = hello.nl_pid;
	c->d.groups = hello.groups;
	c->role = hello.role;
	text_take(body + sizeof(hello), len - sizeof(hello), c->d.program, sizeof(c->d.program));
	return x->hello != NULL ? x->hello(x->ctx, &c->d, err) : 0;
}

static void
command_take(struct client *c, const struct nlmsghdr *request, const uint8_t *body, size_t len)
{
	struct ipc_command command;
	char line[1024];

	if (len < sizeof(command)) {
		client_error(c, request, -EINVAL, "a command of less than 4 octets");
		return;
	}
	memcpy(&command, body, sizeof(command));
	len -= sizeof(command);
	body += sizeof(command);
	/* Octets that are no text are the command line's to complain of. */
	len = strnlen((const char *)body, len);
	if (len >= sizeof(line)) {
		client_error(c, request, -EINVAL, "a command line of more than 1023 octets");
		return;
	}
	memcpy(line, body, len);
	line[len] = 0;
	command_begin(c, request, command.flags, line);
}

static void
pids_tell(struct client *c, const struct nlmsghdr *request)
{
	struct {
		struct nlmsghdr header;
		uint32_t pids[IPC_CLIENTS_MAX];
	} m;
	uint32_t n = 0;

	for (uint32_t i = 0; i < IPC_CLIENTS_MAX; i++) {
		const struct client *other = c->ipc->clients[i];

		if (other != NULL && !other->dead && other->role == IPC_DAEMON)
			m.pids[n++] = other->d.pid;
	}
	m.header = message_header(IPC_PIDS, 0, n * sizeof(m.pids[0]), request, c->d.nl_pid);
	client_reply(c, &m, m.header.nlmsg_len);
}

static void
own_take(struct client *c, const struct nlmsghdr *request, const uint8_t *body, size_t len)
{
	struct err err = { "" };
	int rc;

	switch (request->nlmsg_type) {
	case IPC_HELLO:
		rc = hello_take(c, body, len, &err);
		client_error(c, request, rc, err.text);
		break;
	case IPC_COMMAND:
		command_take(c, request, body, len);
		break;
	case IPC_STOP:
		command_stop(c);
		break;
	case IPC_PIDS:
		pids_tell(c, request);
		break;
	default:
		err_set(&err, 0, "message type 0x%x is none that the control socket knows",
			request->nlmsg_type);
		client_error(c, request, -EINVAL, err.text);
	}
}

/* The header at the beginning, if a whole message of ours is there. */
static bool
is_own(const uint8_t *octets, size_t len, struct nlmsghdr *header)
{
	if (len < sizeof(*header))
		return false;
	memcpy(header, octets, sizeof(*header));
	return header->nlmsg_type >= IPC_HELLO && header->nlmsg_len >= sizeof(*header) &&
	       header->nlmsg_len <= len;
}

/* How many octets are others' messages: up to one of ours, or up to the end where one is cut. */
static size_t
others(const uint8_t *octets, size_t len)
{
	struct nlmsghdr header;
	size_t at = 0;

	while (at < len && !is_own(octets + at, len - at, &header)) {
		if (len - at < sizeof(header) || header.nlmsg_len < sizeof(header) ||
		    header.nlmsg_len >= len - at)
			return len;
		at += NLMSG_ALIGN(header.nlmsg_len);
	}
	return at;
}

static void
others_take(struct client *c, const uint8_t *octets, size_t len)
{
	const struct ipc_xfrm *x = &c->ipc->xfrm;
	struct nlmsghdr header = { .nlmsg_len = 0 };

	if (x->request != NULL) {
		x->request(x->ctx, &c->d, octets, len);
		return;
	}
	memcpy(&header, octets, len < sizeof(header) ? len : sizeof(header));
	client_error(c, &header, -EOPNOTSUPP, "this gateway takes no SAs by its control socket");
}

void
client_datagram(struct client *c, const uint8_t *octets, size_t len)
{
	struct nlmsghdr header;
	size_t at = 0, n;

	while (at < len && !c->dead) {
		if (is_own(octets + at, len - at, &header)) {
			c->requests++;
			own_take(c, &header, octets + at + NLMSG_HDRLEN,
				 header.nlmsg_len - NLMSG_HDRLEN);
			n = NLMSG_ALIGN(header.nlmsg_len);
		} else {
			n = others(octets + at, len - at);
			c->requests++;
			others_take(c, octets + at, n);
		}
		at += n;
	}
}
