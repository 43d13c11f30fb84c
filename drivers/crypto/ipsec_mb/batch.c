/* Collecting what the library is fast at only many packets at a time, and CCM, the simplest of
 * these. */
#include "ipsec_mb.h"

#include <string.h>

#include "../chain.h"

/* From how many packets of what length on the wide code wins; measured with AVX-512 against AVX2
 * with the SHA instructions. Those make SHA-256 with one packet faster than sixteen side by side.
 */
struct wide {
	uint16_t from_n, from_size;
};
#define ALWAYS       \
	{            \
		0, 0 \
	}
#define NEVER                 \
	{                     \
		UINT16_MAX, 0 \
	}
#define LONG_CBC        \
	{               \
		16, 300 \
	}

static const struct wide wide_cipher[ALG_MAX] = {
	[ALG_AES_CCM_128] = { 16, 1000 }, [ALG_AES_CCM_256] = { 16, 1000 },
	[ALG_AES_CBC_128] = LONG_CBC,	  [ALG_AES_CBC_192] = LONG_CBC,
	[ALG_AES_CBC_256] = LONG_CBC,
};
static const struct wide wide_auth[ALG_MAX] = {
	[ALG_HMAC_SHA1_96] = { 16, 0 },	  [ALG_HMAC_SHA256_128] = NEVER,
	[ALG_HMAC_SHA384_192] = { 8, 0 }, [ALG_HMAC_SHA512_256] = { 8, 0 },
	[ALG_AES_XCBC_96] = LONG_CBC,	  [ALG_AES_CMAC_96] = LONG_CBC,
};

static inline bool
wide_wins(struct wide wide, uint16_t n, size_t size)
{
	return n >= wide.from_n && size >= (size_t)wide.from_size * n;
}

IMB_MGR *
cipher_manager(struct engine_worker *ew, enum alg_id cipher, uint16_t n, size_t size, enum dir dir)
{
	bool cbc = cipher >= ALG_AES_CBC_128 && cipher <= ALG_AES_CBC_256;

	if (cbc && dir == DIR_DECRYPT)
		return ew->wide;
	return wide_wins(wide_cipher[cipher], n, size) ? ew->wide : ew->narrow;
}

IMB_MGR *
auth_manager(struct engine_worker *ew, enum alg_id auth, uint16_t n, size_t size)
{
	struct wide wide = wide_auth[auth];

	if (auth == ALG_HMAC_SHA256_128 && (ew->narrow->features & IMB_FEATURE_SHANI) == 0)
		wide = (struct wide) { 8, 0 };
	return wide_wins(wide, n, size) ? ew->wide : ew->narrow;
}

bool
ring_run(IMB_MGR *mgr, IMB_JOB **jobs, uint16_t n)
{
	uint32_t done = IMB_SUBMIT_BURST_NOCHECK(mgr, n, jobs), more;

	while (done < n && (more = IMB_FLUSH_BURST(mgr, n - done, jobs)) != 0)
		done += more;
	return done == n;
}

/* Copies `size` octets that end with the text between packet and arena; false when the chain is too
 * short. */
static bool
text_copy(const struct crypto_op *op, uint8_t *arena, size_t before, bool to_packet)
{
	size_t size = before + op->text_len, len;
	struct pieces p;
	uint8_t *at;

	if (op->chain == NULL) {
		if (to_packet)
			memcpy(op->text - before, arena, size);
		else
			memcpy(arena, op->text - before, size);
		return true;
	}
	pieces_init(&p, op->chain, op->text_off - before, size);
	for (; (at = pieces_next(&p, &len)) != NULL; arena += len) {
		if (to_packet)
			memcpy(at, arena, len);
		else
			memcpy(arena, at, len);
	}
	return pieces_left(&p) == 0;
}

/* What a job needs in one piece with the text: with an AEAD nothing. */
static inline size_t
octets_before(const struct suite *suite)
{
	return suite->aead ? 0 : 8 + (size_t)suite->iv_len;
}

/* A copy is wanted for a chain, and where ESN's high half has no room behind the text. */
static inline bool
wants_copy(const struct crypto_op *op, const struct suite *suite)
{
	return op->chain != NULL ||
	       (suite->esn && !suite->aead && op->tag != op->text + op->text_len);
}

static void
item_copy(struct engine_worker *ew, struct item *item)
{
	struct batch *b = &ew->batch;
	size_t before = octets_before(&item->op->session->suite);
	uint8_t *at = b->arena + b->arena_used;

	item->text = at + before;
	item->copied = true;
	item->whole = text_copy(item->op, at, before, false);
	b->arena_used += RTE_ALIGN_CEIL(before + item->op->text_len + 4, RTE_CACHE_LINE_SIZE);
	cell_add(&ew->bounced, 1);
}

/* The ciphers take whole blocks, and no job takes nothing. */
static inline bool
length_fits(const struct suite *suite, uint16_t text_len)
{
	return text_len != 0 && (suite->iv_len != ALG_IV_MAX || text_len % 16 == 0);
}

void
batch_add(struct engine_worker *ew, const struct batch_keys *key, struct crypto_op *ops, uint16_t n,
	  enum dir dir)
{
	const struct suite *suite = &ops[0].session->suite;
	struct batch *b = &ew->batch;

	for (uint16_t i = 0; i < n; i++) {
		struct crypto_op *op = &ops[i];
		struct item *item;

		op->ok = false;
		if (unlikely(!length_fits(suite, op->text_len)))
			continue;
		if (unlikely(ARENA_SIZE - b->arena_used < ARENA_ITEM_MAX))
			batch_run(ew, dir);
		item = &b->items[b->n++];
		*item = (struct item) { .op = op, .key = key, .text = op->text, .whole = true };
		if (unlikely(wants_copy(op, suite)))
			item_copy(ew, item);
	}
}

static inline bool
same_group(const struct item *a, const struct item *b)
{
	const struct suite *x = &a->op->session->suite, *y = &b->op->session->suite;

	return x->cipher == y->cipher && x->auth == y->auth;
}

void
batch_run(struct engine_worker *ew, enum dir dir)
{
	struct item *group[CRYPTO_BURST_MAX];
	struct batch *b = &ew->batch;
	uint64_t done = 0;

	for (uint16_t first = 0; first < b->n; first++) {
		uint16_t n = 0;

		for (uint16_t i = first; i < b->n; i++) {
			if ((done >> i & 1) != 0 || !same_group(&b->items[first], &b->items[i]))
				continue;
			done |= UINT64_C(1) << i;
			group[n++] = &b->items[i];
		}
		if (n == 0)
			continue;
		if (group[0]->op->session->suite.aead)
			ccm_run(ew, group, n, dir);
		else
			separate_run(ew, group, n, dir);
	}
	for (uint16_t i = 0; i < b->n && b->arena_used != 0; i++) {
		const struct item *item = &b->items[i];
		size_t before = octets_before(&item->op->session->suite);

		if (item->copied && item->whole)
			text_copy(item->op, item->text - before, before, true);
		item->op->ok = item->op->ok && item->whole;
	}
	b->n = 0;
	b->arena_used = 0;
}
