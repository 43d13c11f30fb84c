#include <errno.h>
#include <isa-l/igzip_lib.h>

#include <rte_malloc.h>

#include "ipcomp/codec.h"

/* The tables of codes that ISA-L brings suit text, but to write them down takes 109 octets. The
 * fixed ones of DEFLATE cost nothing, are faster, and better for JSON in packets of any usual size.
 */
#define FIXED_CODES_MAX 2048

struct codec_worker {
	struct isal_zstream deflate;
	struct inflate_state inflate;
	uint8_t hist_bits;
};

static int
isal_serves(struct err *err)
{
	return 0;
}

static int
isal_worker_init(uint8_t hist_bits, int socket, struct codec_worker **out, struct err *err)
{
	struct codec_worker *cw =
		rte_zmalloc_socket("isal", sizeof(*cw), RTE_CACHE_LINE_SIZE, socket);

	*out = cw;
	if (cw == NULL)
		return err_set(err, -ENOMEM, "isal: no memory");
	cw->hist_bits = hist_bits;
	return 0;
}

static void
isal_worker_fini(struct codec_worker *cw)
{
	rte_free(cw);
}

static uint32_t
isal_deflate_one(struct codec_worker *cw, const uint8_t *in, uint32_t len, uint8_t *out,
		 uint32_t room)
{
	struct isal_zstream *s = &cw->deflate;

	isal_deflate_stateless_init(s);
	if (len <= FIXED_CODES_MAX)
		isal_deflate_set_hufftables(s, NULL, IGZIP_HUFFTABLE_STATIC);
	s->hist_bits = cw->hist_bits;
	s->end_of_stream = 1;
	s->flush = NO_FLUSH;
	s->gzip_flag = IGZIP_DEFLATE;
	s->next_in = (uint8_t *)(uintptr_t)in;
	s->avail_in = len;
	s->next_out = out;
	s->avail_out = room;
	/* Level 0, the one without a buffer of its own. */
	if (isal_deflate_stateless(s) != COMP_OK || s->avail_in != 0)
		return 0;
	return s->total_out;
}

static enum codec_verdict
isal_inflate_one(struct codec_worker *cw, const uint8_t *in, uint32_t len, uint8_t *out,
		 uint32_t room, uint32_t *n)
{
	struct inflate_state *s = &cw->inflate;
	int rc;

	isal_inflate_init(s);
	s->crc_flag = ISAL_DEFLATE;
	s->next_in = (uint8_t *)(uintptr_t)in;
	s->avail_in = len;
	s->next_out = out;
	s->avail_out = room;
	rc = isal_inflate_stateless(s);
	*n = room - s->avail_out;
	if (rc == ISAL_OUT_OVERFLOW)
		return CODEC_FULL;
	if (rc != ISAL_DECOMP_OK)
		return CODEC_CORRUPT;
	return s->avail_in != 0 ? CODEC_TRAILING : CODEC_OK;
}

const struct codec codec_isal = {
	.name = "isal",
	.octets_per_ms = 384 * 1024,
	.serves = isal_serves,
	.worker_init = isal_worker_init,
	.worker_fini = isal_worker_fini,
	.deflate = isal_deflate_one,
	.inflate = isal_inflate_one,
};
