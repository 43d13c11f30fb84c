#include "emulated_rig.h"

#include <errno.h>
#include <unistd.h>

#include <rte_errno.h>
#include <rte_malloc.h>

#include "drivers.h"
#include "eal.h"
#include "inline/emulated.h"
#include "port/port.h"

#define SEC (RTE_MBUF_F_RX_SEC_OFFLOAD | RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED)

static void
tables_are_of_a_size(void **state)
{
	struct rig *r = rig_new("sessions=2,rules=1", 16);
	struct rig_sa a = rig_in, b = rig_in, c = rig_in;
	struct rte_flow *rule = NULL;
	void *s[3];

	b.spi = 0x2002;
	c.spi = 0x2003;
	for (int round = 0; round < 20; round++) {
		s[0] = rig_opened(r, &a, &rule);
		s[1] = rig_session(r, &b);
		assert_non_null(s[1]);
		rte_errno = 0;
		assert_null(rig_session(r, &c));
		assert_int_equal(rte_errno, ENOSPC);
		assert_null(rig_rule(r, &b, s[1]));
		assert_int_equal(rte_errno, ENOSPC);
		rig_rule_end(r, rule);
		rig_session_end(r, s[0]);
		rule = rig_rule(r, &b, s[1]);
		assert_non_null(rule);
		s[2] = rig_session(r, &c);
		assert_non_null(s[2]);
		rig_rule_end(r, rule);
		rig_session_end(r, s[1]);
		rig_session_end(r, s[2]);
	}
	rig_free(r);
}

/* Many rules come and go; those that are there are found, the others are not. */
static void
rules_are_found_among_many(void **state)
{
	struct rig *r = rig_new("sessions=64", 16);
	struct rte_flow *rules[64] = { NULL };
	void *sessions[64];
	struct rig_frames f;

	for (int round = 0; round < 400; round++) {
		uint32_t i = (uint32_t)rand() % 64;
		struct rig_sa sa = rig_in;

		sa.spi = 0x5000 + i * 7;
		sa.userdata = RIG_USERDATA + i;
		if (rules[i] == NULL) {
			sessions[i] = rig_opened(r, &sa, &rules[i]);
		} else {
			rig_rule_end(r, rules[i]);
			rig_session_end(r, sessions[i]);
			rules[i] = NULL;
		}
		for (uint32_t k = i; k < i + 64; k += 16) {
			struct rte_mbuf *m;

			sa.spi = 0x5000 + k % 64 * 7;
			rig_frames_make(&sa, 1, &f);
			m = rig_receive(r, rig_mbuf(f.sealed, f.len, 0));
			assert_int_equal((m->ol_flags & SEC) == RTE_MBUF_F_RX_SEC_OFFLOAD,
					 rules[k % 64] != NULL);
			if (rules[k % 64] != NULL)
				assert_int_equal(*rte_security_dynfield(m), RIG_USERDATA + k % 64);
			rte_pktmbuf_free(m);
		}
	}
	rig_free(r);
}

static void
a_rule_is_refused_when_asked_for(void **state)
{
	struct rig *r = rig_new("refuse_rule=2", 16);
	struct rig_sa second = rig_in;
	struct rte_flow *rule = NULL;
	void *s;

	rig_opened(r, &rig_in, &rule);
	second.spi = 0x2002;
	s = rig_session(r, &second);
	assert_null(rig_rule(r, &second, s));
	assert_int_equal(rte_errno, EIO);
	assert_non_null(rig_rule(r, &second, s));
	rig_free(r);
}

static uint64_t
flags_of(struct rig *r, const struct rig_sa *sa, uint64_t number)
{
	struct rte_mbuf *m;
	struct rig_frames f;
	uint64_t flags;

	rig_frames_make(sa, number, &f);
	m = rig_receive(r, rig_mbuf(f.sealed, f.len, 0));
	assert_non_null(m);
	flags = m->ol_flags & SEC;
	if (flags == 0)
		rig_same("not deciphered", m, f.sealed, f.len);
	else
		rte_pktmbuf_free(m);
	return flags;
}

static void
a_removed_session_goes_on_when_asked_for(void **state)
{
	struct rig *r = rig_new("late=100,sessions=1", 16);
	struct rte_flow *rule = NULL;
	void *session;

	for (int round = 0; round < 2; round++) {
		session = rig_opened(r, &rig_in, &rule);
		assert_int_equal(flags_of(r, &rig_in, 1), RTE_MBUF_F_RX_SEC_OFFLOAD);
		rig_rule_end(r, rule);
		assert_int_equal(flags_of(r, &rig_in, 2), RTE_MBUF_F_RX_SEC_OFFLOAD);
		rig_session_end(r, session);
		assert_int_equal(flags_of(r, &rig_in, 3), RTE_MBUF_F_RX_SEC_OFFLOAD);
		usleep(120000);
		assert_int_equal(flags_of(r, &rig_in, 4), 0);
	}
	rig_free(r);
}

static void
a_removed_session_ends_at_once_else(void **state)
{
	struct rig *r = rig_new("", 16);
	struct rte_flow *rule = NULL;
	void *session = rig_opened(r, &rig_in, &rule);

	assert_int_equal(flags_of(r, &rig_in, 1), RTE_MBUF_F_RX_SEC_OFFLOAD);
	rig_rule_end(r, rule);
	assert_int_equal(flags_of(r, &rig_in, 2), 0);
	rig_session_end(r, session);
	assert_int_equal(flags_of(r, &rig_in, 3), 0);
	rig_free(r);
}

static void
some_fail_when_asked_for(void **state)
{
	struct rig *r = rig_new("icv_fail=3", 16);
	struct rte_flow *rule = NULL;
	void *session = rig_opened(r, &rig_in, &rule);

	for (uint64_t i = 1; i <= 9; i++)
		assert_int_equal(flags_of(r, &rig_in, i),
				 i % 3 == 0 ? SEC : RTE_MBUF_F_RX_SEC_OFFLOAD);
	assert_int_equal(rig_stats(r, session).ierrors, 3);
	assert_int_equal(rig_stats(r, session).ipackets, 6);
	rig_free(r);
}

static void
some_change_places_when_asked_for(void **state)
{
	static const uint64_t want[] = { 1, 2, 4, 3, 5, 6, 8, 7 };
	struct rig *r = rig_new("reorder=4", 16);
	struct rte_mbuf *pkts[8];
	struct rte_flow *rule = NULL;

	rig_opened(r, &rig_in, &rule);
	for (uint64_t i = 0; i < 8; i++) {
		struct rig_frames f;

		rig_frames_make(&rig_in, i + 1, &f);
		pkts[i] = rig_mbuf(f.sealed, f.len, 0);
	}
	assert_int_equal(rte_ring_enqueue_bulk(r->rx, (void **)pkts, 8, NULL), 8);
	assert_int_equal(rte_eth_rx_burst(r->id, 0, pkts, 8), 8);
	for (uint64_t i = 0; i < 8; i++) {
		uint64_t number;
		uint8_t tos;

		assert_true(inline_emulated.rx_number_get(pkts[i], &number, &tos));
		assert_int_equal(number, want[i]);
		rte_pktmbuf_free(pkts[i]);
	}
	rig_free(r);
}

static void
the_window_may_be_the_devices(void **state)
{
	static const struct {
		uint64_t number;
		bool ok;
	} cases[] = {
		{ 1000, false }, { 1001, true },  { 1001, false }, { 1003, true },  { 1002, true },
		{ 1002, false }, { 1100, true },  { 1036, false }, { 1037, true },  { 1037, false },
		{ 5000, true },	 { 1101, false }, { 4937, true },  { 4936, false }, { 5001, true },
	};
	struct rig *r = rig_new("window=device", 16);
	struct rig_sa sa = rig_in_protocol;
	struct rte_flow *rule = NULL;
	void *session;

	assert_int_equal(inline_emulated.can(r->id) & INLINE_RX_NUMBER, 0);
	sa.window = 64;
	sa.number = 1000;
	session = rig_opened(r, &sa, &rule);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint64_t flags = flags_of(r, &sa, cases[i].number);

		if ((flags == RTE_MBUF_F_RX_SEC_OFFLOAD) != cases[i].ok || flags == 0)
			fail_msg("%lu: case %zu", cases[i].number, i);
	}
	assert_int_equal(rig_stats(r, session).ipackets, 8);
	rig_free(r);
}

/* Against a list of all that was accepted. */
static void
the_window_is_that_of_a_naive_one(void **state)
{
	static uint8_t seen[1 << 16];
	struct nic_window *w = nic_window_new(128, 0, SOCKET_ID_ANY);
	uint64_t highest = 0, top = 0;

	for (int i = 0; i < 200000 && top < RTE_DIM(seen) - 300; i++) {
		uint64_t back = (uint64_t)rand() % 160, ahead = (uint64_t)rand() % 16;
		uint64_t n = rand() % 4 == 0 ? top + ahead : top > back ? top - back : 0;
		bool want = n != 0 && n + 128 > top && !seen[n];

		if (rand() % 500 == 0)
			n += 200, want = !seen[n];
		if (nic_window_check(w, highest, n) != want ||
		    nic_window_accept(w, &highest, n) != want)
			fail_msg("%lu with %lu on top", n, top);
		seen[n] |= want;
		top = want && n > top ? n : top;
		assert_int_equal(highest, top);
	}
	rte_free(w);
}

static void
the_numbers_may_be_the_devices(void **state)
{
	struct rig *r = rig_new("numbers=device", 16);
	struct rig_sa sa = rig_out_protocol;
	void *session;

	assert_int_equal(inline_emulated.can(r->id) & INLINE_TX_NUMBER, 0);
	sa.number = 41;
	session = rig_opened(r, &sa, NULL);
	for (uint64_t i = 41; i < 50; i++) {
		struct rig_frames f;
		struct rte_mbuf *m = rig_marked(r, &sa, session, i, &f);

		inline_emulated.tx_number_set(m, 1234);
		rig_same("its own number", rig_send(r, m), f.sealed, f.len);
	}
	rig_free(r);
}

/* The frames end where the payload does, and what the headers say is what will be. */
static void
the_trailer_may_be_the_devices(void **state)
{
	struct rig *r = rig_new("trailer=device", 16);
	struct rte_flow *rule = NULL;
	void *session = rig_opened(r, &rig_out, NULL);
	struct rte_mbuf *m;
	struct rig_frames f;

	rig_opened(r, &rig_in, &rule);
	m = rig_marked(r, &rig_out, session, 3, &f);
	rte_pktmbuf_trim(m, m->pkt_len - (RIG_L2 + 20 + 16 + 100));
	m->inner_esp_next_proto = IPPROTO_IPIP;
	m = rig_send(r, m);
	rig_same("the device's trailer", m, f.sealed, f.len);
	m = rig_receive(r, rig_mbuf(f.sealed, f.len, 0));
	assert_int_equal(m->ol_flags & SEC, RTE_MBUF_F_RX_SEC_OFFLOAD);
	assert_int_equal(m->inner_esp_next_proto, IPPROTO_IPIP);
	memcpy(f.sealed + RIG_L2 + 36, f.clear + RIG_L2 + 36, 100);
	rig_same("without its trailer", m, f.sealed, RIG_L2 + 20 + 16 + 100);
	rig_free(r);
}

static void
a_reset_takes_all(void **state)
{
	struct rig *r = rig_new("sessions=2", 16);
	struct rte_flow *rule = NULL;
	void *a = rig_opened(r, &rig_in, &rule), *b = rig_opened(r, &rig_out, NULL);
	struct rig_frames f;
	struct rte_mbuf *m = rig_marked(r, &rig_out, b, 1, &f);

	assert_int_equal(rte_eth_dev_stop(r->id), 0);
	inline_emulated.reset(r->id);
	assert_int_equal(rte_eth_dev_start(r->id), 0);
	assert_int_equal(flags_of(r, &rig_in, 1), 0);
	assert_null(rig_send(r, m));
	rig_session_end(r, a);
	rig_session_end(r, b);
	a = rig_opened(r, &rig_in, &rule);
	b = rig_opened(r, &rig_out, NULL);
	assert_int_equal(flags_of(r, &rig_in, 1), RTE_MBUF_F_RX_SEC_OFFLOAD);
	m = rig_marked(r, &rig_out, b, 1, &f);
	rig_same("after the reset", rig_send(r, m), f.sealed, f.len);
	rig_free(r);
}

/* The tunnel's packet with another trailer, or another payload. */
static struct rte_mbuf *
with_text(struct rig *r, const struct rig_sa *sa, uint64_t number, uint32_t from_end, uint8_t octet)
{
	struct rig_frames f;

	rig_frames_make(sa, number, &f);
	f.clear[f.len - 16 - from_end] = octet;
	rig_seal(sa, f.clear, f.len, number);
	return rig_receive(r, rig_mbuf(f.clear, f.len, 0));
}

static void
what_the_text_says_is_checked(void **state)
{
	struct rig *r = rig_new("", 16);
	struct rte_flow *rule = NULL;
	void *session = rig_opened(r, &rig_in_protocol, &rule);
	struct rte_mbuf *m;

	/* A dummy, and what is no IP, end in the device. */
	assert_null(with_text(r, &rig_in_protocol, 1, 1, IPPROTO_NONE));
	assert_null(with_text(r, &rig_in_protocol, 2, 1, 144));
	assert_int_equal(rig_stats(r, session).ipackets, 2);
	/* Padding longer than the text, one that is not 1, 2, and IPv6 that is IPv4. */
	for (int i = 0; i < 3; i++) {
		static const struct {
			uint32_t from_end;
			uint8_t octet;
		} bad[] = { { 2, 250 }, { 3, 7 }, { 1, IPPROTO_IPV6 } };

		m = with_text(r, &rig_in_protocol, 3 + (uint64_t)i, bad[i].from_end, bad[i].octet);
		assert_non_null(m);
		assert_int_equal(m->ol_flags & SEC, SEC);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rig_stats(r, session).ierrors, 3);
	rig_free(r);
}

/* A tag of four octets in front of the type, and what Ethernet adds to short frames. */
static uint32_t
tagged(uint8_t *to, const uint8_t *frame, uint32_t len, uint32_t padding)
{
	static const uint8_t tag[] = { 0x81, 0x00, 0x00, 0x05 };

	memcpy(to, frame, 12);
	memcpy(to + 12, tag, 4);
	memcpy(to + 16, frame + 12, len - 12);
	memset(to + len + 4, 0xee, padding);
	return len + 4 + padding;
}

static void
tags_and_padding_are_understood(void **state)
{
	for (int protocol = 0; protocol < 2; protocol++) {
		struct rig *r = rig_new("", 16);
		uint8_t a[RIG_FRAME_MAX], b[RIG_FRAME_MAX];
		uint32_t a_len, b_len;
		struct rte_flow *rule = NULL;
		struct rte_mbuf *m;
		struct rig_frames f;
		void *session = rig_opened(r, protocol ? &rig_out_protocol : &rig_out, NULL);

		rig_opened(r, protocol ? &rig_in_protocol : &rig_in, &rule);
		rig_frames_make(&rig_out, 4, &f);
		a_len = protocol ? tagged(a, f.inner, f.inner_len, 0) :
				   tagged(a, f.clear, f.len, 0);
		b_len = tagged(b, f.sealed, f.len, 0);
		m = rig_mbuf(a, a_len, 0);
		rig_mark(r, session, m, 4);
		rig_same("tagged, out", rig_send(r, m), b, b_len);
		b_len = tagged(b, f.sealed, f.len, 5);
		m = rig_receive(r, rig_mbuf(b, b_len, 0));
		assert_non_null(m);
		assert_int_equal(m->ol_flags & SEC, RTE_MBUF_F_RX_SEC_OFFLOAD);
		if (protocol)
			rig_same("tagged, in", m, a, a_len);
		else
			rte_pktmbuf_free(m);
		rig_free(r);
	}
}

static void
the_high_half_is_the_nearest(void **state)
{
	struct rig *r = rig_new("", 16);
	struct rig_sa sa = rig_in;
	struct rte_flow *rule = NULL;
	static const uint64_t numbers[] = { UINT64_C(0x1fffffff0), UINT64_C(0x1fffffff8),
					    UINT64_C(0x200000005), UINT64_C(0x1fffffffc),
					    UINT64_C(0x270000000), UINT64_C(0x2e0000000),
					    UINT64_C(0x300000001) };

	sa.esn = true;
	sa.number = UINT64_C(0x1ffffff00);
	rig_opened(r, &sa, &rule);
	for (size_t i = 0; i < RTE_DIM(numbers); i++)
		assert_int_equal(flags_of(r, &sa, numbers[i]), RTE_MBUF_F_RX_SEC_OFFLOAD);
	assert_int_equal(flags_of(r, &sa, UINT64_C(0x100000001)), SEC);
	rig_free(r);
}

static bool
lies_in(const void *at, size_t n, const void *what, size_t size)
{
	return memmem(at, n, what, size) != NULL;
}

static void
keys_do_not_stay(void **state)
{
	static const uint8_t key[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc };
	struct rig *r = rig_new("sessions=4", 16);
	const struct nic_port *p = nic_port_of(r->id);
	size_t size = p->n_slots * sizeof(p->slots[0]);
	struct rte_flow *rule = NULL;
	void *session;

	session = rig_opened(r, &rig_in, &rule);
	assert_int_equal(flags_of(r, &rig_in, 1), RTE_MBUF_F_RX_SEC_OFFLOAD);
	assert_true(lies_in(p->slots, size, key, sizeof(key)));
	rig_rule_end(r, rule);
	rig_session_end(r, session);
	assert_false(lies_in(p->slots, size, key, sizeof(key)));
	/* The queue's engine forgets what it made of them when it is next asked for packets. */
	assert_int_not_equal(p->rx[0].forgotten, p->n_forget);
	assert_int_equal(flags_of(r, &rig_in, 2), 0);
	assert_int_equal(p->rx[0].forgotten, p->n_forget);
	rig_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_of_a_size),
		cmocka_unit_test(rules_are_found_among_many),
		cmocka_unit_test(a_rule_is_refused_when_asked_for),
		cmocka_unit_test(a_removed_session_goes_on_when_asked_for),
		cmocka_unit_test(a_removed_session_ends_at_once_else),
		cmocka_unit_test(some_fail_when_asked_for),
		cmocka_unit_test(some_change_places_when_asked_for),
		cmocka_unit_test(the_window_may_be_the_devices),
		cmocka_unit_test(the_window_is_that_of_a_naive_one),
		cmocka_unit_test(the_numbers_may_be_the_devices),
		cmocka_unit_test(the_trailer_may_be_the_devices),
		cmocka_unit_test(a_reset_takes_all),
		cmocka_unit_test(what_the_text_says_is_checked),
		cmocka_unit_test(tags_and_padding_are_understood),
		cmocka_unit_test(the_high_half_is_the_nearest),
		cmocka_unit_test(keys_do_not_stay),
	};

	if (rig_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
