#include "emulated_rig.h"

#include <rte_errno.h>
#include <rte_malloc.h>

#include "eal.h"
#include "port/port.h"

static const struct {
	const char *what;
	struct rig_sa sa;
	bool inner_v6;
	uint32_t segment; /* of a chain; 0: one piece */
} cases[] = {
	/* clang-format off */
	{ "a tunnel of AES-GCM", { .df = 1 }, false, 0 },
	{ "without DF, so with ids", { .df = 0 }, false, 0 },
	{ "of 256 bits, and a tag of 12", { .cipher = "aes-gcm-256", .icv = 12 }, false, 0 },
	{ "with a number of 64 bits", { .esn = true, .number = UINT64_C(5) << 32 }, false, 0 },
	{ "an IPv6 packet in IPv4", { .df = 1 }, true, 0 },
	{ "in IPv6", { .v6 = true, .label = 0x54321 }, false, 0 },
	{ "IPv6 in IPv6", { .v6 = true }, true, 0 },
	{ "in UDP", { .udp = true, .df = 1 }, false, 0 },
	{ "in UDP over IPv6", { .udp = true, .v6 = true }, true, 0 },
	{ "all copied", { .copy_dscp = true, .copy_df = true, .ecn = true }, false, 0 },
	{ "all copied, IPv6", { .copy_dscp = true, .copy_df = true, .ecn = true, .copy_label = true, .v6 = true },
	  true, 0 },
	{ "a class and a TTL of its own", { .dscp = 46, .ttl = 9 }, false, 0 },
	{ "in three pieces", { .df = 1 }, false, 100 },
	{ "in many", { .cipher = "chacha20-poly1305" }, false, 80 },
	{ "AES-CCM", { .cipher = "aes-ccm-128" }, false, 0 },
	{ "AES-GMAC", { .cipher = "aes-gmac-128" }, false, 0 },
	{ "AES-CBC with an HMAC", { .cipher = "aes-cbc-128", .auth = "hmac-sha256-128" }, false, 0 },
	{ "with 64 bits", { .cipher = "aes-cbc-256", .auth = "hmac-sha512-256", .esn = true,
			    .number = UINT64_C(9) << 32 }, false, 0 },
	{ "in pieces", { .cipher = "aes-cbc-128", .auth = "hmac-sha1-96" }, false, 90 },
	{ "AES-CTR", { .cipher = "aes-ctr-128", .auth = "aes-cmac-96" }, false, 0 },
	{ "no cipher", { .cipher = "null", .auth = "hmac-sha256-128" }, false, 0 },
	{ "transport mode", { .transport = true }, false, 0 },
	{ "transport mode of IPv6", { .transport = true, .v6 = true }, true, 0 },
	{ "transport mode in UDP", { .transport = true, .udp = true }, false, 0 },
	{ "transport mode of AES-CBC", { .transport = true, .cipher = "aes-cbc-128", .auth = "hmac-sha256-128" },
	  false, 0 },
	/* clang-format on */
};

static const uint32_t sizes[] = { 60, 61, 62, 63, 64, 65, 66, 67, 300, 1400 };

/* What the device is to be given, and what has to leave it. */
struct frames {
	uint8_t inner[RIG_FRAME_MAX], clear[RIG_FRAME_MAX], sealed[RIG_FRAME_MAX];
	uint32_t inner_len, len;
};

static void
frames_make(const struct rig_sa *sa, bool v6, uint32_t size, uint64_t number, uint16_t *id,
	    struct frames *f)
{
	f->inner_len = rig_inner(f->inner, v6, size, 0x2e << 2 | 1, size % 2 == 0);
	f->len = rig_encap(sa, f->inner, f->inner_len, number, id, f->clear);
	memcpy(f->sealed, f->clear, f->len);
	rig_seal(sa, f->sealed, f->len, number);
}

/* Inline protocol makes all of it; inline crypto finds all but the ciphertext. */
static void
sends_like_software(bool protocol)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct rig *r = rig_new("", 64);
		struct rig_sa sa = cases[i].sa;
		uint64_t number = sa.number;
		uint16_t id = 0;
		void *session;

		sa.protocol = protocol;
		sa.number++;
		session = rig_session(r, &sa);
		if (session == NULL)
			fail_msg("%s: no session: %s", cases[i].what, rte_strerror(rte_errno));
		for (size_t k = 0; k < RTE_DIM(sizes); k++) {
			struct frames f;
			struct rte_mbuf *m;

			number++;
			frames_make(&sa, cases[i].inner_v6, sizes[k], number, &id, &f);
			m = protocol ? rig_mbuf(f.inner, f.inner_len, cases[i].segment) :
				       rig_mbuf(f.clear, f.len, cases[i].segment);
			rig_mark(r, session, m, number);
			m = rig_send(r, m);
			assert_true(m == NULL || (m->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD) == 0);
			rig_same(cases[i].what, m, f.sealed, f.len);
		}
		assert_int_equal(rig_stats(r, session).opackets, RTE_DIM(sizes));
		assert_int_equal(rig_stats(r, NULL).oerrors, 0);
		rig_session_end(r, session);
		rig_free(r);
	}
}

static void
crypto_sends_what_software_would(void **state)
{
	sends_like_software(false);
}

static void
result_check(const char *what, const struct rte_mbuf *m, bool failed, uint64_t number)
{
	uint64_t want = RTE_MBUF_F_RX_SEC_OFFLOAD | (failed ? RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED : 0);
	uint64_t is = RTE_MBUF_F_RX_SEC_OFFLOAD | RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED, got;
	uint8_t tos;

	if (m == NULL || (m->ol_flags & is) != want)
		fail_msg("%s: the device says something else of it", what);
	if (*rte_security_dynfield((struct rte_mbuf *)(uintptr_t)m) != RIG_USERDATA)
		fail_msg("%s: not the session's name", what);
	assert_true(inline_emulated.rx_number_get(m, &got, &tos));
	if (got != number)
		fail_msg("%s: number %#lx, not %#lx", what, got, number);
}

/* Headers, IV and tag as they came, the text in clear. */
static void
same_text(const char *what, const struct rte_mbuf *m, const struct rig_sa *sa, struct frames *f)
{
	bool v6 = f->clear[RIG_L2] >> 4 == 6;
	struct suite s = rig_suite(sa);
	uint32_t head = RIG_L2 + (v6 ? 40u : 20u) + (sa->udp ? 8 : 0) + 8 + s.iv_len;
	uint8_t copy[RIG_FRAME_MAX];

	memcpy(f->sealed + head, f->clear + head, f->len - head - s.icv_len);
	if (memcmp(rte_pktmbuf_read(m, 0, f->len, copy), f->sealed, f->len) != 0)
		fail_msg("%s: not the clear text", what);
}

/* In inline crypto what lies behind the headers is clear and nothing moves; the tag is left. In
 * inline protocol there stands what was sent behind its link-layer header, as if there had been no
 * ESP.
 */
static void
receives(bool protocol)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct rig *r = rig_new("", 64);
		struct rig_sa sa = cases[i].sa;
		uint64_t number = sa.number;
		struct rte_flow *rule;
		uint16_t id = 0;
		void *session;

		sa.ingress = true;
		sa.protocol = protocol;
		session = rig_session(r, &sa);
		rule = rig_rule(r, &sa, session);
		assert_non_null(rule);
		for (size_t k = 0; k < RTE_DIM(sizes); k++) {
			struct frames f;
			struct rte_mbuf *m;

			number++;
			frames_make(&sa, cases[i].inner_v6, sizes[k], number, &id, &f);
			m = rig_receive(r, rig_mbuf(f.sealed, f.len, cases[i].segment));
			result_check(cases[i].what, m, false, number);
			if (protocol) {
				rig_same(cases[i].what, m, f.inner, f.inner_len);
				continue;
			}
			assert_int_equal(m->pkt_len, f.len);
			same_text(cases[i].what, m, &sa, &f);
			rte_pktmbuf_free(m);
		}
		assert_int_equal(rig_stats(r, session).ipackets, RTE_DIM(sizes));
		rig_rule_end(r, rule);
		rig_session_end(r, session);
		rig_free(r);
	}
}

static void
crypto_receives(void **state)
{
	receives(false);
}

static void
protocol_sends_what_software_would(void **state)
{
	sends_like_software(true);
}

static void
protocol_receives(void **state)
{
	receives(true);
}

/* A bit of each octet behind the link layer's header, one after the other. */
static void
what_was_changed_fails(void **state)
{
	struct rig_sa sa = { .ingress = true, .df = 1 };
	struct rig *r = rig_new("", 64);
	uint16_t id = 0;
	struct frames f;
	void *sessions[2];

	for (int protocol = 0; protocol < 2; protocol++) {
		sa.protocol = protocol;
		sa.spi = 0x1001 + (uint32_t)protocol;
		sessions[protocol] = rig_session(r, &sa);
		assert_non_null(rig_rule(r, &sa, sessions[protocol]));
		frames_make(&sa, false, 100, 77, &id, &f);
		/* The SPI's are another session's, or nobody's. */
		for (uint32_t at = RIG_L2 + 20 + 4; at < f.len; at++) {
			uint64_t number =
				at < RIG_L2 + 28 ? 77 ^ UINT64_C(1) << 8 * (RIG_L2 + 27 - at) : 77;
			struct rte_mbuf *m;

			f.sealed[at] ^= 1;
			m = rig_receive(r, rig_mbuf(f.sealed, f.len, 0));
			result_check("a changed octet", m, true, number);
			assert_int_equal(m->pkt_len, f.len);
			rte_pktmbuf_free(m);
			f.sealed[at] ^= 1;
		}
		assert_int_equal(rig_stats(r, sessions[protocol]).ipackets, 0);
		assert_int_equal(rig_stats(r, sessions[protocol]).ierrors, f.len - RIG_L2 - 24);
	}
	rig_free(r);
}

/* As it lies in a packet of nobody, or of nobody's yet, or what is no whole ESP packet. */
static void
what_is_not_for_it_is_left_alone(void **state)
{
	static const struct {
		const char *what;
		uint32_t at;
		uint8_t octet;
		uint32_t len; /* 0: all of it */
	} bad[] = {
		/* clang-format off */
		{ "another SPI", RIG_L2 + 23, 9, 0 },
		{ "another destination", RIG_L2 + 19, 9, 0 },
		{ "another protocol", RIG_L2 + 9, 51, 0 },
		{ "a frame of another kind", 12, 9, 0 },
		{ "a kind that the header is not of", 12, 0x86, 0 },
		{ "a fragment", RIG_L2 + 6, 0x20, 0 },
		{ "a wrong checksum", RIG_L2 + 10, 0xaa, 0 },
		{ "cut off in the text", 0, 2, RIG_L2 + 60 },
		{ "cut off in ESP's header", 0, 2, RIG_L2 + 25 },
		{ "cut off in the IP header", 0, 2, RIG_L2 + 9 },
		{ "no more than a link-layer header", 0, 2, RIG_L2 },
		{ "less than that", 0, 2, 9 },
		/* clang-format on */
	};
	struct rig_sa sa = { .ingress = true, .df = 1 };
	struct rig *r = rig_new("", 64);
	uint16_t id = 0;
	struct frames f;
	struct rte_mbuf *m;
	void *session = rig_session(r, &sa);

	assert_non_null(rig_rule(r, &sa, session));
	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		uint32_t len;

		frames_make(&sa, false, 100, 5, &id, &f);
		f.sealed[bad[i].at] = bad[i].octet;
		len = bad[i].len != 0 ? bad[i].len : f.len;
		m = rig_mbuf(f.sealed, len, 0);
		/* What another device said of it does not count here. */
		m->ol_flags |= RTE_MBUF_F_RX_SEC_OFFLOAD;
		m = rig_receive(r, m);
		assert_non_null(m);
		if ((m->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD) != 0)
			fail_msg("%s: is said to be deciphered", bad[i].what);
		rig_same(bad[i].what, m, f.sealed, len);
	}
	assert_int_equal(rig_stats(r, session).ipackets, 0);
	assert_int_equal(rig_stats(r, NULL).ierrors, 0);
	rig_free(r);
}

/* An IP packet that ends where no ESP packet of the session's can: counted. */
static void
lengths_that_do_not_fit_are_counted(void **state)
{
	struct rig_sa sa = { .ingress = true, .df = 1 };
	struct rig *r = rig_new("", 64);
	void *session = rig_session(r, &sa);
	struct rte_ipv4_hdr *ip;
	uint64_t wrong = 0;
	uint16_t id = 0;
	struct frames f;

	assert_non_null(rig_rule(r, &sa, session));
	for (uint16_t total = 28; total < 100; total++) {
		struct rte_mbuf *m;
		bool fits = total >= 20 + 16 + 4 + 16 && (total - 20 - 16 - 16) % 4 == 0;

		frames_make(&sa, false, 100, 5, &id, &f);
		ip = (struct rte_ipv4_hdr *)(f.sealed + RIG_L2);
		ip->total_length = rte_cpu_to_be_16(total);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		m = rig_receive(r, rig_mbuf(f.sealed, f.len, 0));
		assert_non_null(m);
		wrong++;
		if (fits)
			result_check("a length that fits", m, true, 5);
		else
			assert_int_equal(m->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD, 0);
		if (fits)
			rte_pktmbuf_free(m);
		else
			rig_same("a length that does not fit", m, f.sealed, f.len);
		assert_int_equal(rig_stats(r, NULL).ierrors, wrong);
	}
	rig_free(r);
}

/* It covers the ciphertext: nobody could judge it afterwards. */
static void
udp_checksums_are_judged_before(void **state)
{
	static const struct {
		const char *what;
		bool v6;
		int sum; /* -1: the right one; else what is written instead */
		bool taken;
	} sums[] = {
		/* clang-format off */
		{ "IPv4 without", false, 0, true },
		{ "IPv4 with a wrong one", false, 0x1234, false },
		{ "IPv6 with the right one", true, -1, true },
		{ "IPv6 with a wrong one", true, 0x1234, false },
		{ "IPv6 without", true, 0, false },
		/* clang-format on */
	};

	for (size_t i = 0; i < 2 * RTE_DIM(sums); i++) {
		struct rig_sa sa = { .ingress = true, .udp = true };
		struct rig *r = rig_new("", 64);
		uint32_t at = RIG_L2 + (sums[i / 2].v6 ? 46 : 26);
		struct rte_mbuf *m;
		struct frames f;
		uint16_t id = 0;
		uint64_t flags;

		sa.v6 = sums[i / 2].v6;
		sa.protocol = i % 2 != 0;
		assert_non_null(rig_rule(r, &sa, rig_session(r, &sa)));
		frames_make(&sa, false, 101, 5, &id, &f);
		if (sums[i / 2].sum >= 0) {
			f.sealed[at] = (uint8_t)(sums[i / 2].sum >> 8);
			f.sealed[at + 1] = (uint8_t)sums[i / 2].sum;
		}
		m = rig_receive(r, rig_mbuf(f.sealed, f.len, i < RTE_DIM(sums) ? 0 : 90));
		assert_non_null(m);
		flags = m->ol_flags;
		if (((flags & RTE_MBUF_F_RX_SEC_OFFLOAD) != 0) != sums[i / 2].taken)
			fail_msg("%s: taken, or not", sums[i / 2].what);
		if (sums[i / 2].taken) {
			assert_int_equal((flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD) != 0, !sa.protocol);
			rte_pktmbuf_free(m);
		} else {
			rig_same(sums[i / 2].what, m, f.sealed, f.len);
		}
		rig_free(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crypto_sends_what_software_would),
		cmocka_unit_test(crypto_receives),
		cmocka_unit_test(protocol_sends_what_software_would),
		cmocka_unit_test(protocol_receives),
		cmocka_unit_test(what_was_changed_fails),
		cmocka_unit_test(what_is_not_for_it_is_left_alone),
		cmocka_unit_test(lengths_that_do_not_fit_are_counted),
		cmocka_unit_test(udp_checksums_are_judged_before),
	};

	if (rig_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
