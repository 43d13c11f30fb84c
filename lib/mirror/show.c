#include <inttypes.h>

#include "base/json.h"
#include "mirror/set.h"
#include "worker/worker.h"

struct mirror_counters
mirror_counters(const struct mirrors *m, uint8_t port)
{
	return m == NULL ? (struct mirror_counters) { 0 } : m->list[port].count;
}

void
mirrors_counts_add(const struct mirrors *m, uint64_t drops[DROP_MAX],
		   uint64_t consumed[CONSUMED_MAX], uint64_t generated[GENERATED_MAX])
{
	for (int i = 0; m != NULL && i < PORTS_MAX; i++) {
		const struct mirror_counters *c = &m->list[i].count;

		consumed[CONSUMED_MIRROR] += c->frames_in;
		generated[GENERATED_MIRROR] += c->frames_out;
		for (int why = 0; why < DROP_MAX; why++)
			drops[why] += c->drops[why];
	}
}

uint32_t
mirrors_held(const struct mirrors *m)
{
	uint32_t held = 0;

	for (uint16_t i = 0; m != NULL && i < m->params.n_workers; i++)
		held += punt_held(m->params.workers[i]->punt);
	return held;
}

struct punt_counters
mirrors_punted(const struct mirrors *m)
{
	struct punt_counters sum = { .injected = 0 };

	for (uint16_t i = 0; m != NULL && i < m->params.n_workers; i++) {
		struct punt_counters c = punt_counters(m->params.workers[i]->punt);

		for (int class = 0; class < PUNT_MAX; class ++) {
			sum.given[class] += c.given[class];
			sum.limited[class] += c.limited[class];
			sum.full[class] += c.full[class];
		}
		sum.injected += c.injected;
	}
	return sum;
}

static void
print_one(const struct mirror *x, FILE *f)
{
	const struct mirror_counters *c = &x->count;

	if (x->is_tap)
		fprintf(f, "%s: tap %s, mtu %u, %s\n", x->port->link.name, x->tap.name, x->tap.mtu,
			x->tap.carrier ? "carrier" : "no carrier");
	else
		fprintf(f, "%s: device %s\n", x->port->link.name, x->device->device);
	fprintf(f,
		"  to the host %" PRIu64 " frames, %" PRIu64 " bytes; from it %" PRIu64
		" frames, %" PRIu64 " bytes; mirror_full %" PRIu64 ", no_mbuf %" PRIu64 "\n",
		c->frames_in, c->octets_in, c->frames_out, c->octets_out,
		c->drops[DROP_MIRROR_FULL], c->drops[DROP_NO_MBUF]);
}

void
mirrors_print(const struct mirrors *m, FILE *f)
{
	struct punt_counters c = mirrors_punted(m);

	if (m == NULL) {
		fputs("no port has a mirror\n", f);
		return;
	}
	for (int i = 0; i < PORTS_MAX; i++)
		if (m->list[i].port != NULL)
			print_one(&m->list[i], f);
	fprintf(f, "%-8s %14s %14s %14s  %s\n", "class", "given", "punt_limit", "punt_full",
		"rate of a source");
	for (int class = 0; class < PUNT_MAX; class ++)
		fprintf(f,
			"%-8s %14" PRIu64 " %14" PRIu64 " %14" PRIu64
			"  %u per second, %u at once\n",
			punt_limits[class].name, c.given[class], c.limited[class], c.full[class],
			punt_limits[class].rate, punt_limits[class].burst);
	fprintf(f, "injected %" PRIu64 ", held %u\n", c.injected, mirrors_held(m));
}

static void
json_one(const struct mirror *x, struct json *j)
{
	const struct mirror_counters *c = &x->count;

	json_object(j, x->port->link.name);
	if (x->is_tap) {
		json_string(j, "tap", x->tap.name);
		json_u64(j, "ifindex", x->tap.ifindex);
		json_u64(j, "mtu", x->tap.mtu);
		json_bool(j, "carrier", x->tap.carrier);
	} else {
		json_string(j, "device", x->device->device);
	}
	json_u64(j, "to_host_frames", c->frames_in);
	json_u64(j, "to_host_bytes", c->octets_in);
	json_u64(j, "from_host_frames", c->frames_out);
	json_u64(j, "from_host_bytes", c->octets_out);
	json_u64(j, "mirror_full", c->drops[DROP_MIRROR_FULL]);
	json_u64(j, "no_mbuf", c->drops[DROP_NO_MBUF]);
	json_end(j);
}

void
mirrors_json(const struct mirrors *m, struct json *j)
{
	struct punt_counters c = mirrors_punted(m);

	json_object(j, "mirrors");
	for (int i = 0; m != NULL && i < PORTS_MAX; i++)
		if (m->list[i].port != NULL)
			json_one(&m->list[i], j);
	json_end(j);
	json_object(j, "classes");
	for (int class = 0; m != NULL && class < PUNT_MAX; class ++) {
		json_object(j, punt_limits[class].name);
		json_u64(j, "given", c.given[class]);
		json_u64(j, "punt_limit", c.limited[class]);
		json_u64(j, "punt_full", c.full[class]);
		json_u64(j, "source_rate", punt_limits[class].rate);
		json_u64(j, "source_burst", punt_limits[class].burst);
		json_end(j);
	}
	json_end(j);
	json_u64(j, "injected", c.injected);
	json_u64(j, "held", mirrors_held(m));
}
