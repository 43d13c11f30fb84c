/* What workers do with a session: packets are marked for the device, and what it says of those that
 * come is read. */
#include "inline_rig.h"

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "drivers.h"
#include "worker/pkt.h"

#define HEAD 20 /* before the ESP header */
#define ICV  16

static struct rte_mempool *pool;

/* ESP as it comes to tx_mark: text of 64 octets, its last ones 5 of padding, the trailer; and room
 * for the ICV. */
static struct rte_mbuf *
packet(uint16_t head)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint16_t len = head + 8 + 8 + 64 + ICV;
	uint8_t *at;

	assert_non_null(m);
	at = (uint8_t *)rte_pktmbuf_append(m, len);
	memset(at, 0xee, len);
	at[len - ICV - 2] = 5;
	at[len - ICV - 1] = 4;
	*pkt_of(m) = (struct pkt) { .seq = UINT64_C(0x500000007), .esp_off = head, .l4_off = 24 };
	return m;
}

static struct offload_session *
open_out(struct offload_port *op, enum offload_kind kind, bool v6)
{
	struct offload_ask ask = kind == OFFLOAD_CRYPTO ?
					 rig_ask_of(ALG_AES_GCM_128, ALG_NONE, true) :
					 rig_ask_of(ALG_AES_CBC_128, ALG_HMAC_SHA1_96, true);

	if (v6)
		ask.src.family = ask.dst.family = 6;
	return rig_session_of(op, &ask, kind);
}

static void
a_packet_gets_its_metadata_lengths_and_flags(void **state)
{
	static const struct {
		const char *what;
		bool protocol, v6, metadata;
		uint16_t l3_len;
		uint64_t flags;
	} cases[] = {
		{ "crypto: all before the ESP header is layer 3", false, false, true, HEAD,
		  RTE_MBUF_F_TX_SEC_OFFLOAD | RTE_MBUF_F_TX_IPV4 },
		{ "crypto over IPv6", false, true, true, HEAD,
		  RTE_MBUF_F_TX_SEC_OFFLOAD | RTE_MBUF_F_TX_IPV6 },
		{ "protocol: the inner header", true, false, true, 24,
		  RTE_MBUF_F_TX_SEC_OFFLOAD | RTE_MBUF_F_TX_IPV4 },
		{ "no metadata is wanted", false, false, false, HEAD,
		  RTE_MBUF_F_TX_SEC_OFFLOAD | RTE_MBUF_F_TX_IPV4 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct offer o = cases[i].protocol ? rig_protocol : rig_crypto;
		struct offload_port *op;
		struct offload_session *s;
		struct rte_mbuf *m = packet(HEAD);
		uint32_t len = m->pkt_len;

		o.ol_flags = cases[i].metadata ? RTE_SECURITY_TX_OLOAD_NEED_MDATA : 0;
		op = rig_port_of(&record_hardware, &o);
		s = open_out(op, cases[i].protocol ? OFFLOAD_PROTOCOL : OFFLOAD_CRYPTO,
			     cases[i].v6);
		m->tx_offload = UINT64_MAX;
		assert_int_equal(offload_inline.tx_mark(s, &m, 1), 1);
		assert_int_equal(record.metadata, cases[i].metadata);
		if (cases[i].metadata) {
			assert_ptr_equal(record.metadata_session, record.session);
			assert_int_equal(record.metadata_number, UINT64_C(0x500000007));
			/* iavf counts from pkt_len, which has no link-layer header yet. */
			assert_int_equal(record.metadata_pkt_len, len);
			assert_int_equal(record.metadata_l2_len, 0);
			assert_int_equal(record.metadata_l3_len, cases[i].l3_len);
		}
		if (m->tx_offload != rte_mbuf_tx_offload(RTE_ETHER_HDR_LEN, cases[i].l3_len, 0, 0,
							 0, 0, 0) ||
		    m->ol_flags != cases[i].flags || m->pkt_len != len)
			fail_msg("%s: lengths %#lx, flags %#lx, %u octets", cases[i].what,
				 m->tx_offload, m->ol_flags, m->pkt_len);
		rte_pktmbuf_free(m);
		rig_session_done(op, s);
		offload_inline.port_close(op);
	}
}

/* A driver may let the metadata be copied from the session, and is not called then. */
static void
fast_metadata_is_the_sessions(void **state)
{
	struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);
	struct offload_session *s = open_out(op, OFFLOAD_CRYPTO, false);
	struct rte_mbuf *m = packet(HEAD);

	rte_security_session_fast_mdata_set(record.session, UINT64_C(0x77665544332211));
	record_ctx.flags = RTE_SEC_CTX_F_FAST_SET_MDATA;
	assert_int_equal(offload_inline.tx_mark(s, &m, 1), 1);
	record_ctx.flags = 0;
	assert_int_equal(record.metadata, 0);
	assert_int_equal(*rte_security_dynfield(m), UINT64_C(0x77665544332211));
	rte_pktmbuf_free(m);
	rig_session_done(op, s);
	offload_inline.port_close(op);
}

static void
a_device_that_writes_the_trailer_gets_none(void **state)
{
	struct offer o = rig_crypto;
	struct offload_port *op;
	struct offload_session *s;
	struct rte_mbuf *m = packet(HEAD);
	uint32_t len = m->pkt_len;

	o.ol_flags |= RTE_SECURITY_TX_HW_TRAILER_OFFLOAD;
	op = rig_port_of(&record_hardware, &o);
	s = open_out(op, OFFLOAD_CRYPTO, false);
	assert_int_equal(offload_inline.tx_mark(s, &m, 1), 1);
	assert_int_equal(m->pkt_len, len - ICV - 2 - 5);
	assert_int_equal(m->inner_esp_next_proto, 4);
	/* One whose padding is longer than the packet: a bug of ours, and no reason to send what is
	 * before it. */
	rte_pktmbuf_free(m);
	m = packet(HEAD);
	rte_pktmbuf_mtod(m, uint8_t *)[len - ICV - 2] = 255;
	assert_int_equal(offload_inline.tx_mark(s, &m, 1), 0);
	assert_int_equal(m->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD, 0);
	assert_int_equal(m->pkt_len, len);
	rte_pktmbuf_free(m);
	rig_session_done(op, s);
	offload_inline.port_close(op);
}

static void
what_cannot_be_marked_ends_the_run(void **state)
{
	struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);
	struct offload_session *s = open_out(op, OFFLOAD_CRYPTO, false);
	struct rte_mbuf *m[4];

	for (int i = 0; i < 4; i++)
		m[i] = packet(HEAD);
	assert_int_equal(offload_inline.tx_mark(s, m, 4), 4);
	/* A header longer than the mbuf has bits for. */
	m[0]->ol_flags = m[1]->ol_flags = m[2]->ol_flags = 0;
	pkt_of(m[2])->esp_off = 512;
	assert_int_equal(offload_inline.tx_mark(s, m, 4), 2);
	assert_int_equal(m[1]->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD, RTE_MBUF_F_TX_SEC_OFFLOAD);
	assert_int_equal(m[2]->ol_flags, 0);
	/* Two segments. */
	pkt_of(m[2])->esp_off = HEAD;
	assert_int_equal(rte_pktmbuf_chain(m[2], m[3]), 0);
	assert_int_equal(offload_inline.tx_mark(s, m, 3), 2);
	assert_int_equal(m[2]->ol_flags, 0);
	record.refuse_metadata = true;
	assert_int_equal(offload_inline.tx_mark(s, m, 2), 0);
	record.refuse_metadata = false;
	rig_session_done(op, s);
	offload_inline.port_close(op);
	/* A device that takes chains. */
	op = rig_port_of(&record_emulated, &rig_crypto);
	s = open_out(op, OFFLOAD_CRYPTO, false);
	assert_int_equal(offload_inline.tx_mark(s, m + 2, 1), 1);
	/* Nothing is marked for a session that the device has lost. */
	offload_inline.port_reset(op, false);
	m[0]->ol_flags = 0;
	assert_int_equal(offload_inline.tx_mark(s, m, 1), 0);
	assert_int_equal(m[0]->ol_flags, 0);
	rig_session_done(op, s);
	offload_inline.port_close(op);
	for (int i = 0; i < 3; i++)
		rte_pktmbuf_free(m[i]);
}

static void
software_writes_the_number_where_the_device_lets_it(void **state)
{
	static const struct {
		const struct inline_provider *provider;
		uint32_t can;
		bool protocol;
		uint16_t want;
	} cases[] = {
		{ &record_hardware, 0, true, 0 },
		{ &record_emulated, INLINE_TX_NUMBER, true, 7 },
		{ &record_emulated, INLINE_RX_NUMBER, true, 0 },
		{ &record_emulated, INLINE_TX_NUMBER, false, 0 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct rte_mbuf *m = packet(HEAD);
		struct offload_port *op;
		struct offload_session *s;
		struct offload_caps caps;

		record_can = cases[i].can;
		op = rig_port_of(cases[i].provider,
				 cases[i].protocol ? &rig_protocol : &rig_crypto);
		s = open_out(op, cases[i].protocol ? OFFLOAD_PROTOCOL : OFFLOAD_CRYPTO, false);
		m->timesync = 0;
		assert_int_equal(offload_inline.tx_mark(s, &m, 1), 1);
		assert_int_equal(m->timesync, cases[i].want);
		offload_inline.caps(op, &caps);
		assert_int_equal(caps.tx_number, (cases[i].can & INLINE_TX_NUMBER) != 0);
		assert_int_equal(caps.rx_number, (cases[i].can & INLINE_RX_NUMBER) != 0);
		rte_pktmbuf_free(m);
		rig_session_done(op, s);
		offload_inline.port_close(op);
	}
	record_can = UINT32_MAX;
}

static void
what_came_deciphered_is_read(void **state)
{
	const uint64_t crypto = inline_name(OFFLOAD_CRYPTO, 0x155555, 0x89abcdef);
	const uint64_t protocol = inline_name(OFFLOAD_PROTOCOL, 0x155555, 0x89abcdef);
	const struct {
		const char *what;
		const struct inline_provider *provider;
		const struct offer *offer;
		uint64_t field;
		bool failed;
		uint32_t can;
		enum offload_kind kind;
		bool named, numbered, has_tos;
	} cases[] = {
		/* clang-format off */
		{ "hardware that only deciphers does not say whose it is, whatever lies there",
		  &record_hardware, &rig_crypto, protocol, false, 0, OFFLOAD_CRYPTO, false, false, false },
		{ "and what failed is said", &record_hardware, &rig_crypto, 0, true, 0, OFFLOAD_CRYPTO,
		  false, false, false },
		{ "hardware with both kinds is believed only as to the cipher", &record_hardware,
		  &rig_everything, protocol, false, 0, OFFLOAD_CRYPTO, false, false, false },
		{ "inline protocol names its session", &record_hardware, &rig_protocol, protocol, false,
		  0, OFFLOAD_PROTOCOL, true, false, false },
		{ "an empty field is no name", &record_hardware, &rig_protocol, 0, false, 0,
		  OFFLOAD_PROTOCOL, false, false, false },
		{ "who names all does so with the kind", &record_emulated, &rig_everything, crypto, true,
		  UINT32_MAX, OFFLOAD_CRYPTO, true, true, false },
		{ "and with the number", &record_emulated, &rig_everything, protocol, false, UINT32_MAX,
		  OFFLOAD_PROTOCOL, true, true, true },
		{ "unless this port's device keeps it", &record_emulated, &rig_everything, protocol,
		  false, INLINE_TX_NUMBER, OFFLOAD_PROTOCOL, true, false, true },
		/* clang-format on */
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct rte_mbuf *m = packet(HEAD);
		struct offload_port *op;
		struct offload_rx rx;

		record_can = cases[i].can;
		op = rig_port_of(cases[i].provider, cases[i].offer);
		m->timesync = 1;
		m->ol_flags = RTE_MBUF_F_RX_SEC_OFFLOAD |
			      (cases[i].failed ? RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED : 0);
		*rte_security_dynfield(m) = cases[i].field;
		memset(&rx, 0xff, sizeof(rx));
		offload_inline.rx_results(op, &m, 1, &rx);
		if (rx.kind != cases[i].kind || rx.ok == cases[i].failed ||
		    rx.named != cases[i].named || rx.numbered != cases[i].numbered ||
		    rx.has_tos != cases[i].has_tos)
			fail_msg("%s: kind %d, ok %d, named %d, numbered %d, TOS %d", cases[i].what,
				 rx.kind, rx.ok, rx.named, rx.numbered, rx.has_tos);
		if (rx.named) {
			assert_int_equal(rx.index, 0x155555);
			assert_int_equal(rx.generation, 0x89abcdef);
		}
		if (rx.numbered)
			assert_int_equal(rx.number, UINT64_C(0x123456789a));
		if (rx.has_tos)
			assert_int_equal(rx.outer_tos, 0x2e);
		rte_pktmbuf_free(m);
		offload_inline.port_close(op);
	}
	record_can = UINT32_MAX;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_gets_its_metadata_lengths_and_flags),
		cmocka_unit_test(fast_metadata_is_the_sessions),
		cmocka_unit_test(a_device_that_writes_the_trailer_gets_none),
		cmocka_unit_test(what_cannot_be_marked_ends_the_run),
		cmocka_unit_test(software_writes_the_number_where_the_device_lets_it),
		cmocka_unit_test(what_came_deciphered_is_read),
	};

	if (rig_begin() < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", 63, 0, sizeof(struct pkt), 2048, SOCKET_ID_ANY);
	return pool == NULL ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
