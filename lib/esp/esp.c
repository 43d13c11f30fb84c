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
	return esp_echo_worker_init(&ew->echo, socket, err);
}

void
esp_worker_fini(struct esp_worker *ew)
{
	if (ew == NULL)
		return;
	esp_echo_worker_fini(&ew->echo);
	rte_free(ew);
}
