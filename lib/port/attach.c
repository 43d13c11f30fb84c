#include "port/port_stage.h"

#include <errno.h>

#include <rte_errno.h>
#include <rte_mbuf_dyn.h>
#include <rte_ring.h>

#include "base/clock.h"

static int
source_add(struct worker *w, const struct source *source, struct err *err)
{
	if (w->n_sources == SOURCES_MAX)
		return err_set(err, -ENOSPC,
			       "worker %u has %u sources already: give ports fewer queues",
			       w->index, SOURCES_MAX);
	w->sources[w->n_sources++] = *source;
	return 0;
}

static int
stamps_find(struct port_rx_queue *q, struct clock *clock, struct err *err)
{
	if (rte_mbuf_dyn_rx_timestamp_register(&q->stamp_offset, &q->stamp_flag) != 0)
		return err_set(err, -rte_errno, "no room in packet buffers for time stamps: %s",
			       rte_strerror(rte_errno));
	q->clock = clock;
	return 0;
}

static int
queue_add(struct ports *ports, struct port *port, uint16_t queue, struct worker *w, struct err *err)
{
	struct port_worker *pw = w->port;
	struct source source = { .name = "port_rx", .poll = port_rx };
	struct port_rx_queue *q;
	int rc;

	if (pw->n_rx == SOURCES_MAX)
		return err_set(err, -ENOSPC, "port %s: worker %u reads %u queues already",
			       port->link.name, w->index, SOURCES_MAX);
	q = &pw->rx[pw->n_rx++];
	*q = (struct port_rx_queue) {
		.dpdk_id = port->dpdk_id,
		.queue = queue,
		.port = port->link.index,
		.count = &pw->count[port->link.index],
	};
	if (port->replays && ports->clock->kind == CLOCK_STAMPS) {
		rc = stamps_find(q, ports->clock, err);
		if (rc < 0)
			return rc;
	}
	source.arg = q;
	source.first = port->link.side == PORT_RED ? STAGE_CLASSIFY_RED : STAGE_CLASSIFY_BLACK;
	return source_add(w, &source, err);
}

static int
rings_add(struct ports *ports, struct worker *w, struct err *err)
{
	struct source source = { .name = "port_ring", .poll = port_ring, .first = STAGE_PORT_TX };

	for (uint16_t from = 0; from < ports->n_workers; from++) {
		int rc;

		source.arg = ports->rings[from][w->index];
		if (source.arg == NULL)
			continue;
		w->port->rings[w->port->n_rings++] = source.arg;
		rc = source_add(w, &source, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
port_attach(struct ports *ports, struct worker *w, struct err *err)
{
	w->port = ports->workers[w->index];
	w->port->n_ports = ports->n;
	for (uint8_t i = 0; i < ports->n; i++) {
		struct port *port = ports->list[i];

		w->port->stations[i] = (struct port_station) { port->link.mac, port->promiscuous };
		for (uint16_t q = 0; q < port->map.n_rx; q++) {
			int rc;

			if (port->map.rx_owner[q] != w->index)
				continue;
			rc = queue_add(ports, port, q, w, err);
			if (rc < 0)
				return rc;
		}
	}
	return rings_add(ports, w, err);
}
