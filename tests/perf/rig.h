/* A gateway of one worker, made by hand: two ports that exist on paper, one pair of SAs (or many),
 * policies and routes around them. What the benches and the fuzz target of the packet path stand
 * on.
 *
 * The pair is a loop: what goes out by it can come in by it again.
 */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "alg/alg.h"
#include "crypto/engine.h"
#include "pipe/pipe.h"
#include "port/port.h"
#include "sa/sa.h"
#include "worker/worker.h"

enum rig_port {
	RIG_RED,
	RIG_BLACK,
};

struct rig_params {
	const struct engine *engine;
	const char *cipher, *auth; /* auth NULL with an AEAD */
	bool esn, outer_v6, transport, udp;
	uint32_t window;
	uint32_t n_mbufs;
	uint16_t burst;
	size_t key_cache;
	stage_fn *sink; /* in the place of port_tx */
};

struct rig {
	struct worker *w;
	struct rte_mempool *pool;
	struct sa_table sas;
	struct sad *sad;
	struct spd *spd;
	struct route *route;
	struct view view;
	struct pipe pipe;
	struct stage_row rows[STAGE_MAX];
	uint32_t out, in; /* SA indices */
	struct lane *lane_out, *lane_in;
	struct replay *window;
	struct icmp_sources *sources;
	struct port_worker *port;
};

/* Stops the program with a sentence when something cannot be had. */
void rig_make(struct rig *r, const struct rig_params *p);
void rig_free(struct rig *r);

/* An Ethernet frame as the red host sends it: UDP of size octets (IP total length) from 10.1.x.x
 * to 10.2.x.x, or the same of IPv6; flow chooses addresses and ports. Writes only the headers.
 * Returns their length.
 */
uint16_t rig_frame(const struct rig *r, uint8_t *at, bool v6, uint16_t size, uint32_t flow);

#endif
