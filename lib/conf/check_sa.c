#include <stdlib.h>
#include <string.h>

#include "conf/check.h"
#include "conf/index.h"
#include "conf/net.h"
#include "ipcomp/ipcomp.h"
#include "seq/seq.h"

/* What an inbound packet is told by, and with the direction what no two SAs may share. */
struct spi_key {
	uint32_t spi;
	uint8_t direction, proto;
	struct addr dst;
} __attribute__((packed));

/* Keys that do nothing in this direction are no error, a tunnel has them for both; but written into
 * one SA they are a misunderstanding.
 */
static void
warn_direction(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	uint8_t other = sa->direction == CONF_IN ? KEY_OUT : KEY_IN;
	uint32_t n;
	const struct conf_key *k = schema_block(BLOCK_SA, &n);

	for (; n > 0; n--, k++) {
		if ((k->flags & other) == 0 || node_get(o->map, k->name) == NULL ||
		    memcmp((const char *)sa + k->at, (const char *)&l->defaults.sa + k->at,
			   k->size) == 0)
			continue;
		item_warning(l, &sa->mark, o, k->name, "leave it out",
			     "does nothing with direction: %s",
			     sa->direction == CONF_IN ? "in" : "out");
	}
}

/* A half of a tunnel that names an algorithm means it instead of the tunnel's. */
static void
settle_algs(struct conf_sa *sa, const struct origin *o)
{
	bool aead = node_get(o->map, "aead") != NULL, cipher = node_get(o->map, "cipher") != NULL;

	if (o->also == NULL || aead == cipher)
		return;
	if (cipher) {
		sa->aead = NULL;
		return;
	}
	sa->cipher = NULL;
	if (node_get(o->map, "auth") == NULL)
		sa->auth = NULL;
}

static bool
check_suite_ah(struct load *l, struct conf_sa *sa, const struct origin *o)
{
	struct err err;

	if (sa->aead != NULL || sa->cipher != NULL)
		return item_error(l, &sa->mark, o, sa->aead != NULL ? "aead" : "cipher",
				  "auth: hmac-sha256-128, or auth: aes-gmac-128",
				  "AH authenticates and does not encrypt");
	if (sa->auth == NULL)
		return item_error(l, &sa->mark, o, "auth", "auth: hmac-sha256-128", "missing");
	if (sa->icv_len != 0 || sa->implicit_iv)
		return item_error(l, &sa->mark, o, sa->icv_len != 0 ? "icv" : "implicit_iv",
				  "leave it out", "AH has no choice of that");
	return suite_init_ah(&sa->suite, sa->auth, sa->esn, &err) == 0;
}

static bool
check_suite(struct load *l, struct conf_sa *sa, struct origin *o)
{
	const struct alg *cipher;
	struct err err;

	if (sa->proto == CONF_AH)
		return check_suite_ah(l, sa, o);
	settle_algs(sa, o);
	cipher = sa->aead != NULL ? sa->aead : sa->cipher;
	if (sa->aead != NULL && sa->cipher != NULL)
		return item_error(l, &sa->mark, o, "cipher", "one of the two", "aead and cipher");
	if (cipher == NULL)
		return item_error(l, &sa->mark, o, "aead", "aead: aes-gcm-128, or cipher and auth",
				  "missing");
	if (sa->auth != NULL && sa->auth->kind != ALG_AUTH)
		return item_error(l, &sa->mark, o, "auth", "aead: it, or proto: ah",
				  "%s is an aead of ESP", sa->auth->name);
	if (suite_init(&sa->suite, cipher, sa->auth, sa->icv_len, sa->implicit_iv, sa->esn, &err) <
	    0)
		return item_error(l, &sa->mark, o,
				  sa->icv_len != 0 ? "icv" :
				  sa->implicit_iv  ? "implicit_iv" :
				  sa->auth != NULL ? "auth" :
				  sa->aead != NULL ? "aead" :
						     "cipher",
				  NULL, "%s", err.text);
	return true;
}

static void
check_numbers(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	uint64_t last = sa->esn ? UINT64_MAX : UINT32_MAX;

	if (sa->replay_window != 0 && sa->replay_window < 32)
		item_error(l, &sa->mark, o, "replay_window", "32 to 65536, or 0 for no anti-replay",
			   "%u is out of range", sa->replay_window);
	if (sa->oseq > last)
		item_error(l, &sa->mark, o, "oseq", "at most 4294967295, or esn: true",
			   "too large without ESN");
	if (sa->replay_top > last)
		item_error(l, &sa->mark, o, "replay_top", "at most 4294967295, or esn: true",
			   "too large without ESN");
}

/* Whether the schema's row says "auto" is not asked: it is within all limits. */
static void
check_lanes(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	if (!sa->subspaces) {
		if (sa->lanes > 1)
			item_error(l, &sa->mark, o, "lanes",
				   "subspaces: true, which the peer must know, or 1",
				   "%u: without subspaces an SA is numbered by one worker",
				   sa->lanes);
		if (sa->lanes == CONF_AUTO)
			item_warning(l, &sa->mark, o, "lanes", "subspaces: true, or 1",
				     "auto is 1 without subspaces");
		if (sa->lane_by != CONF_LANE_BY_FLOW && sa->direction == CONF_OUT)
			item_warning(l, &sa->mark, o, "lane_by", "subspaces: true, or leave it out",
				     "does nothing without subspaces");
		return;
	}
	if (sa->aead == NULL)
		item_error(l, &sa->mark, o, "subspaces", "an aead, such as aes-gcm-128",
			   "cipher and auth apart cannot have subspaces");
	if (!sa->esn)
		item_error(l, &sa->mark, o, "esn", "leave it out",
			   "with subspaces a number has 64 bits, all of them on the wire");
	if (sa->direction == CONF_OUT && sa->lanes > LANES_OUT_MAX)
		item_error(l, &sa->mark, o, "lanes", "auto, or at most 1024", "%u lanes to send by",
			   sa->lanes);
	if (sa->oseq > LANE_SN_MAX)
		item_error(l, &sa->mark, o, "oseq", "at most 281474976710655, of lane 0",
			   "too large with subspaces");
	if (sa->replay_top > LANE_SN_MAX)
		item_error(l, &sa->mark, o, "replay_top", "at most 281474976710655, of lane 0",
			   "too large with subspaces");
}

static void
check_limit(struct load *l, const struct conf_sa *sa, const struct origin *o, const char *what,
	    uint64_t soft, uint64_t hard)
{
	if (soft != 0 && hard != 0 && soft > hard)
		item_error(l, &sa->mark, o, "lifetime", "a soft limit below the hard one",
			   "soft_%s is above hard_%s", what, what);
}

static void
check_outer(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	const struct conf_lifetime *t = &sa->lifetime;

	if (sa->src.family != sa->dst.family && sa->src.family != 0 && sa->dst.family != 0)
		item_error(l, &sa->mark, o, "dst", "one family", "IPv%u, the other end is IPv%u",
			   sa->dst.family, sa->src.family);
	if (sa->dst.family == 6 && sa->path_mtu < 1280)
		item_error(l, &sa->mark, o, "path_mtu", "at least 1280 with IPv6",
			   "%u is out of range", sa->path_mtu);
	if (sa->direction == CONF_OUT && sa->pmtu.floor >= sa->path_mtu &&
	    (sa->pmtu.probe || sa->pmtu.floor != l->defaults.sa.pmtu.floor))
		item_warning(l, &sa->mark, o, "pmtu", "a floor below path_mtu",
			     "nothing can be learnt between path_mtu %u and floor %u", sa->path_mtu,
			     sa->pmtu.floor);
	if (sa->encap.on && sa->direction == CONF_OUT &&
	    (sa->encap.ports[0] == 0 || sa->encap.ports[1] == 0))
		item_error(l, &sa->mark, o, "encap", "two ports such as [4500, 4500]",
			   "port 0 on the way out");
	if (sa->encap.on && sa->direction == CONF_IN && sa->encap.ports[1] == 0)
		item_error(l, &sa->mark, o, "encap", "our port last, such as [0, 4500]",
			   "our own port is 0");
	if (sa->tfc.pad_to != 0 && sa->mode != CONF_TUNNEL && sa->mode != CONF_IPTFS)
		item_error(l, &sa->mark, o, "tfc", "mode: tunnel",
			   "pad_to needs an inner packet whose length says where padding begins");
	if (sa->tfc.dummy_rate != 0 && sa->mode != CONF_TUNNEL && sa->mode != CONF_IPTFS)
		item_error(l, &sa->mark, o, "tfc", "mode: tunnel",
			   "dummies are sent by tunnels only");
	check_limit(l, sa, o, "packets", t->soft_packets, t->hard_packets);
	check_limit(l, sa, o, "bytes", t->soft_bytes, t->hard_bytes);
	check_limit(l, sa, o, "seconds", t->soft_seconds, t->hard_seconds);
}

/* What only ESP has. */
static void
check_ah(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	const struct {
		bool on;
		const char *key, *wrong;
	} rows[] = {
		{ sa->encap.on, "encap", "AH covers the addresses, so no NAT may change them" },
		{ sa->tfc.pad_to != 0 || sa->tfc.dummy_rate != 0, "tfc",
		  "nothing is hidden by AH" },
		{ sa->esp_ping, "esp_ping", "an echo of ESP" },
		{ sa->pmtu.probe, "pmtu", "probes are echoes of ESP" },
	};

	if (sa->proto != CONF_AH)
		return;
	if (sa->mode != CONF_TUNNEL && sa->mode != CONF_TRANSPORT)
		item_error(l, &sa->mark, o, "mode", "tunnel or transport", "not with proto: ah");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].on)
			item_error(l, &sa->mark, o, rows[i].key, "leave it out, or proto: esp",
				   "%s", rows[i].wrong);
}

static void
check_inner(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	if (sa->mode != CONF_BEET) {
		if (sa->beet_reassemble)
			item_error(l, &sa->mark, o, "beet_reassemble",
				   "mode: beet, or leave it out", "another mode does not ask it");
		if (sa->inner.on)
			item_error(l, &sa->mark, o, "inner", "mode: beet, or leave it out",
				   "another mode sends the inner addresses");
		return;
	}
	if (sa->inner.src.family == 0 && sa->inner.dst.family == 0)
		item_error(l, &sa->mark, o, "inner", "{src: 10.9.0.1, dst: 10.9.0.2}",
			   "missing with mode: beet");
	else if (sa->inner.src.family == 0 || sa->inner.dst.family == 0)
		item_error(l, &sa->mark, o, "inner", "{src: 10.9.0.1, dst: 10.9.0.2}",
			   "src or dst is missing");
	else if (sa->inner.src.family != sa->inner.dst.family)
		item_error(l, &sa->mark, o, "inner", "one family", "src is IPv%u, dst is IPv%u",
			   sa->inner.src.family, sa->inner.dst.family);
}

static void
check_ipcomp(struct load *l, const struct conf_sa *sa, const struct origin *o)
{
	if (!sa->ipcomp.on)
		return;
	if (sa->proto != CONF_ESP || (sa->mode != CONF_TUNNEL && sa->mode != CONF_TRANSPORT))
		item_error(l, &sa->mark, o, "ipcomp", "proto: esp with mode: tunnel or transport",
			   "compression goes with ESP's tunnel and transport mode only, not with "
			   "%s",
			   sa->proto != CONF_ESP ? "AH" :
			   sa->mode == CONF_BEET ? "BEET" :
						   "IP-TFS");
	if (sa->ipcomp.cpi >= 64 && sa->ipcomp.cpi < 256)
		item_error(l, &sa->mark, o, "ipcomp", "256 to 61439, or 2 for DEFLATE as such",
			   "CPI %u: 64 to 255 are reserved", sa->ipcomp.cpi);
	if (sa->ipcomp.stored && sa->ipcomp.cpi == IPCOMP_CPI_STORED)
		item_error(l, &sa->mark, o, "ipcomp", "256 to 61439",
			   "CPI 0xf001 says that a packet is stored");
	if (sa->ipcomp.xt && sa->mode != CONF_TRANSPORT)
		item_error(l, &sa->mark, o, "ipcomp", "xt: false, or mode: transport",
			   "xt leaves ports readable, and a tunnel's payload begins with an IP "
			   "header");
	if (sa->tfc.pad_to != 0)
		item_error(l, &sa->mark, o, "ipcomp", "ipcomp or tfc",
			   "padding that hides lengths and compression that shows them");
}

static void
check_sa(struct load *l, struct conf_sa *sa, struct origin *o)
{
	uint32_t before = l->e->n_errors;
	char path[64];
	size_t was;

	conf_mark_path(&sa->mark, path, sizeof(path));
	was = path_push(l, "%s", path);
	/* What is bad already is looked at only as far as it cannot be a consequence. */
	if (!o->bad) {
		warn_direction(l, sa, o);
		check_numbers(l, sa, o);
		check_lanes(l, sa, o);
		check_outer(l, sa, o);
		check_inner(l, sa, o);
		check_ipcomp(l, sa, o);
		check_ah(l, sa, o);
		check_iptfs(l, sa, o);
	}
	if ((!o->bad || sa->aead != NULL || sa->cipher != NULL || sa->auth != NULL) &&
	    check_suite(l, sa, o)) {
		secrets_read(l, sa, o);
		check_iptfs_room(l, sa, o);
	}
	path_pop(l, was);
	o->bad |= l->e->n_errors != before;
}

static void
check_spis(struct load *l)
{
	const struct conf *c = l->conf;
	struct spi_key *keys = calloc(c->n_sas + 1, sizeof(*keys));
	struct index ix = { 0 };

	if (keys == NULL || index_init(&ix, c->n_sas) < 0)
		l->no_memory = true;
	for (uint32_t i = 0; i < c->n_sas && !l->no_memory; i++) {
		const struct conf_sa *sa = &c->sas[i];
		uint32_t other;

		if (sa->spi == 0 || sa->dst.family == 0 || sa->name[0] == 0)
			continue;
		keys[i] = (struct spi_key) { sa->spi, sa->direction, sa->proto, sa->dst };
		other = index_put(&ix, &keys[i], sizeof(keys[i]), i);
		if (other != INDEX_NONE)
			item_error(l, &sa->mark, &l->sas[i], "spi", "an SPI of its own",
				   "%s has the SPI and dst of %s", sa->name, c->sas[other].name);
	}
	index_fini(&ix);
	free(keys);
}

/* One SA seen from both ends: a loop. */
static bool
is_loop(const struct conf_sa *a, const struct conf_sa *b)
{
	return a->direction != b->direction && a->spi == b->spi &&
	       memcmp(&a->src, &b->src, sizeof(a->src)) == 0 &&
	       memcmp(&a->dst, &b->dst, sizeof(a->dst)) == 0;
}

/* The same number under the same key and salt is the same nonce, whatever the mode of use. */
static void
check_nonces(struct load *l)
{
	const struct conf *c = l->conf;
	struct index ix = { 0 };

	if (index_init(&ix, c->n_sas) < 0)
		l->no_memory = true;
	for (uint32_t i = 0; i < c->n_sas && !l->no_memory; i++) {
		const struct conf_sa *sa = &c->sas[i];
		const struct conf_secret *key;
		uint32_t other;

		key = conf_sa_key(sa);
		if (key->len == 0 || !algs[sa->suite.cipher].counter_mode)
			continue;
		other = index_put(&ix, key->octets, key->len, i);
		if (other == INDEX_NONE || is_loop(sa, &c->sas[other]))
			continue;
		item_error(l, &sa->mark, &l->sas[i], "key",
			   "a key of its own for each SA and direction",
			   "%s has the key and salt of %s, so a nonce would be used twice",
			   sa->name, c->sas[other].name);
	}
	index_fini(&ix);
}

const struct conf_secret *
conf_sa_key(const struct conf_sa *sa)
{
	return sa->proto == CONF_AH && sa->suite.aead ? &sa->auth_key : &sa->key;
}

void
check_sas(struct load *l)
{
	for (uint32_t i = 0; i < l->conf->n_sas; i++)
		check_sa(l, &l->conf->sas[i], &l->sas[i]);
	check_spis(l);
	check_nonces(l);
	check_iptfs_pairs(l);
}
