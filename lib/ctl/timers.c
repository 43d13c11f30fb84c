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
	return c->direction == CONF_OUT && c->mode != CONF_TRANSPORT && c->tfc.dummy_rate != 0;
}

int
timers_renew(struct gw *gw, struct err *err)
{
	const struct conf *conf = gw->conf;
	uint32_t n = 0, *list;

	for (uint32_t i = 0; i < conf->n_sas; i++)
		n += sends_dummies(&conf->sas[i]);
	/* The old list speaks of other books. */
	timers_free(gw);
	list = calloc(n + 1, sizeof(list[0]));
	if (list == NULL)
		return err_set(err, -ENOMEM, "no memory for the timers of %u SAs", n);
	n = 0;
	for (uint32_t i = 0; i < conf->n_sas; i++)
		if (sends_dummies(&conf->sas[i]))
			list[n++] = i;
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
post(struct gw *gw, const struct sa_book *book, uint32_t n,
     void (*run)(struct worker *w, void *arg))
{
	const struct sa *sa = sa_at(&gw->sas, book->index);
	uint64_t what = (uint64_t)n << 32 | book->index;

	return mailbox_post(gw->workers[sa->owner], (struct mail) { run, (void *)(uintptr_t)what });
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

/* What a book says of an SA, or of one before it in the same place. */
static uint64_t
quiet_since(const struct gw *gw, const struct sa_book *book, uint64_t at)
{
	return RTE_MAX(at, sa_cold(&gw->sas, book->index)->created);
}

static void
dummies_due(struct gw *gw, struct sa_book *book, uint32_t rate, uint64_t now)
{
	uint64_t from = quiet_since(gw, book, book->dummies_at), due;

	/* Control was away: what it missed is not made up for at once. */
	if (now - from > NS_PER_SECOND)
		from = now - NS_PER_SECOND;
	due = (now - from) * rate / NS_PER_SECOND;
	if (due > MAIL_DUMMIES_MAX) {
		due = MAIL_DUMMIES_MAX;
		from = now - due * NS_PER_SECOND / rate;
	}
	if (due > 0 && post(gw, book, (uint32_t)due, dummies_send) == 0)
		book->dummies_at = from + due * NS_PER_SECOND / rate;
}

void
timers_dummies(struct gw *gw, uint64_t now)
{
	for (uint32_t i = 0; gw->running && i < gw->n_dummies; i++) {
		uint32_t at = gw->dummies[i];
		struct sa_book *book = &gw->sa_books[at];

		if (sa_at(&gw->sas, book->index)->state == SA_LIVE)
			dummies_due(gw, book, gw->conf->sas[at].tfc.dummy_rate, now);
	}
}

void
timers_keepalive(struct gw *gw, uint32_t at, uint64_t now)
{
	const struct conf_sa *c = &gw->conf->sas[at];
	struct sa_book *book = &gw->sa_books[at];
	const struct sa *sa = sa_at(&gw->sas, book->index);
	uint64_t packets;

	if (!gw->running || c->direction != CONF_OUT || !c->encap.on || c->encap.keepalive_us == 0)
		return;
	packets = cell_get(&sa->lane->packets);
	if (packets != book->sent) {
		book->sent = packets;
		book->sent_at = now;
	} else if (now - quiet_since(gw, book, book->sent_at) >= c->encap.keepalive_us * 1000 &&
		   sa->state == SA_LIVE && post(gw, book, 0, keepalive_send) == 0) {
		book->sent_at = now;
	}
}
