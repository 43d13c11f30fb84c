#include <errno.h>
#include <stdio.h>

#include "xfrm/fields.h"
#include "xfrm/put.h"

void
sa_put(const struct xfrm_sa *sa, struct xw_sa *w)
{
	*w = (struct xw_sa) {
		.stats = { sa->stats.replay_window, sa->stats.replay, sa->stats.integrity_failed },
		.seq = sa->seq,
		.reqid = sa->reqid,
		.family = family_put(sa->family),
		.mode = sa->mode,
		.replay_window = sa->window,
		.flags = sa->flags,
	};
	sel_put(&sa->sel, &w->sel);
	ident_put(&sa->id, &w->id);
	memcpy(w->saddr, sa->src.octets, sizeof(w->saddr));
	memcpy(&w->life, &sa->life, sizeof(w->life));
	memcpy(&w->used, &sa->used, sizeof(w->used));
}

static void
alg_name(char to[XFRM_ALG_NAME_SIZE], const char *name)
{
	snprintf(to, XFRM_ALG_NAME_SIZE, "%s", name);
}

/* Of the algorithms that name a tag, AEAD and AUTH_TRUNC. */
static void
put_alg_icv(struct put *p, uint16_t type, const char *name, const struct xfrm_key *key,
	    uint32_t icv_bits, bool keys)
{
	struct xw_alg_icv w = { .key_bits = key->len * 8u, .icv_bits = icv_bits };
	uint8_t *to = put_room(p, type, sizeof(w) + key->len);

	if (to == NULL)
		return;
	alg_name(w.name, name);
	memcpy(to, &w, sizeof(w));
	if (keys)
		memcpy(to + sizeof(w), key->octets, key->len);
}

static void
put_alg(struct put *p, uint16_t type, const char *name, const struct xfrm_key *key, bool keys)
{
	struct xw_alg w = { .key_bits = key->len * 8u };
	uint8_t *to = put_room(p, type, sizeof(w) + key->len);

	if (to == NULL)
		return;
	alg_name(w.name, name);
	memcpy(to, &w, sizeof(w));
	if (keys)
		memcpy(to + sizeof(w), key->octets, key->len);
}

static void
put_algs(struct put *p, const struct xfrm_sa *sa, bool keys)
{
	const struct suite *s = &sa->suite;
	static const struct xfrm_key none;

	if ((sa->has & XFRM_HAS_SUITE) && s->aead) {
		put_alg_icv(p, XFRM_A_ALG_AEAD, xfrm_cipher_name(s), &sa->key, s->icv_len * 8u,
			    keys);
	} else if (sa->has & XFRM_HAS_SUITE) {
		put_alg(p, XFRM_A_ALG_AUTH, xfrm_auth_name(s), &sa->auth_key, keys);
		put_alg_icv(p, XFRM_A_ALG_AUTH_TRUNC, xfrm_auth_name(s), &sa->auth_key,
			    s->icv_len * 8u, keys);
		if (sa->id.proto != XFRM_PROTO_AH)
			put_alg(p, XFRM_A_ALG_CRYPT, xfrm_cipher_name(s), &sa->key, keys);
	}
	if (sa->has & XFRM_HAS_COMP)
		put_alg(p, XFRM_A_ALG_COMP, "deflate", &none, false);
}

static void
put_iptfs(struct put *p, const struct xfrm_sa *sa)
{
	const struct xfrm_iptfs *t = &sa->iptfs;

	if (sa->has & XFRM_HAS_IPTFS_DROP_TIME)
		put_u32(p, XFRM_A_IPTFS_DROP_TIME, t->drop_time_us);
	if (sa->has & XFRM_HAS_IPTFS_REORDER_WINDOW)
		put_attr(p, XFRM_A_IPTFS_REORDER_WINDOW, &t->reorder_window,
			 sizeof(t->reorder_window));
	if (sa->has & XFRM_HAS_IPTFS_DONT_FRAG)
		put_room(p, XFRM_A_IPTFS_DONT_FRAG, 0);
	if (sa->has & XFRM_HAS_IPTFS_INIT_DELAY)
		put_u32(p, XFRM_A_IPTFS_INIT_DELAY, t->init_delay_us);
	if (sa->has & XFRM_HAS_IPTFS_MAX_QSIZE)
		put_u32(p, XFRM_A_IPTFS_MAX_QSIZE, t->max_queue);
	if (sa->has & XFRM_HAS_IPTFS_PKT_SIZE)
		put_u32(p, XFRM_A_IPTFS_PKT_SIZE, t->packet_size);
}

static void
put_options(struct put *p, const struct xfrm_sa *sa)
{
	struct xw_iptfs_options o = {
		.max_aggregation_us = sa->iptfs_options.max_aggregation_us,
		.breaker_time_us = sa->iptfs_options.breaker_time_us,
		.breaker_loss = sa->iptfs_options.breaker_loss,
		.dscp = sa->iptfs_options.dscp,
		.refuse_frags = sa->iptfs_options.refuse_frags,
		.send_immediately = sa->iptfs_options.send_immediately,
	};

	if (sa->iptfs_options.on)
		put_attr(p, XFRM_A_IPTFS_OPTIONS, &o, sizeof(o));
}

static void
put_ours(struct put *p, const struct xfrm_sa *sa)
{
	struct xw_subspaces s = { sa->subspaces.count, sa->subspaces.bits, sa->subspaces.mode };
	struct xw_iptfs_rate r = {
		.bits_per_second = sa->iptfs_rate.bits_per_second,
		.layer = sa->iptfs_rate.layer,
		.congestion_control = sa->iptfs_rate.congestion_control,
	};
	struct xw_outer o = { .df = sa->outer.df, .frag = sa->outer.frag };
	struct xw_classes c = { .dscp = sa->classes.dscp, .rank = sa->classes.rank };
	const uint8_t ping = 1;

	if (sa->has & XFRM_HAS_SUBSPACES)
		put_attr(p, XFRM_A_SUBSPACES, &s, sizeof(s));
	if (sa->n_lanes > 0)
		put_attr(p, XFRM_A_LANE_STATS, sa->lanes, sa->n_lanes * sizeof(sa->lanes[0]));
	if (sa->has & XFRM_HAS_IPTFS_RATE)
		put_attr(p, XFRM_A_IPTFS_RATE, &r, sizeof(r));
	put_options(p, sa);
	if (sa->has & XFRM_HAS_OUTER)
		put_attr(p, XFRM_A_OUTER, &o, sizeof(o));
	if (sa->classes.dscp != 0)
		put_attr(p, XFRM_A_CLASSES, &c, sizeof(c));
	if (sa->esp_ping)
		put_attr(p, XFRM_A_ESP_PING, &ping, sizeof(ping));
}

static void
put_encap(struct put *p, const struct xfrm_sa *sa)
{
	struct xw_encap w;

	if ((sa->has & XFRM_HAS_ENCAP) == 0)
		return;
	encap_put(&sa->encap, &w);
	put_attr(p, XFRM_A_ENCAP, &w, sizeof(w));
}

static void
put_offload(struct put *p, uint32_t has, const struct xfrm_offload *o)
{
	struct xw_offload w = { .ifindex = o->ifindex, .flags = o->flags };

	if (has & XFRM_HAS_OFFLOAD)
		put_attr(p, XFRM_A_OFFLOAD_DEV, &w, sizeof(w));
}

/* What of an SA stands in every message about it, in the kernel's order. */
static void
put_sa_attrs(struct put *p, const struct xfrm_sa *sa, bool keys)
{
	uint32_t has = sa->has;

	if (has & XFRM_HAS_EXTRA_FLAGS)
		put_u32(p, XFRM_A_SA_EXTRA_FLAGS, sa->extra_flags);
	if (has & XFRM_HAS_COADDR)
		put_attr(p, XFRM_A_COADDR, sa->coaddr.octets, sizeof(sa->coaddr.octets));
	if (has & XFRM_HAS_LASTUSED)
		put_attr(p, XFRM_A_LASTUSED, &sa->lastused, sizeof(sa->lastused));
	put_algs(p, sa, keys);
	put_encap(p, sa);
	if (has & XFRM_HAS_TFCPAD)
		put_u32(p, XFRM_A_TFCPAD, sa->tfcpad);
	put_mark(p, has, &sa->mark);
	if (has & XFRM_HAS_SET_MARK) {
		put_u32(p, XFRM_A_SET_MARK, sa->set_mark.value);
		put_u32(p, XFRM_A_SET_MARK_MASK, sa->set_mark.mask);
	}
	put_replay(p, has, &sa->replay);
	put_offload(p, has, &sa->offload);
	put_if_id(p, has, sa->if_id);
	put_iptfs(p, sa);
	if (has & XFRM_HAS_MTIMER)
		put_u32(p, XFRM_A_MTIMER_THRESH, sa->mtimer_s);
	if (has & XFRM_HAS_PCPU)
		put_u32(p, XFRM_A_SA_PCPU, sa->pcpu);
	if (has & XFRM_HAS_DIR)
		put_u8(p, XFRM_A_SA_DIR, sa->dir);
	if (has & XFRM_HAS_NAT_KEEPALIVE)
		put_u32(p, XFRM_A_NAT_KEEPALIVE, sa->nat_keepalive_s);
	/* Only requests set these, and no answer of the kernel has them. */
	if (has & XFRM_HAS_LTIME)
		put_attr(p, XFRM_A_LTIME_VAL, &sa->used, sizeof(sa->used));
	if (has & XFRM_HAS_REPLAY_THRESH)
		put_u32(p, XFRM_A_REPLAY_THRESH, sa->replay_thresh);
	if (has & XFRM_HAS_ETIMER_THRESH)
		put_u32(p, XFRM_A_ETIMER_THRESH, sa->etimer_thresh);
	put_ours(p, sa);
}

int
xfrm_put_sa(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_sa *sa, bool keys)
{
	struct xw_sa w;
	struct put p;

	sa_put(sa, &w);
	p = put_begin(out, h, &w, sizeof(w));
	put_sa_attrs(&p, sa, keys);
	return put_end(&p);
}

int
xfrm_put_sa_gone(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_sa *sa)
{
	struct xw_sa_id id;
	struct xw_sa w;
	struct put p;

	sa_id_put(&sa->id, sa->family, &id);
	sa_put(sa, &w);
	p = put_begin(out, h, &id, sizeof(id));
	put_attr(&p, XFRM_A_SA, &w, sizeof(w));
	put_sa_attrs(&p, sa, false);
	return put_end(&p);
}

int
xfrm_put_expire(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_sa *sa,
		bool hard)
{
	struct xw_expire w = { .hard = hard };
	struct put p;

	sa_put(sa, &w.sa);
	p = put_begin(out, h, &w, sizeof(w));
	put_mark(&p, sa->has, &sa->mark);
	put_if_id(&p, sa->has, sa->if_id);
	if (sa->has & XFRM_HAS_PCPU)
		put_u32(&p, XFRM_A_SA_PCPU, sa->pcpu);
	if (sa->has & XFRM_HAS_DIR)
		put_u8(&p, XFRM_A_SA_DIR, sa->dir);
	return put_end(&p);
}

int
xfrm_put_flush_sa(struct xfrm_out *out, const struct xfrm_head *h, uint8_t proto)
{
	struct put p = put_begin(out, h, &proto, sizeof(proto));

	return put_end(&p);
}

int
xfrm_put_sa_id(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_sa_id *id)
{
	struct xw_sa_id w;
	struct put p;

	sa_id_put(&id->id, id->family, &w);
	p = put_begin(out, h, &w, sizeof(w));
	put_mark(&p, id->has, &id->mark);
	if (id->has & XFRM_HAS_SRCADDR)
		put_attr(&p, XFRM_A_SRCADDR, id->src.octets, sizeof(id->src.octets));
	if (id->want_lanes)
		put_room(&p, XFRM_A_WANT_LANES, 0);
	return put_end(&p);
}

int
xfrm_put_spi_range(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_spi_range *r)
{
	struct xw_spi w = { .min = r->min, .max = r->max };
	struct put p;

	sa_put(&r->sa, &w.sa);
	p = put_begin(out, h, &w, sizeof(w));
	put_sa_attrs(&p, &r->sa, false);
	return put_end(&p);
}
