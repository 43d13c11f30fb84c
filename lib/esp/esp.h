/* ESP's part of a worker. */
#ifndef ESP_ESP_H
#define ESP_ESP_H

#include <stdint.h>

#include "alg/alg.h"
#include "base/err.h"
#include "esp/echo.h"
#include "stats/drops.h"
#include "worker/stage.h"

struct pkt;
struct replay;
struct rte_mbuf;
struct sa;
struct worker;

#define ESP_MOVED_SLOTS 256

/* Where a peer was last told to have gone, of the SAs that share a slot. */
struct moved {
	uint32_t sa, generation;
	uint64_t at; /* ns; 0 = never */
	uint8_t address[16];
	uint16_t port;
};

/* Owner only. */
struct esp_worker {
	/* Tags of packets whose own lie in two segments: in one piece for the engine. */
	uint8_t tags[BURST_MAX][ALG_ICV_MAX];
	struct moved moved[ESP_MOVED_SLOTS];
	struct esp_echo_worker echo;
};

int esp_worker_init(int socket, struct esp_worker **out, struct err *err);
void esp_worker_fini(struct esp_worker *ew);

/* An authentic packet of a UDP-encapsulated inbound SA, as it came: tells control when the peer is
 * no longer where the SA says; of each place once in two seconds, as long as it is there.
 */
void mapping_check(struct worker *w, const struct rte_mbuf *m, const struct sa *sa);

/* An authentic packet's number stands above the mark of its window: accepts it after all, or
 * DROP_SEQ_WAIT; tells control when the ceiling is near.
 */
enum drop_reason window_wait(struct worker *w, const struct pkt *p, struct replay *window);

#endif
