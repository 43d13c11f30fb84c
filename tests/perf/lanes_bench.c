/* One tunnel on two cores: what each way to share an SA carries, against one core, in one run.
 *
 * Two workers run the loop of the product over frames in memory. The ways ("rows"), window by
 * window in turn:
 *
 *	one		one worker, one SA
 *	other		the same, of the other core: the cores of shared machines differ
 *	apart		two workers, an SA each: all that two cores of this machine give
 *	handoff		two workers, one SA: half of the packets go to its owner by ring
 *	feed		the same, but all of the packets come to the worker that is not the owner
 *	atomic		two workers, one SA, both take numbers from one counter by fetch_add
 *	atomic burst	the same, once a burst instead of once a packet
 *	lane		one worker, one SA with subspaces, of which it uses one lane
 *	lanes		two workers, one SA with subspaces and a lane each
 *	strays		(decap) the same, but each packet comes to the other lane's worker
 *	locked		(decap) two workers, one window under a lock that a stage holds for a burst
 *
 * Atomic and locked are variants of this bench alone: no gateway that shall keep limits, order and
 * windows exact could use them as they are here, so they are the best that such a design can be.
 *
 * A machine is seldom ours alone. Each window is timed by the TSC and by the threads' own CPU time;
 * one in which a thread had to wait for its core counts as disturbed, and the figures are those of
 * the windows that were not.
 */
#include <getopt.h>

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include "drivers.h"
#include "lanes_side.h"
#include "pipe/handoff.h"

#define STAGE_ROUNDS	100
#define FLOWS		16 /* of a side */
#define BURST		32
#define UNDISTURBED	0.98 /* of a window a thread must have had its core */
#define UNDISTURBED_MIN 20   /* windows, for a figure */

/* A way's figures, each from windows of its own. */
struct result {
	struct perf mpps[2];	   /* 0: undisturbed windows; 1: all */
	struct perf mpps_cpu;	   /* by the CPU time of the busier thread; all windows */
	struct perf cycles[SIDES]; /* busy, per packet that the side had in hand */
	struct perf idle[SIDES];   /* share of the time */
};

static void
result_clear(struct result *r)
{
	r->mpps[0].n = r->mpps[1].n = r->mpps_cpu.n = 0;
	for (int i = 0; i < SIDES; i++)
		r->cycles[i].n = r->idle[i].n = 0;
}

static void
result_take(struct result *r, enum way way)
{
	double hz = rte_get_tsc_hz(), rate = 0, cpu_ns = 0, sent = 0;
	bool undisturbed = true;

	for (unsigned int i = 0; i < SIDES; i++) {
		const struct tally *t = &bench.sides[i].tally;

		if (!way_has(way, i))
			continue;
		undisturbed &= t->time.cpu_ns * hz / 1e9 >= UNDISTURBED * t->time.tsc;
		rate += t->sent / (t->time.tsc / hz) / 1e6;
		cpu_ns = RTE_MAX(cpu_ns, (double)t->time.cpu_ns);
		sent += t->sent;
	}
	perf_take(&r->mpps[1], rate);
	perf_take(&r->mpps_cpu, sent / cpu_ns * 1e3);
	if (!undisturbed || sent == 0)
		return;
	perf_take(&r->mpps[0], rate);
	for (unsigned int i = 0; i < SIDES; i++) {
		const struct tally *t = &bench.sides[i].tally;
		uint64_t handled = RTE_MAX(t->came, t->sent);

		if (!way_has(way, i) || handled == 0)
			continue;
		perf_take(&r->cycles[i], (double)t->busy / handled);
		perf_take(&r->idle[i], 1 - RTE_MIN(1.0, (double)t->busy / t->time.tsc));
	}
}

static bool
way_applies(enum way way)
{
	return bench.decap ? rows[way].in : rows[way].out;
}

static void
measure(struct result results[WAY_MAX], int rounds)
{
	for (int way = 0; way < WAY_MAX; way++)
		result_clear(&results[way]);
	for (int i = 0; i < rounds; i++)
		for (int way = 0; way < WAY_MAX; way++)
			if (way_applies(way)) {
				way_run(way);
				result_take(&results[way], way);
			}
	for (unsigned int i = 0; i < SIDES; i++)
		drops_judge(bench.sides[i].w);
}

/* Side 0's buffers pass the pipeline on the way out and are kept as frames for the way in. */
static struct frame *kept;

static uint16_t
keep_frames(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		frame_keep(&bench.rig, kept++, pkts[i]);
	return 0;
}

static void
burst_protect(struct worker *w, struct frame *frames)
{
	struct rte_mbuf *pkts[BURST_MAX];

	for (int i = 0; i < BURST; i++) {
		pkts[i] = bench.sides[0].queue[i];
		frame_arrive(pkts[i], &frames[i], RIG_RED);
	}
	kept = frames;
	cell_add(&w->rx_packets, BURST);
	pipe_run(w, STAGE_CLASSIFY_RED, pkts, BURST);
}

/* The number of the SA that a side's packets go by. */
static uint32_t
sa_of(int traffic, unsigned int side)
{
	if (traffic == OF_TWO_SAS)
		return side;
	return traffic == OF_ONE_SA ? 0 : 2;
}

static void
frames_protect(void)
{
	path_rig_sink(&bench.rig, keep_frames);
	for (int s = 0; s < SIDES; s++)
		bench.sides[s].w->pipe = &bench.rig.pipe;
	/* The sides in turn, as numbers arrive that a device deals out to two queues. */
	for (int t = 0; t < TRAFFIC_MAX; t++)
		for (int i = 0; i < BUFFERS; i += BURST)
			for (int s = 0; s < SIDES; s++) {
				/* A lane is its worker's. */
				int lane = t == OF_STRAYS ? 1 - s : t == OF_LANES ? s : 0;

				burst_protect(bench.sides[lane].w, &bench.sides[s].frames[t][i]);
			}
}

static void
frames_make(uint16_t size, bool decap)
{
	for (int t = 0; t < TRAFFIC_MAX; t++)
		for (int s = 0; s < SIDES; s++)
			for (int i = 0; i < BUFFERS; i++) {
				struct frame *f = &bench.sides[s].frames[t][i];

				f->len = RTE_ETHER_HDR_LEN + size;
				f->head = frame_write(&bench.rig, f->octets, sa_of(t, s), false,
						      size, s * FLOWS + i % FLOWS);
			}
	if (decap)
		frames_protect();
}

static void
pipes_make(void)
{
	const uint64_t absent = UINT64_C(1) << STAGE_LOCAL_DELIVER |
				UINT64_C(1) << STAGE_IPCOMP_ENCAP |
				UINT64_C(1) << STAGE_IPCOMP_DECAP | UINT64_C(1) << STAGE_UDP_ENCAP;
	const uint64_t handoff = UINT64_C(1) << STAGE_HANDOFF_OUT | UINT64_C(1) << STAGE_HANDOFF_IN;

	for (int way = 0; way < WAY_MAX; way++) {
		const struct row *row = &rows[way];
		struct stage_row stages[STAGE_MAX];

		memcpy(stages, stage_rows, sizeof(stages));
		stages[STAGE_PORT_TX].run = stages[STAGE_PORT_TX_OUT].run = memory_tx;
		if (row->number != NULL)
			stages[STAGE_LIFE_COUNT_OUT].run = row->number;
		if (row->check != NULL) {
			stages[STAGE_REPLAY_CHECK].run = row->check;
			stages[STAGE_REPLAY_ACCEPT].run = row->accept;
			stages[STAGE_LIFE_COUNT_IN].run = row->count;
		}
		pipe_build(&bench.pipes[way], stages, absent | (row->handoff ? 0 : handoff));
	}
}

/* Windows are made when a lane's first packet is authentic; here before. */
static void
windows_make(const struct rig_sa *sa)
{
	for (uint32_t id = 0; id < sa->set->n; id++) {
		struct replay *r = rig_window_make(NULL, sa->set->window);

		rig_must(r != NULL, "no memory");
		replay_init(r, sa->set->window, true, (uint64_t)id << LANE_ID_SHIFT);
		sa->set->windows[id] = r;
	}
}

static struct rte_mempool *
pool_make(unsigned int side)
{
	struct rte_mempool *pool;
	struct err err = { "" };
	char name[16];

	snprintf(name, sizeof(name), "side%u", side);
	rig_must(port_pool_create(name, BUFFERS, RIG_PATH_MTU, SOCKET_ID_ANY, &pool, &err) == 0,
		 err.text);
	return pool;
}

/* The rig makes one worker; the second shares all that is control's. */
static void
workers_make(struct rig_params *p)
{
	struct path_rig *r = &bench.rig;
	size_t size = rte_rcu_qsbr_get_memsize(SIDES);
	struct rte_rcu_qsbr *qsbr = rte_zmalloc("rcu", size, RTE_CACHE_LINE_SIZE);
	struct port_worker *port;
	struct worker *workers[SIDES];
	struct err err = { "" };

	rig_must(qsbr != NULL && rte_rcu_qsbr_init(qsbr, SIDES) == 0, "no memory");
	p->pool = bench.sides[0].pool;
	path_rig_make(r, p);
	clock_init(&r->clock, CLOCK_REAL);
	workers[0] = r->w;
	port = r->port;
	p->worker = 1;
	r->pool = bench.sides[1].pool;
	rig_worker_make(r, p);
	memcpy(r->port->stations, port->stations, sizeof(port->stations));
	workers[1] = r->w;
	r->w = workers[0];
	r->port = port;
	rig_must(handoff_init(workers, SIDES, &err) == 0, err.text);
	for (int i = 0; i < SIDES; i++) {
		struct worker *w = workers[i];

		bench.sides[i].w = w;
		w->n_workers = SIDES;
		w->patience = WORKER_PATIENCE_NS;
		w->qsbr = qsbr;
		rte_rcu_qsbr_thread_register(qsbr, i);
		w->view = w->next_view = &r->view;
		w->sources[0] = (struct source) { .name = "mailbox",
						  .poll = mailbox_poll,
						  .first = STAGE_PORT_TX };
		w->sources[1] = (struct source) { .name = "handoff_rx",
						  .poll = handoff_rx,
						  .first = STAGE_PORT_TX };
		w->n_sources = 3;
	}
}

static void
side_make(struct side *s, unsigned int side)
{
	char name[16];

	s->pool = pool_make(side);
	snprintf(name, sizeof(name), "home%u", side);
	s->home = rte_ring_create(name, 2 * BUFFERS, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	rig_must(s->home != NULL && rte_pktmbuf_alloc_bulk(s->pool, s->queue, BUFFERS) == 0,
		 "no memory for the buffers");
	s->give = BUFFERS;
	for (int t = 0; t < TRAFFIC_MAX; t++) {
		s->frames[t] = calloc(BUFFERS, sizeof(*s->frames[t]));
		rig_must(s->frames[t] != NULL, "no memory for the frames");
	}
}

static void
bench_make(void)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	struct rig_suite suite = { .cipher = ALG_AES_GCM_128,
				   .auth = ALG_NONE,
				   .esn = true,
				   .window = 1024,
				   .loop = true };
	struct rig_params p = {
		.engines = engines,
		.n_engines = 1,
		.burst = BURST,
		.flows = SPD_FLOWS_V4,
		.key_cache = 16 << 20,
		.sink = memory_tx,
	};
	struct err err = { "" };

	bench.next = 1;
	rte_spinlock_init(&bench.lock);
	for (unsigned int i = 0; i < SIDES; i++)
		side_make(&bench.sides[i], i);
	workers_make(&p);
	path_rig_sa(&bench.rig, &suite);
	suite.owner = 1;
	path_rig_sa(&bench.rig, &suite);
	suite.owner = 0;
	suite.lanes = SIDES;
	path_rig_sa(&bench.rig, &suite);
	windows_make(&bench.rig.sa[2]);
	rig_must(spd_maintain(bench.rig.spd, true, &err) >= 0, err.text);
	pipes_make();
	for (unsigned int i = 0; i < SIDES; i++) {
		struct worker *w = bench.sides[i].w;

		w->sources[2] = (struct source) { .name = "memory",
						  .poll = memory_rx,
						  .arg = &bench.sides[i],
						  .first = STAGE_CLASSIFY_RED };
	}
}

static void
shape_set(uint16_t size, bool decap)
{
	bench.size = size;
	bench.decap = false;
	frames_make(size, decap);
	path_rig_forget(&bench.rig);
	bench.decap = decap;
	for (unsigned int i = 0; i < SIDES; i++)
		bench.sides[i].w->sources[2].first =
			decap ? STAGE_CLASSIFY_BLACK : STAGE_CLASSIFY_RED;
}

/* Undisturbed windows where there are enough of them. */
static struct perf *
rate_of(struct result *r)
{
	return &r->mpps[r->mpps[0].n < UNDISTURBED_MIN];
}

/* Tables go to standard output; figures for scripts, a row a line, to a file if one is named. */
static void
figures_write(FILE *to, struct result results[WAY_MAX])
{
	for (int way = 0; way < WAY_MAX; way++) {
		struct result *r = &results[way];

		if (!way_applies(way))
			continue;
		fprintf(to, "%s %u %s mpps=%f cycles0=%f cycles1=%f windows=%u/%u\n",
			bench.decap ? "decap" : "encap", bench.size, rows[way].name,
			perf_median(rate_of(r)), perf_median(&r->cycles[0]),
			perf_median(&r->cycles[1]), r->mpps[0].n, r->mpps[1].n);
	}
}

static void
results_print(struct result results[WAY_MAX])
{
	double one = perf_median(rate_of(&results[WAY_ONE]));
	double both = one + perf_median(rate_of(&results[WAY_OTHER]));

	printf("%s %4u octets %6s %6s %8s %8s %8s %9s  %s\n", bench.decap ? "decap" : "encap",
	       bench.size, "Mpps", "ratio", "of both", "all", "by CPU", "windows",
	       "cycles per packet, idle: worker 0, 1");
	for (int way = 0; way < WAY_MAX; way++) {
		struct result *r = &results[way];
		double rate = perf_median(rate_of(r));

		if (!way_applies(way))
			continue;
		printf("  %-14s %8.2f %6.2f %6.0f %% %8.2f %8.2f %4u/%-4u%s", rows[way].name, rate,
		       rate / one, 100 * rate / both, perf_median(&r->mpps[1]),
		       perf_median(&r->mpps_cpu), r->mpps[0].n, r->mpps[1].n,
		       r->mpps[0].n < UNDISTURBED_MIN ? "!" : " ");
		for (unsigned int i = 0; i < SIDES; i++)
			if (way_has(way, i))
				printf(" %7.1f %3.0f %%", perf_median(&r->cycles[i]),
				       100 * perf_median(&r->idle[i]));
			else
				printf(" %7s %5s", "", "");
		putchar('\n');
	}
	fflush(stdout);
}

/* Cycles per packet by stage. In handoff_rx's packets the stages begin behind the ring. */
static void
stages_measure(enum way way, double cycles[SIDES][STAGE_MAX])
{
	static struct stage_perf stages[SIDES];

	bench.pipes[way].timed = true;
	for (unsigned int i = 0; i < SIDES; i++) {
		bench.sides[i].stages = &stages[i];
		stage_perf_start(&stages[i], bench.sides[i].w);
	}
	for (int i = 0; i < STAGE_ROUNDS; i++)
		way_run(way);
	bench.pipes[way].timed = false;
	for (unsigned int i = 0; i < SIDES; i++) {
		bench.sides[i].stages = NULL;
		for (int s = 0; s < STAGE_MAX; s++)
			cycles[i][s] = way_has(way, i) ? perf_median(&stages[i].perf[s]) : 0;
	}
}

static void
stages_print(void)
{
	static double cycles[WAY_MAX][SIDES][STAGE_MAX];

	printf("  %-16s", "cycles by stage");
	for (int way = 0; way < WAY_MAX; way++)
		if (way_applies(way)) {
			stages_measure(way, cycles[way]);
			printf(" %15s", rows[way].name);
		}
	for (int s = 0; s < STAGE_MAX; s++) {
		double sum = 0;

		for (int way = 0; way < WAY_MAX; way++)
			sum += cycles[way][0][s] + cycles[way][1][s];
		if (sum == 0)
			continue;
		printf("\n    %-14s", stage_rows[s].name);
		for (int way = 0; way < WAY_MAX; way++)
			if (way_applies(way))
				printf(" %7.1f %7.1f", cycles[way][0][s], cycles[way][1][s]);
	}
	puts("\n");
	fflush(stdout);
}

static void
costs_tell(FILE *figures)
{
	struct pair_costs c;

	pair_costs_measure(&c);
	printf("fetch_add alone %.1f, on a line that two cores want %.1f; a line from core to core "
	       "%.1f cycles\n",
	       c.atomic_alone, c.atomic_shared, c.line);
	if (figures != NULL)
		fprintf(figures, "costs hz=%.0f atomic_alone=%f atomic_shared=%f line=%f\n",
			(double)rte_get_tsc_hz(), c.atomic_alone, c.atomic_shared, c.line);
}

static const struct option options[] = {
	{ "short", no_argument, NULL, 's' },	     { "stages", no_argument, NULL, 't' },
	{ "no-huge", no_argument, NULL, 'n' },	     { "cores", required_argument, NULL, 'c' },
	{ "figures", required_argument, NULL, 'f' }, { NULL, 0, NULL, 0 },
};

int
main(int argc, char **argv)
{
	static struct result results[WAY_MAX];
	static const uint16_t sizes[] = { 64, 1400 };
	const char *cores = "0,1";
	FILE *figures = NULL;
	bool no_huge = false, stages = false;
	int rounds = 500, c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			return 2;
		if (c == 's')
			rounds = 100;
		else if (c == 't')
			stages = true;
		else if (c == 'n')
			no_huge = true;
		else if (c == 'c')
			cores = optarg;
		else if ((figures = fopen(optarg, "w")) == NULL)
			return perror(optarg), 1;
	}
	bench_eal_start("lanes_bench", cores, no_huge);
	bench_make();
	for (int decap = 0; decap < 2; decap++)
		for (size_t i = 0; i < RTE_DIM(sizes); i++) {
			shape_set(sizes[i], decap);
			costs_tell(figures);
			measure(results, rounds);
			results_print(results);
			if (stages)
				stages_print();
			if (figures != NULL)
				figures_write(figures, results);
		}
	return figures != NULL ? fclose(figures) : 0;
}
