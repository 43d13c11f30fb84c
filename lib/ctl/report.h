/* What was counted: sums over the workers, and the exit report that others read. */
#ifndef CTL_REPORT_H
#define CTL_REPORT_H

#include <stdio.h>

#include "ctl/gw.h"

/* As they are now, since the start. */
void totals_read(const struct gw *gw, struct gw_totals *t);
/* The same since the last gw_clear(); held stays what it is. */
void totals_since_clear(const struct gw *gw, struct gw_totals *t);

uint64_t cells_total(const uint64_t *cells, unsigned int n);

/* One live SA: packets and bytes of its key, and drops by reason; of the file's, of all that had
 * its name.
 */
struct sa_counts {
	uint64_t packets, bytes;
	uint64_t drops[DROP_MAX];
};
void sa_counts_read(const struct gw *gw, uint32_t index, struct sa_counts *c);
/* Adds the drops of an SA that is about to be destroyed. */
void sa_drops_add(const struct gw *gw, uint32_t index, uint32_t generation,
		  uint64_t drops[DROP_MAX]);

/* The first live SA of a daemon at or behind an index, or SA_NONE. */
uint32_t sa_next_of_daemons(const struct gw *gw, uint32_t from);

/* rx + generated + split against tx + consumed + held + dropped + merged. */
bool totals_balance(const struct gw_totals *t);

/* The exit report: JSON with the fixed keys of the manual, or the same for people. */
void report_json(const struct gw *gw, FILE *f);
void report_print(const struct gw *gw, FILE *f);
/* One line for --stats-period. */
void report_line(const struct gw *gw, FILE *f);

#endif
