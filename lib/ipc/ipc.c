#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/cli.h"
#include "ipc/client.h"
#include "ipc/message.h"

#define TURN_NS	       2000000 /* of a loop, for all clients together */
#define TURN_OCTETS    IPC_DATAGRAM_MAX
#define ACCEPTS_A_TURN 32

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

void
ipc_line_up(struct ipc *ipc, struct client *c)
{
	if (c->in_line)
		return;
	c->in_line = true;
	c->next = NULL;
	*ipc->line_end = c;
	ipc->line_end = &c->next;
}

static struct client *
line_take(struct ipc *ipc)
{
	struct client *c = ipc->line;

	if (c == NULL)
		return NULL;
	ipc->line = c->next;
	if (ipc->line == NULL)
		ipc->line_end = &ipc->line;
	c->in_line = false;
	return c;
}

/* Says why and closes. What the client may have said already is taken first: closing over it would
 * throw our answer away.
 */
static void
refuse(struct ipc *ipc, int fd, int error, const char *sentence)
{
	struct nlmsghdr request = { .nlmsg_len = 0 };
	uint8_t buf[MESSAGE_ERROR_SIZE];
	ssize_t n = recv(fd, ipc->buffer, sizeof(ipc->buffer), MSG_DONTWAIT);

	if (n >= (ssize_t)sizeof(request))
		memcpy(&request, ipc->buffer, sizeof(request));
	if (n > 0)
		explicit_bzero(ipc->buffer, n);
	send(fd, buf, message_error(buf, &request, 0, error, sentence),
	     MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static int
free_slot(const struct ipc *ipc, uid_t uid)
{
	uint32_t max = IPC_CLIENTS_MAX - (uid == 0 ? 0 : IPC_CLIENTS_ROOT);

	if (ipc->n_clients >= max)
		return -1;
	for (int i = 0; i < IPC_CLIENTS_MAX; i++)
		if (ipc->clients[i] == NULL)
			return i;
	return -1;
}

static void
welcome(struct ipc *ipc, int fd)
{
	enum access_level level;
	struct client *c;
	uid_t uid = -1;
	pid_t pid = 0;
	int slot;

	level = access_of(&ipc->access, fd, &uid, &pid);
	if (level == ACCESS_NONE) {
		refuse(ipc, fd, -EPERM,
		       "only root and members of gateway.socket_group or " ACCESS_ADMIN_GROUP
		       " may use the control socket");
		return;
	}
	slot = free_slot(ipc, uid);
	if (slot < 0) {
		refuse(ipc, fd, -EUSERS, "the control socket has as many clients as it takes");
		return;
	}
	c = client_create(ipc, fd, slot);
	if (c == NULL) {
		refuse(ipc, fd, -ENOMEM, "no memory for another client");
		return;
	}
	c->d.id = ++ipc->next_serial * IPC_CLIENTS_MAX + slot;
	c->d.uid = uid;
	c->d.pid = pid;
	c->d.may_change = level == ACCESS_CHANGE;
	ipc->clients[slot] = c;
	ipc->n_clients++;
}

/* No descriptor is left: who waits is turned away, or it would be told for ever that somebody does.
 */
static void
turn_away(struct ipc *ipc)
{
	int fd;

	close(ipc->spare);
	fd = accept4(ipc->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		refuse(ipc, fd, -EMFILE, "the gateway has no file descriptor left");
	ipc->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
called(void *ctx, uint32_t events)
{
	struct ipc *ipc = ctx;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(ipc->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			welcome(ipc, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE)
			turn_away(ipc);
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

static void
client_end(struct ipc *ipc, struct client *c)
{
	const struct ipc_xfrm *x = &ipc->xfrm;

	ipc->clients[c->slot] = NULL;
	ipc->n_clients--;
	if (x->gone != NULL)
		x->gone(x->ctx, &c->d);
	client_free(c);
}

/* Reads one datagram. False: there is none now, or never will be. */
static bool
hear(struct ipc *ipc, struct client *c, size_t *octets)
{
	struct nlmsghdr header = { .nlmsg_len = 0 };
	/* Without room for them the kernel closes descriptors that come along. */
	ssize_t n = recv(c->fd, ipc->buffer, sizeof(ipc->buffer), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		c->dead |= n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
		return false;
	}
	*octets += n;
	if (n > IPC_DATAGRAM_MAX) {
		memcpy(&header, ipc->buffer, sizeof(header));
		client_error(c, &header, -EMSGSIZE, "a datagram of more than 65536 octets");
		n = sizeof(ipc->buffer);
	} else {
		client_datagram(c, ipc->buffer, n);
	}
	/* It may have brought keys. */
	explicit_bzero(ipc->buffer, n);
	return true;
}

static void
serve(struct ipc *ipc, struct client *c)
{
	const struct ipc_xfrm *x = &ipc->xfrm;
	size_t octets = 0;
	bool more = true;

	client_flush(c);
	if (c->answer != NULL && client_has_room(c))
		command_more(c);
	for (int i = 0; i < CLIENT_TURN && c->d.dumping && client_has_room(c) && !c->dead; i++)
		x->dump_more(x->ctx, &c->d);
	for (int i = 0; i < CLIENT_TURN && more && octets < TURN_OCTETS && !c->dead &&
			client_has_room(c) && (c->answer == NULL || command_waits(c));
	     i++)
		more = hear(ipc, c, &octets);
	/* Who went and does not read either will not be heard to the end. */
	if (c->hung_up && !client_has_room(c))
		c->dead = true;
	if (c->dead) {
		if (c->in_line)
			return; /* its turn comes again, the last */
		client_end(ipc, c);
		return;
	}
	client_watch(c);
	if (client_has_room(c) && (c->d.dumping || (c->answer != NULL && !command_waits(c))))
		ipc_line_up(ipc, c);
}

/* Commands that take time: those that have something to say by now. */
static void
waiting_look(struct ipc *ipc)
{
	bool some = false;

	for (uint32_t i = 0; ipc->waiting && i < IPC_CLIENTS_MAX; i++) {
		struct client *c = ipc->clients[i];

		if (c == NULL || c->answer == NULL)
			continue;
		if (command_waits(c))
			some = true;
		else
			ipc_line_up(ipc, c);
	}
	ipc->waiting = some;
}

bool
ipc_run(struct ipc *ipc)
{
	uint64_t end = now_ns() + TURN_NS;
	struct client *c;

	if (ipc == NULL)
		return false;
	waiting_look(ipc);
	while ((c = line_take(ipc)) != NULL) {
		serve(ipc, c);
		if (now_ns() >= end)
			break;
	}
	return ipc->line != NULL;
}

static struct client *
client_of(const struct ipc *ipc, uint64_t id)
{
	struct client *c = ipc->clients[id % IPC_CLIENTS_MAX];

	return c != NULL && c->d.id == id ? c : NULL;
}

void
ipc_reply(void *ctx, uint64_t client, const void *datagram, size_t len)
{
	struct client *c = client_of(ctx, client);

	if (c != NULL)
		client_reply(c, datagram, len);
}

void
ipc_hold(void *ctx, uint64_t client, uint64_t ticket)
{
	struct client *c = client_of(ctx, client);

	if (c != NULL)
		c->held_to = ticket;
}

void
ipc_release(void *ctx, uint64_t ticket)
{
	struct ipc *ipc = ctx;

	ipc->released = ticket;
	for (uint32_t i = 0; i < IPC_CLIENTS_MAX; i++)
		if (ipc->clients[i] != NULL && ipc->clients[i]->first != NULL) {
			client_flush(ipc->clients[i]);
			client_watch(ipc->clients[i]);
		}
}

void
ipc_event(void *ctx, unsigned int group, const void *datagram, size_t len)
{
	struct ipc *ipc = ctx;

	for (uint32_t i = 0, n = 0; i < IPC_CLIENTS_MAX && n < ipc->n_clients; i++) {
		struct client *c = ipc->clients[i];

		n += c != NULL;
		if (c != NULL && (c->d.groups >> (group - 1) & 1) != 0)
			client_event(c, datagram, len);
	}
}

bool
ipc_listens(const struct ipc *ipc, unsigned int group)
{
	for (uint32_t i = 0, n = 0; i < IPC_CLIENTS_MAX && n < ipc->n_clients; i++) {
		const struct client *c = ipc->clients[i];

		n += c != NULL;
		if (c != NULL && !c->dead && (c->d.groups >> (group - 1) & 1) != 0)
			return true;
	}
	return false;
}

void
ipc_share(struct ipc *ipc, const char *group)
{
	if (ipc == NULL || strcmp(ipc->group, group) == 0)
		return;
	snprintf(ipc->group, sizeof(ipc->group), "%s", group);
	access_init(&ipc->access, ipc->group);
	listener_share(&ipc->listener, &ipc->access);
}

/* A thousand clients want more descriptors than a process has by default. */
static void
descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= 2 * IPC_CLIENTS_MAX)
		return;
	limit.rlim_cur =
		limit.rlim_max < 4 * IPC_CLIENTS_MAX ? limit.rlim_max : 4 * IPC_CLIENTS_MAX;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int
ipc_create(const struct ipc_options *options, struct ipc **out, struct err *err)
{
	struct ipc *ipc = calloc(1, sizeof(*ipc));
	int rc;

	if (ipc == NULL)
		return err_set(err, -ENOMEM, "no memory for the control socket");
	ipc->options = *options;
	ipc->line_end = &ipc->line;
	ipc->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	descriptors_raise();
	snprintf(ipc->group, sizeof(ipc->group), "%s", options->group);
	access_init(&ipc->access, ipc->group);
	rc = listener_open(&ipc->listener, options->path, &ipc->access, err);
	if (rc == 0) {
		rc = poller_add(options->poller, ipc->listener.fd, EPOLLIN, called, ipc);
		if (rc < 0)
			err_set(err, rc, "control socket %s: %s", options->path, strerror(-rc));
	}
	if (rc < 0) {
		ipc_free(ipc);
		return rc;
	}
	if (options->cli != NULL) {
		options->cli->clients_show = clients_show;
		options->cli->clients = ipc;
	}
	*out = ipc;
	return 0;
}

void
ipc_serve(struct ipc *ipc, const struct ipc_xfrm *xfrm)
{
	ipc->xfrm = *xfrm;
}

void
ipc_free(struct ipc *ipc)
{
	if (ipc == NULL)
		return;
	if (ipc->options.cli != NULL)
		ipc->options.cli->clients_show = NULL;
	if (ipc->listener.path[0] != 0)
		poller_del(ipc->options.poller, ipc->listener.fd);
	listener_close(&ipc->listener);
	for (uint32_t i = 0; i < IPC_CLIENTS_MAX; i++)
		if (ipc->clients[i] != NULL)
			client_end(ipc, ipc->clients[i]);
	if (ipc->spare >= 0)
		close(ipc->spare);
	free(ipc);
}
