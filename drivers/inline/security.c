/* Hardware: the security context of a device, and its rules. */
#include <errno.h>

#include <rte_ethdev.h>

#include "driver.h"

static struct rte_security_ctx *
security_open(uint16_t dpdk_id, const char *options, uint16_t n_workers, int socket,
	      struct err *err)
{
	struct rte_security_ctx *ctx = rte_eth_dev_get_sec_ctx(dpdk_id);
	struct rte_eth_conf conf;

	if (ctx == NULL) {
		err_set(err, -ENOTSUP, "the device has no IPsec (no security context)");
		return NULL;
	}
	if (rte_eth_dev_conf_get(dpdk_id, &conf) == 0 &&
	    (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SECURITY) == 0 &&
	    (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_SECURITY) == 0) {
		err_set(err, -ENOTSUP, "the device was set up without its IPsec");
		return NULL;
	}
	return ctx;
}

/* Of a driver that makes its context when it is set up. */
static struct rte_security_ctx *
security_renew(uint16_t dpdk_id)
{
	return rte_eth_dev_get_sec_ctx(dpdk_id);
}

static void
security_close(uint16_t dpdk_id)
{
}

const struct inline_provider inline_rte_security = {
	.name = "rte_security",
	.open = security_open,
	.close = security_close,
	.renew = security_renew,
	.flow_create = rte_flow_create,
	.flow_destroy = rte_flow_destroy,
	.sessions_max = UINT32_MAX,
};
