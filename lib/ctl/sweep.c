#include "ctl/sweep.h"

#include <rte_prefetch.h>

#include "ctl/links.h"
#include "ctl/rates.h"
#include "ctl/log.h"
#include "ctl/offloads.h"
#include "ctl/pin.h"
#include "ctl/report.h"
#include "ctl/timers.h"
#include "numbers/numbers.h"

#define SWEEP_FEW  8192 /* as many are looked at ten times a second */
#define SWEEP_SOME 32	/* that are asked for together */

/* Once per limit: to the log what is the file's, to its layer what is a daemon's. */
static void
limit_tell(struct gw *gw, uint32_t index, bool reached, enum sa_limit limit, const char *what)
{
	struct sa_cold *cold = sa_cold(&gw->sas, index);
	bool hard = (limit & (LIMIT_HARD_SECONDS | LIMIT_HARD_TRAFFIC)) != 0;
	void (*tell)(void *ctx, uint32_t sa, enum sa_limit limit) =
		hard ? gw->hooks.hard_limit : gw->hooks.soft_limit;
	char name[SA_NAME_MAX];

	if (!reached || cold->ended || (cold->told & limit) != 0)
		return;
	cold->told |= limit;
	if (cold->origin.from == SA_FROM_FILE)
		GW_LOG(NOTICE, "SA %s: %s\n", sa_name(cold, name), what);
	else if (tell != NULL)
		tell(gw->hooks.ctx, index, limit);
}

static bool
is_over(uint64_t limit, uint64_t value)
{
	return limit != 0 && value >= limit;
}

static bool
seconds_over(uint64_t limit, uint64_t since, uint64_t now)
{
	return limit != 0 && since != 0 && now / NS_PER_SECOND - since >= limit;
}

/* The last octets before the limit may be too few for a packet: then one was refused. */
static bool
traffic_over(const struct gw *gw, uint32_t index, const struct numbers_counts *c)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	const struct sa_lifetime *life = sa_cold(&gw->sas, index)->lifetime;

	if (is_over(sa_hard_packets(&sa->suite, life), c->packets) ||
	    is_over(life->hard_bytes, c->bytes))
		return true;
	if (life->hard_bytes == 0 || life->hard_bytes - c->bytes >= UINT16_MAX)
		return false;
	for (uint16_t i = 0; i < gw->n_workers; i++)
		if (sparse_get(gw->workers[i]->sparse, index, sa->generation, DROP_EXPIRED) > 0)
			return true;
	return false;
}

/* A daemon's SA ended before its time: what only a port's device knew is lost (offloads.h). Another
 * one is to take its place.
 */
static bool
is_dead(const struct gw *gw, uint32_t index)
{
	return sa_at(&gw->sas, index)->state == SA_EXPIRED &&
	       sa_cold(&gw->sas, index)->origin.from == SA_FROM_DAEMON;
}

/* RFC 4301 section 4.4.2.1. Hard limits in packets and bytes are the owner's to hold; here they are
 * only told.
 */
static void
limits_check(struct gw *gw, uint32_t index, const struct numbers_counts *c, uint64_t now)
{
	struct sa *sa = sa_at(&gw->sas, index);
	const struct sa_cold *cold = sa_cold(&gw->sas, index);
	const struct sa_lifetime *life = cold->lifetime;
	uint64_t age = (now - cold->created) / NS_PER_SECOND;
	bool expired = is_over(life->hard_seconds, age) ||
		       seconds_over(life->hard_use_seconds, cold->first_used_s, now);

	limit_tell(gw, index, is_over(sa_soft_packets(&sa->suite, life), c->packets),
		   LIMIT_SOFT_PACKETS, "soft lifetime in packets reached");
	limit_tell(gw, index, is_over(life->soft_bytes, c->bytes), LIMIT_SOFT_BYTES,
		   "soft lifetime in bytes reached");
	limit_tell(gw, index,
		   is_over(life->soft_seconds, age) ||
			   seconds_over(life->soft_use_seconds, cold->first_used_s, now) ||
			   is_dead(gw, index),
		   LIMIT_SOFT_SECONDS, "soft lifetime in seconds reached");
	limit_tell(gw, index, (sa->flags & SA_INBOUND) == 0 && numbers_low(cold->numbers),
		   LIMIT_SOFT_NUMBERS, "sequence numbers are running out");
	if (expired)
		__atomic_store_n(&sa->state, SA_EXPIRED, __ATOMIC_RELAXED);
	limit_tell(gw, index, expired, LIMIT_HARD_SECONDS, "expired: hard lifetime in seconds");
	limit_tell(gw, index, traffic_over(gw, index, c), LIMIT_HARD_TRAFFIC,
		   "expired: hard lifetime in packets or bytes");
}

/* What goes without saying binds a key that has used half of it; until then it costs nothing. */
static void
own_limit_set(struct gw *gw, uint32_t index, const struct numbers_counts *c)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	struct err err;

	/* Without memory for it now, the next look is another try. */
	if (unlikely(sa->suite.aead && c->packets > SA_AEAD_SOFT_PACKETS))
		(void)numbers_limit(gw->numbers, sa_cold(&gw->sas, index)->numbers,
				    SA_AEAD_HARD_PACKETS, &err);
}

static void
use_note(struct gw *gw, uint32_t index, uint64_t packets, uint64_t now)
{
	struct sa_cold *cold = sa_cold(&gw->sas, index);

	if (packets == cold->packets)
		return;
	pin_note(gw, index, packets - cold->packets);
	cold->packets = packets;
	cold->last_used = now;
	if (cold->first_used_s == 0)
		cold->first_used_s = (uint32_t)RTE_MAX(now / NS_PER_SECOND, UINT64_C(1));
}

static void
look(struct gw *gw, uint32_t index, uint64_t now)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, index);
	struct numbers_counts counts;

	if (cold->ended)
		return;
	numbers_count(cold->numbers, &counts);
	use_note(gw, index, counts.packets, now);
	timers_keepalive(gw, index, now);
	own_limit_set(gw, index, &counts);
	limits_check(gw, index, &counts, now);
	links_look(gw, index);
	rates_look(gw, index, now);
	offloads_sa_look(gw, index);
}

/* What a look reads lies in eight lines of far memory, each found by the one before. With very many
 * SAs waiting for them one by one would take longer than a pass may: here some SAs wait together.
 */
static void
fetch(struct gw *gw, const uint32_t *some, uint32_t n)
{
	const uint32_t line = RTE_CACHE_LINE_SIZE;

	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *cold = (const uint8_t *)sa_cold(&gw->sas, some[i]);

		rte_prefetch0(sa_at(&gw->sas, some[i]));
		for (uint32_t at = 0; at < sizeof(struct sa_cold); at += line)
			rte_prefetch0(cold + at);
	}
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *numbers = (const uint8_t *)sa_cold(&gw->sas, some[i])->numbers;

		rte_prefetch0(sa_at(&gw->sas, some[i])->lane);
		for (uint32_t at = 0; at < sizeof(struct numbers); at += line)
			rte_prefetch0(numbers + at);
	}
	for (uint32_t i = 0; i < n; i++)
		numbers_prefetch(sa_cold(&gw->sas, some[i])->numbers);
}

/* Looks at some SAs from an index on, below due. Returns where to go on. */
static uint32_t
look_some(struct gw *gw, uint32_t index, uint32_t due, uint64_t now)
{
	uint32_t some[SWEEP_SOME], n = 0;

	while (n < SWEEP_SOME && index < due && (index = slab_next(&gw->sas.records, index)) < due)
		some[n++] = index++;
	fetch(gw, some, n);
	for (uint32_t i = 0; i < n; i++)
		look(gw, some[i], now);
	return index;
}

void
sweep_tick(struct gw *gw, uint64_t now)
{
	uint32_t end = slab_end(&gw->sas.records);
	uint64_t period = end <= SWEEP_FEW ? NS_PER_SECOND / 10 : NS_PER_SECOND;
	uint64_t elapsed = now - gw->sweep_began;
	uint32_t due = elapsed >= period ? end : (uint32_t)(end * elapsed / period);
	uint32_t index = gw->sweep_next;

	/* A pass over few is made at its end, all at once, as the clock of captures jumps. */
	if (elapsed < period && end <= SWEEP_FEW)
		return;
	while (index < due)
		index = look_some(gw, index, due, now);
	gw->sweep_next = RTE_MAX(gw->sweep_next, due);
	if (elapsed < period)
		return;
	gw->sweep_began = now - now % period;
	gw->sweep_next = 0;
}
