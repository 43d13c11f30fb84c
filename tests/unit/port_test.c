#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_eth_ring.h>
#include <rte_ring.h>

#include "base/clock.h"
#include "eal.h"
#include "port/offload.h"
#include "port/port_stage.h"
#include "worker.h"

#define RING_SIZE 64

static struct rte_mempool *pool;
static struct rte_mempool *pools[WORKERS_MAX];
static struct clock time_real;

static void
queues_are_placed(void **state)
{
	static const struct {
		const char *what;
		uint16_t n_workers;
		uint64_t owners;
		uint16_t first, n_rx, n_tx;
		uint8_t rx_owner[4], tx_queue[4], tx_via[4];
	} cases[] = {
		/* clang-format off */
		{ "one worker has it all", 1, 1, 0, 1, 1, { 0 }, { 0 }, { 0 } },
		{ "a queue each", 4, 15, 0, 4, 4, { 0, 1, 2, 3 }, { 0, 1, 2, 3 }, { 0, 1, 2, 3 } },
		{ "the second port begins with the second worker", 2, 3, 1, 1, 1,
		  { 1 }, { PORT_NONE, 0 }, { 1, 1 } },
		{ "one queue: all send through its owner", 3, 7, 0, 1, 1,
		  { 0 }, { 0, PORT_NONE, PORT_NONE }, { 0, 0, 0 } },
		{ "owners get TX queues first", 4, 0xc, 0, 2, 2,
		  { 2, 3 }, { PORT_NONE, PORT_NONE, 0, 1 }, { 2, 3, 2, 3 } },
		{ "who owns no RX queue may have a TX queue", 2, 2, 0, 1, 2,
		  { 1 }, { 1, 0 }, { 0, 1 } },
		{ "more queues than owners", 2, 1, 0, 3, 2, { 0, 0, 0 }, { 0, 1 }, { 0, 1 } },
		{ "a port that only sends", 1, 1, 0, 0, 1, { PORT_NONE }, { 0 }, { 0 } },
		/* clang-format on */
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct port_map map;

		port_place(&map, cases[i].n_workers, cases[i].owners, cases[i].first, cases[i].n_rx,
			   cases[i].n_tx);
		if (memcmp(map.rx_owner, cases[i].rx_owner, cases[i].n_rx) != 0 ||
		    memcmp(map.tx_queue, cases[i].tx_queue, cases[i].n_workers) != 0 ||
		    memcmp(map.tx_via, cases[i].tx_via, cases[i].n_workers) != 0)
			fail_msg("%s", cases[i].what);
	}
}

static void
what_cannot_be_opened_is_said(void **state)
{
	static const struct {
		const char *what;
		struct port_params params;
		int rc;
		const char *says;
	} cases[] = {
		/* clang-format off */
		{ "no such driver", { .name = "wan", .device = "net_nothing0" }, -EFAULT,
		  "port wan: device net_nothing0: DPDK has no driver of this name" },
		{ "no such PCI device", { .name = "wan", .device = "0000:99:00.0" }, -ENODEV,
		  "port wan: device 0000:99:00.0: no such device" },
		{ "a driver that refuses", { .name = "wan", .device = "net_pcap7,rx_pcap=/nonexistent/a" }, -1,
		  "its driver refused it" },
		{ "a worker that does not exist", { .name = "wan", .device = "net_null1", .workers = 4 }, -EINVAL,
		  "port wan: worker 2 is to read it, but there are only 2" },
		{ "too large an MTU", { .name = "wan", .device = "net_null1", .mtu = 9601 }, -EINVAL,
		  "port wan: mtu 9601: device net_null1 takes 46 to 9600" },
		{ "the name of another port", { .name = "lan", .device = "net_null1" }, -EEXIST,
		  "port lan: there is one of this name already" },
		{ "the device of another port", { .name = "wan", .device = "net_null0" }, -EBUSY,
		  "port wan: device net_null0 is port lan already" },
		{ "the same, with arguments", { .name = "wan", .device = "net_null0,size=70" }, -EBUSY,
		  "is port lan already" },
		/* clang-format on */
	};
	static const struct port_params lan = { .name = "lan", .device = "net_null0" };
	struct ports *ports;
	struct port *port;
	struct err err;

	assert_int_equal(ports_create(2, &time_real, &ports, &err), 0);
	if (port_open(ports, &lan, pools, &port, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		int rc = port_open(ports, &cases[i].params, pools, &port, &err);

		if (rc != cases[i].rc || strstr(err.text, cases[i].says) == NULL)
			fail_msg("%s: %d, %s", cases[i].what, rc, err.text);
	}
	assert_int_equal(ports->n, 1);
	ports_free(ports);
}

static void
what_was_plugged_in_is_taken_out(void **state)
{
	static const struct port_params params = { .name = "wan", .device = "net_null0,size=99" };
	struct ports *ports;
	struct port *port;
	struct err err;
	uint16_t id;

	for (int round = 0; round < 3; round++) {
		assert_int_equal(ports_create(2, &time_real, &ports, &err), 0);
		if (port_open(ports, &params, pools, &port, &err) < 0 || port_start(port, &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(port->driver, "net_null");
		assert_ptr_equal(port_by_name(ports, "wan"), port);
		assert_null(port_by_name(ports, "lan"));
		assert_int_equal(ports->of_dpdk[port->dpdk_id], 0);
		assert_int_equal(port->map.n_tx, 2);
		ports_free(ports);
		assert_int_not_equal(rte_eth_dev_get_port_by_name("net_null0", &id), 0);
	}
}

/* Two workers and two ports, each of one queue: a wire that ends in rings held by the test. */
struct bed {
	struct ports *ports;
	struct worker *w[2];
	struct rte_ring *rx[2], *tx[2];
};

static struct rte_ring *
wire_new(const char *kind, int i)
{
	char name[RTE_RING_NAMESIZE];
	struct rte_ring *r;

	snprintf(name, sizeof(name), "%s_%d", kind, i);
	r = rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY,
			    RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	assert_non_null(r);
	return r;
}

static int
bed_up(void **state)
{
	static int made; /* what the EAL was told of stays known to it: a new name each time */
	struct bed *b = calloc(1, sizeof(*b));
	struct err err;

	assert_int_equal(ports_create(2, &time_real, &b->ports, &err), 0);
	for (int i = 0; i < 2; i++) {
		struct port_params params = {
			.name = i == 0 ? "red" : "black",
			.side = i == 0 ? PORT_RED : PORT_BLACK,
		};
		char name[16], device[32];
		struct port *port;

		snprintf(name, sizeof(name), "wire%d", made);
		snprintf(device, sizeof(device), "net_ring_wire%d", made++);
		params.device = device;
		b->rx[i] = wire_new("rx", i);
		b->tx[i] = wire_new("tx", i);
		assert_true(rte_eth_from_rings(name, &b->rx[i], 1, &b->tx[i], 1, 0) >= 0);
		if (port_open(b->ports, &params, pools, &port, &err) < 0 ||
		    port_start(port, &err) < 0)
			fail_msg("%s", err.text);
	}
	for (uint16_t i = 0; i < 2; i++) {
		b->w[i] = test_worker_new(i, 2);
		if (port_attach(b->ports, b->w[i], &err) < 0)
			fail_msg("%s", err.text);
	}
	*state = b;
	return 0;
}

static int
bed_down(void **state)
{
	struct bed *b = *state;
	struct rte_mbuf *m = NULL;

	for (int i = 0; i < 2; i++)
		port_drop_held(b->w[i]);
	ports_free(b->ports);
	for (int i = 0; i < 2; i++) {
		while (rte_ring_dequeue(b->tx[i], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(b->rx[i]);
		rte_ring_free(b->tx[i]);
		rte_free(b->w[i]);
	}
	free(b);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	return 0;
}

/* Sends n packets to a port in one burst; octet 0 and 1 number them. */
static void
send_burst(struct worker *w, uint16_t port, uint16_t n, uint16_t number)
{
	struct rte_mbuf *pkts[BURST_MAX];

	for (uint16_t i = 0; i < n; i++) {
		pkts[i] = test_mbuf_new(pool, 60);
		pkts[i]->port = port;
		*rte_pktmbuf_mtod(pkts[i], uint16_t *) = number + i;
	}
	assert_int_equal(port_tx(w, pkts, n), 0);
}

/* Frames of an SA that the port's device is to encipher, numbered from 0. */
static void
send_marked(struct worker *w, uint16_t port, uint16_t n, uint32_t sa, uint32_t generation)
{
	const struct offload_entry *e = offload_of(w->offloads, sa, generation);
	struct rte_mbuf *pkts[BURST_MAX];

	for (uint16_t i = 0; i < n; i++) {
		pkts[i] = test_mbuf_new(pool, 60);
		pkts[i]->port = port;
		pkts[i]->ol_flags |= RTE_MBUF_F_TX_SEC_OFFLOAD;
		pkt_of(pkts[i])->sa = sa;
		pkt_of(pkts[i])->generation = generation;
		pkt_of(pkts[i])->turn = e != NULL ? e->serial : 0;
		*rte_pktmbuf_mtod(pkts[i], uint16_t *) = i;
	}
	assert_int_equal(port_tx(w, pkts, n), 0);
}

/* What came out of the wire's end, checked to be the next n in order. */
static void
expect_wire(struct rte_ring *r, uint16_t n, uint16_t number)
{
	struct rte_mbuf *m = NULL;

	for (uint16_t i = 0; i < n; i++) {
		assert_int_equal(rte_ring_dequeue(r, (void **)&m), 0);
		assert_int_equal(*rte_pktmbuf_mtod(m, uint16_t *), number + i);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rte_ring_count(r), 0);
}

static void
what_comes_in_is_marked_and_counted(void **state)
{
	struct bed *b = *state;
	struct source *s = &b->w[0]->sources[0];
	struct rte_mbuf *pkts[BURST_MAX];

	/* Port 0's only queue is worker 0's, port 1's is worker 1's; each sends for the other. */
	assert_int_equal(b->w[0]->n_sources, 2);
	assert_int_equal(s->first, STAGE_CLASSIFY_RED);
	assert_int_equal(b->w[1]->sources[0].first, STAGE_CLASSIFY_BLACK);
	assert_int_equal(b->w[0]->sources[1].first, STAGE_PORT_TX);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rte_ring_enqueue(b->rx[1], test_mbuf_new(pool, 60 + i)), 0);
	s = &b->w[1]->sources[0];
	assert_int_equal(s->poll(b->w[1], s->arg, pkts, 32), 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pkt_of(pkts[i])->port, 1);
		rte_pktmbuf_free(pkts[i]);
	}
	assert_int_equal(b->w[1]->rx_packets, 3);
	assert_int_equal(port_counters(b->ports, 1).rx_packets, 3);
	assert_int_equal(port_counters(b->ports, 1).rx_bytes, 183);
	assert_int_equal(port_counters(b->ports, 0).rx_packets, 0);
}

static void
long_bursts_go_at_once_and_short_ones_at_the_end_of_the_loop(void **state)
{
	struct bed *b = *state;

	send_burst(b->w[0], 0, 32, 0);
	expect_wire(b->tx[0], 32, 0);
	send_burst(b->w[0], 0, 2, 32);
	assert_int_equal(rte_ring_count(b->tx[0]), 0);
	assert_int_equal(port_held(b->w[0]), 2);
	/* A long one behind a short one does not overtake it. */
	send_burst(b->w[0], 0, 32, 34);
	assert_int_equal(port_held(b->w[0]), 34);
	port_flush(b->w[0]);
	expect_wire(b->tx[0], 34, 32);
	assert_int_equal(port_held(b->w[0]), 0);
	assert_int_equal(b->w[0]->tx_packets, 66);
	assert_int_equal(port_counters(b->ports, 0).tx_packets, 66);
	assert_int_equal(port_counters(b->ports, 0).tx_bytes, 66 * 60);
}

/* Frames that a device is to encipher, for an SA whose session ends. */
static void
nothing_leaves_for_a_session_that_is_gone(void **state)
{
	struct bed *b = *state;
	struct worker *w = b->w[0];
	struct offload_entry e = { .session = (void *)b, .generation = 7, .port = 0 };
	struct offload_table *t;
	struct err err;

	assert_int_equal(offload_table_create(NULL, 4, SOCKET_ID_ANY, &t, &err), 0);
	w->offloads = t;
	w->sparse = rte_zmalloc("drops", sizeof(*w->sparse), RTE_CACHE_LINE_SIZE);
	assert_non_null(w->sparse);
	offload_publish(t, 1, &e);
	send_marked(w, 0, 32, 1, 7);
	expect_wire(b->tx[0], 32, 0);
	/* Of another generation, of no session, and by another port than the session's. */
	send_marked(w, 0, 32, 1, 6);
	send_marked(w, 0, 32, 2, 7);
	e.port = 1;
	offload_publish(t, 1, &e);
	send_marked(w, 0, 32, 1, 7);
	assert_int_equal(rte_ring_count(b->tx[0]), 0);
	assert_int_equal(w->drops[DROP_OFFLOAD_LOST], 96);
	/* In the buffer when it ends; others are sent. */
	e.port = 0;
	offload_publish(t, 1, &e);
	send_burst(w, 0, 3, 0);
	send_marked(w, 0, 32, 1, 7);
	send_burst(w, 0, 3, 3);
	offload_withdraw(t, 1);
	port_flush(w);
	expect_wire(b->tx[0], 6, 0);
	assert_int_equal(w->drops[DROP_OFFLOAD_LOST], 128);
	assert_int_equal(port_held(w), 0);
	assert_int_equal(w->tx_packets, 38);
	/* For one that took its place meanwhile, as after a reset of the port. */
	offload_publish(t, 1, &e);
	send_marked(w, 0, 2, 1, 7);
	offload_withdraw(t, 1);
	offload_publish(t, 1, &e);
	send_marked(w, 0, 1, 1, 7);
	port_flush(w);
	expect_wire(b->tx[0], 1, 0);
	assert_int_equal(w->drops[DROP_OFFLOAD_LOST], 130);
	/* Without any such device. */
	w->offloads = NULL;
	send_marked(w, 0, 32, 1, 7);
	assert_int_equal(w->drops[DROP_OFFLOAD_LOST], 162);
	offload_table_free(t);
	rte_free(w->sparse);
	w->sparse = NULL;
}

static void
a_full_device_holds_then_drops_the_newest(void **state)
{
	struct bed *b = *state;
	struct worker *w = b->w[0];
	uint16_t number = 0;

	for (int i = 0; i < 16; i++, number += 32) {
		send_burst(w, 0, 32, number);
		port_flush(w);
		assert_int_equal(w->tx_packets + port_held(w) + w->drops[DROP_TX_FULL],
				 number + 32);
	}
	assert_int_equal(w->tx_packets, RING_SIZE);
	assert_int_equal(port_held(w), PORT_TX_BUFFER);
	assert_int_equal(w->drops[DROP_TX_FULL], 512 - RING_SIZE - PORT_TX_BUFFER);
	/* The device drains: what was held follows in order. */
	for (number = 0; number < RING_SIZE + PORT_TX_BUFFER; number += RING_SIZE) {
		expect_wire(b->tx[0], RING_SIZE, number);
		port_flush(w);
	}
	assert_int_equal(port_held(w), 0);
	assert_int_equal(w->tx_packets, RING_SIZE + PORT_TX_BUFFER);
	assert_int_equal(port_counters(b->ports, 0).tx_bytes, 60 * (RING_SIZE + PORT_TX_BUFFER));
	send_burst(w, 0, 32, number);
	expect_wire(b->tx[0], 32, number);
}

static void
a_mixed_burst_finds_each_port_in_order(void **state)
{
	struct bed *b = *state;
	struct rte_mbuf *pkts[32];

	for (uint16_t i = 0; i < 32; i++) {
		pkts[i] = test_mbuf_new(pool, 60);
		pkts[i]->port = i >= 10 && i % 2;
		*rte_pktmbuf_mtod(pkts[i], uint16_t *) = i;
	}
	assert_int_equal(port_tx(b->w[0], pkts, 32), 0);
	port_flush(b->w[0]);
	assert_int_equal(rte_ring_count(b->tx[0]), 21);
	/* Port 1's queue is the other worker's: they wait in the ring to it. */
	assert_int_equal(port_held(b->w[0]), 0);
	assert_int_equal(port_held(b->w[1]), 11);
	assert_int_equal(b->w[0]->tx_packets, 21);
}

static void
who_has_no_queue_sends_through_who_has(void **state)
{
	struct bed *b = *state;
	struct source *s = &b->w[1]->sources[1];
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n, total = 0;

	assert_string_equal(s->name, "port_ring");
	send_burst(b->w[0], 1, 32, 0);
	assert_int_equal(b->w[0]->tx_packets, 0);
	assert_int_equal(port_held(b->w[1]), 32);
	while ((n = s->poll(b->w[1], s->arg, pkts, 20)) > 0) {
		assert_int_equal(port_tx(b->w[1], pkts, n), 0);
		total += n;
	}
	assert_int_equal(total, 32);
	assert_int_equal(port_held(b->w[1]), 0);
	assert_int_equal(b->w[1]->tx_packets, 32);
	expect_wire(b->tx[1], 32, 0);
	assert_int_equal(port_counters(b->ports, 1).tx_packets, 32);
	assert_int_equal(b->w[1]->rx_packets, 0);
}

static void
a_full_ring_to_another_worker_holds_then_drops(void **state)
{
	struct bed *b = *state;
	uint64_t sent = 0;

	for (uint16_t i = 0; i < 30; i++, sent += 32) {
		send_burst(b->w[0], 1, 32, 0);
		port_flush(b->w[0]);
	}
	assert_int_equal(port_held(b->w[1]), PORT_RING_SIZE);
	assert_int_equal(port_held(b->w[0]), PORT_TX_BUFFER);
	assert_int_equal(b->w[0]->drops[DROP_TX_FULL], sent - PORT_RING_SIZE - PORT_TX_BUFFER);
	port_drop_held(b->w[0]);
	port_drop_held(b->w[1]);
	assert_int_equal(b->w[0]->drops[DROP_STOPPED], PORT_TX_BUFFER);
	assert_int_equal(b->w[1]->drops[DROP_STOPPED], PORT_RING_SIZE);
	assert_int_equal(test_worker_dropped(b->w[0]) + test_worker_dropped(b->w[1]), sent);
}

static void
put_u32(FILE *f, uint32_t v)
{
	fwrite(&v, sizeof(v), 1, f);
}

/* Three packets, one of them late. */
static void
capture_write(const char *path)
{
	static const uint32_t stamps_us[] = { 0, 1500000, 700000 };
	uint8_t frame[60] = { 0 };
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	put_u32(f, 0xa1b2c3d4);
	put_u32(f, 2 | 4 << 16);
	put_u32(f, 0);
	put_u32(f, 0);
	put_u32(f, 65535);
	put_u32(f, 1);
	for (size_t i = 0; i < RTE_DIM(stamps_us); i++) {
		put_u32(f, 1700000000 + stamps_us[i] / 1000000);
		put_u32(f, stamps_us[i] % 1000000);
		put_u32(f, sizeof(frame));
		put_u32(f, sizeof(frame));
		fwrite(frame, sizeof(frame), 1, f);
	}
	fclose(f);
}

static void
a_capture_brings_its_time_with_it(void **state)
{
	char path[] = "/tmp/port_test_XXXXXX", device[64];
	struct port_params params = { .name = "wan", .device = device, .side = PORT_BLACK };
	struct worker *w = test_worker_new(0, 1);
	struct rte_mbuf *pkts[4];
	struct ports *ports;
	struct clock stamps;
	struct port *port;
	struct err err;

	close(mkstemp(path));
	capture_write(path);
	snprintf(device, sizeof(device), "net_pcap5,rx_pcap=%s", path);
	assert_true(port_device_replays(device));
	assert_false(port_device_replays("net_pcap0,iface=eth0"));
	assert_false(port_device_replays("0000:3b:00.0"));
	clock_init(&stamps, CLOCK_STAMPS);
	assert_int_equal(ports_create(1, &stamps, &ports, &err), 0);
	if (port_open(ports, &params, pools, &port, &err) < 0 || port_attach(ports, w, &err) < 0 ||
	    port_start(port, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(port->replays);
	for (int i = 0; i < 3; i++) {
		static const uint64_t now[] = { 0, 1500000000, 1500000000 };

		assert_int_equal(w->sources[0].poll(w, w->sources[0].arg, pkts, 1), 1);
		assert_int_equal(clock_now(&stamps), now[i]);
		rte_pktmbuf_free(pkts[0]);
	}
	assert_int_equal(w->sources[0].poll(w, w->sources[0].arg, pkts, 1), 0);
	ports_free(ports);
	rte_free(w);
	unlink(path);
}

static void
a_pool_is_as_large_as_it_must_be(void **state)
{
	static const struct port_params two[] = {
		{ .rx_desc = 256, .tx_desc = 256, .rx_queues = 1 },
		{ .rx_desc = 512 },
	};
	struct rte_mempool *jumbo;
	struct err err;

	/* Descriptors and TX buffers of both, and something for the worker itself. */
	assert_true(port_pool_auto(two, 2, 1) > 256 + 256 + 512 + 1024 + 2 * PORT_TX_BUFFER);
	assert_true(port_pool_auto(two, 2, 2) > port_pool_auto(two, 2, 1));
	assert_int_equal(port_pool_create("jumbo", 64, 9000, SOCKET_ID_ANY, &jumbo, &err), 0);
	assert_true(rte_pktmbuf_data_room_size(jumbo) >= RTE_PKTMBUF_HEADROOM + 9000 + 18);
	assert_int_equal(rte_pktmbuf_priv_size(jumbo), sizeof(struct pkt));
	rte_mempool_free(jumbo);
	assert_int_equal(port_pool_create("no", 64, 9601, SOCKET_ID_ANY, &jumbo, &err), -EINVAL);
	assert_int_equal(port_pool_create("huge", 1 << 20, 9000, SOCKET_ID_ANY, &jumbo, &err),
			 -ENOMEM);
	assert_non_null(strstr(err.text, "pool huge: 1048576 buffers"));
}

static void
the_map_is_printed(void **state)
{
	struct bed *b = *state;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	port_print(b->ports, f);
	fclose(f);
	assert_non_null(strstr(text, "red: red, net_ring_wire"));
	assert_non_null(strstr(text, "  worker 0: reads queue 0; sends by queue 0\n"
				     "  worker 1: reads nothing; sends through worker 0\n"));
	free(text);
}

int
main(void)
{
#define BED(test) cmocka_unit_test_setup_teardown(test, bed_up, bed_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_are_placed),
		cmocka_unit_test(what_cannot_be_opened_is_said),
		cmocka_unit_test(what_was_plugged_in_is_taken_out),
		cmocka_unit_test(a_capture_brings_its_time_with_it),
		cmocka_unit_test(a_pool_is_as_large_as_it_must_be),
		BED(what_comes_in_is_marked_and_counted),
		BED(long_bursts_go_at_once_and_short_ones_at_the_end_of_the_loop),
		BED(nothing_leaves_for_a_session_that_is_gone),
		BED(a_full_device_holds_then_drops_the_newest),
		BED(a_mixed_burst_finds_each_port_in_order),
		BED(who_has_no_queue_sends_through_who_has),
		BED(a_full_ring_to_another_worker_holds_then_drops),
		BED(the_map_is_printed),
	};
	struct err err;

	if (test_eal_init() < 0)
		return 1;
	clock_init(&time_real, CLOCK_REAL);
	if (port_pool_create("test", 4095, 1500, SOCKET_ID_ANY, &pool, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	for (int i = 0; i < WORKERS_MAX; i++)
		pools[i] = pool;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
