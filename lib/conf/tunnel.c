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
	uint32_t first[2], n[2]; /* its SAs, by direction */
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

static const char *
word_of(enum conf_direction direction)
{
	return direction == CONF_OUT ? "out" : "in";
}

/* What an SA of several is called by: its class and its worker, as far as it has them. A number
 * tells apart those that have the same.
 */
static void
name_part(struct load *l, const struct pair *p, const struct node *at, uint32_t first)
{
	const uint32_t own = l->conf->n_sas;
	struct conf_sa *sa = &l->conf->sas[own];
	char name[2 * CONF_NAME_SIZE];
	uint32_t again = 1, i = first;
	int len = snprintf(name, sizeof(name), "%s.%s", p->own.name, word_of(sa->direction)), n;

	if (sa->dscp_set != 0)
		len += snprintf(name + len, sizeof(name) - len, ".d%d",
				__builtin_ctzll(sa->dscp_set));
	if (sa->bundle.on && sa->bundle.worker != CONF_WORKER_FALLBACK)
		len += snprintf(name + len, sizeof(name) - len, ".w%u", sa->bundle.worker);
	for (n = len; i < own; i++)
		if (strcmp(l->conf->sas[i].name, name) == 0) {
			n = len + snprintf(name + len, sizeof(name) - len, ".%u", ++again);
			i = first - 1;
		}
	if (n >= CONF_NAME_SIZE)
		load_error(l, at, "a shorter name of the tunnel", "%s is too long", name);
	else
		memcpy(sa->name, name, n + 1);
}

static void
settle_name(struct load *l, const struct pair *p, const struct node *at, uint32_t first,
	    uint16_t part)
{
	struct conf_sa *sa = &l->conf->sas[l->conf->n_sas];

	memset(sa->name, 0, sizeof(sa->name));
	if (sa->bundle.on && sa->bundle.name[0] == 0)
		memcpy(sa->bundle.name, p->own.name, sizeof(p->own.name));
	if (p->own.name[0] == 0)
		return;
	if (part != 0)
		name_part(l, p, at, first);
	else
		snprintf(sa->name, sizeof(sa->name), "%s.%s", p->own.name, word_of(sa->direction));
}

/* map: what the SA alone has, NULL where there is none. first: its tunnel's first of its direction;
 * part: which of a list, from 1, or 0.
 */
static void
read_sa(struct load *l, const struct pair *p, enum conf_direction direction, const struct node *map,
	uint32_t first, uint16_t part)
{
	struct conf_sa *sa = &l->conf->sas[l->conf->n_sas];
	struct origin *o = &l->sas[l->conf->n_sas];
	struct target t = { .block = BLOCK_SA,
			    .also = BLOCKS,
			    .without = KEY_NO_TUNNEL,
			    .base = sa,
			    .defaults = &l->defaults.sa };
	const struct node *at = map != NULL ? map : p->map;
	uint32_t before = l->e->n_errors;
	uint64_t given = p->given;

	*sa = p->common;
	sa->direction = direction;
	sa->mark = (struct conf_mark) { at->line, at->col, p->index, part,
					direction == CONF_OUT ? CONF_LIST_TUNNELS_OUT :
								CONF_LIST_TUNNELS_IN };
	if (direction == CONF_IN)
		turn(sa);
	if (map != NULL && map->kind == NODE_MAP)
		bind_map(l, map, &t, &given, NULL);
	else if (map != NULL)
		load_error(l, map, "a map of keys", "not a map");
	bind_require(l, at, BLOCK_SA, given, KEY_NO_TUNNEL | KEY_HALF);
	settle_name(l, p, at, first, part);
	*o = (struct origin) { map, p->map, p->bad || l->e->n_errors != before };
	l->conf->n_sas++;
}

static bool
is_list(const struct node *half)
{
	return half != NULL && half->kind == NODE_LIST && half->child != NULL;
}

static void
read_half(struct load *l, struct pair *p, enum conf_direction direction)
{
	const struct node *half = node_get(p->map, word_of(direction));
	uint32_t first = l->conf->n_sas;
	size_t was = path_push(l, ".%s", word_of(direction));
	uint16_t part = 0;

	p->first[direction] = first;
	if (!is_list(half)) {
		read_sa(l, p, direction, half, first, 0);
	} else {
		for (const struct node *one = half->child; one != NULL; one = one->next) {
			size_t inner = path_push(l, "[%u]", part);

			read_sa(l, p, direction, one, first, ++part);
			path_pop(l, inner);
		}
	}
	p->n[direction] = l->conf->n_sas - first;
	path_pop(l, was);
}

/* What is protected: the nets of that side, the host itself in transport mode, the inner host with
 * BEET. */
static void
settle_nets(struct load *l, struct pair *p, const char *key, struct conf_nets *nets,
	    const struct addr *outer, const struct addr *inner)
{
	const struct addr *host = p->common.mode == CONF_BEET ? inner : outer;
	struct conf_net net;
	size_t was;

	if (nets->n != 0 || node_get(p->map, key) != NULL || host->family == 0)
		return;
	if (p->common.mode == CONF_TRANSPORT || p->common.mode == CONF_BEET) {
		net = net_of_addr(host);
		l->no_memory |= nets_add(nets, &net) < 0;
		return;
	}
	was = path_push(l, ".%s", key);
	load_error(l, p->map, "a prefix, a range, or a list of them", "missing");
	path_pop(l, was);
}

static void
name_sas(struct load *l, const struct pair *p, enum conf_direction direction,
	 struct conf_names *names)
{
	const struct conf_sa *sa = &l->conf->sas[p->first[direction]];

	memcpy(names->first, sa->name, sizeof(names->first));
	if (p->n[direction] == 1)
		return;
	names->more = calloc(p->n[direction] - 1, sizeof(names->more[0]));
	l->no_memory |= names->more == NULL;
	for (uint32_t i = 1; i < p->n[direction] && names->more != NULL; i++)
		memcpy(names->more[names->n_more++], sa[i].name, sizeof(sa->name));
}

static void
make_policy(struct load *l, const struct pair *p, enum conf_direction direction)
{
	const struct conf_nets *local = &p->own.local_nets, *remote = &p->own.remote_nets;
	struct conf_policy *policy = &l->conf->policies[l->conf->n_policies];
	bool bad = p->bad;

	for (uint32_t i = 0; i < p->n[direction]; i++)
		bad |= l->conf->sas[p->first[direction] + i].name[0] == 0;
	l->policies[l->conf->n_policies++] = (struct origin) { p->map, NULL, bad };
	*policy = l->defaults.policy;
	policy->mark = l->conf->sas[p->first[direction]].mark;
	policy->mark.part = 0;
	policy->direction = direction;
	policy->action = CONF_PROTECT;
	if (p->own.name[0] != 0)
		snprintf(policy->name, sizeof(policy->name), "%s.%s", p->own.name,
			 word_of(direction));
	name_sas(l, p, direction, &policy->sa_names);
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
	settle_nets(l, &p, "local_nets", &p.own.local_nets, &p.own.local, &p.common.inner.src);
	settle_nets(l, &p, "remote_nets", &p.own.remote_nets, &p.own.remote, &p.common.inner.dst);
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

static uint32_t
half_n(const struct node *tunnel, enum conf_direction direction)
{
	const struct node *half =
		tunnel->kind == NODE_MAP ? node_get(tunnel, word_of(direction)) : NULL;

	return is_list(half) ? half->n : 1;
}

uint32_t
tunnels_n_sas(const struct node *list)
{
	uint32_t sum = 0;

	for (const struct node *n = list != NULL ? list->child : NULL; n != NULL; n = n->next)
		sum += half_n(n, CONF_OUT) + half_n(n, CONF_IN);
	return sum;
}

uint32_t
tunnels_n_policies(const struct node *list)
{
	return list != NULL ? 2 * list->n : 0;
}
