/* What control knows behind struct route: every prefix with all that speak for it, every next hop
 * with who refers to it. Inside lib/route only.
 */
#ifndef ROUTE_CONTROL_H
#define ROUTE_CONTROL_H

#include "route/route.h"
#include "worker/worker.h"

#define PREFIX_BUCKETS 65536
#define HOP_BUCKETS    65536

/* Who speaks for a prefix; the first one wins. */
enum origin {
	ORIGIN_LOCAL,
	ORIGIN_CONNECTED,
	ORIGIN_STATIC,
	ORIGIN_KERNEL,
	ORIGIN_NEIGHBOUR,
	ORIGIN_MAX
};

/* Who knows a neighbour's MAC; the first one wins. */
enum neigh_origin {
	NEIGH_STATIC,
	NEIGH_KERNEL,
	NEIGH_MAX
};

struct entry {
	struct entry *next;
	struct prefix p;
	uint16_t hop[ORIGIN_MAX]; /* NEXT_HOP_NONE: does not speak for it */
	uint32_t n_local;	  /* how often the address was said to be ours */
};

struct hop_book {
	struct control *control;
	uint32_t refs;		/* 0: free, or waiting to be */
	uint16_t next;		/* in the bucket, or in the list of free ids */
	uint16_t later, sooner; /* in the list of neighbours */
	uint8_t known;		/* 1 << enum neigh_origin: who says that it is a neighbour */
	struct rte_ether_addr mac[NEIGH_MAX];
};

struct control {
	struct route *route;
	struct route_params params;
	uint32_t generation;
	uint32_t n_routes[2]; /* IPv4, IPv6: connected, static and kernel */
	struct entry *prefixes[PREFIX_BUCKETS];
	struct next_hop *hops; /* HOPS_SIZE */
	struct hop_book *book; /* HOPS_SIZE */
	uint16_t free_hop;
	uint16_t neighbours; /* the first of the list */
	uint32_t hops_end;   /* no next hop ever had this id, or a larger one */
	uint16_t hop_buckets[HOP_BUCKETS];
	struct link links[PORTS_MAX];
	bool known[PORTS_MAX];
};

/* Runs fn(obj) when no worker can see what it gives back. */
void control_defer(struct control *c, void (*fn)(void *), void *obj);

int hops_init(struct control *c, struct err *err);
void hops_fini(struct control *c);
/* The next hop of that address on that port, made if there is none, with one reference more. a
 * NULL: the one of a prefix on the link, for that family.
 */
int hop_take(struct control *c, uint8_t port, uint8_t family, const struct addr *a, uint16_t *id,
	     struct err *err);
void hop_keep(struct control *c, uint16_t id);
void hop_give(struct control *c, uint16_t id);
/* NEXT_HOP_NONE if there is none. */
uint16_t hop_find(const struct control *c, uint8_t port, uint8_t family, const struct addr *a);
/* mac NULL: not known any more, to who said so. */
void hop_set_mac(struct control *c, uint16_t id, enum neigh_origin origin,
		 const struct rte_ether_addr *mac);
/* Where its MAC comes from; NEIGH_MAX: nobody knows it. */
enum neigh_origin hop_neigh_origin(const struct hop_book *book);
/* After the port's MTU or MAC changed. */
void hops_of_port_write(struct control *c, uint8_t port);
struct addr hop_addr(const struct next_hop *hop);

void prefixes_fini(struct control *c);
struct entry *prefix_find(const struct control *c, const struct prefix *p);
/* Takes over the reference to hop if it succeeds, and gives back that to the one before. */
int prefix_set(struct control *c, const struct prefix *p, enum origin origin, uint16_t hop,
	       struct err *err);
/* There is one of this origin. */
void prefix_unset(struct control *c, const struct prefix *p, enum origin origin);
/* A host that is on the link by a prefix of its own length is reached as the neighbour it is. */
uint16_t entry_winner(const struct control *c, const struct entry *e);
/* The next shorter prefix that covers this one; len 0 and NEXT_HOP_NONE if none does. */
uint16_t prefix_around(const struct control *c, const struct prefix *p, uint8_t *len);
const char *origin_name(enum origin origin);

#endif
