/* Packets of a policy that has several SAs: each leaves by the one of its class and worker, and
 * none is lost while these come and go. */
#include "unit.h"

#include <netinet/in.h>

#include "drivers.h"
#include "eal.h"
#include "hold/hold.h"
#include "path_rig.h"
#include "spd/choice.h"
#include "wire/sum.h"

#define MBUFS	512
#define ANY	CHOICE_ANY_WORKER
#define MS	UINT64_C(1000000)
#define WORKERS 2

static struct path_rig rig;
static uint32_t policy;		   /* that all packets match */
static uint64_t left[RIG_SAS_MAX]; /* packets by number of the SA */

static uint16_t
note(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < rig.n_sas; k++)
			left[k] += pkt_of(pkts[i])->sa == rig.sa[k].out;
		rte_pktmbuf_free(pkts[i]);
	}
	cell_add(&w->tx_packets, n);
	return 0;
}

static int
up(void **state)
{
	static const struct engine *const engines[] = { &engine_ipsec_mb };
	static const struct rig_suite suite = { ALG_AES_GCM_128, .esn = true, .window = 64 };
	const struct spd_key key = { .src = { 10, 1, 0, 1 }, .dst = { 10, 2, 0, 1 } };
	static struct rte_mempool *pool;
	struct err err;

	if (pool == NULL)
		assert_int_equal(port_pool_create("packets", MBUFS, 1500, SOCKET_ID_ANY, &pool,
						  &err),
				 0);
	path_rig_make(&rig, &(struct rig_params) { .engines = engines,
						   .n_engines = RTE_DIM(engines),
						   .pool = pool,
						   .sink = note });
	for (uint32_t n = 0; n < 6; n++)
		path_rig_sa(&rig, &suite);
	policy = spd_find(rig.spd, SPD_OUT, &key);
	rig.w->now = 1000 * MS;
	rig.w->sources[rig.w->n_sources++] =
		(struct source) { .name = "mailbox", .poll = mailbox_poll, .first = STAGE_PORT_TX };
	assert_int_equal(hold_init(rig.w, &err), 0);
	hold_set(rig.w, 8, 100);
	memset(left, 0, sizeof(left));
	return 0;
}

static int
down(void **state)
{
	hold_drop(rig.w, DROP_STOPPED);
	assert_true(path_rig_conserves(&rig));
	assert_int_equal(rte_mempool_avail_count(rig.pool), MBUFS);
	hold_fini(rig.w);
	path_rig_free(&rig);
	return 0;
}

static uint64_t
word(uint32_t n)
{
	return (uint64_t)sa_at(&rig.sas, rig.sa[n].out)->generation << 32 | rig.sa[n].out;
}

struct member {
	uint32_t sa;
	uint64_t dscp;
	uint16_t worker;
};

static uint32_t
choice_of(const struct member *list, uint32_t n, bool asks, uint32_t index)
{
	struct choice_member members[8];
	const struct choice_params p = { members, n, WORKERS, asks };
	struct err err = { "" };
	int rc;

	for (uint32_t i = 0; i < n; i++)
		members[i] = (struct choice_member) { word(list[i].sa), list[i].dscp,
						      list[i].worker, 0 };
	rc = index == UINT32_MAX ? choice_add(rig.spd, &p, &index, &err) :
				   choice_change(rig.spd, index, &p, &err);
	if (rc < 0)
		fail_msg("%s", err.text);
	spd_sa_set(rig.spd, policy, index, CHOICE_MARK);
	return index;
}

/* One packet of each class. */
static void
feed_classes(void)
{
	for (uint8_t dscp = 0; dscp < 64; dscp++) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);
		struct rte_ether_hdr *eth;
		struct rte_ipv4_hdr *ip;

		assert_non_null(m);
		eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, sizeof(*eth) + 64);
		memset(eth, 0, sizeof(*eth) + 64);
		eth->dst_addr = rig.links[RIG_RED].mac;
		eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
		ip = (struct rte_ipv4_hdr *)(eth + 1);
		*ip = (struct rte_ipv4_hdr) {
			.version_ihl = RTE_IPV4_VHL_DEF,
			.type_of_service = (uint8_t)(dscp << 2 | 2),
			.total_length = RTE_BE16(64),
			.time_to_live = 64,
			.next_proto_id = IPPROTO_UDP,
			.src_addr = RTE_BE32(RTE_IPV4(10, 1, 0, 1)),
			.dst_addr = RTE_BE32(RTE_IPV4(10, 2, 0, 1)),
		};
		ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
		path_rig_feed(&rig, RIG_RED, &m, 1);
	}
}

static void
assert_left(uint64_t a, uint64_t b, uint64_t c)
{
	if (left[0] != a || left[1] != b || left[2] != c)
		fail_msg("%lu, %lu and %lu left by the first three SAs", left[0], left[1], left[2]);
	memset(left, 0, sizeof(left));
}

static uint32_t
acquired(struct acquire_event *last)
{
	struct worker_event e;
	uint32_t n = 0;

	while (mailbox_event(rig.w, &e))
		if (e.kind == EVENT_ACQUIRE) {
			n++;
			*last = e.acquire;
		}
	return n;
}

static void
each_class_leaves_by_its_sa(void **state)
{
	static const struct member three[] = { { 0, 0, ANY },
					       { 1, UINT64_C(1) << 46, ANY },
					       { 2, 0x4000400, ANY } };

	choice_of(three, 3, false, UINT32_MAX);
	feed_classes();
	assert_left(61, 1, 2);
}

static void
each_worker_sends_by_its_sa(void **state)
{
	static const struct member three[] = { { 0, 0, ANY }, { 1, 0, 0 }, { 2, 0, 1 } };

	choice_of(three, 3, false, UINT32_MAX);
	feed_classes();
	assert_left(0, 64, 0);
	rig.w->index = 1;
	feed_classes();
	assert_left(0, 0, 64);
}

/* The ways that a choice loses its SAs: whatever is left takes all. */
static void
no_packet_is_lost_when_an_sa_goes(void **state)
{
	static const struct {
		const char *what;
		uint32_t n;
		struct member members[3];
		uint64_t want[3];
	} steps[] = {
		{ "all", 3, { { 0, 0, ANY }, { 1, 1, ANY }, { 2, 0, 0 } }, { 0, 1, 63 } },
		{ "no class", 2, { { 0, 0, ANY }, { 2, 0, 0 } }, { 0, 0, 64 } },
		{ "no worker's", 1, { { 0, 0, ANY } }, { 64, 0, 0 } },
		{ "a class alone", 1, { { 1, 1, ANY } }, { 0, 64, 0 } },
		{ "another worker's alone", 1, { { 2, 0, 1 } }, { 0, 0, 64 } },
	};
	uint32_t index = UINT32_MAX;

	for (size_t i = 0; i < RTE_DIM(steps); i++) {
		index = choice_of(steps[i].members, steps[i].n, false, index);
		feed_classes();
		if (memcmp(left, steps[i].want, sizeof(steps[i].want)) != 0)
			fail_msg("%s: %lu, %lu and %lu left", steps[i].what, left[0], left[1],
				 left[2]);
		memset(left, 0, sizeof(left));
	}
	assert_int_equal(rig.w->drops[DROP_NO_OUTBOUND_SA], 0);
}

static void
a_worker_asks_for_its_own_once_a_second(void **state)
{
	static const struct member two[] = { { 0, 0, ANY }, { 1, 0, 1 } };
	struct acquire_event e = { 0 };

	choice_of(two, 2, true, UINT32_MAX);
	feed_classes();
	assert_left(64, 0, 0);
	assert_int_equal(acquired(&e), 1);
	assert_true(e.own);
	assert_false(e.held);
	assert_int_equal(e.worker, 0);
	assert_int_equal(e.policy, policy);
	assert_int_equal(e.proto, IPPROTO_UDP);
	assert_memory_equal(e.src, ((uint8_t[]) { 10, 1, 0, 1 }), 4);
	rig.w->now += 999 * MS;
	feed_classes();
	assert_int_equal(acquired(&e), 0);
	rig.w->now += 1 * MS;
	feed_classes();
	assert_int_equal(acquired(&e), 1);
	/* The worker that has one asks for nothing. */
	rig.w->index = 1;
	rig.w->now += 2000 * MS;
	feed_classes();
	assert_int_equal(acquired(&e), 0);
}

static void
nobody_asks_where_nothing_is_to_be_asked(void **state)
{
	static const struct member two[] = { { 0, 0, ANY }, { 1, 0, 1 } };
	static const struct member none_for_any[] = { { 1, 0, 1 } };
	struct acquire_event e;
	uint32_t index = choice_of(two, 2, false, UINT32_MAX);

	feed_classes();
	assert_int_equal(acquired(&e), 0);
	choice_of(none_for_any, 1, true, index);
	feed_classes();
	assert_int_equal(acquired(&e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_class_leaves_by_its_sa, up, down),
		cmocka_unit_test_setup_teardown(each_worker_sends_by_its_sa, up, down),
		cmocka_unit_test_setup_teardown(no_packet_is_lost_when_an_sa_goes, up, down),
		cmocka_unit_test_setup_teardown(a_worker_asks_for_its_own_once_a_second, up, down),
		cmocka_unit_test_setup_teardown(nobody_asks_where_nothing_is_to_be_asked, up, down),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
