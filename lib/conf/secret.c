/* Keys and where they come from. No error here repeats what stood in the file. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/bind.h"

#define KEY_FILE_MAX 4096

/* What an algorithm wants of a key. */
struct want {
	const struct alg *alg;
	size_t len;
};

static bool
wrong_length(struct load *l, const struct node *n, const struct want *w, size_t octets)
{
	const struct alg *a = w->alg;
	char parts[48] = "";

	if (a->salt_len != 0)
		snprintf(parts, sizeof(parts), " (%u key + %u salt)", a->key_len, a->salt_len);
	return load_error(l, n, NULL, "%zu octets, %s needs %zu%s", octets, a->name, w->len, parts);
}

static int
nibble(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Digits, with white space between where that is let. */
static bool
hex_read(struct load *l, const struct node *n, const struct want *w, const char *text, size_t len,
	 bool spaces, struct conf_secret *s)
{
	size_t digits = 0;

	for (size_t i = 0; i < len; i++) {
		if (spaces && isspace((unsigned char)text[i]))
			continue;
		if (!isxdigit((unsigned char)text[i]))
			return load_error(l, n, "pairs of 0-9 and a-f",
					  "other than hexadecimal digits");
		if (digits / 2 < sizeof(s->octets))
			s->octets[digits / 2] = s->octets[digits / 2] << 4 | nibble(text[i]);
		digits++;
	}
	if (digits % 2 != 0)
		return load_error(l, n, "pairs of 0-9 and a-f", "an odd number of digits (%zu)",
				  digits);
	if (digits / 2 != w->len)
		return wrong_length(l, n, w, digits / 2);
	s->len = w->len;
	return true;
}

static void
warn_inline(struct load *l, const struct node *n)
{
	if (!l->open_file || l->warned_inline)
		return;
	l->warned_inline = true;
	conf_complain_at(l->e, true, n->line, n->col, l->path, "chmod o-r, or file:PATH",
			 "a key in a file that others may read");
}

static bool
inline_read(struct load *l, const struct node *n, const struct want *w, const char *text,
	    struct conf_secret *s)
{
	size_t len;
	const char *digits = doc_secret(&l->doc, text, &len);

	warn_inline(l, n);
	if (digits == NULL)
		return load_error(l, n, "pairs of 0-9 and a-f", "other than hexadecimal digits");
	return hex_read(l, n, w, digits, len, false, s);
}

/* Beside the configuration file, unless it is absolute. */
static void
key_path(const struct load *l, const char *name, char *path, size_t size)
{
	const char *slash = l->file != NULL ? strrchr(l->file, '/') : NULL;

	if (name[0] == '/' || slash == NULL)
		snprintf(path, size, "%s", name);
	else
		snprintf(path, size, "%.*s/%s", (int)(slash - l->file), l->file, name);
}

static ssize_t
slurp(int fd, char *buf, size_t size)
{
	size_t have = 0;
	ssize_t got;

	while (have < size && (got = read(fd, buf + have, size - have)) != 0) {
		if (got < 0 && errno != EINTR)
			return -errno;
		have += got > 0 ? got : 0;
	}
	return have;
}

/* Octets read, or -1 after complaining. */
static ssize_t
key_file_read(struct load *l, const struct node *n, const char *path, char *buf, size_t size)
{
	/* A FIFO with no writer must not stop us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) < 0) {
		load_error(l, n, "a file that can be read", "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	got = -EINVAL;
	if (!S_ISREG(st.st_mode))
		load_error(l, n, "a regular file", "%s is no regular file", path);
	else if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0)
		load_error(l, n, "chmod o-rw", "others may read or write %s", path);
	else if (st.st_size > (off_t)size)
		load_error(l, n, "the key alone", "%s is longer than %zu octets", path, size);
	else if ((got = slurp(fd, buf, size)) < 0)
		load_error(l, n, "a file that can be read", "%s: %s", path, strerror((int)-got));
	close(fd);
	return got < 0 ? -1 : got;
}

/* Raw octets, or their digits: only one of the two can have the right length. */
static bool
file_read(struct load *l, const struct node *n, const struct want *w, const char *name,
	  struct conf_secret *s)
{
	char path[PATH_MAX], buf[KEY_FILE_MAX];
	bool text = true, ok = false;
	ssize_t got;

	key_path(l, name, path, sizeof(path));
	got = key_file_read(l, n, path, buf, sizeof(buf));
	for (ssize_t i = 0; i < got; i++)
		text &= isxdigit((unsigned char)buf[i]) || isspace((unsigned char)buf[i]);
	if (got >= 0 && (size_t)got == w->len) {
		memcpy(s->octets, buf, got);
		s->len = got;
		ok = true;
	} else if (got >= 0 && text) {
		ok = hex_read(l, n, w, buf, got, true, s);
	} else if (got >= 0) {
		ok = wrong_length(l, n, w, got);
	}
	explicit_bzero(buf, sizeof(buf));
	return ok;
}

static bool
env_read(struct load *l, const struct node *n, const struct want *w, const char *name,
	 struct conf_secret *s)
{
	const char *value = getenv(name);

	if (value == NULL)
		return load_error(l, n, "hexadecimal digits in it",
				  "%.60s is not in the environment", name);
	return hex_read(l, n, w, value, strlen(value), true, s);
}

static bool
secret_read(struct load *l, const struct node *n, const struct want *w, struct conf_secret *s)
{
	bool elsewhere;

	/* A map or a list was complained of when the SA was read. */
	if (n->kind != NODE_SCALAR || n->bad)
		return false;
	elsewhere = strncmp(n->text, "file:", 5) == 0 || strncmp(n->text, "env:", 4) == 0;
	if (strncmp(n->text, "hex:", 4) == 0)
		return inline_read(l, n, w, n->text + 4, s);
	if (elsewhere && (l->flags & CONF_NO_SOURCES) != 0)
		return load_error(l, n, "\"hex:...\"", "no files and no environment here");
	if (elsewhere && n->text[0] == 'f')
		return file_read(l, n, w, n->text + 5, s);
	if (elsewhere)
		return env_read(l, n, w, n->text + 4, s);
	return load_error(l, n, "\"hex:...\", \"file:PATH\" or \"env:NAME\"",
			  "a key without its source");
}

static void
one_secret(struct load *l, const struct origin *o, const char *key, const struct alg *alg,
	   struct conf_secret *s)
{
	struct want w = { alg, alg != NULL ? alg->key_len + alg->salt_len : 0 };
	const struct node *n = origin_get(o, key);
	size_t was = path_push(l, ".%s", key);

	*s = (struct conf_secret) { 0 };
	if (n == NULL && w.len != 0)
		load_error(l, o->map != NULL ? o->map : o->also,
			   "\"hex:...\", \"file:PATH\" or \"env:NAME\"",
			   "missing, %s needs %zu octets", alg->name, w.len);
	else if (n != NULL && alg == NULL)
		load_error(l, n, "leave it out", "no auth is set");
	else if (n != NULL && w.len == 0)
		load_error(l, n, "leave it out", "%s takes no key", alg->name);
	else if (n != NULL && !secret_read(l, n, &w, s))
		explicit_bzero(s, sizeof(*s));
	path_pop(l, was);
}

void
secrets_read(struct load *l, struct conf_sa *sa, const struct origin *o)
{
	one_secret(l, o, "key", sa->aead != NULL ? sa->aead : sa->cipher, &sa->key);
	one_secret(l, o, "auth_key", sa->auth, &sa->auth_key);
}
