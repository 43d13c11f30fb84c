/* Control's notes of the SAs that ports' devices do, and of these. Inside lib/ctl only. */
#ifndef CTL_OFFLOAD_BOOK_H
#define CTL_OFFLOAD_BOOK_H

#include "ctl/gw.h"
#include "numbers/numbers.h"
#include "port/offload.h"

/* Of an SA whose engine is inline. */
struct offload_book {
	struct offload_session *session; /* NULL: no device has it */
	uint8_t kind;			 /* enum offload_kind */
	uint8_t port;
	bool waits;	/* for being published, or for its port to start */
	bool withdrawn; /* its session is to end: no worker is to use it */
	bool published;
	bool kept;     /* what its session counted is in that of its port */
	bool own;      /* the device counts its numbers, or keeps its window */
	bool spent;    /* it did: never again */
	uint64_t lost; /* packets that were dropped since the device did not have it */
	char *why;     /* software does it: why; NULL: it is not known, or it does not */
};

struct offloads {
	uint8_t n_ports;  /* that have a device of the kind */
	bool room;	  /* offloads_room() was called, and not all SAs were offered since */
	uint32_t room_at; /* the next one */
	uint8_t room_refusals;
	struct offload_table *table;
	struct offload_book **books; /* by SA; NULL for most */
	struct {
		char *why;		    /* it has none: why */
		struct offload_counts past; /* of sessions that have ended */
		uint64_t refused;	    /* sessions */
	} ports[PORTS_MAX];
	/* Keys whose window was a device's once in this run: what they have received nobody here
	 * knows. */
	uint8_t (*windows)[NUMBERS_HASH_SIZE];
	uint32_t n_windows;
};

/* NULL: its engine is another. */
static inline struct offload_book *
offload_book_of(const struct gw *gw, uint32_t index)
{
	return gw->offloads != NULL && gw->offloads->n_ports != 0 ? gw->offloads->books[index] :
								    NULL;
}

/* Its session, if it has one, ends: software does it from now on. */
void offload_session_leave(struct gw *gw, uint32_t index, struct offload_book *b);

/* A device is about to keep an inbound SA's window. -ENOSPC, -ENOMEM. */
int offload_window_note(struct gw *gw, uint32_t index, struct err *err);
/* An SA is about to be published: one with a key whose window was a device's would take again what
 * that has taken, so it takes nothing. */
void offload_window_check(struct gw *gw, uint32_t index);

static inline const struct offload *
driver_of(const struct gw *gw)
{
	return gw->options.offload;
}

/* NULL: it has none. Only where offloads_any(). */
static inline struct offload_port *
device_of(const struct gw *gw, uint8_t port)
{
	return gw->offloads->table->ports[port];
}

#endif
