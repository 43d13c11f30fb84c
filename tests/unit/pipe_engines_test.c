/* Packets that go through a crypto device: held there, looked up again, and never lost in silence.
 */
#include "unit.h"

#include "eal.h"
#include "engine_fake.h"
#include "path_bed.h"
#include "pipe/handoff.h"
#include "pipe/loop.h"
#include "pipe/move.h"

#define MBUFS  2047
#define LARGE  1000 /* what its headers are pulled together of leaves a second segment */
#define INNER  62
#define DEVICE 1 /* in the list of engines */

/* Suites 0, 1 and 3 go to the device. */
static const struct rig_suite suites[] = {
	{ ALG_AES_GCM_128, .esn = true, .window = 1024, .loop = true },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA256_128, .esn = true, .window = 1024, .loop = true },
	{ ALG_AES_GCM_256, .esn = true, .window = 1024, .loop = true },
	{ ALG_AES_GCM_128, .window = 1024, .transport = true, .loop = true },
};

static void
engine_set(uint32_t n, uint8_t engines)
{
	sa_at(&rig.sas, rig.sa[n].in)->engine = engines;
	sa_at(&rig.sas, rig.sa[n].out)->engine = engines;
}

static int
up(void **state)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb, &engine_fake };

	bed_make(engines, RTE_DIM(engines), MBUFS);
	bed_sas(suites, RTE_DIM(suites));
	engine_set(0, crypto_engines(DEVICE, 0));
	engine_set(1, crypto_engines(DEVICE, 0));
	engine_set(3, crypto_engines(DEVICE, 0));
	engines_sources_add(rig.w);
	rig.w->patience = WORKER_PATIENCE_NS;
	return 0;
}

static int
down(void **state)
{
	drop_sent();
	assert_int_equal(engines_held(rig.w), 0);
	bed_check();
	path_rig_free(&rig);
	return 0;
}

/* A frame from the red side to net n, by that flow; octets of IP. */
static struct rte_mbuf *
red_frame(uint32_t n, uint16_t flow, uint16_t octets)
{
	return red_datagram(&(struct red_datagram) { .from = n,
						     .to = suites[n].transport ? 0 : n,
						     .text = (uint8_t)flow,
						     .flow = flow,
						     .octets = octets });
}

/* A burst out: flow i of net nets[i % n_nets]. */
static void
send_mix(const uint32_t *nets, uint32_t n_nets, uint16_t count)
{
	struct rte_mbuf *pkts[BURST_MAX];

	for (uint16_t i = 0; i < count; i++)
		pkts[i] = red_frame(nets[i % n_nets], i, INNER);
	path_rig_feed(&rig, RIG_RED, pkts, count);
}

static void
send_to(uint32_t n, uint16_t count)
{
	send_mix(&n, 1, count);
}

static void
poll_engines(void)
{
	struct rte_mbuf *pkts[BURST_MAX];

	assert_int_equal(engine_poll(rig.w, NULL, pkts, 32), 0);
}

/* What was sent comes back from the wire. */
static void
loop_back(void)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n = n_sent;

	assert_true(n <= BURST_MAX);
	memcpy(pkts, sent, n * sizeof(pkts[0]));
	n_sent = 0;
	for (uint16_t i = 0; i < n; i++)
		rte_pktmbuf_mtod(pkts[i], struct rte_ether_hdr *)->dst_addr =
			rig.links[RIG_BLACK].mac;
	path_rig_feed(&rig, RIG_BLACK, pkts, n);
}

static uint16_t
flow_of(const struct rte_mbuf *m)
{
	return (uint16_t)(rte_pktmbuf_mtod(m, const uint8_t *)[34] << 8 |
			  rte_pktmbuf_mtod(m, const uint8_t *)[35]);
}

static uint64_t
dropped(enum drop_reason why)
{
	return rig.w->drops[why];
}

static void
what_a_device_has_is_held_and_goes_on_when_it_is_back(void **state)
{
	send_to(0, 32);
	assert_int_equal(n_sent, 0);
	assert_int_equal(engines_held(rig.w), 32);
	assert_true(path_rig_conserves(&rig));
	poll_engines();
	assert_int_equal(n_sent, 32);
	assert_int_equal(engines_held(rig.w), 0);
	loop_back();
	assert_int_equal(n_sent, 0);
	assert_int_equal(engines_held(rig.w), 32);
	poll_engines();
	assert_int_equal(n_sent, 32);
	for (uint16_t i = 0; i < n_sent; i++)
		assert_int_equal(flow_of(sent[i]), i);
	assert_int_equal(fake.encrypted, 32);
	assert_int_equal(fake.decrypted, 32);
	assert_int_equal(rig_sum(rig.w->drops, DROP_MAX), 0);
}

/* What software does leaves at once; each SA keeps its order. */
static void
bursts_of_several_engines_keep_the_order_of_each(void **state)
{
	static const uint32_t nets[] = { 2, 0, 2, 2, 1, 0, 2, 1 };
	uint16_t last[RTE_DIM(suites)] = { 0 };

	send_mix(nets, RTE_DIM(nets), 64);
	assert_int_equal(n_sent, 32);
	for (uint16_t i = 1; i < n_sent; i++)
		assert_true(pkt_of(sent[i])->seq == pkt_of(sent[i - 1])->seq + 1);
	assert_int_equal(engines_held(rig.w), 32);
	loop_back();
	assert_int_equal(n_sent, 32);
	drop_sent();
	poll_engines();
	assert_int_equal(n_sent, 32);
	loop_back();
	poll_engines();
	assert_int_equal(n_sent, 32);
	for (uint16_t i = 0; i < n_sent; i++) {
		uint8_t net = rte_pktmbuf_mtod(sent[i], const uint8_t *)[14 + 18];

		assert_true(last[net] == 0 || flow_of(sent[i]) > last[net]);
		last[net] = flow_of(sent[i]);
	}
	assert_int_equal(rig_sum(rig.w->drops, DROP_MAX), 0);
}

static void
a_device_that_takes_few_at_once_is_asked_again(void **state)
{
	fake.least = 5;
	send_to(0, 32);
	/* Each time it stops, one finds no room: as the contract has it, a fault. */
	assert_int_equal(dropped(DROP_CRYPTO_FULL), 5);
	assert_int_equal(engines_held(rig.w), 27);
	fake.least = 0;
	poll_engines();
	assert_int_equal(n_sent, 27);
}

static void
software_does_what_a_device_that_is_down_does_not(void **state)
{
	static const uint32_t nets[] = { 0, 2, 1 };

	fake.down = true;
	send_mix(nets, RTE_DIM(nets), 63);
	assert_int_equal(n_sent, 63);
	loop_back();
	assert_int_equal(n_sent, 63);
	for (uint16_t i = 0; i < n_sent; i++)
		assert_int_equal(flow_of(sent[i]), i);
	assert_int_equal(rig_sum(rig.w->drops, DROP_MAX), 0);
	assert_int_equal(fake.encrypted + fake.decrypted, 0);
}

static void
without_software_they_end_by_name(void **state)
{
	fake.down = true;
	engine_set(0, crypto_engines(DEVICE, CRYPTO_NO_ENGINE));
	send_to(0, 7);
	assert_int_equal(n_sent, 0);
	assert_int_equal(dropped(DROP_CRYPTO_LOST), 7);
}

static void
what_a_device_says_of_a_packet_is_its_end(void **state)
{
	static const struct {
		enum engine_verdict verdict;
		enum drop_reason out, in;
	} rows[] = {
		{ ENGINE_BAD_ICV, DROP_CRYPTO_FAIL, DROP_ICV_FAIL },
		{ ENGINE_FAILED, DROP_CRYPTO_FAIL, DROP_CRYPTO_FAIL },
		{ ENGINE_LOST, DROP_CRYPTO_LOST, DROP_CRYPTO_LOST },
	};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		uint64_t before = dropped(rows[i].out);
		const struct replay *window = rig.sa[0].window;
		uint64_t top;

		send_to(0, 3);
		fake_verdicts(rows[i].verdict);
		poll_engines();
		assert_int_equal(n_sent, 0);
		assert_int_equal(dropped(rows[i].out) - before, 3);
		send_to(0, 3);
		poll_engines();
		loop_back();
		before = dropped(rows[i].in);
		top = replay_top(window);
		fake_verdicts(rows[i].verdict);
		poll_engines();
		assert_int_equal(n_sent, 0);
		assert_int_equal(dropped(rows[i].in) - before, 3);
		assert_int_equal(replay_top(window), top);
	}
}

static void
an_sa_that_goes_while_they_are_inside_ends_them(void **state)
{
	send_to(0, 5);
	poll_engines();
	loop_back();
	send_to(0, 4);
	sa_retire(&rig.sas, rig.sa[0].in);
	sa_retire(&rig.sas, rig.sa[0].out);
	poll_engines();
	assert_int_equal(n_sent, 0);
	assert_int_equal(dropped(DROP_NO_SA), 5);
	assert_int_equal(dropped(DROP_NO_OUTBOUND_SA), 4);
}

/* Two of one number in the device at once: the window sees the second when it is back. */
static void
a_duplicate_is_found_behind_the_device(void **state)
{
	struct rte_mbuf *copy;

	send_to(0, 1);
	poll_engines();
	copy = rte_pktmbuf_copy(sent[0], rig.pool, 0, UINT32_MAX);
	sent[n_sent++] = copy;
	loop_back();
	assert_int_equal(engines_held(rig.w), 2);
	poll_engines();
	assert_int_equal(n_sent, 1);
	assert_int_equal(dropped(DROP_REPLAY_DUP), 1);
}

static void
a_device_may_give_back_what_came_last_first(void **state)
{
	send_to(0, 32);
	fake.backwards = true;
	poll_engines();
	assert_int_equal(n_sent, 32);
	loop_back();
	poll_engines();
	assert_int_equal(n_sent, 32);
	assert_int_equal(rig_sum(rig.w->drops, DROP_MAX), 0);
	assert_int_equal(replay_top(rig.sa[0].window), 32);
}

static void
a_worker_reads_no_port_while_its_device_is_short_of_room(void **state)
{
	fake.room = CRYPTO_ROOM_MIN + 100;
	for (int i = 0; i < 3; i++)
		send_to(0, 32);
	assert_false(worker_holds_back(rig.w));
	send_to(0, 32);
	assert_true(worker_holds_back(rig.w));
	fake.stuck = true;
	poll_engines();
	assert_true(worker_holds_back(rig.w));
	rig.w->now += WORKER_PATIENCE_NS;
	assert_false(worker_holds_back(rig.w));
	fake.stuck = false;
	poll_engines();
	assert_int_equal(rig.w->paused, 0);
	assert_int_equal(n_sent, 128);
}

/* One with less room than is wanted at least: it is short of room only while it has something. */
static void
a_small_device_is_used_all_the_same(void **state)
{
	fake.room = 40;
	send_to(0, 32);
	assert_true(worker_holds_back(rig.w));
	poll_engines();
	assert_false(worker_holds_back(rig.w));
	assert_int_equal(n_sent, 32);
	assert_int_equal(rig_sum(rig.w->drops, DROP_MAX), 0);
}

static void
a_device_without_room_drops_by_name(void **state)
{
	fake.room = 40;
	send_to(0, 32);
	send_to(0, 32);
	assert_int_equal(dropped(DROP_CRYPTO_FULL), 24);
	poll_engines();
	assert_int_equal(n_sent, 40);
}

static void
a_next_hop_that_changed_meanwhile_is_taken(void **state)
{
	struct sa *sa = sa_at(&rig.sas, rig.sa[0].out);

	send_to(0, 1);
	sa->next_hop = NEXT_HOP_NONE;
	sa->next_hop =
		route_hold(rig.route, &(struct addr) { .family = 4, .octets = { 10, 1, 0, 9 } });
	poll_engines();
	assert_int_equal(n_sent, 1);
	assert_int_equal(sent[0]->port, RIG_RED);
}

/* Packets in several segments, of which the tag may lie in two: that is software's. */
static void
chains_come_through(void **state)
{
	for (uint16_t last = 1; last < 40; last++) {
		struct rte_mbuf *m, *tail;
		uint16_t cut;

		engine_set(0, crypto_engines(0, 0));
		m = red_frame(0, last, LARGE);
		path_rig_feed(&rig, RIG_RED, &m, 1);
		engine_set(0, crypto_engines(DEVICE, 0));
		m = sent[0];
		tail = rte_pktmbuf_alloc(rig.pool);
		cut = m->data_len - last;
		memcpy(rte_pktmbuf_append(tail, last), rte_pktmbuf_mtod(m, uint8_t *) + cut, last);
		m->data_len = cut;
		m->next = tail;
		m->nb_segs = 2;
		loop_back();
		assert_int_equal(engines_held(rig.w), last >= 16);
		poll_engines();
		assert_int_equal(n_sent, 1);
		drop_sent();
	}
	assert_int_equal(rig_sum(rig.w->drops, DROP_MAX), 0);
}

/* The old owner says that it writes no more when its device has nothing of before, whatever comes
 * after. */
static void
a_moving_sa_waits_for_what_the_device_has(void **state)
{
	struct move move = { .sa = rig.sa[0].in, .from = 0, .to = 1, .way = HANDOFF_WAY_IN };
	struct worker *w = rig.w;
	struct rte_mbuf *pkts[BURST_MAX];
	struct handoff *h = rte_zmalloc("handoff", sizeof(*h), RTE_CACHE_LINE_SIZE);

	assert_non_null(h);
	w->handoff = h;
	h->peer[0] = h;
	move.generation = sa_at(&rig.sas, move.sa)->generation;
	send_to(0, 4);
	poll_engines();
	loop_back();
	move_join(w, &move);
	move_tell(w, &move);
	move_step(w, pkts, 32);
	assert_false(move.left);
	/* Others' packets follow, and come back first. */
	send_to(1, 4);
	fake.backwards = true;
	assert_int_equal(fake_collect(NULL, pkts, (enum engine_verdict[4]) { 0 }, 4, 0), 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pkt_of(pkts[i])->turn, 1);
	for (int i = 0; i < 4; i++)
		fake.in[fake.n++].m = pkts[i];
	for (int i = 0; i < 5; i++)
		move_step(w, pkts, 32);
	assert_false(move.left);
	engine_poll(w, NULL, pkts, 4);
	for (int i = 0; i < 5; i++)
		move_step(w, pkts, 32);
	assert_true(move.left);
	w->handoff = NULL;
	rte_free(h);
	poll_engines();
	assert_int_equal(engines_held(w), 0);
	assert_int_equal(n_sent, 8);
}

static void
what_a_dead_device_keeps_ends_when_it_is_closed(void **state)
{
	struct handoff *h = rte_zmalloc("handoff", sizeof(*h), RTE_CACHE_LINE_SIZE);

	assert_non_null(h);
	rig.w->handoff = h;
	send_to(0, 9);
	fake.stuck = true;
	assert_int_equal(worker_drain(rig.w), 0);
	assert_int_equal(engines_held(rig.w), 9);
	fake.stuck = false;
	fake_verdicts(ENGINE_LOST);
	engines_drop(rig.w);
	assert_int_equal(dropped(DROP_STOPPED), 9);
	rig.w->handoff = NULL;
	rte_free(h);
}

static void
a_stopping_worker_sends_what_its_device_has(void **state)
{
	struct handoff *h = rte_zmalloc("handoff", sizeof(*h), RTE_CACHE_LINE_SIZE);

	assert_non_null(h);
	rig.w->handoff = h;
	send_to(0, 9);
	while (worker_drain(rig.w))
		;
	assert_int_equal(n_sent, 9);
	rig.w->handoff = NULL;
	rte_free(h);
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, up, down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(what_a_device_has_is_held_and_goes_on_when_it_is_back),
		BOTH(bursts_of_several_engines_keep_the_order_of_each),
		BOTH(a_device_that_takes_few_at_once_is_asked_again),
		BOTH(software_does_what_a_device_that_is_down_does_not),
		BOTH(without_software_they_end_by_name),
		BOTH(what_a_device_says_of_a_packet_is_its_end),
		BOTH(an_sa_that_goes_while_they_are_inside_ends_them),
		BOTH(a_duplicate_is_found_behind_the_device),
		BOTH(a_device_may_give_back_what_came_last_first),
		BOTH(a_worker_reads_no_port_while_its_device_is_short_of_room),
		BOTH(a_small_device_is_used_all_the_same),
		BOTH(a_device_without_room_drops_by_name),
		BOTH(a_next_hop_that_changed_meanwhile_is_taken),
		BOTH(chains_come_through),
		BOTH(a_moving_sa_waits_for_what_the_device_has),
		BOTH(what_a_dead_device_keeps_ends_when_it_is_closed),
		BOTH(a_stopping_worker_sends_what_its_device_has),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("pipe_engines", tests, NULL, NULL);
}
