/* Values as they would be written in the file. Inside lib/conf only. */
#ifndef CONF_PRINT_H
#define CONF_PRINT_H

#include "conf/schema.h"

/* No key material: a secret is "redacted". */
void value_print(FILE *f, const struct conf_key *k, const void *field);
/* Nothing was given, and there is no default. */
bool value_absent(const struct conf_key *k, const void *field);
bool value_same(const struct conf_key *k, const void *a, const void *b);
/* The keys of a block as a map in braces. */
void block_print(FILE *f, enum conf_block block, const void *base);
/* One key of an item: a value, or such a map. */
void field_print(FILE *f, const struct conf_key *k, const void *base);

#endif
