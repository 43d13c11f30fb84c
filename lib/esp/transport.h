/* Transport mode: ESP between a packet's own headers (RFC 4303 section 3.1.1). */
#ifndef ESP_TRANSPORT_H
#define ESP_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

/* Where ESP goes in: behind the IPv4 header with its options; for IPv6 behind hop-by-hop, routing
 * and the destination options that stand before a routing header. ip was parsed before: l4_off is
 * where its last extension header ends. Stores the offset of the octet that names what follows.
 */
uint16_t transport_split(const uint8_t *ip, bool v6, uint16_t l4_off, uint16_t *name_off);

/* Sets an IP header's length to total octets, and the octet at name_off to proto; v4 checksum
 * included. */
void transport_rewrite(uint8_t *ip, bool v6, uint16_t total, uint16_t name_off, uint8_t proto);

#endif
