#include "daemon/policy_spec.h"

#include <errno.h>
#include <netinet/in.h>

#define IKE_PORT      500
#define IKE_NATT_PORT 4500
#define ND_TYPE_FIRST 133 /* router solicitation */
#define ND_TYPE_LAST  137 /* redirect */

static int
ports_fill(uint16_t port, uint16_t mask, const char *what, struct spd_ports *ports, struct err *err)
{
	uint16_t rest = (uint16_t)~mask;

	if ((rest & (rest + 1)) != 0)
		return err_set(err, -EINVAL,
			       "sel.%s 0x%x with mask 0x%x is no range of ports: a mask of leading "
			       "ones",
			       what, port, mask);
	*ports = (struct spd_ports) { port & mask, port | rest };
	return 0;
}

static bool
is_port(const struct spd_ports *p, uint16_t port)
{
	return p->lo == port && p->hi == port;
}

static bool
is_ike(const struct policy_spec *s)
{
	return s->protocol == IPPROTO_UDP &&
	       (is_port(&s->src_port, IKE_PORT) || is_port(&s->dst_port, IKE_PORT) ||
		is_port(&s->src_port, IKE_NATT_PORT) || is_port(&s->dst_port, IKE_NATT_PORT));
}

static bool
is_nd(const struct policy_spec *s)
{
	return s->protocol == IPPROTO_ICMPV6 && s->src_port.lo >= ND_TYPE_FIRST &&
	       s->src_port.hi <= ND_TYPE_LAST;
}

/* A daemon on a host lets its own sockets' packets pass; from or to anybody, that would let
 * everybody's pass here.
 */
static bool
is_apart(const struct xfrm_policy *p, const struct policy_spec *s)
{
	if (s->action != POLICY_BYPASS)
		return false;
	if (p->dir == XFRM_DIR_IN)
		return true;
	return s->src.len == 0 && s->dst.len == 0 && (is_ike(s) || is_nd(s));
}

int
policy_spec_fill(const struct xfrm_policy *p, bool protect, struct policy_spec *spec, bool *apart,
		 struct err *err)
{
	const struct xfrm_sel *sel = &p->sel;
	int rc;

	if (sel->ifindex != 0)
		return err_set(err, -EINVAL,
			       "sel.ifindex %d: 0; interfaces of the kernel are none of the "
			       "gateway's",
			       sel->ifindex);
	*spec = (struct policy_spec) {
		.direction = p->dir == XFRM_DIR_OUT ? SPD_OUT : SPD_IN,
		.action = p->action == XFRM_BLOCK ? POLICY_DISCARD :
			  protect		  ? POLICY_PROTECT :
						    POLICY_BYPASS,
		.priority = p->priority,
		.src = sel->src,
		.dst = sel->dst,
		.protocol = sel->proto == 0 ? SPD_ANY_PROTOCOL : sel->proto,
		.icmp = (p->flags & XFRM_POLICY_F_ICMP) != 0,
		.sa = SA_NONE,
	};
	rc = ports_fill(sel->sport, sel->sport_mask, "sport", &spec->src_port, err);
	if (rc == 0)
		rc = ports_fill(sel->dport, sel->dport_mask, "dport", &spec->dst_port, err);
	*apart = is_apart(p, spec);
	return rc;
}
