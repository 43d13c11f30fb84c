#include "unit.h"

#include <errno.h>

#include <rte_mbuf.h>
#include <rte_random.h>

#include "eal.h"
#include "icmp/icmp.h"
#include "icmp/icmp_stage.h"
#include "wire/ip.h"
#include "worker/pkt_fill.h"
#include "worker/worker.h"

#define MS    UINT64_C(1000000)
#define RED   0
#define BLACK 1

static struct rte_mempool *pool, *answers;
static struct worker worker;
static struct view view;

static struct icmp_source
source(const char *text, uint8_t len, uint8_t port)
{
	struct icmp_source s = { .len = len, .port = port, .red = port == RED };

	assert_true(addr_parse(text, &s.addr));
	return s;
}

static void
sources_set(const struct icmp_source *list, uint32_t n)
{
	struct icmp_sources *s;

	icmp_sources_free((struct icmp_sources *)(uintptr_t)view.icmp);
	assert_int_equal(icmp_sources_create(list, n, &s, NULL), 0);
	view.icmp = s;
}

static int
setup(void **state)
{
	const struct icmp_source list[] = {
		source("192.0.2.1", 24, BLACK), source("10.9.0.1", 16, RED),
		source("10.1.0.1", 16, RED),	source("2001:db8::1", 64, BLACK),
		source("fe80::1", 64, RED),	source("fd01::1", 64, RED),
	};

	worker = (struct worker) { .pool = answers, .view = &view, .now = 1000 * MS };
	sources_set(list, RTE_DIM(list));
	return icmp_worker_init(NULL, SOCKET_ID_ANY, &worker.icmp, NULL);
}

static int
teardown(void **state)
{
	struct pending *out = &worker.pending[STAGE_SPD_MATCH];

	while (out->n > 0)
		rte_pktmbuf_free(out->pkts[--out->n]);
	icmp_worker_fini(worker.icmp);
	icmp_sources_free((struct icmp_sources *)(uintptr_t)view.icmp);
	view.icmp = NULL;
	return rte_mempool_avail_count(pool) == pool->size &&
			       rte_mempool_avail_count(answers) == answers->size ?
		       0 :
		       -1;
}

struct packet {
	const char *src, *dst;
	uint8_t proto, type; /* type: the first octet of the payload */
	uint16_t frag;	     /* IPv4 flags and offset, or a fragment header's */
	uint32_t n;	     /* octets, IP header included; 0 = 100 */
	uint8_t reply;	     /* 0 = too big */
	uint8_t flags;	     /* enum pkt_flags beside those of the header */
	uint16_t mtu;
	uint16_t first; /* octets in the first segment; 0 = all */
};

static uint16_t
header_write(uint8_t *ip, const struct packet *p, uint32_t n)
{
	struct addr src, dst;
	uint16_t sum;

	assert_true(addr_parse(p->src, &src) && addr_parse(p->dst, &dst));
	if (src.family == 6) {
		memcpy(ip,
		       (uint8_t[8]) { 0x60, 0, 0, 0, (uint8_t)((n - 40) >> 8), (uint8_t)(n - 40),
				      p->proto, 9 },
		       8);
		memcpy(ip + 8, src.octets, 16);
		memcpy(ip + 24, dst.octets, 16);
		if (p->frag == 0)
			return 40;
		ip[6] = IPPROTO_FRAGMENT;
		memcpy(ip + 40,
		       (uint8_t[8]) { p->proto, 0, (uint8_t)(p->frag >> 8), (uint8_t)p->frag }, 8);
		return 48;
	}
	memcpy(ip,
	       (uint8_t[12]) { 0x45, 0, (uint8_t)(n >> 8), (uint8_t)n, 0, 7,
			       (uint8_t)(p->frag >> 8), (uint8_t)p->frag, 9, p->proto },
	       12);
	memcpy(ip + 12, src.octets, 4);
	memcpy(ip + 16, dst.octets, 4);
	sum = wire_ip4_checksum(ip, 20);
	memcpy(ip + 10, &sum, 2);
	return 20;
}

/* The packet, in one segment or two. */
static struct rte_mbuf *
packet(const struct packet *p)
{
	uint32_t n = p->n != 0 ? p->n : 100, first = p->first != 0 ? p->first : n;
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool), *rest;
	static uint8_t octets[2000];
	struct ip_info info;

	for (uint32_t i = 0; i < n; i++)
		octets[i] = (uint8_t)(i * 7);
	octets[header_write(octets, p, n)] = p->type;
	memcpy(rte_pktmbuf_append(m, (uint16_t)first), octets, first);
	if (first < n) {
		rest = rte_pktmbuf_alloc(pool);
		memcpy(rte_pktmbuf_append(rest, (uint16_t)(n - first)), octets + first, n - first);
		assert_int_equal(rte_pktmbuf_chain(m, rest), 0);
	}
	assert_int_equal(wire_ip_parse(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, m->pkt_len,
				       &info),
			 WIRE_OK);
	pkt_reset(pkt_of(m), (p->flags & PKT_FROM_SA) != 0 ? BLACK : RED);
	pkt_fill(pkt_of(m), &info);
	pkt_of(m)->flags |= p->flags;
	pkt_of(m)->mtu = p->mtu;
	pkt_of(m)->reply = p->reply != 0 ? p->reply : ICMP_REPLY_TOO_BIG;
	return m;
}

/* Lets the stage have it. Returns the answer, borrowed, or NULL. */
static struct rte_mbuf *
answer_to(const struct packet *p)
{
	struct pending *out = &worker.pending[STAGE_SPD_MATCH];
	uint16_t before = out->n;
	struct rte_mbuf *m = packet(p);

	assert_int_equal(icmp_reply(&worker, &m, 1), 0);
	return out->n > before ? out->pkts[out->n - 1] : NULL;
}

/* The answer is whole: lengths, both checksums, struct pkt. */
static const uint8_t *
answer_check(const struct rte_mbuf *m, bool v6)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct pkt *p = pkt_of(m);
	uint16_t head = v6 ? 40 : 20;
	struct ip_info info;

	assert_int_equal(wire_ip_parse(ip, m->data_len, m->pkt_len, &info), WIRE_OK);
	assert_int_equal(info.total, m->pkt_len);
	assert_int_equal(info.ttl, 64);
	assert_int_equal(p->flags & (PKT_OWN | PKT_FROM_SA | PKT_V6), PKT_OWN | (v6 ? PKT_V6 : 0));
	assert_int_equal(p->l4_off, info.l4_off);
	assert_int_equal(p->last_nh_off, info.last_nh_off);
	assert_int_equal(p->proto, info.proto);
	assert_int_equal(p->proto, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	assert_int_equal(p->tos, info.tos);
	assert_int_equal(p->sa, SA_NONE);
	assert_int_equal(p->policy, POLICY_NONE);
	assert_int_equal(p->next_hop, NEXT_HOP_NONE);
	if (v6)
		assert_int_equal(rte_ipv6_udptcp_cksum_verify((const struct rte_ipv6_hdr *)ip,
							      ip + head),
				 0);
	else
		assert_int_equal(rte_raw_cksum(ip + head, m->pkt_len - head), 0xffff);
	return ip + head;
}

static const struct {
	const char *what;
	struct packet packet;
	const char *from;
	uint8_t type, code;
	uint32_t mtu, size;
} told[] = {
	{ "too big, IPv4",
	  { "10.1.2.3", "10.2.0.9", .proto = 17, .n = 1500, .mtu = 1446 },
	  "10.1.0.1",
	  3,
	  4,
	  1446,
	  576 },
	{ "too big, IPv6",
	  { "fd01::7", "fd02::9", .proto = 17, .n = 1500, .mtu = 1426 },
	  "fd01::1",
	  2,
	  0,
	  1426,
	  1280 },
	{ "a short packet is quoted whole",
	  { "10.1.2.3", "10.2.0.9", .proto = 17, .mtu = 90 },
	  "10.1.0.1",
	  3,
	  4,
	  90,
	  128 },
	{ "a short IPv6 packet too",
	  { "fd01::7", "fd02::9", .proto = 17, .mtu = 1400 },
	  "fd01::1",
	  2,
	  0,
	  1400,
	  148 },
	{ "no IPv4 sender is told less than 68",
	  { "10.1.2.3", "10.2.0.9", .proto = 17, .mtu = 10 },
	  "10.1.0.1",
	  3,
	  4,
	  68,
	  128 },
	{ "no IPv6 sender is told less than 1280",
	  { "fd01::7", "fd02::9", .proto = 17, .n = 1500, .mtu = 1000 },
	  "fd01::1",
	  2,
	  0,
	  1280,
	  1280 },
	{ "time exceeded, IPv4",
	  { "10.1.2.3", "10.2.0.9", .proto = 17, .reply = ICMP_REPLY_TIME_EXCEEDED, .mtu = 9 },
	  "10.1.0.1",
	  11,
	  0,
	  0,
	  128 },
	{ "time exceeded, IPv6",
	  { "fd01::7", "fd02::9", .proto = 17, .reply = ICMP_REPLY_TIME_EXCEEDED, .mtu = 9 },
	  "fd01::1",
	  3,
	  0,
	  0,
	  148 },
	{ "a chain is quoted over its segments",
	  { "10.1.2.3", "10.2.0.9", .proto = 17, .n = 1500, .mtu = 1446, .first = 101 },
	  "10.1.0.1",
	  3,
	  4,
	  1446,
	  576 },
	{ "the address on the sender's link answers",
	  { "10.9.2.3", "10.2.0.9", .proto = 17, .mtu = 90 },
	  "10.9.0.1",
	  3,
	  4,
	  90,
	  128 },
	{ "the first of the port for a sender behind a router",
	  { "10.7.2.3", "10.2.0.9", .proto = 17, .mtu = 90 },
	  "10.9.0.1",
	  3,
	  4,
	  90,
	  128 },
	{ "A2.11: out of an SA the protected side answers",
	  { "10.2.0.9", "10.1.2.3", .proto = 17, .reply = ICMP_REPLY_TIME_EXCEEDED,
	    .flags = PKT_FROM_SA },
	  "10.1.0.1",
	  11,
	  0,
	  0,
	  128 },
	{ "for IPv6 too",
	  { "fd02::9", "fd01::7", .proto = 17, .reply = ICMP_REPLY_TIME_EXCEEDED,
	    .flags = PKT_FROM_SA },
	  "fd01::1",
	  3,
	  0,
	  0,
	  148 },
	{ "a link-local sender gets a link-local answer",
	  { "fe80::7", "fd02::9", .proto = 17, .mtu = 1400 },
	  "fe80::1",
	  2,
	  0,
	  1400,
	  148 },
	{ "IPv6 multicast learns its path's MTU",
	  { "fd01::7", "ff0e::9", .proto = 17, .mtu = 1400 },
	  "fd01::1",
	  2,
	  0,
	  1400,
	  148 },
	{ "about an echo request",
	  { "10.1.2.3", "10.2.0.9", .proto = 1, .type = 8, .mtu = 90 },
	  "10.1.0.1",
	  3,
	  4,
	  90,
	  128 },
	{ "about an ICMPv6 echo reply",
	  { "fd01::7", "fd02::9", .proto = 58, .type = 129, .mtu = 1400 },
	  "fd01::1",
	  2,
	  0,
	  1400,
	  148 },
	{ "about a first fragment",
	  { "10.1.2.3", "10.2.0.9", .proto = 17, .frag = 0x2000, .mtu = 90 },
	  "10.1.0.1",
	  3,
	  4,
	  90,
	  128 },
};

static void
senders_are_told(void **state)
{
	for (size_t i = 0; i < RTE_DIM(told); i++) {
		const struct packet *p = &told[i].packet;
		struct rte_mbuf *m = answer_to(p);
		struct addr from, to;
		const uint8_t *icmp, *ip;
		struct rte_mbuf *original = packet(p);
		uint8_t copy[2000];
		bool v6;

		if (m == NULL)
			fail_msg("%s: no answer", told[i].what);
		assert_true(addr_parse(told[i].from, &from) && addr_parse(p->src, &to));
		v6 = from.family == 6;
		icmp = answer_check(m, v6);
		ip = rte_pktmbuf_mtod(m, const uint8_t *);
		if (icmp[0] != told[i].type || icmp[1] != told[i].code ||
		    m->pkt_len != told[i].size)
			fail_msg("%s: type %u, code %u, %u octets", told[i].what, icmp[0], icmp[1],
				 m->pkt_len);
		if (rte_be_to_cpu_32(wire_load32(icmp + 4)) != told[i].mtu)
			fail_msg("%s: MTU %u", told[i].what,
				 rte_be_to_cpu_32(wire_load32(icmp + 4)));
		if (memcmp(wire_ip_src(ip, v6), from.octets, v6 ? 16 : 4) != 0)
			fail_msg("%s: from another address", told[i].what);
		assert_memory_equal(wire_ip_dst(ip, v6), to.octets, v6 ? 16 : 4);
		assert_memory_equal(icmp + 8,
				    rte_pktmbuf_read(original, 0,
						     m->pkt_len - (uint32_t)(icmp - ip) - 8, copy),
				    m->pkt_len - (uint32_t)(icmp - ip) - 8);
		rte_pktmbuf_free(original);
		worker.now += 1000 * MS;
	}
	assert_int_equal(worker.generated[GENERATED_ICMP], RTE_DIM(told));
	assert_int_equal(worker.drops[DROP_TOO_BIG] + worker.drops[DROP_TTL], RTE_DIM(told));
	assert_int_equal(worker.drops[DROP_TTL], icmp_counters(worker.icmp).time_exceeded);
	assert_int_equal(worker.drops[DROP_TOO_BIG], icmp_counters(worker.icmp).too_big);
}

static const struct {
	const char *what;
	struct packet packet;
} untold[] = {
	{ "an ICMP error", { "10.1.2.3", "10.2.0.9", .proto = 1, .type = 3 } },
	{ "a redirect", { "10.1.2.3", "10.2.0.9", .proto = 1, .type = 5 } },
	{ "time exceeded", { "10.1.2.3", "10.2.0.9", .proto = 1, .type = 11 } },
	{ "an ICMP type nobody knows", { "10.1.2.3", "10.2.0.9", .proto = 1, .type = 200 } },
	{ "an ICMP packet without a type", { "10.1.2.3", "10.2.0.9", .proto = 1, .n = 20 } },
	{ "an ICMPv6 error", { "fd01::7", "fd02::9", .proto = 58, .type = 2 } },
	{ "an ICMPv6 error nobody knows", { "fd01::7", "fd02::9", .proto = 58, .type = 127 } },
	{ "an ICMPv6 redirect", { "fd01::7", "fd02::9", .proto = 58, .type = 137 } },
	{ "a later fragment", { "10.1.2.3", "10.2.0.9", .proto = 17, .frag = 0x2001 } },
	{ "the last fragment", { "10.1.2.3", "10.2.0.9", .proto = 17, .frag = 1 } },
	{ "a later IPv6 fragment", { "fd01::7", "fd02::9", .proto = 17, .frag = 8 } },
	{ "multicast", { "10.1.2.3", "224.0.0.9", .proto = 17 } },
	{ "IPv6 multicast whose hops are used up",
	  { "fd01::7", "ff0e::9", .proto = 17, .reply = ICMP_REPLY_TIME_EXCEEDED } },
	{ "broadcast", { "10.1.2.3", "255.255.255.255", .proto = 17 } },
	{ "a link's broadcast", { "10.1.2.3", "192.0.2.255", .proto = 17 } },
	{ "from no address", { "0.0.0.0", "10.2.0.9", .proto = 17 } },
	{ "from this network's host 7", { "0.0.0.7", "10.2.0.9", .proto = 17 } },
	{ "from loopback", { "127.0.0.1", "10.2.0.9", .proto = 17 } },
	{ "from multicast", { "224.0.0.1", "10.2.0.9", .proto = 17 } },
	{ "from broadcast", { "255.255.255.255", "10.2.0.9", .proto = 17 } },
	{ "from a link's broadcast", { "10.1.255.255", "10.2.0.9", .proto = 17 } },
	{ "from no IPv6 address", { "::", "fd02::9", .proto = 17 } },
	{ "from IPv6 loopback", { "::1", "fd02::9", .proto = 17 } },
	{ "from IPv6 multicast", { "ff02::1", "fd02::9", .proto = 17 } },
	{ "our own", { "10.1.0.1", "10.2.0.9", .proto = 17, .flags = PKT_OWN } },
};

static void
some_are_never_told(void **state)
{
	for (size_t i = 0; i < RTE_DIM(untold); i++) {
		if (answer_to(&untold[i].packet) != NULL)
			fail_msg("%s: answered", untold[i].what);
		worker.now += 1000 * MS;
	}
	assert_int_equal(icmp_counters(worker.icmp).forbidden, RTE_DIM(untold));
	assert_int_equal(worker.drops[DROP_TOO_BIG] + worker.drops[DROP_TTL], RTE_DIM(untold));
	assert_int_equal(worker.generated[GENERATED_ICMP], 0);
}

static void
without_an_address_nobody_answers(void **state)
{
	const struct icmp_source only4[] = { source("10.1.0.1", 16, RED) };
	struct packet v6 = { "fd01::7", "fd02::9", .proto = 17 };

	sources_set(only4, 1);
	assert_null(answer_to(&v6));
	sources_set(NULL, 0);
	assert_null(answer_to(&(struct packet) { "10.1.2.3", "10.2.0.9", .proto = 17 }));
	icmp_sources_free((struct icmp_sources *)(uintptr_t)view.icmp);
	view.icmp = NULL;
	assert_null(answer_to(&v6));
	assert_int_equal(icmp_counters(worker.icmp).no_source, 3);
	assert_int_equal(worker.drops[DROP_TOO_BIG], 3);
}

/* A new pair of addresses each time: the pause between two about one pair does not count. */
static bool
one_more(uint32_t i)
{
	char src[32];

	snprintf(src, sizeof(src), "10.1.%u.%u", i >> 8 & 255, (i & 127) + 1);
	return answer_to(&(struct packet) { src, "10.2.0.9", .proto = 17 }) != NULL;
}

static void
a_worker_keeps_to_its_rate(void **state)
{
	const struct icmp_limits limits = { .per_second = 100, .burst = 5, .pause_ms = 0 };
	uint32_t sent = 0;

	icmp_worker_fini(worker.icmp);
	assert_int_equal(icmp_worker_init(&limits, SOCKET_ID_ANY, &worker.icmp, NULL), 0);
	for (uint32_t i = 0; i < 20; i++)
		sent += one_more(i);
	assert_int_equal(sent, 5);
	worker.now += 10 * MS - 1;
	assert_false(one_more(100));
	worker.now += 1;
	assert_true(one_more(101));
	assert_false(one_more(102));
	/* A long silence saves up one burst and no more. */
	worker.now += 3600 * 1000 * MS;
	for (uint32_t i = 0; i < 20; i++)
		sent += one_more(i);
	assert_int_equal(sent, 10);
	assert_int_equal(icmp_counters(worker.icmp).limited, 15 + 2 + 15);
	assert_int_equal(worker.drops[DROP_TOO_BIG], 43);
}

static void
one_pair_of_addresses_is_answered_once_in_a_while(void **state)
{
	struct packet one = { "10.1.2.3", "10.2.0.9", .proto = 17 },
		      six = { "fd01::7", "fd02::9", .proto = 17 };
	struct rte_mbuf *m;

	assert_non_null(answer_to(&one));
	assert_null(answer_to(&one));
	assert_non_null(answer_to(&six));
	assert_null(answer_to(&six));
	worker.now += 100 * MS - 1;
	assert_null(answer_to(&one));
	worker.now += 1;
	m = answer_to(&one);
	assert_non_null(m);
	assert_int_equal(icmp_counters(worker.icmp).limited, 3);
}

static void
no_mbuf_is_survived(void **state)
{
	struct rte_mbuf *all[32];
	uint16_t n = (uint16_t)rte_mempool_avail_count(answers);

	assert_in_range(n, 1, RTE_DIM(all));
	assert_int_equal(rte_pktmbuf_alloc_bulk(answers, all, n), 0);
	assert_null(answer_to(&(struct packet) { "10.1.2.3", "10.2.0.9", .proto = 17 }));
	rte_pktmbuf_free_bulk(all, n);
	assert_int_equal(icmp_counters(worker.icmp).no_mbuf, 1);
	assert_int_equal(worker.generated[GENERATED_ICMP], 0);
	assert_int_equal(worker.drops[DROP_TOO_BIG], 1);
}

static void
bad_limits_are_refused(void **state)
{
	static const struct icmp_limits bad[] = { { 0, 50, 100 },
						  { 1000, 0, 100 },
						  { 1000001, 1, 0 } };

	for (size_t i = 0; i < RTE_DIM(bad); i++) {
		struct err err = { "" };
		struct icmp_worker *iw;

		assert_int_equal(icmp_worker_init(&bad[i], SOCKET_ID_ANY, &iw, &err), -EINVAL);
		assert_true(err.text[0] != 0);
	}
}

#define WITH_WORKER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_WORKER(senders_are_told),
		WITH_WORKER(some_are_never_told),
		WITH_WORKER(without_an_address_nobody_answers),
		WITH_WORKER(a_worker_keeps_to_its_rate),
		WITH_WORKER(one_pair_of_addresses_is_answered_once_in_a_while),
		WITH_WORKER(no_mbuf_is_survived),
		WITH_WORKER(bad_limits_are_refused),
	};

	if (test_eal_init() < 0)
		return 1;
	rte_srand(1); /* which pairs of addresses share a slot */
	pool = rte_pktmbuf_pool_create("packets", 255, 0, sizeof(struct pkt),
				       RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	answers = rte_pktmbuf_pool_create("answers", 31, 0, sizeof(struct pkt),
					  RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (pool == NULL || answers == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
