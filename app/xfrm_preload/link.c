#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "preload.h"

#define NAP_MIN 100 /* ms between tries to connect; doubled up to */
#define NAP_MAX 2000
#define LOOK_MS 500
#define WAKE_MS 50

static struct link links[LINKS_MAX];
static _Atomic(struct link *) table[FDS_MAX];
static _Atomic int top; /* no descriptor of ours is above */

/* Guards what follows, and who has which place; may be taken while a link's own lock is held. */
static pthread_mutex_t all = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static bool helper_runs;
static uint32_t n_pids;

static pid_t home; /* the process that all this is of */
static uint64_t instance;
static _Atomic bool is_daemon;

int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

struct link *
link_of(int fd)
{
	if (fd < 0 || fd >= FDS_MAX || fd > atomic_load_explicit(&top, memory_order_relaxed))
		return NULL;
	return atomic_load_explicit(&table[fd], memory_order_acquire);
}

/* ---- What lies under the descriptors. ---- */

/* Who sleeps in the old file is to see its end there: a poll that wakes looks at what lies under
 * the descriptor by then, and would sleep on in a file that it does not wait for.
 */
static void
wake_sleepers(const struct link *l)
{
	const struct timespec nap = { .tv_nsec = WAKE_MS * 1000000L };
	int last = atomic_load(&top);

	if (l->generation == 0)
		return;
	for (int fd = 0; fd <= last; fd++)
		if (atomic_load(&table[fd]) == l)
			shutdown(fd, SHUT_RDWR);
	nanosleep(&nap, NULL);
}

/* Puts a file under all descriptors of a link, with what was set on the one before. */
static void
put_under(struct link *l, int fresh)
{
	int last = atomic_load(&top);

	wake_sleepers(l);
	for (int fd = 0; fd <= last; fd++) {
		int flags, status;

		if (atomic_load(&table[fd]) != l)
			continue;
		flags = real()->fcntl(fd, F_GETFD);
		status = real()->fcntl(fd, F_GETFL);
		real()->fcntl(fresh, F_SETFL, status & O_NONBLOCK);
		real()->dup3(fresh, fd, (flags & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0);
		for (unsigned int i = 0; i < l->n_watches; i++)
			if (l->watches[i].fd == fd)
				real()->epoll_ctl(l->watches[i].epoll, EPOLL_CTL_ADD, fd,
						  &l->watches[i].event);
	}
	real()->close(fresh);
	/* Who saw the end of the old file knows by this that it was the old one's. */
	l->generation++;
}

/* An end on which nothing comes but what is written into l->far. */
static int
idle_end(struct link *l)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	l->far = ends[1];
	return ends[0];
}

static void
error_put(struct link *l, uint32_t seq, int error)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr body;
	} m;

	memset(&m, 0, sizeof(m));
	m.header.nlmsg_len = sizeof(m);
	m.header.nlmsg_type = NLMSG_ERROR;
	m.header.nlmsg_flags = NLM_F_CAPPED;
	m.header.nlmsg_seq = seq;
	m.header.nlmsg_pid = l->pid;
	m.body.error = -error;
	m.body.msg.nlmsg_len = NLMSG_HDRLEN;
	m.body.msg.nlmsg_seq = seq;
	real()->send(l->far, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
drop(struct link *l, int error)
{
	int fresh = idle_end(l);

	if (fresh < 0)
		return;
	for (unsigned int i = 0; i < l->n_pending; i++)
		error_put(l, l->pending[i].seq, error);
	l->n_pending = 0;
	l->connected = false;
	l->nap = NAP_MIN;
	l->next_try = now_ms();
	put_under(l, fresh);
}

/* Whether errors lie there that nobody has read yet. */
static bool
is_unread(int fd)
{
	char c;

	/* The end of a connection is readable too, to poll. */
	return real()->recv(fd, &c, 1, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT) > 0;
}

static bool
connect_now(struct link *l, int fd)
{
	int fresh;

	if (l->far >= 0 && is_unread(fd))
		return false;
	fresh = dial(l, instance, atomic_load(&is_daemon));
	if (fresh < 0) {
		l->nap = l->nap * 2 < NAP_MAX ? l->nap * 2 : NAP_MAX;
		l->next_try = now_ms() + l->nap;
		return false;
	}
	again_connected(fresh);
	if (again_tell(l)) {
		/* Once that is read. */
		real()->close(fresh);
		l->next_try = now_ms() + NAP_MIN;
		return false;
	}
	put_under(l, fresh);
	if (l->far >= 0)
		real()->close(l->far);
	l->far = -1;
	l->connected = true;
	l->nap = NAP_MIN;
	return true;
}

/* ---- The helper: connects again, and ends what waits too long. ---- */

static int
any_fd(const struct link *l)
{
	int last = atomic_load(&top);

	for (int fd = 0; fd <= last; fd++)
		if (atomic_load(&table[fd]) == l)
			return fd;
	return -1;
}

/* The end of a connection is to be seen even where nobody reads. */
static bool
is_ended(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0 && !is_unread(fd);
}

static void
look(struct link *l)
{
	int64_t now = now_ms();
	int fd;

	pthread_mutex_lock(&l->lock);
	fd = l->used ? any_fd(l) : -1;
	if (fd >= 0 && l->bound && !l->connected && now >= l->next_try)
		connect_now(l, fd);
	else if (fd >= 0 && l->connected && is_ended(fd))
		drop(l, ENETDOWN);
	for (unsigned int i = 0; fd >= 0 && l->connected && i < l->n_pending; i++) {
		if (now < l->pending[i].until)
			continue;
		/* The answer may be there, and the process slow. */
		if (!is_unread(fd))
			drop(l, ETIMEDOUT);
		break;
	}
	pthread_mutex_unlock(&l->lock);
}

static void *
helper(void *arg)
{
	struct timespec until;

	(void)arg;
	pthread_mutex_lock(&all);
	for (;;) {
		bool any = false;

		for (int i = 0; i < LINKS_MAX; i++) {
			if (!links[i].used)
				continue;
			any = true;
			pthread_mutex_unlock(&all);
			look(&links[i]);
			pthread_mutex_lock(&all);
		}
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (any)
			pthread_cond_timedwait(&wake, &all, &until);
		else
			pthread_cond_wait(&wake, &all);
	}
	return NULL;
}

/* `all` is held. Signals are the process's own threads'. */
static void
helper_start(void)
{
	sigset_t none, before;
	pthread_attr_t attr;
	pthread_t thread;

	pthread_cond_signal(&wake);
	if (helper_runs)
		return;
	sigfillset(&none);
	pthread_sigmask(SIG_SETMASK, &none, &before);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	helper_runs = pthread_create(&thread, &attr, helper, NULL) == 0;
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- Descriptors. ---- */

static void
fork_before(void)
{
	pthread_mutex_lock(&all);
}

static void
fork_parent(void)
{
	pthread_mutex_unlock(&all);
}

/* Threads do not come along, nor do their locks' owners. */
static void
fork_child(void)
{
	home = getpid();
	pthread_mutex_init(&all, NULL);
	pthread_cond_init(&wake, NULL);
	for (int i = 0; i < LINKS_MAX; i++)
		pthread_mutex_init(&links[i].lock, NULL);
	again_forked();
	helper_runs = false;
	n_pids = 0;
}

static void
begin(void)
{
	while (instance == 0)
		if (getrandom(&instance, sizeof(instance), 0) != sizeof(instance))
			instance = (uint64_t)now_ms() << 32 | (uint32_t)getpid();
	for (int i = 0; i < LINKS_MAX; i++)
		pthread_mutex_init(&links[i].lock, NULL);
	home = getpid();
	pthread_atfork(fork_before, fork_parent, fork_child);
}

static struct link *
link_take(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct link *l = NULL;

	pthread_once(&once, begin);
	pthread_mutex_lock(&all);
	for (int i = 0; i < LINKS_MAX && l == NULL; i++)
		if (!links[i].used)
			l = &links[i];
	if (l != NULL) {
		l->used = true;
		l->refs = 0;
		l->bound = l->connected = false;
		l->pid = l->groups = 0;
		l->far = -1;
		l->generation = 0;
		l->n_pending = l->n_watches = 0;
		l->nap = NAP_MIN;
		l->next_try = 0;
	}
	pthread_mutex_unlock(&all);
	return l;
}

int
link_open(int type)
{
	struct link *l = link_take();
	int fd = -1;

	if (l == NULL) {
		errno = EMFILE;
		return -1;
	}
	fd = idle_end(l);
	if (fd >= FDS_MAX) {
		real()->close(fd);
		real()->close(l->far);
		fd = -1;
		errno = EMFILE;
	}
	if (fd < 0) {
		l->used = false;
		return -1;
	}
	real()->fcntl(fd, F_SETFD, (type & SOCK_CLOEXEC) != 0 ? FD_CLOEXEC : 0);
	real()->fcntl(fd, F_SETFL, (type & SOCK_NONBLOCK) != 0 ? O_NONBLOCK : 0);
	link_share(l, fd);
	return fd;
}

/* A child of vfork() has our memory, but descriptors of its own, and closes most of them. */
static bool
is_elsewhere(void)
{
	return getpid() != home;
}

void
link_share(struct link *l, int fd)
{
	if (fd >= FDS_MAX || is_elsewhere())
		return;
	pthread_mutex_lock(&all);
	l->refs++;
	if (fd > atomic_load(&top))
		atomic_store(&top, fd);
	atomic_store(&table[fd], l);
	pthread_mutex_unlock(&all);
}

void
link_close(int fd)
{
	struct link *l = link_of(fd);

	if (l == NULL || is_elsewhere())
		return;
	/* Nobody may be about to put another file under this number. */
	pthread_mutex_lock(&l->lock);
	pthread_mutex_lock(&all);
	if (link_of(fd) == l) {
		atomic_store(&table[fd], NULL);
		for (unsigned int i = l->n_watches; i-- > 0;)
			if (l->watches[i].fd == fd)
				l->watches[i] = l->watches[--l->n_watches];
		l->refs--;
	}
	if (l->refs == 0) {
		if (l->far >= 0)
			real()->close(l->far);
		l->far = -1;
		l->bound = l->connected = false;
		l->used = false;
	}
	pthread_mutex_unlock(&all);
	pthread_mutex_unlock(&l->lock);
}

void
link_bind(struct link *l, int fd, uint32_t pid, uint32_t groups)
{
	pthread_mutex_lock(&all);
	if (pid == 0 && l->pid == 0)
		pid = (uint32_t)getpid() + (n_pids++ << 22);
	helper_start();
	pthread_mutex_unlock(&all);
	pthread_mutex_lock(&l->lock);
	if (pid != 0)
		l->pid = pid;
	l->groups = groups;
	/* Groups 1 and 2 are ACQUIRE and EXPIRE: who wants to hear those negotiates. */
	if ((groups & 3) != 0)
		atomic_store(&is_daemon, true);
	l->bound = true;
	l->next_try = 0;
	if (l->connected)
		drop(l, ENETDOWN);
	connect_now(l, fd);
	pthread_mutex_unlock(&l->lock);
}

bool
link_ready(struct link *l, int fd)
{
	bool ready;

	if (!l->bound)
		link_bind(l, fd, 0, 0);
	pthread_mutex_lock(&l->lock);
	if (l->connected && is_ended(fd))
		drop(l, ENETDOWN);
	ready = l->connected || connect_now(l, fd);
	pthread_mutex_unlock(&l->lock);
	/* After a fork there is none. */
	if (!helper_runs) {
		pthread_mutex_lock(&all);
		helper_start();
		pthread_mutex_unlock(&all);
	}
	return ready;
}

void
link_lost(struct link *l, int fd, uint32_t generation, int error)
{
	(void)fd;
	pthread_mutex_lock(&l->lock);
	if (l->connected && l->generation == generation)
		drop(l, error);
	pthread_mutex_unlock(&l->lock);
}

void
link_watch(struct link *l, int epoll, int op, int fd, const struct epoll_event *event)
{
	unsigned int i = 0;

	pthread_mutex_lock(&l->lock);
	while (i < l->n_watches && (l->watches[i].epoll != epoll || l->watches[i].fd != fd))
		i++;
	if (op == EPOLL_CTL_DEL) {
		if (i < l->n_watches)
			l->watches[i] = l->watches[--l->n_watches];
	} else if (i < WATCHES_MAX) {
		l->watches[i] = (struct watch) { .epoll = epoll, .fd = fd, .event = *event };
		if (i == l->n_watches)
			l->n_watches++;
	}
	pthread_mutex_unlock(&l->lock);
}

void
links_unwatch(int epoll)
{
	for (int i = 0; i < LINKS_MAX; i++) {
		struct link *l = &links[i];

		if (atomic_load(&top) == 0 || is_elsewhere())
			return;
		if (!l->used || l->n_watches == 0)
			continue;
		pthread_mutex_lock(&l->lock);
		for (unsigned int k = l->n_watches; k-- > 0;)
			if (l->watches[k].epoll == epoll)
				l->watches[k] = l->watches[--l->n_watches];
		pthread_mutex_unlock(&l->lock);
	}
}
