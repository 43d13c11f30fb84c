/* Each worker's own copy of intel-ipsec-mb: code and data of its own, and the same answers. */
#include "unit.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include "crypto/ipsec_mb/library.h"

#define WORKERS 3

/* The copies are for workers side by side, which is what a sanitizer's run is not about. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COPIES 0
#else
#define COPIES 1
#endif

struct user {
	struct library library;
	void *memory;
	IMB_MGR *mgr;
};

static int
users_open(void **state)
{
	struct user *users = calloc(WORKERS, sizeof(*users));
	IMB_ARCH arch;

	assert_non_null(users);
	for (int i = 0; i < WORKERS; i++) {
		struct user *u = &users[i];

		library_open(&u->library);
		u->memory = aligned_alloc(64, (imb_get_mb_mgr_size() + 63) / 64 * 64);
		assert_non_null(u->memory);
		u->mgr = u->library.set_pointers(u->memory, 0, 1);
		assert_non_null(u->mgr);
		u->library.init_auto(u->mgr, &arch);
		assert_int_equal(u->library.errno_of(u->mgr), 0);
	}
	*state = users;
	return 0;
}

static int
users_close(void **state)
{
	struct user *users = *state;

	for (int i = 0; i < WORKERS; i++) {
		free(users[i].memory);
		library_close(&users[i].library);
	}
	free(users);
	return 0;
}

static const void *
code_of(const struct user *u)
{
	Dl_info info;

	assert_int_not_equal(dladdr((void *)(uintptr_t)u->mgr->gcm128_enc, &info), 0);
	return info.dli_fbase;
}

static void
no_two_run_the_same_code(void **state)
{
	const struct user *users = *state;

	assert_null(users[0].library.handle);
	if (!COPIES)
		return;
	for (int i = 0; i < WORKERS; i++)
		for (int k = 0; k < i; k++)
			assert_ptr_not_equal(code_of(&users[i]), code_of(&users[k]));
}

static void
all_give_the_same_ciphertext(void **state)
{
	const struct user *users = *state;
	static const uint8_t key[16] = "sixteen octets k", iv[12] = "twelve octet",
			     aad[8] = "eight oc";
	uint8_t text[WORKERS][128], tag[WORKERS][16];

	for (int i = 0; i < WORKERS; i++) {
		struct gcm_key_data *keys = aligned_alloc(64, (sizeof(*keys) + 63) / 64 * 64);
		struct gcm_context_data ctx;

		assert_non_null(keys);
		memset(text[i], 'x', sizeof(text[i]));
		IMB_AES128_GCM_PRE(users[i].mgr, key, keys);
		IMB_AES128_GCM_ENC(users[i].mgr, keys, &ctx, text[i], text[i], sizeof(text[i]), iv,
				   aad, sizeof(aad), tag[i], sizeof(tag[i]));
		free(keys);
		assert_memory_equal(text[i], text[0], sizeof(text[0]));
		assert_memory_equal(tag[i], tag[0], sizeof(tag[0]));
	}
	assert_int_not_equal(text[0][0], 'x');
}

/* What is left open would be a mapping of 13 MB more with every start. */
static void
what_is_closed_is_gone_and_comes_again(void **state)
{
	struct user *users = *state;
	struct library *l = &users[1].library;
	int fd = l->fd;

	library_close(l);
	if (COPIES)
		assert_int_equal(fcntl(fd, F_GETFD), -1);
	library_open(l);
	assert_int_equal(l->handle != NULL, COPIES);
}

static void
the_shared_one_goes_to_whoever_comes_first(void **state)
{
	struct user *users = *state;

	library_close(&users[0].library);
	library_open(&users[0].library);
	assert_null(users[0].library.handle);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_two_run_the_same_code, users_open, users_close),
		cmocka_unit_test_setup_teardown(all_give_the_same_ciphertext, users_open,
						users_close),
		cmocka_unit_test_setup_teardown(what_is_closed_is_gone_and_comes_again, users_open,
						users_close),
		cmocka_unit_test_setup_teardown(the_shared_one_goes_to_whoever_comes_first,
						users_open, users_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
