#include "numbers/numbers.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash_crc.h>

#include "base/addr.h"
#include "base/clock.h"
#include "numbers/live.h"

#define FOREVER_MAX (1u << 20)		/* dead keys that never expire */
#define COUNTED_MAX (UINT64_C(1) << 62) /* what is counted on top of it does not overflow */

int
numbers_create(const struct numbers_params *p, struct numbers_reg **reg, struct err *err)
{
	struct numbers_reg *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return err_set(err, -ENOMEM, "numbers: no memory");
	r->n_workers = p->n_workers;
	r->reserved = p->reserved;
	rc = records_init(&r->records, p->max_sas + p->max_kept + FOREVER_MAX, p->max_kept,
			  p->socket, p->secret, err);
	if (rc < 0)
		goto free_reg;
	rc = store_init(&r->store, p->max_sas, p->socket, err);
	if (rc < 0)
		goto fini_records;
	*reg = r;
	return 0;
fini_records:
	records_fini(&r->records);
free_reg:
	free(r);
	return rc;
}

void
numbers_free(struct numbers_reg *reg)
{
	if (reg == NULL)
		return;
	store_fini(&reg->store);
	records_fini(&reg->records);
	free(reg);
}

static bool
id_equal(const struct numbers_id *a, const struct numbers_id *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static uint32_t
id_tag(const struct numbers_id *id)
{
	return rte_hash_crc(id, sizeof(*id), 0);
}

void
numbers_leaving(struct numbers *n, bool leaving)
{
	n->leaving = leaving;
}

static bool
stays(const struct numbers *user, const struct numbers_ask *ask)
{
	return !user->leaving && user != ask->replaces;
}

const char *
numbers_name(const char *name, const struct numbers_id *id, char text[NUMBERS_NAME_SIZE])
{
	struct addr dst = { .family = id->family };
	char at[ADDR_TEXT_SIZE];

	memcpy(dst.octets, id->dst, sizeof(dst.octets));
	if (name != NULL)
		snprintf(text, NUMBERS_NAME_SIZE, "%s", name);
	else
		snprintf(text, NUMBERS_NAME_SIZE, "xfrm:0x%08x@%.45s", id->spi,
			 addr_text(&dst, at));
	return text;
}

int
ask_fail(struct err *err, int rc, const struct numbers_ask *ask, const char *format, ...)
{
	char name[NUMBERS_NAME_SIZE], text[ERR_TEXT_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return err_set(err, rc, "sa %s: %s", numbers_name(ask->name, &ask->id, name), text);
}

/* A counter mode's key has one record per direction; whoever uses it now must make room or be the
 * loop's end. */
static int
conflict_check(const struct numbers_reg *reg, const struct numbers_ask *ask,
	       const struct record_hash *hash, struct err *err)
{
	for (int inbound = 0; inbound < 2; inbound++) {
		uint32_t i = record_find(&reg->records, hash, inbound, RECORD_NONE);
		const struct record *r = i == RECORD_NONE ? NULL : record_at(&reg->records, i);

		for (const struct numbers *u = r != NULL && r->in_use ? r->live->users : NULL;
		     u != NULL; u = u->next) {
			bool loop = (bool)inbound != ask->inbound && id_equal(&u->id, &ask->id);
			char other[NUMBERS_NAME_SIZE];

			if (stays(u, ask) && !loop)
				return ask_fail(err, -EEXIST, ask,
						"has the key and salt of sa %s; under a counter "
						"mode two SAs need two",
						numbers_name(u->name, &u->id, other));
		}
	}
	return 0;
}

/* An SA that ends to be there again under another address. */
static bool
is_left(const struct numbers_live *l, const struct numbers_ask *ask)
{
	for (const struct numbers *u = l->users; u != NULL; u = u->next) {
		if (!u->leaving || u->id.spi != ask->id.spi)
			return false;
	}
	return true;
}

/* Where a key may have several records: that of the SA replaced, that of the same SA, any that is
 * left or free. */
static uint32_t
pick_shared(const struct records *rs, const struct numbers_ask *ask, const struct record_hash *hash)
{
	uint32_t own = RECORD_NONE, dead = RECORD_NONE, tag = id_tag(&ask->id);

	for (uint32_t i = record_find(rs, hash, ask->inbound, RECORD_NONE); i != RECORD_NONE;
	     i = record_find(rs, hash, ask->inbound, i)) {
		const struct record *r = record_at(rs, i);

		if (r->in_use && ask->replaces != NULL && ask->replaces->live == r->live)
			return i;
		if (r->tag == tag)
			own = i;
		else if (!r->in_use || is_left(r->live, ask))
			dead = i;
	}
	return own != RECORD_NONE ? own : dead;
}

bool
numbers_knows(struct numbers_reg *reg, const struct numbers_ask *ask)
{
	const struct record *r;
	struct record_hash h;
	uint32_t i;

	if (ask_hash(reg, ask, &h) < 0)
		return false;
	i = ask->key.counter_mode ? record_find(&reg->records, &h, ask->inbound, RECORD_NONE) :
				    pick_shared(&reg->records, ask, &h);
	if (i == RECORD_NONE)
		return false;
	r = record_at(&reg->records, i);
	return ask->key.counter_mode || r->in_use || r->tag == id_tag(&ask->id);
}

/* What was sent to us under a counter mode's key must not be sent by us: a key that changes its
 * direction goes on above. The two ends of a loop have numbers of their own.
 */
static const struct record *
other_direction(const struct numbers_reg *reg, const struct numbers_ask *ask,
		const struct record_hash *hash)
{
	uint32_t i;
	const struct record *r;

	if (!ask->key.counter_mode || ask->inbound)
		return NULL;
	i = record_find(&reg->records, hash, true, RECORD_NONE);
	if (i == RECORD_NONE)
		return NULL;
	r = record_at(&reg->records, i);
	for (const struct numbers *u = r->in_use ? r->live->users : NULL; u != NULL; u = u->next) {
		if (stays(u, ask))
			return NULL;
	}
	return r;
}

static void
hold_add(struct numbers_live *l, const struct numbers_ask *ask, struct numbers *n)
{
	n->n = ask->subspaces ? ask->lanes : 1;
	n->inbound = l->inbound;
	n->shared = !ask->key.counter_mode;
	n->subspaces = ask->subspaces;
	if (!l->inbound)
		n->lane = l->lanes;
	else if (n->subspaces)
		n->windows = l->set->windows;
	else
		n->window = live_window(l, 0);
	n->worker = l->worker;
	n->id = ask->id;
	n->hard_packets = ask->hard_packets;
	n->hard_bytes = ask->hard_bytes;
	n->size = ask->window;
	n->esn = ask->esn;
	n->live = l;
	n->next = l->users;
	l->users = n;
}

static int
attach_dead(struct numbers_reg *reg, uint32_t index, const struct record_hash *hash,
	    const struct numbers_ask *ask, struct numbers *n, struct err *err)
{
	struct records *rs = &reg->records;
	const struct record *other = other_direction(reg, ask, hash);
	struct numbers_live *l;
	struct record *r;
	bool known = index != RECORD_NONE;
	int rc = known ? 0 : record_add(rs, hash, ask->inbound, &index, err);

	if (rc < 0)
		return rc;
	r = record_at(rs, index);
	rc = live_open(reg, index, other, ask, &l, err);
	if (rc < 0) {
		if (!known)
			record_remove(rs, index);
		return rc;
	}
	if (known)
		record_unkeep(rs, index);
	if (r->laned)
		lane_numbers_free(rs, r->lanes);
	r->laned = false;
	r->in_use = true;
	r->live = l;
	r->tag = id_tag(&ask->id);
	r->forever |= ask->forever;
	hold_add(l, ask, n);
	return 0;
}

static int
attach_live(struct numbers_reg *reg, struct record *r, const struct numbers_ask *ask,
	    struct numbers *n, struct numbers_job **job, struct err *err)
{
	int rc = live_check(r->live, ask, err);

	if (rc == 0)
		rc = ends_room(reg, r->live, ask->hard_packets != 0 || ask->hard_bytes != 0, err);
	if (rc == 0)
		rc = job_make(reg, r->live, ask, job, err);
	if (rc < 0)
		return rc;
	r->tag = id_tag(&ask->id);
	r->forever |= ask->forever;
	hold_add(r->live, ask, n);
	return 0;
}

static int
ask_check(const struct numbers_ask *ask, struct err *err)
{
	if (ask->inbound && !replay_window_valid(ask->window))
		return ask_fail(err, -EINVAL, ask, "replay window %u: 0 or %u to %u", ask->window,
				REPLAY_WINDOW_MIN, REPLAY_WINDOW_MAX);
	if (ask->subspaces &&
	    (!ask->esn || ask->lanes == 0 || (!ask->inbound && ask->lanes > LANES_OUT_MAX)))
		return ask_fail(err, -EINVAL, ask, "%u lanes: 1 to %u out, 1 to 65535 in, and ESN",
				ask->lanes, LANES_OUT_MAX);
	if (ask->subspaces && ask->start > LANE_SN_MAX)
		return ask_fail(err, -ERANGE, ask, "number %ju is beyond 48 bits, with subspaces",
				(uintmax_t)ask->start);
	if (!ask->esn && ask->start > UINT32_MAX)
		return ask_fail(err, -ERANGE, ask, "number %ju is beyond 32 bits, and esn is off",
				(uintmax_t)ask->start);
	return 0;
}

/* The algorithm's own limit is one like those that are asked for, once half of it is used. */
static void
limit_own(struct numbers_ask *ask, const struct record *r)
{
	struct numbers_counts counts = { 0, 0 };

	if (r != NULL && r->in_use)
		live_count(r->live, &counts);
	if (RTE_MAX(ask->packets, counts.packets) > ask->own_packets / 2 && ask->own_packets != 0 &&
	    (ask->hard_packets == 0 || ask->hard_packets > ask->own_packets))
		ask->hard_packets = ask->own_packets;
}

int
numbers_attach(struct numbers_reg *reg, const struct numbers_ask *asked, struct numbers **numbers,
	       struct numbers_job **job, struct err *err)
{
	struct numbers_ask copy = *asked, *ask = &copy;
	struct record_hash hash;
	struct numbers *n;
	uint32_t index;
	int rc;

	*job = NULL;
	ask->packets = RTE_MIN(ask->packets, COUNTED_MAX);
	ask->bytes = RTE_MIN(ask->bytes, COUNTED_MAX);
	rc = ask_check(ask, err);
	if (rc < 0)
		return rc;
	if (ask_hash(reg, ask, &hash) < 0)
		return ask_fail(err, -EIO, ask, "libcrypto cannot hash its key");
	if (ask->key.counter_mode) {
		rc = conflict_check(reg, ask, &hash, err);
		if (rc < 0)
			return rc;
		index = record_find(&reg->records, &hash, ask->inbound, RECORD_NONE);
	} else {
		index = pick_shared(&reg->records, ask, &hash);
	}
	rc = store_hold(&reg->store, ask->name, &n, err);
	if (rc < 0)
		return rc;
	limit_own(ask, index == RECORD_NONE ? NULL : record_at(&reg->records, index));
	if (index != RECORD_NONE && record_at(&reg->records, index)->in_use)
		rc = attach_live(reg, record_at(&reg->records, index), ask, n, job, err);
	else
		rc = attach_dead(reg, index, &hash, ask, n, err);
	if (rc < 0) {
		store_hold_free(&reg->store, n);
		return rc;
	}
	*numbers = n;
	return 0;
}

/* What the key has of an SA that was not to be is again as the one before has it. What is lower now
 * its owners hear of by mail.
 */
static void
go_back(struct numbers_reg *reg, struct numbers_live *l, const struct numbers *to)
{
	bool reshape = l->inbound && !l->laned && (l->size != to->size || l->esn != to->esn);

	if (l->hard_packets == to->hard_packets && l->hard_bytes == to->hard_bytes &&
	    l->esn == to->esn && !reshape)
		return;
	l->esn = to->esn;
	l->size = to->size;
	l->reshape |= reshape;
	ends_limit(l, to->hard_packets, to->hard_bytes);
	ends_due(reg, l);
}

void
numbers_release(struct numbers_reg *reg, struct numbers *n, uint64_t now)
{
	struct numbers_live *l;
	struct numbers **link;
	bool youngest;

	if (n == NULL)
		return;
	l = n->live;
	youngest = l->users == n;
	for (link = &l->users; *link != n; link = &(*link)->next)
		assert(*link != NULL);
	*link = n->next;
	if (youngest && l->users != NULL)
		go_back(reg, l, l->users);
	store_hold_free(&reg->store, n);
	live_bury(reg, l, now);
}

void
numbers_expire(struct numbers_reg *reg, uint64_t now)
{
	records_expire(&reg->records, now / NS_PER_S);
}

void
numbers_totals(const struct numbers_reg *reg, struct numbers_totals *t)
{
	t->in_use = reg->store.lives.n_taken;
	t->kept = reg->records.n_kept;
	t->forever = reg->records.n_forever;
	t->bytes = reg->records.items.bytes + store_bytes(&reg->store) +
		   reg->records.n_buckets * sizeof(uint32_t) + reg->records.lanes_bytes;
}

bool
numbers_is_shared(const struct numbers *n)
{
	return n->live->users->next != NULL || n->live->jobs != NULL;
}

bool
numbers_same_key(const struct numbers *a, const struct numbers *b)
{
	return a->live == b->live;
}

void
numbers_owner_set(struct numbers *n, uint16_t worker)
{
	/* Lanes beyond the first may have been used once, but no SA has them now. */
	assert(!n->subspaces);
	n->live->worker = worker;
	for (struct numbers *u = n->live->users; u != NULL; u = u->next)
		u->worker = worker;
}
