/* Every field that rte_security and rte_flow are asked, for all suites, kinds, directions, modes
 * and families: what DPDK 22.11's headers and drivers want, written down by hand once more. */
#include "inline_rig.h"

#include <rte_byteorder.h>

#include "drivers.h"

#define X(TYPE, ALGO, ...)                                                           \
	{                                                                            \
		RTE_CRYPTO_SYM_XFORM_##TYPE, RTE_CRYPTO_##TYPE##_##ALGO, __VA_ARGS__ \
	}

/* The transforms as they are outbound; inbound a cipher and an auth change places. */
static const struct {
	uint8_t cipher, auth;
	uint8_t salt_len;
	struct {
		enum rte_crypto_sym_xform_type type;
		int algo;
		uint16_t key_len, iv_len, digest_len;
		bool aad;
	} want[2];
} suites[] = {
	/* clang-format off */
	{ ALG_AES_GCM_128, ALG_NONE, 4, { X(AEAD, AES_GCM, 16, 12, 16, true) } },
	{ ALG_AES_GCM_192, ALG_NONE, 4, { X(AEAD, AES_GCM, 24, 12, 16, true) } },
	{ ALG_AES_GCM_256, ALG_NONE, 4, { X(AEAD, AES_GCM, 32, 12, 16, true) } },
	{ ALG_AES_CCM_128, ALG_NONE, 3, { X(AEAD, AES_CCM, 16, 11, 16, true) } },
	{ ALG_AES_CCM_192, ALG_NONE, 3, { X(AEAD, AES_CCM, 24, 11, 16, true) } },
	{ ALG_AES_CCM_256, ALG_NONE, 3, { X(AEAD, AES_CCM, 32, 11, 16, true) } },
	{ ALG_CHACHA20_POLY1305, ALG_NONE, 4, { X(AEAD, CHACHA20_POLY1305, 32, 12, 16, true) } },
	{ ALG_AES_GMAC_128, ALG_NONE, 4, { X(AUTH, AES_GMAC, 16, 12, 16, false) } },
	{ ALG_AES_GMAC_192, ALG_NONE, 4, { X(AUTH, AES_GMAC, 24, 12, 16, false) } },
	{ ALG_AES_GMAC_256, ALG_NONE, 4, { X(AUTH, AES_GMAC, 32, 12, 16, false) } },
	{ ALG_AES_CBC_128, ALG_HMAC_SHA1_96, 0,
	  { X(CIPHER, AES_CBC, 16, 16, 0, false), X(AUTH, SHA1_HMAC, 20, 0, 12, false) } },
	{ ALG_AES_CBC_192, ALG_HMAC_SHA256_128, 0,
	  { X(CIPHER, AES_CBC, 24, 16, 0, false), X(AUTH, SHA256_HMAC, 32, 0, 16, false) } },
	{ ALG_AES_CBC_256, ALG_HMAC_SHA384_192, 0,
	  { X(CIPHER, AES_CBC, 32, 16, 0, false), X(AUTH, SHA384_HMAC, 48, 0, 24, false) } },
	{ ALG_AES_CBC_256, ALG_HMAC_SHA512_256, 0,
	  { X(CIPHER, AES_CBC, 32, 16, 0, false), X(AUTH, SHA512_HMAC, 64, 0, 32, false) } },
	{ ALG_AES_CTR_128, ALG_AES_XCBC_96, 4,
	  { X(CIPHER, AES_CTR, 16, 12, 0, false), X(AUTH, AES_XCBC_MAC, 16, 0, 12, false) } },
	{ ALG_AES_CTR_256, ALG_AES_CMAC_96, 4,
	  { X(CIPHER, AES_CTR, 32, 12, 0, false), X(AUTH, AES_CMAC, 16, 0, 12, false) } },
	{ ALG_NULL, ALG_HMAC_SHA256_128, 0,
	  { X(CIPHER, NULL, 0, 0, 0, false), X(AUTH, SHA256_HMAC, 32, 0, 16, false) } },
	/* clang-format on */
};

static const struct addr v4_src = { 4, { 192, 0, 2, 1 } }, v4_dst = { 4, { 198, 51, 100, 2 } };
static const struct addr v6_src = { 6, { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
static const struct addr v6_dst = { 6, { 0x20, 1, 0xd, 0xb8, [15] = 2 } };

struct variant {
	bool protocol, inbound, transport, v6, udp, esn, emulated;
};

/* All 128, by their bits. */
static struct variant
variant_of(unsigned int bits)
{
	return (struct variant) {
		.protocol = (bits & 1) != 0,
		.inbound = (bits & 2) != 0,
		.transport = (bits & 4) != 0,
		.v6 = (bits & 8) != 0,
		.udp = (bits & 16) != 0,
		.esn = (bits & 32) != 0,
		.emulated = (bits & 64) != 0,
	};
}

static struct offload_ask
ask_for(const struct variant *v, size_t suite)
{
	struct offload_ask ask = rig_ask_of(suites[suite].cipher, suites[suite].auth, v->esn);

	ask.inbound = v->inbound;
	ask.transport = v->transport;
	ask.udp = v->udp;
	ask.src = v->v6 ? v6_src : v4_src;
	ask.dst = v->v6 ? v6_dst : v4_dst;
	ask.outer.copy_dscp = v->udp;
	ask.outer.copy_df = v->esn;
	ask.outer.set_df = !v->esn;
	return ask;
}

/* "aes-gcm-128: protocol in transport v6 udp esn" */
static const char *
text_of(const struct variant *v, size_t suite)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s: %s %s %s%s%s%s%s", algs[suites[suite].cipher].name,
		 v->protocol ? "protocol" : "crypto", v->inbound ? "in" : "out",
		 v->transport ? "transport" : "tunnel", v->v6 ? " v6" : "", v->udp ? " udp" : "",
		 v->esn ? " esn" : "", v->emulated ? ", emulated" : "");
	return text;
}

#define SAME(WHAT, GOT, WANT)                                                               \
	do {                                                                                \
		unsigned long long got_ = (GOT), want_ = (WANT);                            \
		if (got_ != want_)                                                          \
			fail_msg("%s: " WHAT " is %llu, not %llu", text_of(v, suite), got_, \
				 want_);                                                    \
	} while (0)

static int
op_of(enum rte_crypto_sym_xform_type type, bool inbound)
{
	if (type == RTE_CRYPTO_SYM_XFORM_AEAD)
		return inbound ? RTE_CRYPTO_AEAD_OP_DECRYPT : RTE_CRYPTO_AEAD_OP_ENCRYPT;
	if (type == RTE_CRYPTO_SYM_XFORM_CIPHER)
		return inbound ? RTE_CRYPTO_CIPHER_OP_DECRYPT : RTE_CRYPTO_CIPHER_OP_ENCRYPT;
	return inbound ? RTE_CRYPTO_AUTH_OP_VERIFY : RTE_CRYPTO_AUTH_OP_GENERATE;
}

static void
xforms_check(const struct variant *v, size_t suite)
{
	int n = suites[suite].want[1].type == RTE_CRYPTO_SYM_XFORM_AUTH ? 2 : 1;

	SAME("number of transforms", record.n_xforms, n);
	for (int i = 0; i < n; i++) {
		int at = v->inbound ? n - 1 - i : i;
		const struct recorded_xform *x = &record.xforms[at];
		/* Keys of the rig count up from 0x10, and those of an auth beside a cipher from
		 * 0x60. */
		uint8_t first = i == 1 ? 0x60 : 0x10;

		SAME("transform", x->type, suites[suite].want[i].type);
		SAME("algorithm", x->algo, suites[suite].want[i].algo);
		SAME("operation", x->op, op_of(x->type, v->inbound));
		SAME("key length", x->key_len, suites[suite].want[i].key_len);
		for (int k = 0; k < x->key_len; k++)
			SAME("octet of the key", x->key[k], first + k);
		SAME("IV length", x->iv_len, suites[suite].want[i].iv_len);
		SAME("IV offset", x->iv_off, 0);
		SAME("ICV length", x->digest_len, suites[suite].want[i].digest_len);
		SAME("AAD length", x->aad_len, !suites[suite].want[i].aad ? 0 : v->esn ? 12 : 8);
		if (x->type == RTE_CRYPTO_SYM_XFORM_AEAD &&
		    memcmp(x->behind_key, rig_salt, suites[suite].salt_len) != 0)
			fail_msg("%s: no salt behind the key", text_of(v, suite));
	}
}

static void
tunnel_check(const struct variant *v, size_t suite)
{
	const struct rte_security_ipsec_tunnel_param *t = &record.conf.ipsec.tunnel;
	/* Only this direction of this kind builds a header. */
	bool build = v->protocol && !v->inbound && !v->transport;

	if (!v->v6) {
		SAME("family", t->type, RTE_SECURITY_IPSEC_TUNNEL_IPV4);
		SAME("source", memcmp(&t->ipv4.src_ip, v4_src.octets, 4), 0);
		SAME("destination", memcmp(&t->ipv4.dst_ip, v4_dst.octets, 4), 0);
		SAME("DSCP", t->ipv4.dscp, build ? 10 : 0);
		SAME("DF", t->ipv4.df, build && !v->esn);
		SAME("TTL", t->ipv4.ttl, build ? 63 : 0);
		return;
	}
	SAME("family", t->type, RTE_SECURITY_IPSEC_TUNNEL_IPV6);
	SAME("source", memcmp(&t->ipv6.src_addr, v6_src.octets, 16), 0);
	SAME("destination", memcmp(&t->ipv6.dst_addr, v6_dst.octets, 16), 0);
	SAME("DSCP", t->ipv6.dscp, build ? 10 : 0);
	SAME("flow label", t->ipv6.flabel, build ? 0x12345 : 0);
	SAME("hop limit", t->ipv6.hlimit, build ? 63 : 0);
}

static void
options_check(const struct variant *v, size_t suite)
{
	struct rte_security_ipsec_sa_options got = record.conf.ipsec.options;
	bool build = v->protocol && !v->inbound && !v->transport;
	/* Inbound the emulated device tells the outer TOS, and software does what is to be done. */
	bool judge = v->protocol && v->inbound && !v->transport && !v->emulated;
	struct rte_security_ipsec_sa_options want = {
		.esn = v->esn,
		.udp_encap = v->udp,
		.copy_dscp = build && v->udp,
		.copy_df = build && v->esn,
		.ecn = build || judge,
		.stats = 1,
	};

	if (memcmp(&got, &want, sizeof(want)) != 0)
		fail_msg("%s: options %08x, not %08x", text_of(v, suite),
			 *(const uint32_t *)(const void *)&got,
			 *(const uint32_t *)(const void *)&want);
}

static void
conf_check(const struct variant *v, size_t suite, const struct offload_ask *ask)
{
	const struct rte_security_ipsec_xform *x = &record.conf.ipsec;
	struct rte_security_ipsec_lifetime no_life = { 0 };
	uint8_t salt[4] = { 0 };

	memcpy(salt, rig_salt, suites[suite].salt_len);
	SAME("action", record.conf.action_type,
	     v->protocol ? RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL :
			   RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO);
	SAME("protocol", record.conf.protocol, RTE_SECURITY_PROTOCOL_IPSEC);
	SAME("name", (uintptr_t)record.conf.userdata,
	     (v->protocol ? UINT64_C(0x8015555589abcdef) : UINT64_C(0x4015555589abcdef)));
	SAME("SPI", x->spi, 0x11223344);
	SAME("salt", memcmp(&x->salt, salt, 4), 0);
	SAME("direction", x->direction,
	     v->inbound ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS : RTE_SECURITY_IPSEC_SA_DIR_EGRESS);
	SAME("ESP", x->proto, RTE_SECURITY_IPSEC_SA_PROTO_ESP);
	SAME("mode", x->mode,
	     v->transport ? RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT :
			    RTE_SECURITY_IPSEC_SA_MODE_TUNNEL);
	SAME("lifetime", memcmp(&x->life, &no_life, sizeof(no_life)), 0);
	SAME("window", x->replay_win_sz, v->protocol && v->inbound && !v->emulated ? 128 : 0);
	SAME("number", x->esn.value, v->inbound ? ask->number : ask->number + 1);
	SAME("UDP source", x->udp.sport, v->udp ? 4500 : 0);
	SAME("UDP destination", x->udp.dport, v->udp ? 4501 : 0);
	options_check(v, suite);
	tunnel_check(v, suite);
	xforms_check(v, suite);
}

static void
address_item_check(const struct variant *v, size_t suite)
{
	const struct recorded_item *i = &record.items[1];
	uint8_t spec[40] = { 0 }, mask[40] = { 0 };

	SAME("address item", i->type, v->v6 ? RTE_FLOW_ITEM_TYPE_IPV6 : RTE_FLOW_ITEM_TYPE_IPV4);
	if (!v->v6) {
		memcpy(spec + 12, v4_src.octets, 4);
		memcpy(spec + 16, v4_dst.octets, 4);
		memset(mask + 16, 0xff, 4);
		SAME("IPv4", memcmp(&i->spec.ipv4.hdr, spec, 20), 0);
		SAME("IPv4's mask", memcmp(&i->mask.ipv4.hdr, mask, 20), 0);
		return;
	}
	memcpy(spec + 8, v6_src.octets, 16);
	memcpy(spec + 24, v6_dst.octets, 16);
	memset(mask + 24, 0xff, 16);
	SAME("IPv6", memcmp(&i->spec.ipv6.hdr, spec, 40), 0);
	SAME("IPv6's mask", memcmp(&i->mask.ipv6.hdr, mask, 40), 0);
}

static void
rule_check(const struct variant *v, size_t suite)
{
	int esp = v->udp ? 3 : 2;

	SAME("ingress", record.attr.ingress, v->inbound);
	SAME("egress", record.attr.egress, !v->inbound);
	SAME("transfer", record.attr.transfer, 0);
	SAME("group", record.attr.group, 0);
	SAME("priority", record.attr.priority, 0);
	SAME("items", record.n_items, esp + 1);
	SAME("link layer", record.items[0].type, RTE_FLOW_ITEM_TYPE_ETH);
	SAME("link layer's spec", record.items[0].has_spec || record.items[0].has_mask, 0);
	address_item_check(v, suite);
	if (v->udp) {
		const struct recorded_item *i = &record.items[2];
		static const uint8_t spec[8] = { 4500 >> 8, 4500 & 255, 4501 >> 8, 4501 & 255 };
		static const uint8_t mask[8] = { 0, 0, 255, 255 };

		SAME("UDP item", i->type, RTE_FLOW_ITEM_TYPE_UDP);
		SAME("UDP", memcmp(&i->spec.udp.hdr, spec, 8), 0);
		SAME("UDP's mask", memcmp(&i->mask.udp.hdr, mask, 8), 0);
	}
	SAME("ESP item", record.items[esp].type, RTE_FLOW_ITEM_TYPE_ESP);
	SAME("ESP's SPI", record.items[esp].spec.esp.hdr.spi, rte_cpu_to_be_32(0x11223344));
	SAME("ESP's number", record.items[esp].spec.esp.hdr.seq, 0);
	SAME("ESP's mask", record.items[esp].mask.esp.hdr.spi, UINT32_MAX);
	SAME("number's mask", record.items[esp].mask.esp.hdr.seq, 0);
	for (int i = 0; i <= esp; i++)
		SAME("range", record.items[i].has_last, 0);
	SAME("actions", record.n_actions, 1);
	SAME("action", record.action, RTE_FLOW_ACTION_TYPE_SECURITY);
	if (record.action_conf != record.session)
		fail_msg("%s: the action has not the session", text_of(v, suite));
	/* rte_flow.h's struct lies there as well. */
	if (((const struct rte_flow_action_security *)record.action_conf)->security_session !=
	    record.session)
		fail_msg("%s: nor has its struct", text_of(v, suite));
}

/* A device that has it all; metadata: packets name their session. */
static void
all_are_asked(bool metadata)
{
	for (unsigned int bits = 0; bits < 128; bits++) {
		struct variant variant = variant_of(bits), *v = &variant;
		struct offer o = v->protocol ? rig_protocol : rig_crypto;
		struct offload_port *op;

		o.ol_flags = metadata ? RTE_SECURITY_TX_OLOAD_NEED_MDATA : 0;
		/* The device would have to know what comes behind the cipher. */
		if (!v->protocol && !v->inbound && v->v6 && v->udp)
			continue;
		/* The checksums inside are software's to mend. */
		if (v->protocol && v->inbound && v->transport && v->udp)
			continue;
		for (size_t suite = 0; suite < RTE_DIM(suites); suite++) {
			struct offload_ask ask = ask_for(v, suite);
			struct offload_session *s;

			/* Who knows what IVs the device makes? */
			if (v->protocol && !v->inbound && !v->emulated &&
			    algs[suites[suite].cipher].counter_mode)
				continue;
			op = rig_port_of(v->emulated ? &record_emulated : &record_hardware, &o);
			s = rig_session_of(op, &ask,
					   v->protocol ? OFFLOAD_PROTOCOL : OFFLOAD_CRYPTO);
			SAME("sessions", record.creates, 1);
			conf_check(v, suite, &ask);
			SAME("rules", record.rules_asked, v->inbound || !metadata);
			if (v->inbound || !metadata)
				rule_check(v, suite);
			rig_session_done(op, s);
			SAME("rules left", record.rules, 0);
			SAME("sessions left", record.sessions, 0);
			offload_inline.port_close(op);
		}
	}
}

static void
every_field_is_as_rte_security_wants_it(void **state)
{
	all_are_asked(true);
}

static void
who_has_no_metadata_gets_a_rule_outbound_too(void **state)
{
	all_are_asked(false);
}

/* What a driver means by an IV's length differs; a device gets one that it takes. */
static void
the_length_of_an_iv_is_one_that_the_device_takes(void **state)
{
	static const struct {
		const char *what;
		struct rte_crypto_param_range takes;
		uint16_t want; /* 0: refused */
	} cases[] = {
		{ "says nothing", { 0, 0, 0 }, 8 },	     { "on the wire", { 8, 8, 0 }, 8 },
		{ "anything, as iavf", { 0, 65535, 1 }, 8 }, { "cnxk", { 12, 16, 4 }, 12 },
		{ "a counter block", { 16, 16, 0 }, 16 },    { "nothing of it", { 9, 10, 1 }, 0 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct rte_cryptodev_capabilities algorithms[] = {
			{ .op = RTE_CRYPTO_OP_TYPE_SYMMETRIC,
			  .sym = { .xform_type = RTE_CRYPTO_SYM_XFORM_CIPHER,
				   .cipher = { .algo = RTE_CRYPTO_CIPHER_AES_CTR,
					       .key_size = { 16, 32, 8 },
					       .iv_size = cases[i].takes } } },
			{ .op = RTE_CRYPTO_OP_TYPE_SYMMETRIC,
			  .sym = { .xform_type = RTE_CRYPTO_SYM_XFORM_AUTH,
				   .auth = { .algo = RTE_CRYPTO_AUTH_SHA1_HMAC,
					     .key_size = { 1, 64, 1 },
					     .digest_size = { 12, 12, 0 } } } },
			{ .op = RTE_CRYPTO_OP_TYPE_UNDEFINED },
		};
		struct offer o = { .crypto = true, .algorithms = algorithms };
		struct offload_ask ask = rig_ask_of(ALG_AES_CTR_128, ALG_HMAC_SHA1_96, false);
		struct offload_port *op = rig_port_of(&record_hardware, &o);
		struct err err = { "" };

		if (cases[i].want == 0) {
			assert_int_equal(offload_inline.serves(op, &ask, OFFLOAD_CRYPTO, &err),
					 -ENOTSUP);
			assert_string_equal(err.text, "aes-ctr-128 with an IV of 8 octets: the "
						      "device takes 9 to 10");
		} else {
			rig_session_done(op, rig_session_of(op, &ask, OFFLOAD_CRYPTO));
			if (record.xforms[0].iv_len != cases[i].want)
				fail_msg("%s: %u", cases[i].what, record.xforms[0].iv_len);
		}
		offload_inline.port_close(op);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_is_as_rte_security_wants_it),
		cmocka_unit_test(who_has_no_metadata_gets_a_rule_outbound_too),
		cmocka_unit_test(the_length_of_an_iv_is_one_that_the_device_takes),
	};

	return rig_begin() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
