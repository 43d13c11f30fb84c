/* GCM, CCM, ChaCha20-Poly1305 and GMAC by EVP. */
#include "openssl.h"

static bool
is_ccm(const struct suite *suite)
{
	return suite->cipher >= ALG_AES_CCM_128 && suite->cipher <= ALG_AES_CCM_256;
}

/* Keyed, with the lengths of nonce and tag set; a packet only sets its nonce. */
static EVP_CIPHER_CTX *
context_new(struct engine_worker *ew, const struct session *s, enum dir dir)
{
	const struct suite *suite = &s->suite;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int nonce_len = algs[suite->cipher].salt_len + 8;
	bool ok = ctx != NULL;

	ok = ok && EVP_CipherInit_ex2(ctx, ew->ciphers[suite->cipher], NULL, NULL,
				      dir == DIR_ENCRYPT, NULL) == 1;
	ok = ok && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, nonce_len, NULL) == 1;
	if (is_ccm(suite))
		ok = ok &&
		     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, suite->icv_len, NULL) == 1;
	ok = ok && EVP_CipherInit_ex2(ctx, NULL, s->key, NULL, -1, NULL) == 1;
	if (ok)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

static bool
aad_put(EVP_CIPHER_CTX *ctx, const struct crypto_op *op, const uint8_t *text)
{
	const struct suite *suite = &op->session->suite;
	int len;

	if (is_ccm(suite) && EVP_CipherUpdate(ctx, NULL, &len, NULL, op->text_len) != 1)
		return false;
	/* AH: the packet from its first octet on, and ESN's high half. */
	if (suite_is_gmac(suite) && suite->iv_len == 0)
		return EVP_CipherUpdate(ctx, NULL, &len, text - CRYPTO_BEFORE,
					op->text_len + CRYPTO_BEFORE) == 1 &&
		       (!suite->esn || EVP_CipherUpdate(ctx, NULL, &len, op->aad + 4, 4) == 1);
	if (EVP_CipherUpdate(ctx, NULL, &len, op->aad, suite->esn ? 12 : 8) != 1)
		return false;
	if (!suite_is_gmac(suite))
		return true;
	/* RFC 4543 section 3.3: the IV is authenticated twice, as nonce and as text. */
	return EVP_CipherUpdate(ctx, NULL, &len, op->nonce + 4, 8) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &len, text, op->text_len) == 1;
}

static bool
text_put(EVP_CIPHER_CTX *ctx, const struct crypto_op *op, uint8_t *text)
{
	uint8_t rest[16];
	int len;

	if (!suite_is_gmac(&op->session->suite) &&
	    EVP_CipherUpdate(ctx, text, &len, text, op->text_len) != 1)
		return false;
	/* CCM says in the update whether the tag held, and has nothing left to say. */
	if (is_ccm(&op->session->suite))
		return true;
	return EVP_CipherFinal_ex(ctx, rest, &len) == 1;
}

bool
aead_crypt(struct engine_worker *ew, const struct crypto_op *op, uint8_t *text, enum dir dir)
{
	struct contexts *c = contexts_get(ew, op->session);
	int icv_len = op->session->suite.icv_len;
	EVP_CIPHER_CTX *ctx = c->cipher[dir];

	if (ctx == NULL)
		ctx = c->cipher[dir] = context_new(ew, op->session, dir);
	if (ctx == NULL)
		return false;
	if (dir == DIR_DECRYPT &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, icv_len, op->tag) != 1)
		return false;
	if (EVP_CipherInit_ex2(ctx, NULL, NULL, op->nonce, -1, NULL) != 1)
		return false;
	if (!aad_put(ctx, op, text) || !text_put(ctx, op, text))
		return false;
	return dir == DIR_DECRYPT ||
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, icv_len, op->tag) == 1;
}
