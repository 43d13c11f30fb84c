#include "ctl/reserve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/poller.h"
#include "ctl/gw.h"
#include "ctl/log.h"
#include "numbers/numbers.h"
#include "replay/replay.h"
#include "seq/seq.h"
#include "state/state.h"
#include "worker/mailbox.h"

/* Blocks where the file does not say. What is skipped after a crash is a block at most: out, that
 * is a small part of all numbers; in, it is what a peer has to send before it is heard again. So an
 * SA of the file, whose key outlives the crash, begins with few; a daemon's has new keys then, and
 * begins where nothing is lost at any rate.
 */
#define BLOCK_OUT	(1u << 20)
#define BLOCK_OUT_32	(1u << 16)
#define BLOCK_IN	(1u << 10)
#define BLOCK_IN_DAEMON (1u << 16)
#define BLOCK_MAX	(1u << 30)
#define BLOCK_MAX_32	(1u << 24) /* of the 2^32 numbers there are without ESN */
#define BLOCK_RATES	2	   /* estimates, of what a second holds, in a block */
#define RATE_MS		1000
#define LANE_ALL	UINT16_MAX /* the record of all lanes that have none */
#define LOOK_NS		(100 * UINT64_C(1000000))

struct reserve {
	struct state_file *file;
	struct poller *poller;
	uint64_t ticket;  /* of the SA made last */
	uint64_t tickets; /* given out so far */
	uint64_t told;	  /* that so many are on the disk */
	uint64_t *floors;
	uint32_t n_floors;
	uint64_t next_look; /* at how the disk is, ns */
	bool was_ill;
};

static void done(void *ctx, const struct state_want *want);

static void
readable(void *ctx, uint32_t events)
{
	struct gw *gw = ctx;

	state_file_collect(gw->reserve->file, done, gw);
}

int
reserve_init(struct gw *gw, struct err *err)
{
	const struct state_options o = { .path = gw->conf->gateway.state_file };
	struct reserve *r;
	int rc;

	if (o.path[0] == 0)
		return 0;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, -ENOMEM, "no memory for the state file");
	gw->reserve = r;
	rc = state_file_open(&o, &r->file, err);
	if (rc < 0)
		/* The gateway ends as with a bad configuration where starting again would not help.
		 */
		return rc == -EPERM || rc == -ESTALE ? -EINVAL : rc;
	r->poller = gw->options.poller;
	rc = r->poller != NULL ?
		     poller_add(r->poller, state_file_fd(r->file), EPOLLIN, readable, gw) :
		     0;
	return rc < 0 ? err_set(err, rc, "state_file %s: %s", o.path, strerror(-rc)) : 0;
}

void
reserve_fini(struct gw *gw)
{
	struct reserve *r = gw->reserve;
	struct err err;

	if (r == NULL)
		return;
	if (r->file != NULL && r->poller != NULL)
		poller_del(r->poller, state_file_fd(r->file));
	if (state_file_close(r->file, &err) < 0)
		GW_LOG(ERR, "%s\n", err.text);
	free(r->floors);
	free(r);
	gw->reserve = NULL;
}

const uint8_t *
reserve_secret(const struct gw *gw)
{
	_Static_assert(NUMBERS_SECRET_SIZE == STATE_SECRET_SIZE, "one secret");
	return gw->reserve != NULL ? state_file_secret(gw->reserve->file) : NULL;
}

static uint64_t
lane_number(uint32_t lane, uint64_t number)
{
	return (uint64_t)lane << LANE_ID_SHIFT | number;
}

/* ---- what the file knows ---- */

/* Of a key that this run knows, lib/numbers knows better: what is live here is only reserved. */
static uint64_t
floor_of(struct reserve *r, const struct state_key *key, bool is_known)
{
	struct state_known known;

	state_file_look(r->file, key, &known);
	return known.live && is_known ? 0 : known.number;
}

static int
floors_room(struct reserve *r, uint32_t n)
{
	uint64_t *floors;

	if (n <= r->n_floors)
		return 0;
	floors = realloc(r->floors, n * sizeof(floors[0]));
	if (floors == NULL)
		return -ENOMEM;
	r->floors = floors;
	r->n_floors = n;
	return 0;
}

/* The floors of the ask's lanes, as the records of that direction have them, onto those there are.
 */
static int
floors_raise(struct gw *gw, const struct numbers_ask *ask, bool inbound, uint32_t n)
{
	struct reserve *r = gw->reserve;
	struct state_key key = { .inbound = inbound };
	struct numbers_ask of = *ask;
	uint64_t all = 0;
	bool is_known;

	of.inbound = inbound;
	if (numbers_hash(gw->numbers, &of, key.hash) < 0)
		return -EIO;
	is_known = numbers_knows(gw->numbers, &of);
	/* Also where the ask has no lanes: its numbers are those of lane 0. And a lane that has a
	 * record of its own may have gone on by a later one of all. */
	if (inbound) {
		key.lane = LANE_ALL;
		all = floor_of(r, &key, is_known);
	}
	for (uint32_t lane = 0; lane < n; lane++) {
		uint64_t number;

		key.lane = (uint16_t)lane;
		number = floor_of(r, &key, is_known);
		if (all != 0)
			number = RTE_MAX(number, lane_number(lane, all));
		r->floors[lane] = RTE_MAX(r->floors[lane], number);
	}
	return 0;
}

/* What was sent to us under a counter mode's key must not be sent by us, so a key that we send by
 * has the floors of both directions.
 */
int
reserve_floors(struct gw *gw, struct numbers_ask *ask, struct err *err)
{
	uint32_t n = ask->subspaces ? ask->lanes : 1;
	int rc;

	if (gw->reserve == NULL)
		return 0;
	if (floors_room(gw->reserve, n) < 0)
		return err_set(err, -ENOMEM, "no memory for the numbers of %u lanes", n);
	memset(gw->reserve->floors, 0, n * sizeof(gw->reserve->floors[0]));
	rc = numbers_mark(gw->numbers, ask);
	if (rc == 0)
		rc = floors_raise(gw, ask, ask->inbound, n);
	if (rc == 0 && !ask->inbound && ask->key.counter_mode)
		rc = floors_raise(gw, ask, true, n);
	if (rc < 0)
		return err_set(err, rc, "libcrypto cannot hash a key");
	ask->floors = gw->reserve->floors;
	ask->n_floors = n;
	return 0;
}

/* ---- asking for blocks ---- */

/* The highest number that a lane has. */
static uint64_t
last_of(const struct numbers *n, uint32_t lane)
{
	return n->subspaces ? lane_last((uint16_t)lane) : seq_last(n->esn);
}

static bool
is_wide(const struct numbers *n, uint64_t last)
{
	return n->subspaces || last == UINT64_MAX;
}

static uint32_t
least_size(const struct gw *gw, const struct numbers *n, bool wide)
{
	if (gw->conf->gateway.state_block != 0)
		return gw->conf->gateway.state_block;
	return n->inbound ? BLOCK_IN : wide ? BLOCK_OUT : BLOCK_OUT_32;
}

static uint32_t
first_size(const struct gw *gw, const struct numbers *n, bool forever, bool wide)
{
	if (gw->conf->gateway.state_block == 0 && n->inbound && !forever)
		return BLOCK_IN_DAEMON;
	return least_size(gw, n, wide);
}

/* The estimate is a leaky second: what the last one held, less by the time since, and what was used
 * since. At an even rate that is the rate; a burst shorter than a second adds what it was, and not
 * what it would have become. The block before is twice the estimate before, so nothing else is
 * kept. Numbers beyond what was asked for count as nothing: they jumped, or had to wait.
 */
static uint64_t
size_of(const struct state_known *known, uint64_t used, uint32_t now_ms)
{
	uint64_t from = known->asked - RTE_MIN(known->asked, (uint64_t)known->block);
	uint64_t to = RTE_MIN(used, known->asked), passed = to > from ? to - from : 0;
	uint32_t ms = now_ms - known->asked_ms;

	if (ms < RATE_MS)
		return BLOCK_RATES * passed + known->block * (uint64_t)(RATE_MS - ms) / RATE_MS;
	return BLOCK_RATES * passed * RATE_MS / ms;
}

/* The number that a block ends at, behind used. */
static uint64_t
end_of(uint64_t used, uint64_t block, uint64_t last)
{
	if (used >= last)
		return used;
	return last - used < block ? last : used + block;
}

/* However slow it became, the end moves: a lane asks once for each, and would wait for ever at one
 * that stays.
 */
uint64_t
reserve_end(const struct state_known *known, uint64_t used, uint64_t had, uint32_t now_ms,
	    const struct reserve_bounds *b)
{
	uint64_t size = RTE_MAX(size_of(known, used, now_ms), (uint64_t)b->least);
	uint64_t end = end_of(used, RTE_MIN(size, (uint64_t)b->most), b->last);

	had = RTE_MAX(had, known->asked);
	return RTE_MAX(end, end_of(had, (b->least + 1) / 2, b->last));
}

static uint32_t
ms_of(const struct gw *gw)
{
	return (uint32_t)(clock_now(&gw->clock) / 1000000);
}

/* used: what the block begins behind. */
static int
want(struct gw *gw, const struct numbers *n, uint32_t lane, bool forever, uint64_t used,
     uint64_t number)
{
	struct state_want w = {
		.key = { .lane = (uint16_t)lane, .inbound = n->inbound },
		.forever = forever,
		.cookie = numbers_record(n),
		.now_ms = ms_of(gw),
		.block = (uint32_t)RTE_MIN(number - used, UINT64_C(0xffffffff)),
		.number = number,
	};

	numbers_hash_of(gw->numbers, n, w.key.hash);
	return state_file_want(gw->reserve->file, &w, &gw->reserve->tickets);
}

/* Whether what was asked for already will do, for more than the SA had; what is there of it, at
 * once. Another SA's that has the same record comes to that one alone.
 */
static bool
will_do(struct gw *gw, const struct numbers *n, uint32_t lane, const struct state_known *known,
	uint64_t had)
{
	if (!known->live || known->asked <= had)
		return false;
	numbers_reserve((struct numbers *)n, (uint16_t)lane, known->number);
	return known->number > had || !numbers_has_sibling(gw->numbers, n);
}

/* The lane of an SA that has just been made; a key that was in use goes on with what it has. */
static int
first_of_lane(struct gw *gw, const struct numbers *n, uint32_t lane, bool forever)
{
	struct reserve *r = gw->reserve;
	struct state_key key = { .lane = (uint16_t)lane, .inbound = n->inbound };
	uint64_t last = last_of(n, lane);
	uint32_t block = first_size(gw, n, forever, is_wide(n, last));
	uint64_t used = lane_number(n->subspaces ? lane : 0, 0), end;
	struct state_known known;
	int rc;

	used = RTE_MAX(used, numbers_used(n, (uint16_t)lane));
	numbers_hash_of(gw->numbers, n, key.hash);
	state_file_look(r->file, &key, &known);
	if (will_do(gw, n, lane, &known, used)) {
		if (known.number <= used)
			r->ticket = r->tickets;
		return 0;
	}
	end = end_of(used, block, last);
	if (end <= used)
		return 0;
	rc = want(gw, n, lane, forever, used, RTE_MAX(end, known.asked));
	r->ticket = r->tickets;
	return rc;
}

/* Of every hold of the key: the youngest may have fewer than those before it. */
static void
all_reserve(struct numbers *n, uint64_t number)
{
	for (uint32_t lane = 0; lane < numbers_lanes(n); lane++)
		numbers_reserve(n, (uint16_t)lane, lane_number(lane, number));
}

/* One block for all lanes that are still to come. */
static int
first_of_all(struct gw *gw, const struct numbers *n, bool forever)
{
	struct state_key key = { .lane = LANE_ALL, .inbound = true };
	uint32_t block = first_size(gw, n, forever, true);
	struct state_known known;
	int rc;

	numbers_hash_of(gw->numbers, n, key.hash);
	state_file_look(gw->reserve->file, &key, &known);
	if (known.live) {
		/* The key may have been at rest meanwhile, where its last SA had no lanes. */
		all_reserve((struct numbers *)n, known.number);
		if (known.number < known.asked)
			gw->reserve->ticket = gw->reserve->tickets;
		return 0;
	}
	rc = want(gw, n, LANE_ALL, forever, known.number, known.number + block);
	gw->reserve->ticket = gw->reserve->tickets;
	return rc;
}

int
reserve_first(struct gw *gw, const struct numbers *n, bool forever, struct err *err)
{
	int rc = 0;

	if (gw->reserve == NULL)
		return 0;
	gw->reserve->ticket = 0;
	if (n->inbound && n->subspaces)
		rc = first_of_all(gw, n, forever);
	for (uint32_t lane = 0; !(n->inbound && n->subspaces) && lane < n->n && rc == 0; lane++)
		rc = first_of_lane(gw, n, lane, forever);
	return rc < 0 ? err_set(err, rc, "no memory for the state file") : 0;
}

/* More for a lane that used all up to used. */
static void
more(struct gw *gw, const struct numbers *n, uint16_t lane, uint64_t used, bool forever)
{
	struct state_key key = { .lane = lane, .inbound = n->inbound };
	uint64_t had = RTE_MAX(used, numbers_reserved(n, lane));
	uint64_t last = last_of(n, lane);
	bool wide = is_wide(n, last);
	const struct reserve_bounds bounds = {
		.least = least_size(gw, n, wide),
		.most = wide ? BLOCK_MAX : BLOCK_MAX_32,
		.last = last,
	};
	struct state_known known;

	numbers_hash_of(gw->numbers, n, key.hash);
	state_file_look(gw->reserve->file, &key, &known);
	if (will_do(gw, n, lane, &known, had))
		return;
	if (want(gw, n, lane, forever, used, reserve_end(&known, used, had, ms_of(gw), &bounds)) <
	    0)
		GW_LOG(ERR, "no memory to ask for more numbers\n");
}

void
reserve_low(struct gw *gw, const struct lane_event *e)
{
	const struct sa *sa = gw->reserve != NULL ? sa_again(&gw->sas, e->sa, e->generation) : NULL;
	const struct sa_cold *cold;

	if (sa == NULL)
		return;
	cold = sa_cold(&gw->sas, e->sa);
	more(gw, cold->numbers, e->lane, RTE_MAX(numbers_used(cold->numbers, e->lane), e->number),
	     cold->origin.from == SA_FROM_FILE);
}

void
reserve_again(struct gw *gw, uint32_t record, bool forever)
{
	const struct numbers *n = numbers_of_record(gw->numbers, record);

	if (gw->reserve == NULL || n == NULL)
		return;
	for (uint32_t lane = 0; lane < n->n; lane++)
		if (numbers_is_near(n, (uint16_t)lane))
			more(gw, n, (uint16_t)lane, numbers_used(n, (uint16_t)lane), forever);
}

/* ---- they are on the disk ---- */

static void
done(void *ctx, const struct state_want *want)
{
	struct gw *gw = ctx;
	struct numbers *n = numbers_of_record(gw->numbers, want->cookie);
	uint8_t hash[NUMBERS_HASH_SIZE];
	struct state_known known;

	if (n == NULL || n->inbound != want->key.inbound)
		return;
	numbers_hash_of(gw->numbers, n, hash);
	if (memcmp(hash, want->key.hash, sizeof(hash)) != 0)
		return;
	/* The key may have been at rest since it asked, and come back with fewer lanes. Then the
	 * file says what it said when it was settled, and will not have more when it is written
	 * anew.
	 */
	state_file_look(gw->reserve->file, &want->key, &known);
	if (!known.live)
		return;
	if (want->key.lane == LANE_ALL)
		all_reserve(n, known.number);
	else if (want->key.lane < numbers_lanes(n))
		numbers_reserve(n, want->key.lane, known.number);
}

uint64_t
reserve_ticket(const struct gw *gw)
{
	return gw->reserve != NULL ? gw->reserve->ticket : 0;
}

uint64_t
reserve_done(const struct gw *gw)
{
	return gw->reserve != NULL ? state_file_done(gw->reserve->file) : UINT64_MAX;
}

int
reserve_wait(struct gw *gw, uint32_t ms, struct err *err)
{
	struct reserve *r = gw->reserve;
	int rc = 0;

	/* What is in flight comes first, and then what has gathered meanwhile. */
	for (int i = 0; r != NULL && i < 2 && rc == 0 && state_file_done(r->file) < r->tickets;
	     i++) {
		state_file_post(r->file);
		rc = state_file_wait(r->file, ms, err);
		if (rc == 0)
			state_file_collect(r->file, done, gw);
	}
	return rc;
}

int
reserve_check(struct gw *gw, struct err *err)
{
	if (gw->reserve == NULL || state_file_is_well(gw->reserve->file, err))
		return 0;
	return -ENOSPC;
}

/* ---- the key comes to rest ---- */

void
reserve_settle(struct gw *gw, const struct numbers *n, bool forever)
{
	struct state_key key;

	if (gw->reserve == NULL || n == NULL || !numbers_is_last(n))
		return;
	key = (struct state_key) { .lane = LANE_ALL, .inbound = n->inbound };
	numbers_hash_of(gw->numbers, n, key.hash);
	/* Another SA has the record as well: what it reserved stays. */
	if (numbers_has_sibling(gw->numbers, n)) {
		for (uint32_t lane = 0; lane < numbers_lanes(n); lane++) {
			key.lane = (uint16_t)lane;
			state_file_hold(gw->reserve->file, &key);
		}
		return;
	}
	/* Also what this hold has no part in: lanes of those before it. */
	if (n->inbound && numbers_lanes(n) > 1)
		state_file_settle(gw->reserve->file, &key, 0, forever);
	for (uint32_t lane = 0; lane < numbers_lanes(n); lane++) {
		key.lane = (uint16_t)lane;
		state_file_settle(gw->reserve->file, &key, numbers_used(n, key.lane), forever);
	}
}

/* ---- now and then ---- */

void
reserve_tick(struct gw *gw, uint64_t now)
{
	struct reserve *r = gw->reserve;
	struct state_counts c;
	bool ill;

	if (r == NULL)
		return;
	if (r->poller == NULL)
		readable(gw, EPOLLIN);
	state_file_post(r->file);
	if (r->told != state_file_done(r->file)) {
		r->told = state_file_done(r->file);
		if (gw->hooks.durable != NULL)
			gw->hooks.durable(gw->hooks.ctx, r->told);
	}
	if (now < r->next_look)
		return;
	r->next_look = now + LOOK_NS;
	state_file_counts(r->file, &c);
	ill = c.trouble[0] != 0;
	if (ill && !r->was_ill)
		GW_LOG(ERR,
		       "state file %s: no number is reserved until it is well again: SAs that use "
		       "up "
		       "theirs wait (seq_wait), and no new ones are taken\n",
		       c.trouble);
	else if (!ill && r->was_ill)
		GW_LOG(NOTICE, "state file %s: the disk is well again\n",
		       gw->conf->gateway.state_file);
	r->was_ill = ill;
}

bool
reserve_counts(const struct gw *gw, struct state_counts *counts)
{
	if (gw->reserve == NULL)
		return false;
	state_file_counts(gw->reserve->file, counts);
	return true;
}
