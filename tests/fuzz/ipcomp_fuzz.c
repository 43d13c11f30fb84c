/* Any octets as what stands behind ESP on an SA with IPComp: whatever the header says and the
 * stream is, no octet is read behind them or written behind the room, every codec that is built in
 * says the same of what zlib calls good, and what is good is good again once compressed.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/eal.h"
#include "drivers.h"
#include "ipcomp/ipcomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static const struct codec *const codecs[] = {
	&codec_zlib,
#ifdef HAVE_ISAL
	&codec_isal,
#endif
};
static struct ipcomp_worker *workers[RTE_DIM(codecs)];
static struct ipcomp_sa *sas[4]; /* bit 0: xt, bit 1: stored */

static void
must(bool held)
{
	if (!held)
		abort();
}

static void
begin(void)
{
	struct err err;

	must(test_eal_init() == 0);
	for (size_t i = 0; i < RTE_DIM(codecs); i++)
		must(ipcomp_worker_init(&codecs[i], 1, SOCKET_ID_ANY, &workers[i], &err) == 0);
	for (unsigned int i = 0; i < RTE_DIM(sas); i++) {
		const struct ipcomp_params p = { .on = true,
						 .cpi = 2,
						 .max_output = 16384,
						 .xt = (i & 1) != 0,
						 .stored = (i & 2) != 0,
						 .n_cells = 1 };

		must(ipcomp_sa_create(&p, &sas[i], &err) == 0);
	}
}

static void
there_and_back(struct ipcomp_worker *iw, const struct ipcomp_output *out)
{
	static uint8_t packed[2 * IPCOMP_OCTETS_MAX], clear[IPCOMP_OCTETS_MAX];
	uint32_t n, size;

	memcpy(clear, out->octets, out->len);
	size = iw->codec->deflate(iw->cw, clear, out->len, packed, sizeof(packed));
	must(size > 0);
	must(iw->codec->inflate(iw->cw, packed, size, iw->out, out->len, &n) == CODEC_OK);
	must(n == out->len && memcmp(iw->out, clear, n) == 0);
}

/* The first octet says which SA; of the others a copy of just their size. */
int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct ipcomp_output out[RTE_DIM(codecs)];
	enum drop_reason why[RTE_DIM(codecs)];
	struct ipcomp_input in = { .room = IPCOMP_OCTETS_MAX, .now = 1 };
	struct ipcomp_sa *is;
	uint8_t *copy;

	if (workers[0] == NULL)
		begin();
	if (size == 0 || size > IPCOMP_OCTETS_MAX)
		return 0;
	is = sas[octets[0] & 3];
	in.len = (uint32_t)size - 1;
	copy = malloc(in.len + (in.len == 0));
	if (copy == NULL)
		return 0;
	memcpy(copy, octets + 1, in.len);
	in.octets = copy;
	for (size_t i = 0; i < RTE_DIM(codecs); i++) {
		is->cells[0].inflated = (struct ipcomp_bucket) { 0 };
		why[i] = ipcomp_open(workers[i], is, &is->cells[0], &in, &out[i]);
		must(why[i] != DROP_NONE || out[i].len <= 16384 || out[i].stored);
		must(why[0] != DROP_NONE || why[i] == DROP_NONE);
		must(why[0] != DROP_NONE ||
		     (out[i].len == out[0].len &&
		      memcmp(out[i].octets, out[0].octets, out[0].len) == 0));
	}
	for (size_t i = 0; i < RTE_DIM(codecs) && why[0] == DROP_NONE && !out[0].stored; i++)
		there_and_back(workers[i], &out[i]);
	free(copy);
	return 0;
}
