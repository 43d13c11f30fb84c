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
	if (l->inbound && !l->laned)
		return false;
	return is_lower(ask->hard_packets, l->hard_packets) ||
	       is_lower(ask->hard_bytes, l->hard_bytes) || (l->esn && !ask->esn);
}

/* A number or a count. */
static bool
raises(const struct numbers_live *l, const struct numbers_ask *ask,
       const struct numbers_counts *counts)
{
	if (ask->packets > counts->packets || ask->bytes > counts->bytes)
		return true;
	for (uint32_t lane = 0; lane < l->n; lane++)
		if (ask_floor(ask, l->laned, lane) > live_used(l, (uint16_t)lane))
			return true;
	return false;
}

/* What lane 0 must have counted for the key to have so many. */
static uint64_t
first_count(uint64_t asked, uint64_t counted, uint64_t first)
{
	return asked > counted ? first + (asked - counted) : 0;
}

static struct numbers_job *
job_new(struct numbers_reg *reg, struct numbers_live *l, const struct numbers_ask *ask,
	const struct numbers_counts *counts)
{
	bool resize = l->inbound && (l->size != ask->window || l->esn != ask->esn);
	struct numbers_job *j = calloc(1, sizeof(*j) + l->n * sizeof(j->floors[0]));
	struct numbers_counts first;

	if (j == NULL)
		return NULL;
	live_count_lane(l, 0, &first);
	*j = (struct numbers_job) {
		.live = l,
		.n_workers = reg->n_workers,
		.resize = resize,
		.size = ask->window,
		.size_before = l->size,
		.esn = ask->esn,
		.esn_before = l->esn,
		.packets = first_count(ask->packets, counts->packets, first.packets),
		.bytes = first_count(ask->bytes, counts->bytes, first.bytes),
		.hard_packets_before = l->hard_packets,
		.hard_bytes_before = l->hard_bytes,
	};
	for (uint32_t lane = 0; lane < l->n; lane++)
		j->floors[lane] = ask_floor(ask, l->laned, lane);
	if (!resize || ask->window == 0)
		return j;
	j->bits = store_take(&reg->store, replay_bits_size(ask->window));
	if (j->bits != NULL)
		return j;
	free(j);
	return NULL;
}

int
job_make(struct numbers_reg *reg, struct numbers_live *l, const struct numbers_ask *ask,
	 struct numbers_job **job, struct err *err)
{
	bool resize = l->inbound && (l->size != ask->window || l->esn != ask->esn);
	struct numbers_counts counts;
	struct numbers_job *j = NULL;

	*job = NULL;
	live_count(l, &counts);
	if (resize || raises(l, ask, &counts) || lowers_end(l, ask)) {
		j = job_new(reg, l, ask, &counts);
		if (j == NULL)
			return ask_fail(err, -ENOMEM, ask, "no memory to change what is in use");
		j->next = l->jobs;
		l->jobs = j;
	}
	l->size = ask->window;
	l->esn = ask->esn;
	ends_limit(l, ask->hard_packets, ask->hard_bytes);
	*job = j;
	return 0;
}

struct numbers_job *
job_recall(struct numbers_reg *reg, struct numbers_live *l)
{
	struct numbers_job *j = calloc(1, sizeof(*j) + l->n * sizeof(j->floors[0]));

	if (j == NULL)
		return NULL;
	*j = (struct numbers_job) {
		.next = l->jobs,
		.live = l,
		.n_workers = reg->n_workers,
		.resize = l->reshape,
		.size = l->size,
		.size_before = l->size,
		.esn = l->esn,
		.esn_before = l->esn,
		.hard_packets_before = l->hard_packets,
		.hard_bytes_before = l->hard_bytes,
	};
	if (l->reshape && l->size != 0)
		j->bits = store_take(&reg->store, replay_bits_size(l->size));
	if (l->reshape && l->size != 0 && j->bits == NULL) {
		free(j);
		return NULL;
	}
	l->reshape = false;
	l->jobs = j;
	return j;
}

bool
numbers_job_wants(const struct numbers_job *job, uint16_t worker)
{
	return live_first(job->live, worker, job->n_workers) < job->live->n;
}

static void
cell_raise(uint64_t *cell, uint64_t n)
{
	uint64_t now = cell_get(cell);

	if (n > now)
		cell_add(cell, n - now);
}

static void
window_run(struct numbers_job *job, uint16_t lane)
{
	struct numbers_live *l = job->live;
	struct replay *w = live_window(l, lane);
	uint64_t floor = job->floors[lane];

	if (l->laned)
		credit_recall(l, lane);
	if (w == NULL) {
		if (floor > l->set->starts[lane])
			__atomic_store_n(&l->set->starts[lane], floor, __ATOMIC_RELAXED);
		return;
	}
	if (lane == 0) {
		cell_raise(&w->packets, job->packets);
		cell_raise(&w->bytes, job->bytes);
	}
	if (job->resize)
		replay_resize(w, job->size, job->esn, &job->bits);
	replay_raise(w, floor);
}

static void
lane_run(struct numbers_job *job, uint16_t lane)
{
	struct lane *at = &job->live->lanes[lane];

	if (lane == 0) {
		cell_raise(&at->packets, job->packets);
		cell_raise(&at->bytes, job->bytes);
	}
	lane_raise(at, job->floors[lane]);
	ends_rebase(job->live, lane);
	credit_recall(job->live, lane);
	ends_put(job->live, lane);
	lane_recheck(at);
}

void
numbers_job_run(struct numbers_job *job, uint16_t worker)
{
	struct numbers_live *l = job->live;

	if (job->ran[worker])
		return;
	for (uint32_t lane = live_first(l, worker, job->n_workers); lane < l->n;
	     lane += job->n_workers) {
		if (l->inbound)
			window_run(job, (uint16_t)lane);
		else
			lane_run(job, (uint16_t)lane);
	}
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
	store_give(&reg->store, job->bits);
	free(job);
	ends_limit(l, l->hard_packets, l->hard_bytes);
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
	store_give(&reg->store, job->bits);
	free(job);
}
