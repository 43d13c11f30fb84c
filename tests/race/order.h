/* What ThreadSanitizer cannot see: that a packet that went through a ring inside DPDK's own
 * libraries is the taker's from then on. Each packet is given and taken by itself, so that no more
 * is said to be ordered than is. Nothing, without the sanitizer.
 */
#ifndef TESTS_RACE_ORDER_H
#define TESTS_RACE_ORDER_H

#include <dlfcn.h>

#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

#include "rig.h"

#if TEST_TSAN
void __tsan_acquire(void *at);
void __tsan_release(void *at);

static inline void
race_tsan_give(void *m)
{
	__tsan_release(m);
}

static inline void
race_tsan_take(void *m)
{
	__tsan_acquire(m);
}

static rte_mempool_enqueue_t race_pool_enqueue;
static rte_mempool_dequeue_t race_pool_dequeue;

static int
race_pool_give(struct rte_mempool *pool, void *const *objects, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		race_tsan_give(objects[i]);
	return race_pool_enqueue(pool, objects, n);
}

static int
race_pool_take(struct rte_mempool *pool, void **objects, unsigned int n)
{
	int rc = race_pool_dequeue(pool, objects, n);

	for (unsigned int i = 0; rc == 0 && i < n; i++)
		race_tsan_take(objects[i]);
	return rc;
}

/* The one kind of pool that more lcores than CPUs have: see lib/port/pool.c. */
static inline void
race_tsan_pools(void)
{
	for (uint32_t i = 0; i < rte_mempool_ops_table.num_ops; i++) {
		struct rte_mempool_ops *ops = &rte_mempool_ops_table.ops[i];

		if (strcmp(ops->name, "ring_mt_rts") != 0)
			continue;
		race_pool_enqueue = ops->enqueue;
		race_pool_dequeue = ops->dequeue;
		ops->enqueue = race_pool_give;
		ops->dequeue = race_pool_take;
	}
}

static uint16_t
race_rx(uint16_t port, uint16_t queue, struct rte_mbuf *pkts[], uint16_t n, uint16_t max, void *arg)
{
	for (uint16_t i = 0; i < n; i++)
		race_tsan_take(pkts[i]);
	return n;
}

static uint16_t
race_tx(uint16_t port, uint16_t queue, struct rte_mbuf *pkts[], uint16_t n, void *arg)
{
	for (uint16_t i = 0; i < n; i++)
		race_tsan_give(pkts[i]);
	return n;
}

static inline void
race_tsan_port(uint16_t port, uint16_t queues)
{
	for (uint16_t i = 0; i < queues; i++) {
		rte_eth_add_rx_callback(port, i, race_rx, NULL);
		rte_eth_add_tx_callback(port, i, race_tx, NULL);
	}
}
/* What an lcore was launched with, in the place of DPDK's own launch and wait. */
static struct race_lcore {
	lcore_function_t *run;
	void *arg;
} race_lcores[RTE_MAX_LCORE];

static int
race_lcore_main(void *arg)
{
	struct race_lcore *l = arg;
	int rc = l->run(l->arg);

	__tsan_release(l);
	return rc;
}

int
rte_eal_remote_launch(lcore_function_t *run, void *arg, unsigned int lcore)
{
	int (*launch)(lcore_function_t *, void *, unsigned int) =
		(int (*)(lcore_function_t *, void *, unsigned int))dlsym(RTLD_NEXT, __func__);

	race_lcores[lcore] = (struct race_lcore) { run, arg };
	return launch(race_lcore_main, &race_lcores[lcore], lcore);
}

void
rte_eal_mp_wait_lcore(void)
{
	unsigned int lcore;

	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		rte_eal_wait_lcore(lcore);
		__tsan_acquire(&race_lcores[lcore]);
	}
}
#else
static inline void
race_tsan_give(void *m)
{
}

static inline void
race_tsan_take(void *m)
{
}

static inline void
race_tsan_pools(void)
{
}

static inline void
race_tsan_port(uint16_t port, uint16_t queues)
{
}
#endif

#endif
