/* A worker's flow cache: exact 5-tuple, DSCP and direction, at one generation, to a policy.
 *
 * A burst is looked up in two passes: keys and prefetches first, then the comparisons, so that the
 * sets are near when they are read.
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
#define V6_WORDS  5

_Static_assert(BURST_MAX <= LOOKUP_MAX, "a burst is one lookup");
_Static_assert(SPD_NO_MATCH == POLICY_NONE, "no policy has one name");

/* rest: ports (as on the wire) | protocol << 32 | DSCP << 40 | later fragment << 48 | direction <<
 * 56 */
#define REST_PROTOCOL  32
#define REST_DSCP      40
#define REST_LATER     48
#define REST_DIRECTION 56

struct flow4 {
	uint64_t addrs; /* source, destination as on the wire */
	uint64_t rest;
	uint32_t generation; /* 0 = empty */
	uint32_t policy;
	uint64_t spare;
};
_Static_assert(sizeof(struct flow4) == 32, "two a line");

struct flow6 {
	uint64_t words[V6_WORDS]; /* source, destination, rest */
	uint32_t generation;
	uint32_t policy;
	uint64_t spare[2];
};
_Static_assert(sizeof(struct flow6) == 64, "one a line");

struct spd_worker {
	struct flow4 *v4;
	struct flow6 *v6;
	uint32_t v4_entries, v6_entries;
	uint32_t instance; /* of the SPD that filled it */
	uint64_t hits, misses;
};

/* One family's part of a burst. */
struct part4 {
	uint16_t n;
	uint8_t at[BURST_MAX]; /* places in the burst */
	uint32_t set[BURST_MAX];
	uint64_t addrs[BURST_MAX], rest[BURST_MAX];
};

struct part6 {
	uint16_t n;
	uint8_t at[BURST_MAX];
	uint32_t set[BURST_MAX];
	uint64_t words[BURST_MAX][V6_WORDS];
};

/* Which of the first 4 octets of the upper layer tell flows apart: ports, or type and code. The
 * second half is for later fragments.
 */
#define ICMP_MASK RTE_BE32(0xffff0000)
static const uint32_t port_masks[2 * 256] = {
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

/* All of a key but the addresses. Where the ports are not all there the header's first octets are
 * read, and masked off: no branch.
 */
static inline uint64_t
rest_of(const struct rte_mbuf *m, const struct pkt *p, const uint8_t *ip, uint64_t direction,
	uint32_t *types)
{
	uint32_t later = p->flags & PKT_FRAG_LATER;
	uint32_t mask = port_masks[p->proto + later * (256 / PKT_FRAG_LATER)];
	uint32_t off = p->l4_off;
	bool whole = off + sizeof(uint32_t) <= m->data_len;
	uint32_t ports;

	off = whole ? off : 0;
	mask = whole ? mask : 0;
	memcpy(&ports, ip + off, sizeof(ports));
	*types |= mask ^ mask >> 16;
	return (ports & mask) | (uint64_t)p->proto << REST_PROTOCOL |
	       (uint64_t)(p->tos >> 2) << REST_DSCP | (uint64_t)(later != 0) << REST_LATER |
	       direction;
}

static inline void
key4_add(const struct spd_worker *sw, struct part4 *part, uint16_t at, const struct rte_mbuf *m,
	 const struct pkt *p, uint64_t direction, uint32_t *types)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t addrs = load64(ip + offsetof(struct rte_ipv4_hdr, src_addr));
	uint64_t rest = rest_of(m, p, ip, direction, types);
	uint32_t hash = rte_hash_crc_8byte(rest, rte_hash_crc_8byte(addrs, 0));
	uint32_t set = hash & (sw->v4_entries - 1) & ~(WAYS - 1u);

	rte_prefetch0(&sw->v4[set]);
	part->at[part->n] = at;
	part->set[part->n] = set;
	part->addrs[part->n] = addrs;
	part->rest[part->n++] = rest;
}

static inline void
key6_add(const struct spd_worker *sw, struct part6 *part, uint16_t at, const struct rte_mbuf *m,
	 const struct pkt *p, uint64_t direction, uint32_t *types)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint64_t *words = part->words[part->n];
	uint32_t hash, other;

	memcpy(words, ip + offsetof(struct rte_ipv6_hdr, src_addr), 32);
	words[4] = rest_of(m, p, ip, direction, types);
	/* Two chains, as a step waits three cycles for the one before. */
	hash = rte_hash_crc_8byte(words[1], rte_hash_crc_8byte(words[0], words[4] >> 32));
	other = rte_hash_crc_8byte(words[3], rte_hash_crc_8byte(words[2], words[4]));
	part->set[part->n] = (hash ^ other * 0x9e3779b1u) & (sw->v6_entries - 1) & ~(WAYS - 1u);
	rte_prefetch0(&sw->v6[part->set[part->n]]);
	rte_prefetch0(&sw->v6[part->set[part->n] + 1]);
	part->at[part->n++] = at;
}

static inline bool
flow4_is(const struct flow4 *f, uint64_t addrs, uint64_t rest, uint32_t generation)
{
	return ((f->addrs ^ addrs) | (f->rest ^ rest) | (f->generation ^ generation)) == 0;
}

/* The places of a part that the cache does not know go to missed, by their place in the part. */
static inline uint16_t
part4_find(const struct spd_worker *sw, const struct part4 *part, uint32_t generation,
	   uint32_t *policy, uint8_t *missed)
{
	uint16_t n_missed = 0;

	for (uint16_t i = 0; i < part->n; i++) {
		const struct flow4 *set = &sw->v4[part->set[i]];
		bool first = flow4_is(&set[0], part->addrs[i], part->rest[i], generation);
		bool second = flow4_is(&set[1], part->addrs[i], part->rest[i], generation);

		policy[part->at[i]] = first ? set[0].policy : set[1].policy;
		if (unlikely(!(first | second)))
			missed[n_missed++] = i;
	}
	return n_missed;
}

static inline bool
flow6_is(const struct flow6 *f, const uint64_t *words, uint32_t generation)
{
	uint64_t differ = f->generation ^ generation;

	for (int i = 0; i < V6_WORDS; i++)
		differ |= f->words[i] ^ words[i];
	return differ == 0;
}

static inline uint16_t
part6_find(const struct spd_worker *sw, const struct part6 *part, uint32_t generation,
	   uint32_t *policy, uint8_t *missed)
{
	uint16_t n_missed = 0;

	for (uint16_t i = 0; i < part->n; i++) {
		const struct flow6 *set = &sw->v6[part->set[i]];
		bool first = flow6_is(&set[0], part->words[i], generation);
		bool second = flow6_is(&set[1], part->words[i], generation);

		policy[part->at[i]] = first ? set[0].policy : set[1].policy;
		if (unlikely(!(first | second)))
			missed[n_missed++] = i;
	}
	return n_missed;
}

static void
rest_spread(uint64_t rest, struct spd_key *key)
{
	const uint32_t wire = rest;
	uint8_t l4[4];

	memcpy(l4, &wire, sizeof(l4));
	key->protocol = rest >> REST_PROTOCOL;
	key->dscp = rest >> REST_DSCP & 63;
	key->later = rest >> REST_LATER & 1;
	key->src_port = protocol_is_icmp(key->protocol) ? l4[0] : l4[0] << 8 | l4[1];
	key->dst_port = protocol_is_icmp(key->protocol) ? l4[1] : l4[2] << 8 | l4[3];
}

/* Which of a set's two to give up: an old one, else either, by turns of the hits' and misses'
 * count. */
static inline uint32_t
way_pick(uint32_t first, uint32_t second, uint32_t generation, uint64_t turn)
{
	if (first != generation)
		return 0;
	if (second != generation)
		return 1;
	return turn & 1;
}

static void
part4_learn(struct spd_worker *sw, const struct spd *spd, uint8_t direction, uint32_t generation,
	    const struct part4 *part, const uint8_t *missed, uint16_t n, uint32_t *policy)
{
	struct spd_key keys[LOOKUP_MAX];
	uint32_t found[LOOKUP_MAX];

	for (uint16_t i = 0; i < n; i++) {
		memset(&keys[i], 0, sizeof(keys[i]));
		memcpy(keys[i].src, &part->addrs[missed[i]], 4);
		memcpy(keys[i].dst, (const uint8_t *)&part->addrs[missed[i]] + 4, 4);
		rest_spread(part->rest[missed[i]], &keys[i]);
	}
	classify(spd, SIDE(direction, false), generation, keys, n, found);
	for (uint16_t i = 0; i < n; i++) {
		struct flow4 *f = &sw->v4[part->set[missed[i]]];

		f += way_pick(f[0].generation, f[1].generation, generation, sw->misses + i);
		f->addrs = part->addrs[missed[i]];
		f->rest = part->rest[missed[i]];
		f->generation = generation;
		f->policy = found[i];
		policy[part->at[missed[i]]] = found[i];
	}
}

static void
part6_learn(struct spd_worker *sw, const struct spd *spd, uint8_t direction, uint32_t generation,
	    const struct part6 *part, const uint8_t *missed, uint16_t n, uint32_t *policy)
{
	struct spd_key keys[LOOKUP_MAX];
	uint32_t found[LOOKUP_MAX];

	for (uint16_t i = 0; i < n; i++) {
		const uint64_t *words = part->words[missed[i]];

		memset(&keys[i], 0, sizeof(keys[i]));
		memcpy(keys[i].src, &words[0], 16);
		memcpy(keys[i].dst, &words[2], 16);
		rest_spread(words[4], &keys[i]);
		keys[i].v6 = true;
	}
	classify(spd, SIDE(direction, true), generation, keys, n, found);
	for (uint16_t i = 0; i < n; i++) {
		struct flow6 *f = &sw->v6[part->set[missed[i]]];

		f += way_pick(f[0].generation, f[1].generation, generation, sw->misses + i);
		memcpy(f->words, part->words[missed[i]], sizeof(f->words));
		f->generation = generation;
		f->policy = found[i];
		policy[part->at[missed[i]]] = found[i];
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
	    uint16_t n, uint32_t *policy)
{
	for (uint16_t i = 0; i < n; i++) {
		struct spd_key key;
		uint32_t found;

		if (!undecided(spd, policy[i]) || !quote_key(pkts[i], pkt_of(pkts[i]), &key))
			continue;
		classify(spd, SIDE(direction, key.v6), generation, &key, 1, &found);
		if (found < SPD_FRAG_PORTS && spd_policy(spd, found)->icmp)
			policy[i] = found;
	}
}

static inline void
parts_find(struct spd_worker *sw, const struct spd *spd, uint8_t direction, uint32_t generation,
	   const struct part4 *v4, const struct part6 *v6, uint32_t *policy)
{
	uint8_t missed[BURST_MAX];
	uint16_t n_missed = part4_find(sw, v4, generation, policy, missed);
	uint16_t sum = n_missed;

	if (unlikely(n_missed != 0))
		part4_learn(sw, spd, direction, generation, v4, missed, n_missed, policy);
	n_missed = part6_find(sw, v6, generation, policy, missed);
	if (unlikely(n_missed != 0))
		part6_learn(sw, spd, direction, generation, v6, missed, n_missed, policy);
	sum += n_missed;
	cell_add(&sw->misses, sum);
	cell_add(&sw->hits, v4->n + v6->n - sum);
}

void
spd_lookup(struct worker *w, const struct spd *spd, enum spd_direction direction,
	   struct rte_mbuf **pkts, uint16_t n, uint32_t *policy)
{
	uint32_t generation = __atomic_load_n(&spd->generation, __ATOMIC_ACQUIRE);
	uint64_t side = (uint64_t)direction << REST_DIRECTION;
	struct spd_worker *sw = w->spd;
	uint32_t types = 0;
	struct part4 v4;
	struct part6 v6;

	if (unlikely(sw->instance != spd->instance))
		forget_all(sw, spd->instance);
	v4.n = v6.n = 0;
	for (uint16_t i = 0; i < n; i++) {
		const struct pkt *p = pkt_of(pkts[i]);

		if (p->flags & PKT_V6)
			key6_add(sw, &v6, i, pkts[i], p, side, &types);
		else
			key4_add(sw, &v4, i, pkts[i], p, side, &types);
	}
	parts_find(sw, spd, direction, generation, &v4, &v6, policy);
	/* Half a mask: ICMP was among them. */
	if (unlikely((types & UINT16_MAX) != 0))
		errors_find(spd, direction, generation, pkts, n, policy);
}
