/* Memory of rte_security's sessions, which is to come from mempools. How many a device takes is not
 * known beforehand: one pool after the other is made as they are needed.
 *
 * All objects are kept here; a pool has one at a time, while rte_security takes it or gives it
 * back. So it is known which one a driver wrote keys into, whether it took the session or refused
 * it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_security_driver.h>

#include "driver.h"

#define POOL_SESSIONS 255

struct session_pool {
	LIST_ENTRY(session_pool) next;
	struct rte_mempool *mp;
	uint32_t n_spare;
	void *spare[POOL_SESSIONS];
};

static void
wipe(struct rte_mempool *mp, void *arg, void *object, unsigned int index)
{
	explicit_bzero(object, mp->elt_size);
}

static int
pool_add(struct offload_port *op, struct err *err)
{
	uint32_t size =
		sizeof(struct rte_security_session) + rte_security_session_get_size(op->ctx);
	char name[RTE_MEMPOOL_NAMESIZE];
	struct session_pool *p = rte_zmalloc_socket("inline", sizeof(*p), 0, op->socket);

	if (p == NULL)
		return err_set(err, -ENOMEM, "no memory for sessions of the device");
	snprintf(name, sizeof(name), "inline_%u_%u", op->dpdk_id, op->n_pools);
	p->mp = rte_mempool_create(name, POOL_SESSIONS, size, 0, 0, NULL, NULL, wipe, NULL,
				   op->socket, 0);
	if (p->mp == NULL) {
		rte_free(p);
		return err_set(err, -ENOMEM, "no memory for %u sessions of the device: %s",
			       POOL_SESSIONS, rte_strerror(rte_errno));
	}
	while (p->n_spare < POOL_SESSIONS && rte_mempool_get(p->mp, &p->spare[p->n_spare]) == 0)
		p->n_spare++;
	op->n_pools++;
	LIST_INSERT_HEAD(&op->pools, p, next);
	return 0;
}

static struct session_pool *
pool_with_room(struct offload_port *op)
{
	struct session_pool *p;

	LIST_FOREACH(p, &op->pools, next)
	if (p->n_spare > 0)
		return p;
	return NULL;
}

/* What is in the pool again is not in use any more. */
static void
pool_take_back(struct session_pool *p)
{
	void *object;

	while (rte_mempool_get(p->mp, &object) == 0) {
		explicit_bzero(object, p->mp->elt_size);
		p->spare[p->n_spare++] = object;
	}
}

/* rte_security passes on no reason; a driver may leave one in rte_errno. */
static int
refusal(int reason, struct err *err)
{
	switch (reason) {
	case 0:
		return err_set(err, -EIO, "the device refused the session and does not say why");
	case ENOSPC:
		return err_set(err, -ENOSPC, "the device has no room for one more session");
	case ENOTSUP:
		return err_set(err, -ENOTSUP, "the device refused the session: not supported");
	}
	return err_set(err, -EIO, "the device refused the session: %s", rte_strerror(reason));
}

/* rte_errno: why not, if the driver says so. */
static void *
session_make(struct offload_port *op, struct session_pool *p,
	     struct rte_security_session_conf *conf)
{
	void *security;

	rte_mempool_put(p->mp, p->spare[--p->n_spare]);
	rte_errno = 0;
	security = rte_security_session_create(op->ctx, conf, p->mp);
	if (security == NULL)
		pool_take_back(p);
	return security;
}

int
inline_pool_session(struct offload_port *op, struct inline_conf *ic, void **security,
		    struct err *err)
{
	struct session_pool *p = pool_with_room(op);
	int rc = p != NULL ? 0 : pool_add(op, err);

	if (rc < 0)
		return rc;
	p = p != NULL ? p : pool_with_room(op);
	*security = session_make(op, p, &ic->conf);
	if (*security == NULL && ic->conf.ipsec.options.stats) {
		/* iavf offers statistics, and takes no session that asks for them. */
		ic->conf.ipsec.options.stats = 0;
		*security = session_make(op, p, &ic->conf);
	}
	return *security != NULL ? 0 : refusal(rte_errno, err);
}

void
inline_pool_give(struct offload_port *op, void *security, bool device)
{
	struct rte_mempool *mp = rte_mempool_from_obj(security);
	struct session_pool *p;

	if (!device) {
		rte_mempool_put(mp, security);
		if (op->ctx->sess_cnt > 0)
			op->ctx->sess_cnt--;
	} else if (rte_security_session_destroy(op->ctx, security) != 0)
		return;
	LIST_FOREACH(p, &op->pools, next)
	if (p->mp == mp)
		pool_take_back(p);
}

void
inline_pools_free(struct offload_port *op)
{
	struct session_pool *p;

	while ((p = LIST_FIRST(&op->pools)) != NULL) {
		LIST_REMOVE(p, next);
		rte_mempool_obj_iter(p->mp, wipe, NULL);
		rte_mempool_free(p->mp);
		rte_free(p);
	}
}
