/* Whether a device can do an SA: one question after the other, each with its reason in words. */
#include <errno.h>

#include <rte_cryptodev.h>

#include "driver.h"

static const char *
kind_name(enum offload_kind kind)
{
	return kind == OFFLOAD_CRYPTO ? "inline crypto" : "inline protocol";
}

const struct rte_security_capability *
inline_capability(const struct offload_port *op, enum offload_kind kind, bool inbound,
		  bool transport)
{
	const struct rte_security_capability *c = rte_security_capabilities_get(op->ctx);
	enum rte_security_session_action_type action =
		kind == OFFLOAD_CRYPTO ? RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO :
					 RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL;
	enum rte_security_ipsec_sa_direction direction =
		inbound ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS : RTE_SECURITY_IPSEC_SA_DIR_EGRESS;
	enum rte_security_ipsec_sa_mode mode = transport ? RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT :
							   RTE_SECURITY_IPSEC_SA_MODE_TUNNEL;

	for (; c != NULL && c->action != RTE_SECURITY_ACTION_TYPE_NONE; c++)
		if (c->action == action && c->protocol == RTE_SECURITY_PROTOCOL_IPSEC &&
		    c->ipsec.proto == RTE_SECURITY_IPSEC_SA_PROTO_ESP &&
		    c->ipsec.direction == direction && c->ipsec.mode == mode)
			return c;
	return NULL;
}

static const struct rte_cryptodev_symmetric_capability *
algorithm_find(const struct rte_security_capability *c, enum rte_crypto_sym_xform_type type,
	       int algo)
{
	const struct rte_cryptodev_capabilities *cc = c->crypto_capabilities;

	for (; cc != NULL && cc->op != RTE_CRYPTO_OP_TYPE_UNDEFINED; cc++) {
		if (cc->op != RTE_CRYPTO_OP_TYPE_SYMMETRIC || cc->sym.xform_type != type)
			continue;
		if ((type == RTE_CRYPTO_SYM_XFORM_AEAD && (int)cc->sym.aead.algo == algo) ||
		    (type == RTE_CRYPTO_SYM_XFORM_CIPHER && (int)cc->sym.cipher.algo == algo) ||
		    (type == RTE_CRYPTO_SYM_XFORM_AUTH && (int)cc->sym.auth.algo == algo))
			return &cc->sym;
	}
	return NULL;
}

static bool
range_has(const struct rte_crypto_param_range *r, uint16_t value)
{
	if (value < r->min || value > r->max)
		return false;
	return r->increment == 0 ? value == r->min || value == r->max :
				   (value - r->min) % r->increment == 0;
}

static int
length_check(const struct rte_crypto_param_range *r, uint16_t value, const char *of,
	     const char *what, struct err *err)
{
	if (range_has(r, value))
		return 0;
	if (r->min == r->max)
		return err_set(err, -ENOTSUP, "%s with %s of %u octets: the device takes %u", of,
			       what, value, r->min);
	return err_set(err, -ENOTSUP, "%s with %s of %u octets: the device takes %u to %u", of,
		       what, value, r->min, r->max);
}

/* A range of 0 to 0 is a driver that says nothing of it. */
static int
iv_choose(const struct rte_crypto_param_range *r, struct inline_match *match, const char *of,
	  struct err *err)
{
	match->iv_len = match->suite.iv_lens[0];
	if (match->iv_len == 0 || r->max == 0)
		return 0;
	for (size_t i = 0; match->suite.iv_lens[i] != 0; i++) {
		match->iv_len = match->suite.iv_lens[i];
		if (range_has(r, match->iv_len))
			return 0;
	}
	return length_check(r, match->suite.iv_lens[0], of, "an IV", err);
}

static int
aead_check(const struct rte_security_capability *c, struct inline_match *match, const char *name,
	   struct err *err)
{
	const struct inline_suite *is = &match->suite;
	const struct rte_cryptodev_symmetric_capability *s =
		algorithm_find(c, RTE_CRYPTO_SYM_XFORM_AEAD, is->aead);
	int rc;

	if (s == NULL)
		return err_set(err, -ENOENT, "the device has no %s", name);
	rc = length_check(&s->aead.key_size, is->key_len, name, "a key", err);
	if (rc == 0)
		rc = length_check(&s->aead.digest_size, is->icv_len, name, "an ICV", err);
	if (rc == 0 && s->aead.aad_size.max != 0)
		rc = length_check(&s->aead.aad_size, is->aad_len, name, "authenticated data", err);
	return rc < 0 ? rc : iv_choose(&s->aead.iv_size, match, name, err);
}

static int
cipher_check(const struct rte_security_capability *c, struct inline_match *match, const char *name,
	     struct err *err)
{
	const struct rte_cryptodev_symmetric_capability *s =
		algorithm_find(c, RTE_CRYPTO_SYM_XFORM_CIPHER, match->suite.cipher);
	int rc;

	if (s == NULL)
		return err_set(err, -ENOENT, "the device has no %s", name);
	rc = length_check(&s->cipher.key_size, match->suite.key_len, name, "a key", err);
	return rc < 0 ? rc : iv_choose(&s->cipher.iv_size, match, name, err);
}

static int
auth_check(const struct rte_security_capability *c, struct inline_match *match, const char *name,
	   struct err *err)
{
	const struct inline_suite *is = &match->suite;
	const struct rte_cryptodev_symmetric_capability *s =
		algorithm_find(c, RTE_CRYPTO_SYM_XFORM_AUTH, is->auth);
	int rc;

	if (s == NULL)
		return err_set(err, -ENOENT, "the device has no %s", name);
	rc = length_check(&s->auth.key_size, is->has_cipher ? is->auth_key_len : is->key_len, name,
			  "a key", err);
	if (rc == 0)
		rc = length_check(&s->auth.digest_size, is->icv_len, name, "an ICV", err);
	if (rc == 0 && !is->has_cipher)
		rc = iv_choose(&s->auth.iv_size, match, name, err);
	return rc;
}

int
inline_match_suite(const struct rte_security_capability *c, struct inline_match *match,
		   const struct suite *suite, struct err *err)
{
	int rc = inline_suite_of(suite, &match->suite, err);
	bool gmac = !match->suite.has_cipher;

	match->capability = c;
	match->iv_len = 0;
	if (rc == 0 && match->suite.has_aead)
		rc = aead_check(c, match, algs[suite->cipher].name, err);
	if (rc == 0 && match->suite.has_cipher)
		rc = cipher_check(c, match, algs[suite->cipher].name, err);
	if (rc == 0 && match->suite.has_auth)
		rc = auth_check(c, match, algs[gmac ? suite->cipher : suite->auth].name, err);
	return rc < 0 ? -ENOTSUP : 0;
}

int
inline_match_algorithm(const struct rte_security_capability *c, uint8_t id, struct err *err)
{
	const struct alg *a = &algs[id];
	struct inline_match match = { .capability = c };
	struct suite suite;
	int rc;

	/* What stands beside a cipher or an auth is not looked at. */
	rc = suite_init(&suite, a->kind == ALG_AUTH ? &algs[ALG_AES_CBC_128] : a,
			a->kind == ALG_AEAD ? NULL :
			a->kind == ALG_AUTH ? a :
					      &algs[ALG_HMAC_SHA1_96],
			0, false, false, err);
	if (rc == 0)
		rc = inline_suite_of(&suite, &match.suite, err);
	if (rc < 0)
		return rc;
	if (match.suite.has_aead)
		return aead_check(c, &match, a->name, err);
	return a->kind == ALG_CIPHER ? cipher_check(c, &match, a->name, err) :
				       auth_check(c, &match, a->name, err);
}

static int
sa_check(const struct offload_port *op, const struct offload_ask *ask, struct err *err)
{
	if (ask->ah)
		return err_set(err, -ENOTSUP, "AH is done in software");
	if (ask->other)
		return err_set(err, -ENOTSUP,
			       "BEET, IP-TFS, IPComp and TFC padding are done in software");
	if (ask->subspaces && !op->provider->subspaces)
		return err_set(err, -ENOTSUP,
			       "the device has no word for sequence numbers in subspaces");
	return 0;
}

static int
options_check(const struct rte_security_ipsec_sa_options *o, const struct offload_ask *ask,
	      struct err *err)
{
	if (ask->session->suite.esn && !o->esn)
		return err_set(err, -ENOTSUP, "the device has no extended sequence numbers");
	if (ask->udp && !o->udp_encap)
		return err_set(err, -ENOTSUP, "the device has no ESP in UDP");
	return 0;
}

/* Software's part of OFFLOAD_CRYPTO is the same with all devices: those that take more of it than
 * the cipher cannot be used. */
static int
crypto_check(const struct rte_security_capability *c, const struct offload_ask *ask,
	     struct err *err)
{
	if (ask->inbound && (c->ol_flags & RTE_SECURITY_RX_HW_TRAILER_OFFLOAD) != 0)
		return err_set(err, -ENOTSUP,
			       "the device takes the trailer off, and with it what the window "
			       "and the padding are checked by");
	if (!ask->inbound && ask->udp && ask->dst.family == 6)
		return err_set(err, -ENOTSUP,
			       "the checksum of UDP over IPv6 covers what the device enciphers");
	return 0;
}

static int
numbers_check(const struct offload_port *op, const struct rte_security_capability *c,
	      const struct offload_ask *ask, struct err *err)
{
	if (!ask->inbound) {
		if (!op->tx_number && !ask->alone)
			return err_set(err, -ENOTSUP,
				       "the device numbers the packets, but several workers do, "
				       "too");
		return 0;
	}
	if (!op->rx_number && ask->replay_window > c->ipsec.replay_win_sz_max)
		return err_set(err, -ENOTSUP, "a replay window of %u: the device has at most %u",
			       ask->replay_window, c->ipsec.replay_win_sz_max);
	return 0;
}

/* The outer header that the device is to build, or to judge. */
static int
outer_check(const struct offload_port *op, const struct rte_security_ipsec_sa_options *o,
	    const struct offload_ask *ask, struct err *err)
{
	if (ask->transport)
		return 0;
	/* Inbound, who is told the outer TOS does it in software. */
	if (ask->outer.ecn && !o->ecn && (!ask->inbound || !op->rx_tos))
		return err_set(err, -ENOTSUP, "the device does nothing for ECN (RFC 6040)");
	if (ask->inbound)
		return 0;
	if (!ask->outer.plain)
		return err_set(err, -ENOTSUP,
			       "the outer header is more than rte_security has words for");
	if (ask->outer.copy_dscp && !o->copy_dscp)
		return err_set(err, -ENOTSUP, "the device does not copy the DSCP");
	if (ask->outer.copy_df && !o->copy_df)
		return err_set(err, -ENOTSUP, "the device does not copy DF");
	return 0;
}

static int
protocol_check(const struct offload_port *op, const struct rte_security_capability *c,
	       const struct offload_ask *ask, struct err *err)
{
	const struct alg *cipher = &algs[ask->session->suite.cipher];
	int rc = numbers_check(op, c, ask, err);

	if (rc == 0 && ask->inbound && ask->transport && ask->udp)
		return err_set(err, -ENOTSUP,
			       "behind a NAT the checksums inside are mended in software");
	if (rc == 0)
		rc = outer_check(op, &c->ipsec.options, ask, err);
	if (rc == 0 && !ask->inbound && cipher->counter_mode && !op->provider->iv_is_number)
		return err_set(err, -ENOTSUP,
			       "the device makes IVs of its own: with %s software could not go on "
			       "with the key",
			       cipher->name);
	return rc;
}

int
inline_match_find(const struct offload_port *op, const struct offload_ask *ask,
		  enum offload_kind kind, struct inline_match *match, struct err *err)
{
	const struct rte_security_capability *c;
	int rc = sa_check(op, ask, err);

	if (rc < 0)
		return rc;
	c = inline_capability(op, kind, ask->inbound, ask->transport);
	if (c != NULL && c->crypto_capabilities == NULL)
		return err_set(err, -ENOTSUP, "the device has no algorithm at all");
	if (c == NULL)
		return err_set(err, -ENOTSUP, "the device has no %s of ESP in %s mode, %s",
			       kind_name(kind), ask->transport ? "transport" : "tunnel",
			       ask->inbound ? "in" : "out");
	if (!op->named && ask->inbound && op->rx_kind != kind)
		return err_set(err, -ENOTSUP,
			       "the device does not say which packets came by inline protocol");
	rc = inline_match_suite(c, match, &ask->session->suite, err);
	if (rc == 0)
		rc = options_check(&c->ipsec.options, ask, err);
	if (rc == 0)
		rc = kind == OFFLOAD_CRYPTO ? crypto_check(c, ask, err) :
					      protocol_check(op, c, ask, err);
	return rc;
}
