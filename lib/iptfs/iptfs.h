/* IP-TFS's part of a worker: what control and the loop's end want of it. */
#ifndef IPTFS_IPTFS_H
#define IPTFS_IPTFS_H

#include <stdint.h>

#include <rte_common.h>

#include "aggfrag/wheel.h"
#include "base/err.h"
#include "stats/drops.h"

struct worker;

struct iptfs_worker {
	uint64_t held_out, held_in; /* cells: packets that wait */
	struct wheel out;	    /* when streams are to send: iptfs_tick */
	struct wheel in;	    /* when missing payloads are given up: iptfs_deliver */
} __rte_cache_aligned;

/* Control. -ENOMEM. */
int iptfs_worker_init(struct worker *w, struct err *err);
void iptfs_worker_fini(struct worker *w);

/* Any thread: inner packets in streams, payloads that wait. */
uint32_t iptfs_held(const struct worker *w);

/* The worker has stopped: ends all that waits. */
void iptfs_drop(struct worker *w, enum drop_reason why);

#endif
