#include "port/port_stage.h"

#include <rte_mbuf_dyn.h>
#include <rte_prefetch.h>
#include <rte_ring.h>

#include "base/clock.h"
#include "port/offload.h"

#define TX_DIRECT_MIN 8	 /* a shorter run is worth buffering until the end of the loop */
#define TX_CHUNK      64 /* what a flush looks at before it asks the device */
#define TX_ROOM	      (3 * BURST_MAX) /* of a buffer: for what a burst may turn into */

/* Time is the newest stamp of all; it begins with the first packet, not with the first burst. */
static void
stamps_take(const struct port_rx_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t first = 0, newest = 0;

	for (uint16_t i = 0; i < n; i++) {
		uint64_t us;

		if ((pkts[i]->ol_flags & q->stamp_flag) == 0)
			continue;
		us = *RTE_MBUF_DYNFIELD(pkts[i], q->stamp_offset, rte_mbuf_timestamp_t *);
		first = first == 0 ? us : first;
		newest = RTE_MAX(newest, us);
	}
	/* net_pcap stamps in microseconds since 1970, whatever the file has. */
	if (newest == 0)
		return;
	clock_advance(q->clock, first * 1000);
	clock_advance(q->clock, newest * 1000);
}

static __rte_noinline bool
may_read(const struct worker *w, const struct port_rx_queue *q)
{
	return !q->shut && (w->paused & PAUSED_BY_CONTROL) == 0 && !worker_holds_back(w);
}

uint16_t
port_rx(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	struct port_rx_queue *q = arg;
	uint64_t bytes = 0;
	uint16_t n;

	if (unlikely(w->paused || q->shut) && !may_read(w, q))
		return 0;
	n = rte_eth_rx_burst(q->dpdk_id, q->queue, pkts, max);
	if (n == 0)
		return 0;
	for (uint16_t i = 0; i < n; i++) {
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], void *));
		rte_prefetch0(pkt_of(pkts[i]));
		bytes += pkts[i]->pkt_len;
	}
	for (uint16_t i = 0; i < n; i++)
		pkt_of(pkts[i])->port = q->port;
	cell_add(&w->rx_packets, n);
	cell_add(&q->count->rx_packets, n);
	cell_add(&q->count->rx_bytes, bytes);
	if (unlikely(q->clock != NULL))
		stamps_take(q, pkts, n);
	return n;
}

uint16_t
port_ring(struct worker *w, void *arg, struct rte_mbuf **pkts, uint16_t max)
{
	return (uint16_t)rte_ring_sc_dequeue_burst(arg, (void **)pkts, max, NULL);
}

/* Hands n packets of bytes octets together to the device, or to the worker that has its queue.
 * Returns how many were taken.
 */
static inline uint16_t
tx_send(struct worker *w, struct port_tx *tx, struct rte_mbuf **pkts, uint16_t n, uint64_t bytes)
{
	uint16_t sent;

	/* Who owns the queue counts. */
	if (unlikely(tx->ring != NULL))
		return (uint16_t)rte_ring_sp_enqueue_burst(tx->ring, (void *const *)pkts, n, NULL);
	if (unlikely(tx->shut))
		return 0;
	sent = rte_eth_tx_burst(tx->dpdk_id, tx->queue, pkts, n);
	/* Headers that a device has put on may make one longer that it did not take after all. */
	for (uint16_t i = sent; i < n; i++)
		bytes -= RTE_MIN(bytes, (uint64_t)pkts[i]->pkt_len);
	cell_add(&w->tx_packets, sent);
	cell_add(&tx->count->tx_packets, sent);
	cell_add(&tx->count->tx_bytes, bytes);
	return sent;
}

/* Control reads n for the level of what is held. */
static inline void
fill_set(struct port_tx *tx, uint16_t n)
{
	__atomic_store_n(&tx->n, n, __ATOMIC_RELAXED);
}

/* Ends what a port's device is to encipher and will not: its session is gone since it was marked,
 * or another port's. Nothing of it may be sent as it is. Returns how many are left, in their order.
 */
static __rte_noinline uint16_t
vouch(struct worker *w, uint16_t port, struct rte_mbuf **pkts, uint16_t n)
{
	const struct offload_entry *e = NULL;
	const struct pkt *last = NULL;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		const struct pkt *p = pkt_of(m);

		if ((m->ol_flags & RTE_MBUF_F_TX_SEC_OFFLOAD) == 0) {
			pkts[kept++] = m;
			continue;
		}
		if (last == NULL || p->sa != last->sa || p->generation != last->generation)
			e = offload_of(w->offloads, p->sa, p->generation);
		if (unlikely(e == NULL || e->port != port || e->serial != p->turn)) {
			last = NULL;
			drop(w, m, DROP_OFFLOAD_LOST);
			continue;
		}
		last = p;
		pkts[kept++] = m;
	}
	return kept;
}

/* Returns whether the buffer is empty. A full device is asked once, not for every chunk. */
static bool
tx_flush(struct worker *w, struct port_tx *tx)
{
	bool vouched = false;

	while (tx->n > 0) {
		struct rte_mbuf **pkts = tx->pkts + tx->first;
		uint16_t n = RTE_MIN(tx->n, TX_CHUNK), sent;
		uint64_t bytes = 0, flags = 0;

		for (uint16_t i = 0; i < n; i++) {
			bytes += pkts[i]->pkt_len;
			flags |= pkts[i]->ol_flags;
		}
		/* They may have waited for long: all of them, since some may go. */
		if (unlikely((flags & RTE_MBUF_F_TX_SEC_OFFLOAD) != 0) && !vouched) {
			fill_set(tx, vouch(w, (uint16_t)(tx - w->port->tx), pkts, tx->n));
			vouched = true;
			continue;
		}
		sent = tx_send(w, tx, pkts, n, bytes);
		tx->first += sent;
		fill_set(tx, tx->n - sent);
		if (sent < n)
			return false;
	}
	tx->first = 0;
	return true;
}

static uint16_t
tx_make_room(struct worker *w, struct port_tx *tx, uint16_t n)
{
	if (tx->first + tx->n + n <= PORT_TX_BUFFER)
		return n;
	tx_flush(w, tx);
	if (tx->first > 0) {
		memmove(tx->pkts, tx->pkts + tx->first, tx->n * sizeof(tx->pkts[0]));
		tx->first = 0;
	}
	return RTE_MIN(n, PORT_TX_BUFFER - tx->n);
}

static inline bool
is_short_of_room(const struct port_tx *tx)
{
	return tx->ring != NULL && PORT_TX_BUFFER - tx->n < TX_ROOM;
}

/* Behind what waits already; what finds no room is the newest, and is dropped. */
static void
tx_append(struct worker *w, uint16_t port, struct rte_mbuf **pkts, uint16_t n)
{
	struct port_tx *tx = &w->port->tx[port];
	uint16_t taken = tx_make_room(w, tx, n);

	memcpy(tx->pkts + tx->first + tx->n, pkts, taken * sizeof(pkts[0]));
	fill_set(tx, tx->n + taken);
	w->port->waiting |= UINT32_C(1) << port;
	for (uint16_t i = taken; i < n; i++)
		drop(w, pkts[i], DROP_TX_FULL);
	/* The worker that sends for this one takes all in time; what a device does not take is
	 * dropped in the end, and nobody waits for it. */
	if (unlikely(is_short_of_room(tx)))
		tx_flush(w, tx);
	if (unlikely(is_short_of_room(tx)))
		worker_hold_back(w, PAUSED_SENDING);
}

static inline void
tx_run(struct worker *w, uint16_t port, struct rte_mbuf **pkts, uint16_t n, uint64_t bytes)
{
	struct port_tx *tx = &w->port->tx[port];
	uint16_t sent = 0;

	if (n >= TX_DIRECT_MIN && tx->n == 0)
		sent = tx_send(w, tx, pkts, n, bytes);
	if (sent < n)
		tx_append(w, port, pkts + sent, n - sent);
}

/* Some of them are a device's to encipher. */
static __rte_noinline void
tx_run_vouched(struct worker *w, uint16_t port, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t bytes = 0;

	n = vouch(w, port, pkts, n);
	for (uint16_t i = 0; i < n; i++)
		bytes += pkts[i]->pkt_len;
	tx_run(w, port, pkts, n, bytes);
}

uint16_t
port_tx(struct worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t run;

	for (uint16_t i = 0; i < n; i += run) {
		uint16_t port = pkts[i]->port;
		uint64_t bytes = 0, flags = 0;

		for (run = 0; i + run < n && pkts[i + run]->port == port; run++) {
			bytes += pkts[i + run]->pkt_len;
			flags |= pkts[i + run]->ol_flags;
		}
		assert(port < w->port->n_ports);
		if (unlikely((flags & RTE_MBUF_F_TX_SEC_OFFLOAD) != 0))
			tx_run_vouched(w, port, pkts + i, run);
		else
			tx_run(w, port, pkts + i, run, bytes);
	}
	return 0;
}

/* Whether all that other workers send for this one has room again. */
static bool
has_room(const struct port_worker *pw)
{
	for (uint8_t i = 0; i < pw->n_ports; i++)
		if (is_short_of_room(&pw->tx[i]))
			return false;
	return true;
}

void
port_flush(struct worker *w)
{
	struct port_worker *pw = w->port;
	uint32_t left = pw->waiting;

	while (left != 0) {
		uint16_t port = (uint16_t)__builtin_ctz(left);

		left &= left - 1;
		if (tx_flush(w, &pw->tx[port]))
			pw->waiting &= ~(UINT32_C(1) << port);
	}
	if (unlikely((w->paused & PAUSED_SENDING) != 0) && has_room(pw))
		worker_go_on(w, PAUSED_SENDING);
}

uint64_t
port_held(const struct worker *w)
{
	const struct port_worker *pw = w->port;
	uint64_t held = 0;

	for (uint8_t i = 0; i < pw->n_ports; i++)
		held += __atomic_load_n(&pw->tx[i].n, __ATOMIC_RELAXED);
	for (uint16_t i = 0; i < pw->n_rings; i++)
		held += rte_ring_count(pw->rings[i]);
	return held;
}

void
port_drop_held(struct worker *w)
{
	struct port_worker *pw = w->port;
	struct rte_mbuf *m;

	for (uint8_t i = 0; i < pw->n_ports; i++) {
		struct port_tx *tx = &pw->tx[i];

		for (uint16_t k = 0; k < tx->n; k++)
			drop(w, tx->pkts[tx->first + k], DROP_STOPPED);
		tx->first = 0;
		fill_set(tx, 0);
	}
	pw->waiting = 0;
	for (uint16_t i = 0; i < pw->n_rings; i++)
		while (rte_ring_sc_dequeue(pw->rings[i], (void **)&m) == 0)
			drop(w, m, DROP_STOPPED);
}

bool
port_sent_mark(const struct worker *w, uint32_t marks[PORTS_MAX])
{
	const struct port_worker *pw = w->port;

	for (uint8_t i = 0; i < pw->n_ports; i++) {
		const struct port_tx *tx = &pw->tx[i];

		if (tx->ring == NULL)
			continue;
		if (tx->n > 0)
			return false;
		marks[i] = tx->ring->prod.tail;
	}
	return true;
}

bool
port_sent_passed(const struct worker *w, const uint32_t marks[PORTS_MAX])
{
	const struct port_worker *pw = w->port;

	for (uint8_t i = 0; i < pw->n_ports; i++) {
		const struct rte_ring *ring = pw->tx[i].ring;

		if (ring != NULL &&
		    (int32_t)(__atomic_load_n(&ring->cons.tail, __ATOMIC_ACQUIRE) - marks[i]) < 0)
			return false;
	}
	return true;
}
