/* The table of commands as its readers go through it, and what its rows run. Inside lib/cli only.
 *
 * A set of rows is a mask: bit n is commands[n]. No row is the beginning of another.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/cli.h"

/* Word i of a row; *len 0 behind the last. */
const char *table_word(const struct command *row, unsigned int i, size_t *len);
/* Of the rows in a mask, those whose word i is the typed one in full, or else begins so. */
uint64_t table_narrow(uint64_t rows, unsigned int i, const char *typed);

static inline uint64_t
table_all(void)
{
	return (UINT64_C(1) << n_commands) - 1;
}

/* The row that i words have led to, or NULL while one is missing. */
static inline const struct command *
table_row(uint64_t rows, unsigned int i)
{
	const struct command *row = &commands[__builtin_ctzll(rows)];
	size_t len;

	table_word(row, i, &len);
	return len == 0 ? row : NULL;
}

/* Takes the first n words off. */
void args_shift(struct args *a, unsigned int n);

struct log_level {
	const char *name;
	uint32_t level; /* of rte_log */
};

extern const struct log_level log_levels[];
extern const unsigned int n_log_levels;

typedef int command_fn(struct cli *cli, FILE *out, bool json, const struct args *args,
		       struct err *err);

/* The SA of that name, or SA_NONE. */
uint32_t sa_by_name(const struct gw *gw, const char *name);

/* The next SA to be shown, the file's first, in its order. *at begins at 0. */
bool sa_next_shown(const struct gw *gw, uint32_t *at, uint32_t *index);

command_fn show_sa, show_iptfs, show_policy, show_pipeline, show_drops, show_pmtu, show_reassembly,
	show_state, set_sa, show_echo, ping, show_crypto, show_nic, port_command;

#endif
