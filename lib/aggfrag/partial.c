/* Packets that come in pieces, and octets that change buffers. */
#include <string.h>

#include "aggfrag/inner.h"
#include "worker/worker.h"

void
aggfrag_drop_piece(struct worker *w, const struct aggfrag_in *in, enum drop_reason why)
{
	cell_add(&w->split, 1);
	cell_add(&w->drops[why], 1);
	sparse_add(w->sparse, in->sa, in->generation, why);
}

void
partial_count(struct aggfrag_receiver *r, struct aggfrag_in *in)
{
	struct aggfrag_partial *q = &in->partial;
	uint16_t n = q->m != NULL ? q->m->nb_segs : 0;

	if (n != q->held)
		stream_holds(r, in, n - q->held);
	q->held = n;
}

void
partial_end(struct aggfrag_receiver *r, struct aggfrag_in *in, enum drop_reason why)
{
	if (in->partial.m == NULL)
		return;
	rte_pktmbuf_free(in->partial.m);
	in->partial.m = NULL;
	partial_count(r, in);
	in->skipping = true;
	aggfrag_in_count(in, AGGFRAG_RX_INCOMPLETE_PKTS, 1);
	aggfrag_drop_piece(r->w, in, why);
}

static struct rte_mbuf *
segment_add(struct aggfrag_receiver *r, struct rte_mbuf *to, struct rte_mbuf *last)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(r->w->pool);

	if (unlikely(m == NULL))
		return NULL;
	last->next = m;
	to->nb_segs++;
	return m;
}

bool
octets_add(struct aggfrag_receiver *r, struct rte_mbuf *to, const struct rte_mbuf *from,
	   uint32_t at, uint32_t n)
{
	struct rte_mbuf *last = rte_pktmbuf_lastseg(to);

	while (n > 0) {
		uint32_t step = RTE_MIN((uint32_t)rte_pktmbuf_tailroom(last), n);
		uint8_t *there = rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len);
		const uint8_t *octets = octets_read(from, at, step, there);

		if (octets != there)
			memcpy(there, octets, step);
		last->data_len += step;
		to->pkt_len += step;
		at += step;
		n -= step;
		if (unlikely(n > 0)) {
			last = segment_add(r, to, last);
			if (last == NULL)
				return false;
		}
	}
	return true;
}

struct rte_mbuf *
octets_copy(struct aggfrag_receiver *r, struct rte_mbuf *to, const struct rte_mbuf *from,
	    uint32_t at, uint32_t n)
{
	if (to == NULL)
		to = rte_pktmbuf_alloc(r->w->pool);
	if (unlikely(to == NULL))
		return NULL;
	to->port = from->port;
	if (likely(octets_add(r, to, from, at, n)))
		return to;
	rte_pktmbuf_free(to);
	return NULL;
}
