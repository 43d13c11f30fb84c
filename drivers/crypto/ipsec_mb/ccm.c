/* AES-CCM (RFC 4309) by the manager's own ring: the burst calls of its own do not know it. */
#include "ipsec_mb.h"

static void
ccm_job(IMB_JOB *job, const struct item *item, uint8_t *tag, enum dir dir)
{
	const struct suite *suite = &item->op->session->suite;

	job->enc_keys = item->key->enc;
	job->dec_keys = item->key->enc;
	job->key_len_in_bytes = algs[suite->cipher].key_len;
	job->src = item->text;
	job->dst = item->text;
	job->cipher_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = item->op->text_len;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = item->op->text_len;
	job->iv = item->op->nonce;
	job->iv_len_in_bytes = 11;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = suite->icv_len;
	job->u.CCM.aad = item->op->aad;
	job->u.CCM.aad_len_in_bytes = suite->esn ? 12 : 8;
	job->cipher_mode = IMB_CIPHER_CCM;
	job->hash_alg = IMB_AUTH_AES_CCM;
	job->cipher_direction = dir == DIR_ENCRYPT ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	/* The tag is over the plain text. */
	job->chain_order = dir == DIR_ENCRYPT ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
}

void
ccm_run(struct engine_worker *ew, struct item **items, uint16_t n, enum dir dir)
{
	IMB_JOB *jobs[CRYPTO_BURST_MAX];
	struct batch *b = &ew->batch;
	size_t size = 0;
	IMB_MGR *mgr;
	bool done;

	for (uint16_t i = 0; i < n; i++)
		size += items[i]->op->text_len;
	mgr = cipher_manager(ew, items[0]->op->session->suite.cipher, n, size, dir);
	if (IMB_GET_NEXT_BURST(mgr, n, jobs) != n)
		return;
	for (uint16_t i = 0; i < n; i++)
		ccm_job(jobs[i], items[i], dir == DIR_ENCRYPT ? items[i]->op->tag : b->tags[i],
			dir);
	done = ring_run(mgr, jobs, n);
	for (uint16_t i = 0; i < n; i++) {
		struct crypto_op *op = items[i]->op;

		op->ok = done && (dir == DIR_ENCRYPT ||
				  tags_equal(b->tags[i], op->tag, op->session->suite.icv_len));
	}
}
