/* The whole way of a packet on one core, against the bare cipher on the same buffers.
 *
 * Frames lie in memory as a device would have left them; the pipeline of the product runs over
 * them, all stages on, to frames ready to be sent. Loops over the same buffers are timed in turns,
 * window by window:
 *
 *	source and sink alone			what the traffic costs
 *	source, headers and IVs written, sink	what the bare cipher needs beforehand
 *	the same with the cipher		bare = the difference of these two
 *	source, pipeline, sink			path = the difference to the first
 *
 * Figures are TSC cycles per packet, medians.
 */
#include "drivers.h"
#include "raw_cbc.h"
#include "traffic.h"

#define WINDOWS	  301
#define BURSTS	  16 /* per window */
#define IMIX	  0  /* as a size: 7 of 64, 4 of 576, 1 of 1400 */
#define FLOWS_NEW 0  /* as a number of flows: each packet another */

struct bench {
	struct path_rig rig;
	uint32_t n; /* buffers */
	uint32_t at;
	struct rte_mbuf **mbufs;
	struct frame *frames;
	bool decap, new_flows;
	uint32_t flow;
};

static struct bench *the_bench; /* what source and sink, which have only a worker, belong to */

/* Frames as they came from the wire: mbuf fields and headers are written anew; in decap, all
 * octets. */
static uint16_t
source(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct bench *b = the_bench;

	if (b->decap && b->at == 0) {
		/* The same packets again: all their numbers are new once more. */
		struct replay *window = b->rig.sa[0].window;

		replay_init(window, window->window, window->esn, 0);
	}
	for (uint16_t i = 0; i < max; i++) {
		struct rte_mbuf *m = b->mbufs[b->at];
		const struct frame *f = &b->frames[b->at];
		uint8_t *data = frame_arrive(m, f, b->decap ? RIG_BLACK : RIG_RED);

		b->at = b->at + 1 == b->n ? 0 : b->at + 1;
		if (b->new_flows)
			memcpy(data + 34, &(uint32_t) { b->flow++ }, 4);
		pkts[i] = m;
	}
	cell_add(&w->rx_packets, max);
	return max;
}

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	cell_add(&w->tx_packets, n);
	return 0;
}

static void
run_nothing(struct bench *b)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n = source(b->rig.w, NULL, pkts, b->rig.w->burst);

	sink(b->rig.w, pkts, n);
}

static void
run_path(struct bench *b)
{
	struct rte_mbuf *pkts[BURST_MAX];
	struct worker *w = b->rig.w;
	uint16_t n = source(w, NULL, pkts, w->burst);

	pipe_run(w, b->decap ? STAGE_CLASSIFY_BLACK : STAGE_CLASSIFY_RED, pkts, n);
}

/* What the cipher has to find: text with IV in front, AAD, nonce. Nothing else of ESP. */
static void
bare_prepare(struct bench *b, struct rte_mbuf *m, struct crypto_op *op, uint64_t seq)
{
	const struct sa *sa = sa_at(&b->rig.sas, b->decap ? b->rig.sa[0].in : b->rig.sa[0].out);
	uint16_t inner = m->data_len - RTE_ETHER_HDR_LEN;
	uint64_t seq_be = rte_cpu_to_be_64(seq);
	uint16_t head = RTE_ETHER_HDR_LEN + 20 + 8 + sa->suite.iv_len;

	op->session = sa_session(sa);
	op->chain = NULL;
	op->engine = 0;
	memcpy(op->aad, &sa->spi_be, 4);
	memcpy(op->aad + 4, &seq_be, 8);
	memcpy(op->nonce, sa->salt, 4);
	memcpy(op->nonce + 4, &seq_be, 8);
	if (b->decap) {
		op->text = rte_pktmbuf_mtod_offset(m, uint8_t *, head);
		op->text_len = m->data_len - head - sa->suite.icv_len;
	} else {
		op->text = rte_pktmbuf_mtod_offset(m, uint8_t *, RTE_ETHER_HDR_LEN);
		op->text_len = RTE_ALIGN_CEIL(inner + 2, sa->suite.align);
		memcpy(op->text - 8, &seq_be, 8);
	}
	op->tag = op->text + op->text_len;
}

static void
run_bare(struct bench *b, bool cipher)
{
	struct rte_mbuf *pkts[BURST_MAX];
	struct worker *w = b->rig.w;
	uint32_t first = b->at;
	uint16_t n = source(w, NULL, pkts, w->burst);

	for (uint16_t i = 0; i < n; i++)
		bare_prepare(b, pkts[i], &w->crypto->ops[i], first + i + 1);
	if (cipher)
		crypto_run(w->crypto, w->crypto->ops, n, !b->decap);
	sink(w, pkts, n);
}

static double
time_of(struct bench *b, void (*run)(struct bench *b))
{
	uint64_t start = rte_rdtsc();

	for (int i = 0; i < BURSTS; i++)
		run(b);
	return (double)(rte_rdtsc() - start) / (BURSTS * b->rig.w->burst);
}

static void
run_prepared(struct bench *b)
{
	run_bare(b, false);
}

static void
run_cipher(struct bench *b)
{
	run_bare(b, true);
}

struct result {
	double path, bare;
};

static struct result
measure(struct bench *b)
{
	static struct perf nothing, path, prepared, cipher;
	struct result r;

	nothing.n = path.n = prepared.n = cipher.n = 0;
	for (int i = 0; i < WINDOWS; i++) {
		perf_take(&nothing, time_of(b, run_nothing));
		perf_take(&path, time_of(b, run_path));
		perf_take(&prepared, time_of(b, run_prepared));
		perf_take(&cipher, time_of(b, run_cipher));
	}
	r.path = perf_median(&path) - perf_median(&nothing);
	r.bare = perf_median(&cipher) - perf_median(&prepared);
	return r;
}

struct shape {
	uint8_t cipher, auth; /* enum alg_id */
	bool decap, v6, outer_v6;
	uint16_t size, burst;
	uint32_t n_mbufs, n_flows;
};

static uint16_t
size_of(const struct shape *s, uint32_t i)
{
	static const uint16_t imix[12] = { 64, 576, 64, 64, 576, 64, 1400, 64, 576, 64, 576, 64 };

	return s->size == IMIX ? imix[i % RTE_DIM(imix)] : s->size;
}

/* Takes what the pipeline made of an outbound burst as frames for the way in. */
static uint16_t
keep_frames(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct bench *b = the_bench;

	for (uint16_t i = 0; i < n; i++)
		frame_keep(&b->rig, &b->frames[b->flow++], pkts[i]);
	return 0;
}

static void
frames_make(struct bench *b, const struct shape *s)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct frame *f = &b->frames[i];
		uint32_t flow = s->n_flows == FLOWS_NEW ? 0 : i % s->n_flows;

		f->len = RTE_ETHER_HDR_LEN + size_of(s, i);
		f->head = frame_write(&b->rig, f->octets, 0, s->v6, size_of(s, i), flow);
	}
	if (!s->decap)
		return;
	path_rig_sink(&b->rig, keep_frames);
	b->flow = 0;
	for (uint32_t i = 0; i < b->n; i += s->burst)
		run_path(b);
	path_rig_sink(&b->rig, sink);
	b->decap = true;
	b->at = 0;
}

static void
bench_make(struct bench *b, const struct shape *s)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	const struct rig_suite suite = {
		.cipher = s->cipher,
		.auth = s->auth,
		.esn = true,
		.v6 = s->outer_v6,
		.window = 1024,
		.loop = true,
	};
	struct rig_params p = {
		.engines = engines,
		.n_engines = 1,
		.burst = s->burst,
		.flows = SPD_FLOWS_V4,
		.key_cache = 16 << 20,
		.sink = sink,
	};
	struct err err = { "" };

	memset(b, 0, sizeof(*b));
	the_bench = b;
	rig_must(port_pool_create("bench", s->n_mbufs, RIG_PATH_MTU, SOCKET_ID_ANY, &p.pool,
				  &err) == 0,
		 err.text);
	path_rig_make(&b->rig, &p);
	path_rig_sa(&b->rig, &suite);
	rig_must(spd_maintain(b->rig.spd, true, &err) >= 0, err.text);
	b->n = s->n_mbufs / s->burst * s->burst;
	b->mbufs = calloc(b->n, sizeof(b->mbufs[0]));
	b->frames = calloc(b->n, sizeof(b->frames[0]));
	if (b->mbufs == NULL || b->frames == NULL ||
	    rte_pktmbuf_alloc_bulk(b->rig.pool, b->mbufs, b->n) != 0) {
		fputs("no memory for the frames\n", stderr);
		exit(1);
	}
	b->new_flows = s->n_flows == FLOWS_NEW;
	frames_make(b, s);
}

static void
bench_free(struct bench *b)
{
	rte_pktmbuf_free_bulk(b->mbufs, b->n);
	free(b->mbufs);
	free(b->frames);
	path_rig_free(&b->rig);
	rte_mempool_free(b->rig.pool);
}

static void
stages_print(struct bench *b)
{
	static struct stage_perf stages;
	struct worker *w = b->rig.w;

	b->rig.pipe.timed = true;
	stage_perf_start(&stages, w);
	for (int i = 0; i < WINDOWS; i++) {
		for (int burst = 0; burst < BURSTS; burst++)
			run_path(b);
		stage_perf_take(&stages, w);
	}
	b->rig.pipe.timed = false;
	stage_perf_print(&stages, &b->rig.pipe);
}

static double
bits_of(const struct shape *s)
{
	return 8.0 * (s->size == IMIX ? (7 * 64 + 4 * 576 + 1400) / 12.0 : s->size);
}

static void
bench_run(const struct shape *s, const char *what, int budget, bool stages)
{
	struct bench b;
	struct result r;
	double hz = rte_get_tsc_hz();
	char size[8];

	bench_make(&b, s);
	r = measure(&b);
	drops_judge(b.rig.w);
	snprintf(size, sizeof(size), s->size == IMIX ? "IMIX" : "%u", s->size);
	printf("%-30s %5s %7.1f %7.1f %7.1f %7d %6.2f %7.2f %7.2f\n", what, size, r.path, r.bare,
	       r.path - r.bare, budget, r.path / r.bare, hz / r.path / 1e6,
	       hz / r.path * bits_of(s) / 1e9);
	fflush(stdout);
	if (stages)
		stages_print(&b);
	bench_free(&b);
}

static void
head_print(void)
{
	printf("%-30s %5s %7s %7s %7s %7s %6s %7s %7s\n", "cycles per packet", "size", "path",
	       "bare", "+", "budget", "ratio", "Mpps", "Gbit/s");
}

static const uint16_t sizes[] = { 64, 256, 1024, 1400, IMIX };

static void
family(uint8_t cipher, uint8_t auth, bool decap, bool v6, bool outer_v6, int budget,
       const char *what)
{
	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		const struct shape s = {
			.cipher = cipher,
			.auth = auth,
			.decap = decap,
			.v6 = v6,
			.outer_v6 = outer_v6,
			.size = v6 && sizes[i] == 64 ? 84 : sizes[i],
			.burst = 32,
			.n_mbufs = 512,
			.n_flows = 1,
		};
		/* Decapsulation of large packets: section 10 of the design allows ten more. */
		int more = decap && !v6 && sizes[i] == 1400 ? 10 : 0;

		bench_run(&s, what, budget + more, sizes[i] == 64);
	}
}

static void
variation(const struct shape *base, const char *what)
{
	for (int decap = 0; decap < 2; decap++) {
		struct shape s = *base;
		char text[64];

		s.decap = decap;
		snprintf(text, sizeof(text), "%s %s", decap ? "decap" : "encap", what);
		bench_run(&s, text, decap ? 60 : 50, false);
	}
}

static void
variations(void)
{
	const struct shape base = {
		.cipher = ALG_AES_GCM_128, .size = 64, .burst = 32, .n_mbufs = 512, .n_flows = 1
	};
	struct shape s = base;

	s.n_mbufs = 8192;
	variation(&s, "8,192 mbufs");
	s = base;
	s.burst = 8;
	variation(&s, "burst 8");
	s.burst = 1;
	variation(&s, "burst 1");
	s = base;
	s.n_flows = 512;
	variation(&s, "512 flows");
	s.n_flows = FLOWS_NEW;
	bench_run(&s, "encap every packet a new flow", 50, false);
}

/* The whole path against ipsec-mb's own burst API, which is what such suites are measured by. */
static void
raw_lines(void)
{
	for (int decap = 0; decap < 2; decap++) {
		for (int large = 0; large < 2; large++) {
			struct shape s = { .cipher = ALG_AES_CBC_128,
					   .auth = ALG_HMAC_SHA256_128,
					   .decap = decap,
					   .size = large ? 1400 : 64,
					   .burst = 32,
					   .n_mbufs = 512,
					   .n_flows = 1 };
			double raw = raw_cbc_cycles(decap, RTE_ALIGN_CEIL(s.size + 2, 16));
			struct bench b;
			struct result r;

			bench_make(&b, &s);
			r = measure(&b);
			drops_judge(b.rig.w);
			bench_free(&b);
			printf("%s CBC+SHA256, %u octets: path %.0f, ipsec-mb's burst of 32 "
			       "flushed %.0f, ratio %.2f "
			       "(goal 1.25)\n",
			       decap ? "decap" : "encap", s.size, r.path, raw, r.path / raw);
		}
	}
}

static void
all(void)
{
	head_print();
	family(ALG_AES_GCM_128, ALG_NONE, false, false, false, 50, "encap v4 in v4");
	family(ALG_AES_GCM_128, ALG_NONE, true, false, false, 60, "decap v4 in v4");
	family(ALG_AES_GCM_128, ALG_NONE, false, true, true, 60, "encap v6 in v6");
	family(ALG_AES_GCM_128, ALG_NONE, true, true, true, 75, "decap v6 in v6");
	family(ALG_AES_GCM_128, ALG_NONE, false, false, true, 60, "encap v4 in v6");
	family(ALG_AES_GCM_128, ALG_NONE, true, false, true, 75, "decap v4 in v6");
	variations();
	family(ALG_AES_CBC_128, ALG_HMAC_SHA256_128, false, false, false, 0, "encap CBC+SHA256");
	family(ALG_AES_CBC_128, ALG_HMAC_SHA256_128, true, false, false, 0, "decap CBC+SHA256");
	raw_lines();
}

static void
short_run(void)
{
	struct shape s = {
		.cipher = ALG_AES_GCM_128, .size = 64, .burst = 32, .n_mbufs = 512, .n_flows = 1
	};

	head_print();
	bench_run(&s, "encap v4 in v4", 50, true);
	s.decap = true;
	bench_run(&s, "decap v4 in v4", 60, true);
	s.size = 1400;
	bench_run(&s, "decap v4 in v4", 70, false);
	s.decap = false;
	bench_run(&s, "encap v4 in v4", 50, false);
}

int
main(int argc, char **argv)
{
	bool no_huge = argc > 1 && strcmp(argv[1], "--no-huge") == 0;
	bool brief = argc > 1 && strcmp(argv[argc - 1], "--short") == 0;

	bench_eal_start("path_bench", "0", no_huge);
	if (brief)
		short_run();
	else
		all();
	return 0;
}
