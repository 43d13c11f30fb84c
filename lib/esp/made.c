#include "esp/made.h"

#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_random.h>

#include "esp/esp.h"
#include "sa/sa.h"
#include "worker/pkt_fill.h"
#include "worker/worker.h"

#define DUMMY_MIN  64 /* octets; smaller packets are rare, and would stand out */
#define DUMMY_HEAD 40
#define KEEPALIVE  0xff

/* An mbuf of ours that goes out by an SA. */
static struct rte_mbuf *
packet_new(struct worker *w, struct sa *sa)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);
	struct pkt *p;

	if (m == NULL)
		return NULL;
	p = pkt_of(m);
	pkt_reset(p, 0);
	p->flags = PKT_OWN;
	p->sa = sa_session(sa)->id;
	p->generation = sa->generation;
	p->spi_be = sa->spi_be;
	p->next_hop = __atomic_load_n(&sa->next_hop, __ATOMIC_RELAXED);
	p->hot = sa;
	return m;
}

static uint16_t
dummy_size(const struct sa *sa)
{
	uint16_t mtu = __atomic_load_n(&sa->mtu, __ATOMIC_RELAXED);

	if (sa->out.pad_to != 0)
		return RTE_MIN(sa->out.pad_to, mtu);
	return mtu <= DUMMY_MIN ? mtu : DUMMY_MIN + (uint16_t)rte_rand_max(mtu - DUMMY_MIN + 1);
}

/* Random octets. The outer header is made from the first ones as from an inner header: these stand
 * for one flow that may not be fragmented, so that no outer field tells a dummy.
 */
static void
dummy_fill(uint8_t *at, uint16_t size)
{
	for (uint16_t i = 0; i < size; i += sizeof(uint64_t)) {
		uint64_t random = rte_rand();

		memcpy(at + i, &random, RTE_MIN(sizeof(random), (size_t)(size - i)));
	}
	memset(at, 0, RTE_MIN(size, (uint16_t)DUMMY_HEAD));
	if (size >= DUMMY_HEAD)
		((struct rte_ipv4_hdr *)at)->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
}

static struct rte_mbuf *
dummy_make(struct worker *w, struct sa *sa)
{
	struct rte_mbuf *m = packet_new(w, sa);
	uint16_t size = dummy_size(sa), room;

	if (m == NULL)
		return NULL;
	room = rte_pktmbuf_tailroom(m);
	size = RTE_MIN(size, room);
	dummy_fill((uint8_t *)rte_pktmbuf_append(m, size), size);
	pkt_of(m)->proto = IPPROTO_NONE;
	return m;
}

uint16_t
esp_dummies_make(struct worker *w, uint32_t index, struct rte_mbuf **pkts, uint16_t n)
{
	struct sa *sa = sa_at(w->view->sas, index);
	uint16_t made = 0;

	assert((sa->flags & (SA_INBOUND | SA_TRANSPORT | SA_TFC)) == SA_TFC);
	assert(sa_owner(sa) == w->index || sa_is_moving(sa));
	while (made < n && (pkts[made] = dummy_make(w, sa)) != NULL)
		made++;
	cell_add(&w->generated[GENERATED_DUMMY], made);
	return made;
}

struct rte_mbuf *
esp_keepalive_make(struct worker *w, uint32_t index)
{
	static const uint8_t nothing[DUMMY_HEAD]; /* no inner packet */
	struct sa *sa = sa_at(w->view->sas, index);
	struct rte_mbuf *m = packet_new(w, sa);
	uint16_t size = tunnel_out_size(&sa->out);
	uint8_t *at;

	assert((sa->flags & (SA_INBOUND | SA_UDP)) == SA_UDP);
	if (m == NULL)
		return NULL;
	at = (uint8_t *)rte_pktmbuf_append(m, size + 1);
	tunnel_outer_write(&sa->out, at, nothing, false, 0, TUNNEL_DF, size + 1, &w->ipv4_id);
	at[size] = KEEPALIVE;
	if ((sa->flags & SA_V6) != 0) {
		pkt_of(m)->flags |= PKT_V6;
		tunnel_udp6_checksum(m, size - sizeof(struct rte_udp_hdr));
	}
	cell_add(&w->generated[GENERATED_NAT_KEEPALIVE], 1);
	return m;
}
