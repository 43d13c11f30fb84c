#include "route/control.h"

#include <errno.h>

const char *
origin_name(enum origin origin)
{
	static const char *const names[ORIGIN_MAX] = {
		[ORIGIN_LOCAL] = "local",	  [ORIGIN_CONNECTED] = "connected",
		[ORIGIN_STATIC] = "static",	  [ORIGIN_KERNEL] = "kernel",
		[ORIGIN_NEIGHBOUR] = "neighbour",
	};

	return names[origin];
}

static uint32_t
prefix_bucket(const struct prefix *p)
{
	uint64_t h = p->len;

	for (int i = 0; i < 16; i++)
		h = (h ^ p->addr.octets[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(h ^ h >> 32) % PREFIX_BUCKETS;
}

static bool
prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->len == b->len && addr_equal(&a->addr, &b->addr);
}

static struct entry **
prefix_at(struct control *c, const struct prefix *p)
{
	struct entry **at = &c->prefixes[prefix_bucket(p)];

	while (*at != NULL && !prefix_equal(&(*at)->p, p))
		at = &(*at)->next;
	return at;
}

struct entry *
prefix_find(const struct control *c, const struct prefix *p)
{
	struct entry *e = c->prefixes[prefix_bucket(p)];

	while (e != NULL && !prefix_equal(&e->p, p))
		e = e->next;
	return e;
}

uint16_t
entry_winner(const struct control *c, const struct entry *e)
{
	uint16_t id = NEXT_HOP_NONE, host = e->hop[ORIGIN_NEIGHBOUR];

	for (int i = 0; i < ORIGIN_MAX && id == NEXT_HOP_NONE; i++)
		id = e->hop[i];
	if ((c->hops[id].flags & HOP_ON_LINK) != 0 && host != NEXT_HOP_NONE &&
	    c->hops[host].port == c->hops[id].port)
		return host;
	return id;
}

uint16_t
prefix_around(const struct control *c, const struct prefix *p, uint8_t *len)
{
	for (*len = p->len; *len > 0;) {
		struct prefix shorter = prefix_of(&p->addr, --*len);
		const struct entry *e = prefix_find(c, &shorter);

		if (e != NULL)
			return entry_winner(c, e);
	}
	return NEXT_HOP_NONE;
}

static struct trie *
trie_of(struct control *c, const struct prefix *p)
{
	return p->addr.family == 4 ? &c->route->v4 : &c->route->v6;
}

static int
entry_get(struct control *c, const struct prefix *p, struct entry **out, struct err *err)
{
	struct entry **at = prefix_at(c, p);

	if (*at == NULL) {
		struct entry *e = calloc(1, sizeof(*e));

		if (e == NULL)
			return err_set(err, -ENOMEM, "no memory for routes");
		e->p = *p;
		for (int i = 0; i < ORIGIN_MAX; i++)
			e->hop[i] = NEXT_HOP_NONE;
		*at = e;
	}
	*out = *at;
	return 0;
}

/* An entry for which nobody speaks any more goes. */
static void
entry_put(struct control *c, struct entry *e)
{
	struct entry **at;

	if (entry_winner(c, e) != NEXT_HOP_NONE)
		return;
	at = prefix_at(c, &e->p);
	*at = e->next;
	free(e);
}

int
prefix_set(struct control *c, const struct prefix *p, enum origin origin, uint16_t hop,
	   struct err *err)
{
	struct entry *e = NULL;
	uint16_t before, old;
	int rc;

	rc = entry_get(c, p, &e, err);
	if (rc < 0)
		return rc;
	before = entry_winner(c, e);
	old = e->hop[origin];
	e->hop[origin] = hop;
	if (entry_winner(c, e) != before) {
		rc = trie_set(trie_of(c, p), p, entry_winner(c, e), err);
		if (rc < 0) {
			e->hop[origin] = old;
			entry_put(c, e);
			return rc;
		}
		c->generation++;
	}
	if (old != NEXT_HOP_NONE)
		hop_give(c, old);
	return 0;
}

void
prefix_unset(struct control *c, const struct prefix *p, enum origin origin)
{
	struct entry *e = prefix_find(c, p);
	uint16_t before = entry_winner(c, e), old = e->hop[origin], now;

	e->hop[origin] = NEXT_HOP_NONE;
	now = entry_winner(c, e);
	if (now == NEXT_HOP_NONE) {
		uint8_t len;
		uint16_t around = prefix_around(c, p, &len);

		trie_clear(trie_of(c, p), p, len, around);
	} else if (now != before) {
		/* The prefix is in the table already, so this takes no memory and cannot fail. */
		trie_set(trie_of(c, p), p, now, NULL);
	}
	if (now != before)
		c->generation++;
	entry_put(c, e);
	hop_give(c, old);
}

void
prefixes_fini(struct control *c)
{
	for (uint32_t i = 0; i < PREFIX_BUCKETS; i++) {
		while (c->prefixes[i] != NULL) {
			struct entry *e = c->prefixes[i];

			c->prefixes[i] = e->next;
			free(e);
		}
	}
}
