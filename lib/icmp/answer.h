/* What holds for every answer to a packet that is not ICMP's own business alone: ICMP errors, and
 * plain ESP echoes.
 */
#ifndef ICMP_ANSWER_H
#define ICMP_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

struct icmp_sources;
struct icmp_worker;
struct rte_mbuf;

/* RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e): from one station to one station, whole or the
 * first of its fragments, not our own and no ICMP error. */
bool icmp_may_answer(const struct icmp_sources *sources, const struct rte_mbuf *m);

/* Whether an answer about the packet at ip may be made now; if so it counts against both rates,
 * that of the worker and that of the packet's pair of addresses.
 */
bool icmp_rate_take(struct icmp_worker *iw, uint64_t now, const uint8_t *ip, bool v6);

#endif
