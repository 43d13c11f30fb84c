/* MIGRATE: SAs and policies go to other addresses, under the same keys and numbers. */
#include <errno.h>
#include <string.h>

#include "daemon/state.h"

#define MOVED_MAX 64 /* SAs of one tie: a rekey leaves two */

static void
key_of_move(const struct xfrm_move *m, uint32_t if_id, bool inbound, struct tie_key *key)
{
	const struct xfrm_sa x = {
		.id = { .dst = m->old_dst, .proto = m->proto },
		.src = m->old_src,
		.family = m->old_dst.family,
		.mode = m->mode,
		.reqid = m->reqid,
		.if_id = if_id,
	};

	state_tie_key(&x, inbound, key);
}

/* Nobody else may have the SPI at the new address. EEXIST would mean that all is done. */
static int
place_check(struct daemons *d, uint32_t index, const struct xfrm_sa *x, struct err *err)
{
	char text[ADDR_TEXT_SIZE];
	uint32_t there = index;

	state_find(d, &x->id, &x->mark, &there);
	if (there == index && state_of_file(d, &x->id) == SA_NONE)
		return 0;
	return err_set(err, -EINVAL, "SPI 0x%08x is there already at %s", x->id.spi,
		       addr_text(&x->id.dst, text));
}

/* One SA to its new addresses. */
static int
sa_move(struct daemons *d, uint32_t index, const struct xfrm_move *m,
	const struct xfrm_migrate *all, struct err *err)
{
	struct state *s = state_at(d, index);
	bool inbound = s->dir == XFRM_SA_DIR_IN;
	struct tie *before = s->node.tie, *tie;
	struct tie_key key;
	struct xfrm_sa x;
	int rc;

	state_read(d, index, &x);
	x.src = m->new_src;
	x.id.dst = m->new_dst;
	x.family = m->new_dst.family;
	if ((all->has & XFRM_HAS_ENCAP) != 0) {
		x.has |= XFRM_HAS_ENCAP;
		x.encap = all->encap;
	}
	state_tie_key(&x, inbound, &key);
	rc = place_check(d, index, &x, err);
	if (rc == 0)
		rc = tie_get_heir(d->ties, &key, before, &tie, err);
	if (rc == 0 && s->kind == STATE_ESP) {
		rc = state_renew(d, index, &x, tie, err);
		if (rc < 0)
			tie_put(d->ties, tie);
	}
	if (rc < 0) {
		xfrm_sa_wipe(&x);
		return rc;
	}
	state_rename(d, index, &x);
	tie_sa_del(d->ties, &s->node);
	tie_put(d->ties, before);
	tie_sa_add(d->ties, tie, &s->node);
	xfrm_sa_wipe(&x);
	return 0;
}

/* The SAs of a tie, the oldest first, so that they keep their order in the next one. */
static uint32_t
members(struct daemons *d, const struct tie_key *key, uint32_t list[MOVED_MAX])
{
	uint32_t n = 0;
	struct tie *tie;

	if (tie_get(d->ties, key, &tie, NULL) < 0)
		return 0;
	for (const struct tie_sa *node = tie->newest; node != NULL && n < MOVED_MAX;
	     node = node->older)
		list[n++] = state_index(d, state_of_node(node));
	tie_put(d->ties, tie);
	return n;
}

static int
move_run(const struct cause *c, const struct xfrm_migrate *m, const struct xfrm_move *move,
	 struct err *err)
{
	bool inbound = m->policy.dir != XFRM_DIR_OUT;
	struct daemons *d = c->d;
	uint32_t list[MOVED_MAX];
	struct tie_key key;

	key_of_move(move, m->policy.if_id, inbound, &key);
	for (uint32_t n = members(d, &key, list); n > 0; n--) {
		const struct state *s = state_at(d, list[n - 1]);
		int rc;

		/* Transport mode inbound is of any peer here. */
		if (!owner_may_change(c->client->owner, s->owner) ||
		    memcmp(s->dst, move->old_dst.octets, 16) != 0 ||
		    memcmp(s->src, move->old_src.octets, 16) != 0)
			continue;
		rc = sa_move(d, list[n - 1], move, m, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void
migrate_tell(const struct cause *c, const struct xfrm_migrate *m)
{
	const struct xfrm_head head = { XFRM_MIGRATE, 0, c->msg->head.seq, c->client->nl_pid };
	uint8_t event[EVENT_SIZE];
	struct xfrm_out out = { event, event + sizeof(event) };

	if (xfrm_put_migrate(&out, &head, m) == 0)
		c->d->out.event(c->d->out.ctx, XFRM_GROUP_MIGRATE, event, out.at - event);
}

int
migrate_request(struct cause *c, struct xfrm_out *reply, struct err *err)
{
	const struct dpolicies_cause by = { c->client->owner, c->msg->head.seq, c->client->nl_pid };
	struct xfrm_migrate m;
	int rc = xfrm_parse_migrate(c->msg, &m, err);

	if (rc == 0)
		rc = dpolicies_migrate_check(c->d->policies, &m, &by, err);
	for (uint8_t i = 0; rc == 0 && i < m.n_moves; i++)
		rc = move_run(c, &m, &m.moves[i], err);
	if (rc == 0)
		rc = dpolicies_migrate(c->d->policies, &m, &by, err);
	if (rc == 0)
		migrate_tell(c, &m);
	return rc;
}
