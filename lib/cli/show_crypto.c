/* `show crypto`, `show nic`, `port`: who enciphers, and where. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "cli/table.h"
#include "ctl/engines.h"
#include "ctl/gw.h"
#include "ctl/offloads.h"
#include "ctl/ports.h"
#include "port/port.h"

int
show_crypto(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	struct json j;

	if (!json) {
		engines_print(cli->gw, out);
		return 0;
	}
	json_init(&j, out);
	json_object(&j, NULL);
	engines_json(cli->gw, &j);
	json_end(&j);
	fputc('\n', out);
	return 0;
}

int
show_nic(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	const struct port *port = NULL;
	struct json j;

	if (args->n == 1) {
		port = port_by_name(cli->gw->ports, args->words[0]);
		if (port == NULL)
			return err_set(err, -ENOENT, "there is no port %.60s: see show port",
				       args->words[0]);
	}
	if (!json) {
		offloads_print(cli->gw, port != NULL ? port->link.index : PORT_NONE, out);
		return 0;
	}
	json_init(&j, out);
	json_object(&j, NULL);
	offloads_json(cli->gw, port != NULL ? port->link.index : PORT_NONE, &j);
	json_end(&j);
	fputc('\n', out);
	return 0;
}

int
port_command(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	if (strcmp(args->words[1], "reset") != 0)
		return err_set(err, -EINVAL, "it is: port NAME reset");
	return ports_reset(cli->gw, args->words[0], err);
}
