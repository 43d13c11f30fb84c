/* Stages and sources: what a packet's way is made of.
 *
 * A stage takes a burst of at most BURST_MAX packets, keeps order, and returns how many of them it
 * kept, moved to the front. Each other packet went to drop(), to consume(), to pipe_push(), or to a
 * queue that counts it as held. A stage never frees a packet in another way.
 *
 * A source finds packets and hands them to the stage it names.
 *
 * The order of the stages below is the order of the lines (pipe/stages.c binds names and
 * functions): a burst that ends a stage goes to the next row of its line, unless the row is absent
 * from this configuration's pipeline.
 */
#ifndef WORKER_STAGE_H
#define WORKER_STAGE_H

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;
struct worker;

#define BURST_MAX   64
#define PENDING_MAX 256

enum stage_id {
	/* out: red to black */
	STAGE_CLASSIFY_RED,
	STAGE_SPD_MATCH,
	STAGE_SA_PICK,
	STAGE_HANDOFF_OUT,
	STAGE_IPCOMP_ENCAP, /* present once an SA has IPComp */
	STAGE_IPTFS_FILL,   /* present once an SA has IP-TFS: its packets wait; iptfs_tick sends */
	STAGE_LIFE_COUNT_OUT,
	STAGE_ESP_ENCAP,
	STAGE_CRYPTO_ENCRYPT,
	STAGE_ESP_SEAL,
	STAGE_UDP_ENCAP, /* present once an SA sends UDP over IPv6 */
	STAGE_NEIGH_WRITE_OUT,
	STAGE_PORT_TX_OUT,
	/* in: black to red */
	STAGE_CLASSIFY_BLACK,
	STAGE_SAD_LOOKUP,
	STAGE_HANDOFF_IN,
	STAGE_REPLAY_CHECK,
	STAGE_CRYPTO_DECRYPT,
	STAGE_REPLAY_ACCEPT,
	STAGE_ESP_STRIP,
	STAGE_IPCOMP_DECAP,  /* likewise */
	STAGE_LIFE_COUNT_IN, /* whole packets only: a malformed one counts against no lifetime */
	STAGE_IPTFS_SPLIT,   /* likewise: iptfs_deliver goes on behind it */
	STAGE_ECN_DECAP,
	STAGE_SELECTOR_CHECK,
	STAGE_LOCAL_DELIVER, /* present where a port has a mirror */
	STAGE_ROUTE,
	STAGE_NEIGH_WRITE,
	STAGE_PORT_TX,
	/* beside them */
	STAGE_CLEAR_CHECK,  /* in clear on a black port: the inbound policies; then route */
	STAGE_HANDOFF_FRAG, /* fragments to the worker that their datagram is of */
	STAGE_REASM_OUTER,  /* of datagrams for us; then as any from the black side */
	STAGE_REASM_INNER,  /* out: of packets that BEET carries whole; then spd_match */
	STAGE_FRAG_MATCH,   /* out: of datagrams that a policy judges by ports; then sa_pick */
	STAGE_FRAG_CHECK,   /* the same out of an inbound SA; then as behind selector_check */
	STAGE_PLAIN_ECHO,   /* SPI 7 and 8, and ours: what is sent goes on like outbound ESP */
	STAGE_BYPASS,	    /* out, in clear */
	STAGE_CLASSIFY_OWN, /* what our own host sent through a mirror; then spd_match */
	STAGE_AH_ENCAP,	    /* AH out, from esp_encap */
	STAGE_AH_MAC,
	STAGE_AH_SEAL,	 /* then neigh_write */
	STAGE_AH_LOOKUP, /* AH in, from classify; then handoff */
	STAGE_AH_CHECK,	 /* from replay_check */
	STAGE_AH_VERIFY,
	STAGE_AH_ACCEPT, /* then life_count */
	STAGE_PUNT,
	STAGE_ICMP_REPLY,
	STAGE_FRAG_INNER, /* larger than its tunnel takes: cut before ESP */
	STAGE_INLINE_IN,  /* whose ESP a port's device took off, from replay_check; then life_count;
			     present where there is such a device */
	STAGE_FRAG_OUTER, /* larger than its path or link takes: cut as it is */
	STAGE_MAX,
};

typedef uint16_t stage_fn(struct worker *w, struct rte_mbuf **pkts, uint16_t n);

/* Fills pkts with at most max packets, returns how many. */
typedef uint16_t source_fn(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max);

struct source {
	const char *name;
	source_fn *poll;
	void *arg;
	enum stage_id first;
	bool all;   /* asked again in the same round until it gives less than it may; for 1 ms */
	bool paces; /* keeps time: asked between bursts of others, while w->pace_burst says so */
};

#endif
