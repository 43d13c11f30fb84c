/* The Internet checksum (RFC 1071), whole and by difference (RFC 1624).
 *
 * All sums are over 16-bit words as they lie in memory; ones' complement addition does not care
 * about the byte order as long as the result is stored the same way, so nothing is swapped. A `sum`
 * is an unfolded partial sum: start with 0, add pieces, fold once at the end.
 */
#ifndef WIRE_SUM_H
#define WIRE_SUM_H

#include <stdbool.h>
#include <stdint.h>
#include "wire/bytes.h"

struct rte_mbuf;

/* Adds n octets at p, which begin on an even offset of what is summed. p needs no alignment. */
uint64_t wire_sum(uint64_t sum, const void *p, uint32_t n);

/* Adds n octets from offset off (even) of a chain; segments may be of any length. The chain holds
 * them. */
uint64_t wire_sum_mbuf(uint64_t sum, const struct rte_mbuf *m, uint32_t off, uint32_t n);

/* The 16-bit ones' complement sum; its complement is what stands in a header. */
static inline uint16_t
wire_sum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)((sum >> 16) + sum);
}

/* Folds 32 bits whose halves may both be full: the low half's carry comes to the high half by
 * itself. */
static inline uint16_t
wire_sum_fold32(uint32_t sum)
{
	return (uint16_t)((sum + (sum << 16 | sum >> 16)) >> 16);
}

/* Of an IPv4 header without options: 20 octets as three loads, each carry brought around. */
static inline uint16_t
wire_sum20(const void *p)
{
	const uint8_t *at = p;
	uint64_t sum = wire_load64(at), next = wire_load64(at + 8);

	sum += next;
	sum += sum < next;
	next = wire_load32(at + 16);
	sum += next;
	sum += sum < next;
	return wire_sum_fold32((uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32));
}

/* Whether the checksum of an IPv4 header without options is right: the sum is a number modulo
 * 65535, where 65536 is 1, so words of 32 bits do as well as those of 16. (An all-zero header has
 * none.)
 */
static inline bool
wire_sum20_holds(const void *p)
{
	const uint8_t *at = p;
	uint64_t sum = 0;

	for (int i = 0; i < 20; i += 4)
		sum += wire_load32(at + i);
	return sum % 0xffff == 0;
}

/* The checksum of a header in which a 16-bit word changes from old to new (RFC 1624 equation 3). */
static inline uint16_t
wire_checksum_update16(uint16_t checksum, uint16_t old, uint16_t new)
{
	uint32_t sum = (uint16_t)~checksum + (uint32_t)(uint16_t)~old + new;

	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t) ~((sum >> 16) + sum);
}

/* What belongs in the checksum field of an IPv4 header of n octets, whatever stands there now. */
uint16_t wire_ip4_checksum(const void *ip, uint32_t n);

/* Makes anew the checksum of TCP, UDP, ICMP or ICMPv6 (proto) over a whole packet, chains too.
 *
 * The data begin with the IP header, whose addresses and the rest of the packet are final; pkt_len
 * is the IP total length. The upper layer begins at l4_off, its checksum stands field octets behind
 * that; both lie in the first segment. With an IPv6 routing header the destination must be the last
 * one already.
 */
void wire_l4_checksum_set(struct rte_mbuf *m, uint16_t l4_off, uint16_t field, uint8_t proto);

#endif
