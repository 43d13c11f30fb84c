/* IPComp without packets: what is tried, what is left alone, what a header must be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <rte_byteorder.h>
#include <rte_ip.h>

#include "drivers.h"
#include "eal.h"
#include "ipcomp/ipcomp.h"

#define MS  UINT64_C(1000000)
#define CPI 0x13ee

static struct ipcomp_worker *iw;
static struct ipcomp_sa *is;

static void
sa_make(const struct ipcomp_params *p)
{
	struct err err;

	ipcomp_sa_free(is);
	assert_int_equal(ipcomp_sa_create(p, &is, &err), 0);
	iw->budget = (struct ipcomp_bucket) { 0 };
}

static void
sa_usual(bool xt, bool stored)
{
	sa_make(&(struct ipcomp_params) { .on = true,
					  .cpi = CPI,
					  .threshold = 128,
					  .max_output = 65535,
					  .xt = xt,
					  .stored = stored,
					  .n_cells = 1 });
}

/* ---- What is tried. ---- */

static uint8_t octets[80];

static struct ipcomp_packet
packet(uint8_t proto, uint16_t sport, uint16_t dport)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)octets;
	uint16_t ports[2] = { rte_cpu_to_be_16(sport), rte_cpu_to_be_16(dport) };

	memset(octets, 0, sizeof(octets));
	ip->version_ihl = 0x45;
	ip->next_proto_id = proto;
	ip->src_addr = RTE_BE32(0x0a010005);
	ip->dst_addr = RTE_BE32(0x0a020005);
	memcpy(octets + 20, ports, 4);
	return (struct ipcomp_packet) { .ip = octets,
					.contiguous = sizeof(octets),
					.len = 500,
					.payload = 500,
					.l4_off = 20,
					.proto = proto };
}

static enum ipcomp_count
asked(const struct ipcomp_packet *p, uint64_t now, struct ipcomp_slot **slot)
{
	return ipcomp_skip(iw, is, &is->cells[0], p, now, slot);
}

static void
some_are_never_tried(void **state)
{
	static const struct {
		const char *what;
		uint8_t proto;
		uint16_t sport, dport;
		enum ipcomp_count want;
	} cases[] = {
		{ "UDP", 17, 1000, 2000, IPCOMP_COUNTS_MAX },
		{ "TCP to HTTP", 6, 1000, 80, IPCOMP_COUNTS_MAX },
		{ "TCP to HTTPS", 6, 1000, 443, IPCOMP_SKIP_PORT },
		{ "TCP from HTTPS", 6, 443, 1000, IPCOMP_SKIP_PORT },
		{ "QUIC", 17, 443, 1000, IPCOMP_SKIP_PORT },
		{ "UDP-encapsulated ESP", 17, 4500, 4500, IPCOMP_SKIP_PORT },
		{ "SSH", 6, 22, 1000, IPCOMP_SKIP_PORT },
		{ "UDP from 22", 17, 22, 1000, IPCOMP_COUNTS_MAX },
		{ "IMAP over TLS", 6, 1000, 993, IPCOMP_SKIP_PORT },
		{ "POP over TLS", 6, 1000, 995, IPCOMP_SKIP_PORT },
		{ "ESP", 50, 0, 0, IPCOMP_SKIP_PROTOCOL },
		{ "AH", 51, 0, 0, IPCOMP_SKIP_PROTOCOL },
		{ "IPComp", 108, 0, 0, IPCOMP_SKIP_PROTOCOL },
		{ "ICMP, which has no ports", 1, 443, 443, IPCOMP_COUNTS_MAX },
	};
	struct ipcomp_slot *slot;
	struct ipcomp_packet p;

	sa_usual(false, false);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		p = packet(cases[i].proto, cases[i].sport, cases[i].dport);
		if (asked(&p, MS, &slot) != cases[i].want)
			fail_msg("%s", cases[i].what);
	}
	p = packet(17, 1, 2);
	p.payload = 127;
	assert_int_equal(asked(&p, MS, &slot), IPCOMP_SKIP_SMALL);
	p.payload = 128;
	assert_int_equal(asked(&p, MS, &slot), IPCOMP_COUNTS_MAX);
	p.fragment = true;
	assert_int_equal(asked(&p, MS, &slot), IPCOMP_SKIP_FRAGMENT);
	p.fragment = false;
	p.len = p.payload = 65536;
	assert_int_equal(asked(&p, MS, &slot), IPCOMP_SKIP_FRAGMENT);
	p = packet(17, 1, 2);
	p.v6 = true; /* its length field is 0 */
	assert_int_equal(asked(&p, MS, &slot), IPCOMP_SKIP_FRAGMENT);
}

static uint8_t noise[1400], text[1400];

static void
samples_fill(void)
{
	static const char words[] =
		"every packet stands alone, and what gets no smaller goes as it is; ";
	uint64_t seed = 0x9e3779b97f4a7c15;

	for (size_t i = 0; i < sizeof(noise); i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		noise[i] = (uint8_t)(seed >> 32);
		text[i] = (uint8_t)words[i % (sizeof(words) - 1)];
	}
}

/* One packet of a flow: how it went. */
static enum ipcomp_count
sent(const struct ipcomp_packet *p, const uint8_t *payload, uint64_t now)
{
	struct ipcomp_slot *slot;
	enum ipcomp_count why = asked(p, now, &slot);
	uint32_t size;

	if (why != IPCOMP_COUNTS_MAX)
		return why;
	return ipcomp_pack(iw, &is->cells[0], slot, payload, sizeof(noise), sizeof(noise) - 5,
			   &size);
}

static void
a_flow_that_does_not_shrink_is_left_alone(void **state)
{
	struct ipcomp_packet p = packet(17, 1, 2), other = packet(17, 1, 2);
	uint32_t looked = 0, n = 20000;

	sa_usual(false, false);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sent(&p, noise, MS), IPCOMP_SKIP_RANDOM);
	/* 1 << (fails + 2), from the third on. */
	for (int i = 0; i < 32; i++)
		assert_int_equal(sent(&p, text, MS), IPCOMP_SKIP_ADAPTIVE);
	assert_int_equal(sent(&p, noise, MS), IPCOMP_SKIP_RANDOM);
	for (int i = 0; i < 64; i++)
		assert_int_equal(sent(&p, text, MS), IPCOMP_SKIP_ADAPTIVE);
	for (uint32_t i = 0; i < n; i++)
		looked += sent(&p, noise, MS) != IPCOMP_SKIP_ADAPTIVE;
	assert_in_range(looked, n / 1100, n / 800);
	/* Another flow knows nothing of it. */
	memcpy(octets + 20, "\x11\x22\x33\x44", 4);
	assert_int_equal(sent(&other, text, MS), IPCOMP_OK);
	p = packet(17, 1, 2);
	while (sent(&p, text, MS) == IPCOMP_SKIP_ADAPTIVE)
		;
	assert_int_equal(sent(&p, text, MS), IPCOMP_OK);
}

static void
a_worker_compresses_no_more_than_its_budget(void **state)
{
	struct ipcomp_packet p = packet(17, 1, 2);
	uint64_t octets_sent = 0, more = 0;

	sa_usual(false, false);
	while (sent(&p, text, MS) == IPCOMP_OK)
		octets_sent += sizeof(text);
	assert_int_equal(sent(&p, text, MS), IPCOMP_SKIP_BUDGET);
	assert_in_range(octets_sent, 16 * iw->codec->octets_per_ms,
			16 * iw->codec->octets_per_ms + sizeof(text));
	while (sent(&p, text, 2 * MS) == IPCOMP_OK)
		more += sizeof(text);
	assert_in_range(more, iw->codec->octets_per_ms, iw->codec->octets_per_ms + sizeof(text));
}

/* ---- What comes in. ---- */

/* Of the extension's description, with CPI 2: UDP 5000 > 6000, length 108, checksum 0, 100 times
 * 'A'. */
static const uint8_t plain_vector[] = { 0x11, 0x00, 0x00, 0x02, 0x13, 0xee, 0x10, 0x2f, 0x60,
					0xc8, 0x61, 0x60, 0x70, 0xa4, 0x03, 0x00, 0x00 };
static const uint8_t xt_vector[] = { 0x11, 0x01, 0x00, 0x02, 0x13, 0x88, 0x17, 0x70, 0x63,
				     0xc8, 0x61, 0x60, 0x70, 0xa4, 0x03, 0x00, 0x00 };

static enum drop_reason
opened(const uint8_t *in, uint32_t len, struct ipcomp_output *out)
{
	const struct ipcomp_input input = { in, len, 65535, MS };

	return ipcomp_open(iw, is, &is->cells[0], &input, out);
}

static void
udp_check(const struct ipcomp_output *out)
{
	static const uint8_t head[8] = { 0x13, 0x88, 0x17, 0x70, 0, 108, 0, 0 };

	assert_int_equal(out->next_header, 17);
	assert_int_equal(out->len, 108);
	assert_memory_equal(out->octets, head, sizeof(head));
	for (int i = 8; i < 108; i++)
		assert_int_equal(out->octets[i], 'A');
}

static void
vectors_are_read(void **state)
{
	struct ipcomp_output out;

	sa_usual(false, false);
	is->params.cpi = 2;
	assert_int_equal(opened(plain_vector, sizeof(plain_vector), &out), DROP_NONE);
	udp_check(&out);
	sa_usual(true, false);
	is->params.cpi = 2;
	assert_int_equal(opened(plain_vector, sizeof(plain_vector), &out), DROP_NONE);
	udp_check(&out);
	assert_int_equal(opened(xt_vector, sizeof(xt_vector), &out), DROP_NONE);
	udp_check(&out);
	/* Without the extension the flag means nothing, and the ports are of the stream. */
	sa_usual(false, false);
	is->params.cpi = 2;
	assert_int_equal(opened(xt_vector, sizeof(xt_vector), &out), DROP_NONE);
	assert_int_not_equal(out.octets[0], 0x13);
}

static void
headers_are_checked(void **state)
{
	static const struct {
		const char *what;
		uint8_t head[8];
		uint32_t len;
		bool xt, stored;
		enum drop_reason want;
	} cases[] = {
		{ "nothing", { 0 }, 0, false, false, DROP_IPCOMP_SHORT },
		{ "half a header", { 17, 0, 0x13 }, 3, false, false, DROP_IPCOMP_SHORT },
		{ "a header alone", { 17, 0, 0x13, 0xee }, 4, false, false, DROP_IPCOMP_SHORT },
		{ "XT without all ports",
		  { 17, 1, 0x13, 0xee },
		  8,
		  true,
		  false,
		  DROP_IPCOMP_SHORT },
		{ "another CPI", { 17, 0, 0x13, 0xef }, 8, false, false, DROP_IPCOMP_CPI },
		{ "the well-known one", { 17, 0, 0, 2 }, 8, false, false, DROP_IPCOMP_CPI },
		{ "stored, not agreed", { 17, 0, 0xf0, 1 }, 8, true, false, DROP_IPCOMP_CPI },
		{ "stored", { 17, 0, 0xf0, 1 }, 8, false, true, DROP_NONE },
		{ "stored with XT", { 17, 1, 0xf0, 1 }, 8, true, true, DROP_IPCOMP_FLAGS },
		{ "XT, stored agreed alone",
		  { 17, 1, 0x13, 0xee },
		  8,
		  false,
		  true,
		  DROP_IPCOMP_FLAGS },
		{ "a flag of nobody's", { 17, 2, 0x13, 0xee }, 8, true, false, DROP_IPCOMP_FLAGS },
		{ "flags without the extension",
		  { 17, 0xff, 0x13, 0xee, 3, 0 },
		  6,
		  false,
		  false,
		  DROP_NONE },
		{ "XT of ICMP", { 1, 1, 0x13, 0xee }, 12, true, false, DROP_IPCOMP_XT_PROTO },
		{ "XT of a tunnel", { 4, 1, 0x13, 0xee }, 12, true, false, DROP_IPCOMP_XT_PROTO },
		{ "IPComp again", { 108, 0, 0x13, 0xee }, 12, false, false, DROP_IPCOMP_NESTED },
	};
	struct ipcomp_output out;
	uint8_t in[16];

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		enum drop_reason have;

		memset(in, 0, sizeof(in));
		memcpy(in, cases[i].head, sizeof(cases[i].head));
		sa_usual(cases[i].xt, cases[i].stored);
		have = opened(in, cases[i].len, &out);
		if (have != cases[i].want)
			fail_msg("%s: %s", cases[i].what, drop_names[have].name);
	}
	sa_usual(false, false);
	is->params.cpi = 2;
	is->off = true;
	assert_int_equal(opened(plain_vector, sizeof(plain_vector), &out), DROP_IPCOMP_CPI);
}

static void
what_comes_out_is_bounded(void **state)
{
	static uint8_t in[2048], zeros[60000];
	struct ipcomp_header h = { 4, 0, CPI };
	struct ipcomp_output out;
	uint32_t size, n = 0;

	sa_usual(false, false);
	ipcomp_header_write(in, &h);
	/* What networks carry may shrink as far as it goes; more than that is a bomb. */
	size = iw->codec->deflate(iw->cw, zeros, 16000, in + 4, sizeof(in) - 4);
	assert_int_equal(opened(in, 4 + size, &out), DROP_NONE);
	size = iw->codec->deflate(iw->cw, zeros, sizeof(zeros), in + 4, sizeof(in) - 4);
	assert_int_equal(opened(in, 4 + size, &out), DROP_IPCOMP_BOMB);
	is->params.max_output = 1000;
	size = iw->codec->deflate(iw->cw, zeros, 1000, in + 4, sizeof(in) - 4);
	assert_int_equal(opened(in, 4 + size, &out), DROP_NONE);
	size = iw->codec->deflate(iw->cw, zeros, 1001, in + 4, sizeof(in) - 4);
	assert_int_equal(opened(in, 4 + size, &out), DROP_IPCOMP_BOMB);
	/* And no SA makes a worker inflate for ever: bombs count as far as they went. */
	sa_usual(false, false);
	size = iw->codec->deflate(iw->cw, zeros, sizeof(zeros), in + 4, sizeof(in) - 4);
	while (opened(in, 4 + size, &out) == DROP_IPCOMP_BOMB)
		n++;
	assert_int_equal(opened(in, 4 + size, &out), DROP_IPCOMP_RATE);
	assert_in_range(n, 100, 2000);
}

static int
begin(void **state)
{
	static const struct codec *const codecs[] = { &codec_zlib };
	struct err err;

	samples_fill();
	return ipcomp_worker_init(codecs, 1, SOCKET_ID_ANY, &iw, &err);
}

static int
end(void **state)
{
	ipcomp_sa_free(is);
	ipcomp_worker_fini(iw);
	ipcomp_worker_fini(NULL);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_are_never_tried),
		cmocka_unit_test(a_flow_that_does_not_shrink_is_left_alone),
		cmocka_unit_test(a_worker_compresses_no_more_than_its_budget),
		cmocka_unit_test(vectors_are_read),
		cmocka_unit_test(headers_are_checked),
		cmocka_unit_test(what_comes_out_is_bounded),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, begin, end);
}
