/* The schema: every key of the configuration as a row of one table, in the order of the
 * documentation.
 *
 * A key belongs to a block, which is a map of the file; `ports`, `sas` … are lists of blocks. A row
 * says where the value goes in the block's struct (conf.h), so reading, defaults, printing and
 * comparing need no code for a key. A new key is a row and a field.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

enum conf_block {
	BLOCK_ROOT,
	BLOCK_GATEWAY,
	BLOCK_MAX_ROUTES,
	BLOCK_ACQUIRE,
	BLOCK_REASSEMBLY,
	BLOCK_PORT,
	BLOCK_MIRROR,
	BLOCK_ROUTE,
	BLOCK_NEIGHBOUR,
	BLOCK_TUNNEL,
	BLOCK_SA,
	BLOCK_INNER,
	BLOCK_BUNDLE,
	BLOCK_ENCAP,
	BLOCK_PMTU,
	BLOCK_TFC,
	BLOCK_IPCOMP,
	BLOCK_IPTFS,
	BLOCK_BREAKER,
	BLOCK_LIFETIME,
	BLOCK_POLICY,
	BLOCKS
};

/* What a value looks like in the file, and the field it goes to. */
enum conf_type {
	TYPE_BOOL,    /* bool */
	TYPE_NUMBER,  /* uint8_t … uint64_t by size; words beside numbers where there are some */
	TYPE_TIME,    /* uint64_t, microseconds */
	TYPE_MASK,    /* uint64_t: a list of numbers below 64; a word means all */
	TYPE_NAME,    /* char[]: letters, digits, '_', '-', '.' */
	TYPE_NAMES,   /* struct conf_names: a name or a list of them */
	TYPE_TEXT,    /* char[] */
	TYPE_ADDR,    /* struct addr */
	TYPE_PREFIX,  /* struct conf_net, no host bits */
	TYPE_NETS,    /* struct conf_nets: a prefix, a range, any, or a list of them */
	TYPE_IFADDRS, /* struct conf_ifaddrs */
	TYPE_MAC,     /* uint8_t[6] */
	TYPE_ALG,     /* const struct alg *; min is its kind */
	TYPE_SECRET,  /* struct conf_secret */
	TYPE_ENGINES, /* struct conf_engines: a list of words */
	TYPE_DEVICES, /* struct conf_devices: a list of texts */
	TYPE_PORT_PAIR,	 /* uint16_t[2] */
	TYPE_PORT_RANGE, /* struct conf_port_range */
	TYPE_DSCP_MAP,	 /* struct conf_dscp_map */
	TYPE_MAP,	 /* the block `sub` */
	TYPE_OPTION,	 /* the block `sub`, off unless given: the field is its bool `on` */
	TYPE_LIST,	 /* a list of blocks `sub` */
};

enum key_flags {
	KEY_REQUIRED = 1 << 0,
	KEY_RESTART = 1 << 1,	/* reload cannot change it */
	KEY_RENEW = 1 << 2,	/* what an SA is, not how it treats packets */
	KEY_OUT = 1 << 3,	/* means something to outbound SAs only */
	KEY_IN = 1 << 4,	/* to inbound SAs only */
	KEY_NO_TUNNEL = 1 << 5, /* of an SA, but not of a tunnel, nor of its halves */
	KEY_HALF = 1 << 6,  /* of an SA, and may be given in a tunnel's halves, not in the tunnel */
	KEY_APART = 1 << 7, /* the block has a struct of its own, bound by that block's code */
	KEY_HEX = 1 << 8,   /* printed in hexadecimal */
};

/* A tunnel of the file; it becomes two SAs and two policies. */
struct conf_tunnel {
	char name[CONF_NAME_SIZE - 4]; /* ".out" goes behind it */
	struct addr local, remote;
	struct conf_nets local_nets, remote_nets;
};

struct conf_word {
	const char *name;
	uint64_t value;
};

struct conf_key {
	uint8_t block; /* enum conf_block */
	uint8_t type;  /* enum conf_type */
	uint8_t sub;   /* enum conf_block of TYPE_MAP, TYPE_OPTION, TYPE_LIST */
	uint16_t flags;
	uint16_t at;   /* offset in the struct of the item that the block belongs to */
	uint16_t size; /* of the field */
	uint16_t cost; /* octets of memory that one of it takes; 0 where it is no limit */
	const char *name;
	const char *def; /* as it would be written; NULL: none */
	uint64_t min, max;
	const struct conf_word *words; /* ended by a NULL name */
	const char *unit;
	const char *help;
};

extern const struct conf_key conf_keys[];
extern const uint32_t conf_n_keys;

/* The rows of a block, *n of them, one after the other. */
const struct conf_key *schema_block(enum conf_block block, uint32_t *n);
const struct conf_key *schema_find(enum conf_block block, const char *name);
/* The key of that block whose name is nearest to a misspelt one, or NULL when none is near; `also`
 * is a second block to look in.
 */
const char *schema_nearest(enum conf_block block, enum conf_block also, const char *name);
/* The same among words. */
const char *word_nearest(const struct conf_word *words, const char *name);

/* "poll or sleep", "576 to 65535 octets": what a key's values look like, for errors and the man
 * page. */
void schema_values(const struct conf_key *k, char *buf, size_t size);

/* A configuration that asks for what this version does not do. `name` is a row of that block. */
struct conf_gate {
	uint8_t block;
	const char *name;
	const char *refused; /* the word that is refused; NULL: whatever is not the default */
	const char *right;
};

extern const struct conf_gate conf_gates[];
extern const uint32_t conf_n_gates;

#endif
