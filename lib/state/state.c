/* Control's side of the state file. */
#include "state/state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "state/inner.h"

#define RETRY_MS    250
#define REWRITE_MIN (UINT64_C(1) << 20)
#define HUNG_US	    UINT64_C(1000000)
#define CLOSE_US    UINT64_C(1500000)

static uint64_t
wall_clock(void)
{
	return (uint64_t)time(NULL);
}

static char *
path_with(const char *path, const char *suffix)
{
	char *text = NULL;

	return asprintf(&text, "%s%s", path, suffix) < 0 ? NULL : text;
}

static char *
directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

struct state_file *
state_file_make(const struct state_options *o, struct err *err)
{
	struct state_file *f = calloc(1, sizeof(*f));
	pthread_condattr_t attr;

	if (f == NULL) {
		err_set(err, -ENOMEM, "state_file %s: no memory", o->path);
		return NULL;
	}
	f->fd = f->witness_fd = f->rewrite.fd = f->eventfd = -1;
	f->io = o->io != NULL ? o->io : &state_io_system;
	f->wall_s = o->wall_s != NULL ? o->wall_s : wall_clock;
	f->retry_ms = o->retry_ms != 0 ? o->retry_ms : RETRY_MS;
	f->rewrite_min = o->rewrite_min != 0 ? o->rewrite_min : REWRITE_MIN;
	f->by_hand = o->by_hand;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->cond, &attr);
	pthread_condattr_destroy(&attr);
	f->path = strdup(o->path);
	f->path_new = path_with(o->path, ".new");
	f->path_witness = path_with(o->path, ".witness");
	f->path_dir = directory_of(o->path);
	f->buffer = malloc(CHUNK_RECORDS * STATE_RECORD_SIZE);
	f->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->path == NULL || f->path_new == NULL || f->path_witness == NULL ||
	    f->path_dir == NULL || f->buffer == NULL || f->eventfd < 0 ||
	    table_init(&f->table) < 0) {
		err_set(err, -ENOMEM, "state_file %s: no memory, or no descriptor left", o->path);
		state_file_unmake(f);
		return NULL;
	}
	return f;
}

static void
descriptor_close(struct state_file *f, int fd)
{
	if (fd >= 0)
		f->io->close(f->io->ctx, fd);
}

void
state_file_unmake(struct state_file *f)
{
	if (f->rewrite.active)
		descriptor_close(f, f->rewrite.fd);
	descriptor_close(f, f->fd);
	/* Last: it has the lock. */
	descriptor_close(f, f->witness_fd);
	if (f->eventfd >= 0)
		close(f->eventfd);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->cond);
	table_fini(&f->table);
	free(f->gathered.wants);
	free(f->flight.wants);
	free(f->buffer);
	free(f->path);
	free(f->path_new);
	free(f->path_witness);
	free(f->path_dir);
	OPENSSL_cleanse(f, sizeof(*f));
	free(f);
}

/* Signals are for control's thread. */
int
writer_start(struct state_file *f, struct err *err)
{
	sigset_t all, before;
	int rc;

	if (f->by_hand)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&f->thread, NULL, writer_main, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0)
		return err_set(err, -rc, "state_file %s: no thread to write it: %s", f->path,
			       strerror(rc));
	pthread_setname_np(f->thread, "espgw-state");
	f->has_thread = true;
	return 0;
}

const uint8_t *
state_file_secret(const struct state_file *f)
{
	return f->header.secret;
}

int
state_file_fd(const struct state_file *f)
{
	return f->eventfd;
}

bool
state_file_look(struct state_file *f, const struct state_key *key, struct state_known *known)
{
	const struct state_entry *e;

	*known = (struct state_known) { .number = 0 };
	pthread_mutex_lock(&f->lock);
	e = table_find(&f->table, key);
	if (e != NULL)
		*known = (struct state_known) {
			.number = e->number,
			.live = e->live,
			.asked = e->live ? e->asked : 0,
			.asked_ms = e->live ? e->asked_ms : 0,
			.block = e->live ? e->block : 0,
		};
	pthread_mutex_unlock(&f->lock);
	return e != NULL;
}

static int
batch_add(struct state_batch *b, const struct state_want *want, uint64_t ticket)
{
	if (b->n == b->size) {
		size_t size = b->size != 0 ? 2 * b->size : 64;
		struct state_want *wants = realloc(b->wants, size * sizeof(wants[0]));

		if (wants == NULL)
			return -ENOMEM;
		b->wants = wants;
		b->size = size;
	}
	b->wants[b->n++] = *want;
	b->ticket = ticket;
	return 0;
}

/* What one SA of a day in a hundred thousand needs is not kept for ever. */
static void
batch_clear(struct state_batch *b)
{
	if (b->size > CHUNK_RECORDS) {
		free(b->wants);
		*b = (struct state_batch) { .n = 0 };
	}
	b->n = 0;
}

int
state_file_want(struct state_file *f, const struct state_want *want, uint64_t *ticket)
{
	struct state_entry *e;

	pthread_mutex_lock(&f->lock);
	e = table_get(&f->table, &want->key);
	if (e != NULL) {
		f->n_dead -= entry_is_dead(e);
		e->live = true;
		e->forever |= want->forever;
		e->asked = want->number;
		e->asked_ms = want->now_ms;
		e->block = want->block;
	}
	pthread_mutex_unlock(&f->lock);
	if (e == NULL || batch_add(&f->gathered, want, f->next_ticket + 1) < 0)
		return -ENOMEM;
	*ticket = ++f->next_ticket;
	return 0;
}

void
state_file_settle(struct state_file *f, const struct state_key *key, uint64_t number, bool forever)
{
	struct state_entry *e;

	pthread_mutex_lock(&f->lock);
	e = number != 0 ? table_get(&f->table, key) : table_find(&f->table, key);
	if (e != NULL && e->held && number < e->number)
		number = e->number;
	if (e != NULL) {
		f->n_dead -= entry_is_dead(e);
		e->live = false;
		e->forever |= forever;
		e->number = number;
		e->asked = 0;
		e->expiry_s = (uint32_t)(f->wall_s() + STATE_DEAD_KEY_SECONDS);
		f->n_dead += entry_is_dead(e);
	}
	if (e != NULL && number == 0)
		table_remove(&f->table, e);
	pthread_mutex_unlock(&f->lock);
}

void
state_file_hold(struct state_file *f, const struct state_key *key)
{
	struct state_entry *e;

	pthread_mutex_lock(&f->lock);
	e = table_find(&f->table, key);
	if (e != NULL)
		e->held = true;
	pthread_mutex_unlock(&f->lock);
}

void
state_file_post(struct state_file *f)
{
	struct state_batch empty;

	if (f->gathered.n == 0)
		return;
	pthread_mutex_lock(&f->lock);
	if (f->flight_is == FLIGHT_NONE) {
		empty = f->flight;
		f->flight = f->gathered;
		f->gathered = empty;
		f->flight_is = FLIGHT_POSTED;
		f->posted_us = now_us();
		pthread_cond_broadcast(&f->cond);
	}
	pthread_mutex_unlock(&f->lock);
}

void
state_file_collect(struct state_file *f, state_done_fn *fn, void *ctx)
{
	struct state_batch batch;
	uint64_t unused;
	bool written;

	if (read(f->eventfd, &unused, sizeof(unused)) < 0 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&f->lock);
	written = f->flight_is == FLIGHT_WRITTEN;
	if (written) {
		batch = f->flight;
		f->flight = (struct state_batch) { .n = 0 };
		f->flight_is = FLIGHT_NONE;
	}
	pthread_mutex_unlock(&f->lock);
	if (written) {
		f->done_ticket = batch.ticket;
		for (size_t i = 0; i < batch.n; i++)
			fn(ctx, &batch.wants[i]);
		batch_clear(&batch);
		if (f->gathered.size == 0)
			f->gathered = batch;
		else
			free(batch.wants);
	}
	state_file_post(f);
}

uint64_t
state_file_done(const struct state_file *f)
{
	return f->done_ticket;
}

/* Until the flight is not with the writer, or until then. Locked. */
static bool
flight_wait(struct state_file *f, uint64_t until_us)
{
	struct timespec until = {
		.tv_sec = (time_t)(until_us / 1000000),
		.tv_nsec = (long)(until_us % 1000000 * 1000),
	};
	int rc = 0;

	while (f->flight_is == FLIGHT_POSTED && rc == 0)
		rc = pthread_cond_timedwait(&f->cond, &f->lock, &until);
	return f->flight_is != FLIGHT_POSTED;
}

static int
wait_fail(const struct state_file *f, struct err *err)
{
	if (f->counts.trouble[0] != 0)
		return err_set(err, -EIO, "state_file %s", f->counts.trouble);
	return err_set(err, -ETIMEDOUT, "state_file %s: the disk does not answer", f->path);
}

int
state_file_wait(struct state_file *f, uint32_t ms, struct err *err)
{
	int rc = 0;

	if (f->by_hand) {
		rc = state_file_write(f);
		return rc < 0 ? wait_fail(f, err) : 0;
	}
	pthread_mutex_lock(&f->lock);
	if (!flight_wait(f, now_us() + ms * UINT64_C(1000)))
		rc = wait_fail(f, err);
	pthread_mutex_unlock(&f->lock);
	return rc;
}

bool
state_file_is_well(struct state_file *f, struct err *err)
{
	bool well;

	pthread_mutex_lock(&f->lock);
	well = f->flight_is != FLIGHT_POSTED ||
	       (f->counts.trouble[0] == 0 && now_us() < f->posted_us + HUNG_US);
	if (!well)
		wait_fail(f, err);
	pthread_mutex_unlock(&f->lock);
	return well;
}

void
state_file_counts(struct state_file *f, struct state_counts *c)
{
	pthread_mutex_lock(&f->lock);
	*c = f->counts;
	c->records = f->table.n_taken;
	c->waiting = f->gathered.n;
	if (f->flight_is == FLIGHT_POSTED) {
		c->waiting += f->flight.n;
		if (c->trouble[0] == 0 && now_us() >= f->posted_us + HUNG_US)
			snprintf(c->trouble, sizeof(c->trouble), "%.180s: the disk does not answer",
				 f->path);
	}
	c->memory = table_bytes(&f->table) +
		    (f->gathered.size + f->flight.size) * sizeof(struct state_want);
	pthread_mutex_unlock(&f->lock);
}

int
state_file_write(struct state_file *f)
{
	return writer_turn(f);
}

/* False: it hangs in the disk, and frees all when it comes back. */
static bool
writer_end(struct state_file *f)
{
	struct timespec until;
	uint64_t at = now_us() + CLOSE_US;
	pthread_t thread;
	bool left;
	int rc = 0;

	if (!f->has_thread)
		return true;
	thread = f->thread;
	until.tv_sec = (time_t)(at / 1000000);
	until.tv_nsec = (long)(at % 1000000 * 1000);
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_broadcast(&f->cond);
	while (!f->left && rc == 0)
		rc = pthread_cond_timedwait(&f->cond, &f->lock, &until);
	left = f->left;
	f->is_orphan = !left;
	pthread_mutex_unlock(&f->lock);
	if (left)
		pthread_join(thread, NULL);
	else
		pthread_detach(thread);
	return left;
}

/* What was asked for and not written is not needed: nobody uses a number any more. */
int
state_file_close(struct state_file *f, struct err *err)
{
	int rc;

	if (f == NULL)
		return 0;
	/* Set beforehand: what hangs may be gone as soon as it is left. */
	rc = err_set(err, -ETIMEDOUT,
		     "state_file %s: the disk does not answer; the next start goes on above what "
		     "was reserved",
		     f->path);
	if (!writer_end(f))
		return rc;
	rc = rewrite_all(f, NULL);
	if (rc == 0)
		rc = witness_sync(f, f->header.generation, f->end);
	if (rc < 0)
		err_set(err, rc,
			"state_file %s: %s; the next start goes on above what was reserved",
			f->path, strerror(-rc));
	state_file_unmake(f);
	return rc;
}

void
state_file_abandon(struct state_file *f)
{
	state_file_unmake(f);
}
