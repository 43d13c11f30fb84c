/* A9 of the list of bad input: what the codec must refuse, with which errno, in which words. */
#include "xfrm_rig.h"

#include <errno.h>
#include <stdio.h>

/* ---- Frames ---- */

static void
frames_are_checked(void **state)
{
	static const struct {
		const char *what;
		uint32_t len, have;
		int rc;
		size_t at;
	} cases[] = {
		{ "an empty datagram is through", 0, 0, 0, 0 },
		{ "15 octets are no header", 16, 15, -EBADMSG, 15 },
		{ "a length below a header's", 15, 64, -EINVAL, 64 },
		{ "a length of 0", 0, 64, -EINVAL, 64 },
		{ "one octet more than came", 65, 64, -EINVAL, 64 },
		{ "a gigabyte announced", 1u << 30, 64, -EINVAL, 64 },
		{ "the largest length there is", UINT32_MAX, 64, -EINVAL, 64 },
		{ "the last need not be filled up", 61, 61, 1, 61 },
		{ "the next begins at a multiple of 4", 17, 64, 1, 20 },
	};
	uint8_t octets[64];

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct xw_head head = { .len = cases[i].len, .type = XFRM_NEWSA, .seq = 77 };
		struct err err = { "" };
		struct xfrm_msg msg;
		size_t at = 0;
		int rc;

		memset(octets, 0, sizeof(octets));
		memcpy(octets, &head, sizeof(head));
		rc = xfrm_next(octets, cases[i].have, &at, &msg, &err);
		if (rc != cases[i].rc || at != cases[i].at || (rc < 0 && err.text[0] == 0))
			fail_msg("%s: %d, at %zu: %s", cases[i].what, rc, at, err.text);
		if (rc == -EINVAL)
			assert_int_equal(msg.head.seq, 77);
	}
}

static void
two_messages_of_a_datagram(void **state)
{
	uint8_t two[40] = { 0 };
	struct xw_head head = { .len = 17, .type = XFRM_FLUSHSA, .seq = 1 };
	struct xfrm_msg msg;
	size_t at = 0;

	memcpy(two, &head, sizeof(head));
	head.seq = 2;
	head.len = 20;
	memcpy(two + 20, &head, sizeof(head));
	assert_int_equal(xfrm_next(two, sizeof(two), &at, &msg, NULL), 1);
	assert_int_equal(msg.head.seq, 1);
	assert_int_equal(msg.len, 1);
	assert_int_equal(xfrm_next(two, sizeof(two), &at, &msg, NULL), 1);
	assert_int_equal(msg.head.seq, 2);
	assert_int_equal(xfrm_next(two, sizeof(two), &at, &msg, NULL), 0);
}

/* ---- Bodies and attributes ---- */

static const struct {
	uint16_t type, size;
} bodies[] = {
	{ XFRM_NEWSA, 224 },	 { XFRM_UPDSA, 224 },	 { XFRM_DELSA, 24 },
	{ XFRM_GETSA, 24 },	 { XFRM_ALLOCSPI, 232 }, { XFRM_NEWPOLICY, 168 },
	{ XFRM_UPDPOLICY, 168 }, { XFRM_DELPOLICY, 64 }, { XFRM_GETPOLICY, 64 },
	{ XFRM_FLUSHSA, 1 },	 { XFRM_NEWAE, 48 },	 { XFRM_GETAE, 48 },
	{ XFRM_MIGRATE, 64 },	 { XFRM_GETSADINFO, 4 }, { XFRM_GETSPDINFO, 4 },
	{ XFRM_NEWSPDINFO, 4 },	 { XFRM_SETDEFAULT, 3 },
};

static void
short_bodies_are_refused(void **state)
{
	static const uint8_t zeros[256];

	for (size_t i = 0; i < RTE_DIM(bodies); i++)
		for (uint16_t n = 0; n < bodies[i].size; n++) {
			char name[XFRM_NAME_SIZE];
			struct raw r;

			raw_begin(&r, bodies[i].type, zeros, n);
			raw_want("a short body", &r, -EINVAL, xfrm_type_name(bodies[i].type, name));
		}
}

static const struct {
	uint16_t type, size;
	char rule; /* '=': exact, '+': or more, '*': times */
} sizes[] = {
	{ 1, 68, '+' },	    { 2, 68, '+' },	 { 3, 68, '+' },     { 4, 24, '=' },
	{ 5, 64, '*' },	    { 6, 224, '=' },	 { 7, 168, '=' },    { 8, 8, '+' },
	{ 9, 32, '=' },	    { 10, 12, '=' },	 { 11, 4, '=' },     { 12, 4, '=' },
	{ 13, 16, '=' },    { 14, 16, '=' },	 { 15, 8, '=' },     { 16, 6, '=' },
	{ 17, 76, '*' },    { 18, 72, '+' },	 { 19, 40, '=' },    { 20, 72, '+' },
	{ 21, 8, '+' },	    { 22, 4, '=' },	 { 23, 24, '+' },    { 24, 4, '=' },
	{ 25, 1, '=' },	    { 26, 36, '=' },	 { 28, 8, '=' },     { 29, 4, '=' },
	{ 30, 4, '=' },	    { 31, 4, '=' },	 { 32, 4, '=' },     { 33, 1, '=' },
	{ 34, 4, '=' },	    { 35, 4, '=' },	 { 36, 4, '=' },     { 37, 2, '=' },
	{ 38, 0, '=' },	    { 39, 4, '=' },	 { 40, 4, '=' },     { 41, 4, '=' },
	{ 0x2001, 4, '=' }, { 0x2002, 16, '=' }, { 0x2004, 4, '=' }, { 0x2005, 32, '*' },
	{ 0x2006, 0, '=' },
};

/* The same for every message: attributes come behind a body, or instead of one. */
static void
size_refused(uint16_t message, size_t body, uint16_t type, size_t size)
{
	static const uint8_t zeros[512];
	char name[XFRM_NAME_SIZE], says[XFRM_NAME_SIZE + 32];
	struct raw r;

	if (message == XFRM_NEWSA)
		raw_begin(&r, message, &raw_sa, body);
	else if (message == XFRM_NEWPOLICY)
		raw_begin(&r, message, &raw_policy, body);
	else
		raw_begin(&r, message, zeros, body);
	raw_attr(&r, type, zeros, size);
	snprintf(says, sizeof(says), "%s at offset %zu: %zu octets", xfrm_attr_name(type, name),
		 sizeof(struct xw_head) + body, size);
	raw_want("an attribute of a wrong size", &r, -EINVAL, says);
}

static void
each_attribute_has_its_size(void **state)
{
	static const struct {
		uint16_t type;
		size_t body;
	} in[] = { { XFRM_NEWSA, 224 }, { XFRM_NEWPOLICY, 168 }, { XFRM_FLUSHPOLICY, 0 } };

	for (size_t m = 0; m < RTE_DIM(in); m++)
		for (size_t i = 0; i < RTE_DIM(sizes); i++) {
			uint16_t type = sizes[i].type, size = sizes[i].size;

			for (uint16_t n = 0; n < size; n++)
				size_refused(in[m].type, in[m].body, type, n);
			if (sizes[i].rule != '+')
				size_refused(in[m].type, in[m].body, type, size + 1);
			if (sizes[i].rule == '=')
				size_refused(in[m].type, in[m].body, type, size + 4);
		}
}

static void
attribute_frames_are_checked(void **state)
{
	static const struct {
		const char *what;
		uint16_t len, type;
		size_t room; /* octets of the message from its header on */
		const char *says;
	} cases[] = {
		{ "a length of 0", 0, XFRM_A_MARK, 12, "XFRMA_MARK at offset 240: a length of 0" },
		{ "a length of 3", 3, XFRM_A_MARK, 12, "a length of 3" },
		{ "past the end", 16, XFRM_A_MARK, 12, "a length of 16" },
		{ "the longest there is", 65535, XFRM_A_ALG_AEAD, 12, "a length of 65535" },
		{ "an octet is left", 0, 0, 1, "1 octets at offset 240" },
		{ "three octets are left", 0, 0, 3, "3 octets at offset 240" },
		{ "type 0", 4, 0, 4, "attribute 0 at offset 240: not known here" },
		{ "behind Linux's last", 8, XFRM_A_END, 8, "attribute 42 at offset 240" },
		{ "before ours", 8, XFRM_A_PRIVATE, 8, "attribute 8192" },
		{ "behind ours", 8, XFRM_A_PRIVATE_END, 8, "attribute 8204" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct xw_attr head = { cases[i].len, cases[i].type };
		struct raw r;

		raw_begin(&r, XFRM_NEWSA, &raw_sa, sizeof(raw_sa));
		memcpy(r.octets + r.len, &head, sizeof(head));
		r.len += cases[i].room;
		raw_want(cases[i].what, &r, -EINVAL, cases[i].says);
	}
}

static void
a_second_attribute_is_refused(void **state)
{
	static const uint8_t ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	struct raw r;

	raw_begin(&r, XFRM_NEWSA, &raw_sa, sizeof(raw_sa));
	raw_attr(&r, XFRM_A_MARK, ones, 8);
	raw_attr(&r, XFRM_A_ALG_AEAD, &raw_gcm, 92);
	raw_attr(&r, XFRM_A_MARK | 0x8000, ones, 8);
	raw_want("two marks", &r, -EINVAL,
		 "XFRMA_MARK at offset 348: a second one (the first is at "
		 "offset 240)");
}

/* Wherever it is cut, nothing is taken that is not there. */
static void
a_message_cut_anywhere(void **state)
{
	static struct xfrm_sa sa;
	static struct rig_msg whole;
	struct xfrm_head h = { XFRM_NEWSA, XFRM_F_REQUEST, 1, 1 };
	struct xw_head head;

	rig_seed(3);
	for (int round = 0; round < 20; round++) {
		static struct raw r;

		rig_sa(&sa);
		assert_int_equal(xfrm_put_sa(rig_begin(&whole), &h, &sa, true), 0);
		memcpy(&head, rig_end(&whole), sizeof(head));
		memcpy(r.octets, whole.octets, sizeof(r.octets));
		for (r.len = sizeof(head); r.len < whole.msg.head.len; r.len++) {
			struct err err = { "" };
			struct xfrm_msg msg;
			uint8_t *copy = raw_message(&r, r.len, &msg);

			if (xfrm_parse_sa(&msg, &sa, &err) < 0) {
				assert_true(err.text[0] != 0);
				assert_int_equal(sa.key.len + sa.auth_key.len, 0);
			}
			free(copy);
		}
	}
}

/* ---- The other messages ---- */

static const struct xw_tmpl esp_tunnels[7] = {
	{ .id.proto = 50, .mode = 1 }, { .id.proto = 50, .mode = 1 }, { .id.proto = 50, .mode = 1 },
	{ .id.proto = 50, .mode = 1 }, { .id.proto = 50, .mode = 1 }, { .id.proto = 50, .mode = 1 },
	{ .id.proto = 50, .mode = 1 },
};

struct body_case {
	const char *what;
	uint16_t type;
	uint16_t at;
	uint8_t width;
	uint32_t value;
	struct part part;
	int rc;
	const char *says;
};

#define PIN(field) offsetof(struct xw_policy, field), sizeof(raw_policy.field)

/* clang-format off */
#define TMPL(...) { XFRM_A_TMPL, 64, &(const struct xw_tmpl) { __VA_ARGS__ } }
static const struct body_case policy_cases[] = {
	{ "the policy of these cases is good", 19, PIN(priority), 0, NOPART, 0, "" },
	{ "no family", 19, PIN(sel.family), 0, NOPART, -EINVAL, "sel.family 0: 2 (IPv4) or 10" },
	{ "a long prefix", 19, PIN(sel.plen_s), 33, NOPART, -EINVAL, "at most 32" },
	{ "direction 3", 19, PIN(dir), 3, NOPART, -EINVAL, "dir 3: 0 (in), 1 (out) or 2 (fwd)" },
	{ "action 2", 25, PIN(action), 2, NOPART, -EINVAL, "action 2: 0 (allow) or 1 (block)" },
	{ "share 4", 19, PIN(share), 4, NOPART, -EINVAL, "share 4" },
	{ "an index of another direction", 19, PIN(index), 8, NOPART, -EINVAL, "index 8 with dir 1" },
	{ "an index of its direction", 19, PIN(index), 9, NOPART, 0, "" },
	{ "the highest priority", 19, PIN(priority), UINT32_MAX, NOPART, 0, "" },
	{ "seven templates", 19, PIN(index), 0, { XFRM_A_TMPL, 448, esp_tunnels }, -EINVAL,
	  "7 templates: at most 6" },
	{ "six templates", 19, PIN(index), 0, { XFRM_A_TMPL, 384, esp_tunnels }, 0, "" },
	{ "a template's family", 19, PIN(index), 0, TMPL(.id.proto = 50, .family = 3, .mode = 1),
	  -EINVAL, "XFRMA_TMPL at offset 184: template 0: family 3" },
	{ "a template's protocol", 19, PIN(index), 0, TMPL(.id.proto = 6, .family = 2), -EINVAL,
	  "template 0: id.proto 6" },
	{ "AH", 19, PIN(index), 0, TMPL(.id.proto = 51, .family = 2), 0, "" },
	{ "a template's mode", 19, PIN(index), 0, TMPL(.id.proto = 50, .mode = 3), -EINVAL, "mode 3" },
	{ "transport between families", 19, PIN(index), 0, TMPL(.id.proto = 50, .family = 10),
	  -EINVAL, "transport mode and another family" },
	{ "an optional tunnel out", 19, PIN(index), 0, TMPL(.id.proto = 50, .mode = 1, .optional =
	  1), -EINVAL, "optional in an outbound" },
	{ "an optional tunnel in", 19, PIN(dir), 0, TMPL(.id.proto = 50, .mode = 1, .optional = 1),
	  0, "" },
	{ "the type of sub policies", 19, PIN(index), 0, { XFRM_A_POLICY_TYPE, 6, (const uint8_t[6])
	  { 1 } }, -EINVAL, "type 1: 0 (main)" },
	{ "a label", 19, PIN(index), 0, { XFRM_A_SEC_CTX, 8, (const uint8_t[8]) { 8 } },
	  -EOPNOTSUPP, "XFRMA_SEC_CTX" },
	{ "a direction of SAs", 19, PIN(index), 0, DIR_IN, -EINVAL,
	  "XFRMA_SA_DIR at offset 184: only with XFRM_MSG_NEWSA" },
	{ "a CPU", 25, PIN(index), 0, WORD(XFRM_A_SA_PCPU, 0), -EINVAL, "XFRMA_SA_PCPU" },
	{ "an attribute of SAs is ignored", 19, PIN(index), 0, WORD(XFRM_A_TFCPAD, 0), 0, "" },
};
/* clang-format on */

static void
policies_are_checked(void **state)
{
	for (size_t i = 0; i < RTE_DIM(policy_cases); i++) {
		const struct body_case *c = &policy_cases[i];
		struct raw r;

		raw_begin(&r, c->type, &raw_policy, sizeof(raw_policy));
		memcpy(r.octets + sizeof(struct xw_head) + c->at, &c->value, c->width);
		if (c->part.type != 0)
			raw_attr(&r, c->part.type, c->part.octets, c->part.size);
		raw_want(c->what, &r, c->rc, c->says);
	}
}

/* Of a body of zeros but for what is said. */
/* clang-format off */
#define MOVE(...) { XFRM_A_MIGRATE, 76, &(const struct xw_migrate) { __VA_ARGS__ } }
static const struct body_case other_cases[] = {
	{ "DELSA without a family", XFRM_DELSA, 0, 0, 0, NOPART, -EINVAL, "family 0" },
	{ "DELSA", XFRM_DELSA, 20, 2, 2, NOPART, 0, "" },
	{ "DELSA with a direction", XFRM_DELSA, 20, 2, 2, DIR_IN, -EINVAL, "XFRMA_SA_DIR" },
	{ "GETSA of IPv6", XFRM_GETSA, 20, 2, 10, NOPART, 0, "" },
	{ "DELPOLICY without a family", XFRM_DELPOLICY, 0, 0, 0, NOPART, -EINVAL, "sel.family 0" },
	{ "DELPOLICY by index", XFRM_DELPOLICY, 56, 4, 8, NOPART, 0, "" },
	{ "GETPOLICY in direction 3", XFRM_GETPOLICY, 60, 1, 3, NOPART, -EINVAL, "dir 3" },
	{ "a flush of TCP", XFRM_FLUSHSA, 0, 1, 6, NOPART, -EINVAL, "proto 6" },
	{ "a flush of AH", XFRM_FLUSHSA, 0, 1, 51, NOPART, 0, "" },
	{ "a flush of the sub policies", XFRM_FLUSHPOLICY, 0, 0, 0, { XFRM_A_POLICY_TYPE, 6, (const
	  uint8_t[6]) { 1 } }, -EINVAL, "type 1" },
	{ "GETAE", XFRM_GETAE, 20, 2, 2, NOPART, 0, "" },
	{ "NEWAE with nothing", XFRM_NEWAE, 20, 2, 2, NOPART, -EINVAL, "nothing to set" },
	{ "NEWAE without REPLACE", XFRM_NEWAE, 20, 2, 2, WORD(XFRM_A_REPLAY_THRESH, 1), -EINVAL,
	  "NLM_F_REPLACE" },
	{ "a map that is cut", XFRM_NEWAE, 20, 2, 2, ESN(2, 0, 32), -EINVAL, "bmp_len 2" },
	{ "no move at all", XFRM_MIGRATE, 40, 2, 2, NOPART, -EINVAL, "without XFRMA_MIGRATE" },
	{ "a move", XFRM_MIGRATE, 40, 2, 2, MOVE(.proto = 50, .mode = 1, .old_family = 2,
	  .new_family = 10), 0, "" },
	{ "a move from nowhere", XFRM_MIGRATE, 40, 2, 2, MOVE(.proto = 50, .new_family = 10),
	  -EINVAL, "entry 0: families 0 and 10" },
	{ "a move of UDP", XFRM_MIGRATE, 40, 2, 2, MOVE(.proto = 17, .old_family = 2, .new_family =
	  2), -EINVAL, "entry 0: proto 17" },
	{ "a move to mode 6", XFRM_MIGRATE, 40, 2, 2, MOVE(.proto = 50, .mode = 6, .old_family = 2,
	  .new_family = 2), -EINVAL, "mode 6" },
	{ "a default of 3", XFRM_SETDEFAULT, 1, 1, 3, NOPART, -EINVAL, "fwd 3" },
	{ "a default", XFRM_SETDEFAULT, 1, 1, 1, NOPART, 0, "" },
	{ "a reserved SPI of AH", XFRM_ALLOCSPI, 76, 1, 51, NOPART, -EINVAL, "min 0" },
	{ "thresholds", XFRM_NEWSPDINFO, 0, 0, 0, { 3, 2, (const uint8_t[2]) { 32, 32 } }, 0, "" },
	{ "a threshold of 33", XFRM_NEWSPDINFO, 0, 0, 0, { 3, 2, (const uint8_t[2]) { 33, 32 } },
	  -EINVAL, "33 and 32: at most 32" },
	{ "a threshold of 3 octets", XFRM_NEWSPDINFO, 0, 0, 0, { 4, 3, (const uint8_t[3]) { 0 } },
	  -EINVAL, "a length of 7: 6" },
	{ "counts are not set", XFRM_NEWSPDINFO, 0, 0, 0, { 1, 24, (const uint8_t[24]) { 0 } },
	  -EINVAL, "attribute 1" },
};
/* clang-format on */

static void
other_messages_are_checked(void **state)
{
	static const uint8_t zeros[256];

	for (size_t i = 0; i < RTE_DIM(other_cases); i++) {
		const struct body_case *c = &other_cases[i];
		uint16_t size = 0;
		struct raw r;

		for (size_t j = 0; j < RTE_DIM(bodies); j++)
			if (bodies[j].type == c->type)
				size = bodies[j].size;
		raw_begin(&r, c->type, zeros, size);
		if (c->type == XFRM_ALLOCSPI) {
			memcpy(r.octets + 16, &raw_sa, sizeof(raw_sa));
			memset(r.octets + 16 + 228, 0xff, 4);
		}
		memcpy(r.octets + sizeof(struct xw_head) + c->at, &c->value, c->width);
		if (c->part.type != 0)
			raw_attr(&r, c->part.type, c->part.octets, c->part.size);
		raw_want(c->what, &r, c->rc, c->says);
	}
}

static void
ranges_of_spis_are_checked(void **state)
{
	static const struct {
		const char *what;
		uint8_t proto;
		uint32_t min, max;
		int rc;
		const char *says;
	} cases[] = {
		{ "charon's", 50, 0xc0000000, 0xcfffffff, 0, "" },
		{ "one SPI", 50, 256, 256, 0, "" },
		{ "turned round", 50, 0x2000, 0x1000, -EINVAL, "min 0x2000 and max 0x1000" },
		{ "reserved ones", 50, 255, 0x1000, -EINVAL, "min 0xff: SPIs below 0x100" },
		{ "all CPIs", 108, 1, 0xffff, 0, "" },
		{ "a CPI of 17 bits", 108, 1, 0x10000, -EINVAL, "CPIs 0x1 to 0x10000: from 1 to" },
		{ "CPI 0", 108, 0, 1, -EINVAL, "CPIs 0" },
		{ "UDP", 17, 256, 300, -EINVAL, "id.proto 17" },
	};

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct xw_spi body = { raw_sa, cases[i].min, cases[i].max };
		struct raw r;

		body.sa.id.proto = cases[i].proto;
		raw_begin(&r, XFRM_ALLOCSPI, &body, sizeof(body));
		raw_want(cases[i].what, &r, cases[i].rc, cases[i].says);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_checked),
		cmocka_unit_test(two_messages_of_a_datagram),
		cmocka_unit_test(short_bodies_are_refused),
		cmocka_unit_test(each_attribute_has_its_size),
		cmocka_unit_test(attribute_frames_are_checked),
		cmocka_unit_test(a_second_attribute_is_refused),
		cmocka_unit_test(a_message_cut_anywhere),
		cmocka_unit_test(policies_are_checked),
		cmocka_unit_test(other_messages_are_checked),
		cmocka_unit_test(ranges_of_spis_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
