#include "pmtu/pmtu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <rte_common.h>

#include "pmtu/inner.h"
#include "pmtu/too_big.h"
#include "seq/seq.h"
#include "wire/bytes.h"
#include "wire/subspace.h"

#define SECOND	 UINT64_C(1000000000)
#define NUMBER32 8 /* octets of proof with SPI and low half of the number */

const char *const pmtu_source_names[PMTU_SOURCE_MAX] = {
#define X(id, name, help) name,
	PMTU_SOURCES(X)
#undef X
};

const struct pmtu_count_name pmtu_count_names[PMTU_COUNT_MAX] = {
#define X(id, name, help) { name, help },
	PMTU_COUNTS(X)
#undef X
};

/* RFC 1191 section 7.1: what links had when routers did not say. */
static const uint16_t plateaus[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1280, 1006, 576 };

static uint32_t
power_of_two(uint32_t n)
{
	return n < 2 ? 1 : rte_align32pow2(n);
}

int
pmtu_create(const struct pmtu_params *params, struct pmtu **pmtu, struct err *err)
{
	struct pmtu *p = calloc(1, sizeof(*p));
	uint32_t buckets = power_of_two(params->max_sas);

	if (p == NULL)
		return err_set(err, -ENOMEM, "no memory for path MTUs");
	p->params = *params;
	p->mask = buckets - 1;
	p->slots = calloc(params->max_sas, sizeof(p->slots[0]));
	p->by_spi = calloc(buckets, sizeof(p->by_spi[0]));
	p->by_peer = calloc(buckets, sizeof(p->by_peer[0]));
	p->by_key = calloc(buckets, sizeof(p->by_key[0]));
	if (p->slots == NULL || p->by_spi == NULL || p->by_peer == NULL || p->by_key == NULL ||
	    slab_init(&p->paths, "paths", sizeof(struct path), params->max_sas, -1, err) < 0) {
		pmtu_free(p);
		return err_set(err, -ENOMEM, "no memory for the path MTUs of %u SAs",
			       params->max_sas);
	}
	*pmtu = p;
	return 0;
}

void
pmtu_free(struct pmtu *p)
{
	if (p == NULL)
		return;
	if (p->sender.end != NULL)
		p->sender.end(p->sender.ctx);
	slab_fini(&p->paths);
	free(p->by_key);
	free(p->by_peer);
	free(p->by_spi);
	free(p->slots);
	free(p);
}

void
pmtu_sender_set(struct pmtu *p, const struct pmtu_sender *sender)
{
	if (p != NULL)
		p->sender = *sender;
}

uint16_t
slot_floor(const struct pmtu *p, uint32_t sa)
{
	uint16_t floor = p->slots[sa].floor;

	return (sa_at(p->params.sas, sa)->flags & SA_V6) != 0 ?
		       RTE_MAX(floor, (uint16_t)PMTU_FLOOR6) :
		       floor;
}

void
pmtu_sa_add(struct pmtu *p, uint32_t sa, const struct pmtu_rules *rules, uint64_t now)
{
	struct path_key key;
	struct path *path;
	struct err err;

	if (p == NULL)
		return;
	p->slots[sa] = (struct slot) {
		.age_s = rules->age_s,
		.floor = rules->floor,
		.flags =
			SLOT_USED | (rules->icmp ? SLOT_ICMP : 0) | (rules->probe ? SLOT_PROBE : 0),
	};
	sa_link(p, sa);
	if (!rules->probe)
		return;
	path_key_of(p, sa, &key);
	/* Without memory it is not probed; the next SA of the path is another try. */
	if (path_take(p, &key, &path, &err) == 0)
		probing_begin(p, path, sa, now);
}

void
pmtu_sa_del(struct pmtu *p, uint32_t sa)
{
	if (p == NULL || (p->slots[sa].flags & SLOT_USED) == 0)
		return;
	sa_unlink(p, sa);
	p->slots[sa] = (struct slot) { .flags = 0 };
}

uint16_t
pmtu_outer(const struct pmtu *p, uint32_t sa, uint16_t allowed)
{
	const struct path *path;
	struct path_key key;
	uint16_t mtu;

	if (p == NULL || p->paths.n_taken == 0)
		return allowed;
	path_key_of(p, sa, &key);
	path = path_find(p, &key);
	if (path == NULL || path->mtu == 0 ||
	    (path->source == PMTU_ICMP && (p->slots[sa].flags & SLOT_ICMP) == 0))
		return allowed;
	mtu = RTE_MAX(path->mtu, slot_floor(p, sa));
	return RTE_MIN(allowed, mtu);
}

static void
tell(struct pmtu *p, const struct path *path, uint32_t sa, uint16_t was, enum pmtu_source source)
{
	const struct pmtu_change change = { sa, was, path->mtu, (uint8_t)source };

	if (p->params.tell != NULL)
		p->params.tell(p->params.ctx, &change);
}

void
path_learn(struct pmtu *p, struct path *path, uint32_t sa, uint16_t mtu, enum pmtu_source source,
	   uint64_t now)
{
	uint16_t was = path->mtu;

	path->mtu = mtu;
	path->source = (uint8_t)source;
	path->sa = sa;
	path->generation = sa_at(p->params.sas, sa)->generation;
	path->until = now + p->slots[sa].age_s * SECOND;
	if (was == mtu)
		return;
	path_changed(p, path);
	tell(p, path, sa, was, source);
}

void
path_forget(struct pmtu *p, struct path *path)
{
	uint16_t was = path->mtu;
	uint32_t sa =
		sa_again(p->params.sas, path->sa, path->generation) != NULL ? path->sa : SA_NONE;

	path->mtu = 0;
	path->source = PMTU_CONFIGURED;
	if (was == 0)
		return;
	path_changed(p, path);
	tell(p, path, sa, was, PMTU_CONFIGURED);
}

static bool
number_is_recent(uint64_t used, uint32_t quoted, uint64_t first)
{
	uint32_t back = (uint32_t)used - quoted;

	/* Numbers begin at first: what would lie before was never sent. */
	return back < PMTU_RECENT && used >= first && back <= used - first;
}

/* With subspaces id and number stand on the wire; the router may have cut them off. */
static bool
lane_is_recent(const struct sa *sa, const struct too_big *t)
{
	uint64_t quoted;
	uint16_t id;

	if (t->n_proof < TOO_BIG_PROOF)
		return false;
	quoted = __builtin_bswap64(wire_subspace_be(t->proof));
	id = wire_subspace_id(quoted);
	if (id >= sa->lanes)
		return false;
	return quoted <= lane_used(&sa->lane[id]) &&
	       number_is_recent(lane_used(&sa->lane[id]), (uint32_t)quoted,
				((uint64_t)id << LANE_ID_SHIFT) + 1);
}

/* Whether the quoted number is among those that the SA sent last. */
static bool
is_recent(const struct sa *sa, const struct too_big *t)
{
	if ((sa->flags & SA_SUBSPACES) != 0)
		return lane_is_recent(sa, t);
	return t->n_proof >= NUMBER32 &&
	       number_is_recent(lane_used(sa->lane), wire_be32(t->proof + 4), 1);
}

static bool
is_of_quote(const struct pmtu *p, uint32_t sa, const struct too_big *t)
{
	const struct sa *hot = sa_at(p->params.sas, sa);
	uint8_t proto = (hot->flags & SA_AH) != 0 ? IPPROTO_AH : IPPROTO_ESP;
	struct path_key key;

	path_key_of(p, sa, &key);
	return wire_load32(t->proof) == hot->spi_be && t->proto == proto &&
	       ((hot->flags & SA_V6) != 0) == t->v6 && ((hot->flags & SA_UDP) != 0) == t->udp &&
	       key.udp_src == t->udp_src && key.udp_dst == t->udp_dst &&
	       memcmp(key.src, t->src, sizeof(t->src)) == 0 &&
	       memcmp(key.dst, t->dst, sizeof(t->dst)) == 0;
}

/* The SA that sent what is quoted; *proved: its number says so, too. SA_NONE: nobody did. */
static uint32_t
sa_of_quote(const struct pmtu *p, const struct too_big *t, bool *proved)
{
	uint32_t link, found = SA_NONE;

	*proved = false;
	if (t->n_proof < 4)
		return SA_NONE;
	for (link = p->by_spi[spi_bucket(p, wire_load32(t->proof), t->dst)]; link != 0;
	     link = p->slots[link - 1].next_of_spi) {
		if (!is_of_quote(p, link - 1, t))
			continue;
		found = link - 1;
		*proved = is_recent(sa_at(p->params.sas, found), t);
		if (*proved)
			break;
	}
	return found;
}

/* A router that does not say: the next lower of those that links have. */
static uint16_t
said(const struct too_big *t, uint16_t current)
{
	uint32_t larger = RTE_MIN(t->quoted, (uint32_t)current);

	if (t->mtu != 0 || t->v6)
		return (uint16_t)RTE_MIN(t->mtu, (uint32_t)UINT16_MAX);
	for (size_t i = 0; i < RTE_DIM(plateaus); i++)
		if (plateaus[i] < larger)
			return plateaus[i];
	return 0;
}

/* What cannot be believed may be tried where the path is probed. */
static enum pmtu_count
ask_prober(struct pmtu *p, struct path *path, uint16_t mtu, enum pmtu_count otherwise, uint64_t now)
{
	if (path == NULL || path->prober.state == PROBER_OFF)
		return otherwise;
	if (path->reported != 0 && now - path->reported < PMTU_PAUSE_NS)
		return PMTU_COUNT_ICMP_IGNORED_RATE;
	path->reported = now;
	prober_hint(&path->prober, mtu, now);
	probing_look(p, path, now);
	return PMTU_COUNT_ICMP_PROBED;
}

static enum pmtu_count
obey(struct pmtu *p, uint32_t sa, const struct path_key *key, uint16_t mtu, uint64_t now)
{
	struct path *path;
	struct err err;

	if (path_take(p, key, &path, &err) < 0)
		return PMTU_COUNT_ICMP_IGNORED_RATE;
	if (path->reported != 0 && now - path->reported < PMTU_PAUSE_NS)
		return PMTU_COUNT_ICMP_IGNORED_RATE;
	path->reported = now;
	path_learn(p, path, sa, mtu, PMTU_ICMP, now);
	if (path->prober.state != PROBER_OFF) {
		prober_moved(&path->prober, mtu, now);
		probing_look(p, path, now);
	}
	return PMTU_COUNT_ICMP_OBEYED;
}

static enum pmtu_count
judge_of_sa(struct pmtu *p, const struct too_big *t, uint32_t sa, bool proved, uint64_t now)
{
	uint16_t current = pmtu_outer(p, sa, p->params.allowed(p->params.ctx, sa));
	uint16_t mtu = said(t, current);
	struct path_key key;

	path_key_of(p, sa, &key);
	if ((p->slots[sa].flags & SLOT_ICMP) == 0)
		return PMTU_COUNT_ICMP_IGNORED_OFF;
	if (mtu >= current)
		return PMTU_COUNT_ICMP_IGNORED_LARGER;
	if (!proved)
		return ask_prober(p, path_find(p, &key), mtu, PMTU_COUNT_ICMP_IGNORED_NUMBER, now);
	if (mtu < slot_floor(p, sa))
		return ask_prober(p, path_find(p, &key), mtu, PMTU_COUNT_ICMP_IGNORED_FLOOR, now);
	return obey(p, sa, &key, mtu, now);
}

/* Ports and addresses, and nothing of ESP: a path that is probed may be tried. */
static enum pmtu_count
judge_of_ports(struct pmtu *p, const struct too_big *t, uint64_t now)
{
	struct path_key key = { .udp_src = t->udp_src,
				.udp_dst = t->udp_dst,
				.family = t->v6 ? 6 : 4 };
	struct path *path;

	memcpy(key.src, t->src, sizeof(key.src));
	memcpy(key.dst, t->dst, sizeof(key.dst));
	path = path_find(p, &key);
	if (path == NULL || path->prober.state == PROBER_OFF)
		return PMTU_COUNT_ICMP_IGNORED_SPI;
	if (path_sa(p, &key, SLOT_ICMP) == SA_NONE)
		return PMTU_COUNT_ICMP_IGNORED_OFF;
	return ask_prober(p, path, said(t, path->prober.mtu), PMTU_COUNT_ICMP_IGNORED_SPI, now);
}

static enum pmtu_count
judge(struct pmtu *p, const struct too_big *t, uint64_t now)
{
	bool proved;
	uint32_t sa = sa_of_quote(p, t, &proved);

	if (sa != SA_NONE)
		return judge_of_sa(p, t, sa, proved, now);
	if (t->udp && t->n_proof < NUMBER32)
		return judge_of_ports(p, t, now);
	return PMTU_COUNT_ICMP_IGNORED_SPI;
}

enum pmtu_count
pmtu_icmp(struct pmtu *p, const uint8_t *message, uint32_t len, uint64_t now)
{
	enum pmtu_count what = PMTU_COUNT_ICMP_IGNORED_FORM;
	struct too_big t;

	if (too_big_parse(message, len, &t))
		what = judge(p, &t, now);
	count(p, what);
	return what;
}

int
pmtu_set(struct pmtu *p, uint32_t sa, uint16_t mtu, enum pmtu_source source, uint64_t now,
	 struct err *err)
{
	uint16_t allowed = p->params.allowed(p->params.ctx, sa), floor = slot_floor(p, sa);
	struct path_key key;
	struct path *path;
	int rc;

	if (mtu != 0 && (mtu < floor || mtu > allowed))
		return err_set(err, -ERANGE, "a path MTU of %u: %u (pmtu.floor) to %u", mtu, floor,
			       allowed);
	path_key_of(p, sa, &key);
	rc = path_take(p, &key, &path, err);
	if (rc < 0)
		return rc;
	count(p, PMTU_COUNT_DAEMON_SET);
	if (mtu == 0)
		path_forget(p, path);
	else
		path_learn(p, path, sa, mtu, source, now);
	if (path->prober.state != PROBER_OFF) {
		prober_moved(&path->prober, mtu == 0 ? allowed : mtu, now);
		probing_look(p, path, now);
	}
	path_settle(p, path);
	return 0;
}

/* What was learnt lately is good until its age is over; what is probed is found again. */
static void
path_look(struct pmtu *p, struct path *path, uint64_t now)
{
	if (path->prober.state != PROBER_OFF && path_sa(p, &path->key, SLOT_PROBE) == SA_NONE)
		probing_forget(p, path);
	if (path->prober.state != PROBER_OFF) {
		probing_look(p, path, now);
	} else if (path->mtu != 0 && now >= path->until) {
		count(p, PMTU_COUNT_AGED);
		path_forget(p, path);
	}
	path_settle(p, path);
}

/* A look at all paths ten times a second, or once where there are many: in slices. */
static void
round_go(struct pmtu *p, uint64_t now)
{
	uint32_t end = slab_end(&p->paths), few = SLAB_CHUNK_ITEMS;
	uint64_t period = end <= few ? SECOND / 10 : SECOND, elapsed = now - p->round_began;
	uint32_t due = elapsed >= period ? end : (uint32_t)(end * elapsed / period);

	while (p->round_next < due) {
		uint32_t index = slab_next(&p->paths, p->round_next);

		if (index >= due)
			break;
		p->round_next = index + 1;
		path_look(p, path_at(p, index), now);
	}
	p->round_next = RTE_MAX(p->round_next, due);
	if (elapsed < period)
		return;
	p->round_began = now;
	p->round_next = 0;
}

void
pmtu_tick(struct pmtu *p, uint64_t now)
{
	if (p == NULL || p->paths.n_taken == 0)
		return;
	if (p->first_walking != 0)
		path_walk(p, path_at(p, p->first_walking - 1));
	round_go(p, now);
	probing_tick(p, now);
}

static void
view_fill(const struct path *path, struct pmtu_view *view)
{
	*view = (struct pmtu_view) {
		.src.family = (uint8_t)path->key.family,
		.dst.family = (uint8_t)path->key.family,
		.udp_src = path->key.udp_src,
		.udp_dst = path->key.udp_dst,
		.mtu = path->mtu,
		.source = path->source,
		.until = path->prober.state == PROBER_OFF ? path->until : 0,
		.probing = path->prober.state,
		.rtt = path->prober.rtt,
	};
	memcpy(view->src.octets, path->key.src, sizeof(path->key.src));
	memcpy(view->dst.octets, path->key.dst, sizeof(path->key.dst));
}

bool
pmtu_of_sa(const struct pmtu *p, uint32_t sa, struct pmtu_view *view)
{
	const struct path *path;
	struct path_key key;

	if (p == NULL || (p->slots[sa].flags & SLOT_USED) == 0)
		return false;
	path_key_of(p, sa, &key);
	path = path_find(p, &key);
	if (path == NULL)
		return false;
	view_fill(path, view);
	return true;
}

bool
pmtu_next(const struct pmtu *p, uint32_t *cursor, struct pmtu_view *view)
{
	uint32_t index =
		p == NULL || p->paths.n_taken == 0 ? UINT32_MAX : slab_next(&p->paths, *cursor);

	if (index == UINT32_MAX)
		return false;
	*cursor = index + 1;
	view_fill(path_at(p, index), view);
	return true;
}

uint32_t
pmtu_paths(const struct pmtu *p)
{
	return p == NULL ? 0 : p->paths.n_taken;
}

uint64_t
pmtu_counted(const struct pmtu *p, enum pmtu_count what)
{
	return p == NULL ? 0 : p->counts[what];
}
