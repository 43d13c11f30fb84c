#include "port/device.h"

#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_errno.h>

/* clang-format off */
/* Seen with the drivers of 22.11; nothing here depends on it but where it says so:
 *
 *	net_pcap	As many queues as files are named. Without tx_pcap it swallows what is sent.
 *	net_af_packet	One queue unless qpairs=N. Says that it takes 1518 octets, and takes what a
 *			slot of its ring holds (slots_check); what is larger it cuts off.
 *	net_af_xdp	As many RX as TX queues. Does not give its buffers back when it is closed.
 *	net_tap		As many RX as TX queues. Says that it takes 1522 octets, and takes what the
 *			kernel's interface sends.
 *	net_memif	Says that it takes 1518 octets, and takes frames in any number of pieces. A
 *			client connects when it is started, then or never (calls_of). Takes frames
 *			once the peer has read for the first time. Both ends want the same number of
 *			queues: what goes into a queue nobody reads is lost there.
 *	net_ring	Its MAC is 00:00:00:00:00:00.
 */
/* clang-format on */
#define DESC_DEFAULT 1024
/* With the SPI, SAs of one peer spread; with UDP's ports, encapsulated ones of one NAT. */
#define RSS_FIELDS (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_ESP | RTE_ETH_RSS_AH)

/* "net_pcap0,rx_pcap=in.pcap" -> "net_pcap0" */
static void
device_name(const char *device, char name[PORT_DEVICE_SIZE])
{
	size_t n = strcspn(device, ",");

	memcpy(name, device, n);
	name[n] = '\0';
}

/* A PCI device's port has the device's full name; a user may write it short. */
static bool
device_lookup(const char *device, uint16_t *id)
{
	struct rte_dev_iterator it;
	char name[PORT_DEVICE_SIZE];

	device_name(device, name);
	if (rte_eth_dev_get_port_by_name(name, id) == 0)
		return true;
	if (strchr(name, ':') == NULL || rte_eth_iterator_init(&it, name) != 0)
		return false;
	*id = rte_eth_iterator_next(&it);
	if (*id == RTE_MAX_ETHPORTS)
		return false;
	rte_eth_iterator_cleanup(&it);
	return true;
}

static const char *
probe_reason(int rc)
{
	switch (rc) {
	case -EPERM: /* what most drivers say, whatever happened: the log has more */
		return "its driver refused it; DPDK's log says why";
	case -EFAULT:
		return "DPDK has no driver of this name";
	case -ENODEV:
		return "no such device";
	}
	return rte_strerror(-rc);
}

/* A client is what is not told to be a server; "master" is the old word. */
static bool
calls_of(const struct rte_eth_dev_info *info)
{
	const struct rte_devargs *args = rte_dev_devargs(info->device);

	return strcmp(info->driver_name, "net_memif") == 0 &&
	       (args == NULL || args->args == NULL ||
		(strstr(args->args, "role=server") == NULL &&
		 strstr(args->args, "role=master") == NULL));
}

int
device_find(struct port *port, struct rte_eth_dev_info *info, struct err *err)
{
	int rc;

	if (!device_lookup(port->device, &port->dpdk_id)) {
		rc = rte_dev_probe(port->device);
		if (rc < 0)
			return err_set(err, rc, "port %s: device %s: %s", port->link.name,
				       port->device, probe_reason(rc));
		port->plugged = true;
		if (!device_lookup(port->device, &port->dpdk_id))
			return err_set(err, -ENODEV,
				       "port %s: device %s is there, but is no Ethernet device",
				       port->link.name, port->device);
	}
	rc = rte_eth_dev_info_get(port->dpdk_id, info);
	if (rc < 0)
		return err_set(err, rc, "port %s: device %s tells nothing of itself: %s",
			       port->link.name, port->device, rte_strerror(-rc));
	snprintf(port->driver, sizeof(port->driver), "%s", info->driver_name);
	port->calls = calls_of(info);
	return 0;
}

static int
mtu_check(const struct port *port, const struct rte_eth_dev_info *info, struct err *err)
{
	uint16_t max = PORT_MTU_MAX;

	if (info->max_mtu != 0 && info->max_mtu < max)
		max = info->max_mtu;
	if (port->link.mtu >= info->min_mtu && port->link.mtu <= max)
		return 0;
	return err_set(err, -EINVAL, "port %s: mtu %u: device %s takes %u to %u", port->link.name,
		       port->link.mtu, port->device, info->min_mtu, max);
}

/* The number behind a word of the device's arguments. */
static uint32_t
device_number(const char *device, const char *word, uint32_t otherwise)
{
	const char *at = strstr(device, word);

	return at == NULL ? otherwise : (uint32_t)strtoul(at + strlen(word), NULL, 0);
}

/* The kernel's header before a frame in a slot, 66 octets, and the frame's own. */
#define SLOT_HEAD    80
#define SLOT_DEFAULT 2048

/* What is larger than a slot loses its end, and nobody says so: then it shall not begin. */
static int
slots_check(const struct port *port, struct err *err)
{
	uint32_t framesz = device_number(port->device, ",framesz=", SLOT_DEFAULT);
	uint32_t least = port->link.mtu + SLOT_HEAD, good = RTE_ALIGN_CEIL(least, 256u);

	if (strcmp(port->driver, "net_af_packet") != 0 || framesz >= least)
		return 0;
	return err_set(
		err, -EINVAL,
		"port %s: mtu %u: device %s has slots of %u octets, which is %u too few: give "
		"it framesz=%u,blocksz=%u",
		port->link.name, port->link.mtu, port->device, framesz, least - framesz, good,
		16 * good);
}

/* What DPDK may be told: those that say less than they take would be refused their MTU. */
static uint16_t
mtu_to_say(const struct port *port, const struct rte_eth_dev_info *info)
{
	static const char *const modest[] = { "net_af_packet", "net_memif", "net_tap" };
	uint32_t max = info->max_rx_pktlen - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN;

	for (size_t i = 0; i < RTE_DIM(modest); i++)
		if (strcmp(port->driver, modest[i]) == 0)
			return (uint16_t)RTE_MIN(max, (uint32_t)port->link.mtu);
	return port->link.mtu;
}

/* The interface behind such a device. */
static int
kernel_mtu_set(const struct port *port, unsigned int index, struct err *err)
{
	struct ifreq r = { .ifr_mtu = port->link.mtu };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (s < 0)
		return err_set(err, -errno, "port %s: no socket to set mtu %u by: %s",
			       port->link.name, port->link.mtu, strerror(errno));
	if (if_indextoname(index, r.ifr_name) == NULL || ioctl(s, SIOCSIFMTU, &r) < 0)
		rc = err_set(err, -errno, "port %s: interface %s does not take mtu %u: %s",
			     port->link.name, r.ifr_name, port->link.mtu, strerror(errno));
	close(s);
	return rc;
}

/* Frames that do not fit one buffer come as chains only if the device is told so. */
static void
offloads_choose(struct port *port, const struct port_params *params,
		const struct rte_eth_dev_info *info, struct rte_mempool *pool,
		struct rte_eth_conf *conf)
{
	int room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	uint64_t rx = 0, tx = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

	if (port->link.mtu + RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 2 * RTE_VLAN_HLEN > room)
		rx |= RTE_ETH_RX_OFFLOAD_SCATTER;
	if (params->offloads) {
		rx |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
		tx |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	}
	/* Only now: a driver takes other, slower functions for its queues then. */
	if (params->ipsec) {
		rx |= RTE_ETH_RX_OFFLOAD_SECURITY;
		tx |= RTE_ETH_TX_OFFLOAD_SECURITY;
	}
	conf->rxmode.offloads = rx & info->rx_offload_capa;
	conf->txmode.offloads = tx & info->tx_offload_capa;
	port->rx_checksum = (conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0;
	port->tx_checksum = (conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
}

static void
rss_choose(struct port *port, const struct rte_eth_dev_info *info, uint16_t n_rx,
	   struct rte_eth_conf *conf)
{
	uint64_t fields = RSS_FIELDS & info->flow_type_rss_offloads;

	if (n_rx < 2 || fields == 0)
		return;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = fields;
	port->rss = fields;
}

static int
queues_choose(struct port *port, const struct port_params *params,
	      const struct rte_eth_dev_info *info, uint16_t n_workers, uint16_t *n_rx,
	      uint16_t *n_tx, struct err *err)
{
	uint64_t owners = params->workers;
	uint16_t want =
		params->rx_queues != 0 ? params->rx_queues : (uint16_t)__builtin_popcountll(owners);

	want = RTE_MIN(want, PORT_QUEUES_MAX);
	*n_rx = RTE_MIN(want, info->max_rx_queues);
	*n_tx = RTE_MIN(n_workers, info->max_tx_queues);
	if (*n_tx == 0)
		return err_set(err, -ENODEV, "port %s: device %s has no TX queue", port->link.name,
			       port->device);
	return 0;
}

/* net_tap, net_af_xdp and net_vhost take only as many RX as TX queues. */
static int
device_configure(struct port *port, uint16_t *n_rx, uint16_t *n_tx, const struct rte_eth_conf *conf,
		 struct err *err)
{
	int rc = rte_eth_dev_configure(port->dpdk_id, *n_rx, *n_tx, conf);

	if (rc < 0 && *n_rx != *n_tx && *n_rx > 0) {
		*n_rx = *n_tx = RTE_MIN(*n_rx, *n_tx);
		rc = rte_eth_dev_configure(port->dpdk_id, *n_rx, *n_tx, conf);
	}
	if (rc < 0)
		return err_set(err, rc,
			       "port %s: device %s cannot be configured with %u RX and %u TX "
			       "queues, mtu %u: %s",
			       port->link.name, port->device, *n_rx, *n_tx, port->link.mtu,
			       rte_strerror(-rc));
	return 0;
}

static int
queues_setup(struct port *port, const struct port_params *params, const struct rte_eth_conf *conf,
	     struct rte_eth_dev_info *info, struct rte_mempool *const pools[], struct err *err)
{
	uint16_t rx_desc = params->rx_desc != 0 ? params->rx_desc : DESC_DEFAULT;
	uint16_t tx_desc = params->tx_desc != 0 ? params->tx_desc : DESC_DEFAULT;
	int socket = rte_eth_dev_socket_id(port->dpdk_id);
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->dpdk_id, &rx_desc, &tx_desc);

	if (rc < 0)
		return err_set(err, rc, "port %s: device %s: %u and %u descriptors: %s",
			       port->link.name, port->device, rx_desc, tx_desc, rte_strerror(-rc));
	info->default_rxconf.offloads = conf->rxmode.offloads;
	info->default_txconf.offloads = conf->txmode.offloads;
	for (uint16_t q = 0; q < port->map.n_rx; q++) {
		struct rte_mempool *pool = pools[port->map.rx_owner[q]];

		rc = rte_eth_rx_queue_setup(port->dpdk_id, q, rx_desc, socket,
					    &info->default_rxconf, pool);
		if (rc < 0)
			return err_set(err, rc,
				       "port %s: device %s: RX queue %u of %u descriptors: %s",
				       port->link.name, port->device, q, rx_desc,
				       rte_strerror(-rc));
	}
	for (uint16_t q = 0; q < port->map.n_tx; q++) {
		rc = rte_eth_tx_queue_setup(port->dpdk_id, q, tx_desc, socket,
					    &info->default_txconf);
		if (rc < 0)
			return err_set(err, rc,
				       "port %s: device %s: TX queue %u of %u descriptors: %s",
				       port->link.name, port->device, q, tx_desc,
				       rte_strerror(-rc));
	}
	return 0;
}

/* A device that knows no such setting (-ENOTSUP) has none to get wrong. */
static int
settings_make(struct port *port, const struct rte_eth_dev_info *info, struct err *err)
{
	uint16_t mtu = mtu_to_say(port, info);
	int rc = rte_eth_dev_set_mtu(port->dpdk_id, mtu);

	if (rc < 0 && rc != -ENOTSUP)
		return err_set(err, rc, "port %s: device %s does not take mtu %u: %s",
			       port->link.name, port->device, mtu, rte_strerror(-rc));
	rc = mtu < port->link.mtu && info->if_index != 0 ?
		     kernel_mtu_set(port, info->if_index, err) :
		     0;
	if (rc < 0)
		return rc;
	rc = port->promiscuous ? rte_eth_promiscuous_enable(port->dpdk_id) : 0;
	if (rc < 0 && rc != -ENOTSUP)
		return err_set(err, rc, "port %s: device %s does not go promiscuous: %s",
			       port->link.name, port->device, rte_strerror(-rc));
	/* Neighbour discovery is multicast. Classify sorts out what is not for us. */
	rc = rte_eth_allmulticast_enable(port->dpdk_id);
	if (rc < 0 && rc != -ENOTSUP)
		return err_set(err, rc, "port %s: device %s does not take multicast: %s",
			       port->link.name, port->device, rte_strerror(-rc));
	rc = rte_eth_macaddr_get(port->dpdk_id, &port->link.mac);
	if (rc < 0)
		return err_set(err, rc, "port %s: device %s has no MAC address: %s",
			       port->link.name, port->device, rte_strerror(-rc));
	return 0;
}

int
device_setup(struct port *port, const struct port_params *params, struct rte_eth_dev_info *info,
	     uint16_t n_workers, struct rte_mempool *const pools[], struct err *err)
{
	struct rte_eth_conf conf = { .rxmode.mtu = mtu_to_say(port, info) };
	uint16_t n_rx, n_tx;
	int rc;

	rc = mtu_check(port, info, err);
	if (rc == 0)
		rc = slots_check(port, err);
	if (rc < 0)
		return rc;
	rc = queues_choose(port, params, info, n_workers, &n_rx, &n_tx, err);
	if (rc < 0)
		return rc;
	offloads_choose(port, params, info, pools[0], &conf);
	rss_choose(port, info, n_rx, &conf);
	rc = device_configure(port, &n_rx, &n_tx, &conf, err);
	if (rc < 0)
		return rc;
	port_place(&port->map, n_workers, params->workers, port->link.index, n_rx, n_tx);
	port_steer_init(port, &steer_flow);
	rc = queues_setup(port, params, &conf, info, pools, err);
	return rc < 0 ? rc : settings_make(port, info, err);
}

int
device_renew(struct port *port, struct rte_mempool *const pools[], struct err *err)
{
	uint16_t n_rx = port->map.n_rx, n_tx = port->map.n_tx;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = { 0 };
	int rc = rte_eth_dev_info_get(port->dpdk_id, &info);

	if (rc < 0)
		return err_set(err, rc, "port %s: device %s tells nothing of itself: %s",
			       port->link.name, port->device, rte_strerror(-rc));
	conf.rxmode.mtu = mtu_to_say(port, &info);
	offloads_choose(port, &port->params, &info, pools[0], &conf);
	rss_choose(port, &info, n_rx, &conf);
	rc = device_configure(port, &n_rx, &n_tx, &conf, err);
	if (rc == 0 && (n_rx != port->map.n_rx || n_tx != port->map.n_tx))
		rc = err_set(err, -ENOTSUP, "port %s: device %s has fewer queues now",
			     port->link.name, port->device);
	if (rc == 0)
		rc = queues_setup(port, &port->params, &conf, &info, pools, err);
	return rc < 0 ? rc : settings_make(port, &info, err);
}

void
device_close(struct port *port)
{
	struct rte_eth_dev_info info;
	bool known = rte_eth_dev_info_get(port->dpdk_id, &info) == 0;

	rte_eth_dev_close(port->dpdk_id);
	if (port->plugged && known)
		rte_dev_remove(info.device);
}
