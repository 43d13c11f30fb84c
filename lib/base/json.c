#include "base/json.h"

#include <assert.h>
#include <inttypes.h>

/* Length of the well-formed UTF-8 sequence at s, or 0. */
static int
utf8_length(const unsigned char *s)
{
	int n, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void
text(struct json *j, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	fputc('"', j->out);
	while (*s != 0) {
		int n = utf8_length(s);

		if (n == 0)
			fputs("\\ufffd", j->out);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(j->out, "\\u%04x", *s);
		else if (*s == '"' || *s == '\\')
			fprintf(j->out, "\\%c", *s);
		else
			fwrite(s, 1, n, j->out);
		s += n == 0 ? 1 : n;
	}
	fputc('"', j->out);
}

static void
lead(struct json *j, const char *key)
{
	if (j->depth > 0 && j->more[j->depth - 1])
		fputc(',', j->out);
	if (j->depth > 0)
		j->more[j->depth - 1] = true;
	if (key != NULL) {
		text(j, key);
		fputc(':', j->out);
	}
}

static void
nest(struct json *j, const char *key, char opener, char closer)
{
	lead(j, key);
	assert(j->depth < JSON_DEPTH_MAX);
	fputc(opener, j->out);
	j->more[j->depth] = false;
	j->closer[j->depth++] = closer;
}

void
json_init(struct json *j, FILE *out)
{
	*j = (struct json) { .out = out };
}

void
json_object(struct json *j, const char *key)
{
	nest(j, key, '{', '}');
}

void
json_array(struct json *j, const char *key)
{
	nest(j, key, '[', ']');
}

void
json_end(struct json *j)
{
	assert(j->depth > 0);
	fputc(j->closer[--j->depth], j->out);
}

void
json_u64(struct json *j, const char *key, uint64_t value)
{
	lead(j, key);
	fprintf(j->out, "%" PRIu64, value);
}

void
json_i64(struct json *j, const char *key, int64_t value)
{
	lead(j, key);
	fprintf(j->out, "%" PRId64, value);
}

void
json_bool(struct json *j, const char *key, bool value)
{
	lead(j, key);
	fputs(value ? "true" : "false", j->out);
}

void
json_null(struct json *j, const char *key)
{
	lead(j, key);
	fputs("null", j->out);
}

void
json_string(struct json *j, const char *key, const char *value)
{
	lead(j, key);
	text(j, value);
}
