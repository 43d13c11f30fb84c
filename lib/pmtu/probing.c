/* Probers of paths, in line for the few probes that may be on their way at once. */
#include <rte_common.h>

#include "pmtu/inner.h"

#define SECOND UINT64_C(1000000000)

const char *const pmtu_prober_names[] = {
	[PROBER_OFF] = "off",	  [PROBER_BASE] = "base",	  [PROBER_SEARCH] = "search",
	[PROBER_ERROR] = "error", [PROBER_COMPLETE] = "complete",
};

static void
line_up(struct pmtu *p, struct path *path)
{
	uint32_t link = path_index(p, path) + 1;

	if (path->ready || path->flying)
		return;
	path->ready = true;
	path->next_ready = 0;
	if (p->last_ready == 0)
		p->first_ready = link;
	else
		path_at(p, p->last_ready - 1)->next_ready = link;
	p->last_ready = link;
}

static struct path *
line_take(struct pmtu *p)
{
	struct path *path = path_at(p, p->first_ready - 1);

	p->first_ready = path->next_ready;
	if (p->first_ready == 0)
		p->last_ready = 0;
	path->ready = false;
	return path;
}

void
probing_look(struct pmtu *p, struct path *path, uint64_t now)
{
	if (prober_is_due(&path->prober, now))
		line_up(p, path);
}

void
probing_begin(struct pmtu *p, struct path *path, uint32_t sa, uint64_t now)
{
	uint16_t allowed = p->params.allowed(p->params.ctx, sa);
	uint16_t floor = RTE_MIN(slot_floor(p, sa), allowed);

	if (path->prober.state != PROBER_OFF && path->prober.floor == floor)
		return;
	prober_begin(&path->prober, path->key.family == 6, floor, allowed,
		     pmtu_outer(p, sa, allowed), p->slots[sa].age_s * SECOND, now);
	probing_look(p, path, now);
}

void
probing_forget(struct pmtu *p, struct path *path)
{
	path->prober = (struct prober) { .state = PROBER_OFF };
}

/* What the prober found is what the path carries: no more is known than that nothing was learnt
 * where that is all that the link allows.
 */
static void
found(struct pmtu *p, struct path *path, bool lowered, uint64_t now)
{
	uint32_t sa = path_sa(p, &path->key, SLOT_PROBE);

	if (sa == SA_NONE)
		return;
	count(p, lowered ? PMTU_COUNT_PROBE_LOWERED : PMTU_COUNT_PROBE_RAISED);
	if (path->prober.mtu >= path->prober.ceiling)
		path_forget(p, path);
	else
		path_learn(p, path, sa, path->prober.mtu, PMTU_PROBE, now);
}

/* An SA that was not used lately needs no validation. */
static bool
was_used(const struct pmtu *p, uint32_t sa, uint64_t now)
{
	uint64_t used = sa_cold(p->params.sas, sa)->last_used;

	return used != 0 && now - used < 2 * PROBER_VALIDATE_NS;
}

/* The next probe of a path; true: it is on its way. */
static bool
probe_one(struct pmtu *p, struct path *path, uint64_t now)
{
	uint32_t sa = path_sa(p, &path->key, SLOT_PROBE), index = path_index(p, path);
	uint64_t token;
	uint16_t allowed;

	if (sa == SA_NONE) {
		probing_forget(p, path);
		path_settle(p, path);
		return false;
	}
	allowed = p->params.allowed(p->params.ctx, sa);
	prober_ceiling(&path->prober, allowed, now);
	if (!prober_is_due(&path->prober, now))
		return false;
	if (prober_is_idle(&path->prober, now) && !was_used(p, sa, now)) {
		prober_skip(&path->prober, now);
		return false;
	}
	token = (uint64_t)p->paths.books[index >> SLAB_CHUNK_SHIFT]
				->generation[index & SLAB_CHUNK_MASK]
			<< 32 |
		index;
	path->flying = true;
	if (!p->sender.send(p->sender.ctx, sa, path->prober.size, prober_timeout(&path->prober),
			    token)) {
		path->flying = false;
		path->prober.due = now + SECOND;
		return false;
	}
	path->flying_size = path->prober.size;
	p->n_flying++;
	count(p, PMTU_COUNT_PROBES_SENT);
	return true;
}

void
probing_tick(struct pmtu *p, uint64_t now)
{
	if (p->sender.send == NULL)
		return;
	while (p->first_ready != 0 && p->n_flying < PMTU_PROBES_MAX) {
		if (!pace_take(&p->pace, now, PMTU_PROBE_RATE))
			return;
		probe_one(p, line_take(p), now);
	}
}

/* What came of the probe of a path. */
static void
learn(struct pmtu *p, struct path *path, bool lost, uint64_t rtt, uint64_t now)
{
	struct prober *prober = &path->prober;
	uint16_t was = prober->mtu;
	bool changed;

	/* The prober may want to know something else by now. */
	if (path->flying_size != prober->size)
		return;
	changed = lost ? prober_lost(prober, now) : prober_answered(prober, rtt, now);
	if (changed)
		found(p, path, prober->mtu < was, now);
}

void
pmtu_probe_done(struct pmtu *p, uint64_t token, enum pmtu_probe_end end, uint64_t rtt, uint64_t now)
{
	struct path *path = slab_find(&p->paths, (uint32_t)token, (uint32_t)(token >> 32));

	p->n_flying--;
	if (end == PMTU_PROBE_LOST)
		count(p, PMTU_COUNT_PROBES_LOST);
	if (path == NULL || !path->flying)
		return;
	path->flying = false;
	if (end == PMTU_PROBE_UNSENT)
		path->prober.due = now + SECOND;
	else
		learn(p, path, end == PMTU_PROBE_LOST, rtt, now);
	probing_look(p, path, now);
	path_settle(p, path);
}
