/* Between the files of the receiver's stages: of lib/iptfs alone. */
#ifndef IPTFS_IN_H
#define IPTFS_IN_H

#include "aggfrag/split.h"
#include "iptfs/iptfs.h"
#include "worker/worker.h"

/* What waits is counted for control: payloads, and packets that were taken out and not given on. */
static inline void
held_in_note(struct worker *w)
{
	const struct aggfrag_receiver *r = w->iptfs->in;

	__atomic_store_n(&w->iptfs->held_in,
			 r->payloads + (r->open.m != NULL) + (uint32_t)(r->to - r->from),
			 __ATOMIC_RELAXED);
}

struct aggfrag_link;

/* A payload came, and its turn has come: for the stream that goes back (aggfrag/link.h). */
void feedback_heard(const struct worker *w, struct aggfrag_link *link, const struct rte_mbuf *m);
void feedback_took(const struct worker *w, struct aggfrag_link *link, const struct rte_mbuf *m);

/* iptfs_drop()'s part of the receiver. */
void iptfs_in_drop(struct worker *w, enum drop_reason why);

#endif
