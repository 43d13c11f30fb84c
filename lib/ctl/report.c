#include "ctl/report.h"

#include <inttypes.h>

#include "base/json.h"
#include "hold/hold.h"
#include "mirror/mirror.h"
#include "pipe/handoff.h"
#include "port/port.h"
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
		t->waiting += hold_held(w);
		t->held += port_held(w) + hold_held(w);
		t->audits_lost += mailbox_lost(w);
		sum(t->drops, w->drops, DROP_MAX);
		sum(t->consumed, w->consumed, CONSUMED_MAX);
		sum(t->generated, w->generated, GENERATED_MAX);
	}
	t->held += mirrors_held(gw->mirrors);
	mirrors_counts_add(gw->mirrors, t->drops, t->consumed, t->generated);
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

void
sa_counts_read(const struct gw *gw, uint32_t book, struct sa_counts *c)
{
	const struct sa_book *b = &gw->sa_books[book];
	const struct sa *sa = sa_at(&gw->sas, b->index);

	*c = (struct sa_counts) {
		.packets = cell_get(&sa->lane->packets),
		.bytes = cell_get(&sa->lane->bytes),
	};
	for (unsigned int why = 0; why < DROP_MAX; why++)
		c->drops[why] = b->drops[why];
	sa_drops_add(gw, b->index, sa->generation, c->drops);
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
sas_json(const struct gw *gw, struct json *j)
{
	json_object(j, "sas");
	for (uint32_t i = 0; i < gw->conf->n_sas; i++) {
		struct sa_counts c;

		sa_counts_read(gw, i, &c);
		json_object(j, gw->conf->sas[i].name);
		json_u64(j, "packets", c.packets);
		json_u64(j, "bytes", c.bytes);
		drops_json(j, c.drops);
		json_end(j);
	}
	json_end(j);
	json_u64(j, "sas_omitted", 0);
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

void
report_print(const struct gw *gw, FILE *f)
{
	struct gw_totals t;

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
	for (uint32_t i = 0; i < gw->conf->n_sas; i++) {
		struct sa_counts c;

		sa_counts_read(gw, i, &c);
		fprintf(f, "%-18s %14" PRIu64 " %16" PRIu64, gw->conf->sas[i].name, c.packets,
			c.bytes);
		for (unsigned int why = DROP_NONE + 1; why < DROP_MAX; why++)
			if (c.drops[why] != 0)
				fprintf(f, "  %s %" PRIu64, drop_names[why].name, c.drops[why]);
		fputc('\n', f);
	}
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
