/* The configuration of the gateway: a YAML file, version 1, read into plain structs.
 *
 * One table (schema.c) holds every key: the parser, the defaults, `--check`, `show config`, the
 * difference that a reload applies, and the man page come out of it.
 *
 * A file is read whole or not at all: all its errors are found in one run, and with one error there
 * is no struct conf. Control plane only, one thread at a time per struct. Keys lie in struct
 * conf_secret; conf_free wipes them, as the readers wipe every buffer that a key went through;
 * nothing here prints them. `tunnels` are gone after reading: each is two SAs, `<name>.out` and
 * `<name>.in`, and two policies of the same names, which stand behind all of `policies`. Where out
 * or in is a list, its SAs are called `<name>.out.d46.w3`, after the first of their classes and
 * their worker as far as they have them, with a number behind where that is another's name.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "alg/alg.h"
#include "base/addr.h"
#include "base/err.h"
#include "conf/errors.h"

#define CONF_FILE_MAX	 (UINT32_C(16) << 20) /* octets of a file; a larger one is refused */
#define CONF_NAME_SIZE	 64
#define CONF_DEVICE_SIZE 512
#define CONF_SECRET_MAX	 ALG_AUTH_KEY_MAX
#define CONF_ENGINES_MAX 4
#define CONF_NONE	 UINT32_MAX

/* first to last, both included. prefix_len is CONF_NOT_PREFIX where no prefix says the same. */
#define CONF_NOT_PREFIX 255
struct conf_net {
	uint8_t family;
	uint8_t prefix_len;
	uint8_t first[16];
	uint8_t last[16];
};

/* An address of ours on a link. */
struct conf_ifaddr {
	struct addr addr;
	uint8_t prefix_len;
};

struct conf_nets {
	struct conf_net *list;
	uint32_t n;
};

struct conf_ifaddrs {
	struct conf_ifaddr *list;
	uint32_t n;
};

/* DPDK device arguments, each text of its own. n 0: none are named. */
struct conf_devices {
	char (*list)[CONF_DEVICE_SIZE];
	uint32_t n;
};

/* Names, at least one where there is any; most items say one, which lies here. */
struct conf_names {
	char first[CONF_NAME_SIZE];
	char (*more)[CONF_NAME_SIZE];
	uint32_t n_more;
};

struct conf_engines {
	uint8_t n;
	uint8_t list[CONF_ENGINES_MAX]; /* enum conf_engine, preferred first */
};

/* Keying material as IKE hands it: the key, followed by the salt or nonce where there is one. */
struct conf_secret {
	uint8_t len;
	uint8_t octets[CONF_SECRET_MAX];
};

/* The words of the file, in the order of the tables in schema.c. */
enum conf_idle {
	CONF_IDLE_POLL,
	CONF_IDLE_SLEEP
};
enum conf_numa {
	CONF_NUMA_PREFER,
	CONF_NUMA_STRICT
};
enum conf_engine {
	CONF_ENGINE_INLINE,
	CONF_ENGINE_CRYPTODEV,
	CONF_ENGINE_IPSEC_MB,
	CONF_ENGINE_OPENSSL
};
enum conf_side {
	CONF_BLACK,
	CONF_RED
};
enum conf_direction {
	CONF_IN,
	CONF_OUT
};
enum conf_proto {
	CONF_ESP,
	CONF_AH
};
enum conf_mode {
	CONF_TUNNEL,
	CONF_TRANSPORT,
	CONF_BEET,
	CONF_IPTFS
};
enum conf_df {
	CONF_DF_COPY,
	CONF_DF_SET,
	CONF_DF_CLEAR
};
enum conf_frag {
	CONF_FRAG_PRE,
	CONF_FRAG_POST,
	CONF_FRAG_NONE,
	CONF_FRAG_ALWAYS /* after ESP, whatever DF says: no word of the file, a daemon's SA */
};
enum conf_action {
	CONF_PROTECT,
	CONF_BYPASS,
	CONF_DISCARD
};
enum conf_acquire {
	CONF_ACQUIRE_DROP,
	CONF_ACQUIRE_HOLD
};
enum conf_ipcomp {
	CONF_IPCOMP_DEFLATE
};
enum conf_layer {
	CONF_LAYER_L3,
	CONF_LAYER_L2
};
enum conf_lane_by {
	CONF_LANE_BY_FLOW,
	CONF_LANE_BY_CLASS
};

/* Numbers that stand for a word where a key takes either. */
#define CONF_AUTO	     0		/* rx_queues, mbufs, lanes, packet_size */
#define CONF_ALL	     UINT64_MAX /* workers, dscp */
#define CONF_EMTU_ANY	     65535	/* reassembly.emtu_r: no limit */
#define CONF_FLOW_LABEL_HASH (UINT32_C(1) << 20)
#define CONF_FLOW_LABEL_COPY (CONF_FLOW_LABEL_HASH + 1)
#define CONF_PROTOCOL_ANY    256
#define CONF_PROTOCOL_ICMP   257 /* 1 with IPv4, 58 with IPv6 */
#define CONF_WORKER_FALLBACK UINT16_MAX

/* The names of enum conf_engine, in its order. */
extern const char *const conf_engine_names[CONF_ENGINES_MAX];

/* Where a key stands, by its row in the schema's block; line 0: it was left out. For the items
 * whose keys may need a restart.
 */
#define CONF_PLACES 24
struct conf_place {
	uint32_t line, col;
};

struct conf_gateway {
	char name[CONF_NAME_SIZE];
	char state_file[CONF_DEVICE_SIZE]; /* empty: none */
	uint32_t state_block;		   /* CONF_AUTO */
	char socket_group[CONF_NAME_SIZE];
	uint8_t idle, numa;
	struct conf_engines crypto;
	struct conf_devices crypto_devices; /* none: all that DPDK has found */
	uint32_t max_sas;
	struct {
		uint32_t v4, v6;
	} max_routes;
	uint64_t key_cache; /* octets per worker */
	uint32_t burst, mbufs;
	uint32_t replay_window_min;
	uint64_t orphan_timeout_us;
	struct {
		uint8_t action;
		uint32_t hold, rate;
	} acquire;
	struct {
		uint64_t timeout_us;
		uint32_t max_datagrams, max_pieces;
		uint32_t emtu_r; /* octets, CONF_EMTU_ANY: any */
	} reassembly;
	struct conf_place places[CONF_PLACES];
};

struct conf_port {
	char name[CONF_NAME_SIZE];
	char device[CONF_DEVICE_SIZE];
	struct conf_mark mark;
	struct conf_ifaddrs addresses;
	uint64_t workers; /* bit n: worker n; CONF_ALL */
	uint32_t mtu, rx_queues, rx_desc, tx_desc;
	uint8_t side;
	bool offloads; /* auto */
	bool promiscuous;
	bool esp_echo;
	char ipsec[CONF_DEVICE_SIZE]; /* the key `inline`: auto, off, or the words of a driver */
	struct {
		bool on;
		char tap[CONF_NAME_SIZE];
		char device[CONF_DEVICE_SIZE];
	} mirror;
	struct conf_place places[CONF_PLACES];
};

struct conf_route {
	struct conf_mark mark;
	struct conf_net to; /* a prefix */
	struct addr via;    /* family 0: on the link */
	char port_name[CONF_NAME_SIZE];
	uint32_t port; /* index of ports[] */
};

struct conf_neighbour {
	struct conf_mark mark;
	struct addr ip;
	char port_name[CONF_NAME_SIZE]; /* right behind ip: the two are what it is known by */
	uint8_t mac[6];
	uint32_t port;
};

/* Where a packet's DSCP goes: map[inner] is the outer one. */
struct conf_dscp_map {
	uint8_t map[64];
};

struct conf_encap {
	bool on;
	uint16_t ports[2]; /* source and destination as in the packet, host order; in: 0 = any
			      source */
	uint64_t keepalive_us;
	bool follow;
};

struct conf_iptfs {
	bool on;
	uint64_t rate_bps; /* 0: none */
	uint8_t layer;
	uint32_t packet_size; /* CONF_AUTO */
	uint64_t init_delay_us, max_queue, max_aggregation_us, drop_time_us;
	uint32_t reorder_window;
	bool dont_frag, send_immediately, congestion_control;
	struct {
		bool on;
		uint32_t loss_percent;
		uint64_t time_us;
	} breaker;
};

struct conf_lifetime {
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes, soft_seconds,
		hard_seconds; /* 0: none */
	/* Since the first packet; no key of the file says them. */
	uint64_t soft_use_seconds, hard_use_seconds;
	uint64_t used_packets, used_bytes; /* that count already */
};

/* What the file's SAs believe of their path, and a daemon's always. */
#define CONF_PMTU_FLOOR	 1280
#define CONF_PMTU_AGE_US (600 * UINT64_C(1000000))

struct conf_sa {
	char name[CONF_NAME_SIZE];
	struct conf_mark mark;
	uint8_t direction, proto, mode;
	uint32_t spi; /* host order */
	struct addr src, dst;
	struct suite suite; /* what aead, cipher, auth, icv, implicit_iv and esn come to */
	struct conf_secret key, auth_key;
	uint32_t replay_window; /* 0: off */
	uint64_t oseq, replay_top;
	struct conf_dscp_map outer_dscp;
	bool ecn;
	uint8_t df, ttl, frag;
	uint32_t flow_label;
	uint32_t path_mtu;
	struct {
		bool icmp, probe;
		uint32_t floor;
		uint64_t age_us;
	} pmtu;
	struct {
		uint32_t pad_to;
		uint32_t dummy_rate; /* packets per second */
	} tfc;
	struct conf_encap encap;
	struct conf_lifetime lifetime;
	/* As written; suite says the same in the words of lib/alg. */
	const struct alg *aead, *cipher, *auth;
	uint8_t icv_len; /* 0: the algorithm's */
	bool esn, implicit_iv;
	bool subspaces, mss_clamp, esp_ping, beet_reassemble;
	bool ah_align8;	   /* AH over IPv4 padded to 8 octets, not 4: of a daemon's SAs */
	uint32_t lanes;	   /* CONF_AUTO; 1 without subspaces */
	uint8_t lane_by;   /* enum conf_lane_by */
	uint64_t dscp_set; /* bit n: class n; 0: all that come */
	struct {
		bool on;
		struct addr src, dst;
	} inner;
	struct {
		bool on;
		char name[CONF_NAME_SIZE];
		uint32_t worker; /* or CONF_WORKER_FALLBACK */
	} bundle;
	uint32_t set; /* in: of conf.sets, that its policies name; CONF_NONE: it alone */
	struct {
		bool on;
		uint32_t cpi;
		uint8_t algorithm;
		uint32_t threshold, max_output;
		bool xt, stored;
	} ipcomp;
	struct conf_iptfs iptfs;
};

struct conf_port_range {
	uint16_t first, last; /* host order; 0 to 65535 is any */
};

struct conf_policy {
	char name[CONF_NAME_SIZE];
	struct conf_mark mark;
	/* A packet matches when it matches one of each list: of all pairs, those of one family
	 * count (conf_policy_pair). There is at least one such pair.
	 */
	struct conf_nets src, dst;
	uint32_t protocol;
	struct conf_port_range src_port, dst_port;
	uint64_t dscp; /* bit n: class n */
	uint8_t direction, action;
	bool icmp;
	struct conf_names sa_names; /* of SAs and bundles */
	uint32_t sa;  /* the first of these: index of sas[], CONF_NONE unless protect */
	uint32_t set; /* of conf.sets; CONF_NONE: sa is all */
};

/* Several SAs that a policy names, or a bundle of which it names the whole; no two sets are the
 * same. Outbound in the order of their names, a bundle's in that of the file, so that the last of
 * several for one worker and list of classes counts, and the first has the lowest rank; inbound in
 * the file's.
 */
struct conf_set {
	uint32_t n;
	uint32_t *sas;
	uint8_t direction;
};

struct conf {
	uint32_t version;
	struct conf_gateway gateway;
	struct conf_port *ports;
	struct conf_route *routes;
	struct conf_neighbour *neighbours;
	struct conf_sa *sas;
	struct conf_policy *policies; /* in order of precedence */
	struct conf_set *sets;
	uint32_t n_ports, n_routes, n_neighbours, n_sas, n_policies, n_sets;
};

enum conf_flags {
	CONF_NO_SOURCES = 1 << 0, /* `file:` and `env:` keys are refused: for text from elsewhere,
				     and fuzzing */
};

/* Reads a file. On success *out is the caller's, to be given to conf_free; e may hold warnings.
 * Otherwise -EINVAL (or -errno of the file), e holds every error found and *out is NULL. e is
 * initialized by the caller. Relative `file:PATH` keys are looked for beside the configuration
 * file.
 */
int conf_load(const char *path, struct conf **out, struct conf_errors *e);

/* The same of text in memory; `name` stands for the file in errors. The text is not changed; it is
 * the caller's to wipe when it holds keys.
 */
int conf_load_text(const char *text, size_t len, const char *name, unsigned flags,
		   struct conf **out, struct conf_errors *e);

/* The names one by one; n of them. */
static inline uint32_t
conf_names_n(const struct conf_names *names)
{
	return names->first[0] == 0 ? 0 : 1 + names->n_more;
}

static inline const char *
conf_name_at(const struct conf_names *names, uint32_t i)
{
	return i == 0 ? names->first : names->more[i - 1];
}

/* Whether packets of that size (0: auto) at a constant rate are neither too many nor too few for
 * the gateway. -EINVAL.
 */
int conf_iptfs_interval(uint32_t packet_size, bool l2, uint64_t rate_bps, struct err *err);

/* A number as the file may have it, such as 100M or 4Ki. */
bool conf_number(const char *text, uint64_t *value);

struct choice_member;
/* What the SPD asks of an outbound set's SAs to choose between them; all but their place in the
 * table of SAs. As many as the set has.
 */
void conf_set_members(const struct conf *c, const struct conf_set *set,
		      struct choice_member *members);

/* Wipes the keys. NULL is fine. */
void conf_free(struct conf *c);

/* The next pair of one family from *at on (start with 0); false when there is none left. */
bool conf_policy_pair(const struct conf_policy *p, uint64_t *at, const struct conf_net **src,
		      const struct conf_net **dst);

/* The key of the algorithm that needs a nonce or enciphers, with its salt. With AH that is an auth
 * and in the file its key is auth_key.
 */
const struct conf_secret *conf_sa_key(const struct conf_sa *sa);

/* The effective configuration as YAML: defaults and expanded tunnels included, keys as "redacted".
 */
void conf_print(FILE *f, const struct conf *c);

/* Where a key of `gateway:` stands; line 0: it was left out. */
struct conf_place conf_gateway_place(const struct conf *c, const char *key);

/* What each limit costs in memory, a line each. */
void conf_costs_print(FILE *f, const struct conf *c);

/* The man page espgw.yaml(5). */
void conf_man(FILE *f);

/* ---- The difference between two configurations, for reload. ---- */

enum conf_kind {
	CONF_GATEWAY,
	CONF_PORT,
	CONF_ROUTE,
	CONF_NEIGHBOUR,
	CONF_SA,
	CONF_POLICY,
	CONF_KINDS
};
enum conf_verb {
	CONF_ADDED,
	CONF_REMOVED,
	CONF_CHANGED,
	CONF_MOVED
};

struct conf_change {
	uint8_t kind; /* enum conf_kind */
	uint8_t verb; /* enum conf_verb */
	bool restart; /* cannot be applied while running */
	bool renew;   /* of a changed SA: algorithm, key, number format, or addresses; not a mere
			 option */
	uint32_t was; /* index in the old configuration, CONF_NONE when added */
	uint32_t now; /* index in the new one, CONF_NONE when removed */
	char *line;   /* "~ sa z: df copy -> set" */
};

/* Items are the same by their name; routes by prefix, neighbours by address and port. Policies
 * count by order too: one that stands before another it stood behind is CONF_MOVED, a changed one
 * CONF_CHANGED. from[kind][i] is the old index of the new configuration's item i, CONF_NONE when it
 * is new.
 */
struct conf_diff {
	struct conf_change *changes;
	uint32_t n;
	uint32_t n_of[CONF_KINDS];
	bool restart;
	uint32_t *from[CONF_KINDS]; /* NULL for the gateway */
};

/* Fills *d, to be given to conf_diff_free. What needs a restart is also an error in e, at its line
 * of the new file. Returns 0, -EINVAL when a restart is needed (*d is then filled all the same), or
 * -ENOMEM.
 */
int conf_diff(const struct conf *old, const struct conf *new, struct conf_diff *d,
	      struct conf_errors *e);
void conf_diff_free(struct conf_diff *d);
/* A line for each change; nothing when there is none. */
void conf_diff_print(FILE *f, const struct conf_diff *d);

#endif
