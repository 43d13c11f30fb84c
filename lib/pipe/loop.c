#include "pipe/loop.h"

#include <time.h>

#include <rte_rcu_qsbr.h>

#include "base/clock.h"
#include "iptfs/iptfs_stage.h"
#include "pipe/engines.h"
#include "pipe/handoff.h"
#include "pipe/pipe.h"
#include "port/port_stage.h"
#include "worker/mailbox.h"
#include "worker/worker.h"

#define EMPTY_LOOPS_MAX 32 /* before a nap */
#define NAP_NS		50000

static void
nap(struct worker *w)
{
	const struct timespec time = { .tv_nsec = NAP_NS };

	rte_rcu_qsbr_thread_offline(w->qsbr, w->index);
	nanosleep(&time, NULL);
	rte_rcu_qsbr_thread_online(w->qsbr, w->index);
}

static void
look_around(struct worker *w)
{
	worker_look(w);
	w->view = __atomic_load_n(&w->next_view, __ATOMIC_ACQUIRE);
}

/* What another worker, or a device, gave: it is work, too, though no port gave it. */
static uint64_t
given(const struct worker *w)
{
	return w->handoff->taken + engines_through(w);
}

int
worker_main(void *arg)
{
	struct worker *w = arg;
	uint64_t taken = 0;
	uint32_t empty = 0;

	rte_rcu_qsbr_thread_online(w->qsbr, w->index);
	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		look_around(w);
		cell_add(&w->loops, 1);
		if (pipe_poll(w) > 0 || given(w) != taken) {
			cell_add(&w->busy_loops, 1);
			taken = given(w);
			empty = 0;
		} else {
			empty++;
		}
		port_flush(w);
		/* Nothing of the view is in hand now. */
		rte_rcu_qsbr_quiescent(w->qsbr, w->index);
		if (unlikely(w->sleepy) && empty > EMPTY_LOOPS_MAX && engines_held(w) == 0)
			nap(w);
	}
	rte_rcu_qsbr_thread_offline(w->qsbr, w->index);
	return 0;
}

/* The sources of what is inside already, in the worker's order. */
static bool
is_inside(const struct source *source)
{
	return source->poll == mailbox_poll || source->poll == handoff_rx ||
	       source->poll == port_ring || source->poll == iptfs_deliver ||
	       source->poll == iptfs_tick || source->poll == engine_poll;
}

int
worker_drain(struct worker *w)
{
	struct rte_mbuf *pkts[BURST_MAX];
	uint64_t before = given(w) + w->handoff->steps;
	uint32_t n = 0;

	look_around(w);
	for (uint16_t i = 0; i < w->n_sources; i++) {
		const struct source *source = &w->sources[i];
		uint16_t got = is_inside(source) ? source->poll(w, source->arg, pkts, w->burst) : 0;

		n += got;
		pipe_run(w, source->first, pkts, got);
	}
	port_flush(w);
	return n > 0 || given(w) + w->handoff->steps != before || engines_wait(w);
}
