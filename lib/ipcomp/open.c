#include <netinet/in.h>
#include <string.h>

#include "ipcomp/bucket.h"
#include "ipcomp/ipcomp.h"

/* Of one SA: about what a core inflates of good packets. */
#define INFLATED_PER_MS (640 * 1024)
/* DEFLATE goes to 1032:1. What a network carries at a time is let through whatever it is; beyond
 * that nothing grows by so much but a bomb. */
#define RATIO	   64
#define RATIO_FREE 16384
/* The extension's own. */
#define XT_RATIO      32
#define XT_RATIO_FREE 1500

static enum drop_reason
flags_check(const struct ipcomp_params *p, const struct ipcomp_header *h)
{
	uint8_t known = p->xt && h->cpi != IPCOMP_CPI_STORED ? IPCOMP_FLAG_XT : 0;

	/* RFC 3173 section 2.1: ignored, where nobody has given them a meaning. */
	if (!p->xt && !p->stored)
		return DROP_NONE;
	return (h->flags & ~known) != 0 ? DROP_IPCOMP_FLAGS : DROP_NONE;
}

static enum drop_reason
header_check(const struct ipcomp_sa *is, const struct ipcomp_header *h, bool xt, uint32_t len)
{
	const struct ipcomp_params *p = &is->params;
	bool stored = p->stored && h->cpi == IPCOMP_CPI_STORED;
	enum drop_reason why = flags_check(p, h);

	if (why != DROP_NONE)
		return why;
	if ((h->cpi != p->cpi && !stored) || ipcomp_sa_is_off(is))
		return DROP_IPCOMP_CPI;
	if (h->next_header == IPPROTO_COMP)
		return DROP_IPCOMP_NESTED;
	if (xt && !ipcomp_xt_takes(h->next_header))
		return DROP_IPCOMP_XT_PROTO;
	return len <= IPCOMP_HEADER + (xt ? IPCOMP_XT_PORTS : 0u) ? DROP_IPCOMP_SHORT : DROP_NONE;
}

static uint32_t
room_for(const struct ipcomp_params *p, const struct ipcomp_input *in, uint32_t compressed)
{
	bool strict = p->xt || p->stored;
	uint32_t room =
		strict ? XT_RATIO_FREE + XT_RATIO * compressed : RATIO_FREE + RATIO * compressed;

	room = RTE_MIN(room, in->room);
	return RTE_MIN(room, p->max_output);
}

static enum drop_reason
verdict_of(enum codec_verdict v)
{
	return v == CODEC_OK	   ? DROP_NONE :
	       v == CODEC_FULL	   ? DROP_IPCOMP_BOMB :
	       v == CODEC_TRAILING ? DROP_IPCOMP_TRAILING :
				     DROP_IPCOMP_CORRUPT;
}

/* Bounded by what may come out, whatever goes in; and what came out counts, good or bad. */
static enum drop_reason
inflate_to(struct ipcomp_worker *iw, const struct ipcomp_sa *is, struct ipcomp_cell *cell,
	   const struct ipcomp_input *in, bool xt, struct ipcomp_output *out)
{
	uint32_t ports = xt ? IPCOMP_XT_PORTS : 0, n = 0;
	const uint8_t *stream = in->octets + IPCOMP_HEADER + ports;
	uint32_t len = in->len - IPCOMP_HEADER - ports, room = room_for(&is->params, in, len);
	enum codec_verdict v;

	if (!bucket_has(&cell->inflated, INFLATED_PER_MS, in->now))
		return DROP_IPCOMP_RATE;
	if (room <= ports)
		return DROP_IPCOMP_BOMB;
	memcpy(iw->out, in->octets + IPCOMP_HEADER, ports);
	v = iw->codec->inflate(iw->cw, stream, len, iw->out + ports, room - ports, &n);
	bucket_take(&cell->inflated, n);
	out->octets = iw->out;
	out->len = ports + n;
	return verdict_of(v);
}

enum drop_reason
ipcomp_open(struct ipcomp_worker *iw, const struct ipcomp_sa *is, struct ipcomp_cell *cell,
	    const struct ipcomp_input *in, struct ipcomp_output *out)
{
	struct ipcomp_header h;
	enum drop_reason why;
	bool xt;

	if (in->len < IPCOMP_HEADER)
		return DROP_IPCOMP_SHORT;
	h = ipcomp_header_read(in->octets);
	xt = is->params.xt && (h.flags & IPCOMP_FLAG_XT) != 0;
	why = header_check(is, &h, xt, in->len);
	if (why != DROP_NONE)
		return why;
	*out = (struct ipcomp_output) {
		.octets = in->octets + IPCOMP_HEADER,
		.len = in->len - IPCOMP_HEADER,
		.next_header = h.next_header,
		.stored = is->params.stored && h.cpi == IPCOMP_CPI_STORED,
	};
	if (!out->stored)
		why = inflate_to(iw, is, cell, in, xt, out);
	if (why != DROP_NONE)
		return why;
	ipcomp_count(iw, cell, out->stored ? IPCOMP_DECOMP_STORED : IPCOMP_DECOMP_OK, 1);
	if (!out->stored) {
		ipcomp_count(iw, cell, IPCOMP_DECOMP_IN_OCTETS, in->len);
		ipcomp_count(iw, cell, IPCOMP_DECOMP_OUT_OCTETS, out->len);
	}
	return DROP_NONE;
}
