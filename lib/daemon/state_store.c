#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_hash_crc.h>

#include "ctl/report.h"
#include "daemon/state.h"
#include "numbers/numbers.h"
#include "replay/replay.h"
#include "sad/sad.h"
#include "seq/seq.h"

/* What a state_more is for. */
#define HAS_MORE                                                                    \
	(XFRM_HAS_EXTRA_FLAGS | XFRM_HAS_COADDR | XFRM_HAS_TFCPAD | XFRM_HAS_MARK | \
	 XFRM_HAS_SET_MARK | XFRM_HAS_IF_ID | XFRM_HAS_MTIMER | XFRM_HAS_PCPU |     \
	 XFRM_HAS_NAT_KEEPALIVE)

int
states_init(struct daemons *d, uint32_t max, struct err *err)
{
	int rc = slab_init(&d->states, "states", sizeof(struct state), max, SOCKET_ID_ANY, err);

	if (rc == 0)
		rc = slab_init(&d->mores, "more of states", sizeof(struct state_more), max,
			       SOCKET_ID_ANY, err);
	if (rc < 0)
		return rc;
	d->n_buckets = rte_align32pow2(max);
	d->by_id = malloc(d->n_buckets * sizeof(d->by_id[0]));
	if (d->by_id == NULL)
		return err_set(err, -ENOMEM, "no memory for %u SAs of daemons", max);
	memset(d->by_id, 0xff, d->n_buckets * sizeof(d->by_id[0]));
	d->oldest = d->newest = STATE_NONE;
	return 0;
}

void
states_fini(struct daemons *d)
{
	free(d->by_id);
	free(d->waiting);
	free(d->file_sas);
	slab_fini(&d->mores);
	slab_fini(&d->states);
}

uint32_t
daemons_now(const struct daemons *d)
{
	return (uint32_t)(clock_now(&d->gw->clock) / NS_PER_SECOND);
}

static uint32_t *
bucket_of(const struct daemons *d, const uint8_t dst[16], uint32_t spi)
{
	uint64_t aligned[2]; /* as the hash reads it; in a message's struct addr it stands anywhere
			      */

	memcpy(aligned, dst, sizeof(aligned));
	return &d->by_id[rte_hash_crc(aligned, sizeof(aligned), spi) & (d->n_buckets - 1)];
}

static bool
mark_fits(const struct daemons *d, const struct state *s, const struct xfrm_mark *mark)
{
	const struct state_more *m = s->more == STATE_NONE ? NULL : slab_at(&d->mores, s->more);

	if (m == NULL || (m->has & XFRM_HAS_MARK) == 0)
		return true;
	return (mark->value & m->mark.mask) == m->mark.value;
}

struct state *
state_find(const struct daemons *d, const struct xfrm_ident *id, const struct xfrm_mark *mark,
	   uint32_t *index)
{
	for (uint32_t i = *bucket_of(d, id->dst.octets, id->spi); i != STATE_NONE;) {
		struct state *s = state_at(d, i);

		if (s->spi == id->spi && s->proto == id->proto && s->family == id->dst.family &&
		    memcmp(s->dst, id->dst.octets, 16) == 0 && mark_fits(d, s, mark)) {
			*index = i;
			return s;
		}
		i = s->next_of_id;
	}
	return NULL;
}

static int
by_spi(const void *a, const void *b)
{
	uint32_t x = ((const struct file_sa *)a)->spi, y = ((const struct file_sa *)b)->spi;

	return x < y ? -1 : x > y;
}

/* A reload brings another configuration: then the file's SAs are sorted anew. */
static void
file_read(struct daemons *d)
{
	const struct conf *conf = d->gw->conf;

	if (d->file == d->gw->n_confs)
		return;
	free(d->file_sas);
	d->file_sas = calloc(conf->n_sas + 1, sizeof(d->file_sas[0]));
	if (d->file_sas == NULL)
		return;
	for (uint32_t i = 0; i < conf->n_sas; i++)
		d->file_sas[i] = (struct file_sa) { conf->sas[i].spi, i };
	qsort(d->file_sas, conf->n_sas, sizeof(d->file_sas[0]), by_spi);
	d->file = d->gw->n_confs;
}

uint32_t
state_of_file(struct daemons *d, const struct xfrm_ident *id)
{
	const struct conf *conf = d->gw->conf;
	uint32_t low = 0, high = conf->n_sas;

	if (conf->n_sas == 0 || id->proto == XFRM_PROTO_COMP)
		return SA_NONE;
	file_read(d);
	if (d->file_sas == NULL)
		return SA_NONE;
	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (d->file_sas[middle].spi < id->spi)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < conf->n_sas && d->file_sas[low].spi == id->spi; low++) {
		uint32_t i = d->file_sas[low].index;

		if ((conf->sas[i].proto == CONF_AH) == (id->proto == XFRM_PROTO_AH) &&
		    addr_equal(&conf->sas[i].dst, &id->dst))
			return d->gw->sa_books[i].index;
	}
	return SA_NONE;
}

static void
name_set(struct daemons *d, uint32_t index, const struct xfrm_sa *x)
{
	struct state *s = state_at(d, index);
	uint32_t *at = bucket_of(d, x->id.dst.octets, x->id.spi);

	s->spi = x->id.spi;
	s->proto = x->id.proto;
	s->family = x->family;
	memcpy(s->dst, x->id.dst.octets, 16);
	memcpy(s->src, x->src.octets, 16);
	s->next_of_id = *at;
	*at = index;
}

static void
name_clear(struct daemons *d, uint32_t index)
{
	struct state *s = state_at(d, index);
	uint32_t *at = bucket_of(d, s->dst, s->spi);

	while (*at != index)
		at = &state_at(d, *at)->next_of_id;
	*at = s->next_of_id;
}

uint32_t
state_index(const struct daemons *d, const struct state *s)
{
	uint32_t i = *bucket_of(d, s->dst, s->spi);

	while (state_at(d, i) != s)
		i = state_at(d, i)->next_of_id;
	return i;
}

void
state_rename(struct daemons *d, uint32_t index, const struct xfrm_sa *x)
{
	name_clear(d, index);
	name_set(d, index, x);
}

int
state_take(struct daemons *d, const struct xfrm_sa *x, struct daemon_owner *owner, uint32_t *index,
	   struct err *err)
{
	uint32_t generation;
	struct state *s;
	int rc = slab_take(&d->states, index, &generation, err);

	if (rc < 0)
		return rc == -ENOSPC ?
			       err_set(err, -ENOBUFS, "the table is full: gateway.max_sas is %u",
				       d->states.max) :
			       rc;
	s = state_at(d, *index);
	s->more = s->pair = STATE_NONE;
	s->older = s->newer = STATE_NONE;
	s->node.index = SA_NONE;
	s->added = (uint32_t)time(NULL);
	name_set(d, *index, x);
	s->owner = owner;
	owner->n_things++;
	d->changes++;
	return 0;
}

static void
more_give(struct daemons *d, struct state *s)
{
	if (s->more != STATE_NONE)
		slab_give(&d->mores, s->more);
	s->more = STATE_NONE;
}

void
state_give(struct daemons *d, uint32_t index)
{
	struct state *s = state_at(d, index);
	struct daemon_owner *owner = s->owner;

	name_clear(d, index);
	more_give(d, s);
	slab_give(&d->states, index);
	d->changes++;
	owner_count(d, owner, -1);
}

static bool
sel_is_plain(const struct xfrm_sel *s, uint8_t family)
{
	const struct xfrm_sel plain = {
		.family = s->family,
		.src.addr.family = s->src.addr.family,
		.dst.addr.family = s->dst.addr.family,
	};

	return s->family == family && memcmp(s, &plain, sizeof(plain)) == 0;
}

static int
more_write(struct daemons *d, struct state *s, const struct xfrm_sa *x, struct err *err)
{
	bool has_oa = (x->has & XFRM_HAS_ENCAP) != 0 && x->encap.oa.family != 0;
	uint32_t unused;
	struct state_more *m;
	int rc;

	if ((x->has & HAS_MORE) == 0 && sel_is_plain(&x->sel, x->family) && !has_oa &&
	    x->classes.dscp == 0) {
		more_give(d, s);
		return 0;
	}
	rc = s->more != STATE_NONE ? 0 : slab_take(&d->mores, &s->more, &unused, err);
	if (rc < 0) {
		s->more = STATE_NONE;
		return rc;
	}
	m = slab_at(&d->mores, s->more);
	*m = (struct state_more) {
		.sel = x->sel,
		.coaddr = x->coaddr,
		.oa = x->encap.oa,
		.mark = x->mark,
		.set_mark = x->set_mark,
		.if_id = x->if_id,
		.mtimer_s = x->mtimer_s,
		.pcpu = x->pcpu,
		.nat_keepalive_s = x->nat_keepalive_s,
		.tfcpad = x->tfcpad,
		.extra_flags = x->extra_flags,
		.has = x->has & HAS_MORE,
		.dscp = x->classes.dscp,
		.rank = x->classes.rank,
	};
	return 0;
}

int
state_write(struct daemons *d, uint32_t index, const struct xfrm_sa *x, struct err *err)
{
	struct state *s = state_at(d, index);
	int rc = more_write(d, s, x, err);

	if (rc < 0)
		return rc;
	s->mode = x->mode;
	s->flags = x->flags;
	s->given_dir = x->dir;
	s->window = x->window;
	s->has_esn = (x->has & XFRM_HAS_REPLAY_ESN) != 0;
	s->esn_window = (uint16_t)x->replay.window;
	s->esn_words = (uint8_t)x->replay.words;
	s->seq = x->seq;
	s->reqid = x->reqid;
	memcpy(s->src, x->src.octets, 16);
	return 0;
}

static void
more_read(const struct daemons *d, const struct state *s, struct xfrm_sa *x)
{
	const struct state_more *m;

	x->sel.family = x->sel.src.addr.family = x->sel.dst.addr.family = s->family;
	if (s->more == STATE_NONE)
		return;
	m = slab_at(&d->mores, s->more);
	x->sel = m->sel;
	x->coaddr = m->coaddr;
	x->encap.oa = m->oa;
	x->mark = m->mark;
	x->set_mark = m->set_mark;
	x->if_id = m->if_id;
	x->mtimer_s = m->mtimer_s;
	x->pcpu = m->pcpu;
	x->nat_keepalive_s = m->nat_keepalive_s;
	x->tfcpad = m->tfcpad;
	x->extra_flags = m->extra_flags;
	x->has |= m->has;
	x->classes.dscp = m->dscp;
	x->classes.rank = m->rank;
}

/* For ties_lists(); the daemons as ctx. */
uint64_t
state_classes(const void *ctx, const struct tie_sa *node)
{
	const struct daemons *d = ctx;
	const struct state *s = state_of_node(node);
	const struct state_more *m;

	if (s->more == STATE_NONE)
		return 0;
	m = slab_at(&d->mores, s->more);
	return m->dscp;
}

static uint64_t
or_none(uint64_t limit)
{
	return limit == 0 ? XFRM_NO_LIMIT : limit;
}

static uint64_t
wall_of(const struct daemons *d, uint64_t ns)
{
	return ns == 0 ? 0 : time(NULL) - (clock_now(&d->gw->clock) - ns) / NS_PER_SECOND;
}

static void
life_read(const struct daemons *d, uint32_t sa, struct xfrm_sa *x)
{
	const struct sa_cold *cold = sa_cold(&d->gw->sas, sa);
	const struct sa_lifetime *l = cold->lifetime;
	struct sa_counts counts;

	x->life = (struct xfrm_life) {
		.soft_bytes = or_none(l->soft_bytes),
		.hard_bytes = or_none(l->hard_bytes),
		.soft_packets = or_none(l->soft_packets),
		.hard_packets = or_none(l->hard_packets),
		.soft_add_s = l->soft_seconds,
		.hard_add_s = l->hard_seconds,
		.soft_use_s = l->soft_use_seconds,
		.hard_use_s = l->hard_use_seconds,
	};
	sa_counts_read(d->gw, sa, &counts);
	x->used.bytes = counts.bytes;
	x->used.packets = counts.packets;
	x->used.use_time = wall_of(d, cold->first_used_s * NS_PER_SECOND);
	x->lastused = wall_of(d, cold->last_used);
	/* The last look was a while ago. */
	if (counts.packets != cold->packets) {
		x->lastused = time(NULL);
		if (x->used.use_time == 0)
			x->used.use_time = x->lastused;
	}
	if (x->lastused != 0)
		x->has |= XFRM_HAS_LASTUSED;
	x->stats.replay_window = (uint32_t)counts.drops[DROP_REPLAY_OLD];
	x->stats.replay = (uint32_t)counts.drops[DROP_REPLAY_DUP];
	x->stats.integrity_failed = (uint32_t)counts.drops[DROP_ICV_FAIL];
}

static void
keys_read(const struct sa *sa, struct xfrm_sa *x)
{
	const struct session *session = sa_session(sa);
	const struct alg *cipher = &algs[sa->suite.cipher];

	x->has |= XFRM_HAS_SUITE;
	x->suite = sa->suite;
	x->key.len = cipher->key_len + cipher->salt_len;
	memcpy(x->key.octets, session->key, cipher->key_len);
	memcpy(x->key.octets + cipher->key_len, sa->salt, cipher->salt_len);
	if (sa->suite.auth == ALG_NONE)
		return;
	x->auth_key.len = algs[sa->suite.auth].key_len;
	memcpy(x->auth_key.octets, session->auth_key, x->auth_key.len);
}

/* The owner moves it meanwhile, so that a bit may be late. */
static void
bitmap_read(const struct replay *w, const struct state *s, struct xfrm_replay *r)
{
	uint32_t asked = s->has_esn ? r->window : 32;

	r->seq = replay_top(w);
	memset(r->bitmap, 0, r->words * sizeof(r->bitmap[0]));
	for (uint32_t back = 0; back < RTE_MIN(asked, w->window) && back < r->seq; back++) {
		uint64_t n = r->seq - back;
		uint32_t bit = s->has_esn ? (uint32_t)((n - 1) % asked) : back;

		if (replay_seen(w, n))
			r->bitmap[bit / 32] |= UINT32_C(1) << bit % 32;
	}
}

static void
subspaces_read(const struct sa *sa, struct xfrm_sa *x)
{
	if ((sa->flags & SA_SUBSPACES) == 0)
		return;
	x->has |= XFRM_HAS_SUBSPACES;
	x->subspaces.count = sa->lanes;
	x->subspaces.bits = LANE_ID_BITS;
	x->subspaces.mode = (sa->flags & SA_LANE_BY_CLASS) != 0;
}

uint16_t
state_lanes(const struct daemons *d, uint32_t index, struct xw_lane_stats *lanes, uint16_t n)
{
	uint32_t at = state_at(d, index)->node.index;
	const struct sa *sa = at == SA_NONE ? NULL : sa_at(&d->gw->sas, at);
	uint16_t found = 0;

	if (sa == NULL || (sa->flags & SA_SUBSPACES) == 0)
		return 0;
	for (uint32_t id = 0; id < sa->lanes && found < n; id++) {
		const struct numbers *numbers = sa_cold(&d->gw->sas, at)->numbers;
		uint64_t top = numbers_used(numbers, (uint16_t)id);
		struct numbers_counts c;

		numbers_count_lane(numbers, (uint16_t)id, &c);
		if (top != 0 || c.packets != 0)
			lanes[found++] = (struct xw_lane_stats) {
				.lane = id,
				.top = top,
				.packets = c.packets,
				.bytes = c.bytes,
			};
	}
	return found;
}

static void
replay_read(const struct sa *sa, const struct state *s, struct xfrm_sa *x)
{
	struct xfrm_replay *r = &x->replay;

	x->has |= s->has_esn ? XFRM_HAS_REPLAY_ESN : XFRM_HAS_REPLAY;
	r->window = s->has_esn ? s->esn_window : 0;
	r->words = s->has_esn ? s->esn_words : 1;
	r->oseq = r->seq = 0;
	memset(r->bitmap, 0, r->words * sizeof(r->bitmap[0]));
	if ((sa->flags & SA_INBOUND) != 0)
		bitmap_read(sa_window(sa), s, r);
	else
		r->oseq = lane_used(sa->lane);
}

void
state_read(const struct daemons *d, uint32_t index, struct xfrm_sa *x)
{
	const struct state *s = state_at(d, index);
	const struct sa *sa = s->node.index == SA_NONE ? NULL : sa_at(&d->gw->sas, s->node.index);

	xfrm_sa_init(x);
	more_read(d, s, x);
	x->family = s->family;
	x->id = (struct xfrm_ident) { .spi = s->spi, .proto = s->proto };
	x->id.dst.family = x->src.family = s->family;
	memcpy(x->id.dst.octets, s->dst, 16);
	memcpy(x->src.octets, s->src, 16);
	x->used.add_time = s->added;
	x->seq = s->seq;
	x->reqid = s->reqid;
	x->mode = s->mode;
	x->window = s->window;
	x->flags = s->flags;
	x->dir = s->given_dir;
	if (x->dir != XFRM_SA_DIR_NONE)
		x->has |= XFRM_HAS_DIR;
	if (s->kind == STATE_COMP)
		x->has |= XFRM_HAS_COMP;
	if (sa == NULL)
		return;
	subspaces_read(sa, x);
	iptfs_read(sa, x);
	x->esp_ping = (sa->flags & SA_ECHO) != 0;
	life_read(d, s->node.index, x);
	keys_read(sa, x);
	replay_read(sa, s, x);
	if ((sa->flags & SA_UDP) != 0) {
		x->has |= XFRM_HAS_ENCAP;
		x->encap.type = XFRM_ENCAP_ESPINUDP;
		sa_udp_ports(sa, &x->encap.sport, &x->encap.dport);
	}
}

/* All larval ones live as long, so that their order is that of their ends. */
void
larval_add(struct daemons *d, uint32_t index, uint32_t end)
{
	struct state *s = state_at(d, index);

	s->kind = STATE_LARVAL;
	s->larval_end = end;
	s->older = d->newest;
	s->newer = STATE_NONE;
	if (d->newest != STATE_NONE)
		state_at(d, d->newest)->newer = index;
	else
		d->oldest = index;
	d->newest = index;
	d->n_larval++;
}

void
larval_del(struct daemons *d, uint32_t index)
{
	struct state *s = state_at(d, index);

	if (s->older != STATE_NONE)
		state_at(d, s->older)->newer = s->newer;
	else
		d->oldest = s->newer;
	if (s->newer != STATE_NONE)
		state_at(d, s->newer)->older = s->older;
	else
		d->newest = s->older;
	s->older = s->newer = STATE_NONE;
	d->n_larval--;
	if (s->has_slot)
		sad_slot_give(d->gw->sad, s->spi);
	s->has_slot = false;
}
