/* Inside of the cryptodev driver.
 *
 * Each worker has a queue pair of each device, and before it a lane: a ring of operations that are
 * made once. What is in flight lies in the ring in the order of its submission, so that it can be
 * given back in that order whatever the device does.
 *
 * Who owns what: struct lane is its worker's, but for the cells that control reads; struct device
 * and the table of sessions are control's, but for device.state, which workers read; a worker's
 * entry of a session is written by control while no operation names it.
 */
#ifndef CRYPTODEV_H
#define CRYPTODEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <openssl/evp.h>
#include <rte_common.h>
#include <rte_cryptodev.h>
#include <rte_mbuf.h>

#include "base/json.h"
#include "crypto/engine.h"
#include "stats/cell.h"

#define DEVICES_MAX  16
#define QUEUES_MAX   128
#define POOLS_MAX    20
#define POOL_FIRST   256 /* objects */
#define RING_SIZE    512 /* descriptors, too; a power of two, one of which stays free */
#define RING_MASK    (RING_SIZE - 1)
#define LOST_MS	     100 /* how long the oldest operation may take */
#define RETRY_MS     1000
#define ENTRY_SHIFT  12
#define ENTRY_CHUNK  (1u << ENTRY_SHIFT)
#define ENTRY_MASK   (ENTRY_CHUNK - 1)
#define BOUNCES	     32
#define BOUNCE_POLLS 256 /* of the devices, to get a copy back */
#define BOUNCE_TAIL  64	 /* behind the text: ESN's high half and the tag */
#define BOUNCE_FRONT 64	 /* before it: ESP header and IV, or GMAC's AAD and IV */
#define BOUNCE_SIZE  (BOUNCE_FRONT + UINT16_MAX + 1 + BOUNCE_TAIL)

/* How an operation is laid out for a device. */
enum shape {
	SHAPE_AEAD,	/* GCM, ChaCha20-Poly1305: nonce of 12, AAD in the operation */
	SHAPE_CCM,	/* nonce of 11 behind an octet, AAD behind 18 */
	SHAPE_GMAC,	/* an authenticator with an IV */
	SHAPE_SEPARATE, /* cipher and authenticator, or the authenticator alone */
};

/* An operation of a lane: two lines. */
struct slot {
	struct rte_crypto_op op;
	struct rte_crypto_sym_op sym;
	uint8_t iv[16];
	uint8_t aad[16];
	struct rte_mbuf *pkt; /* ours; sym.m_src is another's where the packet went by a copy */
} __rte_aligned(2 * RTE_CACHE_LINE_SIZE);
_Static_assert(sizeof(struct slot) == 2 * RTE_CACHE_LINE_SIZE, "two lines an operation");
_Static_assert(offsetof(struct slot, sym) == offsetof(struct rte_crypto_op, sym),
	       "what a device takes for the operation's second part is it");

#define SLOT_IV	 offsetof(struct slot, iv)
#define SLOT_AAD offsetof(struct slot, aad)

/* What few operations want beside their slot. */
struct beside {
	uint8_t aad[32]; /* CCM: 18 octets for the device's own use, then the AAD */
	uint8_t tag[32]; /* decrypt with ESN: the tag whose place the high half has */
	rte_iova_t iova;
};

enum slot_mark {
	MARK_BACK = 1 << 0,    /* the device has given it back, or was never given it */
	MARK_BOUNCED = 1 << 1, /* m_src is struct bounce's */
	MARK_MOVED = 1 << 2,   /* the tag is in struct beside */
};

/* A packet as a copy in one piece. */
struct bounce {
	struct rte_mbuf m; /* of no pool; a device sees it only */
	struct rte_mbuf *chain;
	union {
		uint8_t *text;
		size_t text_off;
	};
	uint8_t *tag; /* encrypt: where the device's goes; NULL: decrypt */
	uint16_t text_len;
	uint8_t front;	     /* octets before the text that are in the copy */
	uint8_t copied_back; /* and of these those that go back with it */
	uint8_t icv_len;
	uint8_t *octets;
	struct bounce *next;
};

/* A session as one worker finds it. */
struct entry {
	void *session;	     /* NULL: none */
	uint32_t generation; /* of ours */
	uint8_t device;
	uint8_t shape;
	uint16_t spare;
};

struct lane {
	struct slot *slots;
	struct beside *beside;
	uint8_t *marks;
	struct device *device;
	uint16_t queue;
	uint32_t head; /* the oldest in flight */
	uint32_t n;    /* in flight */
	/* Control reads these. */
	uint64_t submitted, returned;
	uint64_t idle_polls; /* that found nothing since something came last */
	uint64_t refused;    /* calls that took nothing though there was room */
	uint32_t seen;	     /* enum device_state that the worker goes by */
} __rte_cache_aligned;

struct engine_worker {
	uint16_t index, n_lanes;
	uint16_t turn; /* of lanes: which one is collected first */
	struct lane *lanes;
	struct entry **entries; /* by session id; chunks */
	struct bounce *bounces, *free_bounce;
	uint64_t bounced;
	EVP_CIPHER_CTX *iv_ctx; /* CBC, encrypt */
	uint32_t iv_id, iv_generation;
	int socket;
};

/* In this order, and round again. */
enum device_state {
	DEVICE_UP,
	DEVICE_SILENT,	/* lost: workers are to keep their hands off it */
	DEVICE_STOPPED, /* what it had is theirs to give up */
	DEVICE_TRIED,	/* started again; control asks it, and workers keep their hands off */
};

struct watch {
	uint64_t returned, submitted, refused; /* when something moved last */
	uint64_t since_ms;
	bool over;	/* that was long ago, */
	uint64_t polls; /* and then so many had found nothing */
};

struct device {
	uint32_t state; /* enum device_state */
	uint8_t id;	/* DPDK's */
	uint8_t index;
	int socket;
	char name[RTE_CRYPTODEV_NAME_MAX_LEN];
	const char *driver;
	uint32_t sessions_max; /* of all workers; 0: no bound */
	uint32_t sessions;
	uint32_t session_size;
	uint32_t objects;   /* a session takes of its pool, at most */
	uint32_t pool_size; /* of the next pool; below POOL_FIRST: there is no memory for one */
	uint16_t n_pools;
	struct rte_mempool *pools[POOLS_MAX];
	struct watch watch[QUEUES_MAX];
	uint64_t since_ms, retry_ms;
	uint64_t losses;
	struct probe *probe; /* while it is tried */
};

/* What control keeps of a session: it makes it again when its device comes back. */
struct kept {
	struct session s;
	bool encrypt;
	struct device *device;
	struct kept *next; /* of those that are closed, but maybe still in flight */
	struct {
		void *session;
		uint64_t until; /* closed: what was submitted before has to be back */
	} of[];			/* by worker */
};

struct cryptodev {
	bool open;
	uint16_t n_workers, n_devices;
	uint32_t max_sessions;
	struct engine_worker *workers[QUEUES_MAX];
	struct kept **kept; /* by session id */
	struct kept *closed;
	struct device devices[DEVICES_MAX];
};

extern struct cryptodev cd;

/* xform.c: a suite in the words of cryptodev. */
struct plan {
	struct rte_crypto_sym_xform xforms[2];
	uint16_t n;
	enum shape shape;
};
/* -ENOTSUP: nothing that any device could do. */
int plan_suite(const struct suite *suite, struct plan *plan, struct err *err);
/* 0, or -ENOTSUP with what the device lacks. Sets what has more than one way of saying it. */
int plan_fits(struct plan *plan, uint8_t dev_id, const char *name, struct err *err);
/* Points at the keys of s, which outlives the plan. */
void plan_keys(struct plan *plan, const struct session *s, bool encrypt);

/* devices.c */
int devices_open(const struct engine_setup *setup, struct err *err);
int device_start(struct device *d, struct err *err);
/* The devices, and what control tries of them; sessions may be freed then. */
void devices_stop(void);
void devices_close(void);
uint64_t ms_now(void);

/* sessions.c */
int sessions_open(const struct session *s, bool encrypt, struct err *err);
void sessions_close(uint32_t id);
/* Frees closed sessions of which nothing is in flight. */
void sessions_reap(void);
/* Those of a device, made anew. What cannot be made is left out: software does it. */
uint32_t sessions_remake(struct device *d);
void sessions_drop_all(void);
const char *sessions_device_of(uint32_t id);
/* A worker's table. */
int entries_init(struct engine_worker *ew, struct err *err);
void entries_fini(struct engine_worker *ew);

/* lane.c */
int lanes_init(struct engine_worker *ew, struct err *err);
void lanes_fini(struct engine_worker *ew);

/* submit.c, collect.c */
uint16_t lanes_submit(struct engine_worker *ew, const struct crypto_op *ops,
		      struct rte_mbuf *const *pkts, uint16_t n, bool encrypt, uint64_t now,
		      enum engine_refusal *why);
uint16_t lanes_collect(struct engine_worker *ew, struct rte_mbuf **pkts,
		       enum engine_verdict *verdicts, uint16_t max, uint64_t now);
uint32_t lanes_room(const struct engine_worker *ew);
uint32_t lanes_held(const struct engine_worker *ew);

/* Marks what the device gives back, and gives up their copies. */
void lane_dequeue(struct engine_worker *ew, struct lane *l);

/* bounce.c: the packet in one piece, as the slot's m_src. NULL: no copy is free. *whole false: the
 * chain ended before the text did, and there is nothing to be done with it. */
struct bounce *bounce_take(struct engine_worker *ew, const struct crypto_op *op, enum shape shape,
			   bool encrypt, bool *whole);
/* back: what the device made of it goes to the packet. */
void bounce_give(struct engine_worker *ew, struct bounce *b, bool back);
int bounces_init(struct engine_worker *ew, struct err *err);
void bounces_fini(struct engine_worker *ew);

/* One operation of a lane that is at rest: fills a slot of it. False: nothing for the device. */
bool lane_fill_one(struct lane *l, uint32_t at, const struct crypto_op *op, struct rte_mbuf *m,
		   const struct entry *e);

/* probe.c: whether a device that was started again answers. Control only, in DEVICE_TRIED. */
enum probe_state {
	PROBE_GOOD,
	PROBE_WAITS,
	PROBE_BAD,
};
int probe_start(struct device *d);
enum probe_state probe_poll(struct device *d);
void probe_end(struct device *d);

/* sessions.c: the session anew on each queue pair; for control's own. */
int kept_make(struct kept *k, struct device *d, enum shape *shape, struct err *err);
void kept_free(struct kept *k);
struct kept *kept_new(const struct session *s, bool encrypt);
/* Any one that the device has, or NULL. */
const struct kept *kept_of(const struct device *d);

/* loss.c */
bool loss_tick(uint64_t now, struct err *event);

/* show.c */
void devices_print(FILE *f);
void devices_json(struct json *j);

static inline enum device_state
device_state(const struct device *d)
{
	return (enum device_state)__atomic_load_n(&d->state, __ATOMIC_ACQUIRE);
}

static inline void
device_state_set(struct device *d, enum device_state state)
{
	d->since_ms = ms_now();
	__atomic_store_n(&d->state, state, __ATOMIC_RELEASE);
}

static inline const struct entry *
entry_find(const struct engine_worker *ew, const struct session *s)
{
	const struct entry *chunk =
		__atomic_load_n(&ew->entries[s->id >> ENTRY_SHIFT], __ATOMIC_ACQUIRE);
	const struct entry *e;

	if (unlikely(chunk == NULL))
		return NULL;
	e = &chunk[s->id & ENTRY_MASK];
	return likely(e->session != NULL && e->generation == s->generation) ? e : NULL;
}

#endif
