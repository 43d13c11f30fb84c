/* The codec of the control socket: Linux XFRM netlink messages to plain structs and back.
 *
 * It knows no gateway: it checks everything that can be seen in a message by itself, and leaves to
 * the caller what needs tables (EEXIST, ESRCH, who may). What Linux refuses is refused with Linux's
 * errno. Integers in these structs are in host order, SPIs and ports too; addresses are those of
 * base/addr.h, where family 4 with octets of 0 is the unspecified address of IPv4.
 *
 * What was read has no padding of chance: selectors, identities and templates compare as octets.
 *
 * Any thread; no state, no allocation, no pointer kept. A message may lie at any alignment, and no
 * length in it is believed. Every refusal fills *err with a sentence that names the field or the
 * attribute with its offset in the message, and says what would be right; it goes back to the
 * client as the extended ack.
 *
 * An attribute that comes twice is refused (EINVAL), but for the counters REPLAY_VAL,
 * REPLAY_ESN_VAL and LTIME_VAL, of which the last counts: charon's address update appends them to
 * what it copied. One that nobody knows is refused; one that is known but has no meaning for the
 * message is checked for its size and ignored, as Linux does, but for XFRMA_SA_DIR and
 * XFRMA_SA_PCPU, which Linux refuses. Fixed sizes must be met exactly, with three exceptions for
 * what daemons really send: an algorithm's attribute and MARK may be longer (iproute2 counts bits
 * as octets, and a header in), and REPLAY_ESN_VAL may end before its bitmap, which then is 0
 * (charon).
 */
#ifndef XFRM_XFRM_H
#define XFRM_XFRM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alg/alg.h"
#include "base/addr.h"
#include "base/err.h"
#include "xfrm/layout.h"
#include "xfrm/numbers.h"

#define XFRM_DATAGRAM_MAX 4096 /* octets that daemons take at once; ours are never longer */
#define XFRM_KEY_MAX	  ALG_AUTH_KEY_MAX

/* ---- Messages of a datagram. ---- */

struct xfrm_msg {
	struct xw_head head;
	const uint8_t *body; /* behind the header; borrowed from the datagram */
	uint32_t len;	     /* of body, attributes included */
};

/* The next message from *at on (start with 0), which moves behind it.
 *
 * 1: *msg is it. 0: the datagram is through. -EINVAL: the length of the message contradicts the
 * datagram: what is left cannot be read, *at is at the end, msg->head says whom to answer.
 * -EBADMSG: fewer octets than a header are left: nobody can be answered.
 */
int xfrm_next(const void *datagram, size_t len, size_t *at, struct xfrm_msg *msg, struct err *err);

/* A GETSA or GETPOLICY that asks for the whole table. */
bool xfrm_is_dump(const struct xfrm_msg *msg);

/* "XFRM_MSG_NEWSA", "XFRMA_ALG_AEAD"; "message 77", "attribute 77" in buf for what has no name. */
#define XFRM_NAME_SIZE 32
const char *xfrm_type_name(uint16_t type, char buf[XFRM_NAME_SIZE]);
const char *xfrm_attr_name(uint16_t type, char buf[XFRM_NAME_SIZE]);

/* ---- What messages are about. ---- */

/* family 0: any (of an SA in tunnel mode). The addresses have it too, and are as the client wrote
 * them, host bits included. A mask of 0 means any port.
 */
struct xfrm_sel {
	uint8_t family;
	uint8_t proto; /* 0: any */
	struct prefix src, dst;
	uint16_t sport, sport_mask, dport, dport_mask;
	int32_t ifindex;
	uint32_t user;
};

struct xfrm_ident {
	struct addr dst;
	uint32_t spi; /* of IPComp the CPI */
	uint8_t proto;
};

/* Bytes and packets: XFRM_NO_LIMIT for none (0 is taken for none, too, by who enforces it).
 * Seconds: 0 is none. */
struct xfrm_life {
	uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
	uint64_t soft_add_s, hard_add_s; /* since it was added */
	uint64_t soft_use_s, hard_use_s; /* since its first packet */
};

/* Times are seconds since 1970; 0: not yet. */
struct xfrm_used {
	uint64_t bytes, packets, add_time, use_time;
};

struct xfrm_mark {
	uint32_t value, mask;
};

struct xfrm_encap {
	uint16_t type;	       /* XFRM_ENCAP_ESPINUDP */
	uint16_t sport, dport; /* as in the packet; sport 0 of an inbound SA: any */
	struct addr oa;	       /* NAT-OA; family 0 where it is unspecified */
};

/* REPLAY_VAL (words 1, numbers of 32 bits, bit i: top - i came) or REPLAY_ESN_VAL (bit (n - 1) mod
 * window: number n came). The words beyond `words` are undefined.
 */
struct xfrm_replay {
	uint64_t oseq, seq; /* last number sent, highest accepted */
	uint32_t window;    /* packets; of REPLAY_ESN_VAL alone */
	uint32_t words;
	uint32_t bitmap[XFRM_REPLAY_WORDS];
};

struct xfrm_key {
	uint8_t len; /* octets, the salt or nonce included */
	uint8_t octets[XFRM_KEY_MAX];
};

struct xfrm_iptfs {
	uint32_t drop_time_us, init_delay_us, max_queue, packet_size;
	uint16_t reorder_window;
	bool dont_frag;
};

struct xfrm_offload {
	int32_t ifindex;
	uint8_t flags;
};

/* Which optional attributes were there, or shall be written. */
enum xfrm_has {
	XFRM_HAS_EXTRA_FLAGS = 1 << 0,
	XFRM_HAS_COADDR = 1 << 1,
	XFRM_HAS_LASTUSED = 1 << 2,
	XFRM_HAS_SUITE = 1 << 3, /* ALG_AEAD, or ALG_CRYPT and ALG_AUTH(_TRUNC) */
	XFRM_HAS_COMP = 1 << 4,
	XFRM_HAS_ENCAP = 1 << 5,
	XFRM_HAS_TFCPAD = 1 << 6,
	XFRM_HAS_MARK = 1 << 7,
	XFRM_HAS_SET_MARK = 1 << 8, /* mask of all ones where none was given */
	XFRM_HAS_REPLAY = 1 << 9,
	XFRM_HAS_REPLAY_ESN = 1 << 10,
	XFRM_HAS_OFFLOAD = 1 << 11,
	XFRM_HAS_IF_ID = 1 << 12,
	XFRM_HAS_IPTFS_DROP_TIME = 1 << 13,
	XFRM_HAS_IPTFS_REORDER_WINDOW = 1 << 14,
	XFRM_HAS_IPTFS_DONT_FRAG = 1 << 15,
	XFRM_HAS_IPTFS_INIT_DELAY = 1 << 16,
	XFRM_HAS_IPTFS_MAX_QSIZE = 1 << 17,
	XFRM_HAS_IPTFS_PKT_SIZE = 1 << 18,
	XFRM_HAS_MTIMER = 1 << 19,
	XFRM_HAS_PCPU = 1 << 20,
	XFRM_HAS_DIR = 1 << 21,
	XFRM_HAS_NAT_KEEPALIVE = 1 << 22,
	XFRM_HAS_LTIME = 1 << 23, /* used came by LTIME_VAL: counters are to go on from it */
	XFRM_HAS_REPLAY_THRESH = 1 << 24,
	XFRM_HAS_ETIMER_THRESH = 1 << 25,
	XFRM_HAS_SRCADDR = 1 << 26,
	XFRM_HAS_POLICY_TYPE = 1 << 27,
	XFRM_HAS_SUBSPACES = 1 << 28,
	XFRM_HAS_IPTFS_RATE = 1 << 29,
	XFRM_HAS_OUTER = 1 << 30,
};
#define XFRM_HAS_IPTFS                                                                         \
	(XFRM_HAS_IPTFS_DROP_TIME | XFRM_HAS_IPTFS_REORDER_WINDOW | XFRM_HAS_IPTFS_DONT_FRAG | \
	 XFRM_HAS_IPTFS_INIT_DELAY | XFRM_HAS_IPTFS_MAX_QSIZE | XFRM_HAS_IPTFS_PKT_SIZE)

/* An SA: the body of NEWSA and all its attributes. A field whose bit is not in has is 0, but for
 * pcpu (XFRM_PCPU_NONE) and mark masks.
 */
struct xfrm_sa {
	uint32_t has; /* enum xfrm_has */
	struct xfrm_sel sel;
	struct xfrm_ident id;
	struct addr src;
	struct xfrm_life life;
	struct xfrm_used used;
	struct {
		uint32_t replay_window, replay, integrity_failed;
	} stats;
	uint32_t seq, reqid;
	uint8_t family; /* of src and id.dst: 4 or 6 */
	uint8_t mode;	/* enum xfrm_mode */
	uint8_t window; /* the old field, packets; 0 beside REPLAY_ESN_VAL */
	uint8_t flags;	/* enum xfrm_sa_flag */
	uint8_t dir;	/* enum xfrm_sa_dir */
	uint32_t extra_flags;
	uint32_t tfcpad, if_id, mtimer_s, pcpu, nat_keepalive_s, replay_thresh;
	uint32_t etimer_thresh; /* 100 ms */
	struct xfrm_mark mark, set_mark;
	struct addr coaddr;
	uint64_t lastused;
	struct xfrm_encap encap;
	struct suite suite; /* ESN from flags */
	/* As espgw.yaml's key and auth_key: with the salt behind it. Wiped by xfrm_sa_wipe. */
	struct xfrm_key key, auth_key;
	struct xfrm_iptfs iptfs;
	struct xfrm_offload offload;
	struct {
		uint16_t count;
		uint8_t bits, mode; /* of XFRM_A_SUBSPACES */
	} subspaces;
	/* XFRM_A_LANE_STATS, of an answer; borrowed for the call that writes it. */
	const struct xw_lane_stats *lanes;
	uint16_t n_lanes;
	struct {
		uint64_t bits_per_second;
		uint8_t layer;
		bool congestion_control;
	} iptfs_rate;
	struct {
		bool on; /* XFRM_A_IPTFS_OPTIONS is there */
		bool refuse_frags, send_immediately;
		uint8_t breaker_loss; /* 0: none */
		uint8_t dscp;
		uint32_t max_aggregation_us, breaker_time_us;
	} iptfs_options;
	struct {
		uint8_t df, frag; /* as espgw.yaml's words in their order */
	} outer;
	struct {
		uint64_t dscp; /* bit n: class n; 0: it has no list */
		uint8_t rank;  /* 0 without a list */
	} classes;
	bool esp_ping;		   /* ESP echoes are answered */
	struct xfrm_replay replay; /* last: it is long, and seldom all used */
};

/* The SA has no more keys. */
void xfrm_sa_wipe(struct xfrm_sa *sa);

/* An empty SA: what fields mean when nobody said anything, lifetimes without limits. */
void xfrm_sa_init(struct xfrm_sa *sa);

struct xfrm_sa_id {
	uint32_t has; /* SRCADDR, MARK */
	uint8_t family;
	struct xfrm_ident id;
	struct addr src;
	struct xfrm_mark mark;
	bool want_lanes; /* XFRM_A_WANT_LANES */
};

/* Which SAs a dump lists. */
struct xfrm_filter {
	uint8_t proto;		/* 0: any */
	bool on;		/* by address */
	struct prefix src, dst; /* both must cover; of length 0: any */
};

struct xfrm_spi_range {
	struct xfrm_sa sa; /* sel, id, src, mode, reqid, seq, family, mark, if_id, dir, pcpu */
	uint32_t min, max; /* both included */
};

struct xfrm_tmpl {
	struct xfrm_ident id; /* spi 0: any */
	uint8_t family;	      /* of the addresses, which may be unspecified */
	struct addr src;
	uint32_t reqid;
	uint8_t mode, share;
	bool optional;
	uint32_t aalgos, ealgos, calgos;
};

struct xfrm_policy {
	uint32_t has; /* POLICY_TYPE, MARK, IF_ID, OFFLOAD */
	struct xfrm_sel sel;
	struct xfrm_life life;
	struct xfrm_used used;
	uint32_t priority; /* lower wins */
	uint32_t index;	   /* 0: to be chosen; its lowest 3 bits are dir */
	uint8_t dir;	   /* enum xfrm_policy_dir */
	uint8_t action, flags, share, type;
	uint32_t if_id;
	struct xfrm_mark mark;
	struct xfrm_offload offload;
	uint8_t n_tmpls;
	struct xfrm_tmpl tmpls[XFRM_TMPL_MAX];
};

/* By index where it is not 0, else by selector. */
struct xfrm_policy_id {
	uint32_t has; /* POLICY_TYPE, MARK, IF_ID */
	struct xfrm_sel sel;
	uint32_t index;
	uint8_t dir, type;
	uint32_t if_id;
	struct xfrm_mark mark;
};

struct xfrm_ae {
	uint32_t has; /* LTIME, REPLAY, REPLAY_ESN, REPLAY_THRESH, ETIMER_THRESH, MARK, IF_ID, PCPU,
			 DIR */
	uint8_t family, dir;
	struct xfrm_ident id;
	struct addr src;
	uint32_t flags; /* enum xfrm_ae_flag */
	uint32_t reqid, if_id, pcpu;
	uint32_t replay_thresh, etimer_thresh;
	struct xfrm_mark mark;
	struct xfrm_used used;
	bool has_path, has_iptfs; /* each alone, of events; a path of requests too */
	struct xw_path path;
	struct xw_iptfs_state iptfs;
	struct xfrm_replay replay;
};

struct xfrm_move {
	struct addr old_src, old_dst, new_src, new_dst;
	uint8_t proto, mode;
	uint32_t reqid;
};

struct xfrm_migrate {
	uint32_t has; /* ENCAP, IF_ID, POLICY_TYPE */
	struct xfrm_policy_id policy;
	uint8_t n_moves;
	struct xfrm_move moves[XFRM_TMPL_MAX];
	struct xfrm_encap encap;
	struct { /* where IKE now is; on: was there */
		bool on;
		struct addr local, remote;
	} km;
};

/* What goes by default: XFRM_DEFAULT_BLOCK or _ACCEPT, _UNSPEC: as it is. */
struct xfrm_defaults {
	uint8_t in, fwd, out;
};

struct xfrm_spd_info {
	struct xw_spd_counts counts;
	struct xw_hash_sizes hash;
	struct xw_thresh v4,
		v6; /* prefix lengths from which on policies are hashed; 32/32, 128/128: none */
	bool has_v4, has_v6; /* of a request: to be changed */
};

struct xfrm_acquire {
	uint32_t has;	      /* MARK, IF_ID, PCPU */
	struct xfrm_ident id; /* of the template: proto, peer, spi 0 */
	struct addr src;
	struct xfrm_sel sel;	   /* the packet's */
	struct xfrm_policy policy; /* with templates: the reqid is there */
	uint32_t aalgos, ealgos, calgos, seq, if_id, pcpu;
	struct xfrm_mark mark;
};

struct xfrm_mapping {
	uint8_t family;
	struct xfrm_ident id;
	uint32_t reqid;
	struct addr old_src, new_src;
	uint16_t old_sport, new_sport;
};

/* ---- Reading requests. 0 or negative errno; *out is then undefined. ---- */

/* NEWSA, UPDSA, with all checks: modes, algorithms and key lengths (ENOSYS for an algorithm that
 * we do not have, at that truncation), no integrity, keys of all zeros, ESN and windows,
 * directions, SPIs below 256. A selector without a family has the SA's from then on, as with Linux,
 * unless XFRM_SA_AF_UNSPEC is set. Security labels and ESP in TCP are
 * EOPNOTSUPP. After a failure, too, sa holds no key.
 */
int xfrm_parse_sa(const struct xfrm_msg *msg, struct xfrm_sa *sa, struct err *err);

/* The same message as an answer or event, as a client reads it: no check but of form, keys may be
 * zeros. The body may also be that of EXPIRE.
 */
int xfrm_read_sa(const struct xfrm_msg *msg, struct xfrm_sa *sa, struct err *err);

/* DELSA, GETSA without XFRM_F_DUMP. */
int xfrm_parse_sa_id(const struct xfrm_msg *msg, struct xfrm_sa_id *id, struct err *err);
/* GETSA with XFRM_F_DUMP. */
int xfrm_parse_filter(const struct xfrm_msg *msg, struct xfrm_filter *f, struct err *err);
/* Whether a dump with that filter lists that SA. */
bool xfrm_filter_match(const struct xfrm_filter *f, uint8_t proto, const struct addr *src,
		       const struct addr *dst);
/* ALLOCSPI. */
int xfrm_parse_spi_range(const struct xfrm_msg *msg, struct xfrm_spi_range *r, struct err *err);
/* FLUSHSA: XFRM_PROTO_ANY or one. */
int xfrm_parse_flush_sa(const struct xfrm_msg *msg, uint8_t *proto, struct err *err);

/* NEWPOLICY, UPDPOLICY. */
int xfrm_parse_policy(const struct xfrm_msg *msg, struct xfrm_policy *p, struct err *err);
/* DELPOLICY, GETPOLICY without XFRM_F_DUMP. */
int xfrm_parse_policy_id(const struct xfrm_msg *msg, struct xfrm_policy_id *id, struct err *err);
/* FLUSHPOLICY: only the main type is there. */
int xfrm_parse_flush_policy(const struct xfrm_msg *msg, struct err *err);
/* SETDEFAULT; that nothing may be let through by default is the caller's to say. */
int xfrm_parse_defaults(const struct xfrm_msg *msg, struct xfrm_defaults *d, struct err *err);

/* NEWAE (which needs XFRM_F_REPLACE and something to set), GETAE. */
int xfrm_parse_ae(const struct xfrm_msg *msg, struct xfrm_ae *ae, struct err *err);
/* MIGRATE. */
int xfrm_parse_migrate(const struct xfrm_msg *msg, struct xfrm_migrate *m, struct err *err);
/* GETSADINFO, GETSPDINFO: a word of flags, which say nothing. */
int xfrm_parse_get_info(const struct xfrm_msg *msg, struct err *err);
/* NEWSPDINFO: v4 and v6. */
int xfrm_parse_spd_info(const struct xfrm_msg *msg, struct xfrm_spd_info *i, struct err *err);

/* ---- Writing answers and events. ----
 *
 * Each writes one message behind what is there, of a length that is a multiple of 4 and with every
 * octet of padding 0, and moves out->at; or returns -EMSGSIZE and leaves it as it was when it does
 * not fit. Attributes stand in the kernel's order.
 */
struct xfrm_out {
	uint8_t *at, *end;
};

/* Header of an answer to a request: the same seq, the client's port id. */
struct xfrm_head {
	uint16_t type, flags;
	uint32_t seq, pid;
};

/* NEWSA and UPDSA; the answers of GETSA and ALLOCSPI are NEWSA. Without keys, zeros of their
 * length stand in their place.
 */
int xfrm_put_sa(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_sa *sa,
		bool keys);
/* The event DELSA: the id, and the SA without its keys as an attribute. */
int xfrm_put_sa_gone(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_sa *sa);
int xfrm_put_flush_sa(struct xfrm_out *out, const struct xfrm_head *h, uint8_t proto);
/* EXPIRE. */
int xfrm_put_expire(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_sa *sa,
		    bool hard);

/* NEWPOLICY, UPDPOLICY; the answer of GETPOLICY is NEWPOLICY. */
int xfrm_put_policy(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_policy *p);
/* The event DELPOLICY. */
int xfrm_put_policy_gone(struct xfrm_out *out, const struct xfrm_head *h,
			 const struct xfrm_policy *p);
int xfrm_put_flush_policy(struct xfrm_out *out, const struct xfrm_head *h);
/* POLEXPIRE. */
int xfrm_put_policy_expire(struct xfrm_out *out, const struct xfrm_head *h,
			   const struct xfrm_policy *p, bool hard);
int xfrm_put_acquire(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_acquire *a);
int xfrm_put_mapping(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_mapping *m);
/* With XFRM_F_REQUEST all moves stand in one attribute, in the event each in its own: as in Linux.
 */
int xfrm_put_migrate(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_migrate *m);
int xfrm_put_ae(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_ae *ae);
int xfrm_put_sad_info(struct xfrm_out *out, const struct xfrm_head *h, uint32_t sas,
		      const struct xw_hash_sizes *hash);
int xfrm_put_spd_info(struct xfrm_out *out, const struct xfrm_head *h,
		      const struct xfrm_spd_info *i);
int xfrm_put_defaults(struct xfrm_out *out, const struct xfrm_head *h,
		      const struct xfrm_defaults *d);

/* Requests, for who speaks to a gateway. */
int xfrm_put_sa_id(struct xfrm_out *out, const struct xfrm_head *h, const struct xfrm_sa_id *id);
int xfrm_put_spi_range(struct xfrm_out *out, const struct xfrm_head *h,
		       const struct xfrm_spi_range *r);
int xfrm_put_policy_id(struct xfrm_out *out, const struct xfrm_head *h,
		       const struct xfrm_policy_id *id);

/* The answer to `request`: rc 0, or negative errno with the sentence of err (NULL or empty: none).
 * A sentence is cut to what fits.
 */
int xfrm_put_error(struct xfrm_out *out, const struct xw_head *request, uint32_t pid, int rc,
		   const struct err *err);
/* The end of a dump; interrupted: the table changed while it went. */
int xfrm_put_done(struct xfrm_out *out, uint32_t seq, uint32_t pid, bool interrupted);

/* ---- Algorithms. ---- */

/* The kernel's name of the cipher or AEAD of a suite, of its auth, "" where it has none. */
const char *xfrm_cipher_name(const struct suite *s);
const char *xfrm_auth_name(const struct suite *s);

#endif
