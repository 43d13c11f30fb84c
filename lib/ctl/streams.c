#include "ctl/streams.h"

#include <rte_hash_crc.h>

#define NS_PER_US UINT64_C(1000)

void
streams_params(struct gw *gw, struct sa_params *p, const struct conf_sa *c)
{
	const struct conf_iptfs *t = &c->iptfs;

	if (c->mode != CONF_IPTFS)
		return;
	p->iptfs = (struct aggfrag_params) {
		.on = true,
		.dont_frag = t->dont_frag,
		.congestion_control = t->congestion_control,
		.reorder_window = (uint16_t)t->reorder_window,
		.drop_time = t->drop_time_us * NS_PER_US,
		.send_immediately = t->send_immediately,
	};
	if (!p->inbound) {
		p->iptfs.rate_l2 = t->layer == CONF_LAYER_L2;
		p->iptfs.rate_bps = t->rate_bps;
		p->iptfs.packet_size = (uint16_t)t->packet_size; /* CONF_AUTO is 0 */
		p->iptfs.init_delay = t->init_delay_us * NS_PER_US;
		p->iptfs.max_queue = t->max_queue;
		p->iptfs.max_wait = t->max_aggregation_us * NS_PER_US;
		p->iptfs.breaker_percent = t->breaker.on ? t->breaker.loss_percent : 0;
		p->iptfs.breaker_time = t->breaker.time_us * NS_PER_US;
	}
	gw_need_stage(gw, p->inbound ? STAGE_IPTFS_SPLIT : STAGE_IPTFS_FILL);
}

uint16_t
streams_worker(const struct gw *gw, const struct conf_sa *c)
{
	bool out = c->direction == CONF_OUT;
	const struct addr *ours = out ? &c->src : &c->dst, *peer = out ? &c->dst : &c->src;
	/* Several tunnels of one peer need not be one worker's; the long form's halves are two
	 * items. */
	uint32_t which = c->mark.list == CONF_LIST_SAS ? 0 : c->mark.index;
	uint32_t hash = rte_hash_crc(ours->octets, sizeof(ours->octets), which);

	hash = rte_hash_crc(peer->octets, sizeof(peer->octets), hash);
	return (uint16_t)(hash % gw->n_workers);
}
