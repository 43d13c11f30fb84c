/* The emulated NIC in front of a port of rings, spoken to by rte_security and rte_flow; and what
 * software would have sent, made of lib/tunnel's headers and an engine. */
#ifndef TESTS_EMULATED_RIG_H
#define TESTS_EMULATED_RIG_H

#include "unit.h"

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_flow.h>
#include <rte_ip.h>
#include <rte_ring.h>
#include <rte_security.h>
#include <rte_udp.h>

#include "alg/alg.h"
#include "crypto/engine.h"
#include "inline/provider.h"

#define RIG_FRAME_MAX 2048
#define RIG_L2	      14
#define RIG_USERDATA  UINT64_C(0x1122334455667788)

/* An SA as a test wants it; zeros are AES-GCM in an IPv4 tunnel, inline crypto. */
struct rig_sa {
	const char *cipher, *auth; /* NULL: aes-gcm-128, none */
	uint8_t icv;
	bool protocol, transport, v6, udp, esn, ingress;
	bool copy_dscp, copy_df, ecn, copy_label;
	uint8_t dscp, df, ttl;
	uint32_t label;
	uint32_t spi; /* 0: 0x1001 */
	uint64_t number;
	uint32_t window;
	uint64_t userdata; /* 0: RIG_USERDATA */
};

struct rig {
	uint16_t id;
	struct rte_ring *rx, *tx; /* what the port reads, and where it sends */
	struct rte_security_ctx *ctx;
	struct rte_mempool *sessions;
};

extern struct rte_mempool *rig_pool;
extern const struct engine *rig_engine; /* inside the NIC: openssl, unless a test has another */

/* DPDK, and rig_pool. Once, before all else; -1: it says why not. */
int rig_start(void);
/* A port of n descriptors' rings with the NIC of these options; fails the test if it refuses. */
struct rig *rig_new(const char *options, uint16_t ring);
void rig_free(struct rig *r); /* and finds that no mbuf is lost */

struct suite rig_suite(const struct rig_sa *sa);
/* NULL: refused; rte_errno says why. */
void *rig_session(struct rig *r, const struct rig_sa *sa);
void rig_session_end(struct rig *r, void *session);
struct rte_flow *rig_rule(struct rig *r, const struct rig_sa *sa, void *session);
void rig_rule_end(struct rig *r, struct rte_flow *rule);
struct rte_security_ipsec_stats rig_stats(struct rig *r, void *session);

/* A frame of an inner packet of len octets in all, IPv4 or IPv6, of random payload. */
uint32_t rig_inner(uint8_t *frame, bool v6, uint32_t len, uint8_t tos, bool df);
/* Around it, what software writes; not yet enciphered. Returns the frame's length. */
uint32_t rig_encap(const struct rig_sa *sa, const uint8_t *inner, uint32_t len, uint64_t number,
		   uint16_t *ipv4_id, uint8_t *frame);
/* Enciphers it (and makes the UDP checksum that IPv6 wants). */
void rig_seal(const struct rig_sa *sa, uint8_t *frame, uint32_t len, uint64_t number);

/* In segments of seg octets at most; 0: in one. */
struct rte_mbuf *rig_mbuf(const uint8_t *frame, uint32_t len, uint32_t seg);
void rig_mark(struct rig *r, void *session, struct rte_mbuf *m, uint64_t number);
/* One frame through the port and out of it. NULL: nothing came. */
struct rte_mbuf *rig_send(struct rig *r, struct rte_mbuf *m);
struct rte_mbuf *rig_receive(struct rig *r, struct rte_mbuf *m);
/* The packet is this frame; frees it. */
void rig_same(const char *what, struct rte_mbuf *m, const uint8_t *frame, uint32_t len);

/* The usual ones. */
extern const struct rig_sa rig_out, rig_out_protocol, rig_in, rig_in_protocol;

/* An inner packet of 100 octets, what software makes of it, and that enciphered. */
struct rig_frames {
	uint8_t inner[RIG_FRAME_MAX], clear[RIG_FRAME_MAX], sealed[RIG_FRAME_MAX];
	uint32_t inner_len, len;
};
void rig_frames_make(const struct rig_sa *sa, uint64_t number, struct rig_frames *f);
/* The frame of that number, marked with the session for what the SA wants. */
struct rte_mbuf *rig_marked(struct rig *r, const struct rig_sa *sa, void *session, uint64_t number,
			    struct rig_frames *f);
/* A session, and inbound its rule; fails the test if there is none. */
void *rig_opened(struct rig *r, const struct rig_sa *sa, struct rte_flow **rule);

#endif
