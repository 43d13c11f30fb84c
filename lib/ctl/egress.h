/* Inbound SAs whose packets come in fragments: the path to us carries less than the peer believes.
 * And those whose packets are larger than we take (gateway.reassembly.emtu_r).
 *
 * Only authentic packets count (frag/seen.h). When EGRESS_MANY datagrams of an SA had to be put
 * together within a second, who listens is told what size crosses the path whole, for the peer; and
 * what we take, when one was larger. Each is told of one SA at most once in EGRESS_PAUSE_S.
 * Control's thread only.
 */
#ifndef CTL_EGRESS_H
#define CTL_EGRESS_H

#include "ctl/gw.h"

#define EGRESS_MANY    16
#define EGRESS_PAUSE_S 10
#define EGRESS_SAS     1024 /* that are remembered; two with one place: the later */

struct egress_view {
	uint64_t datagrams; /* that were put together */
	uint16_t frag_max;  /* the largest single fragment */
	uint16_t whole_max; /* the largest packet that came whole, 0: none since there were
			       fragments */
	uint32_t reassembled_max;
	uint64_t told;	     /* events of fragments */
	uint64_t toobig;     /* packets that were larger than we take */
	uint32_t toobig_max; /* the largest of these */
	uint64_t toobig_told;
};

enum egress_kind {
	EGRESS_FRAGMENTS,
	EGRESS_TOOBIG,
};

struct egress_event {
	enum egress_kind kind;
	uint32_t sa;
	/* What crosses the path to us in one piece, as far as it was seen; or what we take. */
	uint16_t fits;
	/* Within the last second: how many were put together, or too big, and the largest. */
	uint32_t packets, largest;
};

int egress_init(struct gw *gw, struct err *err);
void egress_fini(struct gw *gw);
/* At every tick. */
void egress_tick(struct gw *gw, uint64_t now);
/* What was seen of an inbound SA. False: no fragments. */
bool egress_of_sa(const struct gw *gw, uint32_t sa, struct egress_view *view);

#endif
