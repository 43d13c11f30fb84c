/* The gateway as control sees it: made from a configuration, changed by another, watched, ended.
 *
 * All calls are the control thread's. Everything a worker reads is published whole and freed after
 * a grace period (defer.h); what only a worker may write is changed by mail.
 */
#ifndef CTL_GW_H
#define CTL_GW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/pace.h"
#include "conf/conf.h"
#include "crypto/engine.h"
#include "ctl/defer.h"
#include "ctl/streams.h"
#include "pipe/pipe.h"
#include "sa/sa.h"
#include "worker/worker.h"

#define GW_ENGINES_MAX 4

struct acquire_event;
struct codec;
struct frag_shared;
struct echo;
struct egress;
struct egress_event;
struct engines;
struct kernel;
struct lane_event;
struct mapping_event;
struct mirrors;
struct mss;
struct numbers_reg;
struct offload;
struct offloads;
struct paths;
struct pin;
struct pmtu_change;
struct policy_view;
struct rates_event;
struct poller;
struct ports;
struct reserve;
struct unresolved_event;
struct worker_counts;
struct rte_mempool;
struct stocks;

/* What the command line says; it wins over the file. 0 = as the file says. */
struct gw_options {
	uint16_t burst, rx_queues, rx_desc, tx_desc;
	const char *config;		     /* the file, for reload */
	const struct engine *const *engines; /* all that are built in */
	uint16_t n_engines;
	const struct offload *offload;	   /* what stands behind the engine inline; NULL: nothing */
	const struct codec *const *codecs; /* of IPComp: likewise, in order of preference */
	uint16_t n_codecs;
	struct poller *poller; /* the caller's loop, for descriptors of the parts; borrowed */
};

/* Control's notes about one SA of the file, in the order of conf->sas. */
struct sa_book {
	uint32_t index; /* SA_NONE: none, its place in the file is free */
	uint32_t group;
	uint64_t drops[DROP_MAX]; /* of those it replaced */
};

/* The limits of an SA that control looks at. */
enum sa_limit {
	LIMIT_SOFT_PACKETS = 1 << 0,
	LIMIT_SOFT_BYTES = 1 << 1,
	LIMIT_SOFT_SECONDS = 1 << 2,
	LIMIT_SOFT_NUMBERS = 1 << 3, /* a sixteenth of the sequence numbers is left */
	LIMIT_HARD_SECONDS = 1 << 4,
	LIMIT_HARD_TRAFFIC = 1 << 5, /* in packets or bytes: its owner passes no more */
};

/* Who installed an SA, for people. */
struct sa_owner_text {
	char origin[96]; /* "daemon charon, uid 0, pid 812" */
	uint32_t reqid;
	uint64_t orphan_seconds; /* since its daemon went; 0: it is there */
	bool of_worker;		 /* for the packets of one worker */
	uint32_t worker;
	uint64_t dscp; /* bit n: class n; 0: it has no list */
};

/* The same of a policy. */
struct policy_book {
	uint32_t index[2]; /* POLICY_NONE; two where the file says "icmp" for both families */
	uint64_t order;
};

struct gw_totals {
	uint64_t rx, tx, split, merged, held;
	uint64_t waiting; /* of held: for an SA, or for other fragments or payloads */
	uint64_t drops[DROP_MAX], consumed[CONSUMED_MAX], generated[GENERATED_MAX];
	uint64_t audits_lost;
};

/* What the layers above want to hear of, from gw_tick(): set once the gateway has started; NULL:
 * nobody listens. The events are borrowed for the call.
 */
struct gw_hooks {
	void *ctx;
	void (*acquire)(void *ctx, const struct acquire_event *event);
	void (*mapping)(void *ctx, const struct mapping_event *event);
	/* Numbers got on the disk: all tickets up to this one (reserve.h). */
	void (*durable)(void *ctx, uint64_t ticket);
	/* The next of their policies from *cursor on, which begins with 0. */
	bool (*policy_next)(void *ctx, uint64_t *cursor, struct policy_view *view);
	/* Of SAs that are a daemon's, once per limit. hard_limit may end the SA. */
	void (*soft_limit)(void *ctx, uint32_t sa, enum sa_limit limit);
	void (*hard_limit)(void *ctx, uint32_t sa, enum sa_limit limit);
	void (*describe)(void *ctx, uint32_t sa, struct sa_owner_text *text);
	/* What is known of an SA's path has changed. */
	void (*path_mtu)(void *ctx, const struct pmtu_change *change);
	/* Of a daemon's SA, the newest one of the other direction that was negotiated with it; and
	 * the outbound SA of a daemon to that address with that SPI, host order. SA_NONE. */
	uint32_t (*pair)(void *ctx, uint32_t sa);
	uint32_t (*outbound)(void *ctx, const struct addr *dst, uint32_t spi);
	/* An inbound SA's packets come in fragments, or are larger than we take. */
	void (*egress)(void *ctx, const struct egress_event *event);
	/* An outbound SA of IP-TFS was stopped, goes on, or is a good deal faster or slower. */
	void (*iptfs)(void *ctx, const struct rates_event *event);
};

/* Likewise, for who can find a neighbour. */
struct gw_resolver {
	void *ctx;
	void (*unresolved)(void *ctx, const struct unresolved_event *event);
};

struct gw {
	struct gw_options options;
	struct gw_hooks hooks;
	struct gw_resolver resolver;
	struct conf *conf;
	uint32_t n_confs; /* how many there were, this one included: 1 from the start */
	const struct engine *engines[GW_ENGINES_MAX]; /* in the file's order of preference */
	uint16_t n_engines;
	struct engines
		*crypto; /* control's notes of them; NULL: there are synchronous ones alone */
	struct offloads *offloads; /* of SAs that ports' devices do; likewise */
	uint16_t n_workers;
	struct worker *workers[WORKERS_MAX];
	struct rte_mempool *pools[WORKERS_MAX];
	struct clock clock;
	struct pipe pipe;
	uint64_t stages; /* mask of enum stage_id: rows that some SA needs */
	struct rte_rcu_qsbr *qsbr;
	struct defer defer;
	struct ports *ports;
	struct frag_shared *frag;
	struct mirrors *mirrors; /* NULL: no port has one */
	struct kernel *kernel;	 /* likewise */
	struct route *route;
	struct spd *spd;
	struct sad *sad;
	struct sa_table sas;
	struct numbers_reg *numbers;
	struct stocks *stocks;	 /* of windows for subspaces */
	struct reserve *reserve; /* NULL: no state file */
	struct paths *paths;	 /* what is learnt of path MTUs */
	struct egress *egress;
	struct view *view;
	struct echo *echo; /* lib/echo's; NULL: none */
	struct pin *pin;   /* which worker an SA is of, and how its packets get there */
	struct sa_book *sa_books;
	struct policy_book *policy_books;
	uint32_t *choices; /* of conf->sets: see sets.h */
	uint32_t n_dummies;
	uint32_t *dummies;  /* SAs that send some */
	struct mss *mss;    /* NULL: no inbound SA lowers the MSS of TCP */
	uint32_t late_jobs; /* changes of numbers that no worker has made yet: see sa_numbers.c */
	struct streams streams; /* SAs of IP-TFS */
	uint32_t next_group;
	uint16_t next_owner;
	bool running;
	bool paused;
	bool awaits_echo;     /* somebody sends plain ESP echoes: lib/echo's, for the view */
	bool limits_near;     /* lanes wait for their parts of hard lifetimes */
	uint64_t sweep_began; /* the look at all SAs that is under way, ns */
	uint32_t sweep_next;  /* the first SA that it has not come to */
	uint16_t n_udp_ports, udp_ports_be[VIEW_UDP_PORTS_MAX]; /* where daemons' SAs want ESP */
	uint64_t last_watch;					/* at links, in seconds */
	struct pace acquire_pace;				/* of all workers */
	uint32_t n_up;						/* parts */
	struct gw_totals baseline;				/* at the last `clear` */
	struct worker_counts *cleared; /* likewise, by worker; NULL: never cleared */
};

/* Makes everything and starts the workers. conf is borrowed; a reload frees it and leaves another
 * in gw->conf, which is the caller's to free after gw_free.
 */
int gw_start(struct gw *gw, const struct gw_options *options, struct conf *conf, struct err *err);
/* Ends the workers, sends on what is inside; counters can be read until gw_free. */
void gw_stop(struct gw *gw);
void gw_free(struct gw *gw);

/* Reads the file again and applies the difference, or changes nothing and says why in e. With
 * dry_run it only says what it would do. Prints the difference to out.
 */
int gw_reload(struct gw *gw, bool dry_run, FILE *out, struct conf_errors *e);

/* Stops reading from the ports, or goes on; all else runs, and what is inside is sent. The workers
 * do it within a loop.
 */
void gw_pause(struct gw *gw, bool pause);

/* The way by which tables free what workers may still read; ctx is the gateway. */
void gw_defer_free(void *ctx, void (*fn)(void *obj), void *obj);

/* Tells the workers what gw->conf says of burst, idle and acquire. */
void gw_pace(struct gw *gw);

/* What control has to do now and then; at least every millisecond while workers run. */
void gw_tick(struct gw *gw);
/* Whether the host behind the mirrors is being spoken with, or lanes wait for their parts of a
 * limit: worth a look every millisecond. */
bool gw_is_busy(const struct gw *gw);

/* An SA that is about to be published needs this row of the pipeline. */
void gw_need_stage(struct gw *gw, enum stage_id stage);

/* Runs a mail in every worker, soon; at once when they do not run. False: a mailbox was full; some
 * may run it. */
bool gw_mail_all(struct gw *gw, void (*run)(struct worker *w, void *arg), void *arg);
/* A mail that says "look at the gateway again", and may be run more often than it was asked for:
 * who has no room for it now gets it when he has.
 */
void gw_mail_surely(struct gw *gw, void (*run)(struct worker *w, void *gw));

#endif
