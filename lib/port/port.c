#include "port/port.h"

#include <errno.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mbuf_dyn.h>
#include <rte_ring.h>

#include "base/clock.h"
#include "port/device.h"
#include "port/port_stage.h"

#define MTU_DEFAULT 1500

int
ports_create(uint16_t n_workers, struct clock *clock, struct ports **out, struct err *err)
{
	struct ports *ports;

	if (n_workers == 0 || n_workers > WORKERS_MAX)
		return err_set(err, -EINVAL, "%u workers, wanted 1 to %u", n_workers, WORKERS_MAX);
	ports = rte_zmalloc("ports", sizeof(*ports), RTE_CACHE_LINE_SIZE);
	if (ports == NULL)
		return err_set(err, -ENOMEM, "no memory for the table of ports");
	ports->n_workers = n_workers;
	ports->clock = clock;
	memset(ports->of_dpdk, PORT_NONE, sizeof(ports->of_dpdk));
	for (uint16_t i = 0; i < n_workers; i++) {
		ports->workers[i] =
			rte_zmalloc("port_worker", sizeof(*ports->workers[i]), RTE_CACHE_LINE_SIZE);
		if (ports->workers[i] == NULL) {
			ports_free(ports);
			return err_set(err, -ENOMEM, "no memory for the ports of worker %u", i);
		}
	}
	*out = ports;
	return 0;
}

static void
port_free(struct ports *ports, struct port *port)
{
	for (uint16_t i = 0; i < ports->n_workers; i++) {
		struct port_tx *tx = &ports->workers[i]->tx[port->link.index];

		for (uint16_t k = 0; k < tx->n; k++)
			rte_pktmbuf_free(tx->pkts[tx->first + k]);
		rte_free(tx->pkts);
		*tx = (struct port_tx) { 0 };
	}
	rte_free(port);
}

/* In a thread of DPDK's: control does what is to be done. */
static int
device_asks(uint16_t dpdk_id, enum rte_eth_event_type event, void *arg, void *ret)
{
	struct port *port = arg;

	__atomic_store_n(&port->asks, true, __ATOMIC_RELEASE);
	return 0;
}

static int
asks_hear(struct port *port, struct err *err)
{
	int rc = rte_eth_dev_callback_register(port->dpdk_id, RTE_ETH_EVENT_INTR_RESET, device_asks,
					       port);

	if (rc < 0)
		return err_set(err, rc, "port %s: no callback for resets: %s", port->link.name,
			       rte_strerror(-rc));
	return 0;
}

bool
port_asks(struct port *port)
{
	return __atomic_load_n(&port->asks, __ATOMIC_RELAXED) &&
	       __atomic_exchange_n(&port->asks, false, __ATOMIC_ACQUIRE);
}

int
port_renew(struct port *port, struct rte_mempool *const pools[], bool *renewed, struct err *err)
{
	int rc = rte_eth_dev_reset(port->dpdk_id);

	*renewed = rc == 0;
	if (rc == -ENOTSUP)
		return 0;
	if (rc < 0)
		return err_set(err, rc, "port %s: device %s cannot be reset: %s", port->link.name,
			       port->device, rte_strerror(-rc));
	return device_renew(port, pools, err);
}

static void
port_close(struct ports *ports, struct port *port)
{
	rte_eth_dev_callback_unregister(port->dpdk_id, RTE_ETH_EVENT_INTR_RESET, device_asks, port);
	port_stop(port, NULL);
	device_close(port);
	ports->of_dpdk[port->dpdk_id] = PORT_NONE;
	port_free(ports, port);
}

static void
ring_free(struct rte_ring *ring)
{
	struct rte_mbuf *m;

	while (ring != NULL && rte_ring_sc_dequeue(ring, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void
ports_free(struct ports *ports)
{
	if (ports == NULL)
		return;
	while (ports->n > 0)
		port_close(ports, ports->list[--ports->n]);
	for (uint16_t i = 0; i < ports->n_workers; i++) {
		for (uint16_t k = 0; k < ports->n_workers; k++)
			ring_free(ports->rings[i][k]);
		rte_free(ports->workers[i]);
	}
	rte_free(ports);
}

bool
port_device_replays(const char *device)
{
	return strncmp(device, "net_pcap", 8) == 0 && strstr(device, "iface=") == NULL;
}

static int
params_check(const struct ports *ports, const struct port_params *p, struct err *err)
{
	if (ports->n == PORTS_MAX)
		return err_set(err, -ENOSPC, "port %s: there are %u ports already", p->name,
			       PORTS_MAX);
	if (strlen(p->name) >= PORT_NAME_SIZE)
		return err_set(err, -EINVAL, "port %s: name longer than %u characters", p->name,
			       PORT_NAME_SIZE - 1);
	if (strlen(p->device) >= PORT_DEVICE_SIZE)
		return err_set(err, -EINVAL, "port %s: device longer than %u characters", p->name,
			       PORT_DEVICE_SIZE - 1);
	if (p->n_addresses > PORT_ADDRESSES_MAX)
		return err_set(err, -EINVAL, "port %s: %u addresses, at most %u", p->name,
			       p->n_addresses, PORT_ADDRESSES_MAX);
	if (port_by_name(ports, p->name) != NULL)
		return err_set(err, -EEXIST, "port %s: there is one of this name already", p->name);
	return 0;
}

/* No owner named means all; an owner that does not exist is a mistake. */
static int
owners_settle(const struct ports *ports, struct port_params *p, struct err *err)
{
	uint64_t all = ports->n_workers == 64 ? UINT64_MAX : (UINT64_C(1) << ports->n_workers) - 1;

	if (p->workers == 0)
		p->workers = all;
	if ((p->workers & ~all) != 0)
		return err_set(err, -EINVAL,
			       "port %s: worker %d is to read it, but there are only %u", p->name,
			       63 - __builtin_clzll(p->workers), ports->n_workers);
	return 0;
}

static struct port *
port_new(const struct ports *ports, const struct port_params *p)
{
	struct port *port = rte_zmalloc("port", sizeof(*port), RTE_CACHE_LINE_SIZE);

	if (port == NULL)
		return NULL;
	port->link.index = ports->n;
	port->link.side = p->side;
	port->link.mtu = p->mtu != 0 ? p->mtu : MTU_DEFAULT;
	port->promiscuous = p->promiscuous;
	port->up = true;
	port->link.n_addresses = p->n_addresses;
	memcpy(port->link.addresses, p->addresses, sizeof(port->link.addresses));
	snprintf(port->link.name, sizeof(port->link.name), "%s", p->name);
	snprintf(port->device, sizeof(port->device), "%s", p->device);
	port->params = *p;
	port->params.name = port->link.name;
	port->params.device = port->device;
	return port;
}

static int
ring_between(struct ports *ports, uint16_t from, uint16_t to, struct rte_ring **out,
	     struct err *err)
{
	char name[RTE_RING_NAMESIZE];

	if (ports->rings[from][to] == NULL) {
		snprintf(name, sizeof(name), "tx_%u_%u", from, to);
		ports->rings[from][to] =
			rte_ring_create(name, PORT_RING_SIZE, SOCKET_ID_ANY,
					RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	}
	*out = ports->rings[from][to];
	if (*out == NULL)
		return err_set(err, -rte_errno, "no ring from worker %u to worker %u: %s", from, to,
			       rte_strerror(rte_errno));
	return 0;
}

/* Each worker's buffer, and its queue or the ring to who has one. */
static int
tx_prepare(struct ports *ports, const struct port *port, struct err *err)
{
	for (uint16_t i = 0; i < ports->n_workers; i++) {
		struct port_worker *pw = ports->workers[i];
		struct port_tx *tx = &pw->tx[port->link.index];
		int rc;

		tx->dpdk_id = port->dpdk_id;
		tx->queue = port->map.tx_queue[i];
		tx->count = &pw->count[port->link.index];
		tx->pkts = rte_zmalloc("port_tx", PORT_TX_BUFFER * sizeof(tx->pkts[0]),
				       RTE_CACHE_LINE_SIZE);
		if (tx->pkts == NULL)
			return err_set(err, -ENOMEM, "port %s: no memory for TX buffers",
				       port->link.name);
		if (port->map.tx_via[i] == i)
			continue;
		rc = ring_between(ports, i, port->map.tx_via[i], &tx->ring, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
device_claim(struct ports *ports, struct port *port, struct err *err)
{
	uint8_t other = ports->of_dpdk[port->dpdk_id];

	if (other == PORT_NONE)
		return 0;
	return err_set(err, -EBUSY, "port %s: device %s is port %s already", port->link.name,
		       port->device, ports->list[other]->link.name);
}

int
port_open(struct ports *ports, const struct port_params *params, struct rte_mempool *const pools[],
	  struct port **out, struct err *err)
{
	struct port_params p = *params;
	struct rte_eth_dev_info info;
	struct port *port;
	int rc;

	rc = params_check(ports, &p, err);
	if (rc < 0)
		return rc;
	rc = owners_settle(ports, &p, err);
	if (rc < 0)
		return rc;
	port = port_new(ports, &p);
	if (port == NULL)
		return err_set(err, -ENOMEM, "port %s: no memory", p.name);
	rc = device_find(port, &info, err);
	if (rc < 0)
		goto free_port;
	rc = device_claim(ports, port, err);
	if (rc < 0)
		goto free_port;
	rc = device_setup(port, &p, &info, ports->n_workers, pools, err);
	if (rc < 0)
		goto close_device;
	rc = tx_prepare(ports, port, err);
	if (rc == 0)
		rc = asks_hear(port, err);
	if (rc < 0)
		goto close_device;
	port->replays = strcmp(port->driver, "net_pcap") == 0 && port_device_replays(port->device);
	ports->of_dpdk[port->dpdk_id] = port->link.index;
	ports->list[ports->n++] = port;
	*out = port;
	return 0;
close_device:
	device_close(port);
free_port:
	port_free(ports, port);
	return rc;
}

int
port_start(struct port *port, struct err *err)
{
	int rc = rte_eth_dev_start(port->dpdk_id);

	if (rc < 0)
		return err_set(err, rc, "port %s: device %s does not start: %s", port->link.name,
			       port->device, rte_strerror(-rc));
	port->started = true;
	return 0;
}

int
port_stop(struct port *port, struct err *err)
{
	int rc;

	if (!port->started)
		return 0;
	rc = rte_eth_dev_stop(port->dpdk_id);
	if (rc < 0)
		return err_set(err, rc, "port %s: device %s does not stop: %s", port->link.name,
			       port->device, rte_strerror(-rc));
	port->started = false;
	return 0;
}

struct port *
port_by_name(const struct ports *ports, const char *name)
{
	for (uint8_t i = 0; i < ports->n; i++)
		if (strcmp(ports->list[i]->link.name, name) == 0)
			return ports->list[i];
	return NULL;
}
