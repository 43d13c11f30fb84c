#include "emulated.h"

#include <errno.h>
#include <string.h>

/* Of each algorithm of DPDK: what it is here by the length of its key, and how it is offered. */
static const struct row {
	uint32_t suites; /* it is offered with any of these */
	uint8_t type;	 /* enum rte_crypto_sym_xform_type */
	uint8_t algo;
	uint8_t first; /* enum alg_id; ciphers: of 128 bits, 192 and 256 follow */
	uint8_t keys;  /* how many lengths, from the first's in steps of 8 octets */
	uint8_t block;
	uint8_t digest_min;
	uint8_t iv;
} rows[] = {
#define AEAD   RTE_CRYPTO_SYM_XFORM_AEAD
#define CIPHER RTE_CRYPTO_SYM_XFORM_CIPHER
#define AUTH   RTE_CRYPTO_SYM_XFORM_AUTH
#define AUTHS  (NIC_AES_CBC | NIC_AES_CTR | NIC_NULL)
	{ NIC_AES_GCM, AEAD, RTE_CRYPTO_AEAD_AES_GCM, ALG_AES_GCM_128, 3, 16, 8, 12 },
	{ NIC_AES_CCM, AEAD, RTE_CRYPTO_AEAD_AES_CCM, ALG_AES_CCM_128, 3, 16, 8, 11 },
	{ NIC_CHACHA, AEAD, RTE_CRYPTO_AEAD_CHACHA20_POLY1305, ALG_CHACHA20_POLY1305, 1, 64, 16,
	  12 },
	{ NIC_AES_GMAC, AUTH, RTE_CRYPTO_AUTH_AES_GMAC, ALG_AES_GMAC_128, 3, 16, 16, 12 },
	{ NIC_AES_CBC, CIPHER, RTE_CRYPTO_CIPHER_AES_CBC, ALG_AES_CBC_128, 3, 16, 0, 16 },
	{ NIC_AES_CTR, CIPHER, RTE_CRYPTO_CIPHER_AES_CTR, ALG_AES_CTR_128, 3, 16, 0, 16 },
	{ NIC_NULL, CIPHER, RTE_CRYPTO_CIPHER_NULL, ALG_NULL, 1, 1, 0, 0 },
	{ AUTHS, AUTH, RTE_CRYPTO_AUTH_SHA1_HMAC, ALG_HMAC_SHA1_96, 1, 64, 12, 0 },
	{ AUTHS, AUTH, RTE_CRYPTO_AUTH_SHA256_HMAC, ALG_HMAC_SHA256_128, 1, 64, 16, 0 },
	{ AUTHS, AUTH, RTE_CRYPTO_AUTH_SHA384_HMAC, ALG_HMAC_SHA384_192, 1, 128, 24, 0 },
	{ AUTHS, AUTH, RTE_CRYPTO_AUTH_SHA512_HMAC, ALG_HMAC_SHA512_256, 1, 128, 32, 0 },
	{ AUTHS, AUTH, RTE_CRYPTO_AUTH_AES_XCBC_MAC, ALG_AES_XCBC_96, 1, 16, 12, 0 },
	{ AUTHS, AUTH, RTE_CRYPTO_AUTH_AES_CMAC, ALG_AES_CMAC_96, 1, 16, 12, 0 },
#undef AEAD
#undef CIPHER
#undef AUTH
#undef AUTHS
};

static struct rte_crypto_param_range
range(uint16_t min, uint16_t max, uint16_t step)
{
	return (struct rte_crypto_param_range) { min, max, min == max ? 0 : step };
}

static void
crypto_cap_fill(struct rte_cryptodev_symmetric_capability *c, const struct row *r)
{
	const struct alg *alg = &algs[r->first];
	struct rte_crypto_param_range keys =
		range(alg->key_len, (uint16_t)(alg->key_len + 8 * (r->keys - 1)), 8);
	struct rte_crypto_param_range ivs = range(r->iv, r->iv, 0);

	c->xform_type = r->type;
	switch (c->xform_type) {
	case RTE_CRYPTO_SYM_XFORM_AEAD:
		c->aead.algo = r->algo;
		c->aead.block_size = r->block;
		c->aead.key_size = keys;
		c->aead.digest_size = range(r->digest_min, 16, 4);
		c->aead.aad_size = range(8, 12, 4);
		c->aead.iv_size = ivs;
		return;
	case RTE_CRYPTO_SYM_XFORM_CIPHER:
		c->cipher.algo = r->algo;
		c->cipher.block_size = r->block;
		c->cipher.key_size = keys;
		c->cipher.iv_size = ivs;
		return;
	default:
		c->auth.algo = r->algo;
		c->auth.block_size = r->block;
		c->auth.key_size = keys;
		c->auth.digest_size = range(r->digest_min, alg->icv_len, 4);
		c->auth.iv_size = ivs;
	}
}

static void
crypto_caps_make(struct nic_port *p)
{
	struct rte_cryptodev_capabilities *c = p->crypto_caps;

	_Static_assert(RTE_DIM(rows) < RTE_DIM(p->crypto_caps), "and the end");
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		if ((rows[i].suites & p->options.suites) == 0)
			continue;
		c->op = RTE_CRYPTO_OP_TYPE_SYMMETRIC;
		crypto_cap_fill(&c->sym, &rows[i]);
		c++;
	}
	c->op = RTE_CRYPTO_OP_TYPE_UNDEFINED;
}

static void
cap_fill(struct rte_security_capability *c, const struct nic_port *p, bool protocol, bool tunnel,
	 bool ingress)
{
	const struct nic_options *o = &p->options;

	*c = (struct rte_security_capability) {
		.action = protocol ? RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL :
				     RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,
		.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
		.ipsec.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,
		.ipsec.mode = tunnel ? RTE_SECURITY_IPSEC_SA_MODE_TUNNEL :
				       RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT,
		.ipsec.direction = ingress ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS :
					     RTE_SECURITY_IPSEC_SA_DIR_EGRESS,
		.ipsec.options.esn = o->esn,
		.ipsec.options.udp_encap = o->udp,
		.ipsec.options.stats = 1,
		.crypto_capabilities = p->crypto_caps,
		.ol_flags = ingress ? 0 : RTE_SECURITY_TX_OLOAD_NEED_MDATA,
	};
	if (o->trailer_by_device && !protocol)
		c->ol_flags |= ingress ? RTE_SECURITY_RX_HW_TRAILER_OFFLOAD :
					 RTE_SECURITY_TX_HW_TRAILER_OFFLOAD;
	if (protocol && tunnel && !ingress) {
		c->ipsec.options.copy_dscp = 1;
		c->ipsec.options.copy_df = 1;
		c->ipsec.options.copy_flabel = 1;
		c->ipsec.options.ecn = 1;
	}
	if (protocol && ingress && o->window_by_device)
		c->ipsec.replay_win_sz_max = NIC_WINDOW;
}

void
nic_caps_make(struct nic_port *p)
{
	struct rte_security_capability *c = p->caps;

	crypto_caps_make(p);
	for (int i = 0; i < 8; i++) {
		bool protocol = (i & 4) != 0, tunnel = (i & 2) == 0, ingress = (i & 1) != 0;

		if ((p->options.kinds & (protocol ? NIC_PROTOCOL : NIC_CRYPTO)) != 0 &&
		    (p->options.modes & (tunnel ? NIC_TUNNEL : NIC_TRANSPORT)) != 0)
			cap_fill(c++, p, protocol, tunnel, ingress);
	}
	*c = (struct rte_security_capability) { .action = RTE_SECURITY_ACTION_TYPE_NONE };
}

/* The row of algs, or NULL. */
static const struct alg *
alg_of(uint32_t suites, uint8_t type, int algo, uint16_t key_len)
{
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		if (rows[i].type != type || rows[i].algo != algo || (rows[i].suites & suites) == 0)
			continue;
		for (uint8_t k = 0; k < rows[i].keys; k++)
			if (algs[rows[i].first + k].key_len == key_len)
				return &algs[rows[i].first + k];
	}
	return NULL;
}

/* An AES-GMAC comes as an authentication, and is a whole suite here. */
static int
alone(const struct nic_port *p, const struct rte_crypto_sym_xform *x, bool esn, struct suite *suite,
      const uint8_t **key)
{
	bool aead = x->type == RTE_CRYPTO_SYM_XFORM_AEAD;
	uint16_t len = aead ? x->aead.key.length : x->auth.key.length;
	const struct alg *alg = alg_of(p->options.suites, (uint8_t)x->type,
				       aead ? (int)x->aead.algo : (int)x->auth.algo, len);

	*key = aead ? x->aead.key.data : x->auth.key.data;
	if (alg == NULL || alg->kind != ALG_AEAD)
		return -ENOTSUP;
	return suite_init(suite, alg, NULL,
			  (uint8_t)(aead ? x->aead.digest_length : x->auth.digest_length), false,
			  esn, NULL);
}

int
nic_suite_of(const struct nic_port *p, const struct rte_security_session_conf *conf,
	     struct suite *suite, const uint8_t **key, const uint8_t **auth_key)
{
	const struct rte_crypto_sym_xform *x = conf->crypto_xform, *cipher, *auth;
	const struct alg *c, *a;
	bool esn = conf->ipsec.options.esn;

	*auth_key = NULL;
	if (x == NULL)
		return -EINVAL;
	if (x->next == NULL)
		return x->type == RTE_CRYPTO_SYM_XFORM_CIPHER ? -EINVAL :
								alone(p, x, esn, suite, key);
	cipher = x->type == RTE_CRYPTO_SYM_XFORM_CIPHER ? x : x->next;
	auth = cipher == x ? x->next : x;
	if (cipher->type != RTE_CRYPTO_SYM_XFORM_CIPHER || auth->type != RTE_CRYPTO_SYM_XFORM_AUTH)
		return -EINVAL;
	c = alg_of(p->options.suites, RTE_CRYPTO_SYM_XFORM_CIPHER, (int)cipher->cipher.algo,
		   cipher->cipher.key.length);
	a = alg_of(p->options.suites, RTE_CRYPTO_SYM_XFORM_AUTH, (int)auth->auth.algo,
		   auth->auth.key.length);
	if (c == NULL || a == NULL || a->kind != ALG_AUTH)
		return -ENOTSUP;
	*key = cipher->cipher.key.data;
	*auth_key = auth->auth.key.data;
	return suite_init(suite, c, a, (uint8_t)auth->auth.digest_length, false, esn, NULL);
}
