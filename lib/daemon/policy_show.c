/* Policies as they are listed and counted. */
#include <errno.h>

#include "ctl/gw.h"
#include "daemon/policy_spec.h"
#include "daemon/policy_store.h"

bool
dpolicies_next(const struct dpolicies *dp, uint32_t *cursor, struct xfrm_policy *x)
{
	while (*cursor < dp->end) {
		const struct dpolicy *p = dpolicy_at(dp, (*cursor)++);

		if (p == NULL)
			continue;
		dpolicy_read(dp, p, x);
		return true;
	}
	return false;
}

uint32_t
dpolicies_changes(const struct dpolicies *dp)
{
	return dp->changes;
}

bool
dpolicies_view(const struct dpolicies *dp, uint64_t *cursor, struct policy_view *view)
{
	static const char *const directions[] = {
		[XFRM_DIR_IN] = "in",
		[XFRM_DIR_OUT] = "out",
		[XFRM_DIR_FWD] = "fwd",
	};
	uint32_t at = (uint32_t)*cursor;
	const struct dpolicy *p;
	struct xfrm_policy x;
	uint64_t sa;

	if (!dpolicies_next(dp, &at, &x))
		return false;
	*cursor = at;
	p = dpolicy_at(dp, at - 1);
	*view = (struct policy_view) {
		.direction = directions[x.dir],
		.owner = dp->env.owner_text(dp->env.ctx, p->owner),
		.id = x.index,
		.reqid = p->node.tie != NULL ? p->node.tie->key.reqid : 0,
	};
	policy_spec_fill(&x, p->node.tie != NULL, &view->spec, &view->apart, NULL);
	if (p->node.index == POLICY_NONE || p->node.tie == NULL || x.dir != XFRM_DIR_OUT)
		return true;
	sa = spd_out_sa(dp->env.gw->spd, p->node.index);
	view->spec.sa = spd_sa_index(sa);
	view->spec.sa_generation = spd_sa_generation(sa);
	return true;
}

void
dpolicies_info(const struct dpolicies *dp, struct xfrm_spd_info *info)
{
	*info = (struct xfrm_spd_info) {
		.counts = {
			.in = dp->n[XFRM_DIR_IN],
			.out = dp->n[XFRM_DIR_OUT],
			.fwd = dp->n[XFRM_DIR_FWD],
		},
		.hash = { dp->n_buckets, dp->slab.max },
		.v4 = dp->v4,
		.v6 = dp->v6,
		.has_v4 = true,
		.has_v6 = true,
	};
}

int
dpolicies_info_set(struct dpolicies *dp, const struct xfrm_spd_info *info, struct err *err)
{
	if (info->has_v4 && (info->v4.local > 32 || info->v4.remote > 32))
		return err_set(err, -EINVAL, "thresholds of IPv4 %u and %u: at most 32",
			       info->v4.local, info->v4.remote);
	if (info->has_v6 && (info->v6.local > 128 || info->v6.remote > 128))
		return err_set(err, -EINVAL, "thresholds of IPv6 %u and %u: at most 128",
			       info->v6.local, info->v6.remote);
	if (info->has_v4)
		dp->v4 = info->v4;
	if (info->has_v6)
		dp->v6 = info->v6;
	return 0;
}
