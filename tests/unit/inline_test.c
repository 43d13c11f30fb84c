#include "unit.h"

#include <errno.h>

#include "drivers.h"
#include "inline_rig.h"

static void
a_session_is_made_and_ended(void **state)
{
	struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);
	struct offload_ask ask = rig_ask_of(ALG_AES_GCM_128, ALG_NONE, true);
	struct offload_session *s;
	struct offload_caps caps;

	assert_string_equal(record.options, "words=1");
	assert_int_equal(record.n_workers, 2);
	ask.inbound = true;
	s = rig_session_of(op, &ask, OFFLOAD_CRYPTO);
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
	op = rig_port_of(&record_hardware, &rig_protocol);
	rig_session_done(op, rig_session_of(op, &ask, OFFLOAD_PROTOCOL));
	offload_inline.port_close(op);
	op = rig_port_of(&record_emulated, &rig_everything);
	rig_session_done(op, rig_session_of(op, &ask, OFFLOAD_PROTOCOL));
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
	  { .crypto = true, .algorithms = rig_all }, OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128 },
	{ "the device has no inline crypto of ESP in transport mode, in", NULL,
	  { .protocol = true, .algorithms = rig_all }, OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_128,
	  .inbound = true, .with = { .transport = true } },
	{ "aes-gcm-256 with a key of 32 octets: the device takes 16", NULL,
	  { .crypto = true, .algorithms = rig_gcm_128 }, OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_256 },
	{ "the device has no chacha20-poly1305", NULL,
	  { .crypto = true, .algorithms = rig_gcm_128 }, OFFLOAD_CRYPTO, .cipher = ALG_CHACHA20_POLY1305 },
	{ "the device has no aes-gmac-128", NULL,
	  { .crypto = true, .algorithms = rig_gcm_128 }, OFFLOAD_CRYPTO, .cipher = ALG_AES_GMAC_128 },
	{ "the device has no aes-cbc-128", NULL,
	  { .crypto = true, .algorithms = rig_gcm_128 }, OFFLOAD_CRYPTO, .cipher = ALG_AES_CBC_128,
	  .auth = ALG_HMAC_SHA1_96 },
	{ "the device has no algorithm at all", NULL, { .crypto = true }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128 },
	{ "no extended sequence numbers", NULL, { .crypto = true, .algorithms = rig_all },
	  OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_128, .esn = true },
	{ "no ESP in UDP", NULL, { .crypto = true, .algorithms = rig_all }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128, .with = { .udp = true } },
	{ "the checksum of UDP over IPv6 covers what the device enciphers", NULL,
	  { .crypto = true, .options = OPTIONS_ALL, .algorithms = rig_all }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128, .v6 = true, .with = { .udp = true } },
	{ "AH is done in software", NULL, { .crypto = true, .algorithms = rig_all },
	  OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_128, .with = { .ah = true } },
	{ "BEET, IP-TFS, IPComp and TFC padding are done in software", NULL,
	  { .crypto = true, .algorithms = rig_all }, OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_128,
	  .with = { .other = true } },
	{ "no word for sequence numbers in subspaces", NULL,
	  { .crypto = true, .options = OPTIONS_ALL, .algorithms = rig_all }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128, .esn = true, .with = { .subspaces = true } },
	{ "the device takes the trailer off", NULL,
	  { .crypto = true, .ol_flags = RTE_SECURITY_RX_HW_TRAILER_OFFLOAD, .algorithms = rig_all },
	  OFFLOAD_CRYPTO, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ "does not say which packets came by inline protocol", NULL,
	  { .crypto = true, .protocol = true, .options = OPTIONS_ALL, .window = 1024,
	    .algorithms = rig_all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ "a replay window of 128: the device has at most 64", NULL,
	  { .protocol = true, .options = OPTIONS_ALL, .window = 64, .algorithms = rig_all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ "does nothing for ECN", NULL, { .protocol = true, .algorithms = rig_all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128 },
	{ "does nothing for ECN", NULL,
	  { .protocol = true, .window = 1024, .algorithms = rig_all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ "does not copy the DSCP", NULL,
	  { .protocol = true, .options = { .ecn = 1 }, .algorithms = rig_all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .with = { .outer.copy_dscp = true } },
	{ "does not copy DF", NULL,
	  { .protocol = true, .options = { .ecn = 1 }, .algorithms = rig_all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .with = { .outer.copy_df = true } },
	{ "the outer header is more than rte_security has words for", NULL,
	  { .protocol = true, .options = OPTIONS_ALL, .algorithms = rig_all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .odd = true },
	{ "the device makes IVs of its own: with aes-gcm-128 software could not go on with the key",
	  NULL, { .protocol = true, .options = OPTIONS_ALL, .algorithms = rig_all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128 },
	{ "behind a NAT the checksums inside are mended in software", &record_emulated,
	  { .protocol = true, .options = OPTIONS_ALL, .algorithms = rig_all }, OFFLOAD_PROTOCOL,
	  .cipher = ALG_AES_GCM_128, .inbound = true, .with = { .transport = true, .udp = true } },
	/* What would do. */
	{ NULL, NULL, { .crypto = true, .algorithms = rig_gcm_128 }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128 },
	{ NULL, NULL, { .crypto = true, .algorithms = rig_gcm_128 }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128, .inbound = true },
	{ NULL, NULL, { .protocol = true, .options = { .ecn = 1 }, .window = 128,
	  .algorithms = rig_all }, OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ NULL, &record_emulated, { .protocol = true, .algorithms = rig_all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ NULL, &record_emulated, { .crypto = true, .protocol = true, .algorithms = rig_all },
	  OFFLOAD_PROTOCOL, .cipher = ALG_AES_GCM_128, .inbound = true },
	{ NULL, &record_emulated,
	  { .crypto = true, .options = OPTIONS_ALL, .algorithms = rig_all }, OFFLOAD_CRYPTO,
	  .cipher = ALG_AES_GCM_128, .esn = true, .with = { .subspaces = true } },
	{ NULL, NULL, { .protocol = true, .algorithms = rig_all }, OFFLOAD_PROTOCOL,
	  .cipher = ALG_AES_CBC_128, .auth = ALG_HMAC_SHA1_96, .with = { .transport = true }, .odd = true },
	/* clang-format on */
};

static void
what_a_device_cannot_do_is_refused_in_words(void **state)
{
	for (size_t i = 0; i < RTE_DIM(refusals); i++) {
		struct offload_port *op =
			rig_port_of(refusals[i].provider != NULL ? refusals[i].provider :
								   &record_hardware,
				    &refusals[i].offer);
		struct offload_ask ask =
			rig_ask_of(refusals[i].cipher, refusals[i].auth, refusals[i].esn);
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
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_made_and_ended),
		cmocka_unit_test(what_a_device_cannot_do_is_refused_in_words),
	};

	return rig_begin() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
