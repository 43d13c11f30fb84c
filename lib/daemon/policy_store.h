/* How policies of daemons are kept: 144 octets each, found by identity and by index. What nearly
 * every template says is taken from its tie; the few that say more have it beside them.
 */
#ifndef DAEMON_POLICY_STORE_H
#define DAEMON_POLICY_STORE_H

#include "base/slab.h"
#include "ctl/policies.h"
#include "daemon/policies.h"

#define TMPLS_MAX 2

/* What makes a policy the one it is. Compared whole. */
struct dpolicy_id {
	uint8_t src[16], dst[16];
	uint16_t sport, sport_mask, dport, dport_mask;
	uint8_t src_len, dst_len, family, proto;
	uint8_t dir, zero[3];
	uint32_t user, mark, mark_mask, if_id;
};
_Static_assert(sizeof(struct dpolicy_id) == 64, "no octet of chance in an identity");

struct dpolicy_more {
	struct xfrm_life life;
	struct xfrm_tmpl tmpls[TMPLS_MAX];
	uint64_t first_use; /* s since 1970, as the ticks saw its SA in use; 0: not yet */
};

struct dpolicy {
	struct dpolicy_id id;
	uint32_t priority;
	uint32_t index;	   /* 0: the item is free */
	uint32_t added;	   /* s since 1970 */
	uint32_t asked_ms; /* when an SA was last asked for; 0: never */
	uint32_t next_of_id, next_of_index;
	uint8_t action;	 /* enum policy_action */
	uint8_t n_tmpls; /* with action discard too, for who asks */
	uint8_t flags, share;
	bool has_mark, has_if_id;
	bool no_ends;	/* the template names no addresses */
	bool soft_told; /* its soft lifetime is over */
	struct daemon_owner *owner;
	struct dpolicy_more *more; /* NULL: lifetimes without limits, one template as its tie */
	struct tie_policy node; /* tie: of inbound ones too; index: POLICY_NONE where not asked */
};
_Static_assert(sizeof(struct dpolicy) == 144, "memory of a policy");

struct dpolicies {
	struct dpolicies_env env;
	struct slab slab;
	uint32_t *by_id, *by_index; /* heads of chains; UINT32_MAX: empty */
	uint32_t n_buckets;	    /* of each; a power of two */
	uint32_t n[XFRM_DIR_END];
	uint32_t end; /* no item at or above was ever taken */
	uint32_t last_index;
	uint32_t changes, acquires;
	uint32_t n_limited; /* policies that end by themselves */
	uint64_t ticked;
	struct xw_thresh v4, v6;
};

int dpolicy_store_init(struct dpolicies *dp, uint32_t max, struct err *err);
void dpolicy_store_fini(struct dpolicies *dp);

/* NULL: there is no such item. */
struct dpolicy *dpolicy_at(const struct dpolicies *dp, uint32_t item);
uint32_t dpolicy_item(const struct dpolicies *dp, const struct dpolicy *p);

void dpolicy_id_of(const struct xfrm_sel *sel, uint8_t dir, const struct xfrm_mark *mark,
		   uint32_t if_id, struct dpolicy_id *id);
/* NULL: there is none. */
struct dpolicy *dpolicy_find(const struct dpolicies *dp, const struct dpolicy_id *id);
struct dpolicy *dpolicy_by_index(const struct dpolicies *dp, uint32_t index);
/* `in` of a `fwd`, `fwd` of an `in`: the same but for that. */
struct dpolicy *dpolicy_sibling(const struct dpolicies *dp, const struct dpolicy_id *id);

/* An item in both chains: its index is the wanted one if that is free and not 0. -ENOSPC, -ENOMEM.
 */
int dpolicy_take(struct dpolicies *dp, const struct dpolicy_id *id, uint32_t wanted,
		 struct dpolicy **out, struct err *err);
void dpolicy_give(struct dpolicies *dp, struct dpolicy *p);

/* Does a policy with these flags want an SA for each worker? */
static inline bool
dpolicy_asks(uint8_t flags)
{
	return (flags & XFRM_POLICY_F_CPU_ACQUIRE) != 0;
}

/* A template that leaves its ends to the selector. */
bool dpolicy_names_no_ends(const struct xfrm_tmpl *t);

/* What x says beyond its tie (NULL: it has none), for dpolicy_write; NULL in *more where that is
 * nothing. -ENOMEM.
 */
int dpolicy_more_make(const struct xfrm_policy *x, const struct tie *tie,
		      struct dpolicy_more **more, struct err *err);
/* All of x but identity, index, owner and node. Takes more. */
void dpolicy_write(struct dpolicies *dp, struct dpolicy *p, const struct xfrm_policy *x,
		   struct dpolicy_more *more);
void dpolicy_read(const struct dpolicies *dp, const struct dpolicy *p, struct xfrm_policy *x);

/* When traffic last went by its SA, in s since 1970; 0: never. */
uint64_t dpolicy_last_use(const struct dpolicies *dp, const struct dpolicy *p);

/* Ends a policy, without an event; spd_commit() is the caller's. Without the memory to stage it, it
 * stays.
 */
void dpolicy_end(struct dpolicies *dp, struct dpolicy *p);

#endif
