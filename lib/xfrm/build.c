#include <errno.h>

#include <openssl/crypto.h>

#include "xfrm/fields.h"
#include "xfrm/put.h"

/* n octets of 0 behind what is there, of which the first `size` are `from`. */
static uint8_t *
append(struct put *p, const void *from, size_t size, size_t n)
{
	uint8_t *to = p->out->at;

	if (p->full || n > (size_t)(p->out->end - to)) {
		p->full = true;
		return NULL;
	}
	if (size > 0)
		memcpy(to, from, size);
	memset(to + size, 0, n - size);
	p->out->at += n;
	return to;
}

struct put
put_begin(struct xfrm_out *out, const struct xfrm_head *h, const void *body, size_t size)
{
	struct put p = { .out = out, .begin = out->at };
	struct xw_head head = { .type = h->type, .flags = h->flags, .seq = h->seq, .pid = h->pid };

	append(&p, &head, sizeof(head), sizeof(head));
	append(&p, body, size, XFRM_ALIGN(size));
	return p;
}

void *
put_room(struct put *p, uint16_t type, size_t size)
{
	struct xw_attr head = { .len = (uint16_t)(sizeof(head) + size), .type = type };
	uint8_t *at = append(p, &head, sizeof(head), sizeof(head) + XFRM_ALIGN(size));

	return at == NULL ? NULL : at + sizeof(head);
}

void
put_attr(struct put *p, uint16_t type, const void *octets, size_t size)
{
	void *to = put_room(p, type, size);

	if (to != NULL)
		memcpy(to, octets, size);
}

void
put_u32(struct put *p, uint16_t type, uint32_t value)
{
	put_attr(p, type, &value, sizeof(value));
}

void
put_u8(struct put *p, uint16_t type, uint8_t value)
{
	put_attr(p, type, &value, sizeof(value));
}

int
put_end(struct put *p)
{
	uint32_t len = (uint32_t)(p->out->at - p->begin);

	if (p->full) {
		/* Keys may be in what did fit. */
		OPENSSL_cleanse(p->begin, p->out->at - p->begin);
		p->out->at = p->begin;
		return -EMSGSIZE;
	}
	memcpy(p->begin + offsetof(struct xw_head, len), &len, sizeof(len));
	return 0;
}

void
put_mark(struct put *p, uint32_t has, const struct xfrm_mark *mark)
{
	struct xw_mark w = { mark->value, mark->mask };

	if (has & XFRM_HAS_MARK)
		put_attr(p, XFRM_A_MARK, &w, sizeof(w));
}

void
put_if_id(struct put *p, uint32_t has, uint32_t if_id)
{
	if (has & XFRM_HAS_IF_ID)
		put_u32(p, XFRM_A_IF_ID, if_id);
}

void
put_policy_type(struct put *p, uint32_t has, uint8_t type)
{
	struct xw_policy_type w = { .type = type };

	if (has & XFRM_HAS_POLICY_TYPE)
		put_attr(p, XFRM_A_POLICY_TYPE, &w, sizeof(w));
}

void
put_replay(struct put *p, uint32_t has, const struct xfrm_replay *r)
{
	if (has & XFRM_HAS_REPLAY_ESN) {
		struct xw_replay_esn w = {
			.words = r->words,
			.oseq = (uint32_t)r->oseq,
			.seq = (uint32_t)r->seq,
			.oseq_hi = (uint32_t)(r->oseq >> 32),
			.seq_hi = (uint32_t)(r->seq >> 32),
			.replay_window = r->window,
		};
		uint8_t *to = put_room(p, XFRM_A_REPLAY_ESN_VAL, sizeof(w) + r->words * 4);

		if (to == NULL)
			return;
		memcpy(to, &w, sizeof(w));
		memcpy(to + sizeof(w), r->bitmap, r->words * 4);
	} else if (has & XFRM_HAS_REPLAY) {
		struct xw_replay w = { (uint32_t)r->oseq, (uint32_t)r->seq,
				       r->words > 0 ? r->bitmap[0] : 0 };

		put_attr(p, XFRM_A_REPLAY_VAL, &w, sizeof(w));
	}
}

int
xfrm_put_error(struct xfrm_out *out, const struct xw_head *request, uint32_t pid, int rc,
	       const struct err *err)
{
	struct xfrm_head h = { XFRM_ERROR, XFRM_F_CAPPED, request->seq, pid };
	struct xw_error w = { .error = rc, .of = *request };
	size_t n = rc < 0 && err != NULL ? strnlen(err->text, sizeof(err->text) - 1) : 0;
	size_t fixed = sizeof(struct xw_head) + sizeof(w) + sizeof(struct xw_attr) + 4;
	size_t room = (size_t)(out->end - out->at);
	struct put p;

	if (room < fixed)
		n = 0;
	else if (n > room - fixed)
		n = room - fixed;
	if (n > 0)
		h.flags |= XFRM_F_ACK_TLVS;
	p = put_begin(out, &h, &w, sizeof(w));
	if (n > 0) {
		char *text = put_room(&p, XFRM_A_ERROR_MESSAGE, n + 1);

		if (text != NULL)
			memcpy(text, err->text, n);
	}
	return put_end(&p);
}

int
xfrm_put_done(struct xfrm_out *out, uint32_t seq, uint32_t pid, bool interrupted)
{
	struct xfrm_head h = { XFRM_DONE, XFRM_F_MULTI, seq, pid };
	int32_t rc = 0;
	struct put p;

	if (interrupted)
		h.flags |= XFRM_F_DUMP_INTR;
	p = put_begin(out, &h, &rc, sizeof(rc));
	return put_end(&p);
}

int
xfrm_put_sad_info(struct xfrm_out *out, const struct xfrm_head *h, uint32_t sas,
		  const struct xw_hash_sizes *hash)
{
	uint32_t flags = 0;
	struct put p = put_begin(out, h, &flags, sizeof(flags));

	put_u32(&p, XFRM_A_SAD_COUNT, sas);
	put_attr(&p, XFRM_A_SAD_HASH, hash, sizeof(*hash));
	return put_end(&p);
}

int
xfrm_put_spd_info(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_spd_info *i)
{
	uint32_t flags = 0;
	struct put p = put_begin(out, h, &flags, sizeof(flags));

	put_attr(&p, XFRM_A_SPD_INFO, &i->counts, sizeof(i->counts));
	put_attr(&p, XFRM_A_SPD_HASH, &i->hash, sizeof(i->hash));
	put_attr(&p, XFRM_A_SPD_THRESH_V4, &i->v4, sizeof(i->v4));
	put_attr(&p, XFRM_A_SPD_THRESH_V6, &i->v6, sizeof(i->v6));
	return put_end(&p);
}

int
xfrm_put_ae(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_ae *ae)
{
	struct xw_ae w = { .flags = ae->flags, .reqid = ae->reqid };
	struct put p;

	sa_id_put(&ae->id, ae->family, &w.id);
	memcpy(w.saddr, ae->src.octets, sizeof(w.saddr));
	p = put_begin(out, h, &w, sizeof(w));
	put_replay(&p, ae->has, &ae->replay);
	if (ae->has & XFRM_HAS_LTIME)
		put_attr(&p, XFRM_A_LTIME_VAL, &ae->used, sizeof(ae->used));
	if (ae->has & XFRM_HAS_REPLAY_THRESH)
		put_u32(&p, XFRM_A_REPLAY_THRESH, ae->replay_thresh);
	if (ae->has & XFRM_HAS_ETIMER_THRESH)
		put_u32(&p, XFRM_A_ETIMER_THRESH, ae->etimer_thresh);
	put_mark(&p, ae->has, &ae->mark);
	put_if_id(&p, ae->has, ae->if_id);
	if (ae->has & XFRM_HAS_PCPU)
		put_u32(&p, XFRM_A_SA_PCPU, ae->pcpu);
	if (ae->has & XFRM_HAS_DIR)
		put_u8(&p, XFRM_A_SA_DIR, ae->dir);
	if (ae->has_path)
		put_attr(&p, XFRM_A_PATH, &ae->path, sizeof(ae->path));
	if (ae->has_iptfs)
		put_attr(&p, XFRM_A_IPTFS_STATE, &ae->iptfs, sizeof(ae->iptfs));
	return put_end(&p);
}

int
xfrm_put_mapping(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_mapping *m)
{
	struct xw_mapping w = {
		.reqid = m->reqid,
		.old_sport_be = __builtin_bswap16(m->old_sport),
		.new_sport_be = __builtin_bswap16(m->new_sport),
	};
	struct put p;

	sa_id_put(&m->id, m->family, &w.id);
	memcpy(w.old_saddr, m->old_src.octets, sizeof(w.old_saddr));
	memcpy(w.new_saddr, m->new_src.octets, sizeof(w.new_saddr));
	p = put_begin(out, h, &w, sizeof(w));
	return put_end(&p);
}
