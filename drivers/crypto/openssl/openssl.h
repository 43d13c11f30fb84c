/* Inside of the openssl driver. */
#ifndef OPENSSL_DRIVER_H
#define OPENSSL_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "crypto/engine.h"

#define CONTEXT_WAYS 4
#define BOUNCE_SIZE  (64 * 1024 + 64)

enum dir {
	DIR_ENCRYPT,
	DIR_DECRYPT
};

/* The contexts of one session, keyed; each is made when first wanted. */
struct contexts {
	uint64_t tag; /* generation << 32 | id */
	uint64_t used;
	EVP_CIPHER_CTX *cipher[2]; /* by direction */
	EVP_CIPHER_CTX *iv;	   /* CBC: AES-128-ECB under iv_key */
	EVP_CIPHER_CTX *block;	   /* XCBC: AES-128-ECB under K1 */
	EVP_MAC_CTX *mac;
	uint8_t k2[16], k3[16]; /* XCBC */
};

struct engine_worker {
	/* Fetched once: an implicit fetch for each packet takes locks. */
	EVP_CIPHER *ciphers[ALG_MAX];
	EVP_CIPHER *ecb;
	EVP_MAC *hmac, *cmac;
	struct contexts *sets; /* CONTEXT_WAYS behind each other */
	uint32_t n_sets;       /* a power of two */
	uint64_t clock;
	uint64_t bounced;
	uint8_t *bounce;
};

int contexts_init(struct engine_worker *ew, size_t key_cache, int socket);
void contexts_fini(struct engine_worker *ew);
void contexts_forget(struct engine_worker *ew, uint32_t id);
/* Those of a session, maybe all NULL as yet. */
struct contexts *contexts_get(struct engine_worker *ew, const struct session *s);

/* The text at `text`, in one piece; false when it is not to be believed or libcrypto failed. */
bool aead_crypt(struct engine_worker *ew, const struct crypto_op *op, uint8_t *text, enum dir dir);
/* Likewise, with the IV and the ESP header before it. */
bool separate_crypt(struct engine_worker *ew, const struct crypto_op *op, uint8_t *text,
		    enum dir dir);

#endif
