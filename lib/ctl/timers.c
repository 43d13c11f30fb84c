#include "ctl/timers.h"

#include <errno.h>
#include <stdlib.h>

#include "ctl/log.h"
#include "esp/made.h"
#include "pipe/pipe.h"
#include "seq/seq.h"
#include "worker/mailbox.h"

#define MAIL_DUMMIES_MAX 4096 /* what one mail may keep a worker busy with */

static bool
sends_dummies(const struct conf_sa *c)
{
	return c->direction == CONF_OUT && c->mode == CONF_TUNNEL && c->tfc.dummy_rate != 0;
}

int
timers_renew(struct gw *gw, struct err *err)
{
	const struct conf *conf = gw->conf;
	uint32_t n = 0, *list;

	for (uint32_t i = 0; i < conf->n_sas; i++)
		n += sends_dummies(&conf->sas[i]);
	/* The old list speaks of other SAs. */
	timers_free(gw);
	list = calloc(n + 1, sizeof(list[0]));
	if (list == NULL)
		return err_set(err, -ENOMEM, "no memory for the timers of %u SAs", n);
	n = 0;
	for (uint32_t i = 0; i < conf->n_sas; i++)
		if (sends_dummies(&conf->sas[i]))
			list[n++] = gw->sa_books[i].index;
	gw->dummies = list;
	gw->n_dummies = n;
	return 0;
}

void
timers_free(struct gw *gw)
{
	free(gw->dummies);
	gw->dummies = NULL;
	gw->n_dummies = 0;
}

/* An SA is destroyed only when all mail posted before is run, so its index is enough. */
static int
post(struct gw *gw, uint32_t index, uint32_t n, void (*run)(struct worker *w, void *arg))
{
	const struct sa *sa = sa_at(&gw->sas, index);
	uint64_t what = (uint64_t)n << 32 | index;

	/* It has none that may write its lane: the next look finds the new one. */
	if (sa_is_moving(sa))
		return -EBUSY;
	return mailbox_post(gw->workers[sa_owner(sa)],
			    (struct mail) { run, (void *)(uintptr_t)what });
}

static void
dummies_send(struct worker *w, void *arg)
{
	uint32_t index = (uint32_t)(uintptr_t)arg, n = (uint64_t)(uintptr_t)arg >> 32;
	struct rte_mbuf *pkts[BURST_MAX];

	while (n > 0) {
		uint16_t made = esp_dummies_make(w, index, pkts, RTE_MIN(n, w->burst));

		if (made == 0)
			return;
		pipe_run(w, STAGE_LIFE_COUNT_OUT, pkts, made);
		n -= made;
	}
}

static void
keepalive_send(struct worker *w, void *arg)
{
	struct rte_mbuf *m = esp_keepalive_make(w, (uint32_t)(uintptr_t)arg);

	if (m != NULL)
		pipe_run(w, STAGE_NEIGH_WRITE_OUT, &m, 1);
}

static void
dummies_due(struct gw *gw, uint32_t index, uint64_t now)
{
	struct sa_cold *cold = sa_cold(&gw->sas, index);
	uint64_t from = RTE_MAX(cold->dummies_until, cold->created), due;
	uint64_t rate = cold->dummy_rate;

	/* Control was away: what it missed is not made up for at once. */
	if (now - from > NS_PER_SECOND)
		from = now - NS_PER_SECOND;
	due = (now - from) * rate / NS_PER_SECOND;
	if (due > MAIL_DUMMIES_MAX) {
		due = MAIL_DUMMIES_MAX;
		from = now - due * NS_PER_SECOND / rate;
	}
	if (due > 0 && post(gw, index, (uint32_t)due, dummies_send) == 0)
		cold->dummies_until = from + due * NS_PER_SECOND / rate;
}

void
timers_dummies(struct gw *gw, uint64_t now)
{
	for (uint32_t i = 0; gw->running && i < gw->n_dummies; i++)
		if (sa_at(&gw->sas, gw->dummies[i])->state == SA_LIVE)
			dummies_due(gw, gw->dummies[i], now);
}

void
timers_keepalive(struct gw *gw, uint32_t index, uint64_t now)
{
	struct sa_cold *cold = sa_cold(&gw->sas, index);
	uint64_t quiet_since = RTE_MAX(cold->last_used, cold->kept_alive);

	quiet_since = RTE_MAX(quiet_since, cold->created);
	if (gw->running && cold->keepalive_ms != 0 &&
	    now - quiet_since >= cold->keepalive_ms * UINT64_C(1000000) &&
	    sa_at(&gw->sas, index)->state == SA_LIVE && post(gw, index, 0, keepalive_send) == 0)
		cold->kept_alive = now;
}
