/* Which of a policy's SAs a packet goes by: by its class and by its worker. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include <rte_rcu_qsbr.h>

#include "eal.h"
#include "spd/choice.h"

#define WORKERS 2
#define ANY	CHOICE_ANY_WORKER
#define EF	(UINT64_C(1) << 46)
#define AF11	(UINT64_C(1) << 10)
#define AF31	(UINT64_C(1) << 26)
#define CS1	(UINT64_C(1) << 8)
#define REST	0
#define CHANGES 3000

static struct spd *spd;
static struct rte_rcu_qsbr *rcu;
static struct {
	uint64_t token;
	void (*free_fn)(void *);
	void *obj;
} waiting[64];
static uint32_t n_waiting;

/* Frees the oldest, and waits where control would look again later; that may defer more. */
static void
reclaim_one(void)
{
	void (*free_fn)(void *) = waiting[0].free_fn;
	void *obj = waiting[0].obj;

	rte_rcu_qsbr_check(rcu, waiting[0].token, true);
	memmove(waiting, waiting + 1, --n_waiting * sizeof(waiting[0]));
	free_fn(obj);
}

static void
defer(void *ctx, void (*free_fn)(void *), void *obj)
{
	while (n_waiting == RTE_DIM(waiting))
		reclaim_one();
	waiting[n_waiting].token = rte_rcu_qsbr_start(rcu);
	waiting[n_waiting].free_fn = free_fn;
	waiting[n_waiting++].obj = obj;
}

static void
reclaim(void)
{
	while (n_waiting > 0)
		reclaim_one();
}

static int
up(void **state)
{
	const struct spd_params p = { .max_policies = 64, .socket = SOCKET_ID_ANY, .defer = defer };
	struct err err = { "" };

	return spd_create(&p, &spd, &err);
}

static int
down(void **state)
{
	struct spd_stats stats;

	reclaim();
	spd_stats(spd, &stats);
	spd_free(spd);
	assert_int_equal(stats.choices, 0);
	return 0;
}

static uint32_t
add(const struct choice_member *members, uint32_t n)
{
	const struct choice_params p = { members, n, WORKERS, true };
	struct err err = { "" };
	uint32_t index;

	if (choice_add(spd, &p, &index, &err) < 0)
		fail_msg("%s", err.text);
	return index;
}

/* Names of SAs in the tables: their index, from 1 on in the order of the members. */
struct set {
	const char *what;
	uint32_t n;
	struct choice_member members[6];
	struct {
		uint64_t dscp;
		uint32_t sa;
	} want[4]; /* the first that lists the class counts; dscp 0: all */
};

static const struct set sets[] = {
	{ "one SA takes all", 1, { { 1, REST, ANY, 0 } }, { { 0, 1 } } },
	{ "one SA with a list takes all, as there is no other",
	  1,
	  { { 1, EF, ANY, 0 } },
	  { { 0, 1 } } },
	{ "EF and the rest",
	  2,
	  { { 1, REST, ANY, 0 }, { 2, EF, ANY, 0 } },
	  { { EF, 2 }, { 0, 1 } } },
	{ "EF, AF11 with AF31, and the rest",
	  3,
	  { { 1, REST, ANY, 0 }, { 2, EF, ANY, 0 }, { 3, AF11 | AF31, ANY, 0 } },
	  { { EF, 2 }, { AF11 | AF31, 3 }, { 0, 1 } } },
	{ "the shortest list wins",
	  3,
	  { { 1, EF | AF11 | CS1, ANY, 0 }, { 2, EF, ANY, 0 }, { 3, REST, ANY, 0 } },
	  { { EF, 2 }, { AF11 | CS1, 1 }, { 0, 3 } } },
	{ "of two of one length the lower rank wins",
	  3,
	  { { 1, EF | AF11, ANY, 2 }, { 2, EF | CS1, ANY, 1 }, { 3, REST, ANY, 9 } },
	  { { EF | CS1, 2 }, { AF11, 1 }, { 0, 3 } } },
	{ "of one rank too, the one with the lower classes, whichever came first",
	  2,
	  { { 1, EF | AF31, ANY, 0 }, { 2, EF | AF11, ANY, 0 } },
	  { { AF31, 1 }, { 0, 2 } } },
	{ "all have lists: what none lists goes by the lowest rank",
	  3,
	  { { 1, EF, ANY, 3 }, { 2, AF11, ANY, 1 }, { 3, AF31, ANY, 2 } },
	  { { EF, 1 }, { AF11, 2 }, { AF31, 3 }, { 0, 2 } } },
	{ "of two with one list the newer counts",
	  3,
	  { { 1, EF, ANY, 0 }, { 2, REST, ANY, 0 }, { 3, EF, ANY, 0 } },
	  { { EF, 3 }, { 0, 2 } } },
	{ "a list of all classes leaves nothing to the rest",
	  2,
	  { { 1, REST, ANY, 0 }, { 2, UINT64_MAX, ANY, 0 } },
	  { { 0, 2 } } },
};

static uint32_t
wanted(const struct set *s, uint8_t dscp)
{
	for (size_t i = 0; i < RTE_DIM(s->want); i++)
		if (s->want[i].dscp == 0 || (s->want[i].dscp >> dscp & 1) != 0)
			return s->want[i].sa;
	return 0;
}

static void
each_of_64_code_points_has_its_sa(void **state)
{
	for (size_t i = 0; i < RTE_DIM(sets); i++) {
		uint32_t index = add(sets[i].members, sets[i].n);

		for (uint16_t dscp = 0; dscp < 64; dscp++) {
			bool own;
			uint64_t sa = choice_sa(choice_at(spd, index), (uint8_t)dscp, 1, &own);

			if (sa != wanted(&sets[i], (uint8_t)dscp) || own)
				fail_msg("%s: class %u goes by %lu", sets[i].what, dscp, sa);
		}
		choice_del(spd, index);
	}
}

static const struct {
	const char *what;
	uint32_t n;
	struct choice_member members[6];
	uint64_t dscp;
	uint32_t sa[WORKERS];
	bool own[WORKERS], asks;
} shares[] = {
	{ "an SA each, and one for any",
	  3,
	  { { 1, REST, ANY, 0 }, { 2, REST, 0, 0 }, { 3, REST, 1, 0 } },
	  EF,
	  { 2, 3 },
	  { true, true },
	  true },
	{ "one is missing: its packets go by the one for any",
	  2,
	  { { 1, REST, ANY, 0 }, { 2, REST, 0, 0 } },
	  EF,
	  { 2, 1 },
	  { true, false },
	  true },
	{ "no one is for any: nothing is asked, the newest takes them",
	  2,
	  { { 1, REST, 0, 0 }, { 2, REST, 0, 0 } },
	  EF,
	  { 2, 2 },
	  { true, false },
	  false },
	{ "two for one worker: the newest wins",
	  3,
	  { { 1, REST, ANY, 0 }, { 2, REST, 1, 0 }, { 3, REST, 1, 0 } },
	  EF,
	  { 1, 3 },
	  { false, true },
	  true },
	{ "a class for one worker: the other takes the rest's one for any",
	  3,
	  { { 1, REST, ANY, 0 }, { 2, REST, 1, 0 }, { 3, EF, 0, 0 } },
	  EF,
	  { 3, 1 },
	  { true, false },
	  true },
	{ "a class with one for any of its own",
	  4,
	  { { 1, REST, ANY, 0 }, { 2, REST, 1, 0 }, { 3, EF, 0, 0 }, { 4, EF, ANY, 0 } },
	  EF,
	  { 3, 4 },
	  { true, false },
	  true },
	{ "a class beside a bundle",
	  4,
	  { { 1, REST, ANY, 0 }, { 2, REST, 0, 0 }, { 3, REST, 1, 0 }, { 4, EF, ANY, 0 } },
	  AF11,
	  { 2, 3 },
	  { true, true },
	  true },
	{ "a worker that the gateway does not have",
	  2,
	  { { 1, REST, ANY, 0 }, { 2, REST, 40, 0 } },
	  EF,
	  { 1, 1 },
	  { false, false },
	  true },
};

static void
each_worker_has_its_sa(void **state)
{
	for (size_t i = 0; i < RTE_DIM(shares); i++) {
		uint32_t index = add(shares[i].members, shares[i].n);
		const struct choice *c = choice_at(spd, index);

		if (c->asks != shares[i].asks)
			fail_msg("%s: asks is %d", shares[i].what, c->asks);
		for (uint16_t w = 0; w < WORKERS; w++) {
			uint8_t dscp = (uint8_t)__builtin_ctzll(shares[i].dscp);
			bool own;
			uint64_t sa = choice_sa(c, dscp, w, &own);

			if (sa != shares[i].sa[w] || own != shares[i].own[w])
				fail_msg("%s: worker %u goes by %lu", shares[i].what, w, sa);
		}
		choice_del(spd, index);
	}
}

static void
an_sa_is_put_in_the_place_of_another(void **state)
{
	static const struct choice_member members[] = { { 1, REST, ANY, 0 },
							{ 2, REST, 0, 0 },
							{ 3, EF, ANY, 0 } };
	uint32_t index = add(members, RTE_DIM(members));
	const struct choice *c = choice_at(spd, index);
	bool own;

	choice_repoint(spd, index, 2, 9);
	assert_int_equal(choice_sa(c, 0, 0, &own), 9);
	assert_true(own);
	choice_repoint(spd, index, 1, 8);
	assert_int_equal(choice_sa(c, 0, 1, &own), 8);
	assert_false(own);
	assert_int_equal(choice_sa(c, 46, 0, &own), 3);
	assert_ptr_equal(choice_at(spd, index), c);
	choice_del(spd, index);
}

/* ---- A reader beside the writer. ---- */

static uint32_t shared;
static bool done;
static uint64_t n_reads, n_wrong;

/* All words of one version of the choice have one generation. */
static bool
is_whole(const struct choice *c)
{
	uint64_t version = UINT64_MAX;

	for (uint8_t dscp = 0; dscp < 64; dscp++)
		for (uint16_t w = 0; w < WORKERS; w++) {
			bool own;
			uint64_t sa = choice_sa(c, dscp, w, &own);

			if (version == UINT64_MAX)
				version = sa >> 32;
			if (spd_sa_index(sa) == UINT32_MAX || sa >> 32 != version)
				return false;
		}
	return true;
}

static void *
reader(void *arg)
{
	rte_rcu_qsbr_thread_register(rcu, 0);
	rte_rcu_qsbr_thread_online(rcu, 0);
	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		if (!is_whole(choice_at(spd, shared)))
			n_wrong++;
		__atomic_store_n(&n_reads, n_reads + 1, __ATOMIC_RELAXED);
		rte_rcu_qsbr_quiescent(rcu, 0);
		sched_yield();
	}
	rte_rcu_qsbr_thread_offline(rcu, 0);
	rte_rcu_qsbr_thread_unregister(rcu, 0);
	return NULL;
}

/* What a daemon might have at one time: members come and go, of every list and worker. */
static uint32_t
members_of(uint64_t version, struct choice_member *m)
{
	static const struct choice_member all[] = {
		{ 1, REST, ANY, 0 },	   { 2, REST, 0, 0 }, { 3, REST, 1, 0 },
		{ 4, EF, ANY, 0 },	   { 5, EF, 1, 0 },   { 6, AF11 | AF31, ANY, 0 },
		{ 7, AF11 | CS1, ANY, 1 }, { 8, REST, 0, 0 },
	};
	uint32_t n = 0;

	for (size_t i = 0; i < RTE_DIM(all); i++)
		if ((version * 0x9e3779b1u >> (20 + i) & 1) != 0 || n + i + 1 == RTE_DIM(all)) {
			m[n] = all[i];
			m[n++].sa |= version << 32;
		}
	return n;
}

static void
a_reader_sees_whole_choices(void **state)
{
	struct choice_member m[8];
	struct choice_params p = { m, members_of(1, m), WORKERS, true };
	struct err err = { "" };
	pthread_t thread;

	done = false;
	assert_int_equal(choice_add(spd, &p, &shared, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, reader, NULL), 0);
	while (__atomic_load_n(&n_reads, __ATOMIC_RELAXED) == 0)
		sched_yield();
	for (uint64_t version = 2; version < CHANGES; version++) {
		p.n = members_of(version, m);
		assert_int_equal(choice_change(spd, shared, &p, &err), 0);
	}
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(n_wrong, 0);
	choice_del(spd, shared);
}

static int
rcu_setup(void **state)
{
	size_t size = rte_rcu_qsbr_get_memsize(1);

	rcu = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(size, RTE_CACHE_LINE_SIZE));
	return rcu == NULL || rte_rcu_qsbr_init(rcu, 1) != 0 ? -1 : 0;
}

static int
rcu_teardown(void **state)
{
	free(rcu);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_of_64_code_points_has_its_sa, up, down),
		cmocka_unit_test_setup_teardown(each_worker_has_its_sa, up, down),
		cmocka_unit_test_setup_teardown(an_sa_is_put_in_the_place_of_another, up, down),
		cmocka_unit_test_setup_teardown(a_reader_sees_whole_choices, up, down),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, rcu_setup, rcu_teardown);
}
