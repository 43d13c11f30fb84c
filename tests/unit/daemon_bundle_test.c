/* SAs of daemons that are for one worker, or for some classes: who sends by which, and who asks. */
#include "unit.h"

#include "daemon_rig.h"
#include "eal.h"
#include "spd/choice.h"
#include "worker/mailbox.h"

#define WORKERS 2
#define EF	(UINT64_C(1) << 46)

static const struct dpolicies_cause by_charon = { &charon, 77, 4711 };

static uint64_t
list_of(const void *ctx, const struct tie_sa *sa)
{
	return EF;
}

static int
up(void **state)
{
	int rc = rig_up(state);

	rig.gw.n_workers = WORKERS;
	ties_lists(rig.ties, list_of, NULL);
	return rc;
}

static int
down(void **state)
{
	struct spd_stats stats;

	spd_stats(rig.gw.spd, &stats);
	assert_int_equal(stats.choices, 0);
	return rig_down(state);
}

static void
policy_put(uint8_t flags, uint32_t spi, bool update)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	struct err err = { "" };

	p.flags = flags;
	p.tmpls[0].id.spi = spi;
	if (dpolicies_put(rig.dp, &p, update, &by_charon, &err) != 0)
		fail_msg("%s", err.text);
}

static void
policy_del(void)
{
	struct xfrm_policy_id id = { .sel = rig_policy(XFRM_DIR_OUT).sel, .dir = XFRM_DIR_OUT };
	struct err err = { "" };

	if (dpolicies_del(rig.dp, &id, &by_charon, &err) != 0)
		fail_msg("%s", err.text);
}

/* worker: from 1; 0 for any. */
static void
add(struct tie_sa *sa, uint32_t index, uint16_t worker, bool listed)
{
	const struct xfrm_sa x = rig_sa(false);
	struct tie_key key;
	struct tie *tie;
	struct err err;

	*sa = (struct tie_sa) { .index = index,
				.generation = 100 + index,
				.spi = 0x100 + index,
				.worker = worker,
				.listed = listed };
	tie_key_of_sa(&x, false, &key);
	assert_int_equal(tie_get(rig.ties, &key, &tie, &err), 0);
	tie_sa_add(rig.ties, tie, sa);
}

static const struct choice *
choice_now(void)
{
	uint64_t word = spd_out_sa(rig.gw.spd, rig_asked(true));

	assert_int_equal(spd_sa_generation(word), CHOICE_MARK);
	return choice_at(rig.gw.spd, spd_sa_index(word));
}

/* The index of the SA that a packet of that class goes by at a worker. */
static uint32_t
goes_by(uint16_t worker, uint8_t dscp)
{
	bool own;
	uint64_t sa = choice_sa(choice_now(), dscp, worker, &own);

	assert_int_equal(spd_sa_generation(sa), 100 + spd_sa_index(sa));
	return spd_sa_index(sa);
}

static void
each_worker_goes_by_its_own(void **state)
{
	struct tie_sa all, first, second, again;

	policy_put(0, 0, false);
	add(&all, 1, 0, false);
	assert_int_equal(rig_goes_by(), 1);
	add(&first, 2, 1, false);
	assert_int_equal(goes_by(0, 0), 2);
	assert_int_equal(goes_by(1, 0), 1);
	add(&second, 3, 2, false);
	assert_int_equal(goes_by(1, 0), 3);
	/* A rekey of one: nothing else moves. */
	add(&again, 4, 1, false);
	assert_int_equal(goes_by(0, 0), 4);
	assert_int_equal(goes_by(1, 0), 3);
	rig_sa_del(&first);
	assert_int_equal(goes_by(0, 0), 4);
	rig_sa_del(&again);
	assert_int_equal(goes_by(0, 0), 1);
	rig_sa_del(&second);
	/* None is apart: the policy goes by the one SA again. */
	assert_int_equal(rig_goes_by(), 1);
	rig_sa_del(&all);
	assert_int_equal(rig_goes_by(), SA_NONE);
}

static void
without_one_for_all_nothing_is_lost(void **state)
{
	struct tie_sa all, first;

	policy_put(0, 0, false);
	add(&all, 1, 0, false);
	add(&first, 2, 1, false);
	rig_sa_del(&all);
	assert_int_equal(goes_by(0, 0), 2);
	assert_int_equal(goes_by(1, 0), 2);
	rig_sa_del(&first);
	assert_int_equal(rig_goes_by(), SA_NONE);
}

static void
an_update_puts_an_sa_in_the_others_place(void **state)
{
	struct tie_sa all, first;
	const struct choice *before;

	policy_put(0, 0, false);
	add(&all, 1, 0, false);
	add(&first, 2, 1, false);
	before = choice_now();
	tie_sa_point(rig.ties, &first, 9, 109);
	assert_ptr_equal(choice_now(), before);
	assert_int_equal(goes_by(0, 0), 9);
	assert_int_equal(goes_by(1, 0), 1);
	rig_sa_del(&first);
	rig_sa_del(&all);
}

static void
classes_go_by_the_sa_that_lists_them(void **state)
{
	struct tie_sa rest, ef;

	policy_put(0, 0, false);
	add(&rest, 1, 0, false);
	add(&ef, 2, 0, true);
	assert_int_equal(goes_by(0, 46), 2);
	assert_int_equal(goes_by(0, 45), 1);
	rig_sa_del(&rest);
	assert_int_equal(goes_by(0, 45), 2);
	rig_sa_del(&ef);
}

/* Policies of one tie share the choice, but for those whose template names an SPI. */
static void
a_template_with_an_spi_means_that_sa(void **state)
{
	struct tie_sa all, first;

	add(&all, 1, 0, false);
	add(&first, 2, 1, false);
	policy_put(0, 0x101, false);
	assert_int_equal(rig_goes_by(), 1);
	policy_put(0, 0, true);
	assert_int_equal(goes_by(0, 0), 2);
	rig_sa_del(&all);
	rig_sa_del(&first);
}

static struct acquire_event
wanted(uint8_t worker, bool own)
{
	uint32_t policy = rig_asked(true);
	struct acquire_event e = {
		.kind = EVENT_ACQUIRE,
		.family = 4,
		.proto = 17,
		.worker = worker,
		.own = own,
		.src_port = 1000,
		.dst_port = 2000,
		.policy = policy,
		.name = spd_policy(rig.gw.spd, policy)->name,
		.src = { 10, 1, 2, 3 },
		.dst = { 10, 2, 3, 4 },
	};

	return e;
}

/* How many ACQUIREs that was: 0 or 1. */
static uint32_t
asked(uint8_t worker, bool own, uint64_t ms)
{
	struct acquire_event e = wanted(worker, own);

	rig.n_events = 0;
	dpolicies_acquire(rig.dp, &e, ms * 1000000);
	return rig.n_events;
}

static void
each_worker_asks_for_its_own(void **state)
{
	struct tie_sa all, first;
	size_t size;

	policy_put(XFRM_POLICY_F_CPU_ACQUIRE, 0, false);
	/* The first SA is for all. */
	assert_int_equal(asked(1, false, 5000), 1);
	size = rig.events[0].size;
	assert_int_equal(asked(1, true, 5000), 0);
	add(&all, 1, 0, false);
	assert_true(choice_now()->asks);
	assert_int_equal(goes_by(1, 0), 1);
	assert_int_equal(asked(1, true, 6000), 1);
	assert_int_equal(rig.events[0].size, size + 8);
	assert_int_equal(rig.events[0].message[size + 2], XFRM_A_SA_PCPU);
	assert_int_equal(rig.events[0].message[size + 4], 1);
	/* Each worker once a second. */
	assert_int_equal(asked(0, true, 6001), 1);
	assert_int_equal(asked(1, true, 6999), 0);
	assert_int_equal(asked(1, true, 7000), 1);
	/* Not who has one, nor a worker that is none. */
	add(&first, 2, 1, false);
	assert_int_equal(asked(0, true, 9000), 0);
	assert_int_equal(asked(1, true, 9000), 1);
	assert_int_equal(asked(WORKERS, true, 9000), 0);
	/* Without the one for all there is none to send by meanwhile. */
	rig_sa_del(&all);
	assert_false(choice_now()->asks);
	assert_int_equal(asked(1, true, 11000), 0);
	rig_sa_del(&first);
}

static void
who_does_not_want_it_is_not_asked(void **state)
{
	struct tie_sa all, first;

	policy_put(0, 0, false);
	add(&all, 1, 0, false);
	add(&first, 2, 1, false);
	assert_false(choice_now()->asks);
	assert_int_equal(asked(1, true, 5000), 0);
	policy_put(XFRM_POLICY_F_CPU_ACQUIRE, 0, true);
	assert_true(choice_now()->asks);
	assert_int_equal(asked(1, true, 5000), 1);
	policy_put(0, 0, true);
	assert_false(choice_now()->asks);
	rig_sa_del(&first);
	/* The flag alone makes the choice: the last that has it takes it along. */
	policy_put(XFRM_POLICY_F_CPU_ACQUIRE, 0, true);
	assert_true(choice_now()->asks);
	policy_del();
	policy_put(0, 0, false);
	assert_int_equal(rig_goes_by(), 1);
	rig_sa_del(&all);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, up, down)
	const struct CMUnitTest tests[] = {
		RIG(each_worker_goes_by_its_own),
		RIG(without_one_for_all_nothing_is_lost),
		RIG(an_update_puts_an_sa_in_the_others_place),
		RIG(classes_go_by_the_sa_that_lists_them),
		RIG(a_template_with_an_spi_means_that_sa),
		RIG(each_worker_asks_for_its_own),
		RIG(who_does_not_want_it_is_not_asked),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
