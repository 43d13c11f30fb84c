#include <stdlib.h>

#include <rte_byteorder.h>
#include <rte_hash_crc.h>

#include "ctl/sas.h"
#include "echo/state.h"

bool
echo_same_peer(const struct echo_peer *a, const struct echo_peer *b)
{
	/* Behind one address of a NAT there may be many, whom their ports tell apart. */
	return addr_equal(&a->addr, &b->addr) && a->udp == b->udp && a->port == b->port;
}

void
echo_peer_of(const struct gw *gw, uint32_t sa, struct echo_peer *peer)
{
	const struct sa *s = sa_at(&gw->sas, sa);
	const struct sa_cold *cold = sa_cold(&gw->sas, sa);
	bool inbound = (s->flags & SA_INBOUND) != 0;
	uint16_t src, dst;

	*peer = (struct echo_peer) { .addr = inbound ? cold->src : cold->dst };
	peer->udp = (s->flags & SA_UDP) != 0;
	if (!peer->udp)
		return;
	sa_udp_ports(s, &src, &dst);
	peer->port = inbound ? src : dst;
}

bool
echo_is_paced(const struct gw *gw, uint32_t sa)
{
	const struct sa *s = sa_at(&gw->sas, sa);

	return (s->flags & SA_IPTFS) != 0 && sa_more(s)->iptfs.rate_bps != 0;
}

static int
by_key(const void *a, const void *b)
{
	const struct echo_key *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->sa < y->sa ? -1 : x->sa > y->sa;
}

/* Of both directions alike: our address, then the peer's. */
static uint64_t
ends_key(const struct conf_sa *c)
{
	bool out = c->direction == CONF_OUT;
	const struct addr *ours = out ? &c->src : &c->dst, *peers = out ? &c->dst : &c->src;
	uint64_t hash = rte_hash_crc(ours->octets, sizeof(ours->octets), ours->family);

	return hash << 32 | rte_hash_crc(peers->octets, sizeof(peers->octets), (uint32_t)hash);
}

void
echo_index_free(struct echo_index *index)
{
	free(index->spis);
	free(index->ends);
	*index = (struct echo_index) { .of = 0 };
}

/* Of the configuration of now; without memory there is none, and nothing is found. */
static const struct echo_index *
index_of(struct gw *gw)
{
	struct echo_index *x = &gw->echo->index;
	const struct conf *c = gw->conf;

	if (x->of == gw->n_confs)
		return x;
	echo_index_free(x);
	x->spis = calloc(c->n_sas + 1, sizeof(x->spis[0]));
	x->ends = calloc(c->n_sas + 1, sizeof(x->ends[0]));
	if (x->spis == NULL || x->ends == NULL) {
		echo_index_free(x);
		return x;
	}
	x->of = gw->n_confs;
	for (uint32_t i = 0; i < c->n_sas; i++) {
		if (c->sas[i].direction == CONF_OUT)
			x->spis[x->n_spis++] = (struct echo_key) { c->sas[i].spi, i };
		if (c->sas[i].mark.list == CONF_LIST_SAS)
			x->ends[x->n_ends++] = (struct echo_key) { ends_key(&c->sas[i]), i };
	}
	qsort(x->spis, x->n_spis, sizeof(x->spis[0]), by_key);
	qsort(x->ends, x->n_ends, sizeof(x->ends[0]), by_key);
	return x;
}

/* The first with that key, or n. */
static uint32_t
first_of(const struct echo_key *keys, uint32_t n, uint64_t key)
{
	uint32_t low = 0, high = n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (keys[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
is_of_tunnel(const struct conf_sa *c, const struct conf_sa *other)
{
	return (other->mark.list == CONF_LIST_TUNNELS_OUT ||
		other->mark.list == CONF_LIST_TUNNELS_IN) &&
	       other->mark.index == c->mark.index;
}

/* How well one half goes with the other: 0 not at all. Of a bundle the same worker's. */
static int
fit(const struct conf_sa *a, const struct conf_sa *b)
{
	if (a->direction == b->direction || a->mode != b->mode || a->proto != b->proto ||
	    a->encap.on != b->encap.on)
		return 0;
	return 1 + (a->bundle.on == b->bundle.on && a->bundle.worker == b->bundle.worker) +
	       (a->mark.part == b->mark.part);
}

struct best {
	uint32_t sa; /* of conf->sas, or CONF_NONE */
	int fit;
};

static void
better(struct best *best, const struct conf *c, const struct conf_sa *of, uint32_t other)
{
	int how = fit(of, &c->sas[other]);

	if (how > best->fit)
		*best = (struct best) { other, how };
}

/* The SAs of a tunnel stand together. */
static uint32_t
pair_of_tunnel(const struct conf *c, uint32_t i)
{
	struct best best = { CONF_NONE, 0 };
	uint32_t first = i;

	while (first > 0 && is_of_tunnel(&c->sas[i], &c->sas[first - 1]))
		first--;
	for (uint32_t k = first; k < c->n_sas && is_of_tunnel(&c->sas[i], &c->sas[k]); k++)
		better(&best, c, &c->sas[i], k);
	return best.sa;
}

static uint32_t
pair_of_ends(struct gw *gw, uint32_t i)
{
	const struct echo_index *x = index_of(gw);
	const struct conf_sa *sas = gw->conf->sas;
	struct best best = { CONF_NONE, 0 };
	uint64_t key = ends_key(&sas[i]);

	for (uint32_t k = first_of(x->ends, x->n_ends, key); k < x->n_ends && x->ends[k].key == key;
	     k++) {
		uint32_t other = x->ends[k].sa;

		if (addr_equal(&sas[i].src, &sas[other].dst) &&
		    addr_equal(&sas[i].dst, &sas[other].src))
			better(&best, gw->conf, &sas[i], other);
	}
	return best.sa;
}

static uint32_t
pair_of_file(struct gw *gw, uint32_t i)
{
	uint32_t other;

	if (gw->conf->sas[i].mark.list == CONF_LIST_SAS)
		other = pair_of_ends(gw, i);
	else
		other = pair_of_tunnel(gw->conf, i);
	return other == CONF_NONE ? SA_NONE : gw->sa_books[other].index;
}

uint32_t
echo_pair(struct gw *gw, uint32_t sa)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, sa);
	uint32_t pair = SA_NONE;

	/* What a reload has ended speaks of another file. */
	if (cold->origin.from != SA_FROM_FILE)
		pair = gw->hooks.pair != NULL ? gw->hooks.pair(gw->hooks.ctx, sa) : SA_NONE;
	else if (!cold->ended)
		pair = pair_of_file(gw, cold->origin.record);
	return pair != SA_NONE && sa_is_live(gw, pair) ? pair : SA_NONE;
}

static bool
is_of_peer(const struct gw *gw, uint32_t sa, const struct echo_peer *peer)
{
	struct echo_peer its;

	if (sa == SA_NONE || !sa_is_live(gw, sa))
		return false;
	echo_peer_of(gw, sa, &its);
	return echo_same_peer(&its, peer);
}

uint32_t
echo_outbound(struct gw *gw, const struct echo_peer *peer, uint32_t spi)
{
	const struct echo_index *x = index_of(gw);
	uint32_t sa = SA_NONE;

	for (uint32_t k = first_of(x->spis, x->n_spis, spi); k < x->n_spis && x->spis[k].key == spi;
	     k++)
		if (is_of_peer(gw, gw->sa_books[x->spis[k].sa].index, peer))
			return gw->sa_books[x->spis[k].sa].index;
	if (gw->hooks.outbound != NULL)
		sa = gw->hooks.outbound(gw->hooks.ctx, &peer->addr, spi);
	return is_of_peer(gw, sa, peer) ? sa : SA_NONE;
}
