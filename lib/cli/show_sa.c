#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/form.h"
#include "cli/table.h"
#include "ctl/gw.h"
#include "ctl/report.h"
#include "replay/replay.h"
#include "seq/seq.h"

#define SUITE_TEXT 64

/* One SA with all that belongs to it. */
struct shown {
	const struct gw *gw;
	const struct conf_sa *conf;
	const struct sa *sa;
	const struct sa_cold *cold;
	struct sa_counts counts;
	bool inbound;
};

static void
find(const struct gw *gw, uint32_t i, struct shown *s)
{
	uint32_t index = gw->sa_books[i].index;

	*s = (struct shown) {
		.gw = gw,
		.conf = &gw->conf->sas[i],
		.sa = sa_at(&gw->sas, index),
		.cold = sa_cold(&gw->sas, index),
	};
	s->inbound = (s->sa->flags & SA_INBOUND) != 0;
	sa_counts_read(gw, i, &s->counts);
}

/* Whether packets still pass, and if not, why; as sa_pick and replay_check judge. */
static const char *
state_of(const struct shown *s)
{
	if (__atomic_load_n(&s->sa->state, __ATOMIC_RELAXED) == SA_EXPIRED ||
	    s->counts.packets >= s->sa->packets_end || s->counts.bytes >= s->sa->bytes_end)
		return "expired";
	if (!s->inbound && lane_used(s->sa->lane) >= s->sa->seq_end)
		return "exhausted";
	return "live";
}

/* Out: the last number used; in: the highest accepted. */
static uint64_t
number_of(const struct shown *s)
{
	return s->inbound ? replay_top(s->sa->window) : lane_used(s->sa->lane);
}

static const char *
direction_of(const struct shown *s)
{
	return s->inbound ? "in" : "out";
}

static void
lifetime_show(struct form *f, const struct shown *s)
{
	const struct sa_lifetime *l = &s->cold->lifetime;
	const struct {
		const char *name;
		uint64_t value;
	} limits[] = {
		{ "soft_packets", l->soft_packets }, { "hard_packets", l->hard_packets },
		{ "soft_bytes", l->soft_bytes },     { "hard_bytes", l->hard_bytes },
		{ "soft_seconds", l->soft_seconds }, { "hard_seconds", l->hard_seconds },
	};

	form_object(f, "lifetime");
	form_u64(f, "age_seconds", (clock_now(&s->gw->clock) - s->cold->created) / NS_PER_SECOND);
	for (size_t i = 0; i < RTE_DIM(limits); i++)
		if (limits[i].value != 0)
			form_u64(f, limits[i].name, limits[i].value);
	form_end(f);
}

static void
drops_show(struct form *f, const uint64_t drops[DROP_MAX])
{
	form_object(f, "drops");
	for (unsigned int why = DROP_NONE + 1; why < DROP_MAX; why++)
		if (drops[why] != 0)
			form_u64(f, drop_names[why].name, drops[why]);
	form_end(f);
}

static void
numbers_show(struct form *f, const struct shown *s)
{
	if (s->inbound) {
		form_u64(f, "replay_top", number_of(s));
		form_u64(f, "replay_window", s->sa->window->window);
		return;
	}
	form_u64(f, "last_number", number_of(s));
	form_u64(f, "mtu", __atomic_load_n(&s->sa->mtu, __ATOMIC_RELAXED));
}

static void
whole_show(struct form *f, const struct shown *s)
{
	char text[ADDR_TEXT_SIZE], suite[SUITE_TEXT], spi[16];

	snprintf(spi, sizeof(spi), "0x%08x", s->cold->spi);
	suite_name(&s->sa->suite, suite, sizeof(suite));
	form_text(f, "name", s->cold->name);
	form_text(f, "direction", direction_of(s));
	form_text(f, "state", state_of(s));
	form_text(f, "spi", spi);
	form_text(f, "mode", (s->sa->flags & SA_TRANSPORT) != 0 ? "transport" : "tunnel");
	form_text(f, "src", addr_text(&s->cold->src, text));
	form_text(f, "dst", addr_text(&s->cold->dst, text));
	if ((s->sa->flags & SA_UDP) != 0) {
		form_u64(f, "udp_src", s->conf->encap.ports[0]);
		form_u64(f, "udp_dst", s->conf->encap.ports[1]);
	}
	form_text(f, "algorithm", suite);
	form_u64(f, "icv_octets", s->sa->suite.icv_len);
	form_bool(f, "implicit_iv", s->sa->suite.implicit_iv);
	form_bool(f, "esn", s->sa->suite.esn);
	form_text(f, "engine", s->gw->engines[s->sa->engine]->name);
	form_u64(f, "worker", s->sa->owner);
	numbers_show(f, s);
	form_u64(f, "packets", s->counts.packets);
	form_u64(f, "bytes", s->counts.bytes);
	lifetime_show(f, s);
	drops_show(f, s->counts.drops);
}

static void
row_print(FILE *out, const struct shown *s)
{
	char src[ADDR_TEXT_SIZE], dst[ADDR_TEXT_SIZE], suite[SUITE_TEXT];
	uint64_t drops = 0;

	suite_name(&s->sa->suite, suite, sizeof(suite));
	for (unsigned int why = DROP_NONE + 1; why < DROP_MAX; why++)
		drops += s->counts.drops[why];
	fprintf(out,
		"%-20s %-3s %-9s 0x%08x %-9s %-27s %-9s %6u %16" PRIu64 " %14" PRIu64 " %16" PRIu64
		" %10" PRIu64 "  %s > %s\n",
		s->cold->name, direction_of(s), state_of(s), s->cold->spi,
		(s->sa->flags & SA_TRANSPORT) != 0 ? "transport" : "tunnel", suite,
		s->gw->engines[s->sa->engine]->name, s->sa->owner, number_of(s), s->counts.packets,
		s->counts.bytes, drops, addr_text(&s->cold->src, src),
		addr_text(&s->cold->dst, dst));
}

static void
all_print(const struct gw *gw, FILE *out)
{
	struct shown s;

	fprintf(out, "%-20s %-3s %-9s %-10s %-9s %-27s %-9s %6s %16s %14s %16s %10s  %s\n", "SA",
		"dir", "state", "SPI", "mode", "algorithm", "engine", "worker", "number", "packets",
		"bytes", "dropped", "addresses");
	for (uint32_t i = 0; i < gw->conf->n_sas; i++) {
		find(gw, i, &s);
		row_print(out, &s);
	}
}

static void
all_json(const struct gw *gw, FILE *out)
{
	struct shown s;
	struct form f;

	form_init(&f, out, true);
	json_array(&f.json, "sas");
	for (uint32_t i = 0; i < gw->conf->n_sas; i++) {
		find(gw, i, &s);
		json_object(&f.json, NULL);
		whole_show(&f, &s);
		json_end(&f.json);
	}
	json_end(&f.json);
	form_done(&f);
}

int
show_sa(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	const struct gw *gw = cli->gw;
	struct shown s;
	struct form f;

	if (args->n == 0) {
		(json ? all_json : all_print)(gw, out);
		return 0;
	}
	for (uint32_t i = 0; i < gw->conf->n_sas; i++) {
		if (strcmp(gw->conf->sas[i].name, args->words[0]) != 0)
			continue;
		find(gw, i, &s);
		form_init(&f, out, json);
		whole_show(&f, &s);
		form_done(&f);
		return 0;
	}
	return err_set(err, -ENOENT, "there is no SA %.60s: see show sa", args->words[0]);
}
