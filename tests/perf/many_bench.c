/* What very many SAs cost: out and in again through the pipeline of the product, each packet by an
 * SA drawn at random, against the bare cipher with keys drawn likewise.
 *
 *	many_bench [--no-huge] [--short] [--stages] [SAS...]
 *
 * An SA each way and a policy each way is a pair, as a gateway installs them: numbers and windows
 * come from lib/numbers. A window of bursts goes out by pairs drawn anew, with its frames written
 * before; the same frames come in again, by SAs, policies and flows that are other lines of memory.
 * The bare cipher runs over the same buffers, of pairs drawn for it alone, its keys in the worker's
 * own cache of expanded keys: what it waits for is its keys and sessions, the rest is the gateway's
 * way.
 *
 * Figures are TSC cycles per packet, medians. At the end stand the cache lines of tables larger
 *than a cache that a packet touches, by stage, keys and sessions aside, which the bare cipher
 *touches as well; a flow that is not in the cache touches more, and how many were not is said.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "../unit/path_rig.h"
#include "drivers.h"
#include "numbers/numbers.h"
#include "perf.h"

#define WINDOWS	  301
#define BURST	  32
#define BURSTS	  16 /* per window */
#define FRAMES	  (BURST * BURSTS)
#define SPI_BITS  21
#define KEY_CACHE (64 << 20)

struct pair {
	uint32_t in, out; /* SAs */
};

struct bench {
	struct path_rig rig;
	struct numbers_reg *numbers;
	uint32_t n_pairs;
	struct pair *pairs;
	struct rte_mbuf *mbufs[FRAMES];
	struct rte_mbuf *done[FRAMES]; /* what the sink got */
	uint32_t n_done;
	uint32_t drawn[FRAMES]; /* the pair of each frame */
	struct crypto_op ops[FRAMES];
	uint64_t random, number;
};

static struct bench *the_bench; /* what the sink, which has only a worker, belongs to */

/* xorshift64*: the same draws in each run. */
static uint32_t
draw(struct bench *b, uint32_t n)
{
	b->random ^= b->random >> 12;
	b->random ^= b->random << 25;
	b->random ^= b->random >> 27;
	return (uint32_t)((b->random * UINT64_C(0x2545f4914f6cdd1d) >> 32) * n >> 32);
}

static void
draw_all(struct bench *b, uint32_t train)
{
	for (uint32_t i = 0; i < FRAMES; i++)
		b->drawn[i] = i % train == 0 ? draw(b, b->n_pairs) : b->drawn[i - 1];
}

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct bench *b = the_bench;

	memcpy(&b->done[b->n_done], pkts, n * sizeof(pkts[0]));
	b->n_done += n;
	cell_add(&w->tx_packets, n);
	return 0;
}

/* Host n of the red side speaks to host n behind the peers. */
static struct addr
host_of(uint32_t pair, bool there)
{
	uint32_t be = rte_cpu_to_be_32(RTE_IPV4(10, there ? 128 : 0, 0, 0) + pair);
	struct addr a = { .family = 4 };

	memcpy(a.octets, &be, sizeof(be));
	return a;
}

static void
policy_make(struct bench *b, uint32_t pair, enum spd_direction direction)
{
	struct addr here = host_of(pair, false), there = host_of(pair, true);
	uint32_t out = b->pairs[pair].out, index;
	struct spd_range src, dst;
	struct policy_params p = {
		.direction = direction,
		.action = POLICY_PROTECT,
		.order = 1 + pair,
		.src = { .n_v4 = 1, .v4 = &src },
		.dst = { .n_v4 = 1, .v4 = &dst },
		.protocol = SPD_ANY_PROTOCOL,
		.src_port = { 0, UINT16_MAX },
		.dst_port = { 0, UINT16_MAX },
		.dscp = SPD_ANY_DSCP,
		.group = pair + 1,
		.sa = direction == SPD_OUT ? out : SA_NONE,
		.sa_generation = sa_at(&b->rig.sas, out)->generation,
	};
	struct err err = { "" };

	spd_prefix(&src, here.octets, 32, false);
	spd_prefix(&dst, there.octets, 32, false);
	rig_must(spd_add(b->rig.spd, &p, &index, &err) == 0, err.text);
}

/* A slot of the table by SPI for each, as SPIs that the gateway chooses have. */
static uint32_t
spi_of(uint32_t pair)
{
	return 1u << 28 | ((pair * UINT32_C(0x9e3779b1)) & ((1u << SPI_BITS) - 1));
}

static uint32_t
sa_make(struct bench *b, const struct suite *suite, uint32_t pair, bool inbound)
{
	uint64_t key[ALG_KEY_MAX / 8] = { pair, UINT64_C(0x9e3779b97f4a7c15) * (pair + 1) };
	struct addr here = rig_addr("192.0.2.1"), peer = rig_addr("198.51.100.1");
	struct sa_params p = {
		.inbound = inbound,
		.ecn = true,
		.spi = spi_of(pair),
		.src = here,
		.dst = peer,
		.suite = *suite,
		.key = (const uint8_t *)key,
		.salt = (const uint8_t *)key,
		.origin = { .group = pair + 1 },
		.path_mtu = RIG_PATH_MTU,
	};
	struct numbers_ask ask = {
		.id = { .spi = p.spi, .family = 4 },
		.key = { .key = p.key,
			 .salt = p.salt,
			 .key_len = 16,
			 .salt_len = 4,
			 .counter_mode = true },
		.inbound = inbound,
		.esn = true,
		.window = inbound ? 1024 : 0,
	};
	struct numbers_job *job;
	struct err err = { "" };
	uint32_t index;

	memcpy(ask.id.src, here.octets, 16);
	memcpy(ask.id.dst, peer.octets, 16);
	p.outer = (struct tunnel_params) {
		.src = here, .dst = peer, .proto = IPPROTO_ESP, .ttl = 64, .ecn = true
	};
	rig_must(numbers_attach(b->numbers, &ask, &p.numbers, &job, &err) == 0, err.text);
	p.lane = p.numbers->lane;
	p.lanes = 1;
	rig_must(sa_create(&b->rig.sas, &p, 0, &index, &err) == 0, err.text);
	if (inbound)
		rig_must(sad_add(b->rig.sad, index, SA_NONE, &err) == 0, err.text);
	else
		sa_at(&b->rig.sas, index)->next_hop = route_hold(b->rig.route, &p.dst);
	return index;
}

/* All that go out before all that come in: what is near each other in memory is of other pairs. */
static void
pairs_make(struct bench *b)
{
	struct addr peer = rig_addr("198.51.100.1");
	struct suite suite;
	struct err err = { "" };

	rig_must(suite_init(&suite, &algs[ALG_AES_GCM_128], NULL, 0, false, true, &err) == 0,
		 err.text);
	for (uint32_t i = 0; i < b->n_pairs; i++)
		b->pairs[i].out = sa_make(b, &suite, i, false);
	for (uint32_t i = 0; i < b->n_pairs; i++)
		b->pairs[i].in = sa_make(b, &suite, i, true);
	for (uint32_t i = 0; i < b->n_pairs; i++) {
		policy_make(b, i, SPD_OUT);
		policy_make(b, i, SPD_IN);
	}
	/* Behind the outbound SAs, which are to find a next hop at the peer's address. */
	rig_must(route_own_add(b->rig.route, &peer, &err) == 0, err.text);
	rig_gateway(&b->rig, RIG_RED, "10.254.0.2", "10.128.0.0", 9);
	spd_commit(b->rig.spd);
	rig_must(spd_maintain(b->rig.spd, true, &err) >= 0, err.text);
}

static void
bench_make(struct bench *b, uint32_t n_sas)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	struct rig_params p = {
		.engines = engines,
		.n_engines = 1,
		.burst = BURST,
		.flows = rte_align32pow2(RTE_MAX(2 * n_sas, SPD_FLOWS_V4)),
		.key_cache = KEY_CACHE,
		.max_sas = RTE_MAX(2 * ((n_sas + 1) / 2), 64u),
		.max_policies = RTE_MAX(2 * ((n_sas + 1) / 2), 256u),
		.sink = sink,
	};
	struct err err = { "" };

	memset(b, 0, sizeof(*b));
	the_bench = b;
	b->random = UINT64_C(0x853c49e6748fea9b);
	b->n_pairs = (n_sas + 1) / 2;
	b->pairs = calloc(b->n_pairs, sizeof(b->pairs[0]));
	rig_must(b->pairs != NULL, "no memory");
	rig_must(port_pool_create("bench", FRAMES, RIG_PATH_MTU, SOCKET_ID_ANY, &p.pool, &err) == 0,
		 err.text);
	rig_must(rte_pktmbuf_alloc_bulk(p.pool, b->mbufs, FRAMES) == 0, "no frames");
	path_rig_make(&b->rig, &p);
	rig_must(numbers_create(&(struct numbers_params) { .max_sas = p.max_sas,
							   .n_workers = 1,
							   .socket = SOCKET_ID_ANY },
				&b->numbers, &err) == 0,
		 err.text);
	pairs_make(b);
}

static void
bench_free(struct bench *b)
{
	struct numbers *holds[2];

	for (uint32_t i = 0; i < b->n_pairs; i++) {
		holds[0] = sa_cold(&b->rig.sas, b->pairs[i].in)->numbers;
		holds[1] = sa_cold(&b->rig.sas, b->pairs[i].out)->numbers;
		numbers_release(b->numbers, holds[0], 0);
		numbers_release(b->numbers, holds[1], 0);
	}
	rte_pktmbuf_free_bulk(b->mbufs, FRAMES);
	path_rig_free(&b->rig);
	numbers_free(b->numbers);
	rte_mempool_free(b->rig.pool);
	free(b->pairs);
}

/* UDP from pair's host here to the one there: size octets of IP, as the red port would have got it.
 */
static void
frame_write(struct bench *b, struct rte_mbuf *m, uint32_t pair, uint16_t size)
{
	struct rte_ether_hdr *eth;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *udp;

	rte_pktmbuf_reset(m);
	m->data_len = RTE_ETHER_HDR_LEN + size;
	m->pkt_len = m->data_len;
	eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	ip = (struct rte_ipv4_hdr *)(eth + 1);
	udp = (struct rte_udp_hdr *)(ip + 1);
	eth->dst_addr = b->rig.port->stations[RIG_RED].mac;
	eth->src_addr = (struct rte_ether_addr) { { 2, 0, 0, 0, 1, RIG_RED } };
	eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	*ip = (struct rte_ipv4_hdr) {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(size),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 0) + pair),
		.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 128, 0, 0) + pair),
	};
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	*udp = (struct rte_udp_hdr) { .src_port = RTE_BE16(1024),
				      .dst_port = RTE_BE16(2000),
				      .dgram_len = rte_cpu_to_be_16(size - sizeof(*ip)) };
}

static double
cycles_of(uint64_t start)
{
	return (double)(rte_rdtsc() - start) / FRAMES;
}

static double
path_time(struct bench *b, bool in)
{
	struct worker *w = b->rig.w;
	struct rte_mbuf *pkts[BURST];
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < FRAMES; i += BURST) {
		memcpy(pkts, &b->mbufs[i], sizeof(pkts));
		cell_add(&w->rx_packets, BURST);
		pipe_run(w, in ? STAGE_CLASSIFY_BLACK : STAGE_CLASSIFY_RED, pkts, BURST);
	}
	return cycles_of(start);
}

/* A figure of a gateway that drops is none. */
static void
drops_judge(const struct worker *w)
{
	for (int i = 0; i < DROP_MAX; i++) {
		if (w->drops[i] == 0)
			continue;
		fprintf(stderr, "%" PRIu64 " packets dropped: %s\n", w->drops[i],
			drop_names[i].name);
		exit(1);
	}
}

/* The frames that left come in again. */
static void
turn(struct bench *b)
{
	drops_judge(b->rig.w);
	rig_must(b->n_done == FRAMES, "packets are missing");
	b->n_done = 0;
	memcpy(b->mbufs, b->done, sizeof(b->mbufs));
	for (uint32_t i = 0; i < FRAMES; i++) {
		memcpy(rte_pktmbuf_mtod(b->mbufs[i], uint8_t *),
		       &b->rig.port->stations[RIG_BLACK].mac, RTE_ETHER_ADDR_LEN);
		pkt_of(b->mbufs[i])->port = RIG_BLACK;
	}
}

static void
path_take(struct bench *b, uint16_t size, struct perf *out, struct perf *in)
{
	for (uint32_t i = 0; i < FRAMES; i++) {
		frame_write(b, b->mbufs[i], b->drawn[i], size);
		pkt_of(b->mbufs[i])->port = RIG_RED;
	}
	perf_take(out, path_time(b, false));
	turn(b);
	perf_take(in, path_time(b, true));
	drops_judge(b->rig.w);
	rig_must(b->n_done == FRAMES, "packets are missing");
	b->n_done = 0;
	memcpy(b->mbufs, b->done, sizeof(b->mbufs));
}

/* What the cipher has to find: text with IV in front, AAD, nonce. Nothing else of ESP. */
static void
bare_prepare(struct bench *b, uint32_t i, uint16_t size, bool in)
{
	uint32_t index = in ? b->pairs[b->drawn[i]].in : b->pairs[b->drawn[i]].out;
	struct crypto_op *op = &b->ops[i];
	uint64_t seq_be = rte_cpu_to_be_64(b->number + i);

	op->session = sa_session(sa_at(&b->rig.sas, index));
	op->chain = NULL;
	op->engine = 0;
	op->ok = false;
	memset(op->aad, 0, sizeof(op->aad));
	memcpy(op->aad + 4, &seq_be, 8);
	memset(op->nonce, 0, 4);
	memcpy(op->nonce + 4, &seq_be, 8);
	op->text = rte_pktmbuf_mtod_offset(b->mbufs[i], uint8_t *, 64);
	op->text_len = RTE_ALIGN_CEIL(size + 2, 4);
	op->tag = op->text + op->text_len;
}

static double
bare_time(struct bench *b, bool in)
{
	uint64_t start = rte_rdtsc();

	for (uint32_t i = 0; i < FRAMES; i += BURST)
		crypto_run(b->rig.w->crypto, &b->ops[i], BURST, !in);
	return cycles_of(start);
}

static void
bare_take(struct bench *b, uint16_t size, struct perf *out, struct perf *in)
{
	for (uint32_t i = 0; i < FRAMES; i++)
		rte_pktmbuf_reset(b->mbufs[i]);
	b->number += FRAMES;
	for (int way = 0; way < 2; way++) {
		for (uint32_t i = 0; i < FRAMES; i++)
			bare_prepare(b, i, size, way == 1);
		perf_take(way == 1 ? in : out, bare_time(b, way == 1));
	}
	for (uint32_t i = 0; i < FRAMES; i++)
		rig_must(b->ops[i].ok, "the bare cipher could not open what it sealed");
}

/* Each pair once, so that what a gateway learns of its flows is learnt. */
static void
warm(struct bench *b)
{
	struct perf unused[2] = { { .n = PERF_WINDOWS_MAX }, { .n = PERF_WINDOWS_MAX } };

	for (uint32_t at = 0; at < b->n_pairs; at += FRAMES) {
		for (uint32_t i = 0; i < FRAMES; i++)
			b->drawn[i] = (at + i) % b->n_pairs;
		path_take(b, 64, &unused[0], &unused[1]);
	}
}

/* The median of each stage; beside the whole a packet's few cycles of asking the time, by stage. */
static void
stages_print(struct bench *b, uint16_t size, uint32_t train)
{
	static struct perf unused[2], stages[STAGE_MAX];
	struct worker *w = b->rig.w;

	for (int s = 0; s < STAGE_MAX; s++)
		stages[s].n = 0;
	unused[0].n = unused[1].n = 0;
	b->rig.pipe.timed = true;
	for (int i = 0; i < WINDOWS; i++) {
		memset(w->stage_cycles, 0, sizeof(w->stage_cycles));
		draw_all(b, train);
		path_take(b, size, &unused[0], &unused[1]);
		for (int s = 0; s < STAGE_MAX; s++)
			perf_add(&stages[s], w->stage_cycles[s], FRAMES);
		draw_all(b, train);
		bare_take(b, size, &unused[0], &unused[1]);
	}
	b->rig.pipe.timed = false;
	for (int s = 0; s < STAGE_MAX; s++)
		if (perf_median(&stages[s]) > 0)
			printf("    %-16s %6.1f\n", b->rig.pipe.name[s], perf_median(&stages[s]));
}

static void
measure(struct bench *b, uint16_t size, uint32_t train, bool stages)
{
	static struct perf path[2], bare[2];
	double p[2], c[2];

	path[0].n = path[1].n = bare[0].n = bare[1].n = 0;
	for (int i = 0; i < WINDOWS; i++) {
		draw_all(b, train);
		path_take(b, size, &path[0], &path[1]);
		draw_all(b, train);
		bare_take(b, size, &bare[0], &bare[1]);
	}
	drops_judge(b->rig.w);
	for (int i = 0; i < 2; i++) {
		p[i] = perf_median(&path[i]);
		c[i] = perf_median(&bare[i]);
	}
	printf("%9u %5u %6u %7.1f %7.1f %7.1f %7.1f %7.1f %7.1f %7.1f\n", 2 * b->n_pairs, size,
	       train, p[0], c[0], p[1], c[1], p[0] + p[1], c[0] + c[1], p[0] + p[1] - c[0] - c[1]);
	fflush(stdout);
	if (stages)
		stages_print(b, size, train);
}

static void
run(uint32_t n_sas, bool brief, bool stages)
{
	struct spd_flow_counts learnt, known;
	static struct bench b;

	bench_make(&b, n_sas);
	warm(&b);
	spd_worker_counts(b.rig.w->spd, &learnt);
	measure(&b, 64, 1, stages);
	if (!brief)
		measure(&b, 1400, 1, stages);
	measure(&b, 64, 8, stages);
	if (!brief)
		measure(&b, 1400, 8, stages);
	spd_worker_counts(b.rig.w->spd, &known);
	if (known.misses != learnt.misses)
		printf("%" PRIu64 " of %" PRIu64 " lookups were not in the flow cache\n",
		       known.misses - learnt.misses, known.hits - learnt.hits);
	bench_free(&b);
}

/* By what the stages read, with an SA of IPv4 in tunnel mode and without subspaces. */
static void
lines_print(void)
{
	static const struct {
		bool in;
		const char *stage, *line;
	} lines[] = {
		{ false, "spd_match", "entry of the flow cache" },
		{ false, "sa_pick", "policy" },
		{ false, "sa_pick", "first line of the SA" },
		{ false, "life_count", "lane" },
		{ true, "sad_lookup", "slot of the SPI" },
		{ true, "sad_lookup", "first line of the SA" },
		{ true, "replay_check", "head of the window" },
		{ true, "replay_accept", "bits of the window" },
		{ true, "selector_check", "entry of the flow cache" },
	};
	uint32_t n[2] = { 0, 0 };

	for (size_t i = 0; i < RTE_DIM(lines); i++)
		n[lines[i].in]++;
	printf("cold lines of a packet: %u out, %u in\n", n[0], n[1]);
	for (size_t i = 0; i < RTE_DIM(lines); i++)
		printf("    %-3s %-16s %s\n", lines[i].in ? "in" : "out", lines[i].stage,
		       lines[i].line);
}

static int
eal_start(bool no_huge)
{
	static char huge[][16] = { "many_bench",     "-l",	     "0", "--in-memory", "--no-pci",
				   "--no-telemetry", "--log-level=4" };
	static char small[][16] = { "many_bench",   "-l",	"0",
				    "--no-huge",    "-m",	"4096",
				    "--no-shconf",  "--no-pci", "--no-telemetry",
				    "--log-level=4" };
	int n = no_huge ? RTE_DIM(small) : RTE_DIM(huge);
	char *argv[RTE_DIM(small) + 1] = { NULL };

	for (int i = 0; i < n; i++)
		argv[i] = no_huge ? small[i] : huge[i];
	return rte_eal_init(n, argv);
}

int
main(int argc, char **argv)
{
	static const uint32_t standard[] = { 1, 10, 100, 1000, 10000, 100000, 1000000 };
	bool no_huge = false, brief = false, stages = false;
	uint32_t sas[16], n = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--no-huge") == 0)
			no_huge = true;
		else if (strcmp(argv[i], "--short") == 0)
			brief = true;
		else if (strcmp(argv[i], "--stages") == 0)
			stages = true;
		else if (n < RTE_DIM(sas))
			sas[n++] = strtoul(argv[i], NULL, 10);
	}
	if (no_huge)
		puts("without hugepages: these figures compare with nothing");
	if (eal_start(no_huge) < 0) {
		fputs("no hugepages: reserve some (sysctl vm.nr_hugepages=1024), or --no-huge\n",
		      stderr);
		return 1;
	}
	printf("%9s %5s %6s %7s %7s %7s %7s %7s %7s %7s\n", "SAs", "size", "trains", "out", "bare",
	       "in", "bare", "both", "bare", "+");
	if (n == 0) {
		memcpy(sas, standard, sizeof(standard));
		n = RTE_DIM(standard);
	}
	for (uint32_t i = 0; i < n; i++)
		run(sas[i], brief, stages);
	lines_print();
	return 0;
}
