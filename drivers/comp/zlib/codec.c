#include <errno.h>
#include <stdbool.h>

#include <rte_malloc.h>

#define ZLIB_CONST
#include <zlib.h>

#include "ipcomp/codec.h"

#define LEVEL	     1
#define MEM_LEVEL    8
#define INFLATE_BITS (-15) /* raw, and any distance */

struct codec_worker {
	z_stream deflate, inflate;
	int socket;
};

static void *
zlib_take(void *opaque, unsigned int n, unsigned int size)
{
	const struct codec_worker *cw = opaque;

	return rte_malloc_socket("zlib", (size_t)n * size, 0, cw->socket);
}

static void
zlib_give(void *opaque, void *memory)
{
	rte_free(memory);
}

static void
stream_set(z_stream *s, struct codec_worker *cw)
{
	s->zalloc = zlib_take;
	s->zfree = zlib_give;
	s->opaque = cw;
}

static int
zlib_serves(struct err *err)
{
	return 0;
}

static void
zlib_worker_fini(struct codec_worker *cw)
{
	if (cw == NULL)
		return;
	/* What was never begun ends with an error, and nothing else. */
	(void)deflateEnd(&cw->deflate);
	(void)inflateEnd(&cw->inflate);
	rte_free(cw);
}

/* The first stream that does not end takes memory for a window, which stays: here, not on the path.
 */
static bool
window_is_made(z_stream *s)
{
	static const uint8_t begun[] = { 0x00, 0x01, 0x00, 0xfe, 0xff, 'a' };
	uint8_t out[2];

	s->next_in = begun;
	s->avail_in = sizeof(begun);
	s->next_out = out;
	s->avail_out = sizeof(out);
	return inflate(s, Z_NO_FLUSH) == Z_OK;
}

static int
zlib_worker_init(uint8_t hist_bits, int socket, struct codec_worker **out, struct err *err)
{
	struct codec_worker *cw =
		rte_zmalloc_socket("zlib", sizeof(*cw), RTE_CACHE_LINE_SIZE, socket);

	*out = NULL;
	if (cw == NULL)
		return err_set(err, -ENOMEM, "zlib: no memory");
	cw->socket = socket;
	stream_set(&cw->deflate, cw);
	stream_set(&cw->inflate, cw);
	if (deflateInit2(&cw->deflate, LEVEL, Z_DEFLATED, -hist_bits, MEM_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK ||
	    inflateInit2(&cw->inflate, INFLATE_BITS) != Z_OK || !window_is_made(&cw->inflate)) {
		zlib_worker_fini(cw);
		return err_set(err, -ENOMEM, "zlib: no memory");
	}
	*out = cw;
	return 0;
}

static uint32_t
zlib_deflate_one(struct codec_worker *cw, const uint8_t *in, uint32_t len, uint8_t *out,
		 uint32_t room)
{
	z_stream *s = &cw->deflate;

	if (deflateReset(s) != Z_OK)
		return 0;
	s->next_in = in;
	s->avail_in = len;
	s->next_out = out;
	s->avail_out = room;
	return deflate(s, Z_FINISH) == Z_STREAM_END ? (uint32_t)s->total_out : 0;
}

static enum codec_verdict
zlib_inflate_one(struct codec_worker *cw, const uint8_t *in, uint32_t len, uint8_t *out,
		 uint32_t room, uint32_t *n)
{
	z_stream *s = &cw->inflate;
	int rc;

	*n = 0;
	if (inflateReset(s) != Z_OK)
		return CODEC_CORRUPT;
	s->next_in = in;
	s->avail_in = len;
	s->next_out = out;
	s->avail_out = room;
	rc = inflate(s, Z_FINISH);
	*n = room - s->avail_out;
	if (rc == Z_STREAM_END)
		return s->avail_in != 0 ? CODEC_TRAILING : CODEC_OK;
	return rc == Z_BUF_ERROR && s->avail_out == 0 ? CODEC_FULL : CODEC_CORRUPT;
}

const struct codec codec_zlib = {
	.name = "zlib",
	.octets_per_ms = 64 * 1024,
	.serves = zlib_serves,
	.worker_init = zlib_worker_init,
	.worker_fini = zlib_worker_fini,
	.deflate = zlib_deflate_one,
	.inflate = zlib_inflate_one,
};
