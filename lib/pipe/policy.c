/* The stages that ask the policies (RFC 4301 sections 5.1 and 5.2). */
#include "pipe/stages.h"

#include <string.h>

#include <rte_prefetch.h>

#include "frag/send.h"
#include "frag/virtual.h"
#include "pipe/ours.h"
#include "punt/punt_stage.h"
#include "route/route_stage.h"
#include "sa/sa.h"
#include "spd/spd_stage.h"
#include "wire/ip.h"
#include "worker/worker.h"

/* Nothing matches: what goes to a red port was never meant to be protected; what would leave by a
 * black one is stopped.
 */
static void
no_match(struct worker *w, struct rte_mbuf *m)
{
	pkt_of(m)->policy = POLICY_NONE;
	pipe_push(w, STAGE_BYPASS, m);
}

/* A fragment where ports decide goes to the worker that has those of its datagram. True: it is
 * gone.
 */
static __rte_noinline bool
is_judged_later(struct worker *w, struct rte_mbuf *m, uint32_t policy, uint32_t group,
		enum stage_id stage)
{
	if (policy != SPD_FRAG_PORTS && group != SPD_GROUP_FIRST)
		return false;
	if (w->frag != NULL)
		frag_send(w, m, stage);
	else if (policy == SPD_FRAG_PORTS)
		drop(w, m, DROP_FRAG_PORTS);
	else
		return false; /* nobody remembers first ones: it goes its own way */
	return true;
}

/* What is not simply protected. Returns whether the packet is, after all. */
static __rte_noinline bool
out_one(struct worker *w, struct rte_mbuf *m, uint32_t policy)
{
	if (policy == SPD_NO_MATCH) {
		no_match(w, m);
		return false;
	}
	pkt_of(m)->policy = policy;
	if (spd_policy(w->view->spd, policy)->action == POLICY_PROTECT)
		return true;
	if (spd_policy(w->view->spd, policy)->action == POLICY_BYPASS)
		pipe_push(w, STAGE_BYPASS, m);
	else
		drop(w, m, DROP_POLICY_DISCARD);
	return false;
}

uint16_t
spd_match(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct spd *spd = w->view->spd;
	uint32_t policy[BURST_MAX], group[BURST_MAX];
	uint16_t kept = 0;

	spd_lookup(w, spd, SPD_OUT, pkts, n, policy, group);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		/* 0, or SPD_GROUP_FIRST */
		if (unlikely(group[i] + 1 <= 1) &&
		    (is_judged_later(w, m, policy[i], group[i], STAGE_FRAG_MATCH) ||
		     !out_one(w, m, policy[i])))
			continue;
		pkt_of(m)->policy = policy[i];
		/* What sa_pick reads first. */
		rte_prefetch0(spd_policy(spd, policy[i]));
		pkts[kept++] = m;
	}
	return kept;
}

static const uint8_t *
src_of(const struct rte_mbuf *m, bool v6)
{
	return rte_pktmbuf_mtod_offset(m, const uint8_t *, v6 ? 8 : 12);
}

static const uint8_t *
dst_of(const struct rte_mbuf *m, bool v6)
{
	return rte_pktmbuf_mtod_offset(m, const uint8_t *, v6 ? 24 : 16);
}

/* Source addresses that nobody beyond a port may use: loopback, and ours. */
static inline bool
source_is_forged(const struct own *own, const struct rte_mbuf *m, bool v6)
{
	const uint8_t *src = src_of(m, v6);

	return wire_is_loopback(src, v6) ||
	       (v6 ? own_has_v6(own, src) : own_has_v4(own, wire_load32(src)));
}

/* What fragments get, in pkt.policy: first ones are looked up again, as policies may have changed
 * on the way here. Those that wait, or dropped out, are not among those that are left.
 */
static uint16_t
fragments_judge(struct worker *w, struct rte_mbuf **pkts, uint16_t n, bool out)
{
	const struct spd *spd = w->view->spd;
	uint32_t generation = __atomic_load_n(&spd->generation, __ATOMIC_ACQUIRE);
	uint32_t policy[BURST_MAX], group[BURST_MAX];
	uint16_t kept = 0;

	spd_lookup(w, spd, out ? SPD_OUT : SPD_IN, pkts, n, policy, group);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		pkt_of(m)->policy = policy[i];
		if (frag_virtual_match(w, m, out ? FRAG_OUT : FRAG_IN, generation,
				       out ? STAGE_FRAG_MATCH : STAGE_FRAG_CHECK))
			pkts[kept++] = m;
	}
	return kept;
}

uint16_t
frag_match(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	n = fragments_judge(w, pkts, n, true);
	for (uint16_t i = 0; i < n; i++)
		if (out_one(w, pkts[i], pkt_of(pkts[i])->policy))
			pkts[kept++] = pkts[i];
	return kept;
}

uint16_t
selector_check(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct own *own = route_own(w->view->route);
	const struct spd *spd = w->view->spd;
	uint32_t policy[BURST_MAX], group[BURST_MAX];
	uint16_t kept = 0;

	spd_lookup(w, spd, SPD_IN, pkts, n, policy, group);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct pkt *p = pkt_of(m);

		if (likely(group[i] == p->hot->in.group && group[i] != 0) &&
		    likely(!source_is_forged(own, m, (p->flags & PKT_V6) != 0))) {
			pkts[kept++] = m;
			continue;
		}
		if (!is_judged_later(w, m, policy[i], group[i], STAGE_FRAG_CHECK))
			drop(w, m, DROP_POLICY_SELECTOR);
	}
	return kept;
}

/* For our own address, or for a group that our own host may be of. */
static bool
is_for_host(const struct worker *w, const struct rte_mbuf *m)
{
	bool v6 = (pkt_of(m)->flags & PKT_V6) != 0;

	return is_for_group(w, m) || is_ours(w, dst_of(m, v6), v6);
}

/* A source that nobody has, or that is us. Stations that have no address yet speak to groups. */
static bool
source_is_odd(const struct worker *w, const struct rte_mbuf *m)
{
	bool v6 = (pkt_of(m)->flags & PKT_V6) != 0;
	const uint8_t *src = src_of(m, v6);
	bool none = v6 ? (wire_load64(src) | wire_load64(src + 8)) == 0 : wire_load32(src) == 0;

	if (none && is_for_group(w, m))
		return false;
	return !wire_is_unicast(src, v6) || is_ours(w, src, v6);
}

/* What is said of our own ESP is control's to judge, not the policies'; of these, our own host gets
 * what they let.
 */
static void
too_big_take(struct worker *w, struct rte_mbuf *m, uint32_t policy)
{
	if (policy != SPD_NO_MATCH && spd_policy(w->view->spd, policy)->action != POLICY_BYPASS)
		pkt_of(m)->policy = policy;
	pipe_push(w, STAGE_PUNT, m);
}

/* In clear from the black side. True: it goes on. */
static bool
clear_one(struct worker *w, struct rte_mbuf *m, uint32_t policy)
{
	const struct spd *spd = w->view->spd;
	bool ours = is_for_host(w, m);

	if (ours && punt_is_too_big(m))
		too_big_take(w, m, policy);
	else if (policy == SPD_NO_MATCH && ours)
		pipe_push(w, STAGE_PUNT, m);
	else if (policy == SPD_NO_MATCH || spd_policy(spd, policy)->action == POLICY_PROTECT)
		drop(w, m, DROP_POLICY_CLEARTEXT);
	else if (spd_policy(spd, policy)->action == POLICY_DISCARD)
		drop(w, m, DROP_POLICY_DISCARD);
	else if (ours)
		pipe_push(w, STAGE_PUNT, m);
	else
		return true;
	return false;
}

uint16_t
clear_check(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t policy[BURST_MAX], group[BURST_MAX];
	uint16_t kept = 0;

	spd_lookup(w, w->view->spd, SPD_IN, pkts, n, policy, group);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		if (is_for_host(w, m) && punt_is_exempt(m))
			pipe_push(w, STAGE_PUNT, m);
		else if (source_is_odd(w, m))
			drop(w, m, DROP_POLICY_CLEARTEXT);
		else if (!is_judged_later(w, m, policy[i], group[i], STAGE_FRAG_CHECK) &&
			 clear_one(w, m, policy[i]))
			pkts[kept++] = m;
	}
	return kept;
}

/* Out of an SA: as selector_check, by the policy that is known now. True: it goes on. */
static bool
selector_one(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	const struct policy *policy =
		p->policy != POLICY_NONE ? spd_policy(w->view->spd, p->policy) : NULL;

	/* It has waited, or changed hands. */
	p->hot = sa_again(w->view->sas, p->sa, p->generation);
	if (p->hot == NULL) {
		p->sa = SA_NONE;
		drop(w, m, DROP_NO_SA);
		return false;
	}
	if (policy != NULL && policy->action == POLICY_PROTECT && policy->group != 0 &&
	    policy->group == p->hot->in.group &&
	    !source_is_forged(route_own(w->view->route), m, (p->flags & PKT_V6) != 0))
		return true;
	drop(w, m, DROP_POLICY_SELECTOR);
	return false;
}

uint16_t
frag_check(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	n = fragments_judge(w, pkts, n, false);
	for (uint16_t i = 0; i < n; i++) {
		const struct pkt *p = pkt_of(pkts[i]);

		if (p->sa != SA_NONE ? selector_one(w, pkts[i]) : clear_one(w, pkts[i], p->policy))
			pkts[kept++] = pkts[i];
	}
	return kept;
}

/* Our own host has looked for the next hop itself, and may send by any port. */
static uint16_t
own_send(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		if ((pkt_of(pkts[i])->marks & PKT_FROM_HOST) != 0)
			punt_send_as_is(w, pkts[i]);
		else
			pkts[kept++] = pkts[i];
	}
	return kept;
}

uint16_t
bypass(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	n = own_send(w, pkts, n);
	n = route_bypass(w, pkts, n);
	for (uint16_t i = 0; i < n; i++) {
		const struct pkt *p = pkt_of(pkts[i]);

		if (p->policy == POLICY_NONE &&
		    route_hop(w->view->route, p->next_hop)->side == PORT_BLACK) {
			drop(w, pkts[i], DROP_NO_POLICY);
			continue;
		}
		pkts[kept++] = pkts[i];
	}
	return kept;
}
