/* The workers' part: marks what goes to the device, reads what comes from it. */
#include <rte_ether.h>
#include <rte_security.h>

#include "driver.h"
#include "worker/pkt.h"

#define ESP_TRAILER 2
#define L3_LEN_MAX  511 /* what the mbuf has bits for */

/* Padding, trailer and room for the ICV, which the device writes itself. The length in the IP
 * header is that of the packet as it will be sent. */
static bool
trailer_cut(const struct offload_session *s, struct rte_mbuf *m)
{
	const uint8_t *end;
	uint16_t cut;

	if (m->nb_segs > 1 || m->data_len < s->icv_len + ESP_TRAILER)
		return false;
	end = rte_pktmbuf_mtod_offset(m, const uint8_t *, m->data_len - s->icv_len);
	cut = s->icv_len + ESP_TRAILER + end[-2];
	if (m->data_len < cut)
		return false;
	m->packet_type = RTE_PTYPE_TUNNEL_ESP;
	m->inner_esp_next_proto = end[-1];
	rte_pktmbuf_trim(m, cut);
	return true;
}

/* The link-layer header is not there yet, and drivers count from what they find: iavf works out the
 * trailer's place from pkt_len and l2_len now, others read l2_len when the packet is sent. */
static bool
mark(struct offload_session *s, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	uint16_t l3_len = s->protocol ? p->l4_off : p->esp_off;

	if (unlikely(l3_len > L3_LEN_MAX || (m->nb_segs > 1 && !s->chains)))
		return false;
	m->tx_offload = rte_mbuf_tx_offload(0, l3_len, 0, 0, 0, 0, 0);
	if (s->metadata &&
	    unlikely(rte_security_set_pkt_metadata(s->ctx, s->security, m, &p->seq) != 0))
		return false;
	if (unlikely(s->trailer) && !trailer_cut(s, m))
		return false;
	if (s->number_set != NULL)
		s->number_set(m, p->seq);
	m->l2_len = RTE_ETHER_HDR_LEN;
	m->ol_flags |= s->ol_flags;
	return true;
}

uint16_t
inline_tx_mark(struct offload_session *s, struct rte_mbuf *const *pkts, uint16_t n)
{
	uint16_t i;

	/* Reset in the meantime. */
	if (unlikely(s->security == NULL))
		return 0;
	for (i = 0; i < n; i++)
		if (unlikely(!mark(s, pkts[i])))
			break;
	return i;
}

static inline void
result(const struct offload_port *op, struct rte_mbuf *m, bool named, struct offload_rx *rx)
{
	uint64_t name = named ? *rte_security_dynfield(m) : 0;

	*rx = (struct offload_rx) {
		.kind = name != 0 ? (uint8_t)(name >> 62) : op->rx_kind,
		.ok = (m->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED) == 0,
		.named = name != 0,
		.index = (uint32_t)(name >> 32) & (UINT32_MAX >> 2),
		.generation = (uint32_t)name,
	};
	if (!op->rx_tos)
		return;
	rx->numbered = op->provider->rx_number_get(m, &rx->number, &rx->outer_tos) && op->rx_number;
	rx->has_tos = rx->kind == OFFLOAD_PROTOCOL;
}

void
inline_rx_results(const struct offload_port *op, struct rte_mbuf *const *pkts, uint16_t n,
		  struct offload_rx *rx)
{
	bool named = op->named && rte_security_dynfield_is_registered();

	for (uint16_t i = 0; i < n; i++)
		result(op, pkts[i], named, &rx[i]);
}
