/* What IPComp costs, both ways: its stages beside the bare calls of the codec on the same octets,
 * and a flow that does not shrink beside the same flow on an SA without IPComp.
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
	struct frame frames[N], sealed[N]; /* as they come, and what the way out made of them */
	uint32_t at, kept;
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

/* Keeps what comes while there is room for it. */
static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n && now->kept < N; i++)
		frame_keep(&now->rig, &now->sealed[now->kept++], pkts[i]);
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
	pipe_add(&s->rig.pipe, s->rig.rows, STAGE_IPCOMP_DECAP);
}

static void
arrive(struct side *s, struct rte_mbuf **pkts)
{
	for (int i = 0; i < BURST; i++, s->at = (s->at + 1) % N) {
		pkts[i] = s->mbufs[s->at];
		frame_arrive(pkts[i], &s->frames[s->at], RIG_RED);
	}
}

/* From the other side; the same numbers come again and again. */
static void
arrive_sealed(struct side *s, struct rte_mbuf **pkts)
{
	struct replay *window = s->rig.sa[0].window;

	if (s->at == 0)
		replay_init(window, window->window, window->esn, 0);
	for (int i = 0; i < BURST; i++, s->at = (s->at + 1) % N) {
		pkts[i] = s->mbufs[s->at];
		frame_arrive(pkts[i], &s->sealed[s->at], RIG_BLACK);
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

static void
run_path_in(void)
{
	struct rte_mbuf *pkts[BURST];

	arrive_sealed(now, pkts);
	pipe_run(now->rig.w, STAGE_CLASSIFY_BLACK, pkts, BURST);
}

static uint8_t packed[N][SIZE];
static uint32_t packed_len[N];

/* The bare calls on the same octets as in run_path(): the whole inner packet. */
static void
run_bare(void)
{
	struct ipcomp_worker *iw = sides[1].rig.w->ipcomp;
	struct rte_mbuf *pkts[BURST];
	uint32_t at = now->at;

	arrive(now, pkts);
	for (int i = 0; i < BURST; i++, at = (at + 1) % N)
		packed_len[at] = iw->codec->deflate(iw->cw,
						    rte_pktmbuf_mtod_offset(pkts[i], uint8_t *,
									    RTE_ETHER_HDR_LEN),
						    SIZE, packed[at], SIZE - IPCOMP_HEADER - 1);
}

/* The way back of what run_bare() left: as in the path, it was written just before. */
static void
run_bare_in(void)
{
	struct ipcomp_worker *iw = sides[1].rig.w->ipcomp;
	static uint8_t in[BURST][SIZE], out[SIZE];
	uint32_t n;

	for (int i = 0; i < BURST; i++)
		memcpy(in[i], packed[now->at + i], packed_len[now->at + i]);
	for (int i = 0; i < BURST; i++)
		rig_must(iw->codec->inflate(iw->cw, in[i], packed_len[now->at + i], out, SIZE,
					    &n) == CODEC_OK &&
				 n == SIZE,
			 "the bare call does not take what it made");
	now->at = (now->at + BURST) % N;
}

static double
time_of(void (*run)(void))
{
	uint64_t start = rte_rdtsc();

	for (int i = 0; i < BURSTS; i++)
		run();
	return (double)(rte_rdtsc() - start) / (BURSTS * BURST);
}

/* The way out once more, for frames of the way in: all compressed. */
static void
sealed_make(struct side *s)
{
	s->at = s->kept = 0;
	for (int i = 0; i < N / BURST; i++)
		run_path();
	rig_must(s->kept == N, "frames");
	for (uint32_t i = 0; i < N; i++)
		rig_must(s->sealed[i].len < SIZE, "a packet did not shrink");
}

static double
stage_of(int stage, void (*run)(void))
{
	const uint64_t *cycles = &now->rig.w->stage_cycles[stage];
	uint64_t before = *cycles;

	time_of(run);
	return (double)(*cycles - before) / (BURSTS * BURST);
}

static void
shrinking_print(const char *name, const char *stage, struct perf *path, double bare)
{
	double cycles = perf_median(path);

	printf("%-6s %u octets: %s %7.0f, the bare call of %s %7.0f, ratio %.3f (goal 1.15)\n",
	       name, SIZE, stage, cycles, now->rig.w->ipcomp->codec->name, bare, cycles / bare);
}

/* What the stages add to the path: the path with them, its text made shorter, less the same text's
 * path without them would count the cipher's gain; so the stages' own cycles are taken.
 */
static void
shrinking(enum content what, const char *name)
{
	static struct perf out, in, bare_out, bare_in, nothing;

	now = &sides[1];
	frames_fill(now, what);
	sealed_make(now);
	now->rig.pipe.timed = true;
	out.n = in.n = bare_out.n = bare_in.n = nothing.n = 0;
	for (int i = 0; i < WINDOWS; i++) {
		perf_take(&out, stage_of(STAGE_IPCOMP_ENCAP, run_path));
		perf_take(&nothing, time_of(run_nothing));
		perf_take(&bare_out, time_of(run_bare));
		perf_take(&in, stage_of(STAGE_IPCOMP_DECAP, run_path_in));
		perf_take(&bare_in, time_of(run_bare_in));
	}
	now->rig.pipe.timed = false;
	shrinking_print(name, "ipcomp_encap", &out, perf_median(&bare_out) - perf_median(&nothing));
	shrinking_print(name, "ipcomp_decap", &in, perf_median(&bare_in));
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
