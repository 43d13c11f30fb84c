/* Policies and SAs of a daemon come and go at random; what the SPD says is what a plain list says.
 */
#include "unit.h"

#include "daemon_rig.h"
#include "eal.h"

#define STEPS	20000
#define NETS	3
#define REQIDS	2
#define SAS_MAX 6

enum kind {
	PROTECT_1, /* reqid 1 */
	PROTECT_2,
	BYPASS,
	BLOCK,
	KINDS
};

struct entry {
	bool there;
	enum kind kind;
	uint32_t priority, spi;
};

static struct entry list[XFRM_DIR_END][NETS];
static struct tie_sa *sas[SAS_MAX]; /* newest first */
static uint32_t sa_reqid[SAS_MAX];
static struct tie_sa sa_store[SAS_MAX];
static uint32_t next_index;
static const struct dpolicies_cause by_charon = { &charon, 1, 2 };

static uint32_t
dice(uint32_t n)
{
	return (uint32_t)random() % n;
}

static struct xfrm_policy
policy_of(uint8_t dir, uint32_t net, const struct entry *e)
{
	static const uint8_t lengths[NETS] = { 8, 16, 24 };
	struct xfrm_policy p = rig_policy(dir);

	p.sel.src.addr.octets[2] = dir == XFRM_DIR_OUT ? 2 : 3;
	p.sel.dst.addr.octets[2] = dir == XFRM_DIR_OUT ? 3 : 2;
	p.sel.src.len = p.sel.dst.len = lengths[net];
	p.priority = e->priority;
	p.tmpls[0].reqid = e->kind + 1;
	p.tmpls[0].id.spi = e->spi;
	if (e->kind == BLOCK)
		p.action = XFRM_BLOCK;
	if (e->kind >= BYPASS)
		p.n_tmpls = 0;
	return p;
}

static void
put_some(void)
{
	uint8_t dir = (uint8_t)dice(XFRM_DIR_END);
	uint32_t net = dice(NETS);
	struct entry *e = &list[dir][net], new = {
		.there = true,
		.kind = dice(KINDS),
		/* No two nets have the same one: who is the older is another test's matter. */
		.priority = dice(2) * NETS + net,
		.spi = dir == XFRM_DIR_OUT ? dice(3) : 0,
	};
	struct xfrm_policy p = policy_of(dir, net, &new);
	bool update = dice(2) == 0;
	struct err err = { "" };
	int rc = dpolicies_put(rig.dp, &p, update, &by_charon, &err);

	assert_int_equal(rc, e->there && !update ? -EEXIST : 0);
	if (rc == 0)
		*e = new;
}

static void
del_some(void)
{
	uint8_t dir = (uint8_t)dice(XFRM_DIR_END);
	uint32_t net = dice(NETS);
	struct entry *e = &list[dir][net];
	struct xfrm_policy p = policy_of(dir, net, e);
	const struct xfrm_policy_id id = { .sel = p.sel, .dir = dir };
	struct err err;

	assert_int_equal(dpolicies_del(rig.dp, &id, &by_charon, &err), e->there ? 0 : -ENOENT);
	e->there = false;
}

static void
key_of(bool inbound, uint32_t reqid, struct tie_key *key)
{
	struct xfrm_sa x = rig_sa(inbound);

	x.reqid = reqid;
	tie_key_of_sa(&x, inbound, key);
}

static void
sa_add_some(void)
{
	uint32_t reqid = 1 + dice(REQIDS), n = 0;
	struct tie_key key;
	struct tie *tie;
	struct err err;

	while (n < SAS_MAX && sa_store[n].tie != NULL)
		n++;
	if (n == SAS_MAX)
		return;
	sa_store[n] = (struct tie_sa) { .index = ++next_index % 1000, .spi = 1 + dice(2) };
	key_of(false, reqid, &key);
	assert_int_equal(tie_get(rig.ties, &key, &tie, &err), 0);
	tie_sa_add(rig.ties, tie, &sa_store[n]);
	memmove(&sas[1], &sas[0], (SAS_MAX - 1) * sizeof(sas[0]));
	memmove(&sa_reqid[1], &sa_reqid[0], (SAS_MAX - 1) * sizeof(sa_reqid[0]));
	sas[0] = &sa_store[n];
	sa_reqid[0] = reqid;
}

static void
sa_del(uint32_t n)
{
	if (sas[n] == NULL)
		return;
	rig_sa_del(sas[n]);
	memmove(&sas[n], &sas[n + 1], (SAS_MAX - 1 - n) * sizeof(sas[0]));
	memmove(&sa_reqid[n], &sa_reqid[n + 1], (SAS_MAX - 1 - n) * sizeof(sa_reqid[0]));
	sas[SAS_MAX - 1] = NULL;
}

static uint32_t
sa_wanted(const struct entry *e)
{
	for (uint32_t i = 0; i < SAS_MAX && sas[i] != NULL; i++)
		if (sa_reqid[i] == e->kind + 1 && (e->spi == 0 || e->spi == sas[i]->spi))
			return sas[i]->index;
	return SA_NONE;
}

static const struct entry *
best_of(uint8_t dir)
{
	const struct entry *best = NULL;

	for (uint32_t net = 0; net < NETS; net++) {
		const struct entry *e = &list[dir][net];

		if (e->there && !(dir == XFRM_DIR_IN && e->kind == BYPASS) &&
		    (best == NULL || e->priority < best->priority))
			best = e;
	}
	return best;
}

static bool
is_said(uint32_t found, uint8_t dir, const struct entry *e)
{
	static const enum policy_action actions[KINDS] = { POLICY_PROTECT, POLICY_PROTECT,
							   POLICY_BYPASS, POLICY_DISCARD };
	struct tie_key key;
	struct tie *tie;
	struct err err;
	bool same;

	if (e == NULL || found == SPD_NO_MATCH)
		return e == NULL && found == SPD_NO_MATCH;
	if (spd_policy(rig.gw.spd, found)->action != actions[e->kind])
		return false;
	if (e->kind >= BYPASS)
		return true;
	if (dir == XFRM_DIR_OUT)
		return spd_sa_index(spd_out_sa(rig.gw.spd, found)) == sa_wanted(e);
	key_of(true, e->kind + 1, &key);
	assert_int_equal(tie_get(rig.ties, &key, &tie, &err), 0);
	same = spd_policy(rig.gw.spd, found)->group == tie->group;
	tie_put(rig.ties, tie);
	return same;
}

static void
compare(uint32_t step)
{
	const struct entry *in = best_of(XFRM_DIR_IN), *fwd = best_of(XFRM_DIR_FWD);
	uint32_t found = rig_asked(false);
	bool right;

	if (!is_said(rig_asked(true), XFRM_DIR_OUT, best_of(XFRM_DIR_OUT)))
		fail_msg("step %u: out", step);
	/* Both are asked as one: the lower priority wins, either of two equal ones. */
	if (in == NULL || fwd == NULL)
		right = is_said(found, XFRM_DIR_IN, in != NULL ? in : fwd);
	else
		right = (in->priority <= fwd->priority && is_said(found, XFRM_DIR_IN, in)) ||
			(fwd->priority <= in->priority && is_said(found, XFRM_DIR_FWD, fwd));
	if (!right)
		fail_msg("step %u: in", step);
}

static void
the_spd_says_what_a_list_says(void **state)
{
	srandom(4301);
	for (uint32_t step = 0; step < STEPS; step++) {
		uint32_t what = dice(100);

		rig.n_events = 0;
		if (what < 50)
			put_some();
		else if (what < 65)
			del_some();
		else if (what < 80)
			sa_add_some();
		else if (what < 99)
			sa_del(dice(SAS_MAX));
		else
			dpolicies_flush(rig.dp, &by_charon);
		if (what == 99)
			memset(list, 0, sizeof(list));
		compare(step);
	}
	for (uint32_t i = 0; i < SAS_MAX; i++)
		sa_del(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_spd_says_what_a_list_says, rig_up, rig_down),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
