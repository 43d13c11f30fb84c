/* Suites in the words of DPDK, and the engine of this driver: it is what the list of engines names;
 * what a port's device can do of it is port/offload.h's. */
#include <errno.h>

#include "../drivers.h"
#include "driver.h"

/* What "IV" means is not the same for all drivers: the octets on the wire, or these with the salt,
 * or a whole counter block. With an AEAD it is 12 (CCM: 11) with the salt; a driver that looks at
 * the length of a cipher's IV means the one on the wire (iavf), others want room for the block.
 */
#define NONCE_LENS \
	{          \
		12 \
	}
#define CCM_NONCE_LENS     \
	{                  \
		11, 12, 13 \
	}
#define CTR_IV_LENS       \
	{                 \
		8, 12, 16 \
	}

static const struct inline_suite ciphers[ALG_MAX] = {
#define AEAD(id, name, ...) \
	[id] = { .has_aead = true, .aead = RTE_CRYPTO_AEAD_##name, .iv_lens = __VA_ARGS__ }
#define CIPHER(id, name, ...) \
	[id] = { .has_cipher = true, .cipher = RTE_CRYPTO_CIPHER_##name, .iv_lens = __VA_ARGS__ }
#define GMAC(id) \
	[id] = { .has_auth = true, .auth = RTE_CRYPTO_AUTH_AES_GMAC, .iv_lens = NONCE_LENS }
	AEAD(ALG_AES_GCM_128, AES_GCM, NONCE_LENS),
	AEAD(ALG_AES_GCM_192, AES_GCM, NONCE_LENS),
	AEAD(ALG_AES_GCM_256, AES_GCM, NONCE_LENS),
	AEAD(ALG_AES_CCM_128, AES_CCM, CCM_NONCE_LENS),
	AEAD(ALG_AES_CCM_192, AES_CCM, CCM_NONCE_LENS),
	AEAD(ALG_AES_CCM_256, AES_CCM, CCM_NONCE_LENS),
	AEAD(ALG_CHACHA20_POLY1305, CHACHA20_POLY1305, NONCE_LENS),
	GMAC(ALG_AES_GMAC_128),
	GMAC(ALG_AES_GMAC_192),
	GMAC(ALG_AES_GMAC_256),
	CIPHER(ALG_AES_CBC_128, AES_CBC, { 16 }),
	CIPHER(ALG_AES_CBC_192, AES_CBC, { 16 }),
	CIPHER(ALG_AES_CBC_256, AES_CBC, { 16 }),
	CIPHER(ALG_AES_CTR_128, AES_CTR, CTR_IV_LENS),
	CIPHER(ALG_AES_CTR_192, AES_CTR, CTR_IV_LENS),
	CIPHER(ALG_AES_CTR_256, AES_CTR, CTR_IV_LENS),
	CIPHER(ALG_NULL, NULL, { 0 }),
#undef AEAD
#undef CIPHER
#undef GMAC
};

static const enum rte_crypto_auth_algorithm auths[ALG_MAX] = {
	[ALG_HMAC_SHA1_96] = RTE_CRYPTO_AUTH_SHA1_HMAC,
	[ALG_HMAC_SHA256_128] = RTE_CRYPTO_AUTH_SHA256_HMAC,
	[ALG_HMAC_SHA384_192] = RTE_CRYPTO_AUTH_SHA384_HMAC,
	[ALG_HMAC_SHA512_256] = RTE_CRYPTO_AUTH_SHA512_HMAC,
	[ALG_AES_XCBC_96] = RTE_CRYPTO_AUTH_AES_XCBC_MAC,
	[ALG_AES_CMAC_96] = RTE_CRYPTO_AUTH_AES_CMAC,
};

int
inline_suite_of(const struct suite *suite, struct inline_suite *is, struct err *err)
{
	if (suite->implicit_iv)
		return err_set(err, -ENOTSUP,
			       "rte_security has no word for an IV that is not sent (RFC 8750)");
	*is = ciphers[suite->cipher];
	if (!is->has_aead && !is->has_cipher && !is->has_auth)
		return err_set(err, -ENOTSUP, "rte_security has no %s", algs[suite->cipher].name);
	is->key_len = algs[suite->cipher].key_len;
	is->icv_len = suite->icv_len;
	is->aad_len = suite->esn ? 12 : 8;
	if (!is->has_cipher)
		return 0;
	if (auths[suite->auth] == 0)
		return err_set(err, -ENOTSUP, "rte_security has no %s", algs[suite->auth].name);
	is->has_auth = true;
	is->auth = auths[suite->auth];
	is->auth_key_len = algs[suite->auth].key_len;
	return 0;
}

static int
inline_serves(const struct suite *suite, struct err *err)
{
	struct inline_suite is;

	return inline_suite_of(suite, &is, err);
}

const struct engine engine_inline = {
	.name = "inline",
	.kind = ENGINE_INLINE,
	.serves = inline_serves,
};
