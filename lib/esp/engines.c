#include "esp/engines.h"

#include "port/offload.h"
#include "replay/replay.h"
#include "route/fib.h"
#include "sa/sa.h"
#include "worker/worker.h"

#define ESN_NEAR (UINT64_C(1) << 30)

struct burst {
	struct worker *w;
	struct rte_mbuf **pkts;
	struct crypto_op *ops;
	uint16_t kept; /* these are first, packets and operations */
	bool encrypt;
};

static inline void
keep(struct burst *b, uint16_t i, uint8_t engine)
{
	if (b->kept != i) {
		b->pkts[b->kept] = b->pkts[i];
		b->ops[b->kept] = b->ops[i];
	}
	b->ops[b->kept++].engine = engine;
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

/* Whether the device may have it: it is to leave by that device's port, whole, and as it is now.
 * The checksum of UDP over IPv6 covers what is enciphered, so it cannot be made before.
 */
static inline bool
may_mark(const struct worker *w, const struct rte_mbuf *m, const struct offload_entry *e)
{
	const struct pkt *p = pkt_of(m);

	return m->nb_segs == 1 && (p->marks & PKT_CUT) == 0 &&
	       (p->hot->flags & (SA_UDP | SA_V6)) != (SA_UDP | SA_V6) &&
	       route_hop(w->view->route, p->next_hop)->port == e->port;
}

static inline uint16_t
same_sa(const struct burst *b, uint16_t i, uint16_t end)
{
	const struct sa *sa = pkt_of(b->pkts[i])->hot;

	do
		i++;
	while (i < end && pkt_of(b->pkts[i])->hot == sa);
	return i;
}

/* From i to end, out: of one SA whose port's device is to do it. */
static void
mark(struct burst *b, uint16_t i, uint16_t end)
{
	const struct offload_table *t = b->w->offloads;
	const struct pkt *p = pkt_of(b->pkts[i]);
	const struct offload_entry *e = offload_of(t, p->sa, p->generation);

	while (i < end) {
		uint16_t n = 0;

		while (e != NULL && e->kind == OFFLOAD_CRYPTO && i + n < end &&
		       may_mark(b->w, b->pkts[i + n], e))
			n++;
		if (likely(n > 0))
			n = t->offload->tx_mark(e->session, &b->pkts[i], n);
		for (; n > 0; n--, i++) {
			pkt_of(b->pkts[i])->turn = e->serial;
			b->ops[i].ok = true;
			keep(b, i, ENGINES_DONE);
		}
		if (unlikely(i < end)) {
			keep_for_software(b, i, DROP_OFFLOAD_LOST);
			i++;
		}
	}
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
static void
believe(struct burst *b, uint16_t i)
{
	const struct offload_table *t = b->w->offloads;
	const struct rte_mbuf *m = b->pkts[i];
	const struct pkt *p = pkt_of(m);
	struct offload_rx rx;
	bool known;

	t->offload->rx_result(t->ports[p->port], m, &rx);
	if (likely(rx.named))
		known = rx.index == p->sa && rx.generation == p->generation;
	else
		known = offload_of(t, p->sa, p->generation) != NULL;
	if (unlikely(!known || (rx.ok && rx.kind != OFFLOAD_CRYPTO))) {
		drop(b->w, b->pkts[i], DROP_OFFLOAD_STALE);
		return;
	}
	b->ops[i].ok = rx.ok && is_of_number(p, &rx);
	keep(b, i, ENGINES_DONE);
}

/* A port whose device does nothing of the kind may show flags that are not its own: a ring gives
 * packets as they were put in. */
static inline bool
is_deciphered(const struct burst *b, uint16_t i)
{
	const struct offload_table *t = b->w->offloads;
	const struct rte_mbuf *m = b->pkts[i];

	return !b->encrypt && (m->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD) != 0 && t != NULL &&
	       t->ports[pkt_of(m)->port] != NULL;
}

/* The operations from i on that go one way. */
static inline uint16_t
same_way(const struct burst *b, uint16_t i, uint16_t n)
{
	uint8_t engine = b->ops[i].engine;

	do
		i++;
	while (i < n && b->ops[i].engine == engine && !is_deciphered(b, i));
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
		while (b->encrypt && i < end) {
			uint16_t same = same_sa(b, i, end);

			mark(b, i, same);
			i = same;
		}
		for (; i < end; i++)
			keep_for_software(b, i, DROP_OFFLOAD_LOST);
		return;
	case ENGINE_SYNC:
		for (; i < end; i++)
			keep(b, i, b->ops[i].engine);
	}
}

uint16_t
engines_run(struct worker *w, struct rte_mbuf **pkts, uint16_t n, bool encrypt)
{
	struct crypto_op *ops = w->crypto->ops;
	struct burst b = { .w = w, .pkts = pkts, .ops = ops, .encrypt = encrypt };
	uint16_t end;

	for (uint16_t i = 0; i < n; i = end) {
		if (is_deciphered(&b, i)) {
			believe(&b, i);
			end = i + 1;
		} else {
			end = same_way(&b, i, n);
			dispatch(&b, i, end);
		}
	}
	for (uint16_t i = 0; i < b.kept; i = end) {
		end = i + 1;
		while (end < b.kept && ops[end].engine == ops[i].engine)
			end++;
		if (ops[i].engine != ENGINES_DONE)
			crypto_run(w->crypto, &ops[i], end - i, encrypt);
	}
	return b.kept;
}
