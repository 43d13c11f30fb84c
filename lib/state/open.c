/* The state file read, judged and written anew: what a start finds. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/magic.h>
#include <openssl/rand.h>

#include "state/inner.h"

/* What helps when the numbers themselves are lost. */
#define CURE_LOST                                                                                 \
	"numbers of the keys it served may have been used: give every SA of the configuration a " \
	"new key, then remove %s and %s"

static int
fail(const struct state_file *f, int rc, struct err *err, const char *what)
{
	return err_set(err, rc, "state_file %s: %s", f->path, what);
}

static int
fail_lost(const struct state_file *f, int rc, struct err *err, const char *what)
{
	return err_set(err, rc, "state_file %s: %s: " CURE_LOST, f->path, what, f->path,
		       f->path_witness);
}

/* What the system refused, and what to do about it. */
static int
fail_system(const struct state_file *f, const char *path, int rc, struct err *err)
{
	static const struct {
		int rc;
		const char *cure;
	} cures[] = {
		{ -ENOENT, "make its directory, mode 0700, for the user that the gateway runs as" },
		{ -ENOTDIR, "its directory is none" },
		{ -EACCES, "give file and directory to the user that the gateway runs as" },
		{ -EPERM, "give file and directory to the user that the gateway runs as" },
		{ -EROFS, "mount its file system for writing, or name a file on another" },
		{ -ENOSPC, "make room, or name a file on another file system" },
		{ -EDQUOT, "raise the quota of the user that the gateway runs as" },
		{ -EIO, "the disk is broken" },
		{ -ENAMETOOLONG, "a shorter name" },
	};

	for (size_t i = 0; i < sizeof(cures) / sizeof(cures[0]); i++)
		if (cures[i].rc == rc)
			return err_set(err, rc, "state_file %s: %s: %s", path, strerror(-rc),
				       cures[i].cure);
	return err_set(err, rc, "state_file %s: %s", path, strerror(-rc));
}

static int
stat_check(const char *path, const struct state_io_stat *st, struct err *err)
{
	if (S_ISLNK(st->mode))
		return err_set(err, -EINVAL,
			       "state_file %s: is a symbolic link, which is not followed: name the "
			       "file itself",
			       path);
	if (S_ISDIR(st->mode))
		return err_set(err, -EINVAL, "state_file %s: is a directory: name a file in it",
			       path);
	if (!S_ISREG(st->mode))
		return err_set(err, -EINVAL, "state_file %s: is no regular file: name one", path);
	if (st->uid != geteuid())
		return err_set(err, -EPERM,
			       "state_file %s: belongs to user %u, and the gateway runs as %u: "
			       "chown it",
			       path, st->uid, geteuid());
	if ((st->mode & 077) != 0)
		return err_set(err, -EPERM,
			       "state_file %s: has mode %04o, and is nobody else's to read or "
			       "write: chmod 600",
			       path, st->mode & 07777);
	if (st->size > STATE_FILE_MAX)
		return err_set(err, -EINVAL,
			       "state_file %s: has %ju octets, and no state file has more than "
			       "%ju: is it one?",
			       path, (uintmax_t)st->size, (uintmax_t)STATE_FILE_MAX);
	return 0;
}

/* Opens one that must be ours alone, and locks it. */
static int
file_take(struct state_file *f, const char *path, int flags, int *fd, struct err *err)
{
	struct state_io_stat st;
	pid_t holder;
	int rc;

	rc = f->io->open(f->io->ctx, path, flags | O_NOFOLLOW, 0600);
	if (rc < 0)
		return fail_system(f, path, rc, err);
	*fd = rc;
	rc = f->io->fstat(f->io->ctx, *fd, &st);
	if (rc < 0)
		return fail_system(f, path, rc, err);
	rc = stat_check(path, &st, err);
	if (rc < 0)
		return rc;
	rc = f->io->lock(f->io->ctx, *fd);
	if (rc == 0)
		return 0;
	if (rc != -EWOULDBLOCK)
		return fail_system(f, path, rc, err);
	holder = f->io->lock_holder(f->io->ctx, &st);
	if (holder > 0)
		return err_set(err, -EBUSY,
			       "state_file %s: is in use by process %d: each gateway needs a file "
			       "of its own",
			       f->path, holder);
	return err_set(err, -EBUSY,
		       "state_file %s: is in use by another process: each gateway needs a file of "
		       "its own",
		       f->path);
}

/* 1: it is there, and of the kind that may be opened; 0: it is not. */
static int
is_there(struct state_file *f, const char *path, struct err *err)
{
	struct state_io_stat st;
	int rc = f->io->lstat(f->io->ctx, path, &st);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return fail_system(f, path, rc, err);
	rc = stat_check(path, &st, err);
	return rc < 0 ? rc : 1;
}

/* ---- reading ---- */

struct reading {
	uint64_t at, size;
	uint64_t durable;   /* the highest that a good record tells */
	uint64_t first_bad; /* UINT64_MAX: none */
	uint64_t n_good;
};

/* The higher number of two; the later record says when the key is forgotten. What was in use when
 * the gateway went is remembered for a day from now on.
 */
static int
record_merge(struct state_file *f, const struct state_record *r, uint64_t now)
{
	uint64_t expiry = r->expiry != 0 ? r->expiry : now + STATE_DEAD_KEY_SECONDS;
	struct state_entry *e;

	if (r->number == 0)
		return 0;
	e = table_get(&f->table, &r->key);
	if (e == NULL)
		return -ENOMEM;
	f->n_dead -= entry_is_dead(e);
	e->number = r->number > e->number ? r->number : e->number;
	e->forever |= r->forever;
	e->expiry_s = (uint32_t)(expiry < UINT32_MAX ? expiry : UINT32_MAX);
	f->n_dead += entry_is_dead(e);
	return 0;
}

static int
chunk_read(struct state_file *f, struct reading *r, size_t len, uint64_t now)
{
	for (size_t i = 0; i + STATE_RECORD_SIZE <= len; i += STATE_RECORD_SIZE) {
		struct state_record record;

		if (!state_record_get(f->buffer + i, f->header.seed, &record)) {
			if (r->first_bad == UINT64_MAX)
				r->first_bad = r->at + i;
			continue;
		}
		r->n_good++;
		if (record.durable > r->durable)
			r->durable = record.durable;
		if (record_merge(f, &record, now) < 0)
			return -ENOMEM;
	}
	/* A piece of a record is what a crash leaves, if it is the last. */
	if (len % STATE_RECORD_SIZE != 0 && r->first_bad == UINT64_MAX)
		r->first_bad = r->at + len - len % STATE_RECORD_SIZE;
	r->at += len;
	return 0;
}

static int
records_read(struct state_file *f, struct reading *r, struct err *err)
{
	uint64_t now = f->wall_s();
	ssize_t n;

	do {
		n = state_io_read(f->io, f->fd, f->buffer, CHUNK_RECORDS * STATE_RECORD_SIZE,
				  r->at);
		if (n < 0)
			return fail_system(f, f->path, (int)n, err);
		if (r->at + (uint64_t)n > STATE_FILE_MAX)
			return fail(f, -EINVAL, err, "grows while it is read");
		if (chunk_read(f, r, (size_t)n, now) < 0)
			return fail(f, -ENOMEM, err, "no memory for its records");
	} while (n > 0);
	return 0;
}

static int
header_read(struct state_file *f, struct err *err)
{
	uint8_t octets[STATE_HEADER_SIZE];
	ssize_t n = state_io_read(f->io, f->fd, octets, sizeof(octets), 0);

	if (n < 0)
		return fail_system(f, f->path, (int)n, err);
	switch (state_header_get(octets, (size_t)n, &f->header)) {
	case STATE_HEADER_SHORT:
		return fail_lost(f, -EINVAL, err,
				 n == 0 ? "is empty" : "is cut off within its header");
	case STATE_HEADER_FOREIGN:
		return fail(f, -EINVAL, err,
			    "is no state file, and is left as it is: name another");
	case STATE_HEADER_VERSION:
		return err_set(err, -EINVAL,
			       "state_file %s: is of version %u, and this release reads version "
			       "%d: start the release that wrote it",
			       f->path, f->header.version, STATE_VERSION);
	case STATE_HEADER_BAD:
		return fail_lost(f, -EINVAL, err, "its header is damaged");
	case STATE_HEADER_GOOD:
		break;
	}
	return 0;
}

/* A file that is older than what its witness saw of it. */
static int
witness_compare(struct state_file *f, const struct reading *r, struct err *err)
{
	const struct state_slot *w = &f->slot;
	char text[128];

	if (memcmp(w->id, f->header.id, sizeof(w->id)) != 0)
		return fail_lost(f, -ESTALE, err, "and its witness are not of one another");
	if (f->header.generation < w->generation) {
		snprintf(text, sizeof(text),
			 "an older copy was put back (generation %ju, and there was a %ju)",
			 (uintmax_t)f->header.generation, (uintmax_t)w->generation);
		return fail_lost(f, -ESTALE, err, text);
	}
	if (f->header.generation == w->generation && r->at < w->durable) {
		snprintf(text, sizeof(text),
			 "an older copy was put back, or it was cut off (%ju octets, and there "
			 "were %ju)",
			 (uintmax_t)r->at, (uintmax_t)w->durable);
		return fail_lost(f, -ESTALE, err, text);
	}
	return 0;
}

static int
file_read(struct state_file *f, uint64_t *n_records, struct err *err)
{
	struct reading r = { .at = STATE_HEADER_SIZE, .first_bad = UINT64_MAX };
	int rc = header_read(f, err);
	char text[64];

	if (rc == 0)
		rc = records_read(f, &r, err);
	if (rc == 0)
		rc = witness_compare(f, &r, err);
	if (rc < 0)
		return rc;
	if (f->header.generation == f->slot.generation && f->slot.durable > r.durable)
		r.durable = f->slot.durable;
	if (r.first_bad < r.durable) {
		snprintf(text, sizeof(text), "is damaged at octet %ju", (uintmax_t)r.first_bad);
		return fail_lost(f, -EINVAL, err, text);
	}
	if (r.at < r.durable)
		return fail_lost(f, -EINVAL, err, "is cut off");
	*n_records = f->table.n_taken;
	return 0;
}

/* ---- opening ---- */

/* The witness comes first and says that the file is to come, so that no crash leaves a file without
 * one, nor a witness of what never was.
 */
static int
first_start(struct state_file *f, struct err *err)
{
	int rc;

	if (RAND_bytes(f->header.id, sizeof(f->header.id)) != 1 ||
	    RAND_bytes(f->header.secret, sizeof(f->header.secret)) != 1)
		return fail(f, -EIO, err, "no random octets in libcrypto");
	memcpy(f->slot.id, f->header.id, sizeof(f->slot.id));
	rc = witness_sync(f, 0, 0);
	if (rc == 0)
		rc = directory_sync(f);
	return rc < 0 ? fail_system(f, f->path_witness, rc, err) : 0;
}

static int
both_read(struct state_file *f, bool file_there, int n_slots, uint64_t *n_records, struct err *err)
{
	int rc;

	if (!file_there && (n_slots == 0 || f->slot.generation == 0))
		return 0;
	if (!file_there)
		return fail_lost(f, -ESTALE, err, "is missing, and its witness knows it");
	if (n_slots == 0)
		return fail_lost(f, -EINVAL, err, "its witness is damaged");
	rc = file_take(f, f->path, O_RDWR, &f->fd, err);
	return rc < 0 ? rc : file_read(f, n_records, err);
}

/* File systems in which the kernel shows itself keep no files of ours, and say so by errors that
 * tell nothing.
 */
static int
place_check(struct state_file *f, struct err *err)
{
	static const uint64_t kernels[] = {
		PROC_SUPER_MAGIC,    SYSFS_MAGIC,    DEVPTS_SUPER_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,  TRACEFS_MAGIC,	 SECURITYFS_MAGIC,
		BPF_FS_MAGIC,	     BINFMTFS_MAGIC, NSFS_MAGIC,	 PSTOREFS_MAGIC,
		EFIVARFS_MAGIC,	     SELINUX_MAGIC,
	};
	uint64_t type = 0;

	/* No such directory, or none that may be looked at, has its own sentence. */
	if (f->io->fs_type(f->io->ctx, f->path_dir, &type) < 0)
		return 0;
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		if (type == kernels[i])
			return fail(f, -EINVAL, err,
				    "its directory is the kernel's own and keeps no files: name a "
				    "file on a disk");
	return 0;
}

/* Locks and reads. probe: makes nothing. *first: there is nothing yet. */
static int
begin(struct state_file *f, bool probe, bool *first, uint64_t *n_records, struct err *err)
{
	int file_there = is_there(f, f->path, err), witness_there, rc;

	*n_records = 0;
	if (file_there < 0)
		return file_there;
	witness_there = is_there(f, f->path_witness, err);
	if (witness_there < 0)
		return witness_there;
	rc = place_check(f, err);
	if (rc < 0)
		return rc;
	if (file_there && !witness_there)
		return fail_lost(f, -ESTALE, err,
				 "its witness is missing, so that it may be an older copy");
	*first = !file_there;
	if (probe && !witness_there) {
		struct state_io_stat st;

		rc = f->io->lstat(f->io->ctx, f->path_dir, &st);
		return rc < 0 ? fail_system(f, f->path, rc, err) : 0;
	}
	rc = file_take(f, f->path_witness, witness_there ? O_RDWR : O_RDWR | O_CREAT | O_EXCL,
		       &f->witness_fd, err);
	if (rc < 0)
		return rc;
	rc = witness_load(f);
	if (rc < 0)
		return fail_system(f, f->path_witness, rc, err);
	return both_read(f, file_there, rc, n_records, err);
}

int
state_file_open(const struct state_options *options, struct state_file **file, struct err *err)
{
	struct state_file *f = state_file_make(options, err);
	uint64_t n_records;
	bool first = false;
	int rc;

	if (f == NULL)
		return -ENOMEM;
	rc = begin(f, false, &first, &n_records, err);
	if (rc == 0 && first)
		rc = first_start(f, err);
	if (rc < 0)
		goto unmake;
	rc = rewrite_all(f, NULL);
	if (rc == 0)
		rc = witness_sync(f, f->header.generation, f->end);
	if (rc < 0) {
		fail_system(f, f->path, rc, err);
		goto unmake;
	}
	rc = writer_start(f, err);
	if (rc < 0)
		goto unmake;
	*file = f;
	return 0;
unmake:
	state_file_unmake(f);
	return rc;
}

int
state_file_probe(const struct state_options *options, uint64_t *n_records, struct err *err)
{
	struct state_file *f = state_file_make(options, err);
	bool first = false;
	int rc;

	if (f == NULL)
		return -ENOMEM;
	rc = begin(f, true, &first, n_records, err);
	state_file_unmake(f);
	return rc;
}
