/* The pipeline: which stages a packet runs through, as a table, and the loop that runs it.
 *
 * A row names the stage, its function, and the row that follows. Building a pipeline from the
 * configuration leaves out the rows of features nobody asked for: what is absent costs nothing.
 */
#ifndef PIPE_PIPE_H
#define PIPE_PIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/stage.h"

struct stage_row {
	const char *name;
	stage_fn *run;
	uint8_t next; /* enum stage_id; STAGE_MAX: the line ends here */
};

struct pipe {
	stage_fn *run[STAGE_MAX];
	uint8_t next[STAGE_MAX];  /* the next present row, or STAGE_MAX */
	uint8_t entry[STAGE_MAX]; /* the row itself, or the next present one */
	const char *name[STAGE_MAX];
	uint64_t absent; /* mask of enum stage_id */
	bool timed;	 /* fill worker.stage_cycles: for a bench */
};

/* Rows without a function, and those whose bit is set in absent, are left out. */
void pipe_build(struct pipe *p, const struct stage_row rows[STAGE_MAX], uint64_t absent);

/* A row that was absent is there from now on: for a feature that is first used while workers run,
 * who find the row before they find what was published after this.
 */
void pipe_add(struct pipe *p, const struct stage_row rows[STAGE_MAX], enum stage_id stage);

/* Runs one burst from a stage to the end of its line, then all that was pushed meanwhile. */
void pipe_run(struct worker *w, enum stage_id first, struct rte_mbuf **pkts, uint16_t n);

/* One round over the worker's sources. Returns the packets they gave. */
uint32_t pipe_poll(struct worker *w);

#endif
