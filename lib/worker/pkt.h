/* What the stages know of a packet: 64 octets in the mbuf's private area, set by classify, filled
 * on the way.
 *
 * From classify to neigh_write the mbuf's data begins with the packet's IP header (the link-layer
 * header is cut off), and pkt_len is the IP total length (Ethernet padding is cut off too).
 */
#ifndef WORKER_PKT_H
#define WORKER_PKT_H

#include <stdint.h>

#include <rte_mbuf.h>

struct sa;

#define SA_NONE	      UINT32_MAX
#define POLICY_NONE   UINT32_MAX
#define NEXT_HOP_NONE UINT16_MAX

enum pkt_flags {
	PKT_V6 = 1 << 0,
	PKT_FRAG_FIRST = 1 << 1, /* a fragment with ports: offset 0, more to come */
	PKT_FRAG_LATER = 1 << 2, /* a fragment without */
	PKT_FROM_SA = 1 << 3,	 /* came out of an inbound SA (then sa/generation name it until it
				    enters out) */
	PKT_OWN = 1 << 4,	 /* made here: no TTL to count down, no ICMP about it */
	PKT_UDP_ENCAP = 1 << 5,	 /* outer: ESP inside UDP */
	PKT_TTL_DONE = 1 << 6,	 /* already counted down */
	PKT_TRACE = 1 << 7,
};

/* Of few packets; who makes or takes in a packet clears them. */
enum pkt_mark {
	PKT_REASM = 1 << 0, /* put together from fragments: pkt.mtu is the size of the largest one,
			       its header included, until the SA has judged */
	PKT_CUT = 1 << 1,   /* the outer datagram is to be cut: lib/frag, which keeps the size of
			       a piece in pkt.mtu */
	PKT_ECHO = 1 << 2,  /* out: an ESP echo of ours; no policy is asked about it */
	PKT_PROBE = 1 << 3, /* and of a size that is asked for: DF set, neither cut nor padded */
	PKT_COMP = 1 << 4, /* begins with an IPComp header (tunnel; its IP header is kept before the
			      data: esp/comp.h), or has one behind its own headers (transport) */
	PKT_AGGFRAG = 1 << 5,	/* out: an AGGFRAG payload, of no inner header (lib/iptfs) */
	PKT_STRIPPED = 1 << 6,	/* in: a port's device took ESP off, and vouches for what is left */
	PKT_FROM_HOST = 1 << 7, /* sent by our own host through a mirror: the header of its frame
				   lies before the data until it enters an SA */
};

/* What STAGE_ICMP_REPLY tells the sender. */
enum icmp_reply_kind {
	ICMP_REPLY_NONE,
	ICMP_REPLY_TOO_BIG, /* with pkt.mtu */
	ICMP_REPLY_TIME_EXCEEDED,
};

struct pkt {
	uint64_t seq; /* 64-bit sequence number, host order; on the way out 0 before it has one,
			 or when its wait for an SA ends (lib/hold) */
	uint32_t sa;  /* SA index, SA_NONE before one is known */
	uint32_t generation; /* of that SA */
	uint32_t policy;     /* policy index, POLICY_NONE */
	uint32_t spi_be;
	uint16_t next_hop; /* of lib/route, NEXT_HOP_NONE before one is known */
	uint16_t l4_off;   /* from the IP header: upper-layer header, extension headers skipped */
	uint16_t esp_off;  /* outbound: from the outer IP header; inbound likewise */
	uint16_t text_len; /* octets of ciphertext */
	uint16_t last_nh_off; /* offset of the next-header/protocol octet that names what is at
				 l4_off */
	uint16_t mtu;	      /* what an ICMP too-big answer would say */
	uint8_t port;	      /* gateway port it came in by: index of lib/port */
	uint8_t proto;	      /* of the upper layer; a fragment's too */
	uint8_t flags;	      /* enum pkt_flags */
	uint8_t tos;	      /* DSCP and ECN of the packet at hand (traffic class for v6) */
	uint8_t outer_tos;    /* inbound: of the outer header; = tos where ecn_decap is to change
				 nothing */
	uint8_t resume;	      /* enum stage_id: where a handoff or an asynchronous engine goes on */
	uint8_t reply;	      /* enum icmp_reply_kind: what icmp_reply is to say */
	uint8_t next_header;  /* of the ESP trailer */
	uint16_t udp_src_be;  /* of an encapsulated packet */
	uint16_t udp_dst_be;
	uint16_t lane; /* of an SA with subspaces: the id; else 0 (out) or anything (in) */
	uint8_t marks; /* enum pkt_mark */
	uint8_t turn;  /* while it is in a crypto device: see crypto/crypto.h; marked for a port's
			  device: see port/offload.h */
	union {
		struct sa *hot; /* the SA, from the stage that looked it up to the end of the burst;
				   never across a wait */
		struct rte_mbuf *behind; /* while it waits in a queue of lib/iptfs: the next one */
	};
} __rte_aligned(RTE_CACHE_LINE_SIZE);
_Static_assert(sizeof(struct pkt) == 64, "one line a packet");

static inline struct pkt *
pkt_of(const struct rte_mbuf *m)
{
	return (struct pkt *)rte_mbuf_to_priv((struct rte_mbuf *)(uintptr_t)m);
}

/* How many of n > 0 packets from the first on are of its SA: they have the same pkt.hot. */
static inline uint16_t
pkt_same_sa(struct rte_mbuf *const *pkts, uint16_t n)
{
	const struct sa *sa = pkt_of(pkts[0])->hot;
	uint16_t run = 1;

	while (run < n && pkt_of(pkts[run])->hot == sa)
		run++;
	return run;
}

#endif
