/* What it costs to hand a packet over, in TSC cycles per packet, medians.
 *
 *	one core	from the stage of one worker to the stage behind the ring of another, both
 *			here, so that no line comes from another's cache; bursts of which all
 *			packets go to 1, 3 or 7 others
 *	two cores	with a second lcore (-l 0,1), that of the taker: what giving costs the one
 *			and taking the other
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "perf.h"
#include "pipe/handoff.h"
#include "pipe/pipe.h"
#include "replay/replay.h"
#include "sa/sa.h"
#include "worker/worker.h"

#define PACKETS	      2048
#define SAS	      512
#define WORKERS	      8
#define BURST	      32
#define WINDOWS	      501
#define WINDOW_BURSTS 16

struct bench {
	struct worker *workers[WORKERS];
	struct pipe pipe;
	struct view view;
	struct sa_table sas;
	uint32_t index[SAS], generation[SAS];
	struct rte_mbuf *pkts[PACKETS];
	struct {
		struct replay replay;
	} __rte_cache_aligned windows[SAS];
	uint32_t at;
	bool stop;
	double taking;
};

/* Reads what the next stage reads of each packet. */
static uint16_t
sink(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < n; i++) {
		const struct sa *sa = pkt_of(pkts[i])->hot;

		sum += pkts[i]->pkt_len + *rte_pktmbuf_mtod_offset(pkts[i], uint32_t *, 24) +
		       sa->window->top + sa->in.group;
	}
	cell_add(&w->tx_packets, n);
	w->ecn_odd += sum;
	return 0;
}

static const struct stage_row rows[STAGE_MAX] = {
	[STAGE_HANDOFF_IN] = { "handoff", handoff_in, STAGE_REPLAY_CHECK },
	[STAGE_REPLAY_CHECK] = { "replay_check", sink, STAGE_MAX },
};

static void
must(bool held, const char *what)
{
	if (held)
		return;
	fprintf(stderr, "handoff bench: %s\n", what);
	exit(1);
}

static void
workers_make(struct bench *b)
{
	struct err err = { "" };

	pipe_build(&b->pipe, rows, 0);
	for (uint16_t i = 0; i < WORKERS; i++) {
		struct worker *w = rte_zmalloc("worker", sizeof(*w), RTE_CACHE_LINE_SIZE);

		must(w != NULL, "no memory");
		w->index = i;
		w->n_workers = WORKERS;
		w->burst = BURST;
		w->socket = SOCKET_ID_ANY;
		w->pipe = &b->pipe;
		w->view = &b->view;
		b->workers[i] = w;
	}
	must(handoff_init(b->workers, WORKERS, &err) == 0, err.text);
}

static void
packets_make(struct bench *b)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create("packets", 2 * PACKETS - 1, 0,
							   sizeof(struct pkt), 2176, SOCKET_ID_ANY);
	struct err err = { "" };

	must(pool != NULL, "no pool");
	must(sa_table_init(&b->sas, SAS, SOCKET_ID_ANY, &err) == 0, err.text);
	for (int i = 0; i < SAS; i++) {
		must(slab_take(&b->sas.records, &b->index[i], &b->generation[i], &err) == 0,
		     err.text);
		sa_at(&b->sas, b->index[i])->window = &b->windows[i].replay;
	}
	for (int i = 0; i < PACKETS; i++) {
		b->pkts[i] = rte_pktmbuf_alloc(pool);
		must(b->pkts[i] != NULL, "no packets");
		rte_pktmbuf_append(b->pkts[i], 64);
	}
	b->view.sas = &b->sas;
}

/* A burst of worker 0, as the SPI table leaves it. */
static void
burst_make(struct bench *b, struct rte_mbuf **pkts)
{
	for (int i = 0; i < BURST; i++) {
		uint32_t sa = (b->at * 2654435761u) >> 16 & (SAS - 1);
		struct pkt *p;

		pkts[i] = b->pkts[b->at++ & (PACKETS - 1)];
		p = pkt_of(pkts[i]);
		p->sa = b->index[sa];
		p->generation = b->generation[sa];
		p->hot = sa_at(&b->sas, p->sa);
		pkts[i]->data_off = RTE_PKTMBUF_HEADROOM;
	}
}

static double
measure(struct bench *b, uint16_t others)
{
	static struct perf perf;
	struct rte_mbuf *pkts[BURST_MAX];

	for (int i = 0; i < SAS; i++)
		sa_at(&b->sas, b->index[i])->owner = (uint8_t)(1 + i % others);
	perf.n = 0;
	for (int i = 0; i < WINDOWS; i++) {
		uint64_t start = rte_rdtsc();

		for (int k = 0; k < WINDOW_BURSTS; k++) {
			burst_make(b, pkts);
			pipe_run(b->workers[0], STAGE_HANDOFF_IN, pkts, BURST);
			for (uint16_t to = 1; to <= others; to++)
				handoff_rx(b->workers[to], NULL, pkts, BURST);
			handoff_rx(b->workers[0], NULL, pkts, BURST);
			for (uint16_t to = 1; to <= others; to++)
				pipe_run(b->workers[to], STAGE_REPLAY_CHECK, pkts, 0);
		}
		perf_add(&perf, rte_rdtsc() - start, WINDOW_BURSTS * BURST);
	}
	return perf_median(&perf);
}

/* The taker's core. */
static int
take_all(void *arg)
{
	static struct perf perf;
	struct bench *b = arg;
	struct worker *w = b->workers[1];
	struct rte_mbuf *pkts[BURST_MAX];

	perf.n = 0;
	while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED)) {
		uint64_t before = w->tx_packets, start = rte_rdtsc(), cycles;

		handoff_rx(w, NULL, pkts, BURST);
		cycles = rte_rdtsc() - start;
		if (w->tx_packets - before == BURST)
			perf_add(&perf, cycles, BURST);
	}
	b->taking = perf_median(&perf);
	return 0;
}

static void
measure_two(struct bench *b, unsigned int lcore)
{
	static struct perf perf;
	struct rte_mbuf *pkts[BURST_MAX];
	uint64_t given = b->workers[1]->tx_packets;

	for (int i = 0; i < SAS; i++)
		sa_at(&b->sas, b->index[i])->owner = 1;
	perf.n = 0;
	must(rte_eal_remote_launch(take_all, b, lcore) == 0, "no second core");
	while (perf.n < PERF_WINDOWS_MAX) {
		uint64_t start;

		/* The buffers come round again: not before they were taken. */
		while (given - cell_get(&b->workers[1]->tx_packets) > 8 * BURST)
			rte_pause();
		burst_make(b, pkts);
		start = rte_rdtsc();
		pipe_run(b->workers[0], STAGE_HANDOFF_IN, pkts, BURST);
		perf_add(&perf, rte_rdtsc() - start, BURST);
		given += BURST;
	}
	while (cell_get(&b->workers[1]->tx_packets) != given)
		rte_pause();
	__atomic_store_n(&b->stop, true, __ATOMIC_RELAXED);
	rte_eal_wait_lcore(lcore);
	printf("two cores, bursts of %d: giving %.1f, taking %.1f\n", BURST, perf_median(&perf),
	       b->taking);
}

int
main(int argc, char **argv)
{
	struct bench *b = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*b));
	uint64_t arrived = 0;

	must(b != NULL, "no memory");
	memset(b, 0, sizeof(*b));
	must(rte_eal_init(argc, argv) >= 0, "no EAL");
	workers_make(b);
	packets_make(b);
	printf("one core, bursts of %d: to 1 other %.1f, to 3 %.1f, to 7 "
	       "%.1f\n",
	       BURST, measure(b, 1), measure(b, 3), measure(b, 7));
	for (int i = 0; i < WORKERS; i++)
		arrived += b->workers[i]->tx_packets;
	must(arrived == 3ull * WINDOWS * WINDOW_BURSTS * BURST, "packets went another way");
	if (rte_lcore_count() > 1)
		measure_two(b, rte_get_next_lcore(-1, true, false));
	return 0;
}
