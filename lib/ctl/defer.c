#include "ctl/defer.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_rcu_qsbr.h>

#include "worker/mailbox.h"

void
defer_init(struct defer *d, struct rte_rcu_qsbr *qsbr, struct worker *const *workers,
	   uint16_t n_workers)
{
	*d = (struct defer) { .qsbr = qsbr, .workers = workers, .n_workers = n_workers };
	d->last = &d->first;
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
	*d->last = e;
	d->last = &e->next;
	d->backlog++;
	return 0;
}

uint32_t
defer_poll(struct defer *d, uint64_t now, bool all)
{
	uint32_t n = 0;

	while (d->first != NULL) {
		struct defer_entry *e = d->first;

		if (!all && (now < e->not_before || !mails_are_run(d, e) ||
			     rte_rcu_qsbr_check(d->qsbr, e->token, false) == 0))
			break;
		d->first = e->next;
		if (d->first == NULL)
			d->last = &d->first;
		d->backlog--;
		e->run(e->ctx, e->obj);
		free(e);
		n++;
	}
	return n;
}
