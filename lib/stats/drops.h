/* Where a packet can end, each place with its name: one table, from which the counters, the exit
 * report, the prompt and the manual come.
 *
 * Of every packet that enters or is made here it holds at any time:
 *	rx + generated + split = tx + consumed + held + dropped + merged
 */
#ifndef STATS_DROPS_H
#define STATS_DROPS_H

#define DROP_REASONS(X)                                                                            \
	X(NONE, "none", "the packet is kept")                                                      \
	X(NOT_OURS, "not_ours", "a frame for another station's address")                           \
	X(VLAN, "vlan", "a VLAN-tagged frame")                                                     \
	X(NOT_IP, "not_ip", "neither IPv4 nor IPv6, and nobody here wants it")                     \
	X(OUTER_MALFORMED, "outer_malformed", "IP header lengths that do not fit the frame")       \
	X(OUTER_CHECKSUM, "outer_checksum", "wrong IPv4 header checksum")                          \
	X(FRAG_TO_ESP, "frag_to_esp", "a fragment of an ESP packet, not reassembled")              \
	X(FRAG_TRANSPORT, "frag_transport",                                                        \
	  "a fragment for a transport-mode SA, which takes whole datagrams")                       \
	X(FRAG_PORTS, "frag_ports", "a fragment without ports where the policy asks for ports")    \
	X(FRAG_OVERLAP, "frag_overlap", "a datagram whose fragments overlap, or contradict")       \
	X(FRAG_DUPLICATE, "frag_duplicate", "a fragment that is there already")                    \
	X(FRAG_TOOLONG, "frag_toolong", "a datagram whose fragments go beyond 65535 octets")       \
	X(FRAG_MALFORMED, "frag_malformed", "a fragment that can be no part of a datagram")        \
	X(FRAG_TIMEOUT, "frag_timeout", "a datagram whose other fragments did not come in time")   \
	X(FRAG_LIMIT, "frag_limit", "more fragments or datagrams than may wait for the rest")      \
	X(BEET_ADDR, "beet_addr", "BEET: other addresses than the SA's inner pair")                \
	X(OUTER_TOOBIG, "outer_toobig",                                                            \
	  "an authentic packet of an SA that is larger than gateway.reassembly.emtu_r")            \
	X(BEET_FRAG, "beet_frag", "BEET: a fragment, and only whole datagrams are carried")        \
	X(BEET_EXTHDR, "beet_exthdr", "BEET: hop-by-hop options or a routing header")              \
	X(BEET_HEADER, "beet_header", "BEET: a pseudo header of IPv4 options that is none")        \
	X(UDP_MALFORMED, "udp_malformed", "UDP length that does not fit its packet")               \
	X(UDP_CHECKSUM, "udp_checksum", "wrong UDP checksum")                                      \
	X(NO_LISTENER, "no_listener", "for this gateway itself, and nothing here listens")         \
	X(NO_SA, "no_sa", "no inbound SA has this SPI at this address")                            \
	X(ENCAP_MISMATCH, "encap_mismatch", "UDP-encapsulated on an SA without, or the reverse")   \
	X(ESP_SHORT, "esp_short", "shorter than an ESP packet of its SA can be")                   \
	X(ESP_LENGTH, "esp_length", "ciphertext not a multiple of the SA's alignment")             \
	X(AH_SHORT, "ah_short", "shorter than an AH packet of its SA can be")                      \
	X(AH_LENGTH, "ah_length", "an AH payload length that its SA does not have")                \
	X(AH_OPTIONS, "ah_options",                                                                \
	  "AH: options or a routing header nobody can foresee the end of")                         \
	X(REPLAY_ZERO, "replay_zero", "sequence number zero, which is never sent")                 \
	X(REPLAY_OLD, "replay_old", "left of the anti-replay window")                              \
	X(REPLAY_DUP, "replay_dup", "a sequence number seen before")                               \
	X(SUB_SHORT, "sub_short", "shorter than a packet of its SA with subspaces can be")         \
	X(SUBSPACE_UNKNOWN, "subspace_unknown", "a subspace id the SA does not take")              \
	X(SUB_IV_MISMATCH, "sub_iv_mismatch", "subspaces, and the IV is not the sequence number")  \
	X(SUB_NOMEM, "sub_nomem", "no anti-replay window at hand for a new subspace")              \
	X(ICV_FAIL, "icv_fail", "the integrity check failed")                                      \
	X(CRYPTO_FAIL, "crypto_fail", "the engine could not encipher the packet")                  \
	X(CRYPTO_FULL, "crypto_full",                                                              \
	  "a crypto device without room, which is a fault: ports wait for it")                     \
	X(CRYPTO_LOST, "crypto_lost", "inside a crypto device that answered no more")              \
	X(OFFLOAD_LOST, "offload_lost",                                                            \
	  "for a port's device that does not encipher its SA any more")                            \
	X(OFFLOAD_STALE, "offload_stale",                                                          \
	  "deciphered by a port's device as a packet of another SA")                               \
	X(OFFLOAD_WINDOW, "offload_window",                                                        \
	  "undeciphered, of an SA whose window a port's device keeps")                             \
	X(ESP_PADDING, "esp_padding", "pad length beyond the packet, or padding not 1, 2, 3 …")    \
	X(NEXT_HEADER, "next_header", "a next header the SA's mode does not carry")                \
	X(PING_DISABLED, "ping_disabled", "an ESP echo on an SA that answers none")                \
	X(PING_SHORT, "ping_short", "an ESP echo shorter than its header says")                    \
	X(PING_TYPE, "ping_type",                                                                  \
	  "next header 144, and neither a request for an echo nor its answer")                     \
	X(PING_RATE, "ping_rate", "over the rate of ESP echoes")                                   \
	X(PING_QUEUE, "ping_q", "the queue of ESP echoes to control is full")                      \
	X(PING_SOURCE, "ping_source",                                                              \
	  "a plain ESP echo from or to an address that nobody answers")                            \
	X(IPCOMP_SHORT, "ipcomp_short", "IPComp: no octet behind its header, or not all of it")    \
	X(IPCOMP_FLAGS, "ipcomp_flags",                                                            \
	  "IPComp: flags that an SA with its extension does not know")                             \
	X(IPCOMP_CPI, "ipcomp_cpi", "IPComp: a CPI that is not the SA's")                          \
	X(IPCOMP_XT_PROTO, "ipcomp_xt_proto", "IPComp: ports in clear, of a protocol without")     \
	X(IPCOMP_NESTED, "ipcomp_nested", "IPComp in IPComp")                                      \
	X(IPCOMP_BOMB, "ipcomp_bomb",                                                              \
	  "IPComp: grows beyond what the SA takes, or out of proportion")                          \
	X(IPCOMP_CORRUPT, "ipcomp_corrupt", "IPComp: no whole stream of DEFLATE")                  \
	X(IPCOMP_TRAILING, "ipcomp_trailing", "IPComp: octets behind the end of the stream")       \
	X(IPCOMP_RATE, "ipcomp_rate", "IPComp: more to inflate than one SA may ask for")           \
	X(AGGFRAG_SHORT, "aggfrag_short", "IP-TFS: shorter than the payload's header")             \
	X(AGGFRAG_SUBTYPE, "aggfrag_subtype", "IP-TFS: a sub-type of payload that nobody knows")   \
	X(AGGFRAG_LATE, "aggfrag_late", "IP-TFS: came when it was no longer waited for")           \
	X(AGGFRAG_INNER, "aggfrag_inner", "IP-TFS: an inner length that cannot be: the rest goes") \
	X(AGGFRAG_TYPE, "aggfrag_type", "IP-TFS: a block neither IPv4, IPv6 nor padding")          \
	X(AGGFRAG_OFFSET, "aggfrag_offset",                                                        \
	  "IP-TFS: a packet whose next piece is not as long as what is missing")                   \
	X(AGGFRAG_ORPHAN, "aggfrag_orphan", "IP-TFS: a piece of a packet whose start is missing")  \
	X(AGGFRAG_GAP, "aggfrag_gap", "IP-TFS: a packet of which a piece was lost")                \
	X(AGGFRAG_TIMEOUT, "aggfrag_timeout", "IP-TFS: a packet whose rest did not come in time")  \
	X(AGGFRAG_NOFRAG, "aggfrag_nofrag", "IP-TFS: a piece of a packet on an SA without pieces") \
	X(AGGFRAG_ENDED, "aggfrag_ended", "IP-TFS: a packet that was not whole when its SA ended") \
	X(AGGFRAG_QUEUE, "aggfrag_queue", "IP-TFS: more octets waiting than may")                  \
	X(AGGFRAG_AGED, "aggfrag_aged", "IP-TFS: waited longer than it may (max_aggregation)")     \
	X(AGGFRAG_BREAKER, "aggfrag_breaker", "IP-TFS: the circuit breaker has stopped the SA")    \
	X(INNER_MALFORMED, "inner_malformed", "inner header lengths that do not fit the payload")  \
	X(INNER_CHECKSUM, "inner_checksum", "wrong inner IPv4 header checksum")                    \
	X(ECN, "ecn", "outer CE on an inner packet that cannot say so (RFC 6040)")                 \
	X(POLICY_SELECTOR, "policy_selector", "decapsulated packet outside what its SA may carry") \
	X(POLICY_CLEARTEXT, "policy_cleartext", "came in clear where a policy wants it protected") \
	X(POLICY_DISCARD, "policy_discard", "a discard policy matched")                            \
	X(NO_POLICY, "no_policy", "no policy matched on the way to a black port")                  \
	X(NO_OUTBOUND_SA, "no_outbound_sa", "the protect policy has no usable SA")                 \
	X(SEQ_EXHAUSTED, "seq_exhausted", "the SA has used its last sequence number")              \
	X(SEQ_WAIT, "seq_wait", "no durable sequence numbers reserved yet")                        \
	X(EXPIRED, "expired", "the SA is past a hard lifetime")                                    \
	X(TTL, "ttl", "TTL or hop limit used up")                                                  \
	X(TOO_BIG, "too_big", "larger than the tunnel or link, and may not be fragmented")         \
	X(NO_ROUTE, "no_route", "no route to the destination")                                     \
	X(NO_NEIGHBOUR, "no_neighbour", "no link-layer address for the next hop")                  \
	X(BUFFER, "buffer", "a buffer chain without the room, or too fragmented, for the packet")  \
	X(NO_MBUF, "no_mbuf", "packet buffers ran out")                                            \
	X(TX_FULL, "tx_full", "the transmit queue stayed full")                                    \
	X(HANDOFF_FULL, "handoff_full", "the ring to the worker that owns the SA is full")         \
	X(PIPE_FULL, "pipe_full", "too many packets waiting for one stage")                        \
	X(PUNT_LIMIT, "punt_limit", "over the rate of packets for this gateway itself")            \
	X(PUNT_FULL, "punt_full", "the queue of packets for this gateway itself is full")          \
	X(MIRROR_FULL, "mirror_full", "a mirror, or the queue from it, did not take the frame")    \
	X(MIRROR_SOURCE, "mirror_source", "from a mirror with a source address that is not ours")  \
	X(STOPPED, "stopped", "still inside when the gateway stopped")

enum drop_reason {
#define X(id, name, help) DROP_##id,
	DROP_REASONS(X)
#undef X
	DROP_MAX
};

/* Taken in and used up here, on purpose. */
#define CONSUMED_CAUSES(X)                                                                   \
	X(DUMMY, "dummy", "dummy packet, next header 59 (RFC 4303 section 2.6)")             \
	X(NAT_KEEPALIVE, "nat_keepalive",                                                    \
	  "NAT keepalive, UDP 4500 with one octet 0xff (RFC 3948)")                          \
	X(MIRROR, "mirror", "given to the mirror: for this gateway itself")                  \
	X(ESP_ECHO, "esp_echo", "ESP echo: a request, or the answer to ours")                \
	X(ICMP_ERROR, "icmp_error", "ICMP too-big for this gateway itself, read by control") \
	X(ALL_PAD, "all_pad", "IP-TFS: a payload of padding alone")

enum consumed_cause {
#define X(id, name, help) CONSUMED_##id,
	CONSUMED_CAUSES(X)
#undef X
	CONSUMED_MAX
};

/* Made here. */
#define GENERATED_CAUSES(X)                                                         \
	X(ICMP, "icmp", "ICMP error or answer")                                     \
	X(DUMMY, "dummy", "dummy packet of traffic flow confidentiality")           \
	X(NAT_KEEPALIVE, "nat_keepalive", "NAT keepalive")                          \
	X(MIRROR, "mirror", "taken from a mirror: sent by this gateway's own host") \
	X(ESP_ECHO, "esp_echo", "ESP echo: a request of ours, or an answer")        \
	X(ALL_PAD, "all_pad", "IP-TFS: a payload of padding alone")

enum generated_cause {
#define X(id, name, help) GENERATED_##id,
	GENERATED_CAUSES(X)
#undef X
	GENERATED_MAX
};

struct stat_name {
	const char *name;
	const char *help;
};

extern const struct stat_name drop_names[DROP_MAX];
extern const struct stat_name consumed_names[CONSUMED_MAX];
extern const struct stat_name generated_names[GENERATED_MAX];

#endif
