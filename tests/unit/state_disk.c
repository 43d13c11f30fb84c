#include "state_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint32_t
disk_random(struct disk *d, uint32_t below)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 17;
	d->random ^= d->random << 5;
	return d->random % below;
}

static struct disk_name *
name_of(struct disk_name *names, const char *name)
{
	for (int i = 0; i < DISK_FILES; i++)
		if (strcmp(names[i].name, name) == 0)
			return &names[i];
	return NULL;
}

static void
name_set(struct disk_name *names, const char *name, int file)
{
	struct disk_name *n = name_of(names, name);

	if (n == NULL)
		n = name_of(names, "");
	if (n == NULL)
		abort();
	strncpy(n->name, name, sizeof(n->name) - 1);
	n->file = file;
	if (file < 0)
		n->name[0] = 0;
}

static int
file_of(struct disk *d, const char *name)
{
	const struct disk_name *n = name_of(d->names, name);

	return n == NULL ? -1 : n->file;
}

struct disk_file *
disk_file(struct disk *d, const char *name)
{
	int file = file_of(d, name);

	return file < 0 ? NULL : &d->files[file];
}

static void
change_note(struct disk *d, const char *to, int file, const char *gone)
{
	struct disk_change *c = &d->changes[d->n_changes++];

	if (d->n_changes == sizeof(d->changes) / sizeof(d->changes[0]))
		abort();
	memset(c, 0, sizeof(*c));
	strncpy(c->to.name, to, sizeof(c->to.name) - 1);
	c->to.file = file;
	if (gone != NULL)
		strncpy(c->gone.name, gone, sizeof(c->gone.name) - 1);
}

static void
change_apply(struct disk *d, const struct disk_change *c)
{
	name_set(d->synced_names, c->to.name, c->to.file);
	if (c->gone.name[0] != 0)
		name_set(d->synced_names, c->gone.name, -1);
}

/* Before each call that changes something: 0, or what it has to fail with; 1: it is cut off. */
static int
turn(struct disk *d)
{
	if (d->dead)
		return -EIO;
	d->calls++;
	if (d->fail_at != 0 && d->calls >= d->fail_at && d->calls < d->fail_at + d->n_fail)
		return d->fail_with;
	if (d->calls == d->cut_at) {
		d->dead = true;
		return 1;
	}
	return 0;
}

static void
writes_forget(struct disk_file *f)
{
	while (f->writes != NULL) {
		struct disk_write *w = f->writes;

		f->writes = w->next;
		free(w);
	}
	f->last = &f->writes;
}

static void
content_write(uint8_t **content, size_t *size, const uint8_t *octets, size_t len, uint64_t at)
{
	if (len == 0)
		return;
	if (at + len > *size) {
		*content = realloc(*content, at + len);
		if (*content == NULL)
			abort();
		memset(*content + *size, 0, at + len - *size);
		*size = at + len;
	}
	memcpy(*content + at, octets, len);
}

static void
file_sync(struct disk_file *f)
{
	free(f->synced);
	f->synced = malloc(f->now_size + 1);
	if (f->synced == NULL)
		abort();
	if (f->now_size > 0)
		memcpy(f->synced, f->now, f->now_size);
	f->synced_size = f->now_size;
	writes_forget(f);
}

static int
file_new(struct disk *d)
{
	for (int i = 0; i < DISK_FILES; i++) {
		if (d->files[i].used)
			continue;
		d->files[i] = (struct disk_file) { .used = true, .inode = ++d->next_inode };
		d->files[i].last = &d->files[i].writes;
		return i;
	}
	abort();
}

static void
file_free(struct disk_file *f)
{
	writes_forget(f);
	free(f->now);
	free(f->synced);
	memset(f, 0, sizeof(*f));
}

static bool
file_is_held(const struct disk *d, int file)
{
	for (int i = 0; i < DISK_FILES; i++)
		if ((d->names[i].name[0] != 0 && d->names[i].file == file) ||
		    (d->synced_names[i].name[0] != 0 && d->synced_names[i].file == file))
			return true;
	for (int i = 0; i < DISK_HANDLES; i++)
		if (d->handles[i].used && !d->handles[i].is_directory && d->handles[i].file == file)
			return true;
	for (unsigned int i = 0; i < d->n_changes; i++)
		if (d->changes[i].to.file == file)
			return true;
	return false;
}

static void
files_sweep(struct disk *d)
{
	for (int i = 0; i < DISK_FILES; i++)
		if (d->files[i].used && !file_is_held(d, i))
			file_free(&d->files[i]);
}

static int
handle_new(struct disk *d, int file, bool is_directory)
{
	for (int i = 0; i < DISK_HANDLES; i++) {
		if (d->handles[i].used)
			continue;
		d->handles[i].used = true;
		d->handles[i].locked = false;
		d->handles[i].is_directory = is_directory;
		d->handles[i].file = file;
		return i;
	}
	abort();
}

static int
disk_open(void *ctx, const char *path, int flags, uint32_t mode)
{
	struct disk *d = ctx;
	int file, rc;

	if (d->dead)
		return -EIO;
	if ((flags & O_DIRECTORY) != 0)
		return handle_new(d, -1, true);
	file = file_of(d, path);
	if (file >= 0 && (flags & O_EXCL) != 0)
		return -EEXIST;
	if (file < 0 && (flags & O_CREAT) == 0)
		return -ENOENT;
	if (file < 0) {
		rc = turn(d);
		if (rc < 0)
			return rc;
		file = file_new(d);
		name_set(d->names, path, file);
		change_note(d, path, file, NULL);
		if (rc == 1)
			return -EIO;
	}
	return handle_new(d, file, false);
}

static int
disk_close(void *ctx, int fd)
{
	struct disk *d = ctx;

	if (fd < 0 || fd >= DISK_HANDLES || !d->handles[fd].used)
		abort();
	d->handles[fd].used = false;
	files_sweep(d);
	return 0;
}

static ssize_t
disk_pread(void *ctx, int fd, void *octets, size_t len, uint64_t at)
{
	struct disk *d = ctx;
	const struct disk_file *f = &d->files[d->handles[fd].file];

	if (d->dead)
		return -EIO;
	if (at >= f->now_size)
		return 0;
	if (len > f->now_size - at)
		len = f->now_size - at;
	memcpy(octets, f->now + at, len);
	return (ssize_t)len;
}

static ssize_t
disk_pwrite(void *ctx, int fd, const void *octets, size_t len, uint64_t at)
{
	struct disk *d = ctx;
	struct disk_file *f = &d->files[d->handles[fd].file];
	struct disk_write *w;
	int rc = turn(d);

	/* What fails may have got a part of the way. */
	if (rc != 0)
		len = disk_random(d, (uint32_t)len + 1);
	w = malloc(sizeof(*w) + len);
	if (w == NULL)
		abort();
	*w = (struct disk_write) { .len = len, .at = at };
	memcpy(w->octets, octets, len);
	*f->last = w;
	f->last = &w->next;
	content_write(&f->now, &f->now_size, octets, len, at);
	return rc < 0 ? rc : rc > 0 ? -EIO : (ssize_t)len;
}

static int
disk_fsync(void *ctx, int fd)
{
	struct disk *d = ctx;
	int rc = turn(d);

	/* A sync that is cut, or fails, has written what it has written. What failed is then taken
	 * for clean, as Linux does: it will not be written by the next one. */
	if (rc < 0 && !d->handles[fd].is_directory)
		for (struct disk_write *w = d->files[d->handles[fd].file].writes; w != NULL;
		     w = w->next)
			w->len = disk_random(d, 2) == 0 ? 0 : w->len;
	if (rc != 0)
		return rc < 0 ? rc : -EIO;
	if (d->lies)
		return 0;
	if (!d->handles[fd].is_directory) {
		struct disk_file *f = &d->files[d->handles[fd].file];

		for (const struct disk_write *w = f->writes; w != NULL; w = w->next)
			content_write(&f->synced, &f->synced_size, w->octets, w->len, w->at);
		writes_forget(f);
		return 0;
	}
	memcpy(d->synced_names, d->names, sizeof(d->names));
	d->n_changes = 0;
	files_sweep(d);
	return 0;
}

static int
stat_of(const struct disk *d, int file, struct state_io_stat *st)
{
	*st = (struct state_io_stat) {
		.size = d->files[file].now_size,
		.inode = d->files[file].inode,
		.mode = S_IFREG | 0600,
		.uid = geteuid(),
	};
	return 0;
}

static int
disk_fstat(void *ctx, int fd, struct state_io_stat *st)
{
	struct disk *d = ctx;

	return d->dead ? -EIO : stat_of(d, d->handles[fd].file, st);
}

static int
disk_lstat(void *ctx, const char *path, struct state_io_stat *st)
{
	struct disk *d = ctx;
	int file = file_of(d, path);

	if (d->dead)
		return -EIO;
	return file < 0 ? -ENOENT : stat_of(d, file, st);
}

static int
disk_fs_type(void *ctx, const char *path, uint64_t *type)
{
	*type = 0;
	return 0;
}

static int
disk_rename(void *ctx, const char *from, const char *to)
{
	struct disk *d = ctx;
	int file = file_of(d, from), rc = turn(d);

	if (rc < 0)
		return rc;
	if (file < 0)
		return -ENOENT;
	name_set(d->names, to, file);
	name_set(d->names, from, -1);
	change_note(d, to, file, from);
	files_sweep(d);
	return rc == 1 ? -EIO : 0;
}

static int
disk_unlink(void *ctx, const char *path)
{
	struct disk *d = ctx;
	int rc;

	if (file_of(d, path) < 0)
		return -ENOENT;
	rc = turn(d);
	if (rc < 0)
		return rc;
	name_set(d->names, path, -1);
	change_note(d, path, -1, NULL);
	files_sweep(d);
	return rc == 1 ? -EIO : 0;
}

static int
disk_lock(void *ctx, int fd)
{
	struct disk *d = ctx;

	for (int i = 0; i < DISK_HANDLES; i++)
		if (i != fd && d->handles[i].used && d->handles[i].locked &&
		    d->handles[i].file == d->handles[fd].file)
			return -EWOULDBLOCK;
	d->handles[fd].locked = true;
	return 0;
}

static pid_t
disk_lock_holder(void *ctx, const struct state_io_stat *st)
{
	return 4711;
}

void
disk_init(struct disk *d, uint32_t seed)
{
	*d = (struct disk) {
		.io = {
			.ctx = d,
			.open = disk_open,
			.close = disk_close,
			.pread = disk_pread,
			.pwrite = disk_pwrite,
			.fsync = disk_fsync,
			.fstat = disk_fstat,
			.lstat = disk_lstat,
			.fs_type = disk_fs_type,
			.rename = disk_rename,
			.unlink = disk_unlink,
			.lock = disk_lock,
			.lock_holder = disk_lock_holder,
		},
		.random = seed * 2654435761u | 1,
	};
}

void
disk_fini(struct disk *d)
{
	for (int i = 0; i < DISK_FILES; i++)
		if (d->files[i].used)
			file_free(&d->files[i]);
}

/* Of each write that was not synced: all, nothing, or a piece of it from either end. */
static void
file_crash(struct disk *d, struct disk_file *f)
{
	for (struct disk_write *w = f->writes; w != NULL; w = w->next) {
		size_t from = 0, len = w->len;

		switch (disk_random(d, 4)) {
		case 0:
			len = 0;
			break;
		case 1:
			len = disk_random(d, (uint32_t)w->len + 1);
			break;
		case 2:
			from = disk_random(d, (uint32_t)w->len + 1);
			len = w->len - from;
			break;
		}
		content_write(&f->synced, &f->synced_size, w->octets + from, len, w->at + from);
	}
	writes_forget(f);
	free(f->now);
	f->now = malloc(f->synced_size + 1);
	if (f->now == NULL)
		abort();
	if (f->synced_size > 0)
		memcpy(f->now, f->synced, f->synced_size);
	f->now_size = f->synced_size;
}

void
disk_kill(struct disk *d)
{
	memset(d->handles, 0, sizeof(d->handles));
	d->dead = false;
	d->cut_at = d->fail_at = 0;
	files_sweep(d);
}

void
disk_crash(struct disk *d)
{
	for (unsigned int i = 0; i < d->n_changes; i++)
		if (disk_random(d, 2) == 0)
			change_apply(d, &d->changes[i]);
	d->n_changes = 0;
	memcpy(d->names, d->synced_names, sizeof(d->names));
	for (int i = 0; i < DISK_FILES; i++)
		if (d->files[i].used)
			file_crash(d, &d->files[i]);
	disk_kill(d);
}

void
disk_put(struct disk *d, const char *name, const uint8_t *octets, size_t len)
{
	struct disk_file *f;
	int file = file_of(d, name);

	if (file < 0) {
		file = file_new(d);
		name_set(d->names, name, file);
		name_set(d->synced_names, name, file);
	}
	f = &d->files[file];
	free(f->now);
	f->now = NULL;
	f->now_size = 0;
	content_write(&f->now, &f->now_size, octets, len, 0);
	file_sync(f);
}

void
disk_remove(struct disk *d, const char *name)
{
	name_set(d->names, name, -1);
	name_set(d->synced_names, name, -1);
	files_sweep(d);
}
