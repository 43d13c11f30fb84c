#include "ctl/streams.h"

#include <rte_hash_crc.h>

#include "aggfrag/fill.h"
#include "aggfrag/split.h"
#include "ctl/log.h"
#include "ctl/sas.h"
#include "ctl/view.h"

#define NS_PER_US	UINT64_C(1000)
#define WINDOW_MADE_MIN 8 /* slots that a stream has, whatever it needs */

void
streams_params(struct gw *gw, struct sa_params *p, const struct conf_sa *c)
{
	const struct conf_iptfs *t = &c->iptfs;

	if (c->mode != CONF_IPTFS)
		return;
	p->iptfs = (struct aggfrag_params) {
		.on = true,
		.dont_frag = t->dont_frag,
		.congestion_control = t->congestion_control,
		.reorder_window = (uint16_t)t->reorder_window,
		.drop_time = t->drop_time_us * NS_PER_US,
		.send_immediately = t->send_immediately,
	};
	if (!p->inbound) {
		p->iptfs.rate_l2 = t->layer == CONF_LAYER_L2;
		p->iptfs.rate_bps = t->rate_bps;
		p->iptfs.packet_size = (uint16_t)t->packet_size; /* CONF_AUTO is 0 */
		p->iptfs.init_delay = t->init_delay_us * NS_PER_US;
		p->iptfs.max_queue = t->max_queue;
		p->iptfs.max_wait = t->max_aggregation_us * NS_PER_US;
		p->iptfs.breaker_percent = t->breaker.on ? t->breaker.loss_percent : 0;
		p->iptfs.breaker_time = t->breaker.time_us * NS_PER_US;
	}
	gw_need_stage(gw, p->inbound ? STAGE_IPTFS_SPLIT : STAGE_IPTFS_FILL);
}

uint16_t
streams_worker(const struct gw *gw, const struct conf_sa *c)
{
	bool out = c->direction == CONF_OUT;
	const struct addr *ours = out ? &c->src : &c->dst, *peer = out ? &c->dst : &c->src;
	/* Several tunnels of one peer need not be one worker's; the long form's halves are two
	 * items. */
	uint32_t which = c->mark.list == CONF_LIST_SAS ? 0 : c->mark.index;
	uint32_t hash = rte_hash_crc(ours->octets, sizeof(ours->octets), which);

	hash = rte_hash_crc(peer->octets, sizeof(peer->octets), hash);
	return (uint16_t)(hash % gw->n_workers);
}

/* What is made with a stream, and stays as it is. */
static bool
fits(const struct aggfrag_params *was, const struct aggfrag_params *now)
{
	bool told = was->congestion_control || was->breaker_percent != 0;

	return now->reorder_window <= RTE_MAX(was->reorder_window, (uint16_t)WINDOW_MADE_MIN) &&
	       told == (now->congestion_control || now->breaker_percent != 0);
}

/* One key has its lanes, or its windows, in one place. */
void
streams_inherit(const struct gw *gw, struct sa_params *p, uint32_t replaces)
{
	const struct sa *sa = replaces != SA_NONE ? sa_at(&gw->sas, replaces) : NULL;
	bool inbound = sa != NULL && (sa->flags & SA_INBOUND) != 0;

	if (!p->iptfs.on || sa == NULL || (sa->flags & SA_IPTFS) == 0 || inbound != p->inbound ||
	    sa->lane != p->lane || sa->lanes != p->lanes || sa_more(sa)->borrowed ||
	    !fits(&sa_more(sa)->iptfs, &p->iptfs))
		return;
	p->streams_of = sa_more(sa);
}

static void
in_retune(struct aggfrag_in *s, const struct aggfrag_params *p, uint32_t sa, uint32_t generation)
{
	s->params = p;
	s->sa = sa;
	s->generation = generation;
}

static void
out_retune(struct aggfrag_out *s, const struct aggfrag_params *p, uint32_t sa, uint32_t generation)
{
	s->params = p;
	s->sa = sa;
	s->generation = generation;
}

/* An SA is destroyed only when all mail posted before is run, so its index is enough. */
static void
retune(struct worker *w, void *arg)
{
	uint32_t index = (uint32_t)(uintptr_t)arg;
	const struct sa *sa = sa_at(w->view->sas, index);
	const struct sa_more *more = sa_more(sa);

	for (uint16_t i = 0; i < sa->lanes; i++) {
		if (sa_lane_owner(sa, i, w->n_workers) != w->index)
			continue;
		if ((sa->flags & SA_INBOUND) != 0)
			in_retune(&more->split[i], &more->iptfs, index, sa->generation);
		else
			out_retune(&more->fill[i], &more->iptfs, index, sa->generation);
	}
}

static void
retune_all(void *ctx, void *obj)
{
	struct gw *gw = ctx;

	if (!gw_mail_all(gw, retune, obj) && defer_give(&gw->defer, 0, retune_all, gw, obj) < 0)
		GW_LOG(ERR, "no memory to tell workers of an SA's streams\n");
}

void
streams_pass(struct gw *gw, uint32_t from, uint32_t to)
{
	struct sa_more *was = sa_more(sa_at(&gw->sas, from)), *now = sa_more(sa_at(&gw->sas, to));

	if ((sa_at(&gw->sas, to)->flags & SA_IPTFS) == 0 || !now->borrowed)
		return;
	was->borrowed = true;
	now->borrowed = false;
	retune_all(gw, (void *)(uintptr_t)to);
}

static bool
is_of(const struct sa *sa, uint32_t index, uint16_t lane)
{
	const struct sa_more *more = sa_more(sa);
	uint32_t of;

	if ((sa->flags & SA_INBOUND) != 0)
		of = __atomic_load_n(&more->split[lane].sa, __ATOMIC_RELAXED);
	else
		of = __atomic_load_n(&more->fill[lane].sa, __ATOMIC_RELAXED);
	return of == index;
}

bool
streams_are_passing(const struct gw *gw, uint32_t index)
{
	const struct sa *sa = sa_at(&gw->sas, index);

	if ((sa->flags & SA_IPTFS) == 0)
		return false;
	for (uint16_t i = 0; i < sa->lanes; i++)
		if (is_of(sa, index, i) == sa_more(sa)->borrowed)
			return true;
	return false;
}

bool
streams_own(const struct gw *gw, uint32_t index)
{
	const struct sa *sa = sa_at(&gw->sas, index);

	return (sa->flags & SA_IPTFS) != 0 && !sa_more(sa)->borrowed;
}
