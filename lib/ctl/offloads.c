#include "ctl/offloads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/engines.h"
#include "ctl/log.h"
#include "ctl/offload_ask.h"
#include "ctl/offload_book.h"
#include "numbers/numbers.h"
#include "port/port.h"
#include "sad/sad.h"

#define LINGER_NS (50 * UINT64_C(1000000)) /* what a device has in its queues is sent by then */

/* ---- Which device, and how. ---- */

/* Numbers and windows of a device begin with the SA: see offloads.h. */
static int
own_check(const struct gw *gw, const struct offload_ask *ask, struct err *why)
{
	const struct offload_book *b = offload_book_of(gw, ask->index);
	bool used = gw->running && b != NULL && b->published;

	if (ask->inbound && gw->reserve != NULL)
		return err_set(why, -ENOTSUP,
			       "the device would keep the window, which gateway.state_file is to "
			       "keep");
	if (!used && numbers_is_last(sa_cold(&gw->sas, ask->index)->numbers))
		return 0;
	return err_set(why, -ENOTSUP,
		       ask->inbound ? "the device would keep the window, and software has had it" :
				      "the device would count the numbers, and software has had "
				      "them");
}

/* Whether numbers or window would be the device's. */
static bool
is_own(const struct offload_caps *caps, const struct offload_ask *ask, enum offload_kind kind)
{
	if (kind != OFFLOAD_PROTOCOL)
		return false;
	return ask->inbound ? !caps->rx_number && ask->replay_window != 0 : !caps->tx_number;
}

/* Inline crypto first: with it numbers and windows are ours. */
static int
kind_find(const struct gw *gw, uint8_t port, const struct offload_ask *ask, enum offload_kind *kind,
	  struct err *err)
{
	static const char *const names[] = {
		[OFFLOAD_CRYPTO] = "crypto", [OFFLOAD_PROTOCOL] = "protocol"
	};
	struct offload_port *device = device_of(gw, port);
	const char *name = gw->ports->list[port]->link.name;
	struct err why[OFFLOAD_PROTOCOL + 1];
	struct offload_caps caps;

	if (device == NULL)
		return err_set(err, -ENOTSUP, "port %s: %s", name,
			       gw->offloads->ports[port].why != NULL ?
				       gw->offloads->ports[port].why :
				       "it has no IPsec of its own");
	driver_of(gw)->caps(device, &caps);
	for (*kind = OFFLOAD_CRYPTO; *kind <= OFFLOAD_PROTOCOL; ++*kind) {
		struct err *w = &why[*kind];
		int rc = driver_of(gw)->serves(device, ask, *kind, w);

		if (rc == 0 && is_own(&caps, ask, *kind))
			rc = own_check(gw, ask, w);
		if (rc == 0)
			return 0;
	}
	return err_set(err, -ENOTSUP, "port %s: %s: %.200s; %s: %.200s", name,
		       names[OFFLOAD_CRYPTO], why[OFFLOAD_CRYPTO].text, names[OFFLOAD_PROTOCOL],
		       why[OFFLOAD_PROTOCOL].text);
}

static int
place_find(const struct gw *gw, uint32_t index, uint8_t *port, enum offload_kind *kind,
	   struct err *err)
{
	struct offload_ask ask;

	*port = PORT_NONE;
	if (!offloads_any(gw))
		return err_set(err, -ENOTSUP, "no port has a device with IPsec");
	*port = offload_port_of(gw, index, err);
	if (*port == PORT_NONE)
		return -ENOENT;
	offload_ask_fill(gw, index, &ask);
	return kind_find(gw, *port, &ask, kind, err);
}

int
offloads_serves(const struct gw *gw, uint32_t index, struct err *err)
{
	enum offload_kind kind;
	uint8_t port;

	return place_find(gw, index, &port, &kind, err);
}

/* ---- Sessions. ---- */

static void
why_set(struct offload_book *b, const char *why)
{
	free(b->why);
	b->why = why != NULL ? strdup(why) : NULL;
}

static void
publish(struct gw *gw, uint32_t index, const struct offload_book *b,
	const struct offload_caps *caps)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	struct offload_entry e = {
		.session = b->session,
		.generation = sa->generation,
		.kind = b->kind,
		.port = b->port,
		.tx_number = caps->tx_number,
		.rx_number = caps->rx_number,
		.tx_limit = (sa->flags & SA_INBOUND) == 0 ? sa->mtu : 0,
	};

	offload_publish(gw->offloads->table, index, &e);
}

static int
session_open(struct gw *gw, uint32_t index, struct offload_book *b, struct err *err)
{
	struct offload_port *device = device_of(gw, b->port);
	struct offload_caps caps;
	struct offload_ask ask;
	int rc = 0;

	offload_ask_fill(gw, index, &ask);
	driver_of(gw)->caps(device, &caps);
	b->waits = false;
	b->own = is_own(&caps, &ask, b->kind);
	if (b->own)
		rc = own_check(gw, &ask, err);
	if (rc == 0 && b->own && ask.inbound)
		rc = offload_window_note(gw, index, err);
	if (rc == 0)
		rc = driver_of(gw)->session_open(device, &ask, b->kind, &b->session, err);
	if (rc < 0) {
		b->session = NULL;
		gw->offloads->ports[b->port].refused++;
		why_set(b, err->text);
		return rc;
	}
	why_set(b, NULL);
	b->kept = false;
	publish(gw, index, b, &caps);
	return 0;
}

/* A session that ends: freed when no worker can hold it, nor the device's queues. */
struct ending {
	struct offload_port *device;
	struct offload_session *session;
};

static void
ending_free(void *ctx, void *obj)
{
	struct gw *gw = ctx;
	struct ending *e = obj;

	driver_of(gw)->session_free(e->device, e->session);
	free(e);
	offloads_room(gw);
}

static void
free_later(struct gw *gw, struct offload_port *device, struct offload_session *session)
{
	struct ending *e = malloc(sizeof(*e));

	if (!gw->running) {
		driver_of(gw)->session_free(device, session);
		free(e);
		return;
	}
	if (e != NULL)
		*e = (struct ending) { device, session };
	if (e == NULL ||
	    defer_give(&gw->defer, clock_now(&gw->clock) + LINGER_NS, ending_free, gw, e) < 0) {
		GW_LOG(ERR, "no memory to free a session of a port's device: it stays until the "
			    "end\n");
		free(e);
	}
}

/* Once, while the device knows the session. */
static void
counts_keep(struct gw *gw, struct offload_book *b)
{
	struct offload_counts *past = &gw->offloads->ports[b->port].past;
	struct offload_counts c;

	if (b->kept)
		return;
	b->kept = true;
	if (driver_of(gw)->session_counts(device_of(gw, b->port), b->session, &c) < 0)
		return;
	past->packets += c.packets;
	past->octets += c.octets;
	past->errors += c.errors;
}

/* Numbers and windows of a device are gone with its session. */
static void
own_lost(struct gw *gw, uint32_t index, struct offload_book *b)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, index);
	struct sa *sa = sa_at(&gw->sas, index);
	char name[SA_NAME_MAX];

	b->own = false;
	b->waits = false;
	b->spent = true;
	if ((sa->flags & SA_INBOUND) == 0) {
		why_set(b, "the device counted the numbers, and has lost them");
		return;
	}
	why_set(b, "the device kept the window, and has lost it");
	if (!gw->running)
		return;
	__atomic_store_n(&sa->state, SA_EXPIRED, __ATOMIC_RELAXED);
	if (cold->ended || !b->published)
		return;
	GW_LOG(WARNING,
	       "SA %s has ended: port %s kept its anti-replay window, and has lost it; it needs a "
	       "new key\n",
	       sa_name(cold, name), gw->ports->list[b->port]->link.name);
}

void
offload_session_leave(struct gw *gw, uint32_t index, struct offload_book *b)
{
	struct offload_port *device = device_of(gw, b->port);
	struct offload_session *session = b->session;

	if (session != NULL && b->own)
		own_lost(gw, index, b);
	offload_withdraw(gw->offloads->table, index);
	b->withdrawn = false;
	if (session == NULL)
		return;
	counts_keep(gw, b);
	b->session = NULL;
	driver_of(gw)->session_end(device, session);
	free_later(gw, device, session);
}

static void
book_free(struct gw *gw, uint32_t index)
{
	struct offload_book *b = gw->offloads->books[index];

	gw->offloads->books[index] = NULL;
	free(b->why);
	free(b);
}

/* ---- The life of an SA. ---- */

static int
begin(struct gw *gw, uint32_t index, bool published, struct err *err)
{
	bool inbound = (sa_at(&gw->sas, index)->flags & SA_INBOUND) != 0;
	enum offload_kind kind;
	struct offload_book *b;
	uint8_t port;
	int rc = place_find(gw, index, &port, &kind, err);

	if (rc < 0)
		return rc;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_set(err, -ENOMEM, "no memory for what a port does of an SA");
	*b = (struct offload_book) {
		.kind = (uint8_t)kind, .port = port, .waits = true, .published = published
	};
	gw->offloads->books[index] = b;
	/* Two rules for one SPI at a device would be one too many. */
	if (!inbound && gw->ports->list[port]->started)
		rc = session_open(gw, index, b, err);
	if (rc < 0)
		book_free(gw, index);
	return rc;
}

int
offloads_sa_begins(struct gw *gw, uint32_t index, struct err *err)
{
	return begin(gw, index, false, err);
}

/* Whose place it takes: its rule ends before there is another for the same SPI. */
static void
holder_leave(struct gw *gw, uint32_t index)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, index);
	uint32_t holder = sad_find(gw->sad, cold->spi, false, &cold->dst);
	struct offload_book *b =
		holder != SA_NONE && holder != index ? offload_book_of(gw, holder) : NULL;

	if (b == NULL || b->session == NULL)
		return;
	b->published = false;
	offload_session_leave(gw, holder, b);
	b->waits = false;
	why_set(b, "another SA has its SPI now");
}

/* Another SA with its key, whose numbers a device counts: they would not be told from its own. */
static void
counters_leave(struct gw *gw, uint32_t index)
{
	const struct numbers *numbers = sa_cold(&gw->sas, index)->numbers;

	if (numbers_is_last(numbers))
		return;
	for (uint32_t i = slab_next(&gw->sas.records, 0); i != SA_NONE;
	     i = slab_next(&gw->sas.records, i + 1)) {
		struct offload_book *b = offload_book_of(gw, i);

		if (i != index && b != NULL && b->own &&
		    (sa_at(&gw->sas, i)->flags & SA_INBOUND) == 0 &&
		    numbers_same_key(sa_cold(&gw->sas, i)->numbers, numbers))
			offload_session_leave(gw, i, b);
	}
}

void
offloads_sa_publishes(struct gw *gw, uint32_t index)
{
	bool inbound = (sa_at(&gw->sas, index)->flags & SA_INBOUND) != 0;
	struct offload_book *b = offload_book_of(gw, index);
	struct err err;

	if (!offloads_any(gw))
		return;
	if (inbound) {
		holder_leave(gw, index);
		offload_window_check(gw, index);
	} else {
		counters_leave(gw, index);
	}
	if (b == NULL)
		return;
	if (b->waits && gw->ports->list[b->port]->started && session_open(gw, index, b, &err) < 0) {
		book_free(gw, index);
		engines_sa_passes(gw, index, &err);
		return;
	}
	b->published = true;
}

void
offloads_sa_ends(struct gw *gw, uint32_t index)
{
	struct offload_book *b = offload_book_of(gw, index);

	if (b == NULL)
		return;
	offload_session_leave(gw, index, b);
	book_free(gw, index);
}

/* What a session that is opened later is known by meanwhile. */
struct reopening {
	uint32_t index, generation;
};

static bool
is_open(const struct port *port)
{
	return port->started && !port->shut;
}

static void
reopen(struct gw *gw, uint32_t index)
{
	struct offload_book *b = offload_book_of(gw, index);
	enum offload_kind kind;
	struct err err;
	uint8_t port;

	if (b == NULL || !b->waits || sa_cold(&gw->sas, index)->ended)
		return;
	if (place_find(gw, index, &port, &kind, &err) < 0) {
		why_set(b, err.text);
		return;
	}
	b->port = port;
	b->kind = (uint8_t)kind;
	if (!is_open(gw->ports->list[port]) || session_open(gw, index, b, &err) == 0 || gw->running)
		return;
	/* At the start no worker has seen it yet: it may be another engine's. */
	book_free(gw, index);
	engines_sa_passes(gw, index, &err);
}

static void
reopen_due(void *ctx, void *obj)
{
	struct reopening *r = obj;
	struct gw *gw = ctx;

	if (sa_again(&gw->sas, r->index, r->generation) != NULL)
		reopen(gw, r->index);
	free(r);
}

/* A worker that has seen the entry of before may rely on it until the end of its loop; and the
 * device may have no room before the session of before is freed.
 */
static void
reopen_later(struct gw *gw, uint32_t index)
{
	struct reopening *r = malloc(sizeof(*r));

	if (r != NULL)
		*r = (struct reopening) { index, sa_at(&gw->sas, index)->generation };
	if (r == NULL ||
	    defer_give(&gw->defer, clock_now(&gw->clock) + LINGER_NS, reopen_due, gw, r) < 0)
		free(r);
}

static void
limit_set(struct gw *gw, uint32_t index)
{
	uint16_t limit = __atomic_load_n(&sa_at(&gw->sas, index)->mtu, __ATOMIC_RELAXED);

	__atomic_store_n(&gw->offloads->table->entries[index].tx_limit, limit, __ATOMIC_RELAXED);
}

/* Its device had it once, and refused it when it was to have it again. */
static bool
was_refused(const struct gw *gw, const struct offload_book *b)
{
	return gw->running && b->session == NULL && b->published && !b->waits && !b->spent;
}

static int
refused_again(struct gw *gw, uint32_t index, struct offload_book *b)
{
	b->waits = true;
	reopen(gw, index);
	if (b->session != NULL)
		return 0;
	b->waits = false;
	return -ENOSPC;
}

int
offloads_sa_late(struct gw *gw, uint32_t index)
{
	struct offload_book *b = offload_book_of(gw, index);
	struct err err;
	int rc;

	if (b != NULL)
		return was_refused(gw, b) ? refused_again(gw, index, b) : 0;
	if (!engines_may_offload(gw, index))
		return 0;
	rc = begin(gw, index, true, &err);
	if (rc < 0)
		return rc;
	b = offload_book_of(gw, index);
	/* Inbound it waits still; of a port that is shut, until that is open. */
	if (b->waits && is_open(gw->ports->list[b->port]))
		rc = session_open(gw, index, b, &err);
	if (rc < 0)
		book_free(gw, index);
	else
		engines_sa_offload(gw, index);
	return rc;
}

void
offloads_sa_routed(struct gw *gw, uint32_t index)
{
	struct offload_book *b = offload_book_of(gw, index);
	struct err why = { "" };
	uint8_t port;

	if (!offloads_any(gw) || sa_cold(&gw->sas, index)->ended)
		return;
	if (b == NULL) {
		offloads_sa_late(gw, index);
		return;
	}
	port = offload_port_of(gw, index, &why);
	if (port == b->port && !b->waits) {
		limit_set(gw, index);
		return;
	}
	b->waits |= !b->own && !b->spent;
	offload_session_leave(gw, index, b);
	if (!b->waits)
		return;
	why_set(b, port == PORT_NONE ? why.text : "its route has changed");
	reopen_later(gw, index);
}

/* ---- Ports that stop and start. ---- */

/* The next SA from *from on whose device is that of a port. */
static struct offload_book *
book_next(const struct gw *gw, uint8_t port, uint32_t *from, uint32_t *index)
{
	for (uint32_t i = slab_next(&gw->sas.records, *from); i != SA_NONE;
	     i = slab_next(&gw->sas.records, i + 1)) {
		struct offload_book *b = offload_book_of(gw, i);

		if (b == NULL || b->port != port)
			continue;
		*from = i + 1;
		*index = i;
		return b;
	}
	return NULL;
}

static bool
has_device(const struct gw *gw, uint8_t port)
{
	return offloads_any(gw) && device_of(gw, port) != NULL;
}

void
offloads_port_stops(struct gw *gw, uint8_t port)
{
	struct offload_book *b;
	uint32_t from = 0, index;

	while (has_device(gw, port) && (b = book_next(gw, port, &from, &index)) != NULL) {
		if (b->session == NULL)
			continue;
		why_set(b, "its port is being reset");
		/* Before software may have it. */
		if (b->own)
			own_lost(gw, index, b);
		offload_withdraw(gw->offloads->table, index);
		b->withdrawn = true;
	}
}

void
offloads_port_stopped(struct gw *gw, uint8_t port, bool renewed)
{
	struct offload_book *b;
	uint32_t from = 0, index;

	if (!has_device(gw, port))
		return;
	/* One that was set up anew knows no session that it could be asked of. */
	while (!renewed && (b = book_next(gw, port, &from, &index)) != NULL)
		if (b->session != NULL)
			counts_keep(gw, b);
	from = 0;
	driver_of(gw)->port_reset(device_of(gw, port), renewed);
	while ((b = book_next(gw, port, &from, &index)) != NULL) {
		b->waits |= b->session != NULL && !b->spent;
		offload_session_leave(gw, index, b);
	}
}

void
offloads_port_started(struct gw *gw, uint8_t port)
{
	uint32_t from = 0, index;

	while (has_device(gw, port) && book_next(gw, port, &from, &index) != NULL)
		reopen(gw, index);
	offloads_room(gw);
}
