#include "state/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

static int
sys_open(void *ctx, const char *path, int flags, uint32_t mode)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, (mode_t)mode);

	return fd < 0 ? -errno : fd;
}

static int
sys_close(void *ctx, int fd)
{
	return close(fd) < 0 ? -errno : 0;
}

static ssize_t
sys_pread(void *ctx, int fd, void *octets, size_t len, uint64_t at)
{
	ssize_t n = pread(fd, octets, len, (off_t)at);

	return n < 0 ? -errno : n;
}

static ssize_t
sys_pwrite(void *ctx, int fd, const void *octets, size_t len, uint64_t at)
{
	ssize_t n = pwrite(fd, octets, len, (off_t)at);

	return n < 0 ? -errno : n;
}

static int
sys_fsync(void *ctx, int fd)
{
	return fsync(fd) < 0 ? -errno : 0;
}

static void
stat_read(const struct stat *s, struct state_io_stat *st)
{
	*st = (struct state_io_stat) {
		.size = (uint64_t)s->st_size,
		.inode = s->st_ino,
		.device = s->st_dev,
		.mode = s->st_mode,
		.uid = s->st_uid,
	};
}

static int
sys_fstat(void *ctx, int fd, struct state_io_stat *st)
{
	struct stat s;

	if (fstat(fd, &s) < 0)
		return -errno;
	stat_read(&s, st);
	return 0;
}

static int
sys_lstat(void *ctx, const char *path, struct state_io_stat *st)
{
	struct stat s;

	if (lstat(path, &s) < 0)
		return -errno;
	stat_read(&s, st);
	return 0;
}

static int
sys_fs_type(void *ctx, const char *path, uint64_t *type)
{
	struct statfs s;

	if (statfs(path, &s) < 0)
		return -errno;
	*type = (uint64_t)s.f_type;
	return 0;
}

static int
sys_rename(void *ctx, const char *from, const char *to)
{
	return rename(from, to) < 0 ? -errno : 0;
}

static int
sys_unlink(void *ctx, const char *path)
{
	return unlink(path) < 0 ? -errno : 0;
}

static int
sys_lock(void *ctx, int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

/* "1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF": the device's numbers are hexadecimal. Some
 * file systems have another device there than fstat(2) says, so a match of the inode alone is taken
 * if there is no better one.
 */
static pid_t
sys_lock_holder(void *ctx, const struct state_io_stat *st)
{
	FILE *f = fopen("/proc/locks", "re");
	pid_t holder = 0;
	char line[256];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		unsigned int major_of, minor_of;
		unsigned long inode;
		int pid;

		if (sscanf(line, "%*u: FLOCK %*s WRITE %d %x:%x:%lu", &pid, &major_of, &minor_of,
			   &inode) != 4 ||
		    inode != st->inode)
			continue;
		if (major_of == major(st->device) && minor_of == minor(st->device)) {
			holder = pid;
			break;
		}
		if (holder == 0)
			holder = pid;
	}
	if (f != NULL)
		fclose(f);
	return holder;
}

const struct state_io state_io_system = {
	.open = sys_open,
	.close = sys_close,
	.pread = sys_pread,
	.pwrite = sys_pwrite,
	.fsync = sys_fsync,
	.fstat = sys_fstat,
	.lstat = sys_lstat,
	.fs_type = sys_fs_type,
	.rename = sys_rename,
	.unlink = sys_unlink,
	.lock = sys_lock,
	.lock_holder = sys_lock_holder,
};

int
state_io_write(const struct state_io *io, int fd, const void *octets, size_t len, uint64_t at)
{
	const uint8_t *from = octets;

	while (len > 0) {
		ssize_t n = io->pwrite(io->ctx, fd, from, len, at);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		from += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

ssize_t
state_io_read(const struct state_io *io, int fd, void *octets, size_t len, uint64_t at)
{
	uint8_t *to = octets;
	size_t done = 0;

	while (done < len) {
		ssize_t n = io->pread(io->ctx, fd, to + done, len - done, at + done);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}
