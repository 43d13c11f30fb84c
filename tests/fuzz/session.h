/* The inputs of daemon_fuzz: steps of a session, and how they are changed so that most of the
 * octets still make sense: a step is taken out, doubled, moved, or one field of its message gets
 * another value.
 */
#ifndef TESTS_FUZZ_SESSION_H
#define TESTS_FUZZ_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum step_how {
	STEP_CLIENT = 3,     /* whose it is; 3: time goes by instead */
	STEP_FRAME = 1 << 2, /* the message's length is set right */
	STEP_SPI = 1 << 3,   /* the SPI that ALLOCSPI chose last stands in it */
	STEP_GONE = 1 << 4,  /* the client goes, and calls again */
};

struct step {
	uint8_t how;
	const uint8_t *octets;
	uint16_t len;
};

#define STEP_HEAD 3

/* The step at *at, which moves behind it; false at the end. A length beyond the end is cut. */
bool session_next(const uint8_t *input, size_t size, size_t *at, struct step *s);

#endif
