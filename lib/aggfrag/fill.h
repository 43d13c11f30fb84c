/* The sender's side of a stream: inner packets wait, and payloads are made of them (RFC 9347
 * sections 2.2 and 2.4).
 *
 * A payload is an mbuf of the worker's pool, or that of its first packet (AGGFRAG_ADOPT_MIN). What
 * is made is counted here, in the stream and in the worker: split for each payload, generated for
 * one of padding alone, merged for an inner packet whose last octet is in one. What waits is the
 * caller's to count as held, by `packets` before and after.
 *
 * What was begun is finished: no payload is made that there may be no number for (lib/iptfs asks
 * before), and no memory is asked for in the middle of one.
 */
#ifndef AGGFRAG_FILL_H
#define AGGFRAG_FILL_H

#include <stdbool.h>
#include <stdint.h>

#include "aggfrag/aggfrag.h"
#include "aggfrag/wheel.h"
#include "base/err.h"
#include "stats/drops.h"

struct rte_mbuf;
struct worker;

/* How far a constant rate may be behind and still send what it missed, in packets; beyond, it goes
 * on from now. */
#define AGGFRAG_CATCHUP 8
/* Where time is that of captures it comes in jumps. */
#define AGGFRAG_CATCHUP_STAMPS 4096

struct aggfrag_cc;
struct aggfrag_link;

/* One lane's. Control makes and frees it with its SA; the lane's owner writes it. */
struct aggfrag_out {
	struct wheel_timer timer; /* the first member: when it is to send */
	const struct aggfrag_params *params;
	uint32_t sa, generation; /* it is of: by these it is looked up after a wait */
	uint16_t lane, lanes;
	bool begun;   /* of the first packet pieces were sent: no other may come before the rest */
	bool closing; /* its SA ends: what was begun is sent, all else goes elsewhere */
	bool pacing;  /* a constant rate goes on */
	struct aggfrag_link *link; /* published by control: see link.h; NULL: no reports */
	struct aggfrag_cc *cc;	   /* NULL: one of several lanes */
	/* What waits: cells, packets and their octets that are still to be sent. */
	uint64_t packets, octets;
	struct rte_mbuf *first, *last;
	/* Of a constant rate; times are ns with 32 bits behind the point in `_part`. */
	uint64_t start;	     /* when its SA was made: all lanes count from there */
	uint64_t next;	     /* when the next payload is due; 0: it has not begun */
	uint64_t interval;   /* of this lane */
	uint64_t configured; /* by the rate; with congestion control the least */
	uint32_t next_part, interval_part, configured_part;
	uint32_t interval_octets; /* of an outer packet, that the latter is for, */
	uint64_t interval_rate;	  /* and bit/s */
	/* Numbers that its payloads of this round will take. */
	uint64_t round;
	uint32_t taken;
	uint64_t taken_octets;

	uint64_t counts[AGGFRAG_TX_MAX]; /* cells */
} __rte_cache_aligned;

/* What a payload has room for. */
struct aggfrag_room {
	uint16_t size; /* octets of a full payload with its header */
	uint16_t head; /* in front of it, for what it will be in */
	uint16_t tail; /* and behind it */
};

/* n streams side by side, of lanes 0 to n - 1, of an SA made at `start` (ns); params is copied.
 * -ENOMEM. */
int aggfrag_out_create(const struct aggfrag_params *params, uint16_t n, uint64_t start,
		       struct aggfrag_out **out, struct err *err);
/* They hold no packet. NULL is fine. */
void aggfrag_out_free(struct aggfrag_out *streams);

/* The largest inner packet, of payloads of so many octets with their header. */
static inline uint16_t
aggfrag_takes(const struct aggfrag_params *p, uint16_t size)
{
	uint16_t header = aggfrag_header_size(p);

	return !p->dont_frag ? AGGFRAG_INNER_MAX : size - RTE_MIN(size, header);
}

/* Whether payloads go at a constant rate, all of one size. */
static inline bool
aggfrag_is_paced(const struct aggfrag_out *s)
{
	return aggfrag_rate(s->params) != 0;
}

/* Queue. An inner packet's struct pkt keeps in `seq` when it came. */

/* Whether so many octets more would be too many. */
bool aggfrag_is_full(const struct aggfrag_out *s, uint32_t octets);
/* Above 95 % of what may wait, with so many more: to be told by CE. */
bool aggfrag_is_nearly_full(const struct aggfrag_out *s, uint64_t octets);
/* Whether it would wait too long (params.max_wait) behind what waits already, by the rate. */
bool aggfrag_is_too_late(const struct aggfrag_out *s, const struct aggfrag_room *room);
void aggfrag_push(struct aggfrag_out *s, struct rte_mbuf *m, uint64_t now);
/* n packets, at least one, of so many octets together. */
void aggfrag_push_all(struct aggfrag_out *s, struct rte_mbuf *const *pkts, uint16_t n,
		      uint64_t octets, uint64_t now);
/* The first, which is not begun; NULL: none waits. */
struct rte_mbuf *aggfrag_pop(struct aggfrag_out *s);
/* Ends all that waits. */
void aggfrag_drop_all(struct aggfrag_out *s, struct worker *w, enum drop_reason why);

/* Payloads. */

/* The next one, or NULL: nothing waits, or there was no mbuf. pad: of full size whatever waits,
 * also of padding alone. Ends those that waited too long, and those that got too large to be sent
 * whole (dont_frag), as too_big.
 */
struct rte_mbuf *aggfrag_payload(struct aggfrag_out *s, struct worker *w,
				 const struct aggfrag_room *room, bool pad, uint64_t now);

/* When a payload is due without a rate: of a queue that is not empty. */
uint64_t aggfrag_due(const struct aggfrag_out *s, const struct aggfrag_room *room);

/* Constant rate: what there is between two packets, of so many octets on the wire, of this lane. */
void aggfrag_interval_set(struct aggfrag_out *s, uint32_t wire_octets, uint64_t rate_bps);
/* Congestion control has its own say: the next payload is due so long after the last one, or now.
 * ns. */
void aggfrag_interval_change(struct aggfrag_out *s, uint64_t interval, uint64_t now);
/* Whether a payload is due, and then the next one is later by the interval. Behind by more than
 * `catchup` intervals, it leaves those out.
 */
bool aggfrag_tick(struct aggfrag_out *s, uint64_t now, uint32_t catchup);

#endif
