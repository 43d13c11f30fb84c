/* Answers to peers that ask. A worker has seen to it that they may, and not too often. */
#include <string.h>

#include <rte_mbuf.h>

#include "echo/state.h"

/* The SA that the answer goes by: the one that the peer asks for, if it is the same peer's, else
 * the other half of that by which it asked. A return SPI of another would make us a way to send
 * packets to whom they do not belong.
 */
static uint32_t
way_of(struct echo *e, const struct esp_echo_seen *seen)
{
	uint32_t sa = SA_NONE;
	struct echo_peer peer;

	if ((seen->echo.flags & ESP_ECHO_RETURN) != 0) {
		echo_peer_of(e->gw, seen->sa, &peer);
		sa = echo_outbound(e->gw, &peer, seen->echo.return_spi);
		e->count.return_refused += sa == SA_NONE;
	}
	return sa != SA_NONE ? sa : echo_pair(e->gw, seen->sa);
}

/* What goes back. All, of a request that may be a probe of the path: it came whole in a packet that
 * nobody may cut, and so is its answer to go.
 */
static uint16_t
data_of(struct echo *e, const struct esp_echo_seen *seen, uint32_t sa)
{
	uint16_t asked = seen->echo.data_len, n = asked, max = echo_data_max(e->gw, sa);

	if ((seen->echo.flags & ESP_ECHO_NODATA) != 0)
		return 0;
	if (!seen->whole)
		max = RTE_MIN(max, (uint16_t)ECHO_DATA_MAX);
	n = RTE_MIN(n, max);
	e->count.cut += n < asked;
	return n;
}

static void
answer_send(struct echo *e, const struct esp_echo_seen *seen, uint32_t sa)
{
	uint16_t n = data_of(e, seen, sa), from = esp_echo_size(&seen->echo);
	const struct sa *out = sa_at(&e->gw->sas, sa);
	struct echo_send *s = echo_send_new(e, sa, n);
	const void *data;

	if (s == NULL)
		return;
	s->job.echo = (struct esp_echo) {
		.type = ESP_ECHO_RESPONSE,
		.data_len = n,
		.id = seen->echo.id,
		.seq = seen->echo.seq,
	};
	s->job.probe = n > ECHO_DATA_MAX;
	/* The same subspace back, so that each way is tried. */
	if ((out->flags & SA_SUBSPACES) != 0)
		s->job.lane = seen->lane % out->lanes;
	if (n > 0) {
		data = rte_pktmbuf_read(seen->m, from, n, s->data);
		if (data != s->data)
			memcpy(s->data, data, n);
	}
	s->job.data = s->data;
	e->count.replied++;
	echo_send_go(e, s);
}

void
echo_respond(struct echo *e, const struct esp_echo_seen *seen)
{
	uint32_t sa;

	e->count.asked++;
	e->asked_at = clock_now(&e->gw->clock);
	if (sa_again(&e->gw->sas, seen->sa, seen->generation) == NULL)
		return;
	sa = way_of(e, seen);
	if (sa == SA_NONE || echo_is_paced(e->gw, sa)) {
		e->count.no_way++;
		return;
	}
	answer_send(e, seen, sa);
}
