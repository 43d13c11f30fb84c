#include "pipe/stages.h"

#include "ah/ah_stage.h"
#include "esp/esp_stage.h"
#include "frag/frag_stage.h"
#include "icmp/icmp_stage.h"
#include "iptfs/iptfs_stage.h"
#include "pipe/handoff.h"
#include "port/port_stage.h"
#include "punt/punt_stage.h"
#include "route/route_stage.h"
#include "sad/sad_stage.h"
#include "tunnel/tunnel_stage.h"

/* The way of a packet. Each row: its stage's name, what it does, and the row behind it. */
/* clang-format off */
const struct stage_row stage_rows[STAGE_MAX] = {
	/* out: red to black */
	[STAGE_CLASSIFY_RED]    = { "classify",        classify_red,        STAGE_SPD_MATCH },
	[STAGE_SPD_MATCH]       = { "spd_match",       spd_match,           STAGE_SA_PICK },
	[STAGE_SA_PICK]         = { "sa_pick",         sa_pick,             STAGE_HANDOFF_OUT },
	[STAGE_HANDOFF_OUT]     = { "handoff",         handoff_out,         STAGE_IPCOMP_ENCAP },
	[STAGE_IPCOMP_ENCAP]    = { "ipcomp_encap",    ipcomp_encap,        STAGE_IPTFS_FILL },
	[STAGE_IPTFS_FILL]      = { "iptfs_fill",      iptfs_fill,          STAGE_LIFE_COUNT_OUT },
	[STAGE_LIFE_COUNT_OUT]  = { "life_count",      life_count_out,      STAGE_ESP_ENCAP },
	[STAGE_ESP_ENCAP]       = { "esp_encap",       esp_encap,           STAGE_CRYPTO_ENCRYPT },
	[STAGE_CRYPTO_ENCRYPT]  = { "crypto_encrypt",  crypto_encrypt,      STAGE_ESP_SEAL },
	[STAGE_ESP_SEAL]        = { "esp_seal",        esp_seal,            STAGE_UDP_ENCAP },
	[STAGE_UDP_ENCAP]       = { "udp_encap",       udp_encap,           STAGE_NEIGH_WRITE_OUT },
	[STAGE_NEIGH_WRITE_OUT] = { "neigh_write",     neigh_write,         STAGE_PORT_TX_OUT },
	[STAGE_PORT_TX_OUT]     = { "port_tx",         port_tx,             STAGE_MAX },
	/* in: black to red */
	[STAGE_CLASSIFY_BLACK]  = { "classify",        classify_black,      STAGE_SAD_LOOKUP },
	[STAGE_SAD_LOOKUP]      = { "sad_lookup",      sad_lookup,          STAGE_HANDOFF_IN },
	[STAGE_HANDOFF_IN]      = { "handoff",         handoff_in,          STAGE_REPLAY_CHECK },
	[STAGE_REPLAY_CHECK]    = { "replay_check",    replay_check_stage,  STAGE_CRYPTO_DECRYPT },
	[STAGE_CRYPTO_DECRYPT]  = { "crypto_decrypt",  crypto_decrypt,      STAGE_REPLAY_ACCEPT },
	[STAGE_REPLAY_ACCEPT]   = { "replay_accept",   replay_accept_stage, STAGE_ESP_STRIP },
	[STAGE_ESP_STRIP]       = { "esp_strip",       esp_strip,           STAGE_IPCOMP_DECAP },
	[STAGE_IPCOMP_DECAP]    = { "ipcomp_decap",    ipcomp_decap,        STAGE_LIFE_COUNT_IN },
	[STAGE_LIFE_COUNT_IN]   = { "life_count",      life_count_in,       STAGE_IPTFS_SPLIT },
	[STAGE_IPTFS_SPLIT]     = { "iptfs_split",     iptfs_split,         STAGE_ECN_DECAP },
	[STAGE_ECN_DECAP]       = { "ecn_decap",       ecn_decap,           STAGE_SELECTOR_CHECK },
	[STAGE_SELECTOR_CHECK]  = { "selector_check",  selector_check,      STAGE_LOCAL_DELIVER },
	[STAGE_LOCAL_DELIVER]   = { "local_deliver",   local_deliver,       STAGE_ROUTE },
	[STAGE_ROUTE]           = { "route",           route,               STAGE_NEIGH_WRITE },
	[STAGE_NEIGH_WRITE]     = { "neigh_write",     neigh_write,         STAGE_PORT_TX },
	[STAGE_PORT_TX]         = { "port_tx",         port_tx,             STAGE_MAX },
	/* beside them */
	[STAGE_CLEAR_CHECK]     = { "clear_check",     clear_check,         STAGE_ROUTE },
	[STAGE_HANDOFF_FRAG]    = { "handoff",         handoff_frag,        STAGE_MAX },
	[STAGE_REASM_OUTER]     = { "reasm_outer",     reasm_outer,         STAGE_SAD_LOOKUP },
	[STAGE_REASM_INNER]     = { "reasm_inner",     reasm_inner,         STAGE_SPD_MATCH },
	[STAGE_PLAIN_ECHO]      = { "plain_echo",      plain_echo,          STAGE_NEIGH_WRITE_OUT },
	[STAGE_FRAG_MATCH]      = { "frag_match",      frag_match,          STAGE_SA_PICK },
	[STAGE_FRAG_CHECK]      = { "frag_check",      frag_check,          STAGE_LOCAL_DELIVER },
	[STAGE_BYPASS]          = { "bypass",          bypass,              STAGE_NEIGH_WRITE_OUT },
	[STAGE_CLASSIFY_OWN]    = { "classify",        classify_own,        STAGE_SPD_MATCH },
	[STAGE_AH_ENCAP]        = { "ah_encap",        ah_encap,            STAGE_AH_MAC },
	[STAGE_AH_MAC]          = { "crypto_mac",      crypto_encrypt,      STAGE_AH_SEAL },
	[STAGE_AH_SEAL]         = { "ah_seal",         ah_seal,             STAGE_NEIGH_WRITE_OUT },
	[STAGE_AH_LOOKUP]       = { "sad_lookup",      sad_lookup_ah,       STAGE_HANDOFF_IN },
	[STAGE_AH_CHECK]        = { "ah_check",        ah_check,            STAGE_AH_VERIFY },
	[STAGE_AH_VERIFY]       = { "crypto_verify",   crypto_decrypt,      STAGE_AH_ACCEPT },
	[STAGE_AH_ACCEPT]       = { "ah_accept",       ah_accept,           STAGE_LIFE_COUNT_IN },
	[STAGE_INLINE_IN]       = { "inline_in",       inline_in,           STAGE_LIFE_COUNT_IN },
	[STAGE_PUNT]            = { "punt",            punt,                STAGE_MAX },
	[STAGE_ICMP_REPLY]      = { "icmp_reply",      icmp_reply,          STAGE_MAX },
	[STAGE_FRAG_INNER]      = { "frag_inner",      frag_inner,          STAGE_MAX },
	[STAGE_FRAG_OUTER]      = { "frag_outer",      frag_outer,          STAGE_MAX },
};
/* clang-format on */
