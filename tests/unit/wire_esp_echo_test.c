#include "unit.h"

#include "wire/esp_echo.h"

static void
a_request_is_written_and_read(void **state)
{
	/* R, return SPI, "abcdefgh": computed by hand from the figure. */
	static const uint8_t wire[] = { 0x02, 0x80, 0x00, 0x08, 0xbe, 0xef, 0x00, 0x01, 0x55, 0x66,
					0x77, 0x88, 'a',  'b',	'c',  'd',  'e',  'f',	'g',  'h' };
	const struct esp_echo echo = {
		ESP_ECHO_REQUEST, ESP_ECHO_RETURN, 8, 0xbeef, 1, 0x55667788
	};
	uint8_t written[ESP_ECHO_SIZE_MAX];
	struct esp_echo read;

	esp_echo_write(&echo, written);
	assert_int_equal(esp_echo_size(&echo), 12);
	assert_memory_equal(written, wire, sizeof(written));
	assert_int_equal(esp_echo_read(wire, sizeof(wire), sizeof(wire), &read), ESP_ECHO_OK);
	assert_int_equal(read.type, 2);
	assert_int_equal(read.flags, 0x80);
	assert_int_equal(read.data_len, 8);
	assert_int_equal(read.id, 0xbeef);
	assert_int_equal(read.seq, 1);
	assert_int_equal(read.return_spi, 0x55667788);
}

static void
a_response_is_written_and_read(void **state)
{
	static const uint8_t wire[] = { 0x03, 0, 0, 8, 0xbe, 0xef, 0, 1 };
	const struct esp_echo echo = {
		.type = ESP_ECHO_RESPONSE, .data_len = 8, .id = 0xbeef, .seq = 1
	};
	uint8_t written[ESP_ECHO_SIZE];
	struct esp_echo read;

	esp_echo_write(&echo, written);
	assert_memory_equal(written, wire, sizeof(wire));
	assert_int_equal(esp_echo_read(wire, sizeof(wire), 16, &read), ESP_ECHO_OK);
	assert_int_equal(read.return_spi, 0);
}

/* clang-format off */
static const struct {
	const char *what;
	uint8_t wire[16];
	uint32_t len, all;
	enum esp_echo_verdict want;
} cases[] = {
	{ "nothing at all",			{ 0 },				 0,   0, ESP_ECHO_SHORT },
	{ "an octet less than the header",	{ 2 },				 7,   7, ESP_ECHO_SHORT },
	{ "the header alone",			{ 2 },				 8,   8, ESP_ECHO_OK },
	{ "an octet of data that is not there",	{ 2, 0, 0, 1 },			 8,   8, ESP_ECHO_SHORT },
	{ "padding behind the data",		{ 2, 0, 0, 1 },			12,  99, ESP_ECHO_OK },
	{ "an octet less than a return SPI",	{ 2, 0x80 },			11,  11, ESP_ECHO_SHORT },
	{ "a return SPI alone",			{ 2, 0x80 },			12,  12, ESP_ECHO_OK },
	{ "a return SPI is no data",		{ 2, 0x80, 0, 1 },		12,  12, ESP_ECHO_SHORT },
	{ "the longest data",			{ 3, 0, 0xff, 0xff },		12,  65543, ESP_ECHO_OK },
	{ "and an octet less",			{ 3, 0, 0xff, 0xff },		12,  65542, ESP_ECHO_SHORT },
	{ "unknown flags are nobody's",		{ 2, 0x7f },			 8,   8, ESP_ECHO_OK },
	{ "sub-type 0, AGGFRAG without congestion control", { 0 },		16,  16, ESP_ECHO_OTHER },
	{ "sub-type 1, with it",		{ 1 },				16,  16, ESP_ECHO_OTHER },
	{ "sub-type 4, of a draft before",	{ 4 },				16,  16, ESP_ECHO_OTHER },
	{ "the last sub-type",			{ 255, 0xff, 0xff, 0xff },	16,  16, ESP_ECHO_OTHER },
};
/* clang-format on */

static void
lengths_and_types_are_checked(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct esp_echo echo;
		enum esp_echo_verdict got =
			esp_echo_read(cases[i].wire, cases[i].len, cases[i].all, &echo);

		if (got != cases[i].want)
			print_error("%s: %d, wanted %d\n", cases[i].what, got, cases[i].want);
		assert_int_equal(got, cases[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_written_and_read),
		cmocka_unit_test(a_response_is_written_and_read),
		cmocka_unit_test(lengths_and_types_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
