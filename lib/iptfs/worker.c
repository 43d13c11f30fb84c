#include <assert.h>
#include <errno.h>

#include <rte_malloc.h>

#include "aggfrag/split.h"
#include "iptfs/in.h"
#include "iptfs/iptfs.h"
#include "iptfs/iptfs_stage.h"
#include "iptfs/out.h"
#include "worker/worker.h"

int
iptfs_worker_init(struct worker *w, struct err *err)
{
	w->iptfs = rte_zmalloc_socket("iptfs", sizeof(*w->iptfs), RTE_CACHE_LINE_SIZE, w->socket);
	if (w->iptfs == NULL)
		return err_set(err, -ENOMEM, "no memory for IP-TFS of worker %u", w->index);
	wheel_init(&w->iptfs->out);
	return aggfrag_receiver_create(w, &w->iptfs->in, err);
}

void
iptfs_worker_fini(struct worker *w)
{
	if (w->iptfs == NULL)
		return;
	aggfrag_receiver_free(w->iptfs->in);
	rte_free(w->iptfs);
	w->iptfs = NULL;
}

/* At the end: behind the sources that packets come from. By mail, which runs in the first of them:
 * the worker's walk comes to these in the same round.
 */
static void
source_add(struct worker *w, const struct source *source)
{
	for (uint16_t i = 0; i < w->n_sources; i++)
		if (w->sources[i].poll == source->poll)
			return;
	assert(w->n_sources < SOURCES_MAX);
	w->sources[w->n_sources++] = *source;
}

void
iptfs_run(struct worker *w, void *arg)
{
	source_add(w, &(struct source) { .name = "iptfs_deliver",
					 .poll = iptfs_deliver,
					 .first = STAGE_ECN_DECAP,
					 .all = true });
	/* The last: what waits for nothing leaves in the round it came in. */
	source_add(w, &(struct source) { .name = "iptfs_tick",
					 .poll = iptfs_tick,
					 .first = STAGE_LIFE_COUNT_OUT,
					 .all = true,
					 .paces = true });
}

uint32_t
iptfs_held(const struct worker *w)
{
	return w->iptfs == NULL ?
		       0 :
		       (uint32_t)(cell_get(&w->iptfs->held_out) + cell_get(&w->iptfs->held_in));
}

void
iptfs_drop(struct worker *w, enum drop_reason why)
{
	if (w->iptfs == NULL)
		return;
	iptfs_in_drop(w, why);
	iptfs_out_drop(w, why);
}
