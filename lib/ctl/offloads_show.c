/* What people are told of ports' devices and of the SAs that they do. */
#include <errno.h>
#include <inttypes.h>

#include "base/json.h"
#include "ctl/offload_book.h"
#include "ctl/offloads.h"
#include "port/port.h"

int
offloads_why_not(const struct gw *gw, uint32_t index, struct err *why)
{
	const struct offload_book *b = offload_book_of(gw, index);

	if (b == NULL)
		return err_set(why, -ENOTSUP, "the device did not take it when it was made");
	if (b->session != NULL && !b->withdrawn)
		return 0;
	return err_set(why, -EAGAIN, "%s", b->why != NULL ? b->why : "its port has not started");
}

bool
offloads_state(const struct gw *gw, uint32_t index, struct offload_state *state)
{
	const struct offload_book *b = offload_book_of(gw, index);

	if (b == NULL)
		return false;
	*state = (struct offload_state) {
		.kind = b->kind,
		.port = gw->ports->list[b->port]->link.name,
		.active = b->session != NULL && !b->withdrawn,
	};
	if (b->session != NULL)
		state->counted = driver_of(gw)->session_counts(gw->offloads->table->ports[b->port],
							       b->session, &state->counts) == 0;
	return true;
}

const char *
offload_kind_name(enum offload_kind kind)
{
	return kind == OFFLOAD_PROTOCOL ? "protocol" : kind == OFFLOAD_CRYPTO ? "crypto" : "none";
}

bool
offloads_caps(const struct gw *gw, uint8_t port, struct offload_caps *caps, struct err *why)
{
	const struct offloads *o = gw->offloads;

	if (o == NULL || o->ports[port].why != NULL || !offloads_any(gw)) {
		err_set(why, -ENOTSUP, "%s",
			o != NULL && o->ports[port].why != NULL ?
				o->ports[port].why :
				"gateway.crypto does not name the engine inline");
		return false;
	}
	driver_of(gw)->caps(o->table->ports[port], caps);
	return true;
}

/* Of the sessions that there are and of those that there were. */
void
offloads_port_counts(const struct gw *gw, uint8_t port, struct offload_port_counts *c)
{
	const struct offloads *o = gw->offloads;

	*c = (struct offload_port_counts) { .refused = o->ports[port].refused,
					    .all = o->ports[port].past };
	for (uint32_t i = slab_next(&gw->sas.records, 0); i != SA_NONE;
	     i = slab_next(&gw->sas.records, i + 1)) {
		const struct offload_book *b = offload_book_of(gw, i);
		struct offload_state s;

		if (b == NULL || b->port != port || !offloads_state(gw, i, &s))
			continue;
		c->sas++;
		c->active += s.active;
		c->all.packets += s.counts.packets;
		c->all.octets += s.counts.octets;
		c->all.errors += s.counts.errors;
	}
}

static void
one_print(const struct gw *gw, uint8_t port, FILE *f)
{
	const char *name = gw->ports->list[port]->link.name;
	struct offload_port_counts c;
	struct offload_caps caps;
	struct err why;

	if (!offloads_caps(gw, port, &caps, &why)) {
		fprintf(f, "%s: no IPsec of its own: %s\n", name, why.text);
		return;
	}
	offloads_port_counts(gw, port, &c);
	fprintf(f, "%s: %s, %u sessions", name, caps.provider, caps.sessions);
	if (caps.sessions_max != UINT32_MAX)
		fprintf(f, " of %u", caps.sessions_max);
	fprintf(f, "\n  %u SAs, %u of them by the device now, %" PRIu64 " sessions refused\n",
		c.sas, c.active, c.refused);
	fprintf(f, "  %" PRIu64 " packets, %" PRIu64 " octets, %" PRIu64 " errors\n", c.all.packets,
		c.all.octets, c.all.errors);
	fprintf(f, "  inline protocol: numbers are %s, windows are %s\n",
		caps.tx_number ? "ours" : "the device's", caps.rx_number ? "ours" : "the device's");
	driver_of(gw)->print(gw->offloads->table->ports[port], f);
}

void
offloads_print(const struct gw *gw, uint8_t port, FILE *f)
{
	for (uint8_t i = 0; i < gw->ports->n; i++)
		if (port == PORT_NONE || port == i)
			one_print(gw, i, f);
}

static void
caps_json(const struct gw *gw, uint8_t port, const struct offload_caps *caps, struct json *j)
{
	struct offload_port_counts c;

	offloads_port_counts(gw, port, &c);
	json_string(j, "provider", caps->provider);
	json_bool(j, "crypto_in", caps->crypto_in);
	json_bool(j, "crypto_out", caps->crypto_out);
	json_bool(j, "protocol_in", caps->protocol_in);
	json_bool(j, "protocol_out", caps->protocol_out);
	json_bool(j, "tx_number", caps->tx_number);
	json_bool(j, "rx_number", caps->rx_number);
	json_u64(j, "sessions", caps->sessions);
	if (caps->sessions_max != UINT32_MAX)
		json_u64(j, "sessions_max", caps->sessions_max);
	json_u64(j, "sessions_refused", c.refused);
	json_u64(j, "sas", c.sas);
	json_u64(j, "sas_active", c.active);
	json_u64(j, "packets", c.all.packets);
	json_u64(j, "octets", c.all.octets);
	json_u64(j, "errors", c.all.errors);
	driver_of(gw)->json(gw->offloads->table->ports[port], j);
}

void
offloads_json(const struct gw *gw, uint8_t port, struct json *j)
{
	json_object(j, "nic");
	for (uint8_t i = 0; i < gw->ports->n; i++) {
		struct offload_caps caps;
		struct err why;
		bool has;

		if (port != PORT_NONE && port != i)
			continue;
		has = offloads_caps(gw, i, &caps, &why);
		json_object(j, gw->ports->list[i]->link.name);
		json_bool(j, "inline", has);
		if (has)
			caps_json(gw, i, &caps, j);
		else
			json_string(j, "why", why.text);
		json_end(j);
	}
	json_end(j);
}
