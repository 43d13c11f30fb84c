/* Mail to all workers. */
#include <errno.h>

#include "ctl/gw.h"
#include "ctl/log.h"
#include "worker/mailbox.h"

bool
gw_mail_all(struct gw *gw, void (*run)(struct worker *w, void *arg), void *arg)
{
	bool taken = true;

	for (uint16_t i = 0; i < gw->n_workers; i++) {
		if (gw->running)
			taken &= mailbox_post(gw->workers[i], (struct mail) { run, arg }) == 0;
		else
			run(gw->workers[i], arg);
	}
	return taken;
}

static void
again(void *ctx, void *obj)
{
	gw_mail_surely(ctx, (void (*)(struct worker *, void *))(uintptr_t)obj);
}

void
gw_mail_surely(struct gw *gw, void (*run)(struct worker *w, void *gw))
{
	if (!gw_mail_all(gw, run, gw) &&
	    defer_give(&gw->defer, 0, again, gw, (void *)(uintptr_t)run) < 0)
		GW_LOG(ERR, "no memory to mail the workers again\n");
}

static void
pause_run(struct worker *w, void *arg)
{
	const struct gw *gw = arg;

	if (__atomic_load_n(&gw->paused, __ATOMIC_RELAXED))
		w->paused |= PAUSED_BY_CONTROL;
	else
		w->paused &= (uint8_t)~PAUSED_BY_CONTROL;
}

void
gw_pause(struct gw *gw, bool pause)
{
	__atomic_store_n(&gw->paused, pause, __ATOMIC_RELAXED);
	gw_mail_surely(gw, pause_run);
}
