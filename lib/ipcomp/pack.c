#include "ipcomp/bucket.h"
#include "ipcomp/ipcomp.h"

#define FAILS_MAX 15u /* of 4 bits */
#define SKIP_MAX  1024u
#define SAMPLED	  256 /* octets: less is given to the codec without a look */
#define SAMPLES	  128
/* Of 128 octets out of random ones about 100 differ, seldom less than 88; base64 has 64 to offer,
 * text and machine code use 40 to 75.
 */
#define RANDOM_LOOKS 84

/* After three packets in a row that did not shrink the flow is left alone, for longer each time. */
static void
learn(struct ipcomp_slot *slot, bool shrank)
{
	unsigned int fails = slot->word % IPCOMP_SLOT_SKIP, skip = 0;

	fails = shrank ? 0 : RTE_MIN(fails + 1, FAILS_MAX);
	if (fails >= 3)
		skip = RTE_MIN(1u << (fails + 2), SKIP_MAX);
	slot->word = (uint16_t)(skip * IPCOMP_SLOT_SKIP + fails);
}

static bool
looks_random(const uint8_t *octets, uint32_t len)
{
	uint32_t step = len / SAMPLES;
	uint64_t seen[4] = { 0 };
	unsigned int differ = 0;

	/* From the end on: headers stand in front. */
	for (uint32_t i = 0, at = len - 1; i < SAMPLES; i++, at -= step)
		seen[octets[at] >> 6] |= UINT64_C(1) << (octets[at] & 63);
	for (int i = 0; i < 4; i++)
		differ += (unsigned int)__builtin_popcountll(seen[i]);
	return differ >= RANDOM_LOOKS;
}

enum ipcomp_count
ipcomp_pack(struct ipcomp_worker *iw, struct ipcomp_cell *cell, struct ipcomp_slot *slot,
	    const uint8_t *in, uint32_t len, uint32_t room, uint32_t *size)
{
	enum ipcomp_count why = IPCOMP_SKIP_RANDOM;

	*size = 0;
	if (len < SAMPLED || !looks_random(in, len)) {
		ipcomp_count(iw, cell, IPCOMP_TRIED, 1);
		bucket_take(&iw->budget, len);
		*size = iw->codec->deflate(iw->cw, in, len, iw->out + IPCOMP_FRONT, room);
		why = *size > 0 ? IPCOMP_OK : IPCOMP_EXPAND;
	}
	learn(slot, why == IPCOMP_OK);
	if (why != IPCOMP_OK)
		ipcomp_count(iw, cell, why, 1);
	return why;
}
