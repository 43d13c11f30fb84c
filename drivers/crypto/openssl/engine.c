/* The openssl engine: the portable fallback, and the oracle the other engines are tested against.
 */
#include "openssl.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <rte_malloc.h>

#include "../chain.h"
#include "../../drivers.h"
#include "stats/cell.h"

static const char *const names[ALG_MAX] = {
	[ALG_AES_GCM_128] = "AES-128-GCM",
	[ALG_AES_GCM_192] = "AES-192-GCM",
	[ALG_AES_GCM_256] = "AES-256-GCM",
	[ALG_AES_CCM_128] = "AES-128-CCM",
	[ALG_AES_CCM_192] = "AES-192-CCM",
	[ALG_AES_CCM_256] = "AES-256-CCM",
	[ALG_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
	[ALG_AES_GMAC_128] = "AES-128-GCM",
	[ALG_AES_GMAC_192] = "AES-192-GCM",
	[ALG_AES_GMAC_256] = "AES-256-GCM",
	[ALG_AES_CBC_128] = "AES-128-CBC",
	[ALG_AES_CBC_192] = "AES-192-CBC",
	[ALG_AES_CBC_256] = "AES-256-CBC",
	[ALG_AES_CTR_128] = "AES-128-CTR",
	[ALG_AES_CTR_192] = "AES-192-CTR",
	[ALG_AES_CTR_256] = "AES-256-CTR",
};

static int
openssl_serves(const struct suite *suite, struct err *err)
{
	if (names[suite->cipher] != NULL || suite->cipher == ALG_NULL)
		return 0;
	return err_set(err, -ENOTSUP, "openssl has no %s", algs[suite->cipher].name);
}

static void
openssl_worker_fini(struct engine_worker *ew)
{
	if (ew == NULL)
		return;
	contexts_fini(ew);
	for (int i = 0; i < ALG_MAX; i++)
		EVP_CIPHER_free(ew->ciphers[i]);
	EVP_CIPHER_free(ew->ecb);
	EVP_MAC_free(ew->hmac);
	EVP_MAC_free(ew->cmac);
	if (ew->bounce != NULL)
		explicit_bzero(ew->bounce, BOUNCE_SIZE);
	rte_free(ew->bounce);
	rte_free(ew);
}

static int
fetch_all(struct engine_worker *ew, struct err *err)
{
	for (int i = 0; i < ALG_MAX; i++) {
		if (names[i] == NULL)
			continue;
		ew->ciphers[i] = EVP_CIPHER_fetch(NULL, names[i], NULL);
		if (ew->ciphers[i] == NULL)
			return err_set(err, -ENOTSUP, "openssl: no provider has %s", names[i]);
	}
	ew->ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	ew->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	ew->cmac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	if (ew->ecb == NULL || ew->hmac == NULL || ew->cmac == NULL)
		return err_set(err, -ENOTSUP, "openssl: no provider has AES-128-ECB, HMAC or CMAC");
	return 0;
}

static int
openssl_worker_init(size_t key_cache, uint16_t index, int socket, struct engine_worker **out,
		    struct err *err)
{
	struct engine_worker *ew =
		rte_zmalloc_socket("openssl", sizeof(*ew), RTE_CACHE_LINE_SIZE, socket);
	int rc;

	if (ew == NULL)
		return err_set(err, -ENOMEM, "openssl: no memory on socket %d", socket);
	ew->bounce = rte_malloc_socket("openssl_bounce", BOUNCE_SIZE, RTE_CACHE_LINE_SIZE, socket);
	rc = fetch_all(ew, err);
	if (rc == 0 && (ew->bounce == NULL || contexts_init(ew, key_cache, socket) < 0))
		rc = err_set(err, -ENOMEM, "openssl: no memory for a key cache of %zu octets",
			     key_cache);
	if (rc < 0) {
		openssl_worker_fini(ew);
		return rc;
	}
	*out = ew;
	return 0;
}

static inline bool
crypt_flat(struct engine_worker *ew, const struct crypto_op *op, uint8_t *text, enum dir dir)
{
	if (unlikely(op->text_len == 0))
		return false;
	return op->session->suite.aead ? aead_crypt(ew, op, text, dir) :
					 separate_crypt(ew, op, text, dir);
}

/* An AEAD asks for the text alone; else the ESP header and the IV come along, and with AH's GMAC
 * what lies before the text. */
static bool
crypt_chain(struct engine_worker *ew, const struct crypto_op *op, enum dir dir)
{
	const struct suite *suite = &op->session->suite;
	bool alone = suite->aead && (suite->iv_len != 0 || !suite_is_gmac(suite));
	size_t before = alone ? 0 : CRYPTO_BEFORE + (size_t)suite->iv_len, len;
	uint8_t *to = ew->bounce, *at;
	struct pieces p;
	bool ok;

	cell_add(&ew->bounced, 1);
	pieces_init(&p, op->chain, op->text_off - before, before + op->text_len);
	for (; (at = pieces_next(&p, &len)) != NULL; to += len)
		memcpy(to, at, len);
	if (pieces_left(&p) != 0)
		return false;
	ok = crypt_flat(ew, op, ew->bounce + before, dir);
	pieces_init(&p, op->chain, op->text_off - before, before + op->text_len);
	for (to = ew->bounce; (at = pieces_next(&p, &len)) != NULL; to += len)
		memcpy(at, to, len);
	return ok;
}

static inline void
openssl_crypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n, enum dir dir)
{
	bool failed = false;

	for (uint16_t i = 0; i < n; i++) {
		struct crypto_op *op = &ops[i];

		op->ok = op->chain != NULL ? crypt_chain(ew, op, dir) :
					     crypt_flat(ew, op, op->text, dir);
		failed |= !op->ok;
	}
	/* libcrypto queues a record per failure; nobody reads them. */
	if (unlikely(failed))
		ERR_clear_error();
}

static void
openssl_encrypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n)
{
	openssl_crypt(ew, ops, n, DIR_ENCRYPT);
}

static void
openssl_decrypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n)
{
	openssl_crypt(ew, ops, n, DIR_DECRYPT);
}

static void
openssl_forget(struct engine_worker *ew, uint32_t id)
{
	contexts_forget(ew, id);
}

static uint64_t
openssl_bounced(const struct engine_worker *ew)
{
	return cell_get(&ew->bounced);
}

const struct engine engine_openssl = {
	.name = "openssl",
	.serves = openssl_serves,
	.worker_init = openssl_worker_init,
	.worker_fini = openssl_worker_fini,
	.encrypt = openssl_encrypt,
	.decrypt = openssl_decrypt,
	.forget = openssl_forget,
	.bounced = openssl_bounced,
};
