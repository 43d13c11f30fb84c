#include "conf/print.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "conf/net.h"

static uint64_t
load_number(const void *field, size_t size)
{
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;
	uint64_t v64;

	switch (size) {
	case 1:
		memcpy(&v8, field, 1);
		return v8;
	case 2:
		memcpy(&v16, field, 2);
		return v16;
	case 4:
		memcpy(&v32, field, 4);
		return v32;
	default:
		memcpy(&v64, field, 8);
		return v64;
	}
}

static void
quote(FILE *f, const char *text)
{
	fputc('"', f);
	for (; *text != 0; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
	fputc('"', f);
}

/* Other readers of YAML would take these for something else. */
static void
name_print(FILE *f, const char *name)
{
	static const char *const odd[] = { "true", "false", "null", "yes", "no",
					   "on",   "off",   "y",    "n" };
	bool plain = isalpha((unsigned char)name[0]);

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		plain &= strcasecmp(name, odd[i]) != 0;
	if (plain)
		fputs(name, f);
	else
		quote(f, name);
}

static void
names_print(FILE *f, const struct conf_names *names)
{
	uint32_t n = conf_names_n(names);

	fputs(n == 1 ? "" : "[", f);
	for (uint32_t i = 0; i < n; i++) {
		fputs(i == 0 ? "" : ", ", f);
		name_print(f, conf_name_at(names, i));
	}
	fputs(n == 1 ? "" : "]", f);
}

static bool
names_same(const struct conf_names *a, const struct conf_names *b)
{
	return a->n_more == b->n_more && memcmp(a->first, b->first, sizeof(a->first)) == 0 &&
	       (a->n_more == 0 || memcmp(a->more, b->more, a->n_more * sizeof(a->more[0])) == 0);
}

static void
number_print(FILE *f, const struct conf_key *k, const void *field)
{
	uint64_t value = load_number(field, k->size);

	for (const struct conf_word *w = k->words; w != NULL && w->name != NULL; w++)
		if (w->value == value) {
			fputs(w->name, f);
			return;
		}
	fprintf(f, (k->flags & KEY_HEX) != 0 ? "0x%" PRIx64 : "%" PRIu64, value);
}

static void
time_print(FILE *f, const void *field)
{
	static const struct {
		uint64_t us;
		const char *unit;
	} units[] = { { UINT64_C(3600000000), "h" },
		      { 60000000, "m" },
		      { 1000000, "s" },
		      { 1000, "ms" },
		      { 1, "us" } };
	uint64_t us = load_number(field, 8);
	int i = 0;

	while (us % units[i].us != 0)
		i++;
	if (us == 0)
		fputc('0', f);
	else
		fprintf(f, "%" PRIu64 "%s", us / units[i].us, units[i].unit);
}

static void
mask_print(FILE *f, const struct conf_key *k, const void *field)
{
	uint64_t mask = load_number(field, k->size);
	const char *lead = "[";

	if (mask == UINT64_MAX && k->words != NULL) {
		fputs(k->words->name, f);
		return;
	}
	for (int i = 0; i < 64; i++)
		if ((mask >> i & 1) != 0) {
			fprintf(f, "%s%d", lead, i);
			lead = ", ";
		}
	fputs(mask == 0 ? "[]" : "]", f);
}

static void
addr_print(FILE *f, const struct addr *a)
{
	char text[NET_TEXT_SIZE];

	addr_text(a, text);
	fprintf(f, a->family == 6 ? "\"%s\"" : "%s", text);
}

static void
net_print(FILE *f, const struct conf_net *n)
{
	char text[NET_TEXT_SIZE];

	net_text(n, text, sizeof(text));
	fprintf(f, n->family == 6 ? "\"%s\"" : "%s", text);
}

static void
nets_print(FILE *f, const struct conf_nets *nets)
{
	if (nets->n == 1) {
		net_print(f, &nets->list[0]);
		return;
	}
	fputc('[', f);
	for (uint32_t i = 0; i < nets->n; i++) {
		fputs(i == 0 ? "" : ", ", f);
		net_print(f, &nets->list[i]);
	}
	fputc(']', f);
}

static void
ifaddrs_print(FILE *f, const struct conf_ifaddrs *addrs)
{
	fputc('[', f);
	for (uint32_t i = 0; i < addrs->n; i++) {
		char text[NET_TEXT_SIZE];

		addr_text(&addrs->list[i].addr, text);
		fprintf(f, addrs->list[i].addr.family == 6 ? "%s\"%s/%u\"" : "%s%s/%u",
			i == 0 ? "" : ", ", text, addrs->list[i].prefix_len);
	}
	fputc(']', f);
}

static void
dscp_map_print(FILE *f, const struct conf_dscp_map *m)
{
	const char *lead = "{";
	bool copy = true, one = true;

	for (int i = 0; i < 64; i++) {
		copy &= m->map[i] == i;
		one &= m->map[i] == m->map[0];
	}
	if (copy || one) {
		fprintf(f, copy ? "copy" : "%u", m->map[0]);
		return;
	}
	for (int i = 0; i < 64; i++)
		if (m->map[i] != i) {
			fprintf(f, "%s%d: %u", lead, i, m->map[i]);
			lead = ", ";
		}
	fputc('}', f);
}

static void
engines_print(FILE *f, const struct conf_engines *e)
{
	fputc('[', f);
	for (int i = 0; i < e->n; i++)
		fprintf(f, "%s%s", i == 0 ? "" : ", ", conf_engine_names[e->list[i]]);
	fputc(']', f);
}

static void
devices_print(FILE *f, const struct conf_devices *d)
{
	fputc('[', f);
	for (uint32_t i = 0; i < d->n; i++) {
		fputs(i == 0 ? "" : ", ", f);
		quote(f, d->list[i]);
	}
	fputc(']', f);
}

static bool
devices_same(const struct conf_devices *a, const struct conf_devices *b)
{
	return a->n == b->n &&
	       (a->n == 0 || memcmp(a->list, b->list, a->n * sizeof(a->list[0])) == 0);
}

static void
port_range_print(FILE *f, const struct conf_port_range *r)
{
	if (r->first == 0 && r->last == 65535)
		fputs("any", f);
	else if (r->first == r->last)
		fprintf(f, "%u", r->first);
	else
		fprintf(f, "%u-%u", r->first, r->last);
}

void
value_print(FILE *f, const struct conf_key *k, const void *field)
{
	const uint8_t *octets = field;
	uint16_t ports[2];

	switch (k->type) {
	case TYPE_BOOL:
		fputs(*(const bool *)field ? "true" : "false", f);
		break;
	case TYPE_NUMBER:
		number_print(f, k, field);
		break;
	case TYPE_TIME:
		time_print(f, field);
		break;
	case TYPE_MASK:
		mask_print(f, k, field);
		break;
	case TYPE_NAME:
		name_print(f, field);
		break;
	case TYPE_NAMES:
		names_print(f, field);
		break;
	case TYPE_TEXT:
		quote(f, field);
		break;
	case TYPE_ADDR:
		addr_print(f, field);
		break;
	case TYPE_PREFIX:
		net_print(f, field);
		break;
	case TYPE_NETS:
		nets_print(f, field);
		break;
	case TYPE_IFADDRS:
		ifaddrs_print(f, field);
		break;
	case TYPE_MAC:
		fprintf(f, "\"%02x:%02x:%02x:%02x:%02x:%02x\"", octets[0], octets[1], octets[2],
			octets[3], octets[4], octets[5]);
		break;
	case TYPE_ALG:
		fputs((*(const struct alg *const *)field)->name, f);
		break;
	case TYPE_SECRET:
		fputs("redacted", f);
		break;
	case TYPE_ENGINES:
		engines_print(f, field);
		break;
	case TYPE_DEVICES:
		devices_print(f, field);
		break;
	case TYPE_PORT_PAIR:
		memcpy(ports, field, sizeof(ports));
		fprintf(f, "[%u, %u]", ports[0], ports[1]);
		break;
	case TYPE_PORT_RANGE:
		port_range_print(f, field);
		break;
	case TYPE_DSCP_MAP:
		dscp_map_print(f, field);
		break;
	}
}

bool
value_absent(const struct conf_key *k, const void *field)
{
	switch (k->type) {
	case TYPE_NUMBER:
		return k->def == NULL && k->min <= k->max && load_number(field, k->size) == 0;
	case TYPE_MASK:
		return k->def == NULL && load_number(field, k->size) == 0;
	case TYPE_NAME:
	case TYPE_NAMES:
	case TYPE_TEXT:
		return *(const char *)field == 0;
	case TYPE_ADDR:
		return ((const struct addr *)field)->family == 0;
	case TYPE_IFADDRS:
		return ((const struct conf_ifaddrs *)field)->n == 0;
	case TYPE_DEVICES:
		return ((const struct conf_devices *)field)->n == 0;
	case TYPE_ALG:
		return *(const struct alg *const *)field == NULL;
	case TYPE_SECRET:
		return ((const struct conf_secret *)field)->len == 0;
	case TYPE_OPTION:
		return !*(const bool *)field;
	default:
		return false;
	}
}

bool
value_same(const struct conf_key *k, const void *a, const void *b)
{
	const struct conf_nets *na = a, *nb = b;
	const struct conf_ifaddrs *ia = a, *ib = b;

	if (k->type == TYPE_NAMES)
		return names_same(a, b);
	if (k->type == TYPE_DEVICES)
		return devices_same(a, b);
	if (k->type == TYPE_NETS)
		return na->n == nb->n &&
		       (na->n == 0 || memcmp(na->list, nb->list, na->n * sizeof(*na->list)) == 0);
	if (k->type == TYPE_IFADDRS)
		return ia->n == ib->n &&
		       (ia->n == 0 || memcmp(ia->list, ib->list, ia->n * sizeof(*ia->list)) == 0);
	return memcmp(a, b, k->size) == 0;
}

void
field_print(FILE *f, const struct conf_key *k, const void *base)
{
	if (k->type == TYPE_MAP || k->type == TYPE_OPTION)
		block_print(f, k->sub, base);
	else
		value_print(f, k, (const char *)base + k->at);
}

void
block_print(FILE *f, enum conf_block block, const void *base)
{
	const char *lead = "{";
	uint32_t n;
	const struct conf_key *k = schema_block(block, &n);

	for (; n > 0; n--, k++) {
		if (value_absent(k, (const char *)base + k->at))
			continue;
		fprintf(f, "%s%s: ", lead, k->name);
		lead = ", ";
		field_print(f, k, base);
	}
	fputc('}', f);
}
