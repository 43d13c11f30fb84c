#include <inttypes.h>

#include "conf/print.h"

/* Each key on a line of its own; the first is led by `first`, the others by as many spaces. */
static void
item_print(FILE *f, enum conf_block block, const void *base, const char *first, int indent)
{
	uint32_t n;
	const struct conf_key *k = schema_block(block, &n);

	for (; n > 0; n--, k++) {
		if (value_absent(k, (const char *)base + k->at))
			continue;
		fprintf(f, "%*s%s: ", indent, first, k->name);
		first = "";
		field_print(f, k, base);
		fputc('\n', f);
	}
}

static void
list_print(FILE *f, const char *name, enum conf_block block, const void *items, uint32_t n,
	   size_t size)
{
	const char *item = items;

	if (n != 0)
		fprintf(f, "%s:\n", name);
	for (; n > 0; n--, item += size)
		item_print(f, block, item, "- ", 4);
}

void
conf_print(FILE *f, const struct conf *c)
{
	fprintf(f, "version: %u\ngateway:\n", c->version);
	item_print(f, BLOCK_GATEWAY, &c->gateway, "", 2);
	list_print(f, "ports", BLOCK_PORT, c->ports, c->n_ports, sizeof(*c->ports));
	list_print(f, "routes", BLOCK_ROUTE, c->routes, c->n_routes, sizeof(*c->routes));
	list_print(f, "neighbours", BLOCK_NEIGHBOUR, c->neighbours, c->n_neighbours,
		   sizeof(*c->neighbours));
	list_print(f, "sas", BLOCK_SA, c->sas, c->n_sas, sizeof(*c->sas));
	list_print(f, "policies", BLOCK_POLICY, c->policies, c->n_policies, sizeof(*c->policies));
}

static void
cost_print(FILE *f, const char *path, const struct conf_key *k, const void *base)
{
	const uint32_t *small = (const void *)((const char *)base + k->at);
	const uint64_t *large = (const void *)small;
	uint64_t n = k->size == 4 ? *small : *large;

	fprintf(f, "%s%s: ", path, k->name);
	value_print(f, k, small);
	if (n != 0)
		fprintf(f, ": %.1f MiB", n * (double)k->cost / (1 << 20));
	fputc('\n', f);
}

static const char *
path_of(enum conf_block block)
{
	return block == BLOCK_MAX_ROUTES ? "gateway.max_routes." :
	       block == BLOCK_REASSEMBLY ? "gateway.reassembly." :
					   "gateway.";
}

void
conf_costs_print(FILE *f, const struct conf *c)
{
	for (const struct conf_key *k = conf_keys; k < conf_keys + conf_n_keys; k++)
		if (k->cost != 0)
			cost_print(f, path_of(k->block), k, &c->gateway);
}
