#include "cryptodev.h"

static const char *const state_names[] = {
	[DEVICE_UP] = "up",
	[DEVICE_SILENT] = "lost",
	[DEVICE_STOPPED] = "stopped",
	[DEVICE_TRIED] = "tried",
};

struct sums {
	uint64_t done, inside, refused;
};

static struct sums
sums_of(const struct device *d)
{
	struct sums sums = { 0 };

	for (uint16_t i = 0; i < cd.n_workers; i++) {
		const struct lane *l;

		if (cd.workers[i] == NULL)
			continue;
		l = &cd.workers[i]->lanes[d->index];
		sums.done += cell_get(&l->returned);
		sums.inside += __atomic_load_n(&l->n, __ATOMIC_RELAXED);
		sums.refused += cell_get(&l->refused);
	}
	return sums;
}

void
devices_print(FILE *f)
{
	if (!cd.open) {
		fprintf(f, "no crypto device\n");
		return;
	}
	fprintf(f, "%-24s %-8s %8s %9s %14s %7s %8s %7s\n", "device", "state", "seconds",
		"sessions", "packets", "inside", "refusals", "losses");
	for (uint16_t i = 0; i < cd.n_devices; i++) {
		const struct device *d = &cd.devices[i];
		struct sums sums = sums_of(d);

		fprintf(f, "%-24s %-8s %8ju %9u %14ju %7ju %8ju %7ju\n", d->name,
			state_names[device_state(d)], (uintmax_t)((ms_now() - d->since_ms) / 1000),
			d->sessions, (uintmax_t)sums.done, (uintmax_t)sums.inside,
			(uintmax_t)sums.refused, (uintmax_t)d->losses);
	}
}

void
devices_json(struct json *j)
{
	json_array(j, "devices");
	for (uint16_t i = 0; cd.open && i < cd.n_devices; i++) {
		const struct device *d = &cd.devices[i];
		struct sums sums = sums_of(d);

		json_object(j, NULL);
		json_string(j, "name", d->name);
		json_string(j, "driver", d->driver);
		json_string(j, "state", state_names[device_state(d)]);
		json_u64(j, "since_seconds", (ms_now() - d->since_ms) / 1000);
		json_u64(j, "sessions", d->sessions);
		json_u64(j, "sessions_max", d->sessions_max);
		json_u64(j, "packets", sums.done);
		json_u64(j, "inside", sums.inside);
		json_u64(j, "refusals", sums.refused);
		json_u64(j, "losses", d->losses);
		json_end(j);
	}
	json_end(j);
}
