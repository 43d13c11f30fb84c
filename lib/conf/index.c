#include "conf/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct index_entry {
	const void *key;
	uint32_t len, id;
};

int
index_init(struct index *ix, uint32_t n)
{
	uint32_t size = 8;

	while (size < n * UINT64_C(2))
		size *= 2;
	ix->mask = size - 1;
	ix->entries = calloc(size, sizeof(*ix->entries));
	return ix->entries == NULL ? -ENOMEM : 0;
}

void
index_fini(struct index *ix)
{
	free(ix->entries);
	ix->entries = NULL;
}

/* FNV-1a: the file's author is the only one who could make it slow. */
static struct index_entry *
find(const struct index *ix, const void *key, size_t len)
{
	const uint8_t *octets = key;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	uint32_t at;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ octets[i]) * UINT64_C(0x100000001b3);
	for (at = (hash ^ hash >> 32) & ix->mask;; at = (at + 1) & ix->mask) {
		struct index_entry *x = &ix->entries[at];

		if (x->key == NULL || (x->len == len && memcmp(x->key, key, len) == 0))
			return x;
	}
}

uint32_t
index_put(struct index *ix, const void *key, size_t len, uint32_t id)
{
	struct index_entry *x = find(ix, key, len);

	if (x->key != NULL)
		return x->id;
	*x = (struct index_entry) { key, len, id };
	return INDEX_NONE;
}

uint32_t
index_get(const struct index *ix, const void *key, size_t len)
{
	const struct index_entry *x = find(ix, key, len);

	return x->key != NULL ? x->id : INDEX_NONE;
}
