/* Rules of which many have equal addresses: a list of the newest, rte_acl for the others. */
#include <errno.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "spd/built.h"
#include "spd/tables.h"

/* So few are tried one by one in less time than rte_acl takes. */
#define FRESH_MAX 4

/* Building takes at most one part in so many of control's time. */
#define BUILD_SHARE 10

int
many_init(struct spd_tables *t, struct err *err)
{
	for (uint8_t side = 0; side < SIDES; side++) {
		t->many[side] =
			rte_zmalloc_socket("spd_many", sizeof(*t->many[side]), 0, t->params.socket);
		if (t->many[side] == NULL)
			return err_set(err, -ENOMEM, "spd: no memory");
	}
	return 0;
}

static void
many_free(void *many)
{
	struct many *m = many;

	if (m == NULL)
		return;
	built_free(m->built);
	rte_free(m);
}

void
many_fini(struct spd_tables *t)
{
	for (uint8_t side = 0; side < SIDES; side++)
		many_free(t->many[side]);
}

static const struct rule_extra *
extra_of(const struct spd_tables *t, const struct rule *r)
{
	return r->extra == EXTRA_NONE ? NULL : extra_at(t, r->extra);
}

void
many_insert(struct spd_tables *t, uint32_t index)
{
	struct rule *r = rule_at(t, index);
	struct many *m = t->many[r->side];
	uint32_t *list = &m->fresh;

	r->place = PLACE_FRESH;
	if (!built_takes(r, extra_of(t, r))) {
		r->place = PLACE_REST;
		list = &m->rest;
	}
	if (r->place == PLACE_FRESH)
		m->n_fresh++;
	else
		m->n_rest++;
	r->next = *list;
	__atomic_store_n(list, index, __ATOMIC_RELEASE);
}

static void
list_remove(struct spd_tables *t, uint32_t *link, uint32_t index)
{
	while (*link != index)
		link = &rule_at(t, *link)->next;
	__atomic_store_n(link, rule_at(t, index)->next, __ATOMIC_RELEASE);
}

void
many_remove(struct spd_tables *t, uint32_t index)
{
	struct rule *r = rule_at(t, index);
	struct many *m = t->many[r->side];

	switch (r->place) {
	case PLACE_FRESH:
		list_remove(t, &m->fresh, index);
		m->n_fresh--;
		break;
	case PLACE_REST:
		list_remove(t, &m->rest, index);
		m->n_rest--;
		break;
	default:
		m->n_dead++;
	}
}

void
many_span_set(struct spd_tables *t, const struct rule *r, uint32_t span)
{
	struct built *b = t->many[r->side]->built;
	uint32_t i = built_position(b, r->precedence);

	for (; i < b->n && b->rules[i].rule.precedence == r->precedence; i++)
		__atomic_store_n(&b->rules[i].rule.span, span, __ATOMIC_RELAXED);
}

void
many_ages_sweep(struct spd_tables *t, uint32_t generation)
{
	for (uint8_t side = 0; side < SIDES; side++) {
		struct built *b = t->many[side]->built;

		for (uint32_t i = 0; b != NULL && i < b->n; i++)
			rule_age(&b->rules[i].rule, generation);
	}
}

void
many_stats(const struct spd_tables *t, struct spd_stats *s)
{
	for (uint8_t side = 0; side < SIDES; side++) {
		const struct many *m = t->many[side];

		s->waiting += m->n_fresh + m->n_rest;
		if (m->built == NULL)
			continue;
		s->built += m->built->n - m->n_dead;
		s->bytes += sizeof(*m->built) + m->built->n * sizeof(m->built->rules[0]);
	}
}

static void
list_find(const struct spd_tables *t, uint32_t index, uint32_t generation,
	  const struct spd_key *key, struct finding *f)
{
	while (index != RULE_NONE) {
		const struct rule *r = rule_at(t, index);

		if (r->precedence < f->precedence && rule_seen(r, generation)) {
			enum match match = rule_match(r, extra_of(t, r), key);

			if (match != MATCH_NO)
				found_take(f, r, match);
		}
		index = __atomic_load_n(&r->next, __ATOMIC_ACQUIRE);
	}
}

void
many_find(const struct spd_tables *t, uint8_t side, uint32_t generation, const struct spd_key *keys,
	  uint16_t n, struct finding *found)
{
	const struct many *m = __atomic_load_n(&t->many[side], __ATOMIC_ACQUIRE);
	uint32_t fresh = __atomic_load_n(&m->fresh, __ATOMIC_ACQUIRE);
	uint32_t rest = __atomic_load_n(&m->rest, __ATOMIC_ACQUIRE);

	for (uint16_t i = 0; fresh != RULE_NONE && i < n; i++)
		list_find(t, fresh, generation, &keys[i], &found[i]);
	for (uint16_t i = 0; rest != RULE_NONE && i < n; i++)
		list_find(t, rest, generation, &keys[i], &found[i]);
	if (m->built != NULL)
		built_find(m->built, side, generation, keys, n, found);
}

static int
precedence_compare(const void *a, const void *b)
{
	const struct built_rule *x = a, *y = b;

	return x->rule.precedence < y->rule.precedence ? -1 :
							 x->rule.precedence > y->rule.precedence;
}

/* Copies of what is built and alive, and of all that is fresh; n may be 0. */
static struct built *
gather(const struct spd_tables *t, const struct many *m)
{
	uint32_t n_old = m->built != NULL ? m->built->n : 0;
	struct built *b;

	b = rte_zmalloc_socket("spd_built",
			       sizeof(*b) + (size_t)(n_old + m->n_fresh) * sizeof(b->rules[0]),
			       RTE_CACHE_LINE_SIZE, t->params.socket);
	if (b == NULL)
		return NULL;
	for (uint32_t i = 0; i < n_old; i++) {
		if (m->built->rules[i].rule.span != 0)
			b->rules[b->n++] = m->built->rules[i];
	}
	for (uint32_t i = m->fresh; i != RULE_NONE; i = rule_at(t, i)->next) {
		struct built_rule *r = &b->rules[b->n++];

		r->rule = *rule_at(t, i);
		if (r->rule.extra != EXTRA_NONE)
			r->extra = *extra_at(t, r->rule.extra);
	}
	qsort(b->rules, b->n, sizeof(b->rules[0]), precedence_compare);
	return b;
}

/* The lists' rules keep their links: a lookup may walk on them, from the old head. */
static void
replace(struct spd_tables *t, uint8_t side, struct many *next)
{
	struct many *old = t->many[side];

	for (uint32_t i = old->fresh; i != RULE_NONE; i = rule_at(t, i)->next)
		rule_at(t, i)->place = PLACE_BUILT;
	next->rest = old->rest;
	next->n_rest = old->n_rest;
	__atomic_store_n(&t->many[side], next, __ATOMIC_RELEASE);
	spd_later(t, many_free, old);
}

static int
side_build(struct spd_tables *t, uint8_t side, struct err *err)
{
	struct many *next = rte_zmalloc_socket("spd_many", sizeof(*next), 0, t->params.socket);
	struct built *b = gather(t, t->many[side]);
	int rc = 0;

	if (next == NULL || b == NULL)
		rc = err_set(err, -ENOMEM, "spd: no memory for a copy of the rules");
	if (rc == 0 && b->n > 0)
		rc = built_make(b, side, t->params.socket, err);
	if (rc < 0) {
		built_free(b);
		rte_free(next);
		return rc;
	}
	if (b->n == 0) {
		rte_free(b);
		b = NULL;
	}
	next->built = b;
	replace(t, side, next);
	return 1;
}

int
spd_maintain(struct spd *spd, bool now, struct err *err)
{
	struct spd_tables *t = spd->tables;
	uint64_t start = rte_rdtsc();
	int built = 0, rc = 0;

	if (!now && start < t->maintain_next)
		return 0;
	pairs_refresh(t);
	for (uint8_t side = 0; rc >= 0 && side < SIDES; side++) {
		const struct many *m = t->many[side];

		if (m->n_fresh <= FRESH_MAX && m->n_dead == 0)
			continue;
		rc = side_build(t, side, err);
		built |= rc > 0;
	}
	t->maintain_next = rte_rdtsc() + (rte_rdtsc() - start) * BUILD_SHARE;
	return rc < 0 ? rc : built;
}
