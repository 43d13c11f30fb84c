#include "ctl/mirrors.h"

#include "ctl/log.h"
#include "mirror/mirror.h"
#include "port/port.h"

static uint32_t
wanted(const struct conf *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_ports; i++)
		n += c->ports[i].mirror.on;
	return n;
}

uint32_t
mirrors_mbufs(const struct conf *c, uint16_t n_workers)
{
	/* And what control keeps at hand. */
	return n_workers * (wanted(c) == 0 ? PUNT_ERRORS_SIZE : PUNT_HELD_MAX) +
	       PORT_POOL_CACHE * 3 / 2;
}

static void
warn(void *ctx, const char *sentence)
{
	GW_LOG(WARNING, "%s\n", sentence);
}

int
mirrors_init(struct gw *gw, struct err *err)
{
	const struct mirrors_params params = {
		.workers = gw->workers,
		.n_workers = gw->n_workers,
		.pools = gw->pools,
		.poller = gw->options.poller,
		.warn = warn,
	};
	const struct conf *c = gw->conf;
	int rc;

	if (wanted(c) == 0)
		return 0;
	rc = mirrors_create(&params, &gw->mirrors, err);
	for (uint32_t i = 0; i < c->n_ports && rc == 0; i++) {
		const struct conf_port *p = &c->ports[i];

		if (p->mirror.on)
			rc = mirror_open(gw->mirrors, port_by_name(gw->ports, p->name),
					 p->mirror.tap[0] != '\0' ? p->mirror.tap : NULL,
					 p->mirror.device, err);
	}
	return rc;
}

void
mirrors_fini(struct gw *gw)
{
	mirrors_free(gw->mirrors);
	gw->mirrors = NULL;
}
