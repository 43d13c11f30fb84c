/* SAs of IP-TFS (mode 5): Linux's attributes and defaults, and our rate beside them. */
#include <errno.h>
#include <netinet/in.h>

#include "daemon/state.h"
#include "tunnel/tunnel.h"
#include "wire/aggfrag.h"
#include "wire/subspace.h"

/* Linux's, where nothing is said. */
#define DROP_TIME_US   1000000
#define REORDER_WINDOW 3
#define MAX_QUEUE      (10u << 20)
#define MAX_QUEUE_MIN  1500

static int
rate_check(const struct daemons *d, const struct xfrm_sa *x, struct err *err)
{
	struct err why;

	if ((x->has & XFRM_HAS_IPTFS_RATE) == 0)
		return 0;
	if (x->iptfs_rate.layer != 2 && x->iptfs_rate.layer != 3)
		return err_set(err, -EINVAL, "IP-TFS rate: layer %u: 2 or 3", x->iptfs_rate.layer);
	if (x->iptfs_rate.congestion_control && x->iptfs_rate.bits_per_second == 0)
		return err_set(err, -EINVAL,
			       "IP-TFS rate: congestion control of no rate: say the most it may "
			       "be");
	if (x->iptfs_rate.congestion_control && (x->has & XFRM_HAS_SUBSPACES) != 0)
		return err_set(err, -EINVAL,
			       "IP-TFS rate: congestion control with subspaces: one stream of a "
			       "peer is measured");
	if (x->iptfs_rate.bits_per_second == 0)
		return 0;
	if (d->gw->conf->gateway.idle == CONF_IDLE_SLEEP)
		return err_set(err, -EINVAL,
			       "IP-TFS rate: the gateway's workers sleep (idle: sleep in its "
			       "file): no rate, or idle: poll");
	if (conf_iptfs_interval(x->iptfs.packet_size, x->iptfs_rate.layer == 2,
				x->iptfs_rate.bits_per_second, &why) < 0)
		return err_set(err, -EINVAL, "IP-TFS rate: %s", why.text);
	return 0;
}

/* Of a constant rate that does not slow down by itself. */
static int
breaker_check(const struct xfrm_sa *x, struct err *err)
{
	bool rate = (x->has & XFRM_HAS_IPTFS_RATE) != 0 && x->iptfs_rate.bits_per_second != 0;

	if (x->iptfs_options.breaker_loss == 0)
		return 0;
	if (!rate)
		return err_set(err, -EINVAL,
			       "IP-TFS options: a circuit breaker without a rate: there is "
			       "nothing that it would stop");
	if (x->iptfs_rate.congestion_control)
		return err_set(err, -EINVAL,
			       "IP-TFS options: a circuit breaker beside congestion control, "
			       "which slows down by itself: one of them");
	if ((x->has & XFRM_HAS_SUBSPACES) != 0)
		return err_set(err, -EINVAL,
			       "IP-TFS options: a circuit breaker with subspaces: one stream of a "
			       "peer is measured");
	return 0;
}

/* As large as header and one octet at least, as Linux has it, and then as a receiver can read. */
static int
size_check(const struct xfrm_sa *x, struct err *err)
{
	uint32_t size = x->iptfs.packet_size, text;
	uint32_t extra = (x->has & XFRM_HAS_SUBSPACES) != 0 ? WIRE_SUBSPACE_EXTRA : 0;
	uint32_t head =
		x->iptfs_rate.congestion_control ? WIRE_AGGFRAG_CC_HEADER : WIRE_AGGFRAG_HEADER;

	if (size == 0)
		return 0;
	if (size > UINT16_MAX)
		return err_set(err, -EINVAL, "XFRMA_IPTFS_PKT_SIZE: %u: at most %u", size,
			       UINT16_MAX);
	text = size > extra ? tunnel_mtu(&x->suite, x->family == 6, (x->has & XFRM_HAS_ENCAP) != 0,
					 size - extra) :
			      0;
	if (text < head + WIRE_AGGFRAG_RUNT)
		return err_set(err, -EINVAL,
			       "XFRMA_IPTFS_PKT_SIZE: %u: outer header, ESP and AGGFRAG leave no "
			       "room for data",
			       size);
	return 0;
}

int
iptfs_state_check(const struct daemons *d, const struct xfrm_sa *x, struct err *err)
{
	int rc;

	if (x->mode != XFRM_IPTFS)
		return 0;
	if ((x->has & XFRM_HAS_OUTER) != 0 && x->outer.frag == CONF_FRAG_POST)
		return err_set(err, -EINVAL,
			       "frag 1 (post) with mode 5 (IP-TFS): it is the payload that is cut");
	rc = size_check(x, err);
	if (rc == 0)
		rc = rate_check(d, x, err);
	return rc < 0 ? rc : breaker_check(x, err);
}

/* Nothing of the outer header is an inner packet's. */
static void
outer_fill(struct conf_sa *c, const struct xfrm_sa *x)
{
	bool given = (x->has & XFRM_HAS_OUTER) != 0;

	memset(&c->outer_dscp, x->iptfs_options.dscp, sizeof(c->outer_dscp));
	c->df = given && x->outer.df == CONF_DF_CLEAR ? CONF_DF_CLEAR : CONF_DF_SET;
	c->frag = given ? x->outer.frag : CONF_FRAG_PRE;
}

void
iptfs_conf(struct conf_sa *c, const struct xfrm_sa *x)
{
	const struct xfrm_iptfs *t = &x->iptfs;

	if (x->mode != XFRM_IPTFS)
		return;
	c->mode = CONF_IPTFS;
	/* Both directions and all rekeys have the same one: see streams_worker(). */
	c->mark.index = x->reqid;
	outer_fill(c, x);
	c->iptfs = (struct conf_iptfs) {
		.on = true,
		.packet_size = t->packet_size, /* 0: as the path takes, as CONF_AUTO is */
		.init_delay_us = t->init_delay_us,
		.max_queue = (x->has & XFRM_HAS_IPTFS_MAX_QSIZE) != 0 ?
				     RTE_MAX(t->max_queue, (uint32_t)MAX_QUEUE_MIN) :
				     MAX_QUEUE,
		.dont_frag = t->dont_frag || x->iptfs_options.refuse_frags,
		.send_immediately = x->iptfs_options.send_immediately,
		.max_aggregation_us = x->iptfs_options.max_aggregation_us,
		.breaker = {
			.on = x->iptfs_options.breaker_loss != 0,
			.loss_percent = x->iptfs_options.breaker_loss,
			.time_us = x->iptfs_options.breaker_time_us,
		},
		.reorder_window = (x->has & XFRM_HAS_IPTFS_REORDER_WINDOW) != 0 ?
					  t->reorder_window :
					  REORDER_WINDOW,
		.drop_time_us =
			(x->has & XFRM_HAS_IPTFS_DROP_TIME) != 0 ? t->drop_time_us : DROP_TIME_US,
	};
	if ((x->has & XFRM_HAS_IPTFS_RATE) == 0)
		return;
	c->iptfs.rate_bps = x->iptfs_rate.bits_per_second;
	c->iptfs.layer = x->iptfs_rate.layer == 2 ? CONF_LAYER_L2 : CONF_LAYER_L3;
	c->iptfs.congestion_control = x->iptfs_rate.congestion_control;
}

static void
in_read(const struct aggfrag_params *p, struct xfrm_sa *x)
{
	x->has |= XFRM_HAS_IPTFS_DROP_TIME | XFRM_HAS_IPTFS_REORDER_WINDOW;
	x->iptfs.drop_time_us = (uint32_t)(p->drop_time / 1000);
	x->iptfs.reorder_window = p->reorder_window;
	x->iptfs_options.refuse_frags = p->dont_frag;
	x->iptfs_options.send_immediately = p->send_immediately;
	x->iptfs_options.on = p->dont_frag || p->send_immediately;
}

static void
options_read(const struct sa *sa, struct xfrm_sa *x)
{
	const struct aggfrag_params *p = &sa_more(sa)->iptfs;

	x->iptfs_options.max_aggregation_us = (uint32_t)(p->max_wait / 1000);
	x->iptfs_options.dscp = sa->out.tos >> 2;
	if (p->breaker_percent != 0) {
		x->iptfs_options.breaker_loss = (uint8_t)p->breaker_percent;
		x->iptfs_options.breaker_time_us = (uint32_t)(p->breaker_time / 1000);
	}
	x->iptfs_options.on =
		p->max_wait != 0 || p->breaker_percent != 0 || x->iptfs_options.dscp != 0;
}

static void
out_read(const struct aggfrag_params *p, struct xfrm_sa *x)
{
	x->has |= XFRM_HAS_IPTFS_INIT_DELAY | XFRM_HAS_IPTFS_MAX_QSIZE | XFRM_HAS_IPTFS_PKT_SIZE |
		  (p->dont_frag ? XFRM_HAS_IPTFS_DONT_FRAG : 0);
	x->iptfs.init_delay_us = (uint32_t)(p->init_delay / 1000);
	x->iptfs.max_queue = (uint32_t)p->max_queue;
	x->iptfs.packet_size = p->packet_size;
	x->iptfs.dont_frag = p->dont_frag;
	if (p->rate_bps == 0)
		return;
	x->has |= XFRM_HAS_IPTFS_RATE;
	x->iptfs_rate.bits_per_second = p->rate_bps;
	x->iptfs_rate.layer = p->rate_l2 ? 2 : 3;
	x->iptfs_rate.congestion_control = p->congestion_control;
}

void
iptfs_read(const struct sa *sa, struct xfrm_sa *x)
{
	if ((sa->flags & SA_IPTFS) == 0)
		return;
	if ((sa->flags & SA_INBOUND) != 0) {
		in_read(&sa_more(sa)->iptfs, x);
		return;
	}
	out_read(&sa_more(sa)->iptfs, x);
	options_read(sa, x);
}

void
iptfs_keep(struct xfrm_sa *x, const struct xfrm_sa *old)
{
	uint32_t kept = old->has & ~x->has;

	x->has |= kept & (XFRM_HAS_IPTFS | XFRM_HAS_IPTFS_RATE);
	if ((kept & XFRM_HAS_IPTFS_DROP_TIME) != 0)
		x->iptfs.drop_time_us = old->iptfs.drop_time_us;
	if ((kept & XFRM_HAS_IPTFS_REORDER_WINDOW) != 0)
		x->iptfs.reorder_window = old->iptfs.reorder_window;
	if ((kept & XFRM_HAS_IPTFS_DONT_FRAG) != 0)
		x->iptfs.dont_frag = old->iptfs.dont_frag;
	if ((kept & XFRM_HAS_IPTFS_INIT_DELAY) != 0)
		x->iptfs.init_delay_us = old->iptfs.init_delay_us;
	if ((kept & XFRM_HAS_IPTFS_MAX_QSIZE) != 0)
		x->iptfs.max_queue = old->iptfs.max_queue;
	if ((kept & XFRM_HAS_IPTFS_PKT_SIZE) != 0)
		x->iptfs.packet_size = old->iptfs.packet_size;
	if ((kept & XFRM_HAS_IPTFS_RATE) != 0)
		x->iptfs_rate = old->iptfs_rate;
	if (!x->iptfs_options.on)
		x->iptfs_options = old->iptfs_options;
}
