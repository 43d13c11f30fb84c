/* Our own addresses, as the stages ask for them. */
#ifndef PIPE_OURS_H
#define PIPE_OURS_H

#include "port/port.h"
#include "route/fib.h"
#include "worker/worker.h"

/* addr: as in a packet. */
static inline bool
is_ours(const struct worker *w, const uint8_t *addr, bool v6)
{
	uint32_t v4;

	if (v6)
		return route_is_local_v6(w->view->route, addr);
	memcpy(&v4, addr, sizeof(v4));
	return route_is_local_v4(w->view->route, v4);
}

#endif
