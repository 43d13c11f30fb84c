/* SAs that a port's device does, in part or whole: what it takes, what software does instead, what
 * is believed of it; and that nothing leaves in clear.
 */
#include "unit.h"

#include "drivers.h"
#include "eal.h"
#include "offload_fake.h"
#include "path_bed.h"

#define MBUFS 511
#define INNER 62

/* clang-format off */
static const struct rig_suite suites[] = {
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .loop = true },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA256_128, .window = 64, .loop = true },
	{ ALG_AES_GCM_128, .window = 64, .loop = true, .v6 = true, .udp = true },
	{ ALG_AES_GCM_256, .window = 64, .loop = true }, /* software's */
};
/* clang-format on */
#define OURS 3

static int
up(void **state)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb, &engine_inline_fake };

	bed_make(engines, RTE_DIM(engines), MBUFS);
	fake_offload_make(&rig);
	bed_sas(suites, RTE_DIM(suites));
	for (uint32_t n = 0; n < OURS; n++) {
		struct sa *sas[] = { sa_at(&rig.sas, rig.sa[n].in),
				     sa_at(&rig.sas, rig.sa[n].out) };

		for (int i = 0; i < 2; i++) {
			sas[i]->flags |= SA_INLINE;
			sas[i]->engine = crypto_engines(1, 0);
		}
	}
	return 0;
}

static int
down(void **state)
{
	drop_sent();
	bed_check();
	fake_offload_free(&rig);
	path_rig_free(&rig);
	return 0;
}

static void
both_set(uint32_t n, enum offload_kind kind, bool number)
{
	fake_offload_set(&rig, rig.sa[n].out, kind, number);
	fake_offload_set(&rig, rig.sa[n].in, kind, number);
}

/* A frame of IPv4 as a host behind red sends it; flow is its source port, its text all 'c'. */
static struct rte_mbuf *
red_frame(uint8_t n, uint8_t flow, uint16_t octets)
{
	return red_datagram(&(struct red_datagram) {
		.from = n, .to = n, .text = 'c', .flow = flow, .octets = octets });
}

static void
send_to(uint8_t n, uint8_t count)
{
	struct rte_mbuf *pkts[BURST_MAX];

	for (uint8_t i = 0; i < count; i++)
		pkts[i] = red_frame(n, i, INNER);
	path_rig_feed(&rig, RIG_RED, pkts, count);
}

static bool
is_marked(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD) != 0;
}

static bool
is_clear(const struct rte_mbuf *m)
{
	static const uint8_t text[8] = { 'c', 'c', 'c', 'c', 'c', 'c', 'c', 'c' };

	return memmem(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, text, sizeof(text)) !=
	       NULL;
}

/* Of what was sent, how many a device is to encipher; the others are enciphered. */
static uint16_t
marked(void)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < n_sent; i++) {
		assert_int_equal(is_marked(sent[i]), is_clear(sent[i]));
		n += is_marked(sent[i]);
	}
	return n;
}

/* What was sent comes back; some of it as the device of a port says it, of an inbound SA: kind. */
static void
loop_some(enum offload_kind kind, uint32_t in, uint64_t some)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n = n_sent;

	fake_rx.kind = kind;
	fake_rx.index = in;
	fake_rx.generation = sa_at(&rig.sas, in)->generation;
	memcpy(pkts, sent, n * sizeof(pkts[0]));
	n_sent = 0;
	for (uint16_t i = 0; i < n; i++) {
		pkts[i]->ol_flags = kind != OFFLOAD_NONE && (some >> i & 1) != 0 ?
					    RTE_MBUF_F_RX_SEC_OFFLOAD :
					    0;
		rte_pktmbuf_mtod(pkts[i], struct rte_ether_hdr *)->dst_addr =
			rig.links[RIG_BLACK].mac;
	}
	path_rig_feed(&rig, RIG_BLACK, pkts, n);
}

static void
loop_back(enum offload_kind kind, uint32_t in)
{
	loop_some(kind, in, UINT64_MAX);
}

static uint64_t
dropped(enum drop_reason why)
{
	return rig.w->drops[why];
}

static uint64_t
all_dropped(void)
{
	return rig_sum(rig.w->drops, DROP_MAX);
}

static void
expect_flows(uint8_t first, uint8_t count)
{
	assert_int_equal(n_sent, count);
	for (uint8_t i = 0; i < count; i++)
		assert_int_equal(rte_pktmbuf_mtod(sent[i], const uint8_t *)[35], first + i);
}

static void
the_device_runs_the_cipher_both_ways(void **state)
{
	for (uint32_t n = 0; n < 2; n++) {
		both_set(n, OFFLOAD_CRYPTO, false);
		send_to((uint8_t)n, 32);
		assert_int_equal(marked(), 32);
		fake_rx.numbered = true;
		fake_rx.number = 1;
		loop_back(OFFLOAD_CRYPTO, rig.sa[n].in);
		expect_flows(0, 32);
		assert_int_equal(replay_top(rig.sa[n].window), 32);
		drop_sent();
	}
	assert_int_equal(all_dropped(), 0);
}

static void
without_a_session_software_does_it(void **state)
{
	for (uint8_t n = 0; n < RTE_DIM(suites); n++) {
		send_to(n, 32);
		assert_int_equal(marked(), 0);
		loop_back(OFFLOAD_NONE, rig.sa[n].in);
		expect_flows(0, 32);
		drop_sent();
	}
	assert_int_equal(all_dropped(), 0);
}

/* Each packet of an SA may go either way. */
static void
what_the_device_does_not_take_software_does(void **state)
{
	struct rte_mbuf *m;

	both_set(0, OFFLOAD_CRYPTO, false);
	fake_mark_max = 3;
	send_to(0, 32);
	assert_int_equal(n_sent, 32);
	assert_int_equal(marked(), 24);
	fake_mark_max = UINT16_MAX;
	drop_sent();
	/* In two segments. */
	m = red_frame(0, 1, 1000);
	m->next = rte_pktmbuf_alloc(rig.pool);
	rte_pktmbuf_append(m->next, 500);
	memset(rte_pktmbuf_mtod(m->next, uint8_t *), 'd', 500);
	m->data_len -= 500;
	m->nb_segs = 2;
	path_rig_feed(&rig, RIG_RED, &m, 1);
	assert_int_equal(n_sent, 1);
	assert_false(is_marked(sent[0]));
	assert_false(is_clear(sent[0]));
	drop_sent();
	/* By another port than the device's. */
	sa_at(&rig.sas, rig.sa[0].out)->next_hop =
		route_hold(rig.route, &(struct addr) { .family = 4, .octets = { 10, 1, 0, 9 } });
	send_to(0, 8);
	assert_int_equal(n_sent, 8);
	assert_int_equal(marked(), 0);
	drop_sent();
	/* UDP over IPv6, whose checksum covers what is enciphered. */
	both_set(2, OFFLOAD_CRYPTO, false);
	send_to(2, 8);
	assert_int_equal(n_sent, 8);
	assert_int_equal(marked(), 0);
	assert_int_equal(all_dropped(), 0);
}

/* What it refuses has its headers already. */
static void
what_the_device_refuses_software_enciphers(void **state)
{
	for (uint8_t n = 0; n < 2; n++) {
		both_set(n, OFFLOAD_CRYPTO, false);
		fake_mark_max = 0;
		send_to(n, 8);
		fake_mark_max = UINT16_MAX;
		assert_int_equal(n_sent, 8);
		assert_int_equal(marked(), 0);
		loop_back(OFFLOAD_NONE, rig.sa[n].in);
		expect_flows(0, 8);
		drop_sent();
	}
	assert_int_equal(all_dropped(), 0);
}

static void
mixed_bursts_keep_their_order(void **state)
{
	struct rte_mbuf *pkts[BURST_MAX];

	both_set(0, OFFLOAD_CRYPTO, false);
	for (uint8_t i = 0; i < 60; i++)
		pkts[i] = red_frame(i % 5 == 0 ? 3 : i % 3 == 0 ? 1 : 0, i, INNER);
	path_rig_feed(&rig, RIG_RED, pkts, 60);
	assert_int_equal(n_sent, 60);
	for (uint8_t i = 0; i < 60; i++)
		assert_int_equal(is_marked(sent[i]), i % 5 != 0 && i % 3 != 0);
	marked();
}

static void
without_software_they_end_by_name(void **state)
{
	sa_at(&rig.sas, rig.sa[0].out)->engine = crypto_engines(1, CRYPTO_NO_ENGINE);
	send_to(0, 5);
	assert_int_equal(n_sent, 0);
	assert_int_equal(dropped(DROP_OFFLOAD_LOST), 5);
}

/* A session that is late, or of the SA that had the SPI before. */
static void
what_was_deciphered_as_another_sa_is_not_believed(void **state)
{
	both_set(0, OFFLOAD_CRYPTO, false);
	send_to(0, 4);
	loop_back(OFFLOAD_CRYPTO, rig.sa[1].in);
	assert_int_equal(dropped(DROP_OFFLOAD_STALE), 4);
	send_to(0, 4);
	loop_back(OFFLOAD_PROTOCOL, rig.sa[0].in);
	assert_int_equal(dropped(DROP_OFFLOAD_STALE), 8);
	/* An SA that software has, whatever the flags say. */
	send_to(3, 4);
	loop_back(OFFLOAD_CRYPTO, rig.sa[0].in);
	assert_int_equal(dropped(DROP_OFFLOAD_STALE), 12);
	assert_int_equal(n_sent, 0);
	assert_int_equal(replay_top(rig.sa[0].window), 0);
}

static void
a_device_that_names_no_sa_is_believed_while_there_is_a_session(void **state)
{
	fake_port.nameless = true;
	both_set(0, OFFLOAD_CRYPTO, false);
	send_to(0, 4);
	fake_rx.numbered = false;
	loop_back(OFFLOAD_CRYPTO, rig.sa[0].in);
	expect_flows(0, 4);
	drop_sent();
	send_to(0, 4);
	both_set(0, OFFLOAD_NONE, false);
	loop_back(OFFLOAD_CRYPTO, rig.sa[0].in);
	assert_int_equal(dropped(DROP_OFFLOAD_STALE), 4);
}

static void
a_ring_brings_flags_of_no_meaning(void **state)
{
	struct offload_table *t = (struct offload_table *)(uintptr_t)rig.w->offloads;

	t->ports[RIG_BLACK] = NULL;
	send_to(0, 4);
	assert_int_equal(marked(), 0);
	loop_back(OFFLOAD_CRYPTO, rig.sa[0].in);
	expect_flows(0, 4);
}

/* The device may take another high half for the number than the window does. */
static void
a_number_of_the_next_cycle_is_not_believed(void **state)
{
	struct replay *window = rig.sa[0].window;

	both_set(0, OFFLOAD_CRYPTO, false);
	window->top = UINT32_MAX - 5;
	send_to(0, 3);
	/* 1, 2, 3 of the next 2^32 to us; the device says: of this one. */
	fake_rx.numbered = true;
	fake_rx.number = 1;
	loop_back(OFFLOAD_CRYPTO, rig.sa[0].in);
	assert_int_equal(dropped(DROP_ICV_FAIL), 3);
	window->top = UINT64_C(1) << 31;
	fake_rx.numbered = false;
	send_to(0, 3);
	loop_back(OFFLOAD_CRYPTO, rig.sa[0].in);
	assert_int_equal(dropped(DROP_ICV_FAIL), 6);
	assert_int_equal(n_sent, 0);
	assert_int_equal(window->top, UINT64_C(1) << 31);
}

/* What goes to the device is the packet as it is; then the device makes it what it is not here. */
static void
the_device_makes_all_of_esp_and_takes_it_off(void **state)
{
	for (int number = 0; number < 2; number++) {
		both_set(0, OFFLOAD_PROTOCOL, number != 0);
		send_to(0, 32);
		assert_int_equal(marked(), 32);
		for (uint16_t i = 0; i < n_sent; i++) {
			assert_int_equal(sent[i]->pkt_len, RTE_ETHER_HDR_LEN + INNER);
			assert_int_equal(pkt_of(sent[i])->seq, 32 * number + i + 1);
		}
		fake_rx.numbered = number != 0;
		fake_rx.number = 1;
		loop_back(OFFLOAD_PROTOCOL, rig.sa[0].in);
		expect_flows(0, 32);
		assert_int_equal(replay_top(rig.sa[0].window), number != 0 ? 32 : 0);
		drop_sent();
	}
	assert_int_equal(all_dropped(), 0);
	assert_int_equal(rig.sa[0].window->packets, 64);
}

static void
our_window_judges_numbers_that_a_device_says(void **state)
{
	both_set(0, OFFLOAD_PROTOCOL, true);
	fake_rx.numbered = true;
	for (int again = 0; again < 2; again++) {
		send_to(0, 8);
		fake_rx.number = 100;
		loop_back(OFFLOAD_PROTOCOL, rig.sa[0].in);
	}
	assert_int_equal(n_sent, 8);
	assert_int_equal(dropped(DROP_REPLAY_DUP), 8);
}

/* The checksum over IPv6 covers the text that came, which the device has deciphered in its place.
 */
static void
a_udp_checksum_of_what_was_deciphered_is_not_asked(void **state)
{
	send_to(2, 4);
	assert_int_equal(n_sent, 4);
	both_set(2, OFFLOAD_CRYPTO, false);
	for (uint16_t i = 0; i < n_sent; i++) {
		struct rte_ipv6_hdr *ip =
			rte_pktmbuf_mtod_offset(sent[i], struct rte_ipv6_hdr *, RTE_ETHER_HDR_LEN);

		assert_int_not_equal(((struct rte_udp_hdr *)(ip + 1))->dgram_cksum, 0);
		((struct rte_udp_hdr *)(ip + 1))->dgram_cksum ^= 0x5555;
	}
	fake_rx.numbered = false;
	/* The text is what it was, so its end is no trailer: but it went as far as that. */
	loop_back(OFFLOAD_CRYPTO, rig.sa[2].in);
	assert_int_equal(dropped(DROP_UDP_CHECKSUM), 0);
	assert_int_equal(replay_top(rig.sa[2].window), 4);
	send_to(2, 1);
	rte_pktmbuf_mtod_offset(sent[0], struct rte_udp_hdr *, RTE_ETHER_HDR_LEN + 40)
		->dgram_cksum ^= 0x5555;
	loop_back(OFFLOAD_NONE, rig.sa[2].in);
	assert_int_equal(dropped(DROP_UDP_CHECKSUM), 1);
}

static void
a_window_that_the_device_keeps_says_nothing_of_others(void **state)
{
	both_set(0, OFFLOAD_NONE, false);
	send_to(0, 4);
	fake_offload_set(&rig, rig.sa[0].in, OFFLOAD_PROTOCOL, false);
	loop_back(OFFLOAD_NONE, rig.sa[0].in);
	assert_int_equal(dropped(DROP_OFFLOAD_WINDOW), 4);
	/* What it tried and refused comes whole. */
	send_to(0, 1);
	fake_rx.kind = OFFLOAD_PROTOCOL;
	fake_rx.index = rig.sa[0].in;
	fake_rx.generation = sa_at(&rig.sas, rig.sa[0].in)->generation;
	sent[0]->ol_flags = RTE_MBUF_F_RX_SEC_OFFLOAD | RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED;
	rte_pktmbuf_mtod(sent[0], struct rte_ether_hdr *)->dst_addr = rig.links[RIG_BLACK].mac;
	n_sent = 0;
	path_rig_feed(&rig, RIG_BLACK, sent, 1);
	assert_int_equal(n_sent, 0);
	assert_int_equal(dropped(DROP_ICV_FAIL), 1);
	/* With numbers the window is ours, and software may do any packet. */
	fake_offload_set(&rig, rig.sa[0].in, OFFLOAD_PROTOCOL, true);
	send_to(0, 4);
	loop_back(OFFLOAD_NONE, rig.sa[0].in);
	expect_flows(0, 4);
}

/* Numbers of both ways are of one counter, so software may do what the device does not take; not
 * where the device counts. */
static void
what_does_not_fit_the_device_is_for_software_if_that_numbers(void **state)
{
	for (int number = 1; number >= 0; number--) {
		struct rte_mbuf *m = red_frame(0, 1, 1410);

		both_set(0, OFFLOAD_PROTOCOL, number != 0);
		path_rig_feed(&rig, RIG_RED, &m, 1);
		assert_int_equal(n_sent, number);
		marked();
		drop_sent();
		fake_mark_max = 0;
		send_to(0, 3);
		fake_mark_max = UINT16_MAX;
		assert_int_equal(n_sent, 3 * number);
		assert_int_equal(marked(), 0);
		drop_sent();
	}
	assert_int_equal(dropped(DROP_OFFLOAD_LOST), 4);
}

/* Of one SA in one burst. */
static void
what_fits_the_device_goes_there_around_what_does_not(void **state)
{
	struct rte_mbuf *pkts[8];

	both_set(0, OFFLOAD_PROTOCOL, true);
	for (uint8_t i = 0; i < 8; i++)
		pkts[i] = red_frame(0, i, i == 2 || i == 7 ? 1410 : INNER);
	path_rig_feed(&rig, RIG_RED, pkts, 8);
	assert_int_equal(n_sent, 8);
	for (uint8_t i = 0; i < 8; i++) {
		assert_int_equal(is_marked(sent[i]), i != 2 && i != 7);
		assert_int_equal(pkt_of(sent[i])->seq, i + 1);
	}
	assert_int_equal(marked(), 6);
}

/* In one burst with ESP of two SAs, of which the device says nothing. */
static void
what_the_device_took_out_leaves_a_mixed_burst(void **state)
{
	struct rte_mbuf *pkts[24];

	both_set(0, OFFLOAD_PROTOCOL, true);
	for (uint8_t i = 0; i < 24; i++)
		pkts[i] = red_frame((uint8_t[]) { 0, 1, 0, 3 }[i % 4], i, INNER);
	path_rig_feed(&rig, RIG_RED, pkts, 24);
	assert_int_equal(n_sent, 24);
	assert_int_equal(marked(), 12);
	fake_rx.numbered = true;
	fake_rx.number = 1;
	loop_some(OFFLOAD_PROTOCOL, rig.sa[0].in, UINT64_C(0x555555));
	assert_int_equal(n_sent, 24);
	assert_int_equal(all_dropped(), 0);
	/* They come behind: those of each way in order. */
	for (uint8_t i = 0; i < 12; i++) {
		assert_int_equal(rte_pktmbuf_mtod(sent[i], const uint8_t *)[35], 2 * i + 1);
		assert_int_equal(rte_pktmbuf_mtod(sent[12 + i], const uint8_t *)[35], 2 * i);
	}
	assert_int_equal(replay_top(rig.sa[0].window), 12);
}

/* Between the device's own flags and those of a packet that no device took out of ESP. */
static void
some_of_what_the_device_says_is_of_esp_in_udp(void **state)
{
	both_set(2, OFFLOAD_CRYPTO, false);
	send_to(2, 8);
	assert_int_equal(marked(), 0);
	fake_rx.numbered = false;
	/* Enciphered by software, so what is said of them is not so: but they went as far as their
	 * trailers, and the others through. */
	loop_some(OFFLOAD_CRYPTO, rig.sa[2].in, 0x0f);
	assert_int_equal(n_sent + all_dropped(), 8);
	assert_int_equal(replay_top(rig.sa[2].window), 8);
	for (uint8_t i = 0; i < 4; i++)
		assert_int_equal(rte_pktmbuf_mtod(sent[n_sent - 4 + i], const uint8_t *)[35],
				 4 + i);
}

static void
clear_packets_of_unknown_sas_end_here(void **state)
{
	both_set(0, OFFLOAD_PROTOCOL, true);
	send_to(0, 4);
	fake_rx.numbered = true;
	fake_rx.number = 1;
	/* An outbound SA, and one that software has. */
	loop_back(OFFLOAD_PROTOCOL, rig.sa[0].out);
	assert_int_equal(dropped(DROP_OFFLOAD_STALE), 4);
	send_to(0, 4);
	loop_back(OFFLOAD_PROTOCOL, rig.sa[3].in);
	assert_int_equal(dropped(DROP_OFFLOAD_STALE), 8);
	send_to(0, 4);
	sa_retire(&rig.sas, rig.sa[0].in);
	loop_back(OFFLOAD_PROTOCOL, rig.sa[0].in);
	assert_int_equal(dropped(DROP_OFFLOAD_STALE), 12);
	assert_int_equal(n_sent, 0);
}

/* By another SA than its policy's. */
static void
the_policy_judges_what_the_device_took_out(void **state)
{
	both_set(0, OFFLOAD_PROTOCOL, true);
	send_to(0, 4);
	fake_rx.numbered = true;
	fake_rx.number = 1;
	loop_back(OFFLOAD_PROTOCOL, rig.sa[1].in);
	assert_int_equal(n_sent, 0);
	assert_int_equal(dropped(DROP_POLICY_SELECTOR), 4);
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, up, down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(the_device_runs_the_cipher_both_ways),
		BOTH(without_a_session_software_does_it),
		BOTH(what_the_device_does_not_take_software_does),
		BOTH(what_the_device_refuses_software_enciphers),
		BOTH(mixed_bursts_keep_their_order),
		BOTH(without_software_they_end_by_name),
		BOTH(what_was_deciphered_as_another_sa_is_not_believed),
		BOTH(a_device_that_names_no_sa_is_believed_while_there_is_a_session),
		BOTH(a_ring_brings_flags_of_no_meaning),
		BOTH(a_number_of_the_next_cycle_is_not_believed),
		BOTH(the_device_makes_all_of_esp_and_takes_it_off),
		BOTH(our_window_judges_numbers_that_a_device_says),
		BOTH(a_udp_checksum_of_what_was_deciphered_is_not_asked),
		BOTH(a_window_that_the_device_keeps_says_nothing_of_others),
		BOTH(what_does_not_fit_the_device_is_for_software_if_that_numbers),
		BOTH(what_fits_the_device_goes_there_around_what_does_not),
		BOTH(what_the_device_took_out_leaves_a_mixed_burst),
		BOTH(some_of_what_the_device_says_is_of_esp_in_udp),
		BOTH(clear_packets_of_unknown_sas_end_here),
		BOTH(the_policy_judges_what_the_device_took_out),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("esp_inline", tests, NULL, NULL);
}
