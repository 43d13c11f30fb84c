/* The outer header of a tunnel: made once per SA, patched once per packet (RFC 4301 section 5.1.2,
 * RFC 6040).
 *
 * This module knows no SA; lib/sa keeps a struct tunnel_out across an outbound SA's two lines. In
 * transport mode only its UDP ports are used.
 */
#ifndef TUNNEL_TUNNEL_H
#define TUNNEL_TUNNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_common.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "alg/alg.h"
#include "base/addr.h"
#include "base/err.h"
#include "wire/sum.h"

struct rte_mbuf;

#define TUNNEL_DSCP_MAP_SIZE 64

enum tunnel_dscp {
	TUNNEL_DSCP_COPY,
	TUNNEL_DSCP_FIXED,
	TUNNEL_DSCP_MAP,
};

enum tunnel_df {
	TUNNEL_DF_COPY, /* an inner IPv6 packet counts as DF */
	TUNNEL_DF_SET,
	TUNNEL_DF_CLEAR,
};

enum tunnel_label {
	TUNNEL_LABEL_HASH, /* of the inner addresses, protocol and ports (RFC 6438) */
	TUNNEL_LABEL_COPY, /* of an inner IPv6 packet; 0 for IPv4 */
	TUNNEL_LABEL_FIXED,
};

/* What few tunnels have, away from the lines that each packet reads. */
struct tunnel_more {
	uint8_t dscp_map[TUNNEL_DSCP_MAP_SIZE]; /* the outer DSCP of each inner one */
};

/* What is done with an inner packet that is too large: lib/frag's. */
enum tunnel_frag {
	TUNNEL_FRAG_PRE,    /* IPv4 with a clear DF is cut before ESP */
	TUNNEL_FRAG_POST,   /* its outer packet is cut */
	TUNNEL_FRAG_NONE,   /* its sender is told */
	TUNNEL_FRAG_ALWAYS, /* the outer packet is cut whatever the inner one says: nobody is told
			     */
};

struct tunnel_params {
	struct addr src, dst;	   /* of one family */
	bool udp;		   /* RFC 3948 */
	uint16_t udp_src, udp_dst; /* host order */
	uint8_t proto;		   /* what the header carries if not UDP: IPPROTO_ESP, IPPROTO_AH */
	uint8_t ttl;		   /* 1 … 255 */
	bool ecn;		   /* RFC 6040 normal mode: copied; else Not-ECT */
	enum tunnel_dscp dscp;
	uint8_t dscp_value;	  /* TUNNEL_DSCP_FIXED: 0 … 63 */
	const uint8_t *dscp_map;  /* TUNNEL_DSCP_MAP; borrowed for the call */
	struct tunnel_more *more; /* its place, which lives as long as the tunnel; NULL where
				     nothing of the params belongs there */
	enum tunnel_df df;
	enum tunnel_frag frag;
	bool mss_clamp; /* the MSS of TCP is lowered to what fits */
	enum tunnel_label label;
	uint32_t label_value; /* TUNNEL_LABEL_FIXED: 20 bits */
};

enum tunnel_out_flag {
	TUNNEL_OUT_UDP = 1 << 0,
	TUNNEL_OUT_V6 = 1 << 1,
	TUNNEL_OUT_LABEL_HASH = 1 << 2,
	TUNNEL_OUT_LABEL_COPY = 1 << 3,
	TUNNEL_OUT_DSCP_MAP = 1 << 4,
	/* For lib/frag: none of the two is TUNNEL_FRAG_PRE. */
	TUNNEL_OUT_FRAG_NONE = 1 << 5,
	TUNNEL_OUT_FRAG_POST = 1 << 6,
	TUNNEL_OUT_FRAG_ALWAYS = TUNNEL_OUT_FRAG_NONE | TUNNEL_OUT_FRAG_POST,
	TUNNEL_OUT_MSS_CLAMP = 1 << 7,
};

#define TUNNEL_DF 0x40 /* as it lies in an IPv4 header's seventh octet */

/* The header stands ready to be copied, without what differs from packet to packet. First what
 * IPv4 takes, which is all of it: the rest is not touched then.
 */
struct tunnel_out {
	uint8_t flags;		 /* enum tunnel_out_flag */
	uint8_t size;		 /* octets before the ESP header: 20, 28, 40 or 48 */
	uint8_t tos;		 /* fixed bits */
	uint8_t tos_mask;	 /* bits taken from the inner packet */
	uint16_t sum;		 /* of all fields that stand ready, as the checksum sums them */
	uint8_t df_set, df_copy; /* TUNNEL_DF or 0 */
	uint8_t header4[16];	 /* from TTL on, and the UDP ports */
	uint8_t header6[48];	 /* and UDP */
	uint32_t label_key;	 /* mixes the flow label, not the same for two peers */
	uint16_t pad_to;	 /* lib/sa's: TFC, grow the packet to this size */
	uint16_t path_mtu;	 /* lib/sa's: octets of an outer packet, at most */
	const struct tunnel_more *more; /* NULL for most */
};
#define TUNNEL_OUT_FIRST 24 /* octets for IPv4 */
_Static_assert(offsetof(struct tunnel_out, header6) == TUNNEL_OUT_FIRST, "the first part");
_Static_assert(sizeof(struct tunnel_out) == TUNNEL_OUT_FIRST + 64, "and a line");

/* -EINVAL: addresses of two families or none, a port, TTL, DSCP or label out of range; a map
 * without params.more. */
int tunnel_out_init(struct tunnel_out *t, const struct tunnel_params *p, struct err *err);

static inline uint8_t
tunnel_out_size(const struct tunnel_out *t)
{
	return t->size;
}

/* The UDP ports as they stand in the header; only with params.udp. */
static inline void
tunnel_udp_ports(const struct tunnel_out *t, rte_be16_t *src, rte_be16_t *dst)
{
	const uint8_t *ports = (t->flags & TUNNEL_OUT_V6) != 0 ? t->header6 + 40 : t->header4 + 12;

	memcpy(src, ports, 2);
	memcpy(dst, ports + 2, 2);
}

/* The flow label, 20 bits, of an inner packet; reads its header and 4 octets of ports, no more. */
uint32_t tunnel_flow_label(const struct tunnel_out *t, const uint8_t *inner, bool inner_v6);

static inline uint8_t
tunnel_outer_tos(const struct tunnel_out *t, uint8_t inner_tos)
{
	uint8_t tos = t->tos | (inner_tos & t->tos_mask);

	if (unlikely((t->flags & TUNNEL_OUT_DSCP_MAP) != 0))
		tos |= (uint8_t)(t->more->dscp_map[inner_tos >> 2] << 2);
	return tos;
}

static inline void
tunnel_outer_write4(const struct tunnel_out *t, uint8_t *at, uint8_t tos, uint8_t inner_df,
		    uint16_t total, uint16_t *id)
{
	uint32_t df = t->df_set | (t->df_copy & inner_df), own_id = 0;
	uint32_t tos_high = (uint32_t)tos << 8, total_be = wire_swap16(total), sum;
	uint64_t w0, w1 = wire_load64(t->header4);

	/* An atomic datagram needs no id (RFC 6864); the others count. */
	if (df == 0)
		own_id = ++*id;
	sum = tos_high + total_be + own_id + df + t->sum;
	w0 = RTE_IPV4_VHL_DEF | tos_high | total_be << 16 | (uint64_t)(own_id | df << 16) << 32;
	w1 |= (uint64_t)(uint16_t)~wire_sum_fold32(sum) << 16;
	memcpy(at, &w0, 8);
	memcpy(at + 8, &w1, 8);
	memcpy(at + 16, t->header4 + 8, 4);
	if (unlikely((t->flags & TUNNEL_OUT_UDP) != 0)) {
		uint32_t len_be = wire_swap16((uint16_t)(total - sizeof(struct rte_ipv4_hdr)));

		memcpy(at + 20, t->header4 + 12, 4);
		memcpy(at + 24, &len_be, 4);
	}
}

/* By a call: in line it would take the registers that a loop over IPv4 needs. */
void tunnel_outer_write6(const struct tunnel_out *t, uint8_t *at, const uint8_t *inner,
			 bool inner_v6, uint8_t tos, uint16_t payload);

/* Writes the outer header of one packet at `at`.
 *
 * inner: its own IP header, read before anything is written; inner_tos, inner_df: from there, the
 * latter as the octet that DF is in (TUNNEL_DF for IPv6). total: of the outer packet, with this
 * header. *id: the worker's IPv4 id, counted up when DF is clear.
 *
 * Writes tunnel_out_size() octets. The UDP checksum is 0: over IPv6 tunnel_udp6_checksum() comes
 * behind the cipher.
 */
static inline void
tunnel_outer_write(const struct tunnel_out *t, uint8_t *at, const uint8_t *inner, bool inner_v6,
		   uint8_t inner_tos, uint8_t inner_df, uint16_t total, uint16_t *id)
{
	uint8_t tos = tunnel_outer_tos(t, inner_tos);

	if (likely((t->flags & TUNNEL_OUT_V6) == 0))
		tunnel_outer_write4(t, at, tos, inner_df, total, id);
	else
		tunnel_outer_write6(t, at, inner, inner_v6, tos,
				    (uint16_t)(total - sizeof(struct rte_ipv6_hdr)));
}

/* UDP over IPv6 has to have a checksum (RFC 8200 section 8.1). The data begin with the IPv6 header,
 * the UDP header is at udp_off, both in the first segment; all of the packet is final.
 */
void tunnel_udp6_checksum(struct rte_mbuf *m, uint16_t udp_off);

/* RFC 6040 section 4.2: what becomes of the inner packet. Index: inner ECN | outer ECN << 2. */
enum tunnel_ecn {
	TUNNEL_ECN_MASK = 3,	 /* the ECN it goes on with */
	TUNNEL_ECN_ODD = 1 << 2, /* a combination that nobody uses today: worth a counter */
	TUNNEL_ECN_DROP = 1 << 3,
};
extern const uint8_t tunnel_ecn_decap[16];

/* Writes another TOS octet or traffic class into a packet's IP header; IPv4's checksum follows. */
void tunnel_tos_set(uint8_t *ip, bool v6, uint8_t tos);

/* The largest inner packet that a tunnel takes when its outer packets may have outer_mtu octets; 0
 * when none fits. An IPv6 sender is never told less than 1280: that is the caller's.
 */
uint32_t tunnel_mtu(const struct suite *s, bool outer_v6, bool udp, uint32_t outer_mtu);

/* The same in transport mode: the whole clear packet with its own IP header of ip_len octets
 * (extension headers that stay before ESP included).
 */
uint32_t tunnel_transport_mtu(const struct suite *s, uint32_t ip_len, bool udp, uint32_t outer_mtu);

#endif
