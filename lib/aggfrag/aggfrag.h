/* Aggregation and fragmentation (RFC 9347): what both directions of a stream share.
 *
 * A stream is what one lane of an SA carries: its payloads are numbered without gaps, its inner
 * packets keep their order, and one worker, the lane's owner, writes its state. This module knows
 * no SA; lib/iptfs has the stages.
 */
#ifndef AGGFRAG_AGGFRAG_H
#define AGGFRAG_AGGFRAG_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "wire/aggfrag.h"

/* Zero copy. Out: the first piece of a payload stays in its buffer, and the rest is copied behind
 * it, if it has so many octets; else all is copied into a new one. In: the largest piece of a
 * payload keeps the payload's buffer if it has so many. tests/perf/iptfs_bench sweeps both.
 */
#ifndef AGGFRAG_ADOPT_MIN
#define AGGFRAG_ADOPT_MIN 64
#define AGGFRAG_KEEP_MIN  256
#endif

#define AGGFRAG_INNER_MAX 65535 /* octets of an inner packet: the offset has 16 bits */

/* What an SA asks for. Times are ns. */
struct aggfrag_params {
	bool on;
	bool dont_frag;		 /* out: no pieces are sent; in: they are refused */
	bool congestion_control; /* payloads of sub-type 1 */
	/* Out. */
	bool rate_l2; /* the rate counts Ethernet's octets, too */
	/* Constant rate; with congestion control the most; 0 = as packets come. Control may set
	 * another while workers send: by aggfrag_rate_set(). */
	uint64_t rate_bps;
	uint16_t packet_size; /* octets of an outer packet, at most; 0 = as its path takes */
	uint64_t init_delay;  /* that the first of a payload waits for others, without a rate */
	uint64_t max_queue;   /* octets of inner packets that may wait */
	uint64_t max_wait;    /* that one may wait (RFC 9348 max-aggregation-time); 0 = any */
	/* In. */
	uint16_t reorder_window; /* payloads that may wait for a missing one; 0 = none */
	uint64_t drop_time;	 /* that the missing one is waited for */
	bool send_immediately;	 /* inner packets are given on as their payloads come */
	/* Circuit breaker of a constant rate; percent 0: none. */
	uint32_t breaker_percent;
	uint64_t breaker_time;
};

/* Of a stream, in the order they are shown: the names are RFC 9348's, and ours behind them. */
#define AGGFRAG_OUT_COUNTS(X)                                                            \
	X(INNER_PKTS, "tx_inner_pkts", "inner packets sent, each once")                  \
	X(INNER_OCTETS, "tx_inner_octets", "octets of these")                            \
	X(PKTS, "tx_pkts", "outer packets")                                              \
	X(OCTETS, "tx_octets", "octets of their payloads")                               \
	X(ALL_PAD_PKTS, "tx_all_pad_pkts", "outer packets of padding alone")             \
	X(ALL_PAD_OCTETS, "tx_all_pad_octets", "octets of padding in these")             \
	X(EXTRA_PAD_PKTS, "tx_extra_pad_pkts", "outer packets with padding behind data") \
	X(EXTRA_PAD_OCTETS, "tx_extra_pad_octets", "octets of padding in these")         \
	X(FRAG_PKTS, "tx_frag_pkts", "inner packets sent in pieces")                     \
	X(QUEUE_DROPS, "tx_queue_drops", "inner packets that found no room")             \
	X(AGED_DROPS, "tx_aged_drops", "inner packets that waited too long")             \
	X(CE_MARKS, "tx_ce_marks", "inner packets marked CE: the queue was nearly full") \
	X(LATE_TICKS, "tx_late_ticks", "times that pacing was behind by more than it catches up")

#define AGGFRAG_IN_COUNTS(X)                                                                     \
	X(INNER_PKTS, "rx_inner_pkts", "inner packets given on")                                 \
	X(INNER_OCTETS, "rx_inner_octets", "octets of these")                                    \
	X(INCOMPLETE_PKTS, "rx_incomplete_pkts", "inner packets of which a piece is missing")    \
	X(PKTS, "rx_pkts", "outer packets")                                                      \
	X(OCTETS, "rx_octets", "octets of their payloads")                                       \
	X(ALL_PAD_PKTS, "rx_all_pad_pkts", "outer packets of padding alone")                     \
	X(ALL_PAD_OCTETS, "rx_all_pad_octets", "octets of padding in these")                     \
	X(EXTRA_PAD_PKTS, "rx_extra_pad_pkts", "outer packets with padding behind data")         \
	X(EXTRA_PAD_OCTETS, "rx_extra_pad_octets", "octets of padding in these")                 \
	X(ERRORED_PKTS, "rx_errored_pkts", "payloads that were malformed")                       \
	X(MISSED_PKTS, "rx_missed_pkts", "numbers given up for lost")                            \
	X(LATE_PKTS, "rx_late_pkts", "payloads that came when they were given up")               \
	X(REORDERED_PKTS, "rx_reordered_pkts", "payloads that waited for one before them")       \
	X(REORDER_TIMEOUTS, "rx_reorder_timeouts", "times that waiting for a missing one ended") \
	X(CE_PKTS, "rx_ce_pkts", "outer packets marked CE")

enum aggfrag_out_count {
#define X(id, name, help) AGGFRAG_TX_##id,
	AGGFRAG_OUT_COUNTS(X)
#undef X
	AGGFRAG_TX_MAX
};

enum aggfrag_in_count {
#define X(id, name, help) AGGFRAG_RX_##id,
	AGGFRAG_IN_COUNTS(X)
#undef X
	AGGFRAG_RX_MAX
};

struct aggfrag_name {
	const char *name;
	const char *help;
};
extern const struct aggfrag_name aggfrag_out_names[AGGFRAG_TX_MAX];
extern const struct aggfrag_name aggfrag_in_names[AGGFRAG_RX_MAX];

/* Any thread. */
static inline uint64_t
aggfrag_rate(const struct aggfrag_params *p)
{
	return __atomic_load_n(&p->rate_bps, __ATOMIC_RELAXED);
}

/* The one thread that changes it. */
static inline void
aggfrag_rate_set(struct aggfrag_params *p, uint64_t rate_bps)
{
	__atomic_store_n(&p->rate_bps, rate_bps, __ATOMIC_RELAXED);
}

static inline uint16_t
aggfrag_header_size(const struct aggfrag_params *p)
{
	return p->congestion_control ? WIRE_AGGFRAG_CC_HEADER : WIRE_AGGFRAG_HEADER;
}

#endif
