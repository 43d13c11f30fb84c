/* What a peer sends: ESP with AES-128-GCM, by libcrypto alone. */
#ifndef TESTS_RACE_SEAL_H
#define TESTS_RACE_SEAL_H

#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>

#include "rig.h"

#define SEAL_KEY_SIZE 20 /* with the salt */
#define SEAL_IP	      20
#define SEAL_INNER    32 /* an IPv4 packet with 12 octets behind its header */
#define SEAL_TEXT     36 /* with padding and trailer */
#define SEAL_ICV      16
#define SEAL_SIZE_MAX (SEAL_IP + 20 + SEAL_TEXT + SEAL_ICV)

struct seal {
	EVP_CIPHER_CTX *ctx;
	uint8_t key[SEAL_KEY_SIZE];
	uint32_t spi;
	bool subspaces; /* all 64 bits of the number are on the wire */
};

static inline void
seal_put32(uint8_t *at, uint32_t n)
{
	n = rte_cpu_to_be_32(n);
	memcpy(at, &n, sizeof(n));
}

static inline void
seal_put64(uint8_t *at, uint64_t n)
{
	n = rte_cpu_to_be_64(n);
	memcpy(at, &n, sizeof(n));
}

static inline uint64_t
seal_get64(const uint8_t *at)
{
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return rte_be_to_cpu_64(n);
}

static inline uint32_t
seal_get32(const uint8_t *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return rte_be_to_cpu_32(n);
}

static inline void
seal_init(struct seal *s, const uint8_t key[SEAL_KEY_SIZE], uint32_t spi, bool subspaces)
{
	*s = (struct seal) { .ctx = EVP_CIPHER_CTX_new(), .spi = spi, .subspaces = subspaces };
	memcpy(s->key, key, SEAL_KEY_SIZE);
	race_must(s->ctx != NULL, "no memory for a cipher");
}

static inline void
seal_ip(uint8_t *ip, uint16_t len, uint8_t proto, uint8_t tos, uint32_t src, uint32_t dst)
{
	uint32_t sum = 0;

	memset(ip, 0, SEAL_IP);
	ip[0] = 0x45;
	ip[1] = tos;
	ip[2] = (uint8_t)(len >> 8);
	ip[3] = (uint8_t)len;
	ip[8] = 64;
	ip[9] = proto;
	seal_put32(ip + 12, src);
	seal_put32(ip + 16, dst);
	for (int i = 0; i < SEAL_IP; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16));
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

/* The nonce is the salt and the IV, which is the number. */
static inline void
seal_begin(struct seal *s, uint64_t number, bool enc)
{
	uint8_t nonce[12], aad[12];
	int len;

	memcpy(nonce, s->key + 16, 4);
	seal_put64(nonce + 4, number);
	seal_put32(aad, s->spi);
	seal_put64(aad + 4, number);
	race_must(EVP_CipherInit_ex(s->ctx, EVP_aes_128_gcm(), NULL, s->key, nonce, enc) == 1 &&
			  EVP_CipherUpdate(s->ctx, NULL, &len, aad, sizeof(aad)) == 1,
		  "the cipher does not start");
}

/* Octets of an outer packet, and of its ESP header and IV. */
static inline uint16_t
seal_head(const struct seal *s)
{
	return s->subspaces ? 20 : 16;
}

static inline uint16_t
seal_size(const struct seal *s)
{
	return SEAL_IP + seal_head(s) + SEAL_TEXT + SEAL_ICV;
}

/* Writes seal_size() octets: an authentic packet of that number, from 198.51.100.1 to 192.0.2.1,
 * around an inner one from 10.2.0.1 to 10.1.0.1 whose first octets say the number again.
 */
static inline void
seal_packet(struct seal *s, uint64_t number, uint8_t *at)
{
	uint8_t text[SEAL_TEXT] = { 0 }, *esp = at + SEAL_IP;
	int len;

	seal_ip(at, seal_size(s), IPPROTO_ESP, 0, 0xc6336401, 0xc0000201);
	seal_put32(esp, s->spi);
	if (s->subspaces)
		seal_put64(esp + 4, number);
	else
		seal_put32(esp + 4, (uint32_t)number);
	esp += seal_head(s);
	seal_put64(esp - 8, number);
	seal_ip(text, SEAL_INNER, 253, 0, 0x0a020001, 0x0a010001);
	seal_put64(text + SEAL_IP, number);
	memcpy(text + SEAL_INNER, "\1\2\2\4", 4);
	seal_begin(s, number, true);
	race_must(EVP_CipherUpdate(s->ctx, esp, &len, text, SEAL_TEXT) == 1 &&
			  EVP_CipherFinal_ex(s->ctx, esp + SEAL_TEXT, &len) == 1 &&
			  EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_ICV,
					      esp + SEAL_TEXT) == 1,
		  "a packet cannot be sealed");
}

#endif
