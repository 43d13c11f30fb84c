/* The state file: numbers that survive a crash.
 *
 * Of each key, direction and lane it holds one number, above which nothing is sent (out) or
 * accepted (in) in this run. Who starts with the same key after a crash goes on above it. A number
 * is asked for with state_file_want(), and is in force when it comes back from
 * state_file_collect(): then it is on the disk (fsync). After a clean stop the file has the exact
 * numbers.
 *
 * Control's thread calls; it waits for no disk, but in open, close and where the name says wait. A
 * thread of the file's own writes and syncs: what is asked for while it works is the next commit,
 * however much it is. No commit is held for more to come: many at once share one as it is, and a
 * daemon that adds one at a time would wait for nothing (tests/perf/README.md). A disk that is slow
 * or hangs only delays; one that fails (full, read-only, broken) makes nothing durable until it is
 * well again, is tried again every retry_ms, and state_file_is_well() has a sentence about it.
 *
 * What is read, and what is refused (the sentences come from state_file_open(), with the cure):
 *
 * - Records are merged by maximum. A bad one among what was on the disk for certain refuses the
 * whole file; behind that it is what a crash leaves of a commit that nobody was told of, and is
 * passed over. What was certain, later records and the witness say.
 * - The witness, PATH.witness, lies beside the file, has the lock, and is told after each commit
 * how far the file got. A file older or shorter than its witness says was put back or cut: refused.
 * A file that is missing although the witness knows it, and a file without its witness: refused.
 *   Where both were put back together, nothing here can tell.
 * - PATH.new is what a file that is written anew is called until it is whole.
 *
 * Files are 0600, the gateway's user's own, and no links. No key is ever in them: only hashes,
 * under a secret of the file's.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define STATE_HASH_SIZE	       16
#define STATE_SECRET_SIZE      32
#define STATE_TROUBLE_SIZE     256
#define STATE_RECORD_COST      48		   /* octets of a lane on the disk, */
#define STATE_MEMORY_COST      56		   /* and in memory */
#define STATE_FILE_MAX	       (UINT64_C(1) << 30) /* octets; a larger one is refused */
#define STATE_DEAD_KEY_SECONDS (24 * 3600)

struct state_file;
struct state_io;

struct state_key {
	uint8_t hash[STATE_HASH_SIZE];
	uint16_t lane;
	bool inbound;
};

/* All 0 or NULL but path: as usual. */
struct state_options {
	const char *path;
	const struct state_io *io; /* NULL: the system's */
	bool by_hand;		   /* no thread: state_file_write() does its work */
	uint32_t retry_ms;	   /* 250 */
	uint64_t rewrite_min;	   /* octets from which on a file may be written anew; 1 Mi */
	uint64_t (*wall_s)(void);  /* s since 1970; time(2) */
};

/* Opens or makes the file, which is locked until it is closed, and writes it anew.
 *
 * Errors, each with a sentence that names the file and the cure: -EBUSY: locked; -EINVAL: no state
 * file of ours that can be read (a link, a directory, too large, another version, damaged), or in a
 * directory of the kernel's own; -EPERM:
 * owner or mode; -ESTALE: older than its witness, or it or the witness is missing; -ENOMEM; and
 * what the system says: -EACCES, -ENOENT, -ENOSPC, -EROFS, -EIO …
 */
int state_file_open(const struct state_options *options, struct state_file **file, struct err *err);

/* Writes the exact numbers of all that was settled, and closes. Waits for the disk, but not for
 * ever: -ETIMEDOUT: it hangs, and what it holds stays open. Otherwise what the system says; the
 * file is then as a crash would leave it, which is safe. NULL is fine.
 */
int state_file_close(struct state_file *f, struct err *err);

/* Reads a file without changing it, for a check of the configuration: what state_file_open() would
 * say of it. *n_records is what it holds; 0 where there is none yet. */
int state_file_probe(const struct state_options *options, uint64_t *n_records, struct err *err);

/* STATE_SECRET_SIZE octets, to hash keys under. */
const uint8_t *state_file_secret(const struct state_file *f);
/* Readable when there is something to collect. */
int state_file_fd(const struct state_file *f);

/* What is known of a key's lane. False: nothing; *known is all zero. */
struct state_known {
	uint64_t number; /* not live: nothing up to it may be used; live: on the disk */
	bool live;	 /* asked for in this run and not settled since */
	/* Of the last state_file_want() of this life. */
	uint64_t asked;
	uint32_t asked_ms, block;
};
bool state_file_look(struct state_file *f, const struct state_key *key, struct state_known *known);

struct state_want {
	struct state_key key;
	bool forever;	 /* never forgotten: a key of the YAML file */
	uint32_t cookie; /* comes back with it */
	uint32_t now_ms; /* any clock, for state_known.asked_ms */
	uint32_t block;	 /* what the caller likes, for state_known.block */
	uint64_t number;
};

/* Asks for a number; that it shall be higher than before is the caller's affair. *ticket rises with
 * each call. -ENOMEM. */
int state_file_want(struct state_file *f, const struct state_want *want, uint64_t *ticket);

/* The key's lane is at rest, and number is exact: from now on what state_file_look() says, and on
 * the disk when the file is written anew. A key that is not forever is forgotten a day later; one
 * of number 0, at once. What is not known yet is from now on, if there is memory. */
void state_file_settle(struct state_file *f, const struct state_key *key, uint64_t number,
		       bool forever);

/* One of several that have the key's record comes to rest before the others: whoever settles it
 * last knows only of its own numbers, so from now on the record is not lowered any more.
 */
void state_file_hold(struct state_file *f, const struct state_key *key);

/* Hands over what was asked for, if the writer is free for it: to be called at the end of each
 * turn. */
void state_file_post(struct state_file *f);

/* Calls fn for each number that has become durable, in the order they were asked for, and posts
 * what waits. fn may call state_file_want(). */
typedef void state_done_fn(void *ctx, const struct state_want *want);
void state_file_collect(struct state_file *f, state_done_fn *fn, void *ctx);

/* All tickets up to this one were collected. */
uint64_t state_file_done(const struct state_file *f);

/* Waits until the disk has what was posted, at most so long, for state_file_collect() to find. The
 * start and a reload alone wait. -ETIMEDOUT, or the disk's errno, with a sentence. */
int state_file_wait(struct state_file *f, uint32_t ms, struct err *err);

/* False: nothing becomes durable, and why. Also when a commit takes more than a second. */
bool state_file_is_well(struct state_file *f, struct err *err);

struct state_counts {
	uint64_t records;    /* lanes of keys */
	uint64_t file_bytes; /* with header */
	uint64_t generation;
	uint64_t commits, fsyncs, written, rewrites; /* written: records */
	uint64_t failures;			     /* commits or rewrites */
	uint64_t waiting;			     /* asked for and not durable yet */
	uint64_t last_us, max_us;		     /* of a commit */
	uint64_t memory;			     /* octets */
	char trouble[STATE_TROUBLE_SIZE];	     /* empty: all is well */
};
void state_file_counts(struct state_file *f, struct state_counts *c);

/* by_hand: one turn of the writer: the commit that was posted, if there is one, and a slice of a
 * rewrite, if one is due. Returns 0, or a negative errno if it failed, and would be tried again. */
int state_file_write(struct state_file *f);
/* by_hand: forgets all without a word to the disk, as a crash does. */
void state_file_abandon(struct state_file *f);

#endif
