/* An engine that accepts every tag and leaves the text as it is, so that any octets are a text that
 * an SA's peer sealed. It reads what an engine reads, and writes a tag where one does, so that an
 * operation that does not lie in its packet is seen. It exists in fuzz targets alone.
 */
#ifndef TESTS_FUZZ_ACCEPTING_H
#define TESTS_FUZZ_ACCEPTING_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/engine.h"

static volatile uint8_t accepting_saw; /* keeps reads from being left out */

static inline void
accepting_touch(struct crypto_op *op, bool encrypt)
{
	uint8_t icv_len = op->session->suite.icv_len;
	uint32_t before = CRYPTO_BEFORE + (uint32_t)op->session->suite.iv_len;

	if (op->text_len == 0 ||
	    (op->chain != NULL &&
	     (op->text_off < before || op->text_off + op->text_len > op->chain->pkt_len))) {
		fprintf(stderr, "accepting: a text that does not lie in its packet\n");
		abort();
	}
	for (uint32_t i = 0; op->chain == NULL && i < before + op->text_len; i++)
		accepting_saw = (op->text - before)[i];
	for (uint8_t i = 0; i < icv_len; i++)
		accepting_saw = op->tag[i];
	if (encrypt)
		memset(op->tag, 0x5a, icv_len);
	op->ok = true;
}

static inline void
accepting_encrypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		accepting_touch(&ops[i], true);
}

static inline void
accepting_decrypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		accepting_touch(&ops[i], false);
}

static inline int
accepting_serves(const struct suite *suite, struct err *err)
{
	return 0;
}

static inline int
accepting_init(size_t key_cache, uint16_t index, int socket, struct engine_worker **out,
	       struct err *err)
{
	*out = NULL;
	return 0;
}

static inline void
accepting_fini(struct engine_worker *ew)
{
}

static const struct engine accepting = {
	.name = "accepting",
	.kind = ENGINE_SYNC,
	.serves = accepting_serves,
	.worker_init = accepting_init,
	.worker_fini = accepting_fini,
	.encrypt = accepting_encrypt,
	.decrypt = accepting_decrypt,
};

#endif
