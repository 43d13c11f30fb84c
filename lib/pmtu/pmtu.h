/* What is learnt of path MTUs while the gateway runs: from ICMP, by probing, from key daemons.
 *
 * What is learnt is kept per path, which is a pair of outer addresses and, with ESP in UDP, of
 * ports: it is the path that has an MTU, and not an SA. So an SA that takes another's place (rekey,
 * reload, migration back) goes on with what is known, and one report serves all SAs between two
 * peers. Ports are part of it since two peers behind one NAT are two paths. A path has a record
 * only while something is known of it or it is probed; SAs cost PMTU_OCTETS each.
 *
 * Each SA says what it takes of that: whether ICMP counts, what the floor is, for how long. What is
 * learnt only ever makes an SA's packets smaller than what the file and the link say.
 *
 * ICMP is nobody's word (RFC 4301 section 8.2): it counts where it quotes an outbound SA's SPI,
 * both addresses, and a number among the last PMTU_RECENT that were sent; from then on for the age,
 * and at most once in PMTU_PAUSE_NS per path. What quotes less than that starts a probe where the
 * path is probed, and nothing else.
 *
 * Control only. All MTUs are of whole outer packets.
 */
#ifndef PMTU_PMTU_H
#define PMTU_PMTU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "pmtu/prober.h"

#define PMTU_RECENT   (UINT32_C(1) << 16)
#define PMTU_PAUSE_NS (UINT64_C(2) * 1000000000)
#define PMTU_FLOOR6   1280
#define PMTU_OCTETS   32 /* of an SA: --check */

#define PMTU_PROBES_MAX 64  /* on their way at a time */
#define PMTU_PROBE_RATE 500 /* a second */

struct pmtu;
struct sa_table;
struct too_big;

/* Where a path MTU is from. */
#define PMTU_SOURCES(X)                                                        \
	X(CONFIGURED, "configured", "the file's, the daemon's, or the link's") \
	X(ICMP, "icmp", "ICMP too-big")                                        \
	X(PROBE, "probe", "found by probing")                                  \
	X(DAEMON, "daemon", "said by a key daemon")                            \
	X(OPERATOR, "operator", "set at the prompt or by espctl")

enum pmtu_source {
#define X(id, name, help) PMTU_##id,
	PMTU_SOURCES(X)
#undef X
	PMTU_SOURCE_MAX
};
extern const char *const pmtu_source_names[PMTU_SOURCE_MAX];

/* What came of reports and probes. */
#define PMTU_COUNTS(X)                                                                          \
	X(ICMP_OBEYED, "icmp_obeyed", "ICMP too-big that made a path MTU smaller")              \
	X(ICMP_PROBED, "icmp_probed", "that was no proof, or below the floor: a probe decides") \
	X(ICMP_IGNORED_FORM, "icmp_ignored_form", "malformed, or about nothing of ours")        \
	X(ICMP_IGNORED_SPI, "icmp_ignored_spi", "no outbound SA has what it quotes")            \
	X(ICMP_IGNORED_NUMBER, "icmp_ignored_number", "a number not sent lately, or none")      \
	X(ICMP_IGNORED_FLOOR, "icmp_ignored_floor", "below the floor")                          \
	X(ICMP_IGNORED_LARGER, "icmp_ignored_larger", "no smaller than what is in use")         \
	X(ICMP_IGNORED_RATE, "icmp_ignored_rate", "too soon after the last one")                \
	X(ICMP_IGNORED_OFF, "icmp_ignored_off", "of an SA that does not believe ICMP")          \
	X(DAEMON_SET, "daemon_set", "path MTUs set by a key daemon or an operator")             \
	X(PROBES_SENT, "probes_sent", "probes")                                                 \
	X(PROBES_LOST, "probes_lost", "of these, not answered in time")                         \
	X(PROBE_LOWERED, "probe_lowered", "path MTUs made smaller by probing")                  \
	X(PROBE_RAISED, "probe_raised", "path MTUs made larger by probing")                     \
	X(AGED, "aged", "path MTUs forgotten, their age being over")

enum pmtu_count {
#define X(id, name, help) PMTU_COUNT_##id,
	PMTU_COUNTS(X)
#undef X
	PMTU_COUNT_MAX
};

struct pmtu_count_name {
	const char *name, *help;
};
extern const struct pmtu_count_name pmtu_count_names[PMTU_COUNT_MAX];

/* What an SA takes. */
struct pmtu_rules {
	bool icmp, probe;
	uint16_t floor; /* IPv6: at least PMTU_FLOOR6 counts */
	uint32_t age_s;
};

struct pmtu_change {
	uint32_t sa; /* by which it was learnt */
	uint16_t was, now;
	uint8_t source; /* enum pmtu_source; PMTU_CONFIGURED: it is forgotten */
};

struct pmtu_params {
	struct sa_table *sas; /* borrowed */
	uint32_t max_sas;
	uint64_t seed; /* nobody outside knows who shares a bucket */
	void *ctx;
	/* What the SA's file and link allow, whatever is learnt. */
	uint16_t (*allowed)(void *ctx, uint32_t sa);
	/* What pmtu_outer() says of the SA has changed. */
	void (*apply)(void *ctx, uint32_t sa);
	void (*tell)(void *ctx, const struct pmtu_change *change);
};

/* Sends a probe of exactly that outer size, as far as the SA's alignment allows, with DF; the
 * answer, or that there was none after timeout, comes by pmtu_probe_done(token). False: it cannot
 * be sent now.
 */
struct pmtu_sender {
	void *ctx;
	bool (*send)(void *ctx, uint32_t sa, uint16_t size, uint64_t timeout, uint64_t token);
	void (*end)(void *ctx); /* with pmtu_free(); NULL: nothing is to be done */
};

enum pmtu_probe_end {
	PMTU_PROBE_ANSWERED,
	PMTU_PROBE_LOST,
	PMTU_PROBE_UNSENT, /* it never left: nothing is known */
};

/* -ENOMEM. */
int pmtu_create(const struct pmtu_params *params, struct pmtu **pmtu, struct err *err);
/* NULL is fine, here and below. */
void pmtu_free(struct pmtu *p);
/* Without one nothing is probed. */
void pmtu_sender_set(struct pmtu *p, const struct pmtu_sender *sender);

/* An outbound SA is there, or goes; its addresses, ports and SPI stay as they are meanwhile. */
void pmtu_sa_add(struct pmtu *p, uint32_t sa, const struct pmtu_rules *rules, uint64_t now);
void pmtu_sa_del(struct pmtu *p, uint32_t sa);

/* The largest outer packet that the SA's path is known to carry; allowed: see pmtu_params. */
uint16_t pmtu_outer(const struct pmtu *p, uint32_t sa, uint16_t allowed);

/* An ICMP too-big came, whole, from its IP header on. Returns what became of it. */
enum pmtu_count pmtu_icmp(struct pmtu *p, const uint8_t *message, uint32_t len, uint64_t now);

/* Sets the MTU of an SA's path, for the SA's age; 0 forgets what was learnt. -ERANGE: below the
 * floor, or above what is allowed; -ENOSPC, -ENOMEM.
 */
int pmtu_set(struct pmtu *p, uint32_t sa, uint16_t mtu, enum pmtu_source source, uint64_t now,
	     struct err *err);

/* rtt: ns, of one that was answered. */
void pmtu_probe_done(struct pmtu *p, uint64_t token, enum pmtu_probe_end end, uint64_t rtt,
		     uint64_t now);

/* As often as control looks: ages, probes, and SAs of a path with very many of them. */
void pmtu_tick(struct pmtu *p, uint64_t now);

/* Of one path. */
struct pmtu_view {
	struct addr src, dst;
	uint16_t udp_src, udp_dst; /* host order; 0: not in UDP */
	uint16_t mtu;		   /* 0: nothing is learnt */
	uint8_t source;		   /* enum pmtu_source */
	uint64_t until;		   /* ns; 0: as long as it is probed */
	uint8_t probing;	   /* enum prober_state */
	uint64_t rtt;		   /* ns; 0: not known */
};
extern const char *const pmtu_prober_names[];

/* The path of an outbound SA. False: nothing is known of it. */
bool pmtu_of_sa(const struct pmtu *p, uint32_t sa, struct pmtu_view *view);
/* The next path that has a record; *cursor begins with 0. */
bool pmtu_next(const struct pmtu *p, uint32_t *cursor, struct pmtu_view *view);
uint32_t pmtu_paths(const struct pmtu *p);
uint64_t pmtu_counted(const struct pmtu *p, enum pmtu_count what);

#endif
