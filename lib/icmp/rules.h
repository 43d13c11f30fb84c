/* What answer.h asks of addresses: between the files of this module. */
#ifndef ICMP_RULES_H
#define ICMP_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "icmp/icmp.h"

/* Whether it is the directed broadcast address of one of our links. */
bool icmp_is_broadcast(const struct icmp_sources *sources, const uint8_t *addr);

#endif
