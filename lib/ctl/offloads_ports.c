/* The ports' devices: which there are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "ctl/engines.h"
#include "ctl/log.h"
#include "ctl/offload_book.h"
#include "ctl/offloads.h"
#include "port/port.h"
#include "sad/sad.h"

bool
offloads_any(const struct gw *gw)
{
	return gw->offloads != NULL && gw->offloads->n_ports != 0;
}

static bool
is_auto(const struct conf_port *c)
{
	return strcmp(c->ipsec, "auto") == 0;
}

/* What the file asks for has to be there; what auto finds, or does not, is for `show nic`. */
static int
device_open(struct gw *gw, uint8_t i, struct err *err)
{
	const struct conf_port *c = &gw->conf->ports[i];
	struct offloads *o = gw->offloads;
	struct port *port = gw->ports->list[i];
	struct err why = { "" };
	int rc;

	if (port->link.side != PORT_BLACK)
		err_set(&why, 0, "ESP comes by black ports");
	else if (strcmp(c->ipsec, "off") == 0)
		err_set(&why, 0, "inline: off");
	else {
		rc = driver_of(gw)->port_open(port->dpdk_id, c->ipsec, gw->n_workers,
					      gw->workers[0]->socket, &o->table->ports[i], &why);
		if (rc == 0) {
			o->n_ports++;
			return 0;
		}
		o->table->ports[i] = NULL;
		if (!is_auto(c))
			return err_set(err, rc, "port %s: inline: %s", c->name, why.text);
	}
	GW_LOG(DEBUG, "port %s has no IPsec of its own: %s\n", c->name, why.text);
	o->ports[i].why = strdup(why.text);
	return 0;
}

static int
tables_create(struct gw *gw, struct err *err)
{
	uint32_t max_sas = gw->conf->gateway.max_sas;
	struct offloads *o = calloc(1, sizeof(*o));

	gw->offloads = o;
	if (o == NULL)
		return err_set(err, -ENOMEM, "no memory for what ports do of IPsec");
	o->books = calloc(max_sas, sizeof(o->books[0]));
	if (o->books == NULL)
		return err_set(err, -ENOMEM, "no memory for what ports do of %u SAs", max_sas);
	return offload_table_create(driver_of(gw), max_sas, (int)rte_socket_id(), &o->table, err);
}

static void
tables_free(struct offloads *o)
{
	offload_table_free(o->table);
	free(o->books);
	free(o->windows);
	o->windows = NULL;
	o->table = NULL;
	o->books = NULL;
}

int
offloads_init(struct gw *gw, struct err *err)
{
	int rc;

	if (driver_of(gw) == NULL || !engines_any(gw, ENGINE_INLINE))
		return 0;
	rc = tables_create(gw, err);
	for (uint8_t i = 0; i < gw->ports->n && rc == 0; i++)
		rc = device_open(gw, i, err);
	if (rc < 0)
		return rc;
	if (!offloads_any(gw))
		tables_free(gw->offloads);
	for (uint16_t i = 0; i < gw->n_workers; i++)
		gw->workers[i]->offloads = gw->offloads->table;
	return 0;
}

#define ROOM_SLICE    64 /* SAs that are looked at in a tick */
#define ROOM_REFUSALS 8	 /* after as many in a row a device is full after all */

void
offloads_room(struct gw *gw)
{
	if (gw->offloads == NULL || !gw->running)
		return;
	gw->offloads->room = true;
	gw->offloads->room_at = 0;
	gw->offloads->room_refusals = 0;
}

/* Whether it is one that packets may find: not of the moment between its making and that. */
static bool
is_found(const struct gw *gw, uint32_t index)
{
	const struct sa_cold *cold = sa_cold(&gw->sas, index);

	return !cold->ended && ((sa_at(&gw->sas, index)->flags & SA_INBOUND) == 0 ||
				sad_find(gw->sad, cold->spi, false, &cold->dst) == index);
}

void
offloads_tick(struct gw *gw)
{
	struct offloads *o = gw->offloads;

	if (!offloads_any(gw) || !o->room)
		return;
	for (int n = 0; n < ROOM_SLICE; n++) {
		uint32_t i = slab_next(&gw->sas.records, o->room_at);

		if (i == SA_NONE || o->room_refusals == ROOM_REFUSALS) {
			o->room = false;
			return;
		}
		o->room_at = i + 1;
		if (is_found(gw, i) && offloads_sa_late(gw, i) < 0)
			o->room_refusals++;
	}
}

void
offloads_fini(struct gw *gw)
{
	struct offloads *o = gw->offloads;

	if (o == NULL)
		return;
	for (uint8_t i = 0; i < gw->ports->n; i++) {
		if (o->table != NULL && o->table->ports[i] != NULL) {
			port_stop(gw->ports->list[i], NULL);
			driver_of(gw)->port_close(o->table->ports[i]);
		}
		free(o->ports[i].why);
	}
	tables_free(o);
	free(o);
	gw->offloads = NULL;
}
