#include "ctl/paths.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_random.h>

#include "ctl/log.h"
#include "ctl/sas.h"
#include "mirror/mirror.h"
#include "pmtu/too_big.h"
#include "punt/punt.h"
#include "route/route.h"
#include "worker/pkt.h"

/* What one look reads of a worker: each costs a microsecond or so. */
#define ERRORS_MAX 32

struct paths {
	struct gw *gw;
	struct pmtu *pmtu;
	uint64_t consumed; /* frames that no mirror was given */
	uint8_t message[TOO_BIG_MESSAGE];
};

/* What file and link say, whatever is learnt. */
static uint16_t
allowed_by(const struct gw *gw, uint32_t sa, uint16_t next_hop)
{
	const struct next_hop *hop = route_hop(gw->route, next_hop);
	uint16_t outer = sa_cold(&gw->sas, sa)->path_mtu;

	if ((hop->flags & (HOP_NOWHERE | HOP_IS_LOCAL)) == 0)
		outer = RTE_MIN(outer, hop->mtu);
	return outer;
}

static uint16_t
allowed(void *ctx, uint32_t sa)
{
	const struct paths *p = ctx;

	return allowed_by(p->gw, sa, sa_at(&p->gw->sas, sa)->next_hop);
}

static void
apply(void *ctx, uint32_t sa)
{
	const struct paths *p = ctx;

	sa_remeasure(p->gw, sa);
}

static void
tell(void *ctx, const struct pmtu_change *c)
{
	const struct gw *gw = ((const struct paths *)ctx)->gw;
	char name[SA_NAME_MAX] = "one that is gone";

	if (c->sa != SA_NONE)
		sa_name(sa_cold(&gw->sas, c->sa), name);
	if (c->now == 0)
		GW_LOG(INFO, "path of SA %s: MTU %u is forgotten\n", name, c->was);
	else
		GW_LOG(NOTICE, "path of SA %s: MTU %u (%s)\n", name, c->now,
		       pmtu_source_names[c->source]);
	if (gw->hooks.path_mtu != NULL)
		gw->hooks.path_mtu(gw->hooks.ctx, c);
}

int
paths_init(struct gw *gw, struct err *err)
{
	struct pmtu_params params = {
		.sas = &gw->sas,
		.max_sas = gw->conf->gateway.max_sas,
		.seed = rte_rand(),
		.allowed = allowed,
		.apply = apply,
		.tell = tell,
	};

	gw->paths = calloc(1, sizeof(*gw->paths));
	if (gw->paths == NULL)
		return err_set(err, -ENOMEM, "no memory for path MTUs");
	gw->paths->gw = gw;
	params.ctx = gw->paths;
	return pmtu_create(&params, &gw->paths->pmtu, err);
}

void
paths_fini(struct gw *gw)
{
	if (gw->paths == NULL)
		return;
	pmtu_free(gw->paths->pmtu);
	free(gw->paths);
	gw->paths = NULL;
}

void
paths_sa_add(struct gw *gw, uint32_t sa, const struct conf_sa *c)
{
	const struct pmtu_rules rules = {
		.icmp = c->pmtu.icmp,
		.probe = c->pmtu.probe,
		.floor = (uint16_t)c->pmtu.floor,
		.age_s = (uint32_t)RTE_MIN(c->pmtu.age_us / 1000000, (uint64_t)UINT32_MAX),
	};

	if (gw->paths != NULL && (sa_at(&gw->sas, sa)->flags & SA_INBOUND) == 0)
		pmtu_sa_add(gw->paths->pmtu, sa, &rules, clock_now(&gw->clock));
}

void
paths_sa_del(struct gw *gw, uint32_t sa)
{
	if (gw->paths != NULL)
		pmtu_sa_del(gw->paths->pmtu, sa);
}

uint16_t
paths_outer(const struct gw *gw, uint32_t sa, uint16_t next_hop)
{
	uint16_t outer = allowed_by(gw, sa, next_hop);

	return gw->paths == NULL ? outer : pmtu_outer(gw->paths->pmtu, sa, outer);
}

int
paths_set(struct gw *gw, uint32_t sa, uint16_t outer_mtu, enum pmtu_source source, struct err *err)
{
	char name[SA_NAME_MAX];

	if ((sa_at(&gw->sas, sa)->flags & SA_INBOUND) != 0)
		return err_set(err, -EINVAL, "SA %s is inbound: a path MTU is of what is sent",
			       sa_name(sa_cold(&gw->sas, sa), name));
	return pmtu_set(gw->paths->pmtu, sa, outer_mtu, source, clock_now(&gw->clock), err);
}

void
paths_sender_set(struct gw *gw, const struct pmtu_sender *sender)
{
	if (gw->paths != NULL)
		pmtu_sender_set(gw->paths->pmtu, sender);
}

void
paths_probe_done(struct gw *gw, uint64_t token, enum pmtu_probe_end end, uint64_t rtt)
{
	if (gw->paths != NULL)
		pmtu_probe_done(gw->paths->pmtu, token, end, rtt, clock_now(&gw->clock));
}

/* From its IP header on. A longer one is none that a router sends. */
static void
error_read(struct paths *p, const struct rte_mbuf *frame, uint64_t now)
{
	uint32_t len = frame->pkt_len - RTE_ETHER_HDR_LEN;
	const void *at = NULL;

	if (len <= sizeof(p->message))
		at = rte_pktmbuf_read(frame, RTE_ETHER_HDR_LEN, len, p->message);
	pmtu_icmp(p->pmtu, at, at != NULL ? len : 0, now);
}

/* A host that no policy keeps it from hears of it, too: it may be about key exchange. */
static void
error_give(struct paths *p, struct rte_mbuf *frame)
{
	const struct pkt *pkt = pkt_of(frame);

	if (pkt->policy == POLICY_NONE && (mirrors_mask(p->gw->mirrors) >> pkt->port & 1) != 0) {
		mirrors_give(p->gw->mirrors, &frame, 1);
		return;
	}
	p->consumed++;
	rte_pktmbuf_free(frame);
}

static uint16_t
errors_take(struct paths *p, struct punt_worker *pw, uint64_t now)
{
	struct rte_mbuf *frames[ERRORS_MAX];
	uint16_t n = punt_take(pw, PUNT_ERRORS, frames, ERRORS_MAX);

	for (uint16_t i = 0; i < n; i++) {
		error_read(p, frames[i], now);
		error_give(p, frames[i]);
	}
	return n;
}

void
paths_tick(struct gw *gw, uint64_t now)
{
	for (uint16_t i = 0; i < gw->n_workers; i++)
		errors_take(gw->paths, gw->workers[i]->punt, now);
	pmtu_tick(gw->paths->pmtu, now);
}

void
paths_drain(struct gw *gw)
{
	for (uint16_t i = 0; i < gw->n_workers; i++)
		while (errors_take(gw->paths, gw->workers[i]->punt, clock_now(&gw->clock)) > 0)
			;
}

void
paths_counts_add(const struct gw *gw, uint64_t consumed[CONSUMED_MAX])
{
	if (gw->paths != NULL)
		consumed[CONSUMED_ICMP_ERROR] += gw->paths->consumed;
}

const struct pmtu *
paths_of(const struct gw *gw)
{
	return gw->paths == NULL ? NULL : gw->paths->pmtu;
}
