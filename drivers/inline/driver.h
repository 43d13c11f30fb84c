/* Inside the inline driver: what its files know of a port and of a session. */
#ifndef INLINE_DRIVER_H
#define INLINE_DRIVER_H

#include <sys/queue.h>

#include <rte_security.h>

#include "alg/alg.h"
#include "crypto/engine.h"
#include "port/offload.h"
#include "provider.h"

struct json;
struct rte_mempool;
struct session_pool;

/* A suite in the words of DPDK. An AEAD has aead alone, GMAC has auth alone. */
struct inline_suite {
	bool has_aead, has_cipher, has_auth;
	enum rte_crypto_aead_algorithm aead;
	enum rte_crypto_cipher_algorithm cipher;
	enum rte_crypto_auth_algorithm auth;
	uint16_t key_len;	   /* of the AEAD, the cipher or GMAC */
	uint16_t auth_key_len;	   /* of the auth beside a cipher */
	uint16_t icv_len, aad_len; /* aad_len: AEAD only */
	/* Lengths that a device may mean by "IV", the best first; 0 ends them. See suite.c. */
	uint16_t iv_lens[4];
};

/* -ENOTSUP: rte_security has no name for it. */
int inline_suite_of(const struct suite *suite, struct inline_suite *is, struct err *err);

/* Which of its capabilities serves an SA, and how. */
struct inline_match {
	const struct rte_security_capability *capability;
	struct inline_suite suite;
	uint16_t iv_len;
};

struct offload_session {
	/* What workers read: one line. */
	struct rte_security_ctx *ctx;
	void *security; /* rte_security's own; NULL: the device has it no more */
	uint64_t ol_flags;
	void (*number_set)(struct rte_mbuf *m, uint64_t number); /* NULL: it is not asked for */
	bool protocol, chains, metadata, trailer;
	uint8_t icv_len;
	/* Control's. */
	struct rte_flow *rule __rte_cache_aligned;
	bool inbound, counted;
	/* For devices that are told where the numbers stand. */
	bool told_numbers;
	uint64_t number;
	struct rte_security_ipsec_xform ipsec;
	LIST_ENTRY(offload_session) next;
};

struct offload_port {
	/* What workers read. */
	const struct inline_provider *provider;
	bool tx_number, rx_number; /* this port's device takes numbers, tells them */
	bool rx_tos;		   /* tells the TOS of the header that it took off */
	bool named;		   /* what came deciphered says of which session */
	uint8_t rx_kind;	   /* enum offload_kind, if it does not say it */
	/* Control's. */
	struct rte_security_ctx *ctx;
	uint16_t dpdk_id;
	int socket;
	uint32_t n_sessions;
	LIST_HEAD(, offload_session) sessions;
	LIST_HEAD(, session_pool) pools;
	uint32_t n_pools;
};

/* port.c: as port_open, by a provider that is given. */
int inline_port_open_by(const struct inline_provider *provider, uint16_t dpdk_id,
			const char *options, uint16_t n_workers, int socket,
			struct offload_port **out, struct err *err);

/* match.c: the capability for an SA, or -ENOTSUP and what is missing. */
int inline_match_find(const struct offload_port *op, const struct offload_ask *ask,
		      enum offload_kind kind, struct inline_match *match, struct err *err);
/* That of a kind, direction and mode; NULL. */
const struct rte_security_capability *inline_capability(const struct offload_port *op,
							enum offload_kind kind, bool inbound,
							bool transport);
/* Whether the algorithms of a suite are among a capability's; sets match->iv_len. */
int inline_match_suite(const struct rte_security_capability *c, struct inline_match *match,
		       const struct suite *suite, struct err *err);
/* Whether one algorithm is, whatever stands beside it. -ENOENT: the device has none of the name. */
int inline_match_algorithm(const struct rte_security_capability *c, uint8_t id, struct err *err);

/* conf.c: all that rte_security is told of an SA. Holds keys: inline_conf_wipe() it. */
struct inline_conf {
	struct rte_security_session_conf conf;
	struct rte_crypto_sym_xform xforms[2];
	uint8_t key[ALG_KEY_MAX + ALG_SALT_MAX]; /* ixgbe looks for the salt behind the key */
	uint8_t auth_key[ALG_AUTH_KEY_MAX];
};

void inline_conf_fill(struct inline_conf *ic, const struct offload_port *op,
		      const struct offload_ask *ask, enum offload_kind kind,
		      const struct inline_match *match);
void inline_conf_wipe(struct inline_conf *ic);

/* What a packet that came deciphered has in its dynamic field: SA, generation and kind. Never a
 * pointer: it may come long after its session. Kinds are not 0, so no name is. */
uint64_t inline_name(enum offload_kind kind, uint32_t index, uint32_t generation);

/* rule.c: the rule that leads packets to a session. */
int inline_rule_create(const struct offload_port *op, const struct offload_ask *ask, void *security,
		       struct rte_flow **rule, struct err *err);

/* pool.c: memory of rte_security's sessions. They are wiped when they go back. */
int inline_pool_session(struct offload_port *op, struct inline_conf *ic, void **security,
			struct err *err);
/* device: tell it; what it does not take back stays allocated until the port is closed. */
void inline_pool_give(struct offload_port *op, void *security, bool device);
void inline_pools_free(struct offload_port *op);

/* session.c */
int inline_session_open(struct offload_port *op, const struct offload_ask *ask,
			enum offload_kind kind, struct offload_session **out, struct err *err);
void inline_session_end(struct offload_port *op, struct offload_session *s);
void inline_session_free(struct offload_port *op, struct offload_session *s);
int inline_session_counts(struct offload_port *op, const struct offload_session *s,
			  struct offload_counts *counts);
void inline_session_number(struct offload_port *op, struct offload_session *s, uint64_t number);
/* The device was reset; renewed: it is not to be told of the session. */
void inline_session_lost(struct offload_port *op, struct offload_session *s, bool renewed);

/* data.c: the workers' part. */
uint16_t inline_tx_mark(struct offload_session *s, struct rte_mbuf *const *pkts, uint16_t n);
void inline_rx_results(const struct offload_port *op, struct rte_mbuf *const *pkts, uint16_t n,
		       struct offload_rx *rx);

/* show.c */
void inline_print(const struct offload_port *op, FILE *f);
void inline_json(const struct offload_port *op, struct json *j);

#endif
