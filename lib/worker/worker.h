/* A worker: one lcore that runs packets to completion, with all it owns. No stage has a global.
 *
 * The slots are forward-declared; each is made and freed by the module of its name.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_mbuf.h>

#include "base/clock.h"
#include "stats/cell.h"
#include "stats/drops.h"
#include "stats/sparse.h"
#include "worker/pkt.h"
#include "worker/stage.h"

#define WORKERS_MAX	   64
#define PORTS_MAX	   32
#define SOURCES_MAX	   64
#define VIEW_UDP_PORTS_MAX 16
#define WORKER_PATIENCE_NS (100 * UINT64_C(1000000))
#define WORKER_ROUND_NS	   (10 * UINT64_C(1000000)) /* what is longer, it was kept from running */

struct crypto_worker;
struct ah_worker;
struct esp_worker;
struct frag_worker;
struct handoff;
struct hold;
struct icmp_sources;
struct icmp_worker;
struct ipcomp_worker;
struct iptfs_worker;
struct mailbox;
struct offload_table;
struct pipe;
struct port_worker;
struct punt_worker;
struct rte_mempool;
struct rte_rcu_qsbr;
struct route;
struct sa_table;
struct sad;
struct spd;
struct spd_worker;
struct window_stock;

/* What control publishes: one generation of everything that a packet is judged by. A worker takes
 * it once per loop, so a burst ends with the view it began with.
 */
struct view {
	uint32_t generation;
	const struct sad *sad;
	const struct spd *spd;
	const struct route *route;
	const struct sa_table *sas;
	const struct icmp_sources *icmp; /* where answers come from; NULL: there are none */
	uint32_t mirrored;		 /* mask of the ports that have a mirror */
	uint32_t echoing;		 /* and of those that answer plain ESP echoes */
	bool awaits_echo;		 /* control may have sent plain ones */
	/* Our UDP ports that take ESP (RFC 3948); network byte order. */
	uint16_t n_udp_ports;
	uint16_t udp_ports_be[VIEW_UDP_PORTS_MAX];
};

static inline bool
view_takes_udp(const struct view *v, uint16_t port_be)
{
	for (uint16_t i = 0; i < v->n_udp_ports; i++)
		if (v->udp_ports_be[i] == port_be)
			return true;
	return false;
}

/* Why a worker reads no port. */
enum worker_pause {
	PAUSED_BY_CONTROL = 1 << 0,
	PAUSED_HANDOFF = 1 << 1, /* a ring to another worker has little room: pipe/handoff.h */
	PAUSED_SENDING = 1 << 2, /* likewise one to the worker that sends for this one */
	PAUSED_ENGINE = 1 << 3,	 /* likewise a crypto device: pipe/engines.h */
};

struct pending {
	uint16_t n;
	struct rte_mbuf *pkts[PENDING_MAX];
};

struct worker {
	/* Fixed once the worker runs. */
	uint16_t index, lcore, n_workers;
	int socket;
	const struct clock *clock;
	const struct pipe *pipe;
	struct rte_mempool *pool; /* for packets made here */
	struct crypto_worker *crypto;
	struct esp_worker *esp;
	struct ah_worker *ah;
	struct frag_worker *frag; /* NULL: nothing is put together here */
	struct handoff *handoff;
	struct hold *hold;
	struct icmp_worker *icmp;
	struct ipcomp_worker *ipcomp; /* NULL: no codec runs here */
	struct iptfs_worker *iptfs;
	struct port_worker *port;
	struct punt_worker *punt; /* NULL: no port has a mirror */
	struct spd_worker *spd;
	struct sparse *sparse;
	struct mailbox *mailbox;
	const struct offload_table *offloads; /* of all ports together; NULL: there are none */
	const struct window_stock *stock;     /* windows for subspaces that begin; NULL: none */
	struct rte_rcu_qsbr *qsbr;	      /* thread id = index */
	uint64_t patience; /* ns that it waits for other workers: see worker_holds_back() */
	uint16_t burst;	   /* at most BURST_MAX; changed by control's mail */
	bool sleepy;	   /* gateway.idle: sleep; likewise */
	uint16_t n_sources;
	struct source sources[SOURCES_MAX];

	/* Published by control, read by the owner. */
	const struct view *next_view __rte_cache_aligned;
	bool stop;

	/* Written by the owner only; control reads the counters. */
	const struct view *view __rte_cache_aligned;
	uint64_t now;  /* ns, monotonic; read once per loop */
	uint64_t away; /* ns, in all, that it was kept from running: see worker_awake() */
	/* Identifications of datagrams that may be cut on the way, or are cut here (RFC 6864, RFC
	 * 8200 section 4.5). */
	uint32_t ipv6_id;
	uint16_t ipv4_id;
	uint16_t pace_burst; /* packets of other sources between two looks at what a rate makes due;
				0: none does */
	uint8_t paused; /* mask of enum worker_pause: ports are not read; see worker_holds_back() */
	uint64_t held_back_since; /* ns of its own time; while it is, but by control */
	uint64_t loops, busy_loops;
	uint64_t rx_packets, tx_packets; /* sums over the ports */
	uint64_t split, merged;
	uint64_t ecn_odd; /* combinations of inner and outer ECN that nobody uses (RFC 6040
			     section 4.2) */
	uint64_t pushed;  /* bit mask of stages with pending packets */
	uint64_t audit_at[DROP_MAX]; /* ns: no record of that reason before; see mailbox.h */
	uint64_t drops[DROP_MAX] __rte_cache_aligned;
	uint64_t consumed[CONSUMED_MAX];
	uint64_t generated[GENERATED_MAX];
	uint64_t stage_bursts[STAGE_MAX];
	uint64_t stage_packets[STAGE_MAX];
	uint64_t stage_cycles[STAGE_MAX]; /* only a bench fills these */
	struct pending pending[STAGE_MAX] __rte_cache_aligned;
} __rte_cache_aligned;

/* Tells control of a drop that is to be audited, at most once per second and reason. See mailbox.h.
 */
void audit_note(struct worker *w, const struct rte_mbuf *m, enum drop_reason why);

/* Ends a packet under a name; of its SA too, where one is known. */
void drop(struct worker *w, struct rte_mbuf *m, enum drop_reason why) __rte_cold;

static inline void
consume(struct worker *w, struct rte_mbuf *m, enum consumed_cause cause)
{
	cell_add(&w->consumed[cause], 1);
	rte_pktmbuf_free(m);
}

/* The clock, at the beginning of a round; now and away. */
static inline void
worker_look(struct worker *w)
{
	uint64_t now = clock_now(w->clock), passed = now - w->now;

	if (unlikely(passed > WORKER_ROUND_NS) && w->clock->kind != CLOCK_STAMPS)
		w->away += passed - WORKER_ROUND_NS;
	w->now = now;
}

/* ns, the worker's own time, for what is waited for from outside: it stands still while something
 * keeps the worker from running, since what comes then lies in rings and ports, and is to be read
 * before anybody is given up.
 */
static inline uint64_t
worker_awake(const struct worker *w)
{
	return w->now - w->away;
}

/* Reads no port until worker_go_on(): what would come has no room where it is to go. */
static inline void
worker_hold_back(struct worker *w, enum worker_pause why)
{
	if ((w->paused & ~PAUSED_BY_CONTROL) == 0)
		w->held_back_since = worker_awake(w);
	w->paused |= (uint8_t)why;
}

static inline void
worker_go_on(struct worker *w, enum worker_pause why)
{
	w->paused &= (uint8_t)~why;
}

/* Whether it is to wait for others. Not for ever: one that stands still shall not stop all. */
static inline bool
worker_holds_back(const struct worker *w)
{
	return unlikely((w->paused & ~PAUSED_BY_CONTROL) != 0) &&
	       worker_awake(w) - w->held_back_since < w->patience;
}

/* Sends a packet to another stage, behind those already waiting there; it runs after the burst at
 * hand. */
static inline void
pipe_push(struct worker *w, enum stage_id stage, struct rte_mbuf *m)
{
	struct pending *q = &w->pending[stage];

	if (unlikely(q->n == PENDING_MAX)) {
		drop(w, m, DROP_PIPE_FULL);
		return;
	}
	q->pkts[q->n++] = m;
	w->pushed |= UINT64_C(1) << stage;
}

/* The same of several, in their order. */
static inline void
pipe_push_all(struct worker *w, enum stage_id stage, struct rte_mbuf *const *pkts, uint16_t n)
{
	struct pending *q = &w->pending[stage];
	uint16_t room = PENDING_MAX - q->n, take = n < room ? n : room;

	if (n == 0)
		return;
	memcpy(&q->pkts[q->n], pkts, take * sizeof(pkts[0]));
	q->n += take;
	w->pushed |= UINT64_C(1) << stage;
	for (uint16_t i = take; i < n; i++)
		drop(w, pkts[i], DROP_PIPE_FULL);
}

#endif
