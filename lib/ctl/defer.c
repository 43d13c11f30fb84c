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

static uint64_t
mails_posted(const struct defer *d)
{
	uint64_t n = 0;

	for (uint16_t i = 0; i < d->n_workers; i++)
		n += mailbox_posted(d->workers[i]);
	return n;
}

static uint64_t
mails_run(const struct defer *d)
{
	uint64_t n = 0;

	for (uint16_t i = 0; i < d->n_workers; i++)
		n += mailbox_run_count(d->workers[i]);
	return n;
}

int
defer_give(struct defer *d, uint64_t not_before, void (*run)(void *ctx, void *obj), void *ctx,
	   void *obj)
{
	struct defer_entry *e = malloc(sizeof(*e));

	if (e == NULL)
		return -ENOMEM;
	*e = (struct defer_entry) {
		.run = run,
		.ctx = ctx,
		.obj = obj,
		.token = rte_rcu_qsbr_start(d->qsbr),
		.mails = mails_posted(d),
		.not_before = not_before,
	};
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

		if (!all && (now < e->not_before || mails_run(d) < e->mails ||
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
