#include "punt/punt_stage.h"

#include "worker/worker.h"

uint16_t
punt(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		drop(w, pkts[i], DROP_NO_LISTENER);
	return 0;
}
