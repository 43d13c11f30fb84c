#include "ah/ah.h"
#include "ah/ah_stage.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "crypto/crypto.h"
#include "esp/transport.h"
#include "sa/sa.h"
#include "wire/ip.h"
#include "wire/sum.h"
#include "worker/mbufs.h"
#include "worker/worker.h"

/* Of the inner packet the outer header's flow label reads its header and the ports behind it. */
#define INNER 44

/* Room for n octets in front of the packet's, with a link-layer header before them. NULL: no mbuf.
 */
static struct rte_mbuf *
room_make(struct worker *w, struct rte_mbuf *m, uint16_t n)
{
	if (rte_pktmbuf_headroom(m) < n + RTE_ETHER_HDR_LEN)
		return mbuf_front_add(m, n, w->pool);
	rte_pktmbuf_prepend(m, n);
	return m;
}

/* All of the header but the ICV, which is zeros, as the ICV is made over it. */
static void
ah_write(uint8_t *ah, const struct sa *sa, const struct pkt *p, uint8_t next_header)
{
	uint32_t low_be = rte_cpu_to_be_32((uint32_t)p->seq);

	ah[0] = next_header;
	ah[1] = (uint8_t)(sa->esp_size / 4 - 2);
	memset(ah + 2, 0, 2);
	memcpy(ah + 4, &sa->spi_be, 4);
	memcpy(ah + 8, &low_be, 4);
	memset(ah + AH_HEADER, 0, sa->esp_size - AH_HEADER);
}

static enum drop_reason
tunnel_encap(struct worker *w, struct rte_mbuf **mp)
{
	struct pkt *p = pkt_of(*mp);
	const struct sa *sa = p->hot;
	bool v6 = (p->flags & PKT_V6) != 0;
	uint16_t outer = tunnel_out_size(&sa->out);
	uint8_t inner[INNER] = { 0 }, df, *at;
	struct rte_mbuf *m = *mp;

	memcpy(inner, rte_pktmbuf_mtod(m, uint8_t *), RTE_MIN(m->data_len, (uint16_t)INNER));
	m = room_make(w, m, outer + sa->esp_size);
	if (m == NULL)
		return DROP_NO_MBUF;
	*mp = m;
	p = pkt_of(m);
	p->esp_off = outer;
	at = rte_pktmbuf_mtod(m, uint8_t *);
	df = v6 ? TUNNEL_DF : inner[offsetof(struct rte_ipv4_hdr, fragment_offset)];
	tunnel_outer_write(&sa->out, at, inner, v6, p->tos, df, m->pkt_len, &w->ipv4_id);
	ah_write(at + outer, sa, p, v6 ? IPPROTO_IPV6 : IPPROTO_IPIP);
	return DROP_NONE;
}

static enum drop_reason
transport_encap(struct worker *w, struct rte_mbuf **mp)
{
	struct rte_mbuf *m = *mp;
	struct pkt *p = pkt_of(m);
	const struct sa *sa = p->hot;
	bool v6 = (p->flags & PKT_V6) != 0;
	uint8_t own[AH_BEFORE], *at = rte_pktmbuf_mtod(m, uint8_t *), next_header;
	uint16_t name_off, split = transport_split(at, v6, p->l4_off, &name_off);

	if (split > m->data_len || split > sizeof(own))
		return DROP_BUFFER;
	memcpy(own, at, split);
	next_header = own[name_off];
	m = room_make(w, m, sa->esp_size);
	if (m == NULL)
		return DROP_NO_MBUF;
	*mp = m;
	p = pkt_of(m);
	/* A segment in front has room for AH alone: the header follows it. */
	if (m->data_len < split + sa->esp_size && !mbuf_pull(m, split + sa->esp_size))
		return DROP_BUFFER;
	at = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(at, own, split);
	transport_rewrite(at, v6, m->pkt_len, name_off, IPPROTO_AH);
	p->esp_off = split;
	ah_write(at + split, sa, p, next_header);
	return DROP_NONE;
}

/* The ICV has the identification in it: a packet that frag_outer is to cut gets its own now, and
 * loses the DF that would make that give it another.
 */
static void
cut_prepare(struct worker *w, uint8_t *at)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

	if (at[0] >> 4 != 4 || (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) == 0)
		return;
	ip->fragment_offset &= ~RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->packet_id = rte_cpu_to_be_16(w->ipv4_id++);
	ip->hdr_checksum = wire_ip4_checksum(ip, (ip->version_ihl & 15) * 4);
}

/* Puts the headers aside, mutes them, and says what the engine is to authenticate. */
static enum drop_reason
op_fill(struct worker *w, struct rte_mbuf *m, struct crypto_op *op, uint16_t i)
{
	const struct pkt *p = pkt_of(m);
	uint64_t seq_be = rte_cpu_to_be_64(p->seq);
	uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);

	if (m->pkt_len > UINT16_MAX)
		return DROP_TOO_BIG;
	if ((p->marks & PKT_CUT) != 0)
		cut_prepare(w, at);
	memcpy(w->ah->before[i], at, p->esp_off);
	if (!ah_mute(at, at[0] >> 4 == 6, p->esp_off))
		return DROP_AH_OPTIONS;
	memcpy(w->ah->icv[i], &seq_be, sizeof(seq_be)); /* the IV, where there is one */
	ah_op_fill(w->ah, m, i, op);
	return DROP_NONE;
}

uint16_t
ah_encap(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		enum drop_reason why = (pkt_of(m)->hot->flags & SA_TRANSPORT) != 0 ?
					       transport_encap(w, &m) :
					       tunnel_encap(w, &m);

		if (why == DROP_NONE)
			why = op_fill(w, m, &w->crypto->ops[kept], kept);
		if (why != DROP_NONE) {
			drop(w, m, why);
			continue;
		}
		pkts[kept++] = m;
	}
	return kept;
}

uint16_t
ah_seal(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	const struct crypto_op *ops = w->crypto->ops;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct pkt *p = pkt_of(m);
		uint8_t *at = rte_pktmbuf_mtod(m, uint8_t *);

		if (!ops[i].ok) {
			drop(w, m, DROP_CRYPTO_FAIL);
			continue;
		}
		memcpy(at, w->ah->before[i], p->esp_off);
		memcpy(at + p->esp_off + AH_HEADER, w->ah->icv[i],
		       ah_iv_len(&p->hot->suite) + p->hot->suite.icv_len);
		pkts[kept++] = m;
	}
	return kept;
}
