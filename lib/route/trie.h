/* Longest prefix match for both families: 16 bits at once, then 8 by 8, updated in place under
 * lookups.
 *
 * A value is 16 bits. Control is the only writer. A lookup at any moment finds for an address what
 * was there before or after the update at hand, never anything else: entries change by one store, a
 * group of 256 entries is complete before it is linked, and after it is unlinked it is used again
 * only when the owner says that all lookups which may have seen it are over (`defer`).
 *
 * Why not rte_fib and rte_fib6 of 22.11: they use a freed group again at once, while a lookup may
 * still be in it; and their count of groups in use goes wrong for good by ordinary changes (each
 * /128 added and deleted again takes 8 from rte_fib6; deleting a route with the same next hop as
 * the route around it makes rte_fib say ENOSPC from then on). This one also takes memory as it
 * needs it: 256 KiB when empty instead of 32 MiB.
 */
#ifndef ROUTE_TRIE_H
#define ROUTE_TRIE_H

#include <stdint.h>

#include <rte_branch_prediction.h>

#include "base/addr.h"
#include "base/err.h"

#define TRIE_GROUP	  256
#define TRIE_CHUNK_GROUPS 256 /* memory is taken for so many groups: 256 KiB */
#define TRIE_CHUNKS	  1024
#define TRIE_EXT	  UINT32_C(0x80000000)

/* Runs fn(obj) when no worker can still see what was unlinked before this call. */
typedef void trie_defer(void *ctx, void (*fn)(void *), void *obj);

/* An entry: TRIE_EXT and the number of a group, or the value and, from bit 16 on, the length of its
 * prefix. */
struct trie {
	/* Read by workers. */
	uint32_t *root;
	uint32_t *chunks[TRIE_CHUNKS];

	/* Control's own. */
	uint16_t none; /* the value where there is no prefix */
	int socket;
	uint32_t n_groups; /* ever taken */
	uint32_t n_free, n_used;
	uint32_t *free; /* stack */
	trie_defer *defer;
	void *defer_ctx;
};

/* A table where all lookups give none. defer may be NULL while nobody looks up: then groups are
 * free at once. */
int trie_init(struct trie *t, uint16_t none, int socket, trie_defer *defer, void *ctx,
	      struct err *err);
void trie_fini(struct trie *t);

/* Adds a prefix, or gives it another value. -ENOMEM: nothing changed. */
int trie_set(struct trie *t, const struct prefix *p, uint16_t value, struct err *err);

/* Removes a prefix that is there. Its addresses get the value of the next shorter prefix that
 * covers it, which the caller knows: around_len and around; 0 and the table's none if there is
 * none.
 */
void trie_clear(struct trie *t, const struct prefix *p, uint8_t around_len, uint16_t around);

/* What an entry leads to was written before it was published: so entries are acquired. */
static inline uint32_t
trie_entry(const struct trie *t, uint32_t group, uint8_t octet)
{
	const uint32_t *chunk = t->chunks[(group & ~TRIE_EXT) / TRIE_CHUNK_GROUPS];

	return __atomic_load_n(&chunk[group % TRIE_CHUNK_GROUPS * TRIE_GROUP + octet],
			       __ATOMIC_ACQUIRE);
}

static inline uint32_t
trie_root(const struct trie *t, const uint8_t *addr)
{
	return __atomic_load_n(&t->root[addr[0] << 8 | addr[1]], __ATOMIC_ACQUIRE);
}

/* addr: 4 or 16 octets in network order, of the table's family. Any worker. */
static inline uint16_t
trie_lookup(const struct trie *t, const uint8_t *addr)
{
	uint32_t e = trie_root(t, addr);

	for (addr += 2; e & TRIE_EXT; addr++)
		e = trie_entry(t, e, *addr);
	return (uint16_t)e;
}

/* The same for n addresses, each in a table of its own family, level by level: one address is a
 * chain of loads, each waiting for the one before; the n of a level wait together.
 */
static inline void
trie_lookup_bulk(const struct trie *const *tries, const uint8_t *const *addrs, uint16_t n,
		 uint32_t *values)
{
	uint32_t more = 0;

	for (uint16_t i = 0; i < n; i++) {
		values[i] = trie_root(tries[i], addrs[i]);
		more |= values[i];
	}
	for (int at = 2; unlikely(more & TRIE_EXT); at++) {
		more = 0;
		for (uint16_t i = 0; i < n; i++) {
			if ((values[i] & TRIE_EXT) == 0)
				continue;
			values[i] = trie_entry(tries[i], values[i], addrs[i][at]);
			more |= values[i];
		}
	}
}

#endif
