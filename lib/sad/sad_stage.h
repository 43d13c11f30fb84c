#ifndef SAD_SAD_STAGE_H
#define SAD_SAD_STAGE_H

#include "worker/stage.h"

/* Finds the SA of each ESP packet: pkt.sa, pkt.generation, pkt.hot. Drops no_sa, encap_mismatch.
 *
 * The packet still begins with its outer IP header; pkt.spi_be and pkt.esp_off are set.
 */
stage_fn sad_lookup;

#endif
