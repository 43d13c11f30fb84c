/* IP-TFS (RFC 9347) on one core beside plain ESP, in one run: the same inner packets out and in
 * again, by an SA without it and by one with it, window by window in turn.
 *
 *	iptfs_bench [--no-huge] [--short] [--stages]
 *	iptfs_bench [--no-huge] --sweep		buffers kept against octets copied, by packet size
 *	iptfs_bench [--no-huge] --pace		inter-packet times at 1 Gbit/s, beside other traffic
 *
 * Frames lie in memory as a device would have left them. A window sends them, by bursts, and then
 * takes in what came of them; inner packets that end in a payload, and those that come out of one,
 * are freed and taken within it. Figures are TSC cycles per inner packet, medians. The bare cipher
 * runs over as much text in other buffers; that of IP-TFS is shared by the packets of a payload.
 */
#include "aggfrag/fill.h"
#include "drivers.h"
#include "iptfs/iptfs.h"
#include "iptfs/iptfs_stage.h"
#include "traffic.h"

#define WINDOWS	   201
#define FRAMES_MAX 1440 /* twelve IMIXes and three bursts in a row: 96 */
#define IMIX	   0	/* as a size: 7 of 64, 4 of 576, 1 of 1400 */
#define PACE_RATE  UINT64_C(1000000000)
#define PACE_N	   100000

enum way {
	WAY_PLAIN,
	WAY_IPTFS,
	WAYS,
};

static struct bench {
	struct path_rig rig;
	struct pipe pipes[WAYS]; /* IP-TFS's rows are absent where no SA has it */
	struct source sources[2];
	uint32_t sa[WAYS];
	uint32_t n, at; /* frames, and those that were taken */
	uint32_t n_done;
	struct rte_mbuf *frames[FRAMES_MAX], *done[FRAMES_MAX + BURST_MAX];
	struct crypto_op ops[BURST_MAX];
	struct rte_mbuf *scratch[BURST_MAX];
	uint64_t source_cycles[2]; /* out, in: of the source that IP-TFS has there, where timed */
} bench;

/* As much as a burst takes, about: what waits for its time shall not wait for ever. */
static void
time_pass(struct worker *w)
{
	w->now += 5000;
	clock_set(&bench.rig.clock, w->now);
}

/* IP-TFS's own source of a direction. */
static uint16_t
source_iptfs(struct worker *w, bool in, struct rte_mbuf **pkts, uint16_t max)
{
	uint64_t start = w->pipe->timed ? rte_rdtsc() : 0;
	uint16_t n = in ? iptfs_deliver(w, NULL, pkts, max) : iptfs_tick(w, NULL, pkts, max);

	if (w->pipe->timed)
		bench.source_cycles[in] += rte_rdtsc() - start;
	return n;
}

static uint16_t
deliver(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	return source_iptfs(w, true, pkts, max);
}

static uint16_t
tick(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	time_pass(w);
	return source_iptfs(w, false, pkts, max);
}

static uint16_t
source(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct bench *b = &bench;
	uint16_t n = (uint16_t)RTE_MIN((uint32_t)max, b->n - b->at);

	time_pass(w);
	memcpy(pkts, &b->frames[b->at], n * sizeof(pkts[0]));
	b->at += n;
	cell_add(&w->rx_packets, n);
	return n;
}

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct bench *b = &bench;

	rig_must(b->n_done + n <= RTE_DIM(b->done), "more packets than went in");
	memcpy(&b->done[b->n_done], pkts, n * sizeof(pkts[0]));
	b->n_done += n;
	cell_add(&w->tx_packets, n);
	return 0;
}

static void
bench_make(uint32_t mbufs, const struct aggfrag_params *params, stage_fn *sink_fn)
{
	struct bench *b = &bench;
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	struct rig_suite suite = {
		.cipher = ALG_AES_GCM_128, .esn = true, .window = 1024, .loop = true
	};
	struct rig_params p = { .engines = engines,
				.n_engines = 1,
				.burst = 32,
				.flows = SPD_FLOWS_V4,
				.key_cache = 16 << 20,
				.sink = sink_fn };
	struct err err = { "" };

	memset(b, 0, sizeof(*b));
	rig_must(port_pool_create("bench", mbufs, RIG_PATH_MTU, SOCKET_ID_ANY, &p.pool, &err) == 0,
		 err.text);
	path_rig_make(&b->rig, &p);
	b->sa[WAY_PLAIN] = path_rig_sa(&b->rig, &suite);
	suite.iptfs = params;
	b->sa[WAY_IPTFS] = path_rig_sa(&b->rig, &suite);
	rig_must(spd_maintain(b->rig.spd, true, &err) >= 0, err.text);
	b->pipes[WAY_PLAIN] = b->pipes[WAY_IPTFS] = b->rig.pipe;
	pipe_add(&b->pipes[WAY_IPTFS], b->rig.rows, STAGE_IPTFS_FILL);
	pipe_add(&b->pipes[WAY_IPTFS], b->rig.rows, STAGE_IPTFS_SPLIT);
	rig_must(rte_pktmbuf_alloc_bulk(p.pool, b->scratch, BURST_MAX) == 0, "no frames");
}

static void
bench_free(void)
{
	struct bench *b = &bench;

	iptfs_out_forget(b->rig.w, sa_at(&b->rig.sas, b->rig.sa[b->sa[WAY_IPTFS]].out));
	iptfs_in_forget(b->rig.w, sa_at(&b->rig.sas, b->rig.sa[b->sa[WAY_IPTFS]].in));
	rte_pktmbuf_free_bulk(b->scratch, BURST_MAX);
	path_rig_free(&b->rig);
	rte_mempool_free(b->rig.pool);
}

static uint16_t
size_of(uint16_t size, uint32_t i)
{
	static const uint16_t imix[12] = { 64, 576, 64, 64, 576, 64, 1400, 64, 576, 64, 576, 64 };

	return size == IMIX ? imix[i % RTE_DIM(imix)] : size;
}

/* Inner packets of a window: some 192 KiB. */
static uint32_t
frames_of(uint16_t size)
{
	uint32_t n = (192 << 10) / (size == IMIX ? 346 : size);

	return RTE_MIN((n / 96 + 1) * 96, (uint32_t)FRAMES_MAX);
}

/* Frames from the red side for that way's SA. */
static void
frames_write(enum way way, uint16_t size)
{
	struct bench *b = &bench;

	b->n = frames_of(size);
	b->at = b->n_done = 0;
	rig_must(rte_pktmbuf_alloc_bulk(b->rig.pool, b->frames, b->n) == 0, "no frames");
	for (uint32_t i = 0; i < b->n; i++) {
		struct rte_mbuf *m = b->frames[i];
		uint16_t len = size_of(size, i);

		m->data_off = RTE_PKTMBUF_HEADROOM;
		m->data_len = RTE_ETHER_HDR_LEN + len;
		m->pkt_len = m->data_len;
		frame_write(&b->rig, rte_pktmbuf_mtod(m, uint8_t *), b->sa[way], false, len, 0);
		pkt_of(m)->port = RIG_RED;
	}
}

/* What went out comes in. */
static void
turn(void)
{
	struct bench *b = &bench;

	memcpy(b->frames, b->done, b->n_done * sizeof(b->frames[0]));
	b->n = b->n_done;
	b->at = b->n_done = 0;
	for (uint32_t i = 0; i < b->n; i++) {
		memcpy(rte_pktmbuf_mtod(b->frames[i], uint8_t *),
		       &b->rig.port->stations[RIG_BLACK].mac, RTE_ETHER_ADDR_LEN);
		pkt_of(b->frames[i])->port = RIG_BLACK;
	}
}

/* As the worker's loop does. */
static uint64_t
run(enum way way, bool in)
{
	struct bench *b = &bench;
	struct worker *w = b->rig.w;
	uint64_t start;

	w->pipe = &b->pipes[way];
	w->sources[0] = (struct source) {
		.name = "frames",
		.poll = source,
		.first = in ? STAGE_CLASSIFY_BLACK : STAGE_CLASSIFY_RED,
	};
	w->sources[1] = (struct source) {
		.name = in ? "iptfs_deliver" : "iptfs_tick",
		.poll = in ? deliver : tick,
		.first = in ? STAGE_ECN_DECAP : STAGE_LIFE_COUNT_OUT,
		.all = true,
		.paces = !in,
	};
	w->n_sources = way == WAY_IPTFS ? 2 : 1;
	start = rte_rdtsc();
	while (b->at < b->n)
		pipe_poll(w);
	return rte_rdtsc() - start;
}

struct result {
	double path[WAYS][2]; /* by way; out, in */
	double bare[WAYS][2];
	double inner; /* packets in a payload */
};

/* A window of one way, out and in. */
static void
window(enum way way, uint16_t size, struct perf perf[2], struct perf *inner)
{
	struct bench *b = &bench;
	uint32_t n, outer;
	uint64_t out, in;

	frames_write(way, size);
	n = b->n;
	out = run(way, false);
	outer = b->n_done;
	turn();
	in = run(way, true);
	/* What waits in streams is of this window here and of the last one there: as much. */
	perf_add(&perf[0], out, n);
	perf_add(&perf[1], in, RTE_MAX(b->n_done, 1u));
	if (outer > 0)
		perf_take(inner, (double)b->n_done / outer);
	rte_pktmbuf_free_bulk(b->done, b->n_done);
	drops_judge(b->rig.w);
}

/* One burst of texts of that size. */
static double
bare_time(enum way way, uint32_t text_len, bool in)
{
	struct bench *b = &bench;
	uint32_t index = in ? b->rig.sa[b->sa[way]].in : b->rig.sa[b->sa[way]].out;
	const struct sa *sa = sa_at(&b->rig.sas, index);
	uint16_t n = b->rig.w->burst;
	uint64_t start;

	for (uint16_t i = 0; i < n; i++) {
		struct crypto_op *op = &b->ops[i];

		*op = (struct crypto_op) { .session = sa_session(sa) };
		op->text = rte_pktmbuf_mtod_offset(b->scratch[i], uint8_t *, 64);
		op->text_len = (uint16_t)RTE_ALIGN_CEIL(text_len + 2, sa->suite.align);
		op->tag = op->text + op->text_len;
	}
	start = rte_rdtsc();
	crypto_run(b->rig.w->crypto, b->ops, n, !in);
	return (double)(rte_rdtsc() - start) / n;
}

static double
bare(enum way way, uint16_t size, bool in)
{
	static struct perf perf;
	double sum = 0;

	if (size != IMIX) {
		perf.n = 0;
		for (int i = 0; i < WINDOWS; i++)
			perf_take(&perf, bare_time(way, size, in));
		return perf_median(&perf);
	}
	for (uint32_t i = 0; i < 12; i++)
		sum += bare(way, size_of(size, i), in);
	return sum / 12;
}

static uint16_t
payload_size(enum way way)
{
	const struct bench *b = &bench;

	return sa_at(&b->rig.sas, b->rig.sa[b->sa[way]].out)->mtu;
}

static struct result
measure(uint16_t size)
{
	static struct perf path[WAYS][2], inner[WAYS];
	struct result r;

	for (int way = 0; way < WAYS; way++)
		path[way][0].n = path[way][1].n = inner[way].n = 0;
	for (int i = 0; i < WINDOWS; i++)
		for (int way = 0; way < WAYS; way++)
			window(way, size, path[way], &inner[way]);
	r.inner = perf_median(&inner[WAY_IPTFS]);
	for (int in = 0; in < 2; in++) {
		for (int way = 0; way < WAYS; way++)
			r.path[way][in] = perf_median(&path[way][in]);
		r.bare[WAY_PLAIN][in] = bare(WAY_PLAIN, size, in);
		r.bare[WAY_IPTFS][in] = bare(WAY_IPTFS, payload_size(WAY_IPTFS), in) / r.inner;
	}
	return r;
}

static void
row_print(const struct result *r, uint16_t size, bool in, double whole, double goal)
{
	double plain = r->path[WAY_PLAIN][in], tfs = r->path[WAY_IPTFS][in];
	char text[8];

	snprintf(text, sizeof(text), size == IMIX ? "IMIX" : "%u", size);
	printf("%-5s %5s %7.1f %7.1f %7.1f | %7.1f %7.1f %7.1f %6.2f | %6.2f %5.2f",
	       in ? "in" : "out", text, plain, r->bare[WAY_PLAIN][in],
	       plain - r->bare[WAY_PLAIN][in], tfs, r->bare[WAY_IPTFS][in],
	       tfs - r->bare[WAY_IPTFS][in], r->inner, plain / tfs, goal);
	/* What the gateway does for a packet, and its part of one outer packet. */
	if (size == 64)
		printf("   %5.1f: %.1f + %.1f", plain - r->bare[WAY_PLAIN][in] + whole / r->inner,
		       plain - r->bare[WAY_PLAIN][in], whole / r->inner);
	putchar('\n');
	fflush(stdout);
}

/* The stages of both ways and IP-TFS's sources, each in cycles per inner packet. */
static void
stages_print(uint16_t size)
{
	static struct perf perf[WAYS][STAGE_MAX], source[2], unused[3];
	struct bench *b = &bench;
	uint64_t before[STAGE_MAX];

	memset(perf, 0, sizeof(perf));
	source[0].n = source[1].n = 0;
	b->pipes[WAY_PLAIN].timed = b->pipes[WAY_IPTFS].timed = true;
	for (int i = 0; i < WINDOWS * WAYS; i++) {
		unused[0].n = unused[1].n = unused[2].n = 0;
		memcpy(before, b->rig.w->stage_cycles, sizeof(before));
		b->source_cycles[0] = b->source_cycles[1] = 0;
		window(i % WAYS, size, unused, &unused[2]);
		for (int s = 0; s < STAGE_MAX; s++)
			perf_add(&perf[i % WAYS][s], b->rig.w->stage_cycles[s] - before[s],
				 frames_of(size));
		for (int in = 0; in < 2 && i % WAYS == WAY_IPTFS; in++)
			perf_add(&source[in], b->source_cycles[in], frames_of(size));
	}
	b->pipes[WAY_PLAIN].timed = b->pipes[WAY_IPTFS].timed = false;
	for (int s = 0; s < STAGE_MAX; s++) {
		double plain = perf_median(&perf[WAY_PLAIN][s]),
		       tfs = perf_median(&perf[WAY_IPTFS][s]);

		if (plain + tfs > 0)
			printf("    %-16s %6.1f %6.1f\n", b->rig.pipe.name[s], plain, tfs);
	}
	printf("    %-16s %6s %6.1f\n    %-16s %6s %6.1f\n", "iptfs_tick", "",
	       perf_median(&source[0]), "iptfs_deliver", "", perf_median(&source[1]));
}

static const struct aggfrag_params unpaced = {
	.on = true,
	.init_delay = NS_PER_SECOND,
	.max_queue = 1 << 20,
	.reorder_window = 3,
	.drop_time = NS_PER_SECOND,
};

/* Few enough buffers that all stay in the second cache, as those of a device's queue do. */
static uint32_t
mbufs_of(uint16_t size)
{
	return rte_align32pow2(frames_of(size) * 4 / 3 + 128) - 1;
}

static void
table(bool brief, bool stages)
{
	static const uint16_t sizes[] = { 64, IMIX, 1400 };
	static const double goals[] = { 1.6, 1.15, 0.85 };

	printf("%-5s %5s %7s %7s %7s | %7s %7s %7s %6s | %6s %5s   %s\n", "", "size", "ESP", "bare",
	       "+", "IP-TFS", "bare", "+", "inner", "times", "goal", "goal in cycles");
	for (size_t i = 0; i < (brief ? 1 : RTE_DIM(sizes)); i++) {
		struct result whole, r;

		bench_make(mbufs_of(sizes[i]), &unpaced, sink);
		whole = measure(payload_size(WAY_PLAIN));
		r = measure(sizes[i]);
		for (int in = 0; in < 2; in++)
			row_print(&r, sizes[i], in, whole.path[WAY_PLAIN][in], goals[i]);
		if (stages)
			stages_print(sizes[i]);
		bench_free();
	}
}

/* Of packets of one size; a build that keeps buffers wherever it can and one that copies always
 * tell from which size on either pays.
 */
static void
sweep(void)
{
	static const uint16_t sizes[] = { 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1400 };

	printf("buffers kept from %u octets on out, %u in\n", AGGFRAG_ADOPT_MIN, AGGFRAG_KEEP_MIN);
	printf("%5s %7s %7s %7s %7s\n", "size", "out", "ESP", "in", "ESP");
	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		struct result r;

		bench_make(mbufs_of(sizes[i]), &unpaced, sink);
		r = measure(sizes[i]);
		printf("%5u %7.1f %7.1f %7.1f %7.1f\n", sizes[i], r.path[WAY_IPTFS][0],
		       r.path[WAY_PLAIN][0], r.path[WAY_IPTFS][1], r.path[WAY_PLAIN][1]);
		fflush(stdout);
		bench_free();
	}
}

/* Pacing: when each outer packet left, and how many at once. */
static struct pace {
	uint64_t at[PACE_N];
	uint32_t n, most;
} pace;

/* Those of the paced SA, among the others. */
static uint16_t
pace_sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t now = rte_rdtsc();
	uint32_t paced = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (pkt_of(pkts[i])->sa != bench.rig.sa[bench.sa[WAY_IPTFS]].out)
			continue;
		paced++;
		if (pace.n < PACE_N)
			pace.at[pace.n++] = now;
	}
	pace.most = RTE_MAX(pace.most, paced);
	rte_pktmbuf_free_bulk(pkts, n);
	cell_add(&w->tx_packets, n);
	return 0;
}

/* Traffic of the SA without IP-TFS, as much as the core takes. */
static uint16_t
busy_source(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	const uint16_t size = 256;

	if (rte_pktmbuf_alloc_bulk(bench.rig.pool, pkts, max) != 0)
		return 0;
	for (uint16_t i = 0; i < max; i++) {
		pkts[i]->data_len = RTE_ETHER_HDR_LEN + size;
		pkts[i]->pkt_len = pkts[i]->data_len;
		frame_write(&bench.rig, rte_pktmbuf_mtod(pkts[i], uint8_t *), bench.sa[WAY_PLAIN],
			    false, size, 0);
		pkt_of(pkts[i])->port = RIG_RED;
	}
	cell_add(&w->rx_packets, max);
	return max;
}

/* Times between packets. Each that a machine with other work interrupts is among them. */
static void
pace_print(const struct aggfrag_out *s, bool busy)
{
	static const double parts[] = { 0.001, 0.01, 0.5, 0.99, 0.999, 0.9999 };
	double us = (double)rte_get_tsc_hz() / 1e6, *gaps = calloc(PACE_N, sizeof(*gaps));
	uint32_t n = pace.n - 1;

	rig_must(gaps != NULL, "no memory");
	for (uint32_t i = 0; i < n; i++)
		gaps[i] = (double)(pace.at[i + 1] - pace.at[i]) / us;
	qsort(gaps, n, sizeof(gaps[0]), perf_compare);
	printf("%-6s %6.2f", busy ? "busy" : "alone", (double)(pace.at[n] - pace.at[0]) / us / n);
	for (size_t i = 0; i < RTE_DIM(parts); i++)
		printf(" %7.2f", gaps[(uint32_t)(n * parts[i])]);
	printf(" %8.1f %5u %8" PRIu64 "\n", gaps[n - 1], pace.most,
	       s->counts[AGGFRAG_TX_LATE_TICKS]);
	free(gaps);
}

static void
pace_run(bool busy)
{
	static const struct aggfrag_params params = {
		.on = true, .rate_bps = PACE_RATE, .max_queue = 1 << 20, .drop_time = NS_PER_SECOND
	};
	struct bench *b = &bench;
	struct worker *w;
	struct sa *sa;

	bench_make(2047, &params, pace_sink);
	pace.n = pace.most = 0;
	w = b->rig.w;
	clock_init(&b->rig.clock, CLOCK_REAL);
	w->pipe = &b->pipes[WAY_IPTFS];
	if (busy)
		w->sources[w->n_sources++] = (struct source) { .name = "frames",
							       .poll = busy_source,
							       .first = STAGE_CLASSIFY_RED };
	w->sources[w->n_sources++] = (struct source) {
		.name = "iptfs_tick",
		.poll = iptfs_tick,
		.first = STAGE_LIFE_COUNT_OUT,
		.all = true,
		.paces = true,
	};
	sa = sa_at(&b->rig.sas, b->rig.sa[b->sa[WAY_IPTFS]].out);
	iptfs_out_begin(w, sa);
	while (pace.n < PACE_N) {
		w->now = clock_now(w->clock);
		pipe_poll(w);
	}
	drops_judge(w);
	pace_print(&sa_more(sa)->fill[0], busy);
	bench_free();
}

static void
pacing(void)
{
	printf("%u outer packets of %u octets at 1 Gbit/s; µs between two; as many at once as %u\n",
	       PACE_N, RIG_PATH_MTU, AGGFRAG_CATCHUP);
	printf("%-6s %6s %7s %7s %7s %7s %7s %7s %8s %5s %8s\n", "", "mean", "0.1 %", "1 %", "50 %",
	       "99 %", "99.9 %", "99.99 %", "longest", "most", "left out");
	pace_run(false);
	pace_run(true);
}

int
main(int argc, char **argv)
{
	bool no_huge = false, brief = false, stages = false;
	void (*other)(void) = NULL;

	for (int i = 1; i < argc; i++) {
		no_huge |= strcmp(argv[i], "--no-huge") == 0;
		brief |= strcmp(argv[i], "--short") == 0;
		stages |= strcmp(argv[i], "--stages") == 0;
		if (strcmp(argv[i], "--sweep") == 0)
			other = sweep;
		if (strcmp(argv[i], "--pace") == 0)
			other = pacing;
	}
	bench_eal_start("iptfs_bench", "0", no_huge);
	if (other != NULL)
		other();
	else
		table(brief, stages);
	return 0;
}
