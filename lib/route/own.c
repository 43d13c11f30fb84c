#include "route/own.h"

#include <rte_malloc.h>

static void
add_v4(struct own *o, uint32_t key)
{
	uint32_t i = own_slot(key);

	while (o->v4[i] != 0)
		i = (i + 1) % OWN_SLOTS;
	o->v4[i] = key;
	o->n_v4++;
}

static void
add_v6(struct own *o, const struct own_v6 *key)
{
	uint32_t i = own_slot(own_mix(key->top, key->low));

	while ((o->v6[i].top | o->v6[i].low) != 0)
		i = (i + 1) % OWN_SLOTS;
	o->v6[i] = *key;
	o->n_v6++;
}

static void
copy_without(struct own *o, const struct own *old, const struct addr *less)
{
	for (uint32_t i = 0; i < OWN_SLOTS; i++) {
		const struct own_v6 *v6 = &old->v6[i];
		uint32_t v4 = old->v4[i];

		if (v4 != 0 &&
		    (less == NULL || less->family != 4 || memcmp(&v4, less->octets, 4) != 0))
			add_v4(o, v4);
		if ((v6->top | v6->low) != 0 &&
		    (less == NULL || less->family != 6 || memcmp(v6, less->octets, 16) != 0))
			add_v6(o, v6);
	}
}

struct own *
own_next(const struct own *old, const struct addr *more, const struct addr *less, int socket)
{
	struct own *o = rte_zmalloc_socket("own", sizeof(*o), RTE_CACHE_LINE_SIZE, socket);
	struct own_v6 v6;
	uint32_t v4;

	if (o == NULL)
		return NULL;
	if (old != NULL)
		copy_without(o, old, less);
	if (more != NULL && more->family == 4) {
		memcpy(&v4, more->octets, sizeof(v4));
		add_v4(o, v4);
	} else if (more != NULL) {
		memcpy(&v6, more->octets, sizeof(v6));
		add_v6(o, &v6);
	}
	return o;
}
