/* What both straight ways (SA_PLAIN) tell the cipher, and what is written on the way out. */
#ifndef ESP_PLAIN_H
#define ESP_PLAIN_H

#include <stdint.h>
#include <string.h>

#include "crypto/engine.h"
#include "sa/sa.h"

/* In front of a packet that goes out the straight way: Ethernet, IPv6, UDP, ESP, IV: 86. */
#define PLAIN_HEADROOM 96

#define PLAIN_TRAILER 2 /* pad length, next header */

/* Salt of 4 and IV of 8 octets (RFC 4106 section 4, RFC 7634 section 2); AAD by RFC 4106 section 5.
 * seq_be and iv are as they lie on the wire; text is in one piece, its tag behind it.
 */
static __rte_always_inline void
plain_op_fill(struct crypto_op *op, const struct sa *sa, uint64_t seq_be, uint64_t iv,
	      uint8_t *text, uint32_t text_len)
{
	/* With ESN: SPI, high half, low half; without: SPI, low half. */
	uint64_t number = sa->suite.esn ? seq_be : seq_be >> 32;

	memcpy(op->nonce, sa->salt, 4);
	memcpy(op->nonce + 4, &iv, 8);
	memcpy(op->aad, &sa->spi_be, 4);
	memcpy(op->aad + 4, &number, 8);
	op->session = sa_session(sa);
	op->engine = sa->engine;
	op->chain = NULL;
	op->text = text;
	op->text_len = text_len;
	op->tag = text + text_len;
}

/* What is in a packet of the straight ways. */
enum plain_kind {
	PLAIN_IP4,
	PLAIN_IP6,
	PLAIN_AGGFRAG,
};

/* Padding to a multiple of 4 and the trailer's two octets, in one store: what it writes beyond is
 * the tag's. */
static __rte_always_inline uint32_t
plain_trailer_write(uint8_t *end, uint32_t len, enum plain_kind kind)
{
	static const uint64_t trailers[][4] = {
		[PLAIN_IP4] = { 0x0400, 0x040101, 0x04020201, 0x0403030201 },
		[PLAIN_IP6] = { 0x2900, 0x290101, 0x29020201, 0x2903030201 },
		[PLAIN_AGGFRAG] = { 0x9000, 0x900101, 0x90020201, 0x9003030201 },
	};
	unsigned int pad = -(len + PLAIN_TRAILER) & 3;

	memcpy(end, &trailers[kind][pad], 8);
	return len + pad + PLAIN_TRAILER;
}

/* SPI, low half of the number, IV. With subspaces the octets before the text are the whole number:
 * as IV, or where there is none on the wire as what it is.
 */
static __rte_always_inline void
plain_header_write(const struct sa *sa, uint8_t *text, uint64_t seq_be)
{
	uint8_t *esp = text - sa->esp_size;
	uint32_t low_be = seq_be >> 32;

	memcpy(esp, &sa->spi_be, 4);
	if (unlikely((sa->flags & SA_SUBSPACES) != 0))
		memcpy(esp + 4, &seq_be, 8);
	else
		memcpy(esp + 4, &low_be, 4);
	memcpy(text - 8, &seq_be, 8);
}

#endif
