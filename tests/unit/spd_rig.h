/* Policies and packets for the tests of the SPD, from short texts. */
#ifndef TESTS_SPD_RIG_H
#define TESTS_SPD_RIG_H

#include "unit.h"

#include <arpa/inet.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "base/addr.h"
#include "spd/spd.h"
#include "spd/spd_stage.h"
#include "worker/worker.h"

#define RANGES_MAX 64

#define TCP	 6
#define UDP	 17
#define ICMP	 1
#define ICMPV6	 58
#define NO_MATCH UINT32_MAX
#define PORTS	 (UINT32_MAX - 1)

/* A list of "10.0.0.0/8", "10.0.0.1-10.0.0.9", "2001:db8::1", separated by blanks; or "any". */
struct addrs_text {
	struct spd_addrs addrs;
	struct spd_range v4[RANGES_MAX], v6[RANGES_MAX];
};

static inline void
range_parse(struct addrs_text *t, char *word)
{
	char *end = strchr(word, '-'), *slash = strchr(word, '/');
	struct spd_range *r;
	struct addr lo, hi;

	if (end != NULL)
		*end++ = 0;
	if (slash != NULL)
		*slash++ = 0;
	assert_true(addr_parse(word, &lo));
	assert_true(addr_parse(end != NULL ? end : word, &hi));
	r = lo.family == 4 ? &t->v4[t->addrs.n_v4++] : &t->v6[t->addrs.n_v6++];
	assert_true(t->addrs.n_v4 <= RANGES_MAX && t->addrs.n_v6 <= RANGES_MAX);
	memcpy(r->lo, lo.octets, 16);
	memcpy(r->hi, hi.octets, 16);
	if (slash != NULL)
		spd_prefix(r, lo.octets, atoi(slash), lo.family == 6);
}

static inline const struct spd_addrs *
addrs_parse(struct addrs_text *t, const char *text)
{
	char copy[1024], *save = NULL;

	memset(t, 0, sizeof(*t));
	t->addrs.v4 = t->v4;
	t->addrs.v6 = t->v6;
	t->addrs.any = strcmp(text, "any") == 0;
	assert_true(strlen(text) < sizeof(copy));
	strcpy(copy, text);
	for (char *w = strtok_r(copy, " ", &save); w != NULL && !t->addrs.any;
	     w = strtok_r(NULL, " ", &save))
		range_parse(t, w);
	return &t->addrs;
}

/* A policy in a table; what is left out is any, order 0, outbound. */
struct policy_text {
	uint64_t order;
	const char *src, *dst;
	int16_t protocol;		     /* 0 = any */
	struct spd_ports src_port, dst_port; /* hi 0 = any */
	uint64_t dscp;			     /* 0 = any */
	bool icmp;
	bool in;
	enum policy_action action;
	uint32_t group, name;
};

static inline struct spd_ports
ports_or_any(struct spd_ports p)
{
	return p.hi == 0 ? (struct spd_ports) { 0, UINT16_MAX } : p;
}

static inline int
policy_try(struct spd *spd, const struct policy_text *t, uint32_t *index, struct err *err)
{
	static struct addrs_text src, dst;
	struct policy_params p = {
		.direction = t->in ? SPD_IN : SPD_OUT,
		.action = t->action,
		.order = t->order,
		.src = *addrs_parse(&src, t->src != NULL ? t->src : "any"),
		.dst = *addrs_parse(&dst, t->dst != NULL ? t->dst : "any"),
		.protocol = t->protocol == 0 ? SPD_ANY_PROTOCOL : t->protocol,
		.src_port = ports_or_any(t->src_port),
		.dst_port = ports_or_any(t->dst_port),
		.dscp = t->dscp == 0 ? SPD_ANY_DSCP : t->dscp,
		.icmp = t->icmp,
		.group = t->group,
		.name = t->name,
		.sa = SA_NONE,
	};

	return spd_add(spd, &p, index, err);
}

static inline uint32_t
policy_add(struct spd *spd, const struct policy_text *t)
{
	struct err err = { "" };
	uint32_t index;

	if (policy_try(spd, t, &index, &err) < 0)
		fail_msg("%s", err.text);
	return index;
}

static inline void
policy_end(struct spd *spd, uint32_t index)
{
	struct err err = { "" };

	if (spd_del(spd, index, &err) < 0)
		fail_msg("%s", err.text);
}

static inline struct spd *
spd_make(uint32_t max_policies, uint32_t max_rules)
{
	struct spd_params p = { .max_policies = max_policies,
				.max_rules = max_rules,
				.socket = SOCKET_ID_ANY };
	struct err err = { "" };
	struct spd *spd;

	if (spd_create(&p, &spd, &err) < 0)
		fail_msg("%s", err.text);
	return spd;
}

static inline struct spd_key
key_of(const char *src, const char *dst, uint8_t protocol, uint16_t src_port, uint16_t dst_port)
{
	struct spd_key key = { .protocol = protocol, .src_port = src_port, .dst_port = dst_port };
	struct addr a;

	assert_true(addr_parse(src, &a));
	memcpy(key.src, a.octets, 16);
	assert_true(addr_parse(dst, &a));
	memcpy(key.dst, a.octets, 16);
	key.v6 = a.family == 6;
	return key;
}

/* Ports, or type and code, as on the wire. */
static inline void
l4_write(uint8_t *l4, const struct spd_key *key)
{
	if (key->protocol == IPPROTO_ICMP || key->protocol == IPPROTO_ICMPV6) {
		l4[0] = key->src_port;
		l4[1] = key->dst_port;
		return;
	}
	l4[0] = key->src_port >> 8;
	l4[1] = key->src_port;
	l4[2] = key->dst_port >> 8;
	l4[3] = key->dst_port;
}

/* An IP header and 8 octets behind it; returns how many octets in all. */
static inline uint16_t
packet_write(uint8_t *at, const struct spd_key *key)
{
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)at;
	struct rte_ipv6_hdr *v6 = (struct rte_ipv6_hdr *)at;
	uint16_t length = key->v6 ? 40 : 20;

	memset(at, 0, length + 8);
	if (key->v6) {
		v6->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)key->dscp << 22);
		v6->payload_len = rte_cpu_to_be_16(8);
		v6->proto = key->protocol;
		memcpy(v6->src_addr, key->src, 16);
		memcpy(v6->dst_addr, key->dst, 16);
	} else {
		v4->version_ihl = 0x45;
		v4->type_of_service = key->dscp << 2;
		v4->total_length = rte_cpu_to_be_16(28);
		v4->fragment_offset = rte_cpu_to_be_16(key->later ? 100 : 0);
		v4->next_proto_id = key->protocol;
		memcpy(&v4->src_addr, key->src, 4);
		memcpy(&v4->dst_addr, key->dst, 4);
	}
	l4_write(at + length, key);
	return length + 8;
}

/* As classify leaves a packet. Of a later fragment the payload could be taken for ports. */
static inline struct rte_mbuf *
packet_make(struct rte_mempool *pool, const struct spd_key *key)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint16_t length;
	struct pkt *p;

	if (m == NULL)
		abort(); /* the pool is far larger than any test needs */
	p = pkt_of(m);
	memset(p, 0, sizeof(*p));
	length = packet_write(rte_pktmbuf_mtod(m, uint8_t *), key);
	m->data_len = length;
	m->pkt_len = length;
	p->l4_off = length - 8;
	p->proto = key->protocol;
	p->tos = key->dscp << 2 | 1;
	p->flags = (key->v6 ? PKT_V6 : 0) | (key->later ? PKT_FRAG_LATER : 0);
	p->sa = SA_NONE;
	return m;
}

static struct rte_mempool *pool;
static struct worker worker;

/* The name of the policy that a packet gets, twice: by the tables and by the flow cache. */
static inline uint32_t
ask(struct spd *spd, enum spd_direction direction, struct rte_mbuf *m)
{
	uint32_t first, second, group[2];

	spd_lookup(&worker, spd, direction, &m, 1, &first, &group[0]);
	spd_lookup(&worker, spd, direction, &m, 1, &second, &group[1]);
	assert_int_equal(first, second);
	assert_int_equal(group[0], group[1]);
	if (first >= SPD_FRAG_PORTS || spd_policy(spd, first)->action != POLICY_PROTECT)
		assert_int_equal(group[0], 0);
	else
		assert_int_equal(group[0], spd_policy(spd, first)->group);
	return first < SPD_FRAG_PORTS ? spd_policy(spd, first)->name : first;
}

static inline uint32_t
ask_key(struct spd *spd, enum spd_direction direction, const struct spd_key *key)
{
	struct rte_mbuf *m = packet_make(pool, key);
	uint32_t name = ask(spd, direction, m);

	rte_pktmbuf_free(m);
	return name;
}

static inline struct spd *
spd_of(const struct policy_text *texts, size_t n)
{
	struct spd *spd = spd_make(64, 0);

	for (size_t i = 0; i < n; i++)
		policy_add(spd, &texts[i]);
	spd_commit(spd);
	return spd;
}

static inline int
rig_setup(void **state)
{
	struct err err = { "" };

	pool = rte_pktmbuf_pool_create("packets", 255, 0, sizeof(struct pkt), 2048, SOCKET_ID_ANY);
	/* Small, so that entries are pushed out. */
	return pool == NULL || spd_worker_init(256, 64, SOCKET_ID_ANY, &worker.spd, &err) < 0 ? -1 :
												0;
}

static inline int
rig_teardown(void **state)
{
	int left = rte_mempool_in_use_count(pool);

	spd_worker_fini(worker.spd);
	rte_mempool_free(pool);
	return left;
}

#endif
