/* What the follower knows; between its files only. */
#ifndef MIRROR_FOLLOW_STATE_H
#define MIRROR_FOLLOW_STATE_H

#include "mirror/follow.h"
#include "mirror/kernel.h"
#include "worker/worker.h"

struct mnl_socket;

#define FOLLOW_ADDRESSES_MAX (2 * LINK_ADDRESSES_MAX)
#define FOLLOW_PENDING_MAX   64 /* hosts of one port that are asked for because of packets */
#define ROUTE_BUCKETS	     16384
#define NEIGH_BUCKETS	     4096

/* A route of the kernel's that may be used. Of one metric the first that came goes first. */
struct path {
	struct path *next; /* by metric */
	uint32_t metric;
	uint32_t mark;
	uint8_t port; /* ROUTE_REFUSED: to nowhere */
	bool multipath;
	struct addr via; /* family 0: on the link */
};

struct kroute {
	struct kroute *next;
	struct prefix to;
	struct path *paths;
	bool told; /* lib/route has it, with these */
	uint8_t port;
	struct addr via;
};

struct kneigh {
	struct kneigh *next;
	uint8_t port;
	struct addr addr;
	bool in_kernel;
	bool told;
	uint16_t state; /* NUD_, 0: the kernel does not know it */
	uint32_t mark;
	uint32_t walk; /* the last walk that met it as a next hop */
	struct rte_ether_addr mac;
	uint64_t ask_at, step; /* ns; not before, and by how much that grew */
};

struct kaddress {
	struct link_address a;
	uint32_t mark;
};

struct asked_host {
	struct addr addr; /* family 0: free */
	uint64_t until;
};

struct fport {
	uint32_t ifindex; /* 0: no mirror */
	uint32_t flags;	  /* IFF_ */
	uint8_t n_wanted, n_addresses;
	bool changed; /* the addresses, since they were told */
	struct link_address wanted[LINK_ADDRESSES_MAX];
	struct kaddress addresses[FOLLOW_ADDRESSES_MAX];
	struct asked_host pending[FOLLOW_PENDING_MAX];
};

enum resync {
	RESYNC_NONE,
	RESYNC_ROUTES,
	RESYNC_ALL,
};

struct follow {
	struct follow_params params;
	struct mnl_socket *nl;	/* changes, dumps and questions */
	struct mnl_socket *put; /* requests that are waited for */
	uint32_t seq;
	uint64_t now;
	struct fport ports[PORTS_MAX];
	uint32_t n_ports; /* with a mirror */

	/* A resync: the dumps one after the other; what is met, in a dump or by a change, gets the
	 * mark of now, and after the dump what has an older one is gone. */
	enum resync wanted, running;
	uint32_t dump; /* index in dumps[] */
	uint32_t dump_seq;
	uint32_t dump_tries;
	bool interrupted;
	bool drained;	    /* nothing waits at the socket */
	uint64_t resync_at; /* not before */
	uint64_t give_up_at;
	uint32_t mark;

	struct kroute *routes[ROUTE_BUCKETS];
	struct kneigh *neighs[NEIGH_BUCKETS];
	uint32_t n_untold; /* routes that lib/route had no room for */
	bool room;	   /* since then some went */
	uint64_t retry_at, warn_at;
	uint64_t walk_at, idle_at;
	uint32_t walk, walk_asked;
	bool walk_soon;
	struct follow_counters count;
};

/* PORTS_MAX: of no mirror. */
uint8_t follow_port_of(const struct follow *f, uint32_t ifindex);
void follow_warn(struct follow *f, const char *format, ...) __rte_format_printf(2, 3);
void follow_resync(struct follow *f, enum resync what);
/* To the kernel, without waiting for an answer. */
int follow_send(struct follow *f, const void *message, size_t size);

void addresses_take(struct follow *f, const struct kernel_message *m);
void addresses_sweep(struct follow *f);
void addresses_tell(struct follow *f);

void routes_take(struct follow *f, const struct kernel_message *m);
void routes_sweep(struct follow *f, uint8_t family);
void routes_tick(struct follow *f);
/* Of a port whose mirror is gone, or of all (PORTS_MAX). */
void routes_forget(struct follow *f, uint8_t port);

void neighs_take(struct follow *f, const struct kernel_message *m);
void neighs_sweep(struct follow *f);
void neighs_tick(struct follow *f);
void neighs_forget(struct follow *f, uint8_t port);

#endif
