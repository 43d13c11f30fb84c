/* The stages of AH, which packets reach by pipe_push(): from esp_encap and from replay_check, whose
 * lines they leave and come back to.
 *
 * Out: ah_encap writes all headers and describes what the engine is to authenticate; ah_seal puts
 * the ICV in, and back what was put aside. In: ah_check and ah_accept likewise; from then on the
 * packet is authentic, and as ESP's is behind esp_strip.
 */
#ifndef AH_AH_STAGE_H
#define AH_AH_STAGE_H

#include "worker/stage.h"

/* Drops buffer, no_mbuf, ah_options, too_big. */
stage_fn ah_encap;
/* Drops crypto_fail. */
stage_fn ah_seal;

/* Drops ah_short, ah_length, ah_options, replay_*, buffer. */
stage_fn ah_check;
/* Drops icv_fail, replay_*, seq_wait, next_header, inner_*. On return the data begin with the inner
 * IP header (tunnel mode), or the packet's own without AH (transport mode), and struct pkt
 * describes that.
 */
stage_fn ah_accept;

#endif
