/* What is freed later: not before every worker has passed by and has run its own mail. */
#include "unit.h"

#include <rte_rcu_qsbr.h>

#include "ctl/defer.h"
#include "eal.h"
#include "worker.h"
#include "worker/mailbox.h"

#define N_WORKERS 2

struct bed {
	struct worker *workers[N_WORKERS];
	struct rte_rcu_qsbr *qsbr;
	struct defer defer;
	uint32_t ran;
};

static int
setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct err err;

	assert_non_null(b);
	b->qsbr = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(N_WORKERS), RTE_CACHE_LINE_SIZE);
	assert_non_null(b->qsbr);
	assert_int_equal(rte_rcu_qsbr_init(b->qsbr, N_WORKERS), 0);
	for (uint16_t i = 0; i < N_WORKERS; i++) {
		b->workers[i] = test_worker_new(i, N_WORKERS);
		assert_int_equal(mailbox_init(b->workers[i], &err), 0);
		rte_rcu_qsbr_thread_register(b->qsbr, i);
	}
	defer_init(&b->defer, b->qsbr, b->workers, N_WORKERS);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *b = *state;

	defer_poll(&b->defer, 0, true);
	for (uint16_t i = 0; i < N_WORKERS; i++) {
		mailbox_fini(b->workers[i]);
		rte_free(b->workers[i]);
	}
	rte_free(b->qsbr);
	free(b);
	return 0;
}

static void
count_run(void *ctx, void *obj)
{
	struct bed *b = ctx;

	b->ran++;
}

static void
give(struct bed *b, uint64_t not_before)
{
	assert_int_equal(defer_give(&b->defer, not_before, count_run, b, NULL), 0);
}

static void
nothing(struct worker *w, void *arg)
{
}

static void
post(struct bed *b, uint16_t worker)
{
	assert_int_equal(mailbox_post(b->workers[worker], (struct mail) { nothing, NULL }), 0);
}

static void
mail_run(struct bed *b, uint16_t worker)
{
	struct rte_mbuf *pkts[BURST_MAX];

	mailbox_poll(b->workers[worker], NULL, pkts, BURST_MAX);
}

static void
each_worker_runs_its_own_mail(void **state)
{
	struct bed *b = *state;

	post(b, 0);
	give(b, 0);
	for (int i = 0; i < 3; i++) {
		post(b, 1);
		mail_run(b, 1);
		assert_int_equal(defer_poll(&b->defer, 0, false), 0);
	}
	mail_run(b, 0);
	assert_int_equal(defer_poll(&b->defer, 0, false), 1);
	assert_int_equal(b->ran, 1);
}

static void
later_mail_is_not_waited_for(void **state)
{
	struct bed *b = *state;

	give(b, 0);
	post(b, 0);
	assert_int_equal(defer_poll(&b->defer, 0, false), 1);
	mail_run(b, 0);
}

static void
a_reader_is_waited_for(void **state)
{
	struct bed *b = *state;

	rte_rcu_qsbr_thread_online(b->qsbr, 1);
	give(b, 0);
	assert_int_equal(defer_poll(&b->defer, 0, false), 0);
	rte_rcu_qsbr_quiescent(b->qsbr, 1);
	assert_int_equal(defer_poll(&b->defer, 0, false), 1);
	rte_rcu_qsbr_thread_offline(b->qsbr, 1);
}

static void
entries_wait_for_their_time_in_order(void **state)
{
	struct bed *b = *state;

	give(b, 100);
	give(b, 50);
	assert_int_equal(defer_poll(&b->defer, 99, false), 0);
	assert_int_equal(b->defer.backlog, 2);
	assert_int_equal(defer_poll(&b->defer, 100, false), 2);
	assert_int_equal(b->defer.backlog, 0);
}

static void
who_has_no_delay_waits_for_none(void **state)
{
	struct bed *b = *state;

	give(b, 100);
	give(b, 0);
	give(b, 0);
	assert_int_equal(defer_poll(&b->defer, 99, false), 2);
	assert_int_equal(b->defer.backlog, 1);
	assert_int_equal(defer_poll(&b->defer, 100, false), 1);
	assert_int_equal(b->defer.backlog, 0);
}

/* As the end of an SA does: a step that waits, one that does not, one that waits again. */
static void
step_on(void *ctx, void *obj)
{
	struct bed *b = ctx;
	uintptr_t left = (uintptr_t)obj;

	b->ran++;
	if (left > 0)
		assert_int_equal(defer_give(&b->defer, left % 2 * 100, step_on, b,
					    (void *)(left - 1)),
				 0);
}

static void
all_that_follows_is_run_at_the_end(void **state)
{
	struct bed *b = *state;

	assert_int_equal(defer_give(&b->defer, 100, step_on, b, (void *)3), 0);
	assert_int_equal(defer_poll(&b->defer, 0, true), 4);
	assert_int_equal(b->ran, 4);
	assert_int_equal(b->defer.backlog, 0);
}

static void
what_was_given_before_there_were_workers(void **state)
{
	struct bed *b = *state;

	b->defer.n_workers = 0;
	give(b, 0);
	b->defer.n_workers = N_WORKERS;
	post(b, 0);
	assert_int_equal(defer_poll(&b->defer, 0, false), 1);
	mail_run(b, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_worker_runs_its_own_mail, setup, teardown),
		cmocka_unit_test_setup_teardown(later_mail_is_not_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reader_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_wait_for_their_time_in_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_has_no_delay_waits_for_none, setup, teardown),
		cmocka_unit_test_setup_teardown(all_that_follows_is_run_at_the_end, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_was_given_before_there_were_workers, setup,
						teardown),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
