#include "sa/lifetimes.h"

#include <stdlib.h>
#include <string.h>

#include <rte_hash_crc.h>

#define BUCKETS_MIN 64

struct entry {
	struct sa_lifetime lifetime; /* first: its address is the entry's */
	uint32_t users;
	struct entry *next; /* in its bucket */
};

struct lifetimes {
	struct entry **buckets;
	uint32_t n_buckets; /* a power of two */
	uint32_t n;
};

struct lifetimes *
lifetimes_create(void)
{
	struct lifetimes *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return NULL;
	all->n_buckets = BUCKETS_MIN;
	all->buckets = calloc(all->n_buckets, sizeof(struct entry *));
	if (all->buckets == NULL) {
		free(all);
		return NULL;
	}
	return all;
}

void
lifetimes_free(struct lifetimes *all)
{
	if (all == NULL)
		return;
	for (uint32_t i = 0; i < all->n_buckets; i++) {
		while (all->buckets[i] != NULL) {
			struct entry *e = all->buckets[i];

			all->buckets[i] = e->next;
			free(e);
		}
	}
	free(all->buckets);
	free(all);
}

static struct entry **
bucket_of(struct entry **buckets, uint32_t n_buckets, const struct sa_lifetime *l)
{
	return &buckets[rte_hash_crc(l, sizeof(*l), 0) & (n_buckets - 1)];
}

/* Where there is no memory for more buckets, the ones at hand get longer. */
static void
grow(struct lifetimes *all)
{
	uint32_t n = 2 * all->n_buckets;
	struct entry **buckets = calloc(n, sizeof(struct entry *));

	if (buckets == NULL)
		return;
	for (uint32_t i = 0; i < all->n_buckets; i++) {
		struct entry *e = all->buckets[i];

		while (e != NULL) {
			struct entry **at = bucket_of(buckets, n, &e->lifetime);
			struct entry *next = e->next;

			e->next = *at;
			*at = e;
			e = next;
		}
	}
	free(all->buckets);
	all->buckets = buckets;
	all->n_buckets = n;
}

const struct sa_lifetime *
lifetimes_take(struct lifetimes *all, const struct sa_lifetime *l)
{
	struct entry **at = bucket_of(all->buckets, all->n_buckets, l);
	struct entry *e = *at;

	while (e != NULL && memcmp(&e->lifetime, l, sizeof(*l)) != 0)
		e = e->next;
	if (e == NULL) {
		e = malloc(sizeof(*e));
		if (e == NULL)
			return NULL;
		*e = (struct entry) { .lifetime = *l, .next = *at };
		*at = e;
		if (++all->n > all->n_buckets)
			grow(all);
	}
	e->users++;
	return &e->lifetime;
}

void
lifetimes_give(struct lifetimes *all, const struct sa_lifetime *l)
{
	struct entry **at;
	struct entry *e;

	if (l == NULL)
		return;
	at = bucket_of(all->buckets, all->n_buckets, l);
	while (&(*at)->lifetime != l)
		at = &(*at)->next;
	e = *at;
	if (--e->users > 0)
		return;
	*at = e->next;
	free(e);
	all->n--;
}

uint32_t
lifetimes_count(const struct lifetimes *all)
{
	return all->n;
}
