/* Routes of a gateway with three ports, and a worker that sees them. */
#ifndef TESTS_ROUTE_BED_H
#define TESTS_ROUTE_BED_H

#include <stdio.h>

#include "route/route.h"
#include "worker.h"

enum {
	LAN,
	WAN,
	LAN2
}; /* ports of the bed */

static struct rte_mempool *pool; /* of who tests packets */

static inline struct addr
ip(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		fail_msg("%s does not parse", text);
	return a;
}

static inline struct prefix
net(const char *text)
{
	char copy[64];
	char *slash;
	struct addr a;

	snprintf(copy, sizeof(copy), "%s", text);
	slash = strchr(copy, '/');
	assert_non_null(slash);
	*slash = '\0';
	a = ip(copy);
	return prefix_of(&a, (uint8_t)atoi(slash + 1));
}

static inline struct link
port_made(uint8_t index, enum port_side side, uint16_t mtu)
{
	struct link p = { .index = index, .side = side, .mtu = mtu };

	p.mac.addr_bytes[0] = 2;
	p.mac.addr_bytes[5] = index;
	snprintf(p.name, sizeof(p.name), "port%u", index);
	return p;
}

static inline void
port_address(struct link *p, const char *text)
{
	struct prefix parsed = net(text);
	struct link_address *a = &p->addresses[p->n_addresses++];
	char copy[64];

	snprintf(copy, sizeof(copy), "%s", text);
	*strchr(copy, '/') = '\0';
	a->addr = ip(copy);
	a->len = parsed.len;
}

/* What is deferred waits until the test says so. */
struct waiting {
	uint32_t n;
	struct {
		void (*fn)(void *);
		void *obj;
	} list[256];
};

static inline void
defer(void *ctx, void (*fn)(void *), void *obj)
{
	struct waiting *q = ctx;

	assert_true(q->n < RTE_DIM(q->list));
	q->list[q->n].fn = fn;
	q->list[q->n++].obj = obj;
}

static inline void
grace(struct waiting *q)
{
	for (uint32_t i = 0; i < q->n; i++)
		q->list[i].fn(q->list[i].obj);
	q->n = 0;
}

struct bed {
	struct route *r;
	struct worker *w;
	struct view view;
	struct waiting waiting;
	struct link ports[3];
};

static inline int
bed_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct route_params params = { .socket = SOCKET_ID_ANY,
				       .defer = defer,
				       .defer_ctx = &b->waiting };
	struct err err;

	params.max_v4 = 16;
	assert_int_equal(route_create(&params, &b->r, &err), 0);
	b->ports[LAN] = port_made(LAN, PORT_RED, 1500);
	port_address(&b->ports[LAN], "10.1.0.1/16");
	port_address(&b->ports[LAN], "fd01::1/64");
	b->ports[WAN] = port_made(WAN, PORT_BLACK, 1400);
	port_address(&b->ports[WAN], "192.0.2.1/24");
	port_address(&b->ports[WAN], "2001:db8::1/64");
	b->ports[LAN2] = port_made(LAN2, PORT_RED, 1300);
	port_address(&b->ports[LAN2], "10.3.0.1/16");
	for (int i = 0; i < 3; i++)
		if (route_link_set(b->r, &b->ports[i], &err) < 0)
			fail_msg("%s", err.text);
	b->w = test_worker_new(0, 1);
	b->view.route = b->r;
	b->w->view = &b->view;
	*state = b;
	return 0;
}

static inline int
bed_down(void **state)
{
	struct bed *b = *state;

	for (int s = 0; s < STAGE_MAX; s++)
		for (int i = 0; i < b->w->pending[s].n; i++)
			rte_pktmbuf_free(b->w->pending[s].pkts[i]);
	grace(&b->waiting);
	route_free(b->r);
	rte_free(b->w);
	free(b);
	if (pool != NULL)
		assert_int_equal(rte_mempool_in_use_count(pool), 0);
	return 0;
}

static inline void
add(struct bed *b, const char *to, const char *via, uint8_t port)
{
	struct prefix p = net(to);
	struct addr a = via != NULL ? ip(via) : (struct addr) { 0 };
	struct err err;

	if (route_add(b->r, &p, via != NULL ? &a : NULL, port, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void
neigh(struct bed *b, const char *text, uint8_t last, uint8_t port)
{
	struct rte_ether_addr mac = { { 2, 0, 0, 0, 1, last } };
	struct addr a = ip(text);
	struct err err;

	if (route_neigh_set(b->r, &a, &mac, port, &err) < 0)
		fail_msg("%s", err.text);
}

static inline const struct next_hop *
hop_of(struct bed *b, const char *text)
{
	struct addr a = ip(text);

	return route_hop(b->r, route_of(b->r, &a));
}

#endif
