#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/bind.h"

/* How much of a value an error repeats. */
#define SHOWN "%.60s"

static const struct conf_word *
word_find(const struct conf_word *words, const char *text)
{
	for (; words != NULL && words->name != NULL; words++)
		if (strcmp(words->name, text) == 0)
			return words;
	return NULL;
}

/* A suffix of a number or a time, and what it multiplies by. */
struct factor {
	const char *suffix;
	uint64_t by;
};

static const struct factor number_factors[] = {
	{ "", 1 },
	{ "k", 1000 },
	{ "M", 1000000 },
	{ "G", 1000000000 },
	{ "T", UINT64_C(1000000000000) },
	{ "Ki", UINT64_C(1) << 10 },
	{ "Mi", UINT64_C(1) << 20 },
	{ "Gi", UINT64_C(1) << 30 },
	{ "Ti", UINT64_C(1) << 40 },
	{ NULL, 0 },
};

static const struct factor time_factors[] = {
	{ "us", 1 },
	{ "ms", 1000 },
	{ "s", 1000000 },
	{ "m", UINT64_C(60000000) },
	{ "h", UINT64_C(3600000000) },
	{ NULL, 0 },
};

/* 0, -EINVAL for no number at all, -ERANGE beyond 64 bits or below 0. A leading 0 is refused: in
 * YAML 1.1 it would be octal, and few who write it mean that.
 */
static int
number_parse(const char *text, const struct factor *factors, uint64_t *value)
{
	bool hex = text[0] == '0' && text[1] == 'x';
	char *end;
	uint64_t n;

	if (text[0] == '-' && isdigit((unsigned char)text[1]))
		return -ERANGE;
	if (hex ? !isxdigit((unsigned char)text[2]) : !isdigit((unsigned char)text[0]))
		return -EINVAL;
	if (!hex && text[0] == '0' && isdigit((unsigned char)text[1]))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, hex ? 16 : 10);
	if (errno == ERANGE)
		return -ERANGE;
	for (; factors->suffix != NULL; factors++) {
		if (strcmp(factors->suffix, end) != 0)
			continue;
		return __builtin_mul_overflow(n, factors->by, value) ? -ERANGE : 0;
	}
	return -EINVAL;
}

bool
conf_number(const char *text, uint64_t *value)
{
	return number_parse(text, number_factors, value) == 0;
}

static bool
number_in_range(struct load *l, const struct conf_key *k, const struct node *n,
		const struct factor *factors, uint64_t *value)
{
	int rc = number_parse(n->text, factors, value);

	if (rc == -EINVAL)
		return value_error(l, k, n, "'" SHOWN "' is no %s", n->text,
				   factors == time_factors ? "time (such as 20s)" : "number");
	if (rc < 0 || *value < k->min || *value > k->max)
		return value_error(l, k, n, SHOWN " is out of range", n->text);
	return true;
}

static void
store(void *field, size_t size, uint64_t value)
{
	uint8_t v8 = value;
	uint16_t v16 = value;
	uint32_t v32 = value;

	if (size == 1)
		memcpy(field, &v8, 1);
	else if (size == 2)
		memcpy(field, &v16, 2);
	else if (size == 4)
		memcpy(field, &v32, 4);
	else
		memcpy(field, &value, 8);
}

static bool
unknown_word(struct load *l, const struct conf_key *k, const struct node *n)
{
	const char *near = word_nearest(k->words, n->text);
	char right[64];

	if (near == NULL)
		return value_error(l, k, n, "'" SHOWN "' is not known", n->text);
	snprintf(right, sizeof(right), "did you mean %s?", near);
	return load_error(l, n, right, "'" SHOWN "' is not known", n->text);
}

static bool
number_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	const struct conf_word *w = word_find(k->words, n->text);
	uint64_t value;

	if (w != NULL) {
		store(field, k->size, w->value);
		return true;
	}
	/* A word where a word may stand: it is misspelt, not a bad number. */
	if (k->words != NULL && (k->min > k->max || isalpha((unsigned char)n->text[0])))
		return unknown_word(l, k, n);
	if (!number_in_range(l, k, n, number_factors, &value))
		return false;
	store(field, k->size, value);
	return true;
}

static bool
bool_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	bool yes = strcmp(n->text, "true") == 0;

	if (!yes && strcmp(n->text, "false") != 0)
		return value_error(l, k, n, "'" SHOWN "' is neither", n->text);
	memcpy(field, &yes, sizeof(yes));
	return true;
}

static bool
time_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	uint64_t us = 0;

	/* Zero of any unit is zero. */
	if (strcmp(n->text, "0") == 0 && k->min == 0) {
		store(field, k->size, 0);
		return true;
	}
	if (!number_in_range(l, k, n, time_factors, &us))
		return false;
	store(field, k->size, us);
	return true;
}

static bool
mask_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	const struct node *one = n->kind == NODE_LIST ? n->child : n;
	uint64_t mask = 0, value;

	if (n->kind == NODE_SCALAR && word_find(k->words, n->text) != NULL) {
		store(field, k->size, UINT64_MAX);
		return true;
	}
	if (n->kind == NODE_LIST && n->child == NULL)
		return value_error(l, k, n, "an empty list");
	for (; one != NULL; one = n->kind == NODE_LIST ? one->next : NULL) {
		if (one->kind != NODE_SCALAR)
			return value_error(l, k, one, "not a number");
		if (!number_in_range(l, k, one, number_factors, &value))
			return false;
		mask |= UINT64_C(1) << value;
	}
	store(field, k->size, mask);
	return true;
}

static bool
text_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	if (n->n == 0)
		return value_error(l, k, n, "empty");
	if (n->n >= k->size)
		return load_error(l, n, NULL, "longer than %u octets", k->size - 1);
	for (const char *s = n->text; *s != 0; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return load_error(l, n, NULL, "control characters");
	memset(field, 0, k->size);
	memcpy(field, n->text, n->n);
	return true;
}

static bool
name_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	for (const char *s = n->text; *s != 0; s++)
		if (!isalnum((unsigned char)*s) && strchr("_-.", *s) == NULL)
			return value_error(l, k, n, "'" SHOWN "' is no name", n->text);
	return text_read(l, k, n, field);
}

/* A name alone, or each of a list once. */
static bool
names_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	const struct conf_key one = { .size = CONF_NAME_SIZE, .type = TYPE_NAME };
	struct conf_names names = { .n_more = 0 };
	const struct node *at = n->kind == NODE_LIST ? n->child : n;
	bool ok = true;

	if (at == NULL)
		return value_error(l, k, n, "an empty list");
	if (n->kind == NODE_LIST && n->n > 1) {
		names.more = calloc(n->n - 1, sizeof(names.more[0]));
		l->no_memory |= names.more == NULL;
		ok = names.more != NULL;
	}
	for (uint32_t i = 0; ok && at != NULL; at = n->kind == NODE_LIST ? at->next : NULL, i++) {
		char *to = i == 0 ? names.first : names.more[i - 1];

		ok = at->kind == NODE_SCALAR ? name_read(l, &one, at, to) :
					       value_error(l, k, at, "no name");
		names.n_more = i;
	}
	if (ok)
		memcpy(field, &names, sizeof(names));
	else
		free(names.more);
	return ok;
}

static bool
mac_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	uint8_t mac[6];
	const char *s = n->text;

	for (int i = 0; i < 6; i++, s += 3) {
		char byte[3] = { 0 };

		if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]) ||
		    s[2] != (i < 5 ? ':' : 0))
			return value_error(l, k, n, "'" SHOWN "' is no MAC address", n->text);
		memcpy(byte, s, 2);
		mac[i] = strtoul(byte, NULL, 16);
	}
	if ((mac[0] & 1) != 0 || memcmp(mac, "\0\0\0\0\0", 6) == 0)
		return load_error(l, n, "the MAC address of one station", "%s", n->text);
	memcpy(field, mac, sizeof(mac));
	return true;
}

static bool
alg_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	static const char *const keys[] = {
		[ALG_AEAD] = "aead", [ALG_CIPHER] = "cipher", [ALG_AUTH] = "auth"
	};
	const struct alg *alg = alg_find(n->text, k->min);

	/* AH's: whether the SA is of AH is not known yet. */
	if (alg == NULL && k->min == ALG_AUTH) {
		alg = alg_find(n->text, ALG_AEAD);
		if (alg != NULL && strncmp(alg->name, "aes-gmac-", 9) != 0)
			alg = NULL;
	}
	for (int kind = ALG_AEAD; alg == NULL && kind <= ALG_AUTH; kind++) {
		char right[96];

		if (alg_find(n->text, kind) == NULL)
			continue;
		snprintf(right, sizeof(right), "%s: %s", keys[kind], n->text);
		return load_error(l, n, right, "%s is no %s algorithm of ESP", n->text, k->name);
	}
	if (alg == NULL)
		return value_error(l, k, n, "'" SHOWN "' is not known", n->text);
	memcpy(field, &alg, sizeof(alg));
	return true;
}

static bool
engines_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	struct conf_engines order = { 0 };
	uint32_t seen = 0;

	if (n->kind != NODE_LIST || n->child == NULL)
		return value_error(l, k, n, "no list of engines");
	for (const struct node *one = n->child; one != NULL; one = one->next) {
		const struct conf_word *w = NULL;

		if (one->kind == NODE_SCALAR)
			w = word_find(k->words, one->text);
		if (w == NULL)
			return value_error(l, k, one, "'" SHOWN "' is not known",
					   one->kind == NODE_SCALAR ? one->text : "a list");
		if ((seen >> w->value & 1) != 0)
			return load_error(l, one, "once", "%s is named twice", one->text);
		seen |= 1u << w->value;
		order.list[order.n++] = w->value;
	}
	if ((seen >> CONF_ENGINE_IPSEC_MB & 1) == 0 && (seen >> CONF_ENGINE_OPENSSL & 1) == 0)
		return load_error(l, n, "ipsec_mb or openssl behind them",
				  "none is among them that needs no device");
	memcpy(field, &order, sizeof(order));
	return true;
}

/* "a,b=c" is the device a. */
static bool
device_again(const struct conf_devices *d, const char *device)
{
	size_t len = strcspn(device, ",");

	for (uint32_t i = 0; i < d->n; i++)
		if (strcspn(d->list[i], ",") == len && strncmp(d->list[i], device, len) == 0)
			return true;
	return false;
}

static bool
devices_fill(struct load *l, const struct conf_key *k, const struct node *n, struct conf_devices *d)
{
	const struct conf_key one = { .size = CONF_DEVICE_SIZE, .type = TYPE_TEXT };

	for (const struct node *at = n->child; at != NULL; at = at->next) {
		if (at->kind != NODE_SCALAR)
			return value_error(l, k, at, "no device");
		if (!text_read(l, &one, at, d->list[d->n]))
			return false;
		if (device_again(d, d->list[d->n]))
			return load_error(l, at, "once", "%.*s is named twice",
					  (int)strcspn(at->text, ","), at->text);
		d->n++;
	}
	return true;
}

static bool
devices_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	struct conf_devices d = { NULL, 0 };

	if (n->kind != NODE_LIST || n->child == NULL)
		return value_error(l, k, n, "no list of devices");
	d.list = calloc(n->n, sizeof(d.list[0]));
	l->no_memory |= d.list == NULL;
	if (d.list == NULL)
		return false;
	if (!devices_fill(l, k, n, &d)) {
		free(d.list);
		return false;
	}
	memcpy(field, &d, sizeof(d));
	return true;
}

static bool
port_pair_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	uint64_t value[2];
	uint16_t ports[2];
	const struct node *one = n->child;

	if (n->kind != NODE_LIST || n->n != 2)
		return value_error(l, k, n, "not a list of two");
	for (int i = 0; i < 2; i++, one = one->next) {
		if (one->kind != NODE_SCALAR)
			return value_error(l, k, one, "not a port");
		if (!number_in_range(l, k, one, number_factors, &value[i]))
			return false;
		ports[i] = value[i];
	}
	memcpy(field, ports, sizeof(ports));
	return true;
}

static bool
port_range_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	const char *dash = strchr(n->text, '-');
	struct conf_port_range r = { 0, 65535 };
	uint64_t first, last;
	char low[16];

	if (word_find(k->words, n->text) != NULL) {
		memcpy(field, &r, sizeof(r));
		return true;
	}
	snprintf(low, sizeof(low), "%.*s", dash != NULL ? (int)(dash - n->text) : 15, n->text);
	if (number_parse(low, number_factors, &first) < 0 ||
	    number_parse(dash != NULL ? dash + 1 : n->text, number_factors, &last) < 0)
		return value_error(l, k, n, "'" SHOWN "' is no port", n->text);
	if (first > 65535 || last > 65535)
		return value_error(l, k, n, SHOWN " is out of range", n->text);
	if (first > last)
		return load_error(l, n, "the smaller one first", SHOWN " runs backwards", n->text);
	r.first = first;
	r.last = last;
	memcpy(field, &r, sizeof(r));
	return true;
}

static bool
dscp_map_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	struct conf_dscp_map m;
	uint64_t value, inner;

	for (int i = 0; i < 64; i++)
		m.map[i] = i;
	if (n->kind == NODE_LIST)
		return value_error(l, k, n, "a list");
	if (n->kind == NODE_SCALAR && strcmp(n->text, "copy") != 0) {
		if (!number_in_range(l, k, n, number_factors, &value))
			return false;
		memset(m.map, (int)value, sizeof(m.map));
	}
	for (const struct node *key = n->child; key != NULL; key = key->next->next) {
		if (key->next->kind != NODE_SCALAR)
			return value_error(l, k, key->next, "not a DSCP");
		if (!number_in_range(l, k, key, number_factors, &inner) ||
		    !number_in_range(l, k, key->next, number_factors, &value))
			return false;
		m.map[inner] = value;
	}
	memcpy(field, &m, sizeof(m));
	return true;
}

typedef bool reader_fn(struct load *l, const struct conf_key *k, const struct node *n, void *field);

/* The value itself is read when the SA's algorithm is known. */
static bool
secret_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	return true;
}

static const struct {
	reader_fn *read;
	bool scalar; /* nothing else will do */
} readers[] = {
	[TYPE_BOOL] = { bool_read, true },
	[TYPE_NUMBER] = { number_read, true },
	[TYPE_TIME] = { time_read, true },
	[TYPE_MASK] = { mask_read, false },
	[TYPE_NAME] = { name_read, true },
	[TYPE_NAMES] = { names_read, false },
	[TYPE_TEXT] = { text_read, true },
	[TYPE_ADDR] = { addr_read, true },
	[TYPE_PREFIX] = { prefix_read, true },
	[TYPE_NETS] = { nets_read, false },
	[TYPE_IFADDRS] = { ifaddrs_read, false },
	[TYPE_MAC] = { mac_read, true },
	[TYPE_ALG] = { alg_read, true },
	[TYPE_SECRET] = { secret_read, true },
	[TYPE_ENGINES] = { engines_read, false },
	[TYPE_DEVICES] = { devices_read, false },
	[TYPE_PORT_PAIR] = { port_pair_read, false },
	[TYPE_PORT_RANGE] = { port_range_read, true },
	[TYPE_DSCP_MAP] = { dscp_map_read, false },
};

bool
value_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	if (n->bad)
		return false;
	if (n->kind == NODE_MAP && k->type != TYPE_DSCP_MAP)
		return value_error(l, k, n, "a map");
	if (n->kind == NODE_LIST && readers[k->type].scalar)
		return value_error(l, k, n, "a list");
	return readers[k->type].read(l, k, n, field);
}
