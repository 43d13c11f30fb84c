/* What a start makes of the state file's records of a key: the one of all lanes that were still to
 * come, and those of single lanes.
 */
#include "state_rig.h"

#include "ctl/gw.h"
#include "ctl/reserve.h"
#include "eal.h"
#include "numbers/numbers.h"
#include "replay/replay.h"
#include "seq/seq.h"

#define WORKERS	 4
#define LANES	 4
#define LANE_ALL UINT16_MAX
#define ALL	 2048
#define OWN	 1600

static struct gw gw;
static struct conf conf;

static struct numbers_ask
ask_of(bool inbound, bool subspaces)
{
	static const uint8_t key[20] = { 1, 2, 3 };

	return (struct numbers_ask) {
		.name = "a",
		.id = { .spi = 0x1001, .family = 4 },
		.key = { .key = key,
			 .key_len = 16,
			 .salt = key + 16,
			 .salt_len = 4,
			 .counter_mode = true },
		.inbound = inbound,
		.esn = true,
		.subspaces = subspaces,
		.lanes = subspaces ? LANES : 1,
		.window = inbound ? 64 : 0,
		.forever = true,
	};
}

static struct numbers_reg *
registry(const uint8_t *secret)
{
	const struct numbers_params p = {
		.max_sas = 10,
		.max_kept = 10,
		.n_workers = WORKERS,
		.socket = -1,
		.reserved = true,
		.secret = secret,
	};
	struct numbers_reg *reg;

	assert_int_equal(numbers_create(&p, &reg, &err), 0);
	return reg;
}

static void
nothing_done(void *ctx, const struct state_want *want)
{
}

static void
record(struct state_file *f, struct numbers_reg *reg, uint16_t lane, uint64_t number)
{
	const struct numbers_ask ask = ask_of(true, true);
	struct state_want want = { .key = { .lane = lane, .inbound = true },
				   .forever = true,
				   .number = number };
	uint64_t ticket;

	assert_int_equal(numbers_hash(reg, &ask, want.key.hash), 0);
	assert_int_equal(state_file_want(f, &want, &ticket), 0);
}

/* A run in which an inbound key with lanes was used, and that crashed. */
static void
crash_with(bool of_lane_3)
{
	const struct state_options o = { .path = path };
	struct state_file *f = open_by(&o);
	struct numbers_reg *reg = registry(state_file_secret(f));

	record(f, reg, LANE_ALL, ALL);
	if (of_lane_3)
		record(f, reg, 3, (uint64_t)3 << REPLAY_ID_SHIFT | OWN);
	state_file_post(f);
	assert_int_equal(state_file_wait(f, 10000, &err), 0);
	state_file_collect(f, nothing_done, NULL);
	assert_int_equal(state_file_close(f, &err), 0);
	numbers_free(reg);
}

static int
begin(void **state)
{
	if (folder_make(state) < 0)
		return -1;
	memset(&gw, 0, sizeof(gw));
	memset(&conf, 0, sizeof(conf));
	snprintf(conf.gateway.state_file, sizeof(conf.gateway.state_file), "%s", path);
	clock_init(&gw.clock, CLOCK_REAL);
	gw.conf = &conf;
	gw.n_workers = WORKERS;
	return 0;
}

static void
start(void)
{
	if (reserve_init(&gw, &err) < 0)
		fail_msg("%s", err.text);
	gw.numbers = registry(reserve_secret(&gw));
}

static int
end(void **state)
{
	numbers_free(gw.numbers);
	reserve_fini(&gw);
	return folder_remove(state);
}

static struct numbers *
attach(struct numbers_ask *ask)
{
	struct numbers_job *job;
	struct numbers *n;

	assert_int_equal(reserve_floors(&gw, ask, &err), 0);
	assert_int_equal(numbers_attach(gw.numbers, ask, &n, &job, &err), 0);
	assert_null(job);
	assert_int_equal(reserve_first(&gw, n, true, &err), 0);
	assert_int_equal(reserve_wait(&gw, 10000, &err), 0);
	return n;
}

static void
detach(struct numbers *n)
{
	reserve_settle(&gw, n, true);
	numbers_release(gw.numbers, n, 0);
}

/* The lane had a record of its own when the one of all let it go further. */
static void
test_higher_of_both(void **state)
{
	struct numbers_ask ask = ask_of(true, true);

	crash_with(true);
	start();
	assert_int_equal(reserve_floors(&gw, &ask, &err), 0);
	for (uint64_t lane = 0; lane < LANES; lane++)
		assert_int_equal(ask.floors[lane], lane << REPLAY_ID_SHIFT | ALL);
}

/* Lane 0 is the lane of the key without subspaces, whichever way it is used now. */
static void
test_without_subspaces(void **state)
{
	for (int inbound = 0; inbound < 2; inbound++) {
		struct numbers_ask ask = ask_of(inbound, false);

		if (inbound == 0) {
			crash_with(false);
			start();
		}
		assert_int_equal(reserve_floors(&gw, &ask, &err), 0);
		assert_int_equal(ask.floors[0], ALL);
	}
}

/* Subspaces off and on again under one key: what is on the disk is allowed, at once. */
static void
test_off_and_on(void **state)
{
	struct numbers_ask with = ask_of(true, true), without = ask_of(true, false);
	struct numbers *first, *second;
	uint64_t before;

	start();
	with.start = 5; /* a key that was used is remembered */
	first = attach(&with);
	before = numbers_reserved(first, 2);
	assert_true(before > (uint64_t)2 << REPLAY_ID_SHIFT);
	without.replaces = first;
	second = attach(&without);
	detach(first);
	detach(second);
	first = attach(&with);
	assert_int_equal(numbers_reserved(first, 2), before);
	detach(first);
}

/* A clean stop, and a start. */
static void
restart(void)
{
	numbers_free(gw.numbers);
	reserve_fini(&gw);
	start();
}

static struct numbers *
attach_soon(struct numbers_ask *ask)
{
	struct numbers_job *job;
	struct numbers *n;

	assert_int_equal(reserve_floors(&gw, ask, &err), 0);
	assert_int_equal(numbers_attach(gw.numbers, ask, &n, &job, &err), 0);
	assert_null(job);
	assert_int_equal(reserve_first(&gw, n, true, &err), 0);
	return n;
}

/* A stop leaves exact numbers of all lanes, also of those that the last SA did not have. */
static void
test_lanes_of_before_are_settled(void **state)
{
	struct numbers_ask four = ask_of(false, true), two = four;
	const uint64_t used = UINT64_C(3) << LANE_ID_SHIFT | 17;
	struct numbers *first, *second;

	start();
	first = attach(&four);
	lane_raise(&first->lane[3], used);
	two.lanes = 2;
	two.replaces = first;
	second = attach(&two);
	detach(first);
	detach(second);
	restart();
	assert_int_equal(reserve_floors(&gw, &four, &err), 0);
	assert_int_equal(four.floors[3], used);
}

/* The youngest SA of a key has fewer lanes than the one before, which is still in use. */
static void
test_all_lanes_hear_of_it(void **state)
{
	struct numbers_ask four = ask_of(true, true), two = four;
	struct numbers *first, *second;

	start();
	first = attach_soon(&four);
	two.lanes = 2;
	two.replaces = first;
	second = attach_soon(&two);
	assert_int_equal(reserve_wait(&gw, 10000, &err), 0);
	for (uint16_t lane = 0; lane < LANES; lane++)
		assert_true(numbers_reserved(first, lane) > (uint64_t)lane << REPLAY_ID_SHIFT);
	detach(first);
	detach(second);
}

/* What was asked for a lane is on the disk when its key has come to rest and is back without. Nor
 * does anybody else hear of it whose numbers lie behind.
 */
static void
test_a_lane_that_is_gone_hears_nothing(void **state)
{
	struct numbers_ask with = ask_of(false, true), without = ask_of(false, false);
	struct numbers *n[2 * LANES];

	start();
	with.start = 5; /* a key that was used is remembered */
	detach(attach_soon(&with));
	for (uint8_t i = 0; i < RTE_DIM(n); i++) {
		const uint8_t key[20] = { 1, 2, (uint8_t)(3 + i) };

		without.key.key = key;
		without.key.salt = key + 16;
		without.id.spi++;
		n[i] = attach_soon(&without);
	}
	assert_int_equal(reserve_wait(&gw, 10000, &err), 0);
	for (uint8_t i = 0; i < RTE_DIM(n); i++) {
		assert_in_range(numbers_reserved(n[i], 0), 1, LANE_SN_MAX);
		detach(n[i]);
	}
}

static struct numbers_ask
cbc_of(uint8_t dst)
{
	struct numbers_ask ask = ask_of(false, false);

	ask.key.counter_mode = false;
	ask.id.dst[0] = dst;
	return ask;
}

/* SAs with one key and SPI at several ends have one record, which is none's alone. */
static void
test_siblings(void **state)
{
	struct numbers_ask busy = cbc_of(1), idle = cbc_of(2);
	struct numbers *a, *b;

	start();
	a = attach_soon(&busy);
	b = attach_soon(&idle);
	assert_int_equal(reserve_wait(&gw, 10000, &err), 0);
	assert_true(numbers_reserved(a, 0) > 1000);
	assert_true(numbers_reserved(b, 0) > 0);
	lane_raise(a->lane, 1000);
	lane_raise(b->lane, 10);
	/* One may come back while the other stays, and goes on where it was. */
	detach(b);
	b = attach(&idle);
	assert_int_equal(numbers_used(b, 0), 10);
	detach(a);
	detach(b);
	restart();
	a = attach(&busy);
	assert_true(numbers_used(a, 0) >= 1000);
	b = attach(&idle);
	assert_true(numbers_used(b, 0) >= 10);
	detach(a);
	detach(b);
}

/* The second one finds the record in use, by numbers that are not its own. */
static void
test_siblings_after_a_crash(void **state)
{
	struct numbers_ask busy = cbc_of(1), idle = cbc_of(2);
	struct state_want want = { .number = 5000, .forever = true };
	const struct state_options o = by_hand();
	struct state_file *f = open_by(&o);
	struct numbers_reg *reg = registry(state_file_secret(f));
	struct numbers *a, *b;
	uint64_t ticket;

	assert_int_equal(numbers_hash(reg, &idle, want.key.hash), 0);
	assert_int_equal(state_file_want(f, &want, &ticket), 0);
	state_file_post(f);
	assert_int_equal(state_file_write(f), 0);
	state_file_abandon(f);
	numbers_free(reg);
	start();
	a = attach(&busy);
	b = attach(&idle);
	assert_true(numbers_used(a, 0) >= 5000);
	assert_true(numbers_used(b, 0) >= 5000);
	detach(a);
	detach(b);
}

/* A sender as the gateway sees it: at half of a block another is asked for. */
struct sender {
	struct state_known known;
	uint64_t used, us;
};

static const struct reserve_bounds bounds = { .least = 64, .most = 1u << 30, .last = UINT64_MAX };

static void
sends(struct sender *s, uint64_t n, uint64_t per_second)
{
	for (uint64_t i = 0; i < n; i++) {
		uint32_t ms = (uint32_t)((s->us += 1000000 / per_second) / 1000);
		uint64_t end;

		s->used++;
		if (s->used + s->known.block / 2 < s->known.asked)
			continue;
		end = reserve_end(&s->known, s->used, s->known.asked, ms, &bounds);
		/* It is asked for once: an end that does not move is the last of all. */
		assert_true(end > s->known.asked);
		s->known.block = (uint32_t)(end - s->used);
		s->known.asked = end;
		s->known.asked_ms = ms;
	}
}

static struct sender
sender_new(void)
{
	return (struct sender) {
		.known = { .live = true, .asked = bounds.least, .block = bounds.least }
	};
}

/* What a crash makes a peer send again before it is heard. */
static void
test_burst_is_no_rate(void **state)
{
	static const uint64_t rates[] = { 1000, 10000, 100000, 1000000 };

	for (size_t i = 0; i < RTE_DIM(rates); i++) {
		struct sender s = sender_new();

		sends(&s, 500, rates[i]);
		assert_in_range(s.known.asked - s.used, 1, 2 * (500 + bounds.least));
		/* Later, one packet a second: what was a burst is forgotten with the next block. */
		sends(&s, 2000, 1);
		assert_in_range(s.known.block, bounds.least, bounds.least + 1);
	}
}

static void
test_block_follows_the_rate(void **state)
{
	static const uint64_t rates[] = { 1000, 50000, 1000000 };

	for (size_t i = 0; i < RTE_DIM(rates); i++) {
		struct sender s = sender_new();

		sends(&s, 10 * rates[i], rates[i]);
		assert_in_range(s.known.block, rates[i] * 19 / 10, rates[i] * 21 / 10);
		/* A second's worth stands between any packet and the end: time for the disk. */
		sends(&s, 12345, rates[i]);
		assert_true(s.known.asked - s.used >= rates[i] * 9 / 10);
		sends(&s, 10 * rates[i], rates[i] / 10);
		assert_in_range(s.known.block, rates[i] / 10, rates[i] * 3 / 10);
	}
}

static void
test_block_grows_by_steps(void **state)
{
	struct state_known known = { .asked = 5000, .block = 1000, .asked_ms = UINT32_MAX };
	const struct reserve_bounds few = { .least = 64, .most = 2000, .last = UINT64_MAX };
	const uint64_t far = UINT64_C(1) << 40;

	/* The peer jumped, and the clock of 32 bits turned over. */
	assert_int_equal(reserve_end(&known, far, far, 0, &bounds), far + 2999);
	assert_int_equal(reserve_end(&known, far, far, 0, &few), far + 2000);
	/* Nothing was used. */
	assert_int_equal(reserve_end(&known, 0, 5000, 5000, &bounds), 5032);
	/* A lane without a block; one that has what all lanes have. */
	memset(&known, 0, sizeof(known));
	assert_int_equal(reserve_end(&known, 7, 7, 0, &bounds), 71);
	assert_int_equal(reserve_end(&known, 7, 1000, 0, &bounds), 1032);
}

/* The last number is the end of the last block, and of those that are asked for behind it. */
static void
test_last_block(void **state)
{
	const struct reserve_bounds without_esn = { .least = 64, .most = 1000, .last = UINT32_MAX };
	struct state_known known = { .asked = UINT32_MAX - 10, .block = 64 };

	assert_int_equal(reserve_end(&known, UINT32_MAX - 40, UINT32_MAX - 10, 2000, &without_esn),
			 UINT32_MAX);
	known.asked = UINT32_MAX;
	assert_int_equal(reserve_end(&known, UINT32_MAX - 40, UINT32_MAX, 2000, &without_esn),
			 UINT32_MAX);
	assert_int_equal(reserve_end(&known, UINT32_MAX, UINT32_MAX, 2000, &without_esn),
			 UINT32_MAX);
}

/* Fast for a while, with the large blocks of that, then slower by any factor, and slower again. */
static void
test_slower_never_waits(void **state)
{
	static const uint64_t rates[] = { 1000000, 200000, 30000, 5000, 700, 60, 3, 1, 100000, 2 };
	struct sender s = sender_new();

	for (size_t i = 0; i < RTE_DIM(rates); i++) {
		sends(&s, 300000, rates[i]);
		assert_true(s.known.asked > s.used);
	}
}

/* What the lanes of an SA said last may be lost with it; the others of its key go on. */
static void
test_asked_again_for_the_others(void **state)
{
	struct numbers_ask ask = ask_of(false, false), other = ask;
	struct numbers *first, *second;
	uint32_t record;
	uint64_t end;

	start();
	first = attach(&ask);
	other.replaces = first;
	second = attach(&other);
	end = numbers_reserved(second, 0);
	assert_false(numbers_is_near(second, 0));
	lane_raise(second->lane, end - end / 4);
	assert_true(numbers_is_near(second, 0));
	record = numbers_record(first);
	detach(first);
	reserve_again(&gw, record, true);
	assert_int_equal(reserve_wait(&gw, 10000, &err), 0);
	assert_true(numbers_reserved(second, 0) > end);
	assert_false(numbers_is_near(second, 0));
	/* No one is left. */
	detach(second);
	reserve_again(&gw, record, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_block),
		cmocka_unit_test(test_slower_never_waits),
		cmocka_unit_test_setup_teardown(test_asked_again_for_the_others, begin, end),
		cmocka_unit_test_setup_teardown(test_higher_of_both, begin, end),
		cmocka_unit_test_setup_teardown(test_without_subspaces, begin, end),
		cmocka_unit_test_setup_teardown(test_off_and_on, begin, end),
		cmocka_unit_test_setup_teardown(test_lanes_of_before_are_settled, begin, end),
		cmocka_unit_test_setup_teardown(test_all_lanes_hear_of_it, begin, end),
		cmocka_unit_test_setup_teardown(test_a_lane_that_is_gone_hears_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_siblings, begin, end),
		cmocka_unit_test_setup_teardown(test_siblings_after_a_crash, begin, end),
		cmocka_unit_test(test_burst_is_no_rate),
		cmocka_unit_test(test_block_follows_the_rate),
		cmocka_unit_test(test_block_grows_by_steps),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("ctl_reserve", tests, NULL, NULL);
}
