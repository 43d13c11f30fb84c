#include "aggfrag/aggfrag.h"

#include <errno.h>

#include <rte_malloc.h>

#include "aggfrag/cc.h"
#include "aggfrag/fill.h"
#include "aggfrag/split.h"

const struct aggfrag_name aggfrag_out_names[AGGFRAG_TX_MAX] = {
#define X(id, name, help) [AGGFRAG_TX_##id] = { name, help },
	AGGFRAG_OUT_COUNTS(X)
#undef X
};

const struct aggfrag_name aggfrag_in_names[AGGFRAG_RX_MAX] = {
#define X(id, name, help) [AGGFRAG_RX_##id] = { name, help },
	AGGFRAG_IN_COUNTS(X)
#undef X
};

/* n streams of `size` octets each, and the params behind them. */
static void *
streams_make(const struct aggfrag_params *params, uint16_t n, size_t size,
	     struct aggfrag_params **copy, struct err *err)
{
	uint8_t *streams = rte_zmalloc("aggfrag", n * size + sizeof(*params), RTE_CACHE_LINE_SIZE);

	if (streams == NULL) {
		err_set(err, -ENOMEM, "no memory for %u streams of IP-TFS", n);
		return NULL;
	}
	*copy = (struct aggfrag_params *)(streams + n * size);
	**copy = *params;
	return streams;
}

/* What a single lane may have, if not now then later. */
static int
cc_make(struct aggfrag_out **out, struct err *err)
{
	(*out)->cc = rte_zmalloc("aggfrag_cc", sizeof(struct aggfrag_cc), RTE_CACHE_LINE_SIZE);
	if ((*out)->cc != NULL)
		return 0;
	aggfrag_out_free(*out);
	*out = NULL;
	return err_set(err, -ENOMEM, "no memory for the congestion control of IP-TFS");
}

int
aggfrag_out_create(const struct aggfrag_params *params, uint16_t n, uint64_t start,
		   struct aggfrag_out **out, struct err *err)
{
	struct aggfrag_params *copy;

	*out = streams_make(params, n, sizeof(**out), &copy, err);
	if (*out == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < n; i++) {
		(*out)[i].params = copy;
		(*out)[i].lane = i;
		(*out)[i].lanes = n;
		(*out)[i].start = start;
	}
	return n == 1 ? cc_make(out, err) : 0;
}

void
aggfrag_out_free(struct aggfrag_out *streams)
{
	if (streams != NULL) {
		aggfrag_link_give(streams[0].link);
		rte_free(streams[0].cc);
	}
	rte_free(streams);
}

/* The windows of n streams, in one piece of memory. */
static int
slots_make(struct aggfrag_in *in, uint16_t n, struct err *err)
{
	uint32_t size = RTE_MAX(rte_align32pow2(in[0].params->reorder_window + 1u), 64u);
	size_t words = size / 64, each = size * sizeof(in[0].slots[0]) + words * sizeof(uint64_t);
	uint8_t *at = rte_zmalloc("aggfrag", n * each, RTE_CACHE_LINE_SIZE);

	if (at == NULL)
		return err_set(err, -ENOMEM,
			       "no memory for %u reorder windows of %u payloads: give the EAL "
			       "more, or set iptfs.reorder_window lower",
			       n, size);
	for (uint16_t i = 0; i < n; i++, at += each) {
		in[i].mask = size - 1;
		in[i].slots = (struct aggfrag_slot *)at;
		in[i].used = (uint64_t *)(at + size * sizeof(in[0].slots[0]));
	}
	return 0;
}

int
aggfrag_in_create(const struct aggfrag_params *params, uint16_t n, struct aggfrag_in **in,
		  struct err *err)
{
	struct aggfrag_params *copy;
	int rc;

	*in = streams_make(params, n, sizeof(**in), &copy, err);
	if (*in == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < n; i++) {
		(*in)[i].params = copy;
		(*in)[i].lane = i;
	}
	rc = slots_make(*in, n, err);
	if (rc < 0) {
		rte_free(*in);
		*in = NULL;
	}
	return rc;
}

void
aggfrag_in_free(struct aggfrag_in *streams)
{
	if (streams != NULL) {
		aggfrag_link_give(streams[0].link);
		rte_free(streams[0].slots);
	}
	rte_free(streams);
}
