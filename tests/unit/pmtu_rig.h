/* Outbound SAs with what is learnt of their paths, and routers that say something of them. */
#ifndef TESTS_PMTU_RIG_H
#define TESTS_PMTU_RIG_H

#include "unit.h"

#include <netinet/in.h>

#include "base/clock.h"
#include "pmtu/pmtu.h"
#include "sa/sa.h"
#include "seq/seq.h"
#include "wire/ip.h"

#define MS	UINT64_C(1000000)
#define MAX_SAS 4096
#define AGE_S	600
#define LANES	4

/* Of the test's SAs: the last number used, unless a case says another. */
#define USED 100000

struct bed {
	struct sa_table sas;
	struct lane lanes[8 * LANES];
	uint32_t n_lanes;
	struct pmtu *pmtu;
	uint16_t link;
	uint32_t applied;
	uint32_t told;
	struct pmtu_change change;
	/* The last probe. */
	uint16_t probed;
	uint64_t token;
	bool cannot_send;
	uint64_t now;
};

enum flavour {
	V4,
	V6,
	UDP,
	SUBSPACES,
	OFF,	/* believes no ICMP */
	LOW,	/* a floor of 576 */
	PROBED, /* and in UDP */
	FLAVOURS
};
static const struct {
	bool v6, udp, subspaces;
	struct pmtu_rules rules;
} flavours[FLAVOURS] = {
	[V4] = { false, false, false, { true, false, 1280, AGE_S } },
	[V6] = { true, false, false, { true, false, 576, AGE_S } },
	[UDP] = { false, true, false, { true, false, 1280, AGE_S } },
	[SUBSPACES] = { false, false, true, { true, false, 1280, AGE_S } },
	[OFF] = { false, false, false, { false, false, 1280, AGE_S } },
	[LOW] = { false, false, false, { true, false, 576, AGE_S } },
	[PROBED] = { false, true, false, { true, true, 1280, AGE_S } },
};

static inline uint16_t
allowed(void *ctx, uint32_t sa)
{
	const struct bed *b = ctx;

	return RTE_MIN(b->link, sa_cold(&b->sas, sa)->path_mtu);
}

static inline void
apply(void *ctx, uint32_t sa)
{
	struct bed *b = ctx;

	b->applied++;
}

static inline void
tell(void *ctx, const struct pmtu_change *change)
{
	struct bed *b = ctx;

	b->told++;
	b->change = *change;
}

static inline bool
send_probe(void *ctx, uint32_t sa, uint16_t size, uint64_t timeout, uint64_t token)
{
	struct bed *b = ctx;

	if (b->cannot_send)
		return false;
	b->probed = size;
	b->token = token;
	return true;
}

static inline struct addr
address(bool v6, bool peer, uint8_t last)
{
	struct addr a;

	assert_true(addr_parse(v6   ? peer ? "2001:db8:2::" : "2001:db8:1::" :
			       peer ? "198.51.100.0" :
				      "192.0.2.0",
			       &a));
	a.octets[v6 ? 15 : 3] = last;
	return a;
}

/* An outbound SA of a flavour, SPI 0x1000 and n, to peer n. */
static inline uint32_t
sa_add(struct bed *b, enum flavour f, uint8_t peer, uint32_t spi)
{
	static const uint8_t key[64];
	struct lane *lane = &b->lanes[b->n_lanes];
	struct sa_params p = {
		.ecn = true,
		.spi = spi,
		.src = address(flavours[f].v6, false, 1),
		.dst = address(flavours[f].v6, true, peer),
		.key = key,
		.salt = key,
		.auth_key = key,
		.udp = flavours[f].udp,
		.udp_src = 4500,
		.udp_dst = 4501,
		.path_mtu = 1500,
		.subspaces = flavours[f].subspaces,
		.lanes = flavours[f].subspaces ? LANES : 1,
		.lane = lane,
	};
	struct err err = { "" };
	uint32_t index;

	for (uint16_t i = 0; i < p.lanes; i++)
		lane_init(&lane[i], ((uint64_t)i << LANE_ID_SHIFT) + USED, UINT64_MAX);
	if (b->n_lanes + 2 * LANES <= RTE_DIM(b->lanes))
		b->n_lanes += p.lanes;
	p.outer = (struct tunnel_params) { .src = p.src,
					   .dst = p.dst,
					   .udp = p.udp,
					   .udp_src = 4500,
					   .udp_dst = 4501,
					   .proto = IPPROTO_ESP,
					   .ttl = 64 };
	assert_int_equal(suite_init(&p.suite, alg_find("aes-gcm-128", ALG_AEAD), NULL, 0, false,
				    true, &err),
			 0);
	if (sa_create(&b->sas, &p, b->now, &index, &err) < 0)
		fail_msg("%s", err.text);
	pmtu_sa_add(b->pmtu, index, &flavours[f].rules, b->now);
	return index;
}

static inline void
sa_end(struct bed *b, uint32_t index)
{
	pmtu_sa_del(b->pmtu, index);
	sa_retire(&b->sas, index);
	sa_destroy(&b->sas, index);
}

static inline int
setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct pmtu_params params = {
		.max_sas = MAX_SAS,
		.seed = 7,
		.ctx = b,
		.allowed = allowed,
		.apply = apply,
		.tell = tell,
	};
	struct err err;

	assert_non_null(b);
	b->link = 1500;
	b->now = 1000000 * MS;
	params.sas = &b->sas;
	assert_int_equal(sa_table_init(&b->sas, MAX_SAS, SOCKET_ID_ANY, &err), 0);
	assert_int_equal(pmtu_create(&params, &b->pmtu, &err), 0);
	pmtu_sender_set(b->pmtu, &(struct pmtu_sender) { b, send_probe, NULL });
	*state = b;
	return 0;
}

static inline int
teardown(void **state)
{
	struct bed *b = *state;

	for (uint32_t i = b->sas.records.n_chunks == 0 ? UINT32_MAX : slab_next(&b->sas.records, 0);
	     i != UINT32_MAX; i = slab_next(&b->sas.records, i + 1))
		sa_end(b, i);
	pmtu_free(b->pmtu);
	sa_table_fini(&b->sas);
	free(b);
	return 0;
}

/* A message of a router about a packet of the SA at peer 9 with SPI 0x1009. */
struct message {
	enum flavour flavour;
	uint32_t spi; /* 0: the right one */
	uint64_t number;
	uint32_t mtu;
	uint16_t quoted; /* length in the quoted header; 0: 1500 */
	uint8_t octets;	 /* that are quoted behind the IP header; 0: all that a router has room for
			  */
	bool raw;	 /* not in UDP, whatever the SA is */
	uint8_t proto;	 /* 0: the right one */
	uint16_t port;	 /* 0: the right one */
	uint8_t src, dst, to; /* last octets of addresses; 0: the right ones */
	bool later;	      /* it quotes a later fragment */
	uint8_t code;	      /* v4; 0: 4 */
};

static inline void
sum_put(uint8_t *message, size_t len, bool v6)
{
	uint8_t *icmp = message + (v6 ? 40 : 20);
	uint32_t n = (uint32_t)(len - (size_t)(icmp - message));
	uint64_t sum = 0;
	uint16_t folded;

	memset(icmp + 2, 0, 2);
	if (v6)
		sum = wire_sum(wire_swap16((uint16_t)n) + (uint64_t)wire_swap16(IPPROTO_ICMPV6),
			       message + 8, 32);
	folded = (uint16_t)~wire_sum_fold(wire_sum(sum, icmp, n));
	memcpy(icmp + 2, &folded, 2);
}

static inline void
ip_put(uint8_t *at, bool v6, uint8_t proto, uint16_t total, const struct addr *src,
       const struct addr *dst)
{
	if (v6) {
		memcpy(at, (uint8_t[8]) { 0x60, [6] = proto, 60 }, 8);
		total -= 40;
		memcpy(at + 4, (uint8_t[2]) { (uint8_t)(total >> 8), (uint8_t)total }, 2);
		memcpy(at + 8, src->octets, 16);
		memcpy(at + 24, dst->octets, 16);
		return;
	}
	memcpy(at,
	       (uint8_t[12]) { 0x45, 0, (uint8_t)(total >> 8), (uint8_t)total, [8] = 60, proto },
	       12);
	memcpy(at + 12, src->octets, 4);
	memcpy(at + 16, dst->octets, 4);
}

/* Into octets, of 256. Returns its length. */
static inline size_t
message_make(const struct message *m, uint8_t *octets)
{
	bool v6 = flavours[m->flavour].v6, udp = flavours[m->flavour].udp && !m->raw;
	size_t header = v6 ? 40 : 20, n = m->octets != 0 ? m->octets : 60;
	size_t len = 2 * header + 8 + n;
	uint8_t *icmp = octets + header, *quote = icmp + 8, *at = quote + header;
	struct addr router = address(v6, true, 254);
	struct addr us = address(v6, false, m->to != 0 ? m->to : 1);
	struct addr src = address(v6, false, m->src != 0 ? m->src : 1);
	struct addr dst = address(v6, true, m->dst != 0 ? m->dst : 9);
	uint8_t carried[60] = { 0 }, *esp = carried + (udp ? 8 : 0);
	uint32_t spi = rte_cpu_to_be_32(m->spi != 0 ? m->spi : 0x1009);
	uint64_t number = __builtin_bswap64(m->number);
	uint16_t port = m->port != 0 ? m->port : 4501;

	memset(octets, 0, 256);
	ip_put(octets, v6, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, (uint16_t)len, &router, &us);
	icmp[0] = v6 ? 2 : 3;
	icmp[1] = v6 ? 0 : m->code != 0 ? m->code : 4;
	for (int i = 0; i < 4; i++)
		icmp[4 + i] = (uint8_t)(m->mtu >> (24 - 8 * i));
	ip_put(quote, v6,
	       m->proto != 0 ? m->proto :
	       udp	     ? IPPROTO_UDP :
			       IPPROTO_ESP,
	       m->quoted != 0 ? m->quoted : 1500, &src, &dst);
	if (m->later)
		quote[7] = 5;
	if (udp)
		memcpy(carried,
		       (uint8_t[4]) { 4500 >> 8, 4500 & 255, (uint8_t)(port >> 8), (uint8_t)port },
		       4);
	memcpy(esp, &spi, 4);
	if (flavours[m->flavour].subspaces)
		memcpy(esp + 4, &number, 8);
	else
		memcpy(esp + 4, (uint8_t *)&number + 4, 4);
	memcpy(at, carried, n);
	sum_put(octets, len, v6);
	return len;
}

static inline enum pmtu_count
take(struct bed *b, const struct message *m)
{
	uint8_t octets[256];
	size_t len = message_make(m, octets);
	/* Exactly as long, for the sanitizer. */
	uint8_t *exact = malloc(len);
	enum pmtu_count what;

	assert_non_null(exact);
	memcpy(exact, octets, len);
	what = pmtu_icmp(b->pmtu, exact, (uint32_t)len, b->now);
	free(exact);
	return what;
}

#endif
