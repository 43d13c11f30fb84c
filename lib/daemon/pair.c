/* The other half of what was negotiated together, for who sends by one what came by the other. */
#include <string.h>

#include "daemon/state.h"

#define LOOKED_AT_MAX 64 /* SAs of a tie: of a bundle's members, and transport mode's peers */

static bool
are_halves(const struct state *a, const struct state *b)
{
	return memcmp(a->src, b->dst, sizeof(a->src)) == 0 &&
	       memcmp(a->dst, b->src, sizeof(a->dst)) == 0;
}

/* The key of the tie whose SAs go the other way. */
static void
key_turn(struct tie_key *key, const struct state *s)
{
	*key = s->node.tie->key;
	key->inbound = !key->inbound;
	memset(key->src, 0, sizeof(key->src));
	memset(key->dst, 0, sizeof(key->dst));
	if (key->inbound && key->mode == XFRM_TRANSPORT)
		return;
	memcpy(key->src, s->dst, sizeof(key->src));
	memcpy(key->dst, s->src, sizeof(key->dst));
}

struct state *
state_of_sa(const struct daemons *d, uint32_t sa, uint32_t *index)
{
	const struct sa_cold *cold = sa_cold(&d->gw->sas, sa);
	struct state *s;

	if (cold->origin.from != SA_FROM_DAEMON || cold->ended)
		return NULL;
	*index = cold->origin.record;
	s = state_at(d, *index);
	return s->node.index == sa ? s : NULL;
}

uint32_t
state_sa_pair(void *ctx, uint32_t sa)
{
	const struct tie_sa *found = NULL;
	const struct daemons *d = ctx;
	const struct state *s;
	const struct tie *tie;
	struct tie_key key;
	uint32_t index, n = 0;

	s = state_of_sa(d, sa, &index);
	if (s == NULL || s->node.tie == NULL)
		return SA_NONE;
	key_turn(&key, s);
	tie = tie_find(d->ties, &key);
	if (tie == NULL)
		return SA_NONE;
	for (const struct tie_sa *other = tie->newest; other != NULL && n < LOOKED_AT_MAX; n++) {
		if (!other->waits && are_halves(s, state_of_node(other)) &&
		    (found == NULL || other->worker == s->node.worker))
			found = other;
		if (found != NULL && found->worker == s->node.worker)
			break;
		other = other->older;
	}
	return found != NULL ? found->index : SA_NONE;
}

uint32_t
state_sa_outbound(void *ctx, const struct addr *dst, uint32_t spi)
{
	const struct xfrm_ident id = { .dst = *dst, .spi = spi, .proto = XFRM_PROTO_ESP };
	const struct daemons *d = ctx;
	const struct state *s;
	uint32_t index;

	s = state_find(d, &id, NULL, &index);
	if (s == NULL || s->kind != STATE_ESP || s->node.index == SA_NONE || s->node.waits ||
	    s->dir == XFRM_SA_DIR_IN)
		return SA_NONE;
	return s->node.index;
}
