#include "ctl/steering.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_byteorder.h>

#include "port/port.h"

#define BUSY_SLOTS 4096
#define CHANGES	   64 /* of the devices, a second: some take long */
#define RULE_NONE  UINT32_MAX

/* SAs with packets since the last round: of those that share a slot the busiest. */
struct busy {
	uint32_t sa, generation;
	uint64_t packets;
};

struct rule {
	uint32_t sa, generation;
	uint8_t worker; /* whose queues it names */
	bool anew;	/* a port was stopped */
	uint64_t packets;
	struct rte_flow *flows[PORTS_MAX]; /* by port; NULL: it has none there */
};

struct steering {
	struct gw *gw;
	uint64_t last;	 /* round, in seconds */
	uint64_t *ruled; /* SAs that have a rule, a bit each */
	uint32_t n, changes;
	struct rule list[STEERING_MAX];
	struct busy busy[BUSY_SLOTS];
};

int
steering_create(struct gw *gw, struct steering **out, struct err *err)
{
	struct steering *r = calloc(1, sizeof(*r));

	*out = r;
	if (r != NULL) {
		r->gw = gw;
		r->ruled = calloc(gw->sas.records.max / 64 + 1, sizeof(r->ruled[0]));
	}
	if (r == NULL || r->ruled == NULL)
		return err_set(err, -ENOMEM, "no memory for rules of devices");
	return 0;
}

static struct port *
port_at(const struct steering *r, uint8_t i)
{
	return r->gw->ports->list[i];
}

static void
flows_end(struct steering *r, struct rule *rule)
{
	for (uint8_t i = 0; i < r->gw->ports->n; i++) {
		if (rule->flows[i] != NULL)
			port_steer_del(port_at(r, i), rule->flows[i]);
		rule->flows[i] = NULL;
	}
}

static void
rule_end(struct steering *r, uint32_t at)
{
	struct rule *rule = &r->list[at];

	flows_end(r, rule);
	r->ruled[rule->sa / 64] &= ~(UINT64_C(1) << rule->sa % 64);
	*rule = r->list[--r->n];
	r->changes++;
}

void
steering_free(struct steering *r)
{
	if (r == NULL)
		return;
	while (r->n > 0)
		rule_end(r, r->n - 1);
	free(r->ruled);
	free(r);
}

bool
steering_has(const struct steering *r, uint32_t sa)
{
	return (r->ruled[sa / 64] >> sa % 64 & 1) != 0;
}

static uint32_t
rule_of(const struct steering *r, uint32_t sa)
{
	for (uint32_t i = 0; steering_has(r, sa) && i < r->n; i++)
		if (r->list[i].sa == sa)
			return i;
	return RULE_NONE;
}

static bool
queue_of(const struct port *port, uint8_t worker, uint16_t *queue)
{
	for (uint16_t q = 0; q < port->map.n_rx; q++) {
		*queue = q;
		if (port->map.rx_owner[q] == worker)
			return true;
	}
	return false;
}

static void
steer_fill(struct steer_rule *steer, const struct gw *gw, uint32_t index)
{
	const struct sa *sa = sa_at(&gw->sas, index);

	*steer = (struct steer_rule) {
		.spi = sa_cold(&gw->sas, index)->spi,
		.v6 = (sa->flags & SA_V6) != 0,
		.udp = (sa->flags & SA_UDP) != 0,
		.udp_dst = rte_be_to_cpu_16(sa->in.udp_local_be),
	};
}

static bool
is_steerable(const struct port *port)
{
	return port->link.side == PORT_BLACK && port->steering.ops != NULL && port->started;
}

/* At every port that takes it: its packets may come by each. -ENOSPC: one has no room, then it is
 * nowhere; -ENOTSUP: none takes it.
 */
static int
flows_make(struct steering *r, struct rule *rule)
{
	int rc = -ENOTSUP;

	rule->worker = sa_owner(sa_at(&r->gw->sas, rule->sa));
	for (uint8_t i = 0; i < r->gw->ports->n; i++) {
		struct port *port = port_at(r, i);
		struct steer_rule steer;
		struct err err;
		int made;

		steer_fill(&steer, r->gw, rule->sa);
		if (!is_steerable(port) || !queue_of(port, rule->worker, &steer.queue))
			continue;
		made = port_steer_add(port, &steer, &rule->flows[i], &err);
		if (made == -ENOSPC) {
			flows_end(r, rule);
			return made;
		}
		rc = made == 0 ? 0 : rc;
	}
	return rc;
}

static int
rule_make(struct steering *r, const struct busy *busy)
{
	struct rule *rule = &r->list[r->n];
	int rc;

	*rule = (struct rule) {
		.sa = busy->sa,
		.generation = busy->generation,
		.packets = busy->packets,
	};
	rc = flows_make(r, rule);
	if (rc < 0)
		return rc;
	r->ruled[rule->sa / 64] |= UINT64_C(1) << rule->sa % 64;
	r->n++;
	r->changes++;
	return 0;
}

void
steering_note(struct steering *r, uint32_t sa, uint64_t packets)
{
	uint32_t generation = sa_at(&r->gw->sas, sa)->generation;
	struct busy *b = &r->busy[sa % BUSY_SLOTS];

	if (b->sa == sa && b->generation == generation)
		b->packets += packets;
	else if (packets > b->packets)
		*b = (struct busy) { sa, generation, packets };
}

static int
busier(const void *a, const void *b)
{
	const struct busy *x = a, *y = b;

	return (x->packets < y->packets) - (x->packets > y->packets);
}

/* The busiest first; their slots are empty then. */
static uint32_t
busy_take(struct steering *r, struct busy list[BUSY_SLOTS])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < BUSY_SLOTS; i++) {
		struct busy *b = &r->busy[i];

		if (b->packets > 0 && sa_again(&r->gw->sas, b->sa, b->generation) != NULL &&
		    !sa_cold(&r->gw->sas, b->sa)->ended)
			list[n++] = *b;
		*b = (struct busy) { .packets = 0 };
	}
	qsort(list, n, sizeof(list[0]), busier);
	return n;
}

/* Those that moved, or have no rule at a port that was stopped, get it anew. */
static void
steering_follow(struct steering *r)
{
	for (uint32_t i = 0; i < r->n && r->changes < CHANGES;) {
		struct rule *rule = &r->list[i];
		const struct sa *sa = sa_at(&r->gw->sas, rule->sa);

		rule->packets = 0;
		if (!rule->anew && (sa_is_moving(sa) || sa_owner(sa) == rule->worker)) {
			i++;
			continue;
		}
		rule->anew = false;
		flows_end(r, rule);
		r->changes++;
		if (flows_make(r, rule) < 0)
			rule_end(r, i);
		else
			i++;
	}
}

static uint32_t
laziest(const struct steering *r)
{
	uint32_t found = 0;

	for (uint32_t i = 1; i < r->n; i++)
		if (r->list[i].packets < r->list[found].packets)
			found = i;
	return found;
}

/* False: no room for it, nor for those that are less busy. */
static bool
place(struct steering *r, const struct busy *b)
{
	int rc = r->n < STEERING_MAX ? rule_make(r, b) : -ENOSPC;
	uint32_t worst;

	if (rc != -ENOSPC)
		return true;
	worst = laziest(r);
	if (r->n == 0 || b->packets - b->packets / 5 <= r->list[worst].packets)
		return false;
	rule_end(r, worst);
	rule_make(r, b);
	return true;
}

static bool
any_steerable(const struct steering *r)
{
	for (uint8_t i = 0; i < r->gw->ports->n; i++)
		if (is_steerable(port_at(r, i)))
			return true;
	return false;
}

void
steering_tick(struct steering *r, uint64_t now)
{
	static struct busy list[BUSY_SLOTS];
	uint32_t n;

	if (now / NS_PER_SECOND == r->last || !any_steerable(r))
		return;
	r->last = now / NS_PER_SECOND;
	r->changes = 0;
	steering_follow(r);
	n = busy_take(r, list);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = rule_of(r, list[i].sa);

		if (at != RULE_NONE)
			r->list[at].packets = list[i].packets;
	}
	for (uint32_t i = 0; i < n && r->changes < CHANGES; i++)
		if (!steering_has(r, list[i].sa) && !place(r, &list[i]))
			return;
}

void
steering_sa_ends(struct steering *r, uint32_t sa)
{
	uint32_t at = rule_of(r, sa);

	if (at != RULE_NONE)
		rule_end(r, at);
}

void
steering_port_stops(struct steering *r, uint8_t port)
{
	for (uint32_t i = 0; i < r->n; i++) {
		struct rule *rule = &r->list[i];

		if (rule->flows[port] != NULL)
			port_steer_del(port_at(r, port), rule->flows[port]);
		rule->flows[port] = NULL;
		rule->anew = true;
	}
	port_steer_reset(port_at(r, port));
}

void
steering_why(const struct steering *r, uint32_t sa, char *why, size_t size)
{
	struct steer_rule steer;

	steer_fill(&steer, r->gw, sa);
	for (uint8_t i = 0; i < r->gw->ports->n && why[0] == 0; i++)
		if (is_steerable(port_at(r, i)))
			snprintf(why, size, "%s", port_steer_why(port_at(r, i), &steer));
}
