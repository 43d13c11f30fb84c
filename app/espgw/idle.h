/* Whether a run over captures is over: nothing came for a while, and nothing is inside. */
#ifndef APP_IDLE_H
#define APP_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/worker.h"

struct gw;

struct idle {
	uint32_t after_ms;	     /* 0: never */
	uint64_t taken;		     /* packets, at the last look */
	uint64_t since;		     /* ms, CLOCK_MONOTONIC; 0: has not looked */
	uint64_t loops[WORKERS_MAX]; /* each worker's, then */
};

/* Looks; true once after_ms have passed in which no packet came, while each worker went round its
 * ports: time alone would end a run whose workers had not been given the CPU yet. Not while the
 * gateway is stopped: that is for whoever said `stop` to end.
 */
bool idle_is_over(struct idle *idle, const struct gw *gw, uint64_t now_ms);

#endif
