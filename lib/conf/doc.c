#include "conf/doc.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#define DEPTH_MAX  16
#define NODES_MAX  (UINT32_C(4) << 20)
#define CHUNK_SIZE (UINT32_C(64) << 10)
#define MASK_SIZE  9 /* '@' and 8 digits; a shorter run of digits is no key of any algorithm */

struct doc_chunk {
	struct doc_chunk *next;
	size_t used, size;
	_Alignas(16) char room[];
};

struct reader {
	yaml_parser_t parser;
	struct doc *doc;
	struct conf_errors *e;
	int depth;
	bool second; /* a document has begun */
	struct node *open[DEPTH_MAX];
	struct node **tail[DEPTH_MAX];
	bool want_value[DEPTH_MAX];
};

static void *
take(struct doc *doc, size_t size)
{
	struct doc_chunk *c = doc->chunks;

	size = (size + 7) & ~(size_t)7;
	if (c == NULL || c->size - c->used < size) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		c = malloc(sizeof(*c) + room);
		if (c == NULL)
			return NULL;
		c->next = doc->chunks;
		c->used = 0;
		c->size = room;
		doc->chunks = c;
	}
	c->used += size;
	return c->room + c->used - size;
}

void
doc_free(struct doc *doc)
{
	while (doc->chunks != NULL) {
		struct doc_chunk *c = doc->chunks;

		doc->chunks = c->next;
		/* Keys written without their `hex:` are not masked. */
		explicit_bzero(c->room, c->used);
		free(c);
	}
	free(doc->secrets);
	*doc = (struct doc) { 0 };
}

static int
secret_add(struct doc *doc, uint32_t at, uint32_t len)
{
	uint32_t n = doc->n_secrets;

	if ((n & (n - 1)) == 0) {
		void *p = realloc(doc->secrets, (n == 0 ? 2 : n * 2) * sizeof(*doc->secrets));

		if (p == NULL)
			return -ENOMEM;
		doc->secrets = p;
	}
	doc->secrets[n] = (struct doc_span) { at, len };
	doc->n_secrets++;
	return 0;
}

/* The text is copied with each run of digits behind "hex:" as "@", its ordinal, and "-" to the same
 * length. */
static int
mask(struct doc *doc, char *copy, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t at = 4; at < len; at++) {
		size_t end = at;

		if (copy[at - 1] != ':' || memcmp(copy + at - 4, "hex:", 4) != 0)
			continue;
		if (copy[at] == '@')
			copy[at] = '?';
		while (end < len && isxdigit((unsigned char)copy[end]))
			end++;
		if (end - at < MASK_SIZE)
			continue;
		memset(copy + at, '-', end - at);
		copy[at] = '@';
		for (int i = 0; i < 8; i++)
			copy[at + 1 + i] = digits[doc->n_secrets >> (28 - 4 * i) & 15];
		if (secret_add(doc, at, end - at) < 0)
			return -ENOMEM;
	}
	return 0;
}

const char *
doc_secret(const struct doc *doc, const char *text, size_t *len)
{
	char digits[MASK_SIZE];
	unsigned long ordinal;
	char *end;

	*len = strlen(text);
	if (text[0] != '@')
		return text;
	if (*len < MASK_SIZE)
		return NULL;
	memcpy(digits, text + 1, 8);
	digits[8] = 0;
	ordinal = strtoul(digits, &end, 16);
	if (*end != 0 || ordinal >= doc->n_secrets || doc->secrets[ordinal].len != *len ||
	    strspn(text + MASK_SIZE, "-") != *len - MASK_SIZE)
		return NULL;
	return doc->text + doc->secrets[ordinal].at;
}

const struct node *
node_get(const struct node *map, const char *key)
{
	if (map == NULL || map->kind != NODE_MAP)
		return NULL;
	for (const struct node *k = map->child; k != NULL && k->next != NULL; k = k->next->next)
		if (strcmp(k->text, key) == 0)
			return k->next;
	return NULL;
}

static int
refuse(struct reader *r, yaml_mark_t at, const char *wrong, const char *right)
{
	conf_complain_at(r->e, false, at.line + 1, at.column + 1, "", right, "%s", wrong);
	return -EINVAL;
}

static struct node *
node_add(struct reader *r, enum node_kind kind, yaml_mark_t at)
{
	struct node *n = take(r->doc, sizeof(*n));
	int top = r->depth - 1;

	if (n == NULL)
		return NULL;
	*n = (struct node) { .kind = kind, .line = at.line + 1, .col = at.column + 1 };
	r->doc->n_nodes++;
	if (top < 0) {
		r->doc->root = n;
		return n;
	}
	*r->tail[top] = n;
	r->tail[top] = &n->next;
	if (r->open[top]->kind == NODE_LIST || r->want_value[top])
		r->open[top]->n++;
	r->want_value[top] = !r->want_value[top];
	return n;
}

static bool
is_key(const struct reader *r)
{
	return r->depth > 0 && r->open[r->depth - 1]->kind == NODE_MAP &&
	       !r->want_value[r->depth - 1];
}

/* A map or a list begins. */
static int
nest(struct reader *r, enum node_kind kind, yaml_mark_t at)
{
	struct node *n;

	if (is_key(r))
		return refuse(r, at, "a map or a list as a key", "a word");
	if (r->depth == DEPTH_MAX)
		return refuse(r, at, "nested too deep", "at most 16 levels");
	n = node_add(r, kind, at);
	if (n == NULL)
		return -ENOMEM;
	r->open[r->depth] = n;
	r->tail[r->depth] = &n->child;
	r->want_value[r->depth++] = false;
	return 0;
}

static struct node *
scalar(struct reader *r, const char *value, size_t len, bool quoted, yaml_mark_t at)
{
	struct node *n = node_add(r, NODE_SCALAR, at);
	char *text = n != NULL ? take(r->doc, len + 1) : NULL;

	if (text == NULL)
		return NULL;
	memcpy(text, value, len);
	text[len] = 0;
	n->text = text;
	n->n = len;
	n->quoted = quoted;
	if (memchr(value, 0, len) != NULL) {
		refuse(r, at, "a NUL character", "text");
		n->bad = true;
	}
	return n;
}

static void
refuse_properties(struct reader *r, const yaml_char_t *anchor, const yaml_char_t *tag,
		  yaml_mark_t at)
{
	if (anchor != NULL)
		refuse(r, at, "anchors are not taken", "write the value where it is used");
	if (tag != NULL)
		refuse(r, at, "tags are not taken", "the value alone");
}

static int
event(struct reader *r, const yaml_event_t *ev)
{
	yaml_mark_t at = ev->start_mark;
	struct node *n;

	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (r->second)
			return refuse(r, at, "a second document", "one document in a file");
		r->second = true;
		return 0;
	case YAML_ALIAS_EVENT:
		refuse(r, at, "aliases are not taken", "write the value out");
		n = scalar(r, "", 0, false, at);
		if (n == NULL)
			return -ENOMEM;
		n->bad = true;
		return 0;
	case YAML_SCALAR_EVENT:
		refuse_properties(r, ev->data.scalar.anchor, ev->data.scalar.tag, at);
		n = scalar(r, (const char *)ev->data.scalar.value, ev->data.scalar.length,
			   ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE, at);
		return n == NULL ? -ENOMEM : 0;
	case YAML_MAPPING_START_EVENT:
		refuse_properties(r, ev->data.mapping_start.anchor, ev->data.mapping_start.tag, at);
		return nest(r, NODE_MAP, at);
	case YAML_SEQUENCE_START_EVENT:
		refuse_properties(r, ev->data.sequence_start.anchor, ev->data.sequence_start.tag,
				  at);
		return nest(r, NODE_LIST, at);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		r->depth--;
		return 0;
	default:
		return 0;
	}
}

/* What libyaml says of an octet that is no UTF-8 has an offset and no line. */
static yaml_mark_t
offset_mark(const char *text, size_t offset)
{
	yaml_mark_t at = { 0 };

	for (size_t i = 0; i < offset; i++) {
		at.column = text[i] == '\n' ? 0 : at.column + 1;
		at.line += text[i] == '\n';
	}
	return at;
}

static int
syntax_error(struct reader *r, const char *text, size_t len)
{
	const yaml_parser_t *p = &r->parser;
	yaml_mark_t at = p->problem_mark;
	const char *right = "";
	char wrong[256];
	size_t offset = 0;

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR) {
		offset = p->problem_offset < len ? p->problem_offset : len;
		return refuse(r, offset_mark(text, offset), p->problem, "UTF-8 text");
	}
	for (size_t line = 0; line < at.line && offset < len; offset++)
		line += text[offset] == '\n';
	if (offset + at.column < len && text[offset + at.column] == '\t')
		right = "spaces: YAML is not indented with tabs";
	snprintf(wrong, sizeof(wrong), "%s%s%s", p->problem != NULL ? p->problem : "bad YAML",
		 p->context != NULL ? " " : "", p->context != NULL ? p->context : "");
	return refuse(r, at, wrong, right);
}

static int
read_events(struct reader *r, const char *text, size_t len)
{
	int rc = 0;

	for (bool end = false; !end && rc == 0;) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&r->parser, &ev))
			return syntax_error(r, text, len);
		end = ev.type == YAML_STREAM_END_EVENT;
		rc = event(r, &ev);
		if (rc == 0 && r->doc->n_nodes > NODES_MAX)
			rc = refuse(r, ev.start_mark, "too many values", "at most 4194304");
		yaml_event_delete(&ev);
	}
	return rc;
}

int
doc_read(struct doc *doc, const char *text, size_t len, struct conf_errors *e)
{
	struct reader r = { .doc = doc, .e = e };
	char *copy = malloc(len + 1);
	int rc = -ENOMEM;

	*doc = (struct doc) { .text = text };
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, text, len);
	if (mask(doc, copy, len) == 0 && yaml_parser_initialize(&r.parser)) {
		yaml_parser_set_input_string(&r.parser, (const unsigned char *)copy, len);
		yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
		rc = read_events(&r, copy, len);
		yaml_parser_delete(&r.parser);
	}
	explicit_bzero(copy, len);
	free(copy);
	if (rc == 0 && doc->root == NULL)
		conf_complain_at(e, false, 0, 0, "", "version: 1, gateway:, ports: …",
				 "the file is empty");
	if (rc == 0 && doc->root == NULL)
		rc = -EINVAL;
	if (rc < 0)
		doc_free(doc);
	return rc;
}
