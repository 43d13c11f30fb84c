#include "pipe/stages.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_esp.h>
#include <rte_ether.h>
#include <rte_udp.h>

#include "esp/protocol.h"
#include "frag/reasm.h"
#include "frag/send.h"
#include "pipe/ours.h"
#include "port/offload.h"
#include "port/port_stage.h"
#include "sad/sad_stage.h"
#include "wire/ip.h"
#include "worker/mbufs.h"
#include "worker/pkt_fill.h"
#include "worker/ttl.h"
#include "worker/worker.h"

/* UDP, ESP and the longest IV behind the IP header: in the first segment always. */
#define BEHIND_IP (sizeof(struct rte_udp_hdr) + sizeof(struct rte_esp_hdr) + 16)

/* EtherType and the first octet of IP, as they lie in a frame: IPv4 without options, and IPv6. */
#define KIND_V4	     (RTE_BE16(RTE_ETHER_TYPE_IPV4) | RTE_IPV4_VHL_DEF << 16)
#define KIND_V4_MASK UINT32_C(0xffffff)
#define KIND_V6	     (RTE_BE16(RTE_ETHER_TYPE_IPV6) | 0x60 << 16)
#define KIND_V6_MASK UINT32_C(0xf0ffff)

/* A packet whose buffers somebody else reads or writes is copied before anything is written, and
 * headers that are split over segments are brought together. NULL: the packet is gone.
 */
static __rte_noinline struct rte_mbuf *
make_plain(struct worker *w, struct rte_mbuf *m)
{
	struct rte_mbuf *copy;

	if (!mbuf_is_ours(m)) {
		copy = rte_pktmbuf_copy(m, w->pool, 0, UINT32_MAX);
		if (copy == NULL) {
			drop(w, m, DROP_NO_MBUF);
			return NULL;
		}
		*pkt_of(copy) = *pkt_of(m);
		rte_pktmbuf_free(m);
		m = copy;
	}
	/* Without room for it the parser says what is missing. */
	mbuf_pull(m, RTE_ETHER_HDR_LEN + WIRE_IP6_HEADER + WIRE_EXT_OCTETS_MAX + BEHIND_IP);
	return m;
}

static __rte_noinline enum drop_reason
malformed(enum wire_verdict verdict)
{
	return verdict == WIRE_CHECKSUM ? DROP_OUTER_CHECKSUM :
	       verdict == WIRE_SPLIT	? DROP_BUFFER :
					  DROP_OUTER_MALFORMED;
}

/* The end of a frame that judge() did not like. */
static __rte_noinline void
refuse(struct worker *w, struct rte_mbuf *m, struct pkt *p, enum drop_reason why)
{
	if (why != DROP_NOT_IP || (w->view->mirrored >> p->port & 1) == 0 || !is_host_frame(m)) {
		drop(w, m, why);
		return;
	}
	p->l4_off = 0;
	pipe_push(w, STAGE_PUNT, m);
}

/* The frame's own header and the IP header: whose it is, what is in it, whether it may be. Cuts the
 * Ethernet header off, and Ethernet padding, before anybody looks for a tag at the end.
 */
static __rte_always_inline enum drop_reason
judge(const struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	bool sum_good = (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	uint16_t contiguous = m->data_len - sizeof(*eth);
	uint32_t frame = m->pkt_len - sizeof(*eth);
	enum wire_verdict verdict;
	struct ip_info info;
	bool v6;

	if (unlikely(m->data_len < sizeof(*eth)))
		return DROP_OUTER_MALFORMED;
	if (unlikely(!port_takes(w->port, p->port, &eth->dst_addr)))
		return DROP_NOT_OURS;
	v6 = eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
	if (unlikely(!v6 && eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4)))
		return frame_refusal(m);
	if (unlikely((m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0))
		return DROP_VLAN;
	verdict = wire_ip_parse_sum((const uint8_t *)(eth + 1), contiguous, frame, sum_good, &info);
	if (unlikely(verdict != WIRE_OK))
		return malformed(verdict);
	if (unlikely(((info.flags & IP_INFO_V6) != 0) != v6))
		return DROP_OUTER_MALFORMED;
	m->data_off += sizeof(*eth);
	m->data_len = contiguous;
	m->pkt_len = frame;
	if (unlikely(info.total < frame))
		mbuf_cut_tail(m, frame - info.total);
	pkt_fill(p, &info);
	return DROP_NONE;
}

/* What nothing is known of yet. */
static __rte_always_inline void
begin(struct pkt *p)
{
	p->seq = 0;
	p->spi_be = 0;
	p->sa = SA_NONE;
	p->policy = POLICY_NONE;
	p->next_hop = NEXT_HOP_NONE;
	p->mtu = 0;
	p->marks = 0;
}

/* Any frame. NULL: the packet is gone. */
static __rte_noinline struct rte_mbuf *
take_other(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	enum drop_reason why;

	begin(p);
	p->flags = 0;
	if (unlikely(!mbuf_is_plain(m))) {
		m = make_plain(w, m);
		if (m == NULL)
			return NULL;
		p = pkt_of(m);
	}
	why = judge(w, m, p);
	if (unlikely(why != DROP_NONE)) {
		refuse(w, m, p, why);
		return NULL;
	}
	return m;
}

/* One segment of ours that begins with the headers of a frame to the port's own address, and of
 * that kind.
 */
static __rte_always_inline bool
is_plainly(const struct worker *w, const struct rte_mbuf *m, const uint8_t *frame, uint32_t headers,
	   uint32_t mask, uint32_t kind)
{
	return mbuf_is_plain(m) && (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) == 0 &&
	       m->data_len >= RTE_ETHER_HDR_LEN + headers &&
	       port_is_meant(w->port, pkt_of(m)->port, frame) &&
	       (wire_load32(frame + offsetof(struct rte_ether_hdr, ether_type)) & mask) == kind;
}

/* A whole packet without options, plainly: the few questions here are the same as all of judge()'s,
 * and take_usual4() is what comes of them.
 */
static __rte_always_inline bool
is_usual4(const struct worker *w, const struct rte_mbuf *m, const uint8_t *frame)
{
	bool sum_good = (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;

	return is_plainly(w, m, frame, sizeof(struct rte_ipv4_hdr), KIND_V4_MASK, KIND_V4) &&
	       wire_ip4_is_usual(frame + RTE_ETHER_HDR_LEN, m->data_len - RTE_ETHER_HDR_LEN,
				 sum_good);
}

/* The same of IPv6, without extension headers. */
static __rte_always_inline bool
is_usual6(const struct worker *w, const struct rte_mbuf *m, const uint8_t *frame)
{
	const uint8_t *ip = frame + RTE_ETHER_HDR_LEN;

	return is_plainly(w, m, frame, WIRE_IP6_HEADER, KIND_V6_MASK, KIND_V6) &&
	       wire_be16(ip + 4) <= m->data_len - RTE_ETHER_HDR_LEN - WIRE_IP6_HEADER &&
	       !wire_is_ext_header(ip[6]);
}

static __rte_always_inline void
cut(struct rte_mbuf *m, uint32_t total)
{
	m->data_off += RTE_ETHER_HDR_LEN;
	m->data_len = (uint16_t)total;
	m->pkt_len = total;
}

static __rte_always_inline void
take_usual4(struct rte_mbuf *m, const uint8_t *ip, uint8_t flags)
{
	struct pkt *p = pkt_of(m);

	begin(p);
	cut(m, wire_be16(ip + 2));
	pkt_fill_usual4(p, ip, flags);
}

static __rte_always_inline void
take_usual6(struct rte_mbuf *m, const uint8_t *ip, uint8_t flags)
{
	struct pkt *p = pkt_of(m);

	begin(p);
	cut(m, WIRE_IP6_HEADER + wire_be16(ip + 4));
	p->l4_off = WIRE_IP6_HEADER;
	p->last_nh_off = offsetof(struct rte_ipv6_hdr, proto);
	p->proto = ip[6];
	p->flags = PKT_V6 | flags;
	p->tos = (uint8_t)(wire_be16(ip) >> 4);
}

static __rte_always_inline bool
is_for_us(const struct worker *w, const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v6 = (p->flags & PKT_V6) != 0;

	return is_ours(w, v6 ? ip + 24 : ip + 16, v6);
}

/* All but the usual of IPv4. */
static __rte_noinline struct rte_mbuf *
red_other(struct worker *w, struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip = frame + RTE_ETHER_HDR_LEN;

	if (is_usual6(w, m, frame) && !is_ours(w, ip + 24, true) && ttl6_count(ip)) {
		take_usual6(m, ip, PKT_TTL_DONE);
		return m;
	}
	m = take_other(w, m);
	if (m == NULL)
		return NULL;
	if (is_for_us(w, m, pkt_of(m)) || is_for_group(w, m)) {
		pipe_push(w, STAGE_PUNT, m);
		return NULL;
	}
	return ttl_count(w, m, pkt_of(m)) ? m : NULL;
}

uint16_t
classify_red(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct own *own = route_own(w->view->route);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip = frame + RTE_ETHER_HDR_LEN;

		if (likely(is_usual4(w, m, frame) && !own_has_v4(own, wire_load32(ip + 16)) &&
			   ttl4_count(ip))) {
			take_usual4(m, ip, PKT_TTL_DONE);
		} else {
			m = red_other(w, m);
			if (m == NULL)
				continue;
		}
		pkts[kept++] = m;
	}
	return kept;
}

/* A fragment of ESP is not decrypted (RFC 4303 section 3.4.1), nor AH looked at in one. */
static enum drop_reason
esp_find(const struct rte_mbuf *m, struct pkt *p, uint16_t off)
{
	const struct rte_esp_hdr *esp = rte_pktmbuf_mtod_offset(m, const struct rte_esp_hdr *, off);

	if (unlikely((p->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) != 0))
		return DROP_FRAG_TO_ESP;
	if (unlikely(m->pkt_len < off + sizeof(*esp)))
		return DROP_ESP_SHORT;
	p->esp_off = off;
	p->spi_be = esp->spi;
	return DROP_NONE;
}

/* The same of nearly all: IPv4 without options, no fragment, ESP for us. */
static __rte_always_inline bool
esp_find_usual(const struct own *own, const struct sad *sad, const struct rte_mbuf *m,
	       const uint8_t *ip)
{
	const uint16_t off = sizeof(struct rte_ipv4_hdr);
	struct pkt *p = pkt_of(m);

	if (unlikely(ip[9] != IPPROTO_ESP || m->pkt_len < off + sizeof(struct rte_esp_hdr) ||
		     !own_has_v4(own, wire_load32(ip + 16))))
		return false;
	p->esp_off = off;
	p->spi_be = wire_load32(ip + off);
	sad_prefetch(sad, p->spi_be);
	return true;
}

static bool
udp_sum_is_right(const struct rte_mbuf *m, const struct pkt *p, uint32_t len)
{
	bool v6 = (p->flags & PKT_V6) != 0;
	const uint8_t *addresses = rte_pktmbuf_mtod_offset(m, const uint8_t *, v6 ? 8 : 12);
	uint64_t sum = rte_cpu_to_be_16(IPPROTO_UDP) + rte_cpu_to_be_16(len);

	sum = wire_sum(sum, addresses, v6 ? 32 : 8);
	return wire_sum_fold(wire_sum_mbuf(sum, m, p->l4_off, len)) == 0xffff;
}

static enum drop_reason
udp_check(const struct worker *w, const struct rte_mbuf *m, const struct pkt *p,
	  const struct rte_udp_hdr *udp)
{
	uint32_t len = rte_be_to_cpu_16(udp->dgram_len);

	if (unlikely(len < sizeof(*udp) || len > m->pkt_len - p->l4_off))
		return DROP_UDP_MALFORMED;
	/* RFC 3948 section 2.1 sends none; over IPv6 it may be left out by RFC 6935, which we do
	 * not ask for. */
	if (likely(udp->dgram_cksum == 0))
		return (p->flags & PKT_V6) != 0 ? DROP_UDP_CHECKSUM : DROP_NONE;
	/* The checksum covers the text as it was sent. What the device says of the text covers
	 * more.
	 */
	return offload_says(w->offloads, m) || udp_sum_is_right(m, p, len) ? DROP_NONE :
									     DROP_UDP_CHECKSUM;
}

/* UDP to a port of ours that takes ESP: keepalive, IKE or ESP (RFC 3948 section 4). True: the
 * packet is gone. */
static bool
udp_demux(struct worker *w, struct rte_mbuf *m, struct pkt *p, enum drop_reason *why)
{
	const struct rte_udp_hdr *udp =
		rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, p->l4_off);
	const uint8_t *payload = (const uint8_t *)(udp + 1);
	uint32_t len;

	*why = (p->flags & PKT_FRAG_FIRST) != 0 ? DROP_FRAG_TO_ESP : udp_check(w, m, p, udp);
	if (unlikely(*why != DROP_NONE))
		return false;
	len = rte_be_to_cpu_16(udp->dgram_len) - sizeof(*udp);
	if (len == 1 && payload[0] == 0xff) {
		consume(w, m, CONSUMED_NAT_KEEPALIVE);
		return true;
	}
	if (len >= 4 && wire_load32(payload) == 0) {
		p->flags |= PKT_UDP_ENCAP;
		pipe_push(w, STAGE_PUNT, m);
		return true;
	}
	if (p->l4_off + sizeof(*udp) + len < m->pkt_len)
		mbuf_cut_tail(m, m->pkt_len - p->l4_off - sizeof(*udp) - len);
	p->flags |= PKT_UDP_ENCAP;
	p->udp_src_be = udp->src_port;
	p->udp_dst_be = udp->dst_port;
	*why = esp_find(m, p, p->l4_off + sizeof(*udp));
	return false;
}

static bool
is_udp_of_esp(const struct worker *w, const struct rte_mbuf *m, const struct pkt *p)
{
	const struct rte_udp_hdr *udp =
		rte_pktmbuf_mtod_offset(m, const struct rte_udp_hdr *, p->l4_off);

	return p->proto == IPPROTO_UDP && (p->flags & PKT_FRAG_LATER) == 0 &&
	       m->pkt_len >= p->l4_off + sizeof(*udp) && view_takes_udp(w->view, udp->dst_port);
}

static enum drop_reason
ah_find(const struct rte_mbuf *m, struct pkt *p)
{
	if ((p->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) != 0)
		return DROP_FRAG_TO_ESP;
	if (m->pkt_len < p->l4_off + 12u)
		return DROP_AH_SHORT;
	p->esp_off = p->l4_off;
	p->spi_be = wire_load32(rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off + 4));
	return DROP_NONE;
}

/* To a line of its own, or in clear. */
static __rte_noinline void
black_not_esp(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	enum drop_reason why = DROP_NONE;

	if (p->proto == IPPROTO_AH)
		why = ah_find(m, p);
	if (why != DROP_NONE)
		drop(w, m, why);
	else
		pipe_push(w, p->proto == IPPROTO_AH ? STAGE_AH_LOOKUP : STAGE_CLEAR_CHECK, m);
}

/* ESP for an address that is not ours: of a host behind us, in transport mode, if such an SA
 * exists. */
static bool
is_for_sa(const struct worker *w, const struct rte_mbuf *m, struct pkt *p)
{
	bool udp = is_udp_of_esp(w, m, p);
	uint16_t off = p->l4_off + (udp ? sizeof(struct rte_udp_hdr) : 0);

	if (p->proto == IPPROTO_AH)
		return ah_find(m, p) == DROP_NONE && sad_takes(w->view->sad, m);
	if ((p->proto != IPPROTO_ESP && !udp) || (p->flags & PKT_FRAG_LATER) != 0 ||
	    m->pkt_len < off + sizeof(struct rte_esp_hdr))
		return false;
	p->spi_be = rte_pktmbuf_mtod_offset(m, const struct rte_esp_hdr *, off)->spi;
	return sad_takes(w->view->sad, m);
}

/* A fragment for ourselves is put together with the others before anybody looks into it; one for a
 * host behind us is that host's. True: it is gone.
 */
static __rte_noinline bool
is_piece(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	if ((p->flags & (PKT_FRAG_FIRST | PKT_FRAG_LATER)) == 0 || w->frag == NULL ||
	    !is_for_us(w, m, p))
		return false;
	frag_send(w, m, STAGE_REASM_OUTER);
	return true;
}

/* True: the packet stays in the line, as ESP. */
static __rte_noinline bool
black_one(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	enum drop_reason why;

	if (unlikely(!is_for_us(w, m, p)) && !is_for_sa(w, m, p)) {
		pipe_push(w, STAGE_CLEAR_CHECK, m);
		return false;
	}
	if (likely(p->proto == IPPROTO_ESP)) {
		why = esp_find(m, p, p->l4_off);
	} else if (!is_udp_of_esp(w, m, p)) {
		if (!is_piece(w, m, p))
			black_not_esp(w, m, p);
		return false;
	} else if (udp_demux(w, m, p, &why)) {
		return false;
	}
	if (unlikely(why != DROP_NONE)) {
		if (why != DROP_FRAG_TO_ESP || !is_piece(w, m, p))
			drop(w, m, why);
		return false;
	}
	return true;
}

/* All but the usual of IPv4, described; NULL: the packet is gone. */
static __rte_noinline struct rte_mbuf *
black_other(struct worker *w, struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

	if (!is_usual6(w, m, frame))
		return take_other(w, m);
	take_usual6(m, frame + RTE_ETHER_HDR_LEN, 0);
	return m;
}

/* Those of a mask are such that a port's device says something of. What it took out of ESP leaves;
 * the others go on, or not, as any. */
static __rte_noinline uint16_t
black_said(struct worker *w, struct rte_mbuf **pkts, uint16_t n, uint64_t said)
{
	uint16_t kept = 0, run;

	for (uint16_t i = 0; i < n; i += run) {
		uint16_t left;

		for (run = 0; i + run < n && (said >> (i + run) & 1) != 0;)
			run++;
		if (run == 0) {
			pkts[kept++] = pkts[i];
			run = 1;
			continue;
		}
		left = protocol_in(w, &pkts[i], run);
		for (uint16_t k = i; k < i + left; k++)
			if (black_one(w, pkts[k]))
				pkts[kept++] = pkts[k];
	}
	return kept;
}

uint16_t
classify_black(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct own *own = route_own(w->view->route);
	uint64_t said = 0;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip = frame + RTE_ETHER_HDR_LEN;

		if (likely(is_usual4(w, m, frame))) {
			take_usual4(m, ip, 0);
			if (likely(esp_find_usual(own, w->view->sad, m, ip))) {
				pkts[kept++] = m;
				continue;
			}
		} else {
			m = black_other(w, m);
			if (m == NULL)
				continue;
		}
		if (offload_says(w->offloads, m))
			said |= UINT64_C(1) << kept;
		else if (!black_one(w, m))
			continue;
		pkts[kept++] = m;
	}
	return likely(said == 0) ? kept : black_said(w, pkts, kept, said);
}

/* A datagram of fragments is described as if it had come whole. */
static bool
describe_whole(struct worker *w, struct rte_mbuf *m)
{
	enum wire_verdict verdict;
	struct ip_info info;

	verdict = wire_ip_parse_sum(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len,
				    true, &info);
	if (verdict != WIRE_OK) {
		drop(w, m, malformed(verdict));
		return false;
	}
	pkt_fill(pkt_of(m), &info);
	return true;
}

/* Of our own host, out of an SA, and whether the TTL was counted down: the whole is what its last
 * piece was.
 */
#define PKT_WHENCE (PKT_FROM_SA | PKT_OWN | PKT_TTL_DONE)

uint16_t
reasm_inner(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		uint8_t flags = pkt_of(pkts[i])->flags & PKT_WHENCE;
		uint8_t marks = pkt_of(pkts[i])->marks & PKT_FROM_HOST;
		struct rte_mbuf *m = frag_take(w, pkts[i]);

		if (m == NULL)
			continue;
		pkt_of(m)->flags |= flags;
		pkt_of(m)->marks |= marks;
		if (describe_whole(w, m))
			pkts[kept++] = m;
	}
	return kept;
}

uint16_t
reasm_outer(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = frag_take(w, pkts[i]);

		/* Whatever a device says of a piece, it did not decipher the whole. */
		if (m != NULL)
			m->ol_flags &= ~RTE_MBUF_F_RX_SEC_OFFLOAD;
		if (m != NULL && describe_whole(w, m) && black_one(w, m))
			pkts[kept++] = m;
	}
	return kept;
}
