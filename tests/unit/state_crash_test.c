/* The ledger of numbers: gateways that send, accept, delete, rekey, stop and die on a disk that
 * loses what was not synced. Power is cut at each call of the disk in turn; whatever is there
 * afterwards, no number that was used under a key may be used under it again.
 */
#include "unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "state/state.h"
#include "state_disk.h"

#define N_KEYS	 6 /* the even ones send, the odd ones accept */
#define N_LANES	 2
#define BLOCK	 64
#define STEPS	 60
#define NUMBERS	 (1u << 16)
#define MIN_CUTS 1000

/* What was used under each key, over all lives: the truth that no file knows. */
struct ledger {
	uint8_t used[N_KEYS][N_LANES][NUMBERS];
	unsigned int twice; /* numbers that were used a second time */
	unsigned int n_used;
};

struct lane {
	bool up;
	uint64_t next, end;
};

struct life {
	struct disk *disk;
	struct ledger *ledger;
	struct state_file *file;
	struct lane lanes[N_KEYS][N_LANES];
	uint64_t rest[N_KEYS][N_LANES]; /* of keys deleted in this life: what lib/numbers keeps */
	uint64_t ticket;
};

static uint64_t wall = 1000000;

static uint64_t
wall_s(void)
{
	return wall;
}

static struct state_key
key_of(int key, int lane)
{
	struct state_key k = { .lane = (uint16_t)lane, .inbound = key % 2 };

	memset(k.hash, 'a' + key, sizeof(k.hash));
	return k;
}

static void
done(void *ctx, const struct state_want *want)
{
	struct life *life = ctx;
	int key = want->key.hash[0] - 'a';
	struct lane *lane = &life->lanes[key][want->key.lane];

	if (lane->up && want->number > lane->end)
		lane->end = want->number;
}

static void
ask(struct life *life, int key, int lane)
{
	struct state_want want = {
		.key = key_of(key, lane),
		.forever = key < 4,
		.number = life->lanes[key][lane].next - 1 + BLOCK,
	};

	assert_int_equal(state_file_want(life->file, &want, &life->ticket), 0);
}

static void
key_up(struct life *life, int key)
{
	for (int lane = 0; lane < N_LANES; lane++) {
		struct state_key k = key_of(key, lane);
		struct state_known known;

		state_file_look(life->file, &k, &known);
		assert_false(known.live);
		assert_true(known.number >= life->rest[key][lane]);
		life->lanes[key][lane] =
			(struct lane) { .up = true, .next = known.number + 1, .end = known.number };
		ask(life, key, lane);
	}
}

static void
key_down(struct life *life, int key)
{
	for (int lane = 0; lane < N_LANES; lane++) {
		struct state_key k = key_of(key, lane);

		life->rest[key][lane] = life->lanes[key][lane].next - 1;
		state_file_settle(life->file, &k, life->rest[key][lane], key < 4);
		life->lanes[key][lane].up = false;
	}
}

/* A burst, as far as the block goes. An accepting lane may jump. */
static void
traffic(struct life *life, int key, int n)
{
	struct lane *lane = &life->lanes[key][disk_random(life->disk, N_LANES)];
	int l = (int)(lane - life->lanes[key]);
	uint64_t half;

	if (!lane->up)
		return;
	half = lane->end - (lane->end - (lane->next - 1)) / 2;
	if (key % 2 == 1)
		lane->next += disk_random(life->disk, 4);
	for (; n > 0 && lane->next <= lane->end; n--) {
		uint64_t number = lane->next++;

		assert_true(number < NUMBERS);
		life->ledger->twice += life->ledger->used[key][l][number];
		life->ledger->used[key][l][number] = 1;
		life->ledger->n_used++;
	}
	if (lane->next >= half)
		ask(life, key, l);
}

static void
step(struct life *life)
{
	int key = (int)disk_random(life->disk, N_KEYS);

	switch (disk_random(life->disk, 8)) {
	case 0:
		if (life->lanes[key][0].up)
			key_down(life, key);
		else
			key_up(life, key);
		break;
	default:
		for (int i = 0; i < N_KEYS; i++)
			traffic(life, i, (int)disk_random(life->disk, BLOCK));
	}
	state_file_post(life->file);
	/* Now and then packets come between a commit and the word of it. */
	if (disk_random(life->disk, 4) != 0)
		state_file_write(life->file);
	if (disk_random(life->disk, 2) == 0)
		traffic(life, key, 8);
	state_file_collect(life->file, done, life);
}

/* A gateway from its start to its end, or to the cut. Returns what open said. */
static int
live(struct disk *disk, struct ledger *ledger, int steps, bool stop_clean, struct err *err)
{
	struct state_options o = {
		.path = "state",
		.io = &disk->io,
		.by_hand = true,
		.rewrite_min = 1024,
		.wall_s = wall_s,
	};
	struct life life = { .disk = disk, .ledger = ledger };
	int rc = state_file_open(&o, &life.file, err);

	if (rc < 0)
		return rc;
	for (int key = 0; key < N_KEYS; key++)
		key_up(&life, key);
	for (int i = 0; i < steps && !disk->dead; i++)
		step(&life);
	if (!stop_clean || disk->dead) {
		state_file_abandon(life.file);
		return 0;
	}
	for (int key = 0; key < N_KEYS; key++)
		if (life.lanes[key][0].up)
			key_down(&life, key);
	state_file_close(life.file, err);
	return 0;
}

static unsigned int cuts, refused;

/* A life to the cut at that call, then two more on what is left. */
static bool
cut_at(unsigned int call, uint32_t seed, struct ledger *ledger, bool lies)
{
	struct disk disk;
	struct err err;
	bool was_cut;

	memset(ledger, 0, sizeof(*ledger));
	disk_init(&disk, seed);
	disk.lies = lies;
	/* The first life is over before: there is something to lose. */
	assert_int_equal(live(&disk, ledger, STEPS / 4, seed % 2 == 0, &err), 0);
	disk_kill(&disk);
	disk.calls = 0;
	disk.cut_at = call;
	live(&disk, ledger, STEPS, true, &err);
	was_cut = disk.dead;
	for (int i = 0; i < 3; i++) {
		disk_crash(&disk);
		err.text[0] = 0;
		/* The second power failure comes while the first is being recovered from. */
		disk.calls = 0;
		disk.cut_at = i == 0 ? 1 + call % 9 : 0;
		if (live(&disk, ledger, STEPS / 6, false, &err) < 0 && !disk.dead) {
			refused++;
			if (!lies)
				fail_msg("cut at %u, seed %u: %s", call, seed, err.text);
		}
	}
	disk_fini(&disk);
	cuts += was_cut;
	return was_cut;
}

static void
no_number_twice_wherever_the_power_goes(void **state)
{
	struct ledger *ledger = malloc(sizeof(*ledger));

	assert_non_null(ledger);
	cuts = refused = 0;
	for (uint32_t seed = 1; seed <= 8; seed++) {
		unsigned int call = 1;

		while (cut_at(call, seed, ledger, false)) {
			if (ledger->twice != 0)
				fail_msg("cut at call %u, seed %u: %u numbers were used twice",
					 call, seed, ledger->twice);
			assert_true(ledger->n_used > 1000);
			call++;
		}
		/* The last one ran to its end. */
		assert_int_equal(ledger->twice, 0);
	}
	free(ledger);
	print_message("# %u cuts\n", cuts);
	assert_true(cuts >= MIN_CUTS);
	assert_int_equal(refused, 0);
}

/* Or the test above would prove nothing. */
static void
a_disk_that_lies_is_seen_by_the_ledger(void **state)
{
	struct ledger *ledger = malloc(sizeof(*ledger));
	unsigned int bad = 0;

	assert_non_null(ledger);
	refused = 0;
	for (unsigned int call = 5; call < 105; call++) {
		cut_at(call, 3, ledger, true);
		bad += ledger->twice != 0;
	}
	free(ledger);
	assert_true(bad > 0);
	assert_true(refused > 100);
}

/* Each call in turn fails for a while, and then the disk is well again; the power goes at the end.
 */
static void
no_number_twice_whatever_fails(void **state)
{
	static const int errors[] = { -EIO, -ENOSPC, -EROFS };
	struct ledger *ledger = malloc(sizeof(*ledger));
	unsigned int n = 0;

	assert_non_null(ledger);
	for (unsigned int call = 1; call < 400; call++) {
		struct disk disk;
		struct err err;

		memset(ledger, 0, sizeof(*ledger));
		disk_init(&disk, call);
		assert_int_equal(live(&disk, ledger, STEPS / 4, true, &err), 0);
		disk.calls = 0;
		disk.fail_at = call;
		disk.n_fail = 1 + call % 5;
		disk.fail_with = errors[call % 3];
		if (live(&disk, ledger, STEPS, false, &err) < 0)
			assert_non_null(strstr(err.text, strerror(-disk.fail_with)));
		n += disk.calls >= call;
		disk_crash(&disk);
		if (live(&disk, ledger, STEPS / 4, true, &err) < 0)
			fail_msg("call %u fails: %s", call, err.text);
		if (ledger->twice != 0)
			fail_msg("call %u fails: %u numbers were used twice", call, ledger->twice);
		disk_fini(&disk);
	}
	free(ledger);
	assert_true(n > 150);
}

/* kill -9 loses nothing of what was written, synced or not. */
static void
no_number_twice_after_kills(void **state)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	struct disk disk;
	struct err err;

	assert_non_null(ledger);
	disk_init(&disk, 99);
	for (unsigned int life = 0; life < 20; life++) {
		disk.calls = 0;
		disk.cut_at = 1 + life * 7;
		if (live(&disk, ledger, STEPS, life % 5 == 0, &err) < 0 && !disk.dead)
			fail_msg("life %u: %s", life, err.text);
		disk_kill(&disk);
		assert_int_equal(ledger->twice, 0);
	}
	assert_true(ledger->n_used > 5000);
	disk_fini(&disk);
	free(ledger);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_number_twice_wherever_the_power_goes),
		cmocka_unit_test(a_disk_that_lies_is_seen_by_the_ledger),
		cmocka_unit_test(no_number_twice_whatever_fails),
		cmocka_unit_test(no_number_twice_after_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
