#include "esp/lane.h"

#include "replay/stock.h"
#include "tunnel/tunnel.h"

#define HASH_BITS   20 /* of tunnel_flow_label() */
#define CLASS_SHIFT 5  /* TOS to class selector */

uint16_t
lane_among(const struct worker *w, const struct sa *sa, const struct rte_mbuf *m, uint16_t rel)
{
	static const struct tunnel_out no_key;
	const struct pkt *p = pkt_of(m);
	uint32_t n = (sa->lanes - rel + w->n_workers - 1u) / w->n_workers, i;

	if ((sa->flags & SA_LANE_BY_CLASS) != 0)
		i = (p->tos >> CLASS_SHIFT) % n;
	else
		i = (uint32_t)((uint64_t)tunnel_flow_label(&no_key,
							   rte_pktmbuf_mtod(m, const uint8_t *),
							   (p->flags & PKT_V6) != 0) *
				       n >>
			       HASH_BITS);
	return (uint16_t)(rel + i * w->n_workers);
}

struct replay *
window_open(struct worker *w, const struct sa *sa, uint16_t id)
{
	const struct replay_set *set = replay_set_of(sa->windows);
	struct replay *r = w->stock != NULL ? stock_take(w->stock, set->window) : NULL;

	if (r == NULL)
		return NULL;
	replay_init(r, set->window, true, 0);
	replay_publish(sa->windows, id, r);
	return r;
}
