#include "ctl/mss.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggfrag/fill.h"
#include "base/clock.h"

#define MSS_PERIOD (NS_PER_SECOND / 10)
#define MSS_SOME   4096 /* inbound SAs at one tick */

/* An outbound SA by its ends. */
struct mss_out {
	struct addr here, there;
	uint32_t sa;
};

struct mss_in {
	uint32_t sa;
	uint32_t first, n; /* of outs */
};

struct mss {
	uint64_t began;
	uint32_t next; /* of ins */
	uint32_t n_ins, n_outs;
	struct mss_in *ins;
	struct mss_out *outs; /* sorted */
};

static int
ends_compare(const void *a, const void *b)
{
	const struct mss_out *x = a, *y = b;
	int rc = memcmp(&x->here, &y->here, sizeof(x->here));

	return rc != 0 ? rc : memcmp(&x->there, &y->there, sizeof(x->there));
}

static void
outs_fill(struct mss *mss, const struct gw *gw)
{
	for (uint32_t i = 0; i < gw->conf->n_sas; i++) {
		const struct conf_sa *c = &gw->conf->sas[i];

		if (c->direction == CONF_OUT)
			mss->outs[mss->n_outs++] =
				(struct mss_out) { c->src, c->dst, gw->sa_books[i].index };
	}
	qsort(mss->outs, mss->n_outs, sizeof(mss->outs[0]), ends_compare);
}

/* The first of the outbound SAs that are not before these ends. */
static uint32_t
outs_find(const struct mss *mss, const struct mss_out *want)
{
	uint32_t low = 0, high = mss->n_outs;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (ends_compare(&mss->outs[mid], want) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
ins_fill(struct mss *mss, const struct gw *gw)
{
	for (uint32_t i = 0; i < gw->conf->n_sas; i++) {
		const struct conf_sa *c = &gw->conf->sas[i];
		struct mss_out want = { c->dst, c->src, 0 };
		uint32_t first, end;

		if (c->direction != CONF_IN || !c->mss_clamp)
			continue;
		first = end = outs_find(mss, &want);
		while (end < mss->n_outs && ends_compare(&mss->outs[end], &want) == 0)
			end++;
		mss->ins[mss->n_ins++] =
			(struct mss_in) { gw->sa_books[i].index, first, end - first };
	}
}

/* The largest packet that a tunnel takes in one: of IP-TFS, which cuts larger ones, any. */
static uint16_t
takes(const struct sa *sa)
{
	uint16_t mtu = __atomic_load_n(&sa->mtu, __ATOMIC_RELAXED);

	return (sa->flags & SA_IPTFS) != 0 ? aggfrag_takes(&sa_more(sa)->iptfs, mtu) : mtu;
}

/* Without an outbound SA there is nothing to lower to: 0. */
static void
in_set(struct gw *gw, const struct mss *mss, const struct mss_in *in)
{
	uint16_t least = 0;

	for (uint32_t i = 0; i < in->n; i++) {
		const struct sa *out = sa_at(&gw->sas, mss->outs[in->first + i].sa);

		least = least == 0 ? takes(out) : RTE_MIN(least, takes(out));
	}
	__atomic_store_n(&sa_at(&gw->sas, in->sa)->mtu, least, __ATOMIC_RELAXED);
}

int
mss_renew(struct gw *gw, struct err *err)
{
	const struct conf *c = gw->conf;
	uint32_t n_in = 0, n_out = 0;
	struct mss *mss;

	mss_free(gw);
	for (uint32_t i = 0; i < c->n_sas; i++) {
		n_in += c->sas[i].direction == CONF_IN && c->sas[i].mss_clamp;
		n_out += c->sas[i].direction == CONF_OUT;
	}
	if (n_in == 0)
		return 0;
	mss = calloc(1, sizeof(*mss));
	gw->mss = mss;
	if (mss != NULL) {
		mss->ins = calloc(n_in, sizeof(mss->ins[0]));
		mss->outs = calloc(n_out + 1, sizeof(mss->outs[0]));
	}
	if (mss == NULL || mss->ins == NULL || mss->outs == NULL) {
		mss_free(gw);
		return err_set(err, -ENOMEM, "no memory for mss_clamp of %u SAs", n_in);
	}
	outs_fill(mss, gw);
	ins_fill(mss, gw);
	for (uint32_t i = 0; i < mss->n_ins; i++)
		in_set(gw, mss, &mss->ins[i]);
	return 0;
}

void
mss_free(struct gw *gw)
{
	if (gw->mss == NULL)
		return;
	free(gw->mss->ins);
	free(gw->mss->outs);
	free(gw->mss);
	gw->mss = NULL;
}

void
mss_tick(struct gw *gw, uint64_t now)
{
	struct mss *mss = gw->mss;
	uint32_t end;

	if (mss == NULL || (mss->next == 0 && now - mss->began < MSS_PERIOD))
		return;
	if (mss->next == 0)
		mss->began = now;
	end = RTE_MIN(mss->next + MSS_SOME, mss->n_ins);
	for (uint32_t i = mss->next; i < end; i++)
		in_set(gw, mss, &mss->ins[i]);
	mss->next = end < mss->n_ins ? end : 0;
}
