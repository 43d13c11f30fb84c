#include <errno.h>

#include "xfrm/attrs.h"
#include "xfrm/fields.h"

static int
filter_load(const struct attr *a, struct xfrm_filter *f, struct err *err)
{
	struct addr src, dst;
	struct xw_filter w;
	int family;
	uint8_t most;

	memcpy(&w, a->octets, sizeof(w));
	family = family_load(w.family);
	most = family == 4 ? 32 : 128;
	if (family < 0)
		return attr_refuse(a, -EINVAL, err, "family %u: 2 (IPv4), 10 (IPv6), or 0 for both",
				   w.family);
	if (w.splen > most || w.dplen > most)
		return attr_refuse(a, -EINVAL, err, "prefix lengths %u and %u: at most %u", w.splen,
				   w.dplen, most);
	/* Both families have no addresses to compare. */
	if (family == 0)
		return 0;
	f->on = true;
	src = addr_load((uint8_t)family, w.saddr);
	dst = addr_load((uint8_t)family, w.daddr);
	f->src = prefix_of(&src, w.splen);
	f->dst = prefix_of(&dst, w.dplen);
	return 0;
}

int
xfrm_parse_filter(const struct xfrm_msg *msg, struct xfrm_filter *f, struct err *err)
{
	const struct attr *a;
	struct attrs list;
	int rc = attrs_load_request(msg, 0, &list, err);

	*f = (struct xfrm_filter) { 0 };
	if (rc < 0)
		return rc;
	attr_copy(&list, XFRM_A_PROTO, &f->proto, sizeof(f->proto));
	/* Linux's IPSEC_PROTO_ANY */
	if (f->proto == 255)
		f->proto = XFRM_PROTO_ANY;
	a = attr_find(&list, XFRM_A_ADDRESS_FILTER);
	return a == NULL ? 0 : filter_load(a, f, err);
}

bool
xfrm_filter_match(const struct xfrm_filter *f, uint8_t proto, const struct addr *src,
		  const struct addr *dst)
{
	if (f->proto != XFRM_PROTO_ANY && f->proto != proto)
		return false;
	return !f->on || (prefix_covers(&f->src, src) && prefix_covers(&f->dst, dst));
}

int
xfrm_parse_flush_sa(const struct xfrm_msg *msg, uint8_t *proto, struct err *err)
{
	struct attrs list;
	int rc = body_load(msg, proto, 1, err);

	if (rc < 0)
		return rc;
	switch (*proto) {
	case 255: /* Linux's IPSEC_PROTO_ANY */
		*proto = XFRM_PROTO_ANY;
		break;
	case XFRM_PROTO_ANY:
	case XFRM_PROTO_ESP:
	case XFRM_PROTO_AH:
	case XFRM_PROTO_COMP:
		break;
	default:
		return msg_refuse(msg, -EINVAL, err,
				  "proto %u: 50 (ESP), 51 (AH), 108 (IPComp), or 0 for all",
				  *proto);
	}
	return attrs_load_request(msg, 1, &list, err);
}

static int
ae_values_load(const struct attrs *list, struct xfrm_ae *ae, struct err *err)
{
	mark_load(list, &ae->has, &ae->mark);
	word_load(list, XFRM_A_IF_ID, XFRM_HAS_IF_ID, &ae->has, &ae->if_id);
	word_load(list, XFRM_A_REPLAY_THRESH, XFRM_HAS_REPLAY_THRESH, &ae->has, &ae->replay_thresh);
	word_load(list, XFRM_A_ETIMER_THRESH, XFRM_HAS_ETIMER_THRESH, &ae->has, &ae->etimer_thresh);
	if (attr_copy(list, XFRM_A_LTIME_VAL, &ae->used, sizeof(ae->used)))
		ae->has |= XFRM_HAS_LTIME;
	ae->has_path = attr_copy(list, XFRM_A_PATH, &ae->path, sizeof(ae->path));
	if (ae->has_path && ae->path.kind != XW_PATH_SET)
		return err_set(err, -EINVAL, "path MTU: kind %u: 0 (set)", ae->path.kind);
	return replay_load(list, &ae->has, &ae->replay, err);
}

int
xfrm_parse_ae(const struct xfrm_msg *msg, struct xfrm_ae *ae, struct err *err)
{
	static const uint32_t values = XFRM_HAS_LTIME | XFRM_HAS_REPLAY | XFRM_HAS_REPLAY_ESN |
				       XFRM_HAS_REPLAY_THRESH | XFRM_HAS_ETIMER_THRESH;
	struct attrs list;
	struct xw_ae w;
	int rc = body_load(msg, &w, sizeof(w), err);

	if (rc < 0)
		return rc;
	memset(ae, 0, offsetof(struct xfrm_ae, replay.bitmap));
	ae->pcpu = XFRM_PCPU_NONE;
	ae->flags = w.flags;
	ae->reqid = w.reqid;
	rc = sa_id_load(&w.id, &ae->family, &ae->id, err);
	if (rc < 0)
		return rc;
	ae->src = addr_load(ae->family, w.saddr);
	rc = attrs_load_request(msg, sizeof(w), &list, err);
	if (rc < 0)
		return rc;
	rc = ae_values_load(&list, ae, err);
	if (rc < 0 || msg->head.type != XFRM_NEWAE)
		return rc;
	if ((ae->has & values) == 0 && !ae->has_path)
		return msg_refuse(msg, -EINVAL, err,
				  "nothing to set: XFRMA_REPLAY_VAL, XFRMA_REPLAY_ESN_VAL, "
				  "XFRMA_LTIME_VAL, XFRMA_REPLAY_THRESH or XFRMA_ETIMER_THRESH");
	if ((msg->head.flags & XFRM_F_REPLACE) == 0)
		return msg_refuse(msg, -EINVAL, err, "without NLM_F_REPLACE: with it");
	return 0;
}

int
xfrm_parse_get_info(const struct xfrm_msg *msg, struct err *err)
{
	uint32_t flags;

	return body_load(msg, &flags, sizeof(flags), err);
}

/* Another space of attributes: each of them is read here. */
static int
thresh_load(const struct xfrm_msg *msg, uint32_t at, const struct xw_attr *head,
	    struct xfrm_spd_info *info, struct err *err)
{
	uint16_t type = head->type & (uint16_t)~XFRM_A_FLAGS;
	bool v4 = type == XFRM_A_SPD_THRESH_V4;
	struct xw_thresh *t = v4 ? &info->v4 : &info->v6;
	bool *has = v4 ? &info->has_v4 : &info->has_v6;
	uint8_t most = v4 ? 32 : 128;

	if (!v4 && type != XFRM_A_SPD_THRESH_V6)
		return msg_refuse(msg, -EINVAL, err,
				  "attribute %u: XFRMA_SPD_IPV4_HTHRESH (3) or _IPV6_HTHRESH (4)",
				  type);
	if (head->len != sizeof(*head) + sizeof(*t))
		return msg_refuse(msg, -EINVAL, err, "attribute %u has a length of %u: %zu", type,
				  head->len, sizeof(*head) + sizeof(*t));
	if (*has)
		return msg_refuse(msg, -EINVAL, err, "attribute %u comes twice: once", type);
	*has = true;
	memcpy(t, msg->body + at + sizeof(*head), sizeof(*t));
	if (t->local > most || t->remote > most)
		return msg_refuse(msg, -EINVAL, err,
				  "attribute %u: prefix lengths %u and %u: at most %u", type,
				  t->local, t->remote, most);
	return 0;
}

int
xfrm_parse_spd_info(const struct xfrm_msg *msg, struct xfrm_spd_info *info, struct err *err)
{
	uint32_t at = 4;
	int rc = xfrm_parse_get_info(msg, err);

	*info = (struct xfrm_spd_info) { 0 };
	while (rc == 0 && at < msg->len) {
		struct xw_attr head = { 0 };

		if (msg->len - at >= sizeof(head))
			memcpy(&head, msg->body + at, sizeof(head));
		if (head.len < sizeof(head) || head.len > msg->len - at)
			return msg_refuse(
				msg, -EINVAL, err,
				"an attribute with a length of %u, and %u octets are left",
				head.len, msg->len - at);
		rc = thresh_load(msg, at, &head, info, err);
		at += XFRM_ALIGN((uint32_t)head.len);
	}
	return rc;
}
