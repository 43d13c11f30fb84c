/* A sentence about what went wrong, for the person who has to mend it.
 *
 * The control path returns a negative errno and fills a struct err where the fact is known; it is
 * passed up unchanged and printed once. Datapath code never uses it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <rte_common.h>

#define ERR_TEXT_SIZE 512

struct err {
	char text[ERR_TEXT_SIZE];
};

/* Stores the formatted sentence in *err, cut to fit, and returns rc. err may be NULL. */
int err_set(struct err *err, int rc, const char *format, ...) __rte_format_printf(3, 4);

#endif
