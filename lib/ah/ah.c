#include "ah/ah.h"

#include <errno.h>

#include <rte_malloc.h>

int
ah_worker_init(int socket, struct ah_worker **out, struct err *err)
{
	*out = rte_zmalloc_socket("ah", sizeof(**out), RTE_CACHE_LINE_SIZE, socket);
	return *out != NULL ? 0 : err_set(err, -ENOMEM, "no memory for AH on socket %d", socket);
}

void
ah_worker_fini(struct ah_worker *ah)
{
	rte_free(ah);
}
