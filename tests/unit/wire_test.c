#include "unit.h"

#include <rte_mbuf.h>
#include <rte_udp.h>

#include "base/addr.h"
#include "wire/ip.h"

/* Headers are written as in a hex dump: blanks ignored. An IPv4 checksum of "CCCC" is put in by the
 * test. */
static uint32_t
unhex(const char *text, uint8_t *out, bool *sum_wanted)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t n = 0;

	*sum_wanted = false;
	for (; *text != 0; text++) {
		if (*text == ' ')
			continue;
		if (*text == 'C') {
			*sum_wanted = true;
			out[n / 2] = 0;
			n++;
			continue;
		}
		out[n / 2] = (uint8_t)(out[n / 2] << 4 | (strchr(digits, *text) - digits));
		n++;
	}
	return n / 2;
}

#define V4_ADDRS "0a000001 0a000002"
#define V6_ADDRS "20010db8000000000000000000000001 20010db8000000000000000000000002"

/* len and frame 0: as many octets as the text has. */
static const struct {
	const char *what, *hex;
	uint32_t len, frame;
	enum wire_verdict verdict;
	struct ip_info want;
} cases[] = {
	{ "plain IPv4",
	  "45b80014 00000000 4032CCCC" V4_ADDRS,
	  0,
	  0,
	  WIRE_OK,
	  { 20, 20, 9, 50, 0, 0xb8, 64 } },
	{ "A1.2: Ethernet padding behind it",
	  "45000014 00000000 4001CCCC" V4_ADDRS,
	  0,
	  46,
	  WIRE_OK,
	  { 20, 20, 9, 1, 0, 0, 64 } },
	{ "DF is seen",
	  "45000014 00004000 4011CCCC" V4_ADDRS,
	  0,
	  0,
	  WIRE_OK,
	  { 20, 20, 9, 17, IP_INFO_DF, 0, 64 } },
	{ "the reserved bit is not DF",
	  "45000014 00008000 4011CCCC" V4_ADDRS,
	  0,
	  0,
	  WIRE_OK,
	  { 20, 20, 9, 17, 0, 0, 64 } },
	{ "a first fragment",
	  "45000014 00012000 4011CCCC" V4_ADDRS,
	  0,
	  0,
	  WIRE_OK,
	  { 20, 20, 9, 17, IP_INFO_FRAG_FIRST, 0, 64 } },
	{ "a middle fragment",
	  "45000014 00012001 4011CCCC" V4_ADDRS,
	  0,
	  0,
	  WIRE_OK,
	  { 20, 20, 9, 17, IP_INFO_FRAG_LATER, 0, 64 } },
	{ "the last fragment",
	  "45000014 00011fff 4011CCCC" V4_ADDRS,
	  0,
	  0,
	  WIRE_OK,
	  { 20, 20, 9, 17, IP_INFO_FRAG_LATER, 0, 64 } },
	{ "A1.1: IHL 4", "44000014 00000000 4032CCCC" V4_ADDRS, 0, 0, WIRE_MALFORMED, { 0 } },
	{ "A1.1: IHL 0", "40000014 00000000 4032CCCC" V4_ADDRS, 0, 0, WIRE_MALFORMED, { 0 } },
	{ "A1.1: total length below the header",
	  "45000013 00000000 4032CCCC" V4_ADDRS,
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "A2.6: total length 0",
	  "45000000 00000000 4032CCCC" V4_ADDRS,
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "A1.1: total length beyond the frame",
	  "45000015 00000000 4032CCCC" V4_ADDRS,
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "A1.1: bad checksum", "45000014 00000000 40321234" V4_ADDRS, 0, 0, WIRE_CHECKSUM, { 0 } },
	{ "checksum 0 is not 'none'",
	  "45000014 00000000 40320000" V4_ADDRS,
	  0,
	  0,
	  WIRE_CHECKSUM,
	  { 0 } },
	{ "A2.6: cut header",
	  "45000014 00000000 4032CCCC 0a000001 0a0000",
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "nothing at all", "", 0, 0, WIRE_MALFORMED, { 0 } },
	{ "version 5", "55000014 00000000 4032CCCC" V4_ADDRS, 0, 0, WIRE_MALFORMED, { 0 } },
	{ "version 0", "05000014 00000000 4032CCCC" V4_ADDRS, 0, 0, WIRE_MALFORMED, { 0 } },
	{ "header split over segments",
	  "45000014 00000000 4032CCCC" V4_ADDRS,
	  12,
	  20,
	  WIRE_SPLIT,
	  { 0 } },
	{ "A1.3: IPv4 options",
	  "46000018 00000000 4032CCCC" V4_ADDRS "01010100",
	  0,
	  0,
	  WIRE_OK,
	  { 24, 24, 9, 50, 0, 0, 64 } },
	{ "all the options there can be",
	  "4f00003c 00000000 4032CCCC" V4_ADDRS "01010101010101010101 01010101010101010101"
	  "01010101010101010101 01010101010101010101",
	  0,
	  0,
	  WIRE_OK,
	  { 60, 60, 9, 50, 0, 0, 64 } },
	{ "a fragment with options",
	  "46000018 0000a001 4032CCCC" V4_ADDRS "01010100",
	  0,
	  0,
	  WIRE_OK,
	  { 24, 24, 9, 50, IP_INFO_FRAG_LATER, 0, 64 } },
	{ "A2.6: IHL beyond total length",
	  "46000014 00000000 4032CCCC" V4_ADDRS "01010100",
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "A2.6: IHL beyond the frame",
	  "46000018 00000000 4032CCCC" V4_ADDRS "0101",
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "options split over segments",
	  "46000018 00000000 4032CCCC" V4_ADDRS "01010100",
	  20,
	  24,
	  WIRE_SPLIT,
	  { 0 } },
	{ "bad checksum over options",
	  "46000018 00000000 40320001" V4_ADDRS "01010100",
	  0,
	  0,
	  WIRE_CHECKSUM,
	  { 0 } },
	{ "plain IPv6",
	  "6b812345 0000 32 40" V6_ADDRS,
	  0,
	  0,
	  WIRE_OK,
	  { 40, 40, 6, 50, IP_INFO_V6, 0xb8, 64 } },
	{ "A1.2: padding behind IPv6",
	  "60000000 0000 3b 40" V6_ADDRS "000000",
	  0,
	  0,
	  WIRE_OK,
	  { 40, 40, 6, 59, IP_INFO_V6, 0, 64 } },
	{ "A1.1: IPv6 payload beyond the frame",
	  "60000000 0001 32 40" V6_ADDRS,
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "A2.6: IPv6 payload far beyond",
	  "60000000 ffff 32 40" V6_ADDRS,
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "A2.6: cut IPv6 header", "60000000 0000 32 40 20010db8", 0, 0, WIRE_MALFORMED, { 0 } },
	{ "IPv6 header split over segments",
	  "60000000 0000 32 40" V6_ADDRS,
	  39,
	  40,
	  WIRE_SPLIT,
	  { 0 } },
	{ "A1.3: hop-by-hop, then ESP",
	  "60000000 0008 00 40" V6_ADDRS "3200 0104 00000000",
	  0,
	  0,
	  WIRE_OK,
	  { 48, 48, 40, 50, IP_INFO_V6, 0, 64 } },
	{ "hop-by-hop, routing, destination options",
	  "60000000 0020 00 40" V6_ADDRS "2b00 0104 00000000 3c01 0000 00000000 0000000000000000"
	  "1100 0104 00000000",
	  0,
	  0,
	  WIRE_OK,
	  { 72, 72, 64, 17, IP_INFO_V6, 0, 64 } },
	{ "hop-by-hop not in front",
	  "60000000 0010 3c 40" V6_ADDRS "0000 0104 00000000 3200 0104 00000000",
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "extension header beyond the packet",
	  "60000000 0008 3c 40" V6_ADDRS "3201 0104 00000000",
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "extension header beyond the packet but in the frame",
	  "60000000 0008 3c 40" V6_ADDRS "3201 0104 00000000 0000000000000000",
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "extension header split over segments",
	  "60000000 0008 3c 40" V6_ADDRS "3200 0104 00000000",
	  41,
	  48,
	  WIRE_SPLIT,
	  { 0 } },
	{ "A4.8: an atomic fragment is whole",
	  "60000000 0008 2c 40" V6_ADDRS "1100 0000 12345678",
	  0,
	  0,
	  WIRE_OK,
	  { 48, 48, 40, 17, IP_INFO_V6, 0, 64 } },
	{ "a first IPv6 fragment",
	  "60000000 0008 2c 40" V6_ADDRS "1100 0001 12345678",
	  0,
	  0,
	  WIRE_OK,
	  { 48, 48, 40, 17, IP_INFO_V6 | IP_INFO_FRAG_FIRST, 0, 64 } },
	{ "a later IPv6 fragment",
	  "60000000 0008 2c 40" V6_ADDRS "1100 0008 12345678",
	  0,
	  0,
	  WIRE_OK,
	  { 48, 48, 40, 17, IP_INFO_V6 | IP_INFO_FRAG_LATER, 0, 64 } },
	{ "behind a later fragment's header nothing is walked",
	  "60000000 0010 2c 40" V6_ADDRS "3c00 0009 12345678 ffffffffffffffff",
	  0,
	  0,
	  WIRE_OK,
	  { 56, 48, 40, 60, IP_INFO_V6 | IP_INFO_FRAG_LATER, 0, 64 } },
	{ "RFC 7112: a first fragment without all headers",
	  "60000000 0008 2c 40" V6_ADDRS "3c00 0001 12345678",
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
	{ "a fragment of a fragment",
	  "60000000 0010 2c 40" V6_ADDRS "2c00 0001 12345678 1100 0001 12345678",
	  0,
	  0,
	  WIRE_MALFORMED,
	  { 0 } },
};

static bool
equal(const struct ip_info *a, const struct ip_info *b)
{
	return a->total == b->total && a->l4_off == b->l4_off && a->last_nh_off == b->last_nh_off &&
	       a->proto == b->proto && a->flags == b->flags && a->tos == b->tos && a->ttl == b->ttl;
}

/* A heap block of just that size, so that a sanitizer sees a read behind it. */
static enum wire_verdict
parse(const uint8_t *octets, uint32_t len, uint32_t frame, struct ip_info *info)
{
	uint8_t *exact = malloc(len + (len == 0));
	enum wire_verdict verdict;

	memcpy(exact, octets, len);
	verdict = wire_ip_parse(exact, len, frame, info);
	free(exact);
	return verdict;
}

static void
headers_are_judged(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t octets[128] = { 0 };
		bool sum_wanted;
		uint32_t n = unhex(cases[i].hex, octets, &sum_wanted);
		uint32_t header = (octets[0] & 15) * 4;
		struct ip_info info;
		enum wire_verdict verdict;

		if (sum_wanted && header <= n) {
			uint16_t sum = wire_ip4_checksum(octets, header);

			memcpy(octets + 10, &sum, sizeof(sum));
		}
		verdict = parse(octets, cases[i].len ? cases[i].len : n,
				cases[i].frame ? cases[i].frame : n, &info);
		if (verdict != cases[i].verdict)
			fail_msg("%s: verdict %d", cases[i].what, verdict);
		if (verdict == WIRE_OK && !equal(&info, &cases[i].want))
			fail_msg("%s: total %u, upper layer %u at %u by %u, flags %x, tos %x, ttl "
				 "%u",
				 cases[i].what, info.total, info.proto, info.l4_off,
				 info.last_nh_off, info.flags, info.tos, info.ttl);
	}
}

/* n destination options headers of size octets each, then UDP. */
static enum wire_verdict
parse_chain(uint32_t n, uint32_t size)
{
	uint8_t ip[40 + 4096] = { 0x60 };
	uint16_t payload = rte_cpu_to_be_16((uint16_t)(n * size));
	struct ip_info info;

	memcpy(ip + 4, &payload, 2);
	ip[6] = IPPROTO_DSTOPTS;
	for (uint32_t i = 0; i < n; i++) {
		ip[40 + i * size] = i + 1 < n ? IPPROTO_DSTOPTS : IPPROTO_UDP;
		ip[40 + i * size + 1] = (uint8_t)(size / 8 - 1);
	}
	return parse(ip, 40 + n * size, 40 + n * size, &info);
}

static void
header_chains_are_bounded(void **state)
{
	assert_int_equal(parse_chain(WIRE_EXT_HEADERS_MAX, 8), WIRE_OK);
	assert_int_equal(parse_chain(WIRE_EXT_HEADERS_MAX + 1, 8), WIRE_MALFORMED);
	assert_int_equal(parse_chain(1, WIRE_EXT_OCTETS_MAX), WIRE_OK);
	assert_int_equal(parse_chain(1, WIRE_EXT_OCTETS_MAX + 8), WIRE_MALFORMED);
	assert_int_equal(parse_chain(2, 128), WIRE_OK);
	assert_int_equal(parse_chain(2, 136), WIRE_MALFORMED);
}

static void
the_ports_word_on_a_checksum_is_taken(void **state)
{
	uint8_t ip[24] = { 0x45, [3] = 20, [8] = 64, [9] = 17 };
	struct ip_info info;

	assert_int_equal(wire_ip_parse_sum(ip, 20, 20, true, &info), WIRE_OK);
	assert_int_equal(wire_ip_parse_sum(ip, 20, 20, false, &info), WIRE_CHECKSUM);
	ip[0] = 0x46;
	ip[3] = 24;
	assert_int_equal(wire_ip_parse_sum(ip, 24, 24, true, &info), WIRE_OK);
	assert_int_equal(wire_ip_parse_sum(ip, 24, 24, false, &info), WIRE_CHECKSUM);
}

/* The definition, 16 bits at a time. */
static uint16_t
naive_sum(const uint8_t *p, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum >> 16 != 0)
		sum = (sum >> 16) + (sum & 0xffff);
	return rte_cpu_to_be_16((uint16_t)sum);
}

static void
fill(uint8_t *p, uint32_t n, uint32_t seed)
{
	for (uint32_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		p[i] = (uint8_t)(seed >> 16);
	}
}

static void
sums_are_those_of_the_definition(void **state)
{
	uint8_t octets[2048 + 8];

	for (uint32_t n = 0; n < 2048; n += n < 100 ? 1 : 37) {
		fill(octets, sizeof(octets), n);
		assert_int_equal(wire_sum_fold(wire_sum(0, octets + n % 8, n)),
				 naive_sum(octets + n % 8, n));
	}
	memset(octets, 0xff, sizeof(octets));
	assert_int_equal(wire_sum_fold(wire_sum(0, octets, 2048)), 0xffff);
	fill(octets, 20, 1);
	assert_int_equal(wire_sum20(octets), naive_sum(octets, 20));
}

static void
a_header_of_20_octets_is_right_or_not(void **state)
{
	uint8_t ip[20] = { 0x45, 0, 0, 20, [8] = 64, 50, [12] = 10, [16] = 0xff, 0xff, 0xff, 0xff };

	for (uint32_t id = 0; id < 65536; id++) {
		uint16_t sum;

		ip[4] = (uint8_t)(id >> 8);
		ip[5] = (uint8_t)id;
		sum = wire_ip4_checksum(ip, 20);
		memcpy(ip + 10, &sum, 2);
		assert_true(wire_sum20_holds(ip));
		ip[11] ^= 1;
		assert_false(wire_sum20_holds(ip));
	}
}

static const struct {
	const char *text;
	bool unicast, multicast, loopback;
} stations[] = {
	{ "10.0.0.1", true, false, false },    { "223.255.255.255", true, false, false },
	{ "224.0.0.1", false, true, false },   { "239.255.255.255", false, true, false },
	{ "240.0.0.1", false, false, false },  { "255.255.255.255", false, false, false },
	{ "0.0.0.0", false, false, false },    { "0.1.2.3", false, false, false },
	{ "127.0.0.1", false, false, true },   { "127.255.0.9", false, false, true },
	{ "2001:db8::1", true, false, false }, { "fe80::1", true, false, false },
	{ "ff02::1", false, true, false },     { "::", false, false, false },
	{ "::1", false, false, true },	       { "::2", true, false, false },
	{ "1::1", true, false, false },
};

static void
stations_are_told_from_groups(void **state)
{
	for (size_t i = 0; i < sizeof(stations) / sizeof(stations[0]); i++) {
		struct addr a;
		bool v6;

		assert_true(addr_parse(stations[i].text, &a));
		v6 = a.family == 6;
		if (wire_is_unicast(a.octets, v6) != stations[i].unicast ||
		    wire_is_multicast(a.octets, v6) != stations[i].multicast ||
		    wire_is_loopback(a.octets, v6) != stations[i].loopback)
			fail_msg("%s", stations[i].text);
	}
}

/* m[0] … of those lengths over one run of octets. */
static void
chain(struct rte_mbuf *m, uint8_t *octets, const uint16_t *lengths, uint16_t n)
{
	uint32_t off = 0;

	for (uint16_t i = 0; i < n; i++) {
		m[i] = (struct rte_mbuf) { .buf_addr = octets + off,
					   .data_len = lengths[i],
					   .nb_segs = 1 };
		m[i].next = i + 1 < n ? &m[i + 1] : NULL;
		off += lengths[i];
	}
	m[0].nb_segs = n;
	m[0].pkt_len = off;
}

static void
chains_sum_like_one_piece(void **state)
{
	static const uint16_t lengths[][5] = {
		{ 100, 0, 0, 0, 0 }, { 1, 1, 1, 1, 96 }, { 33, 0, 33, 1, 33 },
		{ 50, 50, 0, 0, 0 }, { 0, 99, 1, 0, 0 },
	};
	uint8_t octets[100];
	struct rte_mbuf m[5];

	fill(octets, sizeof(octets), 7);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		chain(m, octets, lengths[i], 5);
		for (uint32_t off = 0; off <= 100; off += 2)
			for (uint32_t n = 0; n <= 100 - off; n++)
				assert_int_equal(wire_sum_fold(wire_sum_mbuf(0, m, off, n)),
						 naive_sum(octets + off, n));
	}
}

static void
updates_agree_with_a_new_sum(void **state)
{
	for (uint32_t i = 0; i < 20000; i++) {
		uint8_t ip[20];
		uint16_t old, new, sum;

		fill(ip, sizeof(ip), i);
		ip[0] = 0x45;
		sum = wire_ip4_checksum(ip, 20);
		memcpy(ip + 10, &sum, 2);
		memcpy(&old, ip + 8, 2);
		new = i % 3 == 0 ? (uint16_t)i : old - 1;
		sum = wire_checksum_update16(sum, old, new);
		memcpy(ip + 8, &new, 2);
		assert_int_equal(sum, wire_ip4_checksum(ip, 20));
	}
}

static const struct {
	const char *what;
	bool v6;
	uint8_t proto;
	uint16_t field, n;
} uppers[] = {
	{ "UDP over IPv4", false, IPPROTO_UDP, 6, 33 },
	{ "UDP over IPv6", true, IPPROTO_UDP, 6, 64 },
	{ "TCP over IPv4", false, IPPROTO_TCP, 16, 41 },
	{ "TCP over IPv6", true, IPPROTO_TCP, 16, 20 },
	{ "ICMP over IPv4", false, IPPROTO_ICMP, 2, 56 },
	{ "ICMPv6", true, IPPROTO_ICMPV6, 2, 57 },
};

/* Against DPDK's own, which wants one segment. */
static uint16_t
reference(const uint8_t *ip, bool v6, uint8_t proto, uint16_t n)
{
	if (v6)
		return rte_ipv6_udptcp_cksum((const struct rte_ipv6_hdr *)ip, ip + 40);
	if (proto == IPPROTO_ICMP)
		return (uint16_t)~rte_raw_cksum(ip + 20, n);
	return rte_ipv4_udptcp_cksum((const struct rte_ipv4_hdr *)ip, ip + 20);
}

static void
upper_layer_checksums_are_right(void **state)
{
	for (size_t i = 0; i < sizeof(uppers) / sizeof(uppers[0]); i++) {
		uint16_t head = uppers[i].v6 ? 40 : 20, total = head + uppers[i].n, got;
		uint16_t len_be = rte_cpu_to_be_16(uppers[i].v6 ? uppers[i].n : total);
		uint16_t lengths[3] = { head + 20, 0, 0 };
		uint8_t ip[128];
		struct rte_mbuf m[3];

		fill(ip, sizeof(ip), (uint32_t)i);
		ip[0] = uppers[i].v6 ? 0x60 : 0x45;
		memcpy(ip + (uppers[i].v6 ? 4 : 2), &len_be, 2);
		ip[uppers[i].v6 ? 6 : 9] = uppers[i].proto;
		lengths[1] = (total - lengths[0]) / 2;
		lengths[2] = total - lengths[0] - lengths[1];
		chain(m, ip, lengths, 3);
		wire_l4_checksum_set(m, head, uppers[i].field, uppers[i].proto);
		memcpy(&got, ip + head + uppers[i].field, 2);
		memset(ip + head + uppers[i].field, 0, 2);
		if (got != reference(ip, uppers[i].v6, uppers[i].proto, uppers[i].n))
			fail_msg("%s: %04x", uppers[i].what, got);
	}
}

static void
udp_never_says_there_is_no_checksum(void **state)
{
	/* Length 8 twice and the protocol, 17, come to 33: port 0xffde makes the sum 0xffff. */
	uint8_t ip[48] = { 0x60, [5] = 8, [6] = IPPROTO_UDP, [40] = 0xff, [41] = 0xde, [45] = 8 };
	uint16_t lengths[1] = { 48 };
	struct rte_mbuf m[1];

	chain(m, ip, lengths, 1);
	wire_l4_checksum_set(m, 40, 6, IPPROTO_UDP);
	assert_int_equal(ip[46] << 8 | ip[47], 0xffff);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_judged),
		cmocka_unit_test(header_chains_are_bounded),
		cmocka_unit_test(the_ports_word_on_a_checksum_is_taken),
		cmocka_unit_test(sums_are_those_of_the_definition),
		cmocka_unit_test(a_header_of_20_octets_is_right_or_not),
		cmocka_unit_test(stations_are_told_from_groups),
		cmocka_unit_test(chains_sum_like_one_piece),
		cmocka_unit_test(updates_agree_with_a_new_sum),
		cmocka_unit_test(upper_layer_checksums_are_right),
		cmocka_unit_test(udp_never_says_there_is_no_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
