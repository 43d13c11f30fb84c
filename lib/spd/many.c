/* Rules of which many have equal addresses: a list of the newest, rte_acl for the rest. */
#include <errno.h>

#include <rte_malloc.h>

#include "spd/tables.h"

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

void
many_fini(struct spd_tables *t)
{
	for (uint8_t side = 0; side < SIDES; side++)
		rte_free(t->many[side]);
}

void
many_insert(struct spd_tables *t, uint32_t index)
{
	struct rule *r = rule_at(t, index);
	struct many *m = t->many[r->side];

	r->place = PLACE_FRESH;
	r->next = m->fresh;
	m->n_fresh++;
	__atomic_store_n(&m->fresh, index, __ATOMIC_RELEASE);
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

	list_remove(t, &m->fresh, index);
	m->n_fresh--;
}

void
many_span_set(struct spd_tables *t, const struct rule *r, uint32_t span)
{
}

void
many_ages_sweep(struct spd_tables *t, uint32_t generation)
{
}

void
many_stats(const struct spd_tables *t, struct spd_stats *s)
{
	for (uint8_t side = 0; side < SIDES; side++)
		s->waiting += t->many[side]->n_fresh + t->many[side]->n_rest;
}

static void
list_find(const struct spd_tables *t, uint32_t index, uint32_t generation,
	  const struct spd_key *key, struct finding *f)
{
	while (index != RULE_NONE) {
		const struct rule *r = rule_at(t, index);

		if (r->precedence < f->precedence && rule_seen(r, generation)) {
			const struct rule_extra *x =
				r->extra == EXTRA_NONE ? NULL : extra_at(t, r->extra);
			enum match match = rule_match(r, x, key);

			if (match != MATCH_NO) {
				f->precedence = r->precedence;
				f->policy = match == MATCH_YES ? r->policy : SPD_FRAG_PORTS;
			}
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

	for (uint16_t i = 0; fresh != RULE_NONE && i < n; i++)
		list_find(t, fresh, generation, &keys[i], &found[i]);
}

int
spd_maintain(struct spd *spd, bool now, struct err *err)
{
	pairs_refresh(spd->tables);
	return 0;
}
