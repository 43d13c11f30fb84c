#include "daemon/policies.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/gw.h"
#include "daemon/policy_spec.h"
#include "daemon/policy_store.h"

#define EVENT_SIZE 1024

/* A policy on its way into force. */
struct draft {
	struct dpolicy_id id;
	struct policy_spec spec;
	struct tie *tie; /* with a reference; NULL: no template */
	uint32_t spi;
	bool apart, asks;
	struct dpolicy_more *more;
};

int
dpolicies_create(const struct dpolicies_env *env, uint32_t max, struct dpolicies **out,
		 struct err *err)
{
	struct dpolicies *dp = calloc(1, sizeof(*dp));
	int rc;

	if (dp == NULL)
		return err_set(err, -ENOMEM, "no memory for policies");
	dp->env = *env;
	dp->v4 = (struct xw_thresh) { 32, 32 };
	dp->v6 = (struct xw_thresh) { 128, 128 };
	rc = dpolicy_store_init(dp, max, err);
	if (rc < 0) {
		free(dp);
		return rc;
	}
	*out = dp;
	return 0;
}

/* ---- Events. ---- */

static void
tell_of(const struct dpolicies *dp, const struct dpolicy *p, uint16_t type,
	const struct dpolicies_cause *cause)
{
	const struct xfrm_head head = { .type = type, .seq = cause->seq, .pid = cause->pid };
	uint8_t message[EVENT_SIZE];
	struct xfrm_out out = { message, message + sizeof(message) };
	struct xfrm_policy x;
	int rc;

	dpolicy_read(dp, p, &x);
	rc = type == XFRM_DELPOLICY ? xfrm_put_policy_gone(&out, &head, &x) :
				      xfrm_put_policy(&out, &head, &x);
	if (rc == 0)
		dp->env.event(dp->env.ctx, XFRM_GROUP_POLICY, message, out.at - message);
}

/* ---- Into the SPD, and out of it. ---- */

static uint32_t
group_of(const struct tie *tie)
{
	return tie == NULL ? 0 : tie->group;
}

/* Would the SPD say the same for the draft as for a policy that is in it? */
static bool
says_the_same(const struct dpolicy *p, const struct draft *d)
{
	bool icmp = (p->flags & XFRM_POLICY_F_ICMP) != 0;

	return p->node.index != POLICY_NONE && p->priority == d->spec.priority &&
	       p->action == d->spec.action && icmp == d->spec.icmp &&
	       (d->id.dir == XFRM_DIR_OUT || group_of(p->node.tie) == group_of(d->tie));
}

/* Nobody else has its place in the SPD. */
static bool
is_alone(const struct dpolicies *dp, const struct dpolicy *p)
{
	const struct dpolicy *sibling = dpolicy_sibling(dp, &p->id);

	return sibling == NULL || sibling->node.index != p->node.index;
}

/* Stages the end of a policy's place in the SPD. */
static int
leave(const struct dpolicies *dp, const struct dpolicy *p, struct err *err)
{
	if (p->node.index == POLICY_NONE || !is_alone(dp, p))
		return 0;
	return spd_del(dp->env.gw->spd, p->node.index, err);
}

/* The place in the SPD that the policy will have: what its sibling or its forerunner has, if that
 * says the same, else a new one, staged.
 */
static int
place_find(const struct dpolicies *dp, const struct dpolicy *old, struct draft *d, uint32_t *index,
	   struct err *err)
{
	const struct dpolicy *sibling = dpolicy_sibling(dp, &d->id);
	const struct tie_sa *sa;

	*index = POLICY_NONE;
	if (d->apart)
		return 0;
	if (sibling != NULL && says_the_same(sibling, d)) {
		*index = sibling->node.index;
		return 0;
	}
	if (old != NULL && says_the_same(old, d)) {
		*index = old->node.index;
		return 0;
	}
	d->spec.group = group_of(d->tie);
	sa = d->tie == NULL || d->id.dir != XFRM_DIR_OUT ? NULL : tie_sa_of(d->tie, d->spi);
	if (sa != NULL) {
		d->spec.sa = sa->index;
		d->spec.sa_generation = sa->generation;
	}
	return policy_stage(dp->env.gw, &d->spec, index, err);
}

/* From here on nothing fails: the policy is what the draft says. */
static void
enter(struct dpolicies *dp, struct dpolicy *p, const struct draft *d, uint32_t index)
{
	struct tie *old = p->node.tie;

	if (p->id.dir == XFRM_DIR_OUT)
		tie_policy_del(dp->env.ties, &p->node, dpolicy_asks(p->flags));
	p->action = d->spec.action;
	p->node.tie = d->tie;
	p->node.index = index;
	p->node.spi = d->spi;
	if (p->id.dir == XFRM_DIR_OUT && d->tie != NULL && index != POLICY_NONE)
		tie_policy_add(dp->env.ties, d->tie, &p->node, d->asks);
	if (old != NULL)
		tie_put(dp->env.ties, old);
	dp->changes++;
}

static int
draft_make(struct dpolicies *dp, const struct xfrm_policy *x, const struct tie *before,
	   struct draft *d, struct err *err)
{
	struct tie_key key;
	int tied = x->action == XFRM_BLOCK ? 0 : tie_key_of_policy(x, &key, err), rc;

	*d = (struct draft) { .tie = NULL };
	if (tied < 0)
		return tied;
	if (x->n_tmpls > TMPLS_MAX)
		return err_set(err, -EOPNOTSUPP, "%u templates: at most %u", x->n_tmpls, TMPLS_MAX);
	rc = policy_spec_fill(x, tied == 1, &d->spec, &d->apart, err);
	if (rc < 0)
		return rc;
	dpolicy_id_of(&x->sel, x->dir, &x->mark, x->if_id, &d->id);
	d->asks = dpolicy_asks(x->flags);
	if (x->n_tmpls > 0)
		d->spi = x->tmpls[x->n_tmpls - 1].id.spi;
	if (tied == 1)
		rc = tie_get_heir(dp->env.ties, &key, before, &d->tie, err);
	if (rc == 0)
		rc = dpolicy_more_make(x, d->tie, &d->more, err);
	if (rc < 0 && d->tie != NULL)
		tie_put(dp->env.ties, d->tie);
	return rc;
}

static void
draft_throw_away(struct dpolicies *dp, struct draft *d)
{
	free(d->more);
	if (d->tie != NULL)
		tie_put(dp->env.ties, d->tie);
	spd_abort(dp->env.gw->spd);
}

/* A table that is full, as daemons know it. */
static int
daemons_errno(int rc)
{
	return rc == -ENOSPC ? -ENOBUFS : rc;
}

/* In the place of old, or new where that is NULL. */
static int
draft_run(struct dpolicies *dp, struct draft *d, struct dpolicy *old, const struct xfrm_policy *x,
	  struct dpolicy **out, struct err *err)
{
	struct dpolicy *p = old;
	uint32_t index;
	int rc = 0;

	if (p == NULL)
		rc = dpolicy_take(dp, &d->id, x->index, &p, err);
	if (rc < 0)
		return daemons_errno(rc);
	d->spec.name = dpolicy_item(dp, p);
	rc = place_find(dp, old, d, &index, err);
	if (rc == 0 && old != NULL && old->node.index != index)
		rc = leave(dp, old, err);
	if (rc < 0) {
		if (old == NULL)
			dpolicy_give(dp, p);
		return daemons_errno(rc);
	}
	spd_commit(dp->env.gw->spd);
	enter(dp, p, d, index);
	dpolicy_write(dp, p, x, d->more);
	*out = p;
	return 0;
}

static void
owner_set(struct dpolicies *dp, struct dpolicy *p, struct daemon_owner *owner)
{
	if (p->owner == owner)
		return;
	if (p->owner != NULL)
		dp->env.count(dp->env.ctx, p->owner, -1);
	if (owner != NULL)
		dp->env.count(dp->env.ctx, owner, 1);
	p->owner = owner;
}

static int
may_check(const struct dpolicies *dp, const struct dpolicy *p, const struct daemon_owner *by,
	  struct err *err)
{
	if (dp->env.may_change(dp->env.ctx, by, p->owner))
		return 0;
	return err_set(err, -EPERM, "policy %u belongs to %s", p->index,
		       dp->env.owner_text(dp->env.ctx, p->owner));
}

static int
replace_check(const struct dpolicies *dp, const struct dpolicy *old, bool update,
	      const struct dpolicies_cause *cause, struct err *err)
{
	if (old == NULL)
		return 0;
	if (!update)
		return err_set(err, -EEXIST,
			       "policy %u has this selector, direction, mark and interface id: "
			       "XFRM_MSG_UPDPOLICY replaces it",
			       old->index);
	return may_check(dp, old, cause->owner, err);
}

int
dpolicies_put(struct dpolicies *dp, const struct xfrm_policy *x, bool update,
	      const struct dpolicies_cause *cause, struct err *err)
{
	struct dpolicy *p, *old;
	struct draft d;
	int rc;

	rc = draft_make(dp, x, NULL, &d, err);
	if (rc < 0)
		return rc;
	old = dpolicy_find(dp, &d.id);
	rc = replace_check(dp, old, update, cause, err);
	if (rc == 0)
		rc = draft_run(dp, &d, old, x, &p, err);
	if (rc < 0) {
		draft_throw_away(dp, &d);
		return rc;
	}
	owner_set(dp, p, cause->owner);
	tell_of(dp, p, update ? XFRM_UPDPOLICY : XFRM_NEWPOLICY, cause);
	return 0;
}

/* The end of a policy that has left the SPD, or will have with the next commit. */
static void
forget(struct dpolicies *dp, struct dpolicy *p)
{
	struct tie *tie = p->node.tie;

	if (p->id.dir == XFRM_DIR_OUT)
		tie_policy_del(dp->env.ties, &p->node, dpolicy_asks(p->flags));
	if (tie != NULL)
		tie_put(dp->env.ties, tie);
	owner_set(dp, p, NULL);
	dpolicy_give(dp, p);
	dp->changes++;
}

static struct dpolicy *
named(const struct dpolicies *dp, const struct xfrm_policy_id *id, struct err *err)
{
	struct dpolicy_id key;
	struct dpolicy *p;

	dpolicy_id_of(&id->sel, id->dir, &id->mark, id->if_id, &key);
	p = id->index != 0 ? dpolicy_by_index(dp, id->index) : dpolicy_find(dp, &key);
	if (p != NULL && p->id.dir == id->dir)
		return p;
	if (id->index != 0)
		err_set(err, 0, "no policy has the index %u in this direction", id->index);
	else
		err_set(err, 0, "no policy has this selector, direction, mark and interface id");
	return NULL;
}

int
dpolicies_del(struct dpolicies *dp, const struct xfrm_policy_id *id,
	      const struct dpolicies_cause *cause, struct err *err)
{
	struct dpolicy *p = named(dp, id, err);
	int rc;

	if (p == NULL)
		return -ENOENT;
	rc = may_check(dp, p, cause->owner, err);
	if (rc == 0)
		rc = leave(dp, p, err);
	if (rc < 0)
		return rc;
	tell_of(dp, p, XFRM_DELPOLICY, cause);
	forget(dp, p);
	spd_commit(dp->env.gw->spd);
	return 0;
}

int
dpolicies_get(const struct dpolicies *dp, const struct xfrm_policy_id *id, struct xfrm_policy *x,
	      struct err *err)
{
	const struct dpolicy *p = named(dp, id, err);

	if (p == NULL)
		return -ENOENT;
	dpolicy_read(dp, p, x);
	return 0;
}

void
dpolicy_end(struct dpolicies *dp, struct dpolicy *p)
{
	struct err err;

	if (leave(dp, p, &err) == 0)
		forget(dp, p);
}

static bool
is_all_his(const struct dpolicies *dp, const struct daemon_owner *by)
{
	for (uint32_t i = 0; i < dp->end; i++) {
		const struct dpolicy *p = dpolicy_at(dp, i);

		if (p != NULL && !dp->env.may_change(dp->env.ctx, by, p->owner))
			return false;
	}
	return true;
}

/* Who listens hears of one flush if all are gone, else of each that is. */
void
dpolicies_flush(struct dpolicies *dp, const struct dpolicies_cause *cause)
{
	const struct xfrm_head head = { XFRM_FLUSHPOLICY, 0, cause->seq, cause->pid };
	bool all = is_all_his(dp, cause->owner);
	uint8_t message[EVENT_SIZE];
	struct xfrm_out out = { message, message + sizeof(message) };

	if (dp->slab.n_taken == 0)
		return;
	for (uint32_t i = 0; i < dp->end; i++) {
		struct dpolicy *p = dpolicy_at(dp, i);

		if (p == NULL || !dp->env.may_change(dp->env.ctx, cause->owner, p->owner))
			continue;
		if (!all)
			tell_of(dp, p, XFRM_DELPOLICY, cause);
		dpolicy_end(dp, p);
	}
	spd_commit(dp->env.gw->spd);
	if (all && xfrm_put_flush_policy(&out, &head) == 0)
		dp->env.event(dp->env.ctx, XFRM_GROUP_POLICY, message, out.at - message);
}

void
dpolicies_drop(struct dpolicies *dp, const struct daemon_owner *owner)
{
	const struct dpolicies_cause nobody = { .owner = NULL };

	for (uint32_t i = 0; i < dp->end; i++) {
		struct dpolicy *p = dpolicy_at(dp, i);

		if (p == NULL || p->owner != owner)
			continue;
		tell_of(dp, p, XFRM_DELPOLICY, &nobody);
		dpolicy_end(dp, p);
	}
	spd_commit(dp->env.gw->spd);
}

void
dpolicies_free(struct dpolicies *dp)
{
	if (dp == NULL)
		return;
	for (uint32_t i = 0; i < dp->end; i++) {
		struct dpolicy *p = dpolicy_at(dp, i);

		if (p != NULL)
			dpolicy_end(dp, p);
	}
	spd_commit(dp->env.gw->spd);
	dpolicy_store_fini(dp);
	free(dp);
}

/* ---- MIGRATE. ---- */

static bool
tmpl_moves(struct xfrm_tmpl *t, const struct xfrm_move *m)
{
	if (t->id.proto != m->proto || t->mode != m->mode ||
	    (m->reqid != 0 && t->reqid != m->reqid))
		return false;
	/* Transport mode has its ends in the selector, if nothing else says so: there is nothing to
	 * be changed. */
	if (t->mode == XFRM_TRANSPORT && dpolicy_names_no_ends(t))
		return true;
	if (!addr_equal(&t->src, &m->old_src) || !addr_equal(&t->id.dst, &m->old_dst))
		return false;
	t->src = m->new_src;
	t->id.dst = m->new_dst;
	t->family = m->new_dst.family;
	return true;
}

static bool
moves_run(struct xfrm_policy *x, struct xfrm_migrate *m)
{
	bool moved = false;

	for (uint8_t i = 0; i < x->n_tmpls; i++)
		for (uint8_t k = 0; k < m->n_moves; k++)
			if (tmpl_moves(&x->tmpls[i], &m->moves[k])) {
				m->moves[k].reqid = x->tmpls[i].reqid;
				moved = true;
				break;
			}
	return moved;
}

/* The policy as it will be. */
static int
migrated(const struct dpolicies *dp, struct xfrm_migrate *m, const struct dpolicies_cause *cause,
	 struct dpolicy **p, struct xfrm_policy *x, struct err *err)
{
	int rc;

	*p = named(dp, &m->policy, err);
	if (*p == NULL)
		return -ENOENT;
	rc = may_check(dp, *p, cause->owner, err);
	if (rc < 0)
		return rc;
	dpolicy_read(dp, *p, x);
	if (!moves_run(x, m))
		return err_set(err, -ENOENT, "policy %u has no template with the old addresses",
			       (*p)->index);
	return 0;
}

int
dpolicies_migrate_check(const struct dpolicies *dp, struct xfrm_migrate *m,
			const struct dpolicies_cause *cause, struct err *err)
{
	struct xfrm_policy x;
	struct dpolicy *p;

	return migrated(dp, m, cause, &p, &x, err);
}

int
dpolicies_migrate(struct dpolicies *dp, const struct xfrm_migrate *m,
		  const struct dpolicies_cause *cause, struct err *err)
{
	struct xfrm_migrate moves = *m;
	struct xfrm_policy x;
	struct dpolicy *p;
	struct draft d;
	int rc = migrated(dp, &moves, cause, &p, &x, err);

	if (rc < 0)
		return rc;
	rc = draft_make(dp, &x, p->node.tie, &d, err);
	if (rc < 0)
		return rc;
	rc = draft_run(dp, &d, p, &x, &p, err);
	if (rc < 0)
		draft_throw_away(dp, &d);
	else
		p->added = (uint32_t)x.used.add_time;
	return rc;
}
