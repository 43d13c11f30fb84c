/* Policies and their commits. */
#include "spd/spd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <rte_malloc.h>

#include "spd/tables.h"

/* Order and age in one number: the age of policies of one order counts modulo 2^30. */
#define SERIAL_BITS 30

#define GENERATION_FIRST 1

/* More rules than policies: where policies have lists, or both families. */
#define RULES_SPARE (64u << 10)

static uint32_t
max_rules(const struct spd_params *p)
{
	if (p->max_rules != 0)
		return p->max_rules;
	return p->max_policies + RTE_MAX(p->max_policies / 4, RULES_SPARE);
}

static int
tables_init(struct spd *spd, const struct spd_params *p, struct err *err)
{
	struct spd_tables *t = spd->tables;
	uint32_t none, generation;
	int rc;

	t->params = *p;
	t->params.max_rules = max_rules(p);
	/* Index 0 stands for no rule. */
	rc = slab_init(&t->rules, "spd_rules", sizeof(struct rule), t->params.max_rules + 1,
		       p->socket, err);
	if (rc == 0)
		rc = slab_take(&t->rules, &none, &generation, err);
	assert(rc < 0 || none == RULE_NONE);
	if (rc == 0)
		rc = slab_init(&t->extras, "spd_extras", sizeof(struct rule_extra),
			       t->params.max_rules, p->socket, err);
	if (rc == 0)
		rc = slab_init(&spd->policies, "spd_policies", sizeof(struct policy),
			       p->max_policies, p->socket, err);
	if (rc == 0)
		rc = slab_init(&spd->choices, "spd_choices", sizeof(struct choice *),
			       p->max_policies, p->socket, err);
	if (rc == 0)
		rc = pairs_init(t, err);
	return rc < 0 ? rc : many_init(t, err);
}

void
spd_free(struct spd *spd)
{
	struct spd_tables *t;

	if (spd == NULL)
		return;
	t = spd->tables;
	if (t != NULL) {
		many_fini(t);
		pairs_fini(t);
		slab_fini(&t->extras);
		slab_fini(&t->rules);
		free(t->added);
		free(t->dying);
		rte_free(t);
	}
	choices_fini(spd);
	slab_fini(&spd->policies);
	rte_free(spd);
}

int
spd_create(const struct spd_params *p, struct spd **out, struct err *err)
{
	static uint32_t instances;
	struct spd *spd;
	int rc;

	if (p->max_policies == 0 || p->max_policies > 1u << 24 || p->max_rules > 1u << 26)
		return err_set(err, -EINVAL, "spd: 1 to %u policies, at most %u rules", 1u << 24,
			       1u << 26);
	spd = rte_zmalloc_socket("spd", sizeof(*spd), RTE_CACHE_LINE_SIZE, p->socket);
	if (spd == NULL)
		return err_set(err, -ENOMEM, "spd: no memory on socket %d", p->socket);
	spd->generation = GENERATION_FIRST;
	spd->instance = ++instances;
	spd->tables =
		rte_zmalloc_socket("spd", sizeof(*spd->tables), RTE_CACHE_LINE_SIZE, p->socket);
	rc = spd->tables == NULL ? err_set(err, -ENOMEM, "spd: no memory on socket %d", p->socket) :
				   tables_init(spd, p, err);
	if (rc < 0) {
		spd_free(spd);
		return rc;
	}
	*out = spd;
	return 0;
}

size_t
spd_memory(const struct spd_params *p)
{
	size_t book = sizeof(struct slab_book) / SLAB_CHUNK_ITEMS + 1;
	size_t each = sizeof(struct policy) + sizeof(struct rule) + 2 * book;

	return p->max_policies * each + buckets_for(max_rules(p)) * sizeof(struct bucket);
}

void
spd_later(struct spd_tables *t, void (*free_fn)(void *), void *obj)
{
	if (t->params.defer != NULL)
		t->params.defer(t->params.defer_ctx, free_fn, obj);
	else
		free_fn(obj);
}

/* Room for one more in a list of policies. */
static int
batch_reserve(struct batch **batch, struct err *err)
{
	struct batch *b = *batch;
	uint32_t room = b != NULL ? b->room * 2 : 16;
	uint32_t n = b != NULL ? b->n : 0;

	if (b != NULL && n < b->room)
		return 0;
	b = realloc(b, sizeof(*b) + room * sizeof(b->policies[0]));
	if (b == NULL)
		return err_set(err, -ENOMEM, "spd: no memory for a list of changes");
	b->n = n;
	b->room = room;
	*batch = b;
	return 0;
}

static uint32_t
generation_after(uint32_t generation)
{
	/* 0 is what an empty entry of a flow cache has. */
	return generation == UINT32_MAX ? GENERATION_FIRST : generation + 1;
}

static void
rule_enter(struct spd_tables *t, uint32_t index, uint32_t born)
{
	struct rule *r = rule_at(t, index);

	r->born = born;
	r->span = SPAN_FOREVER;
	if (!hash_insert(t, index))
		many_insert(t, index);
}

static void
rules_enter(struct spd *spd, uint32_t first)
{
	struct spd_tables *t = spd->tables;
	uint32_t born = generation_after(spd->generation);

	for (uint32_t i = first; i != RULE_NONE; i = rule_sibling(t, rule_at(t, i)))
		rule_enter(t, i, born);
}

int
spd_add(struct spd *spd, const struct policy_params *p, uint32_t *index, struct err *err)
{
	struct spd_tables *t = spd->tables;
	uint32_t generation;
	struct policy *pol;
	int rc;

	rc = policy_check(p, err);
	if (rc == 0)
		rc = batch_reserve(&t->added, err);
	if (rc == 0)
		rc = slab_take(&spd->policies, index, &generation, err);
	if (rc < 0)
		return rc;
	pol = slab_at(&spd->policies, *index);
	pol->precedence = p->order << SERIAL_BITS | (t->serial & ((1u << SERIAL_BITS) - 1));
	pol->sa = spd_sa_word(p->sa, p->sa_generation);
	pol->group = p->group;
	pol->name = p->name;
	pol->action = p->action;
	pol->direction = p->direction;
	pol->icmp = p->icmp;
	rc = rules_make(spd, p, *index, err);
	if (rc < 0) {
		slab_give(&spd->policies, *index);
		return rc;
	}
	t->serial++;
	rules_enter(spd, pol->first_rule);
	t->added->policies[t->added->n++] = *index;
	return 0;
}

static void
rule_span_set(struct spd_tables *t, struct rule *r, uint32_t span)
{
	__atomic_store_n(&r->span, span, __ATOMIC_RELAXED);
	if (r->place == PLACE_BUILT)
		many_span_set(t, r, span);
}

/* How many generations after its birth a policy ends; all its rules are of one age. */
static void
policy_span_set(struct spd *spd, uint32_t policy, uint32_t span)
{
	struct spd_tables *t = spd->tables;
	uint32_t i = spd_policy(spd, policy)->first_rule;

	for (; i != RULE_NONE; i = rule_sibling(t, rule_at(t, i)))
		rule_span_set(t, rule_at(t, i), span);
}

static bool
policy_lives(const struct spd *spd, uint32_t policy)
{
	uint32_t first;

	if (policy >= spd->policies.max || spd->policies.chunks[policy >> SLAB_CHUNK_SHIFT] == NULL)
		return false;
	first = spd_policy(spd, policy)->first_rule;
	return first != RULE_NONE && rule_at(spd->tables, first)->span == SPAN_FOREVER;
}

int
spd_del(struct spd *spd, uint32_t index, struct err *err)
{
	struct spd_tables *t = spd->tables;
	const struct rule *r;
	int rc;

	if (!policy_lives(spd, index))
		return err_set(err, -ENOENT, "spd: no policy has the index %u", index);
	rc = batch_reserve(&t->dying, err);
	if (rc < 0)
		return rc;
	r = rule_at(t, spd_policy(spd, index)->first_rule);
	policy_span_set(spd, index, generation_after(spd->generation) - r->born);
	t->dying->policies[t->dying->n++] = index;
	return 0;
}

/* No lookup has a pointer to any of them left. */
static void
batch_free(void *arg)
{
	struct batch *b = arg;

	for (uint32_t i = 0; i < b->n; i++) {
		rules_free(b->spd->tables, spd_policy(b->spd, b->policies[i])->first_rule);
		slab_give(&b->spd->policies, b->policies[i]);
	}
	free(b);
}

static void
rules_unlink(struct spd_tables *t, uint32_t first)
{
	for (uint32_t i = first; i != RULE_NONE; i = rule_sibling(t, rule_at(t, i))) {
		struct rule *r = rule_at(t, i);

		if (r->place == PLACE_CHAIN)
			hash_remove(t, i);
		else
			many_remove(t, i);
	}
}

/* No lookup sees any of them any more, but one may stand on them in passing. */
static void
batch_unlink(void *arg)
{
	struct batch *b = arg;

	for (uint32_t i = 0; i < b->n; i++) {
		/* 0, as what rte_acl still names must not come back when generations wrap. */
		policy_span_set(b->spd, b->policies[i], 0);
		rules_unlink(b->spd->tables, spd_policy(b->spd, b->policies[i])->first_rule);
	}
	pairs_publish(b->spd->tables);
	spd_later(b->spd->tables, batch_free, b);
}

static void
age_chunk(struct slab *rules, uint32_t chunk, uint32_t generation)
{
	uint32_t first = chunk << SLAB_CHUNK_SHIFT;
	uint32_t n = RTE_MIN(SLAB_CHUNK_ITEMS, rules->max - first);

	for (uint32_t i = 0; i < n; i++)
		rule_age(slab_at(rules, first + i), generation);
}

/* Keeps the ages of living rules far below SPAN_FOREVER. */
static void
ages_sweep(struct spd *spd)
{
	struct slab *rules = &spd->tables->rules;

	for (uint32_t c = 0; c < rules->n_chunks; c++) {
		if (rules->chunks[c] != NULL)
			age_chunk(rules, c, spd->generation);
	}
	many_ages_sweep(spd->tables, spd->generation);
}

void
spd_commit(struct spd *spd)
{
	struct spd_tables *t = spd->tables;
	struct batch *dead = t->dying;

	if ((t->added == NULL || t->added->n == 0) && dead == NULL)
		return;
	pairs_publish(t);
	__atomic_store_n(&spd->generation, generation_after(spd->generation), __ATOMIC_RELEASE);
	free(t->added);
	t->added = NULL;
	t->dying = NULL;
	if (dead != NULL) {
		dead->spd = spd;
		spd_later(t, batch_unlink, dead);
	}
	if (spd->generation % AGE_SWEEP == 0)
		ages_sweep(spd);
}

void
spd_abort(struct spd *spd)
{
	struct spd_tables *t = spd->tables;
	struct batch *added = t->added;

	for (uint32_t i = 0; t->dying != NULL && i < t->dying->n; i++)
		policy_span_set(spd, t->dying->policies[i], SPAN_FOREVER);
	free(t->dying);
	t->dying = NULL;
	t->added = NULL;
	if (added != NULL) {
		/* Nobody has ever seen them. */
		added->spd = spd;
		batch_unlink(added);
	}
}

void
spd_sa_set(struct spd *spd, uint32_t index, uint32_t sa, uint32_t sa_generation)
{
	struct policy *pol = slab_at(&spd->policies, index);

	__atomic_store_n(&pol->sa, spd_sa_word(sa, sa_generation), __ATOMIC_RELEASE);
	/* Released: who sees it counted sees the SA. */
	__atomic_store_n(&spd->pointed, spd->pointed + 1, __ATOMIC_RELEASE);
}

void
spd_stats(const struct spd *spd, struct spd_stats *s)
{
	const struct spd_tables *t = spd->tables;

	*s = (struct spd_stats) {
		.policies = spd->policies.n_taken,
		.rules = t->rules.n_taken - 1,
		.choices = spd->choices.n_taken,
		.bytes = sizeof(*spd) + sizeof(*t) + spd->policies.bytes + spd->choices.bytes +
			 t->rules.bytes + t->extras.bytes +
			 (t->bucket_mask + (size_t)1) * sizeof(*t->buckets),
	};
	for (uint8_t side = 0; side < SIDES; side++) {
		const struct pair_list *list = t->pairs[side];

		s->pairs[SIDE_DIRECTION(side)][SIDE_V6(side)] = list != NULL ? list->n : 0;
	}
	many_stats(t, s);
}
