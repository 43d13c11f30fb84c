/* CBC, CTR and NULL with a tag of their own: encrypt, then make the tag; or check the tag, then
 * decrypt.
 *
 * Two bursts of the library, one for the cipher and one for the tag, each by the code that is
 * faster for it.
 */
#include "ipsec_mb.h"

#include <string.h>

static inline uint8_t *
head_of(const struct item *item)
{
	return item->text - item->op->session->suite.iv_len - 8;
}

/* Encrypt: the IV of CBC is the counter block under a key of its own, unforeseeable to who has not
 * that key. CFB over one block of zeros is that one AES call.
 */
static void
cbc_ivs_make(struct engine_worker *ew, struct item **items, uint16_t n)
{
	static const uint8_t zeros[16];

	for (uint16_t i = 0; i < n; i++)
		IMB_AES128_CFB_ONE(ew->wide, items[i]->text - ALG_IV_MAX, zeros,
				   items[i]->op->nonce, items[i]->key->iv, sizeof(zeros));
}

static inline IMB_CIPHER_MODE
cipher_mode_of(const struct suite *suite)
{
	if (suite->cipher == ALG_NULL)
		return IMB_CIPHER_NULL;
	return suite->iv_len == ALG_IV_MAX ? IMB_CIPHER_CBC : IMB_CIPHER_CNTR;
}

static bool
cipher_run(struct engine_worker *ew, struct item **items, uint16_t n, enum dir dir)
{
	const struct suite *suite = &items[0]->op->session->suite;
	IMB_CIPHER_DIRECTION way = dir == DIR_ENCRYPT ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	IMB_CIPHER_MODE mode = cipher_mode_of(suite);
	bool cbc_encrypt = mode == IMB_CIPHER_CBC && dir == DIR_ENCRYPT;
	uint64_t key_len = algs[suite->cipher].key_len;
	IMB_JOB *jobs = ew->batch.jobs;
	size_t size = 0;

	if (mode == IMB_CIPHER_NULL || n == 0)
		return true;
	if (cbc_encrypt)
		cbc_ivs_make(ew, items, n);
	for (uint16_t i = 0; i < n; i++) {
		const struct item *item = items[i];
		IMB_JOB *job = &jobs[i];

		job->enc_keys = item->key->enc;
		job->dec_keys = item->key->dec;
		job->key_len_in_bytes = key_len;
		job->src = item->text;
		job->dst = item->text;
		job->cipher_start_src_offset_in_bytes = 0;
		job->msg_len_to_cipher_in_bytes = item->op->text_len;
		job->iv = cbc_encrypt ? item->text - ALG_IV_MAX : item->op->nonce;
		/* CTR: the library puts the block counter, 1, behind salt and IV (RFC 3686). */
		job->iv_len_in_bytes = mode == IMB_CIPHER_CBC ? 16 : 12;
		job->cipher_mode = mode;
		job->cipher_direction = way;
		size += item->op->text_len;
	}
	return IMB_SUBMIT_CIPHER_BURST_NOCHECK(cipher_manager(ew, suite->cipher, n, size, dir),
					       jobs, n, mode, way,
					       (IMB_KEY_SIZE_BYTES)key_len) == n;
}

static const IMB_HASH_ALG hashes[ALG_MAX] = {
	[ALG_HMAC_SHA1_96] = IMB_AUTH_HMAC_SHA_1,
	[ALG_HMAC_SHA256_128] = IMB_AUTH_HMAC_SHA_256,
	[ALG_HMAC_SHA384_192] = IMB_AUTH_HMAC_SHA_384,
	[ALG_HMAC_SHA512_256] = IMB_AUTH_HMAC_SHA_512,
	[ALG_AES_XCBC_96] = IMB_AUTH_AES_XCBC,
	[ALG_AES_CMAC_96] = IMB_AUTH_AES_CMAC,
};

static inline void
tag_job(IMB_JOB *job, const struct item *item, uint8_t *tag, IMB_HASH_ALG hash)
{
	const struct suite *suite = &item->op->session->suite;

	job->src = head_of(item);
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes =
		8 + (uint64_t)suite->iv_len + item->op->text_len + (suite->esn ? 4 : 0);
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = suite->icv_len;
	job->hash_alg = hash;
	if (hash == IMB_AUTH_AES_XCBC) {
		job->u.XCBC._k1_expanded = (const uint32_t *)item->key->aes.k1;
		job->u.XCBC._k2 = item->key->aes.k2;
		job->u.XCBC._k3 = item->key->aes.k3;
	} else if (hash == IMB_AUTH_AES_CMAC) {
		job->u.CMAC._key_expanded = item->key->aes.k1;
		job->u.CMAC._skey1 = item->key->aes.k2;
		job->u.CMAC._skey2 = item->key->aes.k3;
	} else {
		job->u.HMAC._hashed_auth_key_xor_ipad = item->key->hmac.inner;
		job->u.HMAC._hashed_auth_key_xor_opad = item->key->hmac.outer;
	}
}

/* The tags of all items to ew->batch.tags; false when the library failed. */
static bool
tags_make(struct engine_worker *ew, struct item **items, uint16_t n)
{
	enum alg_id auth = items[0]->op->session->suite.auth;
	IMB_HASH_ALG hash = hashes[auth];
	bool ring = hash == IMB_AUTH_AES_XCBC || hash == IMB_AUTH_AES_CMAC;
	IMB_JOB *jobs[CRYPTO_BURST_MAX];
	struct batch *b = &ew->batch;
	size_t size = 0;
	IMB_MGR *mgr;

	for (uint16_t i = 0; i < n; i++)
		size += items[i]->op->text_len;
	mgr = auth_manager(ew, auth, n, size);
	if (ring && IMB_GET_NEXT_BURST(mgr, n, jobs) != n)
		return false;
	for (uint16_t i = 0; i < n; i++) {
		IMB_JOB *job = ring ? jobs[i] : &b->jobs[i];

		tag_job(job, items[i], b->tags[i], hash);
		if (!ring)
			continue;
		job->cipher_mode = IMB_CIPHER_NULL;
		job->cipher_direction = IMB_DIR_ENCRYPT;
		job->chain_order = IMB_ORDER_CIPHER_HASH;
	}
	return ring ? ring_run(mgr, jobs, n) :
		      IMB_SUBMIT_HASH_BURST_NOCHECK(mgr, b->jobs, n, hash) == n;
}

/* ESN's high half is authenticated behind the text but not sent: it lies for a moment where the tag
 * is. */
static void
high_halves_put(struct engine_worker *ew, struct item **items, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		uint8_t *end = items[i]->text + items[i]->op->text_len;

		if (!items[i]->op->session->suite.esn)
			continue;
		memcpy(&ew->batch.behind[i], end, 4);
		memcpy(end, items[i]->op->aad + 4, 4);
	}
}

static void
high_halves_take(struct engine_worker *ew, struct item **items, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		if (items[i]->op->session->suite.esn)
			memcpy(items[i]->text + items[i]->op->text_len, &ew->batch.behind[i], 4);
}

static void
separate_encrypt(struct engine_worker *ew, struct item **items, uint16_t n)
{
	bool done = cipher_run(ew, items, n, DIR_ENCRYPT);

	high_halves_put(ew, items, n);
	done = tags_make(ew, items, n) && done;
	for (uint16_t i = 0; i < n; i++) {
		struct crypto_op *op = items[i]->op;

		tag_copy(op->tag, ew->batch.tags[i], op->session->suite.icv_len);
		op->ok = done;
	}
}

/* What does not hold is not deciphered. */
static void
separate_decrypt(struct engine_worker *ew, struct item **items, uint16_t n)
{
	uint16_t n_good = 0;
	bool done;

	high_halves_put(ew, items, n);
	done = tags_make(ew, items, n);
	high_halves_take(ew, items, n);
	for (uint16_t i = 0; i < n; i++) {
		struct crypto_op *op = items[i]->op;

		op->ok = done && tags_equal(ew->batch.tags[i], op->tag, op->session->suite.icv_len);
		if (likely(op->ok))
			items[n_good++] = items[i];
	}
	if (unlikely(!cipher_run(ew, items, n_good, DIR_DECRYPT)))
		for (uint16_t i = 0; i < n_good; i++)
			items[i]->op->ok = false;
}

void
separate_run(struct engine_worker *ew, struct item **items, uint16_t n, enum dir dir)
{
	if (dir == DIR_ENCRYPT)
		separate_encrypt(ew, items, n);
	else
		separate_decrypt(ew, items, n);
}
