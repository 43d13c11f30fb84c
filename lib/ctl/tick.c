#include "ctl/gw.h"

#include <inttypes.h>

#include <rte_byteorder.h>

#include "base/addr.h"
#include "ctl/egress.h"
#include "ctl/engines.h"
#include "ctl/kernel.h"
#include "ctl/log.h"
#include "ctl/mss.h"
#include "ctl/paths.h"
#include "ctl/pin.h"
#include "ctl/offloads.h"
#include "ctl/ports.h"
#include "ctl/reserve.h"
#include "ctl/sa_numbers.h"
#include "ctl/sweep.h"
#include "ctl/timers.h"
#include "mirror/mirror.h"
#include "replay/stock.h"
#include "seq/seq.h"
#include "spd/spd.h"
#include "worker/mailbox.h"

/* With subspaces an id, and the number in it. */
static void
number_text(char *text, size_t size, uint64_t seq, const struct sa *sa)
{
	if (sa == NULL || (sa->flags & SA_SUBSPACES) == 0)
		snprintf(text, size, "number %" PRIu64, seq);
	else
		snprintf(text, size, "lane %u, number %" PRIu64,
			 (unsigned int)(seq >> LANE_ID_SHIFT), seq & LANE_SN_MAX);
}

static void
audit_log(const struct gw *gw, const struct audit_event *e)
{
	struct addr src = { .family = e->family }, dst = src;
	char from[ADDR_TEXT_SIZE] = "?", to[ADDR_TEXT_SIZE] = "?", name[SA_NAME_MAX], number[48];
	const struct sa *sa = e->sa == SA_NONE ? NULL : sa_again(&gw->sas, e->sa, e->generation);

	memcpy(src.octets, e->src, 16);
	memcpy(dst.octets, e->dst, 16);
	if (e->family != 0) {
		addr_text(&src, from);
		addr_text(&dst, to);
	}
	number_text(number, sizeof(number), e->seq, sa);
	GW_LOG(NOTICE, "audit %s: SPI 0x%x, %s, %s to %s%s%s, worker %u, at %" PRIu64 ".%03u s\n",
	       drop_names[e->reason].name, rte_be_to_cpu_32(e->spi_be), number, from, to,
	       sa != NULL ? ", SA " : "", sa != NULL ? sa_name(sa_cold(&gw->sas, e->sa), name) : "",
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
	case EVENT_STRAY:
		pin_stray(gw, &e->stray, now);
		break;
	case EVENT_UNRESOLVED:
		if (gw->resolver.unresolved != NULL)
			gw->resolver.unresolved(gw->resolver.ctx, &e->unresolved);
		break;
	case EVENT_LANE_LOW:
		reserve_low(gw, &e->lane);
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

bool
gw_is_busy(const struct gw *gw)
{
	return gw->limits_near || mirrors_are_busy(gw->mirrors);
}

void
gw_tick(struct gw *gw)
{
	uint64_t now = clock_now(&gw->clock);
	struct err err;

	defer_poll(&gw->defer, now, false);
	events_drain(gw, now);
	engines_tick(gw);
	ports_tick(gw, now);
	offloads_tick(gw);
	sa_numbers_tick(gw);
	paths_tick(gw, now);
	egress_tick(gw, now);
	mirrors_tick(gw->mirrors);
	kernel_tick(gw, now);
	if (spd_maintain(gw->spd, false, &err) < 0)
		GW_LOG(WARNING, "policies: %s\n", err.text);
	timers_dummies(gw, now);
	sweep_tick(gw, now);
	mss_tick(gw, now);
	stocks_fill(gw->stocks);
	reserve_tick(gw, now);
	pin_tick(gw, now);
	if (gw->running && now / NS_PER_SECOND != gw->last_watch) {
		gw->last_watch = now / NS_PER_SECOND;
		ports_watch(gw);
	}
}
