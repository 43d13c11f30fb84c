#include "emulated_rig.h"

#include "eal.h"
#include "port/port.h"

static void
a_full_port_gets_each_packet_once(void **state)
{
	for (int protocol = 0; protocol < 2; protocol++) {
		const struct rig_sa *sa = protocol ? &rig_out_protocol : &rig_out;
		struct rig *r = rig_new("", 4);
		void *session = rig_opened(r, sa, NULL);
		struct rte_mbuf *pkts[10], *m;
		struct rig_frames f[10];
		uint16_t sent = 0, got = 0;

		for (uint64_t i = 0; i < 10; i++)
			pkts[i] = rig_marked(r, sa, session, i + 1, &f[i]);
		while (sent < 10) {
			uint16_t now = rte_eth_tx_burst(r->id, 0, pkts + sent, 10 - sent);

			assert_in_range(now, 1, 4);
			sent += now;
			for (uint16_t i = sent; i < 10; i++)
				assert_int_equal(pkts[i]->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD, 0);
			while (rte_ring_dequeue(r->tx, (void **)&m) == 0) {
				rig_same("through a full port", m, f[got].sealed, f[got].len);
				got++;
			}
		}
		assert_int_equal(got, 10);
		assert_int_equal(rig_stats(r, session).opackets, 10);
		rig_session_end(r, session);
		rig_free(r);
	}
}

/* Marked with a session that went, with one of the other direction, with none that ever was, and
 * with the right one but of another packet: not one octet of them leaves. The others do, also when
 * the port is full, and the caller finds what was not sent where it looks for it.
 */
static void
nothing_leaves_without_its_session(void **state)
{
	for (int protocol = 0; protocol < 2; protocol++) {
		const struct rig_sa *sa = protocol ? &rig_out_protocol : &rig_out;
		struct rig_sa other = *sa;
		struct rig *r = rig_new("", 4);
		struct rte_flow *rule = NULL;
		void *session = rig_opened(r, sa, NULL), *wrong, *gone;

		other.spi = 0x2002;
		wrong = rig_opened(r, protocol ? &rig_in_protocol : &rig_in, &rule);
		gone = rig_opened(r, &other, NULL);
		for (int round = 0; round < 3; round++) {
			struct rte_mbuf *pkts[10], *m;
			struct rig_frames f[10];
			void *sessions[10] = { gone, session, wrong,   session, session,
					       gone, session, session, session };
			uint16_t n = 9, got = 0;

			for (uint64_t i = 0; i < n; i++)
				pkts[i] = rig_marked(r, sa, sessions[i], i + 1, &f[i]);
			*rte_security_dynfield(pkts[3]) = UINT64_C(0x100000000000fff);
			if (round == 0)
				rig_session_end(r, gone);
			/* 4 of the 5 find room; 4 end in the device. */
			assert_int_equal(rte_eth_tx_burst(r->id, 0, pkts, n), 8);
			m = pkts[8];
			while (rte_ring_dequeue(r->tx, (void **)&pkts[got]) == 0)
				got++;
			assert_int_equal(got, 4);
			rig_same("the first", pkts[0], f[1].sealed, f[1].len);
			rig_same("the second", pkts[1], f[4].sealed, f[4].len);
			rig_same("the third", pkts[2], f[6].sealed, f[6].len);
			rig_same("the fourth", pkts[3], f[7].sealed, f[7].len);
			rig_same("the one that found no room", m, f[8].sealed, f[8].len);
			assert_int_equal(rig_stats(r, NULL).oerrors, 4 * (round + 1));
		}
		rig_free(r);
	}
}

/* A device with no room around a packet, or that is given none, sends nothing of it. */
static void
what_cannot_be_wrapped_does_not_leave(void **state)
{
	struct rig *r = rig_new("numbers=software", 16);
	void *session = rig_opened(r, &rig_out_protocol, NULL);
	struct rte_mbuf *m;
	struct rig_frames f;
	uint64_t n = 0;

	m = rig_marked(r, &rig_out_protocol, session, 1, &f);
	rte_pktmbuf_append(m, rte_pktmbuf_tailroom(m));
	assert_null(rig_send(r, m));
	n++;
	m = rig_marked(r, &rig_out_protocol, session, 1, &f);
	memmove(m->buf_addr, rte_pktmbuf_mtod(m, void *), m->data_len);
	m->data_off = 0;
	assert_null(rig_send(r, m));
	n++;
	for (uint16_t len = 1; len < RIG_L2 + 20; len++, n++) {
		m = rig_marked(r, &rig_out_protocol, session, 1, &f);
		rte_pktmbuf_trim(m, m->data_len - len);
		assert_null(rig_send(r, m));
	}
	/* A number that the SA does not have, or none. */
	assert_null(rig_send(r, rig_marked(r, &rig_out_protocol, session, UINT64_C(1) << 32, &f)));
	m = rig_marked(r, &rig_out_protocol, session, 1, &f);
	inline_emulated.tx_number_set(m, 0);
	assert_null(rig_send(r, m));
	n += 2;
	assert_int_equal(rig_stats(r, NULL).oerrors, n);
	assert_int_equal(rig_stats(r, NULL).opackets, 0);
	rig_free(r);
}

static void
crypto_of_what_is_no_esp_does_not_leave(void **state)
{
	struct rig *r = rig_new("", 16);
	void *session = rig_opened(r, &rig_out, NULL);
	uint64_t n = 0;

	for (uint16_t len = 1; len < RIG_L2 + 20 + 16 + 2 + 16; len++, n++) {
		struct rig_frames f;
		struct rte_mbuf *m = rig_marked(r, &rig_out, session, 1, &f);

		rte_pktmbuf_trim(m, m->data_len - len);
		assert_null(rig_send(r, m));
	}
	/* Of another SPI, and a clear packet. */
	for (int i = 0; i < 2; i++, n++) {
		struct rig_frames f;
		struct rte_mbuf *m = rig_marked(r, &rig_out, session, 1, &f);

		rte_pktmbuf_mtod(m, uint8_t *)[RIG_L2 + (i == 0 ? 20 : 9)] = 17;
		assert_null(rig_send(r, m));
	}
	assert_int_equal(rig_stats(r, NULL).oerrors, n);
	rig_free(r);
}

static void
unmarked_packets_leave_as_they_are(void **state)
{
	struct rig *r = rig_new("", 16);
	void *session = rig_opened(r, &rig_out, NULL);
	struct rte_mbuf *pkts[3];
	struct rig_frames f;

	rig_frames_make(&rig_out, 9, &f);
	pkts[0] = rig_mbuf(f.clear, f.len, 0);
	pkts[1] = rig_mbuf(f.clear, f.len, 0);
	pkts[2] = rig_mbuf(f.clear, 9, 0);
	rig_mark(r, session, pkts[1], 9);
	assert_int_equal(rte_eth_tx_burst(r->id, 0, pkts, 3), 3);
	assert_int_equal(rte_ring_dequeue_bulk(r->tx, (void **)pkts, 3, NULL), 3);
	rig_same("unmarked", pkts[0], f.clear, f.len);
	rig_same("marked", pkts[1], f.sealed, f.len);
	rig_same("unmarked and short", pkts[2], f.clear, 9);
	rig_free(r);
}

/* Transport mode of IPv6: what stands in front of ESP, and what goes into it (RFC 4303 section
 * 3.1.1). The text is not enciphered, so that it can be read. */
static void
extension_headers_stay_on_their_side(void **state)
{
	static const struct {
		const char *what;
		uint8_t first, n, stay; /* octets of headers, and how many of them stay in front */
		uint8_t headers[32], carried;
	} cases[] = {
		/* clang-format off */
		{ "hop-by-hop options stay", 0, 8, 8, { 6, 0, 1, 4 }, 6 },
		{ "an atomic fragment's header stays", 44, 8, 8, { 6, 0, 0, 0, 1, 2, 3, 4 }, 6 },
		{ "destination options go in", 60, 8, 0, { 6, 0, 1, 4 }, 60 },
		{ "those before a routing header stay with it", 60, 16, 16,
		  { 43, 0, 1, 4, 0, 0, 0, 0, 6, 0, 4 }, 6 },
		{ "those behind it go in", 43, 16, 8, { 60, 0, 4, 0, 0, 0, 0, 0, 6, 0, 1, 4 }, 60 },
		/* clang-format on */
	};
	static const struct rig_sa sa = { .protocol = true,
					  .transport = true,
					  .v6 = true,
					  .cipher = "null",
					  .auth = "hmac-sha256-128" };
	struct rig *r = rig_new("", 16);
	void *session = rig_opened(r, &sa, NULL);

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		const uint8_t stay = cases[i].stay;
		uint8_t frame[RIG_FRAME_MAX], *got;
		uint32_t len = rig_inner(frame, true, 100, 0, true);
		struct rte_mbuf *m;

		frame[RIG_L2 + 6] = cases[i].first;
		memcpy(frame + RIG_L2 + 40, cases[i].headers, cases[i].n);
		m = rig_mbuf(frame, len, 0);
		rig_mark(r, session, m, i + 1);
		m = rig_send(r, m);
		if (m == NULL)
			fail_msg("%s: not sent", cases[i].what);
		got = rte_pktmbuf_mtod_offset(m, uint8_t *, RIG_L2);
		if (memcmp(got + 40 + stay + 8, frame + RIG_L2 + 40 + stay, 60 - stay) != 0 ||
		    got[stay == 0 ? 6 : 40 + stay - 8] != IPPROTO_ESP ||
		    got[m->pkt_len - RIG_L2 - 17] != cases[i].carried)
			fail_msg("%s: does not", cases[i].what);
		rte_pktmbuf_free(m);
	}
	rig_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_port_gets_each_packet_once),
		cmocka_unit_test(nothing_leaves_without_its_session),
		cmocka_unit_test(what_cannot_be_wrapped_does_not_leave),
		cmocka_unit_test(crypto_of_what_is_no_esp_does_not_leave),
		cmocka_unit_test(unmarked_packets_leave_as_they_are),
		cmocka_unit_test(extension_headers_stay_on_their_side),
	};

	if (rig_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
