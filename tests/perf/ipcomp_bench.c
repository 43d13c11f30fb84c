/* What IPComp costs: its stages beside the bare calls of the codec on the same octets, and a flow
 * that does not shrink beside the same flow on an SA without IPComp.
 *
 * Frames lie in memory as a device would have left them and are written anew each time. Figures are
 * TSC cycles per packet, medians of windows that take turns.
 */
#include "drivers.h"
#include "ipcomp/ipcomp.h"
#include "traffic.h"

#define WINDOWS 301
#define BURSTS	16
#define BURST	32
#define N	256
#define SIZE	1400

struct side {
	struct path_rig rig;
	struct rte_mbuf *mbufs[N];
	struct frame frames[N];
	uint32_t at;
};

static struct side sides[2], *now; /* without IPComp, and with it */

enum content {
	TEXT,
	JSON,
	NOISE,
};

static void
content_fill(uint8_t *at, uint32_t n, enum content what, uint32_t seed)
{
	static const char *const words[] = { "packet ", "the ",	   "gateway ", "of ",
					     "sends ",	"and ",	   "is ",      "inner ",
					     "header ", "no ",	   "policy ",  "a ",
					     "when ",	"tunnel ", "its ",     "peer " };
	char piece[64];

	for (uint32_t i = 0; i < n;) {
		uint32_t take;

		seed = seed * 1664525 + 1013904223;
		if (what == NOISE) {
			at[i++] = (uint8_t)(seed >> 24);
			continue;
		}
		if (what == TEXT)
			take = (uint32_t)snprintf(piece, sizeof(piece), "%s", words[seed >> 28]);
		else
			take = (uint32_t)snprintf(
				piece, sizeof(piece),
				"{\"id\": %u, \"port\": %u, \"state\": \"%s\"},\n", seed >> 20,
				seed % 65536, (seed >> 28 & 1) != 0 ? "live" : "expired");
		take = RTE_MIN(take, n - i);
		memcpy(at + i, piece, take);
		i += take;
	}
}

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

static void
frames_fill(struct side *s, enum content what)
{
	for (uint32_t i = 0; i < N; i++) {
		struct frame *f = &s->frames[i];
		uint16_t head = frame_write(&s->rig, f->octets, 0, false, SIZE, 0);

		f->len = f->head = RTE_ETHER_HDR_LEN + SIZE;
		content_fill(f->octets + head, f->len - head, what, i);
	}
}

static void
side_make(struct side *s, bool ipcomp, const struct codec *const *codecs)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	const struct rig_suite suite = { .owner = ipcomp,
					 .cipher = ALG_AES_GCM_128,
					 .esn = true,
					 .window = 1024,
					 .loop = true,
					 .ipcomp = ipcomp };
	struct rig_params p = { .worker = ipcomp,
				.engines = engines,
				.n_engines = 1,
				.burst = BURST,
				.flows = SPD_FLOWS_V4,
				.key_cache = 1 << 20,
				.sink = sink };
	struct err err = { "" };

	rig_must(port_pool_create(ipcomp ? "with" : "without", N + 64, RIG_PATH_MTU, SOCKET_ID_ANY,
				  &p.pool, &err) == 0,
		 err.text);
	path_rig_make(&s->rig, &p);
	path_rig_sa(&s->rig, &suite);
	rig_must(spd_maintain(s->rig.spd, true, &err) >= 0, err.text);
	rig_must(rte_pktmbuf_alloc_bulk(s->rig.pool, s->mbufs, N) == 0, "no mbufs");
	if (!ipcomp)
		return;
	rig_must(ipcomp_worker_init(codecs, 1, SOCKET_ID_ANY, &s->rig.w->ipcomp, &err) == 0,
		 err.text);
	pipe_add(&s->rig.pipe, s->rig.rows, STAGE_IPCOMP_ENCAP);
}

static void
arrive(struct side *s, struct rte_mbuf **pkts)
{
	for (int i = 0; i < BURST; i++, s->at = (s->at + 1) % N) {
		pkts[i] = s->mbufs[s->at];
		frame_arrive(pkts[i], &s->frames[s->at], RIG_RED);
	}
}

static void
run_nothing(void)
{
	struct rte_mbuf *pkts[BURST];

	arrive(now, pkts);
}

/* The clock goes on: a worker's budget is no subject here. */
static void
run_path(void)
{
	struct rte_mbuf *pkts[BURST];

	arrive(now, pkts);
	now->rig.w->now += 1000000;
	pipe_run(now->rig.w, STAGE_CLASSIFY_RED, pkts, BURST);
}

static uint8_t packed[N][SIZE];

/* The bare calls on the same octets as in run_path(): the whole inner packet. */
static void
run_bare(void)
{
	struct ipcomp_worker *iw = sides[1].rig.w->ipcomp;
	struct rte_mbuf *pkts[BURST];

	arrive(now, pkts);
	for (int i = 0; i < BURST; i++)
		iw->codec->deflate(iw->cw,
				   rte_pktmbuf_mtod_offset(pkts[i], uint8_t *, RTE_ETHER_HDR_LEN),
				   SIZE, packed[i], SIZE - IPCOMP_HEADER - 1);
}

static double
time_of(void (*run)(void))
{
	uint64_t start = rte_rdtsc();

	for (int i = 0; i < BURSTS; i++)
		run();
	return (double)(rte_rdtsc() - start) / (BURSTS * BURST);
}

/* What the stage adds to the path: the path with it, its text made shorter, less the same text's
 * path without it would count the cipher's gain; so the stage's own cycles are taken.
 */
static void
shrinking(enum content what, const char *name)
{
	static struct perf stage, bare, nothing;
	struct worker *w = sides[1].rig.w;
	double s, b;

	now = &sides[1];
	frames_fill(now, what);
	now->rig.pipe.timed = true;
	stage.n = bare.n = nothing.n = 0;
	for (int i = 0; i < WINDOWS; i++) {
		uint64_t before = w->stage_cycles[STAGE_IPCOMP_ENCAP];

		time_of(run_path);
		perf_take(&stage, (double)(w->stage_cycles[STAGE_IPCOMP_ENCAP] - before) /
					  (BURSTS * BURST));
		perf_take(&nothing, time_of(run_nothing));
		perf_take(&bare, time_of(run_bare));
	}
	now->rig.pipe.timed = false;
	s = perf_median(&stage);
	b = perf_median(&bare) - perf_median(&nothing);
	printf("%-6s %u octets: ipcomp_encap %7.0f, the bare call of %s %7.0f, ratio %.3f (goal "
	       "1.15)\n",
	       name, SIZE, s, w->ipcomp->codec->name, b, s / b);
}

static void
resting(void)
{
	static struct perf path[2];
	double without, with;

	for (int k = 0; k < 2; k++) {
		now = &sides[k];
		frames_fill(now, NOISE);
		path[k].n = 0;
		for (int i = 0; i < 200; i++)
			time_of(run_path);
	}
	for (int i = 0; i < WINDOWS; i++)
		for (int k = 0; k < 2; k++) {
			double nothing;

			now = &sides[k];
			nothing = time_of(run_nothing);
			perf_take(&path[k], time_of(run_path) - nothing);
		}
	without = perf_median(&path[0]);
	with = perf_median(&path[1]);
	printf("noise  %u octets: encap %.1f without IPComp, %.1f with it, +%.1f %% (goal 3)\n",
	       SIZE, without, with, 100 * (with - without) / without);
}

int
main(int argc, char **argv)
{
	static const struct codec *const codecs[] = {
#ifdef HAVE_ISAL
		&codec_isal,
#else
		&codec_zlib,
#endif
	};

	bench_eal_start("ipcomp_bench", "0", argc > 1 && strcmp(argv[1], "--no-huge") == 0);
	for (int k = 0; k < 2; k++)
		side_make(&sides[k], k == 1, codecs);
	shrinking(TEXT, "text");
	shrinking(JSON, "JSON");
	resting();
	drops_judge(sides[0].rig.w);
	drops_judge(sides[1].rig.w);
	return 0;
}
