#include <errno.h>

#include "xfrm/fields.h"
#include "xfrm/put.h"

void
policy_put(const struct xfrm_policy *p, struct xw_policy *w)
{
	*w = (struct xw_policy) {
		.priority = p->priority,
		.index = p->index,
		.dir = p->dir,
		.action = p->action,
		.flags = p->flags,
		.share = p->share,
	};
	sel_put(&p->sel, &w->sel);
	memcpy(&w->life, &p->life, sizeof(w->life));
	memcpy(&w->used, &p->used, sizeof(w->used));
}

void
policy_id_put(const struct xfrm_policy_id *id, struct xw_policy_id *w)
{
	*w = (struct xw_policy_id) { .index = id->index, .dir = id->dir };
	sel_put(&id->sel, &w->sel);
}

static void
tmpl_put(const struct xfrm_tmpl *t, struct xw_tmpl *w)
{
	*w = (struct xw_tmpl) {
		.family = family_put(t->family),
		.reqid = t->reqid,
		.mode = t->mode,
		.share = t->share,
		.optional = t->optional,
		.aalgos = t->aalgos,
		.ealgos = t->ealgos,
		.calgos = t->calgos,
	};
	ident_put(&t->id, &w->id);
	memcpy(w->saddr, t->src.octets, sizeof(w->saddr));
}

void
put_tmpls(struct put *p, const struct xfrm_policy *policy)
{
	uint8_t *to;

	if (policy->n_tmpls == 0)
		return;
	to = put_room(p, XFRM_A_TMPL, policy->n_tmpls * sizeof(struct xw_tmpl));
	for (unsigned i = 0; to != NULL && i < policy->n_tmpls; i++) {
		struct xw_tmpl w;

		tmpl_put(&policy->tmpls[i], &w);
		memcpy(to + i * sizeof(w), &w, sizeof(w));
	}
}

static void
put_policy_attrs(struct put *p, const struct xfrm_policy *policy)
{
	struct xw_offload w = { .ifindex = policy->offload.ifindex,
				.flags = policy->offload.flags };

	put_tmpls(p, policy);
	put_policy_type(p, policy->has, policy->type);
	put_mark(p, policy->has, &policy->mark);
	put_if_id(p, policy->has, policy->if_id);
	if (policy->has & XFRM_HAS_OFFLOAD)
		put_attr(p, XFRM_A_OFFLOAD_DEV, &w, sizeof(w));
}

int
xfrm_put_policy(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_policy *policy)
{
	struct xw_policy w;
	struct put p;

	policy_put(policy, &w);
	p = put_begin(out, h, &w, sizeof(w));
	put_policy_attrs(&p, policy);
	return put_end(&p);
}

int
xfrm_put_policy_gone(struct xfrm_out *out, const struct xfrm_head *h,
		     const struct xfrm_policy *policy)
{
	struct xfrm_policy_id id = { .sel = policy->sel,
				     .index = policy->index,
				     .dir = policy->dir };
	struct xw_policy_id head;
	struct xw_policy w;
	struct put p;

	policy_id_put(&id, &head);
	policy_put(policy, &w);
	p = put_begin(out, h, &head, sizeof(head));
	put_attr(&p, XFRM_A_POLICY, &w, sizeof(w));
	put_policy_attrs(&p, policy);
	return put_end(&p);
}

int
xfrm_put_flush_policy(struct xfrm_out *out, const struct xfrm_head *h)
{
	struct put p = put_begin(out, h, NULL, 0);

	put_policy_type(&p, XFRM_HAS_POLICY_TYPE, 0);
	return put_end(&p);
}

int
xfrm_put_policy_expire(struct xfrm_out *out, const struct xfrm_head *h,
		       const struct xfrm_policy *policy, bool hard)
{
	struct xw_polexpire w = { .hard = hard };
	struct put p;

	policy_put(policy, &w.policy);
	p = put_begin(out, h, &w, sizeof(w));
	put_policy_attrs(&p, policy);
	return put_end(&p);
}

int
xfrm_put_policy_id(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_policy_id *id)
{
	struct xw_policy_id w;
	struct put p;

	policy_id_put(id, &w);
	p = put_begin(out, h, &w, sizeof(w));
	put_policy_type(&p, id->has, id->type);
	put_mark(&p, id->has, &id->mark);
	put_if_id(&p, id->has, id->if_id);
	return put_end(&p);
}

int
xfrm_put_acquire(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_acquire *a)
{
	struct xw_acquire w = {
		.aalgos = a->aalgos,
		.ealgos = a->ealgos,
		.calgos = a->calgos,
		.seq = a->seq,
	};
	struct put p;

	ident_put(&a->id, &w.id);
	memcpy(w.saddr, a->src.octets, sizeof(w.saddr));
	sel_put(&a->sel, &w.sel);
	policy_put(&a->policy, &w.policy);
	p = put_begin(out, h, &w, sizeof(w));
	put_tmpls(&p, &a->policy);
	put_policy_type(&p, a->policy.has, a->policy.type);
	put_mark(&p, a->has, &a->mark);
	put_if_id(&p, a->has, a->if_id);
	if (a->has & XFRM_HAS_PCPU)
		put_u32(&p, XFRM_A_SA_PCPU, a->pcpu);
	return put_end(&p);
}

static void
move_put(const struct xfrm_move *m, struct xw_migrate *w)
{
	*w = (struct xw_migrate) {
		.proto = m->proto,
		.mode = m->mode,
		.reqid = m->reqid,
		.old_family = family_put(m->old_dst.family),
		.new_family = family_put(m->new_dst.family),
	};
	memcpy(w->old_daddr, m->old_dst.octets, sizeof(w->old_daddr));
	memcpy(w->old_saddr, m->old_src.octets, sizeof(w->old_saddr));
	memcpy(w->new_daddr, m->new_dst.octets, sizeof(w->new_daddr));
	memcpy(w->new_saddr, m->new_src.octets, sizeof(w->new_saddr));
}

static void
put_moves(struct put *p, const struct xfrm_migrate *m, bool together)
{
	struct xw_migrate w[XFRM_TMPL_MAX];

	for (unsigned i = 0; i < m->n_moves; i++) {
		move_put(&m->moves[i], &w[i]);
		if (!together)
			put_attr(p, XFRM_A_MIGRATE, &w[i], sizeof(w[i]));
	}
	if (together && m->n_moves > 0)
		put_attr(p, XFRM_A_MIGRATE, w, m->n_moves * sizeof(w[0]));
}

int
xfrm_put_migrate(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_migrate *m)
{
	struct xw_kmaddress km = { .family = family_put(m->km.local.family) };
	struct xw_policy_id w;
	struct xw_encap encap;
	struct put p;

	policy_id_put(&m->policy, &w);
	p = put_begin(out, h, &w, sizeof(w));
	memcpy(km.local, m->km.local.octets, sizeof(km.local));
	memcpy(km.remote, m->km.remote.octets, sizeof(km.remote));
	if (m->km.on)
		put_attr(&p, XFRM_A_KMADDRESS, &km, sizeof(km));
	encap_put(&m->encap, &encap);
	if (m->has & XFRM_HAS_ENCAP)
		put_attr(&p, XFRM_A_ENCAP, &encap, sizeof(encap));
	put_policy_type(&p, m->has, m->policy.type);
	put_if_id(&p, m->has, m->policy.if_id);
	put_moves(&p, m, (h->flags & XFRM_F_REQUEST) != 0);
	return put_end(&p);
}

int
xfrm_put_defaults(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_defaults *d)
{
	struct xw_default w = { .in = d->in, .fwd = d->fwd, .out = d->out };
	struct put p = put_begin(out, h, &w, sizeof(w));

	return put_end(&p);
}
