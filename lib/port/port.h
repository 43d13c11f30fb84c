/* Ports: what DPDK calls an Ethernet device, with the name, the side and the addresses it has here.
 *
 * `device` is anything DPDK can name, and nothing below asks for more than the ethdev API offers:
 *
 *	0000:3b:00.0			a PCI address
 *	net_pcap0,rx_pcap=in.pcap	device arguments of a virtual device, plugged in here
 *	net_ring0			a device that the EAL's own arguments made (--vdev)
 *
 * What is not offered (RSS, checksums, promiscuous mode, several queues) is done without, and
 * `struct port` says what was granted.
 *
 * Control only, but for the fields said to be read by workers. All functions that fail leave a
 * sentence in err and return a negative errno. Ports are opened before the workers run, and are
 * started when all of them do, so nothing is read from a device too early.
 *
 * Which worker does what (port_place): a queue is read by one worker; a worker sends through a TX
 * queue of its own or, where the device has too few, through a ring to a worker that has one.
 */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_ethdev.h>

#include "base/err.h"
#include "port/steer.h"
#include "worker/link.h"
#include "worker/worker.h"

#define PORT_NAME_SIZE	   LINK_NAME_SIZE
#define PORT_DEVICE_SIZE   512
#define PORT_ADDRESSES_MAX LINK_ADDRESSES_MAX
#define PORT_QUEUES_MAX	   64
#define PORT_NONE	   UINT8_MAX
#define PORT_MTU_MAX	   9600
#define PORT_POOL_CACHE	   512
#define PORT_RING_SIZE	   512

struct clock;
struct json;
struct port_rx_queue;

struct port_params {
	const char *name;
	const char *device;
	enum port_side side;
	uint8_t n_addresses;
	struct link_address addresses[PORT_ADDRESSES_MAX];
	uint16_t mtu;		   /* octets of an IP packet; 0 = 1500 */
	uint16_t rx_desc, tx_desc; /* 0 = 1024; adjusted to what the device takes */
	uint16_t rx_queues; /* 0 = one for each of its workers, as far as the device has them */
	uint64_t workers;   /* mask of worker indices that read it; 0 = all */
	bool promiscuous;
	bool offloads; /* use what checksum offloads there are */
	bool ipsec;    /* turn on the IPsec that the device has, if any (port/offload.h) */
};

enum port_due {
	PORT_DUE_NOTHING,
	PORT_DUE_RESET,
	PORT_DUE_OPEN, /* it has started, and not all workers have heard of it */
};

struct port_map {
	uint16_t n_rx, n_tx;
	uint8_t rx_owner[PORT_QUEUES_MAX]; /* by RX queue: the worker that reads it */
	uint8_t tx_queue[WORKERS_MAX];	   /* by worker: its TX queue, or PORT_NONE */
	uint8_t tx_via[WORKERS_MAX];	   /* by worker: itself, or the worker that sends for it */
};

struct port {
	struct link link;
	uint16_t dpdk_id;
	bool rx_checksum; /* the device checks IPv4 header checksums and says so in ol_flags */
	bool tx_checksum; /* the device fills them in */
	bool promiscuous;
	bool replays; /* its packets bring the time with them (CLOCK_STAMPS) */
	bool started;
	bool up;	 /* its link, when port_link_changed() last looked; at first true */
	bool calls;	 /* connects to a peer, and must be started again when that was not there */
	bool shut;	 /* control's note: the workers keep away from it */
	bool resetting;	 /* likewise: it is about to be stopped and started */
	bool asked;	 /* likewise: by its device; it is to be renewed */
	bool complained; /* likewise: of a reset that did not succeed yet */
	uint8_t due;	 /* likewise: enum port_due, to be tried at due_at */
	uint64_t due_at;
	uint64_t resets; /* that have succeeded */
	bool asks;	 /* by a thread of DPDK's, when the device wants a reset; port_asks() */
	bool plugged;	 /* plugged in by port_open, so port_close takes it out */
	struct port_map map;
	uint64_t rss; /* RTE_ETH_RSS_*: what it chooses a queue by; 0 = nothing */
	struct port_steering steering;
	struct port_params params; /* as it was opened, but name and device */
	char device[PORT_DEVICE_SIZE];
	char driver[PORT_NAME_SIZE];
};

struct port_counters {
	uint64_t rx_packets, rx_bytes; /* frames as taken from the device, without CRC */
	uint64_t tx_packets, tx_bytes;
};

struct ports {
	uint8_t n;
	uint16_t n_workers;
	struct clock *clock;
	struct port *list[PORTS_MAX];
	uint8_t of_dpdk[RTE_MAX_ETHPORTS]; /* index by DPDK's port id, or PORT_NONE */
	struct port_worker *workers[WORKERS_MAX];
	struct port_counters cleared[PORTS_MAX]; /* as they were at the last ports_clear() */
	struct rte_ring
		*rings[WORKERS_MAX][WORKERS_MAX]; /* [from][to], NULL where none is needed */
};

/* No port yet. clock is borrowed until ports_free; only CLOCK_STAMPS is moved from here. */
int ports_create(uint16_t n_workers, struct clock *clock, struct ports **out, struct err *err);

/* Closes all ports. The workers have ended. NULL is fine. */
void ports_free(struct ports *ports);

/* Finds or plugs in the device, sets it up and gives it an index. pools has a pool for each worker;
 * they are borrowed until the port is closed.
 */
int port_open(struct ports *ports, const struct port_params *params,
	      struct rte_mempool *const pools[], struct port **out, struct err *err);
int port_start(struct port *port, struct err *err);
/* What is in the device's queues is gone after this. Stopping twice is fine. */
int port_stop(struct port *port, struct err *err);

/* Whether the device has asked for a reset since this was asked last (RTE_ETH_EVENT_INTR_RESET): a
 * VF's whose PF was reset does, and does nothing more until it is renewed.
 */
bool port_asks(struct port *port);
/* What such a device wants: of a stopped port, which is set up as it was and can be started.
 * *renewed: the device has been, and has nothing of before, its security context neither; false: it
 * knows no such thing, and is as it was. -EAGAIN: not yet.
 */
int port_renew(struct port *port, struct rte_mempool *const pools[], bool *renewed,
	       struct err *err);

/* After the last port is open: sets w->port and adds this worker's queues and rings to its sources.
 */
int port_attach(struct ports *ports, struct worker *w, struct err *err);

/* Frames held by this worker: in its buffers and in the rings to it. Any thread. */
uint64_t port_held(const struct worker *w);

/* The worker has ended: what it still holds is dropped as `stopped`. */
void port_drop_held(struct worker *w);

struct port *port_by_name(const struct ports *ports, const char *name);

/* Whether a device will replay a capture file; known before it is opened, for the choice of the
 * clock. */
bool port_device_replays(const char *device);

/* Sums over the workers. */
struct port_counters port_counters(const struct ports *ports, uint8_t index);

/* The counters that port_print() and port_json() show begin here; port_counters() goes on. */
void ports_clear(struct ports *ports);

/* Link state as the device has it now; does not wait. */
struct rte_eth_link port_link(const struct port *port);

/* Whether the link is another than at the last call; stores it in *link. */
bool port_link_changed(struct port *port, struct rte_eth_link *link);

/* Keeps a worker away from a device, which control may then stop and start: nothing is read, and
 * what is to be sent waits. In the worker's thread, or while it does not run.
 */
void port_shut(struct worker *w, uint8_t port, bool shut);

/* Stops a port that calls, if it was started, and starts it. The workers keep away from it. */
int port_call_again(struct port *port, struct err *err);

/* "show port": a table for people, or the same as members of an open JSON object. */
void port_print(const struct ports *ports, FILE *f);
void port_json(const struct ports *ports, struct json *j);

/* Who reads and who sends. n_rx and n_tx are what the device gives: at most PORT_QUEUES_MAX and
 * n_workers, n_tx at least 1. Ports with few queues begin with different workers: first says with
 * which.
 */
void port_place(struct port_map *map, uint16_t n_workers, uint64_t owners, uint16_t first,
		uint16_t n_rx, uint16_t n_tx);

/* How many mbufs keep these ports and workers busy. */
uint32_t port_pool_auto(const struct port_params *params, uint8_t n_ports, uint16_t n_workers);

/* A pool for packets of up to mtu octets in one buffer, struct pkt in the private area, and
 * headroom for all that may be put in front: 14 + 40 + 8 + 8 + 16 of RTE_PKTMBUF_HEADROOM's 128.
 */
int port_pool_create(const char *name, uint32_t n, uint16_t mtu, int socket,
		     struct rte_mempool **out, struct err *err);

#endif
