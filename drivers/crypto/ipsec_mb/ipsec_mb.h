/* Inside of the ipsec_mb driver. */
#ifndef IPSEC_MB_H
#define IPSEC_MB_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <rte_common.h>

#include "crypto/engine.h"
#include "stats/cell.h"
#include "wire/bytes.h"
#include "key_cache.h"
#include "library.h"

/* Index of the calls below. */
enum dir {
	DIR_ENCRYPT,
	DIR_DECRYPT
};

/* How an algorithm is run. GCM, GMAC and ChaCha20 go packet by packet; the rest is collected,
 * because the library makes its speed from many packets side by side.
 */
enum kind {
	KIND_NONE,
	KIND_GCM,
	KIND_GMAC,
	KIND_CHACHA,
	KIND_CCM,
	KIND_SEPARATE
};

/* The calls of one AES key size. */
struct gcm_calls {
	aes_gcm_pre_t pre;
	aes_gcm_enc_dec_t one[2];
	aes_gcm_init_t init;
	aes_gcm_enc_dec_update_t update[2];
	aes_gcm_enc_dec_finalize_t finalize[2];
	aes_gmac_init_t gmac_init;
	aes_gmac_update_t gmac_update;
	aes_gmac_finalize_t gmac_finalize;
};

/* An entry of the key cache, for all but GCM and GMAC (struct gcm_key_data). */
struct batch_keys {
	uint8_t enc[15 * 16], dec[15 * 16];
	uint8_t iv[11 * 16]; /* CBC: of iv_key */
	union {
		struct {
			uint8_t inner[64], outer[64];
		} hmac;
		struct {
			uint8_t k1[11 * 16], k2[16], k3[16];
		} aes; /* XCBC and CMAC */
	};
} __rte_aligned(16);
_Static_assert(sizeof(struct batch_keys) <= KEY_CACHE_ENTRY, "fits an entry");
_Static_assert(sizeof(struct gcm_key_data) <= KEY_CACHE_ENTRY, "fits an entry");

/* Operations of one session, one behind the other in a burst. */
struct run {
	const void *key; /* expanded, or the raw key where nothing is expanded */
	uint16_t first, n;
	bool cold; /* the key is worth a prefetch */
};

/* A collected operation. */
struct item {
	struct crypto_op *op;
	const struct batch_keys *key;
	uint8_t *text; /* in one piece, with what a job wants before and behind it */
	bool copied;   /* it is in the arena */
	bool whole;    /* false: the chain ended before the text did */
};

/* A copy starts at a cache line. The largest has IP's 65,535 octets, ESP header, IV, and ESN's high
 * half. */
#define ARENA_ITEM_MAX (64 * 1024 + 64)
#define ARENA_SIZE     (256 * 1024)

struct batch {
	uint16_t n;
	uint32_t arena_used;
	uint8_t *arena;
	struct item items[CRYPTO_BURST_MAX];
	IMB_JOB jobs[CRYPTO_BURST_MAX];
	uint8_t tags[CRYPTO_BURST_MAX][ALG_ICV_MAX] __rte_aligned(16);
	uint32_t behind[CRYPTO_BURST_MAX]; /* what ESN's high half stands on */
};

struct engine_worker {
	struct gcm_context_data gcm_ctx;
	struct chacha20_poly1305_context_data chacha_ctx;
	struct gcm_calls gcm[3]; /* 128, 192, 256 */
	struct key_cache keys;
	uint64_t bounced;
	struct library library;
	IMB_MGR *wide;	 /* the widest code this CPU runs */
	IMB_MGR *narrow; /* the next one down, better for few or short packets; may be the same */
	struct run runs[CRYPTO_BURST_MAX];
	struct batch batch;
};

extern const uint8_t kinds[ALG_MAX]; /* enum kind, by cipher */

static inline enum kind
kind_of(const struct suite *suite)
{
	return kinds[suite->cipher];
}

/* Fills an entry of the key cache for any kind but ChaCha20. */
void keys_expand(const struct engine_worker *ew, const struct session *s, void *entry);

static inline const struct gcm_calls *
gcm_calls_of(const struct engine_worker *ew, const struct session *s)
{
	return &ew->gcm[algs[s->suite.cipher].key_len / 8 - 2];
}

void gcm_bind(struct engine_worker *ew);

/* All operations are of one session. */
void gcm_run(struct engine_worker *ew, const void *key, struct crypto_op *ops, uint16_t n,
	     enum dir dir);
void gmac_run(struct engine_worker *ew, const void *key, struct crypto_op *ops, uint16_t n,
	      enum dir dir);
void chacha_run(struct engine_worker *ew, struct crypto_op *ops, uint16_t n, enum dir dir);

/* Collects; runs what was collected before when there is no more room for copies. */
void batch_add(struct engine_worker *ew, const struct batch_keys *key, struct crypto_op *ops,
	       uint16_t n, enum dir dir);
/* Runs all that was collected. */
void batch_run(struct engine_worker *ew, enum dir dir);

/* Items of one cipher and one auth, in order. */
void ccm_run(struct engine_worker *ew, struct item **items, uint16_t n, enum dir dir);
void separate_run(struct engine_worker *ew, struct item **items, uint16_t n, enum dir dir);

/* Which manager is faster for n packets of `size` octets together. */
IMB_MGR *cipher_manager(struct engine_worker *ew, enum alg_id cipher, uint16_t n, size_t size,
			enum dir dir);
IMB_MGR *auth_manager(struct engine_worker *ew, enum alg_id auth, uint16_t n, size_t size);

/* Jobs from a manager's own ring, filled and in order: done on return, or false. */
bool ring_run(IMB_MGR *mgr, IMB_JOB **jobs, uint16_t n);

/* In constant time; len is 8 at least, as of every tag. The last 8 octets may overlap those before.
 */
static inline bool
tags_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint64_t diff = wire_load64(a + len - 8) ^ wire_load64(b + len - 8);

	for (size_t i = 0; i + 8 < len; i += 8)
		diff |= wire_load64(a + i) ^ wire_load64(b + i);
	return diff == 0;
}

static inline void
tag_copy(uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i + 8 < len; i += 8)
		memcpy(to + i, from + i, 8);
	memcpy(to + len - 8, from + len - 8, 8);
}

#endif
