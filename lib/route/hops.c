#include "route/control.h"

#include <errno.h>

#include <rte_malloc.h>

#define ON_LINK_ADDR (&(const struct addr) { 0 })

static uint32_t
hop_bucket(uint8_t port, uint8_t family, const uint8_t octets[16])
{
	uint64_t h = port | family << 8;

	for (int i = 0; i < 16; i++)
		h = (h ^ octets[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(h ^ h >> 32) % HOP_BUCKETS;
}

int
hops_init(struct control *c, struct err *err)
{
	c->hops = rte_zmalloc_socket("next_hops", HOPS_SIZE * sizeof(c->hops[0]),
				     RTE_CACHE_LINE_SIZE, c->params.socket);
	c->book = calloc(HOPS_SIZE, sizeof(c->book[0]));
	if (c->hops == NULL || c->book == NULL)
		return err_set(err, -ENOMEM,
			       "no memory for the table of next hops: give the EAL more");
	for (uint32_t i = 0; i < HOP_BUCKETS; i++)
		c->hop_buckets[i] = NEXT_HOP_NONE;
	for (uint32_t i = 0; i < HOPS_SIZE; i++) {
		c->book[i].control = c;
		c->book[i].next = (uint16_t)RTE_MIN(i + 1, (uint32_t)NEXT_HOP_NONE);
	}
	c->free_hop = HOP_FIRST;
	c->hops_end = HOP_FIRST;
	c->neighbours = NEXT_HOP_NONE;
	c->hops[HOP_LOCAL].flags = HOP_IS_LOCAL;
	c->hops[HOP_REFUSED].flags = HOP_NOWHERE;
	c->hops[NEXT_HOP_NONE].flags = HOP_NOWHERE;
	c->route->hops = c->hops;
	return 0;
}

void
hops_fini(struct control *c)
{
	rte_free(c->hops);
	free(c->book);
}

struct addr
hop_addr(const struct next_hop *hop)
{
	struct addr a = { .family = hop->family };

	memcpy(a.octets, hop->address, sizeof(a.octets));
	return a;
}

uint16_t
hop_find(const struct control *c, uint8_t port, uint8_t family, const struct addr *a)
{
	const struct addr *want = a != NULL ? a : ON_LINK_ADDR;
	uint16_t id = c->hop_buckets[hop_bucket(port, family, want->octets)];

	for (; id != NEXT_HOP_NONE; id = c->book[id].next) {
		const struct next_hop *h = &c->hops[id];

		if (h->port == port && h->family == family &&
		    memcmp(h->address, want->octets, sizeof(h->address)) == 0)
			return id;
	}
	return NEXT_HOP_NONE;
}

enum neigh_origin
hop_neigh_origin(const struct hop_book *book)
{
	for (int i = 0; i < NEIGH_MAX; i++)
		if ((book->known & 1 << i) != 0)
			return i;
	return NEIGH_MAX;
}

/* All that follows from the port and the neighbour. The flag that lets packets use it comes last.
 */
static void
hop_write(struct control *c, uint16_t id)
{
	const struct link *link = &c->links[c->hops[id].port];
	const struct hop_book *book = &c->book[id];
	struct next_hop *h = &c->hops[id];
	struct next_hop l2 = { 0 };
	uint8_t flags = h->flags & (uint8_t)~HOP_HAS_MAC;

	h->side = (uint8_t)link->side;
	__atomic_store_n(&h->mtu, link->mtu, __ATOMIC_RELAXED);
	if (book->known == 0) {
		__atomic_store_n(&h->flags, flags, __ATOMIC_RELAXED);
		return;
	}
	memcpy(l2.l2, &book->mac[hop_neigh_origin(book)], RTE_ETHER_ADDR_LEN);
	memcpy(l2.l2 + 6, &link->mac, RTE_ETHER_ADDR_LEN);
	l2.l2[12] = h->family == 4 ? 0x08 : 0x86;
	l2.l2[13] = h->family == 4 ? 0x00 : 0xdd;
	memcpy(h->l2 + sizeof(l2.l2_head), l2.l2 + sizeof(l2.l2_head),
	       HOP_L2_SIZE - sizeof(l2.l2_head));
	__atomic_store_n(&h->l2_head, l2.l2_head, __ATOMIC_RELAXED);
	__atomic_store_n(&h->flags, flags | HOP_HAS_MAC, __ATOMIC_RELEASE);
}

int
hop_take(struct control *c, uint8_t port, uint8_t family, const struct addr *a, uint16_t *id,
	 struct err *err)
{
	const struct addr *want = a != NULL ? a : ON_LINK_ADDR;
	struct next_hop *h;
	uint16_t *bucket;

	*id = hop_find(c, port, family, a);
	if (*id != NEXT_HOP_NONE) {
		c->book[*id].refs++;
		return 0;
	}
	if (c->free_hop == NEXT_HOP_NONE)
		return err_set(err, -ENOSPC, "all %u next hops are in use",
			       HOPS_SIZE - HOP_FIRST - 1);
	*id = c->free_hop;
	c->free_hop = c->book[*id].next;
	c->hops_end = RTE_MAX(c->hops_end, *id + 1u);
	h = &c->hops[*id];
	*h = (struct next_hop) { .port = port,
				 .family = family,
				 .flags = a == NULL ? HOP_ON_LINK : 0 };
	memcpy(h->address, want->octets, sizeof(h->address));
	bucket = &c->hop_buckets[hop_bucket(port, family, want->octets)];
	c->book[*id] = (struct hop_book) { .control = c, .refs = 1, .next = *bucket };
	*bucket = *id;
	hop_write(c, *id);
	return 0;
}

void
hop_keep(struct control *c, uint16_t id)
{
	if (id >= HOP_FIRST && id != NEXT_HOP_NONE)
		c->book[id].refs++;
}

static void
hop_free(void *obj)
{
	struct hop_book *book = obj;
	struct control *c = book->control;

	book->next = c->free_hop;
	c->free_hop = (uint16_t)(book - c->book);
}

void
hop_give(struct control *c, uint16_t id)
{
	const struct next_hop *h = &c->hops[id];
	uint16_t *at;

	if (id < HOP_FIRST || id == NEXT_HOP_NONE || --c->book[id].refs > 0)
		return;
	at = &c->hop_buckets[hop_bucket(h->port, h->family, h->address)];
	while (*at != id)
		at = &c->book[*at].next;
	*at = c->book[id].next;
	control_defer(c, hop_free, &c->book[id]);
}

static void
neighbour_link(struct control *c, uint16_t id)
{
	struct hop_book *book = &c->book[id];

	book->sooner = NEXT_HOP_NONE;
	book->later = c->neighbours;
	if (book->later != NEXT_HOP_NONE)
		c->book[book->later].sooner = id;
	c->neighbours = id;
}

static void
neighbour_unlink(struct control *c, uint16_t id)
{
	const struct hop_book *book = &c->book[id];

	if (book->later != NEXT_HOP_NONE)
		c->book[book->later].sooner = book->sooner;
	if (book->sooner != NEXT_HOP_NONE)
		c->book[book->sooner].later = book->later;
	else
		c->neighbours = book->later;
}

void
hop_set_mac(struct control *c, uint16_t id, enum neigh_origin origin,
	    const struct rte_ether_addr *mac)
{
	struct hop_book *book = &c->book[id];
	uint8_t before = book->known;

	if (mac != NULL) {
		book->known |= (uint8_t)(1 << origin);
		book->mac[origin] = *mac;
	} else {
		book->known &= (uint8_t) ~(1 << origin);
	}
	if (before == 0 && book->known != 0)
		neighbour_link(c, id);
	else if (before != 0 && book->known == 0)
		neighbour_unlink(c, id);
	hop_write(c, id);
}

void
hops_of_port_write(struct control *c, uint8_t port)
{
	for (uint32_t id = HOP_FIRST; id < c->hops_end; id++)
		if (c->book[id].refs > 0 && c->hops[id].port == port)
			hop_write(c, (uint16_t)id);
}
