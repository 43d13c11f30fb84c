/* Frames between the workers' rings and the mirrors' devices. */
#include <string.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include "mirror/set.h"
#include "wire/ip.h"
#include "worker/mbufs.h"
#include "worker/pkt_fill.h"
#include "worker/worker.h"

/* From the kernel's side nobody on the link sent it. */
static const struct rte_ether_addr nobody = { { 2, 0, 0, 0, 0, 0 } };

static void
dropped(struct mirror *x, struct rte_mbuf *m, enum drop_reason why)
{
	x->count.drops[why]++;
	rte_pktmbuf_free(m);
}

/* One that came out of an SA has no addresses yet: to the host it is from next door. */
static void
addresses_set(const struct mirror *x, struct rte_mbuf *m)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);

	if (!rte_is_zero_ether_addr(&eth->dst_addr))
		return;
	eth->dst_addr = x->port->link.mac;
	eth->src_addr = nobody;
}

static void
given(struct mirror *x, uint32_t octets)
{
	x->count.frames_in++;
	x->count.octets_in += octets;
}

static void
write_one(struct mirror *x, struct rte_mbuf *m)
{
	uint32_t octets = m->pkt_len;

	addresses_set(x, m);
	if (x->is_tap) {
		if (!tap_write(&x->tap, m)) {
			dropped(x, m, DROP_MIRROR_FULL);
			return;
		}
		rte_pktmbuf_free(m);
	} else if (rte_eth_tx_burst(x->device->dpdk_id, 0, &m, 1) == 0) {
		dropped(x, m, DROP_MIRROR_FULL);
		return;
	}
	given(x, octets);
}

void
mirrors_give(struct mirrors *m, struct rte_mbuf **frames, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		write_one(&m->list[pkt_of(frames[i])->port], frames[i]);
}

/* Of both addresses, which lie side by side; only where a flow goes hangs on it. */
static uint32_t
pair_hash(const uint8_t *pair, int octets)
{
	uint64_t hash = 0;

	for (int i = 0; i < octets; i += 8) {
		hash = (hash ^ wire_load64(pair + i)) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return (uint32_t)hash;
}

/* The same worker for all packets between two addresses: in order, a datagram's fragments too. */
static uint16_t
worker_for(const struct mirrors *m, const struct rte_mbuf *frame)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(frame, const struct rte_ether_hdr *);
	const uint8_t *ip = (const uint8_t *)(eth + 1);
	uint32_t hash = 0;

	if (frame->data_len >= sizeof(*eth) + sizeof(struct rte_ipv4_hdr) &&
	    eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		hash = pair_hash(wire_ip_src(ip, false), 8);
	else if (frame->data_len >= sizeof(*eth) + sizeof(struct rte_ipv6_hdr) &&
		 eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		hash = pair_hash(wire_ip_src(ip, true), 32);
	return (uint16_t)(hash % m->params.n_workers);
}

static void
inject(struct mirror *x, struct rte_mbuf *frame)
{
	struct mirrors *m = x->set;
	struct worker *w = m->params.workers[worker_for(m, frame)];

	x->count.frames_out++;
	x->count.octets_out += frame->pkt_len;
	pkt_reset(pkt_of(frame), x->port->link.index);
	if (!punt_inject(w->punt, frame))
		dropped(x, frame, DROP_MIRROR_FULL);
}

/* Without a buffer the frame is taken all the same, or it would wake us again and again. */
static bool
tap_discard(struct mirror *x)
{
	int n = tap_skip(&x->tap);

	if (n <= 0)
		return false;
	x->count.frames_out++;
	x->count.octets_out += n;
	x->count.drops[DROP_NO_MBUF]++;
	return true;
}

static uint32_t
tap_take(struct mirror *x, uint32_t max)
{
	struct mirrors *m = x->set;
	uint32_t n;

	for (n = 0; n < max; n++) {
		if (m->spare == NULL)
			m->spare = rte_pktmbuf_alloc(m->params.pools[0]);
		if (m->spare == NULL) {
			if (!tap_discard(x))
				break;
			continue;
		}
		if (tap_read(&x->tap, m->spare) <= 0)
			break;
		inject(x, m->spare);
		m->spare = NULL;
	}
	return n;
}

static uint32_t
device_take(struct mirror *x, uint32_t max)
{
	struct rte_mbuf *frames[BURST_MAX];
	uint16_t n;

	if (x->device->map.n_rx == 0)
		return 0;
	n = rte_eth_rx_burst(x->device->dpdk_id, 0, frames,
			     (uint16_t)RTE_MIN(max, (uint32_t)BURST_MAX));
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *copy;

		if (mbuf_is_ours(frames[i])) {
			inject(x, frames[i]);
			continue;
		}
		/* Workers write into what they are given. */
		copy = rte_pktmbuf_copy(frames[i], x->set->params.pools[0], 0, UINT32_MAX);
		if (copy != NULL) {
			rte_pktmbuf_free(frames[i]);
			inject(x, copy);
		} else {
			x->count.frames_out++;
			x->count.octets_out += frames[i]->pkt_len;
			dropped(x, frames[i], DROP_NO_MBUF);
		}
	}
	return n;
}

uint32_t
mirror_read(struct mirror *x, uint32_t max)
{
	return x->is_tap ? tap_take(x, max) : device_take(x, max);
}
