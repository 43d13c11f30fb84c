/* The sender's side of a stream: inner packets wait, and payloads are made of them (RFC 9347
 * sections 2.2 and 2.4).
 */
#ifndef AGGFRAG_FILL_H
#define AGGFRAG_FILL_H

#include <stdint.h>

#include "aggfrag/aggfrag.h"
#include "aggfrag/wheel.h"
#include "base/err.h"

struct aggfrag_cc;
struct aggfrag_link;

/* One lane's. Control makes and frees it with its SA; the lane's owner writes it. */
struct aggfrag_out {
	struct wheel_timer timer; /* the first member: when it is to send */
	const struct aggfrag_params *params;
	uint32_t sa, generation; /* it is of: by these it is looked up after a wait */
	uint16_t lane;
	struct aggfrag_link *link;	 /* published by control: see link.h; NULL: no reports */
	struct aggfrag_cc *cc;		 /* NULL: one of several lanes */
	uint64_t counts[AGGFRAG_TX_MAX]; /* cells */
} __rte_cache_aligned;

/* n streams side by side, of lanes 0 to n - 1; params is copied. -ENOMEM. */
int aggfrag_out_create(const struct aggfrag_params *params, uint16_t n, struct aggfrag_out **out,
		       struct err *err);
/* They hold no packet. NULL is fine. */
void aggfrag_out_free(struct aggfrag_out *streams);

#endif
