/* Requests about policies, octet by octet as they come by the socket. */
#include "unit.h"

#include <stdio.h>

#include "daemon_rig.h"
#include "daemon/policy_requests.h"
#include "eal.h"

#define PID 4711

static const struct dpolicies_cause by_charon = { &charon, 5, PID };

/* Runs a request of a body; stores what is answered, of which it returns the length, or an errno.
 */
static int
ask(uint16_t type, const void *body, uint32_t len, uint8_t answer[XFRM_DATAGRAM_MAX])
{
	struct xfrm_out reply = { answer, answer + XFRM_DATAGRAM_MAX };
	struct xfrm_msg msg = { .head = { .len = 16 + len, .type = type, .seq = 5 },
				.body = body,
				.len = len };
	struct err err = { "" };
	int rc;

	assert_true(policy_request_is_ours(type));
	rc = policy_request(rig.dp, &msg, &by_charon, &reply, &err);
	if (rc < 0) {
		assert_int_not_equal(err.text[0], 0);
		return rc;
	}
	return (int)(reply.at - answer);
}

static void
head_check(const uint8_t *answer, uint16_t type, uint32_t len)
{
	struct xw_head head;

	memcpy(&head, answer, sizeof(head));
	assert_int_equal(head.type, type);
	assert_int_equal(head.len, len);
	assert_int_equal(head.seq, 5);
	assert_int_equal(head.pid, PID);
}

static int
put(const struct xfrm_policy *p, uint16_t type, uint8_t *answer)
{
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };
	const struct xfrm_head head = { .type = type };

	assert_int_equal(xfrm_put_policy(&out, &head, p), 0);
	return ask(type, message + 16, (uint32_t)(out.at - message - 16), answer);
}

static int
by_id(const struct xfrm_policy *p, uint16_t type, uint8_t *answer)
{
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };
	const struct xfrm_head head = { .type = type };
	const struct xfrm_policy_id id = { .sel = p->sel, .dir = p->dir };

	assert_int_equal(xfrm_put_policy_id(&out, &head, &id), 0);
	return ask(type, message + 16, (uint32_t)(out.at - message - 16), answer);
}

static void
a_policy_comes_and_goes(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	uint8_t answer[XFRM_DATAGRAM_MAX];

	assert_int_equal(by_id(&p, XFRM_GETPOLICY, answer), -ENOENT);
	assert_int_equal(put(&p, XFRM_NEWPOLICY, answer), 0);
	assert_int_equal(put(&p, XFRM_NEWPOLICY, answer), -EEXIST);
	assert_int_equal(put(&p, XFRM_UPDPOLICY, answer), 0);
	/* Body and one template. */
	assert_int_equal(by_id(&p, XFRM_GETPOLICY, answer), 16 + 168 + 68);
	head_check(answer, XFRM_NEWPOLICY, 16 + 168 + 68);
	assert_int_equal(by_id(&p, XFRM_DELPOLICY, answer), 0);
	assert_int_equal(by_id(&p, XFRM_DELPOLICY, answer), -ENOENT);
	assert_int_equal(ask(XFRM_NEWPOLICY, "short", 5, answer), -EINVAL);
}

static void
flush_of_nothing_is_fine(void **state)
{
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	uint8_t answer[XFRM_DATAGRAM_MAX];

	assert_int_equal(ask(XFRM_FLUSHPOLICY, "", 0, answer), 0);
	assert_int_equal(put(&p, XFRM_NEWPOLICY, answer), 0);
	assert_int_equal(ask(XFRM_FLUSHPOLICY, "", 0, answer), 0);
	assert_int_equal(rig_asked(true), SPD_NO_MATCH);
}

static void
defaults_are_block_and_stay_so(void **state)
{
	static const struct {
		uint8_t body[3];
		int want;
	} cases[] = {
		{ { 1, 1, 1 }, 0 },	 { { 0, 0, 0 }, 0 },	  { { 2, 1, 1 }, -EPERM },
		{ { 1, 2, 1 }, -EPERM }, { { 0, 0, 2 }, -EPERM }, { { 3, 1, 1 }, -EINVAL },
	};
	uint8_t answer[XFRM_DATAGRAM_MAX];

	for (size_t i = 0; i < RTE_DIM(cases); i++)
		assert_int_equal(ask(XFRM_SETDEFAULT, cases[i].body, 3, answer), cases[i].want);
	assert_int_equal(ask(XFRM_GETDEFAULT, cases[0].body, 3, answer), 20);
	head_check(answer, XFRM_GETDEFAULT, 20);
	assert_memory_equal(answer + 16, "\1\1\1\0", 4);
}

static void
spd_info_is_what_charon_wants(void **state)
{
	/* Attributes: counts 28, sizes 12, thresholds 8 and 8. */
	static const uint8_t thresholds[] = { 32, 32, 128, 128 };
	static const uint8_t set[] = { 0, 0, 0, 0, 6, 0, 3, 0, 24, 16, 0, 0 };
	uint8_t answer[XFRM_DATAGRAM_MAX];

	assert_int_equal(ask(XFRM_GETSPDINFO, "\0\0\0", 4, answer), 16 + 4 + 28 + 12 + 8 + 8);
	head_check(answer, XFRM_NEWSPDINFO, 16 + 4 + 28 + 12 + 8 + 8);
	assert_memory_equal(answer + 64, thresholds, 2);
	assert_memory_equal(answer + 72, thresholds + 2, 2);
	assert_int_equal(ask(XFRM_NEWSPDINFO, set, sizeof(set), answer), 0);
	assert_int_equal(ask(XFRM_GETSPDINFO, "\0\0\0", 4, answer), 76);
	assert_memory_equal(answer + 64, set + 8, 2);
}

/* Reads a dump through datagrams of that size; returns how many policies it had, and in *done the
 * flags of its end.
 */
static uint32_t
dump_read(size_t size, uint32_t change_at, uint16_t *done)
{
	struct policy_dump dump = { .changes = dpolicies_changes(rig.dp), .seq = 5, .pid = PID };
	struct xfrm_policy p = rig_policy(XFRM_DIR_OUT);
	uint8_t datagram[XFRM_DATAGRAM_MAX];
	uint32_t n = 0;
	bool more = true;

	for (uint32_t i = 0; more; i++) {
		struct xfrm_out out = { datagram, datagram + size };
		uint8_t *at = datagram;
		struct xw_head head;

		if (i == change_at)
			assert_true(put(&p, XFRM_UPDPOLICY, datagram) == 0);
		more = policy_dump_more(rig.dp, &dump, &out);
		for (; at < out.at; at += head.len) {
			memcpy(&head, at, sizeof(head));
			assert_true(head.flags & XFRM_F_MULTI);
			if (head.type != XFRM_DONE)
				assert_int_equal(head.type, XFRM_NEWPOLICY);
			if (head.type == XFRM_DONE)
				assert_ptr_equal(at, datagram);
			n += head.type == XFRM_NEWPOLICY;
			*done = head.flags;
		}
	}
	return n;
}

static void
a_dump_comes_in_datagrams_and_ends(void **state)
{
	struct xfrm_policy p;
	uint8_t answer[XFRM_DATAGRAM_MAX];
	uint16_t done;

	assert_int_equal(dump_read(sizeof(answer), UINT32_MAX, &done), 0);
	for (uint32_t i = 0; i < 40; i++) {
		p = rig_policy(i % 3);
		p.if_id = i;
		p.has = XFRM_HAS_IF_ID;
		assert_int_equal(put(&p, XFRM_NEWPOLICY, answer), 0);
	}
	assert_int_equal(dump_read(sizeof(answer), UINT32_MAX, &done), 40);
	assert_int_equal(done & XFRM_F_DUMP_INTR, 0);
	assert_int_equal(dump_read(300, UINT32_MAX, &done), 40);
	assert_true(dump_read(1000, 2, &done) >= 40);
	assert_int_not_equal(done & XFRM_F_DUMP_INTR, 0);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(a_policy_comes_and_goes),
		RIG(flush_of_nothing_is_fine),
		RIG(defaults_are_block_and_stay_so),
		RIG(spd_info_is_what_charon_wants),
		RIG(a_dump_comes_in_datagrams_and_ends),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
