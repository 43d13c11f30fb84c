/* Peers that move: which packets from elsewhere control hears of. */
#include "unit.h"

#include "drivers.h"
#include "eal.h"
#include "esp/made.h"
#include "path_rig.h"

#define MBUFS 256
#define MS    UINT64_C(1000000)

enum {
	V4,
	V6,
	CLEAR, /* not in UDP */
};

static struct path_rig rig;
static struct rte_mbuf *sent;

static uint16_t
keep(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	assert_int_equal(n, 1);
	sent = pkts[0];
	cell_add(&w->tx_packets, n);
	return 0;
}

static int
setup(void **state)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	static const struct rig_suite suites[] = {
		{ ALG_AES_GCM_128, .esn = true, .window = 64, .udp = true, .dummies = true },
		{ ALG_AES_GCM_128, .window = 64, .v6 = true, .udp = true, .dummies = true },
		{ ALG_AES_GCM_128, .window = 64, .dummies = true },
	};
	struct rte_mempool *pool;
	struct err err;

	assert_int_equal(port_pool_create("packets", MBUFS, 1500, SOCKET_ID_ANY, &pool, &err), 0);
	path_rig_make(&rig, &(struct rig_params) { .engines = engines,
						   .n_engines = RTE_DIM(engines),
						   .pool = pool,
						   .sink = keep });
	for (size_t i = 0; i < RTE_DIM(suites); i++)
		path_rig_sa(&rig, &suites[i]);
	return 0;
}

/* A packet of the peer's, as it would send it from 198.51.100.host (2001:db8:ffff::host) and port;
 * the checksums of a NAT are right.
 */
static struct rte_mbuf *
from_peer(uint32_t n, uint8_t host, uint16_t port)
{
	struct rte_udp_hdr *udp;
	struct rte_mbuf *m;
	bool v6 = n == V6;
	uint8_t *ip, copy[16];
	size_t size = v6 ? 16 : 4;

	assert_int_equal(esp_dummies_make(rig.w, rig.sa[n].out, &m, 1), 1);
	pipe_run(rig.w, STAGE_LIFE_COUNT_OUT, &m, 1);
	rte_pktmbuf_mtod(sent, struct rte_ether_hdr *)->dst_addr = rig.links[RIG_BLACK].mac;
	ip = rte_pktmbuf_mtod_offset(sent, uint8_t *, RTE_ETHER_HDR_LEN);
	memcpy(copy, ip + (v6 ? 8 : 12), size);
	memcpy(ip + (v6 ? 8 : 12), ip + (v6 ? 24 : 16), size);
	memcpy(ip + (v6 ? 24 : 16), copy, size);
	ip[v6 ? 23 : 15] = host;
	if (!v6) {
		struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;

		h->hdr_checksum = 0;
		h->hdr_checksum = wire_ip4_checksum(h, sizeof(*h));
	}
	if (n == CLEAR)
		return sent;
	udp = (struct rte_udp_hdr *)(ip + (v6 ? 40 : 20));
	udp->src_port = rte_cpu_to_be_16(port);
	if (v6) {
		rte_pktmbuf_adj(sent, RTE_ETHER_HDR_LEN);
		wire_l4_checksum_set(sent, 40, offsetof(struct rte_udp_hdr, dgram_cksum), 17);
		rte_pktmbuf_prepend(sent, RTE_ETHER_HDR_LEN);
	}
	return sent;
}

static bool
told(struct mapping_event *m)
{
	struct worker_event e;
	bool found = false;

	*m = (struct mapping_event) { .sa = SA_NONE };
	while (mailbox_event(rig.w, &e))
		if (e.kind == EVENT_MAPPING) {
			assert_false(found);
			*m = e.mapping;
			found = true;
		}
	return found;
}

static void
a_peer_that_moves_is_told_of(void **state)
{
	static const struct {
		const char *what;
		uint32_t sa, ms; /* since the last */
		uint8_t host;
		uint16_t port;
		bool told;
	} cases[] = {
		{ "where the SA says", V4, 0, 0, 4500, false },
		{ "another port", V4, 0, 0, 4501, true },
		{ "the same again", V4, 0, 0, 4501, false },
		{ "the same again, a second later", V4, 1000, 0, 4501, false },
		{ "and once more a second later: nobody may have heard of it", V4, 1000, 0, 4501,
		  true },
		{ "another address", V4, 1000, 77, 4501, true },
		{ "yet another port, too soon", V4, 999, 77, 4502, false },
		{ "it is still there after a second", V4, 1, 77, 4502, true },
		{ "another SA has a second of its own", V6, 0, 9, 4500, true },
		{ "IPv6, another port", V6, 1000, 9, 65535, true },
		{ "back home", V4, 1000, 0, 4500, false },
		{ "without UDP there is no mapping", CLEAR, 1000, 99, 0, false },
	};

	rig.w->now = 5000 * MS;
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		bool v6 = cases[i].sa == V6;
		uint64_t consumed = rig.w->consumed[CONSUMED_DUMMY];
		struct rte_mbuf *m;
		struct mapping_event e;
		uint8_t host = cases[i].host;

		if (host == 0)
			host = (uint8_t)cases[i].sa;
		rig.w->now += cases[i].ms * MS;
		m = from_peer(cases[i].sa, host, cases[i].port);
		path_rig_feed(&rig, RIG_BLACK, &m, 1);
		if (rig.w->consumed[CONSUMED_DUMMY] != consumed + 1)
			fail_msg("%s: not accepted", cases[i].what);
		if (told(&e) != cases[i].told)
			fail_msg("%s: told %d", cases[i].what, !cases[i].told);
		if (!cases[i].told)
			continue;
		assert_int_equal(e.sa, rig.sa[cases[i].sa].in);
		assert_int_equal(e.generation, sa_at(&rig.sas, e.sa)->generation);
		assert_int_equal(e.port, cases[i].port);
		assert_int_equal(e.family, v6 ? 6 : 4);
		assert_int_equal(e.address[v6 ? 15 : 3], host);
	}
}

static void
forgers_are_not_told_of(void **state)
{
	struct rte_mbuf *m, *copy;
	struct mapping_event e;

	rig.w->now += 10000 * MS;
	m = from_peer(V4, 200, 4500);
	*rte_pktmbuf_mtod_offset(m, uint8_t *, m->pkt_len - 1) ^= 1;
	path_rig_feed(&rig, RIG_BLACK, &m, 1);
	assert_int_equal(rig.w->drops[DROP_ICV_FAIL], 1);
	assert_false(told(&e));
	/* A replay from elsewhere is a forgery too. */
	m = from_peer(V4, V4, 4500);
	copy = rte_pktmbuf_copy(m, rig.pool, 0, UINT32_MAX);
	assert_non_null(copy);
	path_rig_feed(&rig, RIG_BLACK, &m, 1);
	rte_pktmbuf_mtod_offset(copy, struct rte_udp_hdr *, 34)->src_port = RTE_BE16(9);
	path_rig_feed(&rig, RIG_BLACK, &copy, 1);
	assert_int_equal(rig.w->drops[DROP_REPLAY_DUP], 1);
	assert_false(told(&e));
	assert_int_equal(rte_mempool_avail_count(rig.pool), MBUFS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_that_moves_is_told_of),
		cmocka_unit_test(forgers_are_not_told_of),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, NULL);
}
