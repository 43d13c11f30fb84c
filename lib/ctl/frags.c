#include "ctl/frags.h"

#include <string.h>

#include <rte_mempool.h>

static uint32_t
workers_of(const struct gw *gw, const struct rte_mempool *pool)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < gw->n_workers; i++)
		n += gw->pools[i] == pool;
	return n;
}

uint32_t
frags_segments(const struct gw *gw, uint16_t worker)
{
	const struct rte_mempool *pool = gw->pools[worker];

	return pool->size / FRAGS_POOL_PART / workers_of(gw, pool);
}

struct frag_counts
frags_total(const struct gw *gw)
{
	struct frag_counts all = { .pieces = 0 };

	for (uint16_t i = 0; i < gw->n_workers; i++) {
		struct frag_counts c = frag_counts_read(gw->workers[i]);

		all.pieces += c.pieces;
		all.whole += c.whole;
		all.timed_out += c.timed_out;
		all.evicted += c.evicted;
		all.killed += c.killed;
		all.datagrams += c.datagrams;
		all.held += c.held;
		all.matched += c.matched;
		all.match_held += c.match_held;
	}
	return all;
}

static uint32_t
emtu_r_of(const struct conf_gateway *c)
{
	return c->reassembly.emtu_r == CONF_EMTU_ANY ? 0 : c->reassembly.emtu_r;
}

int
frags_init(struct gw *gw, struct err *err)
{
	const struct conf_gateway *c = &gw->conf->gateway;
	int rc = frag_shared_create(&gw->frag, err);

	for (uint16_t i = 0; i < gw->n_workers && rc == 0; i++) {
		const struct frag_limits limits = {
			.timeout = c->reassembly.timeout_us * 1000,
			.max_datagrams = c->reassembly.max_datagrams,
			.max_pieces = c->reassembly.max_pieces,
			.max_segments = frags_segments(gw, i),
			.emtu_r = emtu_r_of(c),
		};

		rc = frag_worker_init(gw->workers[i], gw->frag, &limits, err);
	}
	return rc;
}

void
frags_fini(struct gw *gw)
{
	for (uint16_t i = 0; i < gw->n_workers; i++)
		frag_worker_fini(gw->workers[i]);
	frag_shared_free(gw->frag);
	gw->frag = NULL;
}

uint32_t
frags_mbufs(uint32_t n, uint16_t n_workers)
{
	uint32_t most = n_workers * (uint32_t)FRAGS_MBUFS_MAX;

	return RTE_MIN(n / (FRAGS_POOL_PART - 1), most);
}

static void
limits_run(struct worker *w, void *arg)
{
	uint64_t word = (uintptr_t)arg;

	frag_limits_set(w, (word >> 32) * 1000, (uint16_t)word, (uint16_t)(word >> 16));
}

bool
frags_pace(struct gw *gw)
{
	const struct conf_gateway *c = &gw->conf->gateway;
	/* At most a minute: 26 bits of microseconds. The others have 16. */
	uintptr_t word = c->reassembly.timeout_us << 32 | (uintptr_t)emtu_r_of(c) << 16 |
			 c->reassembly.max_pieces;

	return gw_mail_all(gw, limits_run, (void *)word);
}

void
frags_drain(struct gw *gw)
{
	/* Captures end, and their time with them: what has not come by then never does. */
	enum drop_reason why = gw->clock.kind == CLOCK_STAMPS ? DROP_FRAG_TIMEOUT : DROP_STOPPED;

	for (uint16_t i = 0; i < gw->n_workers; i++)
		frag_drop(gw->workers[i], why);
}

/* Whose fragments are put together for the SA's sake. False: nobody's. */
static bool
reserve_of(const struct gw *gw, uint32_t index, struct addr *of)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	const struct sa_more *more;

	if (gw->frag == NULL)
		return false;
	if ((sa->flags & SA_INBOUND) != 0) {
		*of = sa_cold(&gw->sas, index)->src;
		return true;
	}
	if ((sa->flags & SA_BEET) == 0)
		return false;
	more = sa_more(sa);
	*of = (struct addr) { .family = more->inner.v6 ? 6 : 4 };
	memcpy(of->octets, more->inner.src, sizeof(of->octets));
	return more->inner.reassemble;
}

void
frags_sa_begins(struct gw *gw, uint32_t index)
{
	struct addr of;

	if (reserve_of(gw, index, &of))
		frag_peer_add(gw->frag, &of, gw_defer_free, gw);
}

void
frags_sa_ends(struct gw *gw, uint32_t index)
{
	struct addr of;

	if (reserve_of(gw, index, &of))
		frag_peer_del(gw->frag, &of, gw_defer_free, gw);
}
