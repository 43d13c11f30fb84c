/* The stages of the receiver of IP-TFS: what becomes of inner packets, what else an SA brings, and
 * how it ends.
 */
#include "unit.h"

#include <netinet/in.h>

#include <rte_ip.h>
#include <rte_tcp.h>

#include "aggfrag/split.h"
#include "drivers.h"
#include "eal.h"
#include "esp/echo.h"
#include "iptfs/iptfs_stage.h"
#include "path_rig.h"

#define MBUFS	  700
#define MS	  UINT64_C(1000000)
#define DROP_TIME (10 * MS)
#define SEGMENT	  1800

static struct rte_mempool *pool;
static struct path_rig rig;
static struct rte_mbuf *left[2 * MBUFS];
static uint32_t n_left;
static uint64_t number, clock_ns;
static uint16_t burst;
static uint8_t outer_tos;

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	memcpy(left + n_left, pkts, n * sizeof(pkts[0]));
	n_left += n;
	cell_add(&w->tx_packets, n);
	return 0;
}

static void
up_with(const struct aggfrag_params *params, uint16_t lanes, bool echo)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };

	path_rig_make(&rig, &(struct rig_params) { .engines = engines,
						   .n_engines = RTE_DIM(engines),
						   .pool = pool,
						   .sink = sink });
	path_rig_sa(&rig, &(struct rig_suite) { ALG_AES_GCM_128, .esn = true, .window = 64,
						.lanes = lanes, .echo = echo, .iptfs = params });
	pipe_add(&rig.pipe, rig.rows, STAGE_IPTFS_SPLIT);
	burst = 32;
	n_left = 0;
	number = 0;
	outer_tos = 0;
	clock_ns = 1000 * MS;
	rig.w->now = clock_ns;
	clock_set(&rig.clock, clock_ns);
}

static int
up(void **state)
{
	up_with(&(struct aggfrag_params) { .on = true,
					   .reorder_window = 3,
					   .drop_time = DROP_TIME },
		0, false);
	return 0;
}

static int
down(void **state)
{
	assert_int_equal(iptfs_held(rig.w), 0);
	assert_true(path_rig_conserves(&rig));
	rte_pktmbuf_free_bulk(left, n_left);
	path_rig_free(&rig);
	assert_int_equal(rte_mempool_avail_count(pool), MBUFS);
	return 0;
}

static struct sa *
sa(void)
{
	return sa_at(&rig.sas, rig.sa[0].in);
}

/* What an SA's packet is when esp_strip has it: text behind the outer headers, which stay. What is
 * long comes in two segments.
 */
static void
give(uint8_t next_header, const void *text, uint16_t n, uint16_t lane, uint64_t seq)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool), *more;
	struct rte_ipv4_hdr *ip;
	uint16_t head = 20 + sa()->esp_size, first = RTE_MIN(n, SEGMENT);

	assert_non_null(m);
	ip = (struct rte_ipv4_hdr *)rte_pktmbuf_append(m, head + first);
	memset(ip, 0, head);
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	memcpy((uint8_t *)ip + head, text, first);
	rte_pktmbuf_adj(m, head);
	if (n > first) {
		more = rte_pktmbuf_alloc(pool);
		assert_non_null(more);
		memcpy(rte_pktmbuf_append(more, n - first), (const uint8_t *)text + first,
		       n - first);
		assert_int_equal(rte_pktmbuf_chain(m, more), 0);
	}
	*pkt_of(m) = (struct pkt) {
		.seq = seq,
		.sa = rig.sa[0].in,
		.generation = sa()->generation,
		.policy = POLICY_NONE,
		.next_hop = NEXT_HOP_NONE,
		.esp_off = 20,
		.text_len = n,
		.port = RIG_BLACK,
		.flags = PKT_FROM_SA,
		.next_header = next_header,
		.lane = lane,
		.tos = outer_tos,
		.outer_tos = outer_tos,
		.hot = sa(),
	};
	cell_add(&rig.w->rx_packets, 1);
	pipe_run(rig.w, STAGE_IPTFS_SPLIT, &m, 1);
}

/* As the worker's loop asks. */
static void
deliver(void)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n;

	do {
		n = iptfs_deliver(rig.w, NULL, pkts, burst);
		assert_true(n <= burst);
		pipe_run(rig.w, STAGE_ECN_DECAP, pkts, n);
	} while (n == burst);
}

static void
later(uint64_t ns)
{
	clock_ns += ns;
	clock_set(&rig.clock, clock_ns);
	rig.w->now = clock_ns;
	deliver();
}

/* ---- Payloads. ---- */

static struct {
	uint8_t octets[4000];
	uint16_t n;
} made;

static void
begin(uint16_t offset)
{
	memset(made.octets, 0, sizeof(made.octets));
	made.octets[2] = (uint8_t)(offset >> 8);
	made.octets[3] = (uint8_t)offset;
	made.n = WIRE_AGGFRAG_HEADER;
}

/* An inner packet of the far net for the near one. */
static struct rte_ipv4_hdr *
inner(uint16_t len, uint8_t proto)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(made.octets + made.n);

	memset(ip, 0, len);
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->total_length = rte_cpu_to_be_16(len);
	ip->time_to_live = 64;
	ip->next_proto_id = proto;
	ip->src_addr = RTE_BE32(0x0a020009);
	ip->dst_addr = RTE_BE32(0x0a010009);
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
	made.n += len;
	return ip;
}

static void
arrive_at(uint16_t lane)
{
	give(WIRE_AGGFRAG_NEXT_HEADER, made.octets, made.n, lane,
	     (uint64_t)lane << LANE_ID_SHIFT | ++number);
}

static void
arrive(void)
{
	arrive_at(0);
	deliver();
}

static void
expect_drops(enum drop_reason why, uint64_t n)
{
	assert_int_equal(rig.w->drops[why], n);
	assert_int_equal(rig_sum(rig.w->drops, DROP_MAX), n);
	assert_int_equal(sparse_get(rig.w->sparse, rig.sa[0].in, sa()->generation, why), n);
}

static uint64_t
count(enum aggfrag_in_count what)
{
	return sa_more(sa())->split[0].counts[what];
}

/* ---- Cases. ---- */

static void
packets_go_their_way(void **state)
{
	begin(0);
	inner(100, IPPROTO_UDP);
	inner(900, IPPROTO_UDP);
	inner(20, 253);
	arrive();
	assert_int_equal(n_left, 3);
	assert_int_equal(left[0]->pkt_len, RTE_ETHER_HDR_LEN + 100);
	assert_int_equal(left[1]->pkt_len, RTE_ETHER_HDR_LEN + 900);
	assert_int_equal(left[2]->pkt_len, RTE_ETHER_HDR_LEN + 20);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pkt_of(left[i])->sa, rig.sa[0].in);
	assert_int_equal(rig.w->merged, 1);
	assert_int_equal(rig.w->split, 3);
	assert_int_equal(count(AGGFRAG_RX_INNER_PKTS), 3);
	assert_int_equal(count(AGGFRAG_RX_INNER_OCTETS), 1020);
	assert_int_equal(count(AGGFRAG_RX_PKTS), 1);
	assert_int_equal(count(AGGFRAG_RX_OCTETS), 1024);
	expect_drops(DROP_NONE, 0);
}

static void
one_bad_packet_goes_alone(void **state)
{
	begin(0);
	inner(100, IPPROTO_UDP);
	inner(100, IPPROTO_UDP)->hdr_checksum ^= 1;
	inner(100, IPPROTO_UDP);
	arrive();
	assert_int_equal(n_left, 2);
	expect_drops(DROP_INNER_CHECKSUM, 1);
	assert_int_equal(count(AGGFRAG_RX_INNER_PKTS), 2);
}

static void
selectors_hold_for_each(void **state)
{
	struct rte_ipv4_hdr *ip;

	begin(0);
	inner(100, IPPROTO_UDP);
	ip = inner(100, IPPROTO_UDP);
	ip->src_addr = RTE_BE32(0x0a020109);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
	inner(100, IPPROTO_UDP);
	arrive();
	assert_int_equal(n_left, 2);
	expect_drops(DROP_POLICY_SELECTOR, 1);
}

/* Seventy packets in a payload, in bursts of any size. */
static void
bursts_are_bounded(void **state)
{
	static const uint16_t bursts[] = { 1, 7, 8, 32, 64 };

	for (unsigned int i = 0; i < RTE_DIM(bursts); i++) {
		burst = bursts[i];
		for (int k = 0; k < 3; k++) {
			begin(0);
			for (int j = 0; j < 70; j++)
				inner(20, 253);
			arrive_at(0);
		}
		assert_int_equal(iptfs_held(rig.w), 3);
		deliver();
		assert_int_equal(n_left, 210);
		rte_pktmbuf_free_bulk(left, n_left);
		n_left = 0;
	}
	expect_drops(DROP_NONE, 0);
}

static void
what_has_no_room_waits(void **state)
{
	begin(0);
	inner(100, IPPROTO_UDP);
	rig.w->patience = MS;
	worker_hold_back(rig.w, PAUSED_SENDING);
	arrive();
	assert_int_equal(n_left, 0);
	assert_int_equal(iptfs_held(rig.w), 1);
	worker_go_on(rig.w, PAUSED_SENDING);
	deliver();
	assert_int_equal(n_left, 1);
}

static void
mss_is_of_inner_packets(void **state)
{
	static const uint8_t mss[] = { 2, 4, 5, 180 }; /* 1460 */
	struct rte_tcp_hdr *tcp;

	sa()->mtu = 1300;
	begin(0);
	tcp = (struct rte_tcp_hdr *)(inner(44, IPPROTO_TCP) + 1);
	tcp->data_off = 6 << 4;
	tcp->tcp_flags = RTE_TCP_SYN_FLAG;
	memcpy(tcp + 1, mss, sizeof(mss));
	inner(100, IPPROTO_UDP);
	arrive();
	assert_int_equal(n_left, 2);
	assert_int_equal(wire_be16(rte_pktmbuf_mtod_offset(left[0], const uint8_t *,
							   RTE_ETHER_HDR_LEN + 42)),
			 1260);
}

static void
outer_ce_stays_outside(void **state)
{
	struct rte_ipv4_hdr *ip;

	outer_tos = RTE_IPV4_HDR_ECN_CE;
	begin(0);
	inner(100, IPPROTO_UDP);
	ip = inner(100, IPPROTO_UDP);
	ip->type_of_service = 0xb8 | 2;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
	arrive();
	assert_int_equal(n_left, 2);
	for (int i = 0; i < 2; i++) {
		ip = rte_pktmbuf_mtod_offset(left[i], struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
		assert_int_equal(ip->type_of_service, i == 0 ? 0 : 0xba);
	}
	assert_int_equal(count(AGGFRAG_RX_CE_PKTS), 1);
}

static void
dummies_and_strangers(void **state)
{
	begin(0);
	inner(100, IPPROTO_UDP);
	give(IPPROTO_NONE, made.octets, 50, 0, ++number);
	give(IPPROTO_IPIP, made.octets + 4, 100, 0, ++number);
	give(IPPROTO_IPV6, made.octets, 0, 0, ++number);
	arrive();
	assert_int_equal(n_left, 1);
	assert_int_equal(rig.w->consumed[CONSUMED_DUMMY], 1);
	expect_drops(DROP_NEXT_HEADER, 2);
	assert_int_equal(count(AGGFRAG_RX_ERRORED_PKTS), 2);
	assert_int_equal(count(AGGFRAG_RX_MISSED_PKTS), 0);
}

static void
echoes_are_stepped_over(void **state)
{
	static const uint8_t echo[] = {
		ESP_ECHO_REQUEST, 0, 0, 4, 0xbe, 0xef, 0, 1, 'a', 'b', 'c', 'd'
	};
	struct esp_echo_seen seen;

	down(NULL);
	up_with(&(struct aggfrag_params) { .on = true,
					   .reorder_window = 3,
					   .drop_time = DROP_TIME },
		0, true);
	begin(0);
	inner(1000, IPPROTO_UDP);
	made.n -= 400;
	arrive();
	give(WIRE_AGGFRAG_NEXT_HEADER, echo, sizeof(echo), 0, ++number);
	begin(400);
	made.n += 400;
	arrive();
	assert_int_equal(n_left, 1);
	assert_int_equal(rig.w->consumed[CONSUMED_ESP_ECHO], 1);
	assert_true(esp_echo_next(rig.w->esp, &seen));
	assert_int_equal(seen.echo.id, 0xbeef);
	assert_int_equal(seen.m->pkt_len, sizeof(echo));
	rte_pktmbuf_free(seen.m);
	expect_drops(DROP_NONE, 0);
}

static void
lanes_have_streams_of_their_own(void **state)
{
	down(NULL);
	up_with(&(struct aggfrag_params) { .on = true,
					   .reorder_window = 3,
					   .drop_time = DROP_TIME },
		4, false);
	for (uint16_t lane = 0; lane < 4; lane++) {
		number = 0;
		begin(0);
		inner(1000, IPPROTO_UDP);
		made.n -= 400;
		arrive_at(lane);
	}
	for (uint16_t lane = 0; lane < 4; lane++) {
		number = 1;
		begin(400);
		made.n += 400;
		arrive_at(lane);
	}
	deliver();
	assert_int_equal(n_left, 4);
	expect_drops(DROP_NONE, 0);
}

/* ---- Time, and the end. ---- */

/* A payload with a packet; the one before it is lost. */
static void
behind_a_hole(void)
{
	number++;
	begin(0);
	inner(100, IPPROTO_UDP);
	arrive();
}

static void
holes_end(void **state)
{
	begin(0);
	inner(100, IPPROTO_UDP);
	arrive();
	behind_a_hole();
	assert_int_equal(n_left, 1);
	assert_int_equal(iptfs_held(rig.w), 1);
	later(DROP_TIME - 1);
	assert_int_equal(n_left, 1);
	later(1);
	assert_int_equal(n_left, 2);
	give(WIRE_AGGFRAG_NEXT_HEADER, made.octets, made.n, 0, 2);
	expect_drops(DROP_AGGFRAG_LATE, 1);
	assert_int_equal(count(AGGFRAG_RX_LATE_PKTS), 1);
}

static void
half_a_packet(void)
{
	begin(0);
	inner(1000, IPPROTO_UDP);
	made.n -= 400;
	arrive();
}

static void
an_sa_ends(void **state)
{
	begin(0);
	inner(100, IPPROTO_UDP);
	arrive();
	behind_a_hole();
	half_a_packet();
	assert_int_equal(n_left, 1);
	/* What came is delivered, what is not whole is not. */
	iptfs_in_close(rig.w, sa());
	deliver();
	assert_int_equal(n_left, 2);
	expect_drops(DROP_NONE, 0);
	/* From now on nobody waits. */
	behind_a_hole();
	assert_int_equal(n_left, 3);
	half_a_packet();
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_GAP], 1);
	arrive_at(0);
	sa_retire(&rig.sas, rig.sa[0].in);
	deliver();
	iptfs_in_forget(rig.w, sa());
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_ENDED], 2);
	assert_int_equal(rig.w->iptfs->in->segments, 0);
	assert_true(rig.w->iptfs->in->wheel.next == UINT64_MAX ||
		    rig.w->iptfs->in->wheel.levels == 0);
	sad_del(rig.sad, rig.sa[0].in);
}

/* What was taken out, and what is left of the payload, when there is no room further on: one burst
 * has gone, and the SA does before the next one.
 */
static void
ends_while_nothing_goes_on(bool streams_too)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n;

	begin(0);
	for (int i = 0; i < AGGFRAG_BLOCKS_MAX + 20; i++)
		inner(20, 253);
	arrive_at(0);
	n = iptfs_deliver(rig.w, NULL, pkts, burst);
	pipe_run(rig.w, STAGE_ECN_DECAP, pkts, n);
	assert_int_equal(n_left, burst);
	assert_non_null(rig.w->iptfs->in->open.m);
	sa_retire(&rig.sas, rig.sa[0].in);
	cell_add(&rig.w->loops, 1);
	if (streams_too) {
		iptfs_in_forget(rig.w, sa());
		assert_null(rig.w->iptfs->in->open.m);
		/* As they are when they are freed. */
		memset(sa_more(sa())->split, 0xa5, offsetof(struct aggfrag_in, slots));
	}
	deliver();
	assert_int_equal(n_left, burst);
	assert_int_equal(rig.w->drops[DROP_AGGFRAG_ENDED], AGGFRAG_BLOCKS_MAX - burst + 1);
	assert_int_equal(rig.w->iptfs->in->segments, 0);
	if (streams_too)
		memset(sa_more(sa())->split, 0, offsetof(struct aggfrag_in, slots));
	sad_del(rig.sad, rig.sa[0].in);
}

static void
an_sa_ends_before_its_packets(void **state)
{
	ends_while_nothing_goes_on(true);
}

/* As one that another takes the place of: the stream stays. */
static void
an_sa_passes_its_stream_on(void **state)
{
	ends_while_nothing_goes_on(false);
}

static void
the_worker_stops(void **state)
{
	begin(0);
	inner(100, IPPROTO_UDP);
	arrive();
	half_a_packet();
	behind_a_hole();
	number++;
	begin(0);
	inner(100, IPPROTO_UDP);
	arrive_at(0);
	arrive_at(0);
	assert_int_equal(iptfs_held(rig.w), 3);
	iptfs_drop(rig.w, DROP_STOPPED);
	expect_drops(DROP_STOPPED, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(packets_go_their_way, up, down),
		cmocka_unit_test_setup_teardown(one_bad_packet_goes_alone, up, down),
		cmocka_unit_test_setup_teardown(selectors_hold_for_each, up, down),
		cmocka_unit_test_setup_teardown(bursts_are_bounded, up, down),
		cmocka_unit_test_setup_teardown(what_has_no_room_waits, up, down),
		cmocka_unit_test_setup_teardown(mss_is_of_inner_packets, up, down),
		cmocka_unit_test_setup_teardown(outer_ce_stays_outside, up, down),
		cmocka_unit_test_setup_teardown(dummies_and_strangers, up, down),
		cmocka_unit_test_setup_teardown(echoes_are_stepped_over, up, down),
		cmocka_unit_test_setup_teardown(lanes_have_streams_of_their_own, up, down),
		cmocka_unit_test_setup_teardown(holes_end, up, down),
		cmocka_unit_test_setup_teardown(an_sa_ends, up, down),
		cmocka_unit_test_setup_teardown(an_sa_ends_before_its_packets, up, down),
		cmocka_unit_test_setup_teardown(an_sa_passes_its_stream_on, up, down),
		cmocka_unit_test_setup_teardown(the_worker_stops, up, down),
	};

	if (test_eal_init() < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", MBUFS, 0, sizeof(struct pkt),
				       RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		return 1;
	return cmocka_run_group_tests_name("iptfs_in", tests, NULL, NULL);
}
