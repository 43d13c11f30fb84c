#include "route/control.h"

#include "base/json.h"

static void
print_hop(const struct control *c, const struct next_hop *h, FILE *f)
{
	struct addr a = hop_addr(h);
	char text[ADDR_TEXT_SIZE];

	if ((h->flags & HOP_IS_LOCAL) != 0)
		fprintf(f, "here");
	else if ((h->flags & HOP_NOWHERE) != 0)
		fprintf(f, "nowhere: no_route");
	else if ((h->flags & HOP_ON_LINK) != 0)
		fprintf(f, "on the link of %s", c->links[h->port].name);
	else
		fprintf(f, "via %s on %s%s", addr_text(&a, text), c->links[h->port].name,
			(h->flags & HOP_HAS_MAC) != 0 ? "" : " (no neighbour)");
}

static void
print_entry(const struct control *c, const struct entry *e, FILE *f)
{
	bool first = true;
	char text[ADDR_TEXT_SIZE];

	for (int i = 0; i < ORIGIN_MAX; i++) {
		if (e->hop[i] == NEXT_HOP_NONE)
			continue;
		fprintf(f, "%c %-43s %-9s ", first ? '*' : ' ', prefix_text(&e->p, text),
			origin_name(i));
		print_hop(c, &c->hops[e->hop[i]], f);
		fputc('\n', f);
		first = false;
	}
}

static const char *
neigh_origin_name(const struct hop_book *book)
{
	return hop_neigh_origin(book) == NEIGH_KERNEL ? "kernel" : "static";
}

void
route_print(const struct route *r, FILE *f)
{
	const struct control *c = r->control;
	char text[ADDR_TEXT_SIZE], mac[RTE_ETHER_ADDR_FMT_SIZE];

	for (uint32_t i = 0; i < PREFIX_BUCKETS; i++)
		for (const struct entry *e = c->prefixes[i]; e != NULL; e = e->next)
			print_entry(c, e, f);
	for (uint16_t id = c->neighbours; id != NEXT_HOP_NONE; id = c->book[id].later) {
		const struct hop_book *book = &c->book[id];
		struct addr a = hop_addr(&c->hops[id]);

		rte_ether_format_addr(mac, sizeof(mac), &book->mac[hop_neigh_origin(book)]);
		fprintf(f, "neighbour %s %s on %s, %s\n", addr_text(&a, text), mac,
			c->links[c->hops[id].port].name, neigh_origin_name(book));
	}
}

static void
json_entry(const struct control *c, const struct entry *e, struct json *j)
{
	bool first = true;
	char text[ADDR_TEXT_SIZE];

	for (int i = 0; i < ORIGIN_MAX; i++) {
		const struct next_hop *h = &c->hops[e->hop[i]];
		struct addr via = hop_addr(h);

		if (e->hop[i] == NEXT_HOP_NONE)
			continue;
		json_object(j, NULL);
		json_string(j, "to", prefix_text(&e->p, text));
		json_string(j, "origin", origin_name(i));
		json_bool(j, "used", first);
		if (e->hop[i] == HOP_REFUSED)
			json_bool(j, "nowhere", true);
		if (e->hop[i] >= HOP_FIRST)
			json_string(j, "port", c->links[h->port].name);
		if (e->hop[i] >= HOP_FIRST && (h->flags & HOP_ON_LINK) == 0)
			json_string(j, "via", addr_text(&via, text));
		json_end(j);
		first = false;
	}
}

void
route_json(const struct route *r, struct json *j)
{
	const struct control *c = r->control;
	char text[ADDR_TEXT_SIZE], mac[RTE_ETHER_ADDR_FMT_SIZE];

	json_array(j, "routes");
	for (uint32_t i = 0; i < PREFIX_BUCKETS; i++)
		for (const struct entry *e = c->prefixes[i]; e != NULL; e = e->next)
			json_entry(c, e, j);
	json_end(j);
	json_array(j, "neighbours");
	for (uint16_t id = c->neighbours; id != NEXT_HOP_NONE; id = c->book[id].later) {
		const struct hop_book *book = &c->book[id];
		struct addr a = hop_addr(&c->hops[id]);

		rte_ether_format_addr(mac, sizeof(mac), &book->mac[hop_neigh_origin(book)]);
		json_object(j, NULL);
		json_string(j, "ip", addr_text(&a, text));
		json_string(j, "mac", mac);
		json_string(j, "port", c->links[c->hops[id].port].name);
		json_string(j, "origin", neigh_origin_name(book));
		json_end(j);
	}
	json_end(j);
}
