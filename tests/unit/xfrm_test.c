#include "xfrm_rig.h"

#include <errno.h>

#define ROUNDS 2000

static void
sa_comes_back(void **state)
{
	static struct xfrm_sa sa, back;
	static struct rig_msg m;
	struct err err = { "" };

	rig_seed(1);
	for (int i = 0; i < ROUNDS; i++) {
		struct xfrm_head h = { i & 1 ? XFRM_NEWSA : XFRM_UPDSA, XFRM_F_REQUEST | XFRM_F_ACK,
				       (uint32_t)rig_random(), (uint32_t)rig_random() };

		rig_sa(&sa);
		assert_int_equal(xfrm_put_sa(rig_begin(&m), &h, &sa, true), 0);
		memset(&back, 0, sizeof(back));
		if (xfrm_parse_sa(rig_end(&m), &back, &err) != 0)
			fail_msg("round %d: %s", i, err.text);
		assert_memory_equal(&sa, &back, sizeof(sa));
		assert_int_equal(m.msg.head.type, h.type);
		assert_int_equal(m.msg.head.flags, h.flags);
		assert_int_equal(m.msg.head.seq, h.seq);
		assert_int_equal(m.msg.head.pid, h.pid);
	}
}

static void
policy_comes_back(void **state)
{
	static struct xfrm_policy p, back;
	static struct rig_msg m;
	struct err err = { "" };
	struct xfrm_head h = { XFRM_NEWPOLICY, XFRM_F_REQUEST, 7, 8 };

	rig_seed(2);
	for (int i = 0; i < ROUNDS; i++) {
		rig_policy(&p);
		assert_int_equal(xfrm_put_policy(rig_begin(&m), &h, &p), 0);
		memset(&back, 0, sizeof(back));
		if (xfrm_parse_policy(rig_end(&m), &back, &err) != 0)
			fail_msg("round %d: %s", i, err.text);
		assert_memory_equal(&p, &back, sizeof(p));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sa_comes_back),
		cmocka_unit_test(policy_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
