/* What it costs to put a datagram of two fragments together and decapsulate it, against one that
 * came whole: the goal is 2.5 times (`ratio`).
 *
 * The pipeline of the product runs over frames in memory, as in path_bench; here each has a buffer
 * from the pool, since joining gives some back. What source and sink cost, with their buffers, is
 * measured by itself and taken off. Figures are TSC cycles per datagram, medians of windows in
 * turns.
 */
#include "drivers.h"
#include "frag/reasm.h"
#include "traffic.h"
#include "wire/ip.h"

#define WINDOWS	  301
#define BURSTS	  16 /* per window */
#define BURST	  32 /* datagrams */
#define DATAGRAMS 512
#define MBUFS	  4096

/* How datagrams come. */
enum kind {
	WHOLE,
	PIECES_SHORT, /* the second one has few octets, and is copied */
	PIECES_EVEN,  /* two halves, likewise */
	PIECES_LONG,  /* the second one is too long to be copied: a chain */
	KINDS
};
static const char *const names[KINDS] = { "whole", "1,4xx + 64", "two halves", "64 + 1,4xx" };

struct bench {
	struct path_rig rig;
	struct frag_shared *shared;
	uint32_t at, kept;
	struct frame frames[KINDS][DATAGRAMS][2];
};

static struct bench *the_bench;

static uint16_t
keep_frames(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct bench *b = the_bench;

	for (uint16_t i = 0; i < n; i++)
		frame_keep(&b->rig, &b->frames[WHOLE][b->kept++][0], pkts[i]);
	rte_pktmbuf_free_bulk(pkts, n);
	return 0;
}

static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	cell_add(&w->tx_packets, n);
	rte_pktmbuf_free_bulk(pkts, n);
	return 0;
}

static uint16_t
take(struct bench *b, enum kind kind, uint32_t part, struct rte_mbuf **pkts)
{
	uint32_t at = b->at;

	rig_must(rte_pktmbuf_alloc_bulk(b->rig.pool, pkts, BURST) == 0, "buffers");
	for (uint16_t i = 0; i < BURST; i++, at++)
		frame_arrive(pkts[i], &b->frames[kind][at][part], RIG_BLACK);
	cell_add(&b->rig.w->rx_packets, BURST);
	return BURST;
}

/* One burst of datagrams; those in two pieces are two bursts of frames, of firsts and of lasts: so
 * all of them wait at once.
 */
static void
run(struct bench *b, enum kind kind, bool path)
{
	struct rte_mbuf *pkts[BURST_MAX];

	if (b->at == 0) {
		struct replay *window = b->rig.sa[0].window;

		replay_init(window, window->window, window->esn, 0);
	}
	for (uint32_t part = 0; part < (kind == WHOLE ? 1 : 2); part++) {
		uint16_t n = take(b, kind, part, pkts);

		if (path)
			pipe_run(b->rig.w, STAGE_CLASSIFY_BLACK, pkts, n);
		else
			sink(b->rig.w, pkts, n);
	}
	b->at = (b->at + BURST) % DATAGRAMS;
}

static double
time_of(struct bench *b, enum kind kind, bool path)
{
	uint64_t start = rte_rdtsc();

	for (int i = 0; i < BURSTS; i++)
		run(b, kind, path);
	return (double)(rte_rdtsc() - start) / (BURSTS * BURST);
}

/* Octets of the first piece behind the header: a multiple of 8. */
static uint32_t
cut_at(enum kind kind, uint32_t octets)
{
	uint32_t at = kind == PIECES_SHORT ? octets - 64 : kind == PIECES_EVEN ? octets / 2 : 64;

	return at / 8 * 8;
}

/* A frame of a datagram's octets from `from` on. */
static void
piece_make(struct frame *f, const struct frame *whole, uint32_t from, uint32_t n, uint16_t id,
	   bool more)
{
	const uint32_t header = RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr);
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)(f->octets + RTE_ETHER_HDR_LEN);

	memcpy(f->octets, whole->octets, header);
	memcpy(f->octets + header, whole->octets + header + from, n);
	f->len = f->head = (uint16_t)(header + n);
	h->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*h) + n));
	h->packet_id = rte_cpu_to_be_16(id);
	h->fragment_offset = rte_cpu_to_be_16((uint16_t)(from / 8 | more << 13));
	h->hdr_checksum = wire_ip4_checksum(h, sizeof(*h));
}

static void
pieces_make(struct bench *b, uint32_t i)
{
	const struct frame *whole = &b->frames[WHOLE][i][0];
	uint32_t octets = whole->len - RTE_ETHER_HDR_LEN - sizeof(struct rte_ipv4_hdr);

	for (int kind = WHOLE + 1; kind < KINDS; kind++) {
		uint32_t at = cut_at(kind, octets);

		piece_make(&b->frames[kind][i][0], whole, 0, at, (uint16_t)i, true);
		piece_make(&b->frames[kind][i][1], whole, at, octets - at, (uint16_t)i, false);
	}
}

static void
frames_make(struct bench *b, uint16_t size)
{
	struct rte_mbuf *pkts[BURST_MAX];

	path_rig_sink(&b->rig, keep_frames);
	for (uint32_t i = 0; i < DATAGRAMS; i += BURST) {
		rig_must(rte_pktmbuf_alloc_bulk(b->rig.pool, pkts, BURST) == 0, "buffers");
		for (uint32_t k = 0; k < BURST; k++) {
			uint8_t *at =
				(uint8_t *)rte_pktmbuf_append(pkts[k], RTE_ETHER_HDR_LEN + size);

			memset(at, 0, RTE_ETHER_HDR_LEN + size);
			frame_write(&b->rig, at, 0, false, size, 0);
		}
		path_rig_feed(&b->rig, RIG_RED, pkts, BURST);
	}
	rig_must(b->kept == DATAGRAMS, "frames");
	for (uint32_t i = 0; i < DATAGRAMS; i++)
		pieces_make(b, i);
	path_rig_sink(&b->rig, sink);
}

static void
bench_make(struct bench *b, uint16_t size)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	static const struct rig_suite suite = {
		.cipher = ALG_AES_GCM_128, .esn = true, .window = 1024, .loop = true
	};
	const struct frag_limits limits = { 2000000000, 4096, 64, MBUFS / 4, 0 };
	struct rig_params p = { .engines = engines,
				.n_engines = 1,
				.burst = BURST,
				.flows = SPD_FLOWS_V4,
				.key_cache = 16 << 20,
				.sink = sink };
	struct addr peer;
	struct err err = { "" };

	the_bench = b;
	rig_must(port_pool_create("bench", MBUFS, RIG_PATH_MTU, SOCKET_ID_ANY, &p.pool, &err) == 0,
		 err.text);
	path_rig_make(&b->rig, &p);
	path_rig_sa(&b->rig, &suite);
	rig_must(spd_maintain(b->rig.spd, true, &err) >= 0, err.text);
	rig_must(frag_shared_create(&b->shared, &err) == 0, err.text);
	rig_must(frag_worker_init(b->rig.w, b->shared, &limits, &err) == 0, err.text);
	/* A loop: our own address is the peer. */
	peer = rig_end(false, false, 0);
	frag_peer_add(b->shared, &peer, NULL, NULL);
	frames_make(b, size);
}

static void
bench_free(struct bench *b)
{
	frag_worker_fini(b->rig.w);
	frag_shared_free(b->shared);
	path_rig_free(&b->rig);
	rte_mempool_free(b->rig.pool);
}

static void
bench_run(uint16_t size)
{
	static struct perf nothing[KINDS], path[KINDS];
	static struct bench b;
	double whole = 0;

	memset(&b, 0, sizeof(b));
	memset(nothing, 0, sizeof(nothing));
	memset(path, 0, sizeof(path));
	bench_make(&b, size);
	for (int i = 0; i < WINDOWS; i++) {
		for (int kind = 0; kind < KINDS; kind++) {
			perf_take(&nothing[kind], time_of(&b, kind, false));
			perf_take(&path[kind], time_of(&b, kind, true));
		}
	}
	drops_judge(b.rig.w);
	for (int kind = 0; kind < KINDS; kind++) {
		double cycles = perf_median(&path[kind]) - perf_median(&nothing[kind]);

		whole = kind == WHOLE ? cycles : whole;
		printf("%-30s %5u %8.1f %6.2f\n", names[kind], size, cycles, cycles / whole);
	}
	fflush(stdout);
	bench_free(&b);
}

int
main(int argc, char **argv)
{
	bench_eal_start("reasm_bench", "0", argc > 1 && strcmp(argv[1], "--no-huge") == 0);
	printf("%-30s %5s %8s %6s\n", "decap, cycles per datagram", "size", "path", "ratio");
	bench_run(1400);
	bench_run(576);
	return 0;
}
