/* Plain echoes of ours. Those of others are answered by the workers (esp/plain_echo.c). */
#include <errno.h>
#include <string.h>

#include <rte_esp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "ctl/log.h"
#include "ctl/ports.h"
#include "ctl/view.h"
#include "echo/state.h"
#include "port/port.h"
#include "route/route.h"
#include "wire/ip.h"

static bool
is_link_local(const struct addr *a)
{
	return a->family == 6 && a->octets[0] == 0xfe && a->octets[1] >> 6 == 2;
}

/* Where to, and from which address of ours. */
static int
ends_find(const struct gw *gw, const struct addr *dst, struct addr *src, uint16_t *mtu,
	  struct err *err)
{
	const struct next_hop *hop = route_hop(gw->route, route_of(gw->route, dst));
	const struct link *link;

	if (!wire_is_unicast(dst->octets, dst->family == 6) || (hop->flags & HOP_IS_LOCAL) != 0)
		return err_set(err, -EINVAL, "not the address of another station");
	if ((hop->flags & HOP_NOWHERE) != 0)
		return err_set(err, -ENETUNREACH, "there is no route");
	link = &gw->ports->list[hop->port]->link;
	if (link->side != PORT_BLACK)
		return err_set(err, -EINVAL, "it is behind port %s, which is red: ESP is black",
			       link->name);
	*mtu = hop->mtu;
	for (uint8_t i = 0; i < link->n_addresses; i++) {
		*src = link->addresses[i].addr;
		if (src->family == dst->family && !is_link_local(src))
			return 0;
	}
	return err_set(err, -EADDRNOTAVAIL, "port %s has no address of that family", link->name);
}

static uint16_t
head_of(const struct addr *dst)
{
	return (dst->family == 6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr)) +
	       sizeof(struct rte_esp_hdr) + ESP_ECHO_SIZE;
}

static int
size_set(const struct addr *dst, const struct echo_request *r, uint16_t mtu, uint16_t *data,
	 struct err *err)
{
	uint16_t head = head_of(dst);
	bool probe = (r->flags & ECHO_PROBE) != 0;

	if (r->size > (probe ? mtu : mtu - head))
		return err_set(err, -EMSGSIZE, "%u octets: the link takes %d", r->size,
			       probe ? mtu : mtu - head);
	if (probe && r->size < head)
		return err_set(err, -EMSGSIZE,
			       "a probe of %u octets: no echo is so small, %u are the least",
			       r->size, head);
	*data = probe ? r->size - head : r->size;
	return 0;
}

/* From now on workers give us what comes with SPI 8. */
static int
await(struct echo *e, struct err *err)
{
	struct gw *gw = e->gw;
	int rc;

	e->plain_at = clock_now(&gw->clock);
	if (gw->awaits_echo)
		return 0;
	gw->awaits_echo = true;
	rc = view_renew(gw, err);
	gw->awaits_echo = rc == 0;
	return rc;
}

void
echo_plain_rest(struct echo *e, uint64_t now)
{
	struct err err;

	if (!e->gw->awaits_echo || now - e->plain_at < ECHO_PLAIN_NS)
		return;
	e->gw->awaits_echo = false;
	if (view_renew(e->gw, &err) < 0)
		GW_LOG(WARNING, "%s: plain ESP echoes are taken on\n", err.text);
}

int
echo_plain_start(struct gw *gw, const struct addr *dst, const struct echo_request *r, echo_fn *fn,
		 void *arg, uint64_t *handle, struct err *err)
{
	struct echo *e = gw->echo;
	struct echo_send *s = NULL;
	struct echo_wait *w = NULL;
	uint16_t mtu = 0, data = 0;
	struct addr src;
	int rc = echo_start_check(gw, err);

	if (rc == 0)
		rc = ends_find(gw, dst, &src, &mtu, err);
	if (rc == 0)
		rc = size_set(dst, r, mtu, &data, err);
	if (rc == 0)
		rc = await(e, err);
	if (rc < 0)
		return rc;
	s = echo_send_new(e, SA_NONE, 0);
	w = s != NULL ? echo_wait_new(e, r, s, fn, arg) : NULL;
	if (w == NULL)
		return err_set(err, -ENOMEM, "no memory for an echo");
	s->job.probe = (r->flags & ECHO_PROBE) != 0;
	s->job.src = src;
	s->job.dst = *dst;
	s->job.echo = (struct esp_echo) {
		.type = ESP_ECHO_REQUEST,
		.data_len = data,
		.id = r->id,
		.seq = r->seq,
	};
	w->plain = true;
	w->peer.addr = *dst;
	w->result.outer = head_of(dst) + data;
	if (handle != NULL)
		*handle = w->handle;
	echo_send_go(e, s);
	return 0;
}

/* Anybody may send such an answer; who is not on the way has to guess id and number. */
void
echo_plain_take(struct echo *e, const struct esp_echo_seen *seen)
{
	struct echo_wait *w = echo_wait_of(e, seen->echo.id, seen->echo.seq);
	uint8_t copy[sizeof(struct rte_ipv6_hdr)];
	struct addr from = { .family = 4 };
	const uint8_t *ip;

	ip = rte_pktmbuf_read(seen->m, 0, sizeof(struct rte_ipv4_hdr), copy);
	if (ip != NULL && ip[0] >> 4 == 6) {
		from.family = 6;
		ip = rte_pktmbuf_read(seen->m, 0, sizeof(struct rte_ipv6_hdr), copy);
	}
	if (ip == NULL)
		return;
	memcpy(from.octets, wire_ip_src(ip, from.family == 6), from.family == 6 ? 16 : 4);
	while (w != NULL && (w->id != seen->echo.id || w->seq != seen->echo.seq || w->ended ||
			     !w->plain || !addr_equal(&w->peer.addr, &from)))
		w = w->next;
	if (w != NULL && !seen->nh59)
		echo_answered(e, w, seen);
	else
		e->count.unexpected++;
}
