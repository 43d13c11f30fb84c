#include "hold/hold.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>

#include "spd/spd.h"
#include "wire/bytes.h"
#include "worker/mailbox.h"

#define AGAIN_NS UINT64_C(1000000000)

/* What the first four octets of the upper layer say of the packet's flow. */
static void
ports_fill(struct acquire_event *e, const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *l4 = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);

	if ((p->flags & PKT_FRAG_LATER) != 0 || m->data_len < p->l4_off + 4)
		return;
	switch (p->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		e->src_port = (uint16_t)(l4[0] << 8 | l4[1]);
		e->dst_port = (uint16_t)(l4[2] << 8 | l4[3]);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		e->src_port = l4[0];
		e->dst_port = l4[1];
		break;
	default:
		break;
	}
}

static void
event_fill(struct acquire_event *e, const struct worker *w, const struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct pkt *p = pkt_of(m);
	bool v6 = (p->flags & PKT_V6) != 0;

	e->family = v6 ? 6 : 4;
	e->proto = p->proto;
	e->worker = (uint8_t)w->index;
	e->policy = p->policy;
	e->name = spd_policy(w->view->spd, p->policy)->name;
	memcpy(e->src, ip + (v6 ? 8 : 12), v6 ? 16 : 4);
	memcpy(e->dst, ip + (v6 ? 24 : 16), v6 ? 16 : 4);
	ports_fill(e, m, p);
}

/* Once in AGAIN_NS of one thing. */
static void
raise(struct worker *w, const struct rte_mbuf *m, struct acquired *told, struct acquired now,
      const struct acquire_event *what)
{
	struct worker_event e = { .acquire = *what };

	if (told->at != 0 && told->what == now.what && told->name == now.name &&
	    w->now - told->at < AGAIN_NS)
		return;
	if (!pace_take(&w->hold->pace, w->now, w->hold->rate))
		return;
	event_fill(&e.acquire, w, m);
	now.at = RTE_MAX(w->now, UINT64_C(1));
	if (mailbox_raise(w, &e))
		*told = now;
}

void
acquire_raise(struct worker *w, const struct rte_mbuf *m, bool held)
{
	const struct acquire_event e = { .kind = EVENT_ACQUIRE, .held = held };
	uint32_t policy = pkt_of(m)->policy;
	uint32_t name = spd_policy(w->view->spd, policy)->name;

	raise(w, m, &w->hold->acquired[policy % ACQUIRED_SLOTS],
	      (struct acquired) { policy, name, 0 }, &e);
}

void
acquire_raise_own(struct worker *w, const struct rte_mbuf *m, uint32_t choice)
{
	const struct acquire_event e = { .kind = EVENT_ACQUIRE, .own = true };

	if (w->hold != NULL)
		raise(w, m, &w->hold->acquired[choice % ACQUIRED_SLOTS],
		      (struct acquired) { choice | CHOICE_MARK, 0, 0 }, &e);
}
