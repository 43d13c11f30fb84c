/* rtnetlink messages by hand, and a follower that speaks to the test instead of the kernel. */
#ifndef TESTS_NETLINK_RIG_H
#define TESTS_NETLINK_RIG_H

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "mirror/follow.h"
#include "mirror/kernel.h"
#include "route_bed.h"

#define MS	   UINT64_C(1000000)
#define LAN_INDEX  11 /* interfaces that mirror the bed's ports */
#define WAN_INDEX  12
#define HOST_INDEX 2 /* one that mirrors none */

/* A message that grows. */
struct made {
	uint8_t room[1024] __rte_aligned(8);
};

static inline struct nlmsghdr *
made_header(struct made *m)
{
	return (struct nlmsghdr *)m->room;
}

static inline void *
made_begin(struct made *m, uint16_t type, uint16_t flags, size_t fixed)
{
	memset(m, 0, sizeof(*m));
	made_header(m)->nlmsg_type = type;
	made_header(m)->nlmsg_flags = flags;
	made_header(m)->nlmsg_len = (uint32_t)(NLMSG_HDRLEN + NLMSG_ALIGN(fixed));
	return m->room + NLMSG_HDRLEN;
}

static inline struct rtattr *
made_attr(struct made *m, uint16_t type, const void *value, size_t size)
{
	uint32_t *len = &made_header(m)->nlmsg_len;
	struct rtattr *attr = (struct rtattr *)(m->room + *len);

	assert_true(*len + RTA_SPACE(size) <= sizeof(m->room));
	attr->rta_type = type;
	attr->rta_len = (uint16_t)RTA_LENGTH(size);
	if (size > 0)
		memcpy(RTA_DATA(attr), value, size);
	*len += (uint32_t)RTA_SPACE(size);
	return attr;
}

static inline void
made_ip(struct made *m, uint16_t type, const char *text)
{
	struct addr a = ip(text);

	made_attr(m, type, a.octets, a.family == 4 ? 4 : 16);
}

static inline uint8_t
af_of_text(const char *text)
{
	return strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
}

/* A route; via NULL: on the link; ifindex 0: no next hop is said. */
static inline void
made_route(struct made *m, uint16_t type, uint16_t flags, const char *to, const char *via,
	   uint32_t ifindex, uint32_t metric)
{
	struct prefix p = net(to);
	struct rtmsg *fixed = made_begin(m, type, flags, sizeof(*fixed));

	fixed->rtm_family = af_of_text(to);
	fixed->rtm_dst_len = p.len;
	fixed->rtm_table = RT_TABLE_MAIN;
	fixed->rtm_type = RTN_UNICAST;
	if (p.len > 0)
		made_attr(m, RTA_DST, p.addr.octets, p.addr.family == 4 ? 4 : 16);
	if (metric != 0)
		made_attr(m, RTA_PRIORITY, &metric, sizeof(metric));
	if (via != NULL)
		made_ip(m, RTA_GATEWAY, via);
	if (ifindex != 0)
		made_attr(m, RTA_OIF, &ifindex, sizeof(ifindex));
}

static inline struct rtmsg *
made_rtmsg(struct made *m)
{
	return (struct rtmsg *)(m->room + NLMSG_HDRLEN);
}

/* One path more of a multipath route; begin with paths NULL, end with made_paths(). */
struct paths {
	uint8_t room[512] __rte_aligned(8);
	size_t size;
};

static inline void
paths_add(struct paths *p, const char *via, uint32_t ifindex)
{
	struct rtnexthop *nh = (struct rtnexthop *)(p->room + p->size);
	struct addr a = ip(via);
	size_t size = a.family == 4 ? 4 : 16;
	struct rtattr *attr = (struct rtattr *)(nh + 1);

	memset(nh, 0, sizeof(*nh));
	nh->rtnh_ifindex = (int)ifindex;
	nh->rtnh_len = (uint16_t)(sizeof(*nh) + RTA_LENGTH(size));
	attr->rta_type = RTA_GATEWAY;
	attr->rta_len = (uint16_t)RTA_LENGTH(size);
	memcpy(RTA_DATA(attr), a.octets, size);
	p->size += RTNH_ALIGN(nh->rtnh_len);
}

static inline void
made_neigh(struct made *m, uint16_t type, const char *text, uint32_t ifindex, uint16_t state,
	   uint8_t last)
{
	struct ndmsg *fixed = made_begin(m, type, 0, sizeof(*fixed));
	uint8_t mac[6] = { 2, 0, 0, 0, 2, last };

	fixed->ndm_family = af_of_text(text);
	fixed->ndm_ifindex = (int)ifindex;
	fixed->ndm_state = state;
	made_ip(m, NDA_DST, text);
	if (last != 0)
		made_attr(m, NDA_LLADDR, mac, sizeof(mac));
}

static inline void
made_address(struct made *m, uint16_t type, const char *text, uint8_t len, uint32_t ifindex,
	     uint32_t flags)
{
	struct ifaddrmsg *fixed = made_begin(m, type, 0, sizeof(*fixed));

	fixed->ifa_family = af_of_text(text);
	fixed->ifa_prefixlen = len;
	fixed->ifa_index = ifindex;
	made_ip(m, IFA_ADDRESS, text);
	made_attr(m, IFA_FLAGS, &flags, sizeof(flags));
}

/* What the follower said to the kernel, and to control. */
struct far {
	struct bed *b;
	struct follow *f;
	uint64_t now;
	uint32_t mark; /* sequence number of the dump that waits for its end; 0: none */
	uint16_t dump; /* its type */
	uint8_t dump_family;
	uint32_t asked, puts;
	struct addr asked_for;
	uint32_t told; /* addresses */
	uint8_t n_addresses, port;
	struct link_address addresses[LINK_ADDRESSES_MAX];
	char warned[ERR_TEXT_SIZE];
};

static inline int
far_send(void *ctx, const void *message, size_t size)
{
	const struct nlmsghdr *nlh = message;
	const struct ndmsg *nd = NLMSG_DATA(nlh);
	const struct rtattr *dst = (const struct rtattr *)(nd + 1);
	struct far *far = ctx;

	assert_int_equal(nlh->nlmsg_len, size);
	assert_true((nlh->nlmsg_flags & NLM_F_REQUEST) != 0);
	if ((nlh->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) {
		/* The kernel takes one at a time. */
		assert_int_equal(far->mark, 0);
		far->mark = nlh->nlmsg_seq;
		far->dump = nlh->nlmsg_type;
		far->dump_family = *(const uint8_t *)NLMSG_DATA(nlh);
	} else if (nlh->nlmsg_type == RTM_NEWNEIGH) {
		assert_int_equal(nd->ndm_flags, NTF_USE);
		assert_int_equal(dst->rta_type, NDA_DST);
		far->asked_for = (struct addr) { .family = nd->ndm_family == AF_INET ? 4 : 6 };
		memcpy(far->asked_for.octets, RTA_DATA(dst), RTA_PAYLOAD(dst));
		far->asked++;
	} else {
		far->puts++;
	}
	return 0;
}

static inline void
far_addresses(void *ctx, uint8_t port, const struct link_address *list, uint8_t n)
{
	struct far *far = ctx;

	far->told++;
	far->port = port;
	far->n_addresses = n;
	memcpy(far->addresses, list, n * sizeof(*list));
}

static inline void
far_warn(void *ctx, const char *sentence)
{
	struct far *far = ctx;

	snprintf(far->warned, sizeof(far->warned), "%s", sentence);
}

static inline void
feed(struct far *far, const struct made *m)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)m->room;

	follow_feed(far->f, nlh, nlh->nlmsg_len);
}

static inline void
route_said(struct far *far, uint16_t type, uint16_t flags, const char *to, const char *via,
	   uint32_t ifindex, uint32_t metric)
{
	struct made m;

	made_route(&m, type, flags, to, via, ifindex, metric);
	feed(far, &m);
}

static inline void
neigh_said(struct far *far, const char *text, uint32_t ifindex, uint16_t state, uint8_t last)
{
	struct made m;

	made_neigh(&m, RTM_NEWNEIGH, text, ifindex, state, last);
	feed(far, &m);
}

static inline void
tick(struct far *far, uint64_t ns)
{
	far->now += ns;
	follow_tick(far->f, far->now);
}

/* The kernel's end of the dump at hand. */
static inline void
dump_done(struct far *far, uint16_t flags)
{
	struct made m;

	made_begin(&m, NLMSG_DONE, flags | NLM_F_MULTI, 4);
	made_header(&m)->nlmsg_seq = far->mark;
	far->mark = 0;
	feed(far, &m);
}

/* Runs until no dump is asked for any more. */
static inline void
settle(struct far *far)
{
	for (int quiet = 0; quiet < 10; quiet++) {
		tick(far, 100 * MS);
		for (; far->mark != 0; quiet = 0)
			dump_done(far, 0);
	}
}

/* A follower of two mirrors, through with its first dumps. */
static inline int
far_up(void **state)
{
	struct far *far = calloc(1, sizeof(*far));
	struct follow_params params = {
		.ctx = far, .addresses = far_addresses, .warn = far_warn, .send = far_send
	};
	struct err err;

	bed_up((void **)&far->b);
	far->now = 1000 * MS;
	params.route = far->b->r;
	assert_int_equal(follow_create(&params, &far->f, &err), 0);
	follow_port_set(far->f, LAN, LAN_INDEX);
	follow_port_set(far->f, WAN, WAN_INDEX);
	settle(far);
	far->asked = 0;
	*state = far;
	return 0;
}

static inline int
far_down(void **state)
{
	struct far *far = *state;

	follow_free(far->f);
	bed_down((void **)&far->b);
	free(far);
	return 0;
}

#endif
