#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

#include "daemon/state.h"
#include "sad/sad.h"

#define TRIES	 64
#define SCAN_MAX 65536

/* The octets of several SPIs at once: a system call for each would be most of the work. */
static int
random_word(struct daemons *d, uint32_t *word)
{
	if (d->n_random == 0) {
		if (getrandom(d->random, sizeof(d->random), 0) != (ssize_t)sizeof(d->random))
			return -ENOMEM;
		d->n_random = RTE_DIM(d->random);
	}
	*word = d->random[--d->n_random];
	return 0;
}

static bool
is_free(struct daemons *d, const struct xfrm_spi_range *r, uint32_t spi)
{
	struct xfrm_ident id = r->sa.id;
	uint32_t index;

	id.spi = spi;
	return state_find(d, &id, &r->sa.mark, &index) == NULL && state_of_file(d, &id) == SA_NONE;
}

/* One after the other, from a random one on, with a slot of the table or without. */
static int
scan(struct daemons *d, const struct xfrm_spi_range *r, uint32_t from, uint64_t n, uint32_t *spi,
     bool *has_slot, struct err *err)
{
	for (uint64_t i = 0; i < RTE_MIN(n, (uint64_t)SCAN_MAX); i++) {
		*spi = r->min + (uint32_t)((from + i) % n);
		if (!is_free(d, r, *spi))
			continue;
		*has_slot = r->sa.id.proto != XFRM_PROTO_COMP && sad_slot_take(d->gw->sad, *spi);
		return 0;
	}
	return err_set(err, -ENOENT, "no SPI from 0x%x to 0x%x is free", r->min, r->max);
}

/* An SPI of ESP or AH is drawn whole, so that nothing of it can be foreseen, until one comes whose
 * slot of the direct table is free: half of them are.
 */
int
spi_pick(struct daemons *d, const struct xfrm_spi_range *r, uint32_t *spi, bool *has_slot,
	 struct err *err)
{
	uint64_t n = (uint64_t)r->max - r->min + 1;
	uint32_t word = 0;

	*has_slot = false;
	for (int i = 0; i < TRIES; i++) {
		if (random_word(d, &word) < 0)
			return err_set(err, -ENOMEM, "the system gives no random octets");
		*spi = r->min + (uint32_t)(word % n);
		if (!is_free(d, r, *spi))
			continue;
		if (r->sa.id.proto == XFRM_PROTO_COMP)
			return 0;
		*has_slot = sad_slot_take(d->gw->sad, *spi);
		if (*has_slot)
			return 0;
	}
	return scan(d, r, word % (uint32_t)RTE_MIN(n, (uint64_t)UINT32_MAX), n, spi, has_slot, err);
}
