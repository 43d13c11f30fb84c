/* The receiver's side of a stream: payloads are brought into order, and inner packets taken out of
 * them (RFC 9347 sections 2.2 and 2.5).
 */
#ifndef AGGFRAG_SPLIT_H
#define AGGFRAG_SPLIT_H

#include <stdint.h>

#include "aggfrag/aggfrag.h"
#include "aggfrag/wheel.h"
#include "base/err.h"

struct aggfrag_link;

/* One lane's. Control makes and frees it with its SA; the window's owner writes it. */
struct aggfrag_in {
	struct wheel_timer timer; /* the first member: when what is missing is given up */
	const struct aggfrag_params *params;
	uint32_t sa, generation; /* it is of: by these it is looked up after a wait */
	uint16_t lane;
	struct aggfrag_link *link; /* published by control: see link.h; NULL: nobody is told */
	uint64_t counts[AGGFRAG_RX_MAX]; /* cells */
} __rte_cache_aligned;

/* n streams side by side, of lanes 0 to n - 1; params is copied. -ENOMEM. */
int aggfrag_in_create(const struct aggfrag_params *params, uint16_t n, struct aggfrag_in **in,
		      struct err *err);
/* They hold no packet. NULL is fine. */
void aggfrag_in_free(struct aggfrag_in *streams);

#endif
