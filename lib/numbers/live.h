/* The numbers of a key in use, and what is under way for it. Private. */
#ifndef NUMBERS_LIVE_H
#define NUMBERS_LIVE_H

#include "numbers/numbers.h"
#include "numbers/record.h"
#include "numbers/store.h"
#include "replay/replay.h"
#include "seq/seq.h"
#include "worker/worker.h"

#define LANES_ROOM 8 /* a key with lanes has room for so many at least */

struct numbers_reg {
	struct records records;
	struct store store;
	uint16_t n_workers;
	bool reserved;
	struct credit *credits, *credit_next; /* all; where to look next */
	struct numbers_live *due;
};

/* What control has allowed a lane. While a job is out for the key it is left alone, but for the
 * owner that runs the job.
 */
struct grant {
	/* At one moment: from then on the lane's numbers and packets go in step. */
	uint64_t base_number, base_packets;
	uint64_t reserved;		 /* the last number durably reserved; UINT64_MAX: all */
	uint64_t packets_end, bytes_end; /* of the lane's counts; UINT64_MAX: no limit */
	uint16_t seen[2];		 /* of lane.refused: as many were known last time */
};

struct numbers_live {
	union {
		struct lane *lanes;	/* out: n */
		struct replay *window;	/* in, not laned */
		struct replay_set *set; /* in, laned: n; windows[0] is always there */
	};
	struct numbers *users;	   /* the youngest first */
	struct numbers_job *jobs;  /* likewise */
	struct lane_numbers *kept; /* laned: for the record */
	union {
		struct grant *grants;	      /* out: n; NULL: the number space alone is the end */
		struct replay_limits *limits; /* in: n; NULL: no hard lifetime */
	};
	struct credit *credit;		   /* laned, with a limit */
	struct numbers_live *next_due;	   /* of those that wait for a job of control's own */
	uint64_t hard_packets, hard_bytes; /* 0 = none */
	uint32_t self, record;
	uint32_t place; /* not laned: of lane or window in its slab */
	uint32_t ends;	/* likewise: of grants or limits in theirs */
	uint32_t size;	/* in: of the window, once all jobs are done */
	uint16_t worker;
	uint16_t n;			/* lanes there is room for */
	uint8_t packets_why, bytes_why; /* enum lane_end: what a limit is for its lanes */
	bool inbound, esn, due;
	bool reshape; /* in: the next job_recall() gives the window its size and ESN setting */
	bool laned;   /* its numbers have the lane's id in them, and lane 0 ends where lane 1 begins
		       */
};

struct numbers_job {
	struct numbers_job *next;
	struct numbers_live *live;
	uint16_t n_workers;
	bool resize, esn, esn_before;
	uint32_t size, size_before;
	uint64_t *bits;		 /* for the new size; then what the window had */
	uint64_t packets, bytes; /* that lane 0 is to have counted */
	uint64_t hard_packets_before, hard_bytes_before;
	bool ran[WORKERS_MAX];
	uint64_t floors[]; /* of each lane */
};

/* A sentence about the SA that asks. Returns rc. */
int ask_fail(struct err *err, int rc, const struct numbers_ask *ask, const char *format, ...)
	__rte_format_printf(4, 5);

/* The hash of the ask's key. -EIO. */
int ask_hash(struct numbers_reg *reg, const struct numbers_ask *ask, struct record_hash *hash);

/* What the ask says of a lane: a number at or below which nothing is new. */
uint64_t ask_floor(const struct numbers_ask *ask, bool laned, uint32_t lane);

/* live.c. A key that is not in use comes to life above all that is known of it: by its own record,
 * and by that of the other direction, or NULL.
 */
int live_open(struct numbers_reg *reg, uint32_t index, const struct record *other,
	      const struct numbers_ask *ask, struct numbers_live **live, struct err *err);
/* -EBUSY: what a key in use cannot change. */
int live_check(const struct numbers_live *l, const struct numbers_ask *ask, struct err *err);
/* Once the last user is gone and nothing is under way: a record stays. now: ns. */
void live_bury(struct numbers_reg *reg, struct numbers_live *l, uint64_t now);

/* The last number used or the highest accepted, at least: what a job has yet to bring about counts
 * as done. */
uint64_t live_used(const struct numbers_live *l, uint16_t lane);

void live_count(const struct numbers_live *l, struct numbers_counts *c);
void live_count_lane(const struct numbers_live *l, uint16_t lane, struct numbers_counts *c);

/* NULL: there is none of that lane yet. */
static inline struct replay *
live_window(const struct numbers_live *l, uint16_t lane)
{
	return l->laned ? __atomic_load_n(&l->set->windows[lane], __ATOMIC_ACQUIRE) : l->window;
}

/* The first lane that a worker owns; the next ones are n_workers apart. May be beyond the last. */
static inline uint32_t
live_first(const struct numbers_live *l, uint16_t worker, uint16_t n_workers)
{
	return (uint32_t)(worker + n_workers - l->worker % n_workers) % n_workers;
}

/* jobs.c. What only owners may do for the new hold; *job is NULL where there is nothing. From here
 * on the key has the ask's size, ESN setting and limits.
 */
int job_make(struct numbers_reg *reg, struct numbers_live *l, const struct numbers_ask *ask,
	     struct numbers_job **job, struct err *err);

/* One of control's own: the lanes are told of their limits, and give back what they do not use. */
struct numbers_job *job_recall(struct numbers_reg *reg, struct numbers_live *l);

/* ends.c. Room for what may end the lanes. -ENOMEM, -ENOSPC. */
int ends_room(struct numbers_reg *reg, struct numbers_live *l, bool limited, struct err *err);
void ends_free(struct numbers_reg *reg, struct numbers_live *l);
/* The key's limits, from now on. While a job is out its lanes hear of them by that. */
void ends_limit(struct numbers_live *l, uint64_t hard_packets, uint64_t hard_bytes);
/* A lane goes on from where it is: by its owner, or while it has none. */
void ends_rebase(struct numbers_live *l, uint16_t lane);
/* Works out where a lane ends, and tells it; control only while no job is out. */
void ends_put(struct numbers_live *l, uint16_t lane);
void ends_put_all(struct numbers_live *l);
/* The key waits for a job_recall(). */
void ends_due(struct numbers_reg *reg, struct numbers_live *l);
void ends_undue(struct numbers_reg *reg, struct numbers_live *l);

/* credit.c. The parts that the lanes of one key have of its limits: what they were given and the
 * rest, which nobody has yet, are never more than the limit together. -ENOMEM.
 */
int credit_open(struct numbers_reg *reg, struct numbers_live *l, struct err *err);
void credit_close(struct numbers_reg *reg, struct numbers_live *l);
/* A lane has what it has used and no more: by its owner, or while it has none. */
void credit_recall(struct numbers_live *l, uint16_t lane);
/* Gives lanes of the rest; false: some could do with what others do not use. Control only, and not
 * while a job is out.
 */
bool credit_fill(struct numbers_live *l);

#endif
