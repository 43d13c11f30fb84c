/* What an ICMP too-big says (RFC 1191, RFC 8201): parsed, and not believed yet. */
#ifndef PMTU_TOO_BIG_H
#define PMTU_TOO_BIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOO_BIG_LEAST	8  /* octets of what the quoted datagram carries that a router quotes */
#define TOO_BIG_PROOF	12 /* of ESP, that are kept; with subspaces a number ends there */
#define TOO_BIG_MESSAGE 2048

struct too_big {
	bool v6;
	uint8_t src[16], dst[16]; /* of the quoted packet; IPv4 in the first 4, the rest 0 */
	uint32_t mtu;		  /* as it says: 0 where a router is older than RFC 1191 */
	uint32_t quoted;	  /* length of the quoted packet, as its header says */
	uint8_t proto;		  /* IPPROTO_ESP or IPPROTO_AH, in UDP too */
	bool udp;
	uint16_t udp_src, udp_dst; /* host order; in the quoted packet's order */
	/* From the SPI on: of AH without what stands before. With UDP there may be none. */
	uint8_t proof[TOO_BIG_PROOF];
	uint8_t n_proof;
};

/* message: an IP packet of len octets, whole. False: it is no too-big, its checksum is wrong, it is
 * not for who sent the packet that it quotes, or that is neither ESP, AH nor UDP, or is a later
 * fragment, or is cut before what every router quotes.
 */
bool too_big_parse(const uint8_t *message, size_t len, struct too_big *t);

#endif
