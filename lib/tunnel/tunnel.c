#include "tunnel/tunnel.h"

#include <errno.h>
#include <stddef.h>

#include <rte_esp.h>
#include <rte_mbuf.h>

#include "wire/ip.h"

#define TRAILER 2 /* pad length, next header */

enum {
	NOT_ECT = 0,
	ECT1 = 1,
	ECT0 = 2,
	CE = 3,
};

#define ECN(inner, outer) ((inner) | (outer) << 2)

/* clang-format off */
const uint8_t tunnel_ecn_decap[16] = {
	[ECN(NOT_ECT, NOT_ECT)] = NOT_ECT,
	[ECN(NOT_ECT, ECT0)]    = NOT_ECT | TUNNEL_ECN_ODD,
	[ECN(NOT_ECT, ECT1)]    = NOT_ECT | TUNNEL_ECN_ODD,
	[ECN(NOT_ECT, CE)]      = TUNNEL_ECN_DROP | TUNNEL_ECN_ODD,
	[ECN(ECT0, NOT_ECT)]    = ECT0,
	[ECN(ECT0, ECT0)]       = ECT0,
	[ECN(ECT0, ECT1)]       = ECT1,
	[ECN(ECT0, CE)]         = CE,
	[ECN(ECT1, NOT_ECT)]    = ECT1,
	[ECN(ECT1, ECT0)]       = ECT1 | TUNNEL_ECN_ODD,
	[ECN(ECT1, ECT1)]       = ECT1,
	[ECN(ECT1, CE)]         = CE,
	[ECN(CE, NOT_ECT)]      = CE,
	[ECN(CE, ECT0)]         = CE,
	[ECN(CE, ECT1)]         = CE | TUNNEL_ECN_ODD,
	[ECN(CE, CE)]           = CE,
};
/* clang-format on */

static int
params_check(const struct tunnel_params *p, struct err *err)
{
	if ((p->src.family != 4 && p->src.family != 6) || p->src.family != p->dst.family)
		return err_set(err, -EINVAL, "src and dst: both have to be IPv4, or both IPv6");
	if (p->udp && (p->udp_src == 0 || p->udp_dst == 0))
		return err_set(err, -EINVAL, "encap.udp: port 0 cannot be sent to or from");
	if (p->ttl == 0)
		return err_set(err, -EINVAL, "ttl: 0, has to be 1 to 255");
	if (p->dscp == TUNNEL_DSCP_FIXED && p->dscp_value > 63)
		return err_set(err, -EINVAL, "outer_dscp: %u, has to be 0 to 63", p->dscp_value);
	if (p->dscp == TUNNEL_DSCP_MAP && p->more == NULL)
		return err_set(err, -EINVAL, "outer_dscp: no place for the map");
	for (int i = 0; p->dscp == TUNNEL_DSCP_MAP && i < TUNNEL_DSCP_MAP_SIZE; i++)
		if (p->dscp_map[i] > 63)
			return err_set(err, -EINVAL, "outer_dscp: %d becomes %u, has to be 0 to 63",
				       i, p->dscp_map[i]);
	if (p->label == TUNNEL_LABEL_FIXED && p->label_value > RTE_IPV6_HDR_FL_MASK)
		return err_set(err, -EINVAL, "flow_label: %u, has to be 0 to %u", p->label_value,
			       RTE_IPV6_HDR_FL_MASK);
	return 0;
}

static void
header4_make(struct tunnel_out *t, const struct tunnel_params *p)
{
	struct rte_ipv4_hdr ip = {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.time_to_live = p->ttl,
		.next_proto_id = p->udp ? IPPROTO_UDP : p->proto,
	};
	const uint32_t from = offsetof(struct rte_ipv4_hdr, time_to_live);

	memcpy(&ip.src_addr, p->src.octets, sizeof(ip.src_addr));
	memcpy(&ip.dst_addr, p->dst.octets, sizeof(ip.dst_addr));
	memcpy(t->header4, (const uint8_t *)&ip + from, sizeof(ip) - from);
	t->sum = wire_sum20(&ip);
	t->df_set = p->df == TUNNEL_DF_SET ? TUNNEL_DF : 0;
	t->df_copy = p->df == TUNNEL_DF_COPY ? TUNNEL_DF : 0;
	t->size = sizeof(ip);
}

static void
header6_make(struct tunnel_out *t, const struct tunnel_params *p)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)t->header6;
	uint32_t label = p->label == TUNNEL_LABEL_FIXED ? p->label_value : 0;

	ip->vtc_flow = rte_cpu_to_be_32(UINT32_C(6) << 28 | label);
	ip->proto = p->udp ? IPPROTO_UDP : p->proto;
	ip->hop_limits = p->ttl;
	memcpy(ip->src_addr, p->src.octets, sizeof(ip->src_addr));
	memcpy(ip->dst_addr, p->dst.octets, sizeof(ip->dst_addr));
	t->label_key =
		(uint32_t)(wire_sum(0, p->src.octets, 16) + (wire_sum(0, p->dst.octets, 16) << 16));
	t->size = sizeof(*ip);
}

static void
ports_make(struct tunnel_out *t, const struct tunnel_params *p)
{
	rte_be16_t ports[2] = { rte_cpu_to_be_16(p->udp_src), rte_cpu_to_be_16(p->udp_dst) };

	memcpy(p->src.family == 6 ? t->header6 + 40 : t->header4 + 12, ports, sizeof(ports));
	t->size += sizeof(struct rte_udp_hdr);
}

static const uint8_t frag_flags[] = {
	[TUNNEL_FRAG_PRE] = 0,
	[TUNNEL_FRAG_POST] = TUNNEL_OUT_FRAG_POST,
	[TUNNEL_FRAG_NONE] = TUNNEL_OUT_FRAG_NONE,
	[TUNNEL_FRAG_ALWAYS] = TUNNEL_OUT_FRAG_ALWAYS,
};

static uint8_t
flags_of(const struct tunnel_params *p)
{
	bool v6 = p->src.family == 6;

	return (uint8_t)((p->udp ? TUNNEL_OUT_UDP : 0) | (v6 ? TUNNEL_OUT_V6 : 0) |
			 (v6 && p->label == TUNNEL_LABEL_HASH ? TUNNEL_OUT_LABEL_HASH : 0) |
			 (v6 && p->label == TUNNEL_LABEL_COPY ? TUNNEL_OUT_LABEL_COPY : 0) |
			 (p->dscp == TUNNEL_DSCP_MAP ? TUNNEL_OUT_DSCP_MAP : 0) |
			 frag_flags[p->frag] | (p->mss_clamp ? TUNNEL_OUT_MSS_CLAMP : 0));
}

int
tunnel_out_init(struct tunnel_out *t, const struct tunnel_params *p, struct err *err)
{
	int rc = params_check(p, err);

	if (rc < 0)
		return rc;
	*t = (struct tunnel_out) {
		.flags = flags_of(p),
		.tos = p->dscp == TUNNEL_DSCP_FIXED ? (uint8_t)(p->dscp_value << 2) : 0,
		.tos_mask = (p->dscp == TUNNEL_DSCP_COPY ? RTE_IPV4_HDR_DSCP_MASK : 0) |
			    (p->ecn ? RTE_IPV4_HDR_ECN_MASK : 0),
		.more = p->more,
	};
	if (p->dscp == TUNNEL_DSCP_MAP)
		memcpy(p->more->dscp_map, p->dscp_map, sizeof(p->more->dscp_map));
	if (p->src.family == 6)
		header6_make(t, p);
	else
		header4_make(t, p);
	if (p->udp)
		ports_make(t, p);
	return 0;
}

/* One multiplication to 128 bits, both halves of the product. */
static inline uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ UINT64_C(0x9e3779b97f4a7c15)) *
				    (b ^ UINT64_C(0xd1b54a32d192ed03));

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline bool
has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

uint32_t
tunnel_flow_label(const struct tunnel_out *t, const uint8_t *inner, bool inner_v6)
{
	uint64_t hash = t->label_key, more;

	if (inner_v6) {
		const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)inner;

		more = ip->proto;
		if (has_ports(ip->proto) && wire_be16(&ip->payload_len) >= 4)
			more |= (uint64_t)wire_load32(ip + 1) << 32;
		hash ^= mix(wire_load64(ip->src_addr), wire_load64(ip->src_addr + 8));
		hash = mix(hash, wire_load64(ip->dst_addr)) ^ wire_load64(ip->dst_addr + 8);
	} else {
		const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)inner;
		bool piece = (ip->fragment_offset & WIRE_IP4_FRAGMENT) != 0;

		/* All pieces of a datagram take one way, so none looks at the ports. */
		more = ip->next_proto_id;
		if (has_ports(ip->next_proto_id) && !piece && ip->version_ihl == RTE_IPV4_VHL_DEF &&
		    wire_be16(&ip->total_length) >= sizeof(*ip) + 4)
			more |= (uint64_t)wire_load32(ip + 1) << 32;
		hash ^= wire_load64(&ip->src_addr);
	}
	return (uint32_t)(mix(hash, more) & RTE_IPV6_HDR_FL_MASK);
}

void
tunnel_outer_write6(const struct tunnel_out *t, uint8_t *at, const uint8_t *inner, bool inner_v6,
		    uint8_t tos, uint16_t payload)
{
	uint64_t w0 = wire_load64(t->header6);
	uint64_t payload_be = (uint64_t)wire_swap16(payload) << 32;
	uint32_t label = 0;

	if ((t->flags & TUNNEL_OUT_LABEL_HASH) != 0)
		label = tunnel_flow_label(t, inner, inner_v6);
	else if ((t->flags & TUNNEL_OUT_LABEL_COPY) != 0 && inner_v6)
		label = wire_be32(inner) & RTE_IPV6_HDR_FL_MASK;
	w0 |= wire_swap32((uint32_t)tos << RTE_IPV6_HDR_TC_SHIFT | label) | payload_be;
	memcpy(at, &w0, 8);
	memcpy(at + 8, t->header6 + 8, 32);
	if (unlikely((t->flags & TUNNEL_OUT_UDP) != 0)) {
		uint64_t w5 = wire_load64(t->header6 + 40) | payload_be;

		memcpy(at + 40, &w5, 8);
	}
}

void
tunnel_udp6_checksum(struct rte_mbuf *m, uint16_t udp_off)
{
	wire_l4_checksum_set(m, udp_off, offsetof(struct rte_udp_hdr, dgram_cksum), IPPROTO_UDP);
}

void
tunnel_tos_set(uint8_t *ip, bool v6, uint8_t tos)
{
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)ip;
	uint16_t old, new;

	if (v6) {
		ip[0] = (uint8_t)((ip[0] & 0xf0) | tos >> 4);
		ip[1] = (uint8_t)((ip[1] & 0x0f) | tos << 4);
		return;
	}
	old = wire_load16(ip);
	v4->type_of_service = tos;
	new = wire_load16(ip);
	v4->hdr_checksum = wire_checksum_update16(v4->hdr_checksum, old, new);
}

/* The largest text, without its trailer, in room octets behind the IP header (and UDP). */
static uint32_t
text_max(const struct suite *s, bool udp, uint32_t room)
{
	uint32_t head = (udp ? sizeof(struct rte_udp_hdr) : 0) + sizeof(struct rte_esp_hdr) +
			s->iv_len + s->icv_len;

	if (room < head + s->align)
		return 0;
	return RTE_ALIGN_FLOOR(room - head, (uint32_t)s->align) - TRAILER;
}

uint32_t
tunnel_mtu(const struct suite *s, bool outer_v6, bool udp, uint32_t outer_mtu)
{
	uint32_t ip_len = outer_v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);

	return outer_mtu < ip_len ? 0 : text_max(s, udp, outer_mtu - ip_len);
}

uint32_t
tunnel_transport_mtu(const struct suite *s, uint32_t ip_len, bool udp, uint32_t outer_mtu)
{
	uint32_t text = outer_mtu < ip_len ? 0 : text_max(s, udp, outer_mtu - ip_len);

	return text == 0 ? 0 : ip_len + text;
}
