#include "numbers_rig.h"

#include <openssl/hmac.h>

static void
a_new_key_begins_at_one(void **state)
{
	struct numbers_ask o = gcm("o", false, 1), i = gcm("i", true, 2);
	struct numbers *out = attach(&o), *in = attach(&i);

	assert_int_equal(out->lane->next, 1);
	assert_int_equal(out->worker, 3);
	assert_int_equal(numbers_used(out, 0), 0);
	assert_int_equal(arrive(in, 1), DROP_NONE);
	assert_int_equal(numbers_used(in, 0), 1);
	numbers_release(reg, out, 0);
	numbers_release(reg, in, 0);
	numbers_release(reg, NULL, 0);
}

static void
a_key_added_again_goes_on(void **state)
{
	struct numbers_ask o = gcm("o", false, 1), i = gcm("i", true, 2);
	struct numbers *out = attach(&o), *in = attach(&i);

	send_some(out, 41);
	assert_int_equal(arrive(in, 100), DROP_NONE);
	numbers_release(reg, out, 0);
	numbers_release(reg, in, 0);

	/* Whatever its name, SPI or address. */
	o.name = "other";
	o.id.spi++;
	o.id.dst[3]++;
	i.id.spi++;
	out = attach(&o);
	in = attach(&i);
	assert_int_equal(out->lane->next, 42);
	assert_int_equal(arrive(in, 100), DROP_REPLAY_DUP);
	assert_int_equal(arrive(in, 99), DROP_REPLAY_DUP);
	assert_int_equal(arrive(in, 101), DROP_NONE);
	numbers_release(reg, out, 0);
	numbers_release(reg, in, 0);
}

static const struct {
	const char *what;
	bool inbound;
	uint64_t had, start, want;
	bool job;
} start_cases[] = {
	{ "a start on a new lane is where it goes on", false, 0, 1000, 1000, false },
	{ "a start below what was sent is ignored", false, 50, 49, 50, false },
	{ "a start equal to what was sent is nothing new", false, 50, 50, 50, false },
	{ "a start above what was sent is the owner's to raise", false, 50, 51, 51, true },
	{ "a replay_top on a new window counts as seen", true, 0, 1000, 1000, false },
	{ "a replay_top below the top is ignored", true, 50, 49, 50, false },
	{ "a replay_top above the top is the owner's to raise", true, 50, 5000, 5000, true },
};

static void
no_start_lowers_a_number(void **state)
{
	for (uint8_t k = 0; k < RTE_DIM(start_cases); k++) {
		bool inbound = start_cases[k].inbound;
		struct numbers_ask ask = gcm("a", inbound, 1 + k);
		struct numbers *first = NULL, *n;
		struct numbers_job *job;

		if (start_cases[k].had != 0) {
			first = attach(&ask);
			if (inbound)
				assert_int_equal(arrive(first, start_cases[k].had), DROP_NONE);
			else
				send_some(first, start_cases[k].had);
		}
		ask.start = start_cases[k].start;
		ask.replaces = first;
		assert_int_equal(numbers_attach(reg, &ask, &n, &job, &err), 0);
		if ((job != NULL) != start_cases[k].job)
			fail_msg("%s: %s", start_cases[k].what, job != NULL ? "a job" : "no job");
		if (job != NULL) {
			/* Nothing has changed for the owner yet; control knows what is to come. */
			assert_int_equal(inbound ? replay_top(first->window) :
						   lane_used(first->lane),
					 start_cases[k].had);
			assert_int_equal(numbers_used(n, 0), start_cases[k].want);
			job_run(job);
			numbers_job_done(reg, job, 0);
		}
		if ((inbound ? replay_top(n->window) : lane_used(n->lane)) != start_cases[k].want)
			fail_msg("%s", start_cases[k].what);
		if (inbound)
			assert_int_equal(arrive(n, start_cases[k].want), DROP_REPLAY_DUP);
		numbers_release(reg, first, 0);
		numbers_release(reg, n, 0);
		/* Nor does it after death. */
		ask.start = start_cases[k].want - 1;
		ask.replaces = NULL;
		n = attach(&ask);
		assert_int_equal(numbers_used(n, 0), start_cases[k].want);
		numbers_release(reg, n, 0);
	}
}

static void
a_counter_mode_key_serves_one_sa(void **state)
{
	char name[] = "site-a.out";
	struct numbers_ask a = gcm(name, false, 1), same = gcm("site-b.out", false, 1),
			   in = gcm("site-c.in", true, 1), salted = gcm("site-d.out", false, 1);
	struct numbers *n = attach(&a), *m;

	/* The caller's memory is its own again. */
	memset(name, 'x', sizeof(name) - 1);
	same.id.spi++;
	assert_int_equal(refusal(&same), -EEXIST);
	assert_string_equal(err.text,
			    "sa site-b.out: has the key and salt of sa site-a.out; under a counter "
			    "mode two SAs need two");
	/* Two names for one SPI and pair of addresses are still two senders. */
	same.id = a.id;
	assert_int_equal(refusal(&same), -EEXIST);
	in.id.spi++;
	assert_int_equal(refusal(&in), -EEXIST);
	assert_non_null(strstr(err.text, "site-c.in"));
	assert_non_null(strstr(err.text, "site-a.out"));
	in.id = a.id;
	in.id.src[15] = 1;
	assert_int_equal(refusal(&in), -EEXIST);
	/* Another salt is another nonce. */
	salted.key.salt = octets[8];
	m = attach(&salted);
	numbers_release(reg, n, 0);
	n = attach(&same);
	numbers_release(reg, n, 0);
	numbers_release(reg, m, 0);
}

/* AES-CTR has a key for its HMAC beside it; its keystream does not know that. */
static void
an_auth_key_makes_no_other_keystream(void **state)
{
	struct numbers_ask a = gcm("a", false, 1), b = gcm("b", false, 1);
	struct numbers *n;

	a.key.auth = octets[2];
	a.key.auth_len = 20;
	b.key.auth = octets[3];
	b.key.auth_len = 20;
	b.id.spi++;
	n = attach(&a);
	assert_int_equal(refusal(&b), -EEXIST);
	numbers_release(reg, n, 0);
}

static void
a_loop_may_use_one_key_both_ways(void **state)
{
	struct numbers_ask o = gcm("loop.out", false, 1), i = gcm("loop.in", true, 1);
	struct numbers *out = attach(&o), *in = attach(&i);
	uint64_t seq = 0;

	for (int k = 0; k < 100; k++) {
		seq = take(out->lane, 100);
		assert_int_equal(arrive(in, seq), DROP_NONE);
	}
	numbers_release(reg, out, 0);
	numbers_release(reg, in, 0);
}

static void
a_replaced_sa_hands_its_numbers_on(void **state)
{
	struct numbers_ask a = gcm("old", false, 1), b = gcm("new", false, 1);
	struct numbers *first = attach(&a), *second;

	send_some(first, 10);
	b.id.spi += 99;
	b.worker = 0;
	b.replaces = first;
	second = attach(&b);
	assert_ptr_equal(first->lane, second->lane);
	assert_int_equal(second->worker, 3);
	/* While both live, the new one keeps others out. */
	a.name = "third";
	a.replaces = first;
	assert_int_equal(refusal(&a), -EEXIST);
	assert_non_null(strstr(err.text, "sa new"));
	numbers_release(reg, first, 0);
	send_some(second, 1);
	assert_int_equal(numbers_used(second, 0), 11);
	numbers_release(reg, second, 0);
}

/* A reload may swap two keys: both old SAs are on their way out. */
static void
keys_may_be_swapped_between_two_that_leave(void **state)
{
	struct numbers_ask a = gcm("a", false, 1), b = gcm("b", false, 2), a2 = gcm("a", false, 2),
			   b2 = gcm("b", false, 1);
	struct numbers *na = attach(&a), *nb = attach(&b), *na2, *nb2;

	send_some(na, 5);
	send_some(nb, 7);
	a2.replaces = na;
	assert_int_equal(refusal(&a2), -EEXIST);
	numbers_leaving(na, true);
	numbers_leaving(nb, true);
	na2 = attach(&a2);
	nb2 = attach(&b2);
	numbers_release(reg, na, 0);
	numbers_release(reg, nb, 0);
	assert_int_equal(na2->lane->next, 8);
	assert_int_equal(nb2->lane->next, 6);
	numbers_release(reg, na2, 0);
	numbers_release(reg, nb2, 0);
}

static void
a_key_that_changes_direction_goes_on_above(void **state)
{
	struct numbers_ask i = gcm("i", true, 1), o = gcm("o", false, 1);
	struct numbers *n = attach(&i);

	assert_int_equal(arrive(n, 500), DROP_NONE);
	numbers_release(reg, n, 0);
	n = attach(&o);
	assert_int_equal(n->lane->next, 501);
	numbers_release(reg, n, 0);
}

static void
other_modes_may_share_a_key(void **state)
{
	struct numbers_ask a = cbc("a", true, 1, 2), b = cbc("b", true, 1, 2),
			   c = cbc("c", true, 1, 3);
	struct numbers *na = attach(&a), *nb, *nc;

	b.id.spi++;
	nb = attach(&b);
	nc = attach(&c);
	/* Two senders that count by themselves. */
	assert_int_equal(arrive(na, 1), DROP_NONE);
	assert_int_equal(arrive(na, 2), DROP_NONE);
	assert_int_equal(arrive(nb, 1), DROP_NONE);
	assert_int_equal(arrive(nc, 1), DROP_NONE);
	numbers_release(reg, na, 0);
	numbers_release(reg, nb, 0);
	numbers_release(reg, nc, 0);
	/* Each finds its own again, */
	na = attach(&a);
	assert_int_equal(numbers_used(na, 0), 2);
	nb = attach(&b);
	assert_int_equal(numbers_used(nb, 0), 1);
	/* and one whose SPI is new continues what it replaces. */
	c = a;
	c.id.spi += 7;
	c.replaces = na;
	nc = attach(&c);
	assert_ptr_equal(nc->window, na->window);
	numbers_release(reg, na, 0);
	numbers_release(reg, nc, 0);
	numbers_release(reg, nb, 0);
	/* One that is new altogether takes up what nobody uses. */
	c.replaces = NULL;
	c.id.spi += 7;
	nc = attach(&c);
	assert_true(numbers_used(nc, 0) >= 1);
	numbers_release(reg, nc, 0);
}

static void
what_cannot_be_is_refused(void **state)
{
	struct numbers_ask i = gcm("i", true, 1), o = gcm("o", false, 2);

	i.window = 31;
	assert_int_equal(refusal(&i), -EINVAL);
	assert_string_equal(err.text, "sa i: replay window 31: 0 or 32 to 65536");
	i.window = 65537;
	assert_int_equal(refusal(&i), -EINVAL);
	o.esn = NO_ESN;
	o.start = UINT64_C(1) << 32;
	assert_int_equal(refusal(&o), -ERANGE);
	assert_string_equal(err.text, "sa o: number 4294967296 is beyond 32 bits, and esn is off");
}

static uint64_t
number_of(uint8_t key)
{
	struct numbers_ask ask = gcm("probe", false, key);
	struct numbers *n = attach(&ask);
	uint64_t used = numbers_used(n, 0);

	numbers_release(reg, n, 100 * SECOND);
	return used;
}

static void
use_once(uint8_t key, bool forever, uint64_t now)
{
	struct numbers_ask ask = gcm("o", false, key);
	struct numbers *n;

	ask.forever = forever;
	n = attach(&ask);
	send_some(n, key);
	numbers_release(reg, n, now);
}

/* The registry of these tests keeps ten. */
static void
the_oldest_dead_key_is_forgotten_first(void **state)
{
	struct numbers_totals t;

	for (uint8_t key = 1; key <= 12; key++)
		use_once(key, key == 1, key * SECOND);
	numbers_totals(reg, &t);
	assert_int_equal(t.kept, 10);
	assert_int_equal(t.forever, 1);
	assert_int_equal(number_of(1), 1);
	assert_int_equal(number_of(2), 0);
	assert_int_equal(number_of(3), 3);
	assert_int_equal(number_of(12), 12);
	/* Key 3 was used just now: key 4 goes before it. */
	use_once(13, false, 200 * SECOND);
	assert_int_equal(number_of(3), 3);
	assert_int_equal(number_of(4), 0);
}

static void
a_dead_key_is_kept_for_a_day(void **state)
{
	const uint64_t day = NUMBERS_KEPT_SECONDS * SECOND;
	struct numbers_totals t;

	use_once(1, FOREVER, 0);
	use_once(2, false, 10 * SECOND);
	use_once(3, false, 20 * SECOND);
	numbers_expire(reg, day + 9 * SECOND);
	numbers_totals(reg, &t);
	assert_int_equal(t.kept, 2);
	numbers_expire(reg, day + 10 * SECOND);
	numbers_totals(reg, &t);
	assert_int_equal(t.kept, 1);
	numbers_expire(reg, 1000 * day);
	numbers_totals(reg, &t);
	assert_int_equal(t.kept, 0);
	assert_int_equal(t.forever, 1);
	assert_int_equal(t.in_use, 0);
	assert_int_equal(number_of(1), 1);
	assert_int_equal(number_of(2), 0);
}

static void
a_key_never_used_leaves_nothing(void **state)
{
	struct numbers_ask ask = gcm("o", false, 1);
	struct numbers_totals t;

	numbers_release(reg, attach(&ask), 0);
	numbers_totals(reg, &t);
	assert_int_equal(t.kept, 0);
}

/* Many keys: the table grows, all are found again, and a full registry says so. */
static void
many_keys_are_told_apart(void **state)
{
	enum {
		N = 20000
	};
	static struct numbers *held[N];
	uint8_t key[16] = { 0 };
	struct numbers_ask ask = gcm("o", false, 1);
	struct numbers_totals t;

	numbers_free(reg);
	open_registry(N, N);
	ask.key.key = key;
	for (uint32_t round = 0; round < 2; round++) {
		memset(key, 0, sizeof(key));
		for (uint32_t i = 0; i < N; i++) {
			memcpy(key, &i, sizeof(i));
			held[i] = attach(&ask);
			assert_int_equal(numbers_used(held[i], 0), round == 0 ? 0 : i % 7);
			if (round == 0)
				send_some(held[i], i % 7);
		}
		memset(key, 0xff, sizeof(key));
		assert_int_equal(refusal(&ask), -ENOSPC);
		assert_string_equal(err.text, "keys in use: all 20000 are in use");
		numbers_totals(reg, &t);
		assert_int_equal(t.in_use, N);
		for (uint32_t i = 0; i < N; i++)
			numbers_release(reg, held[i], SECOND);
	}
	numbers_totals(reg, &t);
	assert_int_equal(t.in_use, 0);
	assert_int_equal(t.kept, N - (N + 6) / 7);
}

/* What a state file has on the disk must be found by it for ever: HMAC-SHA256 of counter mode or
 * not, key length, key, salt and auth key, as any library does it.
 */
static void
hashes_are_hmac_sha256(void **state)
{
	static const uint8_t secret[NUMBERS_SECRET_SIZE] = { 1, 2, 3, [31] = 255 };
	struct numbers_params p = {
		.max_sas = 10, .max_kept = 10, .n_workers = 1, .socket = SOCKET, .secret = secret
	};
	struct numbers_reg *other;

	assert_int_equal(numbers_create(&p, &other, &err), 0);
	/* From one block to some more. */
	for (uint8_t auth = 0; auth <= 200; auth += 8) {
		struct numbers_ask ask = gcm("o", false, 1);
		uint8_t key[32], auth_key[200], text[2 + sizeof(key) + sizeof(auth_key)];
		uint8_t hash[NUMBERS_HASH_SIZE], expected[32];
		size_t len = 2;

		memset(key, 0x11 + auth, sizeof(key));
		memset(auth_key, 0x22 + auth, sizeof(auth_key));
		ask.key = (struct numbers_key) {
			.key = key, .auth = auth_key, .key_len = sizeof(key), .auth_len = auth
		};
		text[0] = 0;
		text[1] = sizeof(key);
		memcpy(text + len, key, sizeof(key));
		len += sizeof(key);
		memcpy(text + len, auth_key, auth);
		len += auth;
		HMAC(EVP_sha256(), secret, sizeof(secret), text, len, expected, NULL);
		ask.id.spi = 0; /* which is mixed in where a key may have several SAs */
		assert_int_equal(numbers_hash(other, &ask, hash), 0);
		assert_memory_equal(hash, expected, sizeof(hash));
	}
	numbers_free(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NUMBERS_TEST(hashes_are_hmac_sha256),
		NUMBERS_TEST(a_new_key_begins_at_one),
		NUMBERS_TEST(a_key_added_again_goes_on),
		NUMBERS_TEST(no_start_lowers_a_number),
		NUMBERS_TEST(a_counter_mode_key_serves_one_sa),
		NUMBERS_TEST(an_auth_key_makes_no_other_keystream),
		NUMBERS_TEST(a_loop_may_use_one_key_both_ways),
		NUMBERS_TEST(a_replaced_sa_hands_its_numbers_on),
		NUMBERS_TEST(keys_may_be_swapped_between_two_that_leave),
		NUMBERS_TEST(a_key_that_changes_direction_goes_on_above),
		NUMBERS_TEST(other_modes_may_share_a_key),
		NUMBERS_TEST(what_cannot_be_is_refused),
		NUMBERS_TEST(the_oldest_dead_key_is_forgotten_first),
		NUMBERS_TEST(a_dead_key_is_kept_for_a_day),
		NUMBERS_TEST(a_key_never_used_leaves_nothing),
		NUMBERS_TEST(many_keys_are_told_apart),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
