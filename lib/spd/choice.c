#include "spd/choice.h"

#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "spd/tables.h"

/* The lists of a choice: no two are equal, the empty one is that of the rest. */
struct lists {
	uint64_t dscp[CHOICE_DSCPS + 1]; /* a list that carries no dscp needs no row */
	uint8_t rank[CHOICE_DSCPS + 1];
	uint16_t n;
};

static uint16_t
find(const struct lists *l, uint64_t dscp)
{
	uint16_t i = 0;

	while (i < l->n && l->dscp[i] != dscp)
		i++;
	return i;
}

/* Is list a to be preferred to b, where both have the class? */
static bool
is_before(const struct choice_member *a, const struct choice_member *b)
{
	int differ = __builtin_popcountll(a->dscp) - __builtin_popcountll(b->dscp);

	if (differ != 0)
		return differ < 0;
	if (a->rank != b->rank)
		return a->rank < b->rank;
	return a->dscp < b->dscp;
}

static bool
is_lower(const struct choice_member *a, const struct choice_member *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->dscp < b->dscp;
}

uint64_t
choice_list(const struct choice_params *p, uint8_t dscp)
{
	const struct choice_member *best = NULL, *lowest = &p->members[0];
	bool rest = false;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct choice_member *m = &p->members[i];

		rest |= m->dscp == 0;
		if (is_lower(m, lowest))
			lowest = m;
		if ((m->dscp >> dscp & 1) != 0 && (best == NULL || is_before(m, best)))
			best = m;
	}
	return best != NULL ? best->dscp : rest ? 0 : lowest->dscp;
}

static void
lists_find(const struct choice_params *p, struct lists *l, uint8_t row_of[CHOICE_DSCPS])
{
	l->n = 0;
	for (uint8_t dscp = 0; dscp < CHOICE_DSCPS; dscp++) {
		uint64_t list = choice_list(p, dscp);

		row_of[dscp] = (uint8_t)find(l, list);
		if (row_of[dscp] == l->n)
			l->dscp[l->n++] = list;
	}
}

/* The newest member of a list, for a worker or for any; CHOICE_NONE. */
static uint64_t
member_of(const struct choice_params *p, uint64_t dscp, uint16_t worker)
{
	for (uint32_t i = p->n; i > 0; i--)
		if (p->members[i - 1].dscp == dscp && p->members[i - 1].worker == worker)
			return p->members[i - 1].sa;
	return CHOICE_NONE;
}

static uint64_t
newest_of(const struct choice_params *p, uint64_t dscp)
{
	for (uint32_t i = p->n; i > 0; i--)
		if (p->members[i - 1].dscp == dscp)
			return p->members[i - 1].sa;
	return CHOICE_NONE;
}

static void
row_fill(struct choice *c, const struct choice_params *p, uint16_t row, uint64_t dscp)
{
	uint64_t *words = &c->words[row * c->width];
	uint64_t any = member_of(p, dscp, CHOICE_ANY_WORKER);

	if (any == CHOICE_NONE)
		any = member_of(p, 0, CHOICE_ANY_WORKER);
	c->asks &= any != CHOICE_NONE;
	for (uint16_t worker = 0; worker < p->n_workers; worker++)
		words[worker] = member_of(p, dscp, worker);
	words[p->n_workers] = any != CHOICE_NONE ? any : newest_of(p, dscp);
}

static int
make(struct spd *spd, const struct choice_params *p, uint32_t index, struct choice **out,
     struct err *err)
{
	uint8_t row_of[CHOICE_DSCPS];
	struct lists lists;
	struct choice *c;
	size_t n_words;

	lists_find(p, &lists, row_of);
	n_words = lists.n * (p->n_workers + 1u);
	c = rte_zmalloc_socket("choice", sizeof(*c) + n_words * sizeof(c->words[0]),
			       RTE_CACHE_LINE_SIZE, spd->tables->params.socket);
	if (c == NULL)
		return err_set(err, -ENOMEM, "no memory for a choice of %u SAs", p->n);
	memcpy(c->row_of, row_of, sizeof(row_of));
	c->n_rows = lists.n;
	c->width = p->n_workers + 1;
	c->asks = p->asks;
	c->index = index;
	c->spd = spd;
	for (uint16_t row = 0; row < lists.n; row++)
		row_fill(c, p, row, lists.dscp[row]);
	*out = c;
	return 0;
}

int
choice_add(struct spd *spd, const struct choice_params *p, uint32_t *index, struct err *err)
{
	uint32_t generation;
	struct choice *c;
	int rc = slab_take(&spd->choices, index, &generation, err);

	if (rc < 0)
		return rc;
	rc = make(spd, p, *index, &c, err);
	if (rc < 0)
		slab_give(&spd->choices, *index);
	else
		__atomic_store_n((struct choice **)slab_at(&spd->choices, *index), c,
				 __ATOMIC_RELEASE);
	return rc;
}

int
choice_change(struct spd *spd, uint32_t index, const struct choice_params *p, struct err *err)
{
	struct choice **at = slab_at(&spd->choices, index), *old = *at, *c;
	int rc = make(spd, p, index, &c, err);

	if (rc < 0)
		return rc;
	__atomic_store_n(at, c, __ATOMIC_RELEASE);
	spd_later(spd->tables, rte_free, old);
	return 0;
}

void
choice_repoint(struct spd *spd, uint32_t index, uint64_t from, uint64_t to)
{
	struct choice *c = *(struct choice **)slab_at(&spd->choices, index);

	for (uint32_t i = 0; i < (uint32_t)c->n_rows * c->width; i++)
		if (c->words[i] == from)
			__atomic_store_n(&c->words[i], to, __ATOMIC_RELEASE);
}

/* Nobody has its index any more. */
static void
gone(void *arg)
{
	struct choice *c = arg;

	slab_give(&c->spd->choices, c->index);
	rte_free(c);
}

/* Policies that led to it are gone; who found them before may stand on it for one grace more. */
static void
leave(void *arg)
{
	struct choice *c = arg;

	spd_later(c->spd->tables, gone, c);
}

void
choice_del(struct spd *spd, uint32_t index)
{
	spd_later(spd->tables, leave, *(struct choice **)slab_at(&spd->choices, index));
}

void
choices_fini(struct spd *spd)
{
	uint32_t i = spd->choices.chunks != NULL ? slab_next(&spd->choices, 0) : UINT32_MAX;

	for (; i != UINT32_MAX; i = slab_next(&spd->choices, i + 1))
		rte_free(*(struct choice **)slab_at(&spd->choices, i));
	slab_fini(&spd->choices);
}
