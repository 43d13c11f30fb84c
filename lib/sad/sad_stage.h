#ifndef SAD_SAD_STAGE_H
#define SAD_SAD_STAGE_H

#include <stdbool.h>

#include "worker/stage.h"

struct sad;

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

#endif
