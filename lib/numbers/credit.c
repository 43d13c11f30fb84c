/* Hard lifetimes of keys with several lanes. What is left of a limit is given to the lanes in
 * slices, so that each counts for itself; once there is nothing to give, lanes that do not use
 * theirs give it back, by their owners.
 */
#include "numbers/live.h"

#include <errno.h>

#include <rte_common.h>

#define SLICES	       8    /* of what is left, for each lane */
#define LANES_PER_TICK 4096 /* to be looked at */
#define LARGEST_PACKET UINT16_MAX

struct credit {
	struct credit *next, **link; /* of the registry's */
	struct numbers_live *live;
};

enum kind {
	PACKETS,
	BYTES,
};

/* All lanes together. */
struct sums {
	uint64_t given, counted;
	uint32_t hungry;       /* lanes that refused packets and have too little */
	uint64_t crumbs, most; /* what these have all the same, and one of them */
	uint64_t idle;	       /* what the others have */
};

int
credit_open(struct numbers_reg *reg, struct numbers_live *l, struct err *err)
{
	struct credit *c = store_take(&reg->store, sizeof(*c));

	if (c == NULL)
		return err_set(err, -ENOMEM, "no memory for the limits of %u lanes", l->n);
	c->live = l;
	c->next = reg->credits;
	c->link = &reg->credits;
	if (c->next != NULL)
		c->next->link = &c->next;
	reg->credits = c;
	l->credit = c;
	/* Nothing is given yet. */
	for (uint32_t lane = 0; lane < l->n && l->users == NULL; lane++)
		credit_recall(l, (uint16_t)lane);
	return 0;
}

void
credit_close(struct numbers_reg *reg, struct numbers_live *l)
{
	struct credit *c = l->credit;

	if (c == NULL)
		return;
	if (reg->credit_next == c)
		reg->credit_next = c->next;
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	l->credit = NULL;
	store_give(&reg->store, c);
}

static uint64_t
hard_of(const struct numbers_live *l, enum kind kind)
{
	return kind == PACKETS ? l->hard_packets : l->hard_bytes;
}

static uint64_t *
end_of(const struct numbers_live *l, uint32_t lane, enum kind kind)
{
	if (l->inbound)
		return kind == PACKETS ? &l->limits[lane].packets_end : &l->limits[lane].bytes_end;
	return kind == PACKETS ? &l->grants[lane].packets_end : &l->grants[lane].bytes_end;
}

static uint64_t
count_of(const struct numbers_live *l, uint32_t lane, enum kind kind)
{
	const struct replay *w;

	if (!l->inbound)
		return cell_get(kind == PACKETS ? &l->lanes[lane].packets : &l->lanes[lane].bytes);
	w = live_window(l, (uint16_t)lane);
	if (w == NULL)
		return 0;
	return cell_get(kind == PACKETS ? &w->packets : &w->bytes);
}

static uint64_t
left_of(const struct numbers_live *l, uint32_t lane, enum kind kind)
{
	uint64_t end = *end_of(l, lane, kind), count = count_of(l, lane, kind);

	return end > count ? end - count : 0;
}

static void
end_set(struct numbers_live *l, uint32_t lane, enum kind kind, uint64_t end)
{
	__atomic_store_n(end_of(l, lane, kind), end, __ATOMIC_RELAXED);
}

void
credit_recall(struct numbers_live *l, uint16_t lane)
{
	if (l->credit == NULL)
		return;
	for (enum kind kind = PACKETS; kind <= BYTES; kind++)
		end_set(l, lane, kind,
			hard_of(l, kind) == 0 ? UINT64_MAX : count_of(l, lane, kind));
}

static uint16_t
refused_of(const struct numbers_live *l, uint32_t lane, enum kind kind)
{
	return __atomic_load_n(l->inbound ? &l->limits[lane].refused[kind] :
					    &l->lanes[lane].refused[kind],
			       __ATOMIC_RELAXED);
}

static uint16_t *
seen_of(const struct numbers_live *l, uint32_t lane, enum kind kind)
{
	return l->inbound ? &l->limits[lane].seen[kind] : &l->grants[lane].seen[kind];
}

/* Whether a lane had to refuse packets since it was last given something. */
static bool
is_hungry(const struct numbers_live *l, uint32_t lane, enum kind kind)
{
	return refused_of(l, lane, kind) != *seen_of(l, lane, kind);
}

/* Too little to go on with. */
static bool
is_short(const struct numbers_live *l, uint32_t lane, enum kind kind)
{
	return left_of(l, lane, kind) < (kind == PACKETS ? 1 : LARGEST_PACKET);
}

static bool
is_needy(const struct numbers_live *l, uint32_t lane, enum kind kind)
{
	return is_hungry(l, lane, kind) && is_short(l, lane, kind);
}

static void
sums_of(const struct numbers_live *l, enum kind kind, struct sums *s)
{
	*s = (struct sums) { 0 };
	for (uint32_t lane = 0; lane < l->n; lane++) {
		uint64_t left = left_of(l, lane, kind);

		s->given += *end_of(l, lane, kind);
		s->counted += count_of(l, lane, kind);
		if (!is_needy(l, lane, kind)) {
			s->idle += left;
			continue;
		}
		s->hungry++;
		s->crumbs += left;
		s->most = RTE_MAX(s->most, left);
	}
}

static void
give(struct numbers_live *l, uint32_t lane, enum kind kind, uint64_t n, uint64_t *rest)
{
	n = RTE_MIN(n, *rest);
	if (n == 0)
		return;
	*seen_of(l, lane, kind) = refused_of(l, lane, kind);
	*rest -= n;
	end_set(l, lane, kind, *end_of(l, lane, kind) + n);
}

/* First to those who wait, most of what there is; then all that the SA has are kept at a slice. One
 * that is alone gets it all.
 */
static void
share(struct numbers_live *l, enum kind kind, const struct sums *s, uint64_t *rest)
{
	uint64_t hard = hard_of(l, kind), least = kind == PACKETS ? 1 : LARGEST_PACKET;
	uint32_t n = l->users != NULL ? l->users->n : l->n;
	uint64_t slice = hard > s->counted ? hard - s->counted : 0, most;

	if (n > 1)
		slice /= SLICES * n;
	slice = RTE_MAX(slice, least);
	most = s->hungry == 0 ? 0 : *rest / (2 * s->hungry);
	most = RTE_MAX(most, slice);
	for (uint32_t lane = 0; lane < l->n && s->hungry > 0; lane++)
		if (is_needy(l, lane, kind))
			give(l, lane, kind, most, rest);
	for (uint32_t lane = 0; lane < n; lane++) {
		uint64_t left = left_of(l, lane, kind);

		if (left <= slice / 2)
			give(l, lane, kind, slice - left, rest);
	}
}

static void
unlimit(struct numbers_live *l, enum kind kind)
{
	for (uint32_t lane = 0; lane < l->n && *end_of(l, lane, kind) != UINT64_MAX; lane++)
		end_set(l, lane, kind, UINT64_MAX);
}

/* False: there is nothing left to give, but others have some. *why: what the limit is then. */
static bool
fill(struct numbers_live *l, enum kind kind, uint8_t *why)
{
	uint64_t hard = hard_of(l, kind), rest;
	struct sums s;

	*why = LANE_END_LIMIT;
	if (hard == 0) {
		unlimit(l, kind);
		return true;
	}
	sums_of(l, kind, &s);
	rest = hard > s.given ? hard - s.given : 0;
	if (rest > 0) {
		share(l, kind, &s, &rest);
		sums_of(l, kind, &s);
	}
	/* All is used, or too little for a packet is in one hand. */
	if (rest == 0 && s.idle == 0 && s.crumbs == s.most)
		return true;
	*why = LANE_END_CREDIT;
	return rest > 0 || s.hungry == 0;
}

static uint8_t
drop_of(uint8_t why)
{
	return why == LANE_END_CREDIT ? DROP_SEQ_WAIT : DROP_EXPIRED;
}

bool
credit_fill(struct numbers_live *l)
{
	bool packets = fill(l, PACKETS, &l->packets_why), bytes = fill(l, BYTES, &l->bytes_why);

	for (uint32_t lane = 0; lane < l->n; lane++) {
		if (!l->inbound)
			continue;
		__atomic_store_n(&l->limits[lane].packets_why, drop_of(l->packets_why),
				 __ATOMIC_RELAXED);
		__atomic_store_n(&l->limits[lane].bytes_why, drop_of(l->bytes_why),
				 __ATOMIC_RELAXED);
	}
	return packets && bytes;
}

/* Lanes that wait for more, and may get it. */
static bool
is_waiting(const struct numbers_live *l)
{
	if (l->packets_why != LANE_END_CREDIT && l->bytes_why != LANE_END_CREDIT)
		return false;
	for (uint32_t lane = 0; lane < l->n; lane++)
		if (is_hungry(l, lane, PACKETS) || is_hungry(l, lane, BYTES))
			return true;
	return l->jobs != NULL || l->due;
}

bool
numbers_tick(struct numbers_reg *reg)
{
	struct credit *first = reg->credit_next != NULL ? reg->credit_next : reg->credits;
	struct credit *c = first;
	uint32_t lanes = 0;
	bool waiting = false;

	while (c != NULL && lanes < LANES_PER_TICK) {
		struct numbers_live *l = c->live;

		waiting |= is_waiting(l);
		if (l->jobs == NULL && !l->due && l->users != NULL) {
			if (!credit_fill(l))
				ends_due(reg, l);
			ends_put_all(l);
		}
		lanes += l->n;
		c = c->next;
	}
	reg->credit_next = c;
	return waiting;
}
