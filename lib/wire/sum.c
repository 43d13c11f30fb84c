#include "wire/sum.h"

#include <rte_ip.h>
#include <rte_mbuf.h>

uint64_t
wire_sum(uint64_t sum, const void *p, uint32_t n)
{
	const uint8_t *at = p;
	uint64_t low = 0, high = 0;
	uint64_t rest = 0;

	/* Two accumulators of 32-bit halves: no carry to wait for below 2^32 words. */
	for (; n >= 8; n -= 8, at += 8) {
		uint64_t v = wire_load64(at);

		low += (uint32_t)v;
		high += v >> 32;
	}
	memcpy(&rest, at, n);
	low += (uint32_t)rest;
	high += rest >> 32;
	return wire_sum_fold(low) + (uint64_t)wire_sum_fold(high) + wire_sum_fold(sum);
}

uint64_t
wire_sum_mbuf(uint64_t sum, const struct rte_mbuf *m, uint32_t off, uint32_t n)
{
	bool odd = false;

	while (off >= m->data_len && n > 0) {
		off -= m->data_len;
		m = m->next;
	}
	for (; n > 0; m = m->next, off = 0) {
		uint32_t here = RTE_MIN(n, m->data_len - off);
		uint16_t part = wire_sum_fold(
			wire_sum(0, rte_pktmbuf_mtod_offset(m, uint8_t *, off), here));

		/* A piece that begins on an odd offset has its octets in the other halves of the
		 * words. */
		sum += odd ? rte_bswap16(part) : part;
		odd ^= here & 1;
		n -= here;
	}
	return sum;
}

uint16_t
wire_ip4_checksum(const void *ip, uint32_t n)
{
	const struct rte_ipv4_hdr *h = ip;
	uint64_t sum = wire_sum(0, ip, n) + (uint16_t)~h->hdr_checksum;

	return (uint16_t)~wire_sum_fold(sum);
}

/* Source, destination, protocol and upper-layer length; ICMP over IPv4 has no pseudo header. */
static uint64_t
pseudo_header(const uint8_t *ip, uint32_t len, uint8_t proto)
{
	uint64_t sum = rte_cpu_to_be_16(proto) + (uint64_t)rte_cpu_to_be_32(len);

	if (ip[0] >> 4 == 6)
		return wire_sum(sum, ip + offsetof(struct rte_ipv6_hdr, src_addr), 32);
	if (proto == IPPROTO_ICMP)
		return 0;
	return wire_sum(sum, ip + offsetof(struct rte_ipv4_hdr, src_addr), 8);
}

void
wire_l4_checksum_set(struct rte_mbuf *m, uint16_t l4_off, uint16_t field, uint8_t proto)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t len = m->pkt_len - l4_off;
	uint16_t checksum = 0;

	memcpy(ip + l4_off + field, &checksum, sizeof(checksum));
	checksum = (uint16_t)~wire_sum_fold(
		wire_sum_mbuf(pseudo_header(ip, len, proto), m, l4_off, len));
	/* UDP's 0 says that there is none (RFC 768). */
	if (checksum == 0 && proto == IPPROTO_UDP)
		checksum = 0xffff;
	memcpy(ip + l4_off + field, &checksum, sizeof(checksum));
}
