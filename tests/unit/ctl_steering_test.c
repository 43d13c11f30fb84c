/* Rules by SPI, on a device that only writes down what it is asked for. */
#include "unit.h"

#include <errno.h>

#include "ctl/gw.h"
#include "ctl/steering.h"
#include "eal.h"
#include "port/port.h"

#define N_SAS 8

/* The device: what it holds, and what it will not. */
static struct {
	uint32_t room;
	bool refuses_v6;
	uint32_t n, added;
	struct steer_rule rules[64];
	bool used[64];
} device;

static int
device_add(uint16_t dpdk_id, const struct steer_rule *rule, struct rte_flow **flow, bool *full,
	   struct err *err)
{
	if (rule->v6 && device.refuses_v6)
		return err_set(err, -ENOTSUP, "no item IPV6");
	*full = device.n == device.room;
	if (*full)
		return err_set(err, -ENOSPC, "no entry left");
	for (size_t i = 0; i < RTE_DIM(device.rules); i++) {
		if (device.used[i])
			continue;
		device.rules[i] = *rule;
		device.used[i] = true;
		device.n++;
		device.added++;
		*flow = (struct rte_flow *)&device.used[i];
		return 0;
	}
	return -ENOMEM;
}

static void
device_del(uint16_t dpdk_id, struct rte_flow *flow)
{
	bool *used = (bool *)flow;

	assert_true(*used);
	*used = false;
	device.n--;
}

static const struct steer_ops device_ops = { device_add, device_del };

struct bed {
	struct gw gw;
	struct ports ports;
	struct port port;
	struct steering *steering;
	uint64_t now;
	uint32_t sas[N_SAS];
};

static int
setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct err err;

	assert_non_null(b);
	memset(&device, 0, sizeof(device));
	device.room = RTE_DIM(device.rules);
	b->gw.n_workers = 2;
	b->gw.ports = &b->ports;
	b->ports.n = 1;
	b->ports.list[0] = &b->port;
	b->port.link.side = PORT_BLACK;
	b->port.started = true;
	b->port.map.n_rx = 2;
	b->port.map.rx_owner[1] = 1;
	port_steer_init(&b->port, &device_ops);
	assert_int_equal(sa_table_init(&b->gw.sas, N_SAS, SOCKET_ID_ANY, &err), 0);
	for (int i = 0; i < N_SAS; i++) {
		uint32_t generation, cold;
		struct sa *sa;

		assert_int_equal(slab_take(&b->gw.sas.records, &b->sas[i], &generation, &err), 0);
		assert_int_equal(slab_take(&b->gw.sas.cold, &cold, &(uint32_t) { 0 }, &err), 0);
		b->gw.sas.cold_of[b->sas[i]] = cold;
		sa = sa_at(&b->gw.sas, b->sas[i]);
		sa->generation = generation;
		sa->flags = SA_INBOUND;
		sa_cold(&b->gw.sas, b->sas[i])->spi = 0x1000 + (uint32_t)i;
	}
	assert_int_equal(steering_create(&b->gw, &b->steering, &err), 0);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *b = *state;

	steering_free(b->steering);
	assert_int_equal(device.n, 0);
	sa_table_fini(&b->gw.sas);
	free(b);
	return 0;
}

/* A second in which each SA had so many packets. */
static void
second(struct bed *b, const uint64_t packets[N_SAS])
{
	for (int i = 0; i < N_SAS; i++)
		if (packets[i] > 0)
			steering_note(b->steering, b->sas[i], packets[i]);
	b->now += UINT64_C(1000000000);
	steering_tick(b->steering, b->now);
}

/* The queue that the device puts SA i into, or -1. */
static int
queue_of(int i)
{
	for (size_t k = 0; k < RTE_DIM(device.rules); k++)
		if (device.used[k] && device.rules[k].spi == 0x1000 + (uint32_t)i)
			return device.rules[k].queue;
	return -1;
}

static void
busy_ones_get_a_rule_to_their_owner(void **state)
{
	struct bed *b = *state;

	sa_at(&b->gw.sas, b->sas[2])->owner = 1;
	second(b, (uint64_t[N_SAS]) { 5, 0, 7 });
	assert_int_equal(device.n, 2);
	assert_int_equal(queue_of(0), 0);
	assert_int_equal(queue_of(2), 1);
	assert_true(steering_has(b->steering, b->sas[2]));
	assert_false(steering_has(b->steering, b->sas[1]));
	/* Nothing is done twice, and an idle one keeps its rule where there is room. */
	second(b, (uint64_t[N_SAS]) { 0, 0, 7 });
	assert_int_equal(device.added, 2);
	assert_int_equal(device.n, 2);
}

static void
a_full_table_holds_the_busiest(void **state)
{
	struct bed *b = *state;
	char why[64] = "";

	device.room = 2;
	second(b, (uint64_t[N_SAS]) { 10, 20, 30 });
	assert_int_equal(device.n, 2);
	assert_int_equal(b->port.steering.max, 2);
	assert_false(steering_has(b->steering, b->sas[0]));
	steering_why(b->steering, b->sas[0], why, sizeof(why));
	assert_non_null(strstr(why, "no entry left"));
	/* A little busier is not enough to change places. */
	second(b, (uint64_t[N_SAS]) { 22, 20, 30 });
	assert_false(steering_has(b->steering, b->sas[0]));
	second(b, (uint64_t[N_SAS]) { 40, 20, 30 });
	assert_true(steering_has(b->steering, b->sas[0]));
	assert_false(steering_has(b->steering, b->sas[1]));
	assert_int_equal(device.n, 2);
}

static void
a_kind_that_is_refused_is_asked_for_once(void **state)
{
	struct bed *b = *state;
	char why[64] = "";

	device.refuses_v6 = true;
	sa_at(&b->gw.sas, b->sas[1])->flags |= SA_V6;
	second(b, (uint64_t[N_SAS]) { 5, 50 });
	assert_int_equal(queue_of(0), 0);
	assert_int_equal(queue_of(1), -1);
	steering_why(b->steering, b->sas[1], why, sizeof(why));
	assert_string_equal(why, "no item IPV6");
	why[0] = 0;
	steering_why(b->steering, b->sas[0], why, sizeof(why));
	assert_string_equal(why, "");
	assert_true(b->port.steering.kinds[1].refuses);
	assert_int_equal(b->port.steering.max, UINT32_MAX);
}

static void
rules_follow_their_owners(void **state)
{
	struct bed *b = *state;
	struct sa *sa = sa_at(&b->gw.sas, b->sas[0]);

	second(b, (uint64_t[N_SAS]) { 5 });
	assert_int_equal(queue_of(0), 0);
	/* Not before it is there. */
	sa->owner = 1 | SA_MOVING;
	second(b, (uint64_t[N_SAS]) { 5 });
	assert_int_equal(queue_of(0), 0);
	sa->owner = 1;
	second(b, (uint64_t[N_SAS]) { 5 });
	assert_int_equal(queue_of(0), 1);
	assert_int_equal(device.n, 1);
}

static void
a_rule_ends_with_its_sa(void **state)
{
	struct bed *b = *state;

	second(b, (uint64_t[N_SAS]) { 5, 6 });
	steering_sa_ends(b->steering, b->sas[0]);
	steering_sa_ends(b->steering, b->sas[7]);
	assert_int_equal(queue_of(0), -1);
	assert_int_equal(device.n, 1);
	/* Nor does it come back for what is on its way out. */
	sa_cold(&b->gw.sas, b->sas[0])->ended = true;
	second(b, (uint64_t[N_SAS]) { 5, 6 });
	assert_int_equal(queue_of(0), -1);
}

static void
a_port_that_was_stopped_gets_its_rules_again(void **state)
{
	struct bed *b = *state;

	device.room = 1;
	second(b, (uint64_t[N_SAS]) { 5, 6 });
	assert_int_equal(device.n, 1);
	steering_port_stops(b->steering, 0);
	assert_int_equal(device.n, 0);
	assert_int_equal(b->port.steering.max, UINT32_MAX);
	device.room = 2;
	second(b, (uint64_t[N_SAS]) { 5, 6 });
	assert_int_equal(device.n, 2);
}

static void
one_queue_wants_no_rules(void **state)
{
	struct bed *b = *state;

	b->port.map.n_rx = 1;
	port_steer_init(&b->port, &device_ops);
	second(b, (uint64_t[N_SAS]) { 5, 6 });
	assert_int_equal(device.added, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(busy_ones_get_a_rule_to_their_owner, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_full_table_holds_the_busiest, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kind_that_is_refused_is_asked_for_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(rules_follow_their_owners, setup, teardown),
		cmocka_unit_test_setup_teardown(a_rule_ends_with_its_sa, setup, teardown),
		cmocka_unit_test_setup_teardown(a_port_that_was_stopped_gets_its_rules_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(one_queue_wants_no_rules, setup, teardown),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
