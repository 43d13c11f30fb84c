/* Finds things by their octets: names, addresses, keys. Inside lib/conf only.
 *
 * Keys are borrowed and must stay as long as the index.
 */
#ifndef CONF_INDEX_H
#define CONF_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define INDEX_NONE UINT32_MAX

struct index {
	struct index_entry *entries;
	uint32_t mask;
};

/* Room for n; -ENOMEM. */
int index_init(struct index *ix, uint32_t n);
void index_fini(struct index *ix);
/* INDEX_NONE when the key is new and now stands for id; otherwise the id that it stands for
 * already. */
uint32_t index_put(struct index *ix, const void *key, size_t len, uint32_t id);
uint32_t index_get(const struct index *ix, const void *key, size_t len);

#endif
