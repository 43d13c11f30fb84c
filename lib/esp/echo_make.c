#include <assert.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_esp.h>
#include <rte_ip.h>

#include "base/clock.h"
#include "esp/echo.h"
#include "esp/esp.h"
#include "esp/plain.h"
#include "sa/sa.h"
#include "worker/mbufs.h"
#include "worker/pkt_fill.h"
#include "worker/worker.h"

#define PIECE 512 /* octets of data that are added at once */
#define TTL   64

static struct rte_mbuf *
packet_new(struct worker *w)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);

	if (m == NULL)
		return NULL;
	/* Too little for the straight way of esp_encap, which asks nothing of a packet; enough for
	 * the general one. */
	m->data_off = PLAIN_HEADROOM - 2;
	pkt_reset(pkt_of(m), 0);
	pkt_of(m)->flags = PKT_OWN;
	pkt_of(m)->marks = PKT_ECHO;
	return m;
}

/* Data in pieces, which lie in as many segments as they need. */
static bool
data_add(struct worker *w, struct rte_mbuf *m, const struct esp_echo_job *job,
	 const struct rte_mbuf *from, uint32_t from_at)
{
	uint16_t len = job->echo.data_len;
	uint8_t copy[PIECE];

	for (uint16_t at = 0; at < len;) {
		uint16_t n = RTE_MIN(PIECE, len - at);
		uint8_t *to = mbuf_add_tail(m, n, w->pool);

		if (to == NULL)
			return false;
		if (from != NULL)
			memcpy(to, rte_pktmbuf_read(from, from_at + at, n, copy), n);
		else if (job->data != NULL)
			memcpy(to, job->data + at, n);
		for (uint16_t i = 0; from == NULL && job->data == NULL && i < n; i++)
			to[i] = (uint8_t)(at + i);
		at += n;
	}
	return true;
}

static void
ip4_write(struct worker *w, uint8_t *at, const struct esp_echo_job *job, uint8_t proto,
	  uint16_t total)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

	*ip = (struct rte_ipv4_hdr) {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(total),
		.fragment_offset = job->probe ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0,
		.packet_id = job->probe ? 0 : rte_cpu_to_be_16(++w->ipv4_id),
		.time_to_live = TTL,
		.next_proto_id = proto,
	};
	memcpy(&ip->src_addr, job->src.octets, sizeof(ip->src_addr));
	memcpy(&ip->dst_addr, job->dst.octets, sizeof(ip->dst_addr));
	ip->hdr_checksum = wire_ip4_checksum(ip, sizeof(*ip));
}

static void
ip6_write(uint8_t *at, const struct esp_echo_job *job, uint8_t proto, uint16_t total)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)at;

	*ip = (struct rte_ipv6_hdr) {
		.vtc_flow = RTE_BE32(UINT32_C(6) << 28),
		.payload_len = rte_cpu_to_be_16(total - sizeof(*ip)),
		.proto = proto,
		.hop_limits = TTL,
	};
	memcpy(ip->src_addr, job->src.octets, sizeof(ip->src_addr));
	memcpy(ip->dst_addr, job->dst.octets, sizeof(ip->dst_addr));
}

/* An IP header, and room for n octets behind it, which are returned; payload: octets behind the
 * header in all. */
static uint8_t *
ip_add(struct worker *w, struct rte_mbuf *m, const struct esp_echo_job *job, uint8_t proto,
       uint16_t n, uint16_t payload)
{
	bool v6 = job->dst.family == 6;
	uint16_t head = v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	uint8_t *at = (uint8_t *)rte_pktmbuf_append(m, head + n);

	if (v6)
		ip6_write(at, job, proto, head + payload);
	else
		ip4_write(w, at, job, proto, head + payload);
	pkt_fill(pkt_of(m),
		 &(struct ip_info) {
			 .total = head + payload,
			 .l4_off = head,
			 .last_nh_off = v6 ? offsetof(struct rte_ipv6_hdr, proto) :
					     offsetof(struct rte_ipv4_hdr, next_proto_id),
			 .proto = proto,
			 .flags = v6 ? IP_INFO_V6 : 0,
			 .ttl = TTL,
		 });
	return at + head;
}

static void
sa_set(struct pkt *p, struct sa *sa, const struct esp_echo_job *job)
{
	p->sa = job->sa;
	p->generation = sa->generation;
	p->spi_be = sa->spi_be;
	p->next_hop = __atomic_load_n(&sa->next_hop, __ATOMIC_RELAXED);
	p->hot = sa;
	p->lane = job->lane;
	if (job->probe)
		p->marks |= PKT_PROBE;
}

/* In tunnel mode the echo is what ESP carries; in transport mode the packet's own header, which
 * names it, comes before it. */
static struct rte_mbuf *
sa_echo_make(struct worker *w, const struct esp_echo_job *job)
{
	struct sa *sa = sa_at(w->view->sas, job->sa);
	uint16_t head = esp_echo_size(&job->echo);
	struct rte_mbuf *m = packet_new(w);
	uint8_t *at;

	assert((sa->flags & SA_INBOUND) == 0);
	assert(sa_lane_owner(sa, job->lane, w->n_workers) == w->index || sa_is_moving(sa));
	if (m == NULL)
		return NULL;
	pkt_of(m)->proto = ESP_ECHO_NEXT_HEADER;
	if ((sa->flags & SA_TRANSPORT) != 0)
		at = ip_add(w, m, job, ESP_ECHO_NEXT_HEADER, head, head + job->echo.data_len);
	else
		at = (uint8_t *)rte_pktmbuf_append(m, head);
	esp_echo_write(&job->echo, at);
	sa_set(pkt_of(m), sa, job);
	if (data_add(w, m, job, NULL, 0))
		return m;
	rte_pktmbuf_free(m);
	return NULL;
}

struct rte_mbuf *
esp_echo_plain_make(struct worker *w, const struct esp_echo_job *job, uint32_t spi,
		    const struct rte_mbuf *from, uint32_t from_at)
{
	uint16_t head = sizeof(struct rte_esp_hdr) +
			(job->nh59 ? sizeof(uint32_t) : esp_echo_size(&job->echo));
	struct rte_mbuf *m = packet_new(w);
	rte_be32_t nh59 = RTE_BE32(ESP_ECHO_NH59);
	uint8_t *at;

	if (m == NULL)
		return NULL;
	at = ip_add(w, m, job, IPPROTO_ESP, head, head + job->echo.data_len);
	*(struct rte_esp_hdr *)at = (struct rte_esp_hdr) { .spi = rte_cpu_to_be_32(spi) };
	at += sizeof(struct rte_esp_hdr);
	if (job->nh59)
		memcpy(at, &nh59, sizeof(nh59));
	else
		esp_echo_write(&job->echo, at);
	if (data_add(w, m, job, from, from_at))
		return m;
	rte_pktmbuf_free(m);
	return NULL;
}

struct rte_mbuf *
esp_echo_make(struct worker *w, struct esp_echo_job *job)
{
	struct rte_mbuf *m = job->sa != SA_NONE ?
				     sa_echo_make(w, job) :
				     esp_echo_plain_make(w, job, ESP_ECHO_SPI_REQUEST, NULL, 0);

	if (m != NULL)
		cell_add(&w->generated[GENERATED_ESP_ECHO], 1);
	job->sent_at = clock_now(w->clock);
	__atomic_store_n(&job->state, m != NULL ? ESP_ECHO_SENT : ESP_ECHO_FAILED,
			 __ATOMIC_RELEASE);
	return m;
}
