/* The classifier against a scan of all policies in order: random policies that overlap a lot,
 * random packets near them, with additions, deletions, aborted changes and builds in between.
 */
#include "spd_rig.h"

#include <stdio.h>

#include "eal.h"

#define POLICIES_MAX 600
#define ROUNDS	     120
#define LOOKUPS	     2048 /* of a round */
#define BURST	     32

/* What was added, as it was added. */
struct model_policy {
	bool live, next_live; /* before and after the next commit */
	uint32_t index;	      /* in the SPD */
	uint64_t age;
	struct policy_params params;
	struct spd_range src[2][2], dst[2][2]; /* v4, v6 */
};

static struct model_policy policies[POLICIES_MAX];
static uint32_t n_policies; /* places ever used */
static uint64_t age;
static uint64_t seed = 0x5eed;
static uint32_t n_none, n_unsure, n_found; /* what the scan said */

static uint32_t
pick(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 20) % n;
}

/* A few hundred addresses in all, so that what is picked overlaps. */
static void
address(uint8_t *a, bool v6)
{
	static const uint8_t base[2][16] = { { 10 }, { 0x20, 0x01, 0x0d, 0xb8 } };

	memcpy(a, base[v6], 16);
	for (int i = v6 ? 13 : 1; i < (v6 ? 16 : 4); i++)
		a[i] = pick(3);
	if (v6 && pick(4) == 0)
		a[7] = 1;
}

static void
range_pick(struct spd_range *r, bool v6, bool wide)
{
	static const uint8_t narrow[2][4] = { { 16, 24, 31, 32 }, { 112, 120, 127, 128 } };
	static const uint8_t broad[2][4] = { { 0, 8, 9, 14 }, { 0, 8, 64, 110 } };
	uint8_t a[16], b[16];

	address(a, v6);
	if (wide || pick(5) > 0) {
		spd_prefix(r, a, wide ? broad[v6][pick(4)] : narrow[v6][pick(4)], v6);
		return;
	}
	address(b, v6);
	memcpy(r->lo, memcmp(a, b, 16) < 0 ? a : b, 16);
	memcpy(r->hi, memcmp(a, b, 16) < 0 ? b : a, 16);
}

static struct spd_ports
ports_pick(void)
{
	uint16_t lo = pick(12);

	return (struct spd_ports) { lo, lo + pick(4) };
}

static uint8_t
protocol_pick(void)
{
	static const uint8_t protocols[] = { 6, 6, 17, 17, 1, 58, 132, 47, 60 };

	return protocols[pick(RTE_DIM(protocols))];
}

static void
selectors_pick(struct policy_params *p, bool strict)
{
	static const struct spd_ports any = { 0, UINT16_MAX };

	p->protocol = pick(3) == 0 || strict ? protocol_pick() : SPD_ANY_PROTOCOL;
	p->src_port = pick(4) == 0 ? ports_pick() : any;
	p->dst_port = pick(4) == 0 || strict ? ports_pick() : any;
	p->dscp = pick(6) == 0 ? 1ull << pick(4) | 1ull << pick(4) : SPD_ANY_DSCP;
	if (p->protocol == 47 || p->protocol == 60)
		p->src_port = p->dst_port = any;
}

/* Some of the policies lie between the same networks, so that chains fill; these ask for more than
 * addresses. Wide ones come late, so that they do not hide the others.
 */
static void
policy_pick(struct model_policy *m)
{
	struct policy_params *p = &m->params;
	bool crowd = pick(3) == 0, wide = pick(12) == 0;

	memset(m, 0, sizeof(*m));
	p->direction = pick(4) == 0 ? SPD_IN : SPD_OUT;
	p->order = pick(60) + (wide ? 55 : 0);
	p->src.any = wide && pick(3) == 0;
	p->dst.any = wide && pick(3) == 0;
	for (int v6 = 0; v6 < 2; v6++) {
		for (int i = 0; i < 2; i++) {
			range_pick(&m->src[v6][i], v6, wide);
			range_pick(&m->dst[v6][i], v6, wide);
		}
		if (crowd) {
			spd_prefix(&m->src[v6][0], (const uint8_t[16]) { v6 ? 0x20 : 10 }, 8, v6);
			m->dst[v6][0] = m->src[v6][0];
		}
	}
	p->src.v4 = m->src[0];
	p->src.v6 = m->src[1];
	p->dst.v4 = m->dst[0];
	p->dst.v6 = m->dst[1];
	p->src.n_v4 = p->dst.n_v4 = pick(4) > 0 ? 1 + (pick(6) == 0) : 0;
	p->src.n_v6 = p->dst.n_v6 = p->src.n_v4 == 0 || pick(4) == 0;
	selectors_pick(p, crowd || wide);
	m->age = ++age;
}

static bool
has_ports(const struct policy_params *p)
{
	return p->src_port.lo > 0 || p->src_port.hi < 65535 || p->dst_port.lo > 0 ||
	       p->dst_port.hi < 65535;
}

static bool
in_range(const struct spd_addrs *a, bool v6, const uint8_t *addr)
{
	const struct spd_range *r = v6 ? a->v6 : a->v4;

	for (int i = 0; i < (v6 ? a->n_v6 : a->n_v4); i++) {
		if (memcmp(r[i].lo, addr, 16) <= 0 && memcmp(r[i].hi, addr, 16) >= 0)
			return true;
	}
	return a->any;
}

static bool
in_ports(struct spd_ports p, uint16_t port)
{
	return p.lo <= port && port <= p.hi;
}

/* 0 = no, 1 = yes, 2 = only the ports, which are not there, could tell. */
static int
model_match(const struct policy_params *p, const struct spd_key *key)
{
	/* 60, a destination options header, hides the protocol of a later fragment. */
	bool hidden = key->v6 && key->later && key->protocol == 60;
	bool numbered =
		key->protocol == 6 || key->protocol == 17 || key->protocol == 132 ||
		((key->protocol == 1 || key->protocol == 58) && p->protocol == key->protocol);

	if (!in_range(&p->src, key->v6, key->src) || !in_range(&p->dst, key->v6, key->dst))
		return 0;
	if ((p->dscp >> key->dscp & 1) == 0)
		return 0;
	if (p->protocol >= 0 && p->protocol != key->protocol)
		return hidden ? 2 : 0;
	if (!has_ports(p))
		return 1;
	if (hidden)
		return 2;
	if (!numbered)
		return 0;
	if (key->later)
		return 2;
	return in_ports(p->src_port, key->src_port) && in_ports(p->dst_port, key->dst_port);
}

static bool
before(const struct model_policy *a, const struct model_policy *b)
{
	if (a->params.order != b->params.order)
		return a->params.order < b->params.order;
	return a->age < b->age;
}

static uint32_t
model_find(enum spd_direction direction, const struct spd_key *key)
{
	const struct model_policy *best = NULL;
	int how = 0;

	for (uint32_t i = 0; i < n_policies; i++) {
		const struct model_policy *m = &policies[i];
		int match;

		if (!m->live || m->params.direction != direction)
			continue;
		if (best != NULL && !before(m, best))
			continue;
		match = model_match(&m->params, key);
		if (match == 0)
			continue;
		best = m;
		how = match;
	}
	if (best == NULL)
		return SPD_NO_MATCH;
	return how == 2 ? SPD_FRAG_PORTS : best->index;
}

static struct spd_key
key_pick(void)
{
	struct spd_key key = { .v6 = pick(3) == 0, .protocol = protocol_pick(), .dscp = pick(4) };

	address(key.src, key.v6);
	address(key.dst, key.v6);
	key.later = pick(8) == 0;
	if (!key.later && key.protocol != 47 && key.protocol != 60) {
		key.src_port = pick(16);
		key.dst_port = pick(16);
	}
	return key;
}

static void
compare(const char *how, const struct spd_key *key, uint32_t got, uint32_t want)
{
	char src[64], dst[64];

	if (got == want)
		return;
	inet_ntop(key->v6 ? AF_INET6 : AF_INET, key->src, src, sizeof(src));
	inet_ntop(key->v6 ? AF_INET6 : AF_INET, key->dst, dst, sizeof(dst));
	fail_msg("%s, %s %u > %s %u, protocol %u, DSCP %u%s: %u, not %u", how, src, key->src_port,
		 dst, key->dst_port, key->protocol, key->dscp, key->later ? ", later fragment" : "",
		 got, want);
}

/* A burst, each key twice in a row of two bursts: from the tables, then from the flow cache. */
static void
compare_burst(struct spd *spd, enum spd_direction direction)
{
	struct rte_mbuf *pkts[BURST];
	struct spd_key keys[BURST];
	uint32_t first[BURST], second[BURST], group[2][BURST];

	for (int i = 0; i < BURST; i++) {
		keys[i] = i > 0 && pick(4) == 0 ? keys[pick(i)] : key_pick();
		pkts[i] = packet_make(pool, &keys[i]);
	}
	spd_lookup(&worker, spd, direction, pkts, BURST, first, group[0]);
	spd_lookup(&worker, spd, direction, pkts, BURST, second, group[1]);
	assert_memory_equal(group[0], group[1], sizeof(group[0]));
	for (int i = 0; i < BURST; i++) {
		uint32_t want = model_find(direction, &keys[i]);

		n_none += want == SPD_NO_MATCH;
		n_unsure += want == SPD_FRAG_PORTS;
		n_found += want < SPD_FRAG_PORTS;
		compare("tables", &keys[i], first[i], want);
		compare("flow cache", &keys[i], second[i], want);
		compare("find", &keys[i], spd_find(spd, direction, &keys[i]), want);
		rte_pktmbuf_free(pkts[i]);
	}
}

static void
model_add(struct spd *spd)
{
	struct model_policy *m = NULL;
	struct err err = { "" };

	for (uint32_t i = 0; i < POLICIES_MAX && m == NULL; i++) {
		if (!policies[i].live && !policies[i].next_live) {
			m = &policies[i];
			n_policies = RTE_MAX(n_policies, i + 1);
		}
	}
	if (m == NULL)
		return;
	policy_pick(m);
	m->next_live = true;
	if (spd_add(spd, &m->params, &m->index, &err) < 0)
		fail_msg("%s", err.text);
}

static void
model_del(struct spd *spd)
{
	struct model_policy *m = &policies[pick(n_policies)];

	if (!m->next_live)
		return;
	m->next_live = false;
	policy_end(spd, m->index);
}

static void
settle(bool commit)
{
	for (uint32_t i = 0; i < n_policies; i++) {
		if (commit)
			policies[i].live = policies[i].next_live;
		else
			policies[i].next_live = policies[i].live;
	}
}

/* What waits for a grace period; here that passes when the test says so. */
static struct {
	void (*free_fn)(void *);
	void *obj;
} waiting[1024];
static uint32_t n_waiting;

static void
defer(void *ctx, void (*free_fn)(void *), void *obj)
{
	assert_true(n_waiting < RTE_DIM(waiting));
	waiting[n_waiting].free_fn = free_fn;
	waiting[n_waiting++].obj = obj;
}

static void
grace(void)
{
	uint32_t n = n_waiting;

	for (uint32_t i = 0; i < n; i++)
		waiting[i].free_fn(waiting[i].obj);
	n_waiting -= n;
	memmove(waiting, waiting + n, n_waiting * sizeof(waiting[0]));
}

static void
round_of_changes(struct spd *spd, uint32_t round)
{
	/* It grows in the first half, and shrinks in the second. */
	uint32_t n_add = round < ROUNDS / 2 ? 20 : 6, n_del = round < ROUNDS / 2 ? 6 : 20;
	bool commit = pick(8) > 0;

	for (uint32_t i = 0; i < n_add; i++)
		model_add(spd);
	for (uint32_t i = 0; i < n_del; i++)
		model_del(spd);
	compare_burst(spd, SPD_OUT); /* nothing shows before the commit */
	if (commit)
		spd_commit(spd);
	else
		spd_abort(spd);
	settle(commit);
}

static void
agrees_with_a_scan(void **state)
{
	struct spd_params p = { .max_policies = POLICIES_MAX * 2,
				.max_rules = POLICIES_MAX * 8,
				.socket = SOCKET_ID_ANY,
				.defer = defer };
	struct spd_stats stats;
	struct err err = { "" };
	uint32_t n_built = 0;
	struct spd *spd;

	assert_int_equal(spd_create(&p, &spd, &err), 0);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		round_of_changes(spd, round);
		if (pick(3) > 0)
			grace();
		if (pick(4) == 0)
			assert_true(spd_maintain(spd, true, &err) >= 0);
		spd_stats(spd, &stats);
		n_built = RTE_MAX(n_built, stats.built);
		for (uint32_t i = 0; i < LOOKUPS / BURST; i++)
			compare_burst(spd, pick(4) == 0 ? SPD_IN : SPD_OUT);
	}
	assert_true(n_built > 50);
	assert_true(n_none > 10000 && n_unsure > 10000 && n_found > 100000);
	for (uint32_t i = 0; i < n_policies; i++) {
		if (policies[i].live)
			policy_end(spd, policies[i].index);
	}
	spd_commit(spd);
	while (n_waiting > 0)
		grace();
	spd_stats(spd, &stats);
	assert_int_equal(stats.policies, 0);
	assert_int_equal(stats.rules, 0);
	assert_int_equal(stats.pairs[SPD_OUT][0] + stats.pairs[SPD_OUT][1], 0);
	spd_free(spd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_scan),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
