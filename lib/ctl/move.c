#include "ctl/move.h"

#include <errno.h>
#include <unistd.h>

#include <rte_malloc.h>

#include "numbers/numbers.h"
#include "pipe/move.h"
#include "worker/mailbox.h"

#define SETTLE_US 1000000

int
mover_init(struct mover *m, struct err *err)
{
	*m = (struct mover) { .stage = MOVER_IDLE };
	m->move = rte_zmalloc("move", sizeof(*m->move), RTE_CACHE_LINE_SIZE);
	if (m->move == NULL)
		return err_set(err, -ENOMEM, "no memory for moving SAs");
	return 0;
}

void
mover_fini(struct mover *m)
{
	rte_free(m->move);
	m->move = NULL;
}

static void
owner_set(struct gw *gw, const struct move *move, uint8_t owner)
{
	struct sa *sa = sa_again(&gw->sas, move->sa, move->generation);

	if (sa != NULL)
		__atomic_store_n(&sa->owner, owner, __ATOMIC_RELAXED);
}

static void
stage_begin(struct mover *m, enum mover_stage stage, uint64_t workers)
{
	m->stage = stage;
	m->to_post = workers;
}

static uint64_t
both(const struct move *move)
{
	return UINT64_C(1) << move->from | UINT64_C(1) << move->to;
}

/* Whether all of the stage's mail was posted. What finds a mailbox full goes with the next tick. */
static bool
post(struct gw *gw, struct mover *m, void (*run)(struct worker *w, void *arg))
{
	for (uint64_t left = m->to_post; left != 0; left &= left - 1) {
		uint16_t i = (uint16_t)__builtin_ctzll(left);
		struct worker *w = gw->workers[i];

		if (!gw->running)
			run(w, m->move);
		else if (mailbox_post(w, (struct mail) { run, m->move }) < 0)
			continue;
		m->posted[i] = mailbox_posted(w);
		m->to_post &= ~(UINT64_C(1) << i);
	}
	return m->to_post == 0;
}

static bool
are_run(const struct gw *gw, const struct mover *m, uint64_t workers)
{
	for (; workers != 0; workers &= workers - 1) {
		uint16_t i = (uint16_t)__builtin_ctzll(workers);

		if (gw->running && mailbox_run_count(gw->workers[i]) < m->posted[i])
			return false;
	}
	return true;
}

/* Behind the store of the owner: what a worker tells is what it gave before. */
static bool
joined(struct gw *gw, struct mover *m)
{
	if (!post(gw, m, move_join) || !are_run(gw, m, both(m->move)))
		return false;
	owner_set(gw, m->move, m->move->to | SA_MOVING);
	stage_begin(m, MOVER_TELLS, UINT64_MAX >> (64 - gw->n_workers));
	return true;
}

static bool
told(struct gw *gw, struct mover *m)
{
	const struct sa *sa;

	if (!post(gw, m, move_tell) || !move_is_taken(m->move))
		return false;
	sa = sa_again(&gw->sas, m->move->sa, m->move->generation);
	if (sa != NULL)
		numbers_owner_set(sa_cold(&gw->sas, m->move->sa)->numbers, m->move->to);
	owner_set(gw, m->move, m->move->to);
	m->n_moves++;
	stage_begin(m, MOVER_PARTS, both(m->move));
	return true;
}

static bool
parted(struct gw *gw, struct mover *m)
{
	if (!post(gw, m, move_part) || !are_run(gw, m, both(m->move)))
		return false;
	m->stage = MOVER_IDLE;
	return true;
}

void
mover_step(struct gw *gw, struct mover *m)
{
	if (m->stage == MOVER_JOINS && !joined(gw, m))
		return;
	if (m->stage == MOVER_TELLS && !told(gw, m))
		return;
	if (m->stage == MOVER_PARTS)
		parted(gw, m);
}

int
mover_begin(struct gw *gw, struct mover *m, uint32_t index, uint16_t worker, struct err *err)
{
	struct sa *sa = sa_at(&gw->sas, index);
	const struct sa_cold *cold = sa_cold(&gw->sas, index);

	if (worker >= gw->n_workers)
		return err_set(err, -EINVAL, "there is no worker %u: they are 0 to %u", worker,
			       gw->n_workers - 1);
	if ((sa->flags & SA_SUBSPACES) != 0)
		return err_set(err, -EINVAL,
			       "an SA with subspaces is of all workers and stays so: "
			       "show sa NAME tells which worker has which lane");
	if ((sa->flags & SA_IPTFS) != 0)
		return err_set(err, -EINVAL,
			       "an SA of IP-TFS stays where it is: its packets wait there");
	if (m->stage != MOVER_IDLE)
		return err_set(err, -EBUSY, "another SA is being moved: try again");
	if (numbers_is_shared(cold->numbers))
		return err_set(err, -EBUSY, "its key has two SAs at the moment: try again");
	if (sa_owner(sa) == worker)
		return 0;
	*m->move = (struct move) {
		.sa = index,
		.generation = sa->generation,
		.from = sa->owner,
		.to = (uint8_t)worker,
		.way = (sa->flags & SA_INBOUND) != 0 ? HANDOFF_WAY_IN : HANDOFF_WAY_OUT,
	};
	if (!gw->running) {
		numbers_owner_set(cold->numbers, worker);
		owner_set(gw, m->move, (uint8_t)worker);
		m->n_moves++;
		return 0;
	}
	stage_begin(m, MOVER_JOINS, both(m->move));
	mover_step(gw, m);
	return 0;
}

static bool
is_of(const struct gw *gw, const struct mover *m, const struct numbers *numbers)
{
	if ((m->stage != MOVER_JOINS && m->stage != MOVER_TELLS) ||
	    sa_again(&gw->sas, m->move->sa, m->move->generation) == NULL)
		return false;
	return numbers_same_key(sa_cold(&gw->sas, m->move->sa)->numbers, numbers);
}

int
mover_settle(struct gw *gw, struct mover *m, const struct numbers *numbers, struct err *err)
{
	for (int us = 0; is_of(gw, m, numbers); us += 100) {
		if (us > SETTLE_US)
			return err_set(err, -ETIMEDOUT, "a worker stands still");
		usleep(100);
		mover_step(gw, m);
	}
	return 0;
}

bool
mover_has(const struct gw *gw, const struct mover *m, uint32_t sa)
{
	return (m->stage == MOVER_JOINS || m->stage == MOVER_TELLS) && m->move->sa == sa &&
	       m->move->generation == sa_at(&gw->sas, sa)->generation;
}

int
mover_wait(struct gw *gw, struct mover *m, struct err *err)
{
	for (int us = 0; m->stage != MOVER_IDLE; us += 100) {
		if (us > SETTLE_US)
			return err_set(err, -ETIMEDOUT, "a worker stands still");
		usleep(100);
		mover_step(gw, m);
	}
	return 0;
}
