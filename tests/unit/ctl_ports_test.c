/* Ports that are stopped and started again, while a worker's mailbox is full. */
#include "unit.h"

#include <errno.h>

#include <rte_rcu_qsbr.h>

#include "ctl/ports.h"
#include "eal.h"
#include "port/port_stage.h"
#include "worker.h"
#include "worker/mailbox.h"

#define WORKERS 2

struct bed {
	struct gw gw;
	struct port *port;
};

static struct rte_mempool *pool;

static int
setup(void **state)
{
	static const struct port_params params = { .name = "wan", .device = "net_null0" };
	struct rte_mempool *pools[WORKERS_MAX] = { pool, pool };
	struct bed *b = calloc(1, sizeof(*b));
	struct gw *gw = &b->gw;
	struct err err;

	assert_non_null(b);
	clock_init(&gw->clock, CLOCK_MANUAL);
	gw->n_workers = WORKERS;
	gw->pools[0] = gw->pools[1] = pool;
	gw->qsbr = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(WORKERS), RTE_CACHE_LINE_SIZE);
	assert_int_equal(rte_rcu_qsbr_init(gw->qsbr, WORKERS), 0);
	assert_int_equal(ports_create(WORKERS, &gw->clock, &gw->ports, &err), 0);
	if (port_open(gw->ports, &params, pools, &b->port, &err) < 0 ||
	    port_start(b->port, &err) < 0)
		fail_msg("%s", err.text);
	for (uint16_t i = 0; i < WORKERS; i++) {
		gw->workers[i] = test_worker_new(i, WORKERS);
		assert_int_equal(mailbox_init(gw->workers[i], &err), 0);
		assert_int_equal(port_attach(gw->ports, gw->workers[i], &err), 0);
	}
	defer_init(&gw->defer, gw->qsbr, gw->workers, WORKERS);
	gw->running = true;
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *b = *state;
	struct gw *gw = &b->gw;

	gw->running = false;
	defer_poll(&gw->defer, 0, true);
	ports_free(gw->ports);
	for (uint16_t i = 0; i < WORKERS; i++) {
		mailbox_fini(gw->workers[i]);
		rte_free(gw->workers[i]);
	}
	rte_free(gw->qsbr);
	free(b);
	return 0;
}

static void
nothing(struct worker *w, void *arg)
{
}

static void
mailbox_stuff(struct worker *w)
{
	while (mailbox_post(w, (struct mail) { nothing, NULL }) == 0)
		;
}

static void
mail_read(const struct bed *b)
{
	for (uint16_t i = 0; i < WORKERS; i++)
		mailbox_poll(b->gw.workers[i], NULL, NULL, 0);
}

static void
expect_shut(const struct bed *b, bool shut, const char *what)
{
	for (uint16_t i = 0; i < WORKERS; i++)
		if (b->gw.workers[i]->port->tx[0].shut != shut)
			fail_msg("%s: worker %u", what, i);
}

static void turn(struct bed *b, uint64_t now);

static void
a_port_is_shut_for_all_or_for_none(void **state)
{
	struct bed *b = *state;
	struct err err;

	mailbox_stuff(b->gw.workers[1]);
	assert_int_equal(ports_reset(&b->gw, "wan", &err), -ENOBUFS);
	assert_string_equal(err.text, "port wan: a worker does not read its mail");
	mail_read(b);
	expect_shut(b, false, "a worker was told, the other was not");
	assert_false(b->port->shut);
	assert_int_equal(ports_reset(&b->gw, "wan", &err), 0);
	mail_read(b);
	expect_shut(b, true, "all read their mail");
	assert_int_equal(ports_reset(&b->gw, "wan", &err), -EBUSY);
}

/* One that was told to shut it has no room left for the word that it is open after all. */
static void
who_alone_was_told_hears_of_it_later(void **state)
{
	struct worker *w = ((struct bed *)*state)->gw.workers[0];
	struct bed *b = *state;
	uint64_t room;
	struct err err;

	mailbox_stuff(w);
	room = mailbox_posted(w);
	mail_read(b);
	while (--room > 0)
		assert_int_equal(mailbox_post(w, (struct mail) { nothing, NULL }), 0);
	mailbox_stuff(b->gw.workers[1]);
	assert_int_equal(ports_reset(&b->gw, "wan", &err), -ENOBUFS);
	mail_read(b);
	for (uint64_t now = 0; now <= 2 * UINT64_C(1000000000); now += 500000000) {
		clock_set(&b->gw.clock, now);
		turn(b, now);
	}
	expect_shut(b, false, "two seconds later");
}

/* As an opening leaves it that not all heard of: the device must not stop under the others. */
static void
a_port_that_some_have_open_is_shut_again(void **state)
{
	struct bed *b = *state;
	struct err err;

	port_shut(b->gw.workers[1], 0, true);
	b->port->shut = true;
	assert_int_equal(ports_reset(&b->gw, "wan", &err), 0);
	mail_read(b);
	expect_shut(b, true, "one had it open");
}

static void
what_cannot_be_reset_is_said(void **state)
{
	struct bed *b = *state;
	struct err err;

	assert_int_equal(ports_reset(&b->gw, "lan", &err), -ENOENT);
	assert_string_equal(err.text, "there is no port lan: see show port");
	b->port->replays = true;
	assert_int_equal(ports_reset(&b->gw, "wan", &err), -ENOTSUP);
	b->port->replays = false;
	b->gw.running = false;
	assert_int_equal(ports_reset(&b->gw, "wan", &err), -EAGAIN);
	mail_read(b);
	expect_shut(b, false, "nothing was reset");
}

/* What DPDK would call when a device asks, and what it says when it is asked to reset one. */
static struct {
	rte_eth_dev_cb_fn call;
	void *arg;
	int rc, resets;
} dpdk;

int
rte_eth_dev_callback_register(uint16_t port_id, enum rte_eth_event_type event,
			      rte_eth_dev_cb_fn cb_fn, void *cb_arg)
{
	assert_int_equal(event, RTE_ETH_EVENT_INTR_RESET);
	dpdk.call = cb_fn;
	dpdk.arg = cb_arg;
	return 0;
}

int
rte_eth_dev_callback_unregister(uint16_t port_id, enum rte_eth_event_type event,
				rte_eth_dev_cb_fn cb_fn, void *cb_arg)
{
	assert_true(cb_fn == dpdk.call && cb_arg == dpdk.arg);
	return 0;
}

int
rte_eth_dev_reset(uint16_t port_id)
{
	dpdk.resets++;
	return dpdk.rc;
}

/* A tick of control, and then a loop of every worker. */
static void
turn(struct bed *b, uint64_t now)
{
	ports_tick(&b->gw, now);
	mail_read(b);
	b->gw.defer.n_workers = 0;
	defer_poll(&b->gw.defer, now, true);
	b->gw.defer.n_workers = WORKERS;
	mail_read(b);
}

static void
a_device_that_asks_for_a_reset_gets_it(void **state)
{
	/* -ENOTSUP: the device can be stopped and started, and no more. */
	static const int answers[] = { 0, -ENOTSUP };
	struct bed *b = *state;

	for (size_t i = 0; i < RTE_DIM(answers); i++) {
		dpdk.rc = answers[i];
		dpdk.resets = 0;
		dpdk.call(b->port->dpdk_id, RTE_ETH_EVENT_INTR_RESET, dpdk.arg, NULL);
		assert_false(b->port->shut);
		turn(b, 0);
		assert_int_equal(dpdk.resets, 1);
		assert_true(b->port->started && !b->port->shut);
		assert_int_equal(b->port->resets, i + 1);
		expect_shut(b, false, "the device was reset");
		turn(b, 1);
		assert_int_equal(dpdk.resets, 1);
	}
}

static void
what_a_device_refuses_is_tried_again(void **state)
{
	struct bed *b = *state;

	dpdk.rc = -EAGAIN;
	dpdk.resets = 0;
	dpdk.call(b->port->dpdk_id, RTE_ETH_EVENT_INTR_RESET, dpdk.arg, NULL);
	turn(b, 0);
	expect_shut(b, true, "the device was not ready");
	dpdk.rc = 0;
	turn(b, 1);
	assert_int_equal(dpdk.resets, 1);
	turn(b, UINT64_C(1000000000));
	assert_int_equal(dpdk.resets, 2);
	expect_shut(b, false, "it was, a second later");
	assert_int_equal(b->port->resets, 1);
}

static void
an_opening_that_a_worker_misses_is_tried_again(void **state)
{
	struct bed *b = *state;
	struct err err;

	dpdk.resets = 0;
	assert_int_equal(ports_reset(&b->gw, "wan", &err), 0);
	mail_read(b);
	mailbox_stuff(b->gw.workers[1]);
	b->gw.defer.n_workers = 0;
	defer_poll(&b->gw.defer, 0, true);
	b->gw.defer.n_workers = WORKERS;
	assert_true(b->port->started && b->port->shut);
	assert_int_equal(b->port->resets, 0);
	mail_read(b);
	turn(b, 0);
	expect_shut(b, false, "the mail was read, and sent again");
	assert_int_equal(b->port->resets, 1);
	assert_int_equal(dpdk.resets, 0);
}

/* What is asked of all comes to all, whenever they have room for it. */
static void
a_pause_is_heard_of_by_all(void **state)
{
	static const bool wishes[] = { true, false, true, true, false };
	struct bed *b = *state;

	for (size_t i = 0; i < RTE_DIM(wishes); i++) {
		mailbox_stuff(b->gw.workers[i % WORKERS]);
		gw_pause(&b->gw, wishes[i]);
		assert_int_equal(b->gw.paused, wishes[i]);
		mail_read(b);
		turn(b, i);
		for (uint16_t k = 0; k < WORKERS; k++)
			assert_int_equal(b->gw.workers[k]->paused,
					 wishes[i] ? PAUSED_BY_CONTROL : 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_port_is_shut_for_all_or_for_none, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_alone_was_told_hears_of_it_later, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_port_that_some_have_open_is_shut_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_reset_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(a_device_that_asks_for_a_reset_gets_it, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_a_device_refuses_is_tried_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_opening_that_a_worker_misses_is_tried_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_pause_is_heard_of_by_all, setup, teardown),
	};
	struct err err;

	if (test_eal_init() < 0)
		return 1;
	if (port_pool_create("ports", 1023, 1500, SOCKET_ID_ANY, &pool, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
