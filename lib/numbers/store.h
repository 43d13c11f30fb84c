/* Memory for lanes, windows and holds: slabs, no malloc per SA but for large windows. Private. */
#ifndef NUMBERS_STORE_H
#define NUMBERS_STORE_H

#include "base/slab.h"
#include "numbers/numbers.h"
#include "numbers/record.h"
#include "replay/replay.h"
#include "seq/seq.h"

/* The numbers of a key in use. */
struct numbers_live {
	struct lane *lane;
	struct replay *window; /* the newest; users of an older one are led to it */
	struct numbers *users;
	struct numbers_job *jobs; /* the youngest first */
	uint64_t floor;		  /* the highest start that was asked for */
	uint32_t self, lane_index, record;
	uint16_t worker;
};

struct numbers_job {
	struct numbers_job *next;
	struct numbers_live *live;
	struct lane *lane;    /* whose counters, and out whose number, are to be raised */
	struct replay *old;   /* current when the job was made; NULL out */
	struct replay *fresh; /* to go on in, or NULL */
	uint64_t start, floor_before;
	uint64_t packets, bytes;
	bool ran;
};

#define STORE_WINDOW_CLASSES 3 /* 64, 128 and 192 octets: windows up to 256, 512 and 1024 */

struct store {
	struct slab lives, holds, lanes;
	struct slab windows[STORE_WINDOW_CLASSES];
	uint64_t large_bytes;
	int socket;
};

int store_init(struct store *s, uint32_t max_keys, int socket, struct err *err);
void store_fini(struct store *s);
uint64_t store_bytes(const struct store *s);

/* A live object with a lane that goes on above used; no window, no users. */
int store_live(struct store *s, uint64_t used, struct numbers_live **live, struct err *err);
void store_live_free(struct store *s, struct numbers_live *live);

int store_window(struct store *s, uint32_t window, bool esn, uint64_t top, struct replay **r,
		 struct err *err);
/* NULL is fine. */
void store_window_free(struct store *s, struct replay *r);

/* With a copy of name, unless it is NULL. */
int store_hold(struct store *s, const char *name, struct numbers **hold, struct err *err);
void store_hold_free(struct store *s, struct numbers *hold);

#endif
