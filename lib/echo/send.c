#include <stdlib.h>
#include <string.h>

#include <rte_esp.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "ctl/sas.h"
#include "echo/state.h"
#include "pipe/pipe.h"
#include "worker/mailbox.h"

#define TRAILER 2 /* pad length, next header */

/* What stands before the ESP header, and of that the header that is the packet's own. */
static uint16_t
outer_size(const struct sa *sa, uint16_t *own)
{
	uint16_t ip = (sa->flags & SA_V6) != 0 ? sizeof(struct rte_ipv6_hdr) :
						 sizeof(struct rte_ipv4_hdr);

	*own = 0;
	if ((sa->flags & SA_TRANSPORT) == 0)
		return tunnel_out_size(&sa->out);
	*own = ip;
	return ip + ((sa->flags & SA_UDP) != 0 ? sizeof(struct rte_udp_hdr) : 0);
}

uint16_t
echo_outer_of(const struct gw *gw, uint32_t sa, uint16_t n)
{
	const struct sa *s = sa_at(&gw->sas, sa);
	uint16_t own;

	return (uint16_t)(outer_size(s, &own) + s->esp_size +
			  RTE_ALIGN_CEIL(n + TRAILER, s->suite.align) + s->suite.icv_len);
}

/* The largest text, without its trailer, whose packet has at most outer octets; -1: none. */
static int
text_of(const struct gw *gw, uint32_t sa, uint16_t outer)
{
	const struct sa *s = sa_at(&gw->sas, sa);
	uint16_t own;
	int room = (int)outer - outer_size(s, &own) - s->esp_size - s->suite.icv_len;

	if (room < s->suite.align)
		return -1;
	return room - room % s->suite.align - TRAILER;
}

uint16_t
echo_data_max(const struct gw *gw, uint32_t sa)
{
	int text = text_of(gw, sa, sa_at(&gw->sas, sa)->out.path_mtu);

	return text > ESP_ECHO_SIZE ? (uint16_t)(text - ESP_ECHO_SIZE) : 0;
}

uint16_t
echo_outer_size(const struct gw *gw, uint32_t sa, uint16_t outer)
{
	int text = text_of(gw, sa, outer);

	return text < ESP_ECHO_SIZE_MAX ? 0 : echo_outer_of(gw, sa, (uint16_t)text);
}

struct echo_send *
echo_send_new(struct echo *e, uint32_t sa, uint16_t n)
{
	struct echo_send *s = NULL;

	if (e->n_sends < ECHO_SENDS_MAX)
		s = malloc(sizeof(*s) + n);
	if (s == NULL)
		return NULL;
	*s = (struct echo_send) { .job = { .sa = sa, .echo = { .data_len = n } } };
	if (sa == SA_NONE)
		return s;
	s->generation = sa_at(&e->gw->sas, sa)->generation;
	s->job.src = sa_cold(&e->gw->sas, sa)->src;
	s->job.dst = sa_cold(&e->gw->sas, sa)->dst;
	return s;
}

/* The worker's: the packet, and its way from here on. */
static void
send_run(struct worker *w, void *arg)
{
	struct esp_echo_job *job = arg;
	enum stage_id first = job->sa == SA_NONE ? STAGE_PLAIN_ECHO : STAGE_LIFE_COUNT_OUT;
	struct rte_mbuf *m = esp_echo_make(w, job);

	/* The job is control's again. */
	if (m != NULL)
		pipe_run(w, first, &m, 1);
}

/* -1: the SA has ended; 0: not now. */
static int
post(struct echo *e, struct echo_send *s)
{
	struct gw *gw = e->gw;
	uint16_t worker = s->worker;
	const struct sa *sa;

	if (s->job.sa != SA_NONE) {
		sa = sa_again(&gw->sas, s->job.sa, s->generation);
		/* An SA is destroyed only when all mail posted before is run. */
		if (sa == NULL || !sa_is_live(gw, s->job.sa))
			return -1;
		/* It has none that may write its lane: the next look finds the new one. */
		if (sa_is_moving(sa))
			return 0;
		worker = sa_lane_owner(sa, s->job.lane, gw->n_workers);
	}
	return mailbox_post(gw->workers[worker], (struct mail) { send_run, &s->job }) == 0;
}

static void
send_end(struct echo *e, struct echo_send *s)
{
	if (s->wait != NULL)
		s->wait->send = NULL;
	e->n_sends--;
	free(s);
}

/* True: it is over. */
static bool
advance(struct echo *e, struct echo_send *s)
{
	int rc = s->posted ? 1 : post(e, s);

	if (rc < 0) {
		if (s->wait != NULL)
			echo_wait_end(e, s->wait, ECHO_SA_GONE);
		return true;
	}
	s->posted = rc > 0;
	if (!s->posted || esp_echo_job_state(&s->job) == ESP_ECHO_WAITING)
		/* Nobody wants to know any more, and nobody has it. */
		return !s->posted && s->wait == NULL && s->job.echo.type == ESP_ECHO_REQUEST;
	if (s->wait != NULL)
		echo_wait_sent(e, s->wait, &s->job);
	return true;
}

void
echo_send_go(struct echo *e, struct echo_send *s)
{
	*e->sends_end = s;
	e->sends_end = &s->next;
	e->n_sends++;
	s->posted = post(e, s) > 0;
}

void
echo_sends_tick(struct echo *e)
{
	struct echo_send **at = &e->sends, *s;

	while ((s = *at) != NULL) {
		if (!advance(e, s)) {
			at = &s->next;
			continue;
		}
		*at = s->next;
		if (s->next == NULL)
			e->sends_end = at;
		send_end(e, s);
	}
}

void
echo_sends_free(struct echo *e)
{
	struct echo_send *s;

	while ((s = e->sends) != NULL) {
		e->sends = s->next;
		free(s);
	}
	e->sends_end = &e->sends;
	e->n_sends = 0;
}
