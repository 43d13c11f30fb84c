#include "route/trie.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <rte_malloc.h>

#define ROOT_BITS  16
#define GROUP_BITS 8
#define ROOT_SIZE  (1u << ROOT_BITS)
#define LEVELS_MAX 16
#define GROUPS_MAX (TRIE_CHUNKS * TRIE_CHUNK_GROUPS)

static uint32_t
entry_of(uint16_t value, uint8_t len)
{
	return (uint32_t)len << 16 | value;
}

static uint8_t
entry_len(uint32_t e)
{
	return (uint8_t)(e >> 16);
}

static uint32_t *
group_at(const struct trie *t, uint32_t group)
{
	group &= ~TRIE_EXT;
	return t->chunks[group / TRIE_CHUNK_GROUPS] + group % TRIE_CHUNK_GROUPS * TRIE_GROUP;
}

/* Readers follow the entry to what it names: that must be there first. */
static void
entry_store(uint32_t *at, uint32_t e)
{
	__atomic_store_n(at, e, __ATOMIC_RELEASE);
}

int
trie_init(struct trie *t, uint16_t none, int socket, trie_defer *defer, void *ctx, struct err *err)
{
	*t = (struct trie) { .none = none, .socket = socket, .defer = defer, .defer_ctx = ctx };
	t->root = rte_malloc_socket("trie", ROOT_SIZE * sizeof(t->root[0]), RTE_CACHE_LINE_SIZE,
				    socket);
	if (t->root == NULL)
		return err_set(err, -ENOMEM, "no memory for a routing table: give the EAL more");
	for (uint32_t i = 0; i < ROOT_SIZE; i++)
		t->root[i] = entry_of(none, 0);
	return 0;
}

void
trie_fini(struct trie *t)
{
	rte_free(t->root);
	for (uint32_t i = 0; i < TRIE_CHUNKS; i++)
		rte_free(t->chunks[i]);
	free(t->free);
	*t = (struct trie) { 0 };
}

static int
chunk_grow(struct trie *t, struct err *err)
{
	uint32_t i = t->n_groups / TRIE_CHUNK_GROUPS;
	uint32_t size = (i + 1) * TRIE_CHUNK_GROUPS;
	uint32_t *stack;

	if (i == TRIE_CHUNKS)
		return err_set(err, -ENOMEM, "the routing table has its %u groups in use",
			       GROUPS_MAX);
	/* Room to give every group back: giving never fails. */
	stack = realloc(t->free, size * sizeof(*stack));
	if (stack == NULL)
		return err_set(err, -ENOMEM, "no memory for the routing table");
	t->free = stack;
	t->chunks[i] = rte_malloc_socket("trie", TRIE_CHUNK_GROUPS * TRIE_GROUP * sizeof(uint32_t),
					 RTE_CACHE_LINE_SIZE, t->socket);
	if (t->chunks[i] == NULL)
		return err_set(err, -ENOMEM,
			       "no memory for the routing table beyond %u KiB: give the EAL more",
			       (uint32_t)(t->n_groups * TRIE_GROUP * sizeof(uint32_t) / 1024));
	return 0;
}

static int
group_take(struct trie *t, uint32_t fill, uint32_t *out, struct err *err)
{
	uint32_t *g;

	if (t->n_free > 0) {
		*out = t->free[--t->n_free];
	} else {
		int rc = t->n_groups % TRIE_CHUNK_GROUPS == 0 ? chunk_grow(t, err) : 0;

		if (rc < 0)
			return rc;
		*out = t->n_groups++;
	}
	t->n_used++;
	g = group_at(t, *out);
	for (uint32_t i = 0; i < TRIE_GROUP; i++)
		g[i] = fill;
	return 0;
}

struct unlinked {
	struct trie *trie;
	uint32_t group;
};

static void
group_give(struct trie *t, uint32_t group)
{
	t->free[t->n_free++] = group;
}

static void
unlinked_give(void *obj)
{
	struct unlinked *u = obj;

	group_give(u->trie, u->group);
	free(u);
}

static void
group_retire(struct trie *t, uint32_t group)
{
	struct unlinked *u;

	t->n_used--;
	if (t->defer == NULL) {
		group_give(t, group);
		return;
	}
	/* Without memory to remember it by, the group stays out of use: 1 KiB lost, nobody misled.
	 */
	u = malloc(sizeof(*u));
	if (u == NULL)
		return;
	*u = (struct unlinked) { .trie = t, .group = group & ~TRIE_EXT };
	t->defer(t->defer_ctx, unlinked_give, u);
}

/* The way from the root to the table that holds a prefix's own entries. */
struct way {
	int n;
	uint32_t *entries[LEVELS_MAX]; /* the entry passed at each level */
	uint32_t *table;	       /* where it ends */
	uint8_t base, bits;	       /* bits before this table, and of it */
	uint32_t added;
};

static uint32_t
table_index(const struct prefix *p, uint8_t base)
{
	const uint8_t *o = p->addr.octets;

	return base == 0 ? (uint32_t)(o[0] << 8 | o[1]) : o[base / 8];
}

static void
way_begin(const struct trie *t, struct way *way)
{
	*way = (struct way) { .table = t->root, .bits = ROOT_BITS };
}

static void
way_step(const struct trie *t, struct way *way, uint32_t *at)
{
	way->entries[way->n++] = at;
	way->table = group_at(t, *at);
	way->base += way->bits;
	way->bits = GROUP_BITS;
}

/* Takes the groups out again that all of one value have become, from the innermost. */
static void
way_shrink(struct trie *t, struct way *way)
{
	while (way->n > 0) {
		uint32_t *at = way->entries[--way->n];
		uint32_t group = *at;
		const uint32_t *g = group_at(t, group);

		/* What is longer than the way to here does not fill the group, however alike its
		 * halves look. */
		if ((g[0] & TRIE_EXT) != 0 || entry_len(g[0]) > ROOT_BITS + GROUP_BITS * way->n)
			return;
		for (uint32_t i = 1; i < TRIE_GROUP; i++)
			if (g[i] != g[0])
				return;
		entry_store(at, g[0]);
		group_retire(t, group);
	}
}

static int
way_make(struct trie *t, const struct prefix *p, struct way *way, struct err *err)
{
	way_begin(t, way);
	while (p->len > way->base + way->bits) {
		uint32_t *at = &way->table[table_index(p, way->base)];

		if ((*at & TRIE_EXT) == 0) {
			uint32_t group;
			int rc = group_take(t, *at, &group, err);

			if (rc < 0) {
				way_shrink(t, way);
				return rc;
			}
			entry_store(at, TRIE_EXT | group);
		}
		way_step(t, way, at);
	}
	return 0;
}

/* All entries of exactly, or at most, a prefix's length become e; those of longer prefixes stay. */
static void
entries_fill(struct trie *t, uint32_t *at, uint32_t n, uint8_t len, bool exactly, uint32_t e)
{
	for (uint32_t i = 0; i < n; i++) {
		if ((at[i] & TRIE_EXT) != 0)
			entries_fill(t, group_at(t, at[i]), TRIE_GROUP, len, exactly, e);
		else if (entry_len(at[i]) == len || (!exactly && entry_len(at[i]) < len))
			entry_store(&at[i], e);
	}
}

/* The entries of a prefix in the table where its way ends. */
static uint32_t *
way_range(const struct way *way, const struct prefix *p, uint32_t *n)
{
	*n = 1u << (way->base + way->bits - p->len);
	return way->table + (table_index(p, way->base) & ~(*n - 1));
}

int
trie_set(struct trie *t, const struct prefix *p, uint16_t value, struct err *err)
{
	struct way way;
	uint32_t n, *range;
	int rc;

	rc = way_make(t, p, &way, err);
	if (rc < 0)
		return rc;
	range = way_range(&way, p, &n);
	entries_fill(t, range, n, p->len, false, entry_of(value, p->len));
	return 0;
}

void
trie_clear(struct trie *t, const struct prefix *p, uint8_t around_len, uint16_t around)
{
	struct way way;
	uint32_t n, *range;

	way_begin(t, &way);
	while (p->len > way.base + way.bits) {
		uint32_t *at = &way.table[table_index(p, way.base)];

		/* Without a group here the prefix was never set. */
		if ((*at & TRIE_EXT) == 0)
			return;
		way_step(t, &way, at);
	}
	range = way_range(&way, p, &n);
	entries_fill(t, range, n, p->len, true, entry_of(around, around_len));
	way_shrink(t, &way);
}
