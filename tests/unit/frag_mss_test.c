#include "unit.h"

#include <netinet/in.h>

#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#include "eal.h"
#include "frag/mss.h"
#include "wire/ip.h"
#include "worker/pkt_fill.h"

#define SYN	0x02
#define SYN_ACK 0x12
#define ACK	0x10
#define RST	0x04
#define OPTIONS 40
#define UNKNOWN 0 /* no MSS is looked for */

static struct rte_mempool *pool;

struct row {
	const char *what;
	uint8_t flags;
	uint16_t n;
	uint8_t options[OPTIONS];
	uint16_t at;	/* of the MSS in these; UNKNOWN: the packet has to stay as it is */
	uint16_t want4; /* with an mtu of 1400 */
};

static const struct row rows[] = {
	{ "a SYN of Ethernet", SYN, 4, { 2, 4, 0x05, 0xb4 }, 2, 1360 },
	{ "a SYN with all that hosts send",
	  SYN,
	  20,
	  { 2, 4, 0x23, 0x00, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7 },
	  2,
	  1360 },
	{ "the answer", SYN_ACK, 4, { 2, 4, 0x05, 0xb4 }, 2, 1360 },
	{ "on an odd octet", SYN, 8, { 1, 2, 4, 0x05, 0xb4, 1, 1, 0 }, 3, 1360 },
	{ "behind NOPs", SYN, 8, { 1, 1, 1, 1, 2, 4, 0xff, 0xff }, 6, 1360 },
	{ "one above", SYN, 4, { 2, 4, 0x05, 0x51 }, 2, 1360 },
	{ "what fits", SYN, 4, { 2, 4, 0x05, 0x50 }, 0, 0 },
	{ "what is smaller is not raised", SYN, 4, { 2, 4, 0x02, 0x18 }, 0, 0 },
	{ "no SYN", ACK, 4, { 2, 4, 0x05, 0xb4 }, 0, 0 },
	{ "no option", SYN, 0, { 0 }, 0, 0 },
	{ "behind the end of the list", SYN, 8, { 0, 0, 0, 0, 2, 4, 0x05, 0xb4 }, 0, 0 },
	{ "an option of length 0", SYN, 8, { 8, 0, 2, 4, 0x05, 0xb4, 1, 1 }, 0, 0 },
	{ "an option of length 1", SYN, 8, { 8, 1, 2, 4, 0x05, 0xb4, 1, 1 }, 0, 0 },
	{ "an option beyond the header", SYN, 8, { 8, 9, 2, 4, 0x05, 0xb4, 1, 1 }, 0, 0 },
	{ "an MSS of length 3", SYN, 4, { 2, 3, 0x05, 0xb4 }, 0, 0 },
	{ "an MSS that is cut off", SYN, 4, { 1, 1, 2, 4 }, 0, 0 },
	{ "a kind at the very end", SYN, 4, { 1, 1, 1, 2 }, 0, 0 },
};

static struct rte_mbuf *
packet(const struct row *r, bool v6, uint16_t ip_options)
{
	uint16_t ip = v6 ? 40 : 20 + ip_options, tcp = 20 + r->n, total = ip + tcp + 3;
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_tcp_hdr *h = (struct rte_tcp_hdr *)(at + ip);
	struct ip_info info;

	m->data_len = total;
	m->pkt_len = total;
	memset(at, 0, total);
	memset(at + ip, 0x5a, 12);
	h->data_off = (uint8_t)(tcp / 4 << 4);
	h->tcp_flags = r->flags;
	memcpy(at + ip + 20, r->options, r->n);
	memcpy(at + ip + tcp, "end", 3);
	if (v6) {
		memcpy(at, (uint8_t[]) { 0x60, 0, 0, 0, 0, (uint8_t)(total - 40), IPPROTO_TCP, 9 },
		       8);
		at[8] = at[24] = 0xfd;
	} else {
		memcpy(at,
		       (uint8_t[]) { (uint8_t)(0x40 | ip / 4),
				     0,
				     0,
				     (uint8_t)total,
				     0,
				     0,
				     0,
				     0,
				     9,
				     IPPROTO_TCP,
				     0,
				     0,
				     10,
				     0,
				     0,
				     1,
				     10,
				     0,
				     0,
				     2 },
		       20);
		memset(at + 20, RTE_IPV4_HDR_OPT_NOP, ip_options);
		memcpy(at + 10, &(uint16_t) { wire_ip4_checksum(at, ip) }, 2);
	}
	assert_int_equal(wire_ip_parse(at, total, total, &info), WIRE_OK);
	pkt_reset(pkt_of(m), 0);
	pkt_fill(pkt_of(m), &info);
	wire_l4_checksum_set(m, ip, offsetof(struct rte_tcp_hdr, cksum), IPPROTO_TCP);
	return m;
}

static void
row_check(const struct row *r, bool v6, uint16_t ip_options)
{
	struct rte_mbuf *m = packet(r, v6, ip_options);
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *), before[200], after[200];
	uint16_t n = m->data_len, l4 = pkt_of(m)->l4_off;
	bool changed;

	memcpy(before, at, n);
	changed = mss_clamp(m, 1400 + (v6 ? 20 : 0));
	if (changed != (r->at != UNKNOWN))
		fail_msg("%s: %s", r->what, changed ? "changed" : "left");
	if (changed) {
		before[l4 + 20 + r->at] = (uint8_t)(r->want4 >> 8);
		before[l4 + 20 + r->at + 1] = (uint8_t)r->want4;
		memcpy(after, at, n);
		wire_l4_checksum_set(m, l4, offsetof(struct rte_tcp_hdr, cksum), IPPROTO_TCP);
		if (memcmp(after, at, n) != 0)
			fail_msg("%s: a wrong checksum", r->what);
		memcpy(before + l4 + 16, at + l4 + 16, 2);
	}
	if (memcmp(before, at, n) != 0)
		fail_msg("%s: other octets changed", r->what);
	rte_pktmbuf_free(m);
}

static void
the_mss_is_lowered_and_nothing_else(void **state)
{
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		row_check(&rows[i], false, 0);
		row_check(&rows[i], false, 8);
		row_check(&rows[i], true, 0);
	}
}

static void
other_packets_stay(void **state)
{
	struct rte_mbuf *m = packet(&rows[0], false, 0);
	struct pkt *p = pkt_of(m);

	p->proto = IPPROTO_UDP;
	assert_false(mss_clamp(m, 1400));
	p->proto = IPPROTO_TCP;
	p->flags |= PKT_FRAG_LATER;
	assert_false(mss_clamp(m, 1400));
	p->flags = PKT_FRAG_FIRST;
	assert_false(mss_clamp(m, 40));
	assert_true(mss_clamp(m, 1400));
	rte_pktmbuf_free(m);
	for (uint16_t n = 0; n < 44; n++) {
		m = packet(&rows[0], false, 0);
		m->data_len = n;
		m->pkt_len = n;
		assert_false(mss_clamp(m, 1400));
		rte_pktmbuf_free(m);
	}
	m = packet(&rows[0], false, 0);
	rte_pktmbuf_mtod(m, uint8_t *)[20 + 12] = 0x40; /* a header shorter than TCP's */
	assert_false(mss_clamp(m, 1400));
	rte_pktmbuf_free(m);
}

/* A header over two segments is brought together. */
static void
chains_are_read(void **state)
{
	for (uint16_t cut = 20; cut < 44; cut++) {
		struct rte_mbuf *m = packet(&rows[0], false, 0), *rest = rte_pktmbuf_alloc(pool);
		uint16_t n = m->data_len - cut;
		uint8_t want[100], *at = rte_pktmbuf_mtod(m, uint8_t *);

		memcpy(rte_pktmbuf_append(rest, n), at + cut, n);
		m->data_len = cut;
		m->next = rest;
		m->nb_segs = 2;
		assert_true(mss_clamp(m, 1400));
		memcpy(want, rte_pktmbuf_read(m, 0, m->pkt_len, want), m->pkt_len);
		assert_int_equal(wire_be16(want + 42), 1360);
		rte_pktmbuf_free(m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_mss_is_lowered_and_nothing_else),
		cmocka_unit_test(other_packets_stay),
		cmocka_unit_test(chains_are_read),
	};

	if (test_eal_init() < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("pool", 63, 0, sizeof(struct pkt),
				       RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
	if (pool == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
