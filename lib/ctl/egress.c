#include "ctl/egress.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/log.h"
#include "frag/seen.h"

#define TAKE_MAX 256

struct place {
	uint32_t sa, generation;
	uint64_t next, toobig_next; /* s: not told before */
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
tell(const struct gw *gw, const struct egress_event *event)
{
	const char *what = event->kind == EGRESS_TOOBIG ?
				   "come, and we take" :
				   "come in fragments, and cross whole up to";
	char name[SA_NAME_MAX];

	GW_LOG(NOTICE, "SA %s: packets of up to %u octets %s %u\n",
	       sa_name(sa_cold(&gw->sas, event->sa), name), event->largest, what, event->fits);
	if (gw->hooks.egress != NULL)
		gw->hooks.egress(gw->hooks.ctx, event);
}

static void
fragments_tell(const struct gw *gw, struct place *place, const struct frag_seen *seen)
{
	struct egress_event event = {
		.kind = EGRESS_FRAGMENTS,
		.sa = seen->sa,
		.fits = RTE_MAX(seen->frag_max, seen->whole_max),
		.packets = seen->frag_seen,
		.largest = seen->reassembled_max,
	};

	place->view.told++;
	tell(gw, &event);
}

static void
toobig_tell(const struct gw *gw, struct place *place, const struct frag_seen *seen)
{
	struct egress_event event = {
		.kind = EGRESS_TOOBIG,
		.sa = seen->sa,
		.fits = gw->conf->gateway.reassembly.emtu_r,
		.packets = seen->toobig,
		.largest = seen->toobig_max,
	};

	place->view.toobig_told++;
	tell(gw, &event);
}

static void
note(struct gw *gw, const struct frag_seen *seen, uint64_t second)
{
	struct place *place = &gw->egress->places[seen->sa % EGRESS_SAS];
	struct egress_view *view = &place->view;

	if (sa_again(&gw->sas, seen->sa, seen->generation) == NULL)
		return;
	if (place->sa != seen->sa || place->generation != seen->generation)
		*place = (struct place) { .sa = seen->sa, .generation = seen->generation };
	view->datagrams += seen->frag_seen;
	view->frag_max = RTE_MAX(view->frag_max, seen->frag_max);
	view->whole_max = RTE_MAX(view->whole_max, seen->whole_max);
	view->reassembled_max = RTE_MAX(view->reassembled_max, seen->reassembled_max);
	view->toobig += seen->toobig;
	view->toobig_max = RTE_MAX(view->toobig_max, seen->toobig_max);
	if (seen->frag_seen >= EGRESS_MANY && second >= place->next) {
		place->next = second + EGRESS_PAUSE_S;
		fragments_tell(gw, place, seen);
	}
	if (seen->toobig > 0 && second >= place->toobig_next) {
		place->toobig_next = second + EGRESS_PAUSE_S;
		toobig_tell(gw, place, seen);
	}
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
