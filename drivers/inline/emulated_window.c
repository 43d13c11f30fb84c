/* A replay window that several queues may ask and move at once, without a lock: a ring of words,
 * each with the low half of its block's number and a bit for each number of the block. A word is
 * changed by compare and exchange alone; what has left the ring is found so by its block's number.
 */
#include "emulated.h"

#include <rte_malloc.h>

#define BLOCK	32
#define BLOCKS	(2 * NIC_WINDOW / BLOCK) /* a power of 2, and one more than are in the window */
#define SEEN(w) ((uint32_t)(w))

struct nic_window {
	uint32_t size;
	uint64_t words[BLOCKS];
};

static inline uint64_t
word_of(uint64_t block, uint32_t seen)
{
	return block << 32 | seen;
}

/* What is not newer than highest counts as seen. */
struct nic_window *
nic_window_new(uint32_t size, uint64_t highest, int socket)
{
	struct nic_window *window =
		rte_zmalloc_socket("nic_window", sizeof(*window), RTE_CACHE_LINE_SIZE, socket);
	uint64_t top = highest / BLOCK;

	if (window == NULL)
		return NULL;
	window->size = size;
	for (uint64_t i = 0; i < BLOCKS; i++) {
		uint64_t block = top - i;

		window->words[block % BLOCKS] =
			word_of(block, i > 0 ? UINT32_MAX :
					       (uint32_t)((UINT64_C(2) << highest % BLOCK) - 1));
	}
	return window;
}

bool
nic_window_check(const struct nic_window *window, uint64_t highest, uint64_t number)
{
	uint64_t block = number / BLOCK, w;
	int32_t ahead;

	if (number == 0 || number + window->size <= highest)
		return false;
	w = __atomic_load_n(&window->words[block % BLOCKS], __ATOMIC_RELAXED);
	ahead = (int32_t)((uint32_t)block - (uint32_t)(w >> 32));
	return ahead > 0 || (ahead == 0 && (SEEN(w) >> number % BLOCK & 1) == 0);
}

static void
highest_raise(uint64_t *highest, uint64_t number)
{
	uint64_t old = __atomic_load_n(highest, __ATOMIC_RELAXED);

	while (old < number && !__atomic_compare_exchange_n(highest, &old, number, true,
							    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

bool
nic_window_accept(struct nic_window *window, uint64_t *highest, uint64_t number)
{
	uint64_t block = number / BLOCK, *at = &window->words[block % BLOCKS];
	uint64_t old = __atomic_load_n(at, __ATOMIC_RELAXED), new;

	do {
		if (!nic_window_check(window, __atomic_load_n(highest, __ATOMIC_RELAXED), number))
			return false;
		new = (uint32_t)(old >> 32) == (uint32_t)block ? old : word_of(block, 0);
		new |= UINT64_C(1) << number % BLOCK;
	} while (!__atomic_compare_exchange_n(at, &old, new, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	highest_raise(highest, number);
	return true;
}
