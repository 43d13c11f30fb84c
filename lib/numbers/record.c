/* SHA256_CTX is deprecated since OpenSSL 3. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "numbers/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <rte_malloc.h>

#define BUCKETS_MIN 1024

static int
buckets_resize(struct records *rs, uint32_t n)
{
	uint32_t *fresh = rte_malloc_socket("numbers", n * sizeof(*fresh), 0, rs->items.socket);

	if (fresh == NULL)
		return -ENOMEM;
	memset(fresh, 0xff, n * sizeof(*fresh));
	for (uint32_t b = 0; b < rs->n_buckets; b++) {
		uint32_t next;

		for (uint32_t i = rs->buckets[b]; i != RECORD_NONE; i = next) {
			struct record *r = record_at(rs, i);
			uint32_t *to = &fresh[r->hash.half[0] & (n - 1)];

			next = r->next;
			r->next = *to;
			*to = i;
		}
	}
	rte_free(rs->buckets);
	rs->buckets = fresh;
	rs->n_buckets = n;
	return 0;
}

/* What HMAC-SHA256 hashes with the secret, before and behind, already hashed. In SHA256_CTX, which
 * can be copied: EVP allocates its contexts anew for each hash, and takes 300 ns for what is 120.
 */
struct record_mac {
	SHA256_CTX inner, outer;
};

static bool
pad_hash(SHA256_CTX *c, const uint8_t *secret, uint8_t filler)
{
	uint8_t pad[SHA256_CBLOCK];
	bool ok;

	memset(pad, filler, sizeof(pad));
	for (int i = 0; i < NUMBERS_SECRET_SIZE; i++)
		pad[i] ^= secret[i];
	ok = SHA256_Init(c) == 1 && SHA256_Update(c, pad, sizeof(pad)) == 1;
	OPENSSL_cleanse(pad, sizeof(pad));
	return ok;
}

/* HMAC-SHA256 under a key that nobody knows: the hashes tell nothing of keys that are weak or
 * reused. */
static int
mac_open(struct records *rs, const uint8_t *given)
{
	uint8_t secret[NUMBERS_SECRET_SIZE];
	int rc = -EIO;

	rs->mac = calloc(1, sizeof(*rs->mac));
	if (rs->mac == NULL)
		return -ENOMEM;
	if (given != NULL)
		memcpy(secret, given, sizeof(secret));
	if ((given != NULL || RAND_bytes(secret, sizeof(secret)) == 1) &&
	    pad_hash(&rs->mac->inner, secret, 0x36) && pad_hash(&rs->mac->outer, secret, 0x5c))
		rc = 0;
	OPENSSL_cleanse(secret, sizeof(secret));
	return rc;
}

static void
mac_close(struct records *rs)
{
	if (rs->mac != NULL)
		OPENSSL_cleanse(rs->mac, sizeof(*rs->mac));
	free(rs->mac);
}

int
records_init(struct records *rs, uint32_t max, uint32_t max_kept, int socket, const uint8_t *secret,
	     struct err *err)
{
	int rc;

	memset(rs, 0, sizeof(*rs));
	rs->oldest = rs->newest = RECORD_NONE;
	rs->max_kept = max_kept;
	rc = slab_init(&rs->items, "records of keys", sizeof(struct record), max, socket, err);
	if (rc < 0)
		return rc;
	if (buckets_resize(rs, BUCKETS_MIN) < 0)
		rc = err_set(err, -ENOMEM, "records of keys: no memory on socket %d", socket);
	else if (mac_open(rs, secret) < 0)
		rc = err_set(err, -EIO, "records of keys: no random octets, or no memory");
	if (rc < 0)
		records_fini(rs);
	return rc;
}

void
records_fini(struct records *rs)
{
	for (uint32_t i = slab_next(&rs->items, 0); i != RECORD_NONE;
	     i = slab_next(&rs->items, i + 1))
		if (record_at(rs, i)->laned && !record_at(rs, i)->in_use)
			lane_numbers_free(rs, record_at(rs, i)->lanes);
	mac_close(rs);
	rte_free(rs->buckets);
	slab_fini(&rs->items);
	memset(rs, 0, sizeof(*rs));
}

int
record_hash(struct records *rs, const struct numbers_key *key, struct record_hash *hash)
{
	const uint8_t kind[2] = { key->counter_mode, key->counter_mode ? 0 : key->key_len };
	uint8_t out[SHA256_DIGEST_LENGTH];
	SHA256_CTX c = rs->mac->inner;
	bool ok;

	ok = SHA256_Update(&c, kind, sizeof(kind)) == 1 &&
	     SHA256_Update(&c, key->key, key->key_len) == 1 &&
	     SHA256_Update(&c, key->salt, key->salt_len) == 1;
	if (ok && !key->counter_mode)
		ok = SHA256_Update(&c, key->auth, key->auth_len) == 1;
	ok = ok && SHA256_Final(out, &c) == 1;
	c = rs->mac->outer;
	ok = ok && SHA256_Update(&c, out, sizeof(out)) == 1 && SHA256_Final(out, &c) == 1;
	OPENSSL_cleanse(&c, sizeof(c));
	if (!ok)
		return -EIO;
	memcpy(hash, out, sizeof(*hash));
	return 0;
}

uint32_t
record_find(const struct records *rs, const struct record_hash *hash, bool inbound, uint32_t after)
{
	uint32_t i = after == RECORD_NONE ? rs->buckets[hash->half[0] & (rs->n_buckets - 1)] :
					    record_at(rs, after)->next;

	while (i != RECORD_NONE) {
		const struct record *r = record_at(rs, i);

		if (r->hash.half[0] == hash->half[0] && r->hash.half[1] == hash->half[1] &&
		    r->inbound == inbound)
			return i;
		i = r->next;
	}
	return RECORD_NONE;
}

int
record_add(struct records *rs, const struct record_hash *hash, bool inbound, uint32_t *index,
	   struct err *err)
{
	uint32_t generation, *bucket;
	struct record *r;
	int rc;

	rc = slab_take(&rs->items, index, &generation, err);
	if (rc < 0)
		return rc;
	/* Without memory for more buckets they only grow longer. */
	if (rs->items.n_taken > rs->n_buckets && rs->n_buckets < 1u << 30)
		buckets_resize(rs, rs->n_buckets * 2);
	bucket = &rs->buckets[hash->half[0] & (rs->n_buckets - 1)];
	r = record_at(rs, *index);
	r->hash = *hash;
	r->inbound = inbound;
	r->older = r->newer = RECORD_NONE;
	r->next = *bucket;
	*bucket = *index;
	return 0;
}

void
record_remove(struct records *rs, uint32_t index)
{
	struct record *r = record_at(rs, index);
	uint32_t *link = &rs->buckets[r->hash.half[0] & (rs->n_buckets - 1)];

	while (*link != index)
		link = &record_at(rs, *link)->next;
	*link = r->next;
	if (r->laned && !r->in_use)
		lane_numbers_free(rs, r->lanes);
	slab_give(&rs->items, index);
	if (rs->n_buckets > BUCKETS_MIN && rs->items.n_taken < rs->n_buckets / 8)
		buckets_resize(rs, rs->n_buckets / 2);
}

static size_t
lane_numbers_size(uint32_t n)
{
	return sizeof(struct lane_numbers) + n * sizeof(uint64_t);
}

struct lane_numbers *
lane_numbers_new(struct records *rs, uint32_t n)
{
	struct lane_numbers *l = calloc(1, lane_numbers_size(n));

	if (l == NULL)
		return NULL;
	l->n = n;
	rs->lanes_bytes += lane_numbers_size(n);
	return l;
}

struct lane_numbers *
lane_numbers_cut(struct records *rs, struct lane_numbers *l, uint32_t n)
{
	struct lane_numbers *shorter = realloc(l, lane_numbers_size(n));

	if (shorter == NULL)
		return l;
	rs->lanes_bytes -= lane_numbers_size(shorter->n) - lane_numbers_size(n);
	shorter->n = n;
	return shorter;
}

void
lane_numbers_free(struct records *rs, struct lane_numbers *l)
{
	if (l == NULL)
		return;
	rs->lanes_bytes -= lane_numbers_size(l->n);
	free(l);
}

void
record_unkeep(struct records *rs, uint32_t index)
{
	struct record *r = record_at(rs, index);

	if (r->forever) {
		rs->n_forever--;
		return;
	}
	*(r->older == RECORD_NONE ? &rs->oldest : &record_at(rs, r->older)->newer) = r->newer;
	*(r->newer == RECORD_NONE ? &rs->newest : &record_at(rs, r->newer)->older) = r->older;
	r->older = r->newer = RECORD_NONE;
	rs->n_kept--;
}

static void
forget_oldest(struct records *rs)
{
	uint32_t index = rs->oldest;

	record_unkeep(rs, index);
	record_remove(rs, index);
}

void
record_keep(struct records *rs, uint32_t index, uint32_t expiry_s)
{
	struct record *r = record_at(rs, index);

	if (r->forever) {
		rs->n_forever++;
		return;
	}
	r->expiry_s = expiry_s;
	r->older = rs->newest;
	r->newer = RECORD_NONE;
	*(r->older == RECORD_NONE ? &rs->oldest : &record_at(rs, r->older)->newer) = index;
	rs->newest = index;
	rs->n_kept++;
	if (rs->n_kept > rs->max_kept)
		forget_oldest(rs);
}

void
records_expire(struct records *rs, uint32_t now_s)
{
	while (rs->oldest != RECORD_NONE && record_at(rs, rs->oldest)->expiry_s <= now_s)
		forget_oldest(rs);
}
