/* State files that are not as they should be: each has its sentence, and what a crash leaves none.
 */
#include "state_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "state/format.h"

static uint8_t octets[1 << 16];

static size_t
file_get(const char *name)
{
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, octets, sizeof(octets));

	assert_true(n >= 0);
	close(fd);
	return (size_t)n;
}

/* In place, as `cp` does. */
static void
file_put(const char *name, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, octets, len), (ssize_t)len);
	close(fd);
}

static void
octet_flip(const char *name, long at)
{
	size_t len = file_get(name);

	octets[at < 0 ? (long)len + at : at] ^= 1;
	file_put(name, len);
}

static void
is_directory(void)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void
is_link(void)
{
	crashed_file();
	assert_int_equal(rename(path, witness), 0);
	assert_int_equal(symlink(witness, path), 0);
}

static void
is_fifo(void)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void
is_readable(void)
{
	crashed_file();
	assert_int_equal(chmod(path, 0640), 0);
}

static void
witness_is_readable(void)
{
	crashed_file();
	assert_int_equal(chmod(witness, 0604), 0);
}

static void
is_foreign(void)
{
	crashed_file();
	assert_int_equal(chown(path, 4711, 4711), 0);
}

static void
is_large(void)
{
	crashed_file();
	assert_int_equal(truncate(path, (off_t)STATE_FILE_MAX + 1), 0);
}

static void
is_empty(void)
{
	crashed_file();
	assert_int_equal(truncate(path, 0), 0);
}

static void
is_short(void)
{
	crashed_file();
	assert_int_equal(truncate(path, STATE_HEADER_SIZE - 1), 0);
}

static void
is_something_else(void)
{
	crashed_file();
	memset(octets, 'x', 1000);
	file_put(path, 1000);
}

static void
is_of_tomorrow(void)
{
	crashed_file();
	file_get(path);
	octets[8] = 2;
	file_put(path, STATE_HEADER_SIZE + STATE_RECORD_SIZE);
}

static void
header_is_damaged(void)
{
	crashed_file();
	octet_flip(path, 40);
}

/* The last commit is on the disk, and the witness was told so. */
static void
end_is_damaged(void)
{
	crashed_file();
	octet_flip(path, -1);
}

static void
is_cut(void)
{
	crashed_file();
	file_get(path);
	file_put(path, STATE_HEADER_SIZE);
}

static void
is_older(void)
{
	size_t len;

	crashed_file();
	len = file_get(path);
	state_file_close(open_file(), &err);
	file_put(path, len);
}

static void
is_gone(void)
{
	crashed_file();
	unlink(path);
}

static void
witness_is_gone(void)
{
	crashed_file();
	unlink(witness);
}

static void
witness_is_damaged(void)
{
	crashed_file();
	octet_flip(witness, 20);
	octet_flip(witness, STATE_SLOT_STRIDE + 20);
}

static void
witness_is_anothers(void)
{
	size_t len;

	crashed_file();
	len = file_get(witness);
	unlink(witness);
	unlink(path);
	crashed_file();
	file_put(witness, len);
}

static void
no_directory(void)
{
	snprintf(path, sizeof(path), "%s/none/state", folder);
}

static const struct {
	const char *what;
	void (*make)(void);
	int rc;
	const char *says;
	enum {
		KEPT,
		LOST,	 /* the sentence tells of new keys */
		BY_ROOT, /* can be made by root alone */
	} is;
} rows[] = {
	{ "a directory", is_directory, -EINVAL, "is a directory: name a file in it", KEPT },
	{ "a symbolic link", is_link, -EINVAL, "is a symbolic link, which is not followed", KEPT },
	{ "a FIFO", is_fifo, -EINVAL, "is no regular file", KEPT },
	{ "readable by others", is_readable, -EPERM, "has mode 0640, and is nobody else's", KEPT },
	{ "a witness readable by others", witness_is_readable, -EPERM, "has mode 0604", KEPT },
	{ "another user's", is_foreign, -EPERM, "belongs to user 4711, and the gateway runs as 0",
	  BY_ROOT },
	{ "too large", is_large, -EINVAL, "and no state file has more than 1073741824", KEPT },
	{ "empty", is_empty, -EINVAL, "is empty", LOST },
	{ "a part of a header", is_short, -EINVAL, "is cut off within its header", LOST },
	{ "no state file", is_something_else, -EINVAL, "is no state file, and is left as it is",
	  KEPT },
	{ "another version", is_of_tomorrow, -EINVAL,
	  "is of version 2, and this release reads version 1", KEPT },
	{ "a header with a wrong octet", header_is_damaged, -EINVAL, "its header is damaged",
	  LOST },
	{ "the last record with a wrong octet", end_is_damaged, -EINVAL, "is damaged at octet 128",
	  LOST },
	{ "cut off behind the header", is_cut, -ESTALE, "or it was cut off (128 octets, and there",
	  LOST },
	{ "an older copy", is_older, -ESTALE,
	  "an older copy was put back (generation 1, and there was a 3)", LOST },
	{ "gone", is_gone, -ESTALE, "is missing, and its witness knows it", LOST },
	{ "without its witness", witness_is_gone, -ESTALE, "its witness is missing", LOST },
	{ "a damaged witness", witness_is_damaged, -EINVAL, "its witness is damaged", LOST },
	{ "another file's witness", witness_is_anothers, -ESTALE,
	  "and its witness are not of one another", LOST },
	{ "no directory", no_directory, -ENOENT, "No such file or directory: make its directory",
	  KEPT },
};

static void
a_file_that_cannot_be_trusted_is_refused(void **state)
{
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct state_options o = by_hand();
		struct state_file *f;
		uint64_t n;
		int rc;

		if (rows[i].is == BY_ROOT && geteuid() != 0)
			continue;
		folder_make(NULL);
		rows[i].make();
		/* A check says the same, and neither changes what is there. */
		rc = state_file_probe(&o, &n, &err);
		if (rc != rows[i].rc || strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s, checked: %d, %s", rows[i].what, rc, err.text);
		for (int again = 0; again < 2; again++) {
			memset(&err, 0, sizeof(err));
			rc = state_file_open(&o, &f, &err);
			if (rc != rows[i].rc || strstr(err.text, rows[i].says) == NULL)
				fail_msg("%s: %d, %s", rows[i].what, rc, err.text);
			assert_non_null(strstr(err.text, folder));
			assert_int_equal(strstr(err.text, "a new key, then remove") != NULL,
					 rows[i].is == LOST);
		}
		folder_remove(NULL);
	}
}

/* Where the kernel shows itself no file can be made, and "make its directory" is no cure. */
static void
the_kernels_own_directories_are_named(void **state)
{
	static const char *const places[] = { "/proc/espgw-state", "/proc/self/espgw-state",
					      "/sys/espgw-state", "/dev/pts/espgw-state" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct state_options o = { .path = places[i], .by_hand = true };
		char said[ERR_TEXT_SIZE];
		struct state_file *f;
		uint64_t n;

		snprintf(said, sizeof(said),
			 "state_file %s: its directory is the kernel's own and keeps no files: "
			 "name a file on a disk",
			 places[i]);
		assert_int_equal(state_file_probe(&o, &n, &err), -EINVAL);
		assert_string_equal(err.text, said);
		assert_int_equal(state_file_open(&o, &f, &err), -EINVAL);
		assert_string_equal(err.text, said);
	}
}

/* Each octet of a file of several commits in turn: never is a number lower for it. */
static void
a_wrong_octet_anywhere_is_seen(void **state)
{
	size_t len, witness_len;
	static uint8_t good[1 << 16], good_witness[1 << 16];
	struct state_key key = out_key(7);
	struct state_options o = by_hand();
	struct state_file *f = open_file();

	for (uint32_t i = 0; i < 5; i++)
		reserve(f, &key, 64 * (i + 1), true);
	state_file_abandon(f);
	len = file_get(path);
	memcpy(good, octets, len);
	witness_len = file_get(witness);
	memcpy(good_witness, octets, witness_len);
	for (size_t i = 0; i < len; i++) {
		memcpy(octets, good, len);
		octets[i] ^= (uint8_t)(1 << i % 8);
		file_put(path, len);
		memcpy(octets, good_witness, witness_len);
		file_put(witness, witness_len);
		assert_true(state_file_open(&o, &f, &err) < 0);
	}
}

/* What is in the middle is known to have been on the disk by the records behind it, without the
 * witness's help. */
static void
damage_in_the_middle_is_seen_without_the_witness(void **state)
{
	struct state_options o = by_hand();
	struct state_key key = out_key(7);
	struct state_file *f = open_file();
	size_t len, old_witness;
	static uint8_t early[1 << 16];

	old_witness = file_get(witness);
	memcpy(early, octets, old_witness);
	for (uint32_t i = 0; i < 5; i++)
		reserve(f, &key, 64 * (i + 1), true);
	state_file_abandon(f);
	memcpy(octets, early, old_witness);
	file_put(witness, old_witness);
	len = file_get(path);
	octets[STATE_HEADER_SIZE + STATE_RECORD_SIZE + 5] ^= 1;
	file_put(path, len);
	assert_int_equal(state_file_open(&o, &f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "is damaged at octet 176"));
	/* The same in the last record is what a crash leaves. */
	octets[STATE_HEADER_SIZE + STATE_RECORD_SIZE + 5] ^= 1;
	octets[len - 1] ^= 1;
	file_put(path, len);
	f = open_file();
	assert_int_equal(number_of(f, &key), 64 * 4);
	state_file_abandon(f);
}

static void
what_a_crash_leaves_behind_the_last_commit_is_passed_over(void **state)
{
	struct state_key key = out_key(1);

	for (size_t more = 1; more < 3 * STATE_RECORD_SIZE; more += 7) {
		struct state_file *f;
		size_t len;

		folder_make(NULL);
		crashed_file();
		len = file_get(path);
		memset(octets + len, more % 2 == 0 ? 0 : 0xa5, more);
		file_put(path, len + more);
		f = open_file();
		assert_int_equal(number_of(f, &key), 64);
		state_file_abandon(f);
		folder_remove(NULL);
	}
}

static void
a_file_serves_one_gateway(void **state)
{
	struct state_options o = by_hand();
	struct state_file *f = open_file(), *second;
	struct state_key key = out_key(1);
	uint64_t n;
	char pid[64];

	snprintf(pid, sizeof(pid), "is in use by process %d: each gateway needs", getpid());
	/* Written anew, it is another file, and as locked. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(state_file_open(&o, &second, &err), -EBUSY);
		assert_non_null(strstr(err.text, pid));
		assert_int_equal(state_file_probe(&o, &n, &err), -EBUSY);
		unlink(path);
		reserve(f, &key, 64, true);
	}
	state_file_close(f, &err);
	f = open_file();
	state_file_close(f, &err);
}

static void
a_check_tells_what_is_there_and_makes_nothing(void **state)
{
	struct state_options o = by_hand();
	uint64_t n = 99;

	assert_int_equal(state_file_probe(&o, &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(witness, F_OK), -1);
	crashed_file();
	assert_int_equal(state_file_probe(&o, &n, &err), 0);
	assert_int_equal(n, 1);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, folder_make, folder_remove)
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_cannot_be_trusted_is_refused),
		cmocka_unit_test(the_kernels_own_directories_are_named),
		TEST(a_wrong_octet_anywhere_is_seen),
		TEST(damage_in_the_middle_is_seen_without_the_witness),
		cmocka_unit_test(what_a_crash_leaves_behind_the_last_commit_is_passed_over),
		TEST(a_file_serves_one_gateway),
		TEST(a_check_tells_what_is_there_and_makes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
