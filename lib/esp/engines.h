/* The ciphers of a burst, where not all engines are synchronous; for the stages crypto_encrypt and
 * crypto_decrypt, ESP's and AH's.
 *
 * Each operation goes the way of its engine:
 *
 *	synchronous	done in the call, as where there are no others
 *	asynchronous	the packet leaves the burst, held, and goes on behind the stage when the
 *			device has given it back (pipe/engines.h)
 *	inline		out, it was marked for its port's device in esp_encap (esp/mark.h), and
 *nothing is left to do; in, the device's result is believed, and the operation is not looked at
 *
 * and by software of the same SA where its engine does not take it. What stays in the burst keeps
 * its order.
 */
#ifndef ESP_ENGINES_H
#define ESP_ENGINES_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/crypto.h"

struct rte_mbuf;
struct worker;

/* What op.engine says of an operation that nobody is to do any more. */
#define ENGINES_DONE crypto_engines(CRYPTO_NO_ENGINE, 0)

/* As a stage. Drops crypto_full, crypto_lost, offload_lost, offload_stale. */
uint16_t engines_run(struct worker *w, struct rte_mbuf **pkts, uint16_t n, bool encrypt);

#endif
