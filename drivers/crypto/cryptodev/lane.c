#include "cryptodev.h"

#include <errno.h>

#include <rte_malloc.h>
#include <rte_memory.h>

/* What no operation changes. */
static void
slots_init(struct lane *l)
{
	for (uint32_t i = 0; i < RING_SIZE; i++) {
		l->slots[i].op.phys_addr = rte_mem_virt2iova(&l->slots[i]);
		l->beside[i].iova = rte_mem_virt2iova(&l->beside[i]);
	}
}

static int
lane_init(struct lane *l, struct engine_worker *ew, struct device *d, struct err *err)
{
	l->device = d;
	l->queue = ew->index;
	l->slots = rte_zmalloc_socket("cryptodev_slots", RING_SIZE * sizeof(*l->slots),
				      2 * RTE_CACHE_LINE_SIZE, ew->socket);
	l->beside = rte_zmalloc_socket("cryptodev_beside", RING_SIZE * sizeof(*l->beside),
				       RTE_CACHE_LINE_SIZE, ew->socket);
	l->marks =
		rte_zmalloc_socket("cryptodev_marks", RING_SIZE, RTE_CACHE_LINE_SIZE, ew->socket);
	if (l->slots == NULL || l->beside == NULL || l->marks == NULL)
		return err_set(err, -ENOMEM, "cryptodev: no memory on socket %d", ew->socket);
	slots_init(l);
	return 0;
}

int
lanes_init(struct engine_worker *ew, struct err *err)
{
	int rc = 0;

	ew->lanes = rte_zmalloc_socket("cryptodev_lanes", (cd.n_devices + 1u) * sizeof(*ew->lanes),
				       RTE_CACHE_LINE_SIZE, ew->socket);
	if (ew->lanes == NULL)
		return err_set(err, -ENOMEM, "cryptodev: no memory on socket %d", ew->socket);
	for (; ew->n_lanes < cd.n_devices && rc == 0; ew->n_lanes++)
		rc = lane_init(&ew->lanes[ew->n_lanes], ew, &cd.devices[ew->n_lanes], err);
	return rc;
}

/* Slots have held nonces and IVs, no keys. */
void
lanes_fini(struct engine_worker *ew)
{
	for (uint16_t i = 0; i < ew->n_lanes; i++) {
		rte_free(ew->lanes[i].slots);
		rte_free(ew->lanes[i].beside);
		rte_free(ew->lanes[i].marks);
	}
	rte_free(ew->lanes);
}

uint32_t
lanes_room(const struct engine_worker *ew)
{
	uint32_t room = UINT32_MAX;

	for (uint16_t i = 0; i < ew->n_lanes; i++) {
		const struct lane *l = &ew->lanes[i];

		if (device_state(l->device) == DEVICE_UP)
			room = RTE_MIN(room, RING_MASK - l->n);
	}
	return room;
}

uint32_t
lanes_held(const struct engine_worker *ew)
{
	uint64_t held = 0;

	for (uint16_t i = 0; i < ew->n_lanes; i++)
		held += __atomic_load_n(&ew->lanes[i].n, __ATOMIC_RELAXED);
	return (uint32_t)held;
}
