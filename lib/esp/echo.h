/* ESP echo in a worker: taken in, given to control, and made as control says. What control does
 * with it is lib/echo.
 *
 * In: esp_strip calls esp_echo_take() with what came under next header 144, the stage plain_echo
 * takes what came with SPI 7 or 8. Rates keep a peer from keeping control busy; requests of a plain
 * echo are answered at once, by the worker.
 *
 * Out: control fills a struct esp_echo_job and mails it to the worker that numbers the SA's lane.
 */
#ifndef ESP_ECHO_H
#define ESP_ECHO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "wire/esp_echo.h"
#include "worker/stage.h"

struct esp_worker;
struct rte_mbuf;
struct rte_ring;
struct worker;

#define ESP_ECHO_RING 256 /* that wait for control, of each worker */

/* Of one SA, and of a worker; a second, and at most so many at once. Answers are those to our own
 * requests, or pretend to be.
 */
#define ESP_ECHO_SA_RATE     10
#define ESP_ECHO_SA_BURST    10
#define ESP_ECHO_ANSWER_RATE 200
#define ESP_ECHO_RATE	     1000
#define ESP_ECHO_BURST	     200

#define ESP_ECHO_BUCKETS 4096 /* by SA index: two SAs so far apart share one */

/* A bucket is the time at which it will be full again (ns). */
struct esp_echo_worker {
	struct rte_ring *up;
	uint64_t all, plain;
	uint64_t requests[ESP_ECHO_BUCKETS], answers[ESP_ECHO_BUCKETS];
};

/* An echo that came, authentic unless it was plain. */
struct esp_echo_seen {
	struct rte_mbuf *m; /* the reader frees it; its data begin with the echo header, or of a
			       plain one with the IP header */
	uint64_t at;	    /* ns: when it was found to be one */
	uint32_t sa, generation; /* it came by; SA_NONE: it was plain */
	struct esp_echo echo;
	uint16_t lane; /* with subspaces: it came by */
	bool whole;    /* it came in a packet that may not be cut on its way, and was not */
	bool nh59;     /* plain, in the layout of the first draft */
};
_Static_assert(sizeof(struct esp_echo_seen) % 4 == 0, "an element of a ring");

/* Control, as all inits. -ENOMEM. */
int esp_echo_worker_init(struct esp_echo_worker *e, int socket, struct err *err);
/* Frees what is still in the ring. */
void esp_echo_worker_fini(struct esp_echo_worker *e);

/* The worker: the packet came out of the SA p->hot with next header 144, its trailer is cut off and
 * its data begin with the outer IP header. It is gone afterwards: consumed, or dropped ping_*.
 */
void esp_echo_take(struct worker *w, struct rte_mbuf *m);

/* Control: the next one of a worker. */
bool esp_echo_next(struct esp_worker *ew, struct esp_echo_seen *seen);

enum esp_echo_job_state {
	ESP_ECHO_WAITING,
	ESP_ECHO_SENT,
	ESP_ECHO_FAILED, /* no mbuf */
};

/* Control's until it is mailed, the worker's until its state is another one than ESP_ECHO_WAITING.
 */
struct esp_echo_job {
	uint32_t sa;   /* out; SA_NONE: a plain one */
	uint16_t lane; /* with subspaces */
	bool probe; /* DF is set whatever the SA says, and nothing is padded but for the cipher */
	bool nh59;  /* plain, in the layout of the first draft: neither header nor data */
	struct addr src, dst; /* of the packet: of a plain one and of transport mode */
	struct esp_echo echo;
	/* The worker's. */
	uint8_t state;	  /* enum esp_echo_job_state; read by esp_echo_job_state() */
	uint64_t sent_at; /* ns */
	/* Data, echo.data_len octets; NULL: 0, 1, 2 … */
	const uint8_t *data;
};

static inline uint8_t
esp_echo_job_state(const struct esp_echo_job *job)
{
	return __atomic_load_n(&job->state, __ATOMIC_ACQUIRE);
}

/* The worker, between bursts: the packet, for STAGE_LIFE_COUNT_OUT, or of a plain one, which has a
 * next hop, for STAGE_NEIGH_WRITE_OUT; counted as generated. NULL: no mbuf, or no way for a plain
 * one. The job is control's again.
 */
struct rte_mbuf *esp_echo_make(struct worker *w, struct esp_echo_job *job);

/* For the stage plain_echo. */

/* A plain echo that answers one of ours, whole; to control, or dropped ping_rate, ping_q. */
void esp_echo_give_plain(struct worker *w, struct rte_mbuf *m, const struct esp_echo *echo,
			 bool nh59);

/* A plain echo: an IP packet without a next hop. data: in the mbuf `from` at an offset; from NULL:
 * as the job has it. NULL: no mbuf.
 */
struct rte_mbuf *esp_echo_plain_make(struct worker *w, const struct esp_echo_job *job, uint32_t spi,
				     const struct rte_mbuf *from, uint32_t at);

/* The 4 octets behind the ESP header in the layout of the first draft: padding, its length, next
 * header 59. */
#define ESP_ECHO_NH59 0x0102023b

#endif
