/* Keys with several lanes: what a key must never do, whatever becomes of its SAs. */
#include "numbers_rig.h"

#define BASE(lane) ((uint64_t)(lane) << LANE_ID_SHIFT)

static struct numbers_ask
laned(const char *name, bool inbound, uint8_t key, uint16_t lanes)
{
	struct numbers_ask a = gcm(name, inbound, key);

	a.subspaces = true;
	a.lanes = lanes;
	return a;
}

/* A packet of that lane, by its owner: the window comes with the first one. */
static enum drop_reason
arrive_lane(struct numbers *n, uint16_t lane, uint64_t sn)
{
	struct replay *w = n->windows[lane];

	if (w == NULL) {
		w = numbers_window(reg, replay_set_of(n->windows)->window);
		assert_non_null(w);
		replay_publish(n->windows, lane, w);
	} else {
		enum drop_reason why = replay_check_whole(w, BASE(lane) | sn);

		if (why != DROP_NONE)
			return why;
	}
	return replay_accept(w, BASE(lane) | sn);
}

static void
each_lane_counts_for_itself(void **state)
{
	struct numbers_ask ask = laned("o", false, 1, 4);
	struct numbers *n = attach(&ask);
	struct numbers_counts counts;

	assert_int_equal(n->n, 4);
	assert_true(n->subspaces);
	for (uint16_t lane = 0; lane < 4; lane++) {
		assert_int_equal(numbers_used(n, lane), 0);
		for (uint64_t sn = 1; sn <= 10u * (lane + 1); sn++)
			assert_true(take(&n->lane[lane], 100) == (BASE(lane) | sn));
		assert_true(numbers_used(n, lane) == (BASE(lane) | 10u * (lane + 1)));
	}
	numbers_count(n, &counts);
	assert_int_equal(counts.packets, 100);
	assert_int_equal(counts.bytes, 10000);
	numbers_release(reg, n, 0);
}

static void
a_lane_ends_where_the_next_one_begins(void **state)
{
	struct numbers_ask ask = laned("o", false, 1, 2);
	struct numbers *n = attach(&ask);
	bool low;

	for (uint16_t lane = 0; lane < 2; lane++) {
		lane_raise(&n->lane[lane], lane_last(lane) - 2);
		assert_true(take(&n->lane[lane], 1) == lane_last(lane) - 1);
		assert_true(take(&n->lane[lane], 1) == lane_last(lane));
		assert_int_equal(take(&n->lane[lane], 1), 0);
	}
	numbers_release(reg, n, 0);
	ask = laned("o", false, 2, 2);
	n = attach(&ask);
	lane_raise(&n->lane[1], lane_last(1) - (UINT64_C(1) << 44));
	low = numbers_low(n);
	assert_false(low);
	lane_raise(&n->lane[1], lane_last(1) - (UINT64_C(1) << 44) + 2);
	assert_true(numbers_low(n));
	numbers_release(reg, n, 0);
}

static void
a_dead_key_keeps_each_lanes_number(void **state)
{
	struct numbers_ask out = laned("o", false, 1, 5), in = laned("i", true, 2, 5);
	struct numbers *o = attach(&out), *i = attach(&in);
	struct numbers_totals t;

	for (uint16_t lane = 0; lane < 5; lane++) {
		if (lane == 3)
			continue;
		lane_raise(&o->lane[lane], BASE(lane) | (100 + lane));
		assert_int_equal(arrive_lane(i, lane, 200 + lane), DROP_NONE);
	}
	numbers_release(reg, o, 0);
	numbers_release(reg, i, 0);
	numbers_totals(reg, &t);
	assert_int_equal(t.kept, 2);
	assert_int_equal(t.in_use, 0);
	out.id.spi++;
	in.id.spi++;
	out.lanes = 9;
	o = attach(&out);
	i = attach(&in);
	for (uint16_t lane = 0; lane < 5; lane++) {
		uint64_t sn = lane == 3 ? 0 : 100 + lane;

		assert_true(take(&o->lane[lane], 1) == (BASE(lane) | (sn + 1)));
		sn = lane == 3 ? 0 : 200 + lane;
		if (sn != 0) {
			assert_true(numbers_used(i, lane) == (BASE(lane) | sn));
			assert_int_equal(arrive_lane(i, lane, sn), DROP_REPLAY_DUP);
			assert_int_equal(arrive_lane(i, lane, sn - 1), DROP_REPLAY_DUP);
		}
		assert_int_equal(arrive_lane(i, lane, sn + 1), DROP_NONE);
	}
	assert_true(take(&o->lane[8], 1) == (BASE(8) | 1));
	numbers_release(reg, o, 0);
	numbers_release(reg, i, 0);
}

static void
lane_0_is_the_lane_without_subspaces(void **state)
{
	struct numbers_ask plain = gcm("o", false, 1), ask = laned("o", false, 1, 2);
	struct numbers *n = attach(&plain);

	send_some(n, 10);
	numbers_release(reg, n, 0);
	n = attach(&ask);
	assert_int_equal(take(&n->lane[0], 1), 11);
	assert_true(take(&n->lane[1], 1) == (BASE(1) | 1));
	numbers_release(reg, n, 0);
	n = attach(&plain);
	assert_int_equal(n->n, 1);
	assert_false(n->subspaces);
	assert_int_equal(take(n->lane, 1), 12);
	/* Lane 1's numbers are taken: the first lane's end before them. */
	lane_raise(n->lane, LANE_SN_MAX);
	assert_int_equal(take(n->lane, 1), 0);
	numbers_release(reg, n, 0);
	n = attach(&ask);
	assert_int_equal(take(&n->lane[0], 1), 0);
	assert_true(take(&n->lane[1], 1) == (BASE(1) | 2));
	numbers_release(reg, n, 0);
	/* One that went far without subspaces has used up lanes. */
	plain.key.key = octets[2];
	ask.key.key = octets[2];
	plain.start = BASE(1) | 7;
	n = attach(&plain);
	assert_true(take(n->lane, 1) == (BASE(1) | 8));
	numbers_release(reg, n, 0);
	n = attach(&ask);
	assert_int_equal(take(&n->lane[0], 1), 0);
	assert_true(take(&n->lane[1], 1) == (BASE(1) | 9));
	numbers_release(reg, n, 0);
}

static void
a_key_in_use_has_room_for_so_many_lanes(void **state)
{
	struct numbers_ask ask = laned("o", false, 1, 2), plain = gcm("p", false, 2),
			   in = laned("i", true, 3, 4);
	struct numbers *n = attach(&ask), *p = attach(&plain), *i = attach(&in), *more;

	ask.replaces = n;
	ask.lanes = 9;
	assert_int_equal(refusal(&ask), -EBUSY);
	assert_string_equal(err.text, "sa o: its key is in use with room for 8 lanes, not 9: give "
				      "it a new key, or restart");
	ask.lanes = 8;
	more = attach(&ask);
	assert_ptr_equal(more->lane, n->lane);
	assert_true(take(&more->lane[7], 1) == (BASE(7) | 1));
	numbers_release(reg, more, 0);
	plain.subspaces = true;
	plain.lanes = 1;
	plain.replaces = p;
	assert_int_equal(refusal(&plain), -EBUSY);
	in.window = 128;
	in.replaces = i;
	assert_int_equal(refusal(&in), -EBUSY);
	ask = laned("x", false, 4, 0);
	assert_int_equal(refusal(&ask), -EINVAL);
	ask.lanes = LANES_OUT_MAX + 1;
	assert_int_equal(refusal(&ask), -EINVAL);
	assert_string_equal(err.text, "sa x: 1025 lanes: 1 to 1024 out, 1 to 65535 in, and ESN");
	ask.lanes = 2;
	ask.start = LANE_SN_MAX + 1;
	assert_int_equal(refusal(&ask), -ERANGE);
	numbers_release(reg, n, 0);
	numbers_release(reg, p, 0);
	numbers_release(reg, i, 0);
}

/* What a record elsewhere says of the lanes: each owner does its part, none the others'. */
static void
lanes_are_raised_by_their_owners(void **state)
{
	static const uint64_t floors[] = { 50, BASE(1) | 60, 0, BASE(3) | 70, BASE(4) | 80 };
	struct numbers_ask out = laned("o", false, 1, 5), in = laned("i", true, 2, 5);
	struct numbers *o = attach(&out), *i = attach(&in), *again[2];
	struct numbers_job *jobs[2];

	assert_int_equal(arrive_lane(i, 1, 10), DROP_NONE);
	out.floors = in.floors = floors;
	out.n_floors = in.n_floors = RTE_DIM(floors);
	out.replaces = o;
	in.replaces = i;
	assert_int_equal(numbers_attach(reg, &out, &again[0], &jobs[0], &err), 0);
	assert_int_equal(numbers_attach(reg, &in, &again[1], &jobs[1], &err), 0);
	assert_non_null(jobs[0]);
	assert_non_null(jobs[1]);
	for (uint16_t w = 0; w < WORKERS; w++) {
		assert_true(numbers_job_wants(jobs[0], w));
		numbers_job_run(jobs[0], w);
		numbers_job_run(jobs[1], w);
		for (uint16_t lane = 0; lane < 5; lane++) {
			/* The rig's SAs are worker 3's. */
			bool done = (3 + lane) % WORKERS <= w;

			assert_true(lane_used(&o->lane[lane]) ==
				    (done && floors[lane] != 0 ? floors[lane] : BASE(lane)));
			assert_true(numbers_used(o, lane) == floors[lane]);
		}
	}
	numbers_job_done(reg, jobs[0], 0);
	numbers_job_done(reg, jobs[1], 0);
	for (uint16_t lane = 0; lane < 5; lane++) {
		uint64_t sn = floors[lane] & LANE_SN_MAX;

		assert_true(take(&o->lane[lane], 1) == (BASE(lane) | (sn + 1)));
		if (sn != 0)
			assert_int_equal(arrive_lane(again[1], lane, sn), DROP_REPLAY_DUP);
		assert_int_equal(arrive_lane(i, lane, sn + 1), DROP_NONE);
	}
	numbers_release(reg, o, 0);
	numbers_release(reg, i, 0);
	numbers_release(reg, again[0], 0);
	numbers_release(reg, again[1], 0);
}

static void
a_key_that_changes_direction_goes_on_above_in_each_lane(void **state)
{
	struct numbers_ask in = laned("i", true, 1, 3), out = laned("o", false, 1, 2);
	struct numbers *n = attach(&in);

	assert_int_equal(arrive_lane(n, 0, 5), DROP_NONE);
	assert_int_equal(arrive_lane(n, 2, 7), DROP_NONE);
	numbers_release(reg, n, 0);
	n = attach(&out);
	assert_int_equal(take(&n->lane[0], 1), 6);
	assert_true(take(&n->lane[1], 1) == (BASE(1) | 1));
	numbers_release(reg, n, 0);
	out.lanes = 3;
	n = attach(&out);
	assert_true(take(&n->lane[2], 1) == (BASE(2) | 8));
	numbers_release(reg, n, 0);
}

static void
nothing_passes_before_it_is_reserved(void **state)
{
	const struct numbers_params p = { .max_sas = 10,
					  .max_kept = 10,
					  .n_workers = WORKERS,
					  .socket = SOCKET,
					  .reserved = true };
	struct numbers_ask plain = gcm("p", false, 1), in = gcm("i", true, 2),
			   out = laned("o", false, 3, 2), ins = laned("s", true, 4, 2);
	struct numbers *n;

	numbers_free(reg);
	assert_int_equal(numbers_create(&p, &reg, &err), 0);
	plain.start = 100;
	n = attach(&plain);
	assert_int_equal(take(n->lane, 1), 0);
	numbers_reserve(n, 0, 102);
	numbers_reserve(n, 0, 101);
	assert_int_equal(numbers_reserved(n, 0), 102);
	assert_int_equal(take(n->lane, 1), 101);
	assert_int_equal(take(n->lane, 1), 102);
	assert_int_equal(take(n->lane, 1), 0);
	numbers_release(reg, n, 0);
	n = attach(&in);
	assert_int_equal(arrive(n, 1), DROP_SEQ_WAIT);
	numbers_reserve(n, 0, 64);
	{
		bool ask;

		assert_true(replay_stopped(n->window, 1, &ask));
	}
	assert_int_equal(arrive(n, 1), DROP_NONE);
	assert_int_equal(arrive(n, 65), DROP_SEQ_WAIT);
	numbers_release(reg, n, 0);
	n = attach(&out);
	numbers_reserve(n, 1, BASE(1) | 2);
	assert_int_equal(take(&n->lane[0], 1), 0);
	assert_true(take(&n->lane[1], 1) == (BASE(1) | 1));
	assert_true(take(&n->lane[1], 1) == (BASE(1) | 2));
	assert_int_equal(take(&n->lane[1], 1), 0);
	numbers_release(reg, n, 0);
	n = attach(&ins);
	/* Reserved before the window comes, and after. */
	numbers_reserve(n, 1, BASE(1) | 10);
	assert_true(numbers_reserved(n, 1) == (BASE(1) | 10));
	assert_int_equal(arrive_lane(n, 1, 1), DROP_SEQ_WAIT);
	{
		bool ask;

		assert_true(replay_stopped(n->windows[1], BASE(1) | 1, &ask));
		assert_false(ask);
		assert_int_equal(arrive_lane(n, 1, 1), DROP_NONE);
		assert_false(replay_stopped(n->windows[1], BASE(1) | 11, &ask));
		numbers_reserve(n, 1, BASE(1) | 20);
		assert_true(replay_stopped(n->windows[1], BASE(1) | 11, &ask));
	}
	assert_int_equal(arrive_lane(n, 1, 11), DROP_NONE);
	numbers_release(reg, n, 0);
}

static void
hashes_are_those_of_the_secret(void **state)
{
	static const uint8_t secret[NUMBERS_SECRET_SIZE] = { 1, 2, 3 };
	struct numbers_params p = {
		.max_sas = 10, .max_kept = 10, .n_workers = 1, .socket = SOCKET, .secret = secret
	};
	struct numbers_ask o = gcm("o", false, 1), i = gcm("o", true, 1), c = cbc("c", false, 1, 2);
	uint8_t first[NUMBERS_HASH_SIZE], hash[NUMBERS_HASH_SIZE];
	struct numbers_reg *other;

	assert_int_equal(numbers_create(&p, &other, &err), 0);
	assert_int_equal(numbers_hash(other, &o, first), 0);
	numbers_free(other);
	assert_int_equal(numbers_create(&p, &other, &err), 0);
	o.name = "another";
	o.id.spi++;
	assert_int_equal(numbers_hash(other, &o, hash), 0);
	assert_memory_equal(first, hash, sizeof(hash));
	assert_int_equal(numbers_hash(other, &i, hash), 0);
	assert_memory_not_equal(first, hash, sizeof(hash));
	/* Several SAs may have one key of another mode: each is known by its place, too. */
	assert_int_equal(numbers_hash(other, &c, first), 0);
	c.id.spi++;
	assert_int_equal(numbers_hash(other, &c, hash), 0);
	assert_memory_not_equal(first, hash, sizeof(hash));
	numbers_free(other);
	/* This registry has a random one. */
	assert_int_equal(numbers_hash(reg, &o, first), 0);
	assert_memory_not_equal(first, hash, sizeof(hash));
}

static void
memory_is_given_back(void **state)
{
	struct numbers_totals before, after;
	struct numbers_ask ask = laned("i", true, 1, 64);
	struct numbers *n;

	/* Slabs keep their first chunk. */
	numbers_release(reg, attach(&ask), 0);
	numbers_totals(reg, &before);
	for (uint8_t key = 1; key <= 8; key++) {
		ask = laned("i", key % 2 == 0, key, 64);
		ask.hard_packets = 1000000;
		n = attach(&ask);
		if (ask.inbound)
			for (uint16_t lane = 0; lane < 64; lane++)
				assert_int_equal(arrive_lane(n, lane, 1), DROP_NONE);
		else
			lane_raise(&n->lane[63], BASE(63) | 1);
		numbers_release(reg, n, 0);
	}
	numbers_totals(reg, &after);
	assert_true(after.bytes > before.bytes + 8 * 64 * 8);
	numbers_expire(reg, (NUMBERS_KEPT_SECONDS + 1) * SECOND);
	numbers_totals(reg, &after);
	assert_int_equal(after.kept, 0);
	/* Of what several SAs need at a time: chunks of limits. */
	assert_true(after.bytes <= before.bytes);
}

/* More dead keys with lanes than are kept: the oldest go, with what they had of each lane. */
static void
dead_keys_with_lanes_make_room(void **state)
{
	struct numbers_ask ask = laned("o", false, 1, 32);
	struct numbers_totals ten, many;
	struct numbers *n;
	uint8_t key[16] = { 0 };

	ask.key.key = key;
	for (uint32_t i = 1; i <= 200; i++) {
		memcpy(key, &i, sizeof(i));
		n = attach(&ask);
		lane_raise(&n->lane[31], BASE(31) | i);
		numbers_release(reg, n, i * SECOND);
		if (i == 10)
			numbers_totals(reg, &ten);
	}
	numbers_totals(reg, &many);
	assert_int_equal(many.kept, 10);
	assert_int_equal(many.bytes, ten.bytes);
	n = attach(&ask);
	assert_true(numbers_used(n, 31) == (BASE(31) | 200));
	numbers_release(reg, n, 0);
	memcpy(key, &(uint32_t) { 190 }, 4);
	n = attach(&ask);
	assert_int_equal(numbers_used(n, 31), 0);
	numbers_release(reg, n, 0);
}

/* ---- A model: of each key, the last number given out in each lane, and what was accepted. ---- */

enum {
	KEYS = 6,
	LANES = 12,
	SPAN = 4096, /* of numbers in a lane */
	HOLDS = 3,
};

struct model_key {
	struct numbers_ask ask;
	struct numbers *holds[HOLDS];
	uint32_t n_holds;
	struct numbers_job *job;
	uint16_t ran;	      /* workers that ran it */
	uint64_t last[LANES]; /* out: given; in: top */
	bool accepted[LANES][SPAN];
};

static uint64_t seed = 42;

static uint32_t
below(uint32_t n)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)((seed >> 33) % n);
}

static void
model_send(struct model_key *k)
{
	struct numbers *n = k->holds[below(k->n_holds)];
	uint16_t lane = (uint16_t)below(n->n);
	uint64_t sn = k->ask.inbound ? below(SPAN - 1) + 1 : 0, seq;

	if (!k->ask.inbound) {
		seq = take(&n->lane[lane], 1 + below(1000));
		/* A limit that is new, or its owners have yet to hear of. */
		if (seq == 0)
			return;
		assert_true(seq >> LANE_ID_SHIFT == lane);
		assert_true(seq > k->last[lane]);
		k->last[lane] = seq;
		return;
	}
	/* What is inferred to be another number fails at its ICV. */
	if (n->subspaces ? arrive_lane(n, lane, sn) != DROP_NONE :
			   replay_check_whole(n->window, sn) != DROP_NONE ||
				   replay_accept(n->window, sn) != DROP_NONE)
		return;
	assert_false(k->accepted[lane][sn]);
	k->accepted[lane][sn] = true;
	k->last[lane] = RTE_MAX(k->last[lane], BASE(lane) | sn);
}

static void
model_add(struct model_key *k)
{
	struct numbers_ask *ask = &k->ask;
	int rc;

	if (k->n_holds == HOLDS || k->job != NULL)
		return;
	ask->subspaces = below(3) != 0;
	ask->lanes = ask->subspaces ? (uint16_t)(1 + below(LANES)) : 0;
	ask->start = below(4) == 0 ? below(SPAN) : 0;
	ask->window = ask->inbound ? 32 + below(3) * 64 : 0;
	ask->replaces = k->n_holds > 0 ? k->holds[k->n_holds - 1] : NULL;
	ask->hard_packets = below(3) == 0 ? 1000000 : 0;
	for (uint32_t i = 0; i < k->n_holds; i++)
		numbers_leaving(k->holds[i], true);
	rc = numbers_attach(reg, ask, &k->holds[k->n_holds], &k->job, &err);
	if (rc == -EBUSY)
		return;
	if (rc != 0)
		fail_msg("%s", err.text);
	k->n_holds++;
	k->ran = 0;
	if (below(8) == 0 && k->job != NULL) {
		numbers_job_cancel(reg, k->job);
		k->job = NULL;
		numbers_release(reg, k->holds[--k->n_holds], 0);
	}
}

static void
model_work(struct model_key *k)
{
	if (k->job == NULL)
		return;
	if (k->ran < WORKERS) {
		numbers_job_run(k->job, k->ran++);
		return;
	}
	numbers_job_done(reg, k->job, 0);
	k->job = NULL;
}

static void
model_drop(struct model_key *k)
{
	uint32_t i = k->n_holds == 0 ? 0 : below(k->n_holds);

	if (k->n_holds == 0 || k->job != NULL)
		return;
	numbers_release(reg, k->holds[i], 0);
	memmove(&k->holds[i], &k->holds[i + 1], (k->n_holds - i - 1) * sizeof(k->holds[0]));
	k->n_holds--;
}

/* Control knows of at least what was given, of no less than before. */
static void
model_check(const struct model_key *k)
{
	for (uint32_t i = 0; i < k->n_holds; i++)
		for (uint16_t lane = 0; lane < k->holds[i]->n; lane++)
			assert_true(numbers_used(k->holds[i], lane) >= k->last[lane]);
}

static void
no_number_is_given_or_accepted_twice(void **state)
{
	static struct model_key keys[KEYS];
	struct numbers_job *job;

	memset(keys, 0, sizeof(keys));
	for (uint8_t i = 0; i < KEYS; i++)
		keys[i].ask = gcm("m", i % 2 == 0, i + 1);
	for (uint32_t step = 0; step < 300000; step++) {
		struct model_key *k = &keys[below(KEYS)];

		switch (below(64)) {
		case 0:
			model_add(k);
			break;
		case 1:
			model_drop(k);
			break;
		case 2:
		case 3:
			model_work(k);
			break;
		case 4:
			model_check(k);
			break;
		case 5:
			numbers_tick(reg);
			while ((job = numbers_due(reg)) != NULL) {
				job_run(job);
				numbers_job_done(reg, job, 0);
			}
			break;
		default:
			if (k->n_holds > 0)
				model_send(k);
		}
	}
	for (uint32_t i = 0; i < KEYS; i++) {
		while (keys[i].job != NULL)
			model_work(&keys[i]);
		while (keys[i].n_holds > 0)
			model_drop(&keys[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NUMBERS_TEST(each_lane_counts_for_itself),
		NUMBERS_TEST(a_lane_ends_where_the_next_one_begins),
		NUMBERS_TEST(a_dead_key_keeps_each_lanes_number),
		NUMBERS_TEST(lane_0_is_the_lane_without_subspaces),
		NUMBERS_TEST(a_key_in_use_has_room_for_so_many_lanes),
		NUMBERS_TEST(lanes_are_raised_by_their_owners),
		NUMBERS_TEST(a_key_that_changes_direction_goes_on_above_in_each_lane),
		NUMBERS_TEST(nothing_passes_before_it_is_reserved),
		NUMBERS_TEST(hashes_are_those_of_the_secret),
		NUMBERS_TEST(memory_is_given_back),
		NUMBERS_TEST(dead_keys_with_lanes_make_room),
		NUMBERS_TEST(no_number_is_given_or_accepted_twice),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
