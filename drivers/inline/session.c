/* The life of a session: made, led to by a rule, ended, freed. */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "driver.h"

#define TOLD_STEP (UINT64_C(1) << 30) /* numbers between two words to the device */

static void
session_fill(struct offload_session *s, const struct offload_port *op,
	     const struct offload_ask *ask, enum offload_kind kind,
	     const struct inline_match *match, const struct rte_security_session_conf *conf)
{
	uint32_t flags = match->capability->ol_flags;

	s->ctx = op->ctx;
	s->protocol = kind == OFFLOAD_PROTOCOL;
	s->chains = op->provider->chains;
	s->metadata = (flags & RTE_SECURITY_TX_OLOAD_NEED_MDATA) != 0;
	s->trailer = !s->protocol && (flags & RTE_SECURITY_TX_HW_TRAILER_OFFLOAD) != 0;
	s->icv_len = (uint8_t)match->suite.icv_len;
	s->number_set = s->protocol && op->tx_number ? op->provider->tx_number_set : NULL;
	/* The outer header's family; of OFFLOAD_PROTOCOL it is the packet's that is marked. */
	s->ol_flags = RTE_MBUF_F_TX_SEC_OFFLOAD |
		      (ask->dst.family == 4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
	s->inbound = ask->inbound;
	s->counted = conf->ipsec.options.stats;
	s->told_numbers = !s->protocol && ask->inbound && conf->ipsec.options.esn;
	s->number = ask->number;
	s->ipsec = conf->ipsec;
}

/* Whether packets reach the session by a rule: in always, out only if nothing in the packet says
 * which session it is meant for. Some drivers know no rule of that direction (iavf). */
static bool
wants_rule(const struct offload_session *s)
{
	return s->inbound || !s->metadata;
}

static int
session_make(struct offload_port *op, const struct offload_ask *ask, enum offload_kind kind,
	     const struct inline_match *match, struct inline_conf *ic, struct offload_session *s,
	     struct err *err)
{
	int rc;

	inline_conf_fill(ic, op, ask, kind, match);
	rc = inline_pool_session(op, ic, &s->security, err);
	if (rc < 0)
		return rc;
	/* A session's first word is ours: rte_flow.h's struct for the action has the session there.
	 */
	rte_security_session_opaque_data_set(s->security, (uintptr_t)s->security);
	session_fill(s, op, ask, kind, match, &ic->conf);
	/* Keys stay where they are until then: ixgbe reads them when the rule comes. */
	rc = wants_rule(s) ? inline_rule_create(op, ask, s->security, &s->rule, err) : 0;
	if (rc < 0)
		inline_pool_give(op, s->security, true);
	return rc;
}

int
inline_session_open(struct offload_port *op, const struct offload_ask *ask, enum offload_kind kind,
		    struct offload_session **out, struct err *err)
{
	struct inline_match match;
	struct inline_conf ic;
	struct offload_session *s;
	int rc = inline_match_find(op, ask, kind, &match, err);

	if (rc < 0)
		return rc;
	if (op->n_sessions >= op->provider->sessions_max)
		return err_set(err, -ENOSPC, "the device has room for %u sessions",
			       op->provider->sessions_max);
	s = rte_zmalloc_socket("inline", sizeof(*s), RTE_CACHE_LINE_SIZE, op->socket);
	if (s == NULL)
		return err_set(err, -ENOMEM, "no memory for a session of the device");
	rc = session_make(op, ask, kind, &match, &ic, s, err);
	inline_conf_wipe(&ic);
	if (rc < 0) {
		explicit_bzero(s, sizeof(*s));
		rte_free(s);
		return rc;
	}
	LIST_INSERT_HEAD(&op->sessions, s, next);
	op->n_sessions++;
	*out = s;
	return 0;
}

static void
session_release(struct offload_port *op, struct offload_session *s, bool device)
{
	struct rte_flow_error error;

	/* ixgbe does not know the rule it gave; the session goes right after it. */
	if (s->rule != NULL && device)
		op->provider->flow_destroy(op->dpdk_id, s->rule, &error);
	s->rule = NULL;
	if (s->security == NULL)
		return;
	inline_pool_give(op, s->security, device);
	s->security = NULL;
	op->n_sessions--;
}

/* What was marked with an outbound session still needs it. Nobody but the device uses an inbound
 * one. */
void
inline_session_end(struct offload_port *op, struct offload_session *s)
{
	struct rte_flow_error error;

	if (s->inbound) {
		session_release(op, s, true);
		return;
	}
	if (s->rule != NULL)
		op->provider->flow_destroy(op->dpdk_id, s->rule, &error);
	s->rule = NULL;
}

void
inline_session_free(struct offload_port *op, struct offload_session *s)
{
	session_release(op, s, true);
	LIST_REMOVE(s, next);
	explicit_bzero(s, sizeof(*s));
	rte_free(s);
}

void
inline_session_lost(struct offload_port *op, struct offload_session *s, bool renewed)
{
	/* Hardware may have lost them or not: who has forgotten one refuses, and no harm is done.
	 */
	session_release(op, s, op->provider->reset == NULL && !renewed);
}

int
inline_session_counts(struct offload_port *op, const struct offload_session *s,
		      struct offload_counts *counts)
{
	struct rte_security_stats stats = { .protocol = RTE_SECURITY_PROTOCOL_IPSEC };

	memset(counts, 0, sizeof(*counts));
	if (!s->counted || s->security == NULL ||
	    rte_security_session_stats_get(op->ctx, s->security, &stats) != 0)
		return -ENOTSUP;
	counts->packets = s->inbound ? stats.ipsec.ipackets : stats.ipsec.opackets;
	counts->octets = s->inbound ? stats.ipsec.ibytes : stats.ipsec.obytes;
	counts->errors = s->inbound ? stats.ipsec.ierrors : stats.ipsec.oerrors;
	return 0;
}

void
inline_session_number(struct offload_port *op, struct offload_session *s, uint64_t number)
{
	struct rte_security_session_conf conf = {
		.action_type = RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,
		.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
		.ipsec = s->ipsec,
	};

	if (!s->told_numbers || s->security == NULL || number < s->number + TOLD_STEP)
		return;
	conf.ipsec.esn.value = number;
	s->told_numbers = rte_security_session_update(op->ctx, s->security, &conf) == 0;
	s->number = number;
	explicit_bzero(&conf, sizeof(conf));
}
