#include "ctl/counts.h"

#include <errno.h>
#include <stdlib.h>

#include "crypto/crypto.h"
#include "ctl/paths.h"
#include "ctl/report.h"
#include "mirror/mirror.h"
#include "pipe/handoff.h"
#include "port/port.h"
#include "spd/spd.h"

/* A row a cell, or an array of cells. */
#define CELLS(X)                                    \
	X(loops, 1, &w->loops)                      \
	X(busy_loops, 1, &w->busy_loops)            \
	X(rx, 1, &w->rx_packets)                    \
	X(tx, 1, &w->tx_packets)                    \
	X(given, 1, &w->handoff->given)             \
	X(taken, 1, &w->handoff->taken)             \
	X(drops, DROP_MAX, w->drops)                \
	X(consumed, CONSUMED_MAX, w->consumed)      \
	X(generated, GENERATED_MAX, w->generated)   \
	X(stage_bursts, STAGE_MAX, w->stage_bursts) \
	X(stage_packets, STAGE_MAX, w->stage_packets)

static void
read_all(const struct worker *w, struct worker_counts *c)
{
	struct spd_flow_counts flows;

#define X(field, n, cells)                   \
	for (unsigned int i = 0; i < n; i++) \
		((uint64_t *)&c->field)[i] = cell_get(&(cells)[i]);
	CELLS(X)
#undef X
	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		c->given_to[i] = c->taken_from[i] = 0;
		for (int way = 0; way < HANDOFF_WAYS; way++) {
			c->given_to[i] += cell_get(&w->handoff->way[way].given[i]);
			c->taken_from[i] += cell_get(&w->handoff->way[way].taken[i]);
		}
	}
	spd_worker_counts(w->spd, &flows);
	c->flow_hits = flows.hits;
	c->flow_misses = flows.misses;
	c->bounced = crypto_bounced(w->crypto);
}

/* Control has no worker: of these only what it takes from the workers and what mirrors count. */
static void
read_control(const struct gw *gw, struct worker_counts *c)
{
	*c = (struct worker_counts) { 0 };
	mirrors_counts_add(gw->mirrors, c->drops, c->consumed, c->generated);
	paths_counts_add(gw, c->consumed);
}

static void
read_index(const struct gw *gw, uint16_t worker, struct worker_counts *c)
{
	if (worker == gw->n_workers)
		read_control(gw, c);
	else
		read_all(gw->workers[worker], c);
}

void
worker_counts_read(const struct gw *gw, uint16_t worker, struct worker_counts *c)
{
	const uint64_t *before;

	read_index(gw, worker, c);
	if (gw->cleared == NULL)
		return;
	before = (const uint64_t *)&gw->cleared[worker];
	for (size_t i = 0; i < sizeof(*c) / sizeof(uint64_t); i++)
		((uint64_t *)c)[i] -= before[i];
}

int
gw_clear(struct gw *gw, struct err *err)
{
	if (gw->cleared == NULL)
		gw->cleared = calloc(gw->n_workers + 1, sizeof(gw->cleared[0]));
	if (gw->cleared == NULL)
		return err_set(err, -ENOMEM, "no memory to remember the counters");
	for (uint16_t i = 0; i <= gw->n_workers; i++)
		read_index(gw, i, &gw->cleared[i]);
	totals_read(gw, &gw->baseline);
	ports_clear(gw->ports);
	return 0;
}
