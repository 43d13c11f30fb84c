/* Fields of a thing that is shown: lines for people, or members of a JSON object, from one call.
 * Inside lib/cli only.
 */
#ifndef CLI_FORM_H
#define CLI_FORM_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json.h"

struct form {
	FILE *out;
	struct json json;
	bool as_json;
	int depth;
};

void form_init(struct form *f, FILE *out, bool as_json);
/* Ends what form_init began. */
void form_done(struct form *f);
/* name: of the key; for people with blanks for its underscores. */
void form_u64(struct form *f, const char *name, uint64_t value);
void form_bool(struct form *f, const char *name, bool value);
void form_text(struct form *f, const char *name, const char *value);
void form_object(struct form *f, const char *name);
void form_end(struct form *f);

#endif
