#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "icmp/icmp.h"
#include "icmp/rules.h"
#include "wire/ip.h"

struct icmp_sources {
	uint32_t n;
	struct icmp_source list[];
};

int
icmp_sources_create(const struct icmp_source *list, uint32_t n, struct icmp_sources **out,
		    struct err *err)
{
	struct icmp_sources *s = rte_zmalloc("icmp", sizeof(*s) + n * sizeof(*list), 0);

	if (s == NULL)
		return err_set(err, -ENOMEM, "no memory for %u addresses of ICMP answers", n);
	s->n = n;
	if (n > 0)
		memcpy(s->list, list, n * sizeof(*list));
	*out = s;
	return 0;
}

void
icmp_sources_free(struct icmp_sources *sources)
{
	rte_free(sources);
}

/* Whether the station is on the address's own link. */
static bool
is_beside(const struct icmp_source *s, const uint8_t *station)
{
	uint8_t whole = s->len / 8, bits = s->len % 8;

	if (memcmp(s->addr.octets, station, whole) != 0)
		return false;
	return bits == 0 || (s->addr.octets[whole] ^ station[whole]) >> (8 - bits) == 0;
}

/* fe80::/10 */
static bool
is_link_local6(const uint8_t *addr)
{
	return addr[0] == 0xfe && addr[1] >> 6 == 2;
}

const struct addr *
icmp_source_for(const struct icmp_sources *sources, const uint8_t *ip, bool v6, uint8_t port,
		bool from_sa)
{
	const uint8_t *sender = wire_ip_src(ip, v6),
		      *beside = from_sa ? wire_ip_dst(ip, v6) : sender;
	const struct addr *best = NULL;
	int best_score = 0;

	for (uint32_t i = 0; i < sources->n; i++) {
		const struct icmp_source *s = &sources->list[i];
		bool near = from_sa ? s->red : s->port == port;
		int score = 1 + near * 2;

		if (s->addr.family != (v6 ? 6 : 4))
			continue;
		/* A link-local address means something on its link only. */
		if (v6 && is_link_local6(s->addr.octets) &&
		    (!is_link_local6(sender) || s->port != port || from_sa))
			continue;
		score += near && is_beside(s, beside);
		if (score > best_score) {
			best_score = score;
			best = &s->addr;
		}
	}
	return best;
}

const struct icmp_source *
icmp_source_of(const struct icmp_sources *sources, const uint8_t *addr, bool v6)
{
	for (uint32_t i = 0; i < sources->n; i++) {
		const struct icmp_source *s = &sources->list[i];

		if (s->addr.family == (v6 ? 6 : 4) &&
		    memcmp(s->addr.octets, addr, v6 ? 16 : 4) == 0)
			return s;
	}
	return NULL;
}

bool
icmp_is_broadcast(const struct icmp_sources *sources, const uint8_t *addr)
{
	for (uint32_t i = 0; i < sources->n; i++) {
		const struct icmp_source *s = &sources->list[i];
		uint32_t host = s->len < 31 ? UINT32_MAX >> s->len : 0;
		uint32_t ours = rte_be_to_cpu_32(wire_load32(s->addr.octets));

		/* RFC 3021: a /31 has no broadcast address. */
		if (s->addr.family == 4 && host != 0 &&
		    rte_be_to_cpu_32(wire_load32(addr)) == (ours | host))
			return true;
	}
	return false;
}
