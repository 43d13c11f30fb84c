#include "conf/bind.h"

#include <stdarg.h>
#include <string.h>

size_t
path_push(struct load *l, const char *format, ...)
{
	size_t was = l->path_len;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(l->path + was, sizeof(l->path) - was, format, ap);
	va_end(ap);
	if (n > 0)
		l->path_len = was + n < sizeof(l->path) ? was + n : sizeof(l->path) - 1;
	return was;
}

void
path_pop(struct load *l, size_t was)
{
	l->path_len = was;
	l->path[was] = 0;
}

static bool
complain(struct load *l, const struct node *n, const char *right, const char *format, va_list ap)
{
	char text[512];

	if (n != NULL && n->bad)
		return false;
	vsnprintf(text, sizeof(text), format, ap);
	conf_complain_at(l->e, false, n != NULL ? n->line : 0, n != NULL ? n->col : 0, l->path,
			 right, "%s", text);
	return false;
}

bool
load_error(struct load *l, const struct node *n, const char *right, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	complain(l, n, right, format, ap);
	va_end(ap);
	return false;
}

bool
value_error(struct load *l, const struct conf_key *k, const struct node *n, const char *format, ...)
{
	char right[512];
	va_list ap;

	schema_values(k, right, sizeof(right));
	va_start(ap, format);
	complain(l, n, right, format, ap);
	va_end(ap);
	return false;
}

/* Is what was read here refused by this version? */
static bool
gate_refuses(const struct conf_gate *g, const struct conf_key *k, const struct node *n,
	     const void *field, const void *def)
{
	if (g->refused != NULL)
		return n->kind == NODE_SCALAR && strcmp(n->text, g->refused) == 0;
	return k->type == TYPE_OPTION || def == NULL || memcmp(field, def, k->size) != 0;
}

static void
gate_check(struct load *l, const struct conf_key *k, const struct node *n, const void *base,
	   const void *defaults)
{
	const char *def = defaults != NULL ? (const char *)defaults + k->at : NULL;

	for (const struct conf_gate *g = conf_gates; g < conf_gates + conf_n_gates; g++) {
		if (g->block != k->block || strcmp(g->name, k->name) != 0)
			continue;
		if (!gate_refuses(g, k, n, (const char *)base + k->at, def))
			continue;
		load_error(l, n, g->right, "%s%snot supported by this version",
			   n->kind == NODE_SCALAR ? n->text : "",
			   n->kind == NODE_SCALAR ? ": " : "");
		return;
	}
}

static void
bind_option(struct load *l, const struct conf_key *k, const struct node *n, void *base,
	    const void *defaults)
{
	struct target t = { .block = k->sub, .also = BLOCKS, .base = base, .defaults = defaults };
	bool *on = k->type == TYPE_OPTION ? (bool *)((char *)base + k->at) : NULL;
	uint64_t given = 0;

	if (n->kind != NODE_MAP) {
		value_error(l, k, n, n->kind == NODE_LIST ? "a list" : "a single value");
		return;
	}
	bind_map(l, n, &t, &given, NULL);
	/* A half adds to what its tunnel has. */
	if (on == NULL || !*on)
		bind_require(l, n, k->sub, given, 0);
	if (on != NULL)
		*on = true;
}

static void
bind_value(struct load *l, const struct conf_key *k, const struct node *n, void *base,
	   const void *defaults)
{
	bool ok = !n->bad;

	if ((k->flags & KEY_APART) != 0 || n->bad)
		return;
	if (k->type == TYPE_MAP || k->type == TYPE_OPTION)
		bind_option(l, k, n, base, defaults);
	else
		ok = value_read(l, k, n, (char *)base + k->at);
	if (ok)
		gate_check(l, k, n, base, defaults);
}

static void
unknown_key(struct load *l, const struct node *key, const struct target *t)
{
	const char *near =
		schema_nearest(t->block, t->also == BLOCKS ? t->block : t->also, key->text);
	char right[64];

	snprintf(right, sizeof(right), "did you mean %s?", near != NULL ? near : "");
	if (near != NULL && strcmp(near, key->text) == 0)
		load_error(l, key, "a tunnel's are local, remote, out and in",
			   "not a key of a tunnel");
	else
		load_error(l, key, near != NULL ? right : NULL, "unknown key");
}

/* The row of a key, and which of the two blocks it is of. */
static const struct conf_key *
find_row(const struct target *t, const char *name, bool *also)
{
	const struct conf_key *k = schema_find(t->block, name);

	*also = false;
	if (k == NULL && t->also != BLOCKS) {
		k = schema_find(t->also, name);
		*also = true;
	}
	return k != NULL && (k->flags & t->without) != 0 ? NULL : k;
}

void
bind_map(struct load *l, const struct node *map, const struct target *t, uint64_t *given,
	 uint64_t *also_given)
{
	uint64_t seen[2] = { 0, 0 };
	uint32_t n;

	for (const struct node *key = map->child; key != NULL; key = key->next->next) {
		const struct node *value = key->next;
		size_t was = path_push(l, "%s%.64s", l->path_len != 0 ? "." : "", key->text);
		bool also;
		const struct conf_key *k = find_row(t, key->text, &also);
		uint64_t bit = 0;

		if (k != NULL)
			bit = UINT64_C(1) << (k - schema_block(k->block, &n));
		if (k == NULL)
			unknown_key(l, key, t);
		else if ((seen[also] & bit) != 0)
			load_error(l, key, "once", "given twice");
		else
			bind_value(l, k, value, also ? t->also_base : t->base,
				   also ? t->also_defaults : t->defaults);
		seen[also] |= bit;
		path_pop(l, was);
	}
	if (given != NULL)
		*given |= seen[0];
	if (also_given != NULL)
		*also_given |= seen[1];
}

void
bind_require(struct load *l, const struct node *map, enum conf_block block, uint64_t given,
	     uint8_t without)
{
	uint32_t n;
	const struct conf_key *k = schema_block(block, &n);

	for (uint32_t i = 0; i < n; i++, k++) {
		size_t was;

		if ((k->flags & KEY_REQUIRED) == 0 || (k->flags & without) != 0 ||
		    (given & UINT64_C(1) << i) != 0)
			continue;
		was = path_push(l, "%s%s", l->path_len != 0 ? "." : "", k->name);
		value_error(l, k, map, "missing");
		path_pop(l, was);
	}
}

static void
default_list(struct load *l, const struct conf_key *k, void *field)
{
	struct doc doc;

	if (doc_read(&doc, k->def, strlen(k->def), l->e) < 0) {
		l->no_memory = true;
		return;
	}
	value_read(l, k, doc.root, field);
	doc_free(&doc);
}

void
bind_defaults(struct load *l, enum conf_block block, void *base)
{
	uint32_t n;
	const struct conf_key *k = schema_block(block, &n);

	for (; n > 0; n--, k++) {
		struct node scalar = { .kind = NODE_SCALAR, .text = k->def };

		if (k->def != NULL)
			scalar.n = strlen(k->def);

		if ((k->flags & KEY_APART) != 0)
			continue;
		if (k->type == TYPE_MAP || k->type == TYPE_OPTION)
			bind_defaults(l, k->sub, base);
		else if (k->def != NULL && k->def[0] == '[')
			default_list(l, k, (char *)base + k->at);
		else if (k->def != NULL)
			value_read(l, k, &scalar, (char *)base + k->at);
	}
}
