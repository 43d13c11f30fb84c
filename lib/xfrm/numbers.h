/* Numbers and layouts of Linux XFRM netlink messages, as they lie on the socket of a 64-bit
 * program.
 *
 * Our own copy: headers of a distribution lag behind what daemons send. A struct xw_* is what the
 * kernel's interface calls by the name in its comment; integers are the host's, fields named _be
 * are in network order, addresses are 16 octets of which IPv4 uses the first 4. All padding is a
 * field, so that an initialised struct has no octet of chance in it. Nothing here is checked:
 * xfrm.h reads and writes these.
 */
#ifndef XFRM_NUMBERS_H
#define XFRM_NUMBERS_H

#include <stdint.h>

#define XFRM_ALIGN(n) (((n) + 3u) & ~3u)

/* nlmsghdr.type. 16 to 40 are Linux's; below are netlink's own, from XFRM_PRIVATE on ours. */
enum xfrm_type {
	XFRM_NOOP = 1,
	XFRM_ERROR = 2, /* an answer without data, too: error 0 */
	XFRM_DONE = 3,
	XFRM_OVERRUN = 4,
	XFRM_NEWSA = 16,
	XFRM_DELSA,
	XFRM_GETSA,
	XFRM_NEWPOLICY,
	XFRM_DELPOLICY,
	XFRM_GETPOLICY,
	XFRM_ALLOCSPI,
	XFRM_ACQUIRE,
	XFRM_EXPIRE,
	XFRM_UPDPOLICY,
	XFRM_UPDSA,
	XFRM_POLEXPIRE,
	XFRM_FLUSHSA,
	XFRM_FLUSHPOLICY,
	XFRM_NEWAE,
	XFRM_GETAE,
	XFRM_REPORT,
	XFRM_MIGRATE,
	XFRM_NEWSADINFO,
	XFRM_GETSADINFO,
	XFRM_NEWSPDINFO,
	XFRM_GETSPDINFO,
	XFRM_MAPPING,
	XFRM_SETDEFAULT,
	XFRM_GETDEFAULT,
	XFRM_TYPE_END,
	XFRM_PRIVATE = 0x0400,
};

/* nlmsghdr.flags; 0x100 and 0x200 mean one thing in a get, another in a new, a third in an error.
 */
enum xfrm_flag {
	XFRM_F_REQUEST = 0x001,
	XFRM_F_MULTI = 0x002,
	XFRM_F_ACK = 0x004,
	XFRM_F_DUMP_INTR = 0x010,
	XFRM_F_REPLACE = 0x100,
	XFRM_F_EXCL = 0x200,
	XFRM_F_CREATE = 0x400,
	XFRM_F_DUMP = 0x300,
	XFRM_F_CAPPED = 0x100,
	XFRM_F_ACK_TLVS = 0x200,
};

/* Attributes of all messages but the two INFOs. XFRM_A_FLAGS are not part of the type. */
#define XFRM_A_FLAGS 0xc000
enum xfrm_attr_type {
	XFRM_A_ALG_AUTH = 1,
	XFRM_A_ALG_CRYPT,
	XFRM_A_ALG_COMP,
	XFRM_A_ENCAP,
	XFRM_A_TMPL,
	XFRM_A_SA,
	XFRM_A_POLICY,
	XFRM_A_SEC_CTX,
	XFRM_A_LTIME_VAL,
	XFRM_A_REPLAY_VAL,
	XFRM_A_REPLAY_THRESH,
	XFRM_A_ETIMER_THRESH,
	XFRM_A_SRCADDR,
	XFRM_A_COADDR,
	XFRM_A_LASTUSED,
	XFRM_A_POLICY_TYPE,
	XFRM_A_MIGRATE,
	XFRM_A_ALG_AEAD,
	XFRM_A_KMADDRESS,
	XFRM_A_ALG_AUTH_TRUNC,
	XFRM_A_MARK,
	XFRM_A_TFCPAD,
	XFRM_A_REPLAY_ESN_VAL,
	XFRM_A_SA_EXTRA_FLAGS,
	XFRM_A_PROTO,
	XFRM_A_ADDRESS_FILTER,
	XFRM_A_PAD,
	XFRM_A_OFFLOAD_DEV,
	XFRM_A_SET_MARK,
	XFRM_A_SET_MARK_MASK,
	XFRM_A_IF_ID,
	XFRM_A_MTIMER_THRESH,
	XFRM_A_SA_DIR,
	XFRM_A_NAT_KEEPALIVE,
	XFRM_A_SA_PCPU,
	XFRM_A_IPTFS_DROP_TIME,
	XFRM_A_IPTFS_REORDER_WINDOW,
	XFRM_A_IPTFS_DONT_FRAG,
	XFRM_A_IPTFS_INIT_DELAY,
	XFRM_A_IPTFS_MAX_QSIZE,
	XFRM_A_IPTFS_PKT_SIZE,
	XFRM_A_END,
	/* Ours, for what XFRM has no name for. */
	XFRM_A_PRIVATE = 0x2000,
	XFRM_A_SUBSPACES,  /* struct xw_subspaces */
	XFRM_A_IPTFS_RATE, /* struct xw_iptfs_rate */
	XFRM_A_EESP,	   /* not offered */
	XFRM_A_OUTER,	   /* struct xw_outer */
	XFRM_A_LANE_STATS, /* struct xw_lane_stats, one or more; in a reply that was asked for them
			    */
	XFRM_A_WANT_LANES, /* no octets: GETSA asks for XFRM_A_LANE_STATS */
	XFRM_A_CLASSES,	   /* struct xw_classes: of an outbound SA */
	XFRM_A_ESP_PING,   /* u8: 1: ESP echoes that come by the SA are answered; 0: they are not */
	XFRM_A_PATH,	   /* struct xw_path: NEWAE, to set an SA's path MTU; and of its events */
	XFRM_A_IPTFS_OPTIONS, /* struct xw_iptfs_options */
	XFRM_A_IPTFS_STATE,   /* struct xw_iptfs_state: of events, in NEWAE */
	XFRM_A_PRIVATE_END,
};

/* Attributes of NEWSADINFO and NEWSPDINFO. */
enum xfrm_info_attr {
	XFRM_A_SAD_COUNT = 1,
	XFRM_A_SAD_HASH,
	XFRM_A_SPD_INFO = 1,
	XFRM_A_SPD_HASH,
	XFRM_A_SPD_THRESH_V4,
	XFRM_A_SPD_THRESH_V6,
};

#define XFRM_A_ERROR_MESSAGE 1 /* the sentence, behind the echoed header */

enum xfrm_group {
	XFRM_GROUP_ACQUIRE = 1,
	XFRM_GROUP_EXPIRE,
	XFRM_GROUP_SA,
	XFRM_GROUP_POLICY,
	XFRM_GROUP_AEVENTS,
	XFRM_GROUP_REPORT,
	XFRM_GROUP_MIGRATE,
	XFRM_GROUP_MAPPING,
	XFRM_GROUP_END,
};
/* The bit of a group in the mask that bind() takes. */
#define XFRM_GROUP_BIT(group) (UINT32_C(1) << ((group)-1))

enum xfrm_mode {
	XFRM_TRANSPORT = 0,
	XFRM_TUNNEL = 1,
	XFRM_ROUTE_OPT = 2,
	XFRM_IN_TRIGGER = 3,
	XFRM_BEET = 4,
	XFRM_IPTFS = 5,
};

enum xfrm_protocol {
	XFRM_PROTO_ANY = 0,
	XFRM_PROTO_ESP = 50,
	XFRM_PROTO_AH = 51,
	XFRM_PROTO_COMP = 108,
};

enum xfrm_sa_flag {
	XFRM_SA_NOECN = 1,
	XFRM_SA_DECAP_DSCP = 2,
	XFRM_SA_NOPMTUDISC = 4,
	XFRM_SA_WILDRECV = 8,
	XFRM_SA_ICMP = 16,
	XFRM_SA_AF_UNSPEC = 32,
	XFRM_SA_ALIGN4 = 64,
	XFRM_SA_ESN = 128,
};

enum xfrm_sa_extra_flag {
	XFRM_SA_DONT_ENCAP_DSCP = 1,
	XFRM_SA_OSEQ_MAY_WRAP = 2,
};

enum xfrm_sa_dir {
	XFRM_SA_DIR_NONE = 0, /* was not said */
	XFRM_SA_DIR_IN = 1,
	XFRM_SA_DIR_OUT = 2,
};

enum xfrm_policy_dir {
	XFRM_DIR_IN = 0,
	XFRM_DIR_OUT = 1,
	XFRM_DIR_FWD = 2,
	XFRM_DIR_END,
};

enum xfrm_policy_action {
	XFRM_ALLOW = 0,
	XFRM_BLOCK = 1,
};

enum xfrm_policy_flag {
	XFRM_POLICY_F_LOCALOK = 1,
	XFRM_POLICY_F_ICMP = 2,
	XFRM_POLICY_F_CPU_ACQUIRE = 4,
};

enum xfrm_default {
	XFRM_DEFAULT_UNSPEC = 0,
	XFRM_DEFAULT_BLOCK = 1,
	XFRM_DEFAULT_ACCEPT = 2,
};

/* xfrm_ae.flags: what is asked for, what is there, why an event came. */
enum xfrm_ae_flag {
	XFRM_AE_F_RTHR = 1,
	XFRM_AE_F_RVAL = 2,
	XFRM_AE_F_LVAL = 4,
	XFRM_AE_F_ETHR = 8,
	XFRM_AE_F_REPLAY = 16,
	XFRM_AE_F_TIMER = 32,
	XFRM_AE_F_UPDATE = 64,
};

#define XFRM_ENCAP_ESPINUDP 2
#define XFRM_ENCAP_ESPINTCP 7

#define XFRM_FAMILY_V4 2 /* AF_INET and AF_INET6 of Linux */
#define XFRM_FAMILY_V6 10

#define XFRM_NO_LIMIT	   UINT64_MAX /* of octets and packets; of seconds it is 0 */
#define XFRM_PCPU_NONE	   UINT32_MAX
#define XFRM_TMPL_MAX	   6
#define XFRM_REPLAY_WORDS  128 /* of the bitmap of XFRM_A_REPLAY_ESN_VAL */
#define XFRM_ALG_NAME_SIZE 64
#define XFRM_PRIORITY_MAX  UINT32_MAX

#endif
