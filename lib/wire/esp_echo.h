/* The header of ESP echo, of both kinds.
 *
 * Encrypted (draft-ietf-ipsecme-encrypted-esp-ping-03): what ESP carries under next header 144, in
 * front of the data. Plain (draft-ietf-ipsecme-esp-ping): the same behind an ESP header with SPI 7
 * or 8 and number 0, with neither trailer nor tag. IANA has assigned no sub-types yet: those here
 * are what public implementations of the drafts use.
 *
 * Any thread; no state.
 */
#ifndef WIRE_ESP_ECHO_H
#define WIRE_ESP_ECHO_H

#include <stdbool.h>
#include <stdint.h>

/* Which draft's layout this is: all that may change with the next one stands here. */
#define WIRE_ESP_ECHO 2

#define ESP_ECHO_NEXT_HEADER 144 /* AGGFRAG_PAYLOAD (RFC 9347), told apart by its sub-type */

enum esp_echo_type {
	ESP_ECHO_REQUEST = 2,
	ESP_ECHO_RESPONSE = 3,
};

enum esp_echo_flag {
	ESP_ECHO_RETURN = 0x80, /* a return SPI follows the header */
	ESP_ECHO_NODATA = 0x01, /* ours: the response need not bring the data back */
};

#define ESP_ECHO_SIZE	     8
#define ESP_ECHO_RETURN_SIZE 4
#define ESP_ECHO_SIZE_MAX    (ESP_ECHO_SIZE + ESP_ECHO_RETURN_SIZE)

#define ESP_ECHO_SPI_REQUEST  7 /* of plain echo; SPIs below 256 are no SA's */
#define ESP_ECHO_SPI_RESPONSE 8

struct esp_echo {
	uint8_t type;	   /* as on the wire: enum esp_echo_type, or another */
	uint8_t flags;	   /* unknown bits too */
	uint16_t data_len; /* octets of data alone */
	uint16_t id, seq;
	uint32_t return_spi; /* host order; 0 without ESP_ECHO_RETURN */
};

enum esp_echo_verdict {
	ESP_ECHO_OK,
	ESP_ECHO_SHORT, /* less than the header, or than it says */
	ESP_ECHO_OTHER, /* another sub-type: no echo */
};

/* Reads the header. len: contiguous octets at `at`, of which no more than ESP_ECHO_SIZE_MAX are
 * read; all: octets of what is carried, TFC padding maybe included, at least len. *out is complete
 * on ESP_ECHO_OK.
 */
enum esp_echo_verdict esp_echo_read(const uint8_t *at, uint32_t len, uint32_t all,
				    struct esp_echo *out);

/* Octets before the data. */
static inline uint16_t
esp_echo_size(const struct esp_echo *e)
{
	return ESP_ECHO_SIZE + ((e->flags & ESP_ECHO_RETURN) != 0 ? ESP_ECHO_RETURN_SIZE : 0);
}

/* Writes esp_echo_size() octets. */
void esp_echo_write(const struct esp_echo *e, uint8_t *at);

#endif
