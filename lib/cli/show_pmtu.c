/* `show pmtu`: what was learnt of paths, and what was not believed. */
#include <inttypes.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/show_path.h"
#include "cli/table.h"
#include "ctl/egress.h"
#include "ctl/paths.h"

#define PATHS_SHOWN 1000 /* at once */
#define MS	    UINT64_C(1000000)

static uint64_t
seconds_left(const struct gw *gw, uint64_t until)
{
	uint64_t now = clock_now(&gw->clock);

	return until > now ? (until - now + NS_PER_SECOND - 1) / NS_PER_SECOND : 0;
}

static void
out_show(struct form *f, const struct gw *gw, uint32_t sa)
{
	const struct sa *hot = sa_at(&gw->sas, sa);
	struct pmtu_view view;

	form_u64(f, "path_mtu", paths_outer(gw, sa, hot->next_hop));
	if (!pmtu_of_sa(paths_of(gw), sa, &view)) {
		form_text(f, "path_mtu_from", pmtu_source_names[PMTU_CONFIGURED]);
		return;
	}
	form_text(f, "path_mtu_from", pmtu_source_names[view.source]);
	if (view.mtu != 0 && view.until != 0)
		form_u64(f, "path_mtu_seconds", seconds_left(gw, view.until));
	if (view.probing != PROBER_OFF)
		form_text(f, "probing", pmtu_prober_names[view.probing]);
}

static void
in_show(struct form *f, const struct gw *gw, uint32_t sa)
{
	struct egress_view view;

	if (!egress_of_sa(gw, sa, &view))
		return;
	form_object(f, "fragments");
	form_u64(f, "datagrams", view.datagrams);
	form_u64(f, "frag_max", view.frag_max);
	form_u64(f, "whole_max", view.whole_max);
	form_u64(f, "reassembled_max", view.reassembled_max);
	form_u64(f, "events", view.told);
	form_u64(f, "toobig", view.toobig);
	form_u64(f, "toobig_max", view.toobig_max);
	form_u64(f, "toobig_events", view.toobig_told);
	form_end(f);
}

void
path_show(struct form *f, const struct gw *gw, uint32_t sa)
{
	if ((sa_at(&gw->sas, sa)->flags & SA_INBOUND) != 0)
		in_show(f, gw, sa);
	else
		out_show(f, gw, sa);
}

static void
counts_print(const struct pmtu *p, FILE *out)
{
	for (int i = 0; i < PMTU_COUNT_MAX; i++)
		fprintf(out, "%-22s %14" PRIu64 "  %s\n", pmtu_count_names[i].name,
			pmtu_counted(p, i), pmtu_count_names[i].help);
}

static void
path_print(const struct gw *gw, const struct pmtu_view *v, FILE *out)
{
	char src[ADDR_TEXT_SIZE], dst[ADDR_TEXT_SIZE], udp[32] = "", left[32] = "";

	if (v->udp_dst != 0)
		snprintf(udp, sizeof(udp), ", UDP %u > %u", v->udp_src, v->udp_dst);
	if (v->mtu != 0 && v->until != 0)
		snprintf(left, sizeof(left), ", for %" PRIu64 " s", seconds_left(gw, v->until));
	fprintf(out, "%s > %s%s: ", addr_text(&v->src, src), addr_text(&v->dst, dst), udp);
	if (v->mtu == 0)
		fputs("nothing learnt", out);
	else
		fprintf(out, "MTU %u (%s)%s", v->mtu, pmtu_source_names[v->source], left);
	if (v->probing != PROBER_OFF)
		fprintf(out, "; probing: %s, round trip %" PRIu64 ".%03u ms",
			pmtu_prober_names[v->probing], v->rtt / MS,
			(unsigned int)(v->rtt / 1000 % 1000));
	fputc('\n', out);
}

static void
print_text(const struct gw *gw, FILE *out)
{
	const struct pmtu *p = paths_of(gw);
	uint32_t cursor = 0, n = 0;
	struct pmtu_view view;

	fprintf(out, "%u path%s of which something is known or probed\n", pmtu_paths(p),
		pmtu_paths(p) == 1 ? "" : "s");
	for (; n < PATHS_SHOWN && pmtu_next(p, &cursor, &view); n++)
		path_print(gw, &view, out);
	if (n < pmtu_paths(p))
		fprintf(out, "and %u more\n", pmtu_paths(p) - n);
	counts_print(p, out);
}

static void
path_json(const struct gw *gw, const struct pmtu_view *v, struct json *j)
{
	char text[ADDR_TEXT_SIZE];

	json_object(j, NULL);
	json_string(j, "src", addr_text(&v->src, text));
	json_string(j, "dst", addr_text(&v->dst, text));
	if (v->udp_dst != 0) {
		json_u64(j, "udp_src", v->udp_src);
		json_u64(j, "udp_dst", v->udp_dst);
	}
	if (v->mtu != 0) {
		json_u64(j, "mtu", v->mtu);
		json_string(j, "from", pmtu_source_names[v->source]);
	}
	if (v->mtu != 0 && v->until != 0)
		json_u64(j, "seconds", seconds_left(gw, v->until));
	if (v->probing != PROBER_OFF) {
		json_string(j, "probing", pmtu_prober_names[v->probing]);
		json_u64(j, "rtt_us", v->rtt / 1000);
	}
	json_end(j);
}

static void
print_json(const struct gw *gw, FILE *out)
{
	const struct pmtu *p = paths_of(gw);
	uint32_t cursor = 0;
	struct pmtu_view view;
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_u64(&j, "n_paths", pmtu_paths(p));
	json_array(&j, "paths");
	for (uint32_t n = 0; n < PATHS_SHOWN && pmtu_next(p, &cursor, &view); n++)
		path_json(gw, &view, &j);
	json_end(&j);
	json_object(&j, "counters");
	for (int i = 0; i < PMTU_COUNT_MAX; i++)
		json_u64(&j, pmtu_count_names[i].name, pmtu_counted(p, i));
	json_end(&j);
	json_end(&j);
	fputc('\n', out);
}

int
show_pmtu(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	if (json)
		print_json(cli->gw, out);
	else
		print_text(cli->gw, out);
	return 0;
}
