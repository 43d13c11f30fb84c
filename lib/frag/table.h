/* Datagrams that wait for pieces, of one worker. It knows no SA and no port: whether a source has a
 * reserve it is told. Inside lib/frag, and for tests.
 *
 * Everything is by index into arrays that are made once. Datagrams stand in two lists in the order
 * of their coming, which is that of their ends: one of all with a reserve, or of all without, and
 * one of their source. So the oldest of either is at hand, and what is due is found without a
 * search. All sources without a reserve are one.
 */
#ifndef FRAG_TABLE_H
#define FRAG_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "frag/reasm.h"

struct worker;

/* Parts of what there is. */
#define FRAG_OTHERS_PART 4 /* all sources without a reserve have one of so many */
#define FRAG_SOURCE_PART 4 /* one with a reserve has at most one of so many of the rest */

struct datagram_key {
	uint64_t src[2], dst[2]; /* IPv4: the first 4 octets of each, the rest 0 */
	uint64_t rest;		 /* id, protocol (IPv4 alone), version */
};

struct frag_table;

/* -ENOMEM. */
int frag_table_create(const struct frag_limits *limits, const uint64_t secret[5], int socket,
		      struct frag_table **out, struct err *err);
/* Frees what is held; NULL is fine. */
void frag_table_free(struct frag_table *t);

void frag_table_limits_set(struct frag_table *t, uint64_t timeout, uint32_t max_pieces);

/* The key of a fragment, and its hash under the secret. id: as on the wire. */
uint64_t datagram_key_of(const struct rte_mbuf *m, uint32_t id, const uint64_t secret[5],
			 struct datagram_key *key);
/* The source alone. */
uint64_t source_hash(const uint64_t src[2], bool v6, const uint64_t secret[5]);

/* frag_take() of reasm.h. reserved: its source has a reserve. */
struct rte_mbuf *frag_table_put(struct frag_table *t, struct worker *w, struct rte_mbuf *m,
				bool reserved);

/* Ends at most max datagrams whose time is over. */
void frag_table_expire(struct frag_table *t, struct worker *w, uint32_t max);
/* Ends all. */
void frag_table_drop(struct frag_table *t, struct worker *w, enum drop_reason why);

uint32_t frag_table_held(const struct frag_table *t);
void frag_table_count(const struct frag_table *t, struct frag_counts *counts);

#endif
