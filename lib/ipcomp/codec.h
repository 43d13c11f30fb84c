/* What a codec of raw DEFLATE streams (RFC 1951) is: no zlib or gzip header, no checksum (RFC
 * 2394). drivers/comp/ fills this in; lib/ knows nothing else of a codec.
 *
 * A packet is one whole stream that ends with a final block, and knows nothing of the packets
 * before it. All memory is taken by worker_init; no call beside it takes any.
 */
#ifndef IPCOMP_CODEC_H
#define IPCOMP_CODEC_H

#include <stdint.h>

#include "base/err.h"

struct codec_worker;

enum codec_verdict {
	CODEC_OK,
	CODEC_CORRUPT,	/* a bad block, code or distance, or the input ends before the stream */
	CODEC_FULL,	/* the output does not fit */
	CODEC_TRAILING, /* a good stream, and octets behind it */
};

/* All calls of one codec_worker come from the worker that owns it; serves may be called by any
 * thread.
 */
struct codec {
	const char *name;
	/* What a core compresses in a millisecond without doing much else. */
	uint32_t octets_per_ms;
	/* 0, or -ENOTSUP: not on this CPU. */
	int (*serves)(struct err *err);
	/* hist_bits: no distance of a stream made here is above 1 << hist_bits; 9 to 15. Inflating
	 * takes any distance. */
	int (*worker_init)(uint8_t hist_bits, int socket, struct codec_worker **out,
			   struct err *err);
	void (*worker_fini)(struct codec_worker *cw); /* NULL is fine */
	/* in and out do not overlap; len up to 65,535. Returns the octets of the stream, or 0 when
	 * it takes more than room; out is undefined then. Never writes beyond room. */
	uint32_t (*deflate)(struct codec_worker *cw, const uint8_t *in, uint32_t len, uint8_t *out,
			    uint32_t room);
	/* Stops where room is full: time and memory go by room, not by what the stream would
	 * become. *n: octets of output, with CODEC_OK all of them; else what was written. Never
	 * reads beyond len, never writes beyond room. */
	enum codec_verdict (*inflate)(struct codec_worker *cw, const uint8_t *in, uint32_t len,
				      uint8_t *out, uint32_t room, uint32_t *n);
};

#endif
