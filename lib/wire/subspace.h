/* ESP whose sequence number has subspaces: a wire format by agreement of both ends, not a standard
 * (WIRE_SUBSPACE_VERSION). Of an SA either every packet has it or none.
 *
 *	SPI 4 | subspace id 2 | number in it 6 | [IV 8] | payload as in RFC 4303
 *
 * All big-endian. Id and number read as one are the 64-bit sequence number of nonce and AAD:
 *nothing has to be inferred. The IV is left out with RFC 8750; where it is not, it equals the
 *octets 4 to 11.
 */
#ifndef WIRE_SUBSPACE_H
#define WIRE_SUBSPACE_H

#include <stdint.h>

#include <rte_byteorder.h>

#include "wire/bytes.h"

#define WIRE_SUBSPACE_VERSION 1
#define WIRE_SUBSPACE_HEADER  12 /* SPI, id, number */
#define WIRE_SUBSPACE_EXTRA   4	 /* more than the header of RFC 4303 */
#define WIRE_SUBSPACE_SHIFT   48 /* of the id in the number of 64 bits */
#define WIRE_SUBSPACE_NUMBER  ((UINT64_C(1) << WIRE_SUBSPACE_SHIFT) - 1)

/* Id and number, as they lie on the wire; esp is the SPI's place, with 12 octets to be read. */
static inline uint64_t
wire_subspace_be(const uint8_t *esp)
{
	return wire_load64(esp + 4);
}

static inline uint16_t
wire_subspace_id(uint64_t seq)
{
	return (uint16_t)(seq >> WIRE_SUBSPACE_SHIFT);
}

#endif
