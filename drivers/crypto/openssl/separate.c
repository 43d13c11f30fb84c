/* CBC, CTR and NULL with HMAC, CMAC or XCBC: encrypt, then make the tag; or check the tag, then
 * decrypt. */
#include "openssl.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>

static EVP_CIPHER_CTX *
cipher_new(const EVP_CIPHER *cipher, const uint8_t *key, enum dir dir)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx == NULL ||
	    EVP_CipherInit_ex2(ctx, cipher, key, NULL, dir == DIR_ENCRYPT, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(ctx, 0) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static const char *
digest_name(enum alg_id auth)
{
	switch (auth) {
	case ALG_HMAC_SHA1_96:
		return "SHA1";
	case ALG_HMAC_SHA256_128:
		return "SHA256";
	case ALG_HMAC_SHA384_192:
		return "SHA384";
	case ALG_HMAC_SHA512_256:
		return "SHA512";
	default:
		return NULL;
	}
}

static EVP_MAC_CTX *
mac_new(struct engine_worker *ew, const struct session *s)
{
	const char *digest = digest_name(s->suite.auth);
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(digest != NULL ? ew->hmac : ew->cmac);
	OSSL_PARAM params[] = { OSSL_PARAM_END, OSSL_PARAM_END };
	char name[16];

	strcpy(name, digest != NULL ? digest : "AES-128-CBC");
	params[0] = OSSL_PARAM_construct_utf8_string(digest != NULL ? OSSL_MAC_PARAM_DIGEST :
								      OSSL_MAC_PARAM_CIPHER,
						     name, 0);
	if (ctx == NULL ||
	    EVP_MAC_init(ctx, s->auth_key, algs[s->suite.auth].key_len, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static bool
block_encrypt(EVP_CIPHER_CTX *ecb, const uint8_t *in, uint8_t *out)
{
	int len;

	return EVP_CipherUpdate(ecb, out, &len, in, 16) == 1 && len == 16;
}

/* RFC 3566 section 4.1: K1, K2, K3 are three constant blocks enciphered under the key. */
static bool
xcbc_keys(struct engine_worker *ew, const struct session *s, struct contexts *c)
{
	EVP_CIPHER_CTX *base = cipher_new(ew->ecb, s->auth_key, DIR_ENCRYPT);
	uint8_t in[16], k1[16];
	bool ok = base != NULL;

	memset(in, 1, sizeof(in));
	ok = ok && block_encrypt(base, in, k1);
	memset(in, 2, sizeof(in));
	ok = ok && block_encrypt(base, in, c->k2);
	memset(in, 3, sizeof(in));
	ok = ok && block_encrypt(base, in, c->k3);
	if (ok)
		c->block = cipher_new(ew->ecb, k1, DIR_ENCRYPT);
	explicit_bzero(k1, sizeof(k1));
	EVP_CIPHER_CTX_free(base);
	return c->block != NULL;
}

/* What the tag is made over: at most two pieces. */
struct message {
	const uint8_t *head, *tail;
	size_t head_len, tail_len;
};

static uint8_t
message_octet(const struct message *m, size_t i)
{
	return i < m->head_len ? m->head[i] : m->tail[i - m->head_len];
}

static bool
xcbc_make(const struct contexts *c, const struct message *m, uint8_t *tag)
{
	size_t left = m->head_len + m->tail_len, at = 0;
	uint8_t e[16] = { 0 };
	const uint8_t *last;

	for (; left > 16; left -= 16) {
		for (int i = 0; i < 16; i++)
			e[i] ^= message_octet(m, at++);
		if (!block_encrypt(c->block, e, e))
			return false;
	}
	last = left == 16 ? c->k2 : c->k3;
	for (size_t i = 0; i < 16 && i < left; i++)
		e[i] ^= message_octet(m, at++);
	if (left < 16)
		e[left] ^= 0x80;
	for (int i = 0; i < 16; i++)
		e[i] ^= last[i];
	return block_encrypt(c->block, e, tag);
}

static bool
mac_make(EVP_MAC_CTX *ctx, const struct message *m, uint8_t *tag)
{
	size_t len;

	return EVP_MAC_init(ctx, NULL, 0, NULL) == 1 &&
	       EVP_MAC_update(ctx, m->head, m->head_len) == 1 &&
	       EVP_MAC_update(ctx, m->tail, m->tail_len) == 1 &&
	       EVP_MAC_final(ctx, tag, &len, EVP_MAX_MD_SIZE) == 1;
}

static bool
tag_make(struct engine_worker *ew, struct contexts *c, const struct crypto_op *op,
	 const uint8_t *text, uint8_t *tag)
{
	const struct suite *suite = &op->session->suite;
	size_t before = 8 + (size_t)suite->iv_len;
	struct message m = { text - before, op->aad + 4, before + op->text_len,
			     suite->esn ? 4 : 0 };

	if (suite->auth == ALG_AES_XCBC_96) {
		if (c->block == NULL && !xcbc_keys(ew, op->session, c))
			return false;
		return xcbc_make(c, &m, tag);
	}
	if (c->mac == NULL)
		c->mac = mac_new(ew, op->session);
	return c->mac != NULL && mac_make(c->mac, &m, tag);
}

/* CBC, encrypt: makes the IV and writes it into the packet. */
static bool
iv_make(struct engine_worker *ew, struct contexts *c, const struct crypto_op *op, uint8_t *iv)
{
	if (c->iv == NULL)
		c->iv = cipher_new(ew->ecb, op->session->iv_key, DIR_ENCRYPT);
	return c->iv != NULL && block_encrypt(c->iv, op->nonce, iv);
}

static bool
cipher_crypt(struct engine_worker *ew, struct contexts *c, const struct crypto_op *op,
	     uint8_t *text, enum dir dir)
{
	const struct suite *suite = &op->session->suite;
	uint8_t iv[16] = { 0 }, rest[16];
	int len, n = op->text_len;

	if (suite->cipher == ALG_NULL)
		return true;
	if (c->cipher[dir] == NULL)
		c->cipher[dir] = cipher_new(ew->ciphers[suite->cipher], op->session->key, dir);
	if (c->cipher[dir] == NULL)
		return false;
	if (suite->iv_len != ALG_IV_MAX) {
		/* RFC 3686 section 4: nonce, IV, block counter from 1. */
		memcpy(iv, op->nonce, 12);
		iv[15] = 1;
	} else if (dir == DIR_DECRYPT) {
		memcpy(iv, op->nonce, sizeof(iv));
	} else if (!iv_make(ew, c, op, iv)) {
		return false;
	} else {
		memcpy(text - ALG_IV_MAX, iv, sizeof(iv));
	}
	return EVP_CipherInit_ex2(c->cipher[dir], NULL, NULL, iv, -1, NULL) == 1 &&
	       EVP_CipherUpdate(c->cipher[dir], text, &len, text, n) == 1 && len == n &&
	       EVP_CipherFinal_ex(c->cipher[dir], rest, &len) == 1 && len == 0;
}

bool
separate_crypt(struct engine_worker *ew, const struct crypto_op *op, uint8_t *text, enum dir dir)
{
	struct contexts *c = contexts_get(ew, op->session);
	size_t icv_len = op->session->suite.icv_len;
	uint8_t tag[EVP_MAX_MD_SIZE];

	if (dir == DIR_ENCRYPT) {
		if (!cipher_crypt(ew, c, op, text, dir) || !tag_make(ew, c, op, text, tag))
			return false;
		memcpy(op->tag, tag, icv_len);
		return true;
	}
	return tag_make(ew, c, op, text, tag) && CRYPTO_memcmp(tag, op->tag, icv_len) == 0 &&
	       cipher_crypt(ew, c, op, text, dir);
}
