#include "esp/esp.h"

#include <errno.h>

#include <rte_malloc.h>

int
esp_worker_init(int socket, struct esp_worker **out, struct err *err)
{
	struct esp_worker *ew = rte_zmalloc_socket("esp", sizeof(*ew), RTE_CACHE_LINE_SIZE, socket);

	if (ew == NULL)
		return err_set(err, -ENOMEM, "no memory for ESP on socket %d", socket);
	*out = ew;
	return 0;
}

void
esp_worker_fini(struct esp_worker *ew)
{
	rte_free(ew);
}
