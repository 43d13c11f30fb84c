#include "ctl/links.h"

#include "aggfrag/cc.h"
#include "aggfrag/fill.h"
#include "aggfrag/split.h"
#include "ctl/log.h"
#include "ctl/sas.h"

/* Whether it has to be told what comes back. */
static bool
has_to_know(const struct gw *gw, uint32_t index)
{
	const struct sa *sa = sa_at(&gw->sas, index);

	return (sa->flags & (SA_IPTFS | SA_INBOUND)) == SA_IPTFS && sa->lanes == 1 &&
	       aggfrag_cc_is_on(&sa_more(sa)->iptfs) && !sa_more(sa)->borrowed &&
	       sa_is_live(gw, index);
}

static bool
is_single_inbound(const struct gw *gw, uint32_t index)
{
	const struct sa *sa = sa_at(&gw->sas, index);

	return (sa->flags & (SA_IPTFS | SA_INBOUND)) == (SA_IPTFS | SA_INBOUND) && sa->lanes == 1 &&
	       !sa_more(sa)->borrowed && sa_is_live(gw, index);
}

/* How well one SA of the file goes back to another; 0: it does not. */
static int
fit(const struct conf_sa *a, const struct conf_sa *b)
{
	bool tunnel = a->mark.list != CONF_LIST_SAS, of_one;

	if (a->direction == b->direction || b->mode != CONF_IPTFS ||
	    tunnel != (b->mark.list != CONF_LIST_SAS))
		return 0;
	of_one = tunnel ? a->mark.index == b->mark.index :
			  addr_equal(&a->src, &b->dst) && addr_equal(&a->dst, &b->src);
	return of_one ? 1 + (a->mark.part == b->mark.part) : 0;
}

static uint32_t
pair_of_file(const struct gw *gw, uint32_t record)
{
	const struct conf *c = gw->conf;
	uint32_t best = SA_NONE;
	int most = 0;

	for (uint32_t i = 0; i < c->n_sas; i++) {
		int how = fit(&c->sas[record], &c->sas[i]);

		if (how > most) {
			most = how;
			best = gw->sa_books[i].index;
		}
	}
	return best;
}

/* The inbound SA that goes back, or SA_NONE. What was found stays, as long as it lives, in a file
 * that is not read again.
 */
static uint32_t
pair_of(const struct gw *gw, uint32_t out)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, out);
	const struct aggfrag_link *link = sa_more(sa_at(&gw->sas, out))->fill->link;
	uint32_t in = SA_NONE;

	if (cold->origin.from != SA_FROM_FILE)
		in = gw->hooks.pair != NULL ? gw->hooks.pair(gw->hooks.ctx, out) : SA_NONE;
	else if (link != NULL && sa_again(&gw->sas, link->sa, link->generation) != NULL &&
		 is_single_inbound(gw, link->sa))
		in = link->sa;
	else
		in = pair_of_file(gw, cold->origin.record);
	return in != SA_NONE && is_single_inbound(gw, in) ? in : SA_NONE;
}

/* The next outbound SA from *index on, but for one, that has a link and `in` come back; SA_NONE. */
static uint32_t
other_next(const struct gw *gw, uint32_t *index, uint32_t in, uint32_t but)
{
	uint32_t end = slab_end(&gw->sas.records);

	while (*index < end && (*index = slab_next(&gw->sas.records, *index)) < end) {
		uint32_t sa = (*index)++;

		/* The link first: to look for a pair in a file of many takes long. */
		if (sa != but && has_to_know(gw, sa) &&
		    sa_more(sa_at(&gw->sas, sa))->fill->link != NULL && pair_of(gw, sa) == in)
			return sa;
	}
	return SA_NONE;
}

/* A new link for an inbound SA, which follows another one. NULL: no memory, which is said. */
static struct aggfrag_link *
link_make(struct aggfrag_in *split, const struct aggfrag_link *before)
{
	struct aggfrag_link *link;
	struct err err;

	if (aggfrag_link_create(&link, &err) < 0) {
		GW_LOG(ERR, "%s\n", err.text);
		return NULL;
	}
	if (before != NULL)
		aggfrag_link_follow(link, before);
	aggfrag_link_set(&split->link, link);
	return link;
}

/* The link of an inbound SA, made now if it had none. Then the SA may be the new half of a pair,
 * whose other one still has the link of the old half.
 */
static struct aggfrag_link *
link_of(struct gw *gw, uint32_t in)
{
	const struct sa *sa = sa_at(&gw->sas, in);
	struct aggfrag_in *split = sa_more(sa)->split;
	struct aggfrag_link *link = split->link, *before = NULL;
	uint32_t at = 0, out;

	if (link == NULL) {
		while (before == NULL && (out = other_next(gw, &at, in, SA_NONE)) != SA_NONE)
			before = sa_more(sa_at(&gw->sas, out))->fill->link;
		link = link_make(split, before);
		if (link == NULL)
			return NULL;
	}
	link->sa = in;
	link->generation = sa->generation;
	return link;
}

/* The first time: whose place it takes is who has the same SA come back. */
static void
follow(const struct gw *gw, uint32_t out, uint32_t in)
{
	uint32_t at = 0, other = other_next(gw, &at, in, out);

	if (other != SA_NONE)
		aggfrag_cc_follow(sa_more(sa_at(&gw->sas, out))->fill->cc,
				  sa_more(sa_at(&gw->sas, other))->fill->cc);
}

static void
give(void *ctx, void *obj)
{
	aggfrag_link_give(obj);
}

static void
link_up(struct gw *gw, uint32_t out)
{
	struct aggfrag_out *fill = sa_more(sa_at(&gw->sas, out))->fill;
	struct aggfrag_link *old = fill->link, *link;
	uint32_t in = pair_of(gw, out);

	if (in == SA_NONE)
		return;
	link = link_of(gw, in);
	if (link == NULL || link == old)
		return;
	if (old == NULL)
		follow(gw, out, in);
	aggfrag_link_set(&fill->link, link);
	/* Without memory for that it is never given back. */
	if (old != NULL && defer_give(&gw->defer, 0, give, NULL, old) < 0)
		GW_LOG(ERR, "no memory to free the feedback of an SA\n");
}

void
links_look(struct gw *gw, uint32_t sa)
{
	if (likely((sa_at(&gw->sas, sa)->flags & SA_IPTFS) == 0) || !has_to_know(gw, sa))
		return;
	link_up(gw, sa);
}

void
links_pass(struct gw *gw, uint32_t from, uint32_t to)
{
	const struct sa *was = sa_at(&gw->sas, from), *now = sa_at(&gw->sas, to);
	const struct aggfrag_link *before;

	if ((was->flags & now->flags & SA_IPTFS) == 0 ||
	    ((was->flags ^ now->flags) & SA_INBOUND) != 0 || was->lanes != 1 || now->lanes != 1 ||
	    sa_more(was)->fill == sa_more(now)->fill)
		return;
	if ((now->flags & SA_INBOUND) == 0) {
		aggfrag_cc_follow(sa_more(now)->fill->cc, sa_more(was)->fill->cc);
		return;
	}
	before = sa_more(was)->split->link;
	if (before != NULL && sa_more(now)->split->link == NULL)
		link_make(sa_more(now)->split, before);
}

void
links_all(struct gw *gw)
{
	uint32_t end = slab_end(&gw->sas.records);

	for (uint32_t i = 0; i < end && (i = slab_next(&gw->sas.records, i)) < end; i++)
		links_look(gw, i);
}
