/* Which packets are never answered: between the files of this module. */
#ifndef ICMP_RULES_H
#define ICMP_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "icmp/icmp.h"

/* Whether it is the directed broadcast address of one of our links. */
bool icmp_is_broadcast(const struct icmp_sources *sources, const uint8_t *addr);

/* RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e). */
bool icmp_may_answer(const struct icmp_sources *sources, const struct rte_mbuf *m);

#endif
