#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>

#include "ipcomp/bucket.h"
#include "ipcomp/ipcomp.h"
#include "wire/bytes.h"

#define LEAST 16 /* octets: an empty block, the header, and one less than before */

/* SSH, HTTPS and QUIC, IMAP and POP over TLS, IPsec over NAT. */
static bool
is_encrypted_port(uint8_t proto, uint16_t port)
{
	if (proto == IPPROTO_UDP)
		return port == 443 || port == 4500;
	return proto == IPPROTO_TCP && (port == 443 || port == 22 || port == 993 || port == 995);
}

static bool
has_ports(const struct ipcomp_packet *p)
{
	return ipcomp_xt_takes(p->proto) && !p->fragment && p->l4_off + 4u <= p->contiguous &&
	       p->l4_off + 4u <= p->len;
}

/* RFC 2675: a length of 0, which stands in an option; and what no 16 bits can say. */
static bool
is_jumbogram(const struct ipcomp_packet *p)
{
	const struct rte_ipv6_hdr *v6 = (const struct rte_ipv6_hdr *)p->ip;

	return p->len > IPCOMP_OCTETS_MAX || (p->v6 && v6->payload_len == 0);
}

/* Reasons that every packet of its kind has. */
static enum ipcomp_count
never(const struct ipcomp_sa *is, const struct ipcomp_packet *p, bool ports)
{
	if (p->payload < is->params.threshold || p->payload < LEAST)
		return IPCOMP_SKIP_SMALL;
	if (p->fragment || is_jumbogram(p))
		return IPCOMP_SKIP_FRAGMENT;
	if (p->proto == IPPROTO_ESP || p->proto == IPPROTO_AH || p->proto == IPPROTO_COMP)
		return IPCOMP_SKIP_PROTOCOL;
	if (ports && (is_encrypted_port(p->proto, wire_be16(p->ip + p->l4_off)) ||
		      is_encrypted_port(p->proto, wire_be16(p->ip + p->l4_off + 2))))
		return IPCOMP_SKIP_PORT;
	return IPCOMP_COUNTS_MAX;
}

enum ipcomp_count
ipcomp_skip(struct ipcomp_worker *iw, const struct ipcomp_sa *is, struct ipcomp_cell *cell,
	    const struct ipcomp_packet *p, uint64_t now, struct ipcomp_slot **slot)
{
	bool ports = has_ports(p);
	enum ipcomp_count why = never(is, p, ports);
	struct ipcomp_slot *s;

	*slot = NULL;
	if (why != IPCOMP_COUNTS_MAX)
		return why;
	s = ipcomp_slot(cell, p->ip, p->contiguous, p->l4_off, p->v6);
	*slot = s;
	if (s->word >= IPCOMP_SLOT_SKIP) {
		s->word -= IPCOMP_SLOT_SKIP;
		return IPCOMP_SKIP_ADAPTIVE;
	}
	if (!bucket_has(&iw->budget, iw->codec->octets_per_ms, now))
		return IPCOMP_SKIP_BUDGET;
	return IPCOMP_COUNTS_MAX;
}
