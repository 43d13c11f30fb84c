/* The way of a packet where hardware enciphers: what is left for the CPU. A port's device is one
 * that only marks and says yes (tests/unit/offload_fake.h), so no cipher is in these figures; a
 * crypto device is DPDK's of software, which enciphers on the same core: with the cipher of the
 * direct way beside it, the difference is what going through a device costs.
 *
 * Figures are TSC cycles per packet, medians, source and sink taken off, as in path_bench.c.
 */
#include "../unit/offload_fake.h"
#include "drivers.h"
#include "pipe/engines.h"
#include "traffic.h"

#define WINDOWS 301
#define BURSTS	16 /* per window */
#define BURST	32
#define MBUFS	512
#define DEVICE	"crypto_aesni_gcm0"

enum way {
	WAY_DIRECT,
	WAY_INLINE_CRYPTO,
	WAY_INLINE_PROTOCOL,
	WAY_DEVICE,
	WAYS,
};

static const char *const way_names[WAYS] = { "software", "inline, crypto", "inline, protocol",
					     DEVICE };

struct bench {
	struct path_rig rig;
	enum way way;
	bool decap;
	uint16_t size;
	uint32_t at, kept;
	struct rte_mbuf *mbufs[MBUFS];
	struct frame frames[MBUFS];
};

static struct bench bench; /* source and sink have only a worker */

static bool
is_inline(enum way way)
{
	return way == WAY_INLINE_CRYPTO || way == WAY_INLINE_PROTOCOL;
}

static uint16_t
source(struct worker *w, struct rte_mbuf **pkts)
{
	struct bench *b = &bench;
	uint64_t flags = b->decap && is_inline(b->way) ? RTE_MBUF_F_RX_SEC_OFFLOAD : 0;

	if (b->decap && b->at == 0) {
		/* The same packets again: all their numbers are new once more. */
		struct replay *window = b->rig.sa[0].window;

		replay_init(window, window->window, window->esn, 0);
		fake_rx.number = 1;
	}
	for (uint16_t i = 0; i < BURST; i++) {
		pkts[i] = b->mbufs[b->at];
		frame_arrive(pkts[i], &b->frames[b->at], b->decap ? RIG_BLACK : RIG_RED);
		pkts[i]->ol_flags = flags;
		b->at = b->at + 1 == MBUFS ? 0 : b->at + 1;
	}
	cell_add(&w->rx_packets, BURST);
	return BURST;
}

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	cell_add(&w->tx_packets, n);
	return 0;
}

static void
run_nothing(void)
{
	struct rte_mbuf *pkts[BURST];

	sink(bench.rig.w, pkts, source(bench.rig.w, pkts));
}

static void
run_path(void)
{
	struct worker *w = bench.rig.w;
	struct rte_mbuf *pkts[BURST];
	uint16_t n = source(w, pkts);

	pipe_run(w, bench.decap ? STAGE_CLASSIFY_BLACK : STAGE_CLASSIFY_RED, pkts, n);
	/* The same buffers come again soon. */
	while (bench.way == WAY_DEVICE && engines_held(w) > MBUFS / 2)
		engine_poll(w, NULL, pkts, BURST);
	if (bench.way == WAY_DEVICE)
		engine_poll(w, NULL, pkts, BURST);
}

static double
time_of(void (*run)(void))
{
	uint64_t start = rte_rdtsc();

	for (int i = 0; i < BURSTS; i++)
		run();
	return (double)(rte_rdtsc() - start) / (BURSTS * BURST);
}

static double
measure(void)
{
	static struct perf nothing, path;

	nothing.n = path.n = 0;
	for (int i = 0; i < WINDOWS; i++) {
		perf_take(&nothing, time_of(run_nothing));
		perf_take(&path, time_of(run_path));
	}
	return perf_median(&path) - perf_median(&nothing);
}

static uint16_t
keep_frames(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		frame_keep(&bench.rig, &bench.frames[bench.kept++], pkts[i]);
	return 0;
}

/* Out once, and what came of it is what comes in. A device that takes all of ESP off gives what
 * went out, with the address of another port. */
static void
frames_turn(void)
{
	path_rig_sink(&bench.rig, keep_frames);
	while (bench.kept < MBUFS)
		run_path();
	path_rig_sink(&bench.rig, sink);
	bench.decap = true;
	bench.at = 0;
}

static void
sa_prepare(uint32_t index, bool encrypt)
{
	struct sa *sa = sa_at(&bench.rig.sas, index);
	struct err err = { "" };

	if (bench.way == WAY_DIRECT)
		return;
	sa->engine = crypto_engines(1, 0);
	if (bench.way == WAY_DEVICE) {
		rig_must(engine_cryptodev.async->session_open(sa_session(sa), encrypt, &err) == 0,
			 err.text);
		return;
	}
	sa->flags |= SA_INLINE;
	fake_offload_set(&bench.rig, index,
			 bench.way == WAY_INLINE_CRYPTO ? OFFLOAD_CRYPTO : OFFLOAD_PROTOCOL, true);
	if (!encrypt)
		fake_rx = (struct offload_rx) {
			.kind = bench.way == WAY_INLINE_CRYPTO ? OFFLOAD_CRYPTO : OFFLOAD_PROTOCOL,
			.numbered = bench.way == WAY_INLINE_PROTOCOL,
			.index = index,
			.generation = sa->generation,
		};
}

static void
bench_make(enum way way, uint16_t size)
{
	static const struct engine *const software[] = { &engine_ipsec_mb };
	static const struct engine *const inlined[] = { &engine_ipsec_mb, &engine_inline_fake };
	static const struct engine *const device[] = { &engine_ipsec_mb, &engine_cryptodev };
	static const struct engine *const *const lists[WAYS] = { software, inlined, inlined,
								 device };
	const struct rig_suite suite = {
		.cipher = ALG_AES_GCM_128, .esn = true, .window = 1024, .loop = true
	};
	struct rig_params p = {
		.engines = lists[way],
		.n_engines = way == WAY_DIRECT ? 1 : 2,
		.burst = BURST,
		.flows = SPD_FLOWS_V4,
		.key_cache = 16 << 20,
		.sink = sink,
	};
	struct err err = { "" };

	memset(&bench, 0, sizeof(bench));
	bench.way = way;
	bench.size = size;
	rig_must(port_pool_create("bench", MBUFS, RIG_PATH_MTU, SOCKET_ID_ANY, &p.pool, &err) == 0,
		 err.text);
	path_rig_make(&bench.rig, &p);
	fake_offload_make(&bench.rig);
	path_rig_sa(&bench.rig, &suite);
	rig_must(spd_maintain(bench.rig.spd, true, &err) >= 0, err.text);
	sa_prepare(bench.rig.sa[0].out, true);
	sa_prepare(bench.rig.sa[0].in, false);
	rig_must(rte_pktmbuf_alloc_bulk(bench.rig.pool, bench.mbufs, MBUFS) == 0, "no mbufs");
	for (uint32_t i = 0; i < MBUFS; i++) {
		struct frame *f = &bench.frames[i];

		f->len = RTE_ETHER_HDR_LEN + size;
		f->head = frame_write(&bench.rig, f->octets, 0, false, size, 0);
	}
}

/* Nothing may be in a device when its buffers go. */
static void
bench_free(void)
{
	struct rte_mbuf *pkts[BURST];

	while (engines_held(bench.rig.w) > 0)
		engine_poll(bench.rig.w, NULL, pkts, BURST);
	if (bench.way == WAY_DEVICE) {
		engine_cryptodev.async->session_close(
			sa_session(sa_at(&bench.rig.sas, bench.rig.sa[0].in))->id);
		engine_cryptodev.async->session_close(
			sa_session(sa_at(&bench.rig.sas, bench.rig.sa[0].out))->id);
	}
	rte_pktmbuf_free_bulk(bench.mbufs, MBUFS);
	fake_offload_free(&bench.rig);
	path_rig_free(&bench.rig);
	rte_mempool_free(bench.rig.pool);
}

static void
stages_print(void)
{
	static struct stage_perf stages;
	struct worker *w = bench.rig.w;

	bench.rig.pipe.timed = true;
	stage_perf_start(&stages, w);
	for (int i = 0; i < WINDOWS; i++) {
		for (int burst = 0; burst < BURSTS; burst++)
			run_path();
		stage_perf_take(&stages, w);
	}
	bench.rig.pipe.timed = false;
	stage_perf_print(&stages, &bench.rig.pipe);
}

static void
run(enum way way, uint16_t size)
{
	double out, in;

	bench_make(way, size);
	out = measure();
	if (size == 64)
		stages_print();
	frames_turn();
	in = measure();
	if (size == 64)
		stages_print();
	drops_judge(bench.rig.w);
	bench_free();
	printf("%-20s %5u %7.1f %7.1f\n", way_names[way], size, out, in);
	fflush(stdout);
}

static bool
device_open(void)
{
	static const char *const devices[] = { DEVICE };
	const struct engine_setup setup = {
		.n_workers = 1, .max_sessions = 4 * RIG_SAS_MAX, .devices = devices, .n_devices = 1
	};
	struct err err = { "" };

	if (engine_cryptodev.async->open(&setup, &err) == 0)
		return true;
	fprintf(stderr, "%s: left out\n", err.text);
	return false;
}

int
main(int argc, char **argv)
{
	static const uint16_t sizes[] = { 64, 1400 };
	bool no_huge = argc > 1 && strcmp(argv[1], "--no-huge") == 0;

	bench_eal_start("offload_bench", "0", no_huge);
	printf("%-20s %5s %7s %7s\n", "cycles per packet", "size", "encap", "decap");
	for (size_t i = 0; i < RTE_DIM(sizes); i++)
		for (enum way way = 0; way < WAY_DEVICE; way++)
			run(way, sizes[i]);
	if (!device_open())
		return 0;
	for (size_t i = 0; i < RTE_DIM(sizes); i++)
		run(WAY_DEVICE, sizes[i]);
	engine_cryptodev.async->close();
	return 0;
}
