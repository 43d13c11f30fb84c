/* What AES-128-CBC with HMAC-SHA-256-128 costs by ipsec-mb's burst API alone: 32 jobs at a time,
 * flushed, nothing left in the manager. The measure for suites whose cipher and hash are two.
 */
#ifndef TESTS_RAW_CBC_H
#define TESTS_RAW_CBC_H

#include <stdbool.h>
#include <stdint.h>

/* TSC cycles per packet, median. text_len: octets of ciphertext, a multiple of 16. Negative:
 * ipsec-mb does not work here. */
double raw_cbc_cycles(bool decrypt, uint16_t text_len);

#endif
