#include "unit.h"

#include <rte_mbuf.h>

#include "eal.h"
#include "tunnel/tunnel_stage.h"
#include "wire/ip.h"
#include "worker/pkt_fill.h"
#include "worker/ttl.h"
#include "worker/worker.h"

static struct rte_mempool *pool;
static struct worker worker;

static struct rte_mbuf *
packet(bool v6, uint8_t ttl, uint8_t tos)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *ip = (uint8_t *)rte_pktmbuf_append(m, v6 ? 40 : 20);
	struct ip_info info;
	uint16_t sum;

	memset(ip, 0, m->data_len);
	if (v6) {
		ip[0] = (uint8_t)(0x60 | tos >> 4);
		ip[1] = (uint8_t)(tos << 4);
		ip[6] = 59;
		ip[7] = ttl;
	} else {
		memcpy(ip, (uint8_t[20]) { 0x45, tos, 0,  20, 0x12, 0x34, 0,  0, ttl, 17,
					   0,	 0,   10, 0,  0,    ttl,  10, 9, 8,   7 },
		       20);
		sum = wire_ip4_checksum(ip, 20);
		memcpy(ip + 10, &sum, 2);
	}
	assert_int_equal(wire_ip_parse(ip, m->data_len, m->data_len, &info), WIRE_OK);
	pkt_reset(pkt_of(m), 3);
	pkt_fill(pkt_of(m), &info);
	return m;
}

/* What the header says now; its checksum has to be right. */
static struct ip_info
look(const struct rte_mbuf *m)
{
	struct ip_info info;

	assert_int_equal(wire_ip_parse(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len,
				       m->pkt_len, &info),
			 WIRE_OK);
	return info;
}

static void
ttl_is_counted_down_once(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		for (int ttl = 2; ttl < 256; ttl++) {
			struct rte_mbuf *m = packet(v6, (uint8_t)ttl, 0);

			assert_true(ttl_count(&worker, m, pkt_of(m)));
			assert_int_equal(look(m).ttl, ttl - 1);
			assert_true(ttl_count(&worker, m, pkt_of(m)));
			assert_int_equal(look(m).ttl, ttl - 1);
			rte_pktmbuf_free(m);
		}
	}
}

/* The sum's corner: RFC 1624 section 3, a checksum that becomes 0 or 0xffff. */
static void
ttl_keeps_every_checksum_right(void **state)
{
	struct rte_mbuf *m = packet(false, 64, 0);
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

	for (uint32_t id = 0; id < 65536; id++) {
		uint16_t sum;

		ip[4] = (uint8_t)(id >> 8);
		ip[5] = (uint8_t)id;
		ip[8] = 2;
		sum = wire_ip4_checksum(ip, 20);
		memcpy(ip + 10, &sum, 2);
		pkt_of(m)->flags = 0;
		assert_true(ttl_count(&worker, m, pkt_of(m)));
		memcpy(&sum, ip + 10, 2);
		assert_int_equal(sum, wire_ip4_checksum(ip, 20));
	}
	rte_pktmbuf_free(m);
}

static void
packets_without_a_hop_left_are_answered(void **state)
{
	struct pending *replies = &worker.pending[STAGE_ICMP_REPLY];

	for (int v6 = 0; v6 < 2; v6++) {
		for (uint8_t ttl = 0; ttl < 4; ttl++) {
			struct rte_mbuf *m = packet(v6, ttl, 0);

			replies->n = 0;
			assert_int_equal(ttl_count(&worker, m, pkt_of(m)), ttl > 1);
			assert_int_equal(replies->n, ttl <= 1);
			if (ttl <= 1) {
				assert_ptr_equal(replies->pkts[0], m);
				assert_int_equal(pkt_of(m)->reply, ICMP_REPLY_TIME_EXCEEDED);
				assert_int_equal(look(m).ttl, ttl);
			}
			rte_pktmbuf_free(m);
		}
	}
	replies->n = 0;
	worker.pushed = 0;
}

static void
our_own_packets_keep_their_ttl(void **state)
{
	struct rte_mbuf *m = packet(false, 1, 0);

	pkt_of(m)->flags |= PKT_OWN;
	assert_true(ttl_count(&worker, m, pkt_of(m)));
	assert_int_equal(look(m).ttl, 1);
	rte_pktmbuf_free(m);
}

/* One packet of each of the 16 pairs, in one burst; row A1.12. */
static void
ecn_of_all_pairs(void **state)
{
	/* [inner][outer]; 9 = dropped */
	static const uint8_t want[4][4] = {
		{ 0, 0, 0, 9 }, { 1, 1, 1, 3 }, { 2, 1, 2, 3 }, { 3, 3, 3, 3 }
	};

	for (int v6 = 0; v6 < 2; v6++) {
		struct rte_mbuf *pkts[16];
		uint64_t drops = worker.drops[DROP_ECN], odd = worker.ecn_odd;
		uint16_t at = 0;

		for (int i = 0; i < 16; i++) {
			pkts[i] = packet(v6, 64, (uint8_t)(0xb8 | i / 4));
			pkt_of(pkts[i])->outer_tos = (uint8_t)(0x28 | i % 4);
			pkt_of(pkts[i])->flags |= PKT_FROM_SA;
		}
		assert_int_equal(ecn_decap(&worker, pkts, 16), 15);
		for (int i = 0; i < 16; i++) {
			if (want[i / 4][i % 4] == 9)
				continue;
			assert_int_equal(look(pkts[at]).tos, 0xb8 | want[i / 4][i % 4]);
			assert_int_equal(pkt_of(pkts[at])->tos, 0xb8 | want[i / 4][i % 4]);
			rte_pktmbuf_free(pkts[at++]);
		}
		assert_int_equal(worker.drops[DROP_ECN], drops + 1);
		assert_int_equal(worker.ecn_odd, odd + 5);
	}
}

static void
nothing_leaks(void **state)
{
	assert_int_equal(rte_mempool_avail_count(pool), pool->size);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ttl_is_counted_down_once),
		cmocka_unit_test(ttl_keeps_every_checksum_right),
		cmocka_unit_test(packets_without_a_hop_left_are_answered),
		cmocka_unit_test(our_own_packets_keep_their_ttl),
		cmocka_unit_test(ecn_of_all_pairs),
		cmocka_unit_test(nothing_leaks),
	};

	if (test_eal_init() < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", 255, 0, sizeof(struct pkt),
				       RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (pool == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
