/* What rte_security is told of an SA: every field of it in one place. */
#include <string.h>

#include "driver.h"

uint64_t
inline_name(enum offload_kind kind, uint32_t index, uint32_t generation)
{
	return (uint64_t)kind << 62 | (uint64_t)(index & (UINT32_MAX >> 2)) << 32 | generation;
}

static struct rte_crypto_sym_xform
aead_xform(const struct inline_conf *ic, const struct inline_match *match, bool inbound)
{
	return (struct rte_crypto_sym_xform) {
		.type = RTE_CRYPTO_SYM_XFORM_AEAD,
		.aead = {
			.op = inbound ? RTE_CRYPTO_AEAD_OP_DECRYPT : RTE_CRYPTO_AEAD_OP_ENCRYPT,
			.algo = match->suite.aead,
			.key = { .data = ic->key, .length = match->suite.key_len },
			.iv = { .length = match->iv_len },
			.digest_length = match->suite.icv_len,
			.aad_length = match->suite.aad_len,
		},
	};
}

static struct rte_crypto_sym_xform
cipher_xform(const struct inline_conf *ic, const struct inline_match *match, bool inbound)
{
	return (struct rte_crypto_sym_xform) {
		.type = RTE_CRYPTO_SYM_XFORM_CIPHER,
		.cipher = {
			.op = inbound ? RTE_CRYPTO_CIPHER_OP_DECRYPT : RTE_CRYPTO_CIPHER_OP_ENCRYPT,
			.algo = match->suite.cipher,
			.key = { .data = ic->key, .length = match->suite.key_len },
			.iv = { .length = match->iv_len },
		},
	};
}

/* GMAC's key is where a cipher's would be. */
static struct rte_crypto_sym_xform
auth_xform(const struct inline_conf *ic, const struct inline_match *match, bool inbound)
{
	bool gmac = !match->suite.has_cipher;

	return (struct rte_crypto_sym_xform) {
		.type = RTE_CRYPTO_SYM_XFORM_AUTH,
		.auth = {
			.op = inbound ? RTE_CRYPTO_AUTH_OP_VERIFY : RTE_CRYPTO_AUTH_OP_GENERATE,
			.algo = match->suite.auth,
			.key = { .data = gmac ? ic->key : ic->auth_key,
				 .length = gmac ? match->suite.key_len : match->suite.auth_key_len },
			.iv = { .length = gmac ? match->iv_len : 0 },
			.digest_length = match->suite.icv_len,
		},
	};
}

/* In the order in which a device goes through them: out first the cipher, in first the auth. */
static void
xforms_fill(struct inline_conf *ic, const struct inline_match *match, bool inbound)
{
	const struct inline_suite *is = &match->suite;
	struct rte_crypto_sym_xform *x = ic->xforms;

	if (is->has_aead)
		x[0] = aead_xform(ic, match, inbound);
	else if (!is->has_cipher)
		x[0] = auth_xform(ic, match, inbound);
	else {
		x[inbound ? 1 : 0] = cipher_xform(ic, match, inbound);
		x[inbound ? 0 : 1] = auth_xform(ic, match, inbound);
		x[0].next = &x[1];
	}
	ic->conf.crypto_xform = x;
}

static void
tunnel_fill(struct rte_security_ipsec_tunnel_param *t, const struct offload_ask *ask, bool build)
{
	if (ask->src.family == 4) {
		t->type = RTE_SECURITY_IPSEC_TUNNEL_IPV4;
		memcpy(&t->ipv4.src_ip, ask->src.octets, sizeof(t->ipv4.src_ip));
		memcpy(&t->ipv4.dst_ip, ask->dst.octets, sizeof(t->ipv4.dst_ip));
		if (build) {
			t->ipv4.dscp = ask->outer.dscp;
			t->ipv4.df = ask->outer.set_df;
			t->ipv4.ttl = ask->outer.ttl;
		}
		return;
	}
	t->type = RTE_SECURITY_IPSEC_TUNNEL_IPV6;
	memcpy(&t->ipv6.src_addr, ask->src.octets, sizeof(t->ipv6.src_addr));
	memcpy(&t->ipv6.dst_addr, ask->dst.octets, sizeof(t->ipv6.dst_addr));
	if (build) {
		t->ipv6.dscp = ask->outer.dscp;
		t->ipv6.flabel = ask->outer.flow_label;
		t->ipv6.hlimit = ask->outer.ttl;
	}
}

static void
options_fill(struct rte_security_ipsec_xform *x, const struct offload_port *op,
	     const struct offload_ask *ask, enum offload_kind kind,
	     const struct inline_match *match)
{
	struct rte_security_ipsec_sa_options *o = &x->options;

	o->esn = ask->session->suite.esn;
	o->udp_encap = ask->udp;
	o->stats = match->capability->ipsec.options.stats;
	o->reserved_opts = ask->subspaces ? INLINE_SUBSPACES : 0;
	if (kind != OFFLOAD_PROTOCOL || ask->transport)
		return;
	if (!ask->inbound) {
		o->copy_dscp = ask->outer.copy_dscp;
		o->copy_df = ask->outer.copy_df;
		o->ecn = ask->outer.ecn;
	} else if (!op->rx_tos)
		o->ecn = ask->outer.ecn;
}

/* Addresses in transport mode, too: a device may find its SA by them (iavf). */
static void
ipsec_fill(struct rte_security_ipsec_xform *x, const struct offload_port *op,
	   const struct offload_ask *ask, enum offload_kind kind, const struct inline_match *match)
{
	bool protocol = kind == OFFLOAD_PROTOCOL;

	x->spi = ask->spi;
	memcpy(&x->salt, ask->salt, algs[ask->session->suite.cipher].salt_len);
	options_fill(x, op, ask, kind, match);
	x->direction =
		ask->inbound ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS : RTE_SECURITY_IPSEC_SA_DIR_EGRESS;
	x->proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP;
	x->mode = ask->transport ? RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT :
				   RTE_SECURITY_IPSEC_SA_MODE_TUNNEL;
	tunnel_fill(&x->tunnel, ask, protocol && !ask->inbound && !ask->transport);
	if (ask->udp) {
		x->udp.sport = ask->udp_src;
		x->udp.dport = ask->udp_dst;
	}
	if (protocol && ask->inbound && !op->rx_number)
		x->replay_win_sz = ask->replay_window;
	/* Out: the number of the packet to come (cnxk takes one from it). */
	x->esn.value = ask->inbound ? ask->number : ask->number + 1;
}

void
inline_conf_fill(struct inline_conf *ic, const struct offload_port *op,
		 const struct offload_ask *ask, enum offload_kind kind,
		 const struct inline_match *match)
{
	const struct session *s = ask->session;
	size_t key_len = match->suite.key_len, salt_len = algs[s->suite.cipher].salt_len;

	memset(ic, 0, sizeof(*ic));
	memcpy(ic->key, s->key, key_len);
	memcpy(ic->key + key_len, ask->salt, salt_len);
	memcpy(ic->auth_key, s->auth_key, match->suite.auth_key_len);
	xforms_fill(ic, match, ask->inbound);
	ic->conf.action_type = kind == OFFLOAD_CRYPTO ? RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO :
							RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL;
	ic->conf.protocol = RTE_SECURITY_PROTOCOL_IPSEC;
	ipsec_fill(&ic->conf.ipsec, op, ask, kind, match);
	ic->conf.userdata = (void *)(uintptr_t)inline_name(kind, ask->index, ask->generation);
}

void
inline_conf_wipe(struct inline_conf *ic)
{
	explicit_bzero(ic, sizeof(*ic));
}
