#include "emulated.h"

#include <errno.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mbuf_dyn.h>

#include "../drivers.h"

static const struct engine *engines[NIC_ENGINES_MAX];
static uint16_t n_engines;
static struct nic_port *open_ports[RTE_MAX_ETHPORTS];
int nic_number_offset, nic_tos_offset;

int
inline_emulated_use(const struct engine *const *list, uint16_t n, struct err *err)
{
	n_engines = 0;
	for (uint16_t i = 0; i < n; i++) {
		if (list[i]->kind != ENGINE_SYNC)
			continue;
		if (n_engines == NIC_ENGINES_MAX)
			return err_set(err, -EINVAL, "emulated: more than %d engines",
				       NIC_ENGINES_MAX);
		engines[n_engines++] = list[i];
	}
	return 0;
}

struct nic_port *
nic_port_of(uint16_t dpdk_id)
{
	return dpdk_id < RTE_MAX_ETHPORTS ? open_ports[dpdk_id] : NULL;
}

/* The field that rte_security registers for drivers, which is what its inline functions use; the
 * others are this device's own. */
static int
fields_register(struct err *err)
{
	static const struct rte_mbuf_dynfield metadata = {
		.name = "rte_security_dynfield_metadata",
		.size = sizeof(rte_security_dynfield_t),
		.align = __alignof__(rte_security_dynfield_t),
	};
	static const struct rte_mbuf_dynfield number = {
		.name = "espgw_emulated_number",
		.size = sizeof(uint64_t),
		.align = __alignof__(uint64_t),
	};
	static const struct rte_mbuf_dynfield tos = {
		.name = "espgw_emulated_tos",
		.size = 1,
		.align = 1,
	};
	int at = rte_mbuf_dynfield_register(&metadata);

	nic_number_offset = rte_mbuf_dynfield_register(&number);
	nic_tos_offset = rte_mbuf_dynfield_register(&tos);
	if (at < 0 || nic_number_offset < 0 || nic_tos_offset < 0)
		return err_set(err, -rte_errno, "emulated: no room in packet buffers: %s",
			       rte_strerror(rte_errno));
	rte_security_dynfield_offset = at;
	return 0;
}

static void
queue_fini(struct nic_queue *q)
{
	for (uint8_t i = 0; i < q->port->n_engines; i++)
		q->port->engines[i]->worker_fini(q->workers[i]);
	rte_free(q->counts);
}

static int
queue_init(struct nic_port *p, struct nic_queue *q, uint16_t index, int socket, struct err *err)
{
	q->port = p;
	q->index = index;
	q->counts = rte_zmalloc_socket("nic_counts", p->n_slots * sizeof(*q->counts),
				       RTE_CACHE_LINE_SIZE, socket);
	if (q->counts == NULL)
		return err_set(err, -ENOMEM, "emulated: no memory for %u sessions", p->n_slots);
	for (uint8_t i = 0; i < p->n_engines; i++) {
		int rc = p->engines[i]->worker_init(NIC_KEY_CACHE, index, socket, &q->workers[i],
						    err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static void
queues_fini(struct nic_port *p)
{
	for (uint16_t i = 0; p->rx != NULL && i < p->n_rx; i++) {
		if (p->rx[i].callback != NULL)
			rte_eth_remove_rx_callback(p->dpdk_id, i, p->rx[i].callback);
		if (p->rx[i].port != NULL)
			queue_fini(&p->rx[i]);
	}
	for (uint16_t i = 0; p->tx != NULL && i < p->n_tx; i++) {
		if (p->tx[i].callback != NULL)
			rte_eth_remove_tx_callback(p->dpdk_id, i, p->tx[i].callback);
		if (p->tx[i].port != NULL)
			queue_fini(&p->tx[i]);
	}
	rte_free(p->rx);
	rte_free(p->tx);
}

static int
queues_init(struct nic_port *p, int socket, struct err *err)
{
	int rc = 0;

	p->rx = rte_zmalloc_socket("nic_rx", p->n_rx * sizeof(*p->rx), RTE_CACHE_LINE_SIZE, socket);
	p->tx = rte_zmalloc_socket("nic_tx", p->n_tx * sizeof(*p->tx), RTE_CACHE_LINE_SIZE, socket);
	if ((p->rx == NULL && p->n_rx > 0) || (p->tx == NULL && p->n_tx > 0))
		return err_set(err, -ENOMEM, "emulated: no memory for %u and %u queues", p->n_rx,
			       p->n_tx);
	for (uint16_t i = 0; rc == 0 && i < p->n_rx; i++)
		rc = queue_init(p, &p->rx[i], i, socket, err);
	for (uint16_t i = 0; rc == 0 && i < p->n_tx; i++)
		rc = queue_init(p, &p->tx[i], i, socket, err);
	return rc;
}

/* What comes and goes is the device's from now on. */
static int
callbacks_add(struct nic_port *p, struct err *err)
{
	for (uint16_t i = 0; i < p->n_rx; i++) {
		p->rx[i].callback = rte_eth_add_rx_callback(p->dpdk_id, i, nic_receive, &p->rx[i]);
		if (p->rx[i].callback == NULL)
			return err_set(err, -rte_errno, "emulated: no callback on RX queue %u: %s",
				       i, rte_strerror(rte_errno));
	}
	for (uint16_t i = 0; i < p->n_tx; i++) {
		p->tx[i].callback = rte_eth_add_tx_callback(p->dpdk_id, i, nic_send, &p->tx[i]);
		if (p->tx[i].callback == NULL)
			return err_set(err, -rte_errno, "emulated: no callback on TX queue %u: %s",
				       i, rte_strerror(rte_errno));
	}
	return 0;
}

/* With the fault `late` sessions that were removed still have their slots. */
static int
slots_init(struct nic_port *p, int socket, struct err *err)
{
	uint32_t size;

	p->n_slots = p->options.sessions * (p->options.late_ms > 0 ? 2 : 1);
	size = rte_align32pow2(4 * p->n_slots);
	p->table_mask = size - 1;
	p->slots = rte_zmalloc_socket("nic_sessions", p->n_slots * sizeof(*p->slots),
				      RTE_CACHE_LINE_SIZE, socket);
	p->forget = rte_zmalloc_socket("nic_forget", p->n_slots * sizeof(*p->forget),
				       RTE_CACHE_LINE_SIZE, socket);
	p->table = rte_zmalloc_socket("nic_rules", size * sizeof(*p->table), RTE_CACHE_LINE_SIZE,
				      socket);
	if (p->slots == NULL || p->forget == NULL || p->table == NULL)
		return err_set(err, -ENOMEM, "emulated: no memory for %u sessions", p->n_slots);
	return 0;
}

/* Benches send in clear: only where nobody listens. */
static int
cipher_check(const struct nic_port *p, const struct rte_eth_dev_info *info, struct err *err)
{
	if (!p->options.cipher_off || strcmp(info->driver_name, "net_null") == 0 ||
	    strcmp(info->driver_name, "net_ring") == 0)
		return 0;
	return err_set(err, -EINVAL,
		       "emulated: cipher=off sends in clear: only net_null and net_ring, whose "
		       "packets leave no machine, may have it");
}

static void
port_free(struct nic_port *p)
{
	queues_fini(p);
	for (uint32_t i = 0; p->slots != NULL && i < p->n_slots; i++)
		if ((p->slots[i].generation & 1) != 0)
			nic_session_clear(p, &p->slots[i]);
	rte_free(p->slots);
	rte_free(p->forget);
	rte_free(p->table);
	rte_free(p);
}

static int
port_init(struct nic_port *p, const char *options, int socket, struct err *err)
{
	struct rte_eth_dev_info info;
	int rc = nic_options_parse(&p->options, options, engines, n_engines, err);

	if (rc < 0)
		return rc;
	rc = rte_eth_dev_info_get(p->dpdk_id, &info);
	if (rc < 0)
		return err_set(err, rc, "emulated: the port tells nothing of itself: %s",
			       rte_strerror(-rc));
	p->n_rx = info.nb_rx_queues;
	p->n_tx = info.nb_tx_queues;
	for (uint16_t i = 0; i < n_engines; i++)
		if (p->options.engine == NULL || p->options.engine == engines[i])
			p->engines[p->n_engines++] = engines[i];
	if (p->n_engines == 0)
		return err_set(err, -EINVAL, "emulated: no synchronous engine to encipher with");
	rc = cipher_check(p, &info, err);
	if (rc == 0)
		rc = fields_register(err);
	if (rc == 0)
		rc = slots_init(p, socket, err);
	if (rc == 0)
		rc = queues_init(p, socket, err);
	return rc < 0 ? rc : callbacks_add(p, err);
}

static int
emulated_check(const char *options, struct err *err)
{
	struct nic_options unused;

	return nic_options_parse(&unused, options, engines, n_engines, err);
}

static struct rte_security_ctx *
emulated_open(uint16_t dpdk_id, const char *options, uint16_t n_workers, int socket,
	      struct err *err)
{
	struct nic_port *p;
	int rc;

	if (dpdk_id >= RTE_MAX_ETHPORTS || open_ports[dpdk_id] != NULL) {
		err_set(err, -EBUSY, "emulated: port %u has one already", dpdk_id);
		return NULL;
	}
	p = rte_zmalloc_socket("nic", sizeof(*p), RTE_CACHE_LINE_SIZE, socket);
	if (p == NULL) {
		err_set(err, -ENOMEM, "emulated: no memory on socket %d", socket);
		return NULL;
	}
	p->dpdk_id = dpdk_id;
	rc = port_init(p, options, socket, err);
	if (rc < 0) {
		port_free(p);
		return NULL;
	}
	nic_caps_make(p);
	p->ctx = (struct rte_security_ctx) {
		.device = p,
		.ops = &nic_security_ops,
		.flags = p->options.mdata_by_call ? 0 : RTE_SEC_CTX_F_FAST_SET_MDATA,
	};
	open_ports[dpdk_id] = p;
	return &p->ctx;
}

static void
emulated_close(uint16_t dpdk_id)
{
	struct nic_port *p = nic_port_of(dpdk_id);

	if (p == NULL)
		return;
	open_ports[dpdk_id] = NULL;
	port_free(p);
}

/* All sessions and rules are gone; rte_security's part of them is not, and says so when it goes. */
static void
emulated_reset(uint16_t dpdk_id)
{
	struct nic_port *p = nic_port_of(dpdk_id);

	if (p == NULL)
		return;
	for (uint32_t i = 0; i < p->n_slots; i++) {
		struct nic_session *s = &p->slots[i];

		if ((s->generation & 1) == 0)
			continue;
		nic_rule_drop(p, s);
		__atomic_store_n(&s->generation, s->generation + 1, __ATOMIC_RELEASE);
		nic_wait_for_queues(p);
		nic_session_clear(p, s);
	}
	p->n_sessions = 0;
}

static uint32_t
emulated_can(uint16_t dpdk_id)
{
	const struct nic_port *p = nic_port_of(dpdk_id);

	return (p->options.numbers_by_device ? 0 : INLINE_TX_NUMBER) |
	       (p->options.window_by_device ? 0 : INLINE_RX_NUMBER);
}

static void
emulated_tx_number_set(struct rte_mbuf *m, uint64_t number)
{
	*RTE_MBUF_DYNFIELD(m, nic_number_offset, uint64_t *) = number;
}

static bool
emulated_rx_number_get(const struct rte_mbuf *m, uint64_t *number, uint8_t *outer_tos)
{
	*number = *RTE_MBUF_DYNFIELD(m, nic_number_offset, const uint64_t *);
	*outer_tos = *RTE_MBUF_DYNFIELD(m, nic_tos_offset, const uint8_t *);
	return true;
}

const struct inline_provider inline_emulated = {
	.name = "emulated",
	.check = emulated_check,
	.open = emulated_open,
	.close = emulated_close,
	.reset = emulated_reset,
	.can = emulated_can,
	.flow_create = nic_flow_create,
	.flow_destroy = nic_flow_destroy,
	.tx_number_set = emulated_tx_number_set,
	.rx_number_get = emulated_rx_number_get,
	.sessions_max = UINT32_MAX,
	.names = true,
	.iv_is_number = true,
	.chains = true,
};
