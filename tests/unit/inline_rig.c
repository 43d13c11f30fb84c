#include "inline_rig.h"

#include "eal.h"
#include "drivers.h"

#define AEAD(ALGO, MIN, MAX, STEP)                               \
	{                                                        \
		.op = RTE_CRYPTO_OP_TYPE_SYMMETRIC,              \
		.sym = {.xform_type = RTE_CRYPTO_SYM_XFORM_AEAD, \
			.aead = {                                \
				.algo = RTE_CRYPTO_AEAD_##ALGO,  \
				.key_size = { MIN, MAX, STEP },  \
				.digest_size = { 8, 16, 4 },     \
				.aad_size = { 8, 12, 4 },        \
				.iv_size = { 11, 12, 1 },        \
			} }                                      \
	}
#define CIPHER(ALGO, MIN, MAX, IV)                                 \
	{                                                          \
		.op = RTE_CRYPTO_OP_TYPE_SYMMETRIC,                \
		.sym = {.xform_type = RTE_CRYPTO_SYM_XFORM_CIPHER, \
			.cipher = {                                \
				.algo = RTE_CRYPTO_CIPHER_##ALGO,  \
				.key_size = { MIN, MAX, 8 },       \
				.iv_size = { IV, IV, 0 },          \
			} }                                        \
	}
#define AUTH(ALGO, KEY, ICV, IV)                                           \
	{                                                                  \
		.op = RTE_CRYPTO_OP_TYPE_SYMMETRIC,                        \
		.sym = {.xform_type = RTE_CRYPTO_SYM_XFORM_AUTH,           \
			.auth = {                                          \
				.algo = RTE_CRYPTO_AUTH_##ALGO,            \
				.key_size = { 16, KEY, KEY > 16 ? 1 : 0 }, \
				.digest_size = { ICV, ICV, 0 },            \
				.iv_size = { IV, IV, 0 },                  \
			} }                                                \
	}
#define END                                        \
	{                                          \
		.op = RTE_CRYPTO_OP_TYPE_UNDEFINED \
	}

const struct rte_cryptodev_capabilities rig_all[] = {
	AEAD(AES_GCM, 16, 32, 8),	    AEAD(AES_CCM, 16, 32, 8),
	AEAD(CHACHA20_POLY1305, 32, 32, 0), CIPHER(AES_CBC, 16, 32, 16),
	CIPHER(AES_CTR, 16, 32, 12),	    CIPHER(NULL, 0, 0, 0),
	AUTH(AES_GMAC, 32, 16, 12),	    AUTH(SHA1_HMAC, 64, 12, 0),
	AUTH(SHA256_HMAC, 64, 16, 0),	    AUTH(SHA384_HMAC, 64, 24, 0),
	AUTH(SHA512_HMAC, 64, 32, 0),	    AUTH(AES_XCBC_MAC, 16, 12, 0),
	AUTH(AES_CMAC, 16, 12, 0),	    END,
};

/* What the 82599 has (ixgbe). */
const struct rte_cryptodev_capabilities rig_gcm_128[] = {
	AEAD(AES_GCM, 16, 16, 0),
	END,
};

/* Room for all kinds, directions and modes. */
static struct rte_security_capability offered[9];

const struct rte_security_capability *
rig_offer(const struct offer *o)
{
	int n = 0;

	memset(offered, 0, sizeof(offered));
	for (int i = 0; i < 8; i++) {
		if (!((i & 4) != 0 ? o->protocol : o->crypto))
			continue;
		offered[n++] = (struct rte_security_capability) {
			.action = (i & 4) != 0 ? RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL :
						 RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,
			.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
			.ipsec = {
				.proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,
				.mode = (i & 2) != 0 ? RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT :
						       RTE_SECURITY_IPSEC_SA_MODE_TUNNEL,
				.direction = (i & 1) != 0 ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS :
							    RTE_SECURITY_IPSEC_SA_DIR_EGRESS,
				.options = o->options,
				.replay_win_sz_max = o->window,
			},
			.crypto_capabilities = o->algorithms,
			.ol_flags = o->ol_flags,
		};
	}
	return offered;
}

const struct offer rig_everything = {
	.crypto = true,
	.protocol = true,
	.options = OPTIONS_ALL,
	.window = 1024,
	.algorithms = rig_all,
};

const struct offer rig_crypto = {
	.crypto = true,
	.options = OPTIONS_ALL,
	.ol_flags = RTE_SECURITY_TX_OLOAD_NEED_MDATA,
	.algorithms = rig_all,
};

const struct offer rig_protocol = {
	.protocol = true,
	.options = OPTIONS_ALL,
	.window = 1024,
	.ol_flags = RTE_SECURITY_TX_OLOAD_NEED_MDATA,
	.algorithms = rig_all,
};

const uint8_t rig_salt[ALG_SALT_MAX] = { 0xa1, 0xa2, 0xa3, 0xa4 };
struct session rig_session_keys;

/* An SA of these algorithms; auth ALG_NONE with an AEAD. */
struct offload_ask
rig_ask_of(uint8_t cipher, uint8_t auth, bool esn)
{
	uint8_t key[ALG_KEY_MAX], auth_key[ALG_AUTH_KEY_MAX];
	struct suite suite;
	struct err err;

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(0x10 + i);
	for (size_t i = 0; i < sizeof(auth_key); i++)
		auth_key[i] = (uint8_t)(0x60 + i);
	if (suite_init(&suite, &algs[cipher], auth != ALG_NONE ? &algs[auth] : NULL, 0, false, esn,
		       &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(session_init(&rig_session_keys, 7, 1, &suite, key, auth_key), 0);
	return (struct offload_ask) {
		.index = 0x155555,
		.generation = 0x89abcdef,
		.session = &rig_session_keys,
		.salt = rig_salt,
		.alone = true,
		.spi = 0x11223344,
		.src = { 4, { 192, 0, 2, 1 } },
		.dst = { 4, { 198, 51, 100, 2 } },
		.udp_src = 4500,
		.udp_dst = 4501,
		.number = 1000,
		.replay_window = 128,
		.outer = { .plain = true,
			   .dscp = 10,
			   .ttl = 63,
			   .flow_label = 0x12345,
			   .ecn = true },
		.mtu = 1500,
	};
}

struct offload_port *
rig_port_of(const struct inline_provider *provider, const struct offer *o)
{
	struct offload_port *op;
	struct err err;

	record_begin(rig_offer(o));
	if (inline_port_open_by(provider, 3, "words=1", 2, SOCKET_ID_ANY, &op, &err) < 0)
		fail_msg("%s", err.text);
	return op;
}

struct offload_session *
rig_session_of(struct offload_port *op, const struct offload_ask *ask, enum offload_kind kind)
{
	struct offload_session *s;
	struct err err;

	if (offload_inline.session_open(op, ask, kind, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

void
rig_session_done(struct offload_port *op, struct offload_session *s)
{
	offload_inline.session_end(op, s);
	offload_inline.session_free(op, s);
}

int
rig_begin(void)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "rte_security_dynfield_metadata",
		.size = sizeof(rte_security_dynfield_t),
		.align = __alignof__(rte_security_dynfield_t),
	};

	if (test_eal_init() < 0)
		return -1;
	/* A driver's work; the function for it is DPDK's own. */
	rte_security_dynfield_offset = rte_mbuf_dynfield_register(&field);
	return 0;
}
