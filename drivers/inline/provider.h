/* Who stands behind drivers/inline: hardware, or something that takes its place. The driver speaks
 * rte_security and rte_flow alone, by way of these; so what it asks of hardware is what it asks of
 * all of them.
 */
#ifndef INLINE_PROVIDER_H
#define INLINE_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_flow.h>
#include <rte_security.h>

#include "base/err.h"

struct rte_mbuf;

enum inline_can {
	INLINE_TX_NUMBER = 1 << 0,
	INLINE_RX_NUMBER = 1 << 1,
};

/* In rte_security_ipsec_sa_options.reserved_opts, where a provider has `subspaces`: the ESP header
 * has the whole number, so that it is four octets longer. */
#define INLINE_SUBSPACES 1

struct inline_provider {
	const char *name;
	/* Whether open() would understand its options. NULL: there are none. */
	int (*check)(const char *options, struct err *err);
	/* Of a port: its security context, or NULL with the reason in err: it has none. Called
	 * once, between the device's setup and its start. options: what stands behind the
	 * provider's name in the file, "" for nothing. */
	struct rte_security_ctx *(*open)(uint16_t dpdk_id, const char *options, uint16_t n_workers,
					 int socket, struct err *err);
	void (*close)(uint16_t dpdk_id);
	/* The device was set up anew: its security context now, or NULL. NULL: it is the same. */
	struct rte_security_ctx *(*renew)(uint16_t dpdk_id);
	/* The device has lost all sessions and rules. NULL: nothing to do. */
	void (*reset)(uint16_t dpdk_id);
	/* As rte_flow_create and rte_flow_destroy. */
	struct rte_flow *(*flow_create)(uint16_t dpdk_id, const struct rte_flow_attr *attr,
					const struct rte_flow_item pattern[],
					const struct rte_flow_action actions[],
					struct rte_flow_error *error);
	int (*flow_destroy)(uint16_t dpdk_id, struct rte_flow *flow, struct rte_flow_error *error);
	/* Of an open port: which of the two calls below, as enum inline_can; NULL: those that are
	 * there. */
	uint32_t (*can)(uint16_t dpdk_id);
	/* What rte_security of 22.11 has no word for. NULL: the device cannot. The number of a
	 * packet that is marked for OFFLOAD_PROTOCOL; that of one that came deciphered, whatever
	 * the kind, which may not be known (false), and with OFFLOAD_PROTOCOL in any case the TOS
	 * of the header that was taken off. */
	void (*tx_number_set)(struct rte_mbuf *m, uint64_t number);
	bool (*rx_number_get)(const struct rte_mbuf *m, uint64_t *number, uint8_t *outer_tos);
	uint32_t sessions_max; /* UINT32_MAX: not known */
	/* rte_security says it of OFFLOAD_PROTOCOL only: what came deciphered has in
	 * rte_security_dynfield() the userdata of its session's conf. 0: not known. */
	bool names;
	/* OFFLOAD_PROTOCOL, out: the IVs of counter modes are the numbers, as software's are.
	 * rte_security leaves them to the device; one that draws its own may hit one that software
	 * made, or makes when it goes on with the key. */
	bool iv_is_number;
	bool chains;	/* packets of several segments go out, too */
	bool subspaces; /* INLINE_SUBSPACES is understood */
};

extern const struct inline_provider inline_rte_security;
extern const struct inline_provider inline_emulated;

#endif
