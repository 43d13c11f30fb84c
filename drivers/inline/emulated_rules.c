#include "emulated.h"

#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_udp.h>

#include "wire/ip.h"

#define TAKEN_OUT 1
#define FIRST	  2 /* slots are stored from here */

static inline uint32_t
place_of(const struct nic_port *p, uint32_t spi_be)
{
	return (spi_be * UINT32_C(0x9e3779b1)) >> 8 & p->table_mask;
}

static void
table_add(struct nic_port *p, const struct nic_session *s)
{
	uint32_t at = place_of(p, s->rule.spi_be);
	uint64_t word = (uint64_t)s->rule.spi_be << 32 | ((uint32_t)(s - p->slots) + FIRST);

	while ((uint32_t)p->table[at] >= FIRST)
		at = (at + 1) & p->table_mask;
	__atomic_store_n(&p->table[at], word, __ATOMIC_RELEASE);
}

/* What was taken out stays in the way of those behind it, unless there are none. */
static void
table_remove(struct nic_port *p, const struct nic_session *s)
{
	uint32_t at = place_of(p, s->rule.spi_be);

	while ((uint32_t)p->table[at] != (uint32_t)(s - p->slots) + FIRST)
		at = (at + 1) & p->table_mask;
	__atomic_store_n(&p->table[at], TAKEN_OUT, __ATOMIC_RELEASE);
	while (p->table[(at + 1) & p->table_mask] == 0 && p->table[at] == TAKEN_OUT) {
		__atomic_store_n(&p->table[at], 0, __ATOMIC_RELEASE);
		at = (at - 1) & p->table_mask;
	}
}

void
nic_rule_drop(struct nic_port *p, struct nic_session *s)
{
	if (!s->rule.live)
		return;
	s->rule.live = false;
	p->n_rules--;
	if (s->rule.ingress)
		table_remove(p, s);
}

static bool
rule_matches(const struct nic_rule *r, const uint8_t *frame, const struct nic_frame *at)
{
	size_t size = at->v6 ? 16 : 4;
	const struct rte_udp_hdr *udp = (const struct rte_udp_hdr *)(frame + at->l4);

	if (r->v6 != at->v6 || r->udp != at->udp)
		return false;
	if (r->has_dst && memcmp(wire_ip_dst(at->ip, at->v6), r->dst, size) != 0)
		return false;
	if (r->has_src && memcmp(wire_ip_src(at->ip, at->v6), r->src, size) != 0)
		return false;
	return !r->udp || ((r->udp_dst_be == 0 || r->udp_dst_be == udp->dst_port) &&
			   (r->udp_src_be == 0 || r->udp_src_be == udp->src_port));
}

/* Also of a session that is removed: as long as it goes on. */
static bool
rule_is_in_force(const struct nic_session *s)
{
	uint64_t until = __atomic_load_n(&s->until, __ATOMIC_RELAXED);

	return likely(until == 0) || rte_rdtsc() < until;
}

struct nic_session *
nic_rule_find(const struct nic_port *p, const uint8_t *frame, const struct nic_frame *where)
{
	uint32_t spi_be = wire_load32(frame + where->esp);
	uint32_t at = place_of(p, spi_be);

	for (uint32_t i = 0; i <= p->table_mask; i++, at = (at + 1) & p->table_mask) {
		uint64_t word = __atomic_load_n(&p->table[at], __ATOMIC_ACQUIRE);
		struct nic_session *s;

		if (word == 0)
			return NULL;
		if (word == TAKEN_OUT || (uint32_t)(word >> 32) != spi_be)
			continue;
		s = &p->slots[(uint32_t)word - FIRST];
		if (rule_matches(&s->rule, frame, where) && rule_is_in_force(s))
			return s;
	}
	return NULL;
}

static int
refuse(struct rte_flow_error *error, int code, enum rte_flow_error_type type, const void *cause,
       const char *message)
{
	rte_flow_error_set(error, code, type, cause, message);
	return -code;
}

static int
refuse_item(struct rte_flow_error *error, const struct rte_flow_item *item, const char *message)
{
	return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, item, message);
}

static bool
is_all(const void *at, size_t n, uint8_t octet)
{
	for (size_t i = 0; i < n; i++)
		if (((const uint8_t *)at)[i] != octet)
			return false;
	return true;
}

/* A field that is matched whole, or not at all. */
static int
field_take(void *to, const void *spec, const void *mask, size_t n, bool *has)
{
	if (is_all(mask, n, 0))
		return 0;
	if (!is_all(mask, n, 0xff))
		return -ENOTSUP;
	memcpy(to, spec, n);
	*has = true;
	return 0;
}

static int
ip4_take(struct nic_rule *r, const struct rte_flow_item *item)
{
	const struct rte_flow_item_ipv4 *spec = item->spec, *mask = item->mask;

	if (spec == NULL)
		return 0;
	mask = mask == NULL ? &rte_flow_item_ipv4_mask : mask;
	if (field_take(r->src, &spec->hdr.src_addr, &mask->hdr.src_addr, 4, &r->has_src) < 0)
		return -ENOTSUP;
	return field_take(r->dst, &spec->hdr.dst_addr, &mask->hdr.dst_addr, 4, &r->has_dst);
}

static int
ip6_take(struct nic_rule *r, const struct rte_flow_item *item)
{
	const struct rte_flow_item_ipv6 *spec = item->spec, *mask = item->mask;

	r->v6 = true;
	if (spec == NULL)
		return 0;
	mask = mask == NULL ? &rte_flow_item_ipv6_mask : mask;
	if (field_take(r->src, spec->hdr.src_addr, mask->hdr.src_addr, 16, &r->has_src) < 0)
		return -ENOTSUP;
	return field_take(r->dst, spec->hdr.dst_addr, mask->hdr.dst_addr, 16, &r->has_dst);
}

static int
udp_take(struct nic_rule *r, const struct rte_flow_item *item)
{
	const struct rte_flow_item_udp *spec = item->spec, *mask = item->mask;
	bool has;

	r->udp = true;
	if (spec == NULL)
		return 0;
	mask = mask == NULL ? &rte_flow_item_udp_mask : mask;
	if (field_take(&r->udp_src_be, &spec->hdr.src_port, &mask->hdr.src_port, 2, &has) < 0)
		return -ENOTSUP;
	return field_take(&r->udp_dst_be, &spec->hdr.dst_port, &mask->hdr.dst_port, 2, &has);
}

static int
esp_take(struct nic_rule *r, const struct rte_flow_item *item, bool *has)
{
	const struct rte_flow_item_esp *spec = item->spec, *mask = item->mask;

	if (spec == NULL)
		return -ENOTSUP;
	mask = mask == NULL ? &rte_flow_item_esp_mask : mask;
	return field_take(&r->spi_be, &spec->hdr.spi, &mask->hdr.spi, 4, has);
}

static int
item_take(struct nic_rule *r, const struct rte_flow_item *item, bool *has_spi)
{
	switch (item->type) {
	case RTE_FLOW_ITEM_TYPE_VOID:
	case RTE_FLOW_ITEM_TYPE_ETH: /* whatever link layer it has */
	case RTE_FLOW_ITEM_TYPE_VLAN:
		return item->spec == NULL ? 0 : -ENOTSUP;
	case RTE_FLOW_ITEM_TYPE_IPV4:
		return ip4_take(r, item);
	case RTE_FLOW_ITEM_TYPE_IPV6:
		return ip6_take(r, item);
	case RTE_FLOW_ITEM_TYPE_UDP:
		return udp_take(r, item);
	case RTE_FLOW_ITEM_TYPE_ESP:
		return esp_take(r, item, has_spi);
	default:
		return -ENOTSUP;
	}
}

static int
pattern_take(const struct nic_port *p, struct nic_rule *r, const struct rte_flow_item *item,
	     struct rte_flow_error *error)
{
	bool has_spi = false;

	for (; item->type != RTE_FLOW_ITEM_TYPE_END; item++)
		if (item->last != NULL || item_take(r, item, &has_spi) < 0)
			return refuse_item(error, item, "not of this kind, or not with this mask");
	if (!has_spi)
		return refuse_item(error, item, "no SPI");
	if ((r->v6 && !p->options.v6) || (r->udp && !p->options.udp))
		return refuse_item(error, item, "not over IPv6, or not in UDP");
	return 0;
}

static int
actions_take(const struct nic_port *p, struct nic_rule *r, const struct rte_flow_action *a,
	     struct nic_session **s, struct rte_flow_error *error)
{
	*s = NULL;
	for (; a->type != RTE_FLOW_ACTION_TYPE_END; a++) {
		switch (a->type) {
		case RTE_FLOW_ACTION_TYPE_SECURITY:
			/* The session itself, as the drivers of 22.11 take it. */
			*s = a->conf == NULL ?
				     NULL :
				     nic_session_at(p, *(const uint64_t *)SECURITY_GET_SESS_PRIV(
							       a->conf));
			break;
		case RTE_FLOW_ACTION_TYPE_MARK:
			r->has_mark = true;
			r->mark = ((const struct rte_flow_action_mark *)a->conf)->id;
			break;
		case RTE_FLOW_ACTION_TYPE_VOID:
		case RTE_FLOW_ACTION_TYPE_PASSTHRU:
		case RTE_FLOW_ACTION_TYPE_COUNT:
			break;
		default:
			return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, a,
				      "no such action");
		}
	}
	if (*s == NULL)
		return refuse(error, EINVAL, RTE_FLOW_ERROR_TYPE_ACTION, a, "no such session");
	return 0;
}

static int
rule_make(struct nic_port *p, const struct rte_flow_attr *attr,
	  const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	  struct nic_session **s, struct rte_flow_error *error)
{
	struct nic_rule r = { .ingress = attr->ingress };
	int rc;

	if (attr->group != 0 || attr->transfer || attr->ingress == attr->egress)
		return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ATTR, attr,
			      "group 0, ingress or egress");
	if (++p->n_asked == p->options.refuse_rule)
		return refuse(error, EIO, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
			      "refused, as asked for");
	if (p->n_rules >= p->options.rules)
		return refuse(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
			      "no more rules");
	rc = pattern_take(p, &r, pattern, error);
	if (rc == 0)
		rc = actions_take(p, &r, actions, s, error);
	if (rc < 0)
		return rc;
	if ((*s)->ingress != r.ingress || (*s)->spi_be != r.spi_be)
		return refuse(error, EINVAL, RTE_FLOW_ERROR_TYPE_ACTION, actions,
			      "another direction or SPI than the session's");
	/* Its fields are read by workers: they are written once. */
	if ((*s)->rule.spi_be != 0)
		return refuse(error, EBUSY, RTE_FLOW_ERROR_TYPE_ACTION, actions,
			      "the session has had its rule");
	r.live = true;
	(*s)->rule = r;
	return 0;
}

struct rte_flow *
nic_flow_create(uint16_t dpdk_id, const struct rte_flow_attr *attr,
		const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
		struct rte_flow_error *error)
{
	struct nic_port *p = nic_port_of(dpdk_id);
	struct nic_session *s;

	nic_sessions_reap(p);
	if (rule_make(p, attr, pattern, actions, &s, error) < 0)
		return NULL;
	p->n_rules++;
	s->flow.slot = (uint32_t)(s - p->slots);
	if (s->rule.ingress)
		table_add(p, s);
	return &s->flow;
}

int
nic_flow_destroy(uint16_t dpdk_id, struct rte_flow *flow, struct rte_flow_error *error)
{
	struct nic_port *p = nic_port_of(dpdk_id);
	struct nic_session *s;

	if (flow == NULL || flow->slot >= p->n_slots || &p->slots[flow->slot].flow != flow ||
	    !p->slots[flow->slot].rule.live)
		return refuse(error, EINVAL, RTE_FLOW_ERROR_TYPE_HANDLE, flow, "no such rule");
	s = &p->slots[flow->slot];
	if (p->options.late_ms > 0 && s->rule.ingress)
		__atomic_store_n(&s->until,
				 rte_rdtsc() + rte_get_tsc_hz() / 1000 * p->options.late_ms,
				 __ATOMIC_RELAXED);
	else
		nic_rule_drop(p, s);
	return 0;
}
