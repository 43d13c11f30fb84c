/* Rules as rte_acl wants them.
 *
 * rte_acl knows prefixes, ranges of ports and one protocol: a rule with other ranges, with a set of
 * classes, or with ports of any protocol becomes several entries. What it answers is the position
 * of the first rule that holds; if that one is not to be seen, the search goes on from there one by
 * one.
 */
#include "spd/built.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_acl.h>
#include <rte_byteorder.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#define ENTRIES_MAX  1024 /* of one rule */
#define PREFIXES_MAX 254  /* of one range: 2 * 128 - 2 */
#define RUNS_MAX     32	  /* of classes */
#define FIELDS_MAX   13

/* Network byte order, as rte_acl reads it; v4 in the first 4 octets of an address. */
struct acl_input {
	uint8_t protocol;
	uint8_t zero[3];
	uint8_t src[16], dst[16];
	uint16_t src_port, dst_port;
	uint16_t dscp, pad;
};

struct acl_prefix {
	uint32_t words[4]; /* host order */
	uint8_t length;
};

/* A rule taken apart: one entry for each combination. */
struct parts {
	uint16_t n_src, n_dst, n_runs, n_protocols;
	struct acl_prefix src[PREFIXES_MAX], dst[PREFIXES_MAX];
	struct spd_ports runs[RUNS_MAX];
	int16_t protocols[8];
};

/* How rte_acl is to read a side's input. */
struct shape {
	uint16_t n_words; /* of an address */
	uint16_t n_fields;
	bool ports, dscp;
	struct rte_acl_config config;
};

static unsigned __int128
number_of(const uint8_t *octets, bool v6)
{
	unsigned __int128 v = 0;

	for (int i = 0; i < (v6 ? 16 : 4); i++)
		v = v << 8 | octets[i];
	return v;
}

static struct acl_prefix
prefix_at(unsigned __int128 v, uint8_t length, bool v6)
{
	struct acl_prefix p = { .length = length };

	for (int i = 0; i < (v6 ? 4 : 1); i++)
		p.words[i] = v >> (v6 ? 96 - 32 * i : 0);
	return p;
}

/* The fewest prefixes that are the range. */
static uint16_t
range_split(const struct spd_range *r, bool v6, struct acl_prefix *out)
{
	unsigned __int128 lo = number_of(r->lo, v6), hi = number_of(r->hi, v6);
	uint8_t bits = v6 ? 128 : 32;
	uint16_t n = 0;

	for (;;) {
		uint8_t k = 0;
		unsigned __int128 size = 0; /* less one */

		while (k < bits && (lo & (size << 1 | 1)) == 0 && (size << 1 | 1) <= hi - lo) {
			size = size << 1 | 1;
			k++;
		}
		out[n++] = prefix_at(lo, bits - k, v6);
		if (lo + size == hi)
			return n;
		lo += size + 1;
	}
}

/* The runs of classes in a set. */
static uint16_t
runs_of(uint64_t dscp, struct spd_ports *runs)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < 64; i++) {
		bool in = dscp >> i & 1;

		if (in && (i == 0 || (dscp >> (i - 1) & 1) == 0))
			runs[n++].lo = i;
		if (in)
			runs[n - 1].hi = i;
	}
	return n;
}

static void
protocols_of(const struct rule_extra *x, struct parts *parts)
{
	static const int16_t with_ports[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_DCCP, IPPROTO_SCTP,
					      IPPROTO_UDPLITE };

	parts->n_protocols = 1;
	parts->protocols[0] = x != NULL ? x->protocol : SPD_ANY_PROTOCOL;
	if (x == NULL || !x->has_ports || x->protocol != SPD_ANY_PROTOCOL)
		return;
	parts->n_protocols = RTE_DIM(with_ports);
	memcpy(parts->protocols, with_ports, sizeof(with_ports));
}

static void
take_apart(const struct rule *r, const struct rule_extra *x, struct parts *parts)
{
	bool v6 = SIDE_V6(r->side);
	struct spd_range src, dst;

	spd_prefix(&src, (const uint8_t *)r->src, r->src_length, v6);
	spd_prefix(&dst, (const uint8_t *)r->dst, r->dst_length, v6);
	if (x != NULL && x->has_ranges) {
		src = x->src;
		dst = x->dst;
	}
	parts->n_src = range_split(&src, v6, parts->src);
	parts->n_dst = range_split(&dst, v6, parts->dst);
	parts->n_runs = runs_of(x != NULL ? x->dscp : SPD_ANY_DSCP, parts->runs);
	protocols_of(x, parts);
}

static uint32_t
count_entries(const struct rule *r, const struct rule_extra *x)
{
	struct parts parts;

	take_apart(r, x, &parts);
	return (uint32_t)parts.n_src * parts.n_dst * parts.n_runs * parts.n_protocols;
}

bool
built_takes(const struct rule *r, const struct rule_extra *x)
{
	return count_entries(r, x) <= ENTRIES_MAX;
}

static const struct rule_extra *
extra_of(const struct built_rule *b)
{
	return b->rule.extra == EXTRA_NONE ? NULL : &b->extra;
}

static void
field_add(struct shape *s, uint8_t type, uint8_t size, uint8_t input, uint32_t offset)
{
	struct rte_acl_field_def *f = &s->config.defs[s->n_fields];

	*f = (struct rte_acl_field_def) { .type = type,
					  .size = size,
					  .field_index = s->n_fields++,
					  .input_index = input,
					  .offset = offset };
}

/* Fields in the order of entry_fill(). */
static void
shape_init(struct shape *s, const struct built *b, uint8_t side, bool ports)
{
	uint8_t input = 1;

	memset(s, 0, sizeof(*s));
	s->n_words = SIDE_V6(side) ? 4 : 1;
	s->ports = ports;
	for (uint32_t i = 0; i < b->n; i++)
		s->dscp |= extra_of(&b->rules[i]) != NULL && b->rules[i].extra.dscp != SPD_ANY_DSCP;
	field_add(s, RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, offsetof(struct acl_input, protocol));
	for (uint16_t i = 0; i < s->n_words; i++)
		field_add(s, RTE_ACL_FIELD_TYPE_MASK, 4, input++,
			  offsetof(struct acl_input, src) + 4 * i);
	for (uint16_t i = 0; i < s->n_words; i++)
		field_add(s, RTE_ACL_FIELD_TYPE_MASK, 4, input++,
			  offsetof(struct acl_input, dst) + 4 * i);
	if (ports) {
		field_add(s, RTE_ACL_FIELD_TYPE_RANGE, 2, input,
			  offsetof(struct acl_input, src_port));
		field_add(s, RTE_ACL_FIELD_TYPE_RANGE, 2, input++,
			  offsetof(struct acl_input, dst_port));
	}
	if (s->dscp) {
		field_add(s, RTE_ACL_FIELD_TYPE_RANGE, 2, input, offsetof(struct acl_input, dscp));
		field_add(s, RTE_ACL_FIELD_TYPE_RANGE, 2, input, offsetof(struct acl_input, pad));
	}
	s->config.num_fields = s->n_fields;
	s->config.num_categories = 1;
}

static void
address_fill(struct rte_acl_field *f, const struct acl_prefix *p, uint16_t n_words)
{
	for (int i = 0; i < n_words; i++) {
		f[i].value.u32 = p->words[i];
		f[i].mask_range.u32 = p->length > 32 * i ? RTE_MIN(p->length - 32 * i, 32) : 0;
	}
}

static void
range_fill(struct rte_acl_field *f, uint16_t lo, uint16_t hi)
{
	f->value.u16 = lo;
	f->mask_range.u16 = hi;
}

static void
entry_fill(struct rte_acl_field *f, const struct shape *s, const struct rule_extra *x,
	   const struct acl_prefix *src, const struct acl_prefix *dst, int16_t protocol,
	   struct spd_ports run)
{
	f->value.u8 = protocol == SPD_ANY_PROTOCOL ? 0 : protocol;
	f->mask_range.u8 = protocol == SPD_ANY_PROTOCOL ? 0 : UINT8_MAX;
	f++;
	address_fill(f, src, s->n_words);
	f += s->n_words;
	address_fill(f, dst, s->n_words);
	f += s->n_words;
	if (s->ports) {
		range_fill(f++, x != NULL ? x->src_port.lo : 0,
			   x != NULL ? x->src_port.hi : UINT16_MAX);
		range_fill(f++, x != NULL ? x->dst_port.lo : 0,
			   x != NULL ? x->dst_port.hi : UINT16_MAX);
	}
	if (s->dscp) {
		range_fill(f++, run.lo, run.hi);
		range_fill(f, 0, UINT16_MAX);
	}
}

/* All entries of the rule at a position; the first rule has the highest priority. */
static int
entries_add(struct rte_acl_ctx *ctx, const struct shape *s, const struct built *b,
	    uint32_t position, const struct parts *p)
{
	union {
		struct rte_acl_rule rule;
		uint8_t room[RTE_ACL_RULE_SZ(FIELDS_MAX)];
	} e;
	uint32_t n = (uint32_t)p->n_src * p->n_dst * p->n_runs * p->n_protocols;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		uint32_t src = i % p->n_src, dst = i / p->n_src % p->n_dst;
		uint32_t rest = i / p->n_src / p->n_dst;

		memset(&e, 0, sizeof(e));
		e.rule.data.category_mask = 1;
		e.rule.data.priority = b->n - position;
		e.rule.data.userdata = position + 1;
		entry_fill(e.rule.field, s, extra_of(&b->rules[position]), &p->src[src],
			   &p->dst[dst], p->protocols[rest / p->n_runs], p->runs[rest % p->n_runs]);
		rc = rte_acl_add_rules(ctx, &e.rule, 1);
	}
	return rc;
}

static int
acl_make(const struct built *b, const struct shape *s, const uint32_t *positions, uint32_t n,
	 int socket, struct rte_acl_ctx **out)
{
	static uint32_t number;
	char name[RTE_ACL_NAMESIZE];
	struct rte_acl_param param = { .name = name,
				       .socket_id = socket,
				       .rule_size = RTE_ACL_RULE_SZ(s->n_fields) };
	struct parts *parts = malloc(sizeof(*parts));
	int rc = 0;

	if (parts == NULL)
		return -ENOMEM;
	snprintf(name, sizeof(name), "spd%u", number++);
	for (uint32_t i = 0; i < n; i++)
		param.max_rule_num += count_entries(&b->rules[positions[i]].rule,
						    extra_of(&b->rules[positions[i]]));
	*out = rte_acl_create(&param);
	if (*out == NULL)
		rc = -rte_errno;
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		const struct built_rule *r = &b->rules[positions[i]];

		take_apart(&r->rule, extra_of(r), parts);
		rc = entries_add(*out, s, b, positions[i], parts);
	}
	free(parts);
	return rc == 0 ? rte_acl_build(*out, &s->config) : rc;
}

/* What of a rule a later fragment can be judged by. */
static int
portless_compare(const struct built_rule *x, const struct built_rule *y)
{
	const struct rule_extra *a = extra_of(x), *b = extra_of(y);
	int rc = memcmp(x->rule.src, y->rule.src, sizeof(x->rule.src));

	rc = rc != 0 ? rc : memcmp(x->rule.dst, y->rule.dst, sizeof(x->rule.dst));
	rc = rc != 0 ? rc : x->rule.src_length - y->rule.src_length;
	rc = rc != 0 ? rc : x->rule.dst_length - y->rule.dst_length;
	if (rc != 0 || a == NULL || b == NULL)
		return rc != 0 ? rc : (a != NULL) - (b != NULL);
	rc = a->protocol - b->protocol;
	rc = rc != 0 ? rc : a->has_ranges - b->has_ranges;
	rc = rc != 0 ? rc : (a->protocol == SPD_ANY_PROTOCOL ? a->has_ports - b->has_ports : 0);
	rc = rc != 0 ? rc : (a->dscp > b->dscp) - (a->dscp < b->dscp);
	rc = rc != 0 ? rc : memcmp(&a->src, &b->src, sizeof(a->src));
	return rc != 0 ? rc : memcmp(&a->dst, &b->dst, sizeof(a->dst));
}

static int
position_compare(const void *a, const void *b, void *built)
{
	const struct built *all = built;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int rc = portless_compare(&all->rules[x], &all->rules[y]);

	return rc != 0 ? rc : x < y ? -1 : x > y;
}

/* Of rules that differ in ports alone the first: the others would never be a later fragment's. */
static uint32_t
portless_keep(struct built *b, uint32_t *positions)
{
	uint32_t n = 0;

	qsort_r(positions, b->n, sizeof(*positions), position_compare, b);
	for (uint32_t i = 0; i < b->n; i++) {
		const struct built_rule *r = &b->rules[positions[i]];

		if (n == 0 || portless_compare(&b->rules[positions[n - 1]], r) != 0)
			positions[n++] = positions[i];
	}
	return n;
}

int
built_make(struct built *b, uint8_t side, int socket, struct err *err)
{
	uint32_t *positions = malloc(b->n * sizeof(*positions));
	struct shape s;
	int rc;

	if (positions == NULL)
		return err_set(err, -ENOMEM, "spd: no memory for %u rules", b->n);
	for (uint32_t i = 0; i < b->n; i++)
		positions[i] = i;
	shape_init(&s, b, side, true);
	rc = acl_make(b, &s, positions, b->n, socket, &b->whole);
	if (rc == 0) {
		shape_init(&s, b, side, false);
		rc = acl_make(b, &s, positions, portless_keep(b, positions), socket, &b->later);
	}
	free(positions);
	if (rc < 0)
		return err_set(err, rc, "spd: rte_acl does not take %u rules: %s", b->n,
			       rte_strerror(-rc));
	return 0;
}

void
built_free(void *built)
{
	struct built *b = built;

	if (b == NULL)
		return;
	rte_acl_free(b->whole);
	rte_acl_free(b->later);
	rte_free(b);
}

uint32_t
built_position(const struct built *b, uint64_t precedence)
{
	uint32_t lo = 0, hi = b->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (b->rules[mid].rule.precedence < precedence)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
walk(const struct built *b, uint32_t from, uint32_t generation, const struct spd_key *key,
     struct finding *f)
{
	for (uint32_t i = from; i < b->n; i++) {
		const struct rule *r = &b->rules[i].rule;
		enum match match;

		if (r->precedence >= f->precedence)
			return;
		if (!rule_seen(r, generation))
			continue;
		match = rule_match(r, extra_of(&b->rules[i]), key);
		if (match != MATCH_NO) {
			found_take(f, r, match);
			return;
		}
	}
}

static void
input_fill(struct acl_input *in, const struct spd_key *key)
{
	memset(in, 0, sizeof(*in));
	in->protocol = key->protocol;
	memcpy(in->src, key->src, 16);
	memcpy(in->dst, key->dst, 16);
	in->src_port = rte_cpu_to_be_16(key->src_port);
	in->dst_port = rte_cpu_to_be_16(key->dst_port);
	in->dscp = rte_cpu_to_be_16(key->dscp);
}

/* The keys that are later fragments, or those that are not. */
static void
half_find(const struct built *b, bool later, uint32_t generation, const struct spd_key *keys,
	  uint16_t n, struct finding *found)
{
	struct acl_input inputs[LOOKUP_MAX];
	const uint8_t *data[LOOKUP_MAX];
	uint32_t positions[LOOKUP_MAX];
	uint8_t at[LOOKUP_MAX];
	uint16_t n_asked = 0;

	for (uint16_t i = 0; i < n; i++) {
		if (keys[i].later != later || protocol_hidden(&keys[i]) ||
		    found[i].precedence < b->rules[0].rule.precedence)
			continue;
		input_fill(&inputs[n_asked], &keys[i]);
		data[n_asked] = (const uint8_t *)&inputs[n_asked];
		at[n_asked++] = i;
	}
	if (n_asked == 0)
		return;
	rte_acl_classify(later ? b->later : b->whole, data, positions, n_asked, 1);
	for (uint16_t i = 0; i < n_asked; i++) {
		if (positions[i] != 0)
			walk(b, positions[i] - 1, generation, &keys[at[i]], &found[at[i]]);
	}
}

void
built_find(const struct built *b, uint8_t side, uint32_t generation, const struct spd_key *keys,
	   uint16_t n, struct finding *found)
{
	half_find(b, false, generation, keys, n, found);
	half_find(b, true, generation, keys, n, found);
	/* What rte_acl cannot ask: rare, and an answer of "unsure" at the first protocol. */
	for (uint16_t i = 0; i < n; i++) {
		if (protocol_hidden(&keys[i]))
			walk(b, 0, generation, &keys[i], &found[i]);
	}
}
