/* IP-TFS (RFC 9347): what it cannot go with, and numbers that make no sense together. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/check.h"
#include "tunnel/tunnel.h"
#include "wire/aggfrag.h"
#include "wire/subspace.h"

#define ETHERNET_OCTETS 38   /* of a frame and the gap behind it, besides its packet */
#define AUTO_SIZE	1500 /* where packet_size is auto, for want of a better one */
/* Between two packets of an SA, ns. */
#define INTERVAL_MAX (10 * UINT64_C(1000000000))
#define INTERVAL_MIN UINT64_C(50)

/* Who may be the other half of whom. Compared as octets. */
struct ends {
	struct addr ours, peer;
	uint32_t tunnel; /* of a tunnel's SAs; CONF_NONE */
} __attribute__((packed));

/* The block's key, or NULL; *half: it is in the SA's own map, not the tunnel's. */
static const struct node *
key_of(const struct origin *o, const char *key, bool *half)
{
	const struct node *n = node_get(node_get(o->map, "iptfs"), key);

	*half = n != NULL || o->also == NULL;
	return n != NULL ? n : node_get(node_get(o->also, "iptfs"), key);
}

static bool
is_given(const struct origin *o, const char *key)
{
	bool half;

	return key_of(o, key, &half) != NULL;
}

/* At a key of the block where it stands, else at the block. */
static void complain(struct load *l, bool warning, const struct conf_sa *sa, const struct origin *o,
		     const char *key, const char *right, const char *format, ...)
	__rte_format_printf(7, 8);

static void
complain(struct load *l, bool warning, const struct conf_sa *sa, const struct origin *o,
	 const char *key, const char *right, const char *format, ...)
{
	char path[128], text[512];
	const struct node *n;
	bool half;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	n = key_of(o, key, &half);
	if (n == NULL && warning)
		item_warning(l, &sa->mark, o, "iptfs", right, "%s", text);
	else if (n == NULL)
		item_error(l, &sa->mark, o, "iptfs", right, "%s", text);
	if (n == NULL)
		return;
	conf_mark_path(&sa->mark, path, sizeof(path));
	if (!half)
		snprintf(path, sizeof(path), "tunnels[%u]", sa->mark.index);
	snprintf(path + strlen(path), sizeof(path) - strlen(path), ".iptfs.%s", key);
	conf_complain_at(l->e, warning, n->line, n->col, path, right, "%s", text);
}

/* As for the keys of an SA: a tunnel's block is for both, one of an SA alone for that. */
static void
warn_direction(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	uint8_t other = sa->direction == CONF_IN ? KEY_OUT : KEY_IN;
	const struct node *own = node_get(o->map, "iptfs");
	uint32_t n;
	const struct conf_key *k = schema_block(BLOCK_IPTFS, &n);

	for (; n > 0; n--, k++)
		if ((k->flags & other) != 0 && node_get(own, k->name) != NULL &&
		    memcmp((const char *)sa + k->at, (const char *)&l->defaults.sa + k->at,
			   k->size) != 0)
			complain(l, true, sa, o, k->name, "leave it out",
				 "does nothing with direction: %s",
				 sa->direction == CONF_IN ? "in" : "out");
}

/* An outer packet carries pieces of several inner ones, so that nothing of its header can be one's
 * (RFC 9347 section 2.2.5). What is not said gets another default than a tunnel's.
 */
static void
settle_outer(struct load *l, struct conf_sa *sa, const struct origin *o)
{
	bool fixed = true;

	for (uint32_t i = 1; i < sizeof(sa->outer_dscp.map); i++)
		fixed &= sa->outer_dscp.map[i] == sa->outer_dscp.map[0];
	if (sa->direction != CONF_OUT)
		return;
	if (origin_get(o, "outer_dscp") == NULL)
		memset(&sa->outer_dscp, 0, sizeof(sa->outer_dscp));
	else if (!fixed)
		item_error(l, &sa->mark, o, "outer_dscp", "one value, or leave it out, which is 0",
			   "with mode: iptfs a packet carries pieces of several");
	if (origin_get(o, "df") == NULL)
		sa->df = CONF_DF_SET;
	else if (sa->df == CONF_DF_COPY)
		item_error(l, &sa->mark, o, "df", "set, which is the default, or clear",
			   "with mode: iptfs a packet carries pieces of several");
	if (sa->flow_label == CONF_FLOW_LABEL_COPY)
		item_error(l, &sa->mark, o, "flow_label", "hash, or a value",
			   "with mode: iptfs a packet carries pieces of several");
	if (sa->frag == CONF_FRAG_POST)
		item_error(l, &sa->mark, o, "frag", "pre or none",
			   "with mode: iptfs it is the payload that is cut, not the outer packet");
}

/* What else changes sizes or sends packets of its own. */
static void
check_others(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	bool out = sa->direction == CONF_OUT;

	if (sa->tfc.pad_to != 0 || sa->tfc.dummy_rate != 0)
		item_error(l, &sa->mark, o, "tfc", "iptfs: {rate: 100M}, which pads",
			   "not with mode: iptfs, which hides more");
	if (sa->mss_clamp && !sa->iptfs.dont_frag)
		item_warning(l, &sa->mark, o, "mss_clamp", "leave it out, or dont_frag: true",
			     "does nothing with mode: iptfs, which cuts what is larger");
	if (sa->iptfs.rate_bps != 0 && sa->esp_ping && !out)
		item_error(l, &sa->mark, o, "esp_ping", "leave it out, or no rate",
			   "answers would be seen beside a constant rate");
	if (sa->iptfs.rate_bps != 0 && sa->pmtu.probe && out)
		item_error(l, &sa->mark, o, "pmtu", "leave probe out, or no rate",
			   "probes would be seen beside a constant rate");
	if (sa->iptfs.congestion_control && sa->subspaces)
		complain(l, false, sa, o, "congestion_control", "subspaces: false",
			 "one stream of a peer is measured, not one of each lane");
	if (sa->iptfs.breaker.on && sa->subspaces)
		complain(l, false, sa, o, "breaker", "subspaces: false",
			 "one stream of a peer is measured, not one of each lane");
}

int
conf_iptfs_interval(uint32_t packet_size, bool l2, uint64_t rate_bps, struct err *err)
{
	uint64_t octets =
		(packet_size != CONF_AUTO ? packet_size : AUTO_SIZE) + (l2 ? ETHERNET_OCTETS : 0);
	uint64_t interval;

	if (rate_bps == 0)
		return err_set(err, -EINVAL, "a rate of 0");
	interval = octets * 8 * UINT64_C(1000000000) / rate_bps;
	if (interval > INTERVAL_MAX)
		return err_set(err, -EINVAL,
			       "a packet of %" PRIu64 " octets every %" PRIu64
			       " s: at least every 10 s",
			       octets, interval / UINT64_C(1000000000));
	if (interval < INTERVAL_MIN)
		return err_set(err, -EINVAL,
			       "a packet of %" PRIu64 " octets every %" PRIu64
			       " ns: at most every %" PRIu64 " ns",
			       octets, interval, INTERVAL_MIN);
	return 0;
}

static void
check_rate(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	const struct conf_iptfs *t = &sa->iptfs;
	struct err err;

	if (t->rate_bps == 0) {
		if (t->congestion_control)
			complain(l, false, sa, o, "congestion_control",
				 "rate: 100M, the most it may be",
				 "without a rate there is none to control");
		if (t->breaker.on)
			complain(l, false, sa, o, "breaker", "rate: 100M, or leave it out",
				 "without a constant rate there is nothing to stop");
		if (t->layer == CONF_LAYER_L2)
			complain(l, true, sa, o, "layer", "rate: 100M, or leave it out",
				 "does nothing without a rate");
		return;
	}
	if (t->congestion_control && t->breaker.on)
		complain(l, false, sa, o, "breaker", "one of the two",
			 "congestion control slows down where a breaker would stop");
	if (l->conf->gateway.idle == CONF_IDLE_SLEEP)
		complain(l, false, sa, o, "rate", "gateway: {idle: poll}, or no rate",
			 "a constant rate needs workers that do not sleep");
	if (is_given(o, "init_delay"))
		complain(l, true, sa, o, "init_delay", "leave it out",
			 "does nothing with a rate, which says when a packet is sent");
	if (conf_iptfs_interval(t->packet_size, t->layer == CONF_LAYER_L2, t->rate_bps, &err) < 0)
		complain(l, false, sa, o, "rate", "another rate, or another packet_size", "%s",
			 err.text);
}

static uint32_t
black_mtu(const struct conf *c)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < c->n_ports; i++)
		if (c->ports[i].side == CONF_BLACK && c->ports[i].mtu > most)
			most = c->ports[i].mtu;
	return most;
}

/* The default is as much as most paths take, so where it is too much nobody is told. */
static void
check_size(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	uint32_t size = sa->iptfs.packet_size, mtu = black_mtu(l->conf);

	if (!is_given(o, "packet_size") || sa->direction != CONF_OUT)
		return;
	if (size > sa->path_mtu)
		complain(l, true, sa, o, "packet_size", "at most path_mtu",
			 "%u: no packet is larger than path_mtu %u", size, sa->path_mtu);
	else if (mtu != 0 && size > mtu)
		complain(l, true, sa, o, "packet_size", "at most the mtu of a black port",
			 "%u: no port of the black side takes more than %u", size, mtu);
}

void
check_iptfs(struct load *l, struct conf_sa *sa, const struct origin *o)
{
	if (sa->mode != CONF_IPTFS) {
		if (sa->iptfs.on)
			item_error(l, &sa->mark, o, "iptfs", "mode: iptfs, or leave it out",
				   "not with another mode");
		return;
	}
	sa->iptfs.on = true;
	warn_direction(l, sa, o);
	settle_outer(l, sa, o);
	check_others(l, sa, o);
	if (sa->direction == CONF_OUT) {
		check_rate(l, sa, o);
		check_size(l, sa, o);
	}
}

void
check_iptfs_room(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	uint32_t size = sa->iptfs.packet_size,
		 head = sa->iptfs.congestion_control ? WIRE_AGGFRAG_CC_HEADER : WIRE_AGGFRAG_HEADER;
	uint32_t extra = sa->subspaces ? WIRE_SUBSPACE_EXTRA : 0, text;

	if (sa->mode != CONF_IPTFS || sa->direction != CONF_OUT || size == CONF_AUTO)
		return;
	text = size > extra ?
		       tunnel_mtu(&sa->suite, sa->dst.family == 6, sa->encap.on, size - extra) :
		       0;
	if (text >= head + WIRE_AGGFRAG_RUNT)
		return;
	complain(l, false, sa, o, "packet_size", "more, such as 1400",
		 "%u: outer header, ESP and AGGFRAG leave room for %u octets, and %u is the least",
		 size, text > head ? text - head : 0, WIRE_AGGFRAG_RUNT);
}

static struct ends
ends_of(const struct conf_sa *sa)
{
	bool out = sa->direction == CONF_OUT;

	return (struct ends) {
		.ours = out ? sa->src : sa->dst,
		.peer = out ? sa->dst : sa->src,
		.tunnel = sa->mark.list == CONF_LIST_SAS ? CONF_NONE : sa->mark.index,
	};
}

/* Congestion control and the breaker live by what comes back. */
static void
check_out(struct load *l, const struct conf_sa *sa, const struct origin *o,
	  const struct conf_sa *pair)
{
	const char *key = sa->iptfs.congestion_control ? "congestion_control" : "breaker";

	if (!sa->iptfs.congestion_control && !sa->iptfs.breaker.on)
		return;
	if (pair == NULL)
		complain(l, false, sa, o, key, "an SA with direction: in from its dst to its src",
			 "no SA with mode: iptfs comes back, so nothing tells of loss");
	else if (sa->iptfs.congestion_control && !pair->iptfs.congestion_control)
		complain(l, false, sa, o, key, "congestion_control: true in both",
			 "%s, which comes back, has none", pair->name);
}

static void
check_in(struct load *l, const struct conf_sa *sa, const struct origin *o,
	 const struct conf_sa *pair)
{
	if (sa->iptfs.congestion_control && (pair == NULL || !pair->iptfs.congestion_control))
		complain(l, false, sa, o, "congestion_control",
			 "congestion_control: true in the SA that goes back",
			 "no SA with it goes back, so the peer would never hear of loss");
	if (sa->esp_ping && pair != NULL && pair->iptfs.rate_bps != 0 && sa->iptfs.rate_bps == 0)
		item_error(l, &sa->mark, o, "esp_ping", "leave it out, or no rate",
			   "answers would be seen beside the constant rate of %s", pair->name);
}

static const struct conf_sa *
pair_of(const struct load *l, const struct index *of, const struct conf_sa *sa)
{
	struct ends ends = ends_of(sa);
	uint32_t i = index_get(of, &ends, sizeof(ends));

	return i != INDEX_NONE ? &l->conf->sas[i] : NULL;
}

/* The index holds pointers to what it is asked by. */
static int
index_ends(struct load *l, struct ends *ends, struct index *by_direction)
{
	const struct conf *c = l->conf;

	if (ends == NULL || index_init(&by_direction[CONF_IN], c->n_sas) < 0 ||
	    index_init(&by_direction[CONF_OUT], c->n_sas) < 0)
		return -1;
	for (uint32_t i = 0; i < c->n_sas; i++) {
		const struct conf_sa *sa = &c->sas[i];

		ends[i] = ends_of(sa);
		if (sa->mode == CONF_IPTFS)
			index_put(&by_direction[sa->direction], &ends[i], sizeof(ends[i]), i);
	}
	return 0;
}

void
check_iptfs_pairs(struct load *l)
{
	struct index by_direction[2] = { { 0 }, { 0 } };
	struct conf *c = l->conf;
	struct ends *ends;
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_sas; i++)
		n += c->sas[i].mode == CONF_IPTFS;
	if (n == 0)
		return;
	ends = calloc(c->n_sas, sizeof(*ends));
	if (index_ends(l, ends, by_direction) < 0)
		l->no_memory = true;
	for (uint32_t i = 0; i < c->n_sas && !l->no_memory; i++) {
		const struct conf_sa *sa = &c->sas[i];

		if (sa->mode != CONF_IPTFS || l->sas[i].bad)
			continue;
		if (sa->direction == CONF_OUT)
			check_out(l, sa, &l->sas[i], pair_of(l, &by_direction[CONF_IN], sa));
		else
			check_in(l, sa, &l->sas[i], pair_of(l, &by_direction[CONF_OUT], sa));
	}
	index_fini(&by_direction[CONF_IN]);
	index_fini(&by_direction[CONF_OUT]);
	free(ends);
}
