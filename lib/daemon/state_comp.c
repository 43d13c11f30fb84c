/* Pairs of IPComp and ESP, which are two SAs for a daemon and one here. */
#include <string.h>

#include "ctl/comp.h"
#include "daemon/state.h"

/* The newest SA of IPComp with that key; the owner's, where one is given. */
static struct state *
comp_find(struct daemons *d, const struct tie_key *key, const struct daemon_owner *owner)
{
	const struct tie_sa *node;
	struct tie *tie;

	if (tie_get(d->ties, key, &tie, NULL) < 0)
		return NULL;
	node = tie->newest;
	while (node != NULL && owner != NULL && state_of_node(node)->owner != owner)
		node = node->older;
	tie_put(d->ties, tie);
	return node != NULL ? state_of_node(node) : NULL;
}

/* Of a pair with IPComp, which comes first: the two are one SA here. In tunnel mode it is IPComp's
 * that says so, and what is compressed, or not, is a tunnel's packet.
 *
 * charon gives both one reqid. pluto gives IPComp's the next one; what keeps that apart from two
 * that have nothing to do with each other is that an SA of a pair names no selector.
 */
static struct state *
comp_of(struct daemons *d, const struct xfrm_sa *x, uint8_t mode, bool inbound,
	const struct daemon_owner *owner)
{
	struct tie_key key;
	struct state *comp;

	tie_key_of_sa(x, inbound, &key);
	key.proto = XFRM_PROTO_COMP;
	key.mode = mode;
	memcpy(key.src, x->src.octets, sizeof(key.src));
	memcpy(key.dst, x->id.dst.octets, sizeof(key.dst));
	comp = comp_find(d, &key, NULL);
	if (comp != NULL)
		return comp;
	key.reqid++;
	return x->sel.src.len == 0 && x->sel.dst.len == 0 ? comp_find(d, &key, owner) : NULL;
}

struct state *
comp_pair_of(struct daemons *d, const struct state *s)
{
	return s->pair != STATE_NONE ? state_at(d, s->pair) : NULL;
}

static void
leave(struct daemons *d, struct state *s)
{
	struct state *other = comp_pair_of(d, s);

	if (other != NULL)
		other->pair = STATE_NONE;
	s->pair = STATE_NONE;
}

void
comp_pair_find(struct daemons *d, uint32_t index, const struct xfrm_sa *x)
{
	struct state *s = state_at(d, index), *comp = NULL;
	bool inbound = s->dir == XFRM_SA_DIR_IN;

	if (x->mode == XFRM_TRANSPORT)
		comp = comp_of(d, x, XFRM_TUNNEL, inbound, s->owner);
	if (x->mode == XFRM_TRANSPORT && comp == NULL)
		comp = comp_of(d, x, XFRM_TRANSPORT, inbound, s->owner);
	if (comp == NULL)
		return;
	/* Of several SAs of ESP the newest is its own; the older ones go on as they are. */
	leave(d, comp);
	s->pair = state_index(d, comp);
	comp->pair = index;
}

void
comp_pair_end(struct daemons *d, uint32_t index)
{
	struct state *s = state_at(d, index), *esp = comp_pair_of(d, s);

	if (s->kind == STATE_COMP && esp != NULL)
		comp_off(d->gw, esp->node.index);
	leave(d, s);
}

void
comp_pair_conf(struct daemons *d, const struct state *s, struct conf_sa *c)
{
	const struct state *comp = comp_pair_of(d, s);

	if (comp == NULL)
		return;
	c->ipcomp.on = true;
	c->ipcomp.cpi = comp->spi;
	c->ipcomp.algorithm = CONF_IPCOMP_DEFLATE;
	c->ipcomp.threshold = COMP_THRESHOLD;
	c->ipcomp.max_output = IPCOMP_OCTETS_MAX;
}
