#include "pmtu/prober.h"

#include <rte_common.h>

/* The first size that is tried; tries and confirmations of another begin anew. */
static void
size_set(struct prober *p, uint16_t size, uint64_t now)
{
	p->size = size;
	p->tries = 0;
	p->confirms = 0;
	p->due = now;
}

static void
base_set(struct prober *p, uint64_t now)
{
	p->state = PROBER_BASE;
	p->good = 0;
	size_set(p, p->base, now);
}

void
prober_begin(struct prober *p, bool v6, uint16_t floor, uint16_t ceiling, uint16_t mtu,
	     uint64_t age, uint64_t now)
{
	uint16_t base = RTE_MAX(v6 ? PROBER_BASE6 : PROBER_BASE4, floor);

	*p = (struct prober) {
		.floor = floor,
		.ceiling = ceiling,
		.base = RTE_MIN(base, ceiling),
		.mtu = mtu,
		.bad = ceiling + UINT32_C(1),
		.age = age,
	};
	base_set(p, now);
}

static bool
is_validating(const struct prober *p)
{
	return p->state == PROBER_COMPLETE;
}

bool
prober_is_idle(const struct prober *p, uint64_t now)
{
	return is_validating(p) && p->tries == 0 && now < p->raise;
}

void
prober_skip(struct prober *p, uint64_t now)
{
	p->due = now + PROBER_VALIDATE_NS;
}

uint64_t
prober_timeout(const struct prober *p)
{
	uint64_t timeout = RTE_MAX(4 * p->rtt, PROBER_TIMEOUT_MIN);

	return p->rtt == 0 ? PROBER_TIMEOUT_MAX : RTE_MIN(timeout, PROBER_TIMEOUT_MAX);
}

static bool
use(struct prober *p, uint16_t mtu)
{
	bool changed = p->mtu != mtu;

	p->mtu = mtu;
	return changed;
}

static void
complete(struct prober *p, uint64_t now)
{
	p->state = PROBER_COMPLETE;
	p->raise = now + p->age;
	p->hint = 0;
	size_set(p, p->mtu, now + PROBER_VALIDATE_NS);
}

/* What is tried next between good and bad. The size in use, and the ceiling, come first: mostly one
 * of them is right.
 */
static void
search_next(struct prober *p, uint64_t now)
{
	uint32_t good = p->good, bad = p->bad;

	p->state = PROBER_SEARCH;
	if (p->mtu > good && p->mtu < bad)
		size_set(p, p->mtu, now);
	else if (p->hint > good && p->hint < bad)
		size_set(p, p->hint, now);
	else if (bad > p->ceiling && good < p->ceiling)
		size_set(p, p->ceiling, now);
	else if (bad - good <= PROBER_STEP)
		complete(p, now);
	else
		size_set(p, (uint16_t)(good + (bad - good) / 2), now);
}

static void
search(struct prober *p, uint64_t now)
{
	p->bad = p->ceiling + UINT32_C(1);
	if (p->good > p->mtu)
		p->good = p->mtu;
	search_next(p, now);
}

static bool
base_answered(struct prober *p, uint64_t now)
{
	bool changed = false;

	p->good = RTE_MIN(p->size, p->mtu);
	/* It was tried because the size in use did not pass. */
	if (p->bad <= p->mtu)
		changed = use(p, p->good);
	search_next(p, now);
	return changed;
}

static bool
search_answered(struct prober *p, uint64_t now)
{
	bool changed = false;

	if (p->size > p->mtu && ++p->confirms < PROBER_CONFIRMS) {
		p->tries = 0;
		p->due = now;
		return false;
	}
	p->good = p->size;
	if (p->size > p->mtu)
		changed = use(p, p->size);
	search_next(p, now);
	return changed;
}

/* BASE once more, after a while: soon where the peer is known to answer. */
static void
later(struct prober *p, uint64_t now)
{
	p->bad = p->ceiling + UINT32_C(1);
	base_set(p, now + (p->answers ? PROBER_AGAIN_NS : PROBER_RETRY_NS));
}

static void
error_set(struct prober *p, uint64_t now)
{
	p->state = PROBER_ERROR;
	p->bad = RTE_MIN(p->bad, (uint32_t)p->base);
	size_set(p, RTE_MIN((uint16_t)PROBER_SMALL, p->floor), now);
}

/* The peer answers, but not to BASE. */
static bool
error_answered(struct prober *p, uint64_t now)
{
	bool changed = use(p, p->floor);

	if (p->size == p->floor) {
		p->good = p->floor;
		p->bad = RTE_MIN(p->bad, (uint32_t)p->base);
		search_next(p, now);
	} else if (p->floor < p->base) {
		size_set(p, p->floor, now);
	} else {
		later(p, now);
	}
	return changed;
}

/* What is slower than the mean is no loss. */
static void
rtt_take(struct prober *p, uint64_t rtt)
{
	uint64_t mean = p->rtt == 0 ? rtt : (7 * p->rtt + rtt) / 8;

	mean = RTE_MAX(mean, rtt / 2);
	p->rtt = RTE_MAX(mean, UINT64_C(1));
}

bool
prober_answered(struct prober *p, uint64_t rtt, uint64_t now)
{
	rtt_take(p, rtt);
	p->answers = true;
	switch ((enum prober_state)p->state) {
	case PROBER_BASE:
		return base_answered(p, now);
	case PROBER_SEARCH:
		return search_answered(p, now);
	case PROBER_ERROR:
		return error_answered(p, now);
	case PROBER_COMPLETE:
		if (now >= p->raise && p->mtu < p->ceiling) {
			p->good = p->mtu;
			search(p, now);
		} else {
			size_set(p, p->mtu, now + PROBER_VALIDATE_NS);
		}
		return false;
	case PROBER_OFF:
		break;
	}
	return false;
}

static bool
search_lost(struct prober *p, uint64_t now)
{
	bool changed = false;

	p->bad = p->size;
	if (p->mtu >= p->bad && p->good != 0)
		changed = use(p, p->good);
	search_next(p, now);
	return changed;
}

bool
prober_lost(struct prober *p, uint64_t now)
{
	if (p->state == PROBER_OFF)
		return false;
	p->confirms = 0;
	p->due = now;
	if (++p->tries < PROBER_TRIES)
		return false;
	switch ((enum prober_state)p->state) {
	case PROBER_BASE:
		error_set(p, now);
		return false;
	case PROBER_SEARCH:
		return search_lost(p, now);
	case PROBER_COMPLETE:
		/* A black hole, or the peer is gone: BASE tells. */
		p->bad = p->size;
		if (p->size > p->base)
			base_set(p, now);
		else
			error_set(p, now);
		return false;
	case PROBER_ERROR:
		/* Not even a small one, or not the floor. */
		later(p, now);
		return false;
	case PROBER_OFF:
		break;
	}
	return false;
}

void
prober_hint(struct prober *p, uint16_t mtu, uint64_t now)
{
	if (p->state != PROBER_COMPLETE && p->state != PROBER_SEARCH)
		return;
	if (mtu >= p->mtu || mtu <= p->floor)
		mtu = 0;
	p->hint = mtu;
	p->good = RTE_MIN(p->base, p->mtu - 1);
	search(p, now);
}

void
prober_moved(struct prober *p, uint16_t mtu, uint64_t now)
{
	p->mtu = mtu;
	if (p->state != PROBER_COMPLETE && p->state != PROBER_SEARCH)
		return;
	p->good = RTE_MIN(p->base, mtu - 1);
	search(p, now);
}

void
prober_ceiling(struct prober *p, uint16_t ceiling, uint64_t now)
{
	if (p->ceiling == ceiling)
		return;
	p->ceiling = ceiling;
	p->base = RTE_MIN(p->base, ceiling);
	p->mtu = RTE_MIN(p->mtu, ceiling);
	if (p->state == PROBER_COMPLETE || p->state == PROBER_SEARCH)
		search(p, now);
	else
		p->bad = ceiling + UINT32_C(1);
}
