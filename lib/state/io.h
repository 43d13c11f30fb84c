/* The operations on files that the state file is made of, as a table, so that a test can put a disk
 * there that loses what was not synced, tears it, or fails.
 *
 * All return 0 or more, or a negative errno, and mean what the system call of the name means.
 */
#ifndef STATE_IO_H
#define STATE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct state_io_stat {
	uint64_t size, inode, device;
	uint32_t mode, uid; /* mode: with the type, S_IFMT */
};

struct state_io {
	void *ctx;
	/* Returns a descriptor. */
	int (*open)(void *ctx, const char *path, int flags, uint32_t mode);
	int (*close)(void *ctx, int fd);
	ssize_t (*pread)(void *ctx, int fd, void *octets, size_t len, uint64_t at);
	ssize_t (*pwrite)(void *ctx, int fd, const void *octets, size_t len, uint64_t at);
	int (*fsync)(void *ctx, int fd);
	int (*fstat)(void *ctx, int fd, struct state_io_stat *st);
	/* Does not follow a symbolic link. */
	int (*lstat)(void *ctx, const char *path, struct state_io_stat *st);
	/* What statfs(2) calls the type of the file system that path is on; 0: not known. */
	int (*fs_type)(void *ctx, const char *path, uint64_t *type);
	int (*rename)(void *ctx, const char *from, const char *to);
	int (*unlink)(void *ctx, const char *path);
	/* Exclusive, without waiting: -EWOULDBLOCK if another has it. */
	int (*lock)(void *ctx, int fd);
	/* Who has it, or 0 if that cannot be known. */
	pid_t (*lock_holder)(void *ctx, const struct state_io_stat *st);
};

/* The system's. */
extern const struct state_io state_io_system;

/* All of it, or a negative errno. */
int state_io_write(const struct state_io *io, int fd, const void *octets, size_t len, uint64_t at);
/* As much as there is, up to len; or a negative errno. */
ssize_t state_io_read(const struct state_io *io, int fd, void *octets, size_t len, uint64_t at);

#endif
