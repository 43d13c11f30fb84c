/* Packets whose policy has no SA: who waits, for how long, in which order they go, and what control
 * hears of it. */
#include "unit.h"

#include <netinet/in.h>

#include "drivers.h"
#include "eal.h"
#include "hold/hold.h"
#include "path_rig.h"
#include "wire/sum.h"

#define MBUFS	 512
#define POLICIES 20
#define MAX	 64
#define RATE	 100
#define MS	 UINT64_C(1000000)

static struct path_rig rig;
static uint32_t out_policy[POLICIES];
static uint16_t sent[256]; /* lengths, in their order */
static uint16_t n_sent;

static uint16_t
note(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		sent[n_sent++] = pkts[i]->pkt_len;
		rte_pktmbuf_free(pkts[i]);
	}
	cell_add(&w->tx_packets, n);
	return 0;
}

static uint32_t
policy_of(uint32_t n)
{
	struct spd_key key = { .src = { 10, 1, (uint8_t)n, 1 }, .dst = { 10, 2, (uint8_t)n, 1 } };

	return spd_find(rig.spd, SPD_OUT, &key);
}

static void
point(uint32_t n, bool at_sa)
{
	uint32_t sa = rig.sa[n].out;

	spd_sa_set(rig.spd, out_policy[n], at_sa ? sa : SA_NONE,
		   at_sa ? sa_at(&rig.sas, sa)->generation : 0);
}

static int
up(void **state)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	static const struct rig_suite suite = { ALG_AES_GCM_128, .esn = true, .window = 64 };
	static struct rte_mempool *pool;
	struct err err;

	if (pool == NULL)
		assert_int_equal(port_pool_create("packets", MBUFS, 1500, SOCKET_ID_ANY, &pool,
						  &err),
				 0);
	path_rig_make(&rig, &(struct rig_params) { .engines = engines,
						   .n_engines = RTE_DIM(engines),
						   .pool = pool,
						   .sink = note });
	for (uint32_t n = 0; n < POLICIES; n++) {
		path_rig_sa(&rig, &suite);
		out_policy[n] = policy_of(n);
		point(n, false);
	}
	rig.w->now = 1000 * MS;
	rig.w->sources[rig.w->n_sources++] =
		(struct source) { .name = "mailbox", .poll = mailbox_poll, .first = STAGE_PORT_TX };
	assert_int_equal(hold_init(rig.w, &err), 0);
	hold_set(rig.w, MAX, RATE);
	n_sent = 0;
	return 0;
}

static int
down(void **state)
{
	hold_drop(rig.w, DROP_STOPPED);
	assert_true(path_rig_conserves(&rig));
	assert_int_equal(rte_mempool_avail_count(rig.pool), MBUFS);
	hold_fini(rig.w);
	path_rig_free(&rig);
	return 0;
}

/* A datagram for SA n, whose length says which it is: 4 octets more for each. */
static struct rte_mbuf *
datagram(uint32_t n, uint16_t mark)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);
	uint16_t len = 28 + 4 * mark;
	struct rte_ether_hdr *eth;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *udp;

	assert_non_null(m);
	eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, sizeof(*eth) + len);
	memset(eth, 0, sizeof(*eth) + len);
	eth->dst_addr = rig.links[RIG_RED].mac;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	ip = (struct rte_ipv4_hdr *)(eth + 1);
	*ip = (struct rte_ipv4_hdr) {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(len),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, n, 1)),
		.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 2, n, 1)),
	};
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
	udp = (struct rte_udp_hdr *)(ip + 1);
	udp->src_port = RTE_BE16(1000);
	udp->dst_port = RTE_BE16(2000);
	udp->dgram_len = rte_cpu_to_be_16(len - sizeof(*ip));
	return m;
}

/* Packets first to last of SA n, in one burst. */
static void
feed(uint32_t n, uint16_t first, uint16_t last)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t count = 0;

	for (uint16_t mark = first; mark <= last; mark++)
		pkts[count++] = datagram(n, mark);
	path_rig_feed(&rig, RIG_RED, pkts, count);
}

static void
poll_hold(void)
{
	struct rte_mbuf *pkts[BURST_MAX];

	assert_int_equal(hold_poll(rig.w, NULL, pkts, rig.w->burst), 0);
	pipe_run(rig.w, STAGE_SPD_MATCH, pkts, 0);
}

/* As many as that went out, each later one longer than the one before. */
static void
assert_sent(uint16_t n)
{
	assert_int_equal(n_sent, n);
	for (uint16_t i = 1; i < n_sent; i++)
		if (sent[i] != sent[0] + 4 * i)
			fail_msg("packet %u is not the next", i);
}

static uint64_t
dropped(enum drop_reason why)
{
	return rig.w->drops[why];
}

static uint32_t
acquired(struct acquire_event *last)
{
	struct worker_event e;
	uint32_t n = 0;

	while (mailbox_event(rig.w, &e)) {
		if (e.kind != EVENT_ACQUIRE)
			continue;
		n++;
		if (last != NULL)
			*last = e.acquire;
	}
	return n;
}

static void
four_of_a_policy_wait_and_go_in_order(void **state)
{
	feed(3, 0, 5);
	assert_int_equal(hold_held(rig.w), HOLD_PER_POLICY);
	assert_int_equal(dropped(DROP_NO_OUTBOUND_SA), 2);
	poll_hold();
	assert_sent(0);
	point(3, true);
	poll_hold();
	assert_sent(4);
	assert_int_equal(hold_held(rig.w), 0);
}

static void
so_many_wait_in_all(void **state)
{
	for (uint32_t n = 0; n < POLICIES; n++)
		feed(n, 0, 3);
	assert_int_equal(hold_held(rig.w), MAX);
	assert_int_equal(dropped(DROP_NO_OUTBOUND_SA), POLICIES * 4 - MAX);
}

static void
what_comes_later_goes_behind(void **state)
{
	feed(0, 0, 3);
	feed(1, 0, 3);
	/* The SA comes between the worker's look at those that wait and its next burst. */
	poll_hold();
	point(0, true);
	feed(0, 4, 40);
	assert_sent(41);
	assert_int_equal(hold_held(rig.w), 4);
}

static void
a_policy_with_an_sa_in_front_takes_them(void **state)
{
	struct policy_params p = { .action = POLICY_PROTECT,
				   .protocol = SPD_ANY_PROTOCOL,
				   .group = 1,
				   .sa = rig.sa[0].out,
				   .sa_generation = sa_at(&rig.sas, rig.sa[0].out)->generation };
	struct err err;

	feed(0, 0, 3);
	assert_int_equal(spd_del(rig.spd, out_policy[0], &err), 0);
	rig_policy_add(&rig, 0, false, SPD_OUT, &p);
	poll_hold();
	assert_sent(0);
	spd_commit(rig.spd);
	feed(0, 4, 9);
	assert_sent(10);
}

static void
without_policy_they_go_nowhere(void **state)
{
	struct err err;

	feed(0, 0, 3);
	assert_int_equal(spd_del(rig.spd, out_policy[0], &err), 0);
	spd_commit(rig.spd);
	poll_hold();
	assert_int_equal(hold_held(rig.w), 0);
	assert_int_equal(dropped(DROP_NO_POLICY), 4);
	assert_sent(0);
}

static void
a_second_is_all_they_wait(void **state)
{
	struct policy_params other = { .action = POLICY_DISCARD, .protocol = 99 };

	feed(0, 0, 1);
	rig.w->now += 500 * MS;
	feed(0, 2, 3);
	/* Round again, since policies changed: which gives them no more time. */
	rig_policy_add(&rig, 1, false, SPD_OUT, &other);
	spd_commit(rig.spd);
	poll_hold();
	assert_int_equal(hold_held(rig.w), 4);
	rig.w->now += 499 * MS;
	poll_hold();
	assert_int_equal(hold_held(rig.w), 4);
	rig.w->now += 1 * MS;
	poll_hold();
	assert_int_equal(hold_held(rig.w), 2);
	assert_int_equal(dropped(DROP_NO_OUTBOUND_SA), 2);
	rig.w->now += 500 * MS;
	poll_hold();
	assert_int_equal(hold_held(rig.w), 0);
	assert_int_equal(dropped(DROP_NO_OUTBOUND_SA), 4);
	assert_sent(0);
}

static void
nothing_waits_where_nothing_is_to_be_held(void **state)
{
	uint16_t sources = rig.w->n_sources;

	feed(0, 0, 1);
	hold_set(rig.w, 0, RATE);
	assert_int_equal(rig.w->n_sources, sources - 1);
	assert_int_equal(hold_held(rig.w), 0);
	feed(1, 0, 1);
	assert_int_equal(dropped(DROP_NO_OUTBOUND_SA), 4);
	assert_int_equal(acquired(NULL), 2);
	hold_set(rig.w, 4, RATE);
	assert_int_equal(rig.w->n_sources, sources);
	feed(2, 0, 1);
	assert_int_equal(hold_held(rig.w), 2);
}

static void
control_hears_what_the_packet_was(void **state)
{
	struct acquire_event e;

	feed(7, 0, 0);
	assert_int_equal(acquired(&e), 1);
	assert_true(e.held);
	assert_int_equal(e.policy, out_policy[7]);
	assert_int_equal(e.family, 4);
	assert_int_equal(e.proto, IPPROTO_UDP);
	assert_int_equal(e.src_port, 1000);
	assert_int_equal(e.dst_port, 2000);
	assert_memory_equal(e.src, ((uint8_t[]) { 10, 1, 7, 1 }), 4);
	assert_memory_equal(e.dst, ((uint8_t[]) { 10, 2, 7, 1 }), 4);
}

static void
control_hears_once_a_second(void **state)
{
	for (int i = 0; i < 10; i++) {
		feed(0, 0, 9);
		rig.w->now += 99 * MS;
	}
	assert_int_equal(acquired(NULL), 1);
	rig.w->now += 10 * MS;
	feed(0, 0, 9);
	assert_int_equal(acquired(NULL), 1);
}

static void
no_more_events_than_the_rate(void **state)
{
	hold_set(rig.w, MAX, 5);
	for (uint32_t n = 0; n < POLICIES; n++)
		feed(n, 0, 0);
	assert_int_equal(acquired(NULL), 5);
	rig.w->now += 400 * MS;
	for (uint32_t n = 0; n < POLICIES; n++)
		feed(n, 0, 0);
	assert_int_equal(acquired(NULL), 2);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, up, down)
	const struct CMUnitTest tests[] = {
		RIG(four_of_a_policy_wait_and_go_in_order),
		RIG(so_many_wait_in_all),
		RIG(what_comes_later_goes_behind),
		RIG(a_policy_with_an_sa_in_front_takes_them),
		RIG(without_policy_they_go_nowhere),
		RIG(a_second_is_all_they_wait),
		RIG(nothing_waits_where_nothing_is_to_be_held),
		RIG(control_hears_what_the_packet_was),
		RIG(control_hears_once_a_second),
		RIG(no_more_events_than_the_rate),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
