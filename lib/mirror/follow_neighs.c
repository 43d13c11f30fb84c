#include <errno.h>
#include <stdlib.h>

#include <linux/neighbour.h>

#include "mirror/follow_state.h"
#include "route/route.h"
#include "worker/mailbox.h"

#define MS	     UINT64_C(1000000)
#define WALK_NS	     (100 * MS)
#define WALK_SOON_NS (10 * MS) /* after something changed */
#define ASK_FIRST_NS (200 * MS)
#define ASK_MAX_NS   (1000 * MS)
#define ASK_STALE_NS (3000 * MS)
#define ASKS_A_WALK  256
#define IDLE_NS	     (50 * MS)	 /* between two questions for hosts that nothing points at */
#define PENDING_NS   (3000 * MS) /* by then the kernel has given up */
#define FORGET_WALKS 100

/* States in which the kernel itself would send to the MAC. */
#define NUD_USABLE (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)

static struct kneigh **
neigh_at(struct follow *f, uint8_t port, const struct addr *a)
{
	uint64_t h = port;
	struct kneigh **at;

	for (int i = 0; i < 16; i++)
		h = (h ^ a->octets[i]) * UINT64_C(0x100000001b3);
	at = &f->neighs[(h ^ h >> 32) % NEIGH_BUCKETS];
	while (*at != NULL && ((*at)->port != port || !addr_equal(&(*at)->addr, a)))
		at = &(*at)->next;
	return at;
}

static struct kneigh *
neigh_get(struct follow *f, uint8_t port, const struct addr *a)
{
	struct kneigh **at = neigh_at(f, port, a);

	if (*at == NULL) {
		*at = calloc(1, sizeof(**at));
		if (*at != NULL)
			**at = (struct kneigh) { .port = port, .addr = *a, .walk = f->walk };
	}
	return *at;
}

static void
pending_end(struct follow *f, const struct kneigh *n)
{
	struct fport *p = &f->ports[n->port];

	for (uint32_t i = 0; i < FOLLOW_PENDING_MAX; i++)
		if (addr_equal(&p->pending[i].addr, &n->addr))
			p->pending[i].addr.family = 0;
}

static void
tell(struct follow *f, struct kneigh *n, const struct rte_ether_addr *mac)
{
	struct err err;

	n->ask_at = 0;
	n->step = 0;
	if (n->told && rte_is_same_ether_addr(&n->mac, mac))
		return;
	if (route_kernel_neigh_set(f->params.route, &n->addr, mac, n->port, &err) < 0) {
		follow_warn(f, "kernel neighbour %s", err.text);
		return;
	}
	f->count.neighbours += !n->told;
	n->told = true;
	n->mac = *mac;
}

static void
untell(struct follow *f, struct kneigh *n)
{
	if (!n->told)
		return;
	route_kernel_neigh_del(f->params.route, &n->addr, n->port, NULL);
	n->told = false;
	f->count.neighbours--;
	f->walk_soon = true;
}

/* Groups and broadcasts are no hosts, though the kernel keeps entries for them too. */
static bool
is_host(const struct kernel_neigh *k)
{
	const uint8_t *o = k->addr.octets;

	if (k->addr.family == 4 ? o[0] >= 224 : o[0] == 0xff)
		return false;
	return !k->has_mac || !rte_is_multicast_ether_addr(&k->mac);
}

void
neighs_take(struct follow *f, const struct kernel_message *m)
{
	const struct kernel_neigh *k = &m->neigh;
	uint8_t port = follow_port_of(f, m->ifindex);
	struct kneigh *n;

	if (port == PORTS_MAX || !is_host(k))
		return;
	n = m->gone ? *neigh_at(f, port, &k->addr) : neigh_get(f, port, &k->addr);
	if (n == NULL)
		return;
	n->in_kernel = !m->gone;
	n->state = m->gone ? NUD_NONE : k->state;
	n->mark = f->mark;
	if ((n->state & NUD_USABLE) != 0 && k->has_mac)
		tell(f, n, &k->mac);
	else
		untell(f, n);
	if (n->told || n->state == NUD_FAILED)
		pending_end(f, n);
}

static void
neighs_drop(struct follow *f, bool (*fits)(const struct follow *f, const struct kneigh *n, uint8_t),
	    uint8_t port)
{
	for (uint32_t i = 0; i < NEIGH_BUCKETS; i++) {
		struct kneigh **at = &f->neighs[i];

		while (*at != NULL) {
			struct kneigh *n = *at;

			if (!fits(f, n, port)) {
				at = &n->next;
				continue;
			}
			untell(f, n);
			*at = n->next;
			free(n);
		}
	}
}

static bool
is_unmarked(const struct follow *f, const struct kneigh *n, uint8_t port)
{
	return n->in_kernel && n->mark != f->mark;
}

static bool
is_of_port(const struct follow *f, const struct kneigh *n, uint8_t port)
{
	return port == PORTS_MAX || n->port == port;
}

/* Asked for once, never answered, and no next hop any more. */
static bool
is_idle(const struct follow *f, const struct kneigh *n, uint8_t port)
{
	return !n->in_kernel && f->walk - n->walk > FORGET_WALKS;
}

void
neighs_sweep(struct follow *f)
{
	neighs_drop(f, is_unmarked, PORTS_MAX);
}

void
neighs_forget(struct follow *f, uint8_t port)
{
	neighs_drop(f, is_of_port, port);
}

static void
ask(struct follow *f, uint8_t port, const struct addr *a)
{
	uint8_t room[KERNEL_REQUEST_SIZE] __rte_aligned(8);
	size_t size = kernel_use(room, ++f->seq, f->ports[port].ifindex, a);

	f->count.asked++;
	if (follow_send(f, room, size) < 0)
		f->count.ask_failed++;
}

/* A next hop that something points at: asked for until it has a MAC, and again when the kernel is
 * not sure of it any more, which then looks (RFC 4861 section 7.3.3; for ARP Linux does the
 * same). One that the kernel gave up is asked for again, ever more slowly.
 */
static void
needed(struct follow *f, struct kneigh *n, bool has_mac)
{
	if (f->now < n->ask_at || f->walk_asked >= ASKS_A_WALK)
		return;
	if (has_mac && n->state != NUD_STALE)
		return;
	if (has_mac) {
		n->ask_at = f->now + ASK_STALE_NS;
	} else {
		n->step = RTE_MAX(n->step * 2, ASK_FIRST_NS);
		n->step = RTE_MIN(n->step, ASK_MAX_NS);
		n->ask_at = f->now + n->step;
	}
	f->walk_asked++;
	ask(f, n->port, &n->addr);
}

/* A host behind a connected prefix, which workers send to without telling: looked at in turn, so
 * slowly that a link full of hosts hears little of it. */
static void
idle(struct follow *f, struct kneigh *n)
{
	if (n->state != NUD_STALE || f->now < n->ask_at || f->now < f->idle_at)
		return;
	f->idle_at = f->now + IDLE_NS;
	n->ask_at = f->now + ASK_STALE_NS;
	ask(f, n->port, &n->addr);
}

static void
walk_one(void *ctx, const struct route_hop_use *use)
{
	struct follow *f = ctx;
	struct kneigh *n;

	if (use->port >= PORTS_MAX || f->ports[use->port].ifindex == 0)
		return;
	n = neigh_get(f, use->port, &use->addr);
	if (n == NULL)
		return;
	n->walk = f->walk;
	if (use->needed)
		needed(f, n, use->has_mac);
	else
		idle(f, n);
}

void
neighs_tick(struct follow *f)
{
	if (f->n_ports == 0 || f->now < f->walk_at)
		return;
	if (!f->walk_soon && f->now < f->walk_at + WALK_NS - WALK_SOON_NS)
		return;
	f->walk_at = f->now + WALK_SOON_NS;
	f->walk_soon = false;
	f->walk_asked = 0;
	f->walk++;
	route_hops_walk(f->params.route, walk_one, f);
	if (f->walk % FORGET_WALKS == 0)
		neighs_drop(f, is_idle, PORTS_MAX);
}

static bool
is_on_link(const struct follow *f, const struct addr *a, uint8_t port)
{
	const struct next_hop *hop = route_hop(f->params.route, route_of(f->params.route, a));

	return (hop->flags & HOP_ON_LINK) != 0 && hop->port == port;
}

void
follow_unresolved(struct follow *f, const struct unresolved_event *e, uint64_t now)
{
	struct addr a = { .family = e->family };
	struct asked_host *free_slot = NULL;
	struct fport *p;

	if (e->port >= PORTS_MAX || f->ports[e->port].ifindex == 0)
		return;
	p = &f->ports[e->port];
	memcpy(a.octets, e->address, e->family == 4 ? 4 : 16);
	f->now = now;
	/* Of a gateway or an SA's peer the walk takes care. */
	if (!is_on_link(f, &a, e->port)) {
		f->walk_soon = true;
		return;
	}
	for (uint32_t i = 0; i < FOLLOW_PENDING_MAX; i++) {
		if (p->pending[i].until <= now)
			p->pending[i].addr.family = 0;
		if (addr_equal(&p->pending[i].addr, &a))
			return;
		if (p->pending[i].addr.family == 0)
			free_slot = &p->pending[i];
	}
	if (free_slot == NULL) {
		f->count.ask_bounded++;
		return;
	}
	*free_slot = (struct asked_host) { .addr = a, .until = now + PENDING_NS };
	ask(f, e->port, &a);
}
