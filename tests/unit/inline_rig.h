/* SAs, and devices that offer this or that, for the tests of drivers/inline. */
#ifndef TESTS_INLINE_RIG_H
#define TESTS_INLINE_RIG_H

#include "unit.h"

#include <rte_cryptodev.h>
#include <rte_mbuf_dyn.h>
#include <rte_security.h>

#include "inline/driver.h"
#include "inline_record.h"

struct offer {
	bool crypto, protocol;
	struct rte_security_ipsec_sa_options options;
	uint32_t window, ol_flags;
	const struct rte_cryptodev_capabilities *algorithms;
};

#define OPTIONS_ALL                                                                          \
	{                                                                                    \
		.esn = 1, .udp_encap = 1, .copy_dscp = 1, .copy_df = 1, .ecn = 1, .stats = 1 \
	}

extern const struct rte_cryptodev_capabilities rig_all[];
extern const struct rte_cryptodev_capabilities rig_gcm_128[]; /* what the 82599 has (ixgbe) */
/* All modes and directions: of both kinds, or of one, whose packets have metadata. */
extern const struct offer rig_everything, rig_crypto, rig_protocol;

extern const uint8_t rig_salt[ALG_SALT_MAX];
extern struct session rig_session_keys; /* of the last rig_ask_of() */

/* The EAL, and the field that a driver with rte_security would make. */
int rig_begin(void);

/* An SA of these algorithms, out, IPv4, tunnel; auth ALG_NONE with an AEAD. */
struct offload_ask rig_ask_of(uint8_t cipher, uint8_t auth, bool esn);

/* What it says of itself, until the next call. */
const struct rte_security_capability *rig_offer(const struct offer *o);

/* A recorded device. Fails the test if the driver does not open it, or the session. */
struct offload_port *rig_port_of(const struct inline_provider *provider, const struct offer *o);
struct offload_session *rig_session_of(struct offload_port *op, const struct offload_ask *ask,
				       enum offload_kind kind);
void rig_session_done(struct offload_port *op, struct offload_session *s);

#endif
