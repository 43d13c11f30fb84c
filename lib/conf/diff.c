#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/index.h"
#include "conf/net.h"
#include "conf/print.h"

/* What is compared item by item, and the octets that an item is known by. */
struct kind {
	const char *name;
	uint8_t block;
	uint16_t items_at, n_at; /* in struct conf */
	uint16_t size, mark_at, id_at, id_size;
};

#define KIND(word, items, block, item, field, id_size)                                     \
	{                                                                                  \
		word, BLOCK_##block, offsetof(struct conf, items),                         \
			offsetof(struct conf, n_##items), sizeof(struct item),             \
			offsetof(struct item, mark), offsetof(struct item, field), id_size \
	}

static const struct kind kinds[CONF_KINDS] = {
	[CONF_GATEWAY] = { .name = "gateway", .block = BLOCK_GATEWAY },
	[CONF_PORT] = KIND("port", ports, PORT, conf_port, name, CONF_NAME_SIZE),
	[CONF_ROUTE] = KIND("route", routes, ROUTE, conf_route, to, sizeof(struct conf_net)),
	[CONF_NEIGHBOUR] = KIND("neighbour", neighbours, NEIGHBOUR, conf_neighbour, ip,
				sizeof(struct addr) + CONF_NAME_SIZE),
	[CONF_SA] = KIND("sa", sas, SA, conf_sa, name, CONF_NAME_SIZE),
	[CONF_POLICY] = KIND("policy", policies, POLICY, conf_policy, name, CONF_NAME_SIZE),
};

struct differ {
	const struct conf *old, *new;
	struct conf_diff *d;
	struct conf_errors *e;
	uint32_t room;
	bool no_memory;
};

/* What comparing an item found. */
struct found {
	FILE *f;	/* "df copy -> set, key changed" */
	uint16_t flags; /* of all rows that differ */
	uint32_t n;
};

static const char *
item_of(const struct conf *c, const struct kind *k, uint32_t i)
{
	char *items;

	memcpy(&items, (const char *)c + k->items_at, sizeof(items));
	return items + (size_t)i * k->size;
}

static uint32_t
count_of(const struct conf *c, const struct kind *k)
{
	uint32_t n;

	memcpy(&n, (const char *)c + k->n_at, sizeof(n));
	return n;
}

static void
label_print(FILE *f, enum conf_kind kind, const char *item)
{
	const struct conf_route *r = (const void *)item;
	const struct conf_neighbour *n = (const void *)item;
	char text[NET_TEXT_SIZE];

	fputs(kinds[kind].name, f);
	if (kind == CONF_ROUTE) {
		net_text(&r->to, text, sizeof(text));
		fprintf(f, " %s", text);
	} else if (kind == CONF_NEIGHBOUR) {
		addr_text(&n->ip, text);
		fprintf(f, " %s at %s", text, n->port_name);
	} else if (kind != CONF_GATEWAY) {
		fprintf(f, " %s", item);
	}
}

static void
side_print(FILE *f, const struct conf_key *k, const void *base)
{
	if (value_absent(k, (const char *)base + k->at))
		fputs("none", f);
	else
		field_print(f, k, base);
}

static void block_compare(struct found *to, enum conf_block block, const char *path, uint16_t flags,
			  const void *a, const void *b);

static void
key_compare(struct found *to, const struct conf_key *k, const char *path, uint16_t flags,
	    const void *a, const void *b)
{
	const char *fa = (const char *)a + k->at, *fb = (const char *)b + k->at;
	char below[96];

	flags |= k->flags;
	/* Within a block that both have, its own keys are what differs. */
	if (k->type == TYPE_MAP ||
	    (k->type == TYPE_OPTION && *(const bool *)fa && *(const bool *)fb)) {
		snprintf(below, sizeof(below), "%s%s.", path, k->name);
		block_compare(to, k->sub, below, flags, a, b);
		return;
	}
	if (k->type == TYPE_OPTION ? *(const bool *)fa == *(const bool *)fb : value_same(k, fa, fb))
		return;
	to->flags |= flags;
	fprintf(to->f, "%s%s%s ", to->n++ == 0 ? "" : ", ", path, k->name);
	if (k->type == TYPE_SECRET) {
		fputs("changed", to->f);
		return;
	}
	side_print(to->f, k, a);
	fputs(" -> ", to->f);
	side_print(to->f, k, b);
}

static void
block_compare(struct found *to, enum conf_block block, const char *path, uint16_t flags,
	      const void *a, const void *b)
{
	uint32_t n;
	const struct conf_key *k = schema_block(block, &n);

	for (; n > 0; n--, k++)
		if ((k->flags & KEY_APART) == 0)
			key_compare(to, k, path, flags, a, b);
}

static void
change_add(struct differ *x, const struct conf_change *c)
{
	struct conf_diff *d = x->d;

	if (d->n == x->room) {
		uint32_t room = x->room * 2 + 16;
		void *p = realloc(d->changes, room * sizeof(*c));

		if (p == NULL) {
			free(c->line);
			x->no_memory = true;
			return;
		}
		d->changes = p;
		x->room = room;
	}
	d->changes[d->n++] = *c;
	d->n_of[c->kind]++;
	d->restart |= c->restart;
}

/* "+ sa x" and the like; what is printed behind a colon, or "". */
static void
note(struct differ *x, struct conf_change c, const char *item, const char *what)
{
	static const char signs[] = {
		[CONF_ADDED] = '+', [CONF_REMOVED] = '-', [CONF_CHANGED] = '~', [CONF_MOVED] = '>'
	};
	size_t size;
	FILE *f = open_memstream(&c.line, &size);

	if (f == NULL) {
		x->no_memory = true;
		return;
	}
	fprintf(f, "%c ", signs[c.verb]);
	label_print(f, c.kind, item);
	fprintf(f, "%s%s", what[0] != 0 ? ": " : "", what);
	fclose(f);
	change_add(x, &c);
}

/* Each key of a port or the gateway that needs a restart, where it stands in the new file. */
static void
complain_keys(struct differ *x, enum conf_kind kind, const char *a, const char *b,
	      const struct conf_mark *mark, const struct conf_place *places)
{
	uint32_t n;
	const struct conf_key *k = schema_block(kinds[kind].block, &n);

	for (uint32_t i = 0; i < n; i++, k++) {
		struct conf_place at = i < CONF_PLACES && places[i].line != 0 ?
					       places[i] :
					       (struct conf_place) { mark->line, mark->col };
		struct found found = { .f = fopen("/dev/null", "w") };
		char path[96];

		if (found.f == NULL) {
			x->no_memory = true;
			return;
		}
		key_compare(&found, k, "", 0, a, b);
		fclose(found.f);
		if ((found.flags & KEY_RESTART) == 0)
			continue;
		conf_mark_path(mark, path, sizeof(path) - 32);
		snprintf(path + strlen(path), 32, ".%s", k->name);
		conf_complain_at(x->e, false, at.line, at.col, path,
				 "restart, or leave it as it was", "cannot change while running");
	}
}

static void
compare(struct differ *x, enum conf_kind kind, uint32_t was, uint32_t now, const char *a,
	const char *b, bool moved)
{
	struct conf_change c = { .kind = kind, .verb = CONF_CHANGED, .was = was, .now = now };
	const struct conf_port *port = (const void *)b;
	struct conf_mark gateway = { .line = 1, .col = 1, .list = CONF_LIST_GATEWAY };
	char *text = NULL;
	size_t size;
	struct found found = { .f = open_memstream(&text, &size) };

	if (found.f == NULL) {
		x->no_memory = true;
		return;
	}
	block_compare(&found, kinds[kind].block, "", 0, a, b);
	fclose(found.f);
	c.restart = (found.flags & KEY_RESTART) != 0;
	c.renew = (found.flags & KEY_RENEW) != 0;
	if (found.n == 0)
		c.verb = CONF_MOVED;
	if (found.n != 0 || moved)
		note(x, c, b, found.n != 0 ? text : "");
	if (c.restart && kind == CONF_PORT)
		complain_keys(x, kind, a, b, &port->mark, port->places);
	else if (c.restart)
		complain_keys(x, kind, a, b, &gateway, x->new->gateway.places);
	free(text);
}

/* A port comes and goes with its device and its queues. */
static void
port_comes_or_goes(struct differ *x, struct conf_change *c, const char *item)
{
	const struct conf_port *p = (const void *)item;

	if (c->kind != CONF_PORT)
		return;
	c->restart = true;
	conf_complain_at(x->e, false, c->verb == CONF_ADDED ? p->mark.line : 0, p->mark.col,
			 "ports", "restart, or leave it as it was",
			 "port %s cannot %s while running", p->name,
			 c->verb == CONF_ADDED ? "be added" : "be taken away");
}

/* The items that are in the old configuration alone. */
static void
find_removed(struct differ *x, enum conf_kind kind, const bool *kept)
{
	const struct kind *k = &kinds[kind];

	for (uint32_t i = 0; i < count_of(x->old, k); i++) {
		struct conf_change c = {
			.kind = kind, .verb = CONF_REMOVED, .was = i, .now = CONF_NONE
		};
		const char *item = item_of(x->old, k, i);

		if (kept[i])
			continue;
		port_comes_or_goes(x, &c, item);
		note(x, c, item, "");
	}
}

static void
find_others(struct differ *x, enum conf_kind kind, const struct index *ix, bool *kept)
{
	const struct kind *k = &kinds[kind];
	uint32_t furthest = 0;

	for (uint32_t i = 0; i < count_of(x->new, k); i++) {
		const char *item = item_of(x->new, k, i);
		uint32_t was = index_get(ix, item + k->id_at, k->id_size);
		struct conf_change c = {
			.kind = kind, .verb = CONF_ADDED, .was = CONF_NONE, .now = i
		};
		bool moved;

		x->d->from[kind][i] = was;
		if (was == INDEX_NONE) {
			port_comes_or_goes(x, &c, item);
			note(x, c, item, "");
			continue;
		}
		kept[was] = true;
		moved = kind == CONF_POLICY && was < furthest;
		furthest = was > furthest ? was : furthest;
		compare(x, kind, was, i, item_of(x->old, k, was), item, moved);
	}
}

static void
kind_diff(struct differ *x, enum conf_kind kind)
{
	const struct kind *k = &kinds[kind];
	uint32_t n_old = count_of(x->old, k);
	bool *kept = calloc(n_old + 1, sizeof(*kept));
	struct index ix = { 0 };

	x->d->from[kind] = calloc(count_of(x->new, k) + 1, sizeof(uint32_t));
	if (kept != NULL && x->d->from[kind] != NULL && index_init(&ix, n_old) == 0) {
		for (uint32_t i = 0; i < n_old; i++)
			index_put(&ix, item_of(x->old, k, i) + k->id_at, k->id_size, i);
		find_others(x, kind, &ix, kept);
		find_removed(x, kind, kept);
	} else {
		x->no_memory = true;
	}
	index_fini(&ix);
	free(kept);
}

int
conf_diff(const struct conf *old, const struct conf *new, struct conf_diff *d,
	  struct conf_errors *e)
{
	struct differ x = { .old = old, .new = new, .d = d, .e = e };

	*d = (struct conf_diff) { 0 };
	compare(&x, CONF_GATEWAY, 0, 0, (const char *)&old->gateway, (const char *)&new->gateway,
		false);
	for (enum conf_kind kind = CONF_PORT; kind < CONF_KINDS; kind++)
		kind_diff(&x, kind);
	if (x.no_memory) {
		conf_diff_free(d);
		return -ENOMEM;
	}
	return d->restart ? -EINVAL : 0;
}

void
conf_diff_free(struct conf_diff *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		free(d->changes[i].line);
	free(d->changes);
	for (int kind = 0; kind < CONF_KINDS; kind++)
		free(d->from[kind]);
	*d = (struct conf_diff) { 0 };
}

void
conf_diff_print(FILE *f, const struct conf_diff *d)
{
	for (uint32_t i = 0; i < d->n; i++)
		fprintf(f, "%s\n", d->changes[i].line);
}
