/* Layouts of Linux XFRM netlink messages, as they lie on the socket of a 64-bit program.
 *
 * A struct xw_* is what the kernel's interface calls by the name in its comment; integers are the
 * host's, fields named _be are in network order, addresses are 16 octets of which IPv4 uses the
 * first 4. All padding is a field, so that an initialised struct has no octet of chance in it.
 * Nothing here is checked: xfrm.h reads and writes these.
 */
#ifndef XFRM_LAYOUT_H
#define XFRM_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "xfrm/numbers.h"

/* nlmsghdr */
struct xw_head {
	uint32_t len;
	uint16_t type, flags;
	uint32_t seq, pid;
};

/* nlattr */
struct xw_attr {
	uint16_t len, type;
};

/* nlmsgerr, capped */
struct xw_error {
	int32_t error;
	struct xw_head of;
};

/* xfrm_selector */
struct xw_sel {
	uint8_t daddr[16], saddr[16];
	uint16_t dport_be, dport_mask_be, sport_be, sport_mask_be;
	uint16_t family;
	uint8_t plen_d, plen_s, proto, pad[3];
	int32_t ifindex;
	uint32_t user;
};

/* xfrm_id */
struct xw_id {
	uint8_t daddr[16];
	uint32_t spi_be;
	uint8_t proto, pad[3];
};

/* xfrm_lifetime_cfg */
struct xw_life {
	uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets, soft_add_s, hard_add_s,
		soft_use_s, hard_use_s;
};

/* xfrm_lifetime_cur */
struct xw_used {
	uint64_t bytes, packets, add_time, use_time;
};

/* xfrm_usersa_info */
struct xw_sa {
	struct xw_sel sel;
	struct xw_id id;
	uint8_t saddr[16];
	struct xw_life life;
	struct xw_used used;
	struct {
		uint32_t replay_window, replay, integrity_failed;
	} stats;
	uint32_t seq, reqid;
	uint16_t family;
	uint8_t mode, replay_window, flags, pad[7];
};

/* xfrm_usersa_id */
struct xw_sa_id {
	uint8_t daddr[16];
	uint32_t spi_be;
	uint16_t family;
	uint8_t proto, pad;
};

/* xfrm_aevent_id */
struct xw_ae {
	struct xw_sa_id id;
	uint8_t saddr[16];
	uint32_t flags, reqid;
};

/* xfrm_userspi_info */
struct xw_spi {
	struct xw_sa sa;
	uint32_t min, max;
};

/* xfrm_userpolicy_info */
struct xw_policy {
	struct xw_sel sel;
	struct xw_life life;
	struct xw_used used;
	uint32_t priority, index;
	uint8_t dir, action, flags, share, pad[4];
};

/* xfrm_userpolicy_id */
struct xw_policy_id {
	struct xw_sel sel;
	uint32_t index;
	uint8_t dir, pad[3];
};

/* xfrm_user_tmpl */
struct xw_tmpl {
	struct xw_id id;
	uint16_t family;
	uint8_t pad[2];
	uint8_t saddr[16];
	uint32_t reqid;
	uint8_t mode, share, optional, pad2;
	uint32_t aalgos, ealgos, calgos;
};

/* xfrm_user_acquire */
struct xw_acquire {
	struct xw_id id;
	uint8_t saddr[16];
	struct xw_sel sel;
	struct xw_policy policy;
	uint32_t aalgos, ealgos, calgos, seq;
};

/* xfrm_user_expire */
struct xw_expire {
	struct xw_sa sa;
	uint8_t hard, pad[7];
};

/* xfrm_user_polexpire */
struct xw_polexpire {
	struct xw_policy policy;
	uint8_t hard, pad[7];
};

/* xfrm_user_report */
struct xw_report {
	uint8_t proto, pad[3];
	struct xw_sel sel;
};

/* xfrm_user_migrate */
struct xw_migrate {
	uint8_t old_daddr[16], old_saddr[16], new_daddr[16], new_saddr[16];
	uint8_t proto, mode;
	uint16_t reserved;
	uint32_t reqid;
	uint16_t old_family, new_family;
};

/* xfrm_user_kmaddress */
struct xw_kmaddress {
	uint8_t local[16], remote[16];
	uint32_t reserved;
	uint16_t family;
	uint8_t pad[2];
};

/* xfrm_user_mapping */
struct xw_mapping {
	struct xw_sa_id id;
	uint32_t reqid;
	uint8_t old_saddr[16], new_saddr[16];
	uint16_t old_sport_be, new_sport_be;
};

/* xfrm_encap_tmpl */
struct xw_encap {
	uint16_t type, sport_be, dport_be;
	uint8_t pad[2];
	uint8_t oa[16];
};

/* xfrm_algo; the key follows */
struct xw_alg {
	char name[XFRM_ALG_NAME_SIZE];
	uint32_t key_bits;
};

/* xfrm_algo_auth and xfrm_algo_aead; the key follows */
struct xw_alg_icv {
	char name[XFRM_ALG_NAME_SIZE];
	uint32_t key_bits, icv_bits;
};

/* xfrm_replay_state */
struct xw_replay {
	uint32_t oseq, seq, bitmap;
};

/* xfrm_replay_state_esn; words of the bitmap follow */
struct xw_replay_esn {
	uint32_t words, oseq, seq, oseq_hi, seq_hi, replay_window;
};

/* xfrm_mark */
struct xw_mark {
	uint32_t value, mask;
};

/* xfrm_address_filter */
struct xw_filter {
	uint8_t saddr[16], daddr[16];
	uint16_t family;
	uint8_t splen, dplen;
};

/* xfrm_user_offload */
struct xw_offload {
	int32_t ifindex;
	uint8_t flags, pad[3];
};

/* xfrm_userpolicy_type */
struct xw_policy_type {
	uint8_t type, pad;
	uint16_t reserved;
	uint8_t reserved2, pad2;
};

/* xfrm_userpolicy_default */
struct xw_default {
	uint8_t in, fwd, out;
};

/* xfrmu_spdinfo */
struct xw_spd_counts {
	uint32_t in, out, fwd, in_socket, out_socket, fwd_socket;
};

/* xfrmu_sadhinfo, xfrmu_spdhinfo */
struct xw_hash_sizes {
	uint32_t now, max;
};

/* xfrmu_spdhthresh */
struct xw_thresh {
	uint8_t local, remote;
};

/* XFRM_A_SUBSPACES: how many lanes, 0 = as many as suit; the bits that number them, 16; mode: of
 * several lanes of a worker, 0 one for each flow, 1 one for each class selector.
 */
struct xw_subspaces {
	uint16_t count;
	uint8_t bits, mode;
};

/* XFRM_A_IPTFS_RATE */
struct xw_iptfs_rate {
	uint64_t bits_per_second;
	uint8_t layer; /* 3 or 2 */
	uint8_t congestion_control;
	uint8_t pad[6];
};

/* XFRM_A_IPTFS_OPTIONS: the rest of what espgw.yaml's `iptfs` says. Of an outbound SA the first
 * four, of an inbound one the last two; what is not the direction's own is 0.
 */
struct xw_iptfs_options {
	uint32_t max_aggregation_us; /* 0: any time */
	uint32_t breaker_time_us;
	uint8_t breaker_loss; /* %; 0: no circuit breaker */
	uint8_t dscp;	      /* of outer packets */
	uint8_t refuse_frags; /* 0 or 1, as the next */
	uint8_t send_immediately;
	uint8_t pad[4];
};

enum xw_iptfs_kind {
	XW_IPTFS_STOPPED = 1, /* the circuit breaker has opened */
	XW_IPTFS_GOES_ON,     /* it was closed */
	XW_IPTFS_RATE,	      /* congestion control allows half, or twice, of what was told */
};

/* XFRM_A_IPTFS_STATE, of an outbound SA. */
struct xw_iptfs_state {
	uint8_t kind; /* enum xw_iptfs_kind */
	uint8_t pad[3];
	uint32_t packets_per_second; /* that congestion control allows; 0: it has none */
	uint64_t bits_per_second;    /* that were asked for, by constant rate or as the most */
};

/* XFRM_A_OUTER: the words of `df` and `frag` in the order of espgw.yaml(5). */
struct xw_outer {
	uint8_t df, frag, pad[2];
};

/* XFRM_A_CLASSES: bit n of dscp is class n. Of two lists of one length the lower rank counts. */
struct xw_classes {
	uint64_t dscp;
	uint8_t rank, pad[7];
};

enum xw_path_kind {
	XW_PATH_SET,	 /* a request: an outbound SA's path carries mtu; 0: nothing is known */
	XW_PATH_CHANGED, /* what an outbound SA's path carries; mtu 0: nothing is known any more */
	XW_PATH_FRAGMENTS, /* an inbound SA's packets come in fragments; mtu crosses whole */
	XW_PATH_TOOBIG,	   /* an inbound SA's packets are larger than mtu, which is what we take */
};

/* XFRM_A_PATH; sizes of outer packets, IP header included. */
struct xw_path {
	uint8_t kind;	/* enum xw_path_kind */
	uint8_t source; /* of XW_PATH_CHANGED: enum pmtu_source */
	uint16_t mtu;
	uint32_t datagrams; /* within a second: put together, or too big, */
	uint32_t largest;   /* and the largest of them */
};

/* XFRM_A_LANE_STATS */
struct xw_lane_stats {
	uint32_t lane, pad;
	uint64_t top, packets, bytes;
};

#define XW_SIZE(name, size) _Static_assert(sizeof(struct name) == (size), #name)
#define XW_AT(name, field, at) \
	_Static_assert(offsetof(struct name, field) == (at), #name "." #field)

XW_SIZE(xw_head, 16);
XW_SIZE(xw_attr, 4);
XW_SIZE(xw_error, 20);
XW_SIZE(xw_sel, 56);
XW_SIZE(xw_id, 24);
XW_SIZE(xw_life, 64);
XW_SIZE(xw_used, 32);
XW_SIZE(xw_sa, 224);
XW_SIZE(xw_sa_id, 24);
XW_SIZE(xw_ae, 48);
XW_SIZE(xw_spi, 232);
XW_SIZE(xw_policy, 168);
XW_SIZE(xw_policy_id, 64);
XW_SIZE(xw_tmpl, 64);
XW_SIZE(xw_acquire, 280);
XW_SIZE(xw_expire, 232);
XW_SIZE(xw_polexpire, 176);
XW_SIZE(xw_report, 60);
XW_SIZE(xw_migrate, 76);
XW_SIZE(xw_kmaddress, 40);
XW_SIZE(xw_mapping, 64);
XW_SIZE(xw_encap, 24);
XW_SIZE(xw_alg, 68);
XW_SIZE(xw_alg_icv, 72);
XW_SIZE(xw_replay, 12);
XW_SIZE(xw_replay_esn, 24);
XW_SIZE(xw_mark, 8);
XW_SIZE(xw_filter, 36);
XW_SIZE(xw_offload, 8);
XW_SIZE(xw_policy_type, 6);
XW_SIZE(xw_default, 3);
XW_SIZE(xw_spd_counts, 24);
XW_SIZE(xw_hash_sizes, 8);
XW_SIZE(xw_thresh, 2);
XW_SIZE(xw_subspaces, 4);
XW_SIZE(xw_iptfs_rate, 16);
XW_SIZE(xw_iptfs_options, 16);
XW_SIZE(xw_iptfs_state, 16);
XW_SIZE(xw_outer, 4);
XW_SIZE(xw_classes, 16);
XW_SIZE(xw_path, 12);
XW_SIZE(xw_lane_stats, 32);

XW_AT(xw_sel, saddr, 16);
XW_AT(xw_sel, dport_be, 32);
XW_AT(xw_sel, sport_mask_be, 38);
XW_AT(xw_sel, family, 40);
XW_AT(xw_sel, plen_d, 42);
XW_AT(xw_sel, plen_s, 43);
XW_AT(xw_sel, proto, 44);
XW_AT(xw_sel, ifindex, 48);
XW_AT(xw_sel, user, 52);
XW_AT(xw_id, spi_be, 16);
XW_AT(xw_id, proto, 20);
XW_AT(xw_sa, id, 56);
XW_AT(xw_sa, saddr, 80);
XW_AT(xw_sa, life, 96);
XW_AT(xw_sa, used, 160);
XW_AT(xw_sa, stats, 192);
XW_AT(xw_sa, seq, 204);
XW_AT(xw_sa, reqid, 208);
XW_AT(xw_sa, family, 212);
XW_AT(xw_sa, mode, 214);
XW_AT(xw_sa, replay_window, 215);
XW_AT(xw_sa, flags, 216);
XW_AT(xw_sa_id, family, 20);
XW_AT(xw_sa_id, proto, 22);
XW_AT(xw_ae, saddr, 24);
XW_AT(xw_ae, flags, 40);
XW_AT(xw_spi, min, 224);
XW_AT(xw_policy, life, 56);
XW_AT(xw_policy, used, 120);
XW_AT(xw_policy, priority, 152);
XW_AT(xw_policy, index, 156);
XW_AT(xw_policy, dir, 160);
XW_AT(xw_policy, share, 163);
XW_AT(xw_policy_id, index, 56);
XW_AT(xw_policy_id, dir, 60);
XW_AT(xw_tmpl, family, 24);
XW_AT(xw_tmpl, saddr, 28);
XW_AT(xw_tmpl, reqid, 44);
XW_AT(xw_tmpl, mode, 48);
XW_AT(xw_tmpl, optional, 50);
XW_AT(xw_tmpl, aalgos, 52);
XW_AT(xw_tmpl, calgos, 60);
XW_AT(xw_acquire, saddr, 24);
XW_AT(xw_acquire, sel, 40);
XW_AT(xw_acquire, policy, 96);
XW_AT(xw_acquire, aalgos, 264);
XW_AT(xw_acquire, seq, 276);
XW_AT(xw_expire, hard, 224);
XW_AT(xw_polexpire, hard, 168);
XW_AT(xw_report, sel, 4);
XW_AT(xw_migrate, proto, 64);
XW_AT(xw_migrate, reqid, 68);
XW_AT(xw_migrate, new_family, 74);
XW_AT(xw_kmaddress, family, 36);
XW_AT(xw_mapping, reqid, 24);
XW_AT(xw_mapping, new_saddr, 44);
XW_AT(xw_mapping, new_sport_be, 62);
XW_AT(xw_encap, dport_be, 4);
XW_AT(xw_encap, oa, 8);
XW_AT(xw_filter, family, 32);
XW_AT(xw_filter, dplen, 35);
XW_AT(xw_policy_type, reserved2, 4);

#undef XW_SIZE
#undef XW_AT

#endif
