/* The whole gateway inside a test program: its real workers on threads of their own, its control on
 * the test's thread, and ports in memory, a ring for each queue. A case may feed any worker, sees
 * every frame that is sent, and may reload, delete or move what it likes meanwhile.
 *
 * Each case runs in a process of its own, with as many workers as it wants; they share the CPUs
 * there are. What does not hold ends the case by race_must(). Under ThreadSanitizer a report fails
 * the case, too.
 *
 * DPDK itself is not built with the sanitizer. What its libraries order between threads without it
 * seeing so is told to it in rig.c: a pool's ring, and the rings of the ports.
 */
#ifndef TESTS_RACE_RIG_H
#define TESTS_RACE_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "ctl/gw.h"
#include "../unit/tsan.h"
#include "base/poller.h"
#include "ctl/report.h"

#define RACE_WORKERS_MAX 16
#define RACE_RING_SIZE	 4096
#define RACE_WAN	 0
#define RACE_LAN	 1

struct race_port {
	uint16_t dpdk_id;
	struct rte_ring *in[RACE_WORKERS_MAX];	/* by receive queue */
	struct rte_ring *out[RACE_WORKERS_MAX]; /* by transmit queue */
};

struct race {
	struct gw gw;
	struct race_port ports[2];
	struct rte_mempool *pool;
	uint16_t workers;
	struct poller poller;
	char folder[32]; /* with the configuration, and the state file where there is one */
	bool has_state;	 /* to be set before race_start(): numbers are reserved in a state file */
	uint64_t fed, sent;
};

/* One case of a program. */
struct race_case {
	const char *what; /* a sentence */
	uint16_t workers;
	void (*run)(struct race *r);
};

/* main() of each program: TAP. */
int race_main(const struct race_case *cases, unsigned int n);

/* Ends the case with a sentence unless held. */
void race_must(bool held, const char *sentence, ...) __attribute__((format(printf, 2, 3)));

/* How often: by default, under ThreadSanitizer, and where FULL is set in the environment. */
uint64_t race_times(uint64_t usual, uint64_t sanitized, uint64_t full);
uint64_t race_random(uint64_t below);

/* Writes the configuration and starts the gateway from it. tunnels: text of the sections behind
 * `neighbours`. The laboratory is that of the packet tests: black 192.0.2.1, red 10.254.0.1, what
 * is behind it 10.1.0.0/16.
 */
void race_start(struct race *r, const char *tunnels);
/* The same file with other sections, read again by the gateway that runs. */
void race_reload(struct race *r, const char *tunnels);
/* Ends the gateway, after all that is inside was sent, and looks at conservation. */
void race_stop(struct race *r);

/* A frame with room for len octets of an IP packet, which *ip points to; its header is there. */
struct rte_mbuf *race_frame(struct race *r, uint16_t len, uint8_t **ip);
/* Gives frames to the receive queue that a worker reads. False: there is no room, the frames stay
 * the caller's.
 */
bool race_feed(struct race *r, uint8_t port, uint16_t worker, struct rte_mbuf **frames, uint16_t n);
/* Takes what was sent by a port and shows its IP packets. Returns how many. */
uint32_t race_take(struct race *r, uint8_t port,
		   void (*see)(void *ctx, const uint8_t *ip, uint16_t len), void *ctx);
/* Control's work between two looks. */
void race_tick(struct race *r);
/* How many packets that were fed are neither sent nor dropped nor consumed yet. */
uint64_t race_inside(struct race *r);
/* Prints where packets ended, to stderr. */
void race_show(const struct race *r);

#endif
