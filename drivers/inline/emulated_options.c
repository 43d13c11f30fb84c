#include "emulated.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct word {
	const char *name;
	uint32_t value;
};

static const struct word kind_words[] = { { "crypto", NIC_CRYPTO },
					  { "protocol", NIC_PROTOCOL },
					  { NULL, 0 } };
static const struct word mode_words[] = { { "tunnel", NIC_TUNNEL },
					  { "transport", NIC_TRANSPORT },
					  { NULL, 0 } };
static const struct word suite_words[] = {
	{ "aes-gcm", NIC_AES_GCM },	     { "aes-ccm", NIC_AES_CCM },
	{ "chacha20-poly1305", NIC_CHACHA }, { "aes-gmac", NIC_AES_GMAC },
	{ "aes-cbc-hmac", NIC_AES_CBC },     { "aes-ctr-hmac", NIC_AES_CTR },
	{ "null-hmac", NIC_NULL },	     { NULL, 0 },
};
static const struct word by_words[] = { { "software", 0 }, { "device", 1 }, { NULL, 0 } };
static const struct word off_words[] = { { "on", 0 }, { "off", 1 }, { NULL, 0 } };
static const struct word call_words[] = { { "fast", 0 }, { "call", 1 }, { NULL, 0 } };

enum form {
	FORM_SET,    /* words joined by +, into a uint32_t */
	FORM_WORD,   /* one of two words, into a bool */
	FORM_FLAG,   /* 0 or 1, into a bool */
	FORM_NUMBER, /* into a uint32_t */
	FORM_ENGINE,
};

static const struct option {
	const char *name;
	enum form form;
	size_t at;
	const struct word *words;
	uint32_t min, max;
} options[] = {
#define AT(field) offsetof(struct nic_options, field)
	{ "kinds", FORM_SET, AT(kinds), kind_words, 0, 0 },
	{ "modes", FORM_SET, AT(modes), mode_words, 0, 0 },
	{ "suites", FORM_SET, AT(suites), suite_words, 0, 0 },
	{ "esn", FORM_FLAG, AT(esn), NULL, 0, 0 },
	{ "udp", FORM_FLAG, AT(udp), NULL, 0, 0 },
	{ "v6", FORM_FLAG, AT(v6), NULL, 0, 0 },
	{ "sessions", FORM_NUMBER, AT(sessions), NULL, 1, NIC_SESSIONS_MAX },
	{ "rules", FORM_NUMBER, AT(rules), NULL, 0, NIC_SESSIONS_MAX },
	{ "numbers", FORM_WORD, AT(numbers_by_device), by_words, 0, 0 },
	{ "window", FORM_WORD, AT(window_by_device), by_words, 0, 0 },
	{ "trailer", FORM_WORD, AT(trailer_by_device), by_words, 0, 0 },
	{ "cipher", FORM_WORD, AT(cipher_off), off_words, 0, 0 },
	{ "mdata", FORM_WORD, AT(mdata_by_call), call_words, 0, 0 },
	{ "engine", FORM_ENGINE, AT(engine), NULL, 0, 0 },
	{ "icv_fail", FORM_NUMBER, AT(icv_fail), NULL, 0, UINT32_MAX },
	{ "late", FORM_NUMBER, AT(late_ms), NULL, 0, 3600000 },
	{ "reorder", FORM_NUMBER, AT(reorder), NULL, 0, UINT32_MAX },
	{ "refuse_rule", FORM_NUMBER, AT(refuse_rule), NULL, 0, UINT32_MAX },
#undef AT
};

static const struct word *
word_find(const struct word *words, const char *text, size_t len)
{
	for (; words->name != NULL; words++)
		if (strlen(words->name) == len && memcmp(words->name, text, len) == 0)
			return words;
	return NULL;
}

static int
value_bad(const struct option *o, const char *value, struct err *err)
{
	char list[256] = "";
	size_t n = 0;

	for (const struct word *w = o->words; w != NULL && w->name != NULL; w++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n > 0 ? ", " : "",
				      w->name);
	if (o->form == FORM_FLAG)
		return err_set(err, -EINVAL, "emulated: %s=%s: 0 or 1", o->name, value);
	if (o->form == FORM_NUMBER)
		return err_set(err, -EINVAL, "emulated: %s=%s: a number from %u to %u", o->name,
			       value, o->min, o->max);
	return err_set(err, -EINVAL, "emulated: %s=%s: %s%s", o->name, value, list,
		       o->form == FORM_SET ? ", joined by +" : "");
}

static int
set_parse(const struct option *o, const char *value, uint32_t *out, struct err *err)
{
	*out = 0;
	for (const char *at = value;; at++) {
		size_t len = strcspn(at, "+");
		const struct word *w = word_find(o->words, at, len);

		if (w == NULL)
			return value_bad(o, value, err);
		*out |= w->value;
		at += len;
		if (*at == '\0')
			return 0;
	}
}

static int
number_parse(const struct option *o, const char *value, uint32_t *out, struct err *err)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || v < o->min ||
	    v > o->max)
		return value_bad(o, value, err);
	*out = (uint32_t)v;
	return 0;
}

static int
engine_find(const char *name, const struct engine *const *engines, uint16_t n,
	    const struct engine **out, struct err *err)
{
	for (uint16_t i = 0; i < n; i++)
		if (strcmp(engines[i]->name, name) == 0) {
			*out = engines[i];
			return 0;
		}
	return err_set(err, -EINVAL, "emulated: engine=%s: there is no such synchronous engine",
		       name);
}

static int
option_set(struct nic_options *to, const struct option *o, const char *value,
	   const struct engine *const *engines, uint16_t n_engines, struct err *err)
{
	void *at = (uint8_t *)to + o->at;
	const struct word *w;

	switch (o->form) {
	case FORM_SET:
		return set_parse(o, value, at, err);
	case FORM_NUMBER:
		return number_parse(o, value, at, err);
	case FORM_ENGINE:
		return engine_find(value, engines, n_engines, at, err);
	case FORM_FLAG:
		if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
			return value_bad(o, value, err);
		*(bool *)at = value[0] == '1';
		return 0;
	case FORM_WORD:
		w = word_find(o->words, value, strlen(value));
		if (w == NULL)
			return value_bad(o, value, err);
		*(bool *)at = w->value != 0;
		return 0;
	}
	return 0;
}

static int
option_unknown(const char *name, struct err *err)
{
	char list[256] = "";
	size_t n = 0;

	for (size_t i = 0; i < RTE_DIM(options); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n > 0 ? ", " : "",
				      options[i].name);
	return err_set(err, -EINVAL, "emulated: no option %.40s: there are %s", name, list);
}

static int
option_parse(struct nic_options *to, char *text, const struct engine *const *engines,
	     uint16_t n_engines, struct err *err)
{
	char *value = strchr(text, '=');

	if (value == NULL)
		return err_set(err, -EINVAL, "emulated: %s: option=value is wanted", text);
	*value++ = '\0';
	for (size_t i = 0; i < RTE_DIM(options); i++)
		if (strcmp(options[i].name, text) == 0)
			return option_set(to, &options[i], value, engines, n_engines, err);
	return option_unknown(text, err);
}

int
nic_options_parse(struct nic_options *o, const char *text, const struct engine *const *engines,
		  uint16_t n_engines, struct err *err)
{
	char copy[512], *rest = copy, *word;

	*o = (struct nic_options) {
		.kinds = NIC_CRYPTO | NIC_PROTOCOL,
		.modes = NIC_TUNNEL | NIC_TRANSPORT,
		.suites = NIC_SUITES,
		.esn = true,
		.udp = true,
		.v6 = true,
		.sessions = 1024,
		.rules = UINT32_MAX,
	};
	if (strlen(text) >= sizeof(copy))
		return err_set(err, -EINVAL, "emulated: more than %zu octets of options",
			       sizeof(copy) - 1);
	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, ",")) != NULL) {
		int rc = *word != '\0' ? option_parse(o, word, engines, n_engines, err) : 0;

		if (rc < 0)
			return rc;
	}
	return 0;
}
