#include "ah/ah.h"
#include "ah/ah_stage.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_mbuf.h>

#include "crypto/crypto.h"
#include "esp/esp.h"
#include "esp/inner.h"
#include "frag/seen.h"
#include "replay/replay.h"
#include "sa/sa.h"
#include "wire/ip.h"
#include "worker/mbufs.h"
#include "worker/worker.h"

/* The length that the header says. Senders pad it to 8 octets, or with IPv4 to 4, as RFC 4302
 * section 2.2 asks for; IPv4 with 8 is what Linux does unless told.
 */
static enum drop_reason
length_check(const struct sa *sa, struct rte_mbuf *m, const struct pkt *p, uint16_t *size)
{
	uint16_t least = AH_HEADER + ah_iv_len(&sa->suite) + sa->suite.icv_len;
	const uint8_t *ah;

	if (m->pkt_len < (uint32_t)p->esp_off + least)
		return DROP_AH_SHORT;
	if (m->nb_segs > 1 && !mbuf_pull(m, p->esp_off + RTE_ALIGN_CEIL(least, 8)))
		return DROP_BUFFER;
	ah = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_off);
	*size = (ah[1] + 2) * 4;
	if (*size != RTE_ALIGN_CEIL(least, 8) &&
	    (*size != RTE_ALIGN_CEIL(least, 4) || (p->flags & PKT_V6) != 0))
		return DROP_AH_LENGTH;
	if (m->pkt_len < (uint32_t)p->esp_off + *size)
		return DROP_AH_SHORT;
	return m->pkt_len > UINT16_MAX ? DROP_AH_LENGTH : DROP_NONE;
}

/* Puts aside headers and ICV, mutes them, and says what the engine is to authenticate. */
static enum drop_reason
op_fill(struct worker *w, struct rte_mbuf *m, const struct pkt *p, struct crypto_op *op, uint16_t i)
{
	const struct sa *sa = p->hot;
	uint16_t icv_len = ah_iv_len(&sa->suite) + sa->suite.icv_len;
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *icv = at + p->esp_off + AH_HEADER;

	if (p->esp_off > AH_BEFORE)
		return DROP_BUFFER;
	memcpy(w->ah->before[i], at, p->esp_off);
	memcpy(w->ah->icv[i], icv, icv_len);
	if (!ah_mute(at, (p->flags & PKT_V6) != 0, p->esp_off))
		return DROP_AH_OPTIONS;
	memset(icv, 0, icv_len); /* what pads it is as it came */
	ah_op_fill(w->ah, m, i, op);
	return DROP_NONE;
}

static enum drop_reason
check_one(struct worker *w, struct rte_mbuf *m, struct pkt *p, uint16_t i)
{
	const struct sa *sa = p->hot;
	uint16_t size;
	enum drop_reason why = length_check(sa, m, p, &size);
	const uint8_t *ah;

	if (why != DROP_NONE)
		return why;
	p->text_len = m->pkt_len - p->esp_off - size;
	ah = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->esp_off);
	why = replay_check(sa->window, wire_be32(ah + 8), &p->seq);
	return why != DROP_NONE ? why : op_fill(w, m, p, &w->crypto->ops[i], i);
}

uint16_t
ah_check(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		enum drop_reason why = check_one(w, m, pkt_of(m), kept);

		if (why != DROP_NONE) {
			drop(w, m, why);
			continue;
		}
		pkts[kept++] = m;
	}
	return kept;
}

/* Takes AH off, and the outer header in tunnel mode. */
static enum drop_reason
strip(struct rte_mbuf *m, struct pkt *p)
{
	bool tunnel = (p->hot->flags & SA_TRANSPORT) == 0;
	uint16_t end = m->pkt_len - p->text_len;
	enum drop_reason why;

	p->next_header = rte_pktmbuf_mtod(m, const uint8_t *)[p->esp_off];
	why = tunnel ? inner_take(m, p, end) : inner_close(m, p, end);
	p->flags |= PKT_FROM_SA;
	if (!tunnel || (p->hot->flags & SA_ECN) == 0)
		p->outer_tos = p->tos;
	return why;
}

/* Authentic: it has its headers again as they came. */
static enum drop_reason
accept_one(struct worker *w, struct rte_mbuf *m, uint16_t i)
{
	struct pkt *p = pkt_of(m);
	struct replay *window = p->hot->window;
	enum drop_reason why;

	if (!w->crypto->ops[i].ok)
		return DROP_ICV_FAIL;
	why = replay_accept(window, p->seq);
	if (unlikely(why == DROP_SEQ_WAIT))
		why = window_wait(w, p, window);
	if (why == DROP_NONE)
		memcpy(rte_pktmbuf_mtod(m, uint8_t *), w->ah->before[i], p->esp_off);
	return why;
}

static uint16_t
strip_all(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		enum drop_reason why = strip(m, pkt_of(m));

		if (why != DROP_NONE) {
			drop(w, m, why);
			continue;
		}
		pkts[kept++] = m;
	}
	return kept;
}

uint16_t
ah_accept(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		enum drop_reason why = accept_one(w, m, i);

		if (why != DROP_NONE) {
			drop(w, m, why);
			continue;
		}
		pkts[kept++] = m;
	}
	if (unlikely(frag_seen_wanted(w)))
		kept = frag_seen_note(w, pkts, kept);
	return strip_all(w, pkts, kept);
}
