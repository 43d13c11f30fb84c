#include "cli/form.h"

void
form_init(struct form *f, FILE *out, bool as_json)
{
	*f = (struct form) { .out = out, .as_json = as_json };
	json_init(&f->json, out);
	if (as_json)
		json_object(&f->json, NULL);
}

void
form_done(struct form *f)
{
	if (!f->as_json)
		return;
	json_end(&f->json);
	fputc('\n', f->out);
}

static void
label(struct form *f, const char *name)
{
	fprintf(f->out, "%*s", 2 * f->depth, "");
	for (; *name != 0; name++)
		fputc(*name == '_' ? ' ' : *name, f->out);
	fputc(':', f->out);
}

void
form_u64(struct form *f, const char *name, uint64_t value)
{
	if (f->as_json) {
		json_u64(&f->json, name, value);
		return;
	}
	label(f, name);
	fprintf(f->out, " %" PRIu64 "\n", value);
}

void
form_bool(struct form *f, const char *name, bool value)
{
	if (f->as_json)
		json_bool(&f->json, name, value);
	else
		form_text(f, name, value ? "yes" : "no");
}

void
form_text(struct form *f, const char *name, const char *value)
{
	if (f->as_json) {
		json_string(&f->json, name, value);
		return;
	}
	label(f, name);
	fprintf(f->out, " %s\n", value);
}

void
form_object(struct form *f, const char *name)
{
	if (f->as_json) {
		json_object(&f->json, name);
		return;
	}
	label(f, name);
	fputc('\n', f->out);
	f->depth++;
}

void
form_end(struct form *f)
{
	if (f->as_json)
		json_end(&f->json);
	else
		f->depth--;
}
