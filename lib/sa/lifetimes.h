/* Lifetimes, each kept once however many SAs have it: those of a million SAs are few. Control only.
 * Private. */
#ifndef SA_LIFETIMES_H
#define SA_LIFETIMES_H

#include "sa/sa.h"

struct lifetimes;

/* NULL: no memory. */
struct lifetimes *lifetimes_create(void);
/* NULL is fine. What was taken and not given is freed too. */
void lifetimes_free(struct lifetimes *all);

/* The one that is equal to l, for one more SA; NULL: no memory. */
const struct sa_lifetime *lifetimes_take(struct lifetimes *all, const struct sa_lifetime *l);
/* By as many SAs as took it. NULL is fine. */
void lifetimes_give(struct lifetimes *all, const struct sa_lifetime *l);

/* How many different ones there are. */
uint32_t lifetimes_count(const struct lifetimes *all);

#endif
