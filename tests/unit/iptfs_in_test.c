/* The stages of the receiver of IP-TFS: what becomes of inner packets, what else an SA brings, and
 * how it ends.
 */
#include "iptfs_in_rig.h"

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

	if (test_eal_init() < 0 || !pool_make())
		return 1;
	return cmocka_run_group_tests_name("iptfs_in", tests, NULL, NULL);
}
