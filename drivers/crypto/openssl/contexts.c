#include "openssl.h"

#include <errno.h>

#include <openssl/crypto.h>
#include <rte_malloc.h>

/* What libcrypto allocates for a session, about; only so that key_cache means the same for both
 * engines. */
#define CONTEXT_COST 2048

static void
contexts_clear(struct contexts *c)
{
	EVP_CIPHER_CTX_free(c->cipher[DIR_ENCRYPT]);
	EVP_CIPHER_CTX_free(c->cipher[DIR_DECRYPT]);
	EVP_CIPHER_CTX_free(c->iv);
	EVP_CIPHER_CTX_free(c->block);
	EVP_MAC_CTX_free(c->mac);
	OPENSSL_cleanse(c, sizeof(*c));
	c->tag = UINT64_MAX;
}

int
contexts_init(struct engine_worker *ew, size_t key_cache, int socket)
{
	size_t per_set = CONTEXT_WAYS * CONTEXT_COST;

	ew->n_sets = 1;
	while (ew->n_sets < UINT32_C(1) << 20 && ew->n_sets * 2 * per_set <= key_cache)
		ew->n_sets *= 2;
	ew->sets = rte_zmalloc_socket("openssl_contexts",
				      ew->n_sets * CONTEXT_WAYS * sizeof(struct contexts),
				      RTE_CACHE_LINE_SIZE, socket);
	if (ew->sets == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < (size_t)ew->n_sets * CONTEXT_WAYS; i++)
		ew->sets[i].tag = UINT64_MAX;
	return 0;
}

void
contexts_fini(struct engine_worker *ew)
{
	if (ew->sets == NULL)
		return;
	for (size_t i = 0; i < (size_t)ew->n_sets * CONTEXT_WAYS; i++)
		contexts_clear(&ew->sets[i]);
	rte_free(ew->sets);
	ew->sets = NULL;
}

static struct contexts *
set_of(const struct engine_worker *ew, uint32_t id)
{
	return &ew->sets[(size_t)(id & (ew->n_sets - 1)) * CONTEXT_WAYS];
}

void
contexts_forget(struct engine_worker *ew, uint32_t id)
{
	struct contexts *set = set_of(ew, id);

	for (int way = 0; way < CONTEXT_WAYS; way++)
		if (set[way].tag != UINT64_MAX && (uint32_t)set[way].tag == id)
			contexts_clear(&set[way]);
}

struct contexts *
contexts_get(struct engine_worker *ew, const struct session *s)
{
	uint64_t tag = (uint64_t)s->generation << 32 | s->id;
	struct contexts *set = set_of(ew, s->id), *oldest = set;

	ew->clock++;
	for (int way = 0; way < CONTEXT_WAYS; way++) {
		if (set[way].tag == tag) {
			set[way].used = ew->clock;
			return &set[way];
		}
		if (set[way].used < oldest->used)
			oldest = &set[way];
	}
	contexts_clear(oldest);
	oldest->tag = tag;
	oldest->used = ew->clock;
	return oldest;
}
