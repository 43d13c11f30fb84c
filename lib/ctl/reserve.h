/* Numbers that survive a crash: the state file (lib/state) under the numbers of keys (lib/numbers).
 *
 * With gateway.state_file a lane sends nothing, and a window accepts nothing, above a number that
 * is on the disk. Each key asks for a first block when an SA is made of it, and for another when
 * half of one is used. Without it all of this does nothing.
 *
 * A block is twice what went through in the last second, and at least gateway.state_block. Lanes
 * that an inbound SA with subspaces has not seen yet have one record together, until they need
 * more.
 */
#ifndef CTL_RESERVE_H
#define CTL_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct gw;
struct lane_event;
struct numbers;
struct numbers_ask;
struct reserve;
struct state_counts;
struct state_known;

/* A part of the gateway: opens the file, and closes it when all numbers are at rest. */
int reserve_init(struct gw *gw, struct err *err);
void reserve_fini(struct gw *gw);
/* The secret for hashes; NULL: none. */
const uint8_t *reserve_secret(const struct gw *gw);

/* Before numbers_attach(): what the file knows of the key; marks the ask. ask->floors is borrowed
 * until the next call. -EIO, -ENOMEM. */
int reserve_floors(struct gw *gw, struct numbers_ask *ask, struct err *err);
/* After it: asks for the first blocks. -ENOMEM. */
int reserve_first(struct gw *gw, const struct numbers *n, bool forever, struct err *err);
/* Before numbers_release(). NULL is fine. */
void reserve_settle(struct gw *gw, const struct numbers *n, bool forever);

/* When the numbers of the SA that was made last are on the disk: a ticket. */
uint64_t reserve_ticket(const struct gw *gw);
/* All tickets up to this one are on the disk. UINT64_MAX without a state file. */
uint64_t reserve_done(const struct gw *gw);
/* Waits for all of them: the start and a reload may. -ETIMEDOUT, -EIO. */
int reserve_wait(struct gw *gw, uint32_t ms, struct err *err);
/* -ENOSPC: nothing gets on the disk now, and why. */
int reserve_check(struct gw *gw, struct err *err);

/* Of a lane: the least and the most numbers of a block, and its last number of all. */
struct reserve_bounds {
	uint32_t least, most; /* below 2^31 */
	uint64_t last;
};

/* The number at which the next block of a lane ends that used all up to used. had: as far as it may
 * go now. known: its block before. Above had and what was asked for before, unless that is the last
 * number; no more than three times the block before, but for these.
 */
uint64_t reserve_end(const struct state_known *known, uint64_t used, uint64_t had, uint32_t now_ms,
		     const struct reserve_bounds *bounds);
/* A lane nears its end. */
void reserve_low(struct gw *gw, const struct lane_event *e);
/* An SA is gone, and with it what its lanes said last, perhaps: others of its key say it again.
 * record: numbers_record().
 */
void reserve_again(struct gw *gw, uint32_t record, bool forever);
/* At the end of each turn of the loop. now: ns. */
void reserve_tick(struct gw *gw, uint64_t now);

/* For `show state`; false: there is no state file. */
bool reserve_counts(const struct gw *gw, struct state_counts *counts);

#endif
