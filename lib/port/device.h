/* One DPDK device: found or plugged in, set up, given back. Steps of port_open. */
#ifndef PORT_DEVICE_H
#define PORT_DEVICE_H

#include "port/port.h"

/* Sets port->dpdk_id, plugged and driver. */
int device_find(struct port *port, struct rte_eth_dev_info *info, struct err *err);

/* Settles the queues, which port->map then has, and sets up all that can be before the start. */
int device_setup(struct port *port, const struct port_params *params, struct rte_eth_dev_info *info,
		 uint16_t n_workers, struct rte_mempool *const pools[], struct err *err);

/* Of a device that was reset: sets it up as it was. */
int device_renew(struct port *port, struct rte_mempool *const pools[], struct err *err);

/* Stopped already. Takes the device out if it was plugged in here. */
void device_close(struct port *port);

#endif
