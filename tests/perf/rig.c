#include "rig.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include "crypto/crypto.h"
#include "esp/esp.h"
#include "icmp/icmp.h"
#include "pipe/stages.h"
#include "port/port_stage.h"
#include "replay/replay.h"
#include "route/route.h"
#include "sad/sad.h"
#include "seq/seq.h"
#include "spd/spd_stage.h"
#include "worker/mailbox.h"

#define OUTER_SRC  "198.51.100.1"
#define OUTER_DST  "198.51.100.2"
#define OUTER_SRC6 "2001:db8:1::1"
#define OUTER_DST6 "2001:db8:1::2"
#define SPI	   0x1001
#define GROUP	   1

static struct err err;

static void
must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, err.text);
	exit(1);
}

static struct addr
addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		abort();
	return a;
}

static void
neighbour(struct rig *r, const char *ip, uint8_t port)
{
	const struct rte_ether_addr mac = { { 2, 0, 0, 0, 1, port } };
	struct addr a = addr(ip);

	must(route_neigh_set(r->route, &a, &mac, port, &err), ip);
}

static void
way(struct rig *r, const char *net, uint8_t len, const char *via, uint8_t port)
{
	struct prefix p = { addr(net), len };
	struct addr a = addr(via);

	must(route_add(r->route, &p, &a, port, &err), net);
}

static void
port_make(struct rig *r, uint8_t index, enum port_side side, const char *v4, const char *v6)
{
	struct link link = {
		.index = index,
		.side = side,
		.mtu = 1500,
		.mac = { { 2, 0, 0, 0, 0, index } },
		.n_addresses = 2,
		.addresses = { { addr(v4), 24 }, { addr(v6), 64 } },
	};

	must(route_link_set(r->route, &link, &err), "port");
	r->port->stations[index] = (struct port_station) { link.mac, false };
}

static void
routes_make(struct rig *r)
{
	const struct route_params p = { .max_v4 = 1024, .max_v6 = 1024, .socket = SOCKET_ID_ANY };

	must(route_create(&p, &r->route, &err), "routes");
	r->port = rte_zmalloc("port", sizeof(*r->port), RTE_CACHE_LINE_SIZE);
	port_make(r, RIG_RED, PORT_RED, "10.1.0.1", "fd01::1");
	port_make(r, RIG_BLACK, PORT_BLACK, "192.0.2.1", "2001:db8::1");
	neighbour(r, "10.1.0.2", RIG_RED);
	neighbour(r, "fd01::2", RIG_RED);
	neighbour(r, "192.0.2.254", RIG_BLACK);
	neighbour(r, "2001:db8::fe", RIG_BLACK);
	way(r, "10.0.0.0", 8, "10.1.0.2", RIG_RED);
	way(r, "fd00::", 8, "fd01::2", RIG_RED);
	way(r, "0.0.0.0", 0, "192.0.2.254", RIG_BLACK);
	way(r, "::", 0, "2001:db8::fe", RIG_BLACK);
}

static uint32_t
sa_add(struct rig *r, const struct rig_params *p, bool inbound, struct lane *lane)
{
	static const uint8_t key[ALG_KEY_MAX] = { 1, 2, 3 }, auth[ALG_AUTH_KEY_MAX] = { 4, 5, 6 };
	static const uint8_t salt[4] = { 7, 8, 9, 10 };
	enum alg_kind kind = p->auth == NULL ? ALG_AEAD : ALG_CIPHER;
	struct sa_params s = {
		.name = inbound ? "rig.in" : "rig.out",
		.inbound = inbound,
		.transport = p->transport,
		.ecn = true,
		.spi = SPI,
		.src = addr(p->outer_v6 ? OUTER_SRC6 : OUTER_SRC),
		.dst = addr(p->outer_v6 ? OUTER_DST6 : OUTER_DST),
		.key = key,
		.salt = salt,
		.auth_key = auth,
		.udp = p->udp,
		.udp_src = 4500,
		.udp_dst = 4500,
		.group = GROUP,
		.path_mtu = 1500,
		.lane = lane,
		.window = r->window,
	};
	uint32_t index;

	must(suite_init(&s.suite, alg_find(p->cipher, kind),
			p->auth == NULL ? NULL : alg_find(p->auth, ALG_AUTH), 0, false, p->esn,
			&err),
	     "suite");
	s.outer = (struct tunnel_params) {
		.src = s.src,
		.dst = s.dst,
		.udp = p->udp,
		.udp_src = 4500,
		.udp_dst = 4500,
		.proto = IPPROTO_ESP,
		.ttl = 64,
		.ecn = true,
		.label = TUNNEL_LABEL_HASH,
	};
	must(sa_create(&r->sas, &s, 0, &index, &err), "SA");
	if (inbound) {
		must(sad_add(r->sad, index, SA_NONE, &err), "SPI");
		must(route_own_add(r->route, &s.dst, &err), "own address");
	} else {
		sa_at(&r->sas, index)->next_hop = route_hold(r->route, &s.dst);
	}
	return index;
}

static void
policy_add(struct rig *r, enum spd_direction direction)
{
	struct spd_range red[2], far[2];
	struct policy_params p = {
		.direction = direction,
		.action = POLICY_PROTECT,
		.order = 1,
		.protocol = SPD_ANY_PROTOCOL,
		.src_port = { 0, UINT16_MAX },
		.dst_port = { 0, UINT16_MAX },
		.dscp = SPD_ANY_DSCP,
		.group = GROUP,
		.sa = SA_NONE,
		.src = { .n_v4 = 1, .n_v6 = 1, .v4 = &red[0], .v6 = &red[1] },
		.dst = { .n_v4 = 1, .n_v6 = 1, .v4 = &far[0], .v6 = &far[1] },
	};
	uint32_t index;

	spd_prefix(&red[0], addr("10.1.0.0").octets, 16, false);
	spd_prefix(&red[1], addr("fd01::").octets, 16, true);
	spd_prefix(&far[0], addr("10.2.0.0").octets, 16, false);
	spd_prefix(&far[1], addr("fd02::").octets, 16, true);
	if (direction == SPD_OUT) {
		p.sa = r->out;
		p.sa_generation = sa_at(&r->sas, r->out)->generation;
	}
	must(spd_add(r->spd, &p, &index, &err), "policy");
}

static void
worker_fill(struct rig *r, const struct rig_params *p)
{
	struct worker *w = rte_zmalloc("worker", sizeof(*w), RTE_CACHE_LINE_SIZE);

	r->w = w;
	w->n_workers = 1;
	w->burst = p->burst;
	w->socket = SOCKET_ID_ANY;
	w->pool = r->pool;
	w->pipe = &r->pipe;
	w->view = &r->view;
	w->port = r->port;
	w->sparse = rte_zmalloc("sparse", sizeof(*w->sparse), RTE_CACHE_LINE_SIZE);
	must(mailbox_init(w, &err), "mailbox");
	must(crypto_worker_init(&p->engine, 1, p->key_cache, SOCKET_ID_ANY, &w->crypto, &err),
	     "crypto");
	must(esp_worker_init(0, SOCKET_ID_ANY, &w->esp, &err), "ESP");
	must(spd_worker_init(0, 0, SOCKET_ID_ANY, &w->spd, &err), "flow cache");
	must(icmp_worker_init(NULL, SOCKET_ID_ANY, &w->icmp, &err), "ICMP");
}

static void
pipe_fill(struct rig *r, const struct rig_params *p)
{
	memcpy(r->rows, stage_rows, sizeof(r->rows));
	r->rows[STAGE_PORT_TX].run = p->sink;
	r->rows[STAGE_PORT_TX_OUT].run = p->sink;
	pipe_build(&r->pipe, r->rows,
		   UINT64_C(1) << STAGE_HANDOFF_OUT | UINT64_C(1) << STAGE_HANDOFF_IN);
}

void
rig_make(struct rig *r, const struct rig_params *p)
{
	const struct spd_params spd = { .max_policies = 64, .socket = SOCKET_ID_ANY };
	const struct icmp_source source = {
		.addr = addr("10.1.0.1"), .len = 24, .port = RIG_RED, .red = true
	};

	memset(r, 0, sizeof(*r));
	must(port_pool_create("rig", p->n_mbufs, 1500, SOCKET_ID_ANY, &r->pool, &err), "pool");
	routes_make(r);
	must(sa_table_init(&r->sas, 64, SOCKET_ID_ANY, &err), "SA table");
	must(sad_create(&r->sas, 64, SOCKET_ID_ANY, NULL, &r->sad, &err), "SPI table");
	must(spd_create(&spd, &r->spd, &err), "SPD");
	r->lane_out = rte_zmalloc("lane", sizeof(struct lane), RTE_CACHE_LINE_SIZE);
	r->lane_in = rte_zmalloc("lane", sizeof(struct lane), RTE_CACHE_LINE_SIZE);
	lane_init(r->lane_out, 0);
	lane_init(r->lane_in, 0);
	r->window = rte_zmalloc("window", replay_size(p->window), RTE_CACHE_LINE_SIZE);
	replay_init(r->window, p->window, p->esn, 0);
	r->out = sa_add(r, p, false, r->lane_out);
	r->in = sa_add(r, p, true, r->lane_in);
	policy_add(r, SPD_OUT);
	policy_add(r, SPD_IN);
	spd_commit(r->spd);
	must(spd_maintain(r->spd, true, &err), "policies");
	must(icmp_sources_create(&source, 1, &r->sources, &err), "ICMP sources");
	r->view = (struct view) {
		.generation = 1,
		.sad = r->sad,
		.spd = r->spd,
		.route = r->route,
		.sas = &r->sas,
		.icmp = r->sources,
		.n_udp_ports = 1,
		.udp_ports_be = { RTE_BE16(4500) },
	};
	worker_fill(r, p);
	pipe_fill(r, p);
}

void
rig_free(struct rig *r)
{
	struct worker *w = r->w;

	icmp_worker_fini(w->icmp);
	spd_worker_fini(w->spd);
	esp_worker_fini(w->esp);
	crypto_worker_fini(w->crypto);
	mailbox_fini(w);
	rte_free(w->sparse);
	rte_free(w);
	icmp_sources_free(r->sources);
	spd_free(r->spd);
	sad_free(r->sad);
	sa_table_fini(&r->sas);
	route_free(r->route);
	rte_free(r->port);
	rte_free(r->lane_out);
	rte_free(r->lane_in);
	rte_free(r->window);
	rte_mempool_free(r->pool);
}

static uint16_t
udp_write(struct rte_udp_hdr *udp, uint16_t len, uint32_t flow)
{
	*udp = (struct rte_udp_hdr) {
		.src_port = rte_cpu_to_be_16(1024 + (flow & 0x3fff)),
		.dst_port = RTE_BE16(2000),
		.dgram_len = rte_cpu_to_be_16(len),
	};
	return sizeof(*udp);
}

uint16_t
rig_frame(const struct rig *r, uint8_t *at, bool v6, uint16_t size, uint32_t flow)
{
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)at;
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)(eth + 1);
	struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)(eth + 1);

	eth->dst_addr = r->port->stations[RIG_RED].mac;
	eth->src_addr = (struct rte_ether_addr) { { 2, 0, 0, 0, 1, 0 } };
	eth->ether_type = v6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4);
	if (v6) {
		struct addr src = addr("fd01::5"), dst = addr("fd02::5");

		memset(ip6, 0, sizeof(*ip6));
		ip6->vtc_flow = RTE_BE32(6u << 28);
		ip6->payload_len = rte_cpu_to_be_16(size - sizeof(*ip6));
		ip6->proto = IPPROTO_UDP;
		ip6->hop_limits = 64;
		memcpy(ip6->src_addr, src.octets, 16);
		memcpy(ip6->dst_addr, dst.octets, 16);
		ip6->src_addr[13] = flow >> 14;
		return sizeof(*eth) + sizeof(*ip6) +
		       udp_write((struct rte_udp_hdr *)(ip6 + 1), size - sizeof(*ip6), flow);
	}
	*v4 = (struct rte_ipv4_hdr) {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(size),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, flow >> 22, flow >> 14)),
		.dst_addr = RTE_BE32(RTE_IPV4(10, 2, 0, 5)),
	};
	v4->hdr_checksum = rte_ipv4_cksum(v4);
	return sizeof(*eth) + sizeof(*v4) +
	       udp_write((struct rte_udp_hdr *)(v4 + 1), size - sizeof(*v4), flow);
}
