/* What a policy sends by where that is several SAs: a bundle, which has an SA for each worker and
 * one that all may use (RFC 9611), and SAs by class of traffic (RFC 4301 section 4.1), each with
 * the DSCP values that it carries; or both at once.
 *
 * The policy's word then has CHOICE_MARK in the place of a generation, and the choice's index in
 * the place of an SA's. A choice is built whole, published by one store, and freed a grace period
 * after another took its place; policies that share it are not touched. It always has an SA for
 * each packet: a policy without any has SA_NONE as before.
 *
 * Control makes and changes; workers read, without a lock.
 */
#ifndef SPD_CHOICE_H
#define SPD_CHOICE_H

#include "spd/spd.h"

#define CHOICE_ANY_WORKER UINT16_MAX
#define CHOICE_DSCPS	  64
#define CHOICE_NONE	  ((uint64_t)UINT32_MAX) /* a word without an SA: index SA_NONE */

struct choice_member {
	uint64_t sa;	 /* index | generation << 32 */
	uint64_t dscp;	 /* bit n: class n; 0: it carries what no other lists */
	uint16_t worker; /* that it is for, or CHOICE_ANY_WORKER */
	uint8_t rank;	 /* of two lists of one length the lower one counts */
};

/* A row for each list of classes: a word for each worker, CHOICE_NONE where it has no SA of its
 * own, and last the word of those.
 */
struct choice {
	uint8_t row_of[CHOICE_DSCPS];
	uint16_t n_rows, width;
	bool asks; /* control wants to hear of workers without an SA of their own */
	uint32_t index;
	struct spd *spd;
	uint64_t words[];
} __rte_cache_aligned;

/* Members, n > 0, from the oldest to the newest: of several for one worker and list the newest
 * counts. A packet goes by the shortest list that has its class, else by the members without a
 * list, else by the list of the lowest rank. A worker without a member of its own takes the row's
 * member for any worker, else that of the members without a list, else the row's newest.
 *
 * asks holds only where there is a member for any worker.
 */
struct choice_params {
	const struct choice_member *members;
	uint32_t n;
	uint16_t n_workers;
	bool asks;
};

/* -ENOSPC, -ENOMEM. Point policies at it by spd_sa_set(spd, policy, *index, CHOICE_MARK). */
int choice_add(struct spd *spd, const struct choice_params *p, uint32_t *index, struct err *err);
/* Another in its place, for all its policies in one step. -ENOMEM: it is as it was. */
int choice_change(struct spd *spd, uint32_t index, const struct choice_params *p, struct err *err);
/* An SA in the place of another, by single stores; cannot fail. */
void choice_repoint(struct spd *spd, uint32_t index, uint64_t from, uint64_t to);
/* No policy points at it any more, or none will after the commit that follows; workers may still.
 */
void choice_del(struct spd *spd, uint32_t index);

/* The list that a class goes by: one of the members'. */
uint64_t choice_list(const struct choice_params *p, uint8_t dscp);

/* Is the word of a policy that of a choice? */
static inline bool
choice_is(uint64_t word)
{
	return (int64_t)word < 0;
}

static inline const struct choice *
choice_at(const struct spd *spd, uint32_t index)
{
	struct choice *const *at = slab_at(&spd->choices, index);

	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

/* What packets of a class go by at a worker; *own: it is for this worker, not for any. */
static inline uint64_t
choice_sa(const struct choice *c, uint8_t dscp, uint16_t worker, bool *own)
{
	const uint64_t *row = &c->words[c->row_of[dscp % CHOICE_DSCPS] * c->width];
	uint64_t sa = __atomic_load_n(&row[worker], __ATOMIC_ACQUIRE);

	*own = sa != CHOICE_NONE;
	return *own ? sa : __atomic_load_n(&row[c->width - 1], __ATOMIC_ACQUIRE);
}

#endif
