/* IPsec that a port's device does by itself: the border between espgw and such a device.
 *Capability, session, flow, transmit metadata and receive result; drivers/inline fills it in, for
 *hardware by rte_security and rte_flow, and for a NIC that is emulated.
 *
 *	OFFLOAD_CRYPTO		The device runs the cipher. Out, a packet goes to it with all
 *headers, IV and trailer written and room for the ICV; in, it comes with the text deciphered where
 *it lies, IV, trailer and ICV still there. Numbers and windows are ours, so software may do any
 *packet of the same SA. OFFLOAD_PROTOCOL	The device makes and takes off all of ESP. Out, the
 *inner packet goes to it behind the outer link-layer header; in, the inner packet comes behind a
 *link-layer header. Whose the numbers are the capabilities say.
 *
 * Where the device numbers what it sends, no packet of that SA goes another way while it does: its
 * count begins where ours stands and is never ahead of it, so what software sends later is never
 * a number twice. Where the device keeps the window, what of that SA comes to us undeciphered is
 * dropped, since nobody could say whether it was seen.
 *
 * Control opens and closes; workers ask the table by SA. An entry is what a worker may rely on
 * until the end of its loop.
 */
#ifndef PORT_OFFLOAD_H
#define PORT_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_mbuf.h>

#include "alg/alg.h"
#include "base/addr.h"
#include "base/err.h"
#include "worker/worker.h"

struct json;
struct offload_port;	/* the driver's, of one port */
struct offload_session; /* the driver's, of one SA on one port */
struct session;

enum offload_kind {
	OFFLOAD_NONE,
	OFFLOAD_CRYPTO,
	OFFLOAD_PROTOCOL,
};

/* An SA as a device has to know it. Borrowed for the call, keys too. */
struct offload_ask {
	uint32_t index, generation; /* what offload_rx names it by */
	const struct session *session;
	const uint8_t *salt;
	bool inbound, transport, udp;
	bool ah, other; /* other: what no device has a name for (BEET, IP-TFS, IPComp, TFC) */
	bool subspaces; /* software writes and checks the numbers */
	bool alone;	/* out: one worker sends all of it */
	uint32_t spi;
	struct addr src, dst;
	uint16_t udp_src, udp_dst;
	uint64_t number;	/* out: last one used; in: highest one accepted */
	uint32_t replay_window; /* in: 0 = none */
	struct {		/* out, tunnel mode: the outer header */
		bool copy_dscp, copy_df, set_df;
		bool ecn;     /* RFC 6040; in, too: who takes the header off judges by it */
		bool plain;   /* no more is asked for than these words can say */
		uint8_t dscp; /* unless copied */
		uint8_t ttl;
		uint32_t flow_label;
	} outer;
	uint16_t mtu; /* out: the largest outer packet */
};

/* What a port's device offers, for `show nic`. */
struct offload_caps {
	bool crypto_in, crypto_out, protocol_in, protocol_out;
	bool tx_number; /* protocol, out: software writes the number of each packet */
	bool rx_number; /* protocol, in: the result says the number, and the window is ours */
	uint32_t sessions_max; /* UINT32_MAX: not known */
	uint32_t sessions;     /* there are now */
	const char *provider;  /* "rte_security", "emulated" */
};

/* What the device says of a packet that it handled on the way in. */
struct offload_rx {
	uint64_t number; /* the whole one, if numbered */
	uint32_t index, generation;
	uint8_t kind; /* enum offload_kind */
	bool ok;      /* the ICV held */
	bool named;   /* index and generation are known: not of all devices with OFFLOAD_CRYPTO */
	bool numbered;
	bool has_tos;
	uint8_t outer_tos; /* OFFLOAD_PROTOCOL: of the header that was taken off, if has_tos */
};

struct offload_counts {
	uint64_t packets, octets, errors; /* as the device counts them */
};

struct offload {
	const char *name;
	/* Control, of a port that is set up and not started. options: the words of the file behind
	 * `inline:`. -ENOTSUP: the device offers nothing of the kind, err says what it said. */
	int (*port_open)(uint16_t dpdk_id, const char *options, uint16_t n_workers, int socket,
			 struct offload_port **out, struct err *err);
	/* Stopped, and no worker has it any more. */
	void (*port_close)(struct offload_port *op);
	/* The device was stopped and is about to be started again: it has none of its sessions any
	 * more, and those that are open are closed without telling it. renewed: it was set up
	 * anew, too, and nothing of it from before is to be used. */
	void (*port_reset)(struct offload_port *op, bool renewed);

	/* Control. Whether an SA could be opened, without doing it; err: why not, for people. */
	int (*serves)(const struct offload_port *op, const struct offload_ask *ask,
		      enum offload_kind kind, struct err *err);
	/* -ENOSPC: no more sessions or rules; -ENOTSUP; -EIO: the device refused, with its words.
	 */
	int (*session_open)(struct offload_port *op, const struct offload_ask *ask,
			    enum offload_kind kind, struct offload_session **out, struct err *err);
	/* The device does nothing of it from now on: its rule goes, what arrives comes as it is.
	 * Packets that were marked with it may still be on their way to the device. */
	void (*session_end)(struct offload_port *op, struct offload_session *s);
	/* A grace period after session_end: wipes and frees. */
	void (*session_free)(struct offload_port *op, struct offload_session *s);
	int (*session_counts)(struct offload_port *op, const struct offload_session *s,
			      struct offload_counts *counts);
	/* Control, at ticks, of inbound SAs with ESN: the highest number accepted. Some devices
	 * have to be told the half that is not on the wire; most calls do nothing. */
	void (*session_number)(struct offload_port *op, struct offload_session *s, uint64_t number);
	void (*caps)(const struct offload_port *op, struct offload_caps *caps);
	/* Suites and modes, a line each; members of an open object. */
	void (*print)(const struct offload_port *op, FILE *f);
	void (*json)(const struct offload_port *op, struct json *j);

	/* Workers. Marks packets of one session for the device, which does its work when they are
	 * sent; pkt.esp_off and the headers' lengths are as they will be behind the link-layer
	 * header, which is still to be written. pkt.seq is the number, where the capabilities ask
	 * for it. Returns how many it marked: a prefix. */
	uint16_t (*tx_mark)(struct offload_session *s, struct rte_mbuf *const *pkts, uint16_t n);
	/* Of packets with RTE_MBUF_F_RX_SEC_OFFLOAD that came by the device's port. */
	void (*rx_results)(const struct offload_port *op, struct rte_mbuf *const *pkts, uint16_t n,
			   struct offload_rx *rx);
};

/* Of one SA; two to a cache line. Control writes session last, and clears it first. */
struct offload_entry {
	struct offload_session *session; /* NULL: software does it */
	uint32_t generation;
	uint8_t kind; /* enum offload_kind */
	uint8_t port; /* index of lib/port */
	bool tx_number, rx_number;
	uint16_t tx_limit; /* OFFLOAD_PROTOCOL, out: largest inner packet that goes to the device */
	uint8_t serial; /* offload_publish()'s: a packet keeps it in pkt.turn, and what was marked
			   for a session before this one is known by it */
} __rte_aligned(32);
_Static_assert(sizeof(struct offload_entry) == 32, "two to a line");

/* By SA index, for all ports together; struct worker has a pointer to it. */
struct offload_table {
	const struct offload *offload;
	uint32_t n;
	struct offload_port *ports[PORTS_MAX]; /* by index of lib/port; NULL: it offers nothing */
	struct offload_entry entries[] __rte_cache_aligned;
};

/* NULL: software does it. A worker's question, once per packet. */
static inline const struct offload_entry *
offload_of(const struct offload_table *t, uint32_t sa, uint32_t generation)
{
	const struct offload_entry *e;

	if (t == NULL || sa >= t->n)
		return NULL;
	e = &t->entries[sa];
	return __atomic_load_n(&e->session, __ATOMIC_ACQUIRE) != NULL &&
			       e->generation == generation ?
		       e :
		       NULL;
}

/* Whether the device of the packet's port says something of it. A port whose device does nothing of
 * the kind may show flags that are not its own: a ring gives packets as they were put in.
 */
static inline bool
offload_says(const struct offload_table *t, const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD) != 0 && t != NULL &&
	       t->ports[pkt_of(m)->port] != NULL;
}

/* What it says of n > 0 such packets: of a prefix, those of one port. Returns how many. */
static inline uint16_t
offload_results(const struct offload_table *t, struct rte_mbuf *const *pkts, uint16_t n,
		struct offload_rx *rx)
{
	uint8_t port = pkt_of(pkts[0])->port;
	uint16_t run = 1;

	while (run < n && pkt_of(pkts[run])->port == port)
		run++;
	t->offload->rx_results(t->ports[port], pkts, run, rx);
	return run;
}

/* -ENOMEM. Zeroed, nothing is open. */
int offload_table_create(const struct offload *offload, uint32_t max_sas, int socket,
			 struct offload_table **out, struct err *err);
void offload_table_free(struct offload_table *t); /* NULL is fine */
/* Control: workers find it from now on, or no more. */
void offload_publish(struct offload_table *t, uint32_t sa, const struct offload_entry *e);
void offload_withdraw(struct offload_table *t, uint32_t sa);

#endif
