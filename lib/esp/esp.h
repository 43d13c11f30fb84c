/* ESP's part of a worker. */
#ifndef ESP_ESP_H
#define ESP_ESP_H

#include <stdint.h>

#include "alg/alg.h"
#include "base/err.h"
#include "worker/stage.h"

/* Owner only. */
struct esp_worker {
	uint16_t ipv4_id; /* of outer packets that may be fragmented on the way (RFC 6864) */
	/* Tags of packets whose own lie in two segments: in one piece for the engine. */
	uint8_t tags[BURST_MAX][ALG_ICV_MAX];
};

int esp_worker_init(uint16_t worker, int socket, struct esp_worker **out, struct err *err);
void esp_worker_fini(struct esp_worker *ew);

#endif
