#include "port/port.h"

#include <string.h>

#include <rte_log.h>

#include "port/port_stage.h"

void
port_shut(struct worker *w, uint8_t port, bool shut)
{
	struct port_worker *pw = w->port;

	for (uint16_t i = 0; i < pw->n_rx; i++)
		if (pw->rx[i].port == port)
			pw->rx[i].shut = shut;
	pw->tx[port].shut = shut;
}

/* The driver calls each try that finds nobody an error; the first was enough. */
static uint32_t
driver_hush(int *type)
{
	uint32_t level;

	*type = rte_log_register("pmd.net.memif");
	if (*type < 0)
		return 0;
	level = (uint32_t)rte_log_get_level((uint32_t)*type);
	rte_log_set_level((uint32_t)*type, RTE_LOG_CRIT);
	return level;
}

int
port_call_again(struct port *port, struct err *err)
{
	int type, rc = port_stop(port, err);
	uint32_t level;

	if (rc < 0)
		return rc;
	level = driver_hush(&type);
	rc = port_start(port, err);
	if (type >= 0)
		rte_log_set_level((uint32_t)type, level);
	return rc;
}

bool
port_link_changed(struct port *port, struct rte_eth_link *link)
{
	bool up;

	*link = port_link(port);
	up = link->link_status == RTE_ETH_LINK_UP;
	if (up == port->up)
		return false;
	port->up = up;
	return true;
}
