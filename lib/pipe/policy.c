/* The stages that ask the policies (RFC 4301 sections 5.1 and 5.2). */
#include "pipe/stages.h"

#include <string.h>

#include <rte_prefetch.h>

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

/* What is not simply protected. Returns whether the packet is, after all. */
static __rte_noinline bool
out_one(struct worker *w, struct rte_mbuf *m, uint32_t policy)
{
	if (policy == SPD_NO_MATCH) {
		no_match(w, m);
		return false;
	}
	if (policy == SPD_FRAG_PORTS) {
		drop(w, m, DROP_FRAG_PORTS);
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

		if (unlikely(group[i] == 0) && !out_one(w, m, policy[i]))
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
static bool
source_is_forged(const struct worker *w, const struct rte_mbuf *m, bool v6)
{
	return wire_is_loopback(src_of(m, v6), v6) || is_ours(w, src_of(m, v6), v6);
}

uint16_t
selector_check(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct spd *spd = w->view->spd;
	uint32_t policy[BURST_MAX], group[BURST_MAX];
	uint16_t kept = 0;

	spd_lookup(w, spd, SPD_IN, pkts, n, policy, group);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct pkt *p = pkt_of(m);
		enum drop_reason why = DROP_POLICY_SELECTOR;

		if (likely(group[i] == p->hot->in.group && group[i] != 0) &&
		    likely(!source_is_forged(w, m, (p->flags & PKT_V6) != 0)))
			why = DROP_NONE;
		else if (policy[i] == SPD_FRAG_PORTS)
			why = DROP_FRAG_PORTS;
		if (unlikely(why != DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		pkts[kept++] = m;
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

uint16_t
clear_check(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct spd *spd = w->view->spd;
	uint32_t policy[BURST_MAX], group[BURST_MAX];
	uint16_t kept = 0;

	spd_lookup(w, spd, SPD_IN, pkts, n, policy, group);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		bool ours = is_for_host(w, m);

		if (ours && punt_is_exempt(m))
			pipe_push(w, STAGE_PUNT, m);
		else if (source_is_odd(w, m))
			drop(w, m, DROP_POLICY_CLEARTEXT);
		else if (policy[i] == SPD_FRAG_PORTS)
			drop(w, m, DROP_FRAG_PORTS);
		else if (ours && punt_is_too_big(m))
			too_big_take(w, m, policy[i]);
		else if (policy[i] == SPD_NO_MATCH && ours)
			pipe_push(w, STAGE_PUNT, m);
		else if (policy[i] == SPD_NO_MATCH ||
			 spd_policy(spd, policy[i])->action == POLICY_PROTECT)
			drop(w, m, DROP_POLICY_CLEARTEXT);
		else if (spd_policy(spd, policy[i])->action == POLICY_DISCARD)
			drop(w, m, DROP_POLICY_DISCARD);
		else if (ours)
			pipe_push(w, STAGE_PUNT, m);
		else
			pkts[kept++] = m;
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
