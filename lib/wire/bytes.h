/* Loads from octets of any alignment, and the byte order of the wire.
 *
 * For the datapath instead of rte_be_to_cpu_16() and its kin: those are inline assembly on x86
 * (xchg of the halves of a register, which stalls the next use of the whole); the compiler's own is
 * one rotation.
 */
#ifndef WIRE_BYTES_H
#define WIRE_BYTES_H

#include <stdint.h>
#include <string.h>

#include <rte_byteorder.h>

_Static_assert(RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN, "headers are read and patched in registers");

static inline uint64_t
wire_load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t
wire_load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint16_t
wire_load16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Between the wire's order and the host's, both ways. */
static inline uint16_t
wire_swap16(uint16_t v)
{
	return __builtin_bswap16(v);
}

static inline uint32_t
wire_swap32(uint32_t v)
{
	return __builtin_bswap32(v);
}

static inline uint64_t
wire_swap64(uint64_t v)
{
	return __builtin_bswap64(v);
}

/* A 16-bit field as it lies in a packet, in host order. */
static inline uint16_t
wire_be16(const void *p)
{
	return wire_swap16(wire_load16(p));
}

static inline uint32_t
wire_be32(const void *p)
{
	return wire_swap32(wire_load32(p));
}

#endif
