#include "emulated.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_udp.h>

#include "alg/alg.h"
#include "wire/ip.h"
#include "wire/sum.h"

#define TRAILER 2 /* pad length, next header */

/* What a packet of a burst waits for. */
struct job {
	struct nic_session *session;
	struct nic_frame at;
	uint64_t number;
	uint16_t place; /* in the burst */
	uint16_t text_len;
	bool ok;
};

/* RFC 4304 says how; the device knows no window, so it takes the nearest. */
uint64_t
nic_number_near(const struct nic_session *s, uint32_t low)
{
	uint64_t highest = __atomic_load_n(&s->number, __ATOMIC_RELAXED);
	int32_t ahead = (int32_t)(low - (uint32_t)highest);

	if (!s->esn)
		return low;
	/* Behind the first number of all there is none. */
	return ahead < 0 && highest < (uint64_t) - (int64_t)ahead ? low : highest + (int64_t)ahead;
}

void
nic_number_raise(struct nic_session *s, uint64_t number)
{
	/* Two workers may do this at once, and the lower one be last: it is near all the same. */
	if (number > __atomic_load_n(&s->number, __ATOMIC_RELAXED))
		__atomic_store_n(&s->number, number, __ATOMIC_RELAXED);
}

void
nic_op_fill(struct crypto_op *op, const struct nic_session *s, struct rte_mbuf *m,
	    const struct nic_frame *at, uint64_t number)
{
	const uint8_t *esp = rte_pktmbuf_mtod_offset(m, const uint8_t *, at->esp);
	const struct suite *suite = &s->crypto.suite;
	uint8_t salt_len = algs[suite->cipher].salt_len;
	uint64_t number_be = rte_cpu_to_be_64(number);
	uint32_t off = at->esp + s->head;

	memcpy(op->aad, esp, 8);
	if (s->esn)
		memcpy(op->aad + 4, &number_be, 8);
	if (suite->iv_len == ALG_IV_MAX) {
		memcpy(op->nonce, esp + 8, ALG_IV_MAX);
	} else {
		memcpy(op->nonce, s->salt, 4);
		memcpy(op->nonce + salt_len, esp + 8, suite->iv_len);
	}
	op->session = &s->crypto;
	op->engine = s->engine;
	op->text_len = (uint16_t)(at->l2 + at->total - off - suite->icv_len);
	op->chain = m->nb_segs > 1 ? m : NULL;
	if (op->chain != NULL)
		op->text_off = off;
	else
		op->text = rte_pktmbuf_mtod_offset(m, uint8_t *, off);
}

void
nic_crypt(struct nic_queue *q, struct crypto_op *ops, uint16_t n, bool encrypt)
{
	uint16_t run;

	for (uint16_t i = 0; i < n; i += run) {
		const struct engine *e = q->port->engines[ops[i].engine];

		for (run = 1; i + run < n && ops[i + run].engine == ops[i].engine; run++)
			;
		if (encrypt)
			e->encrypt(q->workers[ops[i].engine], ops + i, run);
		else
			e->decrypt(q->workers[ops[i].engine], ops + i, run);
	}
}

void
nic_queue_forget(struct nic_queue *q)
{
	const struct nic_port *p = q->port;
	uint32_t told = __atomic_load_n(&p->n_forget, __ATOMIC_ACQUIRE);
	uint32_t n = RTE_MIN(told - q->forgotten, p->n_slots);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (told - 1 - i) % p->n_slots;
		uint32_t id = __atomic_load_n(&p->forget[at], __ATOMIC_RELAXED);

		for (uint8_t e = 0; e < p->n_engines; e++)
			if (p->engines[e]->forget != NULL)
				p->engines[e]->forget(q->workers[e], id);
	}
	q->forgotten = told;
}

/* Where the text ends is where the tag begins; false: the packet cannot be one of the session's. */
static bool
text_find(struct nic_queue *q, struct job *j, const struct rte_mbuf *m)
{
	const struct nic_session *s = j->session;
	const struct suite *suite = &s->crypto.suite;
	uint32_t head = j->at.esp + s->head, end = j->at.l2 + j->at.total;

	if (head > m->data_len || end < head + TRAILER + suite->icv_len ||
	    (end - head - suite->icv_len) % suite->align != 0) {
		cell_add(&q->total.errors, 1);
		return false;
	}
	j->text_len = (uint16_t)(end - head - suite->icv_len);
	return true;
}

/* UDP's checksum covers what is enciphered, so nobody can judge it afterwards. Over IPv4 there may
 * be none (RFC 768).
 */
static bool
udp_sum_holds(const struct rte_mbuf *m, const struct nic_frame *at)
{
	const uint8_t *udp = rte_pktmbuf_mtod_offset(m, const uint8_t *, at->l4);
	uint32_t len = at->l2 + at->total - at->l4, size = at->v6 ? 32 : 8;
	uint64_t sum = rte_cpu_to_be_16(IPPROTO_UDP) + rte_cpu_to_be_16((uint16_t)len);

	if (wire_load16(udp + offsetof(struct rte_udp_hdr, dgram_cksum)) == 0)
		return !at->v6;
	sum = wire_sum(sum, wire_ip_src(at->ip, at->v6), size);
	return wire_sum_fold(wire_sum_mbuf(sum, m, at->l4, len)) == UINT16_MAX;
}

/* Whether the packet is for the device; *cipher: and is to be deciphered. */
static bool
job_make(struct nic_queue *q, struct rte_mbuf *m, struct job *j, bool *cipher)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);

	if (!nic_frame_find(m, m->pkt_len, false, &j->at))
		return false;
	j->session = nic_rule_find(q->port, frame, &j->at);
	if (j->session == NULL || !text_find(q, j, m) || (j->at.udp && !udp_sum_holds(m, &j->at)))
		return false;
	j->number = nic_number_near(j->session, wire_be32(frame + j->at.esp + 4));
	*cipher =
		j->session->window == NULL ||
		nic_window_check(j->session->window,
				 __atomic_load_n(&j->session->number, __ATOMIC_RELAXED), j->number);
	j->ok = false;
	return true;
}

static bool
fails_as_asked(struct nic_queue *q)
{
	uint32_t every = q->port->options.icv_fail;

	return every != 0 && ++q->n_failing % every == 0;
}

/* Hardware that takes the trailer off: the outer lengths stay as they are. */
static bool
trailer_take(struct rte_mbuf *m, const struct job *j)
{
	uint8_t copy[TRAILER];
	uint32_t end = j->at.esp + j->session->head + j->text_len;
	const uint8_t *trailer = rte_pktmbuf_read(m, end - TRAILER, TRAILER, copy);

	if (trailer[0] + TRAILER > j->text_len)
		return false;
	m->inner_esp_next_proto = trailer[1];
	nic_cut_to(m, end - TRAILER - trailer[0]);
	return true;
}

/* What the session makes of its packet. False: the packet is the device's own, and ends here. */
static bool
job_end(struct nic_queue *q, struct rte_mbuf *m, struct job *j)
{
	struct nic_session *s = j->session;
	const struct nic_port *p = q->port;
	uint8_t tos = nic_frame_tos(&j->at);
	uint32_t octets = j->at.total;

	if (j->ok && s->window != NULL)
		j->ok = nic_window_accept(s->window, &s->number, j->number);
	else if (j->ok)
		nic_number_raise(s, j->number);
	if (j->ok && s->protocol) {
		enum nic_unwrapped end = nic_unwrap(s, m, &j->at, j->text_len);

		if (end == NIC_NO_PACKET) {
			nic_count(q, s, octets, true);
			return false;
		}
		j->ok = end == NIC_INNER;
	} else if (j->ok && p->options.trailer_by_device) {
		j->ok = trailer_take(m, j);
	}
	nic_count(q, s, octets, j->ok);
	if (j->at.udp && !s->protocol)
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	m->ol_flags |= RTE_MBUF_F_RX_SEC_OFFLOAD | (j->ok ? 0 : RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED);
	if (s->rule.has_mark) {
		m->ol_flags |= RTE_MBUF_F_RX_FDIR | RTE_MBUF_F_RX_FDIR_ID;
		m->hash.fdir.hi = s->rule.mark;
	}
	*rte_security_dynfield(m) = s->userdata;
	*RTE_MBUF_DYNFIELD(m, nic_number_offset, uint64_t *) = j->number;
	*RTE_MBUF_DYNFIELD(m, nic_tos_offset, uint8_t *) = tos;
	return true;
}

/* What the device says was said of this packet by no other: it may have come from a ring. */
static void
flags_clear(struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		pkts[i]->ol_flags &=
			~(RTE_MBUF_F_RX_SEC_OFFLOAD | RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED);
}

/* Every N packets of the device's two change places: with the one before. */
static void
reorder(struct nic_queue *q, struct rte_mbuf **pkts, uint16_t place)
{
	uint32_t every = q->port->options.reorder;

	if (every != 0 && ++q->n_handled % every == 0 && place > 0) {
		struct rte_mbuf *before = pkts[place - 1];

		pkts[place - 1] = pkts[place];
		pkts[place] = before;
	}
}

static uint16_t
jobs_make(struct nic_queue *q, struct rte_mbuf **pkts, uint16_t n, struct job *jobs,
	  uint16_t *op_of, uint16_t *n_ops)
{
	uint16_t n_jobs = 0;

	*n_ops = 0;
	for (uint16_t i = 0; i < n; i++) {
		struct job *j = &jobs[n_jobs];
		struct crypto_op *op = &q->ops[*n_ops];
		bool cipher;

		if (!job_make(q, pkts[i], j, &cipher))
			continue;
		j->place = i;
		n_jobs++;
		if (unlikely(q->port->options.cipher_off))
			j->ok = cipher && !fails_as_asked(q);
		if (!cipher || unlikely(q->port->options.cipher_off))
			continue;
		nic_op_fill(op, j->session, pkts[i], &j->at, j->number);
		op->tag = (uint8_t *)(uintptr_t)
			rte_pktmbuf_read(pkts[i], j->at.esp + j->session->head + j->text_len,
					 j->session->crypto.suite.icv_len, q->tags[*n_ops]);
		op_of[(*n_ops)++] = n_jobs - 1;
	}
	return n_jobs;
}

static uint16_t
receive(struct nic_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	struct job jobs[CRYPTO_BURST_MAX];
	uint16_t op_of[CRYPTO_BURST_MAX], n_ops, n_jobs, kept = 0;
	bool gone = false;

	flags_clear(pkts, n);
	n_jobs = jobs_make(q, pkts, n, jobs, op_of, &n_ops);
	nic_crypt(q, q->ops, n_ops, false);
	for (uint16_t i = 0; i < n_ops; i++)
		jobs[op_of[i]].ok = q->ops[i].ok && !fails_as_asked(q);
	for (uint16_t i = 0; i < n_jobs; i++) {
		struct rte_mbuf **m = &pkts[jobs[i].place];

		if (!job_end(q, *m, &jobs[i])) {
			rte_pktmbuf_free(*m);
			*m = NULL;
			gone = true;
		}
	}
	for (uint16_t i = 0; gone && i < n; i++)
		if (pkts[i] != NULL)
			pkts[kept++] = pkts[i];
	kept = gone ? kept : n;
	for (uint16_t i = 0; i < n_jobs && !gone; i++)
		reorder(q, pkts, jobs[i].place);
	return kept;
}

uint16_t
nic_receive(uint16_t dpdk_id, uint16_t queue, struct rte_mbuf *pkts[], uint16_t n, uint16_t max,
	    void *arg)
{
	struct nic_queue *q = arg;
	uint16_t kept = 0, chunk;

	if (unlikely(q->forgotten != __atomic_load_n(&q->port->n_forget, __ATOMIC_RELAXED)))
		nic_queue_forget(q);
	if (n == 0)
		return 0;
	nic_queue_enter(q);
	for (uint16_t i = 0; i < n; i += chunk) {
		uint16_t got;

		chunk = RTE_MIN((uint16_t)(n - i), (uint16_t)CRYPTO_BURST_MAX);
		got = receive(q, pkts + i, chunk);
		if (kept != i)
			memmove(pkts + kept, pkts + i, got * sizeof(pkts[0]));
		kept += got;
	}
	nic_queue_leave(q);
	return kept;
}
