#include "ctl/policies.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "spd/spd.h"

/* Room for later policies between two, as much as there is below those of daemons. */
static uint64_t
order_step(uint32_t n_policies)
{
	return RTE_MIN(UINT64_C(1) << 12, (POLICY_DAEMON_ORDER - 1) / (n_policies + UINT64_C(1)));
}

/* A list of nets, sorted into families as the SPD wants it. ranges is to be freed. */
static int
addrs_fill(struct spd_addrs *a, struct spd_range **ranges, const struct conf_nets *nets)
{
	struct spd_range *r = calloc(nets->n + 1, sizeof(*r));
	uint16_t n = 0;

	*ranges = r;
	if (r == NULL)
		return -ENOMEM;
	*a = (struct spd_addrs) { .v4 = r };
	for (int family = 4; family <= 6; family += 2) {
		for (uint32_t i = 0; i < nets->n; i++) {
			if (nets->list[i].family != family)
				continue;
			memcpy(r[n].lo, nets->list[i].first, 16);
			memcpy(r[n++].hi, nets->list[i].last, 16);
		}
		if (family == 4) {
			a->n_v4 = n;
			a->v6 = r + n;
		} else {
			a->n_v6 = n - a->n_v4;
		}
	}
	return 0;
}

/* Where its packets go: an SA, or a choice of several. */
static uint64_t
word_of(const struct gw *gw, const struct conf_policy *c, const struct sa_book *sas,
	const uint32_t *choices)
{
	uint32_t sa = sas[c->sa].index;

	if (c->direction == CONF_OUT && c->set != CONF_NONE)
		return spd_sa_word(choices[c->set], CHOICE_MARK);
	return spd_sa_word(sa, sa_at(&gw->sas, sa)->generation);
}

static void
params_fill(struct policy_params *p, const struct gw *gw, const struct conf_policy *c,
	    uint32_t name, const struct sa_book *sas, const uint32_t *choices)
{
	static const enum policy_action actions[] = {
		[CONF_PROTECT] = POLICY_PROTECT,
		[CONF_BYPASS] = POLICY_BYPASS,
		[CONF_DISCARD] = POLICY_DISCARD,
	};
	uint64_t word;

	*p = (struct policy_params) {
		.direction = c->direction == CONF_IN ? SPD_IN : SPD_OUT,
		.action = actions[c->action],
		.protocol =
			c->protocol == CONF_PROTOCOL_ANY ? SPD_ANY_PROTOCOL : (int16_t)c->protocol,
		.src_port = { c->src_port.first, c->src_port.last },
		.dst_port = { c->dst_port.first, c->dst_port.last },
		.dscp = c->dscp,
		.icmp = c->icmp,
		.name = name,
		.sa = SA_NONE,
	};
	if (c->action != CONF_PROTECT)
		return;
	p->group = sas[c->sa].group;
	word = word_of(gw, c, sas, choices);
	p->sa = spd_sa_index(word);
	p->sa_generation = spd_sa_generation(word);
}

/* "icmp" in the file is ICMP for one family and ICMPv6 for the other: a policy of the SPD for each.
 */
static int
icmp_add(struct gw *gw, const struct policy_params *both, struct policy_book *book, struct err *err)
{
	struct policy_params p = *both;
	int rc = 0;

	if (both->src.n_v4 > 0 && both->dst.n_v4 > 0) {
		p.protocol = IPPROTO_ICMP;
		p.src.n_v6 = p.dst.n_v6 = 0;
		rc = spd_add(gw->spd, &p, &book->index[0], err);
	}
	p = *both;
	if (rc == 0 && both->src.n_v6 > 0 && both->dst.n_v6 > 0) {
		p.protocol = IPPROTO_ICMPV6;
		p.src.n_v4 = p.dst.n_v4 = 0;
		rc = spd_add(gw->spd, &p, &book->index[1], err);
	}
	return rc;
}

static int
policy_add(struct gw *gw, const struct conf *conf, uint32_t i, const struct sa_book *sas,
	   const uint32_t *choices, struct policy_book *book, struct err *err)
{
	const struct conf_policy *c = &conf->policies[i];
	struct spd_range *src = NULL, *dst = NULL;
	struct policy_params p;
	int rc;

	params_fill(&p, gw, c, i, sas, choices);
	p.order = book->order;
	book->index[0] = book->index[1] = POLICY_NONE;
	rc = addrs_fill(&p.src, &src, &c->src);
	if (rc == 0)
		rc = addrs_fill(&p.dst, &dst, &c->dst);
	if (rc < 0)
		err_set(err, rc, "policy %s: no memory", c->name);
	else if (c->protocol == CONF_PROTOCOL_ICMP)
		rc = icmp_add(gw, &p, book, err);
	else
		rc = spd_add(gw->spd, &p, &book->index[0], err);
	free(src);
	free(dst);
	return rc;
}

static int
policy_del(struct gw *gw, const struct policy_book *book, struct err *err)
{
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++)
		if (book->index[i] != POLICY_NONE)
			rc = spd_del(gw->spd, book->index[i], err);
	return rc;
}

int
policy_stage(struct gw *gw, const struct policy_spec *spec, uint32_t *index, struct err *err)
{
	bool v6 = spec->src.addr.family == 6;
	struct spd_range src, dst;
	struct policy_params p = {
		.direction = spec->direction,
		.action = spec->action,
		.order = POLICY_DAEMON_ORDER + spec->priority,
		.src = { .n_v4 = !v6, .n_v6 = v6, .v4 = &src, .v6 = &src },
		.dst = { .n_v4 = !v6, .n_v6 = v6, .v4 = &dst, .v6 = &dst },
		.protocol = spec->protocol,
		.src_port = spec->src_port,
		.dst_port = spec->dst_port,
		.dscp = SPD_ANY_DSCP,
		.icmp = spec->icmp,
		.group = spec->group,
		.name = spec->name,
		.sa = spec->sa,
		.sa_generation = spec->sa_generation,
	};

	if (gw->defer.backlog >= DEFER_BACKLOG_MAX)
		return err_set(err, -ENOBUFS,
			       "a worker stands still, and %u things wait for it to be freed",
			       gw->defer.backlog);
	spd_prefix(&src, spec->src.addr.octets, spec->src.len, v6);
	spd_prefix(&dst, spec->dst.addr.octets, spec->dst.len, v6);
	return spd_add(gw->spd, &p, index, err);
}

int
policies_add_all(struct gw *gw, const struct conf *conf, const struct sa_book *sas,
		 const uint32_t *choices, struct policy_book *books, struct err *err)
{
	for (uint32_t i = 0; i < conf->n_policies; i++) {
		int rc;

		books[i].order = (i + 1) * order_step(conf->n_policies);
		rc = policy_add(gw, conf, i, sas, choices, &books[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Is the SA of another group than the policy lets pass? Then what it names changed, though not by
 * name.
 */
static bool
is_regrouped(const struct gw *gw, const struct policy_book *book, uint32_t group)
{
	uint32_t index = book->index[book->index[0] == POLICY_NONE];
	const struct policy *p = index != POLICY_NONE ? spd_policy(gw->spd, index) : NULL;

	return p != NULL && p->direction == SPD_IN && p->group != group;
}

/* Which policies of the new configuration stay as they are, by index; and their old books. */
static bool *
kept_find(const struct gw *gw, const struct conf *conf, const struct conf_diff *diff,
	  const struct sa_book *sas, struct policy_book *books)
{
	bool *kept = calloc(conf->n_policies + 1, sizeof(*kept));

	if (kept == NULL)
		return NULL;
	for (uint32_t i = 0; i < conf->n_policies; i++) {
		uint32_t was = diff->from[CONF_POLICY][i];

		kept[i] = was != CONF_NONE;
		if (kept[i])
			books[i] = gw->policy_books[was];
		if (kept[i] && conf->policies[i].action == CONF_PROTECT)
			kept[i] = !is_regrouped(gw, &books[i], sas[conf->policies[i].sa].group);
	}
	for (uint32_t i = 0; i < diff->n; i++)
		if (diff->changes[i].kind == CONF_POLICY && diff->changes[i].now != CONF_NONE)
			kept[diff->changes[i].now] = false;
	return kept;
}

/* Gives each new policy an order between its neighbours that stay. False: no room left. */
static bool
orders_find(const struct conf *conf, const bool *kept, struct policy_book *books)
{
	uint64_t before = 0, step = order_step(conf->n_policies);

	for (uint32_t i = 0; i < conf->n_policies; i++) {
		uint32_t next = i;
		uint64_t after;

		if (!kept[i]) {
			while (next < conf->n_policies && !kept[next])
				next++;
			after = next < conf->n_policies ? books[next].order :
							  before + (next - i + 1) * step;
			books[i].order = before + (after - before) / (next - i + 1);
		}
		if (books[i].order <= before || books[i].order >= POLICY_DAEMON_ORDER)
			return false;
		before = books[i].order;
	}
	return true;
}

static int
removed_del(struct gw *gw, const struct conf *conf, const struct conf_diff *diff, const bool *kept,
	    struct err *err)
{
	bool *stays = calloc(gw->conf->n_policies + 1, sizeof(*stays));
	int rc = 0;

	if (stays == NULL)
		return err_set(err, -ENOMEM, "no memory for %u policies", gw->conf->n_policies);
	for (uint32_t i = 0; i < conf->n_policies; i++)
		if (kept[i])
			stays[diff->from[CONF_POLICY][i]] = true;
	for (uint32_t i = 0; i < gw->conf->n_policies && rc == 0; i++)
		if (!stays[i])
			rc = policy_del(gw, &gw->policy_books[i], err);
	free(stays);
	return rc;
}

int
policies_change(struct gw *gw, const struct conf *conf, const struct conf_diff *diff,
		const struct sa_book *sas, const uint32_t *choices, struct policy_book *books,
		struct err *err)
{
	bool *kept = kept_find(gw, conf, diff, sas, books);
	int rc;

	if (kept == NULL)
		return err_set(err, -ENOMEM, "no memory for %u policies", conf->n_policies);
	/* An inbound policy names its SA by group: with another SA behind the same name it is the
	 * same. */
	if (!orders_find(conf, kept, books)) {
		memset(kept, 0, conf->n_policies * sizeof(*kept));
		for (uint32_t i = 0; i < conf->n_policies; i++)
			books[i].order = (i + 1) * order_step(conf->n_policies);
	}
	rc = removed_del(gw, conf, diff, kept, err);
	for (uint32_t i = 0; i < conf->n_policies && rc == 0; i++)
		if (!kept[i])
			rc = policy_add(gw, conf, i, sas, choices, &books[i], err);
	free(kept);
	return rc;
}

void
policies_point(struct gw *gw, const struct conf *conf, const struct sa_book *sas,
	       const uint32_t *choices, const struct policy_book *books)
{
	for (uint32_t i = 0; i < conf->n_policies; i++) {
		const struct conf_policy *c = &conf->policies[i];

		uint64_t word;

		if (c->action != CONF_PROTECT || c->direction == CONF_IN)
			continue;
		word = word_of(gw, c, sas, choices);
		for (int k = 0; k < 2; k++)
			if (books[i].index[k] != POLICY_NONE)
				spd_sa_set(gw->spd, books[i].index[k], spd_sa_index(word),
					   spd_sa_generation(word));
	}
}
