#include "port/offload.h"

#include <errno.h>

#include <rte_malloc.h>

int
offload_table_create(const struct offload *offload, uint32_t max_sas, int socket,
		     struct offload_table **out, struct err *err)
{
	size_t size = sizeof(**out) + max_sas * sizeof((*out)->entries[0]);

	*out = rte_zmalloc_socket("offload", size, RTE_CACHE_LINE_SIZE, socket);
	if (*out == NULL)
		return err_set(err, -ENOMEM, "no memory to say of %u SAs who does them: %zu octets",
			       max_sas, size);
	(*out)->offload = offload;
	(*out)->n = max_sas;
	return 0;
}

void
offload_table_free(struct offload_table *t)
{
	rte_free(t);
}

void
offload_publish(struct offload_table *t, uint32_t sa, const struct offload_entry *e)
{
	struct offload_entry *at = &t->entries[sa];
	struct offload_session *session = e->session;

	/* Nobody finds it while it is NULL: the rest is written before. */
	at->generation = e->generation;
	at->kind = e->kind;
	at->port = e->port;
	at->tx_number = e->tx_number;
	at->rx_number = e->rx_number;
	at->tx_limit = e->tx_limit;
	at->serial++;
	__atomic_store_n(&at->session, session, __ATOMIC_RELEASE);
}

void
offload_withdraw(struct offload_table *t, uint32_t sa)
{
	__atomic_store_n(&t->entries[sa].session, NULL, __ATOMIC_RELAXED);
}
