#include "crypto/engine.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

/* CBC IVs are made under a key of their own: one octet string known under the SA's key as plain
 * text and cipher text would tell an observer nothing new, but RFC 3602 section 3 wants IVs that
 * nobody can foresee.
 */
static int
iv_key_derive(struct session *s, size_t key_len, size_t auth_len)
{
	static const char label[] = "espgw cbc iv key 1";
	uint8_t in[sizeof(label) + ALG_KEY_MAX + ALG_AUTH_KEY_MAX];
	uint8_t digest[SHA256_DIGEST_LENGTH];
	size_t size = 0;
	int done;

	memcpy(in, label, sizeof(label));
	size += sizeof(label);
	memcpy(in + size, s->key, key_len);
	size += key_len;
	memcpy(in + size, s->auth_key, auth_len);
	size += auth_len;
	done = EVP_Digest(in, size, digest, NULL, EVP_sha256(), NULL);
	memcpy(s->iv_key, digest, sizeof(s->iv_key));
	explicit_bzero(in, sizeof(in));
	explicit_bzero(digest, sizeof(digest));
	return done == 1 ? 0 : -ENOMEM;
}

int
session_init(struct session *s, uint32_t id, uint32_t generation, const struct suite *suite,
	     const uint8_t *key, const uint8_t *auth_key)
{
	size_t key_len = algs[suite->cipher].key_len;
	size_t auth_len = suite->auth != ALG_NONE ? algs[suite->auth].key_len : 0;
	int rc = 0;

	memset(s, 0, sizeof(*s));
	s->id = id;
	s->generation = generation;
	s->suite = *suite;
	memcpy(s->key, key, key_len);
	if (auth_len != 0)
		memcpy(s->auth_key, auth_key, auth_len);
	if (suite->iv_len == ALG_IV_MAX)
		rc = iv_key_derive(s, key_len, auth_len);
	if (rc < 0)
		session_wipe(s);
	return rc;
}

void
session_wipe(struct session *s)
{
	explicit_bzero(s, sizeof(*s));
}
