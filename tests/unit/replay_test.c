#include "unit.h"

#include <malloc.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>

#include <rte_common.h>

#include "replay/replay.h"

#define TWO_32 (UINT64_C(1) << 32)

/* A window in storage of just its size, so that a sanitizer sees a step beyond it. */
static struct replay *
window_new(uint32_t window, bool esn, uint64_t top)
{
	struct replay *r = memalign(alignof(struct replay), replay_size(window));

	assert_non_null(r);
	memset(r, 0x5a, replay_size(window));
	replay_init(r, window, esn, top);
	return r;
}

/* Another size, in storage of just that. *bits: the storage so far, to be freed with the window. */
static void
resize(struct replay *r, uint32_t window, uint64_t **bits)
{
	uint64_t *fresh = window == 0 ? NULL : malloc(replay_bits_size(window)), *had = fresh;

	replay_resize(r, window, true, &had);
	assert_ptr_equal(had, *bits);
	free(had);
	*bits = fresh;
}

/* What a packet with that low half meets when its ICV holds. */
static enum drop_reason
arrive(struct replay *r, uint32_t low, uint64_t *seq)
{
	enum drop_reason why = replay_check(r, low, seq);

	return why == DROP_NONE ? replay_accept(r, *seq) : why;
}

/* The naive model: every number accepted is remembered by itself; RFC 4303's words, line by line.
 */
#define MODEL_SLOTS (1u << 18)
struct model {
	uint64_t top, start, window;
	bool esn;
	uint64_t number[MODEL_SLOTS]; /* the last accepted one of that residue */
};

static void
model_init(struct model *m, uint64_t window, bool esn, uint64_t top)
{
	memset(m, 0, sizeof(*m));
	m->top = m->start = top;
	m->window = window;
	m->esn = esn;
}

/* Appendix A2.2, as it is written there: Tl, Th, W, Bl. False where the high half would be -1. */
static bool
model_infer(const struct model *m, uint32_t low, uint64_t *seq)
{
	uint32_t tl = (uint32_t)m->top, th = m->top >> 32, bl = tl - (uint32_t)m->window + 1, high;

	if (!m->esn) {
		*seq = low;
		return true;
	}
	if (tl >= m->window - 1) {
		if (low >= bl)
			high = th;
		else if (th == UINT32_MAX)
			return false;
		else
			high = th + 1;
	} else if (low >= bl) {
		if (th == 0)
			return false;
		high = th - 1;
	} else {
		high = th;
	}
	*seq = (uint64_t)high << 32 | low;
	return true;
}

static bool
model_seen(const struct model *m, uint64_t seq)
{
	return seq <= m->start || m->number[seq % MODEL_SLOTS] == seq;
}

static enum drop_reason
model_arrive(struct model *m, uint32_t low)
{
	uint64_t seq;

	if (!model_infer(m, low, &seq))
		return DROP_REPLAY_OLD;
	if (seq == 0)
		return DROP_REPLAY_ZERO;
	if (seq + m->window <= m->top && seq + m->window > seq)
		return DROP_REPLAY_OLD;
	if (model_seen(m, seq))
		return DROP_REPLAY_DUP;
	m->number[seq % MODEL_SLOTS] = seq;
	if (seq > m->top)
		m->top = seq;
	return DROP_NONE;
}

static uint64_t seed = 88172645463325252;

static uint64_t
random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static const uint32_t windows[] = { 32,	 33,  63,  64,	65,  96,   100,	 128,  129,
				    255, 256, 257, 511, 512, 1000, 1024, 4096, 65536 };

/* Where the next packet's number lies relative to the top: mostly near, now and then far. */
static uint64_t
random_number(const struct model *m)
{
	uint64_t r = random64(), near = random64() % (2 * m->window + 2);

	switch (r % 16) {
	case 0:
		return m->top + m->window - 1;
	case 1:
		return m->top + m->window;
	case 2:
		return m->top + m->window + 1;
	case 3:
		return r % 4096 < 64 ? m->top + (1 << 20) : m->top + 1;
	case 4:
		return m->top - m->window + 1;
	case 5:
		return m->top - m->window;
	case 6:
	case 7:
		return m->top + near % 80;
	case 8:
	case 9:
	case 10:
	case 11:
		return m->top + 1;
	default:
		return m->top - near;
	}
}

static void
run_against_model(struct model *m, uint32_t window, bool esn, uint64_t top, uint32_t steps)
{
	struct replay *r = window_new(window, esn, top);
	uint64_t accepted = 0;

	model_init(m, window, esn, top);
	for (uint32_t i = 0; i < steps; i++) {
		uint64_t number = random_number(m), seq;
		enum drop_reason want, got;

		if (esn && random64() % 1024 == 0)
			number = m->top + (UINT64_C(1) << 31);
		/* Left of 0 there is nothing; without ESN its low half would be a leap to the end.
		 */
		if (!esn && number > UINT32_MAX)
			number = m->top + 1;
		want = model_arrive(m, (uint32_t)number);
		got = arrive(r, (uint32_t)number, &seq);
		if (got != want || replay_top(r) != m->top)
			fail_msg("W %u, step %u, number %#lx: %s, model %s; top %#lx, model %#lx",
				 window, i, number, drop_names[got].name, drop_names[want].name,
				 replay_top(r), m->top);
		accepted += got == DROP_NONE;
	}
	assert_true(accepted > steps / 4);
	free(r);
}

static void
the_window_agrees_with_the_model(void **state)
{
	struct model *m = malloc(sizeof(*m));

	assert_non_null(m);
	for (size_t i = 0; i < RTE_DIM(windows); i++) {
		run_against_model(m, windows[i], false, 0, 200000);
		run_against_model(m, windows[i], true, 0, 200000);
		run_against_model(m, windows[i], true, 123 * TWO_32 - 1000, 100000);
		run_against_model(m, windows[i], true, random64() >> 8, 100000);
	}
	free(m);
}

/* The low half wraps over 100 times, with packets before and after the cross in every order (A3.6,
 * B12). */
static void
the_high_half_follows_a_hundred_wraps(void **state)
{
	struct model *m = malloc(sizeof(*m));

	assert_non_null(m);
	for (size_t i = 0; i < RTE_DIM(windows); i++) {
		struct replay *r = window_new(windows[i], true, 0);

		model_init(m, windows[i], true, 0);
		for (uint64_t wrap = 1; wrap <= 110; wrap++) {
			uint64_t seq;

			/* Three steps of less than 2^31 to just under the cross; none may be lost
			 * on the way. */
			for (uint64_t k = 3; k > 0; k--) {
				uint64_t to = wrap * TWO_32 -
					      (k - 1) * (UINT64_C(1) << 30) * 3 / 2 -
					      windows[i] / 2;

				if (to <= m->top)
					continue;
				assert_int_equal(model_arrive(m, (uint32_t)to), DROP_NONE);
				assert_int_equal(arrive(r, (uint32_t)to, &seq), DROP_NONE);
				assert_true(seq == to);
			}
			for (uint32_t k = 0; k < 300; k++) {
				uint32_t low = random64() % windows[i] - windows[i] / 2;

				assert_int_equal(arrive(r, low, &seq), model_arrive(m, low));
				assert_true(replay_top(r) == m->top);
			}
			assert_true(replay_top(r) >= wrap * TWO_32);
			assert_true(replay_top(r) >> 32 == wrap);
		}
		free(r);
	}
	free(m);
}

static const struct step_case {
	const char *what;
	uint32_t window;
	bool esn;
	uint64_t top; /* the window's, with all below seen */
	struct {
		uint32_t low;
		enum drop_reason want;
	} steps[6];
	uint32_t n_steps;
	uint64_t end_top;
} step_cases[] = {
	/* clang-format off */
	{ "the first packet is new, and its copy at once a replay (A3.1, B28)", 64, false, 0,
	  { { 1, DROP_NONE }, { 1, DROP_REPLAY_DUP } }, 2, 1 },
	{ "the copy one window later is old (A3.1)", 64, false, 10,
	  { { 11, DROP_NONE }, { 75, DROP_NONE }, { 11, DROP_REPLAY_OLD } }, 3, 75 },
	{ "the newest again is a replay", 32, true, 0,
	  { { 9, DROP_NONE }, { 9, DROP_REPLAY_DUP } }, 2, 9 },
	{ "zero is never sent, without ESN (A3.3)", 64, false, 0, { { 0, DROP_REPLAY_ZERO } }, 1, 0 },
	{ "zero is zero when the window has long left it", 64, false, 5000, { { 0, DROP_REPLAY_ZERO } }, 1, 5000 },
	{ "64-bit zero with ESN (A3.3)", 64, true, 0, { { 0, DROP_REPLAY_ZERO } }, 1, 0 },
	{ "64-bit zero with ESN, at the window's left edge", 64, true, 63, { { 0, DROP_REPLAY_ZERO } }, 1, 63 },
	{ "low half zero behind the left edge is 2^32", 64, true, 64, { { 0, DROP_NONE } }, 1, TWO_32 },
	{ "what the window began with counts as seen", 64, false, 1000,
	  { { 1000, DROP_REPLAY_DUP }, { 999, DROP_REPLAY_DUP }, { 937, DROP_REPLAY_DUP },
	    { 936, DROP_REPLAY_OLD }, { 1001, DROP_NONE } }, 5, 1001 },
	{ "low just under 2^32, cross, a late one from before, its replay (A3.6)", 64, true, TWO_32 - 10,
	  { { UINT32_MAX - 2, DROP_NONE }, { 2, DROP_NONE }, { UINT32_MAX - 1, DROP_NONE },
	    { UINT32_MAX - 1, DROP_REPLAY_DUP }, { UINT32_MAX - 2, DROP_REPLAY_DUP }, { 1, DROP_NONE } }, 6, TWO_32 + 2 },
	{ "a high half of -1 is old, never subspace 0 (A3.8, B25)", 64, true, 10,
	  { { UINT32_MAX, DROP_REPLAY_OLD }, { UINT32_MAX - 52, DROP_REPLAY_OLD } }, 2, 10 },
	{ "one further left it is far ahead in subspace 0", 64, true, 10,
	  { { UINT32_MAX - 53, DROP_NONE } }, 1, UINT32_MAX - 53 },
	{ "a new SA of the largest window has no subspace -1 either", 65536, true, 0,
	  { { UINT32_MAX, DROP_REPLAY_OLD }, { UINT32_MAX - 65534, DROP_REPLAY_OLD }, { 1, DROP_NONE } }, 3, 1 },
	{ "without ESN nothing follows 2^32-1 (A3.10)", 64, false, UINT32_MAX - 1,
	  { { UINT32_MAX, DROP_NONE }, { 0, DROP_REPLAY_ZERO }, { 1, DROP_REPLAY_OLD }, { 2, DROP_REPLAY_OLD } },
	  4, UINT32_MAX },
	{ "with ESN nothing follows 2^64-1 (A3.11)", 64, true, UINT64_MAX - 1,
	  { { UINT32_MAX, DROP_NONE }, { 0, DROP_REPLAY_ZERO }, { 1, DROP_REPLAY_OLD }, { 2, DROP_REPLAY_OLD },
	    { UINT32_MAX, DROP_REPLAY_DUP } }, 5, UINT64_MAX },
	{ "a jump over the middle of 64 bits is a jump ahead", 64, true, (UINT64_C(1) << 63) - 5,
	  { { UINT32_MAX, DROP_NONE }, { 3, DROP_NONE }, { 0, DROP_NONE } }, 3, (UINT64_C(1) << 63) + 3 },
	/* clang-format on */
};

static void
single_arrivals(void **state)
{
	for (size_t i = 0; i < RTE_DIM(step_cases); i++) {
		const struct step_case *c = &step_cases[i];
		struct replay *r = window_new(c->window, c->esn, c->top);
		uint64_t seq;

		for (uint32_t k = 0; k < c->n_steps; k++) {
			enum drop_reason why = arrive(r, c->steps[k].low, &seq);

			if (why != c->steps[k].want)
				fail_msg("%s: step %u: %s, not %s", c->what, k,
					 drop_names[why].name, drop_names[c->steps[k].want].name);
		}
		if (replay_top(r) != c->end_top)
			fail_msg("%s: top is %#lx", c->what, replay_top(r));
		free(r);
	}
}

/* A3.2, B25: T-W+1 passes, T-W does not, whatever W and wherever T lies in its word. */
static void
the_left_edge_is_exact(void **state)
{
	for (size_t i = 0; i < RTE_DIM(windows); i++) {
		for (uint64_t top = 100000; top < 100130; top++) {
			for (int esn = 0; esn < 2; esn++) {
				struct replay *r = window_new(windows[i], esn, 0);
				uint64_t seq;

				assert_int_equal(arrive(r, top, &seq), DROP_NONE);
				assert_int_equal(arrive(r, top - windows[i] + 1, &seq), DROP_NONE);
				/* With ESN it is read as 2^32 further on, which the ICV refuses. */
				if (esn) {
					assert_int_equal(replay_check(r, top - windows[i], &seq),
							 DROP_NONE);
					assert_true(seq == top - windows[i] + TWO_32);
				} else {
					assert_int_equal(replay_check(r, top - windows[i], &seq),
							 DROP_REPLAY_OLD);
				}
				assert_int_equal(replay_accept(r, top - windows[i]),
						 DROP_REPLAY_OLD);
				assert_true(replay_top(r) == top);
				free(r);
			}
		}
	}
}

/* A3.5: after a jump, just the numbers between are unseen. */
static void
a_jump_clears_what_lies_between(void **state)
{
	for (size_t i = 0; i < RTE_DIM(windows); i++) {
		const uint64_t w = windows[i], from = 3 * w + 17;
		const uint64_t jumps[] = { 1,	  2, 63,    64,	     65,
					   w - 1, w, w + 1, 1 << 20, UINT64_C(1) << 31 };

		for (size_t k = 0; k < RTE_DIM(jumps); k++) {
			struct replay *r = window_new(windows[i], true, from);
			uint64_t to = from + jumps[k], seq;

			assert_int_equal(arrive(r, to, &seq), DROP_NONE);
			assert_true(replay_top(r) == to);
			for (seq = to - w + 1; seq <= to; seq++) {
				enum drop_reason want =
					seq <= from || seq == to ? DROP_REPLAY_DUP : DROP_NONE;

				assert_int_equal(replay_accept(r, seq), want);
				assert_int_equal(replay_accept(r, seq), DROP_REPLAY_DUP);
			}
			free(r);
		}
	}
}

/* A3.9, B7, B14, B15: all checks of a batch come before its first accept. */
static void
a_batch_is_judged_again_behind_the_crypto(void **state)
{
	enum {
		BATCH = 256
	};
	struct replay *r = window_new(64, true, TWO_32 - 128);
	uint64_t seq[BATCH];

	for (uint32_t i = 0; i < BATCH; i++)
		assert_int_equal(replay_check(r, (uint32_t)(TWO_32 - 127 + i / 2), &seq[i]),
				 DROP_NONE);
	for (uint32_t i = 0; i < BATCH; i++) {
		assert_true(seq[i] == TWO_32 - 127 + i / 2);
		assert_int_equal(replay_accept(r, seq[i]),
				 i % 2 == 0 ? DROP_NONE : DROP_REPLAY_DUP);
	}
	/* One of the batch moves the top by more than the window: the ones behind it come too late.
	 */
	assert_int_equal(replay_check(r, 10, &seq[0]), DROP_NONE);
	assert_int_equal(replay_check(r, 500, &seq[1]), DROP_NONE);
	assert_int_equal(replay_accept(r, seq[1]), DROP_NONE);
	assert_int_equal(replay_accept(r, seq[0]), DROP_REPLAY_OLD);
	free(r);
}

/* A3.4: a forged number far ahead changes nothing, because its ICV does not hold. */
static void
a_check_alone_changes_nothing(void **state)
{
	struct replay *r = window_new(1024, true, 5);
	uint8_t before[sizeof(*r) + 1024 / 8];
	uint64_t seq;

	memcpy(before, r, sizeof(before));
	assert_int_equal(replay_check(r, 0x40000000, &seq), DROP_NONE);
	assert_memory_equal(r, before, replay_size(1024));
	assert_int_equal(arrive(r, 6, &seq), DROP_NONE);
	assert_int_equal(seq, 6);
	free(r);
}

static const struct {
	const char *what;
	bool esn;
	uint64_t top;
	uint32_t low;
	uint64_t seq, end_top;
} off_cases[] = {
	/* clang-format off */
	{ "the next number", false, 7, 8, 8, 8 },
	{ "the same again passes", false, 8, 8, 8, 8 },
	{ "zero passes", false, 8, 0, 0, 8 },
	{ "without ESN the low half is the number", false, UINT32_MAX, 1, 1, UINT32_MAX },
	{ "with ESN, a new SA, a peer that is far ahead", true, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX },
	{ "a late one in subspace 0", true, 1000, 999, 999, 1000 },
	{ "the cross is followed (A3.14)", true, TWO_32 - 2, 1, TWO_32 + 1, TWO_32 + 1 },
	{ "a late one from before the cross", true, TWO_32 + 5, UINT32_MAX, UINT32_MAX, TWO_32 + 5 },
	{ "2^31 ahead is ahead", true, 7 * TWO_32 + 9, 9 + (1u << 31), 7 * TWO_32 + 9 + (1u << 31), 7 * TWO_32 + 9 + (1u << 31) },
	{ "2^31 - 1 behind is behind", true, 7 * TWO_32 + 9, 10 + (1u << 31), 6 * TWO_32 + 10 + (1u << 31), 7 * TWO_32 + 9 },
	{ "nothing lies behind 2^64-1", true, UINT64_MAX, 3, UINT64_MAX - UINT32_MAX + 3, UINT64_MAX },
	/* clang-format on */
};

static void
a_window_of_zero_lets_all_pass(void **state)
{
	for (size_t i = 0; i < RTE_DIM(off_cases); i++) {
		struct replay *r = window_new(0, off_cases[i].esn, off_cases[i].top);
		uint64_t seq = 0;

		if (arrive(r, off_cases[i].low, &seq) != DROP_NONE || seq != off_cases[i].seq ||
		    replay_top(r) != off_cases[i].end_top)
			fail_msg("%s: number %#lx, top %#lx", off_cases[i].what, seq,
				 replay_top(r));
		free(r);
	}
}

/* A window of another size knows of each number what the old one knew, and goes on like the model.
 */
static void
a_resized_window_goes_on(void **state)
{
	struct model *m = malloc(sizeof(*m));

	assert_non_null(m);
	for (uint32_t round = 0; round < 4000; round++) {
		uint32_t w = windows[random64() % RTE_DIM(windows)],
			 w2 = windows[random64() % RTE_DIM(windows)];
		uint64_t start = round % 3 == 0 ? 0 : random64() >> (random64() % 50 + 2), seq;
		struct replay *r = window_new(w, true, start);
		uint64_t *bits = NULL;

		model_init(m, w, true, start);
		for (uint32_t i = 0; i < 400; i++) {
			uint32_t low = (uint32_t)random_number(m);

			assert_int_equal(arrive(r, low, &seq), model_arrive(m, low));
		}
		resize(r, w2, &bits);
		/* What the old window had left behind stays refused in a wider one. */
		for (seq = m->top < w2 ? 1 : m->top - w2 + 1; seq <= m->top; seq++) {
			bool old = m->top - seq >= w || model_seen(m, seq);

			assert_int_equal(replay_seen(r, seq), old);
			if (old)
				m->number[seq % MODEL_SLOTS] = seq;
		}
		for (seq = m->top - RTE_MIN(m->top, (uint64_t)w2); seq + w <= m->top; seq++)
			m->number[seq % MODEL_SLOTS] = seq;
		m->window = w2;
		for (uint32_t i = 0; i < 400; i++) {
			uint32_t low = (uint32_t)random_number(m);

			assert_int_equal(arrive(r, low, &seq), model_arrive(m, low));
			assert_true(replay_top(r) == m->top);
		}
		free(bits);
		free(r);
	}
	free(m);
}

static void
off_and_on_again_refuses_what_may_have_passed(void **state)
{
	struct replay *r = window_new(64, true, 0);
	uint64_t seq, *bits = NULL;

	assert_int_equal(arrive(r, 100, &seq), DROP_NONE);
	resize(r, 0, &bits);
	assert_int_equal(arrive(r, 200, &seq), DROP_NONE);
	resize(r, 1000, &bits);
	assert_int_equal(replay_accept(r, 200), DROP_REPLAY_DUP);
	assert_int_equal(replay_accept(r, 150), DROP_REPLAY_DUP);
	assert_int_equal(replay_accept(r, 201), DROP_NONE);
	free(bits);
	free(r);
}

static void
a_raised_top_is_never_lowered(void **state)
{
	struct replay *r = window_new(128, true, 50);

	replay_raise(r, 49);
	assert_true(replay_top(r) == 50);
	assert_int_equal(replay_accept(r, 60), DROP_NONE);
	replay_raise(r, 60);
	assert_int_equal(replay_accept(r, 55), DROP_NONE);
	replay_raise(r, 70);
	assert_int_equal(replay_accept(r, 56), DROP_REPLAY_DUP);
	assert_int_equal(replay_accept(r, 70), DROP_REPLAY_DUP);
	assert_int_equal(replay_accept(r, 71), DROP_NONE);
	free(r);
}

static void
sizes_are_what_the_memory_plan_says(void **state)
{
	assert_int_equal(replay_size(64), sizeof(struct replay) + 8);
	assert_int_equal(replay_size(257), sizeof(struct replay) + 64);
	assert_int_equal(replay_size(1024), 64 + 1024 / 8);
	assert_true(replay_size(65536) <= 64 + 65536 / 8);
	assert_true(replay_window_valid(0) && replay_window_valid(32) &&
		    replay_window_valid(65536));
	assert_false(replay_window_valid(1) || replay_window_valid(31) ||
		     replay_window_valid(65537));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_arrivals),
		cmocka_unit_test(the_left_edge_is_exact),
		cmocka_unit_test(a_jump_clears_what_lies_between),
		cmocka_unit_test(a_batch_is_judged_again_behind_the_crypto),
		cmocka_unit_test(a_check_alone_changes_nothing),
		cmocka_unit_test(a_window_of_zero_lets_all_pass),
		cmocka_unit_test(the_window_agrees_with_the_model),
		cmocka_unit_test(the_high_half_follows_a_hundred_wraps),
		cmocka_unit_test(a_resized_window_goes_on),
		cmocka_unit_test(off_and_on_again_refuses_what_may_have_passed),
		cmocka_unit_test(a_raised_top_is_never_lowered),
		cmocka_unit_test(sizes_are_what_the_memory_plan_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
