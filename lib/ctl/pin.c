#include "ctl/pin.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_byteorder.h>

#include "ctl/move.h"
#include "ctl/steering.h"
#include "numbers/numbers.h"
#include "port/port.h"
#include "worker/mailbox.h"

#define STRAY_SLOTS    1024
#define STRAYS_TO_MOVE 8
#define STRAY_RECENT   (10 * NS_PER_SECOND)
#define BACKOFF_MAX    6 /* 64 s */

/* What is known of an SA whose packets arrived elsewhere. */
struct stray {
	uint32_t sa, generation; /* of those that share a slot, the one that is seen more */
	uint8_t worker;		 /* where they arrived last */
	uint8_t seen;		 /* there, in a row */
	uint8_t backoff;	 /* the next wait is 2^backoff seconds */
	bool used;
	uint64_t last, not_before; /* ns */
};

struct pin {
	struct mover mover;
	struct steering *steering;
	struct stray strays[STRAY_SLOTS];
};

int
pin_init(struct gw *gw, struct err *err)
{
	int rc;

	gw->pin = calloc(1, sizeof(*gw->pin));
	if (gw->pin == NULL)
		return err_set(err, -ENOMEM, "no memory for who owns which SA");
	rc = mover_init(&gw->pin->mover, err);
	return rc < 0 ? rc : steering_create(gw, &gw->pin->steering, err);
}

void
pin_fini(struct gw *gw)
{
	if (gw->pin == NULL)
		return;
	steering_free(gw->pin->steering);
	mover_fini(&gw->pin->mover);
	free(gw->pin);
	gw->pin = NULL;
}

void
pin_tick(struct gw *gw, uint64_t now)
{
	if (gw->pin == NULL || gw->n_workers == 1)
		return;
	mover_step(gw, &gw->pin->mover);
	if (gw->running)
		steering_tick(gw->pin->steering, now);
}

/* Whether control may choose its worker. */
static bool
is_free(const struct gw *gw, uint32_t index)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, index);

	return (sa_at(&gw->sas, index)->flags & SA_SUBSPACES) == 0 && !cold->fixed && !cold->ended;
}

/* The slot of an SA, which may have to win it first: NULL. */
static struct stray *
stray_of(struct pin *pin, const struct stray_event *e, uint64_t now)
{
	struct stray *s = &pin->strays[e->sa % STRAY_SLOTS];

	if (s->used && s->sa == e->sa && s->generation == e->generation)
		return s;
	if (s->used && s->seen > 0 && now - s->last < STRAY_RECENT) {
		s->seen--;
		return NULL;
	}
	*s = (struct stray) {
		.sa = e->sa,
		.generation = e->generation,
		.worker = e->worker,
		.used = true,
	};
	return s;
}

void
pin_stray(struct gw *gw, const struct stray_event *e, uint64_t now)
{
	const struct sa *sa = sa_again(&gw->sas, e->sa, e->generation);
	struct stray *s;
	struct err err;

	/* Told before it was moved there. */
	if (gw->pin == NULL || sa == NULL || sa_owner(sa) == e->worker)
		return;
	s = stray_of(gw->pin, e, now);
	if (s == NULL)
		return;
	if (s->worker != e->worker)
		s->seen = 0;
	s->worker = e->worker;
	s->seen += s->seen < UINT8_MAX;
	s->last = now;
	/* Nobody's numbers are mailed about while one is moved: they come first. */
	if (s->seen < STRAYS_TO_MOVE || now < s->not_before || numbers_is_due(gw->numbers) ||
	    !is_free(gw, e->sa) || steering_has(gw->pin->steering, e->sa) ||
	    mover_begin(gw, &gw->pin->mover, e->sa, e->worker, &err) < 0)
		return;
	s->seen = 0;
	/* Long after the last move this one does not drag it about. */
	if (now - s->not_before > (NS_PER_SECOND << BACKOFF_MAX))
		s->backoff = 0;
	s->not_before = now + (NS_PER_SECOND << s->backoff);
	s->backoff += s->backoff < BACKOFF_MAX;
}

void
pin_note(struct gw *gw, uint32_t index, uint64_t packets)
{
	const struct sa *sa = sa_at(&gw->sas, index);

	if (gw->pin != NULL && (sa->flags & (SA_INBOUND | SA_SUBSPACES)) == SA_INBOUND)
		steering_note(gw->pin->steering, index, packets);
}

void
pin_sa_ends(struct gw *gw, uint32_t sa)
{
	if (gw->pin != NULL)
		steering_sa_ends(gw->pin->steering, sa);
}

void
pin_port_stops(struct gw *gw, uint8_t port)
{
	if (gw->pin != NULL)
		steering_port_stops(gw->pin->steering, port);
}

int
pin_settle(struct gw *gw, const struct numbers *numbers, struct err *err)
{
	return gw->pin == NULL ? 0 : mover_settle(gw, &gw->pin->mover, numbers, err);
}

bool
pin_is_moving(const struct gw *gw)
{
	return gw->pin != NULL && gw->pin->mover.stage != MOVER_IDLE;
}

bool
pin_moves(const struct gw *gw, uint32_t sa)
{
	return gw->running && gw->pin != NULL && mover_has(gw, &gw->pin->mover, sa);
}

int
pin_set(struct gw *gw, uint32_t index, uint16_t worker, struct err *err)
{
	struct mover *m = &gw->pin->mover;
	int rc = mover_wait(gw, m, err);

	if (rc == 0)
		rc = mover_begin(gw, m, index, worker, err);
	if (rc < 0)
		return rc;
	sa_cold(&gw->sas, index)->fixed = true;
	return mover_wait(gw, m, err);
}

void
pin_free(struct gw *gw, uint32_t index)
{
	sa_cold(&gw->sas, index)->fixed = (sa_at(&gw->sas, index)->flags & SA_IPTFS) != 0;
}

static bool
strays_lately(const struct gw *gw, uint32_t index)
{
	const struct stray *s = &gw->pin->strays[index % STRAY_SLOTS];

	return s->used && s->sa == index && s->generation == sa_at(&gw->sas, index)->generation &&
	       s->last + STRAY_RECENT > clock_now(&gw->clock) &&
	       s->worker != sa_owner(sa_at(&gw->sas, index));
}

const char *
pin_how(const struct gw *gw, uint32_t index, char why[PIN_WHY_SIZE])
{
	const struct sa *sa = sa_at(&gw->sas, index);
	const struct sa_cold *cold = sa_cold(&gw->sas, index);
	bool inbound = (sa->flags & SA_INBOUND) != 0;

	why[0] = 0;
	if ((sa->flags & SA_SUBSPACES) != 0)
		return NULL;
	if (gw->n_workers == 1 || gw->pin == NULL)
		return "fixed";
	if (inbound && steering_has(gw->pin->steering, index))
		return "rule";
	if (inbound)
		steering_why(gw->pin->steering, index, why, PIN_WHY_SIZE);
	if (cold->fixed)
		return "fixed";
	return inbound && cold->packets > 0 && !strays_lately(gw, index) ? "rss" : "ring";
}
