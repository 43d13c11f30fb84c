#include "raw_cbc.h"

#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

#include "perf.h"

#define BURST	32
#define BUFFERS 512
#define ROOM	2048
#define WINDOWS 301
#define HEADER	24 /* ESP header and IV: authenticated, not enciphered */

struct raw {
	IMB_MGR *mgr;
	uint8_t *octets; /* BUFFERS * ROOM */
	uint8_t tags[BURST][32];
	uint32_t at;
	bool decrypt;
	uint16_t text_len;
	DECLARE_ALIGNED(uint32_t enc[15 * 4], 16);
	DECLARE_ALIGNED(uint32_t dec[15 * 4], 16);
	DECLARE_ALIGNED(uint8_t ipad[32], 16);
	DECLARE_ALIGNED(uint8_t opad[32], 16);
};

static void
job_fill(struct raw *r, IMB_JOB *job, uint8_t *packet, uint8_t *tag)
{
	job->cipher_mode = IMB_CIPHER_CBC;
	job->cipher_direction = r->decrypt ? IMB_DIR_DECRYPT : IMB_DIR_ENCRYPT;
	job->chain_order = r->decrypt ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
	job->hash_alg = IMB_AUTH_HMAC_SHA_256;
	job->enc_keys = r->enc;
	job->dec_keys = r->dec;
	job->key_len_in_bytes = 16;
	job->src = packet;
	job->dst = packet + HEADER;
	job->cipher_start_src_offset_in_bytes = HEADER;
	job->msg_len_to_cipher_in_bytes = r->text_len;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = HEADER + r->text_len;
	job->iv = packet + 8;
	job->iv_len_in_bytes = 16;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = 16;
	job->u.HMAC._hashed_auth_key_xor_ipad = r->ipad;
	job->u.HMAC._hashed_auth_key_xor_opad = r->opad;
}

static void
burst_run(struct raw *r)
{
	IMB_JOB *jobs[BURST];
	uint32_t done;

	while (IMB_GET_NEXT_BURST(r->mgr, BURST, jobs) < BURST)
		IMB_FLUSH_BURST(r->mgr, BURST, jobs);
	for (uint32_t i = 0; i < BURST; i++) {
		job_fill(r, jobs[i], r->octets + (size_t)r->at * ROOM, r->tags[i]);
		r->at = (r->at + 1) % BUFFERS;
	}
	done = IMB_SUBMIT_BURST(r->mgr, BURST, jobs);
	while (done < BURST)
		done += IMB_FLUSH_BURST(r->mgr, BURST - done, jobs);
}

static void
keys_make(struct raw *r)
{
	static const uint8_t key[32] = { 1, 2, 3 };
	uint8_t block[64];

	IMB_AES_KEYEXP_128(r->mgr, key, r->enc, r->dec);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = 0x36 ^ (i < sizeof(key) ? key[i] : 0);
	IMB_SHA256_ONE_BLOCK(r->mgr, block, r->ipad);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	IMB_SHA256_ONE_BLOCK(r->mgr, block, r->opad);
}

double
raw_cbc_cycles(bool decrypt, uint16_t text_len)
{
	static struct perf perf;
	static struct raw r;

	memset(&r, 0, sizeof(r));
	r.mgr = alloc_mb_mgr(0);
	r.octets = calloc(BUFFERS, ROOM);
	r.decrypt = decrypt;
	r.text_len = text_len;
	if (r.mgr == NULL || r.octets == NULL || HEADER + text_len > ROOM)
		return -1;
	init_mb_mgr_auto(r.mgr, NULL);
	keys_make(&r);
	perf.n = 0;
	for (int i = 0; i < WINDOWS; i++) {
		uint64_t start = rte_rdtsc();

		for (int k = 0; k < BUFFERS / BURST; k++)
			burst_run(&r);
		perf_add(&perf, rte_rdtsc() - start, BUFFERS);
	}
	free(r.octets);
	free_mb_mgr(r.mgr);
	return perf_median(&perf);
}
