#ifndef SAD_SAD_STAGE_H
#define SAD_SAD_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_prefetch.h>

#include "worker/stage.h"

struct rte_hash;
struct rte_mbuf;
struct rte_rcu_qsbr;
struct sa_table;

/* Finds the SA of each ESP packet: pkt.sa, pkt.generation, pkt.hot. Drops no_sa, encap_mismatch.
 *
 * The packet still begins with its outer IP header; pkt.spi_be and pkt.esp_off are set.
 */
stage_fn sad_lookup;
/* The same for AH, whose SPIs are its own. */
stage_fn sad_lookup_ah;

/* Whether an SA has this packet's SPI (pkt.spi_be) at its destination, ours or not. Not for the
 * fast path. */
bool sad_takes(const struct sad *sad, const struct rte_mbuf *m);

struct sad {
	const struct sa_table *sas;
	struct rte_hash *rest; /* SAs whose slot another SA holds; NULL until there is one */
	uint64_t *kept;	       /* control's: slots that wait for their SA, a bit each */
	uint32_t n_rest;       /* control's; read by workers before rest */
	uint32_t max_sas;      /* control's, as what follows */
	int socket;
	struct rte_rcu_qsbr *qsbr;
	uint32_t mask;
	uint32_t slots[]; /* SA index or SA_NONE */
};

static inline uint32_t *
sad_slot(const struct sad *sad, uint32_t spi_be)
{
	return (uint32_t *)(uintptr_t)&sad->slots[rte_be_to_cpu_32(spi_be) & sad->mask];
}

/* What sad_lookup reads first. With very many SAs that is far memory: classify asks for it, as soon
 * as it knows the SPI.
 */
static inline void
sad_prefetch(const struct sad *sad, uint32_t spi_be)
{
	rte_prefetch0(sad_slot(sad, spi_be));
}

#endif
