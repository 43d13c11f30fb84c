/* What only the owners of lanes and windows may change, by mail. */
#include "numbers/live.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>

/* A limit of 0 is none. */
static bool
is_lower(uint64_t limit, uint64_t than)
{
	return limit != 0 && (than == 0 || limit < than);
}

/* Whether the lane's owner may be about to pass what the ask allows. */
static bool
lowers_end(const struct numbers_live *l, const struct numbers_ask *ask)
{
	return !l->inbound && (is_lower(ask->hard_packets, l->hard_packets) ||
			       is_lower(ask->hard_bytes, l->hard_bytes) || (l->esn && !ask->esn));
}

static bool
raises(const struct numbers_live *l, const struct numbers_ask *ask)
{
	struct numbers_counts counts;

	numbers_count(l->users, &counts);
	return ask->start > live_used(l, 0) || ask->packets > counts.packets ||
	       ask->bytes > counts.bytes;
}

int
job_make(struct numbers_reg *reg, struct numbers_live *l, const struct numbers_ask *ask,
	 struct numbers_job **job, struct err *err)
{
	bool resize = l->inbound && (l->size != ask->window || l->esn != ask->esn);
	struct numbers_job *j = NULL;

	*job = NULL;
	if (resize || raises(l, ask) || lowers_end(l, ask)) {
		j = calloc(1, sizeof(*j));
		if (j == NULL)
			return ask_fail(err, -ENOMEM, ask, "no memory");
		*j = (struct numbers_job) {
			.live = l,
			.n_workers = reg->n_workers,
			.resize = resize,
			.size = ask->window,
			.size_before = l->size,
			.esn = ask->esn,
			.esn_before = l->esn,
			.start = ask->start,
			.packets = ask->packets,
			.bytes = ask->bytes,
			.hard_packets_before = l->hard_packets,
			.hard_bytes_before = l->hard_bytes,
			.next = l->jobs,
		};
		if (resize && ask->window != 0) {
			j->bits = store_bits(&reg->store, ask->window);
			if (j->bits == NULL) {
				free(j);
				return ask_fail(err, -ENOMEM, ask, "no memory for its window");
			}
		}
		l->jobs = j;
	}
	l->size = ask->window;
	l->esn = ask->esn;
	ends_limit(l, ask->hard_packets, ask->hard_bytes);
	ends_put_all(l);
	*job = j;
	return 0;
}

bool
numbers_job_wants(const struct numbers_job *job, uint16_t worker)
{
	return live_owner(job->live, 0, job->n_workers) == worker;
}

static void
cell_raise(uint64_t *cell, uint64_t n)
{
	uint64_t now = cell_get(cell);

	if (n > now)
		cell_add(cell, n - now);
}

static void
window_run(struct numbers_job *job, struct replay *w)
{
	cell_raise(&w->packets, job->packets);
	cell_raise(&w->bytes, job->bytes);
	if (job->resize)
		replay_resize(w, job->size, job->esn, &job->bits);
	replay_raise(w, job->start);
}

static void
lane_run(struct numbers_job *job, struct lane *lane)
{
	cell_raise(&lane->packets, job->packets);
	cell_raise(&lane->bytes, job->bytes);
	lane_raise(lane, job->start);
	ends_rebase(job->live, 0);
	ends_put(job->live, 0);
	lane_recheck(lane);
}

void
numbers_job_run(struct numbers_job *job, uint16_t worker)
{
	if (job->live->inbound)
		window_run(job, job->live->window);
	else
		lane_run(job, job->live->lanes);
	__atomic_store_n(&job->ran[worker], true, __ATOMIC_RELEASE);
}

static void
job_unlink(struct numbers_job *job)
{
	struct numbers_job **link = &job->live->jobs;

	while (*link != job)
		link = &(*link)->next;
	*link = job->next;
}

/* Asked by an assertion only. */
static bool __rte_unused
has_run(const struct numbers_job *job)
{
	for (uint16_t w = 0; w < job->n_workers; w++) {
		if (numbers_job_wants(job, w) && !__atomic_load_n(&job->ran[w], __ATOMIC_ACQUIRE))
			return false;
	}
	return true;
}

void
numbers_job_done(struct numbers_reg *reg, struct numbers_job *job, uint64_t now)
{
	struct numbers_live *l = job->live;

	assert(has_run(job));
	job_unlink(job);
	store_bits_free(&reg->store, job->bits);
	free(job);
	ends_put_all(l);
	live_bury(reg, l, now);
}

void
numbers_job_cancel(struct numbers_reg *reg, struct numbers_job *job)
{
	struct numbers_live *l = job->live;

	assert(l->jobs == job);
	l->jobs = job->next;
	l->size = job->size_before;
	l->esn = job->esn_before;
	ends_limit(l, job->hard_packets_before, job->hard_bytes_before);
	ends_put_all(l);
	store_bits_free(&reg->store, job->bits);
	free(job);
}
