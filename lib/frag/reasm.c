#include "frag/reasm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rte_ip.h>
#include <rte_malloc.h>

#include "frag/peers.h"
#include "frag/piece.h"
#include "frag/seen.h"
#include "frag/table.h"
#include "frag/virtual.h"
#include "wire/ip.h"
#include "worker/worker.h"

#define EXPIRE_MAX   64 /* datagrams a poll: the rest waits for the next, packets come between */
#define WAITING_PART 4	/* of the buffers for pieces: for those that wait for a first fragment */
#define WATCH_NS     UINT64_C(10000000000)
#define WATCH_AGO_NS UINT64_C(1000000000) /* not written again before */

int
frag_shared_create(struct frag_shared **out, struct err *err)
{
	struct frag_shared *s = rte_zmalloc("frag_shared", sizeof(*s), RTE_CACHE_LINE_SIZE);

	if (s == NULL)
		return err_set(err, -ENOMEM, "no memory for reassembly");
	if (getentropy(s->secret, sizeof(s->secret)) != 0) {
		int rc = -errno;

		rte_free(s);
		return err_set(err, rc, "no randomness for reassembly: %s", strerror(-rc));
	}
	*out = s;
	return 0;
}

void
frag_shared_free(struct frag_shared *s)
{
	if (s == NULL)
		return;
	rte_free(s->peers);
	rte_free(s);
}

int
frag_worker_init(struct worker *w, struct frag_shared *s, const struct frag_limits *limits,
		 struct err *err)
{
	struct frag_worker *fw =
		rte_zmalloc_socket("frag", sizeof(*fw), RTE_CACHE_LINE_SIZE, w->socket);
	int rc;

	w->frag = fw;
	if (fw == NULL)
		return err_set(err, -ENOMEM, "no memory for reassembly by worker %u", w->index);
	fw->shared = s;
	fw->seen = rte_zmalloc_socket("frag", FRAG_SEEN_CELLS * sizeof(fw->seen[0]),
				      RTE_CACHE_LINE_SIZE, w->socket);
	if (fw->seen == NULL)
		return err_set(err, -ENOMEM, "no memory for reassembly by worker %u", w->index);
	for (uint32_t i = 0; i < FRAG_SEEN_CELLS; i++)
		fw->seen[i].sa = SA_NONE;
	fw->timeout = limits->timeout;
	fw->emtu_r = limits->emtu_r;
	rc = frag_table_create(limits, s->secret, w->socket, &fw->table, err);
	if (rc == 0)
		rc = frag_virtual_create(limits->max_datagrams,
					 RTE_MAX(limits->max_segments / WAITING_PART, 1u),
					 s->secret, w->socket, &fw->virtual, err);
	return rc;
}

void
frag_worker_fini(struct worker *w)
{
	if (w->frag == NULL)
		return;
	frag_table_free(w->frag->table);
	frag_virtual_free(w->frag->virtual);
	rte_free(w->frag->seen);
	rte_free(w->frag);
	w->frag = NULL;
}

void
frag_limits_set(struct worker *w, uint64_t timeout, uint32_t max_pieces, uint32_t emtu_r)
{
	w->frag->timeout = timeout;
	w->frag->emtu_r = emtu_r;
	frag_table_limits_set(w->frag->table, timeout, max_pieces);
}

uint16_t
frag_owner_of(const struct worker *w, const struct rte_mbuf *m)
{
	struct datagram_key key;
	struct piece p;
	uint64_t hash;

	/* What is wrong with it is found out by its owner. */
	piece_read(m, &p);
	hash = datagram_key_of(m, p.id, w->frag->shared->secret, &key);
	return (uint16_t)((hash >> 32) * w->n_workers >> 32);
}

static bool
is_of_peer(const struct worker *w, const struct rte_mbuf *m)
{
	bool v6 = (pkt_of(m)->flags & PKT_V6) != 0;
	uint64_t src[2] = { 0, 0 };

	memcpy(src, wire_ip_src(rte_pktmbuf_mtod(m, const uint8_t *), v6), v6 ? 16 : 4);
	return frag_peers_has(w->frag->shared, source_hash(src, v6, w->frag->shared->secret));
}

/* From now on it is worth a look which SAs' packets come in fragments. */
static void
watch(struct worker *w)
{
	uint64_t *until = &w->frag->shared->watch_until;

	if (w->now + WATCH_NS - __atomic_load_n(until, __ATOMIC_RELAXED) > WATCH_AGO_NS)
		__atomic_store_n(until, w->now + WATCH_NS, __ATOMIC_RELAXED);
}

struct rte_mbuf *
frag_take(struct worker *w, struct rte_mbuf *m)
{
	m = frag_table_put(w->frag->table, w, m, is_of_peer(w, m));
	if (m != NULL)
		watch(w);
	return m;
}

uint16_t
frag_expire(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	frag_table_expire(w->frag->table, w, EXPIRE_MAX);
	frag_virtual_expire(w->frag->virtual, w, EXPIRE_MAX);
	return 0;
}

void
frag_drop(struct worker *w, enum drop_reason why)
{
	if (w->frag == NULL)
		return;
	frag_table_drop(w->frag->table, w, why);
	frag_virtual_drop(w->frag->virtual, w, why == DROP_FRAG_TIMEOUT ? DROP_FRAG_PORTS : why);
}

uint32_t
frag_held(const struct worker *w)
{
	return w->frag == NULL ?
		       0 :
		       frag_table_held(w->frag->table) + frag_virtual_held(w->frag->virtual);
}

struct frag_counts
frag_counts_read(const struct worker *w)
{
	struct frag_counts c = { .pieces = 0 };

	if (w->frag != NULL)
		frag_table_count(w->frag->table, &c);
	if (w->frag != NULL)
		frag_virtual_count(w->frag->virtual, &c);
	return c;
}
