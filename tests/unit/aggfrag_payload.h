/* Payloads of IP-TFS written by hand, for unit tests of its receiver. */
#ifndef TESTS_AGGFRAG_PAYLOAD_H
#define TESTS_AGGFRAG_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rte_mbuf.h>

#include "wire/aggfrag.h"

/* Octet i of inner packet k: of IPv6 if k is odd. */
static inline uint8_t
octet(unsigned int k, uint32_t len, uint32_t i)
{
	const uint8_t v4[] = { 0x45, 0, (uint8_t)(len >> 8), (uint8_t)len };
	const uint8_t v6[] = { 0x60, 0, 0, 0, (uint8_t)((len - 40) >> 8), (uint8_t)(len - 40) };

	if (k % 2 == 0)
		return i < sizeof(v4) ? v4[i] : (uint8_t)(k * 37 + i * 3 + i / 256);
	return i < sizeof(v6) ? v6[i] : (uint8_t)(k * 37 + i * 3 + i / 256);
}

/* A payload that is being written. */
static struct {
	uint8_t octets[65536];
	uint32_t n;
} made;

static inline void
begin(uint16_t offset)
{
	memset(made.octets, 0, WIRE_AGGFRAG_HEADER);
	made.octets[2] = (uint8_t)(offset >> 8);
	made.octets[3] = (uint8_t)offset;
	made.n = WIRE_AGGFRAG_HEADER;
}

static inline void
put(unsigned int k, uint32_t len, uint32_t from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		made.octets[made.n++] = octet(k, len, from + i);
}

static inline void
fill(uint8_t value, uint32_t n)
{
	memset(made.octets + made.n, value, n);
	made.n += n;
}

/* In segments of at most `most` octets; behind the headers of an outer packet. */
static inline struct rte_mbuf *
payload(struct rte_mempool *pool, uint32_t most)
{
	struct rte_mbuf *m = NULL, *last = NULL;
	uint32_t at = 0;

	do {
		struct rte_mbuf *seg = rte_pktmbuf_alloc(pool);
		uint16_t n = (uint16_t)RTE_MIN(most, made.n - at);

		assert_non_null(seg);
		if (m == NULL)
			seg->data_off += 50;
		assert_true(n <= rte_pktmbuf_tailroom(seg));
		memcpy(rte_pktmbuf_append(seg, n), made.octets + at, n);
		at += n;
		if (m == NULL) {
			m = seg;
		} else {
			last->next = seg;
			m->nb_segs++;
			m->pkt_len += n;
		}
		last = seg;
	} while (at < made.n);
	return m;
}

static inline bool
is_packet(const struct rte_mbuf *m, unsigned int k, uint32_t len)
{
	uint8_t copy;

	if (m->pkt_len != len)
		return false;
	for (uint32_t i = 0; i < len; i++)
		if (*(const uint8_t *)rte_pktmbuf_read(m, i, 1, &copy) != octet(k, len, i))
			return false;
	return true;
}

#endif
