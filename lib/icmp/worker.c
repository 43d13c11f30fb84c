#include "icmp/worker.h"

#include <errno.h>

#include <rte_malloc.h>
#include <rte_random.h>

#include "icmp/answer.h"
#include "stats/cell.h"
#include "wire/ip.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MS     UINT64_C(1000000)

const struct icmp_limits icmp_limits_default = { .per_second = 1000, .burst = 50, .pause_ms = 100 };

int
icmp_worker_init(const struct icmp_limits *limits, int socket, struct icmp_worker **out,
		 struct err *err)
{
	struct icmp_worker *iw;

	if (limits == NULL)
		limits = &icmp_limits_default;
	if (limits->per_second == 0 || limits->per_second > 1000000 || limits->burst == 0)
		return err_set(err, -EINVAL,
			       "ICMP answers: %u per second in bursts of %u, have to be 1 to "
			       "1000000 and 1",
			       limits->per_second, limits->burst);
	iw = rte_zmalloc_socket("icmp", sizeof(*iw), RTE_CACHE_LINE_SIZE, socket);
	if (iw == NULL)
		return err_set(err, -ENOMEM, "no memory for ICMP on socket %d", socket);
	iw->interval = NS_PER_SECOND / limits->per_second;
	iw->slack = iw->interval * (limits->burst - 1);
	iw->pause = limits->pause_ms * NS_PER_MS;
	iw->seed = rte_rand();
	*out = iw;
	return 0;
}

void
icmp_worker_fini(struct icmp_worker *iw)
{
	rte_free(iw);
}

struct icmp_counters
icmp_counters(const struct icmp_worker *iw)
{
	return (struct icmp_counters) {
		.too_big = cell_get(&iw->count.too_big),
		.time_exceeded = cell_get(&iw->count.time_exceeded),
		.limited = cell_get(&iw->count.limited),
		.forbidden = cell_get(&iw->count.forbidden),
		.no_source = cell_get(&iw->count.no_source),
		.no_mbuf = cell_get(&iw->count.no_mbuf),
	};
}

static uint32_t
slot_of(const struct icmp_worker *iw, const uint8_t *ip, bool v6)
{
	const uint8_t *pair = wire_ip_src(ip, v6);
	uint64_t hash = iw->seed;

	/* Both addresses, 8 or 32 octets, lie side by side. */
	for (int i = 0; i < (v6 ? 32 : 8); i += 8) {
		hash = (hash ^ wire_load64(pair + i)) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return hash & (ICMP_SLOTS - 1);
}

bool
icmp_rate_take(struct icmp_worker *iw, uint64_t now, const uint8_t *ip, bool v6)
{
	uint64_t *next = &iw->next[slot_of(iw, ip, v6)];
	uint64_t full_at = iw->full_at > now ? iw->full_at : now;

	if (now < *next || full_at - now > iw->slack)
		return false;
	*next = now + iw->pause;
	iw->full_at = full_at + iw->interval;
	return true;
}
