#include "echo/echo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_mbuf.h>
#include <rte_random.h>

#include "ctl/sas.h"
#include "echo/state.h"
#include "numbers/numbers.h"
#include "route/route.h"
#include "sad/sad.h"

int
echo_init(struct gw *gw, struct err *err)
{
	struct echo *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return err_set(err, -ENOMEM, "no memory for ESP echo");
	e->gw = gw;
	e->ended_end = &e->ended;
	e->sends_end = &e->sends;
	/* Who is not on the way does not know what we ask with. */
	e->next_id = (uint16_t)rte_rand();
	gw->echo = e;
	return 0;
}

static struct echo_wait **
chain_of(struct echo *e, uint16_t id, uint16_t seq)
{
	return &e->chains[(id * UINT32_C(0x9e3779b1) + seq) & (ECHO_CHAINS - 1)];
}

struct echo_wait *
echo_wait_of(struct echo *e, uint16_t id, uint16_t seq)
{
	return *chain_of(e, id, seq);
}

static void
wait_free(struct echo *e, struct echo_wait *w)
{
	struct echo_wait **at = chain_of(e, w->id, w->seq);

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (w->send != NULL)
		w->send->wait = NULL;
	e->n_waits--;
	free(w);
}

void
echo_fini(struct gw *gw)
{
	struct echo *e = gw->echo;
	struct esp_echo_seen seen;

	if (e == NULL)
		return;
	for (uint16_t i = 0; i < gw->n_workers; i++)
		while (esp_echo_next(gw->workers[i]->esp, &seen))
			rte_pktmbuf_free(seen.m);
	for (int i = 0; i < ECHO_CHAINS; i++)
		while (e->chains[i] != NULL)
			wait_free(e, e->chains[i]);
	echo_sends_free(e);
	echo_index_free(&e->index);
	gw->echo = NULL;
	free(e);
}

uint16_t
echo_id(struct gw *gw)
{
	return ++gw->echo->next_id;
}

static uint64_t
pair_packets(const struct gw *gw, const struct echo_wait *w)
{
	struct numbers_counts c;

	if (w->pair == SA_NONE || sa_again(&gw->sas, w->pair, w->pair_generation) == NULL)
		return 0;
	numbers_count(sa_cold(&gw->sas, w->pair)->numbers, &c);
	return c.packets;
}

/* Its result is told at the end of the tick. */
void
echo_wait_end(struct echo *e, struct echo_wait *w, enum echo_end end)
{
	if (w->ended)
		return;
	w->ended = true;
	w->result.end = end;
	w->result.lost = end != ECHO_ANSWERED;
	w->result.heard = w->result.lost && pair_packets(e->gw, w) > w->pair_packets;
	e->count.answered += end == ECHO_ANSWERED;
	e->count.lost += end == ECHO_LOST;
	*e->ended_end = w;
	e->ended_end = &w->later;
}

void
echo_wait_sent(struct echo *e, struct echo_wait *w, const struct esp_echo_job *job)
{
	if (esp_echo_job_state(job) != ESP_ECHO_SENT) {
		echo_wait_end(e, w, ECHO_UNSENT);
		return;
	}
	if (w->result.sent)
		return;
	w->result.sent = true;
	w->sent_at = job->sent_at;
	e->count.sent++;
}

/* ---- Starting. ---- */

static int
size_set(const struct gw *gw, uint32_t sa, const struct echo_request *r, uint16_t *data,
	 struct err *err)
{
	uint16_t head =
		ESP_ECHO_SIZE + ((r->flags & ECHO_RETURN_SPI) != 0 ? ESP_ECHO_RETURN_SIZE : 0);
	uint16_t max = echo_data_max(gw, sa), link, outer;
	const struct next_hop *hop = route_hop(gw->route, sa_at(&gw->sas, sa)->next_hop);

	if ((r->flags & ECHO_PROBE) == 0) {
		*data = r->size;
		if (r->size > max + ESP_ECHO_SIZE - head)
			return err_set(err, -EMSGSIZE, "%u octets of data: the SA takes %d",
				       r->size, max + ESP_ECHO_SIZE - head);
		return 0;
	}
	link = (hop->flags & (HOP_NOWHERE | HOP_IS_LOCAL)) == 0 ? hop->mtu : UINT16_MAX;
	if (r->size > link)
		return err_set(err, -EMSGSIZE, "a probe of %u octets: the link takes %u", r->size,
			       link);
	outer = echo_outer_size(gw, sa, r->size);
	if (outer == 0)
		return err_set(err, -EMSGSIZE,
			       "a probe of %u octets: no echo is so small, %u are the least",
			       r->size, echo_outer_of(gw, sa, ESP_ECHO_SIZE_MAX));
	/* The text is the rest: it ends where the cipher's padding would begin. */
	*data = (uint16_t)(outer - echo_outer_of(gw, sa, head));
	while (echo_outer_of(gw, sa, head + *data + 1) <= outer)
		++*data;
	return 0;
}

static int
return_check(struct gw *gw, uint32_t sa, const struct echo_request *r, struct err *err)
{
	uint32_t in = sad_find(gw->sad, r->return_spi, false, &sa_cold(&gw->sas, sa)->src);
	struct echo_peer peer, its;

	if (in == SA_NONE)
		return err_set(err, -EINVAL, "SPI 0x%x is no inbound SA at our end of this one",
			       r->return_spi);
	echo_peer_of(gw, sa, &peer);
	echo_peer_of(gw, in, &its);
	if (its.port == 0)
		its.port = peer.port;
	if (echo_same_peer(&peer, &its))
		return 0;
	return err_set(err, -EINVAL, "SPI 0x%x is of another peer", r->return_spi);
}

struct echo_wait *
echo_wait_new(struct echo *e, const struct echo_request *r, struct echo_send *s, echo_fn *fn,
	      void *arg)
{
	struct echo_wait *w = calloc(1, sizeof(*w)), **chain = chain_of(e, r->id, r->seq);

	if (w == NULL) {
		free(s);
		return NULL;
	}
	w->id = w->result.id = r->id;
	w->seq = w->result.seq = r->seq;
	w->handle = (uint64_t)++e->serial << 32 | (uint32_t)r->id << 16 | r->seq;
	w->fn = fn;
	w->arg = arg;
	w->pair = SA_NONE;
	w->deadline =
		clock_now(&e->gw->clock) + (r->timeout_ns != 0 ? r->timeout_ns : ECHO_TIMEOUT_NS);
	if (e->n_waits == 0 || w->deadline < e->next_deadline)
		e->next_deadline = w->deadline;
	w->send = s;
	s->wait = w;
	w->next = *chain;
	*chain = w;
	e->n_waits++;
	return w;
}

static void
pair_note(struct gw *gw, struct echo_wait *w, uint32_t sa)
{
	w->pair = echo_pair(gw, sa);
	if (w->pair == SA_NONE)
		return;
	w->pair_generation = sa_at(&gw->sas, w->pair)->generation;
	w->pair_spi = sa_cold(&gw->sas, w->pair)->spi;
	w->pair_packets = pair_packets(gw, w);
}

int
echo_start_check(const struct gw *gw, struct err *err)
{
	if (!gw->running)
		return err_set(err, -ENETDOWN, "the workers do not run");
	if (gw->echo->n_waits >= ECHO_OPEN_MAX)
		return err_set(err, -ENOSPC, "%d echoes wait for their answers already",
			       ECHO_OPEN_MAX);
	return 0;
}

static int
sa_check(struct gw *gw, uint32_t sa, const struct echo_request *r, struct err *err)
{
	if ((sa_at(&gw->sas, sa)->flags & SA_AH) != 0)
		return err_set(err, -EINVAL, "AH carries no echo");
	if ((sa_at(&gw->sas, sa)->flags & SA_INBOUND) != 0 || !sa_is_live(gw, sa))
		return err_set(err, -EINVAL, "no outbound SA that takes packets");
	if (echo_is_paced(gw, sa))
		return err_set(err, -EINVAL,
			       "it has a constant rate, beside which an echo would be seen");
	return (r->flags & ECHO_RETURN_SPI) != 0 ? return_check(gw, sa, r, err) : 0;
}

int
echo_start(struct gw *gw, uint32_t sa, const struct echo_request *r, echo_fn *fn, void *arg,
	   uint64_t *handle, struct err *err)
{
	struct echo *e = gw->echo;
	struct echo_send *s;
	struct echo_wait *w;
	uint16_t data = 0;
	int rc = echo_start_check(gw, err);

	if (rc == 0)
		rc = sa_check(gw, sa, r, err);
	if (rc == 0)
		rc = size_set(gw, sa, r, &data, err);
	if (rc < 0)
		return rc;
	s = echo_send_new(e, sa, 0);
	w = s != NULL ? echo_wait_new(e, r, s, fn, arg) : NULL;
	if (w == NULL)
		return err_set(err, -ENOMEM, "no memory for an echo");
	s->job.probe = (r->flags & ECHO_PROBE) != 0;
	s->job.echo = (struct esp_echo) {
		.type = ESP_ECHO_REQUEST,
		.flags = ((r->flags & ECHO_RETURN_SPI) != 0 ? ESP_ECHO_RETURN : 0) |
			 ((r->flags & ECHO_NODATA) != 0 ? ESP_ECHO_NODATA : 0),
		.data_len = data,
		.id = r->id,
		.seq = r->seq,
		.return_spi = r->return_spi,
	};
	w->wanted_spi = (r->flags & ECHO_RETURN_SPI) != 0 ? r->return_spi : 0;
	w->result.outer = echo_outer_of(gw, sa, esp_echo_size(&s->job.echo) + data);
	echo_peer_of(gw, sa, &w->peer);
	pair_note(gw, w, sa);
	if (handle != NULL)
		*handle = w->handle;
	echo_send_go(e, s);
	return 0;
}

void
echo_cancel(struct gw *gw, uint64_t handle)
{
	struct echo *e = gw->echo;
	struct echo_wait *w;

	if (e == NULL)
		return;
	w = *chain_of(e, (uint16_t)(handle >> 16), (uint16_t)handle);
	while (w != NULL && w->handle != handle)
		w = w->next;
	if (w == NULL)
		return;
	w->fn = NULL;
	/* What has ended is freed where it would be told. */
	if (!w->ended)
		wait_free(e, w);
}

/* ---- What comes. ---- */

/* From a peer whose port is not known beforehand any will do: the answer is authentic, and says
 * what only its peer was told. */
static bool
is_from(const struct gw *gw, const struct echo_wait *w, const struct esp_echo_seen *seen)
{
	struct echo_peer peer;

	if (seen->sa == w->pair && seen->generation == w->pair_generation)
		return true;
	echo_peer_of(gw, seen->sa, &peer);
	if (peer.port == 0)
		peer.port = w->peer.port;
	return echo_same_peer(&peer, &w->peer);
}

void
echo_answered(struct echo *e, struct echo_wait *w, const struct esp_echo_seen *seen)
{
	/* Its worker has sent it, but we have not looked since. */
	if (w->send != NULL && esp_echo_job_state(&w->send->job) != ESP_ECHO_WAITING)
		echo_wait_sent(e, w, &w->send->job);
	if (!w->result.sent)
		return;
	w->result.rtt_ns = seen->at > w->sent_at ? seen->at - w->sent_at : 0;
	w->result.data = seen->echo.data_len;
	if (!w->plain) {
		w->result.spi_in = sa_cold(&e->gw->sas, seen->sa)->spi;
		if (w->wanted_spi != 0)
			w->result.path_differs = w->result.spi_in != w->wanted_spi;
		else
			w->result.path_differs =
				w->pair != SA_NONE && w->result.spi_in != w->pair_spi;
	}
	echo_wait_end(e, w, ECHO_ANSWERED);
}

static void
answer_take(struct echo *e, const struct esp_echo_seen *seen)
{
	struct echo_wait *w = echo_wait_of(e, seen->echo.id, seen->echo.seq);

	while (w != NULL && (w->id != seen->echo.id || w->seq != seen->echo.seq || w->ended ||
			     w->plain || !is_from(e->gw, w, seen)))
		w = w->next;
	if (w != NULL && sa_again(&e->gw->sas, seen->sa, seen->generation) != NULL)
		echo_answered(e, w, seen);
	else
		e->count.unexpected++;
}

static void
seen_take(struct echo *e, const struct esp_echo_seen *seen)
{
	if (seen->sa == SA_NONE)
		echo_plain_take(e, seen);
	else if (sa_again(&e->gw->sas, seen->sa, seen->generation) == NULL)
		e->count.unexpected++;
	else if (seen->echo.type == ESP_ECHO_REQUEST)
		echo_respond(e, seen);
	else
		answer_take(e, seen);
	rte_pktmbuf_free(seen->m);
}

static void
deadlines_look(struct echo *e, uint64_t now)
{
	uint64_t next = UINT64_MAX;

	if (e->n_waits == 0 || now < e->next_deadline)
		return;
	for (int i = 0; i < ECHO_CHAINS; i++) {
		for (struct echo_wait *w = e->chains[i]; w != NULL; w = w->next) {
			if (now >= w->deadline)
				echo_wait_end(e, w, w->result.sent ? ECHO_LOST : ECHO_UNSENT);
			else
				next = RTE_MIN(next, w->deadline);
		}
	}
	e->next_deadline = next;
}

static void
results_tell(struct echo *e)
{
	struct echo_wait *w;

	while ((w = e->ended) != NULL) {
		e->ended = w->later;
		if (e->ended == NULL)
			e->ended_end = &e->ended;
		if (w->fn != NULL)
			w->fn(w->arg, &w->result);
		wait_free(e, w);
	}
}

void
echo_tick(struct gw *gw)
{
	struct echo *e = gw->echo;
	struct esp_echo_seen seen;
	uint64_t now;

	if (e == NULL)
		return;
	echo_sends_tick(e);
	for (uint16_t i = 0; i < gw->n_workers; i++)
		for (int n = 0; n < ESP_ECHO_RING && esp_echo_next(gw->workers[i]->esp, &seen); n++)
			seen_take(e, &seen);
	now = clock_now(&gw->clock);
	deadlines_look(e, now);
	echo_plain_rest(e, now);
	results_tell(e);
}

bool
echo_is_busy(const struct gw *gw)
{
	const struct echo *e = gw->echo;

	if (e == NULL)
		return false;
	return e->n_waits > 0 || e->n_sends > 0 ||
	       (e->asked_at != 0 && clock_now(&gw->clock) - e->asked_at < ECHO_BUSY_NS);
}

void
echo_counters(const struct gw *gw, struct echo_counters *c)
{
	*c = gw->echo != NULL ? gw->echo->count : (struct echo_counters) { 0 };
}
