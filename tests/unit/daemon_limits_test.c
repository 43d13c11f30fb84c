/* What ends by itself: SAs and policies of daemons at their limits, orphans, owners that nothing is
 * left of.
 */
#include "unit.h"

#include "daemon_state_rig.h"

/* The octet of an EXPIRE behind the SA: whether it is the end. */
#define HARD_OF_SA (sizeof(struct xw_head) + 224)

enum unit {
	ADD_SECONDS,
	USE_SECONDS,
	PACKETS,
	BYTES,
};

static uint32_t
events_of(uint16_t type, size_t at, uint8_t octet, uint32_t from)
{
	uint32_t n = 0;

	for (uint32_t i = from; i < rig.n_events; i++) {
		const struct message *m = &rig.events[i % EVENTS_MAX];
		struct xw_head head;

		memcpy(&head, m->octets, sizeof(head));
		if (head.type != type || m->octets[at] != octet)
			continue;
		assert_int_equal(m->group, XFRM_GROUP_EXPIRE);
		n++;
	}
	return n;
}

static void
limit_set(struct xfrm_life *l, enum unit unit, uint64_t soft, uint64_t hard)
{
	switch (unit) {
	case ADD_SECONDS:
		l->soft_add_s = soft;
		l->hard_add_s = hard;
		break;
	case USE_SECONDS:
		l->soft_use_s = soft;
		l->hard_use_s = hard;
		break;
	case PACKETS:
		l->soft_packets = soft;
		l->hard_packets = hard;
		break;
	case BYTES:
		l->soft_bytes = soft;
		l->hard_bytes = hard;
		break;
	}
}

/* One packet of 100 octets a second, from the third second on. */
static void
traffic_wait(const struct xfrm_ident *id, uint32_t seconds, uint32_t *since)
{
	for (uint32_t i = 0; i < seconds; i++) {
		if (++*since >= 3) {
			cell_add(&rig_sa_of(id)->lane->packets, 1);
			cell_add(&rig_sa_of(id)->lane->bytes, 100);
		}
		rig_wait(1);
	}
}

static void
each_limit_is_told_of_once(void **state)
{
	static const struct {
		const char *what;
		enum unit unit;
		uint64_t soft, hard;
		uint32_t quiet, until_soft,
			until_hard; /* s: nothing yet; soft at the latest; hard */
	} cases[] = {
		{ "seconds of age", ADD_SECONDS, 10, 20, 8, 12, 22 },
		{ "seconds of use", USE_SECONDS, 10, 20, 11, 15, 25 },
		{ "packets", PACKETS, 10, 20, 10, 14, 25 },
		{ "octets", BYTES, 1000, 2000, 10, 14, 25 },
	};
	struct daemon_client c = rig_client(1, 0, true);

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct xfrm_sa a = rig_sa(false, 0xc100 + i, (uint8_t)(i + 1));
		uint32_t n, since = 0;

		limit_set(&a.life, cases[i].unit, cases[i].soft, cases[i].hard);
		assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
		n = rig.n_events;
		traffic_wait(&a.id, cases[i].quiet, &since);
		if (rig.n_events != n)
			fail_msg("%s: too early", cases[i].what);
		traffic_wait(&a.id, cases[i].until_soft - since, &since);
		if (rig.n_events != n + 1 || events_of(XFRM_EXPIRE, HARD_OF_SA, 0, n) != 1)
			fail_msg("%s: no soft limit", cases[i].what);
		traffic_wait(&a.id, 3, &since);
		assert_int_equal(rig.n_events, n + 1);
		/* The SA goes on the way. */
		for (; since < cases[i].until_hard; since++) {
			if (rig_by_id(&c, XFRM_GETSA, &a.id, NULL) < 0)
				break;
			cell_add(&rig_sa_of(&a.id)->lane->packets, 1);
			cell_add(&rig_sa_of(&a.id)->lane->bytes, 100);
			rig_wait(1);
		}
		if (rig.n_events != n + 2 || events_of(XFRM_EXPIRE, HARD_OF_SA, 1, n) != 1)
			fail_msg("%s: no hard limit", cases[i].what);
		assert_int_equal(rig_by_id(&c, XFRM_DELSA, &a.id, NULL), -ESRCH);
	}
	daemon_client_gone(rig.d, &c);
}

static void
an_sa_that_nobody_uses_has_no_time_of_use(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5), x;
	uint32_t n;

	limit_set(&a.life, USE_SECONDS, 1, 2);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	n = rig.n_events;
	rig_wait(100);
	assert_int_equal(rig.n_events, n);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, &x), 1);
	daemon_client_gone(rig.d, &c);
}

/* As one does whose window went with a port's device: its daemon is to make another one. */
static void
an_sa_that_died_is_told_of_once(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(true, 0xc100, 5), x;
	uint32_t n;

	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	n = rig.n_events;
	rig_wait(2);
	assert_int_equal(rig.n_events, n);
	((struct sa *)rig_sa_of(&a.id))->state = SA_EXPIRED;
	rig_wait(5);
	assert_int_equal(events_of(XFRM_EXPIRE, HARD_OF_SA, 0, n), 1);
	assert_int_equal(rig.n_events, n + 1);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, &x), 1);
	daemon_client_gone(rig.d, &c);
}

/* ---- SAs of one CPU. ---- */

static void
an_sa_may_be_a_workers(void **state)
{
	static const struct {
		const char *what;
		uint32_t cpu;
		uint8_t dir;
		int want;
	} cases[] = {
		{ "the first worker's", 0, XFRM_SA_DIR_OUT, 0 },
		{ "of no direction", 0, XFRM_SA_DIR_NONE, -EINVAL },
		{ "beyond the last worker", 100, XFRM_SA_DIR_OUT, -ERANGE },
		{ "far beyond", UINT32_MAX - 1, XFRM_SA_DIR_OUT, -ERANGE },
	};
	struct daemon_client c = rig_client(1, 0, true);

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct xfrm_sa a = rig_sa(false, 0xc100 + i, (uint8_t)(i + 1));

		a.has |= XFRM_HAS_PCPU | (cases[i].dir != 0 ? XFRM_HAS_DIR : 0);
		a.pcpu = cases[i].cpu;
		a.dir = cases[i].dir;
		a.replay.window = 0;
		if (rig_put(&c, XFRM_NEWSA, &a) != cases[i].want)
			fail_msg("%s: %d", cases[i].what, rig_answer(NULL));
	}
	daemon_client_gone(rig.d, &c);
}

/* ---- Orphans, and owners of nothing. ---- */

static void
orphans_end_with_their_time(void **state)
{
	struct daemon_client c = rig_client(1, 0, true), script = rig_client(2, 0, false);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5), b = rig_sa(false, 0xc200, 6);
	struct xfrm_sa comp = rig_sa(true, 0x1000, 7), x;
	struct daemon_client other;
	uint32_t n;

	comp.id.proto = XFRM_PROTO_COMP;
	comp.has = XFRM_HAS_COMP;
	comp.flags = XFRM_SA_AF_UNSPEC;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &comp), 0);
	assert_int_equal(rig_put(&script, XFRM_NEWSA, &b), 0);
	daemon_client_gone(rig.d, &c);
	daemon_client_gone(rig.d, &script);
	n = rig.n_events;
	rig_wait(3500);
	other = rig_client(3, 0, true);
	assert_int_equal(rig_by_id(&other, XFRM_GETSA, &comp.id, &x), 1);
	assert_int_equal(rig.n_events, n);
	rig_wait(200);
	assert_int_equal(rig_by_id(&other, XFRM_GETSA, &comp.id, NULL), -ESRCH);
	assert_int_equal(rig.n_events, n + 1);
	assert_int_equal(rig_event_type(1), XFRM_DELSA);
	assert_int_equal(rig_event(1)->group, XFRM_GROUP_SA);
	/* What a script left stays. */
	assert_int_equal(rig_by_id(&other, XFRM_GETSA, &b.id, &x), 1);
	assert_int_equal(rig_put(&other, XFRM_NEWSA, &a), 0);
	daemon_client_gone(rig.d, &other);
}

static void
owners_of_nothing_are_forgotten(void **state)
{
	struct daemon_client reader = rig_client(1, 0, true), c;
	struct daemons_counts before, after;
	struct xfrm_sa a = rig_sa(false, 0xc100, 5);

	/* Room for one is there from the first one on. */
	assert_int_equal(rig_put(&reader, XFRM_NEWSA, &a), 0);
	assert_int_equal(rig_by_id(&reader, XFRM_DELSA, &a.id, NULL), 0);
	daemons_counts(rig.d, &before);
	for (uint64_t i = 0; i < 5000; i++) {
		c = rig_client(100 + 3 * i, 0, false);
		assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
		daemon_client_gone(rig.d, &c);
		/* Another process takes it away; one that only looks leaves nothing, too. */
		c = rig_client(101 + 3 * i, 0, false);
		assert_int_equal(rig_by_id(&c, XFRM_DELSA, &a.id, NULL), 0);
		daemon_client_gone(rig.d, &c);
		c = rig_client(102 + 3 * i, 0, i % 2 == 0);
		assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, NULL), -ESRCH);
		daemon_client_gone(rig.d, &c);
		if (i % 100 == 0)
			rig_wait(1);
	}
	daemons_counts(rig.d, &after);
	assert_int_equal(after.owners, before.owners);
	assert_int_equal(after.bytes, before.bytes);
	daemon_client_gone(rig.d, &reader);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(each_limit_is_told_of_once),
		RIG(an_sa_that_nobody_uses_has_no_time_of_use),
		RIG(an_sa_that_died_is_told_of_once),
		RIG(an_sa_may_be_a_workers),
		RIG(orphans_end_with_their_time),
		RIG(owners_of_nothing_are_forgotten),
	};

	if (rig_eal() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
