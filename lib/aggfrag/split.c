/* Payloads taken apart (RFC 9347 section 2.2). */
#include <string.h>

#include <rte_memcpy.h>

#include "aggfrag/inner.h"
#include "worker/mbufs.h"
#include "worker/worker.h"

/* Left in front of a packet that stays in a payload's buffer: for the headers of another tunnel. */
#define HEADROOM_LEFT 96

enum end {
	END_NONE, /* the last block ends with the payload */
	END_MORE, /* others follow */
	END_PAD,
	END_TAIL,   /* a packet that goes on in the next payload */
	END_UNSEEN, /* likewise, of which the length is not to be seen yet */
	END_BAD_TYPE,
	END_BAD_LEN,
};

/* What stays in the payload's buffer. */
enum kept {
	KEPT_NONE,
	KEPT_REST,  /* of the packet before, which is copied in front of it */
	KEPT_CHAIN, /* likewise, as a segment more */
	KEPT_BLOCK,
	/* The last two: what END_TAIL begins. */
	KEPT_TAIL,
	KEPT_TAIL_MOVED, /* in the buffer, to where what is to come has room behind it */
};

/* A payload, or what is left of it: the rest of a packet, whole packets, and how it ends. */
struct plan {
	struct rte_mbuf *m;
	uint32_t rest_at, rest; /* octets; 0: none */
	uint32_t at;		/* of the first whole packet */
	uint32_t behind;	/* the last one */
	uint32_t total;		/* octets of the packet that END_TAIL begins */
	enum end end;
	enum kept kept;
	bool copies_tail;	/* what END_TAIL begins goes to a buffer of its own: */
	struct rte_mbuf *spare; /* this one, or if NULL another */
	uint32_t largest;	/* of the whole packets: its octets << 8 | which it is; 0: none */
	uint16_t n, kept_block;
	uint16_t lens[AGGFRAG_BLOCKS_MAX];
};

_Static_assert(AGGFRAG_BLOCKS_MAX <= UINT8_MAX, "plan.largest");

/* A block as wire_aggfrag_block() has it, but no longer than offsets can say. */
static enum wire_aggfrag_block
block_read(const uint8_t *at, uint32_t have, uint32_t *len)
{
	enum wire_aggfrag_block kind = wire_aggfrag_block(at, have, len);

	return kind == WIRE_AGGFRAG_PACKET && *len > AGGFRAG_INNER_MAX ? WIRE_AGGFRAG_BAD_LEN :
									 kind;
}

/* Finds at most max whole packets from p->at on, and what is behind them. */
static void
blocks_find(struct plan *p, uint32_t max)
{
	uint32_t end = p->m->pkt_len, at = p->at, len = 0;

	p->n = 0;
	p->largest = 0;
	p->end = END_NONE;
	p->spare = NULL;
	while (at < end) {
		static const uint8_t ends[] = {
			[WIRE_AGGFRAG_PACKET] = END_TAIL,
			[WIRE_AGGFRAG_PAD] = END_PAD,
			[WIRE_AGGFRAG_UNSEEN] = END_UNSEEN,
			[WIRE_AGGFRAG_BAD_TYPE] = END_BAD_TYPE,
			[WIRE_AGGFRAG_BAD_LEN] = END_BAD_LEN,
		};
		uint32_t have = RTE_MIN(end - at, (uint32_t)WIRE_AGGFRAG_RUNT);
		uint8_t copy[WIRE_AGGFRAG_RUNT];
		enum wire_aggfrag_block kind =
			block_read(octets_read(p->m, at, have, copy), have, &len);

		if (kind != WIRE_AGGFRAG_PACKET || len > end - at) {
			p->end = ends[kind];
			p->total = len;
			break;
		}
		if (p->n == max) {
			p->end = END_MORE;
			break;
		}
		p->largest = RTE_MAX(p->largest, len << 8 | p->n);
		p->lens[p->n++] = (uint16_t)len;
		at += len;
	}
	p->behind = at;
}

/* Whether `more` octets behind the payload's end still fit its buffer. */
static bool
takes_behind(const struct plan *p, uint32_t more)
{
	return more <= rte_pktmbuf_tailroom(p->m);
}

/* Whether a packet of so many octets fits it, were it there alone. */
static bool
takes_all(const struct plan *p, uint32_t octets)
{
	return RTE_PKTMBUF_HEADROOM + octets <= p->m->buf_len;
}

static bool
keeps_tail(const struct plan *p)
{
	return p->kept == KEPT_TAIL || p->kept == KEPT_TAIL_MOVED;
}

/* What copying is spared if the rest of the packet before stays where it is. */
static uint32_t
rest_gain(const struct aggfrag_receiver *r, const struct aggfrag_in *in, const struct plan *p,
	  enum kept *kept)
{
	const struct aggfrag_partial *q = &in->partial;
	uint32_t have = q->m->pkt_len, behind = q->missing - p->rest;
	bool large = have + q->missing > r->room;

	if (q->m->nb_segs == 1 && have + HEADROOM_LEFT <= p->m->data_off + p->rest_at &&
	    (large || takes_behind(p, behind))) {
		*kept = KEPT_REST;
		return p->rest > have ? p->rest - have : 0;
	}
	*kept = KEPT_CHAIN;
	return large && !q->unseen ? p->rest : 0;
}

static void
kept_choose(const struct aggfrag_receiver *r, const struct aggfrag_in *in, struct plan *p)
{
	uint32_t most = AGGFRAG_KEEP_MIN, tail = p->m->pkt_len - p->behind;

	p->kept = KEPT_NONE;
	if (p->end == END_MORE || !mbuf_is_plain(p->m))
		return;
	if (p->largest >> 8 >= most) {
		most = (p->largest >> 8) + 1;
		p->kept = KEPT_BLOCK;
		p->kept_block = p->largest & UINT8_MAX;
	}
	if (p->end == END_TAIL && !in->params->dont_frag) {
		bool stays = p->total > r->room || takes_behind(p, p->total - tail);

		if (tail >= most && stays) {
			most = tail + 1;
			p->kept = KEPT_TAIL;
		} else if (p->kept == KEPT_NONE && !stays && takes_all(p, p->total)) {
			p->kept = KEPT_TAIL_MOVED;
		}
	}
	if (p->rest > 0) {
		enum kept kept;

		if (rest_gain(r, in, p, &kept) >= most)
			p->kept = kept;
	}
}

static void
packet_give(struct aggfrag_receiver *r, struct rte_mbuf *m)
{
	*pkt_of(m) = r->like;
	r->given[r->to++] = m;
	cell_add(&r->w->split, 1);
}

static void
buffer_trim(struct rte_mbuf *m, uint32_t at, uint32_t n)
{
	m->data_off += at;
	m->data_len = n;
	m->pkt_len = n;
	/* It was another packet's. */
	m->ol_flags &= ~RTE_MBUF_F_RX_RSS_HASH;
}

/* The rest of the packet before, or a piece more of it. */
static void
rest_take(struct aggfrag_receiver *r, struct aggfrag_in *in, const struct plan *p)
{
	struct aggfrag_partial *q = &in->partial;

	if (p->kept == KEPT_REST) {
		q->m = p->m;
	} else if (p->kept != KEPT_CHAIN &&
		   unlikely(!octets_add(r, q->m, p->m, p->rest_at, p->rest))) {
		partial_end(r, in, DROP_NO_MBUF);
		return;
	}
	q->missing -= p->rest;
	q->at = worker_awake(r->w);
	if (q->missing == 0) {
		packet_give(r, q->m);
		q->m = NULL;
	}
}

static void
tail_take(struct aggfrag_receiver *r, struct aggfrag_in *in, const struct plan *p)
{
	uint32_t n = p->m->pkt_len - p->behind;
	struct rte_mbuf *m = p->m;

	if (in->params->dont_frag) {
		aggfrag_drop_piece(r->w, in, DROP_AGGFRAG_NOFRAG);
		return;
	}
	if (!keeps_tail(p))
		m = octets_copy(r, p->spare, p->m, p->behind, n);
	if (unlikely(m == NULL)) {
		aggfrag_drop_piece(r->w, in, DROP_NO_MBUF);
		return;
	}
	in->partial.m = m;
	in->partial.missing = p->end == END_TAIL ? p->total - n : 0;
	in->partial.unseen = p->end == END_UNSEEN;
	in->partial.at = worker_awake(r->w);
}

/* All is copied that has to be: the buffer becomes what stays in it. front: the packet before. */
static void
buffer_leave(const struct plan *p, struct rte_mbuf *front)
{
	struct rte_mbuf *m = p->m, *last;
	uint32_t at = p->at;
	const uint8_t *tail;

	switch (p->kept) {
	case KEPT_NONE:
		rte_pktmbuf_free(m);
		break;
	case KEPT_REST:
		buffer_trim(m, p->rest_at, p->rest);
		memcpy(rte_pktmbuf_prepend(m, (uint16_t)front->pkt_len),
		       rte_pktmbuf_mtod(front, const uint8_t *), front->pkt_len);
		rte_pktmbuf_free(front);
		break;
	case KEPT_CHAIN:
		buffer_trim(m, p->rest_at, p->rest);
		last = rte_pktmbuf_lastseg(front);
		last->next = m;
		front->nb_segs++;
		front->pkt_len += p->rest;
		break;
	case KEPT_BLOCK:
		for (uint16_t i = 0; i < p->kept_block; i++)
			at += p->lens[i];
		buffer_trim(m, at, p->lens[p->kept_block]);
		break;
	case KEPT_TAIL:
		buffer_trim(m, p->behind, m->pkt_len - p->behind);
		break;
	case KEPT_TAIL_MOVED:
		buffer_trim(m, p->behind, m->pkt_len - p->behind);
		tail = rte_pktmbuf_mtod(m, const uint8_t *);
		rte_pktmbuf_reset_headroom(m);
		memmove(rte_pktmbuf_mtod(m, uint8_t *), tail, m->data_len);
		break;
	}
}

static void
end_note(struct aggfrag_receiver *r, struct aggfrag_in *in, const struct plan *p)
{
	switch (p->end) {
	case END_NONE:
	case END_MORE:
		break;
	case END_PAD:
		aggfrag_in_count(in, AGGFRAG_RX_EXTRA_PAD_PKTS, 1);
		aggfrag_in_count(in, AGGFRAG_RX_EXTRA_PAD_OCTETS, p->m->pkt_len - p->behind);
		break;
	case END_TAIL:
	case END_UNSEEN:
		tail_take(r, in, p);
		break;
	case END_BAD_TYPE:
	case END_BAD_LEN:
		aggfrag_in_count(in, AGGFRAG_RX_ERRORED_PKTS, 1);
		aggfrag_drop_piece(r->w, in,
				   p->end == END_BAD_TYPE ? DROP_AGGFRAG_TYPE : DROP_AGGFRAG_INNER);
		break;
	}
}

/* n buffers, whose first lines are on their way when they are written: most have long been
 * elsewhere.
 */
static bool
buffers_take(struct rte_mempool *pool, struct rte_mbuf **fresh, uint16_t n)
{
	if (unlikely(rte_mempool_get_bulk(pool, (void **)fresh, n) != 0))
		return false;
	for (uint16_t i = 0; i < n; i++) {
		rte_prefetch0_write(fresh[i]);
		rte_prefetch0_write(pkt_of(fresh[i]));
		rte_prefetch0_write(rte_mbuf_buf_addr(fresh[i], pool) + RTE_PKTMBUF_HEADROOM);
	}
	for (uint16_t i = 0; i < n; i++)
		rte_pktmbuf_reset(fresh[i]);
	return true;
}

/* Whole packets of one segment into buffers that each takes one, all taken at once, with one for
 * what is copied behind them.
 */
static bool
blocks_copy(struct aggfrag_receiver *r, struct plan *p)
{
	const uint8_t *from = rte_pktmbuf_mtod_offset(p->m, const uint8_t *, p->at);
	struct rte_mbuf *fresh[AGGFRAG_BLOCKS_MAX + 1], **next = fresh;
	uint16_t n = p->kept == KEPT_BLOCK ? p->n - 1 : p->n;

	if (unlikely(p->m->nb_segs > 1 || p->behind - p->at > r->room) ||
	    unlikely(!buffers_take(r->w->pool, fresh, n + p->copies_tail)))
		return false;
	for (uint16_t i = 0; i < p->n; from += p->lens[i++]) {
		struct rte_mbuf *m = p->m;

		if (p->kept != KEPT_BLOCK || p->kept_block != i) {
			m = *next++;
			m->port = p->m->port;
			m->data_len = p->lens[i];
			m->pkt_len = p->lens[i];
			rte_memcpy(rte_pktmbuf_mtod(m, uint8_t *), from, p->lens[i]);
		}
		*pkt_of(m) = r->like;
		r->given[r->to++] = m;
	}
	if (p->copies_tail)
		p->spare = *next;
	cell_add(&r->w->split, p->n);
	return true;
}

static void
blocks_take(struct aggfrag_receiver *r, struct aggfrag_in *in, struct plan *p)
{
	uint32_t at = p->at;

	if (p->n == 0 || likely(blocks_copy(r, p)))
		return;
	for (uint16_t i = 0; i < p->n; at += p->lens[i++]) {
		struct rte_mbuf *m = p->m;

		if (p->kept != KEPT_BLOCK || p->kept_block != i)
			m = octets_copy(r, NULL, p->m, at, p->lens[i]);
		if (likely(m != NULL))
			packet_give(r, m);
		else
			aggfrag_drop_piece(r->w, in, DROP_NO_MBUF);
	}
}

static void
plan_run(struct aggfrag_receiver *r, struct aggfrag_in *in, struct plan *p)
{
	struct rte_mbuf *front = in->partial.m;

	blocks_find(p, AGGFRAG_BLOCKS_MAX);
	kept_choose(r, in, p);
	p->copies_tail = p->end == END_TAIL && !keeps_tail(p) && !in->params->dont_frag;
	if (p->rest > 0)
		rest_take(r, in, p);
	blocks_take(r, in, p);
	if (unlikely(p->end == END_MORE)) {
		r->open.m = p->m;
		r->open.in = in;
		r->open.at = p->behind;
		return;
	}
	end_note(r, in, p);
	buffer_leave(p, front);
	cell_add(&r->w->merged, 1);
	r->open.m = NULL;
	partial_count(r, in);
	if (in->partial.m != NULL)
		stream_waits(r, in);
	streams_bound(r);
}

/* Whether what comes is the rest, or a piece more, of the packet that waits. Its length may become
 * known by it.
 */
static enum drop_reason
rest_judge(struct aggfrag_partial *q, const struct rte_mbuf *m, uint32_t at, uint32_t offset,
	   uint32_t n)
{
	uint8_t head[WIRE_AGGFRAG_RUNT], copy[WIRE_AGGFRAG_RUNT];
	uint32_t have = q->m->pkt_len, len;

	if (offset == 0 || (q->missing != 0 && offset != q->missing))
		return DROP_AGGFRAG_OFFSET;
	q->missing = offset;
	if (likely(!q->unseen))
		return DROP_NONE;
	n = RTE_MIN(n, WIRE_AGGFRAG_RUNT - have);
	memcpy(head, rte_pktmbuf_mtod(q->m, const uint8_t *), have);
	memcpy(head + have, octets_read(m, at, n, copy), n);
	switch (block_read(head, have + n, &len)) {
	case WIRE_AGGFRAG_PACKET:
		q->unseen = false;
		return len == have + offset ? DROP_NONE : DROP_AGGFRAG_OFFSET;
	case WIRE_AGGFRAG_UNSEEN:
		return DROP_NONE;
	default:
		return DROP_AGGFRAG_INNER;
	}
}

/* The octets before the payload's first block. Returns whether they go on with what waits. */
static bool
rest_begin(struct aggfrag_receiver *r, struct aggfrag_in *in, const struct rte_mbuf *m, uint32_t at,
	   uint32_t offset, uint32_t n)
{
	bool goes_on = false;

	if (in->partial.m != NULL) {
		enum drop_reason why = rest_judge(&in->partial, m, at, offset, n);

		goes_on = why == DROP_NONE;
		if (!goes_on) {
			aggfrag_in_count(in, AGGFRAG_RX_ERRORED_PKTS, 1);
			partial_end(r, in, why);
		}
	} else if (n > 0) {
		aggfrag_drop_piece(r->w, in, DROP_AGGFRAG_ORPHAN);
		if (!in->skipping)
			aggfrag_in_count(in, AGGFRAG_RX_INCOMPLETE_PKTS, 1);
		in->skipping = true;
	}
	if (offset <= n)
		in->skipping = false;
	return goes_on;
}

static void
all_pad_take(struct aggfrag_receiver *r, struct aggfrag_in *in, struct rte_mbuf *m, uint32_t pad)
{
	aggfrag_in_count(in, AGGFRAG_RX_ALL_PAD_PKTS, 1);
	aggfrag_in_count(in, AGGFRAG_RX_ALL_PAD_OCTETS, pad);
	consume(r->w, m, CONSUMED_ALL_PAD);
}

/* What both sub-types begin with, and the size of the whole header. */
static enum drop_reason
header_read(const struct rte_mbuf *m, struct wire_aggfrag *h, uint32_t *size)
{
	uint32_t have = RTE_MIN(m->pkt_len, (uint32_t)sizeof(*h));
	struct wire_aggfrag copy;

	if (likely(m->data_len >= sizeof(*h)))
		memcpy(h, rte_pktmbuf_mtod(m, const void *), sizeof(*h));
	else
		memcpy(h, octets_read(m, 0, have, &copy), have);
	if (have > 0 && h->sub_type > WIRE_AGGFRAG_CC)
		return DROP_AGGFRAG_SUBTYPE;
	if (have < WIRE_AGGFRAG_HEADER)
		return DROP_AGGFRAG_SHORT;
	*size = h->sub_type == WIRE_AGGFRAG_CC ? WIRE_AGGFRAG_CC_HEADER : WIRE_AGGFRAG_HEADER;
	return m->pkt_len >= *size ? DROP_NONE : DROP_AGGFRAG_SHORT;
}

enum drop_reason
aggfrag_in_open(struct aggfrag_receiver *r, struct aggfrag_in *in, struct rte_mbuf *m)
{
	uint32_t at, left, offset, given = pkt_of(m)->l4_off;
	struct wire_aggfrag h;
	enum drop_reason why = header_read(m, &h, &at);
	struct plan p;
	uint8_t copy;

	if (unlikely(why != DROP_NONE)) {
		aggfrag_in_unreadable(r, in);
		return why;
	}
	left = m->pkt_len - at;
	offset = rte_be_to_cpu_16(h.block_offset);
	if (left == 0 || (offset == 0 && *octets_read(m, at, 1, &copy) >> 4 == 0)) {
		all_pad_take(r, in, m, left);
		return DROP_NONE;
	}
	p.m = m;
	p.rest_at = at;
	p.rest = RTE_MIN(offset, left);
	p.at = RTE_MAX(at + p.rest, given);
	if (!rest_begin(r, in, m, at, offset, p.rest))
		p.rest = 0;
	plan_run(r, in, &p);
	return DROP_NONE;
}

void
aggfrag_in_more(struct aggfrag_receiver *r)
{
	struct plan p = { .m = r->open.m, .at = r->open.at };

	plan_run(r, r->open.in, &p);
}

void
aggfrag_in_early(struct aggfrag_receiver *r, struct aggfrag_in *in, struct rte_mbuf *m)
{
	struct plan p = { .m = m };
	struct wire_aggfrag h;
	uint32_t offset;

	if (pkt_of(m)->l4_off != 0 || header_read(m, &h, &p.at) != DROP_NONE)
		return;
	offset = rte_be_to_cpu_16(h.block_offset);
	if (offset >= m->pkt_len - p.at)
		return;
	p.at += offset;
	blocks_find(&p, AGGFRAG_BLOCKS_MAX);
	blocks_take(r, in, &p);
	pkt_of(m)->l4_off = (uint16_t)p.behind;
}

void
aggfrag_in_unreadable(struct aggfrag_receiver *r, struct aggfrag_in *in)
{
	aggfrag_in_count(in, AGGFRAG_RX_ERRORED_PKTS, 1);
	partial_end(r, in, DROP_AGGFRAG_GAP);
}

void
aggfrag_in_step(struct aggfrag_receiver *r, struct aggfrag_in *in, uint64_t seq)
{
	if (unlikely(seq != in->next)) {
		aggfrag_in_count(in, AGGFRAG_RX_MISSED_PKTS, seq - in->next);
		partial_end(r, in, DROP_AGGFRAG_GAP);
	}
	in->next = seq + 1;
}
