/* What the state file promises while all goes well, and when its disk is slow, full or gone. */
#include "state_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/stat.h>

#include "state/format.h"
#include "state_disk.h"

static void
a_new_file_is_ours_alone(void **state)
{
	struct state_file *f = open_file();
	struct state_counts c;
	struct stat st;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(stat(i == 0 ? path : witness, &st), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
	}
	state_file_counts(f, &c);
	assert_int_equal(c.records, 0);
	assert_int_equal(c.file_bytes, STATE_HEADER_SIZE);
	assert_string_equal(c.trouble, "");
	assert_int_equal(state_file_close(f, &err), 0);
}

static void
the_secret_stays_and_is_each_files_own(void **state)
{
	uint8_t secret[STATE_SECRET_SIZE];
	struct state_file *f = open_file();

	memcpy(secret, state_file_secret(f), sizeof(secret));
	state_file_close(f, &err);
	f = open_file();
	assert_memory_equal(state_file_secret(f), secret, sizeof(secret));
	state_file_close(f, &err);
	unlink(path);
	unlink(witness);
	f = open_file();
	assert_memory_not_equal(state_file_secret(f), secret, sizeof(secret));
	state_file_close(f, &err);
}

static void
a_number_counts_once_it_is_on_the_disk(void **state)
{
	struct state_file *f = open_file();
	struct state_key key = out_key(1);
	struct state_known known;
	uint64_t ticket = want(f, &key, 64, true);

	assert_true(state_file_look(f, &key, &known));
	assert_true(known.live);
	assert_int_equal(known.number, 0);
	assert_int_equal(known.asked, 64);
	state_file_post(f);
	assert_int_equal(collect(f), 0);
	assert_true(state_file_done(f) < ticket);
	assert_int_equal(state_file_write(f), 0);
	assert_int_equal(collect(f), 1);
	assert_int_equal(state_file_done(f), ticket);
	assert_int_equal(number_of(f, &key), 64);
	state_file_abandon(f);
}

static void
after_a_crash_it_goes_on_above_after_a_stop_exactly(void **state)
{
	struct state_key out = out_key(1), in = out_key(1), lane = out_key(1), other = out_key(2);
	struct state_file *f = open_file();

	in.inbound = true;
	lane.lane = 7;
	reserve(f, &out, 64, true);
	reserve(f, &in, 640, true);
	reserve(f, &lane, 6400, true);
	state_file_abandon(f);
	f = open_file();
	assert_int_equal(number_of(f, &out), 64);
	assert_int_equal(number_of(f, &in), 640);
	assert_int_equal(number_of(f, &lane), 6400);
	assert_int_equal(number_of(f, &other), 0);
	reserve(f, &out, 128, true);
	state_file_settle(f, &out, 71, true);
	assert_int_equal(number_of(f, &out), 71);
	assert_int_equal(state_file_close(f, &err), 0);
	f = open_file();
	assert_int_equal(number_of(f, &out), 71);
	/* Nobody settled these: they are as they were. */
	assert_int_equal(number_of(f, &in), 640);
	state_file_abandon(f);
}

static void
a_commit_that_comes_late_raises_nothing_settled(void **state)
{
	struct state_file *f = open_file();
	struct state_key key = out_key(1);

	want(f, &key, 64, true);
	state_file_post(f);
	state_file_settle(f, &key, 3, true);
	assert_int_equal(state_file_write(f), 0);
	assert_int_equal(number_of(f, &key), 3);
	state_file_abandon(f);
	/* The disk has more, which is as safe. */
	f = open_file();
	assert_int_equal(number_of(f, &key), 64);
	state_file_abandon(f);
}

static void
daemons_keys_are_forgotten_after_a_day_the_files_are_not(void **state)
{
	struct state_key of_file = out_key(1), of_daemon = out_key(2);
	struct state_file *f = open_file();

	reserve(f, &of_file, 64, true);
	reserve(f, &of_daemon, 64, false);
	state_file_abandon(f);
	/* Was in use when the gateway went, nobody knows when that was: a day from now on. */
	wall += 10 * STATE_DEAD_KEY_SECONDS;
	f = open_file();
	assert_int_equal(number_of(f, &of_daemon), 64);
	state_file_abandon(f);
	wall += STATE_DEAD_KEY_SECONDS - 2;
	f = open_file();
	assert_int_equal(number_of(f, &of_daemon), 64);
	state_file_close(f, &err);
	wall += 3;
	f = open_file();
	assert_int_equal(number_of(f, &of_daemon), 0);
	assert_int_equal(number_of(f, &of_file), 64);
	state_file_close(f, &err);
}

static void
the_file_is_written_anew_before_it_grows_large(void **state)
{
	struct state_options o = by_hand();
	struct state_file *f;
	struct state_counts c;
	struct state_key keys[20];

	o.rewrite_min = 2000;
	f = open_by(&o);
	for (unsigned int i = 0; i < 4000; i++) {
		keys[i % 20] = out_key(i % 20);
		reserve(f, &keys[i % 20], i, true);
		state_file_counts(f, &c);
		assert_true(c.file_bytes < STATE_HEADER_SIZE + 90 * STATE_RECORD_SIZE);
	}
	assert_true(c.rewrites > 20);
	assert_int_equal(c.failures, 0);
	state_file_abandon(f);
	f = open_file();
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(number_of(f, &keys[i]), 3980 + i);
	state_file_close(f, &err);
}

static void
a_file_that_is_taken_away_is_there_again_with_the_next_commit(void **state)
{
	static const char *const gone[] = { "removed", "replaced" };
	struct state_key key = out_key(1);

	for (unsigned int i = 0; i < 2; i++) {
		struct state_file *f = open_file();

		reserve(f, &key, 64 + i, true);
		print_message("# %s\n", gone[i]);
		assert_int_equal(unlink(path), 0);
		if (i == 1)
			close(open(path, O_CREAT | O_WRONLY, 0600));
		reserve(f, &key, 128 + i, true);
		state_file_abandon(f);
		f = open_file();
		assert_int_equal(number_of(f, &key), 128 + i);
		state_file_close(f, &err);
	}
}

/* ---- the thread, and a disk that hangs ---- */

static sem_t disk_goes_on, disk_hangs;
static bool hang;

static int
slow_fsync(void *ctx, int fd)
{
	if (__atomic_load_n(&hang, __ATOMIC_RELAXED)) {
		sem_post(&disk_hangs);
		sem_wait(&disk_goes_on);
	}
	return state_io_system.fsync(ctx, fd);
}

static void
many_wants_are_one_commit(void **state)
{
	struct state_options o = { .path = path };
	struct state_file *f = open_by(&o);
	struct state_counts before, after;
	unsigned int n = 0;

	state_file_counts(f, &before);
	for (uint32_t i = 0; i < 100000; i++) {
		struct state_key key = out_key(i);

		want(f, &key, 64, true);
	}
	state_file_post(f);
	assert_int_equal(state_file_wait(f, 30000, &err), 0);
	n = collect(f);
	assert_int_equal(n, 100000);
	state_file_counts(f, &after);
	assert_int_equal(after.commits - before.commits, 1);
	assert_in_range(after.fsyncs - before.fsyncs, 1, 16);
	assert_int_equal(after.records, 100000);
	assert_int_equal(state_file_close(f, &err), 0);
}

/* Control goes on; all that comes meanwhile is one commit more. */
static void
a_disk_that_hangs_holds_nobody_up(void **state)
{
	static struct state_io io;
	struct state_options o = { .path = path, .io = &io };
	struct state_key key = out_key(1);
	struct state_file *f;
	struct state_counts c;

	sem_init(&disk_goes_on, 0, 0);
	sem_init(&disk_hangs, 0, 0);
	io = state_io_system;
	io.fsync = slow_fsync;
	f = open_by(&o);
	__atomic_store_n(&hang, true, __ATOMIC_RELAXED);
	want(f, &key, 64, true);
	state_file_post(f);
	sem_wait(&disk_hangs);
	for (uint32_t i = 0; i < 1000; i++) {
		key = out_key(2 + i);
		want(f, &key, 64, true);
		state_file_post(f);
		assert_int_equal(collect(f), 0);
	}
	assert_true(state_file_is_well(f, &err));
	usleep(1100000);
	assert_false(state_file_is_well(f, &err));
	assert_non_null(strstr(err.text, ": the disk does not answer"));
	state_file_counts(f, &c);
	assert_int_equal(c.waiting, 1001);
	assert_non_null(strstr(c.trouble, "the disk does not answer"));
	assert_int_equal(state_file_wait(f, 10, &err), -ETIMEDOUT);
	__atomic_store_n(&hang, false, __ATOMIC_RELAXED);
	sem_post(&disk_goes_on);
	assert_int_equal(state_file_wait(f, 30000, &err), 0);
	assert_int_equal(collect(f), 1);
	assert_int_equal(state_file_wait(f, 30000, &err), 0);
	assert_int_equal(collect(f), 1000);
	assert_true(state_file_is_well(f, &err));
	state_file_counts(f, &c);
	assert_int_equal(c.commits, 2);
	assert_int_equal(state_file_close(f, &err), 0);
}

static void
a_file_of_a_hanging_disk_is_left_within_two_seconds(void **state)
{
	static struct state_io io;
	struct state_options o = { .path = path, .io = &io };
	struct state_key key = out_key(1);
	struct state_file *f;

	sem_init(&disk_goes_on, 0, 0);
	sem_init(&disk_hangs, 0, 0);
	io = state_io_system;
	io.fsync = slow_fsync;
	f = open_by(&o);
	__atomic_store_n(&hang, true, __ATOMIC_RELAXED);
	want(f, &key, 64, true);
	state_file_post(f);
	sem_wait(&disk_hangs);
	assert_int_equal(state_file_close(f, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "goes on above what was reserved"));
	__atomic_store_n(&hang, false, __ATOMIC_RELAXED);
	sem_post(&disk_goes_on);
	/* The thread ends by itself, and frees what it held. */
	usleep(100000);
}

/* ---- a disk that fails ---- */

static void
nothing_is_durable_until_the_disk_is_well_again(void **state)
{
	static const int errors[] = { -ENOSPC, -EIO, -EROFS, -EDQUOT };
	struct state_key key = out_key(1);

	for (unsigned int i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct disk disk;
		struct state_options o = { .path = "state", .io = &disk.io, .by_hand = true };
		struct state_file *f;
		struct state_counts c;

		disk_init(&disk, i + 1);
		f = open_by(&o);
		reserve(f, &key, 64, true);
		disk.fail_at = disk.calls + 1;
		disk.n_fail = 1000;
		disk.fail_with = errors[i];
		want(f, &key, 128, true);
		state_file_post(f);
		for (int tries = 0; tries < 3; tries++)
			assert_int_equal(state_file_write(f), errors[i]);
		assert_int_equal(collect(f), 0);
		assert_int_equal(number_of(f, &key), 64);
		assert_false(state_file_is_well(f, &err));
		assert_non_null(strstr(err.text, strerror(-errors[i])));
		state_file_counts(f, &c);
		assert_int_equal(c.failures, 3);
		assert_int_equal(c.waiting, 1);
		assert_non_null(strstr(c.trouble, strerror(-errors[i])));
		disk.fail_at = 0;
		assert_int_equal(state_file_write(f), 0);
		assert_int_equal(collect(f), 1);
		assert_true(state_file_is_well(f, &err));
		state_file_counts(f, &c);
		assert_string_equal(c.trouble, "");
		state_file_abandon(f);
		disk_crash(&disk);
		f = open_by(&o);
		assert_int_equal(number_of(f, &key), 128);
		state_file_abandon(f);
		disk_fini(&disk);
	}
}

static void
a_start_on_a_disk_that_fails_says_why(void **state)
{
	static const struct {
		int rc;
		const char *cure;
	} rows[] = {
		{ -ENOSPC, "make room" },
		{ -EROFS, "mount its file system for writing" },
		{ -EIO, "the disk is broken" },
		{ -EDQUOT, "raise the quota" },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (unsigned int call = 1; call < 7; call++) {
			struct disk disk;
			struct state_options o = { .path = "state",
						   .io = &disk.io,
						   .by_hand = true };
			struct state_file *f;

			disk_init(&disk, 1);
			disk.fail_at = call;
			disk.n_fail = 1;
			disk.fail_with = rows[i].rc;
			assert_int_equal(state_file_open(&o, &f, &err), rows[i].rc);
			assert_non_null(strstr(err.text, rows[i].cure));
			/* What was begun is in nobody's way. */
			state_file_abandon(open_by(&o));
			disk_fini(&disk);
		}
	}
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, folder_make, folder_remove)
	static const struct CMUnitTest tests[] = {
		TEST(a_new_file_is_ours_alone),
		TEST(the_secret_stays_and_is_each_files_own),
		TEST(a_number_counts_once_it_is_on_the_disk),
		TEST(after_a_crash_it_goes_on_above_after_a_stop_exactly),
		TEST(a_commit_that_comes_late_raises_nothing_settled),
		TEST(daemons_keys_are_forgotten_after_a_day_the_files_are_not),
		TEST(the_file_is_written_anew_before_it_grows_large),
		TEST(a_file_that_is_taken_away_is_there_again_with_the_next_commit),
		TEST(many_wants_are_one_commit),
		TEST(a_disk_that_hangs_holds_nobody_up),
		TEST(a_file_of_a_hanging_disk_is_left_within_two_seconds),
		TEST(nothing_is_durable_until_the_disk_is_well_again),
		TEST(a_start_on_a_disk_that_fails_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
