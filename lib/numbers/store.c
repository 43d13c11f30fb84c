#include "numbers/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>

/* A window's cookie: its slab in the low bits, its index above; a large one has this class. */
#define CLASS_LARGE STORE_WINDOW_CLASSES
#define CLASS_BITS  2

static uint32_t
class_of(size_t size)
{
	return size == 0 ? 0 : RTE_MIN((size - 1) / RTE_CACHE_LINE_SIZE, (size_t)CLASS_LARGE);
}

int
store_init(struct store *s, uint32_t max_keys, int socket, struct err *err)
{
	/* While SAs are replaced, a key has two holds, and perhaps two windows. */
	uint32_t twice = 2 * max_keys;
	int rc;

	memset(s, 0, sizeof(*s));
	s->socket = socket;
	rc = slab_init(&s->lives, "keys in use", sizeof(struct numbers_live), max_keys, socket,
		       err);
	if (rc == 0)
		rc = slab_init(&s->holds, "holds on keys", sizeof(struct numbers), twice, socket,
			       err);
	if (rc == 0)
		rc = slab_init(&s->lanes, "lanes", sizeof(struct lane), max_keys, socket, err);
	for (uint32_t i = 0; i < STORE_WINDOW_CLASSES && rc == 0; i++)
		rc = slab_init(&s->windows[i], "replay windows", (i + 1) * RTE_CACHE_LINE_SIZE,
			       twice, socket, err);
	if (rc < 0)
		store_fini(s);
	return rc;
}

void
store_fini(struct store *s)
{
	for (uint32_t i = 0; i < STORE_WINDOW_CLASSES; i++)
		slab_fini(&s->windows[i]);
	slab_fini(&s->lanes);
	slab_fini(&s->holds);
	slab_fini(&s->lives);
}

uint64_t
store_bytes(const struct store *s)
{
	uint64_t n = s->lives.bytes + s->holds.bytes + s->lanes.bytes + s->large_bytes;

	for (uint32_t i = 0; i < STORE_WINDOW_CLASSES; i++)
		n += s->windows[i].bytes;
	return n;
}

int
store_live(struct store *s, uint64_t used, struct numbers_live **live, struct err *err)
{
	uint32_t index, lane, unused;
	int rc;

	rc = slab_take(&s->lives, &index, &unused, err);
	if (rc < 0)
		return rc;
	rc = slab_take(&s->lanes, &lane, &unused, err);
	if (rc < 0) {
		slab_give(&s->lives, index);
		return rc;
	}
	*live = slab_at(&s->lives, index);
	(*live)->self = index;
	(*live)->lane_index = lane;
	(*live)->lane = slab_at(&s->lanes, lane);
	lane_init((*live)->lane, used);
	return 0;
}

void
store_live_free(struct store *s, struct numbers_live *live)
{
	slab_give(&s->lanes, live->lane_index);
	slab_give(&s->lives, live->self);
}

static struct replay *
large_window(struct store *s, size_t size)
{
	struct replay *r = rte_zmalloc_socket("window", size, RTE_CACHE_LINE_SIZE, s->socket);

	if (r != NULL)
		s->large_bytes += size;
	return r;
}

int
store_window(struct store *s, uint32_t window, bool esn, uint64_t top, struct replay **r,
	     struct err *err)
{
	size_t size = replay_size(window);
	uint32_t class = class_of(size), index = 0, unused;
	int rc;

	if (class == CLASS_LARGE) {
		*r = large_window(s, size);
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
	(*r)->cookie = index << CLASS_BITS | class;
	return 0;
}

void
store_window_free(struct store *s, struct replay *r)
{
	uint32_t class;

	if (r == NULL)
		return;
	class = r->cookie & ((1u << CLASS_BITS) - 1);
	if (class == CLASS_LARGE) {
		s->large_bytes -= sizeof(*r) + ((size_t)r->word_mask + 1) * sizeof(r->words[0]);
		rte_free(r);
	} else {
		slab_give(&s->windows[class], r->cookie >> CLASS_BITS);
	}
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
