/* `--check`: the file and this host, judged without a packet and without DPDK. */
#ifndef APP_CHECK_H
#define APP_CHECK_H

#include "crypto/engine.h"
#include "options.h"

/* Prints every problem, and what the limits cost. Returns EXIT_FINE or EXIT_USAGE. */
int check_run(const struct options *o, const struct engine *const *engines, uint16_t n_engines);

#endif
