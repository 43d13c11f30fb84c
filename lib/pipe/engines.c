#include "pipe/engines.h"

#include <unistd.h>

#include <rte_prefetch.h>

#include "crypto/crypto.h"
#include "pipe/handoff.h"
#include "pipe/pipe.h"
#include "sa/sa.h"
#include "worker/worker.h"

#define WAIT_US 200000 /* for a device, at the end: twice what it has before it is given up */
#define STEP_US 100

void
engines_sources_add(struct worker *w)
{
	if (w->crypto->async != 0)
		w->sources[w->n_sources++] = (struct source) { .name = "engine_poll",
							       .poll = engine_poll,
							       .first = STAGE_PORT_TX };
}

uint64_t
engines_absent(const struct worker *w)
{
	for (uint16_t i = 0; i < w->crypto->n_engines; i++)
		if (w->crypto->engines[i]->kind == ENGINE_INLINE)
			return 0;
	return UINT64_C(1) << STAGE_INLINE_IN;
}

uint32_t
engines_held(const struct worker *w)
{
	return w->crypto != NULL ? crypto_held(w->crypto) : 0;
}

uint64_t
engines_through(const struct worker *w)
{
	return w->crypto != NULL ? w->crypto->through : 0;
}

void
engines_turn(struct worker *w)
{
	if (w->crypto != NULL)
		w->crypto->turn ^= 1;
}

bool
engines_turned(const struct worker *w)
{
	return w->crypto == NULL || w->crypto->inside[w->crypto->turn ^ 1] == 0;
}

/* Why a packet ends here; DROP_NONE: its stage is to judge it. */
static inline enum drop_reason
ends(const struct pkt *p, enum engine_verdict verdict)
{
	bool in = p->resume == STAGE_REPLAY_ACCEPT;

	if (unlikely(p->hot == NULL))
		return in ? DROP_NO_SA : DROP_NO_OUTBOUND_SA;
	if (likely(verdict == ENGINE_DONE))
		return DROP_NONE;
	if (verdict == ENGINE_LOST)
		return DROP_CRYPTO_LOST;
	/* Behind decryption a false verdict says that the ICV did not hold. */
	return in && verdict == ENGINE_FAILED ? DROP_CRYPTO_FAIL : DROP_NONE;
}

static void
end(struct worker *w, struct rte_mbuf *m, enum drop_reason why)
{
	struct pkt *p = pkt_of(m);

	if (p->hot == NULL)
		p->sa = SA_NONE;
	drop(w, m, why);
}

/* Packets that go on at one stage. */
static void
resume(struct worker *w, struct rte_mbuf **pkts, const enum engine_verdict *verdicts, uint16_t n)
{
	enum stage_id stage = pkt_of(pkts[0])->resume;
	struct crypto_op *ops = w->crypto->ops;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);
		enum drop_reason why = ends(p, verdicts[i]);

		if (unlikely(why != DROP_NONE)) {
			end(w, pkts[i], why);
			continue;
		}
		/* Routes may have changed meanwhile, and the hop it was given be another's. What is
		 * to be cut has none yet. */
		if (stage == STAGE_ESP_SEAL && likely((p->marks & PKT_CUT) == 0))
			p->next_hop = __atomic_load_n(&p->hot->next_hop, __ATOMIC_RELAXED);
		ops[kept].ok = verdicts[i] == ENGINE_DONE;
		pkts[kept++] = pkts[i];
	}
	pipe_run(w, stage, pkts, kept);
}

/* Looks the SAs up again, once for packets in a row, and asks for what the next stage reads of
 * them.
 */
static void
sas_find(const struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint32_t sa = SA_NONE, generation = 0;
	struct sa *hot = NULL;

	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = pkt_of(pkts[i]);

		if (p->sa != sa || p->generation != generation) {
			sa = p->sa;
			generation = p->generation;
			hot = sa_again(w->view->sas, sa, generation);
			rte_prefetch0(hot);
		}
		p->hot = hot;
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], const void *));
	}
}

static uint16_t
collect(struct worker *w, uint8_t engine, uint16_t max)
{
	enum engine_verdict verdicts[BURST_MAX];
	struct rte_mbuf *pkts[BURST_MAX];
	uint16_t n = crypto_collect(w->crypto, engine, pkts, verdicts, max, w->now), end;

	sas_find(w, pkts, n);
	for (uint16_t i = 0; i < n; i = end) {
		end = i + 1;
		while (end < n && pkt_of(pkts[end])->resume == pkt_of(pkts[i])->resume)
			end++;
		resume(w, &pkts[i], &verdicts[i], end - i);
	}
	return n;
}

/* What was inside when it was begun with: what is done may go to a device again, on another SA. */
static void
collect_all(struct worker *w, uint8_t engine, uint16_t max)
{
	uint32_t left = crypto_held(w->crypto);
	uint16_t n;

	do {
		n = collect(w, engine, max);
		left -= RTE_MIN(left, (uint32_t)n);
	} while (n == max && left > 0);
}

uint16_t
engine_poll(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct crypto_worker *cw = w->crypto;
	bool is_short = (w->paused & PAUSED_ENGINE) != 0;

	if (unlikely(w->handoff != NULL && !is_short && !handoff_may_take(w, HANDOFF_WAY_IN)))
		return 0;
	for (uint32_t left = cw->async; left != 0; left &= left - 1)
		collect_all(w, (uint8_t)__builtin_ctz(left), max);
	if (unlikely((w->paused & PAUSED_ENGINE) != 0) && !crypto_is_short(cw))
		worker_go_on(w, PAUSED_ENGINE);
	return 0;
}

bool
engines_wait(struct worker *w)
{
	uint64_t before = engines_through(w);

	for (int us = 0; us < WAIT_US && engines_held(w) > 0; us += STEP_US) {
		engine_poll(w, NULL, NULL, w->burst);
		if (engines_through(w) != before)
			return true;
		usleep(STEP_US);
	}
	return false;
}

void
engines_drop(struct worker *w)
{
	enum engine_verdict verdicts[BURST_MAX];
	struct rte_mbuf *pkts[BURST_MAX];
	struct crypto_worker *cw = w->crypto;
	uint16_t n;

	for (uint32_t left = cw->async; left != 0; left &= left - 1) {
		uint8_t engine = (uint8_t)__builtin_ctz(left);

		while ((n = crypto_collect(cw, engine, pkts, verdicts, BURST_MAX, w->now)) > 0)
			for (uint16_t i = 0; i < n; i++)
				drop(w, pkts[i], DROP_STOPPED);
	}
}
