#include "base/slab.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#define SLAB_NO_CHUNK UINT32_MAX
#define LINK_END      UINT16_MAX
#define LINK_TAKEN    (UINT16_MAX - 1)

/* A chunk is used up to this many free ones while another may be had: so long an index rests at
 * least. */
#define SLAB_REST 64

static uint32_t
chunk_items(const struct slab *s, uint32_t chunk)
{
	return RTE_MIN(SLAB_CHUNK_ITEMS, s->max - chunk * SLAB_CHUNK_ITEMS);
}

static size_t
chunk_bytes(const struct slab *s, uint32_t chunk)
{
	return (size_t)chunk_items(s, chunk) * s->size;
}

int
slab_init(struct slab *s, const char *name, uint32_t size, uint32_t max, int socket,
	  struct err *err)
{
	memset(s, 0, sizeof(*s));
	if (size == 0 || size > UINT32_MAX / 2 || max == 0)
		return err_set(err, -EINVAL, "slab %s: %u items of %u octets", name, max, size);
	s->name = name;
	s->size = RTE_ALIGN_CEIL(size, 8);
	s->max = max;
	s->socket = socket;
	s->spare = SLAB_NO_CHUNK;
	s->first_generation = 1;
	s->n_chunks = (max - 1) / SLAB_CHUNK_ITEMS + 1;
	s->chunks = rte_zmalloc_socket(name, s->n_chunks * sizeof(*s->chunks), RTE_CACHE_LINE_SIZE,
				       socket);
	s->books = rte_zmalloc_socket(name, s->n_chunks * sizeof(*s->books), RTE_CACHE_LINE_SIZE,
				      socket);
	if (s->chunks == NULL || s->books == NULL) {
		slab_fini(s);
		return err_set(err, -ENOMEM, "slab %s: no memory on socket %d", name, socket);
	}
	s->bytes = s->n_chunks * (sizeof(*s->chunks) + sizeof(*s->books));
	return 0;
}

void
slab_asked(struct slab *s, slab_later *later, void *ctx)
{
	s->later = later;
	s->later_ctx = ctx;
}

static void
chunk_free(struct slab *s, uint32_t chunk)
{
	rte_free(s->chunks[chunk]);
	__atomic_store_n(&s->chunks[chunk], NULL, __ATOMIC_RELAXED);
	s->bytes -= chunk_bytes(s, chunk);
}

/* The book of an empty chunk. Who asks for one of its indices then finds none, and one that is
 * opened in its place begins behind all generations that there were.
 */
static void
book_close(struct slab *s, uint32_t chunk)
{
	struct slab_book *book = s->books[chunk];

	for (uint32_t i = 0; i < chunk_items(s, chunk); i++)
		s->first_generation = RTE_MAX(s->first_generation, book->generation[i]);
	__atomic_store_n(&s->books[chunk], NULL, __ATOMIC_RELEASE);
	s->bytes -= sizeof(*book);
	if (s->later != NULL)
		s->later(s->later_ctx, rte_free, book);
	else
		rte_free(book);
}

void
slab_fini(struct slab *s)
{
	for (uint32_t i = 0; i < s->n_chunks; i++) {
		if (s->chunks != NULL && s->chunks[i] != NULL) {
			explicit_bzero(s->chunks[i], chunk_bytes(s, i));
			chunk_free(s, i);
		}
		if (s->books != NULL)
			rte_free(s->books[i]);
	}
	rte_free(s->chunks);
	rte_free(s->books);
	memset(s, 0, sizeof(*s));
}

/* All indices free, in ascending order. */
static int
book_open(struct slab *s, uint32_t chunk)
{
	uint32_t n = chunk_items(s, chunk);
	struct slab_book *book;

	book = rte_zmalloc_socket(s->name, sizeof(*book), RTE_CACHE_LINE_SIZE, s->socket);
	if (book == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		book->generation[i] = s->first_generation;
		book->link[i] = i + 1 == n ? LINK_END : i + 1;
	}
	book->tail = n - 1;
	book->n_free = n;
	s->bytes += sizeof(*book);
	__atomic_store_n(&s->books[chunk], book, __ATOMIC_RELEASE);
	return 0;
}

static int
chunk_open(struct slab *s, uint32_t chunk)
{
	uint8_t *items;

	if (s->books[chunk] == NULL && book_open(s, chunk) < 0)
		return -ENOMEM;
	if (s->chunks[chunk] != NULL)
		return 0;
	items = rte_zmalloc_socket(s->name, chunk_bytes(s, chunk), RTE_CACHE_LINE_SIZE, s->socket);
	if (items == NULL)
		return -ENOMEM;
	s->bytes += chunk_bytes(s, chunk);
	__atomic_store_n(&s->chunks[chunk], items, __ATOMIC_RELEASE);
	return 0;
}

static uint32_t
n_free(const struct slab *s, uint32_t chunk)
{
	return s->books[chunk] == NULL ? chunk_items(s, chunk) : s->books[chunk]->n_free;
}

uint32_t
slab_next(const struct slab *s, uint32_t from)
{
	for (uint32_t chunk = from >> SLAB_CHUNK_SHIFT; chunk < s->n_chunks; chunk++) {
		uint32_t n = chunk_items(s, chunk);

		if (s->chunks[chunk] == NULL || n_free(s, chunk) == n)
			continue;
		for (uint32_t i = RTE_MAX(from, chunk << SLAB_CHUNK_SHIFT) & SLAB_CHUNK_MASK; i < n;
		     i++)
			if (s->books[chunk]->link[i] == LINK_TAKEN)
				return (chunk << SLAB_CHUNK_SHIFT) + i;
	}
	return UINT32_MAX;
}

uint32_t
slab_end(const struct slab *s)
{
	uint32_t chunk = s->n_chunks;

	while (chunk > 0 &&
	       (s->chunks[chunk - 1] == NULL || n_free(s, chunk - 1) == chunk_items(s, chunk - 1)))
		chunk--;
	return chunk == 0 ? 0 : (chunk - 1) * SLAB_CHUNK_ITEMS + chunk_items(s, chunk - 1);
}

/* Low chunks first, so that high ones run empty. */
static uint32_t
chunk_pick(struct slab *s)
{
	while (s->first_roomy < s->n_chunks && n_free(s, s->first_roomy) <= SLAB_REST)
		s->first_roomy++;
	if (s->first_roomy < s->n_chunks)
		return s->first_roomy;
	while (s->first_free < s->n_chunks && n_free(s, s->first_free) == 0)
		s->first_free++;
	return s->first_free < s->n_chunks ? s->first_free : SLAB_NO_CHUNK;
}

int
slab_take(struct slab *s, uint32_t *index, uint32_t *generation, struct err *err)
{
	uint32_t chunk = chunk_pick(s);
	struct slab_book *book;
	uint16_t slot;

	if (chunk == SLAB_NO_CHUNK)
		return err_set(err, -ENOSPC, "%s: all %u are in use", s->name, s->max);
	if (chunk_open(s, chunk) < 0)
		return err_set(err, -ENOMEM, "%s: no memory on socket %d", s->name, s->socket);
	book = s->books[chunk];
	slot = book->head;
	book->head = book->link[slot];
	book->link[slot] = LINK_TAKEN;
	book->n_free--;
	s->n_taken++;
	if (s->spare == chunk)
		s->spare = SLAB_NO_CHUNK;
	*index = chunk * SLAB_CHUNK_ITEMS + slot;
	*generation = book->generation[slot];
	return 0;
}

void
slab_retire(struct slab *s, uint32_t index)
{
	uint32_t *g = &s->books[index >> SLAB_CHUNK_SHIFT]->generation[index & SLAB_CHUNK_MASK];

	__atomic_store_n(g, *g == SLAB_GENERATION_MAX ? 1 : *g + 1, __ATOMIC_RELAXED);
}

/* One empty chunk stays while many others are in use: an item that comes and goes at a border is no
 * work.
 */
static void
chunk_empty(struct slab *s, uint32_t chunk)
{
	if (s->spare == SLAB_NO_CHUNK) {
		s->spare = chunk;
		return;
	}
	chunk_free(s, RTE_MAX(s->spare, chunk));
	book_close(s, RTE_MAX(s->spare, chunk));
	s->spare = RTE_MIN(s->spare, chunk);
}

static void
spare_free(struct slab *s)
{
	chunk_free(s, s->spare);
	/* The last book stays: an index is to rest. */
	if (s->n_taken != 0)
		book_close(s, s->spare);
	s->spare = SLAB_NO_CHUNK;
}

void
slab_give(struct slab *s, uint32_t index)
{
	uint32_t chunk = index >> SLAB_CHUNK_SHIFT;
	uint16_t slot = index & SLAB_CHUNK_MASK;
	struct slab_book *book;

	assert(index < s->max && s->books[chunk] != NULL);
	book = s->books[chunk];
	assert(book->link[slot] == LINK_TAKEN);
	slab_retire(s, index);
	explicit_bzero(slab_at(s, index), s->size);
	if (book->n_free == 0)
		book->head = slot;
	else
		book->link[book->tail] = slot;
	book->tail = slot;
	book->link[slot] = LINK_END;
	book->n_free++;
	s->n_taken--;
	s->first_free = RTE_MIN(s->first_free, chunk);
	if (book->n_free > SLAB_REST)
		s->first_roomy = RTE_MIN(s->first_roomy, chunk);
	if (book->n_free == chunk_items(s, chunk))
		chunk_empty(s, chunk);
	if (s->spare != SLAB_NO_CHUNK && s->n_taken < SLAB_CHUNK_ITEMS / 2)
		spare_free(s);
}
