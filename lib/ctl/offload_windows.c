/* Keys whose window was a device's: see ctl/offloads.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/log.h"
#include "ctl/offload_book.h"

#define WINDOWS_MAX 65536

int
offload_window_note(struct gw *gw, uint32_t index, struct err *err)
{
	struct offloads *o = gw->offloads;
	void *more;

	if (o->n_windows == WINDOWS_MAX)
		return err_set(err, -ENOSPC, "the device has kept the windows of %d keys: no more",
			       WINDOWS_MAX);
	more = realloc(o->windows, (o->n_windows + 1) * sizeof(o->windows[0]));
	if (more == NULL)
		return err_set(err, -ENOMEM, "no memory to note who keeps its window");
	o->windows = more;
	numbers_hash_of(gw->numbers, sa_cold(&gw->sas, index)->numbers, o->windows[o->n_windows++]);
	return 0;
}

void
offload_window_check(struct gw *gw, uint32_t index)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, index);
	const struct offloads *o = gw->offloads;
	uint8_t hash[NUMBERS_HASH_SIZE];
	char name[SA_NAME_MAX];

	if (o->n_windows != 0)
		numbers_hash_of(gw->numbers, cold->numbers, hash);
	for (uint32_t i = 0; i < o->n_windows; i++) {
		if (memcmp(o->windows[i], hash, sizeof(hash)) != 0)
			continue;
		__atomic_store_n(&sa_at(&gw->sas, index)->state, SA_EXPIRED, __ATOMIC_RELAXED);
		GW_LOG(WARNING,
		       "SA %s takes no packets: a port's device kept the anti-replay window of its "
		       "key; it needs a new key\n",
		       sa_name(cold, name));
		return;
	}
}
