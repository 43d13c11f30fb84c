/* A YAML document as a tree of nodes with their places; the schema comes later (bind.h).
 *
 * Refused here, as no configuration needs them and each can hide something: anchors and aliases,
 * tags, keys that are no scalars, several documents, deep nesting.
 *
 * libyaml frees its buffers unwiped, so it never sees a key: the digits behind each `hex:` are
 * replaced by an ordinal, in a copy, before it reads; doc_secret leads back to the digits in the
 * caller's text.
 */
#ifndef CONF_DOC_H
#define CONF_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/errors.h"

enum node_kind {
	NODE_SCALAR,
	NODE_MAP,
	NODE_LIST
};

struct node {
	uint8_t kind;
	bool quoted;
	bool bad; /* already complained of */
	uint32_t line, col;
	uint32_t n;	    /* elements of a list, pairs of a map, octets of a scalar */
	const char *text;   /* of a scalar, with a 0 behind */
	struct node *child; /* the first; of a map: key, value, key, value … */
	struct node *next;
};

struct doc {
	const char *text; /* borrowed from the caller */
	const struct node *root;
	struct doc_chunk *chunks;
	struct doc_span {
		uint32_t at, len;
	} * secrets;
	uint32_t n_secrets, n_nodes;
};

/* len is at most CONF_FILE_MAX. The text must stay until doc_free. Returns 0, -EINVAL with errors
 * in e (doc is then empty), or -ENOMEM.
 */
int doc_read(struct doc *doc, const char *text, size_t len, struct conf_errors *e);
void doc_free(struct doc *doc);

/* The digits that stand where `text`, the part of a scalar behind "hex:", has an ordinal; text
 * itself where it has none. NULL when other characters are mixed in.
 */
const char *doc_secret(const struct doc *doc, const char *text, size_t *len);

/* The value of a key of a map, or NULL. map may be NULL. */
const struct node *node_get(const struct node *map, const char *key);

#endif
