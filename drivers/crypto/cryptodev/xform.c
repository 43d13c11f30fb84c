#include "cryptodev.h"

#include <errno.h>
#include <string.h>

#include "alg/alg.h"

#define GCM_IV_LEN 12
#define CCM_IV_LEN 11
#define CTR_IV_LEN 16 /* salt, IV, block counter; some devices take the first 12 only */

static const enum rte_crypto_aead_algorithm aeads[ALG_MAX] = {
	[ALG_AES_GCM_128] = RTE_CRYPTO_AEAD_AES_GCM,
	[ALG_AES_GCM_192] = RTE_CRYPTO_AEAD_AES_GCM,
	[ALG_AES_GCM_256] = RTE_CRYPTO_AEAD_AES_GCM,
	[ALG_AES_CCM_128] = RTE_CRYPTO_AEAD_AES_CCM,
	[ALG_AES_CCM_192] = RTE_CRYPTO_AEAD_AES_CCM,
	[ALG_AES_CCM_256] = RTE_CRYPTO_AEAD_AES_CCM,
	[ALG_CHACHA20_POLY1305] = RTE_CRYPTO_AEAD_CHACHA20_POLY1305,
};

static const enum rte_crypto_cipher_algorithm ciphers[ALG_MAX] = {
	[ALG_AES_CBC_128] = RTE_CRYPTO_CIPHER_AES_CBC,
	[ALG_AES_CBC_192] = RTE_CRYPTO_CIPHER_AES_CBC,
	[ALG_AES_CBC_256] = RTE_CRYPTO_CIPHER_AES_CBC,
	[ALG_AES_CTR_128] = RTE_CRYPTO_CIPHER_AES_CTR,
	[ALG_AES_CTR_192] = RTE_CRYPTO_CIPHER_AES_CTR,
	[ALG_AES_CTR_256] = RTE_CRYPTO_CIPHER_AES_CTR,
};

static const enum rte_crypto_auth_algorithm auths[ALG_MAX] = {
	[ALG_HMAC_SHA1_96] = RTE_CRYPTO_AUTH_SHA1_HMAC,
	[ALG_HMAC_SHA256_128] = RTE_CRYPTO_AUTH_SHA256_HMAC,
	[ALG_HMAC_SHA384_192] = RTE_CRYPTO_AUTH_SHA384_HMAC,
	[ALG_HMAC_SHA512_256] = RTE_CRYPTO_AUTH_SHA512_HMAC,
	[ALG_AES_XCBC_96] = RTE_CRYPTO_AUTH_AES_XCBC_MAC,
	[ALG_AES_CMAC_96] = RTE_CRYPTO_AUTH_AES_CMAC,
};

static void
plan_aead(const struct suite *suite, struct plan *plan)
{
	struct rte_crypto_aead_xform *x = &plan->xforms[0].aead;
	bool ccm = aeads[suite->cipher] == RTE_CRYPTO_AEAD_AES_CCM;

	plan->n = 1;
	plan->shape = ccm ? SHAPE_CCM : SHAPE_AEAD;
	plan->xforms[0].type = RTE_CRYPTO_SYM_XFORM_AEAD;
	x->algo = aeads[suite->cipher];
	x->key.length = algs[suite->cipher].key_len;
	x->iv.offset = SLOT_IV;
	x->iv.length = ccm ? CCM_IV_LEN : GCM_IV_LEN;
	x->digest_length = suite->icv_len;
	x->aad_length = suite->esn ? 12 : 8;
}

static void
plan_gmac(const struct suite *suite, struct plan *plan)
{
	struct rte_crypto_auth_xform *x = &plan->xforms[0].auth;

	plan->n = 1;
	plan->shape = SHAPE_GMAC;
	plan->xforms[0].type = RTE_CRYPTO_SYM_XFORM_AUTH;
	x->algo = RTE_CRYPTO_AUTH_AES_GMAC;
	x->key.length = algs[suite->cipher].key_len;
	x->iv.offset = SLOT_IV;
	x->iv.length = GCM_IV_LEN;
	x->digest_length = suite->icv_len;
}

/* NULL is no cipher at all: every device with the authenticator has it so. */
static void
plan_separate(const struct suite *suite, struct plan *plan)
{
	struct rte_crypto_sym_xform *auth = &plan->xforms[plan->n];

	if (suite->cipher != ALG_NULL) {
		struct rte_crypto_cipher_xform *x = &plan->xforms[0].cipher;

		plan->xforms[0].type = RTE_CRYPTO_SYM_XFORM_CIPHER;
		x->algo = ciphers[suite->cipher];
		x->key.length = algs[suite->cipher].key_len;
		x->iv.offset = SLOT_IV;
		x->iv.length = suite->iv_len == ALG_IV_MAX ? ALG_IV_MAX : CTR_IV_LEN;
		auth = &plan->xforms[1];
	}
	plan->n = suite->cipher != ALG_NULL ? 2 : 1;
	plan->shape = SHAPE_SEPARATE;
	auth->type = RTE_CRYPTO_SYM_XFORM_AUTH;
	auth->auth.algo = auths[suite->auth];
	auth->auth.key.length = algs[suite->auth].key_len;
	auth->auth.digest_length = suite->icv_len;
}

int
plan_suite(const struct suite *suite, struct plan *plan, struct err *err)
{
	memset(plan, 0, sizeof(*plan));
	if (suite_is_gmac(suite)) {
		if (suite->iv_len == 0)
			return err_set(err, -ENOTSUP, "AH's AES-GMAC is not for crypto devices");
		plan_gmac(suite, plan);
	} else if (suite->aead) {
		plan_aead(suite, plan);
	} else {
		plan_separate(suite, plan);
	}
	return 0;
}

static bool
aead_fits(const struct rte_crypto_aead_xform *x, uint8_t dev_id)
{
	struct rte_cryptodev_sym_capability_idx at = { .type = RTE_CRYPTO_SYM_XFORM_AEAD,
						       .algo.aead = x->algo };
	const struct rte_cryptodev_symmetric_capability *cap =
		rte_cryptodev_sym_capability_get(dev_id, &at);

	return cap != NULL &&
	       rte_cryptodev_sym_capability_check_aead(cap, x->key.length, x->digest_length,
						       x->aad_length, x->iv.length) == 0;
}

static bool
auth_fits(const struct rte_crypto_auth_xform *x, uint8_t dev_id)
{
	struct rte_cryptodev_sym_capability_idx at = { .type = RTE_CRYPTO_SYM_XFORM_AUTH,
						       .algo.auth = x->algo };
	const struct rte_cryptodev_symmetric_capability *cap =
		rte_cryptodev_sym_capability_get(dev_id, &at);

	return cap != NULL &&
	       rte_cryptodev_sym_capability_check_auth(cap, x->key.length, x->digest_length,
						       x->iv.length) == 0;
}

static bool
cipher_fits(struct rte_crypto_cipher_xform *x, uint8_t dev_id)
{
	struct rte_cryptodev_sym_capability_idx at = { .type = RTE_CRYPTO_SYM_XFORM_CIPHER,
						       .algo.cipher = x->algo };
	const struct rte_cryptodev_symmetric_capability *cap =
		rte_cryptodev_sym_capability_get(dev_id, &at);

	if (cap == NULL)
		return false;
	if (rte_cryptodev_sym_capability_check_cipher(cap, x->key.length, x->iv.length) == 0)
		return true;
	if (x->algo != RTE_CRYPTO_CIPHER_AES_CTR)
		return false;
	x->iv.length = 12;
	return rte_cryptodev_sym_capability_check_cipher(cap, x->key.length, x->iv.length) == 0;
}

static bool
xform_fits(struct rte_crypto_sym_xform *x, uint8_t dev_id)
{
	switch (x->type) {
	case RTE_CRYPTO_SYM_XFORM_AEAD:
		return aead_fits(&x->aead, dev_id);
	case RTE_CRYPTO_SYM_XFORM_AUTH:
		return auth_fits(&x->auth, dev_id);
	case RTE_CRYPTO_SYM_XFORM_CIPHER:
		return cipher_fits(&x->cipher, dev_id);
	default:
		return false;
	}
}

static const char *
xform_name(const struct rte_crypto_sym_xform *x)
{
	switch (x->type) {
	case RTE_CRYPTO_SYM_XFORM_AEAD:
		return rte_crypto_aead_algorithm_strings[x->aead.algo];
	case RTE_CRYPTO_SYM_XFORM_AUTH:
		return rte_crypto_auth_algorithm_strings[x->auth.algo];
	default:
		return rte_crypto_cipher_algorithm_strings[x->cipher.algo];
	}
}

int
plan_fits(struct plan *plan, uint8_t dev_id, const char *name, struct err *err)
{
	struct rte_cryptodev_info info;

	rte_cryptodev_info_get(dev_id, &info);
	if (plan->n > 1 && (info.feature_flags & RTE_CRYPTODEV_FF_SYM_OPERATION_CHAINING) == 0)
		return err_set(err, -ENOTSUP, "%s does not join cipher and authenticator", name);
	for (uint16_t i = 0; i < plan->n; i++)
		if (!xform_fits(&plan->xforms[i], dev_id))
			return err_set(err, -ENOTSUP, "%s has no %s of these lengths", name,
				       xform_name(&plan->xforms[i]));
	return 0;
}

/* Encrypt: cipher, then authenticator; decrypt: the other way round. */
static void
plan_order(struct plan *plan, bool encrypt)
{
	struct rte_crypto_sym_xform first;

	if (plan->n == 1)
		return;
	if (!encrypt) {
		first = plan->xforms[0];
		plan->xforms[0] = plan->xforms[1];
		plan->xforms[1] = first;
	}
	plan->xforms[0].next = &plan->xforms[1];
}

void
plan_keys(struct plan *plan, const struct session *s, bool encrypt)
{
	for (uint16_t i = 0; i < plan->n; i++) {
		struct rte_crypto_sym_xform *x = &plan->xforms[i];

		if (x->type == RTE_CRYPTO_SYM_XFORM_AEAD) {
			x->aead.key.data = s->key;
			x->aead.op =
				encrypt ? RTE_CRYPTO_AEAD_OP_ENCRYPT : RTE_CRYPTO_AEAD_OP_DECRYPT;
		} else if (x->type == RTE_CRYPTO_SYM_XFORM_CIPHER) {
			x->cipher.key.data = s->key;
			x->cipher.op = encrypt ? RTE_CRYPTO_CIPHER_OP_ENCRYPT :
						 RTE_CRYPTO_CIPHER_OP_DECRYPT;
		} else {
			x->auth.key.data = plan->shape == SHAPE_GMAC ? s->key : s->auth_key;
			x->auth.op =
				encrypt ? RTE_CRYPTO_AUTH_OP_GENERATE : RTE_CRYPTO_AUTH_OP_VERIFY;
		}
	}
	plan_order(plan, encrypt);
}
