#include "worker/mbufs.h"

#include <string.h>

#include "worker/pkt.h"

/* Room for n more octets behind the first segment's: its tail, and if need be the room in front of
 * its data. */
static bool
room_make(struct rte_mbuf *m, uint32_t n)
{
	uint32_t back;

	if (rte_pktmbuf_tailroom(m) >= n)
		return true;
	back = n - rte_pktmbuf_tailroom(m);
	if (rte_pktmbuf_headroom(m) < back)
		return false;
	memmove((uint8_t *)m->buf_addr + m->data_off - back, rte_pktmbuf_mtod(m, uint8_t *),
		m->data_len);
	m->data_off -= back;
	return true;
}

bool
mbuf_pull(struct rte_mbuf *m, uint32_t n)
{
	uint32_t missing;

	n = RTE_MIN(n, m->pkt_len);
	missing = n > m->data_len ? n - m->data_len : 0;
	if (missing > 0 && !room_make(m, missing))
		return false;
	while (missing > 0) {
		struct rte_mbuf *next = m->next;
		uint16_t take = RTE_MIN(missing, next->data_len);

		memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len),
		       rte_pktmbuf_mtod(next, uint8_t *), take);
		m->data_len += take;
		next->data_off += take;
		next->data_len -= take;
		missing -= take;
		if (next->data_len == 0) {
			m->next = next->next;
			m->nb_segs--;
			next->next = NULL;
			rte_pktmbuf_free_seg(next);
		}
	}
	return true;
}

void
mbuf_cut_tail(struct rte_mbuf *m, uint32_t n)
{
	uint32_t left = m->pkt_len - n;
	struct rte_mbuf *seg = m;

	m->pkt_len = left;
	for (m->nb_segs = 1; left > seg->data_len; m->nb_segs++) {
		left -= seg->data_len;
		seg = seg->next;
	}
	seg->data_len = left;
	rte_pktmbuf_free(seg->next);
	seg->next = NULL;
}

void
mbuf_cut_head(struct rte_mbuf *m, uint32_t n)
{
	m->pkt_len -= n;
	for (struct rte_mbuf *seg = m; n > 0; seg = seg->next) {
		uint16_t take = RTE_MIN(n, seg->data_len);

		seg->data_off += take;
		seg->data_len -= take;
		n -= take;
	}
}

uint8_t *
mbuf_add_tail(struct rte_mbuf *m, uint16_t n, struct rte_mempool *pool)
{
	struct rte_mbuf *last = rte_pktmbuf_lastseg(m);
	uint8_t *at;

	if (rte_pktmbuf_tailroom(last) >= n) {
		at = rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len);
		last->data_len += n;
		m->pkt_len += n;
		return at;
	}
	last->next = rte_pktmbuf_alloc(pool);
	if (last->next == NULL)
		return NULL;
	at = (uint8_t *)rte_pktmbuf_append(last->next, n);
	if (at == NULL) {
		rte_pktmbuf_free_seg(last->next);
		last->next = NULL;
		return NULL;
	}
	m->nb_segs++;
	m->pkt_len += n;
	return at;
}

struct rte_mbuf *
mbuf_front_add(struct rte_mbuf *m, uint16_t n, struct rte_mempool *pool)
{
	struct rte_mbuf *front = rte_pktmbuf_alloc(pool);

	if (front == NULL || rte_pktmbuf_append(front, n) == NULL) {
		rte_pktmbuf_free(front);
		return NULL;
	}
	*pkt_of(front) = *pkt_of(m);
	front->port = m->port;
	front->ol_flags = m->ol_flags & RTE_MBUF_F_RX_RSS_HASH;
	front->next = m;
	front->nb_segs = m->nb_segs + 1;
	front->pkt_len = n + m->pkt_len;
	return front;
}
