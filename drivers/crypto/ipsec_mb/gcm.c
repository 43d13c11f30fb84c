/* AES-GCM by the direct calls: at every size they beat the library's job interface. */
#include "ipsec_mb.h"

#include "../chain.h"

#define BIND_SIZE(calls, mgr, bits)                                                               \
	(calls) = (struct gcm_calls)                                                              \
	{                                                                                         \
		.pre = (mgr)->gcm##bits##_pre,                                                    \
		.one = { (mgr)->gcm##bits##_enc, (mgr)->gcm##bits##_dec },                        \
		.init = (mgr)->gcm##bits##_init,                                                  \
		.update = { (mgr)->gcm##bits##_enc_update, (mgr)->gcm##bits##_dec_update },       \
		.finalize = { (mgr)->gcm##bits##_enc_finalize, (mgr)->gcm##bits##_dec_finalize }, \
		.gmac_init = (mgr)->gmac##bits##_init, .gmac_update = (mgr)->gmac##bits##_update, \
		.gmac_finalize = (mgr)->gmac##bits##_finalize,                                    \
	}

void
gcm_bind(struct engine_worker *ew)
{
	BIND_SIZE(ew->gcm[0], ew->wide, 128);
	BIND_SIZE(ew->gcm[1], ew->wide, 192);
	BIND_SIZE(ew->gcm[2], ew->wide, 256);
}

/* The tag goes to `tag` in both directions; false when the chain ends before the text. */
static bool
gcm_chain(struct engine_worker *ew, const struct gcm_calls *calls, const void *key,
	  const struct crypto_op *op, uint64_t aad_len, uint8_t *tag, enum dir dir)
{
	struct pieces p;
	uint8_t *at;
	size_t len;

	pieces_init(&p, op->chain, op->text_off, op->text_len);
	calls->init(key, &ew->gcm_ctx, op->nonce, op->aad, aad_len);
	while ((at = pieces_next(&p, &len)) != NULL)
		calls->update[dir](key, &ew->gcm_ctx, at, at, len);
	calls->finalize[dir](key, &ew->gcm_ctx, tag, op->session->suite.icv_len);
	return pieces_left(&p) == 0;
}

static inline void
gcm_encrypt(struct engine_worker *ew, const struct gcm_calls *calls, const void *key,
	    struct crypto_op *ops, uint16_t n)
{
	const struct suite *suite = &ops[0].session->suite;
	uint64_t aad_len = suite->esn ? 12 : 8, icv_len = suite->icv_len;
	aes_gcm_enc_dec_t one = calls->one[DIR_ENCRYPT];

	for (uint16_t i = 0; i < n; i++) {
		struct crypto_op *op = &ops[i];

		if (unlikely(op->chain != NULL)) {
			op->ok = gcm_chain(ew, calls, key, op, aad_len, op->tag, DIR_ENCRYPT);
			continue;
		}
		one(key, &ew->gcm_ctx, op->text, op->text, op->text_len, op->nonce, op->aad,
		    aad_len, op->tag, icv_len);
		op->ok = true;
	}
}

static inline void
gcm_decrypt(struct engine_worker *ew, const struct gcm_calls *calls, const void *key,
	    struct crypto_op *ops, uint16_t n)
{
	const struct suite *suite = &ops[0].session->suite;
	uint64_t aad_len = suite->esn ? 12 : 8, icv_len = suite->icv_len;
	aes_gcm_enc_dec_t one = calls->one[DIR_DECRYPT];

	for (uint16_t i = 0; i < n; i++) {
		struct crypto_op *op = &ops[i];
		uint8_t tag[IMB_MAX_TAG_LEN];
		bool whole = true;

		if (unlikely(op->chain != NULL))
			whole = gcm_chain(ew, calls, key, op, aad_len, tag, DIR_DECRYPT);
		else
			one(key, &ew->gcm_ctx, op->text, op->text, op->text_len, op->nonce, op->aad,
			    aad_len, tag, icv_len);
		op->ok = tags_equal(tag, op->tag, icv_len) && whole;
	}
}

void
gcm_run(struct engine_worker *ew, const void *key, struct crypto_op *ops, uint16_t n, enum dir dir)
{
	const struct gcm_calls *calls = gcm_calls_of(ew, ops[0].session);

	if (dir == DIR_ENCRYPT)
		gcm_encrypt(ew, calls, key, ops, n);
	else
		gcm_decrypt(ew, calls, key, ops, n);
}
