/* The life of ports and sessions of drivers/inline: refusals, limits, resets, keys. */
#include "inline_rig.h"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_security_driver.h>

#include "base/json.h"
#include "drivers.h"

static struct offload_ask
ask_in(void)
{
	struct offload_ask ask = rig_ask_of(ALG_AES_GCM_128, ALG_NONE, true);

	ask.inbound = true;
	return ask;
}

static bool
is_zero(const void *at, size_t n)
{
	const uint8_t *octets = at;

	for (size_t i = 0; i < n; i++)
		if (octets[i] != 0)
			return false;
	return true;
}

/* Of the last session: its memory is the pool's, which is open still. */
static bool
session_is_wiped(void)
{
	return is_zero(record.session, sizeof(struct rte_security_session) + 16);
}

static void
a_refused_session_leaves_nothing(void **state)
{
	static const struct {
		int reason, rc;
		const char *says;
	} cases[] = {
		{ ENOSPC, -ENOSPC, "the device has no room for one more session" },
		{ ENOTSUP, -ENOTSUP, "the device refused the session: not supported" },
		{ EBUSY, -EIO, "the device refused the session: Device or resource busy" },
		{ -1, -EIO, "the device refused the session and does not say why" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);
		struct offload_ask ask = ask_in();
		struct offload_session *s;
		struct offload_caps caps;
		struct err err;

		record.refuse_session = cases[i].reason;
		assert_int_equal(offload_inline.session_open(op, &ask, OFFLOAD_CRYPTO, &s, &err),
				 cases[i].rc);
		assert_string_equal(err.text, cases[i].says);
		assert_int_equal(record.rules_asked, 0);
		assert_true(session_is_wiped());
		offload_inline.caps(op, &caps);
		assert_int_equal(caps.sessions, 0);
		/* And what it refused stands in nobody's way. */
		record.refuse_session = 0;
		rig_session_done(op, rig_session_of(op, &ask, OFFLOAD_CRYPTO));
		offload_inline.port_close(op);
	}
}

static void
a_refused_rule_takes_the_session_with_it(void **state)
{
	static const struct {
		const char *message, *says;
	} cases[] = {
		{ "no such pattern", "the device refused the rule: no such pattern" },
		{ NULL, "the device refused the rule: Invalid argument" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);
		struct offload_ask ask = ask_in();
		struct offload_session *s;
		struct err err;

		record.refuse_rule = true;
		record.rule_message = cases[i].message;
		assert_int_equal(offload_inline.session_open(op, &ask, OFFLOAD_CRYPTO, &s, &err),
				 -EIO);
		assert_string_equal(err.text, cases[i].says);
		assert_int_equal(record.creates, 1);
		assert_int_equal(record.sessions, 0);
		assert_int_equal(record.rules, 0);
		assert_true(session_is_wiped());
		offload_inline.port_close(op);
	}
}

/* iavf offers them and takes no session that asks for them. */
static void
who_refuses_statistics_is_not_asked_for_them(void **state)
{
	struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);
	struct offload_ask ask = ask_in();
	struct offload_counts counts;
	struct offload_session *s;

	record.refuse_statistics = true;
	s = rig_session_of(op, &ask, OFFLOAD_CRYPTO);
	assert_int_equal(record.creates, 2);
	assert_int_equal(record.conf.ipsec.options.stats, 0);
	assert_int_equal(offload_inline.session_counts(op, s, &counts), -ENOTSUP);
	assert_int_equal(record.stats, 0);
	rig_session_done(op, s);
	offload_inline.port_close(op);
}

static void
counts_are_those_of_the_direction(void **state)
{
	struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);

	for (int inbound = 0; inbound < 2; inbound++) {
		struct offload_ask ask = ask_in();
		struct offload_counts counts;
		struct offload_session *s;

		ask.inbound = inbound;
		s = rig_session_of(op, &ask, OFFLOAD_CRYPTO);
		assert_int_equal(offload_inline.session_counts(op, s, &counts), 0);
		assert_int_equal(counts.packets, inbound ? 1 : 2);
		assert_int_equal(counts.octets, inbound ? 3 : 4);
		assert_int_equal(counts.errors, inbound ? 5 : 6);
		rig_session_done(op, s);
	}
	offload_inline.port_close(op);
}

/* ixgbe keeps a pointer to the key, and reads it when the rule comes; later nobody does. */
static void
keys_are_there_until_the_rule_and_not_longer(void **state)
{
	struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);
	struct offload_ask ask = ask_in();
	struct offload_session *s = rig_session_of(op, &ask, OFFLOAD_CRYPTO);

	assert_memory_equal(record.key_at_rule, rig_session_keys.key, 16);
	assert_false(session_is_wiped());
	rig_session_done(op, s);
	assert_true(session_is_wiped());
	offload_inline.port_close(op);
}

static void
a_conf_is_wiped_whole(void **state)
{
	struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);
	struct offload_ask ask = rig_ask_of(ALG_AES_CBC_256, ALG_HMAC_SHA512_256, true);
	struct inline_match match;
	struct inline_conf ic;
	struct err err;

	assert_int_equal(inline_match_find(op, &ask, OFFLOAD_CRYPTO, &match, &err), 0);
	inline_conf_fill(&ic, op, &ask, OFFLOAD_CRYPTO, &match);
	assert_memory_equal(ic.key, rig_session_keys.key, 32);
	assert_memory_equal(ic.auth_key, rig_session_keys.auth_key, 64);
	inline_conf_wipe(&ic);
	assert_true(is_zero(&ic, sizeof(ic)));
	offload_inline.port_close(op);
}

static void
an_outbound_session_stays_until_nothing_is_marked_with_it(void **state)
{
	struct offer o = rig_crypto;
	struct offload_port *op;
	struct offload_ask ask = ask_in();
	struct offload_session *s;

	o.ol_flags = 0; /* by a rule */
	op = rig_port_of(&record_hardware, &o);
	ask.inbound = false;
	s = rig_session_of(op, &ask, OFFLOAD_CRYPTO);
	assert_int_equal(record.rules, 1);
	offload_inline.session_end(op, s);
	assert_int_equal(record.rules, 0);
	assert_int_equal(record.sessions, 1);
	offload_inline.session_free(op, s);
	assert_int_equal(record.rules_destroyed, 1);
	assert_int_equal(record.sessions, 0);
	offload_inline.port_close(op);
}

static void
a_table_has_its_end(void **state)
{
	struct offload_port *op = rig_port_of(&record_emulated, &rig_crypto);
	struct offload_session *s[3];
	struct offload_ask ask = ask_in();
	struct err err;

	for (int i = 0; i < 2; i++)
		s[i] = rig_session_of(op, &ask, OFFLOAD_CRYPTO);
	assert_int_equal(offload_inline.session_open(op, &ask, OFFLOAD_CRYPTO, &s[2], &err),
			 -ENOSPC);
	assert_string_equal(err.text, "the device has room for 2 sessions");
	assert_int_equal(record.creates, 2);
	rig_session_done(op, s[0]);
	s[2] = rig_session_of(op, &ask, OFFLOAD_CRYPTO);
	rig_session_done(op, s[2]);
	rig_session_done(op, s[1]);
	offload_inline.port_close(op);
}

static void
sessions_are_as_many_as_the_device_takes(void **state)
{
	struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);
	struct offload_session *s[600];
	struct offload_ask ask = ask_in();
	struct offload_caps caps;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < RTE_DIM(s); i++)
			s[i] = rig_session_of(op, &ask, OFFLOAD_CRYPTO);
		offload_inline.caps(op, &caps);
		assert_int_equal(caps.sessions, RTE_DIM(s));
		for (size_t i = 0; i < RTE_DIM(s); i++)
			rig_session_done(op, s[i]);
	}
	assert_int_equal(record_ctx.sess_cnt, 0);
	offload_inline.port_close(op);
}

/* What the device does not give back is not given to it again. */
static void
a_session_that_a_device_keeps_is_left_alone(void **state)
{
	struct offload_port *op = rig_port_of(&record_hardware, &rig_crypto);
	struct offload_ask ask = ask_in();
	struct offload_session *s = rig_session_of(op, &ask, OFFLOAD_CRYPTO);
	void *kept = record.session;

	record.refuse_destroy = true;
	rig_session_done(op, s);
	record.refuse_destroy = false;
	for (int i = 0; i < 300; i++) {
		s = rig_session_of(op, &ask, OFFLOAD_CRYPTO);
		assert_ptr_not_equal(record.session, kept);
		rig_session_done(op, s);
	}
	offload_inline.port_close(op);
}

/* Hardware is told of each session that goes, as most keeps them over a restart; what says that it
 * has lost all is told of none. */
static void
a_reset_ends_all_sessions(void **state)
{
	static const struct {
		const struct inline_provider *provider;
		uint32_t destroys;
	} cases[] = { { &record_hardware, 2 }, { &record_emulated, 0 } };

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct offload_port *op = rig_port_of(cases[i].provider, &rig_crypto);
		struct offload_ask ask = ask_in();
		struct offload_session *in = rig_session_of(op, &ask, OFFLOAD_CRYPTO), *out;
		struct offload_counts counts;
		struct offload_caps caps;

		ask.inbound = false;
		out = rig_session_of(op, &ask, OFFLOAD_CRYPTO);
		offload_inline.port_reset(op, false);
		assert_int_equal(record.resets, cases[i].provider->reset != NULL);
		assert_int_equal(record.destroys, cases[i].destroys);
		assert_int_equal(record.rules_destroyed, cases[i].destroys / 2);
		assert_int_equal(record_ctx.sess_cnt, 0);
		assert_true(session_is_wiped());
		offload_inline.caps(op, &caps);
		assert_int_equal(caps.sessions, 0);
		assert_int_equal(offload_inline.session_counts(op, in, &counts), -ENOTSUP);
		rig_session_done(op, in);
		rig_session_done(op, out);
		assert_int_equal(record.destroys, cases[i].destroys);
		/* And the port goes on. */
		rig_session_done(op, rig_session_of(op, &ask, OFFLOAD_CRYPTO));
		offload_inline.port_close(op);
	}
}

static void
a_device_is_told_the_half_that_is_not_sent(void **state)
{
	static const struct {
		const char *what;
		bool inbound, esn, protocol, refuses;
		uint32_t updates;
	} cases[] = {
		{ "in, with ESN", true, true, false, false, 2 },
		{ "out each packet says it", false, true, false, false, 0 },
		{ "without ESN there is none", true, false, false, false, 0 },
		{ "inline protocol counts by itself", true, true, true, false, 0 },
		{ "who has no word for it is asked once", true, true, false, true, 1 },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct offload_port *op =
			rig_port_of(&record_hardware,
				    cases[i].protocol ? &rig_protocol : &rig_crypto);
		struct offload_ask ask = rig_ask_of(ALG_AES_GCM_128, ALG_NONE, cases[i].esn);
		struct offload_session *s;

		ask.inbound = cases[i].inbound;
		s = rig_session_of(op, &ask, cases[i].protocol ? OFFLOAD_PROTOCOL : OFFLOAD_CRYPTO);
		record.refuse_update = cases[i].refuses;
		offload_inline.session_number(op, s, 1000 + (1 << 30) - 1);
		assert_int_equal(record.updates, 0);
		offload_inline.session_number(op, s, 1000 + (1 << 30));
		offload_inline.session_number(op, s, 1001 + (1 << 30));
		offload_inline.session_number(op, s, UINT64_C(0x300000000));
		if (record.updates != cases[i].updates)
			fail_msg("%s: told %u times", cases[i].what, record.updates);
		if (cases[i].updates == 2)
			assert_int_equal(record.told, UINT64_C(0x300000000));
		rig_session_done(op, s);
		offload_inline.port_close(op);
	}
}

static void
a_port_that_offers_nothing_is_not_opened(void **state)
{
	static const struct offer nothing;
	struct offload_port *op;
	struct err err;
	int rc;

	record_begin(NULL);
	record.no_context = true;
	rc = inline_port_open_by(&record_hardware, 0, "", 1, SOCKET_ID_ANY, &op, &err);
	assert_int_equal(rc, -ENOTSUP);
	assert_string_equal(err.text, "no context is here");
	assert_int_equal(record.closed, 0);
	record_begin(rig_offer(&nothing));
	rc = inline_port_open_by(&record_hardware, 0, "", 1, SOCKET_ID_ANY, &op, &err);
	assert_int_equal(rc, -ENOTSUP);
	assert_string_equal(err.text, "the device offers no inline ESP");
	assert_int_equal(record.closed, 1);
}

static void
the_words_of_the_file_choose_who_stands_behind(void **state)
{
	static const struct {
		const char *options;
		int rc;
		const char *says;
	} cases[] = {
		{ "auto", -ENOTSUP, "the device has no IPsec (no security context)" },
		{ "autos", -EINVAL, "nothing is behind inline: autos" },
		{ "", -EINVAL, "nothing is behind inline: " },
		{ "emulate,kinds=crypto", -EINVAL, "nothing is behind inline: emulate" },
	};
	uint16_t id;

	assert_int_equal(rte_dev_probe("net_null0"), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_null0", &id), 0);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct offload_port *op;
		struct err err = { "" };
		int rc =
			offload_inline.port_open(id, cases[i].options, 1, SOCKET_ID_ANY, &op, &err);

		if (rc != cases[i].rc || strcmp(err.text, cases[i].says) != 0)
			fail_msg("%s: %d, %s", cases[i].options, rc, err.text);
	}
	assert_int_equal(rte_eth_dev_close(id), 0);
}

static void
emulated_session(struct offload_port *op, uint8_t id, unsigned int bits)
{
	bool aead = algs[id].kind == ALG_AEAD;
	struct offload_ask ask = rig_ask_of(id, aead ? ALG_NONE : ALG_HMAC_SHA256_128, bits & 8);
	enum offload_kind kind = (bits & 1) != 0 ? OFFLOAD_PROTOCOL : OFFLOAD_CRYPTO;
	struct offload_session *s;
	struct err err;

	ask.inbound = (bits & 2) != 0;
	ask.transport = (bits & 4) != 0;
	ask.udp = (bits & 16) != 0;
	/* What software does even then: the checksums inside, behind a NAT. */
	if ((bits & 23) == 23)
		return;
	if (offload_inline.session_open(op, &ask, kind, &s, &err) < 0)
		fail_msg("%s, %x: %s", algs[id].name, bits, err.text);
	rig_session_done(op, s);
}

/* Both ends of the border are ours there, and have to mean the same. */
static void
the_emulated_nic_takes_what_the_driver_asks(void **state)
{
	static const struct engine *const engines[] = { &engine_openssl };
	struct rte_eth_conf conf = { 0 };
	struct offload_port *op;
	struct offload_caps caps;
	struct err err;
	uint16_t id;

	assert_int_equal(inline_emulated_use(engines, 1, &err), 0);
	assert_int_equal(rte_dev_probe("net_null1"), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_null1", &id), 0);
	assert_int_equal(rte_eth_dev_configure(id, 1, 1, &conf), 0);
	if (offload_inline.port_open(id, "emulated", 1, SOCKET_ID_ANY, &op, &err) < 0)
		fail_msg("%s", err.text);
	offload_inline.caps(op, &caps);
	assert_true(caps.tx_number && caps.rx_number);
	for (uint8_t alg = ALG_AES_GCM_128; alg < ALG_MAX; alg++)
		for (unsigned int bits = 0; algs[alg].kind != ALG_AUTH && bits < 32; bits++)
			emulated_session(op, alg, bits);
	offload_inline.port_close(op);
	assert_int_equal(rte_eth_dev_close(id), 0);
}

/* What `show nic` prints of a port. */
static char *
shown(const struct offload_port *op, bool json)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct json j;

	assert_non_null(f);
	if (json) {
		json_init(&j, f);
		json_object(&j, NULL);
		offload_inline.json(op, &j);
		json_end(&j);
	} else
		offload_inline.print(op, f);
	fclose(f);
	return text;
}

static void
what_a_device_offers_is_shown(void **state)
{
	static const struct offer o = { .crypto = true, .algorithms = rig_gcm_128 };
	static const char *const has[] = {
		"  crypto in, tunnel: no ESN, no ESP in UDP; aes-gcm-128\n",
		"    without aes-ccm-128 aes-ccm-192 aes-ccm-256 chacha20-poly1305 ",
		"    not aes-gcm-256 with a key of 32 octets: the device takes 16\n",
		"  protocol out, transport: not offered\n",
	};
	static const char *const has_json[] = {
		"{\"kind\":\"crypto\",\"direction\":\"in\",\"mode\":\"tunnel\",\"usable\":true,"
		"\"esn\":false,\"udp\":false,\"replay_window_max\":0,"
		"\"algorithms\":[\"aes-gcm-128\"],\"refused\":[{\"name\":\"aes-gcm-192\","
		"\"why\":\"aes-gcm-192 with a key of 24 octets: the device takes 16\"}",
		"{\"kind\":\"protocol\",\"direction\":\"out\",\"mode\":\"tunnel\","
		"\"usable\":false,\"why\":\"not offered\"}",
	};
	struct offload_port *op = rig_port_of(&record_hardware, &o);
	char *text = shown(op, false), *json = shown(op, true);

	for (size_t i = 0; i < RTE_DIM(has); i++)
		if (strstr(text, has[i]) == NULL)
			fail_msg("no '%s' in\n%s", has[i], text);
	for (size_t i = 0; i < RTE_DIM(has_json); i++)
		if (strstr(json, has_json[i]) == NULL)
			fail_msg("no '%s' in\n%s", has_json[i], json);
	free(text);
	free(json);
	offload_inline.port_close(op);
}

/* The engine of the list: what any device could have a name for. */
static void
the_engine_serves_what_has_a_name(void **state)
{
	struct suite suite;
	struct err err;

	assert_int_equal(engine_inline.kind, ENGINE_INLINE);
	for (int id = 1; id < ALG_MAX; id++) {
		const struct alg *a = &algs[id];

		if (a->kind == ALG_AUTH)
			continue;
		assert_int_equal(suite_init(&suite, a,
					    a->kind == ALG_AEAD ? NULL : &algs[ALG_HMAC_SHA1_96], 0,
					    false, false, &err),
				 0);
		if (engine_inline.serves(&suite, &err) != 0)
			fail_msg("%s", err.text);
	}
	assert_int_equal(suite_init(&suite, &algs[ALG_AES_GCM_128], NULL, 0, true, false, &err), 0);
	assert_int_equal(engine_inline.serves(&suite, &err), -ENOTSUP);
	assert_string_equal(err.text,
			    "rte_security has no word for an IV that is not sent (RFC 8750)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_session_leaves_nothing),
		cmocka_unit_test(a_refused_rule_takes_the_session_with_it),
		cmocka_unit_test(who_refuses_statistics_is_not_asked_for_them),
		cmocka_unit_test(counts_are_those_of_the_direction),
		cmocka_unit_test(keys_are_there_until_the_rule_and_not_longer),
		cmocka_unit_test(a_conf_is_wiped_whole),
		cmocka_unit_test(an_outbound_session_stays_until_nothing_is_marked_with_it),
		cmocka_unit_test(a_table_has_its_end),
		cmocka_unit_test(sessions_are_as_many_as_the_device_takes),
		cmocka_unit_test(a_session_that_a_device_keeps_is_left_alone),
		cmocka_unit_test(a_reset_ends_all_sessions),
		cmocka_unit_test(a_device_is_told_the_half_that_is_not_sent),
		cmocka_unit_test(a_port_that_offers_nothing_is_not_opened),
		cmocka_unit_test(the_words_of_the_file_choose_who_stands_behind),
		cmocka_unit_test(the_emulated_nic_takes_what_the_driver_asks),
		cmocka_unit_test(what_a_device_offers_is_shown),
		cmocka_unit_test(the_engine_serves_what_has_a_name),
	};

	return rig_begin() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
