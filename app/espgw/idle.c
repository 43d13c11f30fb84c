#include "idle.h"

#include "ctl/gw.h"
#include "ctl/report.h"
#include "stats/cell.h"

#define ROUNDS 2 /* the first may have begun before */

/* What came in, if nothing of it is inside any more. */
static bool
is_empty(const struct gw *gw, uint64_t *taken)
{
	struct gw_totals t;

	totals_read(gw, &t);
	/* Captures end, and their time with them: what waits for an SA, or for other fragments,
	 * would wait for ever.
	 */
	if (gw->clock.kind == CLOCK_STAMPS)
		t.held -= t.waiting;
	/* What comes from the hosts of mirrors is taken in, too. */
	*taken = t.rx + t.generated[GENERATED_MIRROR];
	return t.held == 0 && !gw->paused;
}

static void
wait_anew(struct idle *idle, const struct gw *gw, uint64_t now_ms)
{
	idle->since = now_ms;
	for (uint16_t i = 0; i < gw->n_workers; i++)
		idle->loops[i] = cell_get(&gw->workers[i]->loops);
}

static bool
all_went_round(const struct idle *idle, const struct gw *gw)
{
	for (uint16_t i = 0; i < gw->n_workers; i++)
		if (cell_get(&gw->workers[i]->loops) < idle->loops[i] + ROUNDS)
			return false;
	return true;
}

bool
idle_is_over(struct idle *idle, const struct gw *gw, uint64_t now_ms)
{
	uint64_t taken;

	if (idle->after_ms == 0)
		return false;
	if (!is_empty(gw, &taken) || taken != idle->taken || idle->since == 0) {
		idle->taken = taken;
		wait_anew(idle, gw, now_ms);
		return false;
	}
	return now_ms - idle->since >= idle->after_ms && all_went_round(idle, gw);
}
