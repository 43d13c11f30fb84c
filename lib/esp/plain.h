/* What both straight ways (SA_PLAIN) tell the cipher. */
#ifndef ESP_PLAIN_H
#define ESP_PLAIN_H

#include <stdint.h>
#include <string.h>

#include "crypto/engine.h"
#include "sa/sa.h"

/* In front of a packet that goes out the straight way: Ethernet, IPv6, UDP, ESP, IV: 86. */
#define PLAIN_HEADROOM 96

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

#endif
