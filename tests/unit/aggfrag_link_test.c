/* Headers, and what goes between the owners of two streams. */
#include "unit.h"

#include <pthread.h>
#include <stdbool.h>

#include <rte_common.h>

#include "aggfrag/cc_header.h"
#include "aggfrag/link.h"
#include "wire/aggfrag.h"

#define MS UINT64_C(1000000)

/* RFC 9347 section 6.1.2, bit by bit. */
static void
a_header_is_as_the_rfc_has_it(void **state)
{
	static const uint8_t want[WIRE_AGGFRAG_CC_HEADER] = {
		0x01, 0x03, 0xee, 0xee, 0x00, 0x00, 0x00, 0x64, /* P and E; 100 packets an event */
		0x03, 0x0d, 0x40, 0x00, 0xfa, 0x00, 0x01, 0xf4, /* 50,000, 2,000 and 500 µs */
		0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
	};
	struct aggfrag_cc_header h = {
		.loss_rate = 100,
		.rtt_us = 50000,
		.echo_delay_us = 2000,
		.gap_us = 500,
		.tval = 0x12345678,
		.techo = 0x9abcdef0,
		.probing = true,
		.marked = true,
	};
	uint8_t at[WIRE_AGGFRAG_CC_HEADER];

	memset(at, 0xee, sizeof(at));
	aggfrag_cc_header_write(&h, at);
	assert_memory_equal(at, want, sizeof(want));
}

static void
a_header_comes_back(void **state)
{
	static const struct {
		const char *what;
		struct aggfrag_cc_header h, want;
	} cases[] = {
		{ "nothing known", { .tval = 1 }, { .tval = 1 } },
		{ "P alone", { .probing = true }, { .probing = true } },
		{ "E alone", { .marked = true }, { .marked = true } },
		{ "RTT does not reach into its neighbour",
		  { .rtt_us = AGGFRAG_CC_RTT_MAX },
		  { .rtt_us = AGGFRAG_CC_RTT_MAX } },
		{ "nor does EchoDelay",
		  { .echo_delay_us = AGGFRAG_CC_DELAY_MAX },
		  { .echo_delay_us = AGGFRAG_CC_DELAY_MAX } },
		{ "nor TransmitDelay",
		  { .gap_us = AGGFRAG_CC_DELAY_MAX },
		  { .gap_us = AGGFRAG_CC_DELAY_MAX } },
		{ "what is too long is the longest",
		  { UINT32_MAX, UINT32_MAX, AGGFRAG_CC_DELAY_MAX + 1, 0x80000000, UINT32_MAX,
		    UINT32_MAX, true, true },
		  { UINT32_MAX, AGGFRAG_CC_RTT_MAX, AGGFRAG_CC_DELAY_MAX, AGGFRAG_CC_DELAY_MAX,
		    UINT32_MAX, UINT32_MAX, true, true } },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint8_t at[WIRE_AGGFRAG_CC_HEADER] = { 0 };
		struct aggfrag_cc_header h;

		aggfrag_cc_header_write(&cases[i].h, at);
		at[1] |= 0xfc; /* reserved: not looked at */
		memset(&h, 0, sizeof(h));
		assert_true(aggfrag_cc_header_read(at, sizeof(at), &h));
		if (h.loss_rate != cases[i].want.loss_rate || h.rtt_us != cases[i].want.rtt_us ||
		    h.echo_delay_us != cases[i].want.echo_delay_us ||
		    h.gap_us != cases[i].want.gap_us || h.tval != cases[i].want.tval ||
		    h.techo != cases[i].want.techo || h.probing != cases[i].want.probing ||
		    h.marked != cases[i].want.marked)
			fail_msg("%s", cases[i].what);
	}
}

static void
what_is_no_header_is_not_read(void **state)
{
	struct aggfrag_cc_header h = { .tval = 77 };

	for (uint32_t len = 0; len < WIRE_AGGFRAG_CC_HEADER; len++) {
		uint8_t *at = malloc(len + 1);

		assert_non_null(at);
		at[0] = WIRE_AGGFRAG_CC;
		at = realloc(at, RTE_MAX(len, 1u));
		assert_false(aggfrag_cc_header_read(at, len, &h));
		free(at);
	}
	for (int type = 0; type < 256; type++) {
		uint8_t at[WIRE_AGGFRAG_CC_HEADER] = { (uint8_t)type };

		assert_int_equal(aggfrag_cc_header_read(at, sizeof(at), &h),
				 type == WIRE_AGGFRAG_CC);
		if (type != WIRE_AGGFRAG_CC)
			assert_int_equal(h.tval, type < WIRE_AGGFRAG_CC ? 77 : 0);
	}
}

/* At 1 s of our clock, 1,000,000 µs. */
static void
an_rtt_is_what_the_echo_says(void **state)
{
	static const struct {
		const char *what;
		struct aggfrag_cc_header h;
		uint32_t want;
		uint64_t answered;
	} cases[] = {
		{ "sent 60 ms ago, 10 ms of them at the peer",
		  { .techo = 940000, .echo_delay_us = 10000 },
		  50000,
		  1 },
		{ "no echo yet", { .tval = 5 }, 0, 0 },
		{ "at once is a microsecond", { .techo = 1000000 }, 1, 1 },
		{ "the peer had it longer than it was on the way",
		  { .techo = 940000, .echo_delay_us = 60001 },
		  0,
		  1 },
		{ "a time to come", { .techo = 1000001 }, 0, 1 },
		{ "so long ago that the peer cannot say",
		  { .techo = 1, .echo_delay_us = AGGFRAG_CC_DELAY_MAX },
		  0,
		  1 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct aggfrag_link link = { .due = 0 };
		struct aggfrag_report r;
		uint64_t version = 0;

		aggfrag_link_heard(&link, &cases[i].h, 1, 1000 * MS);
		assert_true(aggfrag_link_read(&link, &version, &r));
		if (r.path_rtt_us != cases[i].want || r.answered != cases[i].answered)
			fail_msg("%s: %u µs, answered %lu", cases[i].what, r.path_rtt_us,
				 r.answered);
		assert_int_equal(r.heard, 1);
	}
}

/* The clock's 32 bits of microseconds wrap every 71 minutes. */
static void
an_rtt_goes_over_the_wrap(void **state)
{
	uint64_t now = (UINT64_C(1) << 32) * 1000 + 20 * MS;
	struct aggfrag_cc_header h = { .techo = (uint32_t)((now - 50 * MS) / 1000) };
	struct aggfrag_link link = { .due = 0 };

	aggfrag_link_heard(&link, &h, 1, now);
	assert_int_equal(link.report.path_rtt_us, 50000);
}

static void
the_first_of_a_tval_counts(void **state)
{
	struct aggfrag_link link = { .due = 0 };
	struct aggfrag_cc_header h = { .tval = 10 };

	aggfrag_link_heard(&link, &h, 5, 100 * MS);
	aggfrag_link_heard(&link, &h, 6, 105 * MS);
	assert_int_equal(link.report.tval_at, 100 * MS);
	/* What was overtaken says nothing new. */
	h.tval = 9;
	h.loss_rate = 3;
	aggfrag_link_heard(&link, &h, 4, 106 * MS);
	assert_int_equal(link.report.tval, 10);
	assert_int_equal(link.report.loss_rate, 0);
	h.tval = 11;
	aggfrag_link_heard(&link, &h, 7, 107 * MS);
	assert_int_equal(link.report.tval, 11);
	assert_int_equal(link.report.tval_at, 107 * MS);
}

/* A header that repeats an echo does not say that anything arrived. */
static void
an_echo_answers_once(void **state)
{
	struct aggfrag_link link = { .due = 0 };
	struct aggfrag_cc_header h = { .techo = 500 };

	for (uint64_t seq = 1; seq < 10; seq++)
		aggfrag_link_heard(&link, &h, seq, seq * MS);
	assert_int_equal(link.report.heard, 9);
	assert_int_equal(link.report.answered, 1);
}

/* Once an RTT, and at once when a loss event begins on either side. */
static void
reports_come_once_an_rtt(void **state)
{
	struct aggfrag_link link = { .rtt = 10 * MS };
	struct aggfrag_cc_header h = { .rtt_us = 10000 };
	struct aggfrag_report r;
	uint64_t version = 0, told = 0, seq = 0;

	for (; seq < 100; seq++) {
		h.tval = (uint32_t)seq + 1;
		aggfrag_link_heard(&link, &h, seq + 1, seq * MS);
		aggfrag_link_took(&link, seq + 1, 0, seq * MS);
		told += aggfrag_link_read(&link, &version, &r);
	}
	assert_in_range(told, 10, 11);
	assert_false(aggfrag_link_read(&link, &version, &r));
	h.loss_rate = 200;
	aggfrag_link_heard(&link, &h, seq + 1, seq * MS);
	assert_true(aggfrag_link_read(&link, &version, &r));
	assert_int_equal(r.loss_rate, 200);
	assert_int_equal(r.own_loss_rate, 0);
	h.loss_rate = 210;
	aggfrag_link_heard(&link, &h, seq + 2, seq * MS);
	assert_false(aggfrag_link_read(&link, &version, &r));
	aggfrag_link_took(&link, seq + 3, 0, seq * MS);
	assert_true(aggfrag_link_read(&link, &version, &r));
	assert_true(r.own_loss_rate > 0);
	assert_int_equal(r.missed, 2);
}

#define REPORTS (TEST_TSAN ? 20000u : 200000u)

static struct aggfrag_link shared;

/* Every word of report n says n. */
static void *
writer(void *arg)
{
	for (uint64_t n = 1; n <= REPORTS; n++) {
		struct aggfrag_cc_header h = {
			.tval = (uint32_t)n,
			.gap_us = (uint32_t)n,
			.loss_rate = UINT32_MAX - (uint32_t)n,
		};

		aggfrag_link_heard(&shared, &h, n, n);
	}
	return NULL;
}

static void
a_report_is_read_whole(void **state)
{
	struct aggfrag_report r = { .heard = 0 };
	uint64_t version = 0, last = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, writer, NULL), 0);
	while (r.heard != REPORTS) {
		if (!aggfrag_link_read(&shared, &version, &r))
			continue;
		assert_true(r.heard > last);
		last = r.heard;
		assert_int_equal(r.tval, last);
		assert_int_equal(r.tval_at, last);
		assert_int_equal(r.peer_gap_us, last);
		assert_int_equal(r.loss_rate, UINT32_MAX - last);
		__atomic_store_n(&shared.rtt, last, __ATOMIC_RELAXED);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_is_as_the_rfc_has_it),
		cmocka_unit_test(a_header_comes_back),
		cmocka_unit_test(what_is_no_header_is_not_read),
		cmocka_unit_test(an_rtt_is_what_the_echo_says),
		cmocka_unit_test(an_rtt_goes_over_the_wrap),
		cmocka_unit_test(the_first_of_a_tval_counts),
		cmocka_unit_test(an_echo_answers_once),
		cmocka_unit_test(reports_come_once_an_rtt),
		cmocka_unit_test(a_report_is_read_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
