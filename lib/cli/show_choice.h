/* What a policy with several SAs does with packets. Inside lib/cli only. */
#ifndef CLI_SHOW_CHOICE_H
#define CLI_SHOW_CHOICE_H

#include <stdint.h>
#include <stdio.h>

#include "base/json.h"
#include "ctl/gw.h"

/* A line for each list of classes that goes a way of its own. */
void choice_print(FILE *out, const struct gw *gw, uint32_t choice);
/* "choice": [{"dscp", "workers", "others"}]: for each list the SA of each worker, null where it has
 * none of its own, and that of those.
 */
void choice_json(struct json *j, const struct gw *gw, uint32_t choice);

/* "dscp 46, 34": the classes of a mask. Into text, which it returns. */
#define CLASSES_TEXT 256
const char *classes_text(uint64_t dscp, char text[CLASSES_TEXT]);
void classes_json(struct json *j, const char *key, uint64_t dscp);

#endif
