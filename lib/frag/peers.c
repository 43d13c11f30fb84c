#include "frag/peers.h"

#include <string.h>

#include <rte_malloc.h>

#include "frag/table.h"

#define SLOTS_MIN  64
#define COUNT_BITS 24
#define COUNT_MASK ((UINT64_C(1) << COUNT_BITS) - 1)

struct frag_peers {
	uint32_t mask, n;
	uint64_t slots[]; /* 0: free */
};

static inline uint64_t
slot_read(const struct frag_peers *p, uint32_t at)
{
	return __atomic_load_n(&p->slots[at & p->mask], __ATOMIC_RELAXED);
}

static inline void
slot_write(struct frag_peers *p, uint32_t at, uint64_t word)
{
	__atomic_store_n(&p->slots[at & p->mask], word, __ATOMIC_RELAXED);
}

/* Where the source is, or the free slot where it would be. There is always a free one. */
static uint32_t
slot_find(const struct frag_peers *p, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash >> COUNT_BITS);

	for (uint32_t i = 0; i <= p->mask; i++, at++) {
		uint64_t word = slot_read(p, at);

		if (word == 0 || ((word ^ hash) & ~COUNT_MASK) == 0)
			break;
	}
	return at & p->mask;
}

bool
frag_peers_has(const struct frag_shared *s, uint64_t hash)
{
	const struct frag_peers *p = __atomic_load_n(&s->peers, __ATOMIC_ACQUIRE);

	return p != NULL && slot_read(p, slot_find(p, hash)) != 0;
}

static uint64_t
hash_of(const struct frag_shared *s, const struct addr *addr)
{
	uint64_t src[2] = { 0, 0 };

	memcpy(src, addr->octets, addr->family == 6 ? 16 : 4);
	return source_hash(src, addr->family == 6, s->secret);
}

/* The same in a table of another size. Without memory it stays as it is. */
static void
resize(struct frag_shared *s, uint32_t slots, frag_defer *free_later, void *ctx)
{
	struct frag_peers *old = s->peers;
	struct frag_peers *p = rte_zmalloc("frag_peers", sizeof(*p) + slots * sizeof(p->slots[0]),
					   RTE_CACHE_LINE_SIZE);

	if (p == NULL)
		return;
	p->mask = slots - 1;
	for (uint32_t i = 0; old != NULL && i <= old->mask; i++) {
		if (old->slots[i] == 0)
			continue;
		slot_write(p, slot_find(p, old->slots[i]), old->slots[i]);
		p->n++;
	}
	__atomic_store_n(&s->peers, p, __ATOMIC_RELEASE);
	if (old != NULL)
		free_later(ctx, rte_free, old);
}

void
frag_peer_add(struct frag_shared *s, const struct addr *addr, frag_defer *free_later, void *ctx)
{
	uint64_t hash = hash_of(s, addr), word;
	uint32_t at;

	if (s->peers == NULL || 2 * (s->peers->n + 1) > s->peers->mask)
		resize(s, s->peers == NULL ? SLOTS_MIN : 2 * (s->peers->mask + 1), free_later, ctx);
	/* Full, and no memory: one slot stays free, for searches to end. */
	if (s->peers == NULL || s->peers->n == s->peers->mask)
		return;
	at = slot_find(s->peers, hash);
	word = slot_read(s->peers, at);
	s->peers->n += word == 0;
	if ((word & COUNT_MASK) != COUNT_MASK)
		slot_write(s->peers, at, word == 0 ? (hash & ~COUNT_MASK) + 1 : word + 1);
}

/* A slot became free: what was put behind it because it was not moves up. */
static void
close_gap(struct frag_peers *p, uint32_t gap)
{
	for (uint32_t at = gap + 1; slot_read(p, at) != 0; at++) {
		uint64_t word = slot_read(p, at);
		uint32_t home = (uint32_t)(word >> COUNT_BITS);

		/* It may stand anywhere from its home on. */
		if (((at - home) & p->mask) < ((at - gap) & p->mask))
			continue;
		slot_write(p, gap, word);
		gap = at;
	}
	slot_write(p, gap, 0);
}

void
frag_peer_del(struct frag_shared *s, const struct addr *addr, frag_defer *free_later, void *ctx)
{
	struct frag_peers *p = s->peers;
	uint64_t word;
	uint32_t at;

	if (p == NULL)
		return;
	at = slot_find(p, hash_of(s, addr));
	word = slot_read(p, at);
	if (word == 0)
		return;
	if ((word & COUNT_MASK) > 1) {
		slot_write(p, at, word - 1);
		return;
	}
	close_gap(p, at);
	p->n--;
	if (p->mask >= SLOTS_MIN && p->n < (p->mask + 1) / 8)
		resize(s, (p->mask + 1) / 2, free_later, ctx);
}
