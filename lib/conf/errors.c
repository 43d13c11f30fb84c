#include "conf/errors.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_BACK    16
#define WARNINGS_MAX 100 /* kept: they must not crowd out errors */

static const char *const list_names[] = {
	[CONF_LIST_NONE] = "",
	[CONF_LIST_GATEWAY] = "gateway",
	[CONF_LIST_PORTS] = "ports",
	[CONF_LIST_ROUTES] = "routes",
	[CONF_LIST_NEIGHBOURS] = "neighbours",
	[CONF_LIST_SAS] = "sas",
	[CONF_LIST_POLICIES] = "policies",
	[CONF_LIST_TUNNELS] = "tunnels",
	[CONF_LIST_TUNNELS_OUT] = "tunnels",
	[CONF_LIST_TUNNELS_IN] = "tunnels",
};

void
conf_errors_init(struct conf_errors *e, const char *file)
{
	*e = (struct conf_errors) { 0 };
	snprintf(e->file, sizeof(e->file), "%s", file);
}

void
conf_errors_free(struct conf_errors *e)
{
	for (uint32_t i = 0; i < e->n; i++) {
		free(e->list[i].path);
		free(e->list[i].wrong);
		free(e->list[i].right);
	}
	free(e->list);
	e->list = NULL;
	e->n = e->size = e->n_errors = e->n_warnings = 0;
}

void
conf_mark_path(const struct conf_mark *mark, char *buf, size_t size)
{
	const char *half = mark->list == CONF_LIST_TUNNELS_OUT ? ".out" :
			   mark->list == CONF_LIST_TUNNELS_IN  ? ".in" :
								 "";

	if (mark->list <= CONF_LIST_GATEWAY)
		snprintf(buf, size, "%s", list_names[mark->list]);
	else
		snprintf(buf, size, "%s[%u]%s", list_names[mark->list], mark->index, half);
	if (mark->part != 0)
		snprintf(buf + strlen(buf), size - strlen(buf), "[%u]", mark->part - 1u);
}

/* Room for one more, or NULL: the count goes on without it. */
static struct conf_error *
slot(struct conf_errors *e)
{
	struct conf_error *list;

	if (e->n == CONF_ERRORS_MAX)
		return NULL;
	if (e->n == e->size) {
		list = realloc(e->list, (e->size * 2 + 16) * sizeof(*list));
		if (list == NULL)
			return NULL;
		e->list = list;
		e->size = e->size * 2 + 16;
	}
	return &e->list[e->n++];
}

/* What the file says reaches somebody's terminal: no control characters. */
static void
tame(char *s)
{
	for (; s != NULL && *s != 0; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

/* What a tunnel says is checked for each of its SAs, and told once. */
static bool
is_told(const struct conf_errors *e, const struct conf_error *what, const char *wrong)
{
	for (uint32_t i = e->n > LOOK_BACK ? e->n - LOOK_BACK : 0; i < e->n; i++) {
		const struct conf_error *x = &e->list[i];

		if (x->line == what->line && x->col == what->col && x->path != NULL &&
		    x->wrong != NULL && strcmp(x->path, what->path) == 0 &&
		    strcmp(x->wrong, wrong) == 0)
			return true;
	}
	return false;
}

static void
complain(struct conf_errors *e, const struct conf_error *what, const char *format, va_list ap)
{
	struct conf_error *x;
	char wrong[512];

	vsnprintf(wrong, sizeof(wrong), format, ap);
	tame(wrong);
	if (is_told(e, what, wrong))
		return;
	if (what->warning)
		e->n_warnings++;
	else
		e->n_errors++;
	if (what->warning && e->n_warnings > WARNINGS_MAX)
		return;
	x = slot(e);
	if (x == NULL)
		return;
	*x = *what;
	x->path = strdup(what->path);
	x->right = strdup(what->right != NULL ? what->right : "");
	x->wrong = strdup(wrong);
	tame(x->path);
}

void
conf_complain_at(struct conf_errors *e, bool warning, uint32_t line, uint32_t col, const char *path,
		 const char *right, const char *format, ...)
{
	struct conf_error what = {
		.warning = warning,
		.line = line,
		.col = col,
		.path = (char *)(uintptr_t)path,
		.right = (char *)(uintptr_t)right,
	};
	va_list ap;

	va_start(ap, format);
	complain(e, &what, format, ap);
	va_end(ap);
}

void
conf_complain(struct conf_errors *e, bool warning, const struct conf_mark *mark, const char *key,
	      const char *right, const char *format, ...)
{
	struct conf_error what = {
		.warning = warning,
		.line = mark->line,
		.col = mark->col,
		.right = (char *)(uintptr_t)right,
	};
	char path[128], item[64];
	va_list ap;

	conf_mark_path(mark, item, sizeof(item));
	snprintf(path, sizeof(path), "%s%s%s", item, item[0] && key && key[0] ? "." : "",
		 key ? key : "");
	what.path = path;
	va_start(ap, format);
	complain(e, &what, format, ap);
	va_end(ap);
}

static int
by_place(const void *a, const void *b)
{
	const struct conf_error *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->col == y->col ? 0 : x->col < y->col ? -1 : 1;
}

static void
print_one(FILE *f, const char *file, const struct conf_error *x)
{
	fprintf(f, "%s:", file);
	if (x->line != 0)
		fprintf(f, "%u:%u:", x->line, x->col);
	fprintf(f, " %s", x->warning ? "warning: " : "");
	if (x->path != NULL && x->path[0] != 0)
		fprintf(f, "%s: ", x->path);
	fputs(x->wrong != NULL ? x->wrong : "wrong", f);
	if (x->right != NULL && x->right[0] != 0)
		fprintf(f, ": %s", x->right);
	fputc('\n', f);
}

static void
sort(struct conf_errors *e)
{
	if (e->n > 1)
		qsort(e->list, e->n, sizeof(*e->list), by_place);
}

void
conf_errors_print(FILE *f, struct conf_errors *e)
{
	sort(e);
	for (uint32_t i = 0; i < e->n; i++)
		print_one(f, e->file, &e->list[i]);
	if (e->n_errors + e->n_warnings > e->n)
		fprintf(f, "%s: and %u more\n", e->file, e->n_errors + e->n_warnings - e->n);
}

static void
json_list(struct json *j, const char *key, const struct conf_errors *e, bool warning)
{
	json_array(j, key);
	for (uint32_t i = 0; i < e->n; i++) {
		const struct conf_error *x = &e->list[i];

		if (x->warning != warning)
			continue;
		json_object(j, NULL);
		json_string(j, "file", e->file);
		json_u64(j, "line", x->line);
		json_u64(j, "column", x->col);
		json_string(j, "path", x->path != NULL ? x->path : "");
		json_string(j, "wrong", x->wrong != NULL ? x->wrong : "");
		json_string(j, "right", x->right != NULL ? x->right : "");
		json_end(j);
	}
	json_end(j);
}

void
conf_errors_json(struct json *j, const char *key, struct conf_errors *e)
{
	sort(e);
	json_object(j, key);
	json_bool(j, "ok", e->n_errors == 0);
	json_list(j, "errors", e, false);
	json_list(j, "warnings", e, true);
	json_end(j);
}
