/* What a datagram is known by, and hashes of it that nobody outside can foresee. */
#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>

#include "frag/datagram.h"
#include "wire/ip.h"

uint64_t
source_hash(const uint64_t src[2], bool v6, const uint64_t secret[5])
{
	return mix(mix(src[0] ^ secret[0], src[1] ^ secret[1]) ^ secret[2], secret[3] ^ v6);
}

uint64_t
datagram_key_of(const struct rte_mbuf *m, uint32_t id, const uint64_t secret[5],
		struct datagram_key *key)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v6 = (ip[0] >> 4) == 6;
	uint64_t hash;

	memset(key, 0, sizeof(*key));
	memcpy(key->src, wire_ip_src(ip, v6), v6 ? 16 : 4);
	memcpy(key->dst, wire_ip_dst(ip, v6), v6 ? 16 : 4);
	key->rest = id | (uint64_t)v6 << 40;
	/* IPv6's next header may differ between fragments, and counts in the first alone. */
	if (!v6)
		key->rest |= (uint64_t)ip[offsetof(struct rte_ipv4_hdr, next_proto_id)] << 32;
	hash = mix(key->src[0] ^ secret[0], key->src[1] ^ secret[1]);
	hash = mix(hash ^ key->dst[0], key->dst[1] ^ secret[2]);
	hash = mix(hash ^ secret[3], key->rest ^ secret[4]);
	/* One product of numbers in a row leans to one side under some secrets. */
	return mix(hash, UINT64_C(0x9e3779b97f4a7c15));
}
