/* Dummies and keepalives: made, sent by the whole way of a packet, and taken by the far end. */
#include "unit.h"

#include <netinet/in.h>

#include "drivers.h"
#include "eal.h"
#include "esp/made.h"
#include "path_bed.h"

#define MBUFS 512

/* clang-format off */
static const struct rig_suite suites[] = {
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .dummies = true },
	{ ALG_AES_GCM_256, .esn = true, .window = 64, .v6 = true, .dummies = true },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA256_128, .window = 64, .dummies = true },
	{ ALG_CHACHA20_POLY1305, .esn = true, .window = 64, .udp = true, .dummies = true },
	{ ALG_AES_CTR_128, ALG_HMAC_SHA1_96, .window = 64, .udp = true, .v6 = true, .dummies = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .pad_to = 333, .dummies = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .pad_to = 65535, .dummies = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .transport = true, .udp = true },
	{ ALG_AES_GCM_128, .esn = true, .window = 64, .transport = true, .udp = true, .v6 = true },
};
/* clang-format on */

static int
setup(void **state)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };

	bed_make(engines, RTE_DIM(engines), MBUFS);
	bed_sas(suites, RTE_DIM(suites));
	return 0;
}

/* Addresses change places, which no checksum notices: what we sent comes from the peer. */
static void
turn_round(struct rte_mbuf *m, bool v6)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, RTE_ETHER_HDR_LEN);
	uint8_t *src = ip + (v6 ? 8 : 12), copy[16];
	size_t n = v6 ? 16 : 4;

	memcpy(copy, src, n);
	memcpy(src, src + n, n);
	memcpy(src + n, copy, n);
	rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr = rig.links[RIG_BLACK].mac;
}

static void
give_back(bool v6)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n = n_sent;

	memcpy(pkts, sent, n * sizeof(pkts[0]));
	n_sent = 0;
	for (uint16_t i = 0; i < n; i++)
		turn_round(pkts[i], v6);
	path_rig_feed(&rig, RIG_BLACK, pkts, n);
	assert_int_equal(n_sent, 0);
	bed_check();
}

static void
dummies_round(uint32_t n)
{
	const struct rig_sa *sa = &rig.sa[n];
	uint64_t consumed = rig.w->consumed[CONSUMED_DUMMY];
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t smallest = UINT16_MAX, largest = 0;

	assert_int_equal(esp_dummies_make(rig.w, sa->out, pkts, 32), 32);
	pipe_run(rig.w, STAGE_LIFE_COUNT_OUT, pkts, 32);
	assert_int_equal(n_sent, 32);
	assert_int_equal(lane_used(&sa->lane), 32);
	for (uint16_t i = 0; i < n_sent; i++) {
		uint16_t size = (uint16_t)(sent[i]->pkt_len - RTE_ETHER_HDR_LEN);

		smallest = RTE_MIN(smallest, size);
		largest = RTE_MAX(largest, size);
	}
	assert_true(largest <= RIG_PATH_MTU);
	if (suites[n].pad_to != 0)
		assert_int_equal(smallest, largest);
	else
		assert_true(smallest + 100 < largest);
	give_back(suites[n].v6);
	assert_int_equal(rig.w->consumed[CONSUMED_DUMMY] - consumed, 32);
}

static void
dummies_are_consumed_by_the_far_end(void **state)
{
	for (uint32_t n = 0; n < RTE_DIM(suites); n++)
		if (suites[n].dummies)
			dummies_round(n);
}

static void
dummies_fill_the_path_where_pad_to_is_large(void **state)
{
	struct rte_mbuf *m;

	assert_int_equal(esp_dummies_make(rig.w, rig.sa[6].out, &m, 1), 1);
	assert_int_equal(m->pkt_len, sa_at(&rig.sas, rig.sa[6].out)->mtu);
	pipe_run(rig.w, STAGE_LIFE_COUNT_OUT, &m, 1);
	give_back(false);
}

static void
a_keepalive_is_one_octet_and_consumed_by_the_far_end(void **state)
{
	for (uint32_t n = 0; n < RTE_DIM(suites); n++) {
		uint64_t consumed = rig.w->consumed[CONSUMED_NAT_KEEPALIVE];
		bool v6 = suites[n].v6;
		struct rte_mbuf *m;

		if (!suites[n].udp)
			continue;
		m = esp_keepalive_make(rig.w, rig.sa[n].out);
		assert_non_null(m);
		assert_int_equal(m->pkt_len, (v6 ? 40 : 20) + 8 + 1);
		pipe_run(rig.w, STAGE_NEIGH_WRITE_OUT, &m, 1);
		assert_int_equal(n_sent, 1);
		give_back(v6);
		assert_int_equal(rig.w->consumed[CONSUMED_NAT_KEEPALIVE] - consumed, 1);
	}
}

static void
without_mbufs_nothing_is_made_and_nothing_counted(void **state)
{
	static struct rte_mbuf *all[MBUFS];
	struct rte_mbuf *pkts[BURST_MAX];
	uint32_t n = 0;

	while (n < MBUFS && (all[n] = rte_pktmbuf_alloc(rig.pool)) != NULL)
		n++;
	assert_int_equal(esp_dummies_make(rig.w, rig.sa[0].out, pkts, 8), 0);
	assert_null(esp_keepalive_make(rig.w, rig.sa[3].out));
	rte_pktmbuf_free(all[--n]);
	assert_int_equal(esp_dummies_make(rig.w, rig.sa[0].out, pkts, 8), 1);
	pipe_run(rig.w, STAGE_LIFE_COUNT_OUT, pkts, 1);
	rte_pktmbuf_free_bulk(all, n);
	give_back(false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dummies_are_consumed_by_the_far_end),
		cmocka_unit_test(dummies_fill_the_path_where_pad_to_is_large),
		cmocka_unit_test(a_keepalive_is_one_octet_and_consumed_by_the_far_end),
		cmocka_unit_test(without_mbufs_nothing_is_made_and_nothing_counted),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, NULL);
}
