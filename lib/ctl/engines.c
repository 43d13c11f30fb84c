#include "ctl/engines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "base/json.h"
#include "crypto/crypto.h"
#include "ctl/log.h"
#include "ctl/offloads.h"

/* Control's notes of what the file names. */
struct engines {
	uint8_t n;
	struct {
		const char *name;
		char *why; /* passed over: why; NULL: it is used */
	} named[CONF_ENGINES_MAX];
	bool open[GW_ENGINES_MAX]; /* asynchronous ones, as long as their devices are open */
	uint32_t sas[GW_ENGINES_MAX];
	/* By SA: what a device said that could have done it, and had no room or the like; NULL for
	 * most. */
	struct refusals {
		char *of[2]; /* ENGINE_ASYNC, ENGINE_INLINE */
	} * refused;
};

static const struct engine *
built_in(const struct gw *gw, const char *name)
{
	for (uint16_t i = 0; i < gw->options.n_engines; i++)
		if (strcmp(gw->options.engines[i]->name, name) == 0)
			return gw->options.engines[i];
	return NULL;
}

/* As it is if the file says nothing: then nobody asked for a device that is not there. */
static bool
is_default_list(const struct conf_engines *e)
{
	for (uint8_t i = 0; i < e->n; i++)
		if (e->list[i] != i)
			return false;
	return e->n == CONF_ENGINES_MAX;
}

/* Says it, and keeps it for `show crypto`. */
static void
pass_over(struct gw *gw, uint8_t named, const char *why)
{
	struct engines *e = gw->crypto;

	e->named[named].why = strdup(why);
	if (is_default_list(&gw->conf->gateway.crypto))
		GW_LOG(DEBUG, "crypto: %s is passed over: %s\n", e->named[named].name, why);
	else
		GW_LOG(NOTICE, "crypto: %s is passed over: %s\n", e->named[named].name, why);
}

/* 0, or the error and why there is no use in the engine. */
static int
devices_open(const struct gw *gw, const struct engine *engine, struct err *err)
{
	const struct conf_devices *d = &gw->conf->gateway.crypto_devices;
	const char **devices = calloc(d->n + 1, sizeof(devices[0]));
	struct engine_setup setup = {
		.n_workers = (uint16_t)(rte_lcore_count() - 1),
		.max_sessions = gw->conf->gateway.max_sas,
		.devices = devices,
		.n_devices = (uint16_t)d->n,
	};
	int rc;

	if (devices == NULL)
		return err_set(err, -ENOMEM, "no memory for %u crypto devices", d->n);
	for (uint32_t i = 0; i < d->n; i++)
		devices[i] = d->list[i];
	rc = engine->async->open(&setup, err);
	free(devices);
	return rc;
}

/* Devices that the file names have to be there; of those that happen to be, nothing is asked. */
static int
engine_begin(struct gw *gw, uint8_t named, struct err *err)
{
	struct engines *e = gw->crypto;
	const struct engine *engine = built_in(gw, e->named[named].name);
	bool asked = gw->conf->gateway.crypto_devices.n != 0;
	int rc = 0;

	if (engine == NULL) {
		pass_over(gw, named, "it is not built in");
		return 0;
	}
	if (engine->kind == ENGINE_ASYNC)
		rc = devices_open(gw, engine, err);
	if (rc < 0 && asked)
		return rc == -ENODEV ? -EINVAL : rc;
	if (rc < 0) {
		pass_over(gw, named, err->text);
		return 0;
	}
	e->open[gw->n_engines] = engine->kind == ENGINE_ASYNC;
	gw->engines[gw->n_engines++] = engine;
	return 0;
}

int
engines_begin(struct gw *gw, struct err *err)
{
	const struct conf_engines *wanted = &gw->conf->gateway.crypto;
	struct engines *e = calloc(1, sizeof(*e));
	int rc = 0;

	gw->crypto = e;
	if (e == NULL)
		return err_set(err, -ENOMEM, "no memory for crypto engines");
	for (uint8_t i = 0; i < wanted->n && rc == 0; i++) {
		e->named[i].name = conf_engine_names[wanted->list[i]];
		e->n = i + 1;
		rc = engine_begin(gw, i, err);
	}
	if (rc == 0 && gw->conf->gateway.crypto_devices.n != 0 && !engines_any(gw, ENGINE_ASYNC))
		rc = err_set(
			err, -EINVAL,
			"gateway.crypto_devices: gateway.crypto has no cryptodev that would use "
			"them");
	if (rc == 0 && !engines_any(gw, ENGINE_SYNC))
		rc = err_set(err, -EINVAL,
			     "gateway.crypto names no engine that is here: ipsec_mb, openssl");
	return rc;
}

bool
engines_any(const struct gw *gw, enum engine_kind kind)
{
	for (uint16_t i = 0; i < gw->n_engines; i++)
		if (gw->engines[i]->kind == kind)
			return true;
	return false;
}

void
engines_close(struct gw *gw)
{
	for (uint16_t i = 0; gw->crypto != NULL && i < gw->n_engines; i++) {
		if (!gw->crypto->open[i])
			continue;
		gw->crypto->open[i] = false;
		gw->engines[i]->async->close();
	}
}

void
engines_end(struct gw *gw)
{
	struct engines *e = gw->crypto;

	if (e == NULL)
		return;
	engines_close(gw);
	for (uint8_t i = 0; i < e->n; i++)
		free(e->named[i].why);
	for (uint32_t i = 0; e->refused != NULL && i < gw->conf->gateway.max_sas; i++) {
		free(e->refused[i].of[0]);
		free(e->refused[i].of[1]);
	}
	free(e->refused);
	free(e);
	gw->crypto = NULL;
	gw->n_engines = 0;
}

/* No port has a device for it. */
static void
inline_drop(struct gw *gw, uint16_t i)
{
	struct engines *e = gw->crypto;

	for (uint8_t k = 0; k < e->n; k++)
		if (strcmp(e->named[k].name, gw->engines[i]->name) == 0)
			pass_over(gw, k, "no port has a device with IPsec");
	gw->n_engines--;
	memmove(&gw->engines[i], &gw->engines[i + 1], (gw->n_engines - i) * sizeof(gw->engines[0]));
	memmove(&e->open[i], &e->open[i + 1], (gw->n_engines - i) * sizeof(e->open[0]));
}

int
engines_workers_begin(struct gw *gw, struct err *err)
{
	const struct conf_gateway *c = &gw->conf->gateway;
	int rc = 0;

	for (uint16_t i = gw->n_engines; i-- > 0;)
		if (gw->engines[i]->kind == ENGINE_INLINE && !offloads_any(gw))
			inline_drop(gw, i);
	if (engines_any(gw, ENGINE_ASYNC) || engines_any(gw, ENGINE_INLINE)) {
		gw->crypto->refused = calloc(c->max_sas, sizeof(gw->crypto->refused[0]));
		if (gw->crypto->refused == NULL)
			return err_set(err, -ENOMEM, "no memory for what devices say");
	}
	for (uint16_t i = 0; i < gw->n_workers && rc == 0; i++) {
		struct worker *w = gw->workers[i];

		rc = crypto_worker_init(gw->engines, gw->n_engines, c->key_cache, w->index,
					w->socket, &w->crypto, err);
	}
	return rc;
}

void
engines_workers_end(struct gw *gw)
{
	for (uint16_t i = 0; i < gw->n_workers; i++) {
		crypto_worker_fini(gw->workers[i]->crypto);
		gw->workers[i]->crypto = NULL;
	}
}

void
engines_tick(struct gw *gw)
{
	uint64_t now = clock_now(&gw->clock);
	struct err event;

	for (uint16_t i = 0; gw->crypto != NULL && i < gw->n_engines; i++)
		while (gw->crypto->open[i] && gw->engines[i]->async->tick(now, &event))
			GW_LOG(NOTICE, "crypto: %s\n", event.text);
}

/* ---- One SA. ---- */

static bool
is_open(const struct gw *gw, uint16_t i)
{
	return gw->crypto != NULL && gw->crypto->open[i];
}

/* Where it is kept; NULL: of that kind, or of all, nothing is. */
static char **
refusal_at(const struct gw *gw, uint32_t index, enum engine_kind kind)
{
	if (gw->crypto == NULL || gw->crypto->refused == NULL || kind == ENGINE_SYNC)
		return NULL;
	return &gw->crypto->refused[index].of[kind == ENGINE_INLINE];
}

static void
refusal_keep(struct gw *gw, uint32_t index, enum engine_kind kind, const struct err *why)
{
	char **at = refusal_at(gw, index, kind);

	if (at == NULL)
		return;
	free(*at);
	*at = why != NULL ? strdup(why->text) : NULL;
}

static void
refusals_forget(struct gw *gw, uint32_t index)
{
	refusal_keep(gw, index, ENGINE_ASYNC, NULL);
	refusal_keep(gw, index, ENGINE_INLINE, NULL);
}

/* Whether it could, without any trace. */
static int
serves(const struct gw *gw, uint32_t index, uint16_t i, struct err *err)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	const struct engine *e = gw->engines[i];
	int rc;

	if (e->kind == ENGINE_SYNC)
		return e->serves(&sa->suite, err);
	if ((sa->flags & SA_AH) != 0)
		return err_set(err, -ENOTSUP, "AH is not for devices");
	rc = e->serves(&sa->suite, err);
	if (rc == 0 && e->kind == ENGINE_INLINE)
		rc = crypto_software(sa->engine) == CRYPTO_NO_ENGINE ?
			     err_set(err, -ENOTSUP,
				     "no synchronous engine would do what the device passes on") :
			     offloads_serves(gw, index, err);
	return rc;
}

static int
take(struct gw *gw, uint32_t index, uint16_t i, struct err *err)
{
	struct sa *sa = sa_at(&gw->sas, index);
	const struct engine *e = gw->engines[i];
	int rc = serves(gw, index, i, err);

	if (rc < 0)
		return rc;
	if (e->kind == ENGINE_ASYNC)
		rc = !is_open(gw, i) ? err_set(err, -ENODEV, "its devices are closed") :
				       e->async->session_open(sa_session(sa),
							      (sa->flags & SA_INBOUND) == 0, err);
	if (e->kind == ENGINE_INLINE)
		rc = offloads_sa_begins(gw, index, err);
	refusal_keep(gw, index, e->kind, rc < 0 ? err : NULL);
	return rc;
}

static void
chosen_set(struct gw *gw, uint32_t index, uint16_t i)
{
	struct sa *sa = sa_at(&gw->sas, index);
	uint8_t engines = crypto_engines((uint8_t)i, crypto_software(sa->engine));
	uint16_t flags = sa->flags;

	if (gw->engines[i]->kind == ENGINE_INLINE)
		flags |= SA_INLINE;
	__atomic_store_n(&sa->flags, flags, __ATOMIC_RELAXED);
	__atomic_store_n(&sa->engine, engines, __ATOMIC_RELAXED);
	if (gw->crypto != NULL)
		gw->crypto->sas[i]++;
}

/* The first from an index on that takes it. What the others said is joined in err. */
static int
choose(struct gw *gw, uint32_t index, uint16_t from, struct err *err)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	char all[ERR_TEXT_SIZE] = "", name[64];
	size_t used = 0;

	for (uint16_t i = from; i < gw->n_engines; i++) {
		struct err why = { "" };

		if (take(gw, index, i, &why) == 0) {
			chosen_set(gw, index, i);
			return 0;
		}
		if (used < sizeof(all))
			used += (size_t)snprintf(all + used, sizeof(all) - used, "; %s: %s",
						 gw->engines[i]->name, why.text);
	}
	suite_name(&sa->suite, name, sizeof(name));
	return err_set(err, -ENOTSUP, "no engine serves %s%s", name, all);
}

int
engines_sa_begins(struct gw *gw, uint32_t index, struct err *err)
{
	struct sa *sa = sa_at(&gw->sas, index);
	struct err unused;
	uint8_t pick;
	int rc;

	if (crypto_engine_pick(gw->engines, gw->n_engines, &sa->suite, &pick, &unused) < 0)
		pick = crypto_engines(CRYPTO_NO_ENGINE, CRYPTO_NO_ENGINE);
	sa->engine = pick;
	rc = choose(gw, index, 0, err);
	if (rc < 0)
		refusals_forget(gw, index); /* there will be no such SA */
	return rc;
}

void
engines_sa_ends(struct gw *gw, uint32_t index)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	uint8_t i = crypto_chosen(sa->engine);

	offloads_sa_ends(gw, index);
	if (gw->crypto == NULL || i >= gw->n_engines)
		return;
	gw->crypto->sas[i]--;
	refusals_forget(gw, index);
	if (is_open(gw, i))
		gw->engines[i]->async->session_close(sa_session(sa)->id);
}

void
engines_sa_passes(struct gw *gw, uint32_t index, const struct err *why)
{
	uint8_t chosen = crypto_chosen(sa_at(&gw->sas, index)->engine);
	struct err err;

	if (choose(gw, index, chosen + 1, &err) == 0)
		gw->crypto->sas[chosen]--;
	refusal_keep(gw, index, ENGINE_INLINE, why);
	GW_LOG(DEBUG, "SPI 0x%x: %s\n", sa_cold(&gw->sas, index)->spi, why->text);
}

/* The place of the inline engine in the list, or n_engines. */
static uint16_t
inline_at(const struct gw *gw)
{
	uint16_t i = 0;

	while (i < gw->n_engines && gw->engines[i]->kind != ENGINE_INLINE)
		i++;
	return i;
}

bool
engines_may_offload(const struct gw *gw, uint32_t index)
{
	uint8_t chosen = crypto_chosen(sa_at(&gw->sas, index)->engine);
	struct err unused;

	return inline_at(gw) < chosen && gw->engines[chosen]->kind == ENGINE_SYNC &&
	       serves(gw, index, inline_at(gw), &unused) == 0;
}

void
engines_sa_offload(struct gw *gw, uint32_t index)
{
	gw->crypto->sas[crypto_chosen(sa_at(&gw->sas, index)->engine)]--;
	chosen_set(gw, index, inline_at(gw));
}

int
engines_why_not(const struct gw *gw, uint32_t index, uint16_t engine, struct err *why)
{
	const struct engine *e = gw->engines[engine];
	char **refused = refusal_at(gw, index, e->kind);

	if (e->kind == ENGINE_INLINE && crypto_chosen(sa_at(&gw->sas, index)->engine) == engine)
		return offloads_why_not(gw, index, why);
	if (refused != NULL && *refused != NULL)
		return err_set(why, -ENOSPC, "%s", *refused);
	return serves(gw, index, engine, why);
}

const char *
engines_device_of(const struct gw *gw, uint32_t index)
{
	const struct sa *sa = sa_at(&gw->sas, index);
	uint8_t i = crypto_chosen(sa->engine);

	return is_open(gw, i) ? gw->engines[i]->async->device_of(sa_session(sa)->id) : NULL;
}

/* ---- For people. ---- */

bool
engines_next(const struct gw *gw, uint8_t *at, struct engine_note *note)
{
	const struct engines *e = gw->crypto;

	if (e == NULL || *at >= e->n)
		return false;
	*note = (struct engine_note) { .name = e->named[*at].name, .why = e->named[*at].why };
	for (uint16_t i = 0; i < gw->n_engines; i++) {
		if (strcmp(gw->engines[i]->name, note->name) != 0)
			continue;
		note->engine = gw->engines[i];
		note->sas = e->sas[i];
	}
	++*at;
	return true;
}

static const char *
kind_name(const struct engine *e)
{
	return e->kind == ENGINE_ASYNC	? "asynchronous" :
	       e->kind == ENGINE_INLINE ? "inline" :
					  "synchronous";
}

void
engines_print(const struct gw *gw, FILE *f)
{
	struct engine_note note;
	uint8_t at = 0;

	while (engines_next(gw, &at, &note)) {
		if (note.engine == NULL) {
			fprintf(f, "%s: passed over: %s\n", note.name,
				note.why != NULL ? note.why : "no memory to say why");
			continue;
		}
		fprintf(f, "%s: %s, %u SAs\n", note.name, kind_name(note.engine), note.sas);
		if (note.engine->kind == ENGINE_ASYNC)
			note.engine->async->print(f);
	}
}

void
engines_json(const struct gw *gw, struct json *j)
{
	struct engine_note note;
	uint8_t at = 0;

	json_object(j, "crypto");
	json_array(j, "engines");
	while (engines_next(gw, &at, &note)) {
		json_object(j, NULL);
		json_string(j, "name", note.name);
		json_bool(j, "used", note.engine != NULL);
		if (note.engine == NULL)
			json_string(j, "why", note.why != NULL ? note.why : "");
		else
			json_string(j, "kind", kind_name(note.engine));
		json_u64(j, "sas", note.sas);
		if (note.engine != NULL && note.engine->kind == ENGINE_ASYNC)
			note.engine->async->json(j);
		json_end(j);
	}
	json_end(j);
	json_end(j);
}
