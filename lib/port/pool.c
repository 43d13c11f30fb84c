#include "port/port.h"

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include "port/port_stage.h"

/* What a worker may hold beside the ports' queues: its mempool cache, bursts under way, packets
 * pushed to stages aside.
 */
#define POOL_PER_WORKER (PORT_POOL_CACHE * 3 / 2 + PORT_RING_SIZE + 2048)
/* Behind the packet: ESP padding, trailer and tag, and the frame's header and VLAN tags before the
 * cut. */
#define POOL_TAIL 320u

uint32_t
port_pool_auto(const struct port_params *params, uint8_t n_ports, uint16_t n_workers)
{
	uint32_t n = 1 + n_workers * POOL_PER_WORKER;

	for (uint8_t i = 0; i < n_ports; i++) {
		const struct port_params *p = &params[i];
		uint32_t rx = p->rx_queues != 0 ? p->rx_queues : n_workers;

		n += rx * (p->rx_desc != 0 ? p->rx_desc : 1024);
		n += n_workers * ((p->tx_desc != 0 ? p->tx_desc : 1024) + PORT_TX_BUFFER);
	}
	return n;
}

/* Where more lcores than CPUs run, one may lose its CPU inside the pool's ring: with the default
 * ring all others then spin until it comes back, with relaxed tail sync they go on.
 */
static const char *
pool_ops(void)
{
	rte_cpuset_t all;
	unsigned int lcore;

	CPU_ZERO(&all);
	RTE_LCORE_FOREACH(lcore)
	{
		rte_cpuset_t set = rte_lcore_cpuset(lcore);

		CPU_OR(&all, &all, &set);
	}
	return (unsigned int)CPU_COUNT(&all) < rte_lcore_count() ? "ring_mt_rts" : NULL;
}

int
port_pool_create(const char *name, uint32_t n, uint16_t mtu, int socket, struct rte_mempool **out,
		 struct err *err)
{
	uint32_t room =
		RTE_MAX(RTE_ALIGN_CEIL(mtu + POOL_TAIL, (uint32_t)RTE_CACHE_LINE_SIZE), 2048u);
	uint32_t cache = RTE_MIN((uint32_t)PORT_POOL_CACHE, n * 2 / 3);

	if (mtu > PORT_MTU_MAX)
		return err_set(err, -EINVAL, "pool %s: mtu %u, at most %u", name, mtu,
			       PORT_MTU_MAX);
	*out = rte_pktmbuf_pool_create_by_ops(name, n, cache, sizeof(struct pkt),
					      RTE_PKTMBUF_HEADROOM + room, socket, pool_ops());
	if (*out == NULL)
		return err_set(
			err, -rte_errno,
			"pool %s: %u buffers of %u octets on socket %d (%u MiB): %s; give the EAL "
			"more memory or set gateway.mbufs lower",
			name, n, room, socket, (uint32_t)((uint64_t)n * (room + 384) >> 20),
			rte_strerror(rte_errno));
	return 0;
}
