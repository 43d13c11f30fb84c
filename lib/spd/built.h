/* A set of rules of one side in rte_acl, never changed but for the spans of its copies. */
#ifndef SPD_BUILT_H
#define SPD_BUILT_H

#include "spd/tables.h"

struct rte_acl_ctx;

/* rule.extra is EXTRA_NONE or anything else: then extra is right beside it. */
struct built_rule {
	struct rule rule;
	struct rule_extra extra;
};

/* By precedence. Those of one policy have the same and lie together. */
struct built {
	struct rte_acl_ctx *whole; /* of packets with ports */
	struct rte_acl_ctx *later; /* of later fragments: no rule asks for ports */
	uint32_t n;
	struct built_rule rules[];
};

/* False: rte_acl would need too many entries, because of ranges far from prefixes. */
bool built_takes(const struct rule *r, const struct rule_extra *x);

/* Takes b, with n > 0 sorted rules; built_free() frees it and what rte_acl made, on failure too.
 * -ENOMEM; whatever rte_acl says.
 */
int built_make(struct built *b, uint8_t side, int socket, struct err *err);
void built_free(void *built); /* NULL is fine */

/* The first rule of that precedence or a worse one: n = there is none. */
uint32_t built_position(const struct built *b, uint64_t precedence);

void built_find(const struct built *b, uint8_t side, uint32_t generation,
		const struct spd_key *keys, uint16_t n, struct finding *found);

#endif
