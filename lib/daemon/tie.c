#include "daemon/tie.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash_crc.h>

#include "ctl/gw.h"
#include "spd/choice.h"
#include "xfrm/xfrm.h"

#define BUCKETS_MIN 256
#define AGAIN_MS    1000

_Static_assert(sizeof(struct tie_key) == 44, "no octet of chance in a key");

struct tie_choice {
	uint32_t index;	     /* in the SPD */
	uint32_t asked_ms[]; /* by worker, when an SA was last asked for; 0: never */
};

struct ties {
	struct gw *gw;
	tie_list_fn *list_of;
	const void *ctx; /* of list_of */
	struct tie **buckets;
	uint32_t n_buckets; /* a power of two */
	uint32_t n;
};

static bool
is_zero(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->octets, zero, sizeof(zero)) == 0;
}

void
tie_key_of_sa(const struct xfrm_sa *sa, bool inbound, struct tie_key *key)
{
	*key = (struct tie_key) {
		.proto = sa->id.proto,
		.mode = sa->mode,
		.family = sa->family,
		.inbound = inbound,
		.reqid = sa->reqid,
		.if_id = sa->if_id,
	};
	if (inbound && sa->mode == XFRM_TRANSPORT)
		return;
	memcpy(key->src, sa->src.octets, sizeof(key->src));
	memcpy(key->dst, sa->id.dst.octets, sizeof(key->dst));
}

/* The template that ESP is done by, and the one that says where the ends are: of a pair with IPComp
 * that is IPComp's, which is the outer one.
 */
static int
tmpls_find(const struct xfrm_policy *p, const struct xfrm_tmpl **esp,
	   const struct xfrm_tmpl **outer, struct err *err)
{
	*outer = &p->tmpls[0];
	*esp = &p->tmpls[p->n_tmpls - 1];
	if (p->n_tmpls > 2 || (p->n_tmpls == 2 && (*outer)->id.proto != XFRM_PROTO_COMP))
		return err_set(err, -EOPNOTSUPP,
			       "%u templates: one of ESP, or one of IPComp and then one of ESP",
			       p->n_tmpls);
	if ((*esp)->id.proto != XFRM_PROTO_ESP &&
	    ((*esp)->id.proto != XFRM_PROTO_AH || *esp != *outer))
		return err_set(err, -EOPNOTSUPP,
			       "template %u: protocol %u: 50 (ESP), alone or behind IPComp, or 51 "
			       "(AH) alone",
			       p->n_tmpls - 1u, (*esp)->id.proto);
	if ((*outer)->mode > XFRM_TUNNEL &&
	    (((*outer)->mode != XFRM_BEET && (*outer)->mode != XFRM_IPTFS) ||
	     (*outer)->id.proto != XFRM_PROTO_ESP))
		return err_set(err, -EOPNOTSUPP,
			       "template 0: mode %u: 0 (transport), 1 (tunnel), or of ESP 4 (BEET) "
			       "or 5 (IP-TFS)",
			       (*outer)->mode);
	if (*esp != *outer && (*esp)->mode != XFRM_TRANSPORT)
		return err_set(err, -EOPNOTSUPP, "template 1: mode %u: 0 (transport) behind IPComp",
			       (*esp)->mode);
	return 0;
}

/* Transport mode: what the policy is for are its ends. Between nets, which have none, no SA is
 * meant: that is how pluto traps packets.
 */
static void
ends_find(const struct xfrm_policy *p, struct tie_key *key)
{
	const struct xfrm_sel *s = &p->sel;

	if (s->src.len != addr_bits(&s->src.addr) || s->dst.len != addr_bits(&s->dst.addr))
		return;
	memcpy(key->src, s->src.addr.octets, sizeof(key->src));
	memcpy(key->dst, s->dst.addr.octets, sizeof(key->dst));
}

int
tie_key_of_policy(const struct xfrm_policy *p, struct tie_key *key, struct err *err)
{
	const struct xfrm_tmpl *esp, *outer;
	bool inbound = p->dir != XFRM_DIR_OUT;
	int rc;

	if (p->n_tmpls == 0)
		return 0;
	rc = tmpls_find(p, &esp, &outer, err);
	if (rc < 0)
		return rc;
	*key = (struct tie_key) {
		.proto = esp->id.proto,
		.mode = esp->mode,
		.family = outer->family,
		.inbound = inbound,
		.reqid = esp->reqid,
		.if_id = p->if_id,
	};
	if (inbound && esp->mode == XFRM_TRANSPORT)
		return 1;
	if (outer->mode == XFRM_TRANSPORT && is_zero(&outer->src) && is_zero(&outer->id.dst)) {
		ends_find(p, key);
		return 1;
	}
	memcpy(key->src, outer->src.octets, sizeof(key->src));
	memcpy(key->dst, outer->id.dst.octets, sizeof(key->dst));
	return 1;
}

static struct tie **
bucket_of(const struct ties *ties, const struct tie_key *key)
{
	return &ties->buckets[rte_hash_crc(key, sizeof(*key), 0) & (ties->n_buckets - 1)];
}

int
ties_create(struct gw *gw, struct ties **out, struct err *err)
{
	struct ties *ties = calloc(1, sizeof(*ties));

	if (ties != NULL)
		ties->buckets = calloc(BUCKETS_MIN, sizeof(ties->buckets[0]));
	if (ties == NULL || ties->buckets == NULL) {
		free(ties);
		return err_set(err, -ENOMEM, "no memory for ties");
	}
	ties->gw = gw;
	ties->n_buckets = BUCKETS_MIN;
	*out = ties;
	return 0;
}

void
ties_lists(struct ties *ties, tie_list_fn *list_of, const void *ctx)
{
	ties->list_of = list_of;
	ties->ctx = ctx;
}

void
ties_free(struct ties *ties)
{
	if (ties == NULL)
		return;
	free(ties->buckets);
	free(ties);
}

/* Without memory the chains get longer, which costs time alone. */
static void
grow(struct ties *ties)
{
	uint32_t n_old = ties->n_buckets;
	struct tie **old = ties->buckets, **new = calloc(2 * (size_t)n_old, sizeof(new[0]));

	if (new == NULL)
		return;
	ties->buckets = new;
	ties->n_buckets = 2 * n_old;
	for (uint32_t i = 0; i < n_old; i++) {
		while (old[i] != NULL) {
			struct tie *tie = old[i], **at = bucket_of(ties, &tie->key);

			old[i] = tie->next;
			tie->next = *at;
			*at = tie;
		}
	}
	free(old);
}

static struct tie *
find(const struct ties *ties, const struct tie_key *key)
{
	struct tie *tie = *bucket_of(ties, key);

	while (tie != NULL && memcmp(&tie->key, key, sizeof(*key)) != 0)
		tie = tie->next;
	return tie;
}

const struct tie *
tie_find(const struct ties *ties, const struct tie_key *key)
{
	return find(ties, key);
}

int
tie_get_heir(struct ties *ties, const struct tie_key *key, const struct tie *before,
	     struct tie **out, struct err *err)
{
	struct tie *tie = find(ties, key), **at;

	if (tie == NULL) {
		tie = calloc(1, sizeof(*tie));
		if (tie == NULL)
			return err_set(err, -ENOMEM, "no memory for a tie");
		if (ties->n >= ties->n_buckets)
			grow(ties);
		tie->key = *key;
		tie->group = before != NULL ? before->group : ++ties->gw->next_group;
		at = bucket_of(ties, key);
		tie->next = *at;
		*at = tie;
		ties->n++;
	}
	tie->refs++;
	*out = tie;
	return 0;
}

int
tie_get(struct ties *ties, const struct tie_key *key, struct tie **out, struct err *err)
{
	return tie_get_heir(ties, key, NULL, out, err);
}

void
tie_put(struct ties *ties, struct tie *tie)
{
	struct tie **at;

	if (--tie->refs > 0)
		return;
	at = bucket_of(ties, &tie->key);
	while (*at != tie)
		at = &(*at)->next;
	*at = tie->next;
	ties->n--;
	free(tie);
}

const struct tie_sa *
tie_sa_of(const struct tie *tie, uint32_t spi)
{
	const struct tie_sa *sa = tie->newest;

	while (sa != NULL && (sa->waits || (spi != 0 && sa->spi != spi)))
		sa = sa->older;
	return sa;
}

static uint64_t
list_of(const struct ties *ties, const struct tie_sa *sa)
{
	return sa != NULL && sa->listed && ties->list_of != NULL ? ties->list_of(ties->ctx, sa) : 0;
}

const struct tie_sa *
tie_member_of(const struct ties *ties, const struct tie *tie, uint16_t worker,
	      const struct tie_sa *like)
{
	const struct tie_sa *sa = tie->newest;

	while (sa != NULL &&
	       (sa->waits || sa->worker != worker || list_of(ties, sa) != list_of(ties, like)))
		sa = sa->older;
	return sa;
}

static uint64_t
word_of(const struct tie_sa *sa)
{
	return sa != NULL ? spd_sa_word(sa->index, sa->generation) : SA_NONE;
}

void
tie_policy_point(struct ties *ties, struct tie_policy *p)
{
	const struct tie_choice *choice = p->spi == 0 ? p->tie->choice : NULL;
	uint64_t word = word_of(tie_sa_of(p->tie, p->spi));

	if (choice != NULL)
		word = spd_sa_word(choice->index, CHOICE_MARK);
	if (spd_out_sa(ties->gw->spd, p->index) != word)
		spd_sa_set(ties->gw->spd, p->index, spd_sa_index(word), spd_sa_generation(word));
}

static void
point_all(struct ties *ties, const struct tie *tie)
{
	for (struct tie_policy *p = tie->policies; p != NULL; p = p->next)
		tie_policy_point(ties, p);
}

/* ---- Choices. ---- */

static bool
wants_choice(const struct tie *tie)
{
	return tie->key.proto != XFRM_PROTO_COMP && !tie->key.inbound &&
	       tie_sa_of(tie, 0) != NULL && (tie->n_apart > 0 || tie->n_asking > 0);
}

/* The SAs as members, the oldest first, but for those that wait; NULL: no memory. */
static struct choice_member *
members_of(const struct ties *ties, const struct tie *tie, uint32_t *n)
{
	struct choice_member *members;
	uint32_t i = 0;

	for (const struct tie_sa *sa = tie->newest; sa != NULL; sa = sa->older)
		i += !sa->waits;
	*n = i;
	members = calloc(i, sizeof(*members));
	for (const struct tie_sa *sa = tie->newest; sa != NULL && members != NULL; sa = sa->older) {
		if (sa->waits)
			continue;
		members[--i] = (struct choice_member) {
			.sa = word_of(sa),
			.dscp = list_of(ties, sa),
			.worker = sa->worker == 0 ? CHOICE_ANY_WORKER : sa->worker - 1,
			.rank = sa->rank,
		};
	}
	return members;
}

static int
choice_open(struct ties *ties, struct tie *tie, const struct choice_params *p)
{
	struct tie_choice *choice =
		calloc(1, sizeof(*choice) + p->n_workers * sizeof(choice->asked_ms[0]));
	struct err err;

	if (choice == NULL || choice_add(ties->gw->spd, p, &choice->index, &err) < 0) {
		free(choice);
		return -ENOMEM;
	}
	tie->choice = choice;
	return 0;
}

/* A choice as the SAs are now. */
static int
choice_renew(struct ties *ties, struct tie *tie)
{
	struct choice_params p = { .n_workers = ties->gw->n_workers, .asks = tie->n_asking > 0 };
	struct choice_member *members = members_of(ties, tie, &p.n);
	struct err err;
	int rc = -ENOMEM;

	p.members = members;
	if (members != NULL && tie->choice == NULL)
		rc = choice_open(ties, tie, &p);
	else if (members != NULL)
		rc = choice_change(ties->gw->spd, tie->choice->index, &p, &err);
	free(members);
	return rc;
}

/* Policies and choice to what the SAs are now. Without memory for a choice all go by the newest SA:
 * none goes by one that is about to end.
 */
static void
renew(struct ties *ties, struct tie *tie)
{
	struct tie_choice *old = tie->choice;

	if (wants_choice(tie) && choice_renew(ties, tie) == 0)
		old = NULL;
	else
		tie->choice = NULL;
	point_all(ties, tie);
	if (old != NULL) {
		choice_del(ties->gw->spd, old->index);
		free(old);
	}
}

bool
tie_worker_asks(const struct ties *ties, struct tie *tie, uint16_t worker, uint32_t now_ms)
{
	uint32_t *asked;

	if (tie->choice == NULL || worker >= ties->gw->n_workers ||
	    tie_member_of(ties, tie, 0, NULL) == NULL ||
	    tie_member_of(ties, tie, worker + 1, NULL) != NULL)
		return false;
	asked = &tie->choice->asked_ms[worker];
	if (*asked != 0 && now_ms - *asked < AGAIN_MS)
		return false;
	*asked = now_ms;
	return true;
}

/* ---- SAs and policies come and go. ---- */

static bool
is_apart(const struct tie_sa *sa)
{
	return sa->worker != 0 || sa->listed;
}

void
tie_sa_add(struct ties *ties, struct tie *tie, struct tie_sa *sa)
{
	sa->tie = tie;
	sa->newer = NULL;
	sa->older = tie->newest;
	if (sa->older != NULL)
		sa->older->newer = sa;
	tie->newest = sa;
	tie->n_apart += is_apart(sa);
	renew(ties, tie);
}

void
tie_sa_ready(struct ties *ties, struct tie_sa *sa)
{
	if (!sa->waits)
		return;
	sa->waits = false;
	if (sa->tie != NULL)
		renew(ties, sa->tie);
}

void
tie_sa_point(struct ties *ties, struct tie_sa *sa, uint32_t index, uint32_t generation)
{
	uint64_t from = word_of(sa);

	sa->index = index;
	sa->generation = generation;
	if (sa->tie == NULL)
		return;
	if (sa->tie->choice != NULL)
		choice_repoint(ties->gw->spd, sa->tie->choice->index, from, word_of(sa));
	point_all(ties, sa->tie);
}

void
tie_sa_del(struct ties *ties, struct tie_sa *sa)
{
	struct tie *tie = sa->tie;

	if (tie == NULL)
		return;
	if (sa->newer != NULL)
		sa->newer->older = sa->older;
	else
		tie->newest = sa->older;
	if (sa->older != NULL)
		sa->older->newer = sa->newer;
	sa->tie = NULL;
	tie->n_apart -= is_apart(sa);
	renew(ties, tie);
}

void
tie_policy_add(struct ties *ties, struct tie *tie, struct tie_policy *p, bool asks)
{
	p->tie = tie;
	p->prev = NULL;
	p->next = tie->policies;
	if (p->next != NULL)
		p->next->prev = p;
	tie->policies = p;
	if (asks && tie->n_asking++ == 0)
		renew(ties, tie);
	else
		tie_policy_point(ties, p);
}

void
tie_policy_del(struct ties *ties, struct tie_policy *p, bool asks)
{
	struct tie *tie = p->tie;

	if (tie == NULL)
		return;
	if (p->prev != NULL)
		p->prev->next = p->next;
	else
		tie->policies = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	p->tie = NULL;
	if (asks && --tie->n_asking == 0)
		renew(ties, tie);
}
