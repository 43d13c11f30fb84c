/* AGGFRAG payloads of IP-TFS (RFC 9347 section 6.1): their headers, and the blocks behind these.
 *
 * They are what ESP carries under next header 144. Behind the header lie data blocks without
 * anything between them: whole IP packets, the pieces of one at the beginning and at the end, and
 * at most one run of padding, which goes to the end. Numbers are big-endian.
 *
 * Any thread; no state.
 */
#ifndef WIRE_AGGFRAG_H
#define WIRE_AGGFRAG_H

#include <assert.h>
#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_common.h>

#define WIRE_AGGFRAG_NEXT_HEADER 144

enum wire_aggfrag_sub_type {
	WIRE_AGGFRAG_PLAIN = 0, /* section 6.1.1 */
	WIRE_AGGFRAG_CC = 1,	/* with congestion control, section 6.1.2 */
};

struct wire_aggfrag {
	uint8_t sub_type;
	uint8_t flags; /* of WIRE_AGGFRAG_CC; else reserved, sent as 0 and not looked at */
	rte_be16_t block_offset; /* octets before the first block that begins in this payload; it
				    may be beyond the payload */
} __rte_packed;

enum wire_aggfrag_flag {
	WIRE_AGGFRAG_P = 0x02, /* a path MTU probe is on: what is missing counts as no loss */
	WIRE_AGGFRAG_E = 0x01, /* the loss event rate is of CE marks, too */
};

struct wire_aggfrag_cc {
	struct wire_aggfrag head;
	rte_be32_t loss_event_rate; /* its inverse; 0 = no loss */
	rte_be64_t delays; /* µs; bits 63…42 RTT, 41…21 echo delay, 20…0 transmit delay */
	rte_be32_t tval;
	rte_be32_t techo;
} __rte_packed;

#define WIRE_AGGFRAG_HEADER    4
#define WIRE_AGGFRAG_CC_HEADER 24
static_assert(sizeof(struct wire_aggfrag) == WIRE_AGGFRAG_HEADER, "section 6.1.1");
static_assert(sizeof(struct wire_aggfrag_cc) == WIRE_AGGFRAG_CC_HEADER, "section 6.1.2");

/* Octets of a block that may have to be seen before its length is known. */
#define WIRE_AGGFRAG_RUNT 6

enum wire_aggfrag_block {
	WIRE_AGGFRAG_PACKET,   /* *len is the packet's, which may be more than there is here */
	WIRE_AGGFRAG_PAD,      /* to the end of the payload */
	WIRE_AGGFRAG_UNSEEN,   /* an IP packet, cut off before its length field ends */
	WIRE_AGGFRAG_BAD_TYPE, /* neither IPv4, IPv6 nor padding */
	WIRE_AGGFRAG_BAD_LEN,  /* shorter than an IP header */
};

/* What begins at `at`, of which `have` octets lie here in one piece, at least 1; reads
 * WIRE_AGGFRAG_RUNT at most. A length is never below 20 (IPv4) or 40 (IPv6).
 */
static inline enum wire_aggfrag_block
wire_aggfrag_block(const uint8_t *at, uint32_t have, uint32_t *len)
{
	switch (at[0] >> 4) {
	case 0:
		return WIRE_AGGFRAG_PAD;
	case 4:
		if (have < 4)
			return WIRE_AGGFRAG_UNSEEN;
		*len = (uint32_t)at[2] << 8 | at[3];
		return *len < 20 || (at[0] & 0xf) < 5 || *len < (at[0] & 0xfu) * 4 ?
			       WIRE_AGGFRAG_BAD_LEN :
			       WIRE_AGGFRAG_PACKET;
	case 6:
		if (have < 6)
			return WIRE_AGGFRAG_UNSEEN;
		*len = 40 + ((uint32_t)at[4] << 8 | at[5]);
		return WIRE_AGGFRAG_PACKET;
	default:
		return WIRE_AGGFRAG_BAD_TYPE;
	}
}

#endif
