/* Policies that key daemons installed, as XFRM knows them: kept whole for who asks, and put into
 * the SPD as far as they say something of packets.
 *
 * - `in` and `fwd` are one direction here, and two policies that are the same but for that are one
 *   in the SPD. An `in` without template that lets pass is kept, but not asked: it speaks of the
 *   daemon's own host, whose clear packets the gateway's own rules take (IKE, ND), and would open
 *   the way to the red side. So are the bypasses for IKE (UDP 500, 4500) and ND of any address to
 * any.
 * - BLOCK is discard; ALLOW is protect with a template of ESP (behind one of IPComp, or alone),
 *   bypass without. A template that is optional is a template: nothing goes in clear because an SA
 *   is missing.
 * - A policy is what it is by its selector, direction, mark and interface id, as in Linux.
 *
 * Control's thread only.
 */
#ifndef DAEMON_POLICIES_H
#define DAEMON_POLICIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "daemon/tie.h"
#include "xfrm/xfrm.h"

struct acquire_event;
struct daemon_owner;
struct dpolicies;
struct gw;
struct policy_view;

/* What they need of the rest. */
struct dpolicies_env {
	struct gw *gw;
	struct ties *ties;
	void *ctx; /* of what follows */
	/* Whether one owner may change what is another's. */
	bool (*may_change)(void *ctx, const struct daemon_owner *by, const struct daemon_owner *of);
	/* An owner has a policy more (1) or less (-1). */
	void (*count)(void *ctx, struct daemon_owner *owner, int by);
	const char *(*owner_text)(void *ctx, const struct daemon_owner *owner);
	/* A message for all who listen to the group. */
	void (*event)(void *ctx, unsigned int group, const void *message, size_t size);
	/* When traffic last went by an SA, in s since 1970; 0: never. NULL: nobody knows. */
	uint64_t (*sa_used)(void *ctx, const struct tie_sa *sa);
};

/* env is copied. max: how many there may be. */
int dpolicies_create(const struct dpolicies_env *env, uint32_t max, struct dpolicies **out,
		     struct err *err);
/* Leaves the SPD and the ties clean. NULL is fine. */
void dpolicies_free(struct dpolicies *dp);

/* Who asked, for the events. */
struct dpolicies_cause {
	struct daemon_owner *owner;
	uint32_t seq, pid;
};

/* NEWPOLICY, or UPDPOLICY with update: from now on packets are judged by it, and the one it
 * replaces is gone in the same step; where nothing but the template's SPI is new the SPD stays as
 * it is. Events: NEWPOLICY or UPDPOLICY.
 *
 * -EEXIST: the policy is there (not with update); -EPERM: another owner's; -EINVAL, -EOPNOTSUPP,
 * -EPROTONOSUPPORT: what cannot be done here; -ENOSPC, -ENOMEM, -ENOBUFS. Nothing changed then.
 */
int dpolicies_put(struct dpolicies *dp, const struct xfrm_policy *p, bool update,
		  const struct dpolicies_cause *cause, struct err *err);

/* -ENOENT: no such policy; -EPERM: another owner's. */
int dpolicies_del(struct dpolicies *dp, const struct xfrm_policy_id *id,
		  const struct dpolicies_cause *cause, struct err *err);
int dpolicies_get(const struct dpolicies *dp, const struct xfrm_policy_id *id,
		  struct xfrm_policy *p, struct err *err);

/* All that the owner may change. */
void dpolicies_flush(struct dpolicies *dp, const struct dpolicies_cause *cause);
/* All of one owner, whose time is over. */
void dpolicies_drop(struct dpolicies *dp, const struct daemon_owner *owner);

/* The next from *cursor on (0 to begin with); false: there is no more. */
bool dpolicies_next(const struct dpolicies *dp, uint32_t *cursor, struct xfrm_policy *p);
/* Counts every change: a dump during which it changed was interrupted. */
uint32_t dpolicies_changes(const struct dpolicies *dp);
/* For gw_hooks.policy_next; dp as ctx. */
bool dpolicies_view(const struct dpolicies *dp, uint64_t *cursor, struct policy_view *view);

/* GETSPDINFO; NEWSPDINFO keeps thresholds, which mean nothing here. */
void dpolicies_info(const struct dpolicies *dp, struct xfrm_spd_info *info);
int dpolicies_info_set(struct dpolicies *dp, const struct xfrm_spd_info *info, struct err *err);

/* Whether dpolicies_migrate() will find what it asks for; before the SAs move. A move without a
 * reqid gets its template's. As dpolicies_migrate().
 */
int dpolicies_migrate_check(const struct dpolicies *dp, struct xfrm_migrate *m,
			    const struct dpolicies_cause *cause, struct err *err);
/* The policies' part of MIGRATE, once the SAs have moved: templates with the old addresses get the
 * new ones. No event. -ENOENT: no such policy, or none of its templates moves; -EPERM.
 */
int dpolicies_migrate(struct dpolicies *dp, const struct xfrm_migrate *m,
		      const struct dpolicies_cause *cause, struct err *err);

/* For gw_hooks.acquire: asks the daemons for an SA (event ACQUIRE), of one policy at most once a
 * second; or for a worker's own, where a policy has the flag CPU_ACQUIRE and there is one for any:
 * of one tie and worker at most once a second. now: ns of the gateway's clock.
 */
void dpolicies_acquire(struct dpolicies *dp, const struct acquire_event *e, uint64_t now);

/* Lifetimes in seconds since the policy was added, or first used: events POLEXPIRE, and the end.
 * now: s since 1970. At least once a second. */
void dpolicies_tick(struct dpolicies *dp, uint64_t now);

#endif
