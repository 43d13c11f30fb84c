#include "cli/form.h"
#include "cli/show_choice.h"
#include "cli/table.h"
#include "conf/net.h"
#include "ctl/policies.h"
#include "spd/spd.h"

static const char *const actions[] = {
	[CONF_PROTECT] = "protect",
	[CONF_BYPASS] = "bypass",
	[CONF_DISCARD] = "discard",
};

static const char *
direction_of(const struct conf_policy *p)
{
	return p->direction == CONF_IN ? "in" : "out";
}

static void
nets_print(FILE *out, const struct conf_nets *nets)
{
	char text[NET_TEXT_SIZE];

	for (uint32_t i = 0; i < nets->n; i++) {
		net_text(&nets->list[i], text, sizeof(text));
		fprintf(out, "%s%s", i > 0 ? "," : "", text);
	}
}

static void
nets_json(struct json *j, const char *key, const struct conf_nets *nets)
{
	char text[NET_TEXT_SIZE];

	json_array(j, key);
	for (uint32_t i = 0; i < nets->n; i++) {
		net_text(&nets->list[i], text, sizeof(text));
		json_string(j, NULL, text);
	}
	json_end(j);
}

/* In a column of 20; longer, if there are many. */
static void
names_print(FILE *out, const struct conf_names *names)
{
	uint32_t n = conf_names_n(names);
	int len = 0;

	for (uint32_t i = 0; i < n; i++)
		len += fprintf(out, "%s%s", i > 0 ? "," : "", conf_name_at(names, i));
	if (n == 0)
		len = fprintf(out, "-");
	fprintf(out, "%*s ", len < 20 ? 20 - len : 0, "");
}

static bool
is_any(const struct conf_port_range *r)
{
	return r->first == 0 && r->last == UINT16_MAX;
}

static void
range_text(const struct conf_port_range *r, char text[16])
{
	if (is_any(r))
		snprintf(text, 16, "any");
	else if (r->first == r->last)
		snprintf(text, 16, "%u", r->first);
	else
		snprintf(text, 16, "%u-%u", r->first, r->last);
}

static const char *
protocol_text(uint32_t protocol, char text[16])
{
	if (protocol == CONF_PROTOCOL_ANY)
		return "any";
	if (protocol == CONF_PROTOCOL_ICMP)
		return "icmp";
	snprintf(text, 16, "%u", protocol);
	return text;
}

static void
policy_print(FILE *out, const struct gw *gw, const struct conf_policy *p, uint64_t order)
{
	char text[16];

	fprintf(out, "%10" PRIu64 " %-20s %-3s %-7s ", order, p->name, direction_of(p),
		actions[p->action]);
	names_print(out, &p->sa_names);
	nets_print(out, &p->src);
	fputs(" > ", out);
	nets_print(out, &p->dst);
	if (p->protocol != CONF_PROTOCOL_ANY)
		fprintf(out, " protocol %s", protocol_text(p->protocol, text));
	if (!is_any(&p->src_port)) {
		range_text(&p->src_port, text);
		fprintf(out, " from port %s", text);
	}
	if (!is_any(&p->dst_port)) {
		range_text(&p->dst_port, text);
		fprintf(out, " to port %s", text);
	}
	for (int i = 0; i < 64 && p->dscp != CONF_ALL; i++)
		if ((p->dscp >> i & 1) != 0)
			fprintf(out, " dscp %d", i);
	fputs(p->icmp ? "\n" : " without ICMP errors\n", out);
	if (p->set != CONF_NONE && gw->choices[p->set] != SA_NONE)
		choice_print(out, gw, gw->choices[p->set]);
}

static void
set_json(struct json *j, const struct gw *gw, uint32_t set)
{
	const struct conf_set *s = &gw->conf->sets[set];

	json_array(j, "sas");
	for (uint32_t i = 0; i < s->n; i++)
		json_string(j, NULL, gw->conf->sas[s->sas[i]].name);
	json_end(j);
	if (gw->choices[set] != SA_NONE)
		choice_json(j, gw, gw->choices[set]);
}

static void
policy_json(struct json *j, const struct gw *gw, const struct conf_policy *p, uint64_t order)
{
	char text[16];

	json_object(j, NULL);
	json_u64(j, "order", order);
	json_string(j, "name", p->name);
	json_string(j, "origin", "file");
	json_string(j, "direction", direction_of(p));
	json_string(j, "action", actions[p->action]);
	/* The first that it names, and of several all. */
	if (p->action == CONF_PROTECT)
		json_string(j, "sa", p->sa_names.first);
	if (p->set != CONF_NONE)
		set_json(j, gw, p->set);
	nets_json(j, "src", &p->src);
	nets_json(j, "dst", &p->dst);
	json_string(j, "protocol", protocol_text(p->protocol, text));
	range_text(&p->src_port, text);
	json_string(j, "src_port", text);
	range_text(&p->dst_port, text);
	json_string(j, "dst_port", text);
	if (p->dscp != CONF_ALL) {
		json_array(j, "dscp");
		for (int i = 0; i < 64; i++)
			if ((p->dscp >> i & 1) != 0)
				json_u64(j, NULL, i);
		json_end(j);
	}
	json_bool(j, "icmp", p->icmp);
	json_end(j);
}

static void
ports_text(const struct spd_ports *r, char text[16])
{
	const struct conf_port_range range = { r->lo, r->hi };

	range_text(&range, text);
}

static const char *
view_action(const struct policy_view *v)
{
	return v->spec.action == POLICY_PROTECT ? "protect" :
	       v->spec.action == POLICY_BYPASS	? "bypass" :
						  "discard";
}

static const char *
view_sa(const struct gw *gw, const struct policy_view *v, char name[SA_NAME_MAX])
{
	const struct policy_spec *s = &v->spec;

	if (s->action != POLICY_PROTECT || s->sa == SA_NONE)
		return "-";
	if (s->sa_generation == CHOICE_MARK)
		return "several";
	return sa_name(sa_cold(&gw->sas, s->sa), name);
}

static void
view_print(FILE *out, const struct gw *gw, const struct policy_view *v)
{
	const struct policy_spec *s = &v->spec;
	char src[ADDR_TEXT_SIZE], dst[ADDR_TEXT_SIZE], name[32], sa[SA_NAME_MAX], text[16];

	snprintf(name, sizeof(name), "xfrm:%u", v->id);
	fprintf(out, "%10" PRIu64 " %-20s %-3s %-7s %-20s %s > %s",
		POLICY_DAEMON_ORDER + s->priority, name, v->direction, view_action(v),
		view_sa(gw, v, sa), prefix_text(&s->src, src), prefix_text(&s->dst, dst));
	if (s->protocol != SPD_ANY_PROTOCOL)
		fprintf(out, " protocol %d", s->protocol);
	ports_text(&s->src_port, text);
	if (strcmp(text, "any") != 0)
		fprintf(out, " from port %s", text);
	ports_text(&s->dst_port, text);
	if (strcmp(text, "any") != 0)
		fprintf(out, " to port %s", text);
	fprintf(out, " priority %u", s->priority);
	if (s->action == POLICY_PROTECT)
		fprintf(out, " reqid %u", v->reqid);
	fprintf(out, " of %s%s\n", v->owner, v->apart ? ", not asked" : "");
	if (s->action == POLICY_PROTECT && s->sa_generation == CHOICE_MARK)
		choice_print(out, gw, s->sa);
}

static void
view_json(struct json *j, const struct gw *gw, const struct policy_view *v)
{
	const struct policy_spec *s = &v->spec;
	char text[ADDR_TEXT_SIZE], sa[SA_NAME_MAX];

	json_object(j, NULL);
	json_u64(j, "order", POLICY_DAEMON_ORDER + s->priority);
	snprintf(text, sizeof(text), "xfrm:%u", v->id);
	json_string(j, "name", text);
	json_string(j, "origin", "daemon");
	json_string(j, "owner", v->owner);
	json_string(j, "direction", v->direction);
	json_string(j, "action", view_action(v));
	json_u64(j, "priority", s->priority);
	json_u64(j, "index", v->id);
	if (s->action == POLICY_PROTECT) {
		json_u64(j, "reqid", v->reqid);
		json_string(j, "sa", view_sa(gw, v, sa));
		if (s->sa_generation == CHOICE_MARK)
			choice_json(j, gw, s->sa);
	}
	json_array(j, "src");
	json_string(j, NULL, prefix_text(&s->src, text));
	json_end(j);
	json_array(j, "dst");
	json_string(j, NULL, prefix_text(&s->dst, text));
	json_end(j);
	json_string(j, "protocol",
		    protocol_text(s->protocol == SPD_ANY_PROTOCOL ? CONF_PROTOCOL_ANY :
								    (uint32_t)s->protocol,
				  text));
	ports_text(&s->src_port, text);
	json_string(j, "src_port", text);
	ports_text(&s->dst_port, text);
	json_string(j, "dst_port", text);
	json_bool(j, "icmp", s->icmp);
	json_bool(j, "asked", !v->apart);
	json_end(j);
}

/* Those of key daemons. */
static void
views_show(struct form *f, FILE *out, const struct gw *gw, bool json)
{
	struct policy_view v;
	uint64_t cursor = 0;

	while (gw->hooks.policy_next != NULL && gw->hooks.policy_next(gw->hooks.ctx, &cursor, &v)) {
		if (json)
			view_json(&f->json, gw, &v);
		else
			view_print(out, gw, &v);
	}
}

/* How the SPD holds them: what a flow's first packet costs. */
static void
stats_show(struct form *f, const struct spd *spd)
{
	struct spd_stats s;

	spd_stats(spd, &s);
	form_object(f, "database");
	form_u64(f, "policies", s.policies);
	form_u64(f, "rules", s.rules);
	form_u64(f, "prefix_pairs_in_v4", s.pairs[SPD_IN][0]);
	form_u64(f, "prefix_pairs_in_v6", s.pairs[SPD_IN][1]);
	form_u64(f, "prefix_pairs_out_v4", s.pairs[SPD_OUT][0]);
	form_u64(f, "prefix_pairs_out_v6", s.pairs[SPD_OUT][1]);
	form_u64(f, "rules_in_acl", s.built);
	form_u64(f, "rules_waiting", s.waiting);
	form_u64(f, "bytes", s.bytes);
	form_end(f);
}

int
show_policy(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	const struct gw *gw = cli->gw;
	struct form f;

	form_init(&f, out, json);
	if (json)
		json_array(&f.json, "policies");
	else
		fprintf(out, "%10s %-20s %-3s %-7s %-20s %s\n", "order", "policy", "dir", "action",
			"SA", "selectors");
	for (uint32_t i = 0; i < gw->conf->n_policies; i++) {
		if (json)
			policy_json(&f.json, gw, &gw->conf->policies[i], gw->policy_books[i].order);
		else
			policy_print(out, gw, &gw->conf->policies[i], gw->policy_books[i].order);
	}
	views_show(&f, out, gw, json);
	if (json)
		json_end(&f.json);
	stats_show(&f, gw->spd);
	form_done(&f);
	return 0;
}
