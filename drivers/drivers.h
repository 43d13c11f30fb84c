/* All drivers, for app and tests to choose from. lib/ never includes this. */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include "crypto/engine.h"
#include "ipcomp/codec.h"

struct offload;

extern const struct engine
	engine_ipsec_mb; /* intel-ipsec-mb, x86 with AES-NI; all but CCM with 192-bit keys */
extern const struct engine engine_openssl;   /* libcrypto 3; every algorithm, any CPU */
extern const struct engine engine_cryptodev; /* asynchronous: DPDK's crypto devices */

/* What the NIC that drivers/inline emulates enciphers with: the synchronous ones of the list, in
 * its order; before a port is opened. -EINVAL: more than it takes. */
int inline_emulated_use(const struct engine *const *engines, uint16_t n, struct err *err);

/* Whether a port's words behind `inline:` say what a provider knows; after the call above. -EINVAL
 * with the sentence of the start. */
int inline_words_check(const char *words, struct err *err);

extern const struct engine engine_inline;   /* the IPsec of a port's device */
extern const struct offload offload_inline; /* and what it does: rte_security and rte_flow */

#ifdef HAVE_ISAL
extern const struct codec codec_isal; /* ISA-L's igzip, level 0: eight times as fast as zlib */
#endif
extern const struct codec codec_zlib; /* zlib, level 1: any CPU; the oracle in the tests */

#endif
