#include "ctl/gw.h"

#include <inttypes.h>

#include <rte_byteorder.h>

#include "base/addr.h"
#include "ctl/kernel.h"
#include "ctl/log.h"
#include "ctl/ports.h"
#include "ctl/timers.h"
#include "mirror/mirror.h"
#include "seq/seq.h"
#include "spd/spd.h"
#include "worker/mailbox.h"

enum soft_limit {
	SOFT_PACKETS = 1 << 0,
	SOFT_BYTES = 1 << 1,
	SOFT_SECONDS = 1 << 2,
	SOFT_NUMBERS = 1 << 3,
	HARD_SECONDS = 1 << 4,
};

static void
audit_log(const struct gw *gw, const struct audit_event *e)
{
	struct addr src = { .family = e->family }, dst = src;
	char from[ADDR_TEXT_SIZE] = "?", to[ADDR_TEXT_SIZE] = "?";
	const struct sa *sa = e->sa == SA_NONE ? NULL : sa_again(&gw->sas, e->sa, e->generation);

	memcpy(src.octets, e->src, 16);
	memcpy(dst.octets, e->dst, 16);
	if (e->family != 0) {
		addr_text(&src, from);
		addr_text(&dst, to);
	}
	GW_LOG(NOTICE,
	       "audit %s: SPI 0x%x, number %" PRIu64 ", %s to %s%s%s, worker %u, at %" PRIu64
	       ".%03u s\n",
	       drop_names[e->reason].name, rte_be_to_cpu_32(e->spi_be), e->seq, from, to,
	       sa != NULL ? ", SA " : "", sa != NULL ? sa_cold(&gw->sas, e->sa)->name : "",
	       e->worker, e->now / NS_PER_SECOND, (unsigned int)(e->now / 1000000 % 1000));
}

static void
event_tell(struct gw *gw, const struct worker_event *e, uint64_t now)
{
	switch ((enum worker_event_kind)e->kind) {
	case EVENT_AUDIT:
		audit_log(gw, &e->audit);
		break;
	case EVENT_ACQUIRE:
		if (gw->hooks.acquire != NULL &&
		    pace_take(&gw->acquire_pace, now, gw->conf->gateway.acquire.rate))
			gw->hooks.acquire(gw->hooks.ctx, &e->acquire);
		break;
	case EVENT_MAPPING:
		if (gw->hooks.mapping != NULL)
			gw->hooks.mapping(gw->hooks.ctx, &e->mapping);
		break;
	case EVENT_UNRESOLVED:
		if (gw->resolver.unresolved != NULL)
			gw->resolver.unresolved(gw->resolver.ctx, &e->unresolved);
		break;
	}
}

static void
events_drain(struct gw *gw, uint64_t now)
{
	struct worker_event e;

	for (uint16_t i = 0; i < gw->n_workers; i++)
		while (mailbox_event(gw->workers[i], &e))
			event_tell(gw, &e, now);
}

static void
soft_tell(struct sa_cold *cold, bool reached, enum soft_limit limit, const char *what)
{
	if (!reached || (cold->soft_told & limit) != 0)
		return;
	cold->soft_told |= limit;
	GW_LOG(NOTICE, "SA %s: %s\n", cold->name, what);
}

static bool
is_over(uint64_t limit, uint64_t value)
{
	return limit != 0 && value >= limit;
}

/* Limits that only tell, and those in seconds, which only control can see (RFC 4301
 * section 4.4.2.1). */
static void
lifetime_check(struct gw *gw, uint32_t index, uint64_t now)
{
	struct sa *sa = sa_at(&gw->sas, index);
	struct sa_cold *cold = sa_cold(&gw->sas, index);
	const struct sa_lifetime *life = &cold->lifetime;
	uint64_t age = (now - cold->created) / NS_PER_SECOND;
	uint64_t last = seq_last(sa->suite.esn);

	soft_tell(cold, is_over(life->soft_packets, cell_get(&sa->lane->packets)), SOFT_PACKETS,
		  "soft lifetime in packets reached");
	soft_tell(cold, is_over(life->soft_bytes, cell_get(&sa->lane->bytes)), SOFT_BYTES,
		  "soft lifetime in bytes reached");
	soft_tell(cold, is_over(life->soft_seconds, age), SOFT_SECONDS,
		  "soft lifetime in seconds reached");
	/* A sixteenth of the numbers is left: time to rekey. */
	soft_tell(cold, (sa->flags & SA_INBOUND) == 0 && lane_used(sa->lane) > last - last / 16,
		  SOFT_NUMBERS, "sequence numbers are running out");
	soft_tell(cold, is_over(life->hard_seconds, age), HARD_SECONDS,
		  "expired: hard lifetime in seconds");
	if (is_over(life->hard_seconds, age))
		__atomic_store_n(&sa->state, SA_EXPIRED, __ATOMIC_RELAXED);
}

bool
gw_is_busy(const struct gw *gw)
{
	return mirrors_are_busy(gw->mirrors);
}

void
gw_tick(struct gw *gw)
{
	uint64_t now = clock_now(&gw->clock);
	struct err err;

	defer_poll(&gw->defer, now, false);
	events_drain(gw, now);
	mirrors_tick(gw->mirrors);
	kernel_tick(gw, now);
	if (spd_maintain(gw->spd, false, &err) < 0)
		GW_LOG(WARNING, "policies: %s\n", err.text);
	timers_dummies(gw, now);
	if (now / (NS_PER_SECOND / 10) == gw->last_look)
		return;
	gw->last_look = now / (NS_PER_SECOND / 10);
	if (gw->running && now / NS_PER_SECOND != gw->last_watch) {
		gw->last_watch = now / NS_PER_SECOND;
		ports_watch(gw);
	}
	for (uint32_t i = 0; i < gw->conf->n_sas; i++) {
		lifetime_check(gw, gw->sa_books[i].index, now);
		timers_keepalive(gw, i, now);
	}
}
