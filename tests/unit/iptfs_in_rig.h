/* The stages of the receiver of IP-TFS, for the tests of them: payloads, and what came out of them.
 */
#ifndef TESTS_IPTFS_IN_RIG_H
#define TESTS_IPTFS_IN_RIG_H

#include "unit.h"

#include <netinet/in.h>

#include <rte_ip.h>
#include <rte_tcp.h>

#include "aggfrag/split.h"
#include "drivers.h"
#include "eal.h"
#include "esp/echo.h"
#include "iptfs/iptfs_stage.h"
#include "path_rig.h"

#define MBUFS	  700
#define MS	  UINT64_C(1000000)
#define DROP_TIME (10 * MS)
#define SEGMENT	  1800

static struct rte_mempool *pool;
static struct path_rig rig;
static struct rte_mbuf *left[2 * MBUFS];
static uint32_t n_left;
static uint64_t number, clock_ns;
static uint16_t burst;
static uint8_t outer_tos;

static inline uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	memcpy(left + n_left, pkts, n * sizeof(pkts[0]));
	n_left += n;
	cell_add(&w->tx_packets, n);
	return 0;
}

static inline void
up_with(const struct aggfrag_params *params, uint16_t lanes, bool echo)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };

	path_rig_make(&rig, &(struct rig_params) { .engines = engines,
						   .n_engines = RTE_DIM(engines),
						   .pool = pool,
						   .sink = sink });
	path_rig_sa(&rig, &(struct rig_suite) { ALG_AES_GCM_128, .esn = true, .window = 64,
						.lanes = lanes, .echo = echo, .iptfs = params });
	pipe_add(&rig.pipe, rig.rows, STAGE_IPTFS_SPLIT);
	burst = 32;
	n_left = 0;
	number = 0;
	outer_tos = 0;
	clock_ns = 1000 * MS;
	rig.w->now = clock_ns;
	clock_set(&rig.clock, clock_ns);
}

static inline int
up(void **state)
{
	up_with(&(struct aggfrag_params) { .on = true,
					   .reorder_window = 3,
					   .drop_time = DROP_TIME },
		0, false);
	return 0;
}

static inline int
down(void **state)
{
	assert_int_equal(iptfs_held(rig.w), 0);
	assert_true(path_rig_conserves(&rig));
	rte_pktmbuf_free_bulk(left, n_left);
	path_rig_free(&rig);
	assert_int_equal(rte_mempool_avail_count(pool), MBUFS);
	return 0;
}

static inline struct sa *
sa(void)
{
	return sa_at(&rig.sas, rig.sa[0].in);
}

/* What an SA's packet is when esp_strip has it: text behind the outer headers, which stay. What is
 * long comes in two segments.
 */
static inline void
give(uint8_t next_header, const void *text, uint16_t n, uint16_t lane, uint64_t seq)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool), *more;
	struct rte_ipv4_hdr *ip;
	uint16_t head = 20 + sa()->esp_size, first = RTE_MIN(n, SEGMENT);

	assert_non_null(m);
	ip = (struct rte_ipv4_hdr *)rte_pktmbuf_append(m, head + first);
	memset(ip, 0, head);
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	memcpy((uint8_t *)ip + head, text, first);
	rte_pktmbuf_adj(m, head);
	if (n > first) {
		more = rte_pktmbuf_alloc(pool);
		assert_non_null(more);
		memcpy(rte_pktmbuf_append(more, n - first), (const uint8_t *)text + first,
		       n - first);
		assert_int_equal(rte_pktmbuf_chain(m, more), 0);
	}
	*pkt_of(m) = (struct pkt) {
		.seq = seq,
		.sa = rig.sa[0].in,
		.generation = sa()->generation,
		.policy = POLICY_NONE,
		.next_hop = NEXT_HOP_NONE,
		.esp_off = 20,
		.text_len = n,
		.port = RIG_BLACK,
		.flags = PKT_FROM_SA,
		.next_header = next_header,
		.lane = lane,
		.tos = outer_tos,
		.outer_tos = outer_tos,
		.hot = sa(),
	};
	cell_add(&rig.w->rx_packets, 1);
	pipe_run(rig.w, STAGE_IPTFS_SPLIT, &m, 1);
}

/* As the worker's loop asks. */
static inline void
deliver(void)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n;

	do {
		n = iptfs_deliver(rig.w, NULL, pkts, burst);
		assert_true(n <= burst);
		pipe_run(rig.w, STAGE_ECN_DECAP, pkts, n);
	} while (n == burst);
}

static inline void
later(uint64_t ns)
{
	clock_ns += ns;
	clock_set(&rig.clock, clock_ns);
	rig.w->now = clock_ns;
	deliver();
}

/* ---- Payloads. ---- */

static struct {
	uint8_t octets[4000];
	uint16_t n;
} made;

static inline void
begin(uint16_t offset)
{
	memset(made.octets, 0, sizeof(made.octets));
	made.octets[2] = (uint8_t)(offset >> 8);
	made.octets[3] = (uint8_t)offset;
	made.n = WIRE_AGGFRAG_HEADER;
}

/* An inner packet of the far net for the near one. */
static inline struct rte_ipv4_hdr *
inner(uint16_t len, uint8_t proto)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(made.octets + made.n);

	memset(ip, 0, len);
	ip->version_ihl = RTE_IPV4_VHL_DEF;
	ip->total_length = rte_cpu_to_be_16(len);
	ip->time_to_live = 64;
	ip->next_proto_id = proto;
	ip->src_addr = RTE_BE32(0x0a020009);
	ip->dst_addr = RTE_BE32(0x0a010009);
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
	made.n += len;
	return ip;
}

static inline void
arrive_at(uint16_t lane)
{
	give(WIRE_AGGFRAG_NEXT_HEADER, made.octets, made.n, lane,
	     (uint64_t)lane << LANE_ID_SHIFT | ++number);
}

static inline void
arrive(void)
{
	arrive_at(0);
	deliver();
}

static inline void
expect_drops(enum drop_reason why, uint64_t n)
{
	assert_int_equal(rig.w->drops[why], n);
	assert_int_equal(rig_sum(rig.w->drops, DROP_MAX), n);
	assert_int_equal(sparse_get(rig.w->sparse, rig.sa[0].in, sa()->generation, why), n);
}

static inline uint64_t
count(enum aggfrag_in_count what)
{
	return sa_more(sa())->split[0].counts[what];
}

static inline void
behind_a_hole(void)
{
	number++;
	begin(0);
	inner(100, IPPROTO_UDP);
	arrive();
}

static inline void
half_a_packet(void)
{
	begin(0);
	inner(1000, IPPROTO_UDP);
	made.n -= 400;
	arrive();
}

static inline bool
pool_make(void)
{
	pool = rte_pktmbuf_pool_create("packets", MBUFS, 0, sizeof(struct pkt),
				       RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return pool != NULL;
}

#endif
