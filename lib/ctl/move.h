/* Control's side of an SA that changes its owner (pipe/move.h): one at a time, a step a tick. */
#ifndef CTL_MOVE_H
#define CTL_MOVE_H

#include "ctl/gw.h"

struct move;
struct numbers;

enum mover_stage {
	MOVER_IDLE,
	MOVER_JOINS, /* the old and the new owner hear of it */
	MOVER_TELLS, /* packets go to the new one; all workers say what they gave the old one */
	MOVER_PARTS, /* it is done, and the two forget it */
};

struct mover {
	enum mover_stage stage;
	struct move *move;
	uint64_t to_post; /* mask of the workers that the stage's mail has not gone to */
	uint64_t posted[WORKERS_MAX]; /* by worker: when so many mails are run, it is */
	uint64_t n_moves;	      /* so far */
};

int mover_init(struct mover *m, struct err *err);
void mover_fini(struct mover *m);

/* Begins to move an SA to a worker; at once while the workers do not run. The SA may end meanwhile.
 *
 * -EBUSY: another SA is being moved, or the key has a second SA at the moment; -EINVAL: there is no
 * such worker, or the SA has lanes of several.
 */
int mover_begin(struct gw *gw, struct mover *m, uint32_t sa, uint16_t worker, struct err *err);

/* Goes on as far as it can now. */
void mover_step(struct gw *gw, struct mover *m);

/* Before anything is done to the numbers of a key by their owner's mail: they have one. Waits for a
 * move that is under way for the key. -ETIMEDOUT: a worker stands still.
 */
int mover_settle(struct gw *gw, struct mover *m, const struct numbers *numbers, struct err *err);

/* Whether it is the one that is being moved: until then its key has no owner to speak of. */
bool mover_has(const struct gw *gw, const struct mover *m, uint32_t sa);

/* Waits until none is under way. -ETIMEDOUT. */
int mover_wait(struct gw *gw, struct mover *m, struct err *err);

#endif
