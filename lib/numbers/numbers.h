/* Numbers belong to the key: lane and window are one object, found by a keyed hash of the key
 * material and the direction, whatever the SA's name, SPI or address. Reload, re-add and rename
 * attach to it; nothing is copied, and no file or message can lower a number or a window's top.
 *
 * Control only, but for numbers_job_run(), which the workers run that own the lanes: a lane or a
 * window has one writer. Keys are not kept, only their hash under a random key.
 *
 * A key of an SA with subspaces has a lane or a window for each subspace id; lane 0 is that of the
 * same key without subspaces. Lane `id` is owned by worker (n->worker + id) % n_workers.
 *
 * Hard lifetimes in packets and bytes are the key's, over all its lanes: not one packet passes
 * them. Those of the youngest hold count.
 *
 * A key that no SA uses any more leaves a record of 48 octets, and 8 for each lane beyond the
 * first, from which it goes on if it comes back: for the whole run where an SA's `forever` said so
 * (YAML), else for 24 hours or as long as there is room.
 *
 * Counter modes (GCM, CCM, CTR, GMAC, ChaCha20) are found by cipher key and salt alone, since an IV
 * used twice under these is the end: an auth key beside them changes nothing, and two different SAs
 * with them are refused. Other keys may serve several SAs at once; each then has numbers of its
 * own.
 */
#ifndef NUMBERS_NUMBERS_H
#define NUMBERS_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_prefetch.h>

#include "base/err.h"

#define NUMBERS_NAME_SIZE    64 /* longer names are cut */
#define NUMBERS_KEPT_MAX     (1u << 20)
#define NUMBERS_KEPT_SECONDS (24 * 3600)
#define NUMBERS_OCTETS	     300 /* of a key in use, but for its lane or window: --check */

#define NUMBERS_HASH_SIZE   16
#define NUMBERS_SECRET_SIZE 32

struct lane;
struct replay;
struct numbers_job;
struct numbers_reg;

/* One SA's hold on the numbers of its key. All is read-only for users of the module. */
struct numbers {
	union {
		struct lane *lane;	 /* out: n of them, side by side */
		struct replay *window;	 /* in */
		struct replay **windows; /* in, subspaces: n of them, of a struct replay_set */
	};
	uint16_t n;	 /* lanes of the SA; 1 without subspaces */
	uint16_t worker; /* that owns lane 0; all SAs of a key have the same */
	bool inbound, subspaces, esn;

	/* The module's own. */
	bool leaving : 1;
	bool shared : 1; /* by SAs with other SPIs, perhaps */
	uint32_t self;
	uint32_t size; /* in: of the window that it asked for */
	uint64_t hard_packets, hard_bytes;
	struct numbers *next;
	struct numbers_live *live;
	struct numbers_id {
		uint32_t spi;
		uint32_t family; /* 4 or 6 */
		uint8_t src[16]; /* network order; IPv4 in the first 4 octets */
		uint8_t dst[16];
	} id;
	char *name; /* NULL: numbers_name() makes one */
};

/* Into text: the name, or where an SA has none that of its place, xfrm:<SPI>@<destination>. Returns
 * text.
 */
const char *numbers_name(const char *name, const struct numbers_id *id,
			 char text[NUMBERS_NAME_SIZE]);

/* For who is about to ask many holds what they counted: what is behind one, on its way to the
 * cache.
 */
static inline void
numbers_prefetch(const struct numbers *n)
{
	rte_prefetch0(n->live);
	rte_prefetch0((const uint8_t *)n->live + RTE_CACHE_LINE_SIZE);
}

struct numbers_key {
	const uint8_t *key; /* of the cipher or AEAD, without salt */
	const uint8_t *salt;
	const uint8_t *auth;
	uint8_t key_len, salt_len, auth_len; /* 0 where there is none */
	bool counter_mode;
};

struct numbers_ask {
	const char *name; /* of the SA; copied. NULL: it has none, see numbers_name() */
	struct numbers_id id;
	struct numbers_key key; /* borrowed */
	bool inbound;
	bool forever;
	bool esn;
	bool subspaces;	 /* with esn */
	uint16_t lanes;	 /* with subspaces: 1 … LANES_OUT_MAX out, … 65535 in */
	uint16_t worker; /* the one that shall own lane 0, if the key has no owner yet */
	uint32_t window; /* in; replay_window_valid() */
	uint64_t start;	 /* lane 0: out, the last number already used; in, the highest accepted */
	/* The same of the first n_floors lanes, whole numbers, 0 = none: what a record elsewhere
	 * says of the key. Only raises. Borrowed.
	 */
	const uint64_t *floors;
	uint32_t n_floors;
	uint64_t packets, bytes; /* counted already; what a key in use counts is only raised */
	uint64_t hard_packets, hard_bytes; /* of the key, over all lanes; 0 = none */
	uint64_t own_packets; /* the algorithm's limit: binds once half of it is used; 0 = none */
	const struct numbers *replaces; /* of the SA whose place this one takes, or NULL */
	uint64_t mark[2];		/* of numbers_mark() */
	bool marked;
};

struct numbers_params {
	uint32_t max_sas;  /* keys in use at a time */
	uint32_t max_kept; /* that are not, but for those kept for the whole run */
	uint16_t n_workers;
	int socket;
	bool reserved; /* no number passes before numbers_reserve() allowed it */
	/* NUMBERS_SECRET_SIZE octets, borrowed: hashes are the same wherever it is. NULL: random.
	 */
	const uint8_t *secret;
};

/* -ENOMEM, or -EIO where the system gives no random octets. */
int numbers_create(const struct numbers_params *p, struct numbers_reg **reg, struct err *err);

/* All holds must have been released, all jobs be done. NULL is fine. */
void numbers_free(struct numbers_reg *reg);

/* Hashes the ask's key once for all that is asked about it; without, each call does. To be
 * done again where the ask gets another key. -EIO. */
int numbers_mark(struct numbers_reg *reg, struct numbers_ask *ask);

/* What a key is known by elsewhere: 128 bits that tell nothing of it. Keys that may serve several
 * SAs at once have one for each SPI. -EIO.
 */
int numbers_hash(struct numbers_reg *reg, const struct numbers_ask *ask,
		 uint8_t hash[NUMBERS_HASH_SIZE]);
/* Whether this run knows the numbers that the ask would go on with, in use or at rest. */
bool numbers_knows(struct numbers_reg *reg, const struct numbers_ask *ask);
/* How many lanes there is room for: those of all its holds, and those that were used once. */
uint32_t numbers_lanes(const struct numbers *n);
/* The hash of a key in use. */
void numbers_hash_of(const struct numbers_reg *reg, const struct numbers *n,
		     uint8_t hash[NUMBERS_HASH_SIZE]);
/* No other hold is on the key's numbers, nor anything under way: with this one they come to rest.
 */
bool numbers_is_last(const struct numbers *n);
/* Whether other numbers in use have the same hash: those of an SA with that key and SPI at another
 * end. */
bool numbers_has_sibling(const struct numbers_reg *reg, const struct numbers *n);

/* A number for the key as long as it is in use, and its youngest hold by it: NULL when it is in use
 * no more. A key that comes later may have the number: compare the hash.
 */
uint32_t numbers_record(const struct numbers *n);
struct numbers *numbers_of_record(const struct numbers_reg *reg, uint32_t record);

/* Finds or makes the numbers of a key.
 *
 * *job is NULL where nothing is left to be done. Else the key is in use and its owners must do
 * something first (go on in a window of another size, raise a number or a count, hear of a lower
 * limit): mail each worker that numbers_job_wants() numbers_job_run(), then call
 * numbers_job_done(), then publish the SA. Jobs run in the order they were made.
 *
 * -EINVAL: no such window, too many lanes; -ERANGE: start is beyond 32 bits without ESN; -ENOMEM,
 * -ENOSPC; -EBUSY: the key is in use with fewer lanes than asked for; -EEXIST: a counter mode's key
 * and salt are those of another SA in use, either direction. Fine are: the SA that this one
 * replaces, one that is leaving, and an `in` and an `out` of equal SPI, src and dst (a loop).
 */
int numbers_attach(struct numbers_reg *reg, const struct numbers_ask *ask, struct numbers **numbers,
		   struct numbers_job **job, struct err *err);

/* Ends a hold, a grace period after its SA was unpublished. Where it was the youngest, limits, ESN
 * and window are again those of the one before, which is numbers_due(). now: ns. NULL is fine.
 */
void numbers_release(struct numbers_reg *reg, struct numbers *n, uint64_t now);

/* Says that the hold's SA is about to go (or is not, after all): those to come may have its key.
 * For a reload that replaces many at once.
 */
void numbers_leaving(struct numbers *n, bool leaving);

/* Once a tick: lanes of keys with several get of what is left of their limits. Whether some wait
 * for it: then the next tick should be soon.
 */
bool numbers_tick(struct numbers_reg *reg);

/* A change that owners are to make and that nobody asked for, NULL: none. To be mailed like those
 * of numbers_attach(); nobody has to wait for it.
 */
struct numbers_job *numbers_due(struct numbers_reg *reg);
bool numbers_is_due(const struct numbers_reg *reg);

/* From now on the key has no more packets than that, if it had more: for a limit that goes without
 * saying, once it is near. -ENOMEM, -ENOSPC.
 */
int numbers_limit(struct numbers_reg *reg, struct numbers *n, uint64_t hard_packets,
		  struct err *err);

/* Whether another SA has the key as well, or something is under way for it: then its owner stays.
 */
bool numbers_is_shared(const struct numbers *n);
bool numbers_same_key(const struct numbers *a, const struct numbers *b);

/* Another worker owns the key's one lane or window: after the last write of the one before. */
void numbers_owner_set(struct numbers *n, uint16_t worker);

/* Whether a worker owns something that the job is about. */
bool numbers_job_wants(const struct numbers_job *job, uint16_t worker);

/* By a worker, between two bursts: its part, once; or by control when the workers have ended. */
void numbers_job_run(struct numbers_job *job, uint16_t worker);

/* After all that it wants ran it. Ends the job. now: ns. */
void numbers_job_done(struct numbers_reg *reg, struct numbers_job *job, uint64_t now);

/* Instead of mailing it to anybody, the youngest job of its key first; release the hold that came
 * with it next. */
void numbers_job_cancel(struct numbers_reg *reg, struct numbers_job *job);

/* Forgets the keys whose 24 hours are over: to be called now and then. now: ns. */
void numbers_expire(struct numbers_reg *reg, uint64_t now);

/* The last number used (out) or the highest accepted one (in), at least; whole, with the lane's id
 * in it; 0 of a lane that was never used. */
uint64_t numbers_used(const struct numbers *n, uint16_t lane);

/* A lane's numbers up to end, the whole number, are durably reserved (out), or may be accepted
 * (in). Never lowers. With params.reserved nothing passes before. EVENT_LANE_LOW asks for more in
 * time, but the first block is the caller's to think of.
 */
void numbers_reserve(struct numbers *n, uint16_t lane, uint64_t end);

/* What was said last; before that, what the lane begins above. UINT64_MAX without params.reserved.
 */
uint64_t numbers_reserved(const struct numbers *n, uint16_t lane);
/* The owner has told control that this is near, or is about to. */
bool numbers_is_near(const struct numbers *n, uint16_t lane);

struct numbers_counts {
	uint64_t packets, bytes;
};

/* The key's, over all its lanes. */
void numbers_count(const struct numbers *n, struct numbers_counts *c);
/* One lane's. */
void numbers_count_lane(const struct numbers *n, uint16_t lane, struct numbers_counts *c);

/* Whether one of the SA's lanes has only a sixteenth of its numbers left. */
bool numbers_low(const struct numbers *n);
/* Likewise, none. */
bool numbers_spent(const struct numbers *n);

/* A window for an id that has none yet, to be given to replay_publish(): from then on it is the
 * key's, before that it goes back by numbers_window_free(). NULL: no memory.
 */
struct replay *numbers_window(struct numbers_reg *reg, uint32_t window);
/* NULL is fine. */
void numbers_window_free(struct numbers_reg *reg, struct replay *window);

struct numbers_totals {
	uint32_t in_use; /* keys */
	uint32_t kept;	 /* with an expiry */
	uint32_t forever;
	uint64_t bytes;
};

void numbers_totals(const struct numbers_reg *reg, struct numbers_totals *t);

#endif
