#include "alg/alg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
const struct alg algs[ALG_MAX] = {
	/* name                 id                      kind        IANA key salt iv icv align ctr    short  iiv  RFC */
	{ "none",               ALG_NONE,               ALG_AUTH,     0,  0, 0,  0,  0,  4, false, false,  0, "" },
	{ "aes-gcm-128",        ALG_AES_GCM_128,        ALG_AEAD,    20, 16, 4,  8, 16,  4, true,  true,  16, "4106" },
	{ "aes-gcm-192",        ALG_AES_GCM_192,        ALG_AEAD,    20, 24, 4,  8, 16,  4, true,  true,  16, "4106" },
	{ "aes-gcm-256",        ALG_AES_GCM_256,        ALG_AEAD,    20, 32, 4,  8, 16,  4, true,  true,  16, "4106" },
	{ "aes-ccm-128",        ALG_AES_CCM_128,        ALG_AEAD,    16, 16, 3,  8, 16,  4, true,  true,   8, "4309" },
	{ "aes-ccm-192",        ALG_AES_CCM_192,        ALG_AEAD,    16, 24, 3,  8, 16,  4, true,  true,   8, "4309" },
	{ "aes-ccm-256",        ALG_AES_CCM_256,        ALG_AEAD,    16, 32, 3,  8, 16,  4, true,  true,   8, "4309" },
	{ "chacha20-poly1305",  ALG_CHACHA20_POLY1305,  ALG_AEAD,    28, 32, 4,  8, 16,  4, true,  false, 16, "7634" },
	{ "aes-gmac-128",       ALG_AES_GMAC_128,       ALG_AEAD,    21, 16, 4,  8, 16,  4, true,  false,  0, "4543" },
	{ "aes-gmac-192",       ALG_AES_GMAC_192,       ALG_AEAD,    21, 24, 4,  8, 16,  4, true,  false,  0, "4543" },
	{ "aes-gmac-256",       ALG_AES_GMAC_256,       ALG_AEAD,    21, 32, 4,  8, 16,  4, true,  false,  0, "4543" },
	{ "aes-cbc-128",        ALG_AES_CBC_128,        ALG_CIPHER,  12, 16, 0, 16,  0, 16, false, false,  0, "3602" },
	{ "aes-cbc-192",        ALG_AES_CBC_192,        ALG_CIPHER,  12, 24, 0, 16,  0, 16, false, false,  0, "3602" },
	{ "aes-cbc-256",        ALG_AES_CBC_256,        ALG_CIPHER,  12, 32, 0, 16,  0, 16, false, false,  0, "3602" },
	{ "aes-ctr-128",        ALG_AES_CTR_128,        ALG_CIPHER,  13, 16, 4,  8,  0,  4, true,  false,  0, "3686" },
	{ "aes-ctr-192",        ALG_AES_CTR_192,        ALG_CIPHER,  13, 24, 4,  8,  0,  4, true,  false,  0, "3686" },
	{ "aes-ctr-256",        ALG_AES_CTR_256,        ALG_CIPHER,  13, 32, 4,  8,  0,  4, true,  false,  0, "3686" },
	{ "null",               ALG_NULL,               ALG_CIPHER,  11,  0, 0,  0,  0,  4, false, false,  0, "2410" },
	{ "hmac-sha1-96",       ALG_HMAC_SHA1_96,       ALG_AUTH,     2, 20, 0,  0, 12,  4, false, false,  0, "2404" },
	{ "hmac-sha256-128",    ALG_HMAC_SHA256_128,    ALG_AUTH,    12, 32, 0,  0, 16,  4, false, false,  0, "4868" },
	{ "hmac-sha384-192",    ALG_HMAC_SHA384_192,    ALG_AUTH,    13, 48, 0,  0, 24,  4, false, false,  0, "4868" },
	{ "hmac-sha512-256",    ALG_HMAC_SHA512_256,    ALG_AUTH,    14, 64, 0,  0, 32,  4, false, false,  0, "4868" },
	{ "aes-xcbc-96",        ALG_AES_XCBC_96,        ALG_AUTH,     5, 16, 0,  0, 12,  4, false, false,  0, "3566" },
	{ "aes-cmac-96",        ALG_AES_CMAC_96,        ALG_AUTH,     8, 16, 0,  0, 12,  4, false, false,  0, "4494" },
};
/* clang-format on */

const struct alg *
alg_find(const char *name, enum alg_kind kind)
{
	for (int i = ALG_NONE + 1; i < ALG_MAX; i++)
		if (algs[i].kind == kind && strcmp(algs[i].name, name) == 0)
			return &algs[i];
	return NULL;
}

static int
pair_check(const struct alg *cipher, const struct alg *auth, struct err *err)
{
	if (cipher->kind == ALG_AEAD && auth != NULL)
		return err_set(err, -EINVAL, "%s authenticates by itself: no auth beside it",
			       cipher->name);
	if (cipher->kind == ALG_CIPHER && auth == NULL)
		return err_set(err, -EINVAL, "cipher %s needs an auth, such as hmac-sha256-128",
			       cipher->name);
	return 0;
}

int
suite_init(struct suite *s, const struct alg *cipher, const struct alg *auth, uint8_t icv_len,
	   bool implicit_iv, bool esn, struct err *err)
{
	const struct alg *tag = auth != NULL ? auth : cipher;
	int rc = pair_check(cipher, auth, err);

	if (rc < 0)
		return rc;
	if (icv_len == 0 && implicit_iv)
		icv_len = cipher->iiv_icv_len;
	if (icv_len == 0)
		icv_len = tag->icv_len;
	if (icv_len != tag->icv_len && !(tag->short_icv && (icv_len == 8 || icv_len == 12)))
		return err_set(err, -EINVAL, "%s has no tag of %u octets: %s", tag->name, icv_len,
			       tag->short_icv ? "8, 12 or 16" : "leave icv out");
	if (implicit_iv && cipher->iiv_icv_len != icv_len)
		return err_set(err, -EINVAL,
			       "RFC 8750 has no implicit IV for %s with a tag of %u: "
			       "aes-gcm with 16, aes-ccm with 8, chacha20-poly1305",
			       cipher->name, icv_len);
	*s = (struct suite) {
		.cipher = cipher->id,
		.auth = auth != NULL ? auth->id : ALG_NONE,
		.iv_len = implicit_iv ? 0 : cipher->iv_len,
		.icv_len = icv_len,
		.align = cipher->align,
		.aead = auth == NULL,
		.esn = esn,
		.implicit_iv = implicit_iv,
	};
	return 0;
}

int
suite_init_ah(struct suite *s, const struct alg *auth, bool esn, struct err *err)
{
	bool gmac = auth->id >= ALG_AES_GMAC_128 && auth->id <= ALG_AES_GMAC_256;

	if (auth->kind != ALG_AUTH && !gmac)
		return err_set(err, -EINVAL,
			       "AH does not encrypt, so it has no %s: an auth such as "
			       "hmac-sha256-128, or aes-gmac-128",
			       auth->name);
	*s = (struct suite) {
		.cipher = gmac ? auth->id : ALG_NULL,
		.auth = gmac ? ALG_NONE : auth->id,
		.icv_len = auth->icv_len,
		.align = 1,
		.aead = gmac,
		.esn = esn,
	};
	return 0;
}

void
suite_name(const struct suite *s, char *buf, size_t size)
{
	if (s->aead)
		snprintf(buf, size, "%s", algs[s->cipher].name);
	else if (s->align == 1)
		snprintf(buf, size, "%s", algs[s->auth].name);
	else
		snprintf(buf, size, "%s+%s", algs[s->cipher].name, algs[s->auth].name);
}
