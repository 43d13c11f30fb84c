#include "pipe/stages.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_esp.h>

#include "esp/echo.h"
#include "icmp/answer.h"
#include "pipe/ours.h"
#include "route/route_stage.h"
#include "wire/bytes.h"
#include "wire/ip.h"
#include "worker/link.h"
#include "worker/worker.h"

static enum esp_echo_verdict
payload_read(const struct rte_mbuf *m, const struct pkt *p, struct esp_echo *echo, bool *nh59)
{
	uint32_t at = p->esp_off + sizeof(struct rte_esp_hdr), all = m->pkt_len - at;
	uint32_t n = RTE_MIN(all, (uint32_t)ESP_ECHO_SIZE_MAX);
	uint8_t copy[ESP_ECHO_SIZE_MAX];
	const uint8_t *payload = rte_pktmbuf_read(m, at, n, copy);

	*nh59 = all == sizeof(uint32_t) && wire_load32(payload) == RTE_BE32(ESP_ECHO_NH59);
	if (!*nh59)
		return esp_echo_read(payload, n, all, echo);
	*echo = (struct esp_echo) {
		.type = p->spi_be == RTE_BE32(ESP_ECHO_SPI_REQUEST) ? ESP_ECHO_REQUEST :
								      ESP_ECHO_RESPONSE,
	};
	return ESP_ECHO_OK;
}

/* Source and destination are one station's each, and we do not answer ourselves. */
static bool
may_answer(const struct worker *w, const struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v6 = (pkt_of(m)->flags & PKT_V6) != 0;

	/* Who asks whether ESP passes asks for no reassembly. */
	return (pkt_of(m)->marks & PKT_REASM) == 0 && !is_ours(w, wire_ip_src(ip, v6), v6) &&
	       w->view->icmp != NULL && icmp_may_answer(w->view->icmp, m);
}

static void
addr_read(struct addr *a, const uint8_t *octets, bool v6)
{
	a->family = v6 ? 6 : 4;
	memcpy(a->octets, octets, v6 ? 16 : 4);
}

/* No larger than the request, so that nothing is amplified. NULL: no mbuf. */
static struct rte_mbuf *
answer_make(struct worker *w, const struct rte_mbuf *m, const struct esp_echo *echo, bool nh59)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v6 = (pkt_of(m)->flags & PKT_V6) != 0;
	uint32_t at = pkt_of(m)->esp_off + sizeof(struct rte_esp_hdr) + esp_echo_size(echo);
	struct esp_echo_job job = { .sa = SA_NONE, .probe = true, .nh59 = nh59, .echo = *echo };

	addr_read(&job.src, wire_ip_dst(ip, v6), v6);
	addr_read(&job.dst, wire_ip_src(ip, v6), v6);
	job.echo.type = ESP_ECHO_RESPONSE;
	job.echo.flags = 0;
	return esp_echo_plain_make(w, &job, ESP_ECHO_SPI_RESPONSE, m, at);
}

/* The answer in the place of the request, or NULL. */
static struct rte_mbuf *
answer(struct worker *w, struct rte_mbuf *m, const struct esp_echo *echo, bool nh59)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	struct rte_mbuf *a;

	if (!may_answer(w, m)) {
		drop(w, m, DROP_PING_SOURCE);
		return NULL;
	}
	if (!icmp_rate_take(w->icmp, w->now, ip, (pkt_of(m)->flags & PKT_V6) != 0)) {
		drop(w, m, DROP_PING_RATE);
		return NULL;
	}
	a = answer_make(w, m, echo, nh59);
	if (a == NULL) {
		drop(w, m, DROP_NO_MBUF);
		return NULL;
	}
	cell_add(&w->generated[GENERATED_ESP_ECHO], 1);
	consume(w, m, CONSUMED_ESP_ECHO);
	return a;
}

/* What came with SPI 7 or 8. Returns what is to be sent for it. */
static struct rte_mbuf *
take(struct worker *w, struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	bool request = p->spi_be == RTE_BE32(ESP_ECHO_SPI_REQUEST), nh59;
	struct esp_echo echo;
	enum esp_echo_verdict verdict = payload_read(m, p, &echo, &nh59);

	if (verdict != ESP_ECHO_OK) {
		drop(w, m, verdict == ESP_ECHO_SHORT ? DROP_PING_SHORT : DROP_PING_TYPE);
		return NULL;
	}
	/* The SPI and the header say the same, or nobody meant an echo. */
	if ((echo.type == ESP_ECHO_REQUEST) != request) {
		drop(w, m, DROP_PING_TYPE);
		return NULL;
	}
	if (request)
		return answer(w, m, &echo, nh59);
	esp_echo_give_plain(w, m, &echo, nh59);
	return NULL;
}

/* The next hop, on a black port: ESP in clear has no business on a red one. */
static bool
route_black(struct worker *w, struct rte_mbuf *m)
{
	if (route_bypass(w, &m, 1) == 0)
		return false;
	if (route_hop(w->view->route, pkt_of(m)->next_hop)->side == PORT_BLACK)
		return true;
	drop(w, m, DROP_PING_SOURCE);
	return false;
}

uint16_t
plain_echo(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];

		if ((pkt_of(m)->marks & PKT_ECHO) == 0)
			m = take(w, m);
		if (m != NULL && route_black(w, m))
			pkts[kept++] = m;
	}
	return kept;
}
