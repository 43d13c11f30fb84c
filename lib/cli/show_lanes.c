#include "cli/show_lanes.h"

#include "numbers/numbers.h"
#include "replay/replay.h"
#include "seq/seq.h"

/* One lane or window, as its owner counts it. */
struct lane_counts {
	uint64_t number, packets, bytes;
};

static uint64_t
number_in(const struct sa_cold *cold, uint16_t id)
{
	return numbers_used(cold->numbers, id) & LANE_SN_MAX;
}

uint64_t
lanes_number(const struct sa *sa, const struct sa_cold *cold)
{
	uint64_t highest = 0;

	if ((sa->flags & SA_SUBSPACES) == 0)
		return numbers_used(cold->numbers, 0);
	for (uint32_t id = 0; id < sa->lanes; id++)
		highest = RTE_MAX(highest, number_in(cold, (uint16_t)id));
	return highest;
}

uint32_t
lanes_window(const struct sa *sa)
{
	return (sa->flags & SA_SUBSPACES) != 0 ? replay_set_of(sa->windows)->window :
						 sa->window->window;
}

static void
counts_read(const struct sa *sa, const struct sa_cold *cold, uint16_t id, struct lane_counts *c)
{
	const struct replay *window;

	*c = (struct lane_counts) { .number = number_in(cold, id) };
	if ((sa->flags & SA_INBOUND) == 0) {
		c->packets = cell_get(&sa->lane[id].packets);
		c->bytes = cell_get(&sa->lane[id].bytes);
		return;
	}
	window = __atomic_load_n(&sa->windows[id], __ATOMIC_ACQUIRE);
	if (window != NULL) {
		c->packets = cell_get(&window->packets);
		c->bytes = cell_get(&window->bytes);
	}
}

static void
one_show(struct form *f, uint16_t id, uint16_t worker, const struct lane_counts *c)
{
	if (f->as_json) {
		json_object(&f->json, NULL);
		json_u64(&f->json, "lane", id);
		json_u64(&f->json, "worker", worker);
		json_u64(&f->json, "number", c->number);
		json_u64(&f->json, "packets", c->packets);
		json_u64(&f->json, "bytes", c->bytes);
		json_end(&f->json);
		return;
	}
	fprintf(f->out,
		"  lane %u: worker %u, number %" PRIu64 ", %" PRIu64 " packets, %" PRIu64
		" bytes\n",
		id, worker, c->number, c->packets, c->bytes);
}

void
lanes_show(struct form *f, const struct sa *sa, const struct sa_cold *cold, uint16_t n_workers)
{
	form_bool(f, "subspaces", (sa->flags & SA_SUBSPACES) != 0);
	if ((sa->flags & SA_SUBSPACES) == 0)
		return;
	form_u64(f, "lanes", sa->lanes);
	if ((sa->flags & SA_INBOUND) == 0)
		form_text(f, "lane_by", (sa->flags & SA_LANE_BY_CLASS) != 0 ? "class" : "flow");
	if (f->as_json)
		json_array(&f->json, "lanes_used");
	for (uint32_t id = 0; id < sa->lanes; id++) {
		struct lane_counts c;

		counts_read(sa, cold, (uint16_t)id, &c);
		if (c.number != 0 || c.packets != 0)
			one_show(f, (uint16_t)id, sa_lane_owner(sa, (uint16_t)id, n_workers), &c);
	}
	if (f->as_json)
		json_end(&f->json);
}
