#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "capture.h"
#include "conf/conf.h"
#include "crypto/crypto.h"
#include "drivers.h"
#include "state/state.h"

/* A PCI device has to be in the machine; what else DPDK can name shows only when it is opened. */
static bool
is_there(const char *device)
{
	unsigned int domain, bus, dev, fn;
	char path[128];

	if (sscanf(device, "%x:%x:%x.%x", &domain, &bus, &dev, &fn) != 4)
		return true;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%04x:%02x:%02x.%x", domain, bus, dev,
		 fn);
	return access(path, F_OK) == 0;
}

static void
devices_check(const struct conf *c, struct conf_errors *errors)
{
	const struct conf_devices *d = &c->gateway.crypto_devices;
	struct conf_place at = conf_gateway_place(c, "crypto_devices");

	for (uint32_t i = 0; i < d->n; i++)
		if (!is_there(d->list[i]))
			conf_complain_at(errors, false, at.line, at.col, "gateway.crypto_devices",
					 "an address from lspci -D",
					 "there is no PCI device %s in this machine", d->list[i]);
}

static void
ports_check(const struct conf *c, struct conf_errors *errors)
{
	for (uint32_t i = 0; i < c->n_ports; i++) {
		const char *device = c->ports[i].device;
		struct err err;

		if (!is_there(device))
			conf_complain(errors, false, &c->ports[i].mark, "device",
				      "an address from lspci -D",
				      "there is no PCI device %s in this machine", device);
		if (inline_words_check(c->ports[i].ipsec, &err) < 0)
			conf_complain(errors, false, &c->ports[i].mark, "inline", NULL, "%s",
				      err.text);
	}
}

static void
sas_check(const struct conf *c, const struct engine *const *engines, uint16_t n_engines,
	  struct conf_errors *errors)
{
	for (uint32_t i = 0; i < c->n_sas; i++) {
		struct err err = { "" };
		uint8_t index;

		if (crypto_engine_pick(engines, n_engines, &c->sas[i].suite, &index, &err) < 0)
			conf_complain(errors, false, &c->sas[i].mark, "", NULL, "%s", err.text);
	}
}

/* What the start would say of the state file. A gateway that runs has it: nothing is wrong then. */
static void
state_check(const struct conf *c, uint64_t *n_records, struct conf_errors *errors)
{
	const struct state_options options = { .path = c->gateway.state_file };
	struct conf_place at = conf_gateway_place(c, "state_file");
	struct err err = { "" };
	int rc = 0;

	if (options.path[0] != 0)
		rc = state_file_probe(&options, n_records, &err);
	if (rc < 0)
		conf_complain_at(errors, rc == -EBUSY, at.line, at.col, "gateway.state_file", NULL,
				 "%s", err.text);
}

/* What the file costs: while it is written anew, it is there twice. */
static void
state_cost_print(const struct conf *c, uint64_t n_records)
{
	uint64_t lanes = 0;

	if (c->gateway.state_file[0] == 0)
		return;
	for (uint32_t i = 0; i < c->n_sas; i++)
		lanes += c->sas[i].direction == CONF_OUT && c->sas[i].lanes != CONF_AUTO ?
				 c->sas[i].lanes :
				 1;
	printf("gateway.state_file: %" PRIu64
	       " lanes of this file's SAs: %.1f MiB of disk, up to 8 "
	       "times as much between rewrites and 1 MiB at least, and %.1f MiB of memory; %u "
	       "and %u octets more for each lane of a daemon's SA; one fsync for all that ask "
	       "while the disk works, each lane once a second at most at a steady rate; the file "
	       "has %" PRIu64 " lanes now\n",
	       lanes, (double)(lanes * STATE_RECORD_COST) / (1 << 20),
	       (double)(lanes * STATE_MEMORY_COST) / (1 << 20), STATE_RECORD_COST,
	       STATE_MEMORY_COST, n_records);
}

static uint64_t
hugepages_free(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	unsigned long n = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "HugePages_Free: %lu", &n) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return n;
}

static void
print_json(const struct conf *conf, struct conf_errors *errors)
{
	struct json j;

	json_init(&j, stdout);
	json_object(&j, NULL);
	conf_errors_json(&j, "check", errors);
	json_u64(&j, "hugepages_free", hugepages_free());
	json_u64(&j, "sas", conf != NULL ? conf->n_sas : 0);
	json_u64(&j, "policies", conf != NULL ? conf->n_policies : 0);
	json_end(&j);
	fputc('\n', stdout);
}

static void
print_text(const struct options *o, const struct conf *conf, uint64_t n_records,
	   struct conf_errors *errors)
{
	conf_errors_print(stdout, errors);
	if (conf == NULL || errors->n_errors > 0)
		return;
	conf_costs_print(stdout, conf);
	state_cost_print(conf, n_records);
	if (hugepages_free() == 0)
		puts("no free hugepages: the gateway wants --no-huge here, and is slower");
	printf("%s: fine: %u ports, %u SAs, %u policies\n", o->config, conf->n_ports, conf->n_sas,
	       conf->n_policies);
}

int
check_run(const struct options *o, const struct engine *const *engines, uint16_t n_engines)
{
	struct conf_errors errors;
	struct conf *conf = NULL;
	uint64_t n_records = 0;
	int rc;

	struct err unused;

	/* What `inline` may name is among them. */
	inline_emulated_use(engines, n_engines, &unused);
	conf_errors_init(&errors, o->config);
	if (conf_load(o->config, &conf, &errors) == 0) {
		ports_check(conf, &errors);
		devices_check(conf, &errors);
		captures_check(conf, &errors);
		sas_check(conf, engines, n_engines, &errors);
		state_check(conf, &n_records, &errors);
	}
	if (o->json)
		print_json(conf, &errors);
	else
		print_text(o, conf, n_records, &errors);
	rc = conf == NULL || errors.n_errors > 0 ? EXIT_USAGE : EXIT_FINE;
	conf_errors_free(&errors);
	conf_free(conf);
	return rc;
}
