/* What the writer's thread does: commits, and between them rewrites. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "state/inner.h"

uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int
sync_count(struct state_file *f, int fd)
{
	int rc = f->io->fsync(f->io->ctx, fd);

	pthread_mutex_lock(&f->lock);
	f->counts.fsyncs++;
	pthread_mutex_unlock(&f->lock);
	return rc;
}

int
directory_sync(struct state_file *f)
{
	int fd = f->io->open(f->io->ctx, f->path_dir, O_RDONLY | O_DIRECTORY, 0), rc;

	if (fd < 0)
		return fd;
	rc = sync_count(f, fd);
	f->io->close(f->io->ctx, fd);
	return rc;
}

int
batch_write(struct state_file *f, int fd, uint32_t seed, const struct state_batch *batch,
	    uint64_t durable, uint64_t *end)
{
	size_t done = 0;

	while (done < batch->n) {
		size_t n = batch->n - done < CHUNK_RECORDS ? batch->n - done : CHUNK_RECORDS;
		int rc;

		for (size_t i = 0; i < n; i++) {
			const struct state_want *w = &batch->wants[done + i];
			struct state_record r = {
				.key = w->key,
				.number = w->number,
				.durable = durable != 0 ? durable : *end + i * STATE_RECORD_SIZE,
				.forever = w->forever,
			};

			state_record_put(&r, seed, f->buffer + i * STATE_RECORD_SIZE);
		}
		rc = state_io_write(f->io, fd, f->buffer, n * STATE_RECORD_SIZE, *end);
		if (rc < 0)
			return rc;
		*end += n * STATE_RECORD_SIZE;
		done += n;
	}
	return 0;
}

/* Whether the name leads to another file, or to none: what is written then is lost with the
 * descriptor. */
static bool
was_replaced(struct state_file *f)
{
	struct state_io_stat st;

	return f->io->lstat(f->io->ctx, f->path, &st) < 0 || st.inode != f->inode;
}

/* A failed fsync says that something is lost, once, and not what: the file's end is then unknown,
 * and to ask again would be answered with yes. Only a new file helps. Of writes that fail, only
 * want of room leaves the descriptor as good as before.
 */
static int
append(struct state_file *f, const struct state_batch *batch)
{
	uint64_t end = f->end;
	int rc = batch_write(f, f->fd, f->header.seed, batch, f->end, &end);

	if (rc < 0) {
		f->must_rewrite = rc != -ENOSPC && rc != -EDQUOT;
		return rc;
	}
	rc = sync_count(f, f->fd);
	if (rc < 0) {
		f->must_rewrite = true;
		return rc;
	}
	f->end = end;
	if (f->rewrite.active && rewrite_append(f, batch) < 0)
		rewrite_abort(f);
	return 0;
}

/* In parts, so that control never waits long for the lock. */
static void
table_raise(struct state_file *f, const struct state_batch *batch)
{
	for (size_t done = 0; done < batch->n; done += CHUNK_RECORDS) {
		pthread_mutex_lock(&f->lock);
		for (size_t i = done; i < batch->n && i < done + CHUNK_RECORDS; i++) {
			const struct state_want *w = &batch->wants[i];
			struct state_entry *e = table_find(&f->table, &w->key);

			/* One that was settled meanwhile is exact as it is. */
			if (e != NULL && e->live && e->number < w->number)
				e->number = w->number;
		}
		pthread_mutex_unlock(&f->lock);
	}
}

static int
commit(struct state_file *f, const struct state_batch *batch)
{
	int rc;

	if (!f->must_rewrite) {
		rc = append(f, batch);
		if (rc < 0)
			return rc;
		f->must_rewrite = was_replaced(f);
	}
	/* What the witness does not know is no harm to the file. */
	if (!f->must_rewrite) {
		witness_note(f);
	} else {
		rc = rewrite_all(f, batch);
		if (rc < 0)
			return rc;
		witness_sync(f, f->header.generation, f->end);
	}
	table_raise(f, batch);
	return 0;
}

static void
trouble_set(struct state_file *f, int rc)
{
	if (rc == 0)
		f->counts.trouble[0] = 0;
	else
		snprintf(f->counts.trouble, sizeof(f->counts.trouble), "%.180s: %s", f->path,
			 strerror(-rc));
}

static void
commit_count(struct state_file *f, size_t n, uint64_t us, int rc)
{
	struct state_counts *c = &f->counts;

	trouble_set(f, rc);
	if (rc < 0) {
		c->failures++;
		return;
	}
	c->commits++;
	c->written += n;
	c->file_bytes = f->end;
	c->last_us = us;
	if (us > c->max_us)
		c->max_us = us;
	f->flight_is = FLIGHT_WRITTEN;
}

int
writer_turn(struct state_file *f)
{
	bool posted;
	int rc = 0;

	pthread_mutex_lock(&f->lock);
	posted = f->flight_is == FLIGHT_POSTED;
	pthread_mutex_unlock(&f->lock);
	if (posted) {
		uint64_t one = 1, began = now_us();

		rc = commit(f, &f->flight);
		pthread_mutex_lock(&f->lock);
		commit_count(f, f->flight.n, now_us() - began, rc);
		pthread_cond_broadcast(&f->cond);
		pthread_mutex_unlock(&f->lock);
		if (rc == 0 && write(f->eventfd, &one, sizeof(one)) < 0 && errno != EAGAIN)
			rc = -errno;
		if (rc < 0)
			return rc;
	}
	if (rewrite_is_due(f) && (f->rewrite.active ? rewrite_slice(f) : rewrite_begin(f)) < 0) {
		f->rewrite_after = f->end + f->end / 4;
		pthread_mutex_lock(&f->lock);
		f->counts.failures++;
		pthread_mutex_unlock(&f->lock);
	}
	return 0;
}

/* Waits for work; after a failure, for the time of the next try. False: stop. */
static bool
work_wait(struct state_file *f, bool failed)
{
	struct timespec until;
	uint64_t at = now_us() + f->retry_ms * UINT64_C(1000);
	bool go;

	until.tv_sec = (time_t)(at / 1000000);
	until.tv_nsec = (long)(at % 1000000 * 1000);
	pthread_mutex_lock(&f->lock);
	while (!f->stop && (failed || (f->flight_is != FLIGHT_POSTED && !f->rewrite.active))) {
		if (!failed)
			pthread_cond_wait(&f->cond, &f->lock);
		else if (pthread_cond_timedwait(&f->cond, &f->lock, &until) == ETIMEDOUT)
			failed = false;
	}
	go = !f->stop;
	pthread_mutex_unlock(&f->lock);
	return go;
}

void *
writer_main(void *arg)
{
	struct state_file *f = arg;
	bool failed = false, is_orphan;

	while (work_wait(f, failed))
		failed = writer_turn(f) < 0;
	pthread_mutex_lock(&f->lock);
	f->left = true;
	is_orphan = f->is_orphan;
	pthread_cond_broadcast(&f->cond);
	pthread_mutex_unlock(&f->lock);
	if (is_orphan)
		state_file_unmake(f);
	return NULL;
}
