/* `show iptfs`: SAs with IP-TFS, what they were told and what their streams counted, by the names
 * of RFC 9348. */
#include <errno.h>
#include <string.h>

#include "aggfrag/cc.h"
#include "aggfrag/fill.h"
#include "aggfrag/split.h"
#include "base/clock.h"
#include "cli/form.h"
#include "cli/table.h"
#include "ctl/gw.h"

#define US(ns)		((ns) / 1000)
#define ETHERNET_OCTETS 38 /* of a frame and the gap behind it, that layer l2 counts */

struct shown {
	const struct gw *gw;
	const struct sa *sa;
	const struct sa_more *more;
	char name[SA_NAME_MAX];
	bool inbound;
};

static bool
find(const struct gw *gw, uint32_t index, struct shown *s)
{
	const struct sa *sa = sa_at(&gw->sas, index);

	if ((sa->flags & SA_IPTFS) == 0)
		return false;
	*s = (struct shown) { .gw = gw, .sa = sa, .more = sa_more(sa) };
	s->inbound = (sa->flags & SA_INBOUND) != 0;
	sa_name(sa_cold(&gw->sas, index), s->name);
	return true;
}

static const char *
layer_of(const struct aggfrag_params *p)
{
	return p->rate_l2 ? "l2" : "l3";
}

/* Between two packets of one lane, by the rate; 0: there is none. ns. */
static uint64_t
interval_of(const struct shown *s)
{
	uint64_t rate = aggfrag_rate(&s->more->iptfs);
	uint64_t octets = __atomic_load_n(&s->sa->out.path_mtu, __ATOMIC_RELAXED) +
			  (s->more->iptfs.rate_l2 ? ETHERNET_OCTETS : 0);

	return rate == 0 ? 0 : octets * 8 * s->sa->lanes * NS_PER_SECOND / rate;
}

/* Octets of inner packets in one outer packet. */
static uint32_t
room_of(const struct shown *s)
{
	uint32_t mtu = __atomic_load_n(&s->sa->mtu, __ATOMIC_RELAXED),
		 header = aggfrag_header_size(&s->more->iptfs);

	return mtu > header ? mtu - header : 0;
}

static bool
cc_of(const struct shown *s, struct aggfrag_cc_state *state)
{
	const struct aggfrag_params *p = &s->more->iptfs;

	if (s->inbound || s->more->fill->cc == NULL || !aggfrag_cc_is_on(p))
		return false;
	aggfrag_cc_state(s->more->fill->cc, p, state);
	return true;
}

static void
cc_show(struct form *f, const struct shown *s)
{
	const struct aggfrag_params *p = &s->more->iptfs;
	struct aggfrag_cc_state state;

	if (!cc_of(s, &state))
		return;
	if (p->congestion_control) {
		form_object(f, "cc");
		form_u64(f, "x_pps", (uint64_t)state.x_pps);
		form_u64(f, "rtt_us", state.rtt_us);
		form_u64(f, "p_inv", state.p_inv);
		form_end(f);
	}
	if (p->breaker_percent != 0) {
		form_object(f, "breaker");
		form_u64(f, "loss", p->breaker_percent);
		form_u64(f, "time_us", US(p->breaker_time));
		form_bool(f, "open", state.breaker_open);
		form_u64(f, "trips", state.breaker_trips);
		form_end(f);
	}
}

static void
out_show(struct form *f, const struct shown *s)
{
	const struct aggfrag_params *p = &s->more->iptfs;
	uint64_t rate = aggfrag_rate(p);

	form_u64(f, "rate", rate);
	if (rate != 0) {
		form_text(f, "layer", layer_of(p));
		form_u64(f, "interval_ns", interval_of(s));
	} else {
		form_u64(f, "init_delay_us", US(p->init_delay));
	}
	form_u64(f, "packet_size", __atomic_load_n(&s->sa->out.path_mtu, __ATOMIC_RELAXED));
	form_u64(f, "room", room_of(s));
	form_u64(f, "max_queue", p->max_queue);
	form_u64(f, "max_aggregation_us", US(p->max_wait));
	cc_show(f, s);
}

static void
in_show(struct form *f, const struct shown *s)
{
	const struct aggfrag_params *p = &s->more->iptfs;

	form_u64(f, "reorder_window", p->reorder_window);
	form_u64(f, "drop_time_us", US(p->drop_time));
	form_bool(f, "send_immediately", p->send_immediately);
}

static uint64_t
counts_read(const struct shown *s, uint16_t lane, uint64_t *counts)
{
	const uint64_t *cells =
		s->inbound ? s->more->split[lane].counts : s->more->fill[lane].counts;
	uint16_t n = s->inbound ? AGGFRAG_RX_MAX : AGGFRAG_TX_MAX;
	uint64_t any = 0;

	for (uint16_t i = 0; i < n; i++)
		any |= counts[i] = cell_get(&cells[i]);
	return any;
}

static void
lane_show(struct form *f, const struct shown *s, uint16_t lane, const uint64_t *counts)
{
	const struct aggfrag_name *names = s->inbound ? aggfrag_in_names : aggfrag_out_names;
	uint16_t n = s->inbound ? AGGFRAG_RX_MAX : AGGFRAG_TX_MAX;
	char label[16];

	snprintf(label, sizeof(label), "lane_%u", lane);
	if (f->as_json)
		json_object(&f->json, NULL);
	else
		form_object(f, label);
	if (f->as_json)
		form_u64(f, "lane", lane);
	form_u64(f, "worker", sa_lane_owner(s->sa, lane, s->gw->n_workers));
	if (!s->inbound) {
		const struct aggfrag_out *fill = &s->more->fill[lane];

		form_u64(f, "queue_packets", __atomic_load_n(&fill->packets, __ATOMIC_RELAXED));
		form_u64(f, "queue_octets", __atomic_load_n(&fill->octets, __ATOMIC_RELAXED));
	}
	for (uint16_t i = 0; i < n; i++)
		form_u64(f, names[i].name, counts[i]);
	form_end(f);
}

/* Those that were used; lane 0 whatever it did. */
static void
lanes_of(struct form *f, const struct shown *s)
{
	uint64_t counts[RTE_MAX((int)AGGFRAG_TX_MAX, (int)AGGFRAG_RX_MAX)];

	if (f->as_json)
		json_array(&f->json, "lanes");
	for (uint16_t i = 0; i < s->sa->lanes; i++)
		if (counts_read(s, i, counts) != 0 || i == 0)
			lane_show(f, s, i, counts);
	if (f->as_json)
		json_end(&f->json);
}

static void
whole_show(struct form *f, const struct shown *s)
{
	form_text(f, "name", s->name);
	form_text(f, "direction", s->inbound ? "in" : "out");
	form_bool(f, "congestion_control", s->more->iptfs.congestion_control);
	form_bool(f, "dont_frag", s->more->iptfs.dont_frag);
	(s->inbound ? in_show : out_show)(f, s);
	lanes_of(f, s);
}

/* What most want to know: what goes in, what goes out, and what is lost between. */
static void
row_print(FILE *out, const struct shown *s)
{
	uint64_t tx[AGGFRAG_TX_MAX] = { 0 }, rx[AGGFRAG_RX_MAX] = { 0 };

	if (s->inbound) {
		streams_counts_in(s->sa, rx);
		fprintf(out,
			"%-28s in  %14s %6s %14" PRIu64 " %14" PRIu64 " %14" PRIu64 " %12" PRIu64
			" %12" PRIu64 "\n",
			s->name, "", "", rx[AGGFRAG_RX_INNER_PKTS], rx[AGGFRAG_RX_PKTS],
			rx[AGGFRAG_RX_ALL_PAD_PKTS], rx[AGGFRAG_RX_MISSED_PKTS],
			rx[AGGFRAG_RX_INCOMPLETE_PKTS]);
		return;
	}
	streams_counts_out(s->sa, tx);
	fprintf(out,
		"%-28s out %14" PRIu64 " %6u %14" PRIu64 " %14" PRIu64 " %14" PRIu64
		" %12s %12" PRIu64 "%s\n",
		s->name, aggfrag_rate(&s->more->iptfs),
		__atomic_load_n(&s->sa->out.path_mtu, __ATOMIC_RELAXED), tx[AGGFRAG_TX_INNER_PKTS],
		tx[AGGFRAG_TX_PKTS], tx[AGGFRAG_TX_ALL_PAD_PKTS], "",
		tx[AGGFRAG_TX_QUEUE_DROPS] + tx[AGGFRAG_TX_AGED_DROPS],
		s->more->fill->cc != NULL && aggfrag_breaker_is_open(&s->more->fill->cc->breaker) ?
			"  BREAKER OPEN" :
			"");
}

/* The next one of this page. */
static bool
page_next(struct cli *cli, uint32_t *at, uint32_t *n, struct shown *s)
{
	uint32_t index;

	for (;;) {
		if (cli->page != NULL && *n == cli->page->rows) {
			cli->page->at = *at;
			cli->page->more = true;
			return false;
		}
		if (!sa_next_shown(cli->gw, at, &index))
			return false;
		if (find(cli->gw, index, s))
			break;
	}
	(*n)++;
	return true;
}

static void
all_print(struct cli *cli, FILE *out)
{
	uint32_t at = cli->page != NULL ? cli->page->at : 0, n = 0;
	struct shown s;

	if (at == 0)
		fprintf(out, "%-28s %-3s %14s %6s %14s %14s %14s %12s %12s\n", "SA", "dir", "bit/s",
			"size", "inner", "outer", "all-pad", "missed", "lost inside");
	while (page_next(cli, &at, &n, &s))
		row_print(out, &s);
}

static void
all_json(struct cli *cli, FILE *out)
{
	uint32_t at = cli->page != NULL ? cli->page->at : 0, n = 0;
	struct shown s;
	struct form f;

	form_init(&f, out, true);
	json_array(&f.json, "iptfs");
	while (page_next(cli, &at, &n, &s)) {
		json_object(&f.json, NULL);
		whole_show(&f, &s);
		json_end(&f.json);
	}
	json_end(&f.json);
	form_done(&f);
}

int
show_iptfs(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	uint32_t index;
	struct shown s;
	struct form f;

	if (args->n == 0) {
		struct cli_page *page = cli->page;

		/* JSON comes as one. */
		if (json)
			cli->page = NULL;
		(json ? all_json : all_print)(cli, out);
		cli->page = page;
		return 0;
	}
	index = sa_by_name(cli->gw, args->words[0]);
	if (index == SA_NONE)
		return err_set(err, -ENOENT, "there is no SA %.60s: see show sa", args->words[0]);
	if (!find(cli->gw, index, &s))
		return err_set(err, -EINVAL, "SA %s has no IP-TFS: see show sa %s", args->words[0],
			       args->words[0]);
	form_init(&f, out, json);
	whole_show(&f, &s);
	form_done(&f);
	return 0;
}
