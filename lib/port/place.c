#include "port/port.h"

#include <assert.h>
#include <string.h>

/* The workers in the order in which they get queues: owners from the first-th on, then the others.
 */
static uint16_t
place_order(uint16_t n_workers, uint64_t owners, uint16_t first, uint8_t order[WORKERS_MAX])
{
	uint8_t mine[WORKERS_MAX];
	uint16_t n_mine = 0, n = 0;

	for (uint16_t i = 0; i < n_workers; i++)
		if (owners >> i & 1)
			mine[n_mine++] = (uint8_t)i;
	for (uint16_t i = 0; i < n_mine; i++)
		order[n++] = mine[(first + i) % n_mine];
	for (uint16_t i = 0; i < n_workers; i++)
		if ((owners >> i & 1) == 0)
			order[n++] = (uint8_t)i;
	return n_mine;
}

void
port_place(struct port_map *map, uint16_t n_workers, uint64_t owners, uint16_t first, uint16_t n_rx,
	   uint16_t n_tx)
{
	uint8_t order[WORKERS_MAX];
	uint16_t n_mine = place_order(n_workers, owners, first, order);

	assert(n_mine > 0 && n_rx <= PORT_QUEUES_MAX && n_tx > 0 && n_tx <= n_workers);
	memset(map, PORT_NONE, sizeof(*map));
	map->n_rx = n_rx;
	map->n_tx = n_tx;
	for (uint16_t q = 0; q < n_rx; q++)
		map->rx_owner[q] = order[q % n_mine];
	for (uint16_t i = 0; i < n_workers; i++) {
		uint8_t w = order[i];

		map->tx_queue[w] = i < n_tx ? (uint8_t)i : PORT_NONE;
		map->tx_via[w] = i < n_tx ? w : order[i % n_tx];
	}
}
