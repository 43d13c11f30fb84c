/* Inside the codec: writing one message.
 *
 * put_begin notes where it starts; a piece that does not fit marks the message, and put_end then
 * wipes and takes back all of it, so that callers ask once.
 */
#ifndef XFRM_PUT_H
#define XFRM_PUT_H

#include "xfrm/xfrm.h"

struct put {
	struct xfrm_out *out;
	uint8_t *begin;
	bool full;
};

struct put put_begin(struct xfrm_out *out, const struct xfrm_head *h, const void *body,
		     size_t size);
void put_attr(struct put *p, uint16_t type, const void *octets, size_t size);
/* Room for an attribute, all 0; NULL: it does not fit. */
void *put_room(struct put *p, uint16_t type, size_t size);
void put_u32(struct put *p, uint16_t type, uint32_t value);
void put_u8(struct put *p, uint16_t type, uint8_t value);
/* 0, or -EMSGSIZE. */
int put_end(struct put *p);

/* Pieces that several messages share; those under `has` only if their bit is in it. */
void put_mark(struct put *p, uint32_t has, const struct xfrm_mark *mark);
void put_if_id(struct put *p, uint32_t has, uint32_t if_id);
void put_policy_type(struct put *p, uint32_t has, uint8_t type);
void put_replay(struct put *p, uint32_t has, const struct xfrm_replay *r);
void put_tmpls(struct put *p, const struct xfrm_policy *policy);

#endif
