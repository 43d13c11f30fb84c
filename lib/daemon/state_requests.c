/* The socket's requests about SAs: SPIs, new ones, changes, and what there is. */
#include <errno.h>
#include <string.h>

#include "ctl/reserve.h"
#include "daemon/state.h"
#include "sad/sad.h"

static struct xfrm_head
answer(uint16_t type, const struct cause *c)
{
	return (struct xfrm_head) {
		.type = type,
		.seq = c->msg->head.seq,
		.pid = c->client->nl_pid,
	};
}

static int
of_file_refuse(struct daemons *d, uint32_t sa, int rc, struct err *err)
{
	char name[SA_NAME_MAX];

	return err_set(err, rc, "SA %s is of the gateway's file, which alone can change it",
		       sa_name(sa_cold(&d->gw->sas, sa), name));
}

static int
may_check(const struct cause *c, const struct state *s, struct err *err)
{
	if (owner_may_change(c->client->owner, s->owner))
		return 0;
	return err_set(err, -EPERM, "SPI 0x%08x belongs to %s", s->spi, owner_text(s->owner));
}

/* What a GETSA or a DELSA means. */
static int
named(const struct cause *c, const struct xfrm_ident *id, const struct xfrm_mark *mark,
      bool to_change, uint32_t *index, struct err *err)
{
	struct state *s = state_find(c->d, id, mark, index);
	uint32_t of_file;
	char text[ADDR_TEXT_SIZE];

	if (s != NULL)
		return to_change ? may_check(c, s, err) : 0;
	of_file = state_of_file(c->d, id);
	if (of_file != SA_NONE && to_change)
		return of_file_refuse(c->d, of_file, -EPERM, err);
	return err_set(err, -ESRCH, "no SA with SPI 0x%08x to %s, protocol %u%s", id->spi,
		       addr_text(&id->dst, text), id->proto,
		       of_file != SA_NONE ? ", but for the file's: see espctl show sa" : "");
}

/* ---- NEWSA, UPDSA ---- */

static int
add(const struct cause *c, const struct xfrm_sa *x, struct err *err)
{
	struct daemons *d = c->d;
	uint32_t index, of_file = state_of_file(d, &x->id);
	struct state *old = state_find(d, &x->id, &x->mark, &index);
	int rc;

	if (of_file != SA_NONE)
		return of_file_refuse(d, of_file, -EEXIST, err);
	if (old != NULL) {
		/* A daemon that came back: what it left behind is in the way. */
		if (old->owner == c->client->owner || !owner_is_orphan(old->owner) ||
		    !owner_may_change(c->client->owner, old->owner))
			return err_set(err, -EEXIST,
				       "SPI 0x%08x is there already (%s): XFRM_MSG_UPDSA changes "
				       "it",
				       x->id.spi, owner_text(old->owner));
		state_end(d, index);
	}
	rc = state_take(d, x, c->client->owner, &index, err);
	if (rc < 0)
		return rc;
	rc = state_write(d, index, x, err);
	if (rc == 0)
		rc = state_open(d, index, x, err);
	if (rc < 0) {
		state_give(d, index);
		return rc;
	}
	state_tell(d, index, XFRM_NEWSA, c);
	return 0;
}

static int
larval_fill(const struct cause *c, uint32_t index, const struct xfrm_sa *x, struct err *err)
{
	int rc = state_write(c->d, index, x, err);

	if (rc == 0)
		rc = state_open(c->d, index, x, err);
	if (rc == 0)
		state_tell(c->d, index, XFRM_UPDSA, c);
	return rc;
}

/* An SA is its key and its place; what may change is what lies around them. */
static int
same_check(const struct xfrm_sa *old, const struct xfrm_sa *x, struct err *err)
{
	if (x->mode != old->mode || x->reqid != old->reqid || !addr_equal(&x->src, &old->src))
		return err_set(err, -EINVAL,
			       "mode, reqid and addresses of an SA in use stay as they are: mode "
			       "%u, reqid %u",
			       old->mode, old->reqid);
	if (x->mode == XFRM_BEET && memcmp(&x->sel, &old->sel, sizeof(x->sel)) != 0)
		return err_set(err, -EINVAL,
			       "an SA in use keeps its inner addresses, which are sel");
	if (x->dir != XFRM_SA_DIR_NONE && old->dir != XFRM_SA_DIR_NONE && x->dir != old->dir)
		return err_set(err, -EINVAL, "an SA in use keeps its direction");
	if ((x->has & XFRM_HAS_PCPU) != 0 &&
	    ((old->has & XFRM_HAS_PCPU) == 0 || x->pcpu != old->pcpu))
		return err_set(
			err, -EINVAL,
			"XFRMA_SA_PCPU: an SA in use stays with its worker: delete it first");
	if (x->classes.dscp != 0 &&
	    (x->classes.dscp != old->classes.dscp || x->classes.rank != old->classes.rank))
		return err_set(err, -EINVAL, "an SA in use keeps its classes: delete it first");
	if (memcmp(&x->suite, &old->suite, sizeof(x->suite)) != 0)
		return err_set(err, -EINVAL, "an SA in use keeps its algorithms: delete it first");
	if (x->key.len != old->key.len || x->auth_key.len != old->auth_key.len ||
	    memcmp(x->key.octets, old->key.octets, x->key.len) != 0 ||
	    memcmp(x->auth_key.octets, old->auth_key.octets, x->auth_key.len) != 0)
		return err_set(err, -EINVAL, "an SA in use keeps its key: delete it first");
	return 0;
}

static int
change(const struct cause *c, uint32_t index, struct xfrm_sa *x, struct err *err)
{
	const struct state *s = state_at(c->d, index);
	struct xfrm_sa old;
	int rc = 0;

	state_read(c->d, index, &old);
	if (s->kind == STATE_ESP)
		rc = same_check(&old, x, err);
	if (rc == 0) {
		iptfs_keep(x, &old);
		x->classes = old.classes;
	}
	if (rc == 0 && (x->has & XFRM_HAS_PCPU) == 0) {
		x->pcpu = old.pcpu;
		x->has |= old.has & XFRM_HAS_PCPU;
	}
	/* A window goes on as it is unless another is asked for. */
	if (rc == 0 && (x->has & XFRM_HAS_REPLAY_ESN) == 0 && x->window == 0) {
		x->window = old.window;
		x->has |= old.has & XFRM_HAS_REPLAY_ESN;
		x->replay.window = old.replay.window;
		x->replay.words = old.replay.words;
	}
	xfrm_sa_wipe(&old);
	if (rc == 0 && s->kind == STATE_ESP)
		rc = state_renew(c->d, index, x, s->node.tie, err);
	if (rc == 0)
		rc = state_write(c->d, index, x, err);
	if (rc == 0)
		state_tell(c->d, index, XFRM_UPDSA, c);
	return rc;
}

static int
update(const struct cause *c, struct xfrm_sa *x, struct err *err)
{
	uint32_t index;
	int rc = named(c, &x->id, &x->mark, true, &index, err);

	if (rc < 0)
		return rc;
	return state_at(c->d, index)->kind == STATE_LARVAL ? larval_fill(c, index, x, err) :
							     change(c, index, x, err);
}

/* Until the SA's numbers are on the disk: who hears that it is there may send by it. */
static void
answer_hold(const struct cause *c)
{
	const struct daemon_out *out = &c->d->out;
	uint64_t ticket = reserve_ticket(c->d->gw);

	if (out->hold != NULL && ticket > reserve_done(c->d->gw))
		out->hold(out->ctx, c->client->id, ticket);
}

int
sa_new_request(struct cause *c, struct xfrm_out *reply, struct err *err)
{
	struct xfrm_sa x;
	int rc = xfrm_parse_sa(c->msg, &x, err);

	if (rc < 0)
		return rc;
	rc = state_check(c->d, &x, err);
	if (rc == 0)
		rc = c->msg->head.type == XFRM_NEWSA ? add(c, &x, err) : update(c, &x, err);
	if (rc == 0)
		answer_hold(c);
	xfrm_sa_wipe(&x);
	return rc;
}

/* ---- DELSA, FLUSHSA ---- */

int
sa_del_request(struct cause *c, struct xfrm_out *reply, struct err *err)
{
	struct xfrm_sa_id id;
	uint32_t index;
	int rc = xfrm_parse_sa_id(c->msg, &id, err);

	if (rc == 0)
		rc = named(c, &id.id, &id.mark, true, &index, err);
	if (rc < 0)
		return rc;
	state_tell(c->d, index, XFRM_DELSA, c);
	state_end(c->d, index);
	return 0;
}

static bool
is_meant(const struct cause *c, const struct state *s, uint8_t proto)
{
	return (proto == XFRM_PROTO_ANY || s->proto == proto) &&
	       owner_may_change(c->client->owner, s->owner);
}

/* One event for all, or where others keep theirs one for each. */
int
sa_flush_request(struct cause *c, struct xfrm_out *reply, struct err *err)
{
	struct daemons *d = c->d;
	uint8_t proto, event[64];
	struct xfrm_out out = { event, event + sizeof(event) };
	struct xfrm_head head = answer(XFRM_FLUSHSA, c);
	bool all = true, any = false;
	int rc = xfrm_parse_flush_sa(c->msg, &proto, err);

	if (rc < 0)
		return rc;
	for (uint32_t i = slab_next(&d->states, 0); i != STATE_NONE;
	     i = slab_next(&d->states, i + 1))
		all &= is_meant(c, state_at(d, i), proto);
	for (uint32_t i = slab_next(&d->states, 0); i != STATE_NONE;
	     i = slab_next(&d->states, i + 1)) {
		if (!is_meant(c, state_at(d, i), proto))
			continue;
		any = true;
		if (!all)
			state_tell(d, i, XFRM_DELSA, c);
		state_end(d, i);
	}
	if (any && all && xfrm_put_flush_sa(&out, &head, proto) == 0)
		d->out.event(d->out.ctx, XFRM_GROUP_SA, event, out.at - event);
	return 0;
}

/* ---- GETSA ---- */

int
sa_get_request(struct cause *c, struct xfrm_out *reply, struct err *err)
{
	struct xfrm_head head = answer(XFRM_NEWSA, c);
	struct xw_lane_stats lanes[STATE_LANES_MAX];
	struct xfrm_sa_id id;
	struct xfrm_sa x;
	uint32_t index;
	int rc = xfrm_parse_sa_id(c->msg, &id, err);

	if (rc == 0)
		rc = named(c, &id.id, &id.mark, false, &index, err);
	if (rc < 0)
		return rc;
	state_read(c->d, index, &x);
	if (id.want_lanes) {
		x.lanes = lanes;
		x.n_lanes = state_lanes(c->d, index, lanes, STATE_LANES_MAX);
	}
	rc = xfrm_put_sa(reply, &head, &x, state_at(c->d, index)->owner == c->client->owner);
	xfrm_sa_wipe(&x);
	return rc < 0 ? err_set(err, rc, "the SA does not fit into an answer") : 0;
}

bool
sa_dump_more(struct daemons *d, struct daemon_client *client, struct xfrm_out *out)
{
	struct daemon_dump *dump = &client->dump;
	const struct xfrm_head head = { XFRM_NEWSA, XFRM_F_MULTI, dump->seq, client->nl_pid };
	const uint8_t *start = out->at;
	int rc = 0;

	while (!dump->is_through) {
		uint32_t i = slab_next(&d->states, dump->cursor);
		struct xfrm_sa x;

		if (i == STATE_NONE) {
			dump->is_through = true;
			break;
		}
		state_read(d, i, &x);
		if (xfrm_filter_match(&dump->filter, x.id.proto, &x.src, &x.id.dst))
			rc = xfrm_put_sa(out, &head, &x, state_at(d, i)->owner == client->owner);
		xfrm_sa_wipe(&x);
		if (rc < 0)
			return true;
		dump->cursor = i + 1;
	}
	return out->at != start ||
	       xfrm_put_done(out, dump->seq, client->nl_pid, dump->changes != d->changes) < 0;
}

/* ---- ALLOCSPI, GETSADINFO ---- */

int
spi_request(struct cause *c, struct xfrm_out *reply, struct err *err)
{
	struct xfrm_head head = answer(XFRM_NEWSA, c);
	struct daemons *d = c->d;
	struct xfrm_spi_range r;
	struct state *s;
	uint32_t index;
	bool has_slot;
	int rc = xfrm_parse_spi_range(c->msg, &r, err);

	if (rc == 0)
		rc = state_pcpu_check(d, &r.sa, err);
	if (rc == 0)
		rc = spi_pick(d, &r, &r.sa.id.spi, &has_slot, err);
	if (rc < 0)
		return rc;
	rc = state_take(d, &r.sa, c->client->owner, &index, err);
	if (rc < 0) {
		if (has_slot)
			sad_slot_give(d->gw->sad, r.sa.id.spi);
		return rc;
	}
	s = state_at(d, index);
	s->has_slot = has_slot;
	larval_add(d, index, daemons_now(d) + LARVAL_SECONDS);
	rc = state_write(d, index, &r.sa, err);
	if (rc < 0) {
		state_end(d, index);
		return rc;
	}
	state_read(d, index, &r.sa);
	return xfrm_put_sa(reply, &head, &r.sa, false);
}

int
sad_info_request(struct cause *c, struct xfrm_out *reply, struct err *err)
{
	const struct xw_hash_sizes sizes = { c->d->n_buckets, c->d->n_buckets };
	struct xfrm_head head = answer(XFRM_NEWSADINFO, c);
	int rc = xfrm_parse_get_info(c->msg, err);

	return rc < 0 ? rc : xfrm_put_sad_info(reply, &head, c->d->states.n_taken, &sizes);
}
