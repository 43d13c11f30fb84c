/* Keys in use: from their record and back to it. */
#include "numbers/live.h"

#include <errno.h>
#include <string.h>

#include <rte_common.h>

#include "base/clock.h"

/* A number of the whole space as a lane sees it: 0 below its own, the last one above. */
static uint64_t
in_lane(uint64_t number, uint32_t lane)
{
	uint64_t id = number >> LANE_ID_SHIFT;

	return id > lane ? lane_last((uint16_t)lane) : id == lane ? number : 0;
}

uint64_t
ask_floor(const struct numbers_ask *ask, bool laned, uint32_t lane)
{
	uint64_t first = RTE_MAX(ask->start, ask->n_floors > 0 ? ask->floors[0] : 0), floor;

	if (!laned)
		return lane == 0 ? first : 0;
	floor = in_lane(first, lane);
	return lane < ask->n_floors ? RTE_MAX(floor, in_lane(ask->floors[lane], lane)) : floor;
}

uint64_t
live_used(const struct numbers_live *l, uint16_t lane)
{
	const struct replay *w = l->inbound ? live_window(l, lane) : NULL;
	uint64_t used = 0;

	if (!l->inbound)
		used = lane_used(&l->lanes[lane]);
	else if (w != NULL)
		used = replay_top(w);
	else if (l->set->starts != NULL)
		used = cell_get(&l->set->starts[lane]);
	for (const struct numbers_job *j = l->jobs; j != NULL; j = j->next)
		used = RTE_MAX(used, j->floors[lane]);
	/* The id alone is no number. */
	return l->laned && (used & LANE_SN_MAX) == 0 ? 0 : used;
}

uint64_t
numbers_used(const struct numbers *n, uint16_t lane)
{
	return live_used(n->live, lane);
}

/* Lane 0 of a key with lanes may be that of an SA without, and without ESN. */
static uint64_t
last_of(const struct numbers_live *l, uint32_t lane)
{
	uint64_t last = l->laned ? lane_last((uint16_t)lane) : UINT64_MAX;

	return lane == 0 ? RTE_MIN(last, seq_last(l->esn)) : last;
}

/* Whether a lane of the SA has no more numbers left than that. */
static bool
has_left(const struct numbers *n, uint64_t numbers)
{
	const struct numbers_live *l = n->live;

	for (uint32_t lane = 0; lane < n->n; lane++) {
		uint64_t last = last_of(l, lane);
		uint64_t used = live_used(l, (uint16_t)lane);

		if (used != 0 && last - RTE_MIN(used, last) <= numbers)
			return true;
	}
	return false;
}

bool
numbers_low(const struct numbers *n)
{
	return has_left(n, last_of(n->live, 0) / 16);
}

bool
numbers_spent(const struct numbers *n)
{
	return has_left(n, 0);
}

/* How many lanes a record tells of. */
static uint32_t
record_lanes(const struct record *r)
{
	if (r == NULL)
		return 0;
	if (r->in_use)
		return r->live->laned ? r->live->n : 1;
	return r->laned ? r->lanes->n : 1;
}

/* What a record says of a lane of a key that is about to have lanes, or not. */
static uint64_t
record_used(const struct record *r, bool laned, uint32_t lane)
{
	uint64_t number;

	if (record_lanes(r) > 1)
		return lane >= record_lanes(r) ? 0 :
		       r->in_use	       ? live_used(r->live, (uint16_t)lane) :
						 r->lanes->at[lane];
	if (r == NULL)
		return 0;
	number = r->in_use ? live_used(r->live, 0) : r->number;
	return laned ? in_lane(number, lane) : lane == 0 ? number : 0;
}

/* All that a key is to go on above. */
struct known {
	const struct record *own, *other;
	const struct numbers_ask *ask;
	bool laned;
};

static uint64_t
known_used(const struct known *k, uint32_t lane)
{
	uint64_t records =
		RTE_MAX(record_used(k->own, k->laned, lane), record_used(k->other, k->laned, lane));

	return RTE_MAX(records, ask_floor(k->ask, k->laned, lane));
}

/* Lanes, once used, are not forgotten where the SA has none any more. */
static uint32_t
known_lanes(const struct known *k)
{
	uint32_t n = RTE_MAX(record_lanes(k->own), record_lanes(k->other));

	if (k->ask->subspaces) {
		n = RTE_MAX(n, (uint32_t)LANES_ROOM);
		n = RTE_MAX(n, (uint32_t)k->ask->lanes);
	}
	for (uint32_t lane = k->ask->n_floors; lane > n; lane--)
		if (k->ask->floors[lane - 1] != 0)
			return lane;
	return RTE_MAX(n, 1u);
}

static void
lane_open(struct numbers_live *l, uint32_t lane, uint64_t used)
{
	uint64_t base = (uint64_t)lane << LANE_ID_SHIFT;

	lane_init(&l->lanes[lane], RTE_MAX(base, used),
		  l->laned ? lane_last((uint16_t)lane) : seq_last(l->esn));
	/* What control will have said of the end is looked at before the first number. */
	lane_recheck(&l->lanes[lane]);
}

static int
lanes_fill(struct numbers_reg *reg, struct numbers_live *l, const struct known *k, struct err *err)
{
	int rc = 0;

	if (l->laned)
		l->lanes = store_take(&reg->store, l->n * sizeof(struct lane));
	else
		rc = store_lane(&reg->store, &l->lanes, &l->place, err);
	if (rc < 0)
		return rc;
	if (l->lanes == NULL)
		return ask_fail(err, -ENOMEM, k->ask, "no memory for %u lanes", l->n);
	for (uint32_t lane = 0; lane < l->n; lane++)
		lane_open(l, lane, known_used(k, lane));
	l->lanes[0].packets = k->ask->packets;
	l->lanes[0].bytes = k->ask->bytes;
	return 0;
}

struct replay *
numbers_window(struct numbers_reg *reg, uint32_t window)
{
	struct replay *r = store_take(&reg->store, replay_size(window));

	if (r != NULL)
		replay_init(r, window, true, 0);
	return r;
}

void
numbers_window_free(struct numbers_reg *reg, struct replay *window)
{
	store_give(&reg->store, window);
}

static void
set_free(struct numbers_reg *reg, struct replay_set *set)
{
	for (uint32_t lane = 0; lane < set->n; lane++)
		numbers_window_free(reg, set->windows[lane]);
	store_give(&reg->store, set->starts);
	store_give(&reg->store, set->ceilings);
	store_give(&reg->store, set);
}

/* Windows come with the first packets; until then it stands here where they begin. */
static int
set_fill(struct numbers_reg *reg, struct numbers_live *l, const struct known *k, struct err *err)
{
	struct store *s = &reg->store;
	struct replay_set *set = store_take(s, sizeof(*set) + l->n * sizeof(set->windows[0]));
	struct replay *first = numbers_window(reg, l->size);

	if (set == NULL || first == NULL)
		goto fail;
	set->starts = store_take(s, l->n * sizeof(uint64_t));
	if (reg->reserved)
		set->ceilings = store_take(s, l->n * sizeof(uint64_t));
	if (set->starts == NULL || (reg->reserved && set->ceilings == NULL))
		goto fail;
	set->window = l->size;
	set->n = l->n;
	for (uint32_t lane = 0; lane < l->n; lane++) {
		set->starts[lane] = known_used(k, lane);
		if (reg->reserved)
			set->ceilings[lane] =
				RTE_MAX((uint64_t)lane << LANE_ID_SHIFT, set->starts[lane]);
	}
	first->esn = l->esn;
	replay_publish(set->windows, 0, first);
	l->set = set;
	return 0;
fail:
	if (set != NULL)
		set_free(reg, set);
	numbers_window_free(reg, first);
	return ask_fail(err, -ENOMEM, k->ask, "no memory for %u windows", l->n);
}

static int
windows_fill(struct numbers_reg *reg, struct numbers_live *l, const struct known *k,
	     struct err *err)
{
	uint64_t used = known_used(k, 0);
	struct replay *w;
	int rc;

	if (l->laned)
		rc = set_fill(reg, l, k, err);
	else
		rc = store_window(&reg->store, l->size, l->esn, used, &l->window, &l->place, err);
	if (rc < 0)
		return rc;
	w = live_window(l, 0);
	w->packets = k->ask->packets;
	w->bytes = k->ask->bytes;
	if (reg->reserved) {
		w->ceiling = used;
		w->mark = 0;
	}
	return 0;
}

static void
live_empty(struct numbers_reg *reg, struct numbers_live *l)
{
	ends_free(reg, l);
	if (l->inbound && l->laned)
		set_free(reg, l->set);
	else if (l->inbound)
		store_window_free(&reg->store, l->window, l->place);
	else if (l->laned)
		store_give(&reg->store, l->lanes);
	else
		store_lane_free(&reg->store, l->place);
}

static int
live_fill(struct numbers_reg *reg, struct numbers_live *l, const struct known *k, struct err *err)
{
	int rc;

	if (l->laned) {
		l->kept = lane_numbers_new(&reg->records, l->n);
		if (l->kept == NULL)
			return ask_fail(err, -ENOMEM, k->ask, "no memory for %u lanes", l->n);
	}
	rc = l->inbound ? windows_fill(reg, l, k, err) : lanes_fill(reg, l, k, err);
	if (rc < 0)
		goto free_kept;
	rc = ends_room(reg, l, k->ask->hard_packets != 0 || k->ask->hard_bytes != 0, err);
	if (rc < 0)
		goto empty;
	ends_limit(l, k->ask->hard_packets, k->ask->hard_bytes);
	return 0;
empty:
	live_empty(reg, l);
free_kept:
	lane_numbers_free(&reg->records, l->kept);
	return rc;
}

int
live_open(struct numbers_reg *reg, uint32_t index, const struct record *other,
	  const struct numbers_ask *ask, struct numbers_live **live, struct err *err)
{
	struct known k = { .own = record_at(&reg->records, index), .other = other, .ask = ask };
	uint32_t n = known_lanes(&k);
	struct numbers_live *l;
	int rc;

	rc = store_live(&reg->store, &l, err);
	if (rc < 0)
		return rc;
	k.laned = n > 1;
	l->laned = k.laned;
	l->n = (uint16_t)n;
	l->inbound = ask->inbound;
	l->esn = ask->esn;
	l->size = ask->window;
	l->worker = ask->worker;
	l->record = index;
	l->hard_packets = ask->hard_packets;
	l->hard_bytes = ask->hard_bytes;
	l->packets_why = l->bytes_why = LANE_END_LIMIT;
	rc = live_fill(reg, l, &k, err);
	if (rc < 0) {
		store_live_free(&reg->store, l);
		return rc;
	}
	*live = l;
	return 0;
}

int
live_check(const struct numbers_live *l, const struct numbers_ask *ask, struct err *err)
{
	uint16_t room = l->laned ? l->n : 0;

	if (ask->subspaces && room == 0)
		return ask_fail(err, -EBUSY, ask,
				"its key is in use without subspaces: give it a new key, or "
				"restart");
	if (ask->subspaces && ask->lanes > room)
		return ask_fail(err, -EBUSY, ask,
				"its key is in use with room for %u lanes, not %u: give it a new "
				"key, or restart",
				room, ask->lanes);
	if (l->laned && l->inbound && (l->size != ask->window || l->esn != ask->esn))
		return ask_fail(err, -EBUSY, ask,
				"windows of lanes that are in use keep their size (%u) and ESN "
				"setting: give it a new key, or restart",
				l->size);
	return 0;
}

/* As short as can be: a key whose first lane alone was used is one without lanes. */
static void
record_fill(struct numbers_reg *reg, const struct numbers_live *l, struct record *r)
{
	uint32_t n = l->n;

	while (n > 1 && live_used(l, (uint16_t)(n - 1)) == 0)
		n--;
	r->in_use = false;
	r->laned = n > 1;
	if (n == 1) {
		r->number = live_used(l, 0);
		lane_numbers_free(&reg->records, l->kept);
		return;
	}
	for (uint32_t lane = 0; lane < n; lane++)
		l->kept->at[lane] = live_used(l, (uint16_t)lane);
	r->lanes = lane_numbers_cut(&reg->records, l->kept, n);
}

void
live_bury(struct numbers_reg *reg, struct numbers_live *l, uint64_t now)
{
	uint32_t index = l->record;
	struct record *r = record_at(&reg->records, index);

	if (l->users != NULL || l->jobs != NULL)
		return;
	ends_undue(reg, l);
	record_fill(reg, l, r);
	live_empty(reg, l);
	store_live_free(&reg->store, l);
	if (!r->laned && r->number == 0)
		record_remove(&reg->records, index);
	else
		record_keep(&reg->records, index, now / NS_PER_SECOND + NUMBERS_KEPT_SECONDS);
}
