/* From a policy's parameters to its rules. */
#include <errno.h>

#include <rte_byteorder.h>

#include "spd/tables.h"

void
spd_prefix(struct spd_range *range, const uint8_t *addr, uint8_t length, bool v6)
{
	size_t size = v6 ? 16 : 4;
	uint64_t mask[2];
	uint8_t m[16];

	prefix_mask(length, mask);
	memcpy(m, mask, sizeof(m));
	memset(range, 0, sizeof(*range));
	for (size_t i = 0; i < size; i++) {
		range->lo[i] = addr[i] & m[i];
		range->hi[i] = addr[i] | (uint8_t)~m[i];
	}
}

/* The length of the longest prefix that has both ends. */
static uint8_t
common_length(const struct spd_range *r, uint8_t bits)
{
	uint8_t length = 0;

	while (length < bits) {
		uint8_t differ = r->lo[length / 8] ^ r->hi[length / 8];

		if (differ != 0)
			return length + __builtin_clz(differ) - 24;
		length += 8;
	}
	return bits;
}

static bool
is_prefix(const struct spd_range *r, uint8_t length, bool v6)
{
	struct spd_range whole;

	spd_prefix(&whole, r->lo, length, v6);
	return memcmp(r, &whole, sizeof(whole)) == 0;
}

static bool
tail_is_zero(const struct spd_range *r)
{
	static const uint8_t zero[12];

	return memcmp(r->lo + 4, zero, 12) == 0 && memcmp(r->hi + 4, zero, 12) == 0;
}

static int
ranges_check(const struct spd_range *r, uint16_t n, bool v6, const char *what, struct err *err)
{
	for (uint16_t i = 0; i < n; i++) {
		if (memcmp(r[i].lo, r[i].hi, v6 ? 16 : 4) > 0)
			return err_set(err, -EINVAL, "%s range %u ends before it begins", what, i);
		if (!v6 && !tail_is_zero(&r[i]))
			return err_set(err, -EINVAL, "%s range %u is no IPv4 range", what, i);
	}
	return 0;
}

static int
addrs_check(const struct spd_addrs *a, const char *what, struct err *err)
{
	int rc;

	if (a->any)
		return 0;
	rc = ranges_check(a->v4, a->n_v4, false, what, err);
	return rc < 0 ? rc : ranges_check(a->v6, a->n_v6, true, what, err);
}

static bool
ports_any(struct spd_ports p)
{
	return p.lo == 0 && p.hi == UINT16_MAX;
}

static bool
has_ports(const struct policy_params *p)
{
	return !ports_any(p->src_port) || !ports_any(p->dst_port);
}

static int
ports_check(const struct policy_params *p, struct err *err)
{
	if (p->src_port.lo > p->src_port.hi || p->dst_port.lo > p->dst_port.hi)
		return err_set(err, -EINVAL, "a range of ports ends before it begins");
	if (!has_ports(p) || p->protocol == SPD_ANY_PROTOCOL)
		return 0;
	if (!protocol_has_ports(p->protocol) && !protocol_is_icmp(p->protocol))
		return err_set(err, -EINVAL, "protocol %d has no ports", p->protocol);
	return 0;
}

/* Ranges of one family that the addresses stand for. */
static uint32_t
count(const struct spd_addrs *a, bool v6)
{
	if (a->any)
		return 1;
	return v6 ? a->n_v6 : a->n_v4;
}

static uint32_t
count_rules(const struct policy_params *p)
{
	return count(&p->src, false) * count(&p->dst, false) +
	       count(&p->src, true) * count(&p->dst, true);
}

int
policy_check(const struct policy_params *p, struct err *err)
{
	int rc;

	if (p->direction >= SPD_DIRECTIONS || p->action > POLICY_PROTECT)
		return err_set(err, -EINVAL, "no such direction or action");
	if (p->order > SPD_ORDER_MAX)
		return err_set(err, -EINVAL, "order %lu is above %lu", p->order, SPD_ORDER_MAX);
	if (p->protocol < SPD_ANY_PROTOCOL || p->protocol > UINT8_MAX)
		return err_set(err, -EINVAL, "protocol %d: 0 to 255, or any", p->protocol);
	if (p->dscp == 0)
		return err_set(err, -EINVAL, "no DSCP at all can match");
	rc = ports_check(p, err);
	if (rc == 0)
		rc = addrs_check(&p->src, "source", err);
	if (rc == 0)
		rc = addrs_check(&p->dst, "destination", err);
	if (rc < 0)
		return rc;
	if (count_rules(p) == 0)
		return err_set(err, -EINVAL, "no family has both a source and a destination");
	if (count_rules(p) > SPD_RULES_MAX)
		return err_set(err, -E2BIG, "%u pairs of ranges, at most %u", count_rules(p),
			       SPD_RULES_MAX);
	return 0;
}

static struct spd_range
range_of(const struct spd_addrs *a, bool v6, uint32_t i)
{
	static const uint8_t zero[16];
	struct spd_range whole;

	if (!a->any)
		return v6 ? a->v6[i] : a->v4[i];
	spd_prefix(&whole, zero, 0, v6);
	return whole;
}

static void
cover(const struct spd_range *r, bool v6, uint64_t prefix[2], uint8_t *length, bool *exact)
{
	struct spd_range covering;

	*length = common_length(r, v6 ? 128 : 32);
	*exact = is_prefix(r, *length, v6);
	spd_prefix(&covering, r->lo, *length, v6);
	memcpy(prefix, covering.lo, 16);
}

static int
extra_make(struct spd_tables *t, const struct policy_params *p, struct rule *r,
	   const struct spd_range *src, const struct spd_range *dst, bool exact, struct err *err)
{
	struct rule_extra *x;
	uint32_t generation;
	int rc = slab_take(&t->extras, &r->extra, &generation, err);

	if (rc < 0)
		return rc;
	x = extra_at(t, r->extra);
	x->dscp = p->dscp;
	x->protocol = p->protocol;
	x->src_port = p->src_port;
	x->dst_port = p->dst_port;
	x->has_ports = has_ports(p);
	x->has_ranges = !exact;
	x->src = *src;
	x->dst = *dst;
	return 0;
}

static int
rule_make(struct spd *spd, const struct policy_params *p, const struct spd_range *src,
	  const struct spd_range *dst, bool v6, uint32_t *index, struct err *err)
{
	struct spd_tables *t = spd->tables;
	bool src_exact, dst_exact, plain;
	uint32_t generation;
	struct rule *r;
	int rc = slab_take(&t->rules, index, &generation, err);

	if (rc < 0)
		return rc;
	r = rule_at(t, *index);
	cover(src, v6, r->src, &r->src_length, &src_exact);
	cover(dst, v6, r->dst, &r->dst_length, &dst_exact);
	r->side = SIDE(p->direction, v6);
	r->extra = EXTRA_NONE;
	plain = src_exact && dst_exact && p->protocol == SPD_ANY_PROTOCOL && !has_ports(p) &&
		p->dscp == SPD_ANY_DSCP;
	if (plain && count_rules(p) == 1)
		return 0;
	rc = extra_make(t, p, r, src, dst, src_exact && dst_exact, err);
	if (rc < 0)
		slab_give(&t->rules, *index);
	return rc;
}

uint32_t
rule_sibling(const struct spd_tables *t, const struct rule *r)
{
	return r->extra == EXTRA_NONE ? RULE_NONE : extra_at(t, r->extra)->sibling;
}

void
rules_free(struct spd_tables *t, uint32_t first)
{
	while (first != RULE_NONE) {
		struct rule *r = rule_at(t, first);
		uint32_t next = rule_sibling(t, r);

		if (r->extra != EXTRA_NONE)
			slab_give(&t->extras, r->extra);
		slab_give(&t->rules, first);
		first = next;
	}
}

static int
rules_add(struct spd *spd, const struct policy_params *p, uint32_t policy,
	  const struct spd_range *src, const struct spd_range *dst, bool v6, struct err *err)
{
	struct policy *pol = slab_at(&spd->policies, policy);
	struct spd_tables *t = spd->tables;
	struct rule *r;
	uint32_t index;
	int rc;

	rc = rule_make(spd, p, src, dst, v6, &index, err);
	if (rc < 0)
		return rc;
	r = rule_at(t, index);
	r->policy = policy;
	r->precedence = pol->precedence;
	if (r->extra != EXTRA_NONE)
		extra_at(t, r->extra)->sibling = pol->first_rule;
	pol->first_rule = index;
	return 0;
}

static int
family_make(struct spd *spd, const struct policy_params *p, uint32_t policy, bool v6,
	    struct err *err)
{
	uint32_t n_src = count(&p->src, v6), n_dst = count(&p->dst, v6);
	int rc = pairs_reserve(spd->tables, SIDE(p->direction, v6), n_src * n_dst, err);

	if (rc < 0)
		return rc;
	for (uint32_t s = 0; s < n_src; s++) {
		struct spd_range src = range_of(&p->src, v6, s);

		for (uint32_t d = 0; d < n_dst; d++) {
			struct spd_range dst = range_of(&p->dst, v6, d);

			rc = rules_add(spd, p, policy, &src, &dst, v6, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* Everything of its families, without a condition. */
static bool
is_catch_all(const struct spd_tables *t, uint32_t first)
{
	for (uint32_t i = first; i != RULE_NONE; i = rule_sibling(t, rule_at(t, i))) {
		const struct rule *r = rule_at(t, i);
		const struct rule_extra *x = r->extra == EXTRA_NONE ? NULL : extra_at(t, r->extra);

		if (r->src_length > 0 || r->dst_length > 0)
			return false;
		if (x != NULL && (x->has_ports || x->has_ranges || x->dscp != SPD_ANY_DSCP ||
				  x->protocol != SPD_ANY_PROTOCOL))
			return false;
	}
	return true;
}

int
rules_make(struct spd *spd, const struct policy_params *p, uint32_t policy, struct err *err)
{
	struct policy *pol = slab_at(&spd->policies, policy);
	int rc = family_make(spd, p, policy, false, err);

	if (rc == 0)
		rc = family_make(spd, p, policy, true, err);
	if (rc < 0) {
		rules_free(spd->tables, pol->first_rule);
		pol->first_rule = RULE_NONE;
		return rc;
	}
	pol->catch_all = is_catch_all(spd->tables, pol->first_rule);
	return 0;
}
