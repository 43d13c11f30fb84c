#include "wire/esp_echo.h"

#include <string.h>

#include <rte_byteorder.h>

#include "wire/bytes.h"

#if WIRE_ESP_ECHO != 2
#error "the layout below is that of WIRE_ESP_ECHO 2"
#endif

/* As it lies on the wire. */
struct header {
	uint8_t type, flags;
	rte_be16_t data_len, id, seq;
};
_Static_assert(sizeof(struct header) == ESP_ECHO_SIZE, "the figure of section 4.2");

enum esp_echo_verdict
esp_echo_read(const uint8_t *at, uint32_t len, uint32_t all, struct esp_echo *out)
{
	struct header h;
	rte_be32_t spi;

	if (len < ESP_ECHO_SIZE)
		return ESP_ECHO_SHORT;
	memcpy(&h, at, sizeof(h));
	if (h.type != ESP_ECHO_REQUEST && h.type != ESP_ECHO_RESPONSE)
		return ESP_ECHO_OTHER;
	*out = (struct esp_echo) {
		.type = h.type,
		.flags = h.flags,
		.data_len = rte_be_to_cpu_16(h.data_len),
		.id = rte_be_to_cpu_16(h.id),
		.seq = rte_be_to_cpu_16(h.seq),
	};
	if (len < esp_echo_size(out) || all < (uint32_t)esp_echo_size(out) + out->data_len)
		return ESP_ECHO_SHORT;
	if ((h.flags & ESP_ECHO_RETURN) != 0) {
		memcpy(&spi, at + ESP_ECHO_SIZE, sizeof(spi));
		out->return_spi = rte_be_to_cpu_32(spi);
	}
	return ESP_ECHO_OK;
}

void
esp_echo_write(const struct esp_echo *e, uint8_t *at)
{
	const struct header h = {
		.type = e->type,
		.flags = e->flags,
		.data_len = rte_cpu_to_be_16(e->data_len),
		.id = rte_cpu_to_be_16(e->id),
		.seq = rte_cpu_to_be_16(e->seq),
	};
	rte_be32_t spi = rte_cpu_to_be_32(e->return_spi);

	memcpy(at, &h, sizeof(h));
	if ((e->flags & ESP_ECHO_RETURN) != 0)
		memcpy(at + sizeof(h), &spi, sizeof(spi));
}
