#include "frag/virtual.h"

#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "frag/datagram.h"
#include "frag/piece.h"
#include "worker/worker.h"

enum state {
	STATE_OPEN,  /* its first fragment has not come */
	STATE_KNOWN, /* it has, and this is what it got */
	STATE_DEAD,  /* it came twice, and got two things */
};

struct judged {
	struct datagram_key key;
	uint64_t scope; /* SA and its generation, or all ones */
	uint64_t expires;
	uint32_t next; /* in its bucket */
	uint32_t hash;
	uint32_t policy, generation;
	uint8_t way, state, n;
	struct rte_mbuf *waiting[FRAG_WAITING_MAX];
};

/* With up to four slots of the table of buckets, and what table.c has for one. */
_Static_assert(sizeof(struct judged) + 4 * sizeof(uint32_t) + sizeof(struct datagram) +
			       sizeof(struct frag_source) + 8 * sizeof(uint32_t) <=
		       FRAG_DATAGRAM_OCTETS,
	       "what one of max_datagrams costs");

/* A queue: all stay for the same time, so who came first goes first. */
struct frag_virtual {
	uint32_t max;
	uint32_t first, n; /* of the queue */
	uint32_t max_waiting;
	uint32_t waiting; /* packet buffers */
	uint32_t held;	  /* packets; read by control */
	uint32_t mask;
	uint64_t matched, timed_out, evicted, killed; /* cells */
	uint64_t secret[5];
	uint32_t *buckets;
	struct judged judged[];
};

int
frag_virtual_create(uint32_t max_datagrams, uint32_t max_waiting, const uint64_t secret[5],
		    int socket, struct frag_virtual **out, struct err *err)
{
	uint32_t slots = rte_align32pow2(2 * max_datagrams);
	struct frag_virtual *v =
		rte_zmalloc_socket("frag", sizeof(*v) + max_datagrams * sizeof(struct judged),
				   RTE_CACHE_LINE_SIZE, socket);
	uint32_t *buckets = rte_malloc_socket("frag", slots * sizeof(uint32_t), 0, socket);

	if (v == NULL || buckets == NULL) {
		rte_free(v);
		rte_free(buckets);
		return err_set(err, -ENOMEM,
			       "no memory to remember %u datagrams: give the EAL more, or set "
			       "gateway.reassembly.max_datagrams lower",
			       max_datagrams);
	}
	memset(buckets, 0xff, slots * sizeof(uint32_t));
	memcpy(v->secret, secret, sizeof(v->secret));
	v->max = max_datagrams;
	v->max_waiting = max_waiting;
	v->mask = slots - 1;
	v->buckets = buckets;
	*out = v;
	return 0;
}

void
frag_virtual_free(struct frag_virtual *v)
{
	if (v == NULL)
		return;
	for (uint32_t i = 0; i < v->max; i++)
		for (uint8_t k = 0; k < v->judged[i].n; k++)
			rte_pktmbuf_free(v->judged[i].waiting[k]);
	rte_free(v->buckets);
	rte_free(v);
}

static void
held_set(struct frag_virtual *v, uint32_t held)
{
	__atomic_store_n(&v->held, held, __ATOMIC_RELAXED);
}

/* Those that waited leave; what becomes of them is the caller's. */
static uint8_t
waiting_take(struct frag_virtual *v, struct judged *d, struct rte_mbuf *pkts[FRAG_WAITING_MAX])
{
	uint8_t n = d->n;

	memcpy(pkts, d->waiting, sizeof(d->waiting));
	for (uint8_t i = 0; i < n; i++)
		v->waiting -= pkts[i]->nb_segs;
	held_set(v, v->held - n);
	d->n = 0;
	return n;
}

static void
waiting_drop(struct frag_virtual *v, struct worker *w, struct judged *d, enum drop_reason why)
{
	struct rte_mbuf *pkts[FRAG_WAITING_MAX];
	uint8_t n = waiting_take(v, d, pkts);

	for (uint8_t i = 0; i < n; i++)
		drop(w, pkts[i], why);
}

static void
oldest_end(struct frag_virtual *v, struct worker *w, enum drop_reason why, uint64_t *count)
{
	struct judged *d = &v->judged[v->first];
	uint32_t *at = &v->buckets[d->hash & v->mask];

	if (d->n != 0)
		cell_add(count, 1);
	waiting_drop(v, w, d, why);
	while (*at != v->first)
		at = &v->judged[*at].next;
	*at = d->next;
	v->first = v->first + 1 == v->max ? 0 : v->first + 1;
	v->n--;
}

static struct judged *
find_or_make(struct frag_virtual *v, struct worker *w, const struct datagram_key *key,
	     uint32_t hash, enum frag_way way, uint64_t scope)
{
	uint32_t i = v->buckets[hash & v->mask];
	struct judged *d;

	for (; i != NONE; i = d->next) {
		d = &v->judged[i];
		if (datagram_key_equal(&d->key, key) && d->way == way && d->scope == scope &&
		    d->expires > w->now)
			return d;
	}
	if (v->n == v->max)
		oldest_end(v, w, DROP_FRAG_LIMIT, &v->evicted);
	i = (v->first + v->n++) % v->max;
	d = &v->judged[i];
	*d = (struct judged) {
		.key = *key,
		.scope = scope,
		.way = (uint8_t)way,
		.hash = hash,
		.next = v->buckets[hash & v->mask],
		.expires = w->now + w->frag->timeout,
	};
	v->buckets[hash & v->mask] = i;
	return d;
}

/* A first fragment. */
static bool
first_take(struct frag_virtual *v, struct worker *w, struct judged *d, struct rte_mbuf *m,
	   uint32_t generation, enum stage_id stage)
{
	struct rte_mbuf *pkts[FRAG_WAITING_MAX];
	const struct pkt *p = pkt_of(m);
	uint8_t n;

	if (d->state == STATE_KNOWN && d->generation == generation && d->policy != p->policy) {
		cell_add(&v->killed, 1);
		d->state = STATE_DEAD;
	}
	if (d->state == STATE_DEAD) {
		drop(w, m, DROP_FRAG_OVERLAP);
		return false;
	}
	d->state = STATE_KNOWN;
	d->policy = p->policy;
	d->generation = generation;
	n = waiting_take(v, d, pkts);
	for (uint8_t i = 0; i < n; i++)
		pipe_push(w, stage, pkts[i]);
	return true;
}

static bool
later_take(struct frag_virtual *v, struct worker *w, struct judged *d, struct rte_mbuf *m,
	   uint32_t generation)
{
	enum drop_reason why = DROP_NONE;

	if (d->state == STATE_KNOWN && d->generation == generation) {
		pkt_of(m)->policy = d->policy;
		cell_add(&v->matched, 1);
		return true;
	}
	if (d->state == STATE_DEAD)
		why = DROP_FRAG_OVERLAP;
	else if (d->state == STATE_KNOWN) /* by policies that are not these any more */
		why = DROP_FRAG_PORTS;
	else if (d->n == FRAG_WAITING_MAX || v->waiting + m->nb_segs > v->max_waiting)
		why = DROP_FRAG_LIMIT;
	if (why != DROP_NONE) {
		drop(w, m, why);
		return false;
	}
	pkt_of(m)->hot = NULL;
	d->waiting[d->n++] = m;
	v->waiting += m->nb_segs;
	held_set(v, v->held + 1);
	return false;
}

bool
frag_virtual_match(struct worker *w, struct rte_mbuf *m, enum frag_way way, uint32_t generation,
		   enum stage_id stage)
{
	struct frag_virtual *v = w->frag->virtual;
	const struct pkt *p = pkt_of(m);
	uint64_t scope = UINT64_MAX;
	struct datagram_key key;
	struct judged *d;
	struct piece piece;
	uint32_t hash;

	if (way == FRAG_IN && p->sa != SA_NONE)
		scope = (uint64_t)p->generation << 32 | p->sa;
	piece_read(m, &piece);
	hash = (uint32_t)datagram_key_of(m, piece.id, v->secret, &key);
	d = find_or_make(v, w, &key, hash, way, scope);
	if ((p->flags & PKT_FRAG_FIRST) != 0)
		return first_take(v, w, d, m, generation, stage);
	return later_take(v, w, d, m, generation);
}

void
frag_virtual_expire(struct frag_virtual *v, struct worker *w, uint32_t max)
{
	for (; max > 0 && v->n > 0 && v->judged[v->first].expires <= w->now; max--)
		oldest_end(v, w, DROP_FRAG_PORTS, &v->timed_out);
}

void
frag_virtual_drop(struct frag_virtual *v, struct worker *w, enum drop_reason why)
{
	while (v->n > 0)
		oldest_end(v, w, why, &v->evicted);
}

uint32_t
frag_virtual_held(const struct frag_virtual *v)
{
	return __atomic_load_n(&v->held, __ATOMIC_RELAXED);
}

void
frag_virtual_count(const struct frag_virtual *v, struct frag_counts *c)
{
	c->matched = cell_get(&v->matched);
	c->match_timed_out = cell_get(&v->timed_out);
	c->match_evicted = cell_get(&v->evicted);
	c->match_killed = cell_get(&v->killed);
	c->match_held = frag_virtual_held(v);
	c->match_segments = __atomic_load_n(&v->waiting, __ATOMIC_RELAXED);
	c->match_datagrams = __atomic_load_n(&v->n, __ATOMIC_RELAXED);
}
