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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_port_is_shut_for_all_or_for_none, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_port_that_some_have_open_is_shut_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_reset_is_said, setup, teardown),
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
