/* IP-TFS's sender in the way of a packet: what leaves when, by which SA, and what becomes of what
 * waits. */
#include "unit.h"

#include <netinet/in.h>

#include "aggfrag/fill.h"
#include "drivers.h"
#include "eal.h"
#include "iptfs/iptfs.h"
#include "iptfs/iptfs_stage.h"
#include "path_rig.h"
#include "wire/sum.h"

#define MBUFS	 2048
#define US	 UINT64_C(1000)
#define MS	 (1000 * US)
#define OUTER	 1500
#define INTERVAL (12 * US) /* of these at 1 Gbit/s */
#define SENT_MAX 4096

static struct path_rig rig;
static struct rte_mempool *pool;

/* What left. */
static struct sent {
	uint64_t at;
	uint32_t size; /* of the IP packet */
	uint32_t spi, number;
} sent[SENT_MAX];
static unsigned int n_sent;

static uint16_t
note(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *ip = rte_pktmbuf_mtod_offset(pkts[i], const uint8_t *, 14);
		uint32_t esp[2];

		assert_true(n_sent < SENT_MAX);
		memcpy(esp, ip + 20, sizeof(esp));
		assert_int_equal(ip[0], 0x45);
		assert_int_equal(ip[1], 0); /* no class, Not-ECT */
		assert_int_equal(ip[6] << 8 | ip[7], RTE_IPV4_HDR_DF_FLAG);
		assert_int_equal(ip[9], IPPROTO_ESP);
		assert_int_equal(ip[2] << 8 | ip[3], pkts[i]->pkt_len - 14);
		sent[n_sent++] =
			(struct sent) { rig.clock.now, pkts[i]->pkt_len - 14,
					rte_be_to_cpu_32(esp[0]), rte_be_to_cpu_32(esp[1]) };
		rte_pktmbuf_free(pkts[i]);
	}
	cell_add(&w->tx_packets, n);
	return 0;
}

static uint32_t
sa_add(const struct aggfrag_params *params)
{
	const struct rig_suite suite = {
		.cipher = ALG_AES_GCM_128, .esn = true, .window = 64, .iptfs = params
	};

	return path_rig_sa(&rig, &suite);
}

static void
begin(const struct aggfrag_params *params)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };

	path_rig_make(&rig, &(struct rig_params) { .engines = engines,
						   .n_engines = RTE_DIM(engines),
						   .pool = pool,
						   .sink = note });
	pipe_add(&rig.pipe, rig.rows, STAGE_IPTFS_FILL);
	rig.w->sources[rig.w->n_sources++] = (struct source) { .name = "iptfs_tick",
							       .poll = iptfs_tick,
							       .first = STAGE_LIFE_COUNT_OUT,
							       .all = true,
							       .paces = true };
	n_sent = 0;
	sa_add(params);
}

static struct sa *
sa_out(uint32_t n)
{
	return sa_at(&rig.sas, rig.sa[n].out);
}

static struct aggfrag_out *
stream(uint32_t n)
{
	return sa_more(sa_out(n))->fill;
}

static void
end(void)
{
	for (uint32_t n = 0; n < rig.n_sas; n++)
		iptfs_out_forget(rig.w, sa_out(n));
	assert_int_equal(iptfs_held(rig.w), 0);
	assert_int_equal(rig.w->pace_burst, 0);
	assert_true(path_rig_conserves(&rig));
	assert_int_equal(rte_mempool_avail_count(pool), MBUFS);
	path_rig_free(&rig);
}

static void
at(uint64_t ns)
{
	clock_set(&rig.clock, ns);
	rig.w->now = ns;
}

static void
feed(uint32_t sa, uint16_t len, uint8_t tos)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct rte_ether_hdr *eth;
	struct rte_ipv4_hdr *ip;

	assert_non_null(m);
	eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, sizeof(*eth) + len);
	memset(eth, 0, sizeof(*eth) + len);
	eth->dst_addr = rig.links[RIG_RED].mac;
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	ip = (struct rte_ipv4_hdr *)(eth + 1);
	*ip = (struct rte_ipv4_hdr) {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = tos,
		.total_length = rte_cpu_to_be_16(len),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = RTE_BE32(RTE_IPV4(10, 1, 0, 1)) + rte_cpu_to_be_32(sa << 8),
		.dst_addr = RTE_BE32(RTE_IPV4(10, 2, 0, 1)) + rte_cpu_to_be_32(sa << 8),
	};
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
	path_rig_feed(&rig, RIG_RED, &m, 1);
}

/* The numbers go on without a gap. */
static void
assert_numbered(void)
{
	for (unsigned int i = 0; i < n_sent; i++)
		assert_int_equal(sent[i].number, i + 1);
}

static const struct aggfrag_params gigabit = { .on = true,
					       .rate_bps = 1000000000,
					       .max_queue = 1 << 20 };
static const struct aggfrag_params as_they_come = { .on = true, .max_queue = 1 << 20 };

/* Nothing at all, or more than goes through: outside it looks the same. */
static void
load_does_not_show(void **state)
{
	static struct sent idle[SENT_MAX];
	unsigned int n_idle = 0;

	for (int loaded = 0; loaded < 2; loaded++) {
		begin(&gigabit);
		iptfs_out_begin(rig.w, sa_out(0));
		srand(1);
		for (uint64_t ns = 0; ns < 10 * MS; ns += 3 * US) {
			at(ns);
			if (loaded && rte_mempool_avail_count(pool) > 200)
				feed(0, (uint16_t)(40 + rand() % 1400), 0);
			pipe_poll(rig.w);
			assert_int_equal(rig.w->pace_burst, 8);
		}
		assert_numbered();
		for (unsigned int i = 0; i < n_sent; i++) {
			assert_int_equal(sent[i].size, OUTER);
			assert_int_equal(sent[i].at, i * INTERVAL);
		}
		if (loaded) {
			assert_int_equal(n_sent, n_idle);
			assert_memory_equal(sent, idle, n_sent * sizeof(sent[0]));
			assert_int_equal(rig.w->generated[GENERATED_ALL_PAD], 0);
			assert_true(stream(0)->counts[AGGFRAG_TX_QUEUE_DROPS] > 0);
		}
		memcpy(idle, sent, sizeof(idle));
		n_idle = n_sent;
		assert_true(n_sent > 800);
		end();
	}
}

static void
what_comes_alone_leaves_at_once(void **state)
{
	begin(&as_they_come);
	at(MS);
	feed(0, 100, 0);
	assert_int_equal(n_sent, 0);
	assert_int_equal(iptfs_held(rig.w), 1);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].size, 20 + 16 + 4 + 104 + 16 - 4 + 4);
	/* Several of one round share a payload. */
	feed(0, 700, 0);
	feed(0, 700, 0);
	feed(0, 700, 0);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 3);
	assert_int_equal(sent[1].size, OUTER);
	assert_numbered();
	end();
}

static void
the_first_waits_for_others(void **state)
{
	struct aggfrag_params params = as_they_come;

	params.init_delay = 2 * MS;
	begin(&params);
	at(MS);
	feed(0, 600, 0);
	at(2 * MS);
	feed(0, 600, 0);
	pipe_poll(rig.w);
	at(3 * MS - 1);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 0);
	at(3 * MS);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 1);
	/* What is full does not wait. */
	feed(0, 1000, 0);
	feed(0, 1000, 0);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 2);
	assert_int_equal(sent[1].size, OUTER);
	assert_true(stream(0)->begun);
	at(5 * MS);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 3);
	end();
}

static uint16_t
give_one(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	pkts[0] = rte_pktmbuf_alloc(pool);
	assert_non_null(pkts[0]);
	cell_add(&w->rx_packets, 1);
	return 1;
}

static uint16_t
end_one(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	consume(w, pkts[0], CONSUMED_DUMMY);
	return 0;
}

/* Rates beyond what the worker can make: there is always another burst due. */
static void
a_round_ends(void **state)
{
	struct clock real;

	begin(&as_they_come);
	clock_init(&real, CLOCK_REAL);
	rig.rows[STAGE_LIFE_COUNT_OUT].run = end_one;
	pipe_build(&rig.pipe, rig.rows, 0);
	rig.w->sources[0].poll = give_one;
	rig.w->burst = 1;
	rig.w->clock = &real;
	rig.w->now = clock_now(&real);
	assert_true(pipe_poll(rig.w) > 1);
	assert_true(clock_now(&real) > rig.w->now);
	rig.w->clock = &rig.clock;
	end();
}

/* Its train ends on the old SA, all else goes by the new one. */
static void
end_of_an_sa_loses_nothing(void **state)
{
	for (int paced = 0; paced < 2; paced++) {
		const struct aggfrag_params *params = paced ? &gigabit : &as_they_come;
		const struct spd_key key = { .src = { 10, 1, 0, 1 }, .dst = { 10, 2, 0, 1 } };
		struct aggfrag_params slow = *params;
		uint32_t policy;

		slow.init_delay = 100 * MS;
		begin(&slow);
		sa_add(&as_they_come);
		policy = spd_find(rig.spd, SPD_OUT, &key);
		at(MS);
		iptfs_out_begin(rig.w, sa_out(0));
		pipe_poll(rig.w);
		feed(0, 1400, 0);
		feed(0, 1400, 0);
		for (int i = 0; i < 5; i++)
			feed(0, 300, 0);
		at(MS + INTERVAL);
		pipe_poll(rig.w);
		assert_true(stream(0)->begun);
		spd_sa_set(rig.spd, policy, rig.sa[1].out, sa_out(1)->generation);
		n_sent = 0;
		iptfs_out_close(rig.w, sa_out(0));
		feed(0, 200, 0);
		for (int i = 0; i < 4; i++)
			pipe_poll(rig.w);
		assert_int_equal(iptfs_held(rig.w), 0);
		assert_true(n_sent >= 2);
		assert_int_equal(sent[0].spi, RIG_SPI);
		assert_int_equal(sent[0].size == OUTER, paced);
		for (unsigned int i = 1; i < n_sent; i++)
			assert_int_equal(sent[i].spi, RIG_SPI + 1);
		assert_int_equal(stream(0)->counts[AGGFRAG_TX_INNER_PKTS] +
					 stream(1)->counts[AGGFRAG_TX_INNER_PKTS],
				 8);
		/* One that lost its way comes back to it: it ends with the SA, and not before. */
		spd_sa_set(rig.spd, policy, rig.sa[0].out, sa_out(0)->generation);
		feed(0, 200, 0);
		for (int i = 0; i < 4; i++)
			pipe_poll(rig.w);
		assert_int_equal(iptfs_held(rig.w), 1);
		iptfs_out_forget(rig.w, sa_out(0));
		assert_int_equal(rig.w->drops[DROP_NO_OUTBOUND_SA], 1);
		end();
	}
}

/* No payload is made that has no number: it waits, and the train goes on with the next one. */
static void
numbers_that_are_not_there_yet(void **state)
{
	struct lane *lane;

	begin(&as_they_come);
	lane = &rig.sa[0].lane;
	lane->end = 2;
	lane->why = LANE_END_RESERVE;
	lane_recheck(lane);
	at(MS);
	for (int i = 0; i < 5; i++)
		feed(0, 1400, 0);
	pipe_poll(rig.w);
	at(2 * MS);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 2);
	assert_true(stream(0)->begun);
	lane->end = 1000;
	at(3 * MS);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 5);
	assert_numbered();
	assert_int_equal(rig_sum(rig.w->drops, DROP_MAX), 0);
	/* And never: what waits ends. */
	lane->end = 5;
	lane->why = LANE_END_LIMIT;
	lane_recheck(lane);
	feed(0, 1400, 0);
	feed(0, 1400, 0);
	pipe_poll(rig.w);
	assert_int_equal(rig.w->drops[DROP_EXPIRED], 2);
	assert_int_equal(iptfs_held(rig.w), 0);
	end();
}

static void
full_queue_marks_and_drops(void **state)
{
	struct aggfrag_params params = as_they_come;

	params.init_delay = MS;
	params.max_queue = 1400;
	begin(&params);
	feed(0, 1350, 1);
	assert_int_equal(stream(0)->counts[AGGFRAG_TX_CE_MARKS], 1);
	assert_int_equal(rte_pktmbuf_mtod(stream(0)->first, uint8_t *)[1], 3);
	assert_int_equal(rte_raw_cksum(rte_pktmbuf_mtod(stream(0)->first, void *), 20), 0xffff);
	feed(0, 40, 0);
	assert_int_equal(stream(0)->counts[AGGFRAG_TX_CE_MARKS], 1);
	feed(0, 40, 0);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_QUEUE], 1);
	end();
}

static void
dont_frag_tells_what_it_takes(void **state)
{
	struct aggfrag_params params = as_they_come;

	params.dont_frag = true;
	begin(&params);
	feed(0, 1442, 0);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].size, OUTER);
	/* DF is clear: it is cut before the tunnel. */
	feed(0, 1443, 0);
	assert_int_equal(iptfs_held(rig.w), 2);
	end();
	begin(&as_they_come);
	feed(0, 2000, 0);
	assert_int_equal(iptfs_held(rig.w), 1);
	end();
}

/* A rate comes and goes, and what waits goes on. */
static void
another_rate(void **state)
{
	struct aggfrag_params slow = gigabit;

	slow.rate_bps = 12000; /* one a second */
	begin(&slow);
	iptfs_out_begin(rig.w, sa_out(0));
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 1);
	for (int i = 0; i < 3; i++)
		feed(0, 1400, 0);
	at(MS);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 1);
	iptfs_out_retune(rig.w, stream(0), &gigabit, rig.sa[0].out, sa_out(0)->generation);
	pipe_poll(rig.w);
	assert_in_range(n_sent, 2, 10);
	assert_int_equal(rig.w->pace_burst, 8);
	iptfs_out_retune(rig.w, stream(0), &as_they_come, rig.sa[0].out, sa_out(0)->generation);
	feed(0, 1400, 0);
	pipe_poll(rig.w);
	assert_int_equal(iptfs_held(rig.w), 0);
	assert_int_equal(rig.w->pace_burst, 0);
	n_sent = 0;
	at(2 * MS);
	iptfs_out_retune(rig.w, stream(0), &gigabit, rig.sa[0].out, sa_out(0)->generation);
	pipe_poll(rig.w);
	assert_in_range(n_sent, 1, 9);
	end();
}

static uint16_t n_asked;

static uint16_t
ask(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	n_asked = max;
	return 0;
}

static void
others_come_in_small_bursts(void **state)
{
	begin(&gigabit);
	rig.w->sources[rig.w->n_sources++] = (struct source) { .poll = ask };
	pipe_poll(rig.w);
	assert_int_equal(n_asked, rig.w->burst);
	iptfs_out_begin(rig.w, sa_out(0));
	pipe_poll(rig.w);
	pipe_poll(rig.w);
	assert_int_equal(n_asked, 8);
	iptfs_out_close(rig.w, sa_out(0));
	pipe_poll(rig.w);
	assert_int_equal(n_asked, rig.w->burst);
	end();
}

/* At a stop, what waits for more to come is sent; a rate is not overdone. */
static void
stop_sends_what_waits(void **state)
{
	struct aggfrag_params params = as_they_come;

	params.init_delay = 1000 * MS;
	begin(&params);
	sa_add(&gigabit);
	at(MS);
	feed(0, 100, 0);
	for (int i = 0; i < 10; i++)
		feed(1, 1400, 0);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 0);
	iptfs_ending(rig.w);
	pipe_poll(rig.w);
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0].spi, RIG_SPI);
	assert_int_equal(rig.w->drops[DROP_STOPPED], 10);
	iptfs_drop(rig.w, DROP_STOPPED);
	assert_int_equal(iptfs_held(rig.w), 0);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(load_does_not_show),
		cmocka_unit_test(what_comes_alone_leaves_at_once),
		cmocka_unit_test(the_first_waits_for_others),
		cmocka_unit_test(a_round_ends),
		cmocka_unit_test(end_of_an_sa_loses_nothing),
		cmocka_unit_test(numbers_that_are_not_there_yet),
		cmocka_unit_test(full_queue_marks_and_drops),
		cmocka_unit_test(dont_frag_tells_what_it_takes),
		cmocka_unit_test(another_rate),
		cmocka_unit_test(others_come_in_small_bursts),
		cmocka_unit_test(stop_sends_what_waits),
	};
	struct err err;

	if (test_eal_init() < 0 ||
	    port_pool_create("packets", MBUFS, 2000, SOCKET_ID_ANY, &pool, &err) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
