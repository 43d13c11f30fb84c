#include "ctl/streams.h"

#include <errno.h>
#include <string.h>

#include <rte_hash_crc.h>

#include "aggfrag/cc.h"
#include "aggfrag/fill.h"
#include "aggfrag/split.h"
#include "ctl/log.h"
#include "ctl/sas.h"
#include "ctl/view.h"
#include "iptfs/iptfs.h"

#define NS_PER_US	UINT64_C(1000)
#define WINDOW_MADE_MIN 63 /* slots that a stream has, whatever it needs */

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
	struct addr ours = out ? c->src : c->dst, peer = out ? c->dst : c->src;
	uint64_t words[4]; /* as the hash reads them */
	/* Several tunnels of one peer need not be one worker's; the long form's halves are two
	 * items. */
	uint32_t which = c->mark.list == CONF_LIST_SAS ? 0 : c->mark.index;

	memcpy(words, ours.octets, sizeof(ours.octets));
	memcpy(words + 2, peer.octets, sizeof(peer.octets));
	return (uint16_t)(rte_hash_crc(words, sizeof(words), which) % gw->n_workers);
}

/* A stream's window was made as large as it had to be then. */
static bool
fits(const struct aggfrag_params *was, const struct aggfrag_params *now)
{
	return now->reorder_window <= RTE_MAX(was->reorder_window, (uint16_t)WINDOW_MADE_MIN);
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

/* An SA is destroyed only when all mail posted before is run: it is there. */
static void
retune(struct worker *w, void *arg)
{
	const struct sa *sa = arg;
	const struct sa_more *more = sa_more(sa);

	for (uint16_t i = 0; i < sa->lanes; i++) {
		if (sa_lane_owner(sa, i, w->n_workers) != w->index)
			continue;
		if ((sa->flags & SA_INBOUND) != 0)
			aggfrag_in_retune(&more->split[i], &more->iptfs, more->index,
					  sa->generation);
		else
			iptfs_out_retune(w, &more->fill[i], &more->iptfs, more->index,
					 sa->generation);
	}
}

/* By then another may have taken its streams, of which the workers have been told, or are to be:
 * this one has none any more.
 */
static bool
has_streams(const struct gw *gw, const void *obj, uint32_t *index)
{
	uint32_t generation = (uint64_t)(uintptr_t)obj >> 32;
	const struct sa *sa;

	*index = (uint32_t)(uintptr_t)obj;
	sa = sa_again(&gw->sas, *index, generation);
	return sa != NULL && !sa_more(sa)->borrowed;
}

/* Once more, for a mailbox that had no room. */
static void
later(struct gw *gw, uint32_t index, void (*again)(void *ctx, void *obj))
{
	uint64_t which = (uint64_t)sa_at(&gw->sas, index)->generation << 32 | index;

	if (defer_give(&gw->defer, 0, again, gw, (void *)(uintptr_t)which) < 0)
		GW_LOG(ERR, "no memory to tell workers of an SA's streams\n");
}

static void retune_all(struct gw *gw, uint32_t index);

static void
retune_again(void *ctx, void *obj)
{
	uint32_t index;

	if (has_streams(ctx, obj, &index))
		retune_all(ctx, index);
}

static void
retune_all(struct gw *gw, uint32_t index)
{
	if (!gw_mail_all(gw, retune, sa_at(&gw->sas, index)))
		later(gw, index, retune_again);
}

static void
begin_again(void *ctx, void *obj)
{
	uint32_t index;

	if (has_streams(ctx, obj, &index) && sa_is_live(ctx, index))
		streams_begin(ctx, index);
}

void
streams_begin(struct gw *gw, uint32_t index)
{
	struct sa *sa = sa_at(&gw->sas, index);

	if ((sa->flags & SA_INBOUND) == 0 && streams_own(gw, index) &&
	    !gw_mail_all(gw, iptfs_out_begin, sa))
		later(gw, index, begin_again);
}

void
streams_pass(struct gw *gw, uint32_t from, uint32_t to)
{
	struct sa_more *was = sa_more(sa_at(&gw->sas, from)), *now = sa_more(sa_at(&gw->sas, to));

	if ((sa_at(&gw->sas, to)->flags & SA_IPTFS) == 0 || !now->borrowed)
		return;
	was->borrowed = true;
	now->borrowed = false;
	retune_all(gw, to);
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

void
streams_sa_add(struct gw *gw, uint32_t index)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	struct sa_more *more = sa_more(sa);

	if ((sa->flags & SA_IPTFS) == 0)
		return;
	more->index = index;
	LIST_INSERT_HEAD(&gw->streams.sas, more, with_streams);
	gw->streams.n++;
}

void
streams_counts_out(const struct sa *sa, uint64_t counts[AGGFRAG_TX_MAX])
{
	for (uint16_t i = 0; i < sa->lanes; i++)
		for (int k = 0; k < AGGFRAG_TX_MAX; k++)
			counts[k] += cell_get(&sa_more(sa)->fill[i].counts[k]);
}

void
streams_counts_in(const struct sa *sa, uint64_t counts[AGGFRAG_RX_MAX])
{
	for (uint16_t i = 0; i < sa->lanes; i++)
		for (int k = 0; k < AGGFRAG_RX_MAX; k++)
			counts[k] += cell_get(&sa_more(sa)->split[i].counts[k]);
}

void
streams_sa_del(struct gw *gw, uint32_t index)
{
	const struct sa *sa = sa_at(&gw->sas, index);

	if ((sa->flags & SA_IPTFS) == 0)
		return;
	LIST_REMOVE(sa_more(sa), with_streams);
	gw->streams.n--;
	if (sa_more(sa)->borrowed)
		return;
	if ((sa->flags & SA_INBOUND) != 0)
		streams_counts_in(sa, gw->streams.gone_in);
	else
		streams_counts_out(sa, gw->streams.gone_out);
}

void
streams_totals_read(const struct gw *gw, struct streams_totals *t)
{
	const struct sa_more *more;

	*t = (struct streams_totals) { .sas = gw->streams.n };
	memcpy(t->out, gw->streams.gone_out, sizeof(t->out));
	memcpy(t->in, gw->streams.gone_in, sizeof(t->in));
	LIST_FOREACH(more, &gw->streams.sas, with_streams)
	{
		const struct sa *sa = sa_at(&gw->sas, more->index);

		if (more->borrowed)
			continue;
		if ((sa->flags & SA_INBOUND) != 0) {
			streams_counts_in(sa, t->in);
			continue;
		}
		streams_counts_out(sa, t->out);
		t->breakers_open +=
			more->fill->cc != NULL && aggfrag_breaker_is_open(&more->fill->cc->breaker);
	}
}

int
streams_idle_check(const struct gw *gw, const struct conf *conf, struct err *err)
{
	const struct sa_more *more;
	char name[SA_NAME_MAX];

	if (conf->gateway.idle != CONF_IDLE_SLEEP)
		return 0;
	LIST_FOREACH(more, &gw->streams.sas, with_streams)
	{
		const struct sa_cold *cold = sa_cold(&gw->sas, more->index);

		if (more->iptfs.rate_bps != 0 && cold->origin.from == SA_FROM_DAEMON &&
		    !cold->ended)
			return err_set(err, -EINVAL,
				       "gateway.idle: sleep: a daemon's SA %s has a constant rate, "
				       "which needs workers that do not sleep",
				       sa_name(cold, name));
	}
	return 0;
}

int
streams_rate_set(struct gw *gw, uint32_t index, uint64_t rate_bps, struct err *err)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	struct aggfrag_params *p;

	if ((sa->flags & (SA_IPTFS | SA_INBOUND)) != SA_IPTFS || sa_more(sa)->iptfs.rate_bps == 0)
		return err_set(err, -EINVAL,
			       "only an outbound SA of IP-TFS that has a constant rate may have "
			       "another");
	p = &sa_more(sa)->iptfs;
	if (conf_iptfs_interval(p->packet_size, p->rate_l2, rate_bps, err) < 0)
		return -EINVAL;
	aggfrag_rate_set(p, rate_bps);
	retune_all(gw, index);
	return 0;
}

int
streams_breaker_close(struct gw *gw, uint32_t index, struct err *err)
{
	const struct sa *sa = sa_at(&gw->sas, index);

	if ((sa->flags & (SA_IPTFS | SA_INBOUND)) != SA_IPTFS ||
	    sa_more(sa)->iptfs.breaker_percent == 0 || sa_more(sa)->fill->cc == NULL)
		return err_set(err, -EINVAL, "it has no circuit breaker");
	aggfrag_breaker_close(&sa_more(sa)->fill->cc->breaker);
	return 0;
}
