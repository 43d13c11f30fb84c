/* A NIC that deciphers and enciphers what passes a port, whatever stands behind the port: callbacks
 * on its queues do the work, a synchronous engine inside runs the cipher. It is told what to do by
 * rte_security and rte_flow alone, and answers as hardware does.
 *
 *	emulated.c		the provider, its ports and queues
 *	emulated_options.c	the words of the file
 *	emulated_caps.c		what it offers
 *	emulated_sessions.c	sessions: what rte_security asks of it
 *	emulated_rules.c	rules: what rte_flow asks of it, and how a packet finds its session
 *	emulated_frame.c	where in a frame ESP is
 *	emulated_rx.c, _tx.c	the way of a burst
 *	emulated_wrap.c		all of ESP put on and taken off (inline protocol)
 *	emulated_window.c	a replay window that several queues may ask
 *
 * Control writes sessions and rules while workers read them. A worker says in its queue's turn that
 * it is at work; what control takes out it wipes when each queue has been idle since
 * (nic_wait_for_queues).
 */
#ifndef INLINE_EMULATED_H
#define INLINE_EMULATED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_cryptodev.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_security.h>
#include <rte_security_driver.h>

#include "base/err.h"
#include "crypto/engine.h"
#include "provider.h"
#include "stats/cell.h"

#define NIC_ENGINES_MAX	 4
#define NIC_QUEUES_MAX	 64
#define NIC_SESSIONS_MAX 65536
#define NIC_CAPS_MAX	 9 /* kinds, modes and directions, and the end */
#define NIC_WINDOW	 1024
#define NIC_KEY_CACHE	 (256 << 10)

/* Families of algorithms that can be offered or not: bits of nic_options.suites. */
enum nic_suite {
	NIC_AES_GCM = 1 << 0,
	NIC_AES_CCM = 1 << 1,
	NIC_CHACHA = 1 << 2,
	NIC_AES_GMAC = 1 << 3,
	NIC_AES_CBC = 1 << 4, /* with an HMAC, XCBC or CMAC, as the next ones */
	NIC_AES_CTR = 1 << 5,
	NIC_NULL = 1 << 6,
	NIC_SUITES = (1 << 7) - 1,
};

enum nic_kind {
	NIC_CRYPTO = 1 << 0,
	NIC_PROTOCOL = 1 << 1,
};

enum nic_mode {
	NIC_TUNNEL = 1 << 0,
	NIC_TRANSPORT = 1 << 1,
};

struct nic_options {
	uint32_t kinds, modes, suites;
	bool esn, udp, v6;
	bool numbers_by_device, window_by_device, trailer_by_device;
	bool cipher_off;    /* benches: all but the cipher */
	bool mdata_by_call; /* the driver has to call set_pkt_metadata */
	uint32_t sessions, rules;
	const struct engine *engine; /* NULL: the first of the list that serves */
	/* Faults; 0 = none. */
	uint32_t icv_fail, late_ms, reorder, refuse_rule;
};

/* A rule of rte_flow; its fields lie in the session, which has at most one. */
struct nic_rule {
	bool live;    /* in the table, or out and still going: option late */
	bool ingress; /* egress rules are kept and not asked */
	bool v6, udp, has_src, has_dst, has_mark;
	uint16_t udp_src_be, udp_dst_be; /* 0 = any */
	uint32_t spi_be, mark;
	uint8_t src[16], dst[16];
};

/* What rte_flow_create gives: it lies in the session. */
struct rte_flow {
	uint32_t slot;
};

struct nic_session {
	/* Named by (slot, generation); even: nobody's. Written last, and first. */
	uint32_t generation;
	uint8_t engine; /* of the port's list */
	bool protocol, ingress, tunnel, udp, esn;
	bool ecn, copy_dscp, copy_df, copy_label;
	bool rte_gone; /* rte_security's part of it is gone: it is lingering */
	bool outer_v6;
	uint8_t head; /* SPI, number and IV */
	uint8_t salt[4];
	uint16_t ip_len; /* tunnel, out: of the outer header */
	uint32_t spi_be;
	uint64_t userdata;
	uint64_t until;	   /* removed, and going on until then: TSC; 0 = it was not */
	uint8_t outer[40]; /* tunnel, out: the outer header without what differs */
	uint16_t udp_src_be, udp_dst_be;
	struct session crypto;
	struct nic_rule rule;
	struct rte_flow flow;
	uint64_t number __rte_cache_aligned; /* out: the last one; in: the highest accepted */
	struct nic_window *window;	     /* in, by the device; NULL */
} __rte_cache_aligned;

struct nic_counts {
	uint64_t packets, octets, errors;
};

struct nic_port;
struct nic_window;

/* One of a port's queues; one worker has it. */
struct nic_queue {
	struct nic_port *port;
	uint16_t index;
	uint16_t ipv4_id;
	uint32_t turn;	    /* odd: the worker is at work on a burst */
	uint32_t forgotten; /* of port->forget: how many it has done */
	uint32_t n_handled, n_failing;
	const struct rte_eth_rxtx_callback *callback;
	struct engine_worker *workers[NIC_ENGINES_MAX];
	struct nic_counts *counts; /* by slot */
	struct nic_counts total;
	struct crypto_op ops[CRYPTO_BURST_MAX] __rte_cache_aligned;
	uint8_t tags[CRYPTO_BURST_MAX][ALG_ICV_MAX];
} __rte_cache_aligned;

struct nic_port {
	struct rte_security_ctx ctx;
	struct nic_options options;
	uint16_t dpdk_id;
	uint16_t n_rx, n_tx;
	uint8_t n_engines;
	const struct engine *engines[NIC_ENGINES_MAX];
	struct nic_queue *rx, *tx;
	uint32_t n_slots, n_sessions, n_rules, n_asked; /* n_asked: rules, for refuse_rule */
	struct nic_session *slots;
	uint32_t table_mask;
	uint64_t *table; /* SPI << 32 | slot + 2; 0 = empty, 1 = taken out */
	/* Sessions whose keys the queues' engines are to forget: a ring of slots. */
	uint32_t n_forget;
	uint32_t *forget;
	eth_tx_burst_t send; /* the port's own, where emulated_tx.c stands before it */
	struct rte_security_capability caps[NIC_CAPS_MAX];
	struct rte_cryptodev_capabilities crypto_caps[32];
};

/* What a session is named by in an mbuf, and in rte_security's session. */
static inline uint64_t
nic_name(uint32_t slot, uint32_t generation)
{
	return (uint64_t)generation << 32 | slot;
}

/* The session of that name, or NULL: it went. */
static inline struct nic_session *
nic_session_at(const struct nic_port *p, uint64_t name)
{
	uint32_t slot = (uint32_t)name, generation = (uint32_t)(name >> 32);

	if (unlikely(slot >= p->n_slots || (generation & 1) == 0 ||
		     __atomic_load_n(&p->slots[slot].generation, __ATOMIC_ACQUIRE) != generation))
		return NULL;
	return &p->slots[slot];
}

/* Where in a frame is what, contiguous as far as the text. */
struct nic_frame {
	const uint8_t *ip;
	uint16_t l2;	/* octets before the IP header */
	uint16_t esp;	/* from the frame's begin: the ESP header */
	uint16_t l4;	/* likewise: the UDP header, or the ESP header */
	uint16_t name;	/* likewise: the octet that names ESP or UDP */
	uint32_t total; /* of the IP packet, with its header */
	bool v6, udp;
};

/* emulated_options.c: "option=value,option=value". -EINVAL with a sentence. */
int nic_options_parse(struct nic_options *o, const char *text, const struct engine *const *engines,
		      uint16_t n_engines, struct err *err);

/* emulated_caps.c */
void nic_caps_make(struct nic_port *p);
/* The suite that a session asks for: -ENOTSUP: not offered; -EINVAL: no such thing. */
int nic_suite_of(const struct nic_port *p, const struct rte_security_session_conf *conf,
		 struct suite *suite, const uint8_t **key, const uint8_t **auth_key);

/* emulated_sessions.c */
extern const struct rte_security_ops nic_security_ops;
/* Takes a session out, wiped; its queues have been waited for. */
void nic_session_clear(struct nic_port *p, struct nic_session *s);
/* Wipes what was removed and went on for a while. */
void nic_sessions_reap(struct nic_port *p);
void nic_wait_for_queues(const struct nic_port *p);

/* emulated_rules.c */
struct rte_flow *nic_flow_create(uint16_t dpdk_id, const struct rte_flow_attr *attr,
				 const struct rte_flow_item pattern[],
				 const struct rte_flow_action actions[],
				 struct rte_flow_error *error);
int nic_flow_destroy(uint16_t dpdk_id, struct rte_flow *flow, struct rte_flow_error *error);
void nic_rule_drop(struct nic_port *p, struct nic_session *s);
struct nic_session *nic_rule_find(const struct nic_port *p, const uint8_t *frame,
				  const struct nic_frame *at);

/* emulated_frame.c: whether the frame is a whole ESP packet, in UDP or not, whose headers with 8
 * octets of ESP's lie in the first segment. ours: its checksum may still have to be made. */
bool nic_frame_find(const struct rte_mbuf *m, uint32_t frame, bool ours, struct nic_frame *at);
/* The octets before what stands behind the link layer's header; 0: the frame is shorter. */
uint16_t nic_link_header(const uint8_t *frame, uint32_t len);
/* The TOS octet or traffic class. */
uint8_t nic_frame_tos(const struct nic_frame *at);
/* A packet loses all but its first len octets. */
void nic_cut_to(struct rte_mbuf *m, uint32_t len);

/* emulated_rx.c, emulated_tx.c */
uint16_t nic_receive(uint16_t dpdk_id, uint16_t queue, struct rte_mbuf *pkts[], uint16_t n,
		     uint16_t max, void *arg);
uint16_t nic_send(uint16_t dpdk_id, uint16_t queue, struct rte_mbuf *pkts[], uint16_t n, void *arg);
/* What both do. The number of which low is the low half: the nearest to the last one. */
uint64_t nic_number_near(const struct nic_session *s, uint32_t low);
void nic_number_raise(struct nic_session *s, uint64_t number);
/* All of an operation but where the tag lies. */
void nic_op_fill(struct crypto_op *op, const struct nic_session *s, struct rte_mbuf *m,
		 const struct nic_frame *at, uint64_t number);
/* Forgets what sessions have left of their keys in the queue's engines. */
void nic_queue_forget(struct nic_queue *q);
/* Runs the ciphers of n operations, each by its session's engine. */
void nic_crypt(struct nic_queue *q, struct crypto_op *ops, uint16_t n, bool encrypt);

/* emulated_wrap.c */
/* Out: the headers, trailer and room for the ICV around an inner packet. False: no room, or no
 * such packet. */
bool nic_wrap(struct nic_queue *q, struct nic_session *s, struct rte_mbuf *m, struct nic_frame *at,
	      uint64_t number);
/* In, deciphered and authentic: what comes of it. */
enum nic_unwrapped {
	NIC_INNER,
	NIC_MALFORMED, /* padding, or what the padding is to end */
	NIC_NO_PACKET, /* of a next header that says: none */
};
enum nic_unwrapped nic_unwrap(const struct nic_session *s, struct rte_mbuf *m,
			      const struct nic_frame *at, uint16_t text_len);

/* emulated_window.c */
struct nic_window *nic_window_new(uint32_t size, uint64_t highest, int socket);
bool nic_window_check(const struct nic_window *window, uint64_t highest, uint64_t number);
/* False: another was faster. */
bool nic_window_accept(struct nic_window *window, uint64_t *highest, uint64_t number);

/* Of the fields in an mbuf that provider.h has words to set and to ask. */
extern int nic_number_offset, nic_tos_offset;

/* The open port of that id, or NULL. */
struct nic_port *nic_port_of(uint16_t dpdk_id);

/* Says in a queue that its worker is at work, and no more. */
static inline void
nic_queue_enter(struct nic_queue *q)
{
	__atomic_exchange_n(&q->turn, q->turn + 1, __ATOMIC_SEQ_CST);
}

static inline void
nic_queue_leave(struct nic_queue *q)
{
	__atomic_store_n(&q->turn, q->turn + 1, __ATOMIC_RELEASE);
}

static inline void
nic_count(struct nic_queue *q, const struct nic_session *s, uint64_t octets, bool ok)
{
	struct nic_counts *c = &q->counts[s - q->port->slots];

	if (likely(ok)) {
		cell_add(&c->packets, 1);
		cell_add(&c->octets, octets);
		cell_add(&q->total.packets, 1);
		cell_add(&q->total.octets, octets);
	} else {
		cell_add(&c->errors, 1);
		cell_add(&q->total.errors, 1);
	}
}

#endif
