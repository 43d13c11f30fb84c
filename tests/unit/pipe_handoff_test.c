/* From worker to worker: nothing is lost, nothing overtakes, and what waited is looked up again. */
#include "unit.h"

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "eal.h"
#include "hold/hold.h"
#include "pipe/handoff.h"
#include "pipe/move.h"
#include "pipe/pipe.h"
#include "port/port_stage.h"
#include "sa/sa.h"
#include "worker.h"

#define N_WORKERS   12
#define EACH	    64
#define ARRIVED_MAX (4 * HANDOFF_RING_SIZE)

#define PATIENCE 1000

struct bed {
	struct worker *workers[N_WORKERS];
	struct rte_mempool *pool;
	struct sa_table sas;
	struct view view;
	struct pipe pipe;
	struct test_sa {
		uint32_t index, generation;
	} sa, other;
};

/* What came to the end of the line: from which worker, with which number, to which next hop. */
static struct {
	uint32_t n;
	uint8_t from[ARRIVED_MAX];
	uint64_t seq[ARRIVED_MAX];
	uint16_t next_hop;
} arrived;

static uint16_t
arrive(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct pkt *p = pkt_of(pkts[i]);

		assert_true(arrived.n < RTE_DIM(arrived.from));
		assert_ptr_equal(p->hot, sa_again(w->view->sas, p->sa, p->generation));
		arrived.from[arrived.n] = p->port;
		arrived.seq[arrived.n++] = p->seq;
		arrived.next_hop = p->next_hop;
		rte_pktmbuf_free(pkts[i]);
	}
	return 0;
}

static const struct stage_row rows[STAGE_MAX] = {
	[STAGE_HANDOFF_OUT] = { "handoff", handoff_out, STAGE_LIFE_COUNT_OUT },
	[STAGE_IPCOMP_ENCAP] = { "ipcomp_encap", NULL, STAGE_LIFE_COUNT_OUT }, /* none has it */
	[STAGE_LIFE_COUNT_OUT] = { "life_count", arrive, STAGE_MAX },
	[STAGE_HANDOFF_IN] = { "handoff", handoff_in, STAGE_REPLAY_CHECK },
	[STAGE_REPLAY_CHECK] = { "replay_check", arrive, STAGE_MAX },
};

static void
workers_make(struct bed *b)
{
	struct err err;

	for (uint16_t i = 0; i < N_WORKERS; i++) {
		struct worker *w = test_worker_new(i, N_WORKERS);

		w->burst = BURST_MAX;
		w->patience = PATIENCE;
		w->pipe = &b->pipe;
		w->view = &b->view;
		w->sparse = rte_zmalloc("drops", sizeof(*w->sparse), RTE_CACHE_LINE_SIZE);
		w->port = rte_zmalloc("port", sizeof(*w->port), RTE_CACHE_LINE_SIZE);
		assert_non_null(w->sparse);
		assert_non_null(w->port);
		w->sources[w->n_sources++] = (struct source) { .name = "handoff_rx",
							       .poll = handoff_rx,
							       .first = STAGE_PORT_TX };
		b->workers[i] = w;
	}
	assert_int_equal(handoff_init(b->workers, N_WORKERS, &err), 0);
}

static void
sa_take(struct bed *b, struct test_sa *sa)
{
	struct err err;

	assert_int_equal(slab_take(&b->sas.records, &sa->index, &sa->generation, &err), 0);
}

static int
setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct err err;

	assert_non_null(b);
	arrived.n = 0;
	b->pool =
		rte_pktmbuf_pool_create("packets", 2047, 0, sizeof(struct pkt), 256, SOCKET_ID_ANY);
	assert_non_null(b->pool);
	assert_int_equal(sa_table_init(&b->sas, 16, SOCKET_ID_ANY, &err), 0);
	sa_take(b, &b->sa);
	sa_take(b, &b->other);
	b->view.sas = &b->sas;
	pipe_build(&b->pipe, rows, 0);
	workers_make(b);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *b = *state;

	handoff_fini(b->workers, N_WORKERS);
	assert_int_equal(rte_mempool_in_use_count(b->pool), 0);
	for (uint16_t i = 0; i < N_WORKERS; i++) {
		rte_free(b->workers[i]->sparse);
		rte_free(b->workers[i]->port);
		rte_free(b->workers[i]);
	}
	sa_table_fini(&b->sas);
	rte_mempool_free(b->pool);
	free(b);
	return 0;
}

/* A worker hands n packets of an SA to its owner. */
static void
give_of(struct bed *b, const struct test_sa *sa, uint16_t from, uint16_t n, enum stage_id line)
{
	struct rte_mbuf *pkts[BURST_MAX];

	assert_true(n <= BURST_MAX);
	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p;

		pkts[i] = test_mbuf_new(b->pool, 64);
		p = pkt_of(pkts[i]);
		p->sa = sa->index;
		p->generation = sa->generation;
		p->hot = sa_at(&b->sas, sa->index);
		p->next_hop = p->hot->next_hop;
		p->port = (uint8_t)from;
		p->seq = i;
	}
	pipe_run(b->workers[from], line, pkts, n);
}

static void
give(struct bed *b, uint16_t from, uint16_t n, enum stage_id line)
{
	give_of(b, &b->sa, from, n, line);
}

static void
full_bursts_of_all_workers_at_once_arrive_in_order(void **state)
{
	struct bed *b = *state;
	uint64_t next[N_WORKERS] = { 0 };

	for (uint16_t from = 1; from < N_WORKERS; from++)
		give(b, from, EACH, STAGE_HANDOFF_OUT);
	assert_int_equal(handoff_held(b->workers, N_WORKERS), (N_WORKERS - 1) * EACH);
	pipe_poll(b->workers[0]);
	assert_int_equal(test_worker_dropped(b->workers[0]), 0);
	assert_int_equal(arrived.n, (N_WORKERS - 1) * EACH);
	for (uint32_t i = 0; i < arrived.n; i++)
		assert_int_equal(arrived.seq[i], next[arrived.from[i]]++);
	assert_int_equal(handoff_held(b->workers, N_WORKERS), 0);
}

static void
more_than_a_burst_waits_for_the_next_loop(void **state)
{
	struct bed *b = *state;

	for (int i = 0; i < 3; i++)
		give(b, 1, EACH, STAGE_HANDOFF_IN);
	for (uint32_t i = 1; i <= 3; i++) {
		pipe_poll(b->workers[0]);
		assert_int_equal(arrived.n, i * EACH);
	}
}

static void
an_sa_that_is_gone_meanwhile_ends_its_packets(void **state)
{
	struct bed *b = *state;

	give(b, 1, 3, STAGE_HANDOFF_OUT);
	give(b, 2, 4, STAGE_HANDOFF_IN);
	sa_retire(&b->sas, b->sa.index);
	pipe_poll(b->workers[0]);
	assert_int_equal(arrived.n, 0);
	assert_int_equal(b->workers[0]->drops[DROP_NO_OUTBOUND_SA], 3);
	assert_int_equal(b->workers[0]->drops[DROP_NO_SA], 4);
}

static void
an_owner_that_changed_meanwhile_gets_its_packets(void **state)
{
	struct bed *b = *state;

	give(b, 1, 5, STAGE_HANDOFF_OUT);
	sa_at(&b->sas, b->sa.index)->owner = 3;
	pipe_poll(b->workers[0]);
	assert_int_equal(arrived.n, 0);
	pipe_poll(b->workers[3]);
	assert_int_equal(arrived.n, 5);
}

/* The hop that the packet was given may be another's by now. */
static void
a_next_hop_that_changed_meanwhile_is_taken(void **state)
{
	struct bed *b = *state;

	sa_at(&b->sas, b->sa.index)->next_hop = 7;
	give(b, 1, 1, STAGE_HANDOFF_OUT);
	sa_at(&b->sas, b->sa.index)->next_hop = 9;
	pipe_poll(b->workers[0]);
	assert_int_equal(arrived.n, 1);
	assert_int_equal(arrived.next_hop, 9);
}

static void
a_full_ring_drops_the_newest(void **state)
{
	struct bed *b = *state;

	for (int i = 0; i < HANDOFF_RING_SIZE / EACH + 1; i++)
		give(b, 1, EACH, STAGE_HANDOFF_OUT);
	assert_int_equal(b->workers[1]->drops[DROP_HANDOFF_FULL], EACH);
	assert_int_equal(handoff_held(b->workers, N_WORKERS), HANDOFF_RING_SIZE);
}

/* Bursts until the worker is told to read no port. */
static uint16_t
give_until_held_back(struct bed *b, const struct test_sa *sa, uint16_t from, enum stage_id line)
{
	uint16_t n = 0;

	for (; b->workers[from]->paused == 0; n++)
		give_of(b, sa, from, EACH, line);
	assert_int_equal(b->workers[from]->paused, PAUSED_HANDOFF);
	return n;
}

/* A burst, and for a way that may bring packets that waited for an SA also those. */
static void
a_worker_reads_no_port_before_its_ring_is_full(void **state)
{
	static const struct {
		enum stage_id line;
		int room;
	} ways[] = { { STAGE_HANDOFF_OUT, EACH + HOLD_MAX }, { STAGE_HANDOFF_IN, EACH } };
	struct bed *b = *state;

	for (int i = 0; i < 2; i++) {
		uint16_t from = (uint16_t)(i + 1), n;

		n = give_until_held_back(b, &b->sa, from, ways[i].line);
		assert_int_equal(b->workers[from]->drops[DROP_HANDOFF_FULL], 0);
		assert_true(HANDOFF_RING_SIZE - n * EACH < ways[i].room);
		assert_true(HANDOFF_RING_SIZE - (n - 1) * EACH >= ways[i].room);
	}
}

static void
a_worker_reads_again_when_there_is_room(void **state)
{
	struct bed *b = *state;
	uint16_t n = give_until_held_back(b, &b->sa, 1, STAGE_HANDOFF_OUT);

	pipe_poll(b->workers[1]);
	assert_true(worker_holds_back(b->workers[1]));
	pipe_poll(b->workers[0]);
	pipe_poll(b->workers[1]);
	assert_false(worker_holds_back(b->workers[1]));
	assert_int_equal(b->workers[1]->paused, 0);
	while (arrived.n < n * EACH)
		pipe_poll(b->workers[0]);
}

/* What it decrypts may be for that ring. */
static void
inbound_packets_wait_while_an_outbound_ring_has_no_room(void **state)
{
	struct bed *b = *state;
	uint16_t n;

	sa_at(&b->sas, b->other.index)->owner = 1;
	n = give_until_held_back(b, &b->sa, 1, STAGE_HANDOFF_OUT);
	give_of(b, &b->other, 2, EACH, STAGE_HANDOFF_IN);
	pipe_poll(b->workers[1]);
	assert_int_equal(arrived.n, 0);
	pipe_poll(b->workers[0]);
	assert_int_equal(arrived.n, EACH);
	pipe_poll(b->workers[1]);
	assert_int_equal(arrived.n, 2 * EACH);
	while (arrived.n < (uint32_t)(n + 1) * EACH)
		pipe_poll(b->workers[0]);
}

static void
two_workers_whose_rings_to_each_other_are_full_both_go_on(void **state)
{
	struct bed *b = *state;
	uint32_t n;

	sa_at(&b->sas, b->other.index)->owner = 1;
	n = give_until_held_back(b, &b->sa, 1, STAGE_HANDOFF_OUT);
	n += give_until_held_back(b, &b->other, 0, STAGE_HANDOFF_OUT);
	b->workers[0]->paused = b->workers[1]->paused = 0;
	n += give_until_held_back(b, &b->sa, 1, STAGE_HANDOFF_IN);
	n += give_until_held_back(b, &b->other, 0, STAGE_HANDOFF_IN);
	for (int loop = 0; loop < HANDOFF_RING_SIZE / EACH + 4; loop++) {
		pipe_poll(b->workers[0]);
		pipe_poll(b->workers[1]);
	}
	assert_int_equal(arrived.n, n * EACH);
	assert_int_equal(b->workers[0]->paused | b->workers[1]->paused, 0);
}

static void
one_that_stands_still_stops_the_others_for_a_while_only(void **state)
{
	struct bed *b = *state;
	struct worker *w = b->workers[1];

	w->now = 5000;
	give_until_held_back(b, &b->sa, 1, STAGE_HANDOFF_OUT);
	w->now += PATIENCE - 1;
	pipe_poll(w);
	assert_true(worker_holds_back(w));
	w->now++;
	pipe_poll(w);
	assert_false(worker_holds_back(w));
}

/* What all of the process waited for, as where a hypervisor took its cores, is no worker's fault.
 */
static void
time_away_is_no_patience_lost(void **state)
{
	struct bed *b = *state;
	struct worker *w = b->workers[1];
	struct clock clock;

	clock_init(&clock, CLOCK_MANUAL);
	clock_set(&clock, 5000);
	w->clock = &clock;
	w->patience = WORKER_PATIENCE_NS;
	worker_look(w);
	give_until_held_back(b, &b->sa, 1, STAGE_HANDOFF_OUT);
	clock_set(&clock, 5000 + 3 * WORKER_PATIENCE_NS);
	worker_look(w);
	pipe_poll(w);
	assert_true(worker_holds_back(w));
	/* Time in which it runs counts, however slow it is. */
	for (uint64_t i = 0; i < WORKER_PATIENCE_NS / WORKER_ROUND_NS; i++) {
		clock_set(&clock, clock.now + 2 * WORKER_ROUND_NS);
		worker_look(w);
	}
	assert_false(worker_holds_back(w));
}

/* A step of control's: a mail of each worker, or of the two. */
static void
all_tell(struct bed *b, struct move *move)
{
	for (uint16_t i = 0; i < N_WORKERS; i++)
		move_tell(b->workers[i], move);
}

static void
loops(struct bed *b, uint32_t n)
{
	for (uint32_t k = 0; k < n; k++)
		for (uint16_t i = 0; i < N_WORKERS; i++)
			pipe_poll(b->workers[i]);
}

/* From each producer in the order it gave them, whoever took them. */
static void
nothing_overtook(void)
{
	uint64_t next[N_WORKERS] = { 0 };

	for (uint32_t i = 0; i < arrived.n; i++)
		if (arrived.seq[i] % EACH == 0)
			next[arrived.from[i]] = 1;
		else
			assert_int_equal(arrived.seq[i], next[arrived.from[i]]++);
}

/* SA 0 goes from worker 0 to worker 3, with the ring from worker 1 to the old and from worker 2 to
 * the new owner full.
 */
static void
moved_with_full_rings(struct bed *b, enum stage_id line, enum handoff_way way)
{
	struct move move = { .sa = b->sa.index, .from = 0, .to = 3, .way = way };
	struct sa *sa = sa_at(&b->sas, b->sa.index);
	uint32_t n;

	move.generation = b->sa.generation;
	n = give_until_held_back(b, &b->sa, 1, line);
	move_join(b->workers[0], &move);
	move_join(b->workers[3], &move);
	sa->owner = 3 | SA_MOVING;
	n += give_until_held_back(b, &b->sa, 2, line);
	/* The old owner's own packets go the same way; the new one's own wait. */
	give_of(b, &b->sa, 0, EACH, line);
	give_of(b, &b->sa, 3, EACH, line);
	assert_int_equal(arrived.n, 0);
	/* The new owner parks what there is room for, until every worker has told. */
	loops(b, 2 * HANDOFF_RING_SIZE / EACH);
	assert_true(b->workers[3]->handoff->n_parked > PARK_MAX - BURST_MAX);
	assert_true(worker_holds_back(b->workers[3]));
	assert_false(move.left);
	assert_int_equal(handoff_held(b->workers, N_WORKERS) + arrived.n, (n + 2) * EACH);
	for (uint32_t i = 0; i < arrived.n; i++)
		assert_int_equal(arrived.from[i], 1);
	all_tell(b, &move);
	loops(b, 2 * HANDOFF_RING_SIZE / EACH);
	assert_true(move_is_taken(&move));
	assert_int_equal(arrived.n, (n + 2) * EACH);
	nothing_overtook();
	assert_int_equal(handoff_held(b->workers, N_WORKERS), 0);
	for (uint16_t i = 0; i < N_WORKERS; i++)
		assert_int_equal(test_worker_dropped(b->workers[i]), 0);
	/* Until control says so, and from then on. */
	give_of(b, &b->sa, 3, 1, line);
	sa->owner = 3;
	move_part(b->workers[0], &move);
	move_part(b->workers[3], &move);
	give_of(b, &b->sa, 3, 1, line);
	assert_int_equal(arrived.n, (n + 2) * EACH + 2);
}

static void
an_outbound_sa_moves_with_every_ring_full(void **state)
{
	moved_with_full_rings(*state, STAGE_HANDOFF_OUT, HANDOFF_WAY_OUT);
}

static void
an_inbound_sa_moves_with_every_ring_full(void **state)
{
	moved_with_full_rings(*state, STAGE_HANDOFF_IN, HANDOFF_WAY_IN);
}

/* Else what the new owner sends by its own queue would overtake it. */
static void
what_the_old_owner_sent_through_another_worker_is_sent_first(void **state)
{
	struct bed *b = *state;
	struct move move = { .sa = b->sa.index, .from = 0, .to = 3, .way = HANDOFF_WAY_IN };
	struct port_tx *tx = &b->workers[0]->port->tx[0];
	struct rte_ring *ring =
		rte_ring_create("sends", 8, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	void *frame = b;

	assert_non_null(ring);
	b->workers[0]->port->n_ports = 1;
	tx->ring = ring;
	assert_int_equal(rte_ring_sp_enqueue(ring, frame), 0);
	tx->n = 1; /* one more did not fit */
	move.generation = b->sa.generation;
	move_join(b->workers[0], &move);
	move_join(b->workers[3], &move);
	all_tell(b, &move);
	loops(b, 8);
	assert_int_equal(move.waits, MOVE_EMPTIES);
	tx->n = 0;
	loops(b, 8);
	assert_int_equal(move.waits, MOVE_SENDS);
	assert_false(move.left);
	assert_int_equal(rte_ring_sc_dequeue(ring, &frame), 0);
	/* Who took it sends it before the loop after the next one begins. */
	pipe_poll(b->workers[0]);
	assert_int_equal(move.waits, MOVE_SENT);
	loops(b, 1);
	assert_false(move.left);
	loops(b, 2);
	assert_true(move.left && move_is_taken(&move));
	tx->ring = NULL;
	rte_ring_free(ring);
}

static void
an_sa_that_ends_on_its_way_ends_what_was_parked(void **state)
{
	struct bed *b = *state;
	struct move move = { .sa = b->sa.index, .from = 0, .to = 3, .way = HANDOFF_WAY_IN };

	move.generation = b->sa.generation;
	move_join(b->workers[0], &move);
	move_join(b->workers[3], &move);
	sa_at(&b->sas, b->sa.index)->owner = 3 | SA_MOVING;
	give(b, 3, 5, STAGE_HANDOFF_IN);
	assert_int_equal(b->workers[3]->handoff->n_parked, 5);
	sa_retire(&b->sas, b->sa.index);
	all_tell(b, &move);
	loops(b, 8);
	assert_true(move_is_taken(&move));
	assert_int_equal(b->workers[3]->drops[DROP_NO_SA], 5);
	assert_int_equal(handoff_held(b->workers, N_WORKERS), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(full_bursts_of_all_workers_at_once_arrive_in_order,
						setup, teardown),
		cmocka_unit_test_setup_teardown(more_than_a_burst_waits_for_the_next_loop, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_sa_that_is_gone_meanwhile_ends_its_packets,
						setup, teardown),
		cmocka_unit_test_setup_teardown(an_owner_that_changed_meanwhile_gets_its_packets,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_next_hop_that_changed_meanwhile_is_taken, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_full_ring_drops_the_newest, setup, teardown),
		cmocka_unit_test_setup_teardown(a_worker_reads_no_port_before_its_ring_is_full,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_worker_reads_again_when_there_is_room, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			inbound_packets_wait_while_an_outbound_ring_has_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(
			two_workers_whose_rings_to_each_other_are_full_both_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(
			one_that_stands_still_stops_the_others_for_a_while_only, setup, teardown),
		cmocka_unit_test_setup_teardown(time_away_is_no_patience_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(an_outbound_sa_moves_with_every_ring_full, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_inbound_sa_moves_with_every_ring_full, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			what_the_old_owner_sent_through_another_worker_is_sent_first, setup,
			teardown),
		cmocka_unit_test_setup_teardown(an_sa_that_ends_on_its_way_ends_what_was_parked,
						setup, teardown),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
