#include "unit.h"

#include <netinet/in.h>

#include <rte_ip.h>
#include <rte_ip_frag.h>
#include <rte_mbuf.h>

#include "eal.h"
#include "frag/cut.h"
#include "frag/frag.h"
#include "frag/frag_stage.h"
#include "pipe/pipe.h"
#include "wire/ip.h"
#include "worker/pkt_fill.h"
#include "worker/worker.h"

#define BUFFERS	  2048
#define OCTETS	  2048
#define WHOLE_MAX 65535

static struct rte_mempool *pool, *small;
static uint64_t seed = 88172645463325252;

static uint32_t
random_below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16) % n;
}

/* A chain of these octets, cut at random, the headers in its first segment; described. */
static struct rte_mbuf *
chain_of(const uint8_t *octets, uint32_t n, uint32_t first)
{
	struct rte_mbuf *m = NULL, *last = NULL;
	struct ip_info info;
	uint32_t at = 0;

	while (at < n) {
		struct rte_mbuf *seg = rte_pktmbuf_alloc(pool);
		uint32_t take = 1 + random_below(OCTETS);

		if (at == 0)
			take = RTE_MAX(take, first);
		take = RTE_MIN(take, n - at);
		assert_non_null(seg);
		memcpy(rte_pktmbuf_append(seg, take), octets + at, take);
		at += take;
		if (m == NULL) {
			m = last = seg;
			continue;
		}
		last->next = seg;
		last = seg;
		m->nb_segs++;
		m->pkt_len += take;
	}
	assert_int_equal(wire_ip_parse(octets, n, n, &info), WIRE_OK);
	pkt_reset(pkt_of(m), 3);
	pkt_fill(pkt_of(m), &info);
	m->port = 5;
	return m;
}

static void
octets_fill(uint8_t *at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		at[i] = (uint8_t)random_below(256);
}

/* An option with its length, or a NOP; returns its octets. */
static uint16_t
option_random(uint8_t *at, uint16_t room)
{
	static const uint8_t kinds[] = { 7, 68, 130, 131, 137, 148, 0x86 };
	uint16_t size = 2 + random_below(10);

	if (room < size || random_below(4) == 0) {
		*at = RTE_IPV4_HDR_OPT_NOP;
		return 1;
	}
	at[0] = kinds[random_below(RTE_DIM(kinds))];
	at[1] = (uint8_t)size;
	octets_fill(at + 2, size - 2);
	return size;
}

/* A packet of n octets with hl octets of header. */
static void
packet4(uint8_t *ip, uint16_t hl, uint32_t n, uint16_t field)
{
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;
	uint16_t at = sizeof(*h);

	octets_fill(ip, n);
	h->version_ihl = (uint8_t)(0x40 | hl / 4);
	h->total_length = rte_cpu_to_be_16((uint16_t)n);
	h->fragment_offset = rte_cpu_to_be_16(field);
	while (at < hl)
		at += option_random(ip + at, hl - at);
	h->hdr_checksum = 0;
	h->hdr_checksum = wire_ip4_checksum(h, hl);
}

/* The naive model of a later piece's header: a list of what is copied, padded with zeros. */
static uint16_t
model_later4(uint8_t *to, const uint8_t *ip, uint16_t hl)
{
	uint16_t n = 20;

	memset(to, 0, 60);
	memcpy(to, ip, 20);
	for (uint16_t at = 20; at < hl;) {
		uint16_t size = ip[at] == 1 ? 1 : ip[at + 1];

		if (ip[at] >> 7)
			memcpy(to + n, ip + at, size);
		n += ip[at] >> 7 ? size : 0;
		at += size;
	}
	n = (n + 3) / 4 * 4;
	to[0] = (uint8_t)(0x40 | n / 4);
	return n;
}

/* Each piece by what the model says of it, its headers first, then its data. */
static void
pieces4_check(struct rte_mbuf **pieces, uint16_t n, const uint8_t *ip, uint16_t hl, uint32_t len,
	      uint16_t field, uint16_t mtu)
{
	uint16_t chunk = (mtu - hl) / 8 * 8;
	uint32_t at = hl;
	uint8_t want[60];

	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *piece = rte_pktmbuf_mtod(pieces[i], const uint8_t *);
		uint16_t head = i == 0 ? hl : model_later4(want, ip, hl), off;
		uint32_t size = RTE_MIN((uint32_t)chunk, len - at);
		struct ip_info info;

		if (i == 0)
			memcpy(want, ip, hl);
		assert_int_equal(pieces[i]->nb_segs, 1);
		assert_int_equal(pieces[i]->pkt_len, head + size);
		assert_true(pieces[i]->pkt_len <= mtu && pieces[i]->pkt_len == pieces[i]->data_len);
		assert_int_equal(wire_ip_parse(piece, head + size, head + size, &info), WIRE_OK);
		off = (uint16_t)((field & 0x1fff) + i * (chunk / 8));
		off |= i + 1 < n || (field & 0x2000) ? 0x2000 : 0;
		off |= field & 0xc000;
		assert_int_equal(wire_be16(piece + 6), off);
		memcpy(want + 2, piece + 2, 2);
		memcpy(want + 6, piece + 6, 2);
		memcpy(want + 10, piece + 10, 2);
		assert_memory_equal(piece, want, head);
		assert_memory_equal(piece + head, ip + at, size);
		assert_int_equal(pkt_of(pieces[i])->l4_off, head);
		assert_int_equal(pkt_of(pieces[i])->flags & PKT_IP_FLAGS,
				 info.flags & PKT_IP_FLAGS);
		assert_int_equal(pieces[i]->port, 5);
		at += size;
	}
	assert_int_equal(at, len);
}

static void
ipv4_is_cut_as_the_model_says(void **state)
{
	static uint8_t ip[WHOLE_MAX], spoilt[WHOLE_MAX];
	struct rte_mbuf *pieces[CUT_PIECES_MAX];

	for (int round = 0; round < 3000; round++) {
		uint16_t hl = 20 + 4 * random_below(11), n = 0, mtu = 68 + random_below(1900);
		uint32_t len = hl + 1 + random_below(random_below(8) == 0 ? 65000 : 6000);
		uint16_t field = random_below(3) != 0 ? 0 : (uint16_t)random_below(0x4000);
		const struct cut c = { .mtu = mtu, .max = CUT_PIECES_MAX };
		uint32_t chunk = (mtu - hl) / 8 * 8,
			 want = chunk == 0 ? 0 : (len - hl + chunk - 1) / chunk;
		enum drop_reason why;
		struct rte_mbuf *m;

		len = RTE_MIN(len, (uint32_t)WHOLE_MAX);
		packet4(ip, hl, len, field);
		m = chain_of(ip, len, hl);
		why = cut_up(m, &c, pool, pieces, &n);
		if (want == 0 || want > c.max || (field & 0x1fff) * 8u + len > WHOLE_MAX) {
			assert_int_equal(why, DROP_TOO_BIG);
			rte_pktmbuf_free(m);
			continue;
		}
		assert_int_equal(why, DROP_NONE);
		assert_int_equal(n, (len - hl + chunk - 1) / chunk);
		/* What is written into the packet, or into one piece, is seen in no other. */
		for (struct rte_mbuf *seg = m; seg != NULL; seg = seg->next)
			memset(rte_pktmbuf_mtod(seg, uint8_t *), 0xee, seg->data_len);
		octets_fill(spoilt, rte_pktmbuf_tailroom(pieces[0]));
		memcpy(rte_pktmbuf_mtod_offset(pieces[0], uint8_t *, pieces[0]->data_len), spoilt,
		       rte_pktmbuf_tailroom(pieces[0]));
		pieces4_check(pieces, n, ip, hl, len, field, mtu);
		rte_pktmbuf_free(m);
		rte_pktmbuf_free_bulk(pieces, n);
	}
	assert_int_equal(rte_mempool_avail_count(pool), BUFFERS);
}

/* DPDK's own fragmentation as the oracle, where it can: eight pieces, no fragment of a fragment. */
static void
ipv4_is_cut_as_dpdk_does(void **state)
{
	static uint8_t ip[WHOLE_MAX];
	struct rte_mbuf *pieces[CUT_PIECES_MAX], *theirs[8];

	for (int round = 0; round < 1000; round++) {
		uint16_t mtu = 68 + random_below(1400), n = 0, chunk = (mtu - 20) / 8 * 8;
		uint32_t len = 20 + 1 + random_below(8u * chunk);
		const struct cut c = { .mtu = mtu, .max = 8 };
		struct rte_mbuf *m;
		int32_t rc;

		packet4(ip, 20, len, 0);
		m = chain_of(ip, len, 20);
		assert_int_equal(cut_up(m, &c, pool, pieces, &n), DROP_NONE);
		/* It asks for a multiple of 8 behind the header. */
		rc = rte_ipv4_fragment_packet(m, theirs, 8, 20 + chunk, pool, pool);
		assert_int_equal(rc, n);
		for (uint16_t i = 0; i < n; i++) {
			uint8_t copy[OCTETS];
			const uint8_t *piece = rte_pktmbuf_mtod(pieces[i], const uint8_t *);
			const uint8_t *their =
				rte_pktmbuf_read(theirs[i], 0, theirs[i]->pkt_len, copy);

			assert_int_equal(pieces[i]->pkt_len, theirs[i]->pkt_len);
			assert_memory_equal(piece, their, 10);
			assert_memory_equal(piece + 12, their + 12, pieces[i]->pkt_len - 12);
		}
		rte_pktmbuf_free_bulk(theirs, n);
		rte_pktmbuf_free_bulk(pieces, n);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rte_mempool_avail_count(pool), BUFFERS);
}

static void
a_datagram_without_an_id_gets_one(void **state)
{
	uint8_t ip[1000];
	struct rte_mbuf *pieces[CUT_PIECES_MAX], *m;
	uint16_t ids = 0xffff, n;
	const struct cut c = { .mtu = 576, .max = CUT_PIECES_MAX, .ipv4_id = &ids };

	packet4(ip, 20, sizeof(ip), 0x4000);
	m = chain_of(ip, sizeof(ip), 20);
	assert_int_equal(cut_up(m, &c, pool, pieces, &n), DROP_NONE);
	assert_int_equal(n, 2);
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *piece = rte_pktmbuf_mtod(pieces[i], const uint8_t *);

		assert_int_equal(wire_be16(piece + 4), 0);
		assert_int_equal(wire_be16(piece + 6), i == 0 ? 0x2000 : 552 / 8);
	}
	assert_int_equal(ids, 0);
	/* The packet itself still says what it said. */
	assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *), ip, 20);
	rte_pktmbuf_free_bulk(pieces, n);
	rte_pktmbuf_free(m);
}

/* Extension headers at random; returns the octets up to the upper layer, and in *split those in
 * front of a fragment header, by the words of RFC 8200 section 4.5. */
static uint16_t
packet6(uint8_t *ip, uint32_t n, uint16_t *split, uint16_t *name, bool *has)
{
	static const uint8_t kinds[] = { IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING,
					 IPPROTO_DSTOPTS };
	uint16_t at = 40, where = 6;

	octets_fill(ip, n);
	ip[0] = 0x60;
	*split = 40;
	*name = 6;
	for (size_t i = 0; i < RTE_DIM(kinds); i++) {
		uint8_t words = (uint8_t)random_below(3);

		if (random_below(2) == 0)
			continue;
		ip[where] = kinds[i];
		where = at;
		ip[at + 1] = words;
		at += (words + 1) * 8;
		if (kinds[i] != IPPROTO_DSTOPTS) {
			*split = at;
			*name = where;
		}
	}
	/* One that is there is not followed by another. */
	*has = random_below(3) == 0;
	if (*has) {
		ip[where] = IPPROTO_FRAGMENT;
		*split = at;
		*name = where;
		where = at;
		ip[at + 1] = 0;
		ip[at + 2] &= 0x1f;
		ip[at + 3] &= random_below(2) != 0 ? 0xf9 : 0;
		ip[at + 2] = ip[at + 3] == 0 ? 0 : ip[at + 2];
		at += 8;
	}
	ip[where] = IPPROTO_ESP;
	((struct rte_ipv6_hdr *)ip)->payload_len = rte_cpu_to_be_16((uint16_t)(n - 40));
	return at;
}

static void
ipv6_is_cut_as_the_model_says(void **state)
{
	static uint8_t ip[WHOLE_MAX + 40], want[300];
	struct rte_mbuf *pieces[CUT_PIECES_MAX];

	for (int round = 0; round < 3000; round++) {
		uint16_t split, name, n = 0, mtu = 1280 + random_below(700), chunk, field = 0;
		bool has;
		uint32_t len = 300 + random_below(random_below(8) == 0 ? 65000 : 6000), at;
		const struct cut c = {
			.mtu = mtu, .max = CUT_PIECES_MAX, .v6 = true, .id = 0x12345678
		};
		struct rte_mbuf *m;

		packet6(ip, len, &split, &name, &has);
		m = chain_of(ip, len, 300);
		if (has)
			field = wire_be16(ip + split + 2);
		if ((field & 0xfff8u) + len - split - 8 > WHOLE_MAX && has) {
			assert_int_equal(cut_up(m, &c, pool, pieces, &n), DROP_TOO_BIG);
			rte_pktmbuf_free(m);
			continue;
		}
		assert_int_equal(cut_up(m, &c, pool, pieces, &n), DROP_NONE);
		chunk = (mtu - split - 8) / 8 * 8;
		at = split + (has ? 8 : 0);
		for (uint16_t i = 0; i < n; i++) {
			const uint8_t *piece = rte_pktmbuf_mtod(pieces[i], const uint8_t *);
			uint32_t size = RTE_MIN((uint32_t)chunk, len - at), place;
			struct ip_info info;

			assert_int_equal(pieces[i]->data_len, split + 8 + size);
			assert_int_equal(wire_ip_parse(piece, pieces[i]->data_len,
						       pieces[i]->data_len, &info),
					 WIRE_OK);
			place = field + i * chunk;
			place |= i + 1 < n ? 1 : 0;
			assert_int_equal(info.flags, place == 0 ? IP_INFO_V6 :
						     (place & ~7u) == 0 ?
								  IP_INFO_V6 | IP_INFO_FRAG_FIRST :
								  IP_INFO_V6 | IP_INFO_FRAG_LATER);
			assert_int_equal(pkt_of(pieces[i])->flags & PKT_IP_FLAGS, info.flags);
			assert_int_equal(pkt_of(pieces[i])->l4_off, info.l4_off);
			memcpy(want, ip, split);
			memcpy(want + 4, piece + 4, 2);
			want[name] = IPPROTO_FRAGMENT;
			assert_memory_equal(piece, want, split);
			assert_int_equal(piece[split], ip[has ? split : name]);
			assert_int_equal(piece[split + 1], 0);
			assert_int_equal(wire_be16(piece + split + 2), place);
			assert_int_equal(wire_be32(piece + split + 4),
					 has ? wire_be32(ip + split + 4) : 0x12345678);
			assert_memory_equal(piece + split + 8, ip + at, size);
			at += size;
		}
		assert_int_equal(at, len);
		rte_pktmbuf_free_bulk(pieces, n);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rte_mempool_avail_count(pool), BUFFERS);
}

/* A4.10 */
static void
what_cannot_be_cut_is_refused(void **state)
{
	static const struct {
		const char *what;
		uint16_t hl, mtu, max, field;
		uint32_t len;
		enum drop_reason why;
	} cases[] = {
		{ "no room for 8 octets", 20, 27, 128, 0, 100, DROP_TOO_BIG },
		{ "room for 8 octets", 20, 28, 128, 0, 100, DROP_NONE },
		{ "none behind all options", 60, 67, 128, 0, 100, DROP_TOO_BIG },
		{ "an MTU of nothing", 20, 0, 128, 0, 100, DROP_TOO_BIG },
		{ "as many pieces as may be", 20, 576, 4, 0, 20 + 4 * 552, DROP_NONE },
		{ "one more", 20, 576, 4, 0, 20 + 4 * 552 + 1, DROP_TOO_BIG },
		{ "64 KiB over a link of 576", 20, 576, 128, 0, 65535, DROP_NONE },
		{ "the last fragment that there can be", 20, 576, 128, 7942, 1999, DROP_NONE },
		{ "a fragment behind the end of a datagram", 20, 576, 128, 7942, 2000,
		  DROP_TOO_BIG },
		{ "at the last offset", 20, 576, 128, 8191, 1000, DROP_TOO_BIG },
	};
	static uint8_t ip[WHOLE_MAX];
	struct rte_mbuf *pieces[CUT_PIECES_MAX], *m;
	uint16_t n;

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		const struct cut c = { .mtu = cases[i].mtu, .max = cases[i].max };
		enum drop_reason why;

		packet4(ip, cases[i].hl, cases[i].len, cases[i].field);
		m = chain_of(ip, cases[i].len, cases[i].hl);
		why = cut_up(m, &c, pool, pieces, &n);
		if (why != cases[i].why)
			fail_msg("%s: %d", cases[i].what, why);
		if (why == DROP_NONE)
			rte_pktmbuf_free_bulk(pieces, n);
		rte_pktmbuf_free(m);
	}
	packet4(ip, 20, 65535, 0);
	m = chain_of(ip, 65535, 20);
	assert_int_equal(cut_up(m, &(struct cut) { .mtu = 1500, .max = 128 }, small, pieces, &n),
			 DROP_NO_MBUF);
	assert_int_equal(rte_mempool_avail_count(small), 15);
	rte_pktmbuf_free(m);
	assert_int_equal(rte_mempool_avail_count(pool), BUFFERS);
}

static void
odd_options_end_the_list(void **state)
{
	static const struct {
		const char *what;
		uint8_t options[12], want[12];
		uint16_t n, n_want;
	} cases[] = {
		{ "a length of 0", { 130, 0, 1, 1 }, { 0 }, 4, 0 },
		{ "a length of 1", { 130, 1, 1, 1 }, { 0 }, 4, 0 },
		{ "a length beyond the header",
		  { 148, 4, 1, 2, 130, 5, 1, 1 },
		  { 148, 4, 1, 2 },
		  8,
		  4 },
		{ "an option without its length", { 1, 1, 1, 130 }, { 0 }, 4, 0 },
		{ "the end of the list", { 148, 4, 1, 2, 0, 148, 2, 1 }, { 148, 4, 1, 2 }, 8, 4 },
		{ "one that is copied behind one that is not",
		  { 7, 3, 4, 131, 3, 4, 1, 1 },
		  { 131, 3, 4, 0 },
		  8,
		  4 },
	};
	uint8_t ip[60] = { 0x45 }, to[60];

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		memcpy(ip + 20, cases[i].options, cases[i].n);
		if (cut_later_header4(to, ip, 20 + cases[i].n) != 20 + cases[i].n_want ||
		    memcmp(to + 20, cases[i].want, cases[i].n_want) != 0)
			fail_msg("%s", cases[i].what);
		assert_int_equal(to[0], 0x45 + cases[i].n_want / 4);
	}
}

/* Where the pieces went, by what they began with. */
static uint32_t n_seen, seen[64 * FRAG_INNER_MAX];

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *ip = rte_pktmbuf_mtod(pkts[i], const uint8_t *);

		seen[n_seen++] = (uint32_t)wire_be16(ip + 4) << 16 | (wire_be16(ip + 6) & 0x1fff);
		rte_pktmbuf_free(pkts[i]);
	}
	return 0;
}

/* More pieces than may wait for a stage: packets wait for room, and none is lost or overtaken. */
static void
many_packets_of_many_pieces_keep_their_order(void **state)
{
	static const struct stage_row rows[STAGE_MAX] = {
		[STAGE_HANDOFF_OUT] = { "handoff", sink, STAGE_MAX },
		[STAGE_NEIGH_WRITE_OUT] = { "neigh_write", sink, STAGE_MAX },
		[STAGE_FRAG_INNER] = { "frag_inner", frag_inner, STAGE_MAX },
		[STAGE_FRAG_OUTER] = { "frag_outer", frag_outer, STAGE_MAX },
	};
	static struct worker w;
	static struct pipe pipe;
	uint8_t ip[1300];

	pipe_build(&pipe, rows, 0);
	for (int outer = 0; outer < 2; outer++) {
		struct rte_mbuf *pkts[BURST_MAX];

		memset(&w, 0, sizeof(w));
		w.pipe = &pipe;
		w.pool = pool;
		w.burst = BURST_MAX;
		n_seen = 0;
		for (uint16_t i = 0; i < BURST_MAX; i++) {
			packet4(ip, 20, sizeof(ip), 0);
			ip[4] = 0;
			ip[5] = (uint8_t)i;
			memset(ip + 10, 0, 2);
			memcpy(ip + 10, &(uint16_t) { wire_ip4_checksum(ip, 20) }, 2);
			pkts[i] = chain_of(ip, sizeof(ip), 20);
			pkt_of(pkts[i])->mtu = 68;
		}
		pipe_run(&w, outer ? STAGE_FRAG_OUTER : STAGE_FRAG_INNER, pkts, BURST_MAX);
		assert_int_equal(n_seen, BURST_MAX * 27);
		assert_int_equal(w.split, BURST_MAX * 26);
		for (uint32_t i = 0; i < n_seen; i++)
			assert_int_equal(seen[i], i / 27 << 16 | i % 27 * 6);
		assert_int_equal(w.drops[DROP_PIPE_FULL], 0);
	}
	assert_int_equal(rte_mempool_avail_count(pool), BUFFERS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_is_cut_as_the_model_says),
		cmocka_unit_test(ipv4_is_cut_as_dpdk_does),
		cmocka_unit_test(a_datagram_without_an_id_gets_one),
		cmocka_unit_test(ipv6_is_cut_as_the_model_says),
		cmocka_unit_test(what_cannot_be_cut_is_refused),
		cmocka_unit_test(odd_options_end_the_list),
		cmocka_unit_test(many_packets_of_many_pieces_keep_their_order),
	};

	if (test_eal_init() < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("pool", BUFFERS, 0, sizeof(struct pkt),
				       RTE_PKTMBUF_HEADROOM + OCTETS, SOCKET_ID_ANY);
	small = rte_pktmbuf_pool_create("small", 15, 0, sizeof(struct pkt),
					RTE_PKTMBUF_HEADROOM + OCTETS, SOCKET_ID_ANY);
	if (pool == NULL || small == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
