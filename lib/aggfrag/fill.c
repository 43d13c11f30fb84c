#include "aggfrag/fill.h"

#include <assert.h>
#include <string.h>

#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "aggfrag/cc.h"
#include "worker/mbufs.h"
#include "worker/worker.h"

#define BLOCKS_AT_ONCE 64

/* The payload at hand. */
struct payload {
	struct rte_mbuf *m, *seg; /* its first segment, and the one that is being filled */
	uint32_t left;		  /* octets that its size leaves */
	uint16_t tail;		  /* octets that stay free in each segment */
};

static void
count(struct aggfrag_out *s, enum aggfrag_out_count what, uint64_t n)
{
	cell_add(&s->counts[what], n);
}

/* Of one segment, for data. */
static uint32_t
room_behind(const struct rte_mbuf *m, uint16_t tail)
{
	uint16_t room = rte_pktmbuf_tailroom(m);

	return room > tail ? room - tail : 0;
}

/* Copies octets behind the last, or zeros. There is room for them: begin_new() saw to that. */
static void
put(struct payload *p, const uint8_t *from, uint32_t n)
{
	p->left -= n;
	while (n > 0) {
		uint32_t take = RTE_MIN(n, room_behind(p->seg, p->tail));
		uint8_t *at = rte_pktmbuf_mtod_offset(p->seg, uint8_t *, p->seg->data_len);

		if (take == 0) {
			p->seg = p->seg->next;
			assert(p->seg != NULL);
			continue;
		}
		if (from != NULL) {
			memcpy(at, from, take);
			from += take;
		} else {
			memset(at, 0, take);
		}
		p->seg->data_len += take;
		n -= take;
	}
}

/* The first n octets of an inner packet. */
static void
put_packet(struct payload *p, const struct rte_mbuf *m, uint32_t n)
{
	for (; n > 0; m = m->next) {
		uint32_t take = RTE_MIN(n, (uint32_t)m->data_len);

		put(p, rte_pktmbuf_mtod(m, const uint8_t *), take);
		n -= take;
	}
}

static void
drop_first(struct aggfrag_out *s, struct worker *w, enum drop_reason why)
{
	if (why == DROP_AGGFRAG_AGED)
		count(s, AGGFRAG_TX_AGED_DROPS, 1);
	drop(w, aggfrag_pop(s), why);
}

/* The packet that goes on, or begins, in what is left of a payload that takes `data` octets. A
 * packet does not begin where its length might not be seen (runts), and with dont_frag not where it
 * has no room. NULL: there is none.
 */
static struct rte_mbuf *
block_next(struct aggfrag_out *s, struct worker *w, uint32_t data, uint32_t left, uint64_t now)
{
	const struct aggfrag_params *params = s->params;
	struct rte_mbuf *m;

	while ((m = s->first) != NULL && !s->begun) {
		if (unlikely(s->closing))
			return NULL;
		if (params->max_wait != 0 && now > pkt_of(m)->seq + params->max_wait) {
			drop_first(s, w, DROP_AGGFRAG_AGED);
			continue;
		}
		if (!params->dont_frag)
			return left < WIRE_AGGFRAG_RUNT ? NULL : m;
		if (m->pkt_len <= data)
			return m->pkt_len > left ? NULL : m;
		drop_first(s, w, DROP_TOO_BIG);
	}
	return left == 0 ? NULL : m;
}

/* All of the first packet has been put into payloads. */
static struct rte_mbuf *
finish_first(struct aggfrag_out *s, struct worker *w)
{
	count(s, AGGFRAG_TX_INNER_PKTS, 1);
	count(s, AGGFRAG_TX_INNER_OCTETS, s->first->pkt_len);
	cell_add(&w->merged, 1);
	return aggfrag_pop(s);
}

/* And here only n octets of it: the rest is to follow. */
static void
note_piece(struct aggfrag_out *s, uint32_t n)
{
	if (!s->begun)
		count(s, AGGFRAG_TX_FRAG_PKTS, 1);
	count(s, AGGFRAG_TX_INNER_OCTETS, n);
	s->begun = true;
	cell_add(&s->octets, -(uint64_t)n);
}

static void
block_copy(struct payload *p, struct aggfrag_out *s, struct worker *w)
{
	struct rte_mbuf *m = s->first;
	uint32_t n = RTE_MIN(p->left, m->pkt_len);

	put_packet(p, m, n);
	if (n == m->pkt_len) {
		rte_pktmbuf_free(finish_first(s, w));
	} else {
		note_piece(s, n);
		mbuf_cut_head(m, n);
	}
}

/* Whole packets of one segment for one segment, as most are, one behind the other: what
 * block_next() and block_copy() do, for many at once. Their buffers, of our own and alone, are as
 * their pool wants them back.
 */
static void
blocks_copy(struct payload *p, struct aggfrag_out *s, struct worker *w)
{
	uint8_t *at = rte_pktmbuf_mtod_offset(p->seg, uint8_t *, p->seg->data_len), *from = at;
	uint32_t left = RTE_MIN(p->left, room_behind(p->seg, p->tail)), n = 0, octets;
	struct rte_mbuf *m = s->first, *done[BLOCKS_AT_ONCE];
	struct rte_mempool *pool;

	if (m == NULL || s->begun || s->closing || s->params->max_wait != 0)
		return;
	pool = m->pool;
	while (m != NULL && n < BLOCKS_AT_ONCE && m->data_len <= left && mbuf_is_plain(m) &&
	       m->pool == pool) {
		struct rte_mbuf *next = pkt_of(m)->behind;

		if (next != NULL)
			rte_prefetch0(rte_pktmbuf_mtod(next, const void *));
		rte_memcpy(at, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
		at += m->data_len;
		left -= m->data_len;
		done[n++] = m;
		m = next;
	}
	if (n == 0)
		return;
	octets = (uint32_t)(at - from);
	p->seg->data_len += octets;
	p->left -= octets;
	s->first = m;
	cell_add(&s->packets, -(uint64_t)n);
	cell_add(&s->octets, -(uint64_t)octets);
	count(s, AGGFRAG_TX_INNER_PKTS, n);
	count(s, AGGFRAG_TX_INNER_OCTETS, octets);
	cell_add(&w->merged, n);
	rte_mempool_put_bulk(pool, (void *const *)done, n);
}

/* The first packet's rest goes to a buffer of its own, so that the octets of this payload stay
 * where they are. False: nothing has changed.
 */
static bool
rest_move(struct aggfrag_out *s, struct worker *w, uint32_t n)
{
	struct rte_mbuf *m = s->first, *rest = rte_pktmbuf_alloc(w->pool);
	uint16_t len = m->data_len - (uint16_t)n;

	if (rest == NULL)
		return false;
	if (rte_pktmbuf_append(rest, len) == NULL) {
		rte_pktmbuf_free(rest);
		return false;
	}
	memcpy(rte_pktmbuf_mtod(rest, uint8_t *), rte_pktmbuf_mtod_offset(m, uint8_t *, n), len);
	*pkt_of(rest) = *pkt_of(m);
	rest->port = m->port;
	note_piece(s, n);
	s->first = rest;
	if (s->last == m)
		s->last = rest;
	m->data_len = (uint16_t)n;
	m->pkt_len = n;
	return true;
}

/* Whether a packet's buffer has, or gets by moving the packet in it, so many octets in front of the
 * data, and behind their beginning.
 */
static bool
room_make(struct rte_mbuf *m, uint32_t front, uint32_t behind)
{
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);

	if (m->data_off >= front && m->data_off + behind <= m->buf_len)
		return true;
	if (front + RTE_MAX(behind, m->data_len) > m->buf_len)
		return false;
	m->data_off = (uint16_t)front;
	memmove(rte_pktmbuf_mtod(m, uint8_t *), data, m->data_len);
	return true;
}

/* Makes the buffer of the first packet the payload's, which is to have `want` octets. False: it
 * cannot be, or has fewer than `least`.
 */
static bool
begin_adopted(struct payload *p, struct aggfrag_out *s, struct worker *w,
	      const struct aggfrag_room *room, uint32_t want, uint16_t least)
{
	uint16_t header = aggfrag_header_size(s->params);
	struct rte_mbuf *m = s->first;
	uint32_t n = RTE_MIN(m->pkt_len, p->left);

	if (!mbuf_is_plain(m) || m->data_len < least ||
	    !room_make(m, room->head + header, RTE_MAX(want, n) + room->tail))
		return false;
	if (m->pkt_len <= p->left)
		finish_first(s, w);
	else if (m->pkt_len > 2 * p->left || !rest_move(s, w, p->left))
		return false;
	p->m = p->seg = m;
	p->left -= m->pkt_len;
	rte_pktmbuf_prepend(m, header);
	return true;
}

/* New buffers, as many as it takes for `want` octets behind the header. */
static bool
begin_new(struct payload *p, const struct aggfrag_out *s, struct worker *w,
	  const struct aggfrag_room *room, uint32_t want)
{
	uint16_t header = aggfrag_header_size(s->params);
	struct rte_mbuf *seg = rte_pktmbuf_alloc(w->pool);
	uint32_t have;

	p->m = p->seg = seg;
	if (seg == NULL)
		return false;
	seg->data_off = RTE_MAX(seg->data_off, room->head);
	if (rte_pktmbuf_append(seg, header) == NULL)
		goto none;
	for (have = room_behind(seg, p->tail); have < want; have += room_behind(seg, p->tail)) {
		seg->next = rte_pktmbuf_alloc(w->pool);
		seg = seg->next;
		if (seg == NULL)
			goto none;
		seg->data_off = 0;
		if (room_behind(seg, p->tail) == 0)
			goto none;
		p->m->nb_segs++;
	}
	return true;
none:
	rte_pktmbuf_free(p->m);
	return false;
}

static bool
begin(struct payload *p, struct aggfrag_out *s, struct worker *w, const struct aggfrag_room *room,
      bool pad)
{
	uint32_t want = pad ? p->left : (uint32_t)RTE_MIN(p->left, s->octets);

	/* What was begun has no other use for its buffer, however little is left. */
	if (s->first != NULL &&
	    begin_adopted(p, s, w, room, want, s->begun ? 1 : AGGFRAG_ADOPT_MIN))
		return true;
	if (begin_new(p, s, w, room, want))
		return true;
	/* Short of buffers, a small one does, too: what waits gets less. */
	return s->first != NULL && begin_adopted(p, s, w, room, want, 1);
}

/* What no octet came to goes back. */
static void
end(struct payload *p, uint32_t octets)
{
	p->m->pkt_len = octets;
	if (likely(p->seg->next == NULL))
		return;
	rte_pktmbuf_free(p->seg->next);
	p->seg->next = NULL;
	p->m->nb_segs = 1;
	for (const struct rte_mbuf *seg = p->m; seg != p->seg; seg = seg->next)
		p->m->nb_segs++;
}

/* Section 6.1.1; section 6.1.2 begins with the same. */
static void
header_write(const struct aggfrag_out *s, uint8_t *at, uint16_t block_offset, uint64_t now)
{
	struct wire_aggfrag head = { .sub_type = WIRE_AGGFRAG_PLAIN };

	if (s->params->congestion_control) {
		memset(at, 0, WIRE_AGGFRAG_CC_HEADER);
		if (likely(s->cc != NULL))
			aggfrag_cc_write(s->cc, at, now);
		memcpy(&head, at, sizeof(head));
		head.sub_type = WIRE_AGGFRAG_CC;
	}
	head.block_offset = rte_cpu_to_be_16(block_offset);
	memcpy(at, &head, sizeof(head));
}

static void
count_payload(struct aggfrag_out *s, struct worker *w, uint32_t octets, uint32_t data,
	      uint32_t padding)
{
	count(s, AGGFRAG_TX_PKTS, 1);
	count(s, AGGFRAG_TX_OCTETS, octets);
	if (padding == data) {
		count(s, AGGFRAG_TX_ALL_PAD_PKTS, 1);
		count(s, AGGFRAG_TX_ALL_PAD_OCTETS, padding);
		cell_add(&w->generated[GENERATED_ALL_PAD], 1);
		return;
	}
	cell_add(&w->split, 1);
	if (padding > 0) {
		count(s, AGGFRAG_TX_EXTRA_PAD_PKTS, 1);
		count(s, AGGFRAG_TX_EXTRA_PAD_OCTETS, padding);
	}
}

/* Where the next payload will write, behind the packet that it begins with: most buffers were last
 * written at their front alone, and a store waits for its line. A large packet leaves little.
 */
static void
next_prefetch(const struct rte_mbuf *m, uint32_t data)
{
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);

	if (m->pkt_len > data / 4)
		return;
	for (uint32_t i = m->data_len; i < data; i += RTE_CACHE_LINE_SIZE)
		rte_prefetch0_write(at + i);
}

struct rte_mbuf *
aggfrag_payload(struct aggfrag_out *s, struct worker *w, const struct aggfrag_room *room, bool pad,
		uint64_t now)
{
	uint16_t header = aggfrag_header_size(s->params), offset;
	uint32_t data = room->size - header, padding = 0, octets;
	struct payload p = { .left = data, .tail = room->tail };

	if (block_next(s, w, data, data, now) == NULL && !pad)
		return NULL;
	offset = s->begun ? (uint16_t)s->first->pkt_len : 0;
	if (!begin(&p, s, w, room, pad))
		return NULL;
	while (p.left > 0) {
		blocks_copy(&p, s, w);
		if (block_next(s, w, data, p.left, now) == NULL)
			break;
		block_copy(&p, s, w);
	}
	if (pad) {
		padding = p.left;
		put(&p, NULL, padding);
	}
	octets = room->size - p.left;
	end(&p, octets);
	header_write(s, rte_pktmbuf_mtod(p.m, uint8_t *), offset, now);
	count_payload(s, w, octets, data, padding);
	if (s->first != NULL)
		next_prefetch(s->first, data);
	return p.m;
}
