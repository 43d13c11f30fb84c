/* The algorithms of ESP and AH as one table: names of the configuration, lengths in octets, IANA
 * numbers.
 *
 * A new algorithm is a row here, its calls in the engines that have it, and its vectors.
 */
#ifndef ALG_ALG_H
#define ALG_ALG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define ALG_KEY_MAX	 32 /* cipher key without its salt */
#define ALG_SALT_MAX	 4
#define ALG_AUTH_KEY_MAX 64
#define ALG_IV_MAX	 16
#define ALG_ICV_MAX	 32

enum alg_kind {
	ALG_AEAD,   /* RFC 4106, 4309, 7634, and 4543, which only authenticates */
	ALG_CIPHER, /* wants an auth beside it */
	ALG_AUTH,
};

enum alg_id {
	ALG_NONE,
	ALG_AES_GCM_128,
	ALG_AES_GCM_192,
	ALG_AES_GCM_256,
	ALG_AES_CCM_128,
	ALG_AES_CCM_192,
	ALG_AES_CCM_256,
	ALG_CHACHA20_POLY1305,
	ALG_AES_GMAC_128,
	ALG_AES_GMAC_192,
	ALG_AES_GMAC_256,
	ALG_AES_CBC_128,
	ALG_AES_CBC_192,
	ALG_AES_CBC_256,
	ALG_AES_CTR_128,
	ALG_AES_CTR_192,
	ALG_AES_CTR_256,
	ALG_NULL,
	ALG_HMAC_SHA1_96,
	ALG_HMAC_SHA256_128,
	ALG_HMAC_SHA384_192,
	ALG_HMAC_SHA512_256,
	ALG_AES_XCBC_96,
	ALG_AES_CMAC_96,
	ALG_MAX,
};

struct alg {
	const char *name;
	uint8_t id; /* enum alg_id; also the row's index in algs[] */
	uint8_t kind;
	uint8_t iana; /* IKEv2 transform id, ENCR_* or AUTH_* by kind; AEAD: of the full tag */
	uint8_t key_len;
	uint8_t salt_len; /* follows the key in the keying material */
	uint8_t iv_len;	  /* on the wire */
	uint8_t icv_len;
	uint8_t align;	     /* of payload, padding and the two trailer octets together */
	bool counter_mode;   /* an IV used twice under one key gives everything away */
	bool short_icv;	     /* `icv: 8` and `icv: 12` are defined */
	uint8_t iiv_icv_len; /* the tag that RFC 8750 defines an implicit IV for; 0 = none */
	const char *rfc;
};

extern const struct alg algs[ALG_MAX];

/* The row of that name and kind, or NULL. */
const struct alg *alg_find(const char *name, enum alg_kind kind);

/* What protects an SA: an AEAD alone, or a cipher and an auth, with the choices made. */
struct suite {
	uint8_t cipher; /* enum alg_id, ALG_AEAD or ALG_CIPHER */
	uint8_t auth;	/* enum alg_id; ALG_NONE with an AEAD */
	uint8_t iv_len; /* on the wire: 0 with an implicit IV */
	uint8_t icv_len;
	uint8_t align;
	bool aead;
	bool esn;
	bool implicit_iv;
};

/* Fills *s, or says what does not go together. icv_len 0 = the algorithm's own; auth NULL = none.
 *
 * -EINVAL: a cipher without an auth, an AEAD with one, an undefined tag length or implicit IV.
 */
int suite_init(struct suite *s, const struct alg *cipher, const struct alg *auth, uint8_t icv_len,
	       bool implicit_iv, bool esn, struct err *err);

/* AH's: an auth, or AES-GMAC, which is an AEAD in the table. Its align is 1, as nothing is padded,
 * and with GMAC its iv_len is 0, as the IV lies in the ICV field.
 *
 * -EINVAL: an algorithm that enciphers.
 */
int suite_init_ah(struct suite *s, const struct alg *auth, bool esn, struct err *err);

/* AES-GMAC, of ESP or AH. */
static inline bool
suite_is_gmac(const struct suite *s)
{
	return s->cipher >= ALG_AES_GMAC_128 && s->cipher <= ALG_AES_GMAC_256;
}

/* "aes-gcm-128", "aes-cbc-128+hmac-sha256-128"; at most size octets with the 0. */
void suite_name(const struct suite *s, char *buf, size_t size);

#endif
