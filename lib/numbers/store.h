/* Memory for lanes, windows and holds: slabs, no malloc per SA but for large windows. Private. */
#ifndef NUMBERS_STORE_H
#define NUMBERS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slab.h"

struct lane;
struct numbers;
struct numbers_live;
struct replay;

#define STORE_WINDOW_CLASSES 3 /* 64, 128 and 192 octets: no window, up to 512, up to 1024 */

struct store {
	struct slab lives, holds, lanes;
	struct slab ends; /* struct grant or struct replay_limits of keys with one lane */
	struct slab windows[STORE_WINDOW_CLASSES];
	uint64_t large_bytes;
	int socket;
};

int store_init(struct store *s, uint32_t max_keys, int socket, struct err *err);
void store_fini(struct store *s);
uint64_t store_bytes(const struct store *s);

/* A live object with nothing in it. */
int store_live(struct store *s, struct numbers_live **live, struct err *err);
void store_live_free(struct store *s, struct numbers_live *live);

/* One lane, all zero. *place: to give it back by. */
int store_lane(struct store *s, struct lane **lane, uint32_t *place, struct err *err);
void store_lane_free(struct store *s, uint32_t place);

/* One window, initialised. */
int store_window(struct store *s, uint32_t window, bool esn, uint64_t top, struct replay **r,
		 uint32_t *place, struct err *err);
void store_window_free(struct store *s, struct replay *r, uint32_t place);

/* Whatever has no slab: on a cache line of its own, all zero; NULL: no memory. */
void *store_take(struct store *s, size_t size);
/* NULL is fine. */
void store_give(struct store *s, void *at);

/* With a copy of name, unless it is NULL. */
int store_hold(struct store *s, const char *name, struct numbers **hold, struct err *err);
void store_hold_free(struct store *s, struct numbers *hold);

#endif
