/* Files of numbers in a directory of their own, or on a disk in memory. */
#ifndef TESTS_STATE_RIG_H
#define TESTS_STATE_RIG_H

#include "unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "state/state.h"

static char folder[64], path[80], witness[96];
static struct err err;
static uint64_t wall = 1000000;

static inline uint64_t
wall_s(void)
{
	return wall;
}

static inline int
folder_make(void **state)
{
	strcpy(folder, "/tmp/espgw-state-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/state", folder);
	snprintf(witness, sizeof(witness), "%s.witness", path);
	wall = 1000000;
	return 0;
}

static inline int
folder_remove(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static inline struct state_options
by_hand(void)
{
	return (struct state_options) { .path = path, .by_hand = true, .wall_s = wall_s };
}

static inline struct state_file *
open_by(const struct state_options *o)
{
	struct state_file *f = NULL;

	if (state_file_open(o, &f, &err) != 0)
		fail_msg("%s", err.text);
	return f;
}

static inline struct state_file *
open_file(void)
{
	struct state_options o = by_hand();

	return open_by(&o);
}

static inline struct state_key
out_key(uint32_t n)
{
	struct state_key k = { .lane = 0 };

	memcpy(k.hash, &n, sizeof(n));
	return k;
}

static inline uint64_t
want(struct state_file *f, const struct state_key *key, uint64_t number, bool forever)
{
	struct state_want w = { .key = *key, .number = number, .forever = forever };
	uint64_t ticket;

	assert_int_equal(state_file_want(f, &w, &ticket), 0);
	return ticket;
}

static inline void
count_done(void *ctx, const struct state_want *w)
{
	++*(unsigned int *)ctx;
}

/* How many came back. */
static inline unsigned int
collect(struct state_file *f)
{
	unsigned int n = 0;

	state_file_collect(f, count_done, &n);
	return n;
}

static inline void
reserve(struct state_file *f, const struct state_key *key, uint64_t number, bool forever)
{
	want(f, key, number, forever);
	state_file_post(f);
	assert_int_equal(state_file_write(f), 0);
	assert_int_equal(collect(f), 1);
}

static inline uint64_t
number_of(struct state_file *f, const struct state_key *key)
{
	struct state_known known;

	state_file_look(f, key, &known);
	return known.number;
}

/* A file that a crash left: one key, reserved up to 64. */
static inline void
crashed_file(void)
{
	struct state_file *f = open_file();
	struct state_key key = out_key(1);

	reserve(f, &key, 64, true);
	state_file_abandon(f);
}

#endif
