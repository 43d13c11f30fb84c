/* Between the files of the receiver: of lib/aggfrag alone. */
#ifndef AGGFRAG_INNER_H
#define AGGFRAG_INNER_H

#include "aggfrag/split.h"

/* The stream holds n buffers more, or fewer. */
void stream_holds(struct aggfrag_receiver *r, struct aggfrag_in *in, int32_t n);

/* It begins to wait: it is the youngest that does. Its timer runs. */
void stream_waits(struct aggfrag_receiver *r, struct aggfrag_in *in);

/* While the streams hold more than they may: the oldest gives up what it has. */
void streams_bound(struct aggfrag_receiver *r);

/* Ends the partial packet, if there is one. */
void partial_end(struct aggfrag_receiver *r, struct aggfrag_in *in, enum drop_reason why);

/* The buffers of the partial packet have changed. */
void partial_count(struct aggfrag_receiver *r, struct aggfrag_in *in);

/* n octets of a packet from at on, behind the last of another, or as a new one, for which there may
 * be an mbuf already. False and NULL: no mbuf; what was added stays.
 */
bool octets_add(struct aggfrag_receiver *r, struct rte_mbuf *to, const struct rte_mbuf *from,
		uint32_t at, uint32_t n);
struct rte_mbuf *octets_copy(struct aggfrag_receiver *r, struct rte_mbuf *to,
			     const struct rte_mbuf *from, uint32_t at, uint32_t n);

/* n octets of a packet from at on that lie in a row: there, or in copy. */
static inline const uint8_t *
octets_read(const struct rte_mbuf *m, uint32_t at, uint32_t n, void *copy)
{
	if (likely(m->nb_segs == 1))
		return rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	return rte_pktmbuf_read(m, at, n, copy);
}

#endif
