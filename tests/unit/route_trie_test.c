/* The table behind routes: against a linear scan, and under lookups while it changes. */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include <rte_malloc.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>

#include "eal.h"
#include "route/own.h"
#include "route/trie.h"

#define NONE	   UINT16_MAX
#define ORACLE_MAX 512

/* All prefixes, asked one by one. */
struct oracle {
	uint32_t n;
	struct {
		struct prefix p;
		uint16_t value;
	} list[ORACLE_MAX];
};

static uint64_t random_state = 88172645463325252;

static uint32_t
random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 11) % n;
}

/* The longest that covers an address and is shorter than below; -1 if none. */
static int
oracle_best(const struct oracle *o, const struct addr *a, int below)
{
	int best = -1;

	for (uint32_t i = 0; i < o->n; i++)
		if (o->list[i].p.len < below && prefix_covers(&o->list[i].p, a) &&
		    (best < 0 || o->list[i].p.len > o->list[best].p.len))
			best = (int)i;
	return best;
}

static int
oracle_find(const struct oracle *o, const struct prefix *p)
{
	for (uint32_t i = 0; i < o->n; i++)
		if (o->list[i].p.len == p->len && addr_equal(&o->list[i].p.addr, &p->addr))
			return (int)i;
	return -1;
}

/* Few different octets, so that prefixes nest and share groups. */
static struct addr
random_addr(uint8_t family)
{
	static const uint8_t octets[] = { 0, 1, 127, 128, 254, 255 };
	struct addr a = { .family = family };

	for (int i = 0; i < (family == 4 ? 4 : 16); i++)
		a.octets[i] =
			i < 2 ? 10 : octets[random_below(random_below(3) ? 2 : RTE_DIM(octets))];
	return a;
}

static void
oracle_change(struct oracle *o, struct trie *t, uint8_t family)
{
	struct addr a = random_addr(family);
	struct prefix p = prefix_of(&a, (uint8_t)random_below(addr_bits(&a) + 1));
	int at = oracle_find(o, &p), around;
	struct err err;

	if (at >= 0 && random_below(2)) {
		o->list[at] = o->list[--o->n];
		around = oracle_best(o, &p.addr, p.len);
		trie_clear(t, &p, around < 0 ? 0 : o->list[around].p.len,
			   around < 0 ? NONE : o->list[around].value);
		return;
	}
	if (at < 0 && o->n == ORACLE_MAX) {
		p = o->list[at = (int)random_below(o->n)].p;
		o->list[at] = o->list[--o->n];
		around = oracle_best(o, &p.addr, p.len);
		trie_clear(t, &p, around < 0 ? 0 : o->list[around].p.len,
			   around < 0 ? NONE : o->list[around].value);
		return;
	}
	if (at < 0)
		o->list[at = (int)o->n++].p = p;
	o->list[at].value = (uint16_t)random_below(4);
	assert_int_equal(trie_set(t, &p, o->list[at].value, &err), 0);
}

static void
oracle_compare(const struct oracle *o, const struct trie *t, uint8_t family, int round)
{
	char text[ADDR_TEXT_SIZE];

	for (int i = 0; i < 40; i++) {
		struct addr a = random_addr(family);
		int best = oracle_best(o, &a, 255);
		uint16_t want = best < 0 ? NONE : o->list[best].value;
		uint16_t got = trie_lookup(t, a.octets);

		if (got != want)
			fail_msg("round %d: %s: %u instead of %u", round, addr_text(&a, text), got,
				 want);
	}
}

static void
lookups_agree_with_a_linear_scan(void **state)
{
	static const uint8_t families[] = { 4, 6 };

	for (size_t f = 0; f < RTE_DIM(families); f++) {
		static struct oracle o;
		struct trie t;
		struct err err;

		o.n = 0;
		assert_int_equal(trie_init(&t, NONE, SOCKET_ID_ANY, NULL, NULL, &err), 0);
		for (int round = 0; round < 20000; round++) {
			oracle_change(&o, &t, families[f]);
			if (round % 10 == 0)
				oracle_compare(&o, &t, families[f], round);
		}
		/* And all of it can be taken out again: no group stays behind. */
		while (o.n > 0) {
			struct prefix p = o.list[--o.n].p;
			int around = oracle_best(&o, &p.addr, p.len);

			trie_clear(&t, &p, around < 0 ? 0 : o.list[around].p.len,
				   around < 0 ? NONE : o.list[around].value);
		}
		oracle_compare(&o, &t, families[f], -1);
		assert_int_equal(t.n_used, 0);
		assert_int_equal(t.n_free, t.n_groups);
		trie_fini(&t);
	}
}

static struct prefix
prefix_parsed(const char *text, uint8_t len)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return prefix_of(&a, len);
}

static void
two_halves_of_one_value_are_not_the_whole(void **state)
{
	struct prefix low = prefix_parsed("10.0.0.0", 25), high = prefix_parsed("10.0.0.128", 25);
	struct prefix host = prefix_parsed("10.0.0.7", 32);
	struct trie t;
	struct err err;

	assert_int_equal(trie_init(&t, NONE, SOCKET_ID_ANY, NULL, NULL, &err), 0);
	assert_int_equal(trie_set(&t, &low, 5, &err), 0);
	assert_int_equal(trie_set(&t, &high, 5, &err), 0);
	assert_int_equal(trie_set(&t, &host, 6, &err), 0);
	trie_clear(&t, &host, 25, 5);
	assert_int_equal(trie_lookup(&t, host.addr.octets), 5);
	trie_clear(&t, &low, 0, NONE);
	assert_int_equal(trie_lookup(&t, low.addr.octets), NONE);
	assert_int_equal(trie_lookup(&t, high.addr.octets), 5);
	trie_clear(&t, &high, 0, NONE);
	assert_int_equal(t.n_used, 0);
	trie_fini(&t);
}

static void
ordinary_changes_use_nothing_up(void **state)
{
	/* What makes the FIBs of DPDK 22.11 say ENOSPC after a while. */
	struct prefix net = prefix_parsed("2001:db8::", 64), same = prefix_parsed("10.0.0.16", 28);
	struct prefix around = prefix_parsed("10.0.0.0", 24);
	struct trie v4, v6;
	struct err err;

	assert_int_equal(trie_init(&v4, NONE, SOCKET_ID_ANY, NULL, NULL, &err), 0);
	assert_int_equal(trie_init(&v6, NONE, SOCKET_ID_ANY, NULL, NULL, &err), 0);
	assert_int_equal(trie_set(&v4, &around, 1, &err), 0);
	assert_int_equal(trie_set(&v6, &net, 1, &err), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		struct prefix host = net;

		host.len = 128;
		host.addr.octets[15] = (uint8_t)(i % 50);
		assert_int_equal(trie_set(&v6, &host, 2, &err), 0);
		assert_int_equal(trie_lookup(&v6, host.addr.octets), 2);
		trie_clear(&v6, &host, 64, 1);
		assert_int_equal(trie_lookup(&v6, host.addr.octets), 1);
		assert_int_equal(trie_set(&v4, &same, 1, &err), 0);
		trie_clear(&v4, &same, 24, 1);
	}
	assert_true(v4.n_groups <= 4 && v6.n_groups <= 16);
	trie_fini(&v4);
	trie_fini(&v6);
}

/* One thread looks up, one changes. Grace is asked of rte_rcu_qsbr, as in the gateway. */
struct flap {
	struct trie trie;
	struct rte_rcu_qsbr *rcu;
	bool stop;
	uint64_t lookups, wrong;
	uint8_t family;
	struct {
		void (*fn)(void *);
		void *obj;
		uint64_t token;
	} waiting[4096];
	uint32_t first, end; /* of waiting, modulo */
};

#define FLAP_HOSTS 16

static void
flap_defer(void *ctx, void (*fn)(void *), void *obj)
{
	struct flap *f = ctx;
	uint32_t i = f->end++ % RTE_DIM(f->waiting);

	assert_true(f->end - f->first < RTE_DIM(f->waiting));
	f->waiting[i].fn = fn;
	f->waiting[i].obj = obj;
	f->waiting[i].token = rte_rcu_qsbr_start(f->rcu);
}

static void
flap_reclaim(struct flap *f, bool wait)
{
	for (; f->first != f->end; f->first++) {
		uint32_t i = f->first % RTE_DIM(f->waiting);

		if (rte_rcu_qsbr_check(f->rcu, f->waiting[i].token, wait) != 1)
			return;
		f->waiting[i].fn(f->waiting[i].obj);
	}
}

/* Host i of net k; its net has value 100 + k, it has 200 + k when it is there: nothing else is
 * right. */
static struct prefix
flap_host(uint8_t family, uint32_t k, uint32_t i)
{
	struct addr a = { .family = family };
	int at = family == 4 ? 2 : 6;

	a.octets[0] = 10;
	a.octets[at] = (uint8_t)k;
	a.octets[family == 4 ? 3 : 15] = (uint8_t)(i * 16);
	return prefix_of(&a, addr_bits(&a));
}

static struct prefix
flap_net(uint8_t family, uint32_t k)
{
	struct prefix host = flap_host(family, k, 0);

	return prefix_of(&host.addr, family == 4 ? 24 : 56);
}

static void *
flap_look(void *arg)
{
	struct flap *f = arg;
	struct prefix hosts[4 * FLAP_HOSTS];

	for (uint32_t i = 0; i < RTE_DIM(hosts); i++)
		hosts[i] = flap_host(f->family, i % 4, i / 4);
	rte_rcu_qsbr_thread_register(f->rcu, 0);
	rte_rcu_qsbr_thread_online(f->rcu, 0);
	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		for (uint32_t i = 0; i < RTE_DIM(hosts); i++) {
			uint16_t v = trie_lookup(&f->trie, hosts[i].addr.octets);

			if (v != 100 + i % 4 && v != 200 + i % 4)
				f->wrong++;
		}
		__atomic_store_n(&f->lookups, f->lookups + RTE_DIM(hosts), __ATOMIC_RELAXED);
		rte_rcu_qsbr_quiescent(f->rcu, 0);
	}
	rte_rcu_qsbr_thread_offline(f->rcu, 0);
	return NULL;
}

#define FLAPS (TEST_TSAN ? 2000 : 100000)

static void
flap_once(struct flap *f)
{
	uint32_t k = random_below(4);
	struct prefix host = flap_host(f->family, k, random_below(FLAP_HOSTS));
	struct err err;

	/* A host at a time: its group comes and goes, and the next net's takes its place. */
	assert_int_equal(trie_set(&f->trie, &host, (uint16_t)(200 + k), &err), 0);
	trie_clear(&f->trie, &host, flap_net(f->family, k).len, (uint16_t)(100 + k));
	flap_reclaim(f, false);
}

static void
flap_family(uint8_t family)
{
	struct flap *f = calloc(1, sizeof(*f));
	size_t size = rte_rcu_qsbr_get_memsize(1);
	pthread_t thread;
	struct err err;
	int flaps = 0;

	f->family = family;
	f->rcu = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	assert_int_equal(rte_rcu_qsbr_init(f->rcu, 1), 0);
	assert_int_equal(trie_init(&f->trie, NONE, SOCKET_ID_ANY, flap_defer, f, &err), 0);
	for (uint32_t k = 0; k < 4; k++) {
		struct prefix net = flap_net(family, k);

		assert_int_equal(trie_set(&f->trie, &net, (uint16_t)(100 + k), &err), 0);
	}
	assert_int_equal(pthread_create(&thread, NULL, flap_look, f), 0);
	while (__atomic_load_n(&f->lookups, __ATOMIC_RELAXED) == 0)
		rte_pause();
	for (; flaps < FLAPS; flaps++) {
		if (f->end - f->first > RTE_DIM(f->waiting) / 2)
			flap_reclaim(f, true);
		flap_once(f);
	}
	__atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	flap_reclaim(f, true);
	if (f->wrong != 0)
		fail_msg("%lu of %lu lookups were wrong", f->wrong, f->lookups);
	for (uint32_t i = 0; i < 4 * FLAP_HOSTS; i++) {
		struct prefix host = flap_host(family, i % 4, i / 4);

		assert_int_equal(trie_lookup(&f->trie, host.addr.octets), 100 + i % 4);
	}
	trie_fini(&f->trie);
	free(f->rcu);
	free(f);
}

static void
routes_flap_under_lookup(void **state)
{
	flap_family(4);
	flap_family(6);
}

static void
memory_that_runs_out_changes_nothing(void **state)
{
	struct prefix net = prefix_parsed("10.0.0.0", 8);
	struct trie t;
	struct err err = { "" };
	uint32_t n = 0;

	assert_int_equal(trie_init(&t, NONE, SOCKET_ID_ANY, NULL, NULL, &err), 0);
	assert_int_equal(trie_set(&t, &net, 1, &err), 0);
	for (;; n++) {
		struct prefix host = net;

		host.len = 32;
		host.addr.octets[1] = (uint8_t)(n >> 8);
		host.addr.octets[2] = (uint8_t)n;
		host.addr.octets[3] = 9;
		if (n == 65536 || trie_set(&t, &host, 2, &err) < 0)
			break;
	}
	if (n < 65536) {
		struct prefix host = prefix_parsed("10.0.0.9", 32);

		assert_non_null(strstr(err.text, "give the EAL more"));
		host.addr.octets[1] = (uint8_t)(n >> 8);
		host.addr.octets[2] = (uint8_t)n;
		assert_int_equal(trie_lookup(&t, host.addr.octets), 1);
	}
	assert_int_equal(trie_lookup(&t, prefix_parsed("10.0.0.9", 32).addr.octets), 2);
	assert_int_equal(trie_lookup(&t, prefix_parsed("10.0.0.8", 32).addr.octets), 1);
	trie_fini(&t);
}

static void
own_addresses_are_known(void **state)
{
	struct own *o = own_next(NULL, NULL, NULL, SOCKET_ID_ANY), *next;
	struct addr a = { .family = 4 }, b = { .family = 6 };

	for (uint32_t i = 0; i < OWN_MAX; i++) {
		a.octets[0] = 10;
		a.octets[2] = b.octets[14] = (uint8_t)(i >> 8);
		a.octets[3] = b.octets[15] = (uint8_t)i;
		b.octets[0] = 0xfd;
		assert_false(own_full(o, 4) || own_full(o, 6));
		next = own_next(o, &a, NULL, SOCKET_ID_ANY);
		rte_free(o);
		o = own_next(next, &b, NULL, SOCKET_ID_ANY);
		rte_free(next);
	}
	assert_true(own_full(o, 4) && own_full(o, 6));
	for (uint32_t i = 0; i < 2 * OWN_MAX; i++) {
		uint32_t v4;

		a.octets[2] = b.octets[14] = (uint8_t)(i >> 8);
		a.octets[3] = b.octets[15] = (uint8_t)i;
		memcpy(&v4, a.octets, 4);
		assert_int_equal(own_has_v4(o, v4), i < OWN_MAX);
		assert_int_equal(own_has_v6(o, b.octets), i < OWN_MAX);
	}
	a.octets[2] = b.octets[14] = a.octets[3] = b.octets[15] = 0;
	next = own_next(o, NULL, &b, SOCKET_ID_ANY);
	assert_false(own_has_v6(next, b.octets));
	assert_int_equal(next->n_v6, OWN_MAX - 1);
	assert_int_equal(next->n_v4, OWN_MAX);
	assert_false(own_has_v4(next, 0));
	rte_free(o);
	rte_free(next);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups_agree_with_a_linear_scan),
		cmocka_unit_test(two_halves_of_one_value_are_not_the_whole),
		cmocka_unit_test(ordinary_changes_use_nothing_up),
		cmocka_unit_test(routes_flap_under_lookup),
		cmocka_unit_test(memory_that_runs_out_changes_nothing),
		cmocka_unit_test(own_addresses_are_known),
	};

	/* The others have one thread. */
	if (TEST_TSAN)
		cmocka_set_test_filter("routes_flap*");
	return test_eal_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
