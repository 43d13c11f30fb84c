/* Fragments on their way to who owns their datagram. */
#ifndef FRAG_SEND_H
#define FRAG_SEND_H

#include "worker/worker.h"

/* To a stage that looks at all fragments of a datagram: by way of the worker that owns it. */
static inline void
frag_send(struct worker *w, struct rte_mbuf *m, enum stage_id stage)
{
	pkt_of(m)->resume = stage;
	pipe_push(w, w->n_workers > 1 && w->handoff != NULL ? STAGE_HANDOFF_FRAG : stage, m);
}

#endif
