#include "ctl/comp.h"

#include <errno.h>

#include "ipcomp/ipcomp.h"

int
comp_params(struct gw *gw, struct sa_params *p, const struct conf_sa *c, struct err *err)
{
	if (!c->ipcomp.on)
		return 0;
	if (gw->workers[0]->ipcomp == NULL)
		return err_set(err, -ENOTSUP, "sa %s: ipcomp: no codec is built in", c->name);
	p->ipcomp = (struct ipcomp_params) {
		.on = true,
		.cpi = (uint16_t)c->ipcomp.cpi,
		.threshold = c->ipcomp.threshold,
		.max_output = c->ipcomp.max_output,
		.xt = c->ipcomp.xt,
		.stored = c->ipcomp.stored,
		/* What a worker writes it writes alone. */
		.n_cells = p->subspaces ? gw->n_workers : 1,
	};
	gw_need_stage(gw, p->inbound ? STAGE_IPCOMP_DECAP : STAGE_IPCOMP_ENCAP);
	return 0;
}

void
comp_off(struct gw *gw, uint32_t sa)
{
	const struct sa_more *more = sa_more(sa_at(&gw->sas, sa));

	if ((sa_at(&gw->sas, sa)->flags & SA_IPCOMP) != 0)
		__atomic_store_n(&more->comp->off, true, __ATOMIC_RELAXED);
}
