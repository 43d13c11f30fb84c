#include "unit.h"

#include <errno.h>

#include <rte_mbuf_dyn.h>
#include <rte_security_driver.h>

#include "drivers.h"
#include "eal.h"
#include "inline/driver.h"
#include "inline_record.h"
#include "worker/pkt.h"

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

static const struct rte_cryptodev_capabilities all[] = {
	AEAD(AES_GCM, 16, 32, 8),	    AEAD(AES_CCM, 16, 32, 8),
	AEAD(CHACHA20_POLY1305, 32, 32, 0), CIPHER(AES_CBC, 16, 32, 16),
	CIPHER(AES_CTR, 16, 32, 12),	    CIPHER(NULL, 0, 0, 0),
	AUTH(AES_GMAC, 32, 16, 12),	    AUTH(SHA1_HMAC, 64, 12, 0),
	AUTH(SHA256_HMAC, 64, 16, 0),	    AUTH(SHA384_HMAC, 64, 24, 0),
	AUTH(SHA512_HMAC, 64, 32, 0),	    AUTH(AES_XCBC_MAC, 16, 12, 0),
	AUTH(AES_CMAC, 16, 12, 0),	    END,
};

/* What the 82599 has (ixgbe). */
static const struct rte_cryptodev_capabilities gcm_128[] = {
	AEAD(AES_GCM, 16, 16, 0),
	END,
};

/* Room for all kinds, directions and modes. */
static struct rte_security_capability offered[9];

struct offer {
	bool crypto, protocol;
	struct rte_security_ipsec_sa_options options;
	uint32_t window, ol_flags;
	const struct rte_cryptodev_capabilities *algorithms;
};

static const struct rte_security_capability *
offer(const struct offer *o)
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

#define OPTIONS_ALL                                                                          \
	{                                                                                    \
		.esn = 1, .udp_encap = 1, .copy_dscp = 1, .copy_df = 1, .ecn = 1, .stats = 1 \
	}

static const struct offer everything = {
	.crypto = true,
	.protocol = true,
	.options = OPTIONS_ALL,
	.window = 1024,
	.algorithms = all,
};

static const struct offer crypto_only = {
	.crypto = true,
	.options = OPTIONS_ALL,
	.ol_flags = RTE_SECURITY_TX_OLOAD_NEED_MDATA,
	.algorithms = all,
};

static const struct offer protocol_only = {
	.protocol = true,
	.options = OPTIONS_ALL,
	.window = 1024,
	.ol_flags = RTE_SECURITY_TX_OLOAD_NEED_MDATA,
	.algorithms = all,
};

static const uint8_t salt[ALG_SALT_MAX] = { 0xa1, 0xa2, 0xa3, 0xa4 };
static struct session session;

/* An SA of these algorithms; auth ALG_NONE with an AEAD. */
static struct offload_ask
ask_of(uint8_t cipher, uint8_t auth, bool esn)
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
	assert_int_equal(session_init(&session, 7, 1, &suite, key, auth_key), 0);
	return (struct offload_ask) {
		.index = 0x155555,
		.generation = 0x89abcdef,
		.session = &session,
		.salt = salt,
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

static struct offload_port *
port_of(const struct inline_provider *provider, const struct offer *o)
{
	struct offload_port *op;
	struct err err;

	record_begin(offer(o));
	if (inline_port_open_by(provider, 3, "words=1", 2, SOCKET_ID_ANY, &op, &err) < 0)
		fail_msg("%s", err.text);
	return op;
}

static struct offload_session *
session_of(struct offload_port *op, const struct offload_ask *ask, enum offload_kind kind)
{
	struct offload_session *s;
	struct err err;

	if (offload_inline.session_open(op, ask, kind, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static void
session_done(struct offload_port *op, struct offload_session *s)
{
	offload_inline.session_end(op, s);
	offload_inline.session_free(op, s);
}

static void
a_session_is_made_and_ended(void **state)
{
	struct offload_port *op = port_of(&record_hardware, &crypto_only);
	struct offload_ask ask = ask_of(ALG_AES_GCM_128, ALG_NONE, true);
	struct offload_session *s;
	struct offload_caps caps;

	assert_string_equal(record.options, "words=1");
	assert_int_equal(record.n_workers, 2);
	ask.inbound = true;
	s = session_of(op, &ask, OFFLOAD_CRYPTO);
	assert_int_equal(record.sessions, 1);
	assert_int_equal(record.rules, 1);
	offload_inline.caps(op, &caps);
	assert_int_equal(caps.sessions, 1);
	assert_true(caps.crypto_in && caps.crypto_out && !caps.protocol_in && !caps.protocol_out);
	assert_int_equal(caps.sessions_max, UINT32_MAX);
	offload_inline.session_end(op, s);
	assert_int_equal(record.rules, 0);
	assert_int_equal(record.sessions, 0);
	offload_inline.session_free(op, s);
	offload_inline.port_close(op);
	assert_int_equal(record.destroys, 1);
	assert_int_equal(record.closed, 1);
	op = port_of(&record_hardware, &protocol_only);
	session_done(op, session_of(op, &ask, OFFLOAD_PROTOCOL));
	offload_inline.port_close(op);
	op = port_of(&record_emulated, &everything);
	session_done(op, session_of(op, &ask, OFFLOAD_PROTOCOL));
	offload_inline.port_close(op);
}

/* Each sentence is what `show sa` says. */
static const struct {
	const char *says;
	const struct inline_provider *provider; /* NULL: hardware */
	struct offer offer;
	enum offload_kind kind;
	uint8_t cipher, auth;
	bool esn, inbound, v6;
	struct offload_ask with; /* these bits are set in what is asked for */
	bool odd;		 /* the outer header is no plain one */
} refusals[] = {
	/* clang-format off */
	{ "the device has no inline protocol of ESP in tunnel mode, out", NULL,
	  { .crypto = true, .algorithms = all }, OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128 },
	{ "the device has no inline crypto of ESP in transport mode, in", NULL,
	  { .protocol = true, .algorithms = all }, OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_128,
	  .inbound = true, .with = { .transport = true } },
	{ "aes-gcm-256 with a key of 32 octets: the device takes 16", NULL,
	  { .crypto = true, .algorithms = gcm_128 }, OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_256 },
	{ "the device has no chacha20-poly1305", NULL,
	  { .crypto = true, .algorithms = gcm_128 }, OFFLOAD_CRYPTO, .cipher = ALG_CHACHA20_POLY1305 },
	{ "the device has no aes-gmac-128", NULL,
	  { .crypto = true, .algorithms = gcm_128 }, OFFLOAD_CRYPTO, .cipher = ALG_AES_GMAC_128 },
	{ "the device has no aes-cbc-128", NULL,
	  { .crypto = true, .algorithms = gcm_128 }, OFFLOAD_CRYPTO, .cipher = ALG_AES_CBC_128,
	  .auth = ALG_HMAC_SHA1_96 },
	{ "the device has no algorithm at all", NULL, { .crypto = true }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128 },
	{ "no extended sequence numbers", NULL, { .crypto = true, .algorithms = all },
	  OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_128, .esn = true },
	{ "no ESP in UDP", NULL, { .crypto = true, .algorithms = all }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128, .with = { .udp = true } },
	{ "the checksum of UDP over IPv6 covers what the device enciphers", NULL,
	  { .crypto = true, .options = OPTIONS_ALL, .algorithms = all }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128, .v6 = true, .with = { .udp = true } },
	{ "AH is done in software", NULL, { .crypto = true, .algorithms = all },
	  OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_128, .with = { .ah = true } },
	{ "BEET, IP-TFS, IPComp and TFC padding are done in software", NULL,
	  { .crypto = true, .algorithms = all }, OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_128,
	  .with = { .other = true } },
	{ "no word for sequence numbers in subspaces", NULL,
	  { .crypto = true, .options = OPTIONS_ALL, .algorithms = all }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128, .esn = true, .with = { .subspaces = true } },
	{ "the device takes the trailer off", NULL,
	  { .crypto = true, .ol_flags = RTE_SECURITY_RX_HW_TRAILER_OFFLOAD, .algorithms = all },
	  OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ "does not say which packets came by inline protocol", NULL,
	  { .crypto = true, .protocol = true, .options = OPTIONS_ALL, .window = 1024,
	    .algorithms = all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ "a replay window of 128: the device has at most 64", NULL,
	  { .protocol = true, .options = OPTIONS_ALL, .window = 64, .algorithms = all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ "does nothing for ECN", NULL, { .protocol = true, .algorithms = all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128 },
	{ "does nothing for ECN", NULL,
	  { .protocol = true, .window = 1024, .algorithms = all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ "does not copy the DSCP", NULL,
	  { .protocol = true, .options = { .ecn = 1 }, .algorithms = all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .with = { .outer.copy_dscp = true } },
	{ "does not copy DF", NULL,
	  { .protocol = true, .options = { .ecn = 1 }, .algorithms = all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .with = { .outer.copy_df = true } },
	{ "the outer header is more than rte_security has words for", NULL,
	  { .protocol = true, .options = OPTIONS_ALL, .algorithms = all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .odd = true },
	/* What would do. */
	{ NULL, NULL, { .crypto = true, .algorithms = gcm_128 }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128 },
	{ NULL, NULL, { .crypto = true, .algorithms = gcm_128 }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128, .inbound = true },
	{ NULL, NULL, { .protocol = true, .options = { .ecn = 1 }, .window = 128,
	  .algorithms = all }, OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ NULL, &record_emulated, { .protocol = true, .algorithms = all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ NULL, &record_emulated, { .crypto = true, .protocol = true, .algorithms = all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ NULL, &record_emulated,
	  { .crypto = true, .options = OPTIONS_ALL, .algorithms = all }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128, .esn = true, .with = { .subspaces = true } },
	{ NULL, NULL, { .protocol = true, .algorithms = all }, OFFLOAD_PROTOCOL,
	  .cipher = ALG_AES_GCM_128, .with = { .transport = true }, .odd = true },
	/* clang-format on */
};

static void
what_a_device_cannot_do_is_refused_in_words(void **state)
{
	for (size_t i = 0; i < RTE_DIM(refusals); i++) {
		struct offload_port *op =
			port_of(refusals[i].provider != NULL ? refusals[i].provider :
							       &record_hardware,
				&refusals[i].offer);
		struct offload_ask ask =
			ask_of(refusals[i].cipher, refusals[i].auth, refusals[i].esn);
		struct err err = { "" };
		int rc;

		ask.inbound = refusals[i].inbound;
		ask.transport = refusals[i].with.transport;
		ask.udp = refusals[i].with.udp;
		ask.ah = refusals[i].with.ah;
		ask.other = refusals[i].with.other;
		ask.subspaces = refusals[i].with.subspaces;
		ask.outer.copy_dscp = refusals[i].with.outer.copy_dscp;
		ask.outer.copy_df = refusals[i].with.outer.copy_df;
		ask.outer.plain = !refusals[i].odd;
		ask.dst.family = refusals[i].v6 ? 6 : 4;
		rc = offload_inline.serves(op, &ask, refusals[i].kind, &err);
		if (rc != (refusals[i].says != NULL ? -ENOTSUP : 0) ||
		    (refusals[i].says != NULL && strstr(err.text, refusals[i].says) == NULL))
			fail_msg("case %zu, %s: %d, %s", i, refusals[i].says, rc, err.text);
		assert_int_equal(record.creates, 0);
		offload_inline.port_close(op);
	}
}

int
main(void)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "rte_security_dynfield_metadata",
		.size = sizeof(rte_security_dynfield_t),
		.align = __alignof__(rte_security_dynfield_t),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_made_and_ended),
		cmocka_unit_test(what_a_device_cannot_do_is_refused_in_words),
	};

	if (test_eal_init() < 0)
		return 1;
	/* A driver's work; the function for it is DPDK's own. */
	rte_security_dynfield_offset = rte_mbuf_dynfield_register(&field);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
