/* A device that answers no more. Control sees it by the machine's own time, tells the workers, and
 * waits until each has said that it lets go; only then the device is stopped, what it had is given
 * up, and it is started again.
 */
#include "cryptodev.h"

#include <errno.h>

#define IDLE_POLLS_MIN 8 /* a worker that did not ask has no answer */

/* Whether the worker has asked, and asked again when the time was over: it may have had no core
 * meanwhile.
 */
static bool
was_asked(const struct lane *l, struct watch *w)
{
	uint64_t polls = cell_get(&l->idle_polls);

	if (w->over) {
		w->polls = RTE_MIN(w->polls, polls);
		return polls - w->polls >= IDLE_POLLS_MIN;
	}
	w->over = true;
	w->polls = polls;
	return false;
}

/* Something of this lane has waited for too long. */
static bool
lane_waits(const struct lane *l, struct watch *w, uint64_t now_ms)
{
	uint64_t returned = cell_get(&l->returned), submitted = cell_get(&l->submitted);
	uint64_t refused = cell_get(&l->refused);
	bool inside = submitted != returned;
	bool moved = returned != w->returned || (!inside && submitted != w->submitted);

	if (moved || (!inside && refused == w->refused) || w->since_ms == 0) {
		*w = (struct watch) { .returned = returned,
				      .submitted = submitted,
				      .refused = refused,
				      .since_ms = now_ms };
		return false;
	}
	w->submitted = submitted;
	if (now_ms - w->since_ms < LOST_MS)
		return false;
	return !inside || was_asked(l, w);
}

static bool
device_waits(struct device *d, uint64_t now_ms)
{
	bool waits = false;

	for (uint16_t i = 0; i < cd.n_workers; i++)
		if (cd.workers[i] != NULL)
			waits |= lane_waits(&cd.workers[i]->lanes[d->index], &d->watch[i], now_ms);
	return waits;
}

/* Every worker goes by that state. */
static bool
all_have_seen(const struct device *d, enum device_state state)
{
	for (uint16_t i = 0; i < cd.n_workers; i++)
		if (cd.workers[i] != NULL && __atomic_load_n(&cd.workers[i]->lanes[d->index].seen,
							     __ATOMIC_ACQUIRE) != state)
			return false;
	return true;
}

static uint64_t
inside_of(const struct device *d)
{
	uint64_t n = 0;

	for (uint16_t i = 0; i < cd.n_workers; i++)
		if (cd.workers[i] != NULL)
			n += cell_get(&cd.workers[i]->lanes[d->index].submitted) -
			     cell_get(&cd.workers[i]->lanes[d->index].returned);
	return n;
}

static bool
up_tick(struct device *d, uint64_t now_ms, struct err *event)
{
	if (!device_waits(d, now_ms))
		return false;
	d->losses++;
	device_state_set(d, DEVICE_SILENT);
	err_set(event, 0,
		"crypto device %s does not answer: its SAs are done by software, %ju packets are "
		"inside",
		d->name, (uintmax_t)inside_of(d));
	return true;
}

static bool
silent_tick(struct device *d, uint64_t now_ms)
{
	if (!all_have_seen(d, DEVICE_SILENT))
		return false;
	rte_cryptodev_stop(d->id);
	device_state_set(d, DEVICE_STOPPED);
	d->retry_ms = now_ms + RETRY_MS;
	return false;
}

/* What was queued in it before must not come back as if it were new. */
static void
device_flush(const struct device *d)
{
	struct rte_crypto_op *batch[CRYPTO_BURST_MAX];

	for (uint16_t i = 0; i < cd.n_workers; i++)
		for (uint32_t k = 0; k < 2 * RING_SIZE / CRYPTO_BURST_MAX; k++)
			rte_cryptodev_dequeue_burst(d->id, i, batch, CRYPTO_BURST_MAX);
}

/* Once everybody has given up what it had. */
static bool
stopped_tick(struct device *d, uint64_t now_ms)
{
	if (now_ms < d->retry_ms || !all_have_seen(d, DEVICE_STOPPED) || inside_of(d) != 0)
		return false;
	d->retry_ms = now_ms + RETRY_MS;
	if (device_start(d, NULL) < 0)
		return false;
	device_flush(d);
	device_state_set(d, DEVICE_TRIED);
	return false;
}

static void
give_up_again(struct device *d, uint64_t now_ms)
{
	probe_end(d);
	rte_cryptodev_stop(d->id);
	device_state_set(d, DEVICE_STOPPED);
	d->retry_ms = now_ms + RETRY_MS;
}

static bool
tried_tick(struct device *d, uint64_t now_ms, struct err *event)
{
	enum probe_state state = PROBE_WAITS;
	uint32_t n_missing;
	int rc = 0;

	if (!all_have_seen(d, DEVICE_TRIED))
		return false;
	if (d->probe == NULL)
		rc = probe_start(d);
	if (rc == 0)
		state = probe_poll(d);
	if (rc == -ENOENT)
		state = PROBE_GOOD;
	if ((rc < 0 && rc != -ENOENT) || state == PROBE_BAD) {
		give_up_again(d, now_ms);
		return false;
	}
	if (state == PROBE_WAITS)
		return false;
	probe_end(d);
	n_missing = sessions_remake(d);
	for (uint16_t i = 0; i < cd.n_workers; i++)
		d->watch[i].since_ms = 0;
	device_state_set(d, DEVICE_UP);
	err_set(event, 0, "crypto device %s is up again; %u of its sessions could not be made",
		d->name, n_missing);
	return true;
}

bool
loss_tick(uint64_t now, struct err *event)
{
	uint64_t now_ms;
	bool said = false;

	if (!cd.open)
		return false;
	now_ms = ms_now();
	for (uint16_t i = 0; i < cd.n_devices && !said; i++) {
		struct device *d = &cd.devices[i];

		switch (device_state(d)) {
		case DEVICE_UP:
			said = up_tick(d, now_ms, event);
			break;
		case DEVICE_SILENT:
			said = silent_tick(d, now_ms);
			break;
		case DEVICE_STOPPED:
			said = stopped_tick(d, now_ms);
			break;
		case DEVICE_TRIED:
			said = tried_tick(d, now_ms, event);
			break;
		}
	}
	if (cd.closed != NULL)
		sessions_reap();
	return said;
}
