/* Any octets as an ESP echo: no more is read than lies in the first segment, what is accepted lies
 * within, and written again it is the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "wire/esp_echo.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void
must(bool held)
{
	if (!held)
		abort();
}

static void
check(const uint8_t *at, uint32_t all, const struct esp_echo *echo)
{
	uint8_t written[ESP_ECHO_SIZE_MAX];

	must(echo->type == ESP_ECHO_REQUEST || echo->type == ESP_ECHO_RESPONSE);
	must((uint32_t)esp_echo_size(echo) + echo->data_len <= all);
	esp_echo_write(echo, written);
	must(memcmp(written, at, esp_echo_size(echo)) == 0);
}

/* The first octet says how many of the others lie in the first segment. */
int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	enum esp_echo_verdict verdict, whole;
	struct esp_echo echo, again;
	uint32_t all, len;
	uint8_t *part;

	if (size == 0)
		return 0;
	all = (uint32_t)size - 1;
	len = RTE_MIN((uint32_t)octets[0], all);
	part = malloc(len + (len == 0));
	if (part == NULL)
		return 0;
	memcpy(part, octets + 1, len);
	verdict = esp_echo_read(part, len, all, &echo);
	if (verdict == ESP_ECHO_OK)
		check(part, all, &echo);
	free(part);
	/* With all octets at hand the verdict is the same, or there was too little for one. */
	whole = esp_echo_read(octets + 1, all, all, &again);
	must(verdict == ESP_ECHO_SHORT || verdict == whole);
	return 0;
}
