#include "esp/echo.h"

#include <errno.h>
#include <stdio.h>

#include <rte_byteorder.h>
#include <rte_ip.h>
#include <rte_ring_elem.h>

#include "base/clock.h"
#include "esp/esp.h"
#include "sa/sa.h"
#include "worker/mbufs.h"
#include "worker/worker.h"

int
esp_echo_worker_init(struct esp_echo_worker *e, int socket, struct err *err)
{
	static unsigned int serial;
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "echo_%u", serial++);
	e->up = rte_ring_create_elem(name, sizeof(struct esp_echo_seen), ESP_ECHO_RING, socket,
				     RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	return e->up != NULL ? 0 : err_set(err, -ENOMEM, "no memory for the echoes of a worker");
}

void
esp_echo_worker_fini(struct esp_echo_worker *e)
{
	struct esp_echo_seen seen;

	while (e->up != NULL && rte_ring_sc_dequeue_elem(e->up, &seen, sizeof(seen)) == 0)
		rte_pktmbuf_free(seen.m);
	rte_ring_free(e->up);
}

static bool
has_room(uint64_t full_at, uint64_t now, uint32_t rate, uint32_t burst)
{
	uint64_t interval = NS_PER_SECOND / rate;

	return full_at <= now || full_at - now <= interval * (burst - 1);
}

static void
bucket_take(uint64_t *full_at, uint64_t now, uint32_t rate)
{
	*full_at = (*full_at > now ? *full_at : now) + NS_PER_SECOND / rate;
}

/* One more, if both its own bucket and that of all have room: a peer that floods takes nothing from
 * the others. */
static bool
rate_take(struct esp_echo_worker *e, uint64_t now, uint64_t *own, uint32_t rate, uint32_t burst)
{
	if (!has_room(*own, now, rate, burst) ||
	    !has_room(e->all, now, ESP_ECHO_RATE, ESP_ECHO_BURST))
		return false;
	bucket_take(own, now, rate);
	bucket_take(&e->all, now, ESP_ECHO_RATE);
	return true;
}

static void
give(struct worker *w, struct rte_mbuf *m, const struct esp_echo_seen *seen)
{
	if (rte_ring_sp_enqueue_elem(w->esp->echo.up, (void *)(uintptr_t)seen, sizeof(*seen)) !=
	    0) {
		drop(w, m, DROP_PING_QUEUE);
		return;
	}
	/* It is control's now, which frees it. */
	cell_add(&w->consumed[CONSUMED_ESP_ECHO], 1);
}

/* No router may cut the outer packet, nor did its sender. */
static bool
is_whole(const struct rte_mbuf *m, const struct pkt *p)
{
	const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);

	if ((p->marks & PKT_REASM) != 0)
		return false;
	return (p->flags & PKT_V6) != 0 ||
	       (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) != 0;
}

static enum drop_reason
judge(struct worker *w, const struct rte_mbuf *m, const struct pkt *p, uint16_t off,
      struct esp_echo *echo)
{
	const struct sa *sa = p->hot;
	uint16_t n = RTE_MIN(p->text_len, (uint16_t)ESP_ECHO_SIZE_MAX);
	uint8_t copy[ESP_ECHO_SIZE_MAX];
	struct esp_echo_worker *e = &w->esp->echo;
	uint32_t slot = p->sa % ESP_ECHO_BUCKETS;
	enum esp_echo_verdict verdict;

	verdict = esp_echo_read(rte_pktmbuf_read(m, off, n, copy), n, p->text_len, echo);
	/* What only has the number of echoes is, to an SA without, a next header it does not take.
	 */
	if ((sa->flags & SA_ECHO) == 0 && verdict != ESP_ECHO_OK)
		return DROP_NEXT_HEADER;
	if ((sa->flags & SA_ECHO) == 0 && echo->type == ESP_ECHO_REQUEST)
		return DROP_PING_DISABLED;
	if (verdict != ESP_ECHO_OK)
		return verdict == ESP_ECHO_SHORT ? DROP_PING_SHORT : DROP_PING_TYPE;
	if (echo->type == ESP_ECHO_REQUEST ?
		    rate_take(e, w->now, &e->requests[slot], ESP_ECHO_SA_RATE, ESP_ECHO_SA_BURST) :
		    rate_take(e, w->now, &e->answers[slot], ESP_ECHO_ANSWER_RATE,
			      ESP_ECHO_ANSWER_RATE))
		return DROP_NONE;
	return DROP_PING_RATE;
}

void
esp_echo_take(struct worker *w, struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	uint16_t off = p->esp_off + p->hot->esp_size;
	struct esp_echo_seen seen = {
		.m = m,
		.at = clock_now(w->clock),
		.sa = p->sa,
		.generation = p->generation,
		.lane = p->lane,
		.whole = is_whole(m, p),
	};
	enum drop_reason why = judge(w, m, p, off, &seen.echo);

	if (why != DROP_NONE) {
		drop(w, m, why);
		return;
	}
	mbuf_cut_head(m, off);
	give(w, m, &seen);
}

void
esp_echo_give_plain(struct worker *w, struct rte_mbuf *m, const struct esp_echo *echo, bool nh59)
{
	struct esp_echo_worker *e = &w->esp->echo;
	const struct esp_echo_seen seen = {
		.m = m,
		.at = clock_now(w->clock),
		.sa = SA_NONE,
		.echo = *echo,
		.whole = is_whole(m, pkt_of(m)),
		.nh59 = nh59,
	};

	if (!rate_take(e, w->now, &e->plain, ESP_ECHO_ANSWER_RATE, ESP_ECHO_ANSWER_RATE)) {
		drop(w, m, DROP_PING_RATE);
		return;
	}
	give(w, m, &seen);
}

bool
esp_echo_next(struct esp_worker *ew, struct esp_echo_seen *seen)
{
	return rte_ring_sc_dequeue_elem(ew->echo.up, seen, sizeof(*seen)) == 0;
}
