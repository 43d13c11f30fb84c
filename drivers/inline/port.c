/* A port's part of the driver, and the table of its functions. */
#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

#include "../drivers.h"
#include "driver.h"

static const struct {
	const char *word; /* of the file */
	const struct inline_provider *provider;
} providers[] = {
	{ "auto", &inline_rte_security },
	{ "emulated", &inline_emulated },
};

static bool
offers(const struct offload_port *op, enum offload_kind kind, bool inbound)
{
	return inline_capability(op, kind, inbound, false) != NULL ||
	       inline_capability(op, kind, inbound, true) != NULL;
}

/* What the provider has a call for, if the port's device can do it. */
static void
numbers_find(struct offload_port *op)
{
	const struct inline_provider *pr = op->provider;
	uint32_t can = pr->can != NULL ? pr->can(op->dpdk_id) : UINT32_MAX;

	op->tx_number = pr->tx_number_set != NULL && (can & INLINE_TX_NUMBER) != 0;
	op->rx_number = pr->rx_number_get != NULL && (can & INLINE_RX_NUMBER) != 0;
	op->rx_tos = pr->rx_number_get != NULL;
}

static int
kinds_find(struct offload_port *op, struct err *err)
{
	bool crypto_in = offers(op, OFFLOAD_CRYPTO, true);
	bool protocol_in = offers(op, OFFLOAD_PROTOCOL, true);

	if (!crypto_in && !protocol_in && !offers(op, OFFLOAD_CRYPTO, false) &&
	    !offers(op, OFFLOAD_PROTOCOL, false))
		return err_set(err, -ENOTSUP, "the device offers no inline ESP");
	/* Where only inline protocol names its packets, and there are others, no name is to be
	 * trusted: what lies in the field then may be of another use of the buffer. */
	op->rx_kind = crypto_in ? OFFLOAD_CRYPTO : protocol_in ? OFFLOAD_PROTOCOL : OFFLOAD_NONE;
	op->named = op->provider->names || (protocol_in && !crypto_in);
	return 0;
}

int
inline_port_open_by(const struct inline_provider *provider, uint16_t dpdk_id, const char *options,
		    uint16_t n_workers, int socket, struct offload_port **out, struct err *err)
{
	struct offload_port *op = rte_zmalloc_socket("inline", sizeof(*op), 0, socket);
	int rc;

	if (op == NULL)
		return err_set(err, -ENOMEM, "no memory for a device with IPsec");
	op->provider = provider;
	op->dpdk_id = dpdk_id;
	op->socket = socket;
	LIST_INIT(&op->sessions);
	LIST_INIT(&op->pools);
	op->ctx = provider->open(dpdk_id, options, n_workers, socket, err);
	if (op->ctx == NULL) {
		rte_free(op);
		return -ENOTSUP;
	}
	numbers_find(op);
	rc = kinds_find(op, err);
	if (rc < 0) {
		provider->close(dpdk_id);
		rte_free(op);
		return rc;
	}
	*out = op;
	return 0;
}

/* By the first word; *options: what stands behind it. */
static const struct inline_provider *
provider_find(const char *words, const char **options)
{
	size_t len = strcspn(words, ",");

	*options = words + len + (words[len] == ',');
	for (size_t i = 0; i < RTE_DIM(providers); i++)
		if (strlen(providers[i].word) == len && memcmp(words, providers[i].word, len) == 0)
			return providers[i].provider;
	return NULL;
}

int
inline_words_check(const char *words, struct err *err)
{
	const char *options;
	const struct inline_provider *provider = provider_find(words, &options);

	return provider == NULL || provider->check == NULL ? 0 : provider->check(options, err);
}

static int
inline_port_open(uint16_t dpdk_id, const char *words, uint16_t n_workers, int socket,
		 struct offload_port **out, struct err *err)
{
	const char *options;
	const struct inline_provider *provider = provider_find(words, &options);

	if (provider == NULL)
		return err_set(err, -EINVAL, "nothing is behind inline: %.*s",
			       (int)strcspn(words, ","), words);
	return inline_port_open_by(provider, dpdk_id, options, n_workers, socket, out, err);
}

static void
inline_port_close(struct offload_port *op)
{
	struct offload_session *s;

	while ((s = LIST_FIRST(&op->sessions)) != NULL)
		inline_session_free(op, s);
	inline_pools_free(op);
	op->provider->close(op->dpdk_id);
	rte_free(op);
}

static void
inline_port_reset(struct offload_port *op, bool renewed)
{
	struct offload_session *s;

	if (op->provider->reset != NULL)
		op->provider->reset(op->dpdk_id);
	LIST_FOREACH(s, &op->sessions, next)
	inline_session_lost(op, s, renewed);
	if (renewed && op->provider->renew != NULL)
		op->ctx = op->provider->renew(op->dpdk_id);
}

static int
inline_port_serves(const struct offload_port *op, const struct offload_ask *ask,
		   enum offload_kind kind, struct err *err)
{
	struct inline_match match;

	return inline_match_find(op, ask, kind, &match, err);
}

static void
inline_caps(const struct offload_port *op, struct offload_caps *caps)
{
	*caps = (struct offload_caps) {
		.crypto_in = offers(op, OFFLOAD_CRYPTO, true),
		.crypto_out = offers(op, OFFLOAD_CRYPTO, false),
		.protocol_in = offers(op, OFFLOAD_PROTOCOL, true),
		.protocol_out = offers(op, OFFLOAD_PROTOCOL, false),
		.tx_number = op->tx_number,
		.rx_number = op->rx_number,
		.sessions_max = op->provider->sessions_max,
		.sessions = op->n_sessions,
		.provider = op->provider->name,
	};
}

const struct offload offload_inline = {
	.name = "inline",
	.port_open = inline_port_open,
	.port_close = inline_port_close,
	.port_reset = inline_port_reset,
	.serves = inline_port_serves,
	.session_open = inline_session_open,
	.session_end = inline_session_end,
	.session_free = inline_session_free,
	.session_counts = inline_session_counts,
	.session_number = inline_session_number,
	.caps = inline_caps,
	.print = inline_print,
	.json = inline_json,
	.tx_mark = inline_tx_mark,
	.rx_results = inline_rx_results,
};
