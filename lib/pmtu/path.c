/* Where paths and SAs are found. */
#include <string.h>

#include "pmtu/inner.h"
#include "wire/bytes.h"

#define WALK_MAX  1024 /* SAs of one path that are told at a time */
#define LOOKS_MAX 256  /* SAs that are looked at for one that probes */

static uint64_t
mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0xd6e8feb86659fd93);
	return hash ^ hash >> 32;
}

uint32_t
spi_bucket(const struct pmtu *p, uint32_t spi_be, const uint8_t dst[16])
{
	uint64_t hash = mix(p->params.seed, spi_be);

	hash = mix(mix(hash, wire_load64(dst)), wire_load64(dst + 8));
	return (uint32_t)hash & p->mask;
}

uint32_t
key_bucket(const struct pmtu *p, const struct path_key *key)
{
	uint64_t hash = p->params.seed;

	for (size_t i = 0; i < sizeof(*key); i += 8)
		hash = mix(hash, wire_load64((const uint8_t *)key + i));
	return (uint32_t)hash & p->mask;
}

void
path_key_of(const struct pmtu *p, uint32_t sa, struct path_key *key)
{
	const struct sa_cold *cold = sa_cold(p->params.sas, sa);
	const struct sa *hot = sa_at(p->params.sas, sa);

	*key = (struct path_key) { .family = cold->dst.family };
	memcpy(key->src, cold->src.octets, sizeof(key->src));
	memcpy(key->dst, cold->dst.octets, sizeof(key->dst));
	if ((hot->flags & SA_UDP) != 0)
		sa_udp_ports(hot, &key->udp_src, &key->udp_dst);
}

uint32_t
path_index(const struct pmtu *p, const struct path *path)
{
	uint32_t link = p->by_key[key_bucket(p, &path->key)];

	while (path_at(p, link - 1) != path)
		link = path_at(p, link - 1)->next;
	return link - 1;
}

struct path *
path_find(const struct pmtu *p, const struct path_key *key)
{
	uint32_t link;

	if (p->paths.n_taken == 0)
		return NULL;
	for (link = p->by_key[key_bucket(p, key)]; link != 0; link = path_at(p, link - 1)->next)
		if (memcmp(&path_at(p, link - 1)->key, key, sizeof(*key)) == 0)
			return path_at(p, link - 1);
	return NULL;
}

int
path_take(struct pmtu *p, const struct path_key *key, struct path **path, struct err *err)
{
	uint32_t index, generation, *head = &p->by_key[key_bucket(p, key)];
	int rc;

	*path = path_find(p, key);
	if (*path != NULL)
		return 0;
	rc = slab_take(&p->paths, &index, &generation, err);
	if (rc < 0)
		return rc;
	*path = path_at(p, index);
	**path = (struct path) { .key = *key, .next = *head, .sa = SA_NONE };
	*head = index + 1;
	return 0;
}

/* Out of the list of those with SAs to tell. */
static void
walk_end(struct pmtu *p, struct path *path, uint32_t index)
{
	uint32_t *link = &p->first_walking;

	while (*link != index + 1)
		link = &path_at(p, *link - 1)->next_walking;
	*link = path->next_walking;
	path->walking = false;
}

void
path_settle(struct pmtu *p, struct path *path)
{
	uint32_t index, *link;

	/* One that walks has SAs that still send what is forgotten: a later look settles it. */
	if (path->mtu != 0 || path->prober.state != PROBER_OFF || path->flying || path->ready ||
	    path->walking)
		return;
	index = path_index(p, path);
	link = &p->by_key[key_bucket(p, &path->key)];
	while (*link != index + 1)
		link = &path_at(p, *link - 1)->next;
	*link = path->next;
	slab_retire(&p->paths, index);
	slab_give(&p->paths, index);
}

void
sa_link(struct pmtu *p, uint32_t sa)
{
	struct slot *slot = &p->slots[sa];
	const struct sa *hot = sa_at(p->params.sas, sa);
	struct path_key key;
	uint32_t *head;

	path_key_of(p, sa, &key);
	head = &p->by_spi[spi_bucket(p, hot->spi_be, key.dst)];
	slot->next_of_spi = *head;
	*head = sa + 1;
	head = &p->by_peer[key_bucket(p, &key)];
	slot->next_of_path = *head;
	slot->prev_of_path = 0;
	if (*head != 0)
		p->slots[*head - 1].prev_of_path = sa + 1;
	*head = sa + 1;
}

void
sa_unlink(struct pmtu *p, uint32_t sa)
{
	struct slot *slot = &p->slots[sa];
	uint32_t *link, walking;
	struct path_key key;

	path_key_of(p, sa, &key);
	link = &p->by_spi[spi_bucket(p, sa_at(p->params.sas, sa)->spi_be, key.dst)];
	while (*link != sa + 1)
		link = &p->slots[*link - 1].next_of_spi;
	*link = slot->next_of_spi;
	if (slot->next_of_path != 0)
		p->slots[slot->next_of_path - 1].prev_of_path = slot->prev_of_path;
	if (slot->prev_of_path != 0)
		p->slots[slot->prev_of_path - 1].next_of_path = slot->next_of_path;
	else
		p->by_peer[key_bucket(p, &key)] = slot->next_of_path;
	for (walking = p->first_walking; walking != 0;
	     walking = path_at(p, walking - 1)->next_walking)
		if (path_at(p, walking - 1)->cursor == sa + 1)
			path_at(p, walking - 1)->cursor = slot->next_of_path;
}

static bool
is_of(const struct pmtu *p, uint32_t sa, const struct path_key *key)
{
	struct path_key own;

	path_key_of(p, sa, &own);
	return memcmp(&own, key, sizeof(own)) == 0;
}

uint32_t
path_sa(const struct pmtu *p, const struct path_key *key, uint8_t flags)
{
	uint32_t link = p->by_peer[key_bucket(p, key)];

	for (int n = 0; link != 0 && n < LOOKS_MAX; n++) {
		const struct slot *slot = &p->slots[link - 1];

		if ((slot->flags & flags) == flags && !sa_cold(p->params.sas, link - 1)->ended &&
		    sa_at(p->params.sas, link - 1)->state == SA_LIVE && is_of(p, link - 1, key))
			return link - 1;
		link = slot->next_of_path;
	}
	return SA_NONE;
}

void
path_walk(struct pmtu *p, struct path *path)
{
	uint32_t next;

	for (int n = 0; path->cursor != 0 && n < WALK_MAX; n++) {
		next = p->slots[path->cursor - 1].next_of_path;
		if (is_of(p, path->cursor - 1, &path->key))
			p->params.apply(p->params.ctx, path->cursor - 1);
		path->cursor = next;
	}
	if (path->cursor == 0)
		walk_end(p, path, path_index(p, path));
}

void
path_changed(struct pmtu *p, struct path *path)
{
	path->cursor = p->by_peer[key_bucket(p, &path->key)];
	if (!path->walking) {
		path->walking = true;
		path->next_walking = p->first_walking;
		p->first_walking = path_index(p, path) + 1;
	}
	path_walk(p, path);
}
