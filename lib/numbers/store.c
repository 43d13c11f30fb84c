#include "numbers/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

#include "numbers/live.h"

/* A window's place: its slab in the low bits, its index above; a large one has this class. */
#define CLASS_LARGE STORE_WINDOW_CLASSES
#define CLASS_BITS  2
#define CLASS_MASK  ((1u << CLASS_BITS) - 1)

static uint32_t
class_of(size_t size)
{
	return size == 0 ? 0 : RTE_MIN((size - 1) / RTE_CACHE_LINE_SIZE, (size_t)CLASS_LARGE);
}

_Static_assert(sizeof(struct numbers) + sizeof(struct numbers_live) + sizeof(struct record) +
			       3 * SLAB_BOOK_OCTETS + 2 * sizeof(uint32_t) <=
		       NUMBERS_OCTETS,
	       "what a key in use takes: hold, live object, record, its hash's bucket");

int
store_init(struct store *s, uint32_t max_keys, int socket, struct err *err)
{
	int rc;

	memset(s, 0, sizeof(*s));
	s->socket = socket;
	rc = slab_init(&s->lives, "keys in use", sizeof(struct numbers_live), max_keys, socket,
		       err);
	if (rc == 0)
		/* While SAs are replaced, a key has two holds. */
		rc = slab_init(&s->holds, "holds on keys", sizeof(struct numbers), 2 * max_keys,
			       socket, err);
	if (rc == 0)
		rc = slab_init(&s->lanes, "lanes", sizeof(struct lane), max_keys, socket, err);
	if (rc == 0)
		rc = slab_init(&s->ends, "limits of keys",
			       RTE_MAX(sizeof(struct grant), sizeof(struct replay_limits)),
			       max_keys, socket, err);
	for (uint32_t i = 0; i < STORE_WINDOW_CLASSES && rc == 0; i++)
		rc = slab_init(&s->windows[i], "replay windows", (i + 1) * RTE_CACHE_LINE_SIZE,
			       max_keys, socket, err);
	if (rc < 0)
		store_fini(s);
	return rc;
}

void
store_fini(struct store *s)
{
	for (uint32_t i = 0; i < STORE_WINDOW_CLASSES; i++)
		slab_fini(&s->windows[i]);
	slab_fini(&s->ends);
	slab_fini(&s->lanes);
	slab_fini(&s->holds);
	slab_fini(&s->lives);
}

uint64_t
store_bytes(const struct store *s)
{
	uint64_t n =
		s->lives.bytes + s->holds.bytes + s->lanes.bytes + s->ends.bytes + s->large_bytes;

	for (uint32_t i = 0; i < STORE_WINDOW_CLASSES; i++)
		n += s->windows[i].bytes;
	return n;
}

int
store_live(struct store *s, struct numbers_live **live, struct err *err)
{
	uint32_t index, unused;
	int rc = slab_take(&s->lives, &index, &unused, err);

	if (rc < 0)
		return rc;
	*live = slab_at(&s->lives, index);
	(*live)->self = index;
	return 0;
}

void
store_live_free(struct store *s, struct numbers_live *live)
{
	slab_give(&s->lives, live->self);
}

int
store_lane(struct store *s, struct lane **lane, uint32_t *place, struct err *err)
{
	uint32_t unused;
	int rc = slab_take(&s->lanes, place, &unused, err);

	if (rc == 0)
		*lane = slab_at(&s->lanes, *place);
	return rc;
}

void
store_lane_free(struct store *s, uint32_t place)
{
	slab_give(&s->lanes, place);
}

static size_t
large_size(void *at)
{
	size_t size = 0;

	rte_malloc_validate(at, &size);
	return size;
}

void *
store_take(struct store *s, size_t size)
{
	void *at = rte_zmalloc_socket("numbers", size, RTE_CACHE_LINE_SIZE, s->socket);

	if (at != NULL)
		s->large_bytes += large_size(at);
	return at;
}

void
store_give(struct store *s, void *at)
{
	if (at == NULL)
		return;
	s->large_bytes -= large_size(at);
	rte_free(at);
}

int
store_window(struct store *s, uint32_t window, bool esn, uint64_t top, struct replay **r,
	     uint32_t *place, struct err *err)
{
	size_t size = replay_size(window);
	uint32_t class = class_of(size), index = 0, unused;
	int rc;

	if (class == CLASS_LARGE) {
		*r = store_take(s, size);
		if (*r == NULL)
			return err_set(err, -ENOMEM, "replay window of %u: no memory on socket %d",
				       window, s->socket);
	} else {
		rc = slab_take(&s->windows[class], &index, &unused, err);
		if (rc < 0)
			return rc;
		*r = slab_at(&s->windows[class], index);
	}
	replay_init(*r, window, esn, top);
	*place = index << CLASS_BITS | class;
	return 0;
}

void
store_window_free(struct store *s, struct replay *r, uint32_t place)
{
	if (r->bits != (uint64_t *)(r + 1))
		store_give(s, r->bits);
	if ((place & CLASS_MASK) == CLASS_LARGE)
		store_give(s, r);
	else
		slab_give(&s->windows[place & CLASS_MASK], place >> CLASS_BITS);
}

int
store_hold(struct store *s, const char *name, struct numbers **hold, struct err *err)
{
	char *copy = name != NULL ? strdup(name) : NULL;
	uint32_t index, unused;
	int rc;

	if (name != NULL && copy == NULL)
		return err_set(err, -ENOMEM, "sa %s: no memory for its name", name);
	rc = slab_take(&s->holds, &index, &unused, err);
	if (rc < 0) {
		free(copy);
		return rc;
	}
	*hold = slab_at(&s->holds, index);
	(*hold)->self = index;
	(*hold)->name = copy;
	return 0;
}

void
store_hold_free(struct store *s, struct numbers *hold)
{
	free(hold->name);
	slab_give(&s->holds, hold->self);
}
