/* Keys with a state file, and all that may happen to their wishes for numbers: the ring to control
 * is full, SAs go with what they said, the disk is slow, traffic bursts and pauses. Whoever has
 * numbers left gets them in the end.
 */
#include "state_rig.h"

#include "ctl/gw.h"
#include "ctl/reserve.h"
#include "ctl/sa_numbers.h"
#include "eal.h"
#include "numbers/numbers.h"
#include "replay/replay.h"
#include "seq/seq.h"
#include "worker/mailbox.h"

#define WORKERS 2
#define KEYS	8
#define LANES	3
#define HOLDS	2
#define SAS	8192
#define RING	6
#define STEPS	1200
#define LOOK	150 /* steps */
#define TRIES	40

struct key {
	uint8_t octets[20];
	bool inbound, laned;
	uint32_t n; /* SAs, the youngest last */
	struct numbers *holds[HOLDS];
	uint32_t sas[HOLDS];
	uint64_t sent[LANES]; /* in: by the peer */
};

static struct gw gw;
static struct conf conf;
static struct key keys[KEYS];
static struct lane_event ring[RING];
static uint32_t n_ring;
static bool deaf;
static uint64_t now, seed;

static uint32_t
below(uint32_t n)
{
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)((seed >> 33) % n);
}

static int
begin(void **state)
{
	static const uint64_t seeds[] = { 102948, 39596, 55434 };
	static uint32_t n;

	struct numbers_params p = {
		.max_sas = 2 * KEYS,
		.max_kept = 2 * KEYS,
		.n_workers = WORKERS,
		.socket = -1,
		.reserved = true,
	};

	seed = seeds[n++ % RTE_DIM(seeds)];
	now = NS_PER_SECOND;
	memset(&gw, 0, sizeof(gw));
	if (folder_make(state) < 0)
		return -1;
	snprintf(conf.gateway.state_file, sizeof(conf.gateway.state_file), "%s", path);
	conf.gateway.state_block = 16;
	clock_init(&gw.clock, CLOCK_MANUAL);
	gw.conf = &conf;
	gw.n_workers = WORKERS;
	if (reserve_init(&gw, &err) < 0)
		fail_msg("%s", err.text);
	p.secret = reserve_secret(&gw);
	assert_int_equal(numbers_create(&p, &gw.numbers, &err), 0);
	return sa_table_init(&gw.sas, SAS, SOCKET_ID_ANY, &err);
}

static int
end(void **state)
{
	numbers_free(gw.numbers);
	reserve_fini(&gw);
	sa_table_fini(&gw.sas);
	return folder_remove(state);
}

static uint32_t
sa_of(struct numbers *n)
{
	uint32_t index, cold, generation, unused;

	assert_int_equal(slab_take(&gw.sas.records, &index, &generation, &err), 0);
	assert_int_equal(slab_take(&gw.sas.cold, &cold, &unused, &err), 0);
	gw.sas.cold_of[index] = cold;
	sa_at(&gw.sas, index)->generation = generation;
	sa_cold(&gw.sas, index)->numbers = n;
	return index;
}

static void
add(struct key *k)
{
	struct numbers_ask ask = {
		.name = "a",
		.id = { .spi = 0x1000, .family = 4 },
		.key = { .key = k->octets,
			 .key_len = 16,
			 .salt = k->octets + 16,
			 .salt_len = 4,
			 .counter_mode = true },
		.inbound = k->inbound,
		.esn = true,
		.subspaces = k->laned,
		.lanes = k->laned ? LANES : 1,
		.window = k->inbound ? 64 : 0,
		.replaces = k->n > 0 ? k->holds[k->n - 1] : NULL,
	};
	struct numbers *n;

	if (k->n == HOLDS)
		return;
	if (sa_numbers_take(&gw, &ask, &n, &err) < 0)
		fail_msg("%s", err.text);
	k->holds[k->n] = n;
	k->sas[k->n++] = sa_of(n);
}

/* What it has said last may still lie in the ring. */
static void
del(struct key *k)
{
	if (k->n == 0)
		return;
	sa_retire(&gw.sas, k->sas[0]);
	sa_numbers_give(&gw, k->holds[0], false);
	k->n--;
	memmove(k->holds, k->holds + 1, k->n * sizeof(k->holds[0]));
	memmove(k->sas, k->sas + 1, k->n * sizeof(k->sas[0]));
}

static bool
raise(const struct key *k, uint16_t lane, uint64_t number)
{
	uint32_t sa = k->sas[below(k->n)];

	if (deaf || n_ring == RING)
		return false;
	ring[n_ring++] = (struct lane_event) {
		.kind = EVENT_LANE_LOW,
		.lane = lane,
		.sa = sa,
		.generation = sa_at(&gw.sas, sa)->generation,
		.number = number,
	};
	return true;
}

static bool
send_one(const struct key *k, uint16_t lane)
{
	struct lane *l = &k->holds[k->n - 1]->lane[lane];
	enum drop_reason why;
	uint64_t seq;
	bool ask;

	if (lane_take(l, 100, &seq))
		return true;
	why = lane_stopped(l, 100, &ask);
	if (ask && !raise(k, lane, 0))
		lane_ask_again(l);
	return why == DROP_NONE && lane_take(l, 100, &seq);
}

static bool
take_one(struct key *k, uint16_t lane)
{
	const struct numbers *n = k->holds[k->n - 1];
	uint64_t seq = ++k->sent[lane] | (uint64_t)lane << REPLAY_ID_SHIFT;
	enum drop_reason why;
	struct replay *w;
	bool ask, go;

	if (n->subspaces && n->windows[lane] == NULL)
		replay_publish(n->windows, lane, numbers_window(gw.numbers, 64));
	w = n->subspaces ? n->windows[lane] : n->window;
	why = replay_accept(w, seq);
	if (why != DROP_SEQ_WAIT)
		return why == DROP_NONE;
	go = replay_stopped(w, seq, &ask);
	if (go)
		why = replay_accept(w, seq);
	if (ask && !raise(k, lane, seq))
		replay_ask_again(w);
	return why == DROP_NONE;
}

static bool
packet(struct key *k, uint16_t lane)
{
	return k->inbound ? take_one(k, lane) : send_one(k, lane);
}

static void
tick(uint64_t ms)
{
	now += ms * (NS_PER_SECOND / 1000);
	clock_set(&gw.clock, now);
	for (uint32_t i = 0; i < n_ring; i++)
		reserve_low(&gw, &ring[i]);
	n_ring = 0;
	reserve_tick(&gw, now);
}

/* Control hears, and the disk answers. */
static void
nobody_waits_for_ever(uint32_t step)
{
	deaf = false;
	for (uint32_t i = 0; i < KEYS; i++) {
		for (uint16_t lane = 0; keys[i].n > 0 && lane < (keys[i].laned ? LANES : 1);
		     lane++) {
			int tries = 0;

			while (!packet(&keys[i], lane)) {
				if (++tries == TRIES)
					fail_msg("step %u: lane %u of key %u, %s, waits", step,
						 lane, i, keys[i].inbound ? "in" : "out");
				tick(1);
				assert_int_equal(reserve_wait(&gw, 10000, &err), 0);
			}
		}
	}
}

static void
step_one(void)
{
	struct key *k = &keys[below(KEYS)];
	uint16_t lane = k->laned ? (uint16_t)below(LANES) : 0;
	uint32_t what = below(100), n = 1 + below(what < 5 ? 3000 : 40);

	if (what < 70) {
		/* Lost on the way, or a peer that goes on above after a crash. */
		if (below(20) == 0)
			k->sent[lane] += below(5000);
		while (k->n > 0 && n-- > 0)
			packet(k, lane);
	} else if (what < 90) {
		tick(below(10) == 0 ? below(5000) : below(20));
	} else if (what < 94) {
		add(k);
	} else if (what < 97) {
		del(k);
	} else {
		deaf = !deaf;
	}
}

static void
who_has_numbers_left_gets_them(void **state)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		keys[i] = (struct key) { .inbound = i & 1, .laned = i >> 1 & 1 };
		keys[i].octets[0] = (uint8_t)i;
		add(&keys[i]);
	}
	for (uint32_t step = 0; step < STEPS; step++) {
		step_one();
		if (step % LOOK == 0)
			nobody_waits_for_ever(step);
	}
	for (uint32_t i = 0; i < KEYS; i++)
		while (keys[i].n > 0)
			del(&keys[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_has_numbers_left_gets_them, begin, end),
		cmocka_unit_test_setup_teardown(who_has_numbers_left_gets_them, begin, end),
		cmocka_unit_test_setup_teardown(who_has_numbers_left_gets_them, begin, end),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
