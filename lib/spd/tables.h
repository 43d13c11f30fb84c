/* What the SPD is made of inside: rules, the hash of their prefix pairs, and rte_acl for the rest.
 *
 * A policy is one rule for each pair of a source and a destination range. A rule hangs under the
 * prefixes that cover its ranges, in a chain by precedence; what the prefixes do not say (protocol,
 * ports, DSCP, true ends of a range) is in its `extra`, checked when the chain is walked. So one
 * probe for each pair of prefix lengths in use finds all candidates. A chain has at most CHAIN_MAX
 * rules: more with equal addresses go to the side's `many`, first in a list, from spd_maintain() on
 * in rte_acl.
 *
 * A rule is seen by lookups that began at generation `born` or later, but not after it died: that
 * is what makes a commit of many changes one step. It is unlinked one grace period after it died (a
 * lookup that began before may still need it), and its memory goes one more after that.
 */
#ifndef SPD_TABLES_H
#define SPD_TABLES_H

#include <nmmintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_atomic.h>
#include <rte_common.h>
#include <rte_vect.h>

#include "spd/spd.h"
#include "wire/bytes.h"

#define CHAIN_MAX    4
#define RULE_NONE    0
#define BUCKET_SLOTS 7
#define SPAN_FOREVER (UINT32_C(1) << 31)
#define AGE_SWEEP    (UINT32_C(1) << 28) /* ages are set back after so many commits */
#define PAIRS_V4     (33 * 33)
#define PAIRS_V6     (129 * 129)
#define PAIRS_MAX    (SPD_DIRECTIONS * (PAIRS_V4 + PAIRS_V6))
#define LOOKUP_MAX   64

/* A direction and a family. */
#define SIDES		     4
#define SIDE(direction, v6)  ((direction)*2 + (v6))
#define SIDE_V6(side)	     ((side)&1)
#define SIDE_DIRECTION(side) ((side) >> 1)

/* Where control finds a rule. Those that the hash leads to have 0: shapes compare as they are. */
enum rule_place {
	PLACE_CHAIN,
	PLACE_FRESH,
	PLACE_REST,
	PLACE_BUILT,
};

struct rule {
	uint64_t src[2], dst[2]; /* covering prefixes, network byte order, the rest 0 */
	uint64_t precedence;
	uint32_t born; /* the first generation that sees it */
	uint32_t span; /* how many generations see it: SPAN_FOREVER, less once it died */
	uint32_t policy;
	uint32_t next;	/* in the chain or the list; RULE_NONE */
	uint32_t extra; /* EXTRA_NONE: the prefixes say it all */
	uint8_t src_length, dst_length;
	uint8_t side;
	uint8_t place;
};
_Static_assert(sizeof(struct rule) == 64, "one line a rule");

#define EXTRA_NONE UINT32_MAX

struct rule_extra {
	uint64_t dscp;
	struct spd_ports src_port, dst_port;
	int16_t protocol;
	bool has_ports;	  /* not any */
	bool has_ranges;  /* src and dst are not just their covering prefixes */
	uint32_t sibling; /* the policy's next rule, RULE_NONE; control's */
	struct spd_range src, dst;
};

/* Rules by the hash of (side, prefix lengths, prefixes). `over` counts the entries that found this
 * bucket full on their way from their home: a lookup goes on while it is not 0.
 */
struct bucket {
	uint32_t hash[BUCKET_SLOTS]; /* 0 = free */
	uint32_t over;
	uint32_t head[BUCKET_SLOTS];
	uint32_t spare;
} __rte_cache_aligned;

/* A pair of prefix lengths as a lookup sees it. */
struct pair {
	uint64_t src_mask[2], dst_mask[2];
	uint64_t best; /* no rule here has a better precedence */
	uint8_t src_length, dst_length;
	uint8_t side;
	uint8_t zero;
};

/* By ascending best. Never changed once published. */
struct pair_list {
	uint32_t n, room;
	struct pair pairs[];
};

struct built;

/* Rules with so many of equal addresses that a chain would be long. Replaced as a whole. */
struct many {
	struct built *built; /* NULL = none */
	uint32_t fresh;	     /* list of those not yet built in, newest first */
	uint32_t rest;	     /* list of those that rte_acl would need too many entries for */
	uint32_t n_fresh;    /* control's, as the rest */
	uint32_t n_rest;
	uint32_t n_dead; /* in built */
};

/* Policies staged together; the dead stay together on their way out. */
struct batch {
	struct spd *spd;
	uint32_t n, room;
	uint32_t policies[];
};

struct spd_tables {
	/* Read by workers. */
	struct slab rules, extras;
	struct bucket *buckets;
	uint32_t bucket_mask;
	struct pair_list *pairs[SIDES];
	struct many *many[SIDES];

	/* Control's own. */
	uint64_t serial;
	uint32_t *pair_count; /* rules by pair id */
	uint64_t *pair_best;
	bool *pair_listed;		     /* in the published list or in the next one */
	struct pair_list *next_pairs[SIDES]; /* new ones gather here: so a commit needs no memory */
	bool pairs_changed[SIDES];
	bool best_stale; /* a pair's best rule left: what the pair claims only costs time */
	struct batch *added, *dying; /* staged; NULL = none */
	uint64_t maintain_next;	     /* TSC: not before, unless asked to */
	struct spd_params params;
};

/* Visible at that generation? One comparison, across the wrap too. */
static inline bool
rule_seen(const struct rule *r, uint32_t generation)
{
	uint32_t age = generation - __atomic_load_n(&r->born, __ATOMIC_RELAXED);

	return age < __atomic_load_n(&r->span, __ATOMIC_RELAXED);
}

/* Keeps a living rule's age far below SPAN_FOREVER. */
static inline void
rule_age(struct rule *r, uint32_t generation)
{
	if (r->span == SPAN_FOREVER && generation - r->born > AGE_SWEEP)
		__atomic_store_n(&r->born, generation - AGE_SWEEP, __ATOMIC_RELAXED);
}

static inline struct rule *
rule_at(const struct spd_tables *t, uint32_t index)
{
	return slab_at(&t->rules, index);
}

static inline struct rule_extra *
extra_at(const struct spd_tables *t, uint32_t index)
{
	return slab_at(&t->extras, index);
}

static inline uint32_t
shape_of(uint8_t src_length, uint8_t dst_length, uint8_t side)
{
	return src_length | dst_length << 8 | side << 16;
}

#define HASH_ODD 0x9e3779b1u

/* Every CPU that the build is for has it: no question in between, as rte_hash_crc has one. */
static inline uint32_t
hash64(uint64_t v, uint32_t seed)
{
	return _mm_crc32_u64(seed, v);
}

/* Never 0. */
static inline uint32_t
prefixes_hash(uint32_t shape, const uint64_t src[2], const uint64_t dst[2])
{
	uint32_t h = hash64(dst[0], hash64(src[0], shape * HASH_ODD));

	if (SIDE_V6(shape >> 16))
		h = hash64(dst[1], hash64(src[1], h));
	return h != 0 ? h : 1;
}

/* The slots of a bucket that hold the hash, as bits. What they lead to is to be compared. */
static inline uint32_t
bucket_hits(const struct bucket *b, uint32_t hash)
{
	__m128i want = _mm_set1_epi32(hash);
	__m128i lo = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)&b->hash[0]), want);
	__m128i hi = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)&b->hash[4]), want);
	uint32_t hits =
		_mm_movemask_ps(_mm_castsi128_ps(lo)) | _mm_movemask_ps(_mm_castsi128_ps(hi)) << 4;

	/* What is read next, the heads, is as new as what was read here. */
	rte_smp_rmb();
	return hits & ((1u << BUCKET_SLOTS) - 1);
}

static inline uint32_t
rule_shape(const struct rule *r)
{
	return shape_of(r->src_length, r->dst_length, r->side) | (uint32_t)r->place << 24;
}

static inline bool
rule_under(const struct rule *r, uint32_t shape, const uint64_t src[2], const uint64_t dst[2])
{
	uint64_t differ = (r->src[0] ^ src[0]) | (r->src[1] ^ src[1]) | (r->dst[0] ^ dst[0]) |
			  (r->dst[1] ^ dst[1]) | (rule_shape(r) ^ shape);

	return differ == 0;
}

/* match.c */
/* The mask of a prefix length, in network byte order; v4 in the first 4 octets. */
void prefix_mask(uint8_t length, uint64_t mask[2]);

enum match {
	MATCH_NO,
	MATCH_YES,
	MATCH_UNSURE, /* would depend on the ports that a later fragment does not have */
};

/* Does what the prefixes do not say match? */
enum match extra_match(const struct rule_extra *x, const struct spd_key *key);
/* All of a rule; x NULL: it has none. */
enum match rule_match(const struct rule *r, const struct rule_extra *x, const struct spd_key *key);

/* What the first octets of an upper layer hold. */
enum protocol_kind {
	KIND_NONE, /* nothing that a policy asks for */
	KIND_PORTS,
	KIND_ICMP,	/* type and code */
	KIND_EXTENSION, /* of IPv6: no upper layer yet */
};
extern const uint8_t protocol_kinds[256];

/* A later fragment names what followed the fragment header: that may be another extension header,
 * and the protocol was in the first fragment only.
 */
static inline bool
protocol_hidden(const struct spd_key *key)
{
	return key->later && key->v6 && protocol_kinds[key->protocol] == KIND_EXTENSION;
}

static inline bool
protocol_has_ports(uint8_t protocol)
{
	return protocol_kinds[protocol] == KIND_PORTS;
}

static inline bool
protocol_is_icmp(uint8_t protocol)
{
	return protocol_kinds[protocol] == KIND_ICMP;
}

/* The best so far in a lookup. */
struct finding {
	uint64_t precedence; /* UINT64_MAX = none yet */
	uint32_t policy;     /* or SPD_NO_MATCH, SPD_FRAG_PORTS */
};

static inline void
found_take(struct finding *f, const struct rule *r, enum match match)
{
	f->precedence = r->precedence;
	f->policy = match == MATCH_YES ? r->policy : SPD_FRAG_PORTS;
}

/* rule.c: from parameters to rules. */
int policy_check(const struct policy_params *p, struct err *err);
/* Makes the rules of a policy, in no table yet; on failure none. */
int rules_make(struct spd *spd, const struct policy_params *p, uint32_t policy, struct err *err);
/* The policy's rule after that one, RULE_NONE at the end. */
uint32_t rule_sibling(const struct spd_tables *t, const struct rule *r);
void rules_free(struct spd_tables *t, uint32_t first);

/* hash.c */
uint32_t buckets_for(uint32_t max_rules);
int pairs_init(struct spd_tables *t, struct err *err);
void pairs_fini(struct spd_tables *t);
/* Memory for so many more rules of a side: what the next commit needs of it. */
int pairs_reserve(struct spd_tables *t, uint8_t side, uint32_t more, struct err *err);
/* Enters the rule, after pairs_reserve(); false when its chain is full: it is for the list then. */
bool hash_insert(struct spd_tables *t, uint32_t index);
void hash_remove(struct spd_tables *t, uint32_t index);
/* Shows the pairs' changes to lookups. */
void pairs_publish(struct spd_tables *t);
/* Makes each pair's best true again. */
void pairs_refresh(struct spd_tables *t);

/* lookup.c */
/* n <= LOOKUP_MAX keys of one family. */
void classify(const struct spd *spd, uint8_t side, uint32_t generation, const struct spd_key *keys,
	      uint16_t n, uint32_t *policies);

/* many.c */
int many_init(struct spd_tables *t, struct err *err);
void many_fini(struct spd_tables *t);
void many_insert(struct spd_tables *t, uint32_t index);
/* Unlinks it from its list; what is built keeps its copy, which is never seen again. */
void many_remove(struct spd_tables *t, uint32_t index);
/* The span of a built rule's copy, and of its policy's others of the same side. */
void many_span_set(struct spd_tables *t, const struct rule *r, uint32_t span);
void many_ages_sweep(struct spd_tables *t, uint32_t generation);
void many_find(const struct spd_tables *t, uint8_t side, uint32_t generation,
	       const struct spd_key *keys, uint16_t n, struct finding *found);
void many_stats(const struct spd_tables *t, struct spd_stats *s);

/* choice.c: frees those that are left. */
void choices_fini(struct spd *spd);

/* spd.c: calls free_fn(obj) after a grace period. */
void spd_later(struct spd_tables *t, void (*free_fn)(void *), void *obj);

#endif
