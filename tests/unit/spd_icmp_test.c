/* Packets whose own header does not say enough: fragments, and ICMP errors about another packet. */
#include "spd_rig.h"

#include "eal.h"

static const struct policy_text fragment_book[] = {
	{ 10, "10.1.0.0/16", "10.2.0.0/24", .protocol = TCP, .dst_port = { 80, 80 }, .name = 1 },
	{ 20, "10.1.0.0/16", "10.2.0.0/16", .name = 2 },
	{ 30, "10.3.0.0/16", "10.2.0.0/16", .name = 3 },
	{ 40, "10.3.0.0/16", "10.2.0.0/16", .protocol = UDP, .src_port = { 5, 5 }, .name = 4 },
	{ 50, "10.4.0.0/16", "10.2.0.0/16", .protocol = UDP, .src_port = { 5, 5 }, .name = 5 },
	{ 60, "10.5.0.0/16", "10.2.0.0/16", .protocol = UDP, .dscp = 2, .src_port = { 5, 5 },
	  .name = 6 },
	{ 70, "10.5.0.0/16", "10.2.0.0/16", .protocol = UDP, .name = 7 },
	{ 80, "10.6.0.0/16", "10.2.0.0/16", .dst_port = { 5, 5 }, .name = 8 },
	{ 90, "10.6.0.0/16", "10.2.0.0/16", .name = 9 },
	{ 95, "2001:db8::/32", "2001:db8::/32", .protocol = TCP, .name = 10 },
	{ 96, "2001:db8::/32", "2001:db8::/32", .name = 11 },
};

static const struct {
	const char *what;
	const char *src, *dst;
	uint8_t protocol;
	uint32_t want;
} fragments[] = {
	{ "a policy with ports stands in front", "10.1.0.1", "10.2.0.1", TCP, PORTS },
	{ "the policy with ports is for another protocol", "10.1.0.1", "10.2.0.1", UDP, 2 },
	{ "the policy with ports is for other addresses", "10.1.0.1", "10.2.1.1", TCP, 2 },
	{ "the policy with ports stands behind", "10.3.0.1", "10.2.0.1", UDP, 3 },
	{ "there is only a policy with ports", "10.4.0.1", "10.2.0.1", UDP, PORTS },
	{ "there is only one of another protocol", "10.4.0.1", "10.2.0.1", TCP, NO_MATCH },
	{ "the policy with ports is for another class", "10.5.0.1", "10.2.0.1", UDP, 7 },
	{ "ports of any protocol that has them", "10.6.0.1", "10.2.0.1", TCP, PORTS },
	{ "ports of any protocol, and this one has none", "10.6.0.1", "10.2.0.1", 47, 9 },
	{ "IPv6, the protocol is there", "2001:db8::1", "2001:db8::2", TCP, 10 },
	{ "IPv6, another protocol", "2001:db8::1", "2001:db8::2", UDP, 11 },
	{ "IPv6, the protocol is in the first fragment only", "2001:db8::1", "2001:db8::2", 60,
	  PORTS },
};

static void
fragments_without_ports_never_match_by_accident(void **state)
{
	struct spd *spd = spd_make(64, 0);

	for (size_t i = 0; i < RTE_DIM(fragment_book); i++)
		policy_add(spd, &fragment_book[i]);
	spd_commit(spd);
	for (size_t i = 0; i < RTE_DIM(fragments); i++) {
		/* The payload looks like the ports that policies ask for. */
		struct spd_key key =
			key_of(fragments[i].src, fragments[i].dst, fragments[i].protocol, 5, 80);
		uint32_t got;

		key.later = true;
		got = ask_key(spd, SPD_OUT, &key);
		if (got != fragments[i].want)
			fail_msg("%s: %u, not %u", fragments[i].what, got, fragments[i].want);
	}
	spd_free(spd);
}

static void
a_cut_off_header_has_no_ports(void **state)
{
	struct policy_text web = { 1, .protocol = TCP, .dst_port = { 1, 65535 }, .name = 1 };
	struct spd_key key = key_of("10.0.0.1", "10.0.0.2", TCP, 5, 80);
	struct spd *spd = spd_make(4, 0);
	struct rte_mbuf *m = packet_make(pool, &key);

	policy_add(spd, &web);
	spd_commit(spd);
	assert_int_equal(ask(spd, SPD_OUT, m), 1);
	m->data_len = m->pkt_len = 23;
	assert_int_equal(ask(spd, SPD_OUT, m), NO_MATCH);
	m->data_len = m->pkt_len = 24;
	assert_int_equal(ask(spd, SPD_OUT, m), 1);
	rte_pktmbuf_free(m);
	spd_free(spd);
}

static const struct policy_text icmp_book[] = {
	{ 10, "10.1.0.0/16", "10.2.0.0/16", .protocol = TCP, .icmp = true, .name = 1 },
	{ 20, "10.1.0.0/16", "10.2.0.0/16", .protocol = UDP, .icmp = false, .name = 2 },
	{ 30, "10.9.0.0/16", "10.2.0.0/16", .protocol = ICMP, .name = 3 },
	{ 40, "2001:db8:1::/48", "2001:db8:2::/48", .protocol = UDP, .dst_port = { 53, 53 },
	  .icmp = true, .name = 4 },
	{ 50, "10.1.0.0/16", "10.2.0.0/16", .protocol = ICMP, .src_port = { 0, 0 },
	  .dst_port = { 0, 65535 }, .icmp = true, .name = 5 },
	{ 60, "10.7.0.0/16", "10.2.0.0/16", .protocol = ICMP, .src_port = { 0, 255 },
	  .dst_port = { 0, 254 }, .icmp = true, .name = 6 },
	{ 90, "10.0.0.0/8", "10.8.0.0/16", .icmp = true, .name = 7 },
	{ 99, "any", "any", .action = POLICY_DISCARD, .icmp = true, .name = 99 },
};

/* A packet from quoted_src to quoted_dst met with an error; the error comes back from src to dst.
 */
static const struct {
	const char *what;
	const char *src, *dst, *quoted_src, *quoted_dst;
	uint8_t type, protocol;
	uint16_t src_port, dst_port;
	uint32_t want;
} errors[] = {
	{ "an error about what a policy covers goes with it", "10.77.0.1", "10.2.0.1", "10.2.0.1",
	  "10.1.0.1", 3, TCP, 9, 80, 1 },
	{ "time exceeded too", "10.77.0.1", "10.2.0.1", "10.2.0.1", "10.1.0.1", 11, TCP, 9, 80, 1 },
	{ "parameter problem too", "10.77.0.1", "10.2.0.1", "10.2.0.1", "10.1.0.1", 12, TCP, 9, 80,
	  1 },
	{ "source quench is no error", "10.77.0.1", "10.2.0.1", "10.2.0.1", "10.1.0.1", 4, TCP, 9,
	  80, 99 },
	{ "redirect is no error", "10.77.0.1", "10.2.0.1", "10.2.0.1", "10.1.0.1", 5, TCP, 9, 80,
	  99 },
	{ "an echo request is no error", "10.77.0.1", "10.2.0.1", "10.2.0.1", "10.1.0.1", 8, TCP, 9,
	  80, 99 },
	{ "the policy does not want errors", "10.77.0.1", "10.2.0.1", "10.2.0.1", "10.1.0.1", 3,
	  UDP, 9, 80, 99 },
	{ "a policy for the error itself comes first", "10.9.0.1", "10.2.0.1", "10.2.0.1",
	  "10.1.0.1", 3, TCP, 9, 80, 3 },
	{ "the quoted packet is looked at from behind", "10.77.0.1", "10.2.0.1", "10.1.0.1",
	  "10.2.0.1", 3, TCP, 9, 80, 99 },
	{ "an echo request is answered by a reply", "10.77.0.1", "10.2.0.1", "10.2.0.1", "10.1.0.1",
	  3, ICMP, 8, 0, 5 },
	{ "the ports are turned round", "2001:db8:77::1", "2001:db8:2::1", "2001:db8:2::1",
	  "2001:db8:1::1", 1, UDP, 9, 53, NO_MATCH },
	{ "and then they match", "2001:db8:77::1", "2001:db8:2::1", "2001:db8:2::1",
	  "2001:db8:1::1", 1, UDP, 53, 9, 4 },
	{ "ICMPv6 too big", "2001:db8:77::1", "2001:db8:2::1", "2001:db8:2::1", "2001:db8:1::1", 2,
	  UDP, 53, 9, 4 },
	{ "ICMPv6 parameter problem", "2001:db8:77::1", "2001:db8:2::1", "2001:db8:2::1",
	  "2001:db8:1::1", 4, UDP, 53, 9, 4 },
	{ "ICMPv6 has no error 5", "2001:db8:77::1", "2001:db8:2::1", "2001:db8:2::1",
	  "2001:db8:1::1", 5, UDP, 53, 9, NO_MATCH },
};

/* An ICMP error with what it quotes, in one segment or with the quote in a second one. */
static struct rte_mbuf *
error_make(const struct spd_key *error, const struct spd_key *quoted, bool split)
{
	struct rte_mbuf *m = packet_make(pool, error), *second;
	uint16_t size;

	if (!split) {
		size = packet_write(rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len), quoted);
		rte_pktmbuf_append(m, size);
		return m;
	}
	second = rte_pktmbuf_alloc(pool);
	size = packet_write(rte_pktmbuf_mtod(second, uint8_t *), quoted);
	rte_pktmbuf_append(second, size);
	rte_pktmbuf_chain(m, second);
	return m;
}

static uint32_t
ask_error(struct spd *spd, const struct spd_key *error, const struct spd_key *quoted, bool split)
{
	struct rte_mbuf *m = error_make(error, quoted, split);
	uint32_t got = ask(spd, SPD_OUT, m);

	rte_pktmbuf_free(m);
	return got;
}

static void
icmp_errors_go_with_what_they_quote(void **state)
{
	/* The last matches everything of both families: for IPv6 here it is left out. */
	struct spd *whole = spd_of(icmp_book, RTE_DIM(icmp_book));
	struct spd *bare = spd_of(icmp_book, RTE_DIM(icmp_book) - 1);

	for (size_t i = 0; i < RTE_DIM(errors); i++) {
		struct spd_key quoted =
			key_of(errors[i].quoted_src, errors[i].quoted_dst, errors[i].protocol,
			       errors[i].src_port, errors[i].dst_port);
		struct spd_key error = key_of(errors[i].src, errors[i].dst,
					      quoted.v6 ? ICMPV6 : ICMP, errors[i].type, 0);

		for (int split = 0; split < 2; split++) {
			uint32_t got = ask_error(quoted.v6 ? bare : whole, &error, &quoted, split);

			if (got != errors[i].want)
				fail_msg("%s: %u, not %u", errors[i].what, got, errors[i].want);
		}
	}
	spd_free(whole);
	spd_free(bare);
}

static void
quotes_that_end_early_match_nothing_by_accident(void **state)
{
	struct spd *spd = spd_of(icmp_book, RTE_DIM(icmp_book) - 1);
	struct spd_key quoted = key_of("2001:db8:2::1", "2001:db8:1::1", UDP, 53, 9);
	struct spd_key error = key_of("2001:db8:77::1", "2001:db8:2::1", ICMPV6, 1, 0);
	struct rte_mbuf *m = error_make(&error, &quoted, false);
	uint16_t whole = m->data_len;

	for (uint16_t length = 40; length <= whole; length++) {
		/* 40 of the error, 8 of ICMP, 40 quoted, then the ports. */
		uint32_t want = length < 40 + 8 + 40 + 4 ? NO_MATCH : 4;

		m->data_len = m->pkt_len = length;
		if (ask(spd, SPD_OUT, m) != want)
			fail_msg("%u octets: not %u", length, want);
	}
	rte_pktmbuf_free(m);
	spd_free(spd);
}

static void
a_quoted_fragment_has_no_ports(void **state)
{
	struct spd *spd = spd_of(icmp_book, RTE_DIM(icmp_book) - 1);
	struct spd_key quoted = key_of("10.2.0.1", "10.7.0.1", ICMP, 8, 0);
	struct spd_key error = key_of("10.77.0.1", "10.2.0.1", ICMP, 3, 0);

	assert_int_equal(ask_error(spd, &error, &quoted, false), 6);
	quoted.later = true;
	assert_int_equal(ask_error(spd, &error, &quoted, false), NO_MATCH);
	quoted = key_of("10.8.0.1", "10.7.0.1", ICMP, 8, 0);
	quoted.later = true;
	assert_int_equal(ask_error(spd, &error, &quoted, false), 7);
	spd_free(spd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_without_ports_never_match_by_accident),
		cmocka_unit_test(a_cut_off_header_has_no_ports),
		cmocka_unit_test(icmp_errors_go_with_what_they_quote),
		cmocka_unit_test(quotes_that_end_early_match_nothing_by_accident),
		cmocka_unit_test(a_quoted_fragment_has_no_ports),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
