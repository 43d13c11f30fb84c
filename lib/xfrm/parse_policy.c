#include <errno.h>

#include "xfrm/attrs.h"
#include "xfrm/fields.h"

static int
dir_check(uint8_t dir, struct err *err)
{
	if (dir < XFRM_DIR_END)
		return 0;
	return err_set(err, -EINVAL, "dir %u: 0 (in), 1 (out) or 2 (fwd)", dir);
}

/* Of a policy that is to be made, one of the families is needed. */
static int
sel_need(const struct xw_sel *w, struct xfrm_sel *sel, struct err *err)
{
	uint8_t family;
	int rc = family_need(w->family, "sel.family", &family, err);

	return rc < 0 ? rc : sel_load(w, sel, "sel", err);
}

static int
policy_load(const struct xw_policy *w, struct xfrm_policy *p, struct err *err)
{
	int rc;

	memset(p, 0, sizeof(*p));
	rc = sel_need(&w->sel, &p->sel, err);
	if (rc < 0)
		return rc;
	rc = dir_check(w->dir, err);
	if (rc < 0)
		return rc;
	if (w->action != XFRM_ALLOW && w->action != XFRM_BLOCK)
		return err_set(err, -EINVAL, "action %u: 0 (allow) or 1 (block)", w->action);
	if (w->share > 3)
		return err_set(err, -EINVAL, "share %u: 0 (any)", w->share);
	if (w->index != 0 && (w->index & 7) != w->dir)
		return err_set(err, -EINVAL,
			       "index %u with dir %u: its lowest 3 bits are dir, or 0 to have one "
			       "chosen",
			       w->index, w->dir);
	memcpy(&p->life, &w->life, sizeof(p->life));
	memcpy(&p->used, &w->used, sizeof(p->used));
	p->priority = w->priority;
	p->index = w->index;
	p->dir = w->dir;
	p->action = w->action;
	p->flags = w->flags;
	p->share = w->share;
	return 0;
}

static int
tmpl_modes(const struct xfrm_tmpl *t, uint8_t dir, uint8_t inner, const struct attr *a, unsigned i,
	   struct err *err)
{
	switch (t->mode) {
	case XFRM_TUNNEL:
	case XFRM_BEET:
	case XFRM_IPTFS:
		if (t->optional && dir == XFRM_DIR_OUT)
			return attr_refuse(a, -EINVAL, err,
					   "template %u: optional in an outbound policy with mode "
					   "%u: 0",
					   i, t->mode);
		return 0;
	case XFRM_TRANSPORT:
		if (t->family != inner)
			return attr_refuse(a, -EINVAL, err,
					   "template %u: transport mode and another family than "
					   "what it carries",
					   i);
		return 0;
	default:
		return attr_refuse(a, -EINVAL, err,
				   "template %u: mode %u: 0 (transport), 1 (tunnel), 4 (BEET) or 5 "
				   "(IP-TFS)",
				   i, t->mode);
	}
}

static int
tmpl_load(const struct attr *a, unsigned i, struct xfrm_policy *p, uint8_t *inner, struct err *err)
{
	struct xfrm_tmpl *t = &p->tmpls[i];
	struct err why = { "" };
	struct xw_tmpl w;
	int family, rc;

	memcpy(&w, a->octets + i * sizeof(w), sizeof(w));
	family = w.family == 0 ? p->sel.family : family_load(w.family);
	if (family < 0)
		return attr_refuse(a, -EINVAL, err,
				   "template %u: family %u: 2 (IPv4), 10 (IPv6), or 0 for the "
				   "selector's",
				   i, w.family);
	rc = proto_check(w.id.proto, "id.proto", &why);
	if (rc < 0)
		return attr_refuse(a, rc, err, "template %u: %s", i, why.text);
	memset(t, 0, sizeof(*t));
	ident_load(&t->id, (uint8_t)family, w.id.daddr, w.id.spi_be, w.id.proto);
	t->family = (uint8_t)family;
	t->src = addr_load(t->family, w.saddr);
	t->reqid = w.reqid;
	t->mode = w.mode;
	t->share = w.share;
	t->optional = w.optional != 0;
	t->aalgos = w.aalgos;
	t->ealgos = w.ealgos;
	t->calgos = w.calgos;
	rc = tmpl_modes(t, p->dir, *inner, a, i, err);
	*inner = t->family;
	return rc;
}

static int
tmpls_load(const struct attrs *list, struct xfrm_policy *p, struct err *err)
{
	const struct attr *a = attr_find(list, XFRM_A_TMPL);
	uint8_t inner = p->sel.family;
	size_t n;

	if (a == NULL)
		return 0;
	n = a->len / sizeof(struct xw_tmpl);
	if (n > XFRM_TMPL_MAX)
		return attr_refuse(a, -EINVAL, err, "%zu templates: at most %u", n, XFRM_TMPL_MAX);
	for (unsigned i = 0; i < n; i++) {
		int rc = tmpl_load(a, i, p, &inner, err);

		if (rc < 0)
			return rc;
	}
	p->n_tmpls = (uint8_t)n;
	return 0;
}

int
xfrm_parse_policy(const struct xfrm_msg *msg, struct xfrm_policy *p, struct err *err)
{
	struct xw_offload o;
	struct xw_policy w;
	struct attrs list;
	int rc = body_load(msg, &w, sizeof(w), err);

	if (rc < 0)
		return rc;
	rc = policy_load(&w, p, err);
	if (rc < 0)
		return rc;
	rc = attrs_load_request(msg, sizeof(w), &list, err);
	if (rc < 0)
		return rc;
	rc = policy_attrs_load(&list, &p->has, &p->type, err);
	if (rc < 0)
		return rc;
	mark_load(&list, &p->has, &p->mark);
	word_load(&list, XFRM_A_IF_ID, XFRM_HAS_IF_ID, &p->has, &p->if_id);
	if (attr_copy(&list, XFRM_A_OFFLOAD_DEV, &o, sizeof(o))) {
		p->has |= XFRM_HAS_OFFLOAD;
		p->offload.ifindex = o.ifindex;
		p->offload.flags = o.flags;
	}
	return tmpls_load(&list, p, err);
}

static int
policy_id_load(const struct xfrm_msg *msg, struct attrs *list, struct xfrm_policy_id *id,
	       struct err *err)
{
	struct xw_policy_id w;
	int rc = body_load(msg, &w, sizeof(w), err);

	if (rc < 0)
		return rc;
	memset(id, 0, sizeof(*id));
	id->index = w.index;
	id->dir = w.dir;
	rc = dir_check(w.dir, err);
	if (rc < 0)
		return rc;
	/* Found by its index, it needs no selector. */
	rc = w.index != 0 ? sel_load(&w.sel, &id->sel, "sel", err) :
			    sel_need(&w.sel, &id->sel, err);
	if (rc < 0)
		return rc;
	rc = attrs_load_request(msg, sizeof(w), list, err);
	if (rc < 0)
		return rc;
	mark_load(list, &id->has, &id->mark);
	word_load(list, XFRM_A_IF_ID, XFRM_HAS_IF_ID, &id->has, &id->if_id);
	return policy_attrs_load(list, &id->has, &id->type, err);
}

int
xfrm_parse_policy_id(const struct xfrm_msg *msg, struct xfrm_policy_id *id, struct err *err)
{
	struct attrs list;

	return policy_id_load(msg, &list, id, err);
}

int
xfrm_parse_flush_policy(const struct xfrm_msg *msg, struct err *err)
{
	struct attrs list;
	uint32_t has;
	uint8_t type;
	int rc = attrs_load_request(msg, 0, &list, err);

	return rc < 0 ? rc : policy_attrs_load(&list, &has, &type, err);
}

int
xfrm_parse_defaults(const struct xfrm_msg *msg, struct xfrm_defaults *d, struct err *err)
{
	struct attrs list;
	struct xw_default w;
	int rc = body_load(msg, &w, sizeof(w), err);

	if (rc < 0)
		return rc;
	if (w.in > XFRM_DEFAULT_ACCEPT || w.fwd > XFRM_DEFAULT_ACCEPT ||
	    w.out > XFRM_DEFAULT_ACCEPT)
		return msg_refuse(msg, -EINVAL, err,
				  "in %u, fwd %u, out %u: 1 (block), 2 (accept), 0 (as it is)",
				  w.in, w.fwd, w.out);
	*d = (struct xfrm_defaults) { .in = w.in, .fwd = w.fwd, .out = w.out };
	return attrs_load_request(msg, sizeof(w), &list, err);
}

static int
move_load(const struct attr *a, unsigned i, struct xfrm_move *m, struct err *err)
{
	struct err why = { "" };
	struct xw_migrate w;
	int was, now, rc;

	memcpy(&w, a->octets + i * sizeof(w), sizeof(w));
	was = family_load(w.old_family);
	now = family_load(w.new_family);
	if (was <= 0 || now <= 0)
		return attr_refuse(a, -EINVAL, err,
				   "entry %u: families %u and %u: 2 (IPv4) or 10 (IPv6)", i,
				   w.old_family, w.new_family);
	rc = proto_check(w.proto, "proto", &why);
	if (rc < 0)
		return attr_refuse(a, rc, err, "entry %u: %s", i, why.text);
	if (w.mode > XFRM_IPTFS)
		return attr_refuse(a, -EINVAL, err, "entry %u: mode %u: 0, 1, 4 or 5", i, w.mode);
	memset(m, 0, sizeof(*m));
	m->old_src = addr_load((uint8_t)was, w.old_saddr);
	m->old_dst = addr_load((uint8_t)was, w.old_daddr);
	m->new_src = addr_load((uint8_t)now, w.new_saddr);
	m->new_dst = addr_load((uint8_t)now, w.new_daddr);
	m->proto = w.proto;
	m->mode = w.mode;
	m->reqid = w.reqid;
	return 0;
}

static int
moves_load(const struct attrs *list, struct xfrm_migrate *m, struct err *err)
{
	const struct attr *a = attr_find(list, XFRM_A_MIGRATE);
	size_t n;

	if (a == NULL)
		return err_set(err, -EINVAL,
			       "XFRM_MSG_MIGRATE without XFRMA_MIGRATE: one to %u moves",
			       XFRM_TMPL_MAX);
	n = a->len / sizeof(struct xw_migrate);
	if (n > XFRM_TMPL_MAX)
		return attr_refuse(a, -EINVAL, err, "%zu moves: at most %u", n, XFRM_TMPL_MAX);
	for (unsigned i = 0; i < n; i++) {
		int rc = move_load(a, i, &m->moves[i], err);

		if (rc < 0)
			return rc;
	}
	m->n_moves = (uint8_t)n;
	return 0;
}

static int
km_load(const struct attrs *list, struct xfrm_migrate *m, struct err *err)
{
	const struct attr *a = attr_find(list, XFRM_A_KMADDRESS);
	struct xw_kmaddress w;
	int family;

	if (a == NULL)
		return 0;
	memcpy(&w, a->octets, sizeof(w));
	family = family_load(w.family);
	if (family <= 0)
		return attr_refuse(a, -EINVAL, err, "family %u: 2 (IPv4) or 10 (IPv6)", w.family);
	m->km.on = true;
	m->km.local = addr_load((uint8_t)family, w.local);
	m->km.remote = addr_load((uint8_t)family, w.remote);
	return 0;
}

int
xfrm_parse_migrate(const struct xfrm_msg *msg, struct xfrm_migrate *m, struct err *err)
{
	struct attrs list;
	bool there;
	int rc;

	memset(m, 0, sizeof(*m));
	rc = policy_id_load(msg, &list, &m->policy, err);
	if (rc < 0)
		return rc;
	m->has = m->policy.has;
	rc = moves_load(&list, m, err);
	if (rc < 0)
		return rc;
	rc = encap_load(&list, m->moves[0].new_dst.family, &m->encap, &there, err);
	if (rc < 0)
		return rc;
	if (there)
		m->has |= XFRM_HAS_ENCAP;
	return km_load(&list, m, err);
}
