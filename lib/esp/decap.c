#include "esp/esp_stage.h"

#include <string.h>

#include <rte_byteorder.h>
#include <rte_esp.h>

#include "crypto/crypto.h"
#include "esp/esp.h"
#include "esp/plain.h"
#include "replay/replay.h"
#include "sa/sa.h"
#include "worker/mbufs.h"
#include "worker/worker.h"

#define TRAILER 2 /* pad length, next header */

static enum drop_reason
lengths_check(const struct sa *sa, const struct rte_mbuf *m, struct pkt *p)
{
	int text = (int)m->pkt_len - p->esp_off - (int)sizeof(struct rte_esp_hdr) -
		   sa->suite.iv_len - sa->suite.icv_len;

	if (unlikely(text < TRAILER))
		return DROP_ESP_SHORT;
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
}

static __rte_noinline void
op_fill(struct worker *w, struct rte_mbuf *m, const struct pkt *p, const struct sa *sa,
	struct crypto_op *op, uint16_t at)
{
	const uint8_t *esp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_off);
	uint16_t text_off = p->esp_off + sizeof(struct rte_esp_hdr) + sa->suite.iv_len;
	uint8_t salt_len = algs[sa->suite.cipher].salt_len;
	uint64_t seq_be = rte_cpu_to_be_64(p->seq);

	memcpy(op->aad, esp, 8);
	if (sa->suite.esn)
		memcpy(op->aad + 4, &seq_be, 8);
	memcpy(op->nonce, sa->salt, 4);
	if (sa->suite.implicit_iv)
		/* RFC 8750: 64-bit number, or the 32-bit one behind zeros, which is the same. */
		memcpy(op->nonce + salt_len, &seq_be, 8);
	else if (unlikely((sa->flags & SA_CBC) != 0))
		memcpy(op->nonce, esp + sizeof(struct rte_esp_hdr), 16);
	else if (likely(sa->suite.iv_len != 0))
		memcpy(op->nonce + salt_len, esp + sizeof(struct rte_esp_hdr), 8);
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

/* SA_PLAIN in one segment: the same as the general way, without its questions. */
static __rte_always_inline void
op_fill_plain(struct rte_mbuf *m, const struct pkt *p, const struct sa *sa, struct crypto_op *op)
{
	uint8_t *text =
		rte_pktmbuf_mtod_offset(m, uint8_t *, p->esp_off + sizeof(struct rte_esp_hdr) + 8);
	uint64_t iv;

	memcpy(&iv, text - sizeof(iv), sizeof(iv));
	plain_op_fill(op, sa, rte_cpu_to_be_64(p->seq), iv, text, p->text_len);
}

uint16_t
replay_check_stage(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct crypto_op *ops = w->crypto->ops;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		const struct sa *sa = p->hot;
		enum drop_reason why = lengths_check(sa, m, p);

		/* Behind the length check: the number's octets and the IV are there, and classify
		 * made them lie in the first segment.
		 */
		if (likely(why == DROP_NONE)) {
			const struct rte_esp_hdr *esp =
				rte_pktmbuf_mtod_offset(m, const struct rte_esp_hdr *, p->esp_off);

			why = replay_check(sa->window, rte_be_to_cpu_32(esp->seq), &p->seq);
			replay_prefetch(sa->window, p->seq);
		}
		if (unlikely(why != DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		if (likely((sa->flags & SA_PLAIN) != 0 && m->nb_segs == 1))
			op_fill_plain(m, p, sa, &ops[kept]);
		else
			op_fill(w, m, p, sa, &ops[kept], kept);
		pkts[kept++] = m;
	}
	return kept;
}

uint16_t
crypto_decrypt(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	crypto_run(w->crypto, w->crypto->ops, n, false);
	return n;
}

uint16_t
replay_accept_stage(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct crypto_op *ops = w->crypto->ops;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct pkt *p = pkt_of(m);
		enum drop_reason why = DROP_ICV_FAIL;

		if (likely(ops[i].ok))
			why = replay_accept(p->hot->window, p->seq);
		if (unlikely(why == DROP_SEQ_WAIT))
			why = window_wait(w, p, p->hot->window);
		if (unlikely(why != DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		pkts[kept++] = m;
	}
	return kept;
}
