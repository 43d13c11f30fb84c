/* NEWAE and GETAE: the numbers of an SA, for a daemon that moves it. Numbers are only ever raised.
 */
#include <errno.h>

#include "ctl/paths.h"
#include "daemon/state.h"

static int
state_named(const struct cause *c, const struct xfrm_ae *ae, bool to_change, uint32_t *index,
	    struct err *err)
{
	const struct state *s = state_find(c->d, &ae->id, &ae->mark, index);

	if (s == NULL && state_of_file(c->d, &ae->id) != SA_NONE && to_change)
		return err_set(err, -EPERM, "SPI 0x%08x is of the gateway's file", ae->id.spi);
	/* IPComp has no numbers to set; but charon asks for them when it moves a pair. */
	if (s != NULL && s->kind == STATE_LARVAL && to_change)
		return err_set(err, -EINVAL, "SPI 0x%08x has no SA yet: XFRM_MSG_UPDSA first",
			       s->spi);
	if (s == NULL || s->kind == STATE_LARVAL || (to_change && s->kind != STATE_ESP))
		return err_set(err, -ESRCH, "no SA in use has SPI 0x%08x, protocol %u", ae->id.spi,
			       ae->id.proto);
	if (to_change && !owner_may_change(c->client->owner, s->owner))
		return err_set(err, -EPERM, "SPI 0x%08x belongs to %s", s->spi,
			       owner_text(s->owner));
	return 0;
}

static void
ae_fill(const struct xfrm_sa *x, struct xfrm_ae *ae)
{
	uint32_t asked = ae->flags;

	*ae = (struct xfrm_ae) {
		.has = XFRM_HAS_LTIME |
		       (x->has & (XFRM_HAS_REPLAY | XFRM_HAS_REPLAY_ESN | XFRM_HAS_MARK |
				  XFRM_HAS_IF_ID | XFRM_HAS_PCPU | XFRM_HAS_DIR)),
		.family = x->family,
		.dir = x->dir,
		.id = x->id,
		.src = x->src,
		.flags = asked | XFRM_AE_F_RVAL | XFRM_AE_F_LVAL,
		.reqid = x->reqid,
		.if_id = x->if_id,
		.pcpu = x->pcpu,
		.mark = x->mark,
		.used = x->used,
		.replay = x->replay,
	};
}

int
ae_get_request(struct cause *c, struct xfrm_out *reply, struct err *err)
{
	const struct xfrm_head head = { XFRM_NEWAE, 0, c->msg->head.seq, c->client->nl_pid };
	struct xfrm_sa x;
	struct xfrm_ae ae;
	uint32_t index;
	int rc = xfrm_parse_ae(c->msg, &ae, err);

	if (rc == 0)
		rc = state_named(c, &ae, false, &index, err);
	if (rc < 0)
		return rc;
	state_read(c->d, index, &x);
	ae_fill(&x, &ae);
	xfrm_sa_wipe(&x);
	return xfrm_put_ae(reply, &head, &ae);
}

static void
ae_tell(const struct cause *c, const struct xfrm_sa *x)
{
	const struct xfrm_head head = { XFRM_NEWAE, 0, c->msg->head.seq, c->client->nl_pid };
	uint8_t event[EVENT_SIZE];
	struct xfrm_out out = { event, event + sizeof(event) };
	struct xfrm_ae ae = { .flags = XFRM_AE_F_UPDATE };

	ae_fill(x, &ae);
	if (xfrm_put_ae(&out, &head, &ae) == 0)
		c->d->out.event(c->d->out.ctx, XFRM_GROUP_AEVENTS, event, out.at - event);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Nobody can make an SA younger than it is. */
static void
used_raise(struct xfrm_sa *x, const struct xfrm_used *used)
{
	x->has |= XFRM_HAS_LTIME;
	x->used.packets = RTE_MAX(x->used.packets, used->packets);
	x->used.bytes = RTE_MAX(x->used.bytes, used->bytes);
	x->used.add_time = earlier(x->used.add_time, used->add_time);
	x->used.use_time = earlier(x->used.use_time, used->use_time);
}

/* A higher number takes an SA of its own, made under the same key; a lower one is what the daemon
 * saw last, and we know better.
 */
int
ae_new_request(struct cause *c, struct xfrm_out *reply, struct err *err)
{
	struct daemons *d = c->d;
	struct xfrm_sa x;
	struct xfrm_ae ae;
	uint32_t index;
	bool raise;
	int rc = xfrm_parse_ae(c->msg, &ae, err);

	if (rc == 0)
		rc = state_named(c, &ae, true, &index, err);
	if (rc == 0 && ae.has_path)
		rc = paths_set(d->gw, state_at(d, index)->node.index, ae.path.mtu, PMTU_DAEMON,
			       err);
	if (rc < 0)
		return rc;
	state_read(d, index, &x);
	raise = (ae.has & (XFRM_HAS_REPLAY | XFRM_HAS_REPLAY_ESN)) != 0 &&
		(ae.replay.oseq > x.replay.oseq || ae.replay.seq > x.replay.seq);
	if (raise) {
		x.replay.oseq = RTE_MAX(x.replay.oseq, ae.replay.oseq);
		x.replay.seq = RTE_MAX(x.replay.seq, ae.replay.seq);
	}
	if ((ae.has & XFRM_HAS_LTIME) != 0)
		used_raise(&x, &ae.used);
	if (raise || (ae.has & XFRM_HAS_LTIME) != 0)
		rc = state_renew(d, index, &x, state_at(d, index)->node.tie, err);
	if (rc == 0)
		ae_tell(c, &x);
	xfrm_sa_wipe(&x);
	return rc;
}
