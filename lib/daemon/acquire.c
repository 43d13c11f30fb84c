/* What policies ask of daemons by themselves: SAs, and an end to their own time. */
#include <string.h>

#include "ctl/gw.h"
#include "daemon/policy_store.h"
#include "worker/mailbox.h"

#define AGAIN_MS   1000
#define EVENT_SIZE 1024

static struct addr
addr_of(uint8_t family, const uint8_t *octets)
{
	struct addr a = { .family = family };

	memcpy(a.octets, octets, family == 6 ? 16 : 4);
	return a;
}

/* The packet's own flow, in the smallest selector that has it. */
static void
sel_fill(struct xfrm_sel *s, const struct acquire_event *e)
{
	struct addr src = addr_of(e->family, e->src), dst = addr_of(e->family, e->dst);

	*s = (struct xfrm_sel) {
		.family = e->family,
		.proto = e->proto,
		.src = prefix_of(&src, addr_bits(&src)),
		.dst = prefix_of(&dst, addr_bits(&dst)),
		.sport = e->src_port,
		.sport_mask = UINT16_MAX,
		.dport = e->dst_port,
		.dport_mask = UINT16_MAX,
	};
}

static void
acquire_fill(struct dpolicies *dp, struct xfrm_acquire *a, const struct dpolicy *p,
	     const struct acquire_event *e)
{
	const struct tie_key *k = &p->node.tie->key;
	const struct xfrm_tmpl *t;

	*a = (struct xfrm_acquire) {
		.id = { .dst = addr_of(k->family, k->dst), .proto = k->proto },
		.src = addr_of(k->family, k->src),
		.pcpu = e->worker,
	};
	sel_fill(&a->sel, e);
	/* Transport mode: its ends are the packet's. */
	if (p->no_ends) {
		a->id.dst = a->sel.dst.addr;
		a->src = a->sel.src.addr;
	}
	dpolicy_read(dp, p, &a->policy);
	t = &a->policy.tmpls[a->policy.n_tmpls - 1];
	a->aalgos = t->aalgos;
	a->ealgos = t->ealgos;
	a->calgos = t->calgos;
	a->mark = a->policy.mark;
	a->if_id = a->policy.if_id;
	a->has = a->policy.has & (XFRM_HAS_MARK | XFRM_HAS_IF_ID);
	/* As Linux does it: the first SA is for all, and only then one for each worker. */
	if (e->own)
		a->has |= XFRM_HAS_PCPU;
	/* 0 would mean that nobody asked. */
	if (++dp->acquires == 0)
		dp->acquires = 1;
	a->seq = dp->acquires;
}

/* Not where an SA has come meanwhile. */
static bool
wants_first(const struct dpolicy *p, uint32_t now_ms)
{
	return tie_sa_of(p->node.tie, p->node.spi) == NULL &&
	       (p->asked_ms == 0 || now_ms - p->asked_ms >= AGAIN_MS);
}

/* Policies that share their SAs share the time of asking. */
static bool
wants_own(const struct dpolicies *dp, const struct dpolicy *p, uint16_t worker, uint32_t now_ms)
{
	return dpolicy_asks(p->flags) && p->node.spi == 0 &&
	       tie_worker_asks(dp->env.ties, p->node.tie, worker, now_ms);
}

void
dpolicies_acquire(struct dpolicies *dp, const struct acquire_event *e, uint64_t now)
{
	const struct xfrm_head head = { .type = XFRM_ACQUIRE };
	uint32_t now_ms = (uint32_t)(now / 1000000) | 1; /* 0 is never */
	struct dpolicy *p = dpolicy_at(dp, e->name);
	uint8_t message[EVENT_SIZE];
	struct xfrm_out out = { message, message + sizeof(message) };
	struct xfrm_acquire a;

	/* Of before a change. */
	if (p == NULL || p->node.index != e->policy || p->node.tie == NULL ||
	    p->id.dir != XFRM_DIR_OUT)
		return;
	if (!(e->own ? wants_own(dp, p, e->worker, now_ms) : wants_first(p, now_ms)))
		return;
	acquire_fill(dp, &a, p, e);
	if (xfrm_put_acquire(&out, &head, &a) < 0)
		return;
	if (!e->own)
		p->asked_ms = now_ms;
	dp->env.event(dp->env.ctx, XFRM_GROUP_ACQUIRE, message, out.at - message);
}

static void
expire_tell(const struct dpolicies *dp, const struct dpolicy *p, bool hard)
{
	const struct xfrm_head head = { .type = XFRM_POLEXPIRE };
	uint8_t message[EVENT_SIZE];
	struct xfrm_out out = { message, message + sizeof(message) };
	struct xfrm_policy x;

	dpolicy_read(dp, p, &x);
	if (xfrm_put_policy_expire(&out, &head, &x, hard) == 0)
		dp->env.event(dp->env.ctx, XFRM_GROUP_EXPIRE, message, out.at - message);
}

static bool
is_over(uint64_t limit, uint64_t since, uint64_t now)
{
	return limit != 0 && since != 0 && now >= since && now - since >= limit;
}

/* Packets by a policy's SA are taken for the policy's: what a worker's lookup finds is not counted.
 */
static void
use_note(const struct dpolicies *dp, const struct dpolicy *p, uint64_t now)
{
	uint64_t last = dpolicy_last_use(dp, p);

	if (p->more->first_use == 0 && last >= p->added)
		p->more->first_use = RTE_MIN(last, now);
}

void
dpolicies_tick(struct dpolicies *dp, uint64_t now)
{
	if (now == dp->ticked || dp->n_limited == 0)
		return;
	dp->ticked = now;
	for (uint32_t i = 0; i < dp->end; i++) {
		struct dpolicy *p = dpolicy_at(dp, i);
		const struct xfrm_life *life;
		uint64_t used;

		if (p == NULL || p->more == NULL)
			continue;
		life = &p->more->life;
		use_note(dp, p, now);
		used = p->more->first_use;
		if (is_over(life->hard_add_s, p->added, now) ||
		    is_over(life->hard_use_s, used, now)) {
			expire_tell(dp, p, true);
			dpolicy_end(dp, p);
		} else if (!p->soft_told && (is_over(life->soft_add_s, p->added, now) ||
					     is_over(life->soft_use_s, used, now))) {
			p->soft_told = true;
			expire_tell(dp, p, false);
		}
	}
	spd_commit(dp->env.gw->spd);
}
