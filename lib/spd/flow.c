/* A worker's flow cache: exact 5-tuple, DSCP and direction, at one generation, to a policy.
 *
 * A burst is looked up in two passes: keys and prefetches first, then the comparisons, so that the
 * sets are near when they are read. Packets of one flow in a row share a key.
 */
#include <errno.h>
#include <netinet/in.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "spd/quote.h"
#include "spd/spd_stage.h"
#include "spd/tables.h"
#include "worker/worker.h"

#define WAYS	  2
#define FLOWS_MIN 64
#define FLOWS_MAX (1u << 26)
#define V6_WORDS  4

_Static_assert(BURST_MAX <= LOOKUP_MAX, "a burst is one lookup");
_Static_assert(SPD_NO_MATCH == POLICY_NONE, "no policy has one name");

/* The key but for the addresses: ports as on the wire, and above them four octets as struct pkt has
 * them, with the direction in the first: read at once, which is why their order there matters.
 */
#define REST_DIRECTION 32
#define REST_PROTOCOL  40
#define REST_FIRST     (48 + 1)
#define REST_LATER     (48 + 2)
#define REST_DSCP      (56 + 2)
#define PKT_FRAGMENT   (PKT_FRAG_FIRST | PKT_FRAG_LATER)
#define PKT_MASK       (UINT32_C(0xff) << 8 | (PKT_FRAGMENT | PKT_V6) << 16 | UINT32_C(0xfc) << 24)
#define REST_NONE      UINT64_MAX /* that of no packet */
_Static_assert(offsetof(struct pkt, proto) % 4 == 1 &&
		       offsetof(struct pkt, flags) == offsetof(struct pkt, proto) + 1 &&
		       offsetof(struct pkt, tos) == offsetof(struct pkt, proto) + 2,
	       "proto, flags and tos are the last three octets of one word");
_Static_assert(PKT_FRAG_FIRST == 1 << 1 && PKT_FRAG_LATER == 1 << 2, "REST_FIRST, REST_LATER");
_Static_assert(RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN, "the words' octets lie as said");

/* The tag, 32 bits of hash, tells which of a set's two may be the one; the rest must be equal. */
struct flow4 {
	uint32_t tag;
	uint32_t policy;
	uint64_t addrs; /* source, destination as on the wire */
	uint64_t rest;
	uint32_t generation; /* 0 = empty */
	uint32_t group;	     /* of the policy, as lookups give it */
};
_Static_assert(sizeof(struct flow4) == 32, "a set of two is one line");

struct flow6 {
	uint32_t tag;
	uint32_t policy;
	uint64_t addrs[V6_WORDS];
	uint64_t rest;
	uint32_t generation;
	uint32_t group;
	uint32_t spare[2];
};
_Static_assert(sizeof(struct flow6) == 64, "one a line");

struct spd_worker {
	struct flow4 *v4;
	struct flow6 *v6;
	uint32_t v4_entries, v6_entries;
	uint32_t instance; /* of the SPD that filled it */
	uint64_t hits, misses;
};

/* A burst's keys. */
struct keys {
	uint16_t n;	       /* of them */
	uint8_t of[BURST_MAX]; /* by packet: its key's place; ascending */
	uint64_t v6;	       /* bits: which keys */
	uint32_t tag[BURST_MAX];
	void *set[BURST_MAX]; /* two struct flow4 or two struct flow6 */
	uint64_t rest[BURST_MAX];
	uint64_t addrs4[BURST_MAX];
	uint64_t addrs6[BURST_MAX][V6_WORDS];
};

/* Which of the first 4 octets of the upper layer tell flows apart: ports, or type and code. */
#define ICMP_MASK RTE_BE32(0xffff0000)
#define ICMP_BIT  (1u << 16) /* of ICMP_MASK + 1 alone */
static const uint32_t port_masks[256] = {
	[IPPROTO_TCP] = UINT32_MAX,   [IPPROTO_UDP] = UINT32_MAX,     [IPPROTO_DCCP] = UINT32_MAX,
	[IPPROTO_SCTP] = UINT32_MAX,  [IPPROTO_UDPLITE] = UINT32_MAX, [IPPROTO_ICMP] = ICMP_MASK,
	[IPPROTO_ICMPV6] = ICMP_MASK,
};

static int
entries_check(uint32_t *entries, uint32_t standard, struct err *err)
{
	if (*entries == 0)
		*entries = standard;
	if (*entries < FLOWS_MIN || *entries > FLOWS_MAX || !rte_is_power_of_2(*entries))
		return err_set(err, -EINVAL, "flow cache: %u entries: a power of two, %u to %u",
			       *entries, FLOWS_MIN, FLOWS_MAX);
	return 0;
}

int
spd_worker_init(uint32_t v4_entries, uint32_t v6_entries, int socket, struct spd_worker **out,
		struct err *err)
{
	struct spd_worker *sw;
	int rc;

	rc = entries_check(&v4_entries, SPD_FLOWS_V4, err);
	if (rc == 0)
		rc = entries_check(&v6_entries, SPD_FLOWS_V6, err);
	if (rc < 0)
		return rc;
	sw = rte_zmalloc_socket("spd_worker", sizeof(*sw), RTE_CACHE_LINE_SIZE, socket);
	if (sw == NULL)
		return err_set(err, -ENOMEM, "flow cache: no memory on socket %d", socket);
	sw->v4_entries = v4_entries;
	sw->v6_entries = v6_entries;
	sw->v4 = rte_zmalloc_socket("spd_flows_v4", v4_entries * sizeof(*sw->v4),
				    RTE_CACHE_LINE_SIZE, socket);
	sw->v6 = rte_zmalloc_socket("spd_flows_v6", v6_entries * sizeof(*sw->v6),
				    RTE_CACHE_LINE_SIZE, socket);
	if (sw->v4 == NULL || sw->v6 == NULL) {
		spd_worker_fini(sw);
		return err_set(err, -ENOMEM, "flow cache: no memory on socket %d", socket);
	}
	*out = sw;
	return 0;
}

void
spd_worker_fini(struct spd_worker *sw)
{
	if (sw == NULL)
		return;
	rte_free(sw->v4);
	rte_free(sw->v6);
	rte_free(sw);
}

void
spd_worker_counts(const struct spd_worker *sw, struct spd_flow_counts *counts)
{
	counts->hits = cell_get(&sw->hits);
	counts->misses = cell_get(&sw->misses);
}

static void
forget_all(struct spd_worker *sw, uint32_t instance)
{
	memset(sw->v4, 0, sw->v4_entries * sizeof(*sw->v4));
	memset(sw->v6, 0, sw->v6_entries * sizeof(*sw->v6));
	sw->instance = instance;
}

/* All of a key but the addresses. *icmp gets ICMP_BIT if the packet is one. */
static inline uint64_t
rest_of(const struct rte_mbuf *m, const struct pkt *p, const uint8_t *ip, uint32_t direction,
	uint32_t *icmp)
{
	uint32_t mask = port_masks[p->proto];
	uint32_t word, ports;

	memcpy(&word, (const uint8_t *)p + offsetof(struct pkt, proto) - 1, sizeof(word));
	*icmp |= mask + 1;
	word = (word & PKT_MASK) | direction;
	if (unlikely((p->flags & PKT_FRAG_LATER) || p->l4_off + 4u > m->data_len))
		return (uint64_t)word << REST_DIRECTION;
	memcpy(&ports, ip + p->l4_off, sizeof(ports));
	return (uint64_t)word << REST_DIRECTION | (ports & mask);
}

static inline void
key4_set(const struct spd_worker *sw, struct keys *k, uint16_t at, uint64_t addrs, uint64_t rest)
{
	uint32_t tag = hash64(rest, hash64(addrs, 0));

	k->set[at] = &sw->v4[tag & (sw->v4_entries - WAYS)];
	rte_prefetch0(k->set[at]);
	k->tag[at] = tag;
	k->rest[at] = rest;
	k->addrs4[at] = addrs;
}

static inline void
key6_set(const struct spd_worker *sw, struct keys *k, uint16_t at, const uint8_t *from,
	 uint64_t rest)
{
	uint64_t a = wire_load64(from), b = wire_load64(from + 8), c = wire_load64(from + 16),
		 d = wire_load64(from + 24);
	/* Two chains, as a step waits three cycles for the one before. */
	uint32_t tag = hash64(c, hash64(a, 0)) ^ hash64(rest, hash64(d, hash64(b, 1))) * HASH_ODD;
	struct flow6 *set = &sw->v6[tag & (sw->v6_entries - WAYS)];

	rte_prefetch0(set);
	rte_prefetch0(set + 1);
	k->v6 |= UINT64_C(1) << at;
	k->set[at] = set;
	k->tag[at] = tag;
	k->rest[at] = rest;
	memcpy(k->addrs6[at], from, sizeof(k->addrs6[at]));
}

static inline bool
flow4_find(const struct keys *k, uint16_t i, uint32_t generation, uint32_t *policy, uint32_t *group)
{
	const struct flow4 *f = k->set[i];

	f += f->tag != k->tag[i];
	*policy = f->policy;
	*group = f->group;
	return ((f->addrs ^ k->addrs4[i]) | (f->rest ^ k->rest[i]) |
		(f->generation ^ generation)) == 0;
}

static inline bool
flow6_find(const struct keys *k, uint16_t i, uint32_t generation, uint32_t *policy, uint32_t *group)
{
	const struct flow6 *f = k->set[i];
	uint64_t differ;

	f += f->tag != k->tag[i];
	differ = (f->rest ^ k->rest[i]) | (f->generation ^ generation);
	for (int w = 0; w < V6_WORDS; w++)
		differ |= f->addrs[w] ^ k->addrs6[i][w];
	*policy = f->policy;
	*group = f->group;
	return differ == 0;
}

/* What of a burst the cache does not know goes to missed; returns how many. */
static inline uint16_t
keys_find(const struct keys *k, uint64_t v6, uint32_t generation, uint32_t *policy, uint32_t *group,
	  uint8_t *missed)
{
	uint16_t n_missed = 0;

	for (uint16_t i = 0; i < k->n; i++) {
		bool known = v6 >> i & 1 ? flow6_find(k, i, generation, &policy[i], &group[i]) :
					   flow4_find(k, i, generation, &policy[i], &group[i]);

		if (unlikely(!known))
			missed[n_missed++] = i;
	}
	return n_missed;
}

static void
key_spread(const struct keys *k, uint16_t i, bool v6, struct spd_key *key)
{
	uint64_t rest = k->rest[i];
	const uint8_t *l4 = (const uint8_t *)&rest;

	memset(key, 0, sizeof(*key));
	key->protocol = rest >> REST_PROTOCOL;
	key->dscp = rest >> REST_DSCP & 63;
	key->later = rest >> REST_LATER & 1;
	key->src_port = protocol_is_icmp(key->protocol) ? l4[0] : l4[0] << 8 | l4[1];
	key->dst_port = protocol_is_icmp(key->protocol) ? l4[1] : l4[2] << 8 | l4[3];
	key->v6 = v6;
	if (v6) {
		memcpy(key->src, &k->addrs6[i][0], 16);
		memcpy(key->dst, &k->addrs6[i][2], 16);
	} else {
		memcpy(key->src, &k->addrs4[i], 4);
		memcpy(key->dst, (const uint8_t *)&k->addrs4[i] + 4, 4);
	}
}

/* Which of a set's two to give up: the one of this tag, as only that would be looked at; an old
 * one; else either, by turns.
 */
static inline uint32_t
way_pick(const uint32_t tags[WAYS], const uint32_t generations[WAYS], uint32_t tag,
	 uint32_t generation, uint64_t turn)
{
	if (tags[0] == tag || generations[0] != generation)
		return 0;
	if (tags[1] == tag || generations[1] != generation)
		return 1;
	return turn & 1;
}

static void
flow4_learn(const struct keys *k, uint16_t i, uint32_t generation, uint32_t policy, uint32_t group,
	    uint64_t turn)
{
	struct flow4 *f = k->set[i];
	uint32_t tags[WAYS] = { f[0].tag, f[1].tag };
	uint32_t generations[WAYS] = { f[0].generation, f[1].generation };

	f[way_pick(tags, generations, k->tag[i], generation, turn)] =
		(struct flow4) { .tag = k->tag[i],
				 .policy = policy,
				 .addrs = k->addrs4[i],
				 .rest = k->rest[i],
				 .generation = generation,
				 .group = group };
}

static void
flow6_learn(const struct keys *k, uint16_t i, uint32_t generation, uint32_t policy, uint32_t group,
	    uint64_t turn)
{
	struct flow6 *f = k->set[i];
	uint32_t tags[WAYS] = { f[0].tag, f[1].tag };
	uint32_t generations[WAYS] = { f[0].generation, f[1].generation };

	f += way_pick(tags, generations, k->tag[i], generation, turn);
	f->tag = k->tag[i];
	f->policy = policy;
	memcpy(f->addrs, k->addrs6[i], sizeof(f->addrs));
	f->rest = k->rest[i];
	f->generation = generation;
	f->group = group;
}

/* What lookups say of a policy besides its index, so that nobody has to look at it. */
static uint32_t
group_of(const struct spd *spd, uint32_t policy)
{
	if (policy >= SPD_FRAG_PORTS || spd_policy(spd, policy)->action != POLICY_PROTECT)
		return 0;
	return spd_policy(spd, policy)->group;
}

/* The same of first fragments: whether those that follow need what they got. */
static uint32_t
group_of_first(const struct spd *spd, uint8_t side, uint32_t generation, struct spd_key *key,
	       uint32_t policy)
{
	uint32_t later;

	key->later = true;
	key->src_port = key->dst_port = 0;
	classify(spd, side, generation, key, 1, &later);
	return later == SPD_FRAG_PORTS ? SPD_GROUP_FIRST : group_of(spd, policy);
}

/* Judges those of one family that were missed. */
static void
family_learn(const struct spd *spd, uint8_t side, uint32_t generation, const struct keys *k,
	     const uint8_t *missed, uint16_t n_missed, uint64_t turn, uint32_t *policy,
	     uint32_t *group)
{
	struct spd_key keys[LOOKUP_MAX];
	uint32_t found[LOOKUP_MAX];
	uint8_t at[LOOKUP_MAX];
	bool v6 = SIDE_V6(side);
	uint16_t n = 0;

	for (uint16_t i = 0; i < n_missed; i++) {
		if ((k->v6 >> missed[i] & 1) == v6) {
			key_spread(k, missed[i], v6, &keys[n]);
			at[n++] = missed[i];
		}
	}
	if (n == 0)
		return;
	classify(spd, side, generation, keys, n, found);
	for (uint16_t i = 0; i < n; i++) {
		policy[at[i]] = found[i];
		group[at[i]] = (k->rest[at[i]] >> REST_FIRST & 1) == 0 ?
				       group_of(spd, found[i]) :
				       group_of_first(spd, side, generation, &keys[i], found[i]);
		if (v6)
			flow6_learn(k, at[i], generation, found[i], group[at[i]], turn + i);
		else
			flow4_learn(k, at[i], generation, found[i], group[at[i]], turn + i);
	}
}

/* No policy, or only one that says nothing about this packet in particular. */
static bool
undecided(const struct spd *spd, uint32_t policy)
{
	return policy == SPD_NO_MATCH ||
	       (policy != SPD_FRAG_PORTS && spd_policy(spd, policy)->catch_all);
}

/* RFC 4301 section 6: an ICMP error goes the way that the answers to the packet it quotes would go.
 */
static void
errors_find(const struct spd *spd, uint8_t direction, uint32_t generation, struct rte_mbuf **pkts,
	    uint16_t n, uint32_t *policy, uint32_t *group)
{
	for (uint16_t i = 0; i < n; i++) {
		struct spd_key key;
		uint32_t found;

		if (!protocol_is_icmp(pkt_of(pkts[i])->proto) || !undecided(spd, policy[i]) ||
		    !quote_key(pkts[i], pkt_of(pkts[i]), &key))
			continue;
		classify(spd, SIDE(direction, key.v6), generation, &key, 1, &found);
		if (found < SPD_FRAG_PORTS && spd_policy(spd, found)->icmp) {
			policy[i] = found;
			group[i] = group_of(spd, found);
		}
	}
}

static void
missed_find(struct spd_worker *sw, const struct spd *spd, uint8_t direction, uint32_t generation,
	    const struct keys *k, const uint8_t *missed, uint16_t n_missed, uint32_t *policy,
	    uint32_t *group)
{
	for (int v6 = 0; v6 < 2; v6++)
		family_learn(spd, SIDE(direction, v6), generation, k, missed, n_missed, sw->misses,
			     policy, group);
	cell_add(&sw->misses, n_missed);
}

/* Of two packets of IPv6 with the same rest. */
static inline bool
addrs6_differ(const uint64_t *addrs, const uint8_t *from)
{
	uint64_t differ = 0;

	for (int w = 0; w < V6_WORDS; w++)
		differ |= addrs[w] ^ wire_load64(from + 8 * w);
	return differ != 0;
}

static inline uint32_t
keys_set(const struct spd_worker *sw, struct keys *k, enum spd_direction direction,
	 struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t last_addrs = 0, last_rest = REST_NONE;
	uint16_t at = UINT16_MAX;
	uint32_t icmp = 0;

	k->v6 = 0;
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *ip = rte_pktmbuf_mtod(pkts[i], const uint8_t *);
		const struct pkt *p = pkt_of(pkts[i]);
		uint64_t rest = rest_of(pkts[i], p, ip, direction, &icmp);

		if (p->flags & PKT_V6) {
			ip += offsetof(struct rte_ipv6_hdr, src_addr);
			if (rest != last_rest || addrs6_differ(k->addrs6[at], ip))
				key6_set(sw, k, ++at, ip, rest);
		} else {
			uint64_t addrs = wire_load64(ip + offsetof(struct rte_ipv4_hdr, src_addr));

			if (((addrs ^ last_addrs) | (rest ^ last_rest)) != 0)
				key4_set(sw, k, ++at, addrs, rest);
			last_addrs = addrs;
		}
		last_rest = rest;
		k->of[i] = (uint8_t)at;
	}
	k->n = at + 1;
	return icmp & ICMP_BIT;
}

/* From keys to packets, the last first: a key stands at the place of its first packet or before. */
static inline void
spread(const struct keys *k, uint16_t n, uint32_t *policy, uint32_t *group)
{
	if (k->n == n)
		return;
	for (uint16_t i = n; i-- > 0;) {
		policy[i] = policy[k->of[i]];
		group[i] = group[k->of[i]];
	}
}

void
spd_lookup(struct worker *w, const struct spd *spd, enum spd_direction direction,
	   struct rte_mbuf **pkts, uint16_t n, uint32_t *policy, uint32_t *group)
{
	uint32_t generation = __atomic_load_n(&spd->generation, __ATOMIC_ACQUIRE);
	struct spd_worker *sw = w->spd;
	uint8_t missed[BURST_MAX];
	uint16_t n_missed;
	struct keys keys;
	uint32_t icmp;

	if (unlikely(sw->instance != spd->instance))
		forget_all(sw, spd->instance);
	icmp = keys_set(sw, &keys, direction, pkts, n);
	/* A loop for IPv4 alone asks nothing about the family. */
	n_missed = keys.v6 == 0 ? keys_find(&keys, 0, generation, policy, group, missed) :
				  keys_find(&keys, keys.v6, generation, policy, group, missed);
	cell_add(&sw->hits, n - n_missed);
	if (unlikely(n_missed != 0))
		missed_find(sw, spd, direction, generation, &keys, missed, n_missed, policy, group);
	spread(&keys, n, policy, group);
	if (unlikely(icmp != 0))
		errors_find(spd, direction, generation, pkts, n, policy, group);
}
