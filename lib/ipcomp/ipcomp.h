/* IPComp (RFC 3173) with DEFLATE (RFC 2394): the header, when a packet is worth it, and the two
 * directions over plain octets. What a packet of an SA becomes is lib/esp's (comp_out.c,
 * comp_in.c).
 *
 * Each packet stands alone. What does not get smaller is sent as it is, without a header. With an
 * SA go counters, limits and what is remembered of its flows: those that do not shrink are left
 * alone, for longer and longer (RFC 3173 section 2.2 asks for something like that).
 */
#ifndef IPCOMP_IPCOMP_H
#define IPCOMP_IPCOMP_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "base/err.h"
#include "ipcomp/codec.h"
#include "stats/cell.h"
#include "stats/drops.h"
#include "wire/bytes.h"

/* The wire format of the extension below that is built in: the sign is a flag of the header. */
#define WIRE_IPCOMP_XT 1

#define IPCOMP_HEADER	  4	 /* next header, flags, CPI */
#define IPCOMP_FLAG_XT	  0x01	 /* the four octets of the ports follow in clear */
#define IPCOMP_XT_PORTS	  4	 /* octets */
#define IPCOMP_CPI_STORED 0xf001 /* what follows is not compressed; of the private range */
/* Linux compresses and inflates with a window of 2 KiB. */
#define IPCOMP_HIST_BITS  11
#define IPCOMP_OCTETS_MAX 65535
#define IPCOMP_FRONT	  8 /* octets before a stream: header, and maybe ports */
#define IPCOMP_SLOTS	  256
#define IPCOMP_SLOT_SKIP  16 /* one packet, in a slot's word; below: fails */

/* Of one SA, in the order they are shown. The comp_ are of outbound SAs, the decomp_ of inbound
 * ones; what is dropped is in stats/drops.h. */
#define IPCOMP_COUNTS(X)                                                                   \
	X(TRIED, "comp_tried", "packets given to the codec")                               \
	X(OK, "comp_ok", "packets sent compressed")                                        \
	X(IN_OCTETS, "comp_in_octets", "octets of these before")                           \
	X(OUT_OCTETS, "comp_out_octets", "octets of these after, header included")         \
	X(EXPAND, "comp_expand", "did not get smaller: sent as they are")                  \
	X(SKIP_SMALL, "comp_skip_small", "below the threshold")                            \
	X(SKIP_FRAGMENT, "comp_skip_fragment", "fragments and jumbograms")                 \
	X(SKIP_PROTOCOL, "comp_skip_protocol", "ESP, AH or IPComp already")                \
	X(SKIP_PORT, "comp_skip_port", "of a port whose traffic is encrypted")             \
	X(SKIP_ADAPTIVE, "comp_skip_adaptive", "of a flow that did not shrink lately")     \
	X(SKIP_RANDOM, "comp_skip_random", "a sample of it looks like random octets")      \
	X(SKIP_BUDGET, "comp_skip_budget", "over what a worker compresses in a while")     \
	X(NOBUF, "comp_nobuf", "no room in the packet's buffer for what has to be kept")   \
	X(STORED, "comp_stored", "sent as they are behind a header that says so")          \
	X(DECOMP_OK, "decomp_ok", "packets that were inflated")                            \
	X(DECOMP_IN_OCTETS, "decomp_in_octets", "octets of these before, header included") \
	X(DECOMP_OUT_OCTETS, "decomp_out_octets", "octets of these after")                 \
	X(DECOMP_STORED, "decomp_stored", "came as they are behind a header that says so") \
	X(DECOMP_PLAIN, "decomp_plain", "came without an IPComp header")

enum ipcomp_count {
#define X(id, name, help) IPCOMP_##id,
	IPCOMP_COUNTS(X)
#undef X
	IPCOMP_COUNTS_MAX
};
#define IPCOMP_COUNTS_OUT IPCOMP_DECOMP_OK /* the first that is of inbound SAs */

struct ipcomp_name {
	const char *name;
	const char *help;
};
extern const struct ipcomp_name ipcomp_names[IPCOMP_COUNTS_MAX];

/* So many units at once, and per millisecond. */
struct ipcomp_bucket {
	uint64_t at; /* ns */
	uint64_t left;
};

/* What a worker writes of an SA: all that is counted and remembered. */
struct ipcomp_cell {
	uint64_t counts[IPCOMP_COUNTS_MAX];
	struct ipcomp_bucket inflated;
	struct ipcomp_slot {
		uint16_t word; /* packets that are not tried, times 16; and fails in a row */
	} slots[IPCOMP_SLOTS]; /* by a hash of the flow */
} __rte_cache_aligned;

struct ipcomp_params {
	bool on;
	uint16_t cpi;	     /* host order; out: the peer's, in: ours */
	uint32_t threshold;  /* payloads below it are not tried */
	uint32_t max_output; /* of a packet that is inflated */
	/* The extension that leaves ports readable: xt of transport mode, stored of both. Out: sent
	 * so; in: understood, and then flags that nobody has defined are refused. */
	bool xt, stored;
	uint16_t n_cells; /* 1, or as many as there are workers where several serve the SA */
};

/* Of one direction. Control makes it before the SA is published, and may turn it off. */
struct ipcomp_sa {
	struct ipcomp_params params;
	bool off; /* out: sends plain packets; in: knows the CPI no more */
	struct ipcomp_cell cells[];
};

/* -ENOMEM. */
int ipcomp_sa_create(const struct ipcomp_params *p, struct ipcomp_sa **out, struct err *err);
void ipcomp_sa_free(struct ipcomp_sa *is); /* NULL is fine */
/* Sum over the cells. Any thread. */
uint64_t ipcomp_sa_count(const struct ipcomp_sa *is, enum ipcomp_count what);

static inline bool
ipcomp_sa_is_off(const struct ipcomp_sa *is)
{
	return __atomic_load_n(&is->off, __ATOMIC_RELAXED);
}

/* A worker's part. */
struct ipcomp_worker {
	const struct codec *codec;
	struct codec_worker *cw;
	struct ipcomp_bucket budget;
	uint64_t totals[IPCOMP_COUNTS_MAX];
	/* A packet in several segments is brought together in `in`; results are in `out`. */
	uint8_t in[IPCOMP_OCTETS_MAX + 1];
	uint8_t out[IPCOMP_FRONT + IPCOMP_OCTETS_MAX + 1];
};

/* The first codec of the list that runs here. NULL in *out and 0: none does, and IPComp is not
 * served. -ENOMEM. */
int ipcomp_worker_init(const struct codec *const *codecs, uint16_t n, int socket,
		       struct ipcomp_worker **out, struct err *err);
void ipcomp_worker_fini(struct ipcomp_worker *iw);

static inline void
ipcomp_count(struct ipcomp_worker *iw, struct ipcomp_cell *cell, enum ipcomp_count what, uint64_t n)
{
	cell_add(&cell->counts[what], n);
	cell_add(&iw->totals[what], n);
}

/* ---- The header. ---- */

struct ipcomp_header {
	uint8_t next_header;
	uint8_t flags;
	uint16_t cpi; /* host order */
};

static inline void
ipcomp_header_write(uint8_t *at, const struct ipcomp_header *h)
{
	at[0] = h->next_header;
	at[1] = h->flags;
	at[2] = (uint8_t)(h->cpi >> 8);
	at[3] = (uint8_t)h->cpi;
}

static inline struct ipcomp_header
ipcomp_header_read(const uint8_t *at)
{
	return (struct ipcomp_header) { at[0], at[1], (uint16_t)(at[2] << 8 | at[3]) };
}

/* Whether these have their ports in the first four octets: what XT is defined for. */
bool ipcomp_xt_takes(uint8_t proto);

/* ---- Out. ---- */

/* What is known of a packet that may be compressed. */
struct ipcomp_packet {
	const uint8_t
		*ip; /* headers and 4 octets behind them are contiguous where they are there */
	uint16_t contiguous;
	uint32_t len;	  /* octets, IP header included */
	uint32_t payload; /* of these: what would be compressed */
	uint16_t l4_off;
	uint8_t proto;
	bool v6, fragment;
};

/* What is remembered of the flow: by addresses, and by what stands where ports do. */
static __rte_always_inline struct ipcomp_slot *
ipcomp_slot(struct ipcomp_cell *cell, const uint8_t *ip, uint16_t contiguous, uint16_t l4_off,
	    bool v6)
{
	uint64_t h;

	if (likely(!v6))
		h = wire_load64(ip + 12);
	else
		h = wire_load64(ip + 8) ^ wire_load64(ip + 16) * 3 ^ wire_load64(ip + 24) * 5 ^
		    wire_load64(ip + 32) * 7;
	if (likely(l4_off + 4u <= contiguous))
		h ^= (uint64_t)wire_load32(ip + l4_off) << 13;
	return &cell->slots[h * UINT64_C(0x9e3779b97f4a7c15) >> 56];
}

/* Packets in a row: what is remembered of the last one's flow, taken out of its slot. Zeroed: of
 * none.
 */
struct ipcomp_rest {
	struct ipcomp_slot *slot;
	uint16_t word;
};

/* Before anybody else looks at the slots. */
static __rte_always_inline void
ipcomp_rest_end(struct ipcomp_rest *r)
{
	if (r->slot != NULL)
		r->slot->word = r->word;
	r->slot = NULL;
}

/* The same as ipcomp_skip(), for the usual packet of a flow that is left alone for a while: true,
 * and one packet less of that while.
 */
static __rte_always_inline bool
ipcomp_rests(struct ipcomp_rest *r, struct ipcomp_cell *cell, const uint8_t *ip,
	     uint16_t contiguous, uint16_t l4_off, bool v6)
{
	struct ipcomp_slot *slot = ipcomp_slot(cell, ip, contiguous, l4_off, v6);

	if (unlikely(slot != r->slot)) {
		ipcomp_rest_end(r);
		*r = (struct ipcomp_rest) { slot, slot->word };
	}
	if (r->word < IPCOMP_SLOT_SKIP)
		return false;
	r->word -= IPCOMP_SLOT_SKIP;
	return true;
}

/* Why a packet is sent as it is, or IPCOMP_COUNTS_MAX: try it. *slot: what is remembered of its
 * flow, to be given to ipcomp_learn(); NULL with reasons that say nothing of the flow's octets.
 * Does not look at the payload.
 */
enum ipcomp_count ipcomp_skip(struct ipcomp_worker *iw, const struct ipcomp_sa *is,
			      struct ipcomp_cell *cell, const struct ipcomp_packet *p, uint64_t now,
			      struct ipcomp_slot **slot);

/* Compresses to iw->out + IPCOMP_FRONT, into at most room octets; *size of them. IPCOMP_OK,
 * IPCOMP_EXPAND, or IPCOMP_SKIP_RANDOM: a sample says that it is not worth it. Counts tries and
 * what did not shrink, and learns of it.
 */
enum ipcomp_count ipcomp_pack(struct ipcomp_worker *iw, struct ipcomp_cell *cell,
			      struct ipcomp_slot *slot, const uint8_t *in, uint32_t len,
			      uint32_t room, uint32_t *size);

/* ---- In. ---- */

/* What stands behind ESP, with the IPComp header. */
struct ipcomp_input {
	const uint8_t *octets;
	uint32_t len;
	uint32_t room; /* what the result may have at most: 65,535 less the headers before it */
	uint64_t now;  /* ns */
};

struct ipcomp_output {
	const uint8_t *octets; /* iw->out, or inside the input: stored */
	uint32_t len;
	uint8_t next_header;
	bool stored;
};

/* Checks the header against the SA and inflates. DROP_NONE, or ipcomp_short, ipcomp_flags,
 * ipcomp_cpi, ipcomp_xt_proto, ipcomp_nested, ipcomp_bomb, ipcomp_corrupt, ipcomp_trailing,
 * ipcomp_rate. Which next headers an SA takes is the caller's.
 */
enum drop_reason ipcomp_open(struct ipcomp_worker *iw, const struct ipcomp_sa *is,
			     struct ipcomp_cell *cell, const struct ipcomp_input *in,
			     struct ipcomp_output *out);

#endif
