/* All drivers, for app and tests to choose from. lib/ never includes this. */
#ifndef DRIVERS_DRIVERS_H
#define DRIVERS_DRIVERS_H

#include "crypto/engine.h"

extern const struct engine
	engine_ipsec_mb; /* intel-ipsec-mb, x86 with AES-NI; all but CCM with 192-bit keys */
extern const struct engine engine_openssl; /* libcrypto 3; every algorithm, any CPU */

#endif
