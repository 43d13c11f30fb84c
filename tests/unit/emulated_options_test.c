#include "emulated_rig.h"

#include <errno.h>

#include <rte_dev.h>
#include <rte_errno.h>

#include "drivers.h"
#include "eal.h"
#include "inline/emulated.h"
#include "port/port.h"

static const struct engine *const engines[] = { &engine_openssl };

static void
what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *options, *says;
	} cases[] = {
		/* clang-format off */
		{ "kinds", "emulated: kinds: option=value is wanted" },
		{ "knds=crypto", "emulated: no option knds" },
		{ "kinds=crypt", "emulated: kinds=crypt: crypto, protocol, joined by +" },
		{ "kinds=", "emulated: kinds=: crypto, protocol, joined by +" },
		{ "kinds=crypto+", "crypto, protocol, joined by +" },
		{ "suites=aes-gcm+aes", "aes-gcm, aes-ccm, chacha20-poly1305, aes-gmac, aes-cbc-hmac" },
		{ "modes=beet", "emulated: modes=beet: tunnel, transport, joined by +" },
		{ "esn=2", "emulated: esn=2: 0 or 1" },
		{ "udp=yes", "emulated: udp=yes: 0 or 1" },
		{ "sessions=0", "emulated: sessions=0: a number from 1 to 65536" },
		{ "sessions=-1", "a number from 1 to 65536" },
		{ "rules=65537", "emulated: rules=65537: a number from 0 to 65536" },
		{ "late=1s", "emulated: late=1s: a number from 0 to 3600000" },
		{ "numbers=hardware", "emulated: numbers=hardware: software, device" },
		{ "cipher=0", "emulated: cipher=0: on, off" },
		{ "mdata=slow", "emulated: mdata=slow: fast, call" },
		{ "engine=qat", "emulated: engine=qat: there is no such synchronous engine" },
		{ "kinds=crypto,esn", "emulated: esn: option=value is wanted" },
		/* clang-format on */
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct nic_options o;
		struct err err = { "" };

		if (nic_options_parse(&o, cases[i].options, engines, 1, &err) != -EINVAL ||
		    strstr(err.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].options, err.text);
	}
}

static void
what_is_right_is_taken(void **state)
{
	struct nic_options o;
	struct err err;

	assert_int_equal(nic_options_parse(&o, "", engines, 1, &err), 0);
	assert_int_equal(o.kinds, NIC_CRYPTO | NIC_PROTOCOL);
	assert_int_equal(o.suites, NIC_SUITES);
	assert_true(o.esn && o.udp && o.v6 && !o.cipher_off && !o.numbers_by_device);
	assert_int_equal(
		nic_options_parse(&o,
				  "kinds=protocol,modes=transport,suites=aes-gcm+null-hmac,"
				  "esn=0,udp=0,v6=0,sessions=7,rules=3,numbers=device,"
				  "window=device,trailer=device,cipher=off,mdata=call,"
				  "engine=openssl,icv_fail=5,late=6,reorder=7,refuse_rule=8",
				  engines, 1, &err),
		0);
	assert_int_equal(o.kinds, NIC_PROTOCOL);
	assert_int_equal(o.modes, NIC_TRANSPORT);
	assert_int_equal(o.suites, NIC_AES_GCM | NIC_NULL);
	assert_true(!o.esn && !o.udp && !o.v6 && o.numbers_by_device && o.window_by_device);
	assert_true(o.trailer_by_device && o.cipher_off && o.mdata_by_call);
	assert_true(o.sessions == 7 && o.rules == 3 && o.icv_fail == 5 && o.late_ms == 6);
	assert_true(o.reorder == 7 && o.refuse_rule == 8 && o.engine == &engine_openssl);
}

/* What the capabilities do not say is refused, too. */
static void
what_is_not_offered_is_refused(void **state)
{
	static const struct {
		const char *options;
		struct rig_sa sa;
	} cases[] = {
		/* clang-format off */
		{ "kinds=crypto", { .protocol = true } },
		{ "kinds=protocol", { .protocol = false } },
		{ "modes=tunnel", { .transport = true } },
		{ "modes=transport", { .transport = false } },
		{ "esn=0", { .esn = true } },
		{ "udp=0", { .udp = true } },
		{ "v6=0", { .v6 = true } },
		{ "suites=aes-gcm", { .cipher = "aes-cbc-128", .auth = "hmac-sha256-128" } },
		{ "suites=aes-cbc-hmac", { .cipher = "aes-gcm-128" } },
		{ "suites=aes-cbc-hmac", { .cipher = "aes-ctr-128", .auth = "hmac-sha256-128" } },
		{ "suites=aes-ccm+aes-gcm", { .cipher = "aes-gmac-128" } },
		{ "", { .protocol = true, .ingress = true, .window = 64 } },
		{ "window=device", { .protocol = true, .ingress = true, .window = 2048 } },
		{ "window=device", { .ingress = true, .window = 64 } },
		/* clang-format on */
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct rig *r = rig_new(cases[i].options, 16);
		struct rig_sa good = cases[i].sa;
		void *session;

		rte_errno = 0;
		session = rig_session(r, &cases[i].sa);
		if (session != NULL || rte_errno != ENOTSUP)
			fail_msg("%s: taken, or %s", cases[i].options, rte_strerror(rte_errno));
		rig_free(r);
		r = rig_new("window=device", 16);
		good.window = 0;
		session = rig_session(r, &good);
		if (session == NULL)
			fail_msg("not without %s: %s", cases[i].options, rte_strerror(rte_errno));
		rig_session_end(r, session);
		rig_free(r);
	}
}

static const struct rte_security_capability *
cap_of(struct rig *r, bool protocol, bool tunnel, bool ingress)
{
	struct rte_security_capability_idx idx = {
		.action = protocol ? RTE_SECURITY_ACTION_TYPE_INLINE_PROTOCOL :
				     RTE_SECURITY_ACTION_TYPE_INLINE_CRYPTO,
		.protocol = RTE_SECURITY_PROTOCOL_IPSEC,
		.ipsec = { .proto = RTE_SECURITY_IPSEC_SA_PROTO_ESP,
			   .mode = tunnel ? RTE_SECURITY_IPSEC_SA_MODE_TUNNEL :
					    RTE_SECURITY_IPSEC_SA_MODE_TRANSPORT,
			   .direction = ingress ? RTE_SECURITY_IPSEC_SA_DIR_INGRESS :
						  RTE_SECURITY_IPSEC_SA_DIR_EGRESS },
	};

	return rte_security_capability_get(r->ctx, &idx);
}

static int
n_crypto(const struct rte_security_capability *c)
{
	int n = 0;

	while (c->crypto_capabilities[n].op != RTE_CRYPTO_OP_TYPE_UNDEFINED)
		n++;
	return n;
}

static void
capabilities_say_what_there_is(void **state)
{
	struct rig *r = rig_new("", 16);
	const struct rte_security_capability *c;

	for (int i = 0; i < 8; i++)
		assert_non_null(cap_of(r, (i & 4) != 0, (i & 2) != 0, (i & 1) != 0));
	c = cap_of(r, true, true, false);
	assert_true(c->ipsec.options.esn && c->ipsec.options.udp_encap);
	assert_true(c->ipsec.options.copy_df && c->ipsec.options.copy_dscp && c->ipsec.options.ecn);
	assert_int_equal(c->ol_flags, RTE_SECURITY_TX_OLOAD_NEED_MDATA);
	assert_int_equal(n_crypto(c), 13);
	assert_int_equal(cap_of(r, true, true, true)->ipsec.replay_win_sz_max, 0);
	assert_int_equal(r->ctx->flags, RTE_SEC_CTX_F_FAST_SET_MDATA);
	rig_free(r);
	r = rig_new(
		"kinds=crypto,modes=tunnel,suites=aes-gcm,esn=0,udp=0,trailer=device,mdata=call",
		16);
	assert_null(cap_of(r, true, true, false));
	assert_null(cap_of(r, false, false, false));
	c = cap_of(r, false, true, true);
	assert_false(c->ipsec.options.esn || c->ipsec.options.udp_encap);
	assert_int_equal(c->ol_flags, RTE_SECURITY_RX_HW_TRAILER_OFFLOAD);
	assert_int_equal(n_crypto(c), 1);
	assert_int_equal(c->crypto_capabilities[0].sym.aead.key_size.max, 32);
	assert_int_equal(cap_of(r, false, true, false)->ol_flags,
			 RTE_SECURITY_TX_OLOAD_NEED_MDATA | RTE_SECURITY_TX_HW_TRAILER_OFFLOAD);
	assert_int_equal(r->ctx->flags, 0);
	rig_free(r);
	r = rig_new("window=device", 16);
	assert_int_equal(cap_of(r, true, true, true)->ipsec.replay_win_sz_max, NIC_WINDOW);
	assert_int_equal(cap_of(r, false, true, true)->ipsec.replay_win_sz_max, 0);
	rig_free(r);
}

/* The metadata by a call of the driver's, as some hardware wants it. */
static void
metadata_comes_by_a_call_too(void **state)
{
	static const struct rig_sa sa = { .df = 1 };
	struct rig *r = rig_new("mdata=call", 16);
	uint8_t inner[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	void *session = rig_session(r, &sa);
	struct rte_mbuf *m;
	uint16_t id = 0;
	uint32_t len = rig_encap(&sa, inner, rig_inner(inner, false, 90, 0, true), 7, &id, frame);

	m = rig_mbuf(frame, len, 0);
	rig_mark(r, session, m, 7);
	rig_seal(&sa, frame, len, 7);
	rig_same("by a call", rig_send(r, m), frame, len);
	rig_free(r);
}

/* All but the cipher; and no way to have that where packets leave the machine. */
static void
without_the_cipher_nothing_leaves_the_machine(void **state)
{
	static const struct rig_sa sa = { .df = 1 };
	struct rig *r = rig_new("cipher=off", 16);
	struct rte_eth_conf conf = { 0 };
	struct rte_eth_dev_info info;
	uint8_t inner[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	void *session = rig_session(r, &sa);
	uint16_t id = 0, other;
	uint32_t len = rig_encap(&sa, inner, rig_inner(inner, false, 90, 0, true), 7, &id, frame);
	struct rte_mbuf *m = rig_mbuf(frame, len, 0);
	struct err err;

	rig_mark(r, session, m, 7);
	rig_same("as it was given", rig_send(r, m), frame, len);
	assert_int_equal(rig_stats(r, session).opackets, 1);
	rig_session_end(r, session);
	m = rig_mbuf(frame, len, 0);
	*rte_security_dynfield(m) = 0;
	m->ol_flags |= RTE_MBUF_F_TX_SEC_OFFLOAD;
	assert_null(rig_send(r, m));
	rig_free(r);
	assert_int_equal(rte_dev_probe("net_pcap_nic,tx_pcap=/dev/null"), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_pcap_nic", &other), 0);
	assert_int_equal(rte_eth_dev_configure(other, 0, 1, &conf), 0);
	assert_null(inline_emulated.open(other, "cipher=off", 1, SOCKET_ID_ANY, &err));
	assert_non_null(strstr(err.text, "only net_null and net_ring"));
	assert_int_equal(rte_eth_dev_info_get(other, &info), 0);
	assert_int_equal(rte_eth_dev_close(other), 0);
	assert_int_equal(rte_dev_remove(info.device), 0);
}

static struct rte_flow *
rule_of(struct rig *r, const struct rte_flow_item *pattern, const struct rte_flow_action *actions,
	bool ingress)
{
	struct rte_flow_attr attr = { .ingress = ingress, .egress = !ingress };
	struct rte_flow_error error;

	return inline_emulated.flow_create(r->id, &attr, pattern, actions, &error);
}

static void
rules_of_other_kinds_are_refused(void **state)
{
	static const struct rig_sa sa = { .ingress = true };
	struct rig *r = rig_new("", 16);
	void *session = rig_session(r, &sa);
	struct rte_flow_item_esp esp = { .hdr.spi = RTE_BE32(0x1001) }, half = { .hdr.spi = 1 };
	struct rte_flow_item_esp other = { .hdr.spi = RTE_BE32(0x1002) };
	struct rte_flow_item eth = { .type = RTE_FLOW_ITEM_TYPE_ETH };
	struct rte_flow_item ip = { .type = RTE_FLOW_ITEM_TYPE_IPV4 };
	struct rte_flow_item end = { .type = RTE_FLOW_ITEM_TYPE_END };
	struct rte_flow_item good[] = {
		eth, ip, { RTE_FLOW_ITEM_TYPE_ESP, &esp, NULL, NULL }, end
	};
	struct rte_flow_item masked[] = {
		eth, ip, { RTE_FLOW_ITEM_TYPE_ESP, &esp, NULL, &half }, end
	};
	struct rte_flow_item ranged[] = {
		eth, ip, { RTE_FLOW_ITEM_TYPE_ESP, &esp, &esp, NULL }, end
	};
	struct rte_flow_item another[] = {
		eth, ip, { RTE_FLOW_ITEM_TYPE_ESP, &other, NULL, NULL }, end
	};
	struct rte_flow_item no_spi[] = { eth, ip, end };
	struct rte_flow_item tcp[] = { eth, ip, { .type = RTE_FLOW_ITEM_TYPE_TCP }, end };
	struct rte_flow_action_mark mark = { .id = 99 };
	struct rte_flow_action_queue queue = { .index = 0 };
	struct rte_flow_action secure[] = { { RTE_FLOW_ACTION_TYPE_SECURITY, session },
					    { RTE_FLOW_ACTION_TYPE_MARK, &mark },
					    { RTE_FLOW_ACTION_TYPE_END, NULL } };
	struct rte_flow_action redirect[] = { { RTE_FLOW_ACTION_TYPE_SECURITY, session },
					      { RTE_FLOW_ACTION_TYPE_QUEUE, &queue },
					      { RTE_FLOW_ACTION_TYPE_END, NULL } };
	struct rte_flow_action only_mark[] = { { RTE_FLOW_ACTION_TYPE_MARK, &mark },
					       { RTE_FLOW_ACTION_TYPE_END, NULL } };
	uint8_t inner[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	struct rte_flow *rule;
	struct rte_mbuf *m;
	uint16_t id = 0;
	uint32_t len;

	assert_null(rule_of(r, masked, secure, true));
	assert_null(rule_of(r, ranged, secure, true));
	assert_null(rule_of(r, another, secure, true));
	assert_null(rule_of(r, no_spi, secure, true));
	assert_null(rule_of(r, tcp, secure, true));
	assert_null(rule_of(r, good, redirect, true));
	assert_null(rule_of(r, good, only_mark, true));
	assert_null(rule_of(r, good, secure, false));
	rule = rule_of(r, good, secure, true);
	assert_non_null(rule);
	assert_null(rule_of(r, good, secure, true));
	len = rig_encap(&sa, inner, rig_inner(inner, false, 90, 0, true), 7, &id, frame);
	rig_seal(&sa, frame, len, 7);
	m = rig_receive(r, rig_mbuf(frame, len, 0));
	assert_int_equal(m->hash.fdir.hi, 99);
	assert_true((m->ol_flags & RTE_MBUF_F_RX_FDIR_ID) != 0);
	rte_pktmbuf_free(m);
	rig_rule_end(r, rule);
	rig_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(what_is_right_is_taken),
		cmocka_unit_test(what_is_not_offered_is_refused),
		cmocka_unit_test(capabilities_say_what_there_is),
		cmocka_unit_test(metadata_comes_by_a_call_too),
		cmocka_unit_test(without_the_cipher_nothing_leaves_the_machine),
		cmocka_unit_test(rules_of_other_kinds_are_refused),
	};

	if (rig_start() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
