/* IP-TFS's part of a worker: what control and the loop's end want of it. */
#ifndef IPTFS_IPTFS_H
#define IPTFS_IPTFS_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "aggfrag/wheel.h"
#include "base/err.h"
#include "stats/drops.h"

struct aggfrag_out;
struct aggfrag_params;
struct aggfrag_receiver;
struct worker;

struct iptfs_worker {
	uint64_t held_out, held_in; /* cells: packets that wait */
	uint64_t rounds;	    /* of iptfs_tick: what one gave has its numbers by the next */
	uint32_t n_paced;	    /* streams that keep a rate */
	bool ending;		    /* nothing more comes: what waits for others goes */
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

/* Any thread: inner packets in streams, payloads that wait. Any of them may wait for time to go by.
 */
uint32_t iptfs_held(const struct worker *w);

/* Mails to every worker about an outbound SA with IP-TFS; arg: its struct sa. Each does what its
 * lanes ask for, and may come twice.
 *
 * begin: its SA is complete; a constant rate begins. close: nothing leads to it any more: the
 * packet that was begun is finished at once, what else waits goes to spd_match again in the ticks
 * that follow, and so does what still comes. forget: the SA is retired, and freed once this has
 * run: nothing is left of it here.
 */
void iptfs_out_begin(struct worker *w, void *arg);
void iptfs_out_close(struct worker *w, void *arg);
void iptfs_out_forget(struct worker *w, void *arg);

/* By the owner of an outbound stream, between bursts: it does as p says from now on, which stays
 * until another one says otherwise, and is of that SA. What waits, or was begun, goes on.
 */
void iptfs_out_retune(struct worker *w, struct aggfrag_out *s, const struct aggfrag_params *p,
		      uint32_t sa, uint32_t generation);

/* The worker has stopped. ending: in the ticks that follow all that waits for more to come is sent
 * as it is; at a constant rate only where time is that of captures, which ends with them. drop:
 * ends all that waits.
 */
void iptfs_ending(struct worker *w);
void iptfs_drop(struct worker *w, enum drop_reason why);

#endif
