/* The table's insides, between table.c, which takes pieces, and datagram.c, which makes and ends
 * datagrams and knows their limits. Inside lib/frag only.
 */
#ifndef FRAG_DATAGRAM_H
#define FRAG_DATAGRAM_H

#include "frag/table.h"

#define NONE	 UINT32_MAX /* no index */
#define END_OPEN UINT32_MAX /* the last piece has not come */
#define OTHERS	 0	    /* the source that all without a reserve are */

struct frag_link {
	uint32_t before, behind;
};

struct list {
	uint32_t first, last;
};

/* Which list a datagram stands in by which of its links. */
enum order {
	BY_AGE,	   /* among those with a reserve, or those without */
	BY_SOURCE, /* among those of its source */
	ORDERS
};

/* What is counted against a limit. */
struct share {
	uint32_t datagrams, segments;
};

struct frag_source {
	uint64_t addr[2];
	bool v6;
	uint32_t next; /* in its bucket, or free */
	uint32_t hash;
	struct list list;
	struct share held;
};

struct datagram {
	struct datagram_key key;
	uint64_t expires;
	struct rte_mbuf *root;
	uint32_t next; /* in its bucket, or free */
	uint32_t hash;
	struct frag_link links[ORDERS];
	uint32_t source;
	uint32_t end;	  /* octets of the whole, END_OPEN */
	uint32_t have;	  /* octets that are here */
	uint32_t highest; /* where the last that is here ends */
	uint32_t n_pieces, n_segments;
	uint16_t largest; /* piece, as a packet */
	uint8_t ecn;	  /* mask of what pieces carry */
	uint8_t dead;	  /* why it was ended, and all that still comes of it is; DROP_NONE */
};

struct frag_table {
	struct frag_limits limits;
	uint64_t secret[5];
	uint64_t random; /* of ranks */
	uint32_t mask;	 /* of buckets */
	uint32_t free_datagram, free_source;
	struct list by_age[2];	/* others, reserved */
	struct share used[2];	/* of all in these */
	struct share limit[2];	/* likewise */
	struct share of_source; /* limit of one with a reserve */
	uint32_t held;		/* read by control, as counts */
	struct frag_counts counts;
	uint32_t *buckets, *source_buckets;
	struct datagram *datagrams;
	struct frag_source *sources;
};

/* By one product under secrets; good enough where nobody outside sees a result. */
static inline uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline bool
is_reserved(const struct datagram *d)
{
	return d->source != OTHERS;
}

static inline bool
datagram_key_equal(const struct datagram_key *a, const struct datagram_key *b)
{
	return ((a->src[0] ^ b->src[0]) | (a->src[1] ^ b->src[1]) | (a->dst[0] ^ b->dst[0]) |
		(a->dst[1] ^ b->dst[1]) | (a->rest ^ b->rest)) == 0;
}

/* What is held changes by one piece, or by all of a datagram. */
void datagram_held_add(struct frag_table *t, const struct datagram *d, int32_t pieces,
		       int32_t segments);

uint32_t datagram_find(const struct frag_table *t, const struct datagram_key *key, uint32_t hash);

/* One more, for a first piece of so many segments. NONE: there is no room. */
uint32_t datagram_make(struct frag_table *t, struct worker *w, const struct datagram_key *key,
		       uint32_t hash, bool reserved, uint32_t segments);
/* Room for so many segments more of one that is there; older ones end for it. False: none. */
bool datagram_room_make(struct frag_table *t, struct worker *w, uint32_t i, uint32_t segments);

/* Its pieces are dropped, each by itself, and it goes. count: of those that had any. */
void datagram_end(struct frag_table *t, struct worker *w, uint32_t i, enum drop_reason why,
		  uint64_t *count);
/* The same, but its name stays until its time is over: nothing of it may become a packet any more,
 * what still comes neither (RFC 5722).
 */
void datagram_kill(struct frag_table *t, struct worker *w, struct datagram *d,
		   enum drop_reason why);
/* One whose pieces are gone. */
void datagram_free(struct frag_table *t, uint32_t i);

#endif
