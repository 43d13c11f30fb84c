/* What policies ask of daemons: SAs, and an end to their own time. */
#include "unit.h"

#include <time.h>

#include "daemon_rig.h"
#include "eal.h"
#include "worker/mailbox.h"

static const struct dpolicies_cause by_charon = { &charon, 77, 4711 };

static int
put(const struct xfrm_policy *p, bool update)
{
	struct err err = { "" };
	int rc = dpolicies_put(rig.dp, p, update, &by_charon, &err);

	/* Each refusal has its sentence. */
	assert_int_equal(rc < 0, err.text[0] != 0);
	return rc;
}

static uint32_t
in_spd(void)
{
	struct spd_stats stats;

	spd_stats(rig.gw.spd, &stats);
	return stats.policies;
}

static struct acquire_event
wanted(void)
{
	uint32_t policy = rig_asked(true);
	struct acquire_event e = {
		.kind = EVENT_ACQUIRE,
		.family = 4,
		.proto = 17,
		.worker = 3,
		.src_port = 1000,
		.dst_port = 2000,
		.policy = policy,
		.name = spd_policy(rig.gw.spd, policy)->name,
		.src = { 10, 1, 2, 3 },
		.dst = { 10, 2, 3, 4 },
	};

	return e;
}

/* Offsets of struct xfrm_user_acquire behind the header, from specs of the interface. */
static void
daemons_are_asked_for_sas(void **state)
{
	static const uint8_t us[4] = { 192, 0, 2, 1 }, peer[4] = { 198, 51, 100, 1 };
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	struct acquire_event e;
	const uint8_t *m = rig.events[0].message + 16;
	struct tie_sa sa;
	uint32_t seq;

	assert_int_equal(put(&p, false), 0);
	rig.n_events = 0;
	e = wanted();
	dpolicies_acquire(rig.dp, &e, 5000000000);
	assert_int_equal(rig.n_events, 1);
	assert_int_equal(rig.events[0].group, XFRM_GROUP_ACQUIRE);
	assert_int_equal(rig.events[0].type, XFRM_ACQUIRE);
	assert_int_equal(rig.events[0].pid, 0);
	assert_memory_equal(m, peer, 4);
	assert_int_equal(m[20], XFRM_PROTO_ESP);
	assert_memory_equal(m + 24, us, 4);
	assert_memory_equal(m + 40, e.dst, 4);
	assert_memory_equal(m + 40 + 16, e.src, 4);
	assert_int_equal(m[40 + 42], 32);
	assert_int_equal(m[40 + 44], 17);
	memcpy(&seq, m + 276, 4);
	assert_int_equal(seq, 1);
	/* XFRMA_TMPL with the reqid. */
	assert_int_equal(m[280 + 2], XFRM_A_TMPL);
	assert_int_equal(m[280 + 4 + 44], 7);
	/* Not so soon again, and not for what is not so any more. */
	dpolicies_acquire(rig.dp, &e, 5999000000);
	assert_int_equal(rig.n_events, 1);
	dpolicies_acquire(rig.dp, &e, 6001000000);
	assert_int_equal(rig.n_events, 2);
	e.policy++;
	dpolicies_acquire(rig.dp, &e, 9000000000);
	e.policy--;
	rig_sa_add(&sa, false, 1, 0x100);
	dpolicies_acquire(rig.dp, &e, 9000000000);
	assert_int_equal(rig.n_events, 2);
	rig_sa_del(&sa);
}

/* Of pluto's traps, whose template says nothing but that there is one. */
static void
a_trap_asks_for_the_packets_own_ends(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	const uint8_t *m = rig.events[0].message + 16;
	struct acquire_event e;

	p.tmpls[0] = (struct xfrm_tmpl) { .id = { .dst.family = 4, .proto = XFRM_PROTO_ESP },
					  .family = 4,
					  .src.family = 4 };
	assert_int_equal(put(&p, true), 0);
	assert_int_equal(rig_goes_by(), SA_NONE);
	rig.n_events = 0;
	e = wanted();
	dpolicies_acquire(rig.dp, &e, 5000000000);
	assert_int_equal(rig.n_events, 1);
	assert_memory_equal(m, e.dst, 4);
	assert_memory_equal(m + 24, e.src, 4);
}

static void
policies_end_when_their_time_is_over(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	uint64_t now = (uint64_t)time(NULL);

	p.life.soft_add_s = 10;
	p.life.hard_add_s = 20;
	assert_int_equal(put(&p, false), 0);
	rig.n_events = 0;
	dpolicies_tick(rig.dp, now + 8);
	assert_int_equal(rig.n_events, 0);
	for (int s = 12; s < 15; s++)
		dpolicies_tick(rig.dp, now + s);
	assert_int_equal(rig.n_events, 1);
	assert_int_equal(rig.events[0].type, XFRM_POLEXPIRE);
	assert_int_equal(rig.events[0].group, XFRM_GROUP_EXPIRE);
	assert_int_equal(rig.events[0].message[16 + 168], 0);
	dpolicies_tick(rig.dp, now + 22);
	assert_int_equal(rig.n_events, 2);
	assert_int_equal(rig.events[1].message[16 + 168], 1);
	assert_int_equal(in_spd(), 0);
}

/* It counts from when its SA was first seen to be used, however it goes on. */
static void
policies_end_some_time_after_their_first_use(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	uint64_t now = (uint64_t)time(NULL);
	struct tie_sa sa;

	p.life.soft_use_s = 10;
	p.life.hard_use_s = 20;
	assert_int_equal(put(&p, false), 0);
	rig_sa_add(&sa, false, 1, 0x100);
	rig.n_events = 0;
	dpolicies_tick(rig.dp, now + 100);
	assert_int_equal(rig.n_events, 0);
	for (int s = 101; s < 110; s++) {
		rig.sa_used = now + s;
		dpolicies_tick(rig.dp, now + s);
	}
	assert_int_equal(rig.n_events, 0);
	dpolicies_tick(rig.dp, now + 111);
	dpolicies_tick(rig.dp, now + 112);
	assert_int_equal(rig.n_events, 1);
	assert_int_equal(rig.events[0].type, XFRM_POLEXPIRE);
	assert_int_equal(rig.events[0].message[16 + 168], 0);
	dpolicies_tick(rig.dp, now + 121);
	assert_int_equal(rig.n_events, 2);
	assert_int_equal(rig.events[1].message[16 + 168], 1);
	assert_int_equal(in_spd(), 0);
	rig_sa_del(&sa);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(daemons_are_asked_for_sas),
		RIG(a_trap_asks_for_the_packets_own_ends),
		RIG(policies_end_when_their_time_is_over),
		RIG(policies_end_some_time_after_their_first_use),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
