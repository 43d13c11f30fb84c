#include "ctl/report.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "crypto/crypto.h"
#include "ctl/engines.h"
#include "ctl/offloads.h"
#include "ctl/paths.h"
#include "frag/reasm.h"
#include "hold/hold.h"
#include "iptfs/iptfs.h"
#include "mirror/mirror.h"
#include "numbers/numbers.h"
#include "pipe/engines.h"
#include "pipe/handoff.h"
#include "port/port.h"
#include "punt/punt.h"
#include "seq/seq.h"
#include "worker/mailbox.h"

static void
sum(uint64_t *into, const uint64_t *cells, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		into[i] += cell_get(&cells[i]);
}

void
totals_read(const struct gw *gw, struct gw_totals *t)
{
	*t = (struct gw_totals) { .held = handoff_held(gw->workers, gw->n_workers) };
	for (uint16_t i = 0; i < gw->n_workers; i++) {
		const struct worker *w = gw->workers[i];

		t->rx += cell_get(&w->rx_packets);
		t->tx += cell_get(&w->tx_packets);
		t->split += cell_get(&w->split);
		t->merged += cell_get(&w->merged);
		t->waiting += hold_held(w) + frag_held(w) + iptfs_held(w);
		t->held += port_held(w) + hold_held(w) + punt_held(w->punt) + frag_held(w) +
			   iptfs_held(w) + engines_held(w);
		t->audits_lost += mailbox_lost(w);
		sum(t->drops, w->drops, DROP_MAX);
		sum(t->consumed, w->consumed, CONSUMED_MAX);
		sum(t->generated, w->generated, GENERATED_MAX);
	}
	mirrors_counts_add(gw->mirrors, t->drops, t->consumed, t->generated);
	paths_counts_add(gw, t->consumed);
}

static void
subtract(uint64_t *from, const uint64_t *what, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		from[i] -= what[i];
}

void
totals_since_clear(const struct gw *gw, struct gw_totals *t)
{
	const struct gw_totals *b = &gw->baseline;

	totals_read(gw, t);
	t->rx -= b->rx;
	t->tx -= b->tx;
	t->split -= b->split;
	t->merged -= b->merged;
	t->audits_lost -= b->audits_lost;
	subtract(t->drops, b->drops, DROP_MAX);
	subtract(t->consumed, b->consumed, CONSUMED_MAX);
	subtract(t->generated, b->generated, GENERATED_MAX);
}

void
sa_drops_add(const struct gw *gw, uint32_t index, uint32_t generation, uint64_t drops[DROP_MAX])
{
	for (uint16_t i = 0; i < gw->n_workers; i++)
		for (unsigned int why = DROP_NONE + 1; why < DROP_MAX; why++)
			drops[why] += sparse_get(gw->workers[i]->sparse, index, generation, why);
}

uint32_t
sa_next_of_daemons(const struct gw *gw, uint32_t from)
{
	for (uint32_t i = slab_next(&gw->sas.records, from); i != SA_NONE;
	     i = slab_next(&gw->sas.records, i + 1)) {
		const struct sa_cold *cold = sa_cold(&gw->sas, i);

		if (cold->origin.from == SA_FROM_DAEMON && !cold->ended)
			return i;
	}
	return SA_NONE;
}

void
sa_counts_read(const struct gw *gw, uint32_t index, struct sa_counts *c)
{
	const struct sa_origin *origin = &sa_cold(&gw->sas, index)->origin;
	const struct sa *sa = sa_at(&gw->sas, index);

	struct numbers_counts counts;

	numbers_count(sa_cold(&gw->sas, index)->numbers, &counts);
	*c = (struct sa_counts) { .packets = counts.packets, .bytes = counts.bytes };
	for (unsigned int why = 0; origin->from == SA_FROM_FILE && why < DROP_MAX; why++)
		c->drops[why] = gw->sa_books[origin->record].drops[why];
	sa_drops_add(gw, index, sa->generation, c->drops);
}

uint64_t
cells_total(const uint64_t *cells, unsigned int n)
{
	uint64_t all = 0;

	for (unsigned int i = 0; i < n; i++)
		all += cells[i];
	return all;
}

bool
totals_balance(const struct gw_totals *t)
{
	return t->rx + cells_total(t->generated, GENERATED_MAX) + t->split ==
	       t->tx + cells_total(t->consumed, CONSUMED_MAX) + t->held +
		       cells_total(t->drops, DROP_MAX) + t->merged;
}

static void
drops_json(struct json *j, const uint64_t drops[DROP_MAX])
{
	json_object(j, "drops");
	for (unsigned int why = DROP_NONE + 1; why < DROP_MAX; why++)
		if (drops[why] != 0)
			json_u64(j, drop_names[why].name, drops[why]);
	json_end(j);
}

static void
ports_json(const struct gw *gw, struct json *j)
{
	json_object(j, "ports");
	for (uint8_t i = 0; i < gw->ports->n; i++) {
		struct port_counters c = port_counters(gw->ports, i);

		json_object(j, gw->ports->list[i]->link.name);
		json_u64(j, "rx_packets", c.rx_packets);
		json_u64(j, "rx_bytes", c.rx_bytes);
		json_u64(j, "tx_packets", c.tx_packets);
		json_u64(j, "tx_bytes", c.tx_bytes);
		json_end(j);
	}
	json_end(j);
}

static void
offload_json(const struct gw *gw, uint32_t index, struct json *j)
{
	struct offload_state o;

	if (!offloads_state(gw, index, &o))
		return;
	json_object(j, "offload");
	json_string(j, "port", o.port);
	json_string(j, "kind", offload_kind_name(o.kind));
	json_bool(j, "active", o.active);
	json_u64(j, "packets", o.counts.packets);
	json_u64(j, "octets", o.counts.octets);
	json_u64(j, "errors", o.counts.errors);
	json_end(j);
}

static void
sa_json(void *ctx, const struct gw *gw, uint32_t index, const char *name, const struct sa_counts *c)
{
	const char *device = engines_device_of(gw, index);
	struct json *j = ctx;

	json_object(j, name);
	json_u64(j, "packets", c->packets);
	json_u64(j, "bytes", c->bytes);
	drops_json(j, c->drops);
	json_string(j, "engine", gw->engines[crypto_chosen(sa_at(&gw->sas, index)->engine)]->name);
	if (device != NULL)
		json_string(j, "device", device);
	offload_json(gw, index, j);
	json_end(j);
}

/* Which SA indices ever had a drop, a bit each; NULL: no memory. To be freed. */
static uint64_t *
droppers(const struct gw *gw)
{
	uint64_t *bits = calloc(gw->sas.records.max / 64 + 1, sizeof(*bits));
	uint32_t sa;

	for (uint16_t i = 0; bits != NULL && i < gw->n_workers; i++)
		for (uint32_t at = 0; sparse_next(gw->workers[i]->sparse, &at, &sa);)
			if (sa < gw->sas.records.max)
				bits[sa / 64] |= UINT64_C(1) << sa % 64;
	return bits;
}

/* The SAs of the file, and of the daemons' those that dropped something. Returns how many are left
 * out.
 */
static uint32_t
sas_each(const struct gw *gw,
	 void (*tell)(void *ctx, const struct gw *gw, uint32_t index, const char *name,
		      const struct sa_counts *c),
	 void *ctx)
{
	uint64_t *bits = droppers(gw);
	uint32_t omitted = 0;
	struct sa_counts c;
	char name[SA_NAME_MAX];

	for (uint32_t i = 0; i < gw->conf->n_sas; i++) {
		sa_counts_read(gw, gw->sa_books[i].index, &c);
		tell(ctx, gw, gw->sa_books[i].index, gw->conf->sas[i].name, &c);
	}
	for (uint32_t i = sa_next_of_daemons(gw, 0); i != SA_NONE;
	     i = sa_next_of_daemons(gw, i + 1)) {
		bool look = bits == NULL || (bits[i / 64] >> i % 64 & 1) != 0;

		if (look)
			sa_counts_read(gw, i, &c);
		if (look && cells_total(c.drops, DROP_MAX) != 0)
			tell(ctx, gw, i, sa_name(sa_cold(&gw->sas, i), name), &c);
		else
			omitted++;
	}
	free(bits);
	return omitted;
}

static void
sas_json(const struct gw *gw, struct json *j)
{
	uint32_t omitted;

	json_object(j, "sas");
	omitted = sas_each(gw, sa_json, j);
	json_end(j);
	json_u64(j, "sas_omitted", omitted);
}

static void
causes_json(struct json *j, const char *key, const uint64_t *cells, const struct stat_name *names,
	    unsigned int n)
{
	json_object(j, key);
	for (unsigned int i = 0; i < n; i++)
		if (cells[i] != 0)
			json_u64(j, names[i].name, cells[i]);
	json_end(j);
}

void
report_json(const struct gw *gw, FILE *f)
{
	struct gw_totals t;
	struct json j;

	totals_read(gw, &t);
	json_init(&j, f);
	json_object(&j, NULL);
	ports_json(gw, &j);
	sas_json(gw, &j);
	drops_json(&j, t.drops);
	json_u64(&j, "rx", t.rx);
	json_u64(&j, "tx", t.tx);
	json_u64(&j, "generated", cells_total(t.generated, GENERATED_MAX));
	json_u64(&j, "split", t.split);
	json_u64(&j, "merged", t.merged);
	json_u64(&j, "consumed", cells_total(t.consumed, CONSUMED_MAX));
	json_u64(&j, "held", t.held);
	json_u64(&j, "dropped", cells_total(t.drops, DROP_MAX));
	causes_json(&j, "generated_by", t.generated, generated_names, GENERATED_MAX);
	causes_json(&j, "consumed_by", t.consumed, consumed_names, CONSUMED_MAX);
	engines_json(gw, &j);
	offloads_json(gw, PORT_NONE, &j);
	json_end(&j);
	fputc('\n', f);
	fflush(f);
}

static void
causes_print(FILE *f, const char *what, const uint64_t *cells, const struct stat_name *names,
	     unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (cells[i] != 0)
			fprintf(f, "  %-9s %-18s %14" PRIu64 "  %s\n", what, names[i].name,
				cells[i], names[i].help);
}

static void
sa_print(void *ctx, const struct gw *gw, uint32_t index, const char *name,
	 const struct sa_counts *c)
{
	FILE *f = ctx;

	fprintf(f, "%-18s %14" PRIu64 " %16" PRIu64, name, c->packets, c->bytes);
	for (unsigned int why = DROP_NONE + 1; why < DROP_MAX; why++)
		if (c->drops[why] != 0)
			fprintf(f, "  %s %" PRIu64, drop_names[why].name, c->drops[why]);
	fputc('\n', f);
}

void
report_print(const struct gw *gw, FILE *f)
{
	struct gw_totals t;
	uint32_t omitted;

	totals_read(gw, &t);
	fprintf(f, "%-18s %14s %16s %14s %16s\n", "port", "rx packets", "rx bytes", "tx packets",
		"tx bytes");
	for (uint8_t i = 0; i < gw->ports->n; i++) {
		struct port_counters c = port_counters(gw->ports, i);

		fprintf(f, "%-18s %14" PRIu64 " %16" PRIu64 " %14" PRIu64 " %16" PRIu64 "\n",
			gw->ports->list[i]->link.name, c.rx_packets, c.rx_bytes, c.tx_packets,
			c.tx_bytes);
	}
	fprintf(f, "%-18s %14s %16s  %s\n", "SA", "packets", "bytes", "dropped");
	omitted = sas_each(gw, sa_print, f);
	if (omitted != 0)
		fprintf(f, "  and %u SAs of daemons without drops\n", omitted);
	fprintf(f,
		"rx %" PRIu64 " + generated %" PRIu64 " + split %" PRIu64 " = tx %" PRIu64
		" + consumed %" PRIu64 " + held %" PRIu64 " + dropped %" PRIu64 " + merged %" PRIu64
		"%s\n",
		t.rx, cells_total(t.generated, GENERATED_MAX), t.split, t.tx,
		cells_total(t.consumed, CONSUMED_MAX), t.held, cells_total(t.drops, DROP_MAX),
		t.merged, totals_balance(&t) ? "" : "  (moving)");
	causes_print(f, "dropped", t.drops, drop_names, DROP_MAX);
	causes_print(f, "consumed", t.consumed, consumed_names, CONSUMED_MAX);
	causes_print(f, "generated", t.generated, generated_names, GENERATED_MAX);
	fflush(f);
}

void
report_line(const struct gw *gw, FILE *f)
{
	struct gw_totals t;

	totals_since_clear(gw, &t);
	fprintf(f,
		"rx %" PRIu64 " tx %" PRIu64 " dropped %" PRIu64 " consumed %" PRIu64
		" held %" PRIu64 "\n",
		t.rx, t.tx, cells_total(t.drops, DROP_MAX), cells_total(t.consumed, CONSUMED_MAX),
		t.held);
	fflush(f);
}
