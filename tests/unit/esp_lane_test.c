/* Subspaces in the datapath: which lane a packet goes by, and that no window is made before a first
 * packet of its id is authentic. */
#include "unit.h"

#include "drivers.h"
#include "eal.h"
#include "esp/lane.h"
#include "path_bed.h"
#include "wire/subspace.h"

#define MBUFS 512
#define LANES 200

/* clang-format off */
static const struct rig_suite suites[] = {
	{ ALG_AES_GCM_256, .esn = true, .window = 64, .lanes = LANES, .loop = true },
	{ ALG_AES_GCM_256, .esn = true, .window = 64, .lanes = LANES, .implicit_iv = true, .loop = true },
	{ ALG_CHACHA20_POLY1305, .esn = true, .window = 1024, .lanes = LANES, .loop = true, .v6 = true },
	{ ALG_AES_CCM_128, .esn = true, .window = 64, .lanes = LANES, .loop = true },
	{ ALG_AES_GMAC_256, .esn = true, .window = 0, .lanes = LANES, .loop = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .lanes = LANES, .loop = true, .udp = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .lanes = LANES, .loop = true, .pad_to = 333 },
};
/* clang-format on */

static int
up(void **state)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };

	bed_make(engines, RTE_DIM(engines), MBUFS);
	bed_sas(suites, RTE_DIM(suites));
	return 0;
}

static int
down(void **state)
{
	bed_check();
	path_rig_free(&rig);
	return 0;
}

/* A frame from the red side to net n; the flow is its source port. */
static struct rte_mbuf *
red_frame(uint32_t n, uint16_t flow, uint8_t tos)
{
	return red_datagram(&(struct red_datagram) {
		.from = n, .to = n, .tos = tos, .flow = flow, .octets = 48 });
}

/* Sends some packets of that flow; they stay in `sent`. Returns the lane they went by. */
static uint16_t
send_flow(uint32_t n, uint16_t flow, uint8_t tos, uint16_t count)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t lane;

	for (uint16_t i = 0; i < count; i++)
		pkts[i] = red_frame(n, flow, tos);
	path_rig_feed(&rig, RIG_RED, pkts, count);
	lane = pkt_of(sent[n_sent - 1])->lane;
	for (uint16_t i = 0; i < count; i++)
		assert_int_equal(pkt_of(sent[n_sent - 1 - i])->lane, lane);
	return lane;
}

/* What was sent comes back from the wire. */
static void
loop_back(void)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n = n_sent;

	memcpy(pkts, sent, n * sizeof(pkts[0]));
	n_sent = 0;
	for (uint16_t i = 0; i < n; i++)
		rte_pktmbuf_mtod(pkts[i], struct rte_ether_hdr *)->dst_addr =
			rig.links[RIG_BLACK].mac;
	path_rig_feed(&rig, RIG_BLACK, pkts, n);
}

static void
what_goes_out_by_any_lane_comes_in_again(void **state)
{
	for (uint32_t n = 0; n < RTE_DIM(suites); n++) {
		const struct replay_set *set = rig.sa[n].set;
		uint32_t used = 0;

		for (uint16_t flow = 1; flow <= 40; flow++) {
			uint16_t lane = send_flow(n, flow, 0, 3);

			assert_true(lane < LANES);
			assert_int_equal(n_sent, 3);
			loop_back();
			assert_int_equal(n_sent, 3);
			drop_sent();
			assert_int_equal(replay_top(set->windows[lane]),
					 lane_used(&rig.sa[n].lanes[lane]));
			assert_int_equal(lane_used(&rig.sa[n].lanes[lane]) >> LANE_ID_SHIFT, lane);
		}
		for (uint16_t lane = 0; lane < LANES; lane++) {
			const struct lane *l = &rig.sa[n].lanes[lane];

			assert_int_equal(set->windows[lane] != NULL, l->packets != 0);
			used += l->packets != 0;
			if (l->packets != 0)
				assert_int_equal(set->windows[lane]->packets, l->packets);
		}
		assert_in_range(used, 20, 40);
	}
}

/* One worker has them all, or one in four. */
static void
flows_and_classes_keep_their_lane(void **state)
{
	struct sa *sa = sa_at(&rig.sas, rig.sa[0].out);
	struct worker *w = rig.w;

	w->n_workers = 4;
	for (uint16_t index = 0; index < 4; index++) {
		uint16_t first;

		w->index = index;
		first = send_flow(0, 77, 0, 2);
		assert_int_equal((sa->owner + first) % 4, index);
		assert_int_equal(send_flow(0, 77, 0xb8, 2), first);
		sa->flags |= SA_LANE_BY_CLASS;
		first = send_flow(0, 77, 0, 2);
		assert_int_equal((sa->owner + first) % 4, index);
		assert_int_equal(send_flow(0, 78, 0, 2), first);
		assert_int_not_equal(send_flow(0, 77, 0xb8, 2), first);
		assert_int_equal(send_flow(0, 77, 0xa0, 2), first + 5 * 4);
		sa->flags &= ~SA_LANE_BY_CLASS;
		drop_sent();
	}
	w->index = 0;
	w->n_workers = 1;
}

static void
each_worker_has_a_lane_as_far_as_they_go(void **state)
{
	struct sa sa = { .flags = SA_SUBSPACES };
	struct worker w = { .n_workers = 7 };

	for (sa.owner = 0; sa.owner < 7; sa.owner++) {
		for (sa.lanes = 1; sa.lanes <= 7; sa.lanes++) {
			uint16_t users[7] = { 0 };

			for (w.index = 0; w.index < 7; w.index++) {
				uint16_t lane = lane_pick(&w, &sa, NULL);
				uint16_t rel = (uint16_t)((w.index + 7 - sa.owner) % 7);

				assert_true(lane < sa.lanes);
				users[lane]++;
				/* Its own, where it has one. */
				if (rel < sa.lanes)
					assert_int_equal(sa_lane_owner(&sa, lane, 7), w.index);
			}
			for (uint16_t lane = 0; lane < sa.lanes; lane++)
				assert_in_range(users[lane], 7 / sa.lanes,
						(7 + sa.lanes - 1) / sa.lanes);
		}
	}
}

/* ESP from the wire with that id, its tag wrong. */
static struct rte_mbuf *
forged(uint32_t n, uint16_t id)
{
	struct rte_mbuf *m = rte_pktmbuf_copy(sent[0], rig.pool, 0, UINT32_MAX);
	uint8_t *esp = rte_pktmbuf_mtod_offset(m, uint8_t *, 14 + 20);

	rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr = rig.links[RIG_BLACK].mac;
	esp[4] = (uint8_t)(id >> 8);
	esp[5] = (uint8_t)id;
	if (!suites[n].implicit_iv)
		memcpy(esp + 12, esp + 4, 8);
	return m;
}

static void
forged_ids_allocate_nothing(void **state)
{
	for (uint32_t n = 0; n < 2; n++) {
		uint16_t lane = send_flow(n, 9, 0, 1);
		uint64_t stock = stocks_bytes(rig.stocks), icv = rig.w->drops[DROP_ICV_FAIL];
		struct rte_malloc_socket_stats before, after;

		rte_malloc_get_socket_stats(0, &before);
		for (uint16_t id = 0; id < LANES; id++) {
			struct rte_mbuf *m = forged(n, id);

			if (id == lane)
				rte_pktmbuf_free(m);
			else
				path_rig_feed(&rig, RIG_BLACK, &m, 1);
		}
		rte_malloc_get_socket_stats(0, &after);
		assert_int_equal(rig.w->drops[DROP_ICV_FAIL] - icv, LANES - 1);
		assert_int_equal(stocks_bytes(rig.stocks), stock);
		assert_int_equal(after.heap_allocsz_bytes, before.heap_allocsz_bytes);
		for (uint16_t id = 0; id < LANES; id++)
			assert_null(rig.sa[n].set->windows[id]);
		/* The good one takes one. */
		loop_back();
		assert_int_equal(n_sent, 1);
		drop_sent();
		assert_non_null(rig.sa[n].set->windows[lane]);
		assert_true(stocks_bytes(rig.stocks) < stock);
	}
}

static void
an_empty_stock_is_told(void **state)
{
	uint16_t lane = send_flow(2, 9, 0, 1);
	struct rte_mbuf *again = rte_pktmbuf_copy(sent[0], rig.pool, 0, UINT32_MAX);
	struct replay *taken[256];
	unsigned int n = 0;

	while (n < RTE_DIM(taken) && (taken[n] = stock_take(rig.w->stock, 1024)) != NULL)
		n++;
	loop_back();
	assert_int_equal(n_sent, 0);
	assert_int_equal(rig.w->drops[DROP_SUB_NOMEM], 1);
	assert_null(rig.sa[2].set->windows[lane]);
	stocks_fill(rig.stocks);
	sent[n_sent++] = again;
	loop_back();
	assert_int_equal(n_sent, 1);
	drop_sent();
	while (n > 0)
		rte_free(taken[--n]);
}

/* A lane that is used up takes none of another's numbers. */
static void
a_lane_ends_by_itself(void **state)
{
	struct lane *lanes = rig.sa[0].lanes;
	uint16_t lane = send_flow(0, 5, 0, 1), other = lane;
	uint16_t flow = 6;

	drop_sent();
	while (other == lane) {
		other = send_flow(0, flow++, 0, 1);
		drop_sent();
	}
	lane_init(&lanes[lane], lane_last(lane) - 2, lane_last(lane));
	send_flow(0, 5, 0, 5 - 3);
	assert_int_equal(pkt_of(sent[1])->seq, lane_last(lane));
	drop_sent();
	for (int i = 0; i < 3; i++) {
		struct rte_mbuf *m = red_frame(0, 5, 0);

		path_rig_feed(&rig, RIG_RED, &m, 1);
	}
	assert_int_equal(n_sent, 0);
	assert_int_equal(rig.w->drops[DROP_SEQ_EXHAUSTED], 3);
	assert_int_equal(send_flow(0, flow - 1, 0, 4), other);
	assert_int_equal(n_sent, 4);
	drop_sent();
}

static void
the_largest_packet_fits(void **state)
{
	for (uint32_t n = 0; n < RTE_DIM(suites); n++) {
		const struct sa *sa = sa_at(&rig.sas, rig.sa[n].out);
		struct suite classic = sa->suite;
		bool v6 = suites[n].v6, udp = suites[n].udp;
		uint32_t head = (v6 ? 40 : 20) + (udp ? 8 : 0) + sa->esp_size + sa->suite.icv_len;

		assert_int_equal(sa->esp_size, 12 + sa->suite.iv_len);
		assert_true(sa->mtu + 2u + head <= RIG_PATH_MTU);
		assert_true(sa->mtu + 2u + head + sa->suite.align > RIG_PATH_MTU);
		assert_int_equal(sa_mtu(sa, 1500), tunnel_mtu(&classic, v6, udp, 1496));
		assert_int_equal(sa_mtu(sa, 3), 0);
	}
}

/* Control cannot be told: what may pass all the same passes, and each packet is another try. */
static void
who_cannot_ask_goes_on_to_the_ceiling(void **state)
{
	struct worker mute = { .index = 0 };
	struct replay *r = rte_zmalloc("window", replay_size(64), RTE_CACHE_LINE_SIZE);
	struct pkt p = { .seq = 0 };

	assert_non_null(r);
	replay_init(r, 64, true, 1000);
	r->mark = 0;
	r->ceiling = 1020;
	for (p.seq = 1001; p.seq <= 1020; p.seq++)
		if (replay_accept(r, p.seq) != DROP_NONE)
			assert_int_equal(window_wait(&mute, &p, r), DROP_NONE);
	assert_int_equal(replay_top(r), 1020);
	assert_int_equal(window_wait(&mute, &p, r), DROP_SEQ_WAIT);
	rte_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_goes_out_by_any_lane_comes_in_again, up, down),
		cmocka_unit_test_setup_teardown(flows_and_classes_keep_their_lane, up, down),
		cmocka_unit_test(each_worker_has_a_lane_as_far_as_they_go),
		cmocka_unit_test_setup_teardown(forged_ids_allocate_nothing, up, down),
		cmocka_unit_test_setup_teardown(an_empty_stock_is_told, up, down),
		cmocka_unit_test_setup_teardown(a_lane_ends_by_itself, up, down),
		cmocka_unit_test_setup_teardown(the_largest_packet_fits, up, down),
		cmocka_unit_test(who_cannot_ask_goes_on_to_the_ceiling),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
