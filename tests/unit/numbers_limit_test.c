/* Hard lifetimes of keys: exactly the limit passes, however packets come. */
#include "numbers_rig.h"

#define LANES_MAX 64
#define MAILS_MAX 64

static uint64_t seed = 7;

static uint32_t
below(uint32_t n)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)((seed >> 33) % n);
}

/* One key, its workers, and what control has mailed to them. */
struct bed {
	struct numbers *n;
	uint16_t lanes;
	bool inbound;
	struct {
		struct numbers_job *job;
		bool ran[WORKERS];
	} mails[MAILS_MAX];
	uint32_t n_mails;
	uint64_t most;		  /* packets that may pass */
	uint64_t packets, bytes;  /* passed */
	uint64_t refused, waited; /* `expired`, `seq_wait` */
};

static enum drop_reason
pass(struct bed *b, uint16_t lane, uint32_t bytes)
{
	enum drop_reason why;
	struct lane *l;
	uint64_t seq;
	bool ask;

	if (b->inbound) {
		if (b->n->windows[lane] == NULL)
			replay_publish(b->n->windows, lane, numbers_window(reg, 64));
		return replay_count(b->n->windows[lane], bytes);
	}
	l = &b->n->lane[lane];
	if (lane_take(l, bytes, &seq))
		return DROP_NONE;
	why = lane_stopped(l, bytes, &ask);
	if (why == DROP_NONE)
		assert_true(lane_take(l, bytes, &seq));
	return why;
}

static void
packet(struct bed *b, uint16_t lane, uint32_t bytes)
{
	switch (pass(b, lane, bytes)) {
	case DROP_NONE:
		assert_true(b->packets++ < b->most);
		b->bytes += bytes;
		break;
	case DROP_EXPIRED:
		b->refused++;
		break;
	case DROP_SEQ_WAIT:
		b->waited++;
		break;
	default:
		fail();
	}
}

static void
mail(struct bed *b, struct numbers_job *job)
{
	assert_true(b->n_mails < MAILS_MAX);
	b->mails[b->n_mails].job = job;
	for (uint16_t w = 0; w < WORKERS; w++)
		b->mails[b->n_mails].ran[w] = !numbers_job_wants(job, w);
	b->n_mails++;
}

static void
tick(struct bed *b)
{
	struct numbers_job *job;

	numbers_tick(reg);
	while ((job = numbers_due(reg)) != NULL)
		mail(b, job);
}

/* One worker reads its mail; a job that all have run is done with. */
static void
worker_reads(struct bed *b, uint16_t worker)
{
	for (uint32_t i = 0; i < b->n_mails; i++) {
		if (!b->mails[i].ran[worker])
			numbers_job_run(b->mails[i].job, worker);
		b->mails[i].ran[worker] = true;
	}
	while (b->n_mails > 0) {
		for (uint16_t w = 0; w < WORKERS; w++)
			if (!b->mails[0].ran[w])
				return;
		numbers_job_done(reg, b->mails[0].job, 0);
		memmove(&b->mails[0], &b->mails[1], --b->n_mails * sizeof(b->mails[0]));
	}
}

static void
bed_open(struct bed *b, bool inbound, uint16_t lanes, uint8_t key, uint64_t packets, uint64_t bytes)
{
	struct numbers_ask ask = gcm("sa", inbound, key);

	ask.subspaces = true;
	ask.lanes = lanes;
	ask.hard_packets = packets;
	ask.hard_bytes = bytes;
	*b = (struct bed) { .lanes = lanes,
			    .inbound = inbound,
			    .most = packets != 0 ? packets : UINT64_MAX };
	b->n = attach(&ask);
}

static void
bed_close(struct bed *b)
{
	for (int i = 0; i < 2; i++)
		for (uint16_t w = 0; w < WORKERS; w++)
			worker_reads(b, w);
	assert_int_equal(b->n_mails, 0);
	numbers_release(reg, b->n, 0);
}

/* Which lane the next packet comes by. */
enum spread {
	EVEN,
	ONE,	 /* always the last lane */
	IN_TURN, /* one lane until it stops, then the next */
	SKEWED,	 /* mostly lane 0, now and then another */
};

static uint16_t
lane_next(const struct bed *b, enum spread spread, uint32_t step)
{
	switch (spread) {
	case EVEN:
		return (uint16_t)below(b->lanes);
	case ONE:
		return b->lanes - 1;
	case IN_TURN:
		return (uint16_t)(step / 5000 % b->lanes);
	default:
		return below(100) == 0 ? (uint16_t)below(b->lanes) : 0;
	}
}

/* Until nothing has passed for long: then control, too, must know that it is over. */
static void
run(struct bed *b, enum spread spread, uint32_t per_tick, uint32_t bytes)
{
	uint32_t quiet = 0;

	for (uint32_t step = 0; quiet < 40 * per_tick + 3000; step++) {
		uint64_t before = b->packets;

		packet(b, lane_next(b, spread, step), bytes);
		quiet = b->packets == before ? quiet + 1 : 0;
		if (below(per_tick) == 0)
			tick(b);
		if (below(per_tick / 2 + 1) == 0)
			worker_reads(b, (uint16_t)below(WORKERS));
	}
}

static void
exactly_the_limit_passes(void **state)
{
	static const uint16_t lanes[] = { 1, 2, 3, 8, 64 };
	static const uint64_t hards[] = { 1, 2, 7, 100, 1001, 54321 };
	static const uint32_t ticks[] = { 5, 20, 300 };

	for (int inbound = 0; inbound < 2; inbound++)
		for (size_t i = 0; i < RTE_DIM(lanes); i++)
			for (size_t k = 0; k < RTE_DIM(hards); k++)
				for (enum spread spread = EVEN; spread <= SKEWED; spread++) {
					struct bed b;
					uint64_t refused;

					bed_open(&b, inbound, lanes[i], 1, hards[k], 0);
					run(&b, spread, ticks[k % RTE_DIM(ticks)], 100);
					if (b.packets != hards[k])
						fail_msg("%s, %u lanes, limit %lu, spread %u: %lu",
							 inbound ? "in" : "out", lanes[i], hards[k],
							 spread, b.packets);
					/* It is the end, and is said to be. */
					refused = b.refused;
					for (uint16_t lane = 0; lane < lanes[i]; lane++)
						packet(&b, lane, 1);
					assert_int_equal(b.refused, refused + lanes[i]);
					assert_int_equal(b.packets, hards[k]);
					bed_close(&b);
				}
}

static void
octets_pass_up_to_the_limit(void **state)
{
	static const uint64_t hards[] = { 99, 100, 12345, 1000000, 20000000 };

	for (int inbound = 0; inbound < 2; inbound++)
		for (size_t k = 0; k < RTE_DIM(hards); k++)
			for (enum spread spread = EVEN; spread <= SKEWED; spread++) {
				struct bed b;

				bed_open(&b, inbound, 8, 1, 0, hards[k]);
				run(&b, spread, 10, 100);
				if (b.bytes != hards[k] / 100 * 100)
					fail_msg("%s, limit %lu, spread %u: %lu",
						 inbound ? "in" : "out", hards[k], spread, b.bytes);
				assert_true(b.refused > 0);
				bed_close(&b);
			}
}

/* The one that comes first counts, and the other does not keep it from being reached. */
static void
both_limits_hold_at_once(void **state)
{
	static const struct {
		uint64_t packets, bytes, want;
	} cases[] = {
		{ 1000, 1000000, 1000 },
		{ 100000, 1000000, 10000 },
		{ 10000, 1000000, 10000 },
		{ 3, 250, 2 },
	};

	for (int inbound = 0; inbound < 2; inbound++)
		for (size_t k = 0; k < RTE_DIM(cases); k++)
			for (enum spread spread = EVEN; spread <= SKEWED; spread++) {
				struct bed b;

				bed_open(&b, inbound, 8, 1, cases[k].packets, cases[k].bytes);
				run(&b, spread, 10, 100);
				if (b.packets != cases[k].want)
					fail_msg("%s, %zu, spread %u: %lu", inbound ? "in" : "out",
						 k, spread, b.packets);
				bed_close(&b);
			}
}

/* As long as much is left nothing waits: a slice is more than what comes in a tick. */
static void
nothing_waits_far_from_the_limit(void **state)
{
	for (int inbound = 0; inbound < 2; inbound++) {
		struct bed b;

		bed_open(&b, inbound, 8, 1, 10000000, 0);
		for (uint32_t step = 0; step < 5000000; step++) {
			packet(&b, (uint16_t)below(8), 100);
			if (step % 1000 == 0) {
				tick(&b);
				worker_reads(&b, (uint16_t)below(WORKERS));
			}
		}
		assert_int_equal(b.packets, 5000000);
		bed_close(&b);
	}
}

/* A reload lowers and raises the limit of a key in use; its SA is replaced with all lanes busy. */
static void
a_limit_may_change_on_the_way(void **state)
{
	static const struct {
		const char *what;
		uint64_t first, then;
	} cases[] = {
		{ "lowered", 100000, 60000 },
		{ "raised", 60000, 100000 },
		{ "lowered below what has passed", 100000, 10 },
		{ "made one where there was none", 0, 60000 },
	};

	for (int inbound = 0; inbound < 2; inbound++)
		for (size_t i = 0; i < RTE_DIM(cases); i++) {
			struct numbers_ask ask = gcm("sa", inbound, 1);
			struct numbers_job *job;
			struct numbers *old;
			uint64_t passed;
			struct bed b;

			bed_open(&b, inbound, 4, 1, cases[i].first, 0);
			for (uint32_t step = 0; step < 30000; step++) {
				packet(&b, (uint16_t)below(4), 100);
				if (step % 100 == 0)
					tick(&b);
				if (step % 50 == 0)
					worker_reads(&b, (uint16_t)below(WORKERS));
			}
			assert_int_equal(b.packets, 30000);
			old = b.n;
			ask.subspaces = true;
			ask.lanes = 5;
			ask.hard_packets = cases[i].then;
			ask.replaces = old;
			assert_int_equal(numbers_attach(reg, &ask, &b.n, &job, &err), 0);
			if (job != NULL)
				mail(&b, job);
			b.lanes = 5;
			b.most = RTE_MAX(cases[i].then, b.packets + 200);
			for (int k = 0; k < 100 && b.n_mails > 0; k++) {
				packet(&b, (uint16_t)below(5), 100);
				worker_reads(&b, (uint16_t)below(WORKERS));
			}
			passed = b.packets;
			numbers_release(reg, old, 0);
			run(&b, EVEN, 100, 100);
			if (b.packets != RTE_MAX(cases[i].then, passed))
				fail_msg("%s: %lu of %lu", cases[i].what, b.packets, cases[i].then);
			assert_true(passed < 30200);
			bed_close(&b);
		}
}

/* Without subspaces the only lane has it all: no waiting, whatever control does. */
static void
one_lane_has_it_all(void **state)
{
	struct numbers_ask o = gcm("o", false, 1), i = gcm("i", true, 2), o2;
	struct numbers *out, *in, *again;

	o.hard_packets = i.hard_packets = 1000;
	o.packets = i.packets = 10;
	out = attach(&o);
	in = attach(&i);
	for (int k = 10; k < 1000; k++) {
		assert_int_not_equal(take(out->lane, 100), 0);
		assert_int_equal(replay_count(in->window, 100), DROP_NONE);
	}
	assert_int_equal(take(out->lane, 100), 0);
	assert_int_equal(replay_count(in->window, 100), DROP_EXPIRED);
	/* Raised, then lowered under an owner that has seen the higher one. */
	o2 = o;
	o2.hard_packets = 2000;
	o2.replaces = out;
	again = attach(&o2);
	assert_int_not_equal(take(out->lane, 100), 0);
	o.replaces = again;
	numbers_release(reg, out, 0);
	out = attach_run(&o);
	assert_int_equal(take(again->lane, 100), 0);
	numbers_release(reg, again, 0);
	numbers_release(reg, out, 0);
	numbers_release(reg, in, 0);
}

/* An SA with a higher limit that was not to be. */
static void
the_limit_before_is_in_force_again(void **state)
{
	struct numbers_ask ask = gcm("o", false, 1);
	struct numbers *first, *second;
	struct numbers_job *job;

	ask.hard_packets = 100;
	first = attach(&ask);
	ask.hard_packets = 1000;
	ask.replaces = first;
	second = attach(&ask);
	send_some(first, 50);
	numbers_release(reg, second, 0);
	job = numbers_due(reg);
	assert_non_null(job);
	assert_null(numbers_due(reg));
	job_run(job);
	numbers_job_done(reg, job, 0);
	send_some(first, 50);
	assert_int_equal(take(first->lane, 100), 0);
	numbers_release(reg, first, 0);
}

/* The algorithm's own limit, which costs nothing until half of it is used. */
static void
what_goes_without_saying_binds_in_time(void **state)
{
	for (int inbound = 0; inbound < 2; inbound++) {
		struct numbers_ask ask = gcm("sa", inbound, 1);
		struct numbers *n, *again;
		struct numbers_job *job;
		uint32_t passed = 0;

		ask.own_packets = 1000;
		n = attach(&ask);
		for (int k = 0; k < 600; k++) {
			if (inbound)
				assert_int_equal(replay_count(n->window, 1), DROP_NONE);
			else
				assert_int_not_equal(take(n->lane, 1), 0);
		}
		assert_int_equal(numbers_limit(reg, n, 1000, &err), 0);
		assert_int_equal(numbers_limit(reg, n, 1000, &err), 0);
		while ((job = numbers_due(reg)) != NULL) {
			job_run(job);
			numbers_job_done(reg, job, 0);
		}
		/* The next SA of the key has it from the start. */
		ask.replaces = n;
		again = attach(&ask);
		for (int k = 0; k < 1000; k++)
			passed += inbound ? replay_count(again->window, 1) == DROP_NONE :
					    take(again->lane, 1) != 0;
		assert_int_equal(passed, 400);
		numbers_release(reg, n, 0);
		numbers_release(reg, again, 0);
	}
}

/* What a daemon says was counted before may be anything. */
static void
absurd_counts_do_not_pass_a_limit_by(void **state)
{
	for (uint8_t lanes = 1; lanes <= 4; lanes += 3) {
		struct numbers_ask ask = gcm("o", false, lanes);
		struct numbers *n;
		bool told;

		ask.subspaces = lanes > 1;
		ask.lanes = lanes;
		ask.packets = ask.bytes = UINT64_MAX - 10;
		ask.hard_bytes = 100;
		n = attach(&ask);
		numbers_tick(reg);
		for (uint8_t lane = 0; lane < lanes; lane++) {
			struct lane *l = &n->lane[lane];
			uint64_t seq;

			assert_false(lane_take(l, 50, &seq));
			assert_int_equal(lane_stopped(l, 50, &told), DROP_EXPIRED);
		}
		numbers_release(reg, n, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NUMBERS_TEST(absurd_counts_do_not_pass_a_limit_by),
		NUMBERS_TEST(exactly_the_limit_passes),
		NUMBERS_TEST(octets_pass_up_to_the_limit),
		NUMBERS_TEST(both_limits_hold_at_once),
		NUMBERS_TEST(nothing_waits_far_from_the_limit),
		NUMBERS_TEST(a_limit_may_change_on_the_way),
		NUMBERS_TEST(one_lane_has_it_all),
		NUMBERS_TEST(the_limit_before_is_in_force_again),
		NUMBERS_TEST(what_goes_without_saying_binds_in_time),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
