/* What stages do with mbuf chains, beside what rte_mbuf.h offers. Slow paths all: one segment needs
 * none. */
#ifndef WORKER_MBUFS_H
#define WORKER_MBUFS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "wire/bytes.h"

/* Makes the first n octets lie in the first segment; all of them, if there are fewer. False: no
 * room. */
bool mbuf_pull(struct rte_mbuf *m, uint32_t n);

/* Cuts n octets off the end, and segments that get empty. n < pkt_len. */
void mbuf_cut_tail(struct rte_mbuf *m, uint32_t n);

/* Takes n octets off the front, over segments. n < pkt_len; the first segment stays, maybe empty.
 */
void mbuf_cut_head(struct rte_mbuf *m, uint32_t n);

/* Adds n octets in one piece behind the last; a segment from pool if they do not fit. NULL: no
 * mbuf. */
uint8_t *mbuf_add_tail(struct rte_mbuf *m, uint16_t n, struct rte_mempool *pool);

/* A segment of n octets in front, for headers that the packet's own has no room for. Takes over
 * what is known of the packet. NULL: no mbuf, and m is as it was.
 */
struct rte_mbuf *mbuf_front_add(struct rte_mbuf *m, uint16_t n, struct rte_mempool *pool);

/* True when nobody else reads or writes the packet's octets: no indirect, shared or borrowed
 * buffer. */
static inline bool
mbuf_is_ours(const struct rte_mbuf *m)
{
	for (; m != NULL; m = m->next)
		if (unlikely(!RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1))
			return false;
	return true;
}

/* One segment of our own: the same as mbuf_is_ours() and nb_segs == 1, from the mbuf's first line
 * alone. */
static inline bool
mbuf_is_plain(const struct rte_mbuf *m)
{
	const uint8_t *shape = (const uint8_t *)m + offsetof(struct rte_mbuf, refcnt);

	return wire_load32(shape) == (1 | 1 << 16) &&
	       (m->ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) == 0;
}
_Static_assert(offsetof(struct rte_mbuf, nb_segs) == offsetof(struct rte_mbuf, refcnt) + 2,
	       "both are read as one");

#endif
