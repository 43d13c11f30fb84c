#include "ctl/gw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_rcu_qsbr.h>

#include "ah/ah.h"
#include "ctl/counts.h"
#include "ctl/frags.h"
#include "ctl/egress.h"
#include "ctl/engines.h"
#include "ctl/kernel.h"
#include "ctl/links.h"
#include "ctl/log.h"
#include "ctl/mirrors.h"
#include "ctl/mss.h"
#include "ctl/offloads.h"
#include "ctl/paths.h"
#include "ctl/pin.h"
#include "ctl/policies.h"
#include "ctl/ports.h"
#include "ctl/reserve.h"
#include "ctl/sas.h"
#include "ctl/sets.h"
#include "ctl/timers.h"
#include "ctl/view.h"
#include "esp/esp.h"
#include "frag/reasm.h"
#include "hold/hold.h"
#include "icmp/icmp.h"
#include "ipcomp/ipcomp.h"
#include "iptfs/iptfs.h"
#include "mirror/mirror.h"
#include "numbers/numbers.h"
#include "replay/stock.h"
#include "pipe/engines.h"
#include "pipe/handoff.h"
#include "pipe/loop.h"
#include "pipe/stages.h"
#include "port/port.h"
#include "punt/punt.h"
#include "route/route.h"
#include "sad/sad.h"
#include "spd/spd.h"
#include "worker/mailbox.h"

#define START_WAIT_MS 30000 /* for the disk that the state file is on */

RTE_LOG_REGISTER(gw_logtype, espgw, NOTICE);

/* With very many SAs there are as many flows: one that its cache does not know costs a packet
 * several lines of far memory. 0: the standard.
 */
static uint32_t
flows_for(uint32_t max_sas)
{
	return max_sas <= SPD_FLOWS_V4 ? 0 : rte_align32pow2(2 * RTE_MIN(max_sas, 1u << 21));
}

static int
worker_make(struct gw *gw, uint16_t index, uint16_t lcore, struct err *err)
{
	const struct conf_gateway *c = &gw->conf->gateway;
	int socket = rte_lcore_to_socket_id(lcore);
	struct worker *w = rte_zmalloc_socket("worker", sizeof(*w), RTE_CACHE_LINE_SIZE, socket);
	int rc;

	if (w == NULL)
		return err_set(err, -ENOMEM, "no memory for worker %u", index);
	gw->workers[gw->n_workers++] = w;
	w->index = index;
	w->lcore = lcore;
	w->socket = socket;
	w->burst = gw->options.burst != 0 ? gw->options.burst : c->burst;
	w->clock = &gw->clock;
	w->sleepy = c->idle == CONF_IDLE_SLEEP;
	w->pipe = &gw->pipe;
	/* Workers start far apart: two that number packets of one address pair meet late. */
	w->ipv4_id = (uint16_t)(index << 10);
	w->ipv6_id = (uint32_t)rte_rand();
	w->sparse = rte_zmalloc_socket("drops", sizeof(*w->sparse), RTE_CACHE_LINE_SIZE, socket);
	if (w->sparse == NULL)
		return err_set(err, -ENOMEM, "no memory for the drop cells of worker %u", index);
	rc = mailbox_init(w, err);
	if (rc == 0)
		rc = hold_init(w, err);
	if (rc == 0)
		rc = iptfs_worker_init(w, err);
	if (rc == 0)
		rc = esp_worker_init(socket, &w->esp, err);
	if (rc == 0)
		rc = ah_worker_init(socket, &w->ah, err);
	if (rc == 0)
		rc = spd_worker_init(flows_for(c->max_sas), 0, socket, &w->spd, err);
	if (rc == 0)
		rc = icmp_worker_init(NULL, socket, &w->icmp, err);
	if (rc == 0)
		rc = punt_worker_init(index, socket, &w->punt, err);
	if (rc == 0)
		rc = ipcomp_worker_init(gw->options.codecs, gw->options.n_codecs, socket,
					&w->ipcomp, err);
	return rc;
}

static void
worker_free(struct worker *w)
{
	ipcomp_worker_fini(w->ipcomp);
	punt_worker_fini(w->punt);
	icmp_worker_fini(w->icmp);
	spd_worker_fini(w->spd);
	ah_worker_fini(w->ah);
	esp_worker_fini(w->esp);
	hold_fini(w);
	iptfs_worker_fini(w);
	mailbox_fini(w);
	rte_free(w->sparse);
	rte_free(w);
}

static int
workers_init(struct gw *gw, struct err *err)
{
	unsigned int lcore;
	int rc;

	if (rte_lcore_count() < 2)
		return err_set(err, -EINVAL,
			       "one lcore is not enough: control takes the main one, each other "
			       "one is a worker "
			       "(-l 0,1)");
	if (rte_lcore_count() - 1 > WORKERS_MAX)
		return err_set(err, -EINVAL, "%u workers: at most %d", rte_lcore_count() - 1,
			       WORKERS_MAX);
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		rc = worker_make(gw, gw->n_workers, lcore, err);
		if (rc < 0)
			return rc;
	}
	for (uint16_t i = 0; i < gw->n_workers; i++)
		gw->workers[i]->n_workers = gw->n_workers;
	return handoff_init(gw->workers, gw->n_workers, err);
}

static void
workers_fini(struct gw *gw)
{
	handoff_fini(gw->workers, gw->n_workers);
	while (gw->n_workers > 0)
		worker_free(gw->workers[--gw->n_workers]);
	free(gw->cleared);
	gw->cleared = NULL;
}

static int
rcu_init(struct gw *gw, struct err *err)
{
	size_t size = rte_rcu_qsbr_get_memsize(WORKERS_MAX);

	gw->qsbr = rte_zmalloc("rcu", size, RTE_CACHE_LINE_SIZE);
	if (gw->qsbr == NULL || rte_rcu_qsbr_init(gw->qsbr, WORKERS_MAX) != 0)
		return err_set(err, -ENOMEM, "no memory for RCU");
	defer_init(&gw->defer, gw->qsbr, gw->workers, 0);
	return 0;
}

static void
rcu_fini(struct gw *gw)
{
	defer_poll(&gw->defer, 0, true);
	rte_free(gw->qsbr);
	gw->qsbr = NULL;
}

static void
free_call_run(void *ctx, void *obj)
{
	void (*fn)(void *) = (void (*)(void *))(uintptr_t)ctx;

	fn(obj);
}

void
gw_defer_free(void *ctx, void (*fn)(void *obj), void *obj)
{
	struct gw *gw = ctx;

	if (defer_give(&gw->defer, 0, free_call_run, (void *)(uintptr_t)fn, obj) < 0)
		GW_LOG(ERR, "no memory to free a table: it stays until the end\n");
}

static struct replay *
window_make(void *ctx, uint32_t window)
{
	return numbers_window(ctx, window);
}

static void
window_free(void *ctx, struct replay *window)
{
	numbers_window_free(ctx, window);
}

static int
tables_init(struct gw *gw, struct err *err)
{
	const struct conf_gateway *c = &gw->conf->gateway;
	struct spd_params spd = {
		.max_policies = RTE_MAX(2 * c->max_sas, 4 * gw->conf->n_policies + 64),
		.socket = rte_socket_id(),
		.defer = gw_defer_free,
		.defer_ctx = gw,
	};
	const struct numbers_params numbers = {
		.max_sas = c->max_sas,
		.max_kept = NUMBERS_KEPT_MAX,
		.n_workers = gw->n_workers,
		.socket = rte_socket_id(),
		.reserved = gw->reserve != NULL,
		.secret = reserve_secret(gw),
	};
	int rc;

	rc = sa_table_init(&gw->sas, c->max_sas, rte_socket_id(), err);
	if (rc == 0)
		slab_asked(&gw->sas.records, gw_defer_free, gw);
	if (rc == 0)
		rc = numbers_create(&numbers, &gw->numbers, err);
	if (rc == 0)
		rc = stocks_create(gw->n_workers, rte_socket_id(),
				   &(struct stock_source) { window_make, window_free, gw->numbers },
				   &gw->stocks, err);
	for (uint16_t i = 0; i < gw->n_workers && rc == 0; i++)
		gw->workers[i]->stock = stocks_of(gw->stocks, i);
	if (rc == 0)
		rc = sad_create(&gw->sas, c->max_sas, rte_socket_id(), gw->qsbr, &gw->sad, err);
	if (rc == 0)
		rc = spd_create(&spd, &gw->spd, err);
	return rc;
}

static void
tables_fini(struct gw *gw)
{
	spd_free(gw->spd);
	sad_free(gw->sad);
	stocks_free(gw->stocks);
	numbers_free(gw->numbers);
	sa_table_fini(&gw->sas);
}

/* Static keys start their numbers again with every run: the same numbers under the same key, which
 * counter modes do not survive (RFC 4106 section 2).
 */
static void
laboratory_warn(const struct conf *c)
{
	if (c->gateway.state_file[0] != 0)
		return;
	for (uint32_t i = 0; i < c->n_sas; i++)
		if (c->sas[i].direction == CONF_OUT && algs[c->sas[i].suite.cipher].counter_mode)
			GW_LOG(WARNING,
			       "SA %s: a static key of a counter mode: its numbers start again "
			       "with "
			       "each run, so give it a new key for each; for laboratories only\n",
			       c->sas[i].name);
}

static int
policy_init(struct gw *gw, struct err *err)
{
	const struct conf *c = gw->conf;
	int rc = 0;

	laboratory_warn(c);
	gw->sa_books = calloc(c->n_sas + 1, sizeof(gw->sa_books[0]));
	gw->policy_books = calloc(c->n_policies + 1, sizeof(gw->policy_books[0]));
	for (uint32_t i = 0; gw->sa_books != NULL && i < c->n_sas; i++)
		gw->sa_books[i] = (struct sa_book) { .index = SA_NONE };
	if (gw->sa_books == NULL || gw->policy_books == NULL)
		return err_set(err, -ENOMEM, "no memory for %u SAs and %u policies", c->n_sas,
			       c->n_policies);
	rc = sets_check(gw, c, err);
	if (rc == 0)
		rc = sets_group(gw, c, NULL, gw->sa_books, err);
	for (uint32_t i = 0; i < c->n_sas && rc == 0; i++) {
		rc = sa_make(gw, &c->sas[i],
			     &(struct sa_origin) { SA_FROM_FILE, i, gw->sa_books[i].group },
			     SA_NONE, &gw->sa_books[i].index, err);
		if (rc == 0)
			rc = sa_publish(gw, gw->sa_books[i].index, SA_NONE, err);
	}
	if (rc == 0)
		rc = sets_make(gw, c, gw->sa_books, &gw->choices, err);
	if (rc == 0)
		rc = policies_add_all(gw, c, gw->sa_books, gw->choices, gw->policy_books, err);
	if (rc == 0)
		rc = reserve_wait(gw, START_WAIT_MS, err);
	if (rc < 0)
		return rc;
	spd_commit(gw->spd);
	links_all(gw);
	rc = timers_renew(gw, err);
	if (rc == 0)
		rc = mss_renew(gw, err);
	if (rc < 0)
		return rc;
	return spd_maintain(gw->spd, true, err) < 0 ? -ENOMEM : 0;
}

static void
policy_fini(struct gw *gw)
{
	for (uint32_t i = 0; gw->sa_books != NULL && i < gw->conf->n_sas; i++)
		if (gw->sa_books[i].index != SA_NONE)
			sa_unmake(gw, gw->sa_books[i].index);
	sets_end(gw, gw->choices, gw->conf->n_sets);
	gw->choices = NULL;
	defer_poll(&gw->defer, 0, true);
	timers_free(gw);
	mss_free(gw);
	free(gw->sa_books);
	free(gw->policy_books);
	gw->sa_books = NULL;
	gw->policy_books = NULL;
}

/* gateway.acquire in one word, for a mail. */
static uintptr_t
hold_word(const struct conf *c)
{
	uint64_t max = c->gateway.acquire.action == CONF_ACQUIRE_HOLD ? c->gateway.acquire.hold : 0;

	return max << 32 | c->gateway.acquire.rate;
}

static void
hold_run(struct worker *w, void *arg)
{
	uint64_t word = (uintptr_t)arg;

	hold_set(w, word >> 32, (uint32_t)word);
}

/* Rows that are there for SAs of a kind. */
#define STAGES_OF_IPTFS (UINT64_C(1) << STAGE_IPTFS_FILL | UINT64_C(1) << STAGE_IPTFS_SPLIT)
#define STAGES_OF_SAS                                                            \
	(UINT64_C(1) << STAGE_IPCOMP_ENCAP | UINT64_C(1) << STAGE_IPCOMP_DECAP | \
	 UINT64_C(1) << STAGE_UDP_ENCAP | STAGES_OF_IPTFS)

void
gw_need_stage(struct gw *gw, enum stage_id stage)
{
	uint64_t bit = UINT64_C(1) << stage;

	if ((gw->stages & bit) != 0)
		return;
	gw->stages |= bit;
	if (gw->defer.n_workers > 0)
		pipe_add(&gw->pipe, stage_rows, stage);
	if (gw->defer.n_workers > 0 && (bit & STAGES_OF_IPTFS) != 0)
		gw_mail_surely(gw, iptfs_run);
}

/* Rows of features that this configuration does not use. Those of SAs come with the first SA; a
 * reload adds no other: it is decided once. */
static int
pipe_init(struct gw *gw, struct err *err)
{
	uint64_t absent = STAGES_OF_SAS & ~gw->stages;

	if (gw->n_workers == 1)
		absent |= UINT64_C(1) << STAGE_HANDOFF_OUT | UINT64_C(1) << STAGE_HANDOFF_IN |
			  UINT64_C(1) << STAGE_HANDOFF_FRAG;
	if (gw->mirrors == NULL)
		absent |= UINT64_C(1) << STAGE_LOCAL_DELIVER | UINT64_C(1) << STAGE_CLASSIFY_OWN;
	absent |= engines_absent(gw->workers[0]);
	pipe_build(&gw->pipe, stage_rows, absent);
	for (uint16_t i = 0; i < gw->n_workers; i++) {
		struct worker *w = gw->workers[i];
		int rc;

		w->qsbr = gw->qsbr;
		w->patience = gw->clock.kind == CLOCK_STAMPS ? UINT64_MAX : WORKER_PATIENCE_NS;
		rte_rcu_qsbr_thread_register(gw->qsbr, i);
		w->sources[w->n_sources++] = (struct source) { .name = "mailbox",
							       .poll = mailbox_poll,
							       .first = STAGE_PORT_TX };
		if (gw->n_workers > 1)
			w->sources[w->n_sources++] = (struct source) { .name = "handoff_rx",
								       .poll = handoff_rx,
								       .first = STAGE_PORT_TX };
		w->sources[w->n_sources++] = (struct source) { .name = "reasm_expire",
							       .poll = frag_expire,
							       .first = STAGE_PORT_TX };
		if (gw->mirrors != NULL)
			w->sources[w->n_sources++] = (struct source) {
				.name = "inject_rx", .poll = inject_rx, .first = STAGE_CLASSIFY_OWN
			};
		rc = port_attach(gw->ports, w, err);
		if (rc < 0)
			return rc;
		engines_sources_add(w);
		hold_run(w, (void *)hold_word(gw->conf));
		if ((gw->stages & STAGES_OF_IPTFS) != 0)
			iptfs_run(w, NULL);
	}
	gw->defer.n_workers = gw->n_workers;
	return 0;
}

static void
pipe_fini(struct gw *gw)
{
	gw->defer.n_workers = 0;
}

static int
run_init(struct gw *gw, struct err *err)
{
	int rc = ports_start(gw, err);

	if (rc < 0)
		return rc;
	gw->running = true;
	for (uint16_t i = 0; i < gw->n_workers; i++)
		rte_eal_remote_launch(worker_main, gw->workers[i], gw->workers[i]->lcore);
	mirrors_run(gw->mirrors, true);
	return 0;
}

/* What devices that answer no more have is given back when they are stopped. */
static void
devices_drain(struct gw *gw)
{
	uint32_t held = 0;

	for (uint16_t i = 0; i < gw->n_workers; i++)
		held += engines_held(gw->workers[i]);
	if (held == 0)
		return;
	engines_close(gw);
	for (uint16_t i = 0; i < gw->n_workers; i++)
		engines_drop(gw->workers[i]);
}

static void
drain(struct gw *gw)
{
	int given;

	for (uint16_t i = 0; i < gw->n_workers; i++)
		iptfs_ending(gw->workers[i]);
	do {
		given = 0;
		for (uint16_t i = 0; i < gw->n_workers; i++)
			given |= worker_drain(gw->workers[i]);
	} while (given);
	devices_drain(gw);
	frags_drain(gw);
	for (uint16_t i = 0; i < gw->n_workers; i++) {
		hold_drop(gw->workers[i], DROP_STOPPED);
		iptfs_drop(gw->workers[i], DROP_STOPPED);
		handoff_drop_parked(gw->workers[i]);
		port_drop_held(gw->workers[i]);
	}
}

static void
run_fini(struct gw *gw)
{
	for (uint16_t i = 0; i < gw->n_workers; i++)
		__atomic_store_n(&gw->workers[i]->stop, true, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
	gw->running = false;
	mirrors_run(gw->mirrors, false);
	gw_tick(gw);
	drain(gw);
	paths_drain(gw);
	mirrors_drain(gw->mirrors);
}

static void
burst_run(struct worker *w, void *arg)
{
	w->burst = (uint16_t)(uintptr_t)arg;
}

static void
sleepy_run(struct worker *w, void *arg)
{
	w->sleepy = arg != NULL;
}

void
gw_pace(struct gw *gw)
{
	const struct conf_gateway *c = &gw->conf->gateway;
	uint16_t burst = gw->options.burst != 0 ? gw->options.burst : c->burst;
	bool taken = gw_mail_all(gw, burst_run, (void *)(uintptr_t)burst);

	taken &= gw_mail_all(gw, sleepy_run, c->idle == CONF_IDLE_SLEEP ? gw : NULL);
	taken &= frags_pace(gw);
	if (!gw_mail_all(gw, hold_run, (void *)hold_word(gw->conf)) || !taken)
		GW_LOG(ERR, "burst, idle, acquire and reassembly: a worker does not read its "
			    "mail: reload again\n");
}

/* What the gateway is made of, in the order in which it comes up. */
static const struct part {
	const char *name;
	int (*init)(struct gw *gw, struct err *err);
	void (*fini)(struct gw *gw);
} parts[] = {
	{ "engines", engines_begin, engines_end },
	{ "rcu", rcu_init, rcu_fini },
	{ "workers", workers_init, workers_fini },
	{ "ports", ports_init, ports_fini },
	{ "offloads", offloads_init, offloads_fini },
	{ "crypto", engines_workers_begin, engines_workers_end },
	{ "frags", frags_init, frags_fini },
	{ "routes", routes_init, routes_fini },
	{ "mirrors", mirrors_init, mirrors_fini },
	{ "kernel", kernel_init, kernel_fini },
	{ "reserve", reserve_init, reserve_fini },
	{ "tables", tables_init, tables_fini },
	{ "paths", paths_init, paths_fini },
	{ "egress", egress_init, egress_fini },
	{ "policy", policy_init, policy_fini },
	{ "view", view_init, view_fini },
	{ "pipe", pipe_init, pipe_fini },
	{ "pin", pin_init, pin_fini },
	{ "run", run_init, run_fini }, /* last: no packet may come before what it is judged by */
};

int
gw_start(struct gw *gw, const struct gw_options *options, struct conf *conf, struct err *err)
{
	*gw = (struct gw) { .options = *options, .conf = conf, .n_confs = 1 };
	for (gw->n_up = 0; gw->n_up < RTE_DIM(parts); gw->n_up++) {
		int rc = parts[gw->n_up].init(gw, err);

		if (rc < 0) {
			GW_LOG(DEBUG, "start failed at %s\n", parts[gw->n_up].name);
			/* A part that failed half-way ends what it had begun. */
			gw->n_up++;
			gw_free(gw);
			return rc;
		}
	}
	return 0;
}

static void
end_to(struct gw *gw, uint32_t n)
{
	while (gw->n_up > n)
		if (parts[--gw->n_up].fini != NULL)
			parts[gw->n_up].fini(gw);
}

void
gw_stop(struct gw *gw)
{
	end_to(gw, RTE_DIM(parts) - 1);
}

void
gw_free(struct gw *gw)
{
	end_to(gw, 0);
}
