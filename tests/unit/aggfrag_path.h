/* Peers under congestion control on a virtual clock, with emulated paths between them: delay,
 * random loss, and a bottleneck with a queue that drops, or marks before it does. Nothing here is
 * random in time: the same seed gives the same run.
 *
 * A pair is two ends that send to each other at what aggfrag_cc allows; pairs share the two paths.
 */
#ifndef TESTS_AGGFRAG_PATH_H
#define TESTS_AGGFRAG_PATH_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "aggfrag/cc.h"
#include "aggfrag/cc_header.h"
#include "base/clock.h"

#define PATH_FLIGHT (1u << 16) /* packets on the way */
#define PAIRS_MAX   4
#define MS	    UINT64_C(1000000)

struct path_packet {
	uint64_t at, seq;
	uint8_t pair;
	bool marked;
	uint8_t header[WIRE_AGGFRAG_CC_HEADER];
};

/* One direction. */
struct path {
	uint64_t delay; /* ns, there */
	double loss;	/* of each packet */
	double pps;	/* of the bottleneck; 0: none */
	double queue;	/* packets that it holds */
	double mark;	/* and from how many on it marks; 0: never */
	bool cut;	/* nothing gets through */
	uint64_t random, free_at, head, tail;
	struct path_packet flight[PATH_FLIGHT];
};

struct path_end {
	struct aggfrag_params params;
	struct aggfrag_cc cc;
	struct aggfrag_link link; /* of what comes from the other end */
	uint64_t seq, last_tx, next_tx, look_at;
	uint64_t lost, arrived; /* of what this end sent */
	bool probing;
};

struct path_bed {
	uint64_t now;
	uint32_t n_pairs;
	struct path there, back; /* from ends[][0] to ends[][1] */
	struct path_end ends[PAIRS_MAX][2];
};

static inline double
path_random(struct path *p)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (double)(p->random >> 11) / (double)(UINT64_C(1) << 53);
}

static inline void
path_pair_new(struct path_bed *b)
{
	assert(b->n_pairs < PAIRS_MAX);
	for (int i = 0; i < 2; i++)
		b->ends[b->n_pairs][i] = (struct path_end) {
			.params = { .on = true, .congestion_control = true },
		};
	b->n_pairs++;
}

/* The newest begins, both ends with the same configured rate. */
static inline void
path_pair_begin(struct path_bed *b, double pps_max, uint64_t at)
{
	for (int i = 0; i < 2; i++) {
		struct path_end *e = &b->ends[b->n_pairs - 1][i];

		aggfrag_cc_tune(&e->cc, &e->params, (uint64_t)(NS_PER_SECOND / pps_max), 1500, at);
		e->last_tx = e->next_tx = e->look_at = at;
	}
}

static inline void
path_pair_add(struct path_bed *b, double pps_max, uint64_t at)
{
	path_pair_new(b);
	path_pair_begin(b, pps_max, at);
}

static inline void
path_init(struct path_bed *b, uint64_t one_way, double loss, uint64_t seed)
{
	memset(b, 0, sizeof(*b));
	b->there.delay = b->back.delay = one_way;
	b->there.loss = loss;
	b->there.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	b->back.random = b->there.random ^ UINT64_C(0x5851f42d4c957f2d);
	b->now = NS_PER_SECOND;
}

/* False: it is lost. */
static inline bool
path_send(struct path *p, const struct path_packet *packet, uint64_t now)
{
	struct path_packet *q = &p->flight[p->tail % PATH_FLIGHT];
	uint64_t leaves = now;
	double waiting = 0;

	if (p->cut || (p->loss > 0 && path_random(p) < p->loss))
		return false;
	if (p->pps > 0) {
		leaves = p->free_at > now ? p->free_at : now;
		waiting = (double)(leaves - now) * p->pps / NS_PER_SECOND;
		if (waiting > p->queue)
			return false;
		leaves += (uint64_t)(NS_PER_SECOND / p->pps);
		p->free_at = leaves;
	}
	assert(p->tail - p->head < PATH_FLIGHT);
	*q = *packet;
	q->at = leaves + p->delay;
	q->marked = p->mark > 0 && waiting > p->mark;
	p->tail++;
	return true;
}

static inline void
path_end_run(struct path_bed *b, uint32_t pair, int which)
{
	struct path_end *e = &b->ends[pair][which];
	struct path_packet packet = { .pair = (uint8_t)pair };

	if (aggfrag_cc_look(&e->cc, &e->params, &e->link, b->now))
		e->next_tx = e->last_tx + aggfrag_cc_interval(&e->cc);
	if (e->next_tx <= b->now) {
		packet.seq = ++e->seq;
		aggfrag_cc_write(&e->cc, packet.header, b->now);
		if (e->probing)
			packet.header[1] |= WIRE_AGGFRAG_P;
		if (!path_send(which == 0 ? &b->there : &b->back, &packet, b->now))
			e->lost++;
		e->last_tx = b->now;
		e->next_tx = b->now + aggfrag_cc_interval(&e->cc);
	}
	e->look_at = b->now + AGGFRAG_CC_LOOK;
	if (e->next_tx < e->look_at)
		e->look_at = e->next_tx;
}

static inline void
path_arrive(struct path_bed *b, struct path *p, int to)
{
	struct path_packet *q = &p->flight[p->head++ % PATH_FLIGHT];
	struct path_end *e = &b->ends[q->pair][to];
	struct aggfrag_cc_header h;
	uint8_t flags = q->marked ? AGGFRAG_LOSS_CE : 0;

	if (!aggfrag_cc_header_read(q->header, sizeof(q->header), &h))
		assert(!"a header of ours");
	b->ends[q->pair][!to].arrived++;
	aggfrag_link_heard(&e->link, &h, q->seq, b->now);
	aggfrag_link_took(&e->link, q->seq, flags | (h.probing ? AGGFRAG_LOSS_PROBING : 0), b->now);
}

static inline uint64_t
path_head_at(const struct path *p)
{
	return p->head == p->tail ? UINT64_MAX : p->flight[p->head % PATH_FLIGHT].at;
}

/* What happens next, if it is before `until`. */
static inline bool
path_step(struct path_bed *b, uint64_t until)
{
	uint64_t at = path_head_at(&b->there), other = path_head_at(&b->back);
	struct path *p = at <= other ? &b->there : &b->back;
	struct path_end *e = NULL;
	uint32_t pair = 0;
	int which = 0;

	at = at <= other ? at : other;
	for (uint32_t i = 0; i < b->n_pairs; i++)
		for (int k = 0; k < 2; k++)
			if (b->ends[i][k].look_at < at) {
				e = &b->ends[pair = i][which = k];
				at = e->look_at;
			}
	if (at >= until)
		return false;
	b->now = at;
	if (e != NULL)
		path_end_run(b, pair, which);
	else
		path_arrive(b, p, p == &b->there ? 1 : 0);
	return true;
}

static inline void
path_run(struct path_bed *b, uint64_t for_ns)
{
	uint64_t until = b->now + for_ns;

	while (path_step(b, until))
		;
	b->now = until;
}

/* Packets a second that the end is allowed. */
static inline double
path_pps(const struct path_end *e)
{
	struct aggfrag_cc_state s;

	aggfrag_cc_state(&e->cc, &e->params, &s);
	return s.x_pps;
}

#endif
