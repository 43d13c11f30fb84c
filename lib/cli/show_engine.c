#include "cli/show_engine.h"

#include "cli/form.h"
#include "crypto/crypto.h"
#include "ctl/engines.h"
#include "ctl/gw.h"
#include "ctl/offloads.h"

static void
offload_show(struct form *f, const struct gw *gw, uint32_t sa)
{
	struct offload_state o;
	struct err why = { "" };

	if (!offloads_state(gw, sa, &o))
		return;
	form_object(f, "offload");
	form_text(f, "port", o.port);
	form_text(f, "kind", offload_kind_name(o.kind));
	form_bool(f, "active", o.active);
	if (offloads_why_not(gw, sa, &why) < 0)
		form_text(f, "why", why.text);
	if (o.counted) {
		form_u64(f, "packets", o.counts.packets);
		form_u64(f, "octets", o.counts.octets);
		form_u64(f, "errors", o.counts.errors);
	}
	form_end(f);
}

/* Those of the list before the chosen one. */
static void
others_show(struct form *f, const struct gw *gw, uint32_t sa, uint16_t chosen)
{
	if (chosen == 0)
		return;
	form_object(f, "why_not");
	for (uint16_t i = 0; i < chosen; i++) {
		struct err why = { "" };

		if (engines_why_not(gw, sa, i, &why) == 0)
			form_text(f, gw->engines[i]->name,
				  "it could now, but could not when the SA was made");
		else
			form_text(f, gw->engines[i]->name, why.text);
	}
	form_end(f);
}

void
engine_show(struct form *f, const struct gw *gw, uint32_t sa)
{
	uint8_t engines = sa_at(&gw->sas, sa)->engine;
	uint16_t chosen = crypto_chosen(engines), software = crypto_software(engines);
	const char *device = engines_device_of(gw, sa);

	form_text(f, "engine", gw->engines[chosen]->name);
	if (device != NULL)
		form_text(f, "device", device);
	if (software != chosen)
		form_text(f, "software",
			  software < gw->n_engines ? gw->engines[software]->name : "none");
	offload_show(f, gw, sa);
	others_show(f, gw, sa, chosen);
}
