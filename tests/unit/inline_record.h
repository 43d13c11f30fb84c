/* A provider of drivers/inline that does nothing but write down what it is asked for: each field of
 * rte_security's conf and of the rules of rte_flow, with copies of all that is behind pointers. */
#ifndef TESTS_INLINE_RECORD_H
#define TESTS_INLINE_RECORD_H

#include <rte_cryptodev.h>
#include <rte_flow.h>
#include <rte_security.h>

#include "inline/provider.h"

#define RECORD_ITEMS 8

struct recorded_xform {
	enum rte_crypto_sym_xform_type type;
	int op, algo;
	uint8_t key[64];
	uint16_t key_len, iv_off, iv_len, digest_len, aad_len;
	uint8_t behind_key[4]; /* where ixgbe looks for the salt; AEAD only */
};

struct recorded_item {
	enum rte_flow_item_type type;
	bool has_spec, has_mask, has_last;
	union {
		struct rte_flow_item_ipv4 ipv4;
		struct rte_flow_item_ipv6 ipv6;
		struct rte_flow_item_udp udp;
		struct rte_flow_item_esp esp;
	} spec, mask;
};

struct record {
	/* What to answer. */
	const struct rte_security_capability *capabilities;
	bool no_context;
	int refuse_session; /* an errno; -1: without one */
	bool refuse_statistics, refuse_rule, refuse_metadata, refuse_destroy, refuse_update;
	const char *rule_message;

	/* What was asked. */
	char options[64];
	uint16_t dpdk_id, n_workers;
	uint32_t opened, closed, resets;
	uint32_t creates, sessions, destroys, updates, stats;
	struct rte_security_session_conf conf; /* its pointers lead nowhere any more */
	int n_xforms;
	struct recorded_xform xforms[2];
	void *session;
	uint64_t told; /* esn.value of the last update */
	uint32_t rules, rules_asked, rules_destroyed;
	struct rte_flow_attr attr;
	int n_items, n_actions;
	struct recorded_item items[RECORD_ITEMS];
	enum rte_flow_action_type action;
	const void *action_conf;
	uint8_t key_at_rule[64]; /* what lay at the first key's place when the rule came */
	const uint8_t *key_place;
	uint32_t metadata;
	uint32_t metadata_pkt_len;
	uint64_t metadata_number;
	uint16_t metadata_l2_len, metadata_l3_len;
	void *metadata_session;
};

extern struct record record;
extern struct rte_security_ctx record_ctx;
extern uint32_t record_can; /* enum inline_can, of record_emulated */

/* Forgets all; offers capabilities, which end with RTE_SECURITY_ACTION_TYPE_NONE. */
void record_begin(const struct rte_security_capability *capabilities);

/* As hardware: no number, no name of inline crypto. */
extern const struct inline_provider record_hardware;
/* Has a word for all. */
extern const struct inline_provider record_emulated;

#endif
