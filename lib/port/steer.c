#include "port/steer.h"

#include <errno.h>

#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_flow.h>

#include "port/port.h"

/* Drivers say a full table in many ways, and refuse a rule that they do not know in others. */
static bool
is_full(int rc)
{
	return rc == -ENOSPC || rc == -ENOMEM || rc == -ENOBUFS || rc == -EDQUOT;
}

static int
refused(int rc, const struct rte_flow_error *e, const char *what, struct err *err)
{
	return err_set(err, rc, "%s: %s", what,
		       e->message != NULL ? e->message : rte_strerror(-rc));
}

static int
flow_add(uint16_t dpdk_id, const struct steer_rule *rule, struct rte_flow **flow, bool *full,
	 struct err *err)
{
	const struct rte_flow_item_esp esp = { .hdr.spi = rte_cpu_to_be_32(rule->spi) };
	const struct rte_flow_item_esp esp_mask = { .hdr.spi = RTE_BE32(0xffffffff) };
	const struct rte_flow_item_udp udp = { .hdr.dst_port = rte_cpu_to_be_16(rule->udp_dst) };
	const struct rte_flow_item_udp udp_mask = { .hdr.dst_port = RTE_BE16(0xffff) };
	const struct rte_flow_action_queue queue = { .index = rule->queue };
	const struct rte_flow_action actions[] = {
		{ .type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &queue },
		{ .type = RTE_FLOW_ACTION_TYPE_END },
	};
	const struct rte_flow_attr attr = { .ingress = 1 };
	struct rte_flow_item items[5] = {
		{ .type = RTE_FLOW_ITEM_TYPE_ETH },
		{ .type = rule->v6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4 },
	};
	struct rte_flow_error e = { .message = NULL };
	int n = 2, rc;

	if (rule->udp)
		items[n++] = (struct rte_flow_item) { .type = RTE_FLOW_ITEM_TYPE_UDP,
						      .spec = &udp,
						      .mask = &udp_mask };
	items[n++] = (struct rte_flow_item) { .type = RTE_FLOW_ITEM_TYPE_ESP,
					      .spec = &esp,
					      .mask = &esp_mask };
	items[n] = (struct rte_flow_item) { .type = RTE_FLOW_ITEM_TYPE_END };
	*full = false;
	rc = rte_flow_validate(dpdk_id, &attr, items, actions, &e);
	if (rc < 0)
		return refused(rc, &e, "takes no rules by SPI", err);
	*flow = rte_flow_create(dpdk_id, &attr, items, actions, &e);
	if (*flow != NULL)
		return 0;
	rc = rte_errno != 0 ? -rte_errno : -EIO;
	*full = is_full(rc);
	return refused(rc, &e, *full ? "its table of rules is full" : "failed to make a rule", err);
}

static void
flow_del(uint16_t dpdk_id, struct rte_flow *flow)
{
	struct rte_flow_error e;

	/* One that a driver keeps all the same is of a packet's way only, not of its fate. */
	rte_flow_destroy(dpdk_id, flow, &e);
}

const struct steer_ops steer_flow = { flow_add, flow_del };

const char *
steer_kind_name(unsigned int kind)
{
	static const char *const names[STEER_KINDS] = {
		"ESP over IPv4",
		"ESP over IPv6",
		"ESP in UDP over IPv4",
		"ESP in UDP over IPv6",
	};

	return names[kind];
}

void
port_steer_init(struct port *port, const struct steer_ops *ops)
{
	port->steering = (struct port_steering) {
		.ops = port->map.n_rx > 1 ? ops : NULL,
		.max = UINT32_MAX,
	};
}

static unsigned int
kind_of(const struct steer_rule *rule)
{
	return (rule->udp ? 2 : 0) + (rule->v6 ? 1 : 0);
}

int
port_steer_add(struct port *port, const struct steer_rule *rule, struct rte_flow **flow,
	       struct err *err)
{
	struct port_steering *s = &port->steering;
	unsigned int kind = kind_of(rule);
	bool full = false;
	int rc;

	if (s->ops == NULL)
		return err_set(err, -ENOTSUP, "one queue");
	if (s->kinds[kind].refuses)
		return err_set(err, -ENOTSUP, "%s", s->kinds[kind].why);
	if (s->n >= s->max)
		return err_set(err, -ENOSPC, "%s", s->full_why);
	rc = s->ops->add(port->dpdk_id, rule, flow, &full, err);
	if (rc == 0) {
		s->kinds[kind].takes = true;
		s->n++;
		return 0;
	}
	/* What took such rules before has no room now, whatever its driver calls it. */
	if (full || s->kinds[kind].takes) {
		s->max = s->n;
		snprintf(s->full_why, sizeof(s->full_why), "%.95s", err->text);
		return -ENOSPC;
	}
	s->kinds[kind].refuses = true;
	snprintf(s->kinds[kind].why, sizeof(s->kinds[kind].why), "%.95s", err->text);
	return -ENOTSUP;
}

void
port_steer_del(struct port *port, struct rte_flow *flow)
{
	port->steering.ops->del(port->dpdk_id, flow);
	port->steering.n--;
}

const char *
port_steer_why(const struct port *port, const struct steer_rule *rule)
{
	const struct port_steering *s = &port->steering;

	if (s->kinds[kind_of(rule)].refuses)
		return s->kinds[kind_of(rule)].why;
	return s->n >= s->max ? s->full_why : "";
}

void
port_steer_reset(struct port *port)
{
	port_steer_init(port, port->steering.ops);
}
