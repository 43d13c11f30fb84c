/* What show sa says of lanes. Inside lib/cli only. */
#ifndef CLI_SHOW_LANES_H
#define CLI_SHOW_LANES_H

#include <stdint.h>

#include "cli/form.h"
#include "sa/sa.h"

/* Out: the last number used; in: the highest accepted. Of an SA with subspaces that of the lane
 * where it is highest, without the id.
 */
uint64_t lanes_number(const struct sa *sa, const struct sa_cold *cold);

/* In: W, of each. */
uint32_t lanes_window(const struct sa *sa);

/* An SA with subspaces: each of its lanes that was used, with the worker that alone writes it. */
void lanes_show(struct form *f, const struct sa *sa, const struct sa_cold *cold,
		uint16_t n_workers);

#endif
