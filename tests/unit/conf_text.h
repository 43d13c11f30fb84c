/* Files for the tests of lib/conf, and what is said of them. */
#ifndef TESTS_CONF_TEXT_H
#define TESTS_CONF_TEXT_H

#include "unit.h"

#include <stdio.h>

#include "conf/conf.h"

#define KEY_A "hex:00112233445566778899aabbccddeeff00000001"
#define KEY_C "hex:c0ddeeccbbaa9988776655443322110000000003"
#define KEY_B "hex:ffeeddccbbaa9988776655443322110000000002"
/* Three lines, so that what follows begins in line 4. */
#define TOP "version: 1\nports:\n  - {name: wan, device: net_null0, side: black}\n"
#define SA_AS(name, direction, spi, key, more)                     \
	"  - {name: " name ", direction: " direction ", spi: " spi \
	", src: 192.0.2.1, dst: 198.51.100.1, aead: aes-gcm-128, key: \"" key "\"" more "}\n"
/* A good SA in line 5, with more keys in line 6. */
#define SA(more) TOP "sas:\n" SA_AS("a", "out", "0x1001", KEY_A, ",\n     " more)
#define GOOD	 TOP "sas:\n" SA_AS("a", "out", "0x1001", KEY_A, "")
#define TUNNEL(more, out)                                                                   \
	TOP "tunnels:\n"                                                                    \
	    "  - name: t\n    local: 192.0.2.1\n    remote: 198.51.100.1\n    local_nets: " \
	    "10.1.0.0/16\n"                                                                 \
	    "    remote_nets: 10.2.0.0/16\n    aead: aes-gcm-128\n" more                    \
	    "    in: {spi: 0x2001, key: \"" KEY_B "\"}\n    out: {" out "}\n"
#define POLICY(more) GOOD "policies:\n  - {name: p, direction: out, " more "}\n"

static inline char *
printed(struct conf_errors *e)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	conf_errors_print(f, e);
	fclose(f);
	return text;
}

/* Is there a line "t:PLACE…" that says so? */
static inline bool
says(const char *text, const char *place, const char *wrong)
{
	char start[256];

	snprintf(start, sizeof(start), "t:%s", place);
	for (const char *line = text; *line != 0;) {
		const char *end = strchr(line, '\n');
		char *one = strndup(line, end - line);
		bool is = strncmp(one, start, strlen(start)) == 0 && strstr(one, wrong) != NULL;

		free(one);
		if (is)
			return true;
		line = end + 1;
	}
	return false;
}

static inline struct conf *
load(const char *text, struct conf_errors *e)
{
	struct conf *c;

	conf_errors_init(e, "t");
	conf_load_text(text, strlen(text), "t", CONF_NO_SOURCES, &c, e);
	return c;
}

static inline struct conf *
load_good(const char *text)
{
	struct conf_errors e;
	struct conf *c = load(text, &e);

	if (c == NULL) {
		char *said = printed(&e);

		print_error("%s\n%s", text, said);
		free(said);
	}
	assert_non_null(c);
	conf_errors_free(&e);
	return c;
}

#endif
