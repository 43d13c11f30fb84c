/* What IPComp and ESP know of each other. */
#ifndef ESP_COMP_H
#define ESP_COMP_H

#include <stdint.h>

#include <rte_mbuf.h>

#include "sa/sa.h"
#include "worker/pkt.h"
#include "worker/worker.h"

/* Out, tunnel mode: the outer header is made from the inner one, which is compressed by then. So
 * many of its octets stay right before the data: IPv4's longest header and the ports.
 */
#define COMP_KEPT 64

/* The clear IP header of a packet on its way out. */
static inline const uint8_t *
comp_clear_header(const struct rte_mbuf *m, const struct sa *sa)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	bool kept = (pkt_of(m)->marks & PKT_COMP) != 0 && (sa->flags & SA_TRANSPORT) == 0;

	return kept ? data - COMP_KEPT : data;
}

/* An SA's counters and flows, as far as this worker writes them. */
static inline struct ipcomp_cell *
comp_cell(const struct worker *w, struct ipcomp_sa *is)
{
	return &is->cells[is->params.n_cells > 1 ? w->index : 0];
}

#endif
