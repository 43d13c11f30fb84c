#include "spd_rig.h"

#include <errno.h>

#include "eal.h"

#define TCP	 6
#define UDP	 17
#define ICMP	 1
#define ICMPV6	 58
#define NO_MATCH UINT32_MAX
#define PORTS	 (UINT32_MAX - 1)

static struct rte_mempool *pool;
static struct worker worker;

/* The name of the policy that a packet gets, twice: by the tables and by the flow cache. */
static uint32_t
ask(struct spd *spd, enum spd_direction direction, struct rte_mbuf *m)
{
	uint32_t first, second;

	spd_lookup(&worker, spd, direction, &m, 1, &first);
	spd_lookup(&worker, spd, direction, &m, 1, &second);
	assert_int_equal(first, second);
	return first < SPD_FRAG_PORTS ? spd_policy(spd, first)->name : first;
}

static uint32_t
ask_key(struct spd *spd, enum spd_direction direction, const struct spd_key *key)
{
	struct rte_mbuf *m = packet_make(pool, key);
	uint32_t name = ask(spd, direction, m);

	rte_pktmbuf_free(m);
	return name;
}

static const struct policy_text book[] = {
	{ 10, "10.1.0.0/16", "10.2.0.0/16", .protocol = TCP, .dst_port = { 80, 80 }, .name = 1 },
	{ 20, "10.1.0.0/16", "10.2.0.0/16", .protocol = TCP, .dst_port = { 1000, 2000 },
	  .name = 2 },
	{ 30, "10.1.2.0/24", "10.2.3.4", .name = 3 },
	{ 40, "10.1.0.0/16", "10.2.0.0/16", .dscp = 1ull << 46 | 1ull << 34, .name = 4 },
	{ 50, "10.1.0.0/16", "10.2.0.0/16", .name = 5 },
	{ 60, "10.1.2.3", "10.2.3.4", .name = 6 },
	{ 70, "10.3.0.5-10.3.1.7", "10.4.0.0/16 10.5.0.9-10.5.0.11", .name = 7 },
	{ 80, "2001:db8:1::/48", "2001:db8:2::/48", .protocol = UDP, .name = 8 },
	{ 90, "2001:db8:1::/48", "2001:db8:2::5-2001:db8:2::1:0", .name = 9 },
	{ 95, "10.9.0.0/16", "any", .protocol = ICMP, .src_port = { 8, 8 },
	  .dst_port = { 0, 65535 }, .name = 10 },
	{ 96, "10.8.0.0/16", "any", .src_port = { 1, 65535 }, .name = 11 },
	{ 97, "10.7.0.0/16", "10.7.0.0/16", .in = true, .name = 12 },
	{ 99, "2001:db8:9::/48 10.6.0.0/16", "2001:db8:9::/48 10.6.0.0/16", .name = 13 },
};

static const struct {
	const char *what;
	const char *src, *dst;
	uint8_t protocol;
	uint16_t src_port, dst_port;
	uint8_t dscp;
	uint32_t want;
} cases[] = {
	{ "one port", "10.1.9.9", "10.2.9.9", TCP, 5, 80, 0, 1 },
	{ "the same port of another protocol", "10.1.9.9", "10.2.9.9", UDP, 5, 80, 0, 5 },
	{ "a port as source is no destination", "10.1.9.9", "10.2.9.9", TCP, 80, 5, 0, 5 },
	{ "the first port of a range", "10.1.9.9", "10.2.9.9", TCP, 5, 1000, 0, 2 },
	{ "the last port of a range", "10.1.9.9", "10.2.9.9", TCP, 5, 2000, 0, 2 },
	{ "one port past a range", "10.1.9.9", "10.2.9.9", TCP, 5, 2001, 0, 5 },
	{ "the earlier of two that overlap, though longer", "10.1.2.3", "10.2.3.4", UDP, 1, 1, 0,
	  3 },
	{ "the earlier of two that overlap, though shorter", "10.1.2.3", "10.2.3.4", TCP, 1, 80, 0,
	  1 },
	{ "a class of the set", "10.1.9.9", "10.2.9.9", UDP, 1, 1, 46, 4 },
	{ "a class beside the set", "10.1.9.9", "10.2.9.9", UDP, 1, 1, 45, 5 },
	{ "no policy for the way back", "10.2.9.9", "10.1.9.9", UDP, 1, 1, 0, NO_MATCH },
	{ "the first address of a range", "10.3.0.5", "10.4.1.1", UDP, 1, 1, 0, 7 },
	{ "the last address of a range", "10.3.1.7", "10.4.1.1", UDP, 1, 1, 0, 7 },
	{ "one before a range", "10.3.0.4", "10.4.1.1", UDP, 1, 1, 0, NO_MATCH },
	{ "one past a range", "10.3.1.8", "10.4.1.1", UDP, 1, 1, 0, NO_MATCH },
	{ "the second entry of a list", "10.3.1.0", "10.5.0.10", UDP, 1, 1, 0, 7 },
	{ "beside the second entry", "10.3.1.0", "10.5.0.12", UDP, 1, 1, 0, NO_MATCH },
	{ "IPv6", "2001:db8:1::1", "2001:db8:2::1", UDP, 1, 1, 0, 8 },
	{ "an IPv6 range", "2001:db8:1::1", "2001:db8:2::5", TCP, 1, 1, 0, 9 },
	{ "the end of an IPv6 range", "2001:db8:1::1", "2001:db8:2::1:0", TCP, 1, 1, 0, 9 },
	{ "past an IPv6 range", "2001:db8:1::1", "2001:db8:2::1:1", TCP, 1, 1, 0, NO_MATCH },
	{ "an ICMP type", "10.9.0.1", "1.1.1.1", ICMP, 8, 0, 0, 10 },
	{ "another ICMP type", "10.9.0.1", "1.1.1.1", ICMP, 0, 0, 0, NO_MATCH },
	{ "ports without a protocol want one that has ports", "10.8.0.1", "1.1.1.1", UDP, 7, 0, 0,
	  11 },
	{ "ICMP has no ports", "10.8.0.1", "1.1.1.1", ICMP, 8, 0, 0, NO_MATCH },
	{ "GRE has no ports", "10.8.0.1", "1.1.1.1", 47, 7, 7, 0, NO_MATCH },
	{ "a policy of the other direction", "10.7.0.1", "10.7.0.2", UDP, 1, 1, 0, NO_MATCH },
	{ "one policy for two families: IPv4", "10.6.0.1", "10.6.0.2", UDP, 1, 1, 0, 13 },
	{ "one policy for two families: IPv6", "2001:db8:9::1", "2001:db8:9::2", UDP, 1, 1, 0, 13 },
};

static void
first_match_by_order_decides(void **state)
{
	struct spd *spd = spd_make(64, 0);

	/* Added from the last to the first: order decides, not age. */
	for (size_t i = RTE_DIM(book); i-- > 0;)
		policy_add(spd, &book[i]);
	spd_commit(spd);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct spd_key key = key_of(cases[i].src, cases[i].dst, cases[i].protocol,
					    cases[i].src_port, cases[i].dst_port);
		uint32_t got;

		key.dscp = cases[i].dscp;
		got = ask_key(spd, SPD_OUT, &key);
		if (got != cases[i].want)
			fail_msg("%s: %u, not %u", cases[i].what, got, cases[i].want);
	}
	spd_free(spd);
}

static int
setup(void **state)
{
	struct err err = { "" };

	pool = rte_pktmbuf_pool_create("packets", 255, 0, sizeof(struct pkt), 2048, SOCKET_ID_ANY);
	return pool == NULL || spd_worker_init(0, 0, SOCKET_ID_ANY, &worker.spd, &err) < 0 ? -1 : 0;
}

static int
teardown(void **state)
{
	int left = rte_mempool_in_use_count(pool);

	spd_worker_fini(worker.spd);
	rte_mempool_free(pool);
	return left;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_match_by_order_decides),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
