/* The rule of rte_flow that leads packets to a session. */
#include <errno.h>
#include <string.h>

#include <rte_errno.h>

#include "driver.h"

#define ALL16 RTE_BE16(0xffff)
#define ALL32 RTE_BE32(0xffffffff)

struct items {
	struct rte_flow_item pattern[5];
	struct rte_flow_item_ipv4 ipv4, ipv4_mask;
	struct rte_flow_item_ipv6 ipv6, ipv6_mask;
	struct rte_flow_item_udp udp, udp_mask;
	struct rte_flow_item_esp esp, esp_mask;
};

/* The SA is found by its SPI and our address. The peer's stands there for drivers that note it
 * (ixgbe), and is not compared: behind a NAT it may change. */
static void
address_items(struct items *i, const struct offload_ask *ask)
{
	if (ask->dst.family == 4) {
		memcpy(&i->ipv4.hdr.src_addr, ask->src.octets, 4);
		memcpy(&i->ipv4.hdr.dst_addr, ask->dst.octets, 4);
		i->ipv4_mask.hdr.dst_addr = ALL32;
		i->pattern[1] = (struct rte_flow_item) {
			.type = RTE_FLOW_ITEM_TYPE_IPV4,
			.spec = &i->ipv4,
			.mask = &i->ipv4_mask,
		};
		return;
	}
	memcpy(i->ipv6.hdr.src_addr, ask->src.octets, 16);
	memcpy(i->ipv6.hdr.dst_addr, ask->dst.octets, 16);
	memset(i->ipv6_mask.hdr.dst_addr, 0xff, 16);
	i->pattern[1] = (struct rte_flow_item) {
		.type = RTE_FLOW_ITEM_TYPE_IPV6,
		.spec = &i->ipv6,
		.mask = &i->ipv6_mask,
	};
}

static void
items_fill(struct items *i, const struct offload_ask *ask)
{
	int n = 2;

	memset(i, 0, sizeof(*i));
	i->pattern[0].type = RTE_FLOW_ITEM_TYPE_ETH;
	address_items(i, ask);
	if (ask->udp) {
		i->udp.hdr.src_port = rte_cpu_to_be_16(ask->udp_src);
		i->udp.hdr.dst_port = rte_cpu_to_be_16(ask->udp_dst);
		i->udp_mask.hdr.dst_port = ALL16;
		i->pattern[n++] = (struct rte_flow_item) {
			.type = RTE_FLOW_ITEM_TYPE_UDP,
			.spec = &i->udp,
			.mask = &i->udp_mask,
		};
	}
	i->esp.hdr.spi = rte_cpu_to_be_32(ask->spi);
	i->esp_mask.hdr.spi = ALL32;
	i->pattern[n++] = (struct rte_flow_item) {
		.type = RTE_FLOW_ITEM_TYPE_ESP,
		.spec = &i->esp,
		.mask = &i->esp_mask,
	};
	i->pattern[n].type = RTE_FLOW_ITEM_TYPE_END;
}

int
inline_rule_create(const struct offload_port *op, const struct offload_ask *ask, void *security,
		   struct rte_flow **rule, struct err *err)
{
	struct rte_flow_attr attr = { .ingress = ask->inbound, .egress = !ask->inbound };
	/* The session itself is what drivers of 22.11 take for the action's conf, not the struct
	 * that rte_flow.h has for it; session.c lets both lead there. */
	struct rte_flow_action actions[] = {
		{ .type = RTE_FLOW_ACTION_TYPE_SECURITY, .conf = security },
		{ .type = RTE_FLOW_ACTION_TYPE_END },
	};
	struct rte_flow_error error = { 0 };
	struct items items;

	items_fill(&items, ask);
	rte_errno = 0;
	*rule = op->provider->flow_create(op->dpdk_id, &attr, items.pattern, actions, &error);
	if (*rule != NULL)
		return 0;
	return err_set(err, rte_errno == ENOSPC ? -ENOSPC : -EIO, "the device refused the rule: %s",
		       error.message != NULL ? error.message :
		       rte_errno != 0	     ? rte_strerror(rte_errno) :
					       "it does not say why");
}
