#include "ipcomp/ipcomp.h"

#include <errno.h>

#include <rte_malloc.h>

const struct ipcomp_name ipcomp_names[IPCOMP_COUNTS_MAX] = {
#define X(id, name, help) [IPCOMP_##id] = { name, help },
	IPCOMP_COUNTS(X)
#undef X
};

int
ipcomp_sa_create(const struct ipcomp_params *p, struct ipcomp_sa **out, struct err *err)
{
	size_t size = sizeof(**out) + p->n_cells * sizeof((*out)->cells[0]);
	struct ipcomp_sa *is = rte_zmalloc("ipcomp", size, RTE_CACHE_LINE_SIZE);

	*out = is;
	if (is == NULL)
		return err_set(err, -ENOMEM, "no memory for IPComp");
	is->params = *p;
	return 0;
}

void
ipcomp_sa_free(struct ipcomp_sa *is)
{
	rte_free(is);
}

uint64_t
ipcomp_sa_count(const struct ipcomp_sa *is, enum ipcomp_count what)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < is->params.n_cells; i++)
		sum += cell_get(&is->cells[i].counts[what]);
	return sum;
}

static const struct codec *
codec_pick(const struct codec *const *codecs, uint16_t n)
{
	struct err why;

	for (uint16_t i = 0; i < n; i++)
		if (codecs[i]->serves(&why) == 0)
			return codecs[i];
	return NULL;
}

int
ipcomp_worker_init(const struct codec *const *codecs, uint16_t n, int socket,
		   struct ipcomp_worker **out, struct err *err)
{
	const struct codec *codec = codec_pick(codecs, n);
	struct ipcomp_worker *iw;
	int rc;

	*out = NULL;
	if (codec == NULL)
		return 0;
	iw = rte_zmalloc_socket("ipcomp", sizeof(*iw), RTE_CACHE_LINE_SIZE, socket);
	if (iw == NULL)
		return err_set(err, -ENOMEM, "no memory for IPComp");
	iw->codec = codec;
	rc = codec->worker_init(IPCOMP_HIST_BITS, socket, &iw->cw, err);
	if (rc < 0) {
		rte_free(iw);
		return rc;
	}
	*out = iw;
	return 0;
}

void
ipcomp_worker_fini(struct ipcomp_worker *iw)
{
	if (iw == NULL)
		return;
	iw->codec->worker_fini(iw->cw);
	rte_free(iw);
}

bool
ipcomp_xt_takes(uint8_t proto)
{
	/* TCP, UDP, DCCP, SCTP, UDP-Lite */
	return proto == 6 || proto == 17 || proto == 33 || proto == 132 || proto == 136;
}
