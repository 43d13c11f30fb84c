/* `show nic`: what a device can do of ESP, and what not and why. */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "driver.h"

static const struct line {
	enum offload_kind kind;
	const char *kind_name;
	bool inbound, transport;
} lines[] = {
	{ OFFLOAD_CRYPTO, "crypto", true, false },
	{ OFFLOAD_CRYPTO, "crypto", false, false },
	{ OFFLOAD_CRYPTO, "crypto", true, true },
	{ OFFLOAD_CRYPTO, "crypto", false, true },
	{ OFFLOAD_PROTOCOL, "protocol", true, false },
	{ OFFLOAD_PROTOCOL, "protocol", false, false },
	{ OFFLOAD_PROTOCOL, "protocol", true, true },
	{ OFFLOAD_PROTOCOL, "protocol", false, true },
};

static const char *
direction_of(const struct line *l)
{
	return l->inbound ? "in" : "out";
}

static const char *
mode_of(const struct line *l)
{
	return l->transport ? "transport" : "tunnel";
}

/* Why nothing of a line is used; NULL. */
static const char *
why_unused(const struct offload_port *op, const struct line *l,
	   const struct rte_security_capability *c)
{
	if (c == NULL)
		return "not offered";
	if (l->inbound && l->kind == OFFLOAD_CRYPTO &&
	    (c->ol_flags & RTE_SECURITY_RX_HW_TRAILER_OFFLOAD) != 0)
		return "the device takes the trailer off";
	if (l->inbound && !op->named && op->rx_kind != l->kind)
		return "the device does not say which packets came by inline protocol";
	return NULL;
}

static bool
is_algorithm(int id)
{
	return algs[id].name != NULL && id != ALG_NONE;
}

static void
algorithms_print(const struct rte_security_capability *c, FILE *f)
{
	struct err err;
	int n_without = 0;

	for (int id = 0; id < ALG_MAX; id++)
		if (is_algorithm(id) && inline_match_algorithm(c, (uint8_t)id, &err) == 0)
			fprintf(f, " %s", algs[id].name);
	for (int id = 0; id < ALG_MAX; id++)
		if (is_algorithm(id) && inline_match_algorithm(c, (uint8_t)id, &err) == -ENOENT)
			fprintf(f, "%s %s", n_without++ == 0 ? "\n    without" : "", algs[id].name);
	fputc('\n', f);
	for (int id = 0; id < ALG_MAX; id++)
		if (is_algorithm(id) && inline_match_algorithm(c, (uint8_t)id, &err) == -ENOTSUP)
			fprintf(f, "    not %s\n", err.text);
}

void
inline_print(const struct offload_port *op, FILE *f)
{
	for (size_t i = 0; i < RTE_DIM(lines); i++) {
		const struct line *l = &lines[i];
		const struct rte_security_capability *c =
			inline_capability(op, l->kind, l->inbound, l->transport);
		const char *why = why_unused(op, l, c);

		fprintf(f, "  %s %s, %s: ", l->kind_name, direction_of(l), mode_of(l));
		if (why != NULL) {
			fprintf(f, "%s\n", why);
			continue;
		}
		fprintf(f, "%s, %s", c->ipsec.options.esn ? "ESN" : "no ESN",
			c->ipsec.options.udp_encap ? "ESP in UDP" : "no ESP in UDP");
		if (l->inbound && l->kind == OFFLOAD_PROTOCOL && !op->rx_number)
			fprintf(f, ", window up to %u", c->ipsec.replay_win_sz_max);
		fprintf(f, ";");
		algorithms_print(c, f);
	}
}

static void
algorithms_json(const struct rte_security_capability *c, struct json *j)
{
	struct err err;

	json_array(j, "algorithms");
	for (int id = 0; id < ALG_MAX; id++)
		if (is_algorithm(id) && inline_match_algorithm(c, (uint8_t)id, &err) == 0)
			json_string(j, NULL, algs[id].name);
	json_end(j);
	json_array(j, "refused");
	for (int id = 0; id < ALG_MAX; id++) {
		if (!is_algorithm(id) || inline_match_algorithm(c, (uint8_t)id, &err) == 0)
			continue;
		json_object(j, NULL);
		json_string(j, "name", algs[id].name);
		json_string(j, "why", err.text);
		json_end(j);
	}
	json_end(j);
}

void
inline_json(const struct offload_port *op, struct json *j)
{
	json_array(j, "offers");
	for (size_t i = 0; i < RTE_DIM(lines); i++) {
		const struct line *l = &lines[i];
		const struct rte_security_capability *c =
			inline_capability(op, l->kind, l->inbound, l->transport);
		const char *why = why_unused(op, l, c);

		json_object(j, NULL);
		json_string(j, "kind", l->kind_name);
		json_string(j, "direction", direction_of(l));
		json_string(j, "mode", mode_of(l));
		json_bool(j, "usable", why == NULL);
		if (why != NULL) {
			json_string(j, "why", why);
		} else {
			json_bool(j, "esn", c->ipsec.options.esn);
			json_bool(j, "udp", c->ipsec.options.udp_encap);
			json_u64(j, "replay_window_max", c->ipsec.replay_win_sz_max);
			algorithms_json(c, j);
		}
		json_end(j);
	}
	json_end(j);
}
