#include "emulated.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_per_lcore.h>
#include <rte_udp.h>

#include "alg/alg.h"
#include "wire/sum.h"

#define TRAILER 2 /* pad length, next header */

struct job {
	struct nic_session *session; /* NULL: it is not to be sent */
	struct nic_frame at;
	uint16_t place;
};

/* Of the burst that this thread is about to give to the device: packets that were taken out. */
static RTE_DEFINE_PER_LCORE(struct nic_port *, sending);
static RTE_DEFINE_PER_LCORE(uint16_t, refused);

/* Behind the callbacks, once anything was refused: what ended in the device counts as sent, and
 * what the port did not take lies at the end of the caller's burst, where it looks for it.
 */
static uint16_t
send_after_refusal(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct nic_port *p = RTE_PER_LCORE(sending);
	uint16_t gone = RTE_PER_LCORE(refused), sent = 0;

	RTE_PER_LCORE(refused) = 0;
	if (n > 0)
		sent = __atomic_load_n(&p->send, __ATOMIC_ACQUIRE)(queue, pkts, n);
	if (gone > 0 && sent < n)
		memmove(pkts + sent + gone, pkts + sent, (n - sent) * sizeof(pkts[0]));
	return sent + gone;
}

/* A callback cannot say that a packet is gone: who called would send it again. So the port's own
 * function gets one around it, until the port is started anew.
 */
static void
refusal_prepare(struct nic_port *p)
{
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[p->dpdk_id];
	eth_tx_burst_t now = __atomic_load_n(&ops->tx_pkt_burst, __ATOMIC_RELAXED);

	if (now == send_after_refusal)
		return;
	__atomic_store_n(&p->send, now, __ATOMIC_RELEASE);
	__atomic_store_n(&ops->tx_pkt_burst, send_after_refusal, __ATOMIC_RELEASE);
}

/* Hardware that makes the trailer: the lengths say already what it will be. */
static bool
trailer_make(const struct nic_session *s, struct rte_mbuf *m, const struct nic_frame *at)
{
	uint32_t end = at->l2 + at->total;
	uint32_t tail = end - m->pkt_len, least = TRAILER + s->crypto.suite.icv_len;
	uint8_t *to;

	if (end < m->pkt_len + least || tail - least > UINT8_MAX)
		return false;
	to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)tail);
	if (to == NULL)
		return false;
	for (uint32_t i = 0; i < tail - least; i++)
		*to++ = (uint8_t)(i + 1);
	to[0] = (uint8_t)(tail - least);
	to[1] = m->inner_esp_next_proto;
	return true;
}

/* A packet with all its headers. Finds them. */
static bool
crypto_prepare(const struct nic_port *p, struct nic_session *s, struct rte_mbuf *m,
	       struct nic_frame *at, uint64_t *number)
{
	bool trailer = p->options.trailer_by_device;
	uint32_t frame = trailer ? UINT16_MAX + RTE_ETHER_MAX_LEN : m->pkt_len;
	const uint8_t *esp;

	if (!nic_frame_find(m, frame, true, at) || at->udp != s->udp)
		return false;
	esp = rte_pktmbuf_mtod_offset(m, const uint8_t *, at->esp);
	*number = nic_number_near(s, wire_be32(esp + 4));
	nic_number_raise(s, *number);
	return wire_load32(esp) == s->spi_be && (!trailer || trailer_make(s, m, at));
}

static uint64_t
number_take(const struct nic_port *p, struct nic_session *s, const struct rte_mbuf *m)
{
	uint64_t number = p->options.numbers_by_device ?
				  __atomic_add_fetch(&s->number, 1, __ATOMIC_RELAXED) :
				  *RTE_MBUF_DYNFIELD(m, nic_number_offset, const uint64_t *);

	return s->esn || number <= UINT32_MAX ? number : 0;
}

/* A block that is the packet's alone; the engine makes the IV of it. */
static void
cbc_nonce(struct crypto_op *op, const struct nic_session *s, uint64_t number)
{
	uint64_t number_be = rte_cpu_to_be_64(number);

	memcpy(op->nonce, &s->spi_be, 4);
	memset(op->nonce + 4, 0, 4);
	memcpy(op->nonce + 8, &number_be, 8);
}

/* Where the tag goes, or room beside the packet if it lies in two segments. */
static uint8_t *
tag_place(struct rte_mbuf *m, uint32_t off, uint8_t size, uint8_t *beside)
{
	return (uint8_t *)(uintptr_t)rte_pktmbuf_read(m, off, size, beside);
}

/* False: it is not to be sent. */
static bool
prepare(struct nic_queue *q, struct rte_mbuf *m, struct job *j, uint16_t at)
{
	struct nic_port *p = q->port;
	struct nic_session *s = nic_session_at(p, *rte_security_dynfield(m));
	struct crypto_op *op = &q->ops[at];
	uint32_t head, end;
	uint64_t number;

	if (s == NULL || s->ingress)
		return false;
	j->session = s;
	if (s->protocol) {
		number = number_take(p, s, m);
		if (number == 0 || !nic_wrap(q, s, m, &j->at, number))
			return false;
	} else if (!crypto_prepare(p, s, m, &j->at, &number)) {
		return false;
	}
	head = j->at.esp + s->head;
	end = j->at.l2 + j->at.total;
	if (head > m->data_len || end != m->pkt_len ||
	    end < head + TRAILER + s->crypto.suite.icv_len ||
	    (end - head - s->crypto.suite.icv_len) % s->crypto.suite.align != 0)
		return false;
	nic_op_fill(op, s, m, &j->at, number);
	if (s->crypto.suite.iv_len == ALG_IV_MAX)
		cbc_nonce(op, s, number);
	op->tag = tag_place(m, head + op->text_len, s->crypto.suite.icv_len, q->tags[at]);
	return true;
}

/* UDP over IPv6 has to have a checksum, and it covers what is enciphered. */
static void
udp6_seal(struct rte_mbuf *m, const struct nic_frame *at)
{
	m->data_off += at->l2;
	m->data_len -= at->l2;
	m->pkt_len -= at->l2;
	wire_l4_checksum_set(m, at->l4 - at->l2, offsetof(struct rte_udp_hdr, dgram_cksum),
			     IPPROTO_UDP);
	m->data_off -= at->l2;
	m->data_len += at->l2;
	m->pkt_len += at->l2;
}

static void
tag_put(struct rte_mbuf *m, uint32_t off, const uint8_t *tag, uint8_t size)
{
	while (off >= m->data_len) {
		off -= m->data_len;
		m = m->next;
	}
	for (uint8_t i = 0; i < size; i++) {
		while (off == m->data_len) {
			m = m->next;
			off = 0;
		}
		*rte_pktmbuf_mtod_offset(m, uint8_t *, off++) = tag[i];
	}
}

static void
seal(struct nic_queue *q, struct rte_mbuf *m, const struct job *j, uint16_t at)
{
	uint8_t size = j->session->crypto.suite.icv_len;

	if (q->ops[at].tag == q->tags[at])
		tag_put(m, m->pkt_len - size, q->tags[at], size);
	if (j->at.udp && j->at.v6)
		udp6_seal(m, &j->at);
	m->ol_flags &= ~RTE_MBUF_F_TX_SEC_OFFLOAD;
	nic_count(q, j->session, j->at.total, true);
}

static void
refuse(struct nic_queue *q, struct rte_mbuf **m)
{
	cell_add(&q->total.errors, 1);
	rte_pktmbuf_free(*m);
	*m = NULL;
}

/* Enciphers those of a burst that are marked for it. Returns how many ended here, which are NULL
 * then.
 */
static uint16_t
encipher(struct nic_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	struct job jobs[CRYPTO_BURST_MAX];
	uint16_t n_jobs = 0, gone = 0;

	for (uint16_t i = 0; i < n; i++) {
		if ((pkts[i]->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD) == 0)
			continue;
		jobs[n_jobs].place = i;
		if (likely(prepare(q, pkts[i], &jobs[n_jobs], n_jobs))) {
			n_jobs++;
		} else {
			refuse(q, &pkts[i]);
			gone++;
		}
	}
	nic_crypt(q, q->ops, n_jobs, true);
	for (uint16_t i = 0; i < n_jobs; i++) {
		struct rte_mbuf **m = &pkts[jobs[i].place];

		if (likely(q->ops[i].ok)) {
			seal(q, *m, &jobs[i], i);
		} else {
			refuse(q, m);
			gone++;
		}
	}
	return gone;
}

/* For benches: all goes as it is, and the port is one that leads nowhere. */
static uint16_t
leave_clear(struct nic_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t gone = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct nic_session *s;

		if ((m->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD) == 0)
			continue;
		s = nic_session_at(q->port, *rte_security_dynfield(m));
		if (unlikely(s == NULL)) {
			refuse(q, &pkts[i]);
			gone++;
			continue;
		}
		m->ol_flags &= ~RTE_MBUF_F_TX_SEC_OFFLOAD;
		nic_count(q, s, m->pkt_len, true);
	}
	return gone;
}

static uint16_t
compact(struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++)
		if (pkts[i] != NULL)
			pkts[kept++] = pkts[i];
	return kept;
}

uint16_t
nic_send(uint16_t dpdk_id, uint16_t queue, struct rte_mbuf *pkts[], uint16_t n, void *arg)
{
	struct nic_queue *q = arg;
	uint16_t gone = 0;

	nic_queue_enter(q);
	if (unlikely(q->forgotten != __atomic_load_n(&q->port->n_forget, __ATOMIC_RELAXED)))
		nic_queue_forget(q);
	for (uint16_t i = 0; i < n; i += CRYPTO_BURST_MAX) {
		uint16_t chunk = RTE_MIN((uint16_t)(n - i), (uint16_t)CRYPTO_BURST_MAX);

		gone += q->port->options.cipher_off ? leave_clear(q, pkts + i, chunk) :
						      encipher(q, pkts + i, chunk);
	}
	nic_queue_leave(q);
	RTE_PER_LCORE(sending) = q->port;
	RTE_PER_LCORE(refused) = gone;
	if (likely(gone == 0))
		return n;
	refusal_prepare(q->port);
	return compact(pkts, n);
}
