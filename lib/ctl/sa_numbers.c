#include "ctl/sa_numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/log.h"
#include "ctl/pin.h"
#include "ctl/reserve.h"
#include "numbers/numbers.h"
#include "worker/mailbox.h"

#define MAIL_WAIT_US 1000000

/* What only the owner of a live key may change: mailed, and waited for, since it takes one loop. */
static void
job_run(struct worker *w, void *arg)
{
	numbers_job_run(arg, w->index);
}

/* To the workers from *from on, which is where to go on after -ENOBUFS. */
static int
job_post(struct gw *gw, struct numbers_job *job, uint16_t *from, struct err *err)
{
	for (; *from < gw->n_workers; ++*from) {
		struct worker *w = gw->workers[*from];

		if (!numbers_job_wants(job, *from))
			continue;
		if (!gw->running)
			job_run(w, job);
		else if (mailbox_post(w, (struct mail) { job_run, job }) < 0)
			return err_set(err, -ENOBUFS, "worker %u does not read its mail", *from);
	}
	return 0;
}

/* Whether somebody has it already. */
static bool
job_posted(const struct numbers_job *job, uint16_t from)
{
	while (from-- > 0)
		if (numbers_job_wants(job, from))
			return true;
	return false;
}

static int
job_wait(struct gw *gw, const struct numbers_job *job, struct err *err)
{
	for (uint16_t i = 0; gw->running && i < gw->n_workers; i++) {
		const struct worker *w = gw->workers[i];

		if (!numbers_job_wants(job, i))
			continue;
		for (int us = 0; mailbox_run_count(w) < mailbox_posted(w); us += 100) {
			if (us > MAIL_WAIT_US)
				return err_set(err, -ETIMEDOUT, "worker %u stands still", i);
			usleep(100);
		}
	}
	return 0;
}

/* A job that nobody waits for, and the hold that came with it, or NULL. */
struct late_job {
	struct numbers_job *job;
	struct numbers *numbers;
	uint16_t from; /* the first worker that has not got it yet */
};

static void
late_job_end(void *ctx, void *obj)
{
	struct late_job *late = obj;
	struct gw *gw = ctx;
	uint64_t now = clock_now(&gw->clock);

	/* Mail that workers did not come to before they ended. */
	for (uint16_t i = 0; !gw->running && i < gw->n_workers; i++)
		numbers_job_run(late->job, i);
	numbers_job_done(gw->numbers, late->job, now);
	if (late->numbers != NULL) {
		numbers_release(gw->numbers, late->numbers, now);
		gw->late_jobs--;
	}
	free(late);
}

/* To those who had no room for it, until all have got it. */
static void
late_job_go(void *ctx, void *obj)
{
	struct late_job *late = obj;
	struct gw *gw = ctx;
	struct err err;
	int rc = job_post(gw, late->job, &late->from, &err);

	if (defer_give(&gw->defer, 0, rc < 0 ? late_job_go : late_job_end, gw, late) < 0)
		GW_LOG(ERR, "no memory to end a change of numbers: it stays until the end\n");
}

/* Once the workers have run their mail nothing stays of it; until then no key gets another user,
 * who might find a window that is not filled yet.
 */
static void
job_leave(struct gw *gw, struct numbers_job *job, uint16_t from, struct numbers *numbers)
{
	struct late_job *late = malloc(sizeof(*late));

	gw->late_jobs++;
	numbers_leaving(numbers, true);
	if (late == NULL) {
		GW_LOG(ERR, "no memory to end a change of numbers: it stays until the end\n");
		return;
	}
	*late = (struct late_job) { job, numbers, from };
	late_job_go(gw, late);
}

static void
due_post(struct gw *gw)
{
	/* A key on its way to another worker has none that may write. */
	while (numbers_is_due(gw->numbers) && !pin_is_moving(gw)) {
		struct late_job *late = malloc(sizeof(*late));
		struct numbers_job *job = late != NULL ? numbers_due(gw->numbers) : NULL;

		if (job == NULL) {
			free(late);
			return;
		}
		*late = (struct late_job) { job, NULL, 0 };
		late_job_go(gw, late);
	}
}

void
sa_numbers_tick(struct gw *gw)
{
	gw->limits_near = numbers_tick(gw->numbers);
	due_post(gw);
}

/* The numbers of the SA's key; what their owner has to do first is done on return. */
static int
numbers_take(struct gw *gw, const struct numbers_ask *ask, struct numbers **out, struct err *err)
{
	struct numbers_job *job;
	uint16_t from = 0;
	int rc;

	if (gw->late_jobs > 0)
		return err_set(err, -EBUSY, "a worker has yet to do what was asked of it before");
	rc = numbers_attach(gw->numbers, ask, out, &job, err);
	if (rc < 0)
		return rc;
	rc = pin_settle(gw, *out, err);
	if (rc < 0) {
		if (job != NULL)
			numbers_job_cancel(gw->numbers, job);
		numbers_release(gw->numbers, *out, clock_now(&gw->clock));
		return rc;
	}
	if (job == NULL)
		return 0;
	rc = job_post(gw, job, &from, err);
	if (rc == 0)
		rc = job_wait(gw, job, err);
	if (rc == 0) {
		numbers_job_done(gw->numbers, job, clock_now(&gw->clock));
	} else if (!job_posted(job, from)) {
		numbers_job_cancel(gw->numbers, job);
		numbers_release(gw->numbers, *out, clock_now(&gw->clock));
	} else {
		job_leave(gw, job, from, *out);
	}
	return rc;
}

void
sa_numbers_give(struct gw *gw, struct numbers *n, bool forever)
{
	uint32_t record = n != NULL ? numbers_record(n) : 0;

	reserve_settle(gw, n, forever);
	numbers_release(gw->numbers, n, clock_now(&gw->clock));
	if (n != NULL)
		reserve_again(gw, record, forever);
	/* At once: till then a window may take numbers for new that the SA before has seen. */
	due_post(gw);
}

/* With what the state file knows of them, and the first that are to be reserved asked for. */
int
sa_numbers_take(struct gw *gw, struct numbers_ask *ask, struct numbers **out, struct err *err)
{
	int rc = reserve_floors(gw, ask, err);

	if (rc == 0)
		rc = numbers_take(gw, ask, out, err);
	if (rc < 0)
		return rc;
	rc = reserve_first(gw, *out, ask->forever, err);
	if (rc < 0)
		sa_numbers_give(gw, *out, ask->forever);
	return rc;
}
