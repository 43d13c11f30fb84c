/* Which engine an SA gets, and the life of what a port's device has of it. The device and the
 * asynchronous engine only say what they are asked.
 */
#include "unit.h"

#include <errno.h>
#include <stdio.h>

#include <rte_rcu_qsbr.h>

#include "drivers.h"
#include "crypto/crypto.h"
#include "ctl/engines.h"
#include "ctl/offload_book.h"
#include "ctl/offloads.h"
#include "ctl/sas.h"
#include "ctl_engines_fake.h"
#include "eal.h"
#include "numbers/numbers.h"
#include "port/port.h"
#include "route/route.h"
#include "sad/sad.h"
#include "worker.h"
#include "worker/mailbox.h"

#define MAX_SAS 16

static const struct engine *const engines[] = { &fake_inline, &fake_async, &engine_openssl };

#define KEY "\"hex:00112233445566778899aabbccddeeff"
static const char text[] =
	"version: 1\nports:\n"
	"  - {name: wan, device: net_null0, side: black, addresses: [192.0.2.1/24]}\n"
	"  - {name: alt, device: net_null1, side: black, addresses: [203.0.113.1/24]}\n"
	"  - {name: lan, device: net_null2, side: red}\n"
	"sas:\n"
	"  - {name: out, direction: out, spi: 0x1001, src: 192.0.2.1, dst: 198.51.100.1, "
	"aead: aes-gcm-128, key: " KEY "00000001\"}\n"
	"  - {name: in, direction: in, spi: 0x2001, src: 198.51.100.1, dst: 192.0.2.1, "
	"aead: aes-gcm-128, key: " KEY "00000002\"}\n"
	"  - {name: again, direction: in, spi: 0x2002, src: 198.51.100.1, dst: 192.0.2.1, "
	"aead: aes-gcm-128, key: " KEY "00000003\"}\n"
	"  - {name: ah, direction: out, proto: ah, spi: 0x1002, src: 192.0.2.1, "
	"dst: 198.51.100.1, auth: hmac-sha1-96, auth_key: " KEY "00000004\"}\n";
enum {
	OUT,
	IN,
	AGAIN,
	AH
};

struct bed {
	struct gw gw;
	struct conf *conf;
	struct ports ports;
	struct port port[3];
};

static const struct sa_origin of_file = { .from = SA_FROM_FILE };

static void
ports_make(struct bed *b)
{
	struct err err;

	b->ports.n = 3;
	b->ports.n_workers = 1;
	b->gw.ports = &b->ports;
	for (uint8_t i = 0; i < 3; i++) {
		struct link *l = &b->port[i].link;
		const struct conf_port *c = &b->conf->ports[i];

		*l = (struct link) { .index = i,
				     .mtu = 1500,
				     .side = i < 2 ? PORT_BLACK : PORT_RED };
		snprintf(l->name, sizeof(l->name), "%.8s", c->name);
		l->n_addresses = (uint8_t)c->addresses.n;
		if (c->addresses.n != 0)
			l->addresses[0] = (struct link_address) {
				.addr = c->addresses.list[0].addr,
				.len = c->addresses.list[0].prefix_len,
			};
		b->port[i].started = true;
		b->ports.list[i] = &b->port[i];
		assert_int_equal(route_link_set(b->gw.route, l, &err), 0);
	}
}

static int
setup(void **state)
{
	const struct route_params routes = { .socket = SOCKET_ID_ANY };
	struct bed *b = calloc(1, sizeof(*b));
	struct gw *gw = &b->gw;
	struct conf_errors e;
	struct err err;

	memset(&fake, 0, sizeof(fake));
	fake.room = 8;
	conf_errors_init(&e, "test");
	assert_int_equal(conf_load_text(text, strlen(text), "test", 0, &b->conf, &e), 0);
	conf_errors_free(&e);
	b->conf->gateway.max_sas = MAX_SAS;
	gw->conf = b->conf;
	gw->options = (struct gw_options) { .engines = engines,
					    .n_engines = RTE_DIM(engines),
					    .offload = &offload_fake };
	clock_init(&gw->clock, CLOCK_MANUAL);
	gw->qsbr = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	assert_int_equal(rte_rcu_qsbr_init(gw->qsbr, 1), 0);
	gw->workers[0] = test_worker_new(0, 1);
	gw->workers[0]->sparse = rte_zmalloc("drops", sizeof(struct sparse), RTE_CACHE_LINE_SIZE);
	gw->n_workers = 1;
	assert_int_equal(mailbox_init(gw->workers[0], &err), 0);
	defer_init(&gw->defer, gw->qsbr, gw->workers, 1);
	assert_int_equal(sa_table_init(&gw->sas, MAX_SAS, SOCKET_ID_ANY, &err), 0);
	assert_int_equal(numbers_create(&(struct numbers_params) { .max_sas = MAX_SAS,
								   .n_workers = 1,
								   .socket = SOCKET_ID_ANY },
					&gw->numbers, &err),
			 0);
	assert_int_equal(route_create(&routes, &gw->route, &err), 0);
	assert_int_equal(sad_create(&gw->sas, MAX_SAS, SOCKET_ID_ANY, NULL, &gw->sad, &err), 0);
	ports_make(b);
	*state = b;
	return 0;
}

/* The parts that are tested: a test begins them when it has said how the fakes behave. */
static void
begin(struct bed *b)
{
	struct err err = { "" };

	if (engines_begin(&b->gw, &err) < 0 || offloads_init(&b->gw, &err) < 0 ||
	    engines_workers_begin(&b->gw, &err) < 0)
		fail_msg("%s", err.text);
}

static int
teardown(void **state)
{
	struct bed *b = *state;
	struct gw *gw = &b->gw;

	gw->running = false;
	for (uint32_t i = slab_next(&gw->sas.records, 0); i != SA_NONE;
	     i = slab_next(&gw->sas.records, i + 1))
		sa_unmake(gw, i);
	defer_poll(&gw->defer, 0, true);
	for (int i = 0; i < 3; i++)
		b->port[i].started = false;
	engines_workers_end(gw);
	offloads_fini(gw);
	engines_end(gw);
	sad_free(gw->sad);
	route_free(gw->route);
	numbers_free(gw->numbers);
	sa_table_fini(&gw->sas);
	mailbox_fini(gw->workers[0]);
	rte_free(gw->workers[0]->sparse);
	rte_free(gw->workers[0]);
	rte_free(gw->qsbr);
	conf_free(b->conf);
	free(b);
	return 0;
}

static uint32_t
make(struct bed *b, int which)
{
	struct err err = { "" };
	uint32_t index;

	if (sa_make(&b->gw, &b->conf->sas[which], &of_file, SA_NONE, &index, &err) < 0)
		fail_msg("%s", err.text);
	return index;
}

static void
publish(struct bed *b, uint32_t index, uint32_t replaces)
{
	struct err err = { "" };

	if (sa_publish(&b->gw, index, replaces, &err) < 0)
		fail_msg("%s", err.text);
}

static const char *
engine_of(const struct bed *b, uint32_t index)
{
	return b->gw.engines[crypto_chosen(sa_at(&b->gw.sas, index)->engine)]->name;
}

static const struct offload_entry *
entry_of(const struct bed *b, uint32_t index)
{
	return offload_of(b->gw.workers[0]->offloads, index, sa_at(&b->gw.sas, index)->generation);
}

static void
why_is(const struct bed *b, uint32_t index, uint16_t engine, const char *what)
{
	struct err why = { "" };

	assert_true(engines_why_not(&b->gw, index, engine, &why) < 0);
	if (strstr(why.text, what) == NULL)
		fail_msg("\"%s\" says nothing of \"%s\"", why.text, what);
}

static void
route_by(struct bed *b, const char *gateway, uint8_t port)
{
	struct prefix p = { .len = 24 };
	struct addr via;
	struct err err;

	assert_true(addr_parse("198.51.100.0", &p.addr) && addr_parse(gateway, &via));
	assert_int_equal(route_kernel_set(b->gw.route, &p, &via, port, &err), 0);
	sas_route(&b->gw);
}

/* All that was put off until workers have seen it. */
static void
later(struct bed *b)
{
	b->gw.defer.n_workers = 0;
	defer_poll(&b->gw.defer, UINT64_MAX, true);
	b->gw.defer.n_workers = 1;
}

static void
the_first_of_the_list_that_can_does(void **state)
{
	struct bed *b = *state;
	uint32_t out, in, ah;

	begin(b);
	route_by(b, "192.0.2.254", 0);
	out = make(b, OUT);
	in = make(b, IN);
	ah = make(b, AH);
	said("outbound at once, inbound when it is published", "open crypto out 0x1001; ");
	publish(b, in, SA_NONE);
	said("published", "open crypto in 0x2001; ");
	assert_string_equal(engine_of(b, in), "inline");
	assert_string_equal(engine_of(b, ah), "openssl");
	why_is(b, ah, 0, "AH is not for devices");
	assert_int_equal(crypto_software(sa_at(&b->gw.sas, out)->engine), 2);
	assert_true((sa_at(&b->gw.sas, out)->flags & SA_INLINE) != 0);
	assert_int_equal(entry_of(b, in)->kind, OFFLOAD_CRYPTO);
	sa_unmake(&b->gw, in);
	sa_unmake(&b->gw, out);
	said("what is unmade", "end 1; free 1; end 0; free 0; ");
}

static void
what_a_device_refuses_goes_to_the_next(void **state)
{
	struct bed *b = *state;
	uint32_t out, in, again;

	begin(b);
	out = make(b, OUT);
	said("without a route there is no port", "async out; ");
	assert_string_equal(engine_of(b, out), "cryptodev");
	why_is(b, out, 0, "no route to 198.51.100.1");
	fake.room = 0;
	in = make(b, IN);
	publish(b, in, SA_NONE);
	said("a full table", "async in; ");
	assert_string_equal(engine_of(b, in), "cryptodev");
	why_is(b, in, 0, "the table is full");
	fake.async_rc = -ENOSPC;
	again = make(b, AGAIN);
	publish(b, again, SA_NONE);
	said("nobody has room", "");
	assert_string_equal(engine_of(b, again), "openssl");
	why_is(b, again, 1, "no device has room");
	assert_null(entry_of(b, again));
	sa_unmake(&b->gw, out);
	said("its session ends", "async end; ");
}

static void
engines_without_a_device_are_passed_over(void **state)
{
	struct bed *b = *state;
	struct engine_note note;
	uint8_t at = 0;

	fake.async_rc = -ENODEV;
	for (int i = 0; i < 3; i++)
		snprintf(b->conf->ports[i].ipsec, sizeof(b->conf->ports[i].ipsec), "off");
	begin(b);
	assert_int_equal(b->gw.n_engines, 1);
	assert_string_equal(engine_of(b, make(b, OUT)), "openssl");
	assert_true(engines_next(&b->gw, &at, &note));
	assert_true(strcmp(note.name, "inline") == 0 && note.engine == NULL);
	assert_string_equal(note.why, "no port has a device with IPsec");
	assert_true(engines_next(&b->gw, &at, &note));
	assert_string_equal(note.why, "there is none");
	assert_true(engines_next(&b->gw, &at, &note) && engines_next(&b->gw, &at, &note));
	assert_string_equal(note.name, "openssl");
	assert_int_equal(note.sas, 1);
	assert_false(engines_next(&b->gw, &at, &note));
}

static void
a_new_key_under_an_spi_ends_the_old_session_first(void **state)
{
	struct bed *b = *state;
	struct conf_sa same = b->conf->sas[AGAIN];
	struct err err = { "" };
	uint32_t old, new;

	begin(b);
	old = make(b, IN);
	publish(b, old, SA_NONE);
	said("the old one", "open crypto in 0x2001; ");
	same.spi = 0x2001;
	assert_int_equal(sa_make(&b->gw, &same, &of_file, old, &new, &err), 0);
	said("made, not published", "");
	publish(b, new, old);
	said("published", "end 0; free 0; open crypto in 0x2001; ");
	assert_null(entry_of(b, old));
	assert_non_null(entry_of(b, new));
}

static void
a_session_follows_the_route_to_another_port(void **state)
{
	struct bed *b = *state;
	struct offload_state s;
	uint32_t out;

	begin(b);
	route_by(b, "192.0.2.254", 0);
	out = make(b, OUT);
	publish(b, out, SA_NONE);
	b->gw.running = true;
	said("by wan", "open crypto out 0x1001; ");
	route_by(b, "192.0.2.253", 0);
	said("the same port", "");
	route_by(b, "203.0.113.254", 1);
	said("by alt", "end 0; ");
	assert_null(entry_of(b, out));
	why_is(b, out, 0, "its route has changed");
	later(b);
	said("when no worker relies on it", "free 0; open crypto out 0x1001; ");
	assert_int_equal(entry_of(b, out)->port, 1);
	assert_true(offloads_state(&b->gw, out, &s));
	assert_string_equal(s.port, "alt");
	assert_true(s.active && s.counted && s.counts.packets == 3);
}

static void
a_route_that_comes_late_brings_the_device(void **state)
{
	struct bed *b = *state;
	uint32_t out;

	fake.async_rc = -ENODEV;
	begin(b);
	out = make(b, OUT);
	publish(b, out, SA_NONE);
	b->gw.running = true;
	assert_string_equal(engine_of(b, out), "openssl");
	route_by(b, "192.0.2.254", 0);
	said("a route", "open crypto out 0x1001; ");
	assert_string_equal(engine_of(b, out), "inline");
	assert_int_equal(entry_of(b, out)->port, 0);
}

static void
sessions_are_opened_again_after_a_reset(void **state)
{
	struct bed *b = *state;
	struct offload_port_counts c;
	uint32_t in;

	begin(b);
	in = make(b, IN);
	publish(b, in, SA_NONE);
	b->gw.running = true;
	said("published", "open crypto in 0x2001; ");
	offloads_port_stops(&b->gw, 0);
	assert_null(entry_of(b, in));
	why_is(b, in, 0, "its port is being reset");
	offloads_port_stopped(&b->gw, 0, false);
	said("stopped", "reset; end 0; ");
	offloads_port_started(&b->gw, 0);
	said("started", "open crypto in 0x2001; ");
	assert_non_null(entry_of(b, in));
	assert_int_equal(sa_at(&b->gw.sas, in)->state, SA_LIVE);
	offloads_port_counts(&b->gw, 0, &c);
	assert_int_equal(c.all.packets, 6);
	assert_int_equal(c.active, 1);
}

/* Those that a full table refused get what others leave. */
static void
room_is_offered_to_those_that_were_refused(void **state)
{
	struct bed *b = *state;
	uint32_t in, again;

	fake.async_rc = -ENODEV;
	fake.room = 1;
	begin(b);
	in = make(b, IN);
	publish(b, in, SA_NONE);
	again = make(b, AGAIN);
	publish(b, again, SA_NONE);
	said("room for one", "open crypto in 0x2001; ");
	assert_string_equal(engine_of(b, again), "openssl");
	b->gw.running = true;
	offloads_room(&b->gw);
	offloads_tick(&b->gw);
	said("there is no room yet", "");
	assert_string_equal(engine_of(b, again), "openssl");
	sa_unpublish(&b->gw, in);
	sa_unmake(&b->gw, in);
	later(b);
	said("the first one goes", "end 0; free 0; ");
	offloads_tick(&b->gw);
	said("its room is taken", "open crypto in 0x2002; ");
	assert_string_equal(engine_of(b, again), "inline");
	assert_non_null(entry_of(b, again));
	offloads_tick(&b->gw);
	said("once", "");
}

/* So do those that the device had before, and found its table full when they came back. */
static void
room_is_offered_to_those_that_came_back(void **state)
{
	struct bed *b = *state;
	uint32_t in, again;

	fake.async_rc = -ENODEV;
	fake.room = 2;
	begin(b);
	in = make(b, IN);
	publish(b, in, SA_NONE);
	again = make(b, AGAIN);
	publish(b, again, SA_NONE);
	b->gw.running = true;
	offloads_port_stops(&b->gw, 0);
	offloads_port_stopped(&b->gw, 0, false);
	fake.room = 1;
	offloads_port_started(&b->gw, 0);
	said("half of it came back", "open crypto in 0x2001; open crypto in 0x2002; reset; end 0; "
				     "end 1; open crypto in 0x2001; ");
	why_is(b, again, 0, "the table is full");
	offloads_tick(&b->gw);
	said("there is no room yet", "");
	later(b);
	said("what the reset ended is freed", "free 0; free 1; ");
	offloads_tick(&b->gw);
	said("and its room taken", "open crypto in 0x2002; ");
	assert_non_null(entry_of(b, in));
	assert_non_null(entry_of(b, again));
	offloads_tick(&b->gw);
	said("once", "");
}

/* A device that was set up anew knows no session that it could be asked of. */
static void
a_renewed_device_is_asked_nothing_of_before(void **state)
{
	struct bed *b = *state;
	struct offload_port_counts c;
	uint32_t in;

	begin(b);
	in = make(b, IN);
	publish(b, in, SA_NONE);
	b->gw.running = true;
	offloads_port_stops(&b->gw, 0);
	offloads_port_stopped(&b->gw, 0, true);
	offloads_port_started(&b->gw, 0);
	said("renewed", "open crypto in 0x2001; renewed; end 0; open crypto in 0x2001; ");
	assert_non_null(entry_of(b, in));
	offloads_port_counts(&b->gw, 0, &c);
	assert_int_equal(c.active, 1);
}

static void
reset(struct bed *b)
{
	b->gw.running = true;
	offloads_port_stops(&b->gw, 0);
	offloads_port_stopped(&b->gw, 0, false);
	offloads_port_started(&b->gw, 0);
}

/* Numbers and windows that are the device's: nobody else can go on with them. */
static void
what_only_the_device_knows_is_lost_with_it(void **state)
{
	struct bed *b = *state;
	uint32_t in, out;

	fake.crypto_rc = -ENOTSUP;
	begin(b);
	route_by(b, "192.0.2.254", 0);
	out = make(b, OUT);
	in = make(b, IN);
	publish(b, out, SA_NONE);
	publish(b, in, SA_NONE);
	said("begin", "open protocol out 0x1001; open protocol in 0x2001; ");
	reset(b);
	said("a reset", "reset; end 0; end 1; ");
	assert_int_equal(sa_at(&b->gw.sas, in)->state, SA_EXPIRED);
	why_is(b, out, 0, "has lost them");
	route_by(b, "203.0.113.254", 1);
	later(b);
	said("no route brings it back", "free 0; free 1; ");
	/* The key comes back: what it has received nobody knows. */
	sa_unpublish(&b->gw, in);
	sa_unmake(&b->gw, in);
	in = make(b, IN);
	publish(b, in, SA_NONE);
	assert_int_equal(sa_at(&b->gw.sas, in)->state, SA_EXPIRED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(the_first_of_the_list_that_can_does),
		TEST(what_a_device_refuses_goes_to_the_next),
		TEST(engines_without_a_device_are_passed_over),
		TEST(a_new_key_under_an_spi_ends_the_old_session_first),
		TEST(a_session_follows_the_route_to_another_port),
		TEST(a_route_that_comes_late_brings_the_device),
		TEST(sessions_are_opened_again_after_a_reset),
		TEST(room_is_offered_to_those_that_were_refused),
		TEST(room_is_offered_to_those_that_came_back),
		TEST(a_renewed_device_is_asked_nothing_of_before),
		TEST(what_only_the_device_knows_is_lost_with_it),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
