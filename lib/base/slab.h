/* Items addressed by an index: chunks of 4,096, taken when needed and given back when empty.
 *
 * Control takes and gives; workers read. An index stays the same for an item's life, and goes to
 * the end of a queue when it is given, so that it does not come back at once. With each index goes
 * a generation, kept outside the items: what waits somewhere with an index and a generation finds
 * its item with slab_find() or learns that it is gone.
 *
 * Items are zero when taken and wiped when given. An item whose size is a power of two of at least
 * 64 has cache lines of its own.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>

#include "base/err.h"

#define SLAB_GENERATION_MAX INT32_MAX /* the top bit is for who keeps other things beside items */
#define SLAB_BOOK_OCTETS    6	      /* of each item, beside it */
#define SLAB_CHUNK_SHIFT    12
#define SLAB_CHUNK_ITEMS    (1u << SLAB_CHUNK_SHIFT)
#define SLAB_CHUNK_MASK	    (SLAB_CHUNK_ITEMS - 1)

/* What is kept of a chunk's indices, as long as the chunk. */
struct slab_book {
	uint32_t generation[SLAB_CHUNK_ITEMS]; /* 1 to SLAB_GENERATION_MAX; read by workers */
	uint16_t link[SLAB_CHUNK_ITEMS]; /* the next free one of this chunk, or that it is taken */
	uint16_t head, tail;
	uint32_t n_free;
};

/* Calls fn(obj) when no worker can hold obj any more. */
typedef void slab_later(void *ctx, void (*fn)(void *obj), void *obj);

struct slab {
	/* Read by workers. */
	uint8_t **chunks; /* NULL where there is none */
	struct slab_book **books;
	uint32_t size;
	uint32_t max;

	/* Control's own. */
	uint32_t n_chunks;
	uint32_t n_taken;
	uint32_t first_roomy;	   /* no chunk below has many free */
	uint32_t first_free;	   /* no chunk below has any free */
	uint32_t spare;		   /* the one empty chunk that is kept, or UINT32_MAX */
	uint32_t first_generation; /* of books to come: no index ever has a generation twice */
	slab_later *later;
	void *later_ctx;
	int socket;
	const char *name;
	uint64_t bytes; /* memory in use, books and lists included */
};

/* An empty slab of at most max items of size octets each (rounded up to a multiple of 8), on that
 * NUMA socket or SOCKET_ID_ANY. Keeps name: a literal. -EINVAL: size or max is 0; -ENOMEM.
 */
int slab_init(struct slab *s, const char *name, uint32_t size, uint32_t max, int socket,
	      struct err *err);

/* Workers ask slab_find() of this slab: what that reads is freed by later, which may be NULL where
 * there are no workers yet. Without this call only control may ask.
 */
void slab_asked(struct slab *s, slab_later *later, void *ctx);

/* Wipes what is still taken. For a slab that no worker reads any more; also for one that is all
 * zero. */
void slab_fini(struct slab *s);

/* Takes a free item: all zero, alone to the caller. -ENOSPC: max are taken; -ENOMEM. */
int slab_take(struct slab *s, uint32_t *index, uint32_t *generation, struct err *err);

/* From now on slab_find() does not find the item. To be followed by a grace period and slab_give().
 */
void slab_retire(struct slab *s, uint32_t index);

/* Wipes the item and takes it back, after a grace period of all workers: its chunk may be freed
 * here. */
void slab_give(struct slab *s, uint32_t index);

/* The first index from `from` on that is taken, or UINT32_MAX. Control only. */
uint32_t slab_next(const struct slab *s, uint32_t from);
/* No index at or above is taken. */
uint32_t slab_end(const struct slab *s);

/* The item at an index that is known to be taken. */
static inline void *
slab_at(const struct slab *s, uint32_t index)
{
	return s->chunks[index >> SLAB_CHUNK_SHIFT] + (size_t)(index & SLAB_CHUNK_MASK) * s->size;
}

/* The item that had index and generation together, or NULL where it is gone. Any index may be
 * asked. */
static inline void *
slab_find(const struct slab *s, uint32_t index, uint32_t generation)
{
	const struct slab_book *book;

	if (unlikely(index >= s->max))
		return NULL;
	book = __atomic_load_n(&s->books[index >> SLAB_CHUNK_SHIFT], __ATOMIC_ACQUIRE);
	if (unlikely(book == NULL))
		return NULL;
	if (unlikely(__atomic_load_n(&book->generation[index & SLAB_CHUNK_MASK],
				     __ATOMIC_RELAXED) != generation))
		return NULL;
	return slab_at(s, index);
}

#endif
