/* What a device is not to be bothered with lies in one piece in a copy: a text in several mbufs,
 * a tag that is not behind its text, and GMAC's number with ESN, whose high half stands in the
 * middle of what is authenticated.
 */
#include "cryptodev.h"

#include <errno.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_memory.h>

#include "../chain.h"

static size_t
bounce_stride(void)
{
	return RTE_ALIGN_CEIL(sizeof(struct bounce), RTE_CACHE_LINE_SIZE) +
	       RTE_ALIGN_CEIL((size_t)BOUNCE_SIZE, RTE_CACHE_LINE_SIZE);
}

int
bounces_init(struct engine_worker *ew, struct err *err)
{
	uint8_t *memory = rte_zmalloc_socket("cryptodev_bounces", BOUNCES * bounce_stride(),
					     RTE_CACHE_LINE_SIZE, ew->socket);

	if (memory == NULL)
		return err_set(err, -ENOMEM, "cryptodev: no memory on socket %d", ew->socket);
	ew->bounces = (struct bounce *)memory;
	for (uint32_t i = 0; i < BOUNCES; i++, memory += bounce_stride()) {
		struct bounce *b = (struct bounce *)memory;

		b->octets = memory + RTE_ALIGN_CEIL(sizeof(*b), RTE_CACHE_LINE_SIZE);
		b->m.buf_addr = b->octets;
		b->m.buf_iova = rte_mem_virt2iova(b->octets);
		/* Over the edge of a page, as a device with physical addresses sees it. */
		if (rte_mem_virt2iova(b->octets + BOUNCE_SIZE - 1) !=
		    b->m.buf_iova + BOUNCE_SIZE - 1)
			continue;
		b->m.buf_len = UINT16_MAX;
		b->m.nb_segs = 1;
		b->m.refcnt = 1;
		b->next = ew->free_bounce;
		ew->free_bounce = b;
	}
	return 0;
}

/* Copies have held clear text. */
void
bounces_fini(struct engine_worker *ew)
{
	if (ew->bounces != NULL)
		explicit_bzero(ew->bounces, BOUNCES * bounce_stride());
	rte_free(ew->bounces);
}

/* `size` octets that end with the text, `back` or forth; false: the chain is too short. */
static bool
octets_copy(const struct bounce *b, size_t before, bool back)
{
	size_t size = before + b->text_len, len;
	uint8_t *copy = b->octets + b->front - before;
	struct pieces p;
	uint8_t *at;

	if (b->chain == NULL) {
		memcpy(back ? b->text - before : copy, back ? copy : b->text - before, size);
		return true;
	}
	pieces_init(&p, b->chain, b->text_off - before, size);
	for (; (at = pieces_next(&p, &len)) != NULL; copy += len)
		memcpy(back ? at : copy, back ? copy : at, len);
	return pieces_left(&p) == 0;
}

struct bounce *
bounce_take(struct engine_worker *ew, const struct crypto_op *op, enum shape shape, bool encrypt,
	    bool *whole)
{
	const struct suite *suite = &op->session->suite;
	struct bounce *b = ew->free_bounce;
	size_t aad_len = suite->esn ? 12 : 8, before = 0;

	if (unlikely(b == NULL))
		return NULL;
	ew->free_bounce = b->next;
	b->chain = op->chain;
	if (op->chain != NULL)
		b->text_off = op->text_off;
	else
		b->text = op->text;
	b->text_len = op->text_len;
	b->icv_len = suite->icv_len;
	b->tag = encrypt ? op->tag : NULL;
	if (shape == SHAPE_SEPARATE)
		before = CRYPTO_BEFORE + (size_t)suite->iv_len;
	b->copied_back = (uint8_t)before;
	b->front = (uint8_t)(shape == SHAPE_GMAC ? aad_len + 8 : before);
	/* The largest that a packet can carry fits. */
	*whole = b->front + b->text_len <= UINT16_MAX && octets_copy(b, before, false);
	if (shape == SHAPE_GMAC) {
		memcpy(b->octets, op->aad, aad_len);
		memcpy(b->octets + aad_len, op->nonce + 4, 8);
	}
	if (!encrypt && *whole)
		memcpy(b->octets + b->front + b->text_len, op->tag, b->icv_len);
	b->m.data_len = (uint16_t)RTE_MIN(b->front + b->text_len + ALG_ICV_MAX, UINT16_MAX);
	b->m.pkt_len = b->m.data_len;
	cell_add(&ew->bounced, 1);
	return b;
}

void
bounce_give(struct engine_worker *ew, struct bounce *b, bool back)
{
	if (back) {
		octets_copy(b, b->copied_back, true);
		if (b->tag != NULL)
			memcpy(b->tag, b->octets + b->front + b->text_len, b->icv_len);
	}
	b->next = ew->free_bounce;
	ew->free_bounce = b;
}
