#include "ipc/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/proto.h"

#define BACKLOG	   1024
#define LOCK_TRIES 50
#define LOCK_NAP   20000 /* us */

static void
directory_of(const char *path, char dir[sizeof(((struct listener *)NULL)->path)])
{
	char copy[sizeof(((struct listener *)NULL)->path)];

	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(dir, sizeof(copy), "%s", dirname(copy));
}

static int
address_of(const char *path, struct sockaddr_un *a, struct err *err)
{
	*a = (struct sockaddr_un) { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(a->sun_path))
		return err_set(err, -EINVAL,
			       "control socket %.120s: longer than the %zu octets a socket's path "
			       "may have",
			       path, sizeof(a->sun_path) - 1);
	strcpy(a->sun_path, path);
	return 0;
}

/* What to do about the file at the path: 0 when it is gone now, or was never there. */
static int
stale_remove(const struct sockaddr_un *a, struct err *err)
{
	struct stat st;
	int fd, rc;

	if (lstat(a->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "control socket %s: a file is there that is no socket",
			       a->sun_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "control socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 ? errno : 0;
	close(fd);
	/* Nobody listens any more; else somebody does, or another kind of socket is there. */
	if (rc == ECONNREFUSED)
		return unlink(a->sun_path) < 0 && errno != ENOENT ? -errno : 0;
	return err_set(err, -EADDRINUSE,
		       "control socket %s: a gateway answers there already; give this one another "
		       "with --control-socket",
		       a->sun_path);
}

/* Two gateways that start at once must not both take a dead one's place. Who keeps the lock for
 * longer than a second is no gateway.
 */
static int
directory_lock(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && i < LOCK_TRIES; i++)
		usleep(LOCK_NAP);
	return fd;
}

static int
bind_new(struct listener *l, const struct sockaddr_un *a, struct err *err)
{
	mode_t mask;
	int rc;

	rc = stale_remove(a, err);
	if (rc < 0)
		return rc;
	/* Nobody comes in before the groups are set. */
	mask = umask(0177);
	rc = bind(l->fd, (const struct sockaddr *)a, sizeof(*a)) < 0 ? -errno : 0;
	umask(mask);
	if (rc < 0 || listen(l->fd, BACKLOG) < 0)
		return rc < 0 ? rc : -errno;
	return 0;
}

static bool
is_own(const char *dir)
{
	char own[sizeof(((struct listener *)NULL)->path)];

	directory_of(IPC_PATH, own);
	return strcmp(dir, own) == 0;
}

static void
give(const char *path, const struct access *a, mode_t mode)
{
	gid_t group = a->has_reader ? a->reader : a->admin;

	if ((a->has_reader || a->has_admin) && lchown(path, -1, group) < 0)
		return;
	chmod(path, mode);
}

void
listener_share(struct listener *l, const struct access *access)
{
	bool none = !access->has_reader && !access->has_admin;
	bool both = access->has_reader && access->has_admin && access->reader != access->admin;
	char dir[sizeof(l->path)];

	directory_of(l->path, dir);
	if (is_own(dir))
		give(dir, access, 0750);
	/* A file has one group: with two, all may call, and are judged then. */
	give(l->path, access, none ? 0600 : both ? 0666 : 0660);
	lstat(l->path, &l->made);
}

int
listener_open(struct listener *l, const char *path, const struct access *access, struct err *err)
{
	char dir[sizeof(l->path)];
	struct sockaddr_un a;
	int rc, lock;

	*l = (struct listener) { .fd = -1 };
	rc = address_of(path, &a, err);
	if (rc < 0)
		return rc;
	directory_of(path, dir);
	if (mkdir(dir, 0750) == 0)
		give(dir, access, 0750);
	l->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return err_set(err, -errno, "control socket: %s", strerror(errno));
	if (err != NULL)
		err->text[0] = 0;
	lock = directory_lock(dir);
	rc = bind_new(l, &a, err);
	if (lock >= 0)
		close(lock);
	if (rc < 0) {
		close(l->fd);
		l->fd = -1;
		if (err != NULL && err->text[0] != 0)
			return rc;
		return err_set(err, rc, "control socket %s: %s", path, strerror(-rc));
	}
	snprintf(l->path, sizeof(l->path), "%s", path);
	listener_share(l, access);
	return 0;
}

void
listener_close(struct listener *l)
{
	struct stat st;

	if (l->path[0] == 0)
		return;
	/* Another's may have the number of ours again. */
	if (lstat(l->path, &st) == 0 && st.st_dev == l->made.st_dev &&
	    st.st_ino == l->made.st_ino && st.st_ctim.tv_sec == l->made.st_ctim.tv_sec &&
	    st.st_ctim.tv_nsec == l->made.st_ctim.tv_nsec)
		unlink(l->path);
	close(l->fd);
	*l = (struct listener) { .fd = -1 };
}
