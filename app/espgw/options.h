/* The command line behind `--`. */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum exit_code {
	EXIT_FINE = 0,
	EXIT_RUN_TIME = 1,
	EXIT_USAGE = 2, /* also: a configuration with an error */
};

struct options {
	const char *config;
	const char *control_socket; /* NULL: not given */
	bool check, interactive, json, help, version;
	uint32_t stats_period;			     /* seconds; 0 = never */
	uint32_t exit_when_idle_ms;		     /* 0 = never */
	uint16_t burst, rx_queues, rx_desc, tx_desc; /* 0 = as the file says */
};

/* Reads what stands behind `--` in argv (all of argv for --help and --version), before DPDK sees
 * any of it.
 *
 * *eal_argc: how many of argv are DPDK's. False: a line on stderr says what is wrong with which
 * option.
 */
bool options_parse(int argc, char **argv, struct options *o, int *eal_argc);

void options_help(FILE *f);

#endif
