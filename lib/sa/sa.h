/* Security associations: what the workers read of them, and how control makes and ends them.
 *
 * An SA is one direction (RFC 4301 section 4.1) and has an index, which is what packets, policies
 * and the SPI table carry; with it goes a generation that tells its users apart. Behind the index
 * stand `struct sa`, two lines, and the session, two lines of raw keys that an engine reads; away
 * from them the cold part, for control alone.
 *
 * Control creates an SA whole, then publishes its index; ends it in the reverse order, with a grace
 * period before sa_destroy. Of a published SA control writes only next_hop, mtu, state and owner,
 * and engine with SA_INLINE when a port's device or another engine is to do it from then on; the
 * workers write nothing of it: what they count is in lanes and windows, which belong to the key
 * (lib/numbers), as do its limits in packets and bytes.
 */
#ifndef SA_SA_H
#define SA_SA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "aggfrag/aggfrag.h"
#include "alg/alg.h"
#include "base/slab.h"
#include "crypto/engine.h"
#include "ipcomp/ipcomp.h"
#include "tunnel/tunnel.h"
#include "base/addr.h"
#include "worker/pkt.h"

struct aggfrag_in;
struct aggfrag_out;
struct lane;
struct lifetimes;
struct numbers;
struct replay;

enum sa_flag {
	SA_INBOUND = 1 << 0,
	SA_TRANSPORT = 1 << 1,
	SA_V6 = 1 << 2,	 /* outer addresses are IPv6 */
	SA_UDP = 1 << 3, /* RFC 3948 */
	SA_ECN = 1 << 4, /* RFC 6040 normal mode; else the outer ECN is ignored */
	SA_CBC = 1 << 5, /* the engine makes the IV */
	SA_TFC = 1 << 6, /* traffic flow confidentiality: pad_to, or dummies go by it */
	/* For the straight ways of lib/esp. Tunnel, salt of 4, IV of 8 on the wire (with subspaces,
	 * none is fine too), alignment of 4, no TFC: GCM, ChaCha20, GMAC, CTR as most use them. */
	SA_PLAIN = 1 << 7,
	SA_SUBSPACES = 1 << 8,	   /* a lane id on the wire, and `lanes` lanes or windows */
	SA_LANE_BY_CLASS = 1 << 9, /* out: lanes of one worker are of classes, else of flows */
	SA_BEET = 1 << 10,	   /* its inner pair is in sa_more() */
	SA_AH = 1 << 11,	   /* RFC 4302; else ESP */
	SA_IPCOMP = 1 << 12,	   /* sa_more() has the rest */
	SA_ECHO = 1 << 13,	   /* in: the peer's ESP echoes are answered */
	SA_IPTFS = 1 << 14,	   /* RFC 9347: its streams are in sa_more() */
	SA_INLINE = 1 << 15,	   /* a port's device may do it: port/offload.h is asked */
};

/* In sa->owner: it goes to that worker, and another has it still (pipe/move.h). Only of SAs with
 * one lane. */
#define SA_MOVING 0x80

/* Why an SA takes no more packets: written by control, read by workers. */
enum sa_state {
	SA_LIVE,
	SA_EXPIRED, /* hard lifetime in seconds */
};

struct sa_in {
	uint32_t group; /* what an inbound policy names */
	uint16_t udp_local_be;
	uint16_t udp_remote_be; /* 0 = any */
	uint8_t local[16]; /* our address, the packet's destination; v4 in the first 4 octets */
	uint8_t remote[16];
	struct sa_more *more; /* see sa_more() */
};

struct sa {
	uint32_t spi_be;
	uint32_t generation;
	struct suite suite;
	union {
		struct lane *lane;	 /* out: `lanes` of them, side by side */
		struct replay *window;	 /* in */
		struct replay **windows; /* in, SA_SUBSPACES: `lanes` of them, of a struct
					    replay_set; NULL until a first packet is authentic */
	};
	uint8_t salt[ALG_SALT_MAX];
	uint16_t lanes;	   /* 1 without subspaces */
	uint16_t next_hop; /* out: of lib/route */
	uint16_t mtu;	   /* out: the largest packet it takes, as IP total length, or of IP-TFS the
			      largest payload with its header; in: that of the
			      way back, if TCP out of it is told so (mss_clamp), else 0 */
	uint16_t flags;	   /* enum sa_flag */
	uint8_t owner;	   /* index of the worker that numbers, checks and counts: of lane 0;
			      with SA_MOVING the one that is about to. See sa_owner() */
	uint8_t state;	   /* enum sa_state */
	uint8_t engine;	   /* crypto_engines(): of the crypto worker's list */
	uint8_t esp_size;  /* octets from the SPI to the text; out, of AH: all of its header */
	/* Both begin with what nearly every packet needs, so that most do not touch the second
	 * line: inbound ones, and outbound ones of IPv4.
	 */
	union {
		struct tunnel_out out;
		struct sa_in in;
	};
} __rte_cache_aligned;
_Static_assert(sizeof(struct sa) == 2 * RTE_CACHE_LINE_SIZE, "two lines");
_Static_assert(offsetof(struct sa, out.header6) == RTE_CACHE_LINE_SIZE &&
		       offsetof(struct sa, in.remote) == RTE_CACHE_LINE_SIZE,
	       "what is seldom needed is behind the first line");

/* What few SAs have: made for these alone, in zeroed memory, and freed with the SA. Control fills
 * it before the SA is published.
 */
struct sa_more {
	struct tunnel_more outer; /* out; the first member: sa->out.more leads here */
	struct {		  /* SA_BEET: as the packets of this direction have them */
		bool v6;
		bool reassemble;	  /* out: fragments are put together first */
		uint8_t src[16], dst[16]; /* v4 in the first 4 octets */
	} inner;
	struct ipcomp_sa *comp; /* SA_IPCOMP */
	/* SA_IPTFS: what it asks for, and its streams, `lanes` of them side by side. They are
	 * borrowed before it has taken them over from the SA whose place it takes, and when another
	 * has taken them over from it.
	 */
	struct aggfrag_params iptfs;
	bool borrowed;
	union {
		struct aggfrag_out *fill;
		struct aggfrag_in *split;
	};
	/* Out, a constant rate: what control saw of it at `at` (ns), and the rate of which it told
	 * that it is not made. */
	struct sa_pace {
		uint64_t rate, at, packets, late, told_rate;
	} pace;
	LIST_ENTRY(sa_more) with_streams; /* control's list of these SAs */
	uint32_t index;			  /* the SA that it is of; where it is in that list */
};

#define SA_NAME_MAX 64

/* Compared as octets: no room between its fields. */
struct sa_lifetime {
	uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* 0 = none */
	uint32_t soft_seconds, hard_seconds;			     /* of age */
	uint32_t soft_use_seconds, hard_use_seconds;		     /* since the first packet */
};
_Static_assert(sizeof(struct sa_lifetime) == 4 * 8 + 4 * 4, "no room between");

/* Packets of one key under an AEAD, where nothing less was asked for. */
#define SA_AEAD_SOFT_PACKETS (UINT64_C(1) << 37)
#define SA_AEAD_HARD_PACKETS (UINT64_C(1) << 38)

/* The limits in packets that are in force: those asked for, or the algorithm's own. 0 = none. */
uint64_t sa_soft_packets(const struct suite *suite, const struct sa_lifetime *life);
uint64_t sa_hard_packets(const struct suite *suite, const struct sa_lifetime *life);

enum sa_from {
	SA_FROM_FILE,
	SA_FROM_DAEMON,
};

/* Who wants the SA. */
struct sa_origin {
	uint8_t from;	 /* enum sa_from */
	uint32_t record; /* file: its place in conf->sas; daemon: lib/daemon's own */
	uint32_t group;	 /* in: what an inbound policy names */
};

/* What an SA is made of. Keys are borrowed for the call. */
struct sa_params {
	const char *name; /* NULL: sa_name() makes one */
	struct sa_origin origin;
	bool inbound, transport, beet, ecn;
	bool ah, ah_align8; /* AH padded to 8 octets over IPv4 too, as Linux does unless told */
	uint32_t spi;	    /* host order */
	struct addr src, dst;
	struct addr inner_src, inner_dst; /* beet */
	bool beet_reassemble;
	struct suite suite;
	const uint8_t *key; /* cipher key, without salt */
	const uint8_t *salt;
	const uint8_t *auth_key;
	bool udp;
	uint16_t udp_src, udp_dst; /* in the packet's order, host byte order */
	uint32_t keepalive_ms;	   /* out, with UDP: silence before a keepalive; 0 = none */
	struct sa_lifetime lifetime;
	uint16_t path_mtu; /* largest outer packet */
	uint16_t pad_to;
	uint64_t dummy_rate;	    /* packets per second */
	struct tunnel_params outer; /* out */
	struct ipcomp_params ipcomp;
	struct aggfrag_params iptfs;
	const struct sa_more *streams_of; /* whose streams it borrows; NULL: it has its own */
	uint8_t owner;
	bool fixed;		 /* stays with it */
	uint8_t engine;		 /* crypto_engines() */
	bool offloaded;		 /* SA_INLINE: the chosen engine is inline */
	struct numbers *numbers; /* taken over: one user more, ended by sa_destroy's caller */
	bool subspaces, lane_by_class;
	bool echo;	/* in: the peer's ESP echoes are answered */
	uint16_t lanes; /* 1 without subspaces */
	union {		/* of the numbers */
		struct lane *lane;
		struct replay *window;
		struct replay **windows;
	};
};

/* Control's part. */
struct sa_cold {
	char *name; /* of the file; NULL: sa_name() makes one */
	struct sa_origin origin;
	uint32_t spi;
	struct addr src, dst;
	const struct sa_lifetime *lifetime; /* others of the table have the same one */
	struct numbers *numbers;
	uint64_t created; /* ns */
	uint32_t keepalive_ms, dummy_rate;
	uint32_t first_used_s; /* when control's look first found packets; 0 = never */
	uint32_t stocked;      /* in, subspaces: W of the windows kept ready for it, and 1 */
	uint16_t path_mtu;
	uint16_t told; /* which limits were announced: one bit per limit */
	bool ended;    /* on its way out: nothing is due any more */
	bool fixed;    /* somebody chose its worker: ctl/pin.h */
	/* What control saw at its last look: packets of the key; when such were last found new, 0 =
	 * never; when a keepalive was sent, and until when the dummies are. ns.
	 */
	uint64_t packets, last_used, kept_alive, dummies_until;
};
_Static_assert(sizeof(struct sa_cold) <= 256, "the budget of the cold part");

struct sa_record {
	struct sa sa;
	struct session session;
};

struct sa_table {
	struct slab records;
	struct slab cold;
	struct lifetimes *lifetimes; /* of the cold parts */
	uint32_t *cold_of;	     /* index of the record → index of the cold part */
};

int sa_table_init(struct sa_table *t, uint32_t max_sas, int socket, struct err *err);
void sa_table_fini(struct sa_table *t);

/* Makes an SA nobody sees yet. -ENOSPC: max_sas; -ENOMEM; -EINVAL: the outer header cannot be
 * built. */
int sa_create(struct sa_table *t, const struct sa_params *p, uint64_t now, uint32_t *index,
	      struct err *err);
/* From now on sa_again() does not find it; packets that wait end no_sa or no_outbound_sa. */
void sa_retire(struct sa_table *t, uint32_t index);
/* Wipes and gives back, a grace period after sa_retire. The numbers are the caller's to release. */
void sa_destroy(struct sa_table *t, uint32_t index);

/* The SA's name: the file's, or xfrm:<SPI>@<destination>. Into text, which it returns. */
const char *sa_name(const struct sa_cold *c, char text[SA_NAME_MAX]);

/* The UDP ports of encapsulation in the packet's order, host byte order; only with SA_UDP. */
void sa_udp_ports(const struct sa *sa, uint16_t *src, uint16_t *dst);

/* The worker that alone writes a lane or a window of an SA, and windows[id]; id 0 without
 * subspaces. */
static inline uint16_t
sa_lane_owner(const struct sa *sa, uint16_t id, uint16_t n_workers)
{
	return (uint16_t)((sa->owner + (uint32_t)id) % n_workers);
}

/* An inbound SA's window, with subspaces that of id 0; it is always there. */
static inline struct replay *
sa_window(const struct sa *sa)
{
	return (sa->flags & SA_SUBSPACES) != 0 ? sa->windows[0] : sa->window;
}

/* NULL for most. */
static inline struct sa_more *
sa_more(const struct sa *sa)
{
	return (sa->flags & SA_INBOUND) != 0 ? sa->in.more :
					       (struct sa_more *)(uintptr_t)sa->out.more;
}

/* The largest inner packet (tunnel) or whole clear packet without options (transport, BEET) for an
 * outer size. */
uint16_t sa_mtu(const struct sa *sa, uint16_t outer_mtu);

/* An outbound SA's outer packets have outer_mtu octets at most from now on: control, the one who
 * says so. */
void sa_set_mtu(struct sa *sa, uint16_t outer_mtu);

static inline struct sa *
sa_at(const struct sa_table *t, uint32_t index)
{
	return &((struct sa_record *)slab_at(&t->records, index))->sa;
}

/* The owner, or the one to be. Any thread. */
static inline uint8_t
sa_owner(const struct sa *sa)
{
	return __atomic_load_n(&sa->owner, __ATOMIC_RELAXED) & (uint8_t)~SA_MOVING;
}

static inline bool
sa_is_moving(const struct sa *sa)
{
	return (__atomic_load_n(&sa->owner, __ATOMIC_RELAXED) & SA_MOVING) != 0;
}

static inline const struct session *
sa_session(const struct sa *sa)
{
	return &((const struct sa_record *)sa)->session;
}

static inline struct sa_cold *
sa_cold(const struct sa_table *t, uint32_t index)
{
	return slab_at(&t->cold, t->cold_of[index]);
}

/* The SA of a packet or a policy's entry that waited, or NULL when it is gone. */
static inline struct sa *
sa_again(const struct sa_table *t, uint32_t index, uint32_t generation)
{
	struct sa_record *r = slab_find(&t->records, index, generation);

	return r != NULL ? &r->sa : NULL;
}

#endif
