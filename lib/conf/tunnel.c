/* The short form: an SA each way, and a policy for each. */
#include <stdlib.h>
#include <string.h>

#include "conf/bind.h"
#include "conf/net.h"

/* A tunnel while it is read. */
struct pair {
	struct conf_tunnel own;
	struct conf_sa common; /* what both SAs start from */
	uint64_t given;	       /* rows of BLOCK_SA in the tunnel's map */
	const struct node *map;
	uint32_t index;
	bool bad;
};

static void
swap(void *a, void *b, size_t size)
{
	char keep[32];

	memcpy(keep, a, size);
	memcpy(a, b, size);
	memcpy(b, keep, size);
}

/* A tunnel speaks from our side: ours first, the peer's second. Inbound packets have it the other
 * way round. */
static void
turn(struct conf_sa *sa)
{
	swap(&sa->src, &sa->dst, sizeof(sa->src));
	swap(&sa->inner.src, &sa->inner.dst, sizeof(sa->inner.src));
	swap(&sa->encap.ports[0], &sa->encap.ports[1], sizeof(sa->encap.ports[0]));
}

static void
read_half(struct load *l, const struct pair *p, enum conf_direction direction)
{
	const char *word = direction == CONF_OUT ? "out" : "in";
	const struct node *half = node_get(p->map, word);
	struct conf_sa *sa = &l->conf->sas[l->conf->n_sas];
	struct origin *o = &l->sas[l->conf->n_sas++];
	struct target t = { .block = BLOCK_SA,
			    .also = BLOCKS,
			    .without = KEY_NO_TUNNEL,
			    .base = sa,
			    .defaults = &l->defaults.sa };
	const struct node *at = half != NULL ? half : p->map;
	uint32_t before = l->e->n_errors;
	uint64_t given = p->given;
	size_t was = path_push(l, ".%s", word);

	*sa = p->common;
	if (p->own.name[0] != 0)
		snprintf(sa->name, sizeof(sa->name), "%s.%s", p->own.name, word);
	sa->direction = direction;
	sa->mark = (struct conf_mark) { at->line, at->col, p->index,
					direction == CONF_OUT ? CONF_LIST_TUNNELS_OUT :
								CONF_LIST_TUNNELS_IN };
	if (direction == CONF_IN)
		turn(sa);
	if (half != NULL && half->kind == NODE_MAP)
		bind_map(l, half, &t, &given, NULL);
	else if (half != NULL)
		load_error(l, half, "a map of keys", "not a map");
	bind_require(l, at, BLOCK_SA, given, KEY_NO_TUNNEL | KEY_HALF);
	*o = (struct origin) { half, p->map, p->bad || l->e->n_errors != before };
	path_pop(l, was);
}

/* What is protected: the nets of that side, or the host itself in transport mode. */
static void
settle_nets(struct load *l, struct pair *p, const char *key, struct conf_nets *nets,
	    const struct addr *host)
{
	struct conf_net net;
	size_t was;

	if (nets->n != 0 || node_get(p->map, key) != NULL || host->family == 0)
		return;
	if (p->common.mode == CONF_TRANSPORT) {
		net = net_of_addr(host);
		l->no_memory |= nets_add(nets, &net) < 0;
		return;
	}
	was = path_push(l, ".%s", key);
	load_error(l, p->map, "a prefix, a range, or a list of them", "missing");
	path_pop(l, was);
}

static void
make_policy(struct load *l, const struct pair *p, enum conf_direction direction)
{
	const struct conf_sa *sa = &l->conf->sas[l->conf->n_sas - (direction == CONF_OUT ? 2 : 1)];
	const struct conf_nets *local = &p->own.local_nets, *remote = &p->own.remote_nets;
	struct conf_policy *policy = &l->conf->policies[l->conf->n_policies];

	l->policies[l->conf->n_policies++] = (struct origin) { p->map, NULL, p->bad };
	*policy = l->defaults.policy;
	policy->mark = sa->mark;
	policy->direction = direction;
	policy->action = CONF_PROTECT;
	if (p->own.name[0] != 0)
		snprintf(policy->name, sizeof(policy->name), "%s.%s", p->own.name,
			 direction == CONF_OUT ? "out" : "in");
	memcpy(policy->sa_name, sa->name, sizeof(policy->sa_name));
	if (nets_copy(&policy->src, direction == CONF_OUT ? local : remote) < 0 ||
	    nets_copy(&policy->dst, direction == CONF_OUT ? remote : local) < 0)
		l->no_memory = true;
}

static void
read_tunnel(struct load *l, const struct node *map, uint32_t index)
{
	struct pair p = { .map = map, .index = index };
	struct target t = { .block = BLOCK_TUNNEL,
			    .also = BLOCK_SA,
			    .without = KEY_NO_TUNNEL | KEY_HALF,
			    .base = &p.own,
			    .also_base = &p.common,
			    .also_defaults = &l->defaults.sa };
	uint32_t before = l->e->n_errors;
	uint64_t given = 0;

	p.common = l->defaults.sa;
	bind_map(l, map, &t, &given, &p.given);
	bind_require(l, map, BLOCK_TUNNEL, given, 0);
	settle_nets(l, &p, "local_nets", &p.own.local_nets, &p.own.local);
	settle_nets(l, &p, "remote_nets", &p.own.remote_nets, &p.own.remote);
	p.common.src = p.own.local;
	p.common.dst = p.own.remote;
	p.bad = l->e->n_errors != before;
	read_half(l, &p, CONF_OUT);
	read_half(l, &p, CONF_IN);
	make_policy(l, &p, CONF_OUT);
	make_policy(l, &p, CONF_IN);
	free(p.own.local_nets.list);
	free(p.own.remote_nets.list);
}

void
read_tunnels(struct load *l, const struct node *list)
{
	uint32_t i = 0;

	for (const struct node *n = list != NULL ? list->child : NULL; n != NULL;
	     n = n->next, i++) {
		size_t was = path_push(l, "tunnels[%u]", i);

		if (n->kind == NODE_MAP)
			read_tunnel(l, n, i);
		else
			load_error(l, n, "a map of keys", "not a map");
		path_pop(l, was);
	}
}
