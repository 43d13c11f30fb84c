#include "unit.h"

#include <errno.h>

#include <rte_mbuf.h>

#include "tunnel/tunnel.h"
#include "wire/ip.h"

static struct addr
address(const char *text)
{
	struct addr a = { 0 };

	assert_true(addr_parse(text, &a));
	return a;
}

static struct tunnel_params
params4(void)
{
	return (struct tunnel_params) {
		.src = address("192.0.2.1"),
		.dst = address("198.51.100.1"),
		.proto = IPPROTO_ESP,
		.ttl = 64,
		.ecn = true,
	};
}

static struct tunnel_params
params6(void)
{
	return (struct tunnel_params) {
		.src = address("2001:db8::1"),
		.dst = address("2001:db8:1::1"),
		.proto = IPPROTO_ESP,
		.ttl = 64,
		.ecn = true,
	};
}

/* A UDP packet of 32 octets behind its IP header. */
static void
inner_make(uint8_t *ip, bool v6, uint16_t src_port)
{
	static const uint8_t v4[20] = { 0x45, 0, 0,  52, 0, 0, 0,  0, 64, 17,
					0,    0, 10, 1,	 0, 1, 10, 2, 0,  1 };
	static const uint8_t six[40] = { 0x60, 0xb,  0xcd, 0xef,     0,		  32, 17,
					 64,   0x20, 1,	   [23] = 1, [24] = 0x20, 1,  [39] = 2 };

	if (v6)
		memcpy(ip, six, sizeof(six));
	else
		memcpy(ip, v4, sizeof(v4));
	ip[v6 ? 40 : 20] = (uint8_t)(src_port >> 8);
	ip[v6 ? 41 : 21] = (uint8_t)src_port;
}

#define OUT_MAX 64

/* The outer header of an inner packet as it lies in front of it. */
static void
outer_make(const struct tunnel_params *p, bool inner_v6, uint8_t inner_tos, bool inner_df,
	   uint16_t total, uint16_t *id, uint8_t *out)
{
	struct err err = { "" };
	struct tunnel_out t;
	uint8_t inner[64] = { 0 };

	inner_make(inner, inner_v6, 1000);
	if (tunnel_out_init(&t, p, &err) != 0)
		fail_msg("%s", err.text);
	memset(out, 0xee, OUT_MAX);
	tunnel_outer_write(&t, out, inner, inner_v6, inner_tos, inner_df ? TUNNEL_DF : 0, total,
			   id);
	for (uint32_t i = t.size; i < OUT_MAX; i++)
		assert_int_equal(out[i], 0xee);
}

static const struct {
	const char *what;
	enum tunnel_dscp dscp;
	uint8_t value;
	bool ecn;
	uint8_t inner, want;
} tos_cases[] = {
	{ "DSCP and ECN are copied", TUNNEL_DSCP_COPY, 0, true, 0xb9, 0xb9 },
	{ "without ECN the outer is Not-ECT", TUNNEL_DSCP_COPY, 0, false, 0xbb, 0xb8 },
	{ "a fixed DSCP", TUNNEL_DSCP_FIXED, 46, true, 0x29, 0xb9 },
	{ "a fixed DSCP of 0 shows nothing", TUNNEL_DSCP_FIXED, 0, false, 0xff, 0 },
	{ "a mapped DSCP", TUNNEL_DSCP_MAP, 0, true, 10 << 2 | 3, 11 << 2 | 3 },
	{ "CE is copied (RFC 6040 normal mode)", TUNNEL_DSCP_COPY, 0, true, 3, 3 },
};

static void
the_outer_tos_follows_the_policy(void **state)
{
	uint8_t map[TUNNEL_DSCP_MAP_SIZE] = { [10] = 11 };
	struct tunnel_more more;

	for (size_t i = 0; i < RTE_DIM(tos_cases); i++) {
		for (int v6 = 0; v6 < 2; v6++) {
			struct tunnel_params p = v6 ? params6() : params4();
			uint8_t out[OUT_MAX], tos;
			uint16_t id = 0;

			p.dscp = tos_cases[i].dscp;
			p.dscp_value = tos_cases[i].value;
			p.dscp_map = map;
			p.more = &more;
			p.ecn = tos_cases[i].ecn;
			outer_make(&p, false, tos_cases[i].inner, false, 100, &id, out);
			tos = v6 ? (uint8_t)(out[0] << 4 | out[1] >> 4) : out[1];
			if (tos != tos_cases[i].want)
				fail_msg("%s: %02x", tos_cases[i].what, tos);
		}
	}
}

static const struct {
	const char *what;
	enum tunnel_df df;
	bool inner_v6, inner_df, want;
} df_cases[] = {
	{ "copy of DF", TUNNEL_DF_COPY, false, true, true },
	{ "copy of no DF", TUNNEL_DF_COPY, false, false, false },
	{ "an inner IPv6 packet counts as DF", TUNNEL_DF_COPY, true, true, true },
	{ "set", TUNNEL_DF_SET, false, false, true },
	{ "set on DF", TUNNEL_DF_SET, false, true, true },
	{ "clear", TUNNEL_DF_CLEAR, false, true, false },
	{ "clear for IPv6 inside", TUNNEL_DF_CLEAR, true, true, false },
};

static void
df_and_id_go_together(void **state)
{
	for (size_t i = 0; i < RTE_DIM(df_cases); i++) {
		struct tunnel_params p = params4();
		uint8_t out[OUT_MAX];
		uint16_t id = 0xffff;
		int id_written;

		p.df = df_cases[i].df;
		outer_make(&p, df_cases[i].inner_v6, 0, df_cases[i].inner_df, 100, &id, out);
		id_written = out[4] << 8 | out[5];
		if ((out[6] == 0x40) != df_cases[i].want || (out[6] & 0xbf) != 0 || out[7] != 0)
			fail_msg("%s: flags %02x%02x", df_cases[i].what, out[6], out[7]);
		if (id_written != 0 || id != (df_cases[i].want ? 0xffff : 0))
			fail_msg("%s: id %d, counter %u", df_cases[i].what, id_written, id);
	}
}

/* Every combination that changes the checksum, judged by the parser. */
static void
ipv4_headers_are_right_in_every_field(void **state)
{
	for (uint32_t i = 0; i < 100000; i++) {
		struct tunnel_params p = params4();
		uint32_t r = i * 2654435761u;
		uint16_t id = (uint16_t)(r >> 3), total = (uint16_t)(60 + r % 65000);
		struct ip_info info;
		uint8_t out[OUT_MAX];

		p.udp = i % 2;
		p.udp_src = p.udp_dst = 4500;
		p.df = i / 2 % 3;
		p.ttl = (uint8_t)(1 + i % 255);
		outer_make(&p, false, (uint8_t)(r >> 24), i % 5 == 0, total, &id, out);
		assert_int_equal(wire_ip_parse(out, 28, total, &info), WIRE_OK);
		assert_int_equal(info.total, total);
		assert_int_equal(info.tos, r >> 24);
		assert_int_equal(info.ttl, p.ttl);
		assert_int_equal(info.proto, p.udp ? IPPROTO_UDP : IPPROTO_ESP);
		assert_memory_equal(out + 12, p.src.octets, 4);
		assert_memory_equal(out + 16, p.dst.octets, 4);
	}
}

static void
udp_stands_behind_ip(void **state)
{
	static const uint8_t want4[8] = { 0x11, 0x94, 0x11, 0x95, 0x03, 0xd4, 0, 0 };
	static const uint8_t want6[8] = { 0x11, 0x94, 0x11, 0x95, 0x03, 0xc0, 0, 0 };

	for (int v6 = 0; v6 < 2; v6++) {
		struct tunnel_params p = v6 ? params6() : params4();
		rte_be16_t src = 0, dst = 0;
		struct tunnel_out t;
		uint8_t out[OUT_MAX];
		uint16_t id = 0;

		p.udp = true;
		p.udp_src = 4500;
		p.udp_dst = 4501;
		outer_make(&p, false, 0, false, 1000, &id, out);
		assert_memory_equal(out + (v6 ? 40 : 20), v6 ? want6 : want4, 8);
		assert_int_equal(tunnel_out_init(&t, &p, NULL), 0);
		assert_int_equal(tunnel_out_size(&t), v6 ? 48 : 28);
		tunnel_udp_ports(&t, &src, &dst);
		assert_int_equal(rte_be_to_cpu_16(src), 4500);
		assert_int_equal(rte_be_to_cpu_16(dst), 4501);
	}
}

static void
ipv6_headers_are_right_in_every_field(void **state)
{
	struct tunnel_params p = params6();
	uint8_t out[OUT_MAX];
	struct ip_info info;
	uint16_t id = 7;

	outer_make(&p, false, 0xb9, false, 1000, &id, out);
	assert_int_equal(wire_ip_parse(out, 40, 1000, &info), WIRE_OK);
	assert_int_equal(info.total, 1000);
	assert_int_equal(info.proto, IPPROTO_ESP);
	assert_int_equal(info.ttl, 64);
	assert_memory_equal(out + 8, p.src.octets, 16);
	assert_memory_equal(out + 24, p.dst.octets, 16);
	assert_int_equal(id, 7);
}

static uint32_t
label_of(const struct tunnel_params *p, bool inner_v6)
{
	uint8_t out[OUT_MAX];
	uint16_t id = 0;

	outer_make(p, inner_v6, 0, false, 100, &id, out);
	return (uint32_t)(out[1] & 15) << 16 | (uint32_t)out[2] << 8 | out[3];
}

static void
the_flow_label_follows_the_policy(void **state)
{
	struct tunnel_params p = params6();

	p.label = TUNNEL_LABEL_FIXED;
	p.label_value = 0x12345;
	assert_int_equal(label_of(&p, true), 0x12345);
	assert_int_equal(label_of(&p, false), 0x12345);
	p.label = TUNNEL_LABEL_COPY;
	assert_int_equal(label_of(&p, true), 0xbcdef);
	assert_int_equal(label_of(&p, false), 0);
	p.label = TUNNEL_LABEL_HASH;
	assert_int_not_equal(label_of(&p, true), 0xbcdef);
	assert_int_not_equal(label_of(&p, false), label_of(&p, true));
}

static void
the_hash_tells_flows_apart_and_keeps_pieces_together(void **state)
{
	struct tunnel_params p = params6();
	struct tunnel_out t;
	uint8_t ip[64] = { 0 };
	uint32_t first;

	assert_int_equal(tunnel_out_init(&t, &p, NULL), 0);
	for (int v6 = 0; v6 < 2; v6++) {
		uint32_t seen[64] = { 0 };

		for (uint16_t port = 0; port < 64; port++) {
			inner_make(ip, v6, port);
			seen[port] = tunnel_flow_label(&t, ip, v6);
			assert_true(seen[port] <= RTE_IPV6_HDR_FL_MASK);
			for (uint16_t i = 0; i < port; i++)
				assert_int_not_equal(seen[i], seen[port]);
			assert_int_equal(tunnel_flow_label(&t, ip, v6), seen[port]);
		}
	}
	inner_make(ip, false, 1);
	ip[6] = 0x20;
	first = tunnel_flow_label(&t, ip, false);
	inner_make(ip, false, 0x7777);
	ip[7] = 9;
	assert_int_equal(tunnel_flow_label(&t, ip, false), first);
}

static void
bad_parameters_are_refused(void **state)
{
	static const struct {
		const char *what;
		struct tunnel_params change;
	} bad[] = {
		{ "TTL 0", { .ttl = 0 } },
		{ "two families", { .ttl = 1, .dst.family = 6 } },
		{ "no address", { .ttl = 1, .src.family = 9 } },
		{ "UDP from port 0", { .ttl = 1, .udp = true, .udp_dst = 4500 } },
		{ "UDP to port 0", { .ttl = 1, .udp = true, .udp_src = 4500 } },
		{ "DSCP 64", { .ttl = 1, .dscp = TUNNEL_DSCP_FIXED, .dscp_value = 64 } },
		{ "a label of 21 bits",
		  { .ttl = 1, .label = TUNNEL_LABEL_FIXED, .label_value = 1 << 20 } },
	};

	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		struct tunnel_params p = bad[i].change;
		struct tunnel_out t;
		struct err err = { "" };

		p.src.family = p.src.family == 0 ? 4 : p.src.family;
		p.dst.family = p.dst.family == 0 ? 4 : p.dst.family;
		if (tunnel_out_init(&t, &p, &err) != -EINVAL || err.text[0] == 0)
			fail_msg("%s: taken", bad[i].what);
	}
}

static void
a_map_is_looked_at_whole(void **state)
{
	uint8_t map[TUNNEL_DSCP_MAP_SIZE] = { [63] = 64 };
	struct tunnel_more more;
	struct tunnel_params p = params4();
	struct tunnel_out t;

	p.dscp = TUNNEL_DSCP_MAP;
	p.dscp_map = map;
	p.more = &more;
	assert_int_equal(tunnel_out_init(&t, &p, NULL), -EINVAL);
	map[63] = 63;
	p.more = NULL;
	assert_int_equal(tunnel_out_init(&t, &p, NULL), -EINVAL);
	p.more = &more;
	assert_int_equal(tunnel_out_init(&t, &p, NULL), 0);
}

/* RFC 6040 figure 4, in its own order of rows and columns: Not-ECT, ECT(0), ECT(1), CE. */
static void
ecn_is_the_table_of_rfc_6040(void **state)
{
	enum {
		N = 0,
		E1 = 1,
		E0 = 2,
		C = 3,
		DROP = 0x10,
		ODD = 0x20
	};
	static const uint8_t order[4] = { N, E0, E1, C };
	static const uint8_t want[4][4] = {
		{ N, N | ODD, N | ODD, DROP | ODD },
		{ E0, E0, E1, C },
		{ E1, E1 | ODD, E1, C },
		{ C, C, C | ODD, C },
	};

	for (int i = 0; i < 4; i++) {
		for (int o = 0; o < 4; o++) {
			uint8_t got = tunnel_ecn_decap[order[i] | order[o] << 2];

			assert_int_equal((got & TUNNEL_ECN_DROP) != 0, (want[i][o] & DROP) != 0);
			assert_int_equal((got & TUNNEL_ECN_ODD) != 0, (want[i][o] & ODD) != 0);
			if ((got & TUNNEL_ECN_DROP) == 0)
				assert_int_equal(got & TUNNEL_ECN_MASK, want[i][o] & 3);
		}
	}
}

/* fragmentation.md section 7's table: the largest inner packet for an outer size of 1500. */
static const struct {
	const char *what;
	enum alg_id cipher, auth;
	uint8_t icv;
	bool implicit_iv;
	uint16_t v4, v4_udp, v6, v6_udp;
} mtu_cases[] = {
	{ "GCM-16", ALG_AES_GCM_128, ALG_NONE, 16, false, 1446, 1438, 1426, 1418 },
	{ "CCM-16", ALG_AES_CCM_256, ALG_NONE, 16, false, 1446, 1438, 1426, 1418 },
	{ "ChaCha20", ALG_CHACHA20_POLY1305, ALG_NONE, 0, false, 1446, 1438, 1426, 1418 },
	{ "GMAC", ALG_AES_GMAC_128, ALG_NONE, 0, false, 1446, 1438, 1426, 1418 },
	{ "GCM-12", ALG_AES_GCM_256, ALG_NONE, 12, false, 1450, 1442, 1430, 1422 },
	{ "GCM-8", ALG_AES_GCM_192, ALG_NONE, 8, false, 1454, 1446, 1434, 1426 },
	{ "GCM-16 with an implicit IV", ALG_AES_GCM_128, ALG_NONE, 16, true, 1454, 1446, 1434,
	  1426 },
	{ "null and SHA256", ALG_NULL, ALG_HMAC_SHA256_128, 0, false, 1454, 1446, 1434, 1426 },
	{ "CBC and SHA1-96", ALG_AES_CBC_128, ALG_HMAC_SHA1_96, 0, false, 1438, 1422, 1422, 1406 },
	{ "CBC and SHA256-128", ALG_AES_CBC_128, ALG_HMAC_SHA256_128, 0, false, 1438, 1422, 1406,
	  1406 },
	{ "CBC and SHA384-192", ALG_AES_CBC_128, ALG_HMAC_SHA384_192, 0, false, 1422, 1422, 1406,
	  1390 },
	{ "CBC and SHA512-256", ALG_AES_CBC_128, ALG_HMAC_SHA512_256, 0, false, 1422, 1406, 1390,
	  1390 },
	{ "CTR and SHA256-128", ALG_AES_CTR_128, ALG_HMAC_SHA256_128, 0, false, 1446, 1438, 1426,
	  1418 },
};

/* What ESP makes of an inner packet (esp-core.md section 1). */
static uint32_t
outer_size(const struct suite *s, bool v6, bool udp, uint32_t inner)
{
	uint32_t text = (inner + 2 + s->align - 1) / s->align * s->align;

	return (v6 ? 40 : 20) + (udp ? 8 : 0) + 8 + s->iv_len + text + s->icv_len;
}

static void
the_mtu_is_the_largest_that_fits(void **state)
{
	for (size_t i = 0; i < RTE_DIM(mtu_cases); i++) {
		const struct alg *auth =
			mtu_cases[i].auth != ALG_NONE ? &algs[mtu_cases[i].auth] : NULL;
		const uint16_t want[2][2] = { { mtu_cases[i].v4, mtu_cases[i].v4_udp },
					      { mtu_cases[i].v6, mtu_cases[i].v6_udp } };
		struct suite s;

		assert_int_equal(suite_init(&s, &algs[mtu_cases[i].cipher], auth, mtu_cases[i].icv,
					    mtu_cases[i].implicit_iv, true, NULL),
				 0);
		for (int v6 = 0; v6 < 2; v6++) {
			for (int udp = 0; udp < 2; udp++) {
				if (tunnel_mtu(&s, v6, udp, 1500) != want[v6][udp])
					fail_msg("%s, v6 %d, UDP %d: %u", mtu_cases[i].what, v6,
						 udp, tunnel_mtu(&s, v6, udp, 1500));
				for (uint32_t m = 0; m < 3000; m++) {
					uint32_t mtu = tunnel_mtu(&s, v6, udp, m);

					assert_true(mtu == 0 || outer_size(&s, v6, udp, mtu) <= m);
					assert_true(outer_size(&s, v6, udp, mtu + 1) > m);
				}
			}
		}
	}
}

static void
transport_mode_counts_its_own_header(void **state)
{
	struct suite s;

	assert_int_equal(suite_init(&s, &algs[ALG_AES_GCM_128], NULL, 0, false, true, NULL), 0);
	assert_int_equal(tunnel_transport_mtu(&s, 20, false, 1500), 1466);
	assert_int_equal(tunnel_transport_mtu(&s, 20, true, 1500), 1458);
	assert_int_equal(tunnel_transport_mtu(&s, 40, false, 1500), 1466);
	assert_int_equal(tunnel_transport_mtu(&s, 40, false, 30), 0);
	assert_int_equal(tunnel_transport_mtu(&s, 40, false, 75), 0);
}

static void
the_tos_octet_is_rewritten_with_its_checksum(void **state)
{
	uint8_t v6[40] = { 0x6a, 0xb1, 0x23, 0x45 };

	for (int from = 0; from < 256; from++) {
		for (int to = 0; to < 256; to++) {
			uint8_t ip[20] = { 0x45, (uint8_t)from, 0, 20, 1, 2,  0, 0, 64,
					   17,	 [12] = 10,	0, 0,  1, 10, 0, 0, 2 };
			uint16_t sum = wire_ip4_checksum(ip, 20);
			struct ip_info info;

			memcpy(ip + 10, &sum, 2);
			tunnel_tos_set(ip, false, (uint8_t)to);
			assert_int_equal(wire_ip_parse(ip, 20, 20, &info), WIRE_OK);
			assert_int_equal(info.tos, to);
		}
	}
	tunnel_tos_set(v6, true, 0x5c);
	assert_int_equal(v6[0], 0x65);
	assert_int_equal(v6[1], 0xc1);
	assert_int_equal(v6[2], 0x23);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_outer_tos_follows_the_policy),
		cmocka_unit_test(df_and_id_go_together),
		cmocka_unit_test(ipv4_headers_are_right_in_every_field),
		cmocka_unit_test(udp_stands_behind_ip),
		cmocka_unit_test(ipv6_headers_are_right_in_every_field),
		cmocka_unit_test(the_flow_label_follows_the_policy),
		cmocka_unit_test(the_hash_tells_flows_apart_and_keeps_pieces_together),
		cmocka_unit_test(bad_parameters_are_refused),
		cmocka_unit_test(a_map_is_looked_at_whole),
		cmocka_unit_test(ecn_is_the_table_of_rfc_6040),
		cmocka_unit_test(the_mtu_is_the_largest_that_fits),
		cmocka_unit_test(transport_mode_counts_its_own_header),
		cmocka_unit_test(the_tos_octet_is_rewritten_with_its_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
