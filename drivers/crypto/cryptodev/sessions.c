#include "cryptodev.h"

#include <errno.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mempool.h>

static size_t
chunks_of(uint32_t max_sessions)
{
	return ((size_t)max_sessions + ENTRY_CHUNK - 1) >> ENTRY_SHIFT;
}

int
entries_init(struct engine_worker *ew, struct err *err)
{
	ew->entries = rte_zmalloc_socket("cryptodev_entries",
					 (chunks_of(cd.max_sessions) + 1) * sizeof(*ew->entries), 0,
					 ew->socket);
	if (ew->entries == NULL)
		return err_set(err, -ENOMEM, "cryptodev: no memory on socket %d", ew->socket);
	return 0;
}

void
entries_fini(struct engine_worker *ew)
{
	for (size_t i = 0; ew->entries != NULL && i < chunks_of(cd.max_sessions); i++)
		rte_free(ew->entries[i]);
	rte_free(ew->entries);
}

static struct entry *
entry_at(struct engine_worker *ew, uint32_t id)
{
	struct entry *chunk = ew->entries[id >> ENTRY_SHIFT];

	return chunk != NULL ? &chunk[id & ENTRY_MASK] : NULL;
}

/* Room for the id in each worker's table. */
static int
entries_make(uint32_t id, struct err *err)
{
	for (uint16_t i = 0; i < cd.n_workers; i++) {
		struct engine_worker *ew = cd.workers[i];
		struct entry *chunk;

		if (ew == NULL || ew->entries[id >> ENTRY_SHIFT] != NULL)
			continue;
		chunk = rte_zmalloc_socket("cryptodev_entries", ENTRY_CHUNK * sizeof(*chunk),
					   RTE_CACHE_LINE_SIZE, ew->socket);
		if (chunk == NULL)
			return err_set(err, -ENOSPC,
				       "cryptodev: no memory for more sessions on socket %d",
				       ew->socket);
		__atomic_store_n(&ew->entries[id >> ENTRY_SHIFT], chunk, __ATOMIC_RELEASE);
	}
	return 0;
}

static void
entries_set(const struct kept *k, enum shape shape)
{
	for (uint16_t i = 0; i < cd.n_workers; i++) {
		struct entry *e;

		if (cd.workers[i] == NULL)
			continue;
		e = entry_at(cd.workers[i], k->s.id);
		e->generation = k->s.generation;
		e->device = k->device->index;
		e->shape = (uint8_t)shape;
		__atomic_store_n(&e->session, k->of[i].session, __ATOMIC_RELEASE);
	}
}

static void
entries_clear(const struct kept *k)
{
	for (uint16_t i = 0; i < cd.n_workers; i++) {
		struct entry *e = cd.workers[i] != NULL ? entry_at(cd.workers[i], k->s.id) : NULL;

		if (e != NULL && e->generation == k->s.generation)
			__atomic_store_n(&e->session, NULL, __ATOMIC_RELEASE);
	}
}

/* What a device wrote of a key into an object is not wiped by all of them when the session goes.
 * Nobody but control takes objects.
 */
static void
object_wipe(struct rte_mempool *pool, void *object)
{
	explicit_bzero(object, pool->elt_size);
}

/* A scheduler's workers gave theirs back, too, and nobody knows which. */
static void
pool_wipe_free(struct rte_mempool *pool)
{
	void *batch[64];
	unsigned int left = rte_mempool_avail_count(pool);

	while (left > 0) {
		unsigned int n = RTE_MIN(left, (unsigned int)RTE_DIM(batch));

		if (rte_mempool_get_bulk(pool, batch, n) < 0)
			return;
		for (unsigned int i = 0; i < n; i++)
			object_wipe(pool, batch[i]);
		rte_mempool_put_bulk(pool, batch, n);
		left -= n;
	}
}

static void
session_free(struct device *d, void *session)
{
	struct rte_mempool *pool = rte_mempool_from_obj(session);

	rte_cryptodev_sym_session_free(d->id, session);
	object_wipe(pool, session);
	if (d->objects > 1)
		pool_wipe_free(pool);
	d->sessions--;
}

/* Each pool is twice as large as the last one, or as large as there is memory for. */
static struct rte_mempool *
pool_add(struct device *d)
{
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool = NULL;

	if (d->n_pools == POOLS_MAX || d->pool_size < POOL_FIRST)
		return NULL;
	snprintf(name, sizeof(name), "cd_%u_%u", d->id, d->n_pools);
	while (pool == NULL && d->pool_size >= POOL_FIRST) {
		pool = rte_cryptodev_sym_session_pool_create(name, d->pool_size - 1,
							     d->session_size, 0, 0, d->socket);
		if (pool == NULL)
			d->pool_size /= 2;
	}
	if (pool == NULL)
		return NULL;
	d->pool_size *= 2;
	d->pools[d->n_pools++] = pool;
	return pool;
}

/* A pool with room for one more session, or NULL. */
static struct rte_mempool *
pool_with_room(struct device *d)
{
	for (uint16_t i = 0; i < d->n_pools; i++)
		if (rte_mempool_avail_count(d->pools[i]) >= d->objects)
			return d->pools[i];
	return pool_add(d);
}

static int
session_make(struct device *d, struct plan *plan, void **session, struct err *err)
{
	struct rte_mempool *pool = pool_with_room(d);

	if (pool == NULL)
		return err_set(err, -ENOSPC, "cryptodev: no memory for more sessions of %s",
			       d->name);
	*session = rte_cryptodev_sym_session_create(d->id, plan->xforms, pool);
	if (*session == NULL && (rte_errno == ENOMEM || rte_errno == ENOSPC))
		return err_set(err, -ENOSPC, "cryptodev: %s has no room for one more session",
			       d->name);
	if (*session == NULL)
		return err_set(err, -ENOTSUP, "cryptodev: %s refuses the session: %s", d->name,
			       rte_strerror(rte_errno));
	d->sessions++;
	return 0;
}

static void
kept_unmake(struct kept *k)
{
	for (uint16_t i = 0; i < cd.n_workers; i++) {
		if (k->of[i].session != NULL)
			session_free(k->device, k->of[i].session);
		k->of[i].session = NULL;
	}
}

void
kept_free(struct kept *k)
{
	size_t size = sizeof(*k) + cd.n_workers * sizeof(k->of[0]);

	kept_unmake(k);
	explicit_bzero(k, size);
	rte_free(k);
}

struct kept *
kept_new(const struct session *s, bool encrypt)
{
	struct kept *k =
		rte_zmalloc("cryptodev_session", sizeof(*k) + cd.n_workers * sizeof(k->of[0]), 0);

	if (k == NULL)
		return NULL;
	k->s = *s;
	k->encrypt = encrypt;
	return k;
}

const struct kept *
kept_of(const struct device *d)
{
	for (uint32_t id = 0; id < cd.max_sessions; id++)
		if (cd.kept[id] != NULL && cd.kept[id]->device == d)
			return cd.kept[id];
	return NULL;
}

/* One session for each worker: devices whose sessions must not be shared by queue pairs are not
 * told from others. */
int
kept_make(struct kept *k, struct device *d, enum shape *shape, struct err *err)
{
	struct plan plan;
	int rc = plan_suite(&k->s.suite, &plan, err);

	if (rc == 0)
		rc = plan_fits(&plan, d->id, d->name, err);
	if (rc < 0)
		return rc;
	if (d->sessions_max != 0 && d->sessions + cd.n_workers > d->sessions_max)
		return err_set(err, -ENOSPC, "cryptodev: %s is full: %u sessions of %u", d->name,
			       d->sessions, d->sessions_max);
	plan_keys(&plan, &k->s, k->encrypt);
	k->device = d;
	*shape = plan.shape;
	for (uint16_t i = 0; i < cd.n_workers && rc == 0; i++)
		rc = session_make(d, &plan, &k->of[i].session, err);
	explicit_bzero(&plan, sizeof(plan));
	if (rc < 0)
		kept_unmake(k);
	return rc;
}

/* Devices in order; of several with one driver, which are as good as each other, the emptiest. */
static struct device *
device_pick(struct device *first, const bool *tried)
{
	struct device *best = first;

	for (uint16_t i = first->index + 1u; i < cd.n_devices; i++) {
		struct device *d = &cd.devices[i];

		if (!tried[i] && strcmp(d->driver, best->driver) == 0 &&
		    d->sessions < best->sessions)
			best = d;
	}
	return best;
}

/* Of what the devices say, that one had no room tells more than that others never could. */
static int
kept_place(struct kept *k, enum shape *shape, struct err *err)
{
	bool tried[DEVICES_MAX] = { false };
	int rc = -ENOTSUP;

	for (uint16_t i = 0; i < cd.n_devices;) {
		struct err why = { "" };
		struct device *d;
		int got;

		if (tried[i]) {
			i++;
			continue;
		}
		d = device_pick(&cd.devices[i], tried);
		tried[d->index] = true;
		if (device_state(d) != DEVICE_UP)
			got = err_set(&why, -ENOSPC, "cryptodev: %s does not answer", d->name);
		else
			got = kept_make(k, d, shape, &why);
		if (got == 0)
			return 0;
		if (rc != -ENOSPC) {
			rc = got;
			err_set(err, rc, "%s", why.text);
		}
	}
	return rc;
}

int
sessions_open(const struct session *s, bool encrypt, struct err *err)
{
	enum shape shape;
	struct kept *k;
	int rc;

	if (!cd.open || s->id >= cd.max_sessions)
		return err_set(err, -ENOSPC, "cryptodev: session %u of %u", s->id,
			       cd.open ? cd.max_sessions : 0);
	if (cd.kept[s->id] != NULL)
		return err_set(err, -EEXIST, "cryptodev: session %u is open", s->id);
	rc = entries_make(s->id, err);
	if (rc < 0)
		return rc;
	k = kept_new(s, encrypt);
	if (k == NULL)
		return err_set(err, -ENOSPC, "cryptodev: no memory for more sessions");
	rc = kept_place(k, &shape, err);
	if (rc < 0) {
		kept_free(k);
		return rc;
	}
	cd.kept[s->id] = k;
	entries_set(k, shape);
	return 0;
}

/* Anything of it that was submitted is back. */
static bool
kept_is_idle(const struct kept *k)
{
	for (uint16_t i = 0; i < cd.n_workers; i++) {
		const struct engine_worker *ew = cd.workers[i];

		if (ew != NULL && cell_get(&ew->lanes[k->device->index].returned) < k->of[i].until)
			return false;
	}
	return true;
}

void
sessions_close(uint32_t id)
{
	struct kept *k = cd.open && id < cd.max_sessions ? cd.kept[id] : NULL;

	if (k == NULL)
		return;
	cd.kept[id] = NULL;
	entries_clear(k);
	for (uint16_t i = 0; i < cd.n_workers; i++)
		if (cd.workers[i] != NULL)
			k->of[i].until =
				cell_get(&cd.workers[i]->lanes[k->device->index].submitted);
	k->next = cd.closed;
	cd.closed = k;
	sessions_reap();
}

void
sessions_reap(void)
{
	struct kept **at = &cd.closed;

	while (*at != NULL) {
		struct kept *k = *at;

		if (!kept_is_idle(k)) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		kept_free(k);
	}
}

uint32_t
sessions_remake(struct device *d)
{
	uint32_t n_missing = 0;

	for (uint32_t id = 0; id < cd.max_sessions; id++) {
		struct kept *k = cd.kept[id];
		enum shape shape;

		if (k == NULL || k->device != d)
			continue;
		entries_clear(k);
		kept_unmake(k);
		if (kept_make(k, d, &shape, NULL) == 0)
			entries_set(k, shape);
		else
			n_missing++;
	}
	return n_missing;
}

/* The devices have been stopped. */
void
sessions_drop_all(void)
{
	for (uint32_t id = 0; id < cd.max_sessions; id++) {
		if (cd.kept[id] == NULL)
			continue;
		entries_clear(cd.kept[id]);
		kept_free(cd.kept[id]);
		cd.kept[id] = NULL;
	}
	while (cd.closed != NULL) {
		struct kept *k = cd.closed;

		cd.closed = k->next;
		kept_free(k);
	}
}

const char *
sessions_device_of(uint32_t id)
{
	const struct kept *k = cd.open && id < cd.max_sessions ? cd.kept[id] : NULL;

	return k != NULL ? k->device->name : NULL;
}
