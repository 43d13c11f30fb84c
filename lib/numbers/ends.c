/* Where a lane ends: number space, hard lifetime, reservation. */
#include "numbers/live.h"

#include <errno.h>

#include <rte_common.h>

static uint64_t
or_none(uint64_t limit)
{
	return limit == 0 ? UINT64_MAX : limit;
}

/* One of each lane: from the slab, or for several an array. */
static void *
room_take(struct numbers_reg *reg, struct numbers_live *l, size_t size, struct err *err)
{
	uint32_t unused;
	void *at;

	if (!l->laned)
		return slab_take(&reg->store.ends, &l->ends, &unused, err) < 0 ?
			       NULL :
			       slab_at(&reg->store.ends, l->ends);
	at = store_take(&reg->store, l->n * size);
	if (at == NULL)
		err_set(err, -ENOMEM, "no memory for the limits of %u lanes", l->n);
	return at;
}

static int
limits_room(struct numbers_reg *reg, struct numbers_live *l, struct err *err)
{
	struct replay_limits *limits = room_take(reg, l, sizeof(*limits), err);

	if (limits == NULL)
		return -ENOMEM;
	for (uint32_t lane = 0; lane < l->n; lane++)
		limits[lane] = (struct replay_limits) {
			.packets_end = UINT64_MAX,
			.bytes_end = UINT64_MAX,
			.packets_why = DROP_EXPIRED,
			.bytes_why = DROP_EXPIRED,
		};
	l->limits = limits;
	return 0;
}

static int
grants_room(struct numbers_reg *reg, struct numbers_live *l, struct err *err)
{
	struct grant *grants = room_take(reg, l, sizeof(*grants), err);

	if (grants == NULL)
		return -ENOMEM;
	l->grants = grants;
	for (uint32_t lane = 0; lane < l->n; lane++) {
		grants[lane] = (struct grant) {
			.reserved = reg->reserved ? lane_used(&l->lanes[lane]) : UINT64_MAX,
			.packets_end = UINT64_MAX,
			.bytes_end = UINT64_MAX,
		};
		ends_rebase(l, (uint16_t)lane);
	}
	return 0;
}

int
ends_room(struct numbers_reg *reg, struct numbers_live *l, bool limited, struct err *err)
{
	int rc = 0;

	if (l->grants == NULL && (limited || (!l->inbound && reg->reserved)))
		rc = l->inbound ? limits_room(reg, l, err) : grants_room(reg, l, err);
	if (rc == 0 && limited && l->laned && l->credit == NULL)
		rc = credit_open(reg, l, err);
	return rc;
}

void
ends_free(struct numbers_reg *reg, struct numbers_live *l)
{
	credit_close(reg, l);
	if (l->grants == NULL)
		return;
	if (l->laned)
		store_give(&reg->store, l->grants);
	else
		slab_give(&reg->store.ends, l->ends);
}

/* Windows that there are; the others find it when they come. */
static void
limits_show(struct numbers_live *l)
{
	if (l->laned)
		__atomic_store_n(&l->set->limits, l->limits, __ATOMIC_RELEASE);
	/* See replay_publish(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t lane = 0; lane < l->n; lane++) {
		struct replay *w = live_window(l, (uint16_t)lane);

		if (w != NULL)
			__atomic_store_n(&w->limits, &l->limits[lane], __ATOMIC_RELEASE);
	}
}

/* The only lane has it all. */
static void
whole_put(struct numbers_live *l)
{
	if (l->inbound) {
		__atomic_store_n(&l->limits->packets_end, or_none(l->hard_packets),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&l->limits->bytes_end, or_none(l->hard_bytes), __ATOMIC_RELAXED);
	} else {
		l->grants->packets_end = or_none(l->hard_packets);
		l->grants->bytes_end = or_none(l->hard_bytes);
	}
}

void
ends_limit(struct numbers_live *l, uint64_t hard_packets, uint64_t hard_bytes)
{
	l->hard_packets = hard_packets;
	l->hard_bytes = hard_bytes;
	if (l->grants != NULL && !l->laned)
		whole_put(l);
	if (l->jobs != NULL) {
		l->packets_why = l->bytes_why =
			l->credit == NULL ? LANE_END_LIMIT : LANE_END_CREDIT;
		return;
	}
	if (l->credit != NULL)
		credit_fill(l);
	if (l->inbound && l->limits != NULL)
		limits_show(l);
	ends_put_all(l);
}

void
ends_due(struct numbers_reg *reg, struct numbers_live *l)
{
	if (l->due)
		return;
	l->due = true;
	l->next_due = reg->due;
	reg->due = l;
}

void
ends_undue(struct numbers_reg *reg, struct numbers_live *l)
{
	struct numbers_live **link = &reg->due;

	if (!l->due)
		return;
	while (*link != l)
		link = &(*link)->next_due;
	*link = l->next_due;
	l->due = false;
}

bool
numbers_is_due(const struct numbers_reg *reg)
{
	return reg->due != NULL;
}

struct numbers_job *
numbers_due(struct numbers_reg *reg)
{
	struct numbers_live *l = reg->due;
	struct numbers_job *job;

	if (l == NULL)
		return NULL;
	job = job_recall(reg, l);
	if (job == NULL)
		return NULL;
	ends_undue(reg, l);
	return job;
}

int
numbers_limit(struct numbers_reg *reg, struct numbers *n, uint64_t hard_packets, struct err *err)
{
	struct numbers_live *l = n->live;
	int rc;

	if (n->hard_packets != 0 && n->hard_packets <= hard_packets)
		return 0;
	rc = ends_room(reg, l, true, err);
	if (rc < 0)
		return rc;
	n->hard_packets = hard_packets;
	if (l->users != n)
		return 0;
	l->hard_packets = hard_packets;
	/* Lanes hear of it by their owners. */
	if (!l->laned)
		whole_put(l);
	if (l->inbound && !l->laned)
		limits_show(l);
	else
		ends_due(reg, l);
	return 0;
}

void
ends_rebase(struct numbers_live *l, uint16_t lane)
{
	if (l->grants == NULL)
		return;
	l->grants[lane].base_number = lane_used(&l->lanes[lane]);
	l->grants[lane].base_packets = cell_get(&l->lanes[lane].packets);
}

/* The number at which so many packets are counted. */
static uint64_t
number_at(const struct grant *g, uint64_t packets)
{
	uint64_t left = packets > g->base_packets ? packets - g->base_packets : 0;

	return left > UINT64_MAX - g->base_number ? UINT64_MAX : g->base_number + left;
}

void
ends_put(struct numbers_live *l, uint16_t lane)
{
	struct lane *at = &l->lanes[lane];
	const struct grant *g = l->grants != NULL ? &l->grants[lane] : NULL;
	uint64_t end = l->laned ? lane_last(lane) : UINT64_MAX;
	uint8_t why = LANE_END_SPACE;

	if (!l->laned || lane == 0)
		end = RTE_MIN(end, seq_last(l->esn));
	if (g != NULL) {
		if (g->packets_end != UINT64_MAX && number_at(g, g->packets_end) < end) {
			end = number_at(g, g->packets_end);
			why = l->packets_why;
		}
		if (g->reserved < end) {
			end = g->reserved;
			why = LANE_END_RESERVE;
		}
		__atomic_store_n(&at->bytes_why, l->bytes_why, __ATOMIC_RELAXED);
		__atomic_store_n(&at->bytes_end, g->bytes_end, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&at->why, why, __ATOMIC_RELAXED);
	__atomic_store_n(&at->end, end, __ATOMIC_RELEASE);
}

void
ends_put_all(struct numbers_live *l)
{
	if (l->inbound || l->jobs != NULL)
		return;
	for (uint32_t lane = 0; lane < l->n; lane++)
		ends_put(l, (uint16_t)lane);
}

/* How long before the end more is asked for: when half of what is left now is used, or a little
 * later. */
static uint8_t
ask_shift(uint64_t used, uint64_t end)
{
	uint64_t half = end > used ? (end - used) / 2 : 0;

	return half == 0 ? 0 : (uint8_t)(63 - __builtin_clzll(half));
}

static void
ceiling_put(struct numbers_live *l, uint16_t lane, uint8_t shift, uint64_t end)
{
	struct replay *w;

	if (l->laned && l->set->ceilings != NULL)
		__atomic_store_n(&l->set->ceilings[lane], end, __ATOMIC_RELAXED);
	/* If the window comes just now without it, its owner asks again. */
	w = live_window(l, lane);
	if (w == NULL)
		return;
	__atomic_store_n(&w->ask_shift, shift, __ATOMIC_RELAXED);
	__atomic_store_n(&w->ceiling, end, __ATOMIC_RELEASE);
}

void
numbers_reserve(struct numbers *n, uint16_t lane, uint64_t end)
{
	struct numbers_live *l = n->live;
	uint8_t shift = ask_shift(live_used(l, lane), end);

	if (end <= numbers_reserved(n, lane))
		return;
	if (l->inbound) {
		ceiling_put(l, lane, shift, end);
		return;
	}
	l->grants[lane].reserved = end;
	__atomic_store_n(&l->lanes[lane].ask_shift, shift, __ATOMIC_RELAXED);
	if (l->jobs == NULL)
		ends_put(l, lane);
}

uint64_t
numbers_reserved(const struct numbers *n, uint16_t lane)
{
	const struct numbers_live *l = n->live;
	const struct replay *w;

	if (!l->inbound)
		return l->grants == NULL ? UINT64_MAX : l->grants[lane].reserved;
	w = live_window(l, lane);
	if (w != NULL)
		return cell_get(&w->ceiling);
	return l->set->ceilings == NULL ? UINT64_MAX : l->set->ceilings[lane];
}

bool
numbers_is_near(const struct numbers *n, uint16_t lane)
{
	const struct numbers_live *l = n->live;
	const struct replay *w = l->inbound ? live_window(l, lane) : NULL;
	uint64_t end = numbers_reserved(n, lane), used = numbers_used(n, lane), before;

	if (end == UINT64_MAX || (l->inbound && w == NULL))
		return false;
	/* Of a number beyond: what is used says nothing of it. */
	if (w != NULL && replay_has_asked(w))
		return true;
	before = UINT64_C(1) << (w != NULL ? w->ask_shift : l->lanes[lane].ask_shift);
	return end <= used || end - used <= before;
}

void
live_count_lane(const struct numbers_live *l, uint16_t lane, struct numbers_counts *c)
{
	const struct replay *w = l->inbound ? live_window(l, lane) : NULL;

	*c = (struct numbers_counts) { 0, 0 };
	if (!l->inbound)
		*c = (struct numbers_counts) { cell_get(&l->lanes[lane].packets),
					       cell_get(&l->lanes[lane].bytes) };
	else if (w != NULL)
		*c = (struct numbers_counts) { cell_get(&w->packets), cell_get(&w->bytes) };
}

void
live_count(const struct numbers_live *l, struct numbers_counts *c)
{
	*c = (struct numbers_counts) { 0, 0 };
	for (uint32_t lane = 0; lane < l->n; lane++) {
		struct numbers_counts one;

		live_count_lane(l, (uint16_t)lane, &one);
		c->packets += one.packets;
		c->bytes += one.bytes;
	}
}

void
numbers_count(const struct numbers *n, struct numbers_counts *c)
{
	live_count(n->live, c);
}

void
numbers_count_lane(const struct numbers *n, uint16_t lane, struct numbers_counts *c)
{
	live_count_lane(n->live, lane, c);
}
