/* From raw keys to what the library's code works with. */
#include "ipsec_mb.h"

#include <string.h>

const uint8_t kinds[ALG_MAX] = {
	[ALG_AES_GCM_128] = KIND_GCM,	   [ALG_AES_GCM_192] = KIND_GCM,
	[ALG_AES_GCM_256] = KIND_GCM,	   [ALG_AES_CCM_128] = KIND_CCM,
	[ALG_AES_CCM_256] = KIND_CCM,	   [ALG_CHACHA20_POLY1305] = KIND_CHACHA,
	[ALG_AES_GMAC_128] = KIND_GMAC,	   [ALG_AES_GMAC_192] = KIND_GMAC,
	[ALG_AES_GMAC_256] = KIND_GMAC,	   [ALG_AES_CBC_128] = KIND_SEPARATE,
	[ALG_AES_CBC_192] = KIND_SEPARATE, [ALG_AES_CBC_256] = KIND_SEPARATE,
	[ALG_AES_CTR_128] = KIND_SEPARATE, [ALG_AES_CTR_192] = KIND_SEPARATE,
	[ALG_AES_CTR_256] = KIND_SEPARATE, [ALG_NULL] = KIND_SEPARATE,
};

static void
aes_expand(const IMB_MGR *mgr, const uint8_t *key, size_t len, uint8_t *enc, uint8_t *dec)
{
	if (len == 16)
		mgr->keyexp_128(key, enc, dec);
	else if (len == 24)
		mgr->keyexp_192(key, enc, dec);
	else
		mgr->keyexp_256(key, enc, dec);
}

/* For those that only encipher: the schedule for deciphering is not kept. */
static void
aes_expand_enc(const IMB_MGR *mgr, const uint8_t *key, uint8_t *enc)
{
	uint8_t dec[11 * 16] __rte_aligned(16);

	mgr->keyexp_128(key, enc, dec);
	explicit_bzero(dec, sizeof(dec));
}

static void
hmac_half(hash_one_block_t one_block, size_t block_len, const uint8_t *key, size_t key_len,
	  uint8_t pad, uint8_t *state)
{
	uint8_t block[IMB_SHA_512_BLOCK_SIZE];

	memset(block, pad, block_len);
	for (size_t i = 0; i < key_len; i++)
		block[i] ^= key[i];
	one_block(block, state);
	explicit_bzero(block, sizeof(block));
}

static void
hmac_expand(const IMB_MGR *mgr, const struct session *s, struct batch_keys *k)
{
	size_t key_len = algs[s->suite.auth].key_len, block_len = IMB_SHA_256_BLOCK_SIZE;
	hash_one_block_t one_block;

	switch (s->suite.auth) {
	case ALG_HMAC_SHA1_96:
		one_block = mgr->sha1_one_block;
		break;
	case ALG_HMAC_SHA256_128:
		one_block = mgr->sha256_one_block;
		break;
	case ALG_HMAC_SHA384_192:
		one_block = mgr->sha384_one_block;
		block_len = IMB_SHA_384_BLOCK_SIZE;
		break;
	default:
		one_block = mgr->sha512_one_block;
		block_len = IMB_SHA_512_BLOCK_SIZE;
		break;
	}
	hmac_half(one_block, block_len, s->auth_key, key_len, 0x36, k->hmac.inner);
	hmac_half(one_block, block_len, s->auth_key, key_len, 0x5c, k->hmac.outer);
}

static void
auth_expand(const IMB_MGR *mgr, const struct session *s, struct batch_keys *k)
{
	switch (s->suite.auth) {
	case ALG_AES_XCBC_96:
		mgr->xcbc_keyexp(s->auth_key, k->aes.k1, k->aes.k2, k->aes.k3);
		break;
	case ALG_AES_CMAC_96:
		aes_expand_enc(mgr, s->auth_key, k->aes.k1);
		mgr->cmac_subkey_gen_128(k->aes.k1, k->aes.k2, k->aes.k3);
		break;
	default:
		hmac_expand(mgr, s, k);
		break;
	}
}

void
keys_expand(const struct engine_worker *ew, const struct session *s, void *entry)
{
	enum kind kind = kind_of(&s->suite);
	struct batch_keys *k = entry;

	if (kind == KIND_GCM || kind == KIND_GMAC) {
		gcm_calls_of(ew, s)->pre(s->key, entry);
		return;
	}
	if (algs[s->suite.cipher].key_len != 0)
		aes_expand(ew->wide, s->key, algs[s->suite.cipher].key_len, k->enc, k->dec);
	if (s->suite.iv_len == ALG_IV_MAX)
		aes_expand_enc(ew->wide, s->iv_key, k->iv);
	if (kind == KIND_SEPARATE)
		auth_expand(ew->wide, s, k);
}
