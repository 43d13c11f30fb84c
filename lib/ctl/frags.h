/* Reassembly, as control makes it: a share of the packet buffers for each worker, and the limits of
 * the file.
 */
#ifndef CTL_FRAGS_H
#define CTL_FRAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ctl/gw.h"
#include "frag/reasm.h"

/* Of a pool: what may wait for other fragments, all workers together. */
#define FRAGS_POOL_PART 4
/* What each worker adds to the buffers that gateway.mbufs: auto comes to, at most. */
#define FRAGS_MBUFS_MAX 4096

int frags_init(struct gw *gw, struct err *err);
void frags_fini(struct gw *gw);

/* The packet buffers that may wait at one worker. */
uint32_t frags_segments(const struct gw *gw, uint16_t worker);
/* All workers together. */
struct frag_counts frags_total(const struct gw *gw);

/* How many buffers more than n that have other uses. */
uint32_t frags_mbufs(uint32_t n, uint16_t n_workers);

/* Tells the workers what gw->conf says. False: one does not read its mail. */
bool frags_pace(struct gw *gw);

/* Ends what waits, when the workers have ended. */
void frags_drain(struct gw *gw);

/* The peers of inbound SAs have a reserve, and hosts whose fragments BEET puts together. */
void frags_sa_begins(struct gw *gw, uint32_t index);
void frags_sa_ends(struct gw *gw, uint32_t index);

#endif
