/* The state file anew: what the table has, into PATH.new, a slice at a time between commits, which
 * go to both files meanwhile; then over the old one.
 *
 * A crash at any point leaves one of the two under the name, whole: the new one is synced before it
 * gets the name, and nobody is told of a commit to it before the directory is synced.
 */
#include <errno.h>
#include <fcntl.h>

#include "state/inner.h"

#define SYNC_EVERY  (UINT64_C(1) << 20) /* so that the last fsync is not the one that takes long */
#define GROWN	    4			/* times the size that is needed */
#define DEAD_MAX    (1u << 20)
#define DEAD_BINS   96
#define STALE_AFTER 3600 /* s: then dead keys are looked through, if they are half of all */

bool
rewrite_is_due(struct state_file *f)
{
	uint64_t needed, dead;

	if (f->rewrite.active)
		return true;
	if (f->end < f->rewrite_min || f->end < f->rewrite_after)
		return false;
	pthread_mutex_lock(&f->lock);
	needed = STATE_HEADER_SIZE + f->table.n_taken * (uint64_t)STATE_RECORD_SIZE;
	dead = f->n_dead;
	pthread_mutex_unlock(&f->lock);
	return f->end > GROWN * needed || dead > 2 * DEAD_MAX ||
	       (2 * dead > f->table.n_taken && f->wall_s() > f->rewritten_s + STALE_AFTER);
}

void
rewrite_abort(struct state_file *f)
{
	if (!f->rewrite.active)
		return;
	f->io->close(f->io->ctx, f->rewrite.fd);
	f->io->unlink(f->io->ctx, f->path_new);
	f->rewrite.active = false;
}

/* Dead keys are kept for a day, but no more than so many: the oldest go first. */
static uint32_t
drop_until(struct state_file *f, uint64_t now)
{
	uint32_t bins[DEAD_BINS] = { 0 }, n = 0;
	uint64_t width = STATE_DEAD_KEY_SECONDS / DEAD_BINS + 1;
	unsigned int bin = 0;

	for (uint32_t i = 0; f->n_dead > DEAD_MAX && i < f->table.n; i++) {
		const struct state_entry *e = table_at(&f->table, i);
		uint64_t left = e->expiry_s > now ? e->expiry_s - now : 0;

		if (!entry_is_dead(e))
			continue;
		n++;
		bins[left / width < DEAD_BINS ? left / width : DEAD_BINS - 1]++;
	}
	while (n > DEAD_MAX && bin < DEAD_BINS)
		n -= bins[bin++];
	return (uint32_t)(now + bin * width);
}

int
rewrite_begin(struct state_file *f)
{
	struct state_rewrite *rw = &f->rewrite;
	uint8_t octets[STATE_HEADER_SIZE];
	int rc;

	rewrite_abort(f);
	rc = f->io->unlink(f->io->ctx, f->path_new);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	rc = f->io->open(f->io->ctx, f->path_new, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (rc < 0)
		return rc;
	*rw = (struct state_rewrite) { .active = true, .fd = rc, .header = f->header };
	rw->header.version = STATE_VERSION;
	rw->header.generation++;
	rw->header.written = f->wall_s();
	state_header_put(&rw->header, octets);
	pthread_mutex_lock(&f->lock);
	rw->drop_until = drop_until(f, rw->header.written);
	pthread_mutex_unlock(&f->lock);
	rw->end = STATE_HEADER_SIZE;
	rc = f->io->lock(f->io->ctx, rw->fd);
	if (rc == 0)
		rc = state_io_write(f->io, rw->fd, octets, sizeof(octets), 0);
	if (rc < 0)
		rewrite_abort(f);
	return rc;
}

/* The record of an entry, if it has one; forgets dead keys. Locked. */
static bool
entry_encode(struct state_file *f, uint32_t index, uint64_t at, uint8_t *octets)
{
	struct state_entry *e = table_at(&f->table, index);
	struct state_record r = { .number = e->number, .durable = at };

	if (entry_is_dead(e) && e->expiry_s <= f->rewrite.drop_until) {
		table_remove(&f->table, e);
		f->n_dead--;
		return false;
	}
	if (!e->taken || e->number == 0)
		return false;
	r.key.lane = e->lane;
	r.key.inbound = e->inbound;
	r.forever = e->forever;
	r.expiry = e->live || e->forever ? 0 : e->expiry_s;
	__builtin_memcpy(r.key.hash, e->hash, sizeof(r.key.hash));
	state_record_put(&r, f->rewrite.header.seed, octets);
	return true;
}

/* From here on the new file is the one in use, whatever becomes of it on the disk. */
static void
swap(struct state_file *f, const struct state_io_stat *st)
{
	struct state_rewrite *rw = &f->rewrite;

	if (f->fd >= 0)
		f->io->close(f->io->ctx, f->fd);
	f->fd = rw->fd;
	f->end = rw->end;
	f->header = rw->header;
	f->inode = st->inode;
	f->rewritten_s = rw->header.written;
	f->rewrite_after = 0;
	rw->active = false;
}

static int
finish(struct state_file *f)
{
	struct state_rewrite *rw = &f->rewrite;
	struct state_io_stat st;
	int rc = sync_count(f, rw->fd);

	if (rc == 0)
		rc = f->io->fstat(f->io->ctx, rw->fd, &st);
	if (rc == 0)
		rc = f->io->rename(f->io->ctx, f->path_new, f->path);
	if (rc < 0) {
		rewrite_abort(f);
		return rc;
	}
	swap(f, &st);
	/* Until the directory is on the disk, a crash may bring the old file back. */
	f->must_rewrite = true;
	rc = directory_sync(f);
	if (rc < 0)
		return rc;
	f->must_rewrite = false;
	pthread_mutex_lock(&f->lock);
	f->counts.rewrites++;
	f->counts.generation = f->header.generation;
	f->counts.file_bytes = f->end;
	pthread_mutex_unlock(&f->lock);
	return 0;
}

/* So many entries' records; 1: these were the last. */
static int
slice_write(struct state_file *f)
{
	struct state_rewrite *rw = &f->rewrite;
	size_t len = 0;
	bool last;
	int rc;

	pthread_mutex_lock(&f->lock);
	for (unsigned int i = 0; i < CHUNK_RECORDS && rw->cursor < f->table.n; i++) {
		if (entry_encode(f, rw->cursor++, rw->end + len, f->buffer + len))
			len += STATE_RECORD_SIZE;
	}
	last = rw->cursor >= f->table.n;
	pthread_mutex_unlock(&f->lock);
	rc = state_io_write(f->io, rw->fd, f->buffer, len, rw->end);
	rw->end += rc < 0 ? 0 : len;
	if (rc == 0 && rw->end - rw->synced > SYNC_EVERY) {
		rc = sync_count(f, rw->fd);
		rw->synced = rw->end;
	}
	return rc < 0 ? rc : last;
}

int
rewrite_append(struct state_file *f, const struct state_batch *batch)
{
	struct state_rewrite *rw = &f->rewrite;

	return batch_write(f, rw->fd, rw->header.seed, batch, 0, &rw->end);
}

int
rewrite_slice(struct state_file *f)
{
	int rc = slice_write(f);

	if (rc < 0)
		rewrite_abort(f);
	else if (rc > 0)
		rc = finish(f);
	else
		return 0;
	/* What the witness does not know is no harm to the file. */
	if (rc == 0)
		witness_sync(f, f->header.generation, f->end);
	return rc < 0 ? rc : 1;
}

int
rewrite_all(struct state_file *f, const struct state_batch *batch)
{
	int rc = rewrite_begin(f);

	while (rc == 0)
		rc = slice_write(f);
	if (rc > 0)
		rc = batch != NULL ? rewrite_append(f, batch) : 0;
	if (rc < 0) {
		rewrite_abort(f);
		return rc;
	}
	return finish(f);
}
