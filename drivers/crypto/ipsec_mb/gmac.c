/* AES-GMAC (RFC 4543): all is authenticated, nothing enciphered; both directions make the tag. */
#include "ipsec_mb.h"

#include "../chain.h"

/* Without ESN what is authenticated lies in the packet as it is: ESP header, IV, text. As the AAD
 * of a GCM call over no text that is a third faster than the GMAC calls.
 */
static inline void
gmac_in_place(struct engine_worker *ew, const struct gcm_calls *calls, const void *key,
	      const struct crypto_op *op, uint8_t *tag)
{
	calls->one[DIR_ENCRYPT](key, &ew->gcm_ctx, op->text, op->text, 0, op->nonce, op->text - 16,
				(uint64_t)op->text_len + 16, tag, IMB_MAX_TAG_LEN);
}

static bool
gmac_in_parts(struct engine_worker *ew, const struct gcm_calls *calls, const void *key,
	      const struct crypto_op *op, uint8_t *tag)
{
	struct gcm_context_data *ctx = &ew->gcm_ctx;
	struct pieces p = { 0 };
	uint8_t *at;
	size_t len;

	calls->gmac_init(key, ctx, op->nonce, 12);
	calls->gmac_update(key, ctx, op->aad, op->session->suite.esn ? 12 : 8);
	calls->gmac_update(key, ctx, op->nonce + 4, 8);
	if (op->chain == NULL)
		calls->gmac_update(key, ctx, op->text, op->text_len);
	else
		pieces_init(&p, op->chain, op->text_off, op->text_len);
	while ((at = pieces_next(&p, &len)) != NULL)
		calls->gmac_update(key, ctx, at, len);
	calls->gmac_finalize(key, ctx, tag, IMB_MAX_TAG_LEN);
	return pieces_left(&p) == 0;
}

/* AH: the packet from its first octet on, 8 before the text, and ESN's high half. */
static bool
gmac_whole(struct engine_worker *ew, const struct gcm_calls *calls, const void *key,
	   const struct crypto_op *op, uint8_t *tag)
{
	struct gcm_context_data *ctx = &ew->gcm_ctx;
	struct pieces p = { 0 };
	uint8_t *at;
	size_t len;

	calls->gmac_init(key, ctx, op->nonce, 12);
	if (op->chain == NULL)
		calls->gmac_update(key, ctx, op->text - CRYPTO_BEFORE,
				   (uint64_t)op->text_len + CRYPTO_BEFORE);
	else
		pieces_init(&p, op->chain, op->text_off - CRYPTO_BEFORE,
			    (size_t)op->text_len + CRYPTO_BEFORE);
	while ((at = pieces_next(&p, &len)) != NULL)
		calls->gmac_update(key, ctx, at, len);
	if (op->session->suite.esn)
		calls->gmac_update(key, ctx, op->aad + 4, 4);
	calls->gmac_finalize(key, ctx, tag, IMB_MAX_TAG_LEN);
	return pieces_left(&p) == 0;
}

void
gmac_run(struct engine_worker *ew, const void *key, struct crypto_op *ops, uint16_t n, enum dir dir)
{
	const struct gcm_calls *calls = gcm_calls_of(ew, ops[0].session);
	bool esn = ops[0].session->suite.esn, whole = ops[0].session->suite.iv_len == 0;

	for (uint16_t i = 0; i < n; i++) {
		struct crypto_op *op = &ops[i];
		uint8_t made[IMB_MAX_TAG_LEN], *tag = dir == DIR_ENCRYPT ? op->tag : made;
		bool ok = true;

		if (unlikely(whole))
			ok = gmac_whole(ew, calls, key, op, tag);
		else if (likely(!esn && op->chain == NULL))
			gmac_in_place(ew, calls, key, op, tag);
		else
			ok = gmac_in_parts(ew, calls, key, op, tag);
		op->ok = ok && (dir == DIR_ENCRYPT || tags_equal(made, op->tag, sizeof(made)));
	}
}
