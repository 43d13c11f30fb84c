#include "mirror/mirror.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "base/poller.h"
#include "mirror/set.h"
#include "worker/worker.h"

/* What one look moves at most. A write to a tap costs some microseconds, so all of it stays a small
 * part of what control does, and a thousand looks a second move far more than a host wants. */
#define READ_MAX 128 /* of each mirror */
static const uint16_t take_max[PUNT_MAX] = {
	[PUNT_IKE] = 256,
	[PUNT_NEIGH] = 64,
	[PUNT_ROUTING] = 128,
	[PUNT_REST] = 128,
};

#define TAKE_BURST 64
#define BUSY_TICKS 100

int
mirrors_create(const struct mirrors_params *params, struct mirrors **out, struct err *err)
{
	struct mirrors *m = rte_zmalloc("mirrors", sizeof(*m), RTE_CACHE_LINE_SIZE);
	int rc;

	if (m == NULL)
		return err_set(err, -ENOMEM, "no memory for the mirrors");
	m->params = *params;
	clock_init(&m->clock, CLOCK_MANUAL);
	for (int i = 0; i < PORTS_MAX; i++)
		m->list[i] = (struct mirror) { .set = m, .tap.fd = -1 };
	rc = ports_create(1, &m->clock, &m->devices, err);
	if (rc < 0) {
		mirrors_free(m);
		return rc;
	}
	*out = m;
	return 0;
}

void
mirrors_free(struct mirrors *m)
{
	if (m == NULL)
		return;
	for (int i = 0; i < PORTS_MAX; i++) {
		if (m->list[i].tap.fd >= 0 && m->params.poller != NULL)
			poller_del(m->params.poller, m->list[i].tap.fd);
		tap_close(&m->list[i].tap);
	}
	ports_free(m->devices);
	rte_pktmbuf_free(m->spare);
	rte_free(m);
}

/* Somebody took the interface away; there is nobody to speak with any more. */
static void
tap_lost(struct mirror *x)
{
	struct err text;

	err_set(&text, 0,
		"mirror %s: the interface is gone: what is for port %s is dropped until the next "
		"start",
		x->tap.name, x->port->link.name);
	x->set->params.warn(x->set->params.ctx, text.text);
	poller_del(x->set->params.poller, x->tap.fd);
	tap_close(&x->tap);
	x->tap.ifindex = 0;
	x->tap.carrier = false;
}

static void
tap_ready(void *ctx, uint32_t events)
{
	struct mirror *x = ctx;

	if (mirror_read(x, READ_MAX) > 0)
		x->set->idle_ticks = 0;
	else if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		tap_lost(x);
}

/* Waits for nothing before the workers run: then its frames wait in the kernel. */
static int
tap_make(struct mirror *x, const struct port *port, const char *name, struct err *err)
{
	struct err warn = { "" };
	int rc = tap_open(&x->tap, port->link.name, name, &port->link.mac, port->link.mtu, &warn,
			  err);

	if (rc < 0)
		return rc;
	if (warn.text[0] != '\0')
		x->set->params.warn(x->set->params.ctx, warn.text);
	x->is_tap = true;
	if (x->set->params.poller == NULL)
		return 0;
	rc = poller_add(x->set->params.poller, x->tap.fd, 0, tap_ready, x);
	if (rc < 0)
		return err_set(err, rc, "port %s: mirror.tap %s: cannot be waited for: %s",
			       port->link.name, name, strerror(-rc));
	return 0;
}

/* The host at its other end has the port's MAC address, which may not be the device's own. */
static int
device_make(struct mirror *x, const struct port *port, const char *device, struct err *err)
{
	struct mirrors *m = x->set;
	char name[PORT_NAME_SIZE];
	const struct port_params params = {
		.name = name,
		.device = device,
		.mtu = port->link.mtu,
		.promiscuous = true,
	};
	int rc;

	snprintf(name, sizeof(name), "%.23s.mirror", port->link.name);
	rc = port_open(m->devices, &params, m->params.pools, &x->device, err);
	return rc < 0 ? rc : port_start(x->device, err);
}

int
mirror_open(struct mirrors *m, const struct port *port, const char *tap, const char *device,
	    struct err *err)
{
	struct mirror *x = &m->list[port->link.index];
	int rc = tap != NULL ? tap_make(x, port, tap, err) : device_make(x, port, device, err);

	if (rc < 0)
		return rc;
	x->port = port;
	m->mask |= UINT32_C(1) << port->link.index;
	return 0;
}

void
mirrors_run(struct mirrors *m, bool run)
{
	if (m == NULL)
		return;
	m->running = run;
	for (int i = 0; i < PORTS_MAX && m->params.poller != NULL; i++)
		if (m->list[i].tap.fd >= 0)
			poller_change(m->params.poller, m->list[i].tap.fd, run ? EPOLLIN : 0);
}

/* At most max frames of a class from a worker. */
static uint32_t
class_drain(struct mirrors *m, struct punt_worker *pw, enum punt_class class, uint16_t max)
{
	struct rte_mbuf *frames[TAKE_BURST];
	uint16_t n, all = 0;

	do {
		n = punt_take(pw, class, frames, RTE_MIN(max - all, TAKE_BURST));
		mirrors_give(m, frames, n);
		all += n;
	} while (n > 0 && all < max);
	return all;
}

/* Class by class over all workers: a flood on one of them does not hold up key exchange on
 * another. Of ICMP errors none is for a mirror before control has read it. */
static uint32_t
rings_drain(struct mirrors *m)
{
	uint32_t moved = 0;

	for (int class = 0; class < PUNT_MAX; class ++)
		for (uint16_t i = 0; class != PUNT_ERRORS && i < m->params.n_workers; i++)
			moved += class_drain(m, m->params.workers[i]->punt, class, take_max[class]);
	return moved;
}

void
mirrors_tick(struct mirrors *m)
{
	uint32_t moved;

	if (m == NULL)
		return;
	moved = rings_drain(m);
	for (int i = 0; i < PORTS_MAX && m->running; i++) {
		struct mirror *x = &m->list[i];

		if (x->port != NULL && (!x->is_tap || m->params.poller == NULL))
			moved += mirror_read(x, READ_MAX);
	}
	m->idle_ticks = moved > 0 ? 0 : RTE_MIN(m->idle_ticks + 1, (uint32_t)BUSY_TICKS);
}

void
mirrors_drain(struct mirrors *m)
{
	while (m != NULL && rings_drain(m) > 0)
		;
}

bool
mirrors_are_busy(const struct mirrors *m)
{
	return m != NULL && m->idle_ticks < BUSY_TICKS;
}

void
mirror_link_set(struct mirrors *m, const struct port *port, bool up)
{
	struct mirror *x;

	if (m == NULL || !m->list[port->link.index].is_tap)
		return;
	x = &m->list[port->link.index];
	tap_carrier_set(&x->tap, up);
	tap_mtu_set(&x->tap, port->link.mtu);
}

uint32_t
mirrors_mask(const struct mirrors *m)
{
	return m == NULL ? 0 : m->mask;
}

uint32_t
mirror_ifindex(const struct mirrors *m, uint8_t port)
{
	return m == NULL || !m->list[port].is_tap ? 0 : m->list[port].tap.ifindex;
}
