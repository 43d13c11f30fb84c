#include "esp/esp_stage.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_esp.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_udp.h>

#include "crypto/crypto.h"
#include "esp/beet.h"
#include "esp/comp.h"
#include "esp/engines.h"
#include "esp/esp.h"
#include "esp/mark.h"
#include "esp/plain.h"
#include "esp/transport.h"
#include "sa/sa.h"
#include "wire/subspace.h"
#include "worker/mbufs.h"
#include "worker/worker.h"

#define TRAILER 2 /* pad length, next header */
#define PORTS	4 /* behind the inner header: the flow label goes by them */

/* RFC 4303 section 2.4: 1, 2, 3 … */
static const uint8_t padding[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

/* What has no inner header. */
#define PKT_BARE (PKT_ECHO | PKT_AGGFRAG)
_Static_assert(ESP_ECHO_NEXT_HEADER == WIRE_AGGFRAG_NEXT_HEADER, "told apart by what follows");

/* What one packet gets in front and behind. */
struct shape {
	uint16_t head;	   /* outer IP (tunnel mode), UDP, ESP, IV */
	uint16_t outer;	   /* of these: what stands before the ESP header */
	uint16_t split;	   /* transport mode: its own IP header, which moves to the front */
	uint16_t name_off; /* in that header: the octet that names what follows */
	uint16_t grow;	   /* TFC octets */
	uint16_t text;	   /* ciphertext */
	uint8_t pad;
	uint8_t next_header;
	uint8_t inner[BEET_INNER_MAX]; /* BEET: the header that is not sent */
};

/* RFC 4303 section 2.7: as large as asked for, as far as the tunnel takes it. */
static uint16_t
growth(const struct sa *sa, uint16_t carried)
{
	uint16_t mtu = __atomic_load_n(&sa->mtu, __ATOMIC_RELAXED),
		 goal = RTE_MIN(sa->out.pad_to, mtu);

	return goal > carried ? goal - carried : 0;
}

/* Traffic flow confidentiality. Of our own packets only a dummy is of protocol 59; others' may be,
 * too.
 */
static void
shape_hide(const struct sa *sa, const struct pkt *p, struct shape *s, uint16_t carried)
{
	if ((p->flags & PKT_OWN) != 0 && p->proto == IPPROTO_NONE)
		s->next_header = IPPROTO_NONE;
	s->grow = growth(sa, carried);
}

static uint8_t
next_header_of(const struct pkt *p)
{
	if (unlikely((p->marks & PKT_BARE) != 0))
		return WIRE_AGGFRAG_NEXT_HEADER; /* an echo's, too */
	if (unlikely((p->marks & PKT_COMP) != 0))
		return IPPROTO_COMP;
	return (p->flags & PKT_V6) != 0 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

/* BEET: takes the inner header off. An echo has none. */
static void
shape_of(const struct sa *sa, struct rte_mbuf *m, const struct pkt *p, struct shape *s)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t udp = (sa->flags & SA_UDP) != 0 ? sizeof(struct rte_udp_hdr) : 0;
	uint16_t carried = m->pkt_len;

	s->split = 0;
	s->grow = 0;
	if ((sa->flags & SA_BEET) != 0 && (p->marks & PKT_ECHO) == 0) {
		s->outer = tunnel_out_size(&sa->out);
		s->next_header = beet_cut(m, p, s->inner);
		carried = m->pkt_len;
	} else if (likely((sa->flags & SA_TRANSPORT) == 0)) {
		s->outer = tunnel_out_size(&sa->out);
		s->next_header = next_header_of(p);
		/* Nothing tells where a stream ends but its packet: TFC does not go with it. */
		if (unlikely((sa->flags & SA_TFC) != 0) && (p->marks & (PKT_PROBE | PKT_COMP)) == 0)
			shape_hide(sa, p, s, carried);
	} else {
		s->split = transport_split(ip, (p->flags & PKT_V6) != 0, p->l4_off, &s->name_off);
		s->next_header = ip[s->name_off];
		s->outer = udp;
		carried -= s->split;
	}
	s->head = s->outer + sa->esp_size;
	s->text = RTE_ALIGN_CEIL(carried + s->grow + TRAILER, sa->suite.align);
	s->pad = s->text - carried - s->grow - TRAILER;
}

static void
trailer_write(uint8_t *at, const struct shape *s)
{
	if (unlikely(s->grow > 0)) {
		memset(at, 0, s->grow);
		at += s->grow;
	}
	/* Without TFC a pad is shorter than a cipher block, and the tag (8 octets or more) is still
	 * to come: one store of 4 may reach beyond the trailer.
	 */
	if (likely(s->pad < 4))
		memcpy(at, padding, 4);
	else
		memcpy(at, padding, s->pad);
	at[s->pad] = s->pad;
	at[s->pad + 1] = s->next_header;
}

/* The ESP header with its IV, and everything the cipher is to know. */
static void
op_fill(struct crypto_op *op, const struct sa *sa, const struct pkt *p, uint8_t *esp)
{
	uint64_t seq_be = rte_cpu_to_be_64(p->seq);
	uint32_t low_be = seq_be >> 32;

	memcpy(esp, &sa->spi_be, 4);
	if ((sa->flags & SA_SUBSPACES) != 0)
		memcpy(esp + 4, &seq_be, 8);
	else
		memcpy(esp + 4, &low_be, 4);
	memcpy(op->aad, &sa->spi_be, 4);
	if (sa->suite.esn)
		memcpy(op->aad + 4, &seq_be, 8);
	else
		memcpy(op->aad + 4, &low_be, 4);
	if (unlikely((sa->flags & SA_CBC) != 0)) {
		/* The engine makes the IV from this: unique, and enciphered under a key of its own.
		 */
		memcpy(op->nonce, &sa->spi_be, 4);
		memset(op->nonce + 4, 0, 4);
		memcpy(op->nonce + 8, &seq_be, 8);
	} else {
		uint8_t salt_len = algs[sa->suite.cipher].salt_len;

		memcpy(op->nonce, sa->salt, 4);
		memcpy(op->nonce + salt_len, &seq_be, 8);
		if (sa->suite.iv_len != 0)
			memcpy(esp + sa->esp_size - 8, &seq_be, 8);
	}
	op->session = sa_session(sa);
	op->engine = sa->engine;
}

static __rte_always_inline void
outer_write(struct worker *w, const struct sa *sa, const struct pkt *p, uint8_t *at,
	    const uint8_t *inner, uint32_t total)
{
	bool v6 = (p->flags & PKT_V6) != 0;
	uint8_t df = v6 ? TUNNEL_DF : inner[offsetof(struct rte_ipv4_hdr, fragment_offset)];

	tunnel_outer_write(&sa->out, at, inner, v6, p->tos, df, total, &w->ipv4_id);
}

/* Of PKT_BARE: as that of a packet of no flow or class that may not be fragmented, and of a probe
 * whatever the SA says of DF.
 */
static void
bare_outer_write(struct worker *w, const struct sa *sa, const struct pkt *p, uint8_t *at,
		 uint32_t total)
{
	static const uint8_t nothing[sizeof(struct rte_ipv4_hdr) + PORTS];
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

	tunnel_outer_write(&sa->out, at, nothing, false, p->tos, TUNNEL_DF, total, &w->ipv4_id);
	if ((p->marks & PKT_PROBE) == 0 || (sa->flags & SA_V6) != 0)
		return;
	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
}

/* Transport mode: the IP header goes to the front, and says ESP or UDP now. */
static void
own_header_move(const struct sa *sa, const struct pkt *p, uint8_t *at, const uint8_t *ip,
		const struct shape *s, uint32_t total)
{
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(at + s->split);
	bool v6 = (p->flags & PKT_V6) != 0;

	memmove(at, ip, s->split);
	transport_rewrite(at, v6, total, s->name_off, s->outer > 0 ? IPPROTO_UDP : IPPROTO_ESP);
	if (s->outer > 0) {
		tunnel_udp_ports(&sa->out, &udp->src_port, &udp->dst_port);
		udp->dgram_len = rte_cpu_to_be_16(total - s->split);
		udp->dgram_cksum = 0;
	}
}

/* Writes the headers before the text and fills the operation. ip is where the packet begins now,
 * text where its ciphertext will; they differ from each other by the headers that transport mode
 * leaves in clear.
 */
static void
headers_write(struct worker *w, const struct sa *sa, struct pkt *p, const struct shape *s,
	      uint8_t *text, const uint8_t *ip, uint32_t total, struct crypto_op *op)
{
	uint8_t *at = text - s->head - s->split;

	if (unlikely((p->marks & PKT_BARE) != 0) && s->split == 0) {
		bare_outer_write(w, sa, p, at, total);
	} else if ((sa->flags & SA_BEET) != 0) {
		outer_write(w, sa, p, at, s->inner, total);
		beet_outer_fit(at, (sa->flags & SA_V6) != 0, s->inner, (p->flags & PKT_V6) != 0);
	} else if (likely(s->split == 0))
		outer_write(w, sa, p, at, ip, total);
	else
		own_header_move(sa, p, at, ip, s, total);
	p->esp_off = s->split + s->outer;
	op_fill(op, sa, p, at + p->esp_off);
}

/* A packet in several segments, or one without the room in front or behind. */
static enum drop_reason
encap_chain(struct worker *w, struct rte_mbuf **mp, const struct shape *s, struct crypto_op *op)
{
	struct rte_mbuf *m = *mp;
	const struct sa *sa = pkt_of(m)->hot;
	uint16_t tail = s->grow + s->pad + TRAILER + sa->suite.icv_len;
	uint8_t own[UINT8_MAX + 1] = { 0 }; /* its own headers: transport mode moves them */
	uint16_t n_own = RTE_MAX(s->split, (uint16_t)(sizeof(struct rte_ipv6_hdr) + PORTS));
	uint8_t *end, *at;

	if (unlikely(s->split > sizeof(own)))
		return DROP_BUFFER;
	end = mbuf_add_tail(m, tail, w->pool);
	if (end == NULL)
		return DROP_NO_MBUF;
	trailer_write(end, s);
	if ((pkt_of(m)->marks & PKT_COMP) != 0 && s->split == 0)
		memcpy(own, comp_clear_header(m, sa), COMP_KEPT);
	else
		memcpy(own, rte_pktmbuf_mtod(m, uint8_t *), RTE_MIN(n_own, m->data_len));
	mbuf_cut_head(m, s->split);
	if (rte_pktmbuf_headroom(m) < s->head + s->split + RTE_ETHER_HDR_LEN) {
		m = mbuf_front_add(m, s->head + s->split, w->pool);
		if (m == NULL)
			return DROP_NO_MBUF;
		*mp = m;
	} else {
		rte_pktmbuf_prepend(m, s->head + s->split);
	}
	at = rte_pktmbuf_mtod(m, uint8_t *);
	headers_write(w, sa, pkt_of(m), s, at + s->head + s->split, own, m->pkt_len, op);
	op->chain = m;
	op->text_off = s->head + s->split;
	op->text_len = s->text;
	op->tag = end + tail - sa->suite.icv_len;
	return DROP_NONE;
}

static enum drop_reason
encap_any(struct worker *w, struct rte_mbuf **mp, struct crypto_op *op)
{
	struct rte_mbuf *m = *mp;
	struct pkt *p = pkt_of(m);
	const struct sa *sa = p->hot;
	struct shape s;
	const uint8_t *clear;
	uint16_t tail;
	uint8_t *ip, *text;

	shape_of(sa, m, p, &s);
	tail = s.grow + s.pad + TRAILER + sa->suite.icv_len;
	if (unlikely(m->nb_segs > 1 || rte_pktmbuf_tailroom(m) < tail ||
		     rte_pktmbuf_headroom(m) < s.head + RTE_ETHER_HDR_LEN))
		return encap_chain(w, mp, &s, op);
	ip = rte_pktmbuf_mtod(m, uint8_t *);
	clear = comp_clear_header(m, sa);
	text = ip + s.split;
	trailer_write(ip + m->data_len, &s);
	m->data_len += s.head + tail;
	m->pkt_len += s.head + tail;
	m->data_off -= s.head;
	headers_write(w, sa, p, &s, text, clear, m->pkt_len, op);
	op->chain = NULL;
	op->text = text;
	op->text_len = s.text;
	op->tag = text + s.text;
	return DROP_NONE;
}

/* SA_PLAIN in one segment with room around it: the same as the general way, without its questions.
 * asked: somebody is to know of the text; else see plain_op_make().
 */
static __rte_always_inline void
encap_plain(struct worker *w, struct rte_mbuf *m, struct pkt *p, const struct sa *sa,
	    struct crypto_op *op, const bool asked)
{
	uint8_t *text = rte_pktmbuf_mtod(m, uint8_t *);
	uint64_t seq_be = wire_swap64(p->seq);
	uint32_t text_len = plain_trailer_write(text + m->data_len, m->data_len,
						(p->flags & PKT_V6) != 0 ? PLAIN_IP6 : PLAIN_IP4);
	uint32_t head, total;

	if (asked)
		plain_op_fill(op, sa, seq_be, seq_be, text, text_len);
	plain_header_write(sa, text, seq_be);
	p->esp_off = tunnel_out_size(&sa->out);
	head = tunnel_out_size(&sa->out) + sa->esp_size;
	total = head + text_len + sa->suite.icv_len;
	outer_write(w, sa, p, text - head, text, total);
	m->data_off -= head;
	m->data_len = total;
	m->pkt_len = total;
}

/* With IPComp, what was not compressed. flags: the SA's. */
static __rte_always_inline bool
goes_plain(const struct rte_mbuf *m, uint16_t flags)
{
	uint16_t kind = flags & (SA_PLAIN | SA_IPCOMP | SA_INLINE | SA_IPTFS);

	return likely(kind == SA_PLAIN) ||
	       (kind == (SA_PLAIN | SA_IPCOMP) && (pkt_of(m)->marks & PKT_COMP) == 0);
}

static __rte_always_inline bool
has_plain_room(const struct rte_mbuf *m)
{
	return m->nb_segs == 1 && m->data_off >= PLAIN_HEADROOM &&
	       m->data_off + m->data_len + 3 + TRAILER + ALG_ICV_MAX <= m->buf_len;
}

static __rte_always_inline bool
is_plain(const struct rte_mbuf *m, uint16_t flags)
{
	return goes_plain(m, flags) && has_plain_room(m);
}

/* As encap_plain(), of an AGGFRAG payload, which has no header that the outer one could go by.
 * False: it goes the general way.
 */
static inline bool
encap_payload(struct worker *w, struct rte_mbuf *m, struct pkt *p, const struct sa *sa,
	      struct crypto_op *op)
{
	uint8_t *text = rte_pktmbuf_mtod(m, uint8_t *);
	uint64_t seq_be = wire_swap64(p->seq);
	uint32_t text_len, head, total;

	if ((sa->flags & SA_PLAIN) == 0 || (p->marks & PKT_AGGFRAG) == 0 ||
	    unlikely(!has_plain_room(m)))
		return false;
	text_len = plain_trailer_write(text + m->data_len, m->data_len, PLAIN_AGGFRAG);
	plain_op_fill(op, sa, seq_be, seq_be, text, text_len);
	plain_header_write(sa, text, seq_be);
	p->esp_off = tunnel_out_size(&sa->out);
	head = tunnel_out_size(&sa->out) + sa->esp_size;
	total = head + text_len + sa->suite.icv_len;
	bare_outer_write(w, sa, p, text - head, total);
	m->data_off -= head;
	m->data_len = total;
	m->pkt_len = total;
	return true;
}

/* Returns the packet, which may have got another first segment, or NULL: it is gone. What is to get
 * AH has come down ESP's line as far as here.
 */
static __rte_noinline struct rte_mbuf *
encap_other(struct worker *w, struct rte_mbuf *m, struct crypto_op *op)
{
	struct pkt *p = pkt_of(m);
	enum drop_reason why;

	if (encap_payload(w, m, p, p->hot, op))
		return m;
	if ((p->hot->flags & SA_AH) != 0) {
		pipe_push(w, STAGE_AH_ENCAP, m);
		return NULL;
	}
	why = encap_any(w, &m, op);
	if (likely(why == DROP_NONE))
		return m;
	drop(w, m, why);
	return NULL;
}

/* The operation of a packet that encap_plain() has written. */
static void
plain_op_make(struct crypto_op *op, const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const struct sa *sa = p->hot;
	uint16_t head = p->esp_off + sa->esp_size;
	uint64_t seq_be = wire_swap64(p->seq);

	plain_op_fill(op, sa, seq_be, seq_be, rte_pktmbuf_mtod_offset(m, uint8_t *, head),
		      (uint32_t)m->data_len - head - sa->suite.icv_len);
}

/* What a device is to encipher; software what it does not take after all. */
static uint16_t
encap_marked(struct worker *w, const struct mark *mark, struct rte_mbuf **pkts, uint16_t n,
	     struct rte_mbuf **kept, struct crypto_op *ops)
{
	uint16_t n_kept = 0, marked;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);

		if (likely(is_plain(m, p->hot->flags & (uint16_t)~SA_INLINE))) {
			encap_plain(w, m, p, p->hot, &ops[n_kept], false);
			ops[n_kept].session = NULL;
		} else {
			m = encap_other(w, m, &ops[n_kept]);
			if (m == NULL)
				continue;
		}
		kept[n_kept++] = m;
	}
	for (uint16_t i = 0; i < n_kept; i += marked + 1) {
		marked = mark_all(w, mark, &kept[i], &ops[i], n_kept - i);
		if (unlikely(i + marked < n_kept && ops[i + marked].session == NULL))
			plain_op_make(&ops[i + marked], kept[i + marked]);
	}
	return n_kept;
}

/* One that is software's, unless the device numbers what is sent: nobody else would know how. */
static uint16_t
encap_unmarked(struct worker *w, const struct mark *mark, struct rte_mbuf *m,
	       struct rte_mbuf **kept, struct crypto_op *op)
{
	if (mark->kind == OFFLOAD_PROTOCOL && !mark->entry->tx_number) {
		drop(w, m, DROP_OFFLOAD_LOST);
		return 0;
	}
	if (likely(is_plain(m, pkt_of(m)->hot->flags & (uint16_t)~SA_INLINE)))
		encap_plain(w, m, pkt_of(m), pkt_of(m)->hot, op, true);
	else
		m = encap_other(w, m, op);
	*kept = m;
	return m != NULL;
}

/* Packets in a row of one SA that a port's device may do. Returns how many are left, in kept, which
 * may be where they are. */
static __rte_noinline uint16_t
encap_inline(struct worker *w, struct rte_mbuf **pkts, uint16_t n, struct rte_mbuf **kept,
	     struct crypto_op *ops)
{
	uint16_t n_kept = 0, run;
	struct mark mark;

	mark_find(w, pkt_of(pkts[0]), &mark);
	for (uint16_t i = 0; i < n; i += run) {
		run = mark_alike(w, &mark, &pkts[i], n - i);
		if (run > 0 && mark.kind == OFFLOAD_CRYPTO) {
			n_kept +=
				encap_marked(w, &mark, &pkts[i], run, &kept[n_kept], &ops[n_kept]);
			continue;
		}
		if (run > 0)
			run = mark_all(w, &mark, &pkts[i], &ops[n_kept], run);
		if (run > 0) {
			memmove(&kept[n_kept], &pkts[i], run * sizeof(pkts[0]));
			n_kept += run;
			continue;
		}
		n_kept += encap_unmarked(w, &mark, pkts[i], &kept[n_kept], &ops[n_kept]);
		run = 1;
	}
	return n_kept;
}

uint16_t
esp_encap(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct crypto_op *op = w->crypto->ops;
	struct rte_mbuf **kept = pkts;
	uint16_t run, left;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct sa *sa = pkt_of(m)->hot;

		if (likely(is_plain(m, sa->flags))) {
			encap_plain(w, m, pkt_of(m), sa, op, true);
		} else if ((sa->flags & SA_INLINE) != 0) {
			run = pkt_same_sa(&pkts[i], n - i);
			left = encap_inline(w, &pkts[i], run, kept, op);
			i += run - 1;
			kept += left;
			op += left;
			continue;
		} else {
			m = encap_other(w, m, op);
			if (m == NULL)
				continue;
		}
		*kept++ = m;
		op++;
	}
	return (uint16_t)(kept - pkts);
}

uint16_t
crypto_encrypt(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	if (unlikely(w->crypto->mixed))
		return engines_run(w, pkts, n, true);
	crypto_run(w->crypto, w->crypto->ops, n, true);
	return n;
}

static inline bool
all_ok(const struct crypto_op *ops, uint16_t n)
{
	bool ok = true;

	for (uint16_t i = 0; i < n; i++)
		ok &= ops[i].ok;
	return ok;
}

uint16_t
esp_seal(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct crypto_op *ops = w->crypto->ops;
	uint16_t kept = 0;

	if (likely(all_ok(ops, n)))
		return n;
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		if (unlikely(!ops[i].ok)) {
			drop(w, m, DROP_CRYPTO_FAIL);
			continue;
		}
		pkts[kept++] = m;
	}
	return kept;
}

uint16_t
udp_encap(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		const struct sa *sa = pkt_of(pkts[i])->hot;

		/* What a device makes all of has no header yet. */
		if ((sa->flags & (SA_UDP | SA_V6)) == (SA_UDP | SA_V6) &&
		    (pkts[i]->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD) == 0)
			tunnel_udp6_checksum(pkts[i],
					     pkt_of(pkts[i])->esp_off - sizeof(struct rte_udp_hdr));
	}
	return n;
}
