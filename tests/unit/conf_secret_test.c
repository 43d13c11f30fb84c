#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"

#define REGION_MAX (UINT64_C(256) << 20) /* larger ones are a sanitizer's shadow */
#define PATTERN	   16

/* The key lies here veiled, so that looking for it does not find what it is looked for with. */
#define VEIL 0x5a
static uint8_t veiled[20];

static char dir[64];

static void
unveil(uint8_t key[20])
{
	for (int i = 0; i < 20; i++)
		key[i] = veiled[i] ^ VEIL;
}

static void
hex_of_key(char text[41])
{
	uint8_t key[20];

	unveil(key);
	for (int i = 0; i < 20; i++) {
		text[2 * i] = "0123456789abcdef"[key[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[key[i] & 15];
	}
	text[40] = 0;
	explicit_bzero(key, sizeof(key));
}

static bool
here(const uint8_t *at, const uint8_t *veiled_pattern)
{
	for (int i = 0; i < PATTERN; i++)
		if (at[i] != (veiled_pattern[i] ^ VEIL))
			return false;
	return true;
}

static unsigned
count_in(int mem, uint64_t from, uint64_t to, const uint8_t *pattern)
{
	static uint8_t page[4096 + PATTERN];
	unsigned n = 0;

	for (uint64_t at = from; at < to; at += 4096) {
		ssize_t got;

		/* The window itself shows every page again. */
		if (at < (uintptr_t)page + sizeof(page) && at + 4096 + PATTERN > (uintptr_t)page)
			continue;
		got = pread(mem, page, sizeof(page), at);
		for (ssize_t i = 0; i < got - PATTERN && i < 4096; i++)
			n += here(page + i, pattern);
	}
	explicit_bzero(page, sizeof(page));
	return n;
}

/* How often the pattern is in what this process may write: heap, freed heap, stack, data. */
static unsigned
count(const uint8_t *pattern)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	unsigned n = 0;
	char line[512];

	assert_non_null(maps);
	assert_true(mem >= 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx rw", &from, &to) == 2 && strstr(line, " rw") != NULL &&
		    to - from <= REGION_MAX)
			n += count_in(mem, from, to, pattern);
	}
	close(mem);
	fclose(maps);
	return n;
}

/* The key's octets, and its digits. */
static unsigned
count_key(void)
{
	uint8_t digits[40];
	char text[41];

	hex_of_key(text);
	for (int i = 0; i < 40; i++)
		digits[i] = (uint8_t)text[i] ^ VEIL;
	explicit_bzero(text, sizeof(text));
	return count(veiled) + count(digits);
}

static void
put(const char *name, const void *octets, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, octets, len), len);
	close(fd);
}

static void
put_files(const char *source, const char *more)
{
	char text[512], hex[41];

	hex_of_key(hex);
	put("k", hex, 40);
	snprintf(text, sizeof(text),
		 "ports: [{name: p, device: x, side: red}]\nsas:\n"
		 "  - {name: a, direction: out, spi: 256, src: 10.0.0.1, dst: 10.0.0.2,\n"
		 "     aead: aes-gcm-128, key: \"%s%s\"%s}\n",
		 source, strncmp(source, "hex:", 4) == 0 ? hex : "", more);
	put("t.yaml", text, strlen(text));
	explicit_bzero(text, sizeof(text));
	explicit_bzero(hex, sizeof(hex));
}

static void
no_key_is_left_behind(void **state)
{
	static const struct {
		const char *what, *source, *more;
		bool good;
	} cases[] = {
		{ "a key in the file", "hex:", "", true },
		{ "a key in a file of its own", "file:k", "", true },
		{ "a file with an error behind its key", "hex:", ", ttl: 0", false },
		{ "a file with a syntax error behind its key", "hex:", "]", false },
		{ "a key of the wrong length", "hex:00", "", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_errors e;
		struct conf *c;
		char path[128];
		unsigned n;

		put_files(cases[i].source, cases[i].more);
		if (count_key() != 0)
			fail_msg("%s: this test keeps the key itself", cases[i].what);
		snprintf(path, sizeof(path), "%s/t.yaml", dir);
		conf_errors_init(&e, "t");
		assert_int_equal(conf_load(path, &c, &e) == 0, cases[i].good);
		/* The key is where it must be, and looking for it finds it. */
		n = count_key();
		if (n != (cases[i].good ? 1 : 0))
			fail_msg("%s: loaded, the key is in %u places", cases[i].what, n);
		conf_free(c);
		n = count_key();
		if (n != 0)
			fail_msg("%s: freed, the key is in %u places", cases[i].what, n);
		conf_errors_free(&e);
	}
}

static int
make_files(void **state)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	snprintf(dir, sizeof(dir), "/tmp/conf_secret_test.XXXXXX");
	if (fd < 0 || read(fd, veiled, sizeof(veiled)) != sizeof(veiled) || mkdtemp(dir) == NULL)
		return -1;
	return close(fd);
}

static int
remove_files(void **state)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/k", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/t.yaml", dir);
	unlink(path);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_key_is_left_behind),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
