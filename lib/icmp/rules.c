#include "icmp/answer.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "icmp/rules.h"
#include "wire/ip.h"

/* Queries and their answers; all other types are errors, or unknown and treated as such. */
static bool
is_query4(uint8_t type)
{
	const uint32_t queries = UINT32_C(1) << ICMP_ECHOREPLY | UINT32_C(1) << ICMP_ECHO |
				 UINT32_C(1) << ICMP_TIMESTAMP |
				 UINT32_C(1) << ICMP_TIMESTAMPREPLY |
				 UINT32_C(1) << ICMP_INFO_REQUEST | UINT32_C(1) << ICMP_INFO_REPLY |
				 UINT32_C(1) << ICMP_ADDRESS | UINT32_C(1) << ICMP_ADDRESSREPLY;

	return type < 32 && (queries >> type & 1) != 0;
}

static bool
is_query6(uint8_t type)
{
	return (type & ICMP6_INFOMSG_MASK) != 0 && type != ND_REDIRECT;
}

/* An ICMP message whose type cannot be seen may be an error. */
static bool
is_icmp_error(const struct rte_mbuf *m, const struct pkt *p, bool v6)
{
	uint8_t copy;
	const uint8_t *type;

	if (p->proto != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return false;
	type = rte_pktmbuf_read(m, p->l4_off, sizeof(copy), &copy);
	return type == NULL || !(v6 ? is_query6(*type) : is_query4(*type));
}

bool
icmp_may_answer(const struct icmp_sources *sources, const struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v6 = (p->flags & PKT_V6) != 0;
	const uint8_t *src = wire_ip_src(ip, v6), *dst = wire_ip_dst(ip, v6);

	if ((p->flags & (PKT_OWN | PKT_FRAG_LATER)) != 0)
		return false;
	if (!wire_is_unicast(src, v6) || (!v6 && icmp_is_broadcast(sources, src)))
		return false;
	/* Path MTU discovery works for IPv6 multicast. */
	if (!wire_is_unicast(dst, v6) &&
	    !(v6 && wire_is_multicast(dst, v6) && p->reply == ICMP_REPLY_TOO_BIG))
		return false;
	if (!v6 && icmp_is_broadcast(sources, dst))
		return false;
	return !is_icmp_error(m, p, v6);
}
