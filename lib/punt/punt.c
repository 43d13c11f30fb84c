#include "punt/punt.h"

#include <errno.h>
#include <stdio.h>

#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_ring.h>

#include "icmp/icmp.h"
#include "punt/class.h"
#include "punt/punt_stage.h"
#include "punt/worker.h"
#include "wire/ip.h"
#include "worker/worker.h"

#define NO_PORT UINT8_MAX

/* Enough for what they are for on a large gateway: thousands of tunnels behind one address, a full
 * table by BGP; far below what keeps control busy.
 */
const struct punt_limit punt_limits[PUNT_MAX] = {
	[PUNT_IKE] = { "ike", PUNT_RING_SIZE, 2000, 500 },
	[PUNT_NEIGH] = { "neigh", PUNT_RING_SIZE, 1000, 200 },
	[PUNT_ROUTING] = { "routing", PUNT_RING_SIZE, 20000, 500 },
	/* One for each flow behind a link that grew narrow; routers send few a second to one. */
	[PUNT_ERRORS] = { "errors", PUNT_ERRORS_SIZE, 1000, 100 },
	[PUNT_REST] = { "rest", PUNT_RING_SIZE, 10000, 500 },
};

static struct rte_ring *
ring_make(const char *what, uint16_t index, unsigned int size, int socket)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "punt_%.12s_%u", what, index);
	return rte_ring_create(name, size, socket, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

int
punt_worker_init(uint16_t index, int socket, struct punt_worker **out, struct err *err)
{
	struct punt_worker *pw =
		rte_zmalloc_socket("punt", sizeof(*pw), RTE_CACHE_LINE_SIZE, socket);
	bool complete = pw != NULL;

	for (int class = 0; complete && class < PUNT_MAX; class ++) {
		pw->up[class] =
			ring_make(punt_limits[class].name, index, punt_limits[class].ring, socket);
		punt_rate_init(&pw->rates[class], &punt_limits[class]);
		complete = pw->up[class] != NULL;
	}
	if (complete)
		pw->down = ring_make("inject", index, PUNT_INJECT_SIZE, socket);
	if (!complete || pw->down == NULL) {
		punt_worker_fini(pw);
		return err_set(err, -ENOMEM, "no memory for the queues of worker %u to the mirrors",
			       index);
	}
	pw->seed = rte_rand();
	*out = pw;
	return 0;
}

static void
ring_empty(struct rte_ring *ring)
{
	void *m;

	while (ring != NULL && rte_ring_sc_dequeue(ring, &m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void
punt_worker_fini(struct punt_worker *pw)
{
	if (pw == NULL)
		return;
	for (int class = 0; class < PUNT_MAX; class ++)
		ring_empty(pw->up[class]);
	ring_empty(pw->down);
	rte_free(pw);
}

uint16_t
punt_take(struct punt_worker *pw, enum punt_class class, struct rte_mbuf **frames, uint16_t max)
{
	return (uint16_t)rte_ring_sc_dequeue_burst(pw->up[class], (void **)frames, max, NULL);
}

bool
punt_inject(struct punt_worker *pw, struct rte_mbuf *frame)
{
	return rte_ring_sp_enqueue(pw->down, frame) == 0;
}

uint32_t
punt_held(const struct punt_worker *pw)
{
	uint32_t held = 0;

	if (pw == NULL)
		return 0;
	for (int class = 0; class < PUNT_MAX; class ++)
		held += rte_ring_count(pw->up[class]);
	return held + rte_ring_count(pw->down);
}

struct punt_counters
punt_counters(const struct punt_worker *pw)
{
	struct punt_counters c = { .injected = 0 };

	if (pw == NULL)
		return c;
	for (int class = 0; class < PUNT_MAX; class ++) {
		c.given[class] = cell_get(&pw->count.given[class]);
		c.limited[class] = cell_get(&pw->count.limited[class]);
		c.full[class] = cell_get(&pw->count.full[class]);
	}
	c.injected = cell_get(&pw->count.injected);
	return c;
}

/* The port whose mirror takes the packet, or NO_PORT. One that came out of an SA is for the port
 * that has the address; an address that is a tunnel's end only is no port's, so the one it came in
 * by has to do.
 */
static uint8_t
mirror_for(const struct worker *w, const struct rte_mbuf *m)
{
	const struct view *v = w->view;
	const struct pkt *p = pkt_of(m);
	bool v6 = (p->flags & PKT_V6) != 0;
	const struct icmp_source *own = NULL;

	if ((p->flags & PKT_FROM_SA) != 0 && v->icmp != NULL)
		own = icmp_source_of(v->icmp, wire_ip_dst(rte_pktmbuf_mtod(m, const uint8_t *), v6),
				     v6);
	if (own != NULL && (v->mirrored >> own->port & 1) != 0)
		return own->port;
	return (v->mirrored >> p->port & 1) != 0 ? p->port : NO_PORT;
}

/* Makes a frame of it again, the one that it came as where there was one. False: no room. */
static bool
frame_make(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct rte_ether_hdr *eth;

	if (p->l4_off == 0)
		return true;
	eth = (struct rte_ether_hdr *)rte_pktmbuf_prepend(m, sizeof(*eth));
	if (eth == NULL)
		return false;
	if (punt_has_frame(p))
		return true;
	*eth = (struct rte_ether_hdr) {
		.ether_type = (p->flags & PKT_V6) != 0 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) :
							 RTE_BE16(RTE_ETHER_TYPE_IPV4),
	};
	return true;
}

static void
punt_one(struct worker *w, struct rte_mbuf *m)
{
	struct punt_worker *pw = w->punt;
	uint8_t port = mirror_for(w, m);
	enum punt_class class = punt_class_of(m);

	if (class == PUNT_ERRORS)
		port = pkt_of(m)->port;
	if (port == NO_PORT || pw == NULL) {
		drop(w, m, DROP_NO_LISTENER);
		return;
	}
	if (!punt_rate_take(&pw->rates[class], pw->seed, punt_source_of(m, class), w->now)) {
		cell_add(&pw->count.limited[class], 1);
		drop(w, m, DROP_PUNT_LIMIT);
		return;
	}
	if (!frame_make(m)) {
		drop(w, m, DROP_BUFFER);
		return;
	}
	pkt_of(m)->port = port;
	if (rte_ring_sp_enqueue(pw->up[class], m) != 0) {
		cell_add(&pw->count.full[class], 1);
		drop(w, m, DROP_PUNT_FULL);
		return;
	}
	cell_add(&pw->count.given[class], 1);
}

uint16_t
punt(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		punt_one(w, pkts[i]);
	return 0;
}

uint16_t
inject_rx(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct punt_worker *pw = w->punt;
	uint16_t n;

	if (worker_holds_back(w))
		return 0;
	n = (uint16_t)rte_ring_sc_dequeue_burst(pw->down, (void **)pkts, max, NULL);
	if (n > 0)
		cell_add(&pw->count.injected, n);
	return n;
}

void
punt_send_as_is(struct worker *w, struct rte_mbuf *m)
{
	/* Its header was cut off by classify, and nothing was put in its place. */
	if (pkt_of(m)->l4_off != 0)
		rte_pktmbuf_prepend(m, RTE_ETHER_HDR_LEN);
	m->port = pkt_of(m)->port;
	pipe_push(w, STAGE_PORT_TX_OUT, m);
}
