/* Inside lib/daemon: SAs as XFRM knows them ("states"), and those who own them.
 *
 * A state is found by destination, SPI and protocol. A larval one is an SPI that was given out and
 * has no SA yet; one of IPComp has none of its own but is a part of its pair. Of the others all
 * that the SA's own records say is read from there: keys, lifetimes, ports.
 */
#ifndef DAEMON_STATE_H
#define DAEMON_STATE_H

#include "base/slab.h"
#include "ctl/gw.h"
#include "daemon/daemon.h"
#include "daemon/tie.h"

#define STATE_NONE     UINT32_MAX
#define LARVAL_SECONDS 165
#define EVENT_SIZE     2048
#define REPLY_SIZE     XFRM_DATAGRAM_MAX
#define OWNER_BUCKETS  256

struct daemon_owner {
	struct daemon_owner *next; /* of its bucket */
	uid_t uid;
	pid_t pid; /* of the client seen last */
	uint64_t instance;
	uint32_t n_clients, n_things; /* things: states and policies */
	bool is_daemon;
	uint64_t orphan_since; /* ns; 0: is no orphan */
	uint32_t n_states;     /* of n_things; of an orphan, as the last look counted them */
	char program[DAEMON_PROGRAM_SIZE];
};

/* What most SAs do not have. */
struct state_more {
	struct xfrm_sel sel;
	struct addr coaddr, oa;
	struct xfrm_mark mark, set_mark;
	uint32_t if_id, mtimer_s, pcpu, nat_keepalive_s, tfcpad, extra_flags;
	uint32_t has; /* enum xfrm_has, of these */
	uint64_t dscp;
	uint8_t rank;
};

enum state_kind {
	STATE_LARVAL,
	STATE_ESP, /* or AH */
	STATE_COMP,
};

struct state {
	uint8_t dst[16], src[16];
	uint32_t spi; /* host order */
	uint32_t next_of_id;
	uint32_t older, newer; /* larval ones, by age */
	uint8_t family, proto, kind, mode;
	uint8_t flags, dir, given_dir; /* dir: enum xfrm_sa_dir, never 0 but of larval ones */
	uint8_t window;		       /* the old field */
	uint16_t esn_window;	       /* of REPLAY_ESN_VAL */
	uint8_t esn_words;
	bool has_esn, soft_sent, has_slot;
	uint32_t seq, reqid;
	uint32_t added;	     /* s since 1970 */
	uint32_t larval_end; /* s of the gateway's clock */
	uint32_t mapped;     /* likewise, when a MAPPING was told; 0: never */
	uint32_t more;	     /* index of a state_more, or STATE_NONE */
	uint32_t pair;	     /* of ESP with IPComp, and of IPComp with ESP: the other's state, while
				it is there; or STATE_NONE */
	struct daemon_owner *owner;
	struct tie_sa node; /* index: of the SA, or SA_NONE */
};

/* A file's SA by SPI. */
struct file_sa {
	uint32_t spi, index; /* of conf->sas */
};

struct daemons {
	struct gw *gw;
	struct daemon_out out;
	struct ties *ties;
	struct dpolicies *policies;
	struct slab states, mores;
	uint32_t *by_id; /* heads of chains */
	uint32_t n_buckets;
	uint32_t oldest, newest; /* larval ones */
	uint32_t n_larval, n_orphans;
	uint32_t changes; /* counts all of states */
	struct daemon_owner *owners[OWNER_BUCKETS];
	uint32_t n_owners;
	uint64_t ticked; /* s */
	/* The file's, sorted; of which configuration, as gw->n_confs counts them. */
	uint32_t file;
	struct file_sa *file_sas;
	/* Outbound states whose numbers are not on the disk yet, in the order of their tickets;
	 * from first on. */
	struct waiting {
		uint64_t ticket;
		uint32_t state;
	} * waiting;
	uint32_t first_waiting, n_waiting, size_waiting;
	uint32_t n_random;
	uint32_t random[64];
};

/* Who asked for what. */
struct cause {
	struct daemons *d;
	struct daemon_client *client;
	const struct xfrm_msg *msg;
};

/* ---- owner.c ---- */

int owner_of(struct daemons *d, struct daemon_client *c, struct err *err);
void owner_leave(struct daemons *d, struct daemon_client *c);
/* Whether one owner may change what is another's. */
bool owner_may_change(const struct daemon_owner *by, const struct daemon_owner *of);
bool owner_is_orphan(const struct daemon_owner *o);
void owner_count(struct daemons *d, struct daemon_owner *o, int by);
/* "charon, uid 0, pid 812"; in a buffer of its own until the next call. */
const char *owner_text(const struct daemon_owner *o);
void owners_free(struct daemons *d);

/* ---- state_store.c ---- */

int states_init(struct daemons *d, uint32_t max, struct err *err);
void states_fini(struct daemons *d);

static inline struct state *
state_at(const struct daemons *d, uint32_t index)
{
	return slab_at(&d->states, index);
}

static inline struct state *
state_of_node(const struct tie_sa *node)
{
	return (struct state *)((uintptr_t)node - offsetof(struct state, node));
}

/* The state with that identity; the mark counts where the state has one. NULL: none. */
struct state *state_find(const struct daemons *d, const struct xfrm_ident *id,
			 const struct xfrm_mark *mark, uint32_t *index);
/* The file's SA at that place, or SA_NONE. */
uint32_t state_of_file(struct daemons *d, const struct xfrm_ident *id);
/* A new state of x, in the chain of its identity, the owner's; of no kind yet. */
int state_take(struct daemons *d, const struct xfrm_sa *x, struct daemon_owner *owner,
	       uint32_t *index, struct err *err);
void state_give(struct daemons *d, uint32_t index);
/* Writes what x says; all but its identity and what the SA keeps itself. */
int state_write(struct daemons *d, uint32_t index, const struct xfrm_sa *x, struct err *err);
/* Its index, for who has the record alone. */
uint32_t state_index(const struct daemons *d, const struct state *s);
/* The chain of another identity. */
void state_rename(struct daemons *d, uint32_t index, const struct xfrm_sa *x);
/* All there is to say; with the keys, which the caller wipes. */
void state_read(const struct daemons *d, uint32_t index, struct xfrm_sa *x);
uint64_t state_classes(const void *ctx, const struct tie_sa *node);
/* Its lanes that were used, the first n of them; how many. */
#define STATE_LANES_MAX 64 /* as many as an answer has room for */
uint16_t state_lanes(const struct daemons *d, uint32_t index, struct xw_lane_stats *lanes,
		     uint16_t n);
void larval_add(struct daemons *d, uint32_t index, uint32_t end);
void larval_del(struct daemons *d, uint32_t index);
uint32_t daemons_now(const struct daemons *d); /* s of the gateway's clock */

/* ---- state_make.c ---- */

/* The key of its tie. An inbound SA of IPComp, unlike ESP's, is one peer's in transport mode too.
 */
void state_tie_key(const struct xfrm_sa *x, bool inbound, struct tie_key *key);
/* The SA of a state: made, published, tied. The state is written already. */
int state_open(struct daemons *d, uint32_t index, const struct xfrm_sa *x, struct err *err);
/* An SA as x says in the place of the state's, under the same key, for the policies of a tie. */
int state_renew(struct daemons *d, uint32_t index, const struct xfrm_sa *x, const struct tie *tie,
		struct err *err);
/* Numbers got on the disk: all tickets up to this one. */
void states_ready(struct daemons *d, uint64_t ticket);
/* Ends state and SA, without an event. */
void state_end(struct daemons *d, uint32_t index);
/* Whether we can serve it at all. */
int state_check(const struct daemons *d, const struct xfrm_sa *x, struct err *err);
/* XFRMA_SA_PCPU: one of the gateway's workers. -ERANGE. */
int state_pcpu_check(const struct daemons *d, const struct xfrm_sa *x, struct err *err);
uint8_t state_direction(struct daemons *d, const struct xfrm_sa *x, bool larval);

/* ---- pair.c ---- */

/* The state of an SA; NULL: it has another one by now. */
struct state *state_of_sa(const struct daemons *d, uint32_t sa, uint32_t *index);
/* As gw_hooks wants them. */
uint32_t state_sa_pair(void *ctx, uint32_t sa);
uint32_t state_sa_outbound(void *ctx, const struct addr *dst, uint32_t spi);

/* ---- state_comp.c ---- */

/* Finds the SA of IPComp that a new one of ESP in transport mode makes a pair with. */
void comp_pair_find(struct daemons *d, uint32_t index, const struct xfrm_sa *x);
/* The other one, or NULL. */
struct state *comp_pair_of(struct daemons *d, const struct state *s);
/* What the pair's SA is to be; nothing without one. */
void comp_pair_conf(struct daemons *d, const struct state *s, struct conf_sa *c);
/* One of them goes. Without IPComp the SA stays what it is, but compresses no more, and inflates
 * nothing. */
void comp_pair_end(struct daemons *d, uint32_t index);

/* ---- state_iptfs.c: nothing for SAs of other modes ---- */

int iptfs_state_check(const struct daemons *d, const struct xfrm_sa *x, struct err *err);
void iptfs_conf(struct conf_sa *c, const struct xfrm_sa *x);
void iptfs_read(const struct sa *sa, struct xfrm_sa *x);
/* An update that does not say it leaves it as it was. */
void iptfs_keep(struct xfrm_sa *x, const struct xfrm_sa *old);

/* ---- spi.c ---- */

/* An SPI of the range that no one has. -ENOENT. */
int spi_pick(struct daemons *d, const struct xfrm_spi_range *r, uint32_t *spi, bool *has_slot,
	     struct err *err);

/* ---- state_events.c ---- */

void daemons_hook(struct daemons *d);
void states_tick(struct daemons *d, uint32_t now);
/* NEWSA, UPDSA, DELSA to group 3; cause NULL: nobody asked for it. */
void state_tell(struct daemons *d, uint32_t index, uint16_t type, const struct cause *cause);
uint64_t state_sa_used(void *ctx, const struct tie_sa *sa);

/* ---- requests: 0 or negative errno with a sentence; the answer into reply ---- */

typedef int state_request_fn(struct cause *cause, struct xfrm_out *reply, struct err *err);
state_request_fn sa_new_request, sa_del_request, sa_get_request, sa_flush_request, spi_request,
	sad_info_request, ae_new_request, ae_get_request, migrate_request;
bool sa_dump_more(struct daemons *d, struct daemon_client *c, struct xfrm_out *out);

#endif
