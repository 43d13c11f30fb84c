#include "ctl/defer.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_prefetch.h>
#include <rte_rcu_qsbr.h>

#include "worker/mailbox.h"

void
defer_init(struct defer *d, struct rte_rcu_qsbr *qsbr, struct worker *const *workers,
	   uint16_t n_workers)
{
	*d = (struct defer) { .qsbr = qsbr, .workers = workers, .n_workers = n_workers };
	d->soon.last = &d->soon.first;
	d->timed.last = &d->timed.first;
}

/* Worker by worker: one that runs much mail does not make up for another that stands still. */
static bool
mails_are_run(const struct defer *d, const struct defer_entry *e)
{
	for (uint16_t i = 0; i < e->n_workers; i++)
		if (mailbox_run_count(d->workers[i]) < e->mails[i])
			return false;
	return true;
}

int
defer_give(struct defer *d, uint64_t not_before, void (*run)(void *ctx, void *obj), void *ctx,
	   void *obj)
{
	struct defer_queue *q = not_before == 0 ? &d->soon : &d->timed;
	struct defer_entry *e = malloc(sizeof(*e) + d->n_workers * sizeof(e->mails[0]));

	if (e == NULL)
		return -ENOMEM;
	*e = (struct defer_entry) {
		.run = run,
		.ctx = ctx,
		.obj = obj,
		.token = rte_rcu_qsbr_start(d->qsbr),
		.not_before = not_before,
		.n_workers = d->n_workers,
	};
	for (uint16_t i = 0; i < d->n_workers; i++)
		e->mails[i] = mailbox_posted(d->workers[i]);
	*q->last = e;
	q->last = &e->next;
	d->backlog++;
	return 0;
}

static uint32_t
queue_poll(struct defer *d, struct defer_queue *q, uint64_t now, bool all)
{
	uint32_t n = 0;

	while (q->first != NULL) {
		struct defer_entry *e = q->first;

		if (!all && (now < e->not_before || !mails_are_run(d, e) ||
			     rte_rcu_qsbr_check(d->qsbr, e->token, false) == 0))
			break;
		rte_prefetch0(e->next);
		q->first = e->next;
		if (q->first == NULL)
			q->last = &q->first;
		d->backlog--;
		e->run(e->ctx, e->obj);
		free(e);
		n++;
	}
	return n;
}

uint32_t
defer_poll(struct defer *d, uint64_t now, bool all)
{
	uint32_t n = 0;

	do {
		n += queue_poll(d, &d->timed, now, all);
		n += queue_poll(d, &d->soon, now, all);
	} while (all && d->backlog > 0);
	return n;
}
