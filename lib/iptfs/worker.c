#include <errno.h>

#include <rte_malloc.h>

#include "iptfs/iptfs.h"
#include "worker/worker.h"

int
iptfs_worker_init(struct worker *w, struct err *err)
{
	w->iptfs = rte_zmalloc_socket("iptfs", sizeof(*w->iptfs), RTE_CACHE_LINE_SIZE, w->socket);
	if (w->iptfs == NULL)
		return err_set(err, -ENOMEM, "no memory for IP-TFS of worker %u", w->index);
	wheel_init(&w->iptfs->out);
	wheel_init(&w->iptfs->in);
	return 0;
}

void
iptfs_worker_fini(struct worker *w)
{
	rte_free(w->iptfs);
	w->iptfs = NULL;
}

uint32_t
iptfs_held(const struct worker *w)
{
	return w->iptfs == NULL ?
		       0 :
		       (uint32_t)(cell_get(&w->iptfs->held_out) + cell_get(&w->iptfs->held_in));
}
