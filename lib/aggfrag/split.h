/* The receiver's side of a stream: payloads are brought into order, and inner packets taken out of
 * them (RFC 9347 sections 2.2 and 2.5).
 *
 * A payload waits in its stream's window until those before it have come, or are given up; then it
 * stands in the worker's list of what is ready, until the worker takes it apart. A packet of which
 * a piece is still to come waits in its stream. What waits is bounded: a window of payloads and one
 * packet of each stream, and all streams of a worker together by a part of its packet buffers;
 * beyond that the stream that began to wait first gives up.
 *
 * Buffers: the largest piece of a payload stays in the payload's buffer, if that is worth it
 * (AGGFRAG_KEEP_MIN), or else the beginning of a packet, which moves in it; the rest is copied. A
 * packet that fits one buffer comes in one segment.
 *
 * Of a payload's struct pkt these are used while it waits: seq, sa, generation and lane, which say
 * whose it is; behind; l4_off, the octets up to which its blocks were given on already.
 */
#ifndef AGGFRAG_SPLIT_H
#define AGGFRAG_SPLIT_H

#include <stdint.h>
#include <sys/queue.h>

#include <rte_mbuf.h>

#include "aggfrag/aggfrag.h"
#include "aggfrag/wheel.h"
#include "base/err.h"
#include "stats/cell.h"
#include "stats/drops.h"
#include "worker/pkt.h"
#include "worker/stage.h"

struct worker;

/* A payload that came before its turn. */
struct aggfrag_slot {
	struct rte_mbuf *m;
	uint64_t at; /* ns of worker_awake(): when something behind what is missing before it came
			first */
};

/* An inner packet of which a piece is still to come. */
struct aggfrag_partial {
	struct rte_mbuf *m; /* NULL: there is none */
	uint32_t missing;   /* octets; 0: only what follows tells */
	uint16_t held;	    /* buffers, as they are counted */
	bool unseen;	    /* its length field has not come whole */
	uint64_t at;	    /* ns of worker_awake(): of its last piece */
};

struct aggfrag_link;

/* One lane's. Control makes and frees it with its SA; the window's owner writes it. */
struct aggfrag_in {
	struct wheel_timer timer; /* the first member: when what is missing is given up */
	const struct aggfrag_params *params;
	uint32_t sa, generation; /* it is of: by these it is looked up after a wait */
	uint16_t lane;
	struct aggfrag_link *link; /* published by control: see link.h; NULL: nobody is told */
	/* A first payload has come. Its number is where the stream begins, unless 1 is so near that
	 * it may be on its way still.
	 */
	bool begun;
	bool ended; /* its SA is: nothing waits for what is missing */
	/* What comes now is the rest of a packet that has been counted as incomplete. */
	bool skipping;
	/* The window: the payload of number n is in slots[n & mask]. */
	uint64_t want;	   /* the number that is to come next */
	uint32_t n_slots;  /* in use */
	uint32_t mask;	   /* of as many slots as there are, a power of two */
	uint32_t segments; /* buffers of what waits in it, and of the partial packet */
	struct aggfrag_slot *slots;
	uint64_t *used; /* bit n & mask: the slot is */
	/* Behind the window. */
	uint64_t next; /* the number that is to be taken apart next */
	struct aggfrag_partial partial;
	TAILQ_ENTRY(aggfrag_in) by_age;	 /* while segments is not 0 */
	uint64_t counts[AGGFRAG_RX_MAX]; /* cells */
} __rte_cache_aligned;

/* n streams side by side, of lanes 0 to n - 1; params is copied. -ENOMEM. */
int aggfrag_in_create(const struct aggfrag_params *params, uint16_t n, struct aggfrag_in **in,
		      struct err *err);
/* They hold no packet. NULL is fine. */
void aggfrag_in_free(struct aggfrag_in *streams);

/* The owner, between bursts: the stream is of that SA from now on, and does as params say, which
 * live as long as it does. The window is as large as its slots allow, which were made for the one
 * it had at first, and at least 64.
 */
void aggfrag_in_retune(struct aggfrag_in *in, const struct aggfrag_params *params, uint32_t sa,
		       uint32_t generation);

/* Packets in a row, joined by pkt.behind. */
struct aggfrag_list {
	struct rte_mbuf *first, *last;
};

/* Whole blocks of one payload that are taken out at once; a longer payload takes several turns. */
#define AGGFRAG_BLOCKS_MAX 128

/* Payloads that came before their turn, by name, whose whole packets are not to wait. */
#define AGGFRAG_EARLY_MAX 256

struct aggfrag_early {
	uint64_t seq;
	uint32_t sa, generation;
	uint16_t lane;
};

/* What the streams of a worker have in common. */
struct aggfrag_receiver {
	struct worker *w;
	struct wheel wheel;
	struct aggfrag_list ready; /* in order */
	uint32_t payloads;	   /* in windows, ready, and the one that is open */
	uint32_t segments;	   /* the sum of the streams' */
	uint32_t segments_max;
	uint32_t room; /* octets of a packet that a new buffer takes */
	TAILQ_HEAD(, aggfrag_in) by_age;
	/* The payload that is taken apart, while it is too long for one turn. */
	struct {
		struct rte_mbuf *m;
		struct aggfrag_in *in;
		uint32_t at;
	} open;
	struct pkt like; /* what is known of the packets out of the payload at hand */
	/* Packets that were taken out, in order: from `from` to `to`. */
	uint16_t from, to;
	struct rte_mbuf *given[BURST_MAX + AGGFRAG_BLOCKS_MAX + 2];
	uint64_t round; /* the worker's, in which their SA was looked up: it may be gone in the next
			 */
	uint16_t n_early;
	struct aggfrag_early early[AGGFRAG_EARLY_MAX];
};

/* Control; w->pool may be set later. -ENOMEM. */
int aggfrag_receiver_create(struct worker *w, struct aggfrag_receiver **out, struct err *err);
/* It holds no packet. NULL is fine. */
void aggfrag_receiver_free(struct aggfrag_receiver *r);

static inline void
aggfrag_in_count(struct aggfrag_in *in, enum aggfrag_in_count what, uint64_t n)
{
	cell_add(&in->counts[what], n);
}

/* Takes a payload that is authentic, its data beginning with what ESP carried; pkt says whose it
 * is. False: it came when it was no longer waited for, and is still the caller's.
 */
bool aggfrag_in_put(struct aggfrag_receiver *r, struct aggfrag_in *in, struct rte_mbuf *m);

/* Gives up all that is missing: what waits in the window is ready. */
void aggfrag_in_flush(struct aggfrag_receiver *r, struct aggfrag_in *in);

/* Gives up what was waited for too long, of all streams. now: ns of worker_awake(). */
void aggfrag_expire(struct aggfrag_receiver *r, uint64_t now);

/* Ends all that waits in a stream. */
void aggfrag_in_drop(struct aggfrag_receiver *r, struct aggfrag_in *in, enum drop_reason why);

/* The first payload that is ready; NULL: there is none. The caller, whose it is then, finds its
 * stream, calls aggfrag_in_step(), and then one of those below.
 */
struct rte_mbuf *aggfrag_ready_take(struct aggfrag_receiver *r);

/* The number of the payload at hand: those between it and the one before are lost, here alone. */
void aggfrag_in_step(struct aggfrag_receiver *r, struct aggfrag_in *in, uint64_t seq);

/* Takes a payload apart, which is the receiver's then, unless it is dropped for what is returned:
 * aggfrag_short, aggfrag_subtype. r->like says what is known of the packets in it, which go into
 * r->given: room for AGGFRAG_BLOCKS_MAX and two more is there. What was not taken apart whole is in
 * r->open, for aggfrag_in_more().
 */
enum drop_reason aggfrag_in_open(struct aggfrag_receiver *r, struct aggfrag_in *in,
				 struct rte_mbuf *m);
void aggfrag_in_more(struct aggfrag_receiver *r);

/* The payload of a number that waits in its window; NULL: none. Copies of its whole packets, which
 * are not given a second time when its turn comes.
 */
struct rte_mbuf *aggfrag_in_waiting(const struct aggfrag_in *in, uint64_t seq);
void aggfrag_in_early(struct aggfrag_receiver *r, struct aggfrag_in *in, struct rte_mbuf *m);

/* The payload at hand cannot be read: what it might have carried is lost. */
void aggfrag_in_unreadable(struct aggfrag_receiver *r, struct aggfrag_in *in);

/* A piece of a packet, or one that is not whole, ends under a name. */
void aggfrag_drop_piece(struct worker *w, const struct aggfrag_in *in, enum drop_reason why);

#endif
