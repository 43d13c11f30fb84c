/* Things to free when no worker can hold them any more. Control never waits: it looks now and then.
 *
 * An entry is due when every worker has passed a quiescent state since it was given, has run all
 * mail posted to it until then, and its delay is over. Entries without a delay are run in the order
 * they were given, and so are those with one, but the ones do not wait for the others: an SA that
 * ends takes several steps, of which only the first is to wait.
 */
#ifndef CTL_DEFER_H
#define CTL_DEFER_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/worker.h"

#define DEFER_BACKLOG_MAX (1u << 20) /* changes are refused beyond: a worker stands still */

struct rte_rcu_qsbr;

struct defer_entry {
	struct defer_entry *next;
	void (*run)(void *ctx, void *obj);
	void *ctx, *obj;
	uint64_t token;
	uint64_t not_before; /* ns */
	uint16_t n_workers;
	uint64_t mails[]; /* posted to each worker when it was given */
};

struct defer_queue {
	struct defer_entry *first, **last;
};

struct defer {
	struct rte_rcu_qsbr *qsbr;
	struct worker *const *workers;
	uint16_t n_workers;
	uint32_t backlog;
	struct defer_queue soon, timed;
};

void defer_init(struct defer *d, struct rte_rcu_qsbr *qsbr, struct worker *const *workers,
		uint16_t n_workers);
/* not_before: ns; 0: no delay. -ENOMEM: not taken, the object stays. */
int defer_give(struct defer *d, uint64_t not_before, void (*run)(void *ctx, void *obj), void *ctx,
	       void *obj);
/* Runs what is due; with all, everything: the workers have ended. Returns how many ran. */
uint32_t defer_poll(struct defer *d, uint64_t now, bool all);

#endif
