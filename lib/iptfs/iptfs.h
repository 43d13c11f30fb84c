/* IP-TFS's part of a worker: what control and the loop's end want of it. */
#ifndef IPTFS_IPTFS_H
#define IPTFS_IPTFS_H

#include <stdint.h>

#include <rte_common.h>

#include "aggfrag/wheel.h"
#include "base/err.h"
#include "stats/drops.h"

struct aggfrag_receiver;
struct worker;

struct iptfs_worker {
	uint64_t held_out, held_in; /* cells: packets that wait */
	struct wheel out;	    /* when streams are to send: iptfs_tick */
	struct aggfrag_receiver *in;
} __rte_cache_aligned;

/* Control. -ENOMEM. */
int iptfs_worker_init(struct worker *w, struct err *err);
void iptfs_worker_fini(struct worker *w);

/* Before the worker runs, or by mail: there is an SA with IP-TFS, or is to be one. It asks the
 * sources of IP-TFS from now on.
 */
void iptfs_run(struct worker *w, void *arg);

/* By mail, before an inbound SA with streams of its own is retired: no payload is waited for any
 * more, and all that came is delivered. arg: the struct sa, which stays until the mail is run.
 */
void iptfs_in_close(struct worker *w, void *arg);
/* By mail, when it is retired: its streams hold nothing afterwards. */
void iptfs_in_forget(struct worker *w, void *arg);

/* Any thread: inner packets in streams, payloads that wait. */
uint32_t iptfs_held(const struct worker *w);
/* Of these, payloads that may wait for others. */
uint32_t iptfs_waiting(const struct worker *w);

/* The worker has stopped: ends all that waits. */
void iptfs_drop(struct worker *w, enum drop_reason why);

#endif
