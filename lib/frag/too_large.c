#include <rte_ip.h>
#include <rte_mbuf.h>

#include "frag/frag.h"
#include "sa/sa.h"
#include "worker/worker.h"

#define MTU6_MIN 1280 /* RFC 8200 section 5 */

enum verdict {
	TELL,	   /* the sender, and drop */
	CUT_INNER, /* now */
	CUT_OUTER, /* behind ESP */
};

static bool
is_df(const struct rte_mbuf *m)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);

	return (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) != 0;
}

/* An IPv6 link takes 1280 octets: no host is told less, so a tunnel that has no room for them in
 * one outer packet takes two (RFC 2473 section 7.1), whatever its policy. Payloads of IP-TFS go
 * whole.
 */
static enum verdict
judge6(const struct rte_mbuf *m, const struct sa *sa, uint8_t policy)
{
	if ((sa->flags & SA_IPTFS) != 0)
		return TELL;
	/* Its sender cut it already, and BEET put it together: no number would help. */
	if ((sa->flags & SA_BEET) != 0 && (pkt_of(m)->marks & PKT_REASM) != 0)
		return CUT_OUTER;
	if (policy == TUNNEL_OUT_FRAG_ALWAYS || m->pkt_len <= MTU6_MIN)
		return CUT_OUTER;
	return TELL;
}

/* RFC 4301 section 7: transport mode carries whole datagrams, and so does BEET: they cut behind ESP
 * only. */
static enum verdict
judge4(const struct rte_mbuf *m, const struct sa *sa, uint8_t policy)
{
	if ((sa->flags & SA_IPTFS) != 0)
		return policy == TUNNEL_OUT_FRAG_NONE || is_df(m) ? TELL : CUT_INNER;
	if (policy == TUNNEL_OUT_FRAG_ALWAYS)
		return CUT_OUTER;
	if (policy == TUNNEL_OUT_FRAG_NONE || is_df(m))
		return TELL;
	if (policy == TUNNEL_OUT_FRAG_POST || (sa->flags & (SA_TRANSPORT | SA_BEET)) != 0)
		return CUT_OUTER;
	return CUT_INNER;
}

static enum verdict
judge(const struct rte_mbuf *m, const struct sa *sa, uint16_t whole)
{
	bool v6 = (pkt_of(m)->flags & PKT_V6) != 0;
	uint8_t policy = sa->out.flags & TUNNEL_OUT_FRAG_ALWAYS;
	enum verdict verdict = v6 ? judge6(m, sa, policy) : judge4(m, sa, policy);

	/* An outer packet of more than a length field can say. */
	if (verdict == CUT_OUTER && m->pkt_len > whole)
		return v6 || is_df(m) || (sa->flags & (SA_TRANSPORT | SA_BEET)) != 0 ? TELL :
										       CUT_INNER;
	return verdict;
}

bool
too_large(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	const struct sa *sa = p->hot;
	enum verdict verdict;

	if ((p->marks & PKT_PROBE) != 0)
		return true;
	verdict = judge(m, sa, frag_room(sa, p, sa_mtu(sa, UINT16_MAX)));
	p->mtu = frag_limit(sa, p);
	if (verdict == CUT_OUTER) {
		p->mtu = __atomic_load_n(&sa->out.path_mtu, __ATOMIC_RELAXED);
		p->marks |= PKT_CUT;
		p->next_hop = NEXT_HOP_NONE;
		return true;
	}
	if (verdict == TELL)
		p->reply = ICMP_REPLY_TOO_BIG;
	pipe_push(w, verdict == TELL ? STAGE_ICMP_REPLY : STAGE_FRAG_INNER, m);
	return false;
}
