/* Between the files of lib/echo. */
#ifndef ECHO_STATE_H
#define ECHO_STATE_H

#include "base/addr.h"
#include "ctl/gw.h"
#include "echo/echo.h"
#include "esp/echo.h"

#define ECHO_CHAINS    1024		   /* power of two */
#define ECHO_SENDS_MAX 16384		   /* that workers have, or are to get */
#define ECHO_DATA_MAX  512		   /* of an answer to what is no probe */
#define ECHO_BUSY_NS   (2 * NS_PER_SECOND) /* after a request: another may come */
#define ECHO_PLAIN_NS  (60 * NS_PER_SECOND)

/* A peer, as far as addresses tell. port: of its UDP, host order; 0 without UDP. */
struct echo_peer {
	struct addr addr;
	bool udp;
	uint16_t port;
};

/* An echo of ours. In a chain by id and number from its start until its result is told. */
struct echo_wait {
	struct echo_wait *next;	 /* of its chain */
	struct echo_wait *later; /* of those that have ended */
	uint64_t handle;
	uint16_t id, seq;
	bool plain, ended;
	struct echo_peer peer;
	/* The other half, when it was sent. */
	uint32_t pair, pair_generation, pair_spi;
	uint64_t pair_packets;
	uint32_t wanted_spi; /* 0: none */
	uint64_t deadline, sent_at;
	struct echo_send *send; /* its packet, until a worker has sent it */
	echo_fn *fn;		/* NULL: cancelled */
	void *arg;
	struct echo_result result;
};

/* A packet for a worker. */
struct echo_send {
	struct echo_send *next;
	struct echo_wait *wait; /* NULL: an answer, or nobody waits any more */
	bool posted;
	uint16_t worker; /* of a plain one */
	uint32_t generation;
	struct esp_echo_job job;
	uint8_t data[];
};

/* Outbound SAs of the file by SPI, and those of its long form by their ends. */
struct echo_index {
	uint32_t of; /* which configuration, as gw->n_confs counts them; 0: none */
	uint32_t n_spis, n_ends;
	struct echo_key {
		uint64_t key;
		uint32_t sa; /* of conf->sas */
	} * spis, *ends;
};

struct echo {
	struct gw *gw;
	struct echo_wait *chains[ECHO_CHAINS];
	struct echo_wait *ended, **ended_end;
	struct echo_send *sends, **sends_end;
	struct echo_index index;
	uint32_t n_waits, n_sends;
	uint64_t next_deadline; /* none is earlier */
	uint64_t asked_at;	/* the last request; 0: none */
	uint64_t plain_at;	/* the last plain echo of ours */
	uint32_t serial;
	uint16_t next_id;
	struct echo_counters count;
};

/* ---- pair.c ---- */

bool echo_same_peer(const struct echo_peer *a, const struct echo_peer *b);
void echo_peer_of(const struct gw *gw, uint32_t sa, struct echo_peer *peer);
/* The outbound SA of that peer with that SPI; SA_NONE: there is none, or it is another's. */
uint32_t echo_outbound(struct gw *gw, const struct echo_peer *peer, uint32_t spi);
void echo_index_free(struct echo_index *index);
/* Whether it is IP-TFS at a constant rate, beside which an echo would be seen. */
bool echo_is_paced(const struct gw *gw, uint32_t sa);

/* ---- send.c ---- */

/* A packet with room for n octets of data; NULL: no memory, or too many. */
struct echo_send *echo_send_new(struct echo *e, uint32_t sa, uint16_t n);
/* To its worker, now or when that takes it. */
void echo_send_go(struct echo *e, struct echo_send *s);
void echo_sends_tick(struct echo *e);
void echo_sends_free(struct echo *e);

/* Octets of data that an SA takes at once, without a return SPI. */
uint16_t echo_data_max(const struct gw *gw, uint32_t sa);
/* Of the outer packet around a text of n octets, padding included. */
uint16_t echo_outer_of(const struct gw *gw, uint32_t sa, uint16_t n);

/* ---- respond.c ---- */

void echo_respond(struct echo *e, const struct esp_echo_seen *seen);

/* ---- plain.c ---- */

void echo_plain_take(struct echo *e, const struct esp_echo_seen *seen);
/* Nobody has sent any for long: what comes with SPI 8 is nobody's again. */
void echo_plain_rest(struct echo *e, uint64_t now);

/* ---- echo.c ---- */

int echo_start_check(const struct gw *gw, struct err *err);
/* A wait for the answer to what s is to send, which it takes; NULL: no memory. */
struct echo_wait *echo_wait_new(struct echo *e, const struct echo_request *r, struct echo_send *s,
				echo_fn *fn, void *arg);
/* The first of the chain that they may be in. */
struct echo_wait *echo_wait_of(struct echo *e, uint16_t id, uint16_t seq);
void echo_answered(struct echo *e, struct echo_wait *w, const struct esp_echo_seen *seen);
/* Whether the wait's packet left, when its worker has had it. */
void echo_wait_sent(struct echo *e, struct echo_wait *w, const struct esp_echo_job *job);
void echo_wait_end(struct echo *e, struct echo_wait *w, enum echo_end end);

#endif
