/* SAs of daemons: what is answered, what is told, and what the tables of the gateway then say. */
#include "unit.h"

#include <inttypes.h>
#include <malloc.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "daemon_state_rig.h"
#include "ctl/report.h"
#include "sad/sad.h"

static uint16_t
event_type(uint32_t back)
{
	const struct message *m = &rig.events[(rig.n_events - back) % EVENTS_MAX];
	struct xw_head head;

	memcpy(&head, m->octets, sizeof(head));
	return head.type;
}

static uint32_t
sa_of(const struct xfrm_sa *x)
{
	return sad_find(rig.gw.sad, x->id.spi, false, &x->id.dst);
}

static uint32_t
live_sas(void)
{
	uint32_t n = 0;

	for (uint32_t i = sa_next_of_daemons(&rig.gw, 0); i != SA_NONE;
	     i = sa_next_of_daemons(&rig.gw, i + 1))
		n++;
	return n;
}

static void
an_sa_comes_and_goes(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa in = rig_sa(true, 0xc1000001, 1), out = rig_sa(false, 0xc2000001, 2), x;

	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &in.id, NULL), -ESRCH);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &in.id, NULL), -ESRCH);
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &in), -ESRCH);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), 0);
	assert_int_equal(event_type(1), XFRM_NEWSA);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), -EEXIST);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	assert_int_equal(live_sas(), 2);
	assert_int_not_equal(sa_of(&in), SA_NONE);
	assert_true(sa_at(&rig.gw.sas, sa_of(&in))->flags & SA_INBOUND);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &out.id, &x), 1);
	assert_int_equal(x.reqid, 7);
	assert_int_equal(x.mode, XFRM_TUNNEL);
	assert_memory_equal(&x.suite, &out.suite, sizeof(x.suite));
	assert_memory_equal(x.key.octets, out.key.octets, out.key.len);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &in.id, NULL), 0);
	assert_int_equal(event_type(1), XFRM_DELSA);
	assert_int_equal(sa_of(&in), SA_NONE);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &out.id, NULL), 0);
	assert_int_equal(live_sas(), 0);
	daemon_client_gone(rig.d, &c);
}

static int
spi_ask(struct daemon_client *c, uint8_t proto, uint32_t min, uint32_t max, struct xfrm_sa *x)
{
	const struct xfrm_head head = { XFRM_ALLOCSPI, XFRM_F_REQUEST, 9, NL_PID };
	struct xfrm_spi_range r = { .sa = rig_sa(true, 0, 1), .min = min, .max = max };
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };

	r.sa.id.proto = proto;
	r.sa.has = 0;
	assert_int_equal(xfrm_put_spi_range(&out, &head, &r), 0);
	return rig_send(c, message, &out, x);
}

static void
an_spi_is_kept_until_its_sa_comes(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa x, in;
	struct daemons_counts counts;

	assert_int_equal(spi_ask(&c, XFRM_PROTO_ESP, 0xc0000000, 0xcfffffff, &x), 1);
	assert_true(x.id.spi >= 0xc0000000 && x.id.spi <= 0xcfffffff);
	daemons_counts(rig.d, &counts);
	assert_int_equal(counts.larval, 1);
	in = rig_sa(true, x.id.spi, 3);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &in), -EEXIST);
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &in), 0);
	assert_int_equal(event_type(1), XFRM_UPDSA);
	assert_int_not_equal(sa_of(&in), SA_NONE);
	rig_wait(200);
	assert_int_not_equal(sa_of(&in), SA_NONE);
	daemons_counts(rig.d, &counts);
	assert_int_equal(counts.larval, 0);
	daemon_client_gone(rig.d, &c);
}

static void
an_spi_nobody_uses_is_forgotten_in_silence(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct daemons_counts counts;
	struct xfrm_sa x;
	uint32_t n;

	assert_int_equal(spi_ask(&c, XFRM_PROTO_COMP, 0x100, 0xefff, &x), 1);
	assert_true(x.id.spi >= 0x100 && x.id.spi <= 0xefff);
	assert_int_equal(spi_ask(&c, XFRM_PROTO_ESP, 0xc0000000, 0xc0000000, &x), 1);
	assert_int_equal(spi_ask(&c, XFRM_PROTO_ESP, 0xc0000000, 0xc0000000, &x), -ENOENT);
	n = rig.n_events;
	rig_wait(164);
	daemons_counts(rig.d, &counts);
	assert_int_equal(counts.states, 2);
	rig_wait(2);
	daemons_counts(rig.d, &counts);
	assert_int_equal(counts.states, 0);
	assert_int_equal(rig.n_events, n);
	daemon_client_gone(rig.d, &c);
}

/* What a daemon may not ask for, each with a sentence. */
static void
refusals(void **state)
{
	static const struct {
		const char *what;
		uint32_t spi;
		uint8_t proto, mode, flags, key;
		uint32_t has;
		int want;
	} cases[] = {
		{ "IP-TFS is not there yet", 0xc1, 50, 5, 0, 9, XFRM_HAS_DIR, -EINVAL },
		{ "reserved SPIs", 255, 50, 1, 0, 9, 0, -EINVAL },
		{ "AH with an AEAD", 0xc100, 51, 1, 0, 9, 0, -EINVAL },
		{ "BEET between nets", 0xc100, 50, 4, 0, 9, 0, -EINVAL },
		{ "an SA for any peer", 0xc100, 50, 1, XFRM_SA_WILDRECV, 9, 0, -EOPNOTSUPP },
		{ "a device of the kernel", 0xc100, 50, 1, 0, 9, XFRM_HAS_OFFLOAD, -EOPNOTSUPP },
		{ "a key of zeros", 0xc100, 50, 1, 0, 0, 0, -EINVAL },
		{ "the file's SA", 0x1001, 50, 1, 0, 9, 0, -EEXIST },
	};
	struct daemon_client c = rig_client(1, 0, true), reader = rig_client(2, 1000, false);
	struct xfrm_sa x;

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		x = rig_sa(true, cases[i].spi, cases[i].key);
		x.id.proto = cases[i].proto;
		x.mode = cases[i].mode;
		x.flags |= cases[i].flags;
		x.has |= cases[i].has;
		x.dir = (cases[i].has & XFRM_HAS_DIR) != 0 ? XFRM_SA_DIR_IN : 0;
		if (rig_put(&c, XFRM_NEWSA, &x) != cases[i].want)
			fail_msg("%s: %d, not %d", cases[i].what, rig_answer(NULL), cases[i].want);
		assert_true(rig.reply.len > 40);
	}
	assert_int_equal(live_sas(), 0);
	x = rig_sa(true, 0x1001, 9);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &x.id, NULL), -EPERM);
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &x), -EPERM);
	reader.may_change = false;
	x = rig_sa(true, 0xc100, 9);
	assert_int_equal(rig_put(&reader, XFRM_NEWSA, &x), -EPERM);
	daemon_client_gone(rig.d, &c);
	daemon_client_gone(rig.d, &reader);
}

static void
one_key_is_not_for_two_sas(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5), b = rig_sa(false, 0xc200, 5);

	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &b), -EINVAL);
	assert_non_null(
		memmem(rig.reply.octets, rig.reply.len, "xfrm:0x0000c100@198.51.100.7", 28));
	assert_non_null(
		memmem(rig.reply.octets, rig.reply.len, "xfrm:0x0000c200@198.51.100.7", 28));
	assert_int_equal(live_sas(), 1);
	daemon_client_gone(rig.d, &c);
}

static struct lane *
lane_of(void)
{
	return sa_at(&rig.gw.sas, sa_next_of_daemons(&rig.gw, 0))->lane;
}

static void
a_key_that_comes_back_goes_on_with_its_numbers(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5), x;

	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	lane_raise(lane_of(), 1000);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &a.id, NULL), 0);
	/* As charon does on a change of address: at once, and with what it read before. */
	a.replay.oseq = 900;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, &x), 1);
	assert_int_equal(x.replay.oseq, 1000);
	rig_wait(5);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &a.id, NULL), 0);
	rig_wait(5);
	a.replay.oseq = 0;
	a.has |= XFRM_HAS_LTIME;
	a.used.bytes = 12345;
	a.used.packets = 67;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, &x), 1);
	assert_int_equal(x.replay.oseq, 1000);
	assert_int_equal(x.used.packets, 67);
	assert_int_equal(x.used.bytes, 12345);
	daemon_client_gone(rig.d, &c);
}

static void
an_update_takes_the_place_of_what_was(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(true, 0xc100, 5), x;
	uint32_t before, after;

	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	before = sa_of(&a);
	a.has |= XFRM_HAS_ENCAP;
	a.encap = (struct xfrm_encap) { .type = 2, .sport = 34567, .dport = 4500 };
	a.life.soft_add_s = 10;
	a.life.hard_add_s = 20;
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &a), 0);
	after = sa_of(&a);
	assert_int_not_equal(after, before);
	assert_int_equal(live_sas(), 1);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, &x), 1);
	assert_true(x.has & XFRM_HAS_ENCAP);
	assert_int_equal(x.encap.sport, 34567);
	assert_int_equal(x.life.hard_add_s, 20);
	a.key.octets[0] ^= 1;
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &a), -EINVAL);
	assert_int_equal(sa_of(&a), after);
	daemon_client_gone(rig.d, &c);
}

static void
limits_are_told_and_kept(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5);
	uint32_t n;

	a.life.soft_add_s = 10;
	a.life.hard_add_s = 20;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	n = rig.n_events;
	rig_wait(9);
	assert_int_equal(rig.n_events, n);
	rig_wait(3);
	assert_int_equal(rig.n_events, n + 1);
	assert_int_equal(event_type(1), XFRM_EXPIRE);
	assert_int_equal(rig.events[n].group, XFRM_GROUP_EXPIRE);
	/* The octet behind the SA says whether it is the end. */
	assert_int_equal(rig.events[n].octets[16 + 224], 0);
	rig_wait(9);
	assert_int_equal(rig.n_events, n + 2);
	assert_int_equal(rig.events[n + 1].octets[16 + 224], 1);
	assert_int_equal(live_sas(), 0);
	assert_int_equal(rig_by_id(&c, XFRM_DELSA, &a.id, NULL), -ESRCH);
	daemon_client_gone(rig.d, &c);
}

/* Packets that the lane still gives. */
static uint32_t
lane_gives(struct lane *l, uint32_t most)
{
	uint64_t seq;
	uint32_t n = 0;
	bool ask;

	while (n < most && (lane_take(l, 100, &seq) ||
			    (lane_stopped(l, 100, &ask) == DROP_NONE && lane_take(l, 100, &seq))))
		n++;
	return n;
}

static void
an_update_may_lower_a_hard_limit_and_raise_it(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5);

	a.life.hard_packets = 1000;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(lane_gives(lane_of(), 50), 50);
	/* The owner has seen that it may send 1,000. */
	a.life.hard_packets = 60;
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &a), 0);
	assert_int_equal(lane_gives(lane_of(), 100), 10);
	a.life.hard_packets = 80;
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &a), 0);
	assert_int_equal(lane_gives(lane_of(), 100), 20);
	daemon_client_gone(rig.d, &c);
}

static void
packets_and_bytes_count_towards_limits(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5);
	uint32_t n;

	a.life.soft_packets = 100;
	a.life.hard_bytes = 10000;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	n = rig.n_events;
	lane_of()->packets = 100;
	rig_wait(1);
	assert_int_equal(rig.n_events, n + 1);
	lane_of()->bytes = 10000;
	rig_wait(1);
	assert_int_equal(rig.n_events, n + 2);
	assert_int_equal(live_sas(), 0);
	daemon_client_gone(rig.d, &c);
}

static bool
is_zero_key(const struct xfrm_sa *x)
{
	uint8_t any = 0;

	for (int i = 0; i < x->key.len; i++)
		any |= x->key.octets[i];
	return any == 0;
}

static void
keys_and_things_are_their_owners(void **state)
{
	struct daemon_client charon = rig_client(1, 0, true), pluto = rig_client(2, 0, true);
	struct daemon_client again, script = rig_client(3, 0, false);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5), b = rig_sa(false, 0xc200, 6), x;

	assert_int_equal(rig_put(&charon, XFRM_NEWSA, &a), 0);
	assert_int_equal(rig_put(&script, XFRM_NEWSA, &b), 0);
	assert_int_equal(rig_by_id(&pluto, XFRM_GETSA, &a.id, &x), 1);
	assert_true(is_zero_key(&x));
	assert_int_equal(rig_by_id(&pluto, XFRM_DELSA, &a.id, NULL), -EPERM);
	/* Any client of the user may do as it likes with what a script left. */
	assert_int_equal(rig_by_id(&pluto, XFRM_DELSA, &b.id, NULL), 0);
	/* The same process by another connection. */
	daemon_client_gone(rig.d, &charon);
	again = rig_client(1, 0, true);
	assert_int_equal(rig_by_id(&again, XFRM_GETSA, &a.id, &x), 1);
	assert_memory_equal(x.key.octets, a.key.octets, a.key.len);
	assert_int_equal(rig_by_id(&pluto, XFRM_DELSA, &a.id, NULL), -EPERM);
	daemon_client_gone(rig.d, &again);
	assert_int_equal(rig_by_id(&pluto, XFRM_DELSA, &a.id, NULL), 0);
	daemon_client_gone(rig.d, &pluto);
	daemon_client_gone(rig.d, &script);
}

static int
flush(struct daemon_client *c)
{
	const struct xfrm_head head = { XFRM_FLUSHSA, XFRM_F_REQUEST | XFRM_F_ACK, 8, NL_PID };
	uint8_t message[64];
	struct xfrm_out out = { message, message + sizeof(message) };

	assert_int_equal(xfrm_put_flush_sa(&out, &head, 0), 0);
	return rig_send(c, message, &out, NULL);
}

static void
a_flush_takes_ones_own(void **state)
{
	struct daemon_client charon = rig_client(1, 0, true), pluto = rig_client(2, 0, true);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5), b = rig_sa(false, 0xc200, 6);

	assert_int_equal(flush(&pluto), 0);
	assert_int_equal(rig_put(&charon, XFRM_NEWSA, &a), 0);
	assert_int_equal(rig_put(&pluto, XFRM_NEWSA, &b), 0);
	assert_int_equal(flush(&pluto), 0);
	assert_int_equal(event_type(1), XFRM_DELSA);
	assert_int_equal(live_sas(), 1);
	assert_int_equal(flush(&charon), 0);
	assert_int_equal(event_type(1), XFRM_FLUSHSA);
	assert_int_equal(live_sas(), 0);
	daemon_client_gone(rig.d, &charon);
	daemon_client_gone(rig.d, &pluto);
}

static void
a_dump_lists_all_and_says_when_it_changed(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	uint32_t n = 0, changed = 0;

	for (uint32_t i = 0; i < 40; i++) {
		struct xfrm_sa a = rig_sa(false, 0xc100 + i, (uint8_t)(i + 1));

		assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	}
	for (int pass = 0; pass < 2; pass++) {
		const struct xw_head dump = { 16, XFRM_GETSA, XFRM_F_REQUEST | XFRM_F_DUMP, 11, 0 };

		daemon_request(rig.d, &c, &dump, sizeof(dump));
		for (n = 0; c.dumping;) {
			struct xfrm_msg msg;
			struct err err;
			size_t at = 0;

			daemon_dump_more(rig.d, &c);
			assert_true(rig.reply.len <= XFRM_DATAGRAM_MAX);
			while (xfrm_next(rig.reply.octets, rig.reply.len, &at, &msg, &err) == 1) {
				assert_true(msg.head.flags & XFRM_F_MULTI);
				n += msg.head.type == XFRM_NEWSA;
				changed = msg.head.flags & XFRM_F_DUMP_INTR;
			}
			if (pass == 1 && n < 20) {
				struct xfrm_sa a = rig_sa(false, 0xd100 + n, (uint8_t)(100 + n));
				struct message kept = rig.reply;

				assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
				rig.reply = kept;
			}
		}
		assert_int_equal(changed != 0, pass == 1);
		assert_true(pass == 1 || n == 40);
	}
	daemon_client_gone(rig.d, &c);
}

/* Of two networks, to go out by an SA. */
static struct xfrm_policy
rig_policy(const struct xfrm_sa *sa)
{
	struct xfrm_policy p = { .dir = XFRM_DIR_OUT, .n_tmpls = 1, .sel.family = 4 };

	p.sel.src = (struct prefix) { rig_addr("10.1.0.0"), 16 };
	p.sel.dst = (struct prefix) { rig_addr("10.2.0.0"), 16 };
	p.life = (struct xfrm_life) {
		XFRM_NO_LIMIT, XFRM_NO_LIMIT, XFRM_NO_LIMIT, XFRM_NO_LIMIT, 0, 0, 0, 0
	};
	p.tmpls[0] = (struct xfrm_tmpl) {
		.id = { sa->id.dst, 0, XFRM_PROTO_ESP },
		.family = 4,
		.src = sa->src,
		.reqid = 7,
		.mode = XFRM_TUNNEL,
	};
	return p;
}

static void
orphans_forward_for_an_hour(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5);
	const struct xfrm_head head = { XFRM_NEWPOLICY, XFRM_F_REQUEST | XFRM_F_ACK, 7, NL_PID };
	struct xfrm_policy p = rig_policy(&a);
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };
	struct sa_owner_text text;

	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(xfrm_put_policy(&out, &head, &p), 0);
	assert_int_equal(rig_send(&c, message, &out, NULL), 0);
	daemon_client_gone(rig.d, &c);
	rig_wait(3500);
	assert_int_equal(live_sas(), 1);
	rig.gw.hooks.describe(rig.gw.hooks.ctx, sa_next_of_daemons(&rig.gw, 0), &text);
	assert_int_equal(text.reqid, 7);
	assert_in_range(text.orphan_seconds, 3499, 3501);
	assert_non_null(strstr(text.origin, "charon"));
	rig_wait(200);
	assert_int_equal(live_sas(), 0);
}

static void
orphans_end_when_they_are_replaced(void **state)
{
	struct daemon_client c = rig_client(1, 0, true), after = rig_client(2, 0, true);
	struct xfrm_sa a = rig_sa(false, 0xc100, 5), b = rig_sa(false, 0xc101, 6);
	const struct xfrm_head head = { XFRM_UPDPOLICY, XFRM_F_REQUEST | XFRM_F_ACK, 7, NL_PID };
	struct xfrm_policy p = rig_policy(&a);
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };

	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(xfrm_put_policy(&out, &head, &p), 0);
	assert_int_equal(rig_send(&c, message, &out, NULL), 0);
	daemon_client_gone(rig.d, &c);

	/* A new SA alone leaves the policy to what is there. */
	assert_int_equal(rig_put(&after, XFRM_NEWSA, &b), 0);
	rig_wait(20);
	assert_int_equal(live_sas(), 2);
	/* With the policy, the new daemon has all that the old one had. */
	out.at = message;
	assert_int_equal(xfrm_put_policy(&out, &head, &p), 0);
	assert_int_equal(rig_send(&after, message, &out, NULL), 0);
	rig_wait(5);
	assert_int_equal(live_sas(), 1);
	assert_int_equal(rig_put(&after, XFRM_UPDSA, &a), -ESRCH);
	daemon_client_gone(rig.d, &after);
}

static uint64_t
memory_in_use(void)
{
	struct rte_malloc_socket_stats heap;

	assert_int_equal(rte_malloc_get_socket_stats(0, &heap), 0);
	return heap.heap_allocsz_bytes + mallinfo2().uordblks;
}

/* The slabs, the keys' numbers and windows, the ties: all that an SA has, but for tables of a fixed
 * size.
 */
static void
an_sa_takes_less_than_a_kilobyte(void **state)
{
	enum {
		N = 24000
	};
	struct daemon_client c = rig_client(1, 0, true);
	uint64_t before = memory_in_use(), began = rte_get_tsc_cycles();
	uint64_t took;

	for (uint32_t i = 0; i < N; i++) {
		struct xfrm_sa a = rig_sa(i % 2 == 0, 0xc0000000 + i, 1);

		a.reqid = 1 + i / 2;
		memcpy(a.key.octets, &i, sizeof(i));
		assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	}
	took = rte_get_tsc_cycles() - began;
	print_message("# %" PRIu64 " octets an SA, %" PRIu64 " a second with what the test adds\n",
		      (memory_in_use() - before) / N, N * rte_get_tsc_hz() / took);
	assert_true((memory_in_use() - before) / N <= 1024);
	daemon_client_gone(rig.d, &c);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(an_sa_comes_and_goes),
		RIG(an_spi_is_kept_until_its_sa_comes),
		RIG(an_spi_nobody_uses_is_forgotten_in_silence),
		RIG(refusals),
		RIG(one_key_is_not_for_two_sas),
		RIG(a_key_that_comes_back_goes_on_with_its_numbers),
		RIG(an_update_takes_the_place_of_what_was),
		RIG(limits_are_told_and_kept),
		RIG(packets_and_bytes_count_towards_limits),
		RIG(an_update_may_lower_a_hard_limit_and_raise_it),
		RIG(keys_and_things_are_their_owners),
		RIG(a_flush_takes_ones_own),
		RIG(a_dump_lists_all_and_says_when_it_changed),
		RIG(orphans_forward_for_an_hour),
		RIG(orphans_end_when_they_are_replaced),
		RIG(an_sa_takes_less_than_a_kilobyte),
	};

	if (rig_eal() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
