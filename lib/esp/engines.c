#include "esp/engines.h"

#include "port/offload.h"
#include "replay/replay.h"
#include "sa/sa.h"
#include "worker/worker.h"

#define ESN_NEAR (UINT64_C(1) << 30)

struct burst {
	struct worker *w;
	struct rte_mbuf **pkts;
	struct crypto_op *ops;
	uint16_t kept; /* these are first, packets and operations */
	bool encrypt;
	bool software; /* is to do some of these */
};

static inline void
keep(struct burst *b, uint16_t i, uint8_t engine)
{
	if (b->kept != i) {
		b->pkts[b->kept] = b->pkts[i];
		b->ops[b->kept] = b->ops[i];
	}
	b->ops[b->kept++].engine = engine;
	b->software |= engine != ENGINES_DONE;
}

/* Its engine does not take it: software does it, if there is some for it. */
static void
keep_for_software(struct burst *b, uint16_t i, enum drop_reason without)
{
	uint8_t software = crypto_software(b->ops[i].engine);

	if (software == CRYPTO_NO_ENGINE)
		drop(b->w, b->pkts[i], without);
	else
		keep(b, i, crypto_engines(software, software));
}

/* From i to end: of one asynchronous engine. */
static void
submit(struct burst *b, uint16_t i, uint16_t end)
{
	struct crypto_worker *cw = b->w->crypto;
	uint8_t engine = crypto_chosen(b->ops[i].engine);
	uint8_t behind = b->encrypt ? STAGE_ESP_SEAL : STAGE_REPLAY_ACCEPT;

	for (uint16_t k = i; k < end; k++)
		pkt_of(b->pkts[k])->resume = behind;
	while (i < end) {
		enum engine_refusal why = ENGINE_TAKEN;

		i += crypto_submit(cw, engine, &b->pkts[i], &b->ops[i], end - i, b->encrypt,
				   b->w->now, &why);
		if (i == end)
			break;
		if (why == ENGINE_DOWN)
			keep_for_software(b, i, DROP_CRYPTO_LOST);
		else
			drop(b->w, b->pkts[i], DROP_CRYPTO_FULL);
		i++;
	}
	if (unlikely(crypto_is_short(cw)))
		worker_hold_back(b->w, PAUSED_ENGINE);
}

/* A device that knows the low half of a number may take another high half than the window does, and
 * vouch for an old packet that we take for one of the next 2^32. The whole number goes with what
 * the device authenticated; else it is to be near.
 */
static bool
is_of_number(const struct pkt *p, const struct offload_rx *rx)
{
	const struct sa *sa = p->hot;

	if (!sa->suite.esn || (sa->flags & SA_SUBSPACES) != 0)
		return true;
	if (rx->numbered)
		return rx->number == p->seq;
	return p->seq < replay_top(sa->window) + ESN_NEAR;
}

/* In, what a device says it has deciphered. As a packet of another SA it is worth nothing, nor as
 * one of none: of an SA that the device is not to do any more.
 */
static inline bool
is_stale(const struct worker *w, const struct pkt *p, const struct offload_rx *rx)
{
	bool known;

	if (likely(rx->named))
		known = rx->index == p->sa && rx->generation == p->generation;
	else
		known = offload_of(w->offloads, p->sa, p->generation) != NULL;
	return !known || (rx->ok && rx->kind != OFFLOAD_CRYPTO);
}

static void
believe(struct burst *b, uint16_t i, uint16_t end)
{
	struct offload_rx rx[CRYPTO_BURST_MAX];
	uint16_t kept = b->kept;

	for (uint16_t k = i; k < end;)
		k += offload_results(b->w->offloads, &b->pkts[k], end - k, &rx[k - i]);
	for (uint16_t k = i; k < end; k++) {
		const struct offload_rx *result = &rx[k - i];
		struct rte_mbuf *m = b->pkts[k];

		if (unlikely(is_stale(b->w, pkt_of(m), result))) {
			drop(b->w, m, DROP_OFFLOAD_STALE);
			continue;
		}
		b->pkts[kept] = m;
		b->ops[kept].ok = result->ok && is_of_number(pkt_of(m), result);
		b->ops[kept++].engine = ENGINES_DONE;
	}
	b->kept = kept;
}

/* The packets that a device says something of. */
static inline uint64_t
said_of(const struct worker *w, struct rte_mbuf *const *pkts, uint16_t n)
{
	uint64_t said = 0;

	if (w->offloads == NULL)
		return 0;
	for (uint16_t i = 0; i < n; i++)
		said |= (uint64_t)offload_says(w->offloads, pkts[i]) << i;
	return said;
}

/* Where those end that from i on are alike in it. */
static inline uint16_t
alike(uint64_t said, uint16_t i, uint16_t n)
{
	uint64_t rest = said >> i, other = (rest & 1) != 0 ? ~rest : rest;

	return other == 0 ? n : RTE_MIN(n, (uint16_t)(i + __builtin_ctzll(other)));
}

/* The operations from i on that go one way. */
static inline uint16_t
same_way(const struct crypto_op *ops, uint16_t i, uint16_t n)
{
	uint8_t engine = ops[i].engine;

	do
		i++;
	while (i < n && ops[i].engine == engine);
	return i;
}

static void
dispatch(struct burst *b, uint16_t i, uint16_t end)
{
	const struct crypto_worker *cw = b->w->crypto;
	enum engine_kind kind = ENGINE_SYNC;

	if (b->ops[i].engine != ENGINES_DONE)
		kind = cw->engines[crypto_chosen(b->ops[i].engine)]->kind;
	switch (kind) {
	case ENGINE_ASYNC:
		submit(b, i, end);
		return;
	case ENGINE_INLINE:
		/* Its device did not take it, or did nothing of it. */
		for (; i < end; i++)
			keep_for_software(b, i, DROP_OFFLOAD_LOST);
		return;
	case ENGINE_SYNC:
		for (; i < end; i++)
			keep(b, i, b->ops[i].engine);
	}
}

/* What stays in the burst, and is synchronous engines'. */
static void
run_kept(struct burst *b)
{
	uint16_t end;

	for (uint16_t i = 0; i < b->kept; i = end) {
		end = same_way(b->ops, i, b->kept);
		if (b->ops[i].engine != ENGINES_DONE)
			crypto_run(b->w->crypto, &b->ops[i], end - i, b->encrypt);
	}
}

/* Out, what devices do is marked already. */
static inline bool
all_done(const struct crypto_op *ops, uint16_t n)
{
	uint8_t other = 0;

	for (uint16_t i = 0; i < n; i++)
		other |= ops[i].engine ^ ENGINES_DONE;
	return other == 0;
}

uint16_t
engines_run(struct worker *w, struct rte_mbuf **pkts, uint16_t n, bool encrypt)
{
	struct crypto_op *ops = w->crypto->ops;
	struct burst b = { .w = w, .pkts = pkts, .ops = ops, .encrypt = encrypt };
	uint64_t said = encrypt ? 0 : said_of(w, pkts, n);
	uint16_t end, part;

	if (encrypt && all_done(ops, n))
		return n;
	for (uint16_t i = 0; i < n; i = end) {
		end = alike(said, i, n);
		if ((said >> i & 1) != 0) {
			believe(&b, i, end);
			continue;
		}
		for (uint16_t k = i; k < end; k = part) {
			part = same_way(ops, k, end);
			dispatch(&b, k, part);
		}
	}
	if (b.software)
		run_kept(&b);
	return b.kept;
}
