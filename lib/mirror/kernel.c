#include "mirror/kernel.h"

#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/nexthop.h>

#define ATTRS_MAX 64

/* Attributes by type; the last one of a type counts. */
struct attrs {
	const struct nlattr *of[ATTRS_MAX];
};

static int
attr_note(const struct nlattr *attr, void *ctx)
{
	struct attrs *a = ctx;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < ATTRS_MAX)
		a->of[type] = attr;
	return MNL_CB_OK;
}

/* False: shorter than the fixed part, or not padded, which the last attribute could use. */
static bool
attrs_of(const struct nlmsghdr *nlh, size_t fixed, struct attrs *a)
{
	*a = (struct attrs) { 0 };
	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + fixed || nlh->nlmsg_len % MNL_ALIGNTO != 0)
		return false;
	mnl_attr_parse(nlh, (unsigned int)fixed, attr_note, a);
	return true;
}

static bool
u32_take(const struct attrs *a, uint16_t type, uint32_t *value)
{
	const struct nlattr *attr = a->of[type];

	if (attr == NULL)
		return true;
	if (mnl_attr_get_payload_len(attr) != sizeof(*value))
		return false;
	memcpy(value, mnl_attr_get_payload(attr), sizeof(*value));
	return true;
}

static bool
octets_take(const struct nlattr *attr, uint8_t af, struct addr *out)
{
	uint16_t size = af == AF_INET ? 4 : 16;

	if (mnl_attr_get_payload_len(attr) != size)
		return false;
	*out = (struct addr) { .family = af == AF_INET ? 4 : 6 };
	memcpy(out->octets, mnl_attr_get_payload(attr), size);
	return true;
}

static bool
is_ip(uint8_t af)
{
	return af == AF_INET || af == AF_INET6;
}

static bool
link_parse(const struct nlmsghdr *nlh, struct kernel_message *m)
{
	const struct ifinfomsg *fixed = mnl_nlmsg_get_payload(nlh);

	/* Bridges speak of their ports in the same words. */
	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*fixed) || fixed->ifi_family != AF_UNSPEC)
		return false;
	m->ifindex = (uint32_t)fixed->ifi_index;
	m->link.flags = fixed->ifi_flags;
	return true;
}

static bool
address_parse(const struct nlmsghdr *nlh, struct kernel_message *m)
{
	const struct ifaddrmsg *fixed = mnl_nlmsg_get_payload(nlh);
	struct kernel_address *out = &m->address;
	const struct nlattr *local, *peer;
	struct addr other;
	struct attrs a;

	if (!attrs_of(nlh, sizeof(*fixed), &a) || !is_ip(fixed->ifa_family))
		return false;
	m->ifindex = fixed->ifa_index;
	peer = a.of[IFA_ADDRESS];
	local = a.of[IFA_LOCAL] != NULL ? a.of[IFA_LOCAL] : peer;
	out->flags = fixed->ifa_flags;
	if (local == NULL || !octets_take(local, fixed->ifa_family, &out->addr) ||
	    !u32_take(&a, IFA_FLAGS, &out->flags) || fixed->ifa_prefixlen > addr_bits(&out->addr))
		return false;
	out->len = fixed->ifa_prefixlen;
	if (peer != NULL && !octets_take(peer, fixed->ifa_family, &other))
		return false;
	if (peer != NULL && !addr_equal(&other, &out->addr))
		out->len = addr_bits(&out->addr);
	return true;
}

/* The next hop that attributes describe, of a route or of one of its paths. */
static bool
hop_take_attrs(const struct attrs *a, uint8_t af, uint32_t ifindex, uint8_t flags,
	       struct kernel_route *r)
{
	struct kernel_hop hop = { .ifindex = ifindex, .dead = (flags & RTNH_F_DEAD) != 0 };

	if (a->of[RTA_GATEWAY] != NULL && !octets_take(a->of[RTA_GATEWAY], af, &hop.via))
		return false;
	if (a->of[RTA_VIA] != NULL) {
		r->hop_foreign = true;
		return true;
	}
	if (r->n_hops < KERNEL_HOPS_MAX)
		r->hops[r->n_hops++] = hop;
	return true;
}

static bool
multipath_parse(const struct nlattr *attr, uint8_t af, struct kernel_route *r)
{
	const uint8_t *at = mnl_attr_get_payload(attr);
	size_t left = mnl_attr_get_payload_len(attr);

	r->multipath = true;
	while (left >= sizeof(struct rtnexthop)) {
		const struct rtnexthop *nh = (const struct rtnexthop *)at;
		struct attrs a = { 0 };
		size_t step;

		if (nh->rtnh_len < sizeof(*nh) || nh->rtnh_len > left)
			return false;
		mnl_attr_parse_payload(nh + 1, nh->rtnh_len - sizeof(*nh), attr_note, &a);
		if (!hop_take_attrs(&a, af, (uint32_t)nh->rtnh_ifindex, nh->rtnh_flags, r))
			return false;
		step = MNL_ALIGN(nh->rtnh_len);
		if (step > left)
			break;
		at += step;
		left -= step;
	}
	return true;
}

static bool
route_parse(const struct nlmsghdr *nlh, struct kernel_message *m)
{
	const struct rtmsg *fixed = mnl_nlmsg_get_payload(nlh);
	struct kernel_route *r = &m->route;
	uint32_t ifindex = 0;
	struct attrs a;

	if (!attrs_of(nlh, sizeof(*fixed), &a) || !is_ip(fixed->rtm_family))
		return false;
	*r = (struct kernel_route) {
		.to.addr.family = fixed->rtm_family == AF_INET ? 4 : 6,
		.table = fixed->rtm_table,
		.type = fixed->rtm_type,
		.special = fixed->rtm_src_len != 0 || fixed->rtm_tos != 0 ||
			   (fixed->rtm_flags & RTM_F_CLONED) != 0,
		/* IPv6 always puts a route behind; in a dump all come in their order. */
		.first = fixed->rtm_family == AF_INET &&
			 (nlh->nlmsg_flags & (NLM_F_APPEND | NLM_F_MULTI)) == 0,
		.replaces = (nlh->nlmsg_flags & NLM_F_REPLACE) != 0 && !m->gone,
	};
	if (a.of[RTA_DST] != NULL && !octets_take(a.of[RTA_DST], fixed->rtm_family, &r->to.addr))
		return false;
	if (fixed->rtm_dst_len > addr_bits(&r->to.addr) ||
	    (a.of[RTA_DST] == NULL && fixed->rtm_dst_len != 0) ||
	    !u32_take(&a, RTA_TABLE, &r->table) || !u32_take(&a, RTA_PRIORITY, &r->metric) ||
	    !u32_take(&a, RTA_OIF, &ifindex))
		return false;
	r->to = prefix_of(&r->to.addr, fixed->rtm_dst_len);
	if (a.of[RTA_MULTIPATH] != NULL)
		return multipath_parse(a.of[RTA_MULTIPATH], fixed->rtm_family, r);
	return ifindex == 0 ||
	       hop_take_attrs(&a, fixed->rtm_family, ifindex, (uint8_t)fixed->rtm_flags, r);
}

static bool
neigh_parse(const struct nlmsghdr *nlh, struct kernel_message *m)
{
	const struct ndmsg *fixed = mnl_nlmsg_get_payload(nlh);
	struct kernel_neigh *out = &m->neigh;
	struct attrs a;

	/* Proxied addresses are answered for, not found. */
	if (!attrs_of(nlh, sizeof(*fixed), &a) || !is_ip(fixed->ndm_family) ||
	    (fixed->ndm_flags & NTF_PROXY) != 0)
		return false;
	m->ifindex = (uint32_t)fixed->ndm_ifindex;
	*out = (struct kernel_neigh) { .state = fixed->ndm_state };
	if (a.of[NDA_DST] == NULL || !octets_take(a.of[NDA_DST], fixed->ndm_family, &out->addr))
		return false;
	if (a.of[NDA_LLADDR] != NULL &&
	    mnl_attr_get_payload_len(a.of[NDA_LLADDR]) == sizeof(out->mac)) {
		memcpy(&out->mac, mnl_attr_get_payload(a.of[NDA_LLADDR]), sizeof(out->mac));
		out->has_mac = true;
	}
	return true;
}

static bool
nexthop_parse(const struct nlmsghdr *nlh, struct kernel_message *m)
{
	return nlh->nlmsg_len >= MNL_NLMSG_HDRLEN + sizeof(struct nhmsg);
}

bool
kernel_parse(const struct nlmsghdr *nlh, struct kernel_message *out)
{
	static const struct {
		uint16_t made, gone;
		enum kernel_kind kind;
		bool (*parse)(const struct nlmsghdr *nlh, struct kernel_message *m);
	} kinds[] = {
		{ RTM_NEWLINK, RTM_DELLINK, KERNEL_LINK, link_parse },
		{ RTM_NEWADDR, RTM_DELADDR, KERNEL_ADDRESS, address_parse },
		{ RTM_NEWROUTE, RTM_DELROUTE, KERNEL_ROUTE, route_parse },
		{ RTM_NEWNEIGH, RTM_DELNEIGH, KERNEL_NEIGH, neigh_parse },
		{ RTM_NEWNEXTHOP, RTM_DELNEXTHOP, KERNEL_NEXTHOP, nexthop_parse },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (nlh->nlmsg_type != kinds[i].made && nlh->nlmsg_type != kinds[i].gone)
			continue;
		out->kind = kinds[i].kind;
		out->gone = nlh->nlmsg_type == kinds[i].gone;
		out->ifindex = 0;
		return kinds[i].parse(nlh, out);
	}
	return false;
}

static struct nlmsghdr *
request(void *room, uint32_t seq, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh;

	memset(room, 0, KERNEL_REQUEST_SIZE);
	nlh = mnl_nlmsg_put_header(room);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = seq;
	return nlh;
}

static void
address_put(struct nlmsghdr *nlh, uint16_t type, const struct addr *a)
{
	mnl_attr_put(nlh, type, a->family == 4 ? 4 : 16, a->octets);
}

static uint8_t
af_of(const struct addr *a)
{
	return a->family == 4 ? AF_INET : AF_INET6;
}

size_t
kernel_dump(void *room, uint32_t seq, uint16_t type, uint8_t family)
{
	struct nlmsghdr *nlh = request(room, seq, type, NLM_F_DUMP);
	size_t fixed = type == RTM_GETLINK  ? sizeof(struct ifinfomsg) :
		       type == RTM_GETADDR  ? sizeof(struct ifaddrmsg) :
		       type == RTM_GETROUTE ? sizeof(struct rtmsg) :
					      sizeof(struct ndmsg);
	uint8_t *payload = mnl_nlmsg_put_extra_header(nlh, fixed);

	payload[0] = family; /* of all four */
	return nlh->nlmsg_len;
}

size_t
kernel_use(void *room, uint32_t seq, uint32_t ifindex, const struct addr *a)
{
	struct nlmsghdr *nlh = request(room, seq, RTM_NEWNEIGH, NLM_F_CREATE);
	struct ndmsg *fixed = mnl_nlmsg_put_extra_header(nlh, sizeof(*fixed));

	fixed->ndm_family = af_of(a);
	fixed->ndm_ifindex = (int)ifindex;
	fixed->ndm_flags = NTF_USE;
	address_put(nlh, NDA_DST, a);
	return nlh->nlmsg_len;
}

size_t
kernel_address(void *room, uint32_t seq, uint32_t ifindex, const struct addr *a, uint8_t len,
	       bool gone)
{
	struct nlmsghdr *nlh = request(room, seq, gone ? RTM_DELADDR : RTM_NEWADDR,
				       NLM_F_ACK | (gone ? 0 : NLM_F_CREATE | NLM_F_REPLACE));
	struct ifaddrmsg *fixed = mnl_nlmsg_put_extra_header(nlh, sizeof(*fixed));

	fixed->ifa_family = af_of(a);
	fixed->ifa_prefixlen = len;
	fixed->ifa_index = ifindex;
	address_put(nlh, IFA_LOCAL, a);
	address_put(nlh, IFA_ADDRESS, a);
	/* The file says that it is ours, and who binds to it at the start need not wait a second.
	 */
	if (!gone && a->family == 6)
		mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NODAD);
	return nlh->nlmsg_len;
}
