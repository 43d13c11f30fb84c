/* Peers behind a NAT whose address or port changed (RFC 3948 section 4, RFC 7296 section 2.23). */
#include "esp/esp.h"

#include <string.h>

#include <rte_byteorder.h>

#include "sa/sa.h"
#include "worker/mailbox.h"
#include "worker/worker.h"

#define AGAIN_NS      UINT64_C(1000000000)
#define SAME_AGAIN_NS (2 * AGAIN_NS)

static bool
is_told(const struct moved *told, const struct mapping_event *e)
{
	return told->sa == e->sa && told->generation == e->generation && told->port == e->port &&
	       memcmp(told->address, e->address, sizeof(e->address)) == 0;
}

/* As long as it goes on, since nobody may have listened: a daemon that is just being started, or
 * one that was told of another place a moment ago. SAs that share a slot wait for each other, so
 * none is told of twice a second.
 */
static void
tell(struct worker *w, const struct worker_event *event)
{
	const struct mapping_event *e = &event->mapping;
	struct moved *told = &w->esp->moved[e->sa % ESP_MOVED_SLOTS];

	if (told->at != 0 && w->now - told->at < (is_told(told, e) ? SAME_AGAIN_NS : AGAIN_NS))
		return;
	if (!mailbox_raise(w, event))
		return;
	*told = (struct moved) {
		.sa = e->sa,
		.generation = e->generation,
		.port = e->port,
		.at = RTE_MAX(w->now, UINT64_C(1)),
	};
	memcpy(told->address, e->address, sizeof(told->address));
}

void
mapping_check(struct worker *w, const struct rte_mbuf *m, const struct sa *sa)
{
	const struct pkt *p = pkt_of(m);
	bool v6 = (sa->flags & SA_V6) != 0;
	const uint8_t *src = rte_pktmbuf_mtod_offset(m, const uint8_t *, v6 ? 8 : 12);
	struct worker_event e = { .mapping = {
					  .kind = EVENT_MAPPING,
					  .family = v6 ? 6 : 4,
					  .port = rte_be_to_cpu_16(p->udp_src_be),
					  .sa = p->sa,
					  .generation = p->generation,
				  } };

	if ((sa->in.udp_remote_be == 0 || sa->in.udp_remote_be == p->udp_src_be) &&
	    memcmp(sa->in.remote, src, v6 ? 16 : 4) == 0)
		return;
	memcpy(e.mapping.address, src, v6 ? 16 : 4);
	tell(w, &e);
}
