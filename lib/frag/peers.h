/* The peers of inbound SAs, by the address that their packets come from: a set with counts, written
 * by control and read by workers at the same time. Inside lib/frag only.
 *
 * An entry is one word, so that no reader sees half of one: 40 bits of a hash under a secret, and
 * how many SAs. While control moves entries together a reader may miss one: that fragment is then
 * judged as a stranger's.
 */
#ifndef FRAG_PEERS_H
#define FRAG_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "frag/reasm.h"

/* Whether a source is a peer; hash: source_hash() of it. */
bool frag_peers_has(const struct frag_shared *s, uint64_t hash);

#endif
