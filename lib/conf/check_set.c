/* Policies that name several SAs: bundles, and SAs by class. */
#include <stdlib.h>
#include <string.h>

#include "conf/check.h"
#include "conf/index.h"
#include "conf/net.h"
#include "spd/choice.h"

struct bundle_key {
	char name[CONF_NAME_SIZE];
	uint8_t direction;
};

/* While sets are found. */
struct sets {
	struct load *l;
	const struct index *sas; /* names of SAs */
	struct index bundles;	 /* (name, direction) → the first member */
	struct index sets;	 /* lists of SAs → set */
	struct bundle_key *keys; /* of the SAs that have one */
	uint32_t *next, *last;	 /* of a bundle, by SA and by first member */
	uint32_t *list, n;	 /* what the policy at hand names */
	uint32_t *met, round;	 /* by SA: the policy that named it last */
	uint32_t *named_by;	 /* by inbound SA: the first policy that named it */
};

/* RFC 9611 section 3: members differ in keys and SPI alone. Ports may be each its own. */
static const char *
differs_in(const struct conf_sa *a, const struct conf_sa *b)
{
	if (a->mode != b->mode)
		return "mode";
	if (memcmp(&a->src, &b->src, sizeof(a->src)) != 0)
		return "src";
	if (memcmp(&a->dst, &b->dst, sizeof(a->dst)) != 0)
		return "dst";
	if (a->aead != b->aead || a->cipher != b->cipher)
		return a->aead != NULL ? "aead" : "cipher";
	if (a->auth != b->auth)
		return "auth";
	if (a->icv_len != b->icv_len)
		return "icv";
	if (a->implicit_iv != b->implicit_iv)
		return "implicit_iv";
	if (a->esn != b->esn)
		return "esn";
	return a->encap.on != b->encap.on ? "encap" : NULL;
}

static void
check_alike(struct load *l, uint32_t i, uint32_t first)
{
	const struct conf_sa *sa = &l->conf->sas[i], *other = &l->conf->sas[first];
	const char *key = l->sas[i].bad || l->sas[first].bad ? NULL : differs_in(sa, other);

	if (key != NULL)
		item_error(l, &sa->mark, &l->sas[i], key, "as the others have it",
			   "bundle %s: its members are alike but for SPI, key and ports, and %s "
			   "has another %s than %s",
			   sa->bundle.name, sa->name, key, other->name);
}

/* Chains the members of each bundle, in the order of the file. */
static void
bundles_find(struct sets *s)
{
	struct bundle_key *key = s->keys;
	struct load *l = s->l;

	for (uint32_t i = 0; i < l->conf->n_sas; i++) {
		const struct conf_sa *sa = &l->conf->sas[i];
		uint32_t first;

		s->next[i] = CONF_NONE;
		s->last[i] = i;
		if (!sa->bundle.on)
			continue;
		if (sa->bundle.name[0] == 0) {
			item_error(l, &sa->mark, &l->sas[i], "bundle", "{name: b, worker: 0}",
				   "its name is missing");
			continue;
		}
		memcpy(key->name, sa->bundle.name, sizeof(key->name));
		key->direction = sa->direction;
		first = index_put(&s->bundles, key, sizeof(*key), i);
		key++;
		if (index_get(s->sas, sa->bundle.name, strlen(sa->bundle.name)) != INDEX_NONE)
			item_error(l, &sa->mark, &l->sas[i], "bundle", "a name that no SA has",
				   "%s is the name of an SA", sa->bundle.name);
		if (first == INDEX_NONE)
			continue;
		check_alike(l, i, first);
		s->next[s->last[first]] = i;
		s->last[first] = i;
	}
}

static bool
name_one(struct sets *s, uint32_t policy, uint32_t sa)
{
	const struct conf_policy *p = &s->l->conf->policies[policy];

	if (s->met[sa] == s->round)
		return item_error(s->l, &p->mark, &s->l->policies[policy], "sa", "each once",
				  "%s is named twice", s->l->conf->sas[sa].name);
	s->met[sa] = s->round;
	s->list[s->n++] = sa;
	return true;
}

static bool
name_resolve(struct sets *s, uint32_t policy, const char *name)
{
	const struct conf_policy *p = &s->l->conf->policies[policy];
	struct bundle_key key = { .direction = p->direction };
	uint32_t sa = index_get(s->sas, name, strlen(name));

	if (sa != INDEX_NONE && s->l->conf->sas[sa].direction == p->direction)
		return name_one(s, policy, sa);
	if (sa != INDEX_NONE)
		return s->l->sas[sa].bad ||
		       item_error(s->l, &p->mark, &s->l->policies[policy], "sa",
				  "an SA of the policy's direction", "%s is for direction: %s",
				  name, p->direction == CONF_IN ? "out" : "in");
	memcpy(key.name, name, strlen(name));
	sa = index_get(&s->bundles, &key, sizeof(key));
	if (sa == INDEX_NONE)
		return item_error(s->l, &p->mark, &s->l->policies[policy], "sa",
				  "a name of sas[], of one of their bundles, or NAME.out or "
				  "NAME.in of tunnels[]",
				  "there is no SA %s", name);
	for (; sa != CONF_NONE; sa = s->next[sa])
		if (!name_one(s, policy, sa))
			return false;
	return true;
}

static int
ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The set of the list at hand: one that is there, or a new one. CONF_NONE: no memory. */
static uint32_t
set_put(struct sets *s, uint8_t direction)
{
	struct conf *c = s->l->conf;
	size_t size = s->n * sizeof(s->list[0]);
	uint32_t *sas = malloc(size), set;

	if (sas == NULL) {
		s->l->no_memory = true;
		return CONF_NONE;
	}
	memcpy(sas, s->list, size);
	set = index_put(&s->sets, sas, size, c->n_sets);
	if (set != INDEX_NONE) {
		free(sas);
		return set;
	}
	c->sets[c->n_sets] = (struct conf_set) { s->n, sas, direction };
	return c->n_sets++;
}

/* An inbound SA is in one set, and every policy that names it names the whole: a packet is let in
 * by what it came by, and nobody shall be surprised by whom that lets in.
 */
static void
check_inbound(struct sets *s, uint32_t policy)
{
	struct load *l = s->l;
	const struct conf_policy *p = &l->conf->policies[policy];

	for (uint32_t i = 0; i < s->n; i++) {
		struct conf_sa *sa = &l->conf->sas[s->list[i]];
		uint32_t by = s->named_by[s->list[i]];

		if (by == CONF_NONE) {
			s->named_by[s->list[i]] = policy;
			sa->set = p->set;
		} else if (sa->set != p->set) {
			item_error(l, &p->mark, &l->policies[policy], "sa",
				   "the same SAs in both policies, or an SA of its own",
				   "policy %s names %s together with others than this one",
				   l->conf->policies[by].name, sa->name);
			return;
		}
	}
}

static bool
is_host(const struct conf_nets *nets, const struct addr *host)
{
	struct conf_net net = net_of_addr(host);

	return nets->n == 1 && memcmp(&nets->list[0], &net, sizeof(net)) == 0;
}

/* BEET carries one pair of hosts: what else a policy took would only be dropped. */
static void
check_beet(const struct sets *s, uint32_t policy)
{
	const struct conf_policy *p = &s->l->conf->policies[policy];

	for (uint32_t i = 0; i < s->n; i++) {
		const struct conf_sa *sa = &s->l->conf->sas[s->list[i]];

		if (sa->mode != CONF_BEET || s->l->sas[s->list[i]].bad ||
		    (is_host(&p->src, &sa->inner.src) && is_host(&p->dst, &sa->inner.dst)))
			continue;
		item_error(s->l, &p->mark, &s->l->policies[policy],
			   p->mark.list == CONF_LIST_POLICIES ? "src" : "local_nets",
			   p->mark.list == CONF_LIST_POLICIES ?
				   "the two hosts of its inner" :
				   "leave local_nets and remote_nets out",
			   "%s carries its inner pair alone", sa->name);
		return;
	}
}

static void
policy_resolve(struct sets *s, uint32_t policy)
{
	struct load *l = s->l;
	struct conf_policy *p = &l->conf->policies[policy];
	bool ok = true;

	s->n = 0;
	s->round = policy + 1;
	for (uint32_t i = 0; i < conf_names_n(&p->sa_names) && ok; i++)
		ok = name_resolve(s, policy, conf_name_at(&p->sa_names, i));
	if (!ok || s->n == 0)
		return;
	p->sa = s->list[0];
	if (p->direction == CONF_IN)
		qsort(s->list, s->n, sizeof(s->list[0]), ascending);
	if (s->n > 1)
		p->set = set_put(s, p->direction);
	if (p->direction == CONF_IN)
		check_inbound(s, policy);
	if (!s->l->policies[policy].bad)
		check_beet(s, policy);
}

/* Is there a class that the list is left for? */
static bool
is_used(const struct choice_params *p, uint64_t dscp)
{
	for (uint8_t i = 0; i < CHOICE_DSCPS; i++)
		if (choice_list(p, i) == dscp)
			return true;
	return false;
}

static bool
is_newest(const struct choice_params *p, uint32_t i)
{
	for (uint32_t k = i + 1; k < p->n; k++)
		if (p->members[k].dscp == p->members[i].dscp &&
		    p->members[k].worker == p->members[i].worker)
			return false;
	return true;
}

/* Whether workers without a member of their own have an SA for the list, as is meant. */
static bool
has_fallback(const struct choice_params *p, uint64_t dscp)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->members[i].worker == CHOICE_ANY_WORKER &&
		    (p->members[i].dscp == dscp || p->members[i].dscp == 0))
			return true;
	return false;
}

/* Without one it is no error: they hand their packets to the newest member's worker. Told of that
 * member, and so once.
 */
static void
warn_fallback(struct load *l, const struct conf_set *set, const struct choice_params *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const struct conf_sa *sa = &l->conf->sas[set->sas[i]];
		uint64_t dscp = p->members[i].dscp;
		bool last = true;

		for (uint32_t k = i + 1; k < p->n; k++)
			last &= p->members[k].dscp != dscp;
		if (last && is_used(p, dscp) && !has_fallback(p, dscp))
			item_warning(l, &sa->mark, &l->sas[set->sas[i]], "bundle",
				     "one with worker: fallback beside it",
				     "bundle %s has no fallback: workers without a member hand "
				     "their packets to worker %u, for %s",
				     sa->bundle.name, sa->bundle.worker, sa->name);
	}
}

/* SAs that nothing can be sent by are no error, as one may be about to go. */
static void
warn_unused(struct load *l, const struct conf_set *set)
{
	struct choice_member *members = calloc(set->n, sizeof(*members));
	const struct choice_params p = { .members = members, .n = set->n };

	if (members == NULL) {
		l->no_memory = true;
		return;
	}
	conf_set_members(l->conf, set, members);
	for (uint32_t i = 0; i < set->n; i++) {
		const struct conf_sa *sa = &l->conf->sas[set->sas[i]];
		const struct origin *o = &l->sas[set->sas[i]];

		if (o->bad)
			continue;
		if (!is_used(&p, sa->dscp_set))
			item_warning(l, &sa->mark, o, "dscp_set", "a class of its own",
				     "%s has no class that others with shorter lists leave to it: "
				     "nothing is sent by it",
				     sa->name);
		else if (!is_newest(&p, i))
			item_warning(l, &sa->mark, o, sa->bundle.on ? "bundle" : "dscp_set",
				     "a worker or classes of its own",
				     "another behind %s is for the same worker and classes: "
				     "nothing is sent by %s",
				     sa->name, sa->name);
	}
	warn_fallback(l, set, &p);
	free(members);
}

/* The outer class tells the network which SA it is: one of those it carries, or each as it is. */
static void
warn_outer(struct load *l)
{
	for (uint32_t i = 0; i < l->conf->n_sas; i++) {
		const struct conf_sa *sa = &l->conf->sas[i];
		uint8_t outer = sa->outer_dscp.map[0];
		bool fixed = true;

		for (int k = 1; k < CHOICE_DSCPS; k++)
			fixed &= sa->outer_dscp.map[k] == outer;
		if (fixed && sa->direction == CONF_OUT && sa->dscp_set != 0 &&
		    (sa->dscp_set >> outer & 1) == 0)
			item_warning(l, &sa->mark, &l->sas[i], "outer_dscp", "one of them, or copy",
				     "%u is not among the classes of %s", outer, sa->name);
	}
}

void
conf_set_members(const struct conf *c, const struct conf_set *set, struct choice_member *members)
{
	for (uint32_t i = 0; i < set->n; i++) {
		const struct conf_sa *sa = &c->sas[set->sas[i]];
		bool any = !sa->bundle.on || sa->bundle.worker == CONF_WORKER_FALLBACK;
		uint32_t rank = 0;

		/* As high as the first with that list. */
		while (c->sas[set->sas[rank]].dscp_set != sa->dscp_set)
			rank++;
		members[i] = (struct choice_member) {
			.dscp = sa->dscp_set,
			.worker = any ? CHOICE_ANY_WORKER : (uint16_t)sa->bundle.worker,
			.rank = (uint8_t)(rank < UINT8_MAX ? rank : UINT8_MAX),
		};
	}
}

static int
sets_init(struct sets *s, struct load *l)
{
	uint32_t n = l->conf->n_sas + 1, n_members = 0;

	s->l = l;
	for (uint32_t i = 0; i < l->conf->n_sas; i++)
		n_members += l->conf->sas[i].bundle.on;
	s->keys = calloc(n_members + 1, sizeof(*s->keys));
	s->next = calloc(5 * (size_t)n, sizeof(*s->next));
	l->conf->sets = calloc(l->conf->n_policies + 1, sizeof(*l->conf->sets));
	if (s->keys == NULL || s->next == NULL || l->conf->sets == NULL)
		return -1;
	s->last = s->next + n;
	s->list = s->last + n;
	s->met = s->list + n;
	s->named_by = s->met + n;
	memset(s->named_by, 0xff, n * sizeof(*s->named_by));
	return index_init(&s->bundles, n_members) < 0 ?
		       -1 :
		       index_init(&s->sets, l->conf->n_policies + 1);
}

void
check_sets(struct load *l, const struct index *sas)
{
	struct sets s = { .sas = sas };

	if (sets_init(&s, l) < 0) {
		l->no_memory = true;
	} else {
		bundles_find(&s);
		for (uint32_t i = 0; i < l->conf->n_policies; i++)
			if (!l->policies[i].bad)
				policy_resolve(&s, i);
		for (uint32_t i = 0; i < l->conf->n_sets && !l->no_memory; i++)
			if (l->conf->sets[i].direction == CONF_OUT)
				warn_unused(l, &l->conf->sets[i]);
		warn_outer(l);
	}
	index_fini(&s.bundles);
	index_fini(&s.sets);
	free(s.next);
	free(s.keys);
}
