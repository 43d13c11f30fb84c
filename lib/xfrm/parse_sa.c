#include <errno.h>

#include <openssl/crypto.h>

#include "xfrm/attrs.h"
#include "xfrm/check_sa.h"
#include "xfrm/fields.h"

void
xfrm_sa_wipe(struct xfrm_sa *sa)
{
	OPENSSL_cleanse(&sa->key, sizeof(sa->key));
	OPENSSL_cleanse(&sa->auth_key, sizeof(sa->auth_key));
}

void
xfrm_sa_init(struct xfrm_sa *sa)
{
	memset(sa, 0, offsetof(struct xfrm_sa, replay.bitmap));
	sa->pcpu = XFRM_PCPU_NONE;
	sa->life.soft_bytes = sa->life.hard_bytes = XFRM_NO_LIMIT;
	sa->life.soft_packets = sa->life.hard_packets = XFRM_NO_LIMIT;
}

static int
info_load(const struct xw_sa *w, struct xfrm_sa *sa, struct err *err)
{
	int rc;

	xfrm_sa_init(sa);
	rc = family_need(w->family, "family", &sa->family, err);
	if (rc < 0)
		return rc;
	rc = sel_load(&w->sel, &sa->sel, "sel", err);
	if (rc < 0)
		return rc;
	ident_load(&sa->id, sa->family, w->id.daddr, w->id.spi_be, w->id.proto);
	sa->src = addr_load(sa->family, w->saddr);
	memcpy(&sa->life, &w->life, sizeof(sa->life));
	memcpy(&sa->used, &w->used, sizeof(sa->used));
	sa->stats.replay_window = w->stats.replay_window;
	sa->stats.replay = w->stats.replay;
	sa->stats.integrity_failed = w->stats.integrity_failed;
	sa->seq = w->seq;
	sa->reqid = w->reqid;
	sa->mode = w->mode;
	sa->window = w->replay_window;
	sa->flags = w->flags;
	return 0;
}

static void
words_load(const struct attrs *a, struct xfrm_sa *sa)
{
	static const struct {
		uint16_t type;
		uint32_t bit;
		size_t at;
	} words[] = {
#define WORD(type, bit, field) { XFRM_A_##type, XFRM_HAS_##bit, offsetof(struct xfrm_sa, field) }
		WORD(SA_EXTRA_FLAGS, EXTRA_FLAGS, extra_flags),
		WORD(TFCPAD, TFCPAD, tfcpad),
		WORD(IF_ID, IF_ID, if_id),
		WORD(MTIMER_THRESH, MTIMER, mtimer_s),
		WORD(NAT_KEEPALIVE, NAT_KEEPALIVE, nat_keepalive_s),
		WORD(SA_PCPU, PCPU, pcpu),
		WORD(REPLAY_THRESH, REPLAY_THRESH, replay_thresh),
		WORD(ETIMER_THRESH, ETIMER_THRESH, etimer_thresh),
		WORD(IPTFS_DROP_TIME, IPTFS_DROP_TIME, iptfs.drop_time_us),
		WORD(IPTFS_INIT_DELAY, IPTFS_INIT_DELAY, iptfs.init_delay_us),
		WORD(IPTFS_MAX_QSIZE, IPTFS_MAX_QSIZE, iptfs.max_queue),
		WORD(IPTFS_PKT_SIZE, IPTFS_PKT_SIZE, iptfs.packet_size),
#undef WORD
	};

	for (size_t i = 0; i < RTE_DIM(words); i++)
		word_load(a, words[i].type, words[i].bit, &sa->has,
			  (uint32_t *)((uint8_t *)sa + words[i].at));
}

static void
marks_load(const struct attrs *a, struct xfrm_sa *sa)
{
	mark_load(a, &sa->has, &sa->mark);
	word_load(a, XFRM_A_SET_MARK, XFRM_HAS_SET_MARK, &sa->has, &sa->set_mark.value);
	if ((sa->has & XFRM_HAS_SET_MARK) == 0)
		return;
	sa->set_mark.mask = UINT32_MAX;
	attr_copy(a, XFRM_A_SET_MARK_MASK, &sa->set_mark.mask, sizeof(sa->set_mark.mask));
}

static int
dir_load(const struct attrs *list, struct xfrm_sa *sa, struct err *err)
{
	const struct attr *a = attr_find(list, XFRM_A_SA_DIR);

	if (a == NULL)
		return 0;
	sa->dir = a->octets[0];
	sa->has |= XFRM_HAS_DIR;
	if (sa->dir != XFRM_SA_DIR_IN && sa->dir != XFRM_SA_DIR_OUT)
		return attr_refuse(a, -EINVAL, err, "%u: 1 (in) or 2 (out)", sa->dir);
	return 0;
}

static void
options_load(const struct attrs *list, struct xfrm_sa *sa)
{
	struct xw_iptfs_options o;

	if (!attr_copy(list, XFRM_A_IPTFS_OPTIONS, &o, sizeof(o)))
		return;
	sa->iptfs_options.on = true;
	sa->iptfs_options.max_aggregation_us = o.max_aggregation_us;
	sa->iptfs_options.breaker_time_us = o.breaker_time_us;
	sa->iptfs_options.breaker_loss = o.breaker_loss;
	sa->iptfs_options.dscp = o.dscp;
	sa->iptfs_options.refuse_frags = o.refuse_frags != 0;
	sa->iptfs_options.send_immediately = o.send_immediately != 0;
}

static int
ours_load(const struct attrs *list, struct xfrm_sa *sa, struct err *err)
{
	const struct attr *a = attr_find(list, XFRM_A_EESP);
	struct xw_subspaces s;
	struct xw_iptfs_rate r;
	struct xw_outer o;
	struct xw_classes c;
	uint8_t ping;

	if (a != NULL)
		return attr_refuse(a, -EOPNOTSUPP, err, "EESP is not offered: leave it out");
	if (attr_copy(list, XFRM_A_SUBSPACES, &s, sizeof(s))) {
		sa->has |= XFRM_HAS_SUBSPACES;
		sa->subspaces.count = s.count;
		sa->subspaces.bits = s.bits;
		sa->subspaces.mode = s.mode;
	}
	if (attr_copy(list, XFRM_A_IPTFS_RATE, &r, sizeof(r))) {
		sa->has |= XFRM_HAS_IPTFS_RATE;
		sa->iptfs_rate.bits_per_second = r.bits_per_second;
		sa->iptfs_rate.layer = r.layer;
		sa->iptfs_rate.congestion_control = r.congestion_control != 0;
	}
	options_load(list, sa);
	if (attr_copy(list, XFRM_A_OUTER, &o, sizeof(o))) {
		sa->has |= XFRM_HAS_OUTER;
		sa->outer.df = o.df;
		sa->outer.frag = o.frag;
	}
	if (attr_copy(list, XFRM_A_CLASSES, &c, sizeof(c))) {
		sa->classes.dscp = c.dscp;
		/* The rank is the list's. */
		sa->classes.rank = c.dscp != 0 ? c.rank : 0;
	}
	sa->esp_ping = attr_copy(list, XFRM_A_ESP_PING, &ping, sizeof(ping)) && ping != 0;
	return 0;
}

/* What is neither a word nor an algorithm. */
static int
others_load(const struct attrs *list, struct xfrm_sa *sa, struct err *err)
{
	struct xw_offload o;
	uint8_t octets[16];
	bool there;
	int rc = encap_load(list, sa->family, &sa->encap, &there, err);

	if (rc < 0)
		return rc;
	if (there)
		sa->has |= XFRM_HAS_ENCAP;
	if (attr_copy(list, XFRM_A_COADDR, octets, sizeof(octets))) {
		sa->has |= XFRM_HAS_COADDR;
		sa->coaddr = addr_load(sa->family, octets);
	}
	if (attr_copy(list, XFRM_A_LASTUSED, &sa->lastused, sizeof(sa->lastused)))
		sa->has |= XFRM_HAS_LASTUSED;
	if (attr_copy(list, XFRM_A_LTIME_VAL, &sa->used, sizeof(sa->used)))
		sa->has |= XFRM_HAS_LTIME;
	if (attr_copy(list, XFRM_A_OFFLOAD_DEV, &o, sizeof(o))) {
		sa->has |= XFRM_HAS_OFFLOAD;
		sa->offload.ifindex = o.ifindex;
		sa->offload.flags = o.flags;
	}
	if (attr_copy(list, XFRM_A_IPTFS_REORDER_WINDOW, &sa->iptfs.reorder_window, 2))
		sa->has |= XFRM_HAS_IPTFS_REORDER_WINDOW;
	if (attr_find(list, XFRM_A_IPTFS_DONT_FRAG) != NULL) {
		sa->has |= XFRM_HAS_IPTFS_DONT_FRAG;
		sa->iptfs.dont_frag = true;
	}
	rc = replay_load(list, &sa->has, &sa->replay, err);
	return rc < 0 ? rc : dir_load(list, sa, err);
}

static int
sa_load(const struct xfrm_msg *msg, size_t size, struct attrs *list, struct xfrm_sa *sa,
	struct err *err)
{
	const struct attr *a;
	struct xw_sa w;
	int rc = body_load(msg, &w, sizeof(w), err);

	if (rc < 0)
		return rc;
	rc = info_load(&w, sa, err);
	if (rc < 0)
		return rc;
	rc = attrs_load_request(msg, size, list, err);
	if (rc < 0)
		return rc;
	a = attr_find(list, XFRM_A_SEC_CTX);
	if (a != NULL)
		return attr_refuse(a, -EOPNOTSUPP, err, "there are no security labels here: none");
	words_load(list, sa);
	marks_load(list, sa);
	rc = others_load(list, sa, err);
	return rc < 0 ? rc : ours_load(list, sa, err);
}

/* A selector without a family has the SA's, unless it is said to be for both. */
static int
sel_default(const struct xfrm_msg *msg, struct xfrm_sa *sa, struct err *err)
{
	struct xw_sel sel;

	if (sa->sel.family != 0 || (sa->flags & XFRM_SA_AF_UNSPEC))
		return 0;
	memcpy(&sel, msg->body + offsetof(struct xw_sa, sel), sizeof(sel));
	sel.family = family_put(sa->family);
	return sel_load(&sel, &sa->sel, "sel", err);
}

int
xfrm_parse_sa(const struct xfrm_msg *msg, struct xfrm_sa *sa, struct err *err)
{
	struct attrs list;
	int rc;

	xfrm_sa_init(sa);
	rc = sa_load(msg, sizeof(struct xw_sa), &list, sa, err);
	if (rc == 0)
		rc = sel_default(msg, sa, err);
	if (rc == 0)
		rc = algs_load(&list, sa, err);
	if (rc == 0)
		rc = sa_check(sa, &list, err);
	if (rc < 0)
		xfrm_sa_wipe(sa);
	return rc;
}

int
xfrm_read_sa(const struct xfrm_msg *msg, struct xfrm_sa *sa, struct err *err)
{
	size_t size =
		msg->head.type == XFRM_EXPIRE ? sizeof(struct xw_expire) : sizeof(struct xw_sa);
	struct xfrm_msg as = *msg;
	struct attrs list;
	int rc;

	xfrm_sa_init(sa);
	if (msg->len < size)
		return msg_refuse(msg, -EINVAL, err, "a body of %u octets: it has %zu", msg->len,
				  size);
	as.head.type = XFRM_NEWSA; /* events may say the direction */
	rc = sa_load(&as, size, &list, sa, err);
	if (rc < 0)
		return rc;
	rc = algs_load(&list, sa, err);
	if (rc < 0)
		xfrm_sa_wipe(sa);
	return rc;
}

int
xfrm_parse_sa_id(const struct xfrm_msg *msg, struct xfrm_sa_id *id, struct err *err)
{
	struct attrs list;
	struct xw_sa_id w;
	uint8_t octets[16];
	int rc = body_load(msg, &w, sizeof(w), err);

	if (rc < 0)
		return rc;
	memset(id, 0, sizeof(*id));
	rc = sa_id_load(&w, &id->family, &id->id, err);
	if (rc < 0)
		return rc;
	rc = attrs_load_request(msg, sizeof(w), &list, err);
	if (rc < 0)
		return rc;
	mark_load(&list, &id->has, &id->mark);
	if (attr_copy(&list, XFRM_A_SRCADDR, octets, sizeof(octets))) {
		id->has |= XFRM_HAS_SRCADDR;
		id->src = addr_load(id->family, octets);
	}
	id->want_lanes = attr_find(&list, XFRM_A_WANT_LANES) != NULL;
	return 0;
}

static int
range_check(const struct xfrm_spi_range *r, struct err *err)
{
	int rc = proto_check(r->sa.id.proto, "id.proto", err);

	if (rc < 0)
		return rc;
	if (r->min > r->max)
		return err_set(err, -EINVAL, "min %#x and max %#x: min is at most max", r->min,
			       r->max);
	if (r->sa.id.proto == XFRM_PROTO_COMP && (r->min == 0 || r->max > UINT16_MAX))
		return err_set(err, -EINVAL, "CPIs %#x to %#x: from 1 to 0xffff", r->min, r->max);
	if (r->sa.id.proto != XFRM_PROTO_COMP && r->min < 256)
		return err_set(err, -EINVAL,
			       "min %#x: SPIs below 0x100 are reserved: 0x100 or more", r->min);
	if (r->sa.mode > XFRM_IPTFS)
		return err_set(err, -EINVAL,
			       "mode %u: 0 (transport), 1 (tunnel), 4 (BEET) or 5 (IP-TFS)",
			       r->sa.mode);
	return 0;
}

int
xfrm_parse_spi_range(const struct xfrm_msg *msg, struct xfrm_spi_range *r, struct err *err)
{
	struct attrs list;
	struct xw_spi w;
	int rc = body_load(msg, &w, sizeof(w), err);

	if (rc < 0)
		return rc;
	rc = sa_load(msg, sizeof(w), &list, &r->sa, err);
	if (rc < 0)
		return rc;
	r->min = w.min;
	r->max = w.max;
	rc = range_check(r, err);
	return rc < 0 ? rc : pcpu_check(&r->sa, &list, err);
}
