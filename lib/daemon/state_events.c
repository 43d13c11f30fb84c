/* What happens by itself: limits, peers that move, ends of time. */
#include <string.h>
#include <time.h>

#include "ctl/egress.h"
#include "ctl/rates.h"
#include "daemon/state.h"
#include "pmtu/pmtu.h"
#include "worker/mailbox.h"

#define MAPPING_EVERY_S 1
#define REPLACED_NS	(3 * NS_PER_SECOND)

void
state_tell(struct daemons *d, uint32_t index, uint16_t type, const struct cause *cause)
{
	const struct xfrm_head head = {
		.type = type,
		.seq = cause == NULL ? 0 : cause->msg->head.seq,
		.pid = cause == NULL ? 0 : cause->client->nl_pid,
	};
	uint8_t event[EVENT_SIZE];
	struct xfrm_out out = { event, event + sizeof(event) };
	struct xfrm_sa x;
	int rc;

	if (d->out.listens != NULL && !d->out.listens(d->out.ctx, XFRM_GROUP_SA))
		return;
	state_read(d, index, &x);
	rc = type == XFRM_DELSA ? xfrm_put_sa_gone(&out, &head, &x) :
				  xfrm_put_sa(&out, &head, &x, false);
	xfrm_sa_wipe(&x);
	if (rc == 0)
		d->out.event(d->out.ctx, XFRM_GROUP_SA, event, out.at - event);
}

static void
expire_tell(struct daemons *d, uint32_t index, bool hard)
{
	const struct xfrm_head head = { .type = XFRM_EXPIRE };
	uint8_t event[EVENT_SIZE];
	struct xfrm_out out = { event, event + sizeof(event) };
	struct xfrm_sa x;
	int rc;

	state_read(d, index, &x);
	rc = xfrm_put_expire(&out, &head, &x, hard);
	xfrm_sa_wipe(&x);
	if (rc == 0)
		d->out.event(d->out.ctx, XFRM_GROUP_EXPIRE, event, out.at - event);
}

static void
soft_limit(void *ctx, uint32_t sa, enum sa_limit limit)
{
	struct daemons *d = ctx;
	uint32_t index;
	struct state *s = state_of_sa(d, sa, &index);

	/* One is enough to have it rekeyed. */
	if (s == NULL || s->soft_sent)
		return;
	s->soft_sent = true;
	expire_tell(d, index, false);
}

static void
hard_limit(void *ctx, uint32_t sa, enum sa_limit limit)
{
	struct daemons *d = ctx;
	uint32_t index;

	if (state_of_sa(d, sa, &index) == NULL)
		return;
	expire_tell(d, index, true);
	state_end(d, index);
}

static bool
mapping_is_due(const struct daemons *d, struct state *s)
{
	const struct state_more *m = s->more == STATE_NONE ? NULL : slab_at(&d->mores, s->more);
	uint32_t every = m != NULL && m->mtimer_s != 0 ? m->mtimer_s : MAPPING_EVERY_S;
	uint32_t now = daemons_now(d) + 1; /* 0 is never */

	if (s->mapped != 0 && now - s->mapped < every)
		return false;
	s->mapped = now;
	return true;
}

static void
mapping(void *ctx, const struct mapping_event *e)
{
	const struct xfrm_head head = { .type = XFRM_MAPPING };
	struct daemons *d = ctx;
	uint8_t event[EVENT_SIZE];
	struct xfrm_out out = { event, event + sizeof(event) };
	const struct sa *sa = sa_again(&d->gw->sas, e->sa, e->generation);
	uint32_t index;
	uint16_t port;
	struct state *s = sa == NULL ? NULL : state_of_sa(d, e->sa, &index);
	struct xfrm_mapping m;

	if (s == NULL || (sa->flags & SA_UDP) == 0 || !mapping_is_due(d, s))
		return;
	m = (struct xfrm_mapping) {
		.family = s->family,
		.id = { .spi = s->spi, .proto = s->proto },
		.reqid = s->reqid,
		.new_sport = e->port,
	};
	/* 0 is any port, and to charon no mapping at all. */
	sa_udp_ports(sa, &m.old_sport, &port);
	if (m.old_sport == 0)
		m.old_sport = e->port;
	m.id.dst.family = m.old_src.family = s->family;
	m.new_src.family = e->family;
	memcpy(m.id.dst.octets, s->dst, 16);
	memcpy(m.old_src.octets, s->src, 16);
	memcpy(m.new_src.octets, e->address, e->family == 6 ? 16 : 4);
	if (xfrm_put_mapping(&out, &head, &m) == 0)
		d->out.event(d->out.ctx, XFRM_GROUP_MAPPING, event, out.at - event);
}

/* Of any SA, the file's too. */
static void
sa_tell(struct daemons *d, uint32_t sa, struct xfrm_ae *ae)
{
	const struct xfrm_head head = { .type = XFRM_NEWAE };
	const struct sa_cold *cold = sa_cold(&d->gw->sas, sa);
	uint8_t event[EVENT_SIZE];
	struct xfrm_out out = { event, event + sizeof(event) };
	uint32_t index;
	const struct state *s = state_of_sa(d, sa, &index);
	bool ah = (sa_at(&d->gw->sas, sa)->flags & SA_AH) != 0;
	uint8_t proto = ah ? XFRM_PROTO_AH : XFRM_PROTO_ESP;

	ae->family = cold->dst.family;
	ae->id = (struct xfrm_ident) { .dst = cold->dst, .spi = cold->spi, .proto = proto };
	ae->src = cold->src;
	ae->reqid = s != NULL ? s->reqid : 0;
	if (xfrm_put_ae(&out, &head, ae) == 0)
		d->out.event(d->out.ctx, XFRM_GROUP_AEVENTS, event, out.at - event);
}

static void
path_tell(struct daemons *d, uint32_t sa, const struct xw_path *path)
{
	struct xfrm_ae ae = { .has_path = true, .path = *path };

	sa_tell(d, sa, &ae);
}

/* How fast an outbound SA of IP-TFS is, by its circuit breaker or congestion control. */
static void
iptfs(void *ctx, const struct rates_event *e)
{
	static const uint8_t kinds[] = {
		[RATES_STOPPED] = XW_IPTFS_STOPPED,
		[RATES_GOES_ON] = XW_IPTFS_GOES_ON,
		[RATES_CHANGED] = XW_IPTFS_RATE,
	};
	struct xfrm_ae ae = {
		.has_iptfs = true,
		.iptfs = {
			.kind = kinds[e->what],
			.packets_per_second = e->packets_per_second,
			.bits_per_second = e->bits_per_second,
		},
	};

	sa_tell(ctx, e->sa, &ae);
}

static void
path_mtu(void *ctx, const struct pmtu_change *c)
{
	const struct xw_path path = {
		.kind = XW_PATH_CHANGED,
		.source = c->source,
		.mtu = c->now,
	};

	if (c->sa != SA_NONE)
		path_tell(ctx, c->sa, &path);
}

static void
egress(void *ctx, const struct egress_event *e)
{
	const struct xw_path path = {
		.kind = e->kind == EGRESS_TOOBIG ? XW_PATH_TOOBIG : XW_PATH_FRAGMENTS,
		.mtu = e->fits,
		.datagrams = e->packets,
		.largest = e->largest,
	};

	path_tell(ctx, e->sa, &path);
}

static void
acquire(void *ctx, const struct acquire_event *e)
{
	struct daemons *d = ctx;

	dpolicies_acquire(d->policies, e, clock_now(&d->gw->clock));
}

static bool
policy_next(void *ctx, uint64_t *cursor, struct policy_view *view)
{
	struct daemons *d = ctx;

	return dpolicies_view(d->policies, cursor, view);
}

static void
describe(void *ctx, uint32_t sa, struct sa_owner_text *text)
{
	const struct daemons *d = ctx;
	uint32_t index;
	const struct state *s = state_of_sa(d, sa, &index);

	*text = (struct sa_owner_text) { .origin = "daemon" };
	if (s == NULL)
		return;
	text->reqid = s->reqid;
	text->of_worker = s->node.worker != 0;
	text->worker = s->node.worker - 1u;
	text->dscp = s->node.listed ? state_classes(d, &s->node) : 0;
	snprintf(text->origin, sizeof(text->origin), "%s", owner_text(s->owner));
	if (owner_is_orphan(s->owner))
		text->orphan_seconds =
			RTE_MAX((clock_now(&d->gw->clock) - s->owner->orphan_since) / NS_PER_SECOND,
				UINT64_C(1));
}

uint64_t
state_sa_used(void *ctx, const struct tie_sa *node)
{
	const struct daemons *d = ctx;
	const struct sa_cold *cold;

	if (node->index == SA_NONE)
		return 0;
	cold = sa_cold(&d->gw->sas, node->index);
	if (cold->last_used == 0)
		return 0;
	return time(NULL) - (clock_now(&d->gw->clock) - cold->last_used) / NS_PER_SECOND;
}

static void
durable(void *ctx, uint64_t ticket)
{
	struct daemons *d = ctx;

	states_ready(d, ticket);
	if (d->out.release != NULL)
		d->out.release(d->out.ctx, ticket);
}

void
daemons_hook(struct daemons *d)
{
	d->gw->hooks = (struct gw_hooks) {
		.ctx = d,
		.acquire = acquire,
		.durable = durable,
		.mapping = mapping,
		.policy_next = policy_next,
		.soft_limit = soft_limit,
		.hard_limit = hard_limit,
		.describe = describe,
		.pair = state_sa_pair,
		.outbound = state_sa_outbound,
		.path_mtu = path_mtu,
		.egress = egress,
		.iptfs = iptfs,
	};
}

/* Whether somebody came in the place of an orphan's daemon: no policy means the SA any more; or all
 * policies of its owner are another's by now, and that one has an SA of its own to go with them,
 * for long enough that the far end knows, too.
 */
static bool
orphan_is_replaced(const struct daemons *d, const struct state *s, uint64_t now_ns)
{
	uint32_t n = 0;

	for (const struct tie_sa *node = s->node.tie->newest; node != NULL; node = node->older)
		n++;
	if (s->node.tie->refs == n)
		return true;
	if (s->owner->n_things > s->owner->n_states)
		return false;
	for (const struct tie_sa *node = s->node.newer; node != NULL; node = node->newer) {
		const struct state *other = state_of_node(node);

		if (!owner_is_orphan(other->owner) &&
		    now_ns - sa_cold(&d->gw->sas, node->index)->created >= REPLACED_NS)
			return true;
	}
	return false;
}

static bool
orphan_is_over(const struct daemons *d, const struct state *s, uint64_t now_ns)
{
	uint64_t timeout = d->gw->conf->gateway.orphan_timeout_us * UINT64_C(1000);

	if (!owner_is_orphan(s->owner))
		return false;
	if (now_ns - s->owner->orphan_since >= timeout)
		return true;
	return s->kind == STATE_ESP && orphan_is_replaced(d, s, now_ns);
}

static void
orphans_count(struct daemons *d)
{
	for (uint32_t i = 0; i < OWNER_BUCKETS; i++)
		for (struct daemon_owner *o = d->owners[i]; o != NULL; o = o->next)
			o->n_states = 0;
	for (uint32_t i = slab_next(&d->states, 0); i != STATE_NONE;
	     i = slab_next(&d->states, i + 1))
		state_at(d, i)->owner->n_states++;
}

static void
orphans_tick(struct daemons *d)
{
	uint64_t now = clock_now(&d->gw->clock);
	uint64_t timeout = d->gw->conf->gateway.orphan_timeout_us * UINT64_C(1000);

	orphans_count(d);
	for (uint32_t i = slab_next(&d->states, 0); i != STATE_NONE;
	     i = slab_next(&d->states, i + 1))
		if (orphan_is_over(d, state_at(d, i), now)) {
			state_tell(d, i, XFRM_DELSA, NULL);
			state_end(d, i);
		}
	for (uint32_t i = 0; i < OWNER_BUCKETS; i++) {
		struct daemon_owner *o = d->owners[i], *next;

		for (; o != NULL; o = next) {
			next = o->next;
			if (!owner_is_orphan(o) || now - o->orphan_since < timeout)
				continue;
			/* Held, since the last thing of it takes it along. */
			o->n_things++;
			dpolicies_drop(d->policies, o);
			owner_count(d, o, -1);
		}
	}
}

void
states_tick(struct daemons *d, uint32_t now)
{
	while (d->oldest != STATE_NONE && state_at(d, d->oldest)->larval_end <= now)
		state_end(d, d->oldest);
	if (d->n_orphans > 0)
		orphans_tick(d);
}
