/* What the sender's files know of each other. */
#ifndef IPTFS_OUT_H
#define IPTFS_OUT_H

#include <rte_esp.h>
#include <rte_ether.h>

#include "aggfrag/fill.h"
#include "esp/plain.h"
#include "iptfs/iptfs.h"
#include "sa/sa.h"
#include "worker/worker.h"

#define OUT_BURST_PACED 8 /* packets of other sources between two looks at what is due */

/* The stream of a packet's lane. */
static inline struct aggfrag_out *
out_stream(const struct sa *sa, uint16_t lane)
{
	return &sa_more(sa)->fill[lane];
}

/* What a payload of an SA has room for now. */
static inline struct aggfrag_room
out_room(const struct sa *sa)
{
	return (struct aggfrag_room) {
		.size = __atomic_load_n(&sa->mtu, __ATOMIC_RELAXED),
		.head = RTE_MAX(tunnel_out_size(&sa->out) + sa->esp_size + RTE_ETHER_HDR_LEN,
				PLAIN_HEADROOM),
		.tail = sizeof(struct rte_esp_tail) + sa->suite.align + sa->suite.icv_len,
	};
}

/* When it is to be looked at next. */
static inline void
out_wake(struct worker *w, struct aggfrag_out *s, uint64_t at)
{
	wheel_set(&w->iptfs->out, &s->timer, at);
}

/* What waits in it was `before`. */
static inline void
out_note_held(struct worker *w, const struct aggfrag_out *s, uint64_t before)
{
	cell_add(&w->iptfs->held_out, s->packets - before);
}

/* A constant rate is kept from now on, or no longer: then other sources come in small bursts. */
void out_pace(struct worker *w, struct aggfrag_out *s, bool on);

/* Some of what waits in a stream that is closed goes to spd_match again. */
void out_give_back(struct worker *w, struct aggfrag_out *s, uint16_t max);

/* iptfs_drop()'s part of the sender. */
void iptfs_out_drop(struct worker *w, enum drop_reason why);

#endif
