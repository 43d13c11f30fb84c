#include "unit.h"

#include <netinet/in.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "eal.h"
#include "icmp/icmp.h"
#include "punt/class.h"
#include "punt/punt.h"
#include "punt/punt_stage.h"
#include "punt/worker.h"
#include "wire/ip.h"
#include "worker.h"
#include "worker/pkt_fill.h"

#define MS    UINT64_C(1000000)
#define RED   0
#define BLACK 1
#define FRAME RTE_ETHER_HDR_LEN

static struct rte_mempool *pool;
static struct worker *worker;
static struct view view;

/* An IP packet as classify leaves it, its frame's header before the data; or, with ether_type, a
 * frame that is no IP.
 */
struct packet {
	bool v6;
	uint8_t proto;
	uint8_t upper[12]; /* the first octets of the upper layer */
	uint16_t frag;	   /* IPv4 flags and offset */
	uint8_t hops;	   /* 0 = 64 */
	uint8_t from, to;  /* the last octets of the addresses */
	uint8_t mac;	   /* the last octet of the sender's */
	uint16_t ether_type;
};

static uint16_t
v4_write(uint8_t *ip, const struct packet *p)
{
	uint16_t sum;

	memcpy(ip,
	       (uint8_t[20]) { 0x45,
			       0,
			       0,
			       60,
			       0,
			       7,
			       (uint8_t)(p->frag >> 8),
			       (uint8_t)p->frag,
			       p->hops != 0 ? p->hops : 64,
			       p->proto,
			       0,
			       0,
			       198,
			       51,
			       100,
			       p->from,
			       192,
			       0,
			       2,
			       p->to },
	       20);
	sum = wire_ip4_checksum(ip, 20);
	memcpy(ip + 10, &sum, 2);
	return 20;
}

static uint16_t
v6_write(uint8_t *ip, const struct packet *p)
{
	const uint8_t head[8] = { 0x60, 0, 0, 0, 0, 20, p->proto, p->hops != 0 ? p->hops : 64 };

	memcpy(ip, head, 8);
	memcpy(ip + 8, (uint8_t[16]) { 0x20, 1, 0xd, 0xb8, [15] = p->from }, 16);
	memcpy(ip + 24, (uint8_t[16]) { 0x20, 1, 0xd, 0xb8, [7] = 1, [15] = p->to }, 16);
	return 40;
}

static struct rte_mbuf *
packet(const struct packet *p)
{
	struct rte_mbuf *m = test_mbuf_new(pool, FRAME + 60);
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
	struct ip_info info;

	at[6] = 2;
	at[11] = p->mac;
	at[12] = (uint8_t)(p->ether_type >> 8);
	at[13] = (uint8_t)p->ether_type;
	pkt_of(m)->port = BLACK;
	if (p->ether_type != 0)
		return m;
	at = (uint8_t *)rte_pktmbuf_adj(m, FRAME);
	memcpy(at + (p->v6 ? v6_write(at, p) : v4_write(at, p)), p->upper, sizeof(p->upper));
	assert_int_equal(wire_ip_parse(at, 60, 60, &info), WIRE_OK);
	pkt_fill(pkt_of(m), &info);
	return m;
}

static int
setup(void **state)
{
	struct icmp_source list[2] = { { .len = 24, .port = BLACK },
				       { .len = 24, .port = RED, .red = true } };
	struct icmp_sources *sources;

	assert_true(addr_parse("192.0.2.1", &list[0].addr));
	assert_true(addr_parse("192.0.2.9", &list[1].addr));
	assert_int_equal(icmp_sources_create(list, 2, &sources, NULL), 0);
	view = (struct view) { .icmp = sources,
			       .mirrored = 1 << RED | 1 << BLACK,
			       .n_udp_ports = 1,
			       .udp_ports_be = { RTE_BE16(4500) } };
	worker = test_worker_new(0, 1);
	worker->view = &view;
	worker->now = 1000 * MS;
	return punt_worker_init(0, SOCKET_ID_ANY, &worker->punt, NULL);
}

static int
teardown(void **state)
{
	punt_worker_fini(worker->punt);
	rte_free(worker);
	icmp_sources_free((struct icmp_sources *)(uintptr_t)view.icmp);
	return rte_mempool_avail_count(pool) == pool->size ? 0 : -1;
}

static const struct {
	const char *what;
	struct packet packet;
	enum punt_class class;
	bool exempt; /* no policy is asked on the way in */
} classes[] = {
	{ "IKE", { .proto = 17, .upper = { 1, 2, 500 >> 8, 500 & 0xff } }, PUNT_IKE, true },
	{ "IKE over IPv6", { .v6 = true, .proto = 17, .upper = { 1, 2, 1, 244 } }, PUNT_IKE, true },
	{ "from port 500 to another",
	  { .proto = 17, .upper = { 1, 244, 9, 9 } },
	  PUNT_REST,
	  false },
	{ "a later fragment of UDP",
	  { .proto = 17, .frag = 5, .upper = { 0, 7, 0, 7 } },
	  PUNT_IKE,
	  true },
	{ "a first fragment of IKE",
	  { .proto = 17, .frag = 0x2000, .upper = { 1, 2, 1, 244 } },
	  PUNT_IKE,
	  true },
	{ "a later fragment of TCP",
	  { .proto = 6, .frag = 5, .upper = { 0, 179 } },
	  PUNT_REST,
	  false },
	{ "ARP", { .ether_type = 0x0806 }, PUNT_NEIGH, false },
	{ "IS-IS: LLC behind a length", { .ether_type = 60 }, PUNT_ROUTING, false },
	{ "IEEE 802.1X", { .ether_type = 0x888e }, PUNT_REST, false },
	{ "a neighbour solicitation",
	  { .v6 = true, .proto = 58, .hops = 255, .upper = { 135 } },
	  PUNT_NEIGH,
	  true },
	{ "a router advertisement",
	  { .v6 = true, .proto = 58, .hops = 255, .upper = { 134 } },
	  PUNT_NEIGH,
	  true },
	{ "a redirect",
	  { .v6 = true, .proto = 58, .hops = 255, .upper = { 137 } },
	  PUNT_NEIGH,
	  true },
	{ "a neighbour solicitation that a router passed on",
	  { .v6 = true, .proto = 58, .hops = 254, .upper = { 135 } },
	  PUNT_REST,
	  false },
	{ "an ICMPv6 echo",
	  { .v6 = true, .proto = 58, .hops = 255, .upper = { 128 } },
	  PUNT_REST,
	  false },
	{ "type 135 of ICMP is nothing",
	  { .proto = 1, .hops = 255, .upper = { 135 } },
	  PUNT_REST,
	  false },
	{ "an MLD query", { .v6 = true, .proto = 58, .upper = { 130 } }, PUNT_ROUTING, false },
	{ "an MLDv2 report", { .v6 = true, .proto = 58, .upper = { 143 } }, PUNT_ROUTING, false },
	{ "IGMP", { .proto = 2 }, PUNT_ROUTING, false },
	{ "OSPF", { .proto = 89 }, PUNT_ROUTING, false },
	{ "OSPFv3", { .v6 = true, .proto = 89 }, PUNT_ROUTING, false },
	{ "VRRP", { .proto = 112 }, PUNT_ROUTING, false },
	{ "PIM", { .proto = 103 }, PUNT_ROUTING, false },
	{ "BGP, of whom we called",
	  { .proto = 6, .upper = { 0, 179, 9, 9 } },
	  PUNT_ROUTING,
	  false },
	{ "BGP, of who calls", { .proto = 6, .upper = { 9, 9, 0, 179 } }, PUNT_ROUTING, false },
	{ "port 179 of UDP is nothing",
	  { .proto = 17, .upper = { 9, 9, 0, 179 } },
	  PUNT_REST,
	  false },
	{ "RIP", { .proto = 17, .upper = { 2, 8, 2, 8 } }, PUNT_ROUTING, false },
	{ "BFD",
	  { .proto = 17, .upper = { 0xc0, 0, 3784 >> 8, 3784 & 0xff } },
	  PUNT_ROUTING,
	  false },
	{ "ssh", { .proto = 6, .upper = { 9, 9, 0, 22 } }, PUNT_REST, false },
	{ "an echo request", { .proto = 1, .upper = { 8 } }, PUNT_REST, false },
	{ "fragmentation needed", { .proto = 1, .upper = { 3, 4 } }, PUNT_ERRORS, false },
	{ "port unreachable", { .proto = 1, .upper = { 3, 3 } }, PUNT_REST, false },
	{ "fragmentation needed, a later fragment",
	  { .proto = 1, .frag = 5, .upper = { 3, 4 } },
	  PUNT_REST,
	  false },
	{ "fragmentation needed, in fragments",
	  { .proto = 1, .frag = 0x2000, .upper = { 3, 4 } },
	  PUNT_REST,
	  false },
	{ "packet too big", { .v6 = true, .proto = 58, .upper = { 2 } }, PUNT_ERRORS, false },
	{ "ICMP's type 2 is nothing", { .proto = 1, .upper = { 2 } }, PUNT_REST, false },
	{ "time exceeded", { .v6 = true, .proto = 58, .upper = { 3 } }, PUNT_REST, false },
};

static void
classes_are_told_apart(void **state)
{
	for (size_t i = 0; i < RTE_DIM(classes); i++) {
		struct rte_mbuf *m = packet(&classes[i].packet);

		if (punt_class_of(m) != classes[i].class)
			fail_msg("%s: class %s", classes[i].what,
				 punt_limits[punt_class_of(m)].name);
		if (classes[i].packet.ether_type == 0 && punt_is_exempt(m) != classes[i].exempt)
			fail_msg("%s: the policies", classes[i].what);
		rte_pktmbuf_free(m);
	}
}

/* Runs one packet through the stage. The frame that control gets, or NULL. */
static struct rte_mbuf *
punted(const struct packet *p, uint8_t flags, enum punt_class class)
{
	struct rte_mbuf *m = packet(p);

	pkt_of(m)->flags |= flags;
	assert_int_equal(punt(worker, &m, 1), 0);
	return punt_take(worker->punt, class, &m, 1) == 1 ? m : NULL;
}

static void
frames_go_up_as_they_came(void **state)
{
	const struct packet ike = { .proto = 17, .upper = { 1, 2, 1, 244 }, .to = 1, .mac = 77 };
	struct rte_mbuf *m = punted(&ike, 0, PUNT_IKE);
	const uint8_t *at;

	assert_non_null(m);
	at = rte_pktmbuf_mtod(m, const uint8_t *);
	assert_int_equal(m->pkt_len, FRAME + 60);
	assert_int_equal(at[11], 77);
	assert_int_equal(at[FRAME], 0x45);
	assert_int_equal(pkt_of(m)->port, BLACK);
	rte_pktmbuf_free(m);
}

static void
decrypted_packets_get_a_header_and_their_ports_mirror(void **state)
{
	struct packet tcp = { .proto = 6, .to = 9, .mac = 77 };
	struct rte_mbuf *m = punted(&tcp, PKT_FROM_SA, PUNT_REST);
	const uint8_t *at;

	assert_non_null(m);
	at = rte_pktmbuf_mtod(m, const uint8_t *);
	assert_memory_equal(at, ((uint8_t[14]) { [12] = 8 }), 14);
	assert_int_equal(pkt_of(m)->port, RED);
	rte_pktmbuf_free(m);
	/* A tunnel's end that no port has: by the port it came. */
	tcp.to = 77;
	m = punted(&tcp, PKT_FROM_SA, PUNT_REST);
	assert_non_null(m);
	assert_int_equal(pkt_of(m)->port, BLACK);
	rte_pktmbuf_free(m);
	/* The port that has it has no mirror. */
	view.mirrored = 1 << BLACK;
	tcp.to = 9;
	m = punted(&tcp, PKT_FROM_SA, PUNT_REST);
	assert_non_null(m);
	assert_int_equal(pkt_of(m)->port, BLACK);
	rte_pktmbuf_free(m);
}

static void
without_a_mirror_nobody_listens(void **state)
{
	view.mirrored = 1 << RED;
	assert_null(punted(&(struct packet) { .proto = 6 }, 0, PUNT_REST));
	assert_int_equal(worker->drops[DROP_NO_LISTENER], 1);
}

/* They are control's to read, wherever they came by; but not what an SA carried. */
static void
too_big_goes_up_without_a_mirror(void **state)
{
	const struct packet v4 = { .proto = 1, .upper = { 3, 4 }, .to = 1, .mac = 77 };
	const struct packet v6 = { .v6 = true, .proto = 58, .upper = { 2 } };
	struct rte_mbuf *m;

	view.mirrored = 0;
	m = punted(&v4, 0, PUNT_ERRORS);
	assert_non_null(m);
	assert_int_equal(m->pkt_len, FRAME + 60);
	assert_int_equal(rte_pktmbuf_mtod(m, const uint8_t *)[11], 77);
	assert_int_equal(pkt_of(m)->port, BLACK);
	rte_pktmbuf_free(m);
	m = punted(&v6, 0, PUNT_ERRORS);
	assert_non_null(m);
	rte_pktmbuf_free(m);
	assert_null(punted(&v4, PKT_FROM_SA, PUNT_ERRORS));
	assert_int_equal(worker->drops[DROP_NO_LISTENER], 1);
	view.mirrored = 1 << RED | 1 << BLACK;
	m = punted(&v4, PKT_FROM_SA, PUNT_REST);
	assert_non_null(m);
	rte_pktmbuf_free(m);
}

/* Sends n from a source at once; returns how many control gets, and takes them. */
static uint32_t
flood(uint8_t from, uint32_t n)
{
	const struct packet ike = { .proto = 17, .upper = { 1, 2, 1, 244 }, .from = from };
	uint32_t got = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = punted(&ike, 0, PUNT_IKE);

		got += m != NULL;
		rte_pktmbuf_free(m);
	}
	return got;
}

static void
who_floods_is_limited_alone(void **state)
{
	const struct punt_limit *limit = &punt_limits[PUNT_IKE];

	/* Here nobody shares both buckets. */
	worker->punt->seed = 1;
	assert_int_equal(flood(1, 100000), limit->burst);
	assert_int_equal(worker->drops[DROP_PUNT_LIMIT], 100000 - limit->burst);
	for (uint8_t other = 2; other < 200; other++)
		assert_int_equal(flood(other, 3), 3);
	worker->now += 100 * MS;
	assert_int_equal(flood(1, 10000), limit->rate / 10);
	worker->now += 3600 * 1000 * MS;
	assert_int_equal(flood(1, 10000), limit->burst);
	assert_int_equal(punt_counters(worker->punt).given[PUNT_IKE],
			 2 * limit->burst + limit->rate / 10 + 198 * 3);
}

static void
a_full_class_leaves_the_others_alone(void **state)
{
	struct packet p = { .v6 = true, .proto = 6 };
	struct rte_mbuf *m;
	uint32_t sent = 0;

	/* From many sources, and nobody takes them. */
	for (int i = 0; i < 4 * PUNT_RING_SIZE; i++, sent++) {
		m = packet(&p);
		rte_pktmbuf_mtod(m, uint8_t *)[12] = (uint8_t)i;
		rte_pktmbuf_mtod(m, uint8_t *)[13] = (uint8_t)(i >> 8);
		punt(worker, &m, 1);
	}
	assert_int_equal(punt_held(worker->punt), PUNT_RING_SIZE);
	assert_int_equal(worker->drops[DROP_PUNT_FULL], sent - PUNT_RING_SIZE);
	m = punted(&(struct packet) { .ether_type = 0x0806 }, 0, PUNT_NEIGH);
	assert_non_null(m);
	rte_pktmbuf_free(m);
	while (punt_take(worker->punt, PUNT_REST, &m, 1) == 1)
		rte_pktmbuf_free(m);
}

static bool
own_exempt(const struct packet *p)
{
	struct rte_mbuf *m = packet(p);
	bool exempt = punt_own_is_exempt(worker, m);

	rte_pktmbuf_free(m);
	return exempt;
}

static void
our_own_key_exchange_is_exempt_with_all_its_fragments(void **state)
{
	struct packet p = { .proto = 17, .upper = { 1, 244, 1, 2 } };

	assert_true(own_exempt(&p));
	p = (struct packet) { .proto = 17, .upper = { 1, 2, 1, 244 } };
	assert_false(own_exempt(&p));
	p = (struct packet) { .proto = 17, .frag = 9, .to = 5 };
	assert_false(own_exempt(&p));
	p = (struct packet) { .proto = 17, .frag = 0x2000, .to = 5, .upper = { 0x11, 0x94, 1, 2 } };
	assert_true(own_exempt(&p));
	p = (struct packet) { .proto = 17, .frag = 9, .to = 5 };
	assert_true(own_exempt(&p));
	p.to = 6;
	assert_false(own_exempt(&p));
}

static void
what_control_injects_comes_in_order(void **state)
{
	struct rte_mbuf *in[PUNT_INJECT_SIZE + 1], *out[BURST_MAX];
	uint16_t n, got = 0;

	for (n = 0; n <= PUNT_INJECT_SIZE; n++) {
		in[n] = packet(&(struct packet) { .ether_type = 0x0806 });
		if (!punt_inject(worker->punt, in[n]))
			break;
	}
	assert_int_equal(n, PUNT_INJECT_SIZE);
	rte_pktmbuf_free(in[n]);
	while ((n = inject_rx(worker, NULL, out, 32)) > 0)
		for (uint16_t i = 0; i < n; i++, got++) {
			assert_ptr_equal(out[i], in[got]);
			rte_pktmbuf_free(out[i]);
		}
	assert_int_equal(got, PUNT_INJECT_SIZE);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(classes_are_told_apart),
		CASE(frames_go_up_as_they_came),
		CASE(decrypted_packets_get_a_header_and_their_ports_mirror),
		CASE(without_a_mirror_nobody_listens),
		CASE(too_big_goes_up_without_a_mirror),
		CASE(who_floods_is_limited_alone),
		CASE(a_full_class_leaves_the_others_alone),
		CASE(our_own_key_exchange_is_exempt_with_all_its_fragments),
		CASE(what_control_injects_comes_in_order),
	};
#undef CASE

	if (test_eal_init() < 0)
		return 1;
	pool = rte_pktmbuf_pool_create("packets", 4095, 0, sizeof(struct pkt), 512, SOCKET_ID_ANY);
	if (pool == NULL)
		return 1;
	return cmocka_run_group_tests_name("punt", tests, NULL, NULL);
}
