/* What a policy lookup costs: flows that the cache knows, flows that are new, by how many pairs of
 * prefix lengths are in use and by how many policies there are; and what a change costs at the
 * largest.
 *
 * Takes EAL arguments; then, behind --, how many policies the largest SPD has (a million).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_eal.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "perf.h"
#include "spd/spd.h"
#include "spd/spd_stage.h"
#include "worker/worker.h"

#define PACKETS 512u
#define ROUNDS	16 /* over all packets, in a window */
#define WINDOWS 301
#define TCP	6

static struct worker worker;
static struct rte_mbuf *pkts[PACKETS];
static struct rte_mempool *pool;

static void
die(const char *what, const struct err *err)
{
	fprintf(stderr, "%s: %s\n", what, err->text);
	exit(1);
}

/* Numbers far apart that never meet. */
static uint32_t
scatter(uint32_t i)
{
	return rte_cpu_to_be_32(i * 2654435761u);
}

static struct spd *
spd_make(uint32_t max)
{
	struct spd_params p = { .max_policies = max, .max_rules = max, .socket = SOCKET_ID_ANY };
	struct spd *spd;
	struct err err;

	if (spd_create(&p, &spd, &err) < 0)
		die("spd", &err);
	return spd;
}

static struct policy_params
params_of(uint64_t order, const struct spd_range *src, const struct spd_range *dst, bool v6)
{
	return (struct policy_params) {
		.direction = SPD_OUT,
		.action = POLICY_PROTECT,
		.order = order,
		.src = { .n_v4 = !v6, .n_v6 = v6, .v4 = src, .v6 = src },
		.dst = { .n_v4 = !v6, .n_v6 = v6, .v4 = dst, .v6 = dst },
		.protocol = SPD_ANY_PROTOCOL,
		.src_port = { 0, UINT16_MAX },
		.dst_port = { 0, UINT16_MAX },
		.dscp = SPD_ANY_DSCP,
		.sa = SA_NONE,
	};
}

static uint32_t
add(struct spd *spd, const struct policy_params *p)
{
	struct err err;
	uint32_t index;

	if (spd_add(spd, p, &index, &err) < 0)
		die("add", &err);
	return index;
}

/* From the net of number i to that of i + 1; length of each prefix. */
static uint32_t
add_nets(struct spd *spd, uint64_t order, uint32_t i, uint8_t length, bool v6)
{
	struct spd_range src, dst;
	uint8_t a[16] = { 0 }, b[16] = { 0 };
	uint32_t from = scatter(i), to = scatter(i + 1);
	struct policy_params p;

	memcpy(a, &from, sizeof(from));
	memcpy(b, &to, sizeof(to));
	spd_prefix(&src, a, length, v6);
	spd_prefix(&dst, b, length, v6);
	p = params_of(order, &src, &dst, v6);
	return add(spd, &p);
}

static void
packet_fill(struct rte_mbuf *m, uint32_t src, uint32_t dst, uint16_t port, bool v6)
{
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
	uint16_t length = v6 ? 40 : 20;
	struct pkt *p = pkt_of(m);
	uint16_t port_be = rte_cpu_to_be_16(port);

	memset(at, 0, 64);
	memcpy(at + (v6 ? 8 : 12), &src, 4);
	memcpy(at + (v6 ? 24 : 16), &dst, 4);
	memcpy(at + length + 2, &port_be, 2);
	m->data_len = m->pkt_len = 64;
	*p = (struct pkt) {
		.l4_off = length, .proto = TCP, .flags = v6 ? PKT_V6 : 0, .sa = SA_NONE
	};
}

/* Packets of n_flows flows, each between the hosts of one of n_nets policies. */
static void
packets_fill(uint32_t n_flows, uint32_t n_nets, bool v6)
{
	for (uint32_t i = 0; i < PACKETS; i++) {
		uint32_t flow = i % n_flows;
		uint32_t net = n_nets == 1 ? 0 : (flow * 7919u * 2) % n_nets & ~1u;

		packet_fill(pkts[i], scatter(net), scatter(net + 1), flow, v6);
	}
}

/* Near: the same burst again and again, as the stage before leaves one; else all packets in turn.
 * With fresh, every burst finds a new generation: nothing is known of any flow.
 */
static double
cycles(struct spd *spd, uint16_t burst, bool near, bool fresh)
{
	static struct perf perf;
	uint32_t policy[BURST_MAX], group[BURST_MAX];
	uint64_t found = 0;

	perf.n = 0;
	for (int i = 0; i < WINDOWS; i++) {
		uint64_t start = rte_rdtsc();

		for (int r = 0; r < ROUNDS; r++) {
			for (uint32_t at = 0; at + burst <= PACKETS; at += burst) {
				spd->generation += fresh;
				spd_lookup(&worker, spd, SPD_OUT, &pkts[near ? 0 : at], burst,
					   policy, group);
				found += policy[0] != SPD_NO_MATCH;
			}
		}
		perf_add(&perf, rte_rdtsc() - start, (uint64_t)ROUNDS * (PACKETS / burst) * burst);
	}
	if (found == 0)
		printf("nothing matched: ");
	return perf_median(&perf);
}

static void
bench_flows(bool v6)
{
	static const uint16_t bursts[] = { 32, 8, 1 };
	struct spd *spd = spd_make(4);

	add_nets(spd, 1, 0, 24, v6);
	spd_commit(spd);
	for (size_t i = 0; i < RTE_DIM(bursts); i++) {
		double one, many, fresh;

		packets_fill(1, 1, v6);
		one = cycles(spd, bursts[i], true, false);
		packets_fill(PACKETS, 1, v6);
		many = cycles(spd, bursts[i], false, false);
		fresh = cycles(spd, bursts[i], false, true);
		printf("%6s %6u %10.1f %10.1f %10.1f\n", v6 ? "v6" : "v4", bursts[i], one, many,
		       fresh);
	}
	spd_free(spd);
}

/* Pairs of prefix lengths, of which the last alone has a match. */
static void
bench_pairs(bool v6)
{
	static const uint32_t counts[] = { 1, 2, 4, 8, 16 };

	for (size_t c = 0; c < RTE_DIM(counts); c++) {
		struct spd *spd = spd_make(64);

		for (uint32_t i = 0; i + 1 < counts[c]; i++)
			add_nets(spd, i, 1000 + i, 31 - i, v6);
		add_nets(spd, 100, 0, 32, v6);
		spd_commit(spd);
		packets_fill(PACKETS, 1, v6);
		printf("%6s %6u %10.1f\n", v6 ? "v6" : "v4", counts[c],
		       cycles(spd, 32, false, true));
		spd_free(spd);
	}
}

static void
bench_ports(uint32_t n)
{
	struct spd *spd = spd_make(n);
	struct spd_range src, dst;
	uint8_t zero[16] = { 0 };
	uint64_t start;
	struct err err;

	spd_prefix(&src, zero, 0, false);
	dst = src;
	for (uint32_t i = 0; i < n; i++) {
		struct policy_params p = params_of(i, &src, &dst, false);

		p.protocol = TCP;
		p.dst_port = (struct spd_ports) { i, i };
		add(spd, &p);
	}
	spd_commit(spd);
	packets_fill(RTE_MIN(PACKETS, n), 1, false);
	start = rte_rdtsc();
	if (spd_maintain(spd, true, &err) < 0)
		die("maintain", &err);
	start = rte_rdtsc() - start;
	printf("%6u %10.1f %12.1f\n", n, cycles(spd, 32, false, true),
	       start * 1e3 / rte_get_tsc_hz());
	spd_free(spd);
}

/* One more and one less, each with its commit: the longest and the mean, in microseconds. */
static void
bench_changes(struct spd *spd, uint32_t n)
{
	double worst[2] = { 0, 0 }, sum[2] = { 0, 0 }, us = 1e6 / rte_get_tsc_hz();
	const uint32_t times = 1000;
	struct err err;

	for (uint32_t i = 0; i < times; i++) {
		uint64_t begin = rte_rdtsc(), middle, end;
		/* Now first, now last, now between: by turns. */
		uint32_t index = add_nets(spd, i % 3 * n, 2 * n + 2 * i, 32, false);

		spd_commit(spd);
		middle = rte_rdtsc();
		if (spd_del(spd, index, &err) < 0)
			die("del", &err);
		spd_commit(spd);
		end = rte_rdtsc();
		sum[0] += (middle - begin) * us;
		sum[1] += (end - middle) * us;
		worst[0] = RTE_MAX(worst[0], (middle - begin) * us);
		worst[1] = RTE_MAX(worst[1], (end - middle) * us);
	}
	printf("one more: %.2f us, at worst %.1f; one less: %.2f us, at worst %.1f\n",
	       sum[0] / times, worst[0], sum[1] / times, worst[1]);
}

static void
bench_million(uint32_t n, bool v6)
{
	struct spd *spd = spd_make(n + 16);
	uint64_t start = rte_rdtsc();
	struct spd_stats stats;
	double seconds;

	for (uint32_t i = 0; i < n; i++)
		add_nets(spd, i, 2 * i, 32, v6);
	spd_commit(spd);
	seconds = (double)(rte_rdtsc() - start) / rte_get_tsc_hz();
	spd_stats(spd, &stats);
	printf("%u policies, %s: built in %.2f s, %.1f octets each\n", n, v6 ? "v6" : "v4", seconds,
	       (double)stats.bytes / n);
	packets_fill(PACKETS, 2 * n, v6);
	printf("new flow, %u policies in turn: %.1f cycles\n", PACKETS,
	       cycles(spd, 32, false, true));
	if (!v6)
		bench_changes(spd, n);
	spd_free(spd);
}

int
main(int argc, char **argv)
{
	static const uint32_t crowds[] = { 4, 10, 100, 1000, 10000 };
	int used = rte_eal_init(argc, argv);
	uint32_t n = 1000000;
	struct err err;

	if (used < 0)
		return 1;
	if (argc > used + 1)
		n = strtoul(argv[used + 1], NULL, 10);
	pool = rte_pktmbuf_pool_create("packets", PACKETS, 0, sizeof(struct pkt), 2048,
				       SOCKET_ID_ANY);
	if (pool == NULL || rte_pktmbuf_alloc_bulk(pool, pkts, PACKETS) != 0 ||
	    spd_worker_init(0, 0, SOCKET_ID_ANY, &worker.spd, &err) < 0)
		return 1;
	printf("policy lookup, cycles per packet\n%6s %6s %10s %10s %10s\n", "family", "burst",
	       "1 flow", "512 flows", "new flow");
	bench_flows(false);
	bench_flows(true);
	printf("new flow, burst 32\n%6s %6s %10s\n", "family", "pairs", "cycles");
	bench_pairs(false);
	bench_pairs(true);
	printf("new flow, policies that differ in ports\n%6s %10s %12s\n", "rules", "cycles",
	       "build ms");
	for (size_t i = 0; i < RTE_DIM(crowds); i++)
		bench_ports(crowds[i]);
	bench_million(n, false);
	bench_million(n, true);
	return 0;
}
