/* The search for the path MTU by packets of our own (RFC 8899), for one path: what size to try
 * next, and what an answer or its absence means. It sends nothing, knows no SA and no clock.
 *
 * BASE     does a size answer that nearly every path carries? Not: ERROR. If so, SEARCH.
 * SEARCH   between the largest size that answered and the smallest that did not, the ceiling first,
 *          down to steps of 16 octets.
 * ERROR    a small packet tells whether the peer answers at all. If it does, the path carries less
 *          than BASE, and the floor is used; else nothing is known and nothing is changed.
 * COMPLETE the size in use is tried now and then while the path is used (a black hole may come at
 *          any time), and larger ones again when its age is over.
 *
 * A size counts as lost after three tries. What is smaller is used at once; what is larger than the
 * size in use after it was answered twice. All sizes are whole outer packets.
 */
#ifndef PMTU_PROBER_H
#define PMTU_PROBER_H

#include <stdbool.h>
#include <stdint.h>

#define PROBER_BASE4	   1200
#define PROBER_BASE6	   1280
#define PROBER_SMALL	   256 /* "does it answer at all" */
#define PROBER_STEP	   16
#define PROBER_TRIES	   3
#define PROBER_CONFIRMS	   2
#define PROBER_VALIDATE_NS (UINT64_C(3) * 1000000000)
#define PROBER_AGAIN_NS	   (UINT64_C(5) * 1000000000)  /* a peer that has answered before */
#define PROBER_RETRY_NS	   (UINT64_C(60) * 1000000000) /* one that never has */
#define PROBER_TIMEOUT_MAX UINT64_C(1000000000)	       /* before a round trip is known */
#define PROBER_TIMEOUT_MIN UINT64_C(100000000)

enum prober_state {
	PROBER_OFF,
	PROBER_BASE,
	PROBER_SEARCH,
	PROBER_ERROR,
	PROBER_COMPLETE,
};

struct prober {
	uint8_t state; /* enum prober_state */
	uint8_t tries, confirms;
	bool answers;	/* the peer did, at some time */
	uint16_t floor; /* never below it */
	uint16_t ceiling;
	uint16_t base;
	uint16_t mtu;	/* in use */
	uint16_t good;	/* the largest size that was answered; 0: none */
	uint32_t bad;	/* the smallest that was not: above all that is searched */
	uint16_t size;	/* to be tried next */
	uint16_t hint;	/* somebody says that this is it; 0: nobody does */
	uint64_t rtt;	/* ns, smoothed; 0: not known */
	uint64_t due;	/* ns: when the next try is wanted */
	uint64_t age;	/* ns */
	uint64_t raise; /* ns: when larger ones are tried again */
};

/* Begins with BASE. mtu: what is in use, floor <= mtu <= ceiling. */
void prober_begin(struct prober *p, bool v6, uint16_t floor, uint16_t ceiling, uint16_t mtu,
		  uint64_t age, uint64_t now);

/* Whether a try is wanted now, of p->size. An idle path's size in use need not be validated. */
static inline bool
prober_is_due(const struct prober *p, uint64_t now)
{
	return p->state != PROBER_OFF && p->due <= now;
}
bool prober_is_idle(const struct prober *p, uint64_t now);
/* The path was not used: the try is not made now. */
void prober_skip(struct prober *p, uint64_t now);
/* How long an answer may take. */
uint64_t prober_timeout(const struct prober *p);

/* The try of p->size was answered after rtt, or was lost. What is in use from now on is p->mtu:
 * true if it changed. */
bool prober_answered(struct prober *p, uint64_t rtt, uint64_t now);
bool prober_lost(struct prober *p, uint64_t now);

/* Somebody who could not prove it says that the path carries no more than that: it is tried whether
 * the size in use still passes. */
void prober_hint(struct prober *p, uint16_t mtu, uint64_t now);
/* What is in use was changed by others: it is tried whether more passes. */
void prober_moved(struct prober *p, uint16_t mtu, uint64_t now);
/* The link's, or the file's, word changed. */
void prober_ceiling(struct prober *p, uint16_t ceiling, uint64_t now);

#endif
