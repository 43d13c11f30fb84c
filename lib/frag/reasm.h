/* Reassembly of what comes in fragments for this gateway itself, before ESP is looked at (RFC 4303
 * section 3.4.1), and the memory of datagrams whose fragments policies judge by ports (RFC 4301
 * section 7).
 *
 * A datagram is known by version, source, destination, identification and, in IPv4, protocol (RFC
 * 791, RFC 8200 section 4.5). One worker owns it, by a hash under a secret that all have in common:
 * frag_owner_of(). What waits is `held`; n fragments that become one packet are n - 1 `merged`.
 *
 * Memory is bounded: a worker holds at most its share of a quarter of its packet buffers, and so
 * many datagrams, of so many pieces each, as the file says. Sources that are peers of inbound SAs
 * have three quarters of both as a reserve, and none of them more than a quarter of that; all other
 * sources share the last quarter. Where one of these limits is reached the oldest datagram under it
 * ends as frag_limit. So who forges sources that are nobody's peer takes nothing from peers, and
 * who forges a peer's takes nothing from other peers.
 *
 * All of it is the worker's, but for what says control.
 */
#ifndef FRAG_REASM_H
#define FRAG_REASM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "stats/drops.h"
#include "worker/stage.h"

struct frag_peers;
struct frag_seen;
struct frag_table;
struct frag_virtual;
struct rte_mbuf;
struct worker;

/* What the workers of a gateway have in common. */
struct frag_shared {
	uint64_t secret[5];	  /* fixed */
	struct frag_peers *peers; /* published by control; NULL: none */
	uint64_t watch_until;	  /* ns: see seen.h; written by any worker */
	uint32_t epoch;		  /* of what was seen; written by control */
};

struct frag_limits {
	uint64_t timeout; /* ns from a datagram's first fragment on */
	uint32_t max_datagrams;
	uint32_t max_pieces;   /* of a datagram */
	uint32_t max_segments; /* packet buffers */
	uint32_t emtu_r;       /* octets of an authentic outer packet (seen.h); 0: any */
};

/* What one of max_datagrams costs, about. */
#define FRAG_DATAGRAM_OCTETS 448

struct frag_counts {
	uint64_t pieces;		  /* fragments taken in */
	uint64_t whole;			  /* datagrams put together */
	uint64_t timed_out;		  /* datagrams that ended so */
	uint64_t evicted;		  /* ended for others' sake */
	uint64_t killed;		  /* ended for what one of their fragments was */
	uint32_t datagrams, others, held; /* now: all, those of no peer, and fragments of all */
	uint32_t segments;		  /* packet buffers of these */
	/* Of those that policies judge by ports (virtual.h): later fragments that got what their
	 * first one got; datagrams of which some waited, and ended so; datagrams and fragments now.
	 */
	uint64_t matched, match_timed_out, match_evicted, match_killed;
	uint32_t match_datagrams, match_held, match_segments;
};

struct frag_worker {
	struct frag_shared *shared;
	struct frag_table *table;
	struct frag_virtual *virtual;
	struct frag_seen *seen;
	uint64_t timeout; /* ns */
	uint32_t emtu_r;  /* as in struct frag_limits */
};

/* For gw. -ENOMEM, -errno where there is no randomness. */
int frag_shared_create(struct frag_shared **out, struct err *err);
/* No worker runs. NULL is fine. */
void frag_shared_free(struct frag_shared *s);

/* For w->frag. -ENOMEM. */
int frag_worker_init(struct worker *w, struct frag_shared *s, const struct frag_limits *limits,
		     struct err *err);
/* Frees what is held. NULL in w->frag is fine. */
void frag_worker_fini(struct worker *w);

/* The worker's, by mail, or control's while it does not run: other limits; max_datagrams and
 * max_segments stay what they are.
 */
void frag_limits_set(struct worker *w, uint64_t timeout, uint32_t max_pieces, uint32_t emtu_r);

/* The worker that a fragment's datagram is of. The data begin with the IP header; of struct pkt
 * flags and l4_off are read.
 */
uint16_t frag_owner_of(const struct worker *w, const struct rte_mbuf *m);

/* Takes a fragment, described as classify left it, its frame's header before the data. Returns the
 * datagram if it is whole with it: data, pkt_len, the IP header and its checksum are the
 * datagram's, headers and the first octets behind them lie in the first segment, the frame's
 * header lies before them; struct pkt is as for a packet that nothing is known of, but for port,
 * flags' PKT_V6, mtu and PKT_REASM. NULL: it is held, or dropped: frag_overlap, frag_duplicate,
 * frag_toolong, frag_malformed, frag_limit, buffer.
 */
struct rte_mbuf *frag_take(struct worker *w, struct rte_mbuf *m);

/* The worker's source: ends those whose time is over. */
source_fn frag_expire;

/* Ends all that wait; those for a first fragment as frag_ports where why is frag_timeout. */
void frag_drop(struct worker *w, enum drop_reason why);

/* Any thread; 0 where w->frag is NULL. */
uint32_t frag_held(const struct worker *w);
struct frag_counts frag_counts_read(const struct worker *w);

/* Control: one inbound SA more, or less, that has packets from this address. Where memory runs out
 * the address has no reserve. What workers may still read is given to free_later.
 */
typedef void frag_defer(void *ctx, void (*fn)(void *obj), void *obj);
void frag_peer_add(struct frag_shared *s, const struct addr *addr, frag_defer *free_later,
		   void *ctx);
void frag_peer_del(struct frag_shared *s, const struct addr *addr, frag_defer *free_later,
		   void *ctx);

#endif
