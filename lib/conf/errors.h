/* What is wrong with a configuration: every error and warning of one reading, each with its place.
 *
 * Printed as `file:line:col: path: what is wrong: what would be right`. No text here holds key
 * material.
 */
#ifndef CONF_ERRORS_H
#define CONF_ERRORS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_common.h>

#include "base/json.h"

#define CONF_ERRORS_MAX 1000 /* kept; the rest is counted */

/* Where an item stands in the file. */
struct conf_mark {
	uint32_t line, col; /* from 1; line 0: the file as a whole */
	uint32_t index;	    /* of the list `list` */
	uint16_t part;	    /* of a tunnel's out or in, from 1, where that is a list; else 0 */
	uint8_t list;	    /* enum conf_list */
};

/* The parts of the file that items come from; a tunnel's SA remembers its half. */
enum conf_list {
	CONF_LIST_NONE,
	CONF_LIST_GATEWAY,
	CONF_LIST_PORTS,
	CONF_LIST_ROUTES,
	CONF_LIST_NEIGHBOURS,
	CONF_LIST_SAS,
	CONF_LIST_POLICIES,
	CONF_LIST_TUNNELS,
	CONF_LIST_TUNNELS_OUT,
	CONF_LIST_TUNNELS_IN,
};

struct conf_error {
	bool warning;
	uint32_t line, col;
	char *path;  /* "tunnels[2].key", or "" */
	char *wrong; /* what is wrong */
	char *right; /* what would be right, or "" */
};

struct conf_errors {
	char file[256];
	struct conf_error *list;
	uint32_t n, size;
	uint32_t n_errors, n_warnings; /* all that were found, kept or not */
};

void conf_errors_init(struct conf_errors *e, const char *file);
void conf_errors_free(struct conf_errors *e);

/* right may be NULL. Later checks of an item say conf_complain(e, false, &sa->mark, "df", …): the
 * path is then that of the item followed by `.df`; key NULL or "" is the item itself.
 */
void conf_complain(struct conf_errors *e, bool warning, const struct conf_mark *mark,
		   const char *key, const char *right, const char *format, ...)
	__rte_format_printf(6, 7);
/* The same with the whole path given. */
void conf_complain_at(struct conf_errors *e, bool warning, uint32_t line, uint32_t col,
		      const char *path, const char *right, const char *format, ...)
	__rte_format_printf(7, 8);

/* "sas[3]", "tunnels[2].out", "tunnels[2].out[1]"; at most size octets with the 0. */
void conf_mark_path(const struct conf_mark *mark, char *buf, size_t size);

/* One line each, in the order of the file. */
void conf_errors_print(FILE *f, struct conf_errors *e);
/* {"ok":…,"errors":[{"file","line","column","path","wrong","right"}],"warnings":[…]} */
void conf_errors_json(struct json *j, const char *key, struct conf_errors *e);

#endif
