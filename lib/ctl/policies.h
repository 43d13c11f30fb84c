/* Policies of the file, and of key daemons, into the SPD. Staged; spd_commit() or spd_abort() is
 * the caller's.
 */
#ifndef CTL_POLICIES_H
#define CTL_POLICIES_H

#include "base/addr.h"
#include "ctl/gw.h"
#include "spd/spd.h"

/* Stages all policies of a configuration that is the first, or that nothing is kept of. */
int policies_add_all(struct gw *gw, const struct conf *conf, const struct sa_book *sas,
		     const uint32_t *choices, struct policy_book *books, struct err *err);

/* Stages the difference: books are those of the new configuration, filled here. */
int policies_change(struct gw *gw, const struct conf *conf, const struct conf_diff *diff,
		    const struct sa_book *sas, const uint32_t *choices, struct policy_book *books,
		    struct err *err);

/* After the commit: points every outbound policy at its SA, or choice, of now. */
void policies_point(struct gw *gw, const struct conf *conf, const struct sa_book *sas,
		    const uint32_t *choices, const struct policy_book *books);

/* ---- Policies that are not the file's. ----
 *
 * They come behind all of the file's, by priority: the lower one is asked first, of two with one
 * priority the older.
 */
#define POLICY_DAEMON_ORDER (UINT64_C(1) << 33)
_Static_assert(POLICY_DAEMON_ORDER + UINT32_MAX <= SPD_ORDER_MAX, "every priority has an order");

/* One prefix to one other, of one family. */
struct policy_spec {
	enum spd_direction direction;
	enum policy_action action;
	uint32_t priority;
	struct prefix src, dst;
	int16_t protocol; /* 0 to 255, or SPD_ANY_PROTOCOL */
	struct spd_ports src_port, dst_port;
	bool icmp; /* as policy_params.icmp */
	uint32_t group;
	uint32_t name;		    /* the caller's own number for it */
	uint32_t sa, sa_generation; /* protect, out: SA_NONE: none yet */
};

/* Stages one; spd_del() takes it away again, spd_sa_set() points it elsewhere. Errors of spd_add();
 * -ENOBUFS: a worker stands still, and too much waits for it to be freed.
 */
int policy_stage(struct gw *gw, const struct policy_spec *spec, uint32_t *index, struct err *err);

/* What is said of such a policy where all are listed. */
struct policy_view {
	const char *direction; /* "in", "fwd", "out" */
	const char *owner;     /* borrowed until the next is asked for */
	struct policy_spec spec;
	uint32_t id;	/* the daemon's index */
	uint32_t reqid; /* protect */
	bool apart; /* kept for who installed it, but not asked: the gateway's own rules do it */
};

#endif
