/* Between control and a worker, two single-producer rings: down, things to do between two bursts;
 * up, events.
 *
 * A worker never waits and never signals: it looks once per loop, control once per tick.
 */
#ifndef WORKER_MAILBOX_H
#define WORKER_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "stats/drops.h"
#include "worker/stage.h"

struct worker;

/* Runs in the worker, between bursts, with nothing of any view in hand. */
struct mail {
	void (*run)(struct worker *w, void *arg);
	void *arg;
};

/* An audited event (RFC 4303 sections 3.4.2 to 3.4.4, RFC 4301 section 5.2): addresses as they
 * stand in the packet where it was dropped.
 */
struct audit_event {
	uint64_t now; /* ns */
	uint64_t seq;
	uint32_t spi_be;
	uint32_t sa, generation; /* SA_NONE: no SA is known */
	uint8_t reason;		 /* enum drop_reason */
	bool v6, addressed;	 /* addressed: src and dst are set */
	uint8_t worker;
	uint8_t src[16], dst[16];
};
_Static_assert(sizeof(struct audit_event) == 64, "an element of the ring up");

/* The rings of one worker, in w->mailbox, and which reasons it audits. */
int mailbox_init(struct worker *w, struct err *err);
void mailbox_fini(struct worker *w);

/* Control. -ENOBUFS: the worker has not read for long. */
int mailbox_post(struct worker *w, struct mail mail);
/* How many were posted so far, and how many of them the worker has run. */
uint64_t mailbox_posted(const struct worker *w);
uint64_t mailbox_run_count(const struct worker *w);
/* Control: the next event, false if there is none. lost: events that found the ring full, so far.
 */
bool mailbox_event(struct worker *w, struct audit_event *event);
uint64_t mailbox_lost(const struct worker *w);

/* The worker's source: runs what came, gives no packets. */
source_fn mailbox_poll;

#endif
