/* A counter with one writer: a plain add and a relaxed store, so that no reader sees half of it. */
#ifndef STATS_CELL_H
#define STATS_CELL_H

#include <stdint.h>

static inline void
cell_add(uint64_t *cell, uint64_t n)
{
	__atomic_store_n(cell, *cell + n, __ATOMIC_RELAXED);
}

static inline uint64_t
cell_get(const uint64_t *cell)
{
	return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

#endif
