/* Ports in the datapath: the source port_rx and the stage port_tx. For pipe and the worker's loop
 * alone.
 *
 * Received frames get pkt.port, all other fields of struct pkt are classify's. What is to be sent
 * has the index of its port in mbuf.port, where neigh_write puts it: port_tx needs neither struct
 * pkt nor a route.
 */
#ifndef PORT_PORT_STAGE_H
#define PORT_PORT_STAGE_H

#include <stdint.h>

#include "port/port.h"
#include "wire/bytes.h"
#include "worker/stage.h"
#include "worker/worker.h"

#define PORT_TX_BUFFER 256

struct rte_ring;

/* The argument of a port_rx source. */
struct port_rx_queue {
	uint16_t dpdk_id, queue;
	uint8_t port;
	struct port_counters *count;
	bool shut;	     /* see port_shut() */
	struct clock *clock; /* NULL unless the packets move it */
	int stamp_offset;
	uint64_t stamp_flag;
};

/* What a worker sends through one port: at once if it can, else from the buffer. */
struct port_tx {
	uint16_t dpdk_id, queue;
	uint16_t first, n;     /* of the buffer: n packets from first on */
	bool shut;	       /* see port_shut() */
	struct rte_ring *ring; /* instead of a queue: to the worker that has one */
	struct port_counters *count;
	struct rte_mbuf **pkts; /* PORT_TX_BUFFER */
};

/* Who we are on a port's link. */
struct port_station {
	struct rte_ether_addr mac;
	bool promiscuous; /* takes frames for everybody */
};

_Static_assert(sizeof(struct port_station) == 8 && offsetof(struct port_station, mac) == 0,
	       "read as one word");

/* One worker's part of all ports; the slot `port` of struct worker. */
struct port_worker {
	uint8_t n_ports;
	uint16_t n_rx;
	uint32_t waiting; /* mask of the ports whose buffer is not empty */
	uint16_t n_rings;
	struct rte_ring *rings[WORKERS_MAX]; /* from workers that send through this one */
	struct port_tx tx[PORTS_MAX];
	struct port_rx_queue rx[SOURCES_MAX];
	struct port_station stations[PORTS_MAX];
	struct port_counters count[PORTS_MAX] __rte_cache_aligned;
};

/* Whether a frame is for us: for the port's own address, a group, or for anybody on a promiscuous
 * port. */
static inline bool
port_takes(const struct port_worker *pw, uint8_t port, const struct rte_ether_addr *dst)
{
	const struct port_station *s = &pw->stations[port];

	return likely(rte_is_same_ether_addr(dst, &s->mac)) || rte_is_multicast_ether_addr(dst) ||
	       s->promiscuous;
}

/* Whether a frame is for the port's own address, as nearly all are; 8 octets of it are read. */
static inline bool
port_is_meant(const struct port_worker *pw, uint8_t port, const uint8_t *frame)
{
	return (wire_load64(frame) ^ wire_load64(&pw->stations[port])) << 16 == 0;
}

source_fn port_rx;
/* Frames that other workers send through this one's queues; mbuf.port is already set. */
source_fn port_ring;
/* Takes all packets; returns 0. Drops tx_full; offload_lost: nothing that a device is to encipher
 * leaves by another, or by one that will not. */
stage_fn port_tx;

/* At the end of each loop: sends what is buffered. What the device does not take is held until the
 * next time. */
void port_flush(struct worker *w);

/* Between two loops: where what this worker has sent through other workers' queues ends, by
 * port; false: some of it is still in a buffer. Then, whether those workers have taken all of that
 * out of their rings; each sends it before its loop ends.
 */
bool port_sent_mark(const struct worker *w, uint32_t marks[PORTS_MAX]);
bool port_sent_passed(const struct worker *w, const uint32_t marks[PORTS_MAX]);

#endif
