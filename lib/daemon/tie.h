/* What joins SAs and policies of key daemons: a template of a policy and an SA that it means have
 * the same key, and so the same tie.
 *
 * A tie's group is what the SPD and an inbound SA's record call it: a packet that came by an SA of
 * the group may pass an inbound policy of the group. An outbound policy points at the newest SA of
 * its tie, or at the one with its template's SPI; it is pointed at another one, or at none, as soon
 * as the SAs change.
 *
 * Where an outbound SA is for one worker (RFC 9611) or lists classes, or a policy wants SAs for
 * workers, the tie has a choice of all its SAs (spd/choice.h), which its policies point at unless
 * their template has an SPI.
 *
 * Control's thread only. SAs and policies lend their nodes, which stay where they are until they
 * are taken out.
 */
#ifndef DAEMON_TIE_H
#define DAEMON_TIE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct gw;
struct ties;
struct xfrm_policy;
struct xfrm_sa;

/* As Linux compares a template with an SA (RFC 4301 section 4.4.1.2 leaves it to us). Marks are not
 * part of it: daemons set them on policies whose SAs have none. Every octet counts: fill it whole.
 */
struct tie_key {
	uint8_t proto; /* enum xfrm_protocol */
	uint8_t mode;  /* enum xfrm_mode, as the daemon says it */
	uint8_t family;
	uint8_t inbound; /* 0 or 1 */
	uint32_t reqid, if_id;
	uint8_t src[16], dst[16]; /* outer; of inbound transport mode 0 */
};

struct tie_sa {
	struct tie *tie;
	struct tie_sa *older, *newer;
	uint32_t index, generation; /* in the SA table */
	uint32_t spi;
	uint16_t worker; /* that it is for, from 1; 0: for any */
	uint8_t rank;	 /* as choice_member.rank */
	bool listed : 1; /* it has a list of classes: ties_lists() says which */
	bool waits : 1;	 /* for numbers: no policy goes by it before tie_sa_ready() */
};
_Static_assert(sizeof(struct tie_sa) == 40, "every daemon's SA has one");

struct tie_policy {
	struct tie *tie;
	struct tie_policy *next, *prev;
	uint32_t index; /* in the SPD */
	uint32_t spi;	/* of the template; 0: any */
};

struct tie {
	struct tie_key key;
	uint32_t group;
	uint32_t refs;
	struct tie *next; /* of its hash */
	struct tie_sa *newest;
	struct tie_policy *policies; /* outbound ones */
	uint32_t n_apart;	     /* SAs of one worker, or with a list */
	uint32_t n_asking;	     /* policies that want an SA for each worker */
	struct tie_choice *choice;   /* NULL: it has none */
};

/* The key of a valid SA, and that of a policy's ESP template.
 *
 * tie_key_of_policy: 1, or 0 when the policy has no template: it ties to nothing. -EOPNOTSUPP:
 * templates that no SA here can serve.
 */
void tie_key_of_sa(const struct xfrm_sa *sa, bool inbound, struct tie_key *key);
int tie_key_of_policy(const struct xfrm_policy *p, struct tie_key *key, struct err *err);

int ties_create(struct gw *gw, struct ties **out, struct err *err);
/* All ties were put. NULL is fine. */
void ties_free(struct ties *ties);

/* The tie of a key, or NULL. */
const struct tie *tie_find(const struct ties *ties, const struct tie_key *key);
/* The tie of a key, made if need be; with one reference more, for tie_put. -ENOMEM. */
int tie_get(struct ties *ties, const struct tie_key *key, struct tie **out, struct err *err);
/* The same for SAs and policies that move to another address: a tie that is made goes on with the
 * group of the one before, so that what is on its way still passes.
 */
int tie_get_heir(struct ties *ties, const struct tie_key *key, const struct tie *before,
		 struct tie **out, struct err *err);
void tie_put(struct ties *ties, struct tie *tie);

/* How a list of classes is found: bit n is class n. Before SAs have any. */
typedef uint64_t tie_list_fn(const void *ctx, const struct tie_sa *sa);
void ties_lists(struct ties *ties, tie_list_fn *list_of, const void *ctx);

/* A valid SA; sa->index, generation and spi are set. The tie's policies are pointed at it. */
void tie_sa_add(struct ties *ties, struct tie *tie, struct tie_sa *sa);
/* The SA is another one now: the same node, the same age. */
void tie_sa_point(struct ties *ties, struct tie_sa *sa, uint32_t index, uint32_t generation);
/* It need not wait any more. */
void tie_sa_ready(struct ties *ties, struct tie_sa *sa);
/* Before the SA ends. A node that is in no tie is fine. */
void tie_sa_del(struct ties *ties, struct tie_sa *sa);

/* The SA that a policy with this SPI in its template goes by, of several the newest; NULL: there is
 * none. */
const struct tie_sa *tie_sa_of(const struct tie *tie, uint32_t spi);
/* The newest SA for a worker, from 1, or for any, 0; of the same list as `like`, or without one
 * where that is NULL. NULL: there is none. */
const struct tie_sa *tie_member_of(const struct ties *ties, const struct tie *tie, uint16_t worker,
				   const struct tie_sa *like);
/* May an SA be asked for, for that worker, from 0? Not within a second of the last time, and not
 * where it has one. now_ms: never 0.
 */
bool tie_worker_asks(const struct ties *ties, struct tie *tie, uint16_t worker, uint32_t now_ms);

/* An outbound policy; p->index and spi are set. It is pointed at its SA. asks: it wants an SA for
 * each worker; as given, tie_policy_del() is to be given it.
 */
void tie_policy_add(struct ties *ties, struct tie *tie, struct tie_policy *p, bool asks);
/* Its SPI, or its index, is another one now. */
void tie_policy_point(struct ties *ties, struct tie_policy *p);
/* A node that is in no tie is fine. */
void tie_policy_del(struct ties *ties, struct tie_policy *p, bool asks);

#endif
