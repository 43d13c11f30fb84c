#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/form.h"
#include "cli/show_choice.h"
#include "cli/show_engine.h"
#include "cli/show_lanes.h"
#include "cli/show_path.h"
#include "cli/table.h"
#include "crypto/crypto.h"
#include "ctl/gw.h"
#include "ctl/pin.h"
#include "ctl/report.h"
#include "numbers/numbers.h"
#include "replay/replay.h"

#define SUITE_TEXT 64

/* One SA with all that belongs to it. */
struct shown {
	const struct gw *gw;
	uint32_t index;
	const struct sa *sa;
	const struct sa_cold *cold;
	struct sa_counts counts;
	struct sa_owner_text owner; /* of a daemon's */
	char name[SA_NAME_MAX];
	bool inbound;
};

static bool
is_of_daemon(const struct shown *s)
{
	return s->cold->origin.from == SA_FROM_DAEMON;
}

static void
find(const struct gw *gw, uint32_t index, struct shown *s)
{
	*s = (struct shown) {
		.gw = gw,
		.index = index,
		.sa = sa_at(&gw->sas, index),
		.cold = sa_cold(&gw->sas, index),
	};
	s->inbound = (s->sa->flags & SA_INBOUND) != 0;
	sa_name(s->cold, s->name);
	sa_counts_read(gw, index, &s->counts);
	if (is_of_daemon(s) && gw->hooks.describe != NULL)
		gw->hooks.describe(gw->hooks.ctx, index, &s->owner);
}

bool
sa_next_shown(const struct gw *gw, uint32_t *at, uint32_t *index)
{
	uint32_t n = gw->conf->n_sas;

	if (*at < n) {
		*index = gw->sa_books[(*at)++].index;
		return true;
	}
	*index = sa_next_of_daemons(gw, *at - n);
	*at = n + *index + 1;
	return *index != SA_NONE;
}

static uint64_t
number_of(const struct shown *s)
{
	return lanes_number(s->sa, s->cold);
}

static bool
is_over(uint64_t limit, uint64_t value)
{
	return limit != 0 && value >= limit;
}

/* Whether packets still pass, and if not, why; as sa_pick and replay_check judge. */
static const char *
state_of(const struct shown *s)
{
	if (__atomic_load_n(&s->sa->state, __ATOMIC_RELAXED) == SA_EXPIRED ||
	    is_over(sa_hard_packets(&s->sa->suite, s->cold->lifetime), s->counts.packets) ||
	    is_over(s->cold->lifetime->hard_bytes, s->counts.bytes))
		return "expired";
	if (!s->inbound && numbers_spent(s->cold->numbers))
		return "exhausted";
	return "live";
}

static const char *
direction_of(const struct shown *s)
{
	return s->inbound ? "in" : "out";
}

static void
lifetime_show(struct form *f, const struct shown *s)
{
	const struct sa_lifetime *l = s->cold->lifetime;
	const struct {
		const char *name;
		uint64_t value;
	} limits[] = {
		{ "soft_packets", l->soft_packets },
		{ "hard_packets", l->hard_packets },
		{ "soft_bytes", l->soft_bytes },
		{ "hard_bytes", l->hard_bytes },
		{ "soft_seconds", l->soft_seconds },
		{ "hard_seconds", l->hard_seconds },
		{ "soft_use_seconds", l->soft_use_seconds },
		{ "hard_use_seconds", l->hard_use_seconds },
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
		form_u64(f, "replay_window", lanes_window(s->sa));
		form_bool(f, "esp_ping", (s->sa->flags & SA_ECHO) != 0);
		return;
	}
	form_u64(f, "last_number", number_of(s));
	form_u64(f, "mtu", __atomic_load_n(&s->sa->mtu, __ATOMIC_RELAXED));
}

static void
udp_show(struct form *f, const struct shown *s)
{
	uint16_t src, dst;

	if ((s->sa->flags & SA_UDP) == 0)
		return;
	sa_udp_ports(s->sa, &src, &dst);
	form_u64(f, "udp_src", src);
	form_u64(f, "udp_dst", dst);
}

static void
origin_show(struct form *f, const struct shown *s)
{
	if (!is_of_daemon(s)) {
		form_text(f, "origin", "file");
		return;
	}
	form_text(f, "origin", s->owner.origin);
	form_u64(f, "reqid", s->owner.reqid);
	if (s->owner.orphan_seconds != 0)
		form_u64(f, "orphan_seconds", s->owner.orphan_seconds);
}

/* What it is among several of one policy: the file's own words, or a daemon's. */
static void
place_show(struct form *f, const struct shown *s)
{
	const struct conf_sa *c =
		is_of_daemon(s) ? NULL : &s->gw->conf->sas[s->cold->origin.record];
	bool bundled = c != NULL ? c->bundle.on : s->owner.of_worker;
	uint32_t worker = c != NULL ? c->bundle.worker : s->owner.worker;
	uint64_t dscp = c != NULL ? c->dscp_set : s->owner.dscp;
	char text[CLASSES_TEXT];

	if (bundled) {
		form_object(f, "bundle");
		if (c != NULL)
			form_text(f, "name", c->bundle.name);
		if (worker == CONF_WORKER_FALLBACK)
			form_text(f, "worker", "fallback");
		else
			form_u64(f, "worker", worker);
		form_end(f);
	}
	if (dscp != 0 && f->as_json)
		classes_json(&f->json, "dscp_set", dscp);
	else if (dscp != 0)
		form_text(f, "dscp_set", classes_text(dscp, text));
}

static void
pinned_show(struct form *f, const struct shown *s)
{
	char why[PIN_WHY_SIZE];
	const char *how = pin_how(s->gw, s->index, why);

	if (how != NULL)
		form_text(f, "pinned", how);
	if (why[0] != 0)
		form_text(f, "no_rule", why);
}

static const char *
mode_of(const struct sa *sa)
{
	if ((sa->flags & SA_BEET) != 0)
		return "beet";
	if ((sa->flags & SA_IPTFS) != 0)
		return "iptfs";
	return (sa->flags & SA_TRANSPORT) != 0 ? "transport" : "tunnel";
}

/* In a column. */
static const char *
shape_of(const struct sa *sa)
{
	if ((sa->flags & SA_AH) == 0)
		return mode_of(sa);
	return (sa->flags & SA_TRANSPORT) != 0 ? "ah/transp" : "ah/tunnel";
}

static void
inner_show(struct form *f, const struct sa *sa)
{
	const struct sa_more *more = sa_more(sa);
	char text[ADDR_TEXT_SIZE];
	struct addr a = { 0 };

	if ((sa->flags & SA_BEET) == 0)
		return;
	a.family = more->inner.v6 ? 6 : 4;
	form_object(f, "inner");
	memcpy(a.octets, more->inner.src, sizeof(a.octets));
	form_text(f, "src", addr_text(&a, text));
	memcpy(a.octets, more->inner.dst, sizeof(a.octets));
	form_text(f, "dst", addr_text(&a, text));
	form_end(f);
}

/* Counters of its direction, those that are 0 too. */
static void
ipcomp_show(struct form *f, const struct shown *s)
{
	unsigned int from = s->inbound ? IPCOMP_COUNTS_OUT : 0;
	unsigned int to = s->inbound ? IPCOMP_COUNTS_MAX : IPCOMP_COUNTS_OUT;
	const struct ipcomp_sa *is;

	if ((s->sa->flags & SA_IPCOMP) == 0)
		return;
	is = sa_more(s->sa)->comp;
	form_object(f, "ipcomp");
	form_u64(f, "cpi", is->params.cpi);
	form_text(f, "codec", s->gw->workers[0]->ipcomp->codec->name);
	form_bool(f, "on", !ipcomp_sa_is_off(is));
	for (unsigned int i = from; i < to; i++)
		form_u64(f, ipcomp_names[i].name, ipcomp_sa_count(is, i));
	form_end(f);
}

static void
whole_show(struct form *f, const struct shown *s)
{
	char text[ADDR_TEXT_SIZE], suite[SUITE_TEXT], spi[16];

	snprintf(spi, sizeof(spi), "0x%08x", s->cold->spi);
	suite_name(&s->sa->suite, suite, sizeof(suite));
	form_text(f, "name", s->name);
	origin_show(f, s);
	form_text(f, "direction", direction_of(s));
	form_text(f, "state", state_of(s));
	form_text(f, "spi", spi);
	form_text(f, "proto", (s->sa->flags & SA_AH) != 0 ? "ah" : "esp");
	form_text(f, "mode", mode_of(s->sa));
	inner_show(f, s->sa);
	form_text(f, "src", addr_text(&s->cold->src, text));
	form_text(f, "dst", addr_text(&s->cold->dst, text));
	udp_show(f, s);
	form_text(f, "algorithm", suite);
	form_u64(f, "icv_octets", s->sa->suite.icv_len);
	form_bool(f, "implicit_iv", s->sa->suite.implicit_iv);
	form_bool(f, "esn", s->sa->suite.esn);
	engine_show(f, s->gw, s->index);
	form_u64(f, "worker", sa_owner(s->sa));
	pinned_show(f, s);
	place_show(f, s);
	numbers_show(f, s);
	path_show(f, s->gw, s->index);
	form_u64(f, "packets", s->counts.packets);
	form_u64(f, "bytes", s->counts.bytes);
	lanes_show(f, s->sa, s->cold, s->gw->n_workers);
	ipcomp_show(f, s);
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
		"%-28s %-3s %-9s 0x%08x %-9s %-27s %-9s %6u %16" PRIu64 " %14" PRIu64 " %16" PRIu64
		" %10" PRIu64 "  %s > %s",
		s->name, direction_of(s), state_of(s), s->cold->spi, shape_of(s->sa), suite,
		s->gw->engines[crypto_chosen(s->sa->engine)]->name, sa_owner(s->sa), number_of(s),
		s->counts.packets, s->counts.bytes, drops, addr_text(&s->cold->src, src),
		addr_text(&s->cold->dst, dst));
	if (is_of_daemon(s)) {
		fprintf(out, "  reqid %u, %s", s->owner.reqid, s->owner.origin);
		if (s->owner.orphan_seconds != 0)
			fprintf(out, ", orphan for %" PRIu64 " s", s->owner.orphan_seconds);
	}
	fputc('\n', out);
}

/* Where this page begins: 0, or behind what the one before has shown. */
static uint32_t
page_begin(const struct cli *cli)
{
	return cli->page != NULL ? cli->page->at : 0;
}

/* The next one of this page. */
static bool
page_next(struct cli *cli, uint32_t *at, uint32_t *n, struct shown *s)
{
	struct cli_page *page = cli->page;
	uint32_t index;

	if (page != NULL && *n == page->rows) {
		page->at = *at;
		page->more = true;
		return false;
	}
	(*n)++;
	if (!sa_next_shown(cli->gw, at, &index))
		return false;
	find(cli->gw, index, s);
	return true;
}

static void
all_print(struct cli *cli, FILE *out)
{
	uint32_t at = page_begin(cli), n = 0;
	struct shown s;

	if (at == 0)
		fprintf(out, "%-28s %-3s %-9s %-10s %-9s %-27s %-9s %6s %16s %14s %16s %10s  %s\n",
			"SA", "dir", "state", "SPI", "mode", "algorithm", "engine", "worker",
			"number", "packets", "bytes", "dropped", "addresses");
	while (page_next(cli, &at, &n, &s))
		row_print(out, &s);
}

static void
all_json(struct cli *cli, FILE *out)
{
	uint32_t at = page_begin(cli), n = 0;
	struct shown s;
	struct form f;

	if (at == 0) {
		form_init(&f, out, true);
		json_array(&f.json, "sas");
	} else {
		/* Inside what the first page began, behind one that it showed. */
		f = (struct form) {
			.out = out,
			.as_json = true,
			.json = { .out = out, .depth = 2, .more = { true, true }, .closer = "}]" }
		};
	}
	while (page_next(cli, &at, &n, &s)) {
		json_object(&f.json, NULL);
		whole_show(&f, &s);
		json_end(&f.json);
	}
	if (cli->page != NULL && cli->page->more)
		return;
	json_end(&f.json);
	form_done(&f);
}

int
show_sa(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	const struct gw *gw = cli->gw;
	uint32_t at = 0, index;
	char name[SA_NAME_MAX];
	struct shown s;
	struct form f;

	if (args->n == 0) {
		(json ? all_json : all_print)(cli, out);
		return 0;
	}
	while (sa_next_shown(gw, &at, &index)) {
		if (strcmp(sa_name(sa_cold(&gw->sas, index), name), args->words[0]) != 0)
			continue;
		find(gw, index, &s);
		form_init(&f, out, json);
		whole_show(&f, &s);
		form_done(&f);
		return 0;
	}
	return err_set(err, -ENOENT, "there is no SA %.60s: see show sa", args->words[0]);
}
