/* From the tree of a document to structs, by the schema: what reads one map of the file, and the
 * readers of single values.
 *
 * Inside lib/conf only. Each reader that finds something wrong says so in l->e, at the node and
 * under the path at hand, and leaves the field as it was.
 */
#ifndef CONF_BIND_H
#define CONF_BIND_H

#include "conf/doc.h"
#include "conf/schema.h"

/* What the checks want to know of an item besides its struct. */
struct origin {
	const struct node *map;	 /* the item's own, or the half of a tunnel (NULL: it has none) */
	const struct node *also; /* the tunnel's, behind a half */
	bool bad;		 /* something in it was complained of: no more of it */
};

struct load {
	struct conf *conf;
	struct conf_errors *e;
	struct doc doc;
	const char *file; /* as it was named */
	bool open_file;	  /* others may read the file */
	bool warned_inline;
	unsigned flags;
	bool no_memory;
	struct origin *ports, *routes, *neighbours, *sas, *policies;
	struct {
		struct conf_gateway gateway;
		struct conf_port port;
		struct conf_sa sa;
		struct conf_policy policy;
	} defaults;
	size_t path_len;
	char path[192];
};

/* Where a map's values go. `also` is a second block that its keys may be of, BLOCKS when there is
 * none; keys with one of the flags `without` are unknown here.
 */
struct target {
	enum conf_block block, also;
	uint8_t without;
	void *base, *also_base;
	const void *defaults, *also_defaults; /* item structs that hold the defaults, or NULL */
};

/* Reads the keys of a map; *given has a bit for each row of `block` that was there, *also_given of
 * `also` (each may be NULL).
 */
void bind_map(struct load *l, const struct node *map, const struct target *t, uint64_t *given,
	      uint64_t *also_given);
/* Complains of each required row of the block that was not given; without: flags of rows to pass
 * over. */
void bind_require(struct load *l, const struct node *map, enum conf_block block, uint64_t given,
		  uint8_t without);
/* Fills an item's struct with the defaults of its block. */
void bind_defaults(struct load *l, enum conf_block block, void *base);

/* The path of what is being read grows and shrinks: path_push returns what path_pop wants. */
size_t path_push(struct load *l, const char *format, ...) __rte_format_printf(2, 3);
void path_pop(struct load *l, size_t was);
/* An error at a node, under the path at hand. right may be NULL. Returns false. */
bool load_error(struct load *l, const struct node *n, const char *right, const char *format, ...)
	__rte_format_printf(4, 5);
/* "what is wrong: what this key's values look like" */
bool value_error(struct load *l, const struct conf_key *k, const struct node *n, const char *format,
		 ...) __rte_format_printf(4, 5);

/* One value into its field. False when it was complained of. */
bool value_read(struct load *l, const struct conf_key *k, const struct node *n, void *field);
bool addr_read(struct load *l, const struct conf_key *k, const struct node *n, void *field);
bool prefix_read(struct load *l, const struct conf_key *k, const struct node *n, void *field);
bool nets_read(struct load *l, const struct conf_key *k, const struct node *n, void *field);
bool ifaddrs_read(struct load *l, const struct conf_key *k, const struct node *n, void *field);

/* The keys of an SA, with its suite known; what it says never holds an octet of them. */
void secrets_read(struct load *l, struct conf_sa *sa, const struct origin *o);

/* The parts of a file, one after the other. */
void read_root(struct load *l);
void read_tunnels(struct load *l, const struct node *list);
/* How many SAs and policies that makes at most; NULL: none. */
uint32_t tunnels_n_sas(const struct node *list);
uint32_t tunnels_n_policies(const struct node *list);
void check_all(struct load *l);

/* The node of an item's key: of a half first, then of its tunnel. */
static inline const struct node *
origin_get(const struct origin *o, const char *key)
{
	const struct node *n = node_get(o->map, key);

	return n != NULL ? n : node_get(o->also, key);
}

#endif
