/* Numbers belong to the key: lane and window are one object, found by a keyed hash of the key
 * material and the direction, whatever the SA's name, SPI or address. Reload, re-add and rename
 * attach to it; nothing is copied, and no file or message can lower a number or a window's top.
 *
 * Control only, but for numbers_job_run(), which the worker runs that owns the lane: lane and
 * window have one writer. Keys are not kept, only their hash under a random key of this process.
 *
 * A key that no SA uses any more leaves a record of 48 octets, from which it goes on if it comes
 * back: for the whole run where an SA's `forever` said so (YAML), else for 24 hours or as long as
 * there is room.
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

#include "base/err.h"

#define NUMBERS_NAME_SIZE    64 /* longer names are cut */
#define NUMBERS_KEPT_MAX     (1u << 20)
#define NUMBERS_KEPT_SECONDS (24 * 3600)

struct lane;
struct replay;
struct numbers_job;
struct numbers_reg;

/* One SA's hold on the numbers of its key. All is read-only for users of the module. */
struct numbers {
	struct lane *lane;     /* out: the numbers; both: what is counted */
	struct replay *window; /* in; NULL out */
	uint16_t worker;       /* that owns both; all SAs of a key have the same */

	/* The module's own. */
	bool leaving;
	uint32_t self;
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
	uint16_t worker;	 /* the one that shall own them, if the key has no owner yet */
	uint32_t window;	 /* in; replay_window_valid() */
	uint64_t start;		 /* out: the last number already used; in: the highest accepted */
	uint64_t packets, bytes; /* counted already; what a key in use counts is only raised */
	const struct numbers *replaces; /* of the SA whose place this one takes, or NULL */
};

/* A registry for max_sas keys in use at a time and max_kept that are not, but for those kept for
 * the whole run. -ENOMEM, or -EIO where the system gives no random octets.
 */
int numbers_create(uint32_t max_sas, uint32_t max_kept, int socket, struct numbers_reg **reg,
		   struct err *err);

/* All holds must have been released, all jobs be done. NULL is fine. */
void numbers_free(struct numbers_reg *reg);

/* Finds or makes the numbers of a key.
 *
 * *job is NULL where nothing is left to be done. Else the key is in use and the owner must do
 * something first (go on in a window of another size, raise a number or a count): mail it
 * numbers_job_run(), then call numbers_job_done(), then publish the SA. Jobs of one owner run in
 * the order they were made.
 *
 * -EINVAL: no such window; -ERANGE: start is beyond 32 bits without ESN; -ENOMEM, -ENOSPC;
 * -EEXIST: a counter mode's key and salt are those of another SA in use, either direction. Fine
 * are: the SA that this one replaces, one that is leaving, and an `in` and an `out` of equal SPI,
 * src and dst (a loop).
 */
int numbers_attach(struct numbers_reg *reg, const struct numbers_ask *ask, struct numbers **numbers,
		   struct numbers_job **job, struct err *err);

/* Ends a hold, a grace period after its SA was unpublished. now: ns. NULL is fine. */
void numbers_release(struct numbers_reg *reg, struct numbers *n, uint64_t now);

/* Says that the hold's SA is about to go (or is not, after all): those to come may have its key.
 * For a reload that replaces many at once.
 */
void numbers_leaving(struct numbers *n, bool leaving);

/* By the owner, between two bursts. */
void numbers_job_run(struct numbers_job *job);

/* After the owner ran it. Ends the job. now: ns. */
void numbers_job_done(struct numbers_reg *reg, struct numbers_job *job, uint64_t now);

/* Instead of mailing it, the youngest job of its key first; release the hold that came with it
 * next. */
void numbers_job_cancel(struct numbers_reg *reg, struct numbers_job *job);

/* Forgets the keys whose 24 hours are over: to be called now and then. now: ns. */
void numbers_expire(struct numbers_reg *reg, uint64_t now);

/* The last number used (out) or the highest accepted one (in), at least. */
uint64_t numbers_used(const struct numbers *n);

struct numbers_totals {
	uint32_t in_use; /* keys */
	uint32_t kept;	 /* with an expiry */
	uint32_t forever;
	uint64_t bytes;
};

void numbers_totals(const struct numbers_reg *reg, struct numbers_totals *t);

#endif
