/* A reader beside the writer: replaced policies leave no gap, and nothing is freed under a lookup.
 */
#include "spd_rig.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

#include "eal.h"

#define CHANGES	    4000
#define WAITING_MAX 4096
#define LEAK	    999 /* the bypass behind everything */

static struct rte_rcu_qsbr *rcu;
static struct spd *spd;
static bool done;
static uint32_t wrong; /* what the reader saw that it must not */
static uint64_t n_reads;

static struct {
	uint64_t token;
	void (*free_fn)(void *);
	void *obj;
} waiting[WAITING_MAX];
static uint32_t n_waiting;

static void
defer(void *ctx, void (*free_fn)(void *), void *obj)
{
	assert_true(n_waiting < WAITING_MAX);
	waiting[n_waiting].token = rte_rcu_qsbr_start(rcu);
	waiting[n_waiting].free_fn = free_fn;
	waiting[n_waiting++].obj = obj;
}

/* Frees what no reader can have any more; what that defers in turn stays behind. */
static void
reclaim(void)
{
	uint32_t n = n_waiting, i = 0;

	while (i < n && rte_rcu_qsbr_check(rcu, waiting[i].token, false) == 1) {
		waiting[i].free_fn(waiting[i].obj);
		i++;
	}
	n_waiting -= i;
	memmove(waiting, waiting + i, n_waiting * sizeof(waiting[0]));
}

static void
read_once(const struct spd_key *key)
{
	uint32_t found = spd_find(spd, SPD_OUT, key);
	uint32_t name = found < SPD_FRAG_PORTS ? spd_policy(spd, found)->name : found;

	if (name == 0 || name >= LEAK)
		__atomic_store_n(&wrong, name == 0 ? UINT32_MAX : name, __ATOMIC_RELAXED);
}

/* Off the one CPU that EAL keeps to. */
static void
spread(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (long i = 0; i < sysconf(_SC_NPROCESSORS_CONF); i++)
		CPU_SET(i, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void *
reader(void *arg)
{
	struct spd_key plain = key_of("10.1.2.3", "10.4.5.6", UDP, 1, 1);
	struct spd_key crowded = key_of("10.9.2.3", "10.9.5.6", TCP, 1, 30);

	spread();
	rte_rcu_qsbr_thread_register(rcu, 0);
	rte_rcu_qsbr_thread_online(rcu, 0);
	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		for (int i = 0; i < 16; i++) {
			read_once(&plain);
			read_once(&crowded);
		}
		__atomic_store_n(&n_reads, n_reads + 1, __ATOMIC_RELAXED);
		rte_rcu_qsbr_quiescent(rcu, 0);
	}
	rte_rcu_qsbr_thread_offline(rcu, 0);
	rte_rcu_qsbr_thread_unregister(rcu, 0);
	return NULL;
}

/* Each time under other prefixes, so in another table, before or behind the one that goes. */
static uint32_t
plain_add(uint32_t i)
{
	static const char *const nets[] = { "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24",
					    "10.1.2.3" };
	struct policy_text text = { 10 + i % 7, nets[i % 4], "10.4.0.0/16", .name = 1 + i % 100 };

	return policy_add(spd, &text);
}

static uint32_t
crowded_add(uint32_t i)
{
	struct policy_text text = { 30 + i % 7,
				    "10.9.0.0/16",
				    "10.9.0.0/16",
				    .protocol = TCP,
				    .dst_port = { 30, 30 + i % 3 },
				    .name = 1 + i % 100 };

	return policy_add(spd, &text);
}

static void
base_add(void)
{
	struct policy_text leak = { 1000, "any", "any", .action = POLICY_BYPASS, .name = LEAK };

	policy_add(spd, &leak);
	for (uint16_t i = 0; i < 24; i++) {
		struct policy_text text = { 20,
					    "10.9.0.0/16",
					    "10.9.0.0/16",
					    .protocol = TCP,
					    .dst_port = { i, i },
					    .name = 200 + i };

		policy_add(spd, &text);
	}
}

static void
change(uint32_t i, uint32_t *plain, uint32_t *crowded)
{
	struct err err = { "" };

	policy_end(spd, *plain);
	policy_end(spd, *crowded);
	*plain = plain_add(i);
	*crowded = crowded_add(i);
	if (i % 16 == 0) {
		/* Half a change that is thought better of. */
		spd_abort(spd);
		*plain = UINT32_MAX;
	} else {
		spd_commit(spd);
	}
	if (i % 64 == 1)
		assert_true(spd_maintain(spd, true, &err) >= 0);
}

static void
a_reader_sees_no_gap(void **state)
{
	struct spd_params p = { .max_policies = 8192, .socket = SOCKET_ID_ANY, .defer = defer };
	struct err err = { "" };
	uint32_t plain, crowded;
	pthread_t thread;

	assert_int_equal(spd_create(&p, &spd, &err), 0);
	base_add();
	plain = plain_add(0);
	crowded = crowded_add(0);
	spd_commit(spd);
	assert_int_equal(pthread_create(&thread, NULL, reader, NULL), 0);
	while (__atomic_load_n(&n_reads, __ATOMIC_RELAXED) == 0)
		sched_yield();
	for (uint32_t i = 1; i <= CHANGES; i++) {
		uint32_t old_plain = plain, old_crowded = crowded;

		change(i, &plain, &crowded);
		if (plain == UINT32_MAX) {
			plain = old_plain;
			crowded = old_crowded;
		}
		reclaim();
		while (n_waiting > WAITING_MAX / 2) {
			sched_yield();
			reclaim();
		}
	}
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	while (n_waiting > 0)
		reclaim();
	if (wrong != 0)
		fail_msg("the reader met %u after %lu rounds", wrong, n_reads);
	spd_free(spd);
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
		cmocka_unit_test(a_reader_sees_no_gap),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, rcu_setup, rcu_teardown);
}
