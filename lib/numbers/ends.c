/* Where a lane ends: number space, hard lifetime, reservation. */
#include "numbers/live.h"

#include <stdlib.h>

static uint64_t
or_none(uint64_t limit)
{
	return limit == 0 ? UINT64_MAX : limit;
}

int
ends_room(struct numbers_reg *reg, struct numbers_live *l, const struct numbers_ask *ask,
	  struct err *err)
{
	bool limited = ask->hard_packets != 0 || ask->hard_bytes != 0;
	uint32_t unused;
	int rc;

	if (l->grants != NULL || (!limited && (l->inbound || !reg->reserved)))
		return 0;
	rc = slab_take(&reg->store.ends, &l->ends, &unused, err);
	if (rc < 0)
		return rc;
	if (l->inbound) {
		l->limits = slab_at(&reg->store.ends, l->ends);
		*l->limits = (struct replay_limits) {
			.packets_end = UINT64_MAX,
			.bytes_end = UINT64_MAX,
			.packets_why = DROP_EXPIRED,
			.bytes_why = DROP_EXPIRED,
		};
		return 0;
	}
	l->grants = slab_at(&reg->store.ends, l->ends);
	*l->grants = (struct grant) {
		.reserved = reg->reserved ? 0 : UINT64_MAX,
		.packets_end = UINT64_MAX,
		.bytes_end = UINT64_MAX,
	};
	ends_rebase(l, 0);
	return 0;
}

void
ends_free(struct numbers_reg *reg, struct numbers_live *l)
{
	if (l->grants != NULL)
		slab_give(&reg->store.ends, l->ends);
}

void
ends_limit(struct numbers_live *l, uint64_t hard_packets, uint64_t hard_bytes)
{
	l->hard_packets = hard_packets;
	l->hard_bytes = hard_bytes;
	if (l->grants == NULL)
		return;
	if (l->inbound) {
		__atomic_store_n(&l->limits->packets_end, or_none(hard_packets), __ATOMIC_RELAXED);
		__atomic_store_n(&l->limits->bytes_end, or_none(hard_bytes), __ATOMIC_RELAXED);
		__atomic_store_n(&l->window->limits, l->limits, __ATOMIC_RELEASE);
	} else {
		l->grants->packets_end = or_none(hard_packets);
		l->grants->bytes_end = or_none(hard_bytes);
	}
}

void
ends_rebase(struct numbers_live *l, uint16_t lane)
{
	if (l->inbound || l->grants == NULL)
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
	const struct grant *g = &l->grants[lane];
	uint64_t end = seq_last(l->esn);
	uint8_t why = LANE_END_SPACE;

	if (l->inbound)
		return;
	if (l->grants != NULL) {
		if (g->packets_end != UINT64_MAX && number_at(g, g->packets_end) < end) {
			end = number_at(g, g->packets_end);
			why = LANE_END_LIMIT;
		}
		if (g->reserved < end) {
			end = g->reserved;
			why = LANE_END_RESERVE;
		}
		at->bytes_why = LANE_END_LIMIT;
		__atomic_store_n(&at->bytes_end, g->bytes_end, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&at->why, why, __ATOMIC_RELAXED);
	__atomic_store_n(&at->end, end, __ATOMIC_RELEASE);
}

void
ends_put_all(struct numbers_live *l)
{
	for (uint16_t lane = 0; lane < l->n && l->jobs == NULL; lane++)
		ends_put(l, lane);
}

/* How long before the end more is asked for: when half of what is left now is used, or a little
 * later. */
static uint8_t
ask_shift(uint64_t used, uint64_t end)
{
	uint64_t half = end > used ? (end - used) / 2 : 0;

	return half == 0 ? 0 : (uint8_t)(63 - __builtin_clzll(half));
}

void
numbers_reserve(struct numbers *n, uint16_t lane, uint64_t end)
{
	struct numbers_live *l = n->live;
	uint8_t shift = ask_shift(live_used(l, lane), end);

	if (end <= numbers_reserved(n, lane))
		return;
	if (l->inbound) {
		__atomic_store_n(&l->window->ask_shift, shift, __ATOMIC_RELAXED);
		__atomic_store_n(&l->window->ceiling, end, __ATOMIC_RELEASE);
		return;
	}
	l->grants[lane].reserved = end;
	__atomic_store_n(&l->lanes[lane].ask_shift, shift, __ATOMIC_RELAXED);
	ends_put_all(l);
}

uint64_t
numbers_reserved(const struct numbers *n, uint16_t lane)
{
	const struct numbers_live *l = n->live;

	if (l->inbound)
		return cell_get(&l->window->ceiling);
	return l->grants == NULL ? UINT64_MAX : l->grants[lane].reserved;
}

void
numbers_count(const struct numbers *n, struct numbers_counts *c)
{
	const struct numbers_live *l = n->live;

	*c = (struct numbers_counts) { 0, 0 };
	if (l->inbound) {
		c->packets = cell_get(&l->window->packets);
		c->bytes = cell_get(&l->window->bytes);
		return;
	}
	for (uint16_t lane = 0; lane < l->n; lane++) {
		c->packets += cell_get(&l->lanes[lane].packets);
		c->bytes += cell_get(&l->lanes[lane].bytes);
	}
}
