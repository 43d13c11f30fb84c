/* ChaCha20-Poly1305 (RFC 7634). Here the job interface is the faster one: its jobs are done when
 * submitted, and take the wide code for text and tag together, which the direct calls do not.
 */
#include "ipsec_mb.h"

#include "../chain.h"

static bool
chacha_flat(struct engine_worker *ew, const struct crypto_op *op, uint8_t *tag, enum dir dir)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(ew->wide);

	job->enc_keys = op->session->key;
	job->dec_keys = op->session->key;
	job->key_len_in_bytes = ALG_KEY_MAX;
	job->src = op->text;
	job->dst = op->text;
	job->cipher_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = op->text_len;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = op->text_len;
	job->iv = op->nonce;
	job->iv_len_in_bytes = 12;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = 16;
	job->u.CHACHA20_POLY1305.aad = op->aad;
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = op->session->suite.esn ? 12 : 8;
	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->cipher_direction = dir == DIR_ENCRYPT ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = dir == DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job = IMB_SUBMIT_JOB_NOCHECK(ew->wide);
	return job != NULL && job->status == IMB_STATUS_COMPLETED;
}

static bool
chacha_chain(struct engine_worker *ew, const struct crypto_op *op, uint8_t *tag, enum dir dir)
{
	struct chacha20_poly1305_context_data *ctx = &ew->chacha_ctx;
	const uint8_t *key = op->session->key;
	struct pieces p;
	uint8_t *at;
	size_t len;

	pieces_init(&p, op->chain, op->text_off, op->text_len);
	IMB_CHACHA20_POLY1305_INIT(ew->wide, key, ctx, op->nonce, op->aad,
				   op->session->suite.esn ? 12 : 8);
	while ((at = pieces_next(&p, &len)) != NULL) {
		if (dir == DIR_ENCRYPT)
			IMB_CHACHA20_POLY1305_ENC_UPDATE(ew->wide, key, ctx, at, at, len);
		else
			IMB_CHACHA20_POLY1305_DEC_UPDATE(ew->wide, key, ctx, at, at, len);
	}
	if (dir == DIR_ENCRYPT)
		IMB_CHACHA20_POLY1305_ENC_FINALIZE(ew->wide, ctx, tag, 16);
	else
		IMB_CHACHA20_POLY1305_DEC_FINALIZE(ew->wide, ctx, tag, 16);
	return pieces_left(&p) == 0;
}

void
chacha_run(struct engine_worker *ew, struct crypto_op *ops, uint16_t n, enum dir dir)
{
	for (uint16_t i = 0; i < n; i++) {
		struct crypto_op *op = &ops[i];
		uint8_t made[16], *tag = dir == DIR_ENCRYPT ? op->tag : made;
		bool ok;

		if (likely(op->chain == NULL))
			ok = chacha_flat(ew, op, tag, dir);
		else
			ok = chacha_chain(ew, op, tag, dir);
		op->ok = ok && (dir == DIR_ENCRYPT || tags_equal(made, op->tag, sizeof(made)));
	}
}
