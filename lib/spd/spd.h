/* The security policy database (RFC 4301 section 4.4.1): ordered policies, which may overlap, for
 * both directions and both families.
 *
 * The first policy by order that matches decides; nothing matches = SPD_NO_MATCH. One control
 * thread changes it; workers read at the same time without a lock. Changes are staged by spd_add()
 * and spd_del() and become visible, all of them together, at spd_commit(): each lookup judges by
 * one state between two commits, so a replaced policy leaves no gap and no mixture of old and new
 * shows.
 */
#ifndef SPD_SPD_H
#define SPD_SPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slab.h"

#define SPD_NO_MATCH   UINT32_MAX	/* = POLICY_NONE */
#define SPD_FRAG_PORTS (UINT32_MAX - 1) /* a fragment for which only ports could decide */

/* As a group: a first fragment whose datagram's later ones only ports could decide. */
#define SPD_GROUP_FIRST UINT32_MAX

#define SPD_ANY_PROTOCOL (-1)
#define SPD_ANY_DSCP	 UINT64_MAX
#define SPD_ORDER_MAX	 ((UINT64_C(1) << 34) - 2)
#define SPD_RULES_MAX	 4096 /* of one policy: see policy_params */

enum spd_direction {
	SPD_IN,	 /* what came by an inbound SA, or in clear from the black side */
	SPD_OUT, /* towards the black side */
	SPD_DIRECTIONS,
};

enum policy_action {
	POLICY_DISCARD,
	POLICY_BYPASS,
	POLICY_PROTECT,
};

/* lo and hi are both inside; network byte order; IPv4 in the first 4 octets. */
struct spd_range {
	uint8_t lo[16];
	uint8_t hi[16];
};

/* Addresses of either family. With any the lists are not looked at; else an empty list matches
 * nothing of its family.
 */
struct spd_addrs {
	bool any;
	uint16_t n_v4, n_v6;
	const struct spd_range *v4, *v6;
};

/* Host order; 0 to 65535 is any. For ICMP and ICMPv6, where the policy names the protocol, the type
 * lies in the place of the source port and the code in that of the destination port.
 *
 * Ports other than any match only packets whose protocol has ports (TCP, UDP, UDP-Lite, DCCP, SCTP)
 * or, as said, type and code.
 */
struct spd_ports {
	uint16_t lo, hi;
};

/* Each pair of a source and a destination range of one family is one rule; a policy has at most
 * SPD_RULES_MAX of them. Borrowed for the call.
 */
struct policy_params {
	enum spd_direction direction;
	enum policy_action action;
	uint64_t order; /* lower is asked first, at most SPD_ORDER_MAX; equal orders: first added
			   first */
	struct spd_addrs src, dst;
	int16_t protocol; /* 0 to 255, or SPD_ANY_PROTOCOL */
	struct spd_ports src_port, dst_port;
	uint64_t dscp;	/* bit n: class n matches; SPD_ANY_DSCP */
	bool icmp;	/* RFC 4301 section 6: ICMP errors about matching packets match */
	uint32_t group; /* protect: the SA, or family of SAs, it goes out by or must have come by */
	uint32_t name;	/* control's own number for it */
	uint32_t sa, sa_generation; /* protect, out: where packets go now; SA_NONE before there is
				       one; or a choice and CHOICE_MARK (choice.h) */
};

/* What a worker needs of a policy. Fixed while the policy lives, but for sa. */
struct policy {
	uint64_t sa;	     /* by spd_out_sa() and spd_sa_set() alone */
	uint64_t precedence; /* order, then age */
	uint32_t group;
	uint32_t name;
	uint32_t first_rule; /* control's */
	uint8_t action;	     /* enum policy_action */
	uint8_t direction;   /* enum spd_direction */
	bool icmp;
	bool catch_all; /* matches all packets: a default, not a decision about an ICMP error */
};
_Static_assert(sizeof(struct policy) == 32, "two policies a line");

struct spd_tables;

/* Made by spd_create() alone; the fields are here for the inline functions below. */
struct spd {
	uint32_t generation; /* of the committed state; written by control */
	uint32_t instance;   /* no two SPDs of a process have the same */
	uint32_t pointed;    /* how often a policy was pointed at an SA; written by control */
	struct slab policies;
	struct slab choices; /* of struct choice * */
	struct spd_tables *tables;
};

/* Arranges that free_fn(obj) is called by control after every worker has gone through a quiescent
 * state. */
typedef void spd_defer(void *ctx, void (*free_fn)(void *), void *obj);

struct spd_params {
	uint32_t max_policies;
	uint32_t max_rules; /* 0 = a quarter more than policies, at least 64Ki more */
	int socket;
	/* NULL = nobody reads while it changes: everything is freed at once. */
	spd_defer *defer;
	void *defer_ctx;
};

/* An empty SPD. -EINVAL: a maximum out of range; -ENOMEM. */
int spd_create(const struct spd_params *p, struct spd **out, struct err *err);

/* No worker reads it any more and all that was deferred has been freed. NULL is fine. */
void spd_free(struct spd *spd);

/* Memory, in octets, that an SPD of these sizes takes when it is full of policies of one rule. */
size_t spd_memory(const struct spd_params *p);

/* Stages a policy. Its index is not used by another one before a grace period after its deletion.
 *
 * -EINVAL: selectors that cannot match or are out of range; -E2BIG: more than SPD_RULES_MAX rules;
 * -ENOSPC: max_policies or max_rules reached; -ENOMEM. Nothing is staged then.
 */
int spd_add(struct spd *spd, const struct policy_params *p, uint32_t *index, struct err *err);

/* Stages the end of a policy. -ENOENT: no such policy, or deleted already; -ENOMEM. */
int spd_del(struct spd *spd, uint32_t index, struct err *err);

/* Makes all that is staged visible at once; flow caches forget. Cannot fail. */
void spd_commit(struct spd *spd);

/* Drops all that is staged: the SPD is as after the last commit. */
void spd_abort(struct spd *spd);

/* In the place of an SA's generation: the index is a choice's. No generation of a slab has it. */
#define CHOICE_MARK (UINT32_C(1) << 31)

/* Points an outbound policy at another SA, or at a choice; takes effect at once, with no
 * generation. The policy may be staged.
 */
void spd_sa_set(struct spd *spd, uint32_t index, uint32_t sa, uint32_t sa_generation);

/* Builds what policies with many rules of equal addresses are looked up in; until then such rules
 * are tried one by one. Call it now and then from control, off the packets' way. The work is
 * proportional to the number of such rules, and it is done only when there is need and, unless now
 * is set, at most about a tenth of the time: else the call costs nothing. Returns 1 when something
 * was built, 0 when not, -ENOMEM (all works on as before).
 */
int spd_maintain(struct spd *spd, bool now, struct err *err);

struct spd_stats {
	uint32_t policies, rules, choices;
	uint32_t pairs[SPD_DIRECTIONS]
		      [2]; /* of prefix lengths in use; v4, v6: each costs a new flow a probe */
	uint32_t built;	   /* rules in rte_acl */
	uint32_t waiting;  /* rules tried one by one until the next spd_maintain() */
	size_t bytes;
};

void spd_stats(const struct spd *spd, struct spd_stats *stats);

/* What a packet is judged by. */
struct spd_key {
	uint8_t src[16], dst[16];    /* network byte order; v4 in the first 4 octets, the rest 0 */
	uint16_t src_port, dst_port; /* host order; ICMP: type, code; 0 without ports */
	uint8_t protocol;
	uint8_t dscp; /* 0 to 63 */
	bool v6;
	bool later; /* a later fragment: no ports */
};

/* The policy of a key, without a flow cache and without section 6's second look: SPD_NO_MATCH,
 * SPD_FRAG_PORTS or an index. Any thread that RCU knows of.
 */
uint32_t spd_find(const struct spd *spd, enum spd_direction direction, const struct spd_key *key);

/* A policy that a lookup gave, or that control holds. */
static inline const struct policy *
spd_policy(const struct spd *spd, uint32_t index)
{
	return slab_at(&spd->policies, index);
}

/* The outbound SA of now, index and generation in one load. SA_NONE as index: none yet; with
 * CHOICE_MARK as generation: a choice. */
static inline uint64_t
spd_out_sa(const struct spd *spd, uint32_t index)
{
	return __atomic_load_n(&spd_policy(spd, index)->sa, __ATOMIC_ACQUIRE);
}

static inline uint64_t
spd_sa_word(uint32_t sa, uint32_t sa_generation)
{
	return (uint64_t)sa_generation << 32 | sa;
}

static inline uint32_t
spd_sa_index(uint64_t sa)
{
	return (uint32_t)sa;
}

static inline uint32_t
spd_sa_generation(uint64_t sa)
{
	return sa >> 32;
}

/* An address and the length of its prefix as a range; host bits are ignored. */
void spd_prefix(struct spd_range *range, const uint8_t *addr, uint8_t length, bool v6);

struct spd_worker;

#define SPD_FLOWS_V4 (64u << 10) /* 32 octets each */
#define SPD_FLOWS_V6 (16u << 10) /* 64 octets each */

/* A worker's flow cache, for worker->spd. Entries: a power of two, at least 64; 0 = the number
 * above. -EINVAL, -ENOMEM.
 */
int spd_worker_init(uint32_t v4_entries, uint32_t v6_entries, int socket, struct spd_worker **out,
		    struct err *err);
void spd_worker_fini(struct spd_worker *sw); /* NULL is fine */

struct spd_flow_counts {
	uint64_t hits, misses; /* packets; an ICMP error's second look is in neither */
};

/* Any thread. */
void spd_worker_counts(const struct spd_worker *sw, struct spd_flow_counts *counts);

#endif
