#include "esp/esp_stage.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_esp.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "esp/beet.h"
#include "esp/esp.h"
#include "esp/inner.h"
#include "sa/sa.h"
#include "wire/ip.h"
#include "worker/mbufs.h"
#include "worker/pkt_fill.h"
#include "worker/worker.h"

#define TRAILER 2 /* pad length, next header */

/* RFC 4303 section 2.4: 1, 2, 3 … */
/* clang-format off */
static const uint8_t padding[UINT8_MAX] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
	33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48,
	49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64,
	65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80,
	81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96,
	97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112,
	113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128,
	129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144,
	145, 146, 147, 148, 149, 150, 151, 152, 153, 154, 155, 156, 157, 158, 159, 160,
	161, 162, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 174, 175, 176,
	177, 178, 179, 180, 181, 182, 183, 184, 185, 186, 187, 188, 189, 190, 191, 192,
	193, 194, 195, 196, 197, 198, 199, 200, 201, 202, 203, 204, 205, 206, 207, 208,
	209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219, 220, 221, 222, 223, 224,
	225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 235, 236, 237, 238, 239, 240,
	241, 242, 243, 244, 245, 246, 247, 248, 249, 250, 251, 252, 253, 254, 255,
};
/* clang-format on */

/* Checks the trailer, takes it and the tag off. Stores the next header in struct pkt. */
static enum drop_reason
trailer_strip(struct rte_mbuf *m, struct pkt *p, const struct sa *sa)
{
	uint8_t copy[UINT8_MAX + TRAILER];
	uint32_t end = m->pkt_len - sa->suite.icv_len;
	const uint8_t *trailer = rte_pktmbuf_read(m, end - TRAILER, TRAILER, copy);
	uint8_t pad = trailer[0];

	p->next_header = trailer[1];
	if (unlikely(pad + TRAILER > p->text_len))
		return DROP_ESP_PADDING;
	if (pad > 0) {
		trailer = rte_pktmbuf_read(m, end - TRAILER - pad, pad, copy);
		if (unlikely(memcmp(trailer, padding, pad) != 0))
			return DROP_ESP_PADDING;
	}
	p->text_len -= pad + TRAILER;
	if (likely(m->nb_segs == 1)) {
		m->data_len -= pad + TRAILER + sa->suite.icv_len;
		m->pkt_len = m->data_len;
	} else {
		mbuf_cut_tail(m, pad + TRAILER + sa->suite.icv_len);
	}
	return DROP_NONE;
}

static enum drop_reason
transport_strip(struct rte_mbuf *m, struct pkt *p, const struct sa *sa, uint16_t head)
{
	bool encap = (p->flags & PKT_UDP_ENCAP) != 0;
	enum drop_reason why;

	if (unlikely(p->next_header == IPPROTO_COMP)) {
		if ((sa->flags & SA_IPCOMP) == 0)
			return DROP_NEXT_HEADER;
		p->marks |= PKT_COMP;
	}
	why = inner_close(m, p, head);
	if (why == DROP_NONE && encap)
		inner_checksum_mend(m, p);
	return why;
}

static enum drop_reason
beet_strip(struct rte_mbuf *m, struct pkt *p, const struct sa *sa, uint16_t head)
{
	enum drop_reason why = beet_restore(m, p, sa, head);

	if (why == DROP_NONE)
		why = inner_describe(m, p);
	return why != DROP_NONE ? why : beet_restored_check(m, p);
}

/* Whether the pad octets before the pad length (at trailer) are 1, 2, 3 …; the 4 octets before that
 * are the packet's in any case.
 */
static __rte_always_inline bool
short_pad_is_right(const uint8_t *trailer, uint8_t pad)
{
	static const uint32_t masks[4] = { 0, 0xff000000, 0xffff0000, 0xffffff00 };
	static const uint32_t pads[4] = { 0, 0x01000000, 0x02010000, 0x03020100 };

	return ((wire_load32(trailer - 4) ^ pads[pad]) & masks[pad]) == 0;
}

/* A tunnel's packet in one segment with a short pad and an inner header of the usual kind: the same
 * as the general way, without its questions. False: the general way is asked, nothing is changed.
 */
static __rte_always_inline bool
strip_plain(struct rte_mbuf *m, struct pkt *p, const struct sa *sa)
{
	uint16_t head = p->esp_off + sa->esp_size;
	uint8_t *inner = rte_pktmbuf_mtod_offset(m, uint8_t *, head);
	const uint8_t *trailer = inner + p->text_len - TRAILER;
	uint8_t pad = trailer[0], outer_tos = p->tos;
	uint16_t len = p->text_len - TRAILER - pad;
	struct ip_info info;

	if (unlikely(pad > 3 || pad + TRAILER > p->text_len || !short_pad_is_right(trailer, pad)))
		return false;
	if (unlikely(wire_ip_parse(inner, len, len, &info) != WIRE_OK ||
		     trailer[1] != ((info.flags & IP_INFO_V6) != 0 ? IPPROTO_IPV6 : IPPROTO_IPIP)))
		return false;
	p->next_header = trailer[1];
	p->flags = PKT_FROM_SA;
	pkt_fill(p, &info);
	p->outer_tos = (sa->flags & SA_ECN) != 0 ? outer_tos : p->tos;
	m->data_off += head;
	m->data_len = info.total; /* what is behind it is TFC */
	m->pkt_len = info.total;
	return true;
}

/* The same of IPv4 without options, which leaves still fewer questions. */
static __rte_always_inline bool
strip_usual4(struct rte_mbuf *m, struct pkt *p, const struct sa *sa)
{
	uint32_t head = p->esp_off + sa->esp_size, total;
	const uint8_t *inner = rte_pktmbuf_mtod_offset(m, const uint8_t *, head);
	const uint8_t *trailer = inner + p->text_len - TRAILER;
	uint8_t pad = trailer[0], outer_tos = p->tos;

	/* With a pad of 3 or less that leaves a header. */
	if (unlikely(p->text_len < sizeof(struct rte_ipv4_hdr) + 3 + TRAILER || pad > 3 ||
		     trailer[1] != IPPROTO_IPIP || inner[0] != RTE_IPV4_VHL_DEF ||
		     !short_pad_is_right(trailer, pad) ||
		     !wire_ip4_is_usual(inner, p->text_len - TRAILER - pad, false)))
		return false;
	total = wire_be16(inner + offsetof(struct rte_ipv4_hdr, total_length));
	p->next_header = IPPROTO_IPIP;
	pkt_fill_usual4(p, inner, PKT_FROM_SA);
	p->outer_tos = (sa->flags & SA_ECN) != 0 ? outer_tos : p->tos;
	m->data_off += head;
	m->data_len = total; /* what is behind it is TFC */
	m->pkt_len = total;
	return true;
}

/* The same in UDP, while the outer header is still there to be looked at. */
static __rte_noinline bool
strip_udp(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	mapping_check(w, m, p->hot);
	return (p->hot->flags & SA_PLAIN) != 0 && m->nb_segs == 1 && strip_plain(m, p, p->hot);
}

/* A dummy, or an echo: no IP packet, whatever the SA's mode. */
static bool
carries_no_packet(const struct pkt *p)
{
	return p->next_header == IPPROTO_NONE || p->next_header == ESP_ECHO_NEXT_HEADER;
}

static __rte_noinline void
end_here(struct worker *w, struct rte_mbuf *m)
{
	if (pkt_of(m)->next_header == IPPROTO_NONE)
		consume(w, m, CONSUMED_DUMMY);
	else
		esp_echo_take(w, m);
}

static __rte_noinline enum drop_reason
strip_one(struct rte_mbuf *m, struct pkt *p)
{
	const struct sa *sa = p->hot;
	uint16_t head = p->esp_off + sa->esp_size;
	bool tunnel = (sa->flags & (SA_TRANSPORT | SA_BEET)) == 0;
	enum drop_reason why = trailer_strip(m, p, sa);

	if (unlikely(why != DROP_NONE))
		return why;
	if (unlikely(carries_no_packet(p)))
		return DROP_NONE;
	why = tunnel			 ? inner_take(m, p, head) :
	      (sa->flags & SA_BEET) != 0 ? beet_strip(m, p, sa, head) :
					   transport_strip(m, p, sa, head);
	p->flags |= PKT_FROM_SA;
	/* What the ECN stage is to make of the outer header: nothing, unless the SA is a tunnel
	 * that asks for it. */
	if (!tunnel || (sa->flags & SA_ECN) == 0)
		p->outer_tos = p->tos;
	return why;
}

/* A payload in one segment with a short pad. False: the general way is asked, nothing is changed.
 */
static inline bool
strip_payload_plain(struct rte_mbuf *m, struct pkt *p, uint16_t head)
{
	const uint8_t *trailer =
		rte_pktmbuf_mtod_offset(m, const uint8_t *, head + p->text_len - TRAILER);
	uint8_t pad = trailer[0];

	if (unlikely(pad > 3 || pad + TRAILER > p->text_len || !short_pad_is_right(trailer, pad)))
		return false;
	p->next_header = trailer[1];
	p->text_len -= pad + TRAILER;
	m->data_off += head;
	m->data_len = p->text_len;
	m->pkt_len = p->text_len;
	return true;
}

/* What an SA with IP-TFS carries: lib/iptfs says what it is, in its order. The headers stay in
 * front of the data.
 */
static __rte_noinline bool
strip_payload(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	const struct sa *sa = p->hot;
	uint16_t head = p->esp_off + sa->esp_size;

	if ((sa->flags & SA_UDP) != 0)
		mapping_check(w, m, sa);
	if (unlikely(m->nb_segs > 1 || !strip_payload_plain(m, p, head))) {
		enum drop_reason why = trailer_strip(m, p, sa);

		if (unlikely(why != DROP_NONE)) {
			drop(w, m, why);
			return false;
		}
		mbuf_cut_head(m, head);
	}
	p->flags |= PKT_FROM_SA;
	p->outer_tos = p->tos;
	return true;
}

/* All but the usual of IPv4. Returns whether the packet goes on. */
static __rte_noinline bool
strip_other(struct worker *w, struct rte_mbuf *m, struct pkt *p)
{
	enum drop_reason why;

	if (unlikely((p->hot->flags & SA_IPTFS) != 0))
		return strip_payload(w, m, p);
	if ((p->hot->flags & SA_UDP) != 0) {
		if (strip_udp(w, m, p))
			return true;
	} else if ((p->hot->flags & SA_PLAIN) != 0 && m->nb_segs == 1) {
		if (strip_plain(m, p, p->hot))
			return true;
	}
	why = strip_one(m, p);
	if (unlikely(why != DROP_NONE))
		drop(w, m, why);
	else if (unlikely(carries_no_packet(p)))
		end_here(w, m);
	else
		return true;
	return false;
}

uint16_t
esp_strip(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		struct pkt *p = pkt_of(m);
		const struct sa *sa = p->hot;
		bool plain =
			(sa->flags & (SA_PLAIN | SA_UDP | SA_IPTFS)) == SA_PLAIN && m->nb_segs == 1;

		if (unlikely(!plain || !strip_usual4(m, p, sa)) && !strip_other(w, m, p))
			continue;
		pkts[kept++] = m;
	}
	return kept;
}
