#include "esp/esp_stage.h"

#include <string.h>

#include <rte_byteorder.h>
#include <rte_esp.h>

#include "crypto/crypto.h"
#include "esp/engines.h"
#include "esp/esp.h"
#include "esp/lane.h"
#include "esp/plain.h"
#include "esp/protocol.h"
#include "frag/seen.h"
#include "port/offload.h"
#include "replay/replay.h"
#include "sa/sa.h"
#include "wire/subspace.h"
#include "worker/mbufs.h"
#include "worker/worker.h"

#define TRAILER 2 /* pad length, next header */

static __rte_always_inline enum drop_reason
lengths_check(const struct sa *sa, const struct rte_mbuf *m, struct pkt *p,
	      enum drop_reason too_short)
{
	int text = (int)m->pkt_len - p->esp_off - sa->esp_size - sa->suite.icv_len;

	if (unlikely(text < TRAILER))
		return too_short;
	/* Counter modes too: RFC 4303 section 2.4 ends the trailer on a boundary of 4. */
	if (unlikely((text & (sa->suite.align - 1)) != 0))
		return DROP_ESP_LENGTH;
	p->text_len = text;
	return DROP_NONE;
}

/* Text and tag of a packet in several segments. */
static void
op_point_chain(struct worker *w, struct rte_mbuf *m, const struct pkt *p, const struct sa *sa,
	       uint16_t text_off, struct crypto_op *op, uint16_t at)
{
	uint8_t *copy = w->esp->tags[at];
	uint8_t *tag = (uint8_t *)(uintptr_t)rte_pktmbuf_read(m, text_off + p->text_len,
							      sa->suite.icv_len, copy);

	op->chain = m;
	op->text_off = text_off;
	op->tag = tag;
	/* The copy is the next burst's as soon as this one is through: it is done before. */
	if (tag == copy && crypto_software(op->engine) != CRYPTO_NO_ENGINE)
		op->engine =
			crypto_engines(crypto_software(op->engine), crypto_software(op->engine));
}

static __rte_noinline void
op_fill(struct worker *w, struct rte_mbuf *m, const struct pkt *p, const struct sa *sa,
	struct crypto_op *op, uint16_t at)
{
	const uint8_t *esp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_off);
	uint16_t text_off = p->esp_off + sa->esp_size;
	uint8_t salt_len = algs[sa->suite.cipher].salt_len;
	uint64_t seq_be = rte_cpu_to_be_64(p->seq);

	memcpy(op->aad, esp, 8);
	if (sa->suite.esn) /* with subspaces, too */
		memcpy(op->aad + 4, &seq_be, 8);
	memcpy(op->nonce, sa->salt, 4);
	if (sa->suite.implicit_iv)
		/* RFC 8750: 64-bit number, or the 32-bit one behind zeros, which is the same. */
		memcpy(op->nonce + salt_len, &seq_be, 8);
	else if (unlikely((sa->flags & SA_CBC) != 0))
		memcpy(op->nonce, esp + sizeof(struct rte_esp_hdr), 16);
	else if (likely(sa->suite.iv_len != 0))
		memcpy(op->nonce + salt_len, esp + sa->esp_size - 8, 8);
	op->session = sa_session(sa);
	op->engine = sa->engine;
	op->text_len = p->text_len;
	if (unlikely(m->nb_segs > 1)) {
		op_point_chain(w, m, p, sa, text_off, op, at);
		return;
	}
	op->chain = NULL;
	op->text = rte_pktmbuf_mtod_offset(m, uint8_t *, text_off);
	op->tag = op->text + p->text_len;
}

/* SA_PLAIN in one segment: the same as the general way, without its questions. With subspaces the
 * octets before the text are the number, as IV or as what it is.
 */
static __rte_always_inline void
op_fill_plain(struct rte_mbuf *m, const struct pkt *p, const struct sa *sa, struct crypto_op *op)
{
	uint8_t *text = rte_pktmbuf_mtod_offset(m, uint8_t *, p->esp_off + sa->esp_size);
	uint64_t iv;

	memcpy(&iv, text - sizeof(iv), sizeof(iv));
	plain_op_fill(op, sa, rte_cpu_to_be_64(p->seq), iv, text, p->text_len);
}

static __rte_always_inline enum drop_reason
number_check(const struct sa *sa, const struct rte_mbuf *m, struct pkt *p)
{
	enum drop_reason why = lengths_check(sa, m, p, DROP_ESP_SHORT);

	/* Behind the length check: the number's octets and the IV are there, and classify made them
	 * lie in the first segment.
	 */
	if (likely(why == DROP_NONE)) {
		const struct rte_esp_hdr *esp =
			rte_pktmbuf_mtod_offset(m, const struct rte_esp_hdr *, p->esp_off);

		why = replay_check(sa->window, rte_be_to_cpu_32(esp->seq), &p->seq);
		replay_prefetch(sa->window, p->seq);
	}
	return why;
}

/* The same with subspaces: by the lane's owner, unless the id is none. Until a first packet of an
 * id is authentic there is no window to ask, and none is made for what only says so.
 */
static __rte_always_inline enum drop_reason
subspace_check(const struct sa *sa, const struct rte_mbuf *m, struct pkt *p)
{
	const uint8_t *esp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_off);
	enum drop_reason why = lengths_check(sa, m, p, DROP_SUB_SHORT);
	const struct replay *window;
	uint64_t number_be;

	if (unlikely(why != DROP_NONE))
		return why;
	number_be = wire_subspace_be(esp);
	p->seq = rte_be_to_cpu_64(number_be);
	p->lane = wire_subspace_id(p->seq);
	if (unlikely(p->lane >= sa->lanes))
		return DROP_SUBSPACE_UNKNOWN;
	window = sa->windows[p->lane];
	if (likely(window != NULL)) {
		why = replay_check_whole(window, p->seq);
		replay_prefetch(window, p->seq);
	} else if ((p->seq & WIRE_SUBSPACE_NUMBER) == 0) {
		why = DROP_REPLAY_ZERO;
	}
	/* Without an IV these are the number's own octets. */
	if (likely(why == DROP_NONE) &&
	    unlikely(wire_load64(esp + sa->esp_size - sizeof(number_be)) != number_be))
		why = DROP_SUB_IV_MISMATCH;
	return why;
}

static __rte_always_inline void
op_fill_any(struct worker *w, struct rte_mbuf *m, const struct pkt *p, const struct sa *sa,
	    struct crypto_op *ops, uint16_t at)
{
	if (likely((sa->flags & SA_PLAIN) != 0 && m->nb_segs == 1))
		op_fill_plain(m, p, sa, &ops[at]);
	else
		op_fill(w, m, p, sa, &ops[at], at);
}

/* Of an SA that a port's device may do. What it says it has deciphered needs no operation. */
static inline enum drop_reason
inline_check(struct worker *w, struct rte_mbuf *m, const struct sa *sa, struct crypto_op *ops,
	     uint16_t at)
{
	bool said = offload_says(w->offloads, m);
	struct pkt *p = pkt_of(m);
	enum drop_reason why;

	if (unlikely(!said && protocol_has_window(w, m)))
		return DROP_OFFLOAD_WINDOW;
	why = (sa->flags & SA_SUBSPACES) != 0 ? subspace_check(sa, m, p) : number_check(sa, m, p);
	if (likely(said))
		ops[at].engine = sa->engine;
	else if (why == DROP_NONE)
		op_fill_any(w, m, p, sa, ops, at);
	return why;
}

/* Packets in a row that a device has taken out of ESP, which have a stage of their own. */
static inline uint16_t
stripped_run(struct rte_mbuf *const *pkts, uint16_t n)
{
	uint16_t run = 0;

	while (run < n && (pkt_of(pkts[run])->marks & PKT_STRIPPED) != 0)
		run++;
	return run;
}

/* Packets in a row of one SA, of AH or with SA_INLINE. What stays goes to pkts[kept] and behind.
 * Returns how many have stayed till now. */
static __rte_noinline uint16_t
check_special(struct worker *w, struct rte_mbuf **row, uint16_t n, struct rte_mbuf **pkts,
	      uint16_t kept)
{
	const struct sa *sa = pkt_of(row[0])->hot;
	struct crypto_op *ops = w->crypto->ops;
	enum drop_reason why;

	if ((sa->flags & SA_AH) != 0) {
		pipe_push_all(w, STAGE_AH_CHECK, row, n);
		return kept;
	}
	for (uint16_t i = 0; i < n; i++) {
		uint16_t stripped = stripped_run(&row[i], n - i);

		pipe_push_all(w, STAGE_INLINE_IN, &row[i], stripped);
		i += stripped;
		if (i == n)
			break;
		why = inline_check(w, row[i], sa, ops, kept);
		if (unlikely(why != DROP_NONE))
			drop(w, row[i], why);
		else
			pkts[kept++] = row[i];
	}
	return kept;
}

uint16_t
replay_check_stage(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct crypto_op *ops = w->crypto->ops;
	uint16_t kept = 0, run;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		const struct sa *sa = p->hot;
		enum drop_reason why;

		if (likely((sa->flags & (SA_SUBSPACES | SA_AH | SA_INLINE)) == 0)) {
			why = number_check(sa, m, p);
		} else if ((sa->flags & (SA_AH | SA_INLINE)) == 0) {
			why = subspace_check(sa, m, p);
		} else {
			run = pkt_same_sa(&pkts[i], n - i);
			kept = check_special(w, &pkts[i], run, pkts, kept);
			i += run - 1;
			continue;
		}
		if (unlikely(why != DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		op_fill_any(w, m, p, sa, ops, kept);
		pkts[kept++] = m;
	}
	return kept;
}

uint16_t
crypto_decrypt(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	if (unlikely(w->crypto->mixed))
		return engines_run(w, pkts, n, false);
	crypto_run(w->crypto, w->crypto->ops, n, false);
	return n;
}

/* With subspaces, after the ICV held: an id that was not heard of before gets its window now. */
static __rte_always_inline enum drop_reason
subspace_accept(struct worker *w, const struct pkt *p, struct replay **window)
{
	const struct sa *sa = p->hot;

	*window = sa->windows[p->lane];
	if (unlikely(*window == NULL))
		*window = window_open(w, sa, p->lane);
	return likely(*window != NULL) ? replay_accept(*window, p->seq) : DROP_SUB_NOMEM;
}

uint16_t
replay_accept_stage(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct crypto_op *ops = w->crypto->ops;
	uint16_t kept = 0;

	if (lane_accept_all(ops, pkts, n))
		kept = n;
	for (uint16_t i = kept; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct pkt *p = pkt_of(m);
		struct replay *window = p->hot->window;
		enum drop_reason why = DROP_ICV_FAIL;

		if (likely(ops[i].ok)) {
			if (likely((p->hot->flags & SA_SUBSPACES) == 0))
				why = replay_accept(window, p->seq);
			else
				why = subspace_accept(w, p, &window);
		}
		if (unlikely(why == DROP_SEQ_WAIT))
			why = window_wait(w, p, window);
		if (unlikely(why != DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		pkts[kept++] = m;
	}
	if (unlikely(frag_seen_wanted(w)))
		kept = frag_seen_note(w, pkts, kept);
	return kept;
}
