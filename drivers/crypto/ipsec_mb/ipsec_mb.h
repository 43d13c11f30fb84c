/* Inside of the ipsec_mb driver. */
#ifndef IPSEC_MB_H
#define IPSEC_MB_H

#include <stdbool.h>
#include <stdint.h>

#include <intel-ipsec-mb.h>
#include <rte_common.h>

#include "crypto/engine.h"
#include "stats/cell.h"
#include "key_cache.h"

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

/* Index of the calls above. */
enum dir {
	DIR_ENCRYPT,
	DIR_DECRYPT
};

/* Operations of one session, one behind the other in a burst. */
struct run {
	const void *key; /* expanded, or the raw key where nothing is expanded */
	uint16_t first, n;
};

struct engine_worker {
	struct gcm_context_data gcm_ctx;
	struct gcm_calls gcm[3]; /* 128, 192, 256 */
	struct key_cache keys;
	uint64_t bounced;
	IMB_MGR *mgr;
	struct run runs[CRYPTO_BURST_MAX];
};

void gcm_bind(struct engine_worker *ew);
void gcm_expand(const struct engine_worker *ew, const struct session *s, void *key);
void gcm_run(struct engine_worker *ew, const void *key, struct crypto_op *ops, uint16_t n,
	     enum dir dir);

/* In constant time; len is 8, 12, 16, 24 or 32. */
static inline bool
tags_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint64_t diff = 0;
	size_t i = 0;

	for (; i + 8 <= len; i += 8)
		diff |= *(const unaligned_uint64_t *)(a + i) ^ *(const unaligned_uint64_t *)(b + i);
	if (i < len)
		diff |= *(const unaligned_uint32_t *)(a + i) ^ *(const unaligned_uint32_t *)(b + i);
	return diff == 0;
}

#endif
