#include "inline_record.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_security_driver.h>

#define PRIVATE "what a driver keeps of a key"

struct record record;
uint32_t record_can = UINT32_MAX;
static uint32_t rule; /* its address is a rule */

void
record_begin(const struct rte_security_capability *capabilities)
{
	memset(&record, 0, sizeof(record));
	record.capabilities = capabilities;
}

static void
key_copy(struct recorded_xform *to, const uint8_t *key, uint16_t len)
{
	assert(len <= sizeof(to->key));
	to->key_len = len;
	if (len != 0)
		memcpy(to->key, key, len);
}

static void
xform_copy(struct recorded_xform *to, const struct rte_crypto_sym_xform *x)
{
	to->type = x->type;
	if (x->type == RTE_CRYPTO_SYM_XFORM_AEAD) {
		to->op = x->aead.op;
		to->algo = x->aead.algo;
		key_copy(to, x->aead.key.data, x->aead.key.length);
		memcpy(to->behind_key, x->aead.key.data + x->aead.key.length, 4);
		to->iv_off = x->aead.iv.offset;
		to->iv_len = x->aead.iv.length;
		to->digest_len = x->aead.digest_length;
		to->aad_len = x->aead.aad_length;
		record.key_place = x->aead.key.data;
	} else if (x->type == RTE_CRYPTO_SYM_XFORM_CIPHER) {
		to->op = x->cipher.op;
		to->algo = x->cipher.algo;
		key_copy(to, x->cipher.key.data, x->cipher.key.length);
		to->iv_off = x->cipher.iv.offset;
		to->iv_len = x->cipher.iv.length;
		assert(x->cipher.dataunit_len == 0);
	} else {
		to->op = x->auth.op;
		to->algo = x->auth.algo;
		key_copy(to, x->auth.key.data, x->auth.key.length);
		to->iv_off = x->auth.iv.offset;
		to->iv_len = x->auth.iv.length;
		to->digest_len = x->auth.digest_length;
	}
}

static unsigned int
session_size(void *device)
{
	return sizeof(PRIVATE);
}

static int
session_create(void *device, struct rte_security_session_conf *conf,
	       struct rte_security_session *session)
{
	record.creates++;
	record.conf = *conf;
	record.session = session;
	record.n_xforms = 0;
	record.key_place = NULL;
	memset(record.xforms, 0, sizeof(record.xforms));
	for (const struct rte_crypto_sym_xform *x = conf->crypto_xform; x != NULL; x = x->next)
		xform_copy(&record.xforms[record.n_xforms++], x);
	memcpy(SECURITY_GET_SESS_PRIV(session), PRIVATE, sizeof(PRIVATE));
	if (record.refuse_session != 0 ||
	    (record.refuse_statistics && conf->ipsec.options.stats != 0)) {
		if (record.refuse_session > 0)
			rte_errno = record.refuse_session;
		return -EINVAL;
	}
	record.sessions++;
	return 0;
}

static int
session_destroy(void *device, struct rte_security_session *session)
{
	record.destroys++;
	if (record.refuse_destroy)
		return -EFAULT;
	record.sessions--;
	return 0;
}

static int
session_update(void *device, struct rte_security_session *session,
	       struct rte_security_session_conf *conf)
{
	record.updates++;
	record.told = conf->ipsec.esn.value;
	return record.refuse_update ? -ENOTSUP : 0;
}

static int
session_stats(void *device, struct rte_security_session *session, struct rte_security_stats *stats)
{
	record.stats++;
	stats->protocol = RTE_SECURITY_PROTOCOL_IPSEC;
	stats->ipsec = (struct rte_security_ipsec_stats) {
		.ipackets = 1,
		.opackets = 2,
		.ibytes = 3,
		.obytes = 4,
		.ierrors = 5,
		.oerrors = 6,
	};
	return 0;
}

static int
set_metadata(void *device, struct rte_security_session *session, struct rte_mbuf *m, void *params)
{
	record.metadata++;
	record.metadata_pkt_len = m->pkt_len;
	record.metadata_number = *(const uint64_t *)params;
	record.metadata_l2_len = m->l2_len;
	record.metadata_l3_len = m->l3_len;
	record.metadata_session = session;
	return record.refuse_metadata ? -EINVAL : 0;
}

static const struct rte_security_capability *
capabilities(void *device)
{
	return record.capabilities;
}

static const struct rte_security_ops ops = {
	.session_create = session_create,
	.session_update = session_update,
	.session_get_size = session_size,
	.session_stats_get = session_stats,
	.session_destroy = session_destroy,
	.set_pkt_metadata = set_metadata,
	.capabilities_get = capabilities,
};

struct rte_security_ctx record_ctx = { .device = &record, .ops = &ops };

static struct rte_security_ctx *
open_record(uint16_t dpdk_id, const char *options, uint16_t n_workers, int socket, struct err *err)
{
	record.opened++;
	record.dpdk_id = dpdk_id;
	record.n_workers = n_workers;
	snprintf(record.options, sizeof(record.options), "%s", options);
	record_ctx.sess_cnt = 0;
	if (!record.no_context)
		return &record_ctx;
	err_set(err, -ENOTSUP, "no context is here");
	return NULL;
}

static void
close_record(uint16_t dpdk_id)
{
	record.closed++;
}

static void
reset_record(uint16_t dpdk_id)
{
	record.resets++;
	record.sessions = 0;
	record.rules = 0;
}

static uint32_t
can_record(uint16_t dpdk_id)
{
	return record_can;
}

static size_t
item_size(enum rte_flow_item_type type)
{
	switch (type) {
	case RTE_FLOW_ITEM_TYPE_IPV4:
		return sizeof(struct rte_flow_item_ipv4);
	case RTE_FLOW_ITEM_TYPE_IPV6:
		return sizeof(struct rte_flow_item_ipv6);
	case RTE_FLOW_ITEM_TYPE_UDP:
		return sizeof(struct rte_flow_item_udp);
	case RTE_FLOW_ITEM_TYPE_ESP:
		return sizeof(struct rte_flow_item_esp);
	default:
		return 0;
	}
}

static struct rte_flow *
flow_create(uint16_t dpdk_id, const struct rte_flow_attr *attr,
	    const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	    struct rte_flow_error *error)
{
	record.rules_asked++;
	record.attr = *attr;
	memset(record.items, 0, sizeof(record.items));
	for (record.n_items = 0; pattern[record.n_items].type != RTE_FLOW_ITEM_TYPE_END;
	     record.n_items++) {
		const struct rte_flow_item *i = &pattern[record.n_items];
		struct recorded_item *to = &record.items[record.n_items];

		assert(record.n_items < RECORD_ITEMS);
		*to = (struct recorded_item) {
			.type = i->type,
			.has_spec = i->spec != NULL,
			.has_mask = i->mask != NULL,
			.has_last = i->last != NULL,
		};
		if (i->spec != NULL)
			memcpy(&to->spec, i->spec, item_size(i->type));
		if (i->mask != NULL)
			memcpy(&to->mask, i->mask, item_size(i->type));
	}
	for (record.n_actions = 0; actions[record.n_actions].type != RTE_FLOW_ACTION_TYPE_END;)
		record.n_actions++;
	record.action = actions[0].type;
	record.action_conf = actions[0].conf;
	if (record.key_place != NULL)
		memcpy(record.key_at_rule, record.key_place, record.xforms[0].key_len);
	if (record.refuse_rule) {
		error->message = record.rule_message;
		rte_errno = EINVAL;
		return NULL;
	}
	record.rules++;
	return (struct rte_flow *)&rule;
}

static int
flow_destroy(uint16_t dpdk_id, struct rte_flow *flow, struct rte_flow_error *error)
{
	assert(flow == (struct rte_flow *)&rule);
	record.rules_destroyed++;
	record.rules--;
	return 0;
}

static void
number_set(struct rte_mbuf *m, uint64_t number)
{
	m->timesync = (uint16_t)number;
}

static bool
number_get(const struct rte_mbuf *m, uint64_t *number, uint8_t *outer_tos)
{
	*number = UINT64_C(0x123456789a);
	*outer_tos = 0x2e;
	return m->timesync != 0;
}

const struct inline_provider record_hardware = {
	.name = "recorded hardware",
	.open = open_record,
	.close = close_record,
	.flow_create = flow_create,
	.flow_destroy = flow_destroy,
	.sessions_max = UINT32_MAX,
};

const struct inline_provider record_emulated = {
	.name = "recorded emulation",
	.open = open_record,
	.close = close_record,
	.reset = reset_record,
	.can = can_record,
	.flow_create = flow_create,
	.flow_destroy = flow_destroy,
	.tx_number_set = number_set,
	.rx_number_get = number_get,
	.sessions_max = 2,
	.names = true,
	.iv_is_number = true,
	.chains = true,
	.subspaces = true,
};
