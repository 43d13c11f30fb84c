/* What charon, pluto and ip said, and the kernel answered, goes through the codec. */
#include "xfrm_rig.h"

#include <errno.h>
#include <stdio.h>

#define DATAGRAM_MAX 8192

struct totals {
	unsigned messages, sas, policies, same;
};

/* The value of a key of a line that we wrote ourselves; "" if it has none. */
static const char *
value_of(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at == NULL ? "" : at + strlen(key);
}

static size_t
hex_load(const char *hex, uint8_t octets[DATAGRAM_MAX])
{
	size_t n = 0;
	unsigned octet;

	while (n < DATAGRAM_MAX && sscanf(hex + 2 * n, "%2x", &octet) == 1)
		octets[n++] = (uint8_t)octet;
	return n;
}

/* Written again, it is read as the same. */
static void
sa_again(const struct xfrm_sa *sa, const struct xfrm_msg *m, bool request)
{
	static struct xfrm_sa back;
	static struct rig_msg again;
	struct xfrm_head h = { m->head.type, m->head.flags, m->head.seq, m->head.pid };
	struct err err = { "" };
	int rc;

	if (h.type == XFRM_EXPIRE)
		return;
	assert_int_equal(xfrm_put_sa(rig_begin(&again), &h, sa, true), 0);
	memset(&back, 0, sizeof(back));
	rc = request ? xfrm_parse_sa(rig_end(&again), &back, &err) :
		       xfrm_read_sa(rig_end(&again), &back, &err);
	if (rc != 0)
		fail_msg("%s", err.text);
	assert_memory_equal(sa, &back, sizeof(back));
}

static int
request_take(const struct xfrm_msg *m, struct totals *t, struct err *err)
{
	static struct xfrm_sa sa;
	static struct xfrm_policy policy;
	static struct xfrm_spi_range range;
	static struct xfrm_ae ae;
	struct xfrm_sa_id sa_id;
	struct xfrm_filter filter;
	struct xfrm_policy_id policy_id;
	struct xfrm_defaults defaults;
	struct xfrm_spd_info info;
	uint8_t proto;
	int rc;

	switch (m->head.type) {
	case XFRM_NEWSA:
	case XFRM_UPDSA:
		memset(&sa, 0, sizeof(sa));
		rc = xfrm_parse_sa(m, &sa, err);
		t->sas++;
		if (rc == 0)
			sa_again(&sa, m, true);
		return rc;
	case XFRM_GETSA:
		if (xfrm_is_dump(m))
			return xfrm_parse_filter(m, &filter, err);
		/* fall through */
	case XFRM_DELSA:
		return xfrm_parse_sa_id(m, &sa_id, err);
	case XFRM_ALLOCSPI:
		return xfrm_parse_spi_range(m, &range, err);
	case XFRM_NEWPOLICY:
	case XFRM_UPDPOLICY:
		t->policies++;
		return xfrm_parse_policy(m, &policy, err);
	case XFRM_GETPOLICY:
		if (xfrm_is_dump(m))
			return 0;
		/* fall through */
	case XFRM_DELPOLICY:
		return xfrm_parse_policy_id(m, &policy_id, err);
	case XFRM_FLUSHSA:
		return xfrm_parse_flush_sa(m, &proto, err);
	case XFRM_FLUSHPOLICY:
		return xfrm_parse_flush_policy(m, err);
	case XFRM_NEWAE:
	case XFRM_GETAE:
		return xfrm_parse_ae(m, &ae, err);
	case XFRM_GETSADINFO:
	case XFRM_GETSPDINFO:
	case XFRM_GETDEFAULT:
		return m->head.type == XFRM_GETDEFAULT ? 0 : xfrm_parse_get_info(m, err);
	case XFRM_NEWSPDINFO:
		return xfrm_parse_spd_info(m, &info, err);
	case XFRM_SETDEFAULT:
		return xfrm_parse_defaults(m, &defaults, err);
	default:
		return err_set(err, -EINVAL, "message %u", m->head.type);
	}
}

static void
each_message(const char *file, const char *way,
	     void (*take)(const char *where, const struct xfrm_msg *m, struct totals *t),
	     struct totals *t)
{
	char path[512], *line = NULL, where[64];
	const char *root = getenv("SOURCE_ROOT");
	static uint8_t octets[DATAGRAM_MAX];
	size_t room = 0;
	unsigned number = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/packet/xfrm_sessions/%s.jsonl",
		 root != NULL ? root : ".", file);
	f = fopen(path, "r");
	if (f == NULL)
		fail_msg("%s: cannot be read", path);
	while (getline(&line, &room, f) > 0) {
		struct err err = { "" };
		struct xfrm_msg m;
		size_t len, at = 0;

		number++;
		if (strncmp(value_of(line, "\"way\": \""), way, strlen(way)) != 0)
			continue;
		len = hex_load(value_of(line, "\"hex\": \""), octets);
		snprintf(where, sizeof(where), "%s:%u", file, number);
		while (xfrm_next(octets, len, &at, &m, &err) == 1) {
			t->messages++;
			take(where, &m, t);
		}
		if (err.text[0] != 0)
			fail_msg("%s: %s", where, err.text);
	}
	free(line);
	fclose(f);
}

static void
request_holds(const char *where, const struct xfrm_msg *m, struct totals *t)
{
	struct err err = { "" };

	if (request_take(m, t, &err) != 0)
		fail_msg("%s: %s", where, err.text);
}

static void
every_request_is_understood(void **state)
{
	static const struct {
		const char *file;
		unsigned messages, sas, policies; /* at least */
	} files[] = {
		{ "charon-initiator", 100, 20, 20 },
		{ "charon-responder", 100, 20, 20 },
		{ "charon6-iptfs-initiator", 30, 4, 9 },
		{ "charon6-iptfs-responder", 30, 4, 9 },
		{ "pluto-initiator", 50, 10, 10 },
		{ "pluto-responder", 50, 10, 10 },
		{ "ip", 31, 7, 5 },
	};

	for (size_t i = 0; i < RTE_DIM(files); i++) {
		struct totals t = { 0 };

		each_message(files[i].file, "request", request_holds, &t);
		if (t.messages < files[i].messages || t.sas < files[i].sas ||
		    t.policies < files[i].policies)
			fail_msg("%s: only %u messages, %u SAs, %u policies", files[i].file,
				 t.messages, t.sas, t.policies);
	}
}

/* Octet for octet what the kernel wrote. */
static void
same_octets(const char *where, const struct xfrm_msg *m, struct rig_msg *again, struct totals *t)
{
	static uint8_t was[DATAGRAM_MAX];

	rig_end(again);
	assert_int_equal(again->msg.head.len, m->head.len);
	memcpy(was, m->body - sizeof(struct xw_head), m->head.len);
	/* Of an SA that is only an SPI yet, the kernel shows addresses of no family. */
	if (m->head.type == XFRM_NEWSA && m->body[offsetof(struct xw_sel, family)] == 0)
		memset(was + sizeof(struct xw_head), 0, offsetof(struct xw_sel, dport_be));
	/* The kernel gives back a word that the request had, and that says nothing. */
	if (m->head.type == XFRM_NEWSADINFO || m->head.type == XFRM_NEWSPDINFO)
		memset(was + sizeof(struct xw_head), 0, 4);
	for (uint32_t i = 0; i < m->head.len; i++)
		if (again->octets[i] != was[i])
			fail_msg("%s: octet %u is %02x, was %02x", where, i, again->octets[i],
				 was[i]);
	t->same++;
}

static void
answer_written_again(const char *where, const struct xfrm_msg *m, struct totals *t)
{
	struct xfrm_head h = { m->head.type, m->head.flags, m->head.seq, m->head.pid };
	static struct rig_msg again;
	static struct xfrm_sa sa;
	static struct xfrm_policy policy;
	struct xfrm_defaults d;
	struct xfrm_spd_info info = { 0 };
	struct xw_hash_sizes hash;
	struct err err = { "" };
	struct xfrm_out *out = rig_begin(&again);
	uint32_t sas;

	switch (h.type) {
	case XFRM_NEWSA:
		if (xfrm_read_sa(m, &sa, &err) != 0)
			fail_msg("%s: %s", where, err.text);
		assert_int_equal(xfrm_put_sa(out, &h, &sa, true), 0);
		t->sas++;
		break;
	case XFRM_NEWPOLICY:
		if (xfrm_parse_policy(m, &policy, &err) != 0)
			fail_msg("%s: %s", where, err.text);
		assert_int_equal(xfrm_put_policy(out, &h, &policy), 0);
		t->policies++;
		break;
	case XFRM_DONE:
		assert_int_equal(xfrm_put_done(out, h.seq, h.pid, false), 0);
		break;
	case XFRM_GETDEFAULT:
		d = (struct xfrm_defaults) { m->body[0], m->body[1], m->body[2] };
		assert_int_equal(xfrm_put_defaults(out, &h, &d), 0);
		break;
	case XFRM_NEWSADINFO:
		memcpy(&sas, m->body + 8, 4);
		memcpy(&hash, m->body + 16, sizeof(hash));
		assert_int_equal(xfrm_put_sad_info(out, &h, sas, &hash), 0);
		break;
	case XFRM_NEWSPDINFO:
		memcpy(&info.counts, m->body + 8, sizeof(info.counts));
		memcpy(&info.hash, m->body + 36, sizeof(info.hash));
		info.v4 = (struct xw_thresh) { 32, 32 };
		info.v6 = (struct xw_thresh) { 128, 128 };
		assert_int_equal(xfrm_put_spd_info(out, &h, &info), 0);
		break;
	default:
		assert_int_equal(h.type, XFRM_ERROR);
		return;
	}
	same_octets(where, m, &again, t);
}

static void
the_kernels_answers_are_written_alike(void **state)
{
	struct totals t = { 0 };

	each_message("ip", "reply", answer_written_again, &t);
	assert_true(t.sas >= 4 && t.policies >= 8 && t.same >= 20);
}

/* ACKs and refusals, as the kernel caps them for who asks for it. */
static void
ack_written_again(const char *where, const struct xfrm_msg *m, struct totals *t)
{
	static struct rig_msg again;
	struct xw_error body;

	if (m->head.type != XFRM_ERROR || (m->head.flags & XFRM_F_CAPPED) == 0)
		return;
	memcpy(&body, m->body, sizeof(body));
	assert_int_equal(xfrm_put_error(rig_begin(&again), &body.of, m->head.pid, body.error, NULL),
			 0);
	same_octets(where, m, &again, t);
}

static void
the_kernels_acks_are_written_alike(void **state)
{
	struct totals t = { 0 };

	each_message("ip", "reply", ack_written_again, &t);
	assert_true(t.same >= 10);
}

static void
event_holds(const char *where, const struct xfrm_msg *m, struct totals *t)
{
	static struct xfrm_sa sa;
	struct err err = { "" };

	t->sas++;
	if (m->head.type != XFRM_EXPIRE)
		return;
	if (xfrm_read_sa(m, &sa, &err) != 0)
		fail_msg("%s: %s", where, err.text);
	assert_int_equal(sa.id.proto, XFRM_PROTO_ESP);
}

static void
events_are_understood(void **state)
{
	struct totals t = { 0 };

	each_message("charon-initiator", "event", event_holds, &t);
	assert_true(t.sas > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_is_understood),
		cmocka_unit_test(the_kernels_answers_are_written_alike),
		cmocka_unit_test(the_kernels_acks_are_written_alike),
		cmocka_unit_test(events_are_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
