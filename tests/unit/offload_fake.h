/* A port's device that does as it is told: the driver behind port/offload.h, for tests and benches
 * of who asks it. It enciphers nothing: what it marked is what it would, and what it says of a
 * packet that came in is what the test put behind the packet's flags.
 */
#ifndef TESTS_OFFLOAD_FAKE_H
#define TESTS_OFFLOAD_FAKE_H

#include "path_rig.h"
#include "port/offload.h"

struct offload_session {
	uint64_t marked;
};

struct offload_port {
	bool nameless; /* it does not say which SA a packet was of */
};

/* What it says of packets that come in, whose numbers are in a row. */
static struct offload_rx fake_rx;
static struct offload_port fake_port;
static struct offload_session fake_sessions[2 * RIG_SAS_MAX];
static uint16_t fake_mark_max = UINT16_MAX; /* at once */

static uint16_t
fake_tx_mark(struct offload_session *s, struct rte_mbuf *const *pkts, uint16_t n)
{
	n = RTE_MIN(n, fake_mark_max);
	for (uint16_t i = 0; i < n; i++)
		pkts[i]->ol_flags |= RTE_MBUF_F_TX_SEC_OFFLOAD;
	s->marked += n;
	return n;
}

static void
fake_rx_results(const struct offload_port *op, struct rte_mbuf *const *pkts, uint16_t n,
		struct offload_rx *rx)
{
	const struct offload_rx says = fake_rx;
	bool named = !op->nameless;

	/* The number that it authenticated: of packets in a row. */
	fake_rx.number += n;
	/* Field by field: a copy that reads what was just written in pieces would wait for it. */
	for (uint16_t i = 0; i < n; i++)
		rx[i] = (struct offload_rx) {
			.number = says.number + i,
			.index = says.index,
			.generation = says.generation,
			.kind = says.kind,
			.ok = (pkts[i]->ol_flags & RTE_MBUF_F_RX_SEC_OFFLOAD_FAILED) == 0,
			.named = named,
			.numbered = says.numbered,
			.has_tos = says.has_tos,
			.outer_tos = says.outer_tos,
		};
}

static const struct offload offload_fake = {
	.name = "fake",
	.tx_mark = fake_tx_mark,
	.rx_results = fake_rx_results,
};

/* An SA of the rig that the device of the black port does; kind OFFLOAD_NONE: any more. */
static inline void
fake_offload_set(struct path_rig *r, uint32_t index, enum offload_kind kind, bool number)
{
	struct offload_entry e = {
		.session = &fake_sessions[index],
		.generation = sa_at(&r->sas, index)->generation,
		.kind = kind,
		.port = RIG_BLACK,
		.tx_number = number,
		.rx_number = number,
		.tx_limit = 1400,
	};
	struct offload_table *t = (struct offload_table *)(uintptr_t)r->w->offloads;

	if (kind == OFFLOAD_NONE)
		offload_withdraw(t, index);
	else
		offload_publish(t, index, &e);
}

static inline void
fake_offload_make(struct path_rig *r)
{
	struct offload_table *t;
	struct err err = { "" };

	rig_must(offload_table_create(&offload_fake, 2 * RIG_SAS_MAX, SOCKET_ID_ANY, &t, &err) == 0,
		 err.text);
	t->ports[RIG_BLACK] = &fake_port;
	fake_port.nameless = false;
	fake_mark_max = UINT16_MAX;
	r->w->offloads = t;
}

static inline void
fake_offload_free(struct path_rig *r)
{
	offload_table_free((struct offload_table *)(uintptr_t)r->w->offloads);
}

static int
fake_inline_serves(const struct suite *suite, struct err *err)
{
	return 0;
}

static const struct engine engine_inline_fake = {
	.name = "inline",
	.kind = ENGINE_INLINE,
	.serves = fake_inline_serves,
};

#endif
