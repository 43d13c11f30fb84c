/* Rules by which a device puts ESP of one SPI into one receive queue, and so with the worker that
 * owns the SA: rte_flow of ETH / IPV4 or IPV6 / [UDP] / ESP with that SPI → QUEUE.
 *
 * Devices say what they take only by taking it: of a rule that is refused the reason stays in
 * struct port_steering, and a full table is known by the first rule that finds no room. Stopping a
 * device ends its rules. Control only; a port is full or refusing until it is stopped.
 */
#ifndef PORT_STEER_H
#define PORT_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define STEER_WHY_SIZE 96

struct port;
struct rte_flow;

struct steer_rule {
	uint32_t spi; /* host order */
	bool v6, udp;
	uint16_t udp_dst; /* host order; with udp */
	uint16_t queue;
};

/* What a device does for it; tests have one of their own. */
struct steer_ops {
	/* *full: there was no room for it; else it takes no such rule. err says what it said. */
	int (*add)(uint16_t dpdk_id, const struct steer_rule *rule, struct rte_flow **flow,
		   bool *full, struct err *err);
	void (*del)(uint16_t dpdk_id, struct rte_flow *flow);
};

/* By rte_flow. */
extern const struct steer_ops steer_flow;

/* IPv4 or IPv6, with UDP or without: a device may take some of them. */
#define STEER_KINDS 4

struct port_steering {
	const struct steer_ops
		*ops; /* NULL: it has one queue, so that there is nothing to choose */
	uint32_t n;   /* rules in force */
	uint32_t max; /* as many were there when it was full; UINT32_MAX: not known */
	char full_why[STEER_WHY_SIZE];
	struct {
		bool takes, refuses; /* neither: nobody asked yet */
		char why[STEER_WHY_SIZE];
	} kinds[STEER_KINDS];
};

/* Of one kind's rules; for people. */
const char *steer_kind_name(unsigned int kind);

/* Once the port's queues are settled. */
void port_steer_init(struct port *port, const struct steer_ops *ops);

/* Stores the rule's handle. -ENOSPC: its table is full; -ENOTSUP: it takes none of that kind, or
 * has one queue.
 */
int port_steer_add(struct port *port, const struct steer_rule *rule, struct rte_flow **flow,
		   struct err *err);
void port_steer_del(struct port *port, struct rte_flow *flow);
/* Why the port would take no such rule, as far as it is known: a device's words, else "". */
const char *port_steer_why(const struct port *port, const struct steer_rule *rule);
/* The device was stopped: it has none of its rules any more, and may take others than before. */
void port_steer_reset(struct port *port);

#endif
