#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/reserve.h"
#include "ctl/sas.h"
#include "ctl/sets.h"
#include "ctl/streams.h"
#include "ctl/view.h"
#include "daemon/state.h"
#include "numbers/numbers.h"
#include "route/fib.h"
#include "route/route.h"
#include "sad/sad.h"
#include "seq/seq.h"

#define WINDOW_LEAST 32
#define ANY_PATH     UINT16_MAX /* as large as the link takes */

int
state_pcpu_check(const struct daemons *d, const struct xfrm_sa *x, struct err *err)
{
	if ((x->has & XFRM_HAS_PCPU) == 0 || x->pcpu < d->gw->n_workers)
		return 0;
	return err_set(err, -ERANGE, "XFRMA_SA_PCPU: %u: the gateway has %u workers, from 0 on",
		       x->pcpu, d->gw->n_workers);
}

static int
subspaces_check(const struct xfrm_sa *x, struct err *err)
{
	if (x->subspaces.bits != LANE_ID_BITS)
		return err_set(err, -EINVAL, "subspaces: %u bits of an id: %u", x->subspaces.bits,
			       LANE_ID_BITS);
	if (x->subspaces.mode > 1)
		return err_set(err, -EINVAL, "subspaces: mode %u: 0 (flow) or 1 (class)",
			       x->subspaces.mode);
	if (!x->suite.aead)
		return err_set(err, -EINVAL, "subspaces: with an AEAD only");
	if (!x->suite.esn)
		return err_set(err, -EINVAL,
			       "subspaces: with flag ESN (128) only: a number has "
			       "64 bits");
	return 0;
}

/* The selector is the inner pair. */
static int
sel_check_beet(const struct xfrm_sa *x, struct err *err)
{
	const struct xfrm_sel *s = &x->sel;

	if (s->family != 0 && s->src.len == addr_bits(&s->src.addr) &&
	    s->dst.len == addr_bits(&s->dst.addr))
		return 0;
	return err_set(err, -EINVAL,
		       "mode 4 (BEET): sel with prefix lengths %u and %u: two hosts, which are its "
		       "inner addresses",
		       s->src.len, s->dst.len);
}

int
state_check(const struct daemons *d, const struct xfrm_sa *x, struct err *err)
{
	if (x->mode == XFRM_BEET && sel_check_beet(x, err) < 0)
		return -EINVAL;
	if (iptfs_state_check(d, x, err) < 0)
		return -EINVAL;
	if ((x->flags & XFRM_SA_WILDRECV) != 0)
		return err_set(err, -EOPNOTSUPP,
			       "flag WILDRECV (8): an SA is of one peer here; leave it out");
	if ((x->has & XFRM_HAS_OFFLOAD) != 0)
		return err_set(err, -EOPNOTSUPP,
			       "XFRMA_OFFLOAD_DEV: the gateway's ports are no devices of the "
			       "kernel; leave it out");
	if ((x->has & XFRM_HAS_SUBSPACES) != 0 && subspaces_check(x, err) < 0)
		return -EINVAL;
	if (x->key.len > CONF_SECRET_MAX || x->auth_key.len > CONF_SECRET_MAX)
		return err_set(err, -EINVAL, "keys of %u and %u octets are too long", x->key.len,
			       x->auth_key.len);
	if (x->tfcpad > UINT16_MAX)
		return err_set(err, -EINVAL, "XFRMA_TFCPAD: %u: at most %u", x->tfcpad, UINT16_MAX);
	return state_pcpu_check(d, x, err);
}

static bool
is_ours(const struct daemons *d, const struct addr *a)
{
	uint32_t v4;

	if (a->family == 6)
		return route_is_local_v6(d->gw->route, a->octets);
	memcpy(&v4, a->octets, sizeof(v4));
	return route_is_local_v4(d->gw->route, v4);
}

/* Policies that were there before their SA say which way it is. */
static bool
is_wanted(struct daemons *d, const struct xfrm_sa *x, bool inbound)
{
	struct tie_key key;
	struct tie *tie;
	bool wanted;

	tie_key_of_sa(x, inbound, &key);
	if (tie_get(d->ties, &key, &tie, NULL) < 0)
		return false;
	wanted = tie->refs > 1;
	tie_put(d->ties, tie);
	return wanted;
}

uint8_t
state_direction(struct daemons *d, const struct xfrm_sa *x, bool larval)
{
	if (x->dir != XFRM_SA_DIR_NONE)
		return x->dir;
	if (larval || is_ours(d, &x->id.dst))
		return XFRM_SA_DIR_IN;
	if (is_ours(d, &x->src))
		return XFRM_SA_DIR_OUT;
	return is_wanted(d, x, true) && !is_wanted(d, x, false) ? XFRM_SA_DIR_IN : XFRM_SA_DIR_OUT;
}

/* An SA that takes another's place stays what that one is, whatever became of its pair. */
static bool
is_tunnel(struct daemons *d, const struct state *s, const struct xfrm_sa *x)
{
	const struct state *comp = comp_pair_of(d, s);

	if (s->node.index != SA_NONE)
		return (sa_at(&d->gw->sas, s->node.index)->flags & SA_TRANSPORT) == 0;
	return x->mode == XFRM_TUNNEL || (comp != NULL && comp->mode == XFRM_TUNNEL);
}

static uint64_t
limit_of(uint64_t limit)
{
	return limit == XFRM_NO_LIMIT ? 0 : limit;
}

static void
life_fill(struct conf_lifetime *l, const struct xfrm_sa *x)
{
	*l = (struct conf_lifetime) {
		.soft_packets = limit_of(x->life.soft_packets),
		.hard_packets = limit_of(x->life.hard_packets),
		.soft_bytes = limit_of(x->life.soft_bytes),
		.hard_bytes = limit_of(x->life.hard_bytes),
		.soft_seconds = x->life.soft_add_s,
		.hard_seconds = x->life.hard_add_s,
		.soft_use_seconds = x->life.soft_use_s,
		.hard_use_seconds = x->life.hard_use_s,
	};
	if ((x->has & XFRM_HAS_LTIME) != 0) {
		l->used_packets = x->used.packets;
		l->used_bytes = x->used.bytes;
	}
}

static void
outer_fill(struct conf_sa *c, const struct xfrm_sa *x)
{
	bool fixed = (x->extra_flags & XFRM_SA_DONT_ENCAP_DSCP) != 0;

	for (int i = 0; i < TUNNEL_DSCP_MAP_SIZE; i++)
		c->outer_dscp.map[i] = fixed ? 0 : i;
	c->ecn = (x->flags & XFRM_SA_NOECN) == 0;
	c->df = (x->flags & XFRM_SA_NOPMTUDISC) != 0 ? CONF_DF_CLEAR : CONF_DF_COPY;
	/* Its daemon wants no path MTU discovery through it: nobody hears of the outer size. */
	if (c->df == CONF_DF_CLEAR)
		c->frag = CONF_FRAG_ALWAYS;
	if ((x->has & XFRM_HAS_OUTER) != 0) {
		c->df = x->outer.df;
		c->frag = x->outer.frag;
	}
	c->ttl = 64;
	c->flow_label = CONF_FLOW_LABEL_HASH;
	c->path_mtu = ANY_PATH;
	c->pmtu.icmp = (x->flags & XFRM_SA_NOPMTUDISC) == 0;
	c->pmtu.floor = CONF_PMTU_FLOOR;
	c->pmtu.age_us = CONF_PMTU_AGE_US;
}

static void
encap_fill(struct conf_encap *e, const struct xfrm_sa *x)
{
	if ((x->has & XFRM_HAS_ENCAP) == 0)
		return;
	e->on = true;
	e->ports[0] = x->encap.sport;
	e->ports[1] = x->encap.dport;
	e->keepalive_us = x->nat_keepalive_s * UINT64_C(1000000);
}

static void
secret_fill(struct conf_secret *s, const struct xfrm_key *key)
{
	s->len = key->len;
	memcpy(s->octets, key->octets, key->len);
}

/* Keys come with it: to be wiped. */
static void
conf_fill(struct daemons *d, struct conf_sa *c, const struct state *s, const struct xfrm_sa *x)
{
	uint32_t window = (x->has & XFRM_HAS_REPLAY_ESN) != 0 ? x->replay.window : x->window;

	*c = (struct conf_sa) {
		.direction = s->dir == XFRM_SA_DIR_IN ? CONF_IN : CONF_OUT,
		.proto = x->id.proto == XFRM_PROTO_AH ? CONF_AH : CONF_ESP,
		.ah_align8 = (x->flags & XFRM_SA_ALIGN4) == 0,
		.mode = x->mode == XFRM_BEET ? CONF_BEET :
			is_tunnel(d, s, x)   ? CONF_TUNNEL :
					       CONF_TRANSPORT,
		.spi = x->id.spi,
		.src = x->src,
		.dst = x->id.dst,
		.suite = x->suite,
		.esn = x->suite.esn,
		.replay_window = window == 0 ? 0 : RTE_MAX(window, (uint32_t)WINDOW_LEAST),
	};
	if ((x->has & XFRM_HAS_SUBSPACES) != 0) {
		c->subspaces = true;
		c->lanes = x->subspaces.count; /* 0: CONF_AUTO */
		c->lane_by = x->subspaces.mode == 1 ? CONF_LANE_BY_CLASS : CONF_LANE_BY_FLOW;
	}
	if ((x->has & (XFRM_HAS_REPLAY | XFRM_HAS_REPLAY_ESN)) != 0) {
		c->oseq = x->replay.oseq;
		c->replay_top = x->replay.seq;
	}
	/* The worker that it is for owns it. */
	c->bundle.on = (x->has & XFRM_HAS_PCPU) != 0;
	c->bundle.worker = x->pcpu;
	c->tfc.pad_to = x->tfcpad;
	comp_pair_conf(d, s, c);
	c->esp_ping = x->esp_ping;
	if (x->mode == XFRM_BEET) {
		c->inner.src = x->sel.src.addr;
		c->inner.dst = x->sel.dst.addr;
	}
	outer_fill(c, x);
	iptfs_conf(c, x);
	encap_fill(&c->encap, x);
	life_fill(&c->lifetime, x);
	secret_fill(&c->key, &x->key);
	secret_fill(&c->auth_key, &x->auth_key);
}

/* What a daemon makes of an errno: EEXIST would be "already done", EBUSY "again, at once". */
static int
daemons_errno(int rc)
{
	switch (rc) {
	case -ENOTSUP:
		return -ENOSYS;
	case -EEXIST:
		return -EINVAL;
	case -ENOSPC:
	case -EBUSY:
	case -ETIMEDOUT:
		return -ENOBUFS;
	default:
		return rc;
	}
}

/* An SA as x says, made and not seen by anybody. */
static int
make(struct daemons *d, uint32_t index, const struct xfrm_sa *x, const struct tie *tie,
     uint32_t replaces, uint32_t *sa, struct err *err)
{
	const struct sa_origin origin = { SA_FROM_DAEMON, index, tie->group };
	const struct state *s = state_at(d, index);
	struct conf_sa c;
	int rc;

	if (d->gw->defer.backlog >= DEFER_BACKLOG_MAX)
		return err_set(err, -ENOBUFS, "a worker stands still, and much waits for it");
	if (s->dir == XFRM_SA_DIR_IN && (x->has & XFRM_HAS_ENCAP) != 0) {
		rc = view_udp_port(d->gw, x->encap.dport, err);
		if (rc < 0)
			return daemons_errno(rc);
	}
	rc = reserve_check(d->gw, err);
	if (rc < 0)
		return daemons_errno(rc);
	conf_fill(d, &c, s, x);
	rc = sa_make(d->gw, &c, &origin, replaces, sa, err);
	explicit_bzero(&c.key, sizeof(c.key));
	explicit_bzero(&c.auth_key, sizeof(c.auth_key));
	return daemons_errno(rc);
}

/* So many seconds ago, on the gateway's clock; never 0. */
static uint32_t
second_of(uint64_t now, uint64_t ago)
{
	uint64_t second = now / NS_PER_SECOND;

	return second > ago ? (uint32_t)(second - ago) : 1;
}

/* Times go on from what the daemon remembers of the SA (XFRMA_LTIME_VAL). */
static void
times_set(struct daemons *d, uint32_t index, const struct xfrm_sa *x)
{
	struct state *s = state_at(d, index);
	struct sa_cold *cold = sa_cold(&d->gw->sas, s->node.index);
	uint64_t now = clock_now(&d->gw->clock), wall = time(NULL);

	if ((x->has & XFRM_HAS_LTIME) == 0)
		return;
	if (x->used.add_time != 0 && x->used.add_time <= wall) {
		s->added = (uint32_t)x->used.add_time;
		cold->created = now - RTE_MIN(now, (wall - s->added) * NS_PER_SECOND);
	}
	if (x->used.use_time != 0 && x->used.use_time <= wall)
		cold->first_used_s = second_of(now, wall - x->used.use_time);
}

static void
node_set(struct daemons *d, struct state *s, uint32_t sa)
{
	s->node.index = sa;
	s->node.generation = sa_at(&d->gw->sas, sa)->generation;
	s->node.spi = s->spi;
}

/* The slot that was kept for the SPI is the SA's now, or is kept again. */
static int
publish(struct daemons *d, struct state *s, uint32_t sa, uint32_t replaces, struct err *err)
{
	int rc;

	if (s->has_slot)
		sad_slot_give(d->gw->sad, s->spi);
	rc = sa_publish(d->gw, sa, replaces, err);
	if (s->has_slot && rc < 0)
		s->has_slot = sad_slot_take(d->gw->sad, s->spi);
	else if (s->has_slot)
		s->has_slot = false;
	return rc;
}

static int
esp_open(struct daemons *d, uint32_t index, const struct xfrm_sa *x, struct tie *tie,
	 struct err *err)
{
	struct state *s = state_at(d, index);
	uint32_t sa = SA_NONE;
	int rc;

	comp_pair_find(d, index, x);
	rc = make(d, index, x, tie, SA_NONE, &sa, err);
	if (rc == 0)
		rc = publish(d, s, sa, SA_NONE, err);
	if (rc < 0) {
		if (sa != SA_NONE)
			sa_unmake(d->gw, sa);
		comp_pair_end(d, index);
		return rc;
	}
	node_set(d, s, sa);
	times_set(d, index, x);
	return 0;
}

/* Where it stands among the SAs of its tie. */
static void
node_place(struct tie_sa *node, const struct xfrm_sa *x)
{
	node->worker = (x->has & XFRM_HAS_PCPU) != 0 ? (uint16_t)(x->pcpu + 1) : 0;
	node->listed = x->classes.dscp != 0;
	node->rank = x->classes.rank;
}

static int
full_check(const struct daemons *d, const struct tie *tie, struct err *err)
{
	uint32_t n = 0;

	for (const struct tie_sa *sa = tie->newest; sa != NULL; sa = sa->older)
		n++;
	if (n < bundle_max(d->gw))
		return 0;
	return err_set(err, -ENOBUFS,
		       "the bundle is full: %u SAs with this reqid and these ends, with %u workers "
		       "at most %u (no more for these selectors: TS_MAX_QUEUE)",
		       n, d->gw->n_workers, bundle_max(d->gw));
}

/* An SA of one worker stands beside one for all, and is like it but for SPI and keys (RFC 9611
 * section 3).
 */
static int
member_check(const struct daemons *d, const struct state *s, const struct xfrm_sa *x,
	     const struct tie *tie, struct err *err)
{
	const struct tie_sa *all = tie_member_of(d->ties, tie, 0, &s->node);
	const struct suite *suite;

	if (s->node.worker == 0)
		return 0;
	suite = all != NULL && all->index != SA_NONE ? &sa_at(&d->gw->sas, all->index)->suite :
						       NULL;
	if (suite != NULL && memcmp(suite, &x->suite, sizeof(*suite)) != 0)
		return err_set(err, -EINVAL,
			       "XFRMA_SA_PCPU: the SA for all workers with this reqid and these "
			       "ends (SPI 0x%08x) has other algorithms: a bundle's are alike",
			       all->spi);
	return full_check(d, tie, err);
}

void
state_tie_key(const struct xfrm_sa *x, bool inbound, struct tie_key *key)
{
	tie_key_of_sa(x, inbound, key);
	if (x->id.proto != XFRM_PROTO_COMP)
		return;
	memcpy(key->src, x->src.octets, sizeof(key->src));
	memcpy(key->dst, x->id.dst.octets, sizeof(key->dst));
}

/* False: its numbers are there, or there is no memory to remember that they are not. */
static bool
wait_begin(struct daemons *d, uint32_t index)
{
	uint64_t ticket = reserve_ticket(d->gw);

	if (ticket <= reserve_done(d->gw))
		return false;
	if (d->n_waiting == d->size_waiting) {
		uint32_t size = d->size_waiting != 0 ? 2 * d->size_waiting : 64;
		struct waiting *waiting = realloc(d->waiting, size * sizeof(waiting[0]));

		if (waiting == NULL)
			return false;
		d->waiting = waiting;
		d->size_waiting = size;
	}
	d->waiting[d->n_waiting++] = (struct waiting) { ticket, index };
	return true;
}

/* A state that came in the place of one that is gone may be taken for it: its packets wait for
 * their numbers then, in the SA. */
void
states_ready(struct daemons *d, uint64_t ticket)
{
	while (d->first_waiting < d->n_waiting && d->waiting[d->first_waiting].ticket <= ticket) {
		uint32_t index = d->waiting[d->first_waiting++].state;

		if (slab_next(&d->states, index) == index)
			tie_sa_ready(d->ties, &state_at(d, index)->node);
	}
	if (d->first_waiting == d->n_waiting)
		d->first_waiting = d->n_waiting = 0;
}

int
state_open(struct daemons *d, uint32_t index, const struct xfrm_sa *x, struct err *err)
{
	struct state *s = state_at(d, index);
	bool larval = s->larval_end != 0;
	struct tie_key key;
	struct tie *tie;
	int rc;

	s->dir = state_direction(d, x, larval);
	state_tie_key(x, s->dir == XFRM_SA_DIR_IN, &key);
	rc = tie_get(d->ties, &key, &tie, err);
	if (rc < 0)
		return rc;
	node_place(&s->node, x);
	if (x->id.proto != XFRM_PROTO_COMP)
		rc = member_check(d, s, x, tie, err);
	if (rc == 0 && x->id.proto != XFRM_PROTO_COMP)
		rc = esp_open(d, index, x, tie, err);
	if (rc < 0) {
		tie_put(d->ties, tie);
		return rc;
	}
	if (larval)
		larval_del(d, index);
	s->larval_end = 0;
	s->kind = x->id.proto != XFRM_PROTO_COMP ? STATE_ESP : STATE_COMP;
	s->node.waits = s->dir == XFRM_SA_DIR_OUT && s->kind == STATE_ESP && wait_begin(d, index);
	tie_sa_add(d->ties, tie, &s->node);
	d->changes++;
	return 0;
}

static void
sa_leave(struct daemons *d, uint32_t sa)
{
	sa_unpublish(d->gw, sa);
	/* Its key may come back at once, under another SPI or the same. */
	numbers_leaving(sa_cold(&d->gw->sas, sa)->numbers, true);
	sa_end(d->gw, sa);
}

int
state_renew(struct daemons *d, uint32_t index, const struct xfrm_sa *x, const struct tie *tie,
	    struct err *err)
{
	struct state *s = state_at(d, index);
	uint32_t old = s->node.index, sa = SA_NONE;
	const struct sa_cold *before = sa_cold(&d->gw->sas, old);
	struct sa_cold *after;
	int rc = make(d, index, x, tie, old, &sa, err);

	if (rc == 0)
		rc = daemons_errno(sa_publish(d->gw, sa, old, err));
	if (rc < 0) {
		if (sa != SA_NONE)
			sa_unmake(d->gw, sa);
		return rc;
	}
	after = sa_cold(&d->gw->sas, sa);
	after->created = before->created;
	after->first_used_s = before->first_used_s;
	after->last_used = before->last_used;
	after->packets = before->packets;
	after->kept_alive = before->kept_alive;
	/* Of limits that are the same nobody is told twice. */
	if (memcmp(&after->lifetime, &before->lifetime, sizeof(after->lifetime)) == 0)
		after->told = before->told;
	else
		s->soft_sent = false;
	streams_pass(d->gw, old, sa);
	tie_sa_point(d->ties, &s->node, sa, sa_at(&d->gw->sas, sa)->generation);
	times_set(d, index, x);
	sa_leave(d, old);
	d->changes++;
	return 0;
}

void
state_end(struct daemons *d, uint32_t index)
{
	struct state *s = state_at(d, index);
	struct tie *tie = s->node.tie;

	comp_pair_end(d, index);
	tie_sa_del(d->ties, &s->node);
	if (tie != NULL)
		tie_put(d->ties, tie);
	if (s->kind == STATE_LARVAL)
		larval_del(d, index);
	if (s->node.index != SA_NONE)
		sa_leave(d, s->node.index);
	state_give(d, index);
}
