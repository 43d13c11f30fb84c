/* Numbers of SAs that a daemon reads and sets, and SAs that go to another address as charon does
 * it: read, ended, and added again.
 */
#include "unit.h"

#include "daemon_state_rig.h"

static struct xw_attr
attr_at(const uint8_t *octets, size_t at)
{
	struct xw_attr a;

	memcpy(&a, octets + at, sizeof(a));
	return a;
}

/* ---- GETAE, NEWAE. ---- */

static int
ae_send(struct daemon_client *c, uint16_t type, const struct xfrm_ae *ae)
{
	const uint16_t flags =
		type == XFRM_NEWAE ? XFRM_F_REQUEST | XFRM_F_ACK | XFRM_F_REPLACE : XFRM_F_REQUEST;
	const struct xfrm_head head = { type, flags, 7, NL_PID };
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };

	assert_int_equal(xfrm_put_ae(&out, &head, ae), 0);
	return rig_send(c, message, &out, NULL);
}

static int
ae_get(struct daemon_client *c, const struct xfrm_ident *id, struct xfrm_ae *ae)
{
	const struct xfrm_ae ask = { .family = id->dst.family,
				     .id = *id,
				     .flags = XFRM_AE_F_RVAL,
				     .src.family = id->dst.family };
	struct xfrm_msg msg;
	struct err err;
	size_t at = 0;
	int rc = ae_send(c, XFRM_GETAE, &ask);

	if (rc < 0)
		return rc;
	assert_int_equal(xfrm_next(rig.reply.octets, rig.reply.len, &at, &msg, &err), 1);
	assert_int_equal(msg.head.type, XFRM_NEWAE);
	/* As a request it may not say the direction, which stands last. */
	if (attr_at(msg.body, msg.len - 8).type == XFRM_A_SA_DIR)
		msg.len -= 8;
	msg.head.flags |= XFRM_F_REPLACE;
	assert_int_equal(xfrm_parse_ae(&msg, ae, &err), 0);
	return 0;
}

/* What is asked for, and what is read afterwards: numbers are only ever raised. */
static void
numbers_are_raised_and_never_lowered(void **state)
{
	static const struct {
		const char *what;
		bool esn, inbound;
		uint64_t before, set, after;
	} cases[] = {
		{ "out, up", true, false, 100, 1000, 1000 },
		{ "out, down", true, false, 100, 50, 100 },
		{ "out, the same", true, false, 100, 100, 100 },
		{ "out, beyond 32 bits", true, false, 100, UINT64_C(5) << 32, UINT64_C(5) << 32 },
		{ "out without ESN, up", false, false, 100, 1000, 1000 },
		{ "out without ESN, down", false, false, 100, 99, 100 },
		{ "in, up", true, true, 0, 1000, 1000 },
		{ "in without ESN, up", false, true, 0, 77, 77 },
	};
	struct daemon_client c = rig_client(1, 0, true);

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct xfrm_sa a = rig_sa(cases[i].inbound, 0xc100 + i, (uint8_t)(i + 1));
		struct xfrm_ae ae;

		if (!cases[i].esn) {
			a.flags &= ~XFRM_SA_ESN;
			a.suite.esn = false;
			a.has ^= XFRM_HAS_REPLAY | XFRM_HAS_REPLAY_ESN;
			a.window = 32;
			a.replay.words = 1;
		}
		assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
		if (!cases[i].inbound)
			lane_raise(rig_sa_of(&a.id)->lane, cases[i].before);
		assert_int_equal(ae_get(&c, &a.id, &ae), 0);
		assert_int_equal(ae.has & (XFRM_HAS_REPLAY | XFRM_HAS_REPLAY_ESN),
				 cases[i].esn ? XFRM_HAS_REPLAY_ESN : XFRM_HAS_REPLAY);
		assert_true(ae.has & XFRM_HAS_LTIME);
		assert_int_equal(ae.reqid, 7);
		assert_true(addr_equal(&ae.src, &a.src));
		*(cases[i].inbound ? &ae.replay.seq : &ae.replay.oseq) = cases[i].set;
		ae.has &= ~XFRM_HAS_LTIME;
		assert_int_equal(ae_send(&c, XFRM_NEWAE, &ae), 0);
		assert_int_equal(rig_event_type(1), XFRM_NEWAE);
		assert_int_equal(rig_event(1)->group, XFRM_GROUP_AEVENTS);
		assert_int_equal(ae_get(&c, &a.id, &ae), 0);
		if ((cases[i].inbound ? ae.replay.seq : ae.replay.oseq) != cases[i].after)
			fail_msg("%s", cases[i].what);
		assert_int_equal(rig_by_id(&c, XFRM_DELSA, &a.id, NULL), 0);
	}
	daemon_client_gone(rig.d, &c);
}

/* A limit that has been told of is told of once, and what is counted is never counted less. */
static void
counters_are_raised_and_limits_stay(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5), x;
	struct xfrm_ae ae;
	uint32_t n;

	a.life.soft_packets = 50;
	a.life.hard_packets = 1000;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(ae_get(&c, &a.id, &ae), 0);
	ae.has = XFRM_HAS_LTIME;
	ae.used.packets = 60;
	ae.used.bytes = 6000;
	assert_int_equal(ae_send(&c, XFRM_NEWAE, &ae), 0);
	n = rig.n_events;
	rig_wait(2);
	assert_int_equal(rig.n_events, n + 1);
	assert_int_equal(rig_event_type(1), XFRM_EXPIRE);
	ae.used.packets = 10;
	ae.used.bytes = 7000;
	assert_int_equal(ae_send(&c, XFRM_NEWAE, &ae), 0);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, &x), 1);
	assert_int_equal(x.used.packets, 60);
	assert_int_equal(x.used.bytes, 7000);
	n = rig.n_events;
	rig_wait(2);
	assert_int_equal(rig.n_events, n);
	ae.used.packets = 1000;
	assert_int_equal(ae_send(&c, XFRM_NEWAE, &ae), 0);
	rig_wait(2);
	assert_int_equal(rig_event_type(1), XFRM_EXPIRE);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, NULL), -ESRCH);
	daemon_client_gone(rig.d, &c);
}

static void
numbers_of_others_are_not_set(void **state)
{
	struct daemon_client c = rig_client(1, 0, true), other = rig_client(2, 0, true);
	const struct xfrm_ident of_file = { rig_addr("192.0.2.1"), 0x1001, XFRM_PROTO_ESP };
	struct xfrm_sa a = rig_sa(false, 0xc100, 5);
	struct xfrm_ae ae;

	assert_int_equal(ae_get(&c, &a.id, &ae), -ESRCH);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(ae_get(&other, &a.id, &ae), 0);
	ae.replay.oseq = 1000;
	assert_int_equal(ae_send(&other, XFRM_NEWAE, &ae), -EPERM);
	ae.id = of_file;
	assert_int_equal(ae_send(&c, XFRM_NEWAE, &ae), -EPERM);
	ae.id.spi = 0xc101;
	assert_int_equal(ae_send(&c, XFRM_NEWAE, &ae), -ESRCH);
	daemon_client_gone(rig.d, &c);
	daemon_client_gone(rig.d, &other);
}

/* ---- As charon moves an SA: what it was told goes back, octet by octet. ---- */

static void
octets_put(struct message *m, uint16_t type, const void *octets, size_t len)
{
	const struct xw_attr head = { (uint16_t)(sizeof(head) + len), type };

	memcpy(m->octets + m->len, &head, sizeof(head));
	memcpy(m->octets + m->len + sizeof(head), octets, len);
	m->len += RTE_ALIGN(sizeof(head) + len, 4);
}

static bool
is_of_numbers(uint16_t type)
{
	return type == XFRM_A_REPLAY_VAL || type == XFRM_A_REPLAY_ESN_VAL ||
	       type == XFRM_A_LTIME_VAL;
}

/* GETSA's answer as a NEWSA from another source, all attributes as they are but ENCAP's, and then
 * the numbers that GETAE said.
 */
static void
again_make(struct message *m, const struct message *got, const struct message *ae,
	   const struct addr *src, uint16_t port)
{
	const struct xw_encap encap = { .type = 2,
					.sport_be = rte_cpu_to_be_16(4500),
					.dport_be = rte_cpu_to_be_16(port) };
	const size_t body = sizeof(struct xw_head) + 224;
	struct xw_head head = { .type = XFRM_NEWSA, .flags = XFRM_F_REQUEST | XFRM_F_ACK };
	size_t at = sizeof(head) + 48;

	memset(m, 0, sizeof(*m));
	memcpy(m->octets, got->octets, got->len);
	memcpy(m->octets + sizeof(head) + 80, src->octets, 16);
	m->len = body;
	for (size_t i = body; i < got->len;) {
		struct xw_attr a = attr_at(got->octets, i);

		if (a.type != XFRM_A_ENCAP)
			octets_put(m, a.type, got->octets + i + sizeof(a), a.len - sizeof(a));
		i += RTE_ALIGN(a.len, 4);
	}
	octets_put(m, XFRM_A_ENCAP, &encap, sizeof(encap));
	while (at < ae->len) {
		struct xw_attr a = attr_at(ae->octets, at);

		if (is_of_numbers(a.type))
			octets_put(m, a.type, ae->octets + at + sizeof(a), a.len - sizeof(a));
		at += RTE_ALIGN(a.len, 4);
	}
	head.len = (uint32_t)m->len;
	memcpy(m->octets, &head, sizeof(head));
}

static int
again_send(struct daemon_client *c, const struct message *m)
{
	const struct xfrm_out out = { (uint8_t *)m->octets + m->len, NULL };

	return rig_send(c, m->octets, &out, NULL);
}

static struct xfrm_sa
sa_with_all(bool aead)
{
	struct xfrm_sa a = rig_sa(false, 0xc100, 5);
	struct err err;

	a.has |= XFRM_HAS_TFCPAD | XFRM_HAS_MARK | XFRM_HAS_SET_MARK | XFRM_HAS_IF_ID |
		 XFRM_HAS_EXTRA_FLAGS | XFRM_HAS_ENCAP | XFRM_HAS_DIR | XFRM_HAS_NAT_KEEPALIVE;
	a.dir = XFRM_SA_DIR_OUT;
	a.replay.window = 0;
	a.tfcpad = 100;
	a.mark = (struct xfrm_mark) { 0, 0xff };
	a.set_mark = (struct xfrm_mark) { 6, 0xff };
	a.if_id = 9;
	a.nat_keepalive_s = 20;
	a.extra_flags = XFRM_SA_DONT_ENCAP_DSCP;
	a.encap = (struct xfrm_encap) { .type = 2, .sport = 4500, .dport = 4500 };
	a.life.hard_add_s = 3600;
	if (aead)
		return a;
	assert_int_equal(suite_init(&a.suite, &algs[ALG_AES_CBC_128], &algs[ALG_HMAC_SHA256_128], 0,
				    false, true, &err),
			 0);
	a.key.len = 16;
	a.auth_key.len = 32;
	memset(a.auth_key.octets, 9, 32);
	return a;
}

static void
an_sa_moves_as_charon_moves_it(void **state)
{
	const struct addr elsewhere = rig_addr("192.0.2.77");
	struct daemon_client c = rig_client(1, 0, true), again;
	struct xfrm_sa x;
	struct xfrm_ae ae;

	for (int aead = 0; aead < 2; aead++) {
		struct xfrm_sa a = sa_with_all(aead);
		struct message got, ae_got, m;

		assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
		lane_raise(rig_sa_of(&a.id)->lane, 500);
		cell_add(&rig_sa_of(&a.id)->lane->packets, 500);
		/* The connection went, and came back. */
		again = rig_client(1, 0, true);
		daemon_client_gone(rig.d, &c);
		c = again;
		a.id.dst.family = 4;
		assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, &x), 1);
		got = rig.reply;
		assert_int_equal(ae_get(&c, &a.id, &ae), 0);
		ae_got = rig.reply;
		/* It goes on sending meanwhile. */
		lane_raise(rig_sa_of(&a.id)->lane, 600);
		assert_int_equal(rig_by_id(&c, XFRM_DELSA, &a.id, NULL), 0);
		again_make(&m, &got, &ae_got, &elsewhere, 34567);
		if (again_send(&c, &m) != 0)
			fail_msg("%.200s", (const char *)rig.reply.octets + 40);
		assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, &x), 1);
		assert_true(addr_equal(&x.src, &elsewhere));
		assert_int_equal(x.encap.dport, 34567);
		assert_int_equal(x.replay.oseq, 600);
		assert_int_equal(x.used.packets, 500);
		assert_memory_equal(x.key.octets, a.key.octets, a.key.len);
		assert_memory_equal(x.auth_key.octets, a.auth_key.octets, a.auth_key.len);
		assert_memory_equal(&x.suite, &a.suite, sizeof(x.suite));
		assert_int_equal(x.has & ~(XFRM_HAS_LASTUSED | XFRM_HAS_REPLAY_ESN),
				 a.has & ~(XFRM_HAS_LASTUSED | XFRM_HAS_REPLAY_ESN));
		assert_int_equal(x.tfcpad, 100);
		assert_int_equal(x.mark.mask, 0xff);
		assert_int_equal(x.set_mark.value, 6);
		assert_int_equal(x.if_id, 9);
		assert_int_equal(x.nat_keepalive_s, 20);
		assert_int_equal(x.life.hard_add_s, 3600);
		assert_int_equal(rig_by_id(&c, XFRM_DELSA, &a.id, NULL), 0);
	}
	daemon_client_gone(rig.d, &c);
}

static void
nobody_else_can_move_it(void **state)
{
	const struct addr elsewhere = rig_addr("192.0.2.77");
	struct daemon_client c = rig_client(1, 0, true), other = rig_client(2, 0, true);
	struct xfrm_sa a = sa_with_all(true), x;
	struct message got, ae_got, m;
	struct xfrm_ae ae;

	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(rig_by_id(&other, XFRM_GETSA, &a.id, &x), 1);
	got = rig.reply;
	assert_int_equal(ae_get(&other, &a.id, &ae), 0);
	ae_got = rig.reply;
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &a.id, NULL), 0);
	again_make(&m, &got, &ae_got, &elsewhere, 34567);
	assert_int_equal(again_send(&other, &m), -EINVAL);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, NULL), -ESRCH);
	daemon_client_gone(rig.d, &c);
	daemon_client_gone(rig.d, &other);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(numbers_are_raised_and_never_lowered),
		RIG(counters_are_raised_and_limits_stay),
		RIG(numbers_of_others_are_not_set),
		RIG(an_sa_moves_as_charon_moves_it),
		RIG(nobody_else_can_move_it),
	};

	if (rig_eal() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
