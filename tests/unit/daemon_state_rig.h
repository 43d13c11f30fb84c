/* What daemons ask for, octet by octet, of a gateway whose workers have ended: mail is run at once.
 * Its clock moves by rig_wait() alone.
 */
#ifndef TESTS_DAEMON_STATE_RIG_H
#define TESTS_DAEMON_STATE_RIG_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_eal.h>

#include "conf/errors.h"
#include "ctl/gw.h"
#include "daemon/daemon.h"
#include "daemon/state.h"
#include "drivers.h"
#include "numbers/numbers.h"
#include "seq/seq.h"
#include "xfrm/xfrm.h"

#define EVENTS_MAX 64
#define NL_PID	   4711

static const char rig_file[] =
	"version: 1\n"
	"gateway: {max_sas: 32Ki, max_routes: {v4: 256, v6: 256}, mbufs: 1024, key_cache: 64Ki}\n"
	"ports:\n"
	"  - {name: wan, device: net_null0, side: black, addresses: [192.0.2.1/24]}\n"
	"  - {name: lan, device: net_null1, side: red, addresses: [10.1.0.1/16]}\n"
	"routes: [{to: 0.0.0.0/0, via: 192.0.2.254, port: wan}]\n"
	"neighbours: [{ip: 192.0.2.254, mac: \"02:00:00:00:00:fe\", port: wan}]\n"
	"sas:\n"
	"  - {name: a, direction: in, spi: 0x1001, src: 198.51.100.1, dst: 192.0.2.1, aead: "
	"aes-gcm-128, key: \"hex:00112233445566778899aabbccddeeff00000001\"}\n";

struct message {
	uint8_t octets[XFRM_DATAGRAM_MAX];
	size_t len;
	unsigned int group;
};

static struct {
	struct gw gw;
	struct daemons *d;
	uint64_t now;
	struct message reply; /* the last one */
	uint32_t n_replies, n_events;
	struct message events[EVENTS_MAX];
} rig;

static inline void
rig_on_reply(void *ctx, uint64_t client, const void *datagram, size_t len)
{
	assert_true(len <= sizeof(rig.reply.octets));
	memcpy(rig.reply.octets, datagram, len);
	rig.reply.len = len;
	rig.n_replies++;
}

static inline void
rig_on_event(void *ctx, unsigned int group, const void *message, size_t len)
{
	struct message *m = &rig.events[rig.n_events++ % EVENTS_MAX];

	memcpy(m->octets, message, len);
	m->len = len;
	m->group = group;
}

static inline int
rig_eal(void)
{
	static char words[][16] = {
		"unit",		  "--no-huge",	   "-m",       "256",	 "--no-shconf", "--no-pci",
		"--no-telemetry", "--log-level=5", "--lcores", "0@0,1@0"
	};
	char *argv[RTE_DIM(words) + 1] = { NULL };

	for (size_t i = 0; i < RTE_DIM(words); i++)
		argv[i] = words[i];
	return rte_eal_init(RTE_DIM(words), argv) < 0 ? -1 : 0;
}

static inline int
rig_up(void **state)
{
	static const struct engine *const engines[] = { &engine_openssl };
	static const struct daemon_out out = { .reply = rig_on_reply, .event = rig_on_event };
	static const struct codec *const codecs[] = { &codec_zlib };
	const struct gw_options options = {
		.engines = engines, .n_engines = 1, .codecs = codecs, .n_codecs = 1
	};
	struct conf_errors errors;
	struct conf *conf;
	struct err err = { "" };

	memset(&rig, 0, sizeof(rig));
	conf_errors_init(&errors, "test");
	assert_int_equal(conf_load_text(rig_file, strlen(rig_file), "test", 0, &conf, &errors), 0);
	conf_errors_free(&errors);
	if (gw_start(&rig.gw, &options, conf, &err) < 0)
		fail_msg("%s", err.text);
	gw_stop(&rig.gw);
	clock_init(&rig.gw.clock, CLOCK_MANUAL);
	rig.now = 1000 * NS_PER_SECOND;
	clock_set(&rig.gw.clock, rig.now);
	rig.gw.sweep_began = rig.now;
	assert_int_equal(daemons_create(&rig.gw, &out, &rig.d, &err), 0);
	return 0;
}

static inline void
rig_wait(uint64_t seconds)
{
	for (uint64_t i = 0; i < 2 * seconds; i++) {
		rig.now += NS_PER_SECOND / 2;
		clock_set(&rig.gw.clock, rig.now);
		gw_tick(&rig.gw);
		daemons_tick(rig.d, rig.now);
	}
}

/* Nothing is left: no SA but the file's, no key in use but its own. */
static inline int
rig_down(void **state)
{
	struct numbers_totals totals;

	daemons_free(rig.d);
	rig.d = NULL;
	rig.now += NS_PER_SECOND;
	clock_set(&rig.gw.clock, rig.now);
	for (int i = 0; i < 10; i++)
		gw_tick(&rig.gw);
	numbers_totals(rig.gw.numbers, &totals);
	assert_int_equal(rig.gw.sas.records.n_taken, 1);
	assert_int_equal(totals.in_use, 1);
	gw_free(&rig.gw);
	conf_free(rig.gw.conf);
	return 0;
}

static inline struct daemon_client
rig_client(uint64_t instance, uid_t uid, bool is_daemon)
{
	struct daemon_client c = {
		.id = instance,
		.uid = uid,
		.pid = 100,
		.instance = instance,
		.nl_pid = NL_PID,
		.groups = is_daemon ? XFRM_GROUP_BIT(XFRM_GROUP_EXPIRE) : 0,
		.may_change = true,
		.program = "charon",
	};
	struct err err;

	assert_int_equal(daemon_client_hello(rig.d, &c, &err), 0);
	return c;
}

/* The errno of an answer, 1 where it is data; what it says of an SA in x (NULL: not asked). */
static inline int
rig_answer(struct xfrm_sa *x)
{
	struct xw_head head;
	int32_t error;
	struct xfrm_msg msg;
	struct err err;
	size_t at = 0;

	memcpy(&head, rig.reply.octets, sizeof(head));
	assert_int_equal(head.pid, NL_PID);
	if (head.type == XFRM_ERROR) {
		memcpy(&error, rig.reply.octets + sizeof(head), sizeof(error));
		return error;
	}
	assert_int_equal(xfrm_next(rig.reply.octets, rig.reply.len, &at, &msg, &err), 1);
	if (x != NULL)
		assert_int_equal(xfrm_read_sa(&msg, x, &err), 0);
	return 1;
}

/* Sends what was built behind message; returns as rig_answer. */
static inline int
rig_send(struct daemon_client *c, const uint8_t *message, const struct xfrm_out *out,
	 struct xfrm_sa *x)
{
	uint32_t before = rig.n_replies;

	daemon_request(rig.d, c, message, out->at - message);
	assert_int_equal(rig.n_replies, before + 1);
	return rig_answer(x);
}

static inline int
rig_put(struct daemon_client *c, uint16_t type, const struct xfrm_sa *x)
{
	const struct xfrm_head head = { type, XFRM_F_REQUEST | XFRM_F_ACK, 7, NL_PID };
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };

	assert_int_equal(xfrm_put_sa(&out, &head, x, true), 0);
	return rig_send(c, message, &out, NULL);
}

static inline int
rig_by_id(struct daemon_client *c, uint16_t type, const struct xfrm_ident *ident, struct xfrm_sa *x)
{
	const uint16_t flags = type == XFRM_GETSA ? XFRM_F_REQUEST : XFRM_F_REQUEST | XFRM_F_ACK;
	const struct xfrm_head head = { type, flags, 7, NL_PID };
	const struct xfrm_sa_id id = { .family = ident->dst.family, .id = *ident };
	uint8_t message[256];
	struct xfrm_out out = { message, message + sizeof(message) };

	assert_int_equal(xfrm_put_sa_id(&out, &head, &id), 0);
	return rig_send(c, message, &out, x);
}

static inline struct addr
rig_addr(const char *text)
{
	struct addr a;

	if (!addr_parse(text, &a))
		fail_msg("%s is no address", text);
	return a;
}

/* An SA as charon installs one, under a key of its own number. */
static inline struct xfrm_sa
rig_sa(bool inbound, uint32_t spi, uint8_t key)
{
	const struct addr us = rig_addr("192.0.2.1"), peer = rig_addr("198.51.100.7");
	struct xfrm_sa x;
	struct err err;

	xfrm_sa_init(&x);
	x.family = 4;
	x.sel.family = x.sel.src.addr.family = x.sel.dst.addr.family = 4;
	x.id = (struct xfrm_ident) { inbound ? us : peer, spi, XFRM_PROTO_ESP };
	x.src = inbound ? peer : us;
	x.mode = XFRM_TUNNEL;
	x.reqid = 7;
	x.flags = XFRM_SA_ESN | XFRM_SA_AF_UNSPEC;
	x.has = XFRM_HAS_SUITE | XFRM_HAS_REPLAY_ESN;
	x.replay.window = inbound ? 64 : 32;
	x.replay.words = inbound ? 2 : 1;
	memset(x.replay.bitmap, 0, 8);
	assert_int_equal(suite_init(&x.suite, &algs[ALG_AES_GCM_128], NULL, 16, false, true, &err),
			 0);
	x.key.len = 20;
	memset(x.key.octets, key, x.key.len);
	return x;
}

static inline const struct message *
rig_event(uint32_t back)
{
	return &rig.events[(rig.n_events - back) % EVENTS_MAX];
}

static inline uint16_t
rig_event_type(uint32_t back)
{
	struct xw_head head;

	memcpy(&head, rig_event(back)->octets, sizeof(head));
	return head.type;
}

/* The SA that a daemon installed under that identity. */
static inline const struct sa *
rig_sa_of(const struct xfrm_ident *id)
{
	const struct xfrm_mark mark = { 0, 0 };
	uint32_t index;
	const struct state *s = state_find(rig.d, id, &mark, &index);

	assert_non_null(s);
	return sa_at(&rig.gw.sas, s->node.index);
}

#endif
