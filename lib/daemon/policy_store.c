#include "daemon/policy_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_hash_crc.h>

#define BUCKETS_MIN 256
#define NONE	    UINT32_MAX
#define ALL_ALGS    UINT32_MAX

static const struct xfrm_life no_limits = {
	.soft_bytes = XFRM_NO_LIMIT,
	.hard_bytes = XFRM_NO_LIMIT,
	.soft_packets = XFRM_NO_LIMIT,
	.hard_packets = XFRM_NO_LIMIT,
};

static int
buckets_make(struct dpolicies *dp, uint32_t n)
{
	uint32_t *by_id = malloc(n * sizeof(*by_id)), *by_index = malloc(n * sizeof(*by_index));

	if (by_id == NULL || by_index == NULL) {
		free(by_id);
		free(by_index);
		return -ENOMEM;
	}
	memset(by_id, 0xff, n * sizeof(*by_id));
	memset(by_index, 0xff, n * sizeof(*by_index));
	free(dp->by_id);
	free(dp->by_index);
	dp->by_id = by_id;
	dp->by_index = by_index;
	dp->n_buckets = n;
	return 0;
}

int
dpolicy_store_init(struct dpolicies *dp, uint32_t max, struct err *err)
{
	int rc = slab_init(&dp->slab, "daemon policies", sizeof(struct dpolicy), max, SOCKET_ID_ANY,
			   err);

	if (rc < 0)
		return rc;
	if (buckets_make(dp, BUCKETS_MIN) < 0) {
		slab_fini(&dp->slab);
		return err_set(err, -ENOMEM, "no memory for policies");
	}
	return 0;
}

void
dpolicy_store_fini(struct dpolicies *dp)
{
	free(dp->by_id);
	free(dp->by_index);
	slab_fini(&dp->slab);
}

struct dpolicy *
dpolicy_at(const struct dpolicies *dp, uint32_t item)
{
	struct dpolicy *p;

	if (item >= dp->end || dp->slab.chunks[item >> SLAB_CHUNK_SHIFT] == NULL)
		return NULL;
	p = slab_at(&dp->slab, item);
	return p->index != 0 ? p : NULL;
}

static uint32_t *
id_bucket(const struct dpolicies *dp, const struct dpolicy_id *id)
{
	return &dp->by_id[rte_hash_crc(id, sizeof(*id), 0) & (dp->n_buckets - 1)];
}

static uint32_t *
index_bucket(const struct dpolicies *dp, uint32_t index)
{
	return &dp->by_index[rte_hash_crc_4byte(index, 0) & (dp->n_buckets - 1)];
}

static void
link_in(struct dpolicies *dp, uint32_t item, struct dpolicy *p)
{
	uint32_t *at = id_bucket(dp, &p->id);

	p->next_of_id = *at;
	*at = item;
	at = index_bucket(dp, p->index);
	p->next_of_index = *at;
	*at = item;
}

uint32_t
dpolicy_item(const struct dpolicies *dp, const struct dpolicy *p)
{
	uint32_t item = *index_bucket(dp, p->index);

	while (slab_at(&dp->slab, item) != p)
		item = ((const struct dpolicy *)slab_at(&dp->slab, item))->next_of_index;
	return item;
}

static void
link_out(struct dpolicies *dp, const struct dpolicy *p)
{
	uint32_t *at = id_bucket(dp, &p->id);

	while (slab_at(&dp->slab, *at) != p)
		at = &((struct dpolicy *)slab_at(&dp->slab, *at))->next_of_id;
	*at = p->next_of_id;
	at = index_bucket(dp, p->index);
	while (slab_at(&dp->slab, *at) != p)
		at = &((struct dpolicy *)slab_at(&dp->slab, *at))->next_of_index;
	*at = p->next_of_index;
}

/* Without memory the chains get longer, which costs time alone. */
static void
grow(struct dpolicies *dp)
{
	if (buckets_make(dp, 2 * dp->n_buckets) < 0)
		return;
	for (uint32_t i = 0; i < dp->end; i++) {
		struct dpolicy *p = dpolicy_at(dp, i);

		if (p != NULL)
			link_in(dp, i, p);
	}
}

void
dpolicy_id_of(const struct xfrm_sel *sel, uint8_t dir, const struct xfrm_mark *mark, uint32_t if_id,
	      struct dpolicy_id *id)
{
	*id = (struct dpolicy_id) {
		.sport = sel->sport,
		.sport_mask = sel->sport_mask,
		.dport = sel->dport,
		.dport_mask = sel->dport_mask,
		.src_len = sel->src.len,
		.dst_len = sel->dst.len,
		.family = sel->family,
		.proto = sel->proto,
		.dir = dir,
		.user = sel->user,
		.mark = mark->value,
		.mark_mask = mark->mask,
		.if_id = if_id,
	};
	memcpy(id->src, sel->src.addr.octets, sizeof(id->src));
	memcpy(id->dst, sel->dst.addr.octets, sizeof(id->dst));
}

struct dpolicy *
dpolicy_find(const struct dpolicies *dp, const struct dpolicy_id *id)
{
	uint32_t item = *id_bucket(dp, id);

	while (item != NONE) {
		struct dpolicy *p = slab_at(&dp->slab, item);

		if (memcmp(&p->id, id, sizeof(*id)) == 0)
			return p;
		item = p->next_of_id;
	}
	return NULL;
}

struct dpolicy *
dpolicy_by_index(const struct dpolicies *dp, uint32_t index)
{
	uint32_t item = *index_bucket(dp, index);

	while (item != NONE) {
		struct dpolicy *p = slab_at(&dp->slab, item);

		if (p->index == index)
			return p;
		item = p->next_of_index;
	}
	return NULL;
}

struct dpolicy *
dpolicy_sibling(const struct dpolicies *dp, const struct dpolicy_id *id)
{
	struct dpolicy_id other = *id;

	if (id->dir == XFRM_DIR_OUT)
		return NULL;
	other.dir = id->dir == XFRM_DIR_IN ? XFRM_DIR_FWD : XFRM_DIR_IN;
	return dpolicy_find(dp, &other);
}

/* As Linux makes them: a number that nobody has, and below it the direction. */
static uint32_t
index_choose(struct dpolicies *dp, uint8_t dir, uint32_t wanted)
{
	uint32_t index = wanted;

	while (index == 0 || dpolicy_by_index(dp, index) != NULL) {
		dp->last_index += 8;
		index = dp->last_index == 0 ? 0 : (dp->last_index | dir);
	}
	return index;
}

int
dpolicy_take(struct dpolicies *dp, const struct dpolicy_id *id, uint32_t wanted,
	     struct dpolicy **out, struct err *err)
{
	uint32_t item, generation;
	struct dpolicy *p;
	int rc = slab_take(&dp->slab, &item, &generation, err);

	if (rc < 0)
		return rc;
	if (dp->slab.n_taken > dp->n_buckets)
		grow(dp);
	p = slab_at(&dp->slab, item);
	p->id = *id;
	p->index = index_choose(dp, id->dir, wanted);
	p->node.index = POLICY_NONE;
	dp->end = RTE_MAX(dp->end, item + 1);
	link_in(dp, item, p);
	dp->n[id->dir]++;
	*out = p;
	return 0;
}

static bool
is_limited(const struct dpolicy *p)
{
	const struct xfrm_life *l = p->more == NULL ? &no_limits : &p->more->life;

	return (l->soft_add_s | l->hard_add_s | l->soft_use_s | l->hard_use_s) != 0;
}

void
dpolicy_give(struct dpolicies *dp, struct dpolicy *p)
{
	uint32_t item = dpolicy_item(dp, p);

	link_out(dp, p);
	dp->n[p->id.dir]--;
	dp->n_limited -= is_limited(p);
	free(p->more);
	slab_give(&dp->slab, item);
}

bool
dpolicy_names_no_ends(const struct xfrm_tmpl *t)
{
	static const uint8_t zero[16];

	return memcmp(t->src.octets, zero, 16) == 0 && memcmp(t->id.dst.octets, zero, 16) == 0;
}

/* Does the tie say all that the template says, but for its SPI? */
static bool
is_as_tie(const struct xfrm_tmpl *t, const struct tie *tie)
{
	const struct tie_key *k = &tie->key;

	if (t->id.proto != k->proto || t->mode != k->mode || t->family != k->family ||
	    t->reqid != k->reqid || t->share != 0 || t->optional || t->aalgos != ALL_ALGS ||
	    t->ealgos != ALL_ALGS || t->calgos != ALL_ALGS)
		return false;
	return dpolicy_names_no_ends(t) || (memcmp(t->src.octets, k->src, 16) == 0 &&
					    memcmp(t->id.dst.octets, k->dst, 16) == 0);
}

int
dpolicy_more_make(const struct xfrm_policy *x, const struct tie *tie, struct dpolicy_more **more,
		  struct err *err)
{
	*more = NULL;
	if (memcmp(&x->life, &no_limits, sizeof(no_limits)) == 0 &&
	    (x->n_tmpls == 0 || (x->n_tmpls == 1 && tie != NULL && is_as_tie(&x->tmpls[0], tie))))
		return 0;
	*more = malloc(sizeof(**more));
	if (*more == NULL)
		return err_set(err, -ENOMEM, "no memory for a policy");
	(*more)->life = x->life;
	(*more)->first_use = 0;
	memcpy((*more)->tmpls, x->tmpls, sizeof((*more)->tmpls));
	return 0;
}

void
dpolicy_write(struct dpolicies *dp, struct dpolicy *p, const struct xfrm_policy *x,
	      struct dpolicy_more *more)
{
	dp->n_limited -= is_limited(p);
	free(p->more);
	p->more = more;
	dp->n_limited += is_limited(p);
	p->priority = x->priority;
	p->added = (uint32_t)time(NULL);
	p->n_tmpls = x->n_tmpls;
	p->flags = x->flags;
	p->share = x->share;
	p->has_mark = (x->has & XFRM_HAS_MARK) != 0;
	p->has_if_id = (x->has & XFRM_HAS_IF_ID) != 0;
	p->no_ends = x->n_tmpls == 1 && dpolicy_names_no_ends(&x->tmpls[0]);
	p->soft_told = false;
}

static struct prefix
prefix_read(uint8_t family, const uint8_t octets[16], uint8_t len)
{
	struct prefix prefix = { .addr.family = family, .len = len };

	memcpy(prefix.addr.octets, octets, 16);
	return prefix;
}

static void
tmpl_read(const struct dpolicy *p, struct xfrm_tmpl *t)
{
	const struct tie_key *k = &p->node.tie->key;

	*t = (struct xfrm_tmpl) {
		.id = { .dst.family = k->family, .spi = p->node.spi, .proto = k->proto },
		.family = k->family,
		.src.family = k->family,
		.reqid = k->reqid,
		.mode = k->mode,
		.aalgos = ALL_ALGS,
		.ealgos = ALL_ALGS,
		.calgos = ALL_ALGS,
	};
	if (p->no_ends)
		return;
	memcpy(t->src.octets, k->src, 16);
	memcpy(t->id.dst.octets, k->dst, 16);
}

uint64_t
dpolicy_last_use(const struct dpolicies *dp, const struct dpolicy *p)
{
	const struct tie *tie = p->node.tie;
	const struct tie_sa *sa = tie == NULL ? NULL : tie_sa_of(tie, p->node.spi);
	uint64_t last = 0;

	/* Of a choice, any of its SAs. */
	for (; sa != NULL && dp->env.sa_used != NULL; sa = sa->older) {
		last = RTE_MAX(last, dp->env.sa_used(dp->env.ctx, sa));
		if (tie->choice == NULL || p->node.spi != 0)
			break;
	}
	return last;
}

void
dpolicy_read(const struct dpolicies *dp, const struct dpolicy *p, struct xfrm_policy *x)
{
	const struct dpolicy_id *id = &p->id;

	*x = (struct xfrm_policy) {
		.has = (p->has_mark ? XFRM_HAS_MARK : 0) | (p->has_if_id ? XFRM_HAS_IF_ID : 0),
		.sel = {
			.family = id->family,
			.proto = id->proto,
			.src = prefix_read(id->family, id->src, id->src_len),
			.dst = prefix_read(id->family, id->dst, id->dst_len),
			.sport = id->sport,
			.sport_mask = id->sport_mask,
			.dport = id->dport,
			.dport_mask = id->dport_mask,
			.user = id->user,
		},
		.life = p->more != NULL ? p->more->life : no_limits,
		.used = { .add_time = p->added, .use_time = dpolicy_last_use(dp, p) },
		.priority = p->priority,
		.index = p->index,
		.dir = id->dir,
		.action = p->action == POLICY_DISCARD ? XFRM_BLOCK : XFRM_ALLOW,
		.flags = p->flags,
		.share = p->share,
		.if_id = id->if_id,
		.mark = { id->mark, id->mark_mask },
		.n_tmpls = p->n_tmpls,
	};
	if (p->more != NULL)
		memcpy(x->tmpls, p->more->tmpls, sizeof(p->more->tmpls));
	else if (p->n_tmpls == 1)
		tmpl_read(p, &x->tmpls[0]);
	/* Where nothing but the SPI changed since. */
	if (p->n_tmpls > 0)
		x->tmpls[p->n_tmpls - 1].id.spi = p->node.spi;
}
