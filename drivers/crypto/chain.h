/* The text of an operation as pieces: one, or as many as the mbuf chain has. Empty segments are
 * passed over.
 *
 * pieces_next gives NULL behind the last piece. A chain shorter than the text is a mistake of the
 * caller of the engine; what is there of it is walked, and pieces_left is not 0 then.
 */
#ifndef DRIVERS_CRYPTO_CHAIN_H
#define DRIVERS_CRYPTO_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_mbuf.h>

struct pieces {
	struct rte_mbuf *m;
	size_t off; /* into m, or beyond it at the start */
	size_t left;
};

static inline void
pieces_init(struct pieces *p, struct rte_mbuf *m, size_t off, size_t len)
{
	*p = (struct pieces) { .m = m, .off = off, .left = len };
}

static inline uint8_t *
pieces_next(struct pieces *p, size_t *len)
{
	uint8_t *at;

	if (p->left == 0)
		return NULL;
	while (p->m != NULL && p->off >= p->m->data_len) {
		p->off -= p->m->data_len;
		p->m = p->m->next;
	}
	if (p->m == NULL)
		return NULL;
	at = rte_pktmbuf_mtod_offset(p->m, uint8_t *, p->off);
	*len = RTE_MIN(p->left, p->m->data_len - p->off);
	p->left -= *len;
	p->off += *len;
	return at;
}

static inline size_t
pieces_left(const struct pieces *p)
{
	return p->left;
}

#endif
