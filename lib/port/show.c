#include "port/port.h"

#include <inttypes.h>

#include "base/json.h"
#include "port/port_stage.h"
#include "stats/cell.h"

struct port_counters
port_counters(const struct ports *ports, uint8_t index)
{
	struct port_counters sum = { 0 };

	for (uint16_t i = 0; i < ports->n_workers; i++) {
		const struct port_counters *c = &ports->workers[i]->count[index];

		sum.rx_packets += cell_get(&c->rx_packets);
		sum.rx_bytes += cell_get(&c->rx_bytes);
		sum.tx_packets += cell_get(&c->tx_packets);
		sum.tx_bytes += cell_get(&c->tx_bytes);
	}
	return sum;
}

void
ports_clear(struct ports *ports)
{
	for (uint8_t i = 0; i < ports->n; i++)
		ports->cleared[i] = port_counters(ports, i);
}

static struct port_counters
counters_since_clear(const struct ports *ports, uint8_t index)
{
	const struct port_counters *before = &ports->cleared[index];
	struct port_counters c = port_counters(ports, index);

	c.rx_packets -= before->rx_packets;
	c.rx_bytes -= before->rx_bytes;
	c.tx_packets -= before->tx_packets;
	c.tx_bytes -= before->tx_bytes;
	return c;
}

struct rte_eth_link
port_link(const struct port *port)
{
	struct rte_eth_link link = { 0 };

	if (rte_eth_link_get_nowait(port->dpdk_id, &link) < 0)
		link = (struct rte_eth_link) { 0 };
	return link;
}

static void
print_head(const struct port *port, FILE *f)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE], status[RTE_ETH_LINK_MAX_STR_LEN], text[ADDR_TEXT_SIZE];
	struct rte_eth_link link = port_link(port);

	rte_ether_format_addr(mac, sizeof(mac), &port->link.mac);
	rte_eth_link_to_str(status, sizeof(status), &link);
	fprintf(f, "%s: %s, %s, %s, mtu %u, %s%s%s\n", port->link.name,
		port->link.side == PORT_RED ? "red" : "black", port->device, mac, port->link.mtu,
		status, port->rx_checksum ? ", checks checksums" : "",
		port->tx_checksum ? ", fills in checksums" : "");
	for (uint8_t i = 0; i < port->link.n_addresses; i++)
		fprintf(f, "  address %s/%u\n", addr_text(&port->link.addresses[i].addr, text),
			port->link.addresses[i].len);
}

/* What packets are spread by. */
static const struct {
	uint64_t fields;
	const char *name;
} hashed[] = {
	{ RTE_ETH_RSS_IP, "addresses" },
	{ RTE_ETH_RSS_UDP, "UDP ports" },
	{ RTE_ETH_RSS_ESP, "ESP SPI" },
	{ RTE_ETH_RSS_AH, "AH SPI" },
};

static void
print_steering(const struct port *port, FILE *f)
{
	const struct port_steering *s = &port->steering;
	bool any = false;

	if (s->ops == NULL)
		return;
	fprintf(f, "  queues by");
	for (size_t i = 0; i < RTE_DIM(hashed); i++) {
		if ((port->rss & hashed[i].fields) == 0)
			continue;
		fprintf(f, "%s %s", any ? "," : "", hashed[i].name);
		any = true;
	}
	fprintf(f, "%s; %u rules by SPI", any ? "" : " no hash of ours", s->n);
	if (s->max != UINT32_MAX)
		fprintf(f, ", full at %u: %s", s->max, s->full_why);
	fputc('\n', f);
	for (unsigned int k = 0; k < STEER_KINDS; k++)
		if (s->kinds[k].refuses)
			fprintf(f, "  no rules of %s: %s\n", steer_kind_name(k), s->kinds[k].why);
}

static void
json_steering(const struct port *port, struct json *j)
{
	const struct port_steering *s = &port->steering;

	json_array(j, "hashed");
	for (size_t i = 0; i < RTE_DIM(hashed); i++)
		if ((port->rss & hashed[i].fields) != 0)
			json_string(j, NULL, hashed[i].name);
	json_end(j);
	json_u64(j, "rules", s->n);
	if (s->max != UINT32_MAX) {
		json_u64(j, "rules_max", s->max);
		json_string(j, "rules_full", s->full_why);
	}
	json_object(j, "rules_refused");
	for (unsigned int k = 0; k < STEER_KINDS; k++)
		if (s->kinds[k].refuses)
			json_string(j, steer_kind_name(k), s->kinds[k].why);
	json_end(j);
}

static void
print_worker(const struct port_map *map, uint16_t worker, FILE *f)
{
	bool any = false;

	fprintf(f, "  worker %u: reads", worker);
	for (uint16_t q = 0; q < map->n_rx; q++) {
		if (map->rx_owner[q] != worker)
			continue;
		fprintf(f, "%s %u", any ? "," : " queue", q);
		any = true;
	}
	if (map->tx_via[worker] == worker)
		fprintf(f, "%s; sends by queue %u\n", any ? "" : " nothing", map->tx_queue[worker]);
	else
		fprintf(f, "%s; sends through worker %u\n", any ? "" : " nothing",
			map->tx_via[worker]);
}

void
port_print(const struct ports *ports, FILE *f)
{
	for (uint8_t i = 0; i < ports->n; i++) {
		struct port_counters c = counters_since_clear(ports, i);

		print_head(ports->list[i], f);
		fprintf(f,
			"  rx %" PRIu64 " packets, %" PRIu64 " bytes; tx %" PRIu64
			" packets, %" PRIu64 " bytes\n",
			c.rx_packets, c.rx_bytes, c.tx_packets, c.tx_bytes);
		print_steering(ports->list[i], f);
		for (uint16_t w = 0; w < ports->n_workers; w++)
			print_worker(&ports->list[i]->map, w, f);
	}
}

static void
json_worker(const struct port_map *map, uint16_t worker, struct json *j)
{
	json_object(j, NULL);
	json_u64(j, "worker", worker);
	json_array(j, "rx_queues");
	for (uint16_t q = 0; q < map->n_rx; q++)
		if (map->rx_owner[q] == worker)
			json_u64(j, NULL, q);
	json_end(j);
	if (map->tx_via[worker] == worker)
		json_u64(j, "tx_queue", map->tx_queue[worker]);
	else
		json_u64(j, "tx_through_worker", map->tx_via[worker]);
	json_end(j);
}

static void
json_head(const struct port *port, struct json *j)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE], text[ADDR_TEXT_SIZE];
	struct rte_eth_link link = port_link(port);

	rte_ether_format_addr(mac, sizeof(mac), &port->link.mac);
	json_string(j, "device", port->device);
	json_string(j, "driver", port->driver);
	json_string(j, "side", port->link.side == PORT_RED ? "red" : "black");
	json_string(j, "mac", mac);
	json_u64(j, "mtu", port->link.mtu);
	json_u64(j, "resets", port->resets);
	json_bool(j, "link", link.link_status == RTE_ETH_LINK_UP);
	if (link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		json_u64(j, "speed_mbps", link.link_speed);
	json_bool(j, "rx_checksum", port->rx_checksum);
	json_bool(j, "tx_checksum", port->tx_checksum);
	json_array(j, "addresses");
	for (uint8_t i = 0; i < port->link.n_addresses; i++) {
		struct prefix p = { port->link.addresses[i].addr, port->link.addresses[i].len };

		json_string(j, NULL, prefix_text(&p, text));
	}
	json_end(j);
}

void
port_json(const struct ports *ports, struct json *j)
{
	for (uint8_t i = 0; i < ports->n; i++) {
		struct port_counters c = counters_since_clear(ports, i);

		json_object(j, ports->list[i]->link.name);
		json_head(ports->list[i], j);
		json_u64(j, "rx_packets", c.rx_packets);
		json_u64(j, "rx_bytes", c.rx_bytes);
		json_u64(j, "tx_packets", c.tx_packets);
		json_u64(j, "tx_bytes", c.tx_bytes);
		json_steering(ports->list[i], j);
		json_array(j, "workers");
		for (uint16_t w = 0; w < ports->n_workers; w++)
			json_worker(&ports->list[i]->map, w, j);
		json_end(j);
		json_end(j);
	}
}
