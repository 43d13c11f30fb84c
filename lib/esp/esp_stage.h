/* The stages of ESP (RFC 4303), in the order of the lines.
 *
 * Out: sa_pick and life_count may run on different workers (a handoff lies between): a number is
 * taken by the SA's owner only. esp_encap writes all headers, IVs and AADs of a burst and describes
 * each text in the worker's array of crypto operations; the engine then runs over that array.
 *
 * In: replay_check finds lengths and number and describes the texts; replay_accept believes the
 * engine's verdicts and moves the windows; from then on the packet is authentic.
 */
#ifndef ESP_ESP_STAGE_H
#define ESP_ESP_STAGE_H

#include "worker/stage.h"

/* The SA of the policy: drops no_outbound_sa, expired, frag_transport, beet_*; too_big by way of
 * icmp_reply. Sets pkt.sa, pkt.generation, pkt.next_hop.
 */
stage_fn sa_pick;
/* IPComp of the SAs that have it (comp_out.c): the payload becomes an IPComp header and a stream,
 * and PKT_COMP is set, where that makes it smaller. Judges the size of all their packets: too_big
 * by way of icmp_reply.
 */
stage_fn ipcomp_encap;
/* Drops seq_exhausted, seq_wait, expired. Sets pkt.seq and pkt.hot, counts the packet. */
stage_fn life_count_out;
/* Drops buffer, no_mbuf; an SA of AH goes to its own stages. On return the data begin with the
 * outer IP header. */
stage_fn esp_encap;
stage_fn crypto_encrypt;
/* Drops crypto_fail: what an engine did not encipher never leaves. */
stage_fn esp_seal;
/* The UDP checksum over IPv6, which covers the ciphertext (RFC 3948 section 2.1, RFC 8200
 * section 8.1). */
stage_fn udp_encap;

/* Drops esp_short, esp_length, replay_*, buffer; an SA of AH goes to its own stages. */
stage_fn replay_check_stage;
stage_fn crypto_decrypt;
/* Packets whose ESP a port's device took off (protocol.h): their numbers, where the device says
 * them. Drops replay_*, seq_wait. */
stage_fn inline_in;
/* Drops icv_fail, replay_*, seq_wait. */
stage_fn replay_accept_stage;
/* Drops esp_padding, next_header, inner_*, beet_*; consumes dummies; takes echoes away (echo.h). On
 * return the data begin with the inner IP header (tunnel mode, BEET), or the packet's own without
 * ESP (transport mode), and struct pkt describes that. With PKT_COMP in tunnel mode they begin with
 * the IPComp header. Of an SA with SA_IPTFS they begin with what ESP carried, whatever that is.
 */
stage_fn esp_strip;
/* What esp_strip found behind an IPComp header (PKT_COMP) becomes what it was, and is described
 * like the rest. Drops ipcomp_*, next_header, inner_*, buffer, no_mbuf.
 */
stage_fn ipcomp_decap;
/* Drops expired, seq_wait. Counts packets that are whole, by the size of what they carry. */
stage_fn life_count_in;

#endif
