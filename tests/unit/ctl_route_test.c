/* SAs and the next hops that routes give them. */
#include "unit.h"

#include <stdio.h>

#include <rte_rcu_qsbr.h>

#include "drivers.h"
#include "ctl/sas.h"
#include "eal.h"
#include "numbers/numbers.h"
#include "route/route.h"
#include "worker.h"
#include "worker/mailbox.h"

#define N_SAS 5

static const struct engine *const engines[] = { &engine_openssl };

struct bed {
	struct gw gw;
	struct conf *conf;
	uint32_t index[N_SAS];
};

static struct conf *
conf_made(void)
{
	char text[4096];
	size_t at = (size_t)snprintf(
		text, sizeof(text),
		"version: 1\nports:\n  - {name: wan, device: net_null0, side: black}\nsas:\n");
	struct conf_errors e;
	struct conf *conf = NULL;

	for (int i = 0; i < N_SAS; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at,
				       "  - {name: s%d, direction: out, mode: transport, "
				       "spi: 0x100%d, src: 192.0.2.1, dst: 198.51.100.%d, "
				       "aead: aes-gcm-128, "
				       "key: \"hex:00112233445566778899aabbccddeeff0000000%d\"}\n",
				       i, i + 1, i + 1, i + 1);
	conf_errors_init(&e, "test");
	assert_int_equal(conf_load_text(text, at, "test", 0, &conf, &e), 0);
	conf_errors_free(&e);
	return conf;
}

static int
setup(void **state)
{
	static const struct sa_origin of_file = { .from = SA_FROM_FILE };
	const struct route_params routes = { .socket = SOCKET_ID_ANY };
	struct bed *b = calloc(1, sizeof(*b));
	struct gw *gw = &b->gw;
	struct link link = { .mtu = 1400 };
	struct err err;

	b->conf = conf_made();
	gw->conf = b->conf;
	gw->engines[0] = engines[0];
	gw->n_engines = 1;
	clock_init(&gw->clock, CLOCK_MANUAL);
	gw->qsbr = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	assert_int_equal(rte_rcu_qsbr_init(gw->qsbr, 1), 0);
	gw->workers[0] = test_worker_new(0, 1);
	gw->n_workers = 1;
	assert_int_equal(mailbox_init(gw->workers[0], &err), 0);
	defer_init(&gw->defer, gw->qsbr, gw->workers, 1);
	assert_int_equal(sa_table_init(&gw->sas, 64, SOCKET_ID_ANY, &err), 0);
	assert_int_equal(numbers_create(&(struct numbers_params) { .max_sas = 64,
								   .n_workers = 1,
								   .socket = SOCKET_ID_ANY },
					&gw->numbers, &err),
			 0);
	assert_int_equal(route_create(&routes, &gw->route, &err), 0);
	assert_int_equal(route_link_set(gw->route, &link, &err), 0);
	for (int i = 0; i < N_SAS; i++)
		if (sa_make(gw, &b->conf->sas[i], &of_file, SA_NONE, &b->index[i], &err) < 0)
			fail_msg("%s", err.text);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *b = *state;

	for (int i = 0; i < N_SAS; i++)
		sa_unmake(&b->gw, b->index[i]);
	defer_poll(&b->gw.defer, 0, true);
	route_free(b->gw.route);
	numbers_free(b->gw.numbers);
	sa_table_fini(&b->gw.sas);
	mailbox_fini(b->gw.workers[0]);
	rte_free(b->gw.workers[0]);
	rte_free(b->gw.qsbr);
	conf_free(b->conf);
	free(b);
	return 0;
}

static void
route_by(struct bed *b, const char *gateway)
{
	struct prefix p = { .len = 24 };
	struct addr via;
	struct err err;

	assert_true(addr_parse("198.51.100.0", &p.addr) && addr_parse(gateway, &via));
	assert_int_equal(route_kernel_set(b->gw.route, &p, &via, 0, &err), 0);
}

/* How many SAs go by the gateway with that last octet. */
static int
going_by(const struct bed *b, uint8_t last)
{
	int n = 0;

	for (int i = 0; i < N_SAS; i++) {
		uint16_t id = sa_at(&b->gw.sas, b->index[i])->next_hop;
		const struct next_hop *hop = route_hop(b->gw.route, id);

		n += hop->address[3] == last && (hop->flags & HOP_NOWHERE) == 0;
	}
	return n;
}

static void
sas_follow_routes_a_slice_at_a_time(void **state)
{
	struct bed *b = *state;
	uint32_t from = 0;

	assert_int_equal(going_by(b, 9), 0);
	route_by(b, "192.0.2.9");
	sas_route(&b->gw);
	assert_int_equal(going_by(b, 9), N_SAS);
	route_by(b, "192.0.2.10");
	/* Whoever is not reached yet goes the old way, whose next hop is kept for it. */
	assert_true(sas_route_some(&b->gw, &from, 2));
	assert_int_equal(going_by(b, 10), 2);
	assert_int_equal(going_by(b, 9), 3);
	assert_true(sas_route_some(&b->gw, &from, 2));
	assert_int_equal(going_by(b, 10), 4);
	assert_false(sas_route_some(&b->gw, &from, 2));
	assert_int_equal(going_by(b, 10), N_SAS);
	assert_int_equal(from, 0);
	/* The link's MTU is theirs now, and none is left on the old next hop. */
	assert_in_range(sa_at(&b->gw.sas, b->index[0])->mtu, 1, 1400);
	assert_int_equal(going_by(b, 9), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sas_follow_routes_a_slice_at_a_time, setup,
						teardown),
	};

	return test_eal_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
