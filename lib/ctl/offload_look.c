/* The look at an SA that a port's device does. */
#include "ctl/offload_book.h"
#include "ctl/offloads.h"
#include "port/port.h"

/* Packets that had to go by a device that counts their numbers, and could not: it is no use. */
static void
lost_look(struct gw *gw, uint32_t index, struct offload_book *b)
{
	uint32_t generation = sa_at(&gw->sas, index)->generation;
	uint64_t lost = 0;

	for (uint16_t i = 0; i < gw->n_workers; i++)
		lost += sparse_get(gw->workers[i]->sparse, index, generation, DROP_OFFLOAD_LOST);
	if (lost != b->lost)
		offload_session_leave(gw, index, b);
	b->lost = lost;
}

void
offloads_sa_look(struct gw *gw, uint32_t index)
{
	struct offload_book *b = offload_book_of(gw, index);
	const struct sa *sa = sa_at(&gw->sas, index);

	if (b == NULL || b->session == NULL || b->withdrawn)
		return;
	if ((sa->flags & SA_INBOUND) == 0 && b->own)
		lost_look(gw, index, b);
	else if ((sa->flags & SA_INBOUND) != 0 && sa->suite.esn && !b->own)
		driver_of(gw)->session_number(device_of(gw, b->port), b->session,
					      numbers_used(sa_cold(&gw->sas, index)->numbers, 0));
}
