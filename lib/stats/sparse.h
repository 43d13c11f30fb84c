/* Drops per SA: a cell exists only for a pair (SA index, reason) that occurred.
 *
 * One table per worker, filled by the worker, read by control at any time. The cells are taken from
 * a fixed pool; when it is used up a drop still counts in the worker's totals, and in `overflow`.
 * The generation tells the users of one index apart; cells of SAs that are gone stay until the end.
 */
#ifndef STATS_SPARSE_H
#define STATS_SPARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "stats/drops.h"

#define SPARSE_SLOTS 8192 /* power of two */

struct sparse_cell {
	uint64_t key; /* 0 = free; else SA index, generation and reason: see sparse_key */
	uint64_t count;
};

struct sparse {
	uint64_t overflow;
	struct sparse_cell cells[SPARSE_SLOTS];
};

/* Owner only. */
void sparse_add(struct sparse *s, uint32_t sa, uint32_t generation, enum drop_reason why);
/* The count of one pair; any thread. */
uint64_t sparse_get(const struct sparse *s, uint32_t sa, uint32_t generation, enum drop_reason why);

/* The cells in use, in no order, any thread: *at begins at 0; stores whose it is. False: there is
 * no further one.
 */
bool sparse_next(const struct sparse *s, uint32_t *at, uint32_t *sa);

#endif
