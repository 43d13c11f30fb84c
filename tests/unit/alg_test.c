#include "unit.h"

#include <errno.h>

#include "alg/alg.h"

static void
rows_lie_at_their_ids(void **state)
{
	for (int i = 0; i < ALG_MAX; i++)
		assert_int_equal(algs[i].id, i);
}

static void
every_row_is_found_by_name(void **state)
{
	for (int i = ALG_NONE + 1; i < ALG_MAX; i++)
		assert_ptr_equal(alg_find(algs[i].name, algs[i].kind), &algs[i]);
	assert_null(alg_find("des-cbc", ALG_CIPHER));
	assert_null(alg_find("aes-cbc-128", ALG_AEAD));
}

static const struct {
	const char *what;
	enum alg_id cipher, auth;
	uint8_t icv;
	bool iiv;
	int rc;
	uint8_t icv_len, iv_len;
} cases[] = {
	{ "GCM has a tag of 16", ALG_AES_GCM_128, ALG_NONE, 0, false, 0, 16, 8 },
	{ "GCM may have a tag of 8", ALG_AES_GCM_256, ALG_NONE, 8, false, 0, 8, 8 },
	{ "GCM has no tag of 10", ALG_AES_GCM_256, ALG_NONE, 10, false, -EINVAL, 0, 0 },
	{ "ChaCha20 has one tag", ALG_CHACHA20_POLY1305, ALG_NONE, 12, false, -EINVAL, 0, 0 },
	{ "implicit IV of CCM means a tag of 8", ALG_AES_CCM_128, ALG_NONE, 0, true, 0, 8, 0 },
	{ "no implicit IV with a tag of 12", ALG_AES_GCM_128, ALG_NONE, 12, true, -EINVAL, 0, 0 },
	{ "no implicit IV for CBC", ALG_AES_CBC_128, ALG_HMAC_SHA1_96, 0, true, -EINVAL, 0, 0 },
	{ "CBC alone protects nothing", ALG_AES_CBC_128, ALG_NONE, 0, false, -EINVAL, 0, 0 },
	{ "an AEAD with an auth is a mistake", ALG_AES_GCM_128, ALG_HMAC_SHA1_96, 0, false, -EINVAL,
	  0, 0 },
	{ "CBC with HMAC", ALG_AES_CBC_256, ALG_HMAC_SHA512_256, 0, false, 0, 32, 16 },
	{ "HMAC is not cut", ALG_AES_CBC_256, ALG_HMAC_SHA512_256, 8, false, -EINVAL, 0, 0 },
};

static void
suites_are_checked(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct alg *auth = cases[i].auth != ALG_NONE ? &algs[cases[i].auth] : NULL;
		struct suite s;
		struct err err = { "" };
		int rc = suite_init(&s, &algs[cases[i].cipher], auth, cases[i].icv, cases[i].iiv,
				    true, &err);

		if (rc != cases[i].rc || (rc < 0 && err.text[0] == 0))
			fail_msg("%s: %d %s", cases[i].what, rc, err.text);
		if (rc == 0 && (s.icv_len != cases[i].icv_len || s.iv_len != cases[i].iv_len))
			fail_msg("%s: tag %u, IV %u", cases[i].what, s.icv_len, s.iv_len);
	}
}

static void
suites_of_ah_are_checked(void **state)
{
	for (int i = ALG_NONE + 1; i < ALG_MAX; i++) {
		const struct alg *a = &algs[i];
		bool gmac = i >= ALG_AES_GMAC_128 && i <= ALG_AES_GMAC_256, fine;
		struct err err = { "" };
		char name[64];
		struct suite s;

		fine = suite_init_ah(&s, a, true, &err) == 0;
		assert_int_equal(fine, a->kind == ALG_AUTH || gmac);
		if (!fine) {
			assert_int_not_equal(err.text[0], 0);
			continue;
		}
		assert_int_equal(s.icv_len, a->icv_len);
		assert_int_equal(s.iv_len, 0);
		assert_int_equal(s.aead, gmac);
		assert_true(s.esn);
		suite_name(&s, name, sizeof(name));
		assert_string_equal(name, a->name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_lie_at_their_ids),
		cmocka_unit_test(every_row_is_found_by_name),
		cmocka_unit_test(suites_are_checked),
		cmocka_unit_test(suites_of_ah_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
