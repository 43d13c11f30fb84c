/* Stateful fragment checking (RFC 4301 section 7): where a policy asks for ports, a datagram's
 * later fragments, which have none, get what its first fragment got.
 *
 * Nothing is put together. A datagram is known by its way (out; in clear; in by one SA), addresses,
 * identification and, in IPv4, protocol, for as long as reassembly.timeout says; the oldest goes
 * where there are too many. Later fragments that come before the first one wait for it, few of each
 * datagram. Two first fragments that get different verdicts end the datagram: one of them is there
 * to pass the other's octets.
 *
 * The worker's, as all in reasm.h; one worker owns a datagram: frag_owner_of().
 */
#ifndef FRAG_VIRTUAL_H
#define FRAG_VIRTUAL_H

#include <stdbool.h>
#include <stdint.h>

#include "frag/reasm.h"

#define FRAG_WAITING_MAX 4 /* later fragments of one datagram */

enum frag_way {
	FRAG_OUT,
	FRAG_IN, /* by pkt.sa and pkt.generation; SA_NONE: in clear */
};

struct frag_virtual;

/* -ENOMEM. max_waiting: packet buffers, of all datagrams together. */
int frag_virtual_create(uint32_t max_datagrams, uint32_t max_waiting, const uint64_t secret[5],
			int socket, struct frag_virtual **out, struct err *err);
/* Frees what waits; NULL is fine. */
void frag_virtual_free(struct frag_virtual *v);

/* A fragment whose ports matter. Of a first one pkt.policy is what it matches, or POLICY_NONE; that
 * is remembered for this generation of the SPD, and those that waited for it are pushed to `stage`.
 * Of a later one pkt.policy becomes that of the first.
 *
 * False: it waits, or was dropped: frag_ports, frag_overlap, frag_limit.
 */
bool frag_virtual_match(struct worker *w, struct rte_mbuf *m, enum frag_way way,
			uint32_t generation, enum stage_id stage);

/* Between the files of this module. Those that wait end as frag_ports, or as they are told. */
void frag_virtual_expire(struct frag_virtual *v, struct worker *w, uint32_t max);
void frag_virtual_drop(struct frag_virtual *v, struct worker *w, enum drop_reason why);
uint32_t frag_virtual_held(const struct frag_virtual *v);
void frag_virtual_count(const struct frag_virtual *v, struct frag_counts *counts);

#endif
