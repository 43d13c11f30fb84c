/* A registry, and SAs that ask it for numbers. */
#ifndef TESTS_NUMBERS_RIG_H
#define TESTS_NUMBERS_RIG_H

#include "unit.h"

#include <errno.h>
#include <stdbool.h>

#include <rte_common.h>

#include "eal.h"
#include "numbers/numbers.h"
#include "replay/replay.h"
#include "seq/seq.h"

#define SOCKET	-1
#define WORKERS 4
#define SECOND	UINT64_C(1000000000)
#define NO_ESN	false
#define FOREVER true

static struct numbers_reg *reg;
static struct err err;

static inline void
open_registry(uint32_t max_sas, uint32_t max_kept)
{
	const struct numbers_params p = {
		.max_sas = max_sas, .max_kept = max_kept, .n_workers = WORKERS, .socket = SOCKET
	};

	assert_int_equal(numbers_create(&p, &reg, &err), 0);
}

static inline int
setup(void **state)
{
	open_registry(1000, 10);
	return 0;
}

static inline int
teardown(void **state)
{
	numbers_free(reg);
	return 0;
}

/* A key of 16 octets with its first one chosen, a salt of 4 likewise, an auth key of 20. */
static const uint8_t octets[256][32] = {
#define ROW(i) [i] = { i, 7, 7, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6, 5, 4, 3, 2 }
	ROW(1),	 ROW(2),  ROW(3),  ROW(4),  ROW(5),  ROW(6),  ROW(7),  ROW(8),	ROW(9),	 ROW(10),
	ROW(11), ROW(12), ROW(13), ROW(14), ROW(15), ROW(16), ROW(17), ROW(18), ROW(19), ROW(20),
#undef ROW
};

static inline struct numbers_ask
gcm(const char *name, bool inbound, uint8_t key)
{
	return (struct numbers_ask) {
		.name = name,
		.id = { .spi = 0x1000 + key, .src = { 192, 0, 2, 1 }, .dst = { 198, 51, 100, 1 } },
		.key = { .key = octets[key],
			 .key_len = 16,
			 .salt = octets[9],
			 .salt_len = 4,
			 .counter_mode = true },
		.inbound = inbound,
		.esn = true,
		.window = inbound ? 64 : 0,
		.worker = 3,
	};
}

static inline struct numbers_ask
cbc(const char *name, bool inbound, uint8_t key, uint8_t auth)
{
	struct numbers_ask a = gcm(name, inbound, key);

	a.key = (struct numbers_key) {
		.key = octets[key], .key_len = 16, .auth = octets[auth], .auth_len = 20
	};
	return a;
}

/* Attaches where no job may come of it. */
static inline struct numbers *
attach(const struct numbers_ask *ask)
{
	struct numbers_job *job;
	struct numbers *n = NULL;

	if (numbers_attach(reg, ask, &n, &job, &err) != 0)
		fail_msg("%s", err.text);
	assert_null(job);
	return n;
}

/* By all that own something of it. */
static inline void
job_run(struct numbers_job *job)
{
	for (uint16_t w = 0; w < WORKERS; w++)
		if (numbers_job_wants(job, w))
			numbers_job_run(job, w);
}

/* Attaches and does what the owner is asked for. */
static inline struct numbers *
attach_run(const struct numbers_ask *ask)
{
	struct numbers_job *job;
	struct numbers *n = NULL;

	if (numbers_attach(reg, ask, &n, &job, &err) != 0)
		fail_msg("%s", err.text);
	assert_non_null(job);
	job_run(job);
	numbers_job_done(reg, job, 0);
	return n;
}

static inline int
refusal(const struct numbers_ask *ask)
{
	struct numbers_job *job;
	struct numbers *n = NULL;
	int rc = numbers_attach(reg, ask, &n, &job, &err);

	assert_null(n);
	assert_null(job);
	return rc;
}

/* The next number of a lane, 0 where it gives none. */
static inline uint64_t
take(struct lane *l, uint32_t bytes)
{
	uint64_t seq = 0;
	bool ask;

	if (!lane_take(l, bytes, &seq) && lane_stopped(l, bytes, &ask) == DROP_NONE)
		assert_true(lane_take(l, bytes, &seq));
	return seq;
}

static inline void
send_some(struct numbers *n, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_int_not_equal(take(n->lane, 100), 0);
}

static inline enum drop_reason
arrive(struct numbers *n, uint64_t number)
{
	uint64_t seq;
	enum drop_reason why = replay_check(n->window, (uint32_t)number, &seq);

	return why == DROP_NONE ? replay_accept(n->window, seq) : why;
}

#define NUMBERS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
