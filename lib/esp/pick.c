#include "esp/beet.h"
#include "esp/esp.h"
#include "esp/esp_stage.h"
#include "esp/lane.h"

#include <string.h>

#include <rte_prefetch.h>

#include "aggfrag/fill.h"
#include "frag/frag.h"
#include "frag/mss.h"
#include "frag/send.h"
#include "hold/hold.h"
#include "replay/replay.h"
#include "sa/sa.h"
#include "seq/seq.h"
#include "spd/choice.h"
#include "worker/mailbox.h"
#include "worker/worker.h"

/* Control may say so at any time. */
static inline bool
is_expired(const struct sa *sa)
{
	return __atomic_load_n(&sa->state, __ATOMIC_RELAXED) == SA_EXPIRED;
}

/* What a tunnel does not ask for. */
static __rte_noinline enum drop_reason
unfit(const struct sa *sa, const struct rte_mbuf *m, const struct pkt *p)
{
	if ((sa->flags & SA_BEET) != 0)
		return beet_check(sa, m, p);
	if ((sa->flags & SA_IPTFS) != 0)
		return DROP_NONE;
	/* RFC 4301 section 7: transport mode carries whole datagrams only. */
	return (p->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) != 0 ? DROP_FRAG_TRANSPORT :
								     DROP_NONE;
}

/* Else *mtu is what it takes. */
static inline enum drop_reason
unusable(const struct sa *sa, const struct rte_mbuf *m, const struct pkt *p, uint16_t *mtu)
{
	if (is_expired(sa))
		return DROP_EXPIRED;
	*mtu = __atomic_load_n(&sa->mtu, __ATOMIC_RELAXED);
	if (unlikely((sa->flags & (SA_TRANSPORT | SA_BEET | SA_IPTFS)) != 0)) {
		*mtu = frag_limit(sa, p);
		return unfit(sa, m, p);
	}
	return DROP_NONE;
}

/* By a policy that has several SAs: that of the packet's class and of this worker. */
static __rte_noinline uint32_t
pick_of_choice(struct worker *w, const struct rte_mbuf *m, uint32_t index)
{
	const struct choice *c = choice_at(w->view->spd, index);
	bool own;
	uint64_t sa = choice_sa(c, pkt_of(m)->tos >> 2, w->index, &own);

	if (unlikely(!own && c->asks))
		acquire_raise_own(w, m, index);
	return spd_sa_index(sa);
}

/* The SA of now: control points policies elsewhere before it ends one. *alike: the policy that says
 * the same of every packet, or POLICY_NONE.
 */
static inline uint32_t
pick(struct worker *w, const struct rte_mbuf *m, uint32_t *alike)
{
	uint64_t word = spd_out_sa(w->view->spd, pkt_of(m)->policy);

	*alike = pkt_of(m)->policy;
	if (unlikely(choice_is(word))) {
		*alike = POLICY_NONE;
		return pick_of_choice(w, m, spd_sa_index(word));
	}
	return spd_sa_index(word);
}

/* The SAs of a burst, on their way to the cache; NULL: there is none. */
static inline void
pick_all(struct worker *w, struct rte_mbuf **pkts, uint16_t n, struct sa **sa)
{
	uint32_t alike = POLICY_NONE;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);

		if (p->policy == alike) {
			p->sa = pkt_of(pkts[i - 1])->sa;
			sa[i] = sa[i - 1];
			continue;
		}
		p->sa = pick(w, pkts[i], &alike);
		sa[i] = p->sa != SA_NONE ? sa_at(w->view->sas, p->sa) : NULL;
		if (unlikely(sa[i] == NULL))
			continue;
		rte_prefetch0(sa[i]);
		rte_prefetch0(sa_session(sa[i]));
	}
}

/* Up to which size its packets go with no more questions; 0 also where there is no SA. */
static inline uint32_t
size_unasked(const struct sa *sa)
{
	if (unlikely(sa == NULL || is_expired(sa) || (sa->flags & (SA_TRANSPORT | SA_BEET)) != 0 ||
		     (sa->out.flags & TUNNEL_OUT_MSS_CLAMP) != 0))
		return 0;
	if (unlikely((sa->flags & SA_IPCOMP) != 0))
		return UINT32_MAX; /* ipcomp_encap judges */
	if (unlikely((sa->flags & SA_IPTFS) != 0))
		return aggfrag_takes(sa_more(sa)->fill->params,
				     __atomic_load_n(&sa->mtu, __ATOMIC_RELAXED));
	return __atomic_load_n(&sa->mtu, __ATOMIC_RELAXED);
}

static __rte_always_inline void
describe(struct worker *w, struct rte_mbuf *m, struct sa *sa)
{
	struct pkt *p = pkt_of(m);

	p->generation = sa->generation;
	p->next_hop = __atomic_load_n(&sa->next_hop, __ATOMIC_RELAXED);
	p->hot = sa;
	p->lane = unlikely((sa->flags & SA_SUBSPACES) != 0) ? lane_pick(w, sa, m) : 0;
	/* Its own lane only: a line of another worker's would have to come back to it. */
	rte_prefetch0(&sa->lane[p->lane]);
}

/* The questions. Returns whether the packet goes on. */
static __rte_noinline bool
pick_other(struct worker *w, struct rte_mbuf *m, struct sa *sa)
{
	enum drop_reason why;
	uint16_t mtu = 0;

	if (sa == NULL) {
		hold_take(w, m);
		return false;
	}
	/* First of all: a drop is counted on the SA by index and generation. */
	describe(w, m, sa);
	why = unusable(sa, m, pkt_of(m), &mtu);
	if (why == DROP_BEET_FRAG && w->frag != NULL && sa_more(sa)->inner.reassemble) {
		frag_send(w, m, STAGE_REASM_INNER);
		return false;
	}
	if (unlikely(why != DROP_NONE)) {
		drop(w, m, why);
		return false;
	}
	if ((sa->out.flags & TUNNEL_OUT_MSS_CLAMP) != 0)
		mss_clamp(m, mtu);
	return m->pkt_len <= mtu || (sa->flags & SA_IPCOMP) != 0 /* ipcomp_encap judges */ ||
	       too_large(w, m);
}

uint16_t
sa_pick(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct sa *sa[BURST_MAX], *last = NULL;
	uint32_t unasked = 0;
	uint16_t kept = 0;

	if (hold_before(w, pkts, n))
		return 0;
	pick_all(w, pkts, n, sa);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		if (sa[i] != last) {
			last = sa[i];
			unasked = size_unasked(last);
		}
		if (likely(m->pkt_len <= unasked))
			describe(w, m, last);
		else if (!pick_other(w, m, last))
			continue;
		pkts[kept++] = m;
	}
	return kept;
}

/* Control could not give more yet, or is to be told in time that more is needed. */
static bool
lane_low(struct worker *w, const struct pkt *p, uint64_t number)
{
	const struct worker_event e = { .lane = {
						.kind = EVENT_LANE_LOW,
						.lane = p->lane,
						.sa = p->sa,
						.generation = p->generation,
						.number = number,
					} };

	return mailbox_raise(w, &e);
}

/* The lane's fast way said no, or the SA has expired. */
static __rte_noinline enum drop_reason
out_stopped(struct worker *w, struct pkt *p, struct lane *lane, uint32_t bytes)
{
	enum drop_reason why;
	bool ask;

	if (is_expired(p->hot))
		return DROP_EXPIRED;
	why = lane_stopped(lane, bytes, &ask);
	if (ask && !lane_low(w, p, 0))
		lane_ask_again(lane);
	if (why == DROP_NONE && !lane_take(lane, bytes, &p->seq))
		why = DROP_SEQ_WAIT;
	return why;
}

enum drop_reason
lane_allows(struct worker *w, const struct pkt *p, uint32_t n, uint64_t sum, uint32_t octets)
{
	struct lane *lane = &p->hot->lane[p->lane];
	enum drop_reason why;
	bool ask;

	if (is_expired(p->hot))
		return DROP_EXPIRED;
	if (likely(lane_has(lane, n, sum, octets)))
		return DROP_NONE;
	/* With others before it, it is asked for again when they have theirs. */
	if (n > 0)
		return DROP_SEQ_WAIT;
	why = lane_stopped(lane, octets, &ask);
	if (ask && !lane_low(w, p, 0))
		lane_ask_again(lane);
	return why;
}

/* How many packets from the first on are of its lane, and their octets. Counters go from one to the
 * next by way of memory, which takes as long as all else here: so a run is counted at once.
 */
static inline uint16_t
run_out(struct rte_mbuf **pkts, uint16_t n, uint64_t *bytes)
{
	const struct pkt *first = pkt_of(pkts[0]);
	uint16_t run = 1;

	*bytes = pkts[0]->pkt_len;
	while (run < n && pkt_of(pkts[run])->hot == first->hot &&
	       pkt_of(pkts[run])->lane == first->lane)
		*bytes += pkts[run++]->pkt_len;
	return run;
}

/* The lane's fast way said no to a run: each of its packets by itself. Returns how many went to
 * kept. */
static __rte_noinline uint16_t
out_one_by_one(struct worker *w, struct rte_mbuf **pkts, uint16_t n, struct rte_mbuf **kept)
{
	uint16_t n_kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		struct lane *lane = &p->hot->lane[p->lane];
		enum drop_reason why = DROP_NONE;

		if (is_expired(p->hot) || !lane_take(lane, m->pkt_len, &p->seq))
			why = out_stopped(w, p, lane, m->pkt_len);
		if (why != DROP_NONE)
			drop(w, m, why);
		else
			kept[n_kept++] = m;
	}
	return n_kept;
}

uint16_t
life_count_out(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0, run;

	for (uint16_t i = 0; i < n; i += run) {
		const struct pkt *p = pkt_of(pkts[i]);
		struct lane *lane = &p->hot->lane[p->lane];
		uint64_t bytes, seq;

		run = run_out(&pkts[i], n - i, &bytes);
		if (unlikely(is_expired(p->hot) || !lane_take_run(lane, run, bytes, &seq))) {
			kept += out_one_by_one(w, &pkts[i], run, &pkts[kept]);
			continue;
		}
		for (uint16_t j = i; j < i + run; j++) {
			pkt_of(pkts[j])->seq = seq++;
			pkts[kept++] = pkts[j];
		}
	}
	return kept;
}

/* The same of a window, in. */
static inline uint16_t
run_in(struct rte_mbuf **pkts, uint16_t n, const struct replay *window, uint64_t *bytes)
{
	const struct sa *sa = pkt_of(pkts[0])->hot;
	uint16_t run = 1;

	*bytes = pkts[0]->pkt_len;
	while (run < n && pkt_of(pkts[run])->hot == sa &&
	       lane_window(sa, pkt_of(pkts[run])) == window)
		*bytes += pkts[run++]->pkt_len;
	return run;
}

static __rte_noinline uint16_t
in_one_by_one(struct worker *w, struct rte_mbuf **pkts, uint16_t n, struct rte_mbuf **kept)
{
	uint16_t n_kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct sa *sa = pkt_of(m)->hot;
		enum drop_reason why = DROP_EXPIRED;

		if (!is_expired(sa))
			why = replay_count(lane_window(sa, pkt_of(m)), m->pkt_len);
		if (why != DROP_NONE)
			drop(w, m, why);
		else
			kept[n_kept++] = m;
	}
	return n_kept;
}

uint16_t
life_count_in(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0, run;

	for (uint16_t i = 0; i < n; i += run) {
		const struct sa *sa = pkt_of(pkts[i])->hot;
		struct replay *window = lane_window(sa, pkt_of(pkts[i]));
		uint64_t bytes;

		run = run_in(&pkts[i], n - i, window, &bytes);
		/* Of IP-TFS it is the inner packets', later. */
		if (unlikely(__atomic_load_n(&sa->mtu, __ATOMIC_RELAXED) != 0) &&
		    (sa->flags & SA_IPTFS) == 0)
			for (uint16_t j = i; j < i + run; j++)
				mss_clamp(pkts[j], sa->mtu);
		if (unlikely(is_expired(sa) || !replay_count_run(window, run, bytes))) {
			kept += in_one_by_one(w, &pkts[i], run, &pkts[kept]);
			continue;
		}
		if (unlikely(kept != i))
			memmove(&pkts[kept], &pkts[i], run * sizeof(pkts[0]));
		kept += run;
	}
	return kept;
}

enum drop_reason
window_wait(struct worker *w, const struct pkt *p, struct replay *window)
{
	bool ask, go = replay_stopped(window, p->seq, &ask);
	enum drop_reason why = go ? replay_accept(window, p->seq) : DROP_SEQ_WAIT;

	/* Behind it: the next one is to ask, and this one is not to wait for that. */
	if (ask && !lane_low(w, p, p->seq))
		replay_ask_again(window);
	return why;
}
