/* A worker for tests of stages: no lcore, no pipe, all slots empty. Needs an EAL. */
#ifndef TESTS_WORKER_H
#define TESTS_WORKER_H

#include <rte_malloc.h>

#include "worker/worker.h"

static inline struct worker *
test_worker_new(uint16_t index, uint16_t n_workers)
{
	struct worker *w = rte_zmalloc("worker", sizeof(*w), RTE_CACHE_LINE_SIZE);

	assert_non_null(w);
	w->index = index;
	w->n_workers = n_workers;
	w->burst = 32;
	w->socket = SOCKET_ID_ANY;
	return w;
}

static inline uint64_t
test_worker_dropped(const struct worker *w)
{
	uint64_t n = 0;

	for (int i = 0; i < DROP_MAX; i++)
		n += w->drops[i];
	return n;
}

/* A packet of n octets, all zero, that no stage has seen. */
static inline struct rte_mbuf *
test_mbuf_new(struct rte_mempool *pool, uint16_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	assert_non_null(m);
	memset(rte_pktmbuf_append(m, n), 0, n);
	*pkt_of(m) = (struct pkt) {
		.sa = SA_NONE,
		.policy = POLICY_NONE,
		.next_hop = NEXT_HOP_NONE,
	};
	return m;
}

#endif
