#include "ctl/egress.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/log.h"
#include "frag/seen.h"

#define TAKE_MAX 256

struct place {
	uint32_t sa, generation;
	uint64_t next; /* s: not told before */
	struct egress_view view;
};

struct egress {
	uint64_t second;
	struct place places[EGRESS_SAS];
	struct frag_seen seen[TAKE_MAX];
};

int
egress_init(struct gw *gw, struct err *err)
{
	gw->egress = calloc(1, sizeof(*gw->egress));
	if (gw->egress == NULL)
		return err_set(err, -ENOMEM, "no memory for what comes in fragments");
	for (uint32_t i = 0; i < EGRESS_SAS; i++)
		gw->egress->places[i].sa = SA_NONE;
	return 0;
}

void
egress_fini(struct gw *gw)
{
	free(gw->egress);
	gw->egress = NULL;
}

static void
tell(const struct gw *gw, struct place *place, const struct frag_seen *seen)
{
	struct egress_event event = {
		.sa = seen->sa,
		.fits = RTE_MAX(seen->frag_max, seen->whole_max),
		.datagrams = seen->frag_seen,
		.reassembled_max = seen->reassembled_max,
	};
	char name[SA_NAME_MAX];

	place->view.told++;
	GW_LOG(NOTICE, "SA %s: packets of up to %u octets come in fragments; %u cross whole\n",
	       sa_name(sa_cold(&gw->sas, event.sa), name), event.reassembled_max, event.fits);
	if (gw->hooks.fragments != NULL)
		gw->hooks.fragments(gw->hooks.ctx, &event);
}

static void
note(struct gw *gw, const struct frag_seen *seen, uint64_t second)
{
	struct place *place = &gw->egress->places[seen->sa % EGRESS_SAS];
	struct egress_view *view = &place->view;

	if (seen->frag_seen == 0 || sa_again(&gw->sas, seen->sa, seen->generation) == NULL)
		return;
	if (place->sa != seen->sa || place->generation != seen->generation)
		*place = (struct place) { .sa = seen->sa, .generation = seen->generation };
	view->datagrams += seen->frag_seen;
	view->frag_max = RTE_MAX(view->frag_max, seen->frag_max);
	view->whole_max = RTE_MAX(view->whole_max, seen->whole_max);
	view->reassembled_max = RTE_MAX(view->reassembled_max, seen->reassembled_max);
	if (seen->frag_seen < EGRESS_MANY || second < place->next)
		return;
	place->next = second + EGRESS_PAUSE_S;
	tell(gw, place, seen);
}

void
egress_tick(struct gw *gw, uint64_t now)
{
	struct egress *f = gw->egress;
	uint64_t second = now / NS_PER_SECOND;
	uint32_t n;

	if (f == NULL || second == f->second)
		return;
	f->second = second;
	n = frag_seen_take(gw->workers, gw->n_workers, f->seen, TAKE_MAX);
	for (uint32_t i = 0; i < n; i++)
		note(gw, &f->seen[i], second);
}

bool
egress_of_sa(const struct gw *gw, uint32_t sa, struct egress_view *view)
{
	const struct place *place;

	if (gw->egress == NULL)
		return false;
	place = &gw->egress->places[sa % EGRESS_SAS];
	if (place->sa != sa || place->generation != sa_at(&gw->sas, sa)->generation)
		return false;
	*view = place->view;
	return true;
}
