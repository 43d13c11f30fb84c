/* Published test vectors, each with its source. Hexadecimal, as printed there.
 *
 * Only vectors in the shape of ESP are here: an AAD of 8 or 12 octets, a nonce of salt and IV, at
 * least 9 octets under a tag of its own (the ESP header and some text).
 */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <stddef.h>

#include "alg/alg.h"

struct aead_vector {
	const char *source;
	enum alg_id cipher;
	const char *key, *nonce, *aad, *plain, *text, *tag;
};

struct cipher_vector {
	const char *source;
	enum alg_id cipher;
	const char *key;
	const char *iv; /* CTR: nonce and IV */
	const char *plain, *text;
};

struct auth_vector {
	const char *source;
	enum alg_id auth;
	const char *key; /* maybe shorter than ESP's: HMAC fills up with zeros */
	const char *message;
	const char *tag; /* as long as ESP's */
};

/* Not the other way round: libIPSec_MB exports its self-test's cipher_vectors and would test with
 * ours. */
extern const struct aead_vector vectors_aead[];
extern const size_t n_vectors_aead;
extern const struct cipher_vector vectors_cipher[];
extern const size_t n_vectors_cipher;
extern const struct auth_vector vectors_auth[];
extern const size_t n_vectors_auth;

#endif
